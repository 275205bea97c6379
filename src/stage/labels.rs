//! Stage `labels`: the labels file, checked and typed.
//!
//! | reads | |
//! | --- | --- |
//! | `newt2021_labels.csv` | columns `id`, `task`, `task_cluster`, `task_subcluster`, `label`, `text_label`, `split` |
//!
//! | writes | |
//! | --- | --- |
//! | `labels.parquet` | [`Row`]s, in the order of the file |

use super::{Name, Objects, Stage, table};
use crate::artifact::rows;
use crate::cache::{Digest, KeyBuilder, Request};
use crate::context::Context;
use crate::error::Error;
use crate::newt::labels::{Csv, LabelRow, Labels, OtherSplits, Split};

/// The name of this stage's output.
pub const LABELS: &str = "labels.parquet";

rows! {
    /// A row of `labels.parquet`.
    pub struct Row {
        /// The image.
        pub img_id: String,
        /// Its task.
        pub task: String,
        /// The task's cluster.
        pub cluster: String,
        /// The task's subcluster, where it has one.
        pub subcluster: Option<String>,
        /// 0 or 1.
        pub label: i64,
        /// What people call the class, where the file says so.
        pub text_label: Option<String>,
        /// Whether the row trains; else it tests.
        pub is_train: bool,
    }
}

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
    const VERSION: u32 = 3;
    const IS_CHEAP: bool = true;
    type Output = Labels;

    fn request(&self) -> Request {
        KeyBuilder::new(Self::NAME.as_str(), Self::VERSION)
            .param("other_splits", self.other_splits)
            .input("labels.csv", self.digest)
            .finish()
    }

    fn run(&mut self, _context: Context<'_>) -> Result<Labels, Error> {
        let csv = Csv::parse(&self.file, &self.csv)?;
        Ok(Labels::from_csv(&csv, &self.file, self.other_splits)?)
    }

    fn encode(labels: &Labels) -> Result<Objects, Error> {
        let row = |row: &LabelRow| Row {
            img_id: row.id.clone(),
            task: row.task.clone(),
            cluster: row.cluster.clone(),
            subcluster: row.subcluster.clone(),
            label: row.label.into(),
            text_label: row.text_label.clone(),
            is_train: row.split == Split::Train,
        };
        let rows: Vec<Row> = labels.rows.iter().map(row).collect();
        Ok(Objects::from([table(LABELS, &rows)?]))
    }

    fn decode(&self, objects: &Objects) -> Result<Labels, Error> {
        let rows: Vec<Row> = Self::NAME.rows(objects, LABELS)?;
        Self::NAME.ensure(!rows.is_empty(), "it has no rows")?;
        let are_binary = rows.iter().all(|row| matches!(row.label, 0 | 1));
        Self::NAME.ensure(are_binary, "a label is neither 0 nor 1")?;
        let row = |row: Row| LabelRow {
            id: row.img_id,
            task: row.task,
            cluster: row.cluster,
            subcluster: row.subcluster,
            label: u8::from(row.label == 1),
            text_label: row.text_label,
            split: if row.is_train {
                Split::Train
            } else {
                Split::Test
            },
        };
        Ok(Labels {
            rows: rows.into_iter().map(row).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interrupt::Interrupt;
    use crate::progress::Silent;

    const CSV: &str = "id,task,task_cluster,task_subcluster,label,split,text_label,note\n\
        a,t,c,s,0,train,no,x\nb,t,c,s,1,train,yes,\nc,t,c,s,0,test,,\nd,u,c,,0,train,,\ne,u,c,nan,1,train,,\nf,u,c,,1,test,,\n";

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
