//! The results folder: tables over all experiments of a run, the headline, and the provenance.
//!
//! The folder is put together beside its place and renamed, so it is there whole or not at all, see [`files`].

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::config::Pipeline;
use super::plan::StagePlan;
use super::{Evaluation, StageRecord};
use crate::artifact::Table;
use crate::cache::Digest;
use crate::error::Error;
use crate::error::{Failure, Fault};
use crate::files::{self, Left, StagedDir};
use crate::stage::Name;
use crate::stage::bootstrap::{BOOTSTRAP, resample_columns};
use crate::stage::features::Counts;
use crate::stage::probes::{
    FITTED, FittedTask, PREDICTIONS, PROBES, prediction_columns, task_columns,
};
use crate::stage::report::{Accuracy, Level};
use crate::stats::bootstrap::Interval;
use crate::text::{self, Listing, foreign, path};

/// Accuracies with their intervals, of every group of every experiment.
pub const SCORES: &str = "scores.parquet";
/// The headline.
pub const SUMMARY: &str = "summary.json";
/// The provenance: `files` has the digest of each other file of the folder, `outputs` of a stage those of the objects
/// in the cache, which hold one experiment and may have other bytes under the same name.
pub const MANIFEST: &str = "manifest.json";

const FILES: [&str; 6] = [PREDICTIONS, PROBES, SCORES, BOOTSTRAP, SUMMARY, MANIFEST];

/// A folder that holds something else than results.
#[derive(Debug, thiserror::Error)]
#[error("{}: holds `{example}`, expected an empty folder or the results of a run", text::path(dir), example = foreign(example))]
pub struct NotResults {
    /// The folder.
    pub dir: PathBuf,
    /// A file in it.
    pub example: String,
}

impl NotResults {
    /// One action that helps.
    pub fn hint(&self) -> String {
        let hint = "choose another folder with `--out`";
        if is_named_as_ours(&self.example) {
            format!(
                "{hint}, or remove that one if it holds results: it has no `manifest.json` that names this file"
            )
        } else {
            hint.to_owned()
        }
    }
}

/// Results as they come, and the folder that they will be in.
pub struct Results {
    draft: StagedDir,
    tables: BTreeMap<&'static str, Vec<Table>>,
    headlines: Vec<Value>,
    records: Vec<Value>,
    /// Size and digest of what has been written, by name.
    files: BTreeMap<String, Value>,
}

impl Results {
    /// Makes sure, before anything is computed, that results can be written to `dir`.
    ///
    /// # Errors
    /// [`Error::Output`] where it cannot be made or replaced, [`NotResults`] where it holds other files.
    pub fn prepare(dir: &Path) -> Result<Self, Error> {
        let draft = StagedDir::replacing(dir, ours_in)?;
        if let Some(name) = files::first_foreign(draft.destination(), ours_in)? {
            return Err(NotResults {
                dir: dir.to_owned(),
                example: foreign(&name.to_string_lossy()),
            }
            .into());
        }
        Ok(Self {
            draft,
            tables: BTreeMap::new(),
            headlines: Vec::new(),
            records: Vec::new(),
            files: BTreeMap::new(),
        })
    }

    /// Adds one experiment's results; with `fitted`, its probes' bytes.
    ///
    /// # Errors
    /// [`Error::Output`] where the fitted probes cannot be written.
    pub fn push(
        &mut self,
        pipeline: &Pipeline,
        evaluation: &Evaluation,
        fitted: Option<&[u8]>,
    ) -> Result<(), Error> {
        let Evaluation {
            probes,
            report,
            bootstrap,
            stages,
            experiment,
            source: _,
        } = evaluation;
        if let Some(fitted) = fitted {
            self.write(&fitted_name(self.records.len()), fitted)?;
        }
        let columns = |rows: usize| experiment_columns(evaluation, rows);
        let mut add = |name, table| self.tables.entry(name).or_default().push(table);
        add(
            PREDICTIONS,
            prediction_columns(columns(probes.predictions.len()), &probes.predictions),
        );
        add(
            PROBES,
            task_columns(columns(probes.tasks.len()), &probes.tasks),
        );
        add(
            SCORES,
            score_columns(columns(report.groups.len()), evaluation),
        );
        add(
            BOOTSTRAP,
            resample_columns(columns(bootstrap.scores.len()), &bootstrap.scores),
        );
        self.headlines.push(headline(evaluation));
        let mut record = describe(evaluation);
        let sample = stages.iter().find(|stage| stage.stage == Name::Sample);
        // The patterns that chose the tasks, with commas between them; null without any.
        record["tasks"] = json!(sample.and_then(|stage| stage.request.params.get("tasks")));
        record["pipeline"] = json!(pipeline.spell_out(experiment));
        record["stages"] = stages.iter().map(|stage| stage_json(stage, true)).collect();
        self.records.push(record);
        Ok(())
    }

    /// Writes everything and puts the folder in its place; says what the user should know of what was there before.
    ///
    /// # Errors
    /// [`Error::Output`] and those of the tables' writer; the folder is then as it was.
    pub fn publish(mut self, provenance: &BTreeMap<String, String>) -> Result<Vec<String>, Error> {
        for (name, tables) in std::mem::take(&mut self.tables) {
            let bytes = Table::concat(tables)?.to_parquet()?;
            self.write(name, &bytes)?;
        }
        let headlines = std::mem::take(&mut self.headlines);
        self.write_json(SUMMARY, &json!({ "experiments": headlines }))?;
        let records = std::mem::take(&mut self.records);
        let files = std::mem::take(&mut self.files);
        self.write_json(
            MANIFEST,
            &json!({ "provenance": provenance, "files": files, "experiments": records }),
        )?;

        let dir = self.draft.destination().to_owned();
        Ok(warnings(&dir, &self.draft.publish()?))
    }

    fn write_json(&mut self, name: &str, value: &Value) -> Result<(), Error> {
        let mut text = serde_json::to_string_pretty(value)?;
        text.push('\n');
        self.write(name, text.as_bytes())
    }

    fn write(&mut self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let file = json!({ "blake3": Digest::of(bytes), "bytes": bytes.len() });
        self.files.insert(name.to_owned(), file);
        fs_err::write(self.draft.path().join(name), bytes)
            .map_err(|source| self.draft.not_written(source).into())
    }
}

/// What to say of what was in the folder `dir` before and is kept.
fn warnings(dir: &Path, left: &Left) -> Vec<String> {
    let dir = path(dir);
    let mut warnings = Vec::new();
    if !left.moved.is_empty() {
        let name = |name: &OsString| format!("`{}`", foreign(&name.to_string_lossy()));
        let names: Listing = left.moved.iter().map(name).collect();
        warnings.push(format!(
            "{dir}: kept what appeared in it during the run: {names}; move that away before the next run"
        ));
    }
    if let Some(former) = &left.former {
        warnings.push(format!(
            "{}: holds what could not be removed of the former {dir}; look at it, and remove it",
            path(former)
        ));
    }
    if let Some(why) = &left.not_flushed {
        warnings.push(format!(
            "{dir}: is in its place, but not flushed to the disk: {why}"
        ));
    }
    warnings
}

/// What a manifest says of the other files of its folder.
#[derive(serde::Deserialize)]
struct Manifest {
    files: BTreeMap<String, Value>,
}

/// The files in a folder that a run has written there: those that its manifest names, and the manifest itself, last. A
/// file that is only called as one of a run's may be anybody's.
fn ours_in(dir: &Path) -> Vec<OsString> {
    // The manifest of a large sweep is long: only what is looked for is kept of it.
    let manifest = files::open(&dir.join(MANIFEST)).ok();
    let parsed = manifest.and_then(|file| serde_json::from_reader(BufReader::new(file)).ok());
    let Some(Manifest { files }) = parsed else {
        return Vec::new();
    };
    let named = files.into_keys().filter(|name| is_named_as_ours(name));
    let names = named.filter(|name| name != MANIFEST);
    names
        .chain([MANIFEST.to_owned()])
        .map(OsString::from)
        .collect()
}

/// Whether a run may write a file of this name.
fn is_named_as_ours(name: &str) -> bool {
    FILES.contains(&name) || is_fitted_name(name)
}

/// The fitted probes of one experiment: `probes.safetensors`, and `probes-2.safetensors` for the second.
fn fitted_name(index: usize) -> String {
    match index {
        0 => FITTED.to_owned(),
        index => FITTED.replace('.', &format!("-{}.", index + 1)),
    }
}

fn is_fitted_name(name: &str) -> bool {
    let number = name
        .strip_prefix("probes-")
        .and_then(|rest| rest.strip_suffix(".safetensors"));
    name == FITTED || number.is_some_and(|number| number.parse::<usize>().is_ok())
}

/// The columns that tell the experiments of a run apart.
fn experiment_columns(evaluation: &Evaluation, rows: usize) -> Table {
    let experiment = &evaluation.experiment;
    let probe = experiment.probe.name();
    // A seed comes from a TOML integer, which is an i64.
    let seed = i64::try_from(experiment.seed).unwrap_or(i64::MAX);
    Table::new()
        .str(
            "model_org",
            std::iter::repeat_n(experiment.model.org.as_str(), rows),
        )
        .str(
            "model_ckpt",
            std::iter::repeat_n(experiment.model.ckpt.as_str(), rows),
        )
        .i64(
            "n_train",
            std::iter::repeat_n(experiment.n_train.written(), rows),
        )
        .i64("seed", std::iter::repeat_n(seed, rows))
        .str("probe", std::iter::repeat_n(probe.as_str(), rows))
}

fn score_columns(table: Table, evaluation: &Evaluation) -> Table {
    let groups = &evaluation.report.groups;
    let intervals: Vec<Interval> = groups
        .iter()
        .map(|group| evaluation.interval(group))
        .collect();
    #[expect(
        clippy::cast_possible_truncation,
        reason = "no more rows than a labels file, which stay below 2^32"
    )]
    let n = groups.iter().map(|group| group.n as u32);
    table
        .str("level", groups.iter().map(|group| group.level.as_str()))
        .str("name", groups.iter().map(|group| group.name.as_str()))
        .f64(
            "n_train_used",
            groups.iter().map(|group| evaluation.n_train_used(group)),
        )
        .u32("n", n)
        .f64("accuracy", groups.iter().map(|group| group.accuracy))
        .f64("ci_low", intervals.iter().map(|interval| interval.low))
        .f64("ci_high", intervals.iter().map(|interval| interval.high))
}

impl Evaluation {
    /// The mean number of rows that the probes of one of the report's groups were fitted on: `n_train`, unless tasks
    /// have fewer.
    pub fn n_train_used(&self, group: &Accuracy) -> f64 {
        let is_level = |level: &Level| level.as_str() == group.level;
        let level = Level::ALL.into_iter().find(is_level);
        let n_rows = |task: &FittedTask| {
            let name = level?.group(&task.task, &task.cluster, task.subcluster.as_deref())?;
            (name == group.name).then_some(task.n_train_rows)
        };
        let n_rows: Vec<usize> = self.probes.tasks.iter().filter_map(n_rows).collect();
        n_rows.iter().sum::<usize>() as f64 / n_rows.len() as f64
    }

    /// The bootstrap interval of one of the report's groups.
    pub fn interval(&self, group: &Accuracy) -> Interval {
        self.bootstrap
            .intervals
            .iter()
            .find(|(level, name, _)| *level == group.level && *name == group.name)
            .map_or(
                Interval {
                    low: f64::NAN,
                    high: f64::NAN,
                },
                |(.., interval)| *interval,
            )
    }
}

fn describe(evaluation: &Evaluation) -> Value {
    let experiment = &evaluation.experiment;
    let mut model = json!({ "org": experiment.model.org, "ckpt": experiment.model.ckpt });
    if let Some(source) = &evaluation.source {
        model["repo"] = json!(source.repo);
        model["revision"] = json!(source.revision);
    }
    json!({
        "model": model,
        "n_train": experiment.n_train,
        "seed": experiment.seed,
        "probe": experiment.probe.name(),
    })
}

fn headline(evaluation: &Evaluation) -> Value {
    let mut json = describe(evaluation);
    let overall = evaluation.report.overall();
    json["n_tasks"] = json!(evaluation.probes.tasks.len());
    put_score(&mut json, evaluation, overall);
    json["mean_task_accuracy"] = json!(overall.mean_task_accuracy);
    let named = |group: &Accuracy| {
        let mut json = json!({ "name": group.name });
        put_score(&mut json, evaluation, group);
        json
    };
    json["clusters"] = evaluation
        .report
        .level(Level::Cluster)
        .map(|cluster| {
            let mut json = named(cluster);
            json["mean_task_accuracy"] = json!(cluster.mean_task_accuracy);
            json
        })
        .collect();
    json["tasks"] = evaluation.report.level(Level::Task).map(named).collect();
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

/// What `run --json` prints of one experiment.
pub fn evaluation_json(evaluation: &Evaluation) -> Value {
    let mut json = headline(evaluation);
    json["stages"] = evaluation
        .stages
        .iter()
        .map(|stage| stage_json(stage, false))
        .collect();
    json
}

fn stage_json(record: &StageRecord, with_digests: bool) -> Value {
    let mut json = json!({
        "stage": record.stage.as_str(),
        "key": record.request.key,
        "status": record.state.status(false),
        "seconds": record.seconds,
    });
    put_counts(&mut json, record.counts);
    if with_digests {
        json["inputs"] = json!(record.request.inputs);
        json["params"] = json!(record.request.params);
        json["outputs"] = json!(record.outputs);
    }
    json
}

/// What `plan --json` prints of one stage.
pub fn plan_json(plan: &StagePlan) -> Value {
    let mut json = json!({
        "stage": plan.stage.as_str(),
        "key": plan.key,
        "status": plan.state.status(true),
    });
    if let Some(reason) = plan.state.reason() {
        json["reason"] = json!(reason);
    }
    put_counts(&mut json, plan.counts);
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

impl Failure for NotResults {
    fn hint(&self) -> Option<String> {
        Some(self.hint())
    }

    fn fault(&self) -> Fault {
        Fault::Request
    }
}
