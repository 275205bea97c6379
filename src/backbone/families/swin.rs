//! The Swin Transformer, first version.
//!
//! Liu et al., "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows", 2021,
//! <https://arxiv.org/abs/2103.14030>.
//!
//! Source: `timm.models.swin_transformer`, timm 1.0. Unlike timm, which resizes a table of relative positions to
//! the size of the windows, nothing is resized here.

#[cfg(feature = "torch")]
mod attention;
#[cfg(feature = "torch")]
pub mod network;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::backbone::checkpoint::fields::{
    FLAG, Fields, Kind, RATIO, SIDES, SIZE, SQUARE, as_sides, as_size, patches_of,
};
use crate::backbone::families::map_pool::MapPool;
use crate::backbone::families::preset::Data;
use crate::backbone::families::{Architecture, Contradiction, Family};
use crate::error::Message;
use crate::image::Interpolation::Bicubic;

/// More stages are no Swin Transformer's.
const MAX_STAGES: usize = 4;

/// Windows of more tokens a side are mistakes: what a pair of tokens means to each other is kept for all pairs.
const MAX_WINDOW: usize = 32;

/// What decides a Swin Transformer's tensors and results. Arguments are named as timm's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SwinConfig {
    /// `[h, w]` in pixels.
    pub img_size: [usize; 2],
    /// Side of a patch in pixels.
    patch_size: usize,
    /// Width of a token in the first stage; each stage doubles it.
    embed_dim: usize,
    /// Missing ones stand at the end.
    stages: [Option<Stage>; MAX_STAGES],
    /// Whether a window stays as it is where the map is smaller.
    always_partition: bool,
    /// Width of a block's MLP, in widths of a token.
    mlp_ratio: f64,
    /// Whether the projection to queries, keys and values has a bias.
    qkv_bias: bool,
    /// How the last map becomes a row.
    #[serde(default, skip_serializing_if = "MapPool::is_max")]
    pool: MapPool,
}

/// Blocks between two halvings of height and width.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stage {
    /// Number of blocks.
    depth: usize,
    /// Number of attention heads.
    num_heads: usize,
    /// `[h, w]` in tokens.
    window_size: [usize; 2],
}

impl Family for SwinConfig {
    fn dim(&self) -> usize {
        self.width(self.stages().count().saturating_sub(1))
    }

    fn img_size(&self) -> Option<[usize; 2]> {
        Some(self.img_size)
    }

    fn set_img_size(&mut self, img_size: [usize; 2]) {
        self.img_size = img_size;
    }

    fn override_args(&mut self, args: &mut Fields<'_>) -> Result<(), Message> {
        args.set(&mut self.img_size, "img_size", SIDES)?;
        args.set(&mut self.patch_size, "patch_size", SQUARE)?;
        args.set(&mut self.embed_dim, "embed_dim", SIZE)?;
        self.override_stages(args)?;
        args.set(&mut self.always_partition, "always_partition", FLAG)?;
        args.set(&mut self.mlp_ratio, "mlp_ratio", RATIO)?;
        args.set(&mut self.qkv_bias, "qkv_bias", FLAG)?;
        args.fixed("in_chans", 3)?;
        args.fixed("strict_img_size", true)?;
        args.fixed("dynamic_img_size", false)?;
        args.defaults(&["head_dim", "norm_layer", "embed_layer"])?;
        Ok(())
    }

    fn map_pool(&mut self) -> Option<&mut MapPool> {
        Some(&mut self.pool)
    }

    fn contradiction(&self) -> Option<Contradiction> {
        let expected = patches_of(self.img_size, self.patch_size)?;
        Some(("patch_size", self.patch_size.to_string(), expected))
    }

    #[cfg(feature = "torch")]
    fn is_passed_over(&self, tensor: &str) -> bool {
        // Older files hold what follows from the sizes of image and windows, too.
        tensor.starts_with("head.")
            || tensor.ends_with(".relative_position_index")
            || tensor.ends_with(".attn_mask")
    }
}

impl SwinConfig {
    /// Arguments that have a value per stage.
    fn override_stages(&mut self, args: &mut Fields<'_>) -> Result<(), Message> {
        let numbers = format!("1 to {MAX_STAGES} numbers from 1 to 65,536");
        let stages = || self.stages();
        let mut depths: Vec<_> = stages().map(|stage| stage.depth).collect();
        let mut num_heads: Vec<_> = stages().map(|stage| stage.num_heads).collect();
        let mut windows: Vec<_> = stages().map(|stage| stage.window_size).collect();
        let sizes = || Kind(&numbers, |value| as_list(value, as_size));
        args.set(&mut depths, "depths", sizes())?;
        args.set(&mut num_heads, "num_heads", sizes())?;
        let n_stages = depths.len();
        match args.take("window_size") {
            // A number or a pair is one window for all stages.
            Some(value) => {
                let per_stage = || as_list(&value, as_window);
                let expected =
                    format!("a window of at most {MAX_WINDOW} tokens a side, or one per stage");
                windows = (as_window(&value).map(|window| vec![window; n_stages]))
                    .or_else(per_stage)
                    .ok_or_else(|| args.wrong("window_size", value.clone(), expected))?;
            }
            None if windows.iter().all(|window| *window == windows[0]) => {
                windows = vec![windows[0]; n_stages];
            }
            None => {}
        }
        for (key, n, list) in [
            ("num_heads", num_heads.len(), json!(num_heads)),
            ("window_size", windows.len(), json!(windows)),
        ] {
            if n != n_stages {
                let expected = format!("one value for each of {n_stages} stages");
                return Err(args.wrong(key, list, expected));
            }
        }
        self.stages = [None; MAX_STAGES];
        for (i, stage) in self.stages.iter_mut().take(n_stages).enumerate() {
            *stage = Some(Stage {
                depth: depths[i],
                num_heads: num_heads[i],
                window_size: windows[i],
            });
        }
        for (i, stage) in self.stages().enumerate() {
            let width = self.width(i);
            if !width.is_multiple_of(stage.num_heads) {
                let expected = format!("a divisor of the width, {width}");
                return Err(args.wrong("num_heads", stage.num_heads, expected));
            }
        }
        Ok(())
    }

    fn stages(&self) -> impl Iterator<Item = Stage> {
        self.stages.into_iter().flatten()
    }

    /// Width of a token in a stage.
    fn width(&self, stage: usize) -> usize {
        self.embed_dim << stage
    }
}

/// Where windows lie.
#[cfg(feature = "torch")]
impl SwinConfig {
    /// `[h, w]` of a stage's map in tokens.
    fn map(&self, stage: usize) -> [usize; 2] {
        self.img_size
            .map(|side| (side / self.patch_size).div_ceil(1 << stage))
    }

    /// The windows of a stage, which are cut to its map; and by how many tokens every other block shifts it.
    ///
    /// A map is not shifted along a side that one window covers.
    fn windows(&self, map: [usize; 2], stage: Stage) -> ([usize; 2], [usize; 2]) {
        if self.always_partition {
            return (stage.window_size, stage.window_size.map(|side| side / 2));
        }
        let along = |axis: usize| {
            let (side, window) = (map[axis].max(1), stage.window_size[axis]);
            if side <= window {
                (side, 0)
            } else {
                (window, window / 2)
            }
        };
        let [(height, down), (width, right)] = [0, 1].map(along);
        ([height, width], [down, right])
    }

    /// Width of a block's MLP.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a width of at most 2¹⁹ times a ratio of at most 1024; rounded down as by Python's `int`"
    )]
    fn mlp_dim(&self, width: usize) -> usize {
        (width as f64 * self.mlp_ratio) as usize
    }
}

fn as_window(value: &Value) -> Option<[usize; 2]> {
    as_sides(value).filter(|sides| sides.iter().all(|side| *side <= MAX_WINDOW))
}

/// A value per stage.
fn as_list<T>(value: &Value, read: impl Fn(&Value) -> Option<T>) -> Option<Vec<T>> {
    let list = value.as_array()?;
    (1..=MAX_STAGES)
        .contains(&list.len())
        .then(|| list.iter().map(read).collect())?
}

const fn swin(
    img_size: usize,
    window_size: [usize; 4],
    embed_dim: usize,
    depths: [usize; 4],
    num_heads: usize,
) -> SwinConfig {
    let mut stages = [None; MAX_STAGES];
    let mut i = 0;
    while i < MAX_STAGES {
        stages[i] = Some(Stage {
            depth: depths[i],
            num_heads: num_heads << i,
            window_size: [window_size[i]; 2],
        });
        i += 1;
    }
    SwinConfig {
        img_size: [img_size; 2],
        patch_size: 4,
        embed_dim,
        stages,
        always_partition: false,
        mlp_ratio: 4.0,
        qkv_bias: true,
        pool: MapPool::Max,
    }
}

/// One row per architecture, with the preprocessing of timm's first checkpoint.
#[rustfmt::skip]
pub const ARCHITECTURES: &[Architecture<SwinConfig>] = &[
    ("swin_tiny_patch4_window7_224", swin(224, [7; 4], 96, [2, 2, 6, 2], 3), Data::imagenet(224, 0.9, Bicubic)),
    ("swin_small_patch4_window7_224", swin(224, [7; 4], 96, [2, 2, 18, 2], 3), Data::imagenet(224, 0.9, Bicubic)),
    ("swin_base_patch4_window7_224", swin(224, [7; 4], 128, [2, 2, 18, 2], 4), Data::imagenet(224, 0.9, Bicubic)),
    ("swin_base_patch4_window12_384", swin(384, [12; 4], 128, [2, 2, 18, 2], 4), Data::imagenet(384, 1.0, Bicubic)),
    ("swin_large_patch4_window7_224", swin(224, [7; 4], 192, [2, 2, 18, 2], 6), Data::imagenet(224, 0.9, Bicubic)),
    ("swin_large_patch4_window12_384", swin(384, [12; 4], 192, [2, 2, 18, 2], 6), Data::imagenet(384, 1.0, Bicubic)),
    ("swin_s3_tiny_224", swin(224, [7, 7, 14, 7], 96, [2, 2, 6, 2], 3), Data::imagenet(224, 0.9, Bicubic)),
    ("swin_s3_small_224", swin(224, [14, 14, 14, 7], 96, [2, 2, 18, 2], 3), Data::imagenet(224, 0.9, Bicubic)),
    ("swin_s3_base_224", swin(224, [7, 7, 14, 7], 96, [2, 2, 30, 2], 3), Data::imagenet(224, 0.9, Bicubic)),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backbone::checkpoint::fields::overridden_by;
    use crate::backbone::families::NetworkConfig;

    const TINY: SwinConfig = swin(224, [7; 4], 96, [2, 2, 6, 2], 3);

    fn overridden(args: Value) -> Result<SwinConfig, String> {
        let mut config = TINY;
        overridden_by(args, |fields| config.override_args(fields)).map(|()| config)
    }

    #[test]
    fn canonical_form_names_every_argument() {
        let stage = |depth: usize, num_heads: usize| json!({ "depth": depth, "num_heads": num_heads, "window_size": [7, 7] });
        let expected = json!({
            "family": "swin",
            "swin": {
                "img_size": [224, 224],
                "patch_size": 4,
                "embed_dim": 96,
                "stages": [stage(2, 3), stage(2, 6), stage(6, 12), stage(2, 24)],
                "always_partition": false,
                "mlp_ratio": 4.0,
                "qkv_bias": true,
            },
        });
        assert_eq!(NetworkConfig::from(TINY).canonical(), expected);
        assert_eq!(TINY.dim(), 768);
    }

    #[test]
    fn arguments_overrule_the_architecture() {
        let config = overridden(json!({
            "img_size": [64, 96],
            "embed_dim": 8,
            "depths": [2, 2, 4],
            "num_heads": [1, 2, 2],
            "window_size": 4,
            "mlp_ratio": 2.0,
            "qkv_bias": false,
            "always_partition": true,
            "in_chans": 3,
        }))
        .unwrap();
        let stage = |depth, num_heads| {
            let window_size = [4, 4];
            Some(Stage {
                depth,
                num_heads,
                window_size,
            })
        };
        assert_eq!(config.img_size, [64, 96]);
        assert_eq!(config.stages, [stage(2, 1), stage(2, 2), stage(4, 2), None]);
        assert_eq!((config.dim(), config.mlp_ratio), (32, 2.0));
        assert_eq!((config.qkv_bias, config.always_partition), (false, true));
    }

    #[test]
    fn windows_are_one_for_all_stages_or_one_per_stage() {
        let sizes = |window_size: Value| -> Vec<_> {
            let config = overridden(json!({ "window_size": window_size })).unwrap();
            config.stages().map(|stage| stage.window_size).collect()
        };
        assert_eq!(sizes(json!(8)), [[8, 8]; 4]);
        assert_eq!(sizes(json!([8, 6])), [[8, 6]; 4]);
        let expected = [[7, 7], [4, 5], [14, 14], [7, 7]];
        assert_eq!(sizes(json!([7, [4, 5], 14, 7])), expected);

        let config = overridden(json!({ "depths": [2, 2], "num_heads": [3, 6] })).unwrap();
        let sizes: Vec<_> = config.stages().map(|stage| stage.window_size).collect();
        assert_eq!(sizes, [[7, 7]; 2]);
    }

    #[test]
    fn senseless_arguments_are_refused() {
        let message = |args| overridden(args).unwrap_err();
        let cases = [
            (
                json!({ "depths": [2, 2] }),
                "`model_args.num_heads` is `[3,6,12,24]`, expected one value for each of 2 stages",
            ),
            (
                json!({ "depths": [1, 1, 1, 1, 1] }),
                "`model_args.depths` is `[1,1,1,1,1]`, expected 1 to 4 numbers from 1 to 65,536",
            ),
            (
                json!({ "num_heads": [3, 6, 12, 25] }),
                "`model_args.num_heads` is `25`, expected a divisor of the width, 768",
            ),
            (
                json!({ "window_size": 33 }),
                "`model_args.window_size` is `33`, expected a window of at most 32 tokens a side, or one per stage",
            ),
            (
                json!({ "dynamic_img_size": true }),
                "`model_args.dynamic_img_size` is `true`, only `false` is supported",
            ),
        ];
        for (args, expected) in cases {
            assert_eq!(message(args), format!("config.json: {expected}"));
        }
    }

    #[cfg(feature = "torch")]
    #[test]
    fn maps_halve_and_round_up() {
        let mut config = TINY;
        config.img_size = [60, 93];
        let maps: Vec<_> = (0..4).map(|stage| config.map(stage)).collect();
        assert_eq!(maps, [[15, 23], [8, 12], [4, 6], [2, 3]]);
    }

    #[cfg(feature = "torch")]
    #[test]
    fn windows_are_cut_to_the_map_and_not_shifted_where_they_cover_it() {
        let stage = TINY.stages().next().unwrap();
        assert_eq!(TINY.windows([56, 56], stage), ([7, 7], [3, 3]));
        assert_eq!(TINY.windows([7, 8], stage), ([7, 7], [0, 3]));
        assert_eq!(TINY.windows([4, 14], stage), ([4, 7], [0, 3]));
        let mut always = TINY;
        always.always_partition = true;
        assert_eq!(always.windows([4, 7], stage), ([7, 7], [3, 3]));
    }
}
