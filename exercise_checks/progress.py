"""What a learner has done so far: one small database in the course's folder, written by `check`.

It is kept on this computer only, and can be deleted at any time.
"""

import errno
import json
import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import NamedTuple

from exercise_checks import tasks

VARIABLE = "COURSE_PROGRESS"
"""Environment variable with another path for the file; empty: keep nothing."""
PATIENCE = 3.0  # seconds to wait for another notebook that is writing
TABLE = "CREATE TABLE IF NOT EXISTS tasks (id TEXT PRIMARY KEY, passed TEXT NOT NULL, tries INTEGER NOT NULL)"


@dataclass
class Entry:
    """What is known of one task: the day it was passed (or ""), and how often it was tried before."""

    passed: str = ""
    tries: int = 0


def file() -> Path | None:
    """Return where progress is kept, or None where nothing is to be kept."""
    chosen = os.environ.get(VARIABLE)
    if chosen is None:
        return Path(__file__).resolve().parent.parent / "progress.sqlite3"
    if chosen.endswith(".json"):  # chosen when progress was a JSON file
        return Path(chosen).with_suffix(".sqlite3")
    return Path(chosen) if chosen else None


def load() -> dict[str, Entry]:
    """Return the entries by task id. A file that cannot be read counts as not there.

    >>> isinstance(load(), dict)
    True
    """
    return _look()[0]


def record(task_id: str, passed: bool) -> str:
    """Note one try. Return "" or one sentence that says what could not be kept; never raise for that.

    Two notebooks may do this at once. What cannot be written changes nothing in the file.
    """
    path = file()
    if path is None or _reads_a_solution():
        return ""
    try:
        with closing(_connect(path, "rwc")) as connection, connection:
            connection.execute("BEGIN IMMEDIATE")  # nobody else writes from here to the end
            entries, trouble = _read(connection, path)
            entry = entries.setdefault(task_id, Entry())
            if not entry.passed:
                entry.tries += 1
                entry.passed = date.today().isoformat() if passed else ""
            rows = [(key, entry.passed, entry.tries) for key, entry in entries.items()]
            connection.execute(TABLE)
            connection.executemany("INSERT OR REPLACE INTO tasks VALUES (?, ?, ?)", rows)
    except (sqlite3.Error, OSError) as error:
        return f"Your progress could not be noted in {path.name} ({error}). The verdict above stands all the same."
    return trouble


def _reads_a_solution() -> bool:
    """A solution that is run for reading earns nothing. JupyterLab tells the kernel which notebook it serves."""
    return Path(os.environ.get("JPY_SESSION_NAME", "")).parent.name == "solutions"


def _look() -> tuple[dict[str, Entry], str]:
    """Return the entries, and a sentence if there is a file that cannot be read."""
    path = file()
    try:
        if path is None or not path.exists():
            return _read_json(path) if path else ({}, "")
        with closing(_connect(path, "rw")) as connection:
            return _read(connection, path)
    except (sqlite3.Error, OSError) as error:
        return {}, f"The file {path.name} with your progress cannot be read ({error})."


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "not an ordinary file", str(path))
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", PATIENCE, isolation_level=None, uri=True)


def _read(connection: sqlite3.Connection, path: Path) -> tuple[dict[str, Entry], str]:
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'tasks'").fetchone():
        return _read_json(path)
    return {key: Entry(*rest) for key, *rest in connection.execute("SELECT id, passed, tries FROM tasks")}, ""


def _read_json(path: Path) -> tuple[dict[str, Entry], str]:
    """What an earlier version of the course has noted beside `path`; it is taken over once, and stays as it is."""
    old = path.with_suffix(".json")
    try:
        return {key: _entry(**found) for key, found in json.loads(old.read_bytes())["tasks"].items()}, ""
    except FileNotFoundError:
        return {}, ""
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}, f"What is noted in {old.name} cannot be read: it is not as `check` wrote it."


def _entry(passed: str = "", tries: int = 0, **of_another_version) -> Entry:
    if type(passed) is not str or type(tries) is not int:
        raise TypeError("no entry")
    return Entry(passed, tries)


class Line(NamedTuple):
    """One sheet's progress: checks passed, checks in all, minutes of work left."""

    sheet: str
    passed: int
    total: int
    minutes: int


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
    return {key for key, entry in load().items() if entry.passed}


def report() -> str:
    """Return what is done, what is next, and the minutes left, as text for a terminal.

    >>> report().splitlines()[0].startswith("01_corr2d")
    True
    """
    return _written("{0.sheet:<22}{0.passed:>3} of {0.total}   {1}", "exercises/{}.ipynb")


def table() -> str:
    """Return the same as Markdown, for the map: its links lead from `notebooks/` to the sheets.

    >>> table().splitlines()[0]
    '| sheet | checks passed | time |'
    """
    row = "| [{0.sheet}](../exercises/{0.sheet}.ipynb) | {0.passed} of {0.total} | {1} |"
    head = "| sheet | checks passed | time |\n|---|---|---|\n"
    return head + _written(row, "[{0}](../exercises/{0}.ipynb)", space="\n")


def _written(row: str, place: str, space: str = "") -> str:
    found, coming, (_, trouble) = lines(), next_task(), _look()
    rows = [row.format(line, f"{line.minutes} minutes left" if line.minutes else "done") for line in found]
    if coming is None:
        end = "All tasks are done."
    else:
        minutes = sum(line.minutes for line in found)
        where = place.format(tasks.sheet_of(coming))
        end = f"Next: {coming.title}, in {where}. {minutes} minutes left in all. {trouble}".strip()
    return "\n".join([*rows, space + end])
