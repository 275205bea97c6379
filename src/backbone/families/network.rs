//! The families of networks: what decides each one's tensors and results.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::backbone::families::convnext::ConvNextConfig;
use crate::backbone::families::efficientnet::EfficientNetConfig;
use crate::backbone::families::hiera::HieraConfig;
use crate::backbone::families::resnet::ResNetConfig;
use crate::backbone::families::script::ScriptConfig;
use crate::backbone::families::swin::SwinConfig;
use crate::backbone::families::vit::VitConfig;
#[cfg(feature = "torch")]
use crate::backbone::{error::Error, families::layers::Loader, families::vit, run::Network};

/// What decides a network's tensors and results.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum NetworkConfig {
    Vit(VitConfig),
    ResNet(ResNetConfig),
    ConvNext(ConvNextConfig),
    EfficientNet(EfficientNetConfig),
    Swin(SwinConfig),
    Hiera(HieraConfig),
    Script(ScriptConfig),
}

impl NetworkConfig {
    /// Number of features per image.
    pub fn dim(&self) -> usize {
        match self {
            Self::Vit(config) => config.dim(),
            Self::ResNet(config) => config.dim(),
            Self::ConvNext(config) => config.dim(),
            Self::EfficientNet(config) => config.dim(),
            Self::Swin(config) => config.dim(),
            Self::Hiera(config) => config.dim(),
            Self::Script(config) => config.dim,
        }
    }

    /// `[h, w]` of the images that it takes; `None` where it takes any, or says nothing of that.
    pub fn img_size(&self) -> Option<[usize; 2]> {
        match self {
            Self::Vit(config) => Some(config.img_size),
            Self::Swin(config) => Some(config.img_size),
            Self::Hiera(config) => Some(config.img_size),
            Self::ResNet(_) | Self::ConvNext(_) | Self::EfficientNet(_) | Self::Script(_) => None,
        }
    }

    /// All that decides a feature besides the weights.
    pub fn canonical(&self) -> Value {
        match self {
            Self::Vit(config) => config.canonical(),
            Self::ResNet(config) => config.canonical(),
            Self::ConvNext(config) => config.canonical(),
            Self::EfficientNet(config) => config.canonical(),
            Self::Swin(config) => config.canonical(),
            Self::Hiera(config) => config.canonical(),
            Self::Script(config) => config.canonical(),
        }
    }
}

#[cfg(feature = "torch")]
impl NetworkConfig {
    /// Whether a tensor of a published file is one that no feature passes through.
    pub fn is_passed_over(&self, tensor: &str) -> bool {
        match self {
            Self::Vit(_) | Self::Script(_) => false,
            Self::ResNet(_) => ResNetConfig::is_passed_over(tensor),
            Self::ConvNext(_) => ConvNextConfig::is_passed_over(tensor),
            Self::EfficientNet(config) => config.is_passed_over(tensor),
            Self::Swin(_) => SwinConfig::is_passed_over(tensor),
            Self::Hiera(_) => HieraConfig::is_passed_over(tensor),
        }
    }

    /// Asks for the network's tensors; `None` for a module, which has its own.
    pub fn load(&self, loader: &mut Loader<'_>) -> Option<Result<Box<dyn Network>, Error>> {
        Some(match self {
            Self::Vit(config) => vit::load(loader, config),
            Self::ResNet(config) => config.load(loader),
            Self::ConvNext(config) => config.load(loader),
            Self::EfficientNet(config) => config.load(loader),
            Self::Swin(config) => config.load(loader),
            Self::Hiera(config) => config.load(loader),
            Self::Script(_) => return None,
        })
    }
}
