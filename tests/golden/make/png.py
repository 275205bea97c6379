"""Writes tests/golden/fixtures/png.safetensors: PNGs of every colour type and depth, and what Pillow makes of them.

    python tests/golden/make/png.py

The versions of Pillow and of this script are in the file's metadata, with the list of cases. Pillow writes neither
interlaced images nor every kind, so the files are put together here; Pillow alone says what their pixels are.
"""

import io
import json
import pathlib
import random
import struct
import warnings
import zlib

import numpy as np
import PIL
from PIL import Image
from safetensors.numpy import save_file

VERSION = 2
OUT = pathlib.Path(__file__).parent.parent / "fixtures" / "png.safetensors"

MAGIC = b"\x89PNG\r\n\x1a\n"
ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
# Pillow reads these, though they are damaged or break the specification; we refuse them, on purpose.
REFUSED = [
    "no_end",
    "no_last_checksum",
    "wrong_checksum_of_data",
    "wrong_checksum_behind",
    "one_row_of_two",
    "interlaced_and_short",
    "compression_1",
    "text_before_header",
    "two_headers",
    "no_palette",
    "two_palettes",
    "palette_and_a_byte",
    "unknown_critical_chunk",
]
KINDS = {
    "grey": (0, 1, [1, 2, 4, 8, 16]),
    "rgb": (2, 3, [8, 16]),
    "palette": (3, 1, [1, 2, 4, 8]),
    "grey_alpha": (4, 2, [8, 16]),
    "rgba": (6, 4, [8, 16]),
}


def chunk(kind: bytes, data: bytes = b"", crc: int | None = None) -> bytes:
    crc = zlib.crc32(kind + data) if crc is None else crc
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)


def header(width: int, height: int, depth: int, colour: int, *rest: int) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, *(rest or (0, 0, 0))))


def paeth(a: int, b: int, c: int) -> int:
    nearest = min(abs(b - c), abs(a - c), abs(a + b - 2 * c))
    return a if abs(b - c) == nearest else b if abs(a - c) == nearest else c


def filtered(row: bytes, above: bytes, n: int, kind: int) -> bytes:
    out = [kind]
    for i, value in enumerate(row):
        left, up, corner = (row[i - n] if i >= n else 0), above[i], (above[i - n] if i >= n else 0)
        out.append((value - [0, left, up, (left + up) // 2, paeth(left, up, corner)][kind]) % 256)
    return bytes(out)


def rows(samples: np.ndarray, depth: int, filters: random.Random) -> bytes:
    """The filtered rows of one pass; samples is [h, w, channels]."""
    height, width, channels = samples.shape
    if height * width == 0:
        return b""
    out, above = b"", None
    for line in samples.reshape(height, -1):
        bits = "".join(format(value, f"0{depth}b") for value in line.tolist())
        bits += "0" * (-len(bits) % 8)
        row = int(bits, 2).to_bytes(len(bits) // 8, "big")
        above = bytes(len(row)) if above is None else above
        out += filtered(row, above, max(1, channels * depth // 8), filters.randrange(5))
        above = row
    return out


def png(kind: str, depth: int, width: int, height: int, interlaced: bool = False, extra: bytes = b"") -> bytes:
    colour, channels, _ = KINDS[kind]
    rng = random.Random(f"{kind} {depth} {width} {height} {interlaced}")
    samples = np.array([rng.randrange(2**depth) for _ in range(height * width * channels)])
    samples = samples.reshape(height, width, channels)
    if kind == "grey" and depth == 16:
        samples[::2] %= 300  # Pillow cuts off at 255
    passes = ADAM7 if interlaced else [(0, 0, 1, 1)]
    data = b"".join(rows(samples[y::dy, x::dx], depth, rng) for x, y, dx, dy in passes)
    palette = b""
    if kind == "palette":
        palette = chunk(b"PLTE", bytes(rng.randrange(256) for _ in range(3 * 2**depth)))
    compressed = zlib.compress(data)
    half = len(compressed) // 2
    parts = [
        header(width, height, depth, colour, 0, 0, int(interlaced)),
        palette,
        extra,
        chunk(b"IDAT", compressed[:half]),
        chunk(b"IDAT", compressed[half:]),
        chunk(b"IEND"),
    ]
    return MAGIC + b"".join(parts)


def saved(mode: str, **options) -> bytes:
    """A file as Pillow writes it."""
    noise = np.random.default_rng(1).integers(0, 256, (19, 23, 4), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise, "RGBA").convert(mode).save(file, "PNG", **options)
    return file.getvalue()


def of_every_kind() -> dict[str, bytes]:
    made = {}
    for kind, (_, _, depths) in KINDS.items():
        for depth in depths:
            for interlaced in [False, True]:
                suffix = "_interlaced" if interlaced else ""
                made[f"{kind}_{depth}{suffix}"] = png(kind, depth, 13, 11, interlaced)
                for width, height in [(1, 1), (3, 2), (5, 9)]:
                    made[f"{kind}_{depth}{suffix}_{width}x{height}"] = png(kind, depth, width, height, interlaced)
    made |= {
        "grey_8_trns": png("grey", 8, 13, 11, extra=chunk(b"tRNS", b"\0\x07")),
        "grey_16_trns": png("grey", 16, 13, 11, extra=chunk(b"tRNS", b"\0\x07")),
        "grey_1_trns": png("grey", 1, 13, 11, extra=chunk(b"tRNS", b"\0\x01")),
        "rgb_8_trns": png("rgb", 8, 13, 11, extra=chunk(b"tRNS", bytes(6))),
        "palette_8_trns": png("palette", 8, 13, 11, extra=chunk(b"tRNS", bytes(range(256)))),
        "palette_2_trns": png("palette", 2, 13, 11, extra=chunk(b"tRNS", b"\0")),
        "rgb_8_gamma": png("rgb", 8, 13, 11, extra=chunk(b"gAMA", struct.pack(">I", 100000))),
        "rgb_8_srgb": png("rgb", 8, 13, 11, extra=chunk(b"sRGB", b"\0")),
        "rgb_8_profile": png("rgb", 8, 13, 11, extra=chunk(b"iCCP", b"x\0\0" + zlib.compress(b"no profile"))),
    }
    for mode in ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"]:
        made[f"saved_{mode}"] = saved(mode)
    return made


def odd() -> dict[str, bytes]:
    """What breaks the specification, or is near to it."""
    raw = b"".join(b"\0" + bytes(10 * y + x for x in range(9)) for y in range(2))
    z = zlib.compress(raw)
    start, idat, end = MAGIC + header(3, 2, 8, 2), chunk(b"IDAT", z), chunk(b"IEND")
    text = chunk(b"tEXt", b"a\0b")
    two = bytes([10, 20, 30, 40, 50, 60])
    indices = chunk(b"IDAT", zlib.compress(b"\0\0\1\2\0\3\4\5"))
    palette = MAGIC + header(3, 2, 8, 3)
    animation = chunk(b"acTL", struct.pack(">II", 2, 0))

    def frame(n: int) -> bytes:
        return chunk(b"fcTL", struct.pack(">IIIIIHHBB", n, 3, 2, 0, 0, 1, 1, 0, 0))

    def later(n: int) -> bytes:
        return frame(n) + chunk(b"fdAT", struct.pack(">I", n + 1) + zlib.compress(bytes(20)))

    def stream(data: bytes) -> bytes:
        return start + chunk(b"IDAT", zlib.compress(data)) + end

    return {
        "no_end": start + idat,
        "no_last_checksum": (start + idat)[:-4],
        "wrong_checksum_of_data": start + chunk(b"IDAT", z, crc=1) + end,
        "wrong_checksum_of_stream": start + chunk(b"IDAT", z[:-4] + b"abcd") + end,
        "no_checksum_of_stream": start + chunk(b"IDAT", z[:-4]) + end,
        "cut_in_data": (start + idat)[:-10],
        "cut_in_header": start[:20],
        "magic_only": MAGIC,
        "half_of_magic": MAGIC[:6],
        "magic_changed": start.replace(b"\r\n", b"\n", 1) + idat + end,
        "one_row_of_two": stream(raw[:10]),
        "one_row_and_a_half": stream(raw[:15]),
        "surplus_rows": stream(raw + bytes(100)),
        "surplus_behind_the_stream": start + chunk(b"IDAT", z + b"junk") + end,
        "filter_5": stream(b"\5" + raw[1:]),
        "no_data": start + end,
        "empty_data": start + chunk(b"IDAT") + idat + end,
        "data_in_two": start + chunk(b"IDAT", z[:5]) + chunk(b"IDAT", z[5:]) + end,
        "text_within_the_data": start + chunk(b"IDAT", z[:5]) + text + chunk(b"IDAT", z[5:]) + end,
        "wrong_checksum_of_header": MAGIC + start[8:-4] + b"oops" + idat + end,
        "wrong_checksum_of_text": start + chunk(b"tEXt", b"a\0b", crc=7) + idat + end,
        "wrong_checksum_behind": start + idat + chunk(b"tEXt", b"a\0b", crc=7) + end,
        "unknown_chunk": start + chunk(b"abCd", b"ab") + idat + end,
        "unknown_critical_chunk": start + chunk(b"ABCD", b"ab") + idat + end,
        "compression_1": MAGIC + header(3, 2, 8, 2, 1, 0, 0) + idat + end,
        "filter_method_1": MAGIC + header(3, 2, 8, 2, 0, 1, 0) + idat + end,
        "depth_3": MAGIC + header(3, 2, 3, 2) + idat + end,
        "colour_5": MAGIC + header(3, 2, 8, 5) + idat + end,
        "width_0": MAGIC + header(0, 2, 8, 2) + idat + end,
        "height_0": MAGIC + header(3, 0, 8, 2) + idat + end,
        "data_before_header": MAGIC + idat + header(3, 2, 8, 2) + end,
        "text_before_header": MAGIC + text + header(3, 2, 8, 2) + idat + end,
        "two_headers": start + header(1, 1, 8, 2) + idat + end,
        "short_header": MAGIC + chunk(b"IHDR", struct.pack(">IIBB", 3, 2, 8, 2)) + idat + end,
        "palette_of_two": palette + chunk(b"PLTE", two) + indices + end,
        "palette_and_a_byte": palette + chunk(b"PLTE", two + b"x") + indices + end,
        "palette_of_257": palette + chunk(b"PLTE", bytes(257 * 3)) + indices + end,
        "no_palette": palette + indices + end,
        "two_palettes": palette + chunk(b"PLTE", two) + chunk(b"PLTE", bytes([1, 2, 3])) + indices + end,
        "palette_of_rgb": start + chunk(b"PLTE", two) + idat + end,
        "bomb": MAGIC + header(65000, 65000, 8, 2) + idat + end,
        "bomb_by_little": MAGIC + header(65500, 2733, 8, 2) + idat + end,
        "animation": start + animation + frame(0) + idat + later(1) + end,
        "animation_behind_its_image": start + animation + idat + later(0) + later(2) + end,
        "interlaced_and_short": MAGIC + header(3, 2, 8, 2, 0, 0, 1) + chunk(b"IDAT", zlib.compress(b"\0abc")) + end,
        "no_zlib": start + chunk(b"IDAT", b"xx" + z[2:]) + end,
    }


def decoded(data: bytes) -> tuple[Image.Image | None, str | None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return Image.open(io.BytesIO(data)).convert("RGB"), None
        except Exception as error:  # whatever Pillow raises ends the reference
            return None, f"{type(error).__name__}: {error}".split(" <")[0]


def main():
    tensors, cases = {}, []
    files = of_every_kind()
    for name, data in (files | odd()).items():
        image, error = (None, "refused on purpose") if name in REFUSED else decoded(data)
        tensors[f"png/{name}"] = np.frombuffer(data, np.uint8)
        if image is not None:
            tensors[f"pixels/{name}"] = np.asarray(image)
        cases.append({"name": name, "error": error})
    metadata = {"versions": {"script": VERSION, "pillow": PIL.__version__}, "decoding": cases}
    save_file(tensors, OUT, metadata={"cases": json.dumps(metadata, separators=(",", ":"))})


if __name__ == "__main__":
    main()
