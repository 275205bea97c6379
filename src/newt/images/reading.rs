//! Reading the file of an image, or saying why it is none.

use std::io::{self, ErrorKind, Read};
use std::path::Path;

use crate::files::{self, Unfit};
use crate::image::{self, MAX_PIXELS};
use crate::interrupt::Interrupt;
use crate::text;

/// What a file of an image may hold besides its pixels, such as a colour profile.
const OTHER_BYTES: u64 = 64 << 20;

/// The largest file of an image that is read, by its number of pixels: not compressed at all, they take eight bytes each
/// in a PNG with four samples of 16 bits.
fn max_bytes(n_pixels: usize) -> u64 {
    8 * n_pixels.min(MAX_PIXELS) as u64 + OTHER_BYTES
}

/// How much of a file is looked at before the rest is read.
const START_BYTES: u64 = 64;

/// Why the file of an image is none.
#[derive(Debug, thiserror::Error)]
pub enum Unread {
    /// There is no file.
    #[error("missing")]
    Missing,
    /// There is a link to where nothing is.
    #[error("{0}")]
    BrokenLink(Unfit),
    /// There is a folder, a pipe or a device.
    #[error("is {0}, expected a regular file")]
    NotRegular(&'static str),
    /// It is larger than any image that is read.
    #[error("file of {}, at most {} are read", text::bytes(*bytes), text::bytes(*most))]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The largest size that is read.
        most: u64,
    },
    /// The file system does not give it.
    #[error("{0}")]
    Unreadable(ErrorKind),
    /// It does not begin as an image does.
    #[error(transparent)]
    NoImage(image::Error),
}

impl Unread {
    /// What an error of the file at `path` means.
    pub fn of(path: &Path, error: &io::Error) -> Self {
        if let Some(link) = files::broken_link(path) {
            return Self::BrokenLink(link);
        }
        match Unfit::of(error) {
            Some(Unfit::NotRegular { found, .. }) => Self::NotRegular(found),
            Some(&Unfit::TooLarge {
                bytes, max_bytes, ..
            }) => Self::TooLarge {
                bytes,
                most: max_bytes,
            },
            _ if error.kind() == ErrorKind::NotFound => Self::Missing,
            _ => Self::Unreadable(error.kind()),
        }
    }

    /// One action that helps.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Missing => {
                "unpack the images again; `newt-pipe data check DIR` lists what is missing"
            }
            Self::BrokenLink(link) => link.hint(),
            Self::NotRegular(_) => "put the image itself there",
            Self::TooLarge { .. } => "get the file again, this is no image",
            Self::Unreadable(ErrorKind::PermissionDenied) => "let your user read the file",
            Self::Unreadable(_) => "get the file again, the file system does not give this copy",
            Self::NoImage(error) => error.hint(),
        }
    }
}

/// Makes sure that the file at `path` is no larger than an image can be, without opening it.
///
/// # Errors
/// As [`files::check_size`].
pub fn check_size(path: &Path) -> io::Result<()> {
    files::check_size(path, max_bytes(MAX_PIXELS))
}

/// All bytes of an image's file; no more than the first of one that does not begin as an image does, or that is larger
/// than an image of its number of pixels.
///
/// # Errors
/// [`Unread`]; [`Unread::Unreadable`] once a stop is asked for: whoever gets it asks `interrupt` for the reason.
pub fn read(path: &Path, interrupt: &Interrupt) -> Result<Vec<u8>, Unread> {
    let failed = |error| Unread::of(path, &error);
    let file = files::open(path).map_err(failed)?;
    let n_bytes = file.metadata().map_err(failed)?.len();
    let mut file = interrupt.over(file);
    let fit = |most| {
        let bytes = n_bytes;
        let error = Unread::TooLarge { bytes, most };
        if bytes > most { Err(error) } else { Ok(most) }
    };
    let mut most = fit(max_bytes(MAX_PIXELS))?;
    let mut bytes = Vec::new();
    let mut read_to = |n_bytes: u64, bytes: &mut Vec<u8>| {
        let n_more = n_bytes.saturating_sub(bytes.len() as u64);
        let mut more = Read::by_ref(&mut file).take(n_more);
        more.read_to_end(bytes).map_err(failed)
    };
    read_to(n_bytes.min(START_BYTES), &mut bytes)?;
    image::check_start(&bytes).map_err(Unread::NoImage)?;
    if n_bytes > OTHER_BYTES {
        // Each thread reads one: a few pixels in a large file would cost memory for nothing.
        read_to(OTHER_BYTES, &mut bytes)?;
        let header = image::header_of(&bytes).map_err(Unread::NoImage)?;
        most = fit(max_bytes(header.width.saturating_mul(header.height)))?;
    }
    // The file may be growing.
    bytes.reserve_exact(
        usize::try_from(n_bytes)
            .unwrap_or(0)
            .saturating_sub(bytes.len()),
    );
    read_to(most, &mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;

    /// A PNG of one pixel, and a file with nothing behind it but zeros up to that size.
    fn png(dir: &tempfile::TempDir, n_bytes: u64) -> std::path::PathBuf {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, 1, 1);
        encoder.set_color(png::ColorType::Rgb);
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(&[1, 2, 3]).unwrap();
        writer.finish().unwrap();
        let path = dir.path().join("a.jpg");
        fs_err::write(&path, bytes).unwrap();
        let file = fs_err::OpenOptions::new().write(true).open(&path).unwrap();
        file.file().set_len(n_bytes).unwrap();
        path
    }

    #[test]
    fn a_file_is_no_larger_than_its_pixels_make_it() {
        let dir = tempfile::tempdir().unwrap();
        let read = |n_bytes| read(&png(&dir, n_bytes), &Interrupt::default());
        let most = OTHER_BYTES + 8;
        assert_eq!(read(OTHER_BYTES).unwrap().len() as u64, OTHER_BYTES);
        assert_eq!(read(most).unwrap().len() as u64, most);
        // A gigabyte, which is not read.
        for n_bytes in [most + 1, 1 << 30, 1 << 40] {
            let error = read(n_bytes).unwrap_err();
            assert!(
                matches!(error, Unread::TooLarge { bytes, .. } if bytes == n_bytes),
                "{error}"
            );
        }
    }

    #[test]
    fn a_stop_is_heard_within_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = png(&dir, 1000);
        let interrupt = Interrupt::default();
        assert_eq!(read(&path, &interrupt).unwrap().len(), 1000);
        interrupt.flag().store(15, Ordering::Relaxed);
        assert!(matches!(
            read(&path, &interrupt),
            Err(Unread::Unreadable(_))
        ));
    }
}
