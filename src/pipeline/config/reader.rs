//! serde over the values of a pipeline file: whatever is wrong is known by the path of its key.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::StrDeserializer;
use serde::de::{
    Deserialize, DeserializeOwned, DeserializeSeed, Deserializer, Error, Expected,
    IntoDeserializer, MapAccess, SeqAccess, Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;
use toml::{Table, Value};

use super::origins::join;

/// What is wrong with a value, or with the keys of a table.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The value has another type or range; the text completes "expected …".
    #[error("{0}")]
    Expected(String),
    /// A key that nothing reads.
    #[error("unknown key")]
    UnknownKey {
        /// The key.
        key: String,
        /// The keys of its table that are read.
        known: &'static [&'static str],
    },
    /// A key that must be written is absent.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// One of these, and where.
    #[error("{path}: {problem}")]
    At {
        /// The dotted path of the value.
        path: String,
        /// The value.
        value: Value,
        /// What is wrong with it.
        problem: Box<Problem>,
    },
}

impl Error for Problem {
    fn custom<T: fmt::Display>(expected: T) -> Self {
        Self::Expected(expected.to_string())
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(expected)
    }

    fn unknown_field(key: &str, known: &'static [&'static str]) -> Self {
        let key = key.to_owned();
        Self::UnknownKey { key, known }
    }

    fn missing_field(key: &'static str) -> Self {
        Self::Missing(key)
    }
}

/// Reads the value at `path`.
///
/// # Errors
/// [`Problem::At`].
pub fn read<'a, T: Deserialize<'a>>(path: &str, value: &'a Value) -> Result<T, Problem> {
    let path = path.to_owned();
    Reader { path, value }.read(PhantomData)
}

/// Reads one value, or a list of them.
///
/// # Errors
/// What `read` expects of one value, where it takes neither `value` nor all of a list that is not empty.
pub fn one_or_more<T>(
    value: &Value,
    read: impl Fn(&Value) -> Result<T, Problem>,
) -> Result<Vec<T>, String> {
    let expected = match read(value) {
        Ok(one) => return Ok(vec![one]),
        Err(Problem::At { problem, .. }) => problem.to_string(),
        Err(problem) => problem.to_string(),
    };
    value
        .as_array()
        .filter(|items| !items.is_empty())
        .and_then(|items| items.iter().map(|item| read(item).ok()).collect())
        .ok_or(expected)
}

/// The values of a key that makes a sweep: one, or a list of them.
#[derive(Debug, Clone, PartialEq)]
pub struct OneOrMore<T>(pub Vec<T>);

impl<'de, T: DeserializeOwned> Deserialize<'de> for OneOrMore<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // No setting is a date, and none an empty table: either is told what else is expected.
        let value = Value::deserialize(deserializer).unwrap_or_else(|_| Table::new().into());
        one_or_more(&value, |value| read("", value))
            .map(Self)
            .map_err(|expected| D::Error::custom(format!("{expected}, or a list of such")))
    }
}

/// A value and the path of its key.
struct Reader<'a> {
    path: String,
    value: &'a Value,
}

impl<'a> Reader<'a> {
    fn read<S: DeserializeSeed<'a>>(self, seed: S) -> Result<S::Value, Problem> {
        let (path, value) = (self.path.clone(), self.value);
        seed.deserialize(self).map_err(|problem| match problem {
            Problem::At { .. } => problem,
            problem => Problem::At {
                path,
                value: value.clone(),
                problem: Box::new(problem),
            },
        })
    }
}

impl<'de> Deserializer<'de> for Reader<'de> {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.value {
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Integer(integer) => visitor.visit_i64(*integer),
            Value::Float(float) => visitor.visit_f64(*float),
            Value::Boolean(flag) => visitor.visit_bool(*flag),
            Value::Datetime(_) => Err(Problem::invalid_type(Unexpected::Other("date"), &visitor)),
            Value::Array(items) => visitor.visit_seq(Items {
                path: self.path,
                rest: items.iter().enumerate(),
            }),
            Value::Table(table) => visitor.visit_map(Entries {
                path: self.path,
                rest: table.iter(),
                value: None,
            }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_unit()
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.value {
            Value::Boolean(flag) => visitor.visit_bool(*flag),
            _ => Err(Problem::custom("`true` or `false`")),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.value {
            Value::Array(_) => self.deserialize_any(visitor),
            _ => Err(Problem::custom("an array of tables")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        match self.value {
            Value::Table(_) => self.deserialize_any(visitor),
            _ => Err(Problem::custom("a table")),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        match self.value.as_str() {
            Some(name) if names.contains(&name) => visitor.visit_enum(name.into_deserializer()),
            _ => Err(Problem::Expected(any_of(names))),
        }
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        tuple tuple_struct map identifier
    }
}

/// `"a"`, `"b"` or `"c"`, each in backticks.
fn any_of(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`\"{name}\"`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}

/// The items of an array that are still to be read.
struct Items<'a> {
    path: String,
    rest: std::iter::Enumerate<std::slice::Iter<'a, Value>>,
}

impl<'a> SeqAccess<'a> for Items<'a> {
    type Error = Problem;

    fn next_element_seed<S: DeserializeSeed<'a>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Problem> {
        let Some((index, value)) = self.rest.next() else {
            return Ok(None);
        };
        let path = format!("{}[{index}]", self.path);
        Reader { path, value }.read(seed).map(Some)
    }
}

/// The entries of a table that are still to be read, and the value whose key has been.
struct Entries<'a> {
    path: String,
    rest: toml::map::Iter<'a, String, Value>,
    value: Option<Reader<'a>>,
}

impl<'a> MapAccess<'a> for Entries<'a> {
    type Error = Problem;

    fn next_key_seed<S: DeserializeSeed<'a>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Problem> {
        let Some((key, value)) = self.rest.next() else {
            return Ok(None);
        };
        let path = join(&self.path, key);
        self.value = Some(Reader { path, value });
        let key: StrDeserializer<'_, Problem> = key.as_str().into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'a>>(&mut self, seed: S) -> Result<S::Value, Problem> {
        let value = self.value.take();
        value
            .ok_or_else(|| Problem::custom("a key before its value"))?
            .read(seed)
    }
}
