//! From an image of any size to the tensor that a backbone takes.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::filter::Interpolation;
use super::resize::{Region, resize_region};
use super::{RgbImage, whole};

/// How an image becomes a tensor: resized, cropped or padded to `size`, scaled to 0..1, normalised.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Preprocessing {
    /// `[h, w]` of the tensor.
    pub size: [usize; 2],
    /// To which size the image is resized before the centre is cut out.
    pub resize: ResizeMode,
    /// How the resized pixels are made.
    pub interpolation: Interpolation,
    /// Where the centre is cut out when it cannot lie in the middle.
    pub crop: CropRounding,
    /// Per channel, subtracted.
    pub mean: [f32; 3],
    /// Per channel, divided by, after the subtraction.
    pub std: [f32; 3],
}

/// To which size an image is resized before the centre is cut out; where the image is smaller than
/// the crop, it is padded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ResizeMode {
    /// The shorter side becomes `side`, the longer one keeps the ratio, rounded down. Black padding.
    ///
    /// Source: torchvision's `Resize(side)`.
    Shortest {
        /// In pixels.
        side: usize,
    },
    /// The smallest size of the same ratio that covers `size`, rounded to nearest. Black padding.
    ///
    /// Source: `ResizeKeepRatio(size, longest=0)` of timm and `open_clip`.
    Cover {
        /// `[h, w]` in pixels.
        size: [usize; 2],
    },
    /// The largest size of the same ratio that fits into `size`, rounded to nearest.
    ///
    /// Source: `ResizeKeepRatio(size, longest=1)` of timm and `open_clip`.
    Contain {
        /// `[h, w]` in pixels.
        size: [usize; 2],
        /// The colour of the padding.
        fill: [u8; 3],
    },
    /// Exactly `size`, whatever the ratio. Black padding.
    ///
    /// Source: torchvision's `Resize((h, w))`.
    Squash {
        /// `[h, w]` in pixels.
        size: [usize; 2],
    },
}

/// Where a centre is cut out when an odd number of pixels is left over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CropRounding {
    /// Half of the rest, rounded to the nearest even number of pixels, as Python's `round`.
    ///
    /// Source: `center_crop` of torchvision, `center_crop_or_pad` of timm and `open_clip`.
    HalfToEven,
    /// Half of the rest, rounded down; half of what is missing, rounded up.
    ///
    /// Source: `transformers.image_transforms.center_crop`.
    Down,
}

/// timm's `crop_mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TimmCrop {
    /// The ratio is kept, the centre is cut out.
    Center,
    /// The ratio is given up, then the centre is cut out.
    Squash,
    /// The ratio is kept, borders in the mean colour are added.
    Border,
}

/// The `resize_mode` of `open_clip`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OpenClipResize {
    /// The ratio is kept, the centre is cut out.
    Shortest,
    /// The ratio is kept, borders in the fill colour are added.
    Longest,
    /// The ratio is given up.
    Squash,
}

impl Preprocessing {
    /// timm's evaluation transform; `size` is `[h, w]`, `crop_pct` the share of the resized side
    /// that is kept.
    ///
    /// Source: `timm.data.transforms_factory.transforms_imagenet_eval`, timm 1.0.
    pub fn timm(
        size: [usize; 2],
        crop_pct: f64,
        crop: TimmCrop,
        interpolation: Interpolation,
        mean: [f32; 3],
        std: [f32; 3],
    ) -> Self {
        let scaled = size.map(|side| whole(side as f64 / crop_pct));
        let resize = match crop {
            TimmCrop::Squash => ResizeMode::Squash { size: scaled },
            TimmCrop::Border => {
                let fill = mean.map(|mean| {
                    let level = whole((255.0 * f64::from(mean)).round_ties_even());
                    u8::try_from(level).unwrap_or(u8::MAX)
                });
                ResizeMode::Contain { size: scaled, fill }
            }
            TimmCrop::Center if scaled[0] == scaled[1] => ResizeMode::Shortest { side: scaled[0] },
            TimmCrop::Center => ResizeMode::Cover { size: scaled },
        };
        Self {
            size,
            resize,
            interpolation,
            crop: CropRounding::HalfToEven,
            mean,
            std,
        }
    }

    /// The evaluation transform of `open_clip`; `size` is `[h, w]`, `fill` its `fill_color`.
    ///
    /// Source: `open_clip.transform.image_transform`, version 3.3, whose mode `shortest` resizes to
    /// sizes that are not square with bicubic interpolation, whatever was asked for.
    pub fn open_clip(
        size: [usize; 2],
        mode: OpenClipResize,
        interpolation: Interpolation,
        fill: u8,
        mean: [f32; 3],
        std: [f32; 3],
    ) -> Self {
        let (resize, interpolation) = match mode {
            OpenClipResize::Squash => (ResizeMode::Squash { size }, interpolation),
            OpenClipResize::Longest => (
                ResizeMode::Contain {
                    size,
                    fill: [fill; 3],
                },
                interpolation,
            ),
            OpenClipResize::Shortest if size[0] == size[1] => {
                (ResizeMode::Shortest { side: size[0] }, interpolation)
            }
            OpenClipResize::Shortest => (ResizeMode::Cover { size }, Interpolation::Bicubic),
        };
        Self {
            size,
            resize,
            interpolation,
            crop: CropRounding::HalfToEven,
            mean,
            std,
        }
    }

    /// Number of values that [`Self::apply`] gives: 3 · h · w.
    pub fn n_values(&self) -> usize {
        3 * self.size[0] * self.size[1]
    }

    /// The image as a tensor, `[3, h, w]` f32.
    ///
    /// Source: `ToTensor` and `Normalize` of torchvision 0.26, bit for bit.
    pub fn apply(&self, image: &RgbImage) -> Vec<f32> {
        let mut out = vec![0.0; self.n_values()];
        self.apply_into(image, &mut out);
        out
    }

    /// As [`Self::apply`], into `out`, `[3, h, w]`.
    ///
    /// # Panics
    /// If `out` does not have [`Self::n_values`] values.
    pub fn apply_into(&self, image: &RgbImage, out: &mut [f32]) {
        assert_eq!(out.len(), self.n_values(), "length of the tensor");
        let crop = self.crop(image);
        let values = [0, 1, 2].map(|channel| self.normalized(channel));
        let (red, rest) = out.split_at_mut(out.len() / 3);
        let (green, blue) = rest.split_at_mut(rest.len() / 2);
        let planes = red.iter_mut().zip(green).zip(blue);
        for (((red, green), blue), &[r, g, b]) in planes.zip(crop.pixels.as_chunks().0) {
            *red = values[0][usize::from(r)];
            *green = values[1][usize::from(g)];
            *blue = values[2][usize::from(b)];
        }
    }

    /// The resized and cropped image, `size` large, before it becomes a tensor.
    pub fn crop(&self, image: &RgbImage) -> RgbImage {
        let [out_height, out_width] = self.size;
        if out_height == 0 || out_width == 0 {
            return RgbImage {
                width: out_width,
                height: out_height,
                pixels: Vec::new(),
            };
        }
        let [height, width] = self.resize.resized(image);
        let vertical = CenterCrop::new(height, out_height, self.crop);
        let horizontal = CenterCrop::new(width, out_width, self.crop);
        let region = Region {
            columns: horizontal.kept(),
            rows: vertical.kept(),
        };
        let inner = resize_region(image, [width, height], &region, self.interpolation);
        if (inner.width, inner.height) == (out_width, out_height) {
            return inner;
        }

        let fill = match self.resize {
            ResizeMode::Contain { fill, .. } => fill,
            ResizeMode::Shortest { .. } | ResizeMode::Cover { .. } | ResizeMode::Squash { .. } => {
                [0; 3]
            }
        };
        let mut pixels = fill.repeat(out_width * out_height);
        let rows = pixels.chunks_exact_mut(out_width * 3).skip(vertical.pad);
        for (row, inner) in rows.zip(inner.pixels.chunks_exact(inner.width * 3)) {
            row[horizontal.pad * 3..][..inner.len()].copy_from_slice(inner);
        }
        RgbImage {
            width: out_width,
            height: out_height,
            pixels,
        }
    }

    /// What each 8-bit sample of a channel becomes.
    fn normalized(&self, channel: usize) -> [f32; 256] {
        let (mean, std) = (self.mean[channel], self.std[channel]);
        std::array::from_fn(|sample| (sample as f32 / 255.0 - mean) / std)
    }
}

impl ResizeMode {
    /// `[h, w]` of the resized image. A side that would round to nothing is one pixel; there the
    /// libraries raise.
    fn resized(self, image: &RgbImage) -> [usize; 2] {
        let image_size = [image.height, image.width];
        let size = match self {
            Self::Squash { size } => size,
            Self::Shortest { side } => {
                let [height, width] = image_size;
                let long = side * height.max(width) / height.min(width).max(1);
                if width <= height {
                    [long, side]
                } else {
                    [side, long]
                }
            }
            Self::Cover { size } => keep_ratio(image_size, size, f64::min),
            Self::Contain { size, .. } => keep_ratio(image_size, size, f64::max),
        };
        size.map(|side| side.max(1))
    }
}

/// Source: `ResizeKeepRatio.get_params` of timm and `open_clip`; Python's `round` takes halves to
/// even.
fn keep_ratio(image_size: [usize; 2], size: [usize; 2], choose: fn(f64, f64) -> f64) -> [usize; 2] {
    let [ratio_h, ratio_w] = [0, 1].map(|side| image_size[side] as f64 / size[side] as f64);
    let ratio = choose(ratio_h, ratio_w);
    image_size.map(|side| whole((side as f64 / ratio).round_ties_even()))
}

/// A centred crop or padding along one axis.
struct CenterCrop {
    skip: usize,
    take: usize,
    pad: usize,
}

impl CenterCrop {
    fn new(from: usize, to: usize, rounding: CropRounding) -> Self {
        let (over, under) = (from.saturating_sub(to), to.saturating_sub(from));
        let (skip, pad) = match rounding {
            CropRounding::HalfToEven => {
                let half = (over as f64 / 2.0).round_ties_even();
                (whole(half), under / 2)
            }
            CropRounding::Down => (over / 2, under.div_ceil(2)),
        };
        Self {
            skip,
            take: from.min(to),
            pad,
        }
    }

    /// What is kept of the resized image.
    fn kept(&self) -> Range<usize> {
        self.skip..self.skip + self.take
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALVES: [f32; 3] = [0.5; 3];

    fn plain(width: usize, height: usize) -> RgbImage {
        RgbImage {
            width,
            height,
            pixels: vec![200; width * height * 3],
        }
    }

    fn timm(crop: TimmCrop, size: [usize; 2], crop_pct: f64) -> Preprocessing {
        Preprocessing::timm(size, crop_pct, crop, Interpolation::Bicubic, HALVES, HALVES)
    }

    #[test]
    fn sizes_are_those_that_the_python_code_gives() {
        // (mode, width, height, [h, w]), computed with `_compute_resized_output_size` of
        // torchvision 0.26 and `ResizeKeepRatio.get_params` of timm 1.0.
        let cases = [
            (ResizeMode::Shortest { side: 256 }, 500, 375, [256, 341]),
            (ResizeMode::Shortest { side: 256 }, 375, 500, [341, 256]),
            (ResizeMode::Shortest { side: 249 }, 333, 500, [373, 249]),
            (ResizeMode::Cover { size: [106, 177] }, 500, 375, [133, 177]),
            (
                ResizeMode::Contain {
                    size: [248, 248],
                    fill: [0; 3],
                },
                500,
                333,
                [165, 248],
            ),
            (ResizeMode::Squash { size: [7, 9] }, 500, 333, [7, 9]),
        ];
        for (mode, width, height, size) in cases {
            assert_eq!(
                mode.resized(&plain(width, height)),
                size,
                "{mode:?}, {width} × {height}"
            );
        }
    }

    #[test]
    fn center_crop_takes_halves_to_even_or_down() {
        let skips = |rounding| {
            [224, 225, 226, 227, 229].map(|from| {
                let crop = CenterCrop::new(from, 224, rounding);
                assert_eq!((crop.take, crop.pad), (224, 0));
                crop.skip
            })
        };
        assert_eq!(skips(CropRounding::HalfToEven), [0, 0, 1, 2, 2]);
        assert_eq!(skips(CropRounding::Down), [0, 0, 1, 1, 2]);
    }

    #[test]
    fn center_crop_of_less_is_in_the_middle_of_nothing() {
        let pads = |rounding| [5, 6, 7].map(|from| CenterCrop::new(from, 8, rounding).pad);
        // torchvision puts the odd row below, transformers above.
        assert_eq!(pads(CropRounding::HalfToEven), [1, 1, 0]);
        assert_eq!(pads(CropRounding::Down), [2, 1, 1]);
    }

    #[test]
    fn extreme_ratios_cost_no_more_than_the_crop() {
        for image in [plain(1, 65_500), plain(65_500, 1)] {
            for crop in [TimmCrop::Center, TimmCrop::Squash, TimmCrop::Border] {
                let tensor = timm(crop, [224, 224], 0.9).apply(&image);
                assert_eq!(tensor.len(), 3 * 224 * 224);
            }
        }
    }

    #[test]
    fn border_has_the_mean_colour() {
        let crop = timm(TimmCrop::Border, [8, 8], 1.0).crop(&plain(8, 4));
        let (border, inner) = ([128; 8 * 3 * 2], [200; 8 * 3 * 4]);
        assert_eq!(crop.pixels, [&border[..], &inner, &border].concat());
    }

    #[test]
    fn tensor_of_no_values_is_empty() {
        for size in [[0, 8], [8, 0], [0, 0]] {
            assert!(
                timm(TimmCrop::Center, size, 1.0)
                    .apply(&plain(5, 4))
                    .is_empty()
            );
        }
    }

    #[test]
    fn serialized_form_names_every_setting() {
        let json = serde_json::to_string(&timm(TimmCrop::Center, [224, 224], 0.875)).unwrap();
        assert_eq!(
            json,
            r#"{"size":[224,224],"resize":{"shortest":{"side":256}},"interpolation":"bicubic","crop":"half_to_even","mean":[0.5,0.5,0.5],"std":[0.5,0.5,0.5]}"#
        );
    }
}
