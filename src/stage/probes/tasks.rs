//! The tasks of a sample: which of its rows each has, and its probe.

use ndarray::{ArrayView2, Axis};

use super::candidates::candidates;
use super::rows::shortage_of_neighbours;
use super::{FittedTask, Prediction, Probes, odd_rows};
use crate::artifact::{ProbeFile, number};
use crate::context::Context;
use crate::error::Error;
use crate::newt::labels::{LabelRow, Labels};
use crate::probe::{self, Oddity, Probe, TaskData, TaskFit};
use crate::stage::sample::Sample;

/// The tasks of a sample.
pub struct Tasks<'a> {
    labels: &'a [LabelRow],
    sample: &'a [usize],
    /// Each task, in order of first appearance in the labels.
    pub each: Vec<TaskRows>,
}

/// The sample's rows of one task: positions in the sample, which are those in the feature matrix.
pub struct TaskRows {
    /// The task.
    pub name: String,
    /// Rows that its probe is fitted on.
    pub train: Vec<usize>,
    /// Rows that it predicts; there are some.
    pub test: Vec<usize>,
}

impl<'a> Tasks<'a> {
    /// The tasks that have rows in the sample, in order of first appearance in the labels.
    pub fn new(labels: &'a Labels, sample: &'a Sample) -> Self {
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
    pub fn row(&self, place: usize) -> &LabelRow {
        &self.labels[self.sample[place]]
    }

    /// Makes sure, before there are features, that a search can divide each task's train rows among its folds.
    ///
    /// # Errors
    /// The first task that has too few.
    pub fn check_search(&self, probe: &Probe) -> Result<(), Error> {
        self.each.iter().try_for_each(|task| {
            let labels = task.train.iter().map(|place| self.row(*place).label);
            probe::check_search(probe, &task.name, &labels.collect::<Vec<u8>>())
        })
    }

    /// Fits the probe of a task, once for each of the `seeds` of its search, on its rows of `features`, `[n, d]` in the order
    /// of the sample, and predicts its test rows.
    ///
    /// # Errors
    /// [`Stopped`](crate::interrupt::Stopped), and errors of [`probe::fit_repeats`], in which rows are called by their images.
    pub fn fit(
        &self,
        task: &TaskRows,
        probe: &Probe,
        seeds: &[u32],
        features: ArrayView2<'_, f32>,
        context: Context<'_>,
    ) -> Result<Vec<TaskFit>, Error> {
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
        let fits = probe::fit_repeats(probe, seeds, &data, context).map_err(|error| {
            probe::naming_row(error, |split, row| {
                let places = if split == "train" {
                    &task.train
                } else {
                    &task.test
                };
                odd_rows::name(&task.name, &self.row(places[row]).id)
            })
        });
        context.progress.tick(1);
        fits
    }

    /// What the stage makes of one fit for each task.
    ///
    /// # Errors
    /// Errors of [`ProbeFile::to_bytes`].
    pub fn probes(&self, fits: Vec<TaskFit>, probe: &Probe) -> Result<Probes, Error> {
        let names = self.each.iter().map(|task| task.name.as_str());
        let fitted = ProbeFile::to_bytes(names.zip(fits.iter().map(|fit| &fit.fitted)))?;
        let mut probes = Probes {
            predictions: Vec::new(),
            tasks: Vec::with_capacity(fits.len()),
            candidates: Vec::new(),
            fitted: Some(fitted),
            warnings: Vec::new(),
        };
        for (rows, fit) in self.each.iter().zip(fits) {
            probes.warnings.extend(self.warnings(rows, &fit, probe));
            let decided = fit.y_pred.iter().zip(&fit.decision);
            let predictions: Vec<Prediction> = rows
                .test
                .iter()
                .zip(decided)
                .map(|(place, (y_pred, decision))| {
                    Prediction::new(self.row(*place), *y_pred, *decision)
                })
                .collect();
            let any = self.row(rows.test[0]);
            let n_train_rows = number(rows.train.len());
            let fitted = FittedTask::new(any, n_train_rows, &fit, &predictions);
            probes.tasks.push(fitted);
            probes.predictions.extend(predictions);
            probes.candidates.extend(candidates(&rows.name, &fit));
        }
        let shortage = shortage_of_neighbours(probe, &probes.tasks);
        probes.warnings.extend(shortage);
        Ok(probes)
    }

    /// What the user should know about a task's fit.
    fn warnings(&self, task: &TaskRows, fit: &TaskFit, probe: &Probe) -> Vec<String> {
        let train = fit.odd_train_rows.iter().map(|odd| (odd, &task.train));
        let test = fit.odd_test_rows.iter().map(|odd| (odd, &task.test));
        let odd: Vec<(Oddity, &str)> = train
            .chain(test)
            .map(|(&(row, oddity), places)| (oddity, self.row(places[row]).id.as_str()))
            .collect();
        let of_fit = fit.warnings.iter().cloned();
        of_fit
            .chain(odd_rows::warnings(&task.name, probe.center, &odd))
            .collect()
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::newt::labels::Split;

    /// Five rows of one task, each with its number for an id.
    pub fn labels() -> Labels {
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
            text_label: None,
            split,
        };
        Labels {
            rows: splits.into_iter().enumerate().map(row).collect(),
        }
    }

    /// As the reference's draw leaves them: test rows, then class 0, then class 1.
    pub fn sample() -> Sample {
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
}
