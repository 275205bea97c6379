//! What is tried again, when, and how often.

use std::time::{Duration, Instant};

use super::error;
use super::http::Client;
use crate::error::{Error, Failure};
use crate::interrupt::{Interrupt, Stopped};
use crate::progress::Progress;

/// How soon a stop is heard.
pub const SLICE: Duration = Duration::from_millis(100);

/// How long a request may take, and how often it is made.
#[derive(Debug, Clone)]
pub struct Pace {
    /// How often something is tried in all while nothing new arrives.
    pub n_tries: u32,
    /// The wait before the second try; each later one is twice as long.
    pub first_wait: Duration,
    /// No wait is longer, whatever the server asks for.
    pub longest_wait: Duration,
    /// A server that sends nothing for so long is given up.
    pub silence: Duration,
    /// A server that sends fewer bytes than `least_bytes` in so long is given up, too.
    pub window: Duration,
    /// Slower than any network that somebody would wait for: a gigabyte would take twelve days.
    pub least_bytes: u64,
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
pub enum Setback {
    /// Another try would end the same way.
    Lasting(Error),
    /// Another try may do better.
    Passing {
        /// What went wrong.
        error: error::Error,
        /// How long the server asks to wait.
        wait: Option<Duration>,
    },
}

impl Setback {
    /// Another try may do better.
    pub fn passing(error: error::Error) -> Self {
        Self::Passing { error, wait: None }
    }
}

impl From<Error> for Setback {
    fn from(error: Error) -> Self {
        Self::Lasting(error)
    }
}

impl<T: Failure> From<T> for Setback {
    fn from(failure: T) -> Self {
        Self::Lasting(failure.into())
    }
}

/// Waits, unless a stop is asked for.
pub fn pause(wait: Duration, interrupt: &Interrupt) -> Result<(), Stopped> {
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
pub struct Patience<'a> {
    client: &'a Client,
    progress: &'a dyn Progress,
    n_failures: u32,
}

impl<'a> Patience<'a> {
    pub fn new(client: &'a Client, progress: &'a dyn Progress) -> Self {
        Self {
            client,
            progress,
            n_failures: 0,
        }
    }

    /// The last try brought something: count from the beginning.
    pub fn renew(&mut self) {
        self.n_failures = 0;
    }

    /// Returns when it is time for the next try.
    ///
    /// # Errors
    /// What went wrong, where there is no next try; a stop.
    pub fn wait(&mut self, setback: Setback) -> Result<(), Error> {
        let (error, asked) = match setback {
            Setback::Lasting(error) => return Err(error),
            Setback::Passing { error, wait } => (error, wait),
        };
        let doubled = 2u32.saturating_pow(self.n_failures);
        self.n_failures += 1;
        let pace = &self.client.pace;
        if self.n_failures >= pace.n_tries {
            return Err(error.into());
        }
        let wait = asked
            .unwrap_or(pace.first_wait.saturating_mul(doubled))
            .min(pace.longest_wait);
        self.progress
            .warn(&format!("{error}; next try in {} s", wait.as_secs()));
        Ok(pause(wait, &self.client.interrupt)?)
    }

    /// Tries until there is a result or no next try.
    pub fn run<T>(mut self, attempt: impl Fn() -> Result<T, Setback>) -> Result<T, Error> {
        loop {
            match attempt() {
                Ok(result) => return Ok(result),
                Err(setback) => self.wait(setback)?,
            }
        }
    }
}
