"""Writes fixtures/candidates_avx512.json: the reference's hundred candidates, as NumPy draws them on CPUs with AVX-512.

Its `exp` for them is within one unit in the last place; the other fixtures are made without it (see probe.py).
"""

import json
import pathlib

import numpy as np
import scipy.stats
from numpy._core._multiarray_umath import __cpu_features__
from sklearn.model_selection import ParameterSampler

OUT = pathlib.Path(__file__).parent.parent / "fixtures" / "candidates_avx512.json"


if __name__ == "__main__":
    assert __cpu_features__["AVX512_SKX"], "needs a CPU with AVX-512"
    space = {
        "svc__C": scipy.stats.loguniform(1e-3, 1e1),
        "svc__kernel": ["rbf", "linear", "sigmoid", "poly"],
        "svc__gamma": scipy.stats.loguniform(1e-4, 1e-3),
    }
    candidates = list(ParameterSampler(space, 100, random_state=42))
    fixture = {"numpy": np.__version__, "scipy": scipy.__version__} | {
        name: " ".join(repr(float(candidate[f"svc__{key}"])) for candidate in candidates)
        for name, key in (("c", "C"), ("gamma", "gamma"))
    }
    OUT.write_text(json.dumps(fixture) + "\n")
