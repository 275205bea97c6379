"""What cuda.py has found, as JSON and as Markdown, rewritten after every row."""

import dataclasses
import json
import os
import pathlib

import cuda_features
import cuda_speed
from cuda_features import BOUNDS, Moved

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
during a run, of newt-pipe and of the loop.
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
    seconds: float = 0.0

    def n_problems(self) -> int:
        return sum(bool(row.problem) for row in [*self.features, *self.speed])

    def write(self) -> None:
        bounds = {precision: dataclasses.asdict(bound) for precision, bound in BOUNDS.items()}
        document = {"machine": self.machine, "seconds": round(self.seconds, 1), "bounds": bounds}
        document |= {
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
        names = ["program", "torch", "cuda", "driver", "timm", "transformers"]
        versions = ", ".join(f"{name} {self.machine[name]}" for name in names if self.machine.get(name))
        lines = [
            f"Seen on {self.machine['date']} on {self.machine['device']} ({versions}), {self.machine['n_cores']} cores."
        ]
        lines += ["", HEADER.format(bounds=bounds), *table(FEATURE_COLUMNS, self.features)]
        width, height = cuda_speed.SIZE
        lines += ["", SPEED_HEADER.format(size=f"{width} × {height}", workers=self.workers)]
        lines += table(SPEED_COLUMNS, self.speed)
        lines += ["", *(f"Skipped, since time was up: {name}." for name in self.skipped)]
        return "\n".join(lines).rstrip("\n") + "\n"


def replace(path: pathlib.Path, text: str) -> None:
    draft = path.with_name(path.name + ".tmp")
    draft.write_text(text)
    os.replace(draft, path)


def show(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


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


def escaped(text: str) -> str:
    return text.replace("|", "\\|")


# Heading, whether numbers stand to the right, and the cell.
FEATURE_COLUMNS = [
    ("network", False, lambda row: row.network),
    ("", False, lambda row: row.precision),
    ("dim", True, lambda row: show(row.dim, "")),
    ("cosine", True, lambda row: show(row.cosine, ".8f")),
    ("relative error", True, lambda row: show(row.relative, ".1e")),
    ("nearest pair", True, lambda row: show(row.nearest, ".3f")),
    ("predictions that differ", True, show_differing),
    ("newt-pipe's bits, batches of", False, lambda row: show_moved(row.moved)),
    ("the library's", False, lambda row: show_moved(row.of_library)),
    ("result", False, lambda row: escaped(row.problem or "ok")),
]
SPEED_COLUMNS = [
    ("network", False, lambda row: row.network),
    ("", False, lambda row: row.precision),
    ("images", True, lambda row: show(row.n_images, ",")),
    ("start", True, lambda row: show(row.start, ".1f") + (" s" if row.start is not None else "")),
    ("whole", True, lambda row: show(row.whole, ",.0f")),
    ("going", True, lambda row: show(row.going, ",.0f")),
    ("library's loop", True, lambda row: show(row.loop, ",.0f")),
    ("forward", True, lambda row: show(row.forward, ",.0f")),
    ("decode", True, lambda row: show(row.decode, ",.0f")),
    ("loader", True, lambda row: show(row.loader, ",.0f")),
    ("busy, %", True, lambda row: show_both(row.busy, row.loop_busy)),
    ("memory, MiB", True, lambda row: show_both(row.memory, row.loop_memory)),
    ("result", False, lambda row: escaped(row.problem or "ok")),
]


def table(columns: list, rows: list) -> list[str]:
    lines = ["| " + " | ".join(heading for heading, _, _ in columns) + " |"]
    lines += ["|" + "|".join("--:" if right else "---" for _, right, _ in columns) + "|"]
    return lines + ["| " + " | ".join(cell(row) for _, _, cell in columns) + " |" for row in rows]
