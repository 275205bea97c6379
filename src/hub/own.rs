//! Files that we make, or go on writing, in folders that others may write to.
//!
//! Whoever shares a cache can put a link, a second name of somebody's file, or a pipe where a file of ours will be:
//! opened as usual, we would write into what it stands for, or wait for ever.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::files;

/// How often somebody may change what is at a path while we look at it.
const MAX_TRIES: usize = 10;

/// Something that stands where a file of ours belongs, and that cannot be removed.
#[derive(Debug, thiserror::Error)]
#[error(
    "{}: is {found}, expected a file of ours or nothing; not removed: {why}",
    crate::text::path(path)
)]
struct Occupied {
    path: PathBuf,
    /// What is there, with its article.
    found: &'static str,
    /// What the system said.
    why: String,
}

/// What to do about an error of [`open_own`]'s; `None` for others.
pub fn hint_of_occupied(error: &io::Error) -> Option<&'static str> {
    let occupied = error.get_ref()?.downcast_ref::<Occupied>();
    occupied.map(|_| "remove what is there, or have its owner remove it")
}

/// Opens a file to read it and to write to it, with what it holds; makes one where none is. No link is followed.
///
/// It has this one name, and its owner is this user, or that of its folder, who may put there what they like. Anything
/// else but a folder is replaced.
///
/// # Errors
/// [`Occupied`], of the kind that the system gave; the file system's.
pub fn open_own(path: &Path) -> io::Result<fs_err::File> {
    let folder = fs_err::metadata(files::parent(path)).ok();
    let owners = [folder.map(|folder| folder.uid()), files::user()];
    let is_ours = |metadata: &Metadata| owners.contains(&Some(metadata.uid()));
    let is_fine =
        |metadata: &Metadata| metadata.is_file() && metadata.nlink() == 1 && is_ours(metadata);
    open_if(path, |path| open_there(path, true), is_fine)
}

/// Opens a file that is locked and never written to, by whomever it was made; makes one where none is. No link is
/// followed; anything else but a file or a folder is replaced.
///
/// # Errors
/// As [`open_own`].
pub fn open_lock(path: &Path) -> io::Result<fs_err::File> {
    open_if(path, open_lockable, Metadata::is_file)
}

/// Opens the regular file at `path` without following a link and without waiting.
fn open_there(path: &Path, is_written: bool) -> io::Result<fs_err::File> {
    let mut options = std::fs::OpenOptions::new();
    options
        .read(true)
        .write(is_written)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    fs_err::OpenOptions::from_options(options).open(path)
}

/// Opens the lock at `path`, also where another user lets us read it alone: who may not write may lock it, too, on most
/// file systems.
pub fn open_lockable(path: &Path) -> io::Result<fs_err::File> {
    match open_there(path, true) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => open_there(path, false),
        opened => opened,
    }
}

fn open_if(
    path: &Path,
    open: impl Fn(&Path) -> io::Result<fs_err::File>,
    is_fine: impl Fn(&Metadata) -> bool,
) -> io::Result<fs_err::File> {
    for _ in 0..MAX_TRIES {
        // Looked at before it is opened: opening may itself do something, as it does with a tape drive.
        let result = match fs_err::symlink_metadata(path) {
            Ok(metadata) if is_fine(&metadata) => open(path),
            Ok(metadata) => {
                remove(path, &metadata)?;
                continue;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                match fs_err::File::create_new(path) {
                    // Ours, whomever the file system says that it belongs to.
                    Ok(file) => return Ok(file),
                    Err(error) => Err(error),
                }
            }
            Err(error) => return Err(error),
        };
        match result {
            // Somebody may have put something else there meanwhile.
            Ok(file) if is_fine(&file.metadata()?) => return Ok(file),
            Ok(_) => {}
            Err(error) if is_change(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other(format!(
        "{}: another process keeps replacing it",
        crate::text::path(path)
    )))
}

/// Whether something else is at a path than a moment before.
fn is_change(error: &io::Error) -> bool {
    let kinds = [
        io::ErrorKind::NotFound,
        io::ErrorKind::AlreadyExists,
        io::ErrorKind::IsADirectory,
    ];
    kinds.contains(&error.kind()) || matches!(error.raw_os_error(), Some(libc::ELOOP | libc::ENXIO))
}

fn remove(path: &Path, metadata: &Metadata) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            let occupied = Occupied {
                path: path.to_owned(),
                found: kind(metadata),
                why: error.to_string(),
            };
            Err(io::Error::new(error.kind(), occupied))
        }
        _ => Ok(()),
    }
}

fn kind(metadata: &Metadata) -> &'static str {
    if !metadata.is_file() {
        files::kind(metadata.file_type())
    } else if metadata.nlink() > 1 {
        "a file with several names"
    } else {
        "a file of another user"
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::process::Command;

    use super::*;

    #[test]
    fn what_is_no_file_of_ours_is_replaced_and_left_as_it_was_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        let (path, theirs) = (dir.path().join("ours"), dir.path().join("theirs"));
        let makes: [fn(&Path, &Path); 4] = [
            |theirs, path| fs_err::os::unix::fs::symlink(theirs, path).unwrap(),
            |theirs, path| fs_err::hard_link(theirs, path).unwrap(),
            |_, path| fs_err::os::unix::fs::symlink("nowhere", path).unwrap(),
            |_, path| assert!(Command::new("mkfifo").arg(path).status().unwrap().success()),
        ];
        for make in makes {
            for open in [open_own as fn(&Path) -> _, open_lock] {
                fs_err::write(&theirs, "theirs").unwrap();
                make(&theirs, &path);
                let mut file = open(&path).unwrap();
                assert!(fs_err::symlink_metadata(&path).unwrap().is_file());
                // A lock may have several names: nobody writes to it.
                if file.metadata().unwrap().nlink() == 1 {
                    file.write_all(b"ours").unwrap();
                }
                assert_eq!(fs_err::read(&theirs).unwrap(), b"theirs");
                fs_err::remove_file(&path).unwrap();
            }
        }
        assert!(!dir.path().join("nowhere").exists());
    }

    #[test]
    fn a_file_of_ours_is_opened_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ours");
        open_own(&path).unwrap().write_all(b"held").unwrap();
        let mut held = String::new();
        open_own(&path).unwrap().read_to_string(&mut held).unwrap();
        assert_eq!(held, "held");
    }

    #[test]
    fn a_folder_is_named_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ours\x1b");
        fs_err::create_dir(&path).unwrap();
        let error = open_own(&path).unwrap_err();
        assert!(hint_of_occupied(&error).is_some());
        let error = error.to_string();
        assert!(
            error.contains("ours\\u{1b}: is a folder, expected a file of ours or nothing"),
            "{error}"
        );
        assert!(path.is_dir());
    }
}
