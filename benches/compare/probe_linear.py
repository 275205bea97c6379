"""Times the grids of the protocols `newt-2021` and `logreg` through newt-pipe and scikit-learn (n_jobs = 2), and compares.

    cargo build --release && python benches/compare/probe_linear.py [--tasks 164] [--theirs 8] [--protocol newt-2021]

All tasks (made up: 100 train rows of 768 features, as probe.py makes them) in one run of newt-pipe, as an evaluation has
them; scikit-learn on the first `--theirs` of them, one by one; newt-pipe again, so that both see the same machine. A task's
time in newt-pipe is its share of what the stage `probes` takes, the mean of both runs. newt-pipe uses all cores:
`taskset -c 0,1` compares on two.
"""

import argparse
import pathlib
import tempfile
import time
import warnings

import probe as searches
import probe_tasks

import numpy as np
import polars as pl
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import StandardScaler, normalize
from sklearn.svm import LinearSVC

N_TRAIN = 100
GRID = {"C": [1e-4, 1e-3, 1e-2, 0.1, 1, 10, 100, 1000]}
CLASSIFIERS = {
    "newt-2021": LinearSVC(random_state=0, tol=1e-5, dual=False, max_iter=1000),
    "logreg": LogisticRegression(C=1, tol=1e-4, solver="lbfgs", max_iter=1000),
}


def scikit_learn(task: probe_tasks.Task, protocol: str) -> tuple[GridSearchCV, np.ndarray, float]:
    """The fitted search, its predictions, and the seconds that all took."""
    x_train, x_test = task.x[: task.n_train], task.x[task.n_train :]
    start = time.perf_counter()
    scaler = StandardScaler().fit(x_train)
    search = GridSearchCV(CLASSIFIERS[protocol], GRID, cv=3, n_jobs=2)
    search.fit(normalize(scaler.transform(x_train)), task.y[: task.n_train])
    y_pred = search.predict(normalize(scaler.transform(x_test)))
    return search, y_pred, time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", type=int, default=164)
    parser.add_argument("--theirs", type=int, default=8)
    parser.add_argument("--protocol", choices=CLASSIFIERS, default="newt-2021")
    parser.add_argument("--binary", type=pathlib.Path, default=probe_tasks.BINARY)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(0)
    tasks = [searches.made(number, N_TRAIN, 768, rng) for number in range(args.tasks)]
    # The rows that are made have norm 1, and are taken as they are.
    settings = ["--set", f"probe.protocol={args.protocol}", "--set", "features.l2=false"]
    with tempfile.TemporaryDirectory() as folder:
        pipeline = probe_tasks.write_data_set(pathlib.Path(folder), tasks)
        scikit_learn(tasks[0], args.protocol)  # starts scikit-learn's processes
        _, before = probe_tasks.run(args.binary, pipeline, -1, *settings)
        theirs = [scikit_learn(task, args.protocol) for task in tasks[: args.theirs]]
        out, after = probe_tasks.run(args.binary, pipeline, -1, *settings)
        probes = {row["task"]: row for row in pl.read_parquet(out / "probes.parquet").iter_rows(named=True)}
        predictions = pl.read_parquet(out / "predictions.parquet").partition_by("task", as_dict=True)
    ours = (before + after) / 2 / len(tasks)
    for task, (search, y_pred, seconds) in zip(tasks, theirs):
        labels = dict(predictions[(task.name,)].select("img_id", "y_pred").iter_rows())
        n_other = sum(labels[name] != label for name, label in zip(task.ids[task.n_train :], y_pred))
        probe = probes[task.name]
        print(
            f"{task.name} {seconds:>7.2f} s {1e3 * ours:>8.1f} ms, ratio {seconds / ours:>5.0f}; C {probe['c']:g} and "
            f"{search.best_params_['C']:g}, CV accuracy {probe['cv_accuracy']:.4f} and {search.best_score_:.4f}, "
            f"{n_other} of {len(y_pred)} predictions differ"
        )
    print(f"{args.protocol}: ratio of the sums {np.mean([t[2] for t in theirs]) / ours:.0f}; runs {before:.2f} and {after:.2f} s")


if __name__ == "__main__":
    main()
