//! The stages of each network, and one row per architecture.

use crate::backbone::families::Architecture;
use crate::backbone::families::efficientnet::{
    Activation, Block, Blocks, EfficientNetConfig, HeadConv, SqueezeExcite, make_divisible,
};
use crate::backbone::families::map_pool::MapPool;
use crate::backbone::families::preset::{Data, INCEPTION};
use crate::image::Interpolation::{Bicubic, Bilinear};

impl Blocks {
    const fn se(mut self) -> Self {
        self.squeeze_excite = true;
        self
    }

    const fn relu(mut self) -> Self {
        self.act_layer = Some(Activation::Relu);
        self
    }
}

/// One depthwise separable convolution of 3×3 pixels.
const fn ds(stride: usize, channels: usize) -> Blocks {
    Blocks {
        block: Block::DepthwiseSeparable,
        repeats: 1,
        kernel_size: 3,
        stride,
        channels,
        squeeze_excite: false,
        act_layer: None,
    }
}

/// Inverted residuals.
const fn ir(
    repeats: usize,
    kernel_size: usize,
    stride: usize,
    expansion: f64,
    channels: usize,
) -> Blocks {
    Blocks {
        block: Block::InvertedResidual { expansion },
        repeats,
        kernel_size,
        ..ds(stride, channels)
    }
}

/// One convolution of 1×1 pixels.
const fn cn(channels: usize) -> Blocks {
    Blocks {
        block: Block::Conv,
        kernel_size: 1,
        ..ds(1, channels)
    }
}

const EFFICIENTNET: &[&[Blocks]] = &[
    &[ds(1, 16).se()],
    &[ir(2, 3, 2, 6.0, 24).se()],
    &[ir(2, 5, 2, 6.0, 40).se()],
    &[ir(3, 3, 2, 6.0, 80).se()],
    &[ir(3, 5, 1, 6.0, 112).se()],
    &[ir(4, 5, 2, 6.0, 192).se()],
    &[ir(1, 3, 1, 6.0, 320).se()],
];

const MOBILENET_V2: &[&[Blocks]] = &[
    &[ds(1, 16)],
    &[ir(2, 3, 2, 6.0, 24)],
    &[ir(3, 3, 2, 6.0, 32)],
    &[ir(4, 3, 2, 6.0, 64)],
    &[ir(3, 3, 1, 6.0, 96)],
    &[ir(3, 3, 2, 6.0, 160)],
    &[ir(1, 3, 1, 6.0, 320)],
];

pub const MOBILENET_V3_LARGE: &[&[Blocks]] = &[
    &[ds(1, 16).relu()],
    &[ir(1, 3, 2, 4.0, 24).relu(), ir(1, 3, 1, 3.0, 24).relu()],
    &[ir(3, 5, 2, 3.0, 40).se().relu()],
    &[
        ir(1, 3, 2, 6.0, 80),
        ir(1, 3, 1, 2.5, 80),
        ir(2, 3, 1, 2.3, 80),
    ],
    &[ir(2, 3, 1, 6.0, 112).se()],
    &[ir(3, 5, 2, 6.0, 160).se()],
    &[cn(960)],
];

pub const MOBILENET_V3_SMALL: &[&[Blocks]] = &[
    &[ds(2, 16).se().relu()],
    &[ir(1, 3, 2, 4.5, 24).relu(), ir(1, 3, 1, 3.67, 24).relu()],
    &[ir(1, 5, 2, 4.0, 40).se(), ir(2, 5, 1, 6.0, 40).se()],
    &[ir(2, 5, 1, 3.0, 48).se()],
    &[ir(3, 5, 2, 6.0, 96).se()],
    &[cn(576)],
];

pub const fn efficientnet(channel_multiplier: f64, depth_multiplier: f64) -> EfficientNetConfig {
    EfficientNetConfig {
        stages: EFFICIENTNET,
        channel_multiplier,
        depth_multiplier,
        stem_size: 32,
        fix_stem: false,
        fix_first_last: false,
        num_features: Some(make_divisible(1280.0 * channel_multiplier)),
        squeeze_excite: SqueezeExcite::Smooth,
        act_layer: Activation::Silu,
        bn_eps: 1e-5,
        pool: MapPool::Max,
        head: None,
        own_head: None,
    }
}

/// The last convolution becomes wider, but never narrower.
pub const fn mobilenet_v2(channel_multiplier: f64) -> EfficientNetConfig {
    let at_least_as_wide = if channel_multiplier > 1.0 {
        channel_multiplier
    } else {
        1.0
    };
    EfficientNetConfig {
        stages: MOBILENET_V2,
        channel_multiplier,
        num_features: Some(make_divisible(1280.0 * at_least_as_wide)),
        act_layer: Activation::Relu6,
        ..efficientnet(1.0, 1.0)
    }
}

/// Deeper; stem and last convolution keep their width.
pub const fn mobilenet_v2_deep(
    channel_multiplier: f64,
    depth_multiplier: f64,
) -> EfficientNetConfig {
    EfficientNetConfig {
        depth_multiplier,
        fix_stem: true,
        fix_first_last: true,
        num_features: Some(1280),
        ..mobilenet_v2(channel_multiplier)
    }
}

/// The last map is before the last convolution, which stands behind the pooling and is `head_width` wide.
pub const fn mobilenet_v3(
    stages: &'static [&'static [Blocks]],
    channel_multiplier: f64,
    head_width: usize,
) -> EfficientNetConfig {
    EfficientNetConfig {
        stages,
        channel_multiplier,
        stem_size: 16,
        fix_stem: channel_multiplier < 0.75,
        num_features: None,
        own_head: Some(HeadConv {
            width: head_width,
            bias: true,
        }),
        squeeze_excite: SqueezeExcite::Hard,
        act_layer: Activation::HardSwish,
        ..efficientnet(1.0, 1.0)
    }
}

/// One row per architecture, with the preprocessing of timm's first checkpoint.
#[rustfmt::skip]
pub const ARCHITECTURES: &[Architecture<EfficientNetConfig>] = &[
    ("efficientnet_b0", efficientnet(1.0, 1.0), Data::imagenet(224, 0.875, Bicubic)),
    ("efficientnet_b1", efficientnet(1.0, 1.1), Data::new(240, 0.9, INCEPTION)),
    ("efficientnet_b2", efficientnet(1.1, 1.2), Data::imagenet(256, 0.875, Bicubic)),
    ("efficientnet_b3", efficientnet(1.2, 1.4), Data::imagenet(288, 0.875, Bicubic)),
    ("efficientnet_b4", efficientnet(1.4, 1.8), Data::imagenet(320, 0.875, Bicubic)),
    ("efficientnet_b5", efficientnet(1.6, 2.2), Data::squashed(448)),
    ("efficientnet_b6", efficientnet(1.8, 2.6), Data::imagenet(528, 0.942, Bicubic)),
    ("efficientnet_b7", efficientnet(2.0, 3.1), Data::imagenet(600, 0.949, Bicubic)),

    ("mobilenetv2_035", mobilenet_v2(0.35), Data::imagenet(224, 0.875, Bicubic)),
    ("mobilenetv2_050", mobilenet_v2(0.5), Data::imagenet(224, 0.875, Bicubic)),
    ("mobilenetv2_075", mobilenet_v2(0.75), Data::imagenet(224, 0.875, Bicubic)),
    ("mobilenetv2_100", mobilenet_v2(1.0), Data::imagenet(224, 0.875, Bicubic)),
    ("mobilenetv2_110d", mobilenet_v2_deep(1.1, 1.2), Data::imagenet(224, 0.875, Bicubic)),
    ("mobilenetv2_120d", mobilenet_v2_deep(1.2, 1.4), Data::imagenet(224, 0.875, Bicubic)),
    ("mobilenetv2_140", mobilenet_v2(1.4), Data::imagenet(224, 0.875, Bicubic)),

    ("mobilenetv3_large_075", mobilenet_v3(MOBILENET_V3_LARGE, 0.75, 1280), Data::imagenet(224, 0.875, Bilinear)),
    ("mobilenetv3_large_100", mobilenet_v3(MOBILENET_V3_LARGE, 1.0, 1280), Data::imagenet(224, 0.875, Bicubic)),
    ("mobilenetv3_small_050", mobilenet_v3(MOBILENET_V3_SMALL, 0.5, 1024), Data::imagenet(224, 0.875, Bicubic)),
    ("mobilenetv3_small_075", mobilenet_v3(MOBILENET_V3_SMALL, 0.75, 1024), Data::imagenet(224, 0.875, Bicubic)),
    ("mobilenetv3_small_100", mobilenet_v3(MOBILENET_V3_SMALL, 1.0, 1024), Data::imagenet(224, 0.875, Bicubic)),
];
