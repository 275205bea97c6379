"""Compares newt-pipe with timm and transformers on a GPU: features, predictions, speed.

    pip install newt_pipe-*.whl            # into an environment with PyTorch 2.11, timm and transformers
    python benches/compare/cuda.py [--out DIR]

Draws its images with `newt-pipe data synth` and gives networks random weights; asks no network for anything. Both sides
run on the same device, f32 without TF32 and f16 by autocast. Looks first, for some seconds, whether everything needed is
there. It ends when `--minutes` are over: what is left is listed as skipped. Prints a table, which is written to
DIR/cuda.md after every row, as is DIR/cuda.json; what the programs say goes to DIR/cuda.log.

With `--device cpu --small` everything that needs no GPU is tried, with small networks of the same families.

Exit codes: 0 every row is there and inside its bounds, 1 one is outside or failed, or something needed is missing,
2 wrong usage, 3 nothing is wrong with the rows that are there, but time was up before all of them were.
"""

import argparse
import os
import pathlib
import re
import shutil
import sys
import time

START = time.monotonic()
HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
# Before the libraries, which look at them when they are loaded.
os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "NO_COLOR": "1", "TQDM_DISABLE": "1"}
# Whether there is a GPU is asked without starting CUDA, which no child could use then.
os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "1"
# GPUs have the numbers that nvidia-smi gives them.
os.environ["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
# Threads of PyTorch that wait for work sleep: else they take the cores from newt-pipe, which runs beside them.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
for _name in ("NEWT_PIPE_CACHE", "NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE"):
    os.environ.pop(_name, None)

# This file hides NVIDIA's package `cuda` from every library that is loaded while its folder is searched.
_others = [folder for folder in sys.path if pathlib.Path(folder or ".").resolve() != HERE]
sys.path[:] = _others
import torch  # noqa: F401

sys.path[:] = [*_others, str(HERE)]
import cuda_check
import cuda_networks

sys.path.remove(str(HERE))

# Of the twelve drawn tasks, from an easy one to one near chance.
SMALL_TASKS = ("synth_flower_blue_vs_red", "synth_beetle_spots_vs_stripes", "synth_butterfly_uneven_vs_even")


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
    args.start = START
    if re.fullmatch(r"cpu|cuda(:\d+)?", args.device) is None:
        parser.error(f"device is `{args.device}`, expected `cuda`, `cuda:1` or `cpu`\nhint: --device cuda")
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
    networks = cuda_networks.small() if small else cuda_networks.full()
    args.networks = [network for network in networks if args.only in network.name]
    if not args.networks:
        names = ", ".join(network.name for network in networks)
        parser.error(f"no network whose name holds `{args.only}`\nhint: there are {names}")
    if args.scratch is not None and not args.scratch.is_dir():
        parser.error(f"no folder `{args.scratch}`\nhint: name one that is there: --scratch DIR")
    try:
        args.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"`{args.out}` cannot be made: {error.strerror}\nhint: name another folder: --out DIR")
    return args


if __name__ == "__main__":
    sys.exit(cuda_check.main(parse()))
