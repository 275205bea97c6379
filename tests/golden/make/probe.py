"""Writes fixtures/probe.json: small tasks through NumPy and scikit-learn, as BioBench's NeWT probe runs them.

Features come from a recipe of 64-bit integers that tests/golden/probe_tasks.rs repeats, so the fixture holds only results.

NumPy's loops for AVX-512 round `exp` and `log` differently from its other ones in the last bit, and so C and gamma
of some candidates; the fixture is made without them, as most machines have it.
"""

import os

os.environ["NPY_DISABLE_CPU_FEATURES"] = "X86_V4 AVX512_ICL AVX512_SPR"

import json
import pathlib
import sys
import warnings

import numpy as np
import scipy
import scipy.stats
import sklearn
import sklearn.model_selection
import sklearn.pipeline
import sklearn.preprocessing
import sklearn.svm
import threadpoolctl

SCRIPT_VERSION = 1
OUT = pathlib.Path(__file__).parent.parent / "fixtures" / "probe.json"


# The recipe. Everything is exact in 64-bit integers; the last step divides by 2^16 in float32, which is exact, too.


def splitmix64(seed: int, n: int) -> np.ndarray:
    """The first n values of SplitMix64."""
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def noise(seed: int, n: int) -> np.ndarray:
    """Near-normal integers of standard deviation 37,837: the four 16-bit parts of each draw, added and centred."""
    bits = splitmix64(seed, n)
    parts = sum((bits >> np.uint64(shift)) & np.uint64(0xFFFF) for shift in (0, 16, 32, 48))
    return parts.astype(np.int64) - 131_070


def features(kind: str, seed: int, labels: np.ndarray, d: int, strength: int) -> np.ndarray:
    """[n, d] f32. `strength` (in 1/256) scales the distance between the classes."""
    n = len(labels)
    x = noise(seed, n * d).reshape(n, d)
    direction = noise(seed + 1, d)
    signal = np.where(labels[:, None] == 1, 1, -1) * direction[None, :] * strength // 256
    if kind == "normal":
        x = x + signal
    elif kind == "heavy":
        # The cube of near-normal noise: a few values dominate a row.
        x = ((x >> 1) ** 3 >> 31) + signal
    elif kind == "low_rank":
        rank = 4
        left = noise(seed + 2, n * rank).reshape(n, rank) >> 8
        right = noise(seed + 3, rank * d).reshape(rank, d) >> 8
        x = left @ right + signal + (x >> 8)
    elif kind == "relu":
        # Sparse and non-negative, with a mean far from zero; every fifth column is constant.
        x = np.maximum(x + signal, 0) + 200_000
        x[:, ::5] = 123_457
    elif kind == "duplicates":
        # Each row twice; with an odd number of rows between classes some twins have different labels.
        x = (x + signal)[(np.arange(n) // 2) * 2]
    elif kind == "scales":
        # Columns differ in size by up to 2^12.
        x = (x + signal) >> (np.arange(d) % 13)[None, :]
    elif kind == "constant":
        x = np.full((n, d), 54_321, dtype=np.int64)
    elif kind == "grid":
        # Few distinct values: many rows, distances and decisions are tied.
        x = (x + signal) >> 16 << 16
    elif kind == "huge":
        # Rows of 1e6, whose powers overflow.
        x = (x + signal) << 21
    elif kind == "offset":
        # A constant column that is some 10^7 times as large as the others: |x|² + |y|² - 2 x·y cancels.
        x = (x + signal) >> (np.arange(d) % 5)[None, :]
        x[:, 0] = 1 << 37
    else:
        raise ValueError(kind)
    return (x / 65_536).astype(np.float32)


def task_labels(seed: int, n_zeros: int, n_ones: int, interleaved: bool) -> np.ndarray:
    """Zeros first, or in the order of a SplitMix64 draw per row."""
    labels = np.repeat([0, 1], [n_zeros, n_ones])
    if interleaved:
        labels = labels[np.argsort(splitmix64(seed, len(labels)), kind="stable")]
    return labels


# The reference.


def init_svc(n_train: int):
    """Follows biobench.newt.init_svc."""
    if n_train < 10:
        return sklearn.pipeline.make_pipeline(sklearn.svm.SVC(kernel="linear"))
    return sklearn.model_selection.RandomizedSearchCV(
        sklearn.pipeline.make_pipeline(sklearn.preprocessing.StandardScaler(), sklearn.svm.SVC(C=1.0, kernel="rbf")),
        {
            "svc__C": scipy.stats.loguniform(a=1e-3, b=1e1),
            "svc__kernel": ["rbf", "linear", "sigmoid", "poly"],
            "svc__gamma": scipy.stats.loguniform(a=1e-4, b=1e-3),
        },
        n_iter=100,
        n_jobs=2,
        random_state=42,
    )


def l2_normalize(features: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(features, ord=2, axis=1, keepdims=True)
    # Where the reference would go on with NaN, a zero row stays zero.
    return features / np.where(norms == 0, np.float32(1), norms)


def normalized(x_train: np.ndarray, x_test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x_mean = x_train.mean(axis=0, keepdims=True)
    return l2_normalize(x_train - x_mean), l2_normalize(x_test - x_mean)


def numbers(values) -> str:
    """Shortest decimals that read back as the same f64 (serde_json reads numbers to within one unit only)."""
    return " ".join(repr(float(value)) for value in values)


def outcome(model, x_train: np.ndarray, y_train: np.ndarray, x_test: np.ndarray) -> dict:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(x_train, y_train)
    searched = hasattr(model, "best_estimator_")
    svc = (model.best_estimator_ if searched else model)[-1]
    return {
        "kernel": svc.kernel,
        "c": numbers([svc.C]),
        "gamma": numbers([svc._gamma]),
        "cv_accuracy": numbers([model.best_score_] if searched else []),
        "cv_means": numbers(model.cv_results_["mean_test_score"] if searched else []),
        "support": svc.support_.tolist(),
        "bias": numbers(svc.intercept_),
        "y_pred": "".join(str(label) for label in model.predict(x_test)),
        "decision": numbers(model.decision_function(x_test)),
    }


def recipe(kind: str, seed: int, d: int, counts, interleaved: bool, strength: int, n_test: int = 40) -> dict:
    return {
        "kind": kind,
        "seed": seed,
        "d": d,
        "train_counts": list(counts),
        "test_counts": [n_test // 2, n_test - n_test // 2],
        "interleaved": interleaved,
        "strength": strength,
    }


def made(recipe: dict) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x_train, y_train and x_test of a recipe."""
    y_train = task_labels(recipe["seed"] + 10, *recipe["train_counts"], recipe["interleaved"])
    y_test = task_labels(recipe["seed"] + 11, *recipe["test_counts"], True)
    labels = np.concatenate([y_train, y_test])
    x = features(recipe["kind"], recipe["seed"], labels, recipe["d"], recipe["strength"])
    return x[: len(y_train)], y_train, x[len(y_train) :]


def case(name: str, kind: str, seed: int, d: int, n_train: int, counts, strength: int) -> dict:
    task = recipe(kind, seed, d, counts, n_train <= 0, strength)
    x_train, y_train, x_test = made(task)
    x_train, x_test = normalized(x_train, x_test)
    return {"name": name, "n_train": n_train, **task, **outcome(init_svc(n_train), x_train, y_train, x_test)}


def versions() -> dict:
    """Of the libraries, and the kernels that OpenBLAS has chosen for this CPU: they decide how `ddot` sums."""
    blas = {library["architecture"] for library in threadpoolctl.threadpool_info() if library["user_api"] == "blas"}
    return {
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "sklearn": sklearn.__version__,
        "openblas_kernels": " ".join(sorted(blas)),
    }


def main() -> None:
    cases = []
    for number, (kind, d, n_train, counts, strength) in enumerate(plan()):
        name = f"{number:02}_{kind}_d{d}_n{n_train}_{counts[0]}+{counts[1]}"
        cases.append(case(name, kind, 1000 * number + 7, d, n_train, counts, strength))
        print(name, cases[-1]["kernel"], cases[-1]["cv_accuracy"], file=sys.stderr)
    fixture = {
        "script": f"probe.py, version {SCRIPT_VERSION}",
        **versions(),
        "tasks": cases,
    }
    OUT.write_text(json.dumps(fixture, separators=(",", ":")).replace('{"name"', '\n{"name"') + "\n")
    print(len(cases), "tasks,", OUT.stat().st_size, "bytes", file=sys.stderr)


def plan():
    """(kind, d, n_train, (train rows of label 0, of label 1), strength)"""
    kinds = ["normal", "heavy", "low_rank", "relu", "duplicates", "scales", "grid"]
    sizes = [(5, (2, 3)), (10, (5, 5)), (11, (5, 6)), (20, (10, 10)), (50, (25, 25)), (-1, (37, 44))]
    dims = [8, 33, 96, 384, 768, 1536]
    strengths = [8, 32, 64, 16, 128]
    for i, kind in enumerate(kinds):
        for j, (n_train, counts) in enumerate(sizes):
            yield kind, dims[(i + j) % 6], n_train, counts, strengths[(i + 2 * j) % 5]
    # Unbalanced classes, and classes with fewer members than folds.
    for counts in [(25, 9), (4, 25), (25, 2), (25, 1), (1, 25), (3, 40)]:
        yield "normal", 96, 50, counts, 32
    for counts in [(60, 6), (3, 90)]:
        yield "normal", 384, -1, counts, 32
    for counts in [(5, 3), (5, 1), (2, 5)]:
        yield "heavy", 33, 10, counts, 32
    # Every row alike: all features constant, so all rows are zero after centring.
    yield "constant", 16, 20, (10, 10), 0
    yield "constant", 16, 5, (2, 3), 0
    # The sizes that the protocol is used with, and the smallest problem.
    yield "normal", 768, 100, (50, 50), 16
    yield "normal", 384, 100, (50, 50), 8
    yield "heavy", 768, 100, (50, 50), 16
    yield "relu", 384, 200, (100, 100), 12
    yield "normal", 8, -1, (1, 1), 64
    yield "normal", 8, 20, (10, 10), 0
    yield "grid", 8, -1, (60, 50), 16


if __name__ == "__main__":
    main()
