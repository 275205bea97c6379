"""Writes TorchScript modules that give features under PyTorch's autocast: fixtures/autocast/<variant>.{pt, toml}.

    python tests/golden/make/autocast.py

Features in half precision hold the rounding of one CPU's kernels, so none are stored. A module holds the library's network
as PyTorch ran it, every cast of autocast's with it: whoever runs it has the kernels of the CPU at hand. From `[b, 3, h, w]`
it makes `[b, 2·d]` f32, first the features under f16, then those under bf16. The versions are in the module, as the extra
file `fixture`.

What a library leaves open is done as newt-pipe does it:

- Layer norms run in f32, as CUDA's autocast has them; the CPU's leaves them as they come.
- Images lie interleaved for convolutional networks, for which PyTorch has other kernels then.
- Swin's attention is the fused one, which timm calls experimental.
- open_clip's blocks are its custom ones, whose attention adds the bias of its first product before that is rounded, where
  `torch.nn.MultiheadAttention` does so after. Its last weight lies in memory as a linear layer's does.

AIMv2 is left out: timm's RMS norm makes its tokens f32 in other places.
"""

import json
import pathlib
import shutil
import tempfile
import zipfile

import families_open_clip
import families_timm
import open_clip
import timm
import torch
from backbone import FIXTURES, VERSIONS, pixels
from families_shared import FOLDER
from torch import nn
from torch.overrides import TorchFunctionMode

VERSION = 2
MODULES = FIXTURES / "autocast"
INTERLEAVED = ("resnet18", "resnet50d", "convnext")
TIMM = INTERLEAVED + (
    "plain",
    "deit3",
    "vit_map_head",
    "vit_quick_gelu",
    "vit_qk_norm",
    "vit_swiglu_packed",
    "pe_core",
    "timm_dinov3",
    "timm_dinov3_swiglu",
    "swin",
    "sam2",
)
OPEN_CLIP = ("clip", "clip_quick_gelu", "clip_avg_pool", "clip_layer_scale", "clip_custom_text", "openvision")
# Of modules: `size` and `dim` must be right, the rest is not looked at.
DESCRIPTION = "dim = {dim}\nsize = {size}\nmean = [0, 0, 0]\nstd = [1, 1, 1]\n"


class NormsInF32(TorchFunctionMode):
    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function is nn.functional.layer_norm:
            args = [arg.float() if isinstance(arg, torch.Tensor) else arg for arg in args]
        return function(*args, **(kwargs or {}))


class UnderAutocast(nn.Module):
    def __init__(self, model: nn.Module, encode, interleaved: bool):
        super().__init__()
        self.model, self.encode, self.interleaved = model, encode, interleaved

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if self.interleaved:
            images = images.contiguous(memory_format=torch.channels_last)
        features = []
        for dtype in (torch.float16, torch.bfloat16):
            # Without the cache each use of a weight has its cast in the trace.
            with torch.autocast("cpu", dtype, cache_enabled=False):
                features.append(self.encode(self.model, images).float())
        return torch.cat(features, dim=1)


def load_open_clip(folder: pathlib.Path) -> nn.Module:
    """The checkpoint with open_clip's custom blocks, whose tensors have the same names."""
    with tempfile.TemporaryDirectory() as copy:
        shutil.copytree(folder, copy, dirs_exist_ok=True)
        path = pathlib.Path(copy) / "open_clip_config.json"
        config = json.loads(path.read_text())
        config["model_cfg"]["vision_cfg"]["block_type"] = "custom"
        path.write_text(json.dumps(config))
        model = families_open_clip.load(copy)
    projection = model.visual.proj
    projection.data = projection.data.t().contiguous().t()
    return model


def load(variant: str, folder: pathlib.Path) -> nn.Module:
    if variant in OPEN_CLIP:
        return UnderAutocast(load_open_clip(folder), families_open_clip.encode, interleaved=False).eval()
    model = timm.create_model(f"local-dir:{folder}", pretrained=True)
    return UnderAutocast(model, families_timm.encode, variant in INTERLEAVED).eval()


def save(module: torch.jit.ScriptModule, path: pathlib.Path, versions: str) -> None:
    """Without the lines of Python that each operation came from, and without the time."""
    with tempfile.TemporaryDirectory() as folder:
        whole = pathlib.Path(folder) / path.name
        torch.jit.save(module, whole, {"fixture": versions})
        with zipfile.ZipFile(whole) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as target:
            for name in source.namelist():
                if not name.endswith(".debug_pkl"):
                    target.writestr(zipfile.ZipInfo(name), source.read(name), zipfile.ZIP_DEFLATED)


def make(variant: str, size: list[int], versions: str) -> None:
    folder = FIXTURES / "backbone" / variant if variant == "plain" else FOLDER / variant
    model = load(variant, folder)
    images = pixels(*size)
    with torch.no_grad(), NormsInF32():
        expected = model(images)
        module = torch.jit.trace(model, images, check_trace=False)
    path = MODULES / f"{variant}.pt"
    save(module, path, versions)
    (MODULES / f"{variant}.toml").write_text(DESCRIPTION.format(dim=expected.shape[1], size=list(size)))

    loaded = torch.jit.load(path)
    with torch.no_grad():
        # The first runs are those in which TorchScript looks for what it can make faster.
        assert all(torch.equal(loaded(images), expected) for _ in range(3)), variant
    print(f"{variant}: {path.stat().st_size:,} bytes", flush=True)


def main() -> None:
    torch.set_num_threads(1)
    timm.layers.set_fused_attn(enable=True, experimental=True)
    shutil.rmtree(MODULES, ignore_errors=True)
    MODULES.mkdir()
    versions = json.dumps(VERSIONS | {"script": VERSION, "open_clip": open_clip.__version__})
    described = json.loads(FOLDER.with_suffix(".json").read_text())["variants"] | {"plain": {"size": [32, 32]}}
    for variant in TIMM + OPEN_CLIP:
        make(variant, described[variant]["size"], versions)


if __name__ == "__main__":
    main()
