//! The bytes of one file: fetched, continued where they broke off, checked, put in place.
//!
//! What has arrived is in `<etag>.incomplete`, and stays there when the program ends. Whoever continues it,
//! be it two processes at once on a file system without locks, writes the same bytes at the same places, and
//! looks at the whole before it gets its name. What no digest can vouch for is fetched from its beginning,
//! since a file that was being written when the power failed may hold zeros.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::api::FileInfo;
use super::error::{self, Kind};
use super::http::{Answer, Client};
use super::own::open_own;
use super::repo::is_sha256;
use super::store::{make_parent, remove};
use super::transfer::{Transfer, Wanted};
use super::verify::Etag;
use super::{CHUNK_BYTES, Repo};
use crate::context::Context;
use crate::error::Error;
use crate::files::sync_parent;
use crate::progress::Progress;
use crate::text::{foreign, path as shown};

/// More is not taken of a file whose size nobody announces.
const MAX_UNANNOUNCED_BYTES: u64 = 1 << 30;

/// One file to be fetched.
pub struct Download<'a> {
    pub client: &'a Client,
    pub repo: &'a Repo,
    pub commit: &'a str,
    pub file: &'a str,
    pub info: &'a FileInfo,
    pub progress: &'a dyn Progress,
}

/// How far it has come.
struct Partial {
    file: fs_err::File,
    path: PathBuf,
    /// How many bytes are in the file, from the beginning on.
    n_bytes: u64,
}

impl Download<'_> {
    /// Fetches the file to `target`.
    ///
    /// # Errors
    /// A stop, errors of the hub and of the file system; what has arrived stays for the next time.
    /// [`Kind::WrongBytes`]; then it is removed.
    pub fn run(&self, target: &Path) -> Result<(), Error> {
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
                if error::kind(&error) == Some(Kind::WrongBytes) || partial.n_bytes == 0 {
                    remove(&partial.path)?;
                }
                Err(error)
            }
        }
    }

    fn what(&self) -> String {
        format!("{} {}", self.repo, foreign(self.file))
    }

    /// What an earlier try has left, if it can be trusted.
    fn open(&self, target: &Path) -> io::Result<Partial> {
        let mut path = target.as_os_str().to_owned();
        path.push(".incomplete");
        let path = PathBuf::from(path);
        make_parent(&path)?;
        let file = open_own(&path)?;
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
        })
    }

    fn receive(&self, partial: &mut Partial) -> Result<(), Error> {
        let refusal = |answer: &Answer| (self.client).refusal(answer, self.repo, Some(self.file));
        let wanted = Wanted {
            address: self
                .client
                .file_address(self.repo, self.commit, self.file)?,
            what: self.what(),
            size: self.info.size,
            most: u64::MAX,
            most_unannounced: MAX_UNANNOUNCED_BYTES,
            refusal: &refusal,
        };
        let mut transfer = Transfer::new(
            self.client,
            wanted,
            &partial.file,
            partial.n_bytes,
            self.progress,
        )?;
        let mut buffer = vec![0; CHUNK_BYTES];
        let result = loop {
            match transfer.read(&mut buffer) {
                Ok(0) => break Ok(()),
                Ok(_) => {}
                Err(error) => break Err(error),
            }
        };
        partial.n_bytes = transfer.n_bytes();
        result
    }

    /// Compares what is on the disk with what the hub announced.
    fn check(&self, partial: &mut Partial) -> Result<(), Error> {
        // A longer file may have been there before.
        partial.file.set_len(partial.n_bytes)?;
        let Some(etag) = Etag::of(&self.info.etag) else {
            return Ok(());
        };
        let context = Context {
            progress: self.progress,
            interrupt: &self.client.interrupt,
        };
        let what = self.what();
        match etag.compare(&mut partial.file, &what, context)? {
            None => Ok(()),
            Some(found) => Err(error::Error::other_digest(&what, &found, &self.info.etag).into()),
        }
    }
}

impl Partial {
    /// Gives the file its name, on the disk too.
    fn publish(self, target: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        let ours = self.file.metadata()?;
        // Without a lock another process may have published it, or removed it and begun anew.
        let is_ours = fs_err::symlink_metadata(&self.path)
            .is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino()));
        if is_ours {
            fs_err::rename(&self.path, target)?;
            sync_parent(target)
        } else if target.is_file() {
            Ok(())
        } else {
            Err(io::Error::other(format!(
                "{}: removed while it was written",
                shown(&self.path)
            )))
        }
    }
}
