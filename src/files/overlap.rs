//! Where paths really lead, and whether what is written would get in the way of what is read or kept.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use super::{MAX_LINKS, name_of};
use crate::error::{Error, Message};

/// Where a path leads: without links, `.` and `..`, also where nothing is yet. A relative path stays one.
///
/// # Errors
/// Links that lead in a circle.
pub fn real(path: &Path) -> io::Result<PathBuf> {
    follow_all(PathBuf::new(), path)
}

/// The same, from the root.
///
/// # Errors
/// Links that lead in a circle, and that there is no working folder.
pub fn real_from_root(path: &Path) -> io::Result<PathBuf> {
    // What the system gives here is without links.
    follow_all(std::env::current_dir()?, path)
}

fn follow_all(start: PathBuf, path: &Path) -> io::Result<PathBuf> {
    let parts = |path: &Path| -> Vec<OsString> {
        let part = |part: Component<'_>| part.as_os_str().to_owned();
        path.components().map(part).collect()
    };
    let mut real = start;
    let mut rest = VecDeque::from(parts(path));
    let mut n_links = 0;
    while let Some(part) = rest.pop_front() {
        if part == "." {
            continue;
        }
        if part == ".." {
            // Above a relative path's beginning nothing is known.
            if real.file_name().is_some() {
                real.pop();
            } else if !real.has_root() {
                real.push(part);
            }
            continue;
        }
        // The first part of an absolute path is the root, which replaces what was there.
        let next = real.join(&part);
        match fs_err::read_link(&next) {
            Ok(target) => {
                n_links += 1;
                if n_links > MAX_LINKS {
                    return Err(io::Error::from_raw_os_error(libc::ELOOP));
                }
                for part in parts(&target).into_iter().rev() {
                    rest.push_front(part);
                }
            }
            // It is no link, nothing is there, or nobody lets us look.
            Err(_) => real = next,
        }
    }
    Ok(real)
}

/// How one place lies to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// It is the other one.
    Same,
    /// It lies in the other one.
    Inside,
    /// The other one lies in it.
    Around,
}

impl Relation {
    /// How `path` lies to `other`, whatever is there and whatever they are called; `None` where they lie apart, and
    /// where one of them leads nowhere.
    ///
    /// Links are followed, and what exists, be it a folder on the way only, is compared by device and inode as well, which
    /// finds a folder that is mounted twice, a file with two names, and names whose case does not count.
    pub fn of(path: &Path, other: &Path) -> Option<Self> {
        let path = real_from_root(path).ok()?;
        let other = real_from_root(other).ok()?;
        if path == other || is_one(&path, &other) {
            Some(Self::Same)
        } else if is_above(&other, &path) {
            Some(Self::Inside)
        } else if is_above(&path, &other) {
            Some(Self::Around)
        } else {
            None
        }
    }
}

fn is_above(folder: &Path, path: &Path) -> bool {
    let is_folder = |above: &Path| is_one(above, folder);
    path.starts_with(folder) || path.ancestors().skip(1).any(is_folder)
}

fn is_one(a: &Path, b: &Path) -> bool {
    matches!((anchor(a), anchor(b)), (Some(a), Some(b)) if a == b)
}

/// The deepest folder on the way to `path` that is there, by device and inode, and what `path` says below it: so places
/// compare where nothing is yet.
fn anchor(path: &Path) -> Option<((u64, u64), &Path)> {
    path.ancestors().find_map(|above| {
        let found = fs_err::metadata(above).ok()?;
        Some(((found.dev(), found.ino()), path.strip_prefix(above).ok()?))
    })
}

/// Something that the program reads or keeps, and that nothing it writes may destroy or be mistaken for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    what: &'static str,
    path: PathBuf,
    /// What is refused of folders, and of files.
    refused: [&'static [Relation]; 2],
}

const EVERY: &[Relation] = &[Relation::Same, Relation::Inside, Relation::Around];
const NOT_INSIDE: &[Relation] = &[Relation::Same, Relation::Around];
const NOT_AROUND: &[Relation] = &[Relation::Same, Relation::Inside];

impl Kept {
    /// A folder whose content is the program's or a model's own affair: nothing is written into it, and nothing that is
    /// replaced as a whole may hold it. `what` names it, as in `the cache`.
    pub fn closed(what: &'static str, path: impl Into<PathBuf>) -> Self {
        Self::new(what, path.into(), [EVERY; 2])
    }

    /// A file, or a folder that other things may lie in, too.
    pub fn open(what: &'static str, path: impl Into<PathBuf>) -> Self {
        Self::new(what, path.into(), [NOT_INSIDE; 2])
    }

    /// A folder that other folders may lie in, but no file: it would be taken for one of those that make up the folder, or
    /// replace one.
    pub fn whole(what: &'static str, path: impl Into<PathBuf>) -> Self {
        Self::new(what, path.into(), [NOT_INSIDE, EVERY])
    }

    /// A folder, for something that is never replaced and so may lie around it.
    pub fn walled(what: &'static str, path: impl Into<PathBuf>) -> Self {
        Self::new(what, path.into(), [NOT_AROUND; 2])
    }

    fn new(what: &'static str, path: PathBuf, refused: [&'static [Relation]; 2]) -> Self {
        Self {
            what,
            path,
            refused,
        }
    }

    /// Makes sure that the folder that is going to be `output` gets in the way of nothing that is kept.
    ///
    /// # Errors
    /// The first that it would; that its path ends in no name.
    pub fn check_folder(output: &Path, all: &[Self]) -> Result<(), Error> {
        Self::check(output, all, |kept| kept.refused[0])
    }

    /// The same, for a file.
    ///
    /// # Errors
    /// As [`check_folder`](Self::check_folder).
    pub fn check_file(output: &Path, all: &[Self]) -> Result<(), Error> {
        Self::check(output, all, |kept| kept.refused[1])
    }

    fn check(
        output: &Path,
        all: &[Self],
        refused: fn(&Self) -> &'static [Relation],
    ) -> Result<(), Error> {
        for kept in all {
            let relation = Relation::of(output, &kept.path);
            if let Some(relation) = relation.filter(|relation| refused(kept).contains(relation)) {
                if relation == Relation::Around {
                    // `.` lies around much, but that is not what is wrong with it.
                    name_of(output, output)?;
                }
                return Err(kept.overlap(output, relation).into());
            }
        }
        Ok(())
    }

    /// That something is to be written to `path`, where it would destroy this or be mistaken for it.
    fn overlap(&self, path: &Path, relation: Relation) -> Message {
        let (what, place) = (self.what, self.path.display());
        let wrong = match relation {
            Relation::Same if *path == self.path => format!("is {what}, expected another place"),
            Relation::Same => format!("is {what} `{place}`, expected another place"),
            Relation::Inside => format!("is in {what} `{place}`, expected a place outside of it"),
            Relation::Around => format!("holds {what} `{place}`, expected a folder without it"),
        };
        Message::request(format!("{}: {wrong}", path.display()))
            .hint("choose a place apart from it")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn folders(names: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for name in names {
            fs_err::create_dir_all(dir.path().join(name)).unwrap();
        }
        dir
    }

    #[test]
    fn a_path_leads_where_the_system_says() {
        let dir = folders(&["a/b", "c"]);
        let root = fs_err::canonicalize(dir.path()).unwrap();
        symlink("../a/b", root.join("c/up")).unwrap();
        symlink("c/up", root.join("two")).unwrap();
        symlink(root.join("c"), root.join("absolute")).unwrap();
        symlink("new/place", root.join("dangling")).unwrap();
        symlink("circle", root.join("circle")).unwrap();
        for (path, expected) in [
            ("a/./b/", "a/b"),
            ("a/b/.", "a/b"),
            ("two", "a/b"),
            ("two/", "a/b"),
            // Behind a link, not before it.
            ("two/..", "a"),
            ("absolute/up/../x", "a/x"),
            ("dangling/x", "new/place/x"),
            ("new/x/../y/.", "new/y"),
        ] {
            assert_eq!(real(&root.join(path)).unwrap(), root.join(expected));
        }
        assert!(real(&root.join("circle/x")).is_err());
        for (path, expected) in [
            (".", ""),
            ("../x", "../x"),
            ("a/../../..", "../.."),
            ("/..", "/"),
            ("/", "/"),
        ] {
            assert_eq!(real(Path::new(path)).unwrap(), Path::new(expected));
        }
    }

    #[test]
    fn places_are_compared_by_where_they_really_are() {
        let dir = folders(&["x/cache", "y"]);
        let root = dir.path();
        fs_err::write(root.join("y/file"), "").unwrap();
        fs_err::hard_link(root.join("y/file"), root.join("y/twin")).unwrap();
        symlink("../x/cache", root.join("y/link")).unwrap();
        let relation = |path: &str, other: &str| Relation::of(&root.join(path), &root.join(other));
        for (path, other, expected) in [
            ("x", "x/cache", Some(Relation::Around)),
            ("x/cache", "x", Some(Relation::Inside)),
            ("x/cache/.", "x/cache/", Some(Relation::Same)),
            ("y/link", "x/cache", Some(Relation::Same)),
            ("y/link/new/deep", "x/cache", Some(Relation::Inside)),
            ("x", "y/link", Some(Relation::Around)),
            ("y/twin", "y/file", Some(Relation::Same)),
            // Neither is there yet.
            ("new", "new/cache", Some(Relation::Around)),
            ("new/../x/cache/r", "x/cache", Some(Relation::Inside)),
            ("x", "y", None),
            // A name that begins as another one.
            ("x/cache2", "x/cache", None),
            ("x/results", "x/cache", None),
        ] {
            assert_eq!(relation(path, other), expected, "{path} and {other}");
        }
        assert_eq!(
            Relation::of(Path::new("src"), &std::env::current_dir().unwrap()),
            Some(Relation::Inside)
        );
    }

    #[test]
    fn what_is_not_there_yet_is_known_by_the_folder_that_is() {
        let dir = folders(&["a", "b"]);
        let path = |name: &str| dir.path().join(name);
        // As a second mount of `a` would be, which only root can make: no text tells that they are one.
        symlink("a", path("mounted")).unwrap();
        assert!(is_one(&path("mounted/x/y"), &path("a/x/y")));
        assert!(is_above(&path("mounted/x"), &path("a/x/y/z")));
        assert!(!is_one(&path("mounted/x"), &path("a/y")));
        assert!(!is_one(&path("mounted/x"), &path("b/x")));
        assert!(!is_above(&path("mounted/x/y"), &path("a/x")));
    }

    #[test]
    fn what_may_not_be_written_to_says_so() {
        let said = |kept: Kept, path: &str| {
            let error = Kept::check_folder(Path::new(path), &[kept]).err()?;
            Some(error.to_string())
        };
        let cache = || Kept::closed("the cache", "/no/cache");
        let root = || Kept::open("the data root", "/no/data");
        let store = || Kept::walled("the cache", "/no/cache");
        for (kept, path, expected) in [
            (
                cache(),
                "/no/cache",
                Some("/no/cache: is the cache, expected another place"),
            ),
            (
                cache(),
                "/no/x/../cache",
                Some("/no/x/../cache: is the cache `/no/cache`, expected another place"),
            ),
            (
                cache(),
                "/no/cache/x",
                Some("/no/cache/x: is in the cache `/no/cache`, expected a place outside of it"),
            ),
            (
                cache(),
                "/no",
                Some("/no: holds the cache `/no/cache`, expected a folder without it"),
            ),
            (root(), "/no/data/results", None),
            (
                root(),
                "/no",
                Some("/no: holds the data root `/no/data`, expected a folder without it"),
            ),
            (store(), "/no", None),
            (
                store(),
                "/no/cache/x",
                Some("/no/cache/x: is in the cache `/no/cache`, expected a place outside of it"),
            ),
        ] {
            assert_eq!(said(kept, path).as_deref(), expected, "{path}");
        }
    }
}
