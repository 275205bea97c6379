//! Checkpoints whose descriptions somebody edited, and names that nobody knows.

use std::path::Path;

use crate::backbone::{BackboneSpec, Lookup, Pool};
use crate::fuzz::{Damaged, Warned, check, check_all, damaged, said};
use crate::hub::{self, Hub};
use crate::image::RgbImage;
use crate::interrupt::Interrupt;

/// No larger sides are tried on a picture: they are allowed, and take their time.
const MOST_SIDE: usize = 320;

fn resolve(org: &str, ckpt: &str, base_dir: &Path) -> Result<BackboneSpec, String> {
    let hub = Hub::new(hub::Settings::default(), Interrupt::default());
    let warned = Warned::default();
    let lookup = Lookup {
        base_dir,
        hub: &hub,
        progress: &warned,
        allow_code: true,
        update: false,
    };
    let found = crate::backbone::resolve(org, ckpt, Pool::Auto, lookup);
    warned.check()?;
    found.map_err(|error| said(&error, error.hint()))
}

/// A checkpoint of `org` whose file `name` is damaged, beside sound `others`.
fn check_folder(org: &str, samples: &[&str], name: &str, others: &[(&str, &str)]) {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in others {
        fs_err::write(dir.path().join(name), text).unwrap();
    }
    let (org_is_script, ckpt) = match org {
        "torchscript" => (true, "module.pt".to_owned()),
        _ => (false, format!("local-dir:{}", dir.path().display())),
    };
    let read = |bytes: &[u8]| {
        fs_err::write(dir.path().join(name), bytes).unwrap();
        let spec = resolve(org, &ckpt, dir.path())?;
        for path in spec.weights_paths() {
            assert_eq!(path.parent(), Some(dir.path()), "{}", path.display());
        }
        assert!(org_is_script || spec.dim() > 0);
        assert!(spec.canonical().is_object());
        let preprocessing = spec.preprocessing();
        assert!(
            preprocessing
                .size
                .iter()
                .all(|side| (1..=4096).contains(side))
        );
        assert_eq!(
            preprocessing.n_values(),
            3 * preprocessing.size[0] * preprocessing.size[1]
        );
        if preprocessing.size.iter().all(|side| *side <= MOST_SIDE) {
            let image = RgbImage {
                width: 5,
                height: 3,
                pixels: (0..45).collect(),
            };
            assert_eq!(preprocessing.apply(&image).len(), preprocessing.n_values());
        }
        Ok(())
    };
    check(
        200,
        samples
            .iter()
            .map(|sample| sample.as_bytes().to_vec())
            .collect(),
        read,
    );
}

const TIMM: [&str; 3] = [
    r#"{"architecture": "vit_base_patch16_224", "num_classes": 1000, "num_features": 768, "global_pool": "token",
        "pretrained_cfg": {"tag": "augreg2_in21k_ft_in1k", "custom_load": false, "input_size": [3, 224, 224],
        "fixed_input_size": true, "interpolation": "bicubic", "crop_pct": 0.9, "crop_mode": "center",
        "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "num_classes": 1000, "pool_size": null,
        "first_conv": "patch_embed.proj", "classifier": "head"}}"#,
    r#"{"architecture": "vit_tiny_patch16_224", "model_args": {"img_size": 96, "patch_size": 8, "depth": 2},
        "pretrained_cfg": {"input_size": [3, 96, 96], "crop_pct": 1.0, "std": [NaN, 1, 1]}}"#,
    r#"{"architecture": "resnet18", "num_features": 512, "pretrained_cfg": {"input_size": [3, 64, 64]}}"#,
];

#[test]
fn damaged_configs_of_timm_are_refused_or_whole() {
    // The second says `NaN`, which is refused.
    check_folder(
        "timm",
        &[TIMM[0], TIMM[2]],
        "config.json",
        &[("model.safetensors", "")],
    );
    let odd = TIMM[1].replace("NaN", "1");
    check_folder("timm", &[&odd], "config.json", &[("model.safetensors", "")]);
}

#[test]
fn damaged_configs_of_open_clip_are_refused_or_whole() {
    let samples = [
        r#"{"model_cfg": {"embed_dim": 16, "quick_gelu": true, "vision_cfg": {"image_size": 32, "patch_size": 16,
            "width": 64, "layers": 2, "head_width": 32}, "text_cfg": {"context_length": 77}},
            "preprocess_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "interpolation": "bicubic",
            "resize_mode": "shortest"}}"#,
        r#"{"model_cfg": {"embed_dim": 192, "vision_cfg": {"image_size": 224, "timm_model_name": "vit_tiny_patch16_224",
            "timm_model_pretrained": false, "timm_pool": "token", "timm_proj": null}, "text_cfg": {}}}"#,
    ];
    let weights = ("open_clip_model.safetensors", "");
    check_folder("open-clip", &samples, "open_clip_config.json", &[weights]);
}

const PROCESSOR: &str = r#"{"size": {"height": 32, "width": 32}, "resample": 3, "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5], "do_resize": true, "rescale_factor": 0.00392156862745098}"#;

const VIT: &str = r#"{"model_type": "vit", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 128, "image_size": 32, "patch_size": 16, "hidden_act": "gelu", "layer_norm_eps": 1e-12}"#;

#[test]
fn damaged_configs_of_transformers_are_refused_or_whole() {
    let files = [
        ("model.safetensors", ""),
        ("preprocessor_config.json", PROCESSOR),
    ];
    let clip = r#"{"model_type": "clip", "projection_dim": 16, "vision_config": {"hidden_size": 64, "image_size": 32,
        "intermediate_size": 128, "num_attention_heads": 2, "num_hidden_layers": 2, "patch_size": 16}}"#;
    let dinov2 = r#"{"model_type": "dinov2", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
        "image_size": 28, "patch_size": 14, "mlp_ratio": 4}"#;
    check_folder("transformers", &[VIT, clip, dinov2], "config.json", &files);
}

#[test]
fn damaged_configs_of_processors_are_refused_or_whole() {
    let clip = r#"{"crop_size": {"height": 32, "width": 32}, "do_center_crop": true, "resample": 2,
        "size": {"shortest_edge": 40}, "image_mean": [0.1, 0.2, 0.3], "image_std": [1, 1, 1]}"#;
    let files = [("model.safetensors", ""), ("config.json", VIT)];
    check_folder(
        "transformers",
        &[PROCESSOR, clip],
        "preprocessor_config.json",
        &files,
    );
    let nested = format!(r#"{{"processor_class": "CLIPProcessor", "image_processor": {clip}}}"#);
    check_folder("transformers", &[&nested], "processor_config.json", &files);
}

#[test]
fn damaged_indices_name_no_file_elsewhere() {
    let index = r#"{"metadata": {"total_size": 10}, "weight_map": {"a": "model-00001-of-00002.safetensors",
        "b": "model-00002-of-00002.safetensors"}}"#;
    let files = [
        ("config.json", VIT),
        ("preprocessor_config.json", PROCESSOR),
        ("model-00001-of-00002.safetensors", ""),
        ("model-00002-of-00002.safetensors", ""),
    ];
    check_folder(
        "transformers",
        &[index],
        "model.safetensors.index.json",
        &files,
    );
}

#[test]
fn damaged_descriptions_of_modules_are_refused_or_whole() {
    check_folder(
        "torchscript",
        &[crate::backbone::orgs::torchscript::DESCRIPTION],
        "module.toml",
        &[("module.pt", "")],
    );
}

#[test]
fn names_that_nobody_knows_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let names = [
        ("timm", "vit_base_patch16_224.augreg2_in21k_ft_in1k"),
        ("timm", "vit_base_patch16_224_in21k"),
        ("timm", "hf_hub:timm/vit_tiny@main"),
        ("sam2", "hiera_base_plus"),
        ("open-clip", "ViT-B-16-SigLIP2/webli"),
        ("open-clip", "hf-hub:imageomics/bioclip@main"),
        ("dinov2", "dinov2_vitb14_reg"),
        ("dinov3", "dinov3_vitl16"),
        ("aimv2", "apple/aimv2-large-patch14-224"),
        ("transformers", "google/vit-base-patch16-224-in21k"),
        ("transformers", "local-dir:nowhere"),
        ("torchscript", "vjepa.pt"),
        ("random", "vit_tiny_patch16_224.seed1"),
        ("random", "vit_tiny_patch16_224"),
    ];
    let samples = names.map(|(org, ckpt)| format!("{org} {ckpt}").into_bytes());
    check_all(400, damaged(samples.to_vec()), |Damaged(bytes)| {
        let text = String::from_utf8_lossy(&bytes);
        let (org, ckpt) = text.split_once(' ').unwrap_or((&text, ""));
        let spec = resolve(org, ckpt, dir.path())?;
        // Only what needs no file is here.
        assert_eq!(org, "random");
        assert!(spec.weights_paths().is_empty() && spec.dim() > 0);
        Ok(())
    });
}
