//! The store: bytes by digest, actions by key. It knows no stage and no format.
//!
//! # On disk
//!
//! ```text
//! <cache>/
//!   CACHEDIR.TAG  .gitignore    so that backups and git pass the folder over
//!   layout                      version of this layout; another one is refused, never misread
//!   objects/ab/cdef…            immutable bytes, named by their BLAKE3
//!   actions/<stage>/<key>.json  what a stage made of what: explains misses, is the provenance
//!   features/<key>/<digest>.…   per-image results of one backbone, in immutable shards
//!   digests                     memo (path, size, mtime, inode) → BLAKE3
//!   tmp/                        files being written; swept when the cache opens
//! ```
//!
//! # What enters a key
//!
//! A [`Key`] names inputs before anything is computed, a [`Digest`] proves bytes; the two are never mixed.
//!
//! | value | in the key | why |
//! | --- | --- | --- |
//! | stage name, stage version | yes | the code that makes the output; the version rises when its bytes or meaning change |
//! | parameters that can change a byte of the output | yes | `n_train`, seed, every probe setting, preprocessing, precision |
//! | inputs, by digest | yes | labels, images, weights; an input made again with the same bytes dirties nothing |
//! | paths, cache location | no | the same files elsewhere are the same files |
//! | mtimes, inodes | no | they only save reading a file again, see [`DigestMemo`] |
//! | threads, batch size, device | no | a CPU of one kind gives the same bits whatever they are; what CUDA or another CPU rounds differently is the same feature, and the first extraction is kept |
//! | progress, output and log options | no | they do not reach an output |
//! | program version, git commit, binary hash | no | every rebuild would be a miss; the stage version says what they cannot: that results changed |
//! | keys of earlier stages | no | their outputs' digests stand for them, so equal bytes stop a change from spreading |
//!
//! # Two processes, one cache
//!
//! Every file is written under `tmp/`, flushed to the disk and renamed into its place, so a reader finds a
//! whole file or none. Objects and shards are named by their content: whoever loses the race replaced a file
//! by its equal. No step relies on a lock, which some network file systems grant to everyone.

mod action;
mod atomic;
mod digests;
mod error;
#[cfg(test)]
mod fuzz;
mod key;
mod miss;
mod object;
mod shards;

use std::io;
use std::path::{Path, PathBuf};

pub use action::Action;
pub use digests::DigestMemo;
pub use error::Error;
pub use key::{Digest, Key, KeyBuilder, Request};
pub use miss::{Change, MissReason};
pub use shards::ShardStore;

/// Version of the folder layout above. It rises when an older program would misread the folder.
const LAYOUT: u32 = 1;

const CACHEDIR_TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n\
    # This folder is a cache of newt-pipe: everything in it can be made again.\n\
    # See https://bford.info/cachedir/\n";

/// An open cache folder; cheap to clone, shared freely between threads.
#[derive(Debug, Clone)]
pub struct Cache {
    root: PathBuf,
    /// When the cache was opened, by the clock of its own file system: seconds since 1970, and nanoseconds.
    opened: (i64, i64),
}

impl Cache {
    /// Opens the cache in `dir`, making the folder and its tree where they are missing, and removes what
    /// processes that are gone left under `tmp/`.
    ///
    /// # Errors
    /// [`Error::OtherLayout`] and [`Error::NotACache`] for a folder that is not ours to write to,
    /// [`Error::Unwritable`] where it cannot be made or written, [`Error::DiskFull`].
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, Error> {
        let root = dir.as_ref().to_path_buf();
        let unwritable = |source| Error::unwritable(&root, source);
        fs_err::create_dir_all(&root).map_err(unwritable)?;
        let known = check_layout(&root)?;

        let mut cache = Self {
            root: root.clone(),
            opened: (0, 0),
        };
        fs_err::create_dir_all(cache.tmp_dir()).map_err(unwritable)?;
        cache.opened = cache.file_system_now()?;
        if !known {
            // Before any other entry, so that an interrupted creation is recognised as ours, see `check_layout`.
            cache.write(&cache.root.join("layout"), format!("{LAYOUT}\n").as_bytes())?;
        }
        for name in ["objects", "actions", "features"] {
            fs_err::create_dir_all(root.join(name)).map_err(unwritable)?;
        }
        for (name, content) in [("CACHEDIR.TAG", CACHEDIR_TAG), (".gitignore", "*\n")] {
            let path = root.join(name);
            if !path.exists() {
                cache.write(&path, content.as_bytes())?;
            }
        }
        cache.sweep();
        Ok(cache)
    }

    /// The cache folder, as it was given.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn tmp_dir(&self) -> PathBuf {
        self.root.join("tmp")
    }
}

/// Whether the folder has the layout this program writes; false if it is empty.
fn check_layout(root: &Path) -> Result<bool, Error> {
    match fs_err::read(root.join("layout")) {
        Ok(bytes) => {
            let found = String::from_utf8_lossy(&bytes).trim().to_owned();
            match found.parse::<u32>() {
                Ok(LAYOUT) => Ok(true),
                Ok(found) => Err(Error::OtherLayout {
                    dir: root.to_path_buf(),
                    found,
                    expected: LAYOUT,
                }),
                Err(_) => Err(Error::NotACache {
                    dir: root.to_path_buf(),
                    example: "layout".to_owned(),
                }),
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut names = Vec::new();
            for entry in fs_err::read_dir(root).map_err(Error::Io)? {
                let name = entry.map_err(Error::Io)?.file_name();
                // `tmp` comes before `layout` when a cache is made: another process may be between the two.
                if name != "tmp" {
                    names.push(name.to_string_lossy().into_owned());
                }
            }
            names.sort();
            // That process may have finished since we looked for `layout`.
            if names.iter().any(|name| name == "layout") {
                return check_layout(root);
            }
            match names.into_iter().next() {
                None => Ok(false),
                Some(example) => Err(Error::NotACache {
                    dir: root.to_path_buf(),
                    example,
                }),
            }
        }
        Err(error) => Err(Error::unwritable(root, error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs_err::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn open_makes_the_tree_and_opens_it_again() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("a/b");
        Cache::open(&root).unwrap();
        let tree = [
            ".gitignore",
            "CACHEDIR.TAG",
            "actions",
            "features",
            "layout",
            "objects",
            "tmp",
        ];
        assert_eq!(names(&root), tree);
        assert_eq!(fs_err::read_to_string(root.join("layout")).unwrap(), "1\n");
        assert_eq!(
            fs_err::read_to_string(root.join(".gitignore")).unwrap(),
            "*\n"
        );
        let tag = fs_err::read_to_string(root.join("CACHEDIR.TAG")).unwrap();
        assert!(tag.starts_with("Signature: 8a477f597d28d172789f06886806bc55"));
        assert!(names(&root.join("tmp")).is_empty());
        Cache::open(&root).unwrap();
        assert_eq!(names(&root), tree);
    }

    #[test]
    fn open_refuses_another_layout_and_leaves_it_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs_err::write(dir.path().join("layout"), "2\n").unwrap();
        let error = Cache::open(dir.path()).unwrap_err();
        let shown = dir.path().display();
        assert_eq!(
            error.to_string(),
            format!("cache {shown}: layout `2`, this program reads and writes layout `1`")
        );
        assert!(error.hint().unwrap().contains("--cache-dir"));
        assert_eq!(names(dir.path()), ["layout"]);
    }

    #[test]
    fn open_refuses_a_folder_of_other_files_and_leaves_it_alone() {
        for (name, content) in [("thesis.tex", ""), ("layout", "two columns")] {
            let dir = tempfile::tempdir().unwrap();
            fs_err::write(dir.path().join(name), content).unwrap();
            let error = Cache::open(dir.path()).unwrap_err();
            assert!(matches!(&error, Error::NotACache { example, .. } if example == name));
            assert!(error.hint().unwrap().contains("--cache-dir"));
            assert_eq!(names(dir.path()), [name]);
        }
    }

    #[test]
    fn open_goes_on_where_the_making_of_a_cache_was_interrupted() {
        let dir = tempfile::tempdir().unwrap();
        fs_err::create_dir(dir.path().join("tmp")).unwrap();
        Cache::open(dir.path()).unwrap();
    }

    #[test]
    fn open_names_a_folder_that_cannot_be_written() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs_err::write(&file, "").unwrap();
        for path in [file.join("cache"), file] {
            let error = Cache::open(&path).unwrap_err();
            assert!(matches!(error, Error::Unwritable { .. }), "{error:?}");
            assert!(error.to_string().contains(&path.display().to_string()));
            let hint = error.hint().unwrap();
            assert!(hint.contains("--cache-dir") && hint.contains("NEWT_PIPE_CACHE"));
        }
    }

    #[test]
    fn many_threads_may_open_a_new_cache_at_once() {
        let dir = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| Cache::open(dir.path().join("cache")).unwrap());
            }
        });
    }
}
