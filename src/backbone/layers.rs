//! What networks are made of. Fields are named as in the checkpoints.
//!
//! Precision follows PyTorch's autocast: matrix products take both sides in the network's precision and give
//! a result in it; norms are computed in f32; where a half meets an f32 value the result is f32. Weights of
//! products are therefore stored in the network's precision, all others in f32. (tch's own `autocast` knows
//! f16 on CUDA only.)
//!
//! Shapes: b batch, c channels, h w, t tokens, d width of a token.

use tch::{Device, Kind, TchError, Tensor};

use super::error::Error;
use super::libtorch::Parameter;
use super::weights::{Init, Source};

/// Asks for a network's tensors and puts them where it is to run.
pub(super) struct Loader<'a> {
    pub(super) source: &'a mut dyn Source,
    pub(super) device: Device,
    /// Of matrix products.
    pub(super) precision: Kind,
}

impl Loader<'_> {
    /// A tensor that stays in f32.
    pub(super) fn f32(
        &mut self,
        name: &str,
        shape: &[usize],
        init: Init,
    ) -> Result<Parameter, Error> {
        self.load(name, shape, init, Kind::Float)
    }

    /// A tensor of a matrix product.
    fn product(&mut self, name: &str, shape: &[usize], init: Init) -> Result<Parameter, Error> {
        self.load(name, shape, init, self.precision)
    }

    fn load(
        &mut self,
        name: &str,
        shape: &[usize],
        init: Init,
        kind: Kind,
    ) -> Result<Parameter, Error> {
        let values = self.source.tensor(name, shape, init)?;
        let shape: Vec<i64> = shape.iter().map(|&size| as_i64(size)).collect();
        let place = || {
            Tensor::f_from_slice(&values)?
                .f_reshape(&shape)?
                .f_to_kind(kind)?
                .f_to_device(self.device)
        };
        place()
            .map(Parameter::new)
            .map_err(|error| Error::libtorch("loading weights", &error))
    }
}

/// libtorch's sizes are signed; those of a network that fits into memory fit.
pub(super) fn as_i64(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

/// The standard deviation that keeps the scale of a product over `n_in` values.
fn keeping_scale(n_in: usize) -> Init {
    Init::Uniform {
        std: 1.0 / (n_in as f64).sqrt(),
    }
}

/// y = x Wᵀ + b.
pub(super) struct Linear {
    weight: Parameter,
    bias: Option<Parameter>,
}

impl Linear {
    pub(super) fn load(
        loader: &mut Loader<'_>,
        prefix: &str,
        n_in: usize,
        n_out: usize,
        bias: bool,
    ) -> Result<Self, Error> {
        Ok(Self {
            weight: loader.product(
                &format!("{prefix}.weight"),
                &[n_out, n_in],
                keeping_scale(n_in),
            )?,
            bias: if bias {
                Some(loader.product(&format!("{prefix}.bias"), &[n_out], Init::Zeros)?)
            } else {
                None
            },
        })
    }

    /// `x`: `[.., n_in]`.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        x.f_to_kind(self.weight.f_kind()?)?
            .f_linear(&self.weight, self.bias.as_deref()) // [.., n_out]
    }
}

/// Normalisation over the last axis.
pub(super) struct LayerNorm {
    weight: Parameter,
    bias: Parameter,
    eps: f64,
}

impl LayerNorm {
    pub(super) fn load(
        loader: &mut Loader<'_>,
        prefix: &str,
        dim: usize,
        eps: f64,
    ) -> Result<Self, Error> {
        Ok(Self {
            weight: loader.f32(&format!("{prefix}.weight"), &[dim], Init::Ones)?,
            bias: loader.f32(&format!("{prefix}.bias"), &[dim], Init::Zeros)?,
            eps,
        })
    }

    /// `x`: `[.., d]`.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let dim = self.weight.size();
        x.f_to_kind(Kind::Float)?.f_layer_norm(
            &dim,
            Some(&*self.weight),
            Some(&*self.bias),
            self.eps,
            true,
        )
    }
}

/// A learned factor per channel.
pub(super) struct LayerScale {
    gamma: Parameter,
}

impl LayerScale {
    pub(super) fn load(loader: &mut Loader<'_>, prefix: &str, dim: usize) -> Result<Self, Error> {
        Ok(Self {
            gamma: loader.f32(&format!("{prefix}.gamma"), &[dim], Init::Ones)?,
        })
    }

    /// `x`: `[.., d]`.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        x.f_mul(&self.gamma)
    }
}

/// Cuts an image into patches and projects each to a token.
pub(super) struct PatchEmbed {
    proj: Convolution,
}

/// A convolution whose windows lie side by side.
struct Convolution {
    weight: Parameter,
    bias: Option<Parameter>,
    stride: i64,
}

impl PatchEmbed {
    pub(super) fn load(
        loader: &mut Loader<'_>,
        prefix: &str,
        patch_size: usize,
        dim: usize,
        bias: bool,
    ) -> Result<Self, Error> {
        let shape = [dim, 3, patch_size, patch_size];
        let init = keeping_scale(3 * patch_size * patch_size);
        let weight = loader.product(&format!("{prefix}.proj.weight"), &shape, init)?;
        let bias = if bias {
            Some(loader.product(&format!("{prefix}.proj.bias"), &[dim], Init::Zeros)?)
        } else {
            None
        };
        Ok(Self {
            proj: Convolution {
                weight,
                bias,
                stride: as_i64(patch_size),
            },
        })
    }

    /// `x`: `[b, 3, h, w]`.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let Convolution {
            weight,
            bias,
            stride,
        } = &self.proj;
        x.f_to_kind(weight.f_kind()?)?
            .f_conv2d(weight, bias.as_deref(), [*stride; 2], [0, 0], [1, 1], 1)? // [b, d, h/p, w/p]
            .f_flatten(2, 3)? // [b, d, t]
            .f_transpose(1, 2) // [b, t, d]
    }
}

/// Multi-head self-attention.
pub(super) struct Attention {
    qkv: Linear,
    proj: Linear,
    num_heads: usize,
}

impl Attention {
    pub(super) fn load(
        loader: &mut Loader<'_>,
        prefix: &str,
        dim: usize,
        num_heads: usize,
        qkv_bias: bool,
    ) -> Result<Self, Error> {
        Ok(Self {
            qkv: Linear::load(loader, &format!("{prefix}.qkv"), dim, 3 * dim, qkv_bias)?,
            proj: Linear::load(loader, &format!("{prefix}.proj"), dim, dim, true)?,
            num_heads,
        })
    }

    /// `x`: `[b, t, d]`.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let (b, t, d) = x.size3()?;
        let heads = as_i64(self.num_heads);
        let qkv = self
            .qkv
            .forward(x)? // [b, t, 3·d]
            .f_reshape([b, t, 3, heads, d / heads])?
            .f_permute([2, 0, 3, 1, 4])?; // [3, b, heads, t, d/heads]
        let [q, k, v] = [
            qkv.f_select(0, 0)?,
            qkv.f_select(0, 1)?,
            qkv.f_select(0, 2)?,
        ]; // [b, heads, t, d/heads]
        let mixed = Tensor::f_scaled_dot_product_attention(
            &q,
            &k,
            &v,
            None::<&Tensor>,
            0.0,
            false,
            None,
            false,
        )?
        .f_transpose(1, 2)? // [b, t, heads, d/heads]
        .f_reshape([b, t, d])?;
        self.proj.forward(&mixed) // [b, t, d]
    }
}

/// Two linear layers with GELU between.
pub(super) struct Mlp {
    fc1: Linear,
    fc2: Linear,
}

impl Mlp {
    pub(super) fn load(
        loader: &mut Loader<'_>,
        prefix: &str,
        dim: usize,
        hidden: usize,
    ) -> Result<Self, Error> {
        Ok(Self {
            fc1: Linear::load(loader, &format!("{prefix}.fc1"), dim, hidden, true)?,
            fc2: Linear::load(loader, &format!("{prefix}.fc2"), hidden, dim, true)?,
        })
    }

    /// `x`: `[.., d]`.
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let hidden = self.fc1.forward(x)?.f_gelu("none")?; // [.., hidden]
        self.fc2.forward(&hidden) // [.., d]
    }
}
