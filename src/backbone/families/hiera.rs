//! Hiera as SAM 2's image encoder: a Vision Transformer whose maps shrink, with attention in windows.
//!
//! Ryali et al., "Hiera: A Hierarchical Vision Transformer without the Bells-and-Whistles", 2023,
//! <https://arxiv.org/abs/2306.00989>; positions: Bolya et al., 2023, <https://arxiv.org/abs/2311.05613>; SAM 2:
//! Ravi et al., 2024, <https://arxiv.org/abs/2408.00714>.
//!
//! Source: `timm.models.hieradet_sam2`, timm 1.0.

#[cfg(feature = "torch")]
pub mod network;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::backbone::checkpoint::fields::{
    Fields, IS_GIVEN, Kind, SIZE, STAGES, as_count, as_sizes, patches_of,
};
use crate::backbone::families::map_pool::MapPool;
use crate::backbone::families::preset::Data;
use crate::backbone::families::{Architecture, Contradiction, Family};
use crate::error::Message;
use crate::image::Interpolation::Bicubic;

/// Number of blocks that may attend to the whole map.
const MAX_GLOBAL: usize = 3;

/// Side of a patch in pixels.
const PATCH_STRIDE: usize = 4;

/// What decides a Hiera's tensors and results. Arguments are named as timm's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct HieraConfig {
    /// `[h, w]` in pixels.
    pub img_size: [usize; 2],
    /// Width of a token in the first stage; each stage doubles it.
    embed_dim: usize,
    /// Number of attention heads in the first stage; each stage doubles it.
    num_heads: usize,
    /// Number of blocks, per stage.
    stages: [usize; 4],
    /// `[h, w]` of the stored positions of the whole map.
    global_pos_size: [usize; 2],
    /// Side of a window in tokens, per stage.
    window_spec: [usize; 4],
    /// Blocks that attend to the whole map, counted from 0.
    global_att_blocks: [Option<usize>; MAX_GLOBAL],
    /// Whether both branches of a block are scaled by a learned vector.
    layer_scale: bool,
    /// How the last map becomes a row.
    #[serde(default, skip_serializing_if = "MapPool::is_max")]
    pool: MapPool,
    /// Whether the row is normalised.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    head_norm: bool,
}

impl Family for HieraConfig {
    fn dim(&self) -> usize {
        self.width(3)
    }

    fn set_img_size(&mut self, img_size: [usize; 2]) {
        self.img_size = img_size;
    }

    fn override_args(&mut self, args: &mut Fields<'_>) -> Result<(), Message> {
        args.set(&mut self.embed_dim, "embed_dim", SIZE)?;
        args.set(&mut self.num_heads, "num_heads", SIZE)?;
        args.set(&mut self.stages, "stages", STAGES)?;
        let pair = Kind("2 numbers from 1 to 65,536", as_sizes);
        args.set(&mut self.global_pos_size, "global_pos_size", pair)?;
        args.set(&mut self.window_spec, "window_spec", STAGES)?;
        let numbers = format!("at most {MAX_GLOBAL} numbers");
        let blocks = Kind(&numbers, as_blocks);
        args.set(&mut self.global_att_blocks, "global_att_blocks", blocks)?;
        args.set(&mut self.layer_scale, "init_values", IS_GIVEN)?;
        for (key, only) in [
            ("in_chans", json!(3)),
            ("patch_kernel", json!([7, 7])),
            ("patch_stride", json!([PATCH_STRIDE, PATCH_STRIDE])),
            ("patch_padding", json!([3, 3])),
            ("q_pool", json!(3)),
            ("q_stride", json!([2, 2])),
            ("dim_mul", json!(2.0)),
            ("head_mul", json!(2.0)),
        ] {
            args.fixed(key, only)?;
        }
        args.defaults(&["patch_size", "norm_layer", "act_layer"])?;

        if !self.embed_dim.is_multiple_of(self.num_heads) {
            let expected = format!("a divisor of the width, {}", self.embed_dim);
            return Err(args.wrong("num_heads", self.num_heads, expected));
        }
        // The windows of these stages are halved where the next begins.
        if self.window_spec[..3].iter().any(|side| side % 2 == 1) {
            let expected = "even numbers before the last";
            return Err(args.wrong("window_spec", json!(self.window_spec), expected));
        }
        Ok(())
    }

    fn map_pool(&mut self) -> Option<&mut MapPool> {
        Some(&mut self.pool)
    }

    fn add_head(&mut self) {
        self.head_norm = true;
    }

    fn contradiction(&self) -> Option<Contradiction> {
        let [height, width] = self.img_size;
        let window = PATCH_STRIDE * self.window_spec[0];
        let is_cut = !self
            .map(0)
            .iter()
            .all(|n| n.is_multiple_of(self.window_spec[0]));
        let expected = patches_of(self.img_size, PATCH_STRIDE)
            .or_else(|| is_cut.then(|| format!("multiples of {window} pixels")))?;
        Some(("input_size", format!("[3, {height}, {width}]"), expected))
    }

    #[cfg(feature = "torch")]
    fn is_passed_over(&self, tensor: &str) -> bool {
        tensor.starts_with("head.")
    }
}

impl HieraConfig {
    /// Width of a token in a stage.
    fn width(&self, stage: usize) -> usize {
        self.embed_dim << stage
    }

    /// `[h, w]` of a stage's map in tokens.
    fn map(&self, stage: usize) -> [usize; 2] {
        self.img_size
            .map(|side| side.div_ceil(PATCH_STRIDE) >> stage)
    }
}

/// Numbers of blocks.
fn as_blocks(value: &Value) -> Option<[Option<usize>; MAX_GLOBAL]> {
    let list = value.as_array()?;
    let mut blocks = [None; MAX_GLOBAL];
    if list.len() > blocks.len() {
        return None;
    }
    for (block, value) in blocks.iter_mut().zip(list) {
        *block = Some(as_count(value)?);
    }
    Some(blocks)
}

const fn hiera(
    img_size: usize,
    embed_dim: usize,
    stages: [usize; 4],
    [first, second, third]: [usize; MAX_GLOBAL],
) -> HieraConfig {
    HieraConfig {
        img_size: [img_size; 2],
        embed_dim,
        num_heads: 1,
        stages,
        global_pos_size: [7, 7],
        window_spec: [8, 4, 14, 7],
        global_att_blocks: [Some(first), Some(second), Some(third)],
        layer_scale: false,
        pool: MapPool::Max,
        head_norm: false,
    }
}

/// One row per architecture, with the preprocessing of timm's first checkpoint.
#[rustfmt::skip]
pub const ARCHITECTURES: &[Architecture<HieraConfig>] = &[
    ("sam2_hiera_tiny", hiera(896, 96, [1, 2, 7, 2], [5, 7, 9]), Data::imagenet(896, 1.0, Bicubic)),
    ("sam2_hiera_small", hiera(896, 96, [1, 2, 11, 2], [7, 10, 13]), Data::imagenet(896, 1.0, Bicubic)),
    ("sam2_hiera_base_plus", HieraConfig { num_heads: 2, global_pos_size: [14, 14], ..hiera(896, 112, [2, 3, 16, 3], [12, 16, 20]) }, Data::imagenet(896, 1.0, Bicubic)),
    ("sam2_hiera_large", HieraConfig { num_heads: 2, window_spec: [8, 4, 16, 8], ..hiera(1024, 144, [2, 6, 36, 4], [23, 33, 43]) }, Data::imagenet(1024, 1.0, Bicubic)),
    ("hieradet_small", HieraConfig { window_spec: [8, 4, 16, 8], layer_scale: true, ..hiera(256, 96, [1, 2, 11, 2], [7, 10, 13]) }, Data::imagenet(256, 1.0, Bicubic)),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backbone::checkpoint::fields::overridden_by;
    use crate::backbone::families::NetworkConfig;

    const TINY: HieraConfig = hiera(896, 96, [1, 2, 7, 2], [5, 7, 9]);

    fn overridden(args: Value) -> Result<HieraConfig, String> {
        let mut config = TINY;
        overridden_by(args, |fields| config.override_args(fields)).map(|()| config)
    }

    #[test]
    fn canonical_form_names_every_argument() {
        let expected = json!({
            "family": "hiera",
            "hiera": {
                "img_size": [896, 896],
                "embed_dim": 96,
                "num_heads": 1,
                "stages": [1, 2, 7, 2],
                "global_pos_size": [7, 7],
                "window_spec": [8, 4, 14, 7],
                "global_att_blocks": [5, 7, 9],
                "layer_scale": false,
            },
        });
        assert_eq!(NetworkConfig::from(TINY).canonical(), expected);
        assert_eq!(TINY.dim(), 768);
    }

    #[test]
    fn arguments_overrule_the_architecture() {
        let args = json!({
            "embed_dim": 16,
            "num_heads": 2,
            "stages": [1, 2, 3, 1],
            "global_pos_size": [5, 4],
            "window_spec": [8, 4, 6, 3],
            "global_att_blocks": [4],
            "init_values": 1e-5,
            "q_stride": [2, 2],
            "in_chans": 3,
        });
        let expected = HieraConfig {
            num_heads: 2,
            global_pos_size: [5, 4],
            window_spec: [8, 4, 6, 3],
            global_att_blocks: [Some(4), None, None],
            layer_scale: true,
            ..hiera(896, 16, [1, 2, 3, 1], [4, 0, 0])
        };
        assert_eq!(overridden(args), Ok(expected));
    }

    #[test]
    fn other_networks_and_senseless_values_are_refused() {
        let message = |args| overridden(args).unwrap_err();
        assert_eq!(
            message(json!({ "q_pool": 2 })),
            "config.json: `model_args.q_pool` is `2`, only `3` is supported"
        );
        assert_eq!(
            message(json!({ "global_att_blocks": [1, 2, 3, 4] })),
            "config.json: `model_args.global_att_blocks` is `[1,2,3,4]`, expected at most 3 numbers"
        );
    }

    #[test]
    fn arguments_that_do_not_go_together_are_refused() {
        let message = |args| overridden(args).unwrap_err();
        assert_eq!(
            message(json!({ "num_heads": 5 })),
            "config.json: `model_args.num_heads` is `5`, expected a divisor of the width, 96"
        );
        assert_eq!(
            message(json!({ "window_spec": [8, 4, 7, 7] })),
            "config.json: `model_args.window_spec` is `[8,4,7,7]`, expected even numbers before the last"
        );
    }

    #[test]
    fn images_are_whole_windows_but_for_an_incomplete_patch() {
        let contradiction = |img_size| HieraConfig { img_size, ..TINY }.contradiction();
        assert_eq!(contradiction([896, 1024]), None);
        assert_eq!(contradiction([224, 253]), None);
        let (key, found, expected) = contradiction([224, 240]).unwrap();
        assert_eq!(
            (key, found.as_str(), expected.as_str()),
            ("input_size", "[3, 224, 240]", "multiples of 32 pixels")
        );
    }

    #[test]
    fn maps_halve() {
        let maps: Vec<_> = (0..4).map(|stage| TINY.map(stage)).collect();
        assert_eq!(maps, [[224; 2], [112; 2], [56; 2], [28; 2]]);
    }
}
