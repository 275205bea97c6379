//! The nearer of the two classes' mean rows.
//!
//! Centroids are float32, as NumPy's mean of float32 rows; distances are f64 of them and of float32 rows, as
//! scikit-learn has them for its float64 centroids. Where all train rows are alike, which scikit-learn refuses, every row is
//! of class 0.
//!
//! Source: scikit-learn 1.9, `NearestCentroid`, as birder's `birder/eval/methods/simpleshot.py` calls it; Wang et al. 2019
//! (arXiv 1911.04623).

use ndarray::{Array2, ArrayView1, ArrayView2, Axis};
use serde_json::json;

use super::classifier::{ClassifierName, FittedClassifier, Outcome, Parts, Saved};
use super::fitted::label_if_larger;
use super::normalize::mean_row;
use super::settings::Probe;
use super::summation::pairwise_sum;
use super::unsearched::Unsearched;
use crate::error::Error;
use crate::interrupt::Interrupt;

/// The kind of classifier.
#[derive(Default)]
pub struct NearestCentroid;

/// The mean rows of the classes.
#[derive(Clone, Debug, PartialEq)]
pub struct FittedCentroids {
    /// Those of class 0 and of class 1, `[2, d]`, d >= 1.
    pub centroids: Array2<f32>,
}

impl Unsearched for NearestCentroid {
    const NAME: ClassifierName = ClassifierName::NearestCentroid;
    const SETTINGS: &'static [&'static str] = &[];
    type Fitted = FittedCentroids;

    fn fit(_probe: &Probe, rows: &Array2<f32>, labels: &[u8]) -> (FittedCentroids, Outcome) {
        let mut centroids = Array2::zeros((2, rows.ncols()));
        for (class, mut centroid) in (0..).zip(centroids.rows_mut()) {
            let of_class: Vec<usize> = (0..labels.len()).filter(|&i| labels[i] == class).collect();
            centroid.assign(&mean_row(rows.select(Axis(0), &of_class).view()));
        }
        (FittedCentroids { centroids }, Outcome::default())
    }

    fn load(saved: &dyn Parts) -> Result<FittedCentroids, Error> {
        let centroids = saved.rows("centroids")?;
        let (n, d) = centroids.dim();
        if n != 2 || d == 0 {
            let found = format!("has shape [{n}, {d}]");
            return Err(saved.wrong_part("centroids", &found, "two rows and a column at least"));
        }
        Ok(FittedCentroids { centroids })
    }
}

/// Rows between two questions whether to stop.
const ROWS_AT_A_TIME: usize = 64;

impl FittedClassifier for FittedCentroids {
    fn kind(&self) -> ClassifierName {
        NearestCentroid::NAME
    }

    fn label(&self, decision: f64) -> u8 {
        label_if_larger(decision)
    }

    fn n_features(&self) -> usize {
        self.centroids.ncols()
    }

    /// The squared distance to the centroid of class 0 less that to the centroid of class 1.
    fn decision(
        &self,
        rows: ArrayView2<'_, f32>,
        interrupt: &Interrupt,
    ) -> Result<Vec<f64>, Error> {
        let mut squares = Vec::with_capacity(rows.ncols());
        let mut distance = |row: ArrayView1<'_, f32>, class| {
            let pairs = row.into_iter().zip(self.centroids.row(class));
            squares.clear();
            squares.extend(pairs.map(|(&x, &mean)| {
                let difference = f64::from(x) - f64::from(mean);
                difference * difference
            }));
            pairwise_sum(&squares)
        };
        let mut decision = Vec::with_capacity(rows.nrows());
        for chunk in rows.axis_chunks_iter(Axis(0), ROWS_AT_A_TIME) {
            interrupt.check()?;
            let rows = chunk.rows().into_iter();
            decision.extend(rows.map(|row| distance(row, 0) - distance(row, 1)));
        }
        Ok(decision)
    }

    fn save(&self) -> Saved<'_> {
        Saved {
            settings: json!({}),
            rows: vec![("centroids", &self.centroids)],
            numbers: vec![],
            indices: vec![],
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn a_centroid_is_the_mean_of_its_class_and_the_nearer_one_decides() {
        let x = array![[0.0_f32, 0.0], [4.0, 0.0], [0.0, 2.0], [6.0, 2.0]];
        let (fitted, _) = NearestCentroid::fit(&Probe::default(), &x, &[0, 1, 0, 1]);
        assert_eq!(fitted.centroids, array![[0.0, 1.0], [5.0, 1.0]]);
        let rows = array![[1.0_f32, 9.0], [4.0, -9.0], [2.5, 3.0]];
        let decision = fitted.decision(rows.view(), &Interrupt::default()).unwrap();
        assert_eq!(decision, [-15.0, 15.0, 0.0]);
        let labels = decision.iter().map(|&value| fitted.label(value));
        assert_eq!(labels.collect::<Vec<_>>(), [0, 1, 0]);
    }

    #[test]
    fn a_stop_is_heard_between_rows() {
        let fitted = FittedCentroids {
            centroids: Array2::zeros((2, 1)),
        };
        let rows = Array2::zeros((500, 1));
        let stopped = fitted.decision(rows.view(), &Interrupt::at_question(3));
        assert!(stopped.is_err());
    }
}
