//! Architectures that timm builds of a `VisionTransformer`, and the preprocessing of its first checkpoint for each.
//!
//! Source: the `vit_*`, `aimv2_*` and `deit*` functions and `default_cfgs` of `timm.models.vision_transformer` and
//! `timm.models.deit`, timm 1.0.

use crate::backbone::families::preset::{Data, IMAGENET, INCEPTION, Moments, OPENAI_CLIP};
use crate::backbone::families::vit::{Activation, Norm, NormKind};
use crate::backbone::orgs::timm::vit::{Class, GlobalPool, VitArgs};
use crate::image::TimmCrop;

/// An architecture of either class.
pub struct Row {
    pub name: &'static str,
    pub args: VitArgs,
    pub data: Data,
}

/// Every architecture.
#[rustfmt::skip] // one row per architecture
pub const ARCHITECTURES: &[Row] = &[
    vit("vit_tiny_patch16_224", 224, 16, 192, 12, 3),
    vit("vit_tiny_patch16_384", 384, 16, 192, 12, 3).crop(1.0),
    vit("vit_small_patch32_224", 224, 32, 384, 12, 6),
    vit("vit_small_patch32_384", 384, 32, 384, 12, 6).crop(1.0),
    vit("vit_small_patch16_224", 224, 16, 384, 12, 6),
    vit("vit_small_patch16_384", 384, 16, 384, 12, 6).crop(1.0),
    vit("vit_small_patch16_36x1_224", 224, 16, 384, 36, 6).layer_scale(),
    vit("vit_small_patch8_224", 224, 8, 384, 12, 6).normalized_as(IMAGENET),
    vit("vit_base_patch32_224", 224, 32, 768, 12, 12),
    vit("vit_base_patch32_384", 384, 32, 768, 12, 12).crop(1.0),
    vit("vit_base_patch16_224", 224, 16, 768, 12, 12),
    vit("vit_base_patch16_384", 384, 16, 768, 12, 12).crop(1.0),
    vit("vit_base_patch8_224", 224, 8, 768, 12, 12),
    vit("vit_large_patch32_224", 224, 32, 1024, 24, 16),
    vit("vit_large_patch32_384", 384, 32, 1024, 24, 16).crop(1.0),
    vit("vit_large_patch16_224", 224, 16, 1024, 24, 16),
    vit("vit_large_patch16_384", 384, 16, 1024, 24, 16).crop(1.0),
    vit("vit_large_patch14_224", 224, 14, 1024, 24, 16),
    vit("vit_huge_patch14_224", 224, 14, 1280, 32, 16),
    vit("vit_giant_patch14_224", 224, 14, 1408, 40, 16).mlp_ratio(48.0 / 11.0),
    vit("vit_gigantic_patch14_224", 224, 14, 1664, 48, 16).mlp_ratio(64.0 / 13.0),
    vit("vit_base_patch32_plus_256", 256, 32, 896, 12, 14).layer_scale().crop(0.95),
    vit("vit_base_patch16_plus_240", 240, 16, 896, 12, 14).layer_scale().crop(0.95),

    vit("vit_medium_patch16_gap_240", 240, 16, 512, 12, 8).no_class_token().no_qkv_bias().layer_scale().crop(0.95),
    vit("vit_medium_patch16_gap_256", 256, 16, 512, 12, 8).no_class_token().no_qkv_bias().layer_scale().crop(0.95),
    vit("vit_medium_patch16_gap_384", 384, 16, 512, 12, 8).no_class_token().no_qkv_bias().layer_scale().crop(0.95).squash(),
    vit("vit_betwixt_patch16_gap_256", 256, 16, 640, 12, 10).no_class_token().no_qkv_bias().layer_scale().crop(0.95),
    vit("vit_base_patch16_gap_224", 224, 16, 768, 12, 16).no_class_token(),
    vit("vit_huge_patch14_gap_224", 224, 14, 1280, 32, 16).no_class_token().normalized_as(IMAGENET),
    vit("vit_huge_patch16_gap_448", 448, 16, 1280, 32, 16).no_class_token().normalized_as(IMAGENET).crop(1.0),
    vit("vit_giant_patch16_gap_224", 224, 16, 1408, 40, 16).no_class_token().mlp_ratio(48.0 / 11.0).normalized_as(IMAGENET),

    vit("vit_xsmall_patch16_clip_224", 224, 16, 256, 10, 4).clip(),
    vit("vit_medium_patch32_clip_224", 224, 32, 512, 12, 8).clip(),
    vit("vit_medium_patch16_clip_224", 224, 16, 512, 12, 8).clip(),
    vit("vit_betwixt_patch32_clip_224", 224, 32, 640, 12, 10).clip(),
    vit("vit_base_patch32_clip_224", 224, 32, 768, 12, 12).clip(),
    vit("vit_base_patch32_clip_256", 256, 32, 768, 12, 12).clip().crop(1.0),
    vit("vit_base_patch32_clip_384", 384, 32, 768, 12, 12).clip().crop(1.0),
    vit("vit_base_patch32_clip_448", 448, 32, 768, 12, 12).clip().crop(1.0),
    vit("vit_base_patch16_clip_224", 224, 16, 768, 12, 12).clip().crop(0.95),
    vit("vit_base_patch16_clip_384", 384, 16, 768, 12, 12).clip().crop(1.0).squash(),
    vit("vit_base_patch16_plus_clip_240", 240, 16, 896, 12, 14).clip().crop(1.0),
    vit("vit_large_patch14_clip_224", 224, 14, 1024, 24, 16).clip().normalized_as(INCEPTION).crop(1.0),
    vit("vit_large_patch14_clip_336", 336, 14, 1024, 24, 16).clip().normalized_as(INCEPTION).crop(1.0).squash(),
    vit("vit_huge_patch14_clip_224", 224, 14, 1280, 32, 16).clip().crop(1.0),
    vit("vit_huge_patch14_clip_336", 336, 14, 1280, 32, 16).clip().crop(1.0).squash(),
    vit("vit_huge_patch14_clip_378", 378, 14, 1280, 32, 16).clip().crop(1.0),
    vit("vit_giant_patch14_clip_224", 224, 14, 1408, 40, 16).clip().mlp_ratio(48.0 / 11.0).crop(1.0),
    vit("vit_gigantic_patch14_clip_224", 224, 14, 1664, 48, 16).clip().mlp_ratio(64.0 / 13.0).crop(1.0),
    vit("vit_gigantic_patch14_clip_378", 378, 14, 1664, 48, 16).clip().mlp_ratio(64.0 / 13.0).crop(1.0).squash(),

    dinov2("vit_small_patch14_dinov2", 384, 12, 6),
    dinov2("vit_base_patch14_dinov2", 768, 12, 12),
    dinov2("vit_large_patch14_dinov2", 1024, 24, 16),
    dinov2("vit_small_patch14_reg4_dinov2", 384, 12, 6).registers(4),
    dinov2("vit_base_patch14_reg4_dinov2", 768, 12, 12).registers(4),
    dinov2("vit_large_patch14_reg4_dinov2", 1024, 24, 16).registers(4),

    vit("vit_wee_patch16_reg1_gap_256", 256, 16, 256, 14, 4).registers_only().registers(1).mlp_ratio(5.0),
    vit("vit_little_patch16_reg1_gap_256", 256, 16, 320, 14, 5).registers_only().registers(1).mlp_ratio(5.6),
    vit("vit_little_patch16_reg4_gap_256", 256, 16, 320, 14, 5).registers_only().registers(4).mlp_ratio(5.6),
    vit("vit_medium_patch16_reg1_gap_256", 256, 16, 512, 12, 8).registers_only().registers(1),
    vit("vit_medium_patch16_reg4_gap_256", 256, 16, 512, 12, 8).registers_only().registers(4),
    vit("vit_mediumd_patch16_reg4_gap_256", 256, 16, 512, 20, 8).registers_only().registers(4),
    vit("vit_mediumd_patch16_reg4_gap_384", 384, 16, 512, 20, 8).registers_only().registers(4).crop(1.0),
    vit("vit_betwixt_patch16_reg1_gap_256", 256, 16, 640, 12, 10).registers_only().registers(1),
    vit("vit_betwixt_patch16_reg4_gap_256", 256, 16, 640, 12, 10).registers_only().registers(4),
    vit("vit_betwixt_patch16_reg4_gap_384", 384, 16, 640, 12, 10).registers_only().registers(4).crop(1.0),
    vit("vit_base_patch16_reg4_gap_256", 256, 16, 768, 12, 12).mean_pooled().registers(4),

    vit("vit_so150m_patch16_reg4_gap_256", 256, 16, 896, 18, 14).no_class_token().positioned_registers(4).mlp_ratio(2.572).crop(0.95),
    vit("vit_so150m_patch16_reg4_gap_384", 384, 16, 896, 18, 14).no_class_token().positioned_registers(4).mlp_ratio(2.572).crop(1.0),
    so150m2("vit_so150m2_patch16_reg1_gap_256", 256),
    so150m2("vit_so150m2_patch16_reg1_gap_384", 384),
    so150m2("vit_so150m2_patch16_reg1_gap_448", 448).squash(),

    vit("vit_base_patch32_clip_quickgelu_224", 224, 32, 768, 12, 12).quick_gelu(),
    vit("vit_base_patch16_clip_quickgelu_224", 224, 16, 768, 12, 12).quick_gelu().crop(1.0),
    vit("vit_large_patch14_clip_quickgelu_224", 224, 14, 1024, 24, 16).quick_gelu().crop(1.0),
    vit("vit_large_patch14_clip_quickgelu_336", 336, 14, 1024, 24, 16).quick_gelu().crop(1.0),
    vit("vit_huge_patch14_clip_quickgelu_224", 224, 14, 1280, 32, 16).quick_gelu().crop(1.0),
    vit("vit_huge_patch14_clip_quickgelu_378", 378, 14, 1280, 32, 16).quick_gelu().crop(1.0),
    vit("vit_gigantic_patch14_clip_quickgelu_224", 224, 14, 1664, 48, 16).quick_gelu().mlp_ratio(64.0 / 13.0).crop(1.0),

    vit("vit_base_patch32_siglip_256", 256, 32, 768, 12, 12).siglip().tanh(),
    vit("vit_base_patch16_siglip_224", 224, 16, 768, 12, 12).siglip(),
    vit("vit_base_patch16_siglip_256", 256, 16, 768, 12, 12).siglip(),
    vit("vit_base_patch16_siglip_384", 384, 16, 768, 12, 12).siglip(),
    vit("vit_base_patch16_siglip_512", 512, 16, 768, 12, 12).siglip(),
    vit("vit_large_patch16_siglip_256", 256, 16, 1024, 24, 16).siglip(),
    vit("vit_large_patch16_siglip_384", 384, 16, 1024, 24, 16).siglip(),
    vit("vit_large_patch16_siglip_512", 512, 16, 1024, 24, 16).siglip().tanh(),
    vit("vit_so400m_patch14_siglip_224", 224, 14, 1152, 27, 16).siglip().mlp_ratio(3.7362),
    vit("vit_so400m_patch14_siglip_378", 378, 14, 1152, 27, 16).siglip().mlp_ratio(3.7362),
    vit("vit_so400m_patch14_siglip_384", 384, 14, 1152, 27, 16).siglip().mlp_ratio(3.7362),
    vit("vit_so400m_patch16_siglip_256", 256, 16, 1152, 27, 16).siglip().mlp_ratio(3.7362).tanh(),
    vit("vit_so400m_patch16_siglip_384", 384, 16, 1152, 27, 16).siglip().mlp_ratio(3.7362).tanh(),
    vit("vit_so400m_patch16_siglip_512", 512, 16, 1152, 27, 16).siglip().mlp_ratio(3.7362).tanh(),
    vit("vit_giantopt_patch16_siglip_256", 256, 16, 1536, 40, 16).siglip().tanh(),
    vit("vit_giantopt_patch16_siglip_384", 384, 16, 1536, 40, 16).siglip().tanh(),

    dinov2("vit_giant_patch14_dinov2", 1536, 40, 24).packed_swiglu(2.66667 * 2.0),
    dinov2("vit_giant_patch14_reg4_dinov2", 1536, 40, 24).registers(4).packed_swiglu(2.66667 * 2.0),

    aimv2("aimv2_large_patch14_224", 224, 1024, 8).mlp_ratio(2.75),
    aimv2("aimv2_large_patch14_336", 336, 1024, 8).mlp_ratio(2.75),
    aimv2("aimv2_large_patch14_448", 448, 1024, 8).mlp_ratio(2.75),
    aimv2("aimv2_huge_patch14_224", 224, 1536, 12).mlp_ratio(2.6667),
    aimv2("aimv2_huge_patch14_336", 336, 1536, 12).mlp_ratio(2.6667),
    aimv2("aimv2_huge_patch14_448", 448, 1536, 12).mlp_ratio(2.6667),
    aimv2("aimv2_1b_patch14_224", 224, 2048, 16).mlp_ratio(2.75),
    aimv2("aimv2_1b_patch14_336", 336, 2048, 16).mlp_ratio(2.75),
    aimv2("aimv2_1b_patch14_448", 448, 2048, 16).mlp_ratio(2.75),
    aimv2("aimv2_3b_patch14_224", 224, 3072, 24).mlp_ratio(2.6667),
    aimv2("aimv2_3b_patch14_336", 336, 3072, 24).mlp_ratio(2.6667),
    aimv2("aimv2_3b_patch14_448", 448, 3072, 24).mlp_ratio(2.6667),

    vit("deit_tiny_patch16_224", 224, 16, 192, 12, 3).deit(),
    vit("deit_small_patch16_224", 224, 16, 384, 12, 6).deit(),
    vit("deit_base_patch16_224", 224, 16, 768, 12, 12).deit(),
    vit("deit_base_patch16_384", 384, 16, 768, 12, 12).deit().crop(1.0),
    vit("deit_tiny_distilled_patch16_224", 224, 16, 192, 12, 3).deit().distilled(),
    vit("deit_small_distilled_patch16_224", 224, 16, 384, 12, 6).deit().distilled(),
    vit("deit_base_distilled_patch16_224", 224, 16, 768, 12, 12).deit().distilled(),
    vit("deit_base_distilled_patch16_384", 384, 16, 768, 12, 12).deit().distilled().crop(1.0),
    vit("deit3_small_patch16_224", 224, 16, 384, 12, 6).deit3(),
    vit("deit3_small_patch16_384", 384, 16, 384, 12, 6).deit3().crop(1.0),
    vit("deit3_medium_patch16_224", 224, 16, 512, 12, 8).deit3(),
    vit("deit3_base_patch16_224", 224, 16, 768, 12, 12).deit3(),
    vit("deit3_base_patch16_384", 384, 16, 768, 12, 12).deit3().crop(1.0),
    vit("deit3_large_patch16_224", 224, 16, 1024, 24, 16).deit3(),
    vit("deit3_large_patch16_384", 384, 16, 1024, 24, 16).deit3().crop(1.0),
    vit("deit3_huge_patch14_224", 224, 14, 1280, 32, 16).deit3(),
];

/// A plain Vision Transformer, preprocessed as most of timm's.
pub const fn vit(
    name: &'static str,
    img_size: usize,
    patch_size: usize,
    embed_dim: usize,
    depth: usize,
    num_heads: usize,
) -> Row {
    let args = VitArgs {
        class: Class::VisionTransformer,
        img_size: [img_size; 2],
        patch_size,
        embed_dim,
        depth,
        num_heads,
        mlp_ratio: 4.0,
        qkv_bias: true,
        proj_bias: true,
        qk_norm: false,
        init_values: false,
        class_token: true,
        reg_tokens: 0,
        use_abs_pos_emb: true,
        no_embed_class: false,
        rope: None,
        pre_norm: false,
        post_norm: None,
        fc_norm: None,
        global_pool: GlobalPool::Token,
        pool_include_prefix: false,
        distilled: false,
        attn_pool_num_heads: None,
        attn_pool_mlp_ratio: None,
        dynamic_img_size: false,
        activation: Activation::Gelu,
        packed: false,
        swiglu_align_to: 0,
        norm: Norm {
            kind: NormKind::Layer,
            eps: 1e-6,
            casts_back: false,
        },
        embed_norm: false,
    };
    Row {
        name,
        args,
        data: Data::new(img_size, 0.9, INCEPTION),
    }
}

/// A DINOv2.
const fn dinov2(name: &'static str, embed_dim: usize, depth: usize, num_heads: usize) -> Row {
    vit(name, 518, 14, embed_dim, depth, num_heads)
        .layer_scale()
        .normalized_as(IMAGENET)
        .crop(1.0)
}

/// Of optimised shape, with 150 million parameters, the second such.
const fn so150m2(name: &'static str, img_size: usize) -> Row {
    vit(name, img_size, 16, 832, 21, 13)
        .mean_pooled()
        .positioned_registers(1)
        .mlp_ratio(34.0 / 13.0)
        .no_qkv_bias()
        .layer_scale()
        .crop(1.0)
}

/// An AIMv2.
const fn aimv2(name: &'static str, img_size: usize, embed_dim: usize, num_heads: usize) -> Row {
    let mut aimv2 = vit(name, img_size, 14, embed_dim, 24, num_heads)
        .mean_pooled()
        .no_qkv_bias();
    aimv2.args.fc_norm = Some(false);
    aimv2.args.proj_bias = false;
    aimv2.args.activation = Activation::SwiGlu;
    aimv2.args.norm = Norm {
        kind: NormKind::Rms,
        eps: 1e-5,
        casts_back: false,
    };
    aimv2.args.embed_norm = true;
    aimv2.normalized_as(OPENAI_CLIP).crop(1.0)
}

impl Row {
    /// The image tower of a CLIP.
    const fn clip(mut self) -> Self {
        self.args.pre_norm = true;
        self.args.norm.eps = 1e-5;
        self.normalized_as(OPENAI_CLIP)
    }

    /// Without class token; the norm is over tokens although the classifier takes their mean.
    const fn no_class_token(mut self) -> Self {
        self.args.fc_norm = Some(false);
        self.mean_pooled()
    }

    /// Registers instead of a class token.
    const fn registers_only(self) -> Self {
        self.mean_pooled().layer_scale().crop(0.95)
    }

    /// The image tower of a CLIP with OpenAI's activation.
    const fn quick_gelu(mut self) -> Self {
        self.args.activation = Activation::QuickGelu;
        self.clip()
    }

    /// The image tower of a SigLIP.
    const fn siglip(mut self) -> Self {
        self.args.class_token = false;
        self.args.global_pool = GlobalPool::Map;
        self
    }

    /// Preprocessed as DeiT.
    const fn deit(self) -> Self {
        self.normalized_as(IMAGENET)
    }

    /// With a token of its own for distillation.
    const fn distilled(mut self) -> Self {
        self.args.distilled = true;
        self.positioned_registers(1)
    }

    /// A DeiT III.
    const fn deit3(mut self) -> Self {
        self.args.no_embed_class = true;
        self.deit().layer_scale()
    }

    pub const fn mlp_ratio(mut self, mlp_ratio: f64) -> Self {
        self.args.mlp_ratio = mlp_ratio;
        self
    }

    const fn no_qkv_bias(mut self) -> Self {
        self.args.qkv_bias = false;
        self
    }

    pub const fn layer_scale(mut self) -> Self {
        self.args.init_values = true;
        self
    }

    /// No class token; the classifier takes the mean of the patches.
    const fn mean_pooled(mut self) -> Self {
        self.args.class_token = false;
        self.args.global_pool = GlobalPool::Avg;
        self
    }

    /// Registers; only patches have positions.
    const fn registers(mut self, n: usize) -> Self {
        self.args.reg_tokens = n;
        self.args.no_embed_class = true;
        self
    }

    /// Registers, which have positions, too.
    const fn positioned_registers(mut self, n: usize) -> Self {
        self.args.reg_tokens = n;
        self
    }

    const fn tanh(mut self) -> Self {
        self.args.activation = Activation::GeluTanh;
        self
    }

    const fn packed_swiglu(mut self, mlp_ratio: f64) -> Self {
        self.args.activation = Activation::SwiGlu;
        self.args.packed = true;
        self.mlp_ratio(mlp_ratio)
    }

    const fn normalized_as(mut self, (mean, std): Moments) -> Self {
        self.data.mean = mean;
        self.data.std = std;
        self
    }

    const fn crop(mut self, crop_pct: f64) -> Self {
        self.data.crop_pct = crop_pct;
        self
    }

    const fn squash(mut self) -> Self {
        self.data.crop = TimmCrop::Squash;
        self
    }
}
