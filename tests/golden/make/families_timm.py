"""timm's families: `config.json` and `model.safetensors` as timm saves them, features as BioBench takes them."""

import dataclasses
import json
import re

import timm
import torch
from families_shared import FOLDER, Variant, check, draw, empty_folder, halve, pixels, randomize
from safetensors.torch import save_file
from timm.models._hub import save_config_for_hf, save_for_hf

VIT = dict(img_size=16, patch_size=4, embed_dim=24, depth=2, num_heads=2, num_classes=3)
STAGES = dict(layers=(2, 1, 1, 1), channels=(8, 16, 24, 32), num_classes=3)
BOTTLENECKS = dict(layers=(2, 1, 1, 1), channels=(4, 8, 12, 16), num_classes=3)
POOL = ("attn_pool", "head")
# Variant: timm's architecture, the arguments that make it small or other, `check`'s unused and inert tensors.
VARIANTS = {
    "vit_map_head": ("vit_base_patch16_siglip_224", VIT, POOL),
    "vit_gelu_tanh": ("vit_so400m_patch16_siglip_256", VIT, POOL),
    "vit_quick_gelu": ("vit_base_patch16_clip_quickgelu_224", VIT, ("head",)),
    "vit_qk_norm": ("vit_tiny_patch16_224", VIT | dict(qk_norm=True), ("head",), ("k_norm.bias",)),
    "vit_swiglu_packed": ("vit_giant_patch14_dinov2", VIT, ("head",)),
    "deit3": ("deit3_small_patch16_224", VIT, ("head",)),
    "deit_distilled": ("deit_tiny_distilled_patch16_224", VIT, ("head", "head_dist")),
    "timm_aimv2": ("aimv2_large_patch14_224", VIT, ("head",)),
    "timm_dinov3": ("vit_small_patch16_dinov3", VIT | dict(img_size=(16, 24)), ("head",)),
    "timm_dinov3_qkv_bias": ("vit_small_patch16_dinov3_qkvb", VIT, ("head",)),
    "timm_dinov3_swiglu": ("vit_small_plus_patch16_dinov3", VIT, ("head",)),
    "pe_core": ("vit_pe_core_base_patch16_224", VIT | dict(ref_feat_shape=(4, 4)), POOL),
    "pe_core_other_grid": ("vit_pe_core_base_patch16_224", VIT | dict(img_size=(16, 24)), POOL),
    "pe_core_no_class_token": ("vit_pe_core_gigantic_patch14_448", VIT, POOL),
    "pe_spatial": ("vit_pe_spatial_base_patch16_512", VIT, ("head",)),
    "pe_spatial_no_class_token": ("vit_pe_spatial_gigantic_patch14_448", VIT | dict(ref_feat_shape=(4, 4)), ("head",)),
    "resnet18": ("resnet18", STAGES, ("fc",)),
    "resnet18d": ("resnet18d", STAGES | dict(stem_width=8), ("fc",)),
    "resnet50": ("resnet50", BOTTLENECKS, ("fc",)),
    "resnet50d": ("resnet50d", BOTTLENECKS | dict(stem_width=8), ("fc",)),
    "convnext": ("convnext_tiny", dict(depths=(2, 1, 1, 1), dims=(8, 16, 24, 32), num_classes=3), ("head",)),
    "swin": (
        "swin_large_patch4_window12_384",
        dict(img_size=64, window_size=4, embed_dim=8, depths=(2, 2, 2), num_heads=(1, 2, 2), num_classes=3),
        ("head",),
    ),
    "sam2": (
        "sam2_hiera_tiny",
        dict(embed_dim=8, stages=(1, 2, 3, 1), global_att_blocks=(4,), window_spec=(8, 4, 6, 3), num_classes=0),
        ("head",),
    ),
}
# Architectures whose widths timm lets nobody change: their weights are drawn, not stored.
DRAWN = {
    "efficientnet_b0": ("classifier",),
    "efficientnet_b3": ("classifier",),
    "mobilenetv2_100": ("classifier",),
    "mobilenetv3_large_100": ("conv_head", "norm_head", "classifier"),
}
# The largest file, in half precision.
HALF = ("sam2",)
# Activations of MobileNet V2 must reach the 6 at which they are cut.
GAIN = {"mobilenetv2_100": 2.0}
SIZES = {"sam2": (64, 96), "resnet50": (64, 96)}


def encode(model: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
    """As `biobench.third_party_models.Timm.img_encode`: the class token, or the largest over positions."""
    with torch.inference_mode():
        features = model.forward_features(images)
    if features.ndim == 4:
        channels_last = getattr(model, "output_fmt", "NCHW") == "NHWC"
        return features.amax(dim=(1, 2) if channels_last else (2, 3))
    if model.num_prefix_tokens > 0:
        return features[:, 0].contiguous()
    return features.amax(dim=1)


def input_size(name: str, args: dict) -> tuple[int, int]:
    size = args.get("img_size", SIZES.get(name, 64))
    return size if isinstance(size, tuple) else (size, size)


def make_variant(name: str, architecture: str, args: dict, unused: tuple[str, ...], inert=()) -> Variant:
    size = input_size(name, args)
    model = timm.create_model(architecture, **args).eval()
    images = pixels(*size)
    randomize(model, images)
    folder = empty_folder(name)
    save_for_hf(model, folder, safe_serialization=True, data_config={"input_size": (3, *size)})
    if name in HALF:
        halve(folder / "model.safetensors")

    # What timm makes of the folder is the reference, not the model that was saved.
    loaded = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    parameters = check(name, loaded, lambda images: encode(loaded, images), images, unused, inert)
    return Variant("sam2" if name == "sam2" else "timm", size, encode(loaded, images), parameters)


def make_drawn(name: str, unused: tuple[str, ...]) -> Variant:
    size = (64, 96)
    model = timm.create_model(name).eval()
    folder = empty_folder(name)
    save_config_for_hf(model, folder / "config.json", data_config={"input_size": (3, *size)})
    images = pixels(*size)
    rules = {"model.safetensors": draw(model, images, GAIN.get(name, 1.0))}
    (folder / "weights.json").write_text(json.dumps(rules, separators=(",", ":")) + "\n")
    parameters = check(name, model, lambda images: encode(model, images), images, unused)
    return Variant("timm", size, encode(model, images), parameters)


def make_old_swin(new: Variant) -> Variant:
    """The layout of timm before 0.9, in which MegaDescriptor is published.

    Stages end with their downsampling instead of beginning with it, masks and indices are stored, the classifier is
    `head`.
    """
    model = timm.create_model(f"local-dir:{FOLDER / 'swin'}", pretrained=True).eval()
    tensors = {}
    for key, tensor in model.state_dict().items():
        key = re.sub(r"layers\.(\d+)\.downsample", lambda found: f"layers.{int(found[1]) - 1}.downsample", key)
        tensors[key.replace("head.fc.", "head.")] = tensor
    for key, buffer in model.named_buffers():
        tensors[key] = buffer.contiguous()
    folder = empty_folder("swin_before_timm_0_9")
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    config = json.loads((FOLDER / "swin" / "config.json").read_text())
    config["pretrained_cfg"]["classifier"] = "head"
    (folder / "config.json").write_text(json.dumps(config, indent=2))

    loaded = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    features = encode(loaded, pixels(*new.size))
    assert torch.equal(features, new.features)
    return dataclasses.replace(new, features=features)


def make() -> dict[str, Variant]:
    made = {name: make_variant(name, *rest) for name, rest in VARIANTS.items()}
    made["swin_before_timm_0_9"] = make_old_swin(made["swin"])
    made |= {name: make_drawn(name, unused) for name, unused in DRAWN.items()}
    return made
