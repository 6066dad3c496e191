"""How the judge puts failures, values and cases into words. Nothing is decided here."""

import inspect

import torch
from torch import Tensor

from exercise_checks.running.observing import Case, Failure, FailureKind, Opaque
from exercise_checks.tasks.task import Task

PRINTED, MOST_LINES = "Your code printed:", 10


def failed(failure: Failure) -> str:
    """Return what went wrong on a case: "your code raised ValueError at line 2: ..."."""
    line = f" at {failure.line}" if failure.line else ""
    words = f": {failure.words}" if failure.words else ""
    match failure.kind:
        case FailureKind.TIME_UP:
            more = "" if line else " And is no single operation far too large?"
            return f"your code was still running after {failure.words} s{line}. Does every loop end?{more}"
        case FailureKind.INTERRUPTED:
            return f"your code was interrupted{line}."
        case FailureKind.UNUSABLE:
            return failure.words
        case FailureKind.ENDED:
            return f"your code ended the process in which it was tried{words}"
    return f"your code raised {failure.error}{line}{words}"


def printed(text: str) -> str:
    """Return the first lines of what was printed: a loop that does not end prints the same for ever."""
    lines = text.strip().splitlines()
    more = ["…"] if len(lines) > MOST_LINES else []
    return "\n".join([f"{PRINTED} {lines[0]}", *lines[1:MOST_LINES], *more]) if lines else ""


def unlike(got, want, task: Task) -> str:
    """Say both; a prediction is to be thought about again, not copied from the message."""
    return f"{_short(got)} is not right." if task.kind == "predict" else f"expected {_short(want)}, got {_short(got)}."


def wrong_type(got, want) -> str:
    """Say what kind of value each is, and what makes a tensor where one is wanted."""
    kinds = {bool: "True or False", int: "a whole number", float: "a number", str: "a text"}
    cure = ""
    if isinstance(want, Tensor):
        if got is None:
            cure = " Is a line with `return` missing?"
        elif isinstance(got, tuple):
            cure = " Make one tensor of them, for example with `torch.stack`."
        elif got == Opaque("ndarray"):
            cure = " `torch.from_numpy(...)` makes a tensor of it."
    return f"expected {kinds.get(type(want)) or describe(want)}, got {describe(got)}.{cure}"


def wrong_length(got: tuple, want: tuple) -> str:
    return f"{_short(got)[:100]} has {_values(got)}, must have {len(want)}."


def wrong_values(got: Tensor, want: Tensor, count: int, index: tuple[int, ...]) -> str:
    """Say how many values of a tensor are wrong, and what is at the first such place."""
    place = f" The first is at [{', '.join(map(str, index))}]:" if index else ""
    expected, found = _short(want[index].item()), _short(got[index].item())
    if expected == found:  # they differ in later digits
        expected, found = want[index].item(), got[index].item()
    are = "is" if count == 1 else "are"
    return f"{count} of {want.numel()} values {are} wrong.{place} expected {expected}, got {found}."


def describe(value) -> str:
    """Return "a tensor of shape 2×3", "a tuple or list of 2 values", "3.5 (float)"."""
    if isinstance(value, Tensor):
        return f"a tensor of shape {shape(value)}"
    if isinstance(value, tuple):
        return f"a tuple or list of {_values(value)}"
    if isinstance(value, dict):
        return f"a dict with {', '.join(map(repr, value)) or 'nothing in it'}"
    if isinstance(value, Opaque):
        return f"an object of type {value.type_name}"
    return "None" if value is None else f"{_short(value)} ({type(value).__name__})"


def _short(value) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, tuple):
        return f"({', '.join(map(_short, value))}{',' * (len(value) == 1)})"
    return repr(value)[:100] if not isinstance(value, (Tensor, dict, Opaque)) else describe(value)


def _values(items: tuple) -> str:
    return f"{len(items)} value{'s' * (len(items) != 1)}"


def shape(T: Tensor) -> str:
    return "×".join(map(str, T.shape)) or "()"


def dtype(T: Tensor) -> str:
    return f"{T.dtype} on {T.device}".replace("torch.", "").removesuffix(" on cpu")


def name_of(task: Task, key: int | str) -> str:
    """Return the name of an argument, given by its position or its name."""
    return key if isinstance(key, str) else list(inspect.signature(task.oracle).parameters)[key]


def where(task: Task, case: Case) -> str:
    """Return "On a wide image (X is 3×5, K is 2×2, stride = 2)"."""
    if not case.args and not case.kwargs:
        return "Your answer"
    if task.use != "call":
        return f"On {case.label}"
    given = [(name_of(task, key), value) for key, value in [*enumerate(case.args), *case.kwargs.items()]]
    return f"On {case.label} ({', '.join(_argument(name, value) for name, value in given)})"


def _argument(name: str, value) -> str:
    if not isinstance(value, Tensor):
        return f"{name} = {value!r}"
    unusual = [] if value.dtype == torch.float32 else [dtype(value)]
    unusual += [] if value.is_contiguous() else ["not contiguous"]
    return " ".join([name, "is", shape(value), *unusual])
