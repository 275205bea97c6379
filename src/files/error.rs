//! Why something cannot be written, and what to do about it.

use crate::error::{Failure, Fault};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::overlap::{self, Overlap};
use super::place;

/// Why something cannot be written where it should be.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The path ends in no name, as `.` and `/` do.
    #[error("{}: ends in no name, expected a path that can be put in place whole", path.display())]
    NoName {
        /// The path.
        path: PathBuf,
    },
    /// A folder is to be written, and something else is there.
    #[error("{}: is not a folder, expected a folder or nothing", path.display())]
    NotAFolder {
        /// The path.
        path: PathBuf,
    },
    /// A file is to be written, and a folder or a device is there.
    #[error("{}: is not a regular file, expected a file or nothing", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The folder that a file should be in does not exist.
    #[error("{}: no folder `{}`, expected one to write to", path.display(), folder.display())]
    NoFolder {
        /// The file.
        path: PathBuf,
        /// The folder.
        folder: PathBuf,
    },
    /// The folder to be replaced cannot be renamed.
    #[error("{}: a file system is mounted there, expected a folder that can be renamed", path.display())]
    MountPoint {
        /// The folder.
        path: PathBuf,
    },
    /// Nothing can be made in the folder.
    #[error("{}: not writable: {source}", folder.display())]
    Unwritable {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What is in the folder to be replaced cannot be removed.
    #[error(
        "{}: what is in it cannot be removed (it belongs to {owner}, mode {mode:o}), expected a folder that can be replaced",
        path.display()
    )]
    NotRemovable {
        /// The folder.
        path: PathBuf,
        /// The user to whom the folder belongs.
        owner: String,
        /// The folder's permissions.
        mode: u32,
    },
    /// It would get in the way of what the program reads or keeps.
    #[error("{0}")]
    Overlap(Overlap),
    /// It is in its place, and a power cut may undo that.
    #[error("{}: written, but not flushed to the disk: {source}", path.display())]
    NotFlushed {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Writing failed; what was there before is still there.
    #[error("{}: not written: {source}", path.display())]
    NotWritten {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Error {
    /// The one thing to do about the error.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoName { .. } => Some("give it by its name".to_owned()),
            Self::NotAFolder { .. } => Some("choose another folder".to_owned()),
            Self::NotAFile { .. } => Some("give the path of a file".to_owned()),
            Self::NoFolder { .. } => Some("make that folder first".to_owned()),
            Self::MountPoint { .. } => Some("give a folder in it".to_owned()),
            Self::Unwritable { source, .. } => {
                let hint = place::hint(source).unwrap_or("choose a folder that you can write to");
                Some(hint.to_owned())
            }
            Self::NotRemovable { .. } => {
                Some("choose another folder, or remove that one".to_owned())
            }
            Self::Overlap(_) => Some("choose a place apart from it".to_owned()),
            Self::NotWritten { source, .. } if is_full(source.kind()) => {
                Some("free space there, or choose a folder on another file system".to_owned())
            }
            Self::NotFlushed { .. } => Some("look whether it is whole, and run again if not".to_owned()),
            Self::NotWritten { .. } => Some(
                "what was there before is still there; see to what the system says, and run again: what is in the cache is not computed again"
                    .to_owned(),
            ),
        }
    }

    /// That writing `path` failed, which leads to where it should be. A full file system is named by where it is mounted;
    /// the draft, which is gone, is not named.
    #[expect(clippy::needless_pass_by_value, reason = "taken as `map_err` gives it")]
    pub fn not_written(path: &Path, source: io::Error) -> Self {
        let kind = source.kind();
        let source = if is_full(kind) {
            let mount = mount_of(path);
            let full = format!("{kind} on the file system at `{}`", mount.display());
            io::Error::new(kind, full)
        } else if kind == io::ErrorKind::FileTooLarge {
            kind.into()
        } else {
            io::Error::new(kind, bare(&source))
        };
        Self::NotWritten {
            path: path.to_owned(),
            source,
        }
    }

    /// That nothing can be made in `folder`, in which `path` should be.
    pub(super) fn unwritable(path: &Path, folder: &Path, source: io::Error) -> Self {
        if is_full(source.kind()) {
            return Self::not_written(path, source);
        }
        Self::Unwritable {
            folder: folder.to_owned(),
            source,
        }
    }
}

/// What the system said, which `fs_err` puts behind its own words and the paths and gives in no other way.
fn bare(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(": ") {
        Some((_, said)) => said.to_owned(),
        None => text,
    }
}

/// Whether an error says that there is no room.
fn is_full(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// Where the file system is mounted that `path` is on, or would be.
fn mount_of(path: &Path) -> PathBuf {
    let path = overlap::real_from_root(path).unwrap_or_else(|_| path.to_owned());
    let device = |folder: &Path| Some(fs_err::metadata(folder).ok()?.dev());
    let mut folders = path.ancestors().filter(|folder| device(folder).is_some());
    let Some(first) = folders.next() else {
        return path;
    };
    let is_on_it = |folder: &&Path| device(folder) == device(first);
    folders
        .take_while(is_on_it)
        .last()
        .unwrap_or(first)
        .to_owned()
}

impl Failure for Error {
    fn hint(&self) -> Option<String> {
        self.hint()
    }

    fn fault(&self) -> Fault {
        match self {
            Self::NotWritten { .. } | Self::NotFlushed { .. } => Fault::Machine,
            _ => Fault::Request,
        }
    }
}

/// What the file system says; whoever makes it sees to it that it names the file.
impl Failure for io::Error {
    fn hint(&self) -> Option<String> {
        match place::hint(self) {
            Some(hint) => Some(hint.to_owned()),
            None if self.kind() == io::ErrorKind::NotFound => Some(CHECK_PATH.to_owned()),
            None => None,
        }
    }

    fn fault(&self) -> Fault {
        if place::hint(self).is_some() {
            Fault::Request
        } else {
            Fault::Machine
        }
    }
}

const CHECK_PATH: &str = "check the path; a relative one starts at the working folder, and in a pipeline file at the folder of the file";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_file_system_is_named_and_the_draft_is_not() {
        let path = Path::new("/proc/self/no/such/results");
        let draft = "failed to write `.results.draft-1`";
        let said = |kind| {
            let error = Error::not_written(path, io::Error::new(kind, draft));
            (error.to_string(), error.hint())
        };
        let again = "what was there before is still there; see to what the system says, and run again: what is in the cache is not computed again";
        let hint = "free space there, or choose a folder on another file system";
        assert_eq!(
            said(io::ErrorKind::StorageFull),
            (
                "/proc/self/no/such/results: not written: no storage space on the file system at `/proc`"
                    .to_owned(),
                Some(hint.to_owned())
            )
        );
        assert_eq!(
            said(io::ErrorKind::QuotaExceeded).0,
            "/proc/self/no/such/results: not written: quota exceeded on the file system at `/proc`"
        );
        assert_eq!(
            said(io::ErrorKind::FileTooLarge),
            (
                "/proc/self/no/such/results: not written: file too large".to_owned(),
                Some(again.to_owned())
            )
        );
        let dir = tempfile::tempdir().unwrap();
        let failed = fs_err::rename(dir.path().join(".results.draft-1"), dir.path().join("b"));
        assert_eq!(
            Error::not_written(path, failed.unwrap_err()).to_string(),
            "/proc/self/no/such/results: not written: No such file or directory (os error 2)"
        );
        // Found before anything is computed, it is the machine's fault as well.
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let error = Error::unwritable(path, Path::new("/proc"), full);
        assert!(matches!(error, Error::NotWritten { .. }));
    }
}
