//! Stage `probes`: one SVM per task, and its predictions.
//!
//! | reads | |
//! | --- | --- |
//! | `labels.parquet` | of stage `labels` |
//! | `sample.parquet` | of stage `sample` |
//! | `features.json` | of stage `features`, and the rows whose digest it holds |
//!
//! | writes `predictions.parquet` | type | |
//! | --- | --- | --- |
//! | `img_id`, `task`, `cluster` | string | tasks by first appearance, test rows in file order |
//! | `subcluster` | string | null where none |
//! | `y_true`, `y_pred` | u32 | 0 or 1 |
//! | `score` | f64 | 1 where the prediction is right, else 0 |
//! | `decision` | f64 | positive means class 1 |
//!
//! A row's id is that of the test image that was predicted. Where all train rows take part (`n_train` of 0 or below), the
//! reference writes the ids of the task's first rows instead, train rows among them: the same scores under other ids.
//! It bootstraps scores in the order of ids, so its interval of such a run has other ends than ours; the accuracy is
//! the same.
//!
//! | writes `probes.parquet` | type | |
//! | --- | --- | --- |
//! | `task`, `cluster`, `kernel` | string | one row per task |
//! | `subcluster` | string | null where none |
//! | `n_train_rows`, `n_test_rows`, `n_support` | u32 | |
//! | `c`, `gamma`, `bias`, `accuracy` | f64 | |
//! | `cv_accuracy` | f64 | null without a search |
//!
//! | writes `probes.safetensors` | |
//! | --- | --- |
//! | the fitted probes | see [`crate::artifact::ProbeFile`] |
//!
//! | writes `warnings.json`, where there are some | |
//! | --- | --- |
//! | an array of strings | what the user should know about the probes, said again whenever they come from the cache |

pub mod odd_rows;
mod tables;

use ndarray::{ArrayView2, Axis};
use rayon::prelude::*;

pub use self::tables::{prediction_columns, task_columns};
use super::features::{FEATURES, Features};
use super::labels::LABELS;
use super::sample::{SAMPLE, Sample};
use super::{Made, Name, Objects, Stage, ensure, part};
use crate::artifact::{ProbeFile, Table};
use crate::cache::{KeyBuilder, Request};
use crate::context::Context;
use crate::error::Error;
use crate::newt::labels::{LabelRow, Labels};
use crate::probe::{self, Oddity, Probe, TaskData, TaskFit, Watch};
use crate::stats::accuracy;

/// The name of the predictions.
pub const PREDICTIONS: &str = "predictions.parquet";
/// The name of the table of fitted probes.
pub const PROBES: &str = "probes.parquet";
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
}

/// A test row and what its task's probe says of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// The image.
    pub img_id: String,
    /// Its task.
    pub task: String,
    /// The task's cluster.
    pub cluster: String,
    /// The task's subcluster, where it has one.
    pub subcluster: Option<String>,
    /// The label.
    pub y_true: u8,
    /// The predicted label.
    pub y_pred: u8,
    /// The decision value; positive means class 1.
    pub decision: f64,
}

impl Prediction {
    /// 1 where the prediction is right, else 0.
    pub fn score(&self) -> f64 {
        if self.y_pred == self.y_true { 1.0 } else { 0.0 }
    }
}

/// How one task's probe came out.
#[derive(Debug, Clone, PartialEq)]
pub struct FittedTask {
    /// The task.
    pub task: String,
    /// Its cluster.
    pub cluster: String,
    /// Its subcluster, where it has one.
    pub subcluster: Option<String>,
    /// Rows that the probe was fitted on.
    pub n_train_rows: usize,
    /// Rows that it predicted.
    pub n_test_rows: usize,
    /// The kernel, the best one where there was a search.
    pub kernel: String,
    /// C, likewise.
    pub c: f64,
    /// Gamma, likewise, as a number.
    pub gamma: f64,
    /// Mean accuracy over the folds, where there was a search.
    pub cv_accuracy: Option<f64>,
    /// Support vectors.
    pub n_support: usize,
    /// The intercept of the decision, with scikit-learn's sign.
    pub bias: f64,
    /// Share of right test predictions.
    pub accuracy: f64,
}

/// What this stage makes.
#[derive(Debug, Clone, PartialEq)]
pub struct Probes {
    /// One per test row.
    pub predictions: Vec<Prediction>,
    /// One per task.
    pub tasks: Vec<FittedTask>,
    /// The fitted probes, as `probes.safetensors` holds them; `None` where they stayed in the store.
    pub fitted: Option<Vec<u8>>,
    /// What the user should know about them, a line each.
    pub warnings: Vec<String>,
}

/// The tasks of a sample.
struct Tasks<'a> {
    labels: &'a [LabelRow],
    sample: &'a [usize],
    each: Vec<TaskRows>,
}

/// The sample's rows of one task: positions in the sample, which are those in the feature matrix.
struct TaskRows {
    name: String,
    train: Vec<usize>,
    test: Vec<usize>,
}

impl<'a> Tasks<'a> {
    /// The tasks that have rows in the sample, in order of first appearance in the labels.
    fn new(labels: &'a Labels, sample: &'a Sample) -> Self {
        let mut position = vec![None; labels.rows.len()];
        for (place, row) in sample.rows.iter().enumerate() {
            position[*row] = Some(place);
        }
        // The sample's order is the reference's: with a draw, class 0 comes before class 1. It decides
        // the folds and the order of every sum.
        let places = |rows: Vec<usize>| {
            let mut places: Vec<usize> = rows.into_iter().filter_map(|row| position[row]).collect();
            places.sort_unstable();
            places
        };
        let tasks = labels
            .tasks()
            .into_iter()
            .map(|task| TaskRows {
                train: places(task.train_rows),
                test: places(task.test_rows),
                name: task.name,
            })
            .filter(|task| !task.test.is_empty())
            .collect();
        Self {
            labels: &labels.rows,
            sample: &sample.rows,
            each: tasks,
        }
    }

    /// The label row at a place of the sample.
    fn row(&self, place: usize) -> &LabelRow {
        &self.labels[self.sample[place]]
    }

    fn fit(
        &self,
        task: &TaskRows,
        probe: &Probe,
        features: ArrayView2<'_, f32>,
        context: Context<'_>,
    ) -> Result<TaskFit, Error> {
        context.interrupt.check()?;
        let y_train: Vec<u8> = task
            .train
            .iter()
            .map(|place| self.row(*place).label)
            .collect();
        let x_train = features.select(Axis(0), &task.train);
        let x_test = features.select(Axis(0), &task.test);
        let data = TaskData {
            name: &task.name,
            x_train: x_train.view(),
            y_train: &y_train,
            x_test: x_test.view(),
        };
        let fit = probe::fit_task(probe, &data, &Waiting(context)).map_err(|error| {
            error.naming_row(|split, row| {
                let places = if split == "train" {
                    &task.train
                } else {
                    &task.test
                };
                odd_rows::name(&task.name, &self.row(places[row]).id)
            })
        });
        context.interrupt.check()?;
        context.progress.tick(1);
        Ok(fit?)
    }

    /// What the user should know about a task's fit.
    fn warnings(&self, task: &TaskRows, fit: &TaskFit, probe: &Probe) -> Vec<String> {
        let train = fit.odd_train_rows.iter().map(|odd| (odd, &task.train));
        let test = fit.odd_test_rows.iter().map(|odd| (odd, &task.test));
        let odd: Vec<(Oddity, &str)> = train
            .chain(test)
            .map(|(&(row, oddity), places)| (oddity, self.row(places[row]).id.as_str()))
            .collect();
        let of_fit = fit.warnings.iter().map(ToString::to_string);
        of_fit
            .chain(odd_rows::warnings(&task.name, probe.center, &odd))
            .collect()
    }
}

impl ProbesStage<'_> {
    /// Makes sure that there are a prediction for each test row of the sample and a probe for each of its tasks.
    fn check(&self, predictions: &[Prediction], fitted: &[FittedTask]) -> Result<(), Error> {
        let tasks = Tasks::new(&self.labels.output, &self.sample.output);
        let test_rows = tasks.each.iter().flat_map(|task| &task.test);
        let is_of_row = |(prediction, row): (&Prediction, &LabelRow)| {
            prediction.img_id == row.id
                && prediction.task == row.task
                && prediction.cluster == row.cluster
                && prediction.subcluster == row.subcluster
                && prediction.y_true == row.label
                && prediction.y_pred <= 1
        };
        let are_of_sample = test_rows.clone().count() == predictions.len()
            && predictions
                .iter()
                .zip(test_rows.map(|place| tasks.row(*place)))
                .all(is_of_row);
        ensure(
            are_of_sample,
            Self::NAME,
            "its predictions are not those of the sample's test rows",
        )?;
        let is_of_task = |(fitted, task): (&FittedTask, &TaskRows)| {
            fitted.task == task.name
                && fitted.n_train_rows == task.train.len()
                && fitted.n_test_rows == task.test.len()
        };
        ensure(
            fitted.len() == tasks.each.len() && fitted.iter().zip(&tasks.each).all(is_of_task),
            Self::NAME,
            "its probes are not those of the sample's tasks",
        )
    }
}

/// Hands what a fit says and asks on to the run.
struct Waiting<'a>(Context<'a>);

impl Watch for Waiting<'_> {
    fn stops(&self) -> bool {
        self.0.interrupt.requested()
    }

    fn warn(&self, message: &str) {
        self.0.progress.warn(message);
    }

    fn note(&self, message: &str) {
        self.0.progress.note(message);
    }
}

impl Stage for ProbesStage<'_> {
    const NAME: Name = Name::Probes;
    const VERSION: u32 = 4;
    const UNREAD: Option<&'static str> = Some(FITTED);
    type Output = Probes;

    fn request(&self) -> Request {
        KeyBuilder::new(Self::NAME.as_str(), Self::VERSION)
            .param("probe", &self.probe)
            .input(LABELS, self.labels.digest(LABELS))
            .input(SAMPLE, self.sample.digest(SAMPLE))
            .input(FEATURES, self.features.digest(FEATURES))
            .finish()
    }

    fn run(&mut self, context: Context<'_>) -> Result<Probes, Error> {
        let tasks = Tasks::new(&self.labels.output, &self.sample.output);
        let features = self.features.output.rows()?;
        let probe = &self.probe;
        context
            .progress
            .start("fitting probes", tasks.each.len() as u64);
        let fits: Vec<Result<TaskFit, Error>> = tasks
            .each
            .par_iter()
            .map(|task| tasks.fit(task, probe, features.view(), context))
            .collect();
        context.progress.finish();

        let fits = fits.into_iter().collect::<Result<Vec<TaskFit>, Error>>()?;

        let names = tasks.each.iter().map(|task| task.name.as_str());
        let mut probes = Probes {
            predictions: Vec::new(),
            tasks: Vec::with_capacity(fits.len()),
            fitted: Some(ProbeFile::to_bytes(
                names.zip(fits.iter().map(|fit| &fit.fitted)),
            )?),
            warnings: Vec::new(),
        };
        for (rows, fit) in tasks.each.iter().zip(fits) {
            probes.warnings.extend(tasks.warnings(rows, &fit, probe));
            let first = probes.predictions.len();
            for ((place, y_pred), decision) in rows.test.iter().zip(&fit.y_pred).zip(&fit.decision)
            {
                let row = tasks.row(*place);
                probes.predictions.push(Prediction {
                    img_id: row.id.clone(),
                    task: row.task.clone(),
                    cluster: row.cluster.clone(),
                    subcluster: row.subcluster.clone(),
                    y_true: row.label,
                    y_pred: *y_pred,
                    decision: *decision,
                });
            }
            let of_task = &probes.predictions[first..];
            let scores: Vec<f64> = of_task.iter().map(Prediction::score).collect();
            let any = tasks.row(rows.test[0]);
            probes.tasks.push(FittedTask {
                task: any.task.clone(),
                cluster: any.cluster.clone(),
                subcluster: any.subcluster.clone(),
                n_train_rows: rows.train.len(),
                n_test_rows: rows.test.len(),
                kernel: fit.kernel.to_string(),
                c: fit.c,
                gamma: fit.gamma,
                cv_accuracy: fit.cv_accuracy,
                n_support: fit.n_support,
                bias: fit.bias,
                accuracy: accuracy::micro(&scores).unwrap_or(0.0),
            });
        }
        Ok(probes)
    }

    fn encode(probes: &Probes) -> Result<Objects, Error> {
        let mut objects = Objects::from([
            (
                PREDICTIONS.to_owned(),
                prediction_columns(Table::new(), &probes.predictions).to_parquet()?,
            ),
            (
                PROBES.to_owned(),
                task_columns(Table::new(), &probes.tasks).to_parquet()?,
            ),
            (FITTED.to_owned(), probes.fitted.clone().unwrap_or_default()),
        ]);
        if !probes.warnings.is_empty() {
            let json = serde_json::to_vec(&probes.warnings)?;
            objects.insert(WARNINGS.to_owned(), json);
        }
        Ok(objects)
    }

    fn decode(&self, objects: &Objects) -> Result<Probes, Error> {
        let predictions = tables::predictions(part(objects, Self::NAME, PREDICTIONS)?)?;
        let tasks = tables::tasks(part(objects, Self::NAME, PROBES)?)?;
        self.check(&predictions, &tasks)?;
        let warnings = objects
            .get(WARNINGS)
            .map(|json| serde_json::from_slice(json));
        Ok(Probes {
            predictions,
            tasks,
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

    use super::*;
    use crate::cache::Digest;
    use crate::newt::labels::Split;

    /// Five rows of one task, each with its number for an id.
    fn labels() -> Labels {
        let splits = [
            Split::Train,
            Split::Train,
            Split::Test,
            Split::Train,
            Split::Test,
        ];
        let row = |(id, split): (usize, Split)| LabelRow {
            id: id.to_string(),
            task: "t".to_owned(),
            cluster: "c".to_owned(),
            subcluster: None,
            label: u8::from(id.is_multiple_of(2)),
            split,
        };
        Labels {
            rows: splits.into_iter().enumerate().map(row).collect(),
        }
    }

    /// As the reference's draw leaves them: test rows, then class 0, then class 1.
    fn sample() -> Sample {
        Sample {
            rows: vec![2, 4, 1, 3, 0],
        }
    }

    #[test]
    fn a_probe_sees_its_rows_in_the_order_of_the_sample() {
        let (labels, sample) = (labels(), sample());
        let tasks = Tasks::new(&labels, &sample);
        let ids = |places: &[usize]| -> Vec<&str> {
            places
                .iter()
                .map(|place| tasks.row(*place).id.as_str())
                .collect()
        };
        assert_eq!(ids(&tasks.each[0].train), ["1", "3", "0"]);
        assert_eq!(ids(&tasks.each[0].test), ["2", "4"]);
    }

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
        };
        let prediction = |row: usize| Prediction {
            img_id: row.to_string(),
            task: "t".to_owned(),
            cluster: "c".to_owned(),
            subcluster: None,
            y_true: 1,
            y_pred: 0,
            decision: -1.0,
        };
        let good = Probes {
            predictions: vec![prediction(2), prediction(4)],
            tasks: vec![FittedTask {
                task: "t".to_owned(),
                cluster: "c".to_owned(),
                subcluster: None,
                n_train_rows: 3,
                n_test_rows: 2,
                kernel: "linear".to_owned(),
                c: 1.0,
                gamma: 1.0,
                cv_accuracy: None,
                n_support: 2,
                bias: 0.0,
                accuracy: 0.0,
            }],
            fitted: Some(Vec::new()),
            warnings: Vec::new(),
        };
        let decode = |probes: &Probes| stage.decode(&ProbesStage::encode(probes).unwrap());
        assert_eq!(decode(&good).unwrap(), good);

        let edits: [fn(&mut Probes); 7] = [
            |probes| probes.predictions.truncate(1),
            |probes| probes.predictions.swap(0, 1),
            |probes| probes.predictions[1].img_id = "3".to_owned(),
            |probes| probes.predictions[0].y_true = 0,
            |probes| probes.predictions[0].y_pred = 2,
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
