"""Times the protocol `bioclip-2` whole, three searches a task, through newt-pipe and scikit-learn (n_jobs = 2).

    cargo build --release && python benches/compare/probe_repeats.py [--tasks 164] [--theirs 4]

All tasks (made up: 100 train rows of 768 features, as probe.py makes them) in one run of newt-pipe, as an evaluation has
them; scikit-learn's three searches on the first `--theirs` of them, one by one; newt-pipe again, so that both see the same
machine. newt-pipe's time is what the stage `probes` takes in all three runs together, the mean of both. newt-pipe uses all
cores: `taskset -c 0,1` compares on two.
"""

import argparse
import pathlib
import tempfile
import time

import probe as searches
import probe_tasks
from probe_tasks import reference

import numpy as np

N_TRAIN = 100
SEEDS = (0, 1, 2)


def scikit_learn(task: probe_tasks.Task) -> float:
    """The seconds that the three searches and their predictions took."""
    start = time.perf_counter()
    x_train, x_test = reference.normalized(task.x[: task.n_train], task.x[task.n_train :])
    for seed in SEEDS:
        search = reference.init_svc(N_TRAIN).set_params(random_state=seed)
        search.fit(x_train, task.y[: task.n_train])
        search.predict(x_test)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", type=int, default=164)
    parser.add_argument("--theirs", type=int, default=4)
    parser.add_argument("--binary", type=pathlib.Path, default=probe_tasks.BINARY)
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    tasks = [searches.made(number, N_TRAIN, 768, rng) for number in range(args.tasks)]
    protocol = ("--set", "probe.protocol=bioclip-2")
    with tempfile.TemporaryDirectory() as folder:
        pipeline = probe_tasks.write_data_set(pathlib.Path(folder), tasks)
        scikit_learn(tasks[0])  # starts scikit-learn's processes
        _, before = probe_tasks.run(args.binary, pipeline, -1, *protocol)
        theirs = [scikit_learn(task) for task in tasks[: args.theirs]]
        _, after = probe_tasks.run(args.binary, pipeline, -1, *protocol)
    ours = (before + after) / 2
    ratio = float(np.mean(theirs)) * len(tasks) / ours
    print(f"newt-pipe: {len(tasks)} tasks in {before:.2f} and {after:.2f} s; scikit-learn: {np.mean(theirs):.2f} s a task")
    print(f"ratio {ratio:.0f}")


if __name__ == "__main__":
    main()
