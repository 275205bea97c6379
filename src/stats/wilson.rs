//! The interval of a share of right answers, from their number alone.

/// Half of what a normal deviate leaves out at 95 %: its quantile at 0.975.
const Z: f64 = 1.959_963_984_540_054;

/// Wilson's score interval at 95 % of a share of `n` answers, without a correction for continuity.
///
/// Source: Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", 1927; equals
/// `scipy.stats.binomtest(k, n).proportion_ci(method="wilson")`.
pub fn wilson(share: f64, n: u64) -> [f64; 2] {
    let n = n as f64;
    let scale = 1.0 + Z * Z / n;
    let centre = (share + Z * Z / (2.0 * n)) / scale;
    let half = Z / scale * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    [centre - half, centre + half]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_scipy_s() {
        // SciPy 1.17.1.
        for (k, n, expected) in [
            (
                16_065,
                18_024,
                [0.886_684_019_607_500_4, 0.895_772_384_406_314],
            ),
            (
                11_536,
                18_024,
                [0.632_998_992_864_518_3, 0.647_012_344_684_165_6],
            ),
            (0, 10, [0.0, 0.277_532_799_862_889_26]),
            (10, 10, [0.722_467_200_137_110_9, 1.0]),
        ] {
            let found = wilson(f64::from(k) / n as f64, n);
            for (found, expected) in found.into_iter().zip(expected) {
                assert!(
                    (found - expected).abs() < 1e-12,
                    "{k}/{n}: {found} {expected}"
                );
            }
        }
    }
}
