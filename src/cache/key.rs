//! Digests of bytes and keys of actions: two types, so that neither is taken for the other.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::Message;
use crate::text::foreign;

/// Enters every key. It rises when the encoding below changes, so that no old key is met by accident.
const ENCODING: u32 = 1;

macro_rules! hash_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name([u8; 32]);

        impl $name {
            /// The 32 bytes.
            pub fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            /// The first twelve hexadecimal digits, for messages.
            pub fn short(&self) -> String {
                let mut hex = self.to_string();
                hex.truncate(12);
                hex
            }
        }

        impl From<blake3::Hash> for $name {
            fn from(hash: blake3::Hash) -> Self {
                Self(hash.into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = Message;

            /// Only lower-case digits are taken: one digest has one name on disk.
            fn from_str(text: &str) -> Result<Self, Message> {
                match blake3::Hash::from_hex(text) {
                    Ok(hash) if !text.bytes().any(|byte| byte.is_ascii_uppercase()) => {
                        Ok(Self(hash.into()))
                    }
                    _ => Err(Message::machine(format!(
                        "`{}`: {} bytes of text, expected 64 lower-case hexadecimal digits",
                        foreign(text),
                        text.len()
                    ))),
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = Message;

            fn try_from(text: String) -> Result<Self, Message> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(hash: $name) -> Self {
                hash.to_string()
            }
        }
    };
}

hash_type! {
    /// The BLAKE3 of some bytes; written as 64 lower-case hexadecimal digits.
    Digest
}

hash_type! {
    /// The BLAKE3 of what a stage is asked to do; written as 64 lower-case hexadecimal digits.
    Key
}

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        blake3::hash(bytes).into()
    }

    /// The digest of all that `reader` gives.
    ///
    /// # Errors
    /// The reader's.
    pub fn of_reader(reader: impl Read) -> io::Result<Self> {
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(reader)?;
        Ok(hasher.finalize().into())
    }

    /// The digest of several files in their order: that of a single file is its own. `None` for no files.
    pub fn of_all(files: &[Self]) -> Option<Self> {
        match files {
            [] => None,
            [one] => Some(*one),
            several => {
                let joined: Vec<String> = several.iter().map(Self::to_string).collect();
                Some(Self::of(joined.join("\n").as_bytes()))
            }
        }
    }
}

/// What a stage is asked to do: everything that decides its output, by name, and the key made of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The stage's name.
    pub stage: &'static str,
    /// The stage's version.
    pub version: u32,
    /// The key of all the others.
    pub key: Key,
    /// The parameters that can change the output, as JSON with sorted object keys.
    pub params: BTreeMap<String, Value>,
    /// The inputs, by digest.
    pub inputs: BTreeMap<String, Digest>,
}

/// Collects what decides a stage's output. The order of the calls does not matter, names do.
///
/// ```
/// use newt_pipe::internals::cache::{Digest, KeyBuilder};
///
/// let labels = Digest::of(b"id,task\n");
/// let request = KeyBuilder::new("sample", 1)
///     .param("n_train", -1)
///     .param("seed", 17)
///     .input("labels", labels)
///     .finish();
/// let swapped = KeyBuilder::new("sample", 1)
///     .input("labels", labels)
///     .param("seed", 17)
///     .param("n_train", -1)
///     .finish();
/// assert_eq!(request.key, swapped.key);
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct KeyBuilder {
    stage: &'static str,
    version: u32,
    params: BTreeMap<String, Value>,
    inputs: BTreeMap<String, Digest>,
}

impl KeyBuilder {
    /// A key of stage `stage` at its version `version`.
    pub fn new(stage: &'static str, version: u32) -> Self {
        Self {
            stage,
            version,
            params: BTreeMap::new(),
            inputs: BTreeMap::new(),
        }
    }

    /// Adds a parameter as JSON: object keys sorted, floats by the shortest text that reads back to them.
    ///
    /// Numbers must be finite: JSON has one `null` for all that are not, and for a missing value.
    ///
    /// # Panics
    /// If the name is taken: the first value would be forgotten, which is a bug of the stage, not bad input.
    pub fn param(mut self, name: &str, value: impl Serialize) -> Self {
        #[expect(
            clippy::expect_used,
            reason = "fails only for maps whose keys are no strings and for hand-written impls that fail"
        )]
        let mut value = serde_json::to_value(value).expect("a parameter has a JSON form");
        value.sort_all_objects();
        let previous = self.params.insert(name.to_owned(), value);
        assert!(previous.is_none(), "parameter `{name}` is given twice");
        self
    }

    /// Adds an input.
    ///
    /// # Panics
    /// If the name is taken, as for [`param`](Self::param).
    pub fn input(mut self, name: &str, digest: Digest) -> Self {
        let previous = self.inputs.insert(name.to_owned(), digest);
        assert!(previous.is_none(), "input `{name}` is given twice");
        self
    }

    /// The request with its key.
    ///
    /// The key is the BLAKE3 of a sequence of fields. A field is its name and its value, each with its length
    /// in front (u64, little-endian), so that no two sequences share an encoding. The fields are `encoding`,
    /// `stage`, `version`, then `param:<name>` and `input:<name>`, each group sorted by name. Numbers among the
    /// first three are u32 little-endian, parameters are compact JSON, inputs the 32 bytes of their digest.
    pub fn finish(self) -> Request {
        let mut hasher = blake3::Hasher::new();
        field(&mut hasher, "encoding", &ENCODING.to_le_bytes());
        field(&mut hasher, "stage", self.stage.as_bytes());
        field(&mut hasher, "version", &self.version.to_le_bytes());
        for (name, value) in &self.params {
            let json = value.to_string();
            field(&mut hasher, &format!("param:{name}"), json.as_bytes());
        }
        for (name, digest) in &self.inputs {
            field(&mut hasher, &format!("input:{name}"), digest.as_bytes());
        }
        Request {
            stage: self.stage,
            version: self.version,
            key: hasher.finalize().into(),
            params: self.params,
            inputs: self.inputs,
        }
    }
}

fn field(hasher: &mut blake3::Hasher, name: &str, value: &[u8]) {
    for part in [name.as_bytes(), value] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn base() -> KeyBuilder {
        KeyBuilder::new("probe", 3)
            .param("c", 1.0)
            .param("kernel", "linear")
            .input("features", Digest::of(b"f"))
    }

    #[test]
    fn everything_named_in_a_request_changes_its_key() {
        let features = Digest::of(b"f");
        let others = [
            KeyBuilder::new("probes", 3)
                .param("c", 1.0)
                .param("kernel", "linear")
                .input("features", features),
            KeyBuilder::new("probe", 4)
                .param("c", 1.0)
                .param("kernel", "linear")
                .input("features", features),
            KeyBuilder::new("probe", 3)
                .param("c", 1.000_000_000_000_000_2)
                .param("kernel", "linear")
                .input("features", features),
            KeyBuilder::new("probe", 3)
                .param("c", "1.0")
                .param("kernel", "linear")
                .input("features", features),
            KeyBuilder::new("probe", 3)
                .param("C", 1.0)
                .param("kernel", "linear")
                .input("features", features),
            KeyBuilder::new("probe", 3)
                .param("c", "linear")
                .param("kernel", 1.0)
                .input("features", features),
            KeyBuilder::new("probe", 3)
                .param("c", 1.0)
                .input("features", features),
            KeyBuilder::new("probe", 3)
                .param("c", 1.0)
                .param("kernel", "linear")
                .input("features", Digest::of(b"g")),
            KeyBuilder::new("probe", 3)
                .param("c", 1.0)
                .param("kernel", "linear")
                .input("images", features),
            KeyBuilder::new("probe", 3)
                .param("c", 1.0)
                .param("kernel", "linear"),
            base().param("gamma", Value::Null),
            base().param("search", json!({"n": 100})),
            base().param("search", json!({"n": 101})),
            base().param("search", json!({"n": [100]})),
        ];
        let mut keys: Vec<_> = others
            .into_iter()
            .map(|other| other.finish().key)
            .chain([base().finish().key])
            .collect();
        let n = keys.len();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), n);
    }

    #[test]
    fn order_of_calls_and_of_object_keys_does_not_change_a_key() {
        let swapped = KeyBuilder::new("probe", 3)
            .input("features", Digest::of(b"f"))
            .param("kernel", "linear")
            .param("c", 1.0);
        assert_eq!(base().finish(), swapped.finish());

        let left = json!({"b": {"y": 1, "x": 2}, "a": [{"d": 0, "c": 0}]});
        let right = json!({"a": [{"c": 0, "d": 0}], "b": {"x": 2, "y": 1}});
        assert_ne!(left.to_string(), right.to_string());
        assert_eq!(
            base().param("nested", left).finish().key,
            base().param("nested", right).finish().key
        );
    }

    #[test]
    fn text_that_moves_between_neighbours_changes_the_key() {
        let key = |stage, pairs: &[(&str, &str)]| {
            let mut builder = KeyBuilder::new(stage, 1);
            for (name, value) in pairs {
                builder = builder.param(name, value);
            }
            builder.finish().key
        };
        assert_ne!(
            key("s", &[("a", "ab"), ("b", "c")]),
            key("s", &[("a", "a"), ("b", "bc")])
        );
        assert_ne!(key("s", &[("ab", "c")]), key("s", &[("a", "bc")]));
        assert_ne!(key("sa", &[("b", "")]), key("s", &[("ab", "")]));
        // A parameter never stands for an input, even with the bytes of its digest.
        let digest = Digest::of(b"x");
        assert_ne!(
            KeyBuilder::new("s", 1).param("x", digest).finish().key,
            KeyBuilder::new("s", 1).input("x", digest).finish().key
        );
    }

    #[test]
    fn key_is_what_its_documentation_says() {
        let request = KeyBuilder::new("probe", 258)
            .input("features", Digest::of(b"f"))
            .param("kernel", "größe")
            .param("c", 0.1)
            .param("extremes", [1e-7, 1e300, 5e-324, 0.0])
            .finish();
        let mut bytes = Vec::new();
        let mut push = |name: &[u8], value: &[u8]| {
            bytes.extend(u64::try_from(name.len()).unwrap().to_le_bytes());
            bytes.extend(name);
            bytes.extend(u64::try_from(value.len()).unwrap().to_le_bytes());
            bytes.extend(value);
        };
        push(b"encoding", &[1, 0, 0, 0]);
        push(b"stage", b"probe");
        push(b"version", &[2, 1, 0, 0]);
        push(b"param:c", b"0.1");
        push(b"param:extremes", b"[1e-7,1e+300,5e-324,0.0]");
        push(b"param:kernel", "\"größe\"".as_bytes());
        push(b"input:features", blake3::hash(b"f").as_bytes());
        assert_eq!(request.key.as_bytes(), blake3::hash(&bytes).as_bytes());
    }

    #[test]
    #[should_panic(expected = "parameter `c` is given twice")]
    fn parameter_given_twice_is_a_bug() {
        let _ = base().param("c", 2.0);
    }

    #[test]
    #[should_panic(expected = "input `features` is given twice")]
    fn input_given_twice_is_a_bug() {
        let _ = base().input("features", Digest::of(b"f"));
    }

    #[test]
    fn digest_text_round_trips() {
        let digest = Digest::of(b"");
        let hex = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
        assert_eq!(digest.to_string(), hex);
        assert_eq!(digest.short(), "af1349b9f5f9");
        assert_eq!(hex.parse::<Digest>().unwrap(), digest);
        let json = serde_json::to_string(&digest).unwrap();
        assert_eq!(json, format!("\"{hex}\""));
        assert_eq!(serde_json::from_str::<Digest>(&json).unwrap(), digest);
    }

    #[test]
    fn digest_text_has_one_form() {
        let hex = Digest::of(b"").to_string();
        for text in [
            "",
            "ab",
            &hex[1..],
            &hex.to_uppercase(),
            &hex.replace('a', "g"),
            "é",
        ] {
            let error = text.parse::<Digest>().unwrap_err();
            assert!(
                error
                    .to_string()
                    .contains("64 lower-case hexadecimal digits")
            );
        }
    }
}
