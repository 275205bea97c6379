//! Names in the files of transformers, and in those that Apple made for it.

use crate::backbone::checkpoint::layout::{Layout, Others, Part, Place, Rule};

/// `CLIPModel`, `CLIPVisionModel`, `SiglipModel` and `SiglipVisionModel` of transformers.
pub const TRANSFORMERS_CLIP: Layout = Layout {
    name: "transformers_clip",
    wrappers: &[],
    resizes_positions: false,
    prefixes: &["vision_model.", ""],
    rules: &[
        Rule(
            "patch_embed.proj.",
            Place::At("embeddings.patch_embedding."),
        ),
        Rule("cls_token", Place::Flat("embeddings.class_embedding")),
        Rule(
            "pos_embed",
            Place::Flat("embeddings.position_embedding.weight"),
        ),
        Rule("norm_pre.", Place::At("pre_layrnorm.")),
        Rule(
            "blocks.*.norm1.",
            Place::At("encoder.layers.*.layer_norm1."),
        ),
        Rule(
            "blocks.*.norm2.",
            Place::At("encoder.layers.*.layer_norm2."),
        ),
        Rule(
            "blocks.*.attn.qkv.",
            Place::Parts(&[
                Part::At("encoder.layers.*.self_attn.q_proj."),
                Part::At("encoder.layers.*.self_attn.k_proj."),
                Part::At("encoder.layers.*.self_attn.v_proj."),
            ]),
        ),
        Rule(
            "blocks.*.attn.proj.",
            Place::At("encoder.layers.*.self_attn.out_proj."),
        ),
        Rule("blocks.*.mlp.", Place::At("encoder.layers.*.mlp.")),
        Rule("norm.", Place::At("post_layernorm.")),
        Rule("fc_norm.", Place::At("post_layernorm.")),
        Rule("head.", Place::At("/visual_projection.")),
        Rule("attn_pool.latent", Place::At("head.probe")),
        Rule(
            "attn_pool.q.weight",
            Place::Third("head.attention.in_proj_weight"),
        ),
        Rule(
            "attn_pool.q.bias",
            Place::Third("head.attention.in_proj_bias"),
        ),
        Rule(
            "attn_pool.kv.weight",
            Place::TwoThirds("head.attention.in_proj_weight"),
        ),
        Rule(
            "attn_pool.kv.bias",
            Place::TwoThirds("head.attention.in_proj_bias"),
        ),
        Rule("attn_pool.proj.", Place::At("head.attention.out_proj.")),
        Rule("attn_pool.norm.", Place::At("head.layernorm.")),
        Rule("attn_pool.mlp.", Place::At("head.mlp.")),
    ],
    passed_over: &["embeddings.position_ids"],
    others: Others::Rest,
    other: None,
};

/// `ViTModel`, `Dinov2Model` and `Dinov2WithRegistersModel` of transformers, alone or under a classifier.
pub const TRANSFORMERS_VIT: Layout = Layout {
    name: "transformers_vit",
    wrappers: &[],
    resizes_positions: false,
    prefixes: &["", "vit.", "dinov2.", "dinov2_with_registers."],
    rules: &[
        Rule(
            "patch_embed.proj.",
            Place::At("embeddings.patch_embeddings.projection."),
        ),
        Rule("cls_token", Place::At("embeddings.cls_token")),
        Rule("reg_token", Place::At("embeddings.register_tokens")),
        Rule("pos_embed", Place::At("embeddings.position_embeddings")),
        Rule("blocks.*.norm1.", Place::At("encoder.layer.*.norm1.")),
        Rule(
            "blocks.*.norm1.",
            Place::At("encoder.layer.*.layernorm_before."),
        ),
        Rule("blocks.*.norm2.", Place::At("encoder.layer.*.norm2.")),
        Rule(
            "blocks.*.norm2.",
            Place::At("encoder.layer.*.layernorm_after."),
        ),
        Rule(
            "blocks.*.attn.qkv.",
            Place::Parts(&[
                Part::At("encoder.layer.*.attention.attention.query."),
                Part::At("encoder.layer.*.attention.attention.key."),
                Part::At("encoder.layer.*.attention.attention.value."),
            ]),
        ),
        Rule(
            "blocks.*.attn.proj.",
            Place::At("encoder.layer.*.attention.output.dense."),
        ),
        Rule(
            "blocks.*.ls1.gamma",
            Place::At("encoder.layer.*.layer_scale1.lambda1"),
        ),
        Rule(
            "blocks.*.ls2.gamma",
            Place::At("encoder.layer.*.layer_scale2.lambda1"),
        ),
        Rule("blocks.*.mlp.fc1.", Place::At("encoder.layer.*.mlp.fc1.")),
        Rule(
            "blocks.*.mlp.fc1.",
            Place::At("encoder.layer.*.mlp.weights_in."),
        ),
        Rule(
            "blocks.*.mlp.fc1.",
            Place::At("encoder.layer.*.intermediate.dense."),
        ),
        Rule("blocks.*.mlp.fc2.", Place::At("encoder.layer.*.mlp.fc2.")),
        Rule(
            "blocks.*.mlp.fc2.",
            Place::At("encoder.layer.*.mlp.weights_out."),
        ),
        Rule(
            "blocks.*.mlp.fc2.",
            Place::At("encoder.layer.*.output.dense."),
        ),
        Rule("norm.", Place::At("layernorm.")),
    ],
    passed_over: &["embeddings.mask_token", "pooler.", "classifier."],
    others: Others::Rest,
    other: None,
};

/// `DINOv3ViTModel` of transformers.
pub const TRANSFORMERS_DINOV3: Layout = Layout {
    name: "transformers_dinov3",
    wrappers: &[],
    resizes_positions: false,
    prefixes: &[""],
    rules: &[
        Rule(
            "patch_embed.proj.",
            Place::At("embeddings.patch_embeddings."),
        ),
        Rule("cls_token", Place::At("embeddings.cls_token")),
        Rule("reg_token", Place::At("embeddings.register_tokens")),
        Rule("blocks.*.norm1.", Place::At("layer.*.norm1.")),
        Rule("blocks.*.norm2.", Place::At("layer.*.norm2.")),
        Rule(
            "blocks.*.attn.qkv.weight",
            Place::Parts(&[
                Part::At("layer.*.attention.q_proj.weight"),
                Part::At("layer.*.attention.k_proj.weight"),
                Part::At("layer.*.attention.v_proj.weight"),
            ]),
        ),
        Rule(
            "blocks.*.attn.qkv.bias",
            Place::Parts(&[
                Part::At("layer.*.attention.q_proj.bias"),
                Part::Zeros,
                Part::At("layer.*.attention.v_proj.bias"),
            ]),
        ),
        Rule(
            "blocks.*.attn.proj.",
            Place::At("layer.*.attention.o_proj."),
        ),
        Rule(
            "blocks.*.ls1.gamma",
            Place::At("layer.*.layer_scale1.lambda1"),
        ),
        Rule(
            "blocks.*.ls2.gamma",
            Place::At("layer.*.layer_scale2.lambda1"),
        ),
        Rule(
            "blocks.*.mlp.fc1.",
            Place::Parts(&[
                Part::At("layer.*.mlp.gate_proj."),
                Part::At("layer.*.mlp.up_proj."),
            ]),
        ),
        Rule("blocks.*.mlp.fc1.", Place::At("layer.*.mlp.up_proj.")),
        Rule("blocks.*.mlp.fc2.", Place::At("layer.*.mlp.down_proj.")),
        Rule("norm.", Place::At("norm.")),
    ],
    passed_over: &["embeddings.mask_token"],
    others: Others::None,
    other: None,
};

/// `Aimv2VisionModel` and `Aimv2Model` of transformers.
pub const TRANSFORMERS_AIMV2: Layout = Layout {
    name: "transformers_aimv2",
    wrappers: &[],
    resizes_positions: false,
    prefixes: &["", "vision_model."],
    rules: &[
        Rule("patch_embed.proj.", Place::At("embeddings.patch_embed.")),
        Rule("patch_embed.norm.", Place::At("embeddings.rms_norm.")),
        Rule(
            "pos_embed",
            Place::Flat("embeddings.position_embedding.weight"),
        ),
        Rule("blocks.*.norm1.", Place::At("encoder.layers.*.rms_norm1.")),
        Rule("blocks.*.norm2.", Place::At("encoder.layers.*.rms_norm2.")),
        Rule(
            "blocks.*.attn.qkv.",
            Place::Parts(&[
                Part::At("encoder.layers.*.attention.q_proj."),
                Part::At("encoder.layers.*.attention.k_proj."),
                Part::At("encoder.layers.*.attention.v_proj."),
            ]),
        ),
        Rule(
            "blocks.*.attn.proj.",
            Place::At("encoder.layers.*.attention.out_proj."),
        ),
        Rule(
            "blocks.*.mlp.fc1.",
            Place::Parts(&[
                Part::At("encoder.layers.*.ffn.gate_proj."),
                Part::At("encoder.layers.*.ffn.up_proj."),
            ]),
        ),
        Rule(
            "blocks.*.mlp.fc2.",
            Place::At("encoder.layers.*.ffn.down_proj."),
        ),
        Rule("norm.", Place::At("rms_norm.")),
        Rule("attn_pool.latent", Place::At("head.cls_token")),
        Rule(
            "attn_pool.kv.",
            Place::Parts(&[Part::At("head.k_proj."), Part::At("head.v_proj.")]),
        ),
        Rule("attn_pool.proj.", Place::At("head.output_proj.")),
        Rule("head.", Place::At("/visual_projection.")),
    ],
    passed_over: &["head."],
    others: Others::Rest,
    other: None,
};

/// AIMv2 as Apple published it.
pub const APPLE_AIMV2: Layout = Layout {
    name: "apple_aimv2",
    wrappers: &[],
    resizes_positions: false,
    prefixes: &[""],
    rules: &[
        Rule("patch_embed.", Place::At("preprocessor.patchifier.")),
        Rule("pos_embed", Place::At("preprocessor.pos_embed")),
        Rule("blocks.*.norm1.", Place::At("trunk.blocks.*.norm_1.")),
        Rule("blocks.*.norm2.", Place::At("trunk.blocks.*.norm_2.")),
        Rule("blocks.*.attn.", Place::At("trunk.blocks.*.attn.")),
        Rule(
            "blocks.*.mlp.fc1.",
            Place::Parts(&[
                Part::At("trunk.blocks.*.mlp.fc1."),
                Part::At("trunk.blocks.*.mlp.fc3."),
            ]),
        ),
        Rule("blocks.*.mlp.fc2.", Place::At("trunk.blocks.*.mlp.fc2.")),
        Rule("norm.", Place::At("trunk.post_trunk_norm.")),
    ],
    passed_over: &[],
    others: Others::None,
    other: None,
};
