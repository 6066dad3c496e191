"""Let a training be interrupted at any moment: save it regularly, and delay signals until a step is complete."""

import signal
import threading
import time
from pathlib import Path
from types import FrameType

from course_utils.training.run import Run


class DelayedSignals:
    """Inside the with block, delay Ctrl-C (SIGINT) and SIGTERM in `pending` until `deliver` or the end of the block.

    Then they have their usual effect. A second Ctrl-C takes effect at once unless `patient`, because torchrun may send
    a signal twice. Nothing is delayed without `active`, or outside the main thread, where Python allows no handlers.
    """

    def __init__(self, active: bool = True, patient: bool = False) -> None:
        self.active, self.patient, self.pending, self.previous = active, patient, 0, {}

    def __enter__(self) -> "DelayedSignals":
        if self.active and threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) not in (signal.SIG_IGN, None):  # a signal that was ignored stays ignored
                    self.previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, error, *_) -> None:
        self._restore()
        if self.pending and error is None:
            signal.raise_signal(self.pending)

    def _note(self, number: int, frame: FrameType | None) -> None:
        again, self.pending = self.pending == number == signal.SIGINT, self.pending or number
        if again and not self.patient:
            self.deliver(number)

    def _restore(self) -> None:
        for number, handler in self.previous.items():
            signal.signal(number, handler)

    def deliver(self, number: int) -> None:
        """Raise the signal now for its original handler; if that returns, delay later signals again."""
        self._restore()
        self.pending = 0
        signal.raise_signal(number)
        self.__enter__()


class Checkpointer:
    """Saves `run` to `path` every `seconds`, and before a signal that may end the process.

    Does nothing if `path` is None.
    """

    def __init__(self, run: Run, path: Path | str | None, seconds: float, signals: DelayedSignals) -> None:
        self.run, self.path, self.seconds, self.signals = run, path, seconds, signals
        self.saved = time.monotonic()

    def resume_or_save(self) -> None:
        """Continue from the file; if there is none, save, so that an interrupted first epoch can be repeated."""
        if self.path is not None:
            (exists,) = self.run.workers.largest(Path(self.path).exists())
            self.run.resume(self.path) if exists else self.save()

    def save(self) -> None:
        if self.path is not None:
            self.run.save(self.path)
            self.saved = time.monotonic()

    def after_batch(self) -> None:
        """Save if it is time, or stop. All processes call this after the same batch and make the same decision."""
        if self.path is None:
            return
        due, number = self.run.workers.largest(time.monotonic() - self.saved >= self.seconds, self.signals.pending)
        if due or number:
            self.save()
        if number:
            self.run.workers.largest(0)  # wait until the first process has written
            self.signals.deliver(number)
