//! The ViT-Base that Vision Transformers of `open_clip` and transformers are described by: each says what differs from it.

use crate::backbone::families::vit::{
    Activation, FinalNorm, Mlp, Norm, NormKind, Positions, PrefixPositions, Resample, TokenPool,
    VitConfig,
};

/// A ViT-Base: learned positions of all tokens, a class token and its norm.
pub const VIT_BASE: VitConfig = VitConfig {
    img_size: [224; 2],
    patch_size: 16,
    embed_dim: 768,
    depth: 12,
    num_heads: 12,
    mlp: Mlp {
        hidden: 3072,
        activation: Activation::Gelu,
        bias: true,
    },
    norm: Norm {
        kind: NormKind::Layer,
        eps: 1e-6,
        casts_back: false,
    },
    qkv_bias: true,
    proj_bias: true,
    qk_norm: false,
    layer_scale: false,
    class_token: true,
    reg_tokens: 0,
    positions: Some(learned(PrefixPositions::All, Resample::Exact)),
    rope: None,
    patch_bias: true,
    patch_norm: false,
    pre_norm: false,
    final_norm: FinalNorm::Tokens,
    pool: TokenPool::First,
    projection: None,
};

/// Learned positions, of a ViT-Base's patches.
pub const fn learned(prefix: PrefixPositions, resample: Resample) -> Positions {
    Positions::Learned {
        prefix,
        grid: [14; 2],
        resample,
    }
}

/// The same network, whose positions are learned for its own patches.
pub fn with_own_grid(mut network: VitConfig) -> VitConfig {
    let own = network.img_size.map(|side| side / network.patch_size);
    if let Some(Positions::Learned { grid, .. }) = &mut network.positions {
        *grid = own;
    }
    network
}

/// A width times a ratio; Python's `int` truncates.
pub fn scaled(width: usize, ratio: f64) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "timm truncates, too; ratios are checked to be positive and small"
    )]
    let scaled = (width as f64 * ratio) as usize;
    scaled
}
