//! Features that are pooled otherwise than the reference does it: `make/poolings.py`.

use std::collections::BTreeMap;
use std::path::Path;

use newt_pipe::internals::backbone::{BackboneSpec, Device, Pool, Precision};
use newt_pipe::{Error, Interrupt};
use serde::Deserialize;

use crate::families::{DRAWN, STORED, put_together};
use crate::features::{
    MIN_COSINE, N_IMAGES, compare, expected, fixtures, pixels, resolve, resolve_pooled,
};

#[derive(Deserialize)]
struct Fixture {
    variants: BTreeMap<String, Variant>,
}

#[derive(Deserialize)]
struct Variant {
    org: String,
    /// The folder of the checkpoint's.
    folder: String,
    /// `[h, w]` of an image.
    size: [usize; 2],
    /// The number of features of every pooling but `auto`.
    pools: BTreeMap<String, usize>,
}

fn variants() -> BTreeMap<String, Variant> {
    let json = fs_err::read(fixtures().join("poolings.json")).unwrap();
    serde_json::from_slice::<Fixture>(&json).unwrap().variants
}

/// Cosine and relative error to what the library gives.
fn measured(
    spec: &BackboneSpec,
    key: &str,
    size: [usize; 2],
    dim: usize,
) -> Result<(f64, f64), Error> {
    assert_eq!(spec.dim(), dim, "{key}");
    let backbone = spec.load(Device::Cpu, Precision::F32, &Interrupt::default())?;
    let n_pixels = 3 * size[0] * size[1];
    let rows = backbone.extract(&pixels(N_IMAGES * n_pixels), N_IMAGES)?;
    Ok(compare(&rows, &expected("poolings", key), dim))
}

#[test]
fn pooled_features_equal_those_of_the_libraries() {
    let mut wrong = Vec::new();
    for (name, variant) in variants() {
        let dir = fixtures().join(&variant.folder).join(&name);
        let rules = dir.join("weights.json");
        let whole = rules.is_file().then(|| put_together(&dir, &rules));
        let most = if whole.is_some() { DRAWN } else { STORED };
        let dir = whole.as_ref().map_or(dir.as_path(), |dir| dir.path());
        let ckpt = format!("local-dir:{}", dir.display());
        for pool in Pool::all() {
            let key = format!("{name}.{pool}");
            let found = resolve_pooled(&variant.org, &ckpt, pool, Path::new("/elsewhere"));
            match (variant.pools.get(&pool.to_string()), found) {
                (Some(&dim), Ok(spec)) => match measured(&spec, &key, variant.size, dim) {
                    Ok((cosine, relative)) => {
                        println!("{key}: cosine {cosine:.9}, relative error {relative:.2e}");
                        if cosine < MIN_COSINE || relative >= most {
                            wrong.push(format!("{key}: {cosine:.9}, {relative:.2e}"));
                        }
                    }
                    Err(error) => wrong.push(format!("{key}: {error}")),
                },
                (Some(_), Err(error)) => wrong.push(format!("{key}: {error}")),
                (None, Ok(_)) if pool != Pool::Auto => wrong.push(format!("{key}: taken")),
                (None, _) => {}
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The same network, by whichever name, is known as the same.
#[test]
fn a_pooling_that_means_what_auto_means_is_auto() {
    let same = |org: &str, folder: &str| {
        let ckpt = format!("local-dir:{}", fixtures().join(folder).display());
        let spec = resolve(org, &ckpt, Path::new("")).unwrap();
        let same: Vec<_> = spec
            .poolings
            .same_as(Pool::Auto)
            .map(|pool| pool.to_string())
            .collect();
        same.join(" ")
    };
    assert_eq!(same("timm", "families/vit_qk_norm"), "cls head");
    assert_eq!(same("timm", "families/vit_map_head"), "max");
    assert_eq!(same("timm", "families/deit_distilled"), "cls");
    assert_eq!(same("timm", "families/timm_dinov3"), "cls");
    assert_eq!(same("timm", "families/resnet18"), "max");
    assert_eq!(same("timm", "poolings/resnet18_max"), "max head");
    assert_eq!(same("timm", "poolings/vit_registers_fc_norm"), "");
    assert_eq!(same("open-clip", "families/clip"), "");
    assert_eq!(same("open-clip", "families/clip_avg_pool"), "");
    assert_eq!(same("transformers", "families/hf_clip"), "");
    assert_eq!(same("transformers", "families/hf_dinov3"), "cls head");
    assert_eq!(same("transformers", "families/hf_siglip"), "head");
    assert_eq!(same("dinov2", "families/dinov2"), "cls head");
    assert_eq!(same("aimv2", "families/aimv2"), "max");
}
