//! Pixels to JPEG, in the variety of kinds that a camera roll holds.

use std::io;

use mozjpeg::{ColorSpace, Compress};

use super::canvas::Canvas;
use super::dice::Dice;

/// How a picture is compressed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Format {
    quality: u8,
    /// Width and height of a chroma sample in pixels; `None` for a grey picture.
    chroma: Option<(u8, u8)>,
    progressive: bool,
}

impl Format {
    /// Some kind of JPEG: grey ones, if allowed, are one in twelve.
    pub(super) fn choose(dice: &mut Dice, may_be_grey: bool) -> Self {
        let quality = dice.pick(&[62, 70, 75, 80, 85, 90, 94]);
        let chroma = dice.pick(&[(2, 2), (2, 2), (2, 1), (1, 1)]);
        let is_grey = dice.below(12) == 0 && may_be_grey;
        let progressive = dice.below(4) == 0;
        Self {
            quality,
            chroma: (!is_grey).then_some(chroma),
            progressive,
        }
    }

    /// The file's bytes.
    ///
    /// The settings are libjpeg's own: what `mozjpeg` adds, its trellis, works in floating point
    /// with `pow`, which differs by machine; the rest of the encoder is integer arithmetic.
    pub(super) fn encode(self, canvas: &Canvas) -> io::Result<Vec<u8>> {
        let mut jpeg = Compress::new(ColorSpace::JCS_RGB);
        jpeg.set_fastest_defaults();
        let [width, height] = canvas.size_px();
        jpeg.set_size(width, height);
        match self.chroma {
            Some(sample) => jpeg.set_chroma_sampling_pixel_sizes(sample, sample),
            None => jpeg.set_color_space(ColorSpace::JCS_GRAYSCALE),
        }
        jpeg.set_quality(f32::from(self.quality));
        jpeg.set_optimize_coding(true);
        if self.progressive {
            jpeg.set_progressive_mode();
        }
        let mut started = jpeg.start_compress(Vec::new())?;
        started.write_scanlines(&canvas.to_rgb8())?;
        started.finish()
    }
}
