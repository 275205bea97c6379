//! The whole flow on one page: `Runner::flow` has the six stages in their order.
//!
//! A stage whose key the cache knows is read; any other is computed and published. The same walk
//! makes the plan: it stops at the first stage that would cost something.

pub mod config;
mod data_set;
mod executor;
mod export;
mod idle;
mod inputs;
pub mod mistakes;
mod models;
pub mod plan;
pub mod predict;
pub mod repeats;
pub mod results;
pub mod summary;
pub mod verdict;

use std::collections::{BTreeMap, BTreeSet};

pub use self::config::Experiment;
use self::config::Pipeline;
use self::data_set::DataSet;
use self::executor::{Executor, HasToRun, Mode, Shared, Walk};
use self::models::Models;
use self::plan::State;
use crate::backbone;
use crate::cache::{Cache, Digest, DigestMemo, Request};
use crate::context::Context;
use crate::error::Error;
use crate::hub::{self, Hub};
use crate::newt::labels::Labels;
use crate::newt::sampling::{self, NTrain};
use crate::stage::bootstrap::{Bootstrap, BootstrapStage};
use crate::stage::features::{Counts, FeatureSource, FeatureTable, FeaturesStage};
use crate::stage::labels::LabelsStage;
use crate::stage::probes::{FittedAhead, Probes, ProbesStage, Tasks};
use crate::stage::report::{Report, ReportStage};
use crate::stage::sample::{Sample, SampleStage};
use crate::stage::{Name, Stage, TaskArgument, TaskFilter};

/// What a run does besides what its pipeline says.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Stages to compute even where the cache has them.
    pub force: BTreeSet<Name>,
    /// Which tasks to evaluate; all without any.
    pub tasks: Vec<TaskArgument>,
    /// Who made what, for the records: program version, host, device …; never part of a key.
    pub provenance: BTreeMap<String, String>,
    /// Whether the fitted probes are wanted, too, also where they were fitted by an earlier run.
    pub with_fitted: bool,
    /// Where checkpoints come from that are not on this machine.
    pub hub: hub::Settings,
}

/// Evaluates the experiments of a pipeline, one after the other.
pub struct Runner<'a> {
    pipeline: &'a Pipeline,
    executor: Executor<'a>,
    data: DataSet<'a>,
    models: Models<'a>,
    /// Digests of the files of both.
    memo: DigestMemo,
    labels_stage: LabelsStage,
    labels: Option<Shared<Labels>>,
    sample: Option<Shared<Sample>>,
    fitted_ahead: FittedAhead,
    /// Whether files of features were held against the protocols.
    has_checked_files: bool,
    /// The values of `n_train` that tasks without so many rows have been named for.
    short: BTreeSet<NTrain>,
}

/// One stage of one evaluation as it went, or of one plan as it would go.
#[derive(Debug, Clone)]
pub struct StageRecord {
    /// The stage.
    pub stage: Name,
    /// What was asked for; unknown while a plan waits for another stage's output.
    pub request: Option<Request>,
    /// Whether the cache had it, and why not.
    pub state: State,
    /// Seconds spent on it now.
    pub seconds: f64,
    /// Its outputs by digest.
    pub outputs: BTreeMap<String, Digest>,
    /// Images to extract and to reuse, of stage `features`.
    pub counts: Option<Counts>,
}

/// What came of one experiment.
#[derive(Debug)]
pub struct Evaluation {
    /// The experiment.
    pub experiment: Experiment,
    /// What is on record of the rows that its probes were fitted on.
    pub features: FeatureTable,
    /// Its predictions and probes.
    pub probes: Probes,
    /// Its accuracies.
    pub report: Report,
    /// Its intervals.
    pub bootstrap: Bootstrap,
    /// How its stages went.
    pub stages: Vec<StageRecord>,
    /// Where on the hub the model's files come from.
    pub source: Option<backbone::Origin>,
}

impl<'a> Runner<'a> {
    /// Prepares to evaluate `pipeline` with what `cache` holds.
    ///
    /// # Errors
    /// Errors of the data set: a synthetic one is drawn here where it is missing, and any other must be there
    /// before a network is asked for weights.
    pub fn new(
        pipeline: &'a Pipeline,
        cache: &Cache,
        context: Context<'a>,
        options: Options,
    ) -> Result<Self, Error> {
        for warning in &pipeline.warnings {
            context.progress.warn(warning);
        }
        let data = DataSet::open(pipeline, cache, context)?;
        let hub = Hub::new(options.hub.clone(), context.interrupt.clone());
        Ok(Self {
            pipeline,
            executor: Executor::new(cache, context, options),
            models: Models::new(pipeline.features, cache, hub, context),
            memo: DigestMemo::load(cache, context.progress),
            labels_stage: data.labels(pipeline)?,
            data,
            labels: None,
            sample: None,
            fitted_ahead: FittedAhead::default(),
            has_checked_files: false,
            short: BTreeSet::new(),
        })
    }

    /// Finds the checkpoint of every model, and fetches what is not here: what is wrong with a name is said before
    /// hours are spent on another, and what is wrong on this machine before the hub is asked.
    ///
    /// # Errors
    /// Errors of reading the labels, and of [`backbone::resolve()`].
    pub fn find_models(&mut self) -> Result<(), Error> {
        self.labels_stage.run(self.executor.context.silent())?;
        let mut models: Vec<_> = self.pipeline.models.iter().collect();
        models.sort_by_key(|model| !model.is_local());
        models
            .into_iter()
            .try_for_each(|model| self.models.find(model))?;
        self.check_files()
    }

    /// Makes sure, once and before anything is computed, that files of features can serve every protocol.
    fn check_files(&mut self) -> Result<(), Error> {
        let pipeline = self.pipeline;
        let takes_raw = |probe| {
            let scaling = pipeline.scaling(probe);
            !scaling.is_on() && !scaling.is_set()
        };
        if self.has_checked_files || !pipeline.probes.iter().any(takes_raw) {
            return Ok(());
        }
        let interrupt = self.executor.context.interrupt;
        for model in pipeline
            .models
            .iter()
            .filter(|model| model.is_precomputed())
        {
            let source = self.models.features_of(model, Mode::Run, &mut self.memo)?;
            if let FeatureSource::File(file) = source {
                file.check_is_raw(interrupt)?;
            }
        }
        self.has_checked_files = true;
        Ok(())
    }

    /// Evaluates one experiment.
    ///
    /// # Errors
    /// Whatever a stage reports; what was finished before is in the cache.
    pub fn evaluate(&mut self, experiment: &Experiment) -> Result<Evaluation, Error> {
        let mut walk = Walk::new(Mode::Run);
        let (features, probes, report, bootstrap) = self.flow(experiment, &mut walk)?;
        let source = self
            .models
            .features_of(&experiment.model, Mode::Run, &mut self.memo)?;
        Ok(Evaluation {
            experiment: experiment.clone(),
            features,
            probes,
            report,
            bootstrap,
            stages: walk.into_records(),
            source: source.origin().cloned(),
        })
    }

    /// Says for each stage of one experiment whether it would run, and why.
    ///
    /// # Errors
    /// Errors of reading the labels, the images and the cache.
    pub fn plan(&mut self, experiment: &Experiment) -> Result<Vec<StageRecord>, Error> {
        self.check_files()?;
        let mut walk = Walk::new(Mode::Plan);
        let is_to_fetch = match self.flow(experiment, &mut walk) {
            Ok(_) => false,
            Err(error) => {
                let is_to_fetch = backbone::is_to_fetch(&error);
                if !is_to_fetch && error.is_a::<HasToRun>().is_none() {
                    return Err(error);
                }
                is_to_fetch
            }
        };
        Ok(plan::complete(walk.into_records(), is_to_fetch))
    }

    /// labels → sample → features → probes → report → bootstrap.
    fn flow(
        &mut self,
        experiment: &Experiment,
        walk: &mut Walk,
    ) -> Result<(FeatureTable, Probes, Report, Bootstrap), Error> {
        let executor = &mut self.executor;
        let labels = executor.make_shared(&mut self.labels, &mut self.labels_stage, walk)?;

        let n_train = experiment.n_train;
        let tasks = labels.output.tasks();
        let tasks: Vec<&str> = tasks.iter().map(|task| task.name.as_str()).collect();
        let tasks = TaskFilter::new(&executor.options.tasks, &tasks)?;
        let mut stage = SampleStage {
            labels,
            n_train,
            seed: experiment.seed,
            tasks: tasks.as_ref(),
        };
        let sample = executor.make_shared(&mut self.sample, &mut stage, walk)?;
        if walk.mode == Mode::Run && self.short.insert(n_train) {
            let shortage = sampling::shortage(&labels.output, &sample.output.rows, n_train);
            shortage.inspect(|warning| executor.context.progress.warn(warning));
        }

        let probe = experiment.resolved_probe();
        if probe.search.is_some() {
            Tasks::new(&labels.output, &sample.output).check_search(&probe)?;
        }

        let (model, memo) = (&experiment.model, &mut self.memo);
        let source = self.models.features_of(model, walk.mode, memo)?;
        let are_read = source.reads_images();
        let images = self
            .data
            .images(&labels.output, &sample.output, are_read, memo)?;
        let scaling = experiment.scaling;
        let mut features_stage = FeaturesStage::new(source, images, &labels.output, scaling);
        let features = executor.make(&mut features_stage, walk)?;

        let mut stage = ProbesStage {
            labels,
            sample,
            features: &features,
            probe,
            repeats: Vec::new(),
            ahead: &mut self.fitted_ahead,
        };
        let mut probes = executor.find(&mut stage, walk)?;
        // Probes are fitted on rows. Where these have left the store the features are made again first; and where they
        // come out otherwise, the probes of those features may be there.
        let made_again;
        let rows = &features.output;
        if probes.is_err()
            && let Some(lost) = executor.read_rows(&mut features_stage, rows, walk.mode)?
        {
            made_again = executor.compute(&mut features_stage, lost, walk)?;
            stage.features = &made_again;
            if made_again.digests != features.digests {
                probes = executor.find(&mut stage, walk)?;
            }
        }
        let table = stage.features.output.table.clone();
        let probes = match probes {
            Ok(found) => found,
            Err(reason) => {
                // Repeats of a search cost less in one pass; those that the cache has stay out of it.
                let seeds = experiment
                    .probe
                    .seeds_of(&stage.probe)
                    .into_iter()
                    .flatten();
                for seed in seeds.filter(|seed| Some(*seed) != experiment.search_seed) {
                    let request = stage.request_of(&stage.probe.with_search_seed(seed));
                    if executor.has_to_compute::<ProbesStage<'_>>(&request)? {
                        stage.repeats.push(seed);
                    }
                }
                executor.compute(&mut stage, reason, walk)?
            }
        };

        let report = executor.make(&mut ReportStage { probes: &probes }, walk)?;

        let bootstrap = executor.make(
            &mut BootstrapStage {
                probes: &probes,
                settings: self.pipeline.bootstrap,
            },
            walk,
        )?;

        Ok((table, probes.output, report.output, bootstrap.output))
    }
}
