//! Results as text; one output format per file.

pub mod terminal;

pub use crate::cache::thousands;
