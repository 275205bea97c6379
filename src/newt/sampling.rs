//! Which rows of the labels take part: all test rows, and a balanced draw of train rows per task.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use crate::newt::images::SHOWN_NAMES;
use crate::newt::labels::{Labels, Split};
use crate::random::Generator;
use crate::setting;
use crate::text::{Listing, count, foreign};

/// How many train rows of each task take part: all of them, or a number that can hold both classes.
///
/// Where it is written, an integer stands for it, and any of 0 or below for all rows; files and tables show that integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct NTrain(i64);

impl NTrain {
    /// All rows.
    pub const ALL: Self = Self(-1);

    /// What an integer stands for; nothing for 1, since one row is of one class.
    pub fn new(written: i64) -> Option<Self> {
        (written != 1).then_some(Self(written))
    }

    /// The integer that it was written as.
    pub fn written(self) -> i64 {
        self.0
    }

    /// The number of rows; `None` for all.
    pub fn rows(self) -> Option<usize> {
        (self.0 > 0).then(|| usize::try_from(self.0).unwrap_or(usize::MAX))
    }
}

impl<'de> Deserialize<'de> for NTrain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "a whole number of at least 2 (0 or below: all train rows)";
        setting::checked(deserializer, expected, |value| {
            Self::new(value.as_integer()?)
        })
    }
}

impl fmt::Display for NTrain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rows() {
            Some(n) => n.fmt(f),
            None => f.write_str("all"),
        }
    }
}

/// Returns the indices into `labels.rows` that a run with this `n_train` and `seed` uses.
///
/// All rows: in file order. Else all test rows in file order; then, task by task in
/// order of first appearance, `n_train / 2` (floor) train rows of class 0 and the rest of class 1,
/// each in file order. A class with no more rows than asked for keeps them all and draws nothing.
///
/// Source: `biobench.newt.sample` with `np.random.default_rng(seed)`, where the tasks come in no
/// defined order.
pub fn sample(labels: &Labels, n_train: NTrain, seed: u64) -> Vec<usize> {
    let Some(n_train) = n_train.rows() else {
        return (0..labels.rows.len()).collect();
    };
    let n_class0 = n_train / 2;
    let n_class1 = n_train - n_class0;

    let mut rng = Generator::new(seed);
    let mut kept = test_rows(labels);
    for task in labels.tasks() {
        let (class0, class1): (Vec<_>, Vec<_>) = task
            .train_rows
            .iter()
            .partition(|&&row| labels.rows[row].label == 0);
        kept.extend(draw(class0, n_class0, &mut rng));
        kept.extend(draw(class1, n_class1, &mut rng));
    }
    kept
}

/// Says which tasks have fewer train rows among `rows`, a [`sample`], than the `n_train` that were asked for.
pub fn shortage(labels: &Labels, rows: &[usize], n_train: NTrain) -> Option<String> {
    let n_wanted = n_train.rows()?;
    let mut n_rows: BTreeMap<&str, usize> = BTreeMap::new();
    for row in rows.iter().map(|row| &labels.rows[*row]) {
        *n_rows.entry(&row.task).or_default() += usize::from(row.split == Split::Train);
    }
    let is_short = |(_, n): &(&str, usize)| *n < n_wanted;
    let n_tasks = n_rows.len();
    let names: Vec<String> = n_rows
        .into_iter()
        .filter(is_short)
        .map(|(task, n)| format!("{} ({n})", foreign(task)))
        .collect();
    (!names.is_empty()).then(|| {
        format!(
            "n_train = {n_train}: {} of {n_tasks} with fewer train rows, or fewer of a class, than that takes: {}; \
             `n_train_used` in the results is what was used",
            count(names.len(), "task", "tasks"),
            Listing::first(SHOWN_NAMES, &names)
        )
    })
}

fn test_rows(labels: &Labels) -> Vec<usize> {
    let rows = labels.rows.iter().enumerate();
    rows.filter(|(_, row)| row.split == Split::Test)
        .map(|(index, _)| index)
        .collect()
}

/// Keeps `n` of `rows` in their order, or all of them, without a draw, if there are no more.
fn draw(rows: Vec<usize>, n: usize, rng: &mut Generator) -> Vec<usize> {
    if n >= rows.len() {
        return rows;
    }
    let mut places = rng.choice_without_replacement(rows.len(), n);
    // The reference keeps the rows of a class that are among the drawn: the draw's order is lost.
    places.sort_unstable();
    places.into_iter().map(|place| rows[place]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::newt::labels::LabelRow;

    /// Train and test rows of both classes of two tasks, in turn.
    fn labels() -> Labels {
        let row = |index: usize| LabelRow {
            id: format!("{index:03}"),
            task: if index.is_multiple_of(2) { "b" } else { "a" }.to_owned(),
            cluster: "context".to_owned(),
            subcluster: None,
            label: u8::from(index % 4 < 2),
            text_label: None,
            split: if index.is_multiple_of(5) {
                Split::Test
            } else {
                Split::Train
            },
        };
        Labels {
            rows: (0..100).map(row).collect(),
        }
    }

    fn of(written: i64) -> NTrain {
        NTrain::new(written).unwrap()
    }

    fn kept(n_train: i64, seed: u64) -> Vec<usize> {
        sample(&labels(), of(n_train), seed)
    }

    #[test]
    fn no_limit_keeps_all_rows_in_file_order() {
        let all: Vec<usize> = (0..100).collect();
        assert_eq!(kept(0, 17), all);
        assert_eq!(kept(-1, 17), all);
        assert_eq!(kept(i64::MIN, 17), all);
    }

    #[test]
    fn sample_keeps_every_row_of_a_class_smaller_than_asked() {
        let mut rows = kept(i64::MAX, 17);
        rows.sort_unstable();
        assert_eq!(rows, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn sample_lists_test_rows_then_each_task_with_class_0_first() {
        let labels = labels();
        let rows = kept(5, 17);
        let (test, train) = rows.split_at(20);
        assert!(
            test.iter()
                .all(|&row| labels.rows[row].split == Split::Test)
        );
        let of_train: Vec<(&str, u8)> = train
            .iter()
            .map(|&row| (labels.rows[row].task.as_str(), labels.rows[row].label))
            .collect();
        let [b0, b1, a0, a1] = [("b", 0), ("b", 1), ("a", 0), ("a", 1)];
        assert_eq!(of_train, [b0, b0, b1, b1, b1, a0, a0, a1, a1, a1]);
        assert!(test.is_sorted());
        assert!(
            train
                .chunk_by(|&a, &b| of_class(&labels, a) == of_class(&labels, b))
                .all(<[_]>::is_sorted)
        );
    }

    fn of_class(labels: &Labels, row: usize) -> (&str, u8) {
        (&labels.rows[row].task, labels.rows[row].label)
    }

    #[test]
    fn tasks_with_too_few_rows_are_counted_and_named() {
        let labels = labels();
        let said = |n_train| shortage(&labels, &kept(n_train, 17), of(n_train));
        assert_eq!([said(-1), said(0), said(40)], [None, None, None]);
        assert_eq!(
            said(60).unwrap(),
            "n_train = 60: 2 tasks of 2 with fewer train rows, or fewer of a class, than that takes: a (40), b (40); \
             `n_train_used` in the results is what was used"
        );
        // Of one class there are enough.
        let test = |row: &&mut LabelRow| row.task == "b" && row.label == 0;
        let mut fewer = labels.clone();
        for row in fewer.rows.iter_mut().filter(test).skip(3) {
            row.split = Split::Test;
        }
        let rows = sample(&fewer, of(10), 17);
        let said = shortage(&fewer, &rows, of(10)).unwrap();
        assert!(said.starts_with("n_train = 10: 1 task of 2 "), "{said}");
    }

    #[test]
    fn one_row_cannot_hold_both_classes() {
        assert_eq!(NTrain::new(1), None);
        let shown = [i64::MIN, -1, 0, 2].map(|written| of(written).to_string());
        assert_eq!(shown, ["all", "all", "all", "2"]);
    }
}
