//! Folders that appear whole or not at all.

use std::ffi::OsStr;
use std::fs::Metadata;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{
    DRAFT, Error, Place, hidden, is_orphan, is_running, make_in, name_of, next_maker, parent,
    process_of, sync_folder, sync_parent,
};

const OLD: &str = "old";

/// A folder that is being filled, beside its destination; removed when dropped unless it was published.
pub struct StagedDir {
    path: PathBuf,
    destination: PathBuf,
    published: bool,
}

impl StagedDir {
    /// Makes an empty hidden folder beside `destination`, whose parent is made if missing; a link is followed.
    ///
    /// Before that it removes what processes that are gone left there, and where one was killed in the moment
    /// in which `destination` does not exist, puts the former folder back.
    ///
    /// # Errors
    /// [`Error::NotAFolder`], [`Error::NoName`], [`Error::MountPoint`] for a destination that could not be
    /// replaced, [`Error::Unwritable`].
    pub fn beside(destination: &Path) -> Result<Self, Error> {
        // Whether or not it exists: `.` and `..` are somebody's working folder.
        name_of(destination, destination)?;
        let place = Place::of(destination)?;
        let name = name_of(destination, &place.path)?;
        let folder = parent(&place.path);
        let unwritable = |source| Error::Unwritable {
            folder: folder.to_owned(),
            source,
        };
        if let Some(metadata) = &place.metadata {
            if !metadata.is_dir() {
                return Err(Error::NotAFolder {
                    path: destination.to_owned(),
                });
            }
            if metadata.dev() != fs_err::metadata(folder).map_err(unwritable)?.dev() {
                return Err(Error::MountPoint {
                    path: destination.to_owned(),
                });
            }
        }
        fs_err::create_dir_all(folder).map_err(unwritable)?;
        tidy(&place.path, name);
        let path = make_in(folder, &hidden(name, DRAFT), |path| {
            fs_err::create_dir(&path).map(|()| path)
        })
        .map_err(unwritable)?;
        Ok(Self {
            path,
            destination: place.path,
            published: false,
        })
    }

    /// The hidden folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder that it will be, behind all links.
    pub fn destination(&self) -> &Path {
        &self.destination
    }

    /// Puts the folder in its place, on the disk too, where there is none or an empty one.
    ///
    /// # Errors
    /// [`Error::NotWritten`], also where a folder that is not empty is there.
    pub fn publish_new(mut self) -> Result<(), Error> {
        sync_tree(&self.path)
            .and_then(|()| self.rename())
            .map_err(|source| self.not_written(source))
    }

    /// As [`publish_new`](Self::publish_new), for a folder of files that its maker has flushed one by one: flushing
    /// tens of thousands again takes minutes.
    ///
    /// # Errors
    /// Those of [`publish_new`](Self::publish_new).
    pub fn publish_new_flushed(mut self) -> Result<(), Error> {
        sync_folder(&self.path)
            .and_then(|()| self.rename())
            .map_err(|source| self.not_written(source))
    }

    /// Puts the folder in its place, on the disk too, and removes the one that was there.
    ///
    /// # Errors
    /// [`Error::NotWritten`]; the folder that was there is then still there.
    pub fn publish(mut self) -> Result<(), Error> {
        sync_tree(&self.path)
            .and_then(|()| match self.rename() {
                Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => self.swap(),
                result => result,
            })
            .map_err(|source| self.not_written(source))
    }

    fn rename(&mut self) -> io::Result<()> {
        fs_err::rename(&self.path, &self.destination)?;
        self.published = true;
        sync_parent(&self.destination)
    }

    fn swap(&mut self) -> io::Result<()> {
        let mut name = hidden(self.destination.file_name().unwrap_or_default(), OLD);
        name.push(next_maker());
        let old = self.destination.with_file_name(name);
        fs_err::rename(&self.destination, &old)?;
        let result = self.rename();
        // Either may fail: an old folder that stays is removed, or put back, by the next run.
        let _ = if self.published {
            fs_err::remove_dir_all(&old)
        } else {
            fs_err::rename(&old, &self.destination)
        };
        result
    }

    fn not_written(&self, source: io::Error) -> Error {
        Error::NotWritten {
            path: self.destination.clone(),
            source,
        }
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

/// Flushes a folder and everything in it.
fn sync_tree(folder: &Path) -> io::Result<()> {
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

/// Cleans up beside `destination`, whose last part is `name`, after processes that were killed.
fn tidy(destination: &Path, name: &OsStr) {
    let folder = parent(destination);
    for draft in Hidden::list(folder, &hidden(name, DRAFT)) {
        if is_orphan(&draft.maker, &draft.metadata) {
            draft.remove();
        }
    }
    let mut olds = Hidden::list(folder, &hidden(name, OLD));
    // Makers of another host, or from before a reboot, count as gone: an old folder lives for the moment
    // between two renames, and its maker gets an error, no more, if we are in the middle of it.
    olds.retain(|old| !process_of(&old.maker).is_some_and(is_running));
    if !destination.exists()
        && let Some(last) = olds.pop()
    {
        // Another process may have put it back meanwhile.
        let _ = fs_err::rename(&last.path, destination);
    }
    for old in olds {
        old.remove();
    }
}

/// The drafts beside `destination` that nobody can be known to work at and that are never swept, oldest first: their
/// makers are of another host or of before a restart, or processes that another user started and that are gone.
pub fn strays(destination: &Path) -> Vec<PathBuf> {
    let Ok(place) = Place::of(destination) else {
        return Vec::new();
    };
    let Some(name) = place.path.file_name() else {
        return Vec::new();
    };
    let is_stray = |draft: &Hidden| {
        let is_at_work = process_of(&draft.maker).is_some_and(is_running);
        !is_at_work && !is_orphan(&draft.maker, &draft.metadata)
    };
    Hidden::list(parent(&place.path), &hidden(name, DRAFT))
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
    use super::super::maker;
    use super::super::tests::{content, fill, names, said};
    use super::*;

    /// A process that is gone.
    fn dead() -> u32 {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        child.id()
    }

    #[test]
    fn a_staged_folder_replaces_the_one_that_was_there() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("a/results");
        for text in ["one", "two"] {
            let staged = StagedDir::beside(&place).unwrap();
            fill(staged.path(), text);
            fill(&staged.path().join("below"), text);
            staged.publish().unwrap();
            assert_eq!(content(&place), text);
            assert_eq!(content(&place.join("below")), text);
        }
        assert_eq!(names(&dir.path().join("a")), ["results"]);
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
        first.publish_new().unwrap();
        let error = second.publish_new().unwrap_err();
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
        let mut staged = StagedDir::beside(&place).unwrap();
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
            let staged = StagedDir::beside(&link).unwrap();
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
        drop(StagedDir::beside(&place).unwrap());
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
        drop(StagedDir::beside(&place).unwrap());
        assert_eq!(content(&place), "last");
        assert_eq!(names(dir.path()), ["results"]);
    }

    #[test]
    fn a_swap_that_is_going_on_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let name = format!(".results.old-{}", maker(std::process::id(), 1 << 40));
        fill(&dir.path().join(&name), "old");
        drop(StagedDir::beside(&dir.path().join("results")).unwrap());
        assert_eq!(names(dir.path()), [name]);
    }
}
