//! What a value of a pipeline file may be, and the text that says so, which completes "expected …".
//!
//! A setting is a field with its type, its default and one of these: `deserialize_with = "setting::positive"`.

use std::fmt::Display;
use std::str::FromStr;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serializer};
use toml::Value;

/// What `read` makes of the value; where that is nothing, the error is `expected`.
pub fn checked<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    expected: impl Display,
    read: impl FnOnce(&Value) -> Option<T>,
) -> Result<T, D::Error> {
    let value = Value::deserialize(deserializer).ok();
    value
        .and_then(|value| read(&value))
        .ok_or_else(|| D::Error::custom(expected))
}

/// A finite number; a whole one is a number, too.
pub fn as_number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Float(float) => *float,
        Value::Integer(integer) => *integer as f64,
        _ => return None,
    };
    number.is_finite().then_some(number)
}

/// A number.
pub fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    checked(deserializer, "a number", as_number)
}

/// A number above 0.
pub fn positive<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    checked(deserializer, "a number above 0", as_positive)
}

/// A number above 0.
pub fn as_positive(value: &Value) -> Option<f64> {
    as_number(value).filter(|number| *number > 0.0)
}

/// A whole number from `LOW` to `HIGH`.
pub fn whole<'de, const LOW: u32, const HIGH: u32, T: TryFrom<u32>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    let expected = format!("a whole number from {LOW} to {HIGH}");
    checked(deserializer, expected, |value| {
        let number = u32::try_from(value.as_integer()?).ok()?;
        let number = (LOW..=HIGH).contains(&number).then_some(number)?;
        T::try_from(number).ok()
    })
}

/// A seed.
pub fn seed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    checked(deserializer, "a whole number from 0", |value| {
        u64::try_from(value.as_integer()?).ok()
    })
}

/// A text that [`FromStr`] understands.
pub fn parsed<'de, D: Deserializer<'de>, T: FromStr>(
    deserializer: D,
    expected: &str,
) -> Result<T, D::Error> {
    checked(deserializer, expected, |value| value.as_str()?.parse().ok())
}

/// Writes a setting as the text that it is displayed as.
pub fn displayed<S: Serializer>(value: &impl Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// A text that can be a path, or a name that becomes part of one.
pub fn as_name(value: &Value) -> Option<String> {
    let text = value.as_str()?;
    (!text.is_empty() && !text.contains('\0')).then(|| text.to_owned())
}
