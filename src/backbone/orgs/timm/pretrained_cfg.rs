//! `pretrained_cfg` in timm's `config.json`: how images become a checkpoint's input.
//!
//! Source: `timm.models._pretrained.PretrainedCfg` and `timm.data.resolve_data_config`, timm 1.0.

use serde_json::Value;

use crate::backbone::checkpoint::fields::{
    FLAG, Fields, INTERPOLATIONS, STD, as_channels, as_crop_pct, as_input_size, as_std, as_variant,
};
use crate::backbone::error::Error;
use crate::backbone::families::preset::IMAGENET;
use crate::backbone::orgs::timm::vit::GlobalPool;
use crate::image::{Interpolation, Preprocessing, TimmCrop};

/// timm's `PretrainedCfg` where the file has no value.
const DEFAULT_SIZE: [usize; 2] = [224, 224];
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
    pub size: [usize; 2],
    pub fixed_input_size: bool,
    pub global_pool: Option<GlobalPool>,
    interpolation: Interpolation,
    crop_pct: f64,
    crop: TimmCrop,
    mean: [f32; 3],
    std: [f32; 3],
}

impl PretrainedCfg {
    pub fn read(mut cfg: Fields<'_>) -> Result<Self, Error> {
        cfg.drop_nulls();
        let mut data = Self {
            size: DEFAULT_SIZE,
            fixed_input_size: false,
            global_pool: None,
            interpolation: Interpolation::Bicubic,
            crop_pct: DEFAULT_CROP_PCT,
            crop: TimmCrop::Center,
            mean: IMAGENET.0,
            std: IMAGENET.1,
        };
        cfg.set(
            &mut data.size,
            "input_size",
            "[3, height, width]",
            as_input_size,
        )?;
        cfg.set(
            &mut data.fixed_input_size,
            "fixed_input_size",
            FLAG,
            Value::as_bool,
        )?;
        cfg.set(&mut data.global_pool, "global_pool", POOLS, |value| {
            as_pool(value).map(Some)
        })?;
        cfg.set(
            &mut data.interpolation,
            "interpolation",
            INTERPOLATIONS,
            as_variant,
        )?;
        cfg.set(
            &mut data.crop_pct,
            "crop_pct",
            "a number from 0.05 to 4",
            as_crop_pct,
        )?;
        cfg.set(
            &mut data.crop,
            "crop_mode",
            "`center`, `squash` or `border`",
            as_variant,
        )?;
        cfg.set(&mut data.mean, "mean", "three numbers", as_channels)?;
        cfg.set(&mut data.std, "std", STD, as_std)?;
        cfg.drop_all(NOTES);
        cfg.finish()?;
        Ok(data)
    }

    pub fn preprocessing(&self) -> Preprocessing {
        let Self {
            size,
            crop_pct,
            crop,
            interpolation,
            mean,
            std,
            ..
        } = *self;
        Preprocessing::timm(size, crop_pct, crop, interpolation, mean, std)
    }
}

/// Names for what [`as_pool`] reads.
pub const POOLS: &str = "`token`, `avg`, `avgmax`, `max`, `map` or ``";

pub fn as_pool(value: &Value) -> Option<GlobalPool> {
    match value.as_str()? {
        "" => Some(GlobalPool::None),
        "token" => Some(GlobalPool::Token),
        "avg" => Some(GlobalPool::Avg),
        "max" | "avgmax" => Some(GlobalPool::Other),
        "map" => Some(GlobalPool::Map),
        _ => None,
    }
}
