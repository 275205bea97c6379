//! Files and folders that appear whole or not at all: written beside their place, flushed, renamed into it. And what
//! is read: regular files of a bounded size, see [`read`].
//!
//! What is being written has a name that ends in its maker, `<host>-<pid>-<counter>`. `<host>` stands for one
//! boot of one kernel and one process table, not for a host name: containers on one machine may share a name
//! but not their process numbers, and after a reboot numbers mean other processes. So what carries our `<host>`
//! and a process that is gone was left by a process that was killed, and may be removed.
//!
//! | beside `results` | is |
//! | --- | --- |
//! | `.results.draft-<maker>` | the folder or file that is to become `results`; nobody else's file is in it |
//! | `.results.old-<maker>` | a folder that changes places with `results` just now, or what was `results`, until it is removed |
//!
//! A folder and the one that takes its place are exchanged in one step, where the system has such a step. From the
//! former one only files are removed that a run has written there: others may have been put there meanwhile. Names
//! that look like these and end in no maker are somebody else's.

mod error;
mod former;
mod leftovers;
mod overlap;
mod place;
mod reading;
mod staged;
mod stream;
mod system;

use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

pub use error::Error;
pub(crate) use former::user_name;
pub use former::{Left, first_foreign};
pub use leftovers::strays;
pub use overlap::{Kept, real_from_root};
pub use place::{
    BrokenLink, MAX_LINKS, Names, UnknownName, expand_by, expanded, follow, found, hint, located,
};
pub use reading::{
    NotRegular, TooLarge, buffer, check_size, open, read, read_text, read_text_stream,
};
pub use staged::StagedDir;
pub use stream::is_stream;

/// Numbers what this process makes.
static COUNTER: AtomicU64 = AtomicU64::new(0);

/// How much of a boot's number is in a name.
const N_BOOT_DIGITS: usize = 12;

/// The host in a name, where the system tells none.
const NO_HOST: &str = "other";

/// Boot and process table of this process; `None` where the system does not tell.
static HOST: LazyLock<Option<String>> = LazyLock::new(|| {
    let boot = fs_err::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let boot: String = boot
        .chars()
        .filter(char::is_ascii_hexdigit)
        .take(N_BOOT_DIGITS)
        .collect();
    let table = fs_err::metadata("/proc/self/ns/pid").ok()?.ino();
    Some(format!("{boot}.{table}"))
});

/// The name of a maker: no two processes have one in common.
pub(crate) fn maker(process: u32, counter: u64) -> String {
    let host = HOST.as_deref().unwrap_or(NO_HOST);
    format!("{host}-{process}-{counter}")
}

fn next_maker() -> String {
    maker(std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed))
}

/// A path in `folder` that is not taken: `name`, and who made it.
pub(crate) fn unused_name(folder: &Path, name: &OsStr) -> PathBuf {
    loop {
        let mut unused = name.to_owned();
        unused.push(format!(".{}", next_maker()));
        let path = folder.join(unused);
        if fs_err::symlink_metadata(&path).is_err() {
            return path;
        }
    }
}

/// Whether a name ends as [`maker`] has it.
fn is_maker(text: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_host = |host: &str| {
        let parts = host.split_once('.');
        host == NO_HOST
            || parts.is_some_and(|(boot, table)| {
                boot.len() == N_BOOT_DIGITS
                    && boot.bytes().all(|byte| byte.is_ascii_hexdigit())
                    && is_number(table)
            })
    };
    let mut parts = text.splitn(3, '-');
    parts.next().is_some_and(is_host)
        && parts.next().is_some_and(is_number)
        && parts.next().is_some_and(is_number)
}

/// The process that `maker` names, if it is one of this host.
fn process_of(maker: &str) -> Option<u32> {
    let rest = maker.strip_prefix(HOST.as_deref()?)?.strip_prefix('-')?;
    rest.split_once('-')?.0.parse().ok()
}

/// Whether a process is at work; one that has ended and that nobody has asked about is not.
fn is_running(process: u32) -> bool {
    match fs_err::read_to_string(format!("/proc/{process}/stat")) {
        // The state is behind the program's name, which is in parentheses and may hold some.
        Ok(stat) => {
            let state = stat.rsplit(')').next().unwrap_or_default().trim_start();
            !state.starts_with(['Z', 'X'])
        }
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

/// The user that this process works as; `None` where the system does not tell.
pub fn user() -> Option<u32> {
    Some(fs_err::metadata("/proc/self").ok()?.uid())
}

/// Whether something belongs to the user that this process works as.
fn is_own(metadata: &Metadata) -> bool {
    user() == Some(metadata.uid())
}

/// Whether the process that made something is gone, by the maker in its name; `false` where nobody can know.
pub fn is_orphan(maker: &str, metadata: &Metadata) -> bool {
    // Other users' processes may be hidden from us, so only our own can be known to be gone.
    process_of(maker).is_some_and(|process| !is_running(process)) && is_own(metadata)
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
    pub fn publish(self, target: &Path) -> io::Result<()> {
        self.publish_by(|draft, target| fs_err::rename(draft, target), target)
    }

    /// The same, where nothing is.
    fn publish_new(self, target: &Path) -> io::Result<()> {
        self.publish_by(system::rename_new, target)
    }

    fn publish_by(
        mut self,
        rename: impl Fn(&Path, &Path) -> io::Result<()>,
        target: &Path,
    ) -> io::Result<()> {
        self.file.sync_all()?;
        rename(self.file.path(), target)?;
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

/// The folder that `path` is in: `.` for a bare name, whose parent is the empty path to the standard library.
pub(crate) fn parent(path: &Path) -> &Path {
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
    put_file(path, bytes, TempFile::publish)
}

/// Writes a file where none is, so that readers find none or all of `bytes`; links are followed.
///
/// # Errors
/// Those of [`replace_file`]; also [`Error::NotWritten`] where somebody has put a file there meanwhile.
pub fn new_file(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    put_file(path, bytes, TempFile::publish_new)
}

fn put_file(
    path: &Path,
    bytes: &[u8],
    publish: fn(TempFile, &Path) -> io::Result<()>,
) -> Result<(), Error> {
    let (target, mut draft) = draft_of(path)?;
    draft
        .file
        .write_all(bytes)
        .and_then(|()| publish(draft, &target))
        .map_err(|source| Error::not_written(path, source))
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
    // What only a folder could be called.
    let bytes = path.as_os_str().as_bytes();
    if bytes.ends_with(b"/") || bytes.ends_with(b"/.") {
        return Err(Error::NoName {
            path: path.to_owned(),
        });
    }
    let folder = parent(&place.path);
    match TempFile::create(folder, &hidden(name, DRAFT)) {
        Ok(draft) => Ok((place.path, draft)),
        Err(_) if !folder.exists() => Err(Error::NoFolder {
            path: path.to_owned(),
            folder: folder.to_owned(),
        }),
        Err(source) => Err(Error::unwritable(path, folder, source)),
    }
}

/// Where a path leads.
struct Place {
    /// The path without links, `.` and `..`.
    path: PathBuf,
    /// What is there.
    metadata: Option<Metadata>,
}

impl Place {
    fn of(path: &Path) -> Result<Self, Error> {
        let unwritable = |source| Error::unwritable(path, parent(path), source);
        let real = overlap::real(path).map_err(|source| match BrokenLink::on_the_way(path) {
            Some(link) => Error::unwritable(path, path, link.into()),
            None => unwritable(source),
        })?;
        // The path itself comes first: what `/dev/stdout` is has no other name.
        let metadata = match fs_err::metadata(path).or_else(|_| fs_err::metadata(&real)) {
            Ok(metadata) => Some(metadata),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(source) => return Err(unwritable(source)),
        };
        Ok(Self {
            path: real,
            metadata,
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs_err::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// Makes the folder `dir` with one file that holds `content`.
    pub(super) fn fill(dir: &Path, content: &str) {
        fs_err::create_dir_all(dir).unwrap();
        fs_err::write(dir.join("file"), content).unwrap();
    }

    pub(super) fn content(dir: &Path) -> String {
        fs_err::read_to_string(dir.join("file")).unwrap()
    }

    /// A folder that replaces one with the one file that [`fill`] makes.
    pub(super) fn replacing(place: &Path) -> StagedDir {
        StagedDir::replacing(place, |_| vec!["file".into()]).unwrap()
    }

    /// A message with the temporary folder's path cut out, and its hint.
    pub(super) fn said(error: &Error, dir: &Path) -> (String, Option<String>) {
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
    fn a_new_file_takes_the_place_of_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.bin");
        new_file(&path, b"one").unwrap();
        let error = new_file(&path, b"two").unwrap_err();
        assert!(matches!(error, Error::NotWritten { .. }), "{error}");
        assert_eq!(fs_err::read(&path).unwrap(), b"one");
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
        let (message, hint) = refused(&root.join("file/below"));
        assert!(message.contains("not writable: "), "{message}");
        assert_eq!(hint, some("choose a folder that you can write to"));
        assert_eq!(
            refused(&root.join("circle")),
            (
                "DIR/circle: not writable: `DIR/circle` is a link to `circle`, which leads in a circle"
                    .to_owned(),
                some("remove the link, or let it lead to what it should stand for")
            )
        );
        let (_reader, writer) = std::io::pipe().unwrap();
        let pipe = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&writer));
        for path in ["/dev/null", &pipe] {
            let error = check_replaceable(Path::new(path)).unwrap_err();
            assert!(matches!(error, Error::NotAFile { .. }), "{error}");
        }
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
}
