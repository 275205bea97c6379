"""The networks of cuda.py: random weights in the layouts that their libraries publish, and what the libraries make of
them."""

import dataclasses
import pathlib
from collections.abc import Callable

import checkpoints
import families_timm
import families_transformers
import timm
import torch
import transformers as hf
from families_shared import randomize
from PIL import Image
from timm.models._hub import save_for_hf


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


def of_timm(name: str, architecture: str, side: int | None = None, **args) -> Network:
    """`side`: of the input, where it is not the one of the pretrained configuration."""

    def write(folder: pathlib.Path, photos: list) -> None:
        model = timm.create_model(architecture, **args).eval()
        config = timm.data.resolve_data_config(model.pretrained_cfg)
        if side is not None:
            config["input_size"] = (3, side, side)
        transform = timm.data.create_transform(**config)
        randomize(model, torch.stack([transform(photo) for photo in photos]))
        save_for_hf(model, folder, safe_serialization=True, data_config={"input_size": config["input_size"]})

    return Network(name, "timm", write, lambda folder: Loaded(*checkpoints.load_timm(f"local-dir:{folder}")))


def of_biobench(name: str, org: str, kind: type, config: hf.PretrainedConfig) -> Network:
    """DINOv2 and DINOv3: files of transformers, prepared as BioBench does."""
    load = checkpoints.load_transformers
    return Network(name, org, saves(kind, config), lambda folder: Loaded(*load(org, kind, folder)))


def siglip(name: str, **vision) -> Network:
    """A tower whose tokens are pooled by attention, as transformers publishes it, with a text tower nobody reads."""
    text = families_transformers.TEXT | dict(projection_size=vision["hidden_size"])
    config = hf.SiglipConfig(text_config=text, vision_config=vision)
    side = vision["image_size"]

    def write(folder: pathlib.Path, photos: list) -> None:
        saves(hf.SiglipModel, config)(folder, photos)
        hf.SiglipImageProcessor(size={"height": side, "width": side}).save_pretrained(folder)

    def load(folder: pathlib.Path) -> Loaded:
        model = hf.SiglipModel.from_pretrained(folder).eval()
        processor = hf.SiglipImageProcessorPil.from_pretrained(folder)

        def transform(photo: Image.Image) -> torch.Tensor:
            return processor(images=photo, return_tensors="pt")["pixel_values"][0].float()

        return Loaded(model, families_transformers.siglip_features, transform)

    return Network(name, "transformers", write, load)


def saves(kind: type, config: hf.PretrainedConfig) -> Callable[[pathlib.Path, list], None]:
    def write(folder: pathlib.Path, _: list) -> None:
        model = kind(config).eval()
        randomize(model, None)
        model.save_pretrained(folder, max_shard_size="100GB")

    return write


def full() -> list[Network]:
    """The sizes that people use."""
    _, dinov2, dinov2_config = checkpoints.dinov2("dinov2_vitb14_reg")
    _, dinov3, dinov3_config = checkpoints.dinov3("dinov3_vitb16")
    base = dict(hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12)
    return [
        of_timm("ViT-B/16", "vit_base_patch16_224.augreg2_in21k_ft_in1k"),
        of_timm("CLIP ViT-L/14", "vit_large_patch14_clip_224.openai"),
        siglip("SigLIP 2 B/16", image_size=224, patch_size=16, **base),
        of_biobench("DINOv2 B/14, registers", "dinov2", dinov2, dinov2_config),
        of_biobench("DINOv3 B/16", "dinov3", dinov3, dinov3_config),
        of_timm("ResNet-50", "resnet50.a1_in1k"),
        of_timm("ConvNeXt-B", "convnext_base.fb_in22k_ft_in1k"),
        of_timm("Swin-B", "swin_base_patch4_window7_224.ms_in22k_ft_in1k"),
        of_timm("EfficientNet-B0", "efficientnet_b0.ra_in1k"),
    ]


def small() -> list[Network]:
    """The same families in sizes for a CPU, those of tests/golden where there are some."""
    vit = families_timm.VIT | dict(img_size=32)
    variants = {name: args for name, (_, args, *_) in families_timm.VARIANTS.items()}
    dinov2 = hf.Dinov2WithRegistersConfig(**families_transformers.DINOV2_HUB)
    dinov3 = hf.DINOv3ViTConfig(**families_transformers.DINOV3_HUB)
    return [
        of_timm("ViT-B/16", "vit_base_patch16_224", 32, **vit),
        of_timm("CLIP ViT-L/14", "vit_large_patch14_clip_224", 32, **vit),
        siglip("SigLIP 2 B/16", **families_transformers.VIT),
        of_biobench("DINOv2 B/14, registers", "dinov2", hf.Dinov2WithRegistersModel, dinov2),
        of_biobench("DINOv3 B/16", "dinov3", hf.DINOv3ViTModel, dinov3),
        of_timm("ResNet-50", "resnet50", 64, **variants["resnet50"]),
        of_timm("ConvNeXt-B", "convnext_base", 64, **variants["convnext"]),
        of_timm("Swin-B", "swin_base_patch4_window7_224", 64, **variants["swin"]),
        of_timm("EfficientNet-B0", "efficientnet_b0", 32, num_classes=3),
    ]
