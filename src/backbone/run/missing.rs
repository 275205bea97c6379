//! Why no network can be run here.

use crate::error::Fault;
use std::path::PathBuf;

use crate::backbone::run::find::VERSION;
use crate::backbone::run::wire::FILE;
use crate::text::{self, foreign, said};

/// What is missing, in which version it was found, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// `LIBTORCH` is set to what cannot be used.
    #[error("LIBTORCH is `{}`, which {problem}", text::path(path), problem = said(problem))]
    Variable {
        /// As set.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// There is no libtorch, or only other versions.
    #[error(
        "libtorch {VERSION}, which runs networks, is not found{}",
        listed(others)
    )]
    Libtorch {
        /// Folders with another version, and that version.
        others: Vec<(PathBuf, String)>,
        /// What brings the right one.
        hint: String,
    },
    /// One of libtorch's libraries cannot be opened.
    #[error("{}: cannot be opened: {problem}", text::path(path), problem = said(problem))]
    BrokenLibtorch {
        /// The library.
        path: PathBuf,
        /// What the dynamic linker says.
        problem: String,
        /// What brings another.
        hint: String,
    },
    /// Our own library is not there.
    #[error(
        "no `{FILE}`, the part of newt-pipe that runs networks, in `{0}` or `{0}/../libexec/newt-pipe`",
        text::path(dir)
    )]
    Library {
        /// The folder of the program.
        dir: PathBuf,
    },
    /// Our own library is not of the same build.
    #[error("{}: built as `{found}`, this program as `{expected}`", text::path(path), found = foreign(found))]
    OtherBuild {
        /// The library.
        path: PathBuf,
        /// Of the library.
        found: String,
        /// Of the program.
        expected: String,
    },
    /// Our own library cannot be opened.
    #[error("{}: cannot be opened: {problem}", text::path(path), problem = said(problem))]
    BrokenLibrary {
        /// The library.
        path: PathBuf,
        /// What the dynamic linker says.
        problem: String,
        /// The version of libtorch that is open.
        libtorch: String,
    },
}

impl Missing {
    /// What the user can do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Variable { .. } => {
                format!("point LIBTORCH at a libtorch {VERSION} folder, or unset it")
            }
            Self::Libtorch { hint, .. } | Self::BrokenLibtorch { hint, .. } => hint.clone(),
            Self::Library { .. } | Self::OtherBuild { .. } => {
                "install newt-pipe again, or in a clone run `make build`".to_owned()
            }
            Self::BrokenLibrary { libtorch, .. } => format!(
                "newt-pipe is built for libtorch {VERSION}.0, and this one is {libtorch}: install PyTorch {VERSION}.0 if \
                 it is another, else newt-pipe again"
            ),
        }
    }

    /// 2 where something is to be installed or set, 1 where what is there does not work.
    pub fn whose(&self) -> Fault {
        match self {
            Self::Variable { .. } | Self::Libtorch { .. } | Self::Library { .. } => Fault::Request,
            Self::BrokenLibtorch { .. } | Self::OtherBuild { .. } | Self::BrokenLibrary { .. } => {
                Fault::Machine
            }
        }
    }
}

fn listed(others: &[(PathBuf, String)]) -> String {
    let mut text = String::new();
    for (dir, version) in others {
        text.push_str(&format!("; {} has {version}", text::path(dir)));
    }
    text
}
