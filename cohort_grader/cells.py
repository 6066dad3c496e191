"""Run a learner's notebook in a worker: its cells, its namespace, and stand-ins for IPython and `check`."""

import ast
import builtins
import codeop
import linecache
import re
import sys
import types
from collections.abc import Callable

from IPython.core.inputtransformer2 import TransformerManager

from exercise_checks.running.observing import Failure, attempt

TIMING = ("time", "timeit", "prun", "capture")  # magics whose body is the learner's code
TIMED_CELL = re.compile(rf"\A\s*(?=%%(?:{'|'.join(TIMING)})\b)")


class Notebook:
    """The namespace of a notebook, filled as its cells run one after another."""

    def __init__(self):
        module = types.ModuleType("__main__")  # a real module: pickle, dataclasses and inspect look names up in it
        self.names = module.__dict__
        self.names |= {"__builtins__": builtins, "display": _do_nothing, "get_ipython": lambda: FakeShell(self)}
        self.compile = codeop.Compile()  # remembers `from __future__ import ...` for later cells
        sys.modules["__main__"] = module

    def run(self, index: int, source: str, most: int | None, begin: Callable[[int], object]) -> Failure | None:
        """Run one cell and return the failure, or None. Whatever the cell raises is caught here.

        Args:
            most: run only this many statements, from the first; None runs all.
            begin: called with a statement's number before it runs.
        """
        return attempt(lambda: self.execute(source, f"<cell {index}>", most, begin))[1]

    def execute(self, source: str, name: str, most: int | None = None, begin: Callable | None = None) -> None:
        """Run code statement by statement, as IPython does; the code of a timed cell, too."""
        code = TransformerManager().transform_cell(TIMED_CELL.sub("# ", source))
        linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)  # for tracebacks and inspect
        for number, statement in enumerate(ast.parse(code, name).body[:most]):
            if begin:
                begin(number)
            exec(self.compile(ast.Module([statement], []), name, "exec"), self.names)


class FakeShell:
    """Stands in for `get_ipython()`: magics that run the learner's own code run it; the others do nothing."""

    def __init__(self, notebook: Notebook):
        self.notebook = notebook

    def run_line_magic(self, name: str, line: str, _stack_depth: int = 1):
        if name in TIMING:
            self.notebook.execute(_without_options(line), f"<%{name}>")

    def run_cell_magic(self, name: str, line: str, cell: str):
        if name in TIMING:
            self.notebook.execute(cell, f"<%%{name}>")

    def system(self, line: str) -> None:
        """Start no program."""

    def getoutput(self, line: str) -> list[str]:
        return []


def _without_options(line: str) -> str:
    """The code of `%timeit -n 10 -q f(x)`."""
    return re.sub(r"\A\s*(?:-[nr] *\d+\s+|-[a-zA-Z]+\s+)*", "", line)


def _do_nothing(*args, **kwargs) -> None:
    """Stand in for `display`, `check` and `hint`: nobody sees their output here."""


def _failing_case(task_id: str) -> tuple:
    raise LookupError(f"no failing case of {task_id!r} is known here.")


def hide_checking() -> None:
    """Replace the module from which sheets import `check` and `hint`, because the real one holds the answers."""
    stand_in = types.ModuleType("exercise_checks")
    stand_in.check = stand_in.hint = _do_nothing
    stand_in.failing_case = _failing_case
    sys.modules["exercise_checks"] = stand_in
