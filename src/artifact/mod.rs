//! Typed files: safetensors and parquet. It knows formats, and no stage.
//!
//! | file | format | written by |
//! | --- | --- | --- |
//! | [`TensorWriter`], [`Tensors`] | safetensors: arrays by name, and metadata keys | stages with numeric outputs |
//! | [`FeatureFile`] | safetensors: `features` [n, d] and the ids of its rows | the user, and `features export` |
//! | [`ProbeFile`] | safetensors: support vectors, coefficients and scaling of every task's probe | stage `probes` |
//! | [`FeatureStore`] | safetensors shards: `features` [n, d] f32, the digests of its images, and a seal | feature extraction |
//! | [`Table`], [`rows!`] | parquet: named columns of one type each | stages with tables |
//!
//! Equal content makes equal bytes, on every machine and with any number of threads: digests of these files
//! are the inputs of later keys.

mod backbone_id;
mod feature_file;
mod features;
#[cfg(test)]
mod fuzz;
mod probe_file;
mod row;
mod table;
mod tensors;

pub use backbone_id::BackboneId;
pub use feature_file::FeatureFile;
pub use features::FeatureStore;
pub use features::shard::hash_rows;
pub use probe_file::{FittedOn, ProbeFile};
pub(crate) use row::rows;
pub use row::{Row, number};
pub use table::Table;
pub use tensors::{Element, TensorWriter, Tensors};
