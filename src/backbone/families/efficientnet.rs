//! EfficientNet and MobileNets of the second and third version: stages of inverted residuals.
//!
//! EfficientNet: Tan and Le, 2019, <https://arxiv.org/abs/1905.11946>; MobileNetV2: Sandler et al., 2018,
//! <https://arxiv.org/abs/1801.04381>; MobileNetV3: Howard et al., 2019, <https://arxiv.org/abs/1905.02244>;
//! squeeze and excitation: Hu et al., 2018, <https://arxiv.org/abs/1709.01507>.
//!
//! Source: `timm.models.efficientnet`, `timm.models.mobilenetv3` and what builds both,
//! `timm.models._efficientnet_builder`, timm 1.0.

mod architectures;
#[cfg(feature = "torch")]
pub mod network;

use serde::{Deserialize, Deserializer, Serialize};

pub use architectures::ARCHITECTURES;

use crate::backbone::checkpoint::fields::{EPS, FLAG, Fields, Kind, as_variant};
use crate::backbone::families::Family;
use crate::backbone::families::map_pool::MapPool;
use crate::error::Message;

/// What decides the tensors and results of an EfficientNet or a MobileNet. Arguments are named as timm's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EfficientNetConfig {
    /// Before multipliers.
    #[serde(deserialize_with = "kept")]
    stages: &'static [&'static [Blocks]],
    /// Of the width of the stem and of blocks.
    channel_multiplier: f64,
    /// Of the number of blocks.
    depth_multiplier: f64,
    /// Width of the first convolution, before the multiplier.
    stem_size: usize,
    /// Whether the stem's width is not multiplied.
    fix_stem: bool,
    /// Whether the numbers of blocks of the first and the last stage are not multiplied.
    fix_first_last: bool,
    /// Width of the last convolution, if features pass through it.
    num_features: Option<usize>,
    squeeze_excite: SqueezeExcite,
    /// Where blocks have no other.
    act_layer: Activation,
    /// Added to the variance by every norm.
    bn_eps: f64,
    /// How the last map becomes a row.
    #[serde(default, skip_serializing_if = "MapPool::is_max")]
    pool: MapPool,
    /// The convolution behind that, if features pass through it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    head: Option<HeadConv>,
    /// The convolution that timm has there, in MobileNet V3.
    #[serde(skip)]
    own_head: Option<HeadConv>,
}

/// A convolution of 1×1 pixels behind the pooling, and what then happens to each value.
///
/// Source: `timm.models.mobilenetv3.MobileNetV3.forward_head`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct HeadConv {
    width: usize,
    bias: bool,
}

/// Equal blocks, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Blocks {
    block: Block,
    /// Before the multiplier.
    repeats: usize,
    kernel_size: usize,
    /// Of the first; only the first block of a stage makes the image smaller.
    stride: usize,
    /// Before the multiplier.
    channels: usize,
    /// Whether channels are weighed by what they hold on average.
    squeeze_excite: bool,
    act_layer: Option<Activation>,
}

/// What is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Block {
    /// A convolution and its norm.
    Conv,
    /// A convolution of each channel by itself, then one over channels.
    DepthwiseSeparable,
    /// The same, behind a convolution that makes this many times the channels.
    InvertedResidual { expansion: f64 },
}

/// How channels are weighed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum SqueezeExcite {
    /// Between two products, a quarter of the block's input; a sigmoid gives the weights.
    Smooth,
    /// Between two products, a quarter of the block's inner width; all is piecewise linear.
    Hard,
}

/// What happens to each value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Activation {
    Relu,
    /// Cut at 6.
    Relu6,
    /// x σ(x).
    #[serde(alias = "swish")]
    Silu,
    /// x min(max(x + 3, 0), 6) / 6.
    #[serde(alias = "hardswish")]
    HardSwish,
}

/// Stages that are read stay in memory, as constants do: a process reads one network or a few.
fn kept<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<&'static [&'static [Blocks]], D::Error> {
    let stages = Vec::<Vec<Blocks>>::deserialize(deserializer)?;
    let stages: Vec<&'static [Blocks]> = stages.into_iter().map(|stage| &*stage.leak()).collect();
    Ok(stages.leak())
}

impl Family for EfficientNetConfig {
    fn dim(&self) -> usize {
        self.head
            .map_or_else(|| self.map_width(), |head| head.width)
    }

    fn override_args(&mut self, args: &mut Fields<'_>) -> Result<(), Message> {
        let activations = Kind("`relu`, `relu6`, `silu` or `hard_swish`", as_variant);
        args.set_supported(&mut self.act_layer, "act_layer", activations)?;
        args.set(&mut self.bn_eps, "bn_eps", EPS)?;
        for (key, only) in [
            ("in_chans", 3),
            ("output_stride", 32),
            ("stem_kernel_size", 3),
        ] {
            args.fixed(key, only)?;
        }
        args.only("pad_type", "an empty string", |value| value == "")?;
        args.defaults(&["norm_layer", "aa_layer", "se_layer"])?;
        if let Some(head) = &mut self.own_head {
            args.set(&mut head.bias, "head_bias", FLAG)?;
        }
        args.drop_all(&["head_bias", "bn_momentum"]);
        Ok(())
    }

    fn map_pool(&mut self) -> Option<&mut MapPool> {
        Some(&mut self.pool)
    }

    fn add_head(&mut self) {
        self.head = self.own_head;
    }

    #[cfg(feature = "torch")]
    fn is_passed_over(&self, tensor: &str) -> bool {
        tensor.starts_with("classifier.")
            || tensor.ends_with(".num_batches_tracked")
            || (self.num_features.is_none() && tensor.starts_with("conv_head."))
    }
}

impl EfficientNetConfig {
    /// Number of channels of the last map.
    fn map_width(&self) -> usize {
        self.num_features.unwrap_or_else(|| {
            let last = self.stages.iter().copied().flatten().last();
            self.width(last.map_or(self.stem_size, |blocks| blocks.channels))
        })
    }

    /// A number of channels times the multiplier.
    fn width(&self, channels: usize) -> usize {
        make_divisible(channels as f64 * self.channel_multiplier)
    }
}

/// What the network is made of.
#[cfg(feature = "torch")]
impl EfficientNetConfig {
    /// Width of the first convolution.
    fn stem_width(&self) -> usize {
        if self.fix_stem {
            self.stem_size
        } else {
            self.width(self.stem_size)
        }
    }

    /// How often blocks of a stage are repeated.
    ///
    /// timm spreads the repeats of a stage over its kinds of blocks; none here has both several kinds and a
    /// multiplier.
    fn repeats(&self, stage: usize, blocks: &Blocks) -> usize {
        let is_outermost = stage == 0 || stage + 1 == self.stages.len();
        if self.fix_first_last && is_outermost {
            blocks.repeats
        } else {
            as_count((blocks.repeats as f64 * self.depth_multiplier).ceil())
        }
    }
}

#[cfg(feature = "torch")]
impl Block {
    /// Number of channels between the convolutions of a block with `n_in` channels.
    fn inner_width(self, n_in: usize) -> usize {
        match self {
            Self::InvertedResidual { expansion } => make_divisible(n_in as f64 * expansion),
            Self::Conv | Self::DepthwiseSeparable => n_in,
        }
    }
}

#[cfg(feature = "torch")]
impl SqueezeExcite {
    /// Number of values between the two products, for an inner width.
    fn squeezed(self, block: Block, inner_width: usize) -> usize {
        let inner_width = inner_width as f64;
        match (self, block) {
            (Self::Hard, _) => make_divisible(inner_width * 0.25),
            (Self::Smooth, Block::InvertedResidual { expansion }) => {
                as_count((inner_width * (0.25 / expansion)).round_ties_even())
            }
            (Self::Smooth, _) => as_count((inner_width * 0.25).round_ties_even()),
        }
    }
}

/// The nearest multiple of 8, but at least 8 and at least nine tenths of the value.
pub const fn make_divisible(value: f64) -> usize {
    let nearest = as_count(value + 4.0) / 8 * 8;
    let rounded = if nearest < 8 { 8 } else { nearest };
    if (rounded as f64) < 0.9 * value {
        rounded + 8
    } else {
        rounded
    }
}

/// The integer part of a number that is not negative.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "widths of the catalog times its multipliers, all positive and below 2³²"
)]
const fn as_count(value: f64) -> usize {
    value as usize
}

#[cfg(test)]
mod tests {
    use super::architectures::{
        MOBILENET_V3_LARGE, MOBILENET_V3_SMALL, efficientnet, mobilenet_v2, mobilenet_v2_deep,
        mobilenet_v3,
    };
    use serde_json::{Value, json};

    use super::*;
    use crate::backbone::checkpoint::fields::overridden_by;
    use crate::backbone::families::NetworkConfig;

    fn overridden(args: Value) -> Result<EfficientNetConfig, String> {
        let mut config = efficientnet(1.0, 1.0);
        overridden_by(args, |fields| config.override_args(fields)).map(|()| config)
    }

    #[test]
    fn widths_are_multiples_of_8_and_lose_at_most_a_tenth() {
        let cases = [
            (0.0, 8),
            (5.6, 8),
            (11.2, 16),
            (11.9, 16),
            (12.0, 16),
            (16.0, 16),
            (17.6, 16),
            (17.8, 24),
            (35.2, 32),
            (88.08, 88),
            (1408.0, 1408),
        ];
        for (value, expected) in cases {
            assert_eq!(make_divisible(value), expected, "{value}");
        }
    }

    #[test]
    fn head_becomes_wider_but_never_narrower_in_mobilenet_v2() {
        assert_eq!(mobilenet_v2(0.35).dim(), 1280);
        assert_eq!(mobilenet_v2(1.4).dim(), 1792);
        assert_eq!(mobilenet_v2_deep(1.2, 1.4).dim(), 1280);
        assert_eq!(efficientnet(2.0, 3.1).dim(), 2560);
        let mut small = mobilenet_v3(MOBILENET_V3_SMALL, 0.5, 1024);
        assert_eq!(small.dim(), 288);
        small.add_head();
        assert_eq!(small.dim(), 1024);
    }

    #[test]
    fn canonical_form_names_every_argument() {
        let canonical =
            NetworkConfig::from(mobilenet_v3(MOBILENET_V3_LARGE, 0.75, 1280)).canonical();
        assert_eq!(canonical["family"], "efficientnet");
        let mut arguments = canonical["efficientnet"].clone();
        let stages = arguments["stages"].take();
        let expected = json!({
            "stages": null,
            "channel_multiplier": 0.75,
            "depth_multiplier": 1.0,
            "stem_size": 16,
            "fix_stem": false,
            "fix_first_last": false,
            "num_features": null,
            "squeeze_excite": "hard",
            "act_layer": "hard_swish",
            "bn_eps": 1e-5,
        });
        assert_eq!(arguments, expected);
        assert_eq!(stages.as_array().unwrap().len(), 7);
        let expected = json!([{
            "block": { "inverted_residual": { "expansion": 3.0 } },
            "repeats": 3,
            "kernel_size": 5,
            "stride": 2,
            "channels": 40,
            "squeeze_excite": true,
            "act_layer": "relu",
        }]);
        assert_eq!(stages[2], expected);
    }

    #[test]
    fn arguments_overrule_the_architecture() {
        let config = overridden(json!({ "act_layer": "swish", "bn_eps": 1e-3, "pad_type": "" }));
        let expected = EfficientNetConfig {
            bn_eps: 1e-3,
            ..efficientnet(1.0, 1.0)
        };
        assert_eq!(config, Ok(expected));
        let config = overridden(json!({ "act_layer": "hardswish" })).unwrap();
        assert_eq!(config.act_layer, Activation::HardSwish);
    }

    #[test]
    fn other_networks_are_refused() {
        let message = |args| overridden(args).unwrap_err();
        assert_eq!(
            message(json!({ "pad_type": "same" })),
            "config.json: `model_args.pad_type` is `same`, only an empty string is supported"
        );
        assert_eq!(
            message(json!({ "act_layer": "mish" })),
            "config.json: `model_args.act_layer` is `mish`, only `relu`, `relu6`, `silu` or `hard_swish` is supported"
        );
        assert_eq!(
            message(json!({ "bn_eps": -1e-3 })),
            "config.json: `model_args.bn_eps` is `-0.001`, expected a number between 0 and 1"
        );
    }

    #[cfg(feature = "torch")]
    #[test]
    fn multipliers_round_up_and_spare_what_is_fixed() {
        let repeats = |config: &EfficientNetConfig| -> Vec<usize> {
            (0..config.stages.len())
                .map(|stage| config.repeats(stage, &config.stages[stage][0]))
                .collect()
        };
        assert_eq!(repeats(&efficientnet(1.0, 1.1)), [2, 3, 3, 4, 4, 5, 2]);
        assert_eq!(repeats(&mobilenet_v2_deep(1.1, 1.2)), [1, 3, 4, 5, 4, 4, 1]);
        assert_eq!(efficientnet(1.1, 1.2).stem_width(), 32);
        assert_eq!(efficientnet(1.4, 1.8).stem_width(), 48);
        assert_eq!(mobilenet_v2_deep(1.4, 1.2).stem_width(), 32);
    }

    #[cfg(feature = "torch")]
    #[test]
    fn squeezed_width_is_a_quarter() {
        let inverted = Block::InvertedResidual { expansion: 6.0 };
        assert_eq!(SqueezeExcite::Smooth.squeezed(inverted, 144), 6);
        let separable = Block::DepthwiseSeparable;
        assert_eq!(SqueezeExcite::Smooth.squeezed(separable, 40), 10);
        assert_eq!(SqueezeExcite::Hard.squeezed(inverted, 120), 32);
    }
}
