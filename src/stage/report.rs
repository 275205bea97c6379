//! Stage `report`: accuracies and areas under ROC curves.
//!
//! | reads | |
//! | --- | --- |
//! | `predictions.parquet` | of stage `probes` |
//!
//! | writes | |
//! | --- | --- |
//! | `report.parquet` | [`Accuracy`]s, the coarsest level first, groups by first appearance |

use std::collections::BTreeMap;

use indexmap::IndexMap;
use strum::VariantArray;

use super::probes::{PREDICTIONS, Prediction, Probes};
use super::{Made, Name, Objects, Stage, table};
use crate::artifact::{number, rows};
use crate::cache::{KeyBuilder, Request};
use crate::context::Context;
use crate::error::Error;
use crate::stats::accuracy;
use crate::stats::auroc::auroc;

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

impl<'a> Group<'a> {
    /// Its tasks, in order of their names, with their predictions.
    pub fn tasks(&self) -> BTreeMap<&'a str, Vec<&'a Prediction>> {
        let mut tasks: BTreeMap<&str, Vec<&Prediction>> = BTreeMap::new();
        for prediction in &self.predictions {
            let task = tasks.entry(&prediction.task).or_default();
            task.push(prediction);
        }
        tasks
    }
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
        /// Its tasks.
        pub n_tasks: i64,
        /// The mean over its tasks: the number of NeWT's paper.
        pub mean_task_accuracy: f64,
        /// Of a task, the area under the ROC curve of its decision values; missing where its test rows have one label.
        /// Decision values of different tasks cannot be compared, so wider groups have none.
        pub auroc: Option<f64>,
        /// The mean of the areas of its tasks, of those that have one.
        pub mean_task_auroc: Option<f64>,
    }
}

impl Accuracy {
    fn of(group: &Group<'_>) -> Self {
        let scores: Vec<(&str, f64)> = group
            .predictions
            .iter()
            .map(|row| (row.task.as_str(), row.score))
            .collect();
        let plain: Vec<f64> = scores.iter().map(|(_, score)| *score).collect();
        let tasks = group.tasks();
        let areas = tasks.values().filter_map(|rows| {
            let of = |row: &&Prediction| (row.decision, row.y_true == 1);
            auroc(&rows.iter().map(of).collect::<Vec<_>>())
        });
        let mean_task_auroc = accuracy::micro(&areas.collect::<Vec<_>>());
        Self {
            level: group.level.as_str().to_owned(),
            name: group.name.to_owned(),
            n: number(scores.len()),
            // A group exists by the predictions in it.
            accuracy: accuracy::micro(&plain).unwrap_or(0.0),
            n_tasks: number(tasks.len()),
            mean_task_accuracy: accuracy::mean_over_tasks(&scores).unwrap_or(0.0),
            auroc: mean_task_auroc.filter(|_| group.level == Level::Task),
            mean_task_auroc,
        }
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
    const VERSION: u32 = 3;
    type Output = Report;

    fn request(&self) -> Request {
        KeyBuilder::new(Self::NAME.as_str(), Self::VERSION)
            .input(PREDICTIONS, self.probes.digest(PREDICTIONS))
            .finish()
    }

    fn run(&mut self, _context: Context<'_>) -> Result<Report, Error> {
        let groups = groups(&self.probes.output.predictions)
            .iter()
            .map(Accuracy::of)
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
        let label = 1;
        decided(task, subcluster, label, if right { 0.5 } else { -0.5 })
    }

    fn decided(task: &str, subcluster: Option<&str>, label: u8, decision: f64) -> Prediction {
        let row = LabelRow {
            id: "i".to_owned(),
            task: task.to_owned(),
            cluster: "c".to_owned(),
            subcluster: subcluster.map(str::to_owned),
            label,
            text_label: None,
            split: Split::Test,
        };
        Prediction::new(&row, u8::from(decision > 0.0), decision)
    }

    fn probes_of(predictions: Vec<Prediction>) -> Made<Probes> {
        Made {
            output: Probes {
                predictions,
                tasks: Vec::new(),
                candidates: Vec::new(),
                fitted: None,
                warnings: Vec::new(),
            },
            digests: BTreeMap::new(),
        }
    }

    #[test]
    fn the_mean_over_rows_and_the_mean_over_tasks_differ_where_tasks_differ_in_size() {
        let predictions = vec![
            prediction("big", None, true),
            prediction("big", None, true),
            prediction("big", None, true),
            prediction("small", Some("s"), false),
        ];
        let probes = probes_of(predictions);
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

    #[test]
    fn a_task_has_an_area_where_it_has_both_labels_and_wider_groups_the_mean_of_those() {
        let mut predictions = vec![prediction("one_label", None, true)];
        let rows = [(1, 0.25), (0, 0.5), (1, 0.75), (0, 0.25)];
        predictions.extend(rows.map(|(label, decision)| decided("both", None, label, decision)));
        let all_right = [(1, 0.25), (0, -0.5)];
        predictions
            .extend(all_right.map(|(label, decision)| decided("right", None, label, decision)));
        let areas = |group: &Group<'_>| {
            let Accuracy {
                auroc,
                mean_task_auroc,
                n_tasks,
                ..
            } = Accuracy::of(group);
            (n_tasks, auroc, mean_task_auroc)
        };
        let found: Vec<_> = groups(&predictions).iter().map(areas).collect();
        // Of four pairs of `both`: two in order, one tie.
        let both = Some(2.5 / 4.0);
        let mean = Some(f64::midpoint(0.625, 1.0));
        let expected = [
            (3, None, mean),
            (3, None, mean),
            (1, None, None),
            (1, both, both),
            (1, Some(1.0), Some(1.0)),
        ];
        assert_eq!(found, expected);
    }
}
