//! Why bytes are not an image that we can read.

use super::header::MAX_PIXELS;

/// Why bytes are not an image we can read; the caller adds which image.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No bytes at all.
    #[error("empty file")]
    Empty,
    /// The magic bytes are not those of a JPEG.
    #[error("not a JPEG (starts with `{start}`: {kind})")]
    NotJpeg {
        /// The first bytes, escaped.
        start: String,
        /// What they are known to be, with its article.
        kind: &'static str,
    },
    /// A kind of JPEG that is not read.
    #[error("JPEG with {0}, which is not supported")]
    Unsupported(&'static str),
    /// More than [`MAX_PIXELS`] pixels.
    #[error("image of {width} × {height} pixels, at most {MAX_PIXELS} in all are read")]
    TooLarge {
        /// Pixels per row, as the header says.
        width: usize,
        /// Number of rows, as the header says.
        height: usize,
    },
    /// The data ends before the image does.
    #[error("truncated JPEG data")]
    Truncated,
    /// The data breaks the format.
    #[error("corrupt JPEG data: {found}")]
    Corrupt {
        /// What is wrong, by us or by libjpeg.
        found: String,
    },
}

impl Error {
    /// One action that helps.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Empty | Self::Truncated | Self::Corrupt { .. } => {
                "get the file again, the copy is damaged"
            }
            Self::NotJpeg { .. } | Self::Unsupported(_) => "convert the file to a baseline JPEG",
            Self::TooLarge { .. } => "scale the image down",
        };
        Some(hint.to_owned())
    }

    pub(super) fn corrupt(found: impl Into<String>) -> Self {
        Self::Corrupt {
            found: found.into(),
        }
    }

    /// Names the format of `bytes` by its magic bytes.
    pub(super) fn not_jpeg(bytes: &[u8]) -> Self {
        let is = |at, magic| {
            bytes
                .get(at..)
                .is_some_and(|rest: &[u8]| rest.starts_with(magic))
        };
        let format = FORMATS.iter().find(|&&(at, magic, _)| is(at, magic));
        Self::NotJpeg {
            start: bytes[..bytes.len().min(4)].escape_ascii().to_string(),
            kind: format.map_or("no format known here", |&(_, _, kind)| kind),
        }
    }
}

/// What is found under a name that ends in `.jpg`: where the magic bytes are, and what they mean.
const FORMATS: [(usize, &[u8], &str); 10] = [
    (0, b"\x89PNG", "a PNG image"),
    (0, b"GIF8", "a GIF image"),
    (8, b"WEBP", "a WebP image"),
    (0, b"BM", "a BMP image"),
    (0, b"II*\0", "a TIFF image"),
    (0, b"MM\0*", "a TIFF image"),
    (4, b"ftyp", "a HEIF or AVIF image"),
    (4, b"jP  ", "a JPEG 2000 image"),
    (0, b"version https://git-lfs", "a Git LFS pointer"),
    (0, b"<", "an HTML or XML page"),
];

#[cfg(test)]
mod tests {
    use super::super::{check, decode};

    #[test]
    fn other_formats_are_named() {
        let cases: [(&[u8], &str); 5] = [
            (b"\x89PNG\r\n\x1a\n", "`\\x89PNG`: a PNG image"),
            (b"GIF89a", "`GIF8`: a GIF image"),
            (b"RIFF\x24\0\0\0WEBPVP8 ", "`RIFF`: a WebP image"),
            (b"<!DOCTYPE html>", "`<!DO`: an HTML or XML page"),
            (b"\xff\xd8", "`\\xff\\xd8`: no format known here"),
        ];
        for (bytes, found) in cases {
            let message = format!("not a JPEG (starts with {found})");
            assert_eq!(decode(bytes).unwrap_err().to_string(), message);
            assert_eq!(check(bytes).unwrap_err().to_string(), message);
        }
    }
}
