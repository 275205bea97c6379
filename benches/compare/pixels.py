"""Compares our pixels with Pillow's, timm's and open_clip's over a folder of JPEGs, image by image.

    python benches/compare/pixels.py FOLDER
    cargo test --release --test golden -- --ignored pixels_of_a_folder

The first command writes the libraries' digests of every decoded image, of every crop and of every tensor to
target/pixels.json; the second decodes, resizes and normalises the same files and compares all of them.
"""

import json
import pathlib
import sys

import blake3
import torch
from open_clip.transform import image_transform
from PIL import Image
from timm.data import create_transform

OUT = pathlib.Path(__file__).parent.parent.parent / "target" / "pixels.json"
FILTERS = ("bicubic", "bilinear", "lanczos")
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def transforms():
    """Settings as tests/golden/image.rs reads them, and the transform they stand for."""
    common = {"mean": MEAN, "std": STD}
    for interpolation in FILTERS:
        for mode in ("center", "squash", "border"):
            settings = {"crop_pct": 0.875, "interpolation": interpolation} | common
            transform = create_transform((3, 224, 224), is_training=False, crop_mode=mode, **settings)
            yield settings | {"library": "timm", "size": [224, 224], "mode": mode}, transform
    for interpolation in FILTERS[:2]:
        for mode in ("shortest", "longest", "squash"):
            settings = {"interpolation": interpolation} | common
            transform = image_transform(224, is_train=False, resize_mode=mode, **settings)
            yield settings | {"library": "open_clip", "size": [224, 224], "fill": 0, "mode": mode}, transform


def digest(data) -> str:
    return blake3.blake3(data).hexdigest()


def digests(path: pathlib.Path, steps: list) -> dict:
    image = Image.open(path).convert("RGB")
    crops, tensors = [], []
    for transform in steps:
        *resize_and_crop, to_tensor, normalize = transform.transforms
        crop = image
        for step in resize_and_crop:
            crop = step(crop)
        crops.append(digest(crop.tobytes()))
        tensors.append(digest(normalize(to_tensor(crop)).numpy().astype("<f4").tobytes()))
    return {"path": str(path), "pixels": digest(image.tobytes()), "crops": crops, "tensors": tensors}


def main():
    torch.set_num_threads(1)  # the images are small
    folder = pathlib.Path(sys.argv[1]).resolve()
    settings, steps = zip(*transforms())
    images = [digests(path, steps) for path in sorted(folder.glob("*.jpg"))]
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps({"transforms": settings, "images": images}))
    print(f"{len(images)} images, {len(steps)} transforms: {OUT}")


if __name__ == "__main__":
    main()
