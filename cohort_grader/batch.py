"""A whole folder of submissions: marked side by side, kept as they come, and put into reports at the end.

Every mark is kept in a file of its own as soon as it is there, under a name made of all that it depends on. So a batch
that was killed goes on where it stopped when the same command is given again, and what has changed is marked anew.

The process that runs this needs no torch, and so does not wait for it: what marks imports it where it is needed.
"""

import gc
import hashlib
import json
import os
import secrets
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor, as_completed
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from multiprocessing import get_context, parent_process
from multiprocessing.context import BaseContext
from multiprocessing.util import Finalize
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout
from tqdm import tqdm

from cohort_grader import marks, reports
from cohort_grader.sandbox import levels as sandbox
from cohort_grader.sandbox import worker
from cohort_grader.sandbox.processes import Warmed
from cohort_grader.submissions import Submission, collect

if TYPE_CHECKING:
    from cohort_grader.sandbox.pool import Workshop

KEPT = ".grading"  # in the report folder: what a later start goes on from


class Refused(Exception):
    """The batch cannot be graded as asked; the sentence says why."""


@dataclass(frozen=True)
class Batch:
    """What to grade, and how.

    Args:
        folder: the submissions.
        sheet: "01_corr2d".
        out: the folder for the reports.
        seed: of the secret cases; None takes that of an earlier start in `out`, or draws one.
        jobs: processes side by side on this computer.
        executor: "" for this computer, or "dask=tcp://host:port".
        allow_weak: grade also where the strong level of isolation does not hold.
    """

    folder: Path
    sheet: str
    out: Path
    seed: int | None = None
    jobs: int = 1
    executor: str = ""
    allow_weak: bool = False


def grade(batch: Batch) -> list[marks.Mark]:
    """Grade the batch, write its reports into `batch.out`, and return the marks, sorted by learner.

    Raises:
        Refused: the level of isolation does not do, `out` holds something else, or another start is still at work.
        OSError: a folder cannot be read or written.
    """
    _refuse_overlap(batch)
    submissions = collect(batch.folder, batch.sheet)
    if not batch.executor:
        level = sandbox.strongest()
        _require_level(level.name, level.missing, batch.allow_weak)
    kept = batch.out / KEPT
    kept.mkdir(parents=True, exist_ok=True)
    kept.chmod(0o700)
    try:
        with FileLock(kept / "lock", timeout=0):
            seed = _seed(batch, kept)
            given = _marks(batch, submissions, seed, kept)
            entries = [reports.Entry(given[s.learner], s.timestamp) for s in submissions]
            reports.write(batch.out, batch.sheet, seed, entries)
    except Timeout:
        raise Refused(f"Another start is grading into {batch.out} at this moment.") from None
    return [entry.mark for entry in entries]


def _refuse_overlap(batch: Batch) -> None:
    folder, out = batch.folder.resolve(), batch.out.resolve()
    if out == folder or out.is_relative_to(folder) or folder.is_relative_to(out):
        raise Refused(f"The reports cannot lie in the submissions' folder, nor the other way round: {out}.")


def _require_level(level: str, missing: Iterable[str], allow_weak: bool) -> None:
    if level == sandbox.WEAK and not allow_weak:
        lacks = "".join(f"\n- {sentence}" for sentence in missing)
        raise Refused(
            "Only a weak level of isolation holds here. With --allow-weak-isolation it is used all the same. "
            f"What it lacks:{lacks}"
        )


def _seed(batch: Batch, kept: Path) -> int:
    """The seed of this batch, noted for the next start."""
    file = kept / "batch.json"
    known = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    if known.get("sheet", batch.sheet) != batch.sheet:
        raise Refused(f"{batch.out} holds the grades of {known['sheet']}. Take another folder for {batch.sheet}.")
    seed = known.get("seed", secrets.randbits(53)) if batch.seed is None else batch.seed
    reports.replace(file, json.dumps({"sheet": batch.sheet, "seed": seed}))
    return seed


def _marks(batch: Batch, submissions: list[Submission], seed: int, kept: Path) -> dict[str, marks.Mark]:
    given, waiting = {}, {}
    for submission in submissions:
        order = _order(batch, submission, seed)
        found = _kept_mark(kept / _name(order))
        if found is None:
            waiting[order] = submission.learner
        else:
            given[submission.learner] = found

    def keep(order: str, text: str) -> None:
        reports.replace(kept / _name(order), text)
        given[waiting[order]] = marks.from_json(text)

    with tqdm(total=len(submissions), initial=len(given), desc=batch.sheet, unit="learner", disable=None) as bar:
        failures = _carry_out(batch, list(waiting), lambda order, text: (keep(order, text), bar.update()))
    for order, error in failures.items():  # not kept: the next start tries them again
        problem = f"The grader itself failed twice on this submission ({type(error).__name__}). Nothing is decided yet."
        given[waiting[order]] = _ungraded(waiting[order], batch.sheet, problem)
    return given


def _ungraded(learner: str, sheet: str, problem: str) -> marks.Mark:
    from cohort_grader import marking

    return marking.ungraded(learner, sheet, problem)


def _kept_mark(file: Path) -> marks.Mark | None:
    try:
        return marks.from_json(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError, TypeError, KeyError):  # not there, or cut off when the power failed
        return None


# ---------------------------------------------------------------------------------------------------------
# Orders: one submission each, as text, so that they can be sent anywhere and named by what is in them
# ---------------------------------------------------------------------------------------------------------


def _order(batch: Batch, submission: Submission, seed: int) -> str:
    level = "" if batch.executor else sandbox.strongest().name
    asked = {"sheet": batch.sheet, "seed": seed, "allow_weak": batch.allow_weak, "level": level, "grader": grader()}
    handed_in = {"learner": submission.learner, "cells": submission.cells, "problem": submission.problem}
    return json.dumps(asked | handed_in, sort_keys=True)


def _name(order: str) -> str:
    return f"{hashlib.sha256(order.encode()).hexdigest()}.json"


@cache
def grader() -> str:
    """A number for everything that decides on marks: this package's source, and the versions of Python and torch."""
    digest = hashlib.sha256(sys.version.encode())
    versions = Path(find_spec("torch").origin).with_name("version.py")  # read: the import would take a second
    for path in (versions, *sorted(Path(__file__).parent.parent.rglob("*.py"))):
        digest.update(path.read_bytes())
    return digest.hexdigest()


_one_at_a_time = threading.Lock()  # a cluster's worker may have threads; torch's settings are the process's
# This process's workshops, by what is imported for them: one, but in a cluster's worker that is asked for many sheets.
_workshops: dict[tuple[str, ...], "Workshop"] = {}
_doors: list[socket.socket] = []  # of the warmed process that this pool shares; a process enters once


def carry_out(order: str) -> str:
    """Mark one submission; takes and returns text. This is what an executor's processes are asked to do."""
    from cohort_grader import marking

    asked = json.loads(order)
    with _one_at_a_time:
        if asked["grader"] != grader():
            raise Refused(
                "A process that grades has another version of the course, of Python or of torch than the one that "
                "started it. On one computer: the course's files were changed just now; start again."
            )
        submission = Submission(asked["learner"], tuple(asked["cells"]), asked["problem"])
        if submission.problem:
            return marks.to_json(marking.ungraded(submission.learner, asked["sheet"], submission.problem))
        imports = worker.PRELOADED_FOR.get(asked["sheet"], ())
        try:
            workshop = _workshop(imports)
        except RuntimeError as error:  # of no submission's making: it would be the same with all of them
            raise Refused(str(error)) from None
        _require_level(workshop.level, workshop.missing, asked["allow_weak"])
        try:
            return marks.to_json(marking.mark(workshop, submission, asked["sheet"], asked["seed"]))
        except RuntimeError:  # no worker can be started any more; the next one starts anew
            _workshops.pop(imports).close()
            raise


def _workshop(imports: tuple[str, ...]) -> "Workshop":
    """This process's workshop, for as long as the process lives."""
    if imports not in _workshops:
        import torch

        from cohort_grader.sandbox.pool import Workshop

        torch.set_num_threads(1)
        if _doors:
            # Should the shared process be gone, or of no use, one of its own will do, or say why not.
            with _doors.pop() as door, suppress(RuntimeError):
                _workshops[imports] = Workshop(imports=imports, door=door)
        if imports not in _workshops:
            _workshops[imports] = Workshop(imports=imports)
        Finalize(None, _workshops[imports].close, exitpriority=10)
    return _workshops[imports]


# ---------------------------------------------------------------------------------------------------------
# Executors
# ---------------------------------------------------------------------------------------------------------


def _carry_out(batch: Batch, orders: list[str], done: Callable[[str, str], object]) -> dict[str, BaseException]:
    """Carry out all orders, `done(order, text)` for each as it comes; return those that failed twice.

    A process that dies takes what the others are doing with it. So what failed is tried once more, one after the other:
    then a submission that kills the grader's own process kills no other's mark.
    """
    waiting = list(_side_by_side(batch, orders, done)) if orders else []
    failed = {}
    while waiting:
        with _executor(batch, 1) as executor:
            while waiting:
                order = waiting.pop(0)
                future = executor.submit(carry_out, order)
                error = future.exception()
                if error is None:
                    done(order, future.result())
                    continue
                if isinstance(error, Refused):
                    raise error
                failed[order] = error
                if isinstance(error, BrokenExecutor):
                    break  # and go on in a new one
    return failed


def _side_by_side(batch: Batch, orders: list[str], done: Callable[[str, str], object]) -> dict[str, BaseException]:
    failed = {}
    with _executor(batch, len(orders)) as executor:
        futures = {executor.submit(carry_out, order): order for order in orders}
        for future in as_completed(futures):
            error = future.exception()
            if isinstance(error, Refused):
                raise error
            if error is None:
                done(futures[future], future.result())
            else:
                failed[futures[future]] = error
    return failed


@contextmanager
def _executor(batch: Batch, orders: int) -> Iterator[Executor]:
    if batch.executor:
        with _cluster(batch.executor) as executor:
            yield executor
        return
    strong = sandbox.strongest().name == sandbox.STRONG
    imports = worker.PRELOADED_FOR.get(batch.sheet, ())
    with Warmed(sandbox.Limits(), imports) if strong else nullcontext() as warmed:
        jobs, door = max(1, min(batch.jobs, orders)), warmed.door if warmed else None
        pool = ProcessPoolExecutor(jobs, mp_context=_context(), initializer=_begin_process, initargs=(door,))
        try:
            yield pool
        finally:
            pool.shutdown(cancel_futures=True)


def _context() -> BaseContext:
    """How processes of the pool are started; this one may have threads, so it cannot fork them itself.

    On Linux they are forked from a process that has imported what they need, once for all of them, and has no threads.
    """
    if sys.platform != "linux":
        return get_context("spawn")
    from multiprocessing import forkserver

    context = get_context("forkserver")
    context.set_forkserver_preload(["cohort_grader.marking"])  # should that fail, each imports it for itself
    before = {name: os.environ[name] for name in sandbox.ONE_THREAD if name in os.environ}
    os.environ.update(sandbox.ONE_THREAD)
    try:
        forkserver.ensure_running()
    finally:
        for name in sandbox.ONE_THREAD:
            del os.environ[name]
        os.environ.update(before)
    return context


def _begin_process(door: socket.socket | None) -> None:
    """In a process of the pool: Ctrl-C is for the one that started it, and when that one is gone, so is this."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.freeze()  # the collector would touch, and so copy, every page that the pool shares
    _doors.extend([door] if door else [])

    def follow() -> None:
        parent_process().join()
        for workshop in tuple(_workshops.values()):
            workshop.close()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


@contextmanager
def _cluster(executor: str) -> Iterator[Executor]:
    kind, _, address = executor.partition("=")
    if kind != "dask" or not address:
        raise Refused(f"--executor is {executor!r}, must be dask= with a scheduler's address: dask=tcp://host:8786.")
    try:
        from dask.distributed import Client
    except ImportError:
        raise Refused('--executor dask=… needs Dask: pip install "convolution-course[grade]".') from None
    try:
        client = Client(address, timeout=30)
    except (OSError, ValueError) as error:
        raise Refused(f"No Dask scheduler answers at {address}: {error}.") from None
    with client:
        # A submission that kills a worker fails here after as many deaths as Dask's own settings allow.
        yield client.get_executor(pure=False)
