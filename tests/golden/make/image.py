"""Writes tests/golden/fixtures/image.safetensors: JPEGs, and what Pillow, torchvision, timm and open_clip make of them.

    python tests/golden/make/image.py

The versions of all libraries and of this script are in the file's metadata, with the list of cases.
"""

import io
import json
import pathlib
import random
import re

import blake3
import numpy as np
import open_clip
import PIL
import timm
import torch
import torchvision
from open_clip.transform import image_transform
from PIL import Image, ImageCms, features
from safetensors.numpy import save_file
from timm.data import create_transform

VERSION = 1
OUT = pathlib.Path(__file__).parent.parent / "fixtures" / "image.safetensors"

FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "hamming": Image.Resampling.HAMMING,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALVES = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
OPENAI = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))


def digest(data: bytes) -> str:
    return blake3.blake3(data).hexdigest()


def noise(width: int, height: int, channels: int = 3) -> np.ndarray:
    """[height, width, channels] u8 by integer arithmetic alone; the test makes the same."""
    x = np.arange(height * width * channels, dtype=np.uint32) * np.uint32(2654435761)
    x = (x ^ (x >> np.uint32(15))) * np.uint32(2246822519)
    return (x >> np.uint32(24)).astype(np.uint8).reshape(height, width, channels)


def picture(width: int, height: int, channels: int) -> Image.Image:
    """Slopes with some noise, so that a JPEG of it stays small."""
    y, x, c = np.mgrid[0:height, 0:width, 0:channels]
    values = 5 * x * (1 + c) + 3 * y * (3 - c) + 40 * (x * y % 7 == c) + noise(width, height, channels) // 16
    values = (values % 256).astype(np.uint8)
    return Image.fromarray(values[:, :, 0] if channels == 1 else values, {1: "L", 3: "RGB", 4: "CMYK"}[channels])


def jpeg(width: int, height: int, channels: int = 3, **options) -> bytes:
    file = io.BytesIO()
    picture(width, height, channels).save(file, "JPEG", **({"quality": 80} | options))
    return file.getvalue()


FRAME = rb"\xff[\xc0\xc2]\x00\x11"  # start of the frame header of three components
APP0 = rb"\xff\xe0\x00\x10JFIF.{10}"
APP14 = rb"\xff\xee\x00\x0eAdobe.{7}"
TABLE = rb"\xff\xdb\x00C.{65}"  # quantization table


def patched(data: bytes, before: bytes, old: bytes, new: bytes) -> bytes:
    """`data` with `new` in the one place where `old` follows `before`, both regular expressions."""
    result, n = re.subn(b"(" + before + b")" + old, lambda match: match[1] + new, data, flags=re.DOTALL)
    assert n == 1, (n, before, old)
    return result


def sampling(data: bytes, old: int, new: int) -> bytes:
    """Declares other sampling factors for the first component: another, valid picture of as many blocks."""
    return patched(data, FRAME + b".{7}", re.escape(bytes([old])), bytes([new]))


def sized(data: bytes, width: int, height: int) -> bytes:
    """Declares another size."""
    return patched(data, FRAME + b".", b".{4}", height.to_bytes(2, "big") + width.to_bytes(2, "big"))


def scans(data: bytes, n: int) -> bytes:
    """The first n scans, properly ended."""
    starts = [match.start() for match in re.finditer(rb"\xff\xda", data)]
    # The tables of the next scan come before its header.
    end = data.rindex(b"\xff\xc4", 0, starts[n]) if data.rfind(b"\xff\xc4", starts[n - 1], starts[n]) >= 0 else starts[n]
    return data[:end] + b"\xff\xd9"


def jpegs() -> dict[str, bytes]:
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: rotate by 90 degrees
    thumbnail = b"Exif\0\0" + jpeg(8, 8)
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    icc = icc[:24] + bytes(12) + icc[36:]  # without its date
    cmyk = jpeg(20, 17, 4)
    plain = jpeg(33, 21)
    progressive = jpeg(48, 40, progressive=True)
    file = io.BytesIO()
    picture(16, 16, 3).save(file, "PNG")
    png = file.getvalue()

    made = {
        # Sizes
        "1x1": jpeg(1, 1),
        "3x5": jpeg(3, 5),
        "5x3_420": jpeg(5, 3, subsampling="4:2:0"),
        "17x33": jpeg(17, 33),
        "1x40": jpeg(1, 40),
        "40x1": jpeg(40, 1),
        # Colours
        "grey": jpeg(33, 17, 1),
        "grey_progressive": jpeg(33, 17, 1, progressive=True),
        "rgb": jpeg(20, 17, keep_rgb=True),
        "cmyk_adobe": cmyk,
        "cmyk_without_adobe": patched(cmyk, b"", APP14, b""),
        "cmyk_progressive": jpeg(20, 17, 4, progressive=True),
        "ycck": patched(cmyk, APP14.removesuffix(b".{7}") + b".{6}", b".", b"\x02"),
        # Subsampling
        "444": jpeg(33, 21, subsampling="4:4:4"),
        "422": jpeg(33, 21, subsampling="4:2:2"),
        "420": jpeg(33, 21, subsampling="4:2:0"),
        "440": sampling(jpeg(48, 48, subsampling="4:2:2"), 0x21, 0x12),
        "411": sampling(jpeg(32, 32, subsampling="4:2:0"), 0x22, 0x41),
        "444_progressive": jpeg(33, 21, subsampling="4:4:4", progressive=True),
        "420_progressive": jpeg(33, 21, subsampling="4:2:0", progressive=True),
        "440_progressive": sampling(jpeg(48, 48, subsampling="4:2:2", progressive=True), 0x21, 0x12),
        # Coding
        "quality_1": jpeg(40, 33, quality=1),
        "quality_100": jpeg(24, 17, quality=100),
        "optimized": jpeg(33, 21, optimize=True),
        "restarts": jpeg(40, 33, restart_marker_blocks=1),
        "restarts_rows": jpeg(40, 33, restart_marker_rows=1, subsampling="4:2:2"),
        "restarts_progressive": jpeg(40, 33, restart_marker_blocks=2, progressive=True),
        "two_scans_of_ten": scans(progressive, 2),
        "five_scans_of_ten": scans(progressive, 5),
        # What surrounds the image
        "icc": jpeg(16, 16, icc_profile=icc),
        "exif_orientation": jpeg(16, 9, exif=exif),
        "exif_thumbnail": jpeg(16, 9, exif=thumbnail),
        "comment": jpeg(16, 9, comment=b"\xff\xd9 is not the end"),
        "trailing_zeros": plain + bytes(1000),
        "trailing_jpeg": plain + jpeg(8, 8),
        "padding_between_segments": plain.replace(b"\xff\xdb", b"\xff\xff\xff\xdb", 1),
        "junk_between_segments": plain.replace(b"\xff\xdb", b"\x00\x12junk\xff\xdb", 1),
        "no_jfif": patched(plain, b"", APP0, b""),
        # Ended too early, or almost
        "end_marker_missing": plain[:-2],
        "end_marker_halved": plain[:-1],
        "end_marker_missing_progressive": progressive[:-2],
        "end_marker_halved_progressive": progressive[:-1],
        "end_marker_too_early": plain[: len(plain) * 3 // 4] + b"\xff\xd9",
        "half": plain[: len(plain) // 2],
        "three_quarters": plain[: len(plain) * 3 // 4],
        "half_progressive": progressive[: len(progressive) // 2],
        "half_cmyk": cmyk[: len(cmyk) // 2],
        "half_of_exif_thumbnail": jpeg(16, 9, exif=thumbnail)[:400],
        # Broken
        "empty": b"",
        "one_byte": b"\xff",
        "magic_only": b"\xff\xd8\xff",
        "no_scan": plain[: plain.index(b"\xff\xda")] + b"\xff\xd9",
        "no_frame": patched(plain, b"", FRAME + b".{15}", b""),
        "two_frames": patched(plain, FRAME + b".{15}", b"", plain[plain.index(b"\xff\xc0") :][:19]),
        "no_quantization": patched(plain, b"", TABLE + TABLE, b""),
        "segment_of_length_1": patched(plain, rb"\xff\xe0\x00", rb"\x10", b"\x01"),
        "unknown_marker": plain.replace(b"\xff\xdb", b"\xff\x05\xff\xdb", 1),
        "second_start": plain.replace(b"\xff\xdb", b"\xff\xd8\xff\xdb", 1),
        "frame_of_two_components": patched(plain, FRAME + b".{5}", b".", b"\x02"),
        "twelve_bits": patched(plain, FRAME, b".", b"\x0c"),
        "width_zero": sized(plain, 0, 21),
        "height_zero": sized(plain, 33, 0),
        "bomb": sized(plain, 65500, 65500),
        "bomb_by_little": sized(plain, 65500, 2733),
        "text": b"version https://git-lfs.github.com/spec/v1\n",
    }
    # Pillow opens this one; we refuse it, by design.
    return made | {"png": png}


def opened(data: bytes) -> Image.Image | Exception:
    try:
        return Image.open(io.BytesIO(data)).convert("RGB")
    except Exception as error:  # whatever Pillow raises is the verdict
        return error


def is_read(data: bytes) -> bool:
    return isinstance(opened(data), Image.Image)


def decoding(tensors: dict) -> list[dict]:
    cases = []
    for name, data in jpegs().items():
        tensors[f"jpeg/{name}"] = np.frombuffer(data, np.uint8)
        image = opened(data)
        if isinstance(image, Exception):
            message = re.sub(" <.*>", "", str(image))  # an address, another one each time
            cases.append({"name": name, "error": f"{type(image).__name__}: {message}"})
        else:
            tensors[f"pixels/{name}"] = np.asarray(image)
            cases.append({"name": name, "format": Image.open(io.BytesIO(data)).format})
    return cases


def prefixes(tensors: dict) -> list[dict]:
    """For every length of a prefix: 1 where Pillow reads it."""
    files = {
        "baseline": jpeg(24, 24, quality=40),
        "restarts": jpeg(24, 24, quality=40, restart_marker_blocks=1),
        "progressive": jpeg(24, 24, quality=40, progressive=True),
        "cmyk": jpeg(17, 9, 4, quality=40),
        "grey": jpeg(40, 24, 1, quality=40),
    }
    for name, data in files.items():
        tensors[f"prefix/{name}/jpeg"] = np.frombuffer(data, np.uint8)
        verdicts = [is_read(data[:length]) for length in range(len(data) + 1)]
        tensors[f"prefix/{name}/read"] = np.array(verdicts, np.uint8)
        # A prefix that is read shows the whole image.
        whole = opened(data).tobytes()
        assert all(opened(data[:n]).tobytes() == whole for n, read in enumerate(verdicts) if read)
        tensors[f"prefix/{name}/pixels"] = np.asarray(opened(data))
    return [{"name": name} for name in files]


def damage(tensors: dict) -> list[dict]:
    """Files with one to three bytes changed: `[n, 3, 2]` of (offset, value), and 1 where Pillow reads the result.

    Verdicts only: where damaged coefficients overflow, libjpeg-turbo's vector code and its C code fill in other pixels.
    """
    rng = random.Random(17)
    files = {
        "baseline": jpeg(33, 21),
        "progressive": jpeg(33, 21, progressive=True),
        "restarts_cmyk": jpeg(20, 17, 4, restart_marker_blocks=1),
    }
    for name, data in files.items():
        scan = data.index(b"\xff\xda")
        changes, verdicts = [], []
        for n in range(400):
            end = len(data) if n % 2 else scan + 14  # half of them hit the headers
            spots = [(rng.randrange(3, end), rng.randrange(256)) for _ in range(3)]
            spots = [spots[0]] * 3 if n % 4 < 2 else spots
            broken = bytearray(data)
            for at, value in spots:
                broken[at] = value
            changes.append(spots)
            verdicts.append(is_read(bytes(broken)))
        tensors[f"damage/{name}/jpeg"] = np.frombuffer(data, np.uint8)
        tensors[f"damage/{name}/changes"] = np.array(changes, np.uint32)
        tensors[f"damage/{name}/read"] = np.array(verdicts, np.uint8)
    return [{"name": name} for name in files]


def resizing() -> list[dict]:
    sizes = [
        ((500, 375), (298, 224)),
        ((500, 375), (341, 256)),
        ((375, 500), (224, 224)),
        ((500, 333), (500, 224)),
        ((500, 333), (224, 333)),
        ((75, 56), (300, 224)),
        ((1600, 1200), (518, 389)),
        ((61, 47), (61, 47)),
        ((7, 5), (64, 64)),
        ((64, 64), (7, 5)),
        ((1, 1), (9, 4)),
        ((9, 4), (1, 1)),
        ((1000, 3), (37, 2)),
        ((3, 1000), (4, 999)),
        ((2, 3), (3, 2)),
    ]
    cases = []
    for (from_width, from_height), (width, height) in sizes:
        image = Image.fromarray(noise(from_width, from_height))
        for interpolation, resample in FILTERS.items():
            pixels = image.resize((width, height), resample).tobytes()
            cases.append(
                {
                    "from": [from_width, from_height],
                    "to": [width, height],
                    "interpolation": interpolation,
                    "pixels": digest(pixels),
                }
            )
    return cases


def timm_settings():
    for size, crop_pct in [((224, 224), 0.875), ((224, 224), 0.9), ((224, 224), 1.0), ((518, 518), 0.95)]:
        for crop in ("center", "squash", "border"):
            yield size, crop_pct, crop, "bicubic", IMAGENET
    yield (224, 224), 0.95, "center", "bilinear", HALVES
    yield (288, 288), 0.96, "center", "lanczos", IMAGENET
    yield (96, 160), 0.9, "center", "bicubic", HALVES
    yield (160, 96), 1.0, "center", "bilinear", IMAGENET
    yield (96, 160), 0.9, "squash", "bicubic", OPENAI
    yield (97, 161), 0.9, "border", "bicubic", HALVES
    yield (64, 64), 0.9, "center", "nearest", HALVES
    yield (64, 64), 0.9, "center", "box", HALVES
    yield (64, 64), 0.9, "center", "hamming", HALVES


def open_clip_settings():
    for mode in ("shortest", "longest", "squash"):
        for interpolation in ("bicubic", "bilinear"):
            yield (224, 224), mode, interpolation, 0, OPENAI
        yield (96, 160), mode, "bilinear", 0, OPENAI
        yield (97, 61), mode, "bicubic", 127, HALVES


IMAGES = [(500, 375), (375, 500), (333, 500), (224, 224), (256, 249), (225, 1000), (75, 56), (40, 130), (3, 5), (1, 1)]


def transformed(transform, settings: dict) -> list[dict]:
    """Runs a transform over `IMAGES`; the last two steps are `ToTensor` and `Normalize`."""
    cases = []
    for width, height in IMAGES:
        image = Image.fromarray(noise(width, height))
        crop = image
        for step in transform.transforms[:-2]:
            crop = step(crop)
        tensor = transform(image)
        assert tensor.dtype == torch.float32
        cases.append(
            settings
            | {
                "image": [width, height],
                "pixels": digest(crop.convert("RGB").tobytes()),
                "tensor": digest(tensor.numpy().astype("<f4").tobytes()),
            }
        )
    return cases


def preprocessing() -> list[dict]:
    cases = []
    for size, crop_pct, crop, interpolation, (mean, std) in timm_settings():
        transform = create_transform(
            (3, *size),
            is_training=False,
            crop_pct=crop_pct,
            crop_mode=crop,
            interpolation=interpolation,
            mean=mean,
            std=std,
        )
        settings = {"library": "timm", "size": size, "crop_pct": crop_pct, "mode": crop}
        settings |= {"interpolation": interpolation, "mean": mean, "std": std}
        cases += transformed(transform, settings)
    for size, mode, interpolation, fill, (mean, std) in open_clip_settings():
        transform = image_transform(
            size, is_train=False, mean=mean, std=std, resize_mode=mode, interpolation=interpolation, fill_color=fill
        )
        settings = {"library": "open_clip", "size": size, "fill": fill, "mode": mode}
        settings |= {"interpolation": interpolation, "mean": mean, "std": std}
        cases += transformed(transform, settings)
    # `random` is a training setting: timm's evaluation transform does not know it.
    try:
        create_transform((3, 224, 224), is_training=False, interpolation="random")
    except KeyError:
        return cases
    raise AssertionError("timm evaluates with interpolation `random`")


def main():
    tensors = {}
    cases = {
        "versions": {
            "script": VERSION,
            "pillow": PIL.__version__,
            "libjpeg_turbo": features.version("libjpeg_turbo"),
            "torch": torch.__version__,
            "torchvision": torchvision.__version__,
            "timm": timm.__version__,
            "open_clip": open_clip.__version__,
        },
        "decoding": decoding(tensors),
        "prefixes": prefixes(tensors),
        "damage": damage(tensors),
        "resizing": resizing(),
        "preprocessing": preprocessing(),
    }
    save_file(tensors, OUT, metadata={"cases": json.dumps(cases, separators=(",", ":"))})


if __name__ == "__main__":
    main()
