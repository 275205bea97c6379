//! The k nearest train rows vote, each with its share of a softmax over their similarities.
//!
//! A similarity is a dot product, so rows are near in angle where the probe has scaled them to unit length. Of train rows
//! that are equally similar the earlier one is the nearer, which NumPy's `argsort` and `argpartition` leave open.
//!
//! Similarities and votes are f64 of float32 rows, where birder's are float32: a prediction can differ where the
//! votes, or two neighbours at the k-th place, differ by less than float32 shows.
//!
//! Source: birder's `birder/eval/methods/knn.py`; temperature and weights are those of Wu et al. 2018 (arXiv 1805.01978).

use ndarray::{Array2, ArrayView2, Axis};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::classifier::{ClassifierName, FittedClassifier, Outcome, Parts, Saved};
use super::exact::exp;
use super::fitted::label_if_larger;
use super::settings::Probe;
use super::svc::pairs::products;
use super::svc::rows::Rows;
use super::svc::simd::Level;
use super::svc::sums::ROWS_AT_A_TIME;
use super::unsearched::Unsearched;
use crate::error::Error;
use crate::interrupt::Interrupt;

/// The kind of classifier.
#[derive(Default)]
pub struct NearestNeighbours;

/// Train rows, of which the nearest vote.
#[derive(Clone, Debug, PartialEq)]
pub struct FittedNeighbours {
    /// The train rows, `[n, d]`, n and d >= 1.
    pub train_rows: Array2<f32>,
    /// Their labels, `[n]`.
    pub labels: Vec<u8>,
    /// Number of rows that vote, of 1 to n.
    pub k: usize,
    /// What similarities are divided by before the softmax.
    pub temperature: f64,
}

/// The settings that predictions need and that are no numbers of f64.
#[derive(Serialize, Deserialize)]
struct Settings {
    k: usize,
}

impl Unsearched for NearestNeighbours {
    const NAME: ClassifierName = ClassifierName::NearestNeighbours;
    const SETTINGS: &'static [&'static str] = &["k", "temperature"];
    type Fitted = FittedNeighbours;

    fn fit(probe: &Probe, rows: &Array2<f32>, labels: &[u8]) -> (FittedNeighbours, Outcome) {
        let k = probe.k.min(labels.len());
        let fitted = FittedNeighbours {
            train_rows: rows.clone(),
            labels: labels.to_vec(),
            k,
            temperature: probe.temperature,
        };
        let outcome = Outcome {
            k: Some(k),
            ..Outcome::default()
        };
        (fitted, outcome)
    }

    fn load(saved: &dyn Parts) -> Result<FittedNeighbours, Error> {
        let Settings { k } = serde_json::from_value(saved.settings()).map_err(|error| {
            let expected = "a fitted classifier of nearest neighbours";
            saved.wrong_settings(format!("does not read: {error}"), expected)
        })?;
        let train_rows = saved.rows("train_rows")?;
        let (n, d) = train_rows.dim();
        if n == 0 || d == 0 {
            let found = format!("has shape [{n}, {d}]");
            return Err(saved.wrong_part("train_rows", &found, "a row and a column at least"));
        }
        if !(1..=n).contains(&k) {
            let expected = "1 to the number of train rows";
            return Err(saved.wrong_settings(format!("has k = {k}"), expected));
        }
        let label = |number: f64| match number {
            0.0 => Ok(0),
            1.0 => Ok(1),
            _ => Err(saved.wrong_part("labels", &format!("holds `{number}`"), "`0` or `1`")),
        };
        let labels = saved.numbers("labels", n)?.into_iter().map(label);
        let temperature = saved.numbers("temperature", 1)?[0];
        if !(temperature.is_finite() && temperature > 0.0) {
            let found = format!("holds `{temperature}`");
            return Err(saved.wrong_part("temperature", &found, "a number above 0"));
        }
        Ok(FittedNeighbours {
            labels: labels.collect::<Result<_, _>>()?,
            train_rows,
            k,
            temperature,
        })
    }
}

impl FittedClassifier for FittedNeighbours {
    fn kind(&self) -> ClassifierName {
        NearestNeighbours::NAME
    }

    fn label(&self, decision: f64) -> u8 {
        label_if_larger(decision)
    }

    fn n_features(&self) -> usize {
        self.train_rows.ncols()
    }

    /// The votes for class 1 less those for class 0, of -1 to 1.
    fn decision(
        &self,
        rows: ArrayView2<'_, f32>,
        interrupt: &Interrupt,
    ) -> Result<Vec<f64>, Error> {
        let level = Level::widest();
        let train = Rows::new(self.train_rows.view());
        let mut decision = Vec::with_capacity(rows.nrows());
        for chunk in rows.axis_chunks_iter(Axis(0), ROWS_AT_A_TIME) {
            let similarities = products(level, &Rows::new(chunk), &train, interrupt)?;
            let stride = similarities.len() / chunk.nrows();
            let similarities = similarities.chunks_exact(stride);
            decision.extend(similarities.map(|row| self.vote(&row[..train.n])));
        }
        Ok(decision)
    }

    fn save(&self) -> Saved<'_> {
        Saved {
            settings: json!(Settings { k: self.k }),
            rows: vec![("train_rows", &self.train_rows)],
            numbers: vec![
                (
                    "labels",
                    self.labels.iter().copied().map(f64::from).collect(),
                ),
                ("temperature", vec![self.temperature]),
            ],
            indices: vec![],
        }
    }
}

impl FittedNeighbours {
    /// The votes for class 1 less those for class 0 about a row with these similarities to the train rows, `[n]`.
    fn vote(&self, similarities: &[f64]) -> f64 {
        let by_nearness = |a: &usize, b: &usize| {
            let by_similarity = similarities[*b].total_cmp(&similarities[*a]);
            by_similarity.then(a.cmp(b))
        };
        let mut nearest: Vec<usize> = (0..similarities.len()).collect();
        if self.k < nearest.len() {
            nearest.select_nth_unstable_by(self.k, by_nearness);
            nearest.truncate(self.k);
        }
        nearest.sort_unstable_by(by_nearness);
        let mut votes = [0.0; 2];
        for &row in &nearest {
            let below_nearest = similarities[row] - similarities[nearest[0]];
            votes[usize::from(self.labels[row])] +=
                exp((below_nearest / self.temperature).max(LEAST_EXPONENT));
        }
        (votes[1] - votes[0]) / (votes[0] + votes[1])
    }
}

/// A share of e^-700 is lost beside that of the nearest row, and [`exp`] takes no lower exponent.
const LEAST_EXPONENT: f64 = -700.0;

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "equal bits are the point")]
mod tests {
    use ndarray::array;

    use super::*;

    fn decided(labels: &[u8], k: usize, temperature: f64, row: [f32; 2]) -> f64 {
        let fitted = FittedNeighbours {
            train_rows: array![[1.0, 0.0], [0.6, 0.8], [0.6, 0.8], [0.0, 1.0]],
            labels: labels.to_vec(),
            k,
            temperature,
        };
        let rows = array![row];
        fitted.decision(rows.view(), &Interrupt::default()).unwrap()[0]
    }

    #[test]
    fn the_earlier_of_equally_near_rows_has_the_last_place() {
        assert_eq!(decided(&[1, 0, 1, 1], 1, 0.07, [0.6, 0.8]), -1.0);
        assert_eq!(decided(&[0, 1, 0, 0], 1, 0.07, [0.6, 0.8]), 1.0);
    }

    #[test]
    fn votes_that_are_equal_mean_class_0() {
        let decision = decided(&[1, 1, 0, 0], 4, 0.07, [0.0, 0.0]);
        assert_eq!((decision, label_if_larger(decision)), (0.0, 0));
    }

    #[test]
    fn a_low_temperature_leaves_the_nearest_row_alone() {
        for temperature in [1e-3, 1e-300, f64::MIN_POSITIVE / 8.0] {
            assert_eq!(decided(&[1, 0, 0, 0], 4, temperature, [1.0, 0.0]), 1.0);
        }
        assert_eq!(decided(&[1, 0, 0, 0], 4, 1e300, [1.0, 0.0]), -0.5);
    }

    #[test]
    fn votes_are_shares_of_a_softmax() {
        let (near, far) = (1.0_f64.exp(), 0.6_f64.exp());
        let expected = (near - 2.0 * far) / (near + 2.0 * far);
        let decision = decided(&[1, 0, 0, 1], 3, 1.0, [1.0, 0.0]);
        assert!((decision - expected).abs() < 1e-7, "{decision}, {expected}");
    }
}
