//! The Vision Transformer.
//!
//! Dosovitskiy et al., "An Image is Worth 16x16 Words", 2021, <https://arxiv.org/abs/2010.11929>; LayerScale:
//! Touvron et al., 2021, <https://arxiv.org/abs/2103.17239>; registers: Darcet et al., 2024,
//! <https://arxiv.org/abs/2309.16588>.
//!
//! Source: `timm.models.vision_transformer`, timm 1.0.

use tch::{TchError, Tensor};

use super::error::Error;
use super::extractor::Network;
use super::layers::{Attention, LayerNorm, LayerScale, Loader, Mlp, PatchEmbed};
use super::libtorch::Parameter;
use super::vit_config::{Feature, FinalNorm, VitConfig};
use super::weights::Init;

/// One layer: tokens exchange what they hold, then each is transformed by itself.
struct Block {
    norm1: LayerNorm,
    attn: Attention,
    ls1: Option<LayerScale>,
    norm2: LayerNorm,
    mlp: Mlp,
    ls2: Option<LayerScale>,
}

impl Block {
    fn load(loader: &mut Loader<'_>, prefix: &str, config: &VitConfig) -> Result<Self, Error> {
        let (dim, eps) = (config.embed_dim, config.norm_eps);
        let layer_scale = |loader: &mut Loader<'_>, name: &str| {
            config
                .layer_scale
                .then(|| LayerScale::load(loader, &format!("{prefix}.{name}"), dim))
                .transpose()
        };
        Ok(Self {
            norm1: LayerNorm::load(loader, &format!("{prefix}.norm1"), dim, eps)?,
            attn: Attention::load(
                loader,
                &format!("{prefix}.attn"),
                dim,
                config.num_heads,
                config.qkv_bias,
            )?,
            ls1: layer_scale(loader, "ls1")?,
            norm2: LayerNorm::load(loader, &format!("{prefix}.norm2"), dim, eps)?,
            mlp: Mlp::load(loader, &format!("{prefix}.mlp"), dim, config.mlp_dim())?,
            ls2: layer_scale(loader, "ls2")?,
        })
    }

    /// `x`: `[b, t, d]`.
    fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let attended = self.attn.forward(&self.norm1.forward(x)?)?;
        let x = x.f_add(&scaled(attended, self.ls1.as_ref())?)?;
        let transformed = self.mlp.forward(&self.norm2.forward(&x)?)?;
        x.f_add(&scaled(transformed, self.ls2.as_ref())?) // [b, t, d]
    }
}

fn scaled(x: Tensor, scale: Option<&LayerScale>) -> Result<Tensor, TchError> {
    match scale {
        Some(scale) => scale.forward(&x),
        None => Ok(x),
    }
}

/// A Vision Transformer without its classifier.
pub(super) struct VisionTransformer {
    patch_embed: PatchEmbed,
    cls_token: Option<Parameter>,
    reg_token: Option<Parameter>,
    pos_embed: Parameter,
    norm_pre: Option<LayerNorm>,
    blocks: Vec<Block>,
    norm: Option<LayerNorm>,
    no_embed_class: bool,
    feature: Feature,
}

impl VisionTransformer {
    pub(super) fn load(loader: &mut Loader<'_>, config: &VitConfig) -> Result<Self, Error> {
        let (dim, eps) = (config.embed_dim, config.norm_eps);
        let token = Init::Zeros;
        let positions = Init::Uniform { std: 0.02 };
        Ok(Self {
            patch_embed: PatchEmbed::load(
                loader,
                "patch_embed",
                config.patch_size,
                dim,
                !config.pre_norm,
            )?,
            cls_token: config
                .class_token
                .then(|| loader.f32("cls_token", &[1, 1, dim], token))
                .transpose()?,
            reg_token: (config.reg_tokens > 0)
                .then(|| loader.f32("reg_token", &[1, config.reg_tokens, dim], token))
                .transpose()?,
            pos_embed: loader.f32("pos_embed", &[1, config.n_positions(), dim], positions)?,
            norm_pre: config
                .pre_norm
                .then(|| LayerNorm::load(loader, "norm_pre", dim, eps))
                .transpose()?,
            blocks: (0..config.depth)
                .map(|depth| Block::load(loader, &format!("blocks.{depth}"), config))
                .collect::<Result<_, _>>()?,
            norm: (config.final_norm() == FinalNorm::Tokens)
                .then(|| LayerNorm::load(loader, "norm", dim, eps))
                .transpose()?,
            no_embed_class: config.no_embed_class,
            feature: config.feature(),
        })
    }

    /// `images`: `[b, 3, h, w]`.
    fn embed(&self, images: &Tensor) -> Result<Tensor, TchError> {
        let patches = self.patch_embed.forward(images)?; // [b, h/p·w/p, d]
        let x = if self.no_embed_class {
            self.with_prefix(patches.f_add(&self.pos_embed)?)?
        } else {
            self.with_prefix(patches)?.f_add(&self.pos_embed)?
        }; // [b, t, d]
        match &self.norm_pre {
            Some(norm) => norm.forward(&x),
            None => Ok(x),
        }
    }

    /// Puts class and register tokens before `patches`, `[b, h/p·w/p, d]`.
    fn with_prefix(&self, patches: Tensor) -> Result<Tensor, TchError> {
        let (b, _, d) = patches.size3()?;
        let mut parts = Vec::new();
        for prefix in [&self.cls_token, &self.reg_token].into_iter().flatten() {
            parts.push(prefix.f_expand([b, -1, d], false)?);
        }
        parts.push(patches);
        Tensor::f_cat(&parts, 1) // [b, t, d]
    }

    /// `images`: `[b, 3, h, w]`. Every token after the last norm.
    fn tokens(&self, images: &Tensor) -> Result<Tensor, TchError> {
        let mut x = self.embed(images)?; // [b, t, d]
        for block in &self.blocks {
            x = block.forward(&x)?;
        }
        match &self.norm {
            Some(norm) => norm.forward(&x),
            None => Ok(x),
        }
    }
}

impl Network for VisionTransformer {
    fn forward(&self, images: &Tensor) -> Result<Tensor, TchError> {
        let tokens = self.tokens(images)?; // [b, t, d]
        match self.feature {
            Feature::First => tokens.f_select(1, 0),   // [b, d]
            Feature::Max => tokens.f_amax([1], false), // [b, d]
        }
    }
}
