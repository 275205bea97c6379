//! JSON files of checkpoints, as Python writes them.

use std::io::{self, ErrorKind};
use std::path::Path;

use serde_json::Value;

use crate::backbone::checkpoint::AS_PUBLISHED;
use crate::error::{Error, Message};
use crate::files;
use crate::text;

/// The largest description of a checkpoint that is read: an index has a line of some 100 bytes for
/// each tensor, and the largest networks have some 100,000.
const MAX_BYTES: u64 = 64 << 20;

/// The values of a JSON file.
///
/// # Errors
/// Errors of reading the file; of the file, if it is no JSON.
pub fn read(path: &Path) -> Result<Value, Error> {
    let bytes = files::read(path, MAX_BYTES).map_err(unread)?;
    Ok(parse(&bytes, path)?)
}

/// A file that is not there has been looked for in a folder that the user named.
fn unread(error: io::Error) -> Error {
    if error.kind() != ErrorKind::NotFound || files::hint(&error).is_some() {
        return error.into();
    }
    Message::request(error.to_string())
        .hint(
            "`local-dir:` takes a folder with the files that the checkpoint's library publishes; it starts at the \
             pipeline file's folder, on the command line at the working folder",
        )
        .into()
}

/// Reads JSON as Python does; `path` is for messages.
pub fn parse(bytes: &[u8], path: &Path) -> Result<Value, Message> {
    serde_json::from_slice(bytes)
        .or_else(|error| match with_quoted_literals(bytes) {
            Some(bytes) => serde_json::from_slice(&bytes),
            None => Err(error),
        })
        .map_err(|error| Message::data(format!("{}: {error}", text::path(path))).hint(AS_PUBLISHED))
}

/// The same JSON with `NaN`, `Infinity` and `-Infinity`, which Python's `json` writes, as texts: no setting takes them for
/// numbers. `None` where there are none.
fn with_quoted_literals(json: &[u8]) -> Option<Vec<u8>> {
    let mut quoted = Vec::with_capacity(json.len());
    let (mut is_text, mut is_changed) = (false, false);
    let mut place = 0;
    while let Some(&byte) = json.get(place) {
        let literal = ["NaN", "Infinity", "-Infinity"]
            .into_iter()
            .find(|literal| !is_text && json[place..].starts_with(literal.as_bytes()));
        if let Some(literal) = literal {
            quoted.extend(format!("\"{literal}\"").bytes());
            place += literal.len();
            is_changed = true;
            continue;
        }
        quoted.push(byte);
        place += 1;
        if is_text && byte == b'\\' {
            quoted.extend(json.get(place));
            place += 1;
        } else {
            is_text ^= byte == b'"';
        }
    }
    is_changed.then_some(quoted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_of_python_are_texts() {
        let read = |json: &str| {
            parse(json.as_bytes(), Path::new("config.json"))
                .map(|value| value.to_string())
                .map_err(|error| error.to_string())
        };
        assert_eq!(
            read(r#"[NaN, {"a": -Infinity, "b\\\"NaN": Infinity}, "NaN \\"]"#).unwrap(),
            r#"["NaN",{"a":"-Infinity","b\\\"NaN":"Infinity"},"NaN \\"]"#
        );
        for json in ["NaNNaN", "[Infinity", "+Infinity", "nan", "\"NaN", "\"\\"] {
            let message = read(json).unwrap_err();
            assert!(message.starts_with("config.json: "), "{json}: {message}");
        }
    }
}
