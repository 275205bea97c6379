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
mod maker;
mod overlap;
mod place;
mod reading;
mod staged;
mod stream;
mod system;
mod users;

use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use tempfile::TempPath;

use self::error::no_name;
pub use self::error::{NotWritten, Unfit, hint, not_a_folder, unwritable};
pub use self::former::{Left, first_foreign};
pub use self::leftovers::strays;
#[cfg(test)]
pub use self::maker::maker;
pub use self::maker::{is_orphan, unused_name};
pub use self::overlap::{Kept, real_from_root};
pub use self::place::{
    MAX_LINKS, Names, broken_link, check_links, check_names, expand_by, expanded, follow, found,
    located,
};
pub use self::reading::{
    buffer, check_bytes, check_regular, check_size, kind, open, read, read_text, read_text_stream,
};
pub use self::staged::{StagedDir, sync_tree};
pub use self::stream::is_stream;
pub use self::users::{STICKY, foreign_owner, home_of, user, user_name};
use crate::error::{Error, Message};

/// A file that is being written; removed when dropped unless it was published.
pub struct TempFile {
    file: fs_err::File,
    path: TempPath,
}

impl TempFile {
    /// Makes an empty file in `folder`, named by its maker only.
    ///
    /// # Errors
    /// The file system's.
    pub fn create_in(folder: &Path) -> io::Result<Self> {
        Self::create(folder, OsStr::new(""))
    }

    fn create(folder: &Path, prefix: &OsStr) -> io::Result<Self> {
        let file = maker::make_in(folder, prefix, fs_err::File::create_new)?;
        let path = TempPath::try_from_path(file.path())?;
        Ok(Self { file, path })
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
    /// The file system's.
    pub fn publish(self, target: &Path) -> io::Result<()> {
        self.publish_by(rename, target)
    }

    fn publish_by(mut self, rename: Rename, target: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        rename(self.file.path(), target)?;
        self.path.disable_cleanup(true);
        sync_parent(target)
    }
}

/// Gives what is at the first path the name that is the second.
type Rename = fn(&Path, &Path) -> io::Result<()>;

/// Replaces what has that name.
fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs_err::rename(from, to)
}

/// Flushes the folder that holds `path`, so that its name outlives a power cut.
///
/// # Errors
/// The file system's.
pub fn sync_parent(path: &Path) -> io::Result<()> {
    sync_folder(parent(path))
}

/// Flushes a folder, so that the names in it outlive a power cut.
///
/// # Errors
/// The file system's.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
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

/// Whether an error says that nothing is at a path. One that leads through a file counts as absent: whoever makes its
/// folders reports it.
pub fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// The folder that `path` is in: `.` for a bare name, whose parent is the empty path to the standard library.
pub fn parent(path: &Path) -> &Path {
    path.parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// Makes sure that [`replace_file`] can write to `path`, and leaves everything as it is.
///
/// # Errors
/// What is there instead of a file, that the path ends in no name, that there is no folder to write to or that nothing
/// can be made in it.
pub fn check_replaceable(path: &Path) -> Result<(), Error> {
    draft_of(path).map(drop)
}

/// Writes a file so that readers find what was there before or all of `bytes`; links are followed.
///
/// # Errors
/// As [`check_replaceable`], and [`NotWritten`]; nothing is left behind.
pub fn replace_file(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    put_file(path, bytes, rename)
}

/// Writes a file where none is, so that readers find none or all of `bytes`; links are followed.
///
/// # Errors
/// As [`replace_file`]; also [`NotWritten`] where somebody has put a file there meanwhile.
pub fn new_file(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    put_file(path, bytes, system::rename_new)
}

fn put_file(path: &Path, bytes: &[u8], rename: Rename) -> Result<(), Error> {
    let (target, mut draft) = draft_of(path)?;
    let written = draft.file.write_all(bytes);
    written
        .and_then(|()| draft.publish_by(rename, &target))
        .map_err(|source| NotWritten::new(path, source).into())
}

/// The file that `path` stands for, and one beside it to write to.
fn draft_of(path: &Path) -> Result<(PathBuf, TempFile), Error> {
    let place = Place::of(path)?;
    if place.metadata.is_some_and(|metadata| !metadata.is_file()) {
        let path = path.display();
        let text = format!("{path}: is not a regular file, expected a file or nothing");
        return Err(Message::request(text)
            .hint("give the path of a file")
            .into());
    }
    let name = name_of(path, &place.path)?;
    // What only a folder could be called.
    let bytes = path.as_os_str().as_bytes();
    if bytes.ends_with(b"/") || bytes.ends_with(b"/.") {
        return Err(no_name(path).into());
    }
    let folder = parent(&place.path);
    match TempFile::create(folder, &hidden(name, DRAFT)) {
        Ok(draft) => Ok((place.path, draft)),
        Err(_) if !folder.exists() => {
            let (path, folder) = (path.display(), folder.display());
            let text = format!("{path}: no folder `{folder}`, expected one to write to");
            Err(Message::request(text).hint("make that folder first").into())
        }
        Err(source) => Err(unwritable(path, folder, source)),
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
        let unwritable = |source| unwritable(path, parent(path), source);
        let real = overlap::real(path).map_err(|source| match broken_link(path) {
            Some(link) => error::unwritable(path, path, link.into()),
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
    target.file_name().ok_or_else(|| no_name(path).into())
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

    pub fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs_err::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// Makes the folder `dir` with one file that holds `content`.
    pub fn fill(dir: &Path, content: &str) {
        fs_err::create_dir_all(dir).unwrap();
        fs_err::write(dir.join("file"), content).unwrap();
    }

    pub fn content(dir: &Path) -> String {
        fs_err::read_to_string(dir.join("file")).unwrap()
    }

    /// A folder that replaces one with the one file that [`fill`] makes.
    pub fn replacing(place: &Path) -> StagedDir {
        StagedDir::replacing(place, |_| vec!["file".into()]).unwrap()
    }

    /// A message with the temporary folder's path cut out, and its hint.
    pub fn said(error: &Error, dir: &Path) -> (String, Option<String>) {
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
        assert!(error.is_a::<NotWritten>().is_some(), "{error}");
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
            let text = error.to_string();
            assert!(text.contains("is not a regular file"), "{text}");
        }
        let error = check_replaceable(Path::new("missing/..")).unwrap_err();
        assert!(error.to_string().contains("ends in no name"), "{error}");
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
}
