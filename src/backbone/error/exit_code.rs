//! Whose fault an error is: what the shell gets to see.

use std::io;

use super::Error;
use crate::files;
use crate::hub;

impl Error {
    /// 2 where something was asked for that cannot be, 3 where a checkpoint is bad, 1 where the machine fails.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Org { .. }
            | Self::UnknownCheckpoint { .. }
            | Self::VJepa { .. }
            | Self::OtherLibrary { .. }
            | Self::UnknownArchitecture { .. }
            | Self::NotWritten { .. }
            | Self::NoPrefix { .. }
            | Self::SeedTag { .. }
            | Self::NoWeights { .. }
            | Self::ParseDevice { .. }
            | Self::ParsePrecision { .. }
            | Self::NoCuda { .. }
            | Self::NoSuchCudaDevice { .. } => 2,
            Self::Script { fault, .. } => fault.exit_code(),
            Self::Missing(missing) => missing.exit_code(),
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
            | Self::UnknownKey { .. }
            | Self::Damaged { .. }
            | Self::MissingTensor { .. }
            | Self::MisshapenTensor { .. }
            | Self::NoGrid { .. }
            | Self::NoPrefixPositions { .. }
            | Self::SameName { .. }
            | Self::SurplusTensors { .. }
            | Self::Dtype { .. }
            | Self::NonFinite { .. } => 3,
            Self::Hub(error) => error.exit_code(),
            Self::Stopped(stopped) => stopped.exit_code(),
            Self::Failure(failure) => failure.exit_code,
            Self::Io(error)
                if error.kind() == io::ErrorKind::NotFound || files::hint(error).is_some() =>
            {
                2
            }
            Self::Io(_)
            | Self::Pixels { .. }
            | Self::CudaNotUsable { .. }
            | Self::Libtorch { .. } => 1,
        }
    }
}
