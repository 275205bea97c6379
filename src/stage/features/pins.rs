//! Pins the keys under which everybody's features are kept: one that changes sends all images through the network again.

use std::path::Path;

use super::extractor::{Extractor, request};
use super::l2::{L2, Scaling};
use super::precomputed::Precomputed;
use super::weights::Weights;
use super::{BatchSize, FeatureSource, FeaturesStage, Images, Settings};
use crate::backbone::{BackboneSpec, Device, Lookup, Pool, Precision, architectures};
use crate::cache::{Cache, Digest};
use crate::context::Context;
use crate::hub::{self, Hub};
use crate::interrupt::Interrupt;
use crate::newt::labels::Labels;
use crate::progress::Silent;
use crate::stage::Stage;

fn resolve(org: &str, ckpt: &str, base_dir: &Path) -> BackboneSpec {
    let lookup = Lookup {
        base_dir,
        hub: &Hub::new(hub::Settings::default(), Interrupt::default()),
        progress: &Silent,
        allow_code: true,
        update: false,
    };
    crate::backbone::resolve(org, ckpt, Pool::Auto, lookup).unwrap()
}

/// The key of a backbone whose weights are the bytes `weights`; of one with random weights without any.
fn key(spec: &BackboneSpec, weights: Option<&[u8]>, precision: Precision) -> String {
    let request = request(spec, weights.map(Digest::of), precision);
    request.key.short()
}

/// A checkpoint of each library, with files of no more than is looked at.
const CHECKPOINTS: [(&str, &[(&str, &str)]); 4] = [
    (
        "timm",
        &[(
            "config.json",
            r#"{"architecture": "vit_tiny_patch16_224", "num_classes": 10, "pretrained_cfg":
                {"input_size": [3, 224, 224], "interpolation": "bilinear", "crop_pct": 0.95, "mean": [0.5, 0.4, 0.3],
                 "std": [0.2, 0.2, 0.1], "num_classes": 10}}"#,
        )],
    ),
    (
        "open-clip",
        &[(
            "open_clip_config.json",
            r#"{"model_cfg": {"embed_dim": 512,
                "vision_cfg": {"image_size": 224, "layers": 12, "width": 768, "patch_size": 32},
                "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 512, "heads": 8, "layers": 12}},
                "preprocess_cfg": {"mean": [0.48, 0.45, 0.40], "std": [0.26, 0.26, 0.27]}}"#,
        )],
    ),
    (
        "transformers",
        &[
            (
                "config.json",
                r#"{"model_type": "dinov2", "hidden_size": 384, "num_attention_heads": 6, "num_hidden_layers": 12,
                    "image_size": 518, "patch_size": 14, "mlp_ratio": 4}"#,
            ),
            (
                "preprocessor_config.json",
                r#"{"do_resize": true, "size": {"shortest_edge": 256}, "resample": 3, "do_center_crop": true,
                    "crop_size": {"height": 224, "width": 224}, "do_rescale": true, "do_normalize": true,
                    "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}"#,
            ),
        ],
    ),
    (
        "torchscript",
        &[(
            "module.toml",
            "dim = 8\nsize = [32, 48]\nmean = [0.5, 0.5, 0.5]\nstd = [0.5, 0.5, 0.5]\n",
        )],
    ),
];

#[test]
fn the_key_of_each_library_s_checkpoint_stays_as_it_is() {
    let mut pins = String::new();
    for (org, files) in CHECKPOINTS {
        let dir = tempfile::tempdir().unwrap();
        let weights = match org {
            "open-clip" => "open_clip_model.safetensors",
            "torchscript" => "module.pt",
            _ => "model.safetensors",
        };
        for (name, text) in files.iter().chain(&[(weights, "")]) {
            fs_err::write(dir.path().join(name), text).unwrap();
        }
        let ckpt = match org {
            "torchscript" => "module.pt",
            _ => "local-dir:.",
        };
        let spec = resolve(org, ckpt, dir.path());
        let key = key(&spec, Some(b"weights"), Precision::F32);
        pins.push_str(&format!("{org} {key}\n"));
    }
    insta::assert_snapshot!(pins, @"
    timm c277fc70a867
    open-clip 404bdf83e8a2
    transformers 215fd7d510f7
    torchscript 5091626cc7d2
    ");
}

#[test]
fn the_key_of_each_architecture_stays_as_it_is() {
    let mut pins: Vec<String> = architectures()
        .map(|name| {
            let spec = resolve("random", name, Path::new(""));
            format!("{name} {}", key(&spec, None, Precision::F32))
        })
        .collect();
    pins.sort_unstable();
    insta::assert_snapshot!(pins.join("\n"));
}

#[test]
fn the_keys_of_the_stage_stay_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::open(dir.path()).unwrap();
    let context = Context {
        progress: &Silent,
        interrupt: &Interrupt::default(),
    };
    let images = Images {
        ids: vec!["a".to_owned(), "b".to_owned()],
        paths: Vec::new(),
        digests: vec![Digest::of(b"image a"), Digest::of(b"image b")],
    };
    let labels = Labels { rows: Vec::new() };
    let mut pins = String::new();
    for precision in [Precision::F32, Precision::Bf16] {
        let settings = Settings {
            device: Device::Cpu,
            precision,
            batch_size: BatchSize::Images(8),
            l2: L2::Auto,
        };
        let spec = resolve("random", "vit_tiny_patch16_224.seed17", Path::new(""));
        let extractor =
            Extractor::new(&cache, spec, Weights::default(), settings, context).unwrap();
        let mut source = FeatureSource::Backbone(Box::new(extractor));
        for l2 in [true, false] {
            let stage = FeaturesStage::new(&mut source, &images, &labels, Scaling::set(l2));
            let key = stage.request().key.short();
            pins.push_str(&format!("random {precision} l2={l2} {key}\n"));
        }
    }
    let file = Precomputed::new(Path::new("features.safetensors"), Digest::of(b"features"));
    let mut source = FeatureSource::File(file);
    for setting in [L2::Auto, L2::Set(true), L2::Set(false)] {
        let scaling = Scaling {
            setting,
            of_protocol: true,
        };
        let stage = FeaturesStage::new(&mut source, &images, &labels, scaling);
        let key = stage.request().key.short();
        pins.push_str(&format!("precomputed {setting:?} {key}\n"));
    }
    insta::assert_snapshot!(pins, @"
    random f32 l2=true f197be0ac9fa
    random f32 l2=false a73b6cc3ea78
    random bf16 l2=true e6232de45b08
    random bf16 l2=false e1f2016702f2
    precomputed Auto fa2e11f99ac4
    precomputed Set(true) 2f929b394acb
    precomputed Set(false) 2a8be4517b3c
    ");
}
