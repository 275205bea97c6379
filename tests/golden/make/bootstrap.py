"""Writes fixtures/bootstrap.json: bootstrap means of scores and quantiles of means, by NumPy.

`means` follows biobench.newt.bootstrap_scores for one model. Scores are held as hexadecimal bits, the first score
highest; float32 values as the integer with the same 32 bits.
"""

import json
import pathlib

import numpy as np

SCRIPT_VERSION = 1
OUT = pathlib.Path(__file__).parent.parent / "fixtures" / "bootstrap.json"

# (scores, share of ones, resamples, seed); 18,024 test rows and 500 resamples are NeWT's and the default.
BOOTSTRAPS = [
    (1, 1.0, 3, 0),
    (1, 0.0, 3, 1),
    (2, 0.5, 50, 17),
    (3, 0.5, 50, 17),
    (7, 0.7, 1, 2**32),
    (10, 0.0, 4, 3),
    (100, 0.9, 100, 2**63 + 5),
    (110, 0.61, 250, 17),
    (1_000, 0.5, 501, 42),
    (4_097, 0.33, 40, 17),
    (18_024, 0.81, 500, 17),
    (18_024, 0.6, 60, 0),
]
ALPHAS = [0.05, 0.1, 0.01, 0.001, 0.32, 1 / 3, 0.039, 0.5, 0.999, 1e-300]


def means(scores: np.ndarray, b: int, seed: int) -> np.ndarray:
    n = len(scores)
    i_bs = np.random.default_rng(seed).integers(0, n, size=(b, n), dtype=np.int32)
    buffer = np.empty((b, n), dtype=np.float32)
    np.take(scores, i_bs, axis=0, out=buffer)
    return buffer.mean(axis=1)


def bits32(values) -> list[int]:
    return np.asarray(values, dtype=np.float32).view(np.uint32).tolist()


def intervals(values: np.ndarray, alphas: list[float]) -> list[dict]:
    rows = []
    for alpha in alphas:
        quantiles = [np.quantile(values, alpha / 2), np.quantile(values, 1 - alpha / 2)]
        percentiles = [np.percentile(values, 100 * alpha / 2), np.percentile(values, 100 * (1 - alpha / 2))]
        listed = np.quantile(values, [alpha / 2, 1 - alpha / 2])
        assert all(value.dtype == np.float32 for value in quantiles + percentiles) and listed.dtype == np.float64
        rows.append(
            {
                # alpha is read back as the double it is: its shortest decimal form would need an exact parser.
                "alpha": int(np.float64(alpha).view(np.uint64)),
                "quantiles": bits32(quantiles),
                "percentiles_are_equal": quantiles == percentiles,
                "listed_are_equal": np.array_equal(np.array(quantiles, dtype=np.float64), listed),
            }
        )
    return rows


def bootstrap(n: int, share: float, b: int, seed: int) -> dict:
    scores = (np.random.default_rng(n).random(n) < share).astype(np.float32)
    values = means(scores, b, seed)
    return {
        "n": n,
        "scores": "".join(f"{byte:02x}" for byte in np.packbits(scores.astype(np.uint8))),
        "resamples": b,
        "seed": seed,
        "means": bits32(values),
        "intervals": intervals(values, ALPHAS),
    }


def spread() -> list[dict]:
    """Values of many magnitudes, unlike means: for these NumPy's two formulas of one interpolation can differ."""
    rows = []
    for n in [1, 2, 3, 10, 251, 501]:
        rng = np.random.default_rng(n)
        values = (rng.random(n) ** 12).astype(np.float32)
        rows.append({"values": bits32(values), "intervals": intervals(values, ALPHAS + [0.052, 0.042])})
    # The quantile lies halfway between items 243 and 244. np.percentile's place is an ulp below halfway, so that it
    # interpolates from the other end.
    low, high = np.float32(0.00017640462), np.float32(0.8144408)
    values = np.array([low] * 244 + [high] * 7, dtype=np.float32)
    rows.append({"values": bits32(values), "intervals": intervals(values, [0.052])})
    return rows


fixture = {
    "script": f"bootstrap.py, version {SCRIPT_VERSION}",
    "numpy": np.__version__,
    "bootstraps": [bootstrap(*case) for case in BOOTSTRAPS],
    "spread": spread(),
}
OUT.write_text(json.dumps(fixture, separators=(",", ":")).replace('{"n"', '\n{"n"') + "\n")
every = [interval for case in fixture["bootstraps"] + fixture["spread"] for interval in case["intervals"]]
print(OUT.stat().st_size, len(every))
print("percentiles equal:", sum(interval["percentiles_are_equal"] for interval in every))
print("listed equal:", sum(interval["listed_are_equal"] for interval in every))
