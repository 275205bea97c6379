//! What convolutional networks are made of. Fields are named as in the checkpoints.
//!
//! Precision as in [`crate::backbone::families::layers`]: convolutions are products; a batch normalisation keeps its input's
//! precision, with parameters in f32.
//!
//! Shapes: b batch, c channels, h w.

use tch::{TchError, Tensor};

use crate::backbone::checkpoint::weights::Init;
use crate::backbone::families::layers::keeping_scale;
use crate::backbone::families::loader::{Loader, as_i64};
use crate::backbone::families::parameter::Parameter;
use crate::error::Error;

/// A convolution by square kernels, before its weights are loaded.
#[derive(Clone, Copy, Debug)]
pub struct Convolution {
    n_in: usize,
    n_out: usize,
    kernel_size: usize,
    stride: usize,
    padding: usize,
    groups: usize,
    bias: bool,
}

impl Convolution {
    /// Without bias, one pixel at a time; an odd kernel is centred on each pixel of the image.
    pub fn new(n_in: usize, n_out: usize, kernel_size: usize) -> Self {
        Self {
            n_in,
            n_out,
            kernel_size,
            stride: 1,
            padding: kernel_size.saturating_sub(1) / 2,
            groups: 1,
            bias: false,
        }
    }

    /// Of each channel by itself.
    pub fn depthwise(channels: usize, kernel_size: usize) -> Self {
        Self::new(channels, channels, kernel_size).groups(channels)
    }

    /// Of windows that lie side by side; an incomplete one at the right or lower border is left out.
    pub fn patches(n_in: usize, n_out: usize, patch_size: usize) -> Self {
        Self {
            padding: 0,
            ..Self::new(n_in, n_out, patch_size).stride(patch_size)
        }
    }

    pub fn stride(self, stride: usize) -> Self {
        Self { stride, ..self }
    }

    pub fn groups(self, groups: usize) -> Self {
        Self { groups, ..self }
    }

    pub fn bias(self, bias: bool) -> Self {
        Self { bias, ..self }
    }

    pub fn load(self, loader: &Loader<'_>) -> Result<Conv2d, Error> {
        let n_in = self.n_in / self.groups;
        let shape = [self.n_out, n_in, self.kernel_size, self.kernel_size];
        let init = keeping_scale(n_in * self.kernel_size * self.kernel_size);
        let weight = loader.product("weight", &shape, init)?;
        let bias = (self.bias).then(|| loader.product("bias", &[self.n_out], Init::Zeros));
        Ok(Conv2d {
            weight,
            bias: bias.transpose()?,
            convolution: self,
        })
    }
}

/// A convolution by square kernels, with zeros around the image.
pub struct Conv2d {
    weight: Parameter,
    bias: Option<Parameter>,
    convolution: Convolution,
}

impl Conv2d {
    /// `x`: `[b, n_in, h, w]`; gives `[b, n_out, h/stride, w/stride]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        x.f_to_kind(self.weight.f_kind()?)?.f_conv2d(
            &self.weight,
            self.bias.as_deref(),
            [as_i64(self.convolution.stride); 2],
            [as_i64(self.convolution.padding); 2],
            [1, 1],
            as_i64(self.convolution.groups),
        )
    }
}

/// Normalisation of each channel by the mean and the variance that it had in training.
pub struct BatchNorm2d {
    weight: Parameter,
    bias: Parameter,
    running_mean: Parameter,
    running_var: Parameter,
    eps: f64,
}

impl BatchNorm2d {
    pub fn load(loader: &Loader<'_>, channels: usize, eps: f64) -> Result<Self, Error> {
        let shape = [channels];
        Ok(Self {
            weight: loader.f32("weight", &shape, Init::Ones)?,
            bias: loader.f32("bias", &shape, Init::Zeros)?,
            running_mean: loader.buffer("running_mean", &shape, Init::Zeros)?,
            running_var: loader.buffer("running_var", &shape, Init::Ones)?,
            eps,
        })
    }

    /// `x`: `[b, c, h, w]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        x.f_batch_norm(
            Some(&*self.weight),
            Some(&*self.bias),
            Some(&*self.running_mean),
            Some(&*self.running_var),
            false,
            0.0,
            self.eps,
            true,
        )
    }
}

/// A convolution, then a batch normalisation.
pub struct ConvNorm {
    conv: Conv2d,
    norm: BatchNorm2d,
}

impl ConvNorm {
    /// `conv` and `norm` are the names of its two halves.
    pub fn load(
        loader: &Loader<'_>,
        convolution: Convolution,
        [conv, norm]: [&str; 2],
        eps: f64,
    ) -> Result<Self, Error> {
        Ok(Self {
            conv: convolution.load(&loader.at(conv))?,
            norm: BatchNorm2d::load(&loader.at(norm), convolution.n_out, eps)?,
        })
    }

    /// `x`: `[b, n_in, h, w]`; gives `[b, n_out, h/stride, w/stride]`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        self.norm.forward(&self.conv.forward(x)?)
    }
}

/// `[b, c, h, w]` to `[b, h, w, c]`, without moving a value.
pub fn channels_last(x: &Tensor) -> Result<Tensor, TchError> {
    x.f_permute([0, 2, 3, 1])
}

/// `[b, h, w, c]` to `[b, c, h, w]`, without moving a value.
pub fn channels_first(x: &Tensor) -> Result<Tensor, TchError> {
    x.f_permute([0, 3, 1, 2])
}

/// Lays the channels of a pixel side by side in memory, where convolutions read them fastest.
///
/// `x`: `[b, c, h, w]`, whose shape stays.
pub fn interleaved(x: &Tensor) -> Result<Tensor, TchError> {
    channels_first(&channels_last(x)?.f_contiguous()?)
}
