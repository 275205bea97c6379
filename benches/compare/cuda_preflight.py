"""What cuda.py looks at before it begins: whether the GPU, newt-pipe and room on the disk are there."""

import argparse
import concurrent.futures
import dataclasses
import pathlib

import cuda_gpu
import torch
from cuda_child import first_line
from cuda_program import Program
from cuda_speed import SHARED_MEMORY, free_bytes

# Loading libtorch's CUDA half from a disk that has not read it yet takes most of it; a GPU that hangs never ends.
LIMIT_S = 90.0
# Weights of all networks (3.4 GB), photos in two numbers (1.4 GB), features; with room to spare.
SCRATCH_BYTES, SMALL_SCRATCH_BYTES = 8 * 2**30, 2**29
# Processes with a large network and a batch each, several at once.
GPU_BYTES = 24 * 2**30
MODEL = "vit_tiny_patch16_224"


class Missing(RuntimeError):
    """Something without which nothing can be compared; an error and a hint."""

    def __init__(self, error: str, hint: str):
        super().__init__(error)
        self.hint = hint


@dataclasses.dataclass
class Found:
    """What the machine has; `error` and `hint` where something needed is missing."""

    gpu: str | None = None
    driver: str | None = None
    compute_mode: str | None = None
    gpu_bytes: int | None = None
    gpu_free_bytes: int | None = None
    scratch_free_bytes: int | None = None
    shared_memory_free_bytes: int | None = None
    notes: list[str] = dataclasses.field(default_factory=list)
    error: str | None = None
    hint: str = ""

    def machine(self) -> dict:
        """The part that describes the machine."""
        return {name: value for name, value in vars(self).items() if name not in ("notes", "error", "hint")}


def look(args: argparse.Namespace, program: Program) -> Found:
    """In a process of its own, since it starts CUDA."""
    found = Found()
    try:
        with concurrent.futures.ThreadPoolExecutor() as pool:
            # Beside the rest, since each loads a few GB of libraries.
            checking = pool.submit(check_newt_pipe, args, program)
            look_at_folders(found, args, program.scratch)
            if args.device != "cpu":
                ask_nvidia_smi(found, args.device)
                start_cuda(found, args)
            checking.result()
    except Missing as missing:
        found.error, found.hint = str(missing), missing.hint
    return found


def look_at_folders(found: Found, args: argparse.Namespace, scratch: pathlib.Path) -> None:
    found.scratch_free_bytes, found.shared_memory_free_bytes = free_bytes(scratch), free_bytes(SHARED_MEMORY)
    needed = SMALL_SCRATCH_BYTES if args.small else SCRATCH_BYTES
    if found.scratch_free_bytes is not None and found.scratch_free_bytes < needed:
        free_gib, needed_gib = found.scratch_free_bytes / 2**30, needed / 2**30
        raise Missing(
            f"`{scratch.parent}` has {free_gib:.1f} GiB left, weights and images need {needed_gib:.1f} GiB",
            "name a folder with more room: --scratch DIR",
        )
    if not pathlib.Path(SHARED_MEMORY).is_dir():
        found.notes.append(f"no folder `{SHARED_MEMORY}`, in which a DataLoader puts its batches")


def ask_nvidia_smi(found: Found, device: str) -> None:
    try:
        said = cuda_gpu.ask(device, "name", "driver_version", "compute_mode")
    except RuntimeError as error:
        found.notes.append(f"{error}: how busy the GPU is stays unknown")
        return
    found.gpu, found.driver, found.compute_mode = said["name"], said["driver_version"], said["compute_mode"]
    if found.compute_mode.startswith(("Exclusive", "Prohibited")):
        raise Missing(
            f"the compute mode of {found.gpu} is `{found.compute_mode}`, it must be `Default`: processes share the GPU",
            "take another GPU: --device cuda:1",
        )


def start_cuda(found: Found, args: argparse.Namespace) -> None:
    device = args.device
    try:
        torch.zeros(1, device=device)
        found.gpu = torch.cuda.get_device_name(device)
        found.gpu_free_bytes, found.gpu_bytes = torch.cuda.mem_get_info(device)
    except Exception as error:  # of many kinds, also AssertionError
        raise Missing(
            f"PyTorch {torch.__version__} cannot use device `{device}`: {first_line(error)}",
            "`nvidia-smi` lists the GPUs; PyTorch needs its build for CUDA, and CUDA_VISIBLE_DEVICES may hide one",
        ) from error
    if not args.small and found.gpu_free_bytes < GPU_BYTES:
        free_gib, whole_gib = found.gpu_free_bytes / 2**30, found.gpu_bytes / 2**30
        found.notes.append(f"the GPU has {free_gib:.1f} of {whole_gib:.1f} GiB left: large networks may not fit")


def check_newt_pipe(args: argparse.Namespace, program: Program) -> None:
    """Its wheel, libtorch and the CUDA half of that."""
    precision = "f32" if args.device == "cpu" else "f16"
    try:
        program.call("models", "check", "random", MODEL, "--device", args.device, "--precision", precision)
    except (RuntimeError, OSError) as error:
        raise Missing(
            str(error),
            f"`{program.binary} models check random {MODEL} --device {args.device} --precision {precision}` says more",
        ) from error
