//! Stage `bootstrap`: resampled accuracies and percentile intervals.
//!
//! | reads | |
//! | --- | --- |
//! | `predictions.parquet` | of stage `probes` |
//!
//! | writes | |
//! | --- | --- |
//! | `bootstrap.parquet` | [`Resample`]s |
//! | `intervals.parquet` | [`GroupInterval`]s, in the order of stage `report` |
//!
//! The reference bootstraps the overall score. A group's interval is what it would give for the
//! group's rows alone: the same seed, and draws among those rows. The mean over tasks has two intervals besides, for
//! the two claims of [`task_bootstrap`].
//!
//! Scores are resampled in the order of their image ids. Where `n_train` takes all rows, the reference's scores stand
//! under other ids (see [`super::probes`]), so the same draws choose other scores, and its intervals differ from these
//! as those of another seed would.

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::{Deserialize, Deserializer, Serialize};

use super::probes::{PREDICTIONS, Prediction, Probes};
use super::report::{Group, Level, groups};
use super::{Made, Name, Objects, Stage, table};
use crate::artifact::rows;
use crate::cache::{KeyBuilder, Request};
use crate::context::Context;
use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::setting;
use crate::stats::accuracy;
use crate::stats::bootstrap::{bootstrap_means, interval};
use crate::stats::task_bootstrap::{self, TaskResamples};
use crate::stats::wilson::wilson;

/// The name of the resamples.
pub const BOOTSTRAP: &str = "bootstrap.parquet";
/// The name of the intervals.
pub const INTERVALS: &str = "intervals.parquet";

/// How intervals are made.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How many resamples are drawn.
    #[serde(deserialize_with = "setting::whole::<1, 1_000_000, _, _>")]
    pub resamples: usize,
    /// The intervals cover 1 - alpha.
    #[serde(deserialize_with = "alpha")]
    pub alpha: f64,
    /// Seed of the resamples.
    #[serde(deserialize_with = "setting::seed")]
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            resamples: 500,
            alpha: 0.05,
            seed: 17,
        }
    }
}

impl Settings {
    /// The share of repetitions that an interval claims to cover, without what rounding adds: 0.68 where alpha is 0.32.
    pub fn confidence(&self) -> f64 {
        ((1.0 - self.alpha) * 1e12).round() / 1e12
    }
}

fn alpha<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    setting::checked(deserializer, "a number between 0 and 1", |value| {
        setting::as_number(value).filter(|alpha| *alpha > 0.0 && *alpha < 1.0)
    })
}

/// Resamples the scores of every group.
pub struct BootstrapStage<'a> {
    /// The predictions.
    pub probes: &'a Made<Probes>,
    /// How many resamples, which interval, which seed.
    pub settings: Settings,
}

rows! {
    /// One resample.
    #[derive(Debug, Clone, PartialEq)]
    pub struct Resample {
        /// Which, from 0.
        pub resample: i64,
        /// The mean of its scores over all test rows, a float32 in the reference.
        pub score: f64,
    }
}

rows! {
    /// The intervals of one group.
    #[derive(Debug, Clone, PartialEq)]
    pub struct GroupInterval {
        /// The group's level.
        pub level: String,
        /// Its name.
        pub name: String,
        /// The lower end of the accuracy's percentile interval, test rows resampled whatever their task.
        pub ci_low: f64,
        /// Its upper end.
        pub ci_high: f64,
        /// The lower end of Wilson's interval of the accuracy, also where every resample has the same accuracy.
        pub wilson_low: f64,
        /// Its upper end.
        pub wilson_high: f64,
        /// The lower end of the mean over tasks' percentile interval, test rows resampled within each task; missing at
        /// the level `task`.
        pub these_tasks_ci_low: Option<f64>,
        /// Its upper end.
        pub these_tasks_ci_high: Option<f64>,
        /// The lower end of the mean over tasks' percentile interval, tasks resampled; missing where there is one task.
        pub tasks_like_these_ci_low: Option<f64>,
        /// Its upper end.
        pub tasks_like_these_ci_high: Option<f64>,
    }
}

/// What this stage makes.
#[derive(Debug, Clone, PartialEq)]
pub struct Bootstrap {
    /// How the intervals were made.
    pub settings: Settings,
    /// The overall accuracy of each resample.
    pub resamples: Vec<Resample>,
    /// Every group's interval.
    pub intervals: Vec<GroupInterval>,
}

/// The scores of predictions, in order of their image ids.
fn scores(predictions: &[&Prediction]) -> Vec<f32> {
    let mut predictions = predictions.to_vec();
    predictions.sort_by(|a, b| a.img_id.cmp(&b.img_id));
    #[expect(clippy::cast_possible_truncation, reason = "a score is 0 or 1")]
    predictions.iter().map(|row| row.score as f32).collect()
}

impl BootstrapStage<'_> {
    /// The intervals of every group, and of all rows together the mean of each resample.
    fn resample_all(
        &self,
        groups: &[Group<'_>],
        tasks: &BTreeMap<&str, Vec<&Prediction>>,
        context: Context<'_>,
    ) -> Result<(Vec<GroupInterval>, Vec<f32>), Error> {
        let Settings {
            resamples, seed, ..
        } = self.settings;
        let within_tasks: Vec<Result<_, Error>> = tasks
            .par_iter()
            .map(|(&task, rows)| {
                let rows = scores(rows);
                let drawn = TaskResamples::draw(&rows, task, resamples, seed, context.interrupt)?;
                context.progress.tick(1);
                Ok((task, drawn))
            })
            .collect();
        let within_tasks = within_tasks.into_iter().collect::<Result<_, _>>()?;
        let resampled: Vec<Result<_, Error>> = groups
            .par_iter()
            .map(|group| {
                let (intervals, means) = self.resample(group, &within_tasks, context.interrupt)?;
                context.progress.tick(1);
                let is_overall = group.level == Level::Overall;
                Ok((intervals, is_overall.then_some(means)))
            })
            .collect();
        let (mut intervals, mut of_all_rows) = (Vec::with_capacity(groups.len()), Vec::new());
        for resampled in resampled {
            let (of_group, means) = resampled?;
            intervals.push(of_group);
            of_all_rows.extend(means.into_iter().flatten());
        }
        Ok((intervals, of_all_rows))
    }

    /// The intervals of one group, and the mean of all its rows in each resample.
    fn resample(
        &self,
        group: &Group<'_>,
        within_tasks: &BTreeMap<&str, TaskResamples>,
        interrupt: &Interrupt,
    ) -> Result<(GroupInterval, Vec<f32>), Error> {
        let Settings {
            resamples,
            alpha,
            seed,
        } = self.settings;
        let rows = scores(&group.predictions);
        let means = bootstrap_means(&rows, resamples, seed, interrupt)?;
        let all_rows = interval(&means, alpha)?;
        let n_right = rows.iter().filter(|score| **score > 0.0).count();
        let wilson = wilson(n_right as u64, rows.len() as u64, alpha);

        let (mut these, mut like_these) = (None, None);
        if group.level != Level::Task {
            let tasks = group.tasks();
            let within = tasks.keys().filter_map(|task| within_tasks.get(task));
            these = Some(interval(
                &task_bootstrap::means_over_tasks(&within.collect::<Vec<_>>()),
                alpha,
            )?);
            if tasks.len() > 1 {
                let accuracies = tasks.values().filter_map(|rows| {
                    accuracy::micro(&rows.iter().map(|row| row.score).collect::<Vec<_>>())
                });
                let accuracies: Vec<f64> = accuracies.collect();
                let means =
                    task_bootstrap::resample_tasks(&accuracies, resamples, seed, interrupt)?;
                like_these = Some(interval(&means, alpha)?);
            }
        }
        let intervals = GroupInterval {
            level: group.level.as_str().to_owned(),
            name: group.name.to_owned(),
            ci_low: all_rows.low,
            ci_high: all_rows.high,
            wilson_low: wilson.low,
            wilson_high: wilson.high,
            these_tasks_ci_low: these.map(|interval| interval.low),
            these_tasks_ci_high: these.map(|interval| interval.high),
            tasks_like_these_ci_low: like_these.map(|interval| interval.low),
            tasks_like_these_ci_high: like_these.map(|interval| interval.high),
        };
        Ok((intervals, means))
    }
}

impl Stage for BootstrapStage<'_> {
    const NAME: Name = Name::Bootstrap;
    const VERSION: u32 = 3;
    type Output = Bootstrap;

    fn request(&self) -> Request {
        KeyBuilder::new(Self::NAME.as_str(), Self::VERSION)
            .param("resamples", self.settings.resamples)
            .param("alpha", self.settings.alpha)
            .param("seed", self.settings.seed)
            .input(PREDICTIONS, self.probes.digest(PREDICTIONS))
            .finish()
    }

    fn run(&mut self, context: Context<'_>) -> Result<Bootstrap, Error> {
        let groups = groups(&self.probes.output.predictions);
        // The first group is of all rows.
        let tasks = groups.first().map(Group::tasks).unwrap_or_default();
        let n_steps = groups.len() + tasks.len();
        context.progress.start("bootstrapping", n_steps as u64);
        let resampled = self.resample_all(&groups, &tasks, context);
        context.progress.finish();
        let (intervals, means) = resampled?;
        let resample = |(resample, mean)| Resample {
            resample,
            score: f64::from(mean),
        };
        Ok(Bootstrap {
            settings: self.settings,
            resamples: (0..).zip(means).map(resample).collect(),
            intervals,
        })
    }

    fn encode(bootstrap: &Bootstrap) -> Result<Objects, Error> {
        Ok(Objects::from([
            table(BOOTSTRAP, &bootstrap.resamples)?,
            table(INTERVALS, &bootstrap.intervals)?,
        ]))
    }

    fn decode(&self, objects: &Objects) -> Result<Bootstrap, Error> {
        let resamples: Vec<Resample> = Self::NAME.rows(objects, BOOTSTRAP)?;
        let are_all = resamples.len() == self.settings.resamples;
        Self::NAME.ensure(are_all, "it has more or fewer resamples")?;
        let intervals: Vec<GroupInterval> = Self::NAME.rows(objects, INTERVALS)?;
        let found = intervals
            .iter()
            .map(|interval| (interval.level.as_str(), interval.name.as_str()));
        let expected = groups(&self.probes.output.predictions)
            .into_iter()
            .map(|group| (group.level.as_str(), group.name));
        let are_same = found.eq(expected);
        Self::NAME.ensure(are_same, "its groups are not those of the predictions")?;
        Ok(Bootstrap {
            settings: self.settings,
            resamples,
            intervals,
        })
    }
}
