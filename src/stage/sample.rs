//! Stage `sample`: the rows that take part.
//!
//! | reads | |
//! | --- | --- |
//! | `labels.parquet` | of stage `labels` |
//!
//! | writes | |
//! | --- | --- |
//! | `sample.parquet` | [`Row`]s, in the reference's order |

use serde_json::json;

use super::labels::LABELS;
use super::{Made, Name, Objects, Stage, TaskFilter, table};
use crate::artifact::{number, rows};
use crate::cache::{KeyBuilder, Request};
use crate::context::Context;
use crate::error::Error;
use crate::newt::labels::{LabelRow, Labels, Split};
use crate::newt::sampling::{self, NTrain};

/// The name of this stage's output.
pub const SAMPLE: &str = "sample.parquet";

rows! {
    /// A row of `sample.parquet`.
    pub struct Row {
        /// An index into the labels' rows.
        pub row: i64,
    }
}

/// Draws train rows per task.
#[derive(Debug)]
pub struct SampleStage<'a> {
    /// The labels.
    pub labels: &'a Made<Labels>,
    /// Train rows per task.
    pub n_train: NTrain,
    /// Seed of the draw.
    pub seed: u64,
    /// Which tasks are kept after the draw, which is always made for all of them.
    pub tasks: Option<&'a TaskFilter>,
}

/// Indices into the labels' rows: all test rows, then the train rows task by task; or, without a
/// draw, all rows in file order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// The indices.
    pub rows: Vec<usize>,
}

impl Stage for SampleStage<'_> {
    const NAME: Name = Name::Sample;
    const VERSION: u32 = 2;
    const IS_CHEAP: bool = true;
    type Output = Sample;

    fn request(&self) -> Request {
        // Without a draw the seed has no say.
        let draw = self.n_train.rows().map(|n_train| (n_train, self.seed));
        KeyBuilder::new(Self::NAME.as_str(), Self::VERSION)
            .param(
                "n_train",
                draw.map_or_else(|| json!("all"), |(n_train, _)| json!(n_train)),
            )
            .param("seed", draw.map(|(_, seed)| seed))
            .param("tasks", self.tasks.map(TaskFilter::to_string))
            .input(LABELS, self.labels.digest(LABELS))
            .finish()
    }

    fn run(&mut self, _context: Context<'_>) -> Result<Sample, Error> {
        let labels = &self.labels.output;
        let mut rows = sampling::sample(labels, self.n_train, self.seed);
        if let Some(filter) = self.tasks {
            rows.retain(|row| filter.matches(&labels.rows[*row].task));
        }
        Ok(Sample { rows })
    }

    fn encode(sample: &Sample) -> Result<Objects, Error> {
        let rows = sample.rows.iter().map(|row| Row { row: number(*row) });
        let rows: Vec<Row> = rows.collect();
        Ok(Objects::from([table(SAMPLE, &rows)?]))
    }

    fn decode(&self, objects: &Objects) -> Result<Sample, Error> {
        let stored: Vec<Row> = Self::NAME.rows(objects, SAMPLE)?;
        let labels = &self.labels.output.rows;
        let indices = stored.iter().map(|stored| usize::try_from(stored.row));
        let rows: Vec<usize> = indices
            .filter_map(Result::ok)
            .filter(|row| *row < labels.len())
            .collect();
        let are_of_labels = rows.len() == stored.len();
        Self::NAME.ensure(are_of_labels, "it has a row beyond the labels")?;
        let mut is_drawn = vec![false; labels.len()];
        for row in &rows {
            let is_second = std::mem::replace(&mut is_drawn[*row], true);
            Self::NAME.ensure(!is_second, "it has a row twice")?;
        }
        let fits = |(row, is_drawn): (&LabelRow, bool)| {
            let takes_part = self.tasks.is_none_or(|filter| filter.matches(&row.task));
            let is_needed = row.split == Split::Test || self.n_train.rows().is_none();
            if takes_part {
                is_drawn || !is_needed
            } else {
                !is_drawn
            }
        };
        let fit = labels.iter().zip(is_drawn).all(fits);
        Self::NAME.ensure(fit, "its rows are those of other tasks")?;
        Ok(Sample { rows })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::cache::Digest;
    use crate::interrupt::Interrupt;
    use crate::progress::Silent;

    fn labels() -> Made<Labels> {
        let row = |task: &str, index: usize, split| LabelRow {
            id: format!("{task}{index}"),
            task: task.to_owned(),
            cluster: "c".to_owned(),
            subcluster: None,
            label: u8::from(index % 2 == 1),
            text_label: None,
            split,
        };
        let rows = ["a", "b"]
            .into_iter()
            .flat_map(|task| {
                (0..20).map(move |index| {
                    row(
                        task,
                        index,
                        if index < 12 {
                            Split::Train
                        } else {
                            Split::Test
                        },
                    )
                })
            })
            .collect();
        Made {
            output: Labels { rows },
            digests: BTreeMap::from([(LABELS.to_owned(), Digest::of(b"labels"))]),
        }
    }

    fn stage<'a>(
        labels: &'a Made<Labels>,
        n_train: i64,
        seed: u64,
        tasks: Option<&'a TaskFilter>,
    ) -> SampleStage<'a> {
        SampleStage {
            labels,
            n_train: NTrain::new(n_train).unwrap(),
            seed,
            tasks,
        }
    }

    fn filter(pattern: &str) -> Option<TaskFilter> {
        TaskFilter::new(&[pattern.parse().unwrap()], &["a", "b"]).unwrap()
    }

    #[test]
    fn a_task_keeps_its_rows_when_others_are_left_out() {
        let labels = labels();
        let context = Context {
            progress: &Silent,
            interrupt: &Interrupt::default(),
        };
        let filter = filter("b");
        let all = stage(&labels, 4, 17, None).run(context).unwrap();
        let some = stage(&labels, 4, 17, filter.as_ref()).run(context).unwrap();
        let of_b: Vec<usize> = all
            .rows
            .into_iter()
            .filter(|row| labels.output.rows[*row].task == "b")
            .collect();
        assert_eq!(some.rows, of_b);
    }

    #[test]
    fn the_seed_matters_only_where_rows_are_drawn() {
        let labels = labels();
        let key = |n_train, seed| stage(&labels, n_train, seed, None).request().key;
        assert_eq!(key(-1, 17), key(0, 18));
        assert_ne!(key(4, 17), key(4, 18));
        assert_ne!(key(4, 17), key(5, 17));
    }

    #[test]
    fn only_a_sample_of_these_labels_and_tasks_is_read() {
        let labels = labels();
        let context = Context {
            progress: &Silent,
            interrupt: &Interrupt::default(),
        };
        let filter = filter("b");
        let mut of_b = stage(&labels, 4, 17, filter.as_ref());
        let all = stage(&labels, 4, 17, None);
        let sample = of_b.run(context).unwrap();
        let encode = |rows: &[usize]| {
            SampleStage::encode(&Sample {
                rows: rows.to_vec(),
            })
            .unwrap()
        };
        assert_eq!(of_b.decode(&encode(&sample.rows)).unwrap(), sample);
        let first = sample.rows[0];
        let cases: [(&SampleStage<'_>, Vec<usize>, &str); 5] = [
            (
                &all,
                sample.rows.clone(),
                "its rows are those of other tasks",
            ),
            (
                &of_b,
                stage(&labels, 4, 17, None).run(context).unwrap().rows,
                "its rows are those of other tasks",
            ),
            (
                &of_b,
                sample.rows[1..].to_vec(),
                "its rows are those of other tasks",
            ),
            (
                &of_b,
                [&sample.rows[..], &[first]].concat(),
                "it has a row twice",
            ),
            (
                &of_b,
                [&sample.rows[..], &[40]].concat(),
                "it has a row beyond the labels",
            ),
        ];
        for (stage, rows, expected) in cases {
            let error = stage.decode(&encode(&rows)).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("stage `sample`: the stored output belongs to other inputs: {expected}")
            );
        }
    }

    #[test]
    fn patterns_enter_the_key_by_their_text() {
        let labels = labels();
        let tasks = |filter: Option<&TaskFilter>| {
            stage(&labels, -1, 17, filter).request().params["tasks"].clone()
        };
        assert_eq!(tasks(None), serde_json::Value::Null);
        assert_eq!(tasks(filter("b").as_ref()), "b");
    }
}
