//! The Swin Transformer on libtorch.

use tch::{TchError, Tensor};

use crate::backbone::families::conv::{Conv2d, Convolution, channels_last};
use crate::backbone::families::layers::{LayerNorm, Linear};
use crate::backbone::families::loader::{Loader, as_i64};
use crate::backbone::families::map_pool::{CHANNELS_LAST, MapPool};
use crate::backbone::families::swin::SwinConfig;
use crate::backbone::families::swin::attention::{self, WindowAttention};
use crate::backbone::families::vit;
use crate::backbone::families::vit::attention::Mlp;
use crate::backbone::families::windows::Windows;
use crate::backbone::families::{Family, Network};
use crate::error::Error;

/// Added to the variance by every norm.
const NORM_EPS: f64 = 1e-5;

/// A Swin Transformer, from pixels to one row.
pub struct SwinTransformer {
    patch_embed: Conv2d,
    patch_norm: LayerNorm,
    /// The blocks of all stages.
    blocks: Vec<Block>,
    norm: LayerNorm,
    pool: MapPool,
}

impl SwinTransformer {
    pub fn load(loader: &Loader<'_>, config: &SwinConfig) -> Result<Self, Error> {
        let width = config.embed_dim;
        let patch_embed = Convolution::patches(3, width, config.patch_size)
            .bias(true)
            .load(&loader.at("patch_embed.proj"))?;
        let patch_norm = LayerNorm::load(&loader.at("patch_embed.norm"), width, NORM_EPS)?;
        let mut blocks = Vec::new();
        for (i, stage) in config.stages().enumerate() {
            let loader = loader.at("layers").at(i);
            let mut downsample = (i.checked_sub(1))
                .map(|before| PatchMerging::load(&loader.at("downsample"), config.width(before)))
                .transpose()?;
            let map = config.map(i);
            let (window, shift) = config.windows(map, stage);
            for j in 0..stage.depth {
                let attention = attention::Config {
                    dim: config.width(i),
                    num_heads: stage.num_heads,
                    qkv_bias: config.qkv_bias,
                    map,
                    window,
                    shift: if j % 2 == 0 { [0, 0] } else { shift },
                };
                let mlp_dim = config.mlp_dim(attention.dim);
                let loader = loader.at("blocks").at(j);
                let block = Block::load(&loader, downsample.take(), &attention, mlp_dim)?;
                blocks.push(block);
            }
        }
        Ok(Self {
            patch_embed,
            patch_norm,
            blocks,
            norm: LayerNorm::load(&loader.at("norm"), config.dim(), NORM_EPS)?,
            pool: config.pool,
        })
    }
}

impl Network for SwinTransformer {
    fn forward(&self, images: &Tensor) -> Result<Tensor, Error> {
        let patches = channels_last(&self.patch_embed.forward(images)?)?;
        let mut x = self.patch_norm.forward(&patches)?; // [b, h/p, w/p, c]
        for block in &self.blocks {
            x = block.forward(&x)?;
        }
        Ok(self.pool.forward(&self.norm.forward(&x)?, CHANNELS_LAST)?) // [b, c]
    }
}

/// Makes one token of 2×2, twice as wide.
struct PatchMerging {
    norm: LayerNorm,
    reduction: Linear,
}

impl PatchMerging {
    fn load(loader: &Loader<'_>, dim: usize) -> Result<Self, Error> {
        Ok(Self {
            norm: LayerNorm::load(&loader.at("norm"), 4 * dim, NORM_EPS)?,
            reduction: Linear::load(&loader.at("reduction"), 4 * dim, 2 * dim, false)?,
        })
    }

    /// `x`: `[b, h, w, c]`; gives `[b, h/2, w/2, 2·c]`, rounded up.
    fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let (_, h, w, c) = x.size4()?;
        let merged = x
            .f_constant_pad_nd([0, 0, 0, w % 2, 0, h % 2])?
            .f_reshape([-1, (h + 1) / 2, 2, (w + 1) / 2, 2, c])?
            .f_permute([0, 1, 3, 4, 2, 5])? // [b, h/2, w/2, column, row, c]
            .f_flatten(3, 5)?; // [b, h/2, w/2, 4·c]
        self.reduction.forward(&self.norm.forward(&merged)?)
    }
}

/// One layer: tokens of a window exchange what they hold, then each is transformed by itself.
struct Block {
    /// Where a stage begins, but for the first.
    downsample: Option<PatchMerging>,
    norm1: LayerNorm,
    attn: WindowAttention,
    norm2: LayerNorm,
    mlp: Mlp,
    windows: Windows,
    /// By how many tokens the map is shifted up and to the left before it is cut.
    shift: Option<[i64; 2]>,
}

impl Block {
    fn load(
        loader: &Loader<'_>,
        downsample: Option<PatchMerging>,
        attention: &attention::Config,
        mlp_dim: usize,
    ) -> Result<Self, Error> {
        let dim = attention.dim;
        let shift = attention.shift.map(as_i64);
        Ok(Self {
            downsample,
            norm1: LayerNorm::load(&loader.at("norm1"), dim, NORM_EPS)?,
            attn: WindowAttention::load(&loader.at("attn"), attention)?,
            norm2: LayerNorm::load(&loader.at("norm2"), dim, NORM_EPS)?,
            mlp: Mlp::load(&loader.at("mlp"), dim, vit::Mlp::gelu(mlp_dim))?,
            windows: Windows::new(attention.map.map(as_i64), attention.window.map(as_i64)),
            shift: (shift != [0, 0]).then_some(shift),
        })
    }

    /// `x`: `[b, h, w, n_in]`; gives `[b, h, w, n_in]`, where a stage begins `[b, h/2, w/2, 2·n_in]`.
    fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let x = match &self.downsample {
            Some(downsample) => downsample.forward(x)?,
            None => x.shallow_clone(),
        };
        let x = x.f_add(&self.attend(&self.norm1.forward(&x)?)?)?;
        x.f_add(&self.mlp.forward(&self.norm2.forward(&x)?)?)
    }

    /// `x`: `[b, h, w, c]`.
    fn attend(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let inside = |x: &Tensor| {
            let windows = self.windows.partition(x)?; // [b·n, h, w, c]
            self.windows.merge(&self.attn.forward(&windows)?)
        };
        match self.shift {
            Some([down, right]) => {
                inside(&x.f_roll([-down, -right], [1, 2])?)?.f_roll([down, right], [1, 2])
            }
            None => inside(x),
        }
    }
}
