"""cuda.py's first table: features of newt-pipe and of the library, on the same device, and the probes fitted to them."""

import concurrent.futures
import dataclasses
import pathlib
import traceback
from collections.abc import Callable

import numpy as np
import PIL
import torch
from cuda_child import first_line
from cuda_networks import Loaded, Network
from cuda_program import Data, Predictions, Program
from PIL import Image

DTYPES = {"f32": None, "f16": torch.float16}


@dataclasses.dataclass(frozen=True)
class Bounds:
    """What a row is held to."""

    cosine: float
    relative: float
    border: float
    """A prediction may differ only where the larger of both decision values is this near to the border, 0."""


BOUNDS = {"f32": Bounds(0.99999, 1e-4, 0.01), "f16": Bounds(0.999, 0.05, 0.2)}
# Two images of which a network makes nearly the same cannot show that it sees them.
NEAREST = 1e-3


@dataclasses.dataclass(frozen=True)
class Settings:
    """How both sides run."""

    device: str
    batch_size: int
    others: tuple[int, ...]
    """Further batch sizes that should give the same features."""
    parallel: int
    """How many processes of newt-pipe run at once."""


@dataclasses.dataclass(frozen=True)
class Moved:
    """How features change with the batch size."""

    batch_size: int
    share: float
    """Of the values, those whose bits are others."""
    ulps: int
    """The largest change in units of the value's last place (f32)."""
    relative: float
    """The largest change over the largest value."""


@dataclasses.dataclass
class Row:
    """One network in one precision; numbers are missing where it did not come so far."""

    network: str
    precision: str
    problem: str = ""
    """Why it was not compared, or what is outside the bounds."""
    dim: int | None = None
    cosine: float | None = None
    relative: float | None = None
    nearest: float | None = None
    n_predictions: int | None = None
    n_differ: int | None = None
    farthest: float | None = None
    """The larger decision value of the differing prediction for which it is largest."""
    moved: list[Moved] = dataclasses.field(default_factory=list)
    of_library: list[Moved] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)


def in_order_of_pillow_13(resize: Callable) -> Callable:
    """`Image.resize` of an older Pillow, which begins with the width always, as Pillow 13 has it, whose bytes newt-pipe's
    are: with the height where that shrinks by more than twice as many pixels as the width. Each pass rounds.
    """

    def resized(image: Image.Image, size, resample=None, box=None, reducing_gap=None) -> Image.Image:
        narrower, lower = (old - new for old, new in zip(image.size, size))
        if box is None and lower > max(0, 2 * narrower):
            image = resize(image, (image.width, size[1]), resample)
        return resize(image, size, resample, box, reducing_gap)

    return resized


def prepare(paths: list[pathlib.Path], loaded: Loaded) -> torch.Tensor:
    """All images as the network gets them, `[n, 3, h, w]`."""

    def one(path: pathlib.Path) -> torch.Tensor:
        with Image.open(path) as image:
            return loaded.transform(image.convert("RGB"))

    with concurrent.futures.ThreadPoolExecutor() as pool:
        return torch.stack(list(pool.map(one, paths)))


def set_device(device: str) -> None:
    """The GPU, for what names none, and libtorch's settings as newt-pipe has them, whatever a library has set."""
    if ":" in device:
        torch.cuda.set_device(device)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    # Kernels by rule, not by a race that another one may win next time.
    torch.backends.cudnn.benchmark = False


def autocast(device: str, precision: str) -> torch.autocast:
    dtype = DTYPES[precision]
    return torch.autocast(device.partition(":")[0], dtype, enabled=dtype is not None)


def encode(loaded: Loaded, pixels: torch.Tensor, device: str, precision: str, batch_size: int) -> np.ndarray:
    """The library's features, batch by batch."""
    with torch.inference_mode(), autocast(device, precision):
        batches = [loaded.encode(loaded.model, batch.to(device)).float().cpu() for batch in pixels.split(batch_size)]
    return torch.cat(batches).numpy()


def normalized(rows: np.ndarray) -> np.ndarray:
    if not np.isfinite(rows).all():
        raise RuntimeError(f"{np.count_nonzero(~np.isfinite(rows))} of {rows.size} features are not finite")
    wide = rows.astype(np.float64)
    return wide / np.linalg.norm(wide, axis=1, keepdims=True)


def moved(rows: np.ndarray, others: np.ndarray, batch_size: int) -> Moved:
    def places(values: np.ndarray) -> np.ndarray:
        """Whole numbers that count f32's values from -inf to inf."""
        bits = np.ascontiguousarray(values, np.float32).view(np.int32).astype(np.int64)
        return np.where(bits < 0, -(bits & 0x7FFFFFFF), bits)

    apart = np.abs(places(rows) - places(others))
    differ = np.ascontiguousarray(rows).view(np.int32) != np.ascontiguousarray(others).view(np.int32)
    change = np.abs(rows.astype(np.float64) - others).max() / np.abs(rows).max()
    return Moved(batch_size, float(differ.mean()), int(apart.max()), float(change))


def put_features(row: Row, ours: np.ndarray, theirs: np.ndarray) -> None:
    if ours.shape != theirs.shape:
        raise RuntimeError(f"newt-pipe's features are {list(ours.shape)}, the library's {list(theirs.shape)}")
    x, y = normalized(ours), normalized(theirs)
    row.dim = x.shape[1]
    row.cosine = float((x * y).sum(axis=1).min())
    row.relative = float(np.abs(x - y).max() / np.abs(y).max())
    squares = 2 - 2 * (y @ y.T)
    row.nearest = float(np.sqrt(max(squares[~np.eye(len(y), dtype=bool)].min(), 0)))


def put_predictions(row: Row, ours: Predictions, theirs: Predictions) -> None:
    differ = ours.classes != theirs.classes
    row.n_predictions, row.n_differ = len(differ), int(differ.sum())
    largest = np.maximum(np.abs(ours.decisions), np.abs(theirs.decisions))
    row.farthest = float(largest[differ].max()) if differ.any() else None


def problems(row: Row) -> str:
    """What is outside the bounds, in words; nothing if all is inside."""
    bounds, found = BOUNDS[row.precision], []
    if not row.cosine >= bounds.cosine:
        found.append(f"cosine below {bounds.cosine}")
    if not row.relative <= bounds.relative:
        found.append(f"relative error above {bounds.relative:g}")
    if not row.nearest >= NEAREST:
        found.append(f"different images get nearly the same features, nearest pair below {NEAREST:g}")
    if row.farthest is not None and row.farthest > bounds.border:
        found.append(f"a prediction differs {row.farthest:.2g} from the border, farther than {bounds.border:g}")
    return "; ".join(found)


def compare(network: Network, weights: pathlib.Path, program: Program, data: Data, settings: Settings) -> list[Row]:
    """Both precisions of a network whose folder has been written."""
    batch_sizes = (settings.batch_size, *settings.others)
    with concurrent.futures.ThreadPoolExecutor(settings.parallel) as pool:
        exports = {
            (precision, batch_size): pool.submit(
                program.export,
                f"{weights.name}-{precision}-{batch_size}",
                data,
                network.org,
                weights,
                device=settings.device,
                precision=precision,
                batch_size=batch_size,
            )
            for precision in DTYPES
            for batch_size in batch_sizes
        }
        # Meanwhile, in this process:
        set_device(settings.device)
        if int(PIL.__version__.partition(".")[0]) < 13:
            Image.Image.resize = in_order_of_pillow_13(Image.Image.resize)
        loaded = network.load(weights)
        loaded.model.to(settings.device)
        pixels = prepare(data.paths(), loaded)
        rows = [Row(network.name, precision) for precision in DTYPES]
        for row in rows:
            try:
                theirs, *others = (
                    encode(loaded, pixels, settings.device, row.precision, batch_size) for batch_size in batch_sizes
                )
                row.of_library = [moved(theirs, *pair) for pair in zip(others, settings.others)]
                ours, *others = (exports[row.precision, batch_size].result()[0] for batch_size in batch_sizes)
                row.moved = [moved(ours, *pair) for pair in zip(others, settings.others)]
                put_features(row, ours, theirs)
                # Stored rows may or may not have unit length, and probes take them as they are.
                sides = {"ours": normalized(ours), "theirs": normalized(theirs)}
                fitted = {
                    side: program.predictions(f"{weights.name}-{row.precision}-{side}", data, x.astype(np.float32))
                    for side, x in sides.items()
                }
                put_predictions(row, fitted["ours"], fitted["theirs"])
                row.problem = problems(row)
            except Exception as error:
                traceback.print_exc()
                row.problem = f"failed: {first_line(error)}"
    return rows
