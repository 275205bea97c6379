//! exp and tanh on vectors.
//!
//! Both are within about two units in the last place of f64, and give the same bits on every machine. What they feed is
//! rounded to f32 during training, so it equals what a C library's functions give except where that rounding happens to
//! fall between the two (about once in 10^8 values).

use super::simd::Simd;

/// 1.5 · 2^52: adding it to a small number leaves the nearest whole number in the low bits of the sum.
const ROUNDER: f64 = 6_755_399_441_055_744.0;
/// Upper bits of ln 2; a product with a whole number below 2^21 is exact.
const LN_2_HIGH: f64 = f64::from_bits(0x3fe6_2e42_fee0_0000);
/// ln 2 less its upper bits.
const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;
/// Below this, exp is less than the smallest normal number.
const EXP_MIN: f64 = -708.0;
/// Above this, the exponent of the result does not fit.
const EXP_MAX: f64 = 709.0;

/// x = k ln 2 + r with |r| <= ln 2 / 2: returns r and 2^k.
#[inline(always)]
fn reduce<S: Simd>(s: S, x: S::V) -> (S::V, S::V) {
    let shifted = s.add(
        s.mul(x, s.splat(std::f64::consts::LOG2_E)),
        s.splat(ROUNDER),
    );
    let k = s.sub(shifted, s.splat(ROUNDER));
    let r = s.sub(
        s.sub(x, s.mul(k, s.splat(LN_2_HIGH))),
        s.mul(k, s.splat(LN_2_LOW)),
    );
    (r, s.power_of_two(shifted))
}

/// exp(r) - 1 for |r| <= ln 2 / 2, by its Taylor series to r^14.
#[inline(always)]
fn exp_minus_one<S: Simd>(s: S, r: S::V) -> S::V {
    const COEFFICIENTS: [f64; 13] = [
        1.0 / 87_178_291_200.0,
        1.0 / 6_227_020_800.0,
        1.0 / 479_001_600.0,
        1.0 / 39_916_800.0,
        1.0 / 3_628_800.0,
        1.0 / 362_880.0,
        1.0 / 40_320.0,
        1.0 / 5_040.0,
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        1.0 / 2.0,
    ];
    let mut sum = s.splat(COEFFICIENTS[0]);
    for &coefficient in &COEFFICIENTS[1..] {
        sum = s.add(s.mul(sum, r), s.splat(coefficient));
    }
    s.add(r, s.mul(s.mul(r, r), sum))
}

/// exp(x); 0 where the result would be below the normal numbers.
#[inline(always)]
pub(super) fn exp<S: Simd>(s: S, x: S::V) -> S::V {
    let (least, most) = (s.splat(EXP_MIN), s.splat(EXP_MAX));
    let clamped = s.if_greater(x, most, most, s.if_greater(least, x, least, x));
    let (r, scale) = reduce(s, clamped);
    let value = s.mul(s.add(s.splat(1.0), exp_minus_one(s, r)), scale);
    let value = s.if_greater(least, x, s.splat(0.0), value);
    s.if_greater(x, most, s.splat(f64::INFINITY), value)
}

/// tanh(x), as t / (t + 2) with t = exp(2 |x|) - 1.
#[inline(always)]
pub(super) fn tanh<S: Simd>(s: S, x: S::V) -> S::V {
    /// From here on the result rounds to 1.
    const ONE_FROM: f64 = 20.0;
    let size = s.copysign(x, s.splat(1.0));
    let most = s.splat(ONE_FROM);
    let size = s.if_greater(size, most, most, size);
    let (r, scale) = reduce(s, s.add(size, size));
    let t = s.add(
        s.mul(scale, exp_minus_one(s, r)),
        s.sub(scale, s.splat(1.0)),
    );
    s.copysign(s.div(t, s.add(t, s.splat(2.0))), x)
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "equal bits are the point")]
mod tests {
    use super::super::simd::Base;

    fn exp(x: f64) -> f64 {
        super::exp(Base, [x; 8])[0]
    }

    fn tanh(x: f64) -> f64 {
        super::tanh(Base, [x; 8])[0]
    }

    fn ulps(a: f64, b: f64) -> u64 {
        a.to_bits().abs_diff(b.to_bits())
    }

    #[test]
    fn exp_is_within_one_unit_of_the_c_library() {
        for i in 0..200_000 {
            let x = f64::from(i) * -3.517e-3;
            assert!(
                ulps(exp(x), x.exp()) <= 1,
                "exp({x}): {:e}, {:e}",
                exp(x),
                x.exp()
            );
        }
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(-1e300), 0.0);
        assert_eq!(exp(1e300), f64::INFINITY);
        assert!(exp(f64::NAN).is_nan());
    }

    #[test]
    fn tanh_is_within_three_units_of_the_c_library() {
        for i in -100_000..100_000 {
            let x = f64::from(i) * 2.117e-4;
            assert!(
                ulps(tanh(x), x.tanh()) <= 3,
                "tanh({x}): {:e}, {:e}",
                tanh(x),
                x.tanh()
            );
        }
        for x in [1e-300, 1e-9, 1e-5, 19.0, 1e300, f64::INFINITY] {
            assert!(ulps(tanh(x), x.tanh()) <= 1, "tanh({x}): {:e}", tanh(x));
            assert_eq!(tanh(-x), -tanh(x));
        }
        assert_eq!(tanh(0.0), 0.0);
        assert!(tanh(f64::NAN).is_nan());
    }
}
