"""Writes what the image processors of transformers make of images: fixtures/processors.safetensors.

    python tests/golden/make/processors.py

The processors are those that work with Pillow, as `preprocessor_config.json` of fixtures/families describes them. Images
are made of `pixels`' numbers; the test makes the same. Keys are `<variant>.<width>x<height>`, values [3, h, w] f32.
"""

import json

import numpy as np
import torch
import transformers
from backbone import FIXTURES, VERSIONS
from families_shared import FOLDER, sequence
from PIL import Image
from safetensors.torch import save_file

VERSION = 1
# Odd and even rests on either side of a crop, images smaller than it, and one that is not resized at all.
SIZES = ((31, 45), (45, 30), (16, 16), (9, 50), (64, 48))
VARIANTS = {
    "hf_clip": "CLIPImageProcessorPil",
    "hf_siglip": "SiglipImageProcessorPil",
    "hf_vit": "ViTImageProcessorPil",
    "hf_dinov2": "BitImageProcessorPil",
}


def image(width: int, height: int) -> Image.Image:
    values = (sequence(0, width * height * 3) + 1) * 128
    return Image.fromarray(values.astype(np.uint8).reshape(height, width, 3), "RGB")


def main() -> None:
    tensors = {}
    for variant, name in VARIANTS.items():
        processor = getattr(transformers, name).from_pretrained(FOLDER / variant)
        for width, height in SIZES:
            values = processor(images=image(width, height), return_tensors="pt")["pixel_values"][0]
            tensors[f"{variant}.{width}x{height}"] = values.to(torch.float32).contiguous()
    versions = VERSIONS | {"script": VERSION, "transformers": transformers.__version__}
    save_file(tensors, FIXTURES / "processors.safetensors", {"fixture": json.dumps(versions)})


if __name__ == "__main__":
    main()
