//! Stage `report`: accuracies.
//!
//! | reads | |
//! | --- | --- |
//! | `predictions.parquet` | of stage `probes` |
//!
//! | writes | |
//! | --- | --- |
//! | `report.parquet` | [`Accuracy`]s, the coarsest level first, groups by first appearance |

use indexmap::IndexMap;
use strum::VariantArray;

use super::probes::{PREDICTIONS, Prediction, Probes};
use super::{Made, Name, Objects, Stage, table};
use crate::artifact::{number, rows};
use crate::cache::{KeyBuilder, Request};
use crate::context::Context;
use crate::error::Error;
use crate::stats::accuracy;

/// The name of this stage's output.
pub const REPORT: &str = "report.parquet";

/// Scores predictions at every level.
pub struct ReportStage<'a> {
    /// The predictions.
    pub probes: &'a Made<Probes>,
}

/// How far rows are put together, the coarsest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "lowercase")]
pub enum Level {
    /// All of them.
    Overall,
    /// By cluster.
    Cluster,
    /// By subcluster; rows without one are in none.
    Subcluster,
    /// By task.
    Task,
}

impl Level {
    /// The level as text.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The group of this level that a task belongs to, and all that is its.
    pub fn group<'a>(
        self,
        task: &'a str,
        cluster: &'a str,
        subcluster: Option<&'a str>,
    ) -> Option<&'a str> {
        match self {
            Level::Overall => Some("all"),
            Level::Cluster => Some(cluster),
            Level::Subcluster => subcluster,
            Level::Task => Some(task),
        }
    }
}

/// The predictions of one group, for whatever is computed group by group.
#[derive(Debug)]
pub struct Group<'a> {
    /// The group's level.
    pub level: Level,
    /// Its name.
    pub name: &'a str,
    /// Its predictions, in their order.
    pub predictions: Vec<&'a Prediction>,
}

/// The groups of every level, the coarsest level first, groups by first appearance.
pub fn groups(predictions: &[Prediction]) -> Vec<Group<'_>> {
    let mut all = Vec::new();
    for &level in Level::VARIANTS {
        let mut groups: IndexMap<&str, Group<'_>> = IndexMap::new();
        for prediction in predictions {
            let (task, cluster) = (&prediction.task, &prediction.cluster);
            if let Some(name) = level.group(task, cluster, prediction.subcluster.as_deref()) {
                let group = groups.entry(name).or_insert_with(|| Group {
                    level,
                    name,
                    predictions: Vec::new(),
                });
                group.predictions.push(prediction);
            }
        }
        all.extend(groups.into_values());
    }
    all
}

rows! {
    /// The accuracy of one group.
    #[derive(Debug, Clone, PartialEq)]
    pub struct Accuracy {
        /// The group's level: `overall`, `cluster`, `subcluster` or `task`.
        pub level: String,
        /// Its name; `all` at the level `overall`.
        pub name: String,
        /// Its test rows.
        pub n: i64,
        /// The share of right predictions among them: `BioBench`'s number.
        pub accuracy: f64,
        /// The mean over its tasks: the number of NeWT's paper.
        pub mean_task_accuracy: f64,
    }
}

/// What this stage makes: every group's accuracy, the overall one first. It is never empty, as a
/// sample without test rows is refused.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// One per group.
    pub groups: Vec<Accuracy>,
}

impl Report {
    /// All test rows together: the group that every report begins with.
    pub fn overall(&self) -> &Accuracy {
        &self.groups[0]
    }

    /// The groups of one level.
    pub fn level(&self, level: Level) -> impl Iterator<Item = &Accuracy> {
        self.groups
            .iter()
            .filter(move |group| group.level == level.as_str())
    }
}

impl Stage for ReportStage<'_> {
    const NAME: Name = Name::Report;
    const VERSION: u32 = 2;
    type Output = Report;

    fn request(&self) -> Request {
        KeyBuilder::new(Self::NAME.as_str(), Self::VERSION)
            .input(PREDICTIONS, self.probes.digest(PREDICTIONS))
            .finish()
    }

    fn run(&mut self, _context: Context<'_>) -> Result<Report, Error> {
        let groups = groups(&self.probes.output.predictions)
            .into_iter()
            .map(|group| {
                let scores: Vec<(&str, f64)> = group
                    .predictions
                    .iter()
                    .map(|row| (row.task.as_str(), row.score))
                    .collect();
                let plain: Vec<f64> = scores.iter().map(|(_, score)| *score).collect();
                Accuracy {
                    level: group.level.as_str().to_owned(),
                    name: group.name.to_owned(),
                    n: number(scores.len()),
                    // A group exists by the predictions in it.
                    accuracy: accuracy::micro(&plain).unwrap_or(0.0),
                    mean_task_accuracy: accuracy::mean_over_tasks(&scores).unwrap_or(0.0),
                }
            })
            .collect();
        Ok(Report { groups })
    }

    fn encode(report: &Report) -> Result<Objects, Error> {
        Ok(Objects::from([table(REPORT, &report.groups)?]))
    }

    fn decode(&self, objects: &Objects) -> Result<Report, Error> {
        let groups: Vec<Accuracy> = Self::NAME.rows(objects, REPORT)?;
        let expected = self::groups(&self.probes.output.predictions);
        let is = |(found, expected): (&Accuracy, &Group<'_>)| {
            found.level == expected.level.as_str()
                && found.name == expected.name
                && found.n == number(expected.predictions.len())
        };
        Self::NAME.ensure(
            groups.len() == expected.len() && groups.iter().zip(&expected).all(is),
            "its groups are not those of the predictions",
        )?;
        Ok(Report { groups })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::interrupt::Interrupt;
    use crate::newt::labels::{LabelRow, Split};
    use crate::progress::Silent;

    fn prediction(task: &str, subcluster: Option<&str>, right: bool) -> Prediction {
        let row = LabelRow {
            id: "i".to_owned(),
            task: task.to_owned(),
            cluster: "c".to_owned(),
            subcluster: subcluster.map(str::to_owned),
            label: 1,
            text_label: None,
            split: Split::Test,
        };
        Prediction::new(&row, u8::from(right), 0.0)
    }

    #[test]
    fn the_mean_over_rows_and_the_mean_over_tasks_differ_where_tasks_differ_in_size() {
        let predictions = vec![
            prediction("big", None, true),
            prediction("big", None, true),
            prediction("big", None, true),
            prediction("small", Some("s"), false),
        ];
        let probes = Made {
            output: Probes {
                predictions,
                tasks: Vec::new(),
                candidates: Vec::new(),
                fitted: None,
                warnings: Vec::new(),
            },
            digests: BTreeMap::new(),
        };
        let context = Context {
            progress: &Silent,
            interrupt: &Interrupt::default(),
        };
        let mut stage = ReportStage { probes: &probes };
        let report = stage.run(context).unwrap();
        let overall = &report.groups[0];
        assert_eq!(
            (overall.n, overall.accuracy, overall.mean_task_accuracy),
            (4, 0.75, 0.5)
        );
        let names: Vec<(&str, &str)> = report
            .groups
            .iter()
            .map(|group| (group.level.as_str(), group.name.as_str()))
            .collect();
        assert_eq!(
            names,
            [
                ("overall", "all"),
                ("cluster", "c"),
                ("subcluster", "s"),
                ("task", "big"),
                ("task", "small")
            ]
        );
        let encoded = ReportStage::encode(&report).unwrap();
        assert_eq!(stage.decode(&encoded).unwrap(), report);
        let fewer = Report {
            groups: report.groups[..4].to_vec(),
        };
        let error = stage.decode(&ReportStage::encode(&fewer).unwrap());
        assert_eq!(
            error.unwrap_err().to_string(),
            "stage `report`: the stored output belongs to other inputs: its groups are not those of the predictions"
        );
    }
}
