//! JSON documents that end with the digest of what stands before it.
//!
//! The bytes are sealed, not the values, since a number that was read is not always the one that was written.

use super::Digest;

/// A JSON object, as `serde_json` prints it with line breaks, with one more field at its end: `seal`.
pub fn sealed(json: &str) -> String {
    let json = json.strip_suffix("\n}").unwrap_or(json);
    format!("{json}{}", seal(json.as_bytes()))
}

/// The end of a document, of a length that is always the same: the field with the digest of `json`, all that stands before.
fn seal(json: &[u8]) -> String {
    format!(",\n  \"seal\": \"{}\"\n}}\n", Digest::of(json))
}

/// Whether a document's bytes are those that were written.
pub fn is_sealed(document: &[u8]) -> bool {
    let n_json = document.len().saturating_sub(seal(b"").len());
    let (json, found) = document.split_at(n_json);
    found == seal(json).as_bytes()
}
