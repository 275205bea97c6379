//! Arguments of timm's `Eva`, of which DINOv3, the Perception Encoder and RoPE-ViT are built, and its architectures.
//!
//! Source: `timm.models.eva`, timm 1.0.

use serde_json::Value;

use super::Output;
use super::pretrained_cfg::{POOLS, as_pool};
use super::vit::{
    GlobalPool, OPTIONAL_FLAG, as_init_values, as_optional_flag, contradiction, is_off, resample,
    scaled,
};
use crate::backbone::catalog::{Data, IMAGENET, INCEPTION, OPENAI_CLIP};
use crate::backbone::error::Error;
use crate::backbone::fields::{
    FLAG, Fields, SIZE, as_count, as_number, as_ratio, as_sides, as_size, as_square,
};
use crate::backbone::vit::{
    Activation, FinalNorm, Mlp, Norm, NormKind, Positions, PrefixPositions, Rope, VitConfig,
};

/// Arguments of timm's `Eva`, by their names there.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an argument of timm's class"
)]
pub(in crate::backbone) struct EvaArgs {
    /// `[h, w]` in pixels.
    pub(in crate::backbone) img_size: [usize; 2],
    patch_size: usize,
    embed_dim: usize,
    depth: usize,
    num_heads: usize,
    qkv_bias: bool,
    qk_norm: bool,
    mlp_ratio: f64,
    swiglu_mlp: bool,
    /// The hidden width of a SwiGLU is rounded up to a multiple of this.
    swiglu_align_to: usize,
    init_values: bool,
    class_token: bool,
    num_reg_tokens: usize,
    no_embed_class: bool,
    use_abs_pos_emb: bool,
    /// How queries and keys are turned, if they are.
    rope: Option<RopeArgs>,
    use_pre_transformer_norm: bool,
    use_post_transformer_norm: Option<bool>,
    use_fc_norm: Option<bool>,
    pub(in crate::backbone) global_pool: GlobalPool,
    attn_pool_num_heads: Option<usize>,
    attn_pool_mlp_ratio: Option<f64>,
    dynamic_img_size: bool,
    norm_eps: f64,
}

/// The arguments of rotary positions.
#[derive(Clone, Copy, Debug, PartialEq)]
struct RopeArgs {
    kind: RopeKind,
    temperature: f64,
    grid_offset: f64,
    columns_first: bool,
    ref_feat_shape: Option<[usize; 2]>,
}

/// timm's `rope_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RopeKind {
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
    pub(in crate::backbone) fn network(&self, input: [usize; 2], output: Output) -> VitConfig {
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
            },
            qkv_bias: self.qkv_bias,
            proj_bias: true,
            qk_norm: self.qk_norm,
            layer_scale: self.init_values,
            class_token: self.class_token,
            reg_tokens: self.num_reg_tokens,
            positions: self.use_abs_pos_emb.then(|| Positions::Learned {
                prefix: if self.no_embed_class || n_prefix == 0 {
                    PrefixPositions::None
                } else {
                    PrefixPositions::All
                },
                grid,
                resample: resample(grid, input.map(|side| side / self.patch_size)),
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

    /// Whether the network runs on images of any size.
    pub(in crate::backbone) fn is_dynamic(&self) -> bool {
        self.dynamic_img_size
    }

    /// What contradicts itself in these arguments.
    pub(in crate::backbone) fn contradiction(&self) -> Option<(&'static str, String, String)> {
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
    pub(in crate::backbone) fn override_args(
        &mut self,
        args: &mut Fields<'_>,
    ) -> Result<(), Error> {
        args.set(&mut self.img_size, "img_size", "a size in pixels", as_sides)?;
        args.set(
            &mut self.patch_size,
            "patch_size",
            "a size in pixels",
            as_square,
        )?;
        args.set(&mut self.embed_dim, "embed_dim", SIZE, as_size)?;
        args.set(&mut self.depth, "depth", SIZE, as_size)?;
        args.set(&mut self.num_heads, "num_heads", SIZE, as_size)?;
        args.set(
            &mut self.mlp_ratio,
            "mlp_ratio",
            "a positive number",
            as_ratio,
        )?;
        for (flag, key) in [
            (&mut self.qkv_bias, "qkv_bias"),
            (&mut self.qk_norm, "qk_norm"),
            (&mut self.swiglu_mlp, "swiglu_mlp"),
            (&mut self.class_token, "class_token"),
            (&mut self.no_embed_class, "no_embed_class"),
            (&mut self.use_abs_pos_emb, "use_abs_pos_emb"),
            (
                &mut self.use_pre_transformer_norm,
                "use_pre_transformer_norm",
            ),
            (&mut self.dynamic_img_size, "dynamic_img_size"),
        ] {
            args.set(flag, key, FLAG, Value::as_bool)?;
        }
        args.set(
            &mut self.swiglu_align_to,
            "swiglu_align_to",
            "a number",
            as_count,
        )?;
        args.set(
            &mut self.init_values,
            "init_values",
            "a number or `null`",
            as_init_values,
        )?;
        args.set(
            &mut self.num_reg_tokens,
            "num_reg_tokens",
            "a number",
            as_count,
        )?;
        for (flag, key) in [
            (
                &mut self.use_post_transformer_norm,
                "use_post_transformer_norm",
            ),
            (&mut self.use_fc_norm, "use_fc_norm"),
        ] {
            args.set(flag, key, OPTIONAL_FLAG, as_optional_flag)?;
        }
        args.set(&mut self.global_pool, "global_pool", POOLS, as_pool)?;
        args.set(
            &mut self.attn_pool_num_heads,
            "attn_pool_num_heads",
            SIZE,
            |value| as_size(value).map(Some),
        )?;
        args.set(
            &mut self.attn_pool_mlp_ratio,
            "attn_pool_mlp_ratio",
            "a positive number",
            |value| as_ratio(value).map(Some),
        )?;
        self.override_rope(args)?;
        args.only("in_chans", "`3`", |value| value.as_u64() == Some(3))?;
        args.only("qkv_fused", "timm's default", |value| {
            value.as_bool() == Some(true)
        })?;
        args.only("attn_type", "timm's default", |value| {
            value == "rope" || value == "eva"
        })?;
        args.only("norm_layer", "timm's default", Value::is_null)?;
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

    fn override_rope(&mut self, args: &mut Fields<'_>) -> Result<(), Error> {
        let mut is_used = self.rope.is_some();
        args.set(&mut is_used, "use_rot_pos_emb", FLAG, Value::as_bool)?;
        let mut rope = self.rope.unwrap_or(COUNTED);
        args.set_supported(
            &mut rope.kind,
            "rope_type",
            "`cat` or `dinov3`",
            |value| match value.as_str()? {
                "cat" => Some(RopeKind::Cat),
                "dinov3" => Some(RopeKind::DinoV3),
                _ => None,
            },
        )?;
        args.set(
            &mut rope.temperature,
            "rope_temperature",
            "a number",
            as_number,
        )?;
        args.set(
            &mut rope.grid_offset,
            "rope_grid_offset",
            "a number",
            as_number,
        )?;
        args.set(
            &mut rope.columns_first,
            "rope_grid_indexing",
            "`ij` or `xy`",
            |value| match value.as_str()? {
                "ij" => Some(false),
                "xy" => Some(true),
                _ => None,
            },
        )?;
        args.set(
            &mut rope.ref_feat_shape,
            "ref_feat_shape",
            "a size in patches",
            |value| {
                if value.is_null() {
                    Some(None)
                } else {
                    as_sides(value).map(Some)
                }
            },
        )?;
        let turns_halves = rope.kind == RopeKind::DinoV3;
        args.only("rope_rotate_half", "what goes with `rope_type`", |value| {
            value.as_bool() == Some(turns_halves)
        })?;
        self.rope = is_used.then_some(rope);
        Ok(())
    }
}

/// An architecture.
pub(in crate::backbone) struct Row {
    pub(in crate::backbone) name: &'static str,
    pub(in crate::backbone) args: EvaArgs,
    pub(in crate::backbone) data: Data,
}

/// Every architecture.
#[rustfmt::skip] // one row per architecture
pub(in crate::backbone) const ARCHITECTURES: &[Row] = &[
    dinov3("vit_tiny_patch16_dinov3_qkvb", 192, 12, 3).qkv_bias(),
    dinov3("vit_small_patch16_dinov3", 384, 12, 6),
    dinov3("vit_small_patch16_dinov3_qkvb", 384, 12, 6).qkv_bias(),
    dinov3("vit_small_plus_patch16_dinov3", 384, 12, 6).swiglu(8),
    dinov3("vit_small_plus_patch16_dinov3_qkvb", 384, 12, 6).swiglu(8).qkv_bias(),
    dinov3("vit_base_patch16_dinov3", 768, 12, 12),
    dinov3("vit_base_patch16_dinov3_qkvb", 768, 12, 12).qkv_bias(),
    dinov3("vit_large_patch16_dinov3", 1024, 24, 16),
    dinov3("vit_large_patch16_dinov3_qkvb", 1024, 24, 16).qkv_bias(),
    dinov3("vit_huge_plus_patch16_dinov3", 1280, 32, 20).swiglu(8),
    dinov3("vit_huge_plus_patch16_dinov3_qkvb", 1280, 32, 20).swiglu(8).qkv_bias(),
    dinov3("vit_7b_patch16_dinov3", 4096, 40, 32).swiglu(64).mlp_ratio(2.0),

    pe_core("vit_pe_core_tiny_patch16_384", 384, 16, 192, 12, 3),
    pe_core("vit_pe_core_small_patch16_384", 384, 16, 384, 12, 6),
    pe_core("vit_pe_core_base_patch16_224", 224, 16, 768, 12, 12),
    pe_core("vit_pe_core_large_patch14_336", 336, 14, 1024, 24, 16),
    pe_core("vit_pe_core_gigantic_patch14_448", 448, 14, 1536, 50, 16).gigantic(),
    pe("vit_pe_lang_large_patch14_448", 448, 14, 1024, 23, 16).layer_scale(),
    pe("vit_pe_lang_gigantic_patch14_448", 448, 14, 1536, 47, 16).gigantic().layer_scale(),
    pe("vit_pe_spatial_tiny_patch16_512", 512, 16, 192, 12, 3),
    pe("vit_pe_spatial_small_patch16_512", 512, 16, 384, 12, 6),
    pe("vit_pe_spatial_base_patch16_512", 512, 16, 768, 12, 12),
    pe("vit_pe_spatial_large_patch14_448", 448, 14, 1024, 24, 16),
    pe("vit_pe_spatial_gigantic_patch14_448", 448, 14, 1536, 50, 16).gigantic().layer_scale(),

    rope_vit("vit_small_patch16_rope_224", 384, 12, 6),
    rope_vit("vit_base_patch16_rope_224", 768, 12, 12),
    rope_vit("vit_large_patch16_rope_224", 1024, 24, 16),
    rope_vit("vit_small_patch16_rope_ape_224", 384, 12, 6).with_positions(),
    rope_vit("vit_base_patch16_rope_ape_224", 768, 12, 12).with_positions(),
    rope_vit("vit_large_patch16_rope_ape_224", 1024, 24, 16).with_positions(),
];

/// Rows and columns counted from 0.
const COUNTED: RopeArgs = RopeArgs {
    kind: RopeKind::Cat,
    temperature: 10_000.0,
    grid_offset: 0.0,
    columns_first: false,
    ref_feat_shape: None,
};

const fn eva(
    name: &'static str,
    img_size: usize,
    patch_size: usize,
    embed_dim: usize,
    depth: usize,
    num_heads: usize,
) -> Row {
    let args = EvaArgs {
        img_size: [img_size; 2],
        patch_size,
        embed_dim,
        depth,
        num_heads,
        qkv_bias: true,
        qk_norm: false,
        mlp_ratio: 4.0,
        swiglu_mlp: false,
        swiglu_align_to: 0,
        init_values: false,
        class_token: true,
        num_reg_tokens: 0,
        no_embed_class: false,
        use_abs_pos_emb: true,
        rope: Some(COUNTED),
        use_pre_transformer_norm: false,
        use_post_transformer_norm: None,
        use_fc_norm: None,
        global_pool: GlobalPool::Avg,
        attn_pool_num_heads: None,
        attn_pool_mlp_ratio: None,
        dynamic_img_size: false,
        norm_eps: 1e-6,
    };
    Row {
        name,
        args,
        data: Data::new(img_size, 0.9, OPENAI_CLIP),
    }
}

/// A DINOv3.
const fn dinov3(name: &'static str, embed_dim: usize, depth: usize, num_heads: usize) -> Row {
    let mut row = eva(name, 224, 16, embed_dim, depth, num_heads).layer_scale();
    row.args.qkv_bias = false;
    row.args.num_reg_tokens = 4;
    row.args.use_abs_pos_emb = false;
    row.args.rope = Some(RopeArgs {
        kind: RopeKind::DinoV3,
        temperature: 100.0,
        ..COUNTED
    });
    row.args.use_fc_norm = Some(false);
    row.args.dynamic_img_size = true;
    row.args.norm_eps = 1e-5;
    row.data = Data::new(256, 1.0, IMAGENET);
    row
}

/// A Perception Encoder that was aligned to something; its tokens are not normalised.
const fn pe(
    name: &'static str,
    img_size: usize,
    patch_size: usize,
    embed_dim: usize,
    depth: usize,
    num_heads: usize,
) -> Row {
    let mut row = pe_core(name, img_size, patch_size, embed_dim, depth, num_heads);
    row.args.use_post_transformer_norm = Some(false);
    row.args.use_fc_norm = Some(false);
    row.args.global_pool = GlobalPool::Avg;
    row.args.attn_pool_num_heads = None;
    row.args.attn_pool_mlp_ratio = None;
    row
}

/// A Perception Encoder.
const fn pe_core(
    name: &'static str,
    img_size: usize,
    patch_size: usize,
    embed_dim: usize,
    depth: usize,
    num_heads: usize,
) -> Row {
    let mut row = eva(name, img_size, patch_size, embed_dim, depth, num_heads);
    row.args.global_pool = GlobalPool::Map;
    row.args.use_pre_transformer_norm = true;
    row.args.rope = Some(RopeArgs {
        grid_offset: 1.0,
        columns_first: true,
        ref_feat_shape: Some([img_size / patch_size; 2]),
        ..COUNTED
    });
    row.args.attn_pool_num_heads = Some(8);
    row.args.attn_pool_mlp_ratio = Some(4.0);
    row.args.norm_eps = 1e-5;
    row.data = Data::new(img_size, 1.0, INCEPTION);
    row
}

/// A RoPE-ViT with axial frequencies.
const fn rope_vit(name: &'static str, embed_dim: usize, depth: usize, num_heads: usize) -> Row {
    let mut row = eva(name, 224, 16, embed_dim, depth, num_heads).layer_scale();
    row.args.global_pool = GlobalPool::Token;
    row.args.use_abs_pos_emb = false;
    row.args.rope = Some(RopeArgs {
        temperature: 100.0,
        columns_first: true,
        ..COUNTED
    });
    row.data = Data::new(224, 0.9, IMAGENET);
    row
}

impl Row {
    const fn qkv_bias(mut self) -> Self {
        self.args.qkv_bias = true;
        self
    }

    const fn layer_scale(mut self) -> Self {
        self.args.init_values = true;
        self
    }

    const fn mlp_ratio(mut self, mlp_ratio: f64) -> Self {
        self.args.mlp_ratio = mlp_ratio;
        self
    }

    const fn swiglu(mut self, align_to: usize) -> Self {
        self.args.swiglu_mlp = true;
        self.args.swiglu_align_to = align_to;
        self
    }

    /// The largest Perception Encoders have no class token, and count rows and columns from 0.
    const fn gigantic(mut self) -> Self {
        self.args.class_token = false;
        if let Some(rope) = &mut self.args.rope {
            rope.grid_offset = 0.0;
        }
        self.mlp_ratio(8960.0 / 1536.0)
    }

    /// Learned positions of patches besides.
    const fn with_positions(mut self) -> Self {
        self.args.use_abs_pos_emb = true;
        self.args.no_embed_class = true;
        self
    }
}
