//! Whether a checkpoint is on this machine.

use crate::backbone::checkpoint::files::NoWeights;
use crate::backbone::checkpoint::location::Lookup;
use crate::backbone::pool::Pool;
use crate::backbone::resolve::resolve;
use crate::error::Error;
use crate::hub;

/// Where a checkpoint is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Availability {
    /// On this machine, ready to load.
    Here,
    /// To be fetched.
    OnHub,
    /// To be traced in Python.
    TorchScript,
}

impl Availability {
    /// As tables show it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Here => "here",
            Self::OnHub => "on the hub",
            Self::TorchScript => "torchscript",
        }
    }
}

/// Where the checkpoint is that `BioBench` calls `org` and `ckpt`; `lookup` is to be offline, else it is fetched.
///
/// # Errors
/// What is wrong with a checkpoint that is here.
pub fn availability(org: &str, ckpt: &str, lookup: Lookup<'_>) -> Result<Availability, Error> {
    if org == "vjepa" {
        return Ok(Availability::TorchScript);
    }
    match resolve(org, ckpt, Pool::Auto, lookup) {
        Ok(_) => Ok(Availability::Here),
        Err(error) if hub::kind(&error).is_some() || error.is_a::<NoWeights>().is_some() => {
            Ok(Availability::OnHub)
        }
        Err(error) => Err(error),
    }
}
