//! A fitted probe: everything that prediction needs.

use std::sync::Arc;

use ndarray::{Array1, ArrayView2, Axis, CowArray};

use super::classifier::FittedClassifier;
use super::error::Overflow;
use super::normalize::{OddRows, normalize};
use super::scaler::{Scaler, scaled};
use crate::error::{Error, Message};
use crate::interrupt::Interrupt;

/// A fitted probe, complete: stored and loaded again, it makes the same decisions bit for bit.
#[derive(Clone, Debug)]
pub struct FittedProbe {
    /// Mean and scale of each column, `[d]`, applied first; `None` if the probe does not standardise first.
    pub first_scaler: Option<Scaler>,
    /// Mean of the train rows, `[d]`, subtracted next; `None` if the probe does not centre.
    pub mean: Option<Array1<f32>>,
    /// Whether rows are divided by their L2 norm.
    pub l2: bool,
    /// Mean and scale of each column, `[d]`, applied last; `None` if the probe does not standardise.
    pub scaler: Option<Scaler>,
    /// What decides on the rows thereafter.
    pub classifier: Arc<dyn FittedClassifier>,
}

impl PartialEq for FittedProbe {
    fn eq(&self, other: &Self) -> bool {
        let (ours, theirs) = (&self.classifier, &other.classifier);
        self.first_scaler == other.first_scaler
            && self.mean == other.mean
            && self.l2 == other.l2
            && self.scaler == other.scaler
            && ours.kind() == theirs.kind()
            && ours.save() == theirs.save()
    }
}

/// Rows that are decided on at a time.
const ROWS_AT_A_TIME: usize = 1024;

impl FittedProbe {
    /// Returns the decision value of each row of `x` (`[n, d]` f32, features as the backbone gave them), and the rows
    /// that cannot be divided by their norm as float32 has it.
    ///
    /// The sign is scikit-learn's: positive means label 1. Values do not depend on the CPU, on the number of threads or
    /// on the other rows. Between some rows a stop is heard.
    ///
    /// # Errors
    /// `x` has another number of columns, or a row of it overflows once
    /// the mean is subtracted.
    ///
    /// Source: `decision_function` of scikit-learn's pipeline.
    pub fn decision(
        &self,
        x: ArrayView2<'_, f32>,
        interrupt: &Interrupt,
    ) -> Result<(Vec<f64>, OddRows), Error> {
        let (found, expected) = (x.ncols(), self.classifier.n_features());
        if found != expected {
            let text = format!(
                "fitted probe: features of {found} columns, expected {expected}, as those have that it was fitted on"
            );
            let hint = "use features of the backbone that the probe was fitted on";
            return Err(Message::data(text).hint(hint).into());
        }
        let mut decision = Vec::with_capacity(x.nrows());
        let mut odd_rows = OddRows::new();
        for chunk in x.axis_chunks_iter(Axis(0), ROWS_AT_A_TIME) {
            let first = decision.len();
            let mean = self.mean.as_ref().map(Array1::view);
            let chunk = match &self.first_scaler {
                Some(scaler) => scaler.transform(chunk.to_owned()).into(),
                None => CowArray::from(chunk),
            };
            let (rows, odd) = normalize(chunk.view(), mean, self.l2).map_err(|(row, norm)| {
                Overflow::new("test", mean.is_some(), (first + row, norm))
            })?;
            odd_rows.extend(odd.into_iter().map(|(row, oddity)| (first + row, oddity)));
            let rows = scaled(self.scaler.as_ref(), rows);
            decision.extend(self.classifier.decision(rows.view(), interrupt)?);
        }
        Ok((decision, odd_rows))
    }

    /// The label that a decision value means.
    pub fn label(&self, decision: f64) -> u8 {
        self.classifier.label(decision)
    }
}

/// The label that a decision value means which compares class 1 with class 0: of equals the first, as NumPy's `argmax` and
/// `argmin` have it.
pub fn label_if_larger(decision: f64) -> u8 {
    u8::from(decision > 0.0)
}

/// The label that an SVC's decision value means: 0 only where libsvm's decision value is strictly positive; scikit-learn's has
/// the other sign.
pub fn label_of(decision: f64) -> u8 {
    let is_label_0 = decision < 0.0;
    u8::from(!is_label_0)
}
