//! What a check says.

use serde::Serialize;

use super::super::published::Identity;

/// How closely images are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Depth {
    /// That they are there, and whole by their headers.
    Headers,
    /// That they decode.
    Full,
}

/// What a copy of the data set holds, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The data root.
    pub root: String,
    /// How closely images were looked at.
    pub depth: Depth,
    /// What the labels file names; absent where it is refused, and images are then not looked at.
    pub counts: Option<Counts>,
    /// Whether it is the NeWT that published scores are about; absent where the labels file is refused.
    pub newt: Option<Identity>,
    /// What keeps the data set, or a part of it, from being used; labels first, in file order.
    pub problems: Vec<Problem>,
    /// What the user may want to know; each a sentence without a full stop.
    pub notes: Vec<String>,
}

/// How much there is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Rows of the labels file, one per image.
    pub n_rows: usize,
    /// Rows that train.
    pub n_train_rows: usize,
    /// Rows that test.
    pub n_test_rows: usize,
    /// Tasks.
    pub n_tasks: usize,
    /// The clusters, in order of first appearance.
    pub clusters: Vec<Cluster>,
    /// The size of all images that could be read.
    pub image_bytes: u64,
}

/// How much of it is in one cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cluster {
    /// The cluster's name.
    pub name: String,
    /// Its tasks.
    pub n_tasks: usize,
    /// Its rows that train.
    pub n_train_rows: usize,
    /// Its rows that test.
    pub n_test_rows: usize,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// What sort of thing.
    pub kind: Kind,
    /// Where, below the data root: `newt2021_labels.csv:7`, `newt2021_images/<id>.jpg`.
    pub place: String,
    /// What is wrong there.
    pub message: String,
}

/// The sorts of problems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A row, a task or the whole labels file breaks a rule.
    Labels,
    /// An image is not there.
    Missing,
    /// The file system does not give an image.
    Unreadable,
    /// An image is empty, cut short, or cannot be decoded.
    Damaged,
}

impl Report {
    /// Whether nothing is wrong; notes do not count.
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_serialises_under_stable_names() {
        let report = Report {
            root: "data/newt".to_owned(),
            depth: Depth::Headers,
            counts: None,
            newt: None,
            problems: vec![Problem {
                kind: Kind::Missing,
                place: "newt2021_images/a.jpg".to_owned(),
                message: "missing".to_owned(),
            }],
            notes: Vec::new(),
        };
        assert_eq!(
            serde_json::to_string(&report).unwrap(),
            r#"{"root":"data/newt","depth":"headers","counts":null,"newt":null,"problems":[{"kind":"missing","place":"newt2021_images/a.jpg","message":"missing"}],"notes":[]}"#
        );
    }
}
