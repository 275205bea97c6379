//! Whether a file in the cache still has the bytes that the hub gave.
//!
//! The cache names content by its etag, which tells the bytes:
//!
//! | etag | is |
//! | --- | --- |
//! | 64 hex digits | the SHA-256 of a large file |
//! | 40 hex digits | git's name of a small one: the SHA-1 of `blob <size>`, a zero byte, and the bytes; from some mirrors the SHA-1 of the bytes alone |
//! | others | nothing that is known here |
//!
//! Source: `huggingface_hub` 2.4, `get_hf_file_metadata`; git's `hash-object`.

use std::fmt;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};

use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::CHUNK_BYTES;
use super::error::{self, Kind};
use super::repo::{is_commit, is_sha256};
use crate::context::Context;
use crate::error::{Error, Message};
use crate::files::{MAX_LINKS, follow, open};
use crate::text::{foreign, path as shown};

/// An etag that tells the bytes which it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Etag(String);

impl Etag {
    /// The etag, if it tells anything.
    pub fn of(etag: &str) -> Option<Self> {
        // A commit and a small file are named alike.
        (is_sha256(etag) || is_commit(etag)).then(|| Self(etag.to_owned()))
    }

    /// Whether it names a small file.
    fn is_of_git(&self) -> bool {
        is_commit(&self.0)
    }

    /// What such a digest is called in messages.
    pub fn kind(&self) -> &'static str {
        if self.is_of_git() {
            "git's SHA-1"
        } else {
            "SHA-256"
        }
    }

    /// Compares a file, from its beginning on, with the etag; `what` names it to the user. Gives the digest that it
    /// has instead.
    ///
    /// # Errors
    /// A stop, errors of reading.
    pub fn compare(
        &self,
        file: &mut fs_err::File,
        what: &str,
        context: Context<'_>,
    ) -> Result<Option<String>, Error> {
        // A small file is read in no time.
        let context = if self.is_of_git() {
            context.silent()
        } else {
            context
        };
        file.rewind()?;
        let n_bytes = file.metadata()?.len();
        context
            .progress
            .start_bytes(&format!("verifying {what}"), n_bytes);
        let mut reading = self.clone().reading(n_bytes);
        let result = reading.read(file, context);
        context.progress.finish();
        result?;
        Ok(reading.other_digest())
    }

    fn reading(self, n_bytes: u64) -> Reading {
        let hash = if self.is_of_git() {
            Hash::Git {
                blob: Sha1::new_with_prefix(format!("blob {n_bytes}\0")),
                bare: Sha1::new(),
            }
        } else {
            Hash::Sha256(Sha256::new())
        };
        Reading { etag: self, hash }
    }
}

/// Bytes that come one after the other and are compared with an etag; see [`Promise::reading`].
pub struct Reading {
    etag: Etag,
    hash: Hash,
}

/// The digest so far, of the kind that the etag has.
enum Hash {
    Sha256(Sha256),
    Git { blob: Sha1, bare: Sha1 },
}

impl Reading {
    /// The next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.hash {
            Hash::Sha256(hash) => hash.update(bytes),
            Hash::Git { blob, bare } => {
                blob.update(bytes);
                bare.update(bytes);
            }
        }
    }

    fn read(&mut self, file: &mut fs_err::File, context: Context<'_>) -> Result<(), Error> {
        let mut buffer = vec![0; CHUNK_BYTES];
        loop {
            context.interrupt.check()?;
            let n_read = file.read(&mut buffer)?;
            if n_read == 0 {
                return Ok(());
            }
            self.update(&buffer[..n_read]);
            context.progress.tick(n_read as u64);
        }
    }

    /// The digest of all of them, if it is another than the etag's.
    fn other_digest(self) -> Option<String> {
        let digests = match self.hash {
            Hash::Sha256(hash) => vec![format!("{:x}", hash.finalize())],
            Hash::Git { blob, bare } => vec![
                format!("{:x}", blob.finalize()),
                format!("{:x}", bare.finalize()),
            ],
        };
        if digests.contains(&self.etag.0) {
            return None;
        }
        digests.into_iter().next()
    }

    /// Whether what was told is true of all of them.
    pub fn was_kept(self) -> bool {
        self.other_digest().is_none()
    }
}

/// What the name of a file in the cache tells of its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promise {
    /// The file.
    pub path: PathBuf,
    etag: Etag,
}

/// The digest, after its kind.
impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_of_git() { "git" } else { "sha256" };
        write!(f, "{kind}:{}", self.etag.0)
    }
}

impl Promise {
    /// What is told of the file at `path`; `None` for one that is no link to the content of a repository.
    ///
    /// The content may be a link itself: what came by Xet lies once for all repositories, in `<cache>/blobs/xx/<hash>`
    /// under a hash that is not that of the bytes.
    pub fn of(path: &Path) -> Option<Self> {
        let mut place = path.to_owned();
        for _ in 0..MAX_LINKS {
            let is_blob = place.parent().is_some_and(|dir| dir.ends_with("blobs"));
            if is_blob && let Some(etag) = Etag::of(place.file_name()?.to_str()?) {
                return Some(Self {
                    path: path.to_owned(),
                    etag,
                });
            }
            place = follow(&place)?;
        }
        None
    }

    /// Whether it is a small file, which costs next to nothing to read.
    pub fn is_of_git(&self) -> bool {
        self.etag.is_of_git()
    }

    /// Begins to compare bytes that are read anyway, `n_bytes` in all.
    pub fn reading(self, n_bytes: u64) -> Reading {
        self.etag.reading(n_bytes)
    }

    /// Reads the file, and makes sure that it is what it is said to be.
    ///
    /// # Errors
    /// [`error::Kind::Altered`] if the bytes are others, a stop, errors of reading.
    pub fn verify(&self, context: Context<'_>) -> Result<(), Error> {
        let name = self.path.file_name().unwrap_or(self.path.as_os_str());
        let what = foreign(&name.to_string_lossy());
        let compared = open(&self.path)
            .map_err(Error::from)
            .and_then(|mut file| self.etag.compare(&mut file, &what, context));
        match compared.map_err(error::of_cache)? {
            None => Ok(()),
            Some(found) => {
                let (path, kind) = (shown(&self.path), self.etag.kind());
                let text = format!("{path}: has {kind} {found}, the hub gave {}", self.etag.0);
                Err(error::Error {
                    kind: Kind::Altered,
                    message: Message::data(text).hint(
                        "`newt-pipe models fetch ORG CKPT` with a network downloads the file again",
                    ),
                }
                .into())
            }
        }
    }
}

/// Compares a file of the cache with the digest that its repository keeps it under.
///
/// Gives whether there is such a digest: a file that lies elsewhere has none.
///
/// # Errors
/// As [`Promise::verify`].
pub fn verify(path: &Path, context: Context<'_>) -> Result<bool, Error> {
    match Promise::of(path) {
        Some(promise) => promise.verify(context).map(|()| true),
        None => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::super::tests::Told;
    use super::*;
    use crate::interrupt::Interrupt;
    use crate::progress::Silent;

    #[test]
    fn small_file_is_held_against_git_s_name_of_it_and_the_bare_digest_of_some_mirrors() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = dir.path().join("blobs");
        fs_err::create_dir(&blobs).unwrap();
        let verify = |name: &str, bytes: &str| {
            let path = blobs.join(name);
            fs_err::write(&path, bytes).unwrap();
            let interrupt = Interrupt::default();
            verify(
                &path,
                Context {
                    progress: &Silent,
                    interrupt: &interrupt,
                },
            )
        };
        // `printf abc | git hash-object --stdin`, and `sha1sum`.
        let git = "f2ba8f84ab5c1bce84a7b441cb1959cfc7093b7f";
        for name in [git, "a9993e364706816aba3e25717850c26c9cd0d89d"] {
            assert!(verify(name, "abc").unwrap());
            let error = verify(name, "abd").unwrap_err().to_string();
            let expected = format!(", the hub gave {name}");
            assert!(error.ends_with(&expected), "{error}");
            assert!(error.contains(": has git's SHA-1 "), "{error}");
        }
        // What Xet or others call it tells nothing.
        for name in ["abc", &"A".repeat(40), &"a".repeat(32)] {
            assert!(!verify(name, "abc").unwrap());
        }
        for (bytes, is_kept) in [("abc", true), ("abd", false)] {
            let promise = Promise::of(&blobs.join(git)).unwrap();
            assert_eq!(promise.to_string(), format!("git:{git}"));
            let mut reading = promise.reading(3);
            reading.update(bytes.as_bytes());
            assert_eq!(reading.was_kept(), is_kept);
        }
    }

    #[test]
    fn file_is_held_against_the_digest_in_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"; // of `abc`
        let blobs = dir.path().join("models--org--name/blobs");
        fs_err::create_dir_all(&blobs).unwrap();
        let blob = blobs.join(digest);
        fs_err::write(&blob, "abc").unwrap();
        let link = dir.path().join("model.safetensors");
        std::os::unix::fs::symlink(&blob, &link).unwrap();
        let (interrupt, told) = (Interrupt::default(), Told::default());
        let told_context = Context {
            progress: &told,
            interrupt: &interrupt,
        };
        assert!(verify(&link, told_context).unwrap());
        assert_eq!(
            told.lines(),
            ["start verifying model.safetensors: 3", "tick 3", "finish"]
        );
        fs_err::write(&blob, "abd").unwrap();
        let error = verify(&link, told_context.silent()).unwrap_err();
        assert_eq!(error::kind(&error), Some(error::Kind::Altered));
        assert!(error.to_string().ends_with(digest), "{error}");
        assert!(error.hint().unwrap().contains("models fetch"));
        let other = dir.path().join("config.json");
        fs_err::write(&other, "{}").unwrap();
        assert!(!verify(&other, told_context.silent()).unwrap());

        interrupt.flag().store(2, Ordering::Relaxed);
        let error = verify(&link, told_context).unwrap_err();
        assert_eq!(error.fault(), crate::error::Fault::Interruption);
        assert_eq!(told.lines().last().unwrap(), "finish");
    }
}
