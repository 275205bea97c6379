//! Getting NeWT: two archives, checked, unpacked while they arrive, put in place whole.
//!
//! ```text
//! DIR/
//!   newt2021_labels.csv                        appears whole
//!   newt2021_images/<id>.jpg                   the folder appears whole
//!   newt2021_images.tar.gz                     with `keep_archives`; one that lies there is used
//!   .newt2021_images.draft-<maker>/            what is being unpacked
//!   .fetch/<archive>.<digest>.part             what has arrived of an archive
//!   .fetch/lock                                one process fetches, the others wait
//! ```
//!
//! An archive is read once, as its bytes arrive: the same bytes are kept in the part file, hashed, and unpacked.
//! Whoever continues after a break reads the part file again, which is cheap, and asks for the rest. Nothing
//! leaves the draft before the digest of the whole archive is right. What lies in the folder already is used if
//! it is whole, and is never written to nor removed.
//!
//! | in | is |
//! | --- | --- |
//! | `archive.rs` | the two archives: names, digests, bounds |
//! | `intake.rs` | an archive's bytes: from the disk, then from the network |
//! | `unpack.rs` | from them to files; what is refused |

mod archive;
mod error;
mod intake;
#[cfg(test)]
mod tests;
mod unpack;

use std::io;
use std::path::{Path, PathBuf};

use ureq::Proxy;
use ureq::http::Uri;

use self::archive::{Archive, Content};
use self::error::{arriving, at_hand, bad_mirror, explained, is_about_bytes};
use self::intake::Intake;
use self::unpack::{Folder, Unpacked, unpack};
use super::images::DataRoot;
use super::labels::Labels;
use super::published::Identity;
use crate::context::Context;
use crate::error::{Error, Message};
use crate::files::{self, NotWritten, StagedDir};
use crate::hub::{self, Client, Pace, Transfer, Wanted};
use crate::text::{self, count, foreign, path as shown, thousands};

pub use self::archive::Source;

/// The folder of what has arrived, below the data root.
const STAGING_DIR: &str = ".fetch";

/// How the data set is fetched.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Where from.
    pub source: Source,
    /// Whether nothing may be asked of the network.
    pub offline: bool,
    /// Whether the archives stay in the folder once they are unpacked.
    pub keep_archives: bool,
}

/// What was done about one archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Its content has been put in place.
    Fetched,
    /// Its content was there.
    AlreadyThere,
}

/// Puts the data set into a folder.
pub struct Fetch<'a> {
    root: DataRoot,
    labels: Archive,
    images: Archive,
    client: Client,
    offline: bool,
    keep_archives: bool,
    context: Context<'a>,
}

impl<'a> Fetch<'a> {
    /// Prepares to fetch into `root`; nothing is asked, and nothing is written.
    ///
    /// Requests go through the proxy that `HTTPS_PROXY` and its kin name.
    ///
    /// # Errors
    /// The address to fetch from cannot be one.
    pub fn new(root: DataRoot, options: &Options, context: Context<'a>) -> Result<Self, Error> {
        let pace = Pace::default();
        let proxy = Proxy::try_from_env();
        let source = &options.source;
        source.check()?;
        let fetch = Self {
            root,
            labels: Archive::labels(&source.sha256_labels),
            images: Archive::images(&source.sha256_images),
            client: Client::new(&source.base, None, pace, proxy, context.interrupt.clone()),
            offline: options.offline,
            keep_archives: options.keep_archives,
            context,
        };
        fetch.address(&fetch.images)?;
        Ok(fetch)
    }

    fn address(&self, archive: &Archive) -> Result<Uri, Message> {
        let address = self.client.address(archive.name);
        address.map_err(|what| bad_mirror(&self.client.shown_endpoint(), what))
    }

    /// Makes sure that the labels file is there.
    ///
    /// # Errors
    /// All but those that blame labels or images which are there; what has arrived by then is not fetched again.
    pub fn labels(&self) -> Result<Outcome, Error> {
        self.get(&self.labels).map_err(explained)
    }

    /// Makes sure that the images of `labels` are there; `of_labels` is what [`labels`](Self::labels) has returned.
    ///
    /// # Errors
    /// Whatever is missing or wrong; what has arrived by then is not fetched again.
    pub fn images(&self, labels: &Labels, of_labels: Outcome) -> Result<Outcome, Error> {
        self.images_for(labels, of_labels).map_err(explained)
    }

    fn images_for(&self, labels: &Labels, of_labels: Outcome) -> Result<Outcome, Error> {
        if !self.is_there(&self.images)? {
            self.check_tasks(labels, of_labels)?;
        }
        let outcome = self.get(&self.images)?;
        let ids = || labels.rows.iter().map(|row| row.id.as_str());
        let files = self.root.find_images(ids())?;
        let missing: Vec<&str> = ids().filter(|id| !files.path(id).is_file()).collect();
        let Some(first) = missing.first() else {
            return Ok(outcome);
        };
        if outcome == Outcome::AlreadyThere {
            self.check_tasks(labels, of_labels)?;
        }
        let n_missing = thousands(missing.len() as u64);
        let n_images = thousands(labels.rows.len() as u64);
        let first = foreign(first);
        let message = match outcome {
            Outcome::Fetched => Message::data(format!(
                "{}: names {n_images} images, of which the archive lacks {n_missing}, such as `{first}.jpg`",
                shown(self.root.labels_path())
            ))
            .hint(self.other_labels()),
            Outcome::AlreadyThere => {
                let dir = shown(self.root.images_dir());
                Message::data(format!(
                    "{dir}: {n_missing} of {n_images} images are missing, such as `{first}.jpg`"
                ))
                .hint(format!(
                    "move {dir} away, and the same command fetches all of them"
                ))
            }
        };
        Err(message.into())
    }

    fn other_labels(&self) -> String {
        let labels = shown(self.root.labels_path());
        format!("move {labels} away, or choose another folder for NeWT")
    }

    /// Makes sure that NeWT's images are not fetched for `labels` that were there before and have tasks of others.
    ///
    /// Some of NeWT's tasks alone, or in other clusters, are labels of its images.
    fn check_tasks(&self, labels: &Labels, of_labels: Outcome) -> Result<(), Error> {
        let is_newt = self.images.sha256 == Source::default().sha256_images;
        if !is_newt || of_labels == Outcome::Fetched {
            return Ok(());
        }
        match Identity::of(labels).n_other_tasks {
            0 => Ok(()),
            n_others => Err(Message::data(format!(
                "{}: has {} that NeWT does not have, expected NeWT's labels",
                shown(self.root.labels_path()),
                count(n_others, "task", "tasks")
            ))
            .hint(self.other_labels())
            .into()),
        }
    }

    /// Whether the labels file, or a folder of images that is not empty, is there.
    fn is_there(&self, archive: &Archive) -> io::Result<bool> {
        let found = match archive.content {
            Content::Labels => {
                fs_err::metadata(self.root.labels_path()).map(|metadata| metadata.is_file())
            }
            Content::Images => {
                fs_err::read_dir(self.root.images_dir()).map(|mut files| files.next().is_some())
            }
        };
        match found {
            Err(error) if files::is_absent(&error) => Ok(false),
            found => found,
        }
    }

    fn get(&self, archive: &Archive) -> Result<Outcome, Error> {
        if self.is_there(archive)? {
            Staging::forget_left(self.root.path(), archive);
            return Ok(Outcome::AlreadyThere);
        }
        let at_hand = self.root.path().join(archive.name);
        let is_at_hand = at_hand.is_file();
        if self.offline && !is_at_hand {
            let (root, content) = (shown(self.root.path()), archive.content.name());
            return Err(Message::machine(format!(
                "{root}: no `{content}`, and nothing is fetched in offline mode"
            ))
            .hint(format!(
                "run `newt-pipe data fetch` where there is a network, without `--offline` and `HF_HUB_OFFLINE`, or put the archive `{}` into {root}",
                archive.name
            ))
            .into());
        }
        let staging = Staging::open(self.root.path())?;
        let lock_path = staging.dir.join("lock");
        let lock = hub::lock(&lock_path, archive.name, self.context)?;
        // Another process may have been at it, and have removed the folder when it was done.
        if self.is_there(archive)? {
            staging.forget(archive);
            return Ok(Outcome::AlreadyThere);
        }
        if lock.is_some() {
            self.warn_of_strays(archive);
        }
        fs_err::create_dir_all(&staging.dir)?;
        let part = staging.part_path(archive);
        let result = if is_at_hand {
            self.unpack_at_hand(archive, &at_hand)
        } else {
            self.unpack_arriving(archive, &part)
        };
        match result {
            Ok(()) => {}
            // On a file system without locks another process may have been faster.
            Err(error) if error.is_a::<NotWritten>().is_some() && self.is_there(archive)? => {
                staging.forget(archive);
                return Ok(Outcome::AlreadyThere);
            }
            Err(error) => return Err(error),
        }
        if !is_at_hand {
            if self.keep_archives {
                fs_err::rename(&part, &at_hand)?;
            }
            staging.forget(archive);
        }
        Ok(Outcome::Fetched)
    }

    /// Names the drafts that other fetches may have left: only the user can know that none of them is running.
    fn warn_of_strays(&self, archive: &Archive) {
        for path in files::strays(&self.root.path().join(archive.content.name())) {
            self.context.progress.warn(&format!(
                "{}: left by a fetch on another host, by another user, or before a restart; remove it unless that fetch is still running",
                text::path(&path)
            ));
        }
    }

    /// Unpacks an archive that somebody has put into the folder.
    fn unpack_at_hand(&self, archive: &Archive, path: &Path) -> Result<(), Error> {
        let file = files::open(path)?;
        let n_bytes = file.metadata()?.len();
        let intake = Intake::new(&file, n_bytes, None, archive, self.context);
        self.unpack(archive, intake)
            .map_err(|error| at_hand(error, path))
    }

    /// Unpacks what an earlier try has left in `part`, and then what arrives.
    fn unpack_arriving(&self, archive: &Archive, part: &Path) -> Result<(), Error> {
        let file = hub::open_own(part)?;
        let n_held = file.metadata()?.len();
        let wanted = Wanted {
            address: self.address(archive)?,
            what: archive.name.to_owned(),
            size: None,
            most: archive.bounds.archive_bytes,
            most_unannounced: archive.bounds.archive_bytes,
            refusal: &|answer| answer.unexpected("200").into(),
        };
        let transfer = Transfer::new(&self.client, wanted, &file, n_held, self.context.progress);
        let intake = Intake::new(&file, n_held, Some(transfer), archive, self.context);
        let result = self.unpack(archive, intake);
        if let Err(error) = &result
            && (is_about_bytes(error) || file.metadata()?.len() == 0)
        {
            fs_err::remove_file(part)?;
        }
        result.map_err(|error| arriving(error, archive.name))
    }

    /// Unpacks an archive, and puts its content in place if its digest is right.
    fn unpack(&self, archive: &Archive, mut intake: Intake<'_>) -> Result<(), Error> {
        let unpacked = match archive.content {
            Content::Labels => Unpacked::File(Vec::new()),
            Content::Images => {
                Unpacked::Folder(Folder::new(StagedDir::beside(&self.root.images_dir())?))
            }
        };
        match unpack(archive, &mut intake, unpacked) {
            Ok(unpacked) => {
                intake.check_rest()?;
                match unpacked {
                    Unpacked::Folder(folder) => {
                        folder.flushed()?.publish_new(files::sync_folder)?;
                    }
                    Unpacked::File(bytes) => {
                        files::new_file(&self.root.labels_path(), &bytes)?;
                    }
                }
                Ok(())
            }
            Err(error) => Err(intake.cause_of(error)),
        }
    }
}

/// The folder of what has arrived; removed when dropped if nothing is left in it.
struct Staging {
    dir: PathBuf,
}

impl Staging {
    fn open(root: &Path) -> Result<Self, Error> {
        if root.exists() && !root.is_dir() {
            return Err(files::not_a_folder(root).into());
        }
        let dir = root.join(STAGING_DIR);
        match fs_err::create_dir_all(&dir) {
            Ok(()) => Ok(Self { dir }),
            Err(source) => Err(files::unwritable(root, root, source)),
        }
    }

    /// Removes what a process has left of the archive that was killed after it had put its content in place, unless
    /// another fetches now.
    fn forget_left(root: &Path, archive: &Archive) {
        let dir = root.join(STAGING_DIR);
        if let Some(_lock) = hub::try_lock(&dir.join("lock")) {
            Self { dir }.forget(archive);
        }
    }

    /// Bytes of another archive of the same name are never continued.
    fn part_path(&self, archive: &Archive) -> PathBuf {
        let digest = archive.sha256.get(..12).unwrap_or(&archive.sha256);
        self.dir.join(format!("{}.{digest}.part", archive.name))
    }

    /// Removes what has arrived of the archive, and of others of its name.
    fn forget(&self, archive: &Archive) {
        let Ok(entries) = fs_err::read_dir(&self.dir) else {
            return;
        };
        for entry in entries.flatten() {
            if entry
                .file_name()
                .to_string_lossy()
                .starts_with(archive.name)
            {
                // The next fetch tries again.
                let _ = fs_err::remove_file(entry.path());
            }
        }
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        let is_lock = |entry: io::Result<fs_err::DirEntry>| {
            entry.is_ok_and(|entry| entry.file_name() == "lock")
        };
        // Where it stays, the next fetch removes it.
        if fs_err::read_dir(&self.dir).is_ok_and(|mut entries| entries.all(is_lock)) {
            let _ = fs_err::remove_file(self.dir.join("lock"));
            let _ = fs_err::remove_dir(&self.dir);
        }
    }
}
