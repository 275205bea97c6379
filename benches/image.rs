//! Decoding, resizing and preprocessing of one image of NeWT's size.
//!
//! `benches/compare/image.py` times Pillow and torchvision at the same work.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use mozjpeg::{ColorSpace, Compress};
use newt_pipe::internals::image::{
    Interpolation, Preprocessing, RgbImage, TimmCrop, check, decode, resize,
};

/// `[width, height]` of most of NeWT's photographs.
const SIZE: [usize; 2] = [500, 375];

/// `[width, height]` after timm's usual resize, to 224 / 0.9 on the shorter side.
const RESIZED: [usize; 2] = [330, 248];

const QUALITY: f32 = 90.0;

/// Slopes and some noise; `benches/compare/image.py` makes the same.
fn picture() -> RgbImage {
    let [width, height] = SIZE;
    let mut pixels = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        for x in 0..width {
            for c in 0..3 {
                let value = x * (c + 1) + y * (3 - c) + (x * x + y * c) % 23;
                pixels.push(value.to_le_bytes()[0]); // modulo 256
            }
        }
    }
    RgbImage {
        width,
        height,
        pixels,
    }
}

/// A baseline JPEG with halved chroma, as Pillow writes it.
#[expect(clippy::expect_used, reason = "a vector takes all that is written")]
fn jpeg(image: &RgbImage) -> Vec<u8> {
    let write = || {
        let mut compress = Compress::new(ColorSpace::JCS_RGB);
        compress.set_fastest_defaults();
        compress.set_size(image.width, image.height);
        compress.set_quality(QUALITY);
        let mut compress = compress.start_compress(Vec::new())?;
        compress.write_scanlines(&image.pixels)?;
        compress.finish()
    };
    write().expect("bytes of a JPEG")
}

fn image(criterion: &mut Criterion) {
    let picture = picture();
    let jpeg = jpeg(&picture);
    let mut group = criterion.benchmark_group("image");
    group.bench_function("check", |bencher| bencher.iter(|| check(black_box(&jpeg))));
    group.bench_function("decode", |bencher| {
        bencher.iter(|| decode(black_box(&jpeg)));
    });

    let [width, height] = RESIZED;
    for (name, interpolation) in [
        ("resize_bilinear", Interpolation::Bilinear),
        ("resize_bicubic", Interpolation::Bicubic),
        ("resize_lanczos", Interpolation::Lanczos),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| resize(black_box(&picture), width, height, interpolation));
        });
    }

    let [mean, std] = [[0.5; 3]; 2];
    let crop = TimmCrop::Center;
    let preprocessing =
        Preprocessing::timm([224, 224], 0.9, crop, Interpolation::Bicubic, mean, std);
    let mut tensor = vec![0.0; preprocessing.n_values()];
    group.bench_function("preprocess", |bencher| {
        bencher.iter(|| preprocessing.apply_into(black_box(&picture), &mut tensor));
    });
    group.finish();
}

criterion_group!(benches, image);
criterion_main!(benches);
