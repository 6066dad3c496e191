"""Three sheets in one JupyterLab: a learner errs, reads, stops what never ends, solves all of it, and is counted."""

import re

import lab
import nbformat
from mistakes import ENDLESS, SHEETS

from exercise_checks import tasks

LESSONS = {
    "01_corr2d": "1 · One loop: cross-correlation",
    "04_channels": "4 · Channels: many pictures in, many pictures out",
    "09_transposed_conv": "9 · Painting: transposed convolution",
}


def solved(sheet):
    """What a learner who solves the sheet writes, by the name of its task: the solution without its two marks."""
    cells = nbformat.read(lab.ROOT / "solutions" / f"{sheet}.ipynb", as_version=4).cells
    code = {cell.id: cell.source.splitlines() for cell in cells}
    return {
        task.id: "\n".join(line for line in code[task.id] if line.strip()[:4] != "### ")
        for task in tasks.of_sheet(sheet)
    }


def open_sheet(journey, sheet):
    """As a learner does: from the map by way of the lesson."""
    journey.follow(LESSONS[sheet], f"notebooks/{sheet}.ipynb")
    return journey.follow(f"sheet {int(sheet[:2])}", f"exercises/{sheet}.ipynb")


def try_out(notebook, task, code, asks=""):
    """Write an answer and run it; then its check, followed by a question where somebody is stuck."""
    notebook.write(task, code)
    notebook.run(task)
    notebook.write(f"{task}-check", f'check("{task}", {task})\n{asks}')
    notebook.run(f"{task}-check")


def err(journey, notebook, sheet):
    for number, mistake in enumerate(SHEETS[sheet]):
        with journey.step(f"{sheet}, mistake {number} in {mistake.task}"):
            try_out(notebook, mistake.task, mistake.code, mistake.asks)
            notebook.says(f"{mistake.task}-check", "Not yet.")
            report = notebook.says(f"{mistake.task}-check", mistake.says)
            if mistake.asks:
                notebook.says(f"{mistake.task}-check", mistake.answers)
            assert report.get_by_text("Passed").count() == 0
    with journey.step(f"{sheet}: the last card can be read"):
        journey.look(f"{sheet}-card", report)


def stop(journey, notebook, sheet):
    endless, begun = ENDLESS[sheet], journey.server.course / "exercises" / "begun"
    check = f"{endless.task}-check"
    with journey.step(f"{sheet}: the stop button ends a check, and nothing else"):
        notebook.write(endless.task, endless.code)
        notebook.run(endless.task)
        notebook.write(check, f'check("{endless.task}", {endless.task})')
        begun.unlink(missing_ok=True)
        notebook.stop(check, begun)
        notebook.says(check, endless.says)
        notebook.write(check, "kept")
        notebook.run(check)
        notebook.says(check, "['everything', 'else']")


def solve(journey, notebook, sheet):
    for task, code in solved(sheet).items():
        with journey.step(f"{sheet}: {task} is solved"):
            try_out(notebook, task, code)
            notebook.says(f"{task}-check", f"Passed: {tasks.find(task).title}.")
    assert notebook.errors() == []


def test_three_sheets_are_erred_in_and_solved(journey):
    with journey.step("the map"):
        journey.page.goto(journey.server.address())
        lab.Notebook(journey.page, "notebooks/00_start_here.ipynb")
    for sheet in SHEETS:
        with journey.step(f"{sheet}: from the map to the sheet"):
            notebook = open_sheet(journey, sheet)
            notebook.run("setup")
        err(journey, notebook, sheet)
        stop(journey, notebook, sheet)
        solve(journey, notebook, sheet)
        with journey.step(f"{sheet}: the map counts it"):
            start = journey.follow("The map", "notebooks/00_start_here.ipynb")
            start.run("progress-see")
            whole = len(tasks.of_sheet(sheet))
            counted = start.output("progress-see").get_by_role("row").filter(has_text=sheet)
            counted.get_by_text(f"{whole} of {whole}").wait_for()
    assert start.errors() == []
    journey.look("progress", start.output("progress-see"))
    said = re.findall(r"(?m)^(\w+) +([1-9]\d*) of", journey.server.python("-m", "exercise_checks", "progress"))
    assert said == [(sheet, str(len(tasks.of_sheet(sheet)))) for sheet in SHEETS]
