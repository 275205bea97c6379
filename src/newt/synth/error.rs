//! Why there is no synthetic data set, and how it is said.

use std::io;
use std::path::PathBuf;

use super::{MAX_IMAGES_PER_TASK, MIN_IMAGES_PER_TASK, RECIPE_FILE, task_names};
use crate::error::{Failure, Fault};
use crate::files;
use crate::interrupt::Stopped;
use crate::text::{self, foreign};

/// Why there is no synthetic data set.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A name is not one of [`task_names`].
    #[error("data synth: no task `{name}`, expected one of {}", task_names().join(", "), name = foreign(name))]
    UnknownTask {
        /// The name.
        name: String,
    },
    /// No task is asked for.
    #[error("data synth: 0 tasks, expected at least 1 of {}", task_names().join(", "))]
    NoTasks,
    /// The images cannot be shared out evenly among splits and classes.
    #[error(
        "data synth: {found} images per task, expected a multiple of 4 from {MIN_IMAGES_PER_TASK} to {MAX_IMAGES_PER_TASK}"
    )]
    ImagesPerTask {
        /// The number.
        found: usize,
    },
    /// The folder cannot be put in its place.
    #[error(transparent)]
    Folder(#[from] crate::error::Error),
    /// The folder holds something else.
    #[error(
        "{}: holds files but no `{RECIPE_FILE}`, expected an empty or new folder",
        text::path(dir)
    )]
    NotEmpty {
        /// The folder.
        dir: PathBuf,
    },
    /// The folder's recipe cannot be read.
    #[error(
        "{}: {reason}, expected the recipe of a synthetic data set",
        text::path(path)
    )]
    BadRecipe {
        /// The recipe's path.
        path: PathBuf,
        /// The parser's words.
        reason: String,
    },
    /// The folder holds a synthetic set that was drawn otherwise.
    #[error("{}: `{key}` is {found}, expected {expected}", text::path(path))]
    OtherRecipe {
        /// The recipe's path.
        path: PathBuf,
        /// What differs.
        key: &'static str,
        /// Its value there.
        found: String,
        /// The value asked for.
        expected: String,
    },
    /// Parts of the set have gone.
    #[error(
        "{}: {found}, expected {expected} as its `{RECIPE_FILE}` says",
        text::path(dir)
    )]
    Incomplete {
        /// The folder.
        dir: PathBuf,
        /// What it holds.
        found: String,
        /// What has been drawn.
        expected: String,
    },
    /// The drawing was interrupted; nothing is left of it.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// The file system's, which names the path, or the encoder's.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Error {
    /// One action that helps.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownTask { name } => {
                nearest_task(name).map(|task| format!("did you mean `{task}`?"))
            }
            Self::NoTasks => Some("leave the tasks out to draw all of them".to_owned()),
            Self::ImagesPerTask { found } => {
                let found = (*found).clamp(MIN_IMAGES_PER_TASK, MAX_IMAGES_PER_TASK);
                Some(format!(
                    "ask for {} images per task",
                    found.next_multiple_of(4)
                ))
            }
            Self::Folder(error) => error.hint(),
            Self::NotEmpty { .. } | Self::BadRecipe { .. } => {
                Some("choose another folder".to_owned())
            }
            Self::OtherRecipe { .. } => {
                Some("choose another folder, or remove this one to have it drawn anew".to_owned())
            }
            Self::Incomplete { dir, .. } => {
                Some(format!("remove {} to have it drawn anew", dir.display()))
            }
            Self::Stopped(_) => Some("the same command draws it from the start".to_owned()),
            Self::Io(error) => files::hint(error).map(str::to_owned),
        }
    }
}

/// The most similar name of a task, if one is similar enough to be meant.
fn nearest_task(name: &str) -> Option<&'static str> {
    let similarity = |task: &str| strsim::jaro_winkler(name, task);
    task_names()
        .into_iter()
        .max_by(|a, b| similarity(a).total_cmp(&similarity(b)))
        .filter(|task| similarity(task) > 0.75)
}

impl Failure for Error {
    fn hint(&self) -> Option<String> {
        self.hint()
    }

    fn fault(&self) -> Fault {
        match self {
            Self::Folder(error) => error.fault(),
            Self::Stopped(stopped) => stopped.fault(),
            Self::Io(error) => error.fault(),
            _ => Fault::Request,
        }
    }
}
