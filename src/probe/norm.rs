//! The L2 norm of a row, and which norms float32 can work with.

use ndarray::ArrayView1;

/// The largest norm that is worked with: its square, and whatever rounding adds to a sum of squares, is below the
/// largest float32, 3.4e38. Beyond it the reference divides by an infinite norm, which makes a row of zeros.
pub const MAX_NORM: f64 = 1.8e19;

/// The least norm but zero that is worked with: that of the least float32 with all its digits. Below it a row has lost
/// the digits that make its direction.
const MIN_NORM: f64 = f32::MIN_POSITIVE as f64;

/// Which norms [`is_usable`] takes, for messages.
pub const USABLE: &str = "0, or 1.2e-38 to 1.8e19";

/// The row's L2 norm, in float64, where no square is lost.
pub fn norm(row: ArrayView1<'_, f32>) -> f64 {
    let squares = row.iter().map(|value| f64::from(*value).powi(2));
    squares.sum::<f64>().sqrt()
}

/// Whether float32 can work with a row of this norm. A row of zeros has no direction, which is for others to tell.
pub fn is_usable(norm: f64) -> bool {
    norm == 0.0 || (MIN_NORM..=MAX_NORM).contains(&norm)
}

/// A norm for a message: four places, or a power of ten where those would hide it.
pub fn show(norm: f64) -> String {
    if (1e-3..1e6).contains(&norm) {
        format!("{norm:.4}")
    } else {
        format!("{norm:.1e}")
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array1;

    use super::*;
    use crate::probe::summation::pairwise_sum;

    #[test]
    fn a_usable_norm_is_finite_in_float32_whatever_the_number_of_features() {
        for d in [1, 2, 1000, 100_000] {
            #[expect(clippy::cast_possible_truncation, reason = "what is tested is float32")]
            let value = (MAX_NORM / f64::from(d).sqrt()) as f32;
            let row = Array1::from_elem(usize::try_from(d).unwrap(), value);
            assert!(is_usable(norm(row.view()) * (1.0 - 1e-6)));
            let squares: Vec<f32> = row.iter().map(|value| value * value).collect();
            assert!(pairwise_sum(&squares).is_finite());
        }
        let beyond = Array1::from_elem(4, 1e20_f32);
        assert!(!is_usable(norm(beyond.view())));
    }

    #[test]
    fn zero_is_usable_and_what_has_lost_its_digits_is_not() {
        for (value, expected) in [
            (0.0, true),
            (-0.0, true),
            (1e-45, false),
            (1e-40, false),
            (2e-38, true),
        ] {
            assert_eq!(
                is_usable(norm(Array1::from_elem(1, value).view())),
                expected,
                "{value}"
            );
        }
    }
}
