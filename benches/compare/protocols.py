"""Runs newt-pipe under every protocol on one checkpoint, and the same protocols in Python on the features it exports.

    cargo build --release && python benches/compare/protocols.py --data NEWT --ckpt local-dir:FOLDER [--org timm]
        [--binary target/release/newt-pipe]

NEWT is a folder in NeWT's layout. All train rows take part. A row of the table is a protocol and, of one with several
runs, a seed of its search: right answers of both, predictions that differ, tasks whose chosen C is equal, and the
seconds that the probes took (newt-pipe: the stage `probes`, tables included, all its runs together; Python: fits and
predictions, the search on two processes). Protocols that the program does not have are left out.
"""

import argparse
import csv
import dataclasses
import json
import os
import pathlib
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable

# First: it keeps NumPy from its AVX-512 loops.
import probe_tasks
from probe_tasks import reference

import markdown_table as table
import numpy as np
import polars as pl
import sklearn.linear_model
import sklearn.model_selection
import sklearn.neighbors
import sklearn.preprocessing
import sklearn.svm
from safetensors import safe_open


@dataclasses.dataclass(frozen=True)
class Task:
    """Features and labels of a task, in the order of the labels' file."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    test_ids: list[str]


Predicted = tuple[np.ndarray, float | None]
"""Labels of the test rows, and the chosen C where a classifier has one."""


def fitted(model, x_train, y_train, x_test) -> Predicted:
    model.fit(x_train, y_train)
    best = getattr(model, "best_estimator_", model)
    return model.predict(x_test), float(getattr(best, "steps", [("", best)])[-1][1].C)


def biobench(task: Task, seed: None) -> Predicted:
    x_train, x_test = reference.normalized(task.x_train, task.x_test)
    return fitted(reference.init_svc(-1), x_train, task.y_train, x_test)


def three_searches(task: Task, seed: int) -> Predicted:
    x_train, x_test = reference.normalized(task.x_train, task.x_test)
    return fitted(reference.init_svc(100).set_params(random_state=seed), x_train, task.y_train, x_test)


def grid(classifier) -> Callable[[Task, None], Predicted]:
    """The paper's grid over C, on columns that are standardised once and rows of unit length."""

    def predicted(task: Task, seed: None) -> Predicted:
        scaler = sklearn.preprocessing.StandardScaler().fit(task.x_train)
        x_train, x_test = (
            sklearn.preprocessing.normalize(scaler.transform(x)) for x in (task.x_train, task.x_test)
        )
        costs = {"C": [1e-4, 1e-3, 1e-2, 0.1, 1, 10, 100, 1000]}
        search = sklearn.model_selection.GridSearchCV(classifier(), costs, cv=3, n_jobs=2)
        return fitted(search, x_train, task.y_train, x_test)

    return predicted


def linear_svc():
    return sklearn.svm.LinearSVC(random_state=0, tol=1e-5, dual=False, max_iter=1000)


def logistic_regression():
    return sklearn.linear_model.LogisticRegression(C=1, tol=1e-4, solver="lbfgs", max_iter=1000)


def knn(task: Task, seed: None) -> Predicted:
    """birder's, in float32."""
    x_train, x_test = reference.l2_normalize(task.x_train), reference.l2_normalize(task.x_test)
    similar = x_test @ x_train.T
    nearest = np.argsort(-similar, axis=1, kind="stable")[:, :20]
    near = np.take_along_axis(similar, nearest, axis=1) / np.float32(0.07)
    weights = np.exp(near - near.max(axis=1, keepdims=True))
    votes = [(weights * (task.y_train[nearest] == label)).sum(axis=1) for label in (0, 1)]
    return np.argmax(votes, axis=0), None


def simpleshot(task: Task, seed: None) -> Predicted:
    x_train, x_test = reference.normalized(task.x_train, task.x_test)
    return sklearn.neighbors.NearestCentroid().fit(x_train, task.y_train).predict(x_test), None


@dataclasses.dataclass(frozen=True)
class Protocol:
    name: str
    predicted: Callable[[Task, int | None], Predicted]
    seeds: tuple[int | None, ...] = (None,)
    """Of the searches that it makes."""
    raw: bool = False
    """Whether it takes features as the network gives them, not scaled to unit length."""


PROTOCOLS = (
    Protocol("biobench", biobench),
    Protocol("bioclip-2", three_searches, (0, 1, 2)),
    Protocol("birder", three_searches, (0, 1, 2)),
    Protocol("newt-2021", grid(linear_svc), raw=True),
    Protocol("logreg", grid(logistic_regression), raw=True),
    Protocol("knn", knn, raw=True),
    Protocol("simpleshot", simpleshot, raw=True),
)


@dataclasses.dataclass(frozen=True)
class Row:
    protocol: str
    n_test: int
    right: int
    right_there: int
    n_differ: int
    n_same_c: str
    seconds: float
    seconds_there: float


COLUMNS = [
    table.Column("protocol", lambda row: row.protocol),
    table.Column("test rows", lambda row: table.show(row.n_test, ","), right=True),
    table.Column("right, newt-pipe", lambda row: table.show(row.right, ","), right=True),
    table.Column("right, Python", lambda row: table.show(row.right_there, ","), right=True),
    table.Column("predictions that differ", lambda row: table.show(row.n_differ, ","), right=True),
    table.Column("tasks with the same C", lambda row: row.n_same_c, right=True),
    table.Column("newt-pipe", lambda row: table.show(row.seconds, ".2f", " s"), right=True),
    table.Column("Python", lambda row: table.show(row.seconds_there, ".2f", " s"), right=True),
]


class Program:
    """newt-pipe on one model and data set."""

    def __init__(self, args: argparse.Namespace, folder: pathlib.Path):
        self.binary, self.folder = args.binary.resolve(), folder
        self.pipeline = folder / "pipeline.toml"
        self.pipeline.write_text(
            f"[data]\nroot = {json.dumps(str(args.data.resolve()))}\n\n"
            f"[model]\norg = {json.dumps(args.org)}\nckpt = {json.dumps(args.ckpt)}\n"
        )

    def call(self, *arguments) -> subprocess.CompletedProcess:
        command = [self.binary, *arguments, "--cache-dir", self.folder / "cache", "--quiet"]
        return subprocess.run(command, capture_output=True, text=True, env=os.environ | {"NO_COLOR": "1"})

    def features(self, raw: bool) -> dict[str, np.ndarray]:
        """The row of each image."""
        out = self.folder / "features.safetensors"
        done = self.call("features", "export", self.pipeline, "-o", out, "--raw" if raw else "--l2")
        assert done.returncode == 0, done.stderr
        with safe_open(out, "numpy") as file:
            return dict(zip(json.loads(file.metadata()["ids"]), file.get_tensor("features")))

    def run(self, protocol: str) -> tuple[pl.DataFrame, pl.DataFrame, float] | None:
        """Predictions, probes and the seconds that the probes took; `None` where the program has no such protocol."""
        out = self.folder / f"out-{protocol}"
        settings = ["--set", f"probe.protocol={protocol}", "--set", "sample.n_train=-1", "--set", "bootstrap.resamples=1"]
        done = self.call("run", self.pipeline, *settings, "--force", "probes", "--out", out, "--json")
        if done.returncode == 2 and "probe.protocol" in done.stderr:
            return None
        assert done.returncode == 0, done.stderr
        experiments = json.loads(done.stdout)["experiments"]
        stages = [stage for experiment in experiments for stage in experiment["stages"]]
        seconds = sum(stage["seconds"] for stage in stages if stage["stage"] == "probes")
        predictions, probes = (pl.read_parquet(out / f"{name}.parquet") for name in ("predictions", "probes"))
        return predictions, probes, seconds


def tasks_of(labels: pathlib.Path, features: dict[str, np.ndarray]) -> dict[str, Task]:
    with labels.open(newline="") as file:
        rows = list(csv.DictReader(file))

    def split(task: str, is_train: bool):
        of_split = [row for row in rows if row["task"] == task and (row["split"] == "train") == is_train]
        ids = [row["id"] for row in of_split]
        return np.stack([features[name] for name in ids]), np.array([int(row["label"]) for row in of_split]), ids

    def task(name: str) -> Task:
        x_train, y_train, _ = split(name, True)
        return Task(x_train, y_train, *split(name, False))

    return {name: task(name) for name in dict.fromkeys(row["task"] for row in rows)}


def compared(protocol: Protocol, tasks: dict[str, Task], run) -> list[Row]:
    predictions, probes, seconds = run
    rows = []
    for seed in protocol.seeds:
        is_run = pl.lit(True) if seed is None else pl.col("search_seed") == seed
        ours = {(row["task"], row["img_id"]): row["y_pred"] for row in predictions.filter(is_run).to_dicts()}
        costs = {row["task"]: row["c"] for row in probes.filter(is_run).to_dicts()}
        right = right_there = n_differ = n_same_c = n_test = 0
        start = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = {name: protocol.predicted(task, seed) for name, task in tasks.items()}
        seconds_there = time.perf_counter() - start
        for name, task in tasks.items():
            y_pred, cost = theirs[name]
            mine = np.array([ours[name, image] for image in task.test_ids])
            right += int((mine == task.y_test).sum())
            right_there += int((y_pred == task.y_test).sum())
            n_differ += int((mine != y_pred).sum())
            n_same_c += costs[name] == cost
            n_test += len(mine)
        has_cost = cost is not None
        same = f"{n_same_c} of {len(tasks)}" if has_cost else ""
        name = protocol.name if seed is None else f"{protocol.name}, seed {seed}"
        share = seconds / len(protocol.seeds)
        rows.append(Row(name, n_test, right, right_there, n_differ, same, share, seconds_there))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--org", default="timm")
    parser.add_argument("--ckpt", required=True)
    parser.add_argument("--binary", type=pathlib.Path, default=probe_tasks.BINARY)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        program = Program(args, pathlib.Path(folder))
        labels = args.data / "newt2021_labels.csv"
        tasks = {raw: tasks_of(labels, program.features(raw)) for raw in (False, True)}
        lines = table.head(COLUMNS)
        for protocol in PROTOCOLS:
            run = program.run(protocol.name)
            if run is not None:
                lines += [table.line(COLUMNS, row) for row in compared(protocol, tasks[protocol.raw], run)]
        print("\n".join(lines))


if __name__ == "__main__":
    main()
