//! Wilson's interval of a share: one that says something where all of few rows are right, of which every resample has
//! the same share.

use super::Interval;

/// Returns Wilson's score interval, which claims to cover `1 - alpha`, of the share that `n_right` of `n` rows estimate.
///
/// `n_right` is at most `n`; of no rows it is all from 0 to 1.
///
/// Source: E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference" (1927); without the
/// correction for continuity, as `scipy.stats.binomtest(n_right, n).proportion_ci(1 - alpha, "wilson")`.
pub fn wilson(n_right: u64, n: u64, alpha: f64) -> Interval {
    if n == 0 {
        return Interval {
            low: 0.0,
            high: 1.0,
        };
    }
    // From the lower tail, where small shares have all their digits.
    let z = -normal_quantile(alpha / 2.0);
    let (right, rows) = (n_right as f64, n as f64);
    let (share, z_squared) = (right / rows, z * z);
    let center = 2.0 * right + z_squared;
    let half_width = z * (z_squared + 4.0 * right * (1.0 - share)).sqrt();
    let end = |numerator: f64| (numerator / (2.0 * (rows + z_squared))).clamp(0.0, 1.0);
    Interval {
        // Exactly 0 and 1 where they are by definition, not a rounding beside.
        low: if n_right == 0 {
            0.0
        } else {
            end(center - half_width)
        },
        high: if n_right == n {
            1.0
        } else {
            end(center + half_width)
        },
    }
}

/// The value that a standard normal variable is below with probability `p`, to some 16 digits.
///
/// Source: M. J. Wichura, "Algorithm AS 241: The Percentage Points of the Normal Distribution" (1988), PPND16.
fn normal_quantile(p: f64) -> f64 {
    let from_middle = p - 0.5;
    if from_middle.abs() <= 0.425 {
        let r = 0.180_625 - from_middle * from_middle;
        return from_middle * MIDDLE.at(r);
    }
    let tail = if from_middle < 0.0 { p } else { 1.0 - p };
    // A share below the least normal number is as good as that number.
    let r = (-tail.max(f64::MIN_POSITIVE).ln()).sqrt();
    let distance = if r <= 5.0 {
        NEAR_TAIL.at(r - 1.6)
    } else {
        FAR_TAIL.at(r - 5.0)
    };
    distance.copysign(from_middle)
}

/// A quotient of two polynomials, the highest power first.
struct Rational {
    numerator: [f64; 8],
    denominator: [f64; 8],
}

impl Rational {
    fn at(&self, x: f64) -> f64 {
        let horner = |coefficients: &[f64; 8]| coefficients.iter().fold(0.0, |sum, c| sum * x + c);
        horner(&self.numerator) / horner(&self.denominator)
    }
}

/// For shares from 0.075 to 0.925.
const MIDDLE: Rational = Rational {
    numerator: [
        2_509.080_928_730_122_7,
        33_430.575_583_588_13,
        67_265.770_927_008_7,
        45_921.953_931_549_87,
        13_731.693_765_509_46,
        1_971.590_950_306_551_3,
        133.141_667_891_784_38,
        3.387_132_872_796_366_5,
    ],
    denominator: [
        5_226.495_278_852_854,
        28_729.085_735_721_943,
        39_307.895_800_092_71,
        21_213.794_301_586_597,
        5_394.196_021_424_751,
        687.187_007_492_057_9,
        42.313_330_701_600_91,
        1.0,
    ],
};

/// For shares down to `exp(-25)`, some 1e-11.
const NEAR_TAIL: Rational = Rational {
    numerator: [
        0.000_774_545_014_278_341_4,
        0.022_723_844_989_269_184,
        0.241_780_725_177_450_6,
        1.270_458_252_452_368_4,
        3.647_848_324_763_204_5,
        5.769_497_221_460_691,
        4.630_337_846_156_546,
        1.423_437_110_749_683_5,
    ],
    denominator: [
        1.050_750_071_644_416_9e-9,
        0.000_547_593_808_499_534_5,
        0.015_198_666_563_616_457,
        0.148_103_976_427_480_08,
        0.689_767_334_985_1,
        1.676_384_830_183_803_8,
        2.053_191_626_637_759,
        1.0,
    ],
};

/// For smaller ones.
const FAR_TAIL: Rational = Rational {
    numerator: [
        2.010_334_399_292_288_1e-7,
        2.711_555_568_743_487_6e-5,
        0.001_242_660_947_388_078_4,
        0.026_532_189_526_576_124,
        0.296_560_571_828_504_87,
        1.784_826_539_917_291_3,
        5.463_784_911_164_114,
        6.657_904_643_501_103,
    ],
    denominator: [
        2.044_263_103_389_939_7e-15,
        1.421_511_758_316_446e-7,
        1.846_318_317_510_054_8e-5,
        0.000_786_869_131_145_613_3,
        0.014_875_361_290_850_615,
        0.136_929_880_922_735_8,
        0.599_832_206_555_888,
        1.0,
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_all_are_right_or_none_one_end_is_exact_and_the_other_is_off_it() {
        // 5 / (5 + z^2) with z = 1.96 of 95 %.
        let all = wilson(5, 5, 0.05);
        assert!(all.high >= 1.0);
        assert!((all.low - 5.0 / (5.0 + 1.959_963_984_540_054_f64.powi(2))).abs() < 1e-15);
        let none = wilson(0, 5, 0.05);
        assert!(none.low <= 0.0);
        assert!((none.high - (1.0 - all.low)).abs() < 1e-15);
    }

    #[test]
    fn no_rows_say_nothing_and_no_alpha_gives_an_end_that_is_no_share() {
        let nothing = Interval {
            low: 0.0,
            high: 1.0,
        };
        assert_eq!(wilson(0, 0, 0.05), nothing);
        for alpha in [f64::from_bits(1), 1e-300, 1e-12, 0.999, 1.0 - f64::EPSILON] {
            for (n_right, n) in [(0, 1), (1, 1), (1, 2), (3, 7), (u64::MAX, u64::MAX)] {
                let Interval { low, high } = wilson(n_right, n, alpha);
                let share = n_right as f64 / n as f64;
                assert!(
                    0.0 <= low && low <= share && share <= high && high <= 1.0,
                    "{alpha}: {low}, {high}"
                );
            }
        }
    }

    #[test]
    fn normal_quantiles_are_odd_about_one_half() {
        assert!(normal_quantile(0.5).abs() < 1e-300);
        for p in [0.01, 0.2, 0.074, 1e-9] {
            let (low, high) = (normal_quantile(p), normal_quantile(1.0 - p));
            assert!(
                (low + high).abs() < 1e-6 * high && low < 0.0,
                "{low}, {high}"
            );
        }
    }
}
