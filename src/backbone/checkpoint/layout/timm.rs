//! Names in timm's files.

use crate::backbone::checkpoint::layout::{Layout, Others, Part, Place, Rule};

/// Of `torch.compile` and of `DistributedDataParallel`, in either order.
///
/// Source: `timm.models._helpers.clean_state_dict`.
const WRAPPERS: &[&str] = &["_orig_mod.", "module.", "_orig_mod."];

/// Tensors of timm's own files: `VisionTransformer`, `VisionTransformerDistilled` and `Eva` differ in few names.
///
/// Source of the resizing: `checkpoint_filter_fn` of `timm.models.vision_transformer` and `timm.models.eva`.
pub const TIMM: Layout = Layout {
    name: "timm",
    wrappers: WRAPPERS,
    resizes_positions: true,
    // The second is that of a whole CLIP of `open_clip`.
    prefixes: &["", "visual.trunk."],
    rules: &[
        Rule("reg_token", Place::At("reg_token")),
        Rule("reg_token", Place::At("dist_token")),
        Rule("blocks.*.ls1.gamma", Place::At("blocks.*.ls1.gamma")),
        Rule("blocks.*.ls1.gamma", Place::At("blocks.*.gamma_1")),
        Rule("blocks.*.ls2.gamma", Place::At("blocks.*.ls2.gamma")),
        Rule("blocks.*.ls2.gamma", Place::At("blocks.*.gamma_2")),
        Rule("blocks.*.attn.qkv.", Place::At("blocks.*.attn.qkv.")),
        Rule(
            "blocks.*.attn.qkv.bias",
            Place::Parts(&[
                Part::At("blocks.*.attn.q_bias"),
                Part::Zeros,
                Part::At("blocks.*.attn.v_bias"),
            ]),
        ),
        Rule("blocks.*.mlp.fc1.", Place::At("blocks.*.mlp.fc1.")),
        Rule(
            "blocks.*.mlp.fc1.",
            Place::Parts(&[
                Part::At("blocks.*.mlp.fc1_g."),
                Part::At("blocks.*.mlp.fc1_x."),
            ]),
        ),
    ],
    // `pre_logits` stood between the tokens and the classifier before timm 0.6.
    passed_over: &[
        "head.",
        "head_dist.",
        "fc_norm.",
        "attn_pool.",
        "pre_logits.",
    ],
    others: Others::Rest,
    other: Some((
        "layers.0.downsample.reduction.weight",
        &SWIN_BEFORE_TIMM_0_9,
    )),
};

/// Swin Transformers that were saved before timm 0.9: the halving between two stages counts to the first of them.
///
/// Source: `timm.models.swin_transformer.checkpoint_filter_fn`.
const SWIN_BEFORE_TIMM_0_9: Layout = Layout {
    name: "swin_before_timm_0_9",
    wrappers: WRAPPERS,
    resizes_positions: false,
    prefixes: &[""],
    rules: &[
        Rule("layers.1.downsample.", Place::At("layers.0.downsample.")),
        Rule("layers.2.downsample.", Place::At("layers.1.downsample.")),
        Rule("layers.3.downsample.", Place::At("layers.2.downsample.")),
    ],
    passed_over: &["head."],
    others: Others::None,
    other: None,
};
