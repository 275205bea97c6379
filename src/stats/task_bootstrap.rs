//! Bootstrap means of the mean over tasks, for two claims.
//!
//! | claim | resampled | what its interval covers |
//! | --- | --- | --- |
//! | these tasks | rows within each task | other test rows of the same tasks, with the same fitted probes |
//! | tasks like these | tasks, with the accuracies that they came out with | other tasks drawn as these were, each with rows of its own |
//!
//! The second needs no resampling of rows: an accuracy that came out holds the noise of its test rows already (and that
//! of the train rows that were drawn for it), so accuracies differ by more than tasks do, and resampling rows besides
//! would count that noise twice.
//!
//! Both are repeated in Python with `scores`, a task's scores in order of its image ids, and `accuracies`, those of the
//! tasks in order of their names:
//!
//! ```python
//! rng = np.random.default_rng([seed, *task.encode()])
//! of_task = scores[rng.integers(0, n, size=(resamples, n), dtype=np.int32)].mean(axis=1)
//! these_tasks = np.mean([of_task, ...], axis=0)  # the tasks in order of their names
//!
//! drawn = np.random.default_rng(seed).integers(0, m, size=(resamples, m), dtype=np.int32)
//! tasks_like_these = accuracies[drawn].mean(axis=1)
//! ```
//!
//! A generator for each task, by its name: tasks are resampled independently of each other, also those of one size, and
//! alike whatever other tasks take part and whichever model is evaluated.

use super::bootstrap::n_right;
use crate::error::{Error, Message};
use crate::interrupt::Interrupt;
use crate::random::Generator;

/// The resamples of one task's rows.
#[derive(Debug)]
pub struct TaskResamples {
    /// Its rows.
    n: usize,
    /// How many of them are right in each resample; whole numbers, of which a million resamples take little memory.
    n_right: Vec<u32>,
}

impl TaskResamples {
    /// Resamples the rows of the task called `task`.
    ///
    /// `scores`: `[n]` f32, each 0 or 1, sorted by image id.
    ///
    /// # Errors
    /// Where there are no scores, too many, or one that is neither 0 nor 1; once `interrupt` asks for it.
    pub fn draw(
        scores: &[f32],
        task: &str,
        resamples: usize,
        seed: u64,
        interrupt: &Interrupt,
    ) -> Result<Self, Error> {
        let rng = Generator::with_key(seed, task.as_bytes());
        Ok(Self {
            n: scores.len(),
            n_right: n_right(scores, resamples, rng, interrupt)?,
        })
    }
}

/// Returns the mean over tasks of each resample of the rows within tasks.
///
/// `tasks`: in order of their names, each of as many resamples; the result is `[resamples]` f64. Sums run in the order
/// of the tasks, as `np.mean(tasks, axis=0)` has them.
pub fn means_over_tasks(tasks: &[&TaskResamples]) -> Vec<f64> {
    let resamples = tasks.first().map_or(0, |task| task.n_right.len());
    let mut means = vec![0.0; resamples];
    for task in tasks {
        for (mean, n_right) in means.iter_mut().zip(&task.n_right) {
            *mean += f64::from(*n_right) / task.n as f64;
        }
    }
    for mean in &mut means {
        *mean /= tasks.len() as f64;
    }
    means
}

/// Returns the mean over tasks of each resample of the tasks, with replacement, as many as there are.
///
/// `accuracies`: `[m]` f64, the tasks in order of their names; the result is `[resamples]` f64, sums in the order of the
/// draws. The draws depend on `m` and `seed` only.
///
/// # Errors
/// Where there are no tasks or too many; once `interrupt` asks for it.
pub fn resample_tasks(
    accuracies: &[f64],
    resamples: usize,
    seed: u64,
    interrupt: &Interrupt,
) -> Result<Vec<f64>, Error> {
    let m = accuracies.len();
    let Some(high) = i32::try_from(m).ok().filter(|high| *high > 0) else {
        let text = format!("bootstrap: {m} tasks, expected 1 to {}", i32::MAX);
        return Err(Message::machine(text).into());
    };
    let mut rng = Generator::new(seed);
    let mean = |_| {
        interrupt.check()?;
        let drawn = rng.integers_i32(0, high, m).into_iter();
        let sum: f64 = drawn
            .map(|index| accuracies[index.unsigned_abs() as usize])
            .sum();
        Ok(sum / m as f64)
    };
    (0..resamples).map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCORES: [f32; 8] = [1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 1.0];

    fn draw(task: &str) -> TaskResamples {
        TaskResamples::draw(&SCORES, task, 400, 17, &Interrupt::default()).unwrap()
    }

    #[test]
    fn tasks_of_one_size_are_resampled_independently_of_each_other() {
        let variance = |means: &[f64]| {
            let mean = means.iter().sum::<f64>() / means.len() as f64;
            means.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / means.len() as f64
        };
        let tasks: Vec<TaskResamples> = (0..16).map(|task| draw(&format!("task_{task}"))).collect();
        let one = variance(&means_over_tasks(&[&tasks[0]]));
        let all = variance(&means_over_tasks(&tasks.iter().collect::<Vec<_>>()));
        // Were they drawn alike, the mean of sixteen would vary as much as one.
        assert!((8.0..32.0).contains(&(one / all)), "{one} / {all}");
    }

    #[test]
    fn a_task_is_resampled_by_its_name_whatever_other_tasks_there_are() {
        assert_eq!(draw("a").n_right, draw("a").n_right);
        assert_ne!(draw("a").n_right, draw("b").n_right);
        let of_one = means_over_tasks(&[&draw("a")]);
        let of_two = means_over_tasks(&[&draw("a"), &draw("b")]);
        let b = means_over_tasks(&[&draw("b")]);
        let rest: Vec<f64> = of_two
            .iter()
            .zip(&of_one)
            .map(|(both, a)| both * 2.0 - a)
            .collect();
        assert_eq!(rest, b);
    }

    #[test]
    fn tasks_of_equal_accuracy_resample_to_it() {
        let resampled =
            |accuracies: &[f64]| resample_tasks(accuracies, 3, 17, &Interrupt::default());
        assert_eq!(resampled(&[0.5; 4]).unwrap(), [0.5; 3]);
        assert_eq!(
            resampled(&[]).unwrap_err().to_string(),
            "bootstrap: 0 tasks, expected 1 to 2147483647"
        );
        assert!(means_over_tasks(&[]).is_empty());
    }
}
