//! The L2 norm of feature rows. The reference scales them to norm 1 after the backbone.

use ndarray::{Array2, ArrayView1};

pub use crate::probe::norm::{is_usable, norm, show};

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

/// The smallest and the largest norm of the rows that are not zero; 1 where all are.
pub fn range(rows: &Array2<f32>) -> [f64; 2] {
    let norms = rows.rows().into_iter().map(norm).filter(|norm| *norm > 0.0);
    norms
        .map(|norm| [norm, norm])
        .reduce(|[low, high], [norm, _]| [low.min(norm), high.max(norm)])
        .unwrap_or([1.0, 1.0])
}

/// Scales a row to unit L2 norm; `torch.nn.functional.normalize`: norms below 1e-12 count as that.
pub fn normalize(row: &mut [f32]) {
    let norm = norm(ArrayView1::from(&*row));
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the norm is a float32 in the reference"
    )]
    let norm = (norm as f32).max(1e-12);
    for value in row {
        *value /= norm;
    }
}
