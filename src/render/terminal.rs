//! Tables and lines for people: fixed-width text that reads the same without colour.

use crate::pipeline::config::Experiment;
use crate::pipeline::plan::{StagePlan, State};
use crate::pipeline::{Evaluation, StageRecord};
use crate::render::thousands;
use crate::stage::features::Counts;
use crate::stage::report::{Accuracy, Level};

/// Up to this many tasks are listed one by one; NeWT has 164.
const LISTED_TASKS: usize = 30;

/// An experiment in one line: `timm/vit_base_patch16_224, n_train 20, seed 17, probe biobench`.
pub fn title(experiment: &Experiment) -> String {
    let model = format!("{}/{}", experiment.model.org, experiment.model.ckpt);
    let probe = experiment.probe.name();
    if experiment.n_train <= 0 {
        format!("{model}, n_train all, probe {probe}")
    } else {
        format!(
            "{model}, n_train {}, seed {}, probe {probe}",
            experiment.n_train, experiment.seed
        )
    }
}

/// How a stage went: `  features   ran      17.2 s  1,072 images extracted, 0 reused`.
pub fn stage_line(record: &StageRecord) -> String {
    let seconds = if record.state == State::Cached {
        String::new()
    } else {
        format!("{:.2} s", record.seconds)
    };
    let reason = match &record.state {
        State::Cached => None,
        state => state.reason(),
    };
    let notes: Vec<String> = reason
        .into_iter()
        .chain(record.counts.map(counts_ran))
        .collect();
    line(
        record.stage.as_str(),
        record.state.status(false),
        &seconds,
        &notes,
    )
}

/// A plan: a title, then a line per stage.
pub fn plan(experiment: &Experiment, plans: &[StagePlan]) -> String {
    let mut text = format!("{}\n", title(experiment));
    for plan in plans {
        let notes: Vec<String> = plan
            .state
            .reason()
            .into_iter()
            .chain(plan.counts.map(counts_planned))
            .collect();
        text.push_str(&line(
            plan.stage.as_str(),
            plan.state.status(true),
            "",
            &notes,
        ));
        text.push('\n');
    }
    text
}

fn line(stage: &str, status: &str, seconds: &str, notes: &[String]) -> String {
    let text = format!(
        "  {stage:<10} {status:<7} {seconds:>9}  {}",
        notes.join("; ")
    );
    text.trim_end().to_owned()
}

fn counts_ran(counts: Counts) -> String {
    let (extracted, reused) = (
        thousands(counts.extracted as u64),
        thousands(counts.reused as u64),
    );
    format!("{extracted} images extracted, {reused} reused")
}

fn counts_planned(counts: Counts) -> String {
    let (extracted, reused) = (
        thousands(counts.extracted as u64),
        thousands(counts.reused as u64),
    );
    format!("{extracted} images to extract, {reused} to reuse")
}

/// The result of one experiment: its tasks where they are few, its clusters, and the whole.
pub fn table(evaluation: &Evaluation) -> String {
    let report = &evaluation.report;
    let tasks: Vec<&Accuracy> = report.level(Level::Task).collect();
    let clusters: Vec<&Accuracy> = report.level(Level::Cluster).collect();
    let name_width = tasks
        .iter()
        .filter(|_| tasks.len() <= LISTED_TASKS)
        .chain(&clusters)
        .map(|group| group.name.chars().count())
        .chain(["mean over tasks".len()])
        .max()
        .unwrap_or(0);

    let mut text = format!("{}\n", title(&evaluation.experiment));
    let heading = |name: &str| format!("\n{name:<name_width$}  {:>6}  accuracy  interval\n", "n");
    let line = |group: &Accuracy, name: &str| group_line(evaluation, group, name, name_width);
    if tasks.len() <= LISTED_TASKS {
        text.push_str(&heading("task"));
        for task in &tasks {
            text.push_str(&line(task, &task.name));
        }
    }
    text.push_str(&heading("cluster"));
    for cluster in &clusters {
        text.push_str(&line(cluster, &cluster.name));
    }
    text.push_str(&heading("overall"));
    for overall in report.level(Level::Overall) {
        text.push_str(&line(overall, "all test rows"));
        let mean = overall.mean_task_accuracy;
        text.push_str(&format!(
            "{:<name_width$}  {:>6}  {mean:>8.4}\n",
            "mean over tasks",
            tasks.len()
        ));
    }
    text
}

fn group_line(evaluation: &Evaluation, group: &Accuracy, name: &str, name_width: usize) -> String {
    let interval = evaluation.interval(group);
    format!(
        "{name:<name_width$}  {:>6}  {:>8.4}  [{:.4}, {:.4}]\n",
        thousands(group.n as u64),
        group.accuracy,
        interval.low,
        interval.high
    )
}

/// One experiment of a sweep.
#[derive(Debug, Clone)]
pub struct Row {
    cells: [String; 7],
}

const SWEEP_HEADINGS: [&str; 7] = [
    "model",
    "n_train",
    "seed",
    "probe",
    "accuracy",
    "interval",
    "mean over tasks",
];

impl Row {
    /// The line of `evaluation` in the sweep's table.
    pub fn new(evaluation: &Evaluation) -> Self {
        let experiment = &evaluation.experiment;
        let is_drawn = experiment.n_train > 0;
        let overall = evaluation.report.level(Level::Overall).next();
        let accuracy = |value: fn(&Accuracy) -> f64| {
            overall.map_or(String::new(), |overall| format!("{:.4}", value(overall)))
        };
        let interval = overall.map_or(String::new(), |overall| {
            let interval = evaluation.interval(overall);
            format!("[{:.4}, {:.4}]", interval.low, interval.high)
        });
        Self {
            cells: [
                format!("{}/{}", experiment.model.org, experiment.model.ckpt),
                if is_drawn {
                    experiment.n_train.to_string()
                } else {
                    "all".to_owned()
                },
                if is_drawn {
                    experiment.seed.to_string()
                } else {
                    "-".to_owned()
                },
                experiment.probe.name(),
                accuracy(|overall| overall.accuracy),
                interval,
                accuracy(|overall| overall.mean_task_accuracy),
            ],
        }
    }
}

/// The results of a sweep, a line per experiment.
pub fn sweep(rows: &[Row]) -> String {
    let headings = SWEEP_HEADINGS.map(str::to_owned);
    let lines: Vec<&[String; 7]> = std::iter::once(&headings)
        .chain(rows.iter().map(|row| &row.cells))
        .collect();
    let widths: Vec<usize> = (0..headings.len())
        .map(|column| {
            lines
                .iter()
                .map(|cells| cells[column].chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for cells in lines {
        let line: Vec<String> = cells
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        text.push_str(line.join("  ").trim_end());
        text.push('\n');
    }
    text
}
