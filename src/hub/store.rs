//! The cache on disk, shared with the Python library.
//!
//! ```text
//! <cache>/
//!   models--<org>--<name>/
//!     refs/<revision>                  the commit that the revision stood for when its files were last fetched
//!     blobs/<etag>                     content, once for all commits that hold it
//!     blobs/<etag>.incomplete          content that is being fetched, or whose fetching was cut short
//!     snapshots/<commit>/<file>        link to `../../blobs/<etag>`, or a plain file where there are no links
//!     .no_exist/<commit>/<file>        empty: the commit is known not to hold the file
//!   .locks/models--<org>--<name>/<etag>.lock
//! ```
//!
//! Source: `huggingface_hub` 2.4, `file_download.py`.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::Repo;
use super::error::{self, Kind};
use super::repo::is_commit;
use crate::error::{Error, Message};
use crate::files::{self, TempFile};
use crate::text::path as shown;

/// A commit, and room for what may stand around it.
const MAX_REF_BYTES: u64 = 4096;

/// What the cache holds of one repository, whose name has been checked.
pub struct Store {
    cache_dir: PathBuf,
    folder: PathBuf,
    locks: PathBuf,
}

impl Store {
    pub fn new(cache_dir: &Path, repo: &Repo) -> Self {
        let name = format!("models--{}", repo.name.replace('/', "--"));
        Self {
            cache_dir: cache_dir.to_owned(),
            folder: cache_dir.join(&name),
            locks: cache_dir.join(".locks").join(name),
        }
    }

    /// The commit that `revision` stands for, if there is a snapshot of it.
    ///
    /// # Errors
    /// Errors of reading the file that names it.
    pub fn held(&self, revision: &str) -> io::Result<Option<String>> {
        let commit = self.commit_of(revision)?;
        Ok(commit.filter(|commit| self.snapshot_path(commit).is_dir()))
    }

    fn commit_of(&self, revision: &str) -> io::Result<Option<String>> {
        if is_commit(revision) {
            return Ok(Some(revision.to_owned()));
        }
        match files::read(&self.ref_path(revision), MAX_REF_BYTES) {
            Ok(bytes) => {
                let text = str::from_utf8(&bytes).unwrap_or_default().trim();
                Ok(is_commit(text).then(|| text.to_owned()))
            }
            Err(error) if files::is_absent(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Why `what`, whose place is `path`, is not to be had from the cache alone.
    pub fn lacks(&self, what: &str, path: &Path) -> Error {
        if let Some(link) = files::broken_link(path) {
            let message = Message::machine(format!("{what}: {link}")).hint(link.hint());
            return error::Error {
                kind: Kind::NotHere,
                message,
            }
            .into();
        }
        let cache_dir = shown(&self.cache_dir);
        let text = format!(
            "{what}: not in the cache `{cache_dir}`, and the hub is not asked in offline mode"
        );
        let hint = format!(
            "`newt-pipe models fetch ORG CKPT` with a network, and without `--offline` and `HF_HUB_OFFLINE`, \
             brings it into the hub's cache; what another machine has fetched can be copied into `{cache_dir}`"
        );
        error::Error::new(Kind::NotHere, text, hint).into()
    }

    /// What has to be there for `revision` to be held: its snapshot, or first of all the file that names it.
    pub fn looked_at(&self, revision: &str) -> PathBuf {
        match self.commit_of(revision) {
            Ok(Some(commit)) => self.snapshot_path(&commit),
            _ => self.ref_path(revision),
        }
    }

    fn ref_path(&self, revision: &str) -> PathBuf {
        self.folder.join("refs").join(revision)
    }

    /// Where a file is or will be; its path has been checked.
    pub fn file_path(&self, commit: &str, file: &str) -> PathBuf {
        self.snapshot_path(commit).join(file)
    }

    fn snapshot_path(&self, commit: &str) -> PathBuf {
        self.folder.join("snapshots").join(commit)
    }

    pub fn content_path(&self, etag: &str) -> PathBuf {
        self.folder.join("blobs").join(etag)
    }

    /// Whether the commit is known not to hold the file.
    pub fn is_absent(&self, commit: &str, file: &str) -> bool {
        self.absent_path(commit, file).is_file()
    }

    /// Remembers that the commit does not hold the file.
    pub fn mark_absent(&self, commit: &str, file: &str) -> io::Result<()> {
        let path = self.absent_path(commit, file);
        make_parent(&path)?;
        match fs_err::File::create_new(path) {
            // Whatever is there is left alone.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            result => result.map(drop),
        }
    }

    fn absent_path(&self, commit: &str, file: &str) -> PathBuf {
        self.folder.join(".no_exist").join(commit).join(file)
    }

    /// What is locked while content is fetched.
    pub fn lock_path(&self, etag: &str) -> PathBuf {
        self.locks.join(format!("{etag}.lock"))
    }

    /// Makes the content appear as `file` of the snapshot.
    ///
    /// Where there are no links, content that is `new` is moved there, and any other copied.
    pub fn place(&self, commit: &str, file: &str, etag: &str, new: bool) -> io::Result<()> {
        self.place_by(link, commit, file, etag, new)
    }

    fn place_by(
        &self,
        link: impl Fn(&Path, &Path) -> io::Result<()>,
        commit: &str,
        file: &str,
        etag: &str,
        new: bool,
    ) -> io::Result<()> {
        let place = self.file_path(commit, file);
        make_parent(&place)?;
        // An error may mean that another process was faster.
        if link(&relative_content(file, etag), &place).is_ok() || place.is_file() {
            return Ok(());
        }
        let content = self.content_path(etag);
        if new {
            return fs_err::rename(content, place);
        }
        let mut content = files::open(&content)?;
        replace(&place, |draft| io::copy(&mut content, draft).map(drop))
    }

    /// Remembers which commit `revision` stands for.
    pub fn write_ref(&self, revision: &str, commit: &str) -> io::Result<()> {
        let path = self.ref_path(revision);
        let is_known =
            || files::read(&path, MAX_REF_BYTES).is_ok_and(|held| held == commit.as_bytes());
        if revision == commit || is_known() {
            return Ok(());
        }
        make_parent(&path)?;
        replace(&path, |draft| draft.write_all(commit.as_bytes()))
    }
}

/// The content as seen from the folder of `file` in its snapshot.
fn relative_content(file: &str, etag: &str) -> PathBuf {
    let n_up = file.split('/').count() + 1;
    let mut target: PathBuf = std::iter::repeat_n("..", n_up).collect();
    target.extend(["blobs", etag]);
    target
}

/// Makes a link at `place`, also where a link is that leads nowhere.
fn link(target: &Path, place: &Path) -> io::Result<()> {
    match fs_err::os::unix::fs::symlink(target, place) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && !place.is_file() => {
            remove(place)?;
            fs_err::os::unix::fs::symlink(target, place)
        }
        result => result,
    }
}

fn replace(path: &Path, write: impl FnOnce(&mut fs_err::File) -> io::Result<()>) -> io::Result<()> {
    let mut draft = TempFile::create_in(files::parent(path))?;
    write(draft.file())?;
    draft.publish(path)
}

/// Makes the folder that `path` is in.
pub fn make_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs_err::create_dir_all)
}

/// Removes a file, if it is there.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs_err::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

    #[test]
    fn without_links_new_content_is_moved_and_other_copied() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path(), &"org/name".parse().unwrap());
        let content = store.content_path("abc");
        make_parent(&content).unwrap();
        let no_links = |_: &Path, _: &Path| Err(io::Error::from(io::ErrorKind::Unsupported));
        for new in [true, false] {
            fs_err::write(&content, "content").unwrap();
            let file = format!("sub/{new}");
            store.place_by(no_links, COMMIT, &file, "abc", new).unwrap();
            let place = store.file_path(COMMIT, &file);
            assert!(fs_err::symlink_metadata(&place).unwrap().is_file());
            assert_eq!(fs_err::read_to_string(place).unwrap(), "content");
            assert_eq!(content.exists(), !new);
        }
    }

    #[test]
    fn revision_is_held_where_its_commit_has_a_snapshot() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path(), &"org/name".parse().unwrap());
        let held = |revision: &str| store.held(revision).unwrap();
        assert_eq!(held("main"), None);
        store.write_ref("refs/pr/1", COMMIT).unwrap();
        assert_eq!(held("refs/pr/1"), None);
        make_parent(&store.file_path(COMMIT, "file")).unwrap();
        assert_eq!(held("refs/pr/1").as_deref(), Some(COMMIT));
        assert_eq!(held(COMMIT).as_deref(), Some(COMMIT));
        for text in ["../../elsewhere", "\u{fffd}"] {
            store.write_ref("main", text).unwrap();
            assert_eq!(held("main"), None);
        }
        assert_eq!(held("v1"), None);
        assert_eq!(held("refs/pr/1/below"), None);
    }
}
