//! From a network's last map to one row of features.

use serde::{Deserialize, Serialize};

/// What becomes of a channel's values over the last map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MapPool {
    /// Their maximum, as `BioBench` takes it.
    ///
    /// Source: `biobench.third_party_models.Timm.img_encode`.
    #[default]
    Max,
    /// Their mean, as `timm.layers.SelectAdaptivePool2d` takes it by default.
    Mean,
}

impl MapPool {
    /// Whether it is what the canonical form of a network leaves unsaid.
    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde asks with a reference"
    )]
    pub fn is_max(&self) -> bool {
        *self == Self::Max
    }
}

#[cfg(feature = "torch")]
impl MapPool {
    /// `map`: four axes, two of which, `positions`, are height and width; gives `[b, c]`.
    pub fn forward(
        self,
        map: &tch::Tensor,
        positions: [i64; 2],
    ) -> Result<tch::Tensor, tch::TchError> {
        match self {
            Self::Max => map.f_amax(positions, false),
            Self::Mean => map.f_mean_dim(positions.as_slice(), false, None),
        }
    }
}

/// Height and width of a map `[b, c, h, w]`.
#[cfg(feature = "torch")]
pub const CHANNELS_FIRST: [i64; 2] = [2, 3];

/// Height and width of a map `[b, h, w, c]`.
#[cfg(feature = "torch")]
pub const CHANNELS_LAST: [i64; 2] = [1, 2];
