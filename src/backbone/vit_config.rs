//! What decides which tensors a Vision Transformer has and what it computes.
//!
//! Fields are named as the arguments of timm's `VisionTransformer`.

use serde_json::{Value, json};

/// A Vision Transformer with learned positions, LayerNorm, GELU, one qkv projection and pre-norm blocks.
///
/// Source: `timm.models.vision_transformer.VisionTransformer`, timm 1.0.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an argument of timm's class"
)]
pub(super) struct VitConfig {
    /// `[h, w]` in pixels.
    pub(super) img_size: [usize; 2],
    /// Side of a patch in pixels.
    pub(super) patch_size: usize,
    /// Width of a token.
    pub(super) embed_dim: usize,
    /// Number of blocks.
    pub(super) depth: usize,
    /// Number of attention heads.
    pub(super) num_heads: usize,
    /// Hidden width of a block's MLP, as a multiple of `embed_dim`.
    pub(super) mlp_ratio: f64,
    /// Whether the projection to queries, keys and values has a bias.
    pub(super) qkv_bias: bool,
    /// Whether both branches of a block are scaled by a learned vector (`init_values`).
    pub(super) layer_scale: bool,
    /// Whether the first token is a class token.
    pub(super) class_token: bool,
    /// Number of register tokens, behind the class token.
    pub(super) reg_tokens: usize,
    /// Whether only patches have positions, not the tokens before them.
    pub(super) no_embed_class: bool,
    /// Whether tokens are normalised before the first block, as in CLIP; the patches then have no bias.
    pub(super) pre_norm: bool,
    /// Whether there is a norm behind the last block, be it `norm` or `fc_norm`.
    pub(super) final_norm: bool,
    /// Whether that norm follows the pooling, in the classifier; `None` leaves it to `global_pool`.
    pub(super) fc_norm: Option<bool>,
    /// How the classifier pools tokens.
    pub(super) global_pool: GlobalPool,
    /// Added to the variance in every norm.
    pub(super) norm_eps: f64,
}

/// How timm's classifier pools tokens; of the features it decides the final norm only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GlobalPool {
    /// Not at all.
    None,
    /// Class token.
    Token,
    /// Mean, maximum, or the mean of both, over the patches.
    Patches,
}

/// Which norm follows the last block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FinalNorm {
    /// None.
    None,
    /// `norm`, over every token.
    Tokens,
    /// `fc_norm`, in the classifier: features are not normalised.
    Classifier,
}

/// What becomes of the tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Feature {
    /// The first token.
    First,
    /// The maximum over tokens, per channel.
    Max,
}

impl VitConfig {
    /// Hidden width of a block's MLP.
    pub(super) fn mlp_dim(&self) -> usize {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "timm truncates, too; ratios are checked to be positive and small"
        )]
        let mlp_dim = (self.embed_dim as f64 * self.mlp_ratio) as usize;
        mlp_dim
    }

    /// Patches per image: an incomplete one at the right or lower border is left out.
    pub(super) fn n_patches(&self) -> usize {
        self.img_size
            .iter()
            .map(|side| side / self.patch_size)
            .product()
    }

    /// Tokens before the patches.
    pub(super) fn n_prefix_tokens(&self) -> usize {
        usize::from(self.class_token) + self.reg_tokens
    }

    /// Which norm follows the last block.
    pub(super) fn final_norm(&self) -> FinalNorm {
        let in_classifier = self
            .fc_norm
            .unwrap_or(self.global_pool == GlobalPool::Patches);
        match (self.final_norm, in_classifier) {
            (false, _) => FinalNorm::None,
            (true, false) => FinalNorm::Tokens,
            (true, true) => FinalNorm::Classifier,
        }
    }

    /// What becomes of the tokens. Where there are registers but no class token, the reference takes the
    /// first register.
    ///
    /// Source: `biobench.third_party_models.Timm.img_encode`.
    pub(super) fn feature(&self) -> Feature {
        if self.n_prefix_tokens() > 0 {
            Feature::First
        } else {
            Feature::Max
        }
    }

    /// All that decides a feature besides the weights.
    pub(super) fn canonical(&self) -> Value {
        json!({
            "family": "vit",
            "img_size": self.img_size,
            "patch_size": self.patch_size,
            "embed_dim": self.embed_dim,
            "depth": self.depth,
            "num_heads": self.num_heads,
            "mlp_dim": self.mlp_dim(),
            "qkv_bias": self.qkv_bias,
            "layer_scale": self.layer_scale,
            "class_token": self.class_token,
            "reg_tokens": self.reg_tokens,
            "no_embed_class": self.no_embed_class,
            "pre_norm": self.pre_norm,
            "norm": self.final_norm() == FinalNorm::Tokens,
            "norm_eps": self.norm_eps,
            "feature": match self.feature() {
                Feature::First => "first",
                Feature::Max => "max",
            },
        })
    }
}

/// What a checkpoint's tensors are held against.
#[cfg(feature = "torch")]
impl VitConfig {
    /// Tokens that have a position.
    pub(super) fn n_positions(&self) -> usize {
        self.n_patches()
            + if self.no_embed_class {
                0
            } else {
                self.n_prefix_tokens()
            }
    }

    /// Whether a checkpoint whose tensors have the shapes that `shape` gives can be of this architecture.
    ///
    /// Looks at the tensors in which architectures differ; the number of heads leaves no trace.
    pub(super) fn fits<'a>(&self, shape: impl Fn(&str) -> Option<&'a [usize]>) -> bool {
        let has = |name: &str, expected: &[usize]| shape(name) == Some(expected);
        let is_there = |name: &str, expected: bool| shape(name).is_some() == expected;
        let (width, patch) = (self.embed_dim, self.patch_size);
        let last = self.depth.saturating_sub(1);
        has("patch_embed.proj.weight", &[width, 3, patch, patch])
            && has("pos_embed", &[1, self.n_positions(), width])
            && has(
                &format!("blocks.{last}.mlp.fc1.weight"),
                &[self.mlp_dim(), width],
            )
            && is_there(&format!("blocks.{}.norm1.weight", self.depth), false)
            && is_there("blocks.0.attn.qkv.bias", self.qkv_bias)
            && is_there("blocks.0.ls1.gamma", self.layer_scale)
            && is_there("cls_token", self.class_token)
            && is_there("reg_token", self.reg_tokens > 0)
            && is_there("norm_pre.weight", self.pre_norm)
            && is_there("norm.weight", self.final_norm() == FinalNorm::Tokens)
    }
}
