//! Linear classifiers on their primal problem, with scikit-learn's numbers.
//!
//! A [`Loss`] says what is minimised, and how: [`squared_hinge`] by a [`trust_region`] Newton method on rows in a
//! [`reduction`] of their space, [`logistic`] by [`lbfgs`] with its [`line_search`]. All else is [`Linear`], for both.
//!
//! Both methods end when what is left is small, not when there is none. So each takes the way of scikit-learn's, step by
//! step, in f64 with sums in an order of their own, which is the same on every CPU.

mod fitted;
mod lbfgs;
mod line_search;
mod logistic;
mod products;
mod reduction;
mod squared_hinge;
mod trust_region;

use std::marker::PhantomData;
use std::sync::atomic::{AtomicUsize, Ordering};

use ndarray::Array2;

use super::classifier::{
    Classifier, ClassifierName, FittedClassifier, Outcome, Parameters, Parts, Run,
};
use super::remedy;
use super::search::Fold;
use super::settings::{Probe, Search};
use crate::error::{Error, Message};
use crate::text::foreign;

pub use self::fitted::FittedLinear;

/// scikit-learn's `LinearSVC(dual=False)`: the squared hinge loss.
pub type LinearSvc = Linear<squared_hinge::SquaredHinge>;

/// scikit-learn's `LogisticRegression`: the logistic loss.
pub type LogisticRegression = Linear<logistic::Logistic>;

/// What a linear classifier minimises, and how.
pub trait Loss: Send + Sync {
    /// What files call the classifier.
    const NAME: ClassifierName;
    /// Rows to train on, with what all C need of them.
    type Train: Send + Sync;

    /// [`Classifier::set_defaults`].
    fn set_defaults(probe: &mut Probe);

    /// [`Classifier::prepare`].
    ///
    /// # Errors
    /// A stop that was asked for.
    fn prepare(run: Run<'_>, rows: &Array2<f32>, labels: &[u8]) -> Result<Self::Train, Error>;

    /// Fits the rows with the penalty `c`. The weights may be infinite or not a number.
    ///
    /// # Errors
    /// A stop that was asked for.
    fn solve(run: Run<'_>, train: &Self::Train, c: f64) -> Result<Solution, Error>;
}

/// What a fit found.
pub struct Solution {
    /// The weights, `[d]`.
    coef: Vec<f64>,
    intercept: f64,
    ending: Ending,
}

/// Why a fit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The tolerance is met, or what is left is rounding.
    Converged,
    /// The most iterations that were allowed are done.
    Limit,
    /// No step leads on.
    Stalled,
}

/// When a fit ends.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// What is left at most where it converged.
    tol: f64,
    /// The most iterations, if there is a limit.
    max_iter: Option<u64>,
}

impl Limits {
    fn of(probe: &Probe) -> Self {
        Self {
            tol: probe.tol,
            max_iter: u64::try_from(probe.max_iter).ok(),
        }
    }

    fn are_reached(self, iterations: u64) -> bool {
        self.max_iter.is_some_and(|most| iterations >= most)
    }
}

/// The value of each row's label among those of label 0 and label 1.
fn sides(labels: &[u8], values: [f64; 2]) -> Vec<f64> {
    let side = |&label: &u8| values[usize::from(label == 1)];
    labels.iter().map(side).collect()
}

/// A linear classifier with the loss `L`, at work on one task.
pub struct Linear<L> {
    n_limited: AtomicUsize,
    n_stalled: AtomicUsize,
    loss: PhantomData<L>,
}

impl<L> Default for Linear<L> {
    fn default() -> Self {
        Self {
            n_limited: AtomicUsize::default(),
            n_stalled: AtomicUsize::default(),
            loss: PhantomData,
        }
    }
}

impl<L: Loss> Linear<L> {
    /// Fits the rows with the penalty `c`; the inner error is that of weights that are not finite.
    ///
    /// # Errors
    /// A stop that was asked for.
    fn solve(
        &self,
        run: Run<'_>,
        train: &L::Train,
        c: f64,
    ) -> Result<Result<FittedLinear, Error>, Error> {
        run.context.interrupt.check()?;
        let Solution {
            coef,
            intercept,
            ending,
        } = L::solve(run, train, c)?;
        if !(intercept.is_finite() && coef.iter().all(|weight| weight.is_finite())) {
            let text = format!(
                "task `{}`: {} with c = {c:?} gives weights that are not finite, expected finite weights",
                foreign(run.task),
                L::NAME
            );
            let hint = remedy::of_infinite_weights(run.probe);
            return Ok(Err(Message::data(text).hint(hint).into()));
        }
        match ending {
            Ending::Converged => {}
            Ending::Limit => _ = self.n_limited.fetch_add(1, Ordering::Relaxed),
            Ending::Stalled => _ = self.n_stalled.fetch_add(1, Ordering::Relaxed),
        }
        Ok(Ok(FittedLinear {
            kind: L::NAME,
            coef,
            intercept,
        }))
    }
}

impl<L: Loss> Classifier for Linear<L> {
    const NAME: ClassifierName = L::NAME;
    const SETTINGS: &'static [&'static str] = &["c", "tol", "max_iter", "class_weight"];
    const SEARCHED: &'static [&'static str] = &["c"];
    /// C
    type Candidate = f64;
    type Train = L::Train;
    type HeldOut = Array2<f32>;
    type Fitted = FittedLinear;

    fn set_defaults(probe: &mut Probe) {
        L::set_defaults(probe);
    }

    fn given(probe: &Probe) -> f64 {
        probe.c
    }

    fn candidates(search: &Search) -> Vec<f64> {
        let candidates = search.candidates().into_iter();
        candidates.map(|candidate| candidate.c).collect()
    }

    fn parameters(c: f64) -> Parameters {
        Parameters {
            c: Some(c),
            ..Parameters::default()
        }
    }

    fn label(decision: f64) -> u8 {
        fitted::label_of(decision)
    }

    /// Each by itself, by falling C: the larger, the longer a fit takes.
    fn groups(candidates: &[f64]) -> Vec<Vec<usize>> {
        let mut order: Vec<usize> = (0..candidates.len()).collect();
        order.sort_by(|&a, &b| candidates[b].total_cmp(&candidates[a]));
        order.into_iter().map(|i| vec![i]).collect()
    }

    fn prepare(&self, run: Run<'_>, rows: Array2<f32>, labels: &[u8]) -> Result<L::Train, Error> {
        L::prepare(run, &rows, labels)
    }

    fn hold_out(
        &self,
        _: Run<'_>,
        _: &mut L::Train,
        rows: Array2<f32>,
    ) -> Result<Array2<f32>, Error> {
        Ok(rows)
    }

    fn score(
        &self,
        run: Run<'_>,
        fold: &Fold<Self>,
        candidates: &[f64],
    ) -> Result<Vec<Result<f64, Error>>, Error> {
        let score = |&c| {
            let fitted = match self.solve(run, &fold.train, c)? {
                Ok(fitted) => fitted,
                Err(error) => return Ok(Err(error)),
            };
            let decision = fitted.decision(fold.held_out.view(), run.context.interrupt)?;
            Ok(Ok(fold.accuracy(decision.into_iter())))
        };
        candidates.iter().map(score).collect()
    }

    fn fit(
        &self,
        run: Run<'_>,
        train: &L::Train,
        c: f64,
    ) -> Result<(FittedLinear, Outcome), Error> {
        let fitted = self.solve(run, train, c)??;
        let outcome = Outcome {
            c: Some(c),
            bias: Some(fitted.intercept),
            ..Outcome::default()
        };
        Ok((fitted, outcome))
    }

    fn warnings(&self, run: Run<'_>) -> Vec<String> {
        let limit = format!("ended at `probe.max_iter = {}`", run.probe.max_iter);
        let no_step = "found no step that leads on".to_owned();
        [
            (&self.n_limited, limit, remedy::of_limited_fits(run.probe)),
            (&self.n_stalled, no_step, "raise `probe.tol`".to_owned()),
        ]
        .into_iter()
        .map(|(n, ended, remedies)| (n.load(Ordering::Relaxed), ended, remedies))
        .filter(|(n, ..)| *n > 0)
        .map(|(n, ended, remedies)| {
            remedy::unfinished_fits(&foreign(run.task), n, &ended, &remedies)
        })
        .collect()
    }

    fn load(saved: &dyn Parts) -> Result<FittedLinear, Error> {
        FittedLinear::load(L::NAME, saved)
    }
}
