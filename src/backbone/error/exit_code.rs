//! Whose fault an error is: what the shell gets to see.

use std::io;

use crate::backbone::error::Error;
use crate::error::{Failure, Fault};
use crate::files;
use crate::hub;

impl Error {
    /// 2 where something was asked for that cannot be, 3 where a checkpoint is bad, 1 where the machine fails.
    pub fn whose(&self) -> Fault {
        match self {
            Self::Org { .. }
            | Self::UnknownCheckpoint { .. }
            | Self::VJepa { .. }
            | Self::OtherLibrary { .. }
            | Self::UnknownArchitecture { .. }
            | Self::NotWritten { .. }
            | Self::NoPrefix { .. }
            | Self::SeedTag { .. }
            | Self::NoWeights { .. } => Fault::Request,
            Self::Script { fault, .. } => fault.whose(),
            Self::Hub(hub::Error::Altered { .. })
            | Self::Pickle { .. }
            | Self::Json { .. }
            | Self::Toml { .. }
            | Self::Useless { .. }
            | Self::NoShard { .. }
            | Self::Index { .. }
            | Self::ImageSize { .. }
            | Self::ConfigValue { .. }
            | Self::MissingKey { .. }
            | Self::UnsupportedArgument { .. }
            | Self::UnknownKey { .. } => Fault::Data,
            Self::Hub(error) => error.whose(),
            Self::Stopped(stopped) => stopped.fault(),
            Self::Io(error)
                if error.kind() == io::ErrorKind::NotFound || files::hint(error).is_some() =>
            {
                Fault::Request
            }
            Self::Io(_) => Fault::Machine,
        }
    }
}
