"""Turn one submission into a mark: points from secret cases, and feedback that reveals nothing about those cases.

Only secret cases decide the points. The feedback comes from the public cases that `check` uses: a second worker, which
never saw a secret case, runs the failed tasks on them, so that nothing a learner's code prints can leak a secret.
"""

import faulthandler
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from cohort_grader.marks import PASSED, UNWRITTEN, WRONG, Mark, TaskMark
from cohort_grader.sandbox.pool import CellOutcome, Ending, EndingKind, Worker, WorkerPool
from cohort_grader.submissions import Submission
from exercise_checks import tasks
from exercise_checks.judging import DifferenceKind, Verdict, cases_of, diagnose
from exercise_checks.judging.recognizing import size
from exercise_checks.running.observing import Case, Failure, FailureKind, Observation
from exercise_checks.tasks.task import PUBLIC_SEED, Task

LONGEST_MESSAGE, LONGEST_CELL, MOST_CELLS, MOST_FLAGS = 3000, 500, 10, 20
MOST_DRAWN = 64  # numbers in a table of the feedback
# Most answers are only compared. A task with `accept` computes with the answer, so a large one would take too long.
MOST_TO_ACCEPT = 50_000  # numbers
JUDGING = 300.0  # seconds; no honest reply takes the judge that long
NOT_SEARCHED = "The source could not be searched for forbidden calls: the search took too long, or too much memory."
# Only these exceptions are named in feedback on a secret case: a class of the learner's own could leak its numbers.
KNOWN_ERRORS = (
    *("ArithmeticError", "AssertionError", "AttributeError", "IndexError", "KeyError", "MemoryError", "NameError"),
    *("NotImplementedError", "OverflowError", "RecursionError", "RuntimeError", "SystemExit", "TypeError"),
    *("UnboundLocalError", "ValueError", "ZeroDivisionError"),
)
# For these endings the submission's code may have chosen what `Ending.words` says, a secret number for example.
SAFE_ENDINGS = {
    EndingKind.EXITED: "it exited by itself.",
    EndingKind.SIGNALED: "it was ended by a signal.",
    EndingKind.UNREADABLE: "its reply was not readable.",
}
# All that feedback may say about a failure on a secret case.
SAFE_FAULTS = {
    FailureKind.UNUSABLE: "it cannot be used as the task asks",
    FailureKind.INTERRUPTED: "it was interrupted",
    DifferenceKind.RETURNED_NONE: "it returned None; a `return` statement may be missing",
    DifferenceKind.SHAPE: "the shape is wrong",
    DifferenceKind.DTYPE: "the dtype is wrong",
    DifferenceKind.CHANGED_ARGUMENT: "the values are right, but an argument was changed; work on a copy",
    DifferenceKind.FAILS_WITH_GRADIENT: "the values are right, but it fails with inputs that require gradients",
    DifferenceKind.NO_GRADIENT: "the values are right, but no gradient flows back to an argument",
    DifferenceKind.NO_PARAMETER_GRADIENT: "the output is right, but no gradient reaches a parameter",
    DifferenceKind.WRONG_GRADIENT: "the values are right, but a gradient is wrong",
}
ANY_OTHER_FAULT = "the answer is wrong"


def ungraded(learner: str, sheet: str, problem: str) -> Mark:
    """Return a mark without points, for a submission that could not be graded at all."""
    unearned = tuple(TaskMark(t.id, t.title, 0, t.points, UNWRITTEN, "Not graded.") for t in tasks.of_sheet(sheet))
    return Mark(learner, unearned, problem, flags=(problem,))


def secret_seed(seed: int, task_id: str) -> int:
    """Return the seed of a task's secret cases: different for every task, and never the public seed.

    >>> secret_seed(1, "corr2d") == secret_seed(1, "corr2d") != secret_seed(2, "corr2d")
    True
    """
    return 1 + int.from_bytes(hashlib.sha256(f"{seed}/{task_id}".encode()).digest()[:6], "big")


def mark(pool: WorkerPool, submission: Submission, sheet: str, seed: int) -> Mark:
    """Return what `submission` earns on `sheet`.

    Args:
        pool: runs the submission. Its replies are untrusted: only the values in them are used.
        seed: of the whole batch, so that all learners get the same cases.
    """
    if submission.problem:
        return ungraded(submission.learner, sheet, submission.problem)
    of_sheet = tasks.of_sheet(sheet)
    with pool.open(submission.cells, submission.learner) as worker:
        uses = worker.search({task.id: task.forbids for task in of_sheet})
        cells = _cell_sentences(worker.run())
        results = [_try(worker, task, secret_seed(seed, task.id)) for task in of_sheet]
    public = _public_verdicts(pool, submission, [r for r in results if r.needs_feedback])
    marks = tuple(_task_mark(result, public.get(result.task.id), submission.cells) for result in results)
    flags = [f"{r.task.id}: the process ended: {r.ended.words}" for r in results if r.ended]
    flags += [f"{r.task.id}: {r.problem}" for r in results if r.problem]
    flags += [NOT_SEARCHED] if uses is None else [f"{name}: uses {', '.join(found)}" for name, found in uses.items()]
    return Mark(submission.learner, marks, "", cells, tuple(flags[:MOST_FLAGS]), pool.level, tuple(pool.missing))


@dataclass(frozen=True)
class _Result:
    """One task on one set of cases. `ended`: why the process ended; `problem`: why the answers cannot be compared."""

    task: Task
    cases: tuple[Case, ...]
    seen: Sequence[Observation]
    verdict: Verdict
    ended: Ending | None
    problem: str

    @property
    def needs_feedback(self) -> bool:
        return not self.verdict.passed and self.verdict.written and not self.ended and not self.out_of_time

    @property
    def out_of_time(self) -> bool:
        return bool(self.seen and self.seen[-1].failure and self.seen[-1].failure.kind is FailureKind.TIME_UP)


def _try(worker: Worker, task: Task, seed: int) -> _Result:
    cases = cases_of(task, seed)
    seen = worker.observe(task.id, task.use, cases, task.seconds)
    ended = worker.ended
    try:
        if task.accept and max((size(observation.value) for observation in seen), default=0) > MOST_TO_ACCEPT:
            raise OverflowError
        return _Result(task, cases, seen, _judge(task, cases, seen), ended, "")
    except Exception as error:  # a reply made to break the comparison must cost this task only, not the submission
        problem = f"comparing the answer raised {type(error).__name__}"
        return _Result(task, cases, seen, Verdict(False, ""), ended, problem)


def _judge(task: Task, cases: tuple[Case, ...], seen: Sequence[Observation]) -> Verdict:
    """Diagnose the task. If that hangs, end this process, so that the batch goes on without this submission."""
    faulthandler.dump_traceback_later(JUDGING, exit=True, file=2)
    try:
        return diagnose(task, cases, seen)
    finally:
        faulthandler.cancel_dump_traceback_later()


# ---------------------------------------------------------------------------------------------------------
# Feedback
# ---------------------------------------------------------------------------------------------------------


def _public_verdicts(pool: WorkerPool, submission: Submission, failed: Sequence[_Result]) -> dict[str, Verdict]:
    """Judge failed tasks on the public cases, in a worker that knows no secret case; return the failing verdicts."""
    if not failed:
        return {}
    with pool.open(submission.cells, submission.learner) as worker:
        worker.run()
        results = [_try(worker, result.task, PUBLIC_SEED) for result in failed]
    return {r.task.id: r.verdict for r in results if not (r.verdict.passed or r.ended or r.out_of_time or r.problem)}


def _task_mark(result: _Result, public: Verdict | None, cells: Sequence[str]) -> TaskMark:
    task, verdict = result.task, result.verdict
    earned = task.points if verdict.passed else 0
    state = PASSED if verdict.passed else WRONG if verdict.written else UNWRITTEN
    known = verdict.misconception or (public and public.misconception) or ""
    if verdict.passed or not verdict.written:
        message, target, yours = verdict.message, (), ()
    elif public is not None:
        message, (target, yours) = public.message, _tables(public)
    else:
        message, target, yours = _without_secrets(result, cells), (), ()
    message = _stable(message)[:LONGEST_MESSAGE]
    return TaskMark(task.id, task.title, earned, task.points, state, message, known, target, yours)


def _without_secrets(result: _Result, cells: Sequence[str]) -> str:
    """Say what the secret cases allow to be said: the mistake's name, the kind of case and the kind of fault."""
    if result.ended:
        words = SAFE_ENDINGS.get(result.ended.kind, result.ended.words)
        return f"While this task was graded, the process ended: {words}"
    if result.problem:
        return "The answer could not be judged: it is too large, or of a type that no answer to this task has."
    if result.out_of_time:
        case = result.cases[len(result.seen) - 1]
        return f"On {case.label}: it was still running after {result.task.seconds:g} s. Does every loop end?"
    case = result.verdict.case
    known = [m.sentence for m in result.task.misconceptions if m.name == result.verdict.misconception]
    lead = "Correct on the cases that `check` uses, but not on other cases of the same kinds."
    where = f"On {case.label}: {_fault(result, case, cells)}." if case else "It cannot be used as the task asks."
    return "\n".join((*known, lead, where))


def _fault(result: _Result, case: Case, cells: Sequence[str]) -> str:
    failure = result.seen[result.cases.index(case)].failure
    if failure and failure.kind is FailureKind.RAISED:
        return _raised(failure, cells)
    return SAFE_FAULTS.get(failure.kind if failure else result.verdict.difference.kind, ANY_OTHER_FAULT)


def _raised(failure: Failure, cells: Sequence[str]) -> str:
    """Name an exception on a secret case and its line, but only where neither can contain the case's numbers."""
    found = re.fullmatch(r"line ([0-9]{1,5}): `(.*)`", failure.line)
    # IPython does not count the empty lines at the beginning of a cell.
    known = {(n, line.strip()) for cell in cells for n, line in enumerate(cell.lstrip("\n").splitlines(), start=1)}
    location = f" at {failure.line}" if found and (int(found[1]), found[2]) in known else ""
    kind = failure.error if failure.error in KNOWN_ERRORS else "an error"
    return f"it raised {kind}{location}"


def _cell_sentences(outcomes: Sequence[CellOutcome]) -> tuple[str, ...]:
    """One sentence for each cell that did not finish. No case has been sent yet, so the learner's words are safe."""
    wrong = [outcome for outcome in outcomes if not outcome.ok]
    sentences = [_stable(_cell_sentence(outcome))[:LONGEST_CELL] for outcome in wrong[:MOST_CELLS]]
    more = len(wrong) - len(sentences)
    return (*sentences, f"And {more} more.") if more else tuple(sentences)


def _cell_sentence(outcome: CellOutcome) -> str:
    failure, cell = outcome.failure, f"Code cell {outcome.index + 1}"
    if failure is None:
        return f"{cell} did not finish."
    if failure.kind is FailureKind.TIME_UP:  # without the line, which differs from run to run
        return f"{cell} was still running after {failure.words} s."
    if failure.kind in (FailureKind.ENDED, FailureKind.NOT_RUN):
        return f"{cell} {'ended the process' if failure.kind is FailureKind.ENDED else 'did not run'}: {failure.words}"
    location = f" at {failure.line}" if failure.line else ""
    return f"{cell} raised {failure.error}{location}: {failure.words}".removesuffix(": ")


def _stable(text: str) -> str:
    """Hide memory addresses, which differ from run to run, so that the same submission gives the same report."""
    return re.sub(r"\b0x[0-9a-fA-F]{6,}", "0x…", text)


def _tables(verdict: Verdict) -> tuple[tuple, tuple]:
    """Return the matrix with the first wrong number, expected and got; two empty tables if there is none to show."""
    found = verdict.difference
    if found is None or found.want is None or found.want.ndim < 2:
        return (), ()
    lead = found.index[:-2]
    want, got = found.want[lead], found.got[lead]
    return (_table(want), _table(got)) if want.numel() <= MOST_DRAWN else ((), ())


def _table(M: torch.Tensor) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(f"{number:.4g}" for number in row) for row in M.tolist())
