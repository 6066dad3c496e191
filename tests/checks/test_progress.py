"""The progress file: small, whole, and never the reason that something stops."""

import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from exercise_checks import progress, tasks
from exercise_checks.__main__ import main

ALL = [task.id for task in tasks.every()]


@pytest.fixture
def path(tmp_path, monkeypatch):
    path = tmp_path / "progress.sqlite3"
    monkeypatch.setenv(progress.VARIABLE, str(path))
    return path


def test_a_pass_stays_a_pass(path):
    assert progress.load() == {}
    assert [progress.record("corr2d", passed) for passed in (False, True, False)] == ["", "", ""]
    entry = progress.load()["corr2d"]
    assert entry.passed
    assert entry.tries == 2
    assert {line.sheet: line.passed for line in progress.lines()}["01_corr2d"] == 1


def test_lines_add_up_to_the_course(path):
    assert [line.sheet for line in progress.lines()] == list(tasks.SHEETS)
    assert sum(line.total for line in progress.lines()) == len(ALL)
    assert sum(line.minutes for line in progress.lines()) == sum(task.minutes for task in tasks.every())
    for task_id in ALL:
        progress.record(task_id, True)
    assert sum(line.minutes for line in progress.lines()) == 0
    assert progress.next_task() is None
    assert progress.report().endswith("All tasks are done.")


def test_the_next_task_is_the_first_open_one(path):
    assert progress.next_task().id == ALL[0]
    progress.record(ALL[0], True)
    progress.record(ALL[2], True)
    assert progress.next_task().id == ALL[1]


# A file that is no database


NO_DATABASE = [
    b"{}",
    b"null",
    b"\xff\xfe\x00",
    b"[" * 100_000,
    b"SQLite format 3\0",
    b"SQLite format 3\0" + bytes(9000),
]


@pytest.mark.parametrize("content", NO_DATABASE, ids=range(len(NO_DATABASE)))
def test_a_file_that_is_none_is_said_and_stays_as_it_is(path, content):
    path.write_bytes(content)
    assert progress.load() == {}
    assert "progress.sqlite3 with your progress cannot be read" in progress.report()
    assert "could not be noted in progress.sqlite3 (" in progress.record("corr2d", True)
    assert progress.load() == {}
    assert path.read_bytes() == content


@pytest.mark.parametrize("content", [b"", b"\n"])  # SQLite takes a single byte for nothing, too
def test_an_empty_file_is_begun(path, content):
    path.write_bytes(content)
    assert progress.load() == {}
    assert "cannot be read" not in progress.report()
    assert progress.record("corr2d", True) == ""
    assert progress.load()["corr2d"].passed


@pytest.mark.parametrize("columns", ["x", "id, passed, tries, more NOT NULL"])
def test_a_database_of_another_program_is_left_alone(path, columns):
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"CREATE TABLE tasks ({columns})")
    before = path.read_bytes()
    progress.load()
    assert "could not be noted" in progress.record("corr2d", True)
    assert path.read_bytes() == before


@pytest.mark.parametrize("place", ["progress.sqlite3", "progress.sqlite3-journal"])
def test_what_is_no_ordinary_file_is_left_alone(path, place):
    (path.parent / place).mkdir()
    assert "could not be noted" in progress.record("corr2d", True)
    assert progress.load() == {}
    assert (path.parent / place).is_dir()


@pytest.mark.skipif(not Path("/dev/null").exists(), reason="Windows has no devices among its files")
def test_a_device_is_no_progress_file(monkeypatch, tmp_path):
    (tmp_path / "progress.sqlite3").symlink_to("/dev/null")
    monkeypatch.setenv(progress.VARIABLE, str(tmp_path / "progress.sqlite3"))
    assert "not an ordinary file" in progress.record("corr2d", True)
    assert progress.load() == {}


# What cannot be written, or read


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_a_disk_that_is_really_full(path):
    """The system refuses to write more than 40,000 bytes: the file stays as it was the time before."""
    code = """
import resource
from exercise_checks import progress
resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
said = [progress.record(f"task_{n}" * 100, True) for n in range(100)]
kept = len(progress.load())
print(kept, said[:kept] == [""] * kept, all("could not be noted" in s for s in said[kept:]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    kept, before, after = done.stdout.split()
    assert 10 < int(kept) < 100, done.stderr
    assert before == after == "True"
    assert len(progress.load()) == int(kept)
    assert [p.name for p in path.parent.iterdir()] == ["progress.sqlite3"]


@pytest.mark.parametrize(("limit", "words"), [("max_page_count = 1", "full"), ("query_only = 1", "readonly")])
def test_a_full_or_read_only_disk_costs_one_entry_and_nothing_else(path, monkeypatch, limit, words):
    progress.record("corr2d", True)
    before, connect = path.read_bytes(), sqlite3.connect

    def limited(*args, **kwargs):
        connection = connect(*args, **kwargs)
        connection.execute(f"PRAGMA {limit}")
        return connection

    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", limited)
        said = progress.record("answer_sizes" * 1000, True)
        assert progress.load().keys() == {"corr2d"}
    assert "could not be noted in progress.sqlite3" in said
    assert words in said
    assert path.read_bytes() == before
    assert progress.record("answer_sizes", True) == ""


def test_a_folder_that_may_not_be_written_is_a_sentence(tmp_path, monkeypatch):
    (tmp_path / "no_folder").touch()
    monkeypatch.setenv(progress.VARIABLE, str(tmp_path / "no_folder" / "progress.sqlite3"))
    assert "could not be noted" in progress.record("corr2d", True)
    assert progress.load() == {}


def test_a_file_that_may_not_be_read_counts_as_not_there(path, monkeypatch):
    progress.record("corr2d", True)

    def refuse(*_, **__):
        raise sqlite3.OperationalError("unable to open database file")

    monkeypatch.setattr(sqlite3, "connect", refuse)
    assert progress.load() == {}
    assert "unable to open" in progress.record("corr2d", True)


def locked(path):
    """A connection of another notebook's that is writing at this moment."""
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    return closing(other)


def test_another_that_writes_is_waited_for(path):
    progress.record("corr2d", False)
    with locked(path) as other:
        threading.Timer(0.3, other.rollback).start()
        assert progress.record("corr2d", True) == ""
    assert progress.load()["corr2d"].passed


def test_another_that_never_ends_is_a_sentence(path, monkeypatch):
    monkeypatch.setattr(progress, "PATIENCE", 0.2)
    progress.record("corr2d", False)
    with locked(path):
        assert "could not be noted in progress.sqlite3 (database is locked)" in progress.record("corr2d", True)
        assert progress.load() == {}
    assert progress.load() == {"corr2d": progress.Entry("", 1)}


# Two at once, and where it lies


def test_two_notebooks_at_once_lose_nothing(path):
    code = (
        "import sys; from exercise_checks import progress\n"
        "for n in range(25): assert progress.record(f'{sys.argv[1]}{n}', True) == ''"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, name]) for name in "ab"]
    assert [process.wait(timeout=120) for process in running] == [0, 0]
    assert set(progress.load()) == {f"{name}{n}" for name in "ab" for n in range(25)}


def test_a_solution_that_is_run_earns_nothing(path, monkeypatch):
    monkeypatch.setenv("JPY_SESSION_NAME", "/course/solutions/01_corr2d.ipynb")
    assert progress.record("corr2d", True) == ""
    assert progress.load() == {}
    monkeypatch.setenv("JPY_SESSION_NAME", "/course/exercises/01_corr2d.ipynb")
    progress.record("corr2d", True)
    assert progress.load()["corr2d"].passed


def test_an_empty_name_keeps_nothing(monkeypatch):
    monkeypatch.setenv(progress.VARIABLE, "")
    assert progress.record("corr2d", True) == ""
    assert progress.load() == {}


def test_without_a_choice_the_file_lies_in_the_courses_folder(monkeypatch):
    monkeypatch.delenv(progress.VARIABLE)
    assert progress.file() == Path(__file__).resolve().parents[2] / "progress.sqlite3"


def test_the_command_prints_it(path, capsys):
    progress.record(ALL[0], True)
    assert main(["progress"]) == 0
    said = capsys.readouterr().out
    sheet = progress.lines()[0]
    assert f"{sheet.sheet}" in said
    assert f"1 of {sheet.total}" in said
    assert f"Next: {progress.next_task().title}, in exercises/01_corr2d.ipynb." in said


def test_the_table_for_the_map(path):
    progress.record(ALL[0], True)
    rows = progress.table().splitlines()
    assert len(rows) == 2 + len(tasks.SHEETS) + 2
    assert f"| 1 of {progress.lines()[0].total} |" in rows[2]
