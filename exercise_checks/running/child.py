"""Use what a learner wrote in a process of its own: whatever it does there, the notebook's kernel goes on.

On Linux that process is a fork of the kernel, which knows all that the learner has defined, and is gone after one use.
Where a fork is not safe (macOS, and wherever torch may have started threads for a GPU) or not possible (Windows), a
second Python is started at the first use and kept, and what the learner wrote is sent there. What cannot be sent, an
open file for example, is used in the kernel itself, as `observing` does it.
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
import sys
import threading
import time
import types
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import cloudpickle
import torch
from tqdm import tqdm

from exercise_checks.running import limits, observing, other_process
from exercise_checks.running.observing import Case, Failure, FailureKind, Observation, Opaque, type_name
from exercise_checks.running.other_process import describe
from exercise_checks.running.protocol import Channel, Gone, TooLate, Unreadable, from_observation, to_observation
from exercise_checks.running.time_limit import call_within

GRACE = 1.0  # seconds beyond its own limit that the process has to say so itself, before it is ended
START = 60.0  # seconds for a second Python to import torch, on a slow computer
MOST_MEMORY = 4 << 30  # bytes that a fork may take beyond what the kernel has
MOST_REPLY = 1 << 30  # bytes
LAST = (
    FailureKind.TIME_UP,
    FailureKind.INTERRUPTED,
    FailureKind.ENDED,
    FailureKind.UNUSABLE,
)  # failures after which no further case is tried

_second: "_Second | None" = None
_inside = False  # whether this is such a process itself


def observe(use: str, obj, cases: Sequence[Case], seconds: float) -> list[Observation]:
    """Do as `observing.observe`; when the process ends instead of answering, that is a failure of the kind "Ended".

    Takes at most `seconds` and `GRACE`, whatever `obj` does; at the first use also the time that a second Python needs
    to start, where one is needed.

    >>> [seen] = observe("call", lambda x: x + 1, [Case("one", (2,))], seconds=5)
    >>> seen.value, seen.failure
    (3, None)
    """
    if _inside:  # what is checked calls `check`: one process is enough
        return observing.observe(use, obj, cases, seconds)
    if not forks_safely():
        return _observe_in_second(use, obj, cases, seconds)
    process = _Fork(lambda channel: _tell(channel, use, obj, cases, seconds))
    try:
        return _hear_all(process, cases, seconds)
    finally:
        process.end()


def forks_safely() -> bool:
    """Whether torch works in a fork of this process. With a GPU, `backward` has threads that a fork lacks."""
    gpu = torch.accelerator.is_available() if hasattr(torch, "accelerator") else torch.cuda.is_available()
    return sys.platform == "linux" and not gpu


# ---------------------------------------------------------------------------------------------------------
# Both ends of the conversation
# ---------------------------------------------------------------------------------------------------------


def _tell(channel: Channel, use: str, obj, cases: Sequence[Case], seconds: float) -> None:
    """In the process: send each observation as soon as it is there, so that a later case cannot take it along."""
    end = time.monotonic() + seconds
    for case in cases:
        # Not all at once: between two calls of the learner's nothing is interrupted, and so no message is cut off.
        try:
            [seen] = observing.observe(use, obj, [case], max(end - time.monotonic(), 1e-3))
        except BaseException as error:  # what the learner's code did to torch, for example
            words = f"Looking at what your code did raised {type_name(error)}. If this stays, restart the kernel."
            seen = Observation(failure=Failure(FailureKind.UNUSABLE, words))
        try:
            channel.send(0, 0, (seen.printed, from_observation(seen)))
        except (TypeError, RuntimeError, MemoryError):  # nothing that could be sent, or far too large
            channel.send(0, 0, (seen.printed, from_observation(replace(seen, value=_named(seen.value), gradients={}))))


def _named(value) -> Opaque:
    large = isinstance(value, torch.Tensor)
    return Opaque(f"Tensor, of shape {'×'.join(map(str, value.shape)) or '()'}" if large else type_name(value))


def _hear_all(process: "_Fork | _Second", cases: Sequence[Case], seconds: float) -> list[Observation]:
    deadline, seen = time.monotonic() + seconds + GRACE, []
    for _ in cases:
        observation = _hear(process, deadline)
        if (
            observation.failure and observation.failure.kind is FailureKind.TIME_UP
        ):  # of all cases together, not of the last
            observation = replace(observation, failure=replace(observation.failure, words=f"{seconds:g}"))
        seen.append(observation)
        if observation.failure and observation.failure.kind in LAST:
            break
    return seen


def _hear(process: "_Fork | _Second", deadline: float) -> Observation:
    try:
        return _receive(process.channel, deadline)
    except TooLate:
        return Observation(failure=Failure(FailureKind.TIME_UP))
    except Gone:
        return Observation(failure=Failure(FailureKind.ENDED, describe(process.end(GRACE))))
    except Unreadable as error:
        return Observation(failure=Failure(FailureKind.UNUSABLE, f"What came back could not be read: {error}"))
    except KeyboardInterrupt:  # somebody pressed stop: the process may still say at which line it was
        process.interrupt()
        with contextlib.suppress(Gone, Unreadable):
            seen = _receive(process.channel, time.monotonic() + GRACE)
            if seen.failure and seen.failure.kind is FailureKind.INTERRUPTED:
                return seen
        return Observation(failure=Failure(FailureKind.INTERRUPTED))


def _receive(channel: Channel, deadline: float) -> Observation:
    """Raises Gone, TooLate or Unreadable: what a learner's code may have sent itself is not believed to be whole."""
    message = channel.receive(deadline)[2]
    if not (type(message) is tuple and len(message) == 2 and type(message[0]) is str):
        raise Unreadable("what came is not what was printed and an observation.")
    return replace(to_observation(message[1]), printed=message[0])


# ---------------------------------------------------------------------------------------------------------
# A fork
# ---------------------------------------------------------------------------------------------------------


class _Fork:
    """A copy of this process that does `work(channel)` and nothing else."""

    def __init__(self, work: Callable[[Channel], None]):
        ours, theirs = socket.socketpair()
        with warnings.catch_warnings(action="ignore"):  # Python warns of forks beside threads: see `_leave_kernel`
            self.pid = os.fork()
        if self.pid == 0:
            try:
                ours.close()
                _leave_kernel(theirs)
                work(Channel(theirs, most=0))
            finally:
                os._exit(0)  # whatever happened: what follows in this program is the kernel's
        theirs.close()
        self.channel, self.status = Channel(ours, MOST_REPLY), None

    def interrupt(self) -> None:
        os.kill(self.pid, signal.SIGINT)

    def end(self, patience: float = 0.0) -> int:
        """End it and what it has started; return its exit status, or minus the signal that ended it.

        Args:
            patience: seconds to wait for it to end by itself, so that the reason is its own.
        """
        if self.status is None:
            self.channel.close()
            self._wait(time.monotonic() + patience)
            for kill in (os.killpg, os.kill):  # its group may not be there yet
                with contextlib.suppress(ProcessLookupError):
                    kill(self.pid, signal.SIGKILL)
            self._wait(None)
        return self.status

    def _wait(self, deadline: float | None) -> None:
        while self.status is None:
            try:
                ended, status = os.waitpid(self.pid, 0 if deadline is None else os.WNOHANG)
            except ChildProcessError:  # somebody else has waited for it
                ended, status = self.pid, signal.SIGKILL
            if ended:
                self.status = os.waitstatus_to_exitcode(status)
            elif time.monotonic() >= deadline:
                return
            else:
                time.sleep(0.005)


def _leave_kernel(connection: socket.socket) -> None:
    """In a new fork: keep nothing that leads back to the kernel or would wait for one of its threads."""
    global _inside
    _inside = True
    os.setpgid(0, 0)  # Ctrl-C is for the kernel, and what the learner starts is ended with this group
    limits.die_with_parent()
    limits.limit("RLIMIT_CORE", 0)
    limits.limit("RLIMIT_AS", limits.address_space() + MOST_MEMORY)
    with contextlib.suppress(OSError):  # should memory run out all the same, the kernel is not the one to end
        Path("/proc/self/oom_score_adj").write_text("1000")
    faulthandler.disable()
    torch.set_num_threads(1)  # the threads of a pool do not come along
    have_own_bars()
    _talk_to_nobody()
    with open(os.devnull, "wb") as nowhere:  # what libraries write past Python, and what the kernel writes of this fork
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


def _talk_to_nobody() -> None:
    logging.disable()  # Jupyter would note in the server's log each picture that is not shown
    builtins.input, builtins.display = _no_input, lambda *_, **__: None


def _no_input(prompt="") -> str:
    raise RuntimeError("input() cannot be used while a task is checked: nobody would be asked.")


# ---------------------------------------------------------------------------------------------------------
# A second Python
# ---------------------------------------------------------------------------------------------------------


def _observe_in_second(use: str, obj, cases: Sequence[Case], seconds: float) -> list[Observation]:
    global _second
    packed = _pack((use, obj, tuple(cases), seconds), seconds)
    if packed is None:
        return observing.observe(use, obj, cases, seconds)
    second, _second = _second or _Second(), None
    try:
        if not (second.is_there() and second.unpacks(packed, seconds)):
            return observing.observe(use, obj, cases, seconds)
        seen = _hear_all(second, cases, seconds)
        if not (seen[-1].failure and seen[-1].failure.kind in LAST):
            _second, second = second, None
        return seen
    finally:
        if second:
            second.end()


class _Pickler(cloudpickle.Pickler):
    """Code keeps the name of its file, by which its lines are found; cloudpickle itself leaves it out."""

    dispatch_table = cloudpickle.Pickler.dispatch_table.new_child(
        {types.CodeType: lambda code: (marshal.loads, (marshal.dumps(code),))}
    )


def _pack(request: tuple, seconds: float) -> torch.Tensor | None:
    """The request and the source of the notebook's cells as bytes; None for what cannot be sent."""
    cells = {name: entry for name, entry in linecache.cache.items() if len(entry) == 4 and entry[1] is None}
    packed = io.BytesIO()
    try:  # an object may say itself how it is to be sent
        call_within(seconds, _Pickler(packed).dump, (cells, request))
    except KeyboardInterrupt:
        raise
    except BaseException:  # also SystemExit, or that time was up
        return None
    return torch.frombuffer(packed.getbuffer(), dtype=torch.uint8)


@atexit.register
def _end_second() -> None:
    if _second:
        _second.end()


class _Second:
    """Another Python with `serve` running."""

    def __init__(self):
        code = f"import sys; sys.path[:] = {sys.path!r}; from exercise_checks.running import child; child.serve"
        ours, theirs = socket.socketpair()
        with theirs:
            self.process = other_process.start(lambda number: [sys.executable, "-c", f"{code}({number})"], theirs)
        self.channel, self.started = Channel(ours, MOST_REPLY), False

    def is_there(self) -> bool:
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

    def interrupt(self) -> None:
        if sys.platform != "win32":
            self.process.send_signal(signal.SIGINT)

    def end(self, patience: float = 0.0) -> int:
        """As `_Fork.end`."""
        self.channel.close()
        return other_process.end(self.process, patience)


def serve(number: int) -> None:
    """In the second Python: answer requests until the kernel closes the connection.

    Args:
        number: of a stream socket to the kernel, for `other_process.take`.
    """
    global _inside
    _inside = True
    _talk_to_nobody()
    channel = Channel(other_process.take(number), most=MOST_REPLY)
    with contextlib.suppress(Gone):
        channel.send(0, 0, True)
        while True:
            packed = channel.receive()[2]
            try:
                cells, request = cloudpickle.loads(packed.numpy().tobytes())
            except Exception:  # it says itself how it is to be unpacked, too
                channel.send(0, 0, False)
                continue
            linecache.cache |= cells  # so that an error can show its line
            channel.send(0, 0, True)
            _tell(channel, *request)
    os._exit(0)  # also when the learner's code has left threads behind
