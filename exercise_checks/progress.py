"""What a learner has done so far: one small database in the course's folder, written by `check`.

It is kept on this computer only, and can be deleted at any time.
"""

import errno
import os
import sqlite3
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import NamedTuple

from exercise_checks import tasks

VARIABLE = "COURSE_PROGRESS"  # in the environment: another path for the file; empty keeps nothing
PATIENCE = 3.0  # seconds to wait for another notebook that is writing
TABLE = "CREATE TABLE IF NOT EXISTS tasks (id TEXT PRIMARY KEY, passed TEXT NOT NULL, tries INTEGER NOT NULL)"
# The first pass is the last try that counts.
ONE_TRY = """
    INSERT INTO tasks VALUES (:id, :passed, 1)
    ON CONFLICT (id) DO UPDATE SET passed = :passed, tries = tries + 1 WHERE passed = ''
"""


class Entry(NamedTuple):
    """What is known of one task: the day it was passed (or ""), and how often it was tried until then."""

    passed: str = ""
    tries: int = 0


def file() -> Path | None:
    """Return where progress is kept, or None where nothing is to be kept."""
    chosen = os.environ.get(VARIABLE, Path(__file__).resolve().parent.parent / "progress.sqlite3")
    return Path(chosen) if chosen else None


def load() -> dict[str, Entry]:
    """Return the entries by task id. A file that cannot be read counts as not there.

    >>> isinstance(load(), dict)
    True
    """
    return _read()[0]


def record(task_id: str, passed: bool) -> str:
    """Note one try. Return "" or one sentence that says what could not be kept; never raise for that.

    Two notebooks may do this at once. What cannot be written changes nothing in the file.
    """
    path = file()
    notebook = Path(os.environ.get("JPY_SESSION_NAME", ""))  # which JupyterLab tells the kernel
    if path is None or notebook.parent.name == "solutions":  # a solution that is run for reading earns nothing
        return ""
    try:
        with closing(_connect(path, "rwc")) as connection, connection:
            connection.execute("BEGIN IMMEDIATE")  # nobody else writes from here to the end
            connection.execute(TABLE)
            connection.execute(ONE_TRY, {"id": task_id, "passed": date.today().isoformat() if passed else ""})
    except (sqlite3.Error, OSError) as error:
        return f"Your progress could not be noted in {path.name} ({error}). The verdict above stands all the same."
    return ""


def _read() -> tuple[dict[str, Entry], str]:
    """Return the entries, and a sentence if there is a file that cannot be read."""
    path = file()
    try:
        if path is None or not path.exists():
            return {}, ""
        with closing(_connect(path, "rw")) as connection:
            begun = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'tasks'").fetchone()
            rows = connection.execute("SELECT id, passed, tries FROM tasks") if begun else ()
            return {task_id: Entry(*rest) for task_id, *rest in rows}, ""
    except (sqlite3.Error, OSError) as error:
        return {}, f"The file {path.name} with your progress cannot be read ({error})."


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "not an ordinary file", str(path))
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", timeout=PATIENCE, isolation_level=None, uri=True)


class Line(NamedTuple):
    """One sheet's progress: checks passed, checks in all, minutes of work left."""

    sheet: str
    passed: int
    total: int
    minutes: int

    @property
    def time(self) -> str:
        return f"{self.minutes} minutes left" if self.minutes else "done"


def lines() -> list[Line]:
    """Return one line per sheet, in the course's order."""
    passed, found = _passed(), []
    for sheet in tasks.SHEETS:
        of_sheet = tasks.of_sheet(sheet)
        left = [task.minutes for task in of_sheet if task.id not in passed]
        found.append(Line(sheet, len(of_sheet) - len(left), len(of_sheet), sum(left)))
    return found


def next_task() -> tasks.Task | None:
    """Return the first task, in the course's order, that is not passed yet; None when all are."""
    passed = _passed()
    return next((task for task in tasks.every() if task.id not in passed), None)


def _passed() -> set[str]:
    return {task_id for task_id, entry in load().items() if entry.passed}


def report() -> str:
    """Return what is done, what is next, and the minutes left, as text for a terminal.

    >>> report().splitlines()[0].startswith("01_corr2d")
    True
    """
    rows = [f"{line.sheet:<22}{line.passed:>3} of {line.total}   {line.time}" for line in lines()]
    return "\n".join([*rows, _what_is_left("exercises/{0}.ipynb")])


def table() -> str:
    """Return the same as Markdown, for the map: its links lead from `notebooks/` to the sheets.

    >>> table().splitlines()[0]
    '| sheet | checks passed | time |'
    """
    link = "[{0}](../exercises/{0}.ipynb)"
    rows = [f"| {link.format(line.sheet)} | {line.passed} of {line.total} | {line.time} |" for line in lines()]
    return "\n".join(["| sheet | checks passed | time |", "|---|---|---|", *rows, "", _what_is_left(link)])


def _what_is_left(link: str) -> str:
    """The sentence below the sheets; `link` is how a sheet is referred to."""
    coming, (_, trouble) = next_task(), _read()
    if coming is None:
        return "All tasks are done."
    minutes = sum(line.minutes for line in lines())
    where = link.format(tasks.sheet_of(coming))
    return f"Next: {coming.title}, in {where}. {minutes} minutes left in all. {trouble}".strip()
