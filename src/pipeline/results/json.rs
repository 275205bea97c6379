//! Evaluations and plans as JSON: what `--json` prints, and the files of the results folder hold.

use serde_json::{Value, json};

use super::scores::{CI_METHOD, Score, TASKS_LIKE_THESE_METHOD, THESE_TASKS_METHOD, WILSON_METHOD};
use crate::backbone::Pool;
use crate::pipeline::config::Pipeline;
use crate::pipeline::repeats::{Over, Repeats, Spreads};
use crate::pipeline::{Evaluation, Experiment, StageRecord};
use crate::stage::Name;
use crate::stage::bootstrap::Settings;
use crate::stage::features::Counts;
use crate::stage::report::Level;

/// What `run --json` prints of one experiment.
pub fn evaluation_json(evaluation: &Evaluation) -> Value {
    let mut json = headline(evaluation);
    json["stages"] = evaluation.stages.iter().map(ran).collect();
    json
}

/// What `plan --json` prints of one experiment.
pub fn plan_json(experiment: &Experiment, plans: &[StageRecord]) -> Value {
    let stage = |plan: &StageRecord| {
        let mut json = stage(plan, true);
        if let Some(reason) = plan.state.reason() {
            json["reason"] = json!(reason);
        }
        put_counts(&mut json, plan.counts);
        json
    };
    let mut json = describe(experiment);
    json["stages"] = plans.iter().map(stage).collect();
    json
}

/// What `summary.json` has of one experiment.
pub fn headline(evaluation: &Evaluation) -> Value {
    let (mut json, scores) = (describe_with_source(evaluation), evaluation.scores());
    json["headline"] = json!(evaluation.experiment.probe.protocol.headline());
    json["n_tasks"] = json!(evaluation.probes.tasks.len());
    json["intervals"] = intervals(&evaluation.bootstrap.settings);
    let of_level = |level: Level| {
        scores
            .iter()
            .filter(move |score| score.level == level.as_str())
    };
    for overall in of_level(Level::Overall) {
        put_accuracy(&mut json, overall);
        put_mean(&mut json, overall);
    }
    let cluster = |score: &Score| {
        let mut json = json!({ "name": score.name, "n_tasks": score.n_tasks });
        put_accuracy(&mut json, score);
        put_mean(&mut json, score);
        json
    };
    let task = |score: &Score| {
        let mut json = json!({ "name": score.name });
        put_accuracy(&mut json, score);
        json["auroc"] = json!(score.auroc);
        json
    };
    json["clusters"] = of_level(Level::Cluster).map(cluster).collect();
    json["tasks"] = of_level(Level::Task).map(task).collect();
    json
}

/// What `manifest.json` has of one experiment.
pub fn record(evaluation: &Evaluation, pipeline: &Pipeline) -> Value {
    let (mut json, stages) = (describe_with_source(evaluation), &evaluation.stages);
    let sample = stages.iter().find(|stage| stage.stage == Name::Sample);
    // The patterns that chose the tasks, with commas between them; null without any.
    json["tasks"] = json!(sample.and_then(|stage| stage.request.as_ref()?.params.get("tasks")));
    json["pipeline"] = json!(pipeline.spell_out(&evaluation.experiment));
    let with_digests = |record: &StageRecord| {
        let mut json = ran(record);
        if let Some(request) = &record.request {
            json["inputs"] = json!(request.inputs);
            json["params"] = json!(request.params);
        }
        json["outputs"] = json!(record.outputs);
        json
    };
    json["stages"] = stages.iter().map(with_digests).collect();
    json
}

/// What `run --json` prints and `summary.json` has of experiments that differ by a seed alone.
pub fn repeats_json(repeats: &Repeats) -> Value {
    let mut json = describe(&repeats.first);
    // What they differ by is listed, and the seeds of searches over which the runs of a sample seed were averaged.
    match repeats.over {
        Over::SearchSeed => json["search_seed"] = json!(repeats.seeds),
        Over::Seed => {
            json["seed"] = json!(repeats.seeds);
            json["search_seed"] = match repeats.first.shown_search_seed() {
                Some(_) => json!(repeats.first.probe.search_seeds()),
                None => json!(repeats.first.search_seed),
            };
        }
    }
    json["over"] = json!(repeats.over);
    json["n"] = json!(repeats.seeds.len());
    json["ddof"] = json!(repeats.ddof);
    json["accuracy"] = json!(repeats.overall.accuracy);
    json["mean_task_accuracy"] = json!(repeats.overall.mean_task_accuracy);
    let cluster = |(name, spreads): &(String, Spreads)| {
        json!({
            "name": name,
            "accuracy": spreads.accuracy,
            "mean_task_accuracy": spreads.mean_task_accuracy,
        })
    };
    json["clusters"] = repeats.clusters.iter().map(cluster).collect();
    json
}

/// An experiment's settings, as they stand before its results.
pub fn describe(experiment: &Experiment) -> Value {
    let mut model = json!({ "org": experiment.model.org, "ckpt": experiment.model.ckpt });
    if experiment.model.pool != Pool::Auto {
        model["pool"] = json!(experiment.model.pool);
    }
    json!({
        "model": model,
        "n_train": experiment.n_train,
        "seed": experiment.seed,
        "search_seed": experiment.search_seed,
        "protocol": experiment.probe.protocol,
        "probe": experiment.probe_name(),
    })
}

fn describe_with_source(evaluation: &Evaluation) -> Value {
    let mut json = describe(&evaluation.experiment);
    if let Some(source) = &evaluation.source {
        json["model"]["repo"] = json!(source.repo);
        json["model"]["revision"] = json!(source.revision);
    }
    json
}

/// What the intervals of the scores are, each by the beginning of its ends' names.
fn intervals(settings: &Settings) -> Value {
    json!({
        "confidence": settings.confidence(),
        "resamples": settings.resamples,
        "seed": settings.seed,
        "ci": CI_METHOD,
        "wilson": WILSON_METHOD,
        "these_tasks_ci": THESE_TASKS_METHOD,
        "tasks_like_these_ci": TASKS_LIKE_THESE_METHOD,
    })
}

fn put_accuracy(json: &mut Value, score: &Score) {
    json["n_train_used"] = json!(score.n_train_used);
    json["n_test"] = json!(score.n);
    json["accuracy"] = json!(score.accuracy);
    json["ci_low"] = json!(score.ci_low);
    json["ci_high"] = json!(score.ci_high);
    json["wilson_low"] = json!(score.wilson_low);
    json["wilson_high"] = json!(score.wilson_high);
}

/// The mean over the tasks of a group that is wider than a task.
fn put_mean(json: &mut Value, score: &Score) {
    json["mean_task_accuracy"] = json!(score.mean_task_accuracy);
    json["these_tasks_ci_low"] = json!(score.these_tasks_ci_low);
    json["these_tasks_ci_high"] = json!(score.these_tasks_ci_high);
    json["tasks_like_these_ci_low"] = json!(score.tasks_like_these_ci_low);
    json["tasks_like_these_ci_high"] = json!(score.tasks_like_these_ci_high);
    json["mean_task_auroc"] = json!(score.mean_task_auroc);
}

fn stage(record: &StageRecord, is_plan: bool) -> Value {
    json!({
        "stage": record.stage.as_str(),
        "key": record.request.as_ref().map(|request| request.key),
        "status": record.state.status(is_plan),
    })
}

fn ran(record: &StageRecord) -> Value {
    let mut json = stage(record, false);
    json["seconds"] = json!(record.seconds);
    put_counts(&mut json, record.counts);
    json
}

/// The counts of stage `features`: `images_missing` are those whose rows the cache no longer holds, and which no stage
/// of this run needs, since what they went into is cached.
fn put_counts(json: &mut Value, counts: Option<Counts>) {
    if let Some(counts) = counts {
        json["images_extracted"] = json!(counts.extracted);
        json["images_reused"] = json!(counts.reused);
        json["images_missing"] = json!(counts.lost);
    }
}
