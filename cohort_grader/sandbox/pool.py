"""The judge's side of the workers: one worker per submission, which receives cells and cases and is not trusted."""

import secrets
import signal
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import NamedTuple

from cohort_grader.sandbox import levels as sandbox
from cohort_grader.sandbox import worker
from cohort_grader.sandbox.levels import STRONG, Limits
from cohort_grader.sandbox.processes import START, Core, Process, Sandbox, Spawner
from exercise_checks.running.observing import Case, Failure, FailureKind, Observation
from exercise_checks.running.process import describe
from exercise_checks.running.protocol import Channel, Gone, TooLate, Unreadable

__all__ = ["CellOutcome", "Ending", "EndingKind", "Limits", "Worker", "WorkerPool"]

GRACE = 0.5  # seconds for sending a request and its reply on a busy machine
SEARCH = 10.0  # seconds to search a submission's source
MOST_RESTARTS, TOO_OFTEN = 20, "it was stopped: it had to be restarted too often."
DEFAULT_LIMITS = Limits()


class EndingKind(Enum):
    """Why a worker's process ended."""

    STOPPED = "stopped"  # the submission's time limit or its number of restarts was used up
    CRASHED = "crashed"  # a segmentation fault, or killed, usually for too much memory
    EXITED = "exited"
    SIGNALED = "signaled"
    UNREADABLE = "unreadable"  # it sent something that is not a valid reply


class Ending(NamedTuple):
    """How a worker's process ended: `kind` for the code, `words` for the instructor."""

    kind: EndingKind
    words: str

    @classmethod
    def of(cls, status: int) -> "Ending":
        """Return the ending of a process that the judge did not stop, from its exit status or minus the signal.

        >>> Ending.of(3).kind
        <EndingKind.EXITED: 'exited'>
        """
        crashed = -status in (signal.SIGSEGV, getattr(signal, "SIGKILL", None))
        kind = EndingKind.EXITED if status >= 0 else EndingKind.CRASHED if crashed else EndingKind.SIGNALED
        return cls(kind, describe(status))


@dataclass(frozen=True)
class CellOutcome:
    """How one code cell ended; `index` counts the cells given, from 0."""

    index: int
    ok: bool
    failure: Failure | None


class WorkerPool:
    """Workers for untrusted notebooks; a context manager.

    Args:
        limits: for each submission.
        level: "strong" or "weak"; None takes the strongest that is available here.
        imports: modules to import once for all workers, in addition to those that every sheet needs.
        control: socket to a `Preloaded` process with the same limits (then the level is strong); None starts one
            for this pool.

    Attributes:
        level: the level in use.
        missing: what it does not protect against, one sentence each.

    Raises:
        ValueError: there is no level of this name.
        RuntimeError: the level is not available here, or the libraries cannot be imported.

    >>> with WorkerPool() as pool, pool.open(["1 / 0", "def double(x):\\n    return 2 * x"], "ann") as worker:
    ...     outcomes = worker.run()
    ...     [seen] = worker.observe("double", "call", [Case("three", (3,))], seconds=5)
    >>> [outcome.ok for outcome in outcomes], seen.value
    ([False, True], 6)
    """

    def __init__(
        self,
        limits: Limits = DEFAULT_LIMITS,
        level: str | None = None,
        imports: Sequence[str] = (),
        control: socket.socket | None = None,
    ):
        if control:  # a `Preloaded` process exists only where the strong level is available
            found = sandbox.strong_level()
        elif level is None:
            found = sandbox.strongest()
        else:
            found = sandbox.find(level)
        self.limits, self.level, self.missing = limits, found.name, found.missing
        self._core = Core()
        try:
            if self.level == STRONG:
                self._starter = Sandbox(limits, self._core.number, imports, control)
            else:
                self._starter = Spawner(limits, self._core.number, imports)
        except BaseException:
            self._core.release()
            raise

    def __enter__(self) -> "WorkerPool":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """End every process that was started here."""
        self._starter.close()
        self._core.release()

    def open(self, cells: Sequence[str], name: str) -> "Worker":
        """Return a worker for one submission: its code cells, and a name for messages. Runs nothing yet."""
        return Worker(self._start, self.limits, tuple(cells), name)

    def _start(self) -> tuple[Process, Channel]:
        process, connection = self._starter.start()
        return process, Channel(connection, self.limits.reply_bytes)


class Worker:
    """One submission. If its process ends, hangs or sends an invalid reply, a new one starts and reruns the cells.

    Attributes:
        ended: why the last process ended; None while one is running, or if a call only took too long.
    """

    def __init__(self, start, limits: Limits, cells: tuple[str, ...], name: str):
        self.name, self.cells, self.limits = name, cells, limits
        self.ended: Ending | None = None
        self._start, self._process, self._channel = start, None, None
        self._deadline = time.monotonic() + limits.total_seconds
        self._restarts, self._cells_ran = 0, False
        self._outcomes: dict[int, CellOutcome] = {}
        self._begun = 0  # the number of the last statement that the running cell has reported
        self._safe: dict[int, int] = {}  # for cells that ended their process: how many statements to run next time

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """End the process, and everything that it started."""
        self._stop_process()

    def search(self, forbidden: Mapping[str, Sequence[str]]) -> dict[str, list[str]] | None:
        """Search the source for the names forbidden in each definition, as `forbidden.search`; None if that fails.

        Call this first: the reply can be trusted only as long as no cell has run.
        """
        wanted = {definition: sorted(names) for definition, names in forbidden.items()}
        self._begin()
        try:
            return self._request(worker.SEARCH, (self.cells, wanted), SEARCH)
        except (Gone, Unreadable) as error:
            self._end(error)
            return None

    def run(self) -> list[CellOutcome]:
        """Run every code cell in order, and return how each ended. If a cell raises, the next ones still run.

        If a cell hangs or ends the process, a new process is started for the other cells. There it runs only up to
        the statement that hung or ended the process.
        """
        self._ensure_ready()
        return [self._outcomes.get(i) or self._not_run(i) for i in range(len(self.cells))]

    def observe(self, entry: str, use: str, cases: Sequence[Case], seconds: float) -> list[Observation]:
        """Run what the notebook defines as `entry` on each case, as `observing.observe` does; sends one case at a time.

        Args:
            seconds: for all cases together; `Limits.seconds_per_task` overrides it.

        Returns fewer observations than cases if time runs out or the process ends; the last one then says why.
        """
        seconds = self.limits.seconds_per_task or seconds
        seen, left = [], seconds
        if not self._ensure_ready():
            return [Observation(failure=Failure(FailureKind.ENDED, self.ended.words))]
        for case in cases:
            observation, spent = self._observe_one(entry, use, case, left)
            left -= spent
            if left <= 0 and not observation.failure:
                observation = Observation(failure=Failure(FailureKind.TIME_UP))
            if observation.failure and observation.failure.kind is FailureKind.TIME_UP:
                observation = replace(observation, failure=replace(observation.failure, words=f"{seconds:g}"))
            seen.append(observation)
            if self.ended or (observation.failure and observation.failure.kind is FailureKind.TIME_UP):
                break
        return seen

    def _observe_one(self, entry: str, use: str, case: Case, seconds: float) -> tuple[Observation, float]:
        """Return one observation, and the seconds it took as measured by the judge."""
        began = time.monotonic()
        request = (entry, use, case.args, case.kwargs, case.gradient)
        try:
            observation = self._request(worker.OBSERVE, request, seconds)
            if type(observation) is not Observation:
                raise Unreadable("the reply is not an observation.")
            observation = replace(observation, printed="")  # it could tell a learner the secret inputs
        except (Gone, Unreadable) as error:
            observation = Observation(failure=self._end(error))
        return observation, time.monotonic() - began

    def _ensure_ready(self) -> bool:
        """Ensure there is a process in which all cells have run as far as possible; return whether that succeeded."""
        while self._process is None or not self._cells_ran:
            if self._used_up():
                self.ended = self.ended or self._out_of_time()
                return False
            if self._restarts > MOST_RESTARTS:
                self.ended = self.ended or Ending(EndingKind.STOPPED, TOO_OFTEN)
                return False
            if self._process is None:
                self._begin()
            self._cells_ran = all(self._run_cell(index) for index in range(len(self.cells)))
        return True

    def _begin(self) -> None:
        """Start a process."""
        self._restarts += 1
        began = time.monotonic()
        self._process, self._channel = self._start()
        self._expect_start()
        self._deadline += time.monotonic() - began  # starting can be slow and is not the learner's time
        self.ended, self._cells_ran = None, False

    def _expect_start(self) -> None:
        """Wait until the sandbox is complete. None of the learner's code has run yet, so a problem is the grader's."""
        try:
            kind, _, problem = self._channel.receive(time.monotonic() + START)
        except Gone:
            kind, problem = worker.STARTED, describe(self._process.wait()).rstrip(".")
        if kind != worker.STARTED or problem:
            self.close()
            raise RuntimeError(f"No worker can be started: {problem}.")

    def _run_cell(self, index: int) -> bool:
        """Run one cell, or its safe statements; return False if the process has ended."""
        most, self._begun = self._safe.get(index), 0
        if most == 0:
            return True
        try:
            failure = self._request(worker.RUN, (index, self.cells[index], most), self.limits.seconds_per_cell)
            if not (failure is None or type(failure) is Failure):
                raise Unreadable("the outcome of a cell must be None or a failure.")
        except (Gone, Unreadable) as error:
            self._safe[index] = self._begun if most is None else 0
            if most is None:
                self._outcomes.pop(index, None)
            failure = self._end(error)
            if failure.kind is FailureKind.TIME_UP:
                failure = replace(failure, words=f"{self.limits.seconds_per_cell:g}")
        # Keep the first outcome, unless a later run of the cell ended the process.
        self._outcomes.setdefault(index, CellOutcome(index, failure is None, failure))
        return self._process is not None

    def _not_run(self, index: int) -> CellOutcome:
        words = self.ended.words if self.ended else "time ran out before this cell."
        return CellOutcome(index, False, Failure(FailureKind.NOT_RUN, words))

    def _request(self, kind: int, request: tuple, seconds: float):
        """Send a request and return the value of its reply."""
        deadline = min(time.monotonic() + seconds + GRACE, self._deadline)
        token = secrets.randbits(64)
        self._channel.send(kind, token, request, deadline)
        while True:
            kind_of_reply, token_of_reply, value = self._channel.receive(deadline)
            if (kind_of_reply, token_of_reply) == (kind, token):
                return value
            is_progress = (kind, kind_of_reply, token_of_reply) == (worker.RUN, worker.BEGUN, token)
            if not (is_progress and type(value) is int and value >= 0):
                raise Unreadable("the reply does not belong to the request.")
            self._begun = value

    def _used_up(self) -> bool:
        return time.monotonic() >= self._deadline

    def _out_of_time(self) -> Ending:
        words = f"it was stopped: the {self.limits.total_seconds:g} s for the whole submission were used up."
        return Ending(EndingKind.STOPPED, words)

    def _end(self, error: Exception) -> Failure:
        """End the process because of `error`, and return the failure as the judge sees it."""
        if self._used_up():
            self.ended = self._out_of_time()
        elif isinstance(error, TooLate):
            self.ended = None
        elif isinstance(error, Unreadable):
            self.ended = Ending(EndingKind.UNREADABLE, f"its reply was not readable: {error}")
        else:
            self.ended = Ending.of(self._process.wait())
        self._stop_process()
        return Failure(FailureKind.ENDED, self.ended.words) if self.ended else Failure(FailureKind.TIME_UP)

    def _stop_process(self) -> None:
        if self._process is not None:
            self._channel.connection.close()
            self._process.kill()
            self._process = self._channel = None
