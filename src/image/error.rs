//! Why bytes are not an image that we can read.

use super::header::MAX_PIXELS;

/// The formats that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "UPPERCASE")]
pub enum Format {
    /// By libjpeg.
    Jpeg,
    /// By the crate `png`.
    Png,
}

/// Why bytes are not an image we can read; the caller adds which image.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No bytes at all.
    #[error("empty file")]
    Empty,
    /// The magic bytes are those of neither format.
    #[error("neither JPEG nor PNG (starts with `{start}`: {kind})")]
    OtherFormat {
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
    #[error("truncated {0} data")]
    Truncated(Format),
    /// The data breaks the format.
    #[error("corrupt {format} data: {found}")]
    Corrupt {
        /// The format.
        format: Format,
        /// What is wrong, by us or by the decoder.
        found: String,
    },
}

impl Error {
    /// One action that helps.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Empty | Self::Truncated(_) | Self::Corrupt { .. } => {
                "get the file again, the copy is damaged"
            }
            Self::OtherFormat { .. } | Self::Unsupported(_) => {
                "convert the file to a baseline JPEG"
            }
            Self::TooLarge { .. } => "scale the image down",
        }
    }

    /// A JPEG that breaks the format.
    pub fn corrupt(found: impl Into<String>) -> Self {
        Self::Corrupt {
            format: Format::Jpeg,
            found: found.into(),
        }
    }

    /// Names the format of `bytes` by its magic bytes.
    pub fn other_format(bytes: &[u8]) -> Self {
        let is = |at, magic| {
            bytes
                .get(at..)
                .is_some_and(|rest: &[u8]| rest.starts_with(magic))
        };
        let format = FORMATS.iter().find(|&&(at, magic, _)| is(at, magic));
        Self::OtherFormat {
            start: bytes[..bytes.len().min(4)].escape_ascii().to_string(),
            kind: format.map_or("no format known here", |&(_, _, kind)| kind),
        }
    }
}

/// What is found under a name that ends in `.jpg`: where the magic bytes are, and what they mean.
const FORMATS: [(usize, &[u8], &str); 9] = [
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
        let cases: [(&[u8], &str); 4] = [
            (b"GIF89a", "`GIF8`: a GIF image"),
            (b"RIFF\x24\0\0\0WEBPVP8 ", "`RIFF`: a WebP image"),
            (b"<!DOCTYPE html>", "`<!DO`: an HTML or XML page"),
            (b"\xff\xd8", "`\\xff\\xd8`: no format known here"),
        ];
        for (bytes, found) in cases {
            let message = format!("neither JPEG nor PNG (starts with {found})");
            assert_eq!(decode(bytes).unwrap_err().to_string(), message);
            assert_eq!(check(bytes).unwrap_err().to_string(), message);
        }
    }
}
