//! Names in timm's files.

use crate::backbone::checkpoint::tensor_names::{ALONE, Others, TensorNames, ZEROS, at, parts};

/// Of `torch.compile` and of `DistributedDataParallel`, in either order.
///
/// Source: `timm.models._helpers.clean_state_dict`.
const WRAPPERS: &[&str] = &["_orig_mod.", "module.", "_orig_mod."];

/// Tensors of timm's own files: `VisionTransformer`, `VisionTransformerDistilled` and `Eva` differ in few names.
///
/// Source of the resizing: `checkpoint_filter_fn` of `timm.models.vision_transformer` and `timm.models.eva`.
#[rustfmt::skip]
pub const TIMM: TensorNames = TensorNames {
    name: "timm",
    wrappers: WRAPPERS,
    resizes_positions: true,
    // The second is that of a whole CLIP of `open_clip`.
    prefixes: &["", "visual.trunk."],
    rules: &[
        at("reg_token", "reg_token"),
        at("reg_token", "dist_token"),
        at("blocks.*.ls1.gamma", "blocks.*.ls1.gamma"),
        at("blocks.*.ls1.gamma", "blocks.*.gamma_1"),
        at("blocks.*.ls2.gamma", "blocks.*.ls2.gamma"),
        at("blocks.*.ls2.gamma", "blocks.*.gamma_2"),
        at("blocks.*.attn.qkv.", "blocks.*.attn.qkv."),
        parts("blocks.*.attn.qkv.bias", "blocks.*.attn.@", &["q_bias", ZEROS, "v_bias"]),
        at("blocks.*.mlp.fc1.", "blocks.*.mlp.fc1."),
        parts("blocks.*.mlp.fc1.", "blocks.*.mlp.@.", &["fc1_g", "fc1_x"]),
    ],
    // `pre_logits` stood between the tokens and the classifier before timm 0.6.
    passed_over: &["head.", "head_dist.", "fc_norm.", "attn_pool.", "pre_logits."],
    head: &[],
    others: Others::Rest,
    other: Some(("layers.0.downsample.reduction.weight", &SWIN_BEFORE_TIMM_0_9)),
};

/// Swin Transformers that were saved before timm 0.9: the halving between two stages counts to the first of them.
///
/// Source: `timm.models.swin_transformer.checkpoint_filter_fn`.
#[rustfmt::skip]
const SWIN_BEFORE_TIMM_0_9: TensorNames = TensorNames {
    name: "swin_before_timm_0_9",
    wrappers: WRAPPERS,
    rules: &[
        at("layers.1.downsample.", "layers.0.downsample."),
        at("layers.2.downsample.", "layers.1.downsample."),
        at("layers.3.downsample.", "layers.2.downsample."),
    ],
    passed_over: &["head."],
    ..ALONE
};
