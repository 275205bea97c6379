"""The networks of cuda.py: random weights in the layouts that their libraries publish, and what the libraries make of
them.

A library is loaded where a network needs it: one that cannot be loaded costs the rows of its networks, not all.
"""

import dataclasses
import importlib
import pathlib
import sys
import traceback
from collections.abc import Callable

import checkpoints
import torch
from PIL import Image

# Scripts that make newt-pipe's fixtures know how weights are drawn and what features are. Last, since their names are plain.
sys.path.append(str(checkpoints.ROOT / "tests" / "golden" / "make"))


@dataclasses.dataclass(frozen=True)
class Loaded:
    """A network as its library has it."""

    model: torch.nn.Module
    encode: Callable[[torch.nn.Module, torch.Tensor], torch.Tensor]
    """Features of `[b, 3, h, w]`: `[b, d]`."""
    transform: Callable[[Image.Image], torch.Tensor]


@dataclasses.dataclass(frozen=True)
class Network:
    """One row: who publishes it, and how its folder is written and read again."""

    name: str
    org: str
    write: Callable[[pathlib.Path, list], None]
    """Into an empty folder; photos for the batch normalisations."""
    load: Callable[[pathlib.Path], Loaded]


def load_libraries() -> None:
    """Once for all processes that are forked later; whoever needs one that fails sees its error again."""
    for name in ("timm", "transformers", "families_timm", "families_transformers"):
        try:
            importlib.import_module(name)
        except Exception:
            traceback.print_exc()


def of_timm(name: str, architecture: str, side: int | None = None, args: Callable[[], dict] = dict) -> Network:
    """`side`: of the input, where it is not the one of the pretrained configuration."""

    def write(folder: pathlib.Path, photos: list) -> None:
        import timm
        from families_shared import randomize
        from timm.models._hub import save_for_hf

        model = timm.create_model(architecture, **args()).eval()
        if side is not None:
            model.pretrained_cfg["input_size"] = (3, side, side)
        transform = timm.data.create_transform(**timm.data.resolve_data_config(model.pretrained_cfg))
        randomize(model, torch.stack([transform(photo) for photo in photos]))
        # An older timm does not note the arguments by itself.
        save_for_hf(model, folder, safe_serialization=True, model_args=args())

    return Network(name, "timm", write, lambda folder: Loaded(*checkpoints.load_timm(f"local-dir:{folder}")))


def of_biobench(name: str, org: str, described: Callable[[], tuple]) -> Network:
    """DINOv2 and DINOv3: files of transformers, prepared as BioBench does; `described` says class and configuration."""

    def write(folder: pathlib.Path, _: list) -> None:
        save(*described(), folder)

    def load(folder: pathlib.Path) -> Loaded:
        return Loaded(*checkpoints.load_transformers(org, described()[0], folder))

    return Network(name, org, write, load)


def siglip(name: str, vision: Callable[[], dict]) -> Network:
    """A tower whose tokens are pooled by attention, as transformers publishes it, with a text tower nobody reads."""

    def write(folder: pathlib.Path, _: list) -> None:
        import families_transformers
        import transformers as hf

        tower = vision()
        text = families_transformers.TEXT | dict(projection_size=tower["hidden_size"])
        save(hf.SiglipModel, hf.SiglipConfig(text_config=text, vision_config=tower), folder)
        side = tower["image_size"]
        hf.SiglipImageProcessor(size={"height": side, "width": side}).save_pretrained(folder)

    def load(folder: pathlib.Path) -> Loaded:
        import families_transformers
        import transformers as hf

        model = hf.SiglipModel.from_pretrained(folder).eval()
        processor = hf.SiglipImageProcessorPil.from_pretrained(folder)

        def transform(photo: Image.Image) -> torch.Tensor:
            return processor(images=photo, return_tensors="pt")["pixel_values"][0].float()

        return Loaded(model, families_transformers.siglip_features, transform)

    return Network(name, "transformers", write, load)


def save(kind: type, config, folder: pathlib.Path) -> None:
    """A model of transformers with drawn weights."""
    from families_shared import randomize

    model = kind(config).eval()
    randomize(model, None)
    model.save_pretrained(folder, max_shard_size="100GB")


def full() -> list[Network]:
    """The sizes that people use."""
    base = dict(hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12)
    return [
        of_timm("ViT-B/16", "vit_base_patch16_224.augreg2_in21k_ft_in1k"),
        of_timm("CLIP ViT-L/14", "vit_large_patch14_clip_224.openai"),
        siglip("SigLIP 2 B/16", lambda: base | dict(image_size=224, patch_size=16)),
        of_biobench("DINOv2 B/14, registers", "dinov2", lambda: checkpoints.dinov2("dinov2_vitb14_reg")[1:]),
        of_biobench("DINOv3 B/16", "dinov3", lambda: checkpoints.dinov3("dinov3_vitb16")[1:]),
        of_timm("ResNet-50", "resnet50.a1_in1k"),
        of_timm("ConvNeXt-B", "convnext_base.fb_in22k_ft_in1k"),
        of_timm("Swin-B", "swin_base_patch4_window7_224.ms_in22k_ft_in1k"),
        of_timm("EfficientNet-B0", "efficientnet_b0.ra_in1k"),
    ]


def small() -> list[Network]:
    """The same families in sizes for a CPU, those of tests/golden where there are some."""

    def vit() -> dict:
        import families_timm

        return families_timm.VIT | dict(img_size=32)

    def variant(name: str) -> dict:
        import families_timm

        return families_timm.VARIANTS[name][1]

    def siglip_vision() -> dict:
        import families_transformers

        return families_transformers.VIT

    def dinov2() -> tuple:
        import families_transformers
        import transformers as hf

        return hf.Dinov2WithRegistersModel, hf.Dinov2WithRegistersConfig(**families_transformers.DINOV2_HUB)

    def dinov3() -> tuple:
        import families_transformers
        import transformers as hf

        return hf.DINOv3ViTModel, hf.DINOv3ViTConfig(**families_transformers.DINOV3_HUB)

    return [
        of_timm("ViT-B/16", "vit_base_patch16_224", 32, vit),
        of_timm("CLIP ViT-L/14", "vit_large_patch14_clip_224", 32, vit),
        siglip("SigLIP 2 B/16", siglip_vision),
        of_biobench("DINOv2 B/14, registers", "dinov2", dinov2),
        of_biobench("DINOv3 B/16", "dinov3", dinov3),
        of_timm("ResNet-50", "resnet50", 64, lambda: variant("resnet50")),
        of_timm("ConvNeXt-B", "convnext_base", 64, lambda: variant("convnext")),
        of_timm("Swin-B", "swin_base_patch4_window7_224", 64, lambda: variant("swin")),
        of_timm("EfficientNet-B0", "efficientnet_b0", 32, lambda: dict(num_classes=3)),
    ]
