"""How a training can be interrupted at any moment: it is saved now and then, and signals wait for a whole step."""

import signal
import threading
import time
from pathlib import Path
from types import FrameType

from course_utils.training.run import Run


class DelayedSignals:
    """Inside the with block Ctrl-C (SIGINT) and SIGTERM wait in `pending` until `deliver`, or the end of the block.

    Then they do what they would have done. Ctrl-C pressed twice does not wait, unless `patient`: torchrun may send a
    signal twice. Nothing waits unless `active`, nor outside the main thread, where Python allows no handlers.
    """

    def __init__(self, active: bool = True, patient: bool = False) -> None:
        self.active, self.patient, self.pending, self.usual = active, patient, 0, {}

    def __enter__(self) -> "DelayedSignals":
        if self.active and threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) not in (signal.SIG_IGN, None):  # nobody ends what ignores signals
                    self.usual[number] = signal.signal(number, self._note)
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
        for number, handler in self.usual.items():
            signal.signal(number, handler)

    def deliver(self, number: int) -> None:
        """Pass the signal on, as if it came now; if its handler returns, later signals wait again."""
        self._restore()
        self.pending = 0
        signal.raise_signal(number)
        self.__enter__()


class Keeper:
    """Saves `run` to `path`: every so many `seconds`, and before a signal that may end the process.

    It does nothing if `path` is None.
    """

    def __init__(self, run: Run, path: Path | str | None, seconds: float, signals: DelayedSignals) -> None:
        self.run, self.path, self.seconds, self.signals = run, path, seconds, signals
        self.saved = time.monotonic()

    def resume_or_save(self) -> None:
        """Continue from the file; if there is none, save, so that an interrupted first epoch can be repeated."""
        if self.path is not None:
            (there,) = self.run.workers.largest(Path(self.path).exists())
            self.run.resume(self.path) if there else self.save()

    def save(self) -> None:
        if self.path is not None:
            self.run.save(self.path)
            self.saved = time.monotonic()

    def after_batch(self) -> None:
        """Save if it is time, or stop. All processes call this after the same batch, and so decide alike."""
        if self.path is None:
            return
        due, number = self.run.workers.largest(time.monotonic() - self.saved >= self.seconds, self.signals.pending)
        if due or number:
            self.save()
        if number:
            self.run.workers.largest(0)  # nobody leaves before the first process has written
            self.signals.deliver(number)
