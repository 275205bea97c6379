//! Evaluates vision models on NeWT (Natural World Tasks): frozen image features, one SVM per task,
//! accuracy with bootstrap intervals, everything cached.
//!
//! | stage | makes | from |
//! | --- | --- | --- |
//! | labels | the typed labels table | the labels file |
//! | sample | the rows that take part | labels, `n_train`, seed |
//! | features | image features, kept per image | images, backbone |
//! | probes | predictions, one SVM per task | features, labels, probe settings |
//! | report | accuracies by task, cluster, overall | predictions |
//! | bootstrap | resampled accuracies and intervals | predictions |
//!
//! [`pipeline`] holds the flow, [`stage`] the six stages, [`cache`] what is kept between runs.
//! Numbers equal those of the Python reference, `biobench.newt` on NumPy and scikit-learn.
//!
//! ```no_run
//! use newt_pipe::cache::Cache;
//! use newt_pipe::interrupt::Interrupt;
//! use newt_pipe::pipeline::config::{Pipeline, Source};
//! use newt_pipe::pipeline::{Options, Runner};
//! use newt_pipe::progress::Silent;
//! use newt_pipe::stage::Context;
//!
//! let interrupt = Interrupt::default();
//! let pipeline = Pipeline::load(Source::Quickstart, &["sample.n_train=20".to_owned()], &interrupt)?;
//! let cache = Cache::open("/tmp/newt-cache")?;
//! let context = Context { progress: &Silent, interrupt: &interrupt };
//! let runner = Runner::new(&pipeline, &cache, context, Options::default())?;
//! for experiment in pipeline.experiments() {
//!     let evaluation = runner.evaluate(&experiment)?;
//!     let overall = &evaluation.report.groups[0];
//!     assert!(overall.accuracy > 0.5);
//! }
//! # Ok::<(), newt_pipe::error::Error>(())
//! ```

pub mod artifact;
pub mod backbone;
pub mod cache;
pub mod error;
pub mod files;
#[cfg(test)]
mod fuzz;
pub mod hub;
pub mod image;
pub mod interrupt;
pub mod newt;
pub mod pipeline;
pub mod probe;
pub mod progress;
pub mod random;
pub mod render;
pub mod stage;
pub mod stats;
pub mod text;
