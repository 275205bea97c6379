//! Standard output as the program was given it.
//!
//! Before `main`, Rust's runtime opens `/dev/null` in place of a stream that is closed (`>&-`), so that no file that is
//! opened later gets its number and then our messages. The result would be gone without a word, and nothing tells that
//! `/dev/null` from one that was asked for. So the stream is looked at before the runtime does.
#![expect(
    unsafe_code,
    reason = "a function that runs before the runtime; the blocks say why they are sound"
)]

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::Error;

/// Whether standard output could be written to when the process began.
static IS_OPEN: AtomicBool = AtomicBool::new(true);

extern "C" fn look() {
    // SAFETY: any number may be asked for, and asking changes nothing.
    let flags = unsafe { libc::fcntl(libc::STDOUT_FILENO, libc::F_GETFL) };
    let is_open = flags != -1 && flags & libc::O_ACCMODE != libc::O_RDONLY;
    IS_OPEN.store(is_open, Ordering::Relaxed);
}

// SAFETY: the loader calls what is in this section once, before `main`; `look` needs nothing of Rust's runtime.
#[used]
#[unsafe(link_section = ".init_array")]
static LOOK: extern "C" fn() = look;

/// Refuses to make a result that nobody would get.
///
/// # Errors
/// An [`io::Error`] where standard output is closed, or open for reading only.
pub(super) fn require_output() -> Result<(), Error> {
    if IS_OPEN.load(Ordering::Relaxed) {
        Ok(())
    } else {
        Err(io::Error::other(
            "standard output: closed, expected a place for the result (`>/dev/null` drops it)",
        )
        .into())
    }
}

/// The error for a result that could not be written, of the same kind.
pub(super) fn not_written(error: &io::Error) -> Error {
    let message = format!("standard output: not written: {error}");
    io::Error::new(error.kind(), message).into()
}
