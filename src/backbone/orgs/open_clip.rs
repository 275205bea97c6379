//! Checkpoints of `open_clip`: `open_clip_config.json` and `open_clip_model.safetensors`, of which the visual tower is
//! taken, and the names of its own checkpoints.
//!
//! Source: `open_clip.model._build_vision_tower`, `open_clip.timm_model.TimmModel`,
//! `open_clip.transformer.VisionTransformer` and `open_clip.pretrained`, `open_clip` 3.3.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::backbone::checkpoint::fields::{
    self, CHANNELS, FLAG, Fields, INTERPOLATION, Kind, NAME, RATIO, SIDES, SIZE, SQUARE, STD,
    as_size, as_string, as_variant, patches_of,
};
use crate::backbone::checkpoint::files::CheckpointFiles;
use crate::backbone::checkpoint::location::{self, Location, Lookup};
use crate::backbone::checkpoint::tensor_names::{self, TensorNames};
use crate::backbone::families::poolings::Poolings;
use crate::backbone::families::preset::OPENAI_CLIP;
use crate::backbone::families::vit::{Activation, FinalNorm, Projection, TokenPool, VitConfig};
use crate::backbone::orgs::architectures::{self, Model};
use crate::backbone::orgs::timm::{GlobalPool, Output};
use crate::backbone::orgs::vit_base::{VIT_BASE, scaled, with_own_grid};
use crate::backbone::spec::BackboneSpec;
use crate::error::{Error, Message};
use crate::image::{Interpolation, OpenClipResize, Preprocessing};
use crate::text::foreign;

/// The file that describes a checkpoint.
const CONFIG: &str = "open_clip_config.json";
/// The names that `open_clip` looks for in a folder, the best first; then it takes any `*.safetensors`.
///
/// Source: `open_clip.factory._find_checkpoint_in_dir`.
const WEIGHTS: &[&str] = &[
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
    "open_clip_pytorch_model.pth",
    "model.safetensors",
    "pytorch_model.bin",
    "pytorch_model.pth",
    "model.pth",
];

/// Finds a checkpoint; a plain name is `ARCHITECTURE/TAG`.
///
/// # Errors
/// What is wrong with the name or with the checkpoint's files; errors of the hub.
pub fn resolve(ckpt: &str, lookup: Lookup<'_>) -> Result<BackboneSpec, Error> {
    let (architecture, files, tower, paths) = if let Location::Name(name) = Location::of(ckpt) {
        let ((row, tower, is_other_activation), revision) = location::named(name, lookup, find)?;
        if is_other_activation {
            lookup.progress.warn(&format!(
                "`{}` was trained with QuickGELU and runs with GELU, as in open_clip; its `-quickgelu` architecture has \
                 the other",
                foreign(ckpt)
            ));
        }
        let files = CheckpointFiles::hub(&row.repo, revision, lookup)?;
        let architecture = ckpt.split('/').next().unwrap_or_default();
        let paths = files.weights(row.file.as_deref().unwrap_or(WEIGHTS[0]))?;
        (architecture, files, tower, paths)
    } else {
        let files = CheckpointFiles::of(ckpt, lookup, WEIGHTS[0], |name| Ok(name.to_owned()))?;
        let (value, path) = files.json(CONFIG)?;
        let tower = parse(value, &path)?;
        let paths = files.weights_of_any_name(WEIGHTS)?;
        (ckpt, files, tower, paths)
    };
    BackboneSpec::of(
        &files,
        architecture.to_owned(),
        tower.networks,
        tower.preprocessing,
        (paths, tower.names),
    )
}

/// A checkpoint's visual tower.
#[derive(Debug, PartialEq)]
struct Tower {
    networks: Poolings,
    preprocessing: Preprocessing,
    names: &'static TensorNames,
}

/// Reads an `open_clip_config.json`; `path` is for messages.
fn parse(value: Value, path: &Path) -> Result<Tower, Error> {
    let mut top = Fields::new(path, "", value)?;
    let preprocess = top.nested("preprocess_cfg", "preprocess_cfg.")?;
    let model = top.required_object("model_cfg", "model_cfg.")?;
    read(model, preprocess, path)
}

/// Checkpoints that `open_clip` knows by name, and what they have in common.
#[derive(Deserialize)]
struct Names {
    models: BTreeMap<String, Value>,
    preprocessing: BTreeMap<String, Value>,
    checkpoints: Vec<Row>,
}

/// A checkpoint that `open_clip` knows by name.
#[derive(Deserialize)]
struct Row {
    model: String,
    tag: String,
    repo: String,
    /// The file with its weights, where it has another name than most.
    file: Option<String>,
    preprocessing: String,
    /// Whether it was trained with OpenAI's activation.
    #[serde(default)]
    quick_gelu: bool,
}

/// Made by `tests/golden/make/open_clip_names.py`.
const NAMES: &str = include_str!("open_clip/names.json");

/// Finds the checkpoint that `open_clip` calls `architecture/tag`, and whether it was trained with OpenAI's activation
/// and its architecture has another.
fn find(ckpt: &str) -> Result<(Row, Tower, bool), Error> {
    let mut names: Names = serde_json::from_str(NAMES)?;
    let name_of = |row: &Row| format!("{}/{}", row.model, row.tag);
    // `open_clip` takes tags in any case and with dashes.
    let wanted = ckpt
        .split_once('/')
        .map_or(ckpt.to_owned(), |(model, tag)| {
            format!("{model}/{}", tag.to_lowercase().replace('-', "_"))
        });
    let place = names
        .checkpoints
        .iter()
        .position(|row| name_of(row) == wanted);
    let Some(row) = place.map(|place| names.checkpoints.swap_remove(place)) else {
        let known: Vec<_> = names.checkpoints.iter().map(name_of).collect();
        let nearest = architectures::nearest(ckpt, known.iter().map(String::as_str));
        return Err(location::unknown(ckpt, "open_clip", &nearest).into());
    };
    let model = names.models.remove(&row.model).unwrap_or_default();
    let preprocess = names.preprocessing.remove(&row.preprocessing);
    let is_other_activation = row.quick_gelu && model["quick_gelu"] != true;
    let place = Path::new("open_clip");
    let preprocess = Fields::new(place, "", preprocess.unwrap_or_default())?;
    let tower = read(Fields::new(place, "", model)?, Some(preprocess), place)?;
    Ok((row, tower, is_other_activation))
}

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

/// What a tower's images and tokens are, and how many outputs its projection has.
fn read(
    mut model: Fields<'_>,
    preprocess: Option<Fields<'_>>,
    path: &Path,
) -> Result<Tower, Error> {
    let output_dim = model.required("embed_dim", SIZE)?;
    let quick_gelu = model.or(false, "quick_gelu", FLAG)?;
    let mut vision = model.required_object("vision_cfg", "vision_cfg.")?;
    let size = vision.or([224; 2], "image_size", SIDES)?;
    let names = Kind(NAME.0, |value| Some(as_string(value)));
    let (networks, names) = if let Some(name) = vision.or(None, "timm_model_name", names)? {
        let tower = timm_tower(&mut vision, &name, output_dim, path)?;
        (tower, &tensor_names::OPEN_CLIP_TIMM)
    } else {
        vision.drop_nulls();
        let tower = own_tower(&mut vision, size, output_dim, quick_gelu)?;
        let head = VitConfig {
            projection: None,
            ..tower
        };
        let mut tokens = tower;
        if tokens.final_norm == FinalNorm::Pooled {
            // `output_tokens` gives them as they come from the last block.
            tokens.final_norm = FinalNorm::None;
        }
        let networks = Poolings::of_tokens(tower, tokens, Some(head));
        (networks, &tensor_names::OPEN_CLIP)
    };
    vision.drop_nulls();
    vision.drop_all(WITHOUT_EFFECT);
    vision.finish()?;
    Ok(Tower {
        networks,
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
) -> Result<Poolings, Error> {
    let architecture = architectures::require(name, &path.display().to_string())?;
    let mut pool = GlobalPool::Avg;
    let pools = [
        ("map", GlobalPool::Map),
        ("avg", GlobalPool::Avg),
        ("token", GlobalPool::Token),
    ];
    vision.choose(&mut pool, "timm_pool", &pools)?;
    // `null` and an empty text leave the projection to timm; nothing at all is `linear`.
    let proj = vision.take("timm_proj").unwrap_or_else(|| "linear".into());
    let has_classifier = match proj.as_str() {
        None if proj.is_null() => true,
        Some("") => true,
        Some("none") => false,
        _ => {
            return Err(vision
                .unsupported("timm_proj", &proj, "`none` or `null`")
                .into());
        }
    };
    vision.fixed("timm_proj_bias", false)?;
    vision.drop_all(OWN_TOWER);
    let Model::Vit(mut args) = architecture.model else {
        let key = "vision_cfg.timm_model_name";
        let expected = "a Vision Transformer";
        return Err(fields::unsupported(path, key, architecture.name, expected).into());
    };
    args.global_pool = pool;
    let made_for = architecture.model.img_size();
    let size = made_for.unwrap_or(architecture.data.size);
    let dim = has_classifier.then_some(output_dim);
    Ok(Poolings::of_tokens(
        args.network(size, Output::Classifier { dim }),
        args.network(size, Output::Tokens),
        args.head(size),
    ))
}

/// A tower that `open_clip` builds itself.
fn own_tower(
    vision: &mut Fields<'_>,
    img_size: [usize; 2],
    output_dim: usize,
    quick_gelu: bool,
) -> Result<VitConfig, Message> {
    let mut tower = VitConfig {
        img_size,
        patch_bias: false,
        projection: Some(Projection {
            dim: output_dim,
            bias: false,
        }),
        ..VIT_BASE
    };
    tower.norm.eps = 1e-5;
    tower.norm.casts_back = true;
    if quick_gelu {
        tower.mlp.activation = Activation::QuickGelu;
    }
    let blocks = Kind("a number of blocks", as_size);
    vision.set_supported(&mut tower.depth, "layers", blocks)?;
    vision.set(&mut tower.embed_dim, "width", SIZE)?;
    let head_width = vision.or(64, "head_width", SIZE)?;
    vision.set(&mut tower.patch_size, "patch_size", SQUARE)?;
    let mlp_ratio = vision.or(4.0, "mlp_ratio", RATIO)?;
    let scales = Kind("a number", |value| value.as_f64().map(|_| true));
    vision.set(&mut tower.layer_scale, "ls_init_value", scales)?;
    tower.pre_norm = !vision.or(false, "no_ln_pre", FLAG)?;
    if vision.or(false, "final_ln_after_pool", FLAG)? {
        tower.final_norm = FinalNorm::Pooled;
    }
    let pools = [("tok", TokenPool::First), ("avg", TokenPool::Mean)];
    vision.choose(&mut tower.pool, "pool_type", &pools)?;
    if let Some(mut norm) = vision.nested("norm_kwargs", "vision_cfg.norm_kwargs.")? {
        norm.set(&mut tower.norm.eps, "eps", RATIO)?;
        norm.finish()?;
    }
    if let Some(mut act) = vision.nested("act_kwargs", "vision_cfg.act_kwargs.")? {
        let kinds = [("none", Activation::Gelu), ("tanh", Activation::GeluTanh)];
        act.choose(&mut tower.mlp.activation, "approximate", &kinds)?;
        act.finish()?;
    }
    refuse_other_towers(vision)?;

    let width = tower.embed_dim;
    tower.mlp.hidden = scaled(width, mlp_ratio);
    tower.num_heads = width / head_width;
    if tower.num_heads == 0 || !width.is_multiple_of(tower.num_heads) {
        let expected = format!("a divisor of the width, {width}");
        return Err(vision.wrong("head_width", head_width, expected));
    }
    if let Some(expected) = patches_of(img_size, tower.patch_size) {
        return Err(vision.wrong("patch_size", tower.patch_size, expected));
    }
    Ok(with_own_grid(tower))
}

/// Refuses settings that ask for another network than `vit.rs` has.
fn refuse_other_towers(vision: &mut Fields<'_>) -> Result<(), Message> {
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
        vision.fixed(key, false)?;
    }
    Ok(())
}

/// The transform for evaluation; what `preprocess_cfg` has no value for is as OpenAI's CLIP has it.
///
/// Source: `open_clip.transform.PreprocessCfg` and `merge_preprocess_dict`, which ignores unknown keys; `size` is the
/// tower's, whatever the file says.
fn preprocessing(cfg: Option<Fields<'_>>, size: [usize; 2]) -> Result<Preprocessing, Message> {
    let (mut mean, mut std) = OPENAI_CLIP;
    let mut interpolation = Interpolation::Bicubic;
    let mut resize = OpenClipResize::Shortest;
    let mut fill = 0_u8;
    if let Some(mut cfg) = cfg {
        cfg.drop_nulls();
        cfg.fixed("mode", "RGB")?;
        cfg.set(&mut mean, "mean", CHANNELS)?;
        cfg.set(&mut std, "std", STD)?;
        cfg.set(&mut interpolation, "interpolation", INTERPOLATION)?;
        let modes = Kind("`shortest`, `longest` or `squash`", as_variant);
        cfg.set(&mut resize, "resize_mode", modes)?;
        let shades = Kind("a number from 0 to 255", |value| {
            u8::try_from(value.as_u64()?).ok()
        });
        cfg.set(&mut fill, "fill_color", shades)?;
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
            Ok(tower) => format!("taken: {tower:?}"),
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
            find("ViT-B-16/openai").unwrap(),
            find("ViT-B-16/OpenAI").unwrap(),
        );
        assert_eq!((a.0.repo, a.1), (b.0.repo, b.1));
    }
}
