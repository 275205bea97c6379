//! `preprocessor_config.json`: how images become a checkpoint's input.
//!
//! Source: the image processors of transformers 5.24 that work with Pillow.

use std::path::Path;

use serde_json::Value;

use super::Config;
use crate::backbone::catalog::{IMAGENET, INCEPTION, Moments, OPENAI_CLIP};
use crate::backbone::error::Error;
use crate::backbone::fields::{FLAG, Fields, as_channels, as_sides, as_size};
use crate::image::{CropRounding, Interpolation, Preprocessing, ResizeMode};

/// What an image processor does unless its file says otherwise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Defaults {
    interpolation: Interpolation,
    /// Whether the centre is cut out, of an image whose shorter side has this length.
    shorter_side: Option<usize>,
    moments: Moments,
}

pub(super) const CLIP_PROCESSOR: Defaults = Defaults {
    interpolation: Interpolation::Bicubic,
    shorter_side: Some(224),
    moments: OPENAI_CLIP,
};
pub(super) const DINO_PROCESSOR: Defaults = Defaults {
    interpolation: Interpolation::Bicubic,
    shorter_side: Some(256),
    moments: IMAGENET,
};
pub(super) const SIGLIP_PROCESSOR: Defaults = Defaults {
    interpolation: Interpolation::Bicubic,
    shorter_side: None,
    moments: INCEPTION,
};
pub(super) const VIT_PROCESSOR: Defaults = Defaults {
    interpolation: Interpolation::Bilinear,
    shorter_side: None,
    moments: INCEPTION,
};

/// Reads a `preprocessor_config.json`; `path` is for messages.
pub(in crate::backbone) fn preprocessing(
    value: Value,
    config: &Config,
    path: &Path,
) -> Result<Preprocessing, Error> {
    let mut cfg = Fields::new(path, "", value)?;
    cfg.drop_nulls();
    let Defaults {
        mut interpolation,
        shorter_side,
        moments: (mut mean, mut std),
    } = config.defaults;
    let mut out = config.network.img_size;
    let mut crops = shorter_side.is_some();
    for key in ["do_resize", "do_rescale", "do_normalize"] {
        cfg.only(key, "`true`", |value| value.as_bool() == Some(true))?;
    }
    cfg.only("rescale_factor", "1/255", |value| {
        value
            .as_f64()
            .is_some_and(|factor| (factor * 255.0 - 1.0).abs() < 1e-6)
    })?;
    cfg.set(&mut crops, "do_center_crop", FLAG, Value::as_bool)?;
    cfg.set_supported(
        &mut interpolation,
        "resample",
        "a filter of Pillow",
        |value| {
            Some(match value.as_u64()? {
                0 => Interpolation::Nearest,
                1 => Interpolation::Lanczos,
                2 => Interpolation::Bilinear,
                3 => Interpolation::Bicubic,
                4 => Interpolation::Box,
                5 => Interpolation::Hamming,
                _ => return None,
            })
        },
    )?;
    let mut resize = match shorter_side {
        Some(side) => ResizeMode::Shortest { side },
        None => ResizeMode::Squash { size: out },
    };
    let sizes = "`shortest_edge`, or `height` and `width`";
    cfg.set_supported(&mut resize, "size", sizes, |value| {
        if let Some(side) = as_size(&value["shortest_edge"]).or_else(|| {
            // A number alone is the shorter side where the centre is cut out.
            as_size(value).filter(|_| crops)
        }) {
            return Some(ResizeMode::Shortest { side });
        }
        let size = as_size(value).map(|side| [side; 2]);
        size.or_else(|| Some([as_size(&value["height"])?, as_size(&value["width"])?]))
            .map(|size| ResizeMode::Squash { size })
    })?;
    if let (false, ResizeMode::Squash { size }) = (crops, resize) {
        out = size;
    }
    let crop_size = cfg.take("crop_size");
    if let (true, Some(value)) = (crops, crop_size) {
        let size = as_sides(&value)
            .or_else(|| Some([as_size(&value["height"])?, as_size(&value["width"])?]));
        out = size.ok_or_else(|| {
            cfg.wrong(
                "crop_size",
                value.to_string(),
                "a size in pixels".to_owned(),
            )
        })?;
    }
    cfg.set(&mut mean, "image_mean", "three numbers", as_channels)?;
    cfg.set(
        &mut std,
        "image_std",
        "three numbers other than 0",
        |value| as_channels(value).filter(|std| !std.contains(&0.0)),
    )?;
    if !crops && matches!(resize, ResizeMode::Shortest { .. }) {
        let expected =
            "`true`: other images than square ones give a network images of several sizes"
                .to_owned();
        return Err(cfg.wrong("do_center_crop", "false".to_owned(), expected));
    }
    Ok(Preprocessing {
        size: out,
        resize,
        interpolation,
        crop: CropRounding::Down,
        mean,
        std,
    })
}
