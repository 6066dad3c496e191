"""Grading around the walls: reading folders, marking, reports, and batches that are killed and started again."""

import contextlib
import copy
import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cohort_grader import batch, marking, marks, reports
from cohort_grader.__main__ import main
from cohort_grader.batch import Batch, Refused
from cohort_grader.forbidden import Source, search
from cohort_grader.marks import PASSED, UNWRITTEN, WRONG, Mark, TaskMark
from cohort_grader.reports import Entry
from cohort_grader.sandbox import levels
from cohort_grader.sandbox.pool import CellOutcome, Ending, EndingKind, WorkerPool
from cohort_grader.submissions import MOST_BYTES, Submission, Unreadable, cells_of, collect
from exercise_checks import tasks
from exercise_checks.judging import cases_of
from exercise_checks.running.observing import Case, Failure, FailureKind, Observation, observe
from exercise_checks.tasks.calls import CONVOLUTIONS

ROOT = Path(__file__).resolve().parents[2]
SHEET = "01_corr2d"
LEARN_LATER = "def learn_kernel(X, Y, kernel_size):\n    raise NotImplementedError"  # right, it takes seconds
RIGHT = (
    "def corr2d(X, K):\n    return sum((X.unfold(0, K.shape[0], 1).unfold(1, K.shape[1], 1) * K).flatten(2).unbind(2))"
)
FLIPPED = RIGHT.replace("* K)", "* K.flip(0, 1))")
STRONG_LEVEL = levels.levels()[0]
needs_strong = pytest.mark.skipif(not STRONG_LEVEL.holds, reason=" ".join(STRONG_LEVEL.missing))
needs_links = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs links and pipes in the file system")


def notebook(changes=None, without=()) -> dict:
    """The solved sheet, but for the slow task, with the source of some cells changed."""
    found = copy.deepcopy(solved())
    changes = {"learn_kernel": LEARN_LATER} | (changes or {})
    found["cells"] = [cell for cell in found["cells"] if cell["id"] not in without]
    for cell in found["cells"]:
        cell["source"] = changes.get(cell["id"], cell["source"])
    return found


def solved() -> dict:
    return json.loads((ROOT / "solutions" / f"{SHEET}.ipynb").read_text(encoding="utf-8"))


def cells(changes=None, without=()) -> tuple[str, ...]:
    return cells_of(json.dumps(notebook(changes, without)).encode())


def save(path: Path, content=None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content if content is not None else notebook()), encoding="utf-8")
    return path


def tiny(source="x = 1") -> dict:
    return {"nbformat": 4, "cells": [{"cell_type": "code", "source": source}]}


def handed_in(folder, sheet=SHEET) -> dict:
    return {s.learner: s.problem or s.cells for s in collect(folder, sheet)}


# ---------------------------------------------------------------------------------------------------------
# Reading folders
# ---------------------------------------------------------------------------------------------------------


def test_flat_files_give_one_submission_each(tmp_path):
    for name in ("ada.ipynb", f"grace_{SHEET}.ipynb", "Emmy Noether.IPYNB", "sofia.ipynb.txt"):
        save(tmp_path / name, tiny(name))
    save(tmp_path / ".hidden.ipynb", tiny())
    (tmp_path / "list.csv").write_text("no notebook", encoding="utf-8")
    assert handed_in(tmp_path) == {
        "ada": ("ada.ipynb",),
        "Emmy Noether": ("Emmy Noether.IPYNB",),
        "grace": (f"grace_{SHEET}.ipynb",),
        "sofia": ("sofia.ipynb.txt",),
    }


def test_a_folder_per_learner(tmp_path):
    save(tmp_path / "one" / "anything.ipynb", tiny("one"))
    save(tmp_path / "named" / f"{SHEET}.ipynb", tiny("named"))
    save(tmp_path / "named" / "scratch.ipynb", tiny("no"))
    save(tmp_path / "again" / f"{SHEET} (1).ipynb", tiny("again"))
    save(tmp_path / "again" / ".ipynb_checkpoints" / f"{SHEET}.ipynb", tiny("no"))
    save(tmp_path / "deep" / "a" / "b" / f"{SHEET}.ipynb", tiny("deep"))
    save(tmp_path / "two" / "a.ipynb", tiny())
    save(tmp_path / "two" / "b.ipynb", tiny())
    (tmp_path / "none").mkdir()
    found = handed_in(tmp_path)
    assert {name: found[name] for name in ("one", "named", "again", "deep")} == {
        name: (name,) for name in ("one", "named", "again", "deep")
    }
    assert found["none"] == f"There is no notebook for {SHEET}."
    assert found["two"] == "2 notebooks could be the submission: a.ipynb, b.ipynb. Keep only one."


@pytest.mark.parametrize("above", ["", "submitted"])
def test_nbgraders_folders(tmp_path, above):
    root = tmp_path / above
    save(root / "ada" / SHEET / f"{SHEET}.ipynb", tiny("right"))
    save(root / "ada" / "02_filters" / "02_filters.ipynb", tiny("another sheet"))
    stamp = root / "ada" / SHEET / "timestamp.txt"
    stamp.write_text("2026-11-20 15:58:23.948203 UTC\n", encoding="utf-8")
    save(root / "grace" / "02_filters" / "02_filters.ipynb", tiny("another sheet"))
    save(root / "emmy" / SHEET / "renamed.ipynb", tiny("renamed"))
    ada, emmy, grace = collect(tmp_path, SHEET)
    assert (ada.cells, ada.timestamp) == (("right",), "2026-11-20 15:58:23.948203 UTC")
    assert emmy.cells == ("renamed",)
    assert grace.problem == f"There is no notebook for {SHEET}."


@needs_links
def test_no_link_and_no_pipe_is_followed(tmp_path):
    secret = save(tmp_path / "secret" / "secret.ipynb", tiny("secret"))
    folder = tmp_path / "submissions"
    save(folder / "good.ipynb", tiny("good"))
    (folder / "file.ipynb").symlink_to(secret)
    (folder / "folder").symlink_to(secret.parent)
    (folder / "inner").mkdir()
    (folder / "inner" / f"{SHEET}.ipynb").symlink_to(secret)
    (folder / "way").mkdir()
    (folder / "way" / SHEET).symlink_to(secret.parent)
    os.mkfifo(folder / "pipe.ipynb")
    (folder / "stamp").mkdir()
    save(folder / "stamp" / "a.ipynb", tiny("stamp"))
    (folder / "stamp" / "timestamp.txt").symlink_to(secret)
    found = handed_in(folder)
    assert found == {
        "file": "The notebook is a link; links are not followed.",
        "folder": "The folder is a link; links are not followed.",
        "good": ("good",),
        "inner": "The notebook is a link; links are not followed.",
        "pipe": "The notebook is not a regular file.",
        "stamp": ("stamp",),
        "way": f"There is no notebook for {SHEET}.",
    }


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not allow such names")
def test_odd_file_names_stay_apart_and_printable(tmp_path):
    names = [
        b"a\nb",
        b"a\\x0ab",
        b"\xff\xfe",
        b"; rm -rf ~",
        b"=1+1",
        b"\xe2\x80\xaegpj",
        b"A",
        b"a",
        b"x" * 240,
    ]
    for name in names:
        path = os.path.join(os.fsencode(tmp_path), name + b".ipynb")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(tiny(), file)
    found = [s.learner for s in collect(tmp_path, SHEET)]
    assert len({name.casefold() for name in found}) == len(names)
    assert all(name.isprintable() and len(name) <= 110 for name in found)
    assert len({reports.page_name(name).casefold() for name in found}) == len(names)


def test_same_names_are_told_apart(tmp_path):
    save(tmp_path / "ada.ipynb", tiny("file"))
    save(tmp_path / "ada" / "a.ipynb", tiny("folder"))
    save(tmp_path / f"ada_{SHEET}.ipynb", tiny("sheet"))
    found = handed_in(tmp_path)
    assert sorted(found.values()) == [("file",), ("folder",), ("sheet",)]


OLD = {"nbformat": 3, "worksheets": [{"cells": [{"cell_type": "code", "input": ["a = 1\n", "a"]}]}, {"cells": []}]}


@pytest.mark.parametrize(
    ("content", "sources"),
    [
        (OLD, ("a = 1\na",)),
        ({"cells": [{"cell_type": "code", "source": ["a\n", 3, "b"]}]}, ("a\nb",)),
        ({"cells": [{"cell_type": "code"}, {"cell_type": "markdown", "source": "x"}, 7, {}]}, ("",)),
        ({"cells": []}, ()),
    ],
)
def test_old_and_bare_notebooks_are_read(content, sources):
    assert cells_of(json.dumps(content).encode()) == sources
    assert cells_of(b"\xef\xbb\xbf" + json.dumps(content).encode()) == sources
    assert cells_of(json.dumps(content).encode("utf-16")) == sources


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b'{"cells": [{"cell_ty', "cut off"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "not a notebook"),
        (b"PK\x03\x04" + bytes(100), "not a notebook"),
        (b"[]", "no cells"),
        (b'{"cells": {"a": 1}}', "no cells"),
        (b'{"worksheets": [1, {"cells": 2}]}', None),
        (b"[" * 100_000, "nested"),
        (b'{"a":' * 100_000, "nested"),
        (b"[" * 3_000_000, "parts"),
        (b"1" * 10_000, "not a notebook"),
        (json.dumps(tiny("x" * 400_000)).encode(), "characters"),
        (json.dumps({"cells": [{"cell_type": "code", "source": ""}] * 1001}).encode(), "code cells"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_broken_notebooks_have_a_reason(data, reason):
    if reason is None:
        assert cells_of(data) == ()
    else:
        with pytest.raises(Unreadable, match=reason):
            cells_of(data)


def test_a_huge_file_is_not_read_whole(tmp_path):
    with open(tmp_path / "huge.ipynb", "wb") as file:
        file.truncate(50 * MOST_BYTES)
    assert handed_in(tmp_path) == {"huge": "The notebook is larger than 20 MB. Clear its outputs."}


@given(
    st.binary(max_size=300)
    | st.text(max_size=300).map(lambda t: json.dumps({"cells": [t, {"cell_type": "code"}]}).encode())
)
def test_any_bytes_are_cells_or_a_reason(data):
    with contextlib.suppress(Unreadable):  # and nothing else
        assert all(type(source) is str for source in cells_of(data))


# ---------------------------------------------------------------------------------------------------------
# Forbidden calls
# ---------------------------------------------------------------------------------------------------------

START = "import torch.nn.functional as F, torch\nfrom torch import nn\nfrom course_utils import ops"


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("def f(X):\n    return F.conv2d(X, X)", ["F.conv2d (code cell 2, line 2)"]),
        ("f = torch.nn.functional.conv2d", ["torch.nn.functional.conv2d (code cell 2, line 1)"]),
        ("class f(nn.Module):\n    g = nn.Conv2d(1, 1, 3)", ["nn.Conv2d (code cell 2, line 2)"]),
        ("from torch.nn.functional import conv2d as c\n\ndef f(X):\n    return c(X)", ["c (code cell 2, line 4)"]),
        ("from torch.nn.functional import *\ndef f(X):\n    return conv2d(X)", ["conv2d (code cell 2, line 3)"]),
        ("def helper(X):\n    return F.conv2d(X)\ndef f(X):\n    return helper(X)", ["F.conv2d (code cell 2, line 2)"]),
        ("c = F.conv2d\nf = lambda X: c(X)", ["F.conv2d (code cell 2, line 1)"]),
        ("def f(X):\n    return getattr(F, 'conv2d')(X)", ["F.conv2d (code cell 2, line 2)"]),
        ("%matplotlib inline\nx = !ls\nhelp?\ndef f(X):\n    return F.conv2d(X)", ["F.conv2d (code cell 2, line 5)"]),
        ("import course_utils.ops as o\ndef f(X):\n    return o.corr2d(X)", ["o.corr2d (code cell 2, line 3)"]),
        ("class f: pass\nf.forward = lambda self, X: F.conv2d(X)", ["F.conv2d (code cell 2, line 2)"]),
        ("def f(X):\n    return F.pad(X.unfold(0, 1, 1))", []),
        ("def other(X):\n    return F.conv2d(X)\ndef f(X):\n    return X", []),
        ("def conv2d(X):\n    return X\ndef f(X):\n    return conv2d(X)", []),
        ("class f:\n    def conv2d(self): ...\n    def forward(self):\n        self.conv2d()", []),
        ("def f(X):\n    return 'F.conv2d'  # F.conv2d", []),
        ("def f(X:\n    return F.conv2d", []),
        ("f = " + "-" * 100_000 + "1", []),
        ("f = '\\d' is 1", []),
    ],
)
def test_a_forbidden_call_is_found_with_its_line(source, found):
    assert Source([START, source]).uses("f", CONVOLUTIONS | {"ops.*"}) == found


@pytest.mark.parametrize(
    "source",
    [
        " " * 290_000 + "x",
        "if 1:\n    " + " ".join(f"a{n} = 1;" for n in range(15_000)) + "\n    f = F.conv2d",
        "\n".join(["f = x" + ".x" * 900] * 30),
    ],
    ids=["spaces", "one_statement_with_many_names", "long_names"],
)
@pytest.mark.timeout(100)  # a second or two; with a search that looks at all names once for each of them, an hour
def test_a_search_ends_whatever_the_source(source):
    assert set(search([source], {name: ["conv2d"] for name in "fgh"})) <= {"f"}


def test_an_argument_can_be_forbidden():
    assert Source(["f = lambda X: F.conv2d(X, groups=2)"]).uses("f", frozenset({"groups="})) == [
        "groups= (code cell 1, line 1)"
    ]


def test_what_a_task_forbids_are_names_that_can_be_found():
    for task in tasks.every():
        assert type(task.forbids) is frozenset
        for name in task.forbids:
            assert re.fullmatch(r"\w+|\w+\.\w+|\w+\.\*|\w+=", name), (task.id, name)
    assert tasks.find("corr2d").forbids == CONVOLUTIONS | {"ops.*", "layers.*"}
    assert tasks.find("learn_kernel").forbids == CONVOLUTIONS


def existing_sheets() -> list[str]:
    return [sheet for sheet in tasks.SHEETS if (ROOT / "solutions" / f"{sheet}.ipynb").exists()]


@pytest.mark.parametrize("sheet", existing_sheets())
def test_no_solution_uses_what_its_task_forbids(sheet):
    source = Source(cells_of((ROOT / "solutions" / f"{sheet}.ipynb").read_bytes()))
    for task in tasks.of_sheet(sheet):
        assert source.uses(task.id, task.forbids) == []


# ---------------------------------------------------------------------------------------------------------
# Marking: with a pool that has no walls, or with made-up answers
# ---------------------------------------------------------------------------------------------------------


class Bench:
    """A pool for honest code, in this process; `answers` stands for what a hostile worker might send instead."""

    level, missing = "none", ("Everything.",)

    def __init__(self, answers=None):
        self.answers = answers or {}
        self.opened = 0

    @contextlib.contextmanager
    def open(self, cells, name):
        self.opened += 1
        yield BenchWorker(cells, self.answers)

    def close(self):
        pass


class BenchWorker:
    ended = None

    def __init__(self, cells, answers):
        self.cells, self.answers, self.names = cells, answers, {"check": lambda *_: None}

    def search(self, forbidden):
        return search(self.cells, forbidden)

    def run(self):
        outcomes = []
        for index, cell in enumerate(self.cells):
            try:
                exec(cell.replace("from exercise_checks import check, failing_case, hint", ""), self.names)
                outcomes.append(CellOutcome(index, True, None))
            except Exception as error:
                failure = Failure(FailureKind.RAISED, str(error), error=type(error).__name__)
                outcomes.append(CellOutcome(index, False, failure))
        return outcomes

    def observe(self, entry, use, cases, seconds):
        if entry in self.answers:
            return self.answers[entry](cases)
        if entry not in self.names:
            return [Observation(failure=Failure(FailureKind.UNUSABLE, f"Nothing called `{entry}` is defined."))]
        return observe(use, self.names[entry], cases, seconds)


def marked(changes=None, without=(), answers=None, seed=1) -> Mark:
    return marking.mark(Bench(answers), Submission("ada", cells(changes, without)), SHEET, seed)


def by_id(mark: Mark) -> dict[str, TaskMark]:
    return {task.id: task for task in mark.tasks}


def test_right_wrong_and_unwritten_tasks():
    mark = marked({"corr2d": FLIPPED})
    assert {t.id: (t.points, t.state) for t in mark.tasks} == {
        "corr2d": (0, WRONG),
        "answer_sizes": (2, PASSED),
        "breaks_corr2d": (1, PASSED),
        "mended_corr2d": (1, PASSED),
        "Conv2D": (3, PASSED),
        "learn_kernel": (0, UNWRITTEN),
    }
    assert (mark.points, mark.worth) == (7, 13)
    assert (mark.level, mark.missing, mark.flags, mark.cells) == ("none", ("Everything.",), (), ())


def test_the_diagnosis_is_that_of_check():
    wrong = by_id(marked({"corr2d": FLIPPED}))["corr2d"]
    assert wrong.misconception == "flipped"
    assert wrong.message.startswith("Your kernel is flipped: this is convolution.")
    assert "expected 19, got 5" in wrong.message
    assert wrong.target == (("19", "25"), ("37", "43"))
    assert wrong.yours == (("5", "11"), ("23", "29"))


def test_a_deleted_check_and_a_cell_that_raises_cost_nothing_else():
    mark = marked({"answer_sizes": "1 / 0"}, without=("corr2d-check", "Conv2D-check"))
    assert mark.points == 13 - 3 - 2
    assert [s for s in mark.cells if "ZeroDivisionError" in s] == [
        "Code cell 3 raised ZeroDivisionError: division by zero"
    ]
    assert "Nothing called `answer_sizes` is defined." in by_id(mark)["answer_sizes"].message


def test_a_passing_submission_needs_one_worker_and_a_failing_one_two():
    for changes, count in (({}, 1), ({"corr2d": FLIPPED, "Conv2D": "class Conv2D: pass"}, 2)):
        bench = Bench()
        marking.mark(bench, Submission("ada", cells(changes)), SHEET, 1)
        assert bench.opened == count


def test_a_problem_is_a_mark_without_points():
    mark = marking.mark(Bench(), Submission("ada", problem="The file is empty."), SHEET, 1)
    assert (mark.points, mark.worth, mark.problem, mark.flags) == (0, 13, "The file is empty.", ("The file is empty.",))


def telling(act: str) -> str:
    """Right on all public cases, and on the secret ones does `act`."""
    known = f"PUBLIC = {[float(case.args[0].double().sum()) for case in cases_of(tasks.find('corr2d'), 0)]}\n"
    test = "    if any(abs(float(X.double().sum()) - p) < 1e-9 for p in PUBLIC):\n"
    right = "        return F.conv2d(X[None, None], K[None, None])[0, 0]\n"
    return f"{known}def corr2d(X, K):\n{test}{right}    {act}\n"


@pytest.mark.parametrize(
    "act",
    [
        "raise ValueError(str(X.flatten().tolist()))",
        "raise type('E' + '_'.join(str(int(x)) for x in X.flatten()), (Exception,), {})('x')",
        "print(X); return X.flatten()",
        "return str(X.tolist())",
        "return X * 1000",
        "return {str(X.tolist()): X}",
        "raise NotImplementedError(str(X))",
        "exec(compile(f'raise KeyError({X.tolist()})', 'x', 'exec'))",
    ],
)
def test_nothing_of_a_secret_case_reaches_the_page(act):
    mark = marked({"corr2d": telling(act)})
    wrong = by_id(mark)["corr2d"]
    assert (wrong.points, wrong.target, wrong.yours) == (0, (), ())
    X, _ = cases_of(tasks.find("corr2d"), marking.secret_seed(1, "corr2d"))[1].args
    told = "\n".join(line for line in wrong.message.splitlines() if act.partition("(")[0] not in line)
    for number in (n for n in X.flatten().tolist() if abs(n) > 3):
        assert not re.search(rf"(?<!\d){int(number)}(?!\d)", told)
    if "NotImplementedError" not in act:
        assert wrong.message.startswith(
            "Correct on the cases that `check` uses, but not on other cases of the same kinds.\nOn "
        )


def test_a_line_of_the_submission_is_named_on_a_secret_case():
    message = by_id(marked({"corr2d": telling("return X[100]")}))["corr2d"].message
    assert "it raised IndexError" in message


@pytest.mark.parametrize(
    ("act", "told"),
    [
        ("return", "it returned None; a `return` statement may be missing"),
        ("return X", "the shape is wrong"),
        ("return right(X, K).double() * 7", "the dtype is wrong"),
        ("return right(X, K) * 7", "the answer is wrong"),
        ("return right(X, K).tolist()", "the answer is wrong"),
        ("Y = right(X.data, K.data); X *= 0; return Y", "the values are right, but an argument was changed"),
        ("return right(X, K.data)", "the values are right, but no gradient flows back to an argument"),
        ("return right(X.data + 0 * X, K)", "the values are right, but a gradient is wrong"),
        ("return torch.tensor(right(X, K).numpy())", "but it fails with inputs that require gradients"),
    ],
)
def test_of_a_secret_case_the_kind_of_fault_is_told(act, told):
    source = f"def right(X, K):\n    return F.conv2d(X[None, None], K[None, None])[0, 0]\n{telling(act)}"
    assert told in by_id(marked({"corr2d": source}))["corr2d"].message


def failing(failure):
    return lambda cases: [Observation(failure=failure) for _ in cases]


HOSTILE = {
    "changed": lambda cases: [Observation(torch.zeros(2, 2), changed=(99, "no"))] * len(cases),
    "none": lambda cases: [],
    "kinds": failing(Failure(FailureKind.RAISED, "x", "line 1: `import os`", "E" * 500)),
    "gradients": lambda cases: [Observation(torch.zeros(2, 2), gradients={"X": {}, 5: 1})] * len(cases),
    "nan": lambda cases: [Observation(torch.full((2, 2), float("nan")))] * len(cases),
    "deep": lambda cases: [Observation({"a": ({"b": (1,) * 50},)})] * len(cases),
    "unusable": failing(Failure(FailureKind.UNUSABLE, "1 2 3 4")),
    "late": failing(Failure(FailureKind.TIME_UP, "5")),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_an_answer_made_to_break_the_judge_costs_its_own_task(name):
    mark = marked(answers={"corr2d": HOSTILE[name]})
    assert by_id(mark)["corr2d"].points == 0
    assert mark.points == 13 - 3 - 3
    assert reports.feedback(mark, SHEET)


@pytest.mark.parametrize("broken", [lambda cases: [Observation(torch.zeros(2, 2), changed=(99,))] * len(cases)])
def test_what_cannot_be_compared_is_flagged(broken, monkeypatch):
    def stumble(*_):
        raise IndexError

    monkeypatch.setattr(marking, "diagnose", stumble)
    mark = marked(answers={"corr2d": broken})
    assert mark.points == 0
    assert "corr2d: comparing the answer raised IndexError" in mark.flags


@pytest.mark.parametrize("size", [(700, 700), (1 << 40, 0)])
def test_an_answer_too_large_to_compute_with_is_not_judged(size):
    """Of two matrices like these the judge would compute a cross-correlation for hours."""
    large = torch.zeros(size)
    mark = marked(answers={"breaks_corr2d": lambda cases: [Observation((torch.ones(1400, 1400), large))]})
    assert mark.points == 9
    assert mark.flags == ("breaks_corr2d: comparing the answer raised OverflowError",)
    assert "too large" in by_id(mark)["breaks_corr2d"].message


def test_a_judge_that_hangs_is_stopped():
    """Nothing that comes back can make it hang; should it all the same, its process ends, and the batch goes on."""
    code = """
import threading
from cohort_grader import marking
marking.JUDGING, marking.diagnose = 0.2, lambda *_: threading.Event().wait(100)
marking._judge(None, (), ())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=90)
    assert done.returncode == 1
    assert done.stderr.startswith("Timeout (0:00:00.200000)!")


def test_what_cannot_be_searched_is_flagged(monkeypatch):
    monkeypatch.setattr(BenchWorker, "search", lambda *_: None)
    mark = marked()
    assert (mark.points, mark.flags) == (10, (marking.NOT_SEARCHED,))


UNREADABLE = "its reply was not readable."


@pytest.mark.parametrize(
    ("ended", "told"),
    [
        (Ending.of(83), "it exited by itself."),
        (Ending.of(-signal.SIGUSR2), "it was ended by a signal."),
        (Ending(EndingKind.UNREADABLE, "its reply was not readable: 1000252 bytes are announced."), UNREADABLE),
        (Ending(EndingKind.UNREADABLE, "its reply was not readable: a tensor of shape (7, 3)."), UNREADABLE),
        (Ending.of(-signal.SIGSEGV), "it was ended by SIGSEGV (memory that is not its own was touched)."),
        (
            Ending(EndingKind.STOPPED, "it was stopped: it had to be restarted too often."),
            "it was stopped: it had to be restarted too often.",
        ),
    ],
)
def test_the_end_of_a_process_carries_no_number_to_the_page(ended, told, monkeypatch):
    monkeypatch.setattr(BenchWorker, "ended", ended)
    answers = {"corr2d": failing(Failure(FailureKind.ENDED, ended.words))}
    message = by_id(marked(answers=answers))["corr2d"].message
    assert message == f"While this task was graded, the process ended: {told}"


@pytest.mark.parametrize("line", ["line 12345: `x = 1`", "line \u0661: `x = 1`", "line 2: `x = 1`"])
def test_a_line_that_does_not_stand_there_in_the_notebook_is_not_told(line):
    told = marking._raised(Failure(FailureKind.RAISED, "", line, "ValueError"), ["\n\nx = 1"])
    assert told == "it raised ValueError"
    assert "line 1" in marking._raised(Failure(FailureKind.RAISED, "", "line 1: `x = 1`", ""), ["\n\nx = 1"])


def test_addresses_in_memory_do_not_reach_the_page():
    mark = marked({"corr2d": "def corr2d(X, K):\n    raise ValueError(object())"})
    assert "<object object at 0x…>" in by_id(mark)["corr2d"].message


def test_forbidden_calls_are_flagged_and_cost_no_points():
    mark = marked({"corr2d": "def corr2d(X, K):\n    return F.conv2d(X[None, None], K[None, None])[0, 0]"})
    assert by_id(mark)["corr2d"].points == 3
    assert mark.flags == ("corr2d: uses F.conv2d (code cell 2, line 2)",)


def test_seeds_make_other_cases_and_never_the_public_ones():
    task = tasks.find("corr2d")
    seeds = {marking.secret_seed(seed, "corr2d") for seed in range(200)}
    assert len(seeds) == 200
    assert 0 not in seeds
    first, second = (cases_of(task, marking.secret_seed(seed, "corr2d"))[1].args[0] for seed in (0, 1))
    assert not torch.equal(first, second)


def test_marks_survive_the_way_to_text_and_back():
    mark = marked({"corr2d": FLIPPED, "setup": "1 / 0"})
    assert marks.from_json(marks.to_json(mark)) == mark


# ---------------------------------------------------------------------------------------------------------
# Reports
# ---------------------------------------------------------------------------------------------------------

NASTY = "</style><script>alert(1)</script><img src=x onerror=alert(1)>\"'&`\u202e\x00\ud800"


def nasty_mark(text=NASTY, problem=False) -> Mark:
    tables = ((text,),), ((text,),)
    wrong = [TaskMark(t.id, t.title, 0, t.points, WRONG, text, text, *tables) for t in tasks.of_sheet(SHEET)]
    return Mark(text, tuple(wrong), text if problem else "", (text,), (text,), text, (text,))


class Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.attributes = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]


def read_page(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    return reader


@given(st.text(min_size=1, max_size=200) | st.just(NASTY), st.booleans())
def test_a_learners_text_stays_text(text, problem):
    for write in (lambda mark: reports.feedback(mark, SHEET), lambda mark: reports.overview(SHEET, [mark])):
        honest, hostile = (read_page(write(nasty_mark(words, problem))) for words in ("a", text))
        assert set(hostile.tags) <= {*honest.tags, "code", "p"}
        assert set(hostile.attributes) <= set(honest.attributes)


def test_pages_forbid_scripts_and_need_nothing_from_elsewhere():
    for text in (reports.feedback(nasty_mark(), SHEET), reports.overview(SHEET, [nasty_mark()])):
        assert "default-src 'none'" in text
        found = read_page(text)
        assert not {"script", "img", "link", "iframe", "object"} & set(found.tags)
        assert not any(name.startswith("on") or name == "src" for name in found.attributes)


def test_the_learners_page_holds_no_flags_and_no_seed():
    mark = Mark("ada", marked().tasks, flags=("corr2d: uses F.conv2d",), level="strong")
    assert "F.conv2d" not in reports.feedback(mark, SHEET)
    assert "F.conv2d" in reports.overview(SHEET, [mark])


def test_every_report_names_level_and_limits():
    mark = Mark("ada", marked().tasks, level="weak", missing=("The network can be reached.",))
    for text in (reports.feedback(mark, SHEET), reports.overview(SHEET, [mark])):
        assert "weak" in text
        assert "The network can be reached." in text
        assert "120 s in total" in text
    found = json.loads(reports.as_json(SHEET, 1, [Entry(mark)]))
    assert found["learners"][0]["level"] == "weak"
    assert found["limits"]["total_seconds"] == 120


def test_the_table_begins_with_nbgraders_columns():
    rows = list(csv.reader(io.StringIO(reports.as_csv(SHEET, [Entry(marked({"corr2d": FLIPPED}), "2026-11-20")]))))
    assert ",".join(rows[0]).startswith(
        "assignment,duedate,timestamp,student_id,last_name,first_name,email,raw_score,late_submission_penalty,score,max_score,"
    )
    assert rows[0][11:] == [*(task.id for task in tasks.of_sheet(SHEET)), "flags"]
    row = dict(zip(rows[0], rows[1], strict=True))
    assert (row["student_id"], row["score"], row["max_score"], row["corr2d"], row["timestamp"]) == (
        *("ada", "7", "13", "0"),
        "2026-11-20",
    )


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "a,b\n=1", '"; x'])
def test_no_cell_of_the_table_is_a_formula(name):
    rows = list(csv.reader(io.StringIO(reports.as_csv(SHEET, [Entry(nasty_mark(name))]))))
    assert len(rows) == 2
    assert len(rows[0]) == len(rows[1])
    assert not any(field.startswith(("=", "+", "-", "@")) for field in rows[1])


@given(st.lists(st.text(min_size=1, max_size=60), min_size=2, max_size=2, unique_by=str.casefold))
def test_page_names_are_plain_and_differ(names):
    pages = [reports.page_name(name) for name in names]
    assert pages[0].casefold() != pages[1].casefold()
    for name in pages:
        assert not re.search(r'[/\\:*?"<>|\x00-\x1f]', name)
        assert not name.startswith(".")
        assert len(name) <= 110


@pytest.mark.parametrize("name", ["CON", "nul.txt", "..", "", "a.", "a/../b", "lpt1"])
def test_names_that_a_system_reserves_are_changed(name):
    assert re.search(r"-[0-9a-f]{8}\.html$", reports.page_name(name))


@pytest.mark.parametrize("name", ["\U00010428" * 62, "x" * 100])
def test_a_page_with_a_long_name_can_be_written(name, tmp_path):
    (tmp_path / "feedback").mkdir()
    reports.write(tmp_path, SHEET, 1, [Entry(nasty_mark(name))])
    assert [path.name for path in (tmp_path / "feedback").iterdir()] == [reports.page_name(name)]


def test_tables_mark_where_they_differ():
    task = TaskMark("corr2d", "Two loops", 0, 3, WRONG, "", "", (("1", "2"),), (("1", "3"),))
    assert reports.feedback(Mark("ada", (task,)), SHEET).count('class="off"') == 1


# ---------------------------------------------------------------------------------------------------------
# Batches, with real workers
# ---------------------------------------------------------------------------------------------------------


def cohort(folder: Path) -> Path:
    """Seven learners whose submissions take no long time."""
    variants = {
        "ada": {},
        "boole": {"corr2d": FLIPPED},
        "curie": {"corr2d": "def corr2d(X, K):\n    return 1 / 0"},
        "darwin": {"mended_corr2d": "import os\ndef mended_corr2d(X, K):\n    os._exit(3)"},
        "euler": {"setup": "import torch"},
        "faraday": {"corr2d": "def corr2d(X, K):\n    return F.conv2d(X[None, None], K[None, None])[0, 0]"},
    }
    for name, changes in variants.items():
        save(folder / f"{name}.ipynb", notebook(changes))
    (folder / "gauss.ipynb").write_bytes(b'{"cells": [')
    return folder


def reports_in(out: Path) -> dict[str, bytes]:
    files = [path for path in out.rglob("*") if path.is_file() and batch.KEPT not in path.parts]
    return {str(path.relative_to(out)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """A cohort, and its reports when nothing interrupts."""
    root = tmp_path_factory.mktemp("graded")
    folder = cohort(root / "in")
    marks = batch.grade(Batch(folder, SHEET, root / "out", seed=7, jobs=2, allow_weak=True))
    return folder, root / "out", marks


def test_a_cohort_gets_its_due_marks(graded):
    _, out, marks = graded
    assert {mark.learner: mark.points for mark in marks} == {
        **{"ada": 10, "boole": 7, "curie": 7, "darwin": 9, "faraday": 10, "gauss": 0},
        "euler": by_id(marks[4])["answer_sizes"].points + 1 + 3 + 1,
    }
    assert set(reports_in(out)) == {"grades.csv", "grades.json", "index.html"} | {
        os.path.join("feedback", f"{mark.learner}.html") for mark in marks
    }
    assert json.loads((out / "grades.json").read_text(encoding="utf-8"))["seed"] == 7


def test_a_second_start_marks_only_what_changed(graded, tmp_path, monkeypatch):
    folder, out, _ = graded
    shutil.copytree(folder, tmp_path / "in")
    shutil.copytree(out, tmp_path / "out")
    asked = []
    graded_before = batch._side_by_side
    monkeypatch.setattr(
        batch, "_side_by_side", lambda b, requests, done: asked.extend(requests) or graded_before(b, requests, done)
    )
    batch.grade(Batch(tmp_path / "in", SHEET, tmp_path / "out", jobs=1, allow_weak=True))
    assert asked == []
    assert reports_in(tmp_path / "out") == reports_in(out)
    save(tmp_path / "in" / "curie.ipynb", notebook())
    save(tmp_path / "in" / "late.ipynb", notebook())
    marks = batch.grade(Batch(tmp_path / "in", SHEET, tmp_path / "out", jobs=1, allow_weak=True))
    assert [json.loads(request)["learner"] for request in asked] == ["curie", "late"]
    assert [mark.points for mark in marks if mark.learner in ("curie", "late")] == [10, 10]


def test_marks_that_were_cut_off_are_made_anew_and_are_the_same(graded, tmp_path):
    folder, out, _ = graded
    shutil.copytree(out, tmp_path / "out")
    for path in (tmp_path / "out" / batch.KEPT).glob("?" * 64 + ".json"):
        path.write_bytes(path.read_bytes()[:50])
    batch.grade(Batch(folder, SHEET, tmp_path / "out", jobs=1, allow_weak=True))
    assert reports_in(tmp_path / "out") == reports_in(out)


def command(folder: Path, out: Path, *more: str) -> list[str]:
    start = [sys.executable, "-m", "cohort_grader", str(folder), "--sheet", SHEET, "--out", str(out)]
    return [*start, "--seed", "7", "--jobs", "2", "--allow-weak-isolation", *more]


def descendants(process: int) -> set[int]:
    """The process and all that come from it, by /proc."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(status.parent.name)] = int(status.read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
    found = {process}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def alive(processes: set[int]) -> set[int]:
    states = {}
    for process in processes:
        try:
            states[process] = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            continue
    return {process for process, state in states.items() if state != "Z"}


def wait_for_the_end_of(processes: set[int], seconds=60):
    until = time.monotonic() + seconds
    while alive(processes) and time.monotonic() < until:
        time.sleep(0.05)
    assert alive(processes) == set()


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_killed_at_any_moment_it_goes_on_and_ends_the_same(graded, tmp_path):
    folder, whole, _ = graded
    out, started = tmp_path / "out", set()
    for marks_before_the_kill in (0, 2):
        process = subprocess.Popen(command(folder, out), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        patience = time.monotonic() + 300
        kept = lambda: len(list((out / batch.KEPT).glob("?" * 64 + ".json")))  # noqa: E731
        while kept() < marks_before_the_kill and process.poll() is None and time.monotonic() < patience:
            time.sleep(0.01)
        started |= descendants(process.pid)
        process.kill()
        process.wait()
    wait_for_the_end_of(started)
    ended = subprocess.run(command(folder, out), cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "7 submissions graded, 3 flagged for review" in ended.stdout
    assert reports_in(out) == reports_in(whole)


def grading(*words) -> subprocess.Popen:
    """The command, started in a process group of its own, as in a terminal."""
    pipes = dict.fromkeys(("stdout", "stderr"), subprocess.PIPE)
    return subprocess.Popen(command(*words), cwd=ROOT, start_new_session=True, text=True, **pipes)


def commands(processes: set[int]) -> dict[int, str]:
    """What each process that is still there was started as; one that was forked is what it was forked from."""
    found = {}
    for process in processes:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found[process] = Path(f"/proc/{process}/cmdline").read_text().replace("\0", " ")
    return found


def started_as(word: str, process: int) -> set[int]:
    """The children of a process that were started with this word in their command."""
    children = {int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()}
    return {child for child, words in commands(children).items() if word in words}


def wait_until(holds, process: subprocess.Popen, seconds=120):
    until = time.monotonic() + seconds
    while not (found := holds()) and process.poll() is None and time.monotonic() < until:
        time.sleep(0.005)
    return found


@needs_strong
def test_the_libraries_are_imported_twice_however_many_jobs_there_are(graded, tmp_path):
    """Once for all that run submissions, and once for all that judge; whoever started these needs no torch."""
    with grading(graded[0], tmp_path / "out") as process:
        seen, with_torch, preloaded, threads = set(), set(), set(), set()
        while process.poll() is None:
            running = commands(descendants(process.pid))
            seen |= set(running)
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                preloaded |= started_as("worker.preload(", process.pid)
                for server in started_as("forkserver", process.pid):
                    if started_as("forkserver", server):  # it has forked
                        threads.add(len(os.listdir(f"/proc/{server}/task")))
                for number, words in running.items():
                    if "libtorch_cpu" in Path(f"/proc/{number}/maps").read_text():
                        with_torch.add(words)
        assert process.stderr.read() == ""
    assert len(preloaded) == 1
    assert threads == {1}
    assert sorted("worker.preload(" in words for words in with_torch) == [False, True]
    assert not any("-m cohort_grader" in words for words in with_torch)
    wait_for_the_end_of(seen)


def test_the_environment_is_as_it_was_when_processes_have_been_prepared(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    before = dict(os.environ)
    batch._context()
    assert dict(os.environ) == before


@needs_strong
@pytest.mark.parametrize("marks_before", [0, 2])
def test_when_the_shared_process_dies_all_marks_are_right(graded, tmp_path, marks_before):
    folder, whole, _ = graded
    kept = tmp_path / "out" / batch.KEPT
    with grading(folder, tmp_path / "out") as process:
        assert wait_until(lambda: started_as("worker.preload(", process.pid), process)
        wait_until(lambda: len(list(kept.glob("?" * 64 + ".json"))) >= marks_before, process)
        for number in started_as("worker.preload(", process.pid):
            os.kill(number, signal.SIGKILL)
        assert process.wait(300) == 0
        assert process.stderr.read() == ""
    assert reports_in(tmp_path / "out") == reports_in(whole)


@needs_strong
def test_stopped_by_ctrl_c_it_says_so_and_leaves_nothing_running(graded, tmp_path):
    kept = tmp_path / "out" / batch.KEPT
    with grading(graded[0], tmp_path / "out") as process:
        wait_until(lambda: len(list(kept.glob("?" * 64 + ".json"))) >= 2, process)
        started = descendants(process.pid)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(60) == 130
        assert process.stderr.read() == "Stopped. Run the same command again to resume.\n"
    wait_for_the_end_of(started)


def deadly(request: str) -> str:
    """As `batch.grade_one`, but that one learner's submission ends the grader's own process."""
    if json.loads(request)["learner"] == "boole":
        os._exit(9)
    return batch.grade_one(request)


def test_a_submission_that_kills_the_grader_kills_no_other_mark(graded, tmp_path, monkeypatch):
    folder, _, undisturbed = graded
    submissions = tmp_path / "in"
    for name in ("ada", "boole"):
        save(submissions / f"{name}.ipynb", json.loads((folder / f"{name}.ipynb").read_text(encoding="utf-8")))
    submit = batch.ProcessPoolExecutor.submit
    monkeypatch.setattr(batch.ProcessPoolExecutor, "submit", lambda self, _, request: submit(self, deadly, request))
    marks = batch.grade(Batch(submissions, SHEET, tmp_path / "out", seed=7, jobs=2, allow_weak=True))
    assert [mark.points for mark in marks] == [10, 0]
    assert "failed twice" in marks[1].problem
    monkeypatch.undo()  # and the next start tries it again
    marks = batch.grade(Batch(submissions, SHEET, tmp_path / "out", jobs=1, allow_weak=True))
    assert marks == undisturbed[:2]


def test_a_grader_that_cannot_work_says_so_and_marks_nobody(graded, tmp_path, monkeypatch):
    folder, _, _ = graded
    submit = batch.ProcessPoolExecutor.submit
    monkeypatch.setattr(batch.ProcessPoolExecutor, "submit", lambda self, _, request: submit(self, helpless, request))
    with pytest.raises(Refused, match="No worker can be prepared: a file is missing"):
        batch.grade(Batch(folder, SHEET, tmp_path / "out", seed=7, jobs=1, allow_weak=True))
    assert reports_in(tmp_path / "out") == {}


def helpless(request: str) -> str:
    def cannot(imports):
        raise RuntimeError("No worker can be prepared: a file is missing.")

    batch._pool = cannot
    return batch.grade_one(request)


def test_a_pool_that_is_gone_is_replaced(monkeypatch):
    ends = iter([RuntimeError("the process that starts them is gone"), None])
    opened = []

    def mark(pool, submission, sheet, seed):
        opened.append(pool)
        if error := next(ends):
            raise error
        return marking.ungraded("ada", sheet, "-")

    monkeypatch.setattr(marking, "mark", mark)
    monkeypatch.setattr(batch, "_pools", {})
    monkeypatch.setattr(batch, "_pool", lambda imports: batch._pools.setdefault(imports, Bench()))
    request = batch._request(Batch(Path("in"), SHEET, Path("out"), allow_weak=True), Submission("ada"), 1)
    with pytest.raises(RuntimeError):
        batch.grade_one(request)
    assert marks.from_json(batch.grade_one(request)).learner == "ada"
    assert opened[0] is not opened[1]


@pytest.mark.skipif(find_spec("distributed") is None, reason='needs Dask: pip install "convolution-course[grade]"')
@pytest.mark.filterwarnings("default")  # Dask's own
def test_a_dask_cluster_gives_the_same_grades(graded, tmp_path):
    from dask.distributed import LocalCluster

    folder, whole, _ = graded
    where = {"dashboard_address": None, "local_directory": str(tmp_path)}
    with LocalCluster(n_workers=2, threads_per_worker=2, processes=True, **where) as cluster:
        executor = f"dask={cluster.scheduler_address}"
        batch.grade(Batch(folder, SHEET, tmp_path / "out", seed=7, executor=executor, allow_weak=True))
    assert reports_in(tmp_path / "out") == reports_in(whole)


def test_a_weak_level_is_refused_unless_it_is_allowed(graded, tmp_path, monkeypatch):
    folder, _, _ = graded
    weak = levels.Level(levels.WEAK, True, ("The network can be reached.",))
    monkeypatch.setattr(levels, "strongest", lambda: weak)
    with pytest.raises(Refused, match=r"--allow-weak-isolation(.|\n)*The network can be reached\."):
        batch.grade(Batch(folder, SHEET, tmp_path / "out"))
    assert not (tmp_path / "out" / "grades.csv").exists()


def test_what_cannot_be_graded_as_asked_is_said(graded, tmp_path, capsys):
    folder, out, _ = graded
    refusals = [
        ([str(folder), "--sheet", "99_none", "--out", str(tmp_path)], "got '99_none'"),
        ([str(tmp_path / "none"), "--sheet", SHEET, "--out", str(tmp_path / "out")], "none"),
        ([str(folder), "--sheet", SHEET, "--out", str(folder / "out")], "must not be inside the submissions' folder"),
        (
            [str(folder), "--sheet", "02_filters", "--out", str(out), "--allow-weak-isolation"],
            "holds the grades of 01_corr2d",
        ),
        ([str(folder), "--sheet", SHEET, "--out", str(tmp_path), "--executor", "spark=x"], "must be dask="),
    ]
    for words, sentence in refusals:
        assert main(words) == 2
        assert sentence in capsys.readouterr().err


def test_started_among_the_submissions_it_imports_none_of_them(tmp_path):
    folder = tmp_path / "in"
    save(folder / "ada.ipynb", tiny())
    for name in ("argparse", "filelock", "jinja2", "multiprocessing", "selectors", "socket", "torch", "tqdm"):
        (folder / f"{name}.py").write_text(f"open({str(tmp_path / name)!r}, 'w')", encoding="utf-8")
    words = command(Path(), tmp_path / "out")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    assert {path.name for path in tmp_path.iterdir()} == {"in", "out"}
    assert not (folder / "__pycache__").exists()


def test_two_starts_into_one_folder_are_refused(graded, tmp_path):
    folder, _, _ = graded
    kept = tmp_path / "out" / batch.KEPT
    kept.mkdir(parents=True)
    with batch.FileLock(kept / "lock"), pytest.raises(Refused, match="at this moment"):
        batch.grade(Batch(folder, SHEET, tmp_path / "out", allow_weak=True))


def test_an_empty_folder_gives_empty_reports(tmp_path):
    (tmp_path / "in").mkdir()
    assert batch.grade(Batch(tmp_path / "in", SHEET, tmp_path / "out", allow_weak=True)) == []
    assert "holds no submissions" in (tmp_path / "out" / "index.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def pool_for():
    """Pools of workers as a batch has them for a sheet."""
    with contextlib.ExitStack() as opened:
        known = {}

        def find(sheet):
            imports = batch.imports_of(sheet)
            if imports not in known:
                known[imports] = opened.enter_context(WorkerPool(imports=imports))
            return known[imports]

        yield find


@pytest.mark.parametrize("sheet", existing_sheets())
def test_a_solved_sheet_earns_all_points_and_an_unsolved_one_none(pool_for, sheet):
    handed = {
        folder: cells_of((ROOT / folder / f"{sheet}.ipynb").read_bytes()) for folder in ("solutions", "exercises")
    }
    solved_, unsolved = (
        marking.mark(pool_for(sheet), Submission(name, found), sheet, 5) for name, found in handed.items()
    )
    assert [task.message for task in solved_.tasks if task.state != PASSED] == []
    assert solved_.points == solved_.worth
    assert (solved_.cells, solved_.flags) == ((), ())
    assert [task.state for task in unsolved.tasks] == [UNWRITTEN] * len(unsolved.tasks)
    assert (unsolved.points, unsolved.cells, unsolved.flags) == (0, (), ())


@pytest.mark.parametrize("sheet", existing_sheets())
def test_a_solved_sheet_imports_nothing_that_takes_long(pool_for, sheet):
    """What one needs is imported once for all (`Task.imports`), not by each submission."""
    first, last = "import sys\nbefore = set(sys.modules)", "def late():\n    return sorted({*sys.modules} - before)"
    written = (first, *cells_of((ROOT / "solutions" / f"{sheet}.ipynb").read_bytes()), last)
    with pool_for(sheet).open(written, "ada") as learner:
        learner.run()
        for task in tasks.of_sheet(sheet):
            learner.observe(task.id, task.use, cases_of(task, 5), task.seconds)
        [seen] = learner.observe("late", "call", [Case("")], 5)
    assert len(seen.value) <= 3, seen.value


# ---------------------------------------------------------------------------------------------------------
# The page for instructors
# ---------------------------------------------------------------------------------------------------------

GUIDE = (ROOT / "instructor" / "grading.md").read_text(encoding="utf-8")


def test_the_guide_names_options_that_exist(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    offered = set(re.findall(r"--[a-z][a-z-]+", capsys.readouterr().out))
    assert set(re.findall(r"(?<![-\w])--[a-z][a-z-]+", GUIDE)) <= offered
    assert offered - {"--help"} <= set(re.findall(r"--[a-z][a-z-]+", GUIDE))


def test_the_guides_way_back_to_nbgrader_works(tmp_path, monkeypatch):
    [script] = re.findall(r"```python\n(.*?)```", GUIDE, flags=re.S)
    student = "ada lovelace."  # a name that a page's file cannot have
    save(tmp_path / "submitted" / student / SHEET / f"{SHEET}.ipynb", tiny())
    (tmp_path / "submitted" / student / SHEET / "timestamp.txt").write_text("2026-11-20 10:00:00 UTC", encoding="utf-8")
    (tmp_path / "REPORT").mkdir()
    [submission] = collect(tmp_path, SHEET)
    reports.write(tmp_path / "REPORT", SHEET, 1, [Entry(marking.ungraded(submission.learner, SHEET, "No."))])
    monkeypatch.chdir(tmp_path)
    exec(compile(script, "grading.md", "exec"), {})
    back = tmp_path / "feedback" / student / SHEET
    assert student in (back / f"{SHEET}.html").read_text(encoding="utf-8")
    assert (back / "timestamp.txt").exists()
