//! Folders of immutable shards, for results that grow a batch at a time.
//!
//! A shard is a file `<digest>.<extension>` and says in its own header what it holds. There is no index file: an
//! index that several processes change needs a lock, which network file systems do not reliably give, and one lost
//! update would hide finished work or point into the wrong shard. Listing the folder and reading the headers is
//! an index that cannot be out of date, and two processes that add shards at once never write the same file,
//! unless it is the same bytes.

use std::io::Read;
use std::path::PathBuf;

use super::object::read_checked;
use super::{Cache, Digest, Error, Key};

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
            dir: cache.root.join("features").join(key.to_string()),
            extension,
        }
    }

    /// The digests of the finished shards, sorted; other files are passed over.
    ///
    /// # Errors
    /// [`Error::Io`] where the folder cannot be read.
    pub fn list(&self) -> Result<Vec<Digest>, Error> {
        if !self.dir.exists() {
            return Ok(Vec::new());
        }
        let mut digests = Vec::new();
        for entry in fs_err::read_dir(&self.dir).map_err(Error::Io)? {
            let name = entry.map_err(Error::Io)?.file_name();
            let digest = name
                .to_str()
                .and_then(|name| name.strip_suffix(self.extension)?.strip_suffix('.'))
                .and_then(|hex| hex.parse::<Digest>().ok());
            digests.extend(digest);
        }
        digests.sort();
        Ok(digests)
    }

    /// The bytes of a shard, checked.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Damaged`], [`Error::Io`].
    pub fn read(&self, digest: &Digest) -> Result<Vec<u8>, Error> {
        read_checked(self.path(digest), digest)
    }

    /// The first `n_bytes` bytes of a shard, fewer if it is shorter; not checked against the digest.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn read_head(&self, digest: &Digest, n_bytes: u64) -> Result<Vec<u8>, Error> {
        let mut head = Vec::new();
        fs_err::File::open(self.path(digest))
            .and_then(|file| file.take(n_bytes).read_to_end(&mut head))
            .map_err(Error::Io)?;
        Ok(head)
    }

    /// Adds a shard; it is there for good once this returns.
    ///
    /// # Errors
    /// [`Error::DiskFull`], [`Error::Unwritable`], [`Error::Io`]; then nothing of the shard is visible.
    pub fn publish(&self, bytes: &[u8]) -> Result<Digest, Error> {
        let digest = Digest::of(bytes);
        self.cache.write(&self.path(&digest), bytes)?;
        Ok(digest)
    }

    /// Removes a damaged shard; no error if it is not there.
    ///
    /// # Errors
    /// [`Error::Unwritable`] or [`Error::Io`] where the file stays.
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
    use crate::cache::KeyBuilder;

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
        assert_eq!(store.read(&digests[0]).unwrap(), b"one");
        assert_eq!(store.read_head(&digests[1], 2).unwrap(), b"tw");
        assert_eq!(store.read_head(&digests[1], 100).unwrap(), b"two");
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
    fn damaged_shard_is_an_error_and_is_gone_once_discarded() {
        let (_dir, store) = store();
        let digest = store.publish(b"one").unwrap();
        fs_err::write(store.path(&digest), b"on").unwrap();
        assert!(matches!(
            store.read(&digest).unwrap_err(),
            Error::Damaged { .. }
        ));
        store.discard(&digest).unwrap();
        store.discard(&digest).unwrap();
        assert_eq!(store.list().unwrap(), []);
        assert!(matches!(
            store.read(&digest).unwrap_err(),
            Error::Missing { .. }
        ));
    }
}
