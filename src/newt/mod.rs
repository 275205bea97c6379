//! The data set NeWT (Natural World Tasks): 164 binary tasks on photographs, in five clusters.
//!
//! | module | holds |
//! | --- | --- |
//! | [`labels`] | the labels file, checked: which image belongs to which task, class and split |
//! | [`sampling`] | which rows a run uses, given `n_train` and `seed` |
//! | [`images`] | where the files lie below a data root |
//! | [`fetch`] | getting the published archives |
//! | [`published`] | which tasks NeWT has, and whether labels are its |
//! | [`check`](mod@check) | every problem of a copy of the data set |
//! | [`synth`] | a small drawn data set of the same layout |
//!
//! Source: Van Horn et al., "Benchmarking Representation Learning for Natural World Image
//! Collections", CVPR 2021; <https://github.com/visipedia/newt>.

pub mod check;
pub mod fetch;
pub mod images;
pub mod labels;
pub mod published;
pub mod sampling;
pub mod synth;
