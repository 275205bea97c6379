//! The bytes of one file: fetched, continued where they broke off, checked, put in place.
//!
//! What has arrived is in `<etag>.incomplete`, and stays there when the program ends. Whoever continues it,
//! be it two processes at once on a file system without locks, writes the same bytes at the same places, and
//! looks at the whole before it gets its name. What no digest can vouch for is fetched from its beginning,
//! since a file that was being written when the power failed may hold zeros.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::Snapshot;
use super::api::FileInfo;
use super::error::{self, Kind};
use super::http::Answer;
use super::own::open_own;
use super::repo::is_sha256;
use super::store::{make_parent, remove};
use super::transfer::{Transfer, Wanted};
use super::verify::Etag;
use crate::context::Context;
use crate::error::Error;
use crate::files::sync_parent;
use crate::text::path as shown;

/// More is not taken of a file whose size nobody announces.
const MAX_UNANNOUNCED_BYTES: u64 = 1 << 30;

impl Snapshot<'_> {
    /// Fetches a file of the commit to `target`; `what` names it to the user.
    ///
    /// # Errors
    /// A stop, errors of the hub and of the file system; what has arrived stays for the next time.
    /// [`Kind::WrongBytes`]; then it is removed.
    pub fn download(
        &self,
        file: &str,
        info: &FileInfo,
        what: &str,
        target: &Path,
    ) -> Result<(), Error> {
        let mut path = target.as_os_str().to_owned();
        path.push(".incomplete");
        let path = PathBuf::from(path);
        make_parent(&path)?;
        let mut partial = open_own(&path)?;
        let n_held = n_trusted(&partial, info)?;

        let client = &self.hub.client;
        let refusal = |answer: &Answer| client.refusal(answer, &self.repo, Some(file));
        let wanted = Wanted {
            address: client.file_address(&self.repo, &self.commit, file)?,
            what: what.to_owned(),
            size: info.size,
            most: u64::MAX,
            most_unannounced: MAX_UNANNOUNCED_BYTES,
            refusal: &refusal,
        };
        let mut transfer = Transfer::new(client, wanted, &partial, n_held, self.context.progress);
        transfer.show();
        let received = transfer.read_to_end();
        self.context.progress.finish();
        let n_bytes = transfer.n_bytes();

        match received.and_then(|()| check(&mut partial, n_bytes, info, what, self.context)) {
            Ok(()) => Ok(publish(&partial, target)?),
            Err(error) => {
                if error::kind(&error) == Some(Kind::WrongBytes) || n_bytes == 0 {
                    remove(&path)?;
                }
                Err(error)
            }
        }
    }
}

/// How many bytes can be trusted of what an earlier try has left.
fn n_trusted(partial: &fs_err::File, info: &FileInfo) -> io::Result<u64> {
    let n_held = partial.metadata()?.len();
    match info.size {
        Some(size) if n_held > size => partial.set_len(0).map(|()| 0),
        Some(_) if is_sha256(&info.etag) => Ok(n_held),
        _ => Ok(0),
    }
}

/// Compares what is on the disk, `n_bytes`, with what the hub announced.
fn check(
    partial: &mut fs_err::File,
    n_bytes: u64,
    info: &FileInfo,
    what: &str,
    context: Context<'_>,
) -> Result<(), Error> {
    // A longer file may have been there before.
    partial.set_len(n_bytes)?;
    let Some(etag) = Etag::of(&info.etag) else {
        return Ok(());
    };
    match etag.compare(partial, what, context)? {
        None => Ok(()),
        Some(found) => {
            let (kind, expected) = (etag.kind(), &info.etag);
            let problem = format!("the bytes received have {kind} {found}, expected {expected}");
            Err(error::Error::wrong_bytes(what, &problem).into())
        }
    }
}

/// Gives the file its name, on the disk too.
fn publish(partial: &fs_err::File, target: &Path) -> io::Result<()> {
    partial.sync_all()?;
    let (path, ours) = (partial.path(), partial.metadata()?);
    // Without a lock another process may have published it, or removed it and begun anew.
    let is_ours = fs_err::symlink_metadata(path)
        .is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino()));
    if is_ours {
        fs_err::rename(path, target)?;
        sync_parent(target)
    } else if target.is_file() {
        Ok(())
    } else {
        Err(io::Error::other(format!(
            "{}: removed while it was written",
            shown(path)
        )))
    }
}
