//! The two halves of a block: attention and MLP.

use tch::{TchError, Tensor};

use crate::backbone::families::layers::{LayerNorm, Linear, RmsNorm, attend};
use crate::backbone::families::loader::{Loader, as_i64};
use crate::backbone::families::vit::positions::Rotation;
use crate::backbone::families::vit::{
    Activation, Mlp as MlpConfig, Norm as NormConfig, NormKind, VitConfig,
};
use crate::error::Error;

/// A norm over the last axis.
pub struct Norm {
    kind: Kind,
    casts_back: bool,
}

enum Kind {
    Layer(LayerNorm),
    Rms(RmsNorm),
}

impl Norm {
    pub fn load(loader: &Loader<'_>, dim: usize, config: NormConfig) -> Result<Self, Error> {
        let kind = match config.kind {
            NormKind::Layer => Kind::Layer(LayerNorm::load(loader, dim, config.eps)?),
            NormKind::Rms => Kind::Rms(RmsNorm::load(loader, dim, config.eps)?),
        };
        Ok(Self {
            kind,
            casts_back: config.casts_back,
        })
    }

    /// `x`: `[.., d]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let normed = match &self.kind {
            Kind::Layer(norm) => norm.forward(x)?,
            Kind::Rms(norm) => norm.forward(x)?,
        };
        if self.casts_back {
            normed.f_to_kind(x.f_kind()?)
        } else {
            Ok(normed)
        }
    }
}

/// Multi-head self-attention.
pub struct Attention {
    qkv: Linear,
    qk_norm: Option<[Norm; 2]>,
    proj: Linear,
    num_heads: i64,
}

impl Attention {
    pub fn load(loader: &Loader<'_>, config: &VitConfig) -> Result<Self, Error> {
        let dim = config.embed_dim;
        let qk_norm = if config.qk_norm {
            let head_dim = dim / config.num_heads;
            let norm = |name: &str| Norm::load(&loader.at(name), head_dim, config.norm);
            Some([norm("q_norm")?, norm("k_norm")?])
        } else {
            None
        };
        Ok(Self {
            qkv: Linear::load(&loader.at("qkv"), dim, 3 * dim, config.qkv_bias)?,
            qk_norm,
            proj: Linear::load(&loader.at("proj"), dim, dim, config.proj_bias)?,
            num_heads: as_i64(config.num_heads),
        })
    }

    /// `x`: `[b, t, d]`.
    pub fn forward(&self, x: &Tensor, rotation: Option<&Rotation>) -> Result<Tensor, TchError> {
        let (b, t, d) = x.size3()?;
        let heads = self.num_heads;
        let qkv = self
            .qkv
            .forward(x)? // [b, t, 3·d]
            .f_reshape([b, t, 3, heads, d / heads])?
            .f_permute([2, 0, 3, 1, 4])?; // [3, b, heads, t, d/heads]
        let (mut q, mut k, v) = (
            qkv.f_select(0, 0)?,
            qkv.f_select(0, 1)?,
            qkv.f_select(0, 2)?,
        ); // [b, heads, t, d/heads]
        if let Some([q_norm, k_norm]) = &self.qk_norm {
            q = q_norm.forward(&q)?;
            k = k_norm.forward(&k)?;
        }
        if let Some(rotation) = rotation {
            q = rotation.apply(&q)?;
            k = rotation.apply(&k)?;
        }
        let kind = v.f_kind()?;
        let mixed = attend(&q.f_to_kind(kind)?, &k.f_to_kind(kind)?, &v, None)?;
        self.proj.forward(&beside(&mixed)?) // [b, t, d]
    }
}

/// The heads of each token side by side; `x`: `[b, heads, t, d/heads]`, gives `[b, t, d]`.
pub fn beside(x: &Tensor) -> Result<Tensor, TchError> {
    x.f_transpose(1, 2)?.f_flatten(2, 3)
}

/// Two linear layers with an activation between.
pub struct Mlp {
    fc1: Linear,
    fc2: Linear,
    activation: Activation,
}

impl Mlp {
    pub fn load(loader: &Loader<'_>, dim: usize, config: MlpConfig) -> Result<Self, Error> {
        let MlpConfig {
            hidden,
            activation,
            bias,
        } = config;
        Ok(Self {
            fc1: Linear::load(&loader.at("fc1"), dim, config.rows(), bias)?,
            fc2: Linear::load(&loader.at("fc2"), hidden, dim, bias)?,
            activation,
        })
    }

    /// `x`: `[.., d]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let x = self.fc1.forward(x)?;
        let hidden = match self.activation {
            Activation::Gelu => x.f_gelu("none")?,
            Activation::GeluTanh => x.f_gelu("tanh")?,
            Activation::QuickGelu => x.f_mul(&x.f_mul_scalar(1.702)?.f_sigmoid()?)?,
            Activation::SwiGlu => {
                let halves = x.f_chunk(2, -1)?;
                halves[0].f_silu()?.f_mul(&halves[1])?
            }
        }; // [.., hidden]
        self.fc2.forward(&hidden) // [.., d]
    }
}
