//! What is said of fits that are too hard: settings that make them easier, none that the probe has already.

use super::settings::{Kernel, Probe, Solver, Space, Values};
use crate::text::count;

/// For fits of very many iterations.
pub fn of_long_fits(probe: &Probe) -> String {
    let mut remedies = easier_problem(probe);
    remedies.push("raise `probe.tol`".to_owned());
    remedies.push(if probe.max_iter == -1 {
        "limit them by `probe.max_iter`".to_owned()
    } else {
        "lower `probe.max_iter`".to_owned()
    });
    any_of(&remedies)
}

/// For fits that ended at a limit of iterations.
pub fn of_limited_fits(probe: &Probe) -> String {
    let mut remedies = easier_problem(probe);
    let first = match probe.solver {
        Solver::Smo => "raise `probe.max_iter`",
        // Its limit is fixed.
        Solver::Linfa => "raise `probe.tol`",
    };
    remedies.insert(0, first.to_owned());
    any_of(&remedies)
}

/// The warning of `n` fits of a `task` that `ended` somehow before their tolerance was met, with the remedies.
pub fn unfinished_fits(task: &str, n: usize, ended: &str, remedies: &str) -> String {
    let fits = count(n, "fit", "fits");
    let taken = match n {
        1 => "was taken as it was",
        _ => "were taken as they were",
    };
    format!("task `{task}`: {fits} {ended} before `probe.tol` was met, and {taken}; {remedies}")
}

/// For weights of a linear classifier that are not finite.
pub fn of_infinite_weights(probe: &Probe) -> String {
    any_of(&easier_problem(probe))
}

/// For a solution with `kernel` that is not finite.
pub fn of_overflow(probe: &Probe, kernel: Kernel) -> String {
    let mut remedies: Vec<String> = standardize(probe).into_iter().collect();
    match kernel {
        Kernel::Linear if probe.standardize => remedies.push(lower_c(probe)),
        Kernel::Linear => {}
        Kernel::Rbf | Kernel::Poly | Kernel::Sigmoid => {
            remedies.push(lower("gamma", probe, |space| is_searched(&space.gamma)));
        }
    }
    any_of(&remedies)
}

fn easier_problem(probe: &Probe) -> Vec<String> {
    standardize(probe)
        .into_iter()
        .chain([lower_c(probe)])
        .collect()
}

fn standardize(probe: &Probe) -> Option<String> {
    (!probe.standardize).then(|| "set `probe.standardize = true`".to_owned())
}

fn lower_c(probe: &Probe) -> String {
    lower("c", probe, |space| is_searched(&space.c))
}

/// Whether there is a choice; a single value is as good as fixed.
fn is_searched<T>(values: &Values<T>) -> bool {
    match values {
        Values::LogUniform { .. } => true,
        Values::List(values) => values.len() > 1,
    }
}

fn lower(key: &str, probe: &Probe, is_searched: impl Fn(&Space) -> bool) -> String {
    let mut spaces = probe.search.iter().flat_map(|search| &search.spaces);
    let table = if spaces.any(is_searched) {
        "probe.search"
    } else {
        "probe"
    };
    format!("lower `{table}.{key}`")
}

/// `a`, `a or b`, `a, b or c`.
fn any_of(remedies: &[String]) -> String {
    match remedies {
        [rest @ .., last] if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => remedies.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remedies_are_settings_that_the_probe_has_not() {
        let fixed = Probe::biobench(-1);
        let searched = Probe {
            standardize: true,
            max_iter: 20_000_000,
            ..Probe::biobench(10)
        };
        assert_eq!(
            of_long_fits(&fixed),
            "set `probe.standardize = true`, lower `probe.c`, raise `probe.tol` or limit them by `probe.max_iter`"
        );
        assert_eq!(
            of_long_fits(&searched),
            "lower `probe.search.c`, raise `probe.tol` or lower `probe.max_iter`"
        );
        assert_eq!(
            of_limited_fits(&searched),
            "raise `probe.max_iter` or lower `probe.search.c`"
        );
        let said = |probe, kernels: [Kernel; 2]| kernels.map(|kernel| of_overflow(probe, kernel));
        assert_eq!(
            said(&fixed, [Kernel::Linear, Kernel::Poly]),
            [
                "set `probe.standardize = true`",
                "set `probe.standardize = true` or lower `probe.gamma`"
            ]
        );
        assert_eq!(
            said(&searched, [Kernel::Linear, Kernel::Poly]),
            ["lower `probe.search.c`", "lower `probe.search.gamma`"]
        );
    }
}
