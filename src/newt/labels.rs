//! The labels file: which image belongs to which task, with which label, in which split.
//!
//! | column | meaning | accepted |
//! | --- | --- | --- |
//! | `id` | the image is `newt2021_images/<id>.jpg` | a plain file name, once in the file |
//! | `task` | one of NeWT's 164 binary tasks | not empty |
//! | `task_cluster` | one of five groups of tasks | not empty, one per task |
//! | `task_subcluster` | a finer group | may be absent, empty, `nan` or `NaN`; one per task |
//! | `label` | the class | `0` or `1` |
//! | `text_label` | what people call the class | may be absent or empty; any text |
//! | `split` | what the row is used for | `train` or `test`; others as [`OtherSplits`] says |
//!
//! Other columns are passed over, named or not. Every task needs test rows and train rows of both classes.

use std::borrow::Cow;
use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::text::{Listing, count, foreign, nearest};

mod csv;
#[cfg(test)]
mod fuzz;
mod problem;
#[cfg(test)]
mod tests;
pub use csv::Csv;
pub use problem::{Error, Kind, Problem};

/// The columns without which the file is no labels file.
const REQUIRED_COLUMNS: [&str; 5] = ["id", "task", "task_cluster", "label", "split"];

/// A file system's usual limit for a name, 255 bytes, less those of `.jpg`.
const MAX_ID_BYTES: usize = 251;

/// What a row is used for.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, strum::EnumString, strum::IntoStaticStr,
)]
#[strum(serialize_all = "lowercase")]
pub enum Split {
    /// A probe may be fitted on it.
    Train,
    /// It is predicted and scored.
    Test,
}

impl Split {
    /// `train` or `test`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// What becomes of rows whose `split` is neither `train` nor `test`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OtherSplits {
    /// They are an error: a misspelt `train` would silently test.
    #[default]
    Refuse,
    /// They test.
    ///
    /// Source: `biobench.newt.sample`, which compares with `"train"` and with nothing else.
    Test,
}

/// One image of one task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelRow {
    /// Names the image file; unique in the data set.
    pub id: String,
    /// The task that the image belongs to.
    pub task: String,
    /// The task's cluster.
    pub cluster: String,
    /// The task's subcluster, where it has one.
    pub subcluster: Option<String>,
    /// The class, 0 or 1.
    pub label: u8,
    /// What people call the class, where the file says so.
    pub text_label: Option<String>,
    /// Whether the row trains or tests.
    pub split: Split,
}

/// The rows of a labels file, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    /// One row per image.
    pub rows: Vec<LabelRow>,
}

/// A task and its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// The task's name.
    pub name: String,
    /// Its cluster.
    pub cluster: String,
    /// Its subcluster, where it has one.
    pub subcluster: Option<String>,
    /// Indices into [`Labels::rows`] of the train rows, ascending.
    pub train_rows: Vec<usize>,
    /// Indices into [`Labels::rows`] of the test rows, ascending.
    pub test_rows: Vec<usize>,
}

impl Labels {
    /// Checks what a labels file holds; `file` stands for it in messages.
    ///
    /// Rows keep the file's order.
    ///
    /// # Errors
    /// Where a column or all rows are missing; with every bad row or, where all rows are sound, with every bad task;
    /// for other splits where `other_splits` says so.
    pub fn from_csv(csv: &Csv, file: &str, other_splits: OtherSplits) -> Result<Self, Error> {
        let of_file = |problem| Error::of_file(file, problem);
        let cells = Cells::new(csv).map_err(of_file)?;
        if csv.lines.is_empty() {
            return Err(of_file(Problem::of_file(
                "0 rows below the header, expected one per image",
                "get the labels file again, it looks cut short",
            )));
        }
        let of_rows = |problems| Error::new(file, Kind::Rows, problems);
        let labels = checked_rows(&cells, &csv.lines).map_err(of_rows)?;
        if other_splits == OtherSplits::Refuse
            && let Some(problem) = problem_of_splits(&cells, &csv.lines)
        {
            return Err(Error::new(file, Kind::Splits, vec![problem]));
        }
        let problems = task_problems(&labels, &csv.lines);
        if problems.is_empty() {
            Ok(labels)
        } else {
            Err(of_rows(problems))
        }
    }

    /// The tasks, in order of first appearance.
    ///
    /// The reference's order is undefined (polars' `unique`); ours is the file's, so that a seed
    /// means the same sample everywhere.
    pub fn tasks(&self) -> Vec<Task> {
        let mut tasks: IndexMap<&str, Task> = IndexMap::new();
        for (index, row) in self.rows.iter().enumerate() {
            let task = tasks.entry(&row.task).or_insert_with(|| Task {
                name: row.task.clone(),
                cluster: row.cluster.clone(),
                subcluster: row.subcluster.clone(),
                train_rows: Vec::new(),
                test_rows: Vec::new(),
            });
            match row.split {
                Split::Train => task.train_rows.push(index),
                Split::Test => task.test_rows.push(index),
            }
        }
        tasks.into_values().collect()
    }
}

/// What there is to say of rows whose `split` is neither `train` nor `test`, value by value as they first appear.
fn problem_of_splits(cells: &Cells, lines: &[usize]) -> Option<Problem> {
    // Each value's first line and the number of its rows.
    let mut values: IndexMap<&str, (usize, usize)> = IndexMap::new();
    for (row, &line) in lines.iter().enumerate() {
        let value = cell(cells.split, row);
        if value.parse::<Split>().is_err() {
            values.entry(value).or_insert((line, 0)).1 += 1;
        }
    }
    let values: Listing = values
        .into_iter()
        .map(|(value, (line, n_rows))| {
            let from = if n_rows == 1 { "line" } else { "from line" };
            let rows = count(n_rows, "row", "rows");
            format!("{} in {rows} ({from} {line})", quoted(value))
        })
        .collect();
    (!values.is_empty()).then(|| {
        Problem::of_file(
            format!("`split` is {values}, expected `train` or `test`"),
            "correct these rows; or set `data.other_splits` to `test`, which tests on every row that does not train",
        )
    })
}

/// The columns of interest, of which any cell can be asked for.
struct Cells<'a> {
    id: &'a [String],
    task: &'a [String],
    cluster: &'a [String],
    subcluster: &'a [String],
    label: &'a [String],
    text_label: &'a [String],
    split: &'a [String],
}

impl<'a> Cells<'a> {
    fn new(csv: &'a Csv) -> Result<Self, Problem> {
        let required = |name| csv.column(name).ok_or_else(|| missing_column(csv, name));
        Ok(Self {
            id: required("id")?,
            task: required("task")?,
            cluster: required("task_cluster")?,
            subcluster: csv.column("task_subcluster").unwrap_or(&[]),
            label: required("label")?,
            text_label: csv.column("text_label").unwrap_or(&[]),
            split: required("split")?,
        })
    }

    /// A row's cells as what they mean; what they must not be goes to `refuse`, with what helps.
    fn row(&self, index: usize, refuse: &mut impl FnMut(String, Cow<'static, str>)) -> LabelRow {
        let mut filled = |column: &'static str, cells| {
            let value = cell(cells, index);
            let trimmed = value.trim();
            if trimmed.is_empty() {
                refuse(is_empty(column), FILL.into());
            } else if trimmed != value {
                refuse(
                    format!(
                        "`{column}` is {}, expected {}",
                        quoted(value),
                        quoted(trimmed)
                    ),
                    format!("remove the white space around the value of `{column}`").into(),
                );
            }
            value.to_owned()
        };
        let id = filled("id", self.id);
        let task = filled("task", self.task);
        let cluster = filled("task_cluster", self.cluster);
        let split = filled("split", self.split).parse().unwrap_or(Split::Test);
        let subcluster = match cell(self.subcluster, index) {
            "" | "nan" | "NaN" => None,
            _ => Some(filled("task_subcluster", self.subcluster)),
        };
        if let Some(because) = flaw_of_file_name(&id) {
            refuse(
                format!(
                    "id {} {because}, expected a plain file name without `.jpg`",
                    quoted(&id)
                ),
                "name the image file after a plain id, and use that id in the row".into(),
            );
        }
        let label = match cell(self.label, index) {
            "1" => 1,
            "0" => 0,
            "" => {
                refuse(is_empty("label"), FILL.into());
                0
            }
            other => {
                refuse(
                    format!(
                        "label of image {} is {}, expected `0` or `1`",
                        quoted(&id),
                        quoted(other)
                    ),
                    "every task is binary: number its two classes 0 and 1".into(),
                );
                0
            }
        };
        let text_label = Some(cell(self.text_label, index)).filter(|text| !text.is_empty());
        LabelRow {
            id,
            task,
            cluster,
            subcluster,
            label,
            text_label: text_label.map(str::to_owned),
            split,
        }
    }
}

fn missing_column(csv: &Csv, column: &str) -> Problem {
    let names = || csv.columns.iter().map(|(name, _)| name.as_str());
    let hint = match nearest(column, names()) {
        Some(name) => format!(
            "if column {} holds it, rename that to `{column}`",
            quoted(name)
        ),
        None => format!(
            "the columns needed are {}",
            Listing::quoted(REQUIRED_COLUMNS)
        ),
    };
    let found = Listing::first(20, names().map(quoted));
    let text = format!("column `{column}` is missing, found {found}");
    Problem::new(csv.header_line, text, hint)
}

fn is_empty(column: &str) -> String {
    format!("`{column}` is empty, expected a value")
}

const FILL: &str = "fill the cell, or remove the row";

/// A value of the file in backticks.
fn quoted(value: &str) -> String {
    format!("`{}`", foreign(value))
}

/// The value of a cell; empty where it, or the row, is missing.
fn cell(column: &[String], row: usize) -> &str {
    column.get(row).map_or("", String::as_str)
}

/// The rows, or every problem of every row.
fn checked_rows(cells: &Cells, lines: &[usize]) -> Result<Labels, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut rows: Vec<LabelRow> = Vec::with_capacity(lines.len());
    let mut lines_of_ids = BTreeMap::new();
    let mut first_rows_of_tasks = BTreeMap::new();

    for (index, &line) in lines.iter().enumerate() {
        let mut refuse = |text, hint| problems.push(Problem::new(line, text, hint));
        let row = cells.row(index, &mut refuse);

        let first_line = *lines_of_ids.entry(cell(cells.id, index)).or_insert(line);
        if first_line != line && !row.id.is_empty() {
            refuse(
                format!(
                    "id {} is used again, expected only on line {first_line}",
                    quoted(&row.id)
                ),
                "remove one of the rows; an image in two tasks needs two ids and two files".into(),
            );
        }
        let first = *first_rows_of_tasks
            .entry(cell(cells.task, index))
            .or_insert(index);
        if first != index && !row.task.is_empty() {
            for (found, expected) in differing_groups(&row, &rows[first]) {
                refuse(
                    format!(
                        "task {} has {found}, expected {expected} as on line {}",
                        quoted(&row.task),
                        lines[first]
                    ),
                    "correct the row, or give the task of the other group a name of its own".into(),
                );
            }
        }
        rows.push(row);
    }
    if problems.is_empty() {
        Ok(Labels { rows })
    } else {
        Err(problems)
    }
}

/// The cluster and the subcluster of `row` and of the `first` row of its task, where they are not the same.
fn differing_groups(row: &LabelRow, first: &LabelRow) -> Vec<(String, String)> {
    let mut differing = Vec::new();
    let has_cluster = !row.cluster.is_empty() && !first.cluster.is_empty();
    if has_cluster && row.cluster != first.cluster {
        differing.push((
            format!("`task_cluster` {}", quoted(&row.cluster)),
            quoted(&first.cluster),
        ));
    }
    if row.subcluster != first.subcluster {
        let [found, expected] = [row, first].map(|row| match &row.subcluster {
            Some(name) => format!("`task_subcluster` {}", quoted(name)),
            None => "no `task_subcluster`".to_owned(),
        });
        differing.push((found, expected));
    }
    differing
}

/// Every task that cannot be trained or scored.
fn task_problems(labels: &Labels, lines: &[usize]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for task in labels.tasks() {
        let (train, test) = (&task.train_rows, &task.test_rows);
        let (n_train, n_test) = (train.len(), test.len());
        let n_ones = train
            .iter()
            .filter(|&&row| labels.rows[row].label == 1)
            .count();
        let (found, hint) = if train.is_empty() || test.is_empty() {
            (
                format!("{n_train} train and {n_test} test rows, expected both"),
                "set `split` to `train` in some of the task's rows and to `test` in the others",
            )
        } else if n_ones == 0 || n_ones == n_train {
            let label = u8::from(n_ones > 0);
            (
                format!("all {n_train} train rows have label {label}, an SVM needs both classes"),
                "move rows of the other class to the train split, or remove the task",
            )
        } else {
            continue;
        };
        let first = train.iter().chain(test).min().map_or(0, |&row| lines[row]);
        let text = format!("task {}: {found}", quoted(&task.name));
        problems.push(Problem::new(first, text, hint));
    }
    problems
}

/// Why `<id>.jpg` would not be a plain file in the images folder, if so.
pub fn flaw_of_file_name(id: &str) -> Option<&'static str> {
    if id.contains(['/', '\\']) {
        Some("holds a path separator")
    } else if id.starts_with('.') {
        Some("begins with a dot")
    } else if id.contains(char::is_control) {
        Some("holds a control character")
    } else if id.len() > MAX_ID_BYTES {
        Some("is over 251 bytes long")
    } else {
        None
    }
}
