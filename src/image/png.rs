//! PNG bytes → RGB, with Pillow's bytes.
//!
//! The crate `png` decodes. Its verdicts are stricter than Pillow's: every chunk must be whole, in order and of the
//! right checksum, to the last one, and there must be data for every row. An animation is the image that it begins
//! with.

use std::io::{Cursor, ErrorKind};

use png::{BitDepth, ColorType, DecodeOptions, Decoder, DecodingError, Transformations};

use super::error::Format;
use super::{Error, Header, RgbImage, header};

type Reader<'a> = png::Reader<Cursor<&'a [u8]>>;

/// Whether `bytes` begin as a PNG does.
pub fn is_png(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x89PNG")
}

/// Decodes a PNG to RGB, byte for byte as `Image.open(f).convert("RGB")`.
///
/// Transparency is dropped, samples of 16 bits lose the lower eight; but those of 16-bit grey are cut off at 255, as
/// Pillow does it. Colours that the palette lacks are black.
///
/// Source: `PngImagePlugin.py`, `Unpack.c` and `Convert.c` of Pillow 13.
pub fn decode(bytes: &[u8]) -> Result<RgbImage, Error> {
    let (mut reader, Header { width, height, .. }) = open(bytes)?;
    let mut samples = vec![0; reader.output_buffer_size().unwrap_or(0)];
    let frame = reader.next_frame(&mut samples)?;
    reader.finish()?;
    let pixels = match (frame.color_type, frame.bit_depth) {
        (ColorType::Grayscale, BitDepth::Sixteen) => each(&samples, |[high, low]| {
            [if high > 0 { u8::MAX } else { low }; 3]
        }),
        (ColorType::Grayscale, _) => each(&samples, |[grey]| [grey; 3]),
        (ColorType::GrayscaleAlpha, _) => each(&samples, |[grey, _]| [grey; 3]),
        (ColorType::Rgba, _) => each(&samples, |[r, g, b, _]| [r, g, b]),
        (ColorType::Rgb | ColorType::Indexed, _) => samples,
    };
    Ok(RgbImage {
        width,
        height,
        pixels,
    })
}

/// As [`super::check`], of a PNG: looks at all chunks, and inflates none.
pub fn check(bytes: &[u8]) -> Result<Header, Error> {
    let (mut reader, header) = open(bytes)?;
    reader.finish()?;
    Ok(header)
}

/// As [`super::header_of`], of a PNG.
pub fn header(start: &[u8]) -> Result<Header, Error> {
    Ok(open(start)?.1)
}

/// Reads what stands before the data. What is decoded has samples of 8 bits and no palette, but for 16-bit grey.
fn open(bytes: &[u8]) -> Result<(Reader<'_>, Header), Error> {
    let mut options = DecodeOptions::default();
    options.set_ignore_checksums(false);
    options.set_skip_ancillary_crc_failures(false);
    let mut decoder = Decoder::new_with_options(Cursor::new(bytes), options);
    let info = decoder.read_header_info()?;
    let [width, height] =
        [info.width, info.height].map(|side| usize::try_from(side).unwrap_or(usize::MAX));
    header::check_size(width, height, Format::Png)?;
    let header = Header {
        width,
        height,
        components: info.color_type.samples(),
    };
    if (info.color_type, info.bit_depth) != (ColorType::Grayscale, BitDepth::Sixteen) {
        decoder.set_transformations(Transformations::normalize_to_color8());
    }
    let reader = decoder.read_info()?;
    let palette = reader.info().palette.as_deref().unwrap_or_default();
    // The crate panics on others.
    if palette.len().is_multiple_of(3) {
        Ok((reader, header))
    } else {
        Err(corrupt(format!("palette of {} bytes", palette.len())))
    }
}

fn corrupt(found: String) -> Error {
    Error::Corrupt {
        format: Format::Png,
        found,
    }
}

/// The pixels of `N` bytes each as RGB.
fn each<const N: usize>(samples: &[u8], rgb: impl Fn([u8; N]) -> [u8; 3]) -> Vec<u8> {
    samples
        .as_chunks()
        .0
        .iter()
        .flat_map(|pixel| rgb(*pixel))
        .collect()
}

impl From<DecodingError> for Error {
    fn from(error: DecodingError) -> Self {
        match error {
            DecodingError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => {
                Self::Truncated(Format::Png)
            }
            _ => corrupt(plain(error.to_string().trim_end_matches('.'))),
        }
    }
}

/// The crate's `message` with the name alone of the chunk that it describes.
fn plain(message: &str) -> String {
    let Some((before, chunk)) = message.split_once("ChunkType { type: ") else {
        return message.to_owned();
    };
    let (name, _) = chunk.split_once(',').unwrap_or((chunk, ""));
    let (_, after) = chunk.split_once('}').unwrap_or_default();
    format!("{before}`{name}`{after}")
}
