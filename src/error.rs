//! The crate's error: one transparent variant per module's error, and the few of the stages.

use std::io;
use std::path::PathBuf;

use crate::artifact;
use crate::backbone;
use crate::cache::{self, Digest};
use crate::interrupt::Stopped;
use crate::newt::{images, labels, sampling, synth};
use crate::pipeline::config;
use crate::probe;
use crate::stage::Name;
use crate::stage::features::network::{BadImage, BadImageProblem};
use crate::stats::bootstrap;

/// How many bad images a message spells out.
const SHOWN_IMAGES: usize = 20;

/// Everything that can end a command before it is done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A pipeline file or a flag.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// The labels file.
    #[error(transparent)]
    Labels(#[from] labels::Error),
    /// The data root.
    #[error(transparent)]
    Data(#[from] images::Error),
    /// The synthetic data set.
    #[error(transparent)]
    Synth(#[from] synth::Error),
    /// The draw of train rows.
    #[error(transparent)]
    Sampling(#[from] sampling::Error),
    /// A backbone or its checkpoint.
    #[error(transparent)]
    Backbone(#[from] backbone::Error),
    /// A probe.
    #[error(transparent)]
    Probe(#[from] probe::Error),
    /// The bootstrap.
    #[error(transparent)]
    Bootstrap(#[from] bootstrap::Error),
    /// The cache.
    #[error(transparent)]
    Cache(#[from] cache::Error),
    /// A typed file.
    #[error(transparent)]
    Artifact(#[from] artifact::Error),
    /// A stop was asked for.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// A file that cannot be read or written; the message names it.
    #[error("{0}")]
    Io(io::Error),
    /// JSON that cannot be written, or stored JSON that cannot be read.
    #[error("JSON: {0}")]
    Json(serde_json::Error),
    /// Images that cannot be used.
    #[error("{}", list(.images))]
    BadImages {
        /// All of them.
        images: Vec<BadImage>,
    },
    /// No task has a name that fits.
    #[error("--tasks {pattern}: matches none of the {n_tasks} tasks")]
    NoTaskMatches {
        /// The pattern.
        pattern: String,
        /// Tasks in the labels file.
        n_tasks: usize,
    },
    /// A stored output lacks a part.
    #[error("stage `{stage}`: the stored output has no part `{name}`")]
    NoPart {
        /// The stage.
        stage: Name,
        /// The part.
        name: &'static str,
    },
    /// Features that were extracted again differ from those that the cache vouches for.
    #[error("features: extracted again, the rows have digest {}…, expected {}…", found.short(), expected.short())]
    FeaturesChanged {
        /// The digest on record.
        expected: Digest,
        /// The digest now.
        found: Digest,
    },
    /// A feature that is NaN or infinite.
    #[error("{}: the backbone gives {value} as feature {column}, expected a finite number", image.display())]
    NonFiniteFeature {
        /// The image.
        image: PathBuf,
        /// Which feature.
        column: usize,
        /// Its value.
        value: f32,
    },
    /// A file that changed between two readings of one run.
    #[error("{}: changed while this run was reading it", path.display())]
    ChangedMeanwhile {
        /// The file.
        path: PathBuf,
    },
    /// A file of the model that is not there.
    #[error("model: no file `{}`", path.display())]
    NoModelFile {
        /// The file.
        path: PathBuf,
    },
    /// A file that a flag names and that is not there.
    #[error("{}: no such file", path.display())]
    NoInputFile {
        /// The file.
        path: PathBuf,
    },
    /// A command that takes one model, and a pipeline that names more.
    #[error("the pipeline names {n} models, expected one")]
    SeveralModels {
        /// How many it names.
        n: usize,
    },
    /// A results folder that holds something else.
    #[error("{}: holds `{example}`, expected an empty folder or the results of a run", dir.display())]
    NotResults {
        /// The folder.
        dir: PathBuf,
        /// A file in it.
        example: String,
    },
}

impl Error {
    /// One action that helps.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Config(error) => error.hint(),
            Error::Labels(error) => error.hint(),
            Error::Data(error) => error.hint(),
            Error::Synth(error) => error.hint(),
            Error::Sampling(error) => error.hint(),
            Error::Backbone(error) => error.hint(),
            Error::Probe(error) => error.hint(),
            Error::Bootstrap(error) => error.hint(),
            Error::Cache(error) => error.hint(),
            Error::Artifact(error) => error.hint(),
            Error::Stopped(stopped) => Some(stopped.hint()),
            Error::BadImages { images } => Some(
                if images
                    .iter()
                    .all(|image| matches!(image.problem, BadImageProblem::Missing))
                {
                    "unpack the images again; `newt-pipe data check DIR` lists what is missing"
                        .to_owned()
                } else {
                    "get these files again; `newt-pipe data check DIR` looks at every image"
                        .to_owned()
                },
            ),
            Error::NoTaskMatches { .. } => Some(
                "the pattern is matched against whole task names, as in `--tasks 'ml_*'`"
                    .to_owned(),
            ),
            Error::NoPart { stage, .. } => Some(format!("`--force {stage}` makes it again")),
            Error::FeaturesChanged { .. } => Some(
                "the device or libtorch is another; `--force features` takes the new rows"
                    .to_owned(),
            ),
            Error::NonFiniteFeature { .. } => Some(
                "try `--set features.precision=f32`; if that fails, too, the weights are unsound"
                    .to_owned(),
            ),
            Error::ChangedMeanwhile { .. } => {
                Some("run again once nothing writes to it".to_owned())
            }
            Error::NoModelFile { .. } => Some(
                "set `model.ckpt`; relative paths in a pipeline file start at its folder"
                    .to_owned(),
            ),
            Error::NoInputFile { .. } => {
                Some("check the path, which starts at the working folder".to_owned())
            }
            Error::SeveralModels { .. } => {
                Some("name one model in a pipeline file of its own".to_owned())
            }
            Error::NotResults { .. } => Some("choose another folder with `--out`".to_owned()),
            Error::Io(_) | Error::Json(_) => None,
        }
    }

    /// What the shell gets to see.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Config(_)
            | Error::NoTaskMatches { .. }
            | Error::Sampling(_)
            | Error::NoModelFile { .. }
            | Error::NoInputFile { .. }
            | Error::SeveralModels { .. }
            | Error::NotResults { .. } => 2,
            Error::Backbone(error) => exit_code_of(error),
            Error::Artifact(artifact::Error::Cache(_) | artifact::Error::Io(_)) => 1,
            Error::Labels(_)
            | Error::Artifact(_)
            | Error::Data(_)
            | Error::BadImages { .. }
            | Error::Probe(_)
            | Error::NonFiniteFeature { .. } => 3,
            Error::Stopped(stopped) => stopped.exit_code(),
            _ => 1,
        }
    }
}

/// A backbone that was named wrongly, a checkpoint that is bad, or a failure of the machine.
fn exit_code_of(error: &backbone::Error) -> u8 {
    use backbone::Error as E;
    match error {
        E::Org { .. }
        | E::Hub { .. }
        | E::UnknownArchitecture { .. }
        | E::SeedTag { .. }
        | E::NoWeights { .. }
        | E::ParseDevice { .. }
        | E::ParsePrecision { .. }
        | E::NoCuda { .. }
        | E::NoSuchCudaDevice { .. }
        | E::NoTorch { .. } => 2,
        E::Pickle { .. }
        | E::Json { .. }
        | E::ConfigValue { .. }
        | E::UnsupportedArgument { .. }
        | E::UnknownKey { .. }
        | E::Damaged { .. }
        | E::MissingTensor { .. }
        | E::MisshapenTensor { .. }
        | E::SurplusTensors { .. }
        | E::Dtype { .. }
        | E::NonFinite { .. } => 3,
        E::Io(_) | E::Pixels { .. } | E::Libtorch { .. } => 1,
    }
}

fn list(images: &[BadImage]) -> String {
    let mut text = match images {
        [image] => return image.to_string(),
        images => format!(
            "{} images cannot be used",
            cache::thousands(images.len() as u64)
        ),
    };
    for image in images.iter().take(SHOWN_IMAGES) {
        text.push_str(&format!("\n  {image}"));
    }
    if images.len() > SHOWN_IMAGES {
        text.push_str(&format!(
            "\n  and {} more",
            cache::thousands((images.len() - SHOWN_IMAGES) as u64)
        ));
    }
    text
}
