//! The families of networks: what decides each one's tensors and results.

use serde_json::Value;

use super::resnet::ResNetConfig;
use super::script::ScriptConfig;
use super::vit::VitConfig;
#[cfg(feature = "torch")]
use super::{error::Error, extractor::Network, layers::Loader, vit};

/// What decides a network's tensors and results.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum NetworkConfig {
    Vit(VitConfig),
    ResNet(ResNetConfig),
    Script(ScriptConfig),
}

impl NetworkConfig {
    /// Number of features per image.
    pub(super) fn dim(&self) -> usize {
        match self {
            Self::Vit(config) => config.dim(),
            Self::ResNet(config) => config.dim(),
            Self::Script(config) => config.dim,
        }
    }

    /// `[h, w]` of the images that it takes; `None` where it says nothing of that.
    pub(super) fn img_size(&self) -> Option<[usize; 2]> {
        match self {
            Self::Vit(config) => Some(config.img_size),
            Self::ResNet(_) | Self::Script(_) => None,
        }
    }

    /// All that decides a feature besides the weights.
    pub(super) fn canonical(&self) -> Value {
        match self {
            Self::Vit(config) => config.canonical(),
            Self::ResNet(config) => config.canonical(),
            Self::Script(config) => config.canonical(),
        }
    }

    /// Whether a tensor of a published file is one that no feature passes through.
    pub(super) fn is_passed_over(&self, tensor: &str) -> bool {
        match self {
            Self::Vit(_) | Self::Script(_) => false,
            Self::ResNet(_) => ResNetConfig::is_passed_over(tensor),
        }
    }

    /// Asks for the network's tensors; `None` for a module, which has its own.
    #[cfg(feature = "torch")]
    pub(super) fn load(&self, loader: &mut Loader<'_>) -> Option<Result<Box<dyn Network>, Error>> {
        match self {
            Self::Vit(config) => Some(vit::load(loader, config)),
            Self::ResNet(config) => Some(config.load(loader)),
            Self::Script(_) => None,
        }
    }
}
