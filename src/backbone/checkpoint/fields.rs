//! Reads JSON objects field by field, so that none is overlooked.

use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::backbone::checkpoint::{AS_PUBLISHED, WAYS_OUT};
use crate::error::Message;
use crate::image::Interpolation;
use crate::text::{self, either, foreign, thousands};

/// The fields of a JSON object, taken out one by one, so that none is overlooked.
pub struct Fields<'a> {
    path: &'a Path,
    /// Of the object itself, with a dot, for messages.
    prefix: &'static str,
    map: Map<String, Value>,
}

impl<'a> Fields<'a> {
    pub fn new(path: &'a Path, prefix: &'static str, value: Value) -> Result<Self, Message> {
        match value {
            Value::Object(map) => Ok(Self { path, prefix, map }),
            value => {
                let key = prefix.trim_end_matches('.');
                Err(wrong_value(path, key, quoted(&value), "an object"))
            }
        }
    }

    /// The object in a field; `None` where there is none.
    pub fn nested(&mut self, key: &str, prefix: &'static str) -> Result<Option<Self>, Message> {
        match self.take(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => Self::new(self.path, prefix, value).map(Some),
        }
    }

    /// The object in a field that must be there.
    pub fn required_object(&mut self, key: &str, prefix: &'static str) -> Result<Self, Message> {
        self.nested(key, prefix)?
            .ok_or_else(|| self.wrong(key, Value::Null, "an object"))
    }

    /// The fields that have not been taken.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.map.keys().map(String::as_str)
    }

    /// A field that stays.
    pub fn peek(&self, key: &str) -> Option<&Value> {
        self.map.get(key)
    }

    pub fn take(&mut self, key: &str) -> Option<Value> {
        self.map.shift_remove(key)
    }

    /// Adds a field that the file has elsewhere, or overwrites it.
    pub fn put(&mut self, key: &str, value: Value) {
        self.map.insert(key.to_owned(), value);
    }

    /// The field's value, if it is there.
    pub fn optional<T>(
        &mut self,
        key: &str,
        Kind(expected, read): Kind<'_, T>,
    ) -> Result<Option<T>, Message> {
        self.take(key)
            .map(|value| read(&value).ok_or_else(|| self.wrong(key, value, expected)))
            .transpose()
    }

    /// The field's value, or `default`.
    pub fn or<T>(&mut self, default: T, key: &str, kind: Kind<'_, T>) -> Result<T, Message> {
        Ok(self.optional(key, kind)?.unwrap_or(default))
    }

    /// Overwrites `target` if the field is there.
    pub fn set<T>(&mut self, target: &mut T, key: &str, kind: Kind<'_, T>) -> Result<(), Message> {
        if let Some(value) = self.optional(key, kind)? {
            *target = value;
        }
        Ok(())
    }

    pub fn required<T>(&mut self, key: &str, kind: Kind<'_, T>) -> Result<T, Message> {
        let expected = kind.0;
        self.optional(key, kind)?.ok_or_else(|| {
            let (place, key) = (text::path(self.path), self.full(key));
            let text = format!("{place}: `{key}` is missing, expected {expected}");
            Message::data(text).hint(AS_PUBLISHED)
        })
    }

    /// Overwrites `target` if the field is there, and refuses values that would need another network.
    pub fn set_supported<T>(
        &mut self,
        target: &mut T,
        key: &str,
        Kind(expected, read): Kind<'_, T>,
    ) -> Result<(), Message> {
        if let Some(value) = self.take(key) {
            *target = read(&value).ok_or_else(|| self.unsupported(key, &value, expected))?;
        }
        Ok(())
    }

    /// Overwrites `target` by what the field's word stands for, and refuses other words.
    pub fn choose<T: Copy>(
        &mut self,
        target: &mut T,
        key: &str,
        words: &[(&str, T)],
    ) -> Result<(), Message> {
        let Some(value) = self.take(key) else {
            return Ok(());
        };
        let Some((_, chosen)) = words.iter().find(|(word, _)| value == *word) else {
            let expected = either(words.iter().map(|(word, _)| *word));
            return Err(self.unsupported(key, &value, &expected));
        };
        *target = *chosen;
        Ok(())
    }

    /// Refuses the field unless it says what is done anyway.
    pub fn only(
        &mut self,
        key: &str,
        expected: &str,
        accept: impl Fn(&Value) -> bool,
    ) -> Result<(), Message> {
        match self.take(key) {
            Some(value) if !accept(&value) => Err(self.unsupported(key, &value, expected)),
            _ => Ok(()),
        }
    }

    /// Refuses the field unless it has this value, which is what is done anyway.
    pub fn fixed(&mut self, key: &str, only: impl Into<Value>) -> Result<(), Message> {
        let only = only.into();
        let expected = format!("`{}`", quoted(&only));
        self.only(key, &expected, |value| *value == only)
    }

    /// Refuses fields that are not `null`: what timm does without them is what is done.
    pub fn defaults(&mut self, keys: &[&str]) -> Result<(), Message> {
        keys.iter()
            .try_for_each(|key| self.only(key, "timm's default", Value::is_null))
    }

    /// A field whose value would need another network.
    pub fn unsupported(&self, key: &str, found: &Value, expected: &str) -> Message {
        unsupported(self.path, &self.full(key), &quoted(found), expected)
    }

    /// A key with the keys of the objects that it is in, for messages.
    fn full(&self, key: &str) -> String {
        format!("{}{}", self.prefix, foreign(key))
    }

    pub fn drop_nulls(&mut self) {
        self.map.retain(|_, value| !value.is_null());
    }

    pub fn drop_all(&mut self, keys: &[&str]) {
        self.map.retain(|key, _| !keys.contains(&key.as_str()));
    }

    /// Every field has been taken.
    pub fn finish(self) -> Result<(), Message> {
        let Some(key) = self.map.keys().next() else {
            return Ok(());
        };
        let (place, key) = (text::path(self.path), self.full(key));
        Err(Message::data(format!(
            "{place}: unknown key `{key}`, whose effect on features is not known either"
        ))
        .hint(WAYS_OUT))
    }

    /// A field that has another value than would do.
    pub fn wrong(&self, key: &str, found: impl Into<Value>, expected: impl AsRef<str>) -> Message {
        wrong_value(
            self.path,
            &self.full(key),
            quoted(&found.into()),
            expected.as_ref(),
        )
    }
}

/// A value, in the file at `path`, that makes no sense.
pub fn wrong_value(path: &Path, key: &str, found: impl AsRef<str>, expected: &str) -> Message {
    let (place, found) = (text::path(path), foreign(found.as_ref()));
    let text = format!("{place}: `{key}` is `{found}`, expected {expected}");
    Message::data(text).hint(AS_PUBLISHED)
}

/// A value, in the file at `path`, that would need another network than those written here.
pub fn unsupported(path: &Path, key: &str, found: &str, expected: &str) -> Message {
    let (place, found) = (text::path(path), foreign(found));
    let text = format!("{place}: `{key}` is `{found}`, only {expected} is supported");
    Message::data(text).hint(WAYS_OUT)
}

/// What would do as a field's value, as messages say it; and how a value is read, which gives `None` for others.
#[derive(Clone, Copy)]
pub struct Kind<'a, T>(pub &'a str, pub fn(&Value) -> Option<T>);

pub const FLAG: Kind<'_, bool> = Kind("`true` or `false`", Value::as_bool);
pub const NAME: Kind<'_, String> = Kind("a name", as_string);
pub const NUMBER: Kind<'_, f64> = Kind("a number", Value::as_f64);
pub const RATIO: Kind<'_, f64> = Kind("a positive number", |value| {
    let ratio = value.as_f64()?;
    (ratio > 0.0 && ratio <= 1024.0).then_some(ratio)
});
/// What norms add to a variance.
pub const EPS: Kind<'_, f64> = Kind("a number between 0 and 1", |value| {
    value.as_f64().filter(|eps| *eps > 0.0 && *eps < 1.0)
});
pub const SIZE: Kind<'_, usize> = Kind("a number from 1 to 65,536", as_size);
pub const COUNT: Kind<'_, usize> = Kind("a number", as_count);
/// A size for each of four stages.
pub const STAGES: Kind<'_, [usize; 4]> = Kind("4 numbers from 1 to 65,536", as_sizes);
/// Whether there is a number.
pub const IS_GIVEN: Kind<'_, bool> = Kind("a number or `null`", |value| {
    (value.is_null() || value.is_number()).then(|| value.is_number())
});
/// `[height, width]` in pixels, or one number for both.
pub const SIDES: Kind<'_, [usize; 2]> = Kind("a size in pixels", as_sides);
/// The side of a square in pixels, given as a number or as two equal ones.
pub const SQUARE: Kind<'_, usize> = Kind("a size in pixels", |value| {
    as_sides(value).and_then(|[height, width]| (height == width).then_some(height))
});
/// A value of each channel.
pub const CHANNELS: Kind<'_, [f32; 3]> = Kind("three numbers", as_channels);
/// What channels are divided by.
pub const STD: Kind<'_, [f32; 3]> = Kind("three numbers other than 0", |value| {
    as_channels(value).filter(|std| !std.contains(&0.0))
});
/// One of Pillow's filters, as timm and `open_clip` write them.
pub const INTERPOLATION: Kind<'_, Interpolation> = Kind(
    "`bicubic`, `bilinear`, `nearest`, `lanczos`, `hamming` or `box`",
    as_variant,
);

/// A value as messages show it: strings without their quotation marks.
pub fn quoted(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

pub fn as_string(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// A variant of a unit-only enum, by its serde name.
pub fn as_variant<T: DeserializeOwned>(value: &Value) -> Option<T> {
    serde_json::from_value(value.as_str()?.into()).ok()
}

/// Sizes beyond this are mistakes, and products of a few sizes below it do not overflow.
const MAX_SIZE: u64 = 1 << 16;

pub fn as_size(value: &Value) -> Option<usize> {
    value
        .as_u64()
        .filter(|size| (1..=MAX_SIZE).contains(size))
        .and_then(|size| usize::try_from(size).ok())
}

pub fn as_count(value: &Value) -> Option<usize> {
    match value.as_u64() {
        Some(0) => Some(0),
        _ => as_size(value),
    }
}

/// A size for each of `N` stages.
pub fn as_sizes<const N: usize>(value: &Value) -> Option<[usize; N]> {
    let sizes: Vec<usize> = value
        .as_array()?
        .iter()
        .map(as_size)
        .collect::<Option<_>>()?;
    sizes.try_into().ok()
}

/// Sides of images beyond this are mistakes, and buffers grow with their square.
const MAX_SIDE: usize = 4096;

/// More patches than this no network has seen; attention grows with their square.
const MAX_PATCHES: usize = 1 << 16;

/// A side of an image in pixels.
pub fn as_side(value: &Value) -> Option<usize> {
    as_size(value).filter(|&side| side <= MAX_SIDE)
}

/// What a patch should be, if an image of `[h, w]` pixels has none or too many of that size.
pub fn patches_of([height, width]: [usize; 2], patch_size: usize) -> Option<String> {
    let n_patches = (height / patch_size) * (width / patch_size);
    match n_patches {
        0 => Some(format!("no more than the image's {height} × {width}")),
        1..=MAX_PATCHES => None,
        _ => Some(format!(
            "patches of which {height} × {width} pixels have no more than {}",
            thousands(MAX_PATCHES as u64)
        )),
    }
}

/// `[height, width]`, or one number for both.
pub fn as_sides(value: &Value) -> Option<[usize; 2]> {
    match value.as_array().map(Vec::as_slice) {
        Some([height, width]) => Some([as_side(height)?, as_side(width)?]),
        Some(_) => None,
        None => as_side(value).map(|side| [side; 2]),
    }
}

fn as_channels(value: &Value) -> Option<[f32; 3]> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "torchvision normalises in f32"
    )]
    let channel = |value: &Value| {
        value
            .as_f64()
            .map(|value| value as f32)
            .filter(|value| value.is_finite())
    };
    match value.as_array()?.as_slice() {
        [red, green, blue] => Some([channel(red)?, channel(green)?, channel(blue)?]),
        _ => None,
    }
}

/// What is said of `args` as a checkpoint's `model_args`, where `read` takes what it knows of them.
#[cfg(test)]
pub fn overridden_by<E: std::fmt::Display>(
    args: Value,
    read: impl FnOnce(&mut Fields<'_>) -> Result<(), E>,
) -> Result<(), String> {
    let mut fields = Fields::new(Path::new("config.json"), "model_args.", args)
        .map_err(|error| error.to_string())?;
    read(&mut fields).map_err(|error| error.to_string())?;
    fields.finish().map_err(|error| error.to_string())
}
