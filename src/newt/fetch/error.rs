//! Why the data set cannot be fetched, and what to do about it.

use std::io;
use std::path::Path;

use crate::error::{Error, Failure, Fault, Message};
use crate::files::{self, NotWritten};
use crate::hub::{self, Kind};
use crate::interrupt::Left;
use crate::text::{foreign, path as shown};

/// The bytes of an archive are not what they should be; the text goes on behind the archive's name.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BadArchive {
    /// It holds something that it should not.
    #[error("entry `{entry}` {what}")]
    Entry {
        /// The entry's name.
        entry: String,
        /// What is found and what was expected.
        what: String,
    },
    /// It cannot be read.
    #[error("damaged: {}, expected a gzipped tar archive", foreign(what))]
    Damaged {
        /// What its reader said.
        what: String,
        /// Whether its compressed bytes end before their end is told: it may have been cut.
        is_cut: bool,
    },
    /// It is another archive.
    #[error("has SHA-256 {found}, expected {expected}")]
    Other {
        /// Its digest.
        found: String,
        /// The digest that it should have.
        expected: String,
    },
}

impl Failure for BadArchive {
    fn hint(&self) -> Option<String> {
        None
    }

    fn fault(&self) -> Fault {
        Fault::Data
    }
}

/// Whether the bytes themselves are wrong, so that going on with them would end the same way.
pub fn is_about_bytes(error: &Error) -> bool {
    error.is_a::<BadArchive>().is_some() || hub::kind(error) == Some(Kind::WrongBytes)
}

/// The same error of an archive that somebody has put at `path`, which is never removed.
pub fn at_hand(error: Error, path: &Path) -> Error {
    let Some(bad) = error.is_a::<BadArchive>() else {
        return error;
    };
    let path = shown(path);
    let remove = format!("remove or rename {path}");
    let hint = match bad {
        BadArchive::Other { .. } => {
            format!("{remove}, and the same command fetches the archive anew")
        }
        // Its digest is right, so the same bytes might be fetched anew: no more is promised.
        BadArchive::Entry { .. } | BadArchive::Damaged { .. } => remove,
    };
    Message::data(format!("{path}: {bad}")).hint(hint).into()
}

/// The same error of an archive that comes from the network, and is called `name`.
pub fn arriving(error: Error, name: &str) -> Error {
    let text = match error.is_a() {
        Some(BadArchive::Other { found, expected }) => {
            format!("{name}: the bytes received have SHA-256 {found}, expected {expected}")
        }
        Some(bad) => format!("{name}: {bad}"),
        None if is_about_bytes(&error) => error.to_string(),
        None => return error,
    };
    Message::data(text)
        .hint("nothing of the archive is kept, and the same command fetches it anew; `--mirror URL` takes another address")
        .into()
}

/// The same error with the hint that helps whoever fetches NeWT.
pub fn explained(error: Error) -> Error {
    let hint = match hub::kind(&error) {
        Some(Kind::Unreachable | Kind::Slow) => {
            Some("check the network and `HTTPS_PROXY`; the same command goes on where it was")
        }
        Some(Kind::Status(403 | 404)) => {
            Some("the archive is not there: `--mirror URL` takes another address")
        }
        Some(Kind::Status(_)) => Some("try again later: the same command goes on where it was"),
        Some(Kind::Answer) => Some(
            "a proxy may have answered: open the address in a browser, or use another with `--mirror URL`",
        ),
        _ => match (error.is_a(), error.is_a()) {
            (Some(NotWritten { source, .. }), _) | (_, Some(source)) => hint_of_io(source),
            _ => return Left::Downloads.of(error),
        },
    };
    let message = Message::machine(error.to_string());
    match hint {
        Some(hint) => message.hint(hint).into(),
        None => message.into(),
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

/// The address to fetch from is not a web address, or has parts that it may not have; `mirror` is the address without
/// what may be a password.
pub fn bad_mirror(mirror: &str, what: &str) -> Message {
    Message::request(format!(
        "mirror `{mirror}`: {what}, expected an address like `https://host/folder`"
    ))
    .hint("give `--mirror` the address of the folder that holds both archives; archives on this machine need no mirror: put them into the data root")
}
