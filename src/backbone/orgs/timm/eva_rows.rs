//! Architectures that timm builds of an `Eva`, and the preprocessing of its first checkpoint for each.
//!
//! Source: the functions and `default_cfgs` of `timm.models.eva`, timm 1.0.

use crate::backbone::families::preset::{Data, IMAGENET, INCEPTION, OPENAI_CLIP};
use crate::backbone::families::vit::Activation;
use crate::backbone::orgs::timm::vit::{Class, GlobalPool, RopeArgs};
use crate::backbone::orgs::timm::vit_rows::{Row, vit};

/// Every architecture.
#[rustfmt::skip] // one row per architecture
pub const ARCHITECTURES: &[Row] = &[
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

    eva("vit_pe_core_tiny_patch16_384", 384, 16, 192, 12, 3).pe_core(),
    eva("vit_pe_core_small_patch16_384", 384, 16, 384, 12, 6).pe_core(),
    eva("vit_pe_core_base_patch16_224", 224, 16, 768, 12, 12).pe_core(),
    eva("vit_pe_core_large_patch14_336", 336, 14, 1024, 24, 16).pe_core(),
    eva("vit_pe_core_gigantic_patch14_448", 448, 14, 1536, 50, 16).pe_core().gigantic(),
    eva("vit_pe_lang_large_patch14_448", 448, 14, 1024, 23, 16).pe().layer_scale(),
    eva("vit_pe_lang_gigantic_patch14_448", 448, 14, 1536, 47, 16).pe().gigantic().layer_scale(),
    eva("vit_pe_spatial_tiny_patch16_512", 512, 16, 192, 12, 3).pe(),
    eva("vit_pe_spatial_small_patch16_512", 512, 16, 384, 12, 6).pe(),
    eva("vit_pe_spatial_base_patch16_512", 512, 16, 768, 12, 12).pe(),
    eva("vit_pe_spatial_large_patch14_448", 448, 14, 1024, 24, 16).pe(),
    eva("vit_pe_spatial_gigantic_patch14_448", 448, 14, 1536, 50, 16).pe().gigantic().layer_scale(),

    rope_vit("vit_small_patch16_rope_224", 384, 12, 6),
    rope_vit("vit_base_patch16_rope_224", 768, 12, 12),
    rope_vit("vit_large_patch16_rope_224", 1024, 24, 16),
    rope_vit("vit_small_patch16_rope_ape_224", 384, 12, 6).with_positions(),
    rope_vit("vit_base_patch16_rope_ape_224", 768, 12, 12).with_positions(),
    rope_vit("vit_large_patch16_rope_ape_224", 1024, 24, 16).with_positions(),
];

/// An `Eva` whose queries and keys are turned, preprocessed as OpenAI's CLIP.
const fn eva(
    name: &'static str,
    img_size: usize,
    patch_size: usize,
    embed_dim: usize,
    depth: usize,
    num_heads: usize,
) -> Row {
    let mut row = vit(name, img_size, patch_size, embed_dim, depth, num_heads);
    row.args.class = Class::Eva;
    row.args.rope = Some(RopeArgs::COUNTED);
    row.args.global_pool = GlobalPool::Avg;
    row.data = Data::new(img_size, 0.9, OPENAI_CLIP);
    row
}

/// A DINOv3.
const fn dinov3(name: &'static str, embed_dim: usize, depth: usize, num_heads: usize) -> Row {
    let mut row = eva(name, 224, 16, embed_dim, depth, num_heads).layer_scale();
    row.args.qkv_bias = false;
    row.args.reg_tokens = 4;
    row.args.use_abs_pos_emb = false;
    row.args.rope = Some(RopeArgs {
        is_dinov3: true,
        temperature: 100.0,
        ..RopeArgs::COUNTED
    });
    row.args.fc_norm = Some(false);
    row.args.dynamic_img_size = true;
    row.args.norm.eps = 1e-5;
    row.data = Data::new(256, 1.0, IMAGENET);
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
        ..RopeArgs::COUNTED
    });
    row.data = Data::new(224, 0.9, IMAGENET);
    row
}

impl Row {
    /// A Perception Encoder.
    const fn pe_core(mut self) -> Self {
        let [img_size, _] = self.args.img_size;
        self.args.global_pool = GlobalPool::Map;
        self.args.pre_norm = true;
        self.args.rope = Some(RopeArgs {
            grid_offset: 1.0,
            columns_first: true,
            ref_feat_shape: Some([img_size / self.args.patch_size; 2]),
            ..RopeArgs::COUNTED
        });
        self.args.attn_pool_num_heads = Some(8);
        self.args.attn_pool_mlp_ratio = Some(4.0);
        self.args.norm.eps = 1e-5;
        self.data = Data::new(img_size, 1.0, INCEPTION);
        self
    }

    /// A Perception Encoder that was aligned to something; its tokens are not normalised.
    const fn pe(self) -> Self {
        let mut pe = self.pe_core();
        pe.args.post_norm = Some(false);
        pe.args.fc_norm = Some(false);
        pe.args.global_pool = GlobalPool::Avg;
        pe.args.attn_pool_num_heads = None;
        pe.args.attn_pool_mlp_ratio = None;
        pe
    }

    const fn qkv_bias(mut self) -> Self {
        self.args.qkv_bias = true;
        self
    }

    const fn swiglu(mut self, align_to: usize) -> Self {
        self.args.activation = Activation::SwiGlu;
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
