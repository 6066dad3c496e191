"""A learner's notebook as it runs in a worker: its cells, its names, and stand-ins for what only a desk has."""

import builtins
import linecache
import sys
import types

from IPython.core.inputtransformer2 import TransformerManager

from exercise_checks.running.observing import Failure, FailureKind, _attempt, _own_line
from exercise_checks.running.time_limit import TimeUp, call_within

TIMING = ("time", "timeit", "prun", "capture")  # magics whose body is the learner's code


class Notebook:
    """The names that a notebook's cells define, one cell after the other."""

    def __init__(self):
        module = types.ModuleType("__main__")  # a real module: pickle, dataclasses and inspect look names up in it
        self.names = module.__dict__
        self.names |= {"__builtins__": builtins, "display": _nothing, "get_ipython": lambda: Desk(self)}
        sys.modules["__main__"] = module

    def run(self, index: int, source: str, seconds: float) -> Failure | None:
        """Run one cell; return what went wrong. Nothing that the cell raises goes further."""
        try:
            return _attempt(lambda: call_within(seconds, self.execute, source, f"<cell {index}>"))[1]
        except TimeUp as late:
            return Failure(FailureKind.TIME_UP, f"{seconds:g}", _own_line(late))

    def execute(self, source: str, name: str) -> None:
        code = TransformerManager().transform_cell(source)
        linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)  # for tracebacks and inspect
        exec(compile(code, name, "exec"), self.names)


class Desk:
    """What `get_ipython()` gives: of magics, those that run the learner's own code do so; the others do nothing."""

    def __init__(self, notebook: Notebook):
        self.notebook = notebook

    def run_line_magic(self, name: str, line: str, _stack_depth: int = 1):
        if name in TIMING:
            self.notebook.execute(_without_options(line), f"<%{name}>")

    def run_cell_magic(self, name: str, line: str, cell: str):
        if name in TIMING:
            self.notebook.execute(cell, f"<%%{name}>")

    def system(self, line: str) -> None:
        """No program is started."""

    def getoutput(self, line: str) -> list[str]:
        return []


def _without_options(line: str) -> str:
    words = line.split()
    while words and words[0].startswith("-"):
        words.pop(0)
    return " ".join(words)


def _nothing(*args, **kwargs) -> None:
    """Stands for what shows something to a learner at the desk: here nobody looks."""


def _failing_case(task_id: str) -> tuple:
    raise LookupError(f"no failing case of {task_id!r} is known here.")


def hide_checking() -> None:
    """Put a stand-in where sheets import `check` and `hint` from; the real ones know the answers."""
    stand_in = types.ModuleType("exercise_checks")
    stand_in.check = stand_in.hint = _nothing
    stand_in.failing_case = _failing_case
    sys.modules["exercise_checks"] = stand_in
