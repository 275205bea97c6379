//! Backbones, held against timm's models: `make/backbone.py`, `make/architectures.py`.

use newt_pipe::internals::backbone::{BackboneSpec, architectures};
use serde_json::Value;

use std::collections::BTreeSet;
use std::path::Path;

use crate::features::{fixtures, resolve};

/// Rounded to what torchvision computes with.
#[expect(clippy::cast_possible_truncation, reason = "the rounding is meant")]
fn channels(values: &Value) -> Vec<f32> {
    values
        .as_array()
        .unwrap()
        .iter()
        .map(|value| value.as_f64().unwrap() as f32)
        .collect()
}

#[test]
fn catalog_equals_timm_s_models() {
    let json = fs_err::read(fixtures().join("architectures.json")).unwrap();
    let fixture: Value = serde_json::from_slice(&json).unwrap();
    let expected = fixture["architectures"].as_object().unwrap();
    let names: BTreeSet<&str> = expected.keys().map(String::as_str).collect();
    assert_eq!(architectures().collect::<BTreeSet<_>>(), names);
    for (name, expected) in expected {
        let spec = resolve("random", name, Path::new("")).unwrap();
        let canonical = spec.canonical();
        // Of other networks the tensors are compared, beside the catalog.
        if let Some(vit) = expected.get("vit") {
            assert_eq!(&canonical["network"]["vit"], vit, "{name}");
        }
        let (ours, theirs) = (&canonical["preprocessing"], &expected["preprocessing"]);
        for field in ["size", "resize", "interpolation"] {
            assert_eq!(ours[field], theirs[field], "{name}, {field}");
        }
        for field in ["mean", "std"] {
            assert_eq!(
                channels(&ours[field]),
                channels(&theirs[field]),
                "{name}, {field}"
            );
        }
        assert_eq!(Some(spec.dim() as u64), expected["dim"].as_u64(), "{name}");
    }
}

mod networks {
    use newt_pipe::internals::backbone::{Backbone, Device, Precision};
    use newt_pipe::{Error, Interrupt};

    use super::*;
    use crate::features::{MAX_RELATIVE, MIN_COSINE, N_IMAGES, compare, expected, pixels};

    fn load(dir: &Path) -> Result<(BackboneSpec, Box<dyn Backbone>), Error> {
        let ckpt = format!("local-dir:{}", dir.display());
        let spec = resolve("timm", &ckpt, Path::new("/elsewhere"))?;
        let backbone = spec.load(Device::Cpu, Precision::F32, &Interrupt::default())?;
        Ok((spec, backbone))
    }

    fn extract(variant: &str) -> (Vec<f32>, usize) {
        let (spec, backbone) = load(&fixtures().join("backbone").join(variant)).unwrap();
        let pixels = pixels(N_IMAGES * spec.preprocessing().n_values());
        (backbone.extract(&pixels, N_IMAGES).unwrap(), backbone.dim())
    }

    #[test]
    fn features_equal_timm_s() {
        for variant in [
            "plain",
            "layer_scale",
            "no_qkv_bias",
            "no_class_token",
            "norm_in_classifier",
            "class_token_unused",
            "clip",
            "registers",
            "registers_only",
            "no_final_norm",
            "oblong",
            "f16_file",
            "bf16_file",
        ] {
            let (rows, dim) = extract(variant);
            let (cosine, relative) = compare(&rows, &expected("backbone", variant), dim);
            println!("{variant}: cosine {cosine:.9}, relative error {relative:.2e}");
            assert!(
                cosine >= MIN_COSINE && relative < MAX_RELATIVE,
                "{variant}: {cosine}, {relative}"
            );
        }
    }

    #[test]
    fn feature_depends_on_its_image_alone() {
        let (spec, backbone) = load(&fixtures().join("backbone/plain")).unwrap();
        let n_values = spec.preprocessing().n_values();
        let n = 64;
        let pixels = pixels(n * n_values);
        let extract = |batch: usize, order: &[usize]| {
            let mut rows = vec![Vec::new(); n];
            for batch in order.chunks(batch) {
                let images = batch
                    .iter()
                    .map(|&image| &pixels[image * n_values..][..n_values]);
                let features = backbone
                    .extract(&images.collect::<Vec<_>>().concat(), batch.len())
                    .unwrap();
                for (&image, row) in batch.iter().zip(features.chunks_exact(backbone.dim())) {
                    rows[image] = row.to_vec();
                }
            }
            rows
        };
        let order: Vec<usize> = (0..n).collect();
        let shuffled: Vec<usize> = (0..n).map(|image| (image * 37 + 11) % n).collect();
        let expected = extract(n, &order);
        for n_threads in [1, 2, 3] {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(n_threads)
                .build()
                .unwrap();
            for batch in [1, 2, 7, 32, 64] {
                for order in [&order, &shuffled] {
                    let rows = pool.install(|| extract(batch, order));
                    assert_eq!(rows, expected, "{n_threads} threads, batches of {batch}");
                }
            }
        }
    }

    #[test]
    fn random_backbone_runs_and_tells_images_apart() {
        let rows = |ckpt: &str| {
            let spec = resolve("random", ckpt, Path::new("")).unwrap();
            let backbone = spec
                .load(Device::Cpu, Precision::Auto, &Interrupt::default())
                .unwrap();
            backbone
                .extract(&pixels(2 * spec.preprocessing().n_values()), 2)
                .unwrap()
        };
        let first = rows("vit_tiny_patch16_224");
        assert_eq!(first.len(), 2 * 192);
        assert!(first.iter().all(|value| value.is_finite()));
        assert_ne!(first[..192], first[192..]);
        assert_eq!(first, rows("vit_tiny_patch16_224.seed0"));
        assert_ne!(first, rows("vit_tiny_patch16_224.seed1"));
    }

    #[test]
    fn batch_of_another_length_is_refused() {
        let (_, backbone) = load(&fixtures().join("backbone/plain")).unwrap();
        let error = backbone.extract(&[0.0; 3072 + 1], 1).unwrap_err();
        assert_eq!(
            error.to_string(),
            "batch of 1 images has 3073 values, expected 1 × 3072"
        );
        assert!(backbone.extract(&[0.0; 3072], usize::MAX).is_err());
        assert!(backbone.extract(&[], 0).unwrap().is_empty());
    }
}

/// Checkpoints that somebody or something has changed.
mod tampered {
    use newt_pipe::internals::backbone::{Device, Precision};
    use newt_pipe::{Error, Interrupt};
    use safetensors::SafeTensors;
    use safetensors::tensor::{Dtype, TensorView};

    use super::*;

    /// The tensors of a file, to be changed: dtype, shape, bytes.
    type Tensors = Vec<(String, (Dtype, Vec<usize>, Vec<u8>))>;

    /// Loads the plain checkpoint with its `config.json` and another weights' file.
    fn load_bytes(bytes: &[u8]) -> (String, Option<String>) {
        let dir = tempfile::tempdir().unwrap();
        let plain = fixtures().join("backbone/plain");
        fs_err::copy(plain.join("config.json"), dir.path().join("config.json")).unwrap();
        let weights = dir.path().join("model.safetensors");
        fs_err::write(&weights, bytes).unwrap();
        let spec = resolve("timm", "local-dir:.", dir.path()).unwrap();
        let error: Error = spec
            .load(Device::Cpu, Precision::F32, &Interrupt::default())
            .err()
            .unwrap();
        let path = spec.weights_paths()[0].display().to_string();
        (
            error.to_string().replace(&path, "model.safetensors"),
            error.hint(),
        )
    }

    fn plain() -> Vec<u8> {
        fs_err::read(fixtures().join("backbone/plain/model.safetensors")).unwrap()
    }

    /// Loads the plain checkpoint after `change`.
    fn load_changed(change: impl FnOnce(&mut Tensors)) -> (String, Option<String>) {
        let bytes = plain();
        let mut tensors: Tensors = SafeTensors::deserialize(&bytes)
            .unwrap()
            .iter()
            .map(|(name, view)| {
                (
                    name.to_owned(),
                    (view.dtype(), view.shape().to_vec(), view.data().to_vec()),
                )
            })
            .collect();
        change(&mut tensors);
        let views = tensors.iter().map(|(name, (dtype, shape, data))| {
            (name, TensorView::new(*dtype, shape.clone(), data).unwrap())
        });
        load_bytes(&safetensors::serialize(views, None).unwrap())
    }

    fn find<'a>(tensors: &'a mut Tensors, name: &str) -> &'a mut (Dtype, Vec<usize>, Vec<u8>) {
        &mut tensors
            .iter_mut()
            .find(|(found, _)| found == name)
            .unwrap()
            .1
    }

    #[test]
    fn missing_tensor_is_named() {
        let (message, _) =
            load_changed(|tensors| tensors.retain(|(name, _)| name != "blocks.1.mlp.fc1.bias"));
        assert_eq!(
            message,
            "model.safetensors: tensor `blocks.1.mlp.fc1.bias` is missing, backbone `vit_tiny_patch16_224` needs it \
             with shape [128]"
        );
    }

    #[test]
    fn renamed_tensor_is_missed_under_its_name() {
        let (message, _) = load_changed(|tensors| {
            for (name, _) in tensors {
                *name = name.replace("blocks.1.norm2", "blocks.1.ln2");
            }
        });
        assert_eq!(
            message,
            "model.safetensors: tensor `blocks.1.norm2.weight` is missing, backbone `vit_tiny_patch16_224` needs it \
             with shape [32]"
        );
    }

    #[test]
    fn surplus_tensors_are_named_but_the_classifier_s() {
        let (message, _) = load_changed(|tensors| {
            let surplus = find(tensors, "norm.bias").clone();
            assert!(tensors.iter().any(|(name, _)| name == "head.weight"));
            tensors.push(("reg_token".to_owned(), surplus));
        });
        assert_eq!(
            message,
            "model.safetensors: tensor `reg_token` is no part of backbone `vit_tiny_patch16_224`"
        );
    }

    #[test]
    fn misshapen_tensor_is_named_with_both_shapes() {
        let (message, hint) =
            load_changed(|tensors| find(tensors, "blocks.0.attn.qkv.weight").1 = vec![32, 96]);
        assert_eq!(
            message,
            "model.safetensors: tensor `blocks.0.attn.qkv.weight` has shape [32, 96], backbone \
             `vit_tiny_patch16_224` needs [96, 32]"
        );
        assert_eq!(
            hint,
            Some("use weights and `config.json` of one and the same checkpoint".to_owned())
        );
    }

    #[test]
    fn weights_of_another_architecture_are_recognized() {
        // The tensors in which architectures differ, with the shapes of a ViT-Small.
        let (message, hint) = load_changed(|tensors| {
            let shapes: [(&str, &[usize]); 4] = [
                ("patch_embed.proj.weight", &[384, 3, 16, 16]),
                ("pos_embed", &[1, 197, 384]),
                ("blocks.11.mlp.fc1.weight", &[1536, 384]),
                ("norm.weight", &[384]),
            ];
            for (name, shape) in shapes {
                tensors.retain(|(found, _)| found != name);
                let data = vec![0; shape.iter().product::<usize>() * 2];
                tensors.push((name.to_owned(), (Dtype::F16, shape.to_vec(), data)));
            }
        });
        assert_eq!(
            message,
            "model.safetensors: tensor `patch_embed.proj.weight` has shape [384, 3, 16, 16], backbone \
             `vit_tiny_patch16_224` needs [32, 3, 8, 8]"
        );
        assert_eq!(
            hint.unwrap(),
            "the shapes fit `vit_small_patch16_224`; put the `config.json` that belongs to these weights beside them"
        );
    }

    #[test]
    fn nan_is_named_with_its_place() {
        let (message, _) = load_changed(|tensors| {
            find(tensors, "pos_embed").2[4 * (3 * 32 + 5)..][..4]
                .copy_from_slice(&f32::NAN.to_le_bytes());
        });
        assert_eq!(
            message,
            "model.safetensors: tensor `pos_embed` holds NaN at [0, 3, 5], expected finite numbers"
        );
    }

    #[test]
    fn file_cut_short_is_named_with_both_lengths() {
        let bytes = plain();
        assert_eq!(bytes.len(), 131_940);
        let (message, hint) = load_bytes(&bytes[..bytes.len() / 2]);
        assert_eq!(
            message,
            "model.safetensors: cut short: 65,970 bytes, 131,940 by its header"
        );
        assert_eq!(hint.unwrap(), "copy or download the file again");
    }

    #[test]
    fn header_that_lies_about_its_length_is_refused() {
        let mut bytes = plain();
        bytes[..8].copy_from_slice(&(1_u64 << 60).to_le_bytes());
        let (message, _) = load_bytes(&bytes);
        assert_eq!(
            message,
            "model.safetensors: no safetensors file: its first 8 bytes announce a header of 1,152,921,504,606,846,976 \
             bytes, at most 100,000,000 are allowed"
        );
    }

    #[test]
    fn overlapping_tensors_are_refused() {
        let bytes = plain();
        let n_header = usize::try_from(u64::from_le_bytes(*bytes.first_chunk().unwrap())).unwrap();
        let header = String::from_utf8(bytes[8..8 + n_header].to_vec()).unwrap();
        let lying = header.replacen("\"data_offsets\":[0,", "\"data_offsets\":[4,", 1);
        assert_ne!(lying, header);
        let (message, _) =
            load_bytes(&[&bytes[..8], lying.as_bytes(), &bytes[8 + n_header..]].concat());
        assert!(
            message.ends_with("` overlap others or leave a gap"),
            "{message}"
        );
    }
}
