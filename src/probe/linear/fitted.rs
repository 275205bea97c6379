//! A fitted linear classifier.

use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::products::dot_f32;
use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::probe::classifier::{ClassifierName, FittedClassifier, Parts, Saved};

/// A fitted linear classifier: a weight for each feature, and an intercept.
#[derive(Clone, Debug, PartialEq)]
pub struct FittedLinear {
    /// What it was fitted as.
    pub kind: ClassifierName,
    /// The weights (`coef_`), `[d]`.
    pub coef: Vec<f64>,
    /// The intercept (`intercept_`).
    pub intercept: f64,
}

/// The settings that predictions need.
#[derive(Serialize, Deserialize)]
struct Settings {
    /// d
    n_features: usize,
}

/// The label that a linear classifier's decision value means: 1 only where it is positive, as in scikit-learn.
pub fn label_of(decision: f64) -> u8 {
    u8::from(decision > 0.0)
}

impl FittedLinear {
    /// The decision value of a row.
    pub fn decide(&self, row: &[f32]) -> f64 {
        dot_f32(&self.coef, row) + self.intercept
    }

    /// What [`save`](FittedClassifier::save) gave, as a classifier of `kind`.
    ///
    /// # Errors
    /// The first part that is missing or wrong.
    pub fn load(kind: ClassifierName, saved: &dyn Parts) -> Result<Self, Error> {
        let Settings { n_features } =
            serde_json::from_value(saved.settings()).map_err(|error| {
                saved.wrong_settings(
                    format!("does not read: {error}"),
                    "a fitted linear classifier",
                )
            })?;
        Ok(Self {
            kind,
            coef: saved.numbers("coef", n_features)?,
            intercept: saved.numbers("intercept", 1)?[0],
        })
    }
}

impl FittedClassifier for FittedLinear {
    fn kind(&self) -> ClassifierName {
        self.kind
    }

    fn label(&self, decision: f64) -> u8 {
        label_of(decision)
    }

    fn n_features(&self) -> usize {
        self.coef.len()
    }

    fn decision(
        &self,
        rows: ArrayView2<'_, f32>,
        interrupt: &Interrupt,
    ) -> Result<Vec<f64>, Error> {
        interrupt.check()?;
        let rows = rows.as_standard_layout();
        let rows = rows.rows();
        let decisions = rows.into_iter();
        Ok(decisions
            .map(|row| self.decide(row.as_slice().unwrap_or_default()))
            .collect())
    }

    fn save(&self) -> Saved<'_> {
        Saved {
            settings: json!(Settings {
                n_features: self.coef.len(),
            }),
            rows: Vec::new(),
            numbers: vec![
                ("coef", self.coef.clone()),
                ("intercept", vec![self.intercept]),
            ],
            indices: Vec::new(),
        }
    }
}
