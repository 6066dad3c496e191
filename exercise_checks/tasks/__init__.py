"""The exercises: one module per sheet, each with its tasks as data.

A sheet `NN_topic` (the notebooks in `solutions/` and `exercises/`) has its tasks in `exercise_checks.tasks.topic`.
"""

import difflib
import importlib
from functools import cache

from exercise_checks.sheets import SHEETS
from exercise_checks.tasks.task import Draw, Misconception, Task

__all__ = ["SHEETS", "Draw", "Misconception", "Task", "every", "find", "of_sheet"]


@cache
def of_sheet(sheet: str) -> tuple[Task, ...]:
    """Return a sheet's tasks, in the order in which its module defines them.

    >>> [task.id for task in of_sheet("01_corr2d")][0]
    'corr2d'
    """
    module = importlib.import_module(f"exercise_checks.tasks.{sheet.partition('_')[2]}")
    found = [value for value in vars(module).values() if isinstance(value, Task)]
    return tuple(task for task in found if task.answer.__module__ == module.__name__)


def every() -> list[Task]:
    """Return the tasks of all sheets, in the course's order.

    >>> len({task.id for task in every()}) == len(every())
    True
    """
    return [task for sheet in SHEETS for task in of_sheet(sheet)]


def find(task_id: str) -> Task:
    """Return the task of this id.

    Raises:
        KeyError: there is none; the sentence names the closest.

    >>> find("corr2d").title
    'Two loops'
    """
    known = {task.id: task for task in every()}
    if type(task_id) is not str:
        raise KeyError(f"task_id is of type {type(task_id).__name__}, must be a task's name, such as 'corr2d'.")
    if task_id not in known:
        closest = difflib.get_close_matches(task_id, known, n=1, cutoff=0.0)[0]
        raise KeyError(f"task_id is {task_id!r}, and there is no such task. Did you mean {closest!r}?")
    return known[task_id]


def sheet_of(task: Task) -> str:
    """Return the name of the sheet that a task belongs to.

    >>> sheet_of(find("corr2d"))
    '01_corr2d'
    """
    return next(sheet for sheet in SHEETS if task in of_sheet(sheet))
