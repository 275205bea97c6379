"""Writes a data set of NeWT's size with made-up features, to time whole runs on.

    python benches/compare/full_scale.py DIR [--dim 768]
    /usr/bin/time -v newt-pipe run DIR/full.toml --set sample.n_train=100

164 tasks, 17,976 train and 18,024 test rows; each task's two classes differ along one direction, by
more in some tasks than in others. Versions: NumPy 2.4, safetensors 0.6 or later.
"""

import argparse
import json
import pathlib

import numpy as np
from safetensors.numpy import save_file

N_TASKS, N_TRAIN, N_TEST = 164, 17_976, 18_024
CLUSTERS = ("appearance", "behavior", "context", "counting", "gestalt")

PIPELINE = """\
[data]
root = "."

[model]
org = "precomputed"
ckpt = "features.safetensors"
"""


def shares(total: int) -> list[int]:
    return [total // N_TASKS + (task < total % N_TASKS) for task in range(N_TASKS)]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("dir", type=pathlib.Path)
    parser.add_argument("--dim", type=int, default=768)
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    args.dir.mkdir(parents=True, exist_ok=True)

    rows, features = ["id,task,task_cluster,task_subcluster,label,split"], []
    ids = []
    for task, (n_train, n_test) in enumerate(zip(shares(N_TRAIN), shares(N_TEST))):
        n = n_train + n_test
        labels = np.arange(n) % 2
        direction = rng.standard_normal(args.dim)
        shift = rng.uniform(0.5, 3.0) / np.sqrt(args.dim)
        x = rng.standard_normal(args.dim) + rng.standard_normal((n, args.dim)) * 0.7
        x += np.outer(labels - 0.5, direction) * shift * np.sqrt(args.dim) / 10
        features.append((x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32))
        for row, label in enumerate(labels):
            split = "train" if row < n_train else "test"
            ids.append(f"t{task:03}-{row:04}")
            rows.append(f"{ids[-1]},task_{task:03},{CLUSTERS[task % 5]},,{label},{split}")

    (args.dir / "newt2021_labels.csv").write_text("\n".join(rows) + "\n")
    (args.dir / "full.toml").write_text(PIPELINE)
    save_file({"features": np.concatenate(features)}, args.dir / "features.safetensors", {"ids": json.dumps(ids)})


if __name__ == "__main__":
    main()
