//! Hiera on libtorch.
//!
//! Channels come last, `[b, h, w, c]`.

use tch::{TchError, Tensor};

use crate::backbone::checkpoint::weights::Init;
use crate::backbone::families::conv::{Conv2d, Convolution, channels_first, channels_last};
use crate::backbone::families::hiera::{HieraConfig, PATCH_STRIDE};
use crate::backbone::families::layers::{LayerNorm, LayerScale, Linear, attend};
use crate::backbone::families::loader::{Loader, as_i64};
use crate::backbone::families::map_pool::{CHANNELS_LAST, MapPool};
use crate::backbone::families::parameter::Parameter;
use crate::backbone::families::vit;
use crate::backbone::families::vit::attention::Mlp;
use crate::backbone::families::windows::Windows;
use crate::backbone::families::{Family, Network};
use crate::error::Error;

/// Added to the variance by every norm.
const NORM_EPS: f64 = 1e-6;

/// A Hiera, from pixels to one row.
pub struct Hiera {
    patch_embed: Conv2d,
    /// `[1, h, w, c]`
    positions: Parameter,
    /// The blocks of all stages.
    blocks: Vec<Block>,
    pool: MapPool,
    head_norm: Option<LayerNorm>,
}

impl Hiera {
    pub fn load(loader: &Loader<'_>, config: &HieraConfig) -> Result<Self, Error> {
        let mut blocks = Vec::new();
        let patch_embed = Convolution::new(3, config.embed_dim, 7)
            .stride(PATCH_STRIDE)
            .bias(true)
            .load(&loader.at("patch_embed.proj"))?;
        let positions = load_positions(loader, config)?;
        for (stage, n_blocks) in config.stages.into_iter().enumerate() {
            for i in 0..n_blocks {
                // The first block of a stage takes the map and the windows of the stage before it.
                let before = if i == 0 {
                    stage.saturating_sub(1)
                } else {
                    stage
                };
                let index = blocks.len();
                let loader = loader.at("blocks").at(index);
                blocks.push(Block::load(&loader, index, config, [before, stage])?);
            }
        }
        Ok(Self {
            patch_embed,
            positions,
            blocks,
            pool: config.pool,
            head_norm: (config.head_norm)
                .then(|| LayerNorm::load(&loader.at("head.norm"), config.dim(), NORM_EPS))
                .transpose()?,
        })
    }
}

impl Network for Hiera {
    fn forward(&self, images: &Tensor) -> Result<Tensor, Error> {
        let patches = channels_last(&self.patch_embed.forward(images)?)?;
        let mut x = patches.f_add(&self.positions)?; // [b, h, w, c]
        for block in &self.blocks {
            x = block.forward(&x)?;
        }
        let row = self.pool.forward(&x, CHANNELS_LAST)?; // [b, c]
        match &self.head_norm {
            Some(norm) => Ok(norm.forward(&row)?),
            None => Ok(row),
        }
    }
}

/// Positions in the whole map, and, the same in each, in a window.
fn load_positions(loader: &Loader<'_>, config: &HieraConfig) -> Result<Parameter, Error> {
    let (dim, init) = (config.embed_dim, Init::Uniform { std: 0.02 });
    let [height, width] = config.global_pos_size;
    let map = loader.f32("pos_embed", &[1, dim, height, width], init)?;
    let side = config.window_spec[0];
    let window = loader.f32("pos_embed_window", &[1, dim, side, side], init)?;
    let size = config.map(0);
    let repeats = size.map(|n| as_i64(n / side));
    let map = map.f_upsample_bicubic2d(size.map(as_i64), false, None, None)?;
    let windows = window.f_repeat([1, 1, repeats[0], repeats[1]])?;
    let positions = channels_last(&map.f_add(&windows)?)?.f_contiguous()?; // [1, h, w, c]
    Ok(Parameter::new(positions))
}

/// One layer: tokens exchange what they hold, in windows or over the whole map, then each is transformed by itself.
struct Block {
    norm1: LayerNorm,
    /// Of the shortcut, where a stage begins.
    proj: Option<Linear>,
    attn: MultiScaleAttention,
    ls1: LayerScale,
    norm2: LayerNorm,
    mlp: Mlp,
    ls2: LayerScale,
    windows: Option<Shrinking>,
}

/// Windows before and after the attention.
struct Shrinking {
    before: Windows,
    after: Windows,
}

impl Block {
    /// `stages`: those of what the block is given and of what it gives.
    fn load(
        loader: &Loader<'_>,
        index: usize,
        config: &HieraConfig,
        stages: [usize; 2],
    ) -> Result<Self, Error> {
        let [before, after] = stages;
        let [n_in, dim] = stages.map(|stage| config.width(stage));
        let proj = (before != after).then(|| Linear::load(&loader.at("proj"), n_in, dim, true));
        let is_global = config.global_att_blocks.contains(&Some(index));
        let window = as_i64(config.window_spec[before]);
        // Where a stage begins, the attention halves map and windows.
        let after_window = if before == after { window } else { window / 2 };
        let maps = stages.map(|stage| config.map(stage).map(as_i64));
        Ok(Self {
            norm1: LayerNorm::load(&loader.at("norm1"), n_in, NORM_EPS)?,
            proj: proj.transpose()?,
            attn: MultiScaleAttention::load(&loader.at("attn"), config, stages)?,
            ls1: LayerScale::load(&loader.at("ls1"), dim, config.layer_scale)?,
            norm2: LayerNorm::load(&loader.at("norm2"), dim, NORM_EPS)?,
            mlp: Mlp::load(&loader.at("mlp"), dim, vit::Mlp::gelu(4 * dim))?,
            ls2: LayerScale::load(&loader.at("ls2"), dim, config.layer_scale)?,
            windows: (!is_global).then(|| Shrinking {
                before: Windows::new(maps[0], [window; 2]),
                after: Windows::new(maps[1], [after_window; 2]),
            }),
        })
    }

    /// `x`: `[b, h, w, n_in]`; gives `[b, h, w, c]`, where a stage begins `[b, h/2, w/2, c]`.
    fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let normed = self.norm1.forward(x)?;
        let shortcut = match &self.proj {
            Some(proj) => halved(&proj.forward(&normed)?)?,
            None => x.shallow_clone(),
        };
        let attended = match &self.windows {
            Some(Shrinking { before, after }) => {
                after.merge(&self.attn.forward(&before.partition(&normed)?)?)?
            }
            None => self.attn.forward(&normed)?,
        };
        let x = shortcut.f_add(&self.ls1.apply(attended)?)?;
        let transformed = self.mlp.forward(&self.norm2.forward(&x)?)?;
        x.f_add(&self.ls2.apply(transformed)?) // [b, h, w, c]
    }
}

/// The maxima of 2×2 tokens; `x`: `[b, h, w, c]`, gives `[b, h/2, w/2, c]`.
fn halved(x: &Tensor) -> Result<Tensor, TchError> {
    let maxima = channels_first(x)?.f_max_pool2d([2, 2], [2, 2], [0, 0], [1, 1], false)?;
    channels_last(&maxima)
}

/// Multi-head self-attention, where a stage begins with a quarter of the queries.
struct MultiScaleAttention {
    qkv: Linear,
    proj: Linear,
    num_heads: i64,
    q_pool: bool,
}

impl MultiScaleAttention {
    fn load(
        loader: &Loader<'_>,
        config: &HieraConfig,
        [before, after]: [usize; 2],
    ) -> Result<Self, Error> {
        let [n_in, dim] = [before, after].map(|stage| config.width(stage));
        Ok(Self {
            qkv: Linear::load(&loader.at("qkv"), n_in, 3 * dim, true)?,
            proj: Linear::load(&loader.at("proj"), dim, dim, true)?,
            num_heads: as_i64(config.num_heads << after),
            q_pool: before != after,
        })
    }

    /// `x`: `[b, h, w, n_in]`; gives `[b, h, w, c]`, where a stage begins `[b, h/2, w/2, c]`.
    fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let qkv = self.qkv.forward(x)?; // [b, h, w, 3·c]
        let dim = qkv.size()[3] / 3;
        let part = |i: i64| qkv.f_narrow(3, i * dim, dim); // [b, h, w, c]
        let q = if self.q_pool {
            halved(&part(0)?)?
        } else {
            part(0)?
        };
        let size = q.size();
        let by_head = |x: &Tensor| {
            x.f_flatten(1, 2)? // [b, t, c]
                .f_unflatten(2, [self.num_heads, -1])? // [b, t, heads, c/heads]
                .f_transpose(1, 2) // [b, heads, t, c/heads]
        };
        let (k, v) = (by_head(&part(1)?)?, by_head(&part(2)?)?);
        let mixed = attend(&by_head(&q)?, &k, &v, None)?
            .f_transpose(1, 2)? // [b, t, heads, c/heads]
            .f_reshape(&size)?; // [b, h, w, c]
        self.proj.forward(&mixed)
    }
}
