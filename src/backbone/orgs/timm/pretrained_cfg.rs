//! `pretrained_cfg` in timm's `config.json`: how images become a checkpoint's input.
//!
//! Source: `timm.models._pretrained.PretrainedCfg` and `timm.data.resolve_data_config`, timm 1.0.

use crate::backbone::checkpoint::fields::{
    CHANNELS, FLAG, Fields, INTERPOLATION, Kind, STD, as_side, as_variant,
};
use crate::backbone::families::preset::Data;
use crate::backbone::orgs::timm::vit::GlobalPool;
use crate::error::Message;
use crate::image::Interpolation;

/// timm's `PretrainedCfg` where the file has no value.
const DEFAULT_SIZE: usize = 224;
const DEFAULT_CROP_PCT: f64 = 0.875;

/// Fields of timm's `PretrainedCfg` that say where weights come from or describe classes and training.
const NOTES: &[&str] = &[
    "url",
    "file",
    "hf_hub_id",
    "hf_hub_filename",
    "source",
    "architecture",
    "tag",
    "custom_load",
    "test_input_size",
    "min_input_size",
    "test_crop_pct",
    "num_classes",
    "label_offset",
    "label_names",
    "label_descriptions",
    "pool_size",
    "test_pool_size",
    "first_conv",
    "classifier",
    "license",
    "description",
    "origin_url",
    "paper_name",
    "paper_ids",
    "notes",
];

/// What decides the preprocessing, and the arguments that timm takes from `pretrained_cfg`.
pub struct PretrainedCfg {
    pub data: Data,
    pub fixed_input_size: bool,
    pub global_pool: Option<GlobalPool>,
}

impl PretrainedCfg {
    pub fn read(mut cfg: Fields<'_>) -> Result<Self, Message> {
        cfg.drop_nulls();
        let mut data = Data::imagenet(DEFAULT_SIZE, DEFAULT_CROP_PCT, Interpolation::Bicubic);
        cfg.set(&mut data.size, "input_size", INPUT_SIZE)?;
        let fixed_input_size = cfg.or(false, "fixed_input_size", FLAG)?;
        let global_pool = cfg.optional("global_pool", POOL)?;
        cfg.set(&mut data.interpolation, "interpolation", INTERPOLATION)?;
        cfg.set(&mut data.crop_pct, "crop_pct", CROP_PCT)?;
        let modes = Kind("`center`, `squash` or `border`", as_variant);
        cfg.set(&mut data.crop, "crop_mode", modes)?;
        cfg.set(&mut data.mean, "mean", CHANNELS)?;
        cfg.set(&mut data.std, "std", STD)?;
        cfg.drop_all(NOTES);
        cfg.finish()?;
        Ok(Self {
            data,
            fixed_input_size,
            global_pool,
        })
    }
}

/// `[3, height, width]`.
const INPUT_SIZE: Kind<'_, [usize; 2]> = Kind("[3, height, width]", |value| {
    match value.as_array()?.as_slice() {
        [channels, height, width] if *channels == 3 => Some([as_side(height)?, as_side(width)?]),
        _ => None,
    }
});

/// The share of a resized side that a crop keeps.
const CROP_PCT: Kind<'_, f64> = Kind("a number from 0.05 to 4", |value| {
    value.as_f64().filter(|pct| (0.05..=4.0).contains(pct))
});

/// How a model pools.
pub const POOL: Kind<'_, GlobalPool> =
    Kind("`token`, `avg`, `avgmax`, `max`, `map` or ``", as_variant);
