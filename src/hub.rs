//! Models from the Hugging Face hub, through the cache that its Python library uses.
//!
//! What the cache holds of a repository is used as it is: the hub is asked only for what is missing, and then
//! for files of the very commit that the cache holds. So a run does not change by itself, and needs the
//! network once. [`Hub::latest`] moves on to what the revision stands for now, and replaces what is damaged.
//!
//! What is there may have been damaged since it came. A small file is held against its digest whenever it is asked for,
//! a large one by [`Hub::latest`], and by whoever is about to compute with it: see [`Promise`].
//!
//! | in | is |
//! | --- | --- |
//! | `repo.rs` | names, checked before they become paths or addresses |
//! | `api.rs` | what the hub says about repositories and files |
//! | `http.rs`, `token.rs`, `address.rs` | requests: token, redirects; what messages may show of an address |
//! | `retry.rs`, `watch.rs` | what is tried again; stopping while nothing happens |
//! | `transfer.rs` | the bytes at one address, continued where they broke off |
//! | `download.rs` | one file of a repository, fetched and checked |
//! | `lock.rs` | one process fetches, the others wait |
//! | `own.rs` | files that we write where others may put links |
//! | `store.rs` | the cache on disk |
//! | `verify.rs` | whether it still holds what came |
//!
//! `newt::fetch` makes its transfers by `http.rs`, `transfer.rs` and `lock.rs`, too.
//!
//! Source: `huggingface_hub` 2.4.

mod address;
mod api;
mod download;
mod error;
mod http;
mod lock;
mod own;
mod repo;
mod retry;
mod store;
#[cfg(test)]
pub mod tests;
mod token;
mod transfer;
mod verify;
mod watch;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use ureq::Proxy;

use crate::context::Context;
use crate::error::{Error, Message};
use crate::files;
use crate::interrupt::Interrupt;
use crate::progress::Progress;
use crate::text::{Listing as Names, foreign};
use api::{FileInfo, Listing, no_file};
use store::{Store, make_parent};
use verify::Etag;

pub use address::shown_endpoint;
pub use http::Client;
pub use lock::{lock, try_lock};
pub use own::{hint_of_occupied, open_own};
pub use retry::Pace;
pub use transfer::{Transfer, Wanted};

pub use error::{Kind, kind};
pub use repo::{Repo, is_sha256};
pub use token::Token;
pub use verify::{Promise, Reading, verify};

/// Read, written, hashed and reported at a time; a stop is heard after each.
pub const CHUNK_BYTES: usize = 1 << 18;

/// Where and how the hub is reached.
#[derive(Clone)]
pub struct Settings {
    /// The cache: `hub` below `HF_HOME`, or `HF_HUB_CACHE`; none where the user has no home folder.
    pub cache_dir: Option<PathBuf>,
    /// The hub's address, `https://huggingface.co` or that of a mirror.
    pub endpoint: String,
    /// What the hub knows the user by.
    pub token: Option<Token>,
    /// Whether the cache alone is used.
    pub offline: bool,
}

/// The hub that everybody uses.
pub const ENDPOINT: &str = "https://huggingface.co";

/// No hub at all: no cache and no network.
impl Default for Settings {
    fn default() -> Self {
        Self {
            cache_dir: None,
            endpoint: ENDPOINT.to_owned(),
            token: None,
            offline: true,
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("cache_dir", &self.cache_dir)
            .field("endpoint", &shown_endpoint(&self.endpoint))
            .field("token", &self.token)
            .field("offline", &self.offline)
            .finish()
    }
}

/// The hub and its cache on disk.
pub struct Hub {
    cache_dir: Option<PathBuf>,
    offline: bool,
    client: Client,
}

impl Hub {
    /// The hub as `settings` say; nothing is asked yet.
    ///
    /// Requests go through the proxy that `HTTPS_PROXY` and its kin name, as in every program. All that takes
    /// long ends soon after `interrupt` asks for it.
    pub fn new(settings: Settings, interrupt: Interrupt) -> Self {
        Self::with(settings, interrupt, Pace::default(), Proxy::try_from_env())
    }

    fn with(settings: Settings, interrupt: Interrupt, pace: Pace, proxy: Option<Proxy>) -> Self {
        Self {
            client: Client::new(&settings.endpoint, settings.token, pace, proxy, interrupt),
            cache_dir: settings.cache_dir,
            offline: settings.offline,
        }
    }

    /// The snapshot of `repo` that the cache holds, else that of the hub now. It tells `progress` what takes long.
    ///
    /// # Errors
    /// A name that cannot be one; no folder for the cache; what the cache knows of the revision cannot be read;
    /// where the cache holds none, as [`latest`](Self::latest).
    pub fn snapshot<'a>(
        &'a self,
        repo: &Repo,
        progress: &'a dyn Progress,
    ) -> Result<Snapshot<'a>, Error> {
        let store = self.store(repo)?;
        let held = store.held(&repo.revision).map_err(Error::from);
        let held = held.map_err(error::of_cache)?;
        self.open(repo, store, held, progress)
    }

    /// The snapshot that the revision of `repo` stands for now, as the hub says.
    ///
    /// Where the cache holds another commit of the revision, it goes on to stand for that one until
    /// [`Snapshot::pin`].
    ///
    /// # Errors
    /// A name that cannot be one; no folder for the cache; [`Kind::NotHere`]; whatever the hub says.
    pub fn latest<'a>(
        &'a self,
        repo: &Repo,
        progress: &'a dyn Progress,
    ) -> Result<Snapshot<'a>, Error> {
        self.open(repo, self.store(repo)?, None, progress)
    }

    /// The snapshot of the commit that is `held`, else the latest.
    fn open<'a>(
        &'a self,
        repo: &Repo,
        store: Store,
        held: Option<String>,
        progress: &'a dyn Progress,
    ) -> Result<Snapshot<'a>, Error> {
        let is_latest = held.is_none();
        let listing = OnceLock::new();
        let commit = match held {
            Some(commit) => commit,
            None if self.offline => {
                return Err(store.lacks(&repo.to_string(), &store.looked_at(&repo.revision)));
            }
            None => {
                let latest = self.client.listing(repo, &repo.revision, progress)?;
                listing.get_or_init(|| latest).commit.clone()
            }
        };
        Ok(Snapshot {
            hub: self,
            context: Context {
                progress,
                interrupt: &self.client.interrupt,
            },
            repo: repo.clone(),
            store,
            commit,
            is_latest,
            listing,
        })
    }

    fn store(&self, repo: &Repo) -> Result<Store, Error> {
        repo.check()?;
        let cache_dir = self.cache_dir.as_deref().ok_or_else(|| error::Error {
            kind: Kind::NoCache,
            message: Message::request(
                "hub's cache: no folder is known for it, since the user has no home folder",
            )
            .hint("set `HF_HOME` to the folder that the hub's cache is to be in"),
        })?;
        files::check_names(cache_dir).map_err(|unknown| {
            Message::request(format!("hub's cache {unknown}")).hint(unknown.hint())
        })?;
        Ok(Store::new(cache_dir, repo))
    }
}

/// The files of one commit of a repository.
pub struct Snapshot<'a> {
    hub: &'a Hub,
    context: Context<'a>,
    repo: Repo,
    store: Store,
    commit: String,
    /// Whether the hub was asked for the commit: then what the cache has of it is mended where it is damaged.
    is_latest: bool,
    /// Asked for when something is missing from the cache.
    listing: OnceLock<Listing>,
}

impl Snapshot<'_> {
    /// The commit, 40 hex digits.
    pub fn commit(&self) -> &str {
        &self.commit
    }

    /// Whether the commit has the file, by what the cache knows; where it knows nothing of it, by the hub's list.
    ///
    /// Offline, what the cache lacks is not there; [`is_known_absent`](Self::is_known_absent) tells what is known. A
    /// link that leads nowhere stands for a file, which [`file`](Self::file) cannot give then.
    ///
    /// # Errors
    /// Errors of the hub, where it has to be asked.
    pub fn has(&self, file: &str) -> Result<bool, Error> {
        if self.repo.check_file(file).is_err() {
            return Ok(false);
        }
        let path = self.store.file_path(&self.commit, file);
        if path.is_file() || self.hub.offline && path.is_symlink() {
            return Ok(true);
        }
        if self.hub.offline || self.store.is_absent(&self.commit, file) {
            return Ok(false);
        }
        let has = self.listing()?.files.contains(file);
        if !has {
            // A cache that cannot be written to makes the next run ask again, no more.
            let _ = self.store.mark_absent(&self.commit, file);
        }
        Ok(has)
    }

    /// Whether the cache has the file. Nothing is asked.
    pub fn holds(&self, file: &str) -> bool {
        self.repo.check_file(file).is_ok() && self.store.file_path(&self.commit, file).is_file()
    }

    /// Whether the hub has said, to this or to an earlier process, that the commit has no such file.
    ///
    /// Nothing is asked. A file that the cache lacks and that is not known to be absent may exist.
    pub fn is_known_absent(&self, file: &str) -> bool {
        let listing = self.listing.get();
        self.repo.check_file(file).is_ok()
            && (self.store.is_absent(&self.commit, file)
                || listing.is_some_and(|listing| !listing.files.contains(file)))
    }

    /// The path of the file in the cache, fetched unless it is there; also where it is damaged, if this snapshot is one
    /// of [`Hub::latest`].
    ///
    /// Where the cache holds no commit of the revision, it takes this one over.
    ///
    /// # Errors
    /// A name that cannot be one; no such file; [`Kind::NotHere`] where the cache lacks it, [`Kind::Altered`] for a small
    /// file that is damaged, [`Kind::WrongBytes`] where the wrong bytes came; a stop; errors of the hub and of the file
    /// system. What has arrived by then is not fetched again.
    pub fn file(&self, file: &str) -> Result<PathBuf, Error> {
        self.repo.check_file(file)?;
        self.file_in_cache(file).map_err(error::of_cache)
    }

    fn file_in_cache(&self, file: &str) -> Result<PathBuf, Error> {
        // Asked first: a snapshot that the fetch makes is none that was held.
        let is_first = !matches!(self.store.held(&self.repo.revision), Ok(Some(_)));
        let path = self.store.file_path(&self.commit, file);
        if !path.is_file() || self.is_to_be_mended(&path)? {
            self.fetch(file)?;
        }
        if is_first {
            self.pin()?;
        }
        Ok(path)
    }

    /// Makes this the commit that the cache holds of the revision.
    ///
    /// Called after [`Hub::latest`] when all files are there: a transfer that ends early leaves the cache with
    /// the commit that it held before.
    ///
    /// # Errors
    /// Errors of the file system; none where the cache is for reading.
    pub fn pin(&self) -> Result<(), Error> {
        self.store
            .write_ref(&self.repo.revision, &self.commit)
            .or_else(|error| match error.kind() {
                // A cache for reading is as good.
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Ok(()),
                _ => Err(error::of_cache(error.into())),
            })
    }

    /// Whether a file that is there has other bytes than it should, and may be replaced.
    ///
    /// # Errors
    /// [`Kind::Altered`] where it may not be.
    fn is_to_be_mended(&self, path: &Path) -> Result<bool, Error> {
        let Some(promise) = Promise::of(path).filter(|it| self.is_latest || it.is_of_git()) else {
            return Ok(false);
        };
        match promise.verify(self.context) {
            Ok(()) => Ok(false),
            Err(error) if self.is_latest && kind(&error) == Some(Kind::Altered) => {
                self.context
                    .progress
                    .warn(&format!("{error}; it is downloaded again"));
                Ok(true)
            }
            Err(error) => Err(error),
        }
    }

    fn fetch(&self, file: &str) -> Result<(), Error> {
        let what = format!("{} {}", self.repo, foreign(file));
        if self.hub.offline {
            let path = self.store.file_path(&self.commit, file);
            return Err(self.store.lacks(&what, &path));
        }
        let listing = self.listing()?;
        if !listing.files.contains(file) {
            return Err(no_file(&self.repo, file, &Names::quoted(&listing.files)));
        }
        let client = &self.hub.client;
        let progress = self.context.progress;
        let info = client.file_info(&self.repo, &self.commit, file, progress)?;
        let lock_path = self.store.lock_path(&info.etag);
        // A cache without locks is as good.
        let _ = make_parent(&lock_path);
        let _lock = lock(&lock_path, &what, self.context)?;
        let content = self.store.content_path(&info.etag);
        let is_held = self.is_sound(&content, &info, &what)?;
        if !is_held {
            self.download(file, &info, &what, &content)?;
        }
        self.store.place(&self.commit, file, &info.etag, !is_held)?;
        Ok(())
    }

    /// Whether content that the cache may have is what the hub says.
    fn is_sound(&self, content: &Path, info: &FileInfo, what: &str) -> Result<bool, Error> {
        let has_size = |held: std::fs::Metadata| {
            held.is_file() && info.size.is_none_or(|size| held.len() == size)
        };
        if !fs_err::metadata(content).is_ok_and(has_size) {
            return Ok(false);
        }
        let Some(etag) = Etag::of(&info.etag) else {
            return Ok(true);
        };
        let mut held = files::open(content)?;
        let other = etag.compare(&mut held, what, self.context)?;
        Ok(other.is_none())
    }

    /// The hub's list of this commit's files.
    fn listing(&self) -> Result<&Listing, Error> {
        if let Some(listing) = self.listing.get() {
            return Ok(listing);
        }
        let client = &self.hub.client;
        let listing = client.listing(&self.repo, &self.commit, self.context.progress)?;
        Ok(self.listing.get_or_init(|| listing))
    }
}
