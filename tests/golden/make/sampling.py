"""Writes fixtures/sampling.json: which rows of small label tables BioBench's rules keep.

`sample` follows biobench.newt.sample, written anew on polars' data frames. One thing is fixed that is undefined
there: tasks come in order of first appearance.
Tables are held as runs of equal rows [task, label, split, count].
"""

import itertools
import json
import pathlib

import numpy as np
import polars as pl

from held import held

SCRIPT_VERSION = 1
OUT = pathlib.Path(__file__).parent.parent / "fixtures" / "sampling.json"

N_TRAIN = [-1, 0, 2, 3, 4, 5, 9, 10, 25, 100, 1_000, 2**40]
SEEDS = [0, 17, 2**32, 2**63 + 5]


def sample(df: pl.DataFrame, n_train: int, seed: int) -> list[int]:
    df = df.with_row_index("row")
    if n_train <= 0:
        return df["row"].to_list()
    rng = np.random.default_rng(seed=seed)
    kept = [df.filter(pl.col("split") != "train")["row"].to_list()]
    for task in df["task"].unique(maintain_order=True):
        train = df.filter(pl.col("task") == task, pl.col("split") == "train")
        if train.height == 0:
            continue
        for label, n in ((0, n_train // 2), (1, n_train - n_train // 2)):
            rows = train.filter(pl.col("label") == label)["row"].to_numpy()
            if n < len(rows):
                chosen = rng.choice(len(rows), size=n, replace=False)
                rows = rows[np.isin(np.arange(len(rows)), chosen)]
            kept.append(rows.tolist())
    return list(itertools.chain.from_iterable(kept))


def shuffled(counts: dict[tuple[str, int, str], int], seed: int) -> list[tuple[str, int, str]]:
    """All rows in random order, so that tasks, labels and splits alternate."""
    rows = [row for row, count in counts.items() for _ in range(count)]
    return [rows[i] for i in np.random.default_rng(seed).permutation(len(rows))]


def tables() -> dict[str, list[tuple[str, int, str]]]:
    blocks = [
        # In order of appearance, not of the alphabet.
        *[("zebra", 0, "train")] * 20,
        *[("zebra", 1, "train")] * 31,
        *[("zebra", 0, "test")] * 5,
        *[("ant", 1, "test")] * 3,
        *[("ant", 0, "train")] * 7,
        *[("ant", 1, "train")] * 2,
        *[("moth", 1, "train")] * 40,
        *[("moth", 0, "test")] * 4,
        *[("moth", 0, "train")] * 40,
    ]
    alternating = {
        ("one_class", 1, "train"): 30,
        ("one_class", 0, "test"): 4,
        ("test_only", 0, "test"): 6,
        ("test_only", 1, "test"): 6,
        ("even", 0, "train"): 50,
        ("even", 1, "train"): 50,
        ("even", 0, "test"): 9,
        ("even", 1, "test"): 8,
        ("tiny", 0, "train"): 1,
        ("tiny", 1, "train"): 1,
        ("tiny", 1, "test"): 1,
        ("skewed", 0, "train"): 3,
        ("skewed", 1, "train"): 120,
        ("skewed", 1, "test"): 10,
    }
    # Classes for which NumPy shuffles the population's tail instead of drawing by Floyd's method.
    large = [
        *[("large", 0, "train")] * 10_001,
        *[("large", 1, "train")] * 12_000,
        *[("large", 0, "test")] * 2,
        *[("small", 1, "train")] * 60,
        *[("small", 0, "train")] * 60,
    ]
    return {
        "blocks": blocks,
        "alternating": shuffled(alternating, 3),
        "alternating_again": shuffled(alternating, 4),
        "large": large,
        "test_only": [("a", 0, "test"), ("b", 1, "test"), ("a", 1, "test")],
        "empty": [],
    }


def case(name: str, rows: list[tuple[str, int, str]]) -> dict:
    df = pl.DataFrame(rows, schema={"task": pl.String, "label": pl.Int64, "split": pl.String}, orient="row")
    return {
        "name": name,
        "runs": [[*row, len(list(run))] for row, run in itertools.groupby(rows)],
        "samples": [
            {"n_train": n_train, "seed": seed, "rows": held(sample(df, n_train, seed))}
            for n_train, seed in itertools.product(N_TRAIN, SEEDS)
        ],
    }


fixture = {
    "script": f"sampling.py, version {SCRIPT_VERSION}",
    "numpy": np.__version__,
    "polars": pl.__version__,
    "tables": [case(name, rows) for name, rows in tables().items()],
}
OUT.write_text(json.dumps(fixture, separators=(",", ":")).replace('{"n_train"', '\n{"n_train"') + "\n")
print([(table["name"], len(table["samples"])) for table in fixture["tables"]], OUT.stat().st_size)
