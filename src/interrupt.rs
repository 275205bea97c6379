//! Stopping early: a signal sets a flag, and long loops look at it between two units of work, so
//! that whatever is finished by then is kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A flag that a signal handler sets to the signal's number; zero while nothing has been asked.
#[derive(Debug, Clone, Default)]
pub struct Interrupt {
    signal: Arc<AtomicUsize>,
}

/// The user, or the cluster's scheduler, asked the program to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("stopped by {}", name(*.signal))]
pub struct Stopped {
    /// The signal's number.
    pub signal: usize,
    /// Whether stages were computed that were in the cache.
    pub is_forced: bool,
}

fn name(signal: usize) -> &'static str {
    match i32::try_from(signal) {
        Ok(libc::SIGINT) => "Ctrl-C",
        Ok(libc::SIGTERM) => "SIGTERM",
        Ok(libc::SIGUSR1) => "SIGUSR1",
        _ => "a signal",
    }
}

impl Stopped {
    /// One action that helps.
    pub fn hint(self) -> String {
        if self.is_forced {
            "what was finished is in the cache; the same command without `--force` takes it from there, with `--force` it begins again"
        } else {
            "what was finished is in the cache; the same command goes on from there"
        }
        .to_owned()
    }

    /// 130 after Ctrl-C, as shells have it; 75 (try again) after a scheduler's signal.
    pub fn exit_code(self) -> u8 {
        if i32::try_from(self.signal) == Ok(libc::SIGINT) {
            130
        } else {
            75
        }
    }
}

impl Interrupt {
    /// The flag itself, for the signal handler that stores the signal's number in it.
    pub fn flag(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.signal)
    }

    /// Whether a stop has been asked for.
    pub fn requested(&self) -> bool {
        self.signal.load(Ordering::Relaxed) != 0
    }

    /// Ends the caller where a stop has been asked for.
    ///
    /// # Errors
    /// [`Stopped`] with the signal.
    pub fn check(&self) -> Result<(), Stopped> {
        match self.signal.load(Ordering::Relaxed) {
            0 => Ok(()),
            signal => Err(Stopped {
                signal,
                is_forced: false,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_stops_until_a_signal_is_stored() {
        let interrupt = Interrupt::default();
        assert_eq!(interrupt.check(), Ok(()));
        interrupt
            .flag()
            .store(libc::SIGINT as usize, Ordering::Relaxed);
        assert_eq!(interrupt.check().unwrap_err().exit_code(), 130);
    }

    #[test]
    fn the_hint_tells_what_forcing_does_to_what_was_finished() {
        let hint = |is_forced| {
            Stopped {
                signal: 2,
                is_forced,
            }
            .hint()
        };
        assert!(hint(false).ends_with("the same command goes on from there"));
        assert!(hint(true).ends_with("with `--force` it begins again"));
    }

    #[test]
    fn a_schedulers_signal_asks_to_be_tried_again() {
        assert_eq!(
            Stopped {
                signal: libc::SIGTERM as usize,
                is_forced: false
            }
            .exit_code(),
            75
        );
        assert_eq!(
            Stopped {
                signal: libc::SIGUSR1 as usize,
                is_forced: false
            }
            .exit_code(),
            75
        );
    }
}
