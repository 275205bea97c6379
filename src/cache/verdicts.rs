//! What came of published scores on this machine: small JSON documents, each under the digest of what it is about, so that
//! the last one stays.

use std::io;
use std::path::{Path, PathBuf};

use super::seal::{is_sealed, sealed};
use super::{Cache, Digest, damage, layout};
use crate::error::Error;
use crate::progress::Progress;
use crate::text;

/// The longest document that is read, some hundred times as long as any.
const MAX_BYTES: u64 = 1 << 16;

impl Cache {
    /// Keeps `json`, an object as `serde_json` prints it with line breaks, in the place of what was kept about the same.
    ///
    /// # Errors
    /// That it cannot be written; what was kept is then as it was.
    pub fn keep_verdict(&self, about: &Digest, json: &str) -> Result<(), Error> {
        let path = self.root.join(layout::VERDICTS);
        self.write(&path.join(format!("{about}.json")), sealed(json).as_bytes())
    }

    /// What is kept, in the order of the digests: each document with its path.
    ///
    /// What is damaged is left out with a warning.
    pub fn verdicts(&self, progress: &dyn Progress) -> Vec<(String, Vec<u8>)> {
        let folder = self.root.join(layout::VERDICTS);
        let mut paths: Vec<PathBuf> = match fs_err::read_dir(&folder) {
            Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound || damage::is_taken(&folder) {
                    progress.warn(&format!("{error}; what it may hold is not shown"));
                }
                Vec::new()
            }
        };
        paths.sort();
        let read = |path: &Path| match damage::read(path, MAX_BYTES) {
            Ok(Some(bytes)) if is_sealed(&bytes) => Ok(Some(bytes)),
            Ok(Some(_)) => Err("was changed after it was written".to_owned()),
            // Another process may have taken it away.
            Ok(None) => Ok(None),
            Err(error) => Err(error.to_string()),
        };
        let mut documents = Vec::new();
        for path in paths {
            let shown = text::path(&path);
            match read(&path) {
                Ok(bytes) => documents.extend(bytes.map(|bytes| (shown, bytes))),
                Err(why) => progress.warn(&ignored(&shown, &why)),
            }
        }
        documents
    }
}

/// That the document at a path is not used, and why.
pub fn ignored(path: &str, why: &str) -> String {
    // Some reasons begin with the path.
    let why = why.strip_prefix(path).unwrap_or(why);
    let why = why.trim_start_matches([':', ' ']);
    format!(
        "{path}: {why}; it is ignored, and the next run that comes to a verdict writes it again"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::damage::tests::HARMS;
    use crate::progress::{Silent, Warnings};

    fn cache() -> (tempfile::TempDir, Cache) {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path()).unwrap();
        (dir, cache)
    }

    fn values(cache: &Cache, progress: &dyn Progress) -> Vec<serde_json::Value> {
        let documents = cache.verdicts(progress).into_iter();
        documents
            .map(|(_, bytes)| {
                let document: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
                document["n"].clone()
            })
            .collect()
    }

    #[test]
    fn the_last_document_about_the_same_is_kept() {
        let (_dir, cache) = cache();
        assert!(values(&cache, &Silent).is_empty());
        for (about, n) in [("a", 1), ("b", 2), ("a", 3)] {
            let json = format!("{{\n  \"n\": {n}\n}}");
            cache
                .keep_verdict(&Digest::of(about.as_bytes()), &json)
                .unwrap();
        }
        let mut found = values(&cache, &Silent);
        found.sort_by_key(serde_json::Value::as_u64);
        assert_eq!(found, [2, 3]);
    }

    #[test]
    fn a_damaged_document_is_left_out_with_a_warning() {
        let (_dir, cache) = cache();
        let json = "{\n  \"n\": 1\n}";
        cache.keep_verdict(&Digest::of(b"a"), json).unwrap();
        let path = cache
            .root
            .join(format!("verdicts/{}.json", Digest::of(b"a")));
        let written = fs_err::read_to_string(&path).unwrap();
        let warning = |cache: &Cache| {
            let warnings = Warnings::default();
            assert!(values(cache, &warnings).is_empty());
            let [warning] = warnings.0.into_inner().unwrap().try_into().unwrap();
            warning
        };
        fs_err::write(&path, written.replace("\"n\": 1", "\"n\": 2")).unwrap();
        assert_eq!(
            warning(&cache),
            format!(
                "{}: was changed after it was written; it is ignored, and the next run that comes to a verdict writes it again",
                path.display()
            )
        );
        for (what, harm) in HARMS {
            cache.remove(&path).unwrap();
            harm(&path);
            assert!(warning(&cache).contains("is ignored"), "{what}");
            cache.keep_verdict(&Digest::of(b"a"), json).unwrap();
            assert_eq!(values(&cache, &Silent), [1], "{what}");
        }
    }
}
