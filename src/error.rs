//! The ground floor: what every module's error says of itself, and one [`Error`] that holds any of them.
//!
//! Names no other module. Each module's error implements [`Failure`] where it is declared; `?` turns it into an
//! [`Error`], and whoever has to look into one asks [`Error::is_a`].

use std::any::Any;
use std::error;
use std::fmt;

use serde::{Deserialize, Serialize};

/// What the shell gets to see; every exit code of the program stands here.
pub mod exit {
    /// Done.
    pub const DONE: u8 = 0;
    /// The machine, the network or the program failed.
    pub const FAILED: u8 = 1;
    /// Wrong usage or configuration.
    pub const USAGE: u8 = 2;
    /// Bad data: labels, images, features, weights.
    pub const BAD_DATA: u8 = 3;
    /// `--check` found work to do.
    pub const WORK_TO_DO: u8 = 4;
    /// Stopped by a signal of the scheduler's; the same command goes on. BSD's `EX_TEMPFAIL`.
    pub const RESUMABLE: u8 = 75;
    /// Stopped by Ctrl-C: 128 and the signal's number, as shells have it.
    pub const INTERRUPTED: u8 = 130;
}

/// Whose fault an error is, which decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fault {
    /// Something was asked for that cannot be.
    Request,
    /// The data are bad.
    Data,
    /// The machine, the network or the program failed.
    Machine,
    /// Nobody's: the user pressed Ctrl-C.
    Interruption,
    /// Nobody's: the scheduler, or whoever sends signals, asked the program to end.
    Preemption,
}

impl Fault {
    /// What the shell gets to see.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Request => exit::USAGE,
            Self::Data => exit::BAD_DATA,
            Self::Machine => exit::FAILED,
            Self::Interruption => exit::INTERRUPTED,
            Self::Preemption => exit::RESUMABLE,
        }
    }
}

/// An error as the user gets it: its text says what was wrong and where, the hint what to do.
pub trait Failure: error::Error + Any + Send + Sync {
    /// One action that helps; `None` where there is none to name.
    fn hint(&self) -> Option<String>;

    /// Whose fault it is.
    fn fault(&self) -> Fault;
}

/// Whatever ended a command before it was done.
pub struct Error(Box<dyn Failure>);

impl Error {
    /// One action that helps.
    pub fn hint(&self) -> Option<String> {
        self.0.hint()
    }

    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        self.0.fault()
    }

    /// What the shell gets to see.
    pub fn exit_code(&self) -> u8 {
        self.fault().exit_code()
    }

    /// The module's error that this holds, if it is a `T`.
    pub fn is_a<T: Failure>(&self) -> Option<&T> {
        (&*self.0 as &dyn Any).downcast_ref()
    }
}

impl<T: Failure> From<T> for Error {
    fn from(failure: T) -> Self {
        Self(Box::new(failure))
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.0.source()
    }
}

/// JSON of our own that cannot be written, or stored JSON that cannot be read.
impl Failure for serde_json::Error {
    fn hint(&self) -> Option<String> {
        None
    }

    fn fault(&self) -> Fault {
        Fault::Machine
    }
}

/// An error that no code tells from another: whoever finds it says all of it there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    text: String,
    hint: Option<String>,
    fault: Fault,
}

impl Message {
    fn new(fault: Fault, text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            hint: None,
            fault,
        }
    }

    /// Something was asked for that cannot be: what was wrong and where.
    pub fn request(text: impl Into<String>) -> Self {
        Self::new(Fault::Request, text)
    }

    /// Data are bad: what was wrong and where.
    pub fn data(text: impl Into<String>) -> Self {
        Self::new(Fault::Data, text)
    }

    /// The machine, the network or the program failed: at what and where.
    pub fn machine(text: impl Into<String>) -> Self {
        Self::new(Fault::Machine, text)
    }

    /// The same error with one action that helps.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl error::Error for Message {}

impl Failure for Message {
    fn hint(&self) -> Option<String> {
        self.hint.clone()
    }

    fn fault(&self) -> Fault {
        self.fault
    }
}

/// What crosses to the library that runs networks and back.
impl From<&Error> for Message {
    fn from(error: &Error) -> Self {
        Self {
            text: error.to_string(),
            hint: error.hint(),
            fault: error.fault(),
        }
    }
}
