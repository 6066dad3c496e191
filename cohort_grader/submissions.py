"""Read a folder of submissions: one notebook per learner. Nothing is run or imported, and no link is followed.

Three layouts are understood, also mixed: notebooks in one folder, a folder per learner, and nbgrader's
`submitted/STUDENT/ASSIGNMENT/`. An unreadable notebook becomes a submission with a `problem`; it raises no error.
"""

import json
import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from exercise_checks.sheets import SHEETS

SUFFIXES = (".ipynb", ".ipynb.txt", ".ipynb.json")  # browsers and learning platforms add .txt or .json
DEEPEST = 4  # levels of folders searched below a learner's own
MOST_FILES = 1000  # in one learner's folder
MOST_BYTES = 20_000_000
MOST_PIECES = 2_000_000  # brackets and commas, which bound the memory that the parsed notebook takes
MOST_CELLS, MOST_SOURCE = 1000, 300_000
LONGEST_NAME = 100
LINK = "is a link; links are not followed"


class Unreadable(Exception):
    """A notebook that cannot be graded; the message says why."""


@dataclass(frozen=True)
class Submission:
    """What one learner submitted: the source of the code cells, in order, or the `problem` that prevents grading.

    `timestamp` is the one that nbgrader saved beside the notebook, or "".
    """

    learner: str
    cells: tuple[str, ...] = ()
    problem: str = ""
    timestamp: str = ""


def collect(folder: Path | str, sheet: str) -> list[Submission]:
    """Return one submission per learner, sorted by name.

    Args:
        folder: holds the submissions; nbgrader's course folder, with `submitted/` in it, also works.
        sheet: "01_corr2d". If a learner has several notebooks, the one with this name is graded.

    Raises:
        NotADirectoryError, PermissionError: `folder` cannot be read.
    """
    root = Path(folder).resolve(strict=True)
    inner = root / "submitted"
    if inner.is_dir() and not inner.is_symlink():
        root = inner
    found = [_of_entry(entry, sheet) for entry in _entries(root) if _may_count(entry)]
    return sorted(_with_unique_names(found), key=lambda submission: (submission.learner.casefold(), submission.learner))


def _entries(folder: Path | str) -> list[os.DirEntry]:
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: os.fsencode(entry.name))


def _may_count(entry: os.DirEntry) -> bool:
    """Whether an entry of the submissions' folder belongs to a learner: hidden files and other documents do not."""
    if entry.name.startswith((".", "__MACOSX")):
        return False
    return _is_notebook(entry.name) or entry.is_dir(follow_symlinks=False) or _is_linked_folder(entry)


def _is_linked_folder(entry: os.DirEntry) -> bool:
    return entry.is_symlink() and "." not in entry.name


def _is_notebook(name: str) -> bool:
    return name.lower().endswith(SUFFIXES)


def _stem(name: str) -> str:
    suffix = next(suffix for suffix in sorted(SUFFIXES, key=len, reverse=True) if name.lower().endswith(suffix))
    return name[: -len(suffix)]


def _of_entry(entry: os.DirEntry, sheet: str) -> tuple[str, str, Submission]:
    """Return the entry's own name, the learner's and the submission."""
    if entry.is_dir(follow_symlinks=False) or (entry.is_symlink() and not _is_notebook(entry.name)):
        name, read = entry.name, _of_folder
    else:
        name, read = re.sub(rf"[ _-]+{re.escape(sheet)}$", "", _stem(entry.name), flags=re.IGNORECASE), _of_file
    learner = readable(name)[:LONGEST_NAME] or "unnamed"
    try:
        return entry.name, learner, read(entry, sheet, learner)
    except Unreadable as reason:
        return entry.name, learner, Submission(learner, problem=str(reason))
    except OSError as error:
        return entry.name, learner, Submission(learner, problem=f"It cannot be read: {error.strerror}.")


def _of_file(entry: os.DirEntry, sheet: str, learner: str) -> Submission:
    return Submission(learner, cells_of(read_bytes(entry.path)))


def _of_folder(entry: os.DirEntry, sheet: str, learner: str) -> Submission:
    if entry.is_symlink():
        raise Unreadable(f"The folder {LINK}.")
    path = _choose(list(_notebooks(entry.path)), sheet)
    return Submission(learner, cells_of(read_bytes(path)), timestamp=_timestamp(path.parent))


def _notebooks(folder: str, depth: int = 0) -> Iterator[Path]:
    count = 0
    for entry in _entries(folder):
        count += 1
        if count > MOST_FILES:
            raise Unreadable(f"The folder holds more than {MOST_FILES} files.")
        if entry.name.startswith((".", "__MACOSX")):
            continue
        if _is_notebook(entry.name) and not entry.is_dir(follow_symlinks=False):
            yield Path(entry.path)
        elif entry.is_dir(follow_symlinks=False) and depth < DEEPEST:
            yield from _notebooks(entry.path, depth + 1)


def _choose(paths: Sequence[Path], sheet: str) -> Path:
    """Choose the notebook to grade: named after the sheet, or in a folder of that name, or the only one there is."""
    others = [name.lower() for name in SHEETS if name != sheet]
    paths = [path for path in paths if not _stem(path.name).lower().startswith(tuple(others))]
    rules = (
        lambda path: _stem(path.name).lower() == sheet,
        lambda path: _stem(path.name).lower().startswith(sheet),  # "01_corr2d (1).ipynb": submitted twice
        lambda path: path.parent.name.lower() == sheet,
        lambda path: True,
    )
    for rule in rules:
        fitting = [path for path in paths if rule(path)]
        if fitting:
            break
    else:
        raise Unreadable(f"There is no notebook for {sheet}.")
    shallow = [path for path in fitting if len(path.parts) == min(len(path.parts) for path in fitting)]
    if len(shallow) > 1:
        names = ", ".join(readable(path.name) for path in shallow[:5])
        raise Unreadable(f"{len(shallow)} notebooks could be the submission: {names[:300]}. Keep only one.")
    return shallow[0]


def _timestamp(folder: Path) -> str:
    try:
        text = read_bytes(folder / "timestamp.txt", most=100).decode("ascii").strip()
    except (OSError, Unreadable, UnicodeDecodeError):  # only nbgrader writes this file
        return ""
    return text if re.fullmatch(r"\d{4}-\d\d-\d\d[ T][\w :.,/+-]*", text) else ""


def _with_unique_names(found: Sequence[tuple[str, str, Submission]]) -> list[Submission]:
    """Give learners with equal names their file's full name instead, plus a number where those are equal, too."""
    names = [learner.casefold() for _, learner, _ in found]
    taken, renamed = set(), []
    for entry, learner, submission in found:
        name = learner if names.count(learner.casefold()) == 1 else readable(entry)[:LONGEST_NAME]
        count = 1
        while name.casefold() in taken:
            count += 1
            name = f"{(learner if count == 2 else name.rpartition(' (')[0])} ({count})"
        taken.add(name.casefold())
        renamed.append(replace(submission, learner=name))
    return renamed


def readable(text: str) -> str:
    """Return text with each character that cannot be printed or written as UTF-8 replaced by its escape sequence.

    >>> readable("a\\nb\\udcffc\\u202ed")
    'a\\\\x0ab\\\\udcffc\\\\u202ed'
    """
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" if ord(c) < 256 else f"\\u{ord(c):04x}" for c in text)


# ---------------------------------------------------------------------------------------------------------
# One file
# ---------------------------------------------------------------------------------------------------------


def read_bytes(path: Path | str, most: int = MOST_BYTES) -> bytes:
    """Return a plain file's bytes.

    Raises:
        Unreadable: it is a link, not a regular file, or longer than `most`.
        OSError: the system does not allow it.
    """
    if os.path.islink(path):
        raise Unreadable(f"The notebook {LINK}.")
    # O_NOFOLLOW: the file may have become a link since the check. O_NONBLOCK: opening a pipe would wait for a writer.
    flags = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with open(os.open(path, os.O_RDONLY | flags), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise Unreadable("The notebook is not a regular file.")
        data = file.read(most + 1)
    if len(data) > most:
        raise Unreadable(f"The notebook is larger than {most // 1_000_000} MB. Clear its outputs.")
    return data


def cells_of(data: bytes) -> tuple[str, ...]:
    """Return the source of a notebook's code cells, in order. Notebook formats 2 to 4 are understood.

    Raises:
        Unreadable: the data is not a notebook, or exceeds the limits.

    >>> cells_of(b'{"nbformat": 4, "cells": [{"cell_type": "code", "source": ["x = 1\\\\n", "x"]}]}')
    ('x = 1\\nx',)
    """
    if not data.strip():
        raise Unreadable("The file is empty.")
    if sum(data.count(mark) for mark in (b"[", b"{", b",")) > MOST_PIECES:
        raise Unreadable(f"The notebook has more than {MOST_PIECES} parts. Clear its outputs.")
    try:
        notebook = json.loads(data)
    except RecursionError:
        raise Unreadable("The file is nested too deeply to be a notebook.") from None
    except ValueError:  # also UnicodeDecodeError
        raise Unreadable("The file is not a notebook: it is not JSON, or it is cut off.") from None
    sources = tuple(_source(cell) for cell in _cells(notebook) if isinstance(cell, dict) and _is_code(cell))
    if len(sources) > MOST_CELLS or sum(map(len, sources)) > MOST_SOURCE:
        raise Unreadable(f"The notebook has more than {MOST_CELLS} code cells or {MOST_SOURCE} characters of code.")
    return sources


def _cells(notebook) -> list:
    """The cells of format 4, or those of all worksheets of formats 2 and 3."""
    if isinstance(notebook, dict):
        if isinstance(notebook.get("cells"), list):
            return notebook["cells"]
        sheets = notebook.get("worksheets")
        if isinstance(sheets, list):
            parts = [
                sheet["cells"] for sheet in sheets if isinstance(sheet, dict) and isinstance(sheet.get("cells"), list)
            ]
            return [cell for part in parts for cell in part]
    raise Unreadable("The file is JSON but not a notebook: it has no cells.")


def _is_code(cell: dict) -> bool:
    return cell.get("cell_type") == "code"


def _source(cell: dict) -> str:
    source = cell.get("source", cell.get("input", ""))
    if isinstance(source, list):
        source = "".join(line for line in source if isinstance(line, str))
    # JSON may contain half of a surrogate pair, which cannot be encoded as UTF-8.
    return source.encode("utf-8", "replace").decode("utf-8") if isinstance(source, str) else ""
