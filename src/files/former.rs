//! The folder that a new one replaces: the files that a run wrote are removed from it, and everything else is kept.

use std::ffi::OsString;
use std::fs::Metadata;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::system;
use super::users::{STICKY, user_name};
use crate::error::Message;

/// The names of the files in a folder that a run has written there. The last is the one by which the others are known:
/// it is removed after them, so that they are known until they are gone.
pub type OursIn = fn(&Path) -> Vec<OsString>;

/// What was in a folder that has been replaced, and is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Left {
    /// The names of what no run writes, which is in the new folder now.
    pub moved: Vec<OsString>,
    /// The former folder, where something in it could be neither removed nor moved.
    pub former: Option<PathBuf>,
    /// What the system said where the new folder is in its place and a power cut may undo that.
    pub not_flushed: Option<String>,
}

impl Left {
    /// Takes up what was found in another folder.
    pub fn add(&mut self, other: Self) {
        self.moved.extend(other.moved);
        self.moved.sort();
        // What one run moved here, the next one moves again.
        self.moved.dedup();
        self.former = other.former.or_else(|| self.former.take());
    }
}

/// The first entry of `dir`, by name, that no run has put there; `None` also where there is no `dir`.
///
/// # Errors
/// The file system's.
pub fn first_foreign(dir: &Path, ours_in: OursIn) -> io::Result<Option<OsString>> {
    let entries = match fs_err::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let entries: Vec<_> = entries.collect::<io::Result<_>>()?;
    let ours = ours_in(dir);
    let foreign = entries.iter().filter(|entry| !is_written(entry, &ours));
    Ok(foreign.map(fs_err::DirEntry::file_name).min())
}

/// Whether an entry is one of `ours`, which are all files.
fn is_written(entry: &fs_err::DirEntry, ours: &[OsString]) -> bool {
    // Another process may have removed it meanwhile, and nobody knows its kind.
    ours.contains(&entry.file_name()) && !entry.file_type().is_ok_and(|kind| kind.is_dir())
}

/// Empties and removes the folder `former`, which was `destination` until now, and moves what no run wrote into what is
/// there now. A link is not followed.
pub fn retire(former: &Path, destination: &Path, ours_in: OursIn) -> Left {
    let mut left = Left::default();
    // Whatever fails here shows in that the folder cannot be removed. Another process may be at the same folder.
    if let Ok(folder) = system::open_folder(former) {
        // Somebody may put a link there now: what is done is done in the folder that has been opened.
        let inside = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd()));
        let ours = ours_in(&inside);
        for entry in fs_err::read_dir(&inside).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if !is_written(&entry, &ours)
                && system::rename_new(&entry.path(), &destination.join(&name)).is_ok()
            {
                left.moved.push(name);
            }
        }
        for name in ours {
            // Nor does this remove a folder.
            let _ = fs_err::remove_file(inside.join(name));
        }
    }
    left.moved.sort();
    let is_there = |folder: &Path| fs_err::symlink_metadata(folder).is_ok();
    if fs_err::remove_dir(former).is_err() && is_there(former) {
        left.former = Some(former.to_owned());
    }
    left
}

/// Makes sure that a folder can be replaced and what is in it be removed, by a process that makes files as user `user`.
///
/// # Errors
/// That it cannot, with its owner and its mode.
pub fn check_removable(
    path: &Path,
    place: &Path,
    folder: &Metadata,
    parent: &Metadata,
    user: u32,
) -> Result<(), Message> {
    // In a folder with the sticky bit everybody removes their own files only.
    let is_barred = |within: &Metadata, owner: u32| {
        within.mode() & STICKY != 0 && ![0, within.uid(), owner].contains(&user)
    };
    let entries = || fs_err::read_dir(place).into_iter().flatten().flatten();
    let owner_of = |entry: fs_err::DirEntry| entry.metadata().map(|entry| entry.uid());
    let is_open = match system::check_open(place) {
        // Another process replaces it just now.
        Err(error) => error.kind() == io::ErrorKind::NotFound,
        Ok(()) => true,
    };
    if is_open
        && !is_barred(parent, folder.uid())
        && !entries()
            .flat_map(owner_of)
            .any(|owner| is_barred(folder, owner))
    {
        return Ok(());
    }
    Err(Message::request(format!(
        "{}: what is in it cannot be removed (it belongs to {}, mode {:o}), expected a folder that can be replaced",
        path.display(),
        user_name(folder.uid()),
        folder.mode() & 0o7777
    ))
    .hint("choose another folder, or remove that one"))
}

#[cfg(test)]
mod tests {
    use super::super::tests::names;
    use super::*;

    fn ours_in(_: &Path) -> Vec<OsString> {
        vec!["a".into(), "b".into()]
    }

    #[test]
    fn of_a_former_folder_only_what_a_run_wrote_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        for folder in ["old/b", "old/deep", "new"] {
            fs_err::create_dir_all(path(folder)).unwrap();
        }
        for file in [
            "old/a",
            "old/b/theirs",
            "old/c",
            "old/deep/file",
            "new/a",
            "new/c",
        ] {
            fs_err::write(path(file), file).unwrap();
        }
        let foreign = first_foreign(&path("old"), ours_in).unwrap();
        assert_eq!(foreign.unwrap(), "b", "a folder is no file of a run");

        let left = retire(&path("old"), &path("new"), ours_in);
        let expected = Left {
            moved: vec!["b".into(), "deep".into()],
            former: Some(path("old")),
            not_flushed: None,
        };
        assert_eq!(left, expected);
        assert_eq!(names(&path("old")), ["c"]);
        assert_eq!(names(&path("new")), ["a", "b", "c", "deep"]);
        assert_eq!(fs_err::read_to_string(path("new/c")).unwrap(), "new/c");
        assert_eq!(fs_err::read_to_string(path("new/a")).unwrap(), "new/a");

        fs_err::remove_file(path("old/c")).unwrap();
        assert_eq!(retire(&path("old"), &path("new"), ours_in), Left::default());
        assert!(!path("old").exists());
    }

    #[test]
    fn a_link_is_not_followed_to_what_a_former_folder_would_lose() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        for folder in ["home", "new"] {
            fs_err::create_dir(path(folder)).unwrap();
        }
        for file in ["home/a", "home/thesis"] {
            fs_err::write(path(file), file).unwrap();
        }
        fs_err::os::unix::fs::symlink("home", path("old")).unwrap();
        let left = retire(&path("old"), &path("new"), ours_in);
        assert_eq!(left.former, Some(path("old")));
        assert_eq!(names(&path("home")), ["a", "thesis"]);
        assert!(names(&path("new")).is_empty());
    }

    #[test]
    fn users_are_named_where_they_have_a_name() {
        assert_eq!(user_name(0), "`root`");
        assert_eq!(user_name(4_000_000_000), "user 4000000000");
    }
}
