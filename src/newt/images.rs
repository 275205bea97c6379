//! Where the files of the data set lie below its root.

mod found;
mod reading;

use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Failure, Fault};
use crate::files::{self, BrokenLink};
use crate::text::{self, shell_word};
pub use found::ImageFiles;
pub(in crate::newt) use found::first_names;
pub use reading::{Unread, check_size, read};

/// The labels file, below the data root.
pub const LABELS_FILE: &str = "newt2021_labels.csv";

/// The folder of the images `<id>.jpg`, below the data root.
pub const IMAGES_DIR: &str = "newt2021_images";

/// The largest labels file that is read: two million rows, where NeWT has 36,000.
const MAX_LABELS_BYTES: u64 = 256 << 20;

/// A folder that holds NeWT, or a data set of the same layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataRoot {
    root: PathBuf,
}

/// A data root that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is nothing at the root's path.
    #[error(
        "data root {}: no such folder, expected `{LABELS_FILE}` and `{IMAGES_DIR}` in it",
        text::path(root)
    )]
    NoRoot {
        /// The data root.
        root: PathBuf,
    },
    /// The root's path leads to a file.
    #[error(
        "data root {}: not a folder, expected the one that holds `{LABELS_FILE}`",
        text::path(root)
    )]
    RootIsNoFolder {
        /// The data root.
        root: PathBuf,
    },
    /// The labels file is missing.
    #[error(
        "data root {}: no file `{LABELS_FILE}`, expected NeWT's labels there",
        text::path(root)
    )]
    NoLabels {
        /// The data root.
        root: PathBuf,
    },
    /// The images folder is missing.
    #[error(
        "data root {}: no folder `{IMAGES_DIR}`, expected the images there",
        text::path(root)
    )]
    NoImages {
        /// The data root.
        root: PathBuf,
    },
    /// The file system refuses to say; its message names the path.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Error {
    /// One action that helps: the command that gets what is missing.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoImages { root } => Some(format!(
                "`newt-pipe data fetch {}` gets NeWT's images (4 GB); put the images of another data set into that folder",
                shell_word(root)
            )),
            Self::NoRoot { root } | Self::NoLabels { root } => Some(format!(
                "`newt-pipe data fetch {}` gets NeWT (4 GB); `newt-pipe data synth DIR` draws a small data set",
                shell_word(root)
            )),
            Self::RootIsNoFolder { .. } => {
                Some("set `data.root` to the folder, not to a file in it".to_owned())
            }
            Self::Io(error) => files::hint(error).map(str::to_owned),
        }
    }
}

impl DataRoot {
    /// The data root at `root`; nothing is looked at.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The root itself.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// `<root>/newt2021_labels.csv`.
    pub fn labels_path(&self) -> PathBuf {
        self.root.join(LABELS_FILE)
    }

    /// `<root>/newt2021_images`.
    pub fn images_dir(&self) -> PathBuf {
        self.root.join(IMAGES_DIR)
    }

    /// `<root>/newt2021_images/<id>.jpg`; `id` is one of a checked labels file, so a plain name.
    pub fn image_path(&self, id: &str) -> PathBuf {
        self.images_dir().join(format!("{id}.jpg"))
    }

    /// The files of the images `ids`, all those of the labels, whatever their names: see [`ImageFiles`].
    ///
    /// # Errors
    /// The file system's, where the folder cannot be listed.
    pub fn find_images<'a>(&self, ids: impl Iterator<Item = &'a str>) -> io::Result<ImageFiles> {
        ImageFiles::find(self.images_dir(), ids)
    }

    /// Makes sure that the labels file is there.
    ///
    /// # Errors
    /// [`Error::NoRoot`], [`Error::RootIsNoFolder`], [`Error::NoLabels`], or the file system's.
    pub fn require_labels(&self) -> Result<(), Error> {
        let root = || self.root.clone();
        match is_dir(&self.root)? {
            None => Err(Error::NoRoot { root: root() }),
            Some(false) => Err(Error::RootIsNoFolder { root: root() }),
            Some(true) if is_dir(&self.labels_path())? == Some(false) => Ok(()),
            Some(true) => Err(Error::NoLabels { root: root() }),
        }
    }

    /// What the labels file holds.
    ///
    /// # Errors
    /// Those of [`require_labels`](Self::require_labels), and of [`files::read`].
    pub fn read_labels(&self) -> Result<Vec<u8>, Error> {
        self.require_labels()?;
        Ok(files::read(&self.labels_path(), MAX_LABELS_BYTES)?)
    }

    /// Makes sure that the images folder is there; the images in it are not looked at.
    ///
    /// # Errors
    /// [`Error::NoRoot`], [`Error::RootIsNoFolder`], [`Error::NoImages`], or the file system's.
    pub fn require_images(&self) -> Result<(), Error> {
        let root = || self.root.clone();
        match is_dir(&self.root)? {
            None => Err(Error::NoRoot { root: root() }),
            Some(false) => Err(Error::RootIsNoFolder { root: root() }),
            Some(true) if is_dir(&self.images_dir())? == Some(true) => Ok(()),
            Some(true) => Err(Error::NoImages { root: root() }),
        }
    }
}

/// Whether `path`, links followed, is a folder; `None` where there is nothing.
fn is_dir(path: &Path) -> Result<Option<bool>, io::Error> {
    match fs_err::metadata(path) {
        Ok(metadata) => Ok(Some(metadata.is_dir())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            BrokenLink::check(path).map(|()| None)
        }
        Err(error) => Err(error),
    }
}

impl Failure for Error {
    fn hint(&self) -> Option<String> {
        self.hint()
    }

    fn fault(&self) -> Fault {
        Fault::Data
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    /// What the user reads, with the data root's path shortened.
    fn said(root: &DataRoot, error: &Error) -> (String, Option<String>) {
        let short = |text: String| text.replace(&root.path().display().to_string(), "ROOT");
        (short(error.to_string()), error.hint().map(short))
    }

    const HOW_TO_GET: &str = "`newt-pipe data fetch ROOT` gets NeWT (4 GB); \
        `newt-pipe data synth DIR` draws a small data set";

    #[test]
    fn files_lie_where_newt_has_them() {
        let root = DataRoot::new("data/newt");
        assert_eq!(
            root.labels_path(),
            Path::new("data/newt/newt2021_labels.csv")
        );
        assert_eq!(
            root.image_path("ab-1"),
            Path::new("data/newt/newt2021_images/ab-1.jpg")
        );
    }

    #[test]
    fn a_missing_root_comes_with_the_command_that_gets_newt() {
        let root = DataRoot::new(TempDir::new().unwrap().path().join("newt"));
        let error = root.require_labels().unwrap_err();
        assert_eq!(
            said(&root, &error),
            (
                "data root ROOT: no such folder, expected `newt2021_labels.csv` and \
                 `newt2021_images` in it"
                    .to_owned(),
                Some(HOW_TO_GET.to_owned())
            )
        );
        assert!(matches!(
            root.require_images().unwrap_err(),
            Error::NoRoot { .. }
        ));
    }

    #[test]
    fn a_root_without_labels_or_images_comes_with_what_is_missing() {
        let dir = TempDir::new().unwrap();
        let root = DataRoot::new(dir.path());
        assert_eq!(
            said(&root, &root.require_labels().unwrap_err()),
            (
                "data root ROOT: no file `newt2021_labels.csv`, expected NeWT's labels there"
                    .to_owned(),
                Some(HOW_TO_GET.to_owned())
            )
        );
        assert_eq!(
            said(&root, &root.require_images().unwrap_err()),
            (
                "data root ROOT: no folder `newt2021_images`, expected the images there".to_owned(),
                Some(
                    "`newt-pipe data fetch ROOT` gets NeWT's images (4 GB); \
                     put the images of another data set into that folder"
                        .to_owned()
                )
            )
        );
        fs_err::write(root.labels_path(), "").unwrap();
        fs_err::create_dir(root.images_dir()).unwrap();
        root.require_labels().unwrap();
        root.require_images().unwrap();
    }

    #[test]
    fn a_folder_in_place_of_the_labels_and_a_file_in_place_of_the_images_do_not_count() {
        let dir = TempDir::new().unwrap();
        let root = DataRoot::new(dir.path());
        fs_err::create_dir(root.labels_path()).unwrap();
        fs_err::write(root.images_dir(), "").unwrap();
        assert!(matches!(
            root.require_labels().unwrap_err(),
            Error::NoLabels { .. }
        ));
        assert!(matches!(
            root.require_images().unwrap_err(),
            Error::NoImages { .. }
        ));
    }

    #[test]
    fn a_file_in_place_of_the_root_is_named() {
        let dir = TempDir::new().unwrap();
        let root = DataRoot::new(dir.path().join("labels.csv"));
        fs_err::write(root.path(), "").unwrap();
        assert_eq!(
            said(&root, &root.require_labels().unwrap_err()),
            (
                "data root ROOT: not a folder, expected the one that holds `newt2021_labels.csv`"
                    .to_owned(),
                Some("set `data.root` to the folder, not to a file in it".to_owned())
            )
        );
    }
}
