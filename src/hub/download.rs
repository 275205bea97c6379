//! The bytes of one file: fetched, continued where they broke off, checked, put in place.
//!
//! What has arrived is in `<etag>.incomplete`, and stays there when the program ends. Whoever continues it,
//! be it two processes at once on a file system without locks, writes the same bytes at the same places, and
//! looks at the whole before it gets its name. What no digest can vouch for is fetched from its beginning,
//! since a file that was being written when the power failed may hold zeros.

use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use ureq::http::Uri;
use ureq::http::header::{CONTENT_LENGTH, CONTENT_RANGE};

use super::api::FileInfo;
use super::http::{Answer, Client};
use super::repo::is_sha256;
use super::retry::{Failure, Patience};
use super::store::{make_parent, remove};
use super::verify::sha256;
use super::{CHUNK_BYTES, Error, Repo};
use crate::files::sync_parent;
use crate::progress::Progress;

/// One file to be fetched.
pub(super) struct Download<'a> {
    pub(super) client: &'a Client,
    pub(super) repo: &'a Repo,
    pub(super) commit: &'a str,
    pub(super) file: &'a str,
    pub(super) info: &'a FileInfo,
    pub(super) progress: &'a dyn Progress,
}

/// How far it has come.
struct Partial {
    file: fs_err::File,
    path: PathBuf,
    /// So many bytes are there, from the beginning on.
    n_bytes: u64,
    /// So many have been there; a server that cannot continue makes `n_bytes` fall back.
    furthest: u64,
    /// The size of the whole, once it is known.
    size: Option<u64>,
}

impl Download<'_> {
    /// Fetches the file to `target`.
    ///
    /// # Errors
    /// [`Error::Stopped`], those of the hub and of the file system; what has arrived stays for the next time.
    /// [`Error::Size`] and [`Error::Digest`]; then it is removed.
    pub(super) fn run(&self, target: &Path) -> Result<(), Error> {
        let mut partial = self.open(target)?;
        let what = format!("downloading {}", self.what());
        let total = self.info.size.unwrap_or(0);
        match partial.n_bytes {
            0 => self.progress.start_bytes(&what, total),
            done => self.progress.resume_bytes(&what, done, total),
        }
        let received = self.receive(&mut partial);
        self.progress.finish();
        let result = received.and_then(|()| self.check(&mut partial));
        match result {
            Ok(()) => Ok(partial.publish(target)?),
            Err(error) => {
                let is_wrong = matches!(error, Error::Size { .. } | Error::Digest { .. });
                if is_wrong || partial.furthest == 0 {
                    remove(&partial.path)?;
                }
                Err(error)
            }
        }
    }

    fn what(&self) -> String {
        format!("{} {}", self.repo, self.file)
    }

    /// What an earlier try has left, if it can be trusted.
    fn open(&self, target: &Path) -> io::Result<Partial> {
        let mut path = target.as_os_str().to_owned();
        path.push(".incomplete");
        let path = PathBuf::from(path);
        make_parent(&path)?;
        let file = fs_err::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)?;
        let held = file.metadata()?.len();
        let n_bytes = match self.info.size {
            Some(size) if is_sha256(&self.info.etag) && held <= size => held,
            _ => 0,
        };
        if self.info.size.is_some_and(|size| held > size) {
            file.set_len(0)?;
        }
        Ok(Partial {
            file,
            path,
            n_bytes,
            furthest: n_bytes,
            size: self.info.size,
        })
    }

    fn receive(&self, partial: &mut Partial) -> Result<(), Error> {
        let address = self
            .client
            .file_address(self.repo, self.commit, self.file)?;
        let mut patience = Patience::new(&self.client.pace, &self.client.interrupt, self.progress);
        while partial.size.is_none_or(|size| partial.n_bytes < size) {
            let before = partial.furthest;
            match self.receive_once(&address, partial) {
                Ok(()) => break,
                Err(failure) => {
                    if partial.furthest > before {
                        patience.renew();
                    }
                    patience.wait(failure)?;
                }
            }
        }
        Ok(())
    }

    /// One request, and all that it brings.
    fn receive_once(&self, address: &Uri, partial: &mut Partial) -> Result<(), Failure> {
        let mut answer = self.client.get(address, partial.n_bytes)?;
        let announced = match answer.status() {
            200 => {
                partial.n_bytes = 0;
                answer
                    .header(CONTENT_LENGTH)
                    .and_then(|size| size.parse().ok())
            }
            206 => parse_range(&answer, partial.n_bytes)?,
            416 if partial.n_bytes > 0 => {
                partial.n_bytes = 0;
                return Err(Failure::Passing {
                    error: answer.unexpected("206"),
                    wait: None,
                });
            }
            _ => {
                let refusal = self.client.refusal(&answer, self.repo, Some(self.file));
                return Err(refusal.into());
            }
        };
        if let Some(announced) = announced {
            let expected = *partial.size.get_or_insert(announced);
            self.check_size(announced, expected)?;
        }
        partial.file.seek(SeekFrom::Start(partial.n_bytes))?;
        let mut buffer = vec![0; CHUNK_BYTES];
        loop {
            let n_read = answer.read(&mut buffer)?;
            if n_read == 0 {
                break;
            }
            partial.file.write_all(&buffer[..n_read])?;
            partial.n_bytes += n_read as u64;
            if partial.n_bytes > partial.furthest {
                self.progress.tick(partial.n_bytes - partial.furthest);
                partial.furthest = partial.n_bytes;
            }
            // Whoever sends too much need not end.
            if let Some(size) = partial.size.filter(|&size| partial.n_bytes > size) {
                self.check_size(partial.n_bytes, size)?;
            }
        }
        match partial.size {
            Some(size) if partial.n_bytes < size => Err(answer.cut_short(partial.n_bytes, size)),
            _ => Ok(()),
        }
    }

    fn check_size(&self, found: u64, expected: u64) -> Result<(), Error> {
        if found == expected {
            return Ok(());
        }
        Err(Error::Size {
            what: self.what(),
            found,
            expected,
        })
    }

    /// Compares what is on the disk with what the hub announced.
    fn check(&self, partial: &mut Partial) -> Result<(), Error> {
        // A longer file may have been there before.
        partial.file.set_len(partial.n_bytes)?;
        if !is_sha256(&self.info.etag) {
            return Ok(());
        }
        let interrupt = &self.client.interrupt;
        let found = sha256(&mut partial.file, &self.what(), interrupt, self.progress)?;
        if found == self.info.etag {
            return Ok(());
        }
        Err(Error::Digest {
            what: self.what(),
            found,
            expected: self.info.etag.clone(),
        })
    }
}

impl Partial {
    /// Gives the file its name, on the disk too.
    fn publish(self, target: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        let ours = self.file.metadata()?;
        // Without a lock another process may have published it, or removed it and begun anew.
        let is_ours = fs_err::metadata(&self.path)
            .is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino()));
        if is_ours {
            fs_err::rename(&self.path, target)?;
            sync_parent(target)
        } else if target.is_file() {
            Ok(())
        } else {
            Err(io::Error::other(format!(
                "{}: removed while it was written",
                self.path.display()
            )))
        }
    }
}

/// Where the answer's bytes begin must be where ours end; returns the size of the whole, if the answer tells it.
fn parse_range(answer: &Answer, n_bytes: u64) -> Result<Option<u64>, Error> {
    let range = answer.header(CONTENT_RANGE).unwrap_or_default();
    range
        .strip_prefix(&format!("bytes {n_bytes}-"))
        .and_then(|rest| rest.split_once('/'))
        .map(|(_, size)| size.parse().ok())
        .ok_or_else(|| Error::Answer {
            url: answer.url(),
            what: format!("range {range:?}, expected the bytes from {n_bytes} on"),
        })
}
