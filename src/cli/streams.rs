//! Standard output as the program was given it.
//!
//! Before `main`, Rust's runtime opens `/dev/null` in place of a stream that is closed (`>&-`), so that no file that is
//! opened later gets its number and then our messages. The result would be gone without a word, and nothing tells that
//! `/dev/null` from one that was asked for. So the stream is looked at before the runtime does.
#![expect(
    unsafe_code,
    reason = "a function that runs before the runtime; it is said why that is sound"
)]

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::OFlags;

use crate::error::{Error, Failure, Fault};

/// Whether standard output could be written to when the process began.
static IS_OPEN: AtomicBool = AtomicBool::new(true);

extern "C" fn look() {
    let flags = rustix::fs::fcntl_getfl(rustix::stdio::stdout());
    let is_open = flags.is_ok_and(|flags| flags & OFlags::ACCMODE != OFlags::RDONLY);
    IS_OPEN.store(is_open, Ordering::Relaxed);
}

// SAFETY: the loader calls what is in this section once, before `main`; `look` asks the system and stores the answer,
// and needs nothing of Rust's runtime.
#[used]
#[unsafe(link_section = ".init_array")]
static LOOK: extern "C" fn() = look;

/// Refuses to make a result that nobody would get.
///
/// # Errors
/// An [`io::Error`] where standard output is closed, or open for reading only.
pub fn require_output() -> Result<(), Error> {
    if IS_OPEN.load(Ordering::Relaxed) {
        Ok(())
    } else {
        Err(io::Error::other(
            "standard output: closed, expected a place for the result (`>/dev/null` drops it)",
        )
        .into())
    }
}

/// Whoever read standard output has closed it, having read enough.
#[derive(Debug, thiserror::Error)]
#[error("standard output: closed by its reader")]
pub struct Closed;

impl Failure for Closed {
    fn hint(&self) -> Option<String> {
        None
    }

    fn fault(&self) -> Fault {
        Fault::Machine
    }
}

/// The error for a result that could not be written: [`Closed`], or one of the same kind.
pub fn not_written(error: &io::Error) -> Error {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Closed.into();
    }
    let message = format!("standard output: not written: {error}");
    io::Error::new(error.kind(), message).into()
}
