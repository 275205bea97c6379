//! NumPy's random generators, bit for bit: what a seed means here is what it means there.
//!
//! | type | in NumPy | used for |
//! | --- | --- | --- |
//! | [`Generator`] | `np.random.default_rng(seed)`, `default_rng([seed, *key])` | sampling of train rows, bootstrap |
//! | [`RandomState`] | `np.random.RandomState(seed)` | candidates of the hyperparameter search |
//!
//! Both give the same values on every machine. Where NumPy raises on an argument, the methods say
//! what they do instead.

mod mt19937;
mod pcg64;
mod seed_sequence;

pub use mt19937::RandomState;
pub use pcg64::Generator;
