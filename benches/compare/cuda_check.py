"""cuda.py's plan: looks whether all is there, then makes row after row until time is up."""

import argparse
import contextlib
import dataclasses
import datetime
import functools
import importlib.metadata
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

import checkpoints
import cuda_features
import cuda_networks
import cuda_preflight
import cuda_speed
import torch
from cuda_child import Child, TimeIsUp, first_line
from cuda_program import Data, Program
from cuda_report import Report

# Networks whose speed is measured, and the share of the images that they get.
SPEED = {"ViT-B/16": 1.0, "CLIP ViT-L/14": 0.25, "ResNet-50": 1.0}
# What is kept back for killing what runs, and for tidying up.
MARGIN_S = 5.0
# The share of all the time that one row may take: one that hangs must not cost the others.
ROW_SHARE = 1 / 3


class Check:
    """The plan, worked off until time is up."""

    def __init__(self, args: argparse.Namespace, scratch: pathlib.Path):
        self.args, self.scratch = args, scratch
        self.start = args.start
        self.deadline = self.start + args.minutes * 60 - MARGIN_S
        self.log = args.out / "cuda.log"
        self.log.write_text("")
        self.networks = args.networks
        self.report = Report(machine(args), args.out, args.workers)
        self.row_limit_s = args.minutes * 60 * ROW_SHARE
        # Sooner than the row's, so that it is named where it hangs.
        self.program = Program(args.newt_pipe, scratch, 0.8 * self.row_limit_s)
        self.drawn = Data(scratch / "drawn")
        self.writing: Child | None = None
        self.unwritten: dict[str, RuntimeError] = {}

    def left(self) -> float:
        return self.deadline - time.monotonic()

    def say(self, text: str) -> None:
        print(f"[{time.monotonic() - self.start:5.1f} s] {text}", file=sys.stderr, flush=True)

    def result(self, child: Child):
        """Of one row's work."""
        try:
            return child.result(min(self.row_limit_s, self.left()))
        except TimeIsUp:
            if self.left() > 0:
                raise RuntimeError(f"it did not end within {self.row_limit_s:.0f} s") from None
            raise

    def child(self, work, *arguments) -> Child:
        return Child(functools.partial(work, *arguments), self.log)

    def weights(self, network: cuda_networks.Network) -> pathlib.Path:
        return self.scratch / "weights" / f"network{self.networks.index(network)}"

    def run(self) -> None:
        self.load_libraries()
        try:
            if self.look() and self.draw():
                self.make_rows()
        except TimeIsUp:
            self.report.skipped += [f"{make.__name__} of {network.name}" for make, network in self.rows()]
        self.save("all rows", "not begun" if self.report.error else "done")

    def load_libraries(self) -> None:
        """Once for all children; this process itself computes nothing with them, and never touches the GPU."""
        self.say("loading PyTorch's libraries")
        file = self.log.open("a", buffering=1)  # not closed: the libraries' loggers keep it
        with contextlib.redirect_stderr(file), contextlib.redirect_stdout(file):
            cuda_networks.load_libraries()

    def look(self) -> bool:
        """Whether all that is needed is there."""
        self.say("looking at the machine")
        limit_s = min(cuda_preflight.LIMIT_S, self.left())
        program = dataclasses.replace(self.program, limit_s=0.9 * max(limit_s, 0))
        try:
            found = self.child(cuda_preflight.look, self.args, program).result(limit_s)
        except TimeIsUp:
            if self.left() <= 0:
                raise
            return self.stop(
                f"device `{self.args.device}` did not answer within {limit_s:.0f} s", f"see {self.log}, and `nvidia-smi`"
            )
        except Exception as error:
            return self.stop(f"device `{self.args.device}`: {first_line(error)}", f"see {self.log}")
        machine = self.report.machine
        machine |= {"device": found.gpu or machine["device"], "driver": found.driver, "found": found.machine()}
        self.report.notes += found.notes
        for note in found.notes:
            self.say(f"noted: {note}")
        return True if found.error is None else self.stop(found.error, found.hint)

    def draw(self) -> bool:
        self.say("drawing images")
        draw = ["data", "synth", self.drawn.root, "--images-per-task", self.args.images_per_task, "--quiet"]
        draw += [f"--task={task}" for task in self.args.tasks]
        try:
            self.child(self.program.call, *draw).result(self.left())
        except RuntimeError as error:
            return self.stop(str(error), f"see {self.log}")
        return True

    def stop(self, error: str, hint: str) -> bool:
        """Tells why nothing is compared."""
        self.report.error = error
        print(f"error: {error}\nhint: {hint}", file=sys.stderr, flush=True)
        return False

    def rows(self) -> list[tuple]:
        """How each row is made, and its network."""
        # One speed early, since what comes late may be skipped.
        timed = [network for network in self.networks if network.name in SPEED]
        early = [network for network in timed if network is self.networks[0]]
        rows = [(self.features, network) for network in self.networks]
        rows[1:1] = [(self.speed, network) for network in early]
        rows += [(self.speed, network) for network in timed if network not in early]
        return rows

    def make_rows(self) -> None:
        self.writing = self.start_writing(self.networks[0])
        try:
            for make, network in self.rows():
                if self.left() > 0:
                    make(network)
                else:
                    self.report.skipped.append(f"{make.__name__} of {network.name}")
        finally:
            if self.writing is not None:
                self.writing.stop()

    def start_writing(self, network: cuda_networks.Network) -> Child:
        return self.child(write, network, self.weights(network), self.drawn)

    def write_next(self, network: cuda_networks.Network) -> None:
        """Waits for the weights of this network, and lets the next one's be written while this one is compared."""
        try:
            self.result(self.writing)
        except RuntimeError as error:
            self.unwritten[network.name] = RuntimeError(f"its weights were not written: {error}")
            raise self.unwritten[network.name] from error
        finally:
            later = self.networks[self.networks.index(network) + 1 :]
            self.writing = self.start_writing(later[0]) if later else None

    def features(self, network: cuda_networks.Network) -> None:
        args = self.args
        settings = cuda_features.Settings(args.device, args.batch_size, args.other_batch_sizes, args.parallel)
        self.say(f"{network.name}: features")
        try:
            self.write_next(network)
            work = [cuda_features.compare, network, self.weights(network), self.program, self.drawn, settings]
            rows = self.result(self.child(*work))
        except TimeIsUp:
            self.report.skipped.append(f"features of {network.name}, which had begun")
            return
        except Exception as error:
            rows = failed(network, error)
        self.report.features += rows
        for row in rows:
            self.save(f"{network.name} {row.precision}", row.problem or "ok")

    def speed(self, network: cuda_networks.Network) -> None:
        args = self.args
        precision = "f32" if args.device == "cpu" else "f16"
        row = cuda_speed.Row(network.name, precision)
        self.say(f"{network.name}: speed")
        forward_s = 0.3 if args.small else 2.0
        settings = cuda_speed.Settings(args.device, precision, args.batch_size, args.workers, forward_s)
        n_images = max(int(args.speed_images * SPEED[network.name]), 2)
        photos = Data(self.scratch / f"photos-{n_images}")
        try:
            if network.name in self.unwritten:
                raise self.unwritten[network.name]
            if not photos.root.exists():
                self.result(self.child(cuda_speed.make_data, self.drawn, photos.root, n_images))
            if self.writing is not None:  # it would take cores from what is timed
                limit_s = min(self.row_limit_s, self.left())
                if not self.writing.is_over(limit_s):
                    self.writing.give_up(f"writing its weights did not end within {limit_s:.0f} s")
            work = [cuda_speed.measure, row, network, self.weights(network), self.program, photos, settings]
            row = self.result(self.child(*work))
        except TimeIsUp:
            self.report.skipped.append(f"speed of {network.name}, which had begun")
            return
        except Exception as error:
            row.problem = f"failed: {first_line(error)}"
        self.report.speed.append(row)
        self.save(f"{network.name} speed", row.problem or "ok")

    def save(self, name: str, said: str) -> None:
        self.report.seconds = time.monotonic() - self.start
        self.report.write()
        self.say(f"{name}: {said}")


def failed(network: cuda_networks.Network, error: Exception) -> list[cuda_features.Row]:
    problem = f"failed: {first_line(error)}"
    return [cuda_features.Row(network.name, precision, problem) for precision in cuda_features.DTYPES]


def write(network: cuda_networks.Network, folder: pathlib.Path, drawn: Data) -> None:
    from PIL import Image

    folder.mkdir(parents=True)
    checkpoints.skip_initialization()
    photos = [Image.open(path).convert("RGB") for path in drawn.paths()[:4]]
    network.write(folder, photos)


def machine(args: argparse.Namespace) -> dict:
    """What the numbers were seen on."""
    try:
        version = subprocess.run([args.newt_pipe, "--version"], capture_output=True, text=True).stdout
    except OSError:  # told when more is asked of it
        version = ""
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "device": "a CPU" if args.device == "cpu" else "an unknown GPU",
        "sizes": "small" if args.small else "full",
        "program": version.strip(),
        "torch": torch.__version__,
        "cuda": None if args.device == "cpu" else torch.version.cuda,
        "driver": None,
        "timm": version_of("timm"),
        "transformers": version_of("transformers"),
        "python": sys.version.split()[0],
        "numpy": version_of("numpy"),
        "pillow": version_of("pillow"),
        "n_cores": len(os.sched_getaffinity(0)),
    }


def version_of(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def main(args: argparse.Namespace) -> int:
    """The exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with tempfile.TemporaryDirectory(dir=args.scratch, prefix="newt-pipe-", ignore_cleanup_errors=True) as scratch:
        check = Check(args, pathlib.Path(scratch))
        check.run()
    print(check.report.markdown())
    print(f"{args.out / 'cuda.json'}, {args.out / 'cuda.md'}", file=sys.stderr)
    if check.report.error is not None or check.report.n_problems() > 0:
        return 1
    return 3 if check.report.skipped else 0
