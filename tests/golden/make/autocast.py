"""Writes features under PyTorch's autocast: fixtures/autocast.safetensors, keys `<variant>.<dtype>`, [n, d] f32.

    python tests/golden/make/autocast.py

On the CPU, for the families whose norms see the same precision there as on CUDA: timm's keep tokens in f32, open_clip's in
half precision. (On CUDA norms of half precision are computed in f32, on the CPU they are not: so ConvNeXt, Swin, Hiera and
AIMv2 are left out.)
"""

import json

import families_timm
import open_clip
import timm
import torch
from backbone import FIXTURES, VERSIONS, pixels
from families_open_clip import encode
from families_shared import FOLDER
from safetensors.torch import save_file

VERSION = 1
TIMM = ("deit3", "vit_map_head", "vit_quick_gelu", "pe_core", "timm_dinov3", "timm_dinov3_swiglu", "resnet18", "resnet50d")
OPEN_CLIP = ("clip", "clip_quick_gelu", "clip_avg_pool", "clip_layer_scale", "openvision")


def features(variant: str, size: list[int], dtype: torch.dtype) -> torch.Tensor:
    images = pixels(*size)
    with torch.inference_mode(), torch.autocast("cpu", dtype):
        if variant in TIMM:
            model = timm.create_model(f"local-dir:{FOLDER / variant}", pretrained=True).eval()
            return families_timm.encode(model, images).float()
        model = open_clip.create_model(f"local-dir:{FOLDER / variant}").eval()
        return encode(model, images).float()


def main() -> None:
    torch.set_num_threads(1)
    described = json.loads(FOLDER.with_suffix(".json").read_text())["variants"]
    tensors = {
        f"{variant}.{str(dtype).removeprefix('torch.')}": features(variant, described[variant]["size"], dtype).contiguous()
        for variant in TIMM + OPEN_CLIP
        for dtype in (torch.float16, torch.bfloat16)
    }
    versions = json.dumps(VERSIONS | {"script": VERSION, "open_clip": open_clip.__version__})
    save_file(tensors, FIXTURES / "autocast.safetensors", {"fixture": versions})


if __name__ == "__main__":
    main()
