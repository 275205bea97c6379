//! Features in half precision are PyTorch's under autocast, to the last bit: `make/autocast.py`.
//!
//! Each kernel's rounding is a step of the format, which the layers after it spread over the whole feature: kernels of
//! two CPUs give features that lie as far apart (1e-3 under f16) as a norm in the wrong precision, a bias added after the
//! rounding, or no half precision at all. No bound tells these from each other. So the reference runs here, in the same
//! libtorch on the same CPU, and every value must be equal.

use std::collections::BTreeMap;
use std::path::Path;

use newt_pipe::Interrupt;
use newt_pipe::internals::backbone::{BackboneSpec, Device, Precision};

use crate::families::variants;
use crate::features::{N_IMAGES, fixtures, pixels, resolve};

fn features(spec: &BackboneSpec, precision: Precision) -> Vec<f32> {
    let backbone = spec
        .load(Device::Cpu, precision, &Interrupt::default())
        .unwrap();
    let pixels = pixels(N_IMAGES * spec.preprocessing().n_values());
    backbone.extract(&pixels, N_IMAGES).unwrap()
}

/// The folder and the `org` of each checkpoint that there is a module for.
fn checkpoints() -> BTreeMap<String, (std::path::PathBuf, String)> {
    let variants = variants();
    let modules = fs_err::read_dir(fixtures().join("autocast")).unwrap();
    modules
        .filter_map(|entry| {
            let file = entry.unwrap().file_name().into_string().unwrap();
            let name = file.strip_suffix(".pt")?.to_owned();
            let checkpoint = match variants.get(&name) {
                Some(variant) => (fixtures().join("families").join(&name), variant.org.clone()),
                None => (fixtures().join("backbone").join(&name), "timm".to_owned()),
            };
            Some((name, checkpoint))
        })
        .collect()
}

/// How many values of `[n, d]` are not the same.
fn n_unequal(a: &[f32], b: &[f32]) -> usize {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).filter(|(a, b)| a != b).count()
}

#[test]
fn half_precision_equals_autocast() {
    let checkpoints = checkpoints();
    assert!(checkpoints.len() >= 20);
    let mut wrong = Vec::new();
    for (name, (folder, org)) in checkpoints {
        let ckpt = format!("local-dir:{}", folder.display());
        let ours = resolve(&org, &ckpt, Path::new("")).unwrap();
        let module = format!("{name}.pt");
        let theirs = resolve("torchscript", &module, &fixtures().join("autocast")).unwrap();
        let single = features(&ours, Precision::F32);
        let both = features(&theirs, Precision::F32); // [n, 2·d]
        for (i, precision) in [Precision::F16, Precision::Bf16].into_iter().enumerate() {
            let d = ours.dim();
            let expected: Vec<f32> = both
                .chunks_exact(2 * d)
                .flat_map(|row| &row[i * d..][..d])
                .copied()
                .collect();
            let found = features(&ours, precision);
            let n = n_unequal(&found, &expected);
            if n > 0 {
                wrong.push(format!("{name}, {precision}: {n} of {}", found.len()));
            }
            assert!(
                n_unequal(&single, &expected) > found.len() / 3,
                "{name}, {precision}: as in f32"
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
