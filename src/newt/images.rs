//! Where the files of the data set lie below its root.

mod found;
mod reading;

use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, Message};
use crate::files;
use crate::text::{self, shell_word};
pub use found::{ImageFiles, SHOWN_NAMES};
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
    /// Where the root is no folder or has no such file, or the file system's.
    pub fn require_labels(&self) -> Result<(), Error> {
        self.require_root()?;
        if is_dir(&self.labels_path())? == Some(false) {
            return Ok(());
        }
        let found = format!("no file `{LABELS_FILE}`, expected NeWT's labels there");
        Err(self.refused(&found, self.how_to_get()))
    }

    /// What the labels file holds.
    ///
    /// # Errors
    /// As [`require_labels`](Self::require_labels) and [`files::read`].
    pub fn read_labels(&self) -> Result<Vec<u8>, Error> {
        self.require_labels()?;
        files::read(&self.labels_path(), MAX_LABELS_BYTES).map_err(of_data)
    }

    /// Makes sure that the images folder is there; the images in it are not looked at.
    ///
    /// # Errors
    /// Where the root is no folder or has no such folder, or the file system's.
    pub fn require_images(&self) -> Result<(), Error> {
        self.require_root()?;
        if is_dir(&self.images_dir())? == Some(true) {
            return Ok(());
        }
        let found = format!("no folder `{IMAGES_DIR}`, expected the images there");
        let hint = format!(
            "`newt-pipe data fetch {}` gets NeWT's images (4 GB); put the images of another data set into that folder",
            shell_word(&self.root)
        );
        Err(self.refused(&found, hint))
    }

    fn require_root(&self) -> Result<(), Error> {
        match is_dir(&self.root)? {
            Some(true) => Ok(()),
            Some(false) => Err(self.refused(
                &format!("not a folder, expected the one that holds `{LABELS_FILE}`"),
                "set `data.root` to the folder, not to a file in it".to_owned(),
            )),
            None => Err(self.refused(
                &format!("no such folder, expected `{LABELS_FILE}` and `{IMAGES_DIR}` in it"),
                self.how_to_get(),
            )),
        }
    }

    fn refused(&self, found: &str, hint: String) -> Error {
        let text = format!("data root {}: {found}", text::path(&self.root));
        Message::data(text).hint(hint).into()
    }

    fn how_to_get(&self) -> String {
        format!(
            "`newt-pipe data fetch {}` gets NeWT (4 GB); `newt-pipe data synth DIR` draws a small data set",
            shell_word(&self.root)
        )
    }
}

/// Whether `path`, links followed, is a folder; `None` where there is nothing.
fn is_dir(path: &Path) -> Result<Option<bool>, Error> {
    match fs_err::metadata(path) {
        Ok(metadata) => Ok(Some(metadata.is_dir())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            files::check_links(path).map(|()| None).map_err(of_data)
        }
        Err(error) => Err(of_data(error)),
    }
}

/// What the file system says of the data set is the data's fault.
#[expect(clippy::needless_pass_by_value, reason = "taken as `map_err` gives it")]
fn of_data(error: io::Error) -> Error {
    let message = Message::data(error.to_string());
    match files::hint(&error) {
        Some(hint) => message.hint(hint).into(),
        None => message.into(),
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
        assert_eq!(
            said(&root, &root.require_images().unwrap_err()),
            said(&root, &error)
        );
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
        for (error, found) in [
            (root.require_labels(), "no file `newt2021_labels.csv`"),
            (root.require_images(), "no folder `newt2021_images`"),
        ] {
            let said = said(&root, &error.unwrap_err()).0;
            assert!(
                said.starts_with(&format!("data root ROOT: {found}")),
                "{said}"
            );
        }
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
