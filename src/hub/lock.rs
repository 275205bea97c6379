//! Processes that want the same thing: one fetches it, the others wait.

use std::fs::TryLockError;
use std::path::Path;
use std::time::{Duration, Instant};

use super::own::{open_lock, open_lockable};
use super::retry::{SLICE, pause};
use crate::context::Context;
use crate::interrupt::Stopped;

/// A process that has waited so long for another says so.
const LONG_WAIT: Duration = Duration::from_secs(2);

/// Waits until no other process holds the lock at `path`, and keeps others waiting until the file is dropped;
/// `what` names to the user what is fetched.
///
/// A lock saves work and is not relied on: some file systems have none, and some grant it to everyone.
///
/// # Errors
/// [`Stopped`].
pub fn lock(
    path: &Path,
    what: &str,
    context: Context<'_>,
) -> Result<Option<fs_err::File>, Stopped> {
    let Ok(file) = open_lock(path) else {
        return Ok(None);
    };
    let started = Instant::now();
    let mut is_told = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(_)) => return Ok(None),
        }
        if !is_told && started.elapsed() >= LONG_WAIT {
            context.progress.warn(&format!(
                "{what}: waiting for another process that fetches it"
            ));
            is_told = true;
        }
        pause(SLICE, context.interrupt)?;
    }
}

/// The lock at `path`, an existing file, if no process holds it; nothing is waited for.
pub fn try_lock(path: &Path) -> Option<fs_err::File> {
    let file = open_lockable(path).ok()?;
    file.try_lock().ok()?;
    Some(file)
}
