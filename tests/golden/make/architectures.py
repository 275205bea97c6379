"""Writes what timm makes of the architectures that newt-pipe knows: fixtures/architectures.json.

    newt-pipe models ls --architectures | python tests/golden/make/architectures.py

For each: preprocessing, number of features; of Vision Transformers every setting, read off the model; of other networks
the names and shapes of the tensors that a feature passes through, as a digest.
"""

import hashlib
import json
import sys

import timm
import torch
from backbone import FIXTURES, VERSIONS
from timm.layers import GluMlp, Mlp, RmsNorm, SwiGLU
from timm.layers.pos_embed_sincos import RotaryEmbeddingCat, RotaryEmbeddingDinoV3
from timm.models.eva import Eva
from timm.models.vision_transformer import VisionTransformer

VERSION = 1
ACTIVATIONS = {"GELU": "gelu", "GELUTanh": "gelu_tanh", "QuickGELU": "quick_gelu"}
# What no feature passes through, by the names of modules.
PASSED_OVER = ("head", "head_dist", "fc", "fc_norm", "attn_pool", "classifier")


def describe_mlp(mlp: torch.nn.Module) -> dict:
    match mlp:
        case SwiGLU():
            hidden, activation, fc1 = mlp.fc1_g.out_features, "swi_glu", mlp.fc1_g
        case GluMlp():
            hidden, activation, fc1 = mlp.fc1.out_features // 2, "swi_glu", mlp.fc1
        case Mlp():
            hidden, activation, fc1 = mlp.fc1.out_features, ACTIVATIONS[type(mlp.act).__name__], mlp.fc1
    return {"hidden": hidden, "activation": activation, "bias": fc1.bias is not None}


def describe_positions(model: torch.nn.Module, grid: list[int], learned: list[int]) -> dict | None:
    if model.pos_embed is None:
        return None
    n_prefix = model.pos_embed.shape[1] - learned[0] * learned[1]
    assert n_prefix in (0, model.num_prefix_tokens)
    resample = "exact" if grid == learned else {"bicubic": {"antialias": True}}
    return {"learned": {"prefix": "all" if n_prefix else "none", "grid": learned, "resample": resample}}


def describe_rope(rope: torch.nn.Module | None) -> dict | None:
    match rope:
        case None:
            return None
        case RotaryEmbeddingDinoV3():
            assert rope.rotate_half and rope.normalize_coords == "separate" and rope.grid_offset == 0
            return {"centered": {"base": float(rope.temperature)}}
        case RotaryEmbeddingCat():
            assert not rope.in_pixels and not rope.rotate_half
            reference = rope.ref_feat_shape and list(rope.ref_feat_shape)
            return {
                "counted": {
                    "temperature": float(rope.temperature),
                    "offset": float(rope.grid_offset),
                    "reference": reference,
                    "columns_first": rope.grid_indexing == "xy",
                }
            }


def describe_vit(model: torch.nn.Module, input_size: list[int]) -> dict:
    block, patch = model.blocks[0], model.patch_embed.patch_size[0]
    attn, is_dynamic = block.attn, model.dynamic_img_size
    learned = list(model.patch_embed.grid_size)
    img_size = input_size if is_dynamic else list(model.patch_embed.img_size)
    is_rms = isinstance(block.norm1, RmsNorm)
    distills = hasattr(model, "dist_token")
    has_q_bias = getattr(attn, "q_bias", None) is not None
    return {
        "img_size": img_size,
        "patch_size": patch,
        "embed_dim": model.embed_dim,
        "depth": len(model.blocks),
        "num_heads": attn.num_heads,
        "mlp": describe_mlp(block.mlp),
        "norm": {"kind": "rms" if is_rms else "layer", "eps": block.norm1.eps, "casts_back": False},
        "qkv_bias": has_q_bias or attn.qkv.bias is not None,
        "proj_bias": attn.proj.bias is not None,
        "qk_norm": hasattr(attn.q_norm, "weight"),
        "layer_scale": hasattr(block, "ls1") and hasattr(block.ls1, "gamma") or getattr(block, "gamma_1", None) is not None,
        "class_token": model.cls_token is not None,
        "reg_tokens": model.num_prefix_tokens - (model.cls_token is not None),
        "positions": describe_positions(model, [side // patch for side in img_size], learned),
        "rope": describe_rope(getattr(model, "rope", None)),
        "patch_bias": model.patch_embed.proj.bias is not None,
        "patch_norm": hasattr(model.patch_embed.norm, "weight"),
        "pre_norm": hasattr(model.norm_pre, "weight"),
        "final_norm": "tokens" if hasattr(model.norm, "weight") else "none",
        "pool": "first" if model.num_prefix_tokens > 0 or distills else "max",
        "projection": None,
    }


def digest_tensors(model: torch.nn.Module) -> str:
    """Of the lines `name shape`, sorted."""
    passed_over = PASSED_OVER + (("conv_head",) if type(model).__name__ == "MobileNetV3" else ())
    lines = sorted(
        f"{name} {list(tensor.shape)}\n"
        for name, tensor in model.state_dict().items()
        if name.split(".")[0] not in passed_over and tensor.is_floating_point()
    )
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def describe(name: str) -> dict:
    """An architecture of the catalog, read off timm's model."""
    model = timm.create_model(name, device="meta")
    data = timm.data.resolve_data_config(pretrained_cfg=model.pretrained_cfg)
    resize, crop = timm.data.create_transform(**data).transforms[:2]
    keeps_ratio = isinstance(resize.size, int)
    is_vit = isinstance(model, (VisionTransformer, Eva))
    network = {"vit": describe_vit(model, list(data["input_size"][1:]))} if is_vit else {"tensors": digest_tensors(model)}
    return network | {
        "dim": model.num_features,
        "preprocessing": {
            "size": list(crop.size),
            "resize": {"shortest": {"side": resize.size}} if keeps_ratio else {"squash": {"size": list(resize.size)}},
            "interpolation": resize.interpolation.value,
            "mean": list(data["mean"]),
            "std": list(data["std"]),
        },
    }


def main() -> None:
    rows = {name: describe(name) for name in sys.stdin.read().split()}
    lines = [f"  {json.dumps(name)}: {json.dumps(row, separators=(',', ':'))}" for name, row in rows.items()]
    versions = json.dumps(VERSIONS | {"script": VERSION})
    text = f'{{"versions": {versions}, "architectures": {{\n' + ",\n".join(lines) + "\n}}\n"
    (FIXTURES / "architectures.json").write_text(text)


if __name__ == "__main__":
    main()
