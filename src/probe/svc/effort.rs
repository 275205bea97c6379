//! How much work the fits of a task are, and what is said of those that take long.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::dual::{Ending, Solution};
use super::kernel::KernelFunction;
use crate::probe::classifier::Run;
use crate::probe::remedy;
use crate::probe::settings::Solver;
use crate::text::{count, foreign, thousands};

/// A fit of more iterations than this is worth a warning. Most end after some thousands.
pub const MANY_ITERATIONS: u64 = 10_000_000;

/// How much work the fits of a task were.
#[derive(Debug, Default)]
pub struct Effort {
    n_long: AtomicUsize,
    most_iterations: AtomicU64,
    n_limited: AtomicUsize,
}

impl Effort {
    /// Counts a fit.
    pub fn add(&self, solution: &Solution) {
        if solution.iterations > MANY_ITERATIONS {
            self.n_long.fetch_add(1, Ordering::Relaxed);
            self.most_iterations
                .fetch_max(solution.iterations, Ordering::Relaxed);
        }
        if solution.ending == Ending::Limit {
            self.n_limited.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What there is to say about the fits of a task, a line each.
    pub fn warnings(&self, run: Run<'_>) -> Vec<String> {
        let (task, probe) = (foreign(run.task), run.probe);
        let mut warnings = Vec::new();
        let n_long = self.n_long.load(Ordering::Relaxed);
        if n_long > 0 {
            warnings.push(format!(
                "task `{task}`: {} took very long, up to {} iterations; {}",
                count(n_long, "fit", "fits"),
                thousands(self.most_iterations.load(Ordering::Relaxed)),
                remedy::of_long_fits(probe)
            ));
        }
        let n_limited = self.n_limited.load(Ordering::Relaxed);
        if n_limited > 0 {
            let limit = match probe.solver {
                Solver::Smo => format!("`probe.max_iter = {}`", probe.max_iter),
                Solver::Linfa => "linfa's limit of iterations".to_owned(),
            };
            let (ended, remedies) = (format!("ended at {limit}"), remedy::of_limited_fits(probe));
            warnings.push(remedy::unfinished_fits(&task, n_limited, &ended, &remedies));
        }
        warnings
    }
}

/// What to say of a fit that goes on after `iterations`: something at the tenth million, and whenever they have doubled
/// since.
pub fn progress(task: &str, function: KernelFunction, c: f64, iterations: u64) -> Option<String> {
    let is_due = iterations.is_multiple_of(MANY_ITERATIONS)
        && (iterations / MANY_ITERATIONS).is_power_of_two();
    is_due.then(|| {
        format!(
            "task `{task}`: the fit with kernel {}, c = {c}{} goes on after {} iterations; Ctrl-C stops it, and \
             `probe.max_iter` limits it",
            function.kernel,
            function.and_gamma(),
            thousands(iterations)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::settings::Kernel;

    #[test]
    fn a_long_fit_is_told_of_whenever_its_iterations_have_doubled() {
        let function = |kernel| KernelFunction {
            kernel,
            gamma: 0.25,
            degree: 3,
            coef0: 0.0,
        };
        let linear = function(Kernel::Linear);
        let told: Vec<u64> = (0..100_000)
            .map(|thousands| thousands * 1000)
            .filter(|&iterations| progress("owl", linear, 0.5, iterations).is_some())
            .collect();
        assert_eq!(told, [10_000_000, 20_000_000, 40_000_000, 80_000_000]);
        assert_eq!(
            progress("owl", function(Kernel::Rbf), 0.5, 20_000_000).unwrap(),
            "task `owl`: the fit with kernel rbf, c = 0.5, gamma = 0.25 goes on after 20,000,000 iterations; Ctrl-C \
             stops it, and `probe.max_iter` limits it"
        );
        let told = progress("owl", linear, 0.5, 20_000_000).unwrap();
        assert!(told.contains("kernel linear, c = 0.5 goes on"), "{told}");
    }
}
