//! Checkpoints of transformers: `config.json`, `model.safetensors` (or parts of it with an index) and
//! `processor_config.json` or `preprocessor_config.json`.
//!
//! Source: `transformers.models.{clip, siglip, vit, dinov2, dinov2_with_registers, dinov3_vit, aimv2}`, transformers
//! 5.24; AIMv2 also as Apple published it.
//!
//! Files hold what differs from the classes' defaults, so these are here; fields that do not concern features are many
//! and are passed over.

mod processor;

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::backbone::checkpoint::fields::{
    self, COUNT, FLAG, Fields, Kind, NUMBER, RATIO, SIDES, SIZE, SQUARE, as_string, patches_of,
};
use crate::backbone::checkpoint::files::CheckpointFiles;
use crate::backbone::checkpoint::json;
use crate::backbone::checkpoint::location::Lookup;
use crate::backbone::checkpoint::tensor_names::{
    APPLE_AIMV2, TRANSFORMERS_AIMV2, TRANSFORMERS_CLIP, TRANSFORMERS_DINOV3, TRANSFORMERS_VIT,
    TensorNames,
};
use crate::backbone::families::poolings::Poolings;
use crate::backbone::families::vit::{
    Activation, FinalNorm, Mlp, Norm, NormKind, Positions, PrefixPositions, Projection, Resample,
    Rope, TokenPool, VitConfig,
};
use crate::backbone::orgs::vit_base::{VIT_BASE, learned, scaled, with_own_grid};
use crate::backbone::spec::BackboneSpec;
use crate::error::{Error, Message};
use crate::image::Preprocessing;

/// The file that describes a checkpoint.
const CONFIG: &str = "config.json";
/// The file that describes its preprocessing, and that of texts, if transformers 5 wrote it.
const PROCESSOR: &str = "processor_config.json";
/// The file that describes its preprocessing and nothing else.
const PREPROCESSOR: &str = "preprocessor_config.json";
/// The file that holds its weights.
pub const WEIGHTS: &str = "model.safetensors";

/// Finds a checkpoint; a plain name is that of a repository.
///
/// # Errors
/// What is wrong with the name or with the checkpoint's files; errors of the hub.
pub fn resolve(ckpt: &str, lookup: Lookup<'_>) -> Result<BackboneSpec, Error> {
    let files = CheckpointFiles::of(ckpt, lookup, WEIGHTS, |name| Ok(name.to_owned()))?;
    let (config, _) = Config::load(&files)?;
    if config.model_type == "dinov3_vit" {
        files.warn(
            "the image processor of DINOv3 resizes without rounding, here pixels are whole: features differ by up to \
             one level of a pixel",
        );
    }
    config.backbone(&files, preprocessing(&files)?)
}

/// What a checkpoint is.
#[derive(Debug, PartialEq)]
pub struct Config {
    /// The class that the file names.
    pub model_type: String,
    pub network: VitConfig,
    /// How the class pools tokens, if it does.
    head: Option<TokenPool>,
    names: &'static TensorNames,
}

impl Config {
    /// Reads a checkpoint's `config.json`, whose path is for messages.
    pub fn load(files: &CheckpointFiles<'_>) -> Result<(Self, PathBuf), Error> {
        let (value, path) = files.json(CONFIG)?;
        if value.get("architecture").is_some() && value.get("model_type").is_none() {
            let text = format!("{files}: a checkpoint of another library, whose `org` is `timm`");
            let message = Message::request(text).hint("set `model.org = \"timm\"`");
            return Err(message.into());
        }
        Ok((parse(value, &path)?, path))
    }

    /// The backbone with this preprocessing, for images of its size where the network takes any.
    pub fn backbone(
        mut self,
        files: &CheckpointFiles<'_>,
        preprocessing: Preprocessing,
    ) -> Result<BackboneSpec, Error> {
        let takes_any = match self.network.positions {
            None | Some(Positions::SinCos) => true,
            Some(Positions::Learned { resample, .. }) => resample != Resample::Exact,
        };
        if takes_any {
            self.network.img_size = preprocessing.size;
        }
        let architecture = format!("{} of {files}", self.model_type);
        let weights = (files.weights(WEIGHTS)?, self.names);
        let network = self.network;
        let head = self.head.map(|pool| VitConfig {
            pool,
            projection: None,
            ..network
        });
        // Of a CLIP, the class normalises the one token that it picks.
        let tokens = VitConfig {
            final_norm: FinalNorm::Tokens,
            ..network
        };
        let networks = Poolings::of_tokens(network, tokens, head);
        BackboneSpec::of(files, architecture, networks, preprocessing, weights)
    }
}

/// Reads a `config.json`; `path` is for messages.
fn parse(value: Value, path: &Path) -> Result<Config, Error> {
    let mut top = Fields::new(path, "", value)?;
    let models = Kind("a model of transformers", as_string);
    let model_type = top.required("model_type", models)?;
    let architectures = top.take("architectures").unwrap_or_default();
    // A model of two towers nests the one that is taken here, but for the width of its last layer.
    let nested = top.nested("vision_config", "vision_config.")?;
    // Files of old hold this besides, and transformers goes by it.
    let nested_of_old = top.nested("vision_config_dict", "vision_config_dict.")?;
    let projection_dim = top.take("projection_dim");
    let mut nested = nested_of_old.or(nested);
    let is_nested = nested.is_some();
    let fields = nested.as_mut().unwrap_or(&mut top);
    fields.drop_nulls();
    if let Some(dim) = projection_dim {
        fields.put("projection_dim", dim);
    }
    let is_projected = is_nested
        || architectures.as_array().is_some_and(|names| {
            names
                .iter()
                .any(|name| name == "CLIPVisionModelWithProjection")
        });
    let (network, names) = match (model_type.as_str(), is_nested) {
        ("clip", true) | ("clip_vision_model", false) => {
            (clip(fields, is_projected)?, &TRANSFORMERS_CLIP)
        }
        ("siglip", true) | ("siglip_vision_model", false) => (siglip(fields)?, &TRANSFORMERS_CLIP),
        ("vit", false) => (vit(fields)?, &TRANSFORMERS_VIT),
        ("dinov2", false) => (dinov2(fields, false)?, &TRANSFORMERS_VIT),
        ("dinov2_with_registers", false) => (dinov2(fields, true)?, &TRANSFORMERS_VIT),
        ("dinov3_vit", false) => (dinov3(fields)?, &TRANSFORMERS_DINOV3),
        ("aimv2_vision_model", false) => (aimv2(fields)?, &TRANSFORMERS_AIMV2),
        ("aimv2", true) => {
            let mut network = aimv2(fields)?;
            network.projection = Some(projection(fields)?);
            (network, &TRANSFORMERS_AIMV2)
        }
        ("aimv2", false) => (apple_aimv2(fields)?, &APPLE_AIMV2),
        _ => {
            let expected = "`clip` and `siglip` with a `vision_config`, `clip_vision_model`, `siglip_vision_model`, \
                            `vit`, `dinov2`, `dinov2_with_registers`, `dinov3_vit`, `aimv2` or `aimv2_vision_model`";
            return Err(fields::unsupported(path, "model_type", &model_type, expected).into());
        }
    };
    check(&network, fields)?;
    Ok(Config {
        model_type,
        network,
        // An AIMv2 without head gives its tokens.
        head: (network.pool != TokenPool::Max).then_some(network.pool),
        names,
    })
}

/// The last layer of a tower that is compared with another.
fn projection(fields: &mut Fields<'_>) -> Result<Projection, Message> {
    let dim = fields.or(512, "projection_dim", SIZE)?;
    Ok(Projection { dim, bias: false })
}

/// Refuses sizes that do not go together.
fn check(network: &VitConfig, fields: &Fields<'_>) -> Result<(), Message> {
    let (width, heads) = (network.embed_dim, network.num_heads);
    let of_head = if network.rope.is_some() { 4 } else { 1 };
    if !width.is_multiple_of(of_head * heads) {
        let expected = format!("a divisor of the width, {width}");
        return Err(fields.wrong("num_attention_heads", heads, expected));
    }
    match patches_of(network.img_size, network.patch_size) {
        Some(expected) => Err(fields.wrong("patch_size", network.patch_size, expected)),
        None => Ok(()),
    }
}

/// Activations between two layers.
const ACTIVATIONS: &[(&str, Activation)] = &[
    ("gelu", Activation::Gelu),
    ("quick_gelu", Activation::QuickGelu),
    ("gelu_pytorch_tanh", Activation::GeluTanh),
];

/// The activation of a gated layer.
const GATES: &[(&str, Activation)] = &[("silu", Activation::SwiGlu)];

/// Reads what nearly all of these models have in common over what is in `network`; only a gated one stays gated.
fn read(fields: &mut Fields<'_>, mut network: VitConfig) -> Result<VitConfig, Message> {
    fields.set(&mut network.img_size, "image_size", SIDES)?;
    fields.set(&mut network.patch_size, "patch_size", SQUARE)?;
    fields.set(&mut network.embed_dim, "hidden_size", SIZE)?;
    fields.set(&mut network.depth, "num_hidden_layers", SIZE)?;
    fields.set(&mut network.num_heads, "num_attention_heads", SIZE)?;
    fields.set(&mut network.mlp.hidden, "intermediate_size", SIZE)?;
    fields.set(&mut network.norm.eps, "layer_norm_eps", RATIO)?;
    fields.set(&mut network.norm.eps, "rms_norm_eps", RATIO)?;
    fields.set(&mut network.qkv_bias, "qkv_bias", FLAG)?;
    let is_gated = network.mlp.activation == Activation::SwiGlu;
    let activations = if is_gated { GATES } else { ACTIVATIONS };
    fields.choose(&mut network.mlp.activation, "hidden_act", activations)?;
    fields.fixed("num_channels", 3)?;
    Ok(with_own_grid(network))
}

/// A network like a ViT-Base, with this activation and added to variances.
const fn base(activation: Activation, eps: f64) -> VitConfig {
    let mut base = VIT_BASE;
    base.mlp.activation = activation;
    base.norm.eps = eps;
    base
}

/// Learned positions of patches only.
const OF_PATCHES: Option<Positions> = Some(learned(PrefixPositions::None, Resample::Exact));

fn clip(fields: &mut Fields<'_>, is_projected: bool) -> Result<VitConfig, Message> {
    let projection = projection(fields)?;
    let clip = VitConfig {
        patch_size: 32,
        patch_bias: false,
        pre_norm: true,
        final_norm: FinalNorm::Pooled,
        projection: is_projected.then_some(projection),
        ..base(Activation::QuickGelu, 1e-5)
    };
    read(fields, clip)
}

fn siglip(fields: &mut Fields<'_>) -> Result<VitConfig, Message> {
    let siglip = VitConfig {
        class_token: false,
        positions: OF_PATCHES,
        ..base(Activation::GeluTanh, 1e-6)
    };
    let network = read(fields, siglip)?;
    fields.fixed("vision_use_head", true)?;
    Ok(VitConfig {
        pool: TokenPool::Map {
            num_heads: network.num_heads,
            mlp: network.mlp,
        },
        ..network
    })
}

fn vit(fields: &mut Fields<'_>) -> Result<VitConfig, Message> {
    read(fields, base(Activation::Gelu, 1e-12))
}

fn dinov2(fields: &mut Fields<'_>, has_registers: bool) -> Result<VitConfig, Message> {
    let resample = Resample::Bicubic {
        antialias: has_registers,
    };
    let dinov2 = VitConfig {
        layer_scale: true,
        reg_tokens: if has_registers { 4 } else { 0 },
        positions: Some(learned(PrefixPositions::Class, resample)),
        ..VIT_BASE
    };
    let mut network = read(fields, dinov2)?;
    let mlp_ratio = fields.or(4.0, "mlp_ratio", RATIO)?;
    let is_gated = fields.or(false, "use_swiglu_ffn", FLAG)?;
    if has_registers {
        fields.set(&mut network.reg_tokens, "num_register_tokens", COUNT)?;
    }
    network.mlp.hidden = scaled(network.embed_dim, mlp_ratio);
    if is_gated {
        network.mlp.hidden = (network.mlp.hidden * 2 / 3).next_multiple_of(8);
        network.mlp.activation = Activation::SwiGlu;
    }
    Ok(network)
}

fn dinov3(fields: &mut Fields<'_>) -> Result<VitConfig, Message> {
    let is_gated = fields.or(false, "use_gated_mlp", FLAG)?;
    let gate = "silu";
    if is_gated && fields.peek("hidden_act") != Some(&gate.into()) {
        let expected = format!("`{gate}` as `hidden_act`, or `false`");
        return Err(fields.wrong("use_gated_mlp", true, expected));
    }
    let activation = if is_gated {
        Activation::SwiGlu
    } else {
        Activation::Gelu
    };
    let mut dinov3 = VitConfig {
        embed_dim: 384,
        num_heads: 6,
        layer_scale: true,
        positions: None,
        ..base(activation, 1e-5)
    };
    dinov3.mlp.hidden = 1536;
    let mut network = read(fields, dinov3)?;
    let query_bias = fields.or(true, "query_bias", FLAG)?;
    let key_bias = fields.or(false, "key_bias", FLAG)?;
    let value_bias = fields.or(true, "value_bias", FLAG)?;
    fields.set(&mut network.proj_bias, "proj_bias", FLAG)?;
    fields.set(&mut network.mlp.bias, "mlp_bias", FLAG)?;
    if key_bias {
        return Err(fields.wrong("key_bias", true, "`false`"));
    }
    if query_bias != value_bias {
        let expected = format!("what `query_bias` is, `{query_bias}`");
        return Err(fields.wrong("value_bias", value_bias, expected));
    }
    network.qkv_bias = query_bias;
    let mut base = fields.or(100.0, "rope_theta", NUMBER)?;
    if let Some(mut rope) = fields.nested("rope_parameters", "rope_parameters.")? {
        rope.set(&mut base, "rope_theta", NUMBER)?;
    }
    network.rope = Some(Rope::Centered { base });
    fields.set(&mut network.reg_tokens, "num_register_tokens", COUNT)?;
    Ok(network)
}

/// What AIMv2 is in both its layouts: features are the maximum over tokens.
fn aimv2_base(fields: &mut Fields<'_>) -> Result<VitConfig, Message> {
    let network = base(Activation::SwiGlu, 1e-5);
    let aimv2 = VitConfig {
        patch_size: 14,
        embed_dim: 1024,
        depth: 24,
        num_heads: 8,
        mlp: Mlp {
            hidden: 2816,
            ..network.mlp
        },
        norm: Norm {
            kind: NormKind::Rms,
            ..network.norm
        },
        qkv_bias: false,
        class_token: false,
        positions: OF_PATCHES,
        patch_norm: true,
        pool: TokenPool::Max,
        ..network
    };
    read(fields, aimv2)
}

fn aimv2(fields: &mut Fields<'_>) -> Result<VitConfig, Message> {
    let mut network = aimv2_base(fields)?;
    network.mlp.bias = fields.or(false, "mlp_bias", FLAG)?;
    network.proj_bias = network.qkv_bias;
    if fields.or(false, "is_native", FLAG)? {
        network.positions = Some(Positions::SinCos);
    }
    if fields.or(true, "use_head", FLAG)? {
        network.pool = TokenPool::Aim {
            num_heads: network.num_heads,
        };
    }
    Ok(network)
}

fn apple_aimv2(fields: &mut Fields<'_>) -> Result<VitConfig, Message> {
    let mut network = aimv2_base(fields)?;
    network.mlp.bias = fields.or(false, "use_bias", FLAG)?;
    network.proj_bias = network.mlp.bias;
    Ok(network)
}

/// How images become a checkpoint's input: as `processor_config.json` says, if it does.
///
/// Source: `transformers.image_processing_base.ImageProcessingMixin.get_image_processor_dict`.
fn preprocessing(files: &CheckpointFiles<'_>) -> Result<Preprocessing, Error> {
    // A cache that has the other file may have been filled without this one: the hub is not asked for it again.
    let is_wanted = files.holds(PROCESSOR) || !files.holds(PREPROCESSOR);
    if is_wanted && let Some(path) = files.find(PROCESSOR)? {
        let mut value = json::read(&path)?;
        if let Some(nested) = value.get_mut("image_processor") {
            return Ok(processor::preprocessing(
                nested.take(),
                &path,
                "image_processor.",
            )?);
        }
    }
    let (value, path) = files.json(PREPROCESSOR)?;
    Ok(processor::preprocessing(value, &path, "")?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(value: Value) -> String {
        let error = parse(value, Path::new("config.json")).unwrap_err();
        error.to_string()
    }

    #[test]
    fn defaults_are_those_of_the_class() {
        let config = parse(json!({ "model_type": "vit" }), Path::new("config.json")).unwrap();
        let VitConfig {
            embed_dim,
            depth,
            num_heads,
            ..
        } = config.network;
        assert_eq!((embed_dim, depth, num_heads), (768, 12, 12));
    }

    #[test]
    fn images_are_described_by_the_first_file_that_says_something_of_them() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, value: Value| {
            fs_err::write(dir.path().join(name), value.to_string()).unwrap();
        };
        let side = || {
            let dir = dir.path().to_owned();
            let files = CheckpointFiles::local(dir, WEIGHTS, &crate::progress::Silent)?;
            preprocessing(&files).map(|preprocessing| preprocessing.size[0])
        };
        let of_size = |side: usize| json!({ "size": { "height": side, "width": side }, "resample": 3, "image_mean": [0, 0, 0], "image_std": [1, 1, 1] });
        let missing = side().unwrap_err().to_string();
        assert!(missing.contains("preprocessor_config.json"), "{missing}");
        write(
            "processor_config.json",
            json!({ "image_processor": of_size(16) }),
        );
        assert_eq!(side().unwrap(), 16);
        write("preprocessor_config.json", of_size(32));
        assert_eq!(side().unwrap(), 16);
        // As transformers 4 wrote it.
        write(
            "processor_config.json",
            json!({ "processor_class": "CLIPProcessor" }),
        );
        assert_eq!(side().unwrap(), 32);
        let nested = json!({ "image_processor": { "resample": 9 } });
        write("processor_config.json", nested);
        let message = side().unwrap_err().to_string();
        assert!(
            message.ends_with(
                "`image_processor.resample` is `9`, expected a filter of Pillow, 0 to 5"
            ),
            "{message}"
        );
    }

    #[test]
    fn other_models_and_settings_are_refused() {
        for (value, said) in [
            (json!({}), "model_type"),
            (json!([]), "expected an object"),
            (json!({ "model_type": "swin" }), "`swin`"),
            // A tower of its own has no `vision_config`.
            (json!({ "model_type": "vit", "vision_config": {} }), "`vit`"),
            (
                json!({ "model_type": "vit", "hidden_act": "mish" }),
                "`mish`",
            ),
            (
                json!({ "model_type": "vit", "hidden_size": 100 }),
                "a divisor of the width, 100",
            ),
            (
                json!({ "model_type": "vit", "hidden_size": 1e18 }),
                "hidden_size",
            ),
            (
                json!({ "model_type": "vit", "num_attention_heads": 0 }),
                "num_attention_heads",
            ),
            (
                json!({ "model_type": "vit", "layer_norm_eps": "NaN" }),
                "layer_norm_eps",
            ),
            (
                json!({ "model_type": "vit", "image_size": 1, "patch_size": 16 }),
                "patch",
            ),
        ] {
            let message = refused(value.clone());
            assert!(message.starts_with("config.json: "), "{value}: {message}");
            assert!(message.contains(said), "{value}: {message}");
        }
    }
}
