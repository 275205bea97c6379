//! What is tried again, when, and how often.

use std::io;
use std::time::{Duration, Instant};

use super::Error;
use crate::interrupt::{Interrupt, Stopped};
use crate::progress::Progress;

/// How soon a stop is heard.
pub(super) const SLICE: Duration = Duration::from_millis(100);

/// How long a request may take, and how often it is made.
#[derive(Debug, Clone)]
pub(crate) struct Pace {
    /// How often something is tried in all while nothing new arrives.
    pub(crate) n_tries: u32,
    /// The wait before the second try; each later one is twice as long.
    pub(crate) first_wait: Duration,
    /// No wait is longer, whatever the server asks for.
    pub(crate) longest_wait: Duration,
    /// A server that sends nothing for so long is given up.
    pub(crate) silence: Duration,
    /// A server that sends fewer bytes than `least_bytes` in so long is given up, too.
    pub(crate) window: Duration,
    /// Slower than any network that somebody would wait for: a gigabyte would take twelve days.
    pub(crate) least_bytes: u64,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            n_tries: 5,
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_mins(1),
            silence: Duration::from_secs(30),
            window: Duration::from_mins(1),
            least_bytes: 60_000,
        }
    }
}

/// Why a request failed.
pub(super) enum Failure {
    /// Another try would end the same way.
    Lasting(Error),
    /// Another try may do better.
    Passing {
        error: Error,
        /// How long the server asks to wait.
        wait: Option<Duration>,
    },
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Lasting(error)
    }
}

impl From<Stopped> for Failure {
    fn from(stopped: Stopped) -> Self {
        Self::Lasting(Error::Stopped(stopped))
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Lasting(Error::Io(error))
    }
}

/// Waits, unless a stop is asked for.
pub(super) fn pause(wait: Duration, interrupt: &Interrupt) -> Result<(), Stopped> {
    let started = Instant::now();
    loop {
        interrupt.check()?;
        let left = wait.saturating_sub(started.elapsed());
        if left.is_zero() {
            return Ok(());
        }
        std::thread::sleep(left.min(SLICE));
    }
}

/// Decides after each failure whether there is another try, and waits for it.
pub(super) struct Patience<'a> {
    pace: &'a Pace,
    interrupt: &'a Interrupt,
    progress: &'a dyn Progress,
    n_failures: u32,
}

impl<'a> Patience<'a> {
    pub(super) fn new(
        pace: &'a Pace,
        interrupt: &'a Interrupt,
        progress: &'a dyn Progress,
    ) -> Self {
        Self {
            pace,
            interrupt,
            progress,
            n_failures: 0,
        }
    }

    /// The last try brought something: count from the beginning.
    pub(super) fn renew(&mut self) {
        self.n_failures = 0;
    }

    /// Returns when it is time for the next try.
    ///
    /// # Errors
    /// That of the failure, where there is no next try; [`Error::Stopped`].
    pub(super) fn wait(&mut self, failure: Failure) -> Result<(), Error> {
        let (error, asked) = match failure {
            Failure::Lasting(error) => return Err(error),
            Failure::Passing { error, wait } => (error, wait),
        };
        let doubled = 2u32.saturating_pow(self.n_failures);
        self.n_failures += 1;
        if self.n_failures >= self.pace.n_tries {
            return Err(error);
        }
        let wait = asked
            .unwrap_or(self.pace.first_wait.saturating_mul(doubled))
            .min(self.pace.longest_wait);
        self.progress
            .warn(&format!("{error}; next try in {} s", wait.as_secs()));
        Ok(pause(wait, self.interrupt)?)
    }

    /// Tries until there is a result or no next try.
    pub(super) fn run<T>(mut self, attempt: impl Fn() -> Result<T, Failure>) -> Result<T, Error> {
        loop {
            match attempt() {
                Ok(result) => return Ok(result),
                Err(failure) => self.wait(failure)?,
            }
        }
    }
}
