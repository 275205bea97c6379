//! Evaluations and plans as the plain values that `render` shows.

use std::fmt::Display;

use super::plan::State;
use super::repeats::{Over, Repeats, Spread};
use super::results::reading::Ran;
use super::results::{CI_METHOD, Score};
use super::{Evaluation, Experiment, StageRecord};
use crate::newt::sampling::NTrain;
use crate::render::{Card, Line, MeanLine, RepeatsLine, StageLine, SweepRow};
use crate::stage::bootstrap::Settings;
use crate::stage::features::Counts;
use crate::stage::report::Level;
use crate::stats::Interval;
use crate::text::{count, foreign, thousands};

/// An experiment in one line: `timm/vit_base_patch16_224, n_train 20, seed 17, probe biobench`.
pub fn title(experiment: &Experiment) -> String {
    let (probe, search_seed) = (experiment.probe_name(), experiment.shown_search_seed());
    let (model, n_train) = (model(experiment), experiment.n_train);
    line_of(
        &model,
        n_train,
        &experiment.seed,
        &probe,
        search_seed.as_ref(),
    )
}

/// The same line of what a results folder has of an experiment.
pub fn title_of(ran: &Ran) -> String {
    let model = foreign(&format!("{}/{}", ran.model_org, ran.model_ckpt));
    let (probe, search_seed) = (foreign(&ran.probe), ran.search_seed.as_ref());
    line_of(&model, ran.n_train, &ran.seed, &probe, search_seed)
}

fn line_of(
    model: &str,
    n_train: NTrain,
    seed: &dyn Display,
    probe: &str,
    search_seed: Option<&impl Display>,
) -> String {
    let seed = n_train.rows().map(|_| format!("seed {seed}, "));
    let seed = seed.unwrap_or_default();
    let search_seed = search_seed.map(|seed| format!(", search seed {seed}"));
    let search_seed = search_seed.unwrap_or_default();
    format!("{model}, n_train {n_train}, {seed}probe {probe}{search_seed}")
}

fn model(experiment: &Experiment) -> String {
    foreign(&experiment.model.name())
}

/// The result of one experiment.
pub fn card(evaluation: &Evaluation) -> Card {
    let scores = evaluation.scores();
    let lines = |level: Level| {
        let of_level = scores.iter().filter(|score| score.level == level.as_str());
        of_level.map(line).collect()
    };
    let overall = overall(&scores);
    Card {
        title: title(&evaluation.experiment),
        tasks: lines(Level::Task),
        clusters: lines(Level::Cluster),
        overall: Line {
            name: "all test rows".to_owned(),
            ..line(overall)
        },
        mean_over_tasks: MeanLine {
            accuracy: overall.mean_task_accuracy,
            these_tasks: ends(overall.these_tasks_ci_low, overall.these_tasks_ci_high),
            tasks_like_these: ends(
                overall.tasks_like_these_ci_low,
                overall.tasks_like_these_ci_high,
            ),
        },
        intervals: intervals(&evaluation.bootstrap.settings),
    }
}

/// One line of a sweep's table.
pub fn sweep_row(evaluation: &Evaluation) -> SweepRow {
    let experiment = &evaluation.experiment;
    let scores = evaluation.scores();
    let overall = overall(&scores);
    SweepRow {
        model: model(experiment),
        n_train: n_train(experiment.n_train, overall.n_train_used),
        seed: match experiment.n_train.rows() {
            Some(_) => experiment.seed.to_string(),
            None => "-".to_owned(),
        },
        probe: experiment.probe_name(),
        search_seed: experiment.shown_search_seed().map(|seed| seed.to_string()),
        overall: line(overall),
        mean_task_accuracy: overall.mean_task_accuracy,
        intervals: intervals(&evaluation.bootstrap.settings),
    }
}

/// What repeated experiments have in common, and their means.
pub fn repeats(repeats: &Repeats) -> RepeatsLine {
    let first = &repeats.first;
    let (model, n_train, probe) = (model(first), first.n_train, first.probe_name());
    let n_searches = first.probe.seeds_of(&first.resolved_probe()).len();
    let (seeds, seed) = match (repeats.over, n_train.rows()) {
        (Over::SearchSeed, Some(_)) => {
            ("search seeds".to_owned(), format!("seed {}, ", first.seed))
        }
        (Over::SearchSeed, None) => ("search seeds".to_owned(), String::new()),
        (Over::Seed, _) if n_searches > 1 => {
            let seeds = format!("sample seeds, each the mean over {n_searches} search seeds");
            (seeds, String::new())
        }
        (Over::Seed, _) => ("sample seeds".to_owned(), String::new()),
    };
    let shown = |spread: Spread| [spread.mean, spread.std];
    RepeatsLine {
        title: format!("{model}, n_train {n_train}, {seed}probe {probe}"),
        n: repeats.seeds.len(),
        seeds,
        ddof: repeats.ddof,
        accuracy: shown(repeats.overall.accuracy),
        mean_task_accuracy: shown(repeats.overall.mean_task_accuracy),
    }
}

/// All test rows together: the group that every report begins with.
fn overall(scores: &[Score]) -> &Score {
    &scores[0]
}

/// What the intervals of accuracies are: `95 %, percentile bootstrap over test rows (500 resamples)`.
fn intervals(settings: &Settings) -> String {
    let percent = format!("{:.6}", settings.confidence() * 100.0);
    let percent = percent.trim_end_matches('0').trim_end_matches('.');
    let resamples = count(settings.resamples, "resample", "resamples");
    format!("{percent} %, {CI_METHOD} ({resamples})")
}

fn ends(low: Option<f64>, high: Option<f64>) -> Option<Interval> {
    Some(Interval {
        low: low?,
        high: high?,
    })
}

/// Train rows per task as asked for and, where tasks have fewer, as used in the mean.
fn n_train(asked: NTrain, used: f64) -> String {
    match asked.rows() {
        Some(n) if used < n as f64 => {
            let used = format!("{used:.1}");
            format!("{asked} ({} used)", used.trim_end_matches(".0"))
        }
        _ => asked.to_string(),
    }
}

fn line(score: &Score) -> Line {
    Line {
        name: foreign(&score.name),
        n: score.n,
        accuracy: score.accuracy,
        ci: Interval {
            low: score.ci_low,
            high: score.ci_high,
        },
        wilson: score.is_at_an_end().then_some(Interval {
            low: score.wilson_low,
            high: score.wilson_high,
        }),
    }
}

/// How a stage went or, if the record `is_plan`, would go.
pub fn stage_line(record: &StageRecord, is_plan: bool) -> StageLine {
    let (extracted, reused) = if is_plan {
        ("to extract", "to reuse")
    } else {
        ("extracted", "reused")
    };
    let counts = record.counts.map(|counts| {
        let n_extracted = count(counts.extracted, "image", "images");
        let n_reused = thousands(counts.reused as u64);
        let lost = lost(counts);
        format!("{n_extracted} {extracted}, {n_reused} {reused}{lost}")
    });
    let has_run = !is_plan && record.state != State::Cached;
    StageLine {
        stage: record.stage.as_str(),
        status: record.state.status(is_plan),
        seconds: has_run.then_some(record.seconds),
        notes: record.state.reason().into_iter().chain(counts).collect(),
    }
}

/// What is to be known of images whose features are not there and not needed.
fn lost(counts: Counts) -> String {
    match counts.lost {
        0 => String::new(),
        n => format!(", {} missing and not needed", thousands(n as u64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_of_an_interval_is_said_without_what_rounding_adds() {
        let said = |alpha, resamples| {
            intervals(&Settings {
                resamples,
                alpha,
                seed: 17,
            })
        };
        assert_eq!(
            said(0.05, 500),
            "95 %, percentile bootstrap over test rows (500 resamples)"
        );
        // 1 - 0.32 is 0.6799999999999999.
        assert!(said(0.32, 1).starts_with("68 %, "), "{}", said(0.32, 1));
        assert!(said(0.001, 1).starts_with("99.9 %, "));
        assert!(said(0.32, 1).ends_with("(1 resample)"));
        assert!(said(0.05, 10_000).ends_with("(10,000 resamples)"));
    }

    #[test]
    fn a_point_of_a_learning_curve_is_where_its_rows_are() {
        let n_train = |asked, used| n_train(NTrain::new(asked).unwrap(), used);
        assert_eq!(n_train(-1, 541.0), "all");
        assert_eq!(n_train(10, 10.0), "10");
        assert_eq!(
            [n_train(30, 12.0), n_train(30, 20.75)],
            ["30 (12 used)", "30 (20.8 used)"]
        );
    }
}
