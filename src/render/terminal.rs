//! Tables and lines for people: fixed-width text that reads the same without colour.

use super::{Card, Line, MeanLine, MistakeRow, RepeatsLine, StageLine, SweepRow};
use crate::stats::Interval;
use crate::text::thousands;

/// Up to this many tasks are listed one by one; NeWT has 164.
const LISTED_TASKS: usize = 30;

/// With fewer tasks than this the interval over tasks covers some two points less than it claims, or still less, by the
/// table in `docs/results.md`.
const FEW_TASKS: usize = 30;
/// The claim of an interval of the mean over tasks, rows resampled.
const THESE_TASKS: &str = "these tasks";
/// The claim of an interval of the mean over tasks, tasks resampled.
const TASKS_LIKE_THESE: &str = "tasks like these";

/// How a stage went, or would go: `  features   ran       17.20 s  1,072 images extracted, 0 reused`.
pub fn stage_line(line: &StageLine) -> String {
    let seconds = line
        .seconds
        .map_or(String::new(), |seconds| format!("{seconds:.2} s"));
    let text = format!(
        "  {:<10} {:<7} {seconds:>9}  {}",
        line.stage,
        line.status,
        line.notes.join("; ")
    );
    text.trim_end().to_owned()
}

/// A plan: a title, then a line per stage.
pub fn plan(title: &str, lines: &[StageLine]) -> String {
    let mut text = format!("{title}\n");
    for line in lines {
        text.push_str(&stage_line(line));
        text.push('\n');
    }
    text
}

/// The result of one experiment: its tasks where they are few, its clusters, and the whole.
pub fn card(card: &Card) -> String {
    let listed = if card.tasks.len() <= LISTED_TASKS {
        card.tasks.as_slice()
    } else {
        &[]
    };
    let name_width = listed
        .iter()
        .chain(&card.clusters)
        .map(|line| line.name.chars().count())
        .chain(["mean over tasks".len()])
        .max()
        .unwrap_or(0);
    let heading = |name: &str| format!("\n{name:<name_width$}  {:>6}  accuracy  interval\n", "n");

    let mut text = format!("{}\n", card.title);
    for (name, lines) in [
        ("task", listed),
        ("cluster", &card.clusters),
        ("overall", std::slice::from_ref(&card.overall)),
    ] {
        if !lines.is_empty() {
            text.push_str(&heading(name));
            for line in lines {
                text.push_str(&score_line(line, name_width));
            }
        }
    }
    text.push_str(&mean_lines(
        &card.mean_over_tasks,
        card.tasks.len(),
        name_width,
    ));
    text.push_str(&format!("\nintervals: {}\n", card.intervals));
    text.push_str(&claims(&card.mean_over_tasks, card.tasks.len()));
    text
}

fn score_line(line: &Line, name_width: usize) -> String {
    let n = thousands(line.n.unsigned_abs());
    let wilson = line
        .wilson
        .map(|wilson| format!("  Wilson {}", ends(wilson)));
    format!(
        "{:<name_width$}  {n:>6}  {:>8.4}  {}{}\n",
        line.name,
        line.accuracy,
        ends(line.ci),
        wilson.unwrap_or_default()
    )
}

/// The mean over tasks with an interval a line, each with what it is of.
fn mean_lines(mean: &MeanLine, n_tasks: usize, name_width: usize) -> String {
    let of = |interval: Option<Interval>, claim| Some(format!("  {}  {claim}", ends(interval?)));
    let mut intervals = [
        of(mean.these_tasks, THESE_TASKS),
        of(mean.tasks_like_these, TASKS_LIKE_THESE),
    ]
    .into_iter()
    .flatten();
    let start = format!(
        "{:<name_width$}  {n_tasks:>6}  {:>8.4}",
        "mean over tasks", mean.accuracy
    );
    let indent = start.chars().count();
    let mut text = format!("{start}{}\n", intervals.next().unwrap_or_default());
    for interval in intervals {
        text.push_str(&format!("{:indent$}{interval}\n", ""));
    }
    text
}

/// What is resampled for each interval of the mean over tasks.
fn claims(mean: &MeanLine, n_tasks: usize) -> String {
    let mut text = format!("{THESE_TASKS}: test rows drawn anew within each task");
    if mean.tasks_like_these.is_some() {
        text.push_str(&format!("; {TASKS_LIKE_THESE}: tasks drawn anew"));
        if n_tasks < FEW_TASKS {
            text.push_str(" (of so few it covers less)");
        }
    }
    text.push('\n');
    text
}

fn ends(interval: Interval) -> String {
    format!("[{:.4}, {:.4}]", interval.low, interval.high)
}

/// Experiments that differ by a seed alone, two lines each.
pub fn repeats(lines: &[RepeatsLine]) -> String {
    let mut text = String::new();
    for line in lines {
        let (title, n, seeds, ddof) = (&line.title, line.n, &line.seeds, line.ddof);
        let [[accuracy, std], [mean_task, task_std]] = [line.accuracy, line.mean_task_accuracy];
        text.push_str(&format!(
            "\n{title}, over {n} {seeds}, ± standard deviation (ddof {ddof}):\n  \
             accuracy {accuracy:.4} ± {std:.4}, mean over tasks {mean_task:.4} ± {task_std:.4}\n"
        ));
    }
    text
}

/// The results of a sweep, a line per experiment.
pub fn sweep(rows: &[SweepRow]) -> String {
    let headings = [
        "model",
        "n_train",
        "seed",
        "probe",
        "search seed",
        "accuracy",
        "interval",
        "mean over tasks",
    ];
    let cells = rows.iter().map(|row| {
        [
            row.model.clone(),
            row.n_train.clone(),
            row.seed.clone(),
            row.probe.clone(),
            row.search_seed.clone().unwrap_or_else(|| "-".to_owned()),
            format!("{:.4}", row.overall.accuracy),
            ends(row.overall.ci),
            format!("{:.4}", row.mean_task_accuracy),
        ]
    });
    let has_repeats = rows.iter().any(|row| row.search_seed.is_some());
    let shown = |cells: [String; 8]| {
        let mut cells = Vec::from(cells);
        if !has_repeats {
            cells.remove(4);
        }
        cells
    };
    let mut text = columns(shown(headings.map(str::to_owned)), cells.map(shown));
    // They are made alike in every experiment of a pipeline.
    if let Some(row) = rows.first() {
        text.push_str(&format!("\nintervals: {}\n", row.intervals));
    }
    text
}

/// Mistakes, a line each, below what there is to say of them.
pub fn mistakes(title: &str, rows: &[MistakeRow]) -> String {
    let headings = ["task", "label", "predicted", "decision", "image"];
    let cells = rows.iter().map(|row| {
        vec![
            row.task.clone(),
            row.label.clone(),
            row.predicted.clone(),
            format!("{:.4}", row.decision),
            row.image.clone(),
        ]
    });
    let table = if rows.is_empty() {
        String::new()
    } else {
        columns(headings.map(str::to_owned).to_vec(), cells)
    };
    format!("{title}\n{table}")
}

/// A table whose columns are as wide as their widest cell.
fn columns(headings: Vec<String>, cells: impl Iterator<Item = Vec<String>>) -> String {
    let n = headings.len();
    let lines: Vec<Vec<String>> = std::iter::once(headings).chain(cells).collect();
    let width = |column: usize| {
        lines
            .iter()
            .map(|cells| cells[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..n).map(width).collect();
    let mut text = String::new();
    for cells in &lines {
        let padded: Vec<String> = cells
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        text.push_str(padded.join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: &str, n: i64) -> Line {
        Line {
            name: name.to_owned(),
            n,
            accuracy: 0.5,
            ci: Interval {
                low: 0.25,
                high: 0.75,
            },
            wilson: None,
        }
    }

    fn card_of(n_tasks: usize) -> Card {
        Card {
            title: "timm/vit".to_owned(),
            tasks: (0..n_tasks)
                .map(|task| line(&format!("task_{task}"), 10))
                .collect(),
            clusters: vec![line("appearance", 1_234)],
            overall: line("all test rows", 18_024),
            mean_over_tasks: MeanLine {
                accuracy: 0.625,
                these_tasks: Some(Interval {
                    low: 0.5,
                    high: 0.75,
                }),
                tasks_like_these: (n_tasks > 1).then_some(Interval {
                    low: 0.375,
                    high: 0.875,
                }),
            },
            intervals: "95 %, some method".to_owned(),
        }
    }

    #[test]
    fn tasks_are_listed_up_to_thirty() {
        assert!(card(&card_of(30)).contains("task_29"));
        assert!(!card(&card_of(31)).contains("task_"));
    }

    #[test]
    fn counts_line_up_and_have_separators() {
        let text = card(&card_of(1));
        assert!(
            text.contains("appearance        1,234    0.5000  [0.2500, 0.7500]\n"),
            "{text}"
        );
    }

    #[test]
    fn the_mean_over_tasks_has_an_interval_for_each_claim() {
        let text = card(&card_of(FEW_TASKS));
        let (_, end) = text.split_once("all test rows").unwrap();
        assert_eq!(
            end,
            "    18,024    0.5000  [0.2500, 0.7500]\n\
             mean over tasks      30    0.6250  [0.5000, 0.7500]  these tasks\n                                   \
             [0.3750, 0.8750]  tasks like these\n\n\
             intervals: 95 %, some method\n\
             these tasks: test rows drawn anew within each task; tasks like these: tasks drawn anew\n"
        );
        assert!(
            card(&card_of(FEW_TASKS - 1))
                .ends_with("tasks drawn anew (of so few it covers less)\n")
        );
        let text = card(&card_of(1));
        let (_, end) = text.split_once("mean over tasks").unwrap();
        assert_eq!(
            end,
            "       1    0.6250  [0.5000, 0.7500]  these tasks\n\n\
             intervals: 95 %, some method\nthese tasks: test rows drawn anew within each task\n"
        );
    }

    #[test]
    fn an_interval_that_says_nothing_has_wilsons_beside_it() {
        let line = Line {
            accuracy: 1.0,
            ci: Interval {
                low: 1.0,
                high: 1.0,
            },
            wilson: Some(Interval {
                low: 0.722_467,
                high: 1.0,
            }),
            ..line("task", 10)
        };
        assert_eq!(
            score_line(&line, 4),
            "task      10    1.0000  [1.0000, 1.0000]  Wilson [0.7225, 1.0000]\n"
        );
    }
}
