"""Recognize a known mistake: the one that shows, on all cases, what the learner's answer shows."""

import contextlib
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache

import torch
from torch import Tensor

from exercise_checks.judging.comparing import compare
from exercise_checks.running.observing import Case, Observation, observe
from exercise_checks.tasks.task import Misconception, Task

# What a task's own predicate raises when a value is not of the form that was asked for.
WRONG_FORM = (TypeError, ValueError, LookupError, AttributeError, RuntimeError, ArithmeticError)
MOST_TO_MATCH = 200_000  # numbers in a value given to a predicate: it is soon done with these
Seen = Sequence[Observation]


@lru_cache(maxsize=256)
def cases_of(task: Task, seed: int) -> tuple[Case, ...]:
    """Return a task's cases for a seed: the same objects for the same seed, so that what they show is kept."""
    return tuple(task.cases(seed))


@lru_cache(maxsize=1024)
def shown(task: Task, answer: Callable, cases: tuple[Case, ...]) -> list[Observation]:
    """Return what an answer of the course's own shows, the oracle or a misconception; it runs once for all learners."""
    return observe(task.use, answer, cases)


def recognize(task: Task, cases: tuple[Case, ...], seen: Seen, right: Seen | None) -> Misconception | None:
    """Return the misconception that shows all that was `seen`, or None; `right` is what the oracle shows, if it counts.

    Failing that, one whose values are the same; then one whose values are the same but for their dtype, since two
    mistakes may meet.
    """
    expected = {m: shown(task, m.wrong, cases) for m in task.misconceptions if not m.matches}
    for m in task.misconceptions:
        if _matches(m.matches, cases, seen) if m.matches else _same(task, seen, expected[m]):
            return m
    for as_seen in (lambda value: value, _in_float32):
        for m, e in expected.items():
            # If the oracle has these values, too, then they are no sign of a mistake.
            if _alike(task, seen, e, as_seen) and not (right and _alike(task, right, e, as_seen)):
                return m
    return None


def size(value) -> int:
    """Return how many numbers a plain value holds. A side of an empty tensor counts, too: loops may run along it.

    >>> size((torch.ones(2, 3), {"a": 1})), size(torch.ones(0, 9))
    (7, 9)
    """
    if isinstance(value, Tensor):
        return max(value.numel(), *value.shape, 1)
    if isinstance(value, dict):
        value = tuple(value.values())
    return sum(map(size, value)) if isinstance(value, (tuple, list)) else 1


def _matches(matches: Callable[..., bool], cases: tuple[Case, ...], seen: Seen) -> bool:
    fit = not any(s.failure or size(s.value) > MOST_TO_MATCH for s in seen)
    with warnings.catch_warnings(action="ignore"), contextlib.suppress(*WRONG_FORM):
        return fit and all(matches(s.value, *case.args, **case.kwargs) for s, case in zip(seen, cases, strict=True))
    return False


def _same(task: Task, seen: Seen, expected: Seen) -> bool:
    """Whether both are alike, change the same arguments, and have the same gradients."""
    pairs = zip(map(_beside_value, seen), map(_beside_value, expected), strict=True)
    return _alike(task, seen, expected) and not any(compare(got, want, task) for got, want in pairs)


def _beside_value(seen: Observation) -> tuple:
    failure = seen.gradient_failure and replace(seen.gradient_failure, words="", line="")
    return seen.changed, failure, seen.gradients


def _alike(task: Task, seen: Seen, expected: Seen, as_seen: Callable = lambda value: value) -> bool:
    """Whether both have the same values, and fail on the same cases with the same kind of exception."""
    # Where every case raises, there are no values to tell two mistakes apart: then the exception's words count, too.
    ignored = {"line": ""} if all(s.failure for s in seen) else {"line": "", "words": ""}
    for pair in zip(seen, expected, strict=True):
        got, want = (replace(o.failure, **ignored) if o.failure else as_seen(o.value) for o in pair)
        if isinstance(got, dict) and isinstance(want, dict):  # a mistake may say less than the answer
            got = {key: item for key, item in got.items() if key in want}
        if compare(got, want, task):
            return False
    return True


def _in_float32(value):
    """The same value with all tensors in float32."""
    if isinstance(value, Tensor):
        return value if value.is_complex() else value.to(torch.float32)
    if isinstance(value, dict):
        return {key: _in_float32(item) for key, item in value.items()}
    return tuple(map(_in_float32, value)) if isinstance(value, tuple) else value
