//! Reads JSON objects field by field, so that none is overlooked.

use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::backbone::error::Error;
use crate::text::thousands;

/// The fields of a JSON object, taken out one by one, so that none is overlooked.
pub struct Fields<'a> {
    path: &'a Path,
    /// Of the object itself, with a dot, for messages.
    prefix: &'static str,
    map: Map<String, Value>,
}

impl<'a> Fields<'a> {
    pub fn new(path: &'a Path, prefix: &'static str, value: Value) -> Result<Self, Error> {
        match value {
            Value::Object(map) => Ok(Self { path, prefix, map }),
            value => Err(Error::ConfigValue {
                path: path.to_owned(),
                key: prefix.trim_end_matches('.').to_owned(),
                found: quoted(&value),
                expected: "an object".to_owned(),
            }),
        }
    }

    /// The object in a field; `None` where there is none.
    pub fn nested(&mut self, key: &str, prefix: &'static str) -> Result<Option<Self>, Error> {
        match self.take(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => Self::new(self.path, prefix, value).map(Some),
        }
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

    /// Overwrites `target` if the field is there.
    pub fn set<T>(
        &mut self,
        target: &mut T,
        key: &str,
        expected: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<(), Error> {
        if let Some(value) = self.take(key) {
            *target =
                read(&value).ok_or_else(|| self.wrong(key, quoted(&value), expected.to_owned()))?;
        }
        Ok(())
    }

    pub fn required<T>(
        &mut self,
        key: &str,
        expected: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<T, Error> {
        let value = self.take(key).ok_or_else(|| Error::MissingKey {
            path: self.path.to_owned(),
            key: format!("{}{key}", self.prefix),
            expected: expected.to_owned(),
        })?;
        read(&value).ok_or_else(|| self.wrong(key, quoted(&value), expected.to_owned()))
    }

    /// Refuses the field unless it says what is done anyway.
    pub fn only(
        &mut self,
        key: &str,
        expected: &str,
        accept: impl Fn(&Value) -> bool,
    ) -> Result<(), Error> {
        match self.take(key) {
            Some(value) if !accept(&value) => Err(self.unsupported(key, &value, expected)),
            _ => Ok(()),
        }
    }

    /// Overwrites `target` if the field is there, and refuses values that would need another network.
    pub fn set_supported<T>(
        &mut self,
        target: &mut T,
        key: &str,
        expected: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<(), Error> {
        if let Some(value) = self.take(key) {
            *target = read(&value).ok_or_else(|| self.unsupported(key, &value, expected))?;
        }
        Ok(())
    }

    pub fn unsupported(&self, key: &str, found: &Value, expected: &str) -> Error {
        Error::UnsupportedArgument {
            path: self.path.to_owned(),
            key: format!("{}{key}", self.prefix),
            found: quoted(found),
            expected: expected.to_owned(),
        }
    }

    pub fn drop_nulls(&mut self) {
        self.map.retain(|_, value| !value.is_null());
    }

    pub fn drop_all(&mut self, keys: &[&str]) {
        self.map.retain(|key, _| !keys.contains(&key.as_str()));
    }

    /// Every field has been taken.
    pub fn finish(self) -> Result<(), Error> {
        match self.map.keys().next() {
            Some(key) => Err(Error::UnknownKey {
                path: self.path.to_owned(),
                key: format!("{}{key}", self.prefix),
            }),
            None => Ok(()),
        }
    }

    pub fn wrong(&self, key: &str, found: String, expected: String) -> Error {
        Error::ConfigValue {
            path: self.path.to_owned(),
            key: format!("{}{key}", self.prefix),
            found,
            expected,
        }
    }
}

/// Names for what [`Value::as_bool`] and [`as_size`] read.
pub const FLAG: &str = "`true` or `false`";
pub const SIZE: &str = "a number from 1 to 65,536";
pub const STAGES: &str = "4 numbers from 1 to 65,536";
/// Names of Pillow's filters, as timm and `open_clip` write them.
pub const INTERPOLATIONS: &str = "`bicubic`, `bilinear`, `nearest`, `lanczos`, `hamming` or `box`";

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
    serde_json::from_value(value.clone()).ok()
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
    if value.as_u64() == Some(0) {
        Some(0)
    } else {
        as_size(value)
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

/// One side of a square, given as a number or as two equal ones.
pub fn as_square(value: &Value) -> Option<usize> {
    as_sides(value)
        .filter(|[height, width]| height == width)
        .map(|[height, _]| height)
}

/// `[height, width]`, or one number for both.
pub fn as_sides(value: &Value) -> Option<[usize; 2]> {
    match value.as_array().map(Vec::as_slice) {
        Some([height, width]) => Some([as_side(height)?, as_side(width)?]),
        Some(_) => None,
        None => as_side(value).map(|side| [side; 2]),
    }
}

/// `[3, height, width]`.
pub fn as_input_size(value: &Value) -> Option<[usize; 2]> {
    match value.as_array()?.as_slice() {
        [channels, height, width] if channels.as_u64() == Some(3) => {
            Some([as_side(height)?, as_side(width)?])
        }
        _ => None,
    }
}

/// The share of a resized side that a crop keeps.
pub fn as_crop_pct(value: &Value) -> Option<f64> {
    value.as_f64().filter(|pct| (0.05..=4.0).contains(pct))
}

pub fn as_ratio(value: &Value) -> Option<f64> {
    value
        .as_f64()
        .filter(|ratio| *ratio > 0.0 && *ratio <= 1024.0)
}

pub fn as_number(value: &Value) -> Option<f64> {
    value.as_f64()
}

/// Names for what [`as_std`] reads.
pub const STD: &str = "three numbers other than 0";

/// What channels are divided by.
pub fn as_std(value: &Value) -> Option<[f32; 3]> {
    as_channels(value).filter(|std| !std.contains(&0.0))
}

pub fn as_channels(value: &Value) -> Option<[f32; 3]> {
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
pub fn overridden_by(
    args: Value,
    read: impl FnOnce(&mut Fields<'_>) -> Result<(), Error>,
) -> Result<(), String> {
    let mut fields = Fields::new(Path::new("config.json"), "model_args.", args)
        .map_err(|error| error.to_string())?;
    read(&mut fields)
        .and_then(|()| fields.finish())
        .map_err(|error| error.to_string())
}
