"""Compare two plain values: tensors, numbers, text, and tuples and dicts of these."""

import math
from dataclasses import replace

import torch
from torch import Tensor

from exercise_checks.judging.verdict import Difference, DifferenceKind
from exercise_checks.judging.wording import dtype, shape, unlike, wrong_length, wrong_type, wrong_values
from exercise_checks.tasks.task import Task

# Relative and absolute tolerance: a sum in another order passes; a wrong formula does not, nor does float64 work done
# in float32. Plain numbers, which people round, have their own.
TOLERANCES = {torch.float16: (1e-2, 1e-2), torch.bfloat16: (2e-2, 2e-2), torch.float32: (1e-4, 1e-5)}
FINE, NUMBERS = (1e-10, 1e-12), (1e-6, 1e-9)


def compare(got, want, task: Task) -> Difference | None:
    """Return the first difference between the learner's plain value and what is right, or None.

    >>> from exercise_checks import tasks
    >>> compare(torch.ones(2), torch.ones(2, 1), tasks.find("corr2d")).sentence
    'the shape is 2, must be 2×1.'
    """
    numbers = type(got) in (int, float) and type(want) in (int, float)  # bool is neither
    if not numbers and type(got) is not type(want):
        return Difference(DifferenceKind.TYPE, wrong_type(got, want))
    if isinstance(want, Tensor):
        return _compare_tensors(got, want, task)
    if isinstance(want, dict):
        return _compare_dicts(got, want, task)
    if isinstance(want, tuple):
        return _compare_tuples(got, want, task)
    relative, absolute = _tolerances(task, NUMBERS)
    same = math.isclose(got, want, rel_tol=relative, abs_tol=absolute) if numbers else got == want
    return None if same else Difference(DifferenceKind.VALUE, unlike(got, want, task))


def _compare_tuples(got: tuple, want: tuple, task: Task) -> Difference | None:
    short = all(isinstance(item, (int, float, str)) for item in want)  # then both can be shown whole
    if len(got) != len(want):
        sentence = unlike(got, want, task) if short and task.kind != "predict" else wrong_length(got, want)
        return Difference(DifferenceKind.LENGTH, sentence)
    for number, (given, wanted) in enumerate(zip(got, want, strict=True)):
        if found := compare(given, wanted, task):
            return replace(found, sentence=unlike(got, want, task)) if short else found.within(f"item {number}")
    return None


def _compare_dicts(got: dict, want: dict, task: Task) -> Difference | None:
    for key, item in want.items():
        if key not in got:
            return Difference(DifferenceKind.MISSING, f"{key!r} is missing.")
        if found := compare(got[key], item, task):
            return found.within(key)
    extra = next((key for key in got if key not in want), None)
    return None if extra is None else Difference(DifferenceKind.EXTRA, f"{extra!r} is not asked for.")


def _compare_tensors(got: Tensor, want: Tensor, task: Task) -> Difference | None:
    if got.shape != want.shape:
        return Difference(DifferenceKind.SHAPE, f"the shape is {shape(got)}, must be {shape(want)}.")
    if got.dtype != want.dtype or got.device != want.device:
        return Difference(DifferenceKind.DTYPE, f"the dtype is {dtype(got)}, must be {dtype(want)}.")
    wrong = ~_close(got, want, task) if want.numel() and want.is_floating_point() else got != want
    if not wrong.any():
        return None
    index = tuple(wrong.nonzero()[0].tolist())
    return Difference(DifferenceKind.VALUE, wrong_values(got, want, int(wrong.sum()), index), want, got, index)


def _close(got: Tensor, want: Tensor, task: Task) -> Tensor:
    relative, absolute = _tolerances(task, TOLERANCES.get(want.dtype, FINE))
    if task.absolute is None:  # a value near 0 may be a sum of large terms, and has their rounding error
        absolute *= max(1.0, float(want.nan_to_num(0, 0, 0).abs().max()))
    return torch.isclose(got, want, relative, absolute)


def _tolerances(task: Task, usual: tuple[float, float]) -> tuple[float, float]:
    relative, absolute = usual
    return relative if task.relative is None else task.relative, absolute if task.absolute is None else task.absolute
