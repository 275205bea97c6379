//! What a fit says and asks while it works, and how much work it was.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::Error;
use super::Warning;
use super::remedy;
use super::settings::{Kernel, Probe, Solver};
use super::svm::kernel::KernelFunction;
use super::svm::{Ending, Solution};
use crate::text::thousands;

/// Who waits for a fit. A closure that says whether to stop is one.
pub trait Watch: Sync {
    /// Whether to stop; once it says so, it says so again. Asked between fits, within one every thousand iterations, and
    /// between some rows of a matrix.
    fn stops(&self) -> bool;

    /// A fit takes very long; one line, the first about it.
    fn warn(&self, _message: &str) {}

    /// It still goes on; one line.
    fn note(&self, _message: &str) {}
}

impl<F: Fn() -> bool + Sync> Watch for F {
    fn stops(&self) -> bool {
        self()
    }
}

/// The one who waits has asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stop;

impl From<Stop> for Error {
    fn from(_: Stop) -> Self {
        Self::Stopped
    }
}

impl dyn Watch + '_ {
    /// Ends the caller where the one who waits asks to stop.
    #[inline]
    pub(super) fn check(&self) -> Result<(), Stop> {
        if self.stops() { Err(Stop) } else { Ok(()) }
    }
}

/// A fit of more iterations than this is worth a warning. Most end after some thousands.
pub(super) const MANY_ITERATIONS: u64 = 10_000_000;

/// How much work the fits of a task were.
#[derive(Debug, Default)]
pub(super) struct Effort {
    n_long: AtomicUsize,
    most_iterations: AtomicU64,
    n_limited: AtomicUsize,
}

impl Effort {
    /// Counts a fit.
    pub(super) fn add(&self, solution: &Solution) {
        if solution.iterations > MANY_ITERATIONS {
            self.n_long.fetch_add(1, Ordering::Relaxed);
            self.most_iterations
                .fetch_max(solution.iterations, Ordering::Relaxed);
        }
        if solution.ending == Ending::Limit {
            self.n_limited.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What there is to say about the fits of `probe` on `task`.
    pub(super) fn warnings(self, task: &str, probe: &Probe) -> Vec<Warning> {
        let (n_long, n_limited) = (self.n_long.into_inner(), self.n_limited.into_inner());
        let long = (n_long > 0).then(|| Warning::LongFits {
            task: task.to_owned(),
            n_fits: n_long,
            most_iterations: self.most_iterations.into_inner(),
            remedy: remedy::of_long_fits(probe),
        });
        let limited = (n_limited > 0).then(|| Warning::LimitedFits {
            task: task.to_owned(),
            n_fits: n_limited,
            max_iter: (probe.solver == Solver::Smo).then_some(probe.max_iter),
            remedy: remedy::of_limited_fits(probe),
        });
        long.into_iter().chain(limited).collect()
    }
}

/// What to say of a fit that goes on after `iterations`: something at the tenth million, and whenever they have doubled
/// since.
pub(super) fn progress(
    task: &str,
    function: KernelFunction,
    c: f64,
    iterations: u64,
) -> Option<String> {
    let is_due = iterations.is_multiple_of(MANY_ITERATIONS)
        && (iterations / MANY_ITERATIONS).is_power_of_two();
    is_due.then(|| {
        let KernelFunction { kernel, gamma, .. } = function;
        let gamma = match kernel {
            Kernel::Linear => String::new(),
            Kernel::Rbf | Kernel::Poly | Kernel::Sigmoid => format!(", gamma = {gamma}"),
        };
        format!(
            "task `{task}`: the fit with kernel {kernel}, c = {c}{gamma} goes on after {} iterations; Ctrl-C \
             stops it, and `probe.max_iter` limits it",
            thousands(iterations)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn a_long_fit_is_told_of_whenever_its_iterations_have_doubled() {
        let function = |kernel| KernelFunction::new(&Probe::biobench(10), kernel, 0.25);
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
