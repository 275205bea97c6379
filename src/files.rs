//! Files and folders that appear whole or not at all: written beside their place, flushed, renamed into it.
//!
//! What is being written has a name that ends in its maker, `<host>-<pid>-<counter>`. `<host>` stands for one
//! boot of one kernel and one process table, not for a host name: containers on one machine may share a name
//! but not their process numbers, and after a reboot numbers mean other processes. So what carries our `<host>`
//! and a process that is gone was left by a process that was killed, and may be removed.
//!
//! | beside `results` | is |
//! | --- | --- |
//! | `.results.draft-<maker>` | the folder or file that is to become `results` |
//! | `.results.old-<maker>` | what was `results`, for the moment between two renames |

use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Why something cannot be written where it should be.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The path ends in no name, as `.` and `/` do.
    #[error("{}: ends in no name, expected a path that can be put in place whole", path.display())]
    NoName {
        /// The path.
        path: PathBuf,
    },
    /// A folder is to be written, and something else is there.
    #[error("{}: is not a folder, expected a folder or nothing", path.display())]
    NotAFolder {
        /// The path.
        path: PathBuf,
    },
    /// A file is to be written, and a folder or a device is there.
    #[error("{}: is not a regular file, expected a file or nothing", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The folder that a file should be in does not exist.
    #[error("{}: no folder `{}`, expected one to write to", path.display(), folder.display())]
    NoFolder {
        /// The file.
        path: PathBuf,
        /// The folder.
        folder: PathBuf,
    },
    /// The folder to be replaced cannot be renamed.
    #[error("{}: a file system is mounted there, expected a folder that can be renamed", path.display())]
    MountPoint {
        /// The folder.
        path: PathBuf,
    },
    /// Nothing can be made in the folder.
    #[error("{}: not writable: {source}", folder.display())]
    Unwritable {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Writing failed; what was there before is still there.
    #[error("{}: not written: {source}", path.display())]
    NotWritten {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Error {
    /// The one thing to do about the error.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoName { .. } => Some("give it by its name".to_owned()),
            Self::NotAFolder { .. } => Some("choose another folder".to_owned()),
            Self::NotAFile { .. } => Some("give the path of a file".to_owned()),
            Self::NoFolder { .. } => Some("make that folder first".to_owned()),
            Self::MountPoint { .. } => Some("give a folder in it".to_owned()),
            Self::Unwritable { .. } => Some("choose a folder that you can write to".to_owned()),
            Self::NotWritten { .. } => None,
        }
    }
}

/// Numbers what this process makes.
static COUNTER: AtomicU64 = AtomicU64::new(0);

/// Boot and process table of this process; `None` where the system does not tell.
static HOST: LazyLock<Option<String>> = LazyLock::new(|| {
    let boot = fs_err::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let boot: String = boot
        .chars()
        .filter(char::is_ascii_hexdigit)
        .take(12)
        .collect();
    let table = fs_err::metadata("/proc/self/ns/pid").ok()?.ino();
    Some(format!("{boot}.{table}"))
});

/// The name of a maker: no two processes have one in common.
pub(crate) fn maker(process: u32, counter: u64) -> String {
    let host = HOST.as_deref().unwrap_or("other");
    format!("{host}-{process}-{counter}")
}

fn next_maker() -> String {
    maker(std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed))
}

/// The process that `maker` names, if it is one of this host.
fn process_of(maker: &str) -> Option<u32> {
    let rest = maker.strip_prefix(HOST.as_deref()?)?.strip_prefix('-')?;
    rest.split_once('-')?.0.parse().ok()
}

fn is_running(process: u32) -> bool {
    Path::new(&format!("/proc/{process}")).exists()
}

/// Whether the process that made something is gone, by the maker in its name; `false` where nobody can know.
pub fn is_orphan(maker: &str, metadata: &Metadata) -> bool {
    // Other users' processes may be hidden from us, so only our own can be known to be gone.
    let is_own =
        fs_err::metadata("/proc/self").is_ok_and(|process| process.uid() == metadata.uid());
    is_own && process_of(maker).is_some_and(|process| !is_running(process))
}

/// Makes something in `folder` under a name that begins with `prefix` and is not taken.
fn make_in<T>(
    folder: &Path,
    prefix: &OsStr,
    make: impl Fn(PathBuf) -> io::Result<T>,
) -> io::Result<T> {
    loop {
        let mut name = prefix.to_owned();
        name.push(next_maker());
        match make(folder.join(name)) {
            // Left by an earlier process with our number.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            result => return result,
        }
    }
}

/// A file that is being written; removed when dropped unless it was published.
pub struct TempFile {
    file: fs_err::File,
    published: bool,
}

impl TempFile {
    /// Makes an empty file in `folder`, named by its maker only.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn create_in(folder: &Path) -> io::Result<Self> {
        Self::create(folder, OsStr::new(""))
    }

    fn create(folder: &Path, prefix: &OsStr) -> io::Result<Self> {
        let file = make_in(folder, prefix, fs_err::File::create_new)?;
        Ok(Self {
            file,
            published: false,
        })
    }

    /// The open file.
    pub fn file(&mut self) -> &mut fs_err::File {
        &mut self.file
    }

    /// Gives the file its name, on the disk too: neither the bytes nor the name may be lost after this.
    ///
    /// `target` is on the same file system; a file there is replaced.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn publish(mut self, target: &Path) -> io::Result<()> {
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
///
/// # Errors
/// Those of the file system.
pub fn sync_parent(path: &Path) -> io::Result<()> {
    sync_folder(parent(path))
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    match fs_err::File::open(folder)?.sync_all() {
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

/// The folder that `path` is in. For a bare name that is the empty path, which no file system knows.
fn parent(path: &Path) -> &Path {
    path.parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// Makes sure that [`replace_file`] can write to `path`, and leaves everything as it is.
///
/// # Errors
/// [`Error::NotAFile`], [`Error::NoName`], [`Error::NoFolder`], [`Error::Unwritable`].
pub fn check_replaceable(path: &Path) -> Result<(), Error> {
    draft_of(path).map(drop)
}

/// Writes a file so that readers find what was there before or all of `bytes`; links are followed.
///
/// # Errors
/// Those of [`check_replaceable`], and [`Error::NotWritten`]; nothing is left behind.
pub fn replace_file(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let (target, mut draft) = draft_of(path)?;
    draft
        .file
        .write_all(bytes)
        .and_then(|()| draft.publish(&target))
        .map_err(|source| Error::NotWritten {
            path: path.to_owned(),
            source,
        })
}

/// The file that `path` stands for, and one beside it to write to.
fn draft_of(path: &Path) -> Result<(PathBuf, TempFile), Error> {
    let place = Place::of(path)?;
    if place.metadata.is_some_and(|metadata| !metadata.is_file()) {
        return Err(Error::NotAFile {
            path: path.to_owned(),
        });
    }
    let name = name_of(path, &place.path)?;
    let folder = parent(&place.path);
    match TempFile::create(folder, &hidden(name, DRAFT)) {
        Ok(draft) => Ok((place.path, draft)),
        Err(_) if !folder.exists() => Err(Error::NoFolder {
            path: path.to_owned(),
            folder: folder.to_owned(),
        }),
        Err(source) => Err(Error::Unwritable {
            folder: folder.to_owned(),
            source,
        }),
    }
}

/// Where a path leads.
struct Place {
    /// The path behind all links at its end.
    path: PathBuf,
    /// What is there.
    metadata: Option<Metadata>,
}

impl Place {
    fn of(path: &Path) -> Result<Self, Error> {
        let metadata = match fs_err::metadata(path) {
            Ok(metadata) => Some(metadata),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            // Among these are links that lead in a circle.
            Err(source) => {
                return Err(Error::Unwritable {
                    folder: parent(path).to_owned(),
                    source,
                });
            }
        };
        let mut path = path.to_owned();
        while let Ok(target) = fs_err::read_link(&path) {
            path = parent(&path).join(target);
        }
        Ok(Self { path, metadata })
    }
}

/// The last part of `target`, which `path` leads to.
fn name_of<'a>(path: &Path, target: &'a Path) -> Result<&'a OsStr, Error> {
    target.file_name().ok_or_else(|| Error::NoName {
        path: path.to_owned(),
    })
}

const DRAFT: &str = "draft";
const OLD: &str = "old";

/// How the names begin of what lies beside `name` and belongs to it.
fn hidden(name: &OsStr, what: &str) -> OsString {
    let mut prefix = OsString::from(".");
    prefix.push(name);
    prefix.push(format!(".{what}-"));
    prefix
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A process that is gone.
    fn dead() -> u32 {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        child.id()
    }

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs_err::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// Makes the folder `dir` with one file that holds `content`.
    fn fill(dir: &Path, content: &str) {
        fs_err::create_dir_all(dir).unwrap();
        fs_err::write(dir.join("file"), content).unwrap();
    }

    fn content(dir: &Path) -> String {
        fs_err::read_to_string(dir.join("file")).unwrap()
    }

    /// A message with the temporary folder's path cut out, and its hint.
    fn said(error: &Error, dir: &Path) -> (String, Option<String>) {
        let short = |text: String| text.replace(&dir.display().to_string(), "DIR");
        (short(error.to_string()), error.hint().map(short))
    }

    #[test]
    fn a_file_is_replaced_and_nothing_else_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.bin");
        for bytes in [b"one".as_slice(), b"", b"three"] {
            replace_file(&path, bytes).unwrap();
            assert_eq!(fs_err::read(&path).unwrap(), bytes);
        }
        assert_eq!(names(dir.path()), ["a.bin"]);
    }

    #[test]
    fn a_link_to_a_file_stays_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        fs_err::create_dir(dir.path().join("below")).unwrap();
        fs_err::os::unix::fs::symlink("below/file", &link).unwrap();
        for bytes in [b"one", b"two"] {
            replace_file(&link, bytes).unwrap();
            assert_eq!(fs_err::read(dir.path().join("below/file")).unwrap(), bytes);
        }
        assert!(fs_err::symlink_metadata(&link).unwrap().is_symlink());
    }

    #[test]
    fn what_cannot_be_replaced_by_a_file_is_named_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs_err::write(root.join("file"), "").unwrap();
        fs_err::os::unix::fs::symlink("circle", root.join("circle")).unwrap();
        let refused = |path: &Path| {
            let checked = check_replaceable(path).unwrap_err();
            let error = replace_file(path, b"").unwrap_err();
            assert_eq!(checked.to_string(), error.to_string());
            said(&error, root)
        };
        let some = |hint: &str| Some(hint.to_owned());
        assert_eq!(
            refused(root),
            (
                "DIR: is not a regular file, expected a file or nothing".to_owned(),
                some("give the path of a file")
            )
        );
        assert_eq!(
            refused(&root.join("a/b/file")),
            (
                "DIR/a/b/file: no folder `DIR/a/b`, expected one to write to".to_owned(),
                some("make that folder first")
            )
        );
        for path in ["file/below", "circle"] {
            let (message, hint) = refused(&root.join(path));
            assert!(message.contains("not writable: "), "{message}");
            assert_eq!(hint, some("choose a folder that you can write to"));
        }
        assert!(matches!(
            check_replaceable(Path::new("/dev/null")).unwrap_err(),
            Error::NotAFile { .. }
        ));
        assert!(matches!(
            check_replaceable(Path::new("missing/..")).unwrap_err(),
            Error::NoName { .. }
        ));
        assert_eq!(names(root), ["circle", "file"]);
    }

    #[test]
    fn a_rename_that_fails_leaves_no_draft() {
        let dir = tempfile::tempdir().unwrap();
        let taken = dir.path().join("taken");
        fill(&taken, "kept");
        let temp = TempFile::create_in(dir.path()).unwrap();
        temp.publish(&taken).unwrap_err();
        assert_eq!(names(dir.path()), ["taken"]);
        assert_eq!(content(&taken), "kept");
    }

    #[test]
    fn a_name_left_by_an_earlier_process_with_our_number_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let next = COUNTER.load(Ordering::Relaxed);
        for counter in next..next + 100 {
            let name = maker(std::process::id(), counter);
            fs_err::write(dir.path().join(name), "").unwrap();
        }
        TempFile::create_in(dir.path()).unwrap();
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

        drop(StagedDir::beside(&dir.path().join("results")).unwrap());
        let mut kept = kept.to_vec();
        kept.sort();
        assert_eq!(names(dir.path()), kept);
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
