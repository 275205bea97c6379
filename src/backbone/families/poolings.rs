//! A model's networks, one for each of its poolings: what [`Pool`] means.
//!
//! | choice | tokens of a Vision Transformer | last map of another network |
//! | --- | --- | --- |
//! | `auto` | as `BioBench` takes them for the org | its maximum, as `BioBench` takes it |
//! | `cls` | the class token | – |
//! | `mean` | the mean over patches | its mean |
//! | `max` | the maximum over patches | its maximum |
//! | `head` | as the library pools them | as the library pools it |
//!
//! Tokens are those behind the last norm: timm's `forward_features`, what `open_clip` gives for `output_tokens`,
//! transformers' `last_hidden_state`, which of a CLIP is normalised here as the one token that its class picks is. A norm
//! that follows a pooling over patches (timm's `fc_norm`, `final_ln_after_pool` of `open_clip`) belongs to `head`. Patches
//! are all tokens but class token and registers.
//!
//! `head` is what the last linear layer is given, be it a classifier or the projection of a CLIP: timm's
//! `forward_head(x, pre_logits=True)`, and in other libraries what corresponds to it.
//!
//! Source: `timm.models.vision_transformer.global_pool_nlc`, and `forward_head` of timm's models, timm 1.0.

use crate::backbone::families::NetworkConfig;
use crate::backbone::families::map_pool::MapPool;
use crate::backbone::families::vit::{FinalNorm, TokenPool, VitConfig};
use crate::backbone::pool::Pool;

/// A model's networks, one for each of its poolings.
#[derive(Clone, Debug, PartialEq)]
pub struct Poolings {
    /// As `BioBench` does it.
    pub auto: NetworkConfig,
    /// The others that the model has, in the order of [`Pool::all`].
    others: Vec<(Pool, NetworkConfig)>,
}

impl Poolings {
    /// Of a network that pools by itself.
    pub fn fixed(auto: impl Into<NetworkConfig>) -> Self {
        Self {
            auto: auto.into(),
            others: Vec::new(),
        }
    }

    /// Of a Vision Transformer: `tokens` is the network whose tokens `cls`, `mean` and `max` take, and `head` the whole
    /// network but for its last linear layer, where its library pools.
    pub fn of_tokens(auto: VitConfig, tokens: VitConfig, head: Option<VitConfig>) -> Self {
        let by = |pool| {
            let final_norm = match (tokens.final_norm, pool) {
                // A norm is the same before and after a token is picked: this may be `auto`.
                (FinalNorm::Tokens, TokenPool::First) if auto.final_norm == FinalNorm::Pooled => {
                    FinalNorm::Pooled
                }
                (norm, _) => norm,
            };
            VitConfig {
                pool,
                final_norm,
                projection: None,
                ..tokens
            }
        };
        let networks = [
            (Pool::Cls, tokens.class_token.then(|| by(TokenPool::First))),
            (Pool::Mean, Some(by(TokenPool::Mean))),
            (Pool::Max, Some(by(TokenPool::Max))),
            (Pool::Head, head),
        ];
        let others = networks
            .into_iter()
            .filter_map(|(pool, network)| Some((pool, network?.into())));
        Self {
            auto: auto.into(),
            others: others.collect(),
        }
    }

    /// Of a network whose features are a map; `head` is how its library pools that.
    pub fn of_map(auto: NetworkConfig, head: Option<MapPool>) -> Self {
        let by = |pool: MapPool| {
            let mut network = auto;
            *network.family_mut().map_pool()? = pool;
            Some(network)
        };
        let head = head.and_then(by).map(|mut network| {
            network.family_mut().add_head();
            network
        });
        let networks = [
            (Pool::Mean, by(MapPool::Mean)),
            (Pool::Max, by(MapPool::Max)),
            (Pool::Head, head),
        ];
        let others = networks
            .into_iter()
            .filter_map(|(pool, network)| Some((pool, network?)));
        Self {
            auto,
            others: others.collect(),
        }
    }

    /// The network that pools so, if the model has it.
    pub fn get(&self, pool: Pool) -> Option<&NetworkConfig> {
        if pool == Pool::Auto {
            return Some(&self.auto);
        }
        let found = self.others.iter().find(|(other, _)| *other == pool);
        found.map(|(_, network)| network)
    }

    /// The poolings that the model has, in the order of [`Pool::all`].
    pub fn pools(&self) -> impl Iterator<Item = Pool> {
        std::iter::once(Pool::Auto).chain(self.others.iter().map(|(pool, _)| *pool))
    }

    /// The choices which are the same network as `pool`, besides itself.
    pub fn same_as(&self, pool: Pool) -> impl Iterator<Item = Pool> {
        let network = self.get(pool);
        self.pools()
            .filter(move |other| *other != pool && self.get(*other) == network)
    }
}
