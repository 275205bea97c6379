"""Writes fixtures/intervals.json: the mean over tasks resampled by NumPy, Wilson's intervals by SciPy, areas under ROC
curves by scikit-learn.

Float64 values are held as the integer with the same 64 bits, scores as text of zeros and ones.
"""

import json
import pathlib

import numpy as np
import scipy
import sklearn
from scipy.stats import binomtest, norm
from sklearn.metrics import roc_auc_score

SCRIPT_VERSION = 1
OUT = pathlib.Path(__file__).parent.parent / "fixtures" / "intervals.json"
ALPHAS = [0.05, 0.32, 0.001]


def bits(values) -> list[int]:
    return np.asarray(values, dtype=np.float64).view(np.uint64).tolist()


def quantiles(means: np.ndarray) -> list[list[int]]:
    assert means.dtype == np.float64
    return [bits([np.quantile(means, alpha / 2), np.quantile(means, 1 - alpha / 2)]) for alpha in ALPHAS]


def tasks(names: list[str], resamples: int, seed: int) -> dict:
    made = np.random.default_rng(len(names))
    names = sorted(names)
    scores = {name: (made.random(made.integers(3, 40)) < made.uniform(0.4, 1)).astype(float) for name in names}
    of_tasks = []
    for name in names:
        n = len(scores[name])
        rng = np.random.default_rng([seed, *name.encode()])
        of_tasks.append(scores[name][rng.integers(0, n, size=(resamples, n), dtype=np.int32)].mean(axis=1))
    these_tasks = np.mean(of_tasks, axis=0)

    m = len(names)
    accuracies = np.array([scores[name].mean() for name in names])
    drawn = np.random.default_rng(seed).integers(0, m, size=(resamples, m), dtype=np.int32)
    like_these = accuracies[drawn].mean(axis=1)
    return {
        "seed": seed,
        "resamples": resamples,
        "names": names,
        "scores": ["".join(str(int(score)) for score in scores[name]) for name in names],
        "these_tasks": bits(these_tasks),
        "these_tasks_intervals": quantiles(these_tasks),
        "tasks_like_these": bits(like_these),
        "tasks_like_these_intervals": quantiles(like_these),
    }


def wilson(n_right: int, n: int, alpha: float) -> dict:
    """Wilson's formula with SciPy's normal quantile from the tail, which keeps the digits of a small alpha."""
    z, share = norm.isf(alpha / 2), n_right / n
    center = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half_width = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    ends = [center - half_width, center + half_width]
    if alpha >= 0.001:  # SciPy's own takes the quantile at 1 - alpha / 2
        scipys = binomtest(n_right, n).proportion_ci(confidence_level=1 - alpha, method="wilson")
        assert np.allclose(ends, scipys, rtol=0, atol=1e-13)
    return {"n_right": n_right, "n": n, "alpha": bits([alpha])[0], "ends": bits(ends)}


def area(n: int, share: float, decimals: int, seed: int) -> dict:
    """Decision values that are rounded to few decimals have many ties."""
    rng = np.random.default_rng(seed)
    label = rng.random(n) < share
    label[:2] = [True, False]
    decision = np.round(rng.normal(size=n) + 0.7 * label, decimals)
    return {
        "labels": "".join(str(int(one)) for one in label),
        "decisions": bits(decision),
        "n_values": len(np.unique(decision)),
        "area": bits([roc_auc_score(label, decision)])[0],
    }


NEWT_NAMES = ["ml_age_coopers_hawk", "ml_bio_is_at_flower", "fgvcx_plant_pathology_healthy_vs_sick", "größe"]
WILSON = [(5, 5), (0, 5), (1, 1), (0, 1), (50, 50), (110, 110), (3, 7), (81, 263), (18_000, 18_024), (1, 10**6)]
fixture = {
    "script": f"intervals.py, version {SCRIPT_VERSION}",
    "numpy": np.__version__,
    "scipy": scipy.__version__,
    "sklearn": sklearn.__version__,
    "alphas": bits(ALPHAS),
    "tasks": [
        tasks(["a"], 20, 17),
        tasks(["b", "a"], 100, 0),
        tasks(NEWT_NAMES, 200, 17),
        tasks([f"task_{i}" for i in range(12)], 101, 2**32 + 5),
    ],
    "wilson": [wilson(n_right, n, alpha) for n_right, n in WILSON for alpha in [0.05, 0.32, 0.001, 1e-9, 1e-13]],
    "areas": [area(2, 0.5, 6, 0), area(50, 0.5, 6, 1), area(50, 0.3, 0, 2), area(200, 0.5, 1, 3), area(110, 0.9, 2, 4)],
}
OUT.write_text(json.dumps(fixture, separators=(",", ":"), ensure_ascii=False).replace('{"', '\n{"').lstrip() + "\n")
print(OUT.stat().st_size)
