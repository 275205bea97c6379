//! From tokens to one feature row.

use tch::{TchError, Tensor};

use crate::backbone::families::layers::{Linear, attend, keeping_scale};
use crate::backbone::families::loader::{Loader, as_i64};
use crate::backbone::families::parameter::Parameter;
use crate::backbone::families::vit::attention::{Mlp, Norm, beside};
use crate::backbone::families::vit::{TokenPool, VitConfig};
use crate::error::Error;

/// What becomes of the tokens.
pub enum Pool {
    First,
    FirstTwo,
    /// Over the tokens behind the first `n_prefix`.
    Max {
        n_prefix: i64,
    },
    /// Over the tokens behind the first `n_prefix`.
    Mean {
        n_prefix: i64,
    },
    Latent(Box<LatentPool>),
}

impl Pool {
    pub fn load(loader: &Loader<'_>, config: &VitConfig) -> Result<Self, Error> {
        let dim = config.embed_dim;
        let n_prefix = as_i64(config.n_prefix_tokens());
        Ok(match config.pool {
            TokenPool::First => Self::First,
            TokenPool::FirstTwo => Self::FirstTwo,
            TokenPool::Max => Self::Max { n_prefix },
            TokenPool::Mean => Self::Mean { n_prefix },
            TokenPool::Map { num_heads, mlp } => Self::Latent(Box::new(LatentPool {
                latent: latent(loader, dim)?,
                q: Some(Linear::load(&loader.at("q"), dim, dim, true)?),
                kv: Linear::load(&loader.at("kv"), dim, 2 * dim, true)?,
                proj: Linear::load(&loader.at("proj"), dim, dim, true)?,
                mlp: Some((
                    Norm::load(&loader.at("norm"), dim, config.norm)?,
                    Mlp::load(&loader.at("mlp"), dim, mlp)?,
                )),
                num_heads: as_i64(num_heads),
            })),
            TokenPool::Aim { num_heads } => Self::Latent(Box::new(LatentPool {
                latent: latent(loader, dim)?,
                q: None,
                kv: Linear::load(&loader.at("kv"), dim, 2 * dim, config.qkv_bias)?,
                proj: Linear::load(&loader.at("proj"), dim, dim, true)?,
                mlp: None,
                num_heads: as_i64(num_heads),
            })),
        })
    }

    /// `tokens`: `[b, t, d]`; gives `[b, d]`.
    pub fn forward(&self, tokens: &Tensor) -> Result<Tensor, TchError> {
        match self {
            Self::First => tokens.f_select(1, 0),
            Self::FirstTwo => {
                let both = tokens.f_narrow(1, 0, 2)?;
                both.f_mean_dim([1_i64].as_slice(), false, None)
            }
            Self::Max { n_prefix } => patches(tokens, *n_prefix)?.f_amax([1], false),
            Self::Mean { n_prefix } => {
                patches(tokens, *n_prefix)?.f_mean_dim([1_i64].as_slice(), false, None)
            }
            Self::Latent(pool) => pool.forward(tokens),
        }
    }
}

/// The tokens behind the first `n_prefix`.
fn patches(tokens: &Tensor, n_prefix: i64) -> Result<Tensor, TchError> {
    let (_, t, _) = tokens.size3()?;
    tokens.f_narrow(1, n_prefix, t - n_prefix)
}

/// The learned query, `[1, 1, d]`.
fn latent(loader: &Loader<'_>, dim: usize) -> Result<Parameter, Error> {
    loader.f32("latent", &[1, 1, dim], keeping_scale(dim))
}

/// Attention of a learned query to all tokens.
pub struct LatentPool {
    latent: Parameter,
    /// Makes the query of what is learned, if that is not the query itself.
    q: Option<Linear>,
    kv: Linear,
    proj: Linear,
    /// What follows, if something does.
    mlp: Option<(Norm, Mlp)>,
    num_heads: i64,
}

impl LatentPool {
    fn forward(&self, tokens: &Tensor) -> Result<Tensor, TchError> {
        let kv = self.kv.forward(tokens)?;
        let q = match &self.q {
            Some(q) => q.forward(&self.latent)?,
            None => self.latent.f_to_kind(kv.f_kind()?)?,
        }; // [1, 1, d]
        let attended = query(&q, &kv, self.num_heads)?;
        let mut x = self.proj.forward(&attended)?; // [b, 1, d]
        if let Some((norm, mlp)) = &self.mlp {
            x = x.f_add(&mlp.forward(&norm.forward(&x)?)?)?;
        }
        x.f_select(1, 0)
    }
}

/// Attention of one query, `q`: `[1, 1, d]`, to keys and values, `kv`: `[b, t, 2·d]`; gives `[b, 1, d]`.
fn query(q: &Tensor, kv: &Tensor, heads: i64) -> Result<Tensor, TchError> {
    let (b, t, twice_d) = kv.size3()?;
    let d = twice_d / 2;
    let q = q
        .f_reshape([1, 1, heads, d / heads])?
        .f_transpose(1, 2)?
        .f_expand([b, -1, -1, -1], false)?; // [b, heads, 1, d/heads]
    let kv = kv
        .f_reshape([b, t, 2, heads, d / heads])?
        .f_permute([2, 0, 3, 1, 4])?; // [2, b, heads, t, d/heads]
    beside(&attend(&q, &kv.f_select(0, 0)?, &kv.f_select(0, 1)?, None)?)
}
