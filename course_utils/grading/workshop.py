"""The judge's handle on workers: one per submission, sent cells and cases, and believed nothing but bytes."""

import contextlib
import os
import secrets
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, replace

from course_utils.grading import namespaces, sandbox, worker
from course_utils.grading.protocol import Channel, Gone, TooLate, Unreadable, to_observation
from course_utils.grading.sandbox import STRONG, Limits
from course_utils.observing import Case, Failure, Observation

__all__ = ["CellOutcome", "Limits", "Worker", "Workshop"]

GRACE = 2.0  # seconds beyond its own limit that a worker has to say so itself, before it is stopped
START = 120.0  # seconds to import torch on a busy machine
SEARCH = 10.0  # seconds to look through a submission's source
MOST_RESTARTS = 20
DEFAULT_LIMITS = Limits()


@dataclass(frozen=True)
class CellOutcome:
    """How one code cell ended; `index` counts the cells given, from 0."""

    index: int
    ok: bool
    failure: Failure | None


class Workshop:
    """Workers for untrusted notebooks; a context manager.

    Args:
        limits: for each submission.
        level: "strong" or "weak"; None takes the strongest that holds here.

    Attributes:
        level: the level that holds.
        missing: what it does not give, one sentence each.

    Raises:
        ValueError: there is no level of this name.
        RuntimeError: the level asked for does not hold here, or the libraries cannot be imported.

    >>> with Workshop() as workshop, workshop.open(["1 / 0", "def double(x):\\n    return 2 * x"], "ann") as worker:
    ...     outcomes = worker.run()
    ...     [seen] = worker.observe("double", "call", [Case("three", (3,))], seconds=5)
    >>> [outcome.ok for outcome in outcomes], seen.value
    ([False, True], 6)
    """

    def __init__(self, limits: Limits = DEFAULT_LIMITS, level: str | None = None):
        found = sandbox.strongest() if level is None else sandbox.find(level)
        self.limits, self.level, self.missing = limits, found.name, found.missing
        self._core = _Core()
        try:
            self._starter = (_Warm if self.level == STRONG else _Spawning)(limits, self._core.number)
        except BaseException:
            self._core.give_back()
            raise

    def __enter__(self) -> "Workshop":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """End every process that was started here."""
        self._starter.close()
        self._core.give_back()

    def open(self, cells: Sequence[str], name: str) -> "Worker":
        """A worker for one submission: its code cells, and a name for messages. Runs nothing yet."""
        return Worker(self._starter.start, self.limits, tuple(cells), name)


class Worker:
    """One submission. A process that ends or lies is replaced by a new one, in which the cells are run anew.

    Attributes:
        ended: why the last process is gone, as a sentence; None while one is there.
    """

    def __init__(self, start, limits: Limits, cells: tuple[str, ...], name: str):
        self.name, self.cells, self.limits = name, cells, limits
        self.ended: str | None = None
        self._start, self._process, self._channel = start, None, None
        self._deadline = time.monotonic() + limits.total_seconds
        self._restarts, self._cells_ran = 0, False
        self._outcomes: dict[int, CellOutcome] = {}
        self._deadly: set[int] = set()

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """End the process, and with it all that it started."""
        self._leave()

    def search(self, forbidden: Mapping[str, Sequence[str]]) -> dict[str, list[str]] | None:
        """Look through the source for what is forbidden in each definition, as `forbidden.search`; None if that fails.

        To be asked before anything else: while no cell has run, the answer is the grader's own.
        """
        wanted = {name: sorted(words) for name, words in forbidden.items()}
        self._begin()
        try:
            return self._ask(worker.SEARCH, (self.cells, wanted), SEARCH)
        except (Gone, Unreadable) as error:
            self._end(self._why(error))
            return None

    def run(self) -> list[CellOutcome]:
        """Run every code cell in order, and say how each ended. A cell that raises does not stop the next.

        A cell that ends the process, or cannot be stopped otherwise, is left out, and the others are run in a new one.
        """
        self._ready()
        return [self._outcomes.get(i) or self._not_run(i) for i in range(len(self.cells))]

    def observe(self, entry: str, use: str, cases: Sequence[Case], seconds: float) -> list[Observation]:
        """Use what the notebook calls `entry` on each case, as `observing.observe` does; one case is sent at a time.

        Args:
            seconds: for all cases together; `Limits.seconds_per_task` overrules it.

        Returns fewer observations than cases when time is up or the process ends; the last one then says why.
        """
        seconds = self.limits.seconds_per_task or seconds
        seen, left = [], seconds
        if not self._ready():
            return [Observation(failure=Failure("WorkerEnded", self.ended or ""))]
        for case in cases:
            observation, spent = self._observe_one(entry, use, case, left)
            left -= spent
            if left <= 0 and not observation.failure:
                observation = Observation(failure=Failure("TimeUp", ""))
            if observation.failure and observation.failure.kind == "TimeUp":
                observation = replace(observation, failure=replace(observation.failure, words=f"{seconds:g}"))
            seen.append(observation)
            if self.ended or (observation.failure and observation.failure.kind == "TimeUp"):
                break
        return seen

    def _observe_one(self, entry: str, use: str, case: Case, seconds: float) -> tuple[Observation, float]:
        """One observation, and the seconds it took as seen from here."""
        began = time.monotonic()
        request = (entry, use, case.args, case.kwargs, case.gradient, seconds)
        try:
            observation = to_observation(self._ask(worker.OBSERVE, request, seconds))
        except (Gone, Unreadable) as error:
            self._end(self._why(error))
            observation = Observation(failure=self._failure(error))
        return observation, time.monotonic() - began

    def _ready(self) -> bool:
        """Have a process in which all cells have run that can be run; False if that is not possible (any more)."""
        while self._process is None or not self._cells_ran:
            if self._restarts > MOST_RESTARTS or self._used_up():
                self.ended = self.ended or self._why(TooLate())
                return False
            if self._process is None:
                self._begin()
            self._cells_ran = True
            for index in range(len(self.cells)):
                if index not in self._deadly and not self._run_cell(index):
                    break
        return True

    def _begin(self) -> None:
        """Start a process."""
        self._restarts += 1
        began = time.monotonic()
        self._process, self._channel = self._start()
        self._expect_start()
        self._deadline += time.monotonic() - began  # a start, slow at the weak level, is not the learner's time
        self.ended, self._cells_ran = None, False

    def _expect_start(self) -> None:
        """Wait until the walls stand. Before that no line of the learner's has run: trouble is the grader's own."""
        try:
            kind, _, trouble = self._channel.receive(time.monotonic() + START)
        except Gone:
            kind, trouble = worker.STARTED, self._process.how_it_ended().rstrip(".")
        if kind != worker.STARTED or trouble:
            self.close()
            raise RuntimeError(f"No worker can be started: {trouble}.")

    def _run_cell(self, index: int) -> bool:
        """Run one cell; False if the process is gone."""
        seconds = self.limits.seconds_per_cell
        try:
            failure = self._ask(worker.RUN, (index, self.cells[index], seconds), seconds)
            if not (failure is None or type(failure) is Failure):
                raise Unreadable("the outcome of a cell is neither nothing nor a failure.")
        except (Gone, Unreadable) as error:
            self._end(self._why(error))
            self._deadly.add(index)
            failure = self._failure(error)
            words = f"{seconds:g}" if failure.kind == "TimeUp" else failure.words
            self._outcomes[index] = CellOutcome(index, False, replace(failure, words=words))
            return False
        self._outcomes.setdefault(index, CellOutcome(index, failure is None, failure))  # the first time counts
        return True

    def _not_run(self, index: int) -> CellOutcome:
        return CellOutcome(index, False, Failure("NotRun", self.ended or "time was up before this cell's turn."))

    def _ask(self, kind: int, request: tuple, seconds: float):
        deadline = min(time.monotonic() + seconds + GRACE, self._deadline)
        token = secrets.randbits(64)
        self._channel.send(kind, token, request, deadline)
        kind_of_reply, token_of_reply, value = self._channel.receive(deadline)
        if (kind_of_reply, token_of_reply) != (kind, token):
            raise Unreadable("the reply answers another question.")
        return value

    def _used_up(self) -> bool:
        return time.monotonic() >= self._deadline

    def _failure(self, error: Exception) -> Failure:
        """What is seen from outside of a process that was ended because of `error`."""
        late = isinstance(error, TooLate) and not self._used_up()
        return Failure("TimeUp", "") if late else Failure("WorkerEnded", self.ended or "")

    def _why(self, error: Exception) -> str:
        if self._used_up():
            return f"it was stopped: the {self.limits.total_seconds:g} s for the whole submission are used up."
        if isinstance(error, TooLate):
            return "it was stopped: it was still running after its time."
        if isinstance(error, Unreadable):
            return f"its reply was not readable: {error}"
        return self._process.how_it_ended()

    def _end(self, why: str) -> None:
        self._leave()
        self.ended = why

    def _leave(self) -> None:
        if self._process is not None:
            self._channel.close()
            self._process.kill()
            self._process = self._channel = None


# ---------------------------------------------------------------------------------------------------------
# Starting processes
# ---------------------------------------------------------------------------------------------------------


class _Core:
    """A processor core for a workshop's workers: one that no other workshop on this computer has, as far as they go."""

    def __init__(self):
        self.number, self.held = sandbox.ANY_CORE, None
        if sys.platform != "linux":
            return
        cores = sorted(os.sched_getaffinity(0))
        self.held = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        for self.number in cores:
            # A name beside the file system: it is taken once, and is free again as soon as its process has ended.
            with contextlib.suppress(OSError):
                self.held.bind(f"\0convolution-course-grading-{os.getuid()}-{self.number}")
                return
        self.number = cores[os.getpid() % len(cores)]

    def give_back(self) -> None:
        if self.held:
            self.held.close()


class _Warm:
    """The strong level: asks a warmed process for workers."""

    def __init__(self, limits: Limits, core: int):
        self.limits, self.lock = limits, threading.Lock()
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self.process = subprocess.Popen(
                sandbox.command("warm", theirs.fileno(), core, *astuple(limits)),
                env=sandbox.environment(namespaces.for_imports()),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C is for the grader
            )
        self.control.settimeout(START)
        answer = self.control.recv(4096)
        if answer != worker.READY:
            self.close()
            raise RuntimeError(f"No worker can be prepared: {answer.decode(errors='replace') or 'it ended at once'}.")

    def start(self) -> tuple["_Roomer", Channel]:
        ours, theirs = socket.socketpair()
        packet, handles = b"", []
        with self.lock, theirs, contextlib.suppress(OSError):
            socket.send_fds(self.control, [worker.PID.pack(worker.OPEN, 0)], [theirs.fileno()])
            packet, handles, _, _ = socket.recv_fds(self.control, 64, 1)
        if not handles:
            ours.close()
            raise RuntimeError("No worker can be started: the process that starts them is gone.")
        handle = handles[0]
        return _Roomer(self, worker.PID.unpack(packet)[1], handle), Channel(ours, self.limits.reply_bytes)

    def reap(self, number: int) -> int:
        """Wait for the end of a worker; return its status as `os.waitpid` gives it."""
        with self.lock, contextlib.suppress(OSError):
            self.control.send(worker.PID.pack(worker.REAP, number))
            packet = self.control.recv(64)
            if packet:
                return worker.PID.unpack(packet)[1]
        return signal.SIGKILL  # the warmed process is gone, and with it went all in its world

    def close(self) -> None:
        self.control.close()  # at which it ends, and everything in its world
        try:
            self.process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class _Roomer:
    """A worker in its room. Its number is one in the warmed process's world; `handle` is good here."""

    def __init__(self, workshop: _Warm, number: int, handle: int):
        self.workshop, self.number, self.handle = workshop, number, handle
        self.status: int | None = None

    def kill(self) -> int:
        """End it, wait until it has ended, and return its exit status, or minus the signal that ended it."""
        if self.status is None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.handle, signal.SIGKILL)
            self.status = os.waitstatus_to_exitcode(self.workshop.reap(self.number))
            os.close(self.handle)
        return self.status

    def how_it_ended(self) -> str:
        # It has closed its connection: give it the time to end by itself, so that the reason is its own.
        select.select([self.handle], [], [], GRACE)
        return describe(self.kill())


def describe(status: int) -> str:
    """The end of a process in words; `status` is its exit code, or minus the signal that ended it."""
    if status >= 0:
        return f"it ended itself with exit status {status}."
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    reasons = {"SIGSEGV": "memory that is not its own was touched", "SIGKILL": "it used too much, or was stopped"}
    return f"it was ended by {name}" + (f" ({reasons[name]})." if name in reasons else ".")


class _Spawning:
    """The weak level: a process of its own, and a scratch folder on disk, for each worker."""

    def __init__(self, limits: Limits, core: int):
        self.limits, self.core = limits, core
        self.processes: set[_Spawned] = set()

    def start(self) -> tuple["_Spawned", Channel]:
        ours, theirs = socket.socketpair()
        with theirs:
            process = _Spawned(self, theirs)
        return process, Channel(ours, self.limits.reply_bytes)

    def close(self) -> None:
        for process in tuple(self.processes):
            process.kill()


class _Spawned:
    """A worker at the weak level."""

    def __init__(self, workshop: _Spawning, connection: socket.socket):
        windows = sys.platform == "win32"
        self.workshop, self.folder = workshop, tempfile.mkdtemp(prefix="grading-")
        scratch, for_imports = (os.path.join(self.folder, name) for name in ("scratch", "imports"))
        os.mkdir(scratch)
        os.mkdir(for_imports)
        number = 0 if windows else connection.fileno()
        self.process = subprocess.Popen(
            sandbox.command("spawned", number, workshop.core, *astuple(workshop.limits)),
            cwd=scratch,
            env=sandbox.environment(for_imports),
            stdin=subprocess.PIPE if windows else subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=() if windows else (number,),
            start_new_session=True,
        )
        if windows:
            with self.process.stdin as pipe:
                pipe.write(connection.share(self.process.pid))
        workshop.processes.add(self)

    def kill(self) -> int:
        """End it, and what it started as far as that can be found; return its exit status."""
        if self in self.workshop.processes:
            if hasattr(os, "killpg"):
                with contextlib.suppress(ProcessLookupError, PermissionError):  # nobody is left in its group
                    os.killpg(self.process.pid, signal.SIGKILL)
            self.process.kill()
            self.process.wait()
            _remove(self.folder)
            self.workshop.processes.discard(self)
        return self.process.returncode

    def how_it_ended(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(GRACE)
        return describe(self.kill())


def _remove(folder: str) -> None:
    """Remove a folder in which a learner's code may have taken away the right to delete. No link is followed."""
    for place, names, _ in os.walk(folder):
        for path in (os.path.join(place, name) for name in names):
            if not os.path.islink(path):
                os.chmod(path, 0o700)  # before it is listed
    shutil.rmtree(folder)
