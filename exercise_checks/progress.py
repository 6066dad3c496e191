"""What a learner has done so far: one small file in the course's folder, written by `check`.

It is kept on this computer only, and can be deleted at any time.
"""

import contextlib
import errno
import json
import os
import time
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

from filelock import FileLock, Timeout

from exercise_checks import tasks

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
    return _look()[0]


def _look() -> tuple[dict[str, Entry], str]:
    """Return the entries, and a sentence if there is a file that cannot be read."""
    path = file()
    try:
        return (_read(path) if path else {}), ""
    except (OSError, ValueError) as error:
        return {}, f"The file {path.name} with your progress cannot be read ({error})."


def record(task_id: str, passed: bool) -> str:
    """Note one try. Return "" or one sentence that says what could not be kept; never raise for that.

    Two notebooks may do this at once. The file is replaced whole or stays as it was; a file that is no progress file
    (edited by hand, cut off) is kept beside it under another name.
    """
    path = file()
    if path is None or _reads_a_solution():
        return ""
    try:
        with FileLock(f"{path}.lock", timeout=3):
            entries, trouble = _read_or_set_aside(path)
            entry = entries.setdefault(task_id, Entry())
            if not entry.passed:
                entry.tries += 1
                entry.passed = date.today().isoformat() if passed else ""
            _replace(path, json.dumps({"tasks": {k: asdict(e) for k, e in entries.items()}}, indent=1))
    except (OSError, Timeout) as error:
        return f"Your progress could not be noted in {path.name} ({error}). The verdict above stands all the same."
    return trouble


def _reads_a_solution() -> bool:
    """A solution that is run for reading earns nothing. JupyterLab tells the kernel which notebook it serves."""
    return Path(os.environ.get("JPY_SESSION_NAME", "")).parent.name == "solutions"


def _read_or_set_aside(path: Path) -> tuple[dict[str, Entry], str]:
    """Return the entries, and a sentence if the file had to be moved out of the way."""
    try:
        return _read(path), ""
    except ValueError as error:
        names = (path.with_name(f"{path.stem}-unreadable{n}{path.suffix}") for n in ["", *range(2, 100)])
        aside = next((name for name in names if not name.exists()), None)
        if aside is None:
            raise OSError(f"{error}; and 99 files like it lie beside it") from error
        os.replace(path, aside)
        return {}, f"{path.name} could not be read ({error}): it is now {aside.name}, and a new one was begun."


def _read(path: Path) -> dict[str, Entry]:
    """Return the entries in a file; none where there is no file.

    Raises:
        OSError: the file cannot be opened, or is no ordinary file, such as a folder or a device.
        ValueError: it is no progress file.
    """
    if not path.exists():
        return {}
    if not path.is_file():
        raise OSError(errno.EINVAL, "not an ordinary file", str(path))
    try:
        return {key: _entry(**found) for key, found in json.loads(path.read_bytes())["tasks"].items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError("it is not as `check` writes it") from error


def _entry(passed: str = "", tries: int = 0, **of_another_version) -> Entry:
    if type(passed) is not str or type(tries) is not int:
        raise TypeError("no entry")
    return Entry(passed, tries)


def _replace(path: Path, text: str) -> None:
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        unfinished.write_text(text, encoding="utf-8")
        _rename(unfinished, path)
    except OSError:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise


def _rename(unfinished: Path, path: Path) -> None:
    """Windows refuses while somebody, perhaps a virus scanner, has the old file open. That passes in a moment."""
    for pause in (0.02, 0.05, 0.1, 0.2):
        try:
            os.replace(unfinished, path)
            return
        except PermissionError:
            time.sleep(pause)
    os.replace(unfinished, path)


@dataclass(frozen=True)
class Line:
    """One sheet's progress: checks passed, checks in all, minutes of work left."""

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
    '| sheet | checks passed | time |'
    """
    rows = ["| sheet | checks passed | time |", "|---|---|---|"]
    for line in lines():
        link = f"[{line.sheet}](../exercises/{line.sheet}.ipynb)"
        rows.append(f"| {link} | {line.passed} of {line.total} | {_left(line.minutes)} |")
    coming = next_task()
    place = f", in [{tasks.sheet_of(coming)}](../exercises/{tasks.sheet_of(coming)}.ipynb)" if coming else ""
    return "\n".join([*rows, "", _summary(coming, place)])


def _summary(coming: tasks.Task | None, place: str) -> str:
    _, trouble = _look()
    if coming is None:
        return "All tasks are done."
    left = sum(line.minutes for line in lines())
    return f"Next: {coming.title}{place}. {left} minutes left in all. {trouble}".strip()


def _left(minutes: int) -> str:
    return f"{minutes} minutes left" if minutes else "done"
