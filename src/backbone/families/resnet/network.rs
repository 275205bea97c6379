//! ResNets on libtorch.

use tch::{TchError, Tensor};

use crate::backbone::families::Network;
use crate::backbone::families::conv::{ConvNorm, Convolution, interleaved};
use crate::backbone::families::loader::Loader;
use crate::backbone::families::map_pool::{CHANNELS_FIRST, MapPool};
use crate::backbone::families::resnet::{Block as BlockType, NORM_EPS, ResNetConfig, StemType};
use crate::error::Error;

/// A ResNet, from pixels to one row.
pub struct ResNet {
    stem: Vec<ConvNorm>,
    /// The blocks of all stages.
    blocks: Vec<Block>,
    pool: MapPool,
}

impl ResNet {
    pub fn load(loader: &Loader<'_>, config: &ResNetConfig) -> Result<Self, Error> {
        let (stem, mut n_in) = load_stem(loader, config)?;
        let mut blocks = Vec::new();
        for (i, (channels, n_blocks)) in config.channels.into_iter().zip(config.layers).enumerate()
        {
            for j in 0..n_blocks {
                let stride = if i > 0 && j == 0 { 2 } else { 1 };
                let loader = loader.at(format_args!("layer{}.{j}", i + 1));
                blocks.push(Block::load(&loader, config, n_in, channels, stride)?);
                n_in = channels * config.block.expansion();
            }
        }
        Ok(Self {
            stem,
            blocks,
            pool: config.pool,
        })
    }
}

impl Network for ResNet {
    fn forward(&self, images: &Tensor) -> Result<Tensor, Error> {
        let mut x = interleaved(images)?;
        for conv in &self.stem {
            x = conv.forward(&x)?.f_relu_()?;
        }
        x = x.f_max_pool2d([3, 3], [2, 2], [1, 1], [1, 1], false)?;
        for block in &self.blocks {
            x = block.forward(&x)?;
        }
        Ok(self.pool.forward(&x, CHANNELS_FIRST)?)
    }
}

/// The convolutions before the pooling, and the number of channels they give.
fn load_stem(loader: &Loader<'_>, config: &ResNetConfig) -> Result<(Vec<ConvNorm>, usize), Error> {
    let width = config.stem_width;
    let first = match config.stem_type {
        StemType::Plain => {
            let conv = Convolution::new(3, 64, 7).stride(2);
            let conv = ConvNorm::load(loader, conv, ["conv1", "bn1"], NORM_EPS)?;
            return Ok((vec![conv], 64));
        }
        StemType::Deep => width,
        StemType::DeepTiered => 3 * (width / 4),
    };
    let stem = [
        (
            Convolution::new(3, first, 3).stride(2),
            ["conv1.0", "conv1.1"],
        ),
        (Convolution::new(first, width, 3), ["conv1.3", "conv1.4"]),
        (Convolution::new(width, 2 * width, 3), ["conv1.6", "bn1"]),
    ]
    .into_iter()
    .map(|(conv, names)| ConvNorm::load(loader, conv, names, NORM_EPS))
    .collect::<Result<_, _>>()?;
    Ok((stem, 2 * width))
}

/// Convolutions whose result is added to what they were given.
struct Block {
    convs: Vec<ConvNorm>,
    downsample: Option<Downsample>,
}

impl Block {
    fn load(
        loader: &Loader<'_>,
        config: &ResNetConfig,
        n_in: usize,
        channels: usize,
        stride: usize,
    ) -> Result<Self, Error> {
        let n_out = channels * config.block.expansion();
        let convs = match config.block {
            BlockType::Basic => vec![
                Convolution::new(n_in, channels, 3).stride(stride),
                Convolution::new(channels, n_out, 3),
            ],
            BlockType::Bottleneck => {
                let width = config.inner_width(channels);
                vec![
                    Convolution::new(n_in, width, 1),
                    Convolution::new(width, width, 3)
                        .stride(stride)
                        .groups(config.cardinality),
                    Convolution::new(width, n_out, 1),
                ]
            }
        };
        let convs = (1..)
            .zip(convs)
            .map(|(i, conv)| {
                let [conv_name, norm_name] = ["conv", "bn"].map(|name| format!("{name}{i}"));
                ConvNorm::load(loader, conv, [&conv_name, &norm_name], NORM_EPS)
            })
            .collect::<Result<_, _>>()?;
        let downsample = (stride > 1 || n_in != n_out)
            .then(|| {
                let loader = loader.at("downsample");
                Downsample::load(&loader, n_in, n_out, stride, config.avg_down)
            })
            .transpose()?;
        Ok(Self { convs, downsample })
    }

    /// `x`: `[b, n_in, h, w]`; gives `[b, n_out, h/stride, w/stride]`.
    fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let mut y = x.shallow_clone();
        for (i, conv) in self.convs.iter().enumerate() {
            if i > 0 {
                y = y.f_relu_()?;
            }
            y = conv.forward(&y)?;
        }
        match &self.downsample {
            Some(downsample) => y.f_add_(&downsample.forward(x)?)?,
            None => y.f_add_(x)?,
        }
        .f_relu_()
    }
}

/// A shortcut to another shape.
struct Downsample {
    /// Whether means of 2×2 pixels come before the convolution.
    pool: bool,
    conv: ConvNorm,
}

impl Downsample {
    fn load(
        loader: &Loader<'_>,
        n_in: usize,
        n_out: usize,
        stride: usize,
        avg_down: bool,
    ) -> Result<Self, Error> {
        let conv = Convolution::new(n_in, n_out, 1);
        // timm counts the pooling, even where it does nothing.
        let (conv, names) = if avg_down {
            (conv, ["1", "2"])
        } else {
            (conv.stride(stride), ["0", "1"])
        };
        Ok(Self {
            pool: avg_down && stride > 1,
            conv: ConvNorm::load(loader, conv, names, NORM_EPS)?,
        })
    }

    /// `x`: `[b, n_in, h, w]`; gives `[b, n_out, h/stride, w/stride]`.
    fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        if self.pool {
            // An incomplete window at the border is the mean of what there is.
            let means = x.f_avg_pool2d([2, 2], [2, 2], [0, 0], true, false, None)?;
            self.conv.forward(&means)
        } else {
            self.conv.forward(x)
        }
    }
}
