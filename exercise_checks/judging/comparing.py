"""Compare two plain values: tensors, numbers, text, and tuples and dicts of these."""

import math
from dataclasses import replace

import torch
from torch import Tensor

from exercise_checks.judging.verdict import Difference, DifferenceKind
from exercise_checks.judging.wording import difference, unlike, wrong_values
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
    if isinstance(want, Tensor):
        return _compare_tensors(got, want, task)
    if isinstance(want, dict):
        return _compare_dicts(got, want, task)
    if isinstance(want, tuple):
        return _compare_tuples(got, want, task)
    if _same_number(got, want, task) or (type(got) is type(want) and got == want):
        return None
    if (_is_number(got) and _is_number(want)) or type(got) is type(want):
        return Difference(DifferenceKind.VALUE, unlike(got, want, task))
    return difference(DifferenceKind.TYPE, got, want)


def _compare_tuples(got, want: tuple, task: Task) -> Difference | None:
    if not isinstance(got, tuple):
        return difference(DifferenceKind.TYPE, got, want)
    plain = all(isinstance(item, (bool, int, float, str)) for item in want)  # then both can be shown whole
    if len(got) != len(want):
        if plain and task.kind != "predict":
            return Difference(DifferenceKind.LENGTH, unlike(got, want, task))
        return difference(DifferenceKind.LENGTH, got, want)
    for number, (given, wanted) in enumerate(zip(got, want, strict=True)):
        if found := compare(given, wanted, task):
            sentence = unlike(got, want, task) if plain else f"item {number}: {found.sentence}"
            return replace(found, sentence=sentence)
    return None


def _compare_dicts(got, want: dict, task: Task) -> Difference | None:
    if not isinstance(got, dict):
        return difference(DifferenceKind.TYPE, got, want)
    for key, item in want.items():
        if key not in got:
            return difference(DifferenceKind.MISSING, key)
        if found := compare(got[key], item, task):
            return replace(found, sentence=f"{key}: {found.sentence}")
    extra = next((key for key in got if key not in want), None)
    return None if extra is None else difference(DifferenceKind.EXTRA, extra)


def _compare_tensors(got, want: Tensor, task: Task) -> Difference | None:
    if not isinstance(got, Tensor):
        return difference(DifferenceKind.TYPE, got, want)
    if got.shape != want.shape:
        return difference(DifferenceKind.SHAPE, got, want)
    if got.dtype != want.dtype or got.device != want.device:
        return difference(DifferenceKind.DTYPE, got, want)
    wrong = ~_close(got, want, task) if want.numel() and want.is_floating_point() else got != want
    if not wrong.any():
        return None
    index = tuple(wrong.nonzero()[0].tolist())
    return Difference(DifferenceKind.VALUE, wrong_values(got, want, int(wrong.sum()), index), want, got, index)


def _close(got: Tensor, want: Tensor, task: Task) -> Tensor:
    """Where both agree. Where large terms cancel, a rounding error is as large as their sum would be without."""
    relative, absolute = _tolerances(task, want.dtype)
    if task.absolute is None:
        absolute *= max(1.0, float(want.nan_to_num(0, 0, 0).abs().max()))
    return torch.isclose(got, want, relative, absolute)


def _same_number(got, want, task: Task) -> bool:
    if not (_is_number(got) and _is_number(want)):
        return False
    relative, absolute = _tolerances(task, None)
    return math.isclose(got, want, rel_tol=relative, abs_tol=absolute)


def _is_number(value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _tolerances(task: Task, dtype: torch.dtype | None) -> tuple[float, float]:
    relative, absolute = NUMBERS if dtype is None else TOLERANCES.get(dtype, FINE)
    return relative if task.relative is None else task.relative, absolute if task.absolute is None else task.absolute
