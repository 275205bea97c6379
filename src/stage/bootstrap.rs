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
//! group's rows alone: the same seed, and draws among those rows.
//!
//! Scores are resampled in the order of their image ids. Where `n_train` takes all rows, the reference's scores stand
//! under other ids (see [`super::probes`]), so the same draws choose other scores, and its intervals differ from these
//! as those of another seed would.

use rayon::prelude::*;
use serde::{Deserialize, Deserializer, Serialize};

use super::probes::{PREDICTIONS, Probes};
use super::report::{Group, groups};
use super::{Made, Name, Objects, Stage, table};
use crate::artifact::rows;
use crate::cache::{KeyBuilder, Request};
use crate::context::Context;
use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::setting;
use crate::stats::bootstrap::{Interval, bootstrap_means, interval};

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
    /// The interval of one group.
    #[derive(Debug, Clone, PartialEq)]
    pub struct GroupInterval {
        /// The group's level.
        pub level: String,
        /// Its name.
        pub name: String,
        /// The interval's lower end.
        pub ci_low: f64,
        /// Its upper end.
        pub ci_high: f64,
    }
}

/// What this stage makes.
#[derive(Debug, Clone, PartialEq)]
pub struct Bootstrap {
    /// The overall accuracy of each resample.
    pub resamples: Vec<Resample>,
    /// Every group's interval.
    pub intervals: Vec<GroupInterval>,
}

impl BootstrapStage<'_> {
    /// The means of all resamples of one group, whose scores are put in order of the image ids.
    fn means(&self, group: &Group<'_>, interrupt: &Interrupt) -> Result<Vec<f32>, Error> {
        let mut predictions = group.predictions.clone();
        predictions.sort_by(|a, b| a.img_id.cmp(&b.img_id));
        #[expect(clippy::cast_possible_truncation, reason = "a score is 0 or 1")]
        let scores: Vec<f32> = predictions.iter().map(|row| row.score as f32).collect();
        bootstrap_means(
            &scores,
            self.settings.resamples,
            self.settings.seed,
            interrupt,
        )
    }
}

impl Stage for BootstrapStage<'_> {
    const NAME: Name = Name::Bootstrap;
    const VERSION: u32 = 2;
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
        context.progress.start("bootstrapping", groups.len() as u64);
        let resampled: Vec<Result<(Vec<f32>, Interval), Error>> = groups
            .par_iter()
            .map(|group| {
                let means = self.means(group, context.interrupt)?;
                let interval = interval(&means, self.settings.alpha)?;
                context.progress.tick(1);
                Ok((means, interval))
            })
            .collect();
        context.progress.finish();
        let mut bootstrap = Bootstrap {
            resamples: Vec::new(),
            intervals: Vec::with_capacity(groups.len()),
        };
        for (index, (group, resampled)) in groups.iter().zip(resampled).enumerate() {
            let (means, interval) = resampled?;
            if index == 0 {
                let resample = |(resample, mean)| Resample {
                    resample,
                    score: f64::from(mean),
                };
                bootstrap.resamples = (0..).zip(means).map(resample).collect();
            }
            bootstrap.intervals.push(GroupInterval {
                level: group.level.as_str().to_owned(),
                name: group.name.to_owned(),
                ci_low: interval.low,
                ci_high: interval.high,
            });
        }
        Ok(bootstrap)
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
            resamples,
            intervals,
        })
    }
}
