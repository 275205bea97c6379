//! What is in the way of the cache's own files and folders: moved into `damaged/`, so that it can be made again.
//!
//! A backup that went wrong, a tool that "cleaned up" or a hand that slipped leaves folders, links and pipes where
//! files belong. None of it is followed and none of it is deleted, since whose it is nobody knows.

use std::io;
use std::path::{Path, PathBuf};

use super::{Cache, Error};
use crate::files::{self, NotRegular, TooLarge};

/// Folders that take what is in the way, the second where something is in the place of the first.
const FOLDERS: [&str; 2] = ["damaged", "tmp"];

impl Cache {
    /// Moves `path`, a path in the cache, out of the way, if it is there: a link itself, a folder with all that is in it.
    pub(super) fn set_aside(&self, path: &Path) -> io::Result<()> {
        let name = path.file_name().unwrap_or_default();
        let mut moved = Ok(());
        for folder in FOLDERS.map(|folder| self.root.join(folder)) {
            moved = fs_err::create_dir_all(&folder)
                .and_then(|()| fs_err::rename(path, files::unused_name(&folder, name)));
            // Another process may have been faster.
            if moved.is_ok() || !is_taken(path) {
                return Ok(());
            }
        }
        moved
    }

    /// Makes sure that files can be put into `folder`, which is in the cache: it and the folders above it are made
    /// where they are missing, and what has their names and is no folder is set aside. Says whether something was.
    pub(super) fn make_folder(&self, folder: &Path) -> io::Result<bool> {
        if folder.is_dir() {
            return Ok(false);
        }
        let mut found_damage = false;
        let is_below_root = |path: &&Path| *path != self.root && path.starts_with(&self.root);
        let mut folders: Vec<&Path> = folder.ancestors().take_while(is_below_root).collect();
        folders.reverse();
        for folder in folders {
            // One look decides: between two of them another process may make the folder.
            let is_in_the_way = match fs_err::symlink_metadata(folder) {
                Ok(found) if found.is_symlink() => !folder.is_dir(),
                Ok(found) => !found.is_dir(),
                Err(_) => false,
            };
            if is_in_the_way {
                self.set_aside(folder)?;
                found_damage = true;
            }
        }
        fs_err::create_dir_all(folder)?;
        files::sync_parent(folder)?;
        Ok(found_damage)
    }

    /// Makes sure that a file can be renamed to `path`, a path in the cache.
    pub(super) fn make_room(&self, path: &Path) -> io::Result<()> {
        match fs_err::symlink_metadata(path) {
            Ok(metadata) if metadata.is_dir() => self.set_aside(path),
            // Renaming replaces anything else, a link itself and not what it leads to.
            _ => Ok(()),
        }
    }

    /// Removes a file of the cache, if it is there; what is no file is set aside.
    pub(super) fn remove(&self, path: &Path) -> Result<(), Error> {
        let removed = match fs_err::symlink_metadata(path) {
            Ok(metadata) if metadata.is_file() => fs_err::remove_file(path),
            Ok(_) => self.set_aside(path),
            Err(error) => Err(error),
        };
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::writing(&self.root, path, error))
            }
            _ => Ok(()),
        }
    }
}

/// Whether anything has this name, be it a link to nowhere.
pub(super) fn is_taken(path: &Path) -> bool {
    fs_err::symlink_metadata(path).is_ok()
}

/// Whether a file of the cache cannot be read because of what it is, so that another in its place could be; a machine
/// that is out of memory or of open files says nothing of the file.
pub(super) fn is_damage(path: &Path, error: &io::Error) -> bool {
    let inner = error.get_ref();
    let is_other_thing =
        inner.is_some_and(|inner| inner.is::<NotRegular>() || inner.is::<TooLarge>());
    is_other_thing
        || matches!(
            error.kind(),
            io::ErrorKind::PermissionDenied
                | io::ErrorKind::NotADirectory
                | io::ErrorKind::IsADirectory
        )
        || blind_link(path).is_some()
}

/// The link on the way to `path` that leads nowhere, or in a circle.
fn blind_link(path: &Path) -> Option<&Path> {
    path.ancestors().find(|path| {
        fs_err::symlink_metadata(path).is_ok_and(|found| found.is_symlink())
            && fs_err::metadata(path).is_err()
    })
}

/// What keeps the file at `path` from being read, with a blind link named as such.
pub(super) fn named(path: &Path, error: io::Error) -> io::Error {
    match blind_link(path) {
        Some(link) => {
            let text = format!("{}: is a link that leads nowhere", link.display());
            io::Error::new(error.kind(), text)
        }
        None => error,
    }
}

/// The bytes of a file of the cache, no more than `max_bytes`; `None` if there is none.
///
/// # Errors
/// [`Error::Unreadable`] where something else is in its place, [`Error::Io`].
pub(super) fn read(path: PathBuf, max_bytes: u64) -> Result<Option<Vec<u8>>, Error> {
    match files::read(&path, max_bytes) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound && blind_link(&path).is_none() => {
            Ok(None)
        }
        Err(error) => Err(Error::reading(path, error)),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::os::unix::fs::FileTypeExt;

    /// Puts something else in the place of a file of the cache.
    pub(in crate::cache) type Harm = fn(&Path);

    /// Everything but a regular file, and one of a size that memory does not hold.
    pub(in crate::cache) const HARMS: [(&str, Harm); 6] = [
        ("a folder", |path| {
            fs_err::create_dir(path).unwrap();
            fs_err::write(path.join("thesis.tex"), "mine").unwrap();
        }),
        ("a link to itself", |path| {
            fs_err::os::unix::fs::symlink(path, path).unwrap();
        }),
        ("a link to nowhere", |path| {
            fs_err::os::unix::fs::symlink("/nowhere/at/all", path).unwrap();
        }),
        ("a named pipe", |path| {
            let made = std::process::Command::new("mkfifo").arg(path).status();
            assert!(made.unwrap().success());
        }),
        ("a device", |path| {
            fs_err::os::unix::fs::symlink("/dev/zero", path).unwrap();
        }),
        ("a huge file", |path| {
            fs_err::File::create(path)
                .unwrap()
                .set_len(1 << 40)
                .unwrap();
        }),
    ];

    fn cache() -> (tempfile::TempDir, Cache) {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path().join("cache")).unwrap();
        (dir, cache)
    }

    #[test]
    fn nothing_but_a_regular_file_of_a_bounded_size_is_read() {
        let (_dir, cache) = cache();
        let path = cache.root.join("objects/some");
        assert!(read(path.clone(), 10).unwrap().is_none());
        for (what, harm) in HARMS {
            harm(&path);
            let error = read(path.clone(), 10).unwrap_err();
            assert!(error.is_loss(), "{what}: {error:?}");
            assert!(
                error.to_string().contains("objects/some"),
                "{what}: {error}"
            );
            cache.remove(&path).unwrap();
            assert!(!is_taken(&path), "{what}");
        }
    }

    #[test]
    fn what_is_in_the_way_is_kept_and_written_over_by_nobody() {
        let (dir, cache) = cache();
        let target = dir.path().join("elsewhere");
        fs_err::write(&target, "mine").unwrap();
        let path = cache.root.join("objects/ab/cd");
        for (what, harm) in HARMS {
            cache.make_folder(path.parent().unwrap()).unwrap();
            harm(&path);
            cache.write(&path, b"whole").unwrap();
            assert_eq!(fs_err::read(&path).unwrap(), b"whole", "{what}");
            fs_err::remove_file(&path).unwrap();
            // The same in the place of the folder.
            fs_err::remove_dir(path.parent().unwrap()).unwrap();
            if what != "a folder" {
                harm(path.parent().unwrap());
                cache.write(&path, b"whole").unwrap();
                assert_eq!(fs_err::read(&path).unwrap(), b"whole", "{what}");
                fs_err::remove_dir_all(path.parent().unwrap()).unwrap();
            }
        }
        cache.make_folder(path.parent().unwrap()).unwrap();
        fs_err::os::unix::fs::symlink(&target, &path).unwrap();
        cache.write(&path, b"whole").unwrap();
        assert_eq!(fs_err::read(&target).unwrap(), b"mine");
        let damaged: Vec<_> = fs_err::read_dir(cache.root.join("damaged"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        assert!(damaged.iter().any(|path| {
            fs_err::read(path.join("thesis.tex")).is_ok_and(|text| text == b"mine")
        }));
        assert!(damaged.iter().any(|path| {
            fs_err::symlink_metadata(path).is_ok_and(|found| found.file_type().is_fifo())
        }));
    }

    #[test]
    fn a_file_in_the_place_of_the_folder_for_damage_keeps_nothing_from_being_mended() {
        let (_dir, cache) = cache();
        fs_err::write(cache.root.join("damaged"), "").unwrap();
        let path = cache.root.join("actions/sample");
        fs_err::write(&path, "").unwrap();
        assert!(cache.make_folder(&path).unwrap());
        assert!(path.is_dir());
        assert!(!cache.make_folder(&path).unwrap());
    }
}
