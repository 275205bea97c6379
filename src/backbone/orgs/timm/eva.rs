//! Arguments of timm's `Eva`, of which DINOv3, the Perception Encoder and RoPE-ViT are built.
//!
//! Source: `timm.models.eva`, timm 1.0.

use serde_json::Value;

use crate::backbone::checkpoint::fields::{
    COUNT, FLAG, Fields, Kind, NUMBER, RATIO, SIDES, SIZE, SQUARE, as_ratio, as_sides, as_size,
};
use crate::backbone::families::Contradiction;
use crate::backbone::families::vit::{Activation, FinalNorm, Mlp, Norm, NormKind, Rope, VitConfig};
use crate::backbone::orgs::timm::Output;
use crate::backbone::orgs::timm::pretrained_cfg::POOL;
use crate::backbone::orgs::timm::vit::{
    GlobalPool, INIT_VALUES, OPTIONAL_FLAG, contradiction, is_off, learned_positions,
};
use crate::backbone::orgs::vit_base::scaled;
use crate::error::Message;

/// Arguments of timm's `Eva`, by their names there.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an argument of timm's class"
)]
pub struct EvaArgs {
    /// `[h, w]` in pixels.
    pub img_size: [usize; 2],
    pub patch_size: usize,
    pub embed_dim: usize,
    pub depth: usize,
    pub num_heads: usize,
    pub qkv_bias: bool,
    pub qk_norm: bool,
    pub mlp_ratio: f64,
    pub swiglu_mlp: bool,
    /// The hidden width of a SwiGLU is rounded up to a multiple of this.
    pub swiglu_align_to: usize,
    pub init_values: bool,
    pub class_token: bool,
    pub num_reg_tokens: usize,
    pub no_embed_class: bool,
    pub use_abs_pos_emb: bool,
    /// How queries and keys are turned, if they are.
    pub rope: Option<RopeArgs>,
    pub use_pre_transformer_norm: bool,
    pub use_post_transformer_norm: Option<bool>,
    pub use_fc_norm: Option<bool>,
    pub global_pool: GlobalPool,
    pub attn_pool_num_heads: Option<usize>,
    pub attn_pool_mlp_ratio: Option<f64>,
    pub dynamic_img_size: bool,
    pub norm_eps: f64,
}

/// The arguments of rotary positions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RopeArgs {
    pub kind: RopeKind,
    pub temperature: f64,
    pub grid_offset: f64,
    pub columns_first: bool,
    pub ref_feat_shape: Option<[usize; 2]>,
}

/// timm's `rope_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RopeKind {
    Cat,
    DinoV3,
}

impl RopeArgs {
    fn rope(self) -> Rope {
        match self.kind {
            RopeKind::DinoV3 => Rope::Centered {
                base: self.temperature,
            },
            RopeKind::Cat => Rope::Counted {
                temperature: self.temperature,
                offset: self.grid_offset,
                reference: self.ref_feat_shape,
                columns_first: self.columns_first,
            },
        }
    }
}

impl EvaArgs {
    /// The network with this input, whose positions are learned for `img_size`.
    pub fn network(&self, input: [usize; 2], output: Output) -> VitConfig {
        let dim = self.embed_dim;
        let hidden = scaled(dim, self.mlp_ratio);
        let mlp = Mlp {
            hidden: hidden.next_multiple_of(self.swiglu_align_to.max(1)),
            activation: if self.swiglu_mlp {
                Activation::SwiGlu
            } else {
                Activation::Gelu
            },
            bias: true,
        };
        let n_prefix = usize::from(self.class_token) + self.num_reg_tokens;
        let after_pooling = self
            .use_fc_norm
            .unwrap_or(self.global_pool == GlobalPool::Avg);
        let of_tokens = self.use_post_transformer_norm.unwrap_or(!after_pooling);
        let final_norm = match output {
            _ if of_tokens => FinalNorm::Tokens,
            Output::Classifier { .. } if after_pooling => FinalNorm::Pooled,
            Output::Classifier { .. } | Output::Tokens => FinalNorm::None,
        };
        let of_pool = Mlp {
            hidden: scaled(dim, self.attn_pool_mlp_ratio.unwrap_or(self.mlp_ratio)),
            activation: Activation::Gelu,
            bias: true,
        };
        let pool_heads = self.attn_pool_num_heads.unwrap_or(self.num_heads);
        let grid = self.img_size.map(|side| side / self.patch_size);
        VitConfig {
            img_size: input,
            patch_size: self.patch_size,
            embed_dim: dim,
            depth: self.depth,
            num_heads: self.num_heads,
            mlp,
            norm: Norm {
                kind: NormKind::Layer,
                eps: self.norm_eps,
                casts_back: false,
            },
            qkv_bias: self.qkv_bias,
            proj_bias: true,
            qk_norm: self.qk_norm,
            layer_scale: self.init_values,
            class_token: self.class_token,
            reg_tokens: self.num_reg_tokens,
            positions: self.use_abs_pos_emb.then(|| {
                learned_positions(
                    !self.no_embed_class && n_prefix > 0,
                    grid,
                    input.map(|side| side / self.patch_size),
                )
            }),
            rope: self.rope.map(RopeArgs::rope),
            patch_bias: !self.use_pre_transformer_norm,
            patch_norm: false,
            pre_norm: self.use_pre_transformer_norm,
            final_norm,
            pool: output.pool(self.global_pool, n_prefix, pool_heads, of_pool),
            projection: output.projection(),
        }
    }

    /// What contradicts itself in these arguments.
    pub fn contradiction(&self) -> Option<Contradiction> {
        let heads = self.num_heads;
        if let Some(pool_heads) = self.attn_pool_num_heads
            && !self.embed_dim.is_multiple_of(pool_heads)
        {
            let expected = format!("a divisor of the width, {}", self.embed_dim);
            return Some(("attn_pool_num_heads", pool_heads.to_string(), expected));
        }
        if self.rope.is_some() && !self.embed_dim.is_multiple_of(4 * heads) {
            let expected = format!("a divisor of a quarter of the width, {}", self.embed_dim);
            return Some(("num_heads", heads.to_string(), expected));
        }
        contradiction(self.img_size, self.patch_size, self.embed_dim, heads)
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
        args.set(&mut self.swiglu_mlp, "swiglu_mlp", FLAG)?;
        args.set(&mut self.class_token, "class_token", FLAG)?;
        args.set(&mut self.no_embed_class, "no_embed_class", FLAG)?;
        args.set(&mut self.use_abs_pos_emb, "use_abs_pos_emb", FLAG)?;
        let pre_norm = &mut self.use_pre_transformer_norm;
        args.set(pre_norm, "use_pre_transformer_norm", FLAG)?;
        args.set(&mut self.dynamic_img_size, "dynamic_img_size", FLAG)?;
        args.set(&mut self.swiglu_align_to, "swiglu_align_to", COUNT)?;
        args.set(&mut self.init_values, "init_values", INIT_VALUES)?;
        args.set(&mut self.num_reg_tokens, "num_reg_tokens", COUNT)?;
        let post_norm = &mut self.use_post_transformer_norm;
        args.set(post_norm, "use_post_transformer_norm", OPTIONAL_FLAG)?;
        args.set(&mut self.use_fc_norm, "use_fc_norm", OPTIONAL_FLAG)?;
        args.set(&mut self.global_pool, "global_pool", POOL)?;
        let heads = Kind(SIZE.0, |value| as_size(value).map(Some));
        args.set(&mut self.attn_pool_num_heads, "attn_pool_num_heads", heads)?;
        let ratio = Kind(RATIO.0, |value| as_ratio(value).map(Some));
        args.set(&mut self.attn_pool_mlp_ratio, "attn_pool_mlp_ratio", ratio)?;
        self.override_rope(args)?;
        args.fixed("in_chans", 3)?;
        args.only("qkv_fused", "timm's default", |value| *value == true)?;
        args.only("attn_type", "timm's default", |value| {
            value == "rope" || value == "eva"
        })?;
        args.defaults(&["norm_layer"])?;
        for key in [
            "scale_mlp",
            "scale_attn_inner",
            "attn_only_layer_scale",
            "use_post_norm",
            "dynamic_img_pad",
            "num_kv_heads",
        ] {
            args.only(key, "`false`", is_off)?;
        }
        Ok(())
    }

    fn override_rope(&mut self, args: &mut Fields<'_>) -> Result<(), Message> {
        let mut is_used = self.rope.is_some();
        args.set(&mut is_used, "use_rot_pos_emb", FLAG)?;
        let mut rope = self.rope.unwrap_or(COUNTED);
        let kinds = [("cat", RopeKind::Cat), ("dinov3", RopeKind::DinoV3)];
        args.choose(&mut rope.kind, "rope_type", &kinds)?;
        args.set(&mut rope.temperature, "rope_temperature", NUMBER)?;
        args.set(&mut rope.grid_offset, "rope_grid_offset", NUMBER)?;
        let orders = [("ij", false), ("xy", true)];
        args.choose(&mut rope.columns_first, "rope_grid_indexing", &orders)?;
        let size = Kind("a size in patches", |value| match value {
            Value::Null => Some(None),
            value => as_sides(value).map(Some),
        });
        args.set(&mut rope.ref_feat_shape, "ref_feat_shape", size)?;
        let turns_halves = rope.kind == RopeKind::DinoV3;
        args.only("rope_rotate_half", "what goes with `rope_type`", |value| {
            value.as_bool() == Some(turns_halves)
        })?;
        self.rope = is_used.then_some(rope);
        Ok(())
    }
}

/// Rows and columns counted from 0.
pub const COUNTED: RopeArgs = RopeArgs {
    kind: RopeKind::Cat,
    temperature: 10_000.0,
    grid_offset: 0.0,
    columns_first: false,
    ref_feat_shape: None,
};
