//! Errors of reading safetensors files from the disk.

use std::io;

use crate::error::{Failure, Fault, Message};
use crate::interrupt::Stopped;
use crate::text::{self, said};

/// Errors of reading a safetensors file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bytes are no whole safetensors file.
    #[error("{file}: {what}", file = text::path(file), what = said(what))]
    NotSafetensors {
        /// The file.
        file: String,
        /// What is wrong, with found and expected sizes where there are any.
        what: String,
    },

    /// The header is not that of the file that it should be.
    #[error(transparent)]
    Header(#[from] Message),

    /// The file system failed; the message names the file.
    #[error(transparent)]
    Io(#[from] io::Error),

    /// A stop was asked for while a file was read.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

impl Failure for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NotSafetensors { .. } => Some("write or download the file again".to_owned()),
            Self::Io(error) => error.hint(),
            Self::Header(_) | Self::Stopped(_) => None,
        }
    }

    fn fault(&self) -> Fault {
        match self {
            Self::Io(error) if error.kind() == io::ErrorKind::NotFound => Fault::Request,
            Self::Io(error) => error.fault(),
            _ => Fault::Data,
        }
    }

    fn handed_on(&self) -> Option<&dyn Failure> {
        match self {
            Self::Header(message) => Some(message),
            Self::Stopped(stopped) => Some(stopped),
            _ => None,
        }
    }
}
