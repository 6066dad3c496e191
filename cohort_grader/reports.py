"""Write the reports: a table for a learning platform, JSON for programs, pages for learners and for the instructor.

Whatever a learner wrote is escaped and cut to a maximum length, and no page can run a script. Equal marks give equal
files.
"""

import csv
import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cohort_grader.marks import PASSED, UNWRITTEN, WRONG, Mark, TaskMark
from cohort_grader.page import render
from cohort_grader.sandbox.levels import Limits
from cohort_grader.submissions import readable
from course_utils.files import write_then_rename

if TYPE_CHECKING:
    from exercise_checks.tasks import Task

# The columns of `nbgrader export`, in its order.
NBGRADER = (
    *("assignment", "duedate", "timestamp", "student_id", "last_name", "first_name", "email"),
    *("raw_score", "late_submission_penalty", "score", "max_score"),
)
FORMULAS = ("=", "+", "-", "@")
LONGEST_FLAG = 300
STATES = {"passed": "passed", "wrong": "not yet", "unwritten": "not written"}  # as learners read them
LONGEST_NAME, MOST_NAME_BYTES = 80, 200  # most systems allow 255 bytes, and the temporary file's name is longer
RESERVED = ("con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10)))


@dataclass(frozen=True)
class Entry:
    """A mark, and the time of the submission if it is known."""

    mark: Mark
    timestamp: str = ""


def write(out: Path, sheet: str, seed: int, entries: Sequence[Entry]) -> None:
    """Write all reports into the folder `out`: grades.csv, grades.json, index.html and feedback/.

    Args:
        entries: sorted by learner.
    """
    (out / "feedback").mkdir(exist_ok=True)
    for entry in entries:
        write_then_rename(out / "feedback" / page_name(entry.mark.learner), feedback(entry.mark, sheet))
    write_then_rename(out / "index.html", overview(sheet, [entry.mark for entry in entries]))
    write_then_rename(out / "grades.json", as_json(sheet, seed, entries))
    write_then_rename(out / "grades.csv", as_csv(sheet, entries))


def page_name(learner: str) -> str:
    """Return the file name of a learner's page: valid on every system, and unique to the learner.

    >>> page_name("doe, jane"), page_name("../../etc")
    ('doe, jane.html', '_.._etc-74ccf3c5.html')
    """
    safe = "".join(c if c.isalnum() or c in " ._-,()@+'" else "_" for c in learner)[:LONGEST_NAME]
    safe = safe.encode()[:MOST_NAME_BYTES].decode(errors="ignore").strip(". ")
    if safe and safe == learner and safe.partition(".")[0].lower() not in RESERVED:
        return f"{safe}.html"
    return f"{safe or 'learner'}-{hashlib.sha256(learner.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}.html"


# ---------------------------------------------------------------------------------------------------------
# Tables
# ---------------------------------------------------------------------------------------------------------


def as_csv(sheet: str, entries: Iterable[Entry]) -> str:
    """Return grades.csv: nbgrader's columns, then one per task with the points earned, then `flags`."""
    entries = list(entries)
    ids = [task.id for task in _tasks(sheet, [entry.mark for entry in entries])]
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow([*NBGRADER, *ids, "flags"])
    for entry in entries:
        mark, flags = entry.mark, "; ".join(flag[:LONGEST_FLAG] for flag in entry.mark.flags)
        person = [sheet, "", entry.timestamp, _harmless(mark.learner), "", "", ""]
        points = [task.points for task in mark.tasks]
        table.writerow([*person, mark.points, 0, mark.points, mark.worth, *points, _harmless(flags)])
    return text.getvalue()


def _tasks(sheet: str, marks: Sequence[Mark]) -> Sequence["TaskMark | Task"]:
    """A sheet's tasks, taken from a mark if there is one: reading them from the course would import torch."""
    if marks:
        return marks[0].tasks
    from exercise_checks import tasks

    return tasks.of_sheet(sheet)


def _harmless(text: str) -> str:
    """Put an apostrophe before text that a spreadsheet would otherwise compute as a formula."""
    text = readable(text)
    return f"'{text}" if text.startswith(FORMULAS) else text


def as_json(sheet: str, seed: int, entries: Iterable[Entry]) -> str:
    """Return grades.json. It contains the seed of the secret cases, so it is for the instructor only."""
    learners = [
        asdict(e.mark) | {"score": e.mark.points, "max_score": e.mark.worth, "timestamp": e.timestamp} for e in entries
    ]
    grades = {"sheet": sheet, "seed": seed, "limits": asdict(Limits()), "learners": learners}
    return json.dumps(grades, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


# ---------------------------------------------------------------------------------------------------------
# Pages
# ---------------------------------------------------------------------------------------------------------


def feedback(mark: Mark, sheet: str) -> str:
    """Return a learner's page. It names only the kinds of the secret cases, and has no flags."""
    tasks = [_card(task) for task in mark.tasks]
    return render("feedback.html.j2", sheet=sheet, mark=mark, tasks=tasks, limits=limits_in_words(Limits()))


def _card(task: TaskMark) -> dict:
    """One task on a learner's page. Each number of `yours` is paired with whether it differs from the target."""
    yours = [[(a, a != b) for a, b in zip(*rows, strict=True)] for rows in zip(task.yours, task.target, strict=True)]
    return {
        "title": task.title,
        "kind": _kind(task),
        "state": STATES[_kind(task)],
        "points": task.points,
        "worth": task.worth,
        "lines": task.message.splitlines() if task.state == WRONG else [],  # for the other states the heading is enough
        "target": [[(number, False) for number in row] for row in task.target],
        "yours": yours,
    }


def _kind(task: TaskMark) -> str:
    """The class of a task's card and cell in the style sheet."""
    return {PASSED: "passed", UNWRITTEN: "unwritten"}.get(task.state, "wrong")


def limits_in_words(limits: Limits) -> str:
    """Return one sentence with the limits for each submission."""
    size = {name: _size(value) for name, value in asdict(limits).items() if name.endswith("_bytes")}
    task = f"{limits.seconds_per_task:g} s per task" if limits.seconds_per_task else "a time limit for each task"
    return (
        f"Limits: {limits.total_seconds:g} s in total, {limits.seconds_per_cell:g} s per cell, {task}; "
        f"{size['memory_bytes']} of memory in addition to the libraries, {limits.threads} threads, "
        f"{size['scratch_bytes']} of files, {size['reply_bytes']} per answer."
    )


def _size(count: int) -> str:
    return f"{count / (1 << 30):g} GiB" if count >= 1 << 30 else f"{count / (1 << 20):g} MiB"


def overview(sheet: str, marks: Sequence[Mark]) -> str:
    """Return the instructor's page: the points, the mistakes in each task, and the submissions to review."""
    isolations = Counter((mark.level, mark.missing) for mark in marks if mark.level)
    return render(
        "overview.html.j2",
        sheet=sheet,
        worth=marks[0].worth if marks else 0,
        mean=f"{sum(mark.points for mark in marks) / max(len(marks), 1):.1f}",
        learners=[_row(mark) for mark in marks],
        tasks=[_task_statistics(task, index, marks) for index, task in enumerate(_tasks(sheet, marks))],
        isolations=[(level, missing, count) for (level, missing), count in sorted(isolations.items())],
        limits=limits_in_words(Limits()),
    )


def _row(mark: Mark) -> dict:
    """One learner on the instructor's page."""
    return {
        "name": mark.learner,
        "page": page_name(mark.learner),
        "points": mark.points,
        "tasks": [_cell(task) for task in mark.tasks],
        "flags": [flag[:LONGEST_FLAG] for flag in mark.flags],
    }


def _cell(task: TaskMark) -> dict:
    kind = _kind(task)
    sign = {"passed": f"✓ {task.points}", "wrong": f"✗ {task.points}", "unwritten": "–"}[kind]
    return {"kind": kind, "sign": sign, "hover": task.misconception or task.state}


def _task_statistics(task: "TaskMark | Task", index: int, marks: Sequence[Mark]) -> dict:
    """How all learners did on one task, the sheet's task number `index`."""
    of_task = [mark.tasks[index] for mark in marks]
    return {
        "id": task.id,
        "title": task.title,
        "worth": task.worth if marks else task.points,
        "passed": sum(t.state == PASSED for t in of_task),
        "unwritten": sum(t.state == UNWRITTEN for t in of_task),
        "mistakes": Counter(t.misconception for t in of_task if t.misconception).most_common(4),
    }
