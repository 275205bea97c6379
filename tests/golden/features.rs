//! What tests of backbones share: checkpoints without a hub, images, and how far features may lie apart.

use std::path::{Path, PathBuf};

use newt_pipe::internals::backbone::{
    self, BackboneSpec, Lookup, Pool, SearchPaths, search_libtorch_in,
};
use newt_pipe::internals::hub::Hub;
use newt_pipe::{Error, Interrupt, Silent};
use safetensors::SafeTensors;

/// Rows in every fixture.
pub(crate) const N_IMAGES: usize = 5;

/// Same library, other machine: another order of summation is all that may differ, 1e-6 in practice.
pub(crate) const MIN_COSINE: f64 = 0.99999;
pub(crate) const MAX_RELATIVE: f64 = 1e-4;

pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/fixtures")
}

/// Finds a backbone, pooled as the reference does it.
pub(crate) fn resolve(org: &str, ckpt: &str, base_dir: &Path) -> Result<BackboneSpec, Error> {
    resolve_pooled(org, ckpt, Pool::Auto, base_dir)
}

/// Finds a backbone on this machine; its network will run on the libtorch that `.cargo/config.toml` names.
pub(crate) fn resolve_pooled(
    org: &str,
    ckpt: &str,
    pool: Pool,
    base_dir: &Path,
) -> Result<BackboneSpec, Error> {
    let program = Path::new(env!("CARGO_BIN_EXE_newt-pipe"));
    search_libtorch_in(SearchPaths {
        libtorch: std::env::var_os("LIBTORCH").map(PathBuf::from),
        program_dir: program.parent().map(Path::to_owned),
        ..SearchPaths::default()
    });
    let hub = Hub::new(
        newt_pipe::internals::hub::Settings::default(),
        Interrupt::default(),
    );
    let lookup = Lookup {
        base_dir,
        hub: &hub,
        progress: &Silent,
        allow_code: true,
        update: false,
    };
    backbone::resolve(org, ckpt, pool, lookup)
}

/// `[n, 3, h, w]` from -1 to 1, the same as in `make/backbone.py`.
pub(crate) fn pixels(n_values: usize) -> Vec<f32> {
    (0..u32::try_from(n_values).unwrap()).map(value).collect()
}

/// The i-th of an endless sequence of values from -1 to 1.
pub(crate) fn value(i: u32) -> f32 {
    let x = i.wrapping_mul(2_654_435_761);
    let x = (x ^ (x >> 15)).wrapping_mul(2_246_822_519);
    (x >> 16) as f32 / 32768.0 - 1.0
}

/// The features that the reference library gives, `[n, d]`.
pub(crate) fn expected(fixture: &str, key: &str) -> Vec<f32> {
    let bytes = fs_err::read(fixtures().join(format!("{fixture}.safetensors"))).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let (values, _) = tensors.tensor(key).unwrap().data().as_chunks::<4>();
    values
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes))
        .collect()
}

/// Smallest cosine of two rows, and largest difference relative to the largest value.
pub(crate) fn compare(rows: &[f32], expected: &[f32], dim: usize) -> (f64, f64) {
    assert_eq!(rows.len(), expected.len());
    let dot = |a: &[f32], b: &[f32]| {
        a.iter()
            .zip(b)
            .map(|(a, b)| f64::from(*a) * f64::from(*b))
            .sum::<f64>()
    };
    let cosine = rows
        .chunks_exact(dim)
        .zip(expected.chunks_exact(dim))
        .map(|(a, b)| dot(a, b) / (dot(a, a) * dot(b, b)).sqrt())
        .fold(1.0, f64::min);
    let largest = expected
        .iter()
        .fold(0.0, |max, value| f64::from(value.abs()).max(max));
    let difference = rows
        .iter()
        .zip(expected)
        .fold(0.0, |max, (a, b)| f64::from((a - b).abs()).max(max));
    (cosine, difference / largest)
}
