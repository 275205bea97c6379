//! Stage `bootstrap`: resampled accuracies and percentile intervals.
//!
//! | reads | |
//! | --- | --- |
//! | `predictions.parquet` | of stage `probes` |
//!
//! | writes `bootstrap.parquet` | type | |
//! | --- | --- | --- |
//! | `resample` | u32 | from 0 |
//! | `score` | f64 | the mean over all test rows, a float32 in the reference |
//!
//! | writes `intervals.parquet` | type | |
//! | --- | --- | --- |
//! | `level`, `name` | string | the groups of stage `report`, in its order |
//! | `ci_low`, `ci_high` | f64 | |
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
use super::{Made, Name, Objects, Stage, ensure, part};
use crate::artifact::Table;
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

/// What this stage makes.
#[derive(Debug, Clone, PartialEq)]
pub struct Bootstrap {
    /// The overall accuracy of each resample.
    pub scores: Vec<f64>,
    /// Level, name and interval of every group, in the report's order.
    pub intervals: Vec<(String, String, Interval)>,
}

impl BootstrapStage<'_> {
    /// The means of all resamples of one group, whose scores are put in order of the image ids.
    fn means(&self, group: &Group<'_>, interrupt: &Interrupt) -> Result<Vec<f32>, Error> {
        let mut predictions = group.predictions.clone();
        predictions.sort_by(|a, b| a.img_id.cmp(&b.img_id));
        #[expect(clippy::cast_possible_truncation, reason = "a score is 0 or 1")]
        let scores: Vec<f32> = predictions.iter().map(|row| row.score() as f32).collect();
        Ok(bootstrap_means(
            &scores,
            self.settings.resamples,
            self.settings.seed,
            interrupt,
        )?)
    }
}

impl Stage for BootstrapStage<'_> {
    const NAME: Name = Name::Bootstrap;
    const VERSION: u32 = 1;
    type Output = Bootstrap;

    fn request(&self) -> Request {
        KeyBuilder::new(Self::NAME.as_str(), Self::VERSION)
            .param("resamples", self.settings.resamples)
            .param("alpha", self.settings.alpha)
            .param("seed", self.settings.seed)
            .input(PREDICTIONS, self.probes.digest(PREDICTIONS))
            .finish()
    }

    fn run(&self, context: Context<'_>) -> Result<Bootstrap, Error> {
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
            scores: Vec::new(),
            intervals: Vec::with_capacity(groups.len()),
        };
        for (index, (group, resampled)) in groups.iter().zip(resampled).enumerate() {
            let (means, interval) = resampled?;
            if index == 0 {
                bootstrap.scores = means.into_iter().map(f64::from).collect();
            }
            bootstrap
                .intervals
                .push((group.level.to_string(), group.name.to_owned(), interval));
        }
        Ok(bootstrap)
    }

    fn encode(bootstrap: &Bootstrap) -> Result<Objects, Error> {
        let intervals = &bootstrap.intervals;
        let table = Table::new()
            .str("level", intervals.iter().map(|(level, ..)| level.as_str()))
            .str("name", intervals.iter().map(|(_, name, _)| name.as_str()))
            .f64(
                "ci_low",
                intervals.iter().map(|(.., interval)| interval.low),
            )
            .f64(
                "ci_high",
                intervals.iter().map(|(.., interval)| interval.high),
            );
        Ok(Objects::from([
            (
                BOOTSTRAP.to_owned(),
                resample_columns(Table::new(), &bootstrap.scores).to_parquet()?,
            ),
            (INTERVALS.to_owned(), table.to_parquet()?),
        ]))
    }

    fn decode(&self, objects: &Objects) -> Result<Bootstrap, Error> {
        let scores =
            Table::from_parquet(part(objects, Self::NAME, BOOTSTRAP)?)?.get_f64("score")?;
        let are_all = scores.len() == self.settings.resamples;
        ensure(are_all, Self::NAME, "it has more or fewer resamples")?;
        let table = Table::from_parquet(part(objects, Self::NAME, INTERVALS)?)?;
        let (level, name, low, high) = (
            table.get_str("level")?,
            table.get_str("name")?,
            table.get_f64("ci_low")?,
            table.get_f64("ci_high")?,
        );
        let intervals: Vec<(String, String, Interval)> = (0..level.len())
            .map(|row| {
                (
                    level[row].clone(),
                    name[row].clone(),
                    Interval {
                        low: low[row],
                        high: high[row],
                    },
                )
            })
            .collect();
        let groups = groups(&self.probes.output.predictions);
        let is_of_group = |((level, name, _), group): (&(String, String, Interval), &Group<'_>)| {
            level == group.level.as_str() && name == group.name
        };
        ensure(
            intervals.len() == groups.len() && intervals.iter().zip(&groups).all(is_of_group),
            Self::NAME,
            "its groups are not those of the predictions",
        )?;
        Ok(Bootstrap { scores, intervals })
    }
}

/// `table` with the columns of `bootstrap.parquet` added.
pub fn resample_columns(table: Table, scores: &[f64]) -> Table {
    table
        .u32(
            "resample",
            (0_u32..).zip(scores).map(|(resample, _)| resample),
        )
        .f64("score", scores.iter().copied())
}
