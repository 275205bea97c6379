"""Writes fixtures/probe_spelled.json: probes with other settings than the reference's, and the candidates of searches.

Settings are written as newt-pipe writes a probe (`plan --full`, cache keys); tasks are those of probe.py.
"""

import json
import pathlib
import sys

# First: it keeps NumPy from its AVX-512 loops before NumPy is loaded.
import probe as tasks

import numpy as np
import scipy.stats
from sklearn.model_selection import GridSearchCV, ParameterGrid, ParameterSampler, RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

SCRIPT_VERSION = 2
OUT = pathlib.Path(__file__).parent.parent / "fixtures" / "probe_spelled.json"

PLAIN = {
    "center": True,
    "l2": True,
    "standardize": False,
    "kernel": "linear",
    "c": 1.0,
    "gamma": "scale",
    "degree": 3,
    "coef0": 0.0,
    "tol": 0.001,
    "shrinking": True,
    "max_iter": -1,
    "class_weight": None,
    "search": None,
    "solver": "smo",
}


def space(values):
    return scipy.stats.loguniform(*values["loguniform"]) if isinstance(values, dict) else values


def parameters(search: dict) -> dict:
    return {"svc__C": space(search["c"]), "svc__gamma": space(search["gamma"]), "svc__kernel": search["kernels"]}


def model(settings: dict):
    weight = settings["class_weight"]
    svc = SVC(
        kernel=settings["kernel"],
        C=settings["c"],
        gamma=settings["gamma"],
        degree=settings["degree"],
        coef0=settings["coef0"],
        tol=settings["tol"],
        shrinking=settings["shrinking"],
        max_iter=settings["max_iter"],
        class_weight=dict(enumerate(weight)) if isinstance(weight, list) else weight,
    )
    pipeline = make_pipeline(*([StandardScaler()] if settings["standardize"] else []), svc)
    search = settings["search"]
    if search is None:
        return pipeline
    if search["strategy"] == "grid":
        return GridSearchCV(pipeline, parameters(search), cv=search["folds"], n_jobs=2)
    return RandomizedSearchCV(
        pipeline,
        parameters(search),
        n_iter=search["n_iter"],
        random_state=search["seed"],
        cv=search["folds"],
        n_jobs=2,
    )


def prepared(settings: dict, x_train: np.ndarray, x_test: np.ndarray):
    if settings["center"]:
        x_mean = x_train.mean(axis=0, keepdims=True)
        x_train, x_test = x_train - x_mean, x_test - x_mean
    if settings["l2"]:
        x_train, x_test = tasks.l2_normalize(x_train), tasks.l2_normalize(x_test)
    return x_train, x_test


def case(number: int, kind: str, d: int, counts, strength: int, changes: dict) -> dict:
    settings = PLAIN | changes
    recipe = tasks.recipe(kind, 77 * number + 5, d, counts, interleaved=True, strength=strength)
    x_train, y_train, x_test = tasks.made(recipe)
    x_train, x_test = prepared(settings, x_train, x_test)
    name = f"{number:02}_{kind}_d{d}_{counts[0]}+{counts[1]}_" + "_".join(changes)
    print(name, file=sys.stderr)
    return {
        "name": name,
        "probe": settings,
        **recipe,
        **tasks.outcome(model(settings), x_train, y_train, x_test),
    }


def plan():
    """(kind, d, (train rows of label 0, of label 1), strength, settings that differ from PLAIN)"""
    rbf, poly, sigmoid = {"kernel": "rbf"}, {"kernel": "poly"}, {"kernel": "sigmoid"}
    scaled = {"standardize": True}
    for kernel in ({}, rbf, poly, sigmoid):
        yield "normal", 33, (30, 34), 24, kernel
        yield "normal", 96, (40, 40), 16, kernel | {"gamma": "auto"}
        yield "relu", 64, (50, 45), 32, kernel | scaled
        yield "heavy", 48, (25, 30), 16, kernel | {"gamma": 0.5, "coef0": 0.25}
        yield "normal", 20, (40, 50), 8, kernel | {"class_weight": "balanced", "c": 10.0}
        yield "normal", 40, (60, 12), 24, kernel | {"class_weight": [2.5, 0.5]} | scaled
        yield "scales", 24, (35, 35), 24, kernel | {"center": False}
        yield "grid", 17, (45, 40), 24, kernel | {"l2": False, "center": False, "gamma": 0.01}
        yield "normal", 24, (60, 60), 8, kernel | {"shrinking": False, "tol": 1e-5}
        # Many iterations, so that the solver shrinks, reconstructs and shrinks again.
        yield "normal", 8, (70, 70), 8, kernel | {"c": 1000.0}
        yield "normal", 8, (20, 20), 16, kernel | {"c": 0.001}
        yield "duplicates", 12, (41, 40), 8, kernel | {"c": 50.0}
        yield "low_rank", 30, (50, 50), 4, kernel | {"c": 1000.0, "tol": 0.01} | scaled
        yield "constant", 8, (6, 5), 0, kernel
        yield "normal", 8, (1, 1), 16, kernel
        yield "normal", 16, (1, 9), 16, kernel | scaled
    for degree in (0, 1, 2, 5, 8):
        yield "normal", 24, (30, 30), 16, poly | {"degree": degree, "coef0": 1.0, "gamma": 0.7}
    # Not positive definite: curvature below zero, and a decision that is far from convex.
    for gamma, coef0 in ((5.0, 0.0), (5.0, -1.0), (50.0, 0.5), (1.0, -3.0)):
        yield "normal", 12, (40, 40), 16, sigmoid | {"gamma": gamma, "coef0": coef0, "c": 100.0}
    yield "normal", 300, (150, 150), 4, rbf | {"c": 3.0} | scaled
    yield "normal", 16, (300, 300), 8, rbf | {"c": 100.0, "gamma": 1.0}
    yield "normal", 16, (600, 500), 8, {"c": 5.0}
    for search in searches():
        yield "normal", 48, (32, 30), 24, {"search": search} | scaled
        yield "grid", 24, (30, 9), 32, {"search": search, "class_weight": "balanced"}
    yield from hard()


def hard():
    """What only odd settings or features lead to."""
    raw = {"center": False, "l2": False}
    # More than ten million iterations.
    yield "normal", 3, (12, 12), 10, raw | {"c": 1e6, "tol": 1e-6}
    for kernel in ("linear", "rbf", "sigmoid", "poly"):
        # Ends before the tolerance is met, with variables out of the selection and without.
        for limit in (1, 150, 400):
            yield "normal", 8, (70, 70), 8, {"kernel": kernel, "c": 1000.0, "max_iter": limit}
        # Few distinct values: ties, down to rows that stand in both classes.
        yield "grid", 3, (40, 40), 8, raw | {"kernel": kernel}
        yield "grid", 1, (30, 30), 64, raw | {"kernel": kernel, "c": 10.0}
    for d, gamma in ((2, 1.0), (20, 0.05), (80, 0.5), (80, "auto")):
        yield "offset", d, (40, 45), 64, raw | {"kernel": "rbf", "gamma": gamma, "c": 10.0}
    # Kernel values around the largest f32: some are infinite, and so gradients, or not a number.
    for degree, scale in ((9, 38.5), (3, 39), (9, 40), (5, 39), (7, 39)):
        # Few digits, as serde_json reads them exactly.
        gamma = float(f"{10 ** (scale / degree) / 1e13:.2e}")
        yield "huge", 8, (20, 24), 32, raw | {"kernel": "poly", "degree": degree, "gamma": gamma, "max_iter": 5000}


def searches():
    kernels = ["poly", "rbf", "linear", "sigmoid"]
    yield {
        "strategy": "grid", "folds": 5, "c": [0.01, 0.1, 1.0, 10.0], "gamma": [0.001, 0.01], "kernels": kernels,
    }  # fmt: skip
    yield {
        "strategy": "grid", "folds": 3, "c": [1.0, 100.0, 0.1, 1.0], "gamma": [0.02], "kernels": ["linear", "rbf"],
    }  # fmt: skip
    yield {
        "strategy": "random", "n_iter": 10, "seed": 1, "folds": 8,
        "c": [0.01, 0.1, 1.0, 10.0], "gamma": [0.001, 0.01, 0.1], "kernels": kernels,
    }  # fmt: skip
    # More asked for than there are.
    yield {
        "strategy": "random", "n_iter": 100, "seed": 2, "folds": 2,
        "c": [0.5, 5.0], "gamma": [0.05, 0.5], "kernels": ["rbf", "sigmoid"],
    }  # fmt: skip
    yield {
        "strategy": "random", "n_iter": 20, "seed": 3, "folds": 4,
        "c": {"loguniform": [0.1, 100.0]}, "gamma": [0.003, 0.03, 0.3], "kernels": ["rbf", "poly"],
    }  # fmt: skip
    yield {
        "strategy": "random", "n_iter": 20, "seed": 4, "folds": 10,
        "c": [1.0], "gamma": {"loguniform": [1e-4, 1.0]}, "kernels": ["rbf"],
    }  # fmt: skip


def draws():
    """Searches of which only the candidates are held."""
    reference = {
        "strategy": "random", "n_iter": 100, "seed": 42, "folds": 2,
        "c": {"loguniform": [1e-3, 1e1]}, "gamma": {"loguniform": [1e-4, 1e-3]},
        "kernels": ["rbf", "linear", "sigmoid", "poly"],
    }  # fmt: skip
    for seed in (42, 0, 1, 2, 3, 2**32 - 1):
        yield reference | {"seed": seed}
    yield reference | {"c": {"loguniform": [1e-12, 1e3]}, "gamma": {"loguniform": [0.9, 1.1]}, "seed": 5}
    values = [float(value) for value in range(1, 31)]
    lists = reference | {"c": values, "gamma": values}
    # A permutation; repeated draws (less than 1%); a reservoir (more than 99%).
    for n_iter, kernels in ((100, ["rbf", "linear"]), (9, ["rbf", "linear", "poly"]), (899, ["linear"])):
        yield lists | {"n_iter": n_iter, "kernels": kernels, "seed": 6}
    yield lists | {"n_iter": 50, "c": {"loguniform": [0.1, 1.0]}, "seed": 7}
    yield {name: value for name, value in lists.items() if name not in ("n_iter", "seed")} | {"strategy": "grid"}


def drawn(search: dict) -> dict:
    if search["strategy"] == "grid":
        candidates = list(ParameterGrid(parameters(search)))
    else:
        candidates = list(ParameterSampler(parameters(search), search["n_iter"], random_state=search["seed"]))
    return {
        "search": search,
        "c": tasks.numbers(candidate["svc__C"] for candidate in candidates),
        "gamma": tasks.numbers(candidate["svc__gamma"] for candidate in candidates),
        "kernels": " ".join(candidate["svc__kernel"] for candidate in candidates),
    }


if __name__ == "__main__":
    fixture = {
        "script": f"probe_spelled.py, version {SCRIPT_VERSION}; tasks of probe.py, version {tasks.SCRIPT_VERSION}",
        **tasks.versions(),
        "tasks": [case(number, *arguments) for number, arguments in enumerate(plan())],
        "draws": [drawn(search) for search in draws()],
    }
    text = json.dumps(fixture, separators=(",", ":"))
    OUT.write_text(text.replace('{"name"', '\n{"name"').replace('{"search":{"strat', '\n{"search":{"strat') + "\n")
    print(len(fixture["tasks"]), "tasks,", OUT.stat().st_size, "bytes", file=sys.stderr)
