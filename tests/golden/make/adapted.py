"""Writes checkpoints that are not as their library saves them, and what the library makes of them nevertheless.

    python tests/golden/make/adapted.py

Names with what training puts before them, tensors of old, other file names, positions of another grid, NaN and unknown
keys in configurations: `fixtures/adapted/<variant>/`, with features and descriptions as `families.py` writes them.
"""

import json
import pathlib
import shutil

import families_open_clip
import families_timm
import open_clip
import timm
import torch
import transformers as hf
from backbone import FIXTURES, VERSIONS
from families_shared import Variant, check, halve, pixels, randomize
from families_transformers import CLIP_PIXELS, TEXT, clip_features
from families_transformers import VIT as HF_VIT
from safetensors.torch import load_file, save_file
from timm.models._hub import save_for_hf

VERSION = 1
FOLDER = FIXTURES / "adapted"
VIT = dict(img_size=16, patch_size=4, embed_dim=16, depth=1, num_heads=2, num_classes=3)
VISION = dict(image_size=16, layers=1, width=16, head_width=8, patch_size=4)
SMALL_TEXT = dict(context_length=4, vocab_size=8, width=8, heads=1, layers=1)
SMALL_CLIP = HF_VIT | dict(num_hidden_layers=1, hidden_size=16, intermediate_size=16)


def empty_folder(name: str) -> pathlib.Path:
    folder = FOLDER / name
    folder.mkdir(parents=True)
    return folder


def rewrite(folder: pathlib.Path, old: str, new: str, prefix: str = "", extra: dict | None = None) -> None:
    """Stores the weights under other names, and in another file."""
    tensors = {prefix + name: tensor for name, tensor in (load_file(folder / old) | (extra or {})).items()}
    (folder / old).unlink()
    save_file(tensors, folder / new, {"format": "pt"})


def edit(path: pathlib.Path, change) -> None:
    config = json.loads(path.read_text())
    change(config)
    path.write_text(json.dumps(config))


# ---- timm


def saved_timm(name: str, architecture: str, **args) -> pathlib.Path:
    """A folder as timm saves it, of a model whose positions are learned for `args["img_size"]`."""
    model = timm.create_model(architecture, **VIT | args).eval()
    height, width = model.patch_embed.img_size
    randomize(model, pixels(height, width))
    folder = empty_folder(name)
    save_for_hf(model, folder, safe_serialization=True, data_config={"input_size": (3, height, width)})
    return folder


def for_images_of(config: dict, height: int, width: int) -> None:
    config["model_args"]["img_size"] = [height, width]
    config["pretrained_cfg"]["input_size"] = [3, height, width]


def timm_variant(folder: pathlib.Path, size: tuple[int, int], seen: float = 3e-4) -> Variant:
    loaded = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()

    def encode(images: torch.Tensor) -> torch.Tensor:
        return families_timm.encode(loaded, images)

    images = pixels(*size)
    parameters = check(folder.name, loaded, encode, images, ("head",), seen=seen)
    return Variant("timm", size, encode(images), parameters)


def timm_wrapped() -> Variant:
    folder = saved_timm("timm_wrapped", "vit_tiny_patch16_224")
    pre_logits = {"pre_logits.fc.weight": torch.ones(16, 16), "pre_logits.fc.bias": torch.ones(16)}
    rewrite(folder, "model.safetensors", "epoch_30.safetensors", "_orig_mod.module.", pre_logits)

    def change(config: dict) -> None:
        config |= {"model_type": "vit", "best_loss": float("nan"), "schedule": [float("inf"), -float("inf")]}
        config["pretrained_cfg"]["notes"] = ["a \"NaN\" in words"]
        config["model_args"]["drop_rate"] = 0.0

    edit(folder / "config.json", change)
    return timm_variant(folder, (16, 16))


def timm_of_open_clip() -> Variant:
    """The trunk of a whole CLIP, whose file timm takes, too."""
    folder = saved_timm("timm_of_open_clip", "vit_tiny_patch16_224", num_classes=0)
    texts = {"positional_embedding": torch.ones(4, 8), "visual.head.proj.weight": torch.ones(12, 16)}
    tensors = {"visual.trunk." + name: tensor for name, tensor in load_file(folder / "model.safetensors").items()}
    (folder / "model.safetensors").unlink()
    save_file(tensors | texts, folder / "open_clip_model.safetensors", {"format": "pt"})
    return timm_variant(folder, (16, 16))


def timm_larger_grid() -> Variant:
    folder = saved_timm("timm_larger_grid", "vit_tiny_patch16_224")
    edit(folder / "config.json", lambda config: for_images_of(config, 24, 16))
    return timm_variant(folder, (24, 16))


def timm_smaller_grid() -> Variant:
    folder = saved_timm("timm_smaller_grid", "deit3_small_patch16_224", img_size=28)
    halve(folder / "model.safetensors")
    edit(folder / "config.json", lambda config: for_images_of(config, 16, 16))
    return timm_variant(folder, (16, 16))


def timm_eva_grid() -> Variant:
    folder = saved_timm("timm_eva_grid", "vit_pe_spatial_base_patch16_512", ref_feat_shape=(4, 4))
    edit(folder / "config.json", lambda config: for_images_of(config, 16, 24))
    return timm_variant(folder, (16, 24))


def timm_dynamic() -> Variant:
    """Positions of the images' grid in a model that keeps those of its own, which fit images when it runs."""
    folder = saved_timm("timm_dynamic", "vit_tiny_patch16_224", img_size=(16, 24))

    def change(config: dict) -> None:
        del config["model_args"]["img_size"]
        config["model_args"]["dynamic_img_size"] = True
        assert config["pretrained_cfg"]["fixed_input_size"]

    edit(folder / "config.json", change)
    return timm_variant(folder, (16, 24), seen=1e-6)


# ---- open_clip


def open_clip_variant(name: str, stored: dict, wanted: dict, file: str, prefix: str = "") -> Variant:
    folder = empty_folder(name)

    def config(vision: dict) -> dict:
        return {"embed_dim": 12, "vision_cfg": VISION | vision, "text_cfg": SMALL_TEXT}

    families_open_clip.save_config(config(stored), {}, folder)
    model = families_open_clip.load(folder)
    randomize(model, pixels(*model.visual.image_size))
    save_file(model.state_dict(), folder / "weights")
    rewrite(folder, "weights", file, prefix)
    edit(folder / "open_clip_config.json", lambda file: file.update(model_cfg=config(wanted)))

    loaded = families_open_clip.load(folder)

    def encode(images: torch.Tensor) -> torch.Tensor:
        return families_open_clip.encode(loaded, images)

    size = loaded.visual.image_size
    images = pixels(*size)
    parameters = check(name, loaded.visual, encode, images)
    return Variant("open-clip", size, encode(images), parameters)


# ---- transformers


def hf_processor() -> Variant:
    """As transformers 5 saves a whole CLIP: images and texts in one file."""
    folder = empty_folder("hf_processor")
    model = hf.CLIPModel(
        hf.CLIPConfig(text_config=TEXT | dict(hidden_size=8), vision_config=SMALL_CLIP, projection_dim=12)
    ).eval()
    randomize(model, pixels(16, 16))
    model.save_pretrained(folder)
    vocabulary = {token: i for i, token in enumerate(("<|startoftext|>", "<|endoftext|>", "a</w>"))}
    hf.CLIPProcessor(CLIP_PIXELS, hf.CLIPTokenizer(vocab=vocabulary, merges=[])).save_pretrained(folder)
    for path in folder.iterdir():
        if path.name not in ("config.json", "model.safetensors", "processor_config.json"):
            path.unlink()
    assert (folder / "processor_config.json").is_file()

    loaded = hf.CLIPModel.from_pretrained(folder).eval()

    def encode(images: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            return clip_features(loaded, images)

    images = pixels(16, 16)
    unused = ("text_model", "text_projection", "logit_scale")
    parameters = check("hf_processor", loaded, encode, images, unused, ("k_proj.bias",))
    return Variant("transformers", (16, 16), encode(images), parameters)


def main() -> None:
    torch.set_num_threads(1)
    shutil.rmtree(FOLDER, ignore_errors=True)
    made = {
        make.__name__: make()
        for make in (
            timm_wrapped,
            timm_of_open_clip,
            timm_larger_grid,
            timm_smaller_grid,
            timm_eva_grid,
            timm_dynamic,
            hf_processor,
        )
    }
    made["clip_wrapped"] = open_clip_variant(
        "clip_wrapped", {}, {"image_size": [24, 16]}, "epoch_30.safetensors", "module."
    )
    made["clip_smaller_grid"] = open_clip_variant(
        "clip_smaller_grid", {"image_size": 28}, {}, "model.safetensors"
    )
    versions = VERSIONS | {
        "script": VERSION,
        "open_clip": open_clip.__version__,
        "transformers": hf.__version__,
    }
    features = {name: variant.features.contiguous() for name, variant in made.items()}
    save_file(features, FOLDER.with_suffix(".safetensors"), {"fixture": json.dumps(versions)})
    descriptions = {name: variant.description() for name, variant in made.items()}
    catalog = {"versions": versions, "variants": descriptions}
    FOLDER.with_suffix(".json").write_text(json.dumps(catalog, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
