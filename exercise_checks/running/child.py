"""Use what a learner wrote in a child process: whatever it does there, the notebook's kernel goes on.

On Linux the child is a fork of the kernel: it knows all that the learner has defined, and is gone after one use. Where
a fork is not safe (macOS, and wherever torch may have started threads for a GPU) or not possible (Windows), it is a
second Python, started at the first use and kept, and what the learner wrote is sent there. What cannot be sent, an open
file for example, is used in the kernel itself: there a call that hangs does so until somebody presses stop.

A call that hangs ends with its child. `faulthandler` then writes at which line it was, even while a library computes.
"""

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
import weakref
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import cloudpickle
import psutil
import torch
from tqdm import tqdm

from exercise_checks.running import observing, process
from exercise_checks.running.observing import MOST_PRINTED, Case, Failure, FailureKind, Observation, type_name
from exercise_checks.running.protocol import Channel, Gone, TooLate, Unreadable

CAN_ASK = hasattr(faulthandler, "register")  # whether a child, when asked to end, writes first at which line it is
GRACE = 1.0  # seconds that it has for that, before it is killed
START = 60.0  # seconds for a second Python to import torch, on a slow computer
MOST_MEMORY = 4 << 30  # bytes that a fork may take beyond what the kernel has
MOST_REPLY, MOST_LEFT = 1 << 29, 1 << 16  # bytes
PRINTED, DUMP = "printed", "dump"  # names of files

_second: "_Child | None" = None  # the second Python, while it waits for a request
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
    with contextlib.closing(_Child(partial(_fork, (use, obj, cases, seconds)))) as child:
        return child.observations(cases, seconds)


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
        self.printed = open(Path(folder, PRINTED), "w+", encoding="utf-8", newline="")  # noqa: SIM115
        self.dump = open(Path(folder, DUMP), "w")  # noqa: SIM115
        faulthandler.disable()  # a fork has the kernel's, which writes into the notebook
        if CAN_ASK:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            faulthandler.register(signal.SIGTERM, self.dump, all_threads=False, chain=True)
        if sys.platform == "linux":
            process.prctl(process.PR_SET_CHILD_SUBREAPER, 1)
        logging.disable()  # Jupyter would note in the server's log each picture that is not shown
        builtins.input, builtins.display = _no_input, lambda *_, **__: None

    def answer(self, use: str, obj, cases: Sequence[Case], seconds: float) -> None:
        """Send each observation as soon as it is there: a later case may end this process."""
        # After the signal, for a child that ignores it: to look at a thread from another one while it runs can crash.
        faulthandler.dump_traceback_later(seconds + GRACE / 2 * CAN_ASK, exit=True, file=self.dump)
        for case in cases:
            try:
                [seen] = observing.observe(use, obj, [case], printed=self.printed)
                self.channel.send(0, 0, seen)
            except Gone:
                return
            except BaseException as error:  # what the learner's code did to torch, for example
                words = f"Looking at what your code did raised {type_name(error)}. If this stays, restart the kernel."
                self.channel.send(0, 0, Observation(failure=Failure(FailureKind.UNUSABLE, words)))
        faulthandler.cancel_dump_traceback_later()


def _no_input(prompt="") -> str:
    raise RuntimeError("input() cannot be used while a task is checked: nobody would be asked.")


class _Child:
    """A child, as the kernel has it. What comes from it is not believed to be whole, nor to be true.

    Args:
        start: starts a process with its end of a connection, and with a folder for the two files of `_Inside`.
    """

    def __init__(self, start: Callable[[socket.socket, str], psutil.Process | subprocess.Popen]):
        self.status: int | None = None  # as `process.end` says it, when it has ended
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="check-", ignore_cleanup_errors=True))
            self.files = {name: stack.enter_context(open(Path(folder, name), "w+b")) for name in (PRINTED, DUMP)}
            ours, theirs = socket.socketpair()
            self.channel = Channel(stack.enter_context(ours), MOST_REPLY)
            with theirs:
                self.process = start(theirs, folder)
            stack.callback(self.end)
            self.close = weakref.finalize(self, stack.pop_all().close)  # called once, when Python exits at the latest

    def observations(self, cases: Sequence[Case], seconds: float) -> list[Observation]:
        """What it sends, up to the first failure after which no further case is tried; then it is ended."""
        seen, deadline = [], time.monotonic() + seconds + (0.0 if CAN_ASK else GRACE)
        try:
            for _ in cases:
                observation = self.channel.receive(deadline)[2]
                if type(observation) is not Observation:
                    raise Unreadable("what came is no observation.")
                seen.append(observation)
                if observation.failure and observation.failure.kind in (FailureKind.INTERRUPTED, FailureKind.UNUSABLE):
                    self.end()
                    break
            return seen
        except KeyboardInterrupt:  # somebody pressed stop
            self.end(GRACE, ask=True)
            kind, words = FailureKind.INTERRUPTED, ""
        except Gone as error:
            words = process.describe(self.end(GRACE, ask=isinstance(error, TooLate)))
            kind = FailureKind.ENDED
            if isinstance(error, TooLate) or self._left(DUMP).startswith("Timeout"):
                kind, words = FailureKind.TIME_UP, f"{seconds:g}"
        except Unreadable as error:
            self.end()
            kind, words = FailureKind.UNUSABLE, f"What came back could not be read: {error}"
        failure = Failure(kind, words, observing.line_in_dump(self._left(DUMP)))
        return [*seen, Observation(failure=failure, printed=self._left(PRINTED)[:MOST_PRINTED])]

    def _left(self, name: str) -> str:
        """The beginning of what stands in one of its files; it may have written anything there."""
        self.files[name].seek(0)
        return self.files[name].read(MOST_LEFT).decode(errors="replace")

    def end(self, patience: float = 0.0, ask: bool = False) -> int:
        """End it and all that it started; return its status, as `process.end` does."""
        if self.status is None:
            self.status = process.end(self.process, patience, ask)
        return self.status


def _fork(request: tuple, connection: socket.socket, folder: str) -> psutil.Process:
    """Start a copy of this process that answers one request and does nothing else."""
    with warnings.catch_warnings(action="ignore"):  # Python warns of forks beside threads: see `_leave_kernel`
        number = os.fork()
    if number == 0:
        try:
            _leave_kernel(connection)
            _Inside(connection, folder).answer(*request)
            signal.pause()  # until the kernel has found, and ended, all that the learner's code has started
        finally:
            os._exit(0)  # whatever happened: what follows in this program is the kernel's
    return psutil.Process(number)


def _leave_kernel(connection: socket.socket) -> None:
    """In a new fork: keep nothing that leads back to the kernel or would wait for one of its threads."""
    os.setpgid(0, 0)  # Ctrl-C is for the kernel
    process.prctl(process.PR_SET_PDEATHSIG, signal.SIGKILL)
    process.limit("RLIMIT_CORE", 0)
    process.limit("RLIMIT_AS", process.address_space() + MOST_MEMORY)
    with contextlib.suppress(OSError):  # should memory run out all the same, the kernel is not the one to end
        Path("/proc/self/oom_score_adj").write_text("1000")
    torch.set_num_threads(1)  # the threads of a pool do not come along
    have_own_bars()
    with open(os.devnull, "wb") as nowhere:  # what libraries write past Python
        for number in (1, 2):
            os.dup2(nowhere.fileno(), number)
    for number in map(int, os.listdir("/proc/self/fd")):
        with contextlib.suppress(OSError):
            # The kernel listens on its sockets, and its event loop waits for descriptors of these kinds.
            wakes = os.readlink(f"/proc/self/fd/{number}").startswith(("socket:", "anon_inode:"))
            if wakes and number > 2 and number != connection.fileno():
                os.close(number)


def have_own_bars(kind: type = tqdm) -> None:
    """In a new fork: replace tqdm's lock, which all forks share; one that is ended while it holds it stops all bars."""
    kind.set_lock(threading.RLock())
    for more in kind.__subclasses__():  # a subclass may have a lock of its own
        have_own_bars(more)


def _observe_in_second(use: str, obj, cases: Sequence[Case], seconds: float) -> list[Observation]:
    global _second
    packed = _pack((use, obj, tuple(cases), seconds))
    if packed is None:
        return observing.observe(use, obj, cases, seconds)
    patience = seconds + GRACE + (0.0 if _second else START)
    second, _second = _second or _Child(_start_second), None
    try:
        if not _unpacks(second.channel, packed, patience):
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
    except BaseException:  # pickling runs the object's own methods, which may raise anything
        return None
    return torch.frombuffer(packed.getbuffer(), dtype=torch.uint8)


def _start_second(connection: socket.socket, folder: str) -> subprocess.Popen:
    """Start another Python with `serve` running, for as many requests as it survives."""
    code = f"import sys; sys.path[:] = {sys.path!r}; from exercise_checks.running import child; child.serve({folder!r})"
    return process.start([sys.executable, "-c", code], connection)


def _unpacks(channel: Channel, packed: torch.Tensor, patience: float) -> bool:
    """Send a request to the second Python; say whether it arrived and could be unpacked."""
    deadline = time.monotonic() + patience
    try:
        channel.send(0, 0, packed, deadline)
        return channel.receive(deadline)[2] is True
    except (Gone, Unreadable):
        return False


def serve(folder: str) -> None:
    """In the second Python: answer requests until the kernel closes the connection. `folder` is for `_Inside`."""
    inside = _Inside(process.take(), folder)
    with contextlib.suppress(Gone):
        while True:
            packed = inside.channel.receive()[2]
            try:
                cells, request = cloudpickle.loads(packed.numpy().tobytes())
            except Exception:  # unpickling runs the object's own code
                inside.channel.send(0, 0, False)
                continue
            linecache.cache |= cells  # so that an error can show its line
            inside.channel.send(0, 0, True)
            inside.answer(*request)
    os._exit(0)  # also when the learner's code has left threads behind
