//! Immutable bytes, named by their digest.

use std::io;
use std::path::{Path, PathBuf};

use super::{Cache, Digest, Unavailable, damage, is_loss, layout};
use crate::error::Error;
use crate::files;

impl Cache {
    /// Stores `bytes` and returns their digest.
    ///
    /// An object that is there with the right size is not written again; one of another size is damaged, and
    /// replaced, as is one that is closed to us.
    ///
    /// # Errors
    /// That it cannot be written; then nothing of the object is visible.
    pub fn put(&self, bytes: &[u8]) -> Result<Digest, Error> {
        let digest = Digest::of(bytes);
        let path = self.object_path(&digest);
        let is_closed = || {
            files::open(&path).is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
        };
        if self.object_bytes(&digest) != Ok(bytes.len() as u64) || is_closed() {
            self.write(&path, bytes)?;
        }
        Ok(digest)
    }

    /// The bytes with this digest, `n_bytes` of them, checked.
    ///
    /// A damaged object is removed: its name promises what it does not hold, and [`put`](Self::put) would take it
    /// for written. So the next lookup is a miss, and the object is made again. One that is closed to us stays.
    ///
    /// # Errors
    /// [`Unavailable`], and that what is damaged cannot be removed.
    pub fn get(&self, digest: &Digest, n_bytes: u64) -> Result<Vec<u8>, Error> {
        let path = self.object_path(digest);
        let read = read_checked(&path, digest, n_bytes);
        if read.as_ref().is_err_and(is_loss) {
            self.remove(&path)?;
        }
        read
    }

    /// The size of an object as the file system tells it, or what is there instead.
    pub(super) fn object_bytes(&self, digest: &Digest) -> Result<u64, &'static str> {
        match fs_err::metadata(self.object_path(digest)) {
            Ok(metadata) if metadata.is_file() => Ok(metadata.len()),
            Ok(_) => Err("no regular file"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err("missing"),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err("closed to you"),
            Err(_) => Err("unreadable"),
        }
    }

    pub(super) fn object_path(&self, digest: &Digest) -> PathBuf {
        let hex = digest.to_string();
        // 256 folders keep each of them small without making many.
        let (folder, name) = hex.split_at(2);
        self.root.join(layout::OBJECTS).join(folder).join(name)
    }
}

/// Reads the file at `path`, whose bytes, no more than `max_bytes`, must have the digest `digest`.
pub fn read_checked(path: &Path, digest: &Digest, max_bytes: u64) -> Result<Vec<u8>, Error> {
    let Some(bytes) = damage::read(path, max_bytes)? else {
        return Err(missing(path, digest));
    };
    check(path, digest, Digest::of(&bytes), bytes.len() as u64)?;
    Ok(bytes)
}

/// That no file is at `path`, where the bytes with this digest should be.
pub fn missing(path: &Path, digest: &Digest) -> Error {
    Unavailable::Missing {
        digest: *digest,
        path: path.to_owned(),
    }
    .into()
}

/// Makes sure that the `bytes` bytes at `path`, whose digest is `found`, have the digest `digest`.
pub fn check(path: &Path, digest: &Digest, found: Digest, bytes: u64) -> Result<(), Error> {
    if found == *digest {
        return Ok(());
    }
    Err(Unavailable::Damaged {
        digest: *digest,
        found,
        bytes,
        path: path.to_owned(),
    }
    .into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache() -> (tempfile::TempDir, Cache) {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path().join("cache")).unwrap();
        (dir, cache)
    }

    #[test]
    fn get_gives_back_what_put_took() {
        let (_dir, cache) = cache();
        for bytes in [b"".as_slice(), b"abc", &vec![7; 100_000]] {
            let digest = cache.put(bytes).unwrap();
            assert_eq!(digest, Digest::of(bytes));
            assert_eq!(cache.get(&digest, bytes.len() as u64).unwrap(), bytes);
        }
    }

    #[test]
    fn object_lies_under_the_first_two_digits_of_its_digest() {
        let (dir, cache) = cache();
        cache.put(b"").unwrap();
        let path =
            "cache/objects/af/1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
        assert!(dir.path().join(path).is_file());
    }

    #[test]
    fn object_of_the_right_size_is_not_written_again() {
        let (_dir, cache) = cache();
        let digest = cache.put(b"abc").unwrap();
        // Only a file that is left alone keeps the wrong bytes.
        fs_err::write(cache.object_path(&digest), b"xyz").unwrap();
        cache.put(b"abc").unwrap();
        assert_eq!(fs_err::read(cache.object_path(&digest)).unwrap(), b"xyz");
    }

    #[test]
    fn object_cut_short_is_written_anew() {
        let (_dir, cache) = cache();
        let digest = cache.put(b"abc").unwrap();
        fs_err::write(cache.object_path(&digest), b"ab").unwrap();
        cache.put(b"abc").unwrap();
        assert_eq!(cache.get(&digest, 3).unwrap(), b"abc");
    }

    #[test]
    fn damaged_object_is_an_error_with_both_digests_and_then_gone() {
        let (_dir, cache) = cache();
        let digest = cache.put(b"abc").unwrap();
        let path = cache.object_path(&digest);
        for damage in [b"ab".as_slice(), b"abb", b""] {
            fs_err::write(&path, damage).unwrap();
            let error = cache.get(&digest, 3).unwrap_err();
            let expected = format!(
                "cache object {}…: {} bytes with digest {}… at {}, expected digest {}…",
                digest.short(),
                damage.len(),
                Digest::of(damage).short(),
                path.display(),
                digest.short()
            );
            assert_eq!(error.to_string(), expected);
            assert!(is_loss(&error));
            let error = cache.get(&digest, 3).unwrap_err();
            assert!(matches!(error.is_a(), Some(Unavailable::Missing { .. })) && is_loss(&error));
        }
        cache.put(b"abc").unwrap();
        assert_eq!(cache.get(&digest, 3).unwrap(), b"abc");
    }

    #[test]
    fn threads_that_put_the_same_bytes_all_succeed() {
        let (_dir, cache) = cache();
        let bytes = vec![1; 1 << 16];
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for n in 0..50 {
                        let digest = cache.put(&bytes[n..]).unwrap();
                        assert_eq!(cache.get(&digest, 1 << 16).unwrap(), &bytes[n..]);
                    }
                });
            }
        });
    }
}
