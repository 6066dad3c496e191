"""What a learner has done so far: one small file in the course's folder, written by `check`.

It is kept on this computer only, and can be deleted at any time.
"""

import contextlib
import json
import os
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

from filelock import FileLock, Timeout

from course_utils import tasks

VARIABLE = "COURSE_PROGRESS"
"""Environment variable with another path for the file; empty: keep nothing."""


@dataclass
class Entry:
    """What is known of one task: the day it was passed (or ""), and how often it was tried before."""

    passed: str = ""
    tries: int = 0


def file() -> Path | None:
    """Return where progress is kept, or None where nothing is to be kept."""
    chosen = os.environ.get(VARIABLE)
    if chosen is not None:
        return Path(chosen) if chosen else None
    return Path(__file__).resolve().parent.parent / "progress.json"


def load() -> dict[str, Entry]:
    """Return the entries by task id. What cannot be read in the file counts as not there.

    >>> isinstance(load(), dict)
    True
    """
    path = file()
    try:
        return _read(path) if path else {}
    except OSError:  # `record` says so; what only shows progress goes on
        return {}


def record(task_id: str, passed: bool) -> str:
    """Note one try. Return "" or one sentence that says why it could not be kept; never raise for that.

    Two notebooks may do this at once. The file is replaced whole or stays as it was; a file that is no progress file
    (edited by hand, cut off) is kept beside it under another name.
    """
    path = file()
    if path is None or _reads_a_solution():
        return ""
    try:
        with FileLock(f"{path}.lock", timeout=3):
            entries = _read(path, rescue=True)
            entry = entries.setdefault(task_id, Entry())
            if not entry.passed:
                entry.tries += 1
                entry.passed = date.today().isoformat() if passed else ""
            _replace(path, json.dumps({"tasks": {k: asdict(e) for k, e in entries.items()}}, indent=1))
    except (OSError, Timeout) as error:
        return f"Your progress could not be noted in {path.name} ({error}). The verdict above stands all the same."
    return ""


def _reads_a_solution() -> bool:
    """A solution that is run for reading earns nothing. JupyterLab tells the kernel which notebook it serves."""
    return Path(os.environ.get("JPY_SESSION_NAME", "")).parent.name == "solutions"


def _read(path: Path, rescue: bool = False) -> dict[str, Entry]:
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["tasks"]
        return {
            str(key): Entry(str(entry.get("passed", "")), int(entry.get("tries", 0))) for key, entry in found.items()
        }
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        if rescue:
            os.replace(path, path.with_name(f"{path.stem}-unreadable{path.suffix}"))
        return {}


def _replace(path: Path, text: str) -> None:
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        unfinished.write_text(text, encoding="utf-8")
        os.replace(unfinished, path)
    except OSError:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise


@dataclass(frozen=True)
class Line:
    """One sheet's progress: tasks passed, tasks in all, minutes of work left."""

    sheet: str
    passed: int
    total: int
    minutes: int


def lines() -> list[Line]:
    """Return one line per sheet, in the course's order."""
    entries = load()
    return [_line(sheet, [(task, task.id in entries and bool(entries[task.id].passed)) for task in
                          tasks.of_sheet(sheet)]) for sheet in tasks.SHEETS]  # fmt: skip


def _line(sheet, done) -> Line:
    left = sum(task.minutes for task, passed in done if not passed)
    return Line(sheet, sum(passed for _, passed in done), len(done), left)


def next_task() -> tasks.Task | None:
    """Return the first task, in the course's order, that is not passed yet; None when all are."""
    entries = load()
    return next((task for task in tasks.every() if not (task.id in entries and entries[task.id].passed)), None)


def report() -> str:
    """Return what is done, what is next, and the minutes left, as text for a terminal.

    >>> report().splitlines()[0].startswith("01_corr2d")
    True
    """
    rows = [f"{line.sheet:<22}{line.passed:>3} of {line.total}   {_left(line.minutes)}" for line in lines()]
    coming = next_task()
    place = f", in exercises/{tasks.sheet_of(coming)}.ipynb" if coming else ""
    return "\n".join([*rows, _summary(coming, place)])


def table() -> str:
    """Return the same as Markdown, for the map: its links lead from `notebooks/` to the sheets.

    >>> table().splitlines()[0]
    '| sheet | tasks passed | time |'
    """
    rows = ["| sheet | tasks passed | time |", "|---|---|---|"]
    for line in lines():
        link = f"[{line.sheet}](../exercises/{line.sheet}.ipynb)"
        rows.append(f"| {link} | {line.passed} of {line.total} | {_left(line.minutes)} |")
    coming = next_task()
    place = f", in [{tasks.sheet_of(coming)}](../exercises/{tasks.sheet_of(coming)}.ipynb)" if coming else ""
    return "\n".join([*rows, "", _summary(coming, place)])


def _summary(coming: tasks.Task | None, place: str) -> str:
    if coming is None:
        return "All tasks are done."
    left = sum(line.minutes for line in lines())
    return f"Next: {coming.title}{place}. {left} minutes left in all."


def _left(minutes: int) -> str:
    return f"{minutes} minutes left" if minutes else "done"
