//! Names in the files of `open_clip`: a whole CLIP, of which the visual tower is taken.

use crate::backbone::checkpoint::tensor_names::{
    ALONE, Form, Others, TIMM, TensorNames, at, flat, rule,
};

/// Source: `open_clip.factory.load_state_dict`.
const WRAPPERS: &[&str] = &["module."];

/// timm's names behind `visual.trunk.`, in checkpoints of `open_clip`.
#[rustfmt::skip]
pub const OPEN_CLIP_TIMM: TensorNames = TensorNames {
    name: "open_clip_timm",
    wrappers: WRAPPERS,
    prefixes: &["visual.trunk."],
    rules: TIMM.rules,
    head: &["head.", "fc_norm.", "attn_pool."],
    others: Others::Outside("visual."),
    ..ALONE
};

/// The `VisionTransformer` of `open_clip`.
///
/// Source of the resizing: `open_clip.model.resize_pos_embed`.
#[rustfmt::skip]
pub const OPEN_CLIP: TensorNames = TensorNames {
    name: "open_clip",
    wrappers: WRAPPERS,
    resizes_positions: true,
    prefixes: &["visual."],
    rules: &[
        at("patch_embed.proj.weight", "conv1.weight"),
        flat("cls_token", "class_embedding"),
        flat("pos_embed", "positional_embedding"),
        at("norm_pre.", "ln_pre."),
        at("blocks.*.norm", "transformer.resblocks.*.ln_"),
        at("blocks.*.attn.qkv.", "transformer.resblocks.*.attn.in_proj_"),
        at("blocks.*.attn.proj.", "transformer.resblocks.*.attn.out_proj."),
        at("blocks.*.mlp.fc1.", "transformer.resblocks.*.mlp.c_fc."),
        at("blocks.*.mlp.fc2.", "transformer.resblocks.*.mlp.c_proj."),
        at("blocks.*.ls", "transformer.resblocks.*.ls_"),
        at("norm.", "ln_post."),
        at("fc_norm.", "ln_post."),
        rule("head.weight", "proj", Form::Transposed),
    ],
    head: &["ln_post.", "proj"],
    others: Others::Outside("visual."),
    ..ALONE
};
