//! Tables and lines for people: fixed-width text that reads the same without colour.

use super::{Card, Line, MistakeRow, RepeatsLine, StageLine, SweepRow};
use crate::text::thousands;

/// Up to this many tasks are listed one by one; NeWT has 164.
const LISTED_TASKS: usize = 30;

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
        ("overall", &card.overall),
    ] {
        if !lines.is_empty() {
            text.push_str(&heading(name));
            for line in lines {
                text.push_str(&score_line(line, name_width));
            }
        }
    }
    let (n_tasks, mean) = (card.tasks.len(), card.mean_task_accuracy);
    text.push_str(&format!(
        "{:<name_width$}  {n_tasks:>6}  {mean:>8.4}\n",
        "mean over tasks"
    ));
    text
}

fn score_line(line: &Line, name_width: usize) -> String {
    let n = thousands(line.n.unsigned_abs());
    format!(
        "{:<name_width$}  {n:>6}  {:>8.4}  [{:.4}, {:.4}]\n",
        line.name, line.accuracy, line.ci_low, line.ci_high
    )
}

/// Experiments that differ by a seed alone, two lines each.
pub fn repeats(lines: &[RepeatsLine]) -> String {
    let mut text = String::new();
    for line in lines {
        let (title, n, seeds, ddof) = (&line.title, line.n, line.seeds, line.ddof);
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
            format!("[{:.4}, {:.4}]", row.overall.ci_low, row.overall.ci_high),
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
    columns(shown(headings.map(str::to_owned)), cells.map(shown))
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
            ci_low: 0.25,
            ci_high: 0.75,
        }
    }

    fn card_of(n_tasks: usize) -> Card {
        Card {
            title: "timm/vit".to_owned(),
            tasks: (0..n_tasks)
                .map(|task| line(&format!("task_{task}"), 10))
                .collect(),
            clusters: vec![line("appearance", 1_234)],
            overall: vec![line("all test rows", 18_024)],
            mean_task_accuracy: 0.625,
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
        assert!(
            text.ends_with("mean over tasks       1    0.6250\n"),
            "{text}"
        );
    }
}
