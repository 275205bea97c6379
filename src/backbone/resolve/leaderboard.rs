//! The checkpoints with a published NeWT score.
//!
//! Source: the leaderboard of `BioBench`, generated 2026-03-12, MIT licence; Stevens, "`BioBench`", 2025,
//! <https://arxiv.org/abs/2511.16315>.

use serde::Serialize;

use crate::backbone::checkpoint::files::NoWeights;
use crate::backbone::checkpoint::location::Lookup;
use crate::backbone::pool::Pool;
use crate::backbone::resolve::resolve;
use crate::error::Error;
use crate::hub;

/// A checkpoint with a published NeWT score.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LeaderboardRow {
    /// As in `model.org`.
    pub org: &'static str,
    /// As in `model.ckpt`.
    pub ckpt: &'static str,
    /// What it is a member of.
    pub family: &'static str,
    /// Side of an image in pixels.
    pub resolution: u32,
    /// Number of parameters.
    #[serde(rename = "parameters")]
    pub n_parameters: u64,
    /// Share of NeWT's 18,024 test images that a linear SVM gets right on its features.
    #[serde(rename = "published_accuracy")]
    pub accuracy: f64,
}

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

const TABLE: &str = include_str!("leaderboard.csv");

/// Every checkpoint with a published NeWT score, best first.
pub fn leaderboard() -> impl Iterator<Item = LeaderboardRow> {
    TABLE.lines().skip(1).filter_map(row)
}

fn row(line: &'static str) -> Option<LeaderboardRow> {
    let mut fields = line.split(',');
    Some(LeaderboardRow {
        org: fields.next()?,
        ckpt: fields.next()?,
        family: fields.next()?,
        resolution: fields.next()?.parse().ok()?,
        n_parameters: fields.next()?.parse().ok()?,
        accuracy: fields.next()?.parse().ok()?,
    })
}

impl LeaderboardRow {
    /// Where the checkpoint is; `lookup` is to be offline, else it is fetched.
    ///
    /// # Errors
    /// What is wrong with a checkpoint that is here.
    pub fn availability(&self, lookup: Lookup<'_>) -> Result<Availability, Error> {
        if self.org == "vjepa" {
            return Ok(Availability::TorchScript);
        }
        match resolve(self.org, self.ckpt, Pool::Auto, lookup) {
            Ok(_) => Ok(Availability::Here),
            Err(error) if hub::kind(&error).is_some() || error.is_a::<NoWeights>().is_some() => {
                Ok(Availability::OnHub)
            }
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_is_a_checkpoint() {
        let rows: Vec<_> = leaderboard().collect();
        assert_eq!(rows.len(), 84);
        assert_eq!(rows.len() + 1, TABLE.lines().count());
        assert!(rows.is_sorted_by(|a, b| a.accuracy >= b.accuracy));
        assert!(rows.iter().all(|row| row.n_parameters > 1_000_000));
    }
}
