//! Why something cannot be read or written, and what to do about it.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::overlap;
use crate::error::{Error, Failure, Fault, Message};

/// What messages call a pipe, with a name in the file system or without one.
pub const PIPE: &str = "a named pipe";

/// A path, or something in the place of a file, that cannot be read as it is; an [`io::Error`] holds it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Something that is no regular file, where one is to be read.
    #[error("{}: is {found}, expected a regular file", path.display())]
    NotRegular {
        /// The path.
        path: PathBuf,
        /// What is there, with its article.
        found: &'static str,
    },
    /// A file that is larger than anything of its kind.
    #[error("{}: {bytes} bytes, expected {max_bytes} at most", path.display())]
    TooLarge {
        /// The path.
        path: PathBuf,
        /// Its size, as far as it is known: one more than `max_bytes` for a file that grew while it was read.
        bytes: u64,
        /// The largest size that is read.
        max_bytes: u64,
    },
    /// A link that leads to nothing: where nothing is, or in a circle.
    #[error(
        "`{}` is a link to `{}`, {}",
        link.display(),
        target.display(),
        if *is_circle { "which leads in a circle" } else { "where nothing is" }
    )]
    BrokenLink {
        /// The link.
        link: PathBuf,
        /// Where it says that it leads.
        target: PathBuf,
        /// Whether it leads back to itself, or to a link that does.
        is_circle: bool,
    },
    /// A path, as it was written, in which `~user` or `$NAME` stands for nothing.
    #[error("`{}`: a user or a variable in it is not known", .0.display())]
    UnknownName(PathBuf),
}

impl Unfit {
    /// What an error of reading holds.
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NotRegular { found: PIPE, .. } => {
                "write what comes through the pipe into a file first, and give the path of that"
            }
            Self::NotRegular { .. } => "put a regular file there, or give the path of one",
            Self::TooLarge { .. } => "look whether it is the file that was meant",
            Self::BrokenLink {
                is_circle: true, ..
            } => "remove the link, or let it lead to what it should stand for",
            Self::BrokenLink { .. } => {
                "copy what the links stand for with them, as `cp -rL` and `rsync -L` do"
            }
            Self::UnknownName(_) => {
                "set the variable, or write the path without it; a name that begins with `~` is written `./~…`"
            }
        }
    }
}

impl From<Unfit> for io::Error {
    fn from(unfit: Unfit) -> Self {
        let kind = match unfit {
            Unfit::NotRegular { .. } | Unfit::UnknownName(_) => io::ErrorKind::InvalidInput,
            Unfit::TooLarge { .. } => io::ErrorKind::InvalidData,
            Unfit::BrokenLink { .. } => io::ErrorKind::NotFound,
        };
        Self::new(kind, unfit)
    }
}

/// What to do about an error that is about the path as it was written, or about what is there; `None` for others.
pub fn hint(error: &io::Error) -> Option<&'static str> {
    Unfit::of(error).map(Unfit::hint)
}

/// Writing failed; what was there before is still there.
#[derive(Debug, thiserror::Error)]
#[error("{}: not written: {source}", path.display())]
pub struct NotWritten {
    /// The file or folder.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

impl NotWritten {
    /// That writing `path` failed, which leads to where it should be. A full file system is named by where it is mounted;
    /// the draft, which is gone, is not named.
    #[expect(clippy::needless_pass_by_value, reason = "taken as `map_err` gives it")]
    pub fn new(path: &Path, source: io::Error) -> Self {
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
        Self {
            path: path.to_owned(),
            source,
        }
    }
}

impl Failure for NotWritten {
    fn hint(&self) -> Option<String> {
        let hint = if is_full(self.source.kind()) {
            "free space there, or choose a folder on another file system"
        } else {
            "what was there before is still there; see to what the system says, and run again: what is in the cache is not computed again"
        };
        Some(hint.to_owned())
    }

    fn fault(&self) -> Fault {
        Fault::Machine
    }
}

/// That nothing can be made in `folder`, in which `path` should be.
pub fn unwritable(path: &Path, folder: &Path, source: io::Error) -> Error {
    if is_full(source.kind()) {
        return NotWritten::new(path, source).into();
    }
    Message::request(format!("{}: not writable: {source}", folder.display()))
        .hint(hint(&source).unwrap_or("choose a folder that you can write to"))
        .into()
}

/// That a folder is to be written, and something else is there.
pub fn not_a_folder(path: &Path) -> Message {
    let path = path.display();
    Message::request(format!(
        "{path}: is not a folder, expected a folder or nothing"
    ))
    .hint("choose another folder")
}

/// That a path ends in no name, as `.` and `/` do.
pub fn no_name(path: &Path) -> Message {
    let path = path.display();
    Message::request(format!(
        "{path}: ends in no name, expected a path that can be put in place whole"
    ))
    .hint("give it by its name")
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

/// What the file system says; whoever makes it sees to it that it names the file.
impl Failure for io::Error {
    fn hint(&self) -> Option<String> {
        match hint(self) {
            Some(hint) => Some(hint.to_owned()),
            None if self.kind() == io::ErrorKind::NotFound => Some(CHECK_PATH.to_owned()),
            None => None,
        }
    }

    fn fault(&self) -> Fault {
        if hint(self).is_some() || self.kind() == io::ErrorKind::NotFound {
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
            let error = NotWritten::new(path, io::Error::new(kind, draft));
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
            NotWritten::new(path, failed.unwrap_err()).to_string(),
            "/proc/self/no/such/results: not written: No such file or directory (os error 2)"
        );
        // Found before anything is computed, it is the machine's fault as well.
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let error = unwritable(path, Path::new("/proc"), full);
        assert!(error.is_a::<NotWritten>().is_some());
    }
}
