//! Any module that was traced or scripted in Python: the way out for networks that are not written here.
//!
//! `model.ckpt` is the module's file; a TOML file of the same name beside it says what the module takes and gives:
//!
//! ```toml
//! dim = 1024                     # features per image
//! size = 224                     # side of an image in pixels, or [height, width]
//! resize = 256                   # what is resized before the centre is cut out; `size` if left out
//! mode = "shortest"              # or "squash"
//! interpolation = "bicubic"
//! mean = [0.485, 0.456, 0.406]
//! std = [0.229, 0.224, 0.225]
//! ```
//!
//! The module takes images `[b, 3, h, w]` f32 and gives features `[b, dim]`. It is code of somebody else's, so it runs
//! only where the pipeline file says `allow_code = true`.

#[cfg(feature = "torch")]
mod network;

use serde_json::{Value, json};

use super::error::Error;
use super::fields::{
    Fields, INTERPOLATIONS, SIZE, STD, as_channels, as_sides, as_size, as_std, as_variant,
};
use super::network::NetworkConfig;
use super::spec::{BackboneSpec, Places, Weights};
use crate::image::{CropRounding, Interpolation, Preprocessing, ResizeMode};

#[cfg(feature = "torch")]
pub(super) use network::load;

/// What a module says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ScriptConfig {
    pub(super) dim: usize,
}

impl ScriptConfig {
    /// All that decides a feature besides the module.
    pub(super) fn canonical(self) -> Value {
        json!({ "family": "torchscript", "dim": self.dim })
    }
}

/// Finds the module that `ckpt` names and reads the file beside it.
pub(super) fn resolve(ckpt: &str, places: Places<'_>) -> Result<BackboneSpec, Error> {
    let module = places.base_dir.join(ckpt);
    if !places.allow_code {
        return Err(Error::CodeNotAllowed { path: module });
    }
    let path = module.with_extension("toml");
    let text = fs_err::read_to_string(&path)?;
    let value: Value = toml::from_str(&text).map_err(|error| Error::Toml {
        path: path.clone(),
        problem: error.message().to_owned(),
        line: error
            .span()
            .map(|span| text[..span.start.min(text.len())].lines().count().max(1)),
    })?;
    let mut fields = Fields::new(&path, "", value)?;
    let dim = fields.required("dim", SIZE, as_size)?;
    let size = fields.required("size", "a side or [height, width]", as_sides)?;
    let mean = fields.required("mean", "three numbers", as_channels)?;
    let std = fields.required("std", STD, as_std)?;
    let mut resized = size;
    fields.set(
        &mut resized,
        "resize",
        "a side or [height, width]",
        as_sides,
    )?;
    let mut interpolation = Interpolation::Bicubic;
    fields.set(
        &mut interpolation,
        "interpolation",
        INTERPOLATIONS,
        as_variant,
    )?;
    let mut squashes = false;
    fields.set(
        &mut squashes,
        "mode",
        "`shortest` or `squash`",
        |value| match value.as_str()? {
            "shortest" => Some(false),
            "squash" => Some(true),
            _ => None,
        },
    )?;
    fields.finish()?;
    let resize = match (squashes, resized) {
        (true, size) => ResizeMode::Squash { size },
        (false, [height, width]) if height == width => ResizeMode::Shortest { side: height },
        (false, size) => ResizeMode::Cover { size },
    };
    if !module.is_file() {
        return Err(Error::NoScript { path: module });
    }
    Ok(BackboneSpec {
        architecture: module.display().to_string(),
        network: NetworkConfig::Script(ScriptConfig { dim }),
        preprocessing: Preprocessing {
            size,
            resize,
            interpolation,
            crop: CropRounding::HalfToEven,
            mean,
            std,
        },
        weights: Weights::Script(module),
        source: None,
    })
}
