//! What decides which tensors a Vision Transformer has and what it computes: one core for all families.
//!
//! The published files of timm, `open_clip`, transformers and Apple are read into this core by their
//! [`crate::backbone::checkpoint::tensor_names::TensorNames`]s; tensors have the names of timm's `VisionTransformer` here.
//!
//! Dosovitskiy et al., "An Image is Worth 16x16 Words", 2021, <https://arxiv.org/abs/2010.11929>; LayerScale:
//! Touvron et al., 2021, <https://arxiv.org/abs/2103.17239>; registers: Darcet et al., 2024,
//! <https://arxiv.org/abs/2309.16588>; SwiGLU: Shazeer, 2020, <https://arxiv.org/abs/2002.05202>; rotary
//! positions: Su et al., 2021, <https://arxiv.org/abs/2104.09864>.

#[cfg(feature = "torch")]
pub mod attention;
#[cfg(feature = "torch")]
pub mod network;
#[cfg(feature = "torch")]
mod pool;
#[cfg(feature = "torch")]
mod positions;

use serde::{Deserialize, Serialize};

use crate::backbone::families::Family;

/// A Vision Transformer whose blocks normalise first.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says whether a tensor is there"
)]
pub struct VitConfig {
    /// `[h, w]` in pixels.
    pub img_size: [usize; 2],
    /// Side of a patch in pixels.
    pub patch_size: usize,
    /// Width of a token.
    pub embed_dim: usize,
    /// Number of blocks.
    pub depth: usize,
    /// Number of attention heads.
    pub num_heads: usize,
    /// A block's second half.
    pub mlp: Mlp,
    /// Every norm but those of heads.
    pub norm: Norm,
    /// Whether the projection to queries, keys and values has a bias.
    pub qkv_bias: bool,
    /// Whether the projection behind the attention has a bias.
    pub proj_bias: bool,
    /// Whether queries and keys are normalised, head by head.
    pub qk_norm: bool,
    /// Whether both branches of a block are scaled by a learned vector.
    pub layer_scale: bool,
    /// Whether the first token is a class token.
    pub class_token: bool,
    /// Number of register tokens, behind the class token.
    pub reg_tokens: usize,
    /// What is added to tokens to say where they are.
    pub positions: Option<Positions>,
    /// How queries and keys are turned to say where they are.
    pub rope: Option<Rope>,
    /// Whether the projection of patches has a bias.
    pub patch_bias: bool,
    /// Whether patches are normalised before positions are added.
    pub patch_norm: bool,
    /// Whether tokens are normalised before the first block, as in CLIP.
    pub pre_norm: bool,
    /// Which norm follows the last block.
    pub final_norm: FinalNorm,
    /// What becomes of the tokens.
    pub pool: TokenPool,
    /// The last linear layer.
    pub projection: Option<Projection>,
}

/// A block's second half.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mlp {
    /// Width between its two layers.
    pub hidden: usize,
    /// What happens between them.
    pub activation: Activation,
    /// Whether both have biases.
    pub bias: bool,
}

/// What happens between the two layers of an MLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// x Φ(x).
    Gelu,
    /// The approximation of GELU by tanh.
    GeluTanh,
    /// x σ(1.702 x).
    QuickGelu,
    /// The first layer is twice as wide: silu of its first half times its second half.
    SwiGlu,
}

/// A norm over a token.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Norm {
    pub kind: NormKind,
    /// Added to the variance, or to the mean of squares.
    pub eps: f64,
    /// Whether the result has its input's precision, as in `open_clip`, whose tokens stay in half precision from the
    /// patches on. Elsewhere it is f32. Without half precision there is no difference.
    pub casts_back: bool,
}

/// How a token is normalised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NormKind {
    /// To mean 0 and variance 1, then scaled and shifted.
    Layer,
    /// To a mean square of 1, then scaled.
    Rms,
}

/// What is added to tokens to say where they are.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Positions {
    /// Learned vectors.
    Learned {
        /// Which tokens before the patches have one.
        prefix: PrefixPositions,
        /// `[h, w]` of the stored grid in patches.
        grid: [usize; 2],
        /// How they are made to fit another grid.
        resample: Resample,
    },
    /// Sines and cosines of a patch's column, then those of its row: a quarter of the width each.
    ///
    /// Source: `transformers.models.aimv2.modeling_aimv2.Aimv2VisionEmbeddings`, native resolution.
    SinCos,
}

/// Which tokens before the patches have a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrefixPositions {
    None,
    /// The class token, not the registers.
    Class,
    All,
}

/// How learned positions are made to fit another grid than theirs; on their own grid they stay as they are.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resample {
    /// Not at all: there is no other grid.
    Exact,
    /// By bicubic interpolation to the size of the grid.
    Bicubic { antialias: bool },
    /// By bicubic interpolation, scaled by (new + `offset`) / old, as DINOv2 does.
    BicubicScaled { offset: f64 },
}

/// How queries and keys are turned, by the row and the column of their patch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rope {
    /// Coordinates of patches' centres from -1 to 1; the first half of a head is paired with the second.
    ///
    /// Source: DINOv3's `RopePositionEmbedding`, with periods in f32.
    Centered {
        /// The longest period is nearly this.
        base: f64,
    },
    /// Rows and columns counted from `offset`, scaled to a reference grid; neighbours are paired.
    ///
    /// Source: `timm.layers.RotaryEmbeddingCat`.
    Counted {
        temperature: f64,
        /// Of the first row and column.
        offset: f64,
        /// `[h, w]` of the grid that the model was trained on.
        reference: Option<[usize; 2]>,
        /// Whether columns come before rows (`grid_indexing = "xy"`).
        columns_first: bool,
    },
}

/// Which norm follows the last block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinalNorm {
    None,
    /// `norm`, over every token.
    Tokens,
    /// `fc_norm`, over what the pooling gives.
    Pooled,
}

/// What becomes of the tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenPool {
    /// The first token.
    First,
    /// The mean of the first two tokens, which are those of the class and of the distillation.
    ///
    /// Source: `timm.models.deit.VisionTransformerDistilled.forward_head`.
    FirstTwo,
    /// The maximum over patches, per channel.
    Max,
    /// The mean over patches.
    Mean,
    /// Attention of a learned query to all tokens, then a norm and an MLP.
    ///
    /// Source: `timm.layers.AttentionPoolLatent`; Zhai et al., 2022, <https://arxiv.org/abs/2106.04560>.
    Map { num_heads: usize, mlp: Mlp },
    /// Attention of a learned query to all tokens, without an MLP.
    ///
    /// Source: `transformers.models.aimv2.modeling_aimv2.Aimv2AttentionPoolingHead`.
    Aim { num_heads: usize },
}

/// The last linear layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Projection {
    pub dim: usize,
    pub bias: bool,
}

impl Family for VitConfig {
    fn dim(&self) -> usize {
        self.projection
            .map_or(self.embed_dim, |projection| projection.dim)
    }

    fn img_size(&self) -> Option<[usize; 2]> {
        Some(self.img_size)
    }
}

#[cfg(feature = "torch")]
impl Mlp {
    /// Two layers with biases and GELU between.
    pub fn gelu(hidden: usize) -> Self {
        Self {
            hidden,
            activation: Activation::Gelu,
            bias: true,
        }
    }

    /// Width of what the first layer gives.
    pub fn rows(self) -> usize {
        match self.activation {
            Activation::SwiGlu => 2 * self.hidden,
            Activation::Gelu | Activation::GeluTanh | Activation::QuickGelu => self.hidden,
        }
    }
}

/// Numbers that follow from the settings.
#[cfg(any(feature = "torch", test))]
impl VitConfig {
    /// `[h, w]` in patches: an incomplete one at the right or lower border is left out.
    pub fn grid(&self) -> [usize; 2] {
        self.img_size.map(|side| side / self.patch_size)
    }

    /// Tokens before the patches.
    pub fn n_prefix_tokens(&self) -> usize {
        usize::from(self.class_token) + self.reg_tokens
    }
}

/// What a checkpoint's tensors are held against.
#[cfg(feature = "torch")]
impl VitConfig {
    /// Tokens before the patches that have a position.
    pub fn n_prefix_positions(&self, prefix: PrefixPositions) -> usize {
        match prefix {
            PrefixPositions::None => 0,
            PrefixPositions::Class => usize::from(self.class_token),
            PrefixPositions::All => self.n_prefix_tokens(),
        }
    }

    /// Whether a checkpoint whose tensors have the shapes that `shape` gives can be of this architecture.
    ///
    /// Looks at the tensors in which timm's architectures differ; the number of heads leaves no trace.
    pub fn fits<'a>(&self, shape: impl Fn(&str) -> Option<&'a [usize]>) -> bool {
        let has = |name: &str, expected: &[usize]| shape(name) == Some(expected);
        let is_there = |name: &str, expected: bool| shape(name).is_some() == expected;
        let (width, patch) = (self.embed_dim, self.patch_size);
        let last = self.depth.saturating_sub(1);
        let has_positions = match self.positions {
            Some(Positions::Learned { prefix, grid, .. }) => {
                let n = self.n_prefix_positions(prefix) + grid.iter().product::<usize>();
                has("pos_embed", &[1, n, width])
            }
            Some(Positions::SinCos) | None => is_there("pos_embed", false),
        };
        has_positions
            && has("patch_embed.proj.weight", &[width, 3, patch, patch])
            && has(
                &format!("blocks.{last}.mlp.fc1.weight"),
                &[self.mlp.rows(), width],
            )
            && is_there(&format!("blocks.{}.norm1.weight", self.depth), false)
            && is_there("blocks.0.attn.qkv.bias", self.qkv_bias)
            && is_there("blocks.0.attn.q_norm.weight", self.qk_norm)
            && is_there("blocks.0.ls1.gamma", self.layer_scale)
            && is_there("cls_token", self.class_token)
            && is_there("reg_token", self.reg_tokens > 0)
            && is_there("norm_pre.weight", self.pre_norm)
            && is_there("norm.weight", self.final_norm == FinalNorm::Tokens)
    }
}
