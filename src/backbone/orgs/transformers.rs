//! Checkpoints of transformers: `config.json`, `model.safetensors` (or parts of it with an index) and
//! `processor_config.json` or `preprocessor_config.json`.
//!
//! Source: `transformers.models.{clip, siglip, vit, dinov2, dinov2_with_registers, dinov3_vit, aimv2}`, transformers
//! 5.24; AIMv2 also as Apple published it.
//!
//! Files hold what differs from the classes' defaults, so these are here; fields that do not concern features are many
//! and are passed over.

mod processor;

use std::path::Path;

use serde_json::Value;

use crate::backbone::checkpoint::fields::{
    FLAG, Fields, SIZE, as_count, as_number, as_ratio, as_sides, as_size, as_square, as_string,
    patches_of,
};
use crate::backbone::checkpoint::files::{Folder, read_json};
use crate::backbone::checkpoint::tensor_names::{self, TensorNames};
use crate::backbone::error::Error;
use crate::backbone::families::vit::{
    Activation, FinalNorm, Mlp, Norm, NormKind, Pool, Positions, PrefixPositions, Projection,
    Resample, Rope, VitConfig,
};
use crate::image::Preprocessing;

/// The file that describes a checkpoint.
pub const CONFIG: &str = "config.json";
/// The file that describes its preprocessing, and that of texts, if transformers 5 wrote it.
const PROCESSOR: &str = "processor_config.json";
/// The file that describes its preprocessing and nothing else.
const PREPROCESSOR: &str = "preprocessor_config.json";
/// The file that holds its weights.
pub const WEIGHTS: &str = "model.safetensors";

/// What a checkpoint is.
#[derive(Debug, PartialEq)]
pub struct Config {
    /// The class that the file names.
    pub model_type: String,
    pub network: VitConfig,
    pub names: &'static TensorNames,
}

/// Reads a `config.json`; `path` is for messages.
pub fn parse(value: Value, path: &Path) -> Result<Config, Error> {
    let mut top = Fields::new(path, "", value)?;
    let model_type = top.required("model_type", "a model of transformers", as_string)?;
    let architectures = top.take("architectures").unwrap_or_default();
    // A model of two towers nests the one that is taken here.
    let projection_dim = top.take("projection_dim");
    let nested = top.nested("vision_config", "vision_config.")?;
    // Files of old hold this besides, and transformers goes by it.
    let nested_of_old = top.nested("vision_config_dict", "vision_config_dict.")?;
    let mut nested = nested_of_old.or(nested);
    let is_nested = nested.is_some();
    let fields = nested.as_mut().unwrap_or(&mut top);
    fields.drop_nulls();
    let projection = |fields: &mut Fields<'_>, default: usize| {
        let has_one = is_nested
            || architectures.as_array().is_some_and(|names| {
                names
                    .iter()
                    .any(|name| name == "CLIPVisionModelWithProjection")
            });
        let mut dim = default;
        fields.set(&mut dim, "projection_dim", SIZE, as_size)?;
        if let Some(value) = &projection_dim {
            dim = as_size(value).ok_or_else(|| {
                fields.wrong("projection_dim", value.to_string(), SIZE.to_owned())
            })?;
        }
        Ok::<_, Error>(has_one.then_some(Projection { dim, bias: false }))
    };
    let (network, names) = match (model_type.as_str(), is_nested) {
        ("clip", true) | ("clip_vision_model", false) => {
            let projection = projection(fields, 512)?;
            (clip(fields, projection)?, &tensor_names::TRANSFORMERS_CLIP)
        }
        ("siglip", true) | ("siglip_vision_model", false) => {
            (siglip(fields)?, &tensor_names::TRANSFORMERS_CLIP)
        }
        ("vit", false) => (vit(fields)?, &tensor_names::TRANSFORMERS_VIT),
        ("dinov2", false) => (dinov2(fields, false)?, &tensor_names::TRANSFORMERS_VIT),
        ("dinov2_with_registers", false) => {
            (dinov2(fields, true)?, &tensor_names::TRANSFORMERS_VIT)
        }
        ("dinov3_vit", false) => (dinov3(fields)?, &tensor_names::TRANSFORMERS_DINOV3),
        ("aimv2_vision_model", false) => (aimv2(fields, None)?, &tensor_names::TRANSFORMERS_AIMV2),
        ("aimv2", true) => {
            let projection = projection(fields, 512)?;
            (
                aimv2(fields, projection)?,
                &tensor_names::TRANSFORMERS_AIMV2,
            )
        }
        ("aimv2", false) => (apple_aimv2(fields)?, &tensor_names::APPLE_AIMV2),
        _ => {
            return Err(Error::UnsupportedArgument {
                path: path.to_owned(),
                key: "model_type".to_owned(),
                found: model_type,
                expected: "`clip` and `siglip` with a `vision_config`, `clip_vision_model`, `siglip_vision_model`, \
                           `vit`, `dinov2`, `dinov2_with_registers`, `dinov3_vit`, `aimv2` or `aimv2_vision_model`"
                    .to_owned(),
            });
        }
    };
    check(&network, fields)?;
    Ok(Config {
        model_type,
        network,
        names,
    })
}

/// Refuses sizes that do not go together.
fn check(network: &VitConfig, fields: &Fields<'_>) -> Result<(), Error> {
    let (width, heads) = (network.embed_dim, network.num_heads);
    let of_head = if network.rope.is_some() { 4 } else { 1 };
    if !width.is_multiple_of(of_head * heads) {
        return Err(fields.wrong(
            "num_attention_heads",
            heads.to_string(),
            format!("a divisor of the width, {width}"),
        ));
    }
    match patches_of(network.img_size, network.patch_size) {
        Some(expected) => Err(fields.wrong("patch_size", network.patch_size.to_string(), expected)),
        None => Ok(()),
    }
}

/// What nearly all of these models have in common, with the defaults of a ViT-Base.
struct Common {
    img_size: [usize; 2],
    patch_size: usize,
    width: usize,
    depth: usize,
    heads: usize,
    hidden: usize,
    eps: f64,
    activation: Activation,
    qkv_bias: bool,
}

impl Common {
    /// Reads what is there over defaults.
    fn read(mut self, fields: &mut Fields<'_>) -> Result<Self, Error> {
        fields.set(
            &mut self.img_size,
            "image_size",
            "a size in pixels",
            as_sides,
        )?;
        fields.set(
            &mut self.patch_size,
            "patch_size",
            "a size in pixels",
            as_square,
        )?;
        fields.set(&mut self.width, "hidden_size", SIZE, as_size)?;
        fields.set(&mut self.depth, "num_hidden_layers", SIZE, as_size)?;
        fields.set(&mut self.heads, "num_attention_heads", SIZE, as_size)?;
        fields.set(&mut self.hidden, "intermediate_size", SIZE, as_size)?;
        let positive = "a positive number";
        fields.set(&mut self.eps, "layer_norm_eps", positive, as_ratio)?;
        fields.set(&mut self.eps, "rms_norm_eps", positive, as_ratio)?;
        fields.set(&mut self.qkv_bias, "qkv_bias", FLAG, Value::as_bool)?;
        let activations = "`gelu`, `quick_gelu`, `gelu_pytorch_tanh` or `silu`";
        fields.set_supported(
            &mut self.activation,
            "hidden_act",
            activations,
            |value| match value.as_str()? {
                "gelu" => Some(Activation::Gelu),
                "quick_gelu" => Some(Activation::QuickGelu),
                "gelu_pytorch_tanh" => Some(Activation::GeluTanh),
                "silu" => Some(Activation::SwiGlu),
                _ => None,
            },
        )?;
        fields.only("num_channels", "`3`", |value| value.as_u64() == Some(3))?;
        Ok(self)
    }

    /// A network with learned positions of all tokens, a class token and its norm.
    fn network(&self) -> VitConfig {
        VitConfig {
            img_size: self.img_size,
            patch_size: self.patch_size,
            embed_dim: self.width,
            depth: self.depth,
            num_heads: self.heads,
            mlp: Mlp {
                hidden: self.hidden,
                activation: self.activation,
                bias: true,
            },
            norm: Norm {
                kind: NormKind::Layer,
                eps: self.eps,
                casts_back: false,
            },
            qkv_bias: self.qkv_bias,
            proj_bias: true,
            qk_norm: false,
            layer_scale: false,
            class_token: true,
            reg_tokens: 0,
            positions: Some(Positions::Learned {
                prefix: PrefixPositions::All,
                grid: self.img_size.map(|side| side / self.patch_size),
                resample: Resample::Exact,
            }),
            rope: None,
            patch_bias: true,
            patch_norm: false,
            pre_norm: false,
            final_norm: FinalNorm::Tokens,
            pool: Pool::First,
            projection: None,
        }
    }
}

const BASE: Common = Common {
    img_size: [224; 2],
    patch_size: 16,
    width: 768,
    depth: 12,
    heads: 12,
    hidden: 3072,
    eps: 1e-6,
    activation: Activation::Gelu,
    qkv_bias: true,
};

/// An activation between two layers; a gated one is another network.
fn ungated(fields: &Fields<'_>, activation: Activation) -> Result<(), Error> {
    if activation == Activation::SwiGlu {
        let expected = "`gelu`, `quick_gelu` or `gelu_pytorch_tanh`".to_owned();
        return Err(fields.wrong("hidden_act", "silu".to_owned(), expected));
    }
    Ok(())
}

fn clip(fields: &mut Fields<'_>, projection: Option<Projection>) -> Result<VitConfig, Error> {
    let common = Common {
        patch_size: 32,
        eps: 1e-5,
        activation: Activation::QuickGelu,
        ..BASE
    }
    .read(fields)?;
    ungated(fields, common.activation)?;
    Ok(VitConfig {
        patch_bias: false,
        pre_norm: true,
        final_norm: FinalNorm::Pooled,
        projection,
        ..common.network()
    })
}

fn siglip(fields: &mut Fields<'_>) -> Result<VitConfig, Error> {
    let common = Common {
        activation: Activation::GeluTanh,
        ..BASE
    }
    .read(fields)?;
    ungated(fields, common.activation)?;
    fields.only("vision_use_head", "`true`", |value| {
        value.as_bool() == Some(true)
    })?;
    let network = common.network();
    Ok(VitConfig {
        class_token: false,
        positions: without_prefix(network.positions),
        pool: Pool::Map {
            num_heads: common.heads,
            mlp: network.mlp,
        },
        ..network
    })
}

/// The same positions, of patches only.
fn without_prefix(positions: Option<Positions>) -> Option<Positions> {
    match positions {
        Some(Positions::Learned { grid, resample, .. }) => Some(Positions::Learned {
            prefix: PrefixPositions::None,
            grid,
            resample,
        }),
        positions => positions,
    }
}

fn vit(fields: &mut Fields<'_>) -> Result<VitConfig, Error> {
    let common = Common { eps: 1e-12, ..BASE }.read(fields)?;
    ungated(fields, common.activation)?;
    Ok(common.network())
}

fn dinov2(fields: &mut Fields<'_>, has_registers: bool) -> Result<VitConfig, Error> {
    let common = BASE.read(fields)?;
    ungated(fields, common.activation)?;
    let mut mlp_ratio = 4.0;
    fields.set(&mut mlp_ratio, "mlp_ratio", "a positive number", as_ratio)?;
    let mut is_gated = false;
    fields.set(&mut is_gated, "use_swiglu_ffn", FLAG, Value::as_bool)?;
    let mut reg_tokens = if has_registers { 4 } else { 0 };
    if has_registers {
        fields.set(&mut reg_tokens, "num_register_tokens", "a number", as_count)?;
    }
    let network = common.network();
    let hidden = crate::backbone::orgs::timm::vit::scaled(common.width, mlp_ratio);
    Ok(VitConfig {
        mlp: if is_gated {
            Mlp {
                hidden: (hidden * 2 / 3).next_multiple_of(8),
                activation: Activation::SwiGlu,
                bias: true,
            }
        } else {
            Mlp {
                hidden,
                ..network.mlp
            }
        },
        layer_scale: true,
        reg_tokens,
        positions: match network.positions {
            Some(Positions::Learned { grid, .. }) => Some(Positions::Learned {
                prefix: PrefixPositions::Class,
                grid,
                resample: Resample::Bicubic {
                    antialias: has_registers,
                },
            }),
            positions => positions,
        },
        ..network
    })
}

fn dinov3(fields: &mut Fields<'_>) -> Result<VitConfig, Error> {
    let mut is_gated = false;
    fields.set(&mut is_gated, "use_gated_mlp", FLAG, Value::as_bool)?;
    let common = Common {
        width: 384,
        heads: 6,
        hidden: 1536,
        eps: 1e-5,
        ..BASE
    }
    .read(fields)?;
    if !is_gated {
        ungated(fields, common.activation)?;
    } else if common.activation != Activation::SwiGlu {
        let expected = "`silu` as `hidden_act`, or `false`".to_owned();
        return Err(fields.wrong("use_gated_mlp", "true".to_owned(), expected));
    }
    let mut bias = [true, false, true, true, true];
    let keys = [
        "query_bias",
        "key_bias",
        "value_bias",
        "proj_bias",
        "mlp_bias",
    ];
    for (flag, key) in bias.iter_mut().zip(keys) {
        fields.set(flag, key, FLAG, Value::as_bool)?;
    }
    let [query_bias, key_bias, value_bias, proj_bias, mlp_bias] = bias;
    if key_bias {
        return Err(fields.wrong("key_bias", "true".to_owned(), "`false`".to_owned()));
    }
    if query_bias != value_bias {
        let expected = format!("what `query_bias` is, `{query_bias}`");
        return Err(fields.wrong("value_bias", value_bias.to_string(), expected));
    }
    let mut base = 100.0;
    fields.set(&mut base, "rope_theta", "a number", as_number)?;
    if let Some(mut rope) = fields.nested("rope_parameters", "rope_parameters.")? {
        rope.set(&mut base, "rope_theta", "a number", as_number)?;
    }
    let mut reg_tokens = 0;
    fields.set(&mut reg_tokens, "num_register_tokens", "a number", as_count)?;
    let network = common.network();
    Ok(VitConfig {
        mlp: Mlp {
            bias: mlp_bias,
            ..network.mlp
        },
        qkv_bias: query_bias,
        proj_bias,
        layer_scale: true,
        reg_tokens,
        positions: None,
        rope: Some(Rope::Centered { base }),
        ..network
    })
}

/// What AIMv2 is in both its layouts: features are the maximum over tokens.
fn aimv2_base(fields: &mut Fields<'_>) -> Result<VitConfig, Error> {
    fields.only("hidden_act", "`silu`", |value| value == "silu")?;
    let common = Common {
        patch_size: 14,
        width: 1024,
        depth: 24,
        heads: 8,
        hidden: 2816,
        eps: 1e-5,
        activation: Activation::SwiGlu,
        qkv_bias: false,
        ..BASE
    }
    .read(fields)?;
    let network = common.network();
    Ok(VitConfig {
        norm: Norm {
            kind: NormKind::Rms,
            ..network.norm
        },
        class_token: false,
        positions: without_prefix(network.positions),
        patch_norm: true,
        pool: Pool::Max,
        ..network
    })
}

fn aimv2(fields: &mut Fields<'_>, projection: Option<Projection>) -> Result<VitConfig, Error> {
    let network = aimv2_base(fields)?;
    let (mut mlp_bias, mut has_head, mut is_native) = (false, true, false);
    fields.set(&mut mlp_bias, "mlp_bias", FLAG, Value::as_bool)?;
    fields.set(&mut has_head, "use_head", FLAG, Value::as_bool)?;
    fields.set(&mut is_native, "is_native", FLAG, Value::as_bool)?;
    Ok(VitConfig {
        mlp: Mlp {
            bias: mlp_bias,
            ..network.mlp
        },
        proj_bias: network.qkv_bias,
        positions: if is_native {
            Some(Positions::SinCos)
        } else {
            network.positions
        },
        pool: if has_head {
            Pool::Aim {
                num_heads: network.num_heads,
            }
        } else {
            Pool::Max
        },
        projection,
        ..network
    })
}

fn apple_aimv2(fields: &mut Fields<'_>) -> Result<VitConfig, Error> {
    let network = aimv2_base(fields)?;
    let mut bias = false;
    fields.set(&mut bias, "use_bias", FLAG, Value::as_bool)?;
    Ok(VitConfig {
        mlp: Mlp {
            bias,
            ..network.mlp
        },
        proj_bias: bias,
        ..network
    })
}

/// How images become a checkpoint's input: as `processor_config.json` says, if it does.
///
/// Source: `transformers.image_processing_base.ImageProcessingMixin.get_image_processor_dict`.
pub fn preprocessing(folder: &Folder<'_>) -> Result<Preprocessing, Error> {
    // A cache that has the other file may have been filled without this one: the hub is not asked for it again.
    let is_wanted = folder.holds(PROCESSOR) || !folder.holds(PREPROCESSOR);
    if is_wanted && let Some(path) = folder.find(PROCESSOR)? {
        let mut value = read_json(&path)?;
        if let Some(nested) = value.get_mut("image_processor") {
            return processor::preprocessing(nested.take(), &path, "image_processor.");
        }
    }
    let (value, path) = folder.json(PREPROCESSOR)?;
    processor::preprocessing(value, &path, "")
}

/// The network for images of another size, where it takes such.
pub fn for_images_of(config: &mut Config, size: [usize; 2]) {
    let network = &mut config.network;
    let takes_any = match network.positions {
        None | Some(Positions::SinCos) => true,
        Some(Positions::Learned { resample, .. }) => resample != Resample::Exact,
    };
    if takes_any {
        network.img_size = size;
    }
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
            let folder = Folder::local(dir.path().to_owned(), WEIGHTS, &crate::progress::Silent)?;
            preprocessing(&folder).map(|preprocessing| preprocessing.size[0])
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
