//! Pillow's `Image.resize`, byte for byte: two passes, one per axis, rounded to 8 bits after each.
//!
//! Sums are integers, so neither the order of additions nor the width of the vectors shows in the
//! result. The order of the passes does: Pillow 13 takes the vertical one first where the height
//! shrinks much more than the width, where Pillow 12.2 begins with the horizontal one. Ours is the
//! order of Pillow 13.

use std::ops::Range;

use super::RgbImage;
use super::filter::{Axis, Interpolation};
use super::passes::{self, CHANNELS};

/// A rectangle of pixels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// From left to right.
    pub columns: Range<usize>,
    /// From top to bottom.
    pub rows: Range<usize>,
}

/// Resizes `image` to `width` × `height` pixels.
///
/// Source: `PIL.Image.Image.resize` of Pillow 13, without its `box` and `reducing_gap`.
pub fn resize(
    image: &RgbImage,
    width: usize,
    height: usize,
    interpolation: Interpolation,
) -> RgbImage {
    let whole = Region {
        columns: 0..width,
        rows: 0..height,
    };
    resize_region(image, [width, height], &whole, interpolation)
}

/// The part `region` of what [`resize`] would give for `[width, height]`, without making the rest.
///
/// `region` lies within `width` × `height`. An image without pixels gives black ones.
pub fn resize_region(
    image: &RgbImage,
    size: [usize; 2],
    region: &Region,
    interpolation: Interpolation,
) -> RgbImage {
    let (width, height) = (region.columns.len(), region.rows.len());
    if image.pixels.is_empty() || width == 0 || height == 0 {
        return RgbImage {
            width,
            height,
            pixels: vec![0; width * height * CHANNELS],
        };
    }
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        #[expect(
            unsafe_code,
            reason = "code for a processor feature that was just detected"
        )]
        // SAFETY: the processor has AVX2.
        return unsafe { resample_avx2(image, size, region, interpolation) };
    }
    resample(image, size, region, interpolation)
}

/// As [`resample`], compiled for twice as wide vectors.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn resample_avx2(
    image: &RgbImage,
    size: [usize; 2],
    region: &Region,
    interpolation: Interpolation,
) -> RgbImage {
    resample(image, size, region, interpolation)
}

/// As [`resize_region`], of a region and an image with pixels.
// Closures would not inherit their caller's processor features, hence none here.
#[expect(
    clippy::inline_always,
    reason = "compiled for its caller's processor features"
)]
#[inline(always)]
fn resample(
    image: &RgbImage,
    [width, height]: [usize; 2],
    region: &Region,
    interpolation: Interpolation,
) -> RgbImage {
    let Region { columns, rows } = region;

    // A pass that keeps the size is skipped; it is the identity for every filter.
    let horizontal = (width != image.width)
        .then(|| Axis::new(image.width, width, columns.clone(), interpolation));
    let vertical = (height != image.height)
        .then(|| Axis::new(image.height, height, rows.clone(), interpolation));

    let stride = image.width * CHANNELS;
    let out_stride = columns.len() * CHANNELS;
    let needed = vertical.as_ref().map_or(rows.clone(), Axis::reach);
    let source = &image.pixels[needed.start * stride..needed.end * stride];
    let pixels = match (&horizontal, &vertical) {
        (None, None) => copy_columns(source, stride, columns),
        (Some(horizontal), None) => passes::horizontal(source, stride, horizontal),
        (None, Some(vertical)) => {
            let source = copy_columns(source, stride, columns);
            passes::vertical(&source, out_stride, needed.start, vertical)
        }
        (Some(horizontal), Some(vertical)) => {
            if vertical_first([image.width, image.height], [width, height]) {
                let between = passes::vertical(source, stride, needed.start, vertical);
                passes::horizontal(&between, stride, horizontal)
            } else {
                let between = passes::horizontal(source, stride, horizontal);
                passes::vertical(&between, out_stride, needed.start, vertical)
            }
        }
    };
    RgbImage {
        width: columns.len(),
        height: rows.len(),
        pixels,
    }
}

/// Whether the vertical pass comes first, from and to `[width, height]`: the height shrinks by more
/// than twice the pixels that the width shrinks by.
///
/// Source: `ImagingResampleInner` of Pillow 13's `Resample.c`.
fn vertical_first(from: [usize; 2], to: [usize; 2]) -> bool {
    from[1] > to[1] && from[1] + 2 * to[0] > to[1] + 2 * from[0]
}

fn copy_columns(source: &[u8], stride: usize, columns: &Range<usize>) -> Vec<u8> {
    let bytes = columns.start * CHANNELS..columns.end * CHANNELS;
    let rows = source.chunks_exact(stride);
    rows.flat_map(|row| &row[bytes.clone()]).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(width: usize, height: usize) -> RgbImage {
        let sample = |n: usize| (n.wrapping_mul(2_654_435_761) >> 16).to_le_bytes()[0];
        let pixels = (0..width * height * CHANNELS).map(sample).collect();
        RgbImage {
            width,
            height,
            pixels,
        }
    }

    /// The part `region` of `image`.
    fn cut(image: &RgbImage, Region { columns, rows }: &Region) -> RgbImage {
        let of_image = image.pixels.chunks_exact(image.width * CHANNELS);
        let pixels = of_image.skip(rows.start).take(rows.len());
        let bytes = columns.start * CHANNELS..columns.end * CHANNELS;
        RgbImage {
            width: columns.len(),
            height: rows.len(),
            pixels: pixels
                .flat_map(|row| &row[bytes.clone()])
                .copied()
                .collect(),
        }
    }

    #[test]
    fn region_is_that_part_of_the_whole_in_either_order_of_passes() {
        let cases = [
            ([37, 29], [50, 41]),
            ([37, 29], [20, 17]),
            ([20, 90], [18, 30]),
        ];
        for ([from_width, from_height], [width, height]) in cases {
            let image = noise(from_width, from_height);
            for interpolation in [Interpolation::Nearest, Interpolation::Lanczos] {
                let whole = resize(&image, width, height, interpolation);
                let region = Region {
                    columns: 3..16,
                    rows: 5..16,
                };
                let part = resize_region(&image, [width, height], &region, interpolation);
                assert_eq!(part, cut(&whole, &region));
            }
        }
    }

    #[test]
    fn one_axis_is_resized_alone_where_the_other_keeps_its_size() {
        let image = noise(40, 30);
        let region = Region {
            columns: 7..37,
            rows: 2..22,
        };
        for (width, height) in [(40, 30), (40, 22), (52, 30)] {
            let whole = resize(&image, width, height, Interpolation::Bicubic);
            let size = [width, height];
            let part = resize_region(&image, size, &region, Interpolation::Bicubic);
            assert_eq!(part, cut(&whole, &region));
        }
        assert_eq!(resize(&image, 40, 30, Interpolation::Bicubic), image);
    }

    #[test]
    fn even_colour_stays_as_it_is() {
        let pixels = [10, 128, 255].repeat(60 * 40);
        let image = RgbImage {
            width: 60,
            height: 40,
            pixels,
        };
        for (width, height) in [(17, 90), (200, 3), (5, 4)] {
            let resized = resize(&image, width, height, Interpolation::Lanczos);
            assert_eq!(resized.pixels, [10, 128, 255].repeat(width * height));
        }
    }

    #[test]
    fn code_for_this_processor_gives_what_the_portable_code_gives() {
        let image = noise(131, 87);
        for (width, height) in [(64, 40), (300, 99), (5, 3), (120, 20)] {
            let whole = Region {
                columns: 0..width,
                rows: 0..height,
            };
            assert_eq!(
                resample(&image, [width, height], &whole, Interpolation::Bicubic),
                resize(&image, width, height, Interpolation::Bicubic)
            );
        }
    }

    #[test]
    fn images_and_regions_of_no_pixels_are_no_error() {
        let nothing = RgbImage {
            width: 0,
            height: 0,
            pixels: Vec::new(),
        };
        let black = resize(&nothing, 2, 3, Interpolation::Bilinear);
        assert_eq!(black.pixels, [0; 18]);
        let empty = resize(&noise(5, 4), 0, 0, Interpolation::Bilinear);
        assert_eq!((empty.width, empty.height, empty.pixels.len()), (0, 0, 0));
    }
}
