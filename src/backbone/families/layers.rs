//! What networks are made of. Fields are named as in the checkpoints.
//!
//! Precision follows PyTorch's autocast: matrix products take both sides in the network's precision and give
//! a result in it; norms are computed in f32; where a half meets an f32 value the result is f32. Weights of
//! products are therefore stored in the network's precision, all others in f32. (tch's own `autocast` knows
//! f16 on CUDA only.) Networks of `open_clip` keep tokens in half precision besides: see `vit::Norm::casts_back`.
//!
//! Shapes: b batch, c channels, h w, t tokens, d width of a token.

use std::sync::atomic::AtomicUsize;

use tch::{Device, Kind, TchError, Tensor};

use crate::backbone::checkpoint::weights::{Init, Source};
use crate::backbone::error::Error;
use crate::backbone::run::Parameter;
use crate::interrupt::Stopped;

/// Asks for a network's tensors and puts them where it is to run.
pub struct Loader<'a> {
    pub source: &'a mut dyn Source,
    pub device: Device,
    /// Of matrix products.
    pub precision: Kind,
    /// Number of values in the parameters so far.
    pub n_parameters: u64,
    /// What was done to make a checkpoint fit.
    pub notes: Vec<String>,
    /// Looked at before each tensor; see [`Stopped::check`].
    pub stop: &'a AtomicUsize,
}

impl Loader<'_> {
    /// A parameter that stays in f32.
    pub fn f32(&mut self, name: &str, shape: &[usize], init: Init) -> Result<Parameter, Error> {
        self.parameter(name, shape, init, Kind::Float)
    }

    /// A parameter of a matrix product.
    pub fn product(&mut self, name: &str, shape: &[usize], init: Init) -> Result<Parameter, Error> {
        self.parameter(name, shape, init, self.precision)
    }

    /// A tensor in f32 that was not learned, which PyTorch calls a buffer.
    pub fn buffer(&mut self, name: &str, shape: &[usize], init: Init) -> Result<Parameter, Error> {
        self.load(name, shape, init, Kind::Float)
    }

    fn parameter(
        &mut self,
        name: &str,
        shape: &[usize],
        init: Init,
        kind: Kind,
    ) -> Result<Parameter, Error> {
        let values = self.values(name, shape, init)?;
        self.own(&values, kind)
    }

    /// Makes a parameter of values.
    pub fn own(&mut self, values: &Tensor, kind: Kind) -> Result<Parameter, Error> {
        self.n_parameters += values.numel() as u64;
        self.put(values, kind)
    }

    fn load(
        &mut self,
        name: &str,
        shape: &[usize],
        init: Init,
        kind: Kind,
    ) -> Result<Parameter, Error> {
        let values = self.values(name, shape, init)?;
        self.put(&values, kind)
    }

    /// The values of a tensor on the CPU, in f32.
    pub fn values(&mut self, name: &str, shape: &[usize], init: Init) -> Result<Tensor, Error> {
        Stopped::check(self.stop)?;
        let values = self.source.tensor(name, shape, init)?;
        let shape: Vec<i64> = shape.iter().map(|&size| as_i64(size)).collect();
        Tensor::f_from_slice(&values)
            .and_then(|values| values.f_reshape(&shape))
            .map_err(|error| Error::libtorch("loading weights", &error))
    }

    fn put(&self, values: &Tensor, kind: Kind) -> Result<Parameter, Error> {
        values
            .f_to_kind(kind)
            .and_then(|values| values.f_to_device(self.device))
            .map(Parameter::new)
            .map_err(|error| Error::libtorch("loading weights", &error))
    }
}

/// libtorch's sizes are signed; those of a network that fits into memory fit.
pub fn as_i64(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

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
    pub fn load(
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
    pub fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
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

/// Scales the last axis to a mean square of 1.
pub struct RmsNorm {
    weight: Parameter,
    eps: f64,
}

impl RmsNorm {
    pub fn load(
        loader: &mut Loader<'_>,
        prefix: &str,
        dim: usize,
        eps: f64,
    ) -> Result<Self, Error> {
        Ok(Self {
            weight: loader.f32(&format!("{prefix}.weight"), &[dim], Init::Ones)?,
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

/// A learned factor per channel.
pub struct LayerScale {
    gamma: Parameter,
}

impl LayerScale {
    pub fn load(loader: &mut Loader<'_>, prefix: &str, dim: usize) -> Result<Self, Error> {
        Ok(Self {
            gamma: loader.f32(&format!("{prefix}.gamma"), &[dim], Init::Ones)?,
        })
    }

    /// `x`: `[.., d]`, which stays as it is where there is no factor.
    pub fn apply(scale: Option<&Self>, x: Tensor) -> Result<Tensor, TchError> {
        match scale {
            Some(Self { gamma }) => x.f_mul(gamma),
            None => Ok(x),
        }
    }
}
