//! What goes wrong between the hub and its cache on disk, as far as code tells it apart, and what to do about it.

use std::io;

use super::own::hint_of_occupied;
use crate::error::{self, Failure, Fault, Message};
use crate::files::{self, Unfit};

/// Errors of the hub and of its cache that code tells from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The cache lacks something, and the hub is not to be asked.
    NotHere,
    /// No folder is known that the cache could be in.
    NoCache,
    /// A file of the cache has other bytes than the hub gave.
    Altered,
    /// A server sends other bytes than it announced: going on with what came would end the same way.
    WrongBytes,
    /// No answer, or one that broke off.
    Unreachable,
    /// A server that sends, and so slowly that it would take for ever.
    Slow,
    /// An answer of a status that nobody asked for.
    Status(u16),
    /// An answer that is not the hub's.
    Answer,
}

/// An error of the hub or of its cache, with its kind.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What kind of error it is.
    pub kind: Kind,
    /// What the user is told.
    pub message: Message,
}

impl Failure for Error {
    fn hint(&self) -> Option<String> {
        Failure::hint(&self.message)
    }

    fn fault(&self) -> Fault {
        self.message.fault()
    }
}

impl Error {
    /// What came of `what` is not what was announced.
    pub fn wrong_bytes(what: &str, problem: &str) -> Self {
        Self::new(
            Kind::WrongBytes,
            format!("{what}: {problem}"),
            "run again: what was received is removed, and is asked for anew",
        )
    }

    /// An error whose fault is the machine's or the network's.
    pub fn new(kind: Kind, text: String, hint: impl Into<String>) -> Self {
        Self {
            kind,
            message: Message::machine(text).hint(hint),
        }
    }
}

/// The kind of an error, if it is one of the hub's that code tells apart.
pub fn kind(error: &error::Error) -> Option<Kind> {
    error.is_a::<Error>().map(|error| error.kind)
}

/// The same error; what the file system says of the hub's cache gets the hint that helps there.
pub fn of_cache(error: error::Error) -> error::Error {
    let Some(of_system) = error.is_a::<io::Error>() else {
        return error;
    };
    let message = Message::machine(of_system.to_string());
    match hint_of_io(of_system) {
        Some(hint) => message.hint(hint).into(),
        None => message.into(),
    }
}

fn hint_of_io(error: &io::Error) -> Option<&'static str> {
    if let Some(Unfit::NotRegular { .. } | Unfit::TooLarge { .. }) = Unfit::of(error) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_and_closed_disks_have_a_hint() {
        let hint = |kind: io::ErrorKind| {
            let error = of_cache(io::Error::from(kind).into());
            assert_eq!(error.fault(), Fault::Machine);
            error.hint().unwrap_or_default()
        };
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
}
