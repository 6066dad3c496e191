"""Use what a learner wrote in a child process: whatever it does there, the notebook's kernel goes on.

On Linux the child is a fork of the kernel: it knows all that the learner has defined, and is gone after one use. Where
a fork is not safe (macOS, and wherever torch may have started threads for a GPU) or not possible (Windows), it is a
second Python, started at the first use and kept, and what the learner wrote is sent there. What cannot be sent, an open
file for example, is used in the kernel itself: there a call that hangs does so until somebody presses stop.

A call that hangs ends with its child. `faulthandler` then writes at which line it was, even while a library computes.
"""

import atexit
import builtins
import contextlib
import faulthandler
import io
import linecache
import logging
import marshal
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import types
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cloudpickle
import psutil
import torch
from tqdm import tqdm

from exercise_checks.running import limits, observing, process
from exercise_checks.running.observing import MOST_PRINTED, Case, Failure, FailureKind, Observation, type_name
from exercise_checks.running.protocol import Channel, Gone, TooLate, Unreadable, from_observation, to_observation

CAN_ASK = hasattr(faulthandler, "register")  # whether a child, when asked to end, writes first at which line it is
GRACE = 1.0  # seconds that it has for that, before it is killed
START = 60.0  # seconds for a second Python to import torch, on a slow computer
MOST_MEMORY = 4 << 30  # bytes that a fork may take beyond what the kernel has
MOST_REPLY, MOST_LEFT = 1 << 29, 1 << 16  # bytes
PRINTED, DUMP = "printed", "dump"  # names of files

_second: "_Second | None" = None
_inside = False  # whether this is a child itself


def observe(use: str, obj, cases: Sequence[Case], seconds: float) -> list[Observation]:
    """Do as `observing.observe`, in a child process; that it ends instead of answering is one more kind of failure.

    Takes at most `seconds` and `GRACE`, whatever `obj` does; at the first use also the time that a second Python needs
    to start, where one is needed. Only what cannot be sent to a second Python has no limit of time.

    >>> [seen] = observe("call", lambda x: x + 1, [Case("one", (2,))], seconds=5)
    >>> seen.value, seen.failure
    (3, None)
    """
    if _inside:  # what is checked calls `check`: one child is enough
        return observing.observe(use, obj, cases, seconds)
    if not forks_safely():
        return _observe_in_second(use, obj, cases, seconds)
    child = _Fork(use, obj, cases, seconds)
    try:
        return child.observations(cases, seconds)
    finally:
        child.close()


def forks_safely() -> bool:
    """Whether torch works in a fork of this process. With a GPU, `backward` has threads that a fork lacks."""
    gpu = torch.accelerator.is_available() if hasattr(torch, "accelerator") else torch.cuda.is_available()
    return sys.platform == "linux" and not gpu


class _Inside:
    """A child, from inside. It sends observations, and leaves in two files what was printed and where a call hung."""

    def __init__(self, connection: socket.socket, folder: str):
        global _inside
        _inside = True
        self.channel = Channel(connection, MOST_REPLY)
        self.printed = open(Path(folder, PRINTED), "w", encoding="utf-8")  # noqa: SIM115
        self.dump = open(Path(folder, DUMP), "w")  # noqa: SIM115
        faulthandler.disable()  # a fork has the kernel's, which writes into the notebook
        if CAN_ASK:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            faulthandler.register(signal.SIGTERM, self.dump, all_threads=False, chain=True)
        if sys.platform == "linux":
            limits.adopt_orphans()
        logging.disable()  # Jupyter would note in the server's log each picture that is not shown
        builtins.input, builtins.display = _no_input, lambda *_, **__: None

    def answer(self, use: str, obj, cases: Sequence[Case], seconds: float) -> None:
        """Send each observation as soon as it is there, so that a later case cannot take it along."""
        # For who cannot be asked, or does not listen: to look at a thread while it runs, as this does, can fail.
        faulthandler.dump_traceback_later(seconds + GRACE / 2 * CAN_ASK, exit=True, file=self.dump)
        for case in cases:
            try:
                [seen] = observing.observe(use, obj, [case], copy=self.printed)
                self.channel.send(0, 0, (seen.printed, from_observation(seen)))
            except Gone:
                return
            except BaseException as error:  # what the learner's code did to torch, for example
                words = f"Looking at what your code did raised {type_name(error)}. If this stays, restart the kernel."
                unusable = Observation(failure=Failure(FailureKind.UNUSABLE, words))
                self.channel.send(0, 0, ("", from_observation(unusable)))
        faulthandler.cancel_dump_traceback_later()


def _no_input(prompt="") -> str:
    raise RuntimeError("input() cannot be used while a task is checked: nobody would be asked.")


class _Child:
    """A child, as the kernel has it. What comes from it is not believed to be whole, nor to be true."""

    process: psutil.Process | subprocess.Popen
    channel: Channel

    def __init__(self):
        self.status: int | None = None  # as `process.end` says it, when it has ended
        self.folder = tempfile.TemporaryDirectory(prefix="check-", ignore_cleanup_errors=True)
        self.files = {name: open(Path(self.folder.name, name), "w+b") for name in (PRINTED, DUMP)}  # noqa: SIM115

    def observations(self, cases: Sequence[Case], seconds: float) -> list[Observation]:
        """What it sends, up to the first failure after which no further case is tried; then it is ended."""
        seen, deadline = [], time.monotonic() + seconds + (0.0 if CAN_ASK else GRACE)
        late = FailureKind.TIME_UP, f"{seconds:g}"
        try:
            for _ in cases:
                seen.append(self._observation(deadline))
                if seen[-1].failure and seen[-1].failure.kind in (FailureKind.INTERRUPTED, FailureKind.UNUSABLE):
                    self.end()
                    break
            return seen
        except KeyboardInterrupt:  # somebody pressed stop
            self.end(GRACE, ask=True)
            kind, words = FailureKind.INTERRUPTED, ""
        except TooLate:
            self.end(GRACE, ask=True)
            kind, words = late
        except Gone:
            ended = FailureKind.ENDED, process.describe(self.end(GRACE))
            kind, words = late if self._left(DUMP).startswith("Timeout") else ended
        except Unreadable as error:
            self.end()
            kind, words = FailureKind.UNUSABLE, f"What came back could not be read: {error}"
        failure = Failure(kind, words, observing.line_in_dump(self._left(DUMP)))
        return [*seen, Observation(failure=failure, printed=self._left(PRINTED)[:MOST_PRINTED])]

    def _observation(self, deadline: float) -> Observation:
        message = self.channel.receive(deadline)[2]
        if not (type(message) is tuple and len(message) == 2 and type(message[0]) is str):
            raise Unreadable("what came is not what was printed and an observation.")
        return replace(to_observation(message[1]), printed=message[0])

    def _left(self, name: str) -> str:
        """The beginning of what stands in one of its files; it may have written anything there."""
        self.files[name].seek(0)
        return self.files[name].read(MOST_LEFT).decode(errors="replace")

    def end(self, patience: float = 0.0, ask: bool = False) -> int:
        """End it and all that it started; return its status, as `process.end` does."""
        if self.status is None:
            self.status = process.end(self.process, patience, ask)
        return self.status

    def close(self) -> None:
        """End it, and leave nothing of it."""
        self.end()
        self.channel.close()
        for file in self.files.values():
            file.close()
        self.folder.cleanup()


# ---------------------------------------------------------------------------------------------------------
# A fork
# ---------------------------------------------------------------------------------------------------------


class _Fork(_Child):
    """A copy of this process that answers one request and does nothing else."""

    def __init__(self, use: str, obj, cases: Sequence[Case], seconds: float):
        super().__init__()
        ours, theirs = socket.socketpair()
        with warnings.catch_warnings(action="ignore"):  # Python warns of forks beside threads: see `_leave_kernel`
            number = os.fork()
        if number == 0:
            try:
                _leave_kernel(theirs)
                _Inside(theirs, self.folder.name).answer(use, obj, cases, seconds)
                signal.pause()  # what it has started is found as long as it is there itself
            finally:
                os._exit(0)  # whatever happened: what follows in this program is the kernel's
        theirs.close()
        self.process, self.channel = psutil.Process(number), Channel(ours, MOST_REPLY)


def _leave_kernel(connection: socket.socket) -> None:
    """In a new fork: keep nothing that leads back to the kernel or would wait for one of its threads."""
    os.setpgid(0, 0)  # Ctrl-C is for the kernel
    limits.die_with_parent()
    limits.limit("RLIMIT_CORE", 0)
    limits.limit("RLIMIT_AS", limits.address_space() + MOST_MEMORY)
    with contextlib.suppress(OSError):  # should memory run out all the same, the kernel is not the one to end
        Path("/proc/self/oom_score_adj").write_text("1000")
    torch.set_num_threads(1)  # the threads of a pool do not come along
    have_own_bars()
    with open(os.devnull, "wb") as nowhere:  # what libraries write past Python
        for number in (1, 2):
            os.dup2(nowhere.fileno(), number)
    for number in map(int, os.listdir("/proc/self/fd")):
        with contextlib.suppress(OSError):
            # The kernel's sockets, and what wakes its threads: a message from here would confuse them.
            wakes = os.readlink(f"/proc/self/fd/{number}").startswith(("socket:", "anon_inode:"))
            if wakes and number > 2 and number != connection.fileno():
                os.close(number)


def have_own_bars(kind: type = tqdm) -> None:
    """In a new fork: a lock of its own for every kind of tqdm's bars.

    Theirs is shared by all forks: held by one that is ended, it would stop the bars of all others, the kernel's too.
    """
    kind.set_lock(threading.RLock())
    for more in kind.__subclasses__():  # each may have looked for a lock first, and have its own
        have_own_bars(more)


# ---------------------------------------------------------------------------------------------------------
# A second Python
# ---------------------------------------------------------------------------------------------------------


def _observe_in_second(use: str, obj, cases: Sequence[Case], seconds: float) -> list[Observation]:
    global _second
    packed = _pack((use, obj, tuple(cases), seconds))
    if packed is None:
        return observing.observe(use, obj, cases, seconds)
    second, _second = _second or _Second(), None
    try:
        if not (second.has_started() and second.unpacks(packed, seconds)):
            return observing.observe(use, obj, cases, seconds)
        seen = second.observations(cases, seconds)
        if second.status is None:
            process.kill(process.descendants(second.process.pid))
            _second, second = second, None
        return seen
    finally:
        if second:
            second.close()


class _Pickler(cloudpickle.Pickler):
    """Code keeps the name of its file, by which its lines are found; cloudpickle itself leaves it out."""

    dispatch_table = cloudpickle.Pickler.dispatch_table.new_child(
        {types.CodeType: lambda code: (marshal.loads, (marshal.dumps(code),))}
    )


def _pack(request: tuple) -> torch.Tensor | None:
    """The request and the source of the notebook's cells as bytes; None for what cannot be sent."""
    cells = {name: entry for name, entry in linecache.cache.items() if len(entry) == 4 and entry[1] is None}
    packed = io.BytesIO()
    try:
        _Pickler(packed).dump((cells, request))
    except KeyboardInterrupt:
        raise
    except BaseException:  # an object may say itself how it is to be sent, and raise anything
        return None
    return torch.frombuffer(packed.getbuffer(), dtype=torch.uint8)


@atexit.register
def _end_second() -> None:
    if _second:
        _second.close()


class _Second(_Child):
    """Another Python with `serve` running, for as many requests as it survives."""

    def __init__(self):
        super().__init__()
        code = f"import sys; sys.path[:] = {sys.path!r}; from exercise_checks.running import child; child.serve"
        ours, theirs = socket.socketpair()
        with theirs:
            command = lambda number: [sys.executable, "-c", f"{code}({number}, {self.folder.name!r})"]  # noqa: E731
            self.process = process.start(command, theirs)
        self.channel, self.started = Channel(ours, MOST_REPLY), False

    def has_started(self) -> bool:
        """Wait until it has started; False if it does not."""
        self.started = self.started or self._says_yes(time.monotonic() + START)
        return self.started

    def unpacks(self, packed: torch.Tensor, seconds: float) -> bool:
        """Send a request; say whether it arrived and could be unpacked."""
        deadline = time.monotonic() + seconds + GRACE
        with contextlib.suppress(Gone):
            self.channel.send(0, 0, packed, deadline)
        return self._says_yes(deadline)

    def _says_yes(self, deadline: float) -> bool:
        try:
            return self.channel.receive(deadline)[2] is True
        except (Gone, Unreadable):
            return False


def serve(number: int, folder: str) -> None:
    """In the second Python: answer requests until the kernel closes the connection.

    Args:
        number: of a stream socket to the kernel, for `process.take`.
        folder: for the two files of `_Inside`.
    """
    inside = _Inside(process.take(number), folder)
    with contextlib.suppress(Gone):
        inside.channel.send(0, 0, True)
        while True:
            packed = inside.channel.receive()[2]
            try:
                cells, request = cloudpickle.loads(packed.numpy().tobytes())
            except Exception:  # it says itself how it is to be unpacked, too
                inside.channel.send(0, 0, False)
                continue
            linecache.cache |= cells  # so that an error can show its line
            inside.channel.send(0, 0, True)
            inside.answer(*request)
    os._exit(0)  # also when the learner's code has left threads behind
