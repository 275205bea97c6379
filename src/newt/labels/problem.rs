//! What can be wrong with a labels file, and how it is said.

use std::fmt;

use super::{Malformed, OtherSplit, REQUIRED_COLUMNS};
use crate::error::{Failure, Fault};
use crate::text::{self, count, foreign};

/// How many problems a message spells out; [`Error::Problems`] holds all of them.
const SHOWN_PROBLEMS: usize = 10;

/// A labels file that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The file is no CSV that is read.
    #[error("{file}:{line}: {malformed}", file = text::path(file))]
    Malformed {
        /// The file, as the user knows it.
        file: String,
        /// The line.
        line: usize,
        /// What is wrong there.
        malformed: Malformed,
    },
    /// A column that the data set needs is not there.
    #[error("{file}:{line}: column `{column}` is missing, found {}", in_backticks(.found), file = text::path(file))]
    MissingColumn {
        /// The file, as the user knows it.
        file: String,
        /// The line of the header.
        line: usize,
        /// The missing column.
        column: &'static str,
        /// The columns of the file.
        found: Vec<String>,
    },
    /// There is a header and nothing below it.
    #[error("{file}: 0 rows below the header, expected one per image", file = text::path(file))]
    NoRows {
        /// The file, as the user knows it.
        file: String,
    },
    /// Rows that are said to be of other splits than `train` and `test`.
    #[error("{file}: `split` is {}, expected `train` or `test`", in_rows(.values), file = text::path(file))]
    OtherSplits {
        /// The file, as the user knows it.
        file: String,
        /// The values, in order of first appearance.
        values: Vec<OtherSplit>,
    },
    /// Rows or tasks that break a rule.
    #[error("{}", list(.file, .problems))]
    Problems {
        /// The file, as the user knows it.
        file: String,
        /// Every problem of one round, in file order: tasks are judged once all rows are sound.
        problems: Vec<Problem>,
    },
}

impl Error {
    /// One action that helps.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Malformed { malformed, .. } => Some(malformed.hint().to_owned()),
            Self::OtherSplits { .. } => Some(
                "correct these rows; or set `data.other_splits` to `test`, which tests on every row that does not train"
                    .to_owned(),
            ),
            Self::MissingColumn { column, found, .. } => Some(match nearest(column, found) {
                Some(name) => format!(
                    "if column {} holds it, rename that to `{column}`",
                    quoted(name)
                ),
                None => format!("the columns needed are {}", in_backticks(&REQUIRED_COLUMNS)),
            }),
            Self::NoRows { .. } => Some("get the labels file again, it looks cut short".to_owned()),
            Self::Problems { problems, .. } if problems.len() > SHOWN_PROBLEMS => {
                Some("`newt-pipe data check` lists all of them".to_owned())
            }
            Self::Problems { problems, .. } => problems.first().map(|first| first.flaw.hint()),
        }
    }
}

/// A row, or a task by its first row, that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The line of the file, from 1.
    pub line: usize,
    /// What is wrong.
    pub flaw: Flaw,
}

/// What can be wrong with a row or a task.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// A cell that must be filled is empty.
    #[error("`{column}` is empty, expected a value")]
    Empty {
        /// The cell's column.
        column: &'static str,
    },
    /// A cell begins or ends with white space.
    #[error("`{column}` is {}, expected {}", quoted(.found), quoted(.found.trim()))]
    Padded {
        /// The cell's column.
        column: &'static str,
        /// The cell.
        found: String,
    },
    /// An id cannot be the name of a file.
    #[error("id {} {because}, expected a plain file name without `.jpg`", quoted(.id))]
    NotAFileName {
        /// The id.
        id: String,
        /// What the id does that a file name must not.
        because: &'static str,
    },
    /// A label is neither 0 nor 1.
    #[error("label of image {} is {}, expected `0` or `1`", quoted(.id), quoted(.found))]
    Label {
        /// The row's id.
        id: String,
        /// The label.
        found: String,
    },
    /// An id occurs twice.
    #[error("id {} is used again, expected only on line {first_line}", quoted(.id))]
    DuplicateId {
        /// The id.
        id: String,
        /// Where it occurs first.
        first_line: usize,
    },
    /// A task has rows in two clusters.
    #[error(
        "task {} has `task_cluster` {}, expected {} as on line {first_line}",
        quoted(.task), quoted(.found), quoted(.expected)
    )]
    TwoClusters {
        /// The task.
        task: String,
        /// This row's cluster.
        found: String,
        /// The cluster of the task's first row.
        expected: String,
        /// The task's first row.
        first_line: usize,
    },
    /// A task has rows in two subclusters, or in one and in none.
    #[error(
        "task {} has {}, expected {} as on line {first_line}",
        quoted(.task), subcluster(.found.as_deref()), subcluster(.expected.as_deref())
    )]
    TwoSubclusters {
        /// The task.
        task: String,
        /// This row's subcluster.
        found: Option<String>,
        /// The subcluster of the task's first row.
        expected: Option<String>,
        /// The task's first row.
        first_line: usize,
    },
    /// A task that cannot be scored.
    #[error("task {}: {n_train_rows} train and 0 test rows, expected both", quoted(.task))]
    NoTestRows {
        /// The task.
        task: String,
        /// Its train rows.
        n_train_rows: usize,
    },
    /// A task on which no probe can be fitted.
    #[error("task {}: 0 train and {n_test_rows} test rows, expected both", quoted(.task))]
    NoTrainRows {
        /// The task.
        task: String,
        /// Its test rows.
        n_test_rows: usize,
    },
    /// A task whose train rows hold one class only.
    #[error(
        "task {}: all {n_train_rows} train rows have label {label}, an SVM needs both classes",
        quoted(.task)
    )]
    OneClass {
        /// The task.
        task: String,
        /// Its train rows.
        n_train_rows: usize,
        /// Their label.
        label: u8,
    },
}

impl Flaw {
    fn hint(&self) -> String {
        match self {
            Self::Empty { .. } => "fill the cell, or remove the row".to_owned(),
            Self::Padded { column, .. } => {
                format!("remove the white space around the value of `{column}`")
            }
            Self::NotAFileName { .. } => {
                "name the image file after a plain id, and use that id in the row".to_owned()
            }
            Self::Label { .. } => "every task is binary: number its two classes 0 and 1".to_owned(),
            Self::DuplicateId { .. } => {
                "remove one of the rows; an image in two tasks needs two ids and two files"
                    .to_owned()
            }
            Self::TwoClusters { .. } | Self::TwoSubclusters { .. } => {
                "correct the row, or give the task of the other group a name of its own".to_owned()
            }
            Self::NoTestRows { .. } | Self::NoTrainRows { .. } => {
                "set `split` to `train` in some of the task's rows and to `test` in the others"
                    .to_owned()
            }
            Self::OneClass { .. } => {
                "move rows of the other class to the train split, or remove the task".to_owned()
            }
        }
    }
}

/// The most similar of `names`, if one is similar enough to be meant.
fn nearest<'a>(wanted: &str, names: &'a [String]) -> Option<&'a str> {
    names
        .iter()
        .map(|name| {
            (
                strsim::jaro_winkler(wanted, &name.to_lowercase()),
                name.as_str(),
            )
        })
        .filter(|(similarity, _)| *similarity > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

/// One line where there is one problem; else a count and the first ten.
fn list(file: &str, problems: &[Problem]) -> String {
    let file = text::path(file);
    if let [only] = problems {
        return format!("{file}:{}: {}", only.line, only.flaw);
    }
    let mut lines = vec![format!("{file}: {} problems", problems.len())];
    let shown = problems.iter().take(SHOWN_PROBLEMS);
    lines.extend(shown.map(|problem| format!("  line {}: {}", problem.line, problem.flaw)));
    if problems.len() > SHOWN_PROBLEMS {
        lines.push(format!("  and {} more", problems.len() - SHOWN_PROBLEMS));
    }
    lines.join("\n")
}

/// Each value with the number of its rows, and where they begin.
fn in_rows(values: &[OtherSplit]) -> String {
    let shown = values.iter().take(SHOWN_PROBLEMS);
    let mut parts: Vec<String> = shown
        .map(|split| {
            let rows = count(split.n_rows, "row", "rows");
            let from = if split.n_rows == 1 {
                "line"
            } else {
                "from line"
            };
            format!(
                "{} in {rows} ({from} {})",
                quoted(&split.value),
                split.first_line
            )
        })
        .collect();
    if values.len() > SHOWN_PROBLEMS {
        parts.push(format!(
            "and {} other values",
            values.len() - SHOWN_PROBLEMS
        ));
    }
    parts.join(", ")
}

/// A value of the file in backticks.
fn quoted(value: &str) -> String {
    format!("`{}`", foreign(value))
}

fn subcluster(name: Option<&str>) -> String {
    name.map_or_else(
        || "no `task_subcluster`".to_owned(),
        |name| format!("`task_subcluster` {}", quoted(name)),
    )
}

/// The first of the names, and how many there are besides.
fn in_backticks<S: fmt::Display>(names: &[S]) -> String {
    const SHOWN: usize = 20;
    let shown = names.iter().take(SHOWN);
    let mut shown: Vec<_> = shown.map(|name| quoted(&name.to_string())).collect();
    if names.len() > SHOWN {
        shown.push(format!("and {} more", names.len() - SHOWN));
    }
    shown.join(", ")
}

impl Failure for Error {
    fn hint(&self) -> Option<String> {
        self.hint()
    }

    fn fault(&self) -> Fault {
        Fault::Data
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{NEWT, read};
    use super::*;

    /// The message and the hint for [`NEWT`] with one piece of text replaced.
    fn refused(from: &str, to: &str) -> (String, String) {
        assert!(NEWT.contains(from), "{from}");
        let error = read(&NEWT.replacen(from, to, 1)).unwrap_err();
        (error.to_string(), error.hint().unwrap())
    }

    fn says(message: &str, hint: &str) -> (String, String) {
        (message.to_owned(), hint.to_owned())
    }

    #[test]
    fn a_missing_column_is_named_with_the_nearest_there_is() {
        let found = "`task_cluster`, `task_subcluster`, `task`, `label`, `text_label`, `split`, \
                     `height`, `width`";
        assert_eq!(
            refused("id,", "ID,"),
            says(
                &format!("labels.csv:1: column `id` is missing, found `ID`, {found}"),
                "if column `ID` holds it, rename that to `id`"
            )
        );
        assert_eq!(
            refused(",label,", ",labels,").1,
            "if column `labels` holds it, rename that to `label`"
        );
        let error = read("\n,Unnamed: 1\n").unwrap_err();
        assert_eq!(
            (error.to_string(), error.hint().unwrap()),
            says(
                "labels.csv:2: column `id` is missing, found ``, `Unnamed: 1`",
                "the columns needed are `id`, `task`, `task_cluster`, `label`, `split`"
            )
        );
    }

    #[test]
    fn a_header_alone_is_refused() {
        let error = read("id,task,task_cluster,label,split\n").unwrap_err();
        assert_eq!(
            (error.to_string(), error.hint().unwrap()),
            says(
                "labels.csv: 0 rows below the header, expected one per image",
                "get the labels file again, it looks cut short"
            )
        );
    }

    #[test]
    fn a_label_that_is_neither_0_nor_1_is_refused() {
        for found in ["2", "0.0", "-1", " 1", "true"] {
            assert_eq!(
                refused("hawk,1,", &format!("hawk,{found},")),
                says(
                    &format!(
                        "labels.csv:3: label of image `6c3eddb5` is `{found}`, expected `0` or `1`"
                    ),
                    "every task is binary: number its two classes 0 and 1"
                )
            );
        }
    }

    #[test]
    fn empty_cells_are_refused() {
        let hint = "fill the cell, or remove the row";
        let empty = |line, column| {
            says(
                &format!("labels.csv:{line}: `{column}` is empty, expected a value"),
                hint,
            )
        };
        assert_eq!(refused("6c3eddb5,", ","), empty(3, "id"));
        assert_eq!(
            refused("6c3eddb5,", "  ,").0.lines().next().unwrap(),
            empty(3, "id").0
        );
        assert_eq!(refused("b1,context", "b1,"), empty(6, "task_cluster"));
        assert_eq!(
            refused(",,ml_bio_raptor_utility_pole", ",,"),
            empty(6, "task")
        );
        assert_eq!(
            refused("pole,1,pos,test", "pole,,pos,test"),
            empty(6, "label")
        );
        assert_eq!(refused("adult,val", "adult,"), empty(7, "split"));
    }

    #[test]
    fn white_space_around_a_value_is_refused() {
        assert_eq!(
            refused("not_adult,train", "not_adult,train "),
            says(
                "labels.csv:2: `split` is `train `, expected `train`",
                "remove the white space around the value of `split`"
            )
        );
        assert_eq!(
            refused("6c3eddb5,appearance,age", "6c3eddb5,appearance,age\t").0,
            "labels.csv: 2 problems\n  line 3: `task_subcluster` is `age\\t`, expected `age`\n  \
             line 3: task `ml_age_coopers_hawk` has `task_subcluster` `age\\t`, expected \
             `task_subcluster` `age` as on line 2"
        );
    }

    #[test]
    fn ids_that_are_no_plain_file_names_are_refused() {
        let long = "x".repeat(252);
        for (id, shown, because) in [
            ("../b1", "../b1", "holds a path separator"),
            ("a/b1", "a/b1", "holds a path separator"),
            ("a\\b1", "a\\b1", "holds a path separator"),
            ("..", "..", "begins with a dot"),
            (".b1", ".b1", "begins with a dot"),
            ("b\0", "b\\u{0}", "holds a control character"),
            ("b\u{1b}[2J", "b\\u{1b}[2J", "holds a control character"),
            (
                &long,
                &format!("{0}…(132 characters)…{0}", "x".repeat(60)),
                "is over 251 bytes long",
            ),
        ] {
            assert_eq!(
                refused("b1,", &format!("{id},")),
                says(
                    &format!(
                        "labels.csv:6: id `{shown}` {because}, expected a plain file name without `.jpg`"
                    ),
                    "name the image file after a plain id, and use that id in the row"
                )
            );
        }
        let longest = "x".repeat(251);
        assert_eq!(
            read(&NEWT.replace("b1,", &format!("{longest},")))
                .unwrap()
                .rows[4]
                .id,
            longest
        );
    }

    #[test]
    fn an_id_that_is_used_twice_is_refused_with_both_lines() {
        assert_eq!(
            refused("b1,", "6c3eddb5,"),
            says(
                "labels.csv:6: id `6c3eddb5` is used again, expected only on line 3",
                "remove one of the rows; an image in two tasks needs two ids and two files"
            )
        );
    }

    #[test]
    fn a_task_in_two_groups_is_refused_with_both_lines() {
        let hint = "correct the row, or give the task of the other group a name of its own";
        assert_eq!(
            refused("b2,appearance", "b2,context"),
            says(
                "labels.csv:7: task `ml_age_coopers_hawk` has `task_cluster` `context`, \
                 expected `appearance` as on line 2",
                hint
            )
        );
        assert_eq!(
            refused("b2,appearance,age", "b2,appearance,nan"),
            says(
                "labels.csv:7: task `ml_age_coopers_hawk` has no `task_subcluster`, \
                 expected `task_subcluster` `age` as on line 2",
                hint
            )
        );
    }

    #[test]
    fn tasks_that_cannot_be_trained_or_scored_are_refused_by_their_first_line() {
        let splits =
            "set `split` to `train` in some of the task's rows and to `test` in the others";
        let classes = "move rows of the other class to the train split, or remove the task";
        assert_eq!(
            refused("pos,test", "pos,train"),
            says(
                "labels.csv:4: task `ml_bio_raptor_utility_pole`: 3 train and 0 test rows, \
                 expected both",
                splits
            )
        );
        let no_train = NEWT.replace("adult,train", "adult,test");
        assert_eq!(
            read(&no_train).unwrap_err().to_string(),
            "labels.csv:2: task `ml_age_coopers_hawk`: 0 train and 3 test rows, expected both"
        );
        assert_eq!(
            refused("pole,0,neg", "pole,1,pos"),
            says(
                "labels.csv:4: task `ml_bio_raptor_utility_pole`: all 2 train rows have label 1, \
                 an SVM needs both classes",
                classes
            )
        );
        assert_eq!(
            refused("hawk,1,adult", "hawk,0,adult"),
            says(
                "labels.csv:2: task `ml_age_coopers_hawk`: all 2 train rows have label 0, \
                 an SVM needs both classes",
                classes
            )
        );
    }

    #[test]
    fn the_first_ten_of_many_problems_are_spelled_out_and_all_are_kept() {
        let mut lines = vec!["id,task_cluster,task,label,split".to_owned()];
        lines.extend((0..12).map(|row| format!("id{row},c,t,{},train", row + 2)));
        let error = read(&lines.join("\n")).unwrap_err();
        let lines: Vec<String> = error.to_string().lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), 12);
        assert_eq!(lines[0], "labels.csv: 12 problems");
        assert_eq!(
            lines[10],
            "  line 11: label of image `id9` is `11`, expected `0` or `1`"
        );
        assert_eq!(lines[11], "  and 2 more");
        assert_eq!(
            error.hint().unwrap(),
            "`newt-pipe data check` lists all of them"
        );
        assert!(matches!(error, Error::Problems { problems, .. } if problems.len() == 12));
    }
}
