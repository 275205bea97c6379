"""Writes the fixtures of backbones: small Vision Transformers made by timm, and the features timm gives.

    python tests/golden/make/backbone.py

- fixtures/backbone/<variant>/: `config.json` and `model.safetensors`, as timm saves them
- fixtures/backbone.safetensors: features of every variant, [n, d] f32
- fixtures/backbone.json: timm's architectures, as timm builds them

The versions of all libraries and of this script are in the metadata of the second and in the third.
"""

import functools
import json
import pathlib
import shutil

import numpy as np
import safetensors
import timm
import torch
from safetensors.torch import load_file, save_file
from timm.models import vision_transformer
from timm.models._hub import save_for_hf

VERSION = 1
FIXTURES = pathlib.Path(__file__).parent.parent / "fixtures"
VERSIONS = {
    "script": VERSION,
    "torch": torch.__version__,
    "timm": timm.__version__,
    "numpy": np.__version__,
    "safetensors": safetensors.__version__,
}
N_IMAGES = 5

SMALL = dict(img_size=32, patch_size=8, embed_dim=32, depth=2, num_heads=2, num_classes=3)
# Variant: timm's architecture and the arguments that make it small or other.
VARIANTS = {
    "plain": ("vit_tiny_patch16_224", {}),
    "layer_scale": ("vit_tiny_patch16_224", dict(init_values=0.1)),
    "no_qkv_bias": ("vit_tiny_patch16_224", dict(qkv_bias=False)),
    "no_class_token": ("vit_base_patch16_gap_224", {}),
    "norm_in_classifier": ("vit_base_patch16_gap_224", dict(fc_norm=None)),
    "class_token_unused": ("vit_tiny_patch16_224", dict(global_pool="avg")),
    "clip": ("vit_xsmall_patch16_clip_224", {}),
    "registers": ("vit_small_patch14_reg4_dinov2", dict(reg_tokens=2)),
    "registers_only": ("vit_wee_patch16_reg1_gap_256", dict(mlp_ratio=2.5)),
    "no_final_norm": ("vit_tiny_patch16_224", dict(final_norm=False)),
    "oblong": ("vit_tiny_patch16_224", dict(img_size=(36, 64), patch_size=16)),
    "f16_file": ("vit_tiny_patch16_224", {}),
    "bf16_file": ("vit_tiny_patch16_224", {}),
}


def pixels(height: int, width: int) -> torch.Tensor:
    """[n, 3, height, width] f32 from -1 to 1, by arithmetic that rounds nowhere; the test makes the same."""
    x = np.arange(N_IMAGES * 3 * height * width, dtype=np.uint32) * np.uint32(2654435761)
    x = (x ^ (x >> np.uint32(15))) * np.uint32(2246822519)
    values = (x >> np.uint32(16)).astype(np.float32) / np.float32(32768) - np.float32(1)
    return torch.from_numpy(values.reshape(N_IMAGES, 3, height, width))


def randomize(model: torch.nn.Module) -> None:
    """Weights large enough that every tensor shows in the features; timm's own leave biases at 0."""
    generator = torch.Generator().manual_seed(17)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            centre = 1.0 if "norm" in name and name.endswith("weight") else 0.0
            parameter.copy_(centre + 0.2 * torch.randn(parameter.shape, generator=generator))


def encode(model: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
    """As `biobench.third_party_models.Timm.img_encode`."""
    with torch.inference_mode():
        tokens = model.forward_features(images)
    features = tokens[:, 0] if model.num_prefix_tokens > 0 else tokens.max(dim=1).values
    return features.contiguous()


def make_variant(name: str, architecture: str, args: dict) -> dict:
    args = SMALL | args
    model = timm.create_model(architecture, **args).eval()
    size = args["img_size"] if isinstance(args["img_size"], tuple) else (args["img_size"],) * 2
    randomize(model)
    folder = FIXTURES / "backbone" / name
    save_for_hf(model, folder, safe_serialization=True)
    if name.endswith("_file"):
        dtype = {"f16_file": torch.float16, "bf16_file": torch.bfloat16}[name]
        weights = {key: value.to(dtype) for key, value in load_file(folder / "model.safetensors").items()}
        save_file(weights, folder / "model.safetensors", {"format": "pt"})
        model.load_state_dict({key: value.float() for key, value in weights.items()})

    # What timm makes of the folder is the reference, not the model that was saved.
    loaded = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    images = pixels(*size)
    features = {name: encode(loaded, images)}
    assert torch.equal(features[name], encode(model, images)), name
    if name == "plain":
        for dtype in (torch.float16, torch.bfloat16):
            with torch.autocast("cpu", dtype):
                features[f"{name}.{str(dtype).removeprefix('torch.')}"] = encode(loaded, images).float()
    return features


def arguments(name: str) -> dict | None:
    """What a registered function passes to `VisionTransformer`, or None if it passes what is not supported."""
    passed = {}

    def capture(variant, pretrained=False, **kwargs):
        passed.update(kwargs)

    original = vision_transformer._create_vision_transformer
    vision_transformer._create_vision_transformer = capture
    try:
        timm.models.model_entrypoint(name)()
    finally:
        vision_transformer._create_vision_transformer = original
    norm = passed.pop("norm_layer", None)
    plain_norm = norm is None or (isinstance(norm, functools.partial) and norm.func is vision_transformer.LayerNorm)
    supported = {
        "img_size", "patch_size", "embed_dim", "depth", "num_heads", "mlp_ratio", "qkv_bias", "init_values", "pre_norm",
        "class_token", "reg_tokens", "no_embed_class", "final_norm", "fc_norm", "global_pool", "dynamic_img_size",
    }  # fmt: skip
    is_supported = plain_norm and set(passed) <= supported and passed.get("global_pool") != "map"
    return passed if is_supported else None


def describe(name: str) -> dict:
    """A row of the catalog, read off timm's model."""
    model = timm.create_model(name, device="meta", num_classes=0)
    block, data = model.blocks[0], timm.data.resolve_data_config(pretrained_cfg=model.pretrained_cfg)
    resize, crop = timm.data.create_transform(**data).transforms[:2]
    keeps_ratio = isinstance(resize.size, int)
    return {
        "network": {
            "family": "vit",
            "img_size": list(model.patch_embed.img_size),
            "patch_size": model.patch_embed.patch_size[0],
            "embed_dim": model.embed_dim,
            "depth": len(model.blocks),
            "num_heads": block.attn.num_heads,
            "mlp_dim": block.mlp.fc1.out_features,
            "qkv_bias": block.attn.qkv.bias is not None,
            "layer_scale": hasattr(block.ls1, "gamma"),
            "class_token": model.cls_token is not None,
            "reg_tokens": model.num_reg_tokens,
            "no_embed_class": model.pos_embed.shape[1] == model.patch_embed.num_patches and model.num_prefix_tokens > 0,
            "pre_norm": hasattr(model.norm_pre, "weight"),
            "norm": hasattr(model.norm, "weight"),
            "norm_eps": block.norm1.eps,
            "feature": "first" if model.num_prefix_tokens > 0 else "max",
        },
        "preprocessing": {
            "size": list(crop.size),
            "resize": {"shortest": {"side": resize.size}} if keeps_ratio else {"squash": {"size": list(resize.size)}},
            "interpolation": resize.interpolation.value,
            "mean": list(data["mean"]),
            "std": list(data["std"]),
        },
    }


def main() -> None:
    torch.set_num_threads(1)
    shutil.rmtree(FIXTURES / "backbone", ignore_errors=True)
    features = {}
    for name, (architecture, args) in VARIANTS.items():
        features |= make_variant(name, architecture, args)
    save_file(features, FIXTURES / "backbone.safetensors", {"fixture": json.dumps(VERSIONS)})

    # Left out: weights that stand for another network in timm than their name says (`siglip_gap` drops the pooling
    # head, `radio` resizes positions its own way), and checkpoints preprocessed like no other.
    left_out = ("_siglip_gap_", "_radio_", "_tipsv2", "_intern300m_", "_miil")
    names = [
        name
        for name in timm.list_models("vit_*_patch*", module="vision_transformer")
        if not any(part in name for part in left_out) and arguments(name) is not None
    ]
    catalog = {"versions": VERSIONS, "architectures": {name: describe(name) for name in names}}
    (FIXTURES / "backbone.json").write_text(json.dumps(catalog, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
