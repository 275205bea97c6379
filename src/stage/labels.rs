//! Stage `labels`: the labels file, checked and typed.
//!
//! | reads | |
//! | --- | --- |
//! | `newt2021_labels.csv` | columns `id`, `task`, `task_cluster`, `task_subcluster`, `label`, `split` |
//!
//! | writes `labels.parquet` | type | |
//! | --- | --- | --- |
//! | `img_id` | string | |
//! | `task` | string | |
//! | `cluster` | string | |
//! | `subcluster` | string | null where none |
//! | `label` | u32 | 0 or 1 |
//! | `is_train` | bool | |

use super::{Name, Objects, Stage, ensure, part};
use crate::artifact::Table;
use crate::cache::{Digest, KeyBuilder, Request};
use crate::context::Context;
use crate::error::Error;
use crate::newt::labels::{Csv, LabelRow, Labels, OtherSplits, Split};

/// The name of this stage's output.
pub const LABELS: &str = "labels.parquet";

/// The bytes of a labels file, and how messages call it.
#[derive(Debug)]
pub struct LabelsStage {
    csv: Vec<u8>,
    digest: Digest,
    file: String,
    other_splits: OtherSplits,
}

impl LabelsStage {
    /// `csv`: the file's bytes; `file`: its path, for messages; `other_splits`: what rows do that are neither of the
    /// split `train` nor of `test`.
    pub fn new(csv: Vec<u8>, file: String, other_splits: OtherSplits) -> Self {
        Self {
            digest: Digest::of(&csv),
            csv,
            file,
            other_splits,
        }
    }
}

impl Stage for LabelsStage {
    const NAME: Name = Name::Labels;
    const VERSION: u32 = 1;
    const IS_CHEAP: bool = true;
    type Output = Labels;

    fn request(&self) -> Request {
        KeyBuilder::new(Self::NAME.as_str(), Self::VERSION)
            .param("other_splits", self.other_splits)
            .input("labels.csv", self.digest)
            .finish()
    }

    fn run(&self, _context: Context<'_>) -> Result<Labels, Error> {
        let csv = Csv::parse(&self.file, &self.csv)?;
        Ok(Labels::from_csv(&csv, &self.file, self.other_splits)?)
    }

    fn encode(labels: &Labels) -> Result<Objects, Error> {
        let rows = &labels.rows;
        let table = Table::new()
            .str("img_id", rows.iter().map(|row| row.id.as_str()))
            .str("task", rows.iter().map(|row| row.task.as_str()))
            .str("cluster", rows.iter().map(|row| row.cluster.as_str()))
            .opt_str(
                "subcluster",
                rows.iter().map(|row| row.subcluster.as_deref()),
            )
            .u8("label", rows.iter().map(|row| row.label))
            .bool("is_train", rows.iter().map(|row| row.split == Split::Train));
        Ok(Objects::from([(LABELS.to_owned(), table.to_parquet()?)]))
    }

    fn decode(&self, objects: &Objects) -> Result<Labels, Error> {
        let table = Table::from_parquet(part(objects, Self::NAME, LABELS)?)?;
        let (ids, tasks, clusters) = (
            table.get_str("img_id")?,
            table.get_str("task")?,
            table.get_str("cluster")?,
        );
        let (subclusters, labels, is_train) = (
            table.get_opt_str("subcluster")?,
            table.get_u8("label")?,
            table.get_bool("is_train")?,
        );
        ensure(!ids.is_empty(), Self::NAME, "it has no rows")?;
        let is_class = |label: &u8| *label <= 1;
        ensure(
            labels.iter().all(is_class),
            Self::NAME,
            "a label is neither 0 nor 1",
        )?;
        let rows = (0..ids.len())
            .map(|row| LabelRow {
                id: ids[row].clone(),
                task: tasks[row].clone(),
                cluster: clusters[row].clone(),
                subcluster: subclusters[row].clone(),
                label: labels[row],
                split: if is_train[row] {
                    Split::Train
                } else {
                    Split::Test
                },
            })
            .collect();
        Ok(Labels { rows })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interrupt::Interrupt;
    use crate::progress::Silent;

    const CSV: &str = "id,task,task_cluster,task_subcluster,label,split,note\n\
        a,t,c,s,0,train,x\nb,t,c,s,1,train,\nc,t,c,s,0,test,\nd,u,c,,0,train,\ne,u,c,nan,1,train,\nf,u,c,,1,test,\n";

    fn stage(csv: &str) -> LabelsStage {
        let file = "labels.csv".to_owned();
        LabelsStage::new(csv.as_bytes().to_vec(), file, OtherSplits::Refuse)
    }

    fn run(csv: &str) -> Labels {
        stage(csv)
            .run(Context {
                progress: &Silent,
                interrupt: &Interrupt::default(),
            })
            .unwrap()
    }

    #[test]
    fn a_stored_table_reads_back_as_it_was() {
        let labels = run(CSV);
        assert_eq!(
            stage(CSV)
                .decode(&LabelsStage::encode(&labels).unwrap())
                .unwrap(),
            labels
        );
    }

    #[test]
    fn a_changed_comment_column_changes_the_key_and_not_the_output() {
        let other = CSV.replace(",x\n", ",y\n");
        assert_ne!(stage(CSV).request().key, stage(&other).request().key);
        assert_eq!(
            LabelsStage::encode(&run(CSV)).unwrap(),
            LabelsStage::encode(&run(&other)).unwrap()
        );
    }
}
