//! What networks are made of. Fields are named as in the checkpoints.
//!
//! Precision follows PyTorch's autocast: matrix products take both sides in the network's precision and give
//! a result in it; norms are computed in f32; where a half meets an f32 value the result is f32. Weights of
//! products are therefore stored in the network's precision, all others in f32. (tch's own `autocast` knows
//! f16 on CUDA only.) Networks of `open_clip` keep tokens in half precision besides: see `vit::Norm::casts_back`.
//!
//! Shapes: b batch, c channels, h w, t tokens, d width of a token.

use tch::{Kind, TchError, Tensor};

use crate::backbone::checkpoint::weights::Init;
use crate::backbone::families::loader::Loader;
use crate::backbone::families::parameter::Parameter;
use crate::error::Error;

/// The standard deviation that keeps the scale of a product over `n_in` values.
pub fn keeping_scale(n_in: usize) -> Init {
    Init::Uniform {
        std: 1.0 / (n_in as f64).sqrt(),
    }
}

/// y = x Wᵀ + b.
pub struct Linear {
    weight: Parameter,
    bias: Option<Parameter>,
}

impl Linear {
    pub fn load(
        loader: &Loader<'_>,
        n_in: usize,
        n_out: usize,
        has_bias: bool,
    ) -> Result<Self, Error> {
        let weight = loader.product("weight", &[n_out, n_in], keeping_scale(n_in))?;
        let bias = has_bias.then(|| loader.product("bias", &[n_out], Init::Zeros));
        Ok(Self {
            weight,
            bias: bias.transpose()?,
        })
    }

    /// `x`: `[.., n_in]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        x.f_to_kind(self.weight.f_kind()?)?
            .f_linear(&self.weight, self.bias.as_deref()) // [.., n_out]
    }
}

/// Normalisation over the last axis.
pub struct LayerNorm {
    weight: Parameter,
    bias: Parameter,
    eps: f64,
}

impl LayerNorm {
    pub fn load(loader: &Loader<'_>, dim: usize, eps: f64) -> Result<Self, Error> {
        Ok(Self {
            weight: loader.f32("weight", &[dim], Init::Ones)?,
            bias: loader.f32("bias", &[dim], Init::Zeros)?,
            eps,
        })
    }

    /// `x`: `[.., d]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let (weight, bias) = (Some(&*self.weight), Some(&*self.bias));
        x.f_to_kind(Kind::Float)?
            .f_layer_norm(self.weight.size(), weight, bias, self.eps, true)
    }
}

/// Scales the last axis to a mean square of 1.
pub struct RmsNorm {
    weight: Parameter,
    eps: f64,
}

impl RmsNorm {
    pub fn load(loader: &Loader<'_>, dim: usize, eps: f64) -> Result<Self, Error> {
        Ok(Self {
            weight: loader.f32("weight", &[dim], Init::Ones)?,
            eps,
        })
    }

    /// `x`: `[.., d]`. What is normalised has the precision of `x` before it meets the weight.
    ///
    /// Source: `biobench.aimv2.RMSNorm`, and that of transformers.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let dim = self.weight.size();
        x.f_to_kind(Kind::Float)?
            .f_rms_norm(dim, None::<&Tensor>, self.eps)?
            .f_to_kind(x.f_kind()?)?
            .f_mul(&self.weight)
    }
}

/// A learned factor per channel, where the network has one.
pub struct LayerScale {
    gamma: Option<Parameter>,
}

impl LayerScale {
    pub fn load(loader: &Loader<'_>, dim: usize, is_there: bool) -> Result<Self, Error> {
        let gamma = is_there.then(|| loader.f32("gamma", &[dim], Init::Ones));
        Ok(Self {
            gamma: gamma.transpose()?,
        })
    }

    /// `x`: `[.., d]`, which stays as it is where there is no factor.
    pub fn apply(&self, x: Tensor) -> Result<Tensor, TchError> {
        match &self.gamma {
            Some(gamma) => x.f_mul(gamma),
            None => Ok(x),
        }
    }
}

/// Attention of `q` (`[b, heads, m, d/heads]`) to `k` and `v` (`[b, heads, t, d/heads]`), with `bias` added to its
/// logits; gives `[b, heads, m, d/heads]`.
pub fn attend(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    bias: Option<&Tensor>,
) -> Result<Tensor, TchError> {
    Tensor::f_scaled_dot_product_attention(q, k, v, bias, 0.0, false, None, false)
}
