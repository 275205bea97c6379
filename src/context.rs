//! What long work may use besides its inputs; none of it changes a result.

use crate::interrupt::Interrupt;
use crate::progress::{Progress, Silent};

/// Where progress goes, and whether to stop.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Where progress goes.
    pub progress: &'a dyn Progress,
    /// Whether to stop.
    pub interrupt: &'a Interrupt,
}

impl Context<'_> {
    /// The same, with nothing said.
    #[must_use]
    pub fn silent(self) -> Self {
        Self {
            progress: &Silent,
            ..self
        }
    }
}
