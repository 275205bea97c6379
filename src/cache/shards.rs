//! Folders of immutable shards, for results that grow a batch at a time.
//!
//! A shard is a file `<digest>.<extension>` and says in its own header what it holds. There is no index file: an
//! index that several processes change needs a lock, which network file systems do not reliably give, and one lost
//! update would hide finished work or point into the wrong shard. Listing the folder and reading the headers is
//! an index that cannot be out of date, and two processes that add shards at once never write the same file,
//! unless it is the same bytes.

use std::io::{ErrorKind, Read};
use std::path::PathBuf;

use super::error::{reading, writing};
use super::{Access, Cache, Digest, Key, Unavailable, damage, layout, object};
use crate::error::Error;
use crate::files;

/// The largest file that is read to tell a damaged shard from a file that is none. A shard is read as far as its own
/// header says.
const MAX_UNKNOWN_BYTES: u64 = 1 << 30;

/// The shards of one key.
#[derive(Debug, Clone)]
pub struct ShardStore {
    cache: Cache,
    dir: PathBuf,
    extension: &'static str,
}

impl ShardStore {
    /// The shards of `key`, in files with this extension; none if there is no folder yet.
    pub fn open(cache: &Cache, key: &Key, extension: &'static str) -> Self {
        Self {
            cache: cache.clone(),
            dir: cache.root.join(layout::FEATURES).join(key.to_string()),
            extension,
        }
    }

    /// The digests of the finished shards, sorted; other files are passed over.
    ///
    /// # Errors
    /// [`Unavailable`], where something else is in the place of the folder and where that is closed.
    pub fn list(&self) -> Result<Vec<Digest>, Error> {
        if damage::is_in_the_way(&self.dir) {
            return Err(Unavailable::Unreadable(damage::no_folder(&self.dir)).into());
        }
        let mut digests = Vec::new();
        let entries = match fs_err::read_dir(&self.dir) {
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                return Ok(digests);
            }
            entries => entries.map_err(|error| reading(&self.dir, &error))?,
        };
        for entry in entries {
            let name = entry?.file_name();
            let digest = name
                .to_str()
                .and_then(|name| name.strip_suffix(self.extension)?.strip_suffix('.'))
                .and_then(|hex| hex.parse::<Digest>().ok());
            digests.extend(digest);
        }
        digests.sort();
        Ok(digests)
    }

    /// The bytes of a shard, no more than `max_bytes`, checked.
    ///
    /// # Errors
    /// [`Unavailable`]; the file system's.
    pub fn read(&self, digest: &Digest, max_bytes: u64) -> Result<Vec<u8>, Error> {
        object::read_checked(&self.path(digest), digest, max_bytes)
    }

    /// Makes sure that a file has the bytes that its name promises, whatever they are.
    ///
    /// # Errors
    /// [`Unavailable`]; the file system's.
    pub fn check(&self, digest: &Digest) -> Result<(), Error> {
        let (file, bytes) = self.open_shard(digest)?;
        let path = self.path(digest);
        let found = files::check_bytes(&path, bytes, MAX_UNKNOWN_BYTES)
            .and_then(|()| Digest::of_reader(file.take(MAX_UNKNOWN_BYTES)))
            .map_err(|error| reading(&path, &error))?;
        object::check(&path, digest, found, bytes)
    }

    /// The first `n_bytes` bytes of a shard, fewer if it is shorter, and the number of all of them; not checked against
    /// the digest.
    ///
    /// # Errors
    /// [`Unavailable`]; the file system's.
    pub fn read_head(&self, digest: &Digest, n_bytes: u64) -> Result<(Vec<u8>, u64), Error> {
        let (file, bytes) = self.open_shard(digest)?;
        let mut head = Vec::new();
        file.take(n_bytes)
            .read_to_end(&mut head)
            .map_err(|error| reading(&self.path(digest), &error))?;
        Ok((head, bytes))
    }

    /// A shard's file and its size.
    fn open_shard(&self, digest: &Digest) -> Result<(fs_err::File, u64), Error> {
        let path = self.path(digest);
        let opened = files::open(&path).and_then(|file| {
            let bytes = file.metadata()?.len();
            Ok((file, bytes))
        });
        opened.map_err(|error| {
            if error.kind() == ErrorKind::NotFound && !damage::is_taken(&path) {
                object::missing(&path, digest)
            } else {
                reading(&path, &error)
            }
        })
    }

    /// Adds a shard; it is there for good once this returns.
    ///
    /// # Errors
    /// That it cannot be written; then nothing of the shard is visible.
    pub fn publish(&self, bytes: &[u8]) -> Result<Digest, Error> {
        let digest = Digest::of(bytes);
        self.cache.write(&self.path(&digest), bytes)?;
        Ok(digest)
    }

    /// Sets aside what is in the place of the folder of shards, unless it [is kept](Self::is_kept).
    ///
    /// # Errors
    /// That it stays, and why.
    pub fn make_way(&self) -> Result<(), Error> {
        if self.is_kept() {
            return Ok(());
        }
        let set_aside = self.cache.set_aside(&self.dir);
        set_aside.map_err(|error| writing(&self.cache.root, &self.dir, &error).into())
    }

    /// Whether whatever is there stays as it is, since it is only looked at.
    pub fn is_kept(&self) -> bool {
        self.cache.access == Access::Look
    }

    /// Removes a damaged shard, and sets aside what is none, unless it [is kept](Self::is_kept); no error if nothing is
    /// there.
    ///
    /// # Errors
    /// That the file stays, and why.
    pub fn discard(&self, digest: &Digest) -> Result<(), Error> {
        self.cache.remove(&self.path(digest))
    }

    /// Where a shard lies, for messages.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.dir.join(format!("{digest}.{}", self.extension))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::damage::tests::HARMS;
    use crate::cache::{KeyBuilder, is_loss};

    fn store() -> (tempfile::TempDir, ShardStore) {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path()).unwrap();
        let key = KeyBuilder::new("features", 1).finish().key;
        (dir, ShardStore::open(&cache, &key, "bin"))
    }

    #[test]
    fn shards_are_listed_by_digest_and_read_back() {
        let (_dir, store) = store();
        assert_eq!(store.list().unwrap(), []);
        let mut digests: Vec<_> = [b"one".as_slice(), b"two", b"one"]
            .iter()
            .map(|bytes| store.publish(bytes).unwrap())
            .collect();
        assert_eq!(store.read(&digests[0], 3).unwrap(), b"one");
        assert_eq!(
            store.read_head(&digests[1], 2).unwrap(),
            (b"tw".to_vec(), 3)
        );
        assert_eq!(
            store.read_head(&digests[1], 100).unwrap(),
            (b"two".to_vec(), 3)
        );
        digests.sort();
        digests.dedup();
        assert_eq!(store.list().unwrap(), digests);
        let again = ShardStore::open(
            &store.cache,
            &KeyBuilder::new("features", 1).finish().key,
            "bin",
        );
        assert_eq!(again.list().unwrap(), digests);
        let other = ShardStore::open(
            &store.cache,
            &KeyBuilder::new("features", 2).finish().key,
            "bin",
        );
        assert_eq!(other.list().unwrap(), []);
    }

    #[test]
    fn files_that_are_no_shards_are_passed_over() {
        let (_dir, store) = store();
        let digest = store.publish(b"one").unwrap();
        for name in [
            "notes.txt",
            ".bin",
            "bin",
            "abc.bin",
            &digest.to_string(),
            &format!("{digest}bin"),
        ] {
            fs_err::write(store.dir.join(name), "").unwrap();
        }
        assert_eq!(store.list().unwrap(), [digest]);
    }

    #[test]
    fn whatever_is_in_the_place_of_a_shard_or_of_the_folder_is_a_loss_and_gives_way() {
        let (_dir, store) = store();
        for (what, harm) in HARMS {
            let digest = store.publish(b"one").unwrap();
            fs_err::remove_file(store.path(&digest)).unwrap();
            harm(&store.path(&digest));
            let errors = [
                store.check(&digest).unwrap_err(),
                store.read(&digest, 3).unwrap_err(),
            ];
            assert!(errors.iter().all(is_loss), "{what}: {errors:?}");
            store.discard(&digest).unwrap();
            assert_eq!(store.list().unwrap(), []);

            fs_err::remove_dir(&store.dir).unwrap();
            if what != "a folder" {
                harm(&store.dir);
                assert!(is_loss(&store.list().unwrap_err()), "{what}");
                store.make_way().unwrap();
            }
            assert_eq!(store.list().unwrap(), []);
        }
    }

    #[test]
    fn damaged_shard_is_an_error_and_is_gone_once_discarded() {
        let (_dir, store) = store();
        let digest = store.publish(b"one").unwrap();
        fs_err::write(store.path(&digest), b"on").unwrap();
        assert!(matches!(
            store.read(&digest, 3).unwrap_err().is_a(),
            Some(Unavailable::Damaged { .. })
        ));
        store.discard(&digest).unwrap();
        store.discard(&digest).unwrap();
        assert_eq!(store.list().unwrap(), []);
        assert!(matches!(
            store.read(&digest, 3).unwrap_err().is_a(),
            Some(Unavailable::Missing { .. })
        ));
    }
}
