//! What processes that were killed left beside the places that they were writing to.

use std::ffi::OsStr;
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::former::{self, Left, OursIn};
use super::maker::{is_at_work, is_maker, is_orphan};
use super::users::is_own;
use super::{DRAFT, OLD, Place, hidden, parent};

/// Cleans up beside `destination`, whose last part is `name`, after processes that were killed; `ours_in` knows the files
/// of the folders that replace others there. Says what was found in them that is somebody else's.
pub fn tidy(destination: &Path, name: &OsStr, ours_in: Option<OursIn>) -> Vec<Left> {
    let folder = parent(destination);
    for draft in Hidden::list(folder, &hidden(name, DRAFT)) {
        if is_orphan(&draft.maker, &draft.metadata) {
            draft.remove();
        }
    }
    let Some(ours_in) = ours_in else {
        return Vec::new();
    };
    let mut olds = Hidden::list(folder, &hidden(name, OLD));
    // Makers of another host, or from before a reboot, count as gone: an old folder is in use for a moment, and
    // its maker gets an error, no more, if we are in the middle of it.
    // What ends in no maker, is no folder, or belongs to somebody else was put there by nobody but them.
    olds.retain(|old| {
        is_maker(&old.maker)
            && old.metadata.is_dir()
            && is_own(&old.metadata)
            && is_at_work(&old.maker) != Some(true)
    });
    if !destination.exists()
        && let Some(last) = olds.pop()
    {
        // Another process may have put it back meanwhile.
        let _ = fs_err::rename(&last.path, destination);
    }
    olds.iter()
        .map(|old| former::retire(&old.path, destination, ours_in))
        .collect()
}

/// The drafts beside `destination` that nobody can be known to work at and that are never swept, oldest first: their
/// makers are of another host or of before a restart, or processes that another user started and that are gone.
pub fn strays(destination: &Path) -> Vec<PathBuf> {
    let place = Place::of(destination).ok();
    let Some((path, name)) = place
        .as_ref()
        .and_then(|place| Some((&place.path, place.path.file_name()?)))
    else {
        return Vec::new();
    };
    let is_stray = |draft: &Hidden| {
        is_at_work(&draft.maker) != Some(true) && !is_orphan(&draft.maker, &draft.metadata)
    };
    Hidden::list(parent(path), &hidden(name, DRAFT))
        .into_iter()
        .filter(is_stray)
        .map(|draft| draft.path)
        .collect()
}

/// Something hidden beside a destination.
struct Hidden {
    path: PathBuf,
    maker: String,
    metadata: Metadata,
}

impl Hidden {
    /// What is in `folder` under names that begin with `prefix`, oldest first; nothing where that cannot be read.
    fn list(folder: &Path, prefix: &OsStr) -> Vec<Self> {
        let Ok(entries) = fs_err::read_dir(folder) else {
            return Vec::new();
        };
        let mut list: Vec<Self> = entries
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name();
                let maker = name.as_bytes().strip_prefix(prefix.as_bytes())?;
                Some(Self {
                    path: entry.path(),
                    maker: String::from_utf8(maker.to_vec()).ok()?,
                    metadata: entry.metadata().ok()?,
                })
            })
            .collect();
        list.sort_by_key(|hidden| (hidden.metadata.mtime(), hidden.metadata.mtime_nsec()));
        list
    }

    /// Removes it; failures do not matter, as another process may be sweeping as well.
    fn remove(&self) {
        let _ = if self.metadata.is_dir() {
            fs_err::remove_dir_all(&self.path)
        } else {
            fs_err::remove_file(&self.path)
        };
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{content, fill, names, replacing};
    use super::super::{StagedDir, maker};
    use super::*;

    /// A process that is gone.
    fn dead() -> u32 {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        child.id()
    }

    #[test]
    fn what_others_put_into_a_folder_outlives_a_kill_in_the_middle_of_the_exchange() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let place = path("results");
        let old = path(&format!(".results.old-{}", maker(dead(), 0)));
        fill(&place, "new");
        fill(&old, "old");
        fs_err::write(old.join("notes"), "mine").unwrap();
        // A data set replaces nothing, so it does not know what to do with what is there.
        drop(StagedDir::beside(&place).unwrap());
        assert_eq!(fs_err::read(old.join("notes")).unwrap(), b"mine");
        let staged = replacing(&place);
        let left = staged.publish().unwrap();
        assert_eq!(left.moved, ["notes"]);
        assert_eq!(fs_err::read(place.join("notes")).unwrap(), b"mine");
        assert_eq!(names(dir.path()), ["results"]);
    }

    #[test]
    fn what_only_looks_like_a_former_folder_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let (backup, year) = (".results.old-backup", ".results.old-2023");
        let link = format!(".results.old-{}", maker(dead(), 0));
        for folder in ["home", backup, year] {
            fill(&path(folder), folder);
        }
        fs_err::os::unix::fs::symlink("home", path(&link)).unwrap();
        // Where nothing is, and where something is.
        for _ in 0..2 {
            let staged = replacing(&path("results"));
            fill(staged.path(), "new");
            assert_eq!(staged.publish().unwrap(), Left::default());
            for folder in ["home", backup, year] {
                assert_eq!(content(&path(folder)), folder);
            }
            assert!(path(&link).is_symlink());
        }
    }

    #[test]
    fn a_maker_is_told_from_other_words() {
        for text in [&maker(7, 1), "other-1-0", "0123456789ab.4026531836-1-0"] {
            assert!(is_maker(text), "{text}");
        }
        for text in [
            "",
            "backup",
            "2023",
            "other",
            "other-1",
            "other-1-",
            "other-1-0-1",
            "a.1-1-0",
            "2023-11-12",
        ] {
            assert!(!is_maker(text), "{text}");
        }
    }

    #[test]
    fn drafts_of_processes_that_are_gone_are_swept_and_no_others() {
        let dir = tempfile::tempdir().unwrap();
        let swept = [
            format!(".results.draft-{}", maker(dead(), 0)),
            format!(".results.old-{}", maker(dead(), 0)),
            ".results.old-0123456789ab.1-1-0".to_owned(),
        ];
        let kept = [
            format!(".results.draft-{}", maker(std::process::id(), 1 << 40)),
            format!(".results.old-{}", maker(std::process::id(), 1 << 40)),
            format!(".other.draft-{}", maker(dead(), 0)),
            ".results.draft-0123456789ab.1-1-0".to_owned(),
            ".results.draft-mine".to_owned(),
            "results".to_owned(),
        ];
        for name in swept.iter().chain(&kept) {
            fill(&dir.path().join(name), "");
        }
        let file = format!(".results.draft-{}", maker(dead(), 1));
        fs_err::write(dir.path().join(file), "").unwrap();

        let place = dir.path().join("results");
        drop(replacing(&place));
        let mut strays = strays(&place);
        strays.sort();
        assert_eq!(
            strays,
            [&kept[3], &kept[4]].map(|name| dir.path().join(name))
        );
        let mut kept = kept.to_vec();
        kept.sort();
        assert_eq!(names(dir.path()), kept);
    }

    #[test]
    fn drafts_of_a_process_that_was_killed_and_not_waited_for_are_swept() {
        let dir = tempfile::tempdir().unwrap();
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let stat = format!("/proc/{}/stat", child.id());
        while !fs_err::read_to_string(&stat).unwrap().contains(") Z ") {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let name = format!(".results.draft-{}", maker(child.id(), 0));
        fill(&dir.path().join(name), "");
        drop(StagedDir::beside(&dir.path().join("results")).unwrap());
        assert!(names(dir.path()).is_empty());
        child.wait().unwrap();
    }

    #[test]
    fn a_folder_whose_swap_was_cut_short_is_put_back() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("results");
        let old = |maker: String| dir.path().join(format!(".results.old-{maker}"));
        // Of an earlier swap, which ended before it could remove this.
        fill(&old(maker(dead(), 0)), "superseded");
        std::thread::sleep(std::time::Duration::from_millis(20));
        fill(&old(maker(dead(), 1)), "last");
        drop(replacing(&place));
        assert_eq!(content(&place), "last");
        assert_eq!(names(dir.path()), ["results"]);
    }

    #[test]
    fn a_swap_that_is_going_on_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let name = format!(".results.old-{}", maker(std::process::id(), 1 << 40));
        fill(&dir.path().join(&name), "old");
        drop(replacing(&dir.path().join("results")));
        assert_eq!(names(dir.path()), [name]);
    }
}
