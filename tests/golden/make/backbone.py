"""Writes the fixtures of backbones: small Vision Transformers made by timm, and the features timm gives.

    python tests/golden/make/backbone.py

- fixtures/backbone/<variant>/: `config.json` and `model.safetensors`, as timm saves them
- fixtures/backbone.safetensors: features of every variant, [n, d] f32

The versions of all libraries and of this script are in the metadata of the second.
"""

import json
import pathlib
import shutil

import numpy as np
import safetensors
import timm
import torch
from safetensors.torch import load_file, save_file
from timm.models._hub import save_for_hf

VERSION = 2
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


def make_variant(name: str, architecture: str, args: dict) -> torch.Tensor:
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
    features = encode(loaded, images)
    assert torch.equal(features, encode(model, images)), name
    return features


def main() -> None:
    torch.set_num_threads(1)
    shutil.rmtree(FIXTURES / "backbone", ignore_errors=True)
    features = {name: make_variant(name, architecture, args) for name, (architecture, args) in VARIANTS.items()}
    save_file(features, FIXTURES / "backbone.safetensors", {"fixture": json.dumps(VERSIONS)})


if __name__ == "__main__":
    main()
