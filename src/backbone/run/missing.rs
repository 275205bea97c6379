//! Why no network can be run here.

use std::path::PathBuf;

use super::find::VERSION;

/// What is missing, in which version it was found, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// `LIBTORCH` is set to what cannot be used.
    #[error("LIBTORCH is `{}`, which {problem}", path.display())]
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
        /// The command that installs it.
        command: String,
    },
    /// Our own library is not there.
    #[error("{}: no such file; it is the part of newt-pipe that runs networks", path.display())]
    Library {
        /// Where it should be.
        path: PathBuf,
    },
    /// Our own library is not of the same build.
    #[error("{}: built as `{found}`, this program as `{expected}`", path.display())]
    OtherBuild {
        /// The library.
        path: PathBuf,
        /// Of the library.
        found: String,
        /// Of the program.
        expected: String,
    },
    /// A library cannot be opened.
    #[error("{}: cannot be opened: {problem}", path.display())]
    NotOpened {
        /// The library.
        path: PathBuf,
        /// What the dynamic linker says.
        problem: String,
    },
}

impl Missing {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Variable { .. } => {
                format!("point LIBTORCH at a libtorch {VERSION} folder, or unset it")
            }
            Self::Libtorch { command, .. } => command.clone(),
            Self::Library { .. } | Self::OtherBuild { .. } => {
                "install newt-pipe again, or in a clone run `make build`".to_owned()
            }
            Self::NotOpened { path, .. } if path.ends_with(super::wire::FILE) => {
                "install newt-pipe again, or in a clone run `make build`".to_owned()
            }
            Self::NotOpened { .. } => format!(
                "install PyTorch {VERSION} again, or set LIBTORCH to the folder of another libtorch {VERSION}"
            ),
        })
    }
}

fn listed(others: &[(PathBuf, String)]) -> String {
    others
        .iter()
        .map(|(dir, version)| format!("; {} has {version}", dir.display()))
        .collect()
}
