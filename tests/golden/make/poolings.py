"""Writes the fixtures of `model.pool`: what the libraries make of the checkpoints of `families.py`, pooled otherwise.

    python tests/golden/make/poolings.py

- fixtures/poolings/<variant>/: checkpoints of timm whose heads none of `families.py` has
- fixtures/poolings.safetensors: features `<variant>.<pool>`, [n, d] f32, for the images of `backbone.pixels`
- fixtures/poolings.json: versions; org, folder, input size and poolings of every variant

`cls`, `mean` and `max` are taken of the tokens or of the map that the library gives; `head` is what its last linear layer
is given.
"""

import json
import pathlib
import shutil

import open_clip
import timm
import torch
import transformers as hf
from backbone import FIXTURES, VERSIONS, pixels
from families_open_clip import DRAWN as OPEN_CLIP_DRAWN
from families_open_clip import load as load_open_clip
from families_shared import check, draw, randomize
from families_timm import DRAWN, GAIN, STAGES, VIT
from families_transformers import AppleAimv2, use_original_positions
from safetensors.torch import load_file, save_file
from timm.models._hub import save_for_hf
from timm.models.vision_transformer import global_pool_nlc

VERSION = 1
FAMILIES, FOLDER = FIXTURES / "families", FIXTURES / "poolings"
CONVNEXT = dict(depths=(2, 1, 1, 1), dims=(8, 16, 24, 32), num_classes=3)
# Of `families.py`.
TIMM = (
    "vit_map_head", "vit_quick_gelu", "vit_qk_norm", "deit_distilled", "timm_aimv2", "timm_dinov3", "pe_core",
    "pe_spatial", "pe_spatial_no_class_token", "resnet18", "resnet50d", "convnext", "swin", "swin_before_timm_0_9", "sam2",
)  # fmt: skip
TIMM_DRAWN = ("efficientnet_b0", "mobilenetv2_100", "mobilenetv3_large_100")
OPEN_CLIP = ("clip", "clip_avg_pool", "openvision")
# Variant: timm's architecture, the arguments that make it small, `check`'s inert tensors of its head.
NEW = {
    "vit_registers_fc_norm": ("vit_base_patch16_reg4_gap_256", VIT, ()),
    "vit_max_fc_norm": ("vit_tiny_patch16_224", VIT | dict(global_pool="max"), ()),
    "convnext_hidden": ("convnext_large_mlp", CONVNEXT | dict(head_hidden_size=20), ()),
    "convnext_norm_first": ("convnext_tiny_hnf", CONVNEXT, ()),
    "resnet18_max": ("resnet18", STAGES | dict(global_pool="max"), ()),
}
# Variant of `families.py`: the class that reads it.
TRANSFORMERS = {
    "hf_clip": hf.CLIPModel,
    "hf_clip_vision": hf.CLIPVisionModelWithProjection,
    "hf_siglip": hf.SiglipModel,
    "hf_vit": hf.ViTModel,
    "hf_dinov2_registers": hf.Dinov2WithRegistersModel,
    "hf_dinov3": hf.DINOv3ViTModel,
    "hf_aimv2": hf.Aimv2VisionModel,
    "hf_aimv2_native": hf.Aimv2VisionModel,
    "dinov2": hf.Dinov2Model,
    "aimv2": hf.Aimv2VisionModel,
}


def of_tokens(tokens: torch.Tensor, has_class_token: bool, n_prefix: int) -> dict[str, torch.Tensor]:
    """`tokens`: [b, t, d]."""
    pooled = {pool: global_pool_nlc(tokens, kind, n_prefix) for pool, kind in (("mean", "avg"), ("max", "max"))}
    return ({"cls": tokens[:, 0]} if has_class_token else {}) | pooled


def of_timm(model: torch.nn.Module, images: torch.Tensor) -> dict[str, torch.Tensor]:
    features = model.forward_features(images)
    head = {"head": model.forward_head(features, pre_logits=True)}
    if features.ndim == 4:
        positions = (1, 2) if getattr(model, "output_fmt", "NCHW") == "NHWC" else (2, 3)
        return {"mean": features.mean(positions), "max": features.amax(positions)} | head
    return of_tokens(features, model.cls_token is not None, model.num_prefix_tokens) | head


def of_open_clip(model: torch.nn.Module, images: torch.Tensor) -> dict[str, torch.Tensor]:
    visual = model.visual
    if hasattr(visual, "trunk"):
        return of_timm(visual.trunk, images)
    proj, visual.proj, visual.output_tokens = visual.proj, None, True
    head, patches = visual(images)
    visual.proj = proj
    # The class token is not among the tokens that the tower gives, so it is taken as they are: before the last norm
    # where that follows the pooling.
    x = visual.transformer(visual._embeds(images))
    x = x if visual.final_ln_after_pool else visual.ln_post(x)
    assert torch.equal(x[:, 1:], patches)
    return of_tokens(x, True, 1) | {"head": head}


def of_transformers(model: torch.nn.Module, images: torch.Tensor) -> dict[str, torch.Tensor]:
    tower = getattr(model, "vision_model", model)
    output = tower(pixel_values=images)
    tokens, config = output.last_hidden_state, tower.config
    if config.model_type == "clip_vision_model":
        tokens = (getattr(tower, "vision_model", tower)).post_layernorm(tokens)
    has_class_token = config.model_type not in ("siglip_vision_model", "aimv2_vision_model")
    n_prefix = has_class_token + getattr(config, "num_register_tokens", 0)
    # ViTModel's pooler is a layer more, which its classifiers do without.
    head = tokens[:, 0] if config.model_type == "vit" else output.pooler_output
    return of_tokens(tokens, has_class_token, n_prefix) | ({} if head is None else {"head": head})


def new_checkpoint(name: str, architecture: str, args: dict, inert: tuple[str, ...], size: tuple[int, int]):
    folder = FOLDER / name
    folder.mkdir(parents=True)
    model = timm.create_model(architecture, **args).eval()
    images = pixels(*size)
    randomize(model, images)
    save_for_hf(model, folder, safe_serialization=True, data_config={"input_size": (3, *size)})
    loaded = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()

    def head(images: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            return of_timm(loaded, images)["head"]

    check(name, loaded, head, images, ("fc",) if architecture == "resnet18" else ("head.fc", "head.weight", "head.bias"), inert)
    return loaded


def drawn(name: str, model: torch.nn.Module, size: tuple[int, int], file: str, gain: float = 1.0) -> torch.nn.Module:
    rules = json.loads((FAMILIES / name / "weights.json").read_text())
    assert draw(model, pixels(*size), gain) == rules[file], name
    return model


def models(sizes: dict[str, tuple[int, int]]):
    """Name, org, folder, size, network and what reads its poolings, of every variant."""
    for name in TIMM:
        model = timm.create_model(f"local-dir:{FAMILIES / name}", pretrained=True).eval()
        yield name, "sam2" if name == "sam2" else "timm", "families", sizes[name], model, of_timm
    for name in TIMM_DRAWN:
        assert name in DRAWN
        model = timm.create_model(name).eval()
        model = drawn(name, model, sizes[name], "model.safetensors", GAIN.get(name, 1.0))
        yield name, "timm", "families", sizes[name], model, of_timm
    for name, (architecture, args, inert) in NEW.items():
        size = (args.get("img_size", 64),) * 2
        yield name, "timm", "poolings", size, new_checkpoint(name, architecture, args, inert, size), of_timm
    for name in OPEN_CLIP:
        yield name, "open-clip", "families", sizes[name], load_open_clip(FAMILIES / name), of_open_clip
    for name in OPEN_CLIP_DRAWN:
        model = load_open_clip(FAMILIES / name)
        model = drawn(name, model, sizes[name], "open_clip_model.safetensors")
        yield name, "open-clip", "families", sizes[name], model, of_open_clip
    for name, loads in TRANSFORMERS.items():
        model = loads.from_pretrained(FAMILIES / name).eval()
        org = name if name in ("dinov2", "aimv2") else "transformers"
        model = use_original_positions(model) if org == "dinov2" else model
        yield name, org, "families", sizes[name], model, of_transformers
    apple = AppleAimv2(16, 2, 2, 24, grid=4).eval()
    apple.load_state_dict(load_file(FAMILIES / "apple_aimv2" / "model.safetensors"))
    size = sizes["apple_aimv2"]
    yield "apple_aimv2", "aimv2", "families", size, apple, lambda model, images: of_tokens(model(images), False, 0)


def main() -> None:
    torch.set_num_threads(1)
    shutil.rmtree(FOLDER, ignore_errors=True)
    catalog = json.loads((FIXTURES / "families.json").read_text())["variants"]
    sizes = {name: tuple(variant["size"]) for name, variant in catalog.items()}
    features, variants = {}, {}
    for name, org, folder, size, model, read in models(sizes):
        with torch.inference_mode():
            pools = {pool: rows.contiguous() for pool, rows in read(model, pixels(*size)).items()}
        assert all(rows.ndim == 2 and rows.isfinite().all() for rows in pools.values()), name
        features |= {f"{name}.{pool}": rows for pool, rows in pools.items()}
        dims = {pool: rows.shape[1] for pool, rows in pools.items()}
        variants[name] = {"org": org, "folder": folder, "size": list(size), "pools": dims}
        print(name, dims, flush=True)
    versions = VERSIONS | {
        "script": VERSION,
        "open_clip": open_clip.__version__,
        "transformers": hf.__version__,
    }
    save_file(features, FOLDER.with_suffix(".safetensors"), {"fixture": json.dumps(versions)})
    written = json.dumps({"versions": versions, "variants": variants}, separators=(",", ":"))
    pathlib.Path(FOLDER.with_suffix(".json")).write_text(written + "\n")


if __name__ == "__main__":
    main()
