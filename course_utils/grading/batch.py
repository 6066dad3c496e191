"""A whole folder of submissions: marked side by side, kept as they come, and put into reports at the end.

Every mark is kept in a file of its own as soon as it is there, under a name made of all that it depends on. So a batch
that was killed goes on where it stopped when the same command is given again, and what has changed is marked anew.
"""

import hashlib
import json
import os
import secrets
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context, parent_process
from multiprocessing.util import Finalize
from pathlib import Path

import torch
from filelock import FileLock, Timeout
from tqdm import tqdm

from course_utils.grading import marking, reports, sandbox
from course_utils.grading.submissions import Submission, collect
from course_utils.grading.workshop import Workshop

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


def grade(batch: Batch) -> list[marking.Mark]:
    """Grade the batch, write its reports into `batch.out`, and return the marks, sorted by learner.

    Raises:
        Refused: the level of isolation does not do, `out` holds something else, or another start is still at work.
        OSError: a folder cannot be read or written.
    """
    _refuse_overlap(batch)
    submissions = collect(batch.folder, batch.sheet)
    if not batch.executor:
        _require_level(sandbox.strongest(), batch.allow_weak)
    kept = batch.out / KEPT
    kept.mkdir(parents=True, exist_ok=True)
    kept.chmod(0o700)
    try:
        with FileLock(kept / "lock", timeout=0):
            seed = _seed(batch, kept)
            marks = _marks(batch, submissions, seed, kept)
            entries = [reports.Entry(marks[s.learner], s.timestamp) for s in submissions]
            reports.write(batch.out, batch.sheet, seed, entries)
    except Timeout:
        raise Refused(f"Another start is grading into {batch.out} at this moment.") from None
    return [entry.mark for entry in entries]


def _refuse_overlap(batch: Batch) -> None:
    folder, out = batch.folder.resolve(), batch.out.resolve()
    if out == folder or out.is_relative_to(folder) or folder.is_relative_to(out):
        raise Refused(f"The reports cannot lie in the submissions' folder, nor the other way round: {out}.")


def _require_level(level: sandbox.Level, allow_weak: bool) -> None:
    if level.name == sandbox.WEAK and not allow_weak:
        lacks = "".join(f"\n- {sentence}" for sentence in level.missing)
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


def _marks(batch: Batch, submissions: list[Submission], seed: int, kept: Path) -> dict[str, marking.Mark]:
    marks, waiting = {}, {}
    for submission in submissions:
        if submission.problem:
            marks[submission.learner] = marking.ungraded(submission.learner, batch.sheet, submission.problem)
            continue
        order = _order(batch, submission, seed)
        found = _kept_mark(kept / _name(order))
        if found is None:
            waiting[order] = submission.learner
        else:
            marks[submission.learner] = found

    def keep(order: str, text: str) -> None:
        reports.replace(kept / _name(order), text)
        marks[waiting[order]] = marking.from_json(text)

    with tqdm(total=len(submissions), initial=len(marks), desc=batch.sheet, unit="learner", disable=None) as bar:
        failures = _carry_out(batch, list(waiting), lambda order, text: (keep(order, text), bar.update()))
    for order, error in failures.items():  # not kept: the next start tries them again
        problem = f"The grader itself failed twice on this submission ({type(error).__name__}). Nothing is decided yet."
        marks[waiting[order]] = marking.ungraded(waiting[order], batch.sheet, problem)
    return marks


def _kept_mark(file: Path) -> marking.Mark | None:
    try:
        return marking.from_json(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError, TypeError, KeyError):  # not there, or cut off when the power failed
        return None


# ---------------------------------------------------------------------------------------------------------
# Orders: one submission each, as text, so that they can be sent anywhere and named by what is in them
# ---------------------------------------------------------------------------------------------------------


def _order(batch: Batch, submission: Submission, seed: int) -> str:
    level = "" if batch.executor else sandbox.strongest().name
    asked = {"sheet": batch.sheet, "seed": seed, "allow_weak": batch.allow_weak, "level": level, "grader": grader()}
    return json.dumps(asked | {"learner": submission.learner, "cells": submission.cells}, sort_keys=True)


def _name(order: str) -> str:
    return f"{hashlib.sha256(order.encode()).hexdigest()}.json"


@cache
def grader() -> str:
    """A number for everything that decides on marks: this package's source, and the versions of Python and torch."""
    digest = hashlib.sha256(f"{sys.version} {torch.__version__}".encode())
    for path in sorted(Path(__file__).parent.parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


_one_at_a_time = threading.Lock()  # a cluster's worker may have threads; torch's settings are the process's


def carry_out(order: str) -> str:
    """Mark one submission; takes and returns text. This is what an executor's processes are asked to do."""
    asked = json.loads(order)
    with _one_at_a_time:
        if asked["grader"] != grader():
            raise Refused(
                "A process that grades has another version of the course, of Python or of torch than the one that "
                "started it. On one computer: the course's files were changed just now; start again."
            )
        _require_level(sandbox.strongest(), asked["allow_weak"])
        try:
            workshop = _workshop()
        except RuntimeError as error:  # of no submission's making: it would be the same with all of them
            raise Refused(str(error)) from None
        submission = Submission(asked["learner"], tuple(asked["cells"]))
        try:
            return marking.to_json(marking.mark(workshop, submission, asked["sheet"], asked["seed"]))
        except RuntimeError:  # no worker can be started any more; the next one starts anew
            _workshop.cache_clear()
            workshop.close()
            raise


@cache
def _workshop() -> Workshop:
    """This process's workshop, for as long as the process lives."""
    torch.set_num_threads(1)
    workshop = Workshop()
    Finalize(None, workshop.close, exitpriority=10)
    return workshop


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
    # "spawn" is the same everywhere, and after torch's threads have started the only safe way.
    jobs = max(1, min(batch.jobs, orders))
    pool = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_begin_process)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _begin_process() -> None:
    """In a process of the pool: Ctrl-C is for the one that started it, and when that one is gone, so is this."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def follow() -> None:
        parent_process().join()
        if _workshop.cache_info().currsize:
            _workshop().close()
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
