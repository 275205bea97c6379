"""Makes tasks that no fixture holds, runs them through newt-pipe and scikit-learn, and compares everything.

    cargo build --release && python benches/compare/probe_live.py [--tasks 200] [--seed 0] [--binary target/release/newt-pipe]

Each task goes through the linear probe (n_train = -1) and through the search. Equal must be: every prediction, kernel,
C and gamma (neighbouring f64 are counted apart: C libraries round exp in several ways), CV mean and number of support
vectors; decision values within 1e-6 of the largest in the task. Exit code 1 if something is not. Predictions by the sign
of a decision that is zero but for rounding are counted apart.
"""

import argparse
import collections
import itertools
import pathlib
import tempfile

import probe_tasks

import numpy as np
import polars as pl

# Keeps all rows of the tasks below, and searches.
SEARCH_N_TRAIN = 200
# Below this a decision is zero: those of real tasks are 1e-5 to 1e2.
ZERO = 1e-15
DIMENSIONS = (8, 33, 64, 192, 384, 768, 1000, 1536)


def embeddings(rng: np.random.Generator, labels: np.ndarray, d: int, strength: float) -> np.ndarray:
    """Unit vectors with a spectrum that falls off as those of trained networks do."""
    spectrum = np.arange(1, d + 1) ** -rng.uniform(0.3, 1.2)
    basis, _ = np.linalg.qr(rng.standard_normal((d, d)))
    z = rng.standard_normal((len(labels), d))
    z += np.outer(2 * labels - 1, rng.standard_normal(d)) * strength * 2
    x = (z * spectrum) @ basis + rng.standard_normal(d) * spectrum.mean()
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def uniform(rng: np.random.Generator, labels: np.ndarray, d: int, strength: float) -> np.ndarray:
    return rng.uniform(-1, 1, (len(labels), d)) + np.outer(2 * labels - 1, rng.standard_normal(d)) * strength


def by_recipe(kind: str):
    """The generators of the golden tests, with other seeds."""

    def make(rng: np.random.Generator, labels: np.ndarray, d: int, strength: float) -> np.ndarray:
        # Off the origin: a row of zeros, as `grid` can make, has no unit vector.
        return probe_tasks.reference.features(kind, int(rng.integers(2**48)), labels, d, int(256 * strength)) + 0.5

    return make


GENERATORS = {"embeddings": embeddings, "uniform": uniform} | {
    kind: by_recipe(kind) for kind in ("normal", "heavy", "low_rank", "relu", "duplicates", "scales", "grid")
}


def made(number: int, d: int, seed: int) -> probe_tasks.Task:
    rng = np.random.default_rng([seed, number])
    kind = list(GENERATORS)[number % len(GENERATORS)]
    largest = int(rng.choice([8, 20, 50, 100]))
    counts = [int(rng.integers(5, largest)), int(rng.integers(1, largest))]
    rng.shuffle(counts)
    y_train = rng.permutation(np.repeat([0, 1], counts))
    labels = np.concatenate([y_train, rng.permutation(np.arange(60) % 2)])
    strength = float(rng.choice([0, 0.02, 0.05, 0.1, 0.2, 0.5]))
    name = f"task_{number:03}_{kind}_d{d}_{counts[0]}+{counts[1]}"
    return probe_tasks.Task(name, GENERATORS[kind](rng, labels, d, strength), labels, len(y_train))


def is_neighbour(a: float, b: float) -> bool:
    return a != b and (np.nextafter(a, b) == b)


def compare(task: probe_tasks.Task, n_train: int, probe: dict, predictions: pl.DataFrame, found: collections.Counter):
    """Counts what is equal, and returns what is not."""
    expected, _ = task.scikit_learn(n_train)
    differences = []
    for key in ("kernel", "c", "gamma", "cv_accuracy", "n_support"):
        ours, theirs = probe[key], expected[key]
        if ours == theirs or (key == "cv_accuracy" and ours is None and np.isnan(theirs)):
            found[key] += 1
        elif key in ("c", "gamma") and is_neighbour(ours, theirs):
            found[f"{key} off by one unit"] += 1
        else:
            differences.append(f"{key} {ours!r}, scikit-learn {theirs!r}")
    rows = {row["img_id"]: row for row in predictions.iter_rows(named=True)}
    rows = [rows[name] for name in task.ids[task.n_train :]]
    decision = np.array([row["decision"] for row in rows])
    # Where every train row has a twin of the other label, decisions are zero, and what is left of them is rounding.
    is_zero = np.maximum(np.abs(decision), np.abs(expected["decision"])) < ZERO
    is_wrong = np.array([row["y_pred"] for row in rows]) != expected["y_pred"]
    found["predictions"] += int((~is_wrong).sum())
    found["predictions by the sign of a decision of zero"] += int((is_wrong & is_zero).sum())
    if (is_wrong & ~is_zero).any():
        differences.append(f"{(is_wrong & ~is_zero).sum()} predictions")
    scale = max(np.abs(expected["decision"]).max(), ZERO)
    distances = np.where(is_zero, 0.0, np.abs(decision - expected["decision"]) / scale)
    found["decisions within 1e-6"] += int((distances <= 1e-6).sum())
    if distances.max() > 1e-6:
        differences.append(f"decisions by up to {distances.max():.1e}")
    return differences, float(distances.max())


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--binary", type=pathlib.Path, default=probe_tasks.BINARY)
    args = parser.parse_args()
    found, n_different, worst = collections.Counter(), 0, 0.0
    numbers = np.array_split(np.arange(args.tasks), len(DIMENSIONS))
    for d, n_train in itertools.product(DIMENSIONS, (-1, SEARCH_N_TRAIN)):
        tasks = [made(int(number), d, args.seed) for number in numbers[DIMENSIONS.index(d)]]
        with tempfile.TemporaryDirectory() as folder:
            pipeline = probe_tasks.write_data_set(pathlib.Path(folder), tasks)
            out, _ = probe_tasks.run(args.binary, pipeline, n_train)
            probes = {row["task"]: row for row in pl.read_parquet(out / "probes.parquet").iter_rows(named=True)}
            predictions = pl.read_parquet(out / "predictions.parquet").partition_by("task", as_dict=True)
        for task in tasks:
            differences, distance = compare(task, n_train, probes[task.name], predictions[(task.name,)], found)
            worst = max(worst, distance)
            found["fits"] += 1
            if differences:
                n_different += 1
                print(f"{task.name}, n_train {n_train}: " + "; ".join(differences), flush=True)
    print(f"{args.tasks} tasks, seed {args.seed}; equal: " + ", ".join(f"{n} {key}" for key, n in found.items()))
    print(f"{n_different} fits differ; decisions differ by at most {worst:.1e} of the largest in their task")
    return 1 if n_different else 0


if __name__ == "__main__":
    raise SystemExit(main())
