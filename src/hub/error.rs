//! What can go wrong between the hub and its cache on disk, and what to do about it.

use std::io;
use std::path::PathBuf;

use super::Repo;
use crate::files::{BrokenLink, UnknownName};
use crate::interrupt::Stopped;
use crate::text::thousands;

/// How many files of a repository a hint names before it counts the rest.
const MAX_SHOWN: usize = 10;

/// Errors of the hub and of its cache.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The name of a repository or of a revision is malformed.
    #[error("model repository `{}`: {what}", name.escape_debug())]
    Name {
        /// The name.
        name: String,
        /// What is found and what was expected.
        what: String,
    },

    /// The path of a file would lead out of the snapshot.
    #[error("{repo}: file `{}`: {what}", file.escape_debug())]
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
    #[error("`{host}`: connection failed: {what}")]
    Unreachable {
        /// The host.
        host: String,
        /// What the network said.
        what: String,
    },

    /// Offline, and the cache does not hold what is needed.
    #[error("{what}: not in the cache `{}`, and the hub is not asked in offline mode", cache_dir.display())]
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
    #[error("{}: no revision `{}`", repo.name, repo.revision)]
    NoRevision {
        /// The repository.
        repo: Repo,
        /// The page of the repository.
        page: String,
    },

    /// The repository has no such file.
    #[error("{repo}: no file `{file}`")]
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

    /// A file of other bytes.
    #[error("{what}: the bytes received have SHA-256 {found}, expected {expected}")]
    Digest {
        /// The repository and the file.
        what: String,
        /// The digest of what was received.
        found: String,
        /// The digest that the hub gives.
        expected: String,
    },

    /// A file of the cache that something has changed.
    #[error("{}: has SHA-256 {found}, the hub gave {expected}", path.display())]
    Altered {
        /// The file.
        path: PathBuf,
        /// The name that the repository keeps it under.
        blob: PathBuf,
        /// Whether that is a link to bytes that other repositories share.
        is_shared: bool,
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
            Self::BrokenLink { .. } => BrokenLink::HINT,
            Self::Unreachable { .. } => {
                "check the network and `HTTPS_PROXY`; without network, use `--offline` with a cache that holds the model, or `local-dir:PATH`"
            }
            Self::Offline { cache_dir, .. } => {
                return Some(format!(
                    "`newt-pipe models fetch ORG CKPT` with a network, and without `--offline` and `HF_HUB_OFFLINE`, \
                     brings it into the hub's cache; what another machine has fetched can be copied into `{}`",
                    cache_dir.display()
                ));
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
            Self::Altered {
                blob, is_shared, ..
            } => {
                return Some(format!(
                    "remove {}`{}`; then `newt-pipe models fetch ORG CKPT` downloads the file again",
                    if *is_shared { "the link " } else { "" },
                    blob.display()
                ));
            }
            Self::Io(error) => return hint_of_io(error.kind()).map(str::to_owned),
            Self::NoFile { held, .. } if !held.is_empty() => {
                return Some(format!("the repository holds {}", listed(held)));
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

    /// 2 where something was asked for that cannot be, 1 where the hub or the machine failed.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Stopped(stopped) => stopped.exit_code(),
            Self::Name { .. }
            | Self::FileName { .. }
            | Self::Endpoint { .. }
            | Self::Token { .. }
            | Self::NoCacheDir
            | Self::UnknownCacheDir(_)
            | Self::NoRepo { .. }
            | Self::NoRevision { .. }
            | Self::NoFile { .. } => 2,
            Self::Unreachable { .. }
            | Self::Offline { .. }
            | Self::BrokenLink { .. }
            | Self::Denied { .. }
            | Self::Status { .. }
            | Self::Answer { .. }
            | Self::Size { .. }
            | Self::TooLarge { .. }
            | Self::Digest { .. }
            | Self::Altered { .. }
            | Self::Io(_) => 1,
        }
    }
}

/// The first ten names, and how many more there are.
fn listed(names: &[String]) -> String {
    let shown: Vec<_> = names
        .iter()
        .take(MAX_SHOWN)
        .map(|name| format!("`{name}`"))
        .collect();
    let rest = match names.len() - shown.len() {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    shown.join(", ") + &rest
}

fn hint_of_io(kind: io::ErrorKind) -> Option<&'static str> {
    match kind {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Some(
            "free some space, or move the hub's cache to another disk with `HF_HUB_CACHE` or `HF_HOME`",
        ),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Some(
            "move the hub's cache to a folder that you can write to with `HF_HUB_CACHE` or `HF_HOME`",
        ),
        _ => None,
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
    fn ten_files_are_named_and_the_rest_counted() {
        let names = |n: usize| -> Vec<_> { (0..n).map(|i| i.to_string()).collect() };
        assert_eq!(listed(&names(2)), "`0`, `1`");
        assert!(listed(&names(12)).ends_with("`9` and 2 more"));
    }
}
