//! Cross-validation of candidates: all fits of a task share one Gram matrix per fold.

use std::sync::{Mutex, PoisonError};

use ndarray::{ArrayView2, Axis};
use rayon::prelude::*;

use super::Error;
use super::candidates::Candidate;
use super::folds::{count, stratified};
use super::prepared::{Prepared, Run};
use super::settings::{Gamma, Kernel, Search};
use super::summation::pairwise_sum;
use super::svm::Scratch;
use super::svm::gram::Pairs;
use super::svm::kernel::KernelFunction;
use super::watch::Stop;

/// A candidate of a search and how well it did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoredCandidate {
    /// The candidate.
    pub candidate: Candidate,
    /// Mean accuracy over the folds; `None` if a fold could not be fitted.
    pub cv_accuracy: Option<f64>,
}

/// Returns the candidate with the highest accuracy, the first of equals; one without loses against every other.
pub(super) fn best(scored: &[ScoredCandidate]) -> Option<ScoredCandidate> {
    let better = |a: &ScoredCandidate, b: &ScoredCandidate| b.cv_accuracy > a.cv_accuracy;
    let (&first, rest) = scored.split_first()?;
    Some(rest.iter().fold(
        first,
        |best, next| if better(&best, next) { *next } else { best },
    ))
}

/// One fold: what it trains on and what it holds out.
struct Fold {
    train: Prepared,
    /// The train rows (in the training set's order) paired with the held-out rows.
    held_out: Pairs,
    held_out_labels: Vec<u8>,
}

impl Fold {
    /// Splits off the rows that `fold_of` gives to `fold`; `None` if the rest holds one label only.
    ///
    /// # Errors
    /// [`Stop`] if the one who waits asks for it.
    fn new(
        run: Run<'_>,
        x: ArrayView2<'_, f32>,
        labels: &[u8],
        fold_of: &[usize],
        fold: usize,
    ) -> Result<Option<Self>, Stop> {
        let (held_out, train): (Vec<usize>, Vec<usize>) =
            (0..labels.len()).partition(|&row| fold_of[row] == fold);
        let labels_of =
            |rows: &[usize]| -> Vec<u8> { rows.iter().map(|&row| labels[row]).collect() };
        let train_labels = labels_of(&train);
        if !(train_labels.contains(&0) && train_labels.contains(&1)) {
            return Ok(None);
        }
        let mut prepared = Prepared::new(run, x.select(Axis(0), &train), &train_labels)?;
        let pairs = prepared.pairs(run, x.select(Axis(0), &held_out), &run.probe.kernels())?;
        prepared.forget_rows(run);
        Ok(Some(Self {
            train: prepared,
            held_out: pairs,
            held_out_labels: labels_of(&held_out),
        }))
    }

    /// Share of the held-out rows that the fit in `scratch` predicts right.
    fn accuracy(
        &self,
        run: Run<'_>,
        function: KernelFunction,
        rho: f64,
        scratch: &mut Scratch,
    ) -> f64 {
        let sums = scratch.weighted_sums(run.level, function, &self.held_out);
        let n_right = sums
            .iter()
            .zip(&self.held_out_labels)
            .filter(|&(sum, &label)| (sum - rho > 0.0) == (label == 0))
            .count();
        n_right as f64 / self.held_out_labels.len() as f64
    }
}

/// Candidates that share a kernel matrix, on one fold.
struct Unit<'a> {
    fold: &'a Fold,
    /// The candidates, by falling C.
    candidates: &'a [Candidate],
    /// Where their accuracies go.
    scores: &'a mut [f64],
    outcome: Result<(), Error>,
}

impl Unit<'_> {
    fn score(&mut self, run: Run<'_>, scratch: &mut Scratch) -> Result<(), Error> {
        let train = &self.fold.train;
        let function = train.function(run, self.candidates[0]);
        train.evaluate(run, function, scratch)?;
        // The last accuracy, with the value of C above which it holds, too.
        let mut last: Option<(f64, f64)> = None;
        for (&candidate, score) in self.candidates.iter().zip(&mut *self.scores) {
            if let Some((peak, accuracy)) = last
                && train.upper_bounds(candidate).iter().all(|&c| c > peak)
            {
                *score = accuracy;
                continue;
            }
            let solution = train.fit(run, candidate, scratch)?;
            if scratch.is_finite(solution.rho) {
                *score = self.fold.accuracy(run, function, solution.rho, scratch);
                last = solution.free_peak.map(|peak| (peak, *score));
            }
        }
        Ok(())
    }
}

/// Candidates with equal keys have the same kernel matrix.
fn matrix_key(Candidate { kernel, gamma, .. }: Candidate) -> (Kernel, u8, u64) {
    match gamma {
        _ if kernel == Kernel::Linear => (kernel, 0, 0),
        Gamma::Value(gamma) => (kernel, 0, gamma.to_bits()),
        Gamma::Scale => (kernel, 1, 0),
        Gamma::Auto => (kernel, 2, 0),
    }
}

/// Buffers that threads share, at most one set per thread at work.
#[derive(Default)]
struct Pool(Mutex<Vec<Scratch>>);

impl Pool {
    fn take(&self) -> Scratch {
        let mut free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        free.pop().unwrap_or_default()
    }

    fn give_back(&self, scratch: Scratch) {
        let mut free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        free.push(scratch);
    }
}

/// Tries every candidate on every fold; the result is in the order of the candidates.
///
/// `x`: `[n, d]`, normalised. Results do not depend on the number of threads.
///
/// # Errors
/// [`Error::TooFewForFolds`], [`Error::NonFiniteSolution`] if no candidate has a finite solution on any fold, and the
/// errors of the fits.
///
/// Source: scikit-learn 1.9, `BaseSearchCV.fit` with accuracy as the score.
pub(super) fn search(
    run: Run<'_>,
    search: &Search,
    x: ArrayView2<'_, f32>,
    labels: &[u8],
) -> Result<Vec<ScoredCandidate>, Error> {
    let counts = [count(labels, 0), count(labels, 1)];
    if counts.iter().all(|&count| count < search.folds) {
        return Err(Error::TooFewForFolds {
            task: run.task.to_owned(),
            counts,
            folds: search.folds,
        });
    }
    let fold_of = stratified(labels, search.folds);
    let folds: Vec<Option<Fold>> = (0..search.folds)
        .into_par_iter()
        .map(|fold| Fold::new(run, x, labels, &fold_of, fold))
        .collect::<Result<_, Stop>>()?;

    let candidates = search.candidates();
    let mut by_matrix: Vec<usize> = (0..candidates.len()).collect();
    by_matrix.sort_by(|&a, &b| {
        let (a, b) = (candidates[a], candidates[b]);
        matrix_key(a).cmp(&matrix_key(b)).then(b.c.total_cmp(&a.c))
    });
    let sorted: Vec<Candidate> = by_matrix.iter().map(|&i| candidates[i]).collect();
    let scores = scores(run, &folds, &sorted)?;
    // A row is held out once, so at most one fold trains on one label only.
    if scores.iter().all(|score| score.is_nan())
        && let Some(fold) = folds.iter().flatten().next()
    {
        let function = fold.train.function(run, candidates[0]);
        return Err(run.not_finite(function, candidates[0].c));
    }

    let mut scored: Vec<ScoredCandidate> = candidates
        .into_iter()
        .map(|candidate| ScoredCandidate {
            candidate,
            cv_accuracy: None,
        })
        .collect();
    for (place, i) in by_matrix.into_iter().enumerate() {
        let of_candidate: Vec<f64> = scores
            .iter()
            .skip(place)
            .step_by(sorted.len())
            .copied()
            .collect();
        let mean = pairwise_sum(&of_candidate) / search.folds as f64;
        scored[i].cv_accuracy = Some(mean).filter(|mean| !mean.is_nan());
    }
    Ok(scored)
}

/// Accuracies of `candidates` (those with the same kernel matrix next to each other, by falling C), fold by fold; not a
/// number where there is no fit.
///
/// # Errors
/// Those of the fits, the first in this order.
fn scores(
    run: Run<'_>,
    folds: &[Option<Fold>],
    candidates: &[Candidate],
) -> Result<Vec<f64>, Error> {
    let mut scores = vec![f64::NAN; folds.len() * candidates.len()];
    let mut units = Vec::new();
    for (fold, mut rest) in folds.iter().zip(scores.chunks_exact_mut(candidates.len())) {
        let Some(fold) = fold else { continue };
        for candidates in candidates.chunk_by(|&a, &b| matrix_key(a) == matrix_key(b)) {
            let (scores, others) = rest.split_at_mut(candidates.len());
            rest = others;
            units.push(Unit {
                fold,
                candidates,
                scores,
                outcome: Ok(()),
            });
        }
    }
    let pool = Pool::default();
    units.par_iter_mut().for_each(|unit| {
        let mut scratch = pool.take();
        unit.outcome = unit.score(run, &mut scratch);
        pool.give_back(scratch);
    });
    units.into_iter().try_for_each(|unit| unit.outcome)?;
    Ok(scores)
}
