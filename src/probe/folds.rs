//! Stratified folds without shuffling.

/// Returns the fold (below `folds`) in which each row is held out.
///
/// Rows of one class go to the folds in blocks, in the order given; a class with fewer members than folds is missing
/// from some of them.
///
/// Source: scikit-learn 1.9, `StratifiedKFold(shuffle=False)`: the classes are counted in order of appearance, and fold
/// i takes every `folds`-th row of the sorted labels, starting at the i-th.
pub fn stratified(labels: &[u8], folds: usize) -> Vec<usize> {
    let first = labels.first().copied().unwrap_or(0);
    let n_first = count(labels, first);
    // Of the sorted labels, places below `n_first` belong to the class that appears first.
    let quota = |fold: usize, places: std::ops::Range<usize>| {
        places.filter(|place| place % folds == fold).count()
    };
    let spread = |places: std::ops::Range<usize>| {
        (0..folds).flat_map(move |fold| std::iter::repeat_n(fold, quota(fold, places.clone())))
    };
    let mut of_first = spread(0..n_first);
    let mut of_second = spread(n_first..labels.len());
    labels
        .iter()
        .filter_map(|&label| {
            if label == first {
                of_first.next()
            } else {
                of_second.next()
            }
        })
        .collect()
}

/// Number of rows with label `wanted`.
pub fn count(labels: &[u8], wanted: u8) -> usize {
    labels
        .iter()
        .map(|&label| usize::from(label == wanted))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn balanced_classes_are_dealt_in_blocks() {
        assert_eq!(
            stratified(&[0, 0, 0, 0, 1, 1, 1, 1], 2),
            [0, 0, 1, 1, 0, 0, 1, 1]
        );
    }

    #[test]
    fn the_round_goes_on_where_the_first_class_ended() {
        assert_eq!(stratified(&[1, 1, 1, 0, 0, 0, 0], 5), [0, 1, 2, 0, 1, 3, 4]);
    }

    #[test]
    fn interleaved_labels_keep_their_order_within_the_class() {
        assert_eq!(stratified(&[1, 0, 1, 0, 1, 0], 3), [0, 0, 1, 1, 2, 2]);
    }
}
