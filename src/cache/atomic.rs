//! Files of the cache: written under `tmp/`, flushed, renamed into place, see [`files`].
//!
//! A temporary file is named by its maker. One whose maker is gone was left by a process that was killed; whatever
//! else lies there is left alone for a day.

use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::Cache;
use super::error::{unwritable, writing};
use crate::error::Error;
use crate::files::{self, TempFile};

/// Age in seconds at which a temporary file is stale, whoever made it; no write takes that long.
const STALE_S: i64 = 24 * 60 * 60;

impl Cache {
    /// Writes `bytes` to `target`, a path in the cache, replacing what is there; the folder is made if
    /// missing, and a folder that is there is set aside.
    pub(super) fn write(&self, target: &Path, bytes: &[u8]) -> Result<(), Error> {
        self.write_with(target, |file| file.write_all(bytes))
    }

    /// As [`write`](Self::write), with the bytes coming from `fill`, which tests make fail.
    fn write_with(
        &self,
        target: &Path,
        fill: impl FnOnce(&mut fs_err::File) -> io::Result<()>,
    ) -> Result<(), Error> {
        let write = || {
            let mut temp = TempFile::create_in(&self.tmp_dir())?;
            fill(temp.file())?;
            self.make_folder(files::parent(target))?;
            self.make_room(target)?;
            temp.publish(target)
        };
        write().map_err(|error| writing(&self.root, target, &error).into())
    }

    /// The present by the clock of the cache's file system, which may be another machine's.
    pub(super) fn file_system_now(&self) -> Result<(i64, i64), Error> {
        TempFile::create_in(&self.tmp_dir())
            .and_then(|mut temp| temp.file().metadata())
            .map(|metadata| (metadata.mtime(), metadata.mtime_nsec()))
            .map_err(|error| unwritable(&self.root, &error).into())
    }

    /// Removes stale files under `tmp/`. Failures do not matter: another process may be sweeping as well.
    pub(super) fn sweep(&self) {
        let Ok(entries) = fs_err::read_dir(self.tmp_dir()) else {
            return;
        };
        for entry in entries.flatten() {
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            let old = metadata.mtime().saturating_add(STALE_S) < self.opened.0;
            if old || files::is_orphan(&entry.file_name().to_string_lossy(), &metadata) {
                let _ = fs_err::remove_file(entry.path());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn n_temporary(cache: &Cache) -> usize {
        fs_err::read_dir(cache.tmp_dir()).unwrap().count()
    }

    #[test]
    fn write_that_fails_half_way_leaves_neither_target_nor_temporary_file() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path()).unwrap();
        let target = dir.path().join("objects/ab/cd");
        let fill_disk = |file: &mut fs_err::File| {
            file.write_all(b"half")?;
            Err(io::Error::from_raw_os_error(libc::ENOSPC))
        };
        let error = cache.write_with(&target, fill_disk).unwrap_err();
        let expected = format!("{}: not written, no storage space", target.display());
        assert_eq!(error.to_string(), expected);
        assert!(!target.exists());
        assert_eq!(n_temporary(&cache), 0);

        cache.write(&target, b"whole").unwrap();
        cache.write_with(&target, fill_disk).unwrap_err();
        assert_eq!(fs_err::read(&target).unwrap(), b"whole");
        assert_eq!(n_temporary(&cache), 0);
    }

    #[test]
    fn write_makes_the_folder_and_replaces_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path()).unwrap();
        let target = dir.path().join("actions/sample/x.json");
        for bytes in [b"one".as_slice(), b"", b"three"] {
            cache.write(&target, bytes).unwrap();
            assert_eq!(fs_err::read(&target).unwrap(), bytes);
        }
        assert_eq!(n_temporary(&cache), 0);
    }

    #[test]
    fn open_sweeps_what_dead_processes_and_past_days_left() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path()).unwrap();
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let dead = child.id();
        child.wait().unwrap();
        let alive = std::process::id();
        let path = |name: String| cache.tmp_dir().join(name);

        let of_dead = path(files::maker(dead, 0));
        let of_living = path(files::maker(alive, 9999));
        let of_other_host = path(format!("0123456789ab.1-{dead}-0"));
        let unknown = path("something".to_owned());
        let of_last_week = path(format!("0123456789ab.1-{alive}-1"));
        for path in [
            &of_dead,
            &of_living,
            &of_other_host,
            &unknown,
            &of_last_week,
        ] {
            fs_err::write(path, "").unwrap();
        }
        let now = fs_err::metadata(&unknown).unwrap().modified().unwrap();
        let week_ago = now - std::time::Duration::from_hours(7 * 24);
        fs_err::File::open(&of_last_week)
            .unwrap()
            .into_parts()
            .0
            .set_modified(week_ago)
            .unwrap();

        Cache::open(dir.path()).unwrap();
        let exist =
            [of_dead, of_living, of_other_host, unknown, of_last_week].map(|path| path.exists());
        assert_eq!(exist, [false, true, true, true, false]);
    }
}
