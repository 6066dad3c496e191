"""Cells run statement by statement; one that hangs, or ends its process, costs only what follows in it."""

import sys

import pytest

from cohort_grader.cells import Notebook
from cohort_grader.sandbox.pool import Limits, WorkerPool
from exercise_checks.running.observing import Case, FailureKind

LIMITS = Limits(seconds_per_cell=1, seconds_per_task=1)


@pytest.fixture
def notebook(monkeypatch):
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])  # a notebook takes its place
    return Notebook()


@pytest.fixture(scope="module")
def pool():
    with WorkerPool(LIMITS) as pool:
        yield pool


def test_every_statement_is_named_before_it_runs(notebook):
    begun = []
    cell = "import math\ndef f():\n    return 1\nx = f()\n1 / 0\ny = 2"
    failure = notebook.run(0, cell, None, lambda number: begun.append((number, "x" in notebook.names)))
    assert (failure.error, failure.line) == ("ZeroDivisionError", "line 5: `1 / 0`")
    assert begun == [(0, False), (1, False), (2, False), (3, True)]
    assert "y" not in notebook.names


def test_the_first_statements_can_be_run_alone(notebook):
    assert notebook.run(0, "a = 1\nb = 2\nwhile True: pass", 2, lambda number: None) is None
    assert (notebook.names["a"], notebook.names["b"]) == (1, 2)


def test_a_cell_that_cannot_be_read_defines_nothing_and_its_line_is_named(notebook):
    failure = notebook.run(0, "a = 1\ndef (:", None, lambda number: None)
    assert (failure.error, failure.line) == ("SyntaxError", "line 2: `def (:`")
    assert "a" not in notebook.names


def test_what_is_imported_from_the_future_holds_for_later_cells(notebook):
    assert notebook.run(0, "from __future__ import annotations", None, lambda number: None) is None
    assert notebook.run(1, "def f(x: nothing_of_this_name): pass", None, lambda number: None) is None


@pytest.mark.parametrize("end", ["while True: pass", "import os; os._exit(3)", "import time\ntime.sleep(60)"])
def test_what_a_cell_defined_before_it_ended_counts(pool, end):
    kind = FailureKind.ENDED if "_exit" in end else FailureKind.TIME_UP
    cells = ["x = 1", f"def f(a):\n    return a + x\nx = 40\n{end}\nx = 7", "y = x"]
    with pool.open(cells, "ann") as worker:
        outcomes = worker.run()
        assert [outcome.ok for outcome in outcomes] == [True, False, True]
        assert outcomes[1].failure.kind is kind
        assert [seen.value for seen in worker.observe("f", "call", [Case("two", (2,))], 5)] == [42]


@pytest.mark.parametrize(
    "end",
    [
        "class Bad:\n    while True: pass",
        "def slow(g):\n    while True: pass\n@slow\ndef h(): pass",
        "def h(x=[0 for _ in iter(int, 1)]): pass",
        "import hangs",
    ],
)
def test_a_definition_that_hangs_costs_only_itself(pool, end):
    module = "import sys\nsys.path.append('.')\nopen('hangs.py', 'w').write('while True: pass')"
    with pool.open([module, f"def f(a):\n    return a\n{end}"], "ann") as worker:
        worker.run()
        assert worker.observe("f", "call", [Case("two", (2,))], 5)[0].value == 2


def test_a_timed_cell_is_run_like_any_other(pool):
    cells = ["%%time\ndef f(a):\n    return 1 / (a - 2)\nwhile True: pass", "%%time\nb = 1\nb = 2"]
    with pool.open(cells, "ann") as worker:
        worker.run()
        seen = worker.observe("f", "call", [Case("three", (3,)), Case("two", (2,))], 5)
        assert seen[0].value == 1
        assert seen[1].failure.line == "line 3: `return 1 / (a - 2)`"


@pytest.mark.parametrize("line", ["%timeit -n 10 -q x = 1", "%time s = 'a  b'; assert len(s) == 4"])
def test_a_timed_line_runs_without_its_options(notebook, line):
    assert notebook.run(0, line, None, lambda number: None) is None


def test_a_call_that_hangs_is_no_end_that_needs_a_reason(pool):
    cells = ["def f(a):\n    while True: pass\ndef g(a):\n    return a"]
    with pool.open(cells, "ann") as worker:
        [seen] = worker.observe("f", "call", [Case("two", (2,))] * 2, 5)
        assert (seen.failure.kind, seen.failure.words) == (FailureKind.TIME_UP, "1")
        assert worker.ended is None
        assert worker.observe("g", "call", [Case("two", (2,))], 5)[0].value == 2
