//! What is fitted on a probe's rows once they are centred, scaled and standardised.
//!
//! A kind of classifier is a folder beside this file, whose type implements [`Classifier`], its name, and its line of
//! [`KINDS`]. The search, predictions and files know it by the traits here alone. Its settings stand in
//! [`Probe`], and their names in the list of its kind.

use std::fmt;
use std::sync::Arc;

use ndarray::{Array2, ArrayView2};
use serde::Serialize;
use serde_json::{Map, Value};
use strum::VariantArray;

use super::fitted::label_of;
use super::linear::{LinearSvc, LogisticRegression};
use super::nearest_centroid::NearestCentroid;
use super::nearest_neighbours::NearestNeighbours;
use super::search::Fold;
use super::settings::{Gamma, Kernel, Probe, Search};
use super::svc::Svc;
use super::{TaskData, TaskFit, fit_kind};
use crate::context::Context;
use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::text::either;

/// The name of a kind of classifier, in pipeline files, keys and files of fitted probes.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum ClassifierName {
    /// A C-SVC with a kernel, on its dual problem: libsvm.
    Svc,
    /// A linear classifier with the squared hinge loss: liblinear's primal method.
    LinearSvc,
    /// A linear classifier with the logistic loss: L-BFGS.
    LogisticRegression,
    /// The k nearest train rows, which vote.
    NearestNeighbours,
    /// The nearer of the two classes' mean rows.
    NearestCentroid,
}

/// The kinds of classifiers, in the order of [`ClassifierName`].
static KINDS: [Kind; 5] = [
    Kind::of::<Svc>(),
    Kind::of::<LinearSvc>(),
    Kind::of::<LogisticRegression>(),
    Kind::of::<NearestNeighbours>(),
    Kind::of::<NearestCentroid>(),
];

impl ClassifierName {
    /// The kind of this name.
    pub fn kind(self) -> &'static Kind {
        &KINDS[self as usize]
    }

    /// The first that reads the setting `key`.
    pub fn of_setting(key: &str) -> Option<Self> {
        let mut all = Self::VARIANTS.iter().copied();
        all.find(|name| name.kind().settings.contains(&key))
    }

    /// The names, to stand behind "expected".
    pub fn expected() -> String {
        either(Self::VARIANTS.iter().map(|name| format!("\"{name}\"")))
    }
}

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

/// A kind of classifier, at work on one task: whatever the fits of one search share there. Rows that one has prepared serve
/// the others, too, where a search is repeated.
pub trait Classifier: Default + Sync {
    /// What files call it.
    const NAME: ClassifierName;
    /// The settings of a [`Probe`] that it reads, besides those that all kinds share.
    const SETTINGS: &'static [&'static str];
    /// Those among them that a search chooses, of `kernel`, `c` and `gamma`; none where there is nothing to search.
    const SEARCHED: &'static [&'static str];
    /// One choice of its parameters.
    type Candidate: Copy + Send + Sync;
    /// Rows to train on, with what all candidates need of them.
    type Train: Send + Sync;
    /// Rows to predict for each candidate that was fitted on the rows of a fold.
    type HeldOut: Send + Sync;
    /// What predictions need.
    type Fitted: FittedClassifier + 'static;

    /// Gives the settings whose default differs between kinds their value in scikit-learn.
    fn set_defaults(probe: &mut Probe);

    /// The parameters where no search chooses them.
    fn given(probe: &Probe) -> Self::Candidate;

    /// The candidates of a search, at least one, in the order in which scikit-learn tries them.
    fn candidates(search: &Search) -> Vec<Self::Candidate>;

    /// The parameters of a candidate, as tables have them.
    fn parameters(candidate: Self::Candidate) -> Parameters;

    /// The label that a decision value means.
    fn label(decision: f64) -> u8 {
        label_of(decision)
    }

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
    fn kind(&self) -> ClassifierName;

    /// The label that a decision value means: [`Classifier::label`].
    fn label(&self, decision: f64) -> u8 {
        label_of(decision)
    }

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

/// What a search chooses of a classifier; `None` where the kind has no such thing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Parameters {
    /// The kernel.
    pub kernel: Option<Kernel>,
    /// The penalty C.
    pub c: Option<f64>,
    /// The kernel's gamma, or the rule for it.
    pub gamma: Option<Gamma>,
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
    /// Number of neighbours that vote.
    pub k: Option<usize>,
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

    /// The error of the part `name` that is `found` to be something else.
    fn wrong_part(&self, name: &str, found: &str, expected: &str) -> Error;

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

/// Fits the probe of a task once for each seed of its search.
pub type Fit = fn(Run<'_>, &[u32], &TaskData<'_>) -> Result<Vec<TaskFit>, Error>;

/// A kind of classifier, whatever its types.
pub struct Kind {
    /// [`Classifier::SETTINGS`].
    pub settings: &'static [&'static str],
    /// [`Classifier::SEARCHED`].
    pub searched: &'static [&'static str],
    /// [`Classifier::set_defaults`].
    pub set_defaults: fn(&mut Probe),
    /// Fits one probe for each seed of the search, see `fit_kind`.
    pub fit: Fit,
    /// [`Classifier::load`].
    pub load: Load,
}

impl Kind {
    /// The kind `C`.
    const fn of<C: Classifier>() -> Self {
        Self {
            settings: C::SETTINGS,
            searched: C::SEARCHED,
            set_defaults: C::set_defaults,
            fit: fit_kind::<C>,
            load: |saved| Ok(Arc::new(C::load(saved)?)),
        }
    }

    /// Leaves in the JSON form of a search only what it chooses for this kind.
    pub fn retain_searched(&self, search: &mut Map<String, Value>) {
        search.retain(|key, _| match key.as_str() {
            "kernels" => self.searched.contains(&"kernel"),
            "c" | "gamma" => self.searched.contains(&key.as_str()),
            _ => true,
        });
        for space in search
            .values_mut()
            .filter_map(Value::as_array_mut)
            .flatten()
        {
            if let Value::Object(space) = space {
                self.retain_searched(space);
            }
        }
    }
}
