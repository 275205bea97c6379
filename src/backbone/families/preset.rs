//! How images become the input of an architecture, where no checkpoint says otherwise: timm's `default_cfgs`.

use crate::image::{Interpolation, Preprocessing, TimmCrop};

/// timm's `default_cfgs` of an architecture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Data {
    /// `[h, w]` of an image in pixels.
    pub size: [usize; 2],
    pub crop_pct: f64,
    pub crop: TimmCrop,
    pub interpolation: Interpolation,
    pub mean: [f32; 3],
    pub std: [f32; 3],
}

/// Means and standard deviations of channels.
pub type Moments = ([f32; 3], [f32; 3]);

pub const INCEPTION: Moments = ([0.5; 3], [0.5; 3]);
pub const IMAGENET: Moments = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
#[expect(clippy::excessive_precision, reason = "the digits that OpenAI gives")]
pub const OPENAI_CLIP: Moments = (
    [0.481_454_66, 0.457_827_5, 0.408_210_73],
    [0.268_629_54, 0.261_302_58, 0.275_777_11],
);

impl Data {
    /// Resized bicubically, its centre cut out.
    pub const fn new(size: usize, crop_pct: f64, (mean, std): Moments) -> Self {
        Self {
            size: [size; 2],
            crop_pct,
            crop: TimmCrop::Center,
            interpolation: Interpolation::Bicubic,
            mean,
            std,
        }
    }

    /// Normalised by ImageNet's moments.
    pub const fn imagenet(size: usize, crop_pct: f64, interpolation: Interpolation) -> Self {
        let mut data = Self::new(size, crop_pct, IMAGENET);
        data.interpolation = interpolation;
        data
    }

    /// The whole image, whatever its shape, normalised by ImageNet's moments.
    pub const fn squashed(size: usize) -> Self {
        let mut data = Self::new(size, 1.0, IMAGENET);
        data.crop = TimmCrop::Squash;
        data
    }

    /// The transform for evaluation.
    pub fn preprocessing(&self) -> Preprocessing {
        Preprocessing::timm(
            self.size,
            self.crop_pct,
            self.crop,
            self.interpolation,
            self.mean,
            self.std,
        )
    }
}
