//! Stopping early: a signal sets a flag, and long loops look at it between two units of work, so
//! that whatever is finished by then is kept.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use crate::error::{Error, Failure, Fault};

/// A flag that a signal handler sets to the signal's number; zero while nothing has been asked.
#[derive(Debug, Clone, Default)]
pub struct Interrupt {
    signal: Arc<AtomicUsize>,
    /// When each signal was first heard, by its number, in milliseconds and one more; zero before it. No signal has the
    /// number zero: there is when the first of all was heard.
    heard_at: Arc<[AtomicU64; N_SIGNALS]>,
    /// For tests of loops: how often it was asked, and at which question it is set by itself; zero for none.
    #[cfg(test)]
    pub questions: (Arc<AtomicUsize>, usize),
}

/// The signals that are no real-time ones have numbers below.
const N_SIGNALS: usize = 32;

/// At most so much is read at once of an interruptible stream: whoever wants all of a file asks for ever more.
const MAX_READ_BYTES: usize = 1 << 20;

/// Signals that come so soon after the first are the same wish: GNU `timeout` sends its own to the program and to the
/// program's group, and schedulers send theirs to each process of a job and to its shell, which hands it on.
const SAME_WISH: Duration = Duration::from_secs(1);

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// To end soon, with what is finished kept.
    Stop,
    /// To end at once.
    EndNow,
}

/// The user, or the cluster's scheduler, asked the program to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("stopped by {}", name(*.signal))]
pub struct Stopped {
    /// The signal's number.
    pub signal: usize,
    /// What the command leaves for the next time.
    pub left: Left,
}

/// What a command that is stopped leaves for the next time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Left {
    /// Nothing at all.
    #[default]
    Nothing,
    /// What has arrived of files that are fetched.
    Downloads,
    /// Finished stages, in the cache.
    Stages,
    /// The same, of which some were in the cache before and were to be computed again.
    ForcedStages,
}

fn name(signal: usize) -> &'static str {
    match i32::try_from(signal) {
        Ok(libc::SIGINT) => "Ctrl-C",
        Ok(signal) => signal_hook::low_level::signal_name(signal).unwrap_or("a signal"),
        Err(_) => "a signal",
    }
}

impl Stopped {
    /// Ends the caller where `flag`, one of [`Interrupt::flag`], holds a signal's number.
    ///
    /// # Errors
    /// [`Stopped`] with the signal.
    pub fn check(flag: &AtomicUsize) -> Result<(), Self> {
        match flag.load(Ordering::Relaxed) {
            0 => Ok(()),
            signal => Err(Self {
                signal,
                left: Left::Nothing,
            }),
        }
    }

    /// The same stop, of a command that leaves that.
    #[must_use]
    pub fn leaving(self, left: Left) -> Self {
        Self { left, ..self }
    }
}

impl Failure for Stopped {
    fn hint(&self) -> Option<String> {
        let hint = match self.left {
            Left::Nothing => "the same command begins again",
            Left::Downloads => "what has arrived is kept; the same command goes on from there",
            Left::Stages => {
                "what was finished is in the cache; the same command goes on from there"
            }
            Left::ForcedStages => {
                "what was finished is in the cache; the same command without `--force` takes it from there, with `--force` it begins again"
            }
        };
        Some(hint.to_owned())
    }

    fn fault(&self) -> Fault {
        if i32::try_from(self.signal) == Ok(libc::SIGINT) {
            Fault::Interruption
        } else {
            Fault::Preemption
        }
    }
}

impl Left {
    /// The same error; a stop is that of a command that leaves this.
    #[must_use]
    pub fn of(self, error: Error) -> Error {
        match error.is_a::<Stopped>() {
            Some(stopped) => stopped.leaving(self).into(),
            None => error,
        }
    }
}

impl Interrupt {
    /// The flag itself, for the signal handler that stores the signal's number in it.
    pub fn flag(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.signal)
    }

    /// Takes in a signal that came at `now`, by a clock that does not go back. The first one sets the flag. The same
    /// signal again, or Ctrl-C, is a second wish where it comes more than a second later; another one is not: Slurm's
    /// warning is followed by its SIGTERM.
    ///
    /// Only atomic numbers are touched, so that a signal handler may call it.
    pub fn hear(&self, signal: usize, now: Duration) -> Wish {
        let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX - 1) + 1;
        let heard_before = |signal: usize| {
            let at = self.heard_at.get(signal)?;
            at.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed)
                .err()
        };
        let (any, same) = (heard_before(0), heard_before(signal));
        if any.is_none() {
            self.signal.store(signal, Ordering::Relaxed);
        }
        let is_ctrl_c = i32::try_from(signal) == Ok(libc::SIGINT);
        match if is_ctrl_c { any } else { same } {
            Some(first) if Duration::from_millis(now.saturating_sub(first)) > SAME_WISH => {
                Wish::EndNow
            }
            _ => Wish::Stop,
        }
    }

    /// One that is set by the `n`th question whether to stop.
    #[cfg(test)]
    pub fn at_question(n: usize) -> Self {
        Self {
            questions: (Arc::default(), n),
            ..Self::default()
        }
    }

    #[cfg(test)]
    fn count_question(&self) {
        let (n_asked, at) = &self.questions;
        if n_asked.fetch_add(1, Ordering::Relaxed) + 1 == *at {
            self.signal.store(libc::SIGTERM as usize, Ordering::Relaxed);
        }
    }

    /// Whether a stop has been asked for.
    pub fn requested(&self) -> bool {
        #[cfg(test)]
        self.count_question();
        self.signal.load(Ordering::Relaxed) != 0
    }

    /// Ends the caller where a stop has been asked for.
    ///
    /// # Errors
    /// [`Stopped`] with the signal.
    pub fn check(&self) -> Result<(), Stopped> {
        #[cfg(test)]
        self.count_question();
        Stopped::check(&self.signal)
    }

    /// A reader or writer that fails once a stop is asked for: for what takes all of a stream at one call. Whoever gets
    /// its error asks [`check`](Self::check) for the reason.
    pub fn over<T>(&self, stream: T) -> Interruptible<T> {
        Interruptible {
            stream,
            interrupt: self.clone(),
        }
    }
}

/// See [`Interrupt::over`].
#[derive(Debug)]
pub struct Interruptible<T> {
    stream: T,
    interrupt: Interrupt,
}

impl<T> Interruptible<T> {
    // Not of kind `Interrupted`, which means "try again".
    fn check(&self) -> io::Result<()> {
        self.interrupt.check().map_err(io::Error::other)
    }
}

impl<R: Read> Read for Interruptible<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.check()?;
        let n_bytes = buffer.len().min(MAX_READ_BYTES);
        self.stream.read(&mut buffer[..n_bytes])
    }
}

impl<W: Write> Write for Interruptible<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.check()?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
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
        assert_eq!(interrupt.check().unwrap_err().fault().exit_code(), 130);
    }

    #[test]
    fn a_signal_that_comes_again_within_a_second_is_the_same_wish() {
        let interrupt = Interrupt::default();
        let hear = |signal: i32, millis| {
            interrupt.hear(
                usize::try_from(signal).unwrap(),
                Duration::from_millis(millis),
            )
        };
        // The clock may stand at zero when the program starts.
        assert_eq!(hear(libc::SIGTERM, 0), Wish::Stop);
        assert_eq!(hear(libc::SIGTERM, 0), Wish::Stop);
        assert_eq!(hear(libc::SIGINT, 1000), Wish::Stop);
        // The first one says how the program ends.
        assert_eq!(interrupt.check().unwrap_err().fault().exit_code(), 75);
        assert_eq!(hear(libc::SIGTERM, 1001), Wish::EndNow);
    }

    #[test]
    fn another_signal_is_the_same_wish_whenever_it_comes_but_for_ctrl_c() {
        let interrupt = Interrupt::default();
        let hear = |signal: i32, seconds| {
            interrupt.hear(
                usize::try_from(signal).unwrap(),
                Duration::from_secs(seconds),
            )
        };
        // Slurm's warning, then its end; what was heard second may come again, too.
        assert_eq!(hear(libc::SIGUSR1, 10), Wish::Stop);
        assert_eq!(hear(libc::SIGTERM, 70), Wish::Stop);
        assert_eq!(hear(libc::SIGTERM, 71), Wish::Stop);
        assert_eq!(hear(libc::SIGHUP, 75), Wish::Stop);
        assert_eq!(hear(libc::SIGTERM, 80), Wish::EndNow);
        assert_eq!(hear(libc::SIGUSR1, 80), Wish::EndNow);
        assert_eq!(hear(libc::SIGINT, 80), Wish::EndNow);
        assert_eq!(interrupt.check().unwrap_err().fault().exit_code(), 75);
    }

    #[test]
    fn streams_fail_once_a_stop_is_asked_for_and_are_not_tried_again() {
        let interrupt = Interrupt::default();
        let mut stream = interrupt.over(io::repeat(0).take(10));
        let mut bytes = [0; 4];
        stream.read_exact(&mut bytes).unwrap();
        interrupt.flag().store(2, Ordering::Relaxed);
        assert!(stream.read_to_end(&mut Vec::new()).is_err());
        assert!(interrupt.over(Vec::new()).write_all(&bytes).is_err());
    }

    #[test]
    fn the_hint_tells_what_the_same_command_finds() {
        let interrupt = Interrupt::default();
        interrupt.flag().store(2, Ordering::Relaxed);
        let stopped = interrupt.check().unwrap_err();
        let hint = |left| stopped.leaving(left).hint().unwrap();
        assert_eq!(hint(Left::Nothing), "the same command begins again");
        assert!(hint(Left::Downloads).starts_with("what has arrived is kept; "));
        assert!(hint(Left::Stages).ends_with("the same command goes on from there"));
        assert!(hint(Left::ForcedStages).ends_with("with `--force` it begins again"));
    }

    #[test]
    fn a_schedulers_signal_asks_to_be_tried_again() {
        for signal in [libc::SIGTERM, libc::SIGUSR1, libc::SIGHUP] {
            let stopped = Stopped {
                signal: usize::try_from(signal).unwrap(),
                left: Left::Nothing,
            };
            assert_eq!(stopped.fault().exit_code(), 75, "{stopped}");
        }
    }
}
