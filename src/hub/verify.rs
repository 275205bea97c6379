//! Whether a file in the cache still has the bytes that the hub gave.

use std::io::{Read, Seek};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::repo::is_sha256;
use super::{CHUNK_BYTES, Error};
use crate::files::{MAX_LINKS, follow};
use crate::interrupt::Interrupt;
use crate::progress::Progress;

/// The SHA-256 of a file from its beginning on, 64 hexadecimal digits; `what` names it to the user.
///
/// # Errors
/// [`Error::Stopped`], and those of reading.
pub(super) fn sha256(
    file: &mut fs_err::File,
    what: &str,
    interrupt: &Interrupt,
    progress: &dyn Progress,
) -> Result<String, Error> {
    file.rewind()?;
    let n_bytes = file.metadata()?.len();
    progress.start_bytes(&format!("verifying {what}"), n_bytes);
    let result = sha256_of_rest(file, interrupt, progress);
    progress.finish();
    result
}

fn sha256_of_rest(
    file: &mut fs_err::File,
    interrupt: &Interrupt,
    progress: &dyn Progress,
) -> Result<String, Error> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        interrupt.check()?;
        let n_read = file.read(&mut buffer)?;
        if n_read == 0 {
            return Ok(format!("{:x}", hash.finalize()));
        }
        hash.update(&buffer[..n_read]);
        progress.tick(n_read as u64);
    }
}

/// Compares a file of the cache with the digest that its repository keeps it under.
///
/// Gives whether there is such a digest: a small file, and one that lies elsewhere, has none.
///
/// # Errors
/// [`Error::Altered`] if the bytes are others, [`Error::Stopped`], and those of reading.
pub fn verify(path: &Path, interrupt: &Interrupt, progress: &dyn Progress) -> Result<bool, Error> {
    let Some((blob, expected)) = blob_of(path) else {
        return Ok(false);
    };
    let name = path.file_name().unwrap_or(path.as_os_str());
    let mut file = fs_err::File::open(path)?;
    let found = sha256(&mut file, &name.to_string_lossy(), interrupt, progress)?;
    if found == expected {
        return Ok(true);
    }
    Err(Error::Altered {
        path: path.to_owned(),
        is_shared: blob.is_symlink(),
        blob,
        found,
        expected,
    })
}

/// The file `blobs/<sha256>` of a repository that `path` leads to, and the digest.
///
/// It may be a link itself: what came by Xet lies once for all repositories, in `<cache>/blobs/xx/<hash>` under a
/// hash that is not that of the bytes.
fn blob_of(path: &Path) -> Option<(PathBuf, String)> {
    let mut place = path.to_owned();
    for _ in 0..MAX_LINKS {
        let is_blob = place.parent().is_some_and(|dir| dir.ends_with("blobs"));
        let name = place.file_name()?.to_str()?;
        if is_blob && is_sha256(name) {
            let digest = name.to_owned();
            return Some((place, digest));
        }
        place = follow(&place)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::super::tests::Told;
    use super::*;
    use crate::progress::Silent;

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
        assert!(verify(&link, &interrupt, &told).unwrap());
        assert_eq!(
            told.lines(),
            ["start verifying model.safetensors: 3", "tick 3", "finish"]
        );
        fs_err::write(&blob, "abd").unwrap();
        let error = verify(&link, &interrupt, &Silent).unwrap_err();
        assert!(matches!(&error, Error::Altered { expected, .. } if expected == digest));
        assert!(error.hint().unwrap().contains(digest));
        let other = dir.path().join("config.json");
        fs_err::write(&other, "{}").unwrap();
        assert!(!verify(&other, &interrupt, &Silent).unwrap());

        interrupt.flag().store(2, Ordering::Relaxed);
        let error = verify(&link, &interrupt, &told).unwrap_err();
        assert!(matches!(error, Error::Stopped(_)));
        assert_eq!(told.lines().last().unwrap(), "finish");
    }
}
