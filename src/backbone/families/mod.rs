//! The families of networks: configuration and network side by side.
//!
//! A new family is a file that implements [`Family`], its network, and here its `mod` and its line in the list.

#[cfg(feature = "torch")]
pub mod conv;
pub mod convnext;
pub mod efficientnet;
pub mod hiera;
#[cfg(feature = "torch")]
pub mod layers;
#[cfg(feature = "torch")]
pub mod loader;
pub mod map_pool;
#[cfg(feature = "torch")]
pub mod parameter;
pub mod poolings;
pub mod preset;
pub mod resnet;
pub mod script;
pub mod swin;
pub mod torch_error;
pub mod vit;
#[cfg(feature = "torch")]
pub mod windows;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[cfg(feature = "torch")]
use self::loader::Loader;
use self::map_pool::MapPool;
use self::preset::Data;
use crate::backbone::checkpoint::fields::Fields;
#[cfg(feature = "torch")]
use crate::error::Error;
use crate::error::Message;

/// The settings of a network, and what they decide.
pub trait Family {
    /// Number of features per image.
    fn dim(&self) -> usize;

    /// `[h, w]` of the images that the network takes; `None` where it takes any, or says nothing of that.
    fn img_size(&self) -> Option<[usize; 2]> {
        None
    }

    /// Makes the network for images of another size, `[h, w]`, if its size decides anything.
    fn set_img_size(&mut self, _size: [usize; 2]) {}

    /// Replaces what a checkpoint's `model_args` say otherwise.
    ///
    /// # Errors
    /// Of a value that makes no sense, or would need another network.
    fn override_args(&mut self, _args: &mut Fields<'_>) -> Result<(), Message> {
        Ok(())
    }

    /// A key whose value does not go with the others', the value, and what would.
    fn contradiction(&self) -> Option<Contradiction> {
        None
    }

    /// What pools the last map; `None` of a network without one.
    fn map_pool(&mut self) -> Option<&mut MapPool> {
        None
    }

    /// Sends features through what timm has between the pooling of the last map and the last linear layer.
    fn add_head(&mut self) {}

    /// Whether no feature passes through a tensor of a published file.
    #[cfg(feature = "torch")]
    fn is_passed_over(&self, _tensor: &str) -> bool {
        false
    }
}

/// A key, its value, and what would do instead of that.
pub type Contradiction = (&'static str, String, String);

/// A network on libtorch.
#[cfg(feature = "torch")]
pub trait Network: Send + Sync {
    /// `images`: `[b, 3, h, w]` f32. Gives `[b, d]`.
    fn forward(&self, images: &tch::Tensor) -> Result<tch::Tensor, Error>;
}

/// What is told of a network that has been loaded.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Loaded {
    /// Number of values in the network's tensors; `None` where it is not known.
    pub n_parameters: Option<u64>,
    /// What was done to make the checkpoint fit.
    pub notes: Vec<String>,
}

/// Makes the list of families.
macro_rules! families {
    ($($variant:ident($config:ty, $name:literal: $key:literal, $network:ty $(, $architectures:expr)?),)+) => {
        /// What decides a network's tensors and results.
        #[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
        pub enum NetworkConfig {
            $($variant($config),)+
        }

        impl NetworkConfig {
            /// The settings, whichever family's.
            pub fn family(&self) -> &dyn Family {
                match self {
                    $(Self::$variant(config) => config,)+
                }
            }

            /// The same, to be changed.
            pub fn family_mut(&mut self) -> &mut dyn Family {
                match self {
                    $(Self::$variant(config) => config,)+
                }
            }

            /// All that decides a feature besides the weights.
            pub fn canonical(&self) -> Value {
                match self {
                    $(Self::$variant(config) => json!({ "family": $name, $key: config }),)+
                }
            }

            /// Asks for the network's tensors.
            ///
            /// # Errors
            /// What is wrong with the first of them.
            #[cfg(feature = "torch")]
            pub fn load(&self, loader: &Loader<'_>) -> Result<Box<dyn Network>, Error> {
                Ok(match self {
                    $(Self::$variant(config) => Box::new(<$network>::load(loader, config)?),)+
                })
            }
        }

        /// The families' architectures, by timm's names.
        pub fn architectures() -> impl Iterator<Item = Architecture<NetworkConfig>> {
            std::iter::empty()$($(.chain(
                $architectures.iter().map(|&(name, config, data)| (name, NetworkConfig::$variant(config), data))
            ))?)+
        }

        $(impl From<$config> for NetworkConfig {
            fn from(config: $config) -> Self {
                Self::$variant(config)
            }
        })+
    };
}

// Each with its name in the canonical form and the key of its settings there, its network, and its architectures, if
// its arguments are theirs: a Vision Transformer's are rows of the libraries' own.
#[rustfmt::skip]
families! {
    Vit(vit::VitConfig, "vit": "vit", vit::network::VisionTransformer),
    ResNet(resnet::ResNetConfig, "resnet": "resnet", resnet::network::ResNet, resnet::ARCHITECTURES),
    ConvNext(convnext::ConvNextConfig, "convnext": "convnext", convnext::network::ConvNext, convnext::ARCHITECTURES),
    EfficientNet(
        efficientnet::EfficientNetConfig, "efficientnet": "efficientnet", efficientnet::network::EfficientNet,
        efficientnet::ARCHITECTURES
    ),
    Swin(swin::SwinConfig, "swin": "swin", swin::network::SwinTransformer, swin::ARCHITECTURES),
    Hiera(hiera::HieraConfig, "hiera": "hiera", hiera::network::Hiera, hiera::ARCHITECTURES),
    Script(script::ScriptConfig, "torchscript": "dim", script::module::Script),
}

/// An architecture's name, its arguments, and the preprocessing of timm's first checkpoint for it.
pub type Architecture<C> = (&'static str, C, Data);
