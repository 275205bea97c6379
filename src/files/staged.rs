//! Folders that appear whole or not at all.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::former::{self, Left, OursIn};
use super::leftovers::tidy;
use super::maker::{make_in, next_maker};
use super::{
    DRAFT, NotWritten, OLD, Place, hidden, name_of, not_a_folder, parent, sync_folder, sync_parent,
    system, unwritable,
};
use crate::error::{Error, Message};

/// How long another process at the same place is waited for.
const PAUSE: Duration = Duration::from_millis(1);

/// How often a folder is put in its place while others are at the same place, too.
const MAX_TRIES: usize = 100;

/// A folder that is being filled, beside its destination; removed when dropped unless it was published.
pub struct StagedDir {
    path: PathBuf,
    destination: PathBuf,
    /// What it may remove from a folder that it replaces; `None` where it replaces none.
    ours_in: Option<OursIn>,
    /// What is known so far of what others had put into former folders.
    left: Left,
    published: bool,
}

impl StagedDir {
    /// Makes an empty hidden folder beside `destination`, whose parent is made if missing; links are followed. It
    /// will be put where nothing is, or an empty folder.
    ///
    /// Before that it removes what processes that are gone left there.
    ///
    /// # Errors
    /// Why the destination could not be replaced, or that nothing can be made beside it.
    pub fn beside(destination: &Path) -> Result<Self, Error> {
        Self::new(destination, None)
    }

    /// As [`beside`](Self::beside), for a folder that replaces one of the same kind: `ours_in` knows the names of the
    /// files in it.
    ///
    /// Where a process was killed in the moment in which `destination` does not exist, the former folder is put back.
    ///
    /// # Errors
    /// As [`beside`](Self::beside).
    pub fn replacing(destination: &Path, ours_in: OursIn) -> Result<Self, Error> {
        Self::new(destination, Some(ours_in))
    }

    fn new(destination: &Path, ours_in: Option<OursIn>) -> Result<Self, Error> {
        // Whether or not it exists: `.` and `..` are somebody's working folder.
        name_of(destination, destination)?;
        let place = Place::of(destination)?;
        let name = name_of(destination, &place.path)?;
        let folder = parent(&place.path);
        let unwritable = |source| unwritable(destination, folder, source);
        if let Some(metadata) = &place.metadata {
            if !metadata.is_dir() {
                return Err(not_a_folder(destination).into());
            }
            if metadata.dev() != fs_err::metadata(folder).map_err(unwritable)?.dev() {
                let path = destination.display();
                return Err(Message::request(format!(
                    "{path}: a file system is mounted there, expected a folder that can be renamed"
                ))
                .hint("give a folder in it")
                .into());
            }
        }
        fs_err::create_dir_all(folder).map_err(unwritable)?;
        let mut left = Left::default();
        for found in tidy(&place.path, name, ours_in) {
            left.add(found);
        }
        let path = make_in(folder, &hidden(name, DRAFT), |path| {
            fs_err::create_dir(&path).map(|()| path)
        })
        .map_err(unwritable)?;
        let staged = Self {
            path,
            destination: place.path,
            ours_in,
            left,
            published: false,
        };
        staged.check_removable(destination).map(|()| staged)
    }

    /// Makes sure, before there is anything to lose, that the folder that is there can be replaced.
    fn check_removable(&self, destination: &Path) -> Result<(), Error> {
        let Ok(folder) = fs_err::metadata(&self.destination) else {
            return Ok(());
        };
        let metadata = |path: &Path| {
            fs_err::metadata(path)
                .map_err(|source| unwritable(destination, parent(&self.path), source))
        };
        // The owner of what this process makes is the user that the file system takes it for.
        let user = metadata(&self.path)?.uid();
        let within = metadata(parent(&self.path))?;
        let place = &self.destination;
        Ok(former::check_removable(
            destination,
            place,
            &folder,
            &within,
            user,
        )?)
    }

    /// The hidden folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder that it will be, behind all links.
    pub fn destination(&self) -> &Path {
        &self.destination
    }

    /// Puts the folder in its place, on the disk too, where there is none or an empty one. `sync` flushes it: with
    /// [`sync_tree`], or with [`sync_folder`] where the files in it have been flushed one by one, since flushing tens of
    /// thousands again takes minutes.
    ///
    /// # Errors
    /// [`NotWritten`], also where a folder that is not empty is there; that it is written and not flushed.
    pub fn publish_new(mut self, sync: fn(&Path) -> io::Result<()>) -> Result<(), Error> {
        sync(&self.path)
            .and_then(|()| self.rename())
            .map_err(|source| self.not_written(source))?;
        self.flush().map_err(|source| {
            let path = self.destination.display();
            Message::machine(format!(
                "{path}: written, but not flushed to the disk: {source}"
            ))
            .hint("look whether it is whole, and run again if not")
            .into()
        })
    }

    /// Puts the folder in its place, on the disk too, and removes from the one that was there the files that are ours;
    /// says what else there was.
    ///
    /// # Errors
    /// [`NotWritten`]; the folder that was there is then still there.
    pub fn publish(mut self) -> Result<Left, NotWritten> {
        sync_tree(&self.path)
            .and_then(|()| self.replace(system::exchange))
            .map_err(|source| self.not_written(source))?;
        // It is published: to call that a failure would hide it, and what was found in the former folder.
        self.left.not_flushed = self.flush().err().map(|error| error.to_string());
        Ok(std::mem::take(&mut self.left))
    }

    fn rename(&mut self) -> io::Result<()> {
        fs_err::rename(&self.path, &self.destination)?;
        self.published = true;
        Ok(())
    }

    /// Sees to it that a power cut does not undo what has been published.
    fn flush(&self) -> io::Result<()> {
        sync_parent(&self.destination)
    }

    /// Puts the folder in its place; `exchange` lets two folders change places, where the system can.
    fn replace(&mut self, exchange: fn(&Path, &Path) -> io::Result<()>) -> io::Result<()> {
        for _ in 1..MAX_TRIES {
            let mut result = self.rename();
            if result.as_ref().is_err_and(is_contended) {
                result = self.exchange(exchange);
            }
            match result {
                // Another process is at the same place, and between two renames.
                Err(error) if is_contended(&error) => std::thread::sleep(PAUSE),
                result => return result,
            }
        }
        self.rename()
    }

    /// Lets the folder and the one that is there change places, and clears away that one.
    fn exchange(&mut self, exchange: fn(&Path, &Path) -> io::Result<()>) -> io::Result<()> {
        // As soon as they have, others' files may be in what has the name of ours: a killed process leaves it under a
        // name that says so, see `tidy`.
        let name = self.old_path();
        fs_err::rename(&self.path, &name)?;
        self.path = name;
        match exchange(&self.path, &self.destination) {
            Ok(()) => {
                self.published = true;
                self.retire(&self.path.clone());
                Ok(())
            }
            Err(error) if system::is_unsupported(&error) => self.swap(),
            Err(error) => Err(error),
        }
    }

    /// Replaces the folder in two renames.
    fn swap(&mut self) -> io::Result<()> {
        let old = self.old_path();
        fs_err::rename(&self.destination, &old)?;
        let result = self.rename();
        // Another process may have put its own there between the two; else, should this fail, the next run does it.
        if self.published || fs_err::rename(&old, &self.destination).is_err() {
            self.retire(&old);
        }
        result
    }

    /// Clears away what was at the destination until now, and is `former`.
    fn retire(&mut self, former: &Path) {
        let nothing: OursIn = |_| Vec::new();
        let ours_in = self.ours_in.unwrap_or(nothing);
        self.left
            .add(former::retire(former, &self.destination, ours_in));
    }

    fn old_path(&self) -> PathBuf {
        let mut name = hidden(self.destination.file_name().unwrap_or_default(), OLD);
        name.push(next_maker());
        self.destination.with_file_name(name)
    }

    /// That something could not be written into the folder.
    pub fn not_written(&self, source: io::Error) -> NotWritten {
        NotWritten::new(&self.destination, source)
    }
}

impl Drop for StagedDir {
    fn drop(&mut self) {
        if !self.published {
            // Should this fail, the folder is swept later.
            let _ = fs_err::remove_dir_all(&self.path);
        }
    }
}

/// Whether an error of renaming says that another process is doing the same.
fn is_contended(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists
    )
}

/// Flushes a folder and everything in it.
///
/// # Errors
/// The file system's.
pub fn sync_tree(folder: &Path) -> io::Result<()> {
    for entry in fs_err::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_tree(&entry.path())?;
        } else {
            fs_err::File::open(entry.path())?.sync_all()?;
        }
    }
    sync_folder(folder)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{content, fill, names, replacing, said};
    use super::*;

    #[test]
    fn a_staged_folder_replaces_the_one_that_was_there() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("a/results");
        for text in ["one", "two"] {
            let staged = replacing(&place);
            fill(staged.path(), text);
            assert_eq!(staged.publish().unwrap(), Left::default());
            assert_eq!(content(&place), text);
        }
        assert_eq!(names(&dir.path().join("a")), ["results"]);
    }

    /// What a file system answers that cannot let two folders change places.
    fn unsupported(_: &Path, _: &Path) -> io::Result<()> {
        Err(io::Error::from_raw_os_error(libc::EINVAL))
    }

    #[test]
    fn many_may_replace_one_folder_at_once_whatever_the_system_can() {
        for exchange in [system::exchange, unsupported] {
            let dir = tempfile::tempdir().unwrap();
            let place = dir.path().join("results");
            std::thread::scope(|scope| {
                for number in 0..8 {
                    let place = &place;
                    scope.spawn(move || {
                        for _ in 0..10 {
                            let mut staged = replacing(place);
                            fill(staged.path(), &number.to_string());
                            staged.replace(exchange).unwrap();
                            assert_eq!(staged.left, Left::default());
                        }
                    });
                }
            });
            assert!(content(&place).parse::<u32>().is_ok());
            assert_eq!(names(dir.path()), ["results"]);
        }
    }

    #[test]
    fn a_folder_that_is_in_its_place_counts_as_written_whatever_becomes_of_the_flush() {
        let dir = tempfile::tempdir().unwrap();
        let mut staged = replacing(&dir.path().join("results"));
        staged.destination = dir.path().join("gone/results");
        let error = staged.flush().unwrap_err();
        assert!(error.to_string().contains("gone"), "{error}");
    }

    #[test]
    fn what_appears_in_a_folder_before_it_is_replaced_is_kept_in_the_new_one() {
        for exchange in [system::exchange, unsupported] {
            let dir = tempfile::tempdir().unwrap();
            let place = dir.path().join("results");
            fill(&place, "one");
            let mut staged = replacing(&place);
            fill(staged.path(), "two");
            fs_err::write(place.join("notes"), "mine").unwrap();
            fill(&place.join("more"), "mine, too");
            staged.replace(exchange).unwrap();
            let left = std::mem::take(&mut staged.left);
            assert_eq!(left.moved, ["more", "notes"]);
            assert_eq!(left.former, None);
            drop(staged);
            assert_eq!(content(&place), "two");
            assert_eq!(fs_err::read(place.join("notes")).unwrap(), b"mine");
            assert_eq!(content(&place.join("more")), "mine, too");
            assert_eq!(names(dir.path()), ["results"]);
        }
    }

    #[test]
    fn what_appears_where_there_was_no_folder_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("results");
        let staged = replacing(&place);
        fill(staged.path(), "new");
        fs_err::create_dir(&place).unwrap();
        fs_err::write(place.join("notes"), "mine").unwrap();
        assert_eq!(staged.publish().unwrap().moved, ["notes"]);
        assert_eq!(names(&place), ["file", "notes"]);
        assert_eq!(content(&place), "new");
    }

    #[test]
    fn places_are_found_however_they_are_written() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs_err::create_dir_all(root.join("disk/target")).unwrap();
        fs_err::os::unix::fs::symlink("disk/target", root.join("link")).unwrap();
        for (path, expected) in [
            ("link/", "disk/target"),
            ("link/.", "disk/target"),
            ("new/.", "new"),
            ("new/", "new"),
            ("disk/../other/./", "other"),
        ] {
            for text in ["one", "two"] {
                let staged = replacing(&root.join(path));
                assert!(staged.destination().ends_with(expected), "{path}");
                fill(staged.path(), text);
                staged.publish().unwrap();
                assert_eq!(content(&root.join(expected)), text);
            }
        }
        assert_eq!(names(root), ["disk", "link", "new", "other"]);
    }

    #[test]
    fn a_staged_folder_that_is_dropped_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let staged = StagedDir::beside(&dir.path().join("results")).unwrap();
        fill(staged.path(), "half");
        assert_eq!(names(dir.path()).len(), 1);
        drop(staged);
        assert!(names(dir.path()).is_empty());
    }

    #[test]
    fn a_new_folder_takes_an_empty_place_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("set");
        fs_err::create_dir(&place).unwrap();
        let (first, second) = (
            StagedDir::beside(&place).unwrap(),
            StagedDir::beside(&place).unwrap(),
        );
        fill(first.path(), "first");
        fill(second.path(), "second");
        first.publish_new(sync_tree).unwrap();
        let error = second.publish_new(sync_tree).unwrap_err();
        assert!(
            said(&error, dir.path())
                .0
                .starts_with("DIR/set: not written: "),
            "{error}"
        );
        assert_eq!(content(&place), "first");
        assert_eq!(names(dir.path()), ["set"]);
    }

    #[test]
    fn the_old_folder_is_put_back_where_the_new_one_cannot_be_put() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("results");
        fill(&place, "old");
        let mut staged = replacing(&place);
        fs_err::remove_dir(staged.path()).unwrap();
        staged.swap().unwrap_err();
        drop(staged);
        assert_eq!(content(&place), "old");
        assert_eq!(names(dir.path()), ["results"]);
    }

    #[test]
    fn a_link_to_a_folder_stays_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        let target = dir.path().join("disk/results");
        fs_err::create_dir(dir.path().join("disk")).unwrap();
        fs_err::os::unix::fs::symlink("disk/results", &link).unwrap();
        for text in ["one", "two"] {
            let staged = replacing(&link);
            assert_eq!(staged.path().parent(), target.parent());
            fill(staged.path(), text);
            staged.publish().unwrap();
            assert_eq!(content(&target), text);
        }
        assert!(fs_err::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(names(dir.path()), ["disk", "link"]);
        assert_eq!(names(&dir.path().join("disk")), ["results"]);
    }

    #[test]
    fn what_cannot_be_replaced_by_a_folder_is_named_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs_err::write(root.join("file"), "").unwrap();
        fs_err::os::unix::fs::symlink("/", root.join("link")).unwrap();
        let refused = |path: &Path| said(&StagedDir::beside(path).err().unwrap(), root);
        assert_eq!(
            refused(&root.join("file")),
            (
                "DIR/file: is not a folder, expected a folder or nothing".to_owned(),
                Some("choose another folder".to_owned())
            )
        );
        for path in [
            Path::new("."),
            Path::new(".."),
            Path::new("/"),
            &root.join("link"),
        ] {
            let (message, hint) = refused(path);
            assert!(message.contains("ends in no name"), "{message}");
            assert_eq!(hint.as_deref(), Some("give it by its name"));
        }
        assert_eq!(
            refused(Path::new("/proc")),
            (
                "/proc: a file system is mounted there, expected a folder that can be renamed"
                    .to_owned(),
                Some("give a folder in it".to_owned())
            )
        );
        let (message, _) = refused(&root.join("file/results"));
        assert!(message.contains("not writable: "), "{message}");
        assert_eq!(names(root), ["file", "link"]);
    }
}
