//! The Vision Transformer on libtorch.

use tch::{Kind, TchError, Tensor};

use crate::backbone::checkpoint::weights::Init;
use crate::backbone::families::Network;
use crate::backbone::families::conv::{Conv2d, Convolution};
use crate::backbone::families::layers::{LayerScale, Linear};
use crate::backbone::families::loader::Loader;
use crate::backbone::families::parameter::Parameter;
use crate::backbone::families::vit::attention::{Attention, Mlp, Norm};
use crate::backbone::families::vit::pool::Pool;
use crate::backbone::families::vit::positions::{self, Rotation};
use crate::backbone::families::vit::{FinalNorm, Positions, PrefixPositions, VitConfig};
use crate::error::Error;

/// One layer: tokens exchange what they hold, then each is transformed by itself.
struct Block {
    norm1: Norm,
    attn: Attention,
    ls1: LayerScale,
    norm2: Norm,
    mlp: Mlp,
    ls2: LayerScale,
}

impl Block {
    fn load(loader: &Loader<'_>, config: &VitConfig) -> Result<Self, Error> {
        let (dim, norm) = (config.embed_dim, config.norm);
        Ok(Self {
            norm1: Norm::load(&loader.at("norm1"), dim, norm)?,
            attn: Attention::load(&loader.at("attn"), config)?,
            ls1: LayerScale::load(&loader.at("ls1"), dim, config.layer_scale)?,
            norm2: Norm::load(&loader.at("norm2"), dim, norm)?,
            mlp: Mlp::load(&loader.at("mlp"), dim, config.mlp)?,
            ls2: LayerScale::load(&loader.at("ls2"), dim, config.layer_scale)?,
        })
    }

    /// `x`: `[b, t, d]`.
    fn forward(&self, x: &Tensor, rotation: Option<&Rotation>) -> Result<Tensor, TchError> {
        let attended = self.attn.forward(&self.norm1.forward(x)?, rotation)?;
        let x = x.f_add(&self.ls1.apply(attended)?)?;
        let transformed = self.mlp.forward(&self.norm2.forward(&x)?)?;
        x.f_add(&self.ls2.apply(transformed)?) // [b, t, d]
    }
}

/// A Vision Transformer, from pixels to features.
pub struct VisionTransformer {
    patch_embed: Conv2d,
    patch_norm: Option<Norm>,
    cls_token: Option<Parameter>,
    reg_token: Option<Parameter>,
    positions: Option<(Parameter, PrefixPositions)>,
    rotation: Option<Rotation>,
    norm_pre: Option<Norm>,
    blocks: Vec<Block>,
    norm: Option<Norm>,
    pool: Pool,
    fc_norm: Option<Norm>,
    head: Option<Linear>,
}

impl VisionTransformer {
    pub fn load(loader: &Loader<'_>, config: &VitConfig) -> Result<Self, Error> {
        let dim = config.embed_dim;
        let token = |name: &str, n: usize| {
            let token = (n > 0).then(|| added(loader, config, name, &[1, n, dim], Init::Zeros));
            token.transpose()
        };
        let norm = |name: &str, is_there: bool| {
            let norm = is_there.then(|| Norm::load(&loader.at(name), dim, config.norm));
            norm.transpose()
        };
        let positions = config.positions.map(|positions| {
            let prefix = match positions {
                Positions::Learned { prefix, .. } => prefix,
                Positions::SinCos => PrefixPositions::None,
            };
            Ok::<_, Error>((positions::load(loader, config, positions)?, prefix))
        });
        let rotation = (config.rope).map(|rope| Rotation::new(config, rope, loader.device()));
        let head = (config.projection)
            .map(|head| Linear::load(&loader.at("head"), dim, head.dim, head.bias));
        Ok(Self {
            patch_embed: Convolution::patches(3, dim, config.patch_size)
                .bias(config.patch_bias)
                .load(&loader.at("patch_embed.proj"))?,
            patch_norm: norm("patch_embed.norm", config.patch_norm)?,
            cls_token: token("cls_token", usize::from(config.class_token))?,
            reg_token: token("reg_token", config.reg_tokens)?,
            positions: positions.transpose()?,
            rotation: rotation.transpose()?,
            norm_pre: norm("norm_pre", config.pre_norm)?,
            blocks: (0..config.depth)
                .map(|depth| Block::load(&loader.at("blocks").at(depth), config))
                .collect::<Result<_, _>>()?,
            norm: norm("norm", config.final_norm == FinalNorm::Tokens)?,
            pool: Pool::load(&loader.at("attn_pool"), config)?,
            fc_norm: norm("fc_norm", config.final_norm == FinalNorm::Pooled)?,
            head: head.transpose()?,
        })
    }

    /// `images`: `[b, 3, h, w]`; gives `[b, t, d]`.
    fn embed(&self, images: &Tensor) -> Result<Tensor, TchError> {
        let mut patches = self
            .patch_embed
            .forward(images)? // [b, d, h/p, w/p]
            .f_flatten(2, 3)?
            .f_transpose(1, 2)?; // [b, n, d]
        if let Some(norm) = &self.patch_norm {
            patches = norm.forward(&patches)?;
        }
        let (cls, reg) = (self.cls_token.as_ref(), self.reg_token.as_ref());
        let x = match &self.positions {
            None => with_prefix(&[cls, reg], patches)?,
            Some((positions, PrefixPositions::None)) => {
                with_prefix(&[cls, reg], patches.f_add(positions)?)?
            }
            Some((positions, PrefixPositions::All)) => {
                with_prefix(&[cls, reg], patches)?.f_add(positions)?
            }
            Some((positions, PrefixPositions::Class)) => {
                let x = with_prefix(&[cls], patches)?.f_add(positions)?;
                let n_class = i64::from(cls.is_some());
                let (_, t, _) = x.size3()?;
                let patches = with_prefix(&[reg], x.f_narrow(1, n_class, t - n_class)?)?;
                Tensor::f_cat(&[x.f_narrow(1, 0, n_class)?, patches], 1)?
            }
        }; // [b, t, d]
        match &self.norm_pre {
            Some(norm) => norm.forward(&x),
            None => Ok(x),
        }
    }

    /// `images`: `[b, 3, h, w]`. Every token after the last norm.
    fn tokens(&self, images: &Tensor) -> Result<Tensor, TchError> {
        let mut x = self.embed(images)?; // [b, t, d]
        for block in &self.blocks {
            x = block.forward(&x, self.rotation.as_ref())?;
        }
        match &self.norm {
            Some(norm) => norm.forward(&x),
            None => Ok(x),
        }
    }
}

/// A tensor that tokens are put beside or added to: in f32 it would make them f32.
pub fn added(
    loader: &Loader<'_>,
    config: &VitConfig,
    name: &str,
    shape: &[usize],
    init: Init,
) -> Result<Parameter, Error> {
    let values = loader.values(name, shape, init)?;
    loader.own(&values, kind_of_added(loader, config))
}

/// The number format of what [`added`] gives.
pub fn kind_of_added(loader: &Loader<'_>, config: &VitConfig) -> Kind {
    if config.norm.casts_back {
        loader.precision()
    } else {
        Kind::Float
    }
}

/// Puts class and register tokens before `patches`, `[b, n, d]`.
fn with_prefix(prefixes: &[Option<&Parameter>], patches: Tensor) -> Result<Tensor, TchError> {
    let (b, _, d) = patches.size3()?;
    let mut parts = Vec::new();
    for prefix in prefixes.iter().copied().flatten() {
        parts.push(prefix.f_expand([b, -1, d], false)?);
    }
    if parts.is_empty() {
        return Ok(patches);
    }
    parts.push(patches);
    Tensor::f_cat(&parts, 1) // [b, t, d]
}

impl Network for VisionTransformer {
    fn forward(&self, images: &Tensor) -> Result<Tensor, Error> {
        let mut x = self.pool.forward(&self.tokens(images)?)?; // [b, d]
        if let Some(norm) = &self.fc_norm {
            x = norm.forward(&x)?;
        }
        match &self.head {
            Some(head) => Ok(head.forward(&x)?),
            None => Ok(x),
        }
    }
}
