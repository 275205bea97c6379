"""Tests of cuda.py: that it finds wrong features, ends in time, and says why it cannot begin. Needs PyTorch, timm and
transformers, and no newt-pipe.

python -m unittest discover -s benches/compare -p '*_test.py'
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest
from unittest import mock

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import cuda_gpu
import cuda_preflight
import cuda_speed
import numpy as np
import PIL
import torch
from cuda_child import Child, TimeIsUp
from cuda_features import Row, in_order_of_pillow_13, moved, problems, put_features, put_predictions
from cuda_program import Predictions, Program
from PIL import Image

# Long enough for any machine; nothing waits for its end.
PATIENCE_S = 600


def wait_until(is_so, what: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not is_so():
        if time.monotonic() > end:
            raise AssertionError(f"not within {PATIENCE_S} s: {what}")
        time.sleep(0.05)


def write_program(folder: str, name: str, script: str) -> pathlib.Path:
    path = pathlib.Path(folder, name)
    path.write_text("#!/bin/sh\n" + script)
    path.chmod(0o755)
    return path


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


class Pixels(unittest.TestCase):
    @unittest.skipIf(int(PIL.__version__.partition(".")[0]) < 13, "Pillow 13 is the judge")
    def test_an_older_pillow_is_made_to_resize_as_pillow_13(self):
        values = np.random.default_rng(0).integers(0, 256, (90, 60, 3), np.uint8)
        image = Image.fromarray(values)
        resized = in_order_of_pillow_13(Image.Image.resize)
        for size in ((40, 40), (59, 88), (59, 87), (70, 80), (30, 80), (70, 100)):
            expected = image.resize(size, Image.Resampling.BICUBIC)
            self.assertEqual(resized(image, size, Image.Resampling.BICUBIC).tobytes(), expected.tobytes(), size)


class Children(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.log = pathlib.Path(folder.name) / "log"

    def test_a_crash_ends_one_row_only(self):
        with self.assertRaisesRegex(RuntimeError, "ended with -6"):
            Child(os.abort, self.log).result(PATIENCE_S)

    def test_an_error_is_told_and_logged(self):
        def fail():
            raise ValueError("said once")

        with self.assertRaisesRegex(RuntimeError, "said once"):
            Child(fail, self.log).result(PATIENCE_S)
        self.assertIn("ValueError: said once", self.log.read_text())

    def test_what_a_child_has_started_ends_with_it(self):
        def hang():
            os.system("sleep 600 & echo $! >&2; wait")

        child = Child(hang, self.log)
        wait_until(lambda: self.log.exists() and self.log.read_text().strip(), "the child starts its own")
        with self.assertRaises(TimeIsUp):
            child.result(0)
        started = pathlib.Path("/proc", self.log.read_text().split()[-1], "cmdline")
        # A zombie's is empty.
        wait_until(lambda: not (started.exists() and started.read_bytes()), "what the child has started ends")

    def test_a_child_that_is_given_up_says_why(self):
        child = Child(lambda: time.sleep(PATIENCE_S), self.log)
        self.assertFalse(child.is_over(0.1))
        child.give_up("it was too slow")
        with self.assertRaisesRegex(RuntimeError, "it was too slow"):
            child.result(PATIENCE_S)


class Whole(unittest.TestCase):
    def run_with(self, program: str, *arguments: str, **environment: str) -> tuple[int, str, str, dict]:
        """Exit code, table, messages and JSON of a run of a program that is a shell script."""
        with tempfile.TemporaryDirectory() as folder:
            path = write_program(folder, "newt-pipe", program)
            command = [sys.executable, HERE / "cuda.py", "--device", "cpu", "--small", "--newt-pipe", path]
            command += ["--out", folder, *arguments]
            done = subprocess.run(command, capture_output=True, text=True, env=os.environ | environment)
            report = pathlib.Path(folder, "cuda.json")
            found = json.loads(report.read_text()) if report.exists() else {}
            return done.returncode, done.stdout, done.stderr, found

    def test_time_that_is_up_is_told(self):
        code, table, _, _ = self.run_with("echo newt-pipe 9.9.9", "--minutes", "0")
        self.assertEqual(code, 3)
        self.assertIn("Skipped, since time was up: features of ViT-B/16", table)

    def test_a_program_that_does_not_run_is_one_error(self):
        program = 'case $1 in --version) echo newt-pipe 9.9.9;; *) echo "error: no libtorch" >&2; exit 1;; esac'
        code, table, messages, found = self.run_with(program)
        self.assertEqual(code, 1)
        self.assertIn("error: newt-pipe models: exit code 1, error: no libtorch\nhint: ", messages)
        self.assertEqual(messages.count("error: newt-pipe"), 1)
        self.assertIn("Nothing was compared: newt-pipe models", table)
        self.assertEqual((found["features"], found["speed"]), ([], []))
        self.assertEqual(found["error"], "newt-pipe models: exit code 1, error: no libtorch")

    def test_a_library_that_cannot_be_loaded_costs_the_rows_of_its_networks(self):
        code, table, found = self.run_without("transformers", "DINO")
        self.assertEqual(code, 1)
        self.assertEqual(table.count("| failed: its weights were not written: not this version |"), 4)
        self.assertEqual(len(found["features"]), 4)
        self.assertIsNone(found["error"])

    def test_the_speed_of_a_network_that_was_not_written_fails_for_that_reason(self):
        _, table, found = self.run_without("timm", "ViT-B/16")
        self.assertEqual(table.count("| failed: its weights were not written: not this version |"), 3)
        self.assertEqual(len(found["speed"]), 1)

    def run_without(self, library: str, only: str) -> tuple[int, str, dict]:
        """Exit code, table and JSON of a run in which a library cannot be loaded."""
        script = r"""case $1 in
            data) mkdir "$3"; echo id,task,task_cluster,task_subcluster,label,split >"$3/newt2021_labels.csv";;
            features) echo "error: no | luck" >&2; exit 1;;
            *) echo newt-pipe 9.9.9;;
        esac"""
        with tempfile.TemporaryDirectory() as folder:
            pathlib.Path(folder, f"{library}.py").write_text("raise RuntimeError('not this version')")
            code, table, _, found = self.run_with(script, "--only", only, PYTHONPATH=folder)
        return code, table, found

    def test_the_script_does_not_hide_nvidias_package(self):
        with tempfile.TemporaryDirectory() as folder:
            pathlib.Path(folder, "cuda", "bindings").mkdir(parents=True)
            library = 'import pathlib, cuda.bindings\npathlib.Path(__file__).with_name("seen").touch()\n'
            pathlib.Path(folder, "timm.py").write_text(library)
            self.run_with("echo newt-pipe 9.9.9", "--minutes", "0", PYTHONPATH=folder)
            self.assertTrue(pathlib.Path(folder, "seen").exists())


class Preflight(unittest.TestCase):
    def look(self, nvidia_smi: str | None, free: int = 2**40, gpu_free: int = 60 * 2**30) -> cuda_preflight.Found:
        """On a machine whose GPU works, if only nvidia-smi says so."""
        with tempfile.TemporaryDirectory() as folder:
            if nvidia_smi is not None:
                write_program(folder, "nvidia-smi", f"echo '{nvidia_smi}'")
            program = Program(write_program(folder, "newt-pipe", "exit 0"), pathlib.Path(folder), PATIENCE_S)
            args = mock.Mock(device="cuda", small=False)
            gpu = dict(get_device_name=lambda _: "A GPU", mem_get_info=lambda _: (gpu_free, 80 * 2**30))
            with (
                mock.patch.dict(os.environ, PATH=folder + (":/usr/bin:/bin" if nvidia_smi is not None else "")),
                mock.patch.object(torch, "zeros"),
                mock.patch.multiple(torch.cuda, **gpu),
                mock.patch.object(cuda_preflight, "free_bytes", lambda _: free),
            ):
                return cuda_preflight.look(args, program)

    def test_a_machine_with_all_is_described(self):
        found = self.look("A GPU, 580.1, Default")
        self.assertIsNone(found.error)
        self.assertEqual((found.gpu, found.driver, found.notes), ("A GPU", "580.1", []))
        self.assertEqual((found.gpu_free_bytes, found.gpu_bytes), (60 * 2**30, 80 * 2**30))

    def test_nvidia_smi_may_be_missing(self):
        found = self.look(None)
        self.assertIsNone(found.error)
        self.assertEqual(found.notes, ["no program `nvidia-smi`: how busy the GPU is stays unknown"])

    def test_a_gpu_that_others_use_is_noted(self):
        found = self.look("A GPU, 580.1, Default", gpu_free=2**30)
        self.assertIsNone(found.error)
        self.assertEqual(found.notes, ["the GPU has 1.0 of 80.0 GiB left: large networks may not fit"])

    def test_a_gpu_for_one_process_is_an_error(self):
        found = self.look("A GPU, 580.1, Exclusive_Process")
        self.assertIn("compute mode of A GPU is `Exclusive_Process`", found.error)

    def test_too_little_room_is_an_error(self):
        found = self.look("A GPU, 580.1, Default", free=2**30)
        self.assertIn("has 1.0 GiB left, weights and images need 8.0 GiB", found.error)
        self.assertIn("--scratch", found.hint)

    @unittest.skipIf(torch.cuda.is_available(), "there is a GPU")
    def test_no_gpu_is_an_error(self):
        with tempfile.TemporaryDirectory() as folder:
            program = Program(write_program(folder, "newt-pipe", "exit 0"), pathlib.Path(folder), PATIENCE_S)
            found = cuda_preflight.look(mock.Mock(device="cuda", small=True), program)
        self.assertIn("cannot use device `cuda`", found.error)


class Gpu(unittest.TestCase):
    def samples_of(self, lines: list[str], n_expected: int, **environment: str) -> tuple[cuda_gpu.GpuSamples, str]:
        """What an nvidia-smi that writes these lines and then goes on forever tells, and its arguments."""
        with tempfile.TemporaryDirectory() as folder:
            written = "\n".join(f"echo '{line}'" for line in lines)
            write_program(folder, "nvidia-smi", f'echo "$@" >{folder}/arguments\n{written}\nexec sleep {PATIENCE_S}')
            path = folder + os.pathsep + os.environ["PATH"]
            with mock.patch.dict(os.environ, PATH=path, **environment), cuda_gpu.GpuSamples("cuda:1") as samples:
                wait_until(lambda: len(samples.memory_used) == n_expected, "all samples are read")
            self.assertIsNotNone(samples.process.returncode)
            self.assertFalse(samples.thread.is_alive())
            return samples, pathlib.Path(folder, "arguments").read_text()

    def test_samples_are_those_of_one_nvidia_smi_while_it_works(self):
        # A driver that does not say; then idle, at work, between two batches, at work, idle.
        said = ["[N/A], [N/A]", "0, 500", "90, 3000", "0, 3000", "60, 4000", "0, 500"]
        samples, arguments = self.samples_of(said, 5, CUDA_VISIBLE_DEVICES="")
        self.assertEqual(samples.busy(), 50.0)
        self.assertEqual(samples.memory(), 4000.0)
        self.assertIn("--id=1 --loop-ms=200", arguments)

    def test_the_gpu_is_the_one_that_cuda_sees(self):
        _, arguments = self.samples_of(["0, 500"], 1, CUDA_VISIBLE_DEVICES="3,GPU-5f")
        self.assertIn("--id=GPU-5f", arguments)

    def test_without_nvidia_smi_nothing_is_said(self):
        with mock.patch.dict(os.environ, PATH="/nonexistent"), cuda_gpu.GpuSamples("cuda") as samples:
            pass
        self.assertIsNone(samples.busy())
        self.assertIsNone(samples.memory())


class SharedMemory(unittest.TestCase):
    IMAGE = 3 * 224 * 224 * 4

    def loading(self, free: int | None) -> cuda_speed.Loading:
        return cuda_speed.fit(cuda_speed.Settings("cuda", "f16", 256, 16, 1.0), self.IMAGE, free)

    def test_batches_that_fit_are_as_asked_for(self):
        for free in (None, 64 * 2**30):
            self.assertEqual(self.loading(free), cuda_speed.Loading(256, 2))

    def test_fewer_are_ahead_and_then_they_are_smaller(self):
        self.assertEqual(self.loading(4 * 2**30), cuda_speed.Loading(256, 1))
        small = self.loading(64 * 2**20)
        self.assertEqual(small.prefetch, 1)
        self.assertGreater(small.batch_size, 1)
        self.assertLess(16 * small.batch_size * self.IMAGE, 64 * 2**20)

    def test_a_file_system_that_is_missing_has_no_number(self):
        self.assertIsNone(cuda_speed.free_bytes("/nonexistent"))
        self.assertGreater(cuda_speed.free_bytes("/"), 0)


if __name__ == "__main__":
    unittest.main()
