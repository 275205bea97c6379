//! Arguments of timm's `VisionTransformer`, and of its `Eva`, of which DINOv3, the Perception Encoder and RoPE-ViT are
//! built.
//!
//! Source: `timm.models.vision_transformer`, `timm.models.deit` and `timm.models.eva`, timm 1.0.

use serde::Deserialize;
use serde_json::Value;

use crate::backbone::checkpoint::fields::{
    COUNT, FLAG, Fields, Kind, NUMBER, RATIO, SIDES, SIZE, SQUARE, as_sides, patches_of,
};
use crate::backbone::families::Contradiction;
use crate::backbone::families::map_pool::MapPool;
use crate::backbone::families::poolings::Poolings;
use crate::backbone::families::vit::{
    Activation, FinalNorm, Mlp, Norm, Positions, PrefixPositions, Resample, Rope, TokenPool,
    VitConfig,
};
use crate::backbone::orgs::timm::Output;
use crate::backbone::orgs::timm::pretrained_cfg::POOL;
use crate::backbone::orgs::vit_base::scaled;
use crate::error::Message;

/// Arguments of timm's `VisionTransformer` or `Eva`, mostly by their names there.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an argument of timm's classes"
)]
pub struct VitArgs {
    pub class: Class,
    /// `[h, w]` in pixels.
    pub img_size: [usize; 2],
    pub patch_size: usize,
    pub embed_dim: usize,
    pub depth: usize,
    pub num_heads: usize,
    pub mlp_ratio: f64,
    pub qkv_bias: bool,
    pub proj_bias: bool,
    pub qk_norm: bool,
    /// Whether there is a LayerScale.
    pub init_values: bool,
    pub class_token: bool,
    /// The token of a distilled DeiT counts as one.
    pub reg_tokens: usize,
    /// Whether patches have learned positions.
    pub use_abs_pos_emb: bool,
    pub no_embed_class: bool,
    /// How queries and keys are turned, if they are.
    pub rope: Option<RopeArgs>,
    pub pre_norm: bool,
    /// Whether tokens are normalised behind the last block; `None` leaves it to `fc_norm`.
    pub post_norm: Option<bool>,
    /// Whether the norm follows the pooling; `None` leaves it to `global_pool`.
    pub fc_norm: Option<bool>,
    pub global_pool: GlobalPool,
    /// Whether the pooling is over class token and registers, too.
    pub pool_include_prefix: bool,
    /// Whether the first register is a distilled DeiT's token, which is pooled with the class token.
    pub distilled: bool,
    pub attn_pool_num_heads: Option<usize>,
    pub attn_pool_mlp_ratio: Option<f64>,
    pub dynamic_img_size: bool,
    pub activation: Activation,
    /// Whether `mlp_ratio` counts both halves of the first layer of a SwiGLU.
    pub packed: bool,
    /// The hidden width of a SwiGLU is rounded up to a multiple of this.
    pub swiglu_align_to: usize,
    pub norm: Norm,
    /// Whether patches are normalised.
    pub embed_norm: bool,
}

/// A class of timm's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    VisionTransformer,
    Eva,
}

/// The arguments of rotary positions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RopeArgs {
    /// Whether `rope_type` is `dinov3`, not `cat`.
    pub is_dinov3: bool,
    pub temperature: f64,
    pub grid_offset: f64,
    pub columns_first: bool,
    pub ref_feat_shape: Option<[usize; 2]>,
}

impl RopeArgs {
    /// Rows and columns counted from 0.
    pub const COUNTED: Self = Self {
        is_dinov3: false,
        temperature: 10_000.0,
        grid_offset: 0.0,
        columns_first: false,
        ref_feat_shape: None,
    };

    fn rope(self) -> Rope {
        if self.is_dinov3 {
            return Rope::Centered {
                base: self.temperature,
            };
        }
        Rope::Counted {
            temperature: self.temperature,
            offset: self.grid_offset,
            reference: self.ref_feat_shape,
            columns_first: self.columns_first,
        }
    }
}

/// How timm's models pool tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GlobalPool {
    /// Not at all.
    #[serde(rename = "")]
    None,
    /// Class token.
    Token,
    /// Mean over the patches.
    Avg,
    /// Maximum over the patches.
    Max,
    /// The mean of mean and maximum over the patches, or something else.
    #[serde(rename = "avgmax")]
    Other,
    /// Attention of a learned query.
    Map,
}

impl GlobalPool {
    /// How it pools a map, if it is written here.
    pub fn of_map(self) -> Option<MapPool> {
        match self {
            Self::Avg => Some(MapPool::Mean),
            Self::Max => Some(MapPool::Max),
            Self::None | Self::Token | Self::Map | Self::Other => None,
        }
    }
}

impl VitArgs {
    /// The networks with this input, by how their tokens are pooled.
    pub fn poolings(&self, input: [usize; 2]) -> Poolings {
        let tokens = self.network(input, Output::Tokens);
        Poolings::of_tokens(tokens, tokens, self.head(input))
    }

    /// The network up to the classifier, where its pooling is written here.
    ///
    /// Source: `forward_head(pre_logits=True)` of `VisionTransformer`, `VisionTransformerDistilled` and `Eva`.
    pub fn head(&self, input: [usize; 2]) -> Option<VitConfig> {
        let mut network = self.network(input, Output::Classifier { dim: None });
        if self.distilled {
            network.pool = TokenPool::FirstTwo;
            let has_both = self.class_token && self.reg_tokens == 1;
            return (has_both && self.global_pool == GlobalPool::Token).then_some(network);
        }
        let has_prefix = self.class_token || self.reg_tokens > 0;
        let includes_prefix = match self.class {
            Class::VisionTransformer => self.pool_include_prefix,
            Class::Eva => self.global_pool == GlobalPool::Map,
        };
        let is_here = match self.global_pool {
            GlobalPool::Token => true,
            GlobalPool::Avg | GlobalPool::Max => !has_prefix || !includes_prefix,
            GlobalPool::Map => !has_prefix || includes_prefix,
            GlobalPool::None | GlobalPool::Other => false,
        };
        // A network may be given a norm on either side of the pooling; none is published.
        let has_both_norms = self.post_norm == Some(true) && self.norm_follows_pooling();
        (is_here && !has_both_norms).then_some(network)
    }

    /// Whether a norm follows the pooling.
    fn norm_follows_pooling(&self) -> bool {
        self.fc_norm.unwrap_or(match self.global_pool {
            GlobalPool::Avg => true,
            GlobalPool::Max | GlobalPool::Other => self.class == Class::VisionTransformer,
            GlobalPool::None | GlobalPool::Token | GlobalPool::Map => false,
        })
    }

    /// The network with this input, whose positions are learned for `img_size`.
    pub fn network(&self, input: [usize; 2], output: Output) -> VitConfig {
        let dim = self.embed_dim;
        let hidden = scaled(dim, self.mlp_ratio);
        let mlp = Mlp {
            hidden: if self.packed {
                hidden / 2
            } else {
                hidden.next_multiple_of(self.swiglu_align_to.max(1))
            },
            activation: self.activation,
            bias: self.proj_bias,
        };
        let n_prefix = usize::from(self.class_token) + self.reg_tokens;
        let after_pooling = self.norm_follows_pooling();
        let of_tokens = self.post_norm.unwrap_or(!after_pooling);
        let final_norm = match output {
            _ if of_tokens => FinalNorm::Tokens,
            Output::Classifier { .. } if after_pooling => FinalNorm::Pooled,
            Output::Classifier { .. } | Output::Tokens => FinalNorm::None,
        };
        let of_pool = Mlp {
            hidden: scaled(dim, self.attn_pool_mlp_ratio.unwrap_or(self.mlp_ratio)),
            activation: match self.class {
                Class::VisionTransformer => self.activation,
                Class::Eva => Activation::Gelu,
            },
            bias: true,
        };
        let pool_heads = self.attn_pool_num_heads.unwrap_or(self.num_heads);
        VitConfig {
            img_size: input,
            patch_size: self.patch_size,
            embed_dim: dim,
            depth: self.depth,
            num_heads: self.num_heads,
            mlp,
            norm: self.norm,
            qkv_bias: self.qkv_bias,
            proj_bias: self.proj_bias,
            qk_norm: self.qk_norm,
            layer_scale: self.init_values,
            class_token: self.class_token,
            reg_tokens: self.reg_tokens,
            positions: self.use_abs_pos_emb.then(|| self.learned_positions(input)),
            rope: self.rope.map(RopeArgs::rope),
            patch_bias: !self.pre_norm,
            patch_norm: self.embed_norm,
            pre_norm: self.pre_norm,
            final_norm,
            pool: output.pool(self.global_pool, n_prefix, pool_heads, of_pool),
            projection: output.projection(),
        }
    }

    /// Positions learned for `img_size`, of the prefix tokens too or not. For another input, timm interpolates.
    ///
    /// Source: `timm.layers.resample_abs_pos_embed`.
    fn learned_positions(&self, input: [usize; 2]) -> Positions {
        let grid = |size: [usize; 2]| size.map(|side| side / self.patch_size);
        let has_prefix = self.class_token || self.reg_tokens > 0;
        Positions::Learned {
            prefix: if has_prefix && !self.no_embed_class {
                PrefixPositions::All
            } else {
                PrefixPositions::None
            },
            grid: grid(self.img_size),
            resample: if grid(self.img_size) == grid(input) {
                Resample::Exact
            } else {
                Resample::Bicubic { antialias: true }
            },
        }
    }

    /// What contradicts itself in these arguments.
    pub fn contradiction(&self) -> Option<Contradiction> {
        let (width, heads) = (self.embed_dim, self.num_heads);
        let divisor = |key, n: usize, of: &str| {
            Some((key, n.to_string(), format!("a divisor of {of}, {width}")))
        };
        if let Some(heads) = self.attn_pool_num_heads
            && !width.is_multiple_of(heads)
        {
            return divisor("attn_pool_num_heads", heads, "the width");
        }
        if self.rope.is_some() && !width.is_multiple_of(4 * heads) {
            return divisor("num_heads", heads, "a quarter of the width");
        }
        if !width.is_multiple_of(heads) {
            return divisor("num_heads", heads, "the width");
        }
        let expected = patches_of(self.img_size, self.patch_size)?;
        Some(("patch_size", self.patch_size.to_string(), expected))
    }

    /// Replaces arguments by those of a checkpoint.
    pub fn override_args(&mut self, args: &mut Fields<'_>) -> Result<(), Message> {
        args.set(&mut self.img_size, "img_size", SIDES)?;
        args.set(&mut self.patch_size, "patch_size", SQUARE)?;
        args.set(&mut self.embed_dim, "embed_dim", SIZE)?;
        args.set(&mut self.depth, "depth", SIZE)?;
        args.set(&mut self.num_heads, "num_heads", SIZE)?;
        args.set(&mut self.mlp_ratio, "mlp_ratio", RATIO)?;
        args.set(&mut self.qkv_bias, "qkv_bias", FLAG)?;
        args.set(&mut self.qk_norm, "qk_norm", FLAG)?;
        args.set(&mut self.class_token, "class_token", FLAG)?;
        args.set(&mut self.no_embed_class, "no_embed_class", FLAG)?;
        args.set(&mut self.dynamic_img_size, "dynamic_img_size", FLAG)?;
        args.set(&mut self.init_values, "init_values", INIT_VALUES)?;
        args.set(&mut self.global_pool, "global_pool", POOL)?;
        args.fixed("in_chans", 3)?;
        args.only("dynamic_img_pad", "`false`", is_off)?;
        args.defaults(&["norm_layer"])?;
        match self.class {
            Class::VisionTransformer => self.override_vision_transformer(args),
            Class::Eva => self.override_eva(args),
        }
    }

    fn override_vision_transformer(&mut self, args: &mut Fields<'_>) -> Result<(), Message> {
        args.set(&mut self.proj_bias, "proj_bias", FLAG)?;
        args.set(&mut self.pre_norm, "pre_norm", FLAG)?;
        args.set(&mut self.reg_tokens, "reg_tokens", COUNT)?;
        args.set(&mut self.fc_norm, "fc_norm", OPTIONAL_FLAG)?;
        args.set(&mut self.pool_include_prefix, "pool_include_prefix", FLAG)?;
        if !args.or(true, "final_norm", FLAG)? {
            (self.post_norm, self.fc_norm) = (Some(false), Some(false));
        }
        if self.activation != Activation::SwiGlu {
            let activations = Kind("`gelu`, `gelu_tanh` or `quick_gelu`", as_activation);
            args.set_supported(&mut self.activation, "act_layer", activations)?;
        }
        args.fixed("pos_embed", "learn")?;
        for key in ["scale_attn_norm", "scale_mlp_norm", "use_naflex"] {
            args.only(key, "`false`", is_off)?;
        }
        args.defaults(&[
            "embed_norm_layer",
            "mlp_layer",
            "attn_layer",
            "embed_layer",
            "block_fn",
        ])
    }

    fn override_eva(&mut self, args: &mut Fields<'_>) -> Result<(), Message> {
        if let Some(is_gated) = args.optional("swiglu_mlp", FLAG)? {
            self.activation = if is_gated {
                Activation::SwiGlu
            } else {
                Activation::Gelu
            };
        }
        args.set(&mut self.swiglu_align_to, "swiglu_align_to", COUNT)?;
        args.set(&mut self.use_abs_pos_emb, "use_abs_pos_emb", FLAG)?;
        args.set(&mut self.pre_norm, "use_pre_transformer_norm", FLAG)?;
        args.set(&mut self.reg_tokens, "num_reg_tokens", COUNT)?;
        let post_norm = &mut self.post_norm;
        args.set(post_norm, "use_post_transformer_norm", OPTIONAL_FLAG)?;
        args.set(&mut self.fc_norm, "use_fc_norm", OPTIONAL_FLAG)?;
        if let Some(heads) = args.optional("attn_pool_num_heads", SIZE)? {
            self.attn_pool_num_heads = Some(heads);
        }
        if let Some(ratio) = args.optional("attn_pool_mlp_ratio", RATIO)? {
            self.attn_pool_mlp_ratio = Some(ratio);
        }
        self.override_rope(args)?;
        args.only("qkv_fused", "timm's default", |value| *value == true)?;
        args.only("attn_type", "timm's default", |value| {
            value == "rope" || value == "eva"
        })?;
        for key in [
            "scale_mlp",
            "scale_attn_inner",
            "attn_only_layer_scale",
            "use_post_norm",
            "num_kv_heads",
        ] {
            args.only(key, "`false`", is_off)?;
        }
        Ok(())
    }

    fn override_rope(&mut self, args: &mut Fields<'_>) -> Result<(), Message> {
        let is_used = args.or(self.rope.is_some(), "use_rot_pos_emb", FLAG)?;
        let mut rope = self.rope.unwrap_or(RopeArgs::COUNTED);
        let kinds = [("cat", false), ("dinov3", true)];
        args.choose(&mut rope.is_dinov3, "rope_type", &kinds)?;
        args.set(&mut rope.temperature, "rope_temperature", NUMBER)?;
        args.set(&mut rope.grid_offset, "rope_grid_offset", NUMBER)?;
        let orders = [("ij", false), ("xy", true)];
        args.choose(&mut rope.columns_first, "rope_grid_indexing", &orders)?;
        let size = Kind("a size in patches", |value| match value {
            Value::Null => Some(None),
            value => as_sides(value).map(Some),
        });
        args.set(&mut rope.ref_feat_shape, "ref_feat_shape", size)?;
        // DINOv3 turns the halves of a head against each other.
        args.only("rope_rotate_half", "what goes with `rope_type`", |value| {
            value.as_bool() == Some(rope.is_dinov3)
        })?;
        self.rope = is_used.then_some(rope);
        Ok(())
    }
}

/// A flag that timm decides where it is `null`.
const OPTIONAL_FLAG: Kind<'_, Option<bool>> = Kind("`true`, `false` or `null`", |value| {
    (value.is_null() || value.is_boolean()).then(|| value.as_bool())
});

/// Whether there is a `LayerScale`; timm makes none for 0.
const INIT_VALUES: Kind<'_, bool> = Kind("a number or `null`", |value| {
    (value.is_null() || value.is_number()).then(|| value.as_f64().is_some_and(|it| it != 0.0))
});

/// Whether a setting asks for nothing.
fn is_off(value: &Value) -> bool {
    value.is_null() || value.as_bool() == Some(false)
}

fn as_activation(value: &Value) -> Option<Activation> {
    match value.as_str() {
        None if value.is_null() => Some(Activation::Gelu),
        Some("gelu") => Some(Activation::Gelu),
        Some("gelu_tanh") => Some(Activation::GeluTanh),
        Some("quick_gelu") => Some(Activation::QuickGelu),
        _ => None,
    }
}
