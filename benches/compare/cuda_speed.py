"""cuda.py's second table: images per second, end to end and part by part, and how busy the GPU is."""

import concurrent.futures
import csv
import dataclasses
import os
import pathlib
import time
import traceback

import numpy as np
import torch
from cuda_child import first_line
from cuda_features import autocast, set_device
from cuda_gpu import GpuSamples
from cuda_networks import Loaded, Network
from cuda_program import Data, Program
from PIL import Image

# As NeWT's photos mostly are.
SIZE, QUALITY, NOISE = (500, 375), 90, 12
# Batches that a worker prepares ahead, as PyTorch has it.
PREFETCH = 2
# Where workers put their batches.
SHARED_MEMORY = "/dev/shm"


@dataclasses.dataclass(frozen=True)
class Settings:
    device: str
    precision: str
    batch_size: int
    workers: int
    """Processes that decode for the library's loop."""
    forward_s: float
    """How long the bare network runs."""


@dataclasses.dataclass
class Row:
    """One network; rates are images per second."""

    network: str
    precision: str
    problem: str = ""
    n_images: int | None = None
    start: float | None = None
    """Seconds of a run of newt-pipe on one batch: loading libtorch and weights, and the first use of the device."""
    whole: float | None = None
    """Rate of newt-pipe's process as it is timed from outside."""
    going: float | None = None
    """The same less that start."""
    loop: float | None = None
    """Rate of the library's loop, without imports and the loading of weights."""
    forward: float | None = None
    """Rate of the bare network on batches that are on the device already."""
    decode: float | None = None
    """Rate of `newt-pipe data check`, which decodes every image."""
    loader: float | None = None
    """Rate of the loop's DataLoader alone: decoded, resized, normalised."""
    busy: float | None = None
    """Percent of the time that the GPU works, between the first and the last sample that shows work; newt-pipe's."""
    memory: float | None = None
    """Most MiB on the GPU, newt-pipe's."""
    loop_busy: float | None = None
    loop_memory: float | None = None
    notes: list[str] = dataclasses.field(default_factory=list)
    """What was done otherwise than it was asked for."""


def enlarged(path: pathlib.Path, to: pathlib.Path) -> bytes:
    """A drawn image in the size of a photo, with noise that makes its file as large as a photo's."""
    rng = np.random.default_rng(int.from_bytes(path.stem.encode()[-8:], "little"))
    with Image.open(path) as image:
        values = np.asarray(image.convert("RGB").resize(SIZE, Image.Resampling.BICUBIC), np.float32)
    noisy = values + rng.standard_normal(values.shape, np.float32) * NOISE
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(to, quality=QUALITY)
    return to.read_bytes()


def make_data(drawn: Data, root: pathlib.Path, n_images: int) -> None:
    """`n_images` files that differ, of as many pictures as were drawn: copies have a comment of their own."""
    whole, root = root, root.with_name(f"{root.name}.part")
    images = root / "newt2021_images"
    images.mkdir(parents=True)
    sources = drawn.paths()[:n_images]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        files = list(pool.map(lambda path: enlarged(path, root / path.name), sources))

        def write(i: int) -> None:
            jpeg, comment = files[i % len(files)], f"copy {i}".encode()
            marker = b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment
            (images / f"image{i:06}.jpg").write_bytes(jpeg[:2] + marker + jpeg[2:])

        list(pool.map(write, range(n_images)))
    for path in sources:
        (root / path.name).unlink()
    write_labels(root, n_images)
    root.rename(whole)


def write_labels(root: pathlib.Path, n_images: int) -> None:
    with (root / "newt2021_labels.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "task", "task_cluster", "task_subcluster", "label", "split"])
        for i in range(n_images):
            writer.writerow([f"image{i:06}", "one", "appearance", "species", i % 2, "train" if i % 4 < 2 else "test"])


def part(data: Data, root: pathlib.Path, n_images: int) -> Data:
    """The first images of a data set, as one of its own."""
    root.mkdir(parents=True)
    (root / "newt2021_images").symlink_to(data.root / "newt2021_images")
    write_labels(root, n_images)
    return Data(root)


class Photos(torch.utils.data.Dataset):
    """Images as BioBench's loader has them."""

    def __init__(self, paths: list[pathlib.Path], transform):
        self.paths, self.transform = paths, transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i: int) -> torch.Tensor:
        with Image.open(self.paths[i]) as image:
            return self.transform(image.convert("RGB"))


@dataclasses.dataclass(frozen=True)
class Loading:
    """How the DataLoader makes its batches."""

    batch_size: int
    prefetch: int


def fit(settings: Settings, image_bytes: int, free_bytes: int | None) -> Loading:
    """As asked for where all batches that wait at once fit into shared memory, else fewer, then smaller ones.

    A worker for whose batch nothing is left ends with a bus error; containers often have 64 MiB.
    """

    def fits(batch_size: int, prefetch: int) -> bool:
        n_waiting = settings.workers * prefetch + 2  # two are on their way to the GPU
        return free_bytes is None or n_waiting * batch_size * image_bytes <= 0.9 * free_bytes

    batch_size, prefetch = settings.batch_size, PREFETCH
    while prefetch > 1 and not fits(batch_size, prefetch):
        prefetch -= 1
    while batch_size > 1 and not fits(batch_size, prefetch):
        batch_size //= 2
    return Loading(batch_size, prefetch)


def free_bytes(folder: str | pathlib.Path) -> int | None:
    """What its file system has left for this user; nothing where it is missing or sets no limit."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return None
    return found.f_bavail * found.f_frsize if found.f_blocks > 0 else None


def loader(photos: Photos, loading: Loading, settings: Settings) -> torch.utils.data.DataLoader:
    return torch.utils.data.DataLoader(
        photos,
        batch_size=loading.batch_size,
        prefetch_factor=loading.prefetch,
        num_workers=settings.workers,
        # They use no CUDA, so that they may be forked by a process that does.
        multiprocessing_context="fork",
        pin_memory=settings.device != "cpu",
    )


def synchronize(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize(device)


def forward_rate(loaded: Loaded, batch: torch.Tensor, settings: Settings) -> float:
    """Of the network alone, after a warm-up."""
    with torch.inference_mode(), autocast(settings.device, settings.precision):
        for _ in range(3):
            loaded.encode(loaded.model, batch)
        synchronize(settings.device)
        start, n_batches = time.perf_counter(), 0
        while time.perf_counter() - start < settings.forward_s:
            for _ in range(4):  # queued together, so that the device need not wait
                loaded.encode(loaded.model, batch)
            synchronize(settings.device)
            n_batches += 4
        return n_batches * len(batch) / (time.perf_counter() - start)


def loop(loaded: Loaded, photos: Photos, loading: Loading, settings: Settings) -> None:
    """The library's way: workers decode, the network takes batch after batch, features come back."""
    with torch.inference_mode(), autocast(settings.device, settings.precision):
        for batch in loader(photos, loading, settings):
            loaded.encode(loaded.model, batch.to(settings.device, non_blocking=True)).float().cpu()


def timed(work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure(row: Row, network: Network, weights: pathlib.Path, program: Program, data: Data, settings: Settings) -> Row:
    """Fills the row; what comes after something that fails is missing."""
    row.n_images = len(data.rows())
    try:
        # First newt-pipe, while this process has not touched the GPU.
        measure_newt_pipe(row, network, weights, program, data, settings)
        measure_library(row, network, weights, data, settings)
    except Exception as error:
        traceback.print_exc()
        row.problem = f"failed: {first_line(error)}"
    return row


def measure_newt_pipe(
    row: Row, network: Network, weights: pathlib.Path, program: Program, data: Data, settings: Settings
) -> None:
    n, name = row.n_images, f"{weights.name}-speed"
    features = dict(device=settings.device, precision=settings.precision, batch_size=settings.batch_size)
    n_first = min(settings.batch_size, n // 2)
    first = part(data, program.scratch / f"{name}-batch", n_first)
    _, row.start = program.export(f"{name}-start", first, network.org, weights, **features)
    with GpuSamples(settings.device) as samples:
        _, seconds = program.export(f"{name}-whole", data, network.org, weights, **features)
    row.busy, row.memory = samples.busy(), samples.memory()
    row.whole = n / seconds
    if seconds > 1.5 * row.start:  # else there is too little to tell from the start
        row.going = (n - n_first) / (seconds - row.start)
    row.decode = n / timed(lambda: program.call("data", "check", data.root, "--quiet"))


def measure_library(row: Row, network: Network, weights: pathlib.Path, data: Data, settings: Settings) -> None:
    paths, n = data.paths(), row.n_images
    set_device(settings.device)
    loaded = network.load(weights)
    loaded.model.to(settings.device)
    photos = Photos(paths, loaded.transform)
    batch = torch.stack([photos[i] for i in range(min(settings.batch_size, n))])
    row.forward = forward_rate(loaded, batch.to(settings.device), settings)
    free = free_bytes(SHARED_MEMORY)
    loading = fit(settings, batch[0].nbytes, free)
    if loading != Loading(settings.batch_size, PREFETCH):
        row.notes.append(
            f"the loader makes batches of {loading.batch_size}, {loading.prefetch} ahead, instead of"
            f" {settings.batch_size}, {PREFETCH} ahead: {SHARED_MEMORY} has {free / 2**20:,.0f} MiB"
        )
    if settings.device != "cpu":
        torch.cuda.empty_cache()  # of the forward runs, so that the loop's memory is seen
    with GpuSamples(settings.device) as samples:
        row.loop = n / timed(lambda: loop(loaded, photos, loading, settings))
    row.loop_busy, row.loop_memory = samples.busy(), samples.memory()
    row.loader = n / timed(lambda: [None for _ in loader(photos, loading, settings)])
