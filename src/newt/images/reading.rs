//! Reading the file of an image, or saying why it is none.

use std::io::{self, ErrorKind, Read};
use std::path::Path;

use crate::files::{self, BrokenLink, NotRegular, TooLarge};
use crate::image::{self, MAX_PIXELS};
use crate::text;

/// The largest file of an image that is read. As many pixels as are decoded, not compressed at all, take eight bytes
/// each in a PNG with four samples of 16 bits; the rest is for what a file holds besides, such as a colour profile.
pub const MAX_BYTES: u64 = 8 * MAX_PIXELS as u64 + (64 << 20);

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
    BrokenLink(BrokenLink),
    /// There is a folder, a pipe or a device.
    #[error("is {0}, expected a regular file")]
    NotRegular(&'static str),
    /// It is larger than any image that is read.
    #[error("file of {}, at most {} are read", text::bytes(*bytes), text::bytes(MAX_BYTES))]
    TooLarge {
        /// Its size.
        bytes: u64,
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
        if let Some(link) = BrokenLink::on_the_way(path) {
            return Self::BrokenLink(link);
        }
        let inner = error.get_ref();
        let not_regular = |error: &NotRegular| Self::NotRegular(error.found);
        let too_large = |error: &TooLarge| Self::TooLarge { bytes: error.bytes };
        inner
            .and_then(|inner| inner.downcast_ref().map(not_regular))
            .or_else(|| inner.and_then(|inner| inner.downcast_ref().map(too_large)))
            .unwrap_or(match error.kind() {
                ErrorKind::NotFound => Self::Missing,
                kind => Self::Unreadable(kind),
            })
    }

    /// One action that helps.
    pub fn hint(&self) -> String {
        let hint = match self {
            Self::Missing => {
                "unpack the images again; `newt-pipe data check DIR` lists what is missing"
            }
            Self::BrokenLink(link) => link.hint(),
            Self::NotRegular(_) => "put the image itself there",
            Self::TooLarge { .. } => "get the file again, this is no image",
            Self::Unreadable(ErrorKind::PermissionDenied) => "let your user read the file",
            Self::Unreadable(_) => "get the file again, the file system does not give this copy",
            Self::NoImage(error) => return error.hint().unwrap_or_default(),
        };
        hint.to_owned()
    }
}

/// Makes sure that the file at `path` is no larger than an image can be, without opening it.
///
/// # Errors
/// Those of [`files::check_size`].
pub fn check_size(path: &Path) -> io::Result<()> {
    files::check_size(path, MAX_BYTES)
}

/// All bytes of an image's file; no more than the first of one that does not begin as an image does.
///
/// # Errors
/// [`Unread`].
pub fn read(path: &Path) -> Result<Vec<u8>, Unread> {
    let failed = |error| Unread::of(path, &error);
    let mut file = files::open(path).map_err(failed)?;
    let n_bytes = file.metadata().map_err(failed)?.len();
    if n_bytes > MAX_BYTES {
        return Err(Unread::TooLarge { bytes: n_bytes });
    }
    let mut bytes = Vec::with_capacity(usize::try_from(n_bytes.min(START_BYTES)).unwrap_or(0));
    let mut start = Read::by_ref(&mut file).take(START_BYTES);
    start.read_to_end(&mut bytes).map_err(failed)?;
    image::check_start(&bytes).map_err(Unread::NoImage)?;
    let rest = n_bytes.saturating_sub(bytes.len() as u64);
    bytes.reserve_exact(usize::try_from(rest).unwrap_or(0));
    // The file may be growing.
    file.take(MAX_BYTES)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    Ok(bytes)
}
