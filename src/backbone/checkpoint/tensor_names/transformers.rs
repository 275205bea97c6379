//! Names in the files of transformers, and in those that Apple made for it.

use crate::backbone::checkpoint::tensor_names::{
    ALONE, Form, Others, TensorNames, ZEROS, at, flat, parts, rule,
};

/// `CLIPModel`, `CLIPVisionModel`, `SiglipModel` and `SiglipVisionModel` of transformers.
#[rustfmt::skip]
pub const TRANSFORMERS_CLIP: TensorNames = TensorNames {
    name: "transformers_clip",
    prefixes: &["vision_model.", ""],
    rules: &[
        at("patch_embed.proj.", "embeddings.patch_embedding."),
        flat("cls_token", "embeddings.class_embedding"),
        flat("pos_embed", "embeddings.position_embedding.weight"),
        at("norm_pre.", "pre_layrnorm."),
        at("blocks.*.norm", "encoder.layers.*.layer_norm"),
        parts("blocks.*.attn.qkv.", "encoder.layers.*.self_attn.@.", &["q_proj", "k_proj", "v_proj"]),
        at("blocks.*.attn.proj.", "encoder.layers.*.self_attn.out_proj."),
        at("blocks.*.mlp.", "encoder.layers.*.mlp."),
        at("norm.", "post_layernorm."),
        at("fc_norm.", "post_layernorm."),
        at("head.", "/visual_projection."),
        at("attn_pool.latent", "head.probe"),
        rule("attn_pool.q.", "head.attention.in_proj_", Form::Third),
        rule("attn_pool.kv.", "head.attention.in_proj_", Form::TwoThirds),
        at("attn_pool.proj.", "head.attention.out_proj."),
        at("attn_pool.norm.", "head.layernorm."),
        at("attn_pool.mlp.", "head.mlp."),
    ],
    passed_over: &["embeddings.position_ids"],
    head: &["head."],
    others: Others::Rest,
    ..ALONE
};

/// `ViTModel`, `Dinov2Model` and `Dinov2WithRegistersModel` of transformers, alone or under a classifier.
#[rustfmt::skip]
pub const TRANSFORMERS_VIT: TensorNames = TensorNames {
    name: "transformers_vit",
    prefixes: &["", "vit.", "dinov2.", "dinov2_with_registers."],
    rules: &[
        at("patch_embed.proj.", "embeddings.patch_embeddings.projection."),
        at("cls_token", "embeddings.cls_token"),
        at("reg_token", "embeddings.register_tokens"),
        at("pos_embed", "embeddings.position_embeddings"),
        at("blocks.*.norm", "encoder.layer.*.norm"),
        at("blocks.*.norm1.", "encoder.layer.*.layernorm_before."),
        at("blocks.*.norm2.", "encoder.layer.*.layernorm_after."),
        parts("blocks.*.attn.qkv.", "encoder.layer.*.attention.attention.@.", &["query", "key", "value"]),
        at("blocks.*.attn.proj.", "encoder.layer.*.attention.output.dense."),
        at("blocks.*.ls1.gamma", "encoder.layer.*.layer_scale1.lambda1"),
        at("blocks.*.ls2.gamma", "encoder.layer.*.layer_scale2.lambda1"),
        at("blocks.*.mlp.fc1.", "encoder.layer.*.mlp.fc1."),
        at("blocks.*.mlp.fc1.", "encoder.layer.*.mlp.weights_in."),
        at("blocks.*.mlp.fc1.", "encoder.layer.*.intermediate.dense."),
        at("blocks.*.mlp.fc2.", "encoder.layer.*.mlp.fc2."),
        at("blocks.*.mlp.fc2.", "encoder.layer.*.mlp.weights_out."),
        at("blocks.*.mlp.fc2.", "encoder.layer.*.output.dense."),
        at("norm.", "layernorm."),
    ],
    passed_over: &["embeddings.mask_token", "pooler.", "classifier."],
    others: Others::Rest,
    ..ALONE
};

/// `DINOv3ViTModel` of transformers.
#[rustfmt::skip]
pub const TRANSFORMERS_DINOV3: TensorNames = TensorNames {
    name: "transformers_dinov3",
    rules: &[
        at("patch_embed.proj.", "embeddings.patch_embeddings."),
        at("cls_token", "embeddings.cls_token"),
        at("reg_token", "embeddings.register_tokens"),
        at("blocks.*.norm", "layer.*.norm"),
        parts("blocks.*.attn.qkv.weight", "layer.*.attention.@.weight", &["q_proj", "k_proj", "v_proj"]),
        parts("blocks.*.attn.qkv.bias", "layer.*.attention.@.bias", &["q_proj", ZEROS, "v_proj"]),
        at("blocks.*.attn.proj.", "layer.*.attention.o_proj."),
        at("blocks.*.ls1.gamma", "layer.*.layer_scale1.lambda1"),
        at("blocks.*.ls2.gamma", "layer.*.layer_scale2.lambda1"),
        parts("blocks.*.mlp.fc1.", "layer.*.mlp.@.", &["gate_proj", "up_proj"]),
        at("blocks.*.mlp.fc1.", "layer.*.mlp.up_proj."),
        at("blocks.*.mlp.fc2.", "layer.*.mlp.down_proj."),
    ],
    passed_over: &["embeddings.mask_token"],
    ..ALONE
};

/// `Aimv2VisionModel` and `Aimv2Model` of transformers.
#[rustfmt::skip]
pub const TRANSFORMERS_AIMV2: TensorNames = TensorNames {
    name: "transformers_aimv2",
    prefixes: &["", "vision_model."],
    rules: &[
        at("patch_embed.proj.", "embeddings.patch_embed."),
        at("patch_embed.norm.", "embeddings.rms_norm."),
        flat("pos_embed", "embeddings.position_embedding.weight"),
        at("blocks.*.norm", "encoder.layers.*.rms_norm"),
        parts("blocks.*.attn.qkv.", "encoder.layers.*.attention.@.", &["q_proj", "k_proj", "v_proj"]),
        at("blocks.*.attn.proj.", "encoder.layers.*.attention.out_proj."),
        parts("blocks.*.mlp.fc1.", "encoder.layers.*.ffn.@.", &["gate_proj", "up_proj"]),
        at("blocks.*.mlp.fc2.", "encoder.layers.*.ffn.down_proj."),
        at("norm.", "rms_norm."),
        at("attn_pool.latent", "head.cls_token"),
        parts("attn_pool.kv.", "head.@.", &["k_proj", "v_proj"]),
        at("attn_pool.proj.", "head.output_proj."),
        at("head.", "/visual_projection."),
    ],
    passed_over: &["head."],
    others: Others::Rest,
    ..ALONE
};

/// AIMv2 as Apple published it.
#[rustfmt::skip]
pub const APPLE_AIMV2: TensorNames = TensorNames {
    name: "apple_aimv2",
    rules: &[
        at("patch_embed.", "preprocessor.patchifier."),
        at("pos_embed", "preprocessor.pos_embed"),
        at("blocks.*.norm", "trunk.blocks.*.norm_"),
        at("blocks.*.attn.", "trunk.blocks.*.attn."),
        parts("blocks.*.mlp.fc1.", "trunk.blocks.*.mlp.@.", &["fc1", "fc3"]),
        at("blocks.*.mlp.fc2.", "trunk.blocks.*.mlp.fc2."),
        at("norm.", "trunk.post_trunk_norm."),
    ],
    ..ALONE
};
