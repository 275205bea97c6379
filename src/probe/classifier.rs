//! What is fitted on a probe's rows once they are centred, scaled and standardised.
//!
//! A kind of classifier is a folder beside this file, whose type implements [`Classifier`], and a line of
//! `KINDS`. The search, predictions and files know it by the traits here alone. Its settings stand in
//! `Probe`, whose space of candidates is the SVC's so far, and which names no kind yet: all fit the first.

use std::fmt;
use std::sync::Arc;

use ndarray::{Array2, ArrayView2};
use serde_json::Value;

use super::search::Fold;
use super::settings::{Kernel, Probe, Search};
use super::{TaskData, TaskFit, fit_kind};
use crate::context::Context;
use crate::error::Error;
use crate::interrupt::Interrupt;

/// What all fits of one task share.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    /// The probe.
    pub probe: &'a Probe,
    /// The task's name, for messages.
    pub task: &'a str,
    /// Who waits for the task.
    pub context: Context<'a>,
}

/// A kind of classifier, at work on one task: whatever its fits share there.
pub trait Classifier: Default + Sync {
    /// What files call it.
    const NAME: &'static str;
    /// One choice of its parameters.
    type Candidate: Copy + Sync;
    /// Rows to train on, with what all candidates need of them.
    type Train: Send + Sync;
    /// Rows to predict for each candidate that was fitted on the rows of a fold.
    type HeldOut: Send + Sync;
    /// What predictions need.
    type Fitted: FittedClassifier + 'static;

    /// The parameters where no search chooses them.
    fn given(probe: &Probe) -> Self::Candidate;

    /// The candidates of a search, at least one, in the order in which scikit-learn tries them.
    fn candidates(search: &Search) -> Vec<Self::Candidate>;

    /// The indices of all candidates: those together whose fits on a fold share work, in the order that saves most.
    fn groups(candidates: &[Self::Candidate]) -> Vec<Vec<usize>>;

    /// Prepares rows (`[n, d]`, as the scaler left them) of both labels to train on.
    ///
    /// # Errors
    /// A stop that was asked for.
    fn prepare(&self, run: Run<'_>, rows: Array2<f32>, labels: &[u8])
    -> Result<Self::Train, Error>;

    /// Prepares rows (`[m, d]`, scaled as those of `train`) for predictions. After this only [`Self::score`] is asked of
    /// `train`.
    ///
    /// # Errors
    /// A stop that was asked for.
    fn hold_out(
        &self,
        run: Run<'_>,
        train: &mut Self::Train,
        rows: Array2<f32>,
    ) -> Result<Self::HeldOut, Error>;

    /// Fits each candidate of a group on a fold: its [accuracy](Fold::accuracy), or why it has none.
    ///
    /// # Errors
    /// What ends the whole search.
    fn score(
        &self,
        run: Run<'_>,
        fold: &Fold<Self>,
        candidates: &[Self::Candidate],
    ) -> Result<Vec<Result<f64, Error>>, Error>;

    /// Fits a candidate for good.
    ///
    /// # Errors
    /// Why it cannot be fitted, and a stop that was asked for.
    fn fit(
        &self,
        run: Run<'_>,
        train: &Self::Train,
        candidate: Self::Candidate,
    ) -> Result<(Self::Fitted, Outcome), Error>;

    /// What there is to say about the fits that were made, a line each.
    fn warnings(&self, run: Run<'_>) -> Vec<String>;

    /// What [`FittedClassifier::save`] gave.
    ///
    /// # Errors
    /// The first part that is missing or wrong.
    fn load(saved: &dyn Parts) -> Result<Self::Fitted, Error>;
}

/// A fitted classifier. It makes the same decisions once it was saved and loaded.
pub trait FittedClassifier: fmt::Debug + std::any::Any + Send + Sync {
    /// What files call its kind: [`Classifier::NAME`].
    fn kind(&self) -> &'static str;

    /// Number of features of the rows that it takes.
    fn n_features(&self) -> usize;

    /// The decision value of each row (`[n, d]`, scaled as those that it was fitted on); positive means label 1.
    ///
    /// # Errors
    /// A stop that was asked for.
    fn decision(&self, rows: ArrayView2<'_, f32>, interrupt: &Interrupt)
    -> Result<Vec<f64>, Error>;

    /// All its parts.
    fn save(&self) -> Saved<'_>;
}

/// The parameters and numbers of a fit that have a place in the table of probes; `None` where the kind has no such thing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// The kernel, chosen or given.
    pub kernel: Option<Kernel>,
    /// The penalty C, chosen or given.
    pub c: Option<f64>,
    /// The kernel's gamma, chosen, given or resolved.
    pub gamma: Option<f64>,
    /// Number of support vectors.
    pub n_support: Option<usize>,
    /// Bias with scikit-learn's sign (`intercept_`).
    pub bias: Option<f64>,
}

/// A fitted classifier as files hold it. No part is called `mean` or `scaler`, which are the probe's.
#[derive(Clone, Debug, PartialEq)]
pub struct Saved<'a> {
    /// Settings that predictions need, a JSON object; none is called `task`, `kind` or `l2`.
    pub settings: Value,
    /// Rows of features, `[n, d]`.
    pub rows: Vec<(&'static str, &'a Array2<f32>)>,
    /// Numbers, `[n]`.
    pub numbers: Vec<(&'static str, Vec<f64>)>,
    /// Indices of train rows, `[n]`.
    pub indices: Vec<(&'static str, &'a [usize])>,
}

/// The file of a saved classifier, part by part. Its errors name the file and the part.
pub trait Parts {
    /// [`Saved::settings`], among others.
    fn settings(&self) -> Value;

    /// The error of settings that are `found` to be something else.
    fn wrong_settings(&self, found: String, expected: &'static str) -> Error;

    /// One of [`Saved::rows`].
    ///
    /// # Errors
    /// A part that is missing or no such array.
    fn rows(&self, name: &str) -> Result<Array2<f32>, Error>;

    /// One of [`Saved::numbers`], which must be `n`.
    ///
    /// # Errors
    /// As [`Self::rows`].
    fn numbers(&self, name: &str, n: usize) -> Result<Vec<f64>, Error>;

    /// One of [`Saved::indices`], which must be `n`.
    ///
    /// # Errors
    /// As [`Self::rows`].
    fn indices(&self, name: &str, n: usize) -> Result<Vec<usize>, Error>;
}

/// How a saved classifier is read.
pub type Load = fn(&dyn Parts) -> Result<Arc<dyn FittedClassifier>, Error>;

/// A kind of classifier, whatever its types.
pub struct Kind {
    /// What files call it.
    pub name: &'static str,
    /// [`fit_kind`].
    pub fit: fn(Run<'_>, &TaskData<'_>) -> Result<TaskFit, Error>,
    /// [`Classifier::load`].
    pub load: Load,
}

impl Kind {
    /// The kind `C`.
    pub const fn of<C: Classifier>() -> Self {
        Self {
            name: C::NAME,
            fit: fit_kind::<C>,
            load: |saved| Ok(Arc::new(C::load(saved)?)),
        }
    }
}
