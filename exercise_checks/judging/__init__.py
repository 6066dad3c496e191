"""Compare what was observed with a task's oracle, and say what is wrong and which mistake it looks like."""

import inspect
import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor

from exercise_checks import tasks
from exercise_checks.running.observing import (
    Case,
    Failure,
    FailureKind,
    Observation,
    Opaque,
    observe,
    own_settings,
    type_name,
)
from exercise_checks.tasks.task import PUBLIC_SEED, Misconception, Task

# Relative and absolute slack: a sum in another order passes, a wrong formula does not, nor does float64 work done in
# float32. Plain numbers, which people round, have their own.
SLACK = {torch.float16: (1e-2, 1e-2), torch.bfloat16: (2e-2, 2e-2), torch.float32: (1e-4, 1e-5)}
FINE, NUMBERS = (1e-10, 1e-12), (1e-6, 1e-9)

PRINTED, MOST_LINES = "Your code printed:", 10


@dataclass(frozen=True)
class Difference:
    """What is wrong with one value: the sentence, and for tensors the target, what came, and the first wrong place."""

    sentence: str
    want: Tensor | None = None
    got: Tensor | None = None
    index: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Verdict:
    """The judgement on what a learner handed in.

    `misconception` is the name of the mistake, if it is a known one. `written` is False while the sheet's
    `NotImplementedError` still stands. `case` and `difference` belong to the first case that failed.
    """

    passed: bool
    message: str
    misconception: str | None = None
    written: bool = True
    case: Case | None = None
    difference: Difference | None = None


def judge(task_id: str, obj, seed: int | None = None, observe: Callable = observe) -> Verdict:
    """Judge `obj`, which a learner wrote for a task. Never prints, never raises.

    Args:
        task_id: as in the sheet.
        obj: the function or class itself.
        seed: which cases to use; None takes the public ones.
        observe: uses `obj` on the cases: `observing.observe` here, `apart.observe` in a process of its own.

    >>> import torch.nn.functional as F
    >>> judge("corr2d", lambda X, K: F.conv2d(X[None, None], K[None, None])[0, 0]).passed
    True
    >>> judge("corr2d", lambda X, K: F.conv2d(X[None, None], K.flip(0, 1)[None, None])[0, 0]).misconception
    'flipped'
    """
    try:
        task = tasks.find(task_id)
    except KeyError as error:
        return Verdict(False, error.args[0])
    try:
        with own_settings():
            cases = cases_of(task, PUBLIC_SEED if seed is None else seed)
            return diagnose(task, cases, observe(task.use, obj, cases, task.seconds))
    except KeyboardInterrupt:
        return Verdict(False, "The check was interrupted.")
    # What a learner's code does to torch, or when it is merely looked at, is not known: the sheet goes on all the same.
    except BaseException as error:
        trouble = f"looking at it raised {type_name(error)}"
        return Verdict(False, f"What was handed in cannot be checked: {trouble}. If this stays, restart the kernel.")


@lru_cache(maxsize=256)
def cases_of(task: Task, seed: int) -> tuple[Case, ...]:
    """Return a task's cases for a seed: the same objects for the same seed, so that what they show is kept."""
    return tuple(task.cases(seed))


@lru_cache(maxsize=1024)
def _shown(task: Task, answer, cases: tuple[Case, ...]) -> list[Observation]:
    """What the oracle or a misconception shows."""
    return observe(task.use, answer, cases)


def diagnose(task: Task, cases: tuple[Case, ...], seen: Sequence[Observation]) -> Verdict:
    """Turn observations into a verdict. Needs nothing of the learner's but what was observed.

    Take `cases` from `cases_of`: then the oracle and the misconceptions run once, not once a learner. `seen` may be
    shorter than `cases`, when time ran out; that never passes.
    """
    first = seen[0].failure if seen else None
    if first and first.error == "NotImplementedError" and not first.words:  # the sheet's; torch's own has words
        return Verdict(False, f"Not written yet: {task.title}.", written=False)
    if first and first.kind is FailureKind.UNUSABLE:
        return Verdict(False, first.words)
    right = None if task.accept else _shown(task, task.oracle, cases)
    for number, (case, got) in enumerate(zip(cases, seen, strict=False)):
        difference = _problem(task, case, got, right and right[number])
        if difference:
            known = _recognise(task, cases, seen, right)
            sentences = [known.sentence] if known else []
            sentences += [difference.sentence, _printed(got)]
            message = "\n".join(sentence for sentence in sentences if sentence)
            return Verdict(False, message, known and known.name, case=case, difference=difference)
    if len(seen) != len(cases):
        return Verdict(False, f"Only {len(seen)} of {len(cases)} cases gave an answer.")
    return Verdict(True, f"Passed: {task.title}.")


def _printed(got: Observation) -> str:
    """The first lines of what was printed: a loop that does not end prints the same for ever."""
    lines = got.printed.strip().splitlines()
    more = ["…"] if len(lines) > MOST_LINES else []
    return "\n".join([f"{PRINTED} {lines[0]}", *lines[1:MOST_LINES], *more]) if lines else ""


# ---------------------------------------------------------------------------------------------------------
# The first problem of one case, in the order in which a learner can use it
# ---------------------------------------------------------------------------------------------------------


def _problem(task: Task, case: Case, got: Observation, want: Observation | None) -> Difference | None:
    where = _where(task, case)
    if got.failure:
        return Difference(_failed(got.failure, where))
    if got.value is None and want is not None and want.value is not None:
        return Difference(f"{where}: your function returned None. Is the line with `return` missing?")
    if task.accept:
        refusal = _accept(task, got.value, case)
        return Difference(refusal) if refusal else None
    if task.use == "module" and (lost := _lost_gradients(got.value, want.value, task)):
        return Difference(f"{where}: the output is right, but no gradient reaches {' and '.join(lost)}: {CUTS}.")
    difference = compare(got.value, want.value, task)
    if difference:
        window = ""
        if difference.index is not None and task.window:
            window = f" It is made of {task.window(difference.index, *case.args, **case.kwargs)}."
        return replace(difference, sentence=f"{where}: {difference.sentence}{window}")
    if got.changed:
        names = " and ".join(_name(task, key) for key in got.changed)
        return Difference(f"{where}: the values are right, but {names} was changed. Work on a copy: `.clone()`.")
    return _gradient_problem(task, where, got, want)


CUTS = "`.item()`, `.detach()`, `.data`, `.numpy()` and `torch.tensor(...)` cut it off"


def _lost_gradients(got: dict, want: dict, task: Task) -> list[str]:
    """The parameters of a module that get no gradient, if all else is right."""
    gradients = {"gradients": {}}
    if not (isinstance(got, dict) and isinstance(got.get("gradients"), dict)):  # from a worker, it may be anything
        return []
    if compare(got | gradients, want | gradients, task):
        return []
    return [name for name in want["gradients"] if name not in got["gradients"]]


# What a learner returned can have any form, and a predicate may stumble over it: then it is not the form asked for.
STUMBLES = (TypeError, ValueError, LookupError, AttributeError, RuntimeError, ArithmeticError)


def _accept(task: Task, value, case: Case) -> str | None:
    try:
        with warnings.catch_warnings(action="ignore"):
            return task.accept(value, *case.args, **case.kwargs)
    except STUMBLES:
        return f"What you returned, {_kind(value)}, does not have the form that the task asks for."


def _matches(misconception: Misconception, value, case: Case) -> bool:
    try:
        with warnings.catch_warnings(action="ignore"):
            return bool(misconception.matches(value, *case.args, **case.kwargs))
    except STUMBLES:
        return False


def _gradient_problem(task: Task, where: str, got: Observation, want: Observation) -> Difference | None:
    if got.gradient_failure:
        failed = _failed(got.gradient_failure, "")
        return Difference(f"{where}: the values are right, but with inputs that require gradients your code {failed}")
    for key, gradient in want.gradients.items():
        name = _name(task, key)
        if gradient is None:
            continue
        if got.gradients.get(key) is None:
            return Difference(f"{where}: the values are right, but no gradient flows back to {name}: {CUTS}.")
        difference = compare(got.gradients[key], gradient, task)
        if difference:
            return replace(difference, sentence=f"{where}: the gradient for {name} is wrong: {difference.sentence}")
    return None


def _failed(failure: Failure, where: str) -> str:
    line = f" at {failure.line}" if failure.line else ""
    start = f"{where}: your code " if where else ""
    if failure.kind is FailureKind.TIME_UP:
        else_ = "" if line else " And is no single operation far too large?"
        return f"{start}was still running after {failure.words} s{line}. Does every loop end?{else_}"
    if failure.kind is FailureKind.INTERRUPTED:
        return f"{start}was interrupted{line}."
    if failure.kind is FailureKind.UNUSABLE:
        return f"{where}: {failure.words}"
    if failure.kind is FailureKind.ENDED:
        return f"{start}ended the process in which it was tried: {failure.words}"
    words = f": {failure.words}" if failure.words else ""
    return f"{start}raised {failure.error}{line}{words}"


def compare(got, want, task: Task) -> Difference | None:
    """Return the first difference between two plain values, or None. Sequences, dicts and tensors inside count too."""
    if isinstance(want, Tensor):
        return _compare_tensors(got, want, task)
    if isinstance(want, dict):
        return _compare_dicts(got, want, task)
    if isinstance(want, tuple):
        if not isinstance(got, tuple):
            return Difference(f"expected {_kind(want)}, got {_kind(got)}.")
        short = all(isinstance(item, (bool, int, float, str)) for item in want)
        if len(got) != len(want):
            if short and task.kind != "predict":
                return Difference(_unlike(got, want, task))
            return Difference(f"{_short(got)[:100]} has {_values(got)}, must have {len(want)}.")
        places = (compare(g, w, task) for g, w in zip(got, want, strict=True))
        found = next((p for p in enumerate(places) if p[1]), None)
        if found and short:  # say it at once
            return Difference(_unlike(got, want, task))
        return replace(found[1], sentence=f"item {found[0]}: {found[1].sentence}") if found else None
    if _same_number(got, want, task) or (type(got) is type(want) and got == want):
        return None
    if (_is_number(got) and _is_number(want)) or type(got) is type(want):
        return Difference(_unlike(got, want, task))
    return Difference(f"expected {_form(want)}, got {_kind(got)}.")


def _form(value) -> str:
    """What kind of plain value it is, without telling the value."""
    names = {bool: "True or False", int: "a whole number", float: "a number", str: "a text"}
    return names.get(type(value)) or _kind(value)


def _unlike(got, want, task: Task) -> str:
    """A prediction is to be thought about again, not copied from the message."""
    return f"{_short(got)} is not right." if task.kind == "predict" else f"expected {_short(want)}, got {_short(got)}."


def _compare_dicts(got, want: dict, task: Task) -> Difference | None:
    if not isinstance(got, dict):
        return Difference(f"expected {_kind(want)}, got {_kind(got)}.")
    for key, item in want.items():
        if key not in got:
            return Difference(f"{key!r} is missing.")
        difference = compare(got[key], item, task)
        if difference:
            return replace(difference, sentence=f"{key}: {difference.sentence}")
    extra = next((key for key in got if key not in want), None)
    return Difference(f"{extra!r} is not asked for.") if extra is not None else None


def _compare_tensors(got, want: Tensor, task: Task) -> Difference | None:
    if not isinstance(got, Tensor):
        return Difference(f"expected {_kind(want)}, got {_kind(got)}.{_cure(got)}")
    if got.shape != want.shape:
        return Difference(f"the shape is {shape(got)}, must be {shape(want)}.")
    if got.dtype != want.dtype or got.device != want.device:
        is_, must = (f"{t.dtype} on {t.device}".replace("torch.", "").removesuffix(" on cpu") for t in (got, want))
        return Difference(f"the dtype is {is_}, must be {must}.")
    wrong = ~_close(got, want, task) if want.numel() and want.is_floating_point() else got != want
    if not wrong.any():
        return None
    index = tuple(wrong.nonzero()[0].tolist())
    place = f" The first is at [{', '.join(map(str, index))}]:" if index else ""
    count = f"{int(wrong.sum())} of {want.numel()} values {'is' if wrong.sum() == 1 else 'are'} wrong."
    values = f"expected {_short(want[index].item())}, got {_short(got[index].item())}."
    if _short(want[index].item()) == _short(got[index].item()):
        values = f"expected {want[index].item()}, got {got[index].item()}."
    return Difference(f"{count}{place} {values}", want, got, index)


def _cure(got) -> str:
    """What helps where a tensor is wanted."""
    if got is None:
        return " Is a line with `return` missing?"
    if isinstance(got, tuple):
        return " Make one tensor of them, for example with `torch.stack`."
    return " `torch.from_numpy(...)` makes a tensor of it." if got == Opaque("ndarray") else ""


def _close(got: Tensor, want: Tensor, task: Task) -> Tensor:
    """Where both agree. Where large terms cancel, a rounding error is as large as their sum would be without."""
    relative, absolute = _slack(task, want.dtype)
    if task.absolute is None:
        absolute *= max(1.0, float(want.nan_to_num(0, 0, 0).abs().max()))
    return torch.isclose(got, want, relative, absolute)


def _slack(task: Task, dtype) -> tuple[float, float]:
    relative, absolute = NUMBERS if dtype is None else SLACK.get(dtype, FINE)
    return relative if task.relative is None else task.relative, absolute if task.absolute is None else task.absolute


def _is_number(value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _same_number(got, want, task: Task) -> bool:
    if not (_is_number(got) and _is_number(want)):
        return False
    relative, absolute = _slack(task, None)
    return math.isclose(got, want, rel_tol=relative, abs_tol=absolute)


# ---------------------------------------------------------------------------------------------------------
# Known mistakes
# ---------------------------------------------------------------------------------------------------------


def _recognise(task: Task, cases, seen, right) -> Misconception | None:
    """The misconception that shows all that was seen. Failing that, one whose values are the same; then one whose
    values are the same but for their dtype, since two mistakes may meet."""
    if len(seen) != len(cases):
        return None
    known = [(m, None if m.matches else _shown(task, m.wrong, cases)) for m in task.misconceptions]
    for misconception, shown in known:
        if misconception.matches:
            pairs = zip(seen, cases, strict=True)
            if all(s.failure is None and _matches(misconception, s.value, c) for s, c in pairs):
                return misconception
        elif _alike(task, seen, shown) and all(_same_marks(task, g, s) for g, s in zip(seen, shown, strict=True)):
            return misconception
    for as_seen in (lambda value: value, _in_float32):
        for misconception, shown in known:
            # A wrong answer whose values are right is known by its marks alone.
            if shown and _alike(task, seen, shown, as_seen) and not (right and _alike(task, right, shown, as_seen)):
                return misconception
    return None


def _alike(task: Task, seen, shown, as_seen=lambda value: value) -> bool:
    """Whether both have the same values, and fail on the same cases with the same kind of exception."""
    if all(s.failure for s in seen):  # with nothing else to go by, the exception's words count, too
        return [s.failure for s in seen] == [s.failure and replace(s.failure, line=g.failure.line)
                                             for g, s in zip(seen, shown, strict=True)]  # fmt: skip
    return all(_alike_once(task, g, s, as_seen) for g, s in zip(seen, shown, strict=True))


def _alike_once(task: Task, got: Observation, shown: Observation, as_seen) -> bool:
    if got.failure or shown.failure:
        return bool(got.failure and shown.failure and _same_kind(got.failure, shown.failure))
    value = got.value
    if isinstance(shown.value, dict) and isinstance(value, dict):
        value = {key: item for key, item in value.items() if key in shown.value}
    return compare(as_seen(value), as_seen(shown.value), task) is None


def _same_kind(a: Failure, b: Failure) -> bool:
    return (a.kind, a.error) == (b.kind, b.error)


def _in_float32(value):
    """The same value with all tensors in float32."""
    if isinstance(value, Tensor):
        return value.to(torch.float32) if not value.is_complex() else value
    if isinstance(value, dict):
        return {key: _in_float32(item) for key, item in value.items()}
    return tuple(map(_in_float32, value)) if isinstance(value, tuple) else value


def _same_marks(task: Task, got: Observation, shown: Observation) -> bool:
    failures = [f and (f.kind, f.error) for f in (got.gradient_failure, shown.gradient_failure)]
    if got.changed != shown.changed or failures[0] != failures[1] or got.gradients.keys() != shown.gradients.keys():
        return False
    return all(compare(got.gradients[key], shown.gradients[key], task) is None for key in shown.gradients)


# ---------------------------------------------------------------------------------------------------------
# Words
# ---------------------------------------------------------------------------------------------------------


def shape(T: Tensor) -> str:
    """Return "2×3", or "()" for a single number."""
    return "×".join(map(str, T.shape)) or "()"


def _kind(value) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of shape {shape(value)}"
    if isinstance(value, tuple):
        return f"a tuple or list of {_values(value)}"
    if isinstance(value, dict):
        return f"a dict with {', '.join(map(repr, value)) or 'nothing in it'}"
    if isinstance(value, Opaque):
        return f"an object of type {value.type_name}"
    return "None" if value is None else f"{_short(value)} ({type(value).__name__})"


def _values(items: tuple) -> str:
    return f"{len(items)} value{'s' * (len(items) != 1)}"


def _short(value) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, tuple):
        return f"({', '.join(map(_short, value))}{',' * (len(value) == 1)})"
    return repr(value)[:100] if not isinstance(value, (Tensor, dict, Opaque)) else _kind(value)


def _name(task: Task, key) -> str:
    if isinstance(key, str):
        return key
    return list(inspect.signature(task.oracle).parameters)[key]


def _where(task: Task, case: Case) -> str:
    """Return "On a wide image (X is 3×5, K is 2×2, stride = 2)"."""
    if not case.args and not case.kwargs:
        return "Your answer"
    if task.use != "call":
        return f"On {case.label}"
    given = [(_name(task, k), v) for k, v in [*enumerate(case.args), *case.kwargs.items()]]
    return f"On {case.label} ({', '.join(_argument(name, value) for name, value in given)})"


def _argument(name: str, value) -> str:
    if not isinstance(value, Tensor):
        return f"{name} = {value!r}"
    unusual = [] if value.dtype == torch.float32 else [str(value.dtype).removeprefix("torch.")]
    unusual += [] if value.is_contiguous() else ["not contiguous"]
    return f"{name} is {shape(value)}{' ' + ' '.join(unusual) if unusual else ''}"
