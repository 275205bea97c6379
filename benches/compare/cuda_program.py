"""newt-pipe as cuda.py calls it: features out of a network, predictions of probes on features."""

import csv
import dataclasses
import json
import pathlib
import subprocess
import time

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file


@dataclasses.dataclass(frozen=True)
class Data:
    """A data set of NeWT's shape, drawn or made."""

    root: pathlib.Path

    def rows(self) -> list[dict]:
        with (self.root / "newt2021_labels.csv").open(newline="") as file:
            return list(csv.DictReader(file))

    def paths(self) -> list[pathlib.Path]:
        return [self.root / "newt2021_images" / f"{row['id']}.jpg" for row in self.rows()]


@dataclasses.dataclass(frozen=True)
class Predictions:
    """What probes say of the test rows of all tasks, `[n]`."""

    classes: np.ndarray
    decisions: np.ndarray


@dataclasses.dataclass(frozen=True)
class Program:
    """A binary, and the folder in which it may leave what it makes."""

    binary: pathlib.Path
    scratch: pathlib.Path
    limit_s: float
    """Of one call."""

    def call(self, *arguments) -> str:
        """Standard output; an error with newt-pipe's own words where it fails."""
        command = [str(self.binary), *map(str, arguments)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=self.limit_s)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"newt-pipe {arguments[0]}: it did not end within {self.limit_s:.0f} s") from None
        if done.returncode != 0:
            print(" ".join(command), done.stderr, sep="\n", flush=True)
            lines = done.stderr.strip().splitlines() or ["no message"]
            said = next((line for line in lines if line.startswith("error:")), lines[-1])
            raise RuntimeError(f"newt-pipe {arguments[0]}: exit code {done.returncode}, {said}")
        return done.stdout

    def export(self, name: str, data: Data, org: str, weights: pathlib.Path, **features) -> tuple[np.ndarray, float]:
        """Features in the order of the labels, through a cache of their own, and the seconds of the whole process.

        `name` is that of a new folder; `features` are the settings of that table.
        """
        folder = self.scratch / name
        folder.mkdir(parents=True)
        output = folder / "features.safetensors"
        pipeline = write_pipeline(folder, data, org, f"local-dir:{weights}", features)
        start = time.perf_counter()
        self.call("features", "export", pipeline, "--cache-dir", folder / "cache", "-o", output, "--quiet")
        seconds = time.perf_counter() - start
        with safe_open(output, "np") as file:
            rows, ids = file.get_tensor("features"), json.loads(file.metadata()["ids"])
        order = {image: row for row, image in enumerate(ids)}
        return rows[[order[row["id"]] for row in data.rows()]], seconds

    def predictions(self, name: str, data: Data, features: np.ndarray) -> Predictions:
        """Fits the default probe to every task and predicts its test rows; `features` are in the order of the labels."""
        folder = self.scratch / name
        folder.mkdir(parents=True)
        rows = data.rows()
        file, out = folder / "features.safetensors", folder / "results"
        save_file({"features": features}, file, {"ids": json.dumps([row["id"] for row in rows])})
        pipeline = write_pipeline(folder, data, "precomputed", str(file), {})
        run = ["--set", "bootstrap.resamples=1", "--save-probes", "--quiet", "--cache-dir", folder / "cache"]
        self.call("run", pipeline, *run, "--out", out)
        said = json.loads(
            self.call("predict", "--probe", out / "probes.safetensors", "--features", file, "--json", "--quiet")
        )
        tasks = {task["task"]: task for task in said["tasks"]}
        order = {image: i for i, image in enumerate(said["img_id"])}
        test = [(tasks[row["task"]], order[row["id"]]) for row in rows if row["split"] == "test"]
        return Predictions(
            np.array([task["y_pred"][i] for task, i in test]), np.array([task["decision"][i] for task, i in test])
        )


def write_pipeline(folder: pathlib.Path, data: Data, org: str, ckpt: str, features: dict) -> pathlib.Path:
    """A pipeline file; JSON's strings and numbers are TOML's."""
    lines = ["[data]", f"root = {json.dumps(str(data.root))}"]
    lines += ["[model]", f"org = {json.dumps(org)}", f"ckpt = {json.dumps(ckpt)}", "[features]"]
    lines += [f"{key} = {json.dumps(value)}" for key, value in features.items()]
    path = folder / "pipeline.toml"
    path.write_text("\n".join(lines) + "\n")
    return path
