"""Writes fixtures/probe_protocols.json: tasks under the protocols bioclip-2, birder, knn and simpleshot.

The tasks are those of probe.py, which says why NumPy goes without its loops for AVX-512.
"""

import json
import math
import pathlib
import sys
import warnings

# First: it keeps NumPy from its AVX-512 loops before NumPy is loaded.
import probe as tasks

import numpy as np
import sklearn.model_selection
import sklearn.neighbors
import sklearn.preprocessing
import sklearn.svm
import scipy.stats

SCRIPT_VERSION = 1
OUT = pathlib.Path(__file__).parent.parent / "fixtures" / "probe_protocols.json"

SEEDS = (0, 1, 2)


# bioclip-2 and birder: centred rows of unit length, the same search with three seeds, whatever the number of train rows.


def search(seed: int) -> sklearn.model_selection.RandomizedSearchCV:
    model = tasks.init_svc(100)
    return model.set_params(random_state=seed)


def searched(name: str, recipe: dict) -> dict:
    x_train, y_train, x_test = tasks.made(recipe)
    x_train, x_test = tasks.normalized(x_train, x_test)
    runs = []
    for seed in SEEDS:
        model = search(seed)
        outcome = tasks.outcome(model, x_train, y_train, x_test)
        runs.append({"seed": seed, "chosen": int(model.best_index_), **outcome})
    print(name, [(run["chosen"], run["kernel"]) for run in runs], file=sys.stderr)
    return {"name": name, **recipe, "runs": runs}


def searched_plan():
    """(kind, d, (train rows of label 0, of label 1), strength, whether labels are mixed)"""
    kinds = ["normal", "heavy", "low_rank", "relu", "duplicates", "scales"]
    for i, kind in enumerate(kinds):
        yield kind, (33, 96, 384)[i % 3], (10, 10), (32, 64)[i % 2], False
        yield kind, (96, 384, 33)[i % 3], (37, 44), (16, 32)[i % 2], True
    # The size that the protocols are used with, classes out of balance, fewer rows of a class than folds, few values.
    yield "normal", 96, (50, 50), 16, False
    yield "normal", 96, (60, 6), 32, True
    yield "relu", 33, (3, 40), 32, True
    yield "grid", 16, (20, 33), 32, True
    yield "constant", 16, (10, 10), 0, True


# knn.


def similarities(x_train: np.ndarray, x_test: np.ndarray) -> np.ndarray:
    """Dot products, rounded once: the products of two float32 are exact in float64."""
    products = x_test.astype(np.float64)[:, None, :] * x_train.astype(np.float64)[None, :, :]
    return np.array([[math.fsum(pair.tolist()) for pair in row] for row in products])


def votes(similar: np.ndarray, y_train: np.ndarray, k: int, temperature: float) -> np.ndarray:
    """Votes for label 1 less those for label 0; of equally near train rows the first is the nearest."""
    nearest = np.argsort(-similar, axis=1, kind="stable")[:, :k]
    near = np.take_along_axis(similar, nearest, axis=1) / temperature
    weights = np.exp(near - near.max(axis=1, keepdims=True))
    labels = y_train[nearest]
    for_label = [(weights * (labels == label)).sum(axis=1) for label in (0, 1)]
    return (for_label[1] - for_label[0]) / (for_label[0] + for_label[1])


def is_clear(similar: np.ndarray, x_train: np.ndarray, y_train: np.ndarray, k: int) -> bool:
    """Whether nowhere the last bit of a sum decides which label votes last: who is there has one label, or one row."""
    last = -np.sort(-similar, axis=1)[:, k - 1 :][:, :2]
    for near, (inside, *outside) in zip(similar, last):
        if outside and inside - outside[0] < 1e-12:
            there = np.abs(near - inside) < 1e-12
            if len(np.unique(y_train[there])) > 1 and len(np.unique(x_train[there], axis=0)) > 1:
                return False
    return True


def by_scikit_learn(x_train, y_train, x_test, k: int, temperature: float) -> np.ndarray:
    """Of unit rows, u·v = 1 - |u - v|² / 2."""
    model = sklearn.neighbors.KNeighborsClassifier(
        k, algorithm="brute", weights=lambda distance: np.exp(-(distance**2) / (2 * temperature))
    )
    return model.fit(x_train.astype(np.float64), y_train).predict(x_test.astype(np.float64))


def by_birder(x_train, y_train, x_test, k: int, temperature: float) -> np.ndarray:
    """In float32 throughout, with whichever of equally near rows come first."""
    similar = x_test @ x_train.T
    nearest = np.argsort(-similar, axis=1)[:, :k]
    near = np.take_along_axis(similar, nearest, axis=1) / np.float32(temperature)
    weights = np.exp(near - near.max(axis=1, keepdims=True))
    for_label = [(weights * (y_train[nearest] == label)).sum(axis=1) for label in (0, 1)]
    return np.argmax(for_label, axis=0)


def neighbours(name: str, recipe: dict, settings) -> dict:
    x_train, y_train, x_test = tasks.made(recipe)
    x_train, x_test = tasks.l2_normalize(x_train), tasks.l2_normalize(x_test)
    similar = similarities(x_train, x_test)
    voted = []
    for k, temperature in settings:
        n_votes = min(k, len(y_train))
        decision = votes(similar, y_train, n_votes, temperature)
        y_pred = (decision > 0).astype(int)
        assert is_clear(similar, x_train, y_train, n_votes), (name, k)
        sure = np.abs(decision) > 1e-6
        arguments = (x_train, y_train, x_test, n_votes, temperature)
        # Of rows that are equally near, scikit-learn takes any.
        repeated = len(np.unique(x_train, axis=0)) < len(x_train)
        if not repeated:
            assert (by_scikit_learn(*arguments) == y_pred)[sure].all(), (name, k)
        n_other = int((by_birder(*arguments) != y_pred).sum())
        print(name, k, temperature, f"{sure.sum()} sure; birder's float32: {n_other} other", file=sys.stderr)
        voted.append({"k": k, "temperature": tasks.numbers([temperature]), **decided(y_pred, decision)})
    return {"name": name, **recipe, "votes": voted}


def decided(y_pred: np.ndarray, decision: np.ndarray) -> dict:
    return {"y_pred": "".join(str(label) for label in y_pred), "decision": tasks.numbers(decision)}


# simpleshot.


def centroids(name: str, recipe: dict) -> dict:
    x_train, y_train, x_test = tasks.made(recipe)
    x_train, x_test = tasks.normalized(x_train, x_test)
    means = [x_train[y_train == label].mean(axis=0).astype(np.float64) for label in (0, 1)]
    squares = [((x_test.astype(np.float64) - mean) ** 2).sum(axis=1) for mean in means]
    decision = squares[0] - squares[1]
    y_pred = np.argmin(squares, axis=0)
    # scikit-learn refuses rows that are all alike.
    if np.ptp(x_train, axis=0).any():
        with warnings.catch_warnings():
            # It warns of constant columns, which it asks for its decision function only.
            warnings.simplefilter("ignore")
            theirs = sklearn.neighbors.NearestCentroid().fit(x_train, y_train).predict(x_test)
        assert (theirs == y_pred).all(), name
    print(name, f"least {np.abs(decision).min():.1e}", file=sys.stderr)
    return {"name": name, **recipe, **decided(y_pred, decision)}


def nearest_plan():
    """(kind, d, (train rows of label 0, of label 1), strength, whether labels are mixed)"""
    kinds = ["normal", "heavy", "low_rank", "relu", "duplicates", "scales"]
    for i, kind in enumerate(kinds):
        yield kind, (33, 96, 384)[i % 3], ((2, 3), (10, 10), (37, 44))[i % 3], (32, 64)[i % 2], i % 3 == 2
        yield kind, (96, 384, 33)[i % 3], ((50, 50), (10, 10), (2, 3))[i % 3], (16, 32)[i % 2], False
    yield "normal", 96, (60, 6), 32, True
    yield "relu", 33, (3, 40), 32, True
    yield "duplicates", 33, (21, 20), 8, True
    yield "grid", 64, (30, 25), 32, True
    yield "constant", 16, (11, 10), 0, True
    yield "normal", 1, (9, 8), 64, True
    yield "normal", 768, (50, 50), 8, False


def named(number: int, kind: str, d: int, counts, strength: int, mixed: bool) -> tuple[str, dict]:
    name = f"{number:02}_{kind}_d{d}_{counts[0]}+{counts[1]}"
    return name, tasks.recipe(kind, 1000 * number + 13, d, counts, mixed, strength)


if __name__ == "__main__":
    nearest = [named(number, *arguments) for number, arguments in enumerate(nearest_plan())]
    settings = [(20, 0.07), (1, 0.07), (7, 0.01), (4, 1.0)]
    fixture = {
        "script": f"probe_protocols.py, version {SCRIPT_VERSION}; tasks of probe.py, version {tasks.SCRIPT_VERSION}",
        **tasks.versions(),
        # Of few values, many rows are equally near.
        "knn": [neighbours(*task, settings) for task in nearest if task[1]["kind"] != "grid"],
        "simpleshot": [centroids(*task) for task in nearest],
        "searched": [searched(*named(number, *rest)) for number, rest in enumerate(searched_plan())],
    }
    OUT.write_text(json.dumps(fixture, separators=(",", ":")).replace('{"name"', '\n{"name"') + "\n")
    print({key: len(value) for key, value in fixture.items() if isinstance(value, list)}, OUT.stat().st_size)
