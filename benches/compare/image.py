"""Times Pillow, torchvision and timm at the work of benches/image.rs, in one thread, and says how many times as long
they take, where `cargo bench --bench image` has run before.

    cargo bench --bench image && python benches/compare/image.py
"""

import io
import json
import pathlib
import time

import numpy as np
import torch
from PIL import Image
from timm.data import create_transform

ESTIMATES = pathlib.Path(__file__).parent.parent.parent / "target" / "criterion" / "image"
SIZE, RESIZED, QUALITY = (500, 375), (330, 248), 90  # as in benches/image.rs


def picture() -> Image.Image:
    y, x, c = np.mgrid[0 : SIZE[1], 0 : SIZE[0], 0:3]
    return Image.fromarray(((x * (c + 1) + y * (3 - c) + (x * x + y * c) % 23) % 256).astype(np.uint8))


def median_ms(work, n: int = 200) -> float:
    times = []
    for _ in range(n):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return sorted(times)[n // 2] * 1e3


def main():
    torch.set_num_threads(1)
    image = picture()
    file = io.BytesIO()
    image.save(file, "JPEG", quality=QUALITY, subsampling="4:2:0")
    jpeg = file.getvalue()
    halves = (0.5, 0.5, 0.5)
    transform = create_transform((3, 224, 224), crop_pct=0.9, interpolation="bicubic", mean=halves, std=halves)
    works = {
        "decode": lambda: Image.open(io.BytesIO(jpeg)).convert("RGB"),
        "resize_bilinear": lambda: image.resize(RESIZED, Image.Resampling.BILINEAR),
        "resize_bicubic": lambda: image.resize(RESIZED, Image.Resampling.BICUBIC),
        "resize_lanczos": lambda: image.resize(RESIZED, Image.Resampling.LANCZOS),
        "preprocess": lambda: transform(image),
    }
    for name, work in works.items():
        theirs = median_ms(work)
        estimates = ESTIMATES / name / "new" / "estimates.json"
        line = f"{name:16} {theirs:8.3f} ms"
        if estimates.exists():
            ours = json.loads(estimates.read_text())["median"]["point_estimate"] / 1e6
            line += f", ours {ours:8.3f} ms: {theirs / ours:.2f} times as long"
        print(line)


if __name__ == "__main__":
    main()
