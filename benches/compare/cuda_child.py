"""Work in processes of its own, that ends when it must."""

import multiprocessing
import os
import pathlib
import signal
import traceback


class TimeIsUp(Exception):
    """The work was stopped, since the time for it is over."""


def first_line(error: BaseException) -> str:
    return (str(error).strip() or repr(error)).splitlines()[0]


class Child:
    """Work in a process of its own, with all that it starts: a crash, a fault of the GPU or a hang ends there."""

    def __init__(self, work, log: pathlib.Path):
        context = multiprocessing.get_context("fork")
        self.given_up = ""
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
            sender.send((None, first_line(error)))

    def result(self, seconds: float):
        """What the work returns. Raises [`TimeIsUp`] after these seconds."""
        if self.given_up:
            raise RuntimeError(self.given_up)
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

    def is_over(self, seconds: float) -> bool:
        """Waits for a result or an end, which it leaves to be taken."""
        return self.receiver.poll(max(seconds, 0))

    def give_up(self, reason: str) -> None:
        """Stops it; whoever asks for its result is told why there is none."""
        self.given_up = reason
        self.stop()

    def stop(self) -> None:
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:  # it has ended, or has not got so far as to lead a group
            self.process.kill()
        self.process.join()
