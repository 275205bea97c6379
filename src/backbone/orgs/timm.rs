//! Checkpoints in timm's names: a folder with `config.json` and `model.safetensors`.
//!
//! `config.json` names an architecture, arguments that differ from the architecture's (`model_args`) and the
//! preprocessing (`pretrained_cfg`). Older files have the fields of `pretrained_cfg` at top level.
//!
//! Source: `timm.models._hub`, `timm.models._builder._update_default_model_kwargs` and the arguments of
//! `VisionTransformer`, timm 1.0. A setting of the network or of its images that is not known is refused, as it may
//! change features; what else stands at top level means nothing to timm and is passed over.

pub mod eva_rows;
pub mod names;
mod pretrained_cfg;
pub mod vit;
pub mod vit_rows;

use std::path::Path;

use serde_json::Value;

use self::pretrained_cfg::PretrainedCfg;
pub use self::vit::GlobalPool;
use crate::backbone::checkpoint::fields::{Fields, NAME, as_variant, quoted, wrong_value};
use crate::backbone::checkpoint::files::CheckpointFiles;
use crate::backbone::checkpoint::location::{Lookup, no_prefix};
use crate::backbone::checkpoint::tensor_names;
use crate::backbone::families::poolings::Poolings;
use crate::backbone::families::preset::Data;
use crate::backbone::families::vit::{Mlp, Projection, TokenPool};
use crate::backbone::orgs::architectures::{self, Model};
use crate::backbone::spec::BackboneSpec;
use crate::error::{Error, Message};
use crate::image::Preprocessing;
use crate::text::{Listing, foreign};

/// Finds a checkpoint; a plain name is an architecture, and after a dot a tag.
///
/// # Errors
/// What is wrong with the name or with the checkpoint's files; errors of the hub.
pub fn resolve(ckpt: &str, lookup: Lookup<'_>) -> Result<BackboneSpec, Error> {
    let files = CheckpointFiles::of(ckpt, lookup, WEIGHTS[0], |name| repository(name, lookup))?;
    let (value, path) = files.json("config.json")?;
    let config = parse(value, &path)?;
    for note in &config.notes {
        files.warn(note);
    }
    let weights = (files.weights_of_any_name(WEIGHTS)?, &tensor_names::TIMM);
    let architecture = config.architecture.to_owned();
    BackboneSpec::of(
        &files,
        architecture,
        config.networks,
        config.preprocessing,
        weights,
    )
}

/// What a `config.json` describes.
#[derive(Debug, PartialEq)]
struct Config {
    architecture: &'static str,
    networks: Poolings,
    preprocessing: Preprocessing,
    /// What timm passes over and its writer may have meant.
    notes: Vec<String>,
}

/// The names that timm looks for in a folder, the best first; then it takes any `*.safetensors`.
///
/// Source: `timm.models._hub.load_state_dict_from_path`.
const WEIGHTS: &[&str] = &[
    "model.safetensors",
    "pytorch_model.bin",
    "pytorch_model.pth",
    "model.pth",
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
    "open_clip_pytorch_model.pth",
];

/// What is wanted of a model of timm's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// `forward_features`, and of it what BioBench takes: the first token if there are any before the patches, else
    /// the maximum.
    ///
    /// Source: `biobench.third_party_models.Timm.img_encode`.
    Tokens,
    /// `forward`: pooled as the model says, then the classifier's linear layer, if it has one.
    Classifier {
        /// Outputs of the linear layer.
        dim: Option<usize>,
    },
}

impl Output {
    /// What becomes of tokens, the first `n_prefix` of which are no patches.
    fn pool(self, pool: GlobalPool, n_prefix: usize, num_heads: usize, mlp: Mlp) -> TokenPool {
        match (self, pool) {
            (Self::Classifier { .. }, GlobalPool::Map) => TokenPool::Map { num_heads, mlp },
            (Self::Classifier { .. }, GlobalPool::Avg) => TokenPool::Mean,
            (Self::Classifier { .. }, GlobalPool::Max) => TokenPool::Max,
            (Self::Classifier { .. }, GlobalPool::Token) => TokenPool::First,
            // Others are refused before they come here.
            (Self::Tokens, _) | (Self::Classifier { .. }, GlobalPool::None | GlobalPool::Other) => {
                if n_prefix > 0 {
                    TokenPool::First
                } else {
                    TokenPool::Max
                }
            }
        }
    }

    fn projection(self) -> Option<Projection> {
        match self {
            Self::Tokens => None,
            Self::Classifier { dim } => dim.map(|dim| Projection { dim, bias: true }),
        }
    }
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
    "head_init_scale",
    "rope_shift_coords",
    "rope_jitter_coords",
    "rope_rescale_coords",
];

/// Which checkpoint a bare architecture stands for; made by `tests/golden/make/timm_tags.py`.
const TAGS: &str = include_str!("timm/tags.txt");

/// The repository of the checkpoint that timm knows by `name`, an architecture and after a dot a tag; it may have been
/// renamed.
///
/// # Errors
/// Errors of [`architectures::require`]; whether there is such a tag, the hub knows.
fn repository(name: &str, lookup: Lookup<'_>) -> Result<String, Error> {
    if name.contains(['/', ':']) {
        return Err(no_prefix(name, lookup).into());
    }
    let current = names::current(name);
    let known = current.as_deref().unwrap_or(name);
    let architecture = known.split('.').next().unwrap_or_default();
    architectures::require(architecture, "`model.ckpt`")?;
    if let Some(current) = &current {
        let name = foreign(name);
        lookup.progress.warn(&format!(
            "`{name}` is a former name of timm's, taken as `{current}`"
        ));
    }
    let tag = TAGS
        .lines()
        .filter_map(|line| line.split_once(' '))
        .find(|(bare, _)| *bare == known);
    Ok(match tag {
        Some((_, tag)) => format!("timm/{known}.{tag}"),
        None => format!("timm/{known}"),
    })
}

/// Reads a `config.json`; `path` is for messages.
fn parse(value: Value, path: &Path) -> Result<Config, Error> {
    let mut top = Fields::new(path, "", value)?;
    let name = top.required("architecture", NAME)?;
    let args = top.nested("model_args", "model_args.")?;
    let cfg = top.nested("pretrained_cfg", "pretrained_cfg.")?;
    let repeated_pool = if cfg.is_some() {
        top.take("global_pool")
    } else {
        None
    };
    top.drop_all(TOP_LEVEL_NOTES);
    let mut notes = Vec::new();
    let PretrainedCfg {
        mut data,
        mut fixed_input_size,
        global_pool,
    } = match cfg {
        Some(cfg) => {
            notes.extend(passed_over(&top));
            PretrainedCfg::read(cfg)?
        }
        None => PretrainedCfg::read(top)?,
    };

    let architecture = architectures::require(&name, &path.display().to_string())?;
    let mut model = architecture.model;
    if let Some(given) = global_pool {
        *model.global_pool() = given;
    }
    let is_dynamic = |args: &Fields<'_>| args.peek("dynamic_img_size") == Some(&true.into());
    if args.as_ref().is_some_and(is_dynamic) {
        // The network keeps positions of its own size, and makes them fit images as they come.
        fixed_input_size = false;
    }
    if fixed_input_size {
        model.set_img_size(data.size);
    }
    if let Some(mut args) = args {
        model.override_args(&mut args)?;
        args.drop_all(ARGS_WITHOUT_EFFECT);
        args.finish()?;
    }
    if let Some(size) = model.img_size()
        && fixed_input_size
    {
        data.size = size;
    }
    check(&model, &data, path)?;
    if let (Some(value), Model::Vit(args)) = (repeated_pool, &model)
        && as_variant(&value) != Some(args.global_pool)
    {
        notes.push(format!(
            "`global_pool` at top level of `config.json` is `{}`, but timm goes by `model_args` and the architecture",
            foreign(&quoted(&value))
        ));
    }
    Ok(Config {
        architecture: architecture.name,
        networks: model.poolings(data.size),
        preprocessing: data.preprocessing(),
        notes,
    })
}

/// What is said of keys at top level that timm does not know.
fn passed_over(top: &Fields<'_>) -> Option<String> {
    let keys = Listing::first(3, top.keys().map(|key| format!("`{}`", foreign(key))));
    (!keys.is_empty()).then(|| format!("timm passes over {keys} of `config.json`"))
}

/// Refuses a file whose settings contradict each other.
fn check(model: &Model, data: &Data, path: &Path) -> Result<(), Message> {
    if let Some((key, found, expected)) = model.contradiction(data.size) {
        return Err(wrong_value(path, key, found, &expected));
    }
    if let Some(size @ [height, width]) = model.img_size()
        && data.size != size
    {
        let found = format!("[3, {}, {}]", data.size[0], data.size[1]);
        let expected = format!("[3, {height}, {width}], what the network takes");
        return Err(wrong_value(path, "input_size", found, &expected));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
