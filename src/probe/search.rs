//! Cross-validation of candidates: what all fits on a fold share is prepared once.

use ndarray::{ArrayView2, Axis};
use rayon::prelude::*;

use super::classifier::{Classifier, Run};
use super::folds::{count, stratified};
use super::scaler::{scaled, standardized};
use super::settings::{Search, Strategy};
use super::summation::pairwise_sum;
use crate::error::{Error, Message};
use crate::text::{self, foreign};

/// A candidate, and how well it did in cross-validation.
pub struct Tried<C: Classifier> {
    /// The candidate.
    pub candidate: C::Candidate,
    /// Its accuracy in each fold; `None` where it could not be fitted.
    pub fold_accuracies: Vec<Option<f64>>,
    /// Their mean; `None` if one is missing.
    pub cv_accuracy: Option<f64>,
}

/// The candidate that is fitted on all train rows, and how it was found.
pub struct Chosen<C: Classifier> {
    /// The candidate.
    pub candidate: C::Candidate,
    /// Its place among those that were tried; `None` without a search.
    pub index: Option<usize>,
    /// All candidates of the search, in the order in which scikit-learn tries them; none without one.
    pub tried: Vec<Tried<C>>,
    /// What the search could not do in full, a line each.
    pub warnings: Vec<String>,
}

impl<C: Classifier> Chosen<C> {
    /// The candidate without a search.
    pub fn given(candidate: C::Candidate) -> Self {
        Self {
            candidate,
            index: None,
            tried: Vec::new(),
            warnings: Vec::new(),
        }
    }
}

/// One fold: what is trained on, and what is held out.
pub struct Fold<C: Classifier> {
    /// The rows to train on.
    pub train: C::Train,
    /// The rows to predict.
    pub held_out: C::HeldOut,
    /// The labels of those.
    labels: Vec<u8>,
}

impl<C: Classifier> Fold<C> {
    /// Splits off the rows that `fold_of` gives to `fold`; `None` if the rest holds one label only.
    ///
    /// # Errors
    /// A stop that was asked for.
    fn new(
        classifier: &C,
        run: Run<'_>,
        x: ArrayView2<'_, f32>,
        labels: &[u8],
        fold_of: &[usize],
        fold: usize,
    ) -> Result<Option<Self>, Error> {
        let (held_out, train): (Vec<usize>, Vec<usize>) =
            (0..labels.len()).partition(|&row| fold_of[row] == fold);
        let labels_of =
            |rows: &[usize]| -> Vec<u8> { rows.iter().map(|&row| labels[row]).collect() };
        let train_labels = labels_of(&train);
        if !(train_labels.contains(&0) && train_labels.contains(&1)) {
            return Ok(None);
        }
        let (scaler, rows) = standardized(run.probe, x.select(Axis(0), &train));
        let mut train = classifier.prepare(run, rows, &train_labels)?;
        let rows = scaled(scaler.as_ref(), x.select(Axis(0), &held_out));
        Ok(Some(Self {
            held_out: classifier.hold_out(run, &mut train, rows)?,
            train,
            labels: labels_of(&held_out),
        }))
    }

    /// Share of the held-out rows whose decision value means their label.
    pub fn accuracy(&self, decision: impl Iterator<Item = f64>) -> f64 {
        let n_right = decision
            .zip(&self.labels)
            .filter(|&(value, &label)| C::label(value) == label)
            .count();
        n_right as f64 / self.labels.len() as f64
    }
}

/// Tries every candidate of each search on every fold, and chooses the one of each search with the highest accuracy, the
/// first of equals.
///
/// `searches` have the same folds, and a classifier each, which counts its work. `x`: `[n, d]`, normalised. Results do not
/// depend on the number of threads, nor those of a search on the others.
///
/// # Errors
/// Too few rows for the folds, no candidate that can be fitted on any of them, and what ends a search before.
///
/// Source: scikit-learn 1.9, `BaseSearchCV.fit` with accuracy as the score.
pub fn search<C: Classifier>(
    run: Run<'_>,
    searches: &[(Search, &C)],
    x: ArrayView2<'_, f32>,
    labels: &[u8],
) -> Result<Vec<Chosen<C>>, Error> {
    let Some(&(ref first, classifier)) = searches.first() else {
        return Ok(Vec::new());
    };
    let n_folds = first.folds;
    let task = foreign(run.task);
    let counts = [count(labels, 0), count(labels, 1)];
    check_counts(&task, counts, n_folds)?;
    let fold_of = stratified(labels, n_folds);
    let folds: Vec<Option<Fold<C>>> = (0..n_folds)
        .into_par_iter()
        .map(|fold| Fold::new(classifier, run, x, labels, &fold_of, fold))
        .collect::<Result<_, Error>>()?;
    let choose = |&(ref search, classifier): &(Search, &C)| {
        let candidates = C::candidates(search);
        let tried = tried(classifier, run, &folds, &candidates)?;
        let best = (1..tried.len()).fold(0, |best, next| {
            // One without accuracy loses against every other.
            if tried[next].cv_accuracy > tried[best].cv_accuracy {
                next
            } else {
                best
            }
        });
        let mut warnings = warnings(&task, search, counts, tried.len());
        if tried[best].cv_accuracy.is_none() {
            warnings.push(format!(
                "task `{task}`: a fold trains on one label only, so the search has no scores; its first candidate is taken"
            ));
        }
        Ok(Chosen {
            candidate: tried[best].candidate,
            index: Some(best),
            tried,
            warnings,
        })
    };
    searches.par_iter().map(choose).collect()
}

/// The candidates with their accuracy in each fold.
fn tried<C: Classifier>(
    classifier: &C,
    run: Run<'_>,
    folds: &[Option<Fold<C>>],
    candidates: &[C::Candidate],
) -> Result<Vec<Tried<C>>, Error> {
    let groups = C::groups(candidates);
    let units: Vec<(usize, &Fold<C>, &[usize])> = folds
        .iter()
        .enumerate()
        .filter_map(|(number, fold)| Some((number, fold.as_ref()?)))
        .flat_map(|(number, fold)| {
            let groups = groups.iter();
            groups.map(move |group| (number, fold, group.as_slice()))
        })
        .collect();
    let scored: Vec<Result<_, Error>> = units
        .par_iter()
        .map(|&(_, fold, group)| {
            let group: Vec<C::Candidate> = group.iter().map(|&i| candidates[i]).collect();
            classifier.score(run, fold, &group)
        })
        .collect();
    let mut accuracies = vec![vec![None; folds.len()]; candidates.len()];
    // A row is held out once, so at most one fold trains on one label only, and the others fit some candidate.
    let mut first_failure = None;
    for (scores, (number, _, group)) in scored.into_iter().zip(units) {
        for (&i, score) in group.iter().zip(scores?) {
            match score {
                Ok(accuracy) => accuracies[i][number] = Some(accuracy),
                Err(error) if i == 0 => first_failure = first_failure.or(Some(error)),
                Err(_) => {}
            }
        }
    }
    match first_failure {
        Some(error) if accuracies.iter().flatten().all(Option::is_none) => Err(error),
        _ => {
            let tried = candidates.iter().zip(accuracies);
            Ok(tried
                .map(|(&candidate, folds)| Tried::new(candidate, folds))
                .collect())
        }
    }
}

impl<C: Classifier> Tried<C> {
    fn new(candidate: C::Candidate, fold_accuracies: Vec<Option<f64>>) -> Self {
        let all: Option<Vec<f64>> = fold_accuracies.iter().copied().collect();
        Self {
            candidate,
            cv_accuracy: all.map(|all| pairwise_sum(&all) / all.len() as f64),
            fold_accuracies,
        }
    }
}

/// Makes sure that one label at least has a row for each fold.
pub fn check_counts(task: &str, counts: [usize; 2], folds: usize) -> Result<(), Error> {
    let most = counts[0].max(counts[1]);
    if most >= folds {
        return Ok(());
    }
    let text = format!(
        "task `{task}`: {} and {} train rows of labels 0 and 1, a search over {folds} folds needs {folds} of at least \
         one label",
        counts[0], counts[1]
    );
    let folds = match most {
        0 | 1 => String::new(),
        most => format!(", set `probe.search.folds` to {most} or less"),
    };
    let hint = format!("raise `sample.n_train`{folds}, or leave the task out with `--tasks`");
    Err(Message::data(text).hint(hint).into())
}

/// Warns of what a search cannot do in full.
fn warnings(task: &str, search: &Search, counts: [usize; 2], n_candidates: usize) -> Vec<String> {
    let folds = search.folds;
    let mut warnings: Vec<String> = (0..2)
        .filter(|&label| counts[label] < folds)
        .map(|label| {
            format!(
                "task `{task}`: label {label} has {}, fewer than the {folds} folds of the search",
                text::count(counts[label], "train row", "train rows")
            )
        })
        .collect();
    if let Strategy::Random { n_iter, .. } = search.strategy
        && n_candidates < n_iter
    {
        warnings.push(format!(
            "task `{task}`: the search has {}, fewer than n_iter = {n_iter}; all are tried",
            text::count(n_candidates, "combination", "combinations")
        ));
    }
    warnings
}
