//! Whose fault an error is: what the shell gets to see.

use std::io;

use crate::backbone::error::Error;
use crate::error::{Failure, Fault};
use crate::files;

impl Error {
    /// 2 where something was asked for that cannot be, 3 where a checkpoint is bad, 1 where the machine fails.
    pub fn whose(&self) -> Fault {
        match self {
            Self::NoWeights { .. }
            | Self::ParseDevice { .. }
            | Self::ParsePrecision { .. }
            | Self::NoCuda { .. }
            | Self::NoSuchCudaDevice { .. } => Fault::Request,
            Self::Script { fault, .. } => fault.whose(),
            Self::Missing(missing) => missing.whose(),
            Self::Damaged { .. }
            | Self::MissingTensor { .. }
            | Self::MisshapenTensor { .. }
            | Self::NoGrid { .. }
            | Self::NoPrefixPositions { .. }
            | Self::SameName { .. }
            | Self::SurplusTensors { .. }
            | Self::Dtype { .. }
            | Self::NonFinite { .. } => Fault::Data,
            Self::Message(message) => message.fault(),
            Self::Stopped(stopped) => stopped.fault(),
            Self::Library(failure) => failure.fault,
            Self::Io(error)
                if error.kind() == io::ErrorKind::NotFound || files::hint(error).is_some() =>
            {
                Fault::Request
            }
            Self::Io(_)
            | Self::Pixels { .. }
            | Self::CudaNotUsable { .. }
            | Self::Libtorch { .. } => Fault::Machine,
        }
    }
}
