//! Why the data set cannot be fetched, and how it is said.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::error::{Failure, Fault};
use crate::files;
use crate::hub;
use crate::interrupt::Stopped;
use crate::text::{count, foreign, path as shown, thousands};

/// Why the data set is not there.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address to fetch from is not a web address, or has parts that it may not have.
    #[error("mirror `{mirror}`: {what}, expected an address like `https://host/folder`")]
    Mirror {
        /// The address, without what may be a password.
        mirror: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Nothing may be asked of the network, and something is missing.
    #[error(
        "{}: no `{content}`, and nothing is fetched in offline mode",
        shown(root)
    )]
    Offline {
        /// The data root.
        root: PathBuf,
        /// What is missing.
        content: &'static str,
        /// The archive that holds it.
        archive: &'static str,
    },
    /// The transfer failed, or brought other bytes.
    #[error(transparent)]
    Transfer(hub::Error),
    /// An archive that lies in the folder is another.
    #[error("{}: has SHA-256 {found}, expected {expected}", shown(path))]
    OtherArchive {
        /// The archive.
        path: PathBuf,
        /// Its digest.
        found: String,
        /// The digest that it should have.
        expected: String,
    },
    /// An archive holds something that it should not.
    #[error("{archive}: entry `{entry}` {what}")]
    Entry {
        /// The archive.
        archive: Origin,
        /// The entry's name.
        entry: String,
        /// What is found and what was expected.
        what: String,
    },
    /// An archive cannot be read.
    #[error(
        "{archive}: damaged: {}, expected a gzipped tar archive",
        foreign(what)
    )]
    Damaged {
        /// The archive.
        archive: Origin,
        /// What its reader said.
        what: String,
        /// Whether its compressed bytes end before their end is told: it may have been cut.
        is_cut: bool,
    },
    /// The folder of images is there, and lacks some of them.
    #[error(
        "{}: {} of {} images are missing, such as `{}.jpg`",
        shown(dir), thousands(*n_missing as u64), thousands(*n_images as u64), foreign(first)
    )]
    Incomplete {
        /// The folder of images.
        dir: PathBuf,
        /// How many are missing.
        n_missing: usize,
        /// How many the labels name.
        n_images: usize,
        /// The id of the first one.
        first: String,
    },
    /// The labels name images that the archive, which was just unpacked, does not hold.
    #[error(
        "{}: names {} images, of which the archive lacks {}, such as `{}.jpg`",
        shown(labels), thousands(*n_images as u64), thousands(*n_missing as u64), foreign(first)
    )]
    NotInArchive {
        /// The labels file.
        labels: PathBuf,
        /// How many are missing.
        n_missing: usize,
        /// How many the labels name.
        n_images: usize,
        /// The id of the first one.
        first: String,
    },
    /// The labels that lie in the folder are those of another data set; NeWT's images are not fetched for them.
    #[error(
        "{}: has {} that NeWT does not have, expected NeWT's labels",
        shown(path), count(*n_other_tasks, "task", "tasks")
    )]
    LabelsOfOthers {
        /// The labels file.
        path: PathBuf,
        /// How many tasks it has that are none of NeWT's.
        n_other_tasks: usize,
    },
    /// The folder cannot be written to.
    #[error(transparent)]
    Folder(#[from] crate::error::Error),
    /// A stop was asked for; what has arrived by then is kept.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// The file system failed; the message names the file.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Where an archive that is refused comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// From the network; its name.
    Network(&'static str),
    /// From the data root, where somebody has put it; its path. It is never removed.
    Folder(PathBuf),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(name) => f.write_str(name),
            Self::Folder(path) => f.write_str(&shown(path)),
        }
    }
}

impl From<hub::Error> for Error {
    fn from(error: hub::Error) -> Self {
        match error {
            hub::Error::Stopped(stopped) => Self::Stopped(stopped),
            hub::Error::Io(error) => Self::Io(error),
            error => Self::Transfer(error),
        }
    }
}

impl Error {
    /// Whether the bytes themselves are wrong, so that going on with them would end the same way.
    pub(super) fn is_about_bytes(&self) -> bool {
        matches!(
            self,
            Self::Entry { .. }
                | Self::Damaged { .. }
                | Self::Transfer(
                    hub::Error::Size { .. }
                        | hub::Error::TooLarge { .. }
                        | hub::Error::Unannounced { .. }
                        | hub::Error::Digest { .. }
                )
        )
    }

    /// One action that helps.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Mirror { .. } => {
                "give `--mirror` the address of the folder that holds both archives; archives on this machine need no mirror: put them into the data root"
            }
            Self::Offline { root, archive, .. } => {
                return Some(format!(
                    "run `newt-pipe data fetch` where there is a network, without `--offline` and `HF_HUB_OFFLINE`, or put the archive `{archive}` into {}",
                    shown(root)
                ));
            }
            Self::OtherArchive { path, .. } => {
                return Some(format!(
                    "remove or rename {}, and the same command fetches the archive anew",
                    shown(path)
                ));
            }
            // Its digest is right, so the same bytes might be fetched anew: no more is promised.
            Self::Entry {
                archive: Origin::Folder(path),
                ..
            }
            | Self::Damaged {
                archive: Origin::Folder(path),
                ..
            } => return Some(format!("remove or rename {}", shown(path))),
            Self::Transfer(hub::Error::Unreachable { .. } | hub::Error::Slow { .. }) => {
                "check the network and `HTTPS_PROXY`; the same command goes on where it was"
            }
            Self::Transfer(hub::Error::Status {
                status: 403 | 404, ..
            }) => "the archive is not there: `--mirror URL` takes another address",
            Self::Transfer(hub::Error::Status { .. }) => {
                "try again later: the same command goes on where it was"
            }
            Self::Transfer(hub::Error::Answer { .. }) => {
                "a proxy may have answered: open the address in a browser, or use another with `--mirror URL`"
            }
            Self::Transfer(_) | Self::Entry { .. } | Self::Damaged { .. } => {
                "nothing of the archive is kept, and the same command fetches it anew; `--mirror URL` takes another address"
            }
            Self::Incomplete { dir, .. } => {
                return Some(format!(
                    "move {} away, and the same command fetches all of them",
                    shown(dir)
                ));
            }
            Self::NotInArchive { labels: path, .. } | Self::LabelsOfOthers { path, .. } => {
                return Some(format!(
                    "move {} away, or choose another folder for NeWT",
                    shown(path)
                ));
            }
            Self::Io(source) => return hint_of_io(source).map(str::to_owned),
            Self::Folder(error) => {
                return match error.is_a::<files::NotWritten>() {
                    Some(error) => hint_of_io(&error.source).map(str::to_owned),
                    None => error.hint(),
                };
            }
            Self::Stopped(_) => "what has arrived is kept; the same command goes on from there",
        };
        Some(hint.to_owned())
    }

    /// 2 where something was asked for that cannot be; 3 where the data are bad, in the folder or as received; 1 where
    /// the network or the machine failed.
    pub fn whose(&self) -> Fault {
        match self {
            Self::Stopped(stopped) => stopped.fault(),
            error if error.is_about_bytes() => Fault::Data,
            Self::Transfer(error) => error.whose(),
            Self::OtherArchive { .. }
            | Self::Entry { .. }
            | Self::Damaged { .. }
            | Self::Incomplete { .. }
            | Self::NotInArchive { .. }
            | Self::LabelsOfOthers { .. } => Fault::Data,
            Self::Offline { .. } | Self::Io(_) => Fault::Machine,
            Self::Folder(error) => error.fault(),
            Self::Mirror { .. } => Fault::Request,
        }
    }
}

fn hint_of_io(error: &io::Error) -> Option<&'static str> {
    if let Some(hint) = hub::hint_of_occupied(error).or_else(|| files::hint(error)) {
        return Some(hint);
    }
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            Some(
                "free some space there (archive and images take 8 GB together), and the same command goes on",
            )
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            Some("choose a folder that you can write to")
        }
        _ => None,
    }
}

impl Failure for Error {
    fn hint(&self) -> Option<String> {
        self.hint()
    }

    fn fault(&self) -> Fault {
        self.whose()
    }
}
