//! Checkpoints of `open_clip`: `open_clip_config.json` and `open_clip_model.safetensors`, of which the visual tower is
//! taken, and the names of its own checkpoints.
//!
//! Source: `open_clip.model._build_vision_tower`, `open_clip.timm_model.TimmModel`,
//! `open_clip.transformer.VisionTransformer` and `open_clip.pretrained`, `open_clip` 3.3.

use std::path::Path;

use serde_json::Value;

use crate::backbone::checkpoint::fields::{
    FLAG, Fields, INTERPOLATIONS, SIZE, STD, as_channels, as_ratio, as_sides, as_size, as_square,
    as_std, as_string, as_variant, patches_of,
};
use crate::backbone::checkpoint::tensor_names::{self, TensorNames};
use crate::backbone::error::Error;
use crate::backbone::families::NetworkConfig;
use crate::backbone::families::preset::OPENAI_CLIP;
use crate::backbone::families::vit::{
    Activation, FinalNorm, Mlp, Norm, NormKind, Pool, Positions, PrefixPositions, Projection,
    Resample, VitConfig,
};
use crate::backbone::orgs::architectures;
use crate::backbone::orgs::timm::{GlobalPool, Output};
use crate::image::{Interpolation, OpenClipResize, Preprocessing};

/// The file that describes a checkpoint.
pub const CONFIG: &str = "open_clip_config.json";
/// The names that `open_clip` looks for in a folder, the best first; then it takes any `*.safetensors`.
///
/// Source: `open_clip.factory._find_checkpoint_in_dir`.
pub const WEIGHTS: &[&str] = &[
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
    "open_clip_pytorch_model.pth",
    "model.safetensors",
    "pytorch_model.bin",
    "pytorch_model.pth",
    "model.pth",
];

/// What a checkpoint's visual tower is.
#[derive(Debug, PartialEq)]
pub struct Config {
    pub network: NetworkConfig,
    pub preprocessing: Preprocessing,
    pub names: &'static TensorNames,
}

/// Reads an `open_clip_config.json`; `path` is for messages.
pub fn parse(value: Value, path: &Path) -> Result<Config, Error> {
    let mut top = Fields::new(path, "", value)?;
    let preprocess = top.nested("preprocess_cfg", "preprocess_cfg.")?;
    match top.nested("model_cfg", "model_cfg.")? {
        Some(model) => read(model, preprocess, path),
        None => Err(top.wrong("model_cfg", "null".to_owned(), "an object".to_owned())),
    }
}

/// One of the checkpoints that `open_clip` knows by name.
#[derive(Debug)]
pub struct Named {
    /// Its repository on the hub.
    pub repo: String,
    /// The file with its weights.
    pub file: String,
    pub config: Config,
    /// Whether the weights were trained with OpenAI's activation, and the architecture has another.
    pub is_other_activation: bool,
}

/// Finds the checkpoint that `open_clip` calls `architecture/tag`.
pub fn named(ckpt: &str) -> Result<Named, Error> {
    let place = Path::new("open_clip");
    let names: Value = serde_json::from_str(NAMES).map_err(|source| Error::Json {
        path: place.to_owned(),
        source,
    })?;
    let unknown = |nearest: Vec<&str>| Error::UnknownCheckpoint {
        ckpt: ckpt.to_owned(),
        library: "open_clip",
        nearest: nearest.into_iter().map(str::to_owned).collect(),
    };
    let checkpoints = names["checkpoints"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let text = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
    let known: Vec<String> = checkpoints
        .iter()
        .map(|row| format!("{}/{}", text(row, "model"), text(row, "tag")))
        .collect();
    // `open_clip` takes tags in any case and with dashes.
    let wanted = ckpt
        .split_once('/')
        .map_or(ckpt.to_owned(), |(model, tag)| {
            format!("{model}/{}", tag.to_lowercase().replace('-', "_"))
        });
    let Some(place_of_row) = known.iter().position(|name| *name == wanted) else {
        return Err(unknown(architectures::nearest(
            ckpt,
            known.iter().map(String::as_str),
        )));
    };
    let row = &checkpoints[place_of_row];
    let model = names["models"][text(row, "model")].clone();
    let is_quick = |value: &Value| value["quick_gelu"].as_bool() == Some(true);
    let is_other_activation = is_quick(row) && !is_quick(&model);
    let preprocess = names["preprocessing"][text(row, "preprocessing")].clone();
    let config = read(
        Fields::new(place, "", model)?,
        Some(Fields::new(place, "", preprocess)?),
        place,
    )?;
    let file = text(row, "file");
    Ok(Named {
        repo: text(row, "repo"),
        file: if file.is_empty() {
            WEIGHTS[0].to_owned()
        } else {
            file
        },
        config,
        is_other_activation,
    })
}

/// Made by `tests/golden/make/open_clip_names.py`.
const NAMES: &str = include_str!("open_clip/names.json");

/// Settings of `vision_cfg` for training, or for what is not taken of the tower.
const WITHOUT_EFFECT: &[&str] = &[
    "patch_dropout",
    "timm_model_pretrained",
    "timm_drop",
    "timm_drop_path",
    "output_tokens",
    "attn_pooler_queries",
    "attn_pooler_heads",
    "block_type",
];

/// Settings of a tower that `open_clip` builds itself: on one of timm's they do nothing.
const OWN_TOWER: &[&str] = &[
    "layers",
    "width",
    "head_width",
    "patch_size",
    "mlp_ratio",
    "ls_init_value",
    "no_ln_pre",
    "final_ln_after_pool",
    "pool_type",
    "pos_embed_type",
    "attentional_pool",
    "norm_kwargs",
    "act_kwargs",
];

fn read(
    mut model: Fields<'_>,
    preprocess: Option<Fields<'_>>,
    path: &Path,
) -> Result<Config, Error> {
    let output_dim = model.required("embed_dim", SIZE, as_size)?;
    let mut quick_gelu = false;
    model.set(&mut quick_gelu, "quick_gelu", FLAG, Value::as_bool)?;
    let Some(mut vision) = model.nested("vision_cfg", "vision_cfg.")? else {
        return Err(model.wrong("vision_cfg", "null".to_owned(), "an object".to_owned()));
    };
    let mut size = [224; 2];
    vision.set(&mut size, "image_size", "a size in pixels", as_sides)?;
    let mut timm_name = None;
    vision.set(&mut timm_name, "timm_model_name", "a name", |value| {
        Some(as_string(value))
    })?;
    let (network, names) = if let Some(name) = timm_name {
        let tower = timm_tower(&mut vision, &name, output_dim, path)?;
        (tower, &tensor_names::OPEN_CLIP_TIMM)
    } else {
        vision.drop_nulls();
        let tower = own_tower(&mut vision, size, output_dim, quick_gelu)?;
        (NetworkConfig::Vit(tower), &tensor_names::OPEN_CLIP)
    };
    vision.drop_nulls();
    vision.drop_all(WITHOUT_EFFECT);
    vision.finish()?;
    Ok(Config {
        network,
        preprocessing: preprocessing(preprocess, size)?,
        names,
    })
}

/// A tower that timm builds. Its images have the size that timm's name stands for.
fn timm_tower(
    vision: &mut Fields<'_>,
    name: &str,
    output_dim: usize,
    path: &Path,
) -> Result<NetworkConfig, Error> {
    let architecture = architectures::require(name, &path.display().to_string())?;
    let mut pool = GlobalPool::Avg;
    let pools = "`map`, `avg` or `token`";
    vision.set_supported(&mut pool, "timm_pool", pools, |value| {
        match value.as_str()? {
            "map" => Some(GlobalPool::Map),
            "avg" => Some(GlobalPool::Avg),
            "token" => Some(GlobalPool::Token),
            _ => None,
        }
    })?;
    // `null` and an empty text leave the projection to timm; nothing at all is `linear`.
    let proj = vision.take("timm_proj").unwrap_or_else(|| "linear".into());
    let has_classifier = match proj.as_str() {
        None if proj.is_null() => true,
        Some("") => true,
        Some("none") => false,
        _ => return Err(vision.unsupported("timm_proj", &proj, "`none` or `null`")),
    };
    vision.only("timm_proj_bias", "`false`", |value| {
        value.as_bool() == Some(false)
    })?;
    vision.drop_all(OWN_TOWER);
    let mut model = architecture.model;
    let Some(global_pool) = model.global_pool() else {
        return Err(Error::UnsupportedArgument {
            path: path.to_owned(),
            key: "vision_cfg.timm_model_name".to_owned(),
            found: architecture.name.to_owned(),
            expected: "a Vision Transformer".to_owned(),
        });
    };
    *global_pool = pool;
    let size = model.img_size().unwrap_or([architecture.data.size; 2]);
    let dim = has_classifier.then_some(output_dim);
    Ok(model.network(size, Output::Classifier { dim }))
}

/// Settings of a tower that `open_clip` builds itself, by their names there.
struct Tower {
    layers: usize,
    width: usize,
    head_width: usize,
    patch_size: usize,
    mlp_ratio: f64,
    ls_init_value: bool,
    no_ln_pre: bool,
    final_ln_after_pool: bool,
    pool: Pool,
    eps: f64,
    activation: Activation,
}

impl Tower {
    fn read(vision: &mut Fields<'_>, quick_gelu: bool) -> Result<Self, Error> {
        let mut tower = Self {
            layers: 12,
            width: 768,
            head_width: 64,
            patch_size: 16,
            mlp_ratio: 4.0,
            ls_init_value: false,
            no_ln_pre: false,
            final_ln_after_pool: false,
            pool: Pool::First,
            eps: 1e-5,
            activation: if quick_gelu {
                Activation::QuickGelu
            } else {
                Activation::Gelu
            },
        };
        vision.set_supported(&mut tower.layers, "layers", "a number of blocks", as_size)?;
        vision.set(&mut tower.width, "width", SIZE, as_size)?;
        vision.set(&mut tower.head_width, "head_width", SIZE, as_size)?;
        let pixels = "a size in pixels";
        vision.set(&mut tower.patch_size, "patch_size", pixels, as_square)?;
        let positive = "a positive number";
        vision.set(&mut tower.mlp_ratio, "mlp_ratio", positive, as_ratio)?;
        vision.set(
            &mut tower.ls_init_value,
            "ls_init_value",
            "a number",
            |value| value.as_f64().map(|_| true),
        )?;
        for (flag, key) in [
            (&mut tower.no_ln_pre, "no_ln_pre"),
            (&mut tower.final_ln_after_pool, "final_ln_after_pool"),
        ] {
            vision.set(flag, key, FLAG, Value::as_bool)?;
        }
        let pools = "`tok` or `avg`";
        vision.set_supported(&mut tower.pool, "pool_type", pools, |value| {
            match value.as_str()? {
                "tok" => Some(Pool::First),
                "avg" => Some(Pool::Mean),
                _ => None,
            }
        })?;
        if let Some(mut norm) = vision.nested("norm_kwargs", "vision_cfg.norm_kwargs.")? {
            norm.set(&mut tower.eps, "eps", positive, as_ratio)?;
            norm.finish()?;
        }
        if let Some(mut act) = vision.nested("act_kwargs", "vision_cfg.act_kwargs.")? {
            let kinds = "`none` or `tanh`";
            act.set_supported(
                &mut tower.activation,
                "approximate",
                kinds,
                |value| match value.as_str()? {
                    "none" => Some(Activation::Gelu),
                    "tanh" => Some(Activation::GeluTanh),
                    _ => None,
                },
            )?;
            act.finish()?;
        }
        refuse_other_towers(vision)?;
        Ok(tower)
    }
}

/// Refuses settings that ask for another network than `vit.rs` has.
fn refuse_other_towers(vision: &mut Fields<'_>) -> Result<(), Error> {
    // Positions are in the file, however they were made.
    vision.only("pos_embed_type", "`learnable` or `sin_cos_2d`", |value| {
        value == "learnable" || value == "sin_cos_2d"
    })?;
    for key in [
        "attentional_pool",
        "qk_norm",
        "scaled_cosine_attn",
        "scale_heads",
        "scale_attn_inner",
        "scale_attn",
        "scale_fc",
    ] {
        vision.only(key, "`false`", |value| value.as_bool() == Some(false))?;
    }
    Ok(())
}

/// A tower that `open_clip` builds itself.
fn own_tower(
    vision: &mut Fields<'_>,
    img_size: [usize; 2],
    output_dim: usize,
    quick_gelu: bool,
) -> Result<VitConfig, Error> {
    let tower = Tower::read(vision, quick_gelu)?;
    let Tower {
        width, patch_size, ..
    } = tower;
    let wrong = |key: &str, found: usize, expected: String| {
        Err(vision.wrong(key, found.to_string(), expected))
    };
    let num_heads = width / tower.head_width;
    if num_heads == 0 || !width.is_multiple_of(num_heads) {
        let expected = format!("a divisor of the width, {width}");
        return wrong("head_width", tower.head_width, expected);
    }
    if let Some(expected) = patches_of(img_size, patch_size) {
        return wrong("patch_size", patch_size, expected);
    }
    Ok(VitConfig {
        img_size,
        patch_size,
        embed_dim: width,
        depth: tower.layers,
        num_heads,
        mlp: Mlp {
            hidden: crate::backbone::orgs::timm::vit::scaled(width, tower.mlp_ratio),
            activation: tower.activation,
            bias: true,
        },
        norm: Norm {
            kind: NormKind::Layer,
            eps: tower.eps,
            casts_back: true,
        },
        qkv_bias: true,
        proj_bias: true,
        qk_norm: false,
        layer_scale: tower.ls_init_value,
        class_token: true,
        reg_tokens: 0,
        positions: Some(Positions::Learned {
            prefix: PrefixPositions::All,
            grid: img_size.map(|side| side / patch_size),
            resample: Resample::Exact,
        }),
        rope: None,
        patch_bias: false,
        patch_norm: false,
        pre_norm: !tower.no_ln_pre,
        final_norm: if tower.final_ln_after_pool {
            FinalNorm::Pooled
        } else {
            FinalNorm::Tokens
        },
        pool: tower.pool,
        projection: Some(Projection {
            dim: output_dim,
            bias: false,
        }),
    })
}

/// The transform for evaluation; what `preprocess_cfg` has no value for is as OpenAI's CLIP has it.
///
/// Source: `open_clip.transform.PreprocessCfg` and `merge_preprocess_dict`, which ignores unknown keys; `size` is the
/// tower's, whatever the file says.
fn preprocessing(cfg: Option<Fields<'_>>, size: [usize; 2]) -> Result<Preprocessing, Error> {
    let (mut mean, mut std) = OPENAI_CLIP;
    let mut interpolation = Interpolation::Bicubic;
    let mut resize = OpenClipResize::Shortest;
    let mut fill = 0_u8;
    if let Some(mut cfg) = cfg {
        cfg.drop_nulls();
        cfg.only("mode", "`RGB`", |value| value == "RGB")?;
        cfg.set(&mut mean, "mean", "three numbers", as_channels)?;
        cfg.set(&mut std, "std", STD, as_std)?;
        cfg.set(
            &mut interpolation,
            "interpolation",
            INTERPOLATIONS,
            as_variant,
        )?;
        let modes = "`shortest`, `longest` or `squash`";
        cfg.set(&mut resize, "resize_mode", modes, as_variant)?;
        cfg.set(&mut fill, "fill_color", "a number from 0 to 255", |value| {
            u8::try_from(value.as_u64()?).ok()
        })?;
    }
    Ok(Preprocessing::open_clip(
        size,
        resize,
        interpolation,
        fill,
        mean,
        std,
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What is said of a tower with these settings besides its size.
    fn refused(vision: &Value) -> String {
        let mut tower = json!({ "image_size": 32, "patch_size": 16, "width": 64, "layers": 2, "head_width": 32 });
        if let (Some(tower), Some(vision)) = (tower.as_object_mut(), vision.as_object()) {
            tower.extend(vision.clone());
        }
        let config = json!({ "model_cfg": { "embed_dim": 16, "vision_cfg": tower } });
        match parse(config, Path::new("open_clip_config.json")) {
            Ok(config) => format!("taken: {config:?}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn plain_tower_is_taken() {
        assert!(refused(&json!({})).starts_with("taken: "));
    }

    #[test]
    fn what_a_tower_cannot_be_is_refused() {
        for (vision, said) in [
            (json!({ "layers": [3, 4, 6, 3] }), "layers"),
            (json!({ "width": 1e18 }), "width"),
            (json!({ "head_width": 20 }), "head_width"),
            (json!({ "patch_size": 0 }), "patch_size"),
            (json!({ "patch_size": 64 }), "patch_size"),
            (json!({ "attentional_pool": true }), "attentional_pool"),
            (json!({ "pool_type": "sum" }), "`sum`"),
            (json!({ "a_new_setting": 1 }), "a_new_setting"),
            (
                json!({ "timm_model_name": "vit_tiny_patch16_225" }),
                "`vit_tiny_patch16_225`",
            ),
        ] {
            let message = refused(&vision);
            assert!(
                message.starts_with("open_clip_config.json: "),
                "{vision}: {message}"
            );
            assert!(message.contains(said), "{vision}: {message}");
        }
    }

    #[test]
    fn file_without_a_tower_is_refused() {
        for value in [
            json!([]),
            json!({}),
            json!({ "model_cfg": {} }),
            json!({ "model_cfg": { "embed_dim": 16 } }),
        ] {
            let message = parse(value.clone(), Path::new("open_clip_config.json"))
                .unwrap_err()
                .to_string();
            assert!(
                message.starts_with("open_clip_config.json: "),
                "{value}: {message}"
            );
        }
    }

    #[test]
    fn tags_are_known_in_any_case() {
        let (a, b) = (
            named("ViT-B-16/openai").unwrap(),
            named("ViT-B-16/OpenAI").unwrap(),
        );
        assert_eq!((a.repo, a.config), (b.repo, b.config));
    }
}
