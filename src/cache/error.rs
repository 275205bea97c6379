//! What can go wrong in the store, and what to do about it.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{Digest, layout, mend};
use crate::error::{Failure, Fault};
use crate::files;
use crate::text::{self, foreign, thousands};

/// Errors of the store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder was made by a program with another idea of its layout.
    #[error(
        "cache {}: layout `{found}`, this program reads and writes layout `{expected}`",
        text::path(dir)
    )]
    OtherLayout {
        /// The cache folder.
        dir: PathBuf,
        /// The layout version in the folder.
        found: u32,
        /// The only layout version this program knows.
        expected: u32,
    },

    /// The folder holds something else.
    #[error("cache {}: the folder holds `{example}`, expected an empty folder or a newt-pipe cache", text::path(dir), example = foreign(example))]
    NotACache {
        /// The folder.
        dir: PathBuf,
        /// The first entry, by name, that is not ours.
        example: String,
    },

    /// The folder cannot be made, or nothing can be written to it.
    #[error("cache {}: not writable: {source}", text::path(dir))]
    Unwritable {
        /// The cache folder.
        dir: PathBuf,
        /// What the system said.
        source: io::Error,
    },

    /// The disk or the quota is full, or the file is larger than the system allows.
    #[error("{}: not written, {}", text::path(path), source.kind())]
    DiskFull {
        /// The file that was to be written; nothing of it is left.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },

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

    /// Something else is in the place of a file of the cache.
    #[error("{source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is there; names the file.
        source: io::Error,
    },

    /// Text that should be a digest or a key is not.
    #[error("`{text}`: {n} bytes of text, expected 64 lower-case hexadecimal digits", n = text.len(), text = foreign(text))]
    NotHex {
        /// The text.
        text: String,
    },

    /// Any other failure of the file system; the message names the file.
    #[error(transparent)]
    Io(io::Error),
}

impl Error {
    /// The one thing to do about the error.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotACache { .. } => Some("choose another folder with `--cache-dir`".to_owned()),
            Self::OtherLayout { dir, expected, .. } => Some(format!(
                "choose another folder with `--cache-dir`; if this is your cache and only that number is damaged, write `{expected}` into `{}`",
                text::path(dir.join(layout::FILE))
            )),
            Self::Closed { path, .. } => Some(format!(
                "have its owner run `chmod -R a+rX {}`, or choose another folder with `--cache-dir`",
                text::path(path)
            )),
            Self::Unwritable { .. } => Some(
                "set `--cache-dir` or NEWT_PIPE_CACHE to a folder that you can write to".to_owned(),
            ),
            Self::DiskFull { .. } => Some(
                "free space there or move the cache with `--cache-dir`; what was finished is kept"
                    .to_owned(),
            ),
            Self::Missing { .. } | Self::Damaged { .. } | Self::Unreadable { .. } => {
                Some("run again: what was lost is made again".to_owned())
            }
            Self::NotHex { .. } | Self::Io(_) => None,
        }
    }

    /// Whether the cache lost bytes that it can be given again.
    pub fn is_loss(&self) -> bool {
        matches!(
            self,
            Self::Missing { .. } | Self::Damaged { .. } | Self::Unreadable { .. }
        )
    }

    /// Whether something is to be made again because the cache cannot give it: lost, or closed to us.
    pub fn is_miss(&self) -> bool {
        self.is_loss() || matches!(self, Self::Closed { .. })
    }

    /// What failed while the file at `path` was being read.
    pub(super) fn reading(path: PathBuf, source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::PermissionDenied {
            // Of what is in a folder that is closed nothing can be seen.
            let seen = path
                .ancestors()
                .find_map(|path| Some((path, fs_err::metadata(path).ok()?)));
            return match seen {
                Some((path, metadata)) => Self::Closed {
                    path: path.to_owned(),
                    owner: metadata.uid(),
                    mode: metadata.mode() & 0o7777,
                },
                None => Self::Io(source),
            };
        }
        if mend::is_damage(&path, &source) {
            let source = mend::named(&path, source);
            Self::Unreadable { path, source }
        } else {
            Self::Io(source)
        }
    }

    /// What failed while `path` in the cache at `root` was being written.
    pub(super) fn writing(root: &Path, path: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => Self::DiskFull {
                path: path.to_path_buf(),
                source,
            },
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::Unwritable {
                    dir: root.to_path_buf(),
                    source,
                }
            }
            _ => Self::Io(source),
        }
    }

    /// What failed while the tree of the cache at `root` was being made.
    pub(super) fn unwritable(root: &Path, source: io::Error) -> Self {
        match Self::writing(root, root, source) {
            Self::Io(source) => Self::Unwritable {
                dir: root.to_path_buf(),
                source,
            },
            other => other,
        }
    }
}

impl Failure for Error {
    fn hint(&self) -> Option<String> {
        self.hint()
    }

    fn fault(&self) -> Fault {
        Fault::Machine
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_and_a_closed_folder_are_told_apart() {
        let root = Path::new("/c");
        let path = Path::new("/c/objects/ab/cd");
        for code in [libc::ENOSPC, libc::EDQUOT, libc::EFBIG] {
            let error = Error::writing(root, path, io::Error::from_raw_os_error(code));
            assert!(matches!(&error, Error::DiskFull { path: p, .. } if p == path));
            let hint = error.hint().unwrap();
            assert!(hint.contains("--cache-dir") && hint.contains("free space"));
        }
        for code in [libc::EACCES, libc::EROFS] {
            let error = Error::writing(root, path, io::Error::from_raw_os_error(code));
            assert!(matches!(&error, Error::Unwritable { dir, .. } if dir == root));
        }
        let error = Error::writing(root, path, io::Error::from_raw_os_error(libc::EIO));
        assert!(matches!(error, Error::Io(_)));
    }
}
