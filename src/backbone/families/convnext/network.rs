//! ConvNeXt on libtorch.
//!
//! Between blocks channels come last, `[b, h, w, c]`: norms and products want them there, and convolutions read
//! them so, too.

use tch::{Kind, TchError, Tensor};

use crate::backbone::checkpoint::weights::Init;
use crate::backbone::families::Network;
use crate::backbone::families::conv::{
    Conv2d, Convolution, channels_first, channels_last, interleaved,
};
use crate::backbone::families::convnext::{ConvNextConfig, Head as HeadConfig, StemType};
use crate::backbone::families::efficientnet::make_divisible;
use crate::backbone::families::layers::{LayerNorm, LayerScale, Linear};
use crate::backbone::families::loader::Loader;
use crate::backbone::families::map_pool::{CHANNELS_LAST, MapPool};
use crate::backbone::families::parameter::Parameter;
use crate::error::Error;

/// A ConvNeXt, from pixels to one row.
pub struct ConvNext {
    stem: Vec<Conv2d>,
    stem_norm: LayerNorm,
    /// The blocks of all stages.
    blocks: Vec<Block>,
    norm_pre: Option<LayerNorm>,
    pool: MapPool,
    head: Option<Head>,
}

impl ConvNext {
    pub fn load(loader: &Loader<'_>, config: &ConvNextConfig) -> Result<Self, Error> {
        let norm = |loader: &Loader<'_>, dim| LayerNorm::load(loader, dim, config.norm_eps);
        let stem = load_stem(&loader.at("stem"), config)?;
        let stem_norm = norm(&loader.at("stem").at(stem.len()), config.dims[0])?;
        let (mut blocks, mut n_in) = (Vec::new(), config.dims[0]);
        for (i, (dim, depth)) in config.dims.into_iter().zip(config.depths).enumerate() {
            let loader = loader.at("stages").at(i);
            let mut downsample = None;
            if i > 0 {
                let loader = loader.at("downsample");
                let conv = Convolution::patches(n_in, dim, 2).bias(true);
                downsample = Some((norm(&loader.at(0), n_in)?, conv.load(&loader.at(1))?));
            }
            for j in 0..depth {
                let loader = loader.at("blocks").at(j);
                blocks.push(Block::load(&loader, downsample.take(), dim, config)?);
            }
            n_in = dim;
        }
        Ok(Self {
            stem,
            stem_norm,
            blocks,
            norm_pre: (config.head_norm_first)
                .then(|| norm(&loader.at("norm_pre"), n_in))
                .transpose()?,
            pool: config.pool,
            head: (config.head)
                .map(|head| Head::load(&loader.at("head"), n_in, head, config.norm_eps))
                .transpose()?,
        })
    }
}

impl Network for ConvNext {
    fn forward(&self, images: &Tensor) -> Result<Tensor, Error> {
        let mut x = interleaved(images)?;
        for conv in &self.stem {
            x = conv.forward(&x)?;
        }
        x = self.stem_norm.forward(&channels_last(&x)?)?; // [b, h/4, w/4, c]
        for block in &self.blocks {
            x = block.forward(&x)?;
        }
        if let Some(norm) = &self.norm_pre {
            x = norm.forward(&x)?;
        }
        let row = self.pool.forward(&x, CHANNELS_LAST)?; // [b, c]
        match &self.head {
            Some(head) => Ok(head.forward(&row)?),
            None => Ok(row),
        }
    }
}

/// What follows the pooling.
struct Head {
    norm: LayerNorm,
    hidden: Option<Linear>,
}

impl Head {
    fn load(loader: &Loader<'_>, dim: usize, head: HeadConfig, eps: f64) -> Result<Self, Error> {
        let hidden = |width| Linear::load(&loader.at("pre_logits.fc"), dim, width, true);
        Ok(Self {
            norm: LayerNorm::load(&loader.at("norm"), dim, eps)?,
            hidden: head.hidden.map(hidden).transpose()?,
        })
    }

    /// `row`: `[b, c]`; gives `[b, d]`.
    fn forward(&self, row: &Tensor) -> Result<Tensor, TchError> {
        let normed = self.norm.forward(row)?;
        match &self.hidden {
            Some(hidden) => hidden.forward(&normed)?.f_gelu("none"),
            None => Ok(normed),
        }
    }
}

/// The convolutions that make a quarter of the height and of the width.
fn load_stem(loader: &Loader<'_>, config: &ConvNextConfig) -> Result<Vec<Conv2d>, Error> {
    let width = config.dims[0];
    let convs = match config.stem_type {
        StemType::Patch => vec![Convolution::patches(3, width, 4)],
        StemType::Overlap | StemType::OverlapTiered => {
            let between = if config.stem_type == StemType::Overlap {
                width
            } else {
                make_divisible((width / 2) as f64)
            };
            vec![
                Convolution::new(3, between, 3).stride(2),
                Convolution::new(between, width, 3).stride(2),
            ]
        }
    };
    convs
        .into_iter()
        .enumerate()
        .map(|(i, conv)| conv.bias(true).load(&loader.at(i)))
        .collect()
}

/// One layer: each channel is mixed over 7×7 positions, then each position is transformed by itself.
struct Block {
    /// Norm, and a convolution that halves height and width, where a stage begins, but for the first.
    downsample: Option<(LayerNorm, Conv2d)>,
    conv_dw: Conv2d,
    norm: LayerNorm,
    mlp: Mlp,
    gamma: LayerScale,
}

impl Block {
    fn load(
        loader: &Loader<'_>,
        downsample: Option<(LayerNorm, Conv2d)>,
        dim: usize,
        config: &ConvNextConfig,
    ) -> Result<Self, Error> {
        let conv_dw = Convolution::depthwise(dim, 7).bias(true);
        Ok(Self {
            downsample,
            conv_dw: conv_dw.load(&loader.at("conv_dw"))?,
            norm: LayerNorm::load(&loader.at("norm"), dim, config.norm_eps)?,
            mlp: Mlp::load(&loader.at("mlp"), dim, config)?,
            gamma: LayerScale::load(loader, dim, config.layer_scale)?,
        })
    }

    /// `x`: `[b, h, w, n_in]`; gives `[b, h, w, c]`, where a stage begins `[b, h/2, w/2, c]`.
    fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let x = match &self.downsample {
            Some((norm, conv)) => {
                let normed = norm.forward(x)?;
                channels_last(&conv.forward(&channels_first(&normed)?)?)?
            }
            None => x.shallow_clone(),
        };
        let y = channels_last(&self.conv_dw.forward(&channels_first(&x)?)?)?;
        let y = self.mlp.forward(&self.norm.forward(&y)?)?;
        x.f_add(&self.gamma.apply(y)?) // [b, h, w, c]
    }
}

/// Two products with GELU between.
struct Mlp {
    fc1: Pointwise,
    grn: Option<GlobalResponseNorm>,
    fc2: Pointwise,
}

impl Mlp {
    fn load(loader: &Loader<'_>, dim: usize, config: &ConvNextConfig) -> Result<Self, Error> {
        let hidden = 4 * dim;
        Ok(Self {
            fc1: Pointwise::load(&loader.at("fc1"), dim, hidden, config.conv_mlp)?,
            grn: (config.use_grn)
                .then(|| GlobalResponseNorm::load(&loader.at("grn"), hidden))
                .transpose()?,
            fc2: Pointwise::load(&loader.at("fc2"), hidden, dim, config.conv_mlp)?,
        })
    }

    /// `x`: `[b, h, w, c]`.
    fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let mut hidden = self.fc1.forward(x)?.f_gelu("none")?; // [b, h, w, 4·c]
        if let Some(grn) = &self.grn {
            hidden = grn.forward(&hidden)?;
        }
        self.fc2.forward(&hidden) // [b, h, w, c]
    }
}

/// A product over the channels of a position.
enum Pointwise {
    Linear(Linear),
    /// Of 1×1 pixels.
    Conv(Conv2d),
}

impl Pointwise {
    fn load(loader: &Loader<'_>, n_in: usize, n_out: usize, conv: bool) -> Result<Self, Error> {
        if conv {
            let conv = Convolution::new(n_in, n_out, 1).bias(true);
            conv.load(loader).map(Self::Conv)
        } else {
            Linear::load(loader, n_in, n_out, true).map(Self::Linear)
        }
    }

    /// `x`: `[b, h, w, n_in]`; gives `[b, h, w, n_out]`.
    fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        match self {
            Self::Linear(linear) => linear.forward(x),
            Self::Conv(conv) => channels_last(&conv.forward(&channels_first(x)?)?),
        }
    }
}

/// Raises channels that are large over the whole map, as against the others.
///
/// Source: `timm.layers.grn.GlobalResponseNorm`.
struct GlobalResponseNorm {
    weight: Parameter,
    bias: Parameter,
}

impl GlobalResponseNorm {
    const EPS: f64 = 1e-6;

    fn load(loader: &Loader<'_>, dim: usize) -> Result<Self, Error> {
        Ok(Self {
            weight: loader.f32("weight", &[dim], Init::Zeros)?,
            bias: loader.f32("bias", &[dim], Init::Zeros)?,
        })
    }

    /// `x`: `[b, h, w, c]`.
    fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let size = x
            .f_to_kind(Kind::Float)?
            .f_norm_scalaropt_dim(2, [1, 2], true)?; // [b, 1, 1, c]
        let mean = size.f_mean_dim([-1].as_slice(), true, None)?; // [b, 1, 1, 1]
        let response = size.f_div(&mean.f_add_scalar(Self::EPS)?)?; // [b, 1, 1, c]
        let raised = x.f_mul(&response)?.f_mul(&self.weight)?;
        x.f_add(&raised.f_add(&self.bias)?) // [b, h, w, c]
    }
}
