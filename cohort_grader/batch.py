"""Grade a whole folder of submissions in parallel, save each mark as soon as it is known, and write the reports.

Each mark is saved in a file of its own, named by a hash of everything the mark depends on. A batch that was killed
resumes when the same command is run again, and only what has changed is graded again.

This process does not import torch, which would delay its start; modules that do are imported where they are used.
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
from cohort_grader.sandbox import levels
from cohort_grader.sandbox.processes import Preloaded
from cohort_grader.submissions import Submission, collect
from course_utils.files import write_then_rename

if TYPE_CHECKING:
    from cohort_grader.sandbox.pool import WorkerPool

KEPT = ".grading"  # in the report folder: the marks saved so far, from which a later run resumes


class Refused(Exception):
    """The batch cannot be graded as requested; the message says why."""


@dataclass(frozen=True)
class Batch:
    """What to grade, and how.

    Args:
        folder: the submissions.
        sheet: "01_corr2d".
        out: the folder for the reports.
        seed: of the secret cases; None takes the seed of an earlier run in `out`, or draws one.
        jobs: how many processes run in parallel on this computer.
        executor: "" for this computer, or "dask=tcp://host:port".
        allow_weak: grade even where strong isolation is not available.
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
        Refused: the isolation is too weak, `out` holds other grades, or another run is still using it.
        OSError: a folder cannot be read or written.
    """
    _refuse_overlap(batch)
    submissions = collect(batch.folder, batch.sheet)
    if not batch.executor:
        level = levels.strongest()
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
        raise Refused(f"Another run is grading into {batch.out} at this moment.") from None
    return [entry.mark for entry in entries]


def _refuse_overlap(batch: Batch) -> None:
    folder, out = batch.folder.resolve(), batch.out.resolve()
    if out == folder or out.is_relative_to(folder) or folder.is_relative_to(out):
        raise Refused(f"The report folder must not be inside the submissions' folder, or the other way round: {out}.")


def _require_level(level: str, missing: Iterable[str], allow_weak: bool) -> None:
    if level == levels.WEAK and not allow_weak:
        gaps = "".join(f"\n- {sentence}" for sentence in missing)
        raise Refused(
            "This computer offers only weak isolation. To grade with it anyway, add --allow-weak-isolation. "
            f"Its limitations:{gaps}"
        )


def _seed(batch: Batch, kept: Path) -> int:
    """Return the seed of this batch, and save it for the next run."""
    file = kept / "batch.json"
    known = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    if known.get("sheet", batch.sheet) != batch.sheet:
        raise Refused(f"{batch.out} holds the grades of {known['sheet']}. Use another folder for {batch.sheet}.")
    seed = known.get("seed", secrets.randbits(53)) if batch.seed is None else batch.seed
    write_then_rename(file, json.dumps({"sheet": batch.sheet, "seed": seed}))
    return seed


def _marks(batch: Batch, submissions: list[Submission], seed: int, kept: Path) -> dict[str, marks.Mark]:
    given, waiting = {}, {}
    for submission in submissions:
        request = _request(batch, submission, seed)
        found = _kept_mark(kept / _file_name(request))
        if found is None:
            waiting[request] = submission.learner
        else:
            given[submission.learner] = found

    def keep(request: str, text: str) -> None:
        write_then_rename(kept / _file_name(request), text)
        given[waiting[request]] = marks.from_json(text)

    with tqdm(total=len(submissions), initial=len(given), desc=batch.sheet, unit="learner", disable=None) as bar:
        failures = _grade_all(batch, list(waiting), lambda request, text: (keep(request, text), bar.update()))
    for request, error in failures.items():  # not saved, so the next run tries them again
        problem = f"The grader itself failed twice on this submission ({type(error).__name__}). It has no mark yet."
        given[waiting[request]] = _ungraded(waiting[request], batch.sheet, problem)
    return given


def _ungraded(learner: str, sheet: str, problem: str) -> marks.Mark:
    from cohort_grader import marking

    return marking.ungraded(learner, sheet, problem)


def _kept_mark(file: Path) -> marks.Mark | None:
    try:
        return marks.from_json(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError, TypeError, KeyError):  # missing, or cut off by a power failure
        return None


# ---------------------------------------------------------------------------------------------------------
# Requests: one submission each, as text, so that they can be sent to any process and hashed into a file name
# ---------------------------------------------------------------------------------------------------------


def _request(batch: Batch, submission: Submission, seed: int) -> str:
    level = "" if batch.executor else levels.strongest().name
    settings = {"sheet": batch.sheet, "seed": seed, "allow_weak": batch.allow_weak, "level": level, "grader": grader()}
    content = {"learner": submission.learner, "cells": submission.cells, "problem": submission.problem}
    return json.dumps(settings | content, sort_keys=True)


def _file_name(request: str) -> str:
    return f"{hashlib.sha256(request.encode()).hexdigest()}.json"


@cache
def grader() -> str:
    """Return a hash of everything that can change a mark: the course's source, the versions of Python and torch."""
    digest = hashlib.sha256(sys.version.encode())
    versions = Path(find_spec("torch").origin).with_name("version.py")  # importing torch would take a second
    packages = (Path(find_spec(name).origin).parent for name in ("course_utils", "exercise_checks", "cohort_grader"))
    for path in (versions, *(path for package in packages for path in sorted(package.rglob("*.py")))):
        digest.update(path.read_bytes())
    return digest.hexdigest()


_one_at_a_time = threading.Lock()  # a Dask worker may have several threads, but torch's settings are per process
# This process's pools, by the modules imported for them. Only a Dask worker that grades several sheets has several.
_pools: dict[tuple[str, ...], "WorkerPool"] = {}
_controls: list[socket.socket] = []  # of the `Preloaded` that all judging processes share; each requests one sandbox


def grade_one(request: str) -> str:
    """Grade one submission; takes and returns text. The executor calls this in its processes."""
    from cohort_grader import marking

    settings = json.loads(request)
    with _one_at_a_time:
        if settings["grader"] != grader():
            raise Refused(
                "A process that grades has another version of the course, of Python or of torch than the one that "
                "started it. If both are on this computer, the course's files have just changed: run the command again."
            )
        submission = Submission(settings["learner"], tuple(settings["cells"]), settings["problem"])
        if submission.problem:
            return marks.to_json(marking.ungraded(submission.learner, settings["sheet"], submission.problem))
        imports = imports_of(settings["sheet"])
        try:
            pool = _pool(imports)
        except RuntimeError as error:  # not the submission's fault: it would fail for all of them
            raise Refused(str(error)) from None
        _require_level(pool.level, pool.missing, settings["allow_weak"])
        try:
            return marks.to_json(marking.mark(pool, submission, settings["sheet"], settings["seed"]))
        except RuntimeError:  # its processes have ended, so the next request makes a new pool
            _pools.pop(imports).close()
            raise


def imports_of(sheet: str) -> tuple[str, ...]:
    """Return the modules that a sheet's tasks list as imported by their solutions."""
    from exercise_checks import tasks

    return tuple(dict.fromkeys(name for task in tasks.of_sheet(sheet) for name in task.imports))


def _pool(imports: tuple[str, ...]) -> "WorkerPool":
    """Return this process's pool of workers, which stays open as long as the process runs."""
    if imports not in _pools:
        import torch

        from cohort_grader.sandbox.pool import WorkerPool

        torch.set_num_threads(1)
        if _controls:
            # If the shared `Preloaded` process fails, start one for this pool, whose error then says why.
            with _controls.pop() as control, suppress(RuntimeError):
                _pools[imports] = WorkerPool(imports=imports, control=control)
        if imports not in _pools:
            _pools[imports] = WorkerPool(imports=imports)
        Finalize(None, _pools[imports].close, exitpriority=10)
    return _pools[imports]


# ---------------------------------------------------------------------------------------------------------
# Executors
# ---------------------------------------------------------------------------------------------------------


def _grade_all(batch: Batch, requests: list[str], done: Callable[[str, str], object]) -> dict[str, BaseException]:
    """Grade all requests, calling `done(request, text)` as each one finishes; return those that failed twice.

    When a process dies, the executor fails the requests of all the others, too. Failed requests are therefore retried
    one at a time, so that a submission that kills the grader's own process costs nobody else a mark.
    """
    waiting = list(_side_by_side(batch, requests, done)) if requests else []
    failed = {}
    while waiting:
        with _executor(batch, 1) as executor:
            while waiting:
                request = waiting.pop(0)
                future = executor.submit(grade_one, request)
                error = future.exception()
                if error is None:
                    done(request, future.result())
                    continue
                if isinstance(error, Refused):
                    raise error
                failed[request] = error
                if isinstance(error, BrokenExecutor):
                    break  # continue in a new executor
    return failed


def _side_by_side(batch: Batch, requests: list[str], done: Callable[[str, str], object]) -> dict[str, BaseException]:
    failed = {}
    with _executor(batch, len(requests)) as executor:
        futures = {executor.submit(grade_one, request): request for request in requests}
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
def _executor(batch: Batch, requests: int) -> Iterator[Executor]:
    if batch.executor:
        with _cluster(batch.executor) as executor:
            yield executor
        return
    strong = levels.strongest().name == levels.STRONG
    with Preloaded(levels.Limits()) if strong else nullcontext() as preloaded:
        jobs, control = max(1, min(batch.jobs, requests)), preloaded.control if preloaded else None
        executor = ProcessPoolExecutor(jobs, mp_context=_context(), initializer=_begin_process, initargs=(control,))
        try:
            yield executor
        finally:
            executor.shutdown(cancel_futures=True)


def _context() -> BaseContext:
    """Return the context that starts the executor's processes. This process may have threads, so it must not fork.

    On Linux they are forked from a process without threads, which has imported everything they need once for all.
    """
    if sys.platform != "linux":
        return get_context("spawn")
    from multiprocessing import forkserver

    context = get_context("forkserver")
    context.set_forkserver_preload(["cohort_grader.marking"])  # if this fails, each process imports it
    before = {name: os.environ[name] for name in levels.ONE_THREAD if name in os.environ}
    os.environ.update(levels.ONE_THREAD)
    try:
        forkserver.ensure_running()
    finally:
        for name in levels.ONE_THREAD:
            del os.environ[name]
        os.environ.update(before)
    return context


def _begin_process(control: socket.socket | None) -> None:
    """Prepare a process of the executor: ignore Ctrl-C, which its parent handles, and exit when the parent exits."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.freeze()  # the collector would write to every page shared after the fork, and so copy it
    _controls.extend([control] if control else [])

    def follow() -> None:
        parent_process().join()
        for pool in tuple(_pools.values()):
            pool.close()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


@contextmanager
def _cluster(executor: str) -> Iterator[Executor]:
    kind, _, address = executor.partition("=")
    if kind != "dask" or not address:
        raise Refused(f"--executor must be dask= and a scheduler's address, dask=tcp://host:8786, got {executor!r}.")
    try:
        from dask.distributed import Client
    except ImportError:
        raise Refused('--executor dask=… needs Dask: pip install "convolution-course[grade]".') from None
    try:
        client = Client(address, timeout=30)
    except (OSError, ValueError) as error:
        raise Refused(f"No Dask scheduler answers at {address}: {error}.") from None
    with client:
        # A submission that kills its Dask worker is retried there as often as Dask's own settings allow.
        yield client.get_executor(pure=False)
