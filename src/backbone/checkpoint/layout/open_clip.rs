//! Names in the files of `open_clip`: a whole CLIP, of which the visual tower is taken.

use crate::backbone::checkpoint::layout::{Layout, Others, Place, Rule, TIMM};

/// Source: `open_clip.factory.load_state_dict`.
const WRAPPERS: &[&str] = &["module."];

/// timm's names behind `visual.trunk.`, in checkpoints of `open_clip`.
pub const OPEN_CLIP_TIMM: Layout = Layout {
    name: "open_clip_timm",
    wrappers: WRAPPERS,
    resizes_positions: false,
    prefixes: &["visual.trunk."],
    rules: TIMM.rules,
    passed_over: &[],
    others: Others::Outside("visual."),
    other: None,
};

/// The `VisionTransformer` of `open_clip`.
///
/// Source of the resizing: `open_clip.model.resize_pos_embed`.
pub const OPEN_CLIP: Layout = Layout {
    name: "open_clip",
    wrappers: WRAPPERS,
    resizes_positions: true,
    prefixes: &["visual."],
    rules: &[
        Rule("patch_embed.proj.weight", Place::At("conv1.weight")),
        Rule("cls_token", Place::Flat("class_embedding")),
        Rule("pos_embed", Place::Flat("positional_embedding")),
        Rule("norm_pre.", Place::At("ln_pre.")),
        Rule(
            "blocks.*.norm1.",
            Place::At("transformer.resblocks.*.ln_1."),
        ),
        Rule(
            "blocks.*.norm2.",
            Place::At("transformer.resblocks.*.ln_2."),
        ),
        Rule(
            "blocks.*.attn.qkv.weight",
            Place::At("transformer.resblocks.*.attn.in_proj_weight"),
        ),
        Rule(
            "blocks.*.attn.qkv.bias",
            Place::At("transformer.resblocks.*.attn.in_proj_bias"),
        ),
        Rule(
            "blocks.*.attn.proj.",
            Place::At("transformer.resblocks.*.attn.out_proj."),
        ),
        Rule(
            "blocks.*.mlp.fc1.",
            Place::At("transformer.resblocks.*.mlp.c_fc."),
        ),
        Rule(
            "blocks.*.mlp.fc2.",
            Place::At("transformer.resblocks.*.mlp.c_proj."),
        ),
        Rule("blocks.*.ls1.", Place::At("transformer.resblocks.*.ls_1.")),
        Rule("blocks.*.ls2.", Place::At("transformer.resblocks.*.ls_2.")),
        Rule("norm.", Place::At("ln_post.")),
        Rule("fc_norm.", Place::At("ln_post.")),
        Rule("head.weight", Place::Transposed("proj")),
    ],
    passed_over: &[],
    others: Others::Outside("visual."),
    other: None,
};
