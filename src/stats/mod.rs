//! From scores to the numbers of the report; pure functions, equal for any number of threads.

pub mod accuracy;
pub mod auroc;
pub mod bootstrap;
#[cfg(test)]
mod coverage;
pub mod task_bootstrap;
pub mod wilson;

/// An interval of a share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}
