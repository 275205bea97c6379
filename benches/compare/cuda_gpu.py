"""What nvidia-smi says of the GPU: its name once, its work and memory while something runs."""

import os
import shutil
import subprocess
import threading

# Between two samples.
PAUSE_MS = 200
# nvidia-smi takes up to a second on a machine that has just started.
LIMIT_S = 15.0


def name_for_nvidia_smi(device: str) -> str:
    """`cuda:1` as `--id` takes it: of the GPUs that CUDA_VISIBLE_DEVICES lists, the second."""
    index = int(device.partition(":")[2] or 0)
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    return visible[index].strip() if index < len(visible) and visible[index].strip() else str(index)


def command(device: str, fields: str) -> list[str] | None:
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    query = [f"--query-gpu={fields}", "--format=csv,noheader,nounits"]
    return [program, *query, f"--id={name_for_nvidia_smi(device)}"]


def ask(device: str, *fields: str) -> dict[str, str]:
    """The fields of the GPU as nvidia-smi writes them. Raises RuntimeError where it does not say."""
    asked = command(device, ",".join(fields))
    if asked is None:
        raise RuntimeError("no program `nvidia-smi`")
    try:
        done = subprocess.run(asked, capture_output=True, text=True, timeout=LIMIT_S, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"nvidia-smi did not end within {LIMIT_S:.0f} s") from None
    values = [value.strip() for value in done.stdout.strip().split(",")]
    if done.returncode != 0 or len(values) != len(fields):
        said = (done.stdout + done.stderr).strip().splitlines() or ["nothing"]
        raise RuntimeError(f"nvidia-smi: exit code {done.returncode}, it says `{said[0]}`")
    return dict(zip(fields, values))


class GpuSamples:
    """One nvidia-smi that writes a line every `PAUSE_MS` while the block runs.

    It is started once and before the block, since processes that the block forks would hold pipes that are opened beside
    them.
    """

    def __init__(self, device: str):
        self.command = None if device == "cpu" else command(device, "utilization.gpu,memory.used")
        self.utilization: list[float] = []
        self.memory_used: list[float] = []
        self.process: subprocess.Popen | None = None

    def __enter__(self):
        if self.command is not None:
            self.process = subprocess.Popen(
                [*self.command, f"--loop-ms={PAUSE_MS}"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            self.thread = threading.Thread(target=self.read, daemon=True)
            self.thread.start()
        return self

    def __exit__(self, *_) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            # What it wrote before is read to its end; a process of its own that holds the pipe must not hold this one.
            self.thread.join(5)

    def read(self) -> None:
        with self.process.stdout as lines:
            for line in lines:
                try:
                    utilization, memory = map(float, line.split(","))
                except ValueError:  # `[N/A]`, or a message
                    continue
                self.utilization.append(utilization)
                self.memory_used.append(memory)

    def busy(self) -> float | None:
        """Percent, from the first to the last sample that shows work."""
        at_work = [i for i, percent in enumerate(self.utilization) if percent > 0]
        if not at_work:
            return None
        during = self.utilization[at_work[0] : at_work[-1] + 1]
        return sum(during) / len(during)

    def memory(self) -> float | None:
        return max(self.memory_used, default=None)
