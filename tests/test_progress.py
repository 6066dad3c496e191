"""The progress file: small, whole, and never the reason that something stops."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from course_utils import progress, tasks
from course_utils.__main__ import main

ALL = [task.id for task in tasks.every()]


@pytest.fixture
def path(tmp_path, monkeypatch):
    path = tmp_path / "progress.json"
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


BROKEN = [b"", b"{", b"[]", b"null", b'{"tasks": 3}', b'{"tasks": {"corr2d": 3}}', b"\xff\xfe\x00", b"[" * 100_000,
          b'{"tasks": {"corr2d": {"passed": "x", "tries": "many"}}}']  # fmt: skip


@pytest.mark.parametrize("content", BROKEN, ids=range(len(BROKEN)))
def test_a_file_that_is_none_is_kept_aside(path, content):
    path.write_bytes(content)
    assert progress.load() == {}
    assert progress.record("corr2d", True) == ""
    assert progress.load()["corr2d"].passed
    assert path.with_name("progress-unreadable.json").read_bytes() == content


def test_what_is_unknown_in_the_file_does_no_harm(path):
    path.write_text(json.dumps({"tasks": {"of_another_version": {"passed": "2026-01-01", "more": 1}}, "x": 1}))
    assert progress.record("corr2d", True) == ""
    assert set(progress.load()) == {"of_another_version", "corr2d"}
    assert progress.next_task().id == ALL[1]


@pytest.mark.parametrize("call", ["write_text", "replace"])
def test_a_full_disk_costs_one_entry_and_nothing_else(path, monkeypatch, call):
    progress.record("corr2d", True)
    before = path.read_bytes()

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(*{"write_text": (Path, "write_text", full), "replace": (os, "replace", full)}[call])
        said = progress.record("answer_sizes", True)
    assert "could not be noted in progress.json" in said
    assert "No space left" in said
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir() if p.suffix == ".tmp"] == []


def test_a_folder_that_may_not_be_written_is_a_sentence(tmp_path, monkeypatch):
    (tmp_path / "no_folder").touch()
    monkeypatch.setenv(progress.VARIABLE, str(tmp_path / "no_folder" / "progress.json"))
    assert "could not be noted" in progress.record("corr2d", True)
    assert progress.load() == {}


def test_a_file_that_may_not_be_read_counts_as_not_there(path, monkeypatch):
    path.write_text("{}")

    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refuse)
    assert progress.load() == {}
    assert "Permission denied" in progress.record("corr2d", True)


def test_two_notebooks_at_once_lose_nothing(path):
    code = (
        "import sys; from course_utils import progress\n"
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
    assert progress.file() == Path(__file__).resolve().parent.parent / "progress.json"


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
