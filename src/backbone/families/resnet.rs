//! ResNets, with the deep stem of ResNet-D and the groups of ResNeXt.
//!
//! He et al., "Deep Residual Learning for Image Recognition", 2016, <https://arxiv.org/abs/1512.03385>;
//! ResNet-D: He et al., 2019, <https://arxiv.org/abs/1812.01187>; groups: Xie et al., 2017,
//! <https://arxiv.org/abs/1611.05431>; wide: Zagoruyko and Komodakis, 2016, <https://arxiv.org/abs/1605.07146>.
//!
//! Source: `timm.models.resnet`, timm 1.0.

#[cfg(feature = "torch")]
pub mod network;

use serde::{Deserialize, Serialize};

use self::Block::{Basic, Bottleneck};
use crate::backbone::checkpoint::fields::{FLAG, Fields, Kind, SIZE, STAGES, as_variant};
use crate::backbone::families::map_pool::MapPool;
use crate::backbone::families::preset::Data;
use crate::backbone::families::{Architecture, Family};
use crate::error::Message;
use crate::image::Interpolation::{Bicubic, Bilinear};

/// What decides a ResNet's tensors and results. Arguments are named as timm's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResNetConfig {
    /// What stages repeat.
    block: Block,
    /// Number of blocks, per stage.
    layers: [usize; 4],
    /// Width of a block's inner convolutions, per stage.
    channels: [usize; 4],
    stem_type: StemType,
    /// Width of a deep stem's first convolutions.
    stem_width: usize,
    /// Whether shortcuts to smaller images take means, not every other pixel.
    avg_down: bool,
    /// Groups of a bottleneck's 3×3 convolution.
    cardinality: usize,
    /// Width of such a group, for a stage with 64 channels.
    base_width: usize,
    /// How the last map becomes a row.
    #[serde(default, skip_serializing_if = "MapPool::is_max")]
    pool: MapPool,
}

/// What stages repeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Block {
    /// Two 3×3 convolutions.
    Basic,
    /// A 3×3 convolution between two of 1×1.
    Bottleneck,
}

/// How an image enters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StemType {
    /// One 7×7 convolution.
    #[serde(rename = "")]
    Plain,
    /// Three 3×3 convolutions.
    Deep,
    /// Three 3×3 convolutions, the first narrower.
    DeepTiered,
}

/// Added to the variance by every norm.
#[cfg(feature = "torch")]
const NORM_EPS: f64 = 1e-5;

impl Family for ResNetConfig {
    fn dim(&self) -> usize {
        self.channels[3] * self.block.expansion()
    }

    fn override_args(&mut self, args: &mut Fields<'_>) -> Result<(), Message> {
        args.set(&mut self.layers, "layers", STAGES)?;
        args.set(&mut self.channels, "channels", STAGES)?;
        let stem_types = Kind("an empty string, `deep` or `deep_tiered`", as_variant);
        args.set_supported(&mut self.stem_type, "stem_type", stem_types)?;
        args.set(&mut self.stem_width, "stem_width", SIZE)?;
        args.set(&mut self.avg_down, "avg_down", FLAG)?;
        if self.block == Block::Bottleneck {
            args.set(&mut self.cardinality, "cardinality", SIZE)?;
            args.set(&mut self.base_width, "base_width", SIZE)?;
        }
        for (key, only) in [
            ("in_chans", 3),
            ("output_stride", 32),
            ("cardinality", 1),
            ("base_width", 64),
            ("block_reduce_first", 1),
            ("down_kernel_size", 1),
        ] {
            args.fixed(key, only)?;
        }
        args.fixed("replace_stem_pool", false)?;
        args.fixed("act_layer", "relu")?;
        args.defaults(&["norm_layer", "aa_layer", "block_args"])?;
        args.drop_all(&["zero_init_last", "drop_block_rate"]);
        Ok(())
    }

    fn map_pool(&mut self) -> Option<&mut MapPool> {
        Some(&mut self.pool)
    }

    #[cfg(feature = "torch")]
    fn is_passed_over(&self, tensor: &str) -> bool {
        tensor.starts_with("fc.") || tensor.ends_with(".num_batches_tracked")
    }
}

impl ResNetConfig {
    /// With a deep stem and means in shortcuts.
    const fn d(mut self) -> Self {
        self.stem_type = StemType::Deep;
        self.stem_width = 32;
        self.avg_down = true;
        self
    }

    /// Width of a block's inner convolutions where a stage's is `channels`.
    #[cfg(feature = "torch")]
    fn inner_width(&self, channels: usize) -> usize {
        channels * self.base_width / 64 * self.cardinality
    }
}

impl Block {
    /// How much wider a block is than its inner convolutions.
    const fn expansion(self) -> usize {
        match self {
            Self::Basic => 1,
            Self::Bottleneck => 4,
        }
    }
}

const fn resnet(block: Block, layers: [usize; 4]) -> ResNetConfig {
    ResNetConfig {
        block,
        layers,
        channels: [64, 128, 256, 512],
        stem_type: StemType::Plain,
        stem_width: 64,
        avg_down: false,
        cardinality: 1,
        base_width: 64,
        pool: MapPool::Max,
    }
}

/// One row per architecture, with the preprocessing of timm's first checkpoint.
#[rustfmt::skip]
pub const ARCHITECTURES: &[Architecture<ResNetConfig>] = &[
    ("resnet18", resnet(Basic, [2, 2, 2, 2]), Data::imagenet(224, 0.95, Bicubic)),
    ("resnet18d", resnet(Basic, [2, 2, 2, 2]).d(), Data::imagenet(224, 0.875, Bicubic)),
    ("resnet26", resnet(Bottleneck, [2, 2, 2, 2]), Data::imagenet(224, 0.875, Bicubic)),
    ("resnet26d", resnet(Bottleneck, [2, 2, 2, 2]).d(), Data::imagenet(224, 0.875, Bicubic)),
    ("resnet34", resnet(Basic, [3, 4, 6, 3]), Data::imagenet(224, 0.95, Bicubic)),
    ("resnet34d", resnet(Basic, [3, 4, 6, 3]).d(), Data::imagenet(224, 0.875, Bicubic)),
    ("resnet50", resnet(Bottleneck, [3, 4, 6, 3]), Data::imagenet(224, 0.95, Bicubic)),
    ("resnet50d", resnet(Bottleneck, [3, 4, 6, 3]).d(), Data::imagenet(224, 0.875, Bicubic)),
    ("resnet101", resnet(Bottleneck, [3, 4, 23, 3]), Data::imagenet(224, 0.95, Bicubic)),
    ("resnet101d", resnet(Bottleneck, [3, 4, 23, 3]).d(), Data::imagenet(256, 0.95, Bicubic)),
    ("resnet152", resnet(Bottleneck, [3, 8, 36, 3]), Data::imagenet(224, 0.95, Bicubic)),
    ("resnet152d", resnet(Bottleneck, [3, 8, 36, 3]).d(), Data::imagenet(256, 0.95, Bicubic)),
    ("resnet200d", resnet(Bottleneck, [3, 24, 36, 3]).d(), Data::imagenet(256, 0.95, Bicubic)),
    ("resnext50_32x4d", ResNetConfig { cardinality: 32, base_width: 4, ..resnet(Bottleneck, [3, 4, 6, 3]) }, Data::imagenet(224, 0.95, Bicubic)),
    ("resnext101_32x4d", ResNetConfig { cardinality: 32, base_width: 4, ..resnet(Bottleneck, [3, 4, 23, 3]) }, Data::imagenet(224, 0.875, Bilinear)),
    ("resnext101_32x8d", ResNetConfig { cardinality: 32, base_width: 8, ..resnet(Bottleneck, [3, 4, 23, 3]) }, Data::imagenet(224, 0.875, Bilinear)),
    ("resnext101_64x4d", ResNetConfig { cardinality: 64, base_width: 4, ..resnet(Bottleneck, [3, 4, 23, 3]) }, Data::imagenet(224, 0.95, Bicubic)),
    ("wide_resnet50_2", ResNetConfig { base_width: 128, ..resnet(Bottleneck, [3, 4, 6, 3]) }, Data::imagenet(224, 0.875, Bicubic)),
    ("wide_resnet101_2", ResNetConfig { base_width: 128, ..resnet(Bottleneck, [3, 4, 23, 3]) }, Data::imagenet(224, 0.875, Bilinear)),
];

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::backbone::checkpoint::fields::overridden_by;
    use crate::backbone::families::NetworkConfig;

    fn overridden(mut config: ResNetConfig, args: Value) -> Result<ResNetConfig, String> {
        overridden_by(args, |fields| config.override_args(fields)).map(|()| config)
    }

    #[test]
    fn bottlenecks_are_four_times_as_wide_as_their_inner_convolutions() {
        assert_eq!(resnet(Basic, [2, 2, 2, 2]).dim(), 512);
        assert_eq!(resnet(Bottleneck, [3, 4, 6, 3]).dim(), 2048);
    }

    #[test]
    fn canonical_form_names_every_argument() {
        let expected = json!({
            "family": "resnet",
            "resnet": {
                "block": "bottleneck",
                "layers": [3, 4, 6, 3],
                "channels": [64, 128, 256, 512],
                "stem_type": "deep",
                "stem_width": 32,
                "avg_down": true,
                "cardinality": 1,
                "base_width": 64,
            },
        });
        assert_eq!(
            NetworkConfig::from(resnet(Bottleneck, [3, 4, 6, 3]).d()).canonical(),
            expected
        );
    }

    #[test]
    fn arguments_overrule_the_architecture() {
        let args = json!({
            "layers": [1, 1, 2, 1],
            "channels": [8, 16, 24, 32],
            "stem_type": "deep",
            "stem_width": 32,
            "avg_down": true,
            "in_chans": 3,
        });
        let config = overridden(resnet(Basic, [2, 2, 2, 2]), args).unwrap();
        let expected = ResNetConfig {
            channels: [8, 16, 24, 32],
            ..resnet(Basic, [1, 1, 2, 1]).d()
        };
        assert_eq!(config, expected);
    }

    #[test]
    fn other_networks_and_senseless_sizes_are_refused() {
        let message = |args| overridden(resnet(Basic, [2, 2, 2, 2]), args).unwrap_err();
        let sizes = "expected 4 numbers from 1 to 65,536";
        assert_eq!(
            message(json!({ "layers": [1, 1, 0, 1] })),
            format!("config.json: `model_args.layers` is `[1,1,0,1]`, {sizes}")
        );
        assert_eq!(
            message(json!({ "channels": [1, 1, 1_u64 << 60, 1] })),
            format!("config.json: `model_args.channels` is `[1,1,1152921504606846976,1]`, {sizes}")
        );
        assert_eq!(
            message(json!({ "cardinality": 32 })),
            "config.json: `model_args.cardinality` is `32`, only `1` is supported"
        );
        assert_eq!(
            message(json!({ "aa_layer": "blurpool" })),
            "config.json: `model_args.aa_layer` is `blurpool`, only timm's default is supported"
        );
    }

    #[cfg(feature = "torch")]
    #[test]
    fn groups_decide_the_inner_width() {
        let inner_width = |cardinality, base_width| {
            let config = ResNetConfig {
                cardinality,
                base_width,
                ..resnet(Bottleneck, [1; 4])
            };
            config.inner_width(256)
        };
        assert_eq!(resnet(Bottleneck, [1; 4]).inner_width(256), 256);
        assert_eq!(inner_width(32, 4), 512);
        assert_eq!(inner_width(1, 128), 512);
    }
}
