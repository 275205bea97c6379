//! Stage `probes`: one probe per task, and its predictions.
//!
//! | reads | |
//! | --- | --- |
//! | `labels.parquet` | of stage `labels` |
//! | `sample.parquet` | of stage `sample` |
//! | `features.json` | of stage `features`, and the rows whose digest it holds |
//!
//! | writes | |
//! | --- | --- |
//! | `predictions.parquet` | [`Prediction`]s, tasks by first appearance, test rows in file order |
//! | `probes.parquet` | [`FittedTask`]s |
//! | `candidates.parquet`, where there was a search | [`Candidate`]s |
//! | `probes.safetensors` | the fitted probes, see [`crate::artifact::ProbeFile`] |
//! | `warnings.json`, where there are some | an array of strings: what the user should know about the probes, said again whenever they come from the cache |
//!
//! A search may be repeated with other seeds ([`ProbesStage::repeats`]). The repeats are fitted in one pass, which costs
//! less than one after the other, and each is the output of a stage of its own.
//!
//! A row's id is that of the test image that was predicted. Where all train rows take part (`n_train` of 0 or below), the
//! reference writes the ids of the task's first rows instead, train rows among them: the same scores under other ids.
//! It bootstraps scores in the order of ids, so its interval of such a run has other ends than ours; the accuracy is
//! the same.

mod ahead;
mod candidates;
pub mod odd_rows;
mod rows;
mod tasks;

use rayon::prelude::*;

pub use self::ahead::FittedAhead;
pub use self::candidates::Candidate;
pub use self::rows::{FittedTask, Prediction};
use self::tasks::TaskRows;
pub use self::tasks::Tasks;
use super::features::{FEATURES, Features};
use super::labels::LABELS;
use super::sample::{SAMPLE, Sample};
use super::{Made, Name, Objects, Stage, table};
use crate::artifact::number;
use crate::cache::{KeyBuilder, Request};
use crate::context::Context;
use crate::error::Error;
use crate::newt::labels::Labels;
use crate::probe::{Probe, Search, TaskFit};

/// The name of the predictions.
pub const PREDICTIONS: &str = "predictions.parquet";
/// The name of the table of fitted probes.
pub const PROBES: &str = "probes.parquet";
/// The name of the table of what searches tried.
pub const CANDIDATES: &str = "candidates.parquet";
/// The name of what there is to know about them.
const WARNINGS: &str = "warnings.json";
/// The name of the fitted probes themselves.
pub const FITTED: &str = "probes.safetensors";

/// Fits one probe per task of the sample.
pub struct ProbesStage<'a> {
    /// The labels.
    pub labels: &'a Made<Labels>,
    /// The rows that take part.
    pub sample: &'a Made<Sample>,
    /// Their features, in the sample's order; the rows are asked for only where probes are fitted.
    pub features: &'a Made<Features>,
    /// The probe.
    pub probe: Probe,
    /// Other seeds of its search, whose probes are to be fitted in the same pass.
    pub repeats: Vec<u32>,
    /// Where they are kept until a stage asks for them, and what was left there before.
    pub ahead: &'a mut FittedAhead,
}

/// What this stage makes.
#[derive(Debug, Clone, PartialEq)]
pub struct Probes {
    /// One per test row.
    pub predictions: Vec<Prediction>,
    /// One per task.
    pub tasks: Vec<FittedTask>,
    /// What the searches of the tasks tried, task by task.
    pub candidates: Vec<Candidate>,
    /// The fitted probes, as `probes.safetensors` holds them; `None` where they stayed in the store.
    pub fitted: Option<Vec<u8>>,
    /// What the user should know about them, a line each.
    pub warnings: Vec<String>,
}

impl ProbesStage<'_> {
    /// The request of this stage with another probe in its place.
    pub fn request_of(&self, probe: &Probe) -> Request {
        KeyBuilder::new(Self::NAME.as_str(), Self::VERSION)
            .param("probe", probe)
            .input(LABELS, self.labels.digest(LABELS))
            .input(SAMPLE, self.sample.digest(SAMPLE))
            .input(FEATURES, self.features.digest(FEATURES))
            .finish()
    }

    /// Makes sure that each task has candidates if there was a search, one of which was chosen.
    fn check_candidates(
        &self,
        candidates: &[Candidate],
        fitted: &[FittedTask],
    ) -> Result<(), Error> {
        let mut of_tasks = candidates.chunk_by(|a, b| a.task == b.task);
        let has_searched = self.probe.search.is_some();
        let is_whole = |task: &FittedTask| {
            of_tasks.next().is_some_and(|tried| {
                let n_best = tried.iter().filter(|candidate| candidate.is_best).count();
                tried[0].task == task.task && n_best == 1
            })
        };
        let are_whole = !has_searched || fitted.iter().all(is_whole);
        let what = "its candidates are not those of the tasks' searches";
        Self::NAME.ensure(are_whole && of_tasks.next().is_none(), what)
    }

    /// Makes sure that there are a prediction for each test row of the sample and a probe for each of its tasks.
    fn check(&self, predictions: &[Prediction], fitted: &[FittedTask]) -> Result<(), Error> {
        let tasks = Tasks::new(&self.labels.output, &self.sample.output);
        let test_rows = tasks.each.iter().flat_map(|task| &task.test);
        let are_of_sample = test_rows.clone().count() == predictions.len()
            && predictions
                .iter()
                .zip(test_rows)
                .all(|(prediction, place)| prediction.is_of(tasks.row(*place)));
        let what = "its predictions are not those of the sample's test rows";
        Self::NAME.ensure(are_of_sample, what)?;
        let is_of_task = |(fitted, task): (&FittedTask, &TaskRows)| {
            fitted.task == task.name
                && fitted.n_train_rows == number(task.train.len())
                && fitted.n_test_rows == number(task.test.len())
        };
        let are_of_tasks =
            fitted.len() == tasks.each.len() && fitted.iter().zip(&tasks.each).all(is_of_task);
        let what = "its probes are not those of the sample's tasks";
        Self::NAME.ensure(are_of_tasks, what)
    }
}

impl Stage for ProbesStage<'_> {
    const NAME: Name = Name::Probes;
    const VERSION: u32 = 6;
    const UNREAD: Option<&'static str> = Some(FITTED);
    type Output = Probes;

    fn request(&self) -> Request {
        self.request_of(&self.probe)
    }

    fn run(&mut self, context: Context<'_>) -> Result<Probes, Error> {
        if let Some(probes) = self.ahead.take(self.request().key) {
            return Ok(probes);
        }
        let tasks = Tasks::new(&self.labels.output, &self.sample.output);
        let features = self.features.output.rows()?;
        let own = self.probe.search.as_ref().and_then(Search::seed);
        let seeds: Vec<u32> = own
            .into_iter()
            .chain(self.repeats.iter().copied())
            .collect();
        context
            .progress
            .start("fitting probes", tasks.each.len() as u64);
        let fits: Vec<Result<Vec<TaskFit>, Error>> = tasks
            .each
            .par_iter()
            .map(|task| tasks.fit(task, &self.probe, &seeds, features.view(), context))
            .collect();
        context.progress.finish();

        // Of each task the fits of all seeds; of each seed then the fits of all tasks.
        let mut fits: Vec<_> = fits
            .into_iter()
            .map(|fits| fits.map(Vec::into_iter))
            .collect::<Result<_, Error>>()?;
        let mut of_next_seed = || -> Result<Probes, Error> {
            let of_tasks: Vec<TaskFit> = fits.iter_mut().filter_map(Iterator::next).collect();
            tasks.probes(of_tasks, &self.probe)
        };
        let probes = of_next_seed()?;
        let keyed = self.repeats.iter().map(|&seed| {
            let request = self.request_of(&self.probe.with_search_seed(seed));
            Ok((request.key, of_next_seed()?))
        });
        let keyed = keyed.collect::<Result<Vec<_>, Error>>()?;
        self.ahead.replace(keyed);
        Ok(probes)
    }

    fn encode(probes: &Probes) -> Result<Objects, Error> {
        let mut objects = Objects::from([
            table(PREDICTIONS, &probes.predictions)?,
            table(PROBES, &probes.tasks)?,
            (FITTED.to_owned(), probes.fitted.clone().unwrap_or_default()),
        ]);
        if !probes.candidates.is_empty() {
            objects.extend([table(CANDIDATES, &probes.candidates)?]);
        }
        if !probes.warnings.is_empty() {
            let json = serde_json::to_vec(&probes.warnings)?;
            objects.insert(WARNINGS.to_owned(), json);
        }
        Ok(objects)
    }

    fn decode(&self, objects: &Objects) -> Result<Probes, Error> {
        let predictions: Vec<Prediction> = Self::NAME.rows(objects, PREDICTIONS)?;
        let tasks: Vec<FittedTask> = Self::NAME.rows(objects, PROBES)?;
        self.check(&predictions, &tasks)?;
        let candidates = if objects.contains_key(CANDIDATES) {
            Self::NAME.rows(objects, CANDIDATES)?
        } else {
            Vec::new()
        };
        self.check_candidates(&candidates, &tasks)?;
        let warnings = objects
            .get(WARNINGS)
            .map(|json| serde_json::from_slice(json));
        Ok(Probes {
            predictions,
            tasks,
            candidates,
            fitted: objects.get(FITTED).cloned(),
            warnings: warnings.transpose()?.unwrap_or_default(),
        })
    }

    fn warnings(probes: &Probes) -> &[String] {
        &probes.warnings
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::tasks::tests::{labels, sample};
    use super::*;
    use crate::cache::Digest;

    #[test]
    fn only_probes_of_this_sample_are_read() {
        let made = |name: &str| [(name.to_owned(), Digest::of(b""))].into();
        let (labels, sample) = (
            Made {
                output: labels(),
                digests: made(LABELS),
            },
            Made {
                output: sample(),
                digests: made(SAMPLE),
            },
        );
        let features = Made {
            output: Features::of(Array2::zeros((5, 2))),
            digests: made(FEATURES),
        };
        let stage = ProbesStage {
            labels: &labels,
            sample: &sample,
            features: &features,
            probe: Probe::biobench(3),
            repeats: Vec::new(),
            ahead: &mut FittedAhead::default(),
        };
        let prediction = |row: usize| Prediction::new(&labels.output.rows[row], 0, -1.0);
        let good = Probes {
            predictions: vec![prediction(2), prediction(4)],
            tasks: vec![FittedTask {
                task: "t".to_owned(),
                cluster: "c".to_owned(),
                subcluster: None,
                n_train_rows: 3,
                n_test_rows: 2,
                classifier: "svc".to_owned(),
                kernel: Some("linear".to_owned()),
                c: Some(1.0),
                gamma: None,
                cv_accuracy: None,
                n_support: Some(2),
                bias: Some(0.0),
                k: None,
                accuracy: 0.0,
            }],
            candidates: Vec::new(),
            fitted: Some(Vec::new()),
            warnings: Vec::new(),
        };
        let decode = |probes: &Probes| stage.decode(&ProbesStage::encode(probes).unwrap());
        assert_eq!(decode(&good).unwrap(), good);

        let edits: [fn(&mut Probes); 9] = [
            |probes| probes.predictions.truncate(1),
            |probes| probes.predictions.swap(0, 1),
            |probes| probes.predictions[1].img_id = "3".to_owned(),
            |probes| probes.predictions[0].text_label = Some("1".to_owned()),
            |probes| probes.predictions[0].y_true = 0,
            |probes| probes.predictions[0].y_pred = 2,
            |probes| probes.predictions[0].score = 1.0,
            |probes| probes.tasks.clear(),
            |probes| probes.tasks[0].n_train_rows = 4,
        ];
        for (index, edit) in edits.into_iter().enumerate() {
            let mut other = good.clone();
            edit(&mut other);
            let error = decode(&other).unwrap_err().to_string();
            let expected = "stage `probes`: the stored output belongs to other inputs: its pr";
            assert!(error.starts_with(expected), "{index}: {error}");
        }
    }
}
