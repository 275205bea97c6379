//! One small network of each family and variation, in its published layout: `make/families_*.py`.

use std::collections::BTreeMap;
use std::path::Path;

use newt_pipe::Interrupt;
use newt_pipe::internals::backbone::{Device, Precision};
use newt_pipe::internals::image::RgbImage;
use safetensors::tensor::{Dtype, TensorView};
use serde::Deserialize;

use crate::features::{
    MAX_RELATIVE, MIN_COSINE, N_IMAGES, compare, expected, fixtures, pixels, resolve, value,
};

/// GELU by tanh for GELU shows as 1.1e-4, another epsilon in a norm as 1.8e-3; another order of summation, as the kernels of
/// each CPU have it, as 1e-6, and as 9e-6 in the deep networks whose weights are drawn.
pub(crate) const STORED: f64 = 1e-5;
pub(crate) const DRAWN: f64 = 4e-5;

#[derive(Deserialize)]
struct Fixture {
    variants: BTreeMap<String, Variant>,
}

#[derive(Deserialize)]
pub(crate) struct Variant {
    pub(crate) org: String,
    /// `[h, w]` of an image.
    size: [usize; 2],
    dim: usize,
    /// Values in the tensors that a feature passes through.
    parameters: u64,
}

pub(crate) fn variants() -> BTreeMap<String, Variant> {
    variants_of("families")
}

fn variants_of(fixture: &str) -> BTreeMap<String, Variant> {
    let json = fs_err::read(fixtures().join(format!("{fixture}.json"))).unwrap();
    serde_json::from_slice::<Fixture>(&json).unwrap().variants
}

/// A tensor that is made here, as it is too large for a file: shape, centre and scale of the values.
type Drawn = (Vec<usize>, f32, f32);

/// Puts a checkpoint together whose weights are described by `weights.json`: see `draw` in `make/families_shared.py`.
pub(crate) fn put_together(dir: &Path, rules: &Path) -> tempfile::TempDir {
    let whole = tempfile::tempdir().unwrap();
    for entry in fs_err::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        fs_err::copy(&path, whole.path().join(path.file_name().unwrap())).unwrap();
    }
    let json = fs_err::read(rules).unwrap();
    let files: BTreeMap<String, BTreeMap<String, Drawn>> = serde_json::from_slice(&json).unwrap();
    for (file, tensors) in files {
        let mut place = 0;
        let mut bytes = Vec::new();
        for (shape, centre, scale) in tensors.values() {
            let n = u32::try_from(shape.iter().product::<usize>()).unwrap();
            let values = (place..place + n).map(|i| value(i) * scale + centre);
            bytes.push(values.flat_map(f32::to_le_bytes).collect::<Vec<u8>>());
            place += n;
        }
        let views = tensors
            .iter()
            .zip(&bytes)
            .map(|((name, (shape, ..)), bytes)| {
                (
                    name,
                    TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap(),
                )
            });
        let file = whole.path().join(file);
        safetensors::serialize_to_file(views, None, &file).unwrap();
    }
    whole
}

/// What is wrong with a variant, by its cosine and relative error.
fn examine(fixture: &str, name: &str, variant: &Variant) -> Result<(f64, f64), String> {
    let dir = fixtures().join(fixture).join(name);
    let rules = dir.join("weights.json");
    let whole = rules.is_file().then(|| put_together(&dir, &rules));
    let most = if whole.is_some() { DRAWN } else { STORED };
    let dir = whole
        .as_ref()
        .map_or(dir.as_path(), tempfile::TempDir::path);
    let ckpt = format!("local-dir:{}", dir.display());
    let spec =
        resolve(&variant.org, &ckpt, Path::new("/elsewhere")).map_err(|error| error.to_string())?;
    if spec.dim() != variant.dim {
        return Err(format!("dim {}, expected {}", spec.dim(), variant.dim));
    }
    let backbone = spec
        .load(Device::Cpu, Precision::F32, &Interrupt::default())
        .map_err(|error| error.to_string())?;
    if backbone.n_parameters() != Some(variant.parameters) {
        let found = backbone.n_parameters();
        return Err(format!(
            "{found:?} parameters, expected {}",
            variant.parameters
        ));
    }
    let n_pixels = 3 * variant.size[0] * variant.size[1];
    let rows = backbone
        .extract(&pixels(N_IMAGES * n_pixels), N_IMAGES)
        .map_err(|error| error.to_string())?;
    let (cosine, relative) = compare(&rows, &expected(fixture, name), variant.dim);
    if cosine >= MIN_COSINE && relative < most {
        Ok((cosine, relative))
    } else {
        Err(format!("cosine {cosine:.9}, relative error {relative:.2e}"))
    }
}

/// `families` are as the libraries save them. `adapted` have wrapped names, old tensors, other file names, positions of
/// another grid or odd configurations: `make/adapted.py`.
#[test]
fn features_equal_those_of_the_libraries() {
    let mut wrong = Vec::new();
    for fixture in ["families", "adapted"] {
        for (name, variant) in variants_of(fixture) {
            match examine(fixture, &name, &variant) {
                Ok((cosine, relative)) => {
                    println!("{name}: cosine {cosine:.9}, relative error {relative:.2e}");
                }
                Err(problem) => wrong.push(format!("{name}: {problem}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Half precision is 5e-4 and 4e-3 coarse, and these networks are two blocks deep.
#[test]
fn half_precision_is_near_f32() {
    for (name, variant) in variants() {
        // Weights that are drawn make deep networks of great gain: in half precision they are far off in Python, too.
        let dir = fixtures().join("families").join(&name);
        if dir.join("weights.json").is_file() {
            continue;
        }
        let ckpt = format!("local-dir:{}", dir.display());
        let spec = resolve(&variant.org, &ckpt, Path::new("")).unwrap();
        let n_pixels = 3 * variant.size[0] * variant.size[1];
        let pixels = pixels(N_IMAGES * n_pixels);
        for (precision, least) in [(Precision::F16, 0.9999), (Precision::Bf16, 0.999)] {
            let backbone = spec
                .load(Device::Cpu, precision, &Interrupt::default())
                .unwrap();
            let rows = backbone.extract(&pixels, N_IMAGES).unwrap();
            let (cosine, _) = compare(&rows, &expected("families", &name), variant.dim);
            println!("{name}, {precision}: cosine {cosine:.9}");
            assert!(cosine > least, "{name}, {precision}: {cosine}");
        }
    }
}

#[test]
fn torchscript_module_gives_what_python_gives() {
    let dir = fixtures().join("script");
    let spec = resolve("torchscript", "tiny.pt", &dir).unwrap();
    assert_eq!(spec.preprocessing().size, [24, 32]);
    assert_eq!(
        spec.canonical()["preprocessing"]["resize"],
        serde_json::json!({ "squash": { "size": [30, 40] } })
    );
    let backbone = spec
        .load(Device::Cpu, Precision::F32, &Interrupt::default())
        .unwrap();
    let rows = backbone
        .extract(&pixels(N_IMAGES * 3 * 24 * 32), N_IMAGES)
        .unwrap();
    let (cosine, relative) = compare(&rows, &expected("script", "tiny"), 12);
    assert!(
        cosine >= MIN_COSINE && relative < MAX_RELATIVE,
        "{cosine}, {relative}"
    );
}

#[test]
fn images_are_prepared_as_transformers_prepares_them() {
    let bytes = fs_err::read(fixtures().join("processors.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    for name in tensors.names() {
        let (variant, size) = name.split_once('.').unwrap();
        let (width, height) = size.split_once('x').unwrap();
        let (width, height): (usize, usize) = (width.parse().unwrap(), height.parse().unwrap());
        let dir = fixtures().join("families").join(variant);
        let ckpt = format!("local-dir:{}", dir.display());
        let spec = resolve("transformers", &ckpt, Path::new("")).unwrap();
        let n = u32::try_from(width * height * 3).unwrap();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "whole numbers from 0 to 255"
        )]
        let image = RgbImage {
            width,
            height,
            pixels: (0..n).map(|i| ((value(i) + 1.0) * 128.0) as u8).collect(),
        };
        let ours = spec.preprocessing().apply(&image);
        let theirs = expected("processors", name);
        assert_eq!(ours.len(), theirs.len(), "{name}");
        // transformers multiplies by 1/255 in f64 where torchvision divides in f32: the last bit may differ.
        let furthest = ours
            .iter()
            .zip(&theirs)
            .fold(0.0_f32, |max, (a, b)| (a - b).abs().max(max));
        assert!(furthest < 1e-6, "{name}: {furthest}");
    }
}
