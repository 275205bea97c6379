//! Known architectures, one row each, by timm's names.
//!
//! Every row is compared with timm's own model in `tests/golden/backbone.rs`.

use super::vit_config::{GlobalPool, VitConfig};
use crate::image::{Interpolation, Preprocessing, TimmCrop};

/// An architecture and the preprocessing of timm's first checkpoint for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Architecture {
    pub(super) name: &'static str,
    pub(super) vit: VitConfig,
    crop_pct: f64,
    crop: TimmCrop,
    mean: [f32; 3],
    std: [f32; 3],
}

const INCEPTION: ([f32; 3], [f32; 3]) = ([0.5; 3], [0.5; 3]);
const IMAGENET: ([f32; 3], [f32; 3]) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
#[expect(clippy::excessive_precision, reason = "the digits that OpenAI gives")]
const OPENAI_CLIP: ([f32; 3], [f32; 3]) = (
    [0.481_454_66, 0.457_827_5, 0.408_210_73],
    [0.268_629_54, 0.261_302_58, 0.275_777_11],
);

/// Source: the `vit_*` functions and `default_cfgs` of `timm.models.vision_transformer`, timm 1.0.
#[rustfmt::skip] // one row per architecture
const ARCHITECTURES: &[Architecture] = &[
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

    no_class_token("vit_medium_patch16_gap_240", 240, 16, 512, 12, 8).no_qkv_bias().layer_scale().crop(0.95),
    no_class_token("vit_medium_patch16_gap_256", 256, 16, 512, 12, 8).no_qkv_bias().layer_scale().crop(0.95),
    no_class_token("vit_medium_patch16_gap_384", 384, 16, 512, 12, 8).no_qkv_bias().layer_scale().crop(0.95).squash(),
    no_class_token("vit_betwixt_patch16_gap_256", 256, 16, 640, 12, 10).no_qkv_bias().layer_scale().crop(0.95),
    no_class_token("vit_base_patch16_gap_224", 224, 16, 768, 12, 16),
    no_class_token("vit_huge_patch14_gap_224", 224, 14, 1280, 32, 16).normalized_as(IMAGENET),
    no_class_token("vit_huge_patch16_gap_448", 448, 16, 1280, 32, 16).normalized_as(IMAGENET).crop(1.0),
    no_class_token("vit_giant_patch16_gap_224", 224, 16, 1408, 40, 16).mlp_ratio(48.0 / 11.0).normalized_as(IMAGENET),

    clip("vit_xsmall_patch16_clip_224", 224, 16, 256, 10, 4),
    clip("vit_medium_patch32_clip_224", 224, 32, 512, 12, 8),
    clip("vit_medium_patch16_clip_224", 224, 16, 512, 12, 8),
    clip("vit_betwixt_patch32_clip_224", 224, 32, 640, 12, 10),
    clip("vit_base_patch32_clip_224", 224, 32, 768, 12, 12),
    clip("vit_base_patch32_clip_256", 256, 32, 768, 12, 12).crop(1.0),
    clip("vit_base_patch32_clip_384", 384, 32, 768, 12, 12).crop(1.0),
    clip("vit_base_patch32_clip_448", 448, 32, 768, 12, 12).crop(1.0),
    clip("vit_base_patch16_clip_224", 224, 16, 768, 12, 12).crop(0.95),
    clip("vit_base_patch16_clip_384", 384, 16, 768, 12, 12).crop(1.0).squash(),
    clip("vit_base_patch16_plus_clip_240", 240, 16, 896, 12, 14).crop(1.0),
    clip("vit_large_patch14_clip_224", 224, 14, 1024, 24, 16).normalized_as(INCEPTION).crop(1.0),
    clip("vit_large_patch14_clip_336", 336, 14, 1024, 24, 16).normalized_as(INCEPTION).crop(1.0).squash(),
    clip("vit_huge_patch14_clip_224", 224, 14, 1280, 32, 16).crop(1.0),
    clip("vit_huge_patch14_clip_336", 336, 14, 1280, 32, 16).crop(1.0).squash(),
    clip("vit_huge_patch14_clip_378", 378, 14, 1280, 32, 16).crop(1.0),
    clip("vit_giant_patch14_clip_224", 224, 14, 1408, 40, 16).mlp_ratio(48.0 / 11.0).crop(1.0),
    clip("vit_gigantic_patch14_clip_224", 224, 14, 1664, 48, 16).mlp_ratio(64.0 / 13.0).crop(1.0),
    clip("vit_gigantic_patch14_clip_378", 378, 14, 1664, 48, 16).mlp_ratio(64.0 / 13.0).crop(1.0).squash(),

    dinov2("vit_small_patch14_dinov2", 384, 12, 6),
    dinov2("vit_base_patch14_dinov2", 768, 12, 12),
    dinov2("vit_large_patch14_dinov2", 1024, 24, 16),
    dinov2("vit_small_patch14_reg4_dinov2", 384, 12, 6).registers(4),
    dinov2("vit_base_patch14_reg4_dinov2", 768, 12, 12).registers(4),
    dinov2("vit_large_patch14_reg4_dinov2", 1024, 24, 16).registers(4),

    registers_only("vit_wee_patch16_reg1_gap_256", 256, 16, 256, 14, 4).registers(1).mlp_ratio(5.0),
    registers_only("vit_little_patch16_reg1_gap_256", 256, 16, 320, 14, 5).registers(1).mlp_ratio(5.6),
    registers_only("vit_little_patch16_reg4_gap_256", 256, 16, 320, 14, 5).registers(4).mlp_ratio(5.6),
    registers_only("vit_medium_patch16_reg1_gap_256", 256, 16, 512, 12, 8).registers(1),
    registers_only("vit_medium_patch16_reg4_gap_256", 256, 16, 512, 12, 8).registers(4),
    registers_only("vit_mediumd_patch16_reg4_gap_256", 256, 16, 512, 20, 8).registers(4),
    registers_only("vit_mediumd_patch16_reg4_gap_384", 384, 16, 512, 20, 8).registers(4).crop(1.0),
    registers_only("vit_betwixt_patch16_reg1_gap_256", 256, 16, 640, 12, 10).registers(1),
    registers_only("vit_betwixt_patch16_reg4_gap_256", 256, 16, 640, 12, 10).registers(4),
    registers_only("vit_betwixt_patch16_reg4_gap_384", 384, 16, 640, 12, 10).registers(4).crop(1.0),
    vit("vit_base_patch16_reg4_gap_256", 256, 16, 768, 12, 12).mean_pooled().registers(4),

    no_class_token("vit_so150m_patch16_reg4_gap_256", 256, 16, 896, 18, 14).positioned_registers(4).mlp_ratio(2.572).crop(0.95),
    no_class_token("vit_so150m_patch16_reg4_gap_384", 384, 16, 896, 18, 14).positioned_registers(4).mlp_ratio(2.572).crop(1.0),
    so150m2("vit_so150m2_patch16_reg1_gap_256", 256),
    so150m2("vit_so150m2_patch16_reg1_gap_384", 384),
    so150m2("vit_so150m2_patch16_reg1_gap_448", 448).squash(),
];

/// A plain Vision Transformer, preprocessed as most of timm's.
const fn vit(
    name: &'static str,
    img_size: usize,
    patch_size: usize,
    embed_dim: usize,
    depth: usize,
    num_heads: usize,
) -> Architecture {
    let vit = VitConfig {
        img_size: [img_size; 2],
        patch_size,
        embed_dim,
        depth,
        num_heads,
        mlp_ratio: 4.0,
        qkv_bias: true,
        layer_scale: false,
        class_token: true,
        reg_tokens: 0,
        no_embed_class: false,
        pre_norm: false,
        final_norm: true,
        fc_norm: None,
        global_pool: GlobalPool::Token,
        norm_eps: 1e-6,
    };
    let (mean, std) = INCEPTION;
    Architecture {
        name,
        vit,
        crop_pct: 0.9,
        crop: TimmCrop::Center,
        mean,
        std,
    }
}

/// The image tower of a CLIP.
const fn clip(
    name: &'static str,
    img_size: usize,
    patch_size: usize,
    embed_dim: usize,
    depth: usize,
    num_heads: usize,
) -> Architecture {
    let mut clip = vit(name, img_size, patch_size, embed_dim, depth, num_heads);
    clip.vit.pre_norm = true;
    clip.vit.norm_eps = 1e-5;
    clip.normalized_as(OPENAI_CLIP)
}

/// A DINOv2.
const fn dinov2(
    name: &'static str,
    embed_dim: usize,
    depth: usize,
    num_heads: usize,
) -> Architecture {
    vit(name, 518, 14, embed_dim, depth, num_heads)
        .layer_scale()
        .normalized_as(IMAGENET)
        .crop(1.0)
}

/// Without class token; the norm is over tokens although the classifier takes their mean.
const fn no_class_token(
    name: &'static str,
    img_size: usize,
    patch_size: usize,
    embed_dim: usize,
    depth: usize,
    num_heads: usize,
) -> Architecture {
    let mut gap = vit(name, img_size, patch_size, embed_dim, depth, num_heads).mean_pooled();
    gap.vit.fc_norm = Some(false);
    gap
}

/// Registers instead of a class token.
const fn registers_only(
    name: &'static str,
    img_size: usize,
    patch_size: usize,
    embed_dim: usize,
    depth: usize,
    num_heads: usize,
) -> Architecture {
    vit(name, img_size, patch_size, embed_dim, depth, num_heads)
        .mean_pooled()
        .layer_scale()
        .crop(0.95)
}

/// Of optimised shape, with 150 million parameters, the second such.
const fn so150m2(name: &'static str, img_size: usize) -> Architecture {
    vit(name, img_size, 16, 832, 21, 13)
        .mean_pooled()
        .positioned_registers(1)
        .mlp_ratio(34.0 / 13.0)
        .no_qkv_bias()
        .layer_scale()
        .crop(1.0)
}

impl Architecture {
    const fn mlp_ratio(mut self, mlp_ratio: f64) -> Self {
        self.vit.mlp_ratio = mlp_ratio;
        self
    }

    const fn no_qkv_bias(mut self) -> Self {
        self.vit.qkv_bias = false;
        self
    }

    const fn layer_scale(mut self) -> Self {
        self.vit.layer_scale = true;
        self
    }

    /// No class token; the classifier takes the mean of the patches.
    const fn mean_pooled(mut self) -> Self {
        self.vit.class_token = false;
        self.vit.global_pool = GlobalPool::Patches;
        self
    }

    /// Registers; only patches have positions.
    const fn registers(mut self, n: usize) -> Self {
        self.vit.reg_tokens = n;
        self.vit.no_embed_class = true;
        self
    }

    /// Registers, which have positions, too.
    const fn positioned_registers(mut self, n: usize) -> Self {
        self.vit.reg_tokens = n;
        self
    }

    const fn normalized_as(mut self, (mean, std): ([f32; 3], [f32; 3])) -> Self {
        self.mean = mean;
        self.std = std;
        self
    }

    const fn crop(mut self, crop_pct: f64) -> Self {
        self.crop_pct = crop_pct;
        self
    }

    const fn squash(mut self) -> Self {
        self.crop = TimmCrop::Squash;
        self
    }

    /// The preprocessing of timm's first checkpoint for this architecture.
    pub(super) fn preprocessing(&self) -> Preprocessing {
        let bicubic = Interpolation::Bicubic;
        Preprocessing::timm(
            self.vit.img_size,
            self.crop_pct,
            self.crop,
            bicubic,
            self.mean,
            self.std,
        )
    }
}

/// Names of the architectures that can be loaded, in the catalog's order.
pub fn architectures() -> impl Iterator<Item = &'static str> {
    ARCHITECTURES.iter().map(|architecture| architecture.name)
}

/// The architecture of that name.
pub(super) fn find(name: &str) -> Option<&'static Architecture> {
    ARCHITECTURES
        .iter()
        .find(|architecture| architecture.name == name)
}

/// The three names that are most like `name`, best first.
pub(super) fn nearest(name: &str) -> Vec<&'static str> {
    let mut names: Vec<_> = architectures()
        .map(|known| (strsim::levenshtein(name, known), known))
        .collect();
    // A stable sort: names equally far keep the catalog's order.
    names.sort_by_key(|&(distance, _)| distance);
    names.into_iter().take(3).map(|(_, known)| known).collect()
}

/// The first architecture that a checkpoint with such shapes can be of.
#[cfg(feature = "torch")]
pub(super) fn fitting<'a>(shape: impl Fn(&str) -> Option<&'a [usize]>) -> Option<&'static str> {
    ARCHITECTURES
        .iter()
        .find(|architecture| architecture.vit.fits(&shape))
        .map(|architecture| architecture.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = architectures().collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ARCHITECTURES.len());
    }

    #[test]
    fn nearest_names_come_first() {
        assert_eq!(nearest("vit_tinny_patch16_224")[0], "vit_tiny_patch16_224");
        assert_eq!(
            nearest("vit_base_patch14_dino2")[0],
            "vit_base_patch14_dinov2"
        );
        assert_eq!(nearest("").len(), 3);
    }
}
