//! The crate's error: one transparent variant per module's error, with hint and exit code.

use std::io;

use crate::artifact;
use crate::backbone;
use crate::cache;
use crate::files;
use crate::hub;
use crate::interrupt::{Left, Stopped};
use crate::newt::{fetch, images, labels, sampling, synth};
use crate::pipeline::config;
use crate::pipeline::predict;
use crate::pipeline::results::NotResults;
use crate::probe;
use crate::stage::StageError;
use crate::stats::bootstrap;

/// Everything that can end a command before it is done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A pipeline file or a flag.
    #[error(transparent)]
    Config(config::Error),
    /// The labels file.
    #[error(transparent)]
    Labels(#[from] labels::Error),
    /// The data root.
    #[error(transparent)]
    Data(#[from] images::Error),
    /// The data set could not be fetched.
    #[error(transparent)]
    Fetch(#[from] fetch::Error),
    /// The synthetic data set.
    #[error(transparent)]
    Synth(#[from] synth::Error),
    /// The draw of train rows.
    #[error(transparent)]
    Sampling(#[from] sampling::Error),
    /// A backbone or its checkpoint.
    #[error(transparent)]
    Backbone(backbone::Error),
    /// A probe.
    #[error(transparent)]
    Probe(#[from] probe::Error),
    /// The bootstrap.
    #[error(transparent)]
    Bootstrap(bootstrap::Error),
    /// The cache.
    #[error(transparent)]
    Cache(#[from] cache::Error),
    /// A file or folder that cannot be written where it should be.
    #[error(transparent)]
    Output(#[from] files::Error),
    /// A typed file.
    #[error(transparent)]
    Artifact(artifact::Error),
    /// A stage.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// Features that probes were not fitted for.
    #[error(transparent)]
    Predict(#[from] predict::Error),
    /// The results folder.
    #[error(transparent)]
    Results(#[from] NotResults),
    /// A stop was asked for.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// A file that cannot be read or written; the message names it.
    #[error(transparent)]
    Io(io::Error),
    /// JSON that cannot be written, or stored JSON that cannot be read.
    #[error(transparent)]
    Json(serde_json::Error),
}

// A stop is a stop, wherever it was heard.

impl From<config::Error> for Error {
    fn from(error: config::Error) -> Self {
        match error {
            config::Error::Stopped(stopped) => Self::Stopped(stopped),
            error => Self::Config(error),
        }
    }
}

impl From<backbone::Error> for Error {
    fn from(error: backbone::Error) -> Self {
        match error {
            backbone::Error::Stopped(stopped)
            | backbone::Error::Hub(hub::Error::Stopped(stopped)) => Self::Stopped(stopped),
            error => Self::Backbone(error),
        }
    }
}

impl From<artifact::Error> for Error {
    fn from(error: artifact::Error) -> Self {
        match error {
            artifact::Error::Stopped(stopped) => Self::Stopped(stopped),
            error => Self::Artifact(error),
        }
    }
}

impl From<bootstrap::Error> for Error {
    fn from(error: bootstrap::Error) -> Self {
        match error {
            bootstrap::Error::Stopped(stopped) => Self::Stopped(stopped),
            error => Self::Bootstrap(error),
        }
    }
}

impl Error {
    /// One action that helps.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Config(error) => error.hint(),
            Error::Labels(error) => error.hint(),
            Error::Data(error) => error.hint(),
            Error::Fetch(error) => error.hint(),
            Error::Synth(error) => error.hint(),
            Error::Sampling(error) => error.hint(),
            Error::Backbone(error) => error.hint(),
            Error::Probe(error) => error.hint(),
            Error::Bootstrap(error) => error.hint(),
            Error::Cache(error) => error.hint(),
            Error::Output(error) => error.hint(),
            Error::Artifact(artifact::Error::Io(error))
                if error.kind() == io::ErrorKind::NotFound || files::hint(error).is_some() =>
            {
                Some(files::hint(error).unwrap_or(CHECK_PATH).to_owned())
            }
            Error::Artifact(error) => error.hint(),
            Error::Stopped(stopped) => Some(stopped.hint()),
            Error::Stage(error) => Some(error.hint()),
            Error::Predict(error) => Some(error.hint()),
            Error::Results(error) => Some(error.hint()),
            Error::Io(error) if files::hint(error).is_some() => {
                files::hint(error).map(str::to_owned)
            }
            Error::Io(error) if error.kind() == io::ErrorKind::NotFound => {
                Some(CHECK_PATH.to_owned())
            }
            Error::Io(_) | Error::Json(_) => None,
        }
    }

    /// The same error; a stop is that of a command that leaves this for the next time.
    #[must_use]
    pub fn leaving(self, left: Left) -> Self {
        match self {
            Error::Stopped(stopped) => Error::Stopped(stopped.leaving(left)),
            error => error,
        }
    }

    /// What the shell gets to see.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Stopped(stopped) | Error::Synth(synth::Error::Stopped(stopped)) => {
                stopped.exit_code()
            }
            Error::Fetch(error) => error.exit_code(),
            Error::Stage(error) => error.exit_code(),
            Error::Backbone(error) => error.exit_code(),
            Error::Artifact(artifact::Error::Io(error))
                if error.kind() == io::ErrorKind::NotFound =>
            {
                2
            }
            Error::Io(error)
            | Error::Artifact(artifact::Error::Io(error))
            | Error::Synth(synth::Error::Io(error))
                if files::hint(error).is_some() =>
            {
                2
            }
            // The machine failed.
            Error::Output(files::Error::NotWritten { .. } | files::Error::NotFlushed { .. })
            | Error::Synth(
                synth::Error::Io(_)
                | synth::Error::Folder(
                    files::Error::NotWritten { .. } | files::Error::NotFlushed { .. },
                ),
            )
            | Error::Artifact(artifact::Error::Cache(_) | artifact::Error::Io(_))
            | Error::Bootstrap(_)
            | Error::Cache(_)
            | Error::Io(_)
            | Error::Json(_) => 1,
            // Something was asked for that cannot be.
            Error::Config(_)
            | Error::Sampling(_)
            | Error::Results(_)
            | Error::Output(_)
            | Error::Synth(_)
            | Error::Probe(probe::Error::Setting { .. }) => 2,
            // The data are bad.
            Error::Labels(_)
            | Error::Data(_)
            | Error::Probe(_)
            | Error::Predict(_)
            | Error::Artifact(_) => 3,
        }
    }
}

const CHECK_PATH: &str = "check the path; a relative one starts at the working folder, and in a pipeline file at the folder of the file";
