//! The files of a checkpoint's weights: their digests, and whether they are what the hub has promised.
//!
//! What comes from the hub is kept under its digest there. Features are extracted only with files that have it; a run
//! that extracts none looks at nothing but the memo.

use std::io;
use std::path::{Path, PathBuf};

use crate::cache::{Cache, Digest, DigestMemo};
use crate::context::Context;
use crate::error::Error;
use crate::files;
use crate::hub::{Promise, Reading};
use crate::interrupt::{Interrupt, Stopped};
use crate::progress::Silent;
use crate::tensorfile::{self, NotWhole};

/// What is known of a checkpoint's files before they are used.
#[derive(Debug, Default)]
pub struct Weights {
    /// The digest of each.
    digests: Vec<Digest>,
    /// What the hub has promised of some of them, which nobody has looked at since.
    unverified: Vec<Promise>,
}

impl Weights {
    /// Adds the next file. If it has to be read for its digest, it is held against the hub's by the way.
    ///
    /// # Errors
    /// [`Stopped`]; the inner error as in [`DigestMemo::digest_large`].
    pub fn add(
        &mut self,
        path: &Path,
        memo: &mut DigestMemo,
        context: Context<'_>,
    ) -> Result<io::Result<()>, Stopped> {
        let promise = Promise::of(path);
        let n_bytes = fs_err::metadata(path).map_or(0, |metadata| metadata.len());
        let mut reading = promise.clone().map(|promise| promise.reading(n_bytes));
        let mut also = |bytes: &[u8]| {
            if let Some(reading) = &mut reading {
                reading.update(bytes);
            }
        };
        let found = memo.digest_large(path, &mut also, context)?;
        Ok(found.and_then(|(digest, is_read)| {
            self.digests.push(digest);
            let Some(promise) = promise else {
                return Ok(());
            };
            if is_read && reading.is_some_and(Reading::was_kept) {
                memo.vouch(path, &promise.to_string())?;
            } else if is_read || !memo.is_vouched(path, &promise.to_string()) {
                self.unverified.push(promise);
            }
            Ok(())
        }))
    }

    /// The digest of all of them; `None` where there are none.
    pub fn digest(&self) -> Option<Digest> {
        Digest::of_all(&self.digests)
    }

    /// Makes sure that the files are what the hub has promised, and remembers that they were.
    ///
    /// # Errors
    /// [`Kind::Altered`](crate::hub::Kind::Altered), [`Stopped`], those of reading and of the cache.
    pub fn verify(&self, cache: &Cache, context: Context<'_>) -> Result<(), Error> {
        if self.unverified.is_empty() {
            return Ok(());
        }
        for promise in &self.unverified {
            promise.verify(context)?;
        }
        // Whoever asked for the digests has said what is wrong with the memo.
        let mut memo = DigestMemo::load(cache, &Silent);
        for promise in &self.unverified {
            memo.vouch(&promise.path, &promise.to_string())?;
        }
        memo.save_or_warn(cache, context.progress);
        Ok(())
    }
}

/// Makes sure that a safetensors file is as long as its header says: one that is something else, of whatever size, need
/// not be hashed to find that out. What the hub has promised is held against its digest instead.
///
/// # Errors
/// [`NotWhole`]. Where the file cannot be read, [`Weights::add`] says why.
pub fn check_header(path: &Path) -> Result<(), Error> {
    let is_safetensors = path.extension().is_some_and(|it| it == "safetensors");
    if !is_safetensors || Promise::of(path).is_some() {
        return Ok(());
    }
    match tensorfile::check_header(path, |_| Ok(())) {
        Err(error) if error.is_a::<NotWhole>().is_some() => Err(error),
        _ => Ok(()),
    }
}

/// The digest of files as they are, whatever the memo knows.
///
/// # Errors
/// [`Stopped`], and those of reading.
pub fn digest_now(paths: &[PathBuf], interrupt: &Interrupt) -> Result<Option<Digest>, Error> {
    let mut digests = Vec::new();
    for path in paths {
        let file = files::open(path)?;
        let digest = Digest::of_reader(interrupt.over(file));
        interrupt.check()?;
        digests.push(digest?);
    }
    Ok(Digest::of_all(&digests))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of `abc`.
    const SHA256: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    struct Fixture {
        dir: tempfile::TempDir,
        interrupt: Interrupt,
    }

    impl Fixture {
        /// A file of that content whose name says `abc`, and which is no longer young.
        fn new(content: &str) -> Self {
            let fixture = Self {
                dir: tempfile::tempdir().unwrap(),
                interrupt: Interrupt::default(),
            };
            fs_err::create_dir(fixture.dir.path().join("blobs")).unwrap();
            fs_err::write(fixture.path(), content).unwrap();
            let file = fs_err::OpenOptions::new()
                .write(true)
                .open(fixture.path())
                .unwrap();
            let an_hour_ago =
                file.metadata().unwrap().modified().unwrap() - std::time::Duration::from_hours(1);
            file.into_parts().0.set_modified(an_hour_ago).unwrap();
            fixture
        }

        fn path(&self) -> PathBuf {
            self.dir.path().join("blobs").join(SHA256)
        }

        fn cache(&self) -> Cache {
            Cache::open(self.dir.path().join("cache")).unwrap()
        }

        fn context(&self) -> Context<'_> {
            Context {
                progress: &Silent,
                interrupt: &self.interrupt,
            }
        }

        /// As a new process finds them.
        fn weights(&self) -> Weights {
            let (mut memo, mut weights) =
                (DigestMemo::load(&self.cache(), &Silent), Weights::default());
            let added = weights.add(&self.path(), &mut memo, self.context());
            added.unwrap().unwrap();
            memo.save(&self.cache()).unwrap();
            weights
        }
    }

    #[test]
    fn sound_weights_are_verified_while_they_are_read_and_that_is_remembered() {
        let fixture = Fixture::new("abc");
        for _ in 0..2 {
            let weights = fixture.weights();
            assert!(weights.unverified.is_empty());
            assert_eq!(weights.digest(), Digest::of_all(&[Digest::of(b"abc")]));
        }
    }

    #[test]
    fn weights_that_an_older_memo_knows_are_verified_once() {
        let fixture = Fixture::new("abc");
        let mut memo = DigestMemo::load(&fixture.cache(), &Silent);
        let paths = [fixture.path()];
        memo.digest_files(
            &paths,
            Context {
                progress: &Silent,
                interrupt: &fixture.interrupt,
            },
        )
        .unwrap();
        memo.save(&fixture.cache()).unwrap();
        let weights = fixture.weights();
        assert_eq!(weights.unverified.len(), 1);
        weights.verify(&fixture.cache(), fixture.context()).unwrap();
        assert!(fixture.weights().unverified.is_empty());
    }

    #[test]
    fn weights_are_told_by_their_header_before_they_are_hashed() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["model.safetensors", "model.pt"] {
            let path = dir.path().join(name);
            fs_err::write(&path, "no header").unwrap();
            // A terabyte, which no test could hash.
            let file = fs_err::OpenOptions::new().write(true).open(&path).unwrap();
            file.file().set_len(1 << 40).unwrap();
            let checked = check_header(&path);
            assert_eq!(checked.is_err(), name == "model.safetensors");
            if let Err(error) = checked {
                assert_eq!(error.exit_code(), 3, "{error}");
            }
        }
        assert!(check_header(&dir.path().join("none.safetensors")).is_ok());
    }

    #[test]
    fn damaged_weights_have_a_digest_and_cannot_be_used() {
        let fixture = Fixture::new("abd");
        for _ in 0..2 {
            let weights = fixture.weights();
            assert_eq!(weights.digest(), Digest::of_all(&[Digest::of(b"abd")]));
            let error = weights
                .verify(&fixture.cache(), fixture.context())
                .unwrap_err();
            let expected = format!(", the hub gave {SHA256}");
            assert!(error.to_string().ends_with(&expected), "{error}");
        }
    }
}
