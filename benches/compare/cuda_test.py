"""Holds cuda.py to its word: what is wrong it must find. Needs PyTorch, timm and transformers, and no newt-pipe.

python -m unittest discover -s benches/compare -p '*_test.py'
"""

import contextlib
import io
import os
import pathlib
import sys
import tempfile
import time
import unittest
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import cuda
import cuda_speed
import numpy as np
from cuda_features import Row, moved, problems, put_features, put_predictions
from cuda_program import Predictions


def compared(ours: np.ndarray, theirs: np.ndarray, precision: str = "f32") -> Row:
    row = Row("made", precision)
    put_features(row, ours, theirs)
    return row


def made() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((8, 16)).astype(np.float32)


class Features(unittest.TestCase):
    def test_equal_features_of_other_length_are_inside_the_bounds(self):
        self.assertEqual(problems(compared(made() * 3, made())), "")

    def test_the_error_of_tf32_is_outside_f32s_bounds_and_inside_f16s(self):
        rough = made() * (1 + 1e-3 * np.sign(made()[::-1]))
        self.assertIn("relative error", problems(compared(rough, made())))
        self.assertEqual(problems(compared(rough, made(), "f16")), "")

    def test_swapped_images_are_outside_the_bounds(self):
        self.assertIn("cosine", problems(compared(made()[::-1], made(), "f16")))

    def test_features_that_are_all_the_same_are_no_agreement(self):
        same = np.ones((8, 16), np.float32)
        self.assertIn("nearly the same features", problems(compared(same, same)))

    def test_features_that_are_not_finite_are_an_error(self):
        broken = made()
        broken[3, 5] = np.nan
        with self.assertRaisesRegex(RuntimeError, "1 of 128 features are not finite"):
            compared(broken, made())

    def test_a_prediction_may_differ_at_the_border_only(self):
        for decision, is_inside in ((0.001, True), (0.5, False)):
            row = compared(made(), made())
            ours = Predictions(np.array([0, 1]), np.array([-decision, 1.0]))
            theirs = Predictions(np.array([1, 1]), np.array([decision, 1.0]))
            put_predictions(row, ours, theirs)
            self.assertEqual(row.n_differ, 1)
            self.assertEqual(problems(row) == "", is_inside)

    def test_bits_that_move_are_counted(self):
        rows = made()
        others = rows.copy()
        others[0, 0] = np.nextafter(others[0, 0], np.float32(np.inf))
        others[1, 1] = -others[1, 1]
        self.assertEqual(moved(rows, rows, 5).share, 0)
        self.assertEqual(moved(rows, others, 5).share, 2 / 128)
        others[1, 1] = rows[1, 1]
        self.assertEqual(moved(rows, others, 5).ulps, 1)
        tiny = np.float32(1e-45)
        self.assertEqual(moved(np.array([[tiny, 1]], np.float32), np.array([[-tiny, 1]], np.float32), 5).ulps, 2)


class Children(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.log = pathlib.Path(folder.name) / "log"

    def test_a_crash_ends_one_row_only(self):
        with self.assertRaisesRegex(RuntimeError, "ended with -6"):
            cuda.Child(os.abort, self.log).result(60)

    def test_an_error_is_told_and_logged(self):
        def fail():
            raise ValueError("said once")

        with self.assertRaisesRegex(RuntimeError, "said once"):
            cuda.Child(fail, self.log).result(60)
        self.assertIn("ValueError: said once", self.log.read_text())

    def test_what_a_child_has_started_ends_with_it(self):
        def hang():
            os.system("sleep 600 & echo $! >&2; wait")

        child = cuda.Child(hang, self.log)
        while not (self.log.exists() and self.log.read_text().strip()):
            time.sleep(0.05)
        with self.assertRaises(cuda.TimeIsUp):
            child.result(0)
        started = pathlib.Path("/proc", self.log.read_text().split()[-1], "cmdline")
        while started.exists() and started.read_bytes():  # a zombie's is empty
            time.sleep(0.05)


class Whole(unittest.TestCase):
    def run_with(self, program: str, *arguments: str) -> tuple[int, str]:
        """The exit code and the table of a run of a program that is a shell script."""
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "newt-pipe")
            path.write_text("#!/bin/sh\n" + program)
            path.chmod(0o755)
            argv = ["cuda.py", "--device", "cpu", "--small", "--newt-pipe", str(path), "--out", folder, *arguments]
            output = io.StringIO()
            with mock.patch.object(sys, "argv", argv), contextlib.redirect_stdout(output):
                with contextlib.redirect_stderr(io.StringIO()):
                    code = cuda.main()
            return code, output.getvalue()

    def test_time_that_is_up_is_told(self):
        code, table = self.run_with("echo newt-pipe 9.9.9", "--minutes", "0")
        self.assertEqual(code, 1)
        self.assertIn("Skipped, since time was up: features of ViT-B/16", table)

    def test_a_program_that_fails_is_quoted_in_every_row(self):
        program = 'case $1 in --version) echo newt-pipe 9.9.9;; *) echo "error: no | luck" >&2; exit 1;; esac'
        code, table = self.run_with(program)
        self.assertEqual(code, 1)
        self.assertEqual(table.count("| failed: newt-pipe data: exit code 1, error: no \\| luck |"), 18)


class Gpu(unittest.TestCase):
    def test_samples_are_those_of_nvidia_smi_while_it_works(self):
        with tempfile.TemporaryDirectory() as folder:
            program = pathlib.Path(folder, "nvidia-smi")
            # Idle, at work, between two batches, at work, idle; then a driver that does not say.
            said = ["0, 500", "90, 3000", "0, 3000", "60, 4000", "0, 500", "[N/A], [N/A]"]
            lines = "\n".join(f"{i}) echo '{line}';;" for i, line in enumerate(said))
            counts = f"n=$(cat {folder}/n 2>/dev/null || echo 0); echo $((n + 1)) >{folder}/n"
            program.write_text(f"#!/bin/sh\n{counts}\ncase $n in\n{lines}\nesac\n")
            program.chmod(0o755)
            path = folder + os.pathsep + os.environ["PATH"]
            with mock.patch.dict(os.environ, PATH=path), cuda_speed.GpuSamples("cuda") as samples:
                while not pathlib.Path(folder, "n").exists() or int(pathlib.Path(folder, "n").read_text() or 0) < 7:
                    time.sleep(0.05)
            self.assertEqual(samples.busy(), 50.0)
            self.assertEqual(samples.memory(), 4000.0)

    def test_without_nvidia_smi_nothing_is_said(self):
        with mock.patch.dict(os.environ, PATH="/nonexistent"), cuda_speed.GpuSamples("cuda") as samples:
            pass
        self.assertIsNone(samples.busy())
        self.assertIsNone(samples.memory())


if __name__ == "__main__":
    unittest.main()
