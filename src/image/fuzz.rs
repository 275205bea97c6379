//! Damaged photographs of every kind that is read.

use mozjpeg::{ColorSpace, Compress};

use super::{
    CropRounding, Interpolation, MAX_PIXELS, Preprocessing, ResizeMode, RgbImage, check, decode,
};
use crate::fuzz::{self, said};

/// Larger ones take seconds each, which are the decoder's.
const MOST_PIXELS: usize = 1 << 20;

fn jpeg(colours: ColorSpace, n_samples: usize, is_progressive: bool) -> Vec<u8> {
    let (width, height) = (37, 21);
    let mut jpeg = Compress::new(colours);
    jpeg.set_size(width, height);
    jpeg.set_quality(70.0);
    if is_progressive {
        jpeg.set_progressive_mode();
    }
    let samples: Vec<u8> = (0..=250).cycle().take(width * height * n_samples).collect();
    let mut started = jpeg.start_compress(Vec::new()).unwrap();
    started.write_scanlines(&samples).unwrap();
    started.finish().unwrap()
}

fn png(color: png::ColorType, depth: png::BitDepth) -> Vec<u8> {
    let (width, height) = (13, 7);
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(color);
    encoder.set_depth(depth);
    if color == png::ColorType::Indexed {
        encoder.set_palette(vec![0, 1, 2, 250, 128, 7]);
        encoder.set_trns(vec![0, 255]);
    }
    let mut writer = encoder.write_header().unwrap();
    let n_bits = width as usize * color.samples() * depth as usize;
    let row = n_bits.div_ceil(8);
    writer
        .write_image_data(&vec![0x55; row * height as usize])
        .unwrap();
    drop(writer);
    bytes
}

fn read(bytes: &[u8]) -> Result<(), String> {
    let checked = check(bytes);
    if let Ok(header) = &checked {
        assert!((1..=MAX_PIXELS).contains(&(header.width * header.height)));
        if header.width * header.height > MOST_PIXELS {
            return Ok(());
        }
    }
    let image = decode(bytes).map_err(|error| said(&error, Some(error.hint())))?;
    let header = checked.expect("what can be decoded is not refused by its header");
    assert_eq!((image.width, image.height), (header.width, header.height));
    assert_eq!(image.pixels.len(), image.width * image.height * 3);
    Ok(())
}

#[test]
fn damaged_jpegs_are_refused_or_whole() {
    let samples = vec![
        jpeg(ColorSpace::JCS_RGB, 3, false),
        jpeg(ColorSpace::JCS_RGB, 3, true),
        jpeg(ColorSpace::JCS_GRAYSCALE, 1, false),
        jpeg(ColorSpace::JCS_CMYK, 4, false),
    ];
    fuzz::check(1000, samples, read);
}

#[test]
fn damaged_pngs_are_refused_or_whole() {
    let samples = vec![
        png(png::ColorType::Rgb, png::BitDepth::Eight),
        png(png::ColorType::Rgba, png::BitDepth::Sixteen),
        png(png::ColorType::Grayscale, png::BitDepth::Sixteen),
        png(png::ColorType::GrayscaleAlpha, png::BitDepth::Eight),
        png(png::ColorType::Indexed, png::BitDepth::One),
    ];
    fuzz::check(1000, samples.clone(), read);
    // As above, with checksums that are right: what is in a chunk is not covered by them any more.
    fuzz::check(1000, samples, |bytes| read(&sealed(bytes)));
}

/// The same chunks with the checksums that they should have.
fn sealed(png: &[u8]) -> Vec<u8> {
    let mut sealed = png.to_vec();
    let mut at = 8;
    while let Some(head) = sealed.get(at..at + 8) {
        let n = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let Some(end) = at.checked_add(8 + n).filter(|end| end + 4 <= sealed.len()) else {
            break;
        };
        let mut crc = flate2::Crc::new();
        crc.update(&sealed[at + 4..end]);
        sealed[end..end + 4].copy_from_slice(&crc.sum().to_be_bytes());
        at = end + 4;
    }
    sealed
}

/// The longest and thinnest pictures that there are.
#[test]
fn thin_images_take_no_more_memory_than_others() {
    for [width, height] in [[65_500, 1], [1, 65_500], [1, 1]] {
        let image = RgbImage {
            width,
            height,
            pixels: vec![7; width * height * 3],
        };
        for resize in [
            ResizeMode::Shortest { side: 256 },
            ResizeMode::Squash { size: [256, 256] },
        ] {
            let preprocessing = Preprocessing {
                size: [224, 224],
                resize,
                interpolation: Interpolation::Bicubic,
                crop: CropRounding::Down,
                mean: [0.5; 3],
                std: [0.5; 3],
            };
            assert!(
                preprocessing
                    .apply(&image)
                    .iter()
                    .all(|value| value.is_finite())
            );
        }
    }
}
