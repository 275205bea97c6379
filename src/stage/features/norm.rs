//! The L2 norm of feature rows. The reference scales them to norm 1 after the backbone.

use ndarray::Array2;

use crate::artifact::FeatureFile;
use crate::error::Message;
use crate::text::{self, foreign};

pub use crate::probe::norm::{USABLE, is_usable, norm, show};

/// How far a row's norm may be from one before it counts as not normalised. Half-precision rows of 10,000 features
/// stay below.
const TOLERANCE: f64 = 1e-2;

/// Whether a row of this norm counts as normalised. One of zeros does: no scale would change it.
pub fn is_unit(norm: f64) -> bool {
    norm == 0.0 || (norm - 1.0).abs() <= TOLERANCE
}

/// Whether rows with norms from `low` to `high` may have norm 1.
pub fn includes_unit([low, high]: [f64; 2]) -> bool {
    is_unit(low) || is_unit(high) || (low < 1.0 && 1.0 < high)
}

/// The norm of each row.
pub fn norms(rows: &Array2<f32>) -> impl Iterator<Item = f64> {
    rows.rows().into_iter().map(norm)
}

/// Whether the rows have no norm but 0.
pub fn are_zero(rows: &Array2<f32>) -> bool {
    rows.iter().all(|value| *value == 0.0)
}

/// The smallest and the largest norm of the rows that are not zero; 1 where all are.
pub fn range(rows: &Array2<f32>) -> [f64; 2] {
    norms(rows)
        .filter(|norm| *norm > 0.0)
        .map(|norm| [norm, norm])
        .reduce(|[low, high], [norm, _]| [low.min(norm), high.max(norm)])
        .unwrap_or([1.0, 1.0])
}

/// Makes sure that float32 can scale all rows of `file`.
///
/// # Errors
/// Bad data with the first row that it cannot.
pub fn check_usable(file: &FeatureFile) -> Result<(), Message> {
    let mut norms = norms(file.features()).zip(file.ids());
    let Some((norm, id)) = norms.find(|(norm, _)| !is_usable(*norm)) else {
        return Ok(());
    };
    let (name, id, found) = (text::path(file.name()), foreign(id), show(norm));
    let text = format!("{name}: the row of image `{id}` has L2 norm {found}, expected {USABLE}");
    Err(Message::data(text).hint("divide the features by a constant"))
}

/// Scales each row to unit L2 norm; `torch.nn.functional.normalize`: norms below 1e-12 count as that.
pub fn normalize(rows: &mut Array2<f32>) {
    for mut row in rows.rows_mut() {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the norm is a float32 in the reference"
        )]
        let norm = (norm(row.view()) as f32).max(1e-12);
        row.map_inplace(|value| *value /= norm);
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn rows_become_unit_vectors_and_rows_without_a_direction_stay() {
        let mut rows = array![[3.0_f32, -4.0], [0.0, 0.0], [1e19, 0.0]];
        normalize(&mut rows);
        assert_eq!(rows, array![[0.6_f32, -0.8], [0.0, 0.0], [1.0, 0.0]]);
    }

    #[test]
    fn a_norm_below_1e_12_counts_as_that() {
        let mut rows = array![[1e-12_f32, 0.0], [1e-13, 0.0]];
        normalize(&mut rows);
        assert_eq!(rows, array![[1.0_f32, 0.0], [1e-13 / 1e-12, 0.0]]);
    }
}
