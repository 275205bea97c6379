"""Writes fixtures/probe_linear.json: tasks through scikit-learn's LinearSVC and LogisticRegression, as NeWT's paper runs them.

Tasks are those of probe.py. Both classifiers end when what is left is small, not when there is none, and on hard tasks the
last bits of sums decide where that is: with a large C for LinearSVC, and for LogisticRegression, which computes in float32
where rows are float32, where no step changes a float32 value. So scikit-learn runs each task several times: as it is, with
its columns in other orders, and for LogisticRegression in float64. The fixture holds whatever came out, and where these
runs differ all of it.
"""

import json
import pathlib
import sys
import warnings

# First: it keeps NumPy from its AVX-512 loops before NumPy is loaded.
import probe as tasks

import numpy as np
import scipy.stats
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, normalize
from sklearn.svm import LinearSVC

SCRIPT_VERSION = 1
OUT = pathlib.Path(__file__).parent.parent / "fixtures" / "probe_linear.json"

GRID = [1e-4, 1e-3, 1e-2, 0.1, 1, 10, 100, 1000]
# With a large C, LinearSVC's decision values differ by some thousandths of the largest, and few orders do not show it.
N_ORDERS = {"linear-svc": 12, "logistic-regression": 3}


def classifier(settings: dict):
    weight = settings["class_weight"]
    shared = {"class_weight": dict(enumerate(weight)) if isinstance(weight, list) else weight}
    # The defaults of scikit-learn, which hold outside of the paper's protocols.
    is_protocol = settings["search"] == "grid"
    if settings["classifier"] == "linear-svc":
        return LinearSVC(random_state=0, tol=1e-5 if is_protocol else 1e-4, dual=False, max_iter=1000, **shared)
    return LogisticRegression(tol=1e-4, solver="lbfgs", max_iter=1000 if is_protocol else 100, **shared)


def model(settings: dict):
    one = classifier(settings)
    if settings["search"] == "grid":
        return GridSearchCV(one, {"C": GRID}, cv=3, n_jobs=2)
    if settings["search"] == "random":
        name = type(one).__name__.lower()
        pipeline = make_pipeline(StandardScaler(), one)
        space = {f"{name}__C": scipy.stats.loguniform(1e-3, 1e1)}
        return RandomizedSearchCV(pipeline, space, n_iter=100, random_state=42, cv=5, n_jobs=2)
    return one.set_params(C=settings["c"])


def prepared(settings: dict, x_train: np.ndarray, x_test: np.ndarray):
    if settings["search"] != "grid":
        return tasks.normalized(x_train, x_test)
    scaler = StandardScaler().fit(x_train)
    return normalize(scaler.transform(x_train)), normalize(scaler.transform(x_test))


def run(settings: dict, x_train: np.ndarray, y_train: np.ndarray, x_test: np.ndarray) -> dict:
    fitted = model(settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted.fit(x_train, y_train)
    means = fitted.cv_results_["mean_test_score"] if settings["search"] else []
    best = fitted.best_estimator_ if settings["search"] else fitted
    return {
        "c": float((best[-1] if settings["search"] == "random" else best).C),
        "cv_means": [float(mean) for mean in means],
        "y_pred": fitted.predict(x_test),
        "decision": fitted.decision_function(x_test).astype(np.float64),
    }


def distance(a: dict, b: dict) -> float:
    """Between decision values, as a share of the largest."""
    return float(np.abs(a["decision"] - b["decision"]).max() / max(np.abs(a["decision"]).max(), 1e-300))


def outcome(settings: dict, x_train: np.ndarray, y_train: np.ndarray, x_test: np.ndarray) -> dict:
    x_train, x_test = prepared(settings, x_train, x_test)
    rng = np.random.default_rng(0)
    n_orders = N_ORDERS[settings["classifier"]] if settings["search"] == "grid" else 3
    orders = [np.arange(x_train.shape[1])] + [rng.permutation(x_train.shape[1]) for _ in range(n_orders - 1)]
    runs = [
        run(settings, np.ascontiguousarray(x_train[:, order]), y_train, np.ascontiguousarray(x_test[:, order]))
        for order in orders
    ]
    expected = runs[0]
    if settings["classifier"] == "logistic-regression":
        runs.append(run(settings, x_train.astype(np.float64), y_train, x_test.astype(np.float64)))
        # In float32 it ended elsewhere.
        if distance(runs[0], runs[-1]) > 1e-5:
            expected = runs[-1]
    alike = [other for other in runs if other["c"] == expected["c"]]
    means = [sorted(set(map(repr, several))) for several in zip(*(other["cv_means"] for other in runs))]
    agreed = [len(set(labels)) == 1 for labels in zip(*(other["y_pred"] for other in alike))]
    return {
        "c": " ".join(sorted({repr(other["c"]) for other in runs})),
        "cv_means": [" ".join(several) for several in means],
        "y_pred": "".join(str(label) if same else "?" for label, same in zip(expected["y_pred"], agreed)),
        "decision": tasks.numbers(expected["decision"]),
        "spread": max(distance(expected, other) for other in alike),
        "is_float32": expected is runs[0],
    }


def plan():
    """(kind, d, n_train, (train rows of label 0, of label 1), strength)"""
    kinds = ["normal", "heavy", "low_rank", "relu", "duplicates", "scales", "grid"]
    sizes = [(5, (2, 3)), (20, (10, 10)), (100, (50, 50)), (-1, (37, 44))]
    dims = [8, 33, 96, 384, 768]
    strengths = [8, 32, 64, 16, 128]
    for i, kind in enumerate(kinds):
        for j, (n_train, counts) in enumerate(sizes):
            yield kind, dims[(i + j) % 5], n_train, counts, strengths[(i + 2 * j) % 5]
    # Unbalanced classes, and classes with fewer members than folds.
    for counts in [(25, 9), (4, 25), (25, 2), (25, 1), (3, 90)]:
        yield "normal", 96, -1, counts, 32
    # Every row alike: all columns constant, so all rows are zero.
    yield "constant", 16, 20, (10, 10), 0
    yield "constant", 16, 5, (2, 3), 0
    yield "normal", 8, -1, (60, 50), 4


def variations():
    """The same with other settings than the paper's."""
    for weight in ["balanced", [1.0, 3.0]]:
        yield ("normal", 96, -1, (25, 9), 32), {"class_weight": weight}
        yield ("low_rank", 33, -1, (10, 31), 32), {"class_weight": weight}
    yield ("normal", 33, -1, (20, 23), 32), {"search": "random"}
    yield ("heavy", 96, 20, (10, 10), 32), {"search": "random"}
    for c in [0.1, 30.0]:
        yield ("relu", 384, 100, (50, 50), 16), {"search": None, "c": c}
        yield ("normal", 8, -1, (40, 50), 16), {"search": None, "c": c, "class_weight": "balanced"}


def cases():
    paper = {"class_weight": None, "search": "grid", "c": 1.0}
    both = [(task, {}) for task in plan()] + list(variations())
    for number, ((kind, d, n_train, counts, strength), changes) in enumerate(both):
        recipe = tasks.recipe(kind, 1000 * number + 7, d, counts, n_train <= 0, strength)
        x_train, y_train, x_test = tasks.made(recipe)
        for name in ("linear-svc", "logistic-regression"):
            settings = {"classifier": name} | paper | changes
            found = outcome(settings, x_train, y_train, x_test)
            title = f"{number:02}_{kind}_d{d}_n{n_train}_{counts[0]}+{counts[1]}_{name}"
            print(title, found["c"], f"{found['spread']:.0e}", found["is_float32"], file=sys.stderr, flush=True)
            yield {"name": title, "n_train": n_train, "settings": settings, **recipe, **found}


def main() -> None:
    fixture = {
        "script": f"probe_linear.py, version {SCRIPT_VERSION}; tasks of probe.py, version {tasks.SCRIPT_VERSION}",
        **tasks.versions(),
        "tasks": list(cases()),
    }
    OUT.write_text(json.dumps(fixture, separators=(",", ":")).replace('{"name"', '\n{"name"') + "\n")
    print(len(fixture["tasks"]), "tasks,", OUT.stat().st_size, "bytes", file=sys.stderr)


if __name__ == "__main__":
    main()
