//! EfficientNet and MobileNets on libtorch.

use tch::{TchError, Tensor};

use crate::backbone::families::Network;
use crate::backbone::families::conv::{Conv2d, ConvNorm, Convolution, interleaved};
use crate::backbone::families::efficientnet::{
    Activation, Block as BlockType, Blocks, EfficientNetConfig, SqueezeExcite as SqueezeExciteType,
};
use crate::backbone::families::loader::Loader;
use crate::backbone::families::map_pool::{CHANNELS_FIRST, MapPool};
use crate::error::Error;

/// A network, from pixels to one row.
pub struct EfficientNet {
    stem: ConvNormAct,
    /// The blocks of all stages.
    blocks: Vec<Block>,
    /// The last convolution before the pooling, if there is one.
    last: Option<ConvNormAct>,
    pool: MapPool,
    /// The convolution behind the pooling, and what then happens to each value.
    head: Option<(Conv2d, Activation)>,
}

impl EfficientNet {
    pub fn load(loader: &Loader<'_>, config: &EfficientNetConfig) -> Result<Self, Error> {
        let mut n_in = config.stem_width();
        let stem = Convolution::new(3, n_in, 3).stride(2);
        let stem = ConvNorm::load(loader, stem, ["conv_stem", "bn1"], config.bn_eps)?;
        let mut blocks = Vec::new();
        for (i, stage) in config.stages.iter().enumerate() {
            let equal = stage
                .iter()
                .flat_map(|equal| std::iter::repeat_n(equal, config.repeats(i, equal)));
            for (j, equal) in equal.enumerate() {
                let loader = loader.at("blocks").at(i).at(j);
                let stride = if j == 0 { equal.stride } else { 1 };
                blocks.push(Block::load(&loader, config, equal, n_in, stride)?);
                n_in = config.width(equal.channels);
            }
        }
        let last = config
            .num_features
            .map(|n_out| {
                let conv = Convolution::new(n_in, n_out, 1);
                ConvNorm::load(loader, conv, ["conv_head", "bn2"], config.bn_eps)
            })
            .transpose()?;
        let head = config.head.map(|head| {
            let conv = Convolution::new(n_in, head.width, 1).bias(head.bias);
            Ok::<_, Error>((conv.load(&loader.at("conv_head"))?, config.act_layer))
        });
        Ok(Self {
            stem: ConvNormAct(stem, config.act_layer),
            blocks,
            last: last.map(|last| ConvNormAct(last, config.act_layer)),
            pool: config.pool,
            head: head.transpose()?,
        })
    }
}

impl Network for EfficientNet {
    fn forward(&self, images: &Tensor) -> Result<Tensor, Error> {
        let mut x = self.stem.forward(&interleaved(images)?)?;
        for block in &self.blocks {
            x = block.forward(&x)?;
        }
        if let Some(last) = &self.last {
            x = last.forward(&x)?;
        }
        let row = self.pool.forward(&x, CHANNELS_FIRST)?; // [b, c]
        let Some((conv, activation)) = &self.head else {
            return Ok(row);
        };
        let pixel = row.f_unsqueeze(-1)?.f_unsqueeze(-1)?; // [b, c, 1, 1]
        Ok(activation.apply(conv.forward(&pixel)?)?.f_flatten(1, -1)?) // [b, d]
    }
}

/// A convolution, its norm, and what then happens to each value.
struct ConvNormAct(ConvNorm, Activation);

impl ConvNormAct {
    /// `x`: `[b, n_in, h, w]`; gives `[b, n_out, h/stride, w/stride]`.
    fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        self.1.apply(self.0.forward(x)?)
    }
}

impl Activation {
    fn apply(self, mut x: Tensor) -> Result<Tensor, TchError> {
        match self {
            Self::Relu => x.f_relu_(),
            Self::Relu6 => x.f_relu6_(),
            Self::Silu => x.f_silu_(),
            Self::HardSwish => x.f_hardswish_(),
        }
    }
}

/// Convolutions, whose result is added to what they were given where both have the same shape.
struct Block {
    /// Before the squeezing.
    convs: Vec<ConvNormAct>,
    se: Option<SqueezeExcite>,
    /// Nothing follows its norm.
    project: Option<ConvNorm>,
    has_skip: bool,
}

impl Block {
    fn load(
        loader: &Loader<'_>,
        config: &EfficientNetConfig,
        blocks: &Blocks,
        n_in: usize,
        stride: usize,
    ) -> Result<Self, Error> {
        let n_out = config.width(blocks.channels);
        let inner = blocks.block.inner_width(n_in);
        let act_layer = blocks.act_layer.unwrap_or(config.act_layer);
        let expand = ("conv_pw", Convolution::new(n_in, inner, 1));
        let depthwise = (
            "conv_dw",
            Convolution::depthwise(inner, blocks.kernel_size).stride(stride),
        );
        let project = Convolution::new(inner, n_out, 1);
        let (convs, project) = match blocks.block {
            BlockType::Conv => {
                let conv = Convolution::new(n_in, n_out, blocks.kernel_size).stride(stride);
                (vec![("conv", conv)], None)
            }
            BlockType::DepthwiseSeparable => (vec![depthwise], Some(("conv_pw", project))),
            BlockType::InvertedResidual { .. } => {
                (vec![expand, depthwise], Some(("conv_pwl", project)))
            }
        };
        // Norms are numbered.
        let load = |number: usize, (name, conv): (&str, Convolution)| {
            ConvNorm::load(loader, conv, [name, &format!("bn{number}")], config.bn_eps)
        };
        let last = convs.len() + 1;
        Ok(Self {
            convs: (1..)
                .zip(convs)
                .map(|(number, conv)| Ok(ConvNormAct(load(number, conv)?, act_layer)))
                .collect::<Result<_, Error>>()?,
            se: blocks
                .squeeze_excite
                .then(|| {
                    let gate = config.squeeze_excite;
                    let widths = [inner, gate.squeezed(blocks.block, inner)];
                    SqueezeExcite::load(&loader.at("se"), widths, gate, act_layer)
                })
                .transpose()?,
            has_skip: project.is_some() && stride == 1 && n_in == n_out,
            project: project.map(|conv| load(last, conv)).transpose()?,
        })
    }

    /// `x`: `[b, n_in, h, w]`; gives `[b, n_out, h/stride, w/stride]`.
    fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let mut y = x.shallow_clone();
        for conv in &self.convs {
            y = conv.forward(&y)?;
        }
        if let Some(se) = &self.se {
            y = se.forward(&y)?;
        }
        if let Some(project) = &self.project {
            y = project.forward(&y)?;
        }
        if self.has_skip { y.f_add_(x) } else { Ok(y) }
    }
}

/// Weighs channels by what they hold on average.
struct SqueezeExcite {
    conv_reduce: Conv2d,
    conv_expand: Conv2d,
    activation: Activation,
    gate: SqueezeExciteType,
}

impl SqueezeExcite {
    fn load(
        loader: &Loader<'_>,
        [channels, squeezed]: [usize; 2],
        gate: SqueezeExciteType,
        act_layer: Activation,
    ) -> Result<Self, Error> {
        let pointwise = |n_in, n_out| Convolution::new(n_in, n_out, 1).bias(true);
        Ok(Self {
            conv_reduce: pointwise(channels, squeezed).load(&loader.at("conv_reduce"))?,
            conv_expand: pointwise(squeezed, channels).load(&loader.at("conv_expand"))?,
            activation: match gate {
                SqueezeExciteType::Smooth => act_layer,
                SqueezeExciteType::Hard => Activation::Relu,
            },
            gate,
        })
    }

    /// `x`: `[b, c, h, w]`.
    fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let mean = x.f_mean_dim([2, 3].as_slice(), true, None)?; // [b, c, 1, 1]
        let squeezed = self.activation.apply(self.conv_reduce.forward(&mean)?)?;
        let expanded = self.conv_expand.forward(&squeezed)?; // [b, c, 1, 1]
        let weights = match self.gate {
            SqueezeExciteType::Smooth => expanded.f_sigmoid()?,
            SqueezeExciteType::Hard => expanded.f_hardsigmoid()?,
        };
        x.f_mul(&weights) // [b, c, h, w]
    }
}
