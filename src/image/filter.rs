//! Pillow's resampling filters and the integer weights they give along one axis.

use std::f64::consts::PI;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::whole;

/// Weights are integers in units of `1 / 2^PRECISION_BITS`: 32 bits less 8 for the sample and 2 for
/// overshoot.
pub const PRECISION_BITS: u32 = 32 - 8 - 2;

/// How new pixels are made from old ones; the names are those of timm and of Pillow.
///
/// timm's `random` is a choice for training: its evaluation transform raises on it, so it is not
/// among the names here. (`open_clip` takes it for `bicubic`.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Interpolation {
    /// The pixel at the place.
    Nearest,
    /// The mean of the pixels covered.
    Box,
    /// Linear, two pixels wide.
    Bilinear,
    /// Hamming-windowed sinc, two pixels wide.
    Hamming,
    /// Cubic with a = -0.5, four pixels wide.
    Bicubic,
    /// Sinc-windowed sinc, six pixels wide.
    Lanczos,
}

impl Interpolation {
    /// The name that Pillow's users know it by.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Half the filter's width, in pixels.
    fn support(self) -> f64 {
        match self {
            Self::Nearest => 0.0,
            Self::Box => 0.5,
            Self::Bilinear | Self::Hamming => 1.0,
            Self::Bicubic => 2.0,
            Self::Lanczos => 3.0,
        }
    }

    /// The filter's value at `x` pixels from its centre.
    ///
    /// Source: the filter functions of Pillow's `Resample.c`, operation by operation, except sine
    /// and cosine.
    fn weight(self, x: f64) -> f64 {
        const A: f64 = -0.5;
        let distance = x.abs();
        match self {
            Self::Box if x > -0.5 && x <= 0.5 => 1.0,
            Self::Bilinear if distance < 1.0 => 1.0 - distance,
            Self::Hamming if distance == 0.0 => 1.0,
            Self::Hamming if distance < 1.0 => {
                // The constants are single precision there.
                let window = f64::from(0.54_f32) + f64::from(0.46_f32) * sin_pi(0.5 - distance);
                sin_pi(distance) / (distance * PI) * window
            }
            Self::Bicubic if distance < 1.0 => {
                ((A + 2.0) * distance - (A + 3.0)) * distance * distance + 1.0
            }
            Self::Bicubic if distance < 2.0 => {
                (((distance - 5.0) * distance + 8.0) * distance - 4.0) * A
            }
            Self::Lanczos if (-3.0..3.0).contains(&x) => sinc(x) * sinc(x / 3.0),
            _ => 0.0,
        }
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { sin_pi(x) / (x * PI) }
}

/// sin(π x), for |x| ≤ 3.
///
/// Not `f64::sin`, which is the C library's and may round differently on another machine. The
/// error is below 1e-15, where weights are rounded to 2.4e-7.
fn sin_pi(x: f64) -> f64 {
    let nearest = round_half_up(x.abs());
    let y = (x.abs() - nearest as f64) * PI; // |y| ≤ π / 2; the subtraction is exact
    let square = y * y;
    let mut sum = 0.0;
    for coefficient in SINE.into_iter().rev() {
        sum = sum * square + coefficient;
    }
    let sine = if nearest.is_multiple_of(2) {
        y * sum
    } else {
        -y * sum
    };
    if x < 0.0 { -sine } else { sine }
}

/// Taylor's series of sin(y) / y in y²: 1, -1/3!, 1/5!, … 1/21!.
const SINE: [f64; 11] = {
    let mut coefficients = [1.0; 11];
    let mut n = 1;
    while n < coefficients.len() {
        coefficients[n] = -coefficients[n - 1] / (2 * n * (2 * n + 1)) as f64;
        n += 1;
    }
    coefficients
};

/// Which input pixels make each output pixel along one axis, and with which weights.
pub struct Axis {
    /// First input pixel of each output pixel, and how many.
    spans: Vec<(usize, usize)>,
    /// `[outputs, stride]` in units of `1 / 2^PRECISION_BITS`.
    weights: Vec<i32>,
    stride: usize,
}

impl Axis {
    /// The outputs `range` of an axis of `from` pixels resized to `to`.
    ///
    /// Source: `precompute_coeffs` and `normalize_coeffs_8bpc` of Pillow's `Resample.c`.
    pub fn new(from: usize, to: usize, range: Range<usize>, interpolation: Interpolation) -> Self {
        let scale = from as f64 / to as f64;
        if interpolation == Interpolation::Nearest {
            return Self::nearest(from, scale, range);
        }
        let filter_scale = scale.max(1.0);
        let support = interpolation.support() * filter_scale;
        let inverse_scale = 1.0 / filter_scale;
        let stride = whole(support.ceil()) * 2 + 1;

        let mut spans = Vec::with_capacity(range.len());
        let mut weights = vec![0; range.len() * stride];
        let mut exact = Vec::with_capacity(stride);
        for (output, weights) in range.zip(weights.chunks_exact_mut(stride)) {
            let center = (output as f64 + 0.5) * scale;
            let first = round_half_up(center - support);
            let last = round_half_up(center + support).min(from);

            exact.clear();
            exact.extend(
                (first..last)
                    .map(|x| interpolation.weight((x as f64 - center + 0.5) * inverse_scale)),
            );
            let mut sum = 0.0;
            for weight in &exact {
                sum += weight;
            }
            for (weight, exact) in weights.iter_mut().zip(&exact) {
                *weight = to_fixed_point(if sum == 0.0 { *exact } else { exact / sum });
            }
            spans.push((first, exact.len()));
        }
        Self {
            spans,
            weights,
            stride,
        }
    }

    /// One input pixel for each output pixel; positions are summed up as Pillow sums them.
    ///
    /// Source: `ImagingScaleAffine` of Pillow's `Geometry.c`.
    fn nearest(from: usize, scale: f64, range: Range<usize>) -> Self {
        let mut position = scale * 0.5;
        let mut spans = Vec::with_capacity(range.len());
        for output in 0..range.end {
            if output >= range.start {
                spans.push((whole(position).min(from - 1), 1));
            }
            position += scale;
        }
        Self {
            weights: vec![1 << PRECISION_BITS; spans.len()],
            spans,
            stride: 1,
        }
    }

    /// Number of output pixels.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Per output pixel: its first input pixel, and the weights from there on.
    pub fn taps(&self) -> impl Iterator<Item = (usize, &[i32])> {
        let weights = self.weights.chunks_exact(self.stride);
        self.spans
            .iter()
            .zip(weights)
            .map(|(&(first, n), weights)| (first, &weights[..n]))
    }

    /// All input pixels that any output pixel needs.
    pub fn reach(&self) -> Range<usize> {
        match (self.spans.first(), self.spans.last()) {
            (Some(&(first, _)), Some(&(last, n))) => first..last + n,
            _ => 0..0,
        }
    }
}

/// `(int)(x + 0.5)` of C, and zero for what is negative.
fn round_half_up(x: f64) -> usize {
    whole(x + 0.5)
}

/// Rounds a weight to units of `1 / 2^PRECISION_BITS`, halves away from zero.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the sum of the weights is 1"
)]
fn to_fixed_point(weight: f64) -> i32 {
    let scaled = weight * f64::from(1 << PRECISION_BITS);
    (if weight < 0.0 {
        scaled - 0.5
    } else {
        scaled + 0.5
    }) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sine_agrees_with_the_c_library_far_beyond_the_weights_precision() {
        for n in -30_000..=30_000 {
            let x = f64::from(n) / 10_000.0;
            assert!((sin_pi(x) - (x * PI).sin()).abs() < 2e-15, "sin(π {x})");
        }
    }

    #[test]
    fn weights_are_those_that_the_c_librarys_sine_gives() {
        let c_sinc = |x: f64| {
            if x == 0.0 {
                1.0
            } else {
                (x * PI).sin() / (x * PI)
            }
        };
        for from in [1, 2, 3, 75, 224, 333, 375, 500, 1024, 1600, 4000] {
            for to in [1, 7, 224, 248, 256, 288, 384, 518] {
                let axis = Axis::new(from, to, 0..to, Interpolation::Lanczos);
                let scale = from as f64 / to as f64;
                for (output, (first, weights)) in axis.taps().enumerate() {
                    let center = (output as f64 + 0.5) * scale;
                    let exact: Vec<f64> = (first..first + weights.len())
                        .map(|x| (x as f64 - center + 0.5) * (1.0 / scale.max(1.0)))
                        .map(|x| c_sinc(x) * c_sinc(x / 3.0) * f64::from((-3.0..3.0).contains(&x)))
                        .collect();
                    let sum = exact.iter().fold(0.0, |sum, weight| sum + weight);
                    let expected: Vec<i32> = exact
                        .iter()
                        .map(|weight| to_fixed_point(weight / sum))
                        .collect();
                    assert_eq!(weights, expected, "{from} to {to}, output {output}");
                }
            }
        }
    }

    #[test]
    fn every_output_has_weights_that_sum_to_one_but_for_rounding() {
        for interpolation in [
            Interpolation::Nearest,
            Interpolation::Box,
            Interpolation::Bilinear,
            Interpolation::Hamming,
            Interpolation::Bicubic,
            Interpolation::Lanczos,
        ] {
            for (from, to) in [(1, 9), (9, 1), (500, 224), (224, 500), (3, 65_500)] {
                for (first, weights) in Axis::new(from, to, 0..to, interpolation).taps() {
                    let place = format!("{from} to {to}, {interpolation:?}");
                    assert!(
                        !weights.is_empty() && first + weights.len() <= from,
                        "{place}"
                    );
                    let excess = weights.iter().sum::<i32>() - (1 << PRECISION_BITS);
                    assert!(
                        excess.unsigned_abs() as usize <= weights.len(),
                        "{place}: {excess}"
                    );
                }
            }
        }
    }

    #[test]
    fn part_of_an_axis_is_that_part_of_the_whole() {
        for interpolation in [Interpolation::Nearest, Interpolation::Bicubic] {
            let whole = Axis::new(500, 298, 0..298, interpolation);
            let part = Axis::new(500, 298, 37..261, interpolation);
            assert!(part.taps().eq(whole.taps().skip(37).take(224)));
        }
    }
}
