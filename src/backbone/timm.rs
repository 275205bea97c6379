//! Checkpoints in timm's layout: a folder with `config.json` and `model.safetensors`.
//!
//! `config.json` names an architecture, arguments that differ from the architecture's (`model_args`) and the
//! preprocessing (`pretrained_cfg`). Older files have the fields of `pretrained_cfg` at top level.
//!
//! Source: `timm.models._hub._parse_model_cfg`, `timm.models._builder._update_default_model_kwargs` and the
//! arguments of `VisionTransformer`, timm 1.0. Unlike timm, which resizes positions to `img_size`, nothing is
//! resized here, and a setting that would change a feature is refused rather than ignored.

use std::path::Path;

use serde_json::Value;

use super::catalog;
use super::error::Error;
use super::fields::{
    FLAG, Fields, SIZE, as_count, as_ratio, as_sides, as_size, as_square, as_string, quoted,
};
use super::pretrained_cfg::{POOLS, PretrainedCfg, as_pool};
use super::vit_config::VitConfig;
use crate::image::Preprocessing;

/// What a `config.json` describes.
#[derive(Debug, PartialEq)]
pub(super) struct Config {
    pub(super) architecture: &'static str,
    pub(super) vit: VitConfig,
    pub(super) preprocessing: Preprocessing,
}

/// Fields beside the architecture, its arguments and the preprocessing: labels and sizes of the classifier.
const TOP_LEVEL_NOTES: &[&str] = &[
    "num_classes",
    "num_features",
    "label_names",
    "label_descriptions",
    "labels",
];

/// Arguments that matter to training, to the classifier or to images of other sizes only.
const ARGS_WITHOUT_EFFECT: &[&str] = &[
    "num_classes",
    "drop_rate",
    "pos_drop_rate",
    "patch_drop_rate",
    "proj_drop_rate",
    "attn_drop_rate",
    "drop_path_rate",
    "weight_init",
    "fix_init",
    "pool_include_prefix",
];

/// Reads a `config.json`; `path` is for messages.
pub(super) fn parse(bytes: &[u8], path: &Path) -> Result<Config, Error> {
    let json = |source| Error::Json {
        path: path.to_owned(),
        source,
    };
    let mut top = Fields::new(path, "", serde_json::from_slice(bytes).map_err(json)?)?;
    let name = top.required("architecture", "a name", as_string)?;
    let args = top.nested("model_args", "model_args.")?;
    let cfg = top.nested("pretrained_cfg", "pretrained_cfg.")?;
    let repeated_pool = if cfg.is_some() {
        top.take("global_pool")
    } else {
        None
    };
    top.drop_all(TOP_LEVEL_NOTES);
    let mut data = match cfg {
        Some(cfg) => {
            top.finish()?;
            PretrainedCfg::read(cfg)?
        }
        None => PretrainedCfg::read(top)?,
    };

    let architecture = catalog::find(&name).ok_or_else(|| Error::UnknownArchitecture {
        place: path.display().to_string(),
        nearest: catalog::nearest(&name),
        name,
    })?;
    let mut vit = architecture.vit;
    vit.global_pool = data.global_pool.unwrap_or(vit.global_pool);
    if data.fixed_input_size {
        vit.img_size = data.size;
    }
    if let Some(args) = args {
        override_config(&mut vit, &mut data, args)?;
    }
    if data.fixed_input_size {
        data.size = vit.img_size;
    }
    check(&vit, &data, repeated_pool, path)?;
    Ok(Config {
        architecture: architecture.name,
        vit,
        preprocessing: data.preprocessing(),
    })
}

/// Replaces an architecture's arguments by the checkpoint's.
fn override_config(
    vit: &mut VitConfig,
    data: &mut PretrainedCfg,
    mut args: Fields<'_>,
) -> Result<(), Error> {
    args.set(&mut vit.img_size, "img_size", "a size in pixels", as_sides)?;
    args.set(
        &mut vit.patch_size,
        "patch_size",
        "a size in pixels",
        as_square,
    )?;
    args.set(&mut vit.embed_dim, "embed_dim", SIZE, as_size)?;
    args.set(&mut vit.depth, "depth", SIZE, as_size)?;
    args.set(&mut vit.num_heads, "num_heads", SIZE, as_size)?;
    args.set(
        &mut vit.mlp_ratio,
        "mlp_ratio",
        "a positive number",
        as_ratio,
    )?;
    args.set(&mut vit.qkv_bias, "qkv_bias", FLAG, Value::as_bool)?;
    args.set(
        &mut vit.layer_scale,
        "init_values",
        "a number or `null`",
        as_init_values,
    )?;
    args.set(&mut vit.class_token, "class_token", FLAG, Value::as_bool)?;
    args.set(&mut vit.reg_tokens, "reg_tokens", "a number", as_count)?;
    args.set(
        &mut vit.no_embed_class,
        "no_embed_class",
        FLAG,
        Value::as_bool,
    )?;
    args.set(&mut vit.pre_norm, "pre_norm", FLAG, Value::as_bool)?;
    args.set(&mut vit.final_norm, "final_norm", FLAG, Value::as_bool)?;
    args.set(
        &mut vit.fc_norm,
        "fc_norm",
        "`true`, `false` or `null`",
        |value| {
            if value.is_null() {
                Some(None)
            } else {
                value.as_bool().map(Some)
            }
        },
    )?;
    args.set(&mut vit.global_pool, "global_pool", POOLS, as_pool)?;
    let mut is_dynamic = false;
    args.set(&mut is_dynamic, "dynamic_img_size", FLAG, Value::as_bool)?;
    data.fixed_input_size &= !is_dynamic;
    refuse_other_networks(&mut args)?;
    args.drop_all(ARGS_WITHOUT_EFFECT);
    args.finish()
}

/// Refuses arguments that ask for anything but the network that is written in `vit.rs`.
fn refuse_other_networks(args: &mut Fields<'_>) -> Result<(), Error> {
    args.only("in_chans", "`3`", |value| value.as_u64() == Some(3))?;
    args.only("pos_embed", "`learn`", |value| value == "learn")?;
    args.only("proj_bias", "`true`", |value| value.as_bool() == Some(true))?;
    for key in [
        "qk_norm",
        "scale_attn_norm",
        "scale_mlp_norm",
        "dynamic_img_pad",
        "use_naflex",
    ] {
        args.only(key, "`false`", |value| {
            value.is_null() || value.as_bool() == Some(false)
        })?;
    }
    args.only("act_layer", "`gelu`", |value| {
        value.is_null() || value == "gelu"
    })?;
    for key in [
        "norm_layer",
        "embed_norm_layer",
        "mlp_layer",
        "attn_layer",
        "embed_layer",
        "block_fn",
    ] {
        args.only(key, "timm's default", Value::is_null)?;
    }
    Ok(())
}

/// Refuses a file whose settings contradict each other.
fn check(
    vit: &VitConfig,
    data: &PretrainedCfg,
    repeated_pool: Option<Value>,
    path: &Path,
) -> Result<(), Error> {
    let wrong = |key: &str, found: String, expected: String| {
        Err(Error::ConfigValue {
            path: path.to_owned(),
            key: key.to_owned(),
            found,
            expected,
        })
    };
    let [height, width] = vit.img_size;
    if !vit.embed_dim.is_multiple_of(vit.num_heads) {
        let expected = format!("a divisor of the width, {}", vit.embed_dim);
        return wrong("num_heads", vit.num_heads.to_string(), expected);
    }
    if vit.n_patches() == 0 {
        let expected = format!("no more than the image's {height} × {width}");
        return wrong("patch_size", vit.patch_size.to_string(), expected);
    }
    if data.size != vit.img_size {
        let found = format!("[3, {}, {}]", data.size[0], data.size[1]);
        return wrong(
            "input_size",
            found,
            format!("[3, {height}, {width}], what the network takes"),
        );
    }
    match repeated_pool {
        // Written by timm beside the arguments, which decide.
        Some(value) if as_pool(&value) != Some(vit.global_pool) => wrong(
            "global_pool",
            quoted(&value),
            "what `model_args` and the architecture say".to_owned(),
        ),
        _ => Ok(()),
    }
}

/// Whether there is a `LayerScale`; timm makes none for 0.
fn as_init_values(value: &Value) -> Option<bool> {
    if value.is_null() {
        Some(false)
    } else {
        value.as_f64().map(|value| value != 0.0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::vit_config::{Feature, FinalNorm};
    use super::*;
    use crate::image::{Interpolation, TimmCrop};

    fn read(config: &Value) -> Result<Config, Error> {
        parse(config.to_string().as_bytes(), Path::new("config.json"))
    }

    fn message(config: &Value) -> String {
        read(config).unwrap_err().to_string()
    }

    /// As timm writes it for one of its own checkpoints.
    fn published() -> Value {
        json!({
            "architecture": "vit_base_patch16_224",
            "num_classes": 1000,
            "num_features": 768,
            "global_pool": "token",
            "pretrained_cfg": {
                "tag": "augreg2_in21k_ft_in1k",
                "custom_load": false,
                "input_size": [3, 224, 224],
                "fixed_input_size": true,
                "interpolation": "bicubic",
                "crop_pct": 0.9,
                "crop_mode": "center",
                "mean": [0.5, 0.5, 0.5],
                "std": [0.5, 0.5, 0.5],
                "num_classes": 1000,
                "pool_size": null,
                "first_conv": "patch_embed.proj",
                "classifier": "head",
            },
        })
    }

    fn with_args(args: Value) -> Value {
        let mut config = published();
        config["model_args"] = args;
        config
    }

    #[test]
    fn published_config_is_the_catalog_s_row() {
        let config = read(&published()).unwrap();
        let row = catalog::find("vit_base_patch16_224").unwrap();
        assert_eq!(config.vit, row.vit);
        assert_eq!(config.preprocessing, row.preprocessing());
    }

    #[test]
    fn flat_config_is_read_as_a_nested_one() {
        let mut flat = published()["pretrained_cfg"].clone();
        flat["architecture"] = json!("vit_base_patch16_224");
        flat["num_features"] = json!(768);
        flat["labels"] = json!(["cat", "dog"]);
        assert_eq!(read(&flat).unwrap(), read(&published()).unwrap());
    }

    #[test]
    fn missing_preprocessing_is_timm_s_default() {
        let config = read(&json!({ "architecture": "vit_tiny_patch16_224" })).unwrap();
        let (mean, std) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
        let default = Preprocessing::timm(
            [224, 224],
            0.875,
            TimmCrop::Center,
            Interpolation::Bicubic,
            mean,
            std,
        );
        assert_eq!(config.preprocessing, default);
    }

    #[test]
    fn input_size_decides_the_positions() {
        let mut config = published();
        config["pretrained_cfg"]["input_size"] = json!([3, 384, 384]);
        config["pretrained_cfg"]["crop_pct"] = json!(1.0);
        let config = read(&config).unwrap();
        assert_eq!(config.vit.img_size, [384, 384]);
        assert_eq!(config.vit.n_patches(), 24 * 24);
        assert_eq!(config.preprocessing.size, [384, 384]);
    }

    #[test]
    fn img_size_overrules_input_size() {
        let config = read(&with_args(json!({ "img_size": [192, 256] }))).unwrap();
        assert_eq!(config.vit.n_patches(), 12 * 16);
        assert_eq!(config.preprocessing.size, [192, 256]);
    }

    #[test]
    fn arguments_overrule_the_architecture() {
        let config = read(&with_args(json!({
            "patch_size": 32,
            "embed_dim": 96,
            "depth": 3,
            "num_heads": 4,
            "mlp_ratio": 2.5,
            "qkv_bias": false,
            "init_values": 1e-5,
            "reg_tokens": 4,
            "no_embed_class": true,
            "drop_path_rate": 0.1,
            "act_layer": "gelu",
            "norm_layer": null,
        })))
        .unwrap();
        let vit = config.vit;
        assert_eq!(
            (vit.patch_size, vit.embed_dim, vit.depth, vit.num_heads),
            (32, 96, 3, 4)
        );
        assert_eq!(
            (vit.mlp_dim(), vit.qkv_bias, vit.layer_scale),
            (240, false, true)
        );
        assert_eq!((vit.n_prefix_tokens(), vit.n_patches()), (5, 49));
        assert!(vit.no_embed_class);
    }

    #[test]
    fn pooling_decides_norm_and_feature() {
        let vit = |args: Value, pool: &str| {
            let mut config = with_args(args);
            config["global_pool"] = json!(pool);
            read(&config).unwrap().vit
        };
        let pooled = vit(json!({ "global_pool": "avg" }), "avg");
        assert_eq!(
            (pooled.final_norm(), pooled.feature()),
            (FinalNorm::Classifier, Feature::First)
        );
        let normed = vit(
            json!({ "global_pool": "avg", "fc_norm": false, "class_token": false }),
            "avg",
        );
        assert_eq!(
            (normed.final_norm(), normed.feature()),
            (FinalNorm::Tokens, Feature::Max)
        );
        let registers = vit(
            json!({ "global_pool": "max", "class_token": false, "reg_tokens": 1 }),
            "max",
        );
        assert_eq!(
            (registers.final_norm(), registers.feature()),
            (FinalNorm::Classifier, Feature::First)
        );
        let none = vit(json!({ "final_norm": false }), "token");
        assert_eq!(none.final_norm(), FinalNorm::None);
    }

    #[test]
    fn unknown_architecture_is_named_with_its_neighbours() {
        let error = read(&json!({ "architecture": "vit_tiny_patch16_244" })).unwrap_err();
        assert_eq!(
            error.to_string(),
            "config.json: unknown architecture `vit_tiny_patch16_244`"
        );
        let hint = error.hint().unwrap();
        assert!(
            hint.starts_with("did you mean `vit_tiny_patch16_224`, "),
            "{hint}"
        );
    }

    #[test]
    fn other_networks_are_refused_by_argument() {
        let cases = [
            (
                json!({ "qk_norm": true }),
                "`model_args.qk_norm` is `true`, only `false` is supported",
            ),
            (
                json!({ "act_layer": "quick_gelu" }),
                "`model_args.act_layer` is `quick_gelu`, only `gelu` is supported",
            ),
            (
                json!({ "in_chans": 1 }),
                "`model_args.in_chans` is `1`, only `3` is supported",
            ),
            (
                json!({ "norm_layer": "rmsnorm" }),
                "`model_args.norm_layer` is `rmsnorm`, only timm's default is supported",
            ),
            (
                json!({ "pos_embed": "none" }),
                "`model_args.pos_embed` is `none`, only `learn` is supported",
            ),
        ];
        for (args, expected) in cases {
            assert_eq!(
                message(&with_args(args)),
                format!("config.json: {expected}")
            );
        }
    }

    #[test]
    fn unknown_key_is_refused_at_every_level() {
        let mut config = published();
        config["model_args"] = json!({ "rope": true });
        assert!(message(&config).starts_with("config.json: unknown key `model_args.rope`, "));
        let mut config = published();
        config["pretrained_cfg"]["gamma"] = json!(2.2);
        assert!(message(&config).starts_with("config.json: unknown key `pretrained_cfg.gamma`, "));
        let mut config = published();
        config["model_type"] = json!("vit");
        assert!(message(&config).starts_with("config.json: unknown key `model_type`, "));
    }

    #[test]
    fn values_out_of_range_are_refused() {
        let cases = [
            (
                json!({ "depth": 0 }),
                "`model_args.depth` is `0`, expected a number from 1 to 65,536",
            ),
            (
                json!({ "embed_dim": 1_u64 << 60 }),
                "`model_args.embed_dim` is `1152921504606846976`, expected a number from 1 to 65,536",
            ),
            (
                json!({ "num_heads": 7 }),
                "`num_heads` is `7`, expected a divisor of the width, 768",
            ),
            (
                json!({ "patch_size": 256 }),
                "`patch_size` is `256`, expected no more than the image's 224 × 224",
            ),
            (
                json!({ "patch_size": [16, 8] }),
                "`model_args.patch_size` is `[16,8]`, expected a size in pixels",
            ),
            (
                json!({ "mlp_ratio": -1 }),
                "`model_args.mlp_ratio` is `-1`, expected a positive number",
            ),
            (
                json!({ "global_pool": "map" }),
                "`model_args.global_pool` is `map`, expected `token`, `avg`, `avgmax`, `max` or ``",
            ),
            (json!([1]), "`model_args` is `[1]`, expected an object"),
        ];
        for (args, expected) in cases {
            assert_eq!(
                message(&with_args(args)),
                format!("config.json: {expected}")
            );
        }
    }

    #[test]
    fn contradictions_are_refused() {
        let mut config = published();
        config["global_pool"] = json!("avg");
        assert_eq!(
            message(&config),
            "config.json: `global_pool` is `avg`, expected what `model_args` and the architecture say"
        );
        let mut config = published();
        config["pretrained_cfg"]["fixed_input_size"] = json!(false);
        config["pretrained_cfg"]["input_size"] = json!([3, 256, 256]);
        assert_eq!(
            message(&config),
            "config.json: `input_size` is `[3, 256, 256]`, expected [3, 224, 224], what the network takes"
        );
    }

    #[test]
    fn broken_json_is_named_with_its_place() {
        let error = parse(b"{\n  \"architecture\": ", Path::new("config.json")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "config.json: EOF while parsing a value at line 2 column 18"
        );
        assert_eq!(
            message(&json!([])),
            "config.json: `` is `[]`, expected an object"
        );
        assert_eq!(
            message(&json!({})),
            "config.json: `architecture` is `null`, expected a name"
        );
    }
}
