//! `preprocessor_config.json`, or that part of `processor_config.json`: how images become a checkpoint's input.
//!
//! Source: the image processors of transformers 5.24 that work with Pillow. Classes have defaults of their own; published
//! files spell everything out, and one that does not is refused.

use std::path::Path;

use serde_json::Value;

use crate::backbone::checkpoint::fields::{
    CHANNELS, FLAG, Fields, Kind, SIDES, STD, as_side, as_sides,
};
use crate::error::Message;
use crate::image::{CropRounding, Interpolation, Preprocessing, ResizeMode};

/// Names of the class, and settings that change no pixel.
const NOTES: &[&str] = &[
    "image_processor_type",
    "feature_extractor_type",
    "processor_class",
    "auto_map",
    "do_convert_rgb",
    "default_to_square",
    "data_format",
    "input_data_format",
    "return_tensors",
    "device",
    "disable_grouping",
    "_valid_processor_keys",
];

/// What `size` says.
enum Size {
    Shortest(usize),
    Exactly([usize; 2]),
    /// A number alone, which is the shorter side where the centre is cut out.
    Number(usize),
}

/// Reads the settings of an image processor; `path`, and the `prefix` of keys in it, are for messages.
pub fn preprocessing(
    value: Value,
    path: &Path,
    prefix: &'static str,
) -> Result<Preprocessing, Message> {
    let mut cfg = Fields::new(path, prefix, value)?;
    cfg.drop_nulls();
    for key in ["do_resize", "do_rescale", "do_normalize"] {
        cfg.fixed(key, true)?;
    }
    cfg.fixed("do_pad", false)?;
    cfg.only("rescale_factor", "1/255", |value| {
        value
            .as_f64()
            .is_some_and(|factor| (factor * 255.0 - 1.0).abs() < 1e-6)
    })?;
    let filters = Kind("a filter of Pillow, 0 to 5", |value| {
        FILTERS.get(usize::try_from(value.as_u64()?).ok()?).copied()
    });
    let interpolation = cfg.required("resample", filters)?;
    let mean = cfg.required("image_mean", CHANNELS)?;
    let std = cfg.required("image_std", STD)?;
    let sizes = Kind("`shortest_edge`, or `height` and `width`", as_size);
    let size = cfg.required("size", sizes)?;
    let crop_size = cfg.take("crop_size");
    let crops = cfg.or(crop_size.is_some(), "do_center_crop", FLAG)?;
    let resize = match size {
        Size::Shortest(side) => ResizeMode::Shortest { side },
        Size::Number(side) if crops => ResizeMode::Shortest { side },
        Size::Number(side) => ResizeMode::Squash { size: [side; 2] },
        Size::Exactly(size) => ResizeMode::Squash { size },
    };
    let size = match (crops, crop_size, resize) {
        (true, crop_size, _) => {
            let crop_size = crop_size.unwrap_or_default();
            let size = as_sides(&crop_size).or_else(|| as_height_and_width(&crop_size));
            size.ok_or_else(|| cfg.wrong("crop_size", crop_size, SIDES.0))?
        }
        (false, _, ResizeMode::Squash { size }) => size,
        (false, ..) => {
            let expected = "`true`: else images of several ratios have several sizes";
            return Err(cfg.wrong("do_center_crop", false, expected));
        }
    };
    cfg.drop_all(NOTES);
    cfg.finish()?;
    Ok(Preprocessing {
        size,
        resize,
        interpolation,
        crop: CropRounding::Down,
        mean,
        std,
    })
}

/// Pillow's filters, by their numbers there.
const FILTERS: [Interpolation; 6] = [
    Interpolation::Nearest,
    Interpolation::Lanczos,
    Interpolation::Bilinear,
    Interpolation::Bicubic,
    Interpolation::Box,
    Interpolation::Hamming,
];

fn as_height_and_width(value: &Value) -> Option<[usize; 2]> {
    Some([as_side(&value["height"])?, as_side(&value["width"])?])
}

/// Other keys, such as `longest_edge`, resize in other ways.
fn as_size(value: &Value) -> Option<Size> {
    let Some(object) = value.as_object() else {
        return as_side(value).map(Size::Number);
    };
    match object.len() {
        1 => as_side(object.get("shortest_edge")?).map(Size::Shortest),
        2 => as_height_and_width(value).map(Size::Exactly),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn published() -> Value {
        json!({
            "crop_size": { "height": 224, "width": 224 },
            "do_center_crop": true,
            "do_convert_rgb": true,
            "do_normalize": true,
            "do_rescale": true,
            "do_resize": true,
            "image_mean": [0.5, 0.5, 0.5],
            "image_processor_type": "BitImageProcessor",
            "image_std": [0.25, 0.25, 0.25],
            "resample": 3,
            "rescale_factor": 1.0 / 255.0,
            "size": { "shortest_edge": 256 },
        })
    }

    fn with(changes: &Value) -> Result<Preprocessing, Message> {
        let mut cfg = published();
        for (key, value) in changes.as_object().unwrap() {
            cfg[key] = value.clone();
        }
        preprocessing(cfg, Path::new("preprocessor_config.json"), "")
    }

    #[test]
    fn files_of_every_age_are_understood() {
        let resized = |changes| {
            let preprocessing = with(&changes).unwrap();
            (preprocessing.resize, preprocessing.size)
        };
        let shortest = |side| ResizeMode::Shortest { side };
        let squash = |side| ResizeMode::Squash { size: [side; 2] };
        assert_eq!(resized(json!({})), (shortest(256), [224, 224]));
        // As in the files of OpenAI's CLIP and Google's ViT.
        let old = json!({ "size": 224, "crop_size": 224 });
        assert_eq!(resized(old), (shortest(224), [224, 224]));
        let old = json!({ "size": 224, "crop_size": null, "do_center_crop": null });
        assert_eq!(resized(old), (squash(224), [224, 224]));
        let siglip = json!({
            "size": { "height": 384, "width": 384 },
            "crop_size": null,
            "do_center_crop": null,
        });
        assert_eq!(resized(siglip), (squash(384), [384, 384]));
    }

    #[test]
    fn what_changes_pixels_and_is_not_known_is_refused() {
        let cases = [
            (
                json!({ "do_resize": false }),
                "`do_resize` is `false`, only `true` is supported",
            ),
            (
                json!({ "size": { "shortest_edge": 256, "longest_edge": 300 } }),
                "`size` is `{\"shortest_edge\":256,\"longest_edge\":300}`, expected `shortest_edge`, or `height` and \
                 `width`",
            ),
            (
                json!({ "size": { "height": 65536, "width": 65536 } }),
                "`size` is `{\"height\":65536,\"width\":65536}`, expected `shortest_edge`, or `height` and `width`",
            ),
            (
                json!({ "resample": 9 }),
                "`resample` is `9`, expected a filter of Pillow, 0 to 5",
            ),
            (
                json!({ "image_mean": null }),
                "`image_mean` is missing, expected three numbers",
            ),
            (
                json!({ "image_std": [0.5, 0.0, 0.5] }),
                "`image_std` is `[0.5,0.0,0.5]`, expected three numbers other than 0",
            ),
            (
                json!({ "do_center_crop": false }),
                "`do_center_crop` is `false`, expected `true`: else images of several ratios have several sizes",
            ),
            (
                json!({ "crop_size": null }),
                "`crop_size` is `null`, expected a size in pixels",
            ),
            (
                json!({ "crop_pct": 0.9 }),
                "unknown key `crop_pct`, whose effect on features is not known either",
            ),
        ];
        for (changes, expected) in cases {
            let message = with(&changes).unwrap_err().to_string();
            assert_eq!(message, format!("preprocessor_config.json: {expected}"));
        }
    }
}
