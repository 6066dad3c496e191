"""Compare what was observed with a task's oracle, and say what is wrong and which mistake it looks like."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace

from exercise_checks import tasks
from exercise_checks.judging import wording
from exercise_checks.judging.comparing import compare
from exercise_checks.judging.recognizing import WRONG_FORM, cases_of, recognize, shown
from exercise_checks.judging.verdict import Difference, DifferenceKind, Verdict
from exercise_checks.running.observing import Case, FailureKind, Observation, observe, own_settings, type_name
from exercise_checks.tasks.task import PUBLIC_SEED, Task

__all__ = ["Difference", "DifferenceKind", "Verdict", "cases_of", "compare", "diagnose", "judge"]

RIGHT = "the values are right, but"
CUTS = "`.item()`, `.detach()`, `.data`, `.numpy()` and `torch.tensor(...)` cut it off"


def judge(task_id: str, obj, seed: int | None = None, observe: Callable = observe) -> Verdict:
    """Judge `obj`, which a learner wrote for a task. Never prints, never raises.

    Args:
        task_id: as in the sheet.
        obj: the function or class itself.
        seed: which cases to use; None takes the public ones.
        observe: uses `obj` on the cases: `observing.observe` here, `child.observe` in a process of its own.

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
    except BaseException as error:  # a learner's code can do anything to torch, or when it is merely looked at
        trouble = f"looking at it raised {type_name(error)}"
        return Verdict(False, f"What was handed in cannot be checked: {trouble}. If this stays, restart the kernel.")


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
    right = None if task.accept else shown(task, task.oracle, cases)
    for number, (case, got) in enumerate(zip(cases, seen, strict=False)):
        if found := _difference(task, case, got, right and right[number]):
            if found.kind is not DifferenceKind.REFUSED:  # the task's own sentence says all
                found = found.within(wording.where(task, case))
            known = recognize(task, cases, seen, right) if len(seen) == len(cases) else None
            sentences = [known.sentence if known else "", found.sentence, wording.printed(got.printed)]
            return Verdict(False, "\n".join(filter(None, sentences)), known and known.name, case=case, difference=found)
    if len(seen) != len(cases):
        return Verdict(False, f"Only {len(seen)} of {len(cases)} cases gave an answer.")
    return Verdict(True, f"Passed: {task.title}.")


def _difference(task: Task, case: Case, got: Observation, want: Observation | None) -> Difference | None:
    """The first difference on one case, in the order in which a learner can use it."""
    if got.failure:
        return Difference(DifferenceKind.FAILED, wording.failed(got.failure))
    if got.value is None and want is not None and want.value is not None:
        sentence = "your function returned None. Is the line with `return` missing?"
        return Difference(DifferenceKind.RETURNED_NONE, sentence)
    if task.accept:
        return _refusal(task, got.value, case)
    if task.use == "module" and (found := _lost_gradients(got.value, want.value, task)):
        return found
    if found := compare(got.value, want.value, task):
        if found.index is None or task.window is None:
            return found
        window = task.window(found.index, *case.args, **case.kwargs)
        return replace(found, sentence=f"{found.sentence} It is made of {window}.")
    if got.changed:
        names = " and ".join(wording.name_of(task, key) for key in got.changed)
        return Difference(DifferenceKind.CHANGED_ARGUMENT, f"{RIGHT} {names} was changed. Work on a copy: `.clone()`.")
    return _gradient_difference(task, got, want)


def _refusal(task: Task, value, case: Case) -> Difference | None:
    """What the task's own test says against a value."""
    try:
        with warnings.catch_warnings(action="ignore"):
            sentence = task.accept(value, *case.args, **case.kwargs)
    except WRONG_FORM:
        sentence = f"What you returned, {wording.describe(value)}, does not have the form that the task asks for."
    return Difference(DifferenceKind.REFUSED, sentence) if sentence else None


def _lost_gradients(got, want: dict, task: Task) -> Difference | None:
    """The parameters of a module that get no gradient, if all else is right."""
    if not (isinstance(got, dict) and isinstance(got.get("gradients"), dict)):  # from a worker, it may be anything
        return None
    lost = [name for name in want["gradients"] if name not in got["gradients"]]
    if not lost or compare(got | {"gradients": {}}, want | {"gradients": {}}, task):
        return None
    sentence = f"the output is right, but no gradient reaches {' and '.join(lost)}: {CUTS}."
    return Difference(DifferenceKind.NO_PARAMETER_GRADIENT, sentence)


def _gradient_difference(task: Task, got: Observation, want: Observation) -> Difference | None:
    if got.gradient_failure:
        sentence = f"{RIGHT} with inputs that require gradients {wording.failed(got.gradient_failure)}"
        return Difference(DifferenceKind.FAILS_WITH_GRADIENT, sentence)
    for key, gradient in want.gradients.items():
        if gradient is None:
            continue
        name = wording.name_of(task, key)
        if got.gradients.get(key) is None:
            return Difference(DifferenceKind.NO_GRADIENT, f"{RIGHT} no gradient flows back to {name}: {CUTS}.")
        if found := compare(got.gradients[key], gradient, task):
            return replace(found.within(f"the gradient for {name} is wrong"), kind=DifferenceKind.WRONG_GRADIENT)
    return None
