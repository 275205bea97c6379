//! What the intervals cover: data sets are drawn of which the truth is known, and intervals that hold it are counted.
//!
//! The table of `docs/results.md`, 2,000 data sets a line:
//! `cargo test --release --lib coverage -- --ignored --nocapture`.

use rayon::prelude::*;

use super::Interval;
use super::bootstrap::{bootstrap_means, interval};
use super::task_bootstrap::{TaskResamples, means_over_tasks, resample_tasks};
use super::wilson::wilson;
use crate::interrupt::Interrupt;
use crate::random::Generator;

const ALPHA: f64 = 0.05;
/// Tasks' true accuracies are Beta(12, 3): mean 0.8, standard deviation 0.1.
const BETA: (usize, usize) = (12, 3);
const MEAN_ACCURACY: f64 = 0.8;
/// Test rows of a task, the first and the last number.
const ROWS: (i32, i32) = (50, 200);
/// Tasks of NeWT's clusters.
const NEWT: [usize; 5] = [2, 6, 8, 16, 132];

/// How many data sets are drawn, and how often each is resampled.
#[derive(Clone, Copy)]
struct Effort {
    data_sets: u64,
    resamples: usize,
}

impl Effort {
    /// The share of data sets of which each interval of `covers` holds the truth.
    fn share<const N: usize>(self, covers: impl Fn(u64) -> [bool; N] + Sync + Send) -> [f64; N] {
        let covered: Vec<[bool; N]> = (0..self.data_sets).into_par_iter().map(covers).collect();
        std::array::from_fn(|index| {
            let n_covered = covered.iter().filter(|covered| covered[index]).count();
            n_covered as f64 / self.data_sets as f64
        })
    }
}

/// A task of which the truth is known.
struct Task {
    accuracy: f64,
    n_rows: usize,
}

impl Task {
    fn draw(rng: &mut Generator) -> Self {
        // The a-th least of a + b - 1 uniform numbers is Beta(a, b).
        let (a, b) = BETA;
        let mut uniform: Vec<f64> = (1..a + b).map(|_| rng.next_f64()).collect();
        uniform.sort_by(f64::total_cmp);
        let n_rows = rng.integers_i32(ROWS.0, ROWS.1 + 1, 1)[0];
        Self {
            accuracy: uniform[a - 1],
            n_rows: n_rows.unsigned_abs() as usize,
        }
    }

    fn scores(&self, rng: &mut Generator) -> Vec<f32> {
        let score = |_| f32::from(u8::from(rng.next_f64() < self.accuracy));
        (0..self.n_rows).map(score).collect()
    }
}

fn tasks(n: usize, rng: &mut Generator) -> Vec<Task> {
    (0..n).map(|_| Task::draw(rng)).collect()
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let n = values.len() as f64;
    values.sum::<f64>() / n
}

/// Whether the interval holds the truth; float32 ends may be a rounding beside it.
fn holds(interval: Interval, truth: f64) -> bool {
    interval.low - 1e-6 <= truth && truth <= interval.high + 1e-6
}

/// Rows of one task: the bootstrap over rows, that with Wilson's interval where all or none are right, and Wilson's.
fn of_rows(n_rows: usize, accuracy: f64, effort: Effort) -> [f64; 3] {
    let task = Task { accuracy, n_rows };
    effort.share(|seed| {
        let scores = task.scores(&mut Generator::with_key(seed, b"data"));
        let means = bootstrap_means(&scores, effort.resamples, seed, &Interrupt::default());
        let bootstrap = interval(&means.unwrap(), ALPHA).unwrap();
        let n_right = scores.iter().filter(|score| **score > 0.0).count();
        let wilson = wilson(n_right as u64, n_rows as u64, ALPHA);
        let is_at_an_end = n_right == 0 || n_right == n_rows;
        let either = if is_at_an_end { wilson } else { bootstrap };
        [bootstrap, either, wilson].map(|interval| holds(interval, accuracy))
    })
}

/// Tasks that stay, with other rows in each data set: the interval of the accuracy over all rows, and that of the mean
/// over tasks for these tasks.
fn of_these_tasks(n_tasks: usize, effort: Effort) -> [f64; 2] {
    let tasks = tasks(n_tasks, &mut Generator::with_key(17, b"tasks"));
    let n_rows: usize = tasks.iter().map(|task| task.n_rows).sum();
    let n_right = |task: &Task| task.accuracy * task.n_rows as f64;
    let over_rows = tasks.iter().map(n_right).sum::<f64>() / n_rows as f64;
    let over_tasks = mean(tasks.iter().map(|task| task.accuracy));
    effort.share(|seed| {
        let mut rng = Generator::with_key(seed, b"data");
        let scores: Vec<Vec<f32>> = tasks.iter().map(|task| task.scores(&mut rng)).collect();
        let unstoppable = Interrupt::default();
        let means = bootstrap_means(&scores.concat(), effort.resamples, seed, &unstoppable);
        let rows = interval(&means.unwrap(), ALPHA).unwrap();
        let resample = |(index, scores): (usize, &Vec<f32>)| {
            let name = format!("task_{index}");
            TaskResamples::draw(scores, &name, effort.resamples, seed, &unstoppable).unwrap()
        };
        let resampled: Vec<TaskResamples> = scores.iter().enumerate().map(resample).collect();
        let means = means_over_tasks(&resampled.iter().collect::<Vec<_>>());
        let these_tasks = interval(&means, ALPHA).unwrap();
        [holds(rows, over_rows), holds(these_tasks, over_tasks)]
    })
}

/// Other tasks in each data set: the interval of the mean over tasks for tasks like these.
fn of_tasks_like_these(n_tasks: usize, effort: Effort) -> f64 {
    let [share] = effort.share(|seed| {
        let mut rng = Generator::with_key(seed, b"data");
        let tasks = tasks(n_tasks, &mut rng);
        let accuracy = |task: &Task| mean(task.scores(&mut rng).into_iter().map(f64::from));
        let accuracies: Vec<f64> = tasks.iter().map(accuracy).collect();
        let means = resample_tasks(&accuracies, effort.resamples, seed, &Interrupt::default());
        let interval = interval(&means.unwrap(), ALPHA).unwrap();
        [holds(interval, MEAN_ACCURACY)]
    });
    share
}

#[test]
fn intervals_cover_what_they_claim_where_there_are_many_rows_or_tasks() {
    let effort = Effort {
        data_sets: 300,
        resamples: 200,
    };
    let claimed = |share: f64| (0.90..=0.99).contains(&share);
    let [over_rows, these_tasks] = of_these_tasks(10, effort);
    assert!(
        claimed(these_tasks) && over_rows >= 0.90,
        "{these_tasks}, {over_rows}"
    );
    let like_these = of_tasks_like_these(60, effort);
    assert!(claimed(like_these), "{like_these}");
}

#[test]
fn wilsons_interval_covers_where_resamples_do_not_differ() {
    let effort = Effort {
        data_sets: 300,
        resamples: 200,
    };
    let [bootstrap, either, wilson] = of_rows(20, 0.98, effort);
    assert!(bootstrap < 0.5, "{bootstrap}");
    assert!(either >= 0.9 && wilson >= 0.9, "{either}, {wilson}");
}

#[test]
#[ignore = "takes minutes: it prints the table of docs/results.md"]
fn table_of_coverage() {
    let effort = Effort {
        data_sets: 2_000,
        resamples: 500,
    };
    let percent = |share: f64| format!("{:.1} %", share * 100.0);
    println!(
        "tasks | all test rows | mean over tasks, these tasks | mean over tasks, tasks like these"
    );
    for n_tasks in NEWT.into_iter().chain([10, 30, 164]) {
        let [rows, these] = of_these_tasks(n_tasks, effort);
        let like_these = of_tasks_like_these(n_tasks, effort);
        let shares = [rows, these, like_these].map(percent);
        println!("{n_tasks} | {}", shares.join(" | "));
    }
    println!("rows of one task | true accuracy | bootstrap | with Wilson's at 0 and 1 | Wilson's");
    for n_rows in [10, 20, 50, 110, 200] {
        for accuracy in [0.8, 0.9, 0.95, 0.99] {
            let shares = of_rows(n_rows, accuracy, effort).map(percent);
            println!("{n_rows} | {accuracy} | {}", shares.join(" | "));
        }
    }
}
