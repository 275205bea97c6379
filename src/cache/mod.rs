//! The store: bytes by digest, actions by key. It knows no stage and no format.
//!
//! # On disk
//!
//! ```text
//! <cache>/
//!   CACHEDIR.TAG  .gitignore    so that backups and git pass the folder over
//!   layout                      version of this layout; another one is refused, never misread
//!   objects/ab/cdef…            immutable bytes, named by their BLAKE3
//!   actions/<stage>/<key>.json  what a stage made of what, sealed: explains misses, is the provenance
//!   features/<key>/<digest>.…   per-image results of one backbone, in immutable shards
//!   digests                     memo (path, size, mtime, inode) → BLAKE3
//!   verdicts/<digest>.json      what came of published scores here, sealed: for people, and of no stage's input
//!   tmp/                        files being written; swept when the cache opens
//!   damaged/                    what was found in the place of one of the above and is none; nobody reads it
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
//! # Damage
//!
//! Nothing is believed for lying where it should. Objects have the digest in their name, records and shards a seal over
//! what ties their parts together, and whatever is no regular file of the size that it should have is not opened. What
//! is wrong is a miss with one warning: it is removed, or set aside where it is no file, and made again.
//!
//! What is closed to us is no damage: it may be another user's valid work. It is never removed. A record or an object
//! is made again and takes its place; a shard, which may hold days of work, is an error that names its owner. And who
//! only looks, as a plan does, changes nothing of what is there, see [`Access`].
//!
//! # Two processes, one cache
//!
//! Every file is written under `tmp/`, flushed to the disk and renamed into its place, so a reader finds a
//! whole file or none. Objects and shards are named by their content: whoever loses the race replaced a file
//! by its equal. No step relies on a lock, which some network file systems grant to everyone.

mod action;
mod atomic;
mod damage;
mod digests;
mod error;
#[cfg(test)]
mod fuzz;
mod key;
mod layout;
mod miss;
mod object;
mod seal;
mod shards;
mod verdicts;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

pub use digests::DigestMemo;
pub use error::{Unavailable, is_loss, is_miss};
pub use key::{Digest, Key, KeyBuilder, Request};
pub use layout::is_tagged;
pub use miss::MissReason;
pub use shards::ShardStore;
pub use verdicts::ignored;

use self::error::unwritable;
use crate::error::Error;
use crate::files;
use crate::progress::{Progress, Silent};
use crate::text::{self, Listing};

/// What a cache is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// To make what is missing: damage gives way to it.
    Make,
    /// To see what would be made: nothing that is there is removed, moved or replaced, but for the memo of digests, which
    /// grows.
    Look,
}

/// An open cache folder; cheap to clone, shared freely between threads.
#[derive(Debug, Clone)]
pub struct Cache {
    root: PathBuf,
    /// When the cache was opened, by the clock of its own file system: seconds since 1970, and nanoseconds.
    opened: (i64, i64),
    access: Access,
    /// Whether the folder of objects was lost, which has been said in one line.
    has_lost_objects: bool,
    /// Whether it was said that the memo of digests cannot be written.
    told_of_memo: Arc<AtomicBool>,
}

impl Cache {
    /// As [`open_telling`](Self::open_telling), to make things, with nobody to be told of what was mended.
    ///
    /// # Errors
    /// As [`open_telling`](Self::open_telling).
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open_telling(dir, Access::Make, &Silent)
    }

    /// Opens the cache in `dir`, making the folder and its tree where they are missing; where things are to be made,
    /// also where they are damaged, and what processes that are gone left under `tmp/` is removed.
    ///
    /// `progress` is warned of what was damaged, and of a cache that is another user's.
    ///
    /// # Errors
    /// That the folder is not ours to write to: of another layout, or no cache; that it cannot be made or written.
    pub fn open_telling(
        dir: impl AsRef<Path>,
        access: Access,
        progress: &dyn Progress,
    ) -> Result<Self, Error> {
        let root = dir.as_ref().to_path_buf();
        fs_err::create_dir_all(&root).map_err(|source| {
            let link = files::broken_link(&root);
            unwritable(&root, &link.map_or(source, io::Error::from))
        })?;
        let found = layout::look(&root)?;
        if let Some(owner) = files::foreign_owner(&root).filter(|owner| *owner != 0) {
            progress.warn(&format!(
                "cache {}: belongs to {}, and what it holds is believed",
                text::path(&root),
                files::user_name(owner)
            ));
        }

        let mut cache = Self {
            root,
            opened: (0, 0),
            access,
            has_lost_objects: found == layout::Found::Cache && has_lost_objects(dir.as_ref()),
            told_of_memo: Arc::default(),
        };
        let mut damaged = Vec::new();
        cache.make_tree(&found, &mut damaged)?;
        if let layout::Found::Damaged(why) = found {
            damaged.push(why);
        }
        if !damaged.is_empty() {
            let damaged: Listing = damaged.into_iter().collect();
            let when = match access {
                Access::Make => "made again",
                Access::Look => "the next run makes that again",
            };
            progress.warn(&format!(
                "{damaged}; {when}, and what else the cache holds is used"
            ));
        }
        if access == Access::Make {
            cache.sweep();
        }
        Ok(cache)
    }

    /// Makes what a cache consists of, and adds to `damaged` what was in its way, or is.
    fn make_tree(&mut self, found: &layout::Found, damaged: &mut Vec<String>) -> Result<(), Error> {
        let (is_new, makes) = (*found == layout::Found::Empty, self.access == Access::Make);
        // Whoever only looks does without what cannot be made in a cache that is there.
        let may_fail = !makes && !is_new;
        let excused = |made: Result<(), Error>| if may_fail { Ok(()) } else { made };

        self.make_own_folder("tmp", may_fail, damaged)?;
        self.opened = match self.file_system_now() {
            Ok(now) => now,
            // Then every file is too young to be memoised.
            Err(_) if may_fail => (i64::MIN, 0),
            Err(error) => return Err(error),
        };
        let layout = self.root.join(layout::FILE);
        let is_mended = makes && matches!(found, layout::Found::Damaged(_));
        if is_mended {
            self.set_aside(&layout)
                .map_err(|source| unwritable(&self.root, &source))?;
        }
        if is_new || is_mended {
            // Before any other entry of a new cache, so that an interrupted creation is recognised as ours.
            let text = format!("{}\n", layout::LAYOUT);
            self.write(&layout, text.as_bytes())?;
        }
        if self.has_lost_objects {
            let objects = self.root.join(layout::OBJECTS);
            damaged.push(format!("{}: missing", objects.display()));
        }
        for name in layout::FOLDERS {
            let was_in_the_way = self.make_own_folder(name, may_fail, damaged)?;
            self.has_lost_objects |= was_in_the_way && name == layout::OBJECTS;
        }
        for (name, content) in [
            (layout::TAG, layout::CACHEDIR_TAG),
            (layout::IGNORE, layout::GITIGNORE),
        ] {
            let path = self.root.join(name);
            if !path.is_file() {
                excused(self.write(&path, content.as_bytes()))?;
            }
        }
        Ok(())
    }

    /// Makes a folder in the cache's own; says whether something was in its way.
    fn make_own_folder(
        &self,
        name: &str,
        may_fail: bool,
        damaged: &mut Vec<String>,
    ) -> Result<bool, Error> {
        let path = self.root.join(name);
        let was_in_the_way = damage::is_in_the_way(&path);
        match self.make_folder(&path) {
            Err(source) if !may_fail => return Err(unwritable(&self.root, &source).into()),
            _ => {}
        }
        if was_in_the_way {
            damaged.push(format!("{}: was no folder", path.display()));
        }
        Ok(was_in_the_way)
    }

    /// The cache folder, as it was given.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn tmp_dir(&self) -> PathBuf {
        self.root.join("tmp")
    }
}

/// Whether the records of a cache are there, and all objects are gone.
fn has_lost_objects(root: &Path) -> bool {
    let has_records =
        || fs_err::read_dir(root.join(layout::ACTIONS)).is_ok_and(|mut all| all.next().is_some());
    !damage::is_taken(&root.join(layout::OBJECTS)) && has_records()
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
            let text = error.to_string();
            assert!(
                text.contains(&format!("the folder holds `{name}`")),
                "{text}"
            );
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
            let text = error.to_string();
            assert!(text.contains("not writable: "), "{text}");
            assert!(text.contains(&path.display().to_string()));
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
