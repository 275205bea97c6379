//! What a run says of a model, as far as a published score can be held against it.

use std::collections::BTreeMap;

use crate::backbone::Pool;
use crate::newt::published::{FoundTask, Identity};
use crate::newt::sampling::NTrain;
use crate::pipeline::config::{Experiment, ProbeConfig};
use crate::pipeline::{Evaluation, StageRecord};
use crate::stage::Name;
use crate::stage::features::l2::Scaling;

/// What the evaluations of one model say that differ in the seed of the search alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// The library that defines the model.
    pub org: String,
    /// The checkpoint, in that library's words.
    pub ckpt: String,
    /// The probe's protocol.
    pub protocol: String,
    /// The probe's settings that are not the protocol's, such as `c=0.1`; empty where there are none.
    pub overrides: String,
    /// Train rows per task.
    pub n_train: NTrain,
    /// Seed of the train rows' choice.
    pub seed: u64,
    /// How the network's output was pooled, where the pipeline file says so.
    pub pool: Option<String>,
    /// What was evaluated, beside NeWT.
    pub newt: Identity,
    /// The number format that the network ran in; `None` where none ran.
    pub precision: Option<String>,
    /// The version of libtorch.
    pub libtorch: Option<String>,
    /// The checkpoint's revision on the hub.
    pub revision: Option<String>,
    /// Not empty.
    pub runs: Vec<Run>,
}

/// One evaluation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Run {
    /// The seed of its search, if it draws anything.
    pub search_seed: Option<u32>,
    /// The test rows that were predicted right.
    pub n_right: u64,
    /// The mean of the tasks' accuracies.
    pub mean_task_accuracy: f64,
}

impl Claim {
    /// What one evaluation says; `provenance` is the run's.
    pub fn of(evaluation: &Evaluation, provenance: &BTreeMap<String, String>) -> Self {
        let Experiment {
            model,
            n_train,
            seed,
            probe,
            search_seed,
            scaling,
        } = &evaluation.experiment;
        let overrides = [l2_override(*scaling), overrides(probe, *n_train)];
        let overrides = overrides.into_iter().filter(|text| !text.is_empty());
        let found = evaluation.probes.tasks.iter().map(|task| FoundTask {
            name: &task.task,
            cluster: &task.cluster,
            subcluster: task.subcluster.as_deref(),
            n_test_rows: usize::try_from(task.n_test_rows).unwrap_or(0),
        });
        let predictions = evaluation.probes.predictions.iter();
        let is_right = predictions.filter(|row| row.y_pred == row.y_true);
        Self {
            org: model.org.clone(),
            ckpt: model.ckpt.clone(),
            protocol: probe.protocol.to_string(),
            overrides: overrides.collect::<Vec<_>>().join(" "),
            n_train: *n_train,
            seed: *seed,
            pool: (model.pool != Pool::Auto).then(|| model.pool.to_string()),
            newt: Identity::of_tasks(found),
            precision: precision(&evaluation.stages),
            libtorch: provenance.get("libtorch").cloned(),
            revision: evaluation
                .source
                .as_ref()
                .map(|origin| origin.revision.clone()),
            runs: vec![Run {
                search_seed: *search_seed,
                n_right: is_right.count() as u64,
                mean_task_accuracy: evaluation.report.overall().mean_task_accuracy,
            }],
        }
    }

    /// Takes in the runs of `other`, if it differs from this in the seed of the search alone; says whether it does.
    pub fn join(&mut self, other: &Self) -> bool {
        let is_new = |run: &Run| run.search_seed.is_some() && !self.runs.contains(run);
        let same_runs = |claim: &Self| Self {
            runs: self.runs.clone(),
            ..claim.clone()
        };
        let joins = other.runs.iter().all(is_new) && same_runs(other) == *self;
        if joins {
            self.runs.extend(&other.runs);
        }
        joins
    }

    /// The seeds of the runs' searches.
    pub fn search_seeds(&self) -> Vec<u32> {
        self.runs.iter().filter_map(|run| run.search_seed).collect()
    }
}

/// What a probe is called after its protocol, unless it comes to the protocol's own settings.
fn overrides(probe: &ProbeConfig, n_train: NTrain) -> String {
    let own = ProbeConfig {
        protocol: probe.protocol,
        ..ProbeConfig::default()
    };
    // Which seeds it has is told by the runs.
    let with_any_seed = |probe: &ProbeConfig| probe.resolve(n_train).with_search_seed(0);
    if with_any_seed(probe) == with_any_seed(&own) {
        return String::new();
    }
    let name = probe.name();
    let overrides = name.strip_prefix(&own.name()).unwrap_or(&name);
    overrides.trim_start().to_owned()
}

/// How features are scaled, where the protocol has it otherwise.
fn l2_override(scaling: Scaling) -> String {
    match scaling.is_on() {
        l2 if l2 == scaling.of_protocol => String::new(),
        l2 => format!("features.l2={l2}"),
    }
}

/// The number format that the network ran in.
fn precision(stages: &[StageRecord]) -> Option<String> {
    let features = stages.iter().find(|stage| stage.stage == Name::Features)?;
    let precision = features.request.as_ref()?.params.get("precision")?;
    precision.as_str().map(str::to_owned)
}
