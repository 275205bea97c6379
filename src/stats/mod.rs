//! From scores to the numbers of the report; pure functions, equal for any number of threads.

pub mod accuracy;
pub mod bootstrap;
pub mod wilson;
