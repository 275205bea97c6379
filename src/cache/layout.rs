//! Whether a folder is a cache of ours: the file `layout`, and what else tells where that is damaged.

use std::path::Path;

use super::error::closed;
use super::{damage, is_loss, is_miss};
use crate::error::{Error, Message};
use crate::files;
use crate::text::{self, foreign};

/// Version of the folder's layout. It rises when an older program would misread the folder; the words of
/// [`CACHEDIR_TAG`] must change with it, since they stand for it where the file `layout` is damaged.
pub const LAYOUT: u32 = 1;

/// The file that the version is in.
pub const FILE: &str = "layout";

/// The file that backups pass the folder over for.
pub const TAG: &str = "CACHEDIR.TAG";

pub const CACHEDIR_TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n\
    # This folder is a cache of newt-pipe: everything in it can be made again.\n\
    # See https://bford.info/cachedir/\n";

/// The file that git passes the folder over for.
pub const IGNORE: &str = ".gitignore";

pub const GITIGNORE: &str = "*\n";

pub const OBJECTS: &str = "objects";

pub const ACTIONS: &str = "actions";

pub const FEATURES: &str = "features";

/// The folder of what came of published scores, made with the first of them.
pub const VERDICTS: &str = "verdicts";

/// The folders of every cache.
pub const FOLDERS: [&str; 3] = [OBJECTS, ACTIONS, FEATURES];

/// The longest `layout` that is read.
const MAX_BYTES: u64 = 64;

/// What a folder is.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// A cache of this layout.
    Cache,
    /// A folder to make one in.
    Empty,
    /// A cache whose file `layout` is not to be used, for this reason.
    Damaged(String),
}

/// What the folder is that the cache should be in.
///
/// # Errors
/// That the folder is of another layout, or no cache; that it cannot be looked at.
pub fn look(root: &Path) -> Result<Found, Error> {
    let mut example = FILE.to_owned();
    // Another process may be making the cache: `layout` may come while we look for it, but only once.
    for _ in 0..2 {
        let file = root.join(FILE);
        let why = match damage::read(&file, MAX_BYTES) {
            Ok(Some(bytes)) => match String::from_utf8_lossy(&bytes).trim().parse::<u32>() {
                Ok(LAYOUT) => return Ok(Found::Cache),
                Ok(found) => return Err(other_layout(root, found).into()),
                Err(_) => format!("{}: is no version of a layout", file.display()),
            },
            Ok(None) => format!("{}: missing", file.display()),
            Err(error) if is_loss(&error) => error.to_string(),
            Err(error) if is_miss(&error) => return Err(error),
            Err(error) => return Err(closed(root, error).into()),
        };
        if is_ours(root) {
            return Ok(Found::Damaged(why));
        }
        match first_name(root)? {
            None => return Ok(Found::Empty),
            Some(name) => example = name,
        }
        if example != FILE {
            break;
        }
    }
    Err(Message::machine(format!(
        "cache {}: the folder holds `{}`, expected an empty folder or a newt-pipe cache",
        text::path(root),
        foreign(&example)
    ))
    .hint("choose another folder with `--cache-dir`")
    .into())
}

/// That the folder was made by a program with another idea of its layout.
fn other_layout(root: &Path, found: u32) -> Message {
    Message::machine(format!(
        "cache {}: layout `{found}`, this program reads and writes layout `{LAYOUT}`",
        text::path(root)
    ))
    .hint(format!(
        "choose another folder with `--cache-dir`; if this is your cache and only that number is damaged, write `{LAYOUT}` into `{}`",
        text::path(root.join(FILE))
    ))
}

/// Whether the folder is plainly a cache of ours, whatever its file `layout` says: two things may be damaged at once.
fn is_ours(root: &Path) -> bool {
    let has_folder = |name: &&str| root.join(name).is_dir();
    if is_tagged(root) {
        return FOLDERS.iter().any(has_folder);
    }
    // A file with other words is another program's.
    !root.join(TAG).is_file()
        && holds(&root.join(IGNORE), GITIGNORE)
        && FOLDERS.iter().all(has_folder)
}

/// Whether the folder has the tag of a cache of ours.
pub fn is_tagged(root: &Path) -> bool {
    holds(&root.join(TAG), CACHEDIR_TAG)
}

fn holds(path: &Path, content: &str) -> bool {
    let read = files::read(path, content.len() as u64);
    read.is_ok_and(|read| read == content.as_bytes())
}

/// The first entry that says what the folder holds: `layout`, if it is there.
fn first_name(root: &Path) -> Result<Option<String>, Error> {
    let mut names = Vec::new();
    for entry in fs_err::read_dir(root)? {
        let name = entry?.file_name();
        // `tmp` comes before `layout` when a cache is made: another process may be between the two.
        if name != "tmp" {
            names.push(name.to_string_lossy().into_owned());
        }
    }
    if damage::is_taken(&root.join(FILE)) {
        return Ok(Some(FILE.to_owned()));
    }
    names.sort();
    Ok(names.into_iter().next())
}

#[cfg(test)]
mod tests {
    use super::super::damage::tests::{HARMS, Harm};
    use super::super::{Access, Cache};
    use super::*;
    use crate::progress::{Silent, Warnings};

    #[test]
    fn a_damaged_layout_in_a_cache_is_written_anew_with_one_warning() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path()).unwrap();
        let digest = cache.put(b"abc").unwrap();
        let layout = dir.path().join(FILE);
        let texts: [(&str, Harm); 3] = [
            ("nothing", |_| {}),
            ("an empty file", |path| fs_err::write(path, "").unwrap()),
            ("bytes", |path| {
                fs_err::write(path, b"\xff\x00\xfe").unwrap();
            }),
        ];
        for (what, harm) in HARMS.into_iter().chain(texts) {
            fs_err::remove_file(&layout).unwrap();
            harm(&layout);
            let warnings = Warnings::default();
            let cache = Cache::open_telling(dir.path(), Access::Make, &warnings).unwrap();
            let warnings = warnings.0.into_inner().unwrap();
            assert_eq!(warnings.len(), 1, "{what}: {warnings:?}");
            assert!(warnings[0].contains("layout"), "{what}: {warnings:?}");
            assert_eq!(fs_err::read_to_string(&layout).unwrap(), "1\n", "{what}");
            assert_eq!(cache.get(&digest, 3).unwrap(), b"abc", "{what}");
        }
        assert_eq!(look(dir.path()).unwrap(), Found::Cache);
    }

    #[test]
    fn a_damaged_layout_in_any_other_folder_is_left_alone() {
        for (what, harm) in HARMS {
            let dir = tempfile::tempdir().unwrap();
            // What a cache has besides, but with other words.
            for name in FOLDERS {
                fs_err::create_dir(dir.path().join(name)).unwrap();
            }
            fs_err::write(
                dir.path().join(TAG),
                "Signature: 8a477f597d28d172789f06886806bc55\n",
            )
            .unwrap();
            harm(&dir.path().join(FILE));
            let before = fs_err::symlink_metadata(dir.path().join(FILE)).unwrap();
            let error = Cache::open_telling(dir.path(), Access::Make, &Silent).unwrap_err();
            let text = error.to_string();
            assert!(text.contains("the folder holds `layout`"), "{what}: {text}");
            let after = fs_err::symlink_metadata(dir.path().join(FILE)).unwrap();
            assert_eq!(
                before.modified().unwrap(),
                after.modified().unwrap(),
                "{what}"
            );
        }
    }

    #[test]
    fn a_cache_in_which_two_things_are_damaged_is_one_still() {
        let remove = |path: &Path| {
            let removed = fs_err::remove_file(path).or_else(|_| fs_err::remove_dir(path));
            removed.unwrap();
        };
        for lost in FOLDERS.into_iter().chain([TAG]) {
            for (what, harm) in HARMS {
                let dir = tempfile::tempdir().unwrap();
                Cache::open(dir.path()).unwrap();
                for name in [FILE, lost] {
                    remove(&dir.path().join(name));
                    harm(&dir.path().join(name));
                }
                if lost == TAG && what == "a huge file" {
                    // Another program's, for all one can know.
                    continue;
                }
                Cache::open(dir.path()).unwrap_or_else(|error| panic!("{lost}, {what}: {error}"));
                assert_eq!(look(dir.path()).unwrap(), Found::Cache, "{lost}, {what}");
                assert!(is_ours(dir.path()), "{lost}, {what}");
            }
        }
    }
}
