//! Evaluations and plans as JSON: what `--json` prints, and the files of the results folder hold.

use serde_json::{Value, json};

use crate::backbone::Pool;
use crate::pipeline::config::Pipeline;
use crate::pipeline::repeats::{Over, Repeats, Spreads};
use crate::pipeline::{Evaluation, Experiment, StageRecord};
use crate::stage::Name;
use crate::stage::features::Counts;
use crate::stage::report::{Accuracy, Level};

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
    let (mut json, report) = (describe_with_source(evaluation), &evaluation.report);
    json["n_tasks"] = json!(evaluation.probes.tasks.len());
    put_score(&mut json, evaluation, report.overall());
    json["mean_task_accuracy"] = json!(report.overall().mean_task_accuracy);
    let named = |group: &Accuracy| {
        let mut json = json!({ "name": group.name });
        put_score(&mut json, evaluation, group);
        json
    };
    let cluster = |group: &Accuracy| {
        let mut json = named(group);
        json["mean_task_accuracy"] = json!(group.mean_task_accuracy);
        json
    };
    json["clusters"] = report.level(Level::Cluster).map(cluster).collect();
    json["tasks"] = report.level(Level::Task).map(named).collect();
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
            json["search_seed"] = match repeats.first.repeated_search_seed() {
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
        "probe": experiment.probe.name(),
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

fn put_score(json: &mut Value, evaluation: &Evaluation, group: &Accuracy) {
    let interval = evaluation.interval(group);
    json["n_train_used"] = json!(evaluation.n_train_used(group));
    json["n_test"] = json!(group.n);
    json["accuracy"] = json!(group.accuracy);
    json["ci_low"] = json!(interval.low);
    json["ci_high"] = json!(interval.high);
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
