//! Held against the reference libraries. Fixtures are written by `make/*.py`, whose pinned versions
//! each of them names.

mod bootstrap;
mod image;
mod probe;
mod random;
mod sampling;
