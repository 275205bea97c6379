//! What can go wrong in the store, and what to do about it.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{Digest, damage};
use crate::error::{Error, Failure, Fault, Message};
use crate::files;
use crate::text::{self, thousands};

/// What the cache cannot give.
#[derive(Debug, thiserror::Error)]
pub enum Unavailable {
    /// No object has this digest.
    #[error("cache object {}…: missing at {}", digest.short(), text::path(path))]
    Missing {
        /// The digest that was asked for.
        digest: Digest,
        /// Where the object would be.
        path: PathBuf,
    },

    /// The bytes of an object or a shard are no longer those that were written.
    #[error(
        "cache object {}…: {} bytes with digest {}… at {}, expected digest {}…",
        digest.short(), thousands(*bytes), found.short(), text::path(path), digest.short()
    )]
    Damaged {
        /// The digest that was asked for.
        digest: Digest,
        /// The digest of what is there.
        found: Digest,
        /// The number of bytes that are there.
        bytes: u64,
        /// Where the object is.
        path: PathBuf,
    },

    /// Something else is in the place of a file of the cache, as the text says.
    #[error("{0}")]
    Unreadable(String),

    /// A file or a folder of the cache is closed to us: no damage, but somebody's.
    #[error(
        "{}: cannot be read (it belongs to {}, mode {mode:o}), expected one that is open to you",
        text::path(path), files::user_name(*owner)
    )]
    Closed {
        /// The file, or the folder that it is in.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who may do what with it.
        mode: u32,
    },
}

impl Failure for Unavailable {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Closed { path, .. } => format!(
                "have its owner run `chmod -R a+rX {}`, or choose another folder with `--cache-dir`",
                text::path(path)
            ),
            _ => "run again: what was lost is made again".to_owned(),
        })
    }

    fn fault(&self) -> Fault {
        Fault::Machine
    }
}

/// Whether an error says that the cache lost bytes that it can be given again.
pub fn is_loss(error: &Error) -> bool {
    is_miss(error) && !matches!(error.is_a(), Some(Unavailable::Closed { .. }))
}

/// Whether an error says that something is to be made again because the cache cannot give it: lost, or closed to us.
pub fn is_miss(error: &Error) -> bool {
    error.is_a::<Unavailable>().is_some()
}

/// What failed while the file at `path` was being read.
pub fn reading(path: &Path, source: &io::Error) -> Error {
    if source.kind() == io::ErrorKind::PermissionDenied {
        // Of what is in a folder that is closed nothing can be seen.
        let seen = path
            .ancestors()
            .find_map(|path| Some((path, fs_err::metadata(path).ok()?)));
        if let Some((path, metadata)) = seen {
            return Unavailable::Closed {
                path: path.to_owned(),
                owner: metadata.uid(),
                mode: metadata.mode() & 0o7777,
            }
            .into();
        }
    }
    match damage::of(path, source) {
        Some(what) => Unavailable::Unreadable(what).into(),
        None => Message::machine(source.to_string()).into(),
    }
}

/// What failed while `path` in the cache at `root` was being written.
pub fn writing(root: &Path, path: &Path, source: &io::Error) -> Message {
    match source.kind() {
        kind if is_full(kind) => {
            Message::machine(format!("{}: not written, {kind}", text::path(path))).hint(
                "free space there or move the cache with `--cache-dir`; what was finished is kept",
            )
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => closed(root, source),
        _ => Message::machine(source.to_string()),
    }
}

/// What failed while the tree of the cache at `root` was being made.
pub fn unwritable(root: &Path, source: &io::Error) -> Message {
    if is_full(source.kind()) {
        writing(root, root, source)
    } else {
        closed(root, source)
    }
}

/// Whether an error says that there is no room for a file.
fn is_full(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(kind, StorageFull | QuotaExceeded | FileTooLarge)
}

/// That nothing can be written to the cache at `root`, and why.
pub fn closed(root: &Path, why: impl std::fmt::Display) -> Message {
    Message::machine(format!("cache {}: not writable: {why}", text::path(root)))
        .hint("set `--cache-dir` or NEWT_PIPE_CACHE to a folder that you can write to")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_and_a_closed_folder_are_told_apart() {
        let root = Path::new("/c");
        let path = Path::new("/c/objects/ab/cd");
        for code in [libc::ENOSPC, libc::EDQUOT, libc::EFBIG] {
            let error = writing(root, path, &io::Error::from_raw_os_error(code));
            assert!(
                error
                    .to_string()
                    .starts_with("/c/objects/ab/cd: not written, ")
            );
            let hint = Failure::hint(&error).unwrap();
            assert!(hint.contains("--cache-dir") && hint.contains("free space"));
        }
        for code in [libc::EACCES, libc::EROFS] {
            let error = writing(root, path, &io::Error::from_raw_os_error(code));
            assert!(error.to_string().starts_with("cache /c: not writable: "));
        }
        let error = writing(root, path, &io::Error::from_raw_os_error(libc::EIO));
        assert_eq!(Failure::hint(&error), None);
    }
}
