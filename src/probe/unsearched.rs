//! Kinds of classifiers whose settings no search chooses.

use ndarray::Array2;

use super::classifier::{
    Classifier, ClassifierName, FittedClassifier, Outcome, Parameters, Parts, Run,
};
use super::fitted::label_if_larger;
use super::search::Fold;
use super::settings::{Probe, Search};
use crate::error::Error;

/// Such a kind: a [`Classifier`] with one candidate, whose settings are those of the probe.
///
/// Its decision value compares class 1 with class 0, and is zero where they are equal: then the label is 0.
pub trait Unsearched: Default + Sync {
    /// [`Classifier::NAME`].
    const NAME: ClassifierName;
    /// [`Classifier::SETTINGS`].
    const SETTINGS: &'static [&'static str];
    /// [`Classifier::Fitted`].
    type Fitted: FittedClassifier + 'static;

    /// Fits it to `rows` (`[n, d]`, as the scaler left them) of both labels.
    fn fit(probe: &Probe, rows: &Array2<f32>, labels: &[u8]) -> (Self::Fitted, Outcome);

    /// [`Classifier::load`].
    ///
    /// # Errors
    /// The first part that is missing or wrong.
    fn load(saved: &dyn Parts) -> Result<Self::Fitted, Error>;
}

/// Rows to train on.
pub struct Train {
    /// `[n, d]`.
    rows: Array2<f32>,
    /// `[n]`.
    labels: Vec<u8>,
}

impl<C: Unsearched> Classifier for C {
    const NAME: ClassifierName = C::NAME;
    const SETTINGS: &'static [&'static str] = C::SETTINGS;
    const SEARCHED: &'static [&'static str] = &[];
    type Candidate = ();
    type Train = Train;
    type HeldOut = Array2<f32>;
    type Fitted = C::Fitted;

    fn set_defaults(_probe: &mut Probe) {}

    fn given(_probe: &Probe) {}

    fn candidates(_search: &Search) -> Vec<()> {
        vec![()]
    }

    fn parameters(_candidate: ()) -> Parameters {
        Parameters::default()
    }

    fn label(decision: f64) -> u8 {
        label_if_larger(decision)
    }

    fn groups(candidates: &[()]) -> Vec<Vec<usize>> {
        vec![(0..candidates.len()).collect()]
    }

    fn prepare(&self, _run: Run<'_>, rows: Array2<f32>, labels: &[u8]) -> Result<Train, Error> {
        Ok(Train {
            rows,
            labels: labels.to_vec(),
        })
    }

    fn hold_out(
        &self,
        _run: Run<'_>,
        _train: &mut Train,
        rows: Array2<f32>,
    ) -> Result<Array2<f32>, Error> {
        Ok(rows)
    }

    fn score(
        &self,
        run: Run<'_>,
        fold: &Fold<Self>,
        candidates: &[()],
    ) -> Result<Vec<Result<f64, Error>>, Error> {
        let Train { rows, labels } = &fold.train;
        let (fitted, _) = <C as Unsearched>::fit(run.probe, rows, labels);
        let decision = fitted.decision(fold.held_out.view(), run.context.interrupt)?;
        let accuracy = fold.accuracy(decision.into_iter());
        Ok(candidates.iter().map(|()| Ok(accuracy)).collect())
    }

    fn fit(&self, run: Run<'_>, train: &Train, _given: ()) -> Result<(C::Fitted, Outcome), Error> {
        let Train { rows, labels } = train;
        Ok(<C as Unsearched>::fit(run.probe, rows, labels))
    }

    fn warnings(&self, _run: Run<'_>) -> Vec<String> {
        Vec::new()
    }

    fn load(saved: &dyn Parts) -> Result<C::Fitted, Error> {
        <C as Unsearched>::load(saved)
    }
}
