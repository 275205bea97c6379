"""Compares newt-pipe with timm and transformers on a GPU: features, predictions, speed.

    pip install newt_pipe-*.whl            # into an environment with PyTorch 2.11, timm and transformers
    python benches/compare/cuda.py [--out DIR]

Draws its images with `newt-pipe data synth` and gives networks random weights; asks no network for anything. Both sides
run on the same device, f32 without TF32 and f16 by autocast. It ends when `--minutes` are over: what is left is listed
as skipped. Prints a table, which is written to DIR/cuda.md after every row, as is DIR/cuda.json; what the programs
say goes to DIR/cuda.log.

With `--device cpu --small` everything that needs no GPU is tried, with small networks of the same families.

Exit codes: 0 every row is there and inside its bounds, 1 one is outside or failed, 2 wrong usage, 3 nothing is wrong with
the rows that are there, but time was up before all of them were.
"""

import argparse
import datetime
import functools
import multiprocessing
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
# Before the libraries, which look at them when they are loaded.
os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "NO_COLOR": "1", "TQDM_DISABLE": "1"}
# Whether there is a GPU is asked without starting CUDA, which no child could use then.
os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "1"
# Threads of PyTorch that wait for work sleep: else they take the cores from newt-pipe, which runs beside them.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
for _name in ("NEWT_PIPE_CACHE", "NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE"):
    os.environ.pop(_name, None)
sys.path[:0] = [str(HERE), str(ROOT / "tests" / "golden" / "make")]

# Loaded here once for all children; this process itself computes nothing with them, and never touches the GPU.
import checkpoints
import cuda_features
import cuda_networks
import cuda_speed
import timm
import torch
import transformers
from cuda_program import Data, Program
from cuda_report import Report

# Networks whose speed is measured, and the share of the images that they get.
SPEED = {"ViT-B/16": 1.0, "CLIP ViT-L/14": 0.25, "ResNet-50": 1.0}
# Of the twelve drawn tasks, from an easy one to one near chance.
SMALL_TASKS = ("synth_flower_blue_vs_red", "synth_beetle_spots_vs_stripes", "synth_butterfly_uneven_vs_even")
# What is kept back for killing what runs, and for tidying up.
MARGIN_S = 5.0
# The share of all the time that one row may take: one that hangs must not cost the others.
ROW_SHARE = 1 / 3


class TimeIsUp(Exception):
    """The work was stopped, since the time for all of it is over."""


class Child:
    """Work in a process of its own, with all that it starts: a crash, a fault of the GPU or a hang ends there."""

    def __init__(self, work, log: pathlib.Path):
        context = multiprocessing.get_context("fork")
        self.receiver, sender = context.Pipe(duplex=False)
        self.process = context.Process(target=self.run, args=(work, sender, log))
        self.process.start()
        sender.close()

    @staticmethod
    def run(work, sender, log: pathlib.Path) -> None:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        with log.open("a") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        try:
            sender.send((work(), ""))
        except BaseException as error:
            traceback.print_exc()
            sender.send((None, cuda_features.first_line(error)))

    def result(self, seconds: float):
        """What the work returns. Raises [`TimeIsUp`] after these seconds."""
        try:
            if not self.receiver.poll(max(seconds, 0)):
                raise TimeIsUp
            result, problem = self.receiver.recv()
        except EOFError:
            self.process.join()
            raise RuntimeError(f"its process ended with {self.process.exitcode}") from None
        finally:
            self.stop()
        if problem:
            raise RuntimeError(problem)
        return result

    def wait(self, seconds: float) -> None:
        """Returns when there is a result or an end."""
        self.receiver.poll(max(seconds, 0))

    def stop(self) -> None:
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:  # it has ended, or has not got so far as to lead a group
            self.process.kill()
        self.process.join()


class Check:
    """The plan, worked off until time is up."""

    def __init__(self, args: argparse.Namespace, scratch: pathlib.Path):
        self.args, self.scratch = args, scratch
        self.start = time.monotonic()
        self.deadline = self.start + args.minutes * 60 - MARGIN_S
        self.log = args.out / "cuda.log"
        self.log.write_text("")
        self.networks = [one for one in networks(args) if args.only in one.name]
        self.report = Report(machine(args), args.out, args.workers)
        self.row_limit_s = args.minutes * 60 * ROW_SHARE
        # Sooner than the row's, so that it is named where it hangs.
        self.program = Program(args.newt_pipe, scratch, 0.8 * self.row_limit_s)
        self.drawn = Data(scratch / "drawn")
        self.writing: Child | None = None

    def left(self) -> float:
        return self.deadline - time.monotonic()

    def say(self, text: str) -> None:
        print(f"[{time.monotonic() - self.start:5.1f} s] {text}", file=sys.stderr, flush=True)

    def result(self, child: Child):
        """Of one row's work."""
        try:
            return child.result(min(self.row_limit_s, self.left()))
        except TimeIsUp:
            if self.left() > 0:
                raise RuntimeError(f"it did not end within {self.row_limit_s:.0f} s") from None
            raise

    def child(self, work, *arguments) -> Child:
        return Child(functools.partial(work, *arguments), self.log)

    def weights(self, network: cuda_networks.Network) -> pathlib.Path:
        return self.scratch / "weights" / f"network{self.networks.index(network)}"

    def run(self) -> None:
        self.say("drawing images")
        draw = ["data", "synth", self.drawn.root, "--images-per-task", self.args.images_per_task, "--quiet"]
        draw += [f"--task={task}" for task in self.args.tasks]
        try:
            self.child(self.program.call, *draw).result(self.left())
        except TimeIsUp:
            pass  # as it is for all rows
        except Exception as error:
            for network in self.networks:
                self.report.features += failed(network, error)
            self.save("drawing images", self.report.features[0].problem)
            return
        # One speed early, since what comes late may be skipped.
        timed = [network for network in self.networks if network.name in SPEED]
        early = [network for network in timed if network is self.networks[0]]
        rows = [(self.features, network) for network in self.networks]
        rows[1:1] = [(self.speed, network) for network in early]
        rows += [(self.speed, network) for network in timed if network not in early]
        self.writing = self.start_writing(self.networks[0])
        try:
            for make, network in rows:
                if self.left() > 0:
                    make(network)
                else:
                    self.report.skipped.append(f"{make.__name__} of {network.name}")
        finally:
            if self.writing is not None:
                self.writing.stop()
        self.save("all rows", "done")

    def start_writing(self, network: cuda_networks.Network) -> Child:
        return self.child(write, network, self.weights(network), self.drawn)

    def write_next(self, network: cuda_networks.Network) -> None:
        """Waits for the weights of this network, and lets the next one's be written while this one is compared."""
        try:
            self.result(self.writing)
        finally:
            later = self.networks[self.networks.index(network) + 1 :]
            self.writing = self.start_writing(later[0]) if later else None

    def features(self, network: cuda_networks.Network) -> None:
        args = self.args
        settings = cuda_features.Settings(args.device, args.batch_size, args.other_batch_sizes, args.parallel)
        self.say(f"{network.name}: features")
        try:
            self.write_next(network)
            work = [cuda_features.compare, network, self.weights(network), self.program, self.drawn, settings]
            rows = self.result(self.child(*work))
        except TimeIsUp:
            self.report.skipped.append(f"features of {network.name}, which had begun")
            return
        except Exception as error:
            rows = failed(network, error)
        self.report.features += rows
        for row in rows:
            self.save(f"{network.name} {row.precision}", row.problem or "ok")

    def speed(self, network: cuda_networks.Network) -> None:
        args = self.args
        precision = "f32" if args.device == "cpu" else "f16"
        row = cuda_speed.Row(network.name, precision)
        self.say(f"{network.name}: speed")
        forward_s = 0.3 if args.small else 2.0
        settings = cuda_speed.Settings(args.device, precision, args.batch_size, args.workers, forward_s)
        n_images = max(int(args.speed_images * SPEED[network.name]), 2)
        photos = Data(self.scratch / f"photos-{n_images}")
        try:
            if not photos.root.exists():
                self.result(self.child(cuda_speed.make_data, self.drawn, photos.root, n_images))
            if self.writing is not None:  # it would take cores from what is timed
                self.writing.wait(self.left())
            work = [cuda_speed.measure, row, network, self.weights(network), self.program, photos, settings]
            row = self.result(self.child(*work))
        except TimeIsUp:
            self.report.skipped.append(f"speed of {network.name}, which had begun")
            return
        except Exception as error:
            row.problem = f"failed: {cuda_features.first_line(error)}"
        self.report.speed.append(row)
        self.save(f"{network.name} speed", row.problem or "ok")

    def save(self, name: str, said: str) -> None:
        self.report.seconds = time.monotonic() - self.start
        self.report.write()
        self.say(f"{name}: {said}")


def failed(network: cuda_networks.Network, error: Exception) -> list[cuda_features.Row]:
    problem = f"failed: {cuda_features.first_line(error)}"
    return [cuda_features.Row(network.name, precision, problem) for precision in cuda_features.DTYPES]


def write(network: cuda_networks.Network, folder: pathlib.Path, drawn: Data) -> None:
    from PIL import Image

    folder.mkdir(parents=True)
    checkpoints.skip_initialization()
    photos = [Image.open(path).convert("RGB") for path in drawn.paths()[:4]]
    network.write(folder, photos)


def networks(args: argparse.Namespace) -> list[cuda_networks.Network]:
    return cuda_networks.small() if args.small else cuda_networks.full()


def machine(args: argparse.Namespace) -> dict:
    """What the numbers were seen on. Asks nvidia-smi, so that this process need not start CUDA."""
    version = subprocess.run([args.newt_pipe, "--version"], capture_output=True, text=True, check=True).stdout
    found = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "device": "a CPU" if args.device == "cpu" else "an unknown GPU",
        "sizes": "small" if args.small else "full",
        "program": version.strip(),
        "torch": torch.__version__,
        "cuda": None if args.device == "cpu" else torch.version.cuda,
        "driver": None,
        "timm": timm.__version__,
        "transformers": transformers.__version__,
        "n_cores": len(os.sched_getaffinity(0)),
    }
    program = shutil.which("nvidia-smi")
    if args.device != "cpu" and program is not None:
        query = [program, "--query-gpu=name,driver_version", "--format=csv,noheader"]
        query.append(f"--id={args.device.partition(':')[2] or 0}")
        said = subprocess.run(query, capture_output=True, text=True).stdout
        if "," in said:
            found["device"], found["driver"] = map(str.strip, said.splitlines()[0].rsplit(",", 1))
    return found


def find_program() -> str | None:
    """On the PATH, or beside the Python that runs this, whose environment need not be the active one."""
    return shutil.which("newt-pipe") or shutil.which("newt-pipe", path=str(pathlib.Path(sys.executable).parent))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1 or cpu [default: cuda]")
    parser.add_argument("--newt-pipe", type=pathlib.Path, help="the program [default: from the PATH]")
    parser.add_argument("--small", action="store_true", help="small networks of the same families, few images")
    parser.add_argument("--only", default="", help="networks whose name holds this")
    parser.add_argument("--minutes", type=float, default=6.0, help="all ends within this time [default: 6]")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "target" / "cuda", help="for cuda.md and cuda.json")
    parser.add_argument("--scratch", type=pathlib.Path, help="where weights and images are kept for a while")
    parser.add_argument("--images-per-task", type=int, help="of each task [default: 24, small 16]")
    parser.add_argument("--speed-images", type=int, help="[default: 16384, small 48]")
    parser.add_argument("--workers", type=int, help="of the DataLoader [default: 16, small 2]")
    args = parser.parse_args()
    is_cpu, small = args.device == "cpu", args.small
    args.images_per_task = args.images_per_task or (16 if small else 24)
    args.speed_images = args.speed_images or (48 if small else 16384)
    args.workers = args.workers or (2 if small else 16)
    args.tasks = SMALL_TASKS if small else ()
    args.batch_size = 32 if is_cpu or small else 256
    args.other_batch_sizes = (5,) if is_cpu or small else (32, 5)
    args.parallel = 1 if is_cpu else 6
    args.newt_pipe = args.newt_pipe or find_program()
    if args.newt_pipe is None or shutil.which(args.newt_pipe) is None:
        parser.error(
            "no program `newt-pipe`\nhint: `pip install newt_pipe-*.whl`, or say where it is: --newt-pipe PATH"
        )
    args.newt_pipe = pathlib.Path(args.newt_pipe).resolve()
    if not any(args.only in network.name for network in networks(args)):
        names = ", ".join(network.name for network in networks(args))
        parser.error(f"no network whose name holds `{args.only}`\nhint: there are {names}")
    args.out.mkdir(parents=True, exist_ok=True)
    return args


def main() -> int:
    args = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with tempfile.TemporaryDirectory(dir=args.scratch, prefix="newt-pipe-", ignore_cleanup_errors=True) as scratch:
        check = Check(args, pathlib.Path(scratch))
        check.run()
    print(check.report.markdown())
    print(f"{args.out / 'cuda.json'}, {args.out / 'cuda.md'}", file=sys.stderr)
    if check.report.n_problems() > 0 or not check.report.features:
        return 1
    return 3 if check.report.skipped else 0


if __name__ == "__main__":
    sys.exit(main())
