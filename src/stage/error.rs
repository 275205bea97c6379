//! What can keep a stage from its output, besides the errors of the modules that do its work.

use std::path::PathBuf;

use super::features::network::BadImage;
use crate::cache::Digest;
use crate::error::{Failure, Fault};
use crate::probe::norm;
use crate::text::{self, count, foreign, thousands};

/// How many bad images a message spells out.
const SHOWN_IMAGES: usize = 20;

/// Errors of the stages.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// Images that cannot be used.
    #[error("{}", list(.images))]
    BadImages {
        /// All of them.
        images: Vec<BadImage>,
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
    #[error(
        "{}: the backbone gives {value} as feature {column}, expected a finite number",
        text::path(image)
    )]
    NonFiniteFeature {
        /// The image.
        image: PathBuf,
        /// Which feature.
        column: usize,
        /// Its value.
        value: f32,
    },
    /// A row of features whose squares leave float32.
    #[error(
        "{}: the backbone gives features of L2 norm {}, expected {}",
        text::path(image),
        norm::show(*norm),
        norm::USABLE
    )]
    FeatureNorm {
        /// The image.
        image: PathBuf,
        /// The norm.
        norm: f64,
    },
    /// A file that changed between two readings of one run.
    #[error("{}: changed while this run was reading it", text::path(path))]
    ChangedMeanwhile {
        /// The file.
        path: PathBuf,
    },
}

impl StageError {
    /// One action that helps.
    pub fn hint(&self) -> String {
        match self {
            Self::BadImages { images } => hints(images),
            Self::FeaturesChanged { .. } => {
                "the device or libtorch is another; `--force features` takes the new rows"
                    .to_owned()
            }
            Self::NonFiniteFeature { .. } | Self::FeatureNorm { .. } => {
                "try `--set features.precision=f32`; if that fails, too, the weights are unsound"
                    .to_owned()
            }
            Self::ChangedMeanwhile { .. } => "run again once nothing writes to it".to_owned(),
        }
    }

    /// 3 for bad data, 1 for the rest.
    pub fn whose(&self) -> Fault {
        match self {
            Self::BadImages { .. } | Self::NonFiniteFeature { .. } | Self::FeatureNorm { .. } => {
                Fault::Data
            }
            Self::FeaturesChanged { .. } | Self::ChangedMeanwhile { .. } => Fault::Machine,
        }
    }
}

/// What helps them, each action once; where they need several, with one image that it helps.
fn hints(images: &[BadImage]) -> String {
    let mut hints: Vec<(String, &BadImage)> = Vec::new();
    for image in images {
        let hint = image.problem.hint();
        if hints.iter().all(|(other, _)| *other != hint) {
            hints.push((hint, image));
        }
    }
    if let [(hint, _)] = hints.as_slice() {
        return hint.clone();
    }
    let named = hints.iter().map(|(hint, image)| {
        let name = image.path.file_name().unwrap_or_default();
        format!("for `{}`: {hint}", foreign(&name.to_string_lossy()))
    });
    named.collect::<Vec<_>>().join("; ")
}

fn list(images: &[BadImage]) -> String {
    if let [image] = images {
        return image.to_string();
    }
    let mut text = format!("{} cannot be used", count(images.len(), "image", "images"));
    for image in images.iter().take(SHOWN_IMAGES) {
        text.push_str(&format!("\n  {image}"));
    }
    if images.len() > SHOWN_IMAGES {
        let rest = thousands((images.len() - SHOWN_IMAGES) as u64);
        text.push_str(&format!("\n  and {rest} more"));
    }
    text
}

impl Failure for StageError {
    fn hint(&self) -> Option<String> {
        Some(self.hint())
    }

    fn fault(&self) -> Fault {
        self.whose()
    }
}
