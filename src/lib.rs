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
//! `pipeline` holds the flow, `stage` the six stages, `cache` what is kept between runs.
//! Numbers equal those of the Python reference, `biobench.newt` on NumPy and scikit-learn.
//!
//! ```no_run
//! use newt_pipe::{Cache, Context, Interrupt, Options, Pipeline, PipelineFile, Runner, Silent};
//!
//! let interrupt = Interrupt::default();
//! let pipeline = Pipeline::load(PipelineFile::Quickstart, &["sample.n_train=20".to_owned()], &interrupt)?;
//! let cache = Cache::open("/tmp/newt-cache")?;
//! let context = Context { progress: &Silent, interrupt: &interrupt };
//! let mut runner = Runner::new(&pipeline, &cache, context, Options::default())?;
//! for experiment in pipeline.experiments() {
//!     let evaluation = runner.evaluate(&experiment)?;
//!     let overall = &evaluation.report.groups[0];
//!     assert!(overall.accuracy > 0.5);
//! }
//! # Ok::<(), newt_pipe::Error>(())
//! ```

mod artifact;
mod backbone;
mod cache;
pub mod cli;
mod context;
mod error;
mod files;
#[cfg(test)]
mod fuzz;
mod hub;
mod image;
mod interrupt;
mod newt;
mod pipeline;
mod probe;
mod progress;
mod published;
mod random;
mod render;
mod setting;
mod stage;
mod stats;
mod tensorfile;
mod text;

pub use cache::Cache;
pub use context::Context;
pub use error::Error;
pub use interrupt::Interrupt;
pub use pipeline::config::{Pipeline, PipelineFile};
pub use pipeline::{Evaluation, Experiment, Options, Runner};
pub use progress::{Progress, Silent};

/// What the golden tests and the benches hold against the reference, and no one else should name.
#[doc(hidden)]
pub mod internals {
    pub mod artifact {
        pub use crate::artifact::{BackboneId, FeatureFile, ProbeFile, Table};
    }
    pub mod backbone {
        pub use crate::backbone::{
            Backbone, BackboneSpec, Device, Lookup, Pool, Precision, SearchPaths, architectures,
            resolve, search_libtorch_in,
        };
    }
    pub mod cache {
        pub use crate::cache::{Digest, KeyBuilder};
    }
    pub mod hub {
        pub use crate::hub::{Hub, Settings};
    }
    pub mod image {
        pub use crate::image::{
            Interpolation, OpenClipResize, Preprocessing, RgbImage, TimmCrop, check, decode, resize,
        };
    }
    pub mod newt {
        pub use crate::newt::labels::{LabelRow, Labels, Split};
        pub use crate::newt::sampling::{NTrain, sample};
    }
    pub mod pipeline {
        pub use crate::pipeline::config::Protocol;
    }
    pub mod probe {
        pub use crate::probe::svc::{FittedSvc, KernelFunction};
        pub use crate::probe::{
            Candidate, ClassWeight, ClassifierName, FittedProbe, Gamma, Kernel, Probe, Search,
            Solver, Space, Strategy, TaskData, TaskFit, Values, fit_repeats, fit_task, label_of,
        };
    }
    pub mod random {
        pub use crate::random::{Generator, RandomState};
    }
    pub mod stats {
        pub use crate::stats::auroc::auroc;
        pub use crate::stats::bootstrap::{bootstrap_means, interval};
        pub use crate::stats::task_bootstrap::{TaskResamples, means_over_tasks, resample_tasks};
        pub use crate::stats::wilson::wilson;
    }
    pub mod text {
        pub use crate::text::is_obeyed;
    }
}
