"""Tasks with made-up features: as a data set for newt-pipe, and through scikit-learn. For probe.py and probe_live.py."""

import importlib.util
import json
import os
import pathlib
import subprocess
import time
import warnings

ROOT = pathlib.Path(__file__).parent.parent.parent
BINARY = ROOT / "target" / "release" / "newt-pipe"

# The reference as the golden tests run it. First: it keeps NumPy from its AVX-512 loops, whose exp and log, and so C
# and gamma of some candidates, differ in the last bit from those of other machines.
_spec = importlib.util.spec_from_file_location("reference", ROOT / "tests" / "golden" / "make" / "probe.py")
reference = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(reference)

import numpy as np
from safetensors.numpy import save_file

PIPELINE = """\
[data]
root = "."

[model]
org = "precomputed"
ckpt = "features.safetensors"

[bootstrap]
resamples = 1
"""


class Task:
    """Features (scaled to unit length, as backbones give them) and labels of one task, train rows before test rows."""

    def __init__(self, name: str, x: np.ndarray, y: np.ndarray, n_train: int):
        self.name, self.y, self.n_train = name, y, n_train
        self.x = reference.l2_normalize(x.astype(np.float32))
        self.ids = [f"{name}-{row:04}" for row in range(len(y))]

    def train_rows(self, n_train: int) -> np.ndarray:
        """The train rows in the order that sampling leaves them in, for an `n_train` that drops none."""
        rows = np.arange(self.n_train)
        return rows if n_train <= 0 else np.concatenate([rows[self.y[rows] == label] for label in (0, 1)])

    def scikit_learn(self, n_train: int) -> tuple[dict, float]:
        """What scikit-learn makes of the task, and the seconds that fit and prediction take."""
        rows = self.train_rows(n_train)
        x_train, x_test = reference.normalized(self.x[rows], self.x[self.n_train :])
        model = reference.init_svc(n_train)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            start = time.perf_counter()
            model.fit(x_train, self.y[rows])
            y_pred = model.predict(x_test)
            seconds = time.perf_counter() - start
        svc = getattr(model, "best_estimator_", model)[-1]
        return {
            "kernel": svc.kernel,
            "c": float(svc.C),
            "gamma": float(svc._gamma),
            "cv_accuracy": float(getattr(model, "best_score_", np.nan)),
            "n_support": int(svc.n_support_.sum()),
            "y_pred": y_pred,
            "decision": model.decision_function(x_test),
        }, seconds


def write_data_set(folder: pathlib.Path, tasks: list[Task]) -> pathlib.Path:
    """Writes labels, features and a pipeline file; returns the last."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["id,task,task_cluster,task_subcluster,label,split"]
    for task in tasks:
        for row, (name, label) in enumerate(zip(task.ids, task.y)):
            lines.append(f"{name},{task.name},made,,{label},{'train' if row < task.n_train else 'test'}")
    (folder / "newt2021_labels.csv").write_text("\n".join(lines) + "\n")
    ids = json.dumps([name for task in tasks for name in task.ids])
    save_file({"features": np.concatenate([task.x for task in tasks])}, folder / "features.safetensors", {"ids": ids})
    pipeline = folder / "pipeline.toml"
    pipeline.write_text(PIPELINE)
    return pipeline


def run(binary: pathlib.Path, pipeline: pathlib.Path, n_train: int, *arguments: str) -> tuple[pathlib.Path, float]:
    """Runs newt-pipe with fresh probes; returns the results' folder and the seconds that the probes took, all repeats together."""
    out = pipeline.parent / f"out{n_train}"
    command = [binary, "run", pipeline, "--set", f"sample.n_train={n_train}", "--out", out, "--json", "--quiet"]
    command += ["--force", "probes", "--cache-dir", pipeline.parent / "cache", *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=os.environ | {"NO_COLOR": "1"})
    experiments = json.loads(done.stdout)["experiments"]
    probes = [stage for experiment in experiments for stage in experiment["stages"] if stage["stage"] == "probes"]
    assert all(stage["status"] == "ran" for stage in probes), probes
    return out, sum(stage["seconds"] for stage in probes)
