//! Whether a file in the cache still has the bytes that the hub gave.

use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::Error;
use super::repo::is_sha256;

/// Read at a time.
const CHUNK_BYTES: usize = 1 << 18;

/// The SHA-256 of all that a reader gives, 64 hexadecimal digits.
pub(super) fn sha256(reader: &mut impl Read) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        match reader.read(&mut buffer)? {
            0 => break,
            n_read => hash.update(&buffer[..n_read]),
        }
    }
    Ok(format!("{:x}", hash.finalize()))
}

/// Compares a file of the cache with the digest that it is kept under.
///
/// Gives whether there is such a digest: a small file, and one that lies elsewhere, has none.
///
/// # Errors
/// [`Error::Altered`] if the bytes are others, and those of reading.
pub fn verify(path: &Path) -> Result<bool, Error> {
    let blob = fs_err::canonicalize(path)?;
    let Some(expected) = blob.file_name().and_then(|name| name.to_str()) else {
        return Ok(false);
    };
    if !is_sha256(expected) {
        return Ok(false);
    }
    let found = sha256(&mut fs_err::File::open(&blob)?)?;
    if found == expected {
        return Ok(true);
    }
    Err(Error::Altered {
        path: path.to_owned(),
        blob: blob.clone(),
        found,
        expected: expected.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_is_held_against_the_digest_in_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"; // of `abc`
        let blob = dir.path().join(digest);
        fs_err::write(&blob, "abc").unwrap();
        let link = dir.path().join("model.safetensors");
        std::os::unix::fs::symlink(&blob, &link).unwrap();
        assert!(verify(&link).unwrap());
        fs_err::write(&blob, "abd").unwrap();
        let error = verify(&link).unwrap_err();
        assert!(matches!(&error, Error::Altered { expected, .. } if expected == digest));
        assert!(error.hint().unwrap().contains(digest));
        let other = dir.path().join("config.json");
        fs_err::write(&other, "{}").unwrap();
        assert!(!verify(&other).unwrap());
    }
}
