//! JPEG bytes → RGB, with Pillow's verdicts and Pillow's bytes.
//!
//! libjpeg runs through the `mozjpeg` crate, whose decoder is libjpeg-turbo's. It reads from a
//! [`Source`] of ours that notes when the decoder asks for bytes that are not there: the crate then
//! makes up an end-of-image marker and goes on, where Pillow reports a truncated file.

use std::any::Any;
use std::cell::Cell;
use std::io::{self, BufRead, Read};
use std::panic::{self, AssertUnwindSafe};

use mozjpeg::{ColorSpace, Decompress};

use super::error::Format;
use super::{Error, RgbImage, header, png};

/// Rows that are decoded at a time; a file that ends early costs one strip of made-up pixels.
const STRIP: usize = 16;

/// Decodes a JPEG or a PNG to RGB, byte for byte as `Image.open(f).convert("RGB")`.
///
/// Grey is replicated; CMYK and YCCK are taken as inverted, as Adobe writes them, and multiplied
/// out; ICC profiles and the EXIF orientation are ignored; so are bytes after the image.
///
/// A file that lacks only its end-of-image marker is truncated if it is progressive. If it is
/// baseline, it is read if the decoder had no need to look further than the last byte. That is
/// Pillow's rule, too, but Pillow reads blocks of 64 KiB and so looks ahead differently: of 13,936
/// cut photographs it refused 2 that are read here, whole.
///
/// # Errors
/// Each [`Error`]. Damaged data that Pillow decodes, because libjpeg fills in, decodes here, too.
///
/// Source: `JpegImagePlugin.py`, `JpegDecode.c` and `cmyk2rgb` in `Convert.c` of Pillow 13.
pub fn decode(bytes: &[u8]) -> Result<RgbImage, Error> {
    if png::is_png(bytes) {
        return png::decode(bytes);
    }
    let (header, _) = header::parse(bytes)?;
    let ran_out = Cell::new(false);
    let source = Source {
        bytes,
        ran_out: &ran_out,
    };
    let mut image = None;
    // The crate turns libjpeg's errors into unwinding by `resume_unwind`: no panic hook runs.
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| {
        let cmyk = header.components == 4;
        let colours = if cmyk {
            ColorSpace::JCS_CMYK
        } else {
            ColorSpace::JCS_RGB
        };
        let mut decoder = Decompress::builder()
            .from_reader(source)?
            .to_colorspace(colours)?;
        let (width, height) = (decoder.width(), decoder.height());

        let mut pixels = vec![0; width * height * 3];
        let mut inks = vec![0; if cmyk { width * STRIP * 4 } else { 0 }];
        for strip in pixels.chunks_mut(width * STRIP * 3) {
            if cmyk {
                let inks = decoder.read_scanlines_into(&mut inks[..strip.len() / 3 * 4])?;
                rgb_of_inverted_cmyk(inks, strip);
            } else {
                decoder.read_scanlines_into(strip)?;
            }
            if ran_out.get() {
                return Ok(());
            }
        }
        image = Some(RgbImage {
            width,
            height,
            pixels,
        });
        decoder.finish() // reads on to the end-of-image marker; damage on the way there counts
    }));
    match (outcome, image) {
        (Ok(Ok(())), Some(image)) => Ok(image),
        // Pillow asks for every row, not for the end-of-image marker after them.
        (_, Some(image)) if ran_out.get() => Ok(image),
        (Ok(Err(error)), _) if !ran_out.get() => Err(Error::corrupt(error.to_string())),
        (Err(payload), _) if !ran_out.get() => Err(Error::corrupt(libjpeg_message(&*payload))),
        _ => Err(Error::Truncated(Format::Jpeg)),
    }
}

/// libjpeg's own text out of what the `mozjpeg` crate unwinds with.
fn libjpeg_message(payload: &(dyn Any + Send)) -> String {
    let message = payload
        .downcast_ref::<String>()
        .map_or("libjpeg gave up", String::as_str);
    message
        .strip_prefix("libjpeg fatal error: ")
        .unwrap_or(message)
        .to_owned()
}

/// `[n, 4]` inverted CMYK → `[n, 3]` RGB.
///
/// Source: Pillow reads four components as `CMYK;I`, with or without an Adobe marker; `cmyk2rgb`.
fn rgb_of_inverted_cmyk(inks: &[u8], rgb: &mut [u8]) {
    for (&[c, m, y, k], rgb) in inks.as_chunks().0.iter().zip(rgb.as_chunks_mut().0) {
        *rgb = [c, m, y].map(|ink| k - mul_div_255(255 - ink, k));
    }
}

/// `a * b / 255`, rounded to nearest.
///
/// Source: `MULDIV255` of Pillow's `ImagingUtils.h`.
#[expect(clippy::cast_possible_truncation, reason = "at most 255")]
fn mul_div_255(a: u8, b: u8) -> u8 {
    let product = u32::from(a) * u32::from(b) + 128;
    (((product >> 8) + product) >> 8) as u8
}

/// The bytes of a file, and whether more of them were asked for than there are.
struct Source<'a> {
    bytes: &'a [u8],
    ran_out: &'a Cell<bool>,
}

impl BufRead for Source<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.bytes.is_empty() {
            self.ran_out.set(true);
        }
        Ok(self.bytes)
    }

    fn consume(&mut self, n: usize) {
        self.bytes.consume(n);
    }
}

impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.bytes.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn product_over_255_is_rounded_to_nearest() {
        for a in 0..=255_u8 {
            for b in 0..=255_u8 {
                let nearest = (2 * u32::from(a) * u32::from(b) + 255) / 510;
                assert_eq!(u32::from(mul_div_255(a, b)), nearest, "{a} * {b}");
            }
        }
    }
}
