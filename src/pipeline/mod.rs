//! The whole flow on one page: `Runner::flow` has the six stages in their order.
//!
//! A stage whose key the cache knows is read; any other is computed and published. The same walk
//! makes the plan: it stops at the first stage that would cost something.

pub mod config;
mod document;
mod export;
mod idle;
mod inputs;
mod last;
mod make;
mod origins;
pub mod plan;
pub mod predict;
pub mod probe_config;
pub mod results;
mod sources;
mod sweep;
pub mod view;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use self::config::Pipeline;
use self::last::{Last, LastStage};
use self::plan::{StagePlan, State};
use self::sources::Sources;
pub use self::sweep::Experiment;
use crate::backbone;
use crate::cache::{Cache, Digest, Key, MissReason, Request};
use crate::context::Context;
use crate::error::Error;
use crate::hub::{self, Hub};
use crate::newt::images::DataRoot;
use crate::newt::labels::Labels;
use crate::newt::sampling;
use crate::progress::Silent;
use crate::stage::bootstrap::{Bootstrap, BootstrapStage};
use crate::stage::features::{Counts, FeatureTable, FeaturesStage, Images};
use crate::stage::probes::{Probes, ProbesStage};
use crate::stage::report::{Report, ReportStage};
use crate::stage::sample::{Sample, SampleStage};
use crate::stage::{Made, Name, Stage, TaskArgument, TaskFilter};
use crate::text::count;

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
    cache: &'a Cache,
    context: Context<'a>,
    options: Options,
    data: DataRoot,
    sources: Sources<'a>,
    labels: LastStage<(), Labels>,
    /// By `n_train` and the seed.
    sample: LastStage<(i64, u64), Sample>,
    /// The images of a sample, and whether they are read.
    images: Last<(i64, u64, bool), Images>,
    /// What `--force` has made again already: experiments share stages.
    forced: RefCell<BTreeSet<Key>>,
    /// The values of `n_train` that tasks without so many rows have been named for.
    short: RefCell<BTreeSet<i64>>,
    /// The outputs that the user has been warned of.
    warned: RefCell<BTreeSet<Key>>,
}

/// One stage of one evaluation, as it went.
#[derive(Debug, Clone)]
pub struct StageRecord {
    /// The stage.
    pub stage: Name,
    /// What was asked for.
    pub request: Request,
    /// Whether the cache had it, and why not.
    pub state: State,
    /// Seconds spent on it now.
    pub seconds: f64,
    /// Its outputs by digest.
    pub outputs: BTreeMap<String, Digest>,
    /// Images that went through the network, of stage `features`.
    pub counts: Option<Counts>,
}

/// What came of one experiment.
#[derive(Debug)]
pub struct Evaluation {
    /// The experiment.
    pub experiment: Experiment,
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

/// Why the flow ended before its last stage.
enum Halt {
    Failed(Error),
    /// A plan cannot see beyond a stage that has not run.
    Unknown,
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Halt::Failed(error)
    }
}

impl From<Halt> for Error {
    /// A run computes whatever it does not find, so its walk halts by failing.
    #[expect(
        clippy::unreachable,
        reason = "`Halt::Unknown` is made under `Mode::Plan` only"
    )]
    fn from(halt: Halt) -> Self {
        match halt {
            Halt::Failed(error) => error,
            Halt::Unknown => unreachable!("a run does not stop at a stage that it can compute"),
        }
    }
}

/// Whether stages are computed or only looked up.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Run,
    Plan,
}

/// The records of one walk through the stages.
struct Walk {
    mode: Mode,
    stages: Vec<StageRecord>,
}

impl<'a> Runner<'a> {
    /// Prepares to evaluate `pipeline` with what `cache` holds.
    ///
    /// # Errors
    /// Those of the data set: a synthetic one is drawn here where it is missing, and any other must be there
    /// before a network is asked for weights.
    pub fn new(
        pipeline: &'a Pipeline,
        cache: &'a Cache,
        context: Context<'a>,
        options: Options,
    ) -> Result<Self, Error> {
        for warning in &pipeline.warnings {
            context.progress.warn(warning);
        }
        let data = sources::data_root(&pipeline.data, cache, context)?;
        sources::require_data(&data, &pipeline.models)?;
        let hub = Hub::new(options.hub.clone(), context.interrupt.clone());
        let sources = Sources::new(pipeline, cache, data.clone(), hub, context);
        Ok(Self {
            pipeline,
            cache,
            context,
            options,
            data,
            sources,
            labels: LastStage::default(),
            sample: LastStage::default(),
            images: Last::default(),
            forced: RefCell::default(),
            short: RefCell::default(),
            warned: RefCell::default(),
        })
    }

    /// Finds the checkpoint of every model, and fetches what is not here: what is wrong with a name is said before
    /// hours are spent on another, and what is wrong on this machine before the hub is asked.
    ///
    /// # Errors
    /// Errors of reading the labels, and of [`backbone::resolve`].
    pub fn find_models(&self) -> Result<(), Error> {
        let silent = Context {
            progress: &Silent,
            ..self.context
        };
        sources::labels(&self.data, self.pipeline.other_splits)?.run(silent)?;
        let mut models: Vec<_> = self.pipeline.models.iter().collect();
        models.sort_by_key(|model| !model.is_local());
        for model in models {
            self.sources.find(model)?;
        }
        Ok(())
    }

    /// Evaluates one experiment.
    ///
    /// # Errors
    /// Whatever a stage reports; what was finished before is in the cache.
    pub fn evaluate(&self, experiment: &Experiment) -> Result<Evaluation, Error> {
        let mut walk = Walk {
            mode: Mode::Run,
            stages: Vec::new(),
        };
        match self.flow(experiment, &mut walk) {
            Ok((probes, report, bootstrap)) => Ok(Evaluation {
                experiment: experiment.clone(),
                probes,
                report,
                bootstrap,
                stages: walk.stages,
                source: self.sources.source(&experiment.model)?,
            }),
            Err(halt) => Err(halt.into()),
        }
    }

    /// Says for each stage of one experiment whether it would run, and why.
    ///
    /// # Errors
    /// Those of reading the labels, the images and the cache.
    pub fn plan(&self, experiment: &Experiment) -> Result<Vec<StagePlan>, Error> {
        let mut walk = Walk {
            mode: Mode::Plan,
            stages: Vec::new(),
        };
        match self.flow(experiment, &mut walk) {
            Ok(_) | Err(Halt::Unknown) => Ok(plan::complete(walk.stages)),
            Err(Halt::Failed(error)) if backbone::is_to_fetch(&error) => {
                Ok(plan::complete_by_fetching(walk.stages))
            }
            Err(Halt::Failed(error)) => Err(error),
        }
    }

    /// labels → sample → features → probes → report → bootstrap.
    fn flow(
        &self,
        experiment: &Experiment,
        walk: &mut Walk,
    ) -> Result<(Probes, Report, Bootstrap), Halt> {
        let labels = self.labels.get((), walk, |walk| {
            let stage = sources::labels(&self.data, self.pipeline.other_splits)?;
            self.make(&stage, walk)
        })?;

        let (n_train, seed) = (experiment.n_train, experiment.seed);
        let sample = self.sample.get((n_train, seed), walk, |walk| {
            let tasks = labels.output.tasks();
            let names: Vec<&str> = tasks.iter().map(|task| task.name.as_str()).collect();
            let tasks = TaskFilter::new(&self.options.tasks, &names).map_err(Error::from)?;
            let stage = SampleStage {
                labels: &labels,
                n_train,
                seed,
                tasks: tasks.as_ref(),
            };
            self.make(&stage, walk)
        })?;
        if walk.mode == Mode::Run && self.short.borrow_mut().insert(n_train) {
            let shortage = sampling::shortage(&labels.output, &sample.output.rows, n_train);
            shortage.inspect(|warning| self.context.progress.warn(warning));
        }

        let source = self.sources.of(&experiment.model)?;
        let images = self
            .images
            .get((n_train, seed, source.reads_images()), || {
                self.sources.images(&source, &labels.output, &sample.output)
            })?;
        let features_stage = FeaturesStage::new(&source, &images, &labels.output);
        let features = self.make_features(&features_stage, None, walk)?;

        let rows = |table: &FeatureTable, context: Context<'_>| features_stage.rows(table, context);
        let mut probes_stage = ProbesStage {
            labels: &labels,
            sample: &sample,
            features: &features,
            rows: &rows,
            probe: experiment.probe.resolve(experiment.n_train),
        };
        let mut found = self.find(&probes_stage, None)?;
        // Where probes are to be fitted on rows that have left the store, the features are made again first.
        let made_again;
        if found.known.is_err()
            && let Some(made) = self.make_lost_features(&features_stage, walk)?
        {
            made_again = made;
            probes_stage.features = &made_again;
            if made_again.digests != features.digests {
                found = self.find(&probes_stage, None)?;
            }
        }
        let probes = self.finish(&probes_stage, found, walk)?;

        let report = self.make(&ReportStage { probes: &probes }, walk)?;

        let bootstrap = self.make(
            &BootstrapStage {
                probes: &probes,
                settings: self.pipeline.bootstrap,
            },
            walk,
        )?;

        Ok((probes.output, report.output, bootstrap.output))
    }

    /// Stage `features`, with its counts recorded.
    fn make_features(
        &self,
        stage: &FeaturesStage<'_>,
        reason: Option<MissReason>,
        walk: &mut Walk,
    ) -> Result<Made<<FeaturesStage<'_> as Stage>::Output>, Halt> {
        if self.is_forced(Name::Features, &stage.request()) {
            stage.forget()?;
        }
        let n_missing = stage.n_missing();
        let found = self.find(stage, reason)?;
        let made = self.finish(stage, found, walk);
        if let Some(record) = walk.stages.last_mut() {
            let mut counts = stage.counts();
            match (walk.mode, &record.state) {
                (Mode::Plan, State::Runs(_)) => {
                    counts.extracted = n_missing;
                    counts.reused -= n_missing;
                }
                (_, State::Cached) => {
                    counts.lost = n_missing;
                    counts.reused -= n_missing;
                }
                _ => {}
            }
            record.counts = Some(counts);
        }
        made
    }

    /// Makes the features of a walk again whose rows the store no longer has, or has damaged.
    fn make_lost_features(
        &self,
        stage: &FeaturesStage<'_>,
        walk: &mut Walk,
    ) -> Result<Option<Made<FeatureTable>>, Halt> {
        let n_lost = match walk.mode {
            Mode::Run => stage.read_stored(self.context)?,
            // A plan takes the word of the shards' headers.
            Mode::Plan => stage.n_missing(),
        };
        if n_lost == 0 {
            return Ok(None);
        }
        let reason = MissReason::Unusable(format!(
            "the cache no longer holds {} that the probes need",
            count(n_lost, "feature row", "feature rows")
        ));
        walk.stages.pop();
        self.make_features(stage, Some(reason), walk).map(Some)
    }
}
