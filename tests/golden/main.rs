//! Held against the reference libraries. Fixtures are written by `make/*.py`, whose pinned versions
//! each of them names.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot set itself up fails"
)]
#![expect(clippy::float_cmp, reason = "values are to be equal bit for bit")]
#![expect(
    clippy::unsafe_derive_deserialize,
    reason = "the fixtures' types check nothing that unsafe code relies on"
)]

mod autocast;
mod backbone;
mod bootstrap;
mod families;
mod features;
mod image;
mod intervals;
mod png;
mod poolings;
mod probe;
mod probe_linear;
mod probe_protocols;
mod probe_searches;
mod probe_spelled;
mod probe_tasks;
mod random;
mod sampling;
