//! What an image says about itself before its data, read without decoding.

use super::error::Format;
use super::{Error, decode, png};

const SOI: u8 = 0xD8;
const EOI: u8 = 0xD9;
const SOS: u8 = 0xDA;

/// Images of more pixels are refused before any memory is taken for them.
///
/// Source: twice `PIL.Image.MAX_IMAGE_PIXELS`, where Pillow raises `DecompressionBombError`.
pub const MAX_PIXELS: usize = 2 * 89_478_485;

/// Size and number of colour components of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Pixels per row.
    pub width: usize,
    /// Number of rows.
    pub height: usize,
    /// Of a JPEG 1 (grey), 3 (YCbCr or RGB) or 4 (CMYK or YCCK); of a PNG the samples of a pixel.
    pub components: usize,
}

/// Tells in microseconds whether `bytes` look like a whole image that [`decode()`](super::decode())
/// can read.
///
/// Of a JPEG, checks the magic bytes, every segment up to the first scan, the size, and that an end-of-image
/// marker follows. A JPEG without that end is decoded, since Pillow reads a few of them; so no image that decodes is
/// refused. Of a PNG, checks all chunks and their checksums. Damage within the compressed data is left to `decode`.
///
/// # Errors
/// As [`decode()`](super::decode()).
pub fn check(bytes: &[u8]) -> Result<Header, Error> {
    if png::is_png(bytes) {
        return png::check(bytes);
    }
    let (header, scan) = parse(bytes)?;
    // From the end: most files have the marker in their last two bytes.
    if bytes[scan..]
        .windows(2)
        .rev()
        .any(|pair| pair == [0xFF, EOI])
    {
        return Ok(header);
    }
    decode(bytes).map(|_| header)
}

/// What an image says about itself before its data, by the beginning of its file, which need not be whole.
///
/// # Errors
/// As [`decode()`](super::decode()).
pub fn header_of(start: &[u8]) -> Result<Header, Error> {
    if png::is_png(start) {
        png::header(start)
    } else {
        Ok(parse(start)?.0)
    }
}

/// Tells by the first dozen bytes of a file whether it may be an image that is read, so that no other need be read whole.
///
/// # Errors
/// [`Error::Empty`], [`Error::OtherFormat`].
pub fn check_start(start: &[u8]) -> Result<(), Error> {
    if start.is_empty() {
        Err(Error::Empty)
    } else if png::is_png(start) || start.starts_with(&[0xFF, SOI, 0xFF]) {
        Ok(())
    } else {
        Err(Error::other_format(start))
    }
}

/// Refuses sizes of which no image is read.
pub fn check_size(width: usize, height: usize, format: Format) -> Result<(), Error> {
    match width.saturating_mul(height) {
        0 => Err(Error::Corrupt {
            format,
            found: format!("size of {width} × {height} pixels"),
        }),
        1..=MAX_PIXELS => Ok(()),
        _ => Err(Error::TooLarge { width, height }),
    }
}

/// Reads the segments before the first scan; returns the header and where the scan's data starts.
///
/// Source: `PIL.JpegImagePlugin.JpegImageFile._open`. Its leniency (junk and padding between
/// segments) is kept, and what it refuses is refused, even where libjpeg would go on.
pub fn parse(bytes: &[u8]) -> Result<(Header, usize), Error> {
    check_start(bytes)?;
    let mut header = None;
    let mut at = 2;
    loop {
        let code = match bytes.get(at..) {
            Some(&[0xFF, code, ..]) => code,
            Some(&[] | &[0xFF]) | None => return Err(Error::Truncated(Format::Jpeg)),
            Some(_) => {
                at += 1; // junk between segments
                continue;
            }
        };
        match code {
            0xFF => at += 1,                                    // padding
            0x00 | 0xC8 | 0xD0..=0xD9 | 0xF0..=0xFD => at += 2, // no segment follows
            0x01..=0xBF => return Err(Error::corrupt(format!("unknown marker 0xff{code:02x}"))),
            _ => {
                let segment = segment(bytes, at + 2)?;
                at += 4 + segment.len();
                match code {
                    SOS => {
                        let header = header
                            .ok_or_else(|| Error::corrupt("no frame before the first scan"))?;
                        return Ok((header, at));
                    }
                    0xC4 | 0xCC | 0xDB..=0xDD | 0xDF..=0xEF | 0xFE => {} // tables, data, comments
                    _ => header = Some(frame(code, segment)?),
                }
            }
        }
    }
}

/// The segment whose two bytes of length are at `at`, without them. A length below 2 is left to
/// libjpeg to judge.
fn segment(bytes: &[u8], at: usize) -> Result<&[u8], Error> {
    let Some(&[high, low, ref rest @ ..]) = bytes.get(at..) else {
        return Err(Error::Truncated(Format::Jpeg));
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    rest.get(..length.saturating_sub(2))
        .ok_or(Error::Truncated(Format::Jpeg))
}

/// Reads the frame header (SOF) of kind `code`.
fn frame(code: u8, segment: &[u8]) -> Result<Header, Error> {
    match code {
        0xC0..=0xC2 => {} // baseline, extended sequential, progressive
        0xC3 => return Err(Error::Unsupported("lossless coding")),
        0xC9 | 0xCA => return Err(Error::Unsupported("arithmetic coding")),
        _ => return Err(Error::Unsupported("hierarchical coding")),
    }
    let &[precision, h1, h0, w1, w0, components, ..] = segment else {
        return Err(Error::corrupt(format!(
            "frame header of {} bytes",
            segment.len()
        )));
    };
    if precision != 8 {
        return Err(Error::Unsupported("samples that are not 8 bits wide"));
    }
    if !matches!(components, 1 | 3 | 4) {
        return Err(Error::Unsupported("other than 1, 3 or 4 colour components"));
    }
    let height = usize::from(u16::from_be_bytes([h1, h0]));
    let width = usize::from(u16::from_be_bytes([w1, w0]));
    check_size(width, height, Format::Jpeg)?;
    Ok(Header {
        width,
        height,
        components: components.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Start, frame header of `width` × `height`, and a scan header, without data.
    fn jpeg(width: u16, height: u16) -> Vec<u8> {
        let mut bytes = vec![0xFF, SOI, 0xFF, 0xC0, 0, 11, 8];
        bytes.extend(height.to_be_bytes());
        bytes.extend(width.to_be_bytes());
        bytes.extend([1, 1, 0x11, 0, 0xFF, SOS, 0, 8, 1, 1, 0, 0, 63, 0]);
        bytes
    }

    #[test]
    fn size_is_read_and_limited_before_anything_is_decoded() {
        let (header, scan) = parse(&jpeg(300, 200)).unwrap();
        assert_eq!(
            header,
            Header {
                width: 300,
                height: 200,
                components: 1
            }
        );
        assert_eq!(scan, jpeg(300, 200).len());

        assert!(parse(&jpeg(65_500, 2_732)).is_ok());
        let error = Error::TooLarge {
            width: 65_500,
            height: 2_733,
        };
        assert_eq!(check(&jpeg(65_500, 2_733)), Err(error));
    }

    #[test]
    fn every_cut_of_the_header_is_truncated() {
        let bytes = jpeg(3, 5);
        for length in 3..bytes.len() {
            assert_eq!(
                parse(&bytes[..length]),
                Err(Error::Truncated(Format::Jpeg)),
                "{length} bytes"
            );
        }
    }

    #[test]
    fn other_codings_are_named() {
        for (code, coding) in [
            (0xC3, "lossless"),
            (0xC9, "arithmetic"),
            (0xC5, "hierarchical"),
        ] {
            let mut bytes = jpeg(3, 5);
            bytes[3] = code;
            let message = format!("JPEG with {coding} coding, which is not supported");
            assert_eq!(check(&bytes).unwrap_err().to_string(), message);
        }
    }
}
