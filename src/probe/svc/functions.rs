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
/// Limits of the argument of [`exp`].
const EXP_MIN: f64 = -708.0;
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

/// exp(r) - 1 for |r| <= ln 2 / 2: a polynomial of degree 11 through the Chebyshev nodes, within 5e-17 of the value.
#[inline(always)]
fn exp_minus_one<S: Simd>(s: S, r: S::V) -> S::V {
    /// Of r^11, r^10, …, r².
    const COEFFICIENTS: [f64; 10] = [
        2.510_038_549_551_032e-8,
        2.762_008_844_540_974_6e-7,
        2.755_726_845_999_706_4e-6,
        2.480_152_129_595_437_6e-5,
        0.000_198_412_698_630_536_18,
        0.001_388_888_891_721_371_7,
        0.008_333_333_333_330_062,
        0.041_666_666_666_624_13,
        0.166_666_666_666_666_69,
        0.500_000_000_000_000_1,
    ];
    let mut sum = s.splat(COEFFICIENTS[0]);
    for &coefficient in &COEFFICIENTS[1..] {
        sum = s.add(s.mul(sum, r), s.splat(coefficient));
    }
    s.add(r, s.mul(s.mul(r, r), sum))
}

/// exp(x) for numbers, with x limited to -708 … 709: outside, the result would not be a normal number.
#[inline(always)]
pub fn exp<S: Simd>(s: S, x: S::V) -> S::V {
    let x = s.larger(s.smaller(x, s.splat(EXP_MAX)), s.splat(EXP_MIN));
    let (r, scale) = reduce(s, x);
    s.mul(s.add(s.splat(1.0), exp_minus_one(s, r)), scale)
}

/// tanh(x), as t / (t + 2) with t = exp(2 |x|) - 1.
#[inline(always)]
pub fn tanh<S: Simd>(s: S, x: S::V) -> S::V {
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
        assert!(exp(-1e300) < 1e-307);
        assert!(exp(1e300) > 1e307);
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
