//! Arguments of timm's `VisionTransformer`.
//!
//! Source: `timm.models.vision_transformer` and `timm.models.deit`, timm 1.0.

use serde_json::Value;

use crate::backbone::checkpoint::fields::{
    COUNT, FLAG, Fields, Kind, RATIO, SIDES, SIZE, SQUARE, patches_of,
};
use crate::backbone::families::Contradiction;
use crate::backbone::families::vit::{
    Activation, FinalNorm, Mlp, Norm, Positions, PrefixPositions, Resample, VitConfig,
};
use crate::backbone::orgs::timm::Output;
use crate::backbone::orgs::timm::pretrained_cfg::POOL;
use crate::backbone::orgs::vit_base::scaled;
use crate::error::Message;

/// Arguments of timm's `VisionTransformer`, by their names there.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an argument of timm's class"
)]
pub struct VitArgs {
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
    pub no_embed_class: bool,
    pub pre_norm: bool,
    pub final_norm: bool,
    /// Whether the norm follows the pooling; `None` leaves it to `global_pool`.
    pub fc_norm: Option<bool>,
    pub global_pool: GlobalPool,
    pub dynamic_img_size: bool,
    pub activation: Activation,
    /// Whether `mlp_ratio` counts both halves of the first layer of a SwiGLU.
    pub packed: bool,
    pub norm: Norm,
    /// Whether patches are normalised.
    pub embed_norm: bool,
}

/// How timm's models pool tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GlobalPool {
    /// Not at all.
    None,
    /// Class token.
    Token,
    /// Mean over the patches.
    Avg,
    /// Maximum, or the mean of mean and maximum, over the patches.
    Other,
    /// Attention of a learned query.
    Map,
}

impl GlobalPool {
    /// Whether the norm follows the pooling unless an argument says otherwise.
    fn is_of_patches(self) -> bool {
        matches!(self, Self::Avg | Self::Other)
    }
}

impl VitArgs {
    /// The network with this input, whose positions are learned for `img_size`.
    pub fn network(&self, input: [usize; 2], output: Output) -> VitConfig {
        let dim = self.embed_dim;
        let hidden = scaled(dim, self.mlp_ratio);
        let mlp = Mlp {
            hidden: if self.packed { hidden / 2 } else { hidden },
            activation: self.activation,
            bias: self.proj_bias,
        };
        let n_prefix = usize::from(self.class_token) + self.reg_tokens;
        let after_pooling = self.fc_norm.unwrap_or(self.global_pool.is_of_patches());
        let final_norm = match (self.final_norm, after_pooling, output) {
            (true, false, _) => FinalNorm::Tokens,
            (true, true, Output::Classifier { .. }) => FinalNorm::Pooled,
            (false, ..) | (true, true, Output::Tokens) => FinalNorm::None,
        };
        let of_pool = Mlp {
            hidden,
            bias: true,
            ..mlp
        };
        let grid = self.img_size.map(|side| side / self.patch_size);
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
            positions: Some(learned_positions(
                !self.no_embed_class && n_prefix > 0,
                grid,
                input.map(|side| side / self.patch_size),
            )),
            rope: None,
            patch_bias: !self.pre_norm,
            patch_norm: self.embed_norm,
            pre_norm: self.pre_norm,
            final_norm,
            pool: output.pool(self.global_pool, n_prefix, self.num_heads, of_pool),
            projection: output.projection(),
        }
    }

    /// What contradicts itself in these arguments.
    pub fn contradiction(&self) -> Option<Contradiction> {
        contradiction(
            self.img_size,
            self.patch_size,
            self.embed_dim,
            self.num_heads,
        )
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
        args.set(&mut self.proj_bias, "proj_bias", FLAG)?;
        args.set(&mut self.qk_norm, "qk_norm", FLAG)?;
        args.set(&mut self.class_token, "class_token", FLAG)?;
        args.set(&mut self.no_embed_class, "no_embed_class", FLAG)?;
        args.set(&mut self.pre_norm, "pre_norm", FLAG)?;
        args.set(&mut self.final_norm, "final_norm", FLAG)?;
        args.set(&mut self.dynamic_img_size, "dynamic_img_size", FLAG)?;
        args.set(&mut self.init_values, "init_values", INIT_VALUES)?;
        args.set(&mut self.reg_tokens, "reg_tokens", COUNT)?;
        args.set(&mut self.fc_norm, "fc_norm", OPTIONAL_FLAG)?;
        args.set(&mut self.global_pool, "global_pool", POOL)?;
        if self.activation != Activation::SwiGlu {
            let activations = Kind("`gelu`, `gelu_tanh` or `quick_gelu`", as_activation);
            args.set_supported(&mut self.activation, "act_layer", activations)?;
        }
        args.fixed("in_chans", 3)?;
        args.fixed("pos_embed", "learn")?;
        for key in [
            "scale_attn_norm",
            "scale_mlp_norm",
            "dynamic_img_pad",
            "use_naflex",
        ] {
            args.only(key, "`false`", is_off)?;
        }
        args.defaults(&[
            "norm_layer",
            "embed_norm_layer",
            "mlp_layer",
            "attn_layer",
            "embed_layer",
            "block_fn",
        ])
    }
}

/// Positions learned for the grid `learned`, of the prefix tokens too or not. For another grid, timm interpolates.
///
/// Source: `timm.layers.resample_abs_pos_embed`.
pub fn learned_positions(has_prefix: bool, learned: [usize; 2], grid: [usize; 2]) -> Positions {
    Positions::Learned {
        prefix: if has_prefix {
            PrefixPositions::All
        } else {
            PrefixPositions::None
        },
        grid: learned,
        resample: if learned == grid {
            Resample::Exact
        } else {
            Resample::Bicubic { antialias: true }
        },
    }
}

/// A key whose value does not go with the others', the value, and what would.
pub fn contradiction(
    img_size: [usize; 2],
    patch_size: usize,
    embed_dim: usize,
    num_heads: usize,
) -> Option<Contradiction> {
    if !embed_dim.is_multiple_of(num_heads) {
        let expected = format!("a divisor of the width, {embed_dim}");
        return Some(("num_heads", num_heads.to_string(), expected));
    }
    let expected = patches_of(img_size, patch_size)?;
    Some(("patch_size", patch_size.to_string(), expected))
}

/// A flag that timm decides where it is `null`.
pub const OPTIONAL_FLAG: Kind<'_, Option<bool>> = Kind("`true`, `false` or `null`", |value| {
    (value.is_null() || value.is_boolean()).then(|| value.as_bool())
});

/// Whether there is a `LayerScale`; timm makes none for 0.
pub const INIT_VALUES: Kind<'_, bool> = Kind("a number or `null`", |value| {
    (value.is_null() || value.is_number()).then(|| value.as_f64().is_some_and(|it| it != 0.0))
});

/// Whether a setting asks for nothing.
pub fn is_off(value: &Value) -> bool {
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
