//! Names in timm's files.

use super::{Layout, Others, Part, Place, Rule};

/// Tensors of timm's own files: `VisionTransformer`, `VisionTransformerDistilled` and `Eva` differ in few names.
pub(crate) const TIMM: Layout = Layout {
    name: "timm",
    prefixes: &[""],
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
    passed_over: &["head.", "head_dist.", "fc_norm.", "attn_pool."],
    others: Others::None,
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
