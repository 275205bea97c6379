//! What is wrong with a labels file, and how it is said.

use std::borrow::Cow;

use crate::error::{Failure, Fault};
use crate::text::{self, Listing};

/// How many problems a message spells out.
const SHOWN_PROBLEMS: usize = 10;

/// A labels file that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", said(.file, .problems))]
pub struct Error {
    /// The file, as the user knows it.
    file: String,
    /// What is wrong with what.
    pub kind: Kind,
    /// Every problem of one round, in file order: tasks are judged once all rows are sound.
    pub problems: Vec<Problem>,
}

/// What is wrong in a labels file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The file as a whole: it is no CSV, or one without the columns or rows.
    File,
    /// Rows are of other splits than `train` and `test`, for which there is a setting.
    Splits,
    /// Rows or tasks break a rule.
    Rows,
}

/// Something that is wrong in a labels file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The line of the file, from 1, where it is on one: of a row, or of a task's first row.
    line: Option<usize>,
    /// What is wrong.
    pub text: String,
    /// One action that helps.
    pub hint: Cow<'static, str>,
}

impl Problem {
    /// A problem on a line.
    pub fn new(line: usize, text: impl Into<String>, hint: impl Into<Cow<'static, str>>) -> Self {
        Self {
            line: Some(line),
            ..Self::of_file(text, hint)
        }
    }

    /// A problem of more than a line.
    pub fn of_file(text: impl Into<String>, hint: impl Into<Cow<'static, str>>) -> Self {
        Self {
            line: None,
            text: text.into(),
            hint: hint.into(),
        }
    }

    /// Where it is: `file`, or `file:line`.
    pub fn place(&self, file: &str) -> String {
        match self.line {
            Some(line) => format!("{file}:{line}"),
            None => file.to_owned(),
        }
    }
}

impl Error {
    /// The file as a whole cannot be used.
    pub fn of_file(file: &str, problem: Problem) -> Self {
        Self::new(file, Kind::File, vec![problem])
    }

    /// There are these problems in the file, at least one.
    pub fn new(file: &str, kind: Kind, problems: Vec<Problem>) -> Self {
        Self {
            file: file.to_owned(),
            kind,
            problems,
        }
    }
}

/// One line where there is one problem; else a count and the first ten.
fn said(file: &str, problems: &[Problem]) -> String {
    let file = text::path(file);
    if let [only] = problems {
        return format!("{}: {}", only.place(&file), only.text);
    }
    let lines = problems.iter().map(|problem| match problem.line {
        Some(line) => format!("line {line}: {}", problem.text),
        None => problem.text.clone(),
    });
    let listing = Listing::first(SHOWN_PROBLEMS, lines);
    format!("{file}: {} problems{}", listing.n, listing.lines())
}

impl Failure for Error {
    fn hint(&self) -> Option<String> {
        if self.problems.len() > SHOWN_PROBLEMS {
            return Some("`newt-pipe data check` lists all of them".to_owned());
        }
        self.problems.first().map(|first| first.hint.to_string())
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
        assert_eq!(error.problems.len(), 12);
    }
}
