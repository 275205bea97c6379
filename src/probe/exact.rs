//! Natural logarithm and exponential, rounded once.
//!
//! A log-uniform draw is exp(ln a + u (ln b - ln a)). Libraries differ in the last bit of both functions, NumPy's loops
//! for AVX-512 from its others too, so candidates would depend on the machine. Here they are computed in pairs of f64 (about 106 bits) and rounded at the
//! end, which gives the correctly rounded result except where it lies within 1e-25 or so of a midpoint.

use std::ops::{Add, Mul, Sub};

/// An unevaluated sum of two f64, the second at most half a unit in the last place of the first.
#[derive(Clone, Copy)]
struct Pair {
    high: f64,
    low: f64,
}

/// ln 2 to 106 bits.
const LN_2: Pair = Pair {
    high: std::f64::consts::LN_2,
    low: 2.319_046_813_846_299_6e-17,
};

impl From<f64> for Pair {
    fn from(high: f64) -> Self {
        Self { high, low: 0.0 }
    }
}

/// a + b and its rounding error (Knuth).
fn two_sum(a: f64, b: f64) -> Pair {
    let high = a + b;
    let b_part = high - a;
    let low = (a - (high - b_part)) + (b - b_part);
    Pair { high, low }
}

/// a · b and its rounding error (Dekker; Veltkamp's splitting).
fn two_product(a: f64, b: f64) -> Pair {
    /// 2^27 + 1
    const SPLIT: f64 = 134_217_729.0;
    let split = |x: f64| {
        let scaled = SPLIT * x;
        let high = scaled - (scaled - x);
        (high, x - high)
    };
    let high = a * b;
    let (a_high, a_low) = split(a);
    let (b_high, b_low) = split(b);
    let low = ((a_high * b_high - high) + a_high * b_low + a_low * b_high) + a_low * b_low;
    Pair { high, low }
}

impl Add for Pair {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let sum = two_sum(self.high, other.high);
        two_sum(sum.high, sum.low + (self.low + other.low))
    }
}

impl Sub for Pair {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self + Self {
            high: -other.high,
            low: -other.low,
        }
    }
}

impl Mul for Pair {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        let product = two_product(self.high, other.high);
        two_sum(
            product.high,
            product.low + (self.high * other.low + self.low * other.high),
        )
    }
}

/// exp(x) for |x| <= 700: x = k ln 2 + 256 r, a series for exp(r), eight squarings, k in the exponent.
fn exp_pair(x: Pair) -> Pair {
    const SQUARINGS: i32 = 8;
    const TERMS: u32 = 12;
    let k = (x.high / LN_2.high).round();
    let reduced = x - Pair::from(k) * LN_2;
    let step = 0.5_f64.powi(SQUARINGS);
    let r = Pair {
        high: reduced.high * step,
        low: reduced.low * step,
    };
    // Horner: 1 + r/1 (1 + r/2 (1 + …)).
    let one = Pair::from(1.0);
    let mut sum = one;
    for term in (1..=TERMS).rev() {
        sum = one + sum * r * reciprocal(f64::from(term));
    }
    for _ in 0..SQUARINGS {
        sum = sum * sum;
    }
    let scale = 2.0_f64.powi(to_exponent(k));
    Pair {
        high: sum.high * scale,
        low: sum.low * scale,
    }
}

/// 1 / x.
fn reciprocal(x: f64) -> Pair {
    let high = 1.0 / x;
    let error = Pair::from(1.0) - two_product(high, x);
    two_sum(high, error.high / x)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a whole number of at most 1,010"
)]
fn to_exponent(k: f64) -> i32 {
    k as i32
}

/// exp(x), for |x| <= 700.
pub fn exp(x: f64) -> f64 {
    exp_pair(Pair::from(x)).high
}

/// ln(x), for normal positive x.
pub fn ln(x: f64) -> f64 {
    // Each Newton step y + x exp(-y) - 1 doubles the digits; the start is right to about 0.06.
    let bits = x.to_bits();
    let exponent = f64::from(u32::try_from(bits >> 52).unwrap_or(0)) - 1023.0;
    let mantissa = f64::from_bits(bits & ((1 << 52) - 1) | 1023 << 52);
    let mut y = Pair::from((exponent + mantissa - 1.0) * LN_2.high);
    for _ in 0..6 {
        let minus_y = Pair::from(0.0) - y;
        y = y + (Pair::from(x) * exp_pair(minus_y) - Pair::from(1.0));
    }
    y.high
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "equal bits are the point")]
mod tests {
    use super::*;

    /// Pairs from mpmath at 200 bits, rounded to f64.
    #[test]
    fn values_are_correctly_rounded() {
        for (x, expected) in [
            (1e-3, -6.907_755_278_982_137),
            (1e1, std::f64::consts::LN_10),
            (1e-4, -9.210_340_371_976_182),
            (0.7, -0.356_674_943_938_732_45),
            (123_456.789, 11.723_646_487_185_881),
        ] {
            assert_eq!(ln(x), expected, "ln({x})");
        }
        for (x, expected) in [
            (0.0, 1.0),
            (1.0, std::f64::consts::E),
            (-6.907_755_278_982_137, 0.001_000_000_000_000_000_2),
            (-3.457_980_712_353_420_7, 0.031_493_291_869_481_06),
            (-9.3, 9.142_423_147_817_327e-5),
            (std::f64::consts::LN_10, 10.000_000_000_000_002),
            (5.5, 244.691_932_264_220_38),
            (700.0, 1.014_232_054_735_004_5e304),
        ] {
            assert_eq!(exp(x), expected, "exp({x})");
        }
    }
}
