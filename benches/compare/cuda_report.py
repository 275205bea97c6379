"""What cuda.py has found, as JSON and as Markdown, rewritten after every row."""

import dataclasses
import json
import os
import pathlib

import cuda_features
import cuda_speed
from cuda_features import BOUNDS, Moved
from markdown_table import Column, head, line, show

HEADER = """\
Features are L2-normalised. *Cosine* is the least over the images; *relative error* the largest difference over the
largest value; *nearest pair* the least distance between two images, which shows that features depend on what is seen.
*Predictions* are those of newt-pipe's default probe, fitted once to its own features and once to the library's: test rows
whose predictions differ, and in brackets the larger decision value of the one farthest from the border, 0. *Bits* are the
values that change with the batch size, the largest change in units of the last place (ulp) of f32 (a value
near 0 moves by many), and over the largest value. Bounds: {bounds}.
"""
SPEED_HEADER = """\
Images per second, JPEGs of {size} pixels. *Whole*: the process of `newt-pipe features export`, from outside; *going*: the
same less the time of a run on one batch (*start*). *Library's loop*: a DataLoader of {workers} processes, Pillow and the
library's transform, autocast, without imports and loading. *Forward*: the library's network alone on batches that are on
the device. *Decode*: `newt-pipe data check`; *loader*: the DataLoader alone. *Busy* and *memory* are what nvidia-smi says
during a run, of newt-pipe and of the loop, all that runs on the GPU together.
"""


@dataclasses.dataclass
class Report:
    """All rows, in the order in which they were made."""

    machine: dict
    """Versions, the device, the date."""
    folder: pathlib.Path
    workers: int
    features: list[cuda_features.Row] = dataclasses.field(default_factory=list)
    speed: list[cuda_speed.Row] = dataclasses.field(default_factory=list)
    skipped: list[str] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)
    """What is missing on this machine and not needed."""
    error: str | None = None
    """Why nothing was compared."""
    seconds: float = 0.0

    def n_problems(self) -> int:
        return sum(bool(row.problem) for row in [*self.features, *self.speed])

    def write(self) -> None:
        bounds = {precision: dataclasses.asdict(bound) for precision, bound in BOUNDS.items()}
        document = {"machine": self.machine, "seconds": round(self.seconds, 1), "bounds": bounds}
        document |= {
            "error": self.error,
            "notes": self.notes,
            "features": [dataclasses.asdict(row) for row in self.features],
            "speed": [dataclasses.asdict(row) for row in self.speed],
            "skipped": self.skipped,
            "n_problems": self.n_problems(),
        }
        replace(self.folder / "cuda.json", json.dumps(document, indent=2) + "\n")
        replace(self.folder / "cuda.md", self.markdown())

    def markdown(self) -> str:
        bounds = "; ".join(
            f"{precision} cosine ≥ {bound.cosine}, relative error ≤ {bound.relative:g}, no prediction differs farther than"
            f" {bound.border:g} from the border"
            for precision, bound in BOUNDS.items()
        )
        names = ["program", "torch", "cuda", "driver", "timm", "transformers", "python", "numpy", "pillow"]
        versions = ", ".join(f"{name} {self.machine[name]}" for name in names if self.machine.get(name))
        lines = [
            f"Seen on {self.machine['date']} on {self.machine['device']} ({versions}), {self.machine['n_cores']} cores."
        ]
        if self.error is not None:
            return "\n".join([*lines, "", f"Nothing was compared: {self.error}."]) + "\n"
        lines += ["", HEADER.format(bounds=bounds), *table(FEATURE_COLUMNS, self.features)]
        width, height = cuda_speed.SIZE
        lines += ["", SPEED_HEADER.format(size=f"{width} × {height}", workers=self.workers)]
        lines += table(SPEED_COLUMNS, self.speed)
        if self.notes:
            lines += ["", *(f"Noted: {note}." for note in self.notes)]
        lines += ["", *(f"Skipped, since time was up: {name}." for name in self.skipped)]
        return "\n".join(lines).rstrip("\n") + "\n"


def replace(path: pathlib.Path, text: str) -> None:
    draft = path.with_name(path.name + ".tmp")
    draft.write_text(text)
    os.replace(draft, path)


def show_moved(all_moved: list[Moved]) -> str:
    said = (
        f"{one.batch_size}: {one.share:.1%}, {one.ulps:,} ulp, {one.relative:.0e}"
        if one.share
        else f"{one.batch_size}: none"
        for one in all_moved
    )
    return "; ".join(said)


def show_differing(row: cuda_features.Row) -> str:
    if row.n_predictions is None:
        return ""
    farthest = "" if row.farthest is None else f" ({row.farthest:.1g})"
    return f"{row.n_differ} of {row.n_predictions:,}{farthest}"


def show_both(ours: float | None, of_loop: float | None) -> str:
    return "" if ours is None and of_loop is None else f"{show(ours, ',.0f')} / {show(of_loop, ',.0f')}"


def show_result(row) -> str:
    return row.problem or "; ".join(["ok", *row.notes])


NAMES = [Column("network", lambda row: row.network), Column("", lambda row: row.precision)]
FEATURE_COLUMNS = [
    *NAMES,
    Column("dim", lambda row: show(row.dim), right=True),
    Column("cosine", lambda row: show(row.cosine, ".8f"), right=True),
    Column("relative error", lambda row: show(row.relative, ".1e"), right=True),
    Column("nearest pair", lambda row: show(row.nearest, ".3f"), right=True),
    Column("predictions that differ", show_differing, right=True),
    Column("newt-pipe's bits, batches of", lambda row: show_moved(row.moved)),
    Column("the library's", lambda row: show_moved(row.of_library)),
    Column("result", show_result),
]
SPEED_COLUMNS = [
    *NAMES,
    Column("images", lambda row: show(row.n_images, ","), right=True),
    Column("start", lambda row: show(row.start, ".1f", " s"), right=True),
    Column("whole", lambda row: show(row.whole, ",.0f"), right=True),
    Column("going", lambda row: show(row.going, ",.0f"), right=True),
    Column("library's loop", lambda row: show(row.loop, ",.0f"), right=True),
    Column("forward", lambda row: show(row.forward, ",.0f"), right=True),
    Column("decode", lambda row: show(row.decode, ",.0f"), right=True),
    Column("loader", lambda row: show(row.loader, ",.0f"), right=True),
    Column("busy, %", lambda row: show_both(row.busy, row.loop_busy), right=True),
    Column("memory, MiB", lambda row: show_both(row.memory, row.loop_memory), right=True),
    Column("result", show_result),
]


def table(columns: list[Column], rows: list) -> list[str]:
    return [*head(columns), *(line(columns, row) for row in rows)]
