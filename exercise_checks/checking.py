"""What a learner calls in a sheet: `check` says which mistake was made, `hint` leads on."""

import builtins
import contextlib
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from IPython.display import display
from markupsafe import Markup
from torch import Tensor

from course_utils import plotting
from exercise_checks import progress, tasks
from exercise_checks.judging import Verdict, judge
from exercise_checks.judging.wording import PRINTED
from exercise_checks.markup import with_code
from exercise_checks.running import child
from exercise_checks.running.observing import type_name

__all__ = ["check", "failing_case", "hint"]

SOLUTIONS = Path(__file__).resolve().parent.parent / "solutions"
MOST_DRAWN = 64  # numbers of a picture in a report
CARD = Markup('<div style="border-left: 5px solid {}; padding: 0 0.8em">{}</div>')
PARAGRAPH, PRE = Markup("<p>{}</p>"), Markup("<pre>{}</pre>")

# Python's own functions and types, should a notebook have put others in their place.
OWN = {name: value for name, value in vars(builtins).items() if type(value) in (type, type(len))}

_hints_given: dict[str, int] = {}
_last_verdicts: dict[str, Verdict] = {}


def check(task_id: str, obj) -> None:
    """Check what you wrote for a task, and show what is wrong with it. Returns nothing and never raises.

    What you wrote is tried in a process of its own: whatever happens there, your notebook goes on.

    Args:
        task_id: as in the sheet, for example "corr2d".
        obj: your function or class itself: `corr2d`, not `corr2d(X, K)`.

    >>> check("corr2d", lambda X, K: X)
    Not yet. On the small picture of lesson 1 (X is 3×3, K is 2×2): the shape is 3×3, must be 2×2.
    """
    replaced = {name: value for name, value in builtins.__dict__.items() if name in OWN and value is not OWN[name]}
    builtins.__dict__.update(OWN)
    try:
        verdict = judge(task_id, obj, observe=child.observe)
        trouble = ""
        if type(task_id) is str and task_id in {task.id for task in tasks.every()}:
            _last_verdicts[task_id] = verdict
            trouble = progress.record(task_id, verdict.passed) if verdict.written else ""
        display(Report(verdict, trouble))  # outside of a notebook, it prints
    except BaseException as error:  # a notebook can put anything in the place of anything
        sentence = f"This cannot be checked: that raised {type_name(error)}. If this stays, restart the kernel."
        for place in (sys.stdout, sys.stderr, sys.__stderr__):  # a notebook can close its own output, too
            with contextlib.suppress(BaseException):
                print(sentence, file=place)
                break
    finally:
        builtins.__dict__.update(replaced)


def hint(task_id: str) -> None:
    """Show the next hint for a task; after the second, where the solution is. Never raises.

    >>> hint("corr2d")  # doctest: +ELLIPSIS
    Hint 1 of 2. ...
    """
    try:
        task = tasks.find(task_id)
    except KeyError as error:
        print(error.args[0])
        return
    count = _hints_given[task_id] = _hints_given.get(task_id, 0) + 1
    if count <= len(task.hints):
        print(f"Hint {count} of {len(task.hints)}. {task.hints[count - 1]}")
    elif (SOLUTIONS / f"{tasks.sheet_of(task)}.ipynb").exists():
        print(f"No more hints. The solution, and why it works: solutions/{tasks.sheet_of(task)}.ipynb")
    else:  # the learners' bundle, which `course.py release` makes
        print("No more hints. Your instructor has the solution.")


def failing_case(task_id: str) -> tuple:
    """Return the arguments on which your last `check` of this task failed, to try them yourself.

    Returns positional arguments first, then the values of keyword arguments, in the order of the call.

    Raises:
        LookupError: the last check passed, or there was none.

    >>> check("corr2d", lambda X, K: X)  # doctest: +ELLIPSIS
    Not yet. ...
    >>> X, K = failing_case("corr2d")
    >>> X.shape, K.shape
    (torch.Size([3, 3]), torch.Size([2, 2]))
    """
    verdict = _last_verdicts.get(task_id)
    if verdict is None or verdict.case is None:
        raise LookupError(f"no failing case of {task_id!r} is known here: run check({task_id!r}, ...) first.")
    given = (*verdict.case.args, *verdict.case.kwargs.values())
    return tuple(value.clone() if isinstance(value, Tensor) else value for value in given)


@dataclass(frozen=True, repr=False)
class Report:
    """A verdict as it is shown: text in a terminal, a card with a picture in a notebook."""

    verdict: Verdict
    trouble: str = ""

    def __repr__(self) -> str:
        return f"{self._lead}{self.verdict.message}" + (f"\n{self.trouble}" if self.trouble else "")

    @property
    def _lead(self) -> str:
        return "Not yet. " if self.verdict.written and not self.verdict.passed else ""

    def _repr_mimebundle_(self, include=None, exclude=None):
        said, _, printed = self.verdict.message.partition(f"\n{PRINTED} ")  # what was printed keeps its lines
        drawing = picture(self.verdict)
        parts = [
            *(PARAGRAPH.format(with_code(line)) for line in (self._lead + said).splitlines()),
            PARAGRAPH.format(PRINTED) + PRE.format(printed) if printed else "",
            PARAGRAPH.format(with_code(self.trouble)) if self.trouble else "",
            Markup(drawing.html) if drawing else "",
        ]
        color = "#009E73" if self.verdict.passed else "#D55E00" if self.verdict.written else "#767676"
        return {"text/plain": repr(self), "text/html": str(CARD.format(color, Markup().join(parts)))}, {}


def picture(verdict: Verdict) -> plotting.Picture | None:
    """Target, yours and the difference, for the matrix with the first wrong value; None if there is none to draw."""
    found = verdict.difference
    if found is None or found.want is None or found.want.ndim < 2:
        return None
    lead = found.index[:-2]
    want, got = found.want[lead], found.got[lead]
    if want.numel() > MOST_DRAWN:
        return None
    where = f" [{', '.join(map(str, lead))}]" if lead else ""
    grids = {f"target output{where}": want, f"your output{where}": got}
    if want.dtype != torch.bool:
        grids["yours minus target"] = got - want
    return plotting.matrices(grids, alt="Target beside yours")
