//! ConvNeXt, in its first and second version.
//!
//! Liu et al., "A ConvNet for the 2020s", 2022, <https://arxiv.org/abs/2201.03545>; version 2: Woo et al., 2023,
//! <https://arxiv.org/abs/2301.00808>.
//!
//! Source: `timm.models.convnext`, timm 1.0.

#[cfg(feature = "torch")]
pub mod network;

use serde::{Deserialize, Serialize};

use crate::backbone::checkpoint::fields::{
    EPS, FLAG, Fields, IS_GIVEN, Kind, SIZE, STAGES, as_size, as_variant,
};
use crate::backbone::families::map_pool::MapPool;
use crate::backbone::families::preset::{Data, OPENAI_CLIP};
use crate::backbone::families::{Architecture, Family};
use crate::error::Message;
use crate::image::Interpolation::Bicubic;

/// What decides a ConvNeXt's tensors and results. Arguments are named as timm's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says whether a tensor is there, or how it is stored"
)]
pub struct ConvNextConfig {
    /// Number of blocks, per stage.
    depths: [usize; 4],
    /// Width, per stage.
    dims: [usize; 4],
    stem_type: StemType,
    /// Whether a block's products are 1×1 convolutions, which are stored otherwise.
    conv_mlp: bool,
    /// Whether the channels of a block compete.
    use_grn: bool,
    /// Whether a block's result is scaled by a learned vector.
    layer_scale: bool,
    /// Whether positions are normalised before their maximum is taken.
    head_norm_first: bool,
    /// Added to the variance by every norm.
    norm_eps: f64,
    /// How the last map becomes a row.
    #[serde(default, skip_serializing_if = "MapPool::is_max")]
    pool: MapPool,
    /// What follows that, if something does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    head: Option<Head>,
    /// Width of the layer before the classifier, if there is one; features pass through it in `head` only.
    #[serde(skip)]
    head_hidden_size: Option<usize>,
}

/// What follows the pooling: a norm, then perhaps a layer with GELU.
///
/// Source: `timm.layers.NormMlpClassifierHead`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    /// Width of the layer.
    hidden: Option<usize>,
}

/// How an image enters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StemType {
    /// One convolution of 4×4 pixels, side by side.
    Patch,
    /// Two convolutions of 3×3 pixels.
    Overlap,
    /// Two convolutions of 3×3 pixels, the first of half the width.
    OverlapTiered,
}

impl Family for ConvNextConfig {
    fn dim(&self) -> usize {
        let hidden = self.head.and_then(|head| head.hidden);
        hidden.unwrap_or(self.dims[3])
    }

    fn override_args(&mut self, args: &mut Fields<'_>) -> Result<(), Message> {
        args.set(&mut self.depths, "depths", STAGES)?;
        args.set(&mut self.dims, "dims", STAGES)?;
        let stem_types = Kind("`patch`, `overlap` or `overlap_tiered`", as_variant);
        args.set_supported(&mut self.stem_type, "stem_type", stem_types)?;
        args.set(&mut self.conv_mlp, "conv_mlp", FLAG)?;
        args.set(&mut self.use_grn, "use_grn", FLAG)?;
        args.set(&mut self.layer_scale, "ls_init_value", IS_GIVEN)?;
        args.set(&mut self.head_norm_first, "head_norm_first", FLAG)?;
        args.set(&mut self.norm_eps, "norm_eps", EPS)?;
        for (key, only) in [
            ("in_chans", 3),
            ("output_stride", 32),
            ("patch_size", 4),
            ("kernel_sizes", 7),
        ] {
            args.fixed(key, only)?;
        }
        args.fixed("conv_bias", true)?;
        args.fixed("act_layer", "gelu")?;
        args.defaults(&["norm_layer"])?;
        args.set(
            &mut self.head_hidden_size,
            "head_hidden_size",
            OPTIONAL_SIZE,
        )?;
        args.drop_all(&["head_init_scale"]);
        Ok(())
    }

    fn map_pool(&mut self) -> Option<&mut MapPool> {
        Some(&mut self.pool)
    }

    fn add_head(&mut self) {
        // What is normalised before the pooling is not normalised again.
        self.head = (!self.head_norm_first).then_some(Head {
            hidden: self.head_hidden_size,
        });
    }

    #[cfg(feature = "torch")]
    fn is_passed_over(&self, tensor: &str) -> bool {
        tensor.starts_with("head.")
    }
}

/// A width, or `null` for none.
const OPTIONAL_SIZE: Kind<'_, Option<usize>> = Kind(SIZE.0, |value| {
    if value.is_null() {
        Some(None)
    } else {
        as_size(value).map(Some)
    }
});

impl ConvNextConfig {
    const fn conv_mlp(mut self) -> Self {
        self.conv_mlp = true;
        self
    }

    /// The second version.
    const fn v2(mut self) -> Self {
        self.use_grn = true;
        self.layer_scale = false;
        self
    }
}

/// Each stage is twice as wide as the one before it.
const fn convnext(depths: [usize; 4], width: usize) -> ConvNextConfig {
    ConvNextConfig {
        depths,
        dims: [width, 2 * width, 4 * width, 8 * width],
        stem_type: StemType::Patch,
        conv_mlp: false,
        use_grn: false,
        layer_scale: true,
        head_norm_first: false,
        norm_eps: 1e-6,
        pool: MapPool::Max,
        head: None,
        head_hidden_size: None,
    }
}

/// One row per architecture, with the preprocessing of timm's first checkpoint.
#[rustfmt::skip]
pub const ARCHITECTURES: &[Architecture<ConvNextConfig>] = &[
    ("convnext_atto", convnext([2, 2, 6, 2], 40).conv_mlp(), Data::imagenet(224, 0.875, Bicubic)),
    ("convnext_atto_ols", ConvNextConfig { stem_type: StemType::OverlapTiered, ..convnext([2, 2, 6, 2], 40).conv_mlp() }, Data::imagenet(224, 0.875, Bicubic)),
    ("convnext_femto", convnext([2, 2, 6, 2], 48).conv_mlp(), Data::imagenet(224, 0.875, Bicubic)),
    ("convnext_femto_ols", ConvNextConfig { stem_type: StemType::OverlapTiered, ..convnext([2, 2, 6, 2], 48).conv_mlp() }, Data::imagenet(224, 0.875, Bicubic)),
    ("convnext_pico", convnext([2, 2, 6, 2], 64).conv_mlp(), Data::imagenet(224, 0.875, Bicubic)),
    ("convnext_pico_ols", ConvNextConfig { stem_type: StemType::OverlapTiered, ..convnext([2, 2, 6, 2], 64).conv_mlp() }, Data::imagenet(224, 0.95, Bicubic)),
    ("convnext_nano", convnext([2, 2, 8, 2], 80).conv_mlp(), Data::imagenet(224, 0.95, Bicubic)),
    ("convnext_nano_ols", ConvNextConfig { stem_type: StemType::Overlap, ..convnext([2, 2, 8, 2], 80).conv_mlp() }, Data::imagenet(224, 0.95, Bicubic)),
    ("convnext_tiny", convnext([3, 3, 9, 3], 96), Data::imagenet(224, 0.95, Bicubic)),
    ("convnext_tiny_hnf", ConvNextConfig { head_norm_first: true, ..convnext([3, 3, 9, 3], 96).conv_mlp() }, Data::imagenet(224, 0.95, Bicubic)),
    ("convnext_small", convnext([3, 3, 27, 3], 96), Data::imagenet(224, 0.95, Bicubic)),
    ("convnext_base", convnext([3, 3, 27, 3], 128), Data::imagenet(224, 0.875, Bicubic)),
    ("convnext_large", convnext([3, 3, 27, 3], 192), Data::imagenet(224, 0.875, Bicubic)),
    ("convnext_large_mlp", ConvNextConfig { head_hidden_size: Some(1536), ..convnext([3, 3, 27, 3], 192) }, Data::new(320, 1.0, OPENAI_CLIP)),
    ("convnext_xlarge", convnext([3, 3, 27, 3], 256), Data::imagenet(224, 0.875, Bicubic)),
    ("convnext_xxlarge", ConvNextConfig { norm_eps: 1e-5, ..convnext([3, 4, 30, 3], 384) }, Data::new(256, 1.0, OPENAI_CLIP)),

    ("convnextv2_atto", convnext([2, 2, 6, 2], 40).v2().conv_mlp(), Data::imagenet(224, 0.875, Bicubic)),
    ("convnextv2_femto", convnext([2, 2, 6, 2], 48).v2().conv_mlp(), Data::imagenet(224, 0.875, Bicubic)),
    ("convnextv2_pico", convnext([2, 2, 6, 2], 64).v2().conv_mlp(), Data::imagenet(224, 0.875, Bicubic)),
    ("convnextv2_nano", convnext([2, 2, 8, 2], 80).v2().conv_mlp(), Data::imagenet(224, 0.875, Bicubic)),
    ("convnextv2_tiny", convnext([3, 3, 9, 3], 96).v2(), Data::imagenet(224, 0.875, Bicubic)),
    ("convnextv2_small", convnext([3, 3, 27, 3], 96).v2(), Data::imagenet(224, 0.875, Bicubic)),
    ("convnextv2_base", convnext([3, 3, 27, 3], 128).v2(), Data::imagenet(224, 0.875, Bicubic)),
    ("convnextv2_large", convnext([3, 3, 27, 3], 192).v2(), Data::imagenet(224, 0.875, Bicubic)),
    ("convnextv2_huge", convnext([3, 3, 27, 3], 352).v2(), Data::squashed(384)),
];

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::backbone::checkpoint::fields::overridden_by;
    use crate::backbone::families::NetworkConfig;

    const TINY: ConvNextConfig = convnext([3, 3, 9, 3], 96);

    fn overridden(args: Value) -> Result<ConvNextConfig, String> {
        let mut config = TINY;
        overridden_by(args, |fields| config.override_args(fields)).map(|()| config)
    }

    #[test]
    fn canonical_form_names_every_argument() {
        let expected = json!({
            "family": "convnext",
            "convnext": {
                "depths": [3, 3, 9, 3],
                "dims": [96, 192, 384, 768],
                "stem_type": "patch",
                "conv_mlp": false,
                "use_grn": false,
                "layer_scale": true,
                "head_norm_first": false,
                "norm_eps": 1e-6,
            },
        });
        assert_eq!(NetworkConfig::from(TINY).canonical(), expected);
        assert_eq!(TINY.dim(), 768);
    }

    #[test]
    fn arguments_overrule_the_architecture() {
        let args = json!({
            "depths": [1, 1, 2, 1],
            "dims": [8, 16, 32, 64],
            "stem_type": "overlap",
            "conv_mlp": true,
            "use_grn": true,
            "ls_init_value": null,
            "head_norm_first": true,
            "norm_eps": 1e-5,
            "head_hidden_size": 12,
            "kernel_sizes": 7,
        });
        let expected = ConvNextConfig {
            head_hidden_size: Some(12),
            stem_type: StemType::Overlap,
            head_norm_first: true,
            norm_eps: 1e-5,
            ..convnext([1, 1, 2, 1], 8).conv_mlp().v2()
        };
        assert_eq!(overridden(args), Ok(expected));
        assert_eq!(overridden(json!({ "ls_init_value": 0.0 })), Ok(TINY));
    }

    #[test]
    fn other_networks_and_senseless_values_are_refused() {
        let message = |args| overridden(args).unwrap_err();
        assert_eq!(
            message(json!({ "depths": [3, 3, 9] })),
            "config.json: `model_args.depths` is `[3,3,9]`, expected 4 numbers from 1 to 65,536"
        );
        assert_eq!(
            message(json!({ "norm_eps": 0 })),
            "config.json: `model_args.norm_eps` is `0`, expected a number between 0 and 1"
        );
        assert_eq!(
            message(json!({ "patch_size": 2 })),
            "config.json: `model_args.patch_size` is `2`, only `4` is supported"
        );
        assert_eq!(
            message(json!({ "norm_layer": "rmsnorm" })),
            "config.json: `model_args.norm_layer` is `rmsnorm`, only timm's default is supported"
        );
    }
}
