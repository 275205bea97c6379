"""Times searches through newt-pipe and through scikit-learn (n_jobs = 2) on the same tasks, and prints the ratios.

    cargo build --release && python benches/compare/probe.py [--tasks 8] [--dim 768] [--binary target/release/newt-pipe]

For each size: all tasks in one run of newt-pipe, as an evaluation has them; scikit-learn task by task; newt-pipe again,
so that both see the same machine. A task's time in newt-pipe is its share of what the stage `probes` takes (tables and
fitted probes included), the mean of both runs. newt-pipe uses all cores: `taskset -c 0,1` compares on two.
"""

import argparse
import pathlib
import statistics
import tempfile

import probe_tasks

import numpy as np

SIZES = (100, 200)
N_TEST = 110  # NeWT's 18,024 test rows over its 164 tasks


def made(number: int, n_train: int, d: int, rng: np.random.Generator) -> probe_tasks.Task:
    """Two overlapping clouds whose spectrum falls off slowly."""
    y = np.concatenate([np.arange(n_train) % 2, np.arange(N_TEST) % 2])
    spectrum = np.arange(1, d + 1) ** -0.5
    z = rng.standard_normal((len(y), d)) + np.outer(2 * y - 1, rng.standard_normal(d)) * rng.uniform(0.05, 0.3)
    basis, _ = np.linalg.qr(rng.standard_normal((d, d)))
    return probe_tasks.Task(f"task_{number:02}_n{n_train}", (z * spectrum) @ basis, y, n_train)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", type=int, default=8)
    parser.add_argument("--dim", type=int, default=768)
    parser.add_argument("--binary", type=pathlib.Path, default=probe_tasks.BINARY)
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    print("task           scikit-learn   newt-pipe   ratio")
    for n_train in SIZES:
        tasks = [made(number, n_train, args.dim, rng) for number in range(args.tasks)]
        with tempfile.TemporaryDirectory() as folder:
            pipeline = probe_tasks.write_data_set(pathlib.Path(folder), tasks)
            tasks[0].scikit_learn(n_train)  # starts scikit-learn's processes
            _, before = probe_tasks.run(args.binary, pipeline, n_train)
            theirs = [task.scikit_learn(n_train)[1] for task in tasks]
            _, after = probe_tasks.run(args.binary, pipeline, n_train)
        ours = (before + after) / 2 / len(tasks)
        for task, seconds in zip(tasks, theirs):
            print(f"{task.name:<14} {seconds:>10.2f} s {1e3 * ours:>8.1f} ms {seconds / ours:>7.0f}")
        ratios = [seconds / ours for seconds in theirs]
        print(f"n{n_train}: median ratio {statistics.median(ratios):.0f}, least {min(ratios):.0f}\n", flush=True)


if __name__ == "__main__":
    main()
