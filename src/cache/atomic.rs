//! Files that appear whole or not at all: written under `tmp/`, flushed, renamed into place.
//!
//! A temporary file is named `<host>-<pid>-<counter>`. `<host>` stands for one boot of one kernel and one
//! process table, not for a host name: containers on one machine may share a name but not their process
//! numbers, and after a reboot numbers mean other processes. So a file whose `<host>` is ours and whose process
//! is gone was left by a process that was killed. Whatever else lies there is left alone for a day.

use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Cache, Error};

/// Age in seconds at which a temporary file is stale, whoever made it; no write takes that long.
const STALE_S: i64 = 24 * 60 * 60;

/// Numbers this process's temporary files, over all caches that it has open.
static COUNTER: AtomicU64 = AtomicU64::new(0);

/// Boot and process table of this process; `other` where the system does not tell.
pub(super) fn host_token() -> String {
    let boot = fs_err::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let boot: String = boot
        .chars()
        .filter(char::is_ascii_hexdigit)
        .take(12)
        .collect();
    let table = fs_err::metadata("/proc/self/ns/pid").map_or(0, |metadata| metadata.ino());
    if boot.is_empty() || table == 0 {
        "other".to_owned()
    } else {
        format!("{boot}.{table}")
    }
}

/// A file under `tmp/`, removed when dropped unless it was renamed.
struct TempFile {
    file: fs_err::File,
    published: bool,
}

impl TempFile {
    fn create(cache: &Cache) -> io::Result<Self> {
        loop {
            let counter = COUNTER.fetch_add(1, Ordering::Relaxed);
            let name = format!("{}-{}-{counter}", cache.host, std::process::id());
            match fs_err::File::create_new(cache.tmp_dir().join(name)) {
                Ok(file) => {
                    return Ok(Self {
                        file,
                        published: false,
                    });
                }
                // Left by an earlier process with our number.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Gives the file its name, on the disk too: neither the bytes nor the name may be lost after this.
    fn publish(mut self, target: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        fs_err::rename(self.file.path(), target)?;
        self.published = true;
        sync_parent(target)
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        if !self.published {
            // Should this fail too, the file is swept later.
            let _ = fs_err::remove_file(self.file.path());
        }
    }
}

/// Flushes the folder that holds `path`, so that its name outlives a power cut.
fn sync_parent(path: &Path) -> io::Result<()> {
    let Some(parent) = path.parent() else {
        return Ok(());
    };
    match fs_err::File::open(parent)?.sync_all() {
        // Some file systems have nothing to flush for a folder, and say so.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
            ) =>
        {
            Ok(())
        }
        result => result,
    }
}

impl Cache {
    /// Writes `bytes` to `target`, a path in the cache, replacing what is there; the folder is made if missing.
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
            let mut temp = TempFile::create(self)?;
            fill(&mut temp.file)?;
            if let Some(parent) = target.parent()
                && !parent.exists()
            {
                fs_err::create_dir_all(parent)?;
                sync_parent(parent)?;
            }
            temp.publish(target)
        };
        write().map_err(|error| Error::writing(&self.root, target, error))
    }

    /// The present by the clock of the cache's file system, which may be another machine's.
    pub(super) fn file_system_now(&self) -> Result<(i64, i64), Error> {
        TempFile::create(self)
            .and_then(|temp| temp.file.metadata())
            .map(|metadata| (metadata.mtime(), metadata.mtime_nsec()))
            .map_err(|error| Error::unwritable(&self.root, error))
    }

    /// Removes stale files under `tmp/`. Failures do not matter: another process may be sweeping as well.
    pub(super) fn sweep(&self) {
        let Ok(entries) = fs_err::read_dir(self.tmp_dir()) else {
            return;
        };
        let own_uid = fs_err::metadata("/proc/self").map(|metadata| metadata.uid());
        for entry in entries.flatten() {
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            let old = metadata.mtime().saturating_add(STALE_S) < self.opened.0;
            // Other users' processes may be hidden from us, so only our own can be known to be gone.
            let orphaned = own_uid.as_ref().is_ok_and(|uid| *uid == metadata.uid())
                && self.is_orphan(&entry.file_name().to_string_lossy());
            if old || orphaned {
                let _ = fs_err::remove_file(entry.path());
            }
        }
    }

    /// Whether `name` is that of a temporary file whose process is gone.
    fn is_orphan(&self, name: &str) -> bool {
        let pid = name
            .strip_prefix(&self.host)
            .and_then(|rest| rest.strip_prefix('-'))
            .and_then(|rest| rest.split_once('-'))
            .and_then(|(pid, _)| pid.parse::<u32>().ok());
        match pid {
            Some(pid) if self.host != "other" => !PathBuf::from(format!("/proc/{pid}")).exists(),
            _ => false,
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
        assert!(matches!(&error, Error::DiskFull { path, .. } if *path == target));
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

        let of_dead = path(format!("{}-{dead}-0", cache.host));
        let of_living = path(format!("{}-{alive}-9999", cache.host));
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

    #[test]
    fn temporary_name_left_by_an_earlier_process_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path()).unwrap();
        let next = COUNTER.load(Ordering::Relaxed);
        for counter in next..next + 100 {
            let name = format!("{}-{}-{counter}", cache.host, std::process::id());
            fs_err::write(cache.tmp_dir().join(name), "").unwrap();
        }
        cache
            .write(&dir.path().join("objects/ab/cd"), b"x")
            .unwrap();
    }
}
