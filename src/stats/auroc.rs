//! The area under the ROC curve.

use std::cmp::Ordering;

/// Returns the share of pairs of a row of label 1 and a row of label 0 in which the first has the higher decision
/// value, pairs of equal values counted half.
///
/// `rows`: decision value and whether the label is 1, in any order. `None` where either label has no row, or a decision
/// value is NaN. The count is exact, and rounded once.
///
/// Source: the Mann-Whitney statistic; equals `sklearn.metrics.roc_auc_score` up to its rounding.
pub fn auroc(rows: &[(f64, bool)]) -> Option<f64> {
    if rows.iter().any(|(decision, _)| decision.is_nan()) {
        return None;
    }
    let mut sorted = rows.to_vec();
    sorted.sort_by(|(a, _), (b, _)| a.partial_cmp(b).unwrap_or(Ordering::Equal));

    let (mut n_negatives, mut n_positives, mut twice_won) = (0_u64, 0_u64, 0_u128);
    let are_tied =
        |(a, _): &(f64, bool), (b, _): &(f64, bool)| a.partial_cmp(b) == Some(Ordering::Equal);
    for tied in sorted.chunk_by(are_tied) {
        let positives = tied.iter().filter(|(_, is_positive)| *is_positive).count() as u64;
        let negatives = tied.len() as u64 - positives;
        twice_won += u128::from(positives) * u128::from(2 * n_negatives + negatives);
        n_positives += positives;
        n_negatives += negatives;
    }
    let twice_pairs = 2 * u128::from(n_positives) * u128::from(n_negatives);
    (twice_pairs > 0).then(|| twice_won as f64 / twice_pairs as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_class_or_no_row_has_none_and_neither_has_a_decision_that_is_no_number() {
        assert_eq!(auroc(&[]), None);
        assert_eq!(auroc(&[(1.0, true), (2.0, true)]), None);
        assert_eq!(auroc(&[(1.0, false)]), None);
        assert_eq!(auroc(&[(f64::NAN, true), (0.0, false)]), None);
    }

    #[test]
    fn it_is_the_share_of_pairs_in_order_and_ties_count_half() {
        let rows = [(0.5, true), (-0.5, false), (0.0, false), (-0.0, true)];
        // Of four pairs: three in order, and one tie, as zeros of either sign are equal.
        assert_eq!(auroc(&rows), Some(3.5 / 4.0));
        let swapped = rows.map(|(decision, is_positive)| (-decision, is_positive));
        assert_eq!(auroc(&swapped), Some(0.5 / 4.0));
        let infinite = [(f64::INFINITY, true), (f64::NEG_INFINITY, false)];
        assert_eq!(auroc(&infinite), Some(1.0));
    }
}
