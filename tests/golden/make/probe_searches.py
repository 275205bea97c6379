"""Writes fixtures/probe_searches.json: searches over lists of spaces and over rules for gamma, and tasks of one feature.

Searches are written as newt-pipe writes them in cache keys; tasks are those of probe.py.
"""

import json
import pathlib
import sys

# First: it keeps NumPy from its AVX-512 loops before NumPy is loaded.
import probe as tasks
import probe_spelled as spelled

from sklearn.model_selection import GridSearchCV, ParameterGrid, ParameterSampler, RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

SCRIPT_VERSION = 1
OUT = pathlib.Path(__file__).parent.parent / "fixtures" / "probe_searches.json"

# What a parameter is that a space leaves out: it stands in a list of its own here, and in no dict of scikit-learn's.
DEFAULTS = {"c": 1.0, "gamma": "scale", "kernels": "linear"}
NAMES = {"c": "svc__C", "gamma": "svc__gamma", "kernels": "svc__kernel"}


def parameters(search: dict) -> list:
    return [
        {NAMES[key]: spelled.space(space[key]) for key, default in DEFAULTS.items() if space[key] != [default]}
        for space in search.get("spaces", [search])
    ]


def model(search: dict | None, standardize: bool):
    svc = SVC(C=DEFAULTS["c"], gamma=DEFAULTS["gamma"], kernel=DEFAULTS["kernels"] if search else "rbf")
    pipeline = make_pipeline(*([StandardScaler()] if standardize else []), svc)
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


def case(number: int, kind: str, d: int, counts, strength: int, changes: dict) -> dict:
    settings = {"center": True, "l2": True, "standardize": False, "search": None} | changes
    recipe = tasks.recipe(kind, 91 * number + 3, d, counts, interleaved=True, strength=strength)
    x_train, y_train, x_test = tasks.made(recipe)
    x_mean = x_train.mean(axis=0)
    x_train, x_test = spelled.prepared(settings, x_train, x_test)
    fitted = model(settings["search"], settings["standardize"])
    outcome = tasks.outcome(fitted, x_train, y_train, x_test)
    scaler = getattr(fitted, "best_estimator_", fitted)[0] if settings["standardize"] else None
    name = f"{number:02}_{kind}_d{d}_{counts[0]}+{counts[1]}_" + "_".join(changes)
    print(name, outcome["kernel"], outcome["gamma"], file=sys.stderr)
    return {
        "name": name,
        "settings": settings,
        **recipe,
        **outcome,
        "mean": tasks.numbers(x_mean if settings["center"] else []),
        "scaler_mean": tasks.numbers(scaler.mean_ if scaler else []),
        "scaler_scale": tasks.numbers(scaler.scale_ if scaler else []),
    }


def plan():
    """(kind, d, (train rows of label 0, of label 1), strength, settings that differ from the reference's)"""
    scaled = {"standardize": True}
    for search in searches():
        yield "normal", 24, (30, 28), 24, {"search": search} | scaled
        yield "grid", 16, (20, 33), 32, {"search": search}
    # One column is summed pairwise.
    for counts in ((4, 3), (5, 4), (60, 70), (150, 151)):
        yield "normal", 1, counts, 64, {"l2": False}
        yield "heavy", 1, counts, 64, {"l2": False} | scaled
        yield "normal", 1, counts, 32, {"l2": False, "center": False} | scaled
        yield "normal", 1, counts, 64, scaled
    yield "normal", 1, (40, 41), 64, {"l2": False, "search": next(searches())} | scaled


def searches():
    log = lambda low, high: {"loguniform": [low, high]}
    random = {"strategy": "random", "n_iter": 20, "seed": 1, "folds": 3}
    # Rules for gamma are resolved on the rows of each fit.
    yield random | {"c": log(0.1, 100.0), "gamma": ["scale", "auto", 0.3], "kernels": ["rbf", "poly"]}
    yield {"strategy": "grid", "folds": 4, "c": [0.1, 1.0, 10.0], "gamma": ["auto", "scale"], "kernels": ["sigmoid", "rbf"]}
    linear = {"c": [0.01, 0.1, 1.0, 10.0], "gamma": ["scale"], "kernels": ["linear"]}
    curved = {"c": [1.0, 30.0], "gamma": [0.01, "scale", 1.0], "kernels": ["rbf", "poly"]}
    # As scikit-learn's user guide has it: no gamma where the kernel is linear.
    yield {"strategy": "grid", "folds": 5, "spaces": [linear, curved]}
    yield {"strategy": "grid", "folds": 2, "spaces": [curved, linear, curved]}
    # All lists: drawn without replacement.
    yield random | {"n_iter": 7, "seed": 8, "spaces": [linear, curved]}
    # One distribution suffices for draws with replacement.
    yield random | {"seed": 2, "spaces": [linear, curved | {"c": log(0.1, 10.0)}]}
    yield random | {
        "seed": 3,
        "spaces": [
            {"c": log(1e-3, 1.0), "gamma": ["scale"], "kernels": ["linear"]},
            {"c": [1.0], "gamma": log(1e-3, 10.0), "kernels": ["rbf", "sigmoid"]},
            {"c": log(1.0, 50.0), "gamma": ["auto", 0.2], "kernels": ["poly"]},
        ],
    }


def draws():
    """Searches of which only the candidates are held."""
    for search in searches():
        for n_iter, seed in ((1, 0), (60, 42), (300, 2**32 - 1)) if search["strategy"] == "random" else ((0, 0),):
            yield search | ({"n_iter": n_iter, "seed": seed} if n_iter else {}) | {"folds": 2}


def drawn(search: dict) -> dict:
    if search["strategy"] == "grid":
        candidates = list(ParameterGrid(parameters(search)))
    else:
        candidates = list(ParameterSampler(parameters(search), search["n_iter"], random_state=search["seed"]))
    gammas = [candidate.get("svc__gamma", DEFAULTS["gamma"]) for candidate in candidates]
    return {
        "search": search,
        "c": tasks.numbers(candidate.get("svc__C", DEFAULTS["c"]) for candidate in candidates),
        "gamma": " ".join(gamma if isinstance(gamma, str) else repr(float(gamma)) for gamma in gammas),
        "kernels": " ".join(candidate.get("svc__kernel", DEFAULTS["kernels"]) for candidate in candidates),
    }


if __name__ == "__main__":
    fixture = {
        "script": f"probe_searches.py, version {SCRIPT_VERSION}; tasks of probe.py, version {tasks.SCRIPT_VERSION}",
        **tasks.versions(),
        "tasks": [case(number, *arguments) for number, arguments in enumerate(plan())],
        "draws": [drawn(search) for search in draws()],
    }
    text = json.dumps(fixture, separators=(",", ":"))
    OUT.write_text(text.replace('{"name"', '\n{"name"').replace('{"search":{"strat', '\n{"search":{"strat') + "\n")
    print(len(fixture["tasks"]), "tasks,", OUT.stat().st_size, "bytes", file=sys.stderr)
