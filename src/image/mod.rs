//! JPEG or PNG bytes → RGB pixels → resized and cropped → normalised tensor data.
//!
//! Every step gives the bytes of the library that the checkpoints were evaluated with:
//!
//! | here | equals |
//! | --- | --- |
//! | [`decode()`] | Pillow 13 (libjpeg-turbo 3): `Image.open(f).convert("RGB")` |
//! | [`resize()`] | Pillow 13: `Image.resize(size, resample)` of an RGB image |
//! | [`Preprocessing::timm`] | timm 1.0: `create_transform(…, is_training=False)` |
//! | [`Preprocessing::open_clip`] | `open_clip` 3.3: `image_transform(…, is_train=False)` |
//! | [`Preprocessing::crop`] | those transforms before `ToTensor`, as 8-bit pixels |
//! | [`Preprocessing::apply`] | those transforms whole: torchvision 0.26, f32 |
//!
//! Ours differs, on purpose, in this:
//!
//! - Grey, CMYK and YCCK images become RGB before they are resized, whatever the library. (timm's
//!   data sets do so, too; `open_clip` converts after the crop, which shows for CMYK only.)
//! - Only JPEG and PNG are read, whatever the file's name. Pillow opens other formats; we name what was found and
//!   refuse.
//! - Where compressed data is damaged and libjpeg fills in, Pillow's vector code and our C code may
//!   fill in different pixels. The verdicts agree, but for 3 of 16,080 files damaged at random,
//!   which Pillow refused and we read.
//! - PNGs that are damaged, or break the specification, are refused. Pillow reads some of them, with black rows, with a
//!   wrong checksum or without an end.
//! - A side that would shrink to nothing keeps one pixel; the libraries raise.
//!
//! ICC profiles and the EXIF orientation are ignored, as `Image.open` ignores them.

mod decode;
mod error;
mod filter;
#[cfg(test)]
mod fuzz;
mod header;
mod passes;
mod png;
mod preprocess;
mod resize;

pub use decode::decode;
pub use error::Error;
pub use filter::Interpolation;
pub use header::{Header, MAX_PIXELS, check, check_start, header_of};
pub use preprocess::{CropRounding, OpenClipResize, Preprocessing, ResizeMode, TimmCrop};
pub use resize::resize;

/// An 8-bit RGB image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RgbImage {
    /// Pixels per row.
    pub width: usize,
    /// Number of rows.
    pub height: usize,
    /// `[height, width, 3]`, row-major.
    pub pixels: Vec<u8>,
}

/// The whole part of a number of pixels, as Python's and C's `int` take it; 0 where it is negative.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` drops the fraction and saturates"
)]
fn whole(pixels: f64) -> usize {
    pixels as usize
}
