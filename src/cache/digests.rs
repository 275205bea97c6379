//! The memo of file digests: a file whose size, mtime, ctime and inode did not change is not read again.
//!
//! # Racy files
//!
//! A file that is changed twice within one tick of its file system's clock, without changing size, has the same
//! stamp before and after the second change. A digest taken between the two would then be believed for ever. So,
//! as git does with its index, a file is memoised only if its mtime lay at least two seconds (the coarsest tick in
//! use) in the past when the cache was opened: any change after the reading carries a later mtime. The present is
//! read from the cache's file system, not from this machine's clock, which may run ahead of a file server's.
//! Files that are younger are read on each run until they are old enough.

mod format;

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use rayon::prelude::*;

use super::{Access, Cache, Digest, Unavailable, damage, is_loss};
use crate::context::Context;
use crate::error::Error;
use crate::files;
use crate::interrupt::{Interrupt, Stopped};
use crate::progress::Progress;

/// The longest memo that is read: that of a million files is shorter.
const MAX_BYTES: u64 = 1 << 28;

/// See "Racy files" in the module's documentation.
const RACY_S: i64 = 2;

/// What must be unchanged for a digest to be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    bytes: u64,
    mtime: Time,
    /// Moves with every write and cannot be set, so it catches a file that was changed in place
    /// and given its old mtime back.
    ctime: Time,
    inode: u64,
}

/// Seconds since 1970, and nanoseconds.
type Time = (i64, i64);

impl Stamp {
    fn of(metadata: &std::fs::Metadata) -> Self {
        Self {
            bytes: metadata.len(),
            mtime: (metadata.mtime(), metadata.mtime_nsec()),
            ctime: (metadata.ctime(), metadata.ctime_nsec()),
            inode: metadata.ino(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    stamp: Stamp,
    digest: Digest,
}

/// The digest of a file, and what there is to memoise.
type Found = (Digest, Option<Entry>);

/// Entries by the bytes of the absolute path, whose order is cheaper to compare than that of path components.
type Entries = BTreeMap<Vec<u8>, Entry>;

/// Digests of files by path, size, mtime and inode; kept in the file `digests` of the cache.
#[derive(Debug)]
pub struct DigestMemo {
    entries: Entries,
    /// What this process read, which [`save`](Self::save) adds to the file.
    fresh: Entries,
    /// Files modified after this instant are too young to be memoised.
    newest: Time,
    /// Whether the file was damaged, so that another is to come in its place.
    is_damaged: bool,
}

impl DigestMemo {
    /// The memo of this cache; empty, with a warning, where the file is damaged: it only saves reading.
    pub fn load(cache: &Cache, progress: &dyn Progress) -> Self {
        let read = read(cache);
        if let Err(error) = &read {
            progress.warn(&format!("{error}; files are read again"));
        }
        Self {
            is_damaged: read.as_ref().is_err_and(is_loss),
            entries: read.unwrap_or_default(),
            fresh: Entries::new(),
            newest: (cache.opened.0.saturating_sub(RACY_S), cache.opened.1),
        }
    }

    /// The digest of each file, in order; only files that the memo does not know are read, in parallel.
    ///
    /// Each failure, of [`io::Error`]'s kind and with the path in its message, stands in the file's place.
    /// Progress counts the files that are read.
    ///
    /// # Errors
    /// [`Stopped`] if the reading was interrupted.
    pub fn digest_files(
        &mut self,
        paths: &[PathBuf],
        Context {
            progress,
            interrupt,
        }: Context<'_>,
    ) -> Result<Vec<Result<Digest, io::Error>>, Stopped> {
        let known: Vec<Result<Option<Digest>, io::Error>> =
            paths.par_iter().map(|path| self.lookup(path)).collect();
        let n_unknown = known
            .iter()
            .filter(|known| matches!(known, Ok(None)))
            .count();
        if n_unknown > 0 {
            progress.start("reading files", n_unknown as u64);
        }
        let found: Vec<Result<Found, io::Error>> = paths
            .par_iter()
            .zip(known)
            .map(|(path, known)| {
                if let Some(digest) = known? {
                    return Ok((digest, None));
                }
                // The file's place is filled for the loop's sake only: `check` below ends the call.
                interrupt.check().map_err(io::Error::other)?;
                let found = digest(path, interrupt, &mut |_| ());
                progress.tick(1);
                found
            })
            .collect();
        if n_unknown > 0 {
            progress.finish();
        }
        interrupt.check()?;
        Ok(paths
            .iter()
            .zip(found)
            .map(|(path, found)| {
                let (digest, entry) = found?;
                self.add(path, entry)?;
                Ok(digest)
            })
            .collect())
    }

    /// The digest of one large file; where the memo does not know it, it is read, and `also` hears all of its bytes.
    ///
    /// Gives whether it was read. Progress counts bytes.
    ///
    /// # Errors
    /// [`Stopped`], soon after it was asked for; the inner error as in [`digest_files`](Self::digest_files).
    pub fn digest_large(
        &mut self,
        path: &Path,
        also: &mut dyn FnMut(&[u8]),
        Context {
            progress,
            interrupt,
        }: Context<'_>,
    ) -> Result<io::Result<(Digest, bool)>, Stopped> {
        match self.lookup(path) {
            Ok(None) => {}
            Ok(Some(digest)) => return Ok(Ok((digest, false))),
            Err(error) => return Ok(Err(error)),
        }
        let name_shown = crate::text::path(Path::new(path.file_name().unwrap_or_default()));
        let n_bytes = fs_err::metadata(path).map_or(0, |metadata| metadata.len());
        progress.start_bytes(&format!("reading {name_shown}"), n_bytes);
        let found = digest(path, interrupt, &mut |bytes| {
            also(bytes);
            progress.tick(bytes.len() as u64);
        });
        progress.finish();
        interrupt.check()?;
        Ok(found.and_then(|(digest, entry)| {
            self.add(path, entry)?;
            Ok((digest, true))
        }))
    }

    /// Remembers that `promise` was found to be true of a file, until it changes; nothing where it has changed since its
    /// digest was taken, and where it is too young.
    ///
    /// # Errors
    /// [`io::Error`] where nothing is known of the file any more.
    pub fn vouch(&mut self, path: &Path, promise: &str) -> io::Result<()> {
        if self.lookup(path)?.is_some()
            && let Some(entry) = self.entries.get(&name(path)?).copied()
        {
            self.insert(voucher(path, promise)?, entry);
        }
        Ok(())
    }

    /// Whether `promise` was found to be true of the file as it is.
    pub fn is_vouched(&self, path: &Path, promise: &str) -> bool {
        let entry = || {
            let stamp = Stamp::of(&fs_err::metadata(path).ok()?);
            let entry = self.entries.get(&voucher(path, promise).ok()?)?;
            Some(entry.stamp == stamp)
        };
        entry().unwrap_or(false)
    }

    /// Adds a file that was read, unless it is too young.
    fn add(&mut self, path: &Path, entry: Option<Entry>) -> io::Result<()> {
        if let Some(entry) = entry
            && entry.stamp.mtime <= self.newest
        {
            self.insert(name(path)?, entry);
        }
        Ok(())
    }

    fn insert(&mut self, name: Vec<u8>, entry: Entry) {
        self.entries.insert(name.clone(), entry);
        self.fresh.insert(name, entry);
    }

    /// Adds what this process read to the memo file, keeping what other processes added since it was loaded. One that is
    /// closed to us stays, and so does a damaged one where the cache is only looked at.
    ///
    /// Should two processes save at the same moment, one's additions are lost and those files are read again.
    ///
    /// # Errors
    /// That it cannot be written; the old file is left as it was.
    pub fn save(&mut self, cache: &Cache) -> Result<(), Error> {
        if self.fresh.is_empty() && !self.is_damaged {
            return Ok(());
        }
        let mut entries = match read(cache) {
            Ok(entries) => entries,
            // A damaged file was reported when it was loaded; here it is replaced.
            Err(error) if is_loss(&error) && cache.access == Access::Make => Entries::new(),
            Err(_) => return Ok(()),
        };
        entries.extend(self.fresh.clone());
        cache.write(&memo_path(cache), &format::format(&entries))?;
        self.fresh.clear();
        self.is_damaged = false;
        Ok(())
    }

    /// As [`save`](Self::save); a memo only saves time, so that nothing ends because there is none. The first failure is
    /// told.
    pub fn save_or_warn(&mut self, cache: &Cache, progress: &dyn Progress) {
        if let Err(error) = self.save(cache)
            && !cache.told_of_memo.swap(true, Ordering::Relaxed)
        {
            progress.warn(&format!("{error}; the next run reads files again"));
        }
    }

    fn lookup(&self, path: &Path) -> Result<Option<Digest>, io::Error> {
        let metadata = fs_err::metadata(path)?;
        files::check_regular(path, metadata.file_type())?;
        let stamp = Stamp::of(&metadata);
        Ok(self
            .entries
            .get(&name(path)?)
            .filter(|entry| entry.stamp == stamp)
            .map(|entry| entry.digest))
    }
}

fn memo_path(cache: &Cache) -> PathBuf {
    cache.root.join("digests")
}

/// What a file is called in the memo, wherever the program is started.
fn name(path: &Path) -> io::Result<Vec<u8>> {
    Ok(std::path::absolute(path)?
        .into_os_string()
        .as_bytes()
        .to_vec())
}

/// What the memo calls the fact that a promise was kept: no path, so that no look-up of a file meets it, in this version
/// or an older one.
fn voucher(path: &Path, promise: &str) -> io::Result<Vec<u8>> {
    let mut voucher = format!("{promise} ").into_bytes();
    voucher.extend(name(path)?);
    Ok(voucher)
}

/// Reads a file, unless it is interrupted; `hear` gets all bytes. Gives its digest, and the entry to memoise unless it
/// changed meanwhile.
fn digest(path: &Path, interrupt: &Interrupt, hear: &mut dyn FnMut(&[u8])) -> io::Result<Found> {
    let mut file = files::open(path)?;
    let before = Stamp::of(&file.metadata()?);
    let stream = interrupt.over(&mut file);
    let digest = Digest::of_reader(Heard { stream, hear })?;
    let stamp = Stamp::of(&file.metadata()?);
    let entry = (before == stamp).then_some(Entry { stamp, digest });
    Ok((digest, entry))
}

/// A stream that is read for its digest, and for whoever listens.
struct Heard<'a, R> {
    stream: R,
    hear: &'a mut dyn FnMut(&[u8]),
}

impl<R: Read> Read for Heard<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n_read = self.stream.read(buffer)?;
        (self.hear)(&buffer[..n_read]);
        Ok(n_read)
    }
}

/// The entries of the memo file, none if there is no file.
///
/// # Errors
/// [`Unavailable`], also where what is there is no memo.
fn read(cache: &Cache) -> Result<Entries, Error> {
    let path = memo_path(cache);
    let Some(bytes) = damage::read(&path, MAX_BYTES)? else {
        return Ok(Entries::new());
    };
    let no_memo = |why| Unavailable::Unreadable(format!("{}: {why}", path.display())).into();
    format::parse(&bytes).map_err(no_memo)
}

#[cfg(test)]
mod tests;
