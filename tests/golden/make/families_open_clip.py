"""open_clip's towers: `open_clip_config.json` and `open_clip_model.safetensors` as `push_to_hf_hub` writes them.

The text towers are small and stand in the files, since those of the hub hold them too; the features pass them by.
"""

import copy
import json

import open_clip
import torch
from families_shared import Variant, check, draw, empty_folder, pixels, randomize
from open_clip.push_to_hf_hub import save_config_for_hf
from safetensors.torch import save_file

VISION = {"image_size": 16, "layers": 2, "width": 24, "head_width": 12, "patch_size": 4}
TEXT = {"context_length": 8, "vocab_size": 16, "width": 16, "heads": 2, "layers": 1}
# As in UCSC-VLAA's repositories on the hub.
AVERAGE = {"no_ln_pre": True, "pool_type": "avg", "final_ln_after_pool": True}
IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
SQUASHED = IMAGENET | {"interpolation": "bilinear", "resize_mode": "squash"}
# Variant: what differs from `VISION`, from `TEXT` and in the rest of the model's configuration; preprocessing.
VARIANTS = {
    "clip": ({}, {}, {}, {}),
    "clip_quick_gelu": ({}, {}, {"quick_gelu": True}, {}),
    "clip_layer_scale": ({"ls_init_value": 0.1, "mlp_ratio": 3.7}, {}, {}, {}),
    "clip_oblong": ({"image_size": [16, 24]}, {}, {}, {"resize_mode": "squash"}),
    "clip_avg_pool": ({"pool_type": "avg", "pos_embed_type": "sin_cos_2d"}, {}, {}, {}),
    "clip_gelu_tanh": ({"act_kwargs": {"approximate": "tanh"}}, {}, {}, {}),
    "clip_output_tokens": ({"output_tokens": True}, {}, {}, {}),
    # MetaCLIP 2: another tokenizer, another pooling of texts.
    "clip_worldwide": ({}, {"hf_tokenizer_name": "facebook/xlm-v-base", "pool_type": "eos", "eos_id": 2}, {}, {}),
    "clip_custom_text": ({}, {"pool_type": "last", "no_causal_mask": True}, {"custom_text": True}, {}),
    "openvision": (
        AVERAGE | {"norm_kwargs": {"eps": 1e-6}},
        {"pool_type": "last", "no_causal_mask": True, "act_kwargs": {"approximate": "tanh"}},
        {},
        SQUASHED,
    ),
}
# timm's towers come in their registered sizes only: their weights are drawn, not stored. The smallest of each kind.
SIGLIP = {"mean": (0.5,) * 3, "std": (0.5,) * 3, "resize_mode": "squash"}
DRAWN = {
    "PE-Core-T-16-384": SIGLIP | {"interpolation": "bilinear"},
    "ViT-B-32-SigLIP2-256": SIGLIP | {"interpolation": "bicubic"},
}


def encode(model: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
    """The image features, without the tokens that some towers give beside them."""
    with torch.inference_mode():
        features = model.visual(images)
    return features[0] if isinstance(features, tuple) else features


def save_config(model_config: dict, preprocessing: dict, folder) -> None:
    """As `push_to_hf_hub.save_for_hf`, which also fetches a tokenizer."""
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": model_config}))
    model = load(folder, preprocessing)
    save_config_for_hf(model, folder / "open_clip_config.json", model_config)


def load(folder, preprocessing: dict | None = None) -> torch.nn.Module:
    return open_clip.create_model(f"local-dir:{folder}", force_preprocess_cfg=preprocessing).eval()


def make_variant(name: str, vision: dict, text: dict, rest: dict, preprocessing: dict) -> Variant:
    config = {"embed_dim": 20} | rest | {"vision_cfg": VISION | vision, "text_cfg": TEXT | text}
    folder = empty_folder(name)
    save_config(config, preprocessing, folder)
    model = load(folder)
    size = model.visual.image_size
    images = pixels(*size)
    randomize(model, images)
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")

    # What open_clip makes of the folder is the reference, not the model that was saved.
    loaded = load(folder)
    parameters = check(name, loaded.visual, lambda images: encode(loaded, images), images)
    return Variant("open-clip", size, encode(loaded, images), parameters)


def make_drawn(architecture: str, preprocessing: dict) -> Variant:
    config = copy.deepcopy(open_clip.get_model_config(architecture))
    config["text_cfg"] = TEXT
    folder = empty_folder(architecture)
    save_config(config, preprocessing, folder)
    model = load(folder)
    size = model.visual.image_size
    images = pixels(*size)
    rules = {"open_clip_model.safetensors": draw(model, images)}
    (folder / "weights.json").write_text(json.dumps(rules, separators=(",", ":")) + "\n")
    # Whole networks are less sensitive, and the small ones have shown every tensor.
    parameters = check(architecture, model.visual, lambda images: encode(model, images), images[:2], seen=2e-5)
    return Variant("open-clip", size, encode(model, images), parameters)


def make() -> dict[str, Variant]:
    made = {name: make_variant(name, *rest) for name, rest in VARIANTS.items()}
    return made | {name: make_drawn(name, preprocessing) for name, preprocessing in DRAWN.items()}
