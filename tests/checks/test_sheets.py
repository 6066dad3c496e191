"""Every sheet says what its tasks say, and is what its solution gives."""

import ast
import inspect
import json
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import nbformat
import pytest

from exercise_checks import tasks

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "tools" / "sheets.py"
NUMBERS = {5: "five", 6: "six", 7: "seven", 8: "eight", 9: "nine", 10: "ten"}
HOW_TO_WORK = "**How to work.** Replace `raise NotImplementedError` by your own lines"

needs_nbgrader = pytest.mark.skipif(
    find_spec("nbgrader") is None, reason="needs nbgrader: pip install -e .[sheets]; .ci/run does it afterwards"
)


def cells(folder, sheet):
    nb = json.loads((ROOT / folder / f"{sheet}.ipynb").read_text(encoding="utf-8"))
    return {cell["id"]: {**cell, "source": "".join(cell["source"])} for cell in nb["cells"]}


def printed(cell):
    texts = [out.get("text") or out.get("data", {}).get("text/plain", "") for out in cell["outputs"]]
    return "".join("".join(text) for text in texts)


def test_every_sheet_has_its_lesson_its_solution_and_its_tasks():
    for folder in ("exercises", "solutions"):
        assert sorted(path.stem for path in (ROOT / folder).glob("*.ipynb")) == list(tasks.SHEETS)
    assert all((ROOT / "notebooks" / f"{sheet}.ipynb").exists() for sheet in tasks.SHEETS)


@pytest.mark.parametrize("sheet", tasks.SHEETS)
def test_the_lesson_leads_to_its_sheet_and_back(sheet):
    lesson = (ROOT / "notebooks" / f"{sheet}.ipynb").read_text(encoding="utf-8")
    assert f"](../exercises/{sheet}.ipynb)" in lesson
    assert f"](../notebooks/{sheet}.ipynb)" in cells("exercises", sheet)["title"]["source"]


@pytest.mark.parametrize("folder", ["exercises", "solutions"])
@pytest.mark.parametrize("sheet", tasks.SHEETS)
def test_a_sheet_holds_its_tasks_in_the_order_of_their_module(sheet, folder):
    order = [name for name in cells(folder, sheet) if name in {task.id for task in tasks.of_sheet(sheet)}]
    assert order == [task.id for task in tasks.of_sheet(sheet)]


@pytest.mark.parametrize("folder", ["exercises", "solutions"])
@pytest.mark.parametrize("task", tasks.every(), ids=lambda task: task.id)
def test_a_sheet_has_the_cells_of_each_task(task, folder):
    sheet = tasks.sheet_of(task)
    found = cells(folder, sheet)
    missing = {f"{task.id}-task", task.id, f"{task.id}-check"} - set(found)
    assert not missing, f"{folder}/{sheet}.ipynb has no cells with these ids"
    assert task.box in found[f"{task.id}-task"]["source"]
    defined = [node.name for node in ast.parse(found[task.id]["source"]).body if hasattr(node, "name")]
    assert task.id in defined
    check = f'check("{task.id}", {task.id})\n# hint("{task.id}")'
    assert found[f"{task.id}-check"]["source"] == check
    if task.broken:
        assert inspect.getsource(task.broken).strip() in "\n".join(cell["source"] for cell in found.values())


@pytest.mark.parametrize("sheet", tasks.SHEETS)
def test_the_title_adds_up(sheet):
    title = cells("exercises", sheet)["title"]["source"]
    checks, minutes, points = re.search(r"tasks with (\w+) checks, about (\d+) minutes, (\d+) points", title).groups()
    where = f"the title of solutions/{sheet}.ipynb"
    assert checks == NUMBERS[len(tasks.of_sheet(sheet))], where
    assert int(minutes) == sum(task.minutes for task in tasks.of_sheet(sheet)), where
    assert int(points) == sum(task.points for task in tasks.of_sheet(sheet)), where
    assert HOW_TO_WORK in title
    assert cells("exercises", sheet)["setup"]["source"] == cells("exercises", tasks.SHEETS[0])["setup"]["source"]


@pytest.mark.parametrize("task", tasks.every(), ids=lambda task: task.id)
def test_a_solution_passes_and_says_why_and_a_sheet_is_not_written_yet(task):
    sheet = tasks.sheet_of(task)
    solved, unsolved = cells("solutions", sheet), cells("exercises", sheet)
    stored = f"what solutions/{sheet}.ipynb stores; tools/store.py runs it and stores it anew"
    assert printed(solved[f"{task.id}-check"]).strip() == f"Passed: {task.title}.", stored
    assert printed(unsolved[f"{task.id}-check"]).strip() == f"Not written yet: {task.title}."
    assert "NotImplementedError" in unsolved[task.id]["source"]
    assert solved[f"{task.id}-why"]["metadata"]["tags"] == ["why"]
    assert f"{task.id}-why" not in unsolved


@pytest.mark.parametrize("sheet", tasks.SHEETS)
def test_a_sheet_holds_nothing_of_its_solution(sheet):
    unsolved = cells("exercises", sheet).values()
    assert not [cell for cell in unsolved if "SOLUTION" in cell["source"] or cell["metadata"].get("tags")]


# The tool that makes sheets


def toy(tmp_path):
    for folder in ("tools", "solutions", "exercises"):
        (tmp_path / folder).mkdir()
    for name in ("sheets.py", "store.py", "slides.py"):
        shutil.copy(ROOT / "tools" / name, tmp_path / "tools")
    body = "def two():\n    ### BEGIN SOLUTION\n    return 2\n    ### END SOLUTION"
    made = [
        nbformat.v4.new_code_cell(body, id="two"),
        nbformat.v4.new_code_cell("print(two.__name__)", id="see"),
        nbformat.v4.new_markdown_cell("**Why.** One and one.", id="two-why", metadata={"tags": ["why"]}),
    ]
    nb = nbformat.v4.new_notebook(cells=made)
    nb.nbformat_minor = 5
    path = tmp_path / "solutions" / "01_toy.ipynb"
    nbformat.write(nb, path)
    run(tmp_path, "store.py", path)
    return path


def run(tmp_path, tool, *words):
    command = [sys.executable, tmp_path / "tools" / tool, *words]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=300)


@needs_nbgrader
def test_the_sheets_are_what_the_solutions_give():
    done = subprocess.run([sys.executable, TOOL, "--check"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_nbgrader
def test_the_tool_takes_the_solution_out_and_notices_every_change(tmp_path):
    solution = toy(tmp_path)
    assert "is missing in exercises" in run(tmp_path, "sheets.py", "--check").stdout
    made = run(tmp_path, "sheets.py")
    assert made.returncode == 0, made.stderr
    assert run(tmp_path, "sheets.py", "--check").returncode == 0
    sheet = tmp_path / "exercises" / "01_toy.ipynb"
    nb = nbformat.read(sheet, as_version=4)
    assert [cell.id for cell in nb.cells] == ["two", "see"]
    assert nb.cells[0].source == "def two():\n    raise NotImplementedError"
    assert nb.cells[0].metadata.nbgrader.grade_id == "two"
    assert nb.cells[1].outputs[0].text == "two\n"

    before = sheet.read_bytes()
    nb.cells[1].source = "print(2)"
    nbformat.write(nb, sheet)
    changed = run(tmp_path, "sheets.py", "--check")
    assert changed.returncode == 1
    assert "01_toy.ipynb: differs from its solution" in changed.stdout

    sheet.write_bytes(before)
    (tmp_path / "exercises" / "02_lost.ipynb").write_bytes(before)
    assert "02_lost.ipynb: has no solution" in run(tmp_path, "sheets.py", "--check").stdout

    text = solution.read_text(encoding="utf-8")
    solution.write_text(text.replace("    ### END SOLUTION", ""), encoding="utf-8")
    assert run(tmp_path, "sheets.py").returncode != 0
    assert sheet.read_bytes() == before, "a solution that cannot be read must leave the sheet as it was"
