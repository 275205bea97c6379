//! What can go wrong between the hub and its cache on disk, and what to do about it.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::Repo;
use super::own::hint_of_occupied;
use super::verify::kind_of;
use crate::error::{Failure, Fault};
use crate::files::{self, BrokenLink, NotRegular, TooLarge, UnknownName};
use crate::interrupt::Stopped;
use crate::text::{Listing, foreign, path as shown, thousands};

/// Errors of the hub and of its cache.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The name of a repository or of a revision is malformed.
    #[error("model repository `{}`: {what}", foreign(name))]
    Name {
        /// The name.
        name: String,
        /// What is found and what was expected.
        what: String,
    },

    /// The path of a file would lead out of the snapshot.
    #[error("{repo}: file `{}`: {what}", foreign(file))]
    FileName {
        /// The repository.
        repo: Repo,
        /// The path.
        file: String,
        /// What is found and what was expected.
        what: &'static str,
    },

    /// The address of the hub is not a web address, or has a user name before its host.
    #[error("hub `{endpoint}`: {what}, expected one like `https://huggingface.co`")]
    Endpoint {
        /// The address, without what may be a password.
        endpoint: String,
        /// What is wrong with it.
        what: &'static str,
    },

    /// The token cannot be read or sent. It is not shown.
    #[error("hub's token in {place}: {what}, expected `hf_…`")]
    Token {
        /// The variable or the file.
        place: String,
        /// Whether it is in a file.
        is_file: bool,
        /// What is wrong.
        what: String,
    },

    /// There is no folder for the hub's cache.
    #[error("hub's cache: no folder is known for it, since the user has no home folder")]
    NoCacheDir,

    /// `~user` or `$VARIABLE` in the path of the hub's cache, with no such user or variable.
    #[error("hub's cache {0}")]
    UnknownCacheDir(#[from] UnknownName),

    /// A link in the hub's cache, or the link that the cache is, leads to where nothing is.
    #[error("{what}: {link}")]
    BrokenLink {
        /// The repository, and the file if one is missing.
        what: String,
        /// The link.
        link: BrokenLink,
    },

    /// No answer, or one that broke off.
    #[error("`{}`: connection failed: {}", foreign(host), foreign(what))]
    Unreachable {
        /// The host.
        host: String,
        /// What the network said.
        what: String,
    },

    /// A server that sends, and so slowly that it would take for ever.
    #[error(
        "`{}`: {} bytes in {} s, expected {} at least",
        foreign(host), thousands(*found), window.as_secs(), thousands(*least)
    )]
    Slow {
        /// The host.
        host: String,
        /// How much came.
        found: u64,
        /// In how long.
        window: Duration,
        /// How much should have.
        least: u64,
    },

    /// Offline, and the cache does not hold what is needed.
    #[error(
        "{what}: not in the cache `{}`, and the hub is not asked in offline mode",
        shown(cache_dir)
    )]
    Offline {
        /// The repository, and the file if one is missing.
        what: String,
        /// The cache.
        cache_dir: PathBuf,
    },

    /// The hub does not give this to us.
    #[error("{repo}: the hub answered {status}, {}", if *with_token { "the token was refused or lacks access" } else { "and no token is set" })]
    Denied {
        /// The repository.
        repo: Repo,
        /// The status of the answer.
        status: u16,
        /// The page of the repository.
        page: String,
        /// Whether a token was sent.
        with_token: bool,
    },

    /// The hub has no such repository.
    #[error("{repo}: no such model on the hub")]
    NoRepo {
        /// The repository.
        repo: Repo,
        /// Where its page would be.
        page: String,
    },

    /// The repository has no such revision.
    #[error("{}: no revision `{}`", repo.name, foreign(&repo.revision))]
    NoRevision {
        /// The repository.
        repo: Repo,
        /// The page of the repository.
        page: String,
    },

    /// The repository has no such file.
    #[error("{repo}: no file `{}`", foreign(file))]
    NoFile {
        /// The repository.
        repo: Repo,
        /// The file.
        file: String,
        /// The files that are there, where they are known.
        held: Vec<String>,
    },

    /// An answer that nobody asked for.
    #[error("{url}: answered {status}, expected {expected}")]
    Status {
        /// The address.
        url: String,
        /// The status.
        status: u16,
        /// The status that would do.
        expected: &'static str,
    },

    /// An answer that is not the hub's.
    #[error("{url}: {what}")]
    Answer {
        /// The address.
        url: String,
        /// What is found and what was expected.
        what: String,
    },

    /// A file of another size.
    #[error("{what}: {} bytes received, {} announced", thousands(*found), thousands(*expected))]
    Size {
        /// The repository and the file.
        what: String,
        /// The size of what is sent.
        found: u64,
        /// The size that the hub gives.
        expected: u64,
    },

    /// A file that is larger than any of its kind.
    #[error("{what}: {} bytes, expected at most {}", thousands(*found), thousands(*most))]
    TooLarge {
        /// What is fetched.
        what: String,
        /// The size that is announced, or how much has been sent.
        found: u64,
        /// The largest size that is taken.
        most: u64,
    },

    /// A file that has no end to be seen.
    #[error("{what}: more than {} bytes, and no size was announced", thousands(*most))]
    Unannounced {
        /// The repository and the file.
        what: String,
        /// How much is taken so.
        most: u64,
    },

    /// A file of other bytes.
    #[error(
        "{what}: the bytes received have {} {found}, expected {expected}",
        kind_of(expected)
    )]
    Digest {
        /// The repository and the file.
        what: String,
        /// The digest of what was received.
        found: String,
        /// The digest that the hub gives.
        expected: String,
    },

    /// A file of the cache that something has changed.
    #[error(
        "{}: has {} {found}, the hub gave {expected}",
        shown(path),
        kind_of(expected)
    )]
    Altered {
        /// The file.
        path: PathBuf,
        /// The name that the repository keeps it under.
        blob: PathBuf,
        /// The digest of its bytes.
        found: String,
        /// The digest that the hub gives.
        expected: String,
    },

    /// A stop was asked for; what has arrived by then is kept.
    #[error(transparent)]
    Stopped(#[from] Stopped),

    /// The file system failed; the message names the file.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Error {
    /// The one thing to do about the error.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Denied {
                page, with_token, ..
            } => {
                return Some(if *with_token {
                    format!("check at `{page}` that the account of `HF_TOKEN` has access")
                } else {
                    format!(
                        "if the name is right, accept the licence at `{page}` and set `HF_TOKEN`"
                    )
                });
            }
            Self::NoRepo { page, .. } => {
                return Some(format!(
                    "look for the model at `{page}`; a private one needs an `HF_TOKEN` that may read it"
                ));
            }
            Self::NoRevision { page, .. } => {
                return Some(format!(
                    "look for its branches and tags at `{page}/tree/main`"
                ));
            }
            Self::Name { .. } => {
                "take the name from the model's page, as in `timm/vit_base_patch16_224.dino`"
            }
            Self::Endpoint { .. } => "correct `HF_ENDPOINT`, or unset it for the public hub",
            Self::Token { is_file: false, .. } => {
                "set the variable to the token alone, or unset it"
            }
            Self::Token { .. } => {
                "set `HF_TOKEN` to the token; `HF_HUB_DISABLE_IMPLICIT_TOKEN=1` does without one"
            }
            Self::NoCacheDir => "set `HF_HOME` to the folder that the hub's cache is to be in",
            Self::UnknownCacheDir(_) => UnknownName::HINT,
            Self::BrokenLink { link, .. } => link.hint(),
            Self::Unreachable { .. } => {
                "check the network and `HTTPS_PROXY`; without network, use `--offline` with a cache that holds the model, or `local-dir:PATH`"
            }
            Self::Offline { cache_dir, .. } => {
                return Some(format!(
                    "`newt-pipe models fetch ORG CKPT` with a network, and without `--offline` and `HF_HUB_OFFLINE`, \
                     brings it into the hub's cache; what another machine has fetched can be copied into `{}`",
                    shown(cache_dir)
                ));
            }
            Self::Slow { .. } => {
                "check the network and `HTTPS_PROXY`, or try again later: what has arrived of a large file is kept"
            }
            Self::Unannounced { .. } => {
                "a proxy or a mirror may have answered: open the address in a browser, and check `HF_ENDPOINT`"
            }
            Self::Status { status: 429, .. } => {
                "wait some minutes; with `HF_TOKEN` set the hub allows more requests"
            }
            Self::Status { .. } => "try again later",
            Self::Answer { .. } => {
                "a proxy or a login page may have answered: open the address in a browser, and check `HF_ENDPOINT`"
            }
            Self::Size { .. } | Self::TooLarge { .. } | Self::Digest { .. } => {
                "run again: what was received is removed, and is asked for anew"
            }
            Self::Altered { .. } => {
                "`newt-pipe models fetch ORG CKPT` with a network downloads the file again"
            }
            Self::Io(error) => return hint_of_io(error).map(str::to_owned),
            Self::NoFile { held, .. } if !held.is_empty() => {
                let names = held.iter().map(|name| format!("`{}`", foreign(name)));
                return Some(format!(
                    "the repository holds {}",
                    names.collect::<Listing>()
                ));
            }
            Self::FileName { repo, .. } => {
                return Some(format!(
                    "take a revision without this file, as in `{}@REVISION`",
                    repo.name
                ));
            }
            Self::NoFile { .. } | Self::Stopped(_) => return None,
        };
        Some(hint.to_owned())
    }

    /// 2 where something was asked for that cannot be, 3 where a file of the cache is damaged, 1 where the hub or the machine
    /// failed.
    pub fn whose(&self) -> Fault {
        match self {
            Self::Stopped(stopped) => stopped.fault(),
            Self::Name { .. }
            | Self::FileName { .. }
            | Self::Endpoint { .. }
            | Self::Token { .. }
            | Self::NoCacheDir
            | Self::UnknownCacheDir(_)
            | Self::NoRepo { .. }
            | Self::NoRevision { .. }
            | Self::NoFile { .. } => Fault::Request,
            Self::Unreachable { .. }
            | Self::Slow { .. }
            | Self::Offline { .. }
            | Self::BrokenLink { .. }
            | Self::Denied { .. }
            | Self::Status { .. }
            | Self::Answer { .. }
            | Self::Size { .. }
            | Self::TooLarge { .. }
            | Self::Unannounced { .. }
            | Self::Digest { .. }
            | Self::Io(_) => Fault::Machine,
            Self::Altered { .. } => Fault::Data,
        }
    }
}

fn hint_of_io(error: &io::Error) -> Option<&'static str> {
    let inner = error.get_ref();
    if inner.is_some_and(|inner| inner.is::<NotRegular>() || inner.is::<TooLarge>()) {
        return Some("`newt-pipe models fetch ORG CKPT` with a network brings the file again");
    }
    if let Some(hint) = hint_of_occupied(error).or_else(|| files::hint(error)) {
        return Some(hint);
    }
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Some(
            "free some space, or move the hub's cache to another disk with `HF_HUB_CACHE` or `HF_HOME`",
        ),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Some(
            "move the hub's cache to a folder that you can write to with `HF_HUB_CACHE` or `HF_HOME`",
        ),
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

    fn handed_on(&self) -> Option<&dyn Failure> {
        match self {
            Self::Stopped(stopped) => Some(stopped),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_and_closed_disks_have_a_hint() {
        let hint = |kind: io::ErrorKind| Error::Io(kind.into()).hint().unwrap_or_default();
        assert!(hint(io::ErrorKind::StorageFull).starts_with("free some space"));
        assert!(hint(io::ErrorKind::PermissionDenied).contains("that you can write to"));
        for kind in [
            io::ErrorKind::StorageFull,
            io::ErrorKind::ReadOnlyFilesystem,
        ] {
            assert!(hint(kind).contains("the hub's cache"));
            assert!(hint(kind).contains("`HF_HUB_CACHE` or `HF_HOME`"));
        }
        assert_eq!(hint(io::ErrorKind::NotFound), "");
    }

    #[test]
    fn names_of_others_are_shown_as_foreign_text_and_ten_of_many() {
        let error = |held: Vec<String>| Error::NoFile {
            repo: "org/name".parse().unwrap(),
            file: "a\x1b[2J".to_owned(),
            held,
        };
        assert_eq!(
            error(Vec::new()).to_string(),
            "org/name: no file `a\\u{1b}[2J`"
        );
        let mut held = vec!["b\u{202e}".to_owned(), "x".repeat(1_000_000)];
        held.extend((0..10).map(|i| i.to_string()));
        let hint = error(held).hint().unwrap();
        assert!(
            hint.starts_with("the repository holds `b\\u{202e}`, `xxx"),
            "{hint}"
        );
        assert!(
            hint.ends_with("`7` and 2 more") && hint.len() < 300,
            "{hint}"
        );
        let error = Error::Unreachable {
            host: "h\x07".to_owned(),
            what: "\x1b".repeat(1000),
        };
        let message = error.to_string();
        assert!(!message.contains(char::is_control) && message.len() < 1000);
    }
}
