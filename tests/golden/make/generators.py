"""Writes fixtures/random.json: the streams of NumPy's Generator and RandomState, and what they draw.

Not named random.py: that would hide the module of the standard library from every script in this folder.

Doubles are held as the integer with the same 64 bits.
"""

import itertools
import json
import pathlib
import struct

import numpy as np

from held import held

SCRIPT_VERSION = 1
OUT = pathlib.Path(__file__).parent.parent / "fixtures" / "random.json"

SEEDS = [0, 1, 17, 42, 2**32 - 1, 2**32, 2**63 + 5, 2**64 - 1]
N_LONG = 20_000

# Populations on both sides of 10,000, sizes on both sides of a fiftieth: where NumPy changes its method.
POPULATIONS = [1, 2, 3, 5, 16, 17, 50, 163, 256, 257, 1_000, 9_999, 10_000, 10_001, 10_049, 10_050, 18_024]
# Beyond 32 bits NumPy draws whole u64; at 2**32 - 1 as the largest value it draws a bare u32.
WIDE = [(2**32 - 1, 3), (2**32, 3), (2**32 + 1, 3), (2**32 + 2, 5), (2**33, 40), (2**40, 6), (2**62 + 2**61, 50)]
BOUNDS = [1, 2, 3, 5, 100, 255, 256, 257, 2**16 - 1, 2**16, 2**16 + 1, 18_024, 2**30 + 1, 2**31 - 1]
RANGES = [(-5, 7), (-(2**31), 2**31 - 1), (-(2**31), 0), (10, 11), (-1, 2**31 - 1)]


def bits(value: float) -> int:
    return struct.unpack("<Q", struct.pack("<d", value))[0]


def next_u32(rng: np.random.Generator) -> int:
    interface = rng.bit_generator.ctypes
    return interface.next_uint32(interface.state)


def next_u64(rng: np.random.Generator) -> int:
    return int(rng.bit_generator.random_raw())


def streams() -> list[dict]:
    rows = []
    for seed in SEEDS:
        mixed_rng = np.random.default_rng(seed)
        draws = {"4": next_u32, "8": next_u64, "d": lambda rng: bits(rng.random())}
        # u32, u64 and doubles in irregular order, so that halves are kept across all of them.
        order = "".join(np.random.default_rng(seed + 1 & 0xFFFF).choice(list("4448d"), size=200))
        u32_rng = np.random.default_rng(seed)
        rows.append(
            {
                "seed": seed,
                "u64": held(np.random.default_rng(seed).bit_generator.random_raw(N_LONG)),
                "u32": held(next_u32(u32_rng) for _ in range(N_LONG)),
                "f64": held(bits(value) for value in np.random.default_rng(seed).random(N_LONG)),
                "mixed_order": order,
                "mixed": [draws[kind](mixed_rng) for kind in order],
            }
        )
    return rows


def integers() -> list[dict]:
    rows = []
    ranges = [(0, bound) for bound in BOUNDS] + RANGES
    for seed, (low, high), n in itertools.product([0, 17, 2**32], ranges, [0, 1, 777]):
        rng = np.random.default_rng(seed)
        values = rng.integers(low, high, size=n, dtype=np.int32)
        rows.append(
            {
                "seed": seed,
                "low": low,
                "high": high,
                "n": n,
                "values": held(values),
                "next_u64": next_u64(rng),
                "next_u32": next_u32(rng),
            }
        )
    return rows


def choice() -> list[dict]:
    pairs = []
    for population in POPULATIONS:
        fiftieth = population // 50
        sizes = {0, 1, 2, 7, 50, fiftieth, fiftieth + 1, population // 2, population - 1, population}
        pairs += [(population, size) for size in sorted(sizes) if size <= population]
    rows = []
    # With an odd number of u32 drawn before, the draws of the choice start on a kept half.
    for (population, size), (seed, n_before) in itertools.product(pairs + WIDE, [(0, 0), (17, 1), (2**63 + 5, 0)]):
        rng = np.random.default_rng(seed)
        for _ in range(n_before):
            next_u32(rng)
        values = rng.choice(population, size=size, replace=False)
        rows.append(
            {
                "seed": seed,
                "n_before": n_before,
                "population": population,
                "size": size,
                "values": held(values),
                "next_u64": next_u64(rng),
                "next_u32": next_u32(rng),
            }
        )
    return rows


def random_state() -> list[dict]:
    rows = []
    bounds = [1, 2, 3, 4, 5, 255, 256, 257, 2**16 + 1, 2**31 - 1, 2**31 + 1, 2**32 - 1]
    for seed in [0, 1, 17, 42, 5489, 2**31, 2**32 - 1]:
        rng = np.random.RandomState(seed)
        kinds = np.random.default_rng(seed).integers(0, 3, size=150)
        draws = []
        for i, kind in enumerate(kinds):
            if kind == 0:
                draws.append(["random_sample", 0, bits(rng.random_sample())])
            elif kind == 1:
                draws.append(["uniform", 0, bits(rng.uniform())])
            else:
                n = bounds[i % len(bounds)]
                draws.append(["randint", n, int(rng.randint(0, n))])
        rows.append(
            {
                "seed": seed,
                "draws": draws,
                "random_sample": held(bits(value) for value in np.random.RandomState(seed).random_sample(N_LONG)),
                "randint_4": held(np.random.RandomState(seed).randint(4, size=N_LONG)),
            }
        )
    return rows


fixture = {
    "script": f"generators.py, version {SCRIPT_VERSION}",
    "numpy": np.__version__,
    "streams": streams(),
    "integers": integers(),
    "choice": choice(),
    "random_state": random_state(),
}
OUT.write_text(json.dumps(fixture, separators=(",", ":")).replace('{"seed"', '\n{"seed"') + "\n")
print({key: len(value) for key, value in fixture.items() if isinstance(value, list)}, OUT.stat().st_size)
