//! What is in the way of the cache's own files and folders: moved into `damaged/`, so that it can be made again.
//!
//! A backup that went wrong, a tool that "cleaned up" or a hand that slipped leaves folders, links and pipes where
//! files belong, and files where folders do. None of it is followed when something is written, and none of it is
//! deleted, since whose it is nobody knows. Only a regular file in the place of one of the cache's own is removed where
//! its content is not what its name or its seal promises.

use std::io;
use std::path::Path;

use super::error::{reading, writing};
use super::{Access, Cache};
use crate::error::Error;
use crate::files::{self, Unfit};

/// The folder that takes what is in the way.
const FOLDER: &str = "damaged";

impl Cache {
    /// Moves `path`, a path in the cache, out of the way, if it is there: a link itself, a folder with all that is in it.
    ///
    /// # Errors
    /// The file system's; where the cache is only looked at, an error that says so.
    pub(super) fn set_aside(&self, path: &Path) -> io::Result<()> {
        if !is_taken(path) {
            return Ok(());
        }
        if self.access == Access::Look {
            let text = format!("{}: is in the way", path.display());
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
        }
        let name = path.file_name().unwrap_or_default();
        let folder = self.root.join(FOLDER);
        if is_in_the_way(&folder) {
            // What is in the way of the folder itself goes beside it. Where that fails, so does what follows.
            let _ = fs_err::rename(&folder, files::unused_name(&self.root, FOLDER.as_ref()));
        }
        let moved = fs_err::create_dir_all(&folder)
            .and_then(|()| fs_err::rename(path, files::unused_name(&folder, name)))
            // The folder may be a link to another disk.
            .or_else(|_| fs_err::rename(path, files::unused_name(&self.root, name)));
        // Another process may have been faster.
        if is_taken(path) { moved } else { Ok(()) }
    }

    /// Makes sure that files can be put into `folder`, which is in the cache: it and the folders above it are made
    /// where they are missing, and what has their names and is no folder is set aside.
    pub(super) fn make_folder(&self, folder: &Path) -> io::Result<()> {
        if folder.is_dir() {
            return Ok(());
        }
        let is_below_root = |path: &&Path| *path != self.root && path.starts_with(&self.root);
        let mut folders: Vec<&Path> = folder.ancestors().take_while(is_below_root).collect();
        folders.reverse();
        for folder in folders {
            if is_in_the_way(folder) {
                self.set_aside(folder)?;
            }
        }
        fs_err::create_dir_all(folder)?;
        files::sync_parent(folder)
    }

    /// Makes sure that a file can be renamed to `path`, a path in the cache.
    pub(super) fn make_room(&self, path: &Path) -> io::Result<()> {
        match fs_err::symlink_metadata(path) {
            Ok(metadata) if !metadata.is_file() => self.set_aside(path),
            // Renaming replaces a file.
            _ => Ok(()),
        }
    }

    /// Removes a file of the cache, if it is there; what is no file is set aside. Whoever only looks leaves it.
    pub(super) fn remove(&self, path: &Path) -> Result<(), Error> {
        if self.access == Access::Look {
            return Ok(());
        }
        let removed = match fs_err::symlink_metadata(path) {
            Ok(metadata) if metadata.is_file() => fs_err::remove_file(path),
            Ok(_) => self.set_aside(path),
            Err(error) => Err(error),
        };
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(writing(&self.root, path, &error).into())
            }
            _ => Ok(()),
        }
    }
}

/// Whether anything has this name, be it a link to nowhere.
pub fn is_taken(path: &Path) -> bool {
    fs_err::symlink_metadata(path).is_ok()
}

/// Whether something else is in the place of a folder; a link to a folder is one.
pub fn is_in_the_way(folder: &Path) -> bool {
    // One look decides: between two of them another process may make the folder.
    match fs_err::symlink_metadata(folder) {
        Ok(found) if found.is_symlink() => match fs_err::metadata(folder) {
            Ok(found) => !found.is_dir(),
            // Nobody knows what is behind a door that is closed.
            Err(error) => error.kind() != io::ErrorKind::PermissionDenied,
        },
        Ok(found) => !found.is_dir(),
        Err(_) => false,
    }
}

/// What is in the place of the file at `path`, or of a folder on the way to it, if `error`, of reading it, is due to that,
/// so that another file could be there. A machine that is out of memory or of open files says nothing of the file.
pub fn of(path: &Path, error: &io::Error) -> Option<String> {
    if let Some(link) = files::broken_link(path) {
        return Some(link.to_string());
    }
    if let Some(folder) = path.ancestors().skip(1).find(|path| is_in_the_way(path)) {
        return Some(no_folder(folder));
    }
    let kinds = [io::ErrorKind::NotADirectory, io::ErrorKind::IsADirectory];
    (Unfit::of(error).is_some() || kinds.contains(&error.kind())).then(|| error.to_string())
}

/// That something else is in the place of a folder.
pub fn no_folder(path: &Path) -> String {
    format!("{}: is no folder, expected one", path.display())
}

/// The bytes of a file of the cache, no more than `max_bytes`; `None` if there is none.
///
/// # Errors
/// As [`reading`].
pub fn read(path: &Path, max_bytes: u64) -> Result<Option<Vec<u8>>, Error> {
    match files::read(path, max_bytes) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error)
            if error.kind() == io::ErrorKind::NotFound && files::broken_link(path).is_none() =>
        {
            Ok(None)
        }
        Err(error) => Err(reading(path, &error)),
    }
}

#[cfg(test)]
pub mod tests {
    use super::super::is_loss;
    use super::*;
    use std::os::unix::fs::FileTypeExt;

    /// Puts something else in the place of a file of the cache.
    pub type Harm = fn(&Path);

    /// Everything but a regular file, and one of a size that memory does not hold.
    pub const HARMS: [(&str, Harm); 6] = [
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
        assert!(read(&path, 10).unwrap().is_none());
        for (what, harm) in HARMS {
            harm(&path);
            let error = read(&path, 10).unwrap_err();
            assert!(is_loss(&error), "{what}: {error:?}");
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
        cache.make_folder(&path).unwrap();
        assert!(path.is_dir());
    }

    #[test]
    fn both_folders_of_the_cache_that_take_files_may_be_blocked_at_once() {
        let (_dir, cache) = cache();
        for (what, harm) in HARMS {
            for name in ["damaged", "tmp"] {
                let path = cache.root.join(name);
                if path.is_dir() {
                    fs_err::remove_dir_all(&path).unwrap();
                }
                if what != "a folder" {
                    harm(&path);
                }
            }
            let cache = Cache::open(&cache.root).unwrap();
            let digest = cache.put(what.as_bytes()).unwrap();
            assert_eq!(cache.get(&digest, 99).unwrap(), what.as_bytes());
        }
    }

    #[test]
    fn whoever_looks_changes_nothing() {
        let (_dir, cache) = cache();
        let digest = cache.put(b"abc").unwrap();
        let path = cache.object_path(&digest);
        fs_err::write(&path, "abd").unwrap();
        fs_err::remove_dir(cache.root.join("features")).unwrap();
        fs_err::write(cache.root.join("features"), "mine").unwrap();
        fs_err::write(cache.root.join("layout"), "?").unwrap();

        let warnings = crate::progress::Warnings::default();
        let looked = Cache::open_telling(&cache.root, Access::Look, &warnings).unwrap();
        assert!(is_loss(&looked.get(&digest, 3).unwrap_err()));
        let warnings = warnings.0.into_inner().unwrap();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains("the next run makes that again"));
        assert_eq!(fs_err::read(&path).unwrap(), b"abd");
        assert_eq!(fs_err::read(cache.root.join("layout")).unwrap(), b"?");
        assert!(cache.root.join("features").is_file());
        assert!(!cache.root.join("damaged").exists());
    }
}
