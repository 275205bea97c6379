"""transformers' models: `config.json`, `model.safetensors`, `preprocessor_config.json`.

And models of other code whose weights the hub has in the same layout (DINOv2, DINOv3) or in one beside it (AIMv2).
"""

import json

import torch
import torch.nn.functional as F
import transformers as hf
from families_shared import Variant, check, empty_folder, pixels, randomize
from safetensors.torch import load_file, save_file
from torch import nn

SMALL = dict(num_hidden_layers=2, num_attention_heads=2)
VIT = SMALL | dict(hidden_size=24, intermediate_size=36, image_size=16, patch_size=4)
TEXT = dict(
    hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, vocab_size=16,
    max_position_embeddings=8, bos_token_id=1, eos_token_id=2,
)  # fmt: skip
# The grid of positions is 5 × 5, that of the input 4 × 4.
DINOV2 = SMALL | dict(hidden_size=24, mlp_ratio=2, image_size=20, patch_size=4)
# BioBench gives DINOv2 224 × 224 pixels, which are 16 × 16 patches to 37 × 37 stored positions, and DINOv3 256 × 256.
DINOV2_HUB = SMALL | dict(hidden_size=16, mlp_ratio=4, image_size=518, patch_size=14)
DINOV3 = VIT | dict(num_register_tokens=3)
DINOV3_HUB = DINOV3 | dict(hidden_size=16, image_size=224, patch_size=16)
AIMV2_HUB = SMALL | dict(hidden_size=16, intermediate_size=24, image_size=56, patch_size=14)

CROP = {"size": {"shortest_edge": 16}, "crop_size": {"height": 16, "width": 16}}
SQUASH = {"size": {"height": 16, "width": 16}}
OBLONG = {"size": {"height": 16, "width": 24}}
CLIP_PIXELS = hf.CLIPImageProcessor(**CROP)
SIGLIP_PIXELS = hf.SiglipImageProcessor(**SQUASH)

# A key's bias adds the same to all logits of a query.
KEYS = ("k_proj.bias", "key.bias")


def clip_features(model, images):
    return model.get_image_features(pixel_values=images).pooler_output


def projected(model, images):
    return model(pixel_values=images).image_embeds


def pooled(model, images):
    return model(pixel_values=images).pooler_output


def siglip_features(model, images):
    return model.vision_model(pixel_values=images).pooler_output


def class_token(model, images):
    return model(pixel_values=images).last_hidden_state[:, 0]


def largest(model, images):
    return model(pixel_values=images).last_hidden_state.amax(dim=1)


# Variant: the model as it is saved, its class when it is loaded, preprocessing, features, unused tensors.
VARIANTS = {
    "hf_clip": (
        lambda: hf.CLIPModel(hf.CLIPConfig(text_config=TEXT, vision_config=VIT, projection_dim=20)),
        hf.CLIPModel, CLIP_PIXELS, clip_features, ("text_model", "text_projection", "logit_scale"),
    ),
    "hf_clip_vision": (
        lambda: hf.CLIPVisionModelWithProjection(hf.CLIPVisionConfig(**VIT, projection_dim=20, hidden_act="gelu")),
        hf.CLIPVisionModelWithProjection, CLIP_PIXELS, projected, (),
    ),
    "hf_siglip": (
        lambda: hf.SiglipModel(hf.SiglipConfig(text_config=TEXT | dict(projection_size=24), vision_config=VIT)),
        hf.SiglipModel, SIGLIP_PIXELS, siglip_features, ("text_model", "logit_scale", "logit_bias"),
    ),
    "hf_siglip_vision": (
        lambda: hf.SiglipVisionModel(hf.SiglipVisionConfig(**VIT)),
        hf.SiglipVisionModel, SIGLIP_PIXELS, pooled, (),
    ),
    "hf_vit": (
        lambda: hf.ViTModel(hf.ViTConfig(**VIT)),
        hf.ViTModel, hf.ViTImageProcessor(**SQUASH), class_token, ("pooler",),
    ),
    "hf_vit_classifier": (
        lambda: hf.ViTForImageClassification(hf.ViTConfig(**VIT, num_labels=3, qkv_bias=False)),
        hf.ViTModel, hf.ViTImageProcessor(**SQUASH), class_token, ("pooler",),
    ),
    "hf_dinov2": (
        lambda: hf.Dinov2Model(hf.Dinov2Config(**DINOV2)),
        hf.Dinov2Model, hf.BitImageProcessor(**CROP), class_token, ("mask_token",),
    ),
    "hf_dinov2_swiglu": (
        lambda: hf.Dinov2Model(hf.Dinov2Config(**DINOV2, use_swiglu_ffn=True)),
        hf.Dinov2Model, hf.BitImageProcessor(**CROP), class_token, ("mask_token",),
    ),
    "hf_dinov2_registers": (
        lambda: hf.Dinov2WithRegistersModel(hf.Dinov2WithRegistersConfig(**DINOV2, num_register_tokens=3)),
        hf.Dinov2WithRegistersModel, hf.BitImageProcessor(**CROP), class_token, ("mask_token",),
    ),
    "hf_dinov3": (
        lambda: hf.DINOv3ViTModel(hf.DINOv3ViTConfig(**DINOV3)),
        hf.DINOv3ViTModel, hf.DINOv3ViTImageProcessor(**OBLONG), class_token, ("mask_token",),
    ),
    "hf_dinov3_gated": (
        lambda: hf.DINOv3ViTModel(hf.DINOv3ViTConfig(**DINOV3, use_gated_mlp=True, hidden_act="silu")),
        hf.DINOv3ViTModel, hf.DINOv3ViTImageProcessor(**SQUASH), class_token, ("mask_token",),
    ),
    "hf_aimv2": (
        lambda: hf.Aimv2VisionModel(hf.Aimv2VisionConfig(**VIT)),
        hf.Aimv2VisionModel, CLIP_PIXELS, pooled, (),
    ),
    "hf_aimv2_native": (
        lambda: hf.Aimv2VisionModel(hf.Aimv2VisionConfig(**VIT, is_native=True, use_head=False)),
        hf.Aimv2VisionModel, CLIP_PIXELS, largest, (),
    ),
    "hf_sharded": (
        lambda: hf.ViTModel(hf.ViTConfig(**VIT)),
        hf.ViTModel, hf.ViTImageProcessor(**SQUASH), class_token, ("pooler",),
    ),
}  # fmt: skip


def make_variant(name, create, loads, processor, features, unused) -> Variant:
    target = processor.crop_size if getattr(processor, "do_center_crop", False) else processor.size
    size = (target["height"], target["width"])
    folder = empty_folder(name)
    images = pixels(*size)
    model = create().eval()
    randomize(model, images)
    model.save_pretrained(folder, max_shard_size="24KB" if name == "hf_sharded" else "5GB")
    processor.save_pretrained(folder)
    if name == "hf_clip":
        # Files made before transformers 4.31 hold these.
        tensors = load_file(folder / "model.safetensors")
        positions = {"text_model": TEXT["max_position_embeddings"], "vision_model": 17}
        indices = {f"{tower}.embeddings.position_ids": torch.arange(n)[None] for tower, n in positions.items()}
        save_file(tensors | indices, folder / "model.safetensors", {"format": "pt"})

    # What transformers makes of the folder is the reference, not the model that was saved.
    loaded = loads.from_pretrained(folder).eval()
    return described("transformers", name, loaded, features, size, unused)


def described(org, name, model, features, size, unused) -> Variant:
    def encode(images):
        with torch.inference_mode():
            return features(model, images).contiguous()

    images = pixels(*size)
    # Positions rotate the keys of DINOv3, and would show a bias; it has none.
    parameters = check(name, model, encode, images, unused, KEYS)
    return Variant(org, size, encode(images), parameters)


def original_positions(stored: torch.Tensor, grid: tuple[int, int], has_registers: bool) -> torch.Tensor:
    """`interpolate_pos_encoding` of facebookresearch/dinov2, with the arguments of its hub models."""
    n = round((stored.shape[1] - 1) ** 0.5)
    patches = stored[:, 1:].reshape(1, n, n, -1).permute(0, 3, 1, 2)
    if has_registers:
        patches = F.interpolate(patches, size=grid, mode="bicubic", antialias=True)
    else:
        scale = tuple((side + 0.1) / n for side in grid)
        patches = F.interpolate(patches, scale_factor=scale, mode="bicubic", antialias=False)
    assert patches.shape[2:] == grid
    return torch.cat([stored[:, :1], patches.permute(0, 2, 3, 1).flatten(1, 2)], dim=1)


def use_original_positions(model: nn.Module) -> nn.Module:
    """DINOv2's own interpolation instead of transformers', which differs."""
    embeddings, patch_size = model.embeddings, model.config.patch_size
    has_registers = hasattr(embeddings, "register_tokens")

    def interpolate(_, height: int, width: int) -> torch.Tensor:
        grid = (height // patch_size, width // patch_size)
        return original_positions(embeddings.position_embeddings, grid, has_registers)

    embeddings.interpolate_pos_encoding = interpolate
    return model


def make_dinov2(name: str, model: nn.Module) -> Variant:
    folder = empty_folder(name)
    size = (224, 224)
    randomize(model, pixels(*size))
    model.save_pretrained(folder)
    loaded = use_original_positions(type(model).from_pretrained(folder).eval())
    return described("dinov2", name, loaded, class_token, size, ("mask_token",))


def make_dinov3(name: str) -> Variant:
    folder = empty_folder(name)
    size = (256, 256)
    model = hf.DINOv3ViTModel(hf.DINOv3ViTConfig(**DINOV3_HUB)).eval()
    randomize(model, pixels(*size))
    model.save_pretrained(folder)
    loaded = hf.DINOv3ViTModel.from_pretrained(folder).eval()
    return described("dinov3", name, loaded, class_token, size, ("mask_token",))


class AppleAimv2(nn.Module):
    """AIMv2 with the names of Apple's files on the hub."""

    def __init__(self, width: int, depth: int, heads: int, hidden: int, grid: int, patch_size: int = 14):
        super().__init__()
        norm = lambda: nn.RMSNorm(width, eps=1e-5)  # noqa: E731
        patchifier = nn.ModuleDict({"proj": nn.Conv2d(3, width, patch_size, patch_size), "norm": norm()})
        self.preprocessor = nn.Module()
        self.preprocessor.patchifier = patchifier
        self.preprocessor.pos_embed = nn.Parameter(torch.zeros(1, grid**2, width))
        self.trunk = nn.Module()
        self.trunk.blocks = nn.ModuleList(AppleBlock(width, heads, hidden, norm) for _ in range(depth))
        self.trunk.post_trunk_norm = norm()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        patchifier = self.preprocessor.patchifier
        x = patchifier["norm"](patchifier["proj"](images).flatten(2).transpose(1, 2))
        x = x + self.preprocessor.pos_embed
        for block in self.trunk.blocks:
            x = block(x)
        return self.trunk.post_trunk_norm(x)


class AppleBlock(nn.Module):
    def __init__(self, width: int, heads: int, hidden: int, norm):
        super().__init__()
        linear = lambda inputs, outputs: nn.Linear(inputs, outputs, bias=False)  # noqa: E731
        self.heads = heads
        self.norm_1, self.norm_2 = norm(), norm()
        self.attn = nn.ModuleDict({"qkv": linear(width, 3 * width), "proj": linear(width, width)})
        self.mlp = nn.ModuleDict(
            {"fc1": linear(width, hidden), "fc2": linear(hidden, width), "fc3": linear(width, hidden)}
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.attn["qkv"](self.norm_1(x)).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = x + self.attn["proj"](attended)
        y = self.norm_2(x)
        return x + self.mlp["fc2"](F.silu(self.mlp["fc1"](y)) * self.mlp["fc3"](y))


def apple_config(width: int, depth: int, heads: int, hidden: int, image_size: int) -> dict:
    """`config.json` of `apple/aimv2-*`, without the names of its code."""
    return {
        "architectures": ["AIMv2Model"],
        "attention_dropout": 0.0,
        "hidden_size": width,
        "image_size": image_size,
        "intermediate_size": hidden,
        "model_type": "aimv2",
        "num_attention_heads": heads,
        "num_channels": 3,
        "num_hidden_layers": depth,
        "patch_size": 14,
        "projection_dropout": 0.0,
        "qkv_bias": False,
        "rms_norm_eps": 1e-05,
        "torch_dtype": "float32",
        "transformers_version": "4.46.3",
        "use_bias": False,
    }


def make_apple_aimv2(name: str) -> Variant:
    folder = empty_folder(name)
    width, depth, heads, hidden = 16, 2, 2, 24
    model = AppleAimv2(width, depth, heads, hidden, grid=4).eval()
    images = pixels(56, 56)
    randomize(model, images)
    save_file(model.state_dict(), folder / "model.safetensors", {"format": "pt"})
    (folder / "config.json").write_text(json.dumps(apple_config(width, depth, heads, hidden, 56), indent=2))
    crop = {"size": {"shortest_edge": 56}, "crop_size": {"height": 56, "width": 56}}
    hf.CLIPImageProcessor(**crop).save_pretrained(folder)
    return described("aimv2", name, model, lambda model, images: model(images).amax(dim=1), (56, 56), ())


def make_hf_aimv2(name: str) -> Variant:
    """The same network in transformers' layout, for org `aimv2`."""
    folder = empty_folder(name)
    model = hf.Aimv2VisionModel(hf.Aimv2VisionConfig(**AIMV2_HUB)).eval()
    randomize(model, pixels(56, 56))
    model.save_pretrained(folder)
    loaded = hf.Aimv2VisionModel.from_pretrained(folder).eval()
    return described("aimv2", name, loaded, largest, (56, 56), ("head",))


def make() -> dict[str, Variant]:
    made = {name: make_variant(name, *rest) for name, rest in VARIANTS.items()}
    dinov2 = {
        "dinov2": hf.Dinov2Model(hf.Dinov2Config(**DINOV2_HUB)),
        "dinov2_registers": hf.Dinov2WithRegistersModel(hf.Dinov2WithRegistersConfig(**DINOV2_HUB)),
        "dinov2_swiglu": hf.Dinov2WithRegistersModel(
            hf.Dinov2WithRegistersConfig(**DINOV2_HUB, use_swiglu_ffn=True)
        ),
    }
    made |= {name: make_dinov2(name, model.eval()) for name, model in dinov2.items()}
    made["dinov3"] = make_dinov3("dinov3")
    made["apple_aimv2"] = make_apple_aimv2("apple_aimv2")
    made["aimv2"] = make_hf_aimv2("aimv2")
    return made
