"""The progress file: small, whole, and never the reason that something stops."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from course_utils.__main__ import main
from exercise_checks import progress, tasks

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


def one_entry(text):
    return b'{"tasks": {"corr2d": %s}}' % text


ENTRIES = [
    b"3", b"[]", b'{"passed": false}', b'{"passed": null}', b'{"passed": {}}', b'{"tries": "many"}', b'{"tries": true}',
    b'{"tries": null}', b'{"tries": Infinity}', b'{"tries": NaN}', b'{"tries": 1.5}', b'{"tries": %s}' % (b"9" * 5000)
]  # fmt: skip
BROKEN = [b"", b" ", b"{", b"[]", b"null", b'{"tasks": 3}', b"\xff\xfe\x00", b"[" * 100_000,
          one_entry(b'{"tries": 1}') + b"\0", *map(one_entry, ENTRIES)]  # fmt: skip


@pytest.mark.parametrize("content", BROKEN, ids=range(len(BROKEN)))
def test_a_file_that_is_none_is_kept_aside_and_said(path, content):
    path.write_bytes(content)
    assert progress.load() == {}
    assert "progress.json with your progress cannot be read" in progress.report()
    assert "it is now progress-unreadable.json, and a new one was begun" in progress.record("corr2d", True)
    assert progress.load()["corr2d"].passed
    assert "cannot be read" not in progress.table()
    assert path.with_name("progress-unreadable.json").read_bytes() == content


def test_what_was_kept_aside_is_not_lost_the_next_time(path):
    for content in (b"first", b"second"):
        path.write_bytes(content)
        progress.record("corr2d", True)
    assert [path.with_name(f"progress-unreadable{n}.json").read_bytes() for n in ("", 2)] == [b"first", b"second"]


def test_a_file_saved_by_an_editor_with_a_byte_order_mark_is_read(path):
    path.write_bytes(b"\xef\xbb\xbf" + one_entry(b'{"passed": "2026-01-01", "tries": 2}'))
    assert progress.load()["corr2d"] == progress.Entry("2026-01-01", 2)


@pytest.mark.parametrize("place", ["progress.json", "progress.json.lock"])
def test_what_is_no_ordinary_file_is_left_alone(path, place):
    (path.parent / place).mkdir()
    assert "could not be noted" in progress.record("corr2d", True)
    assert progress.load() == {}
    assert (path.parent / place).is_dir()


@pytest.mark.skipif(not Path("/dev/null").exists(), reason="Windows has no devices among its files")
def test_a_device_is_no_progress_file(monkeypatch, tmp_path):
    (tmp_path / "progress.json").symlink_to("/dev/null")  # the link is what would be replaced, were this to fail
    monkeypatch.setenv(progress.VARIABLE, str(tmp_path / "progress.json"))
    assert "not an ordinary file" in progress.record("corr2d", True)


def test_a_reader_that_has_the_file_open_is_waited_for(path, monkeypatch):
    """On Windows, a file that somebody reads cannot be replaced."""
    refusals, replace = iter(range(2)), os.replace

    def refuse(*names):
        if next(refusals, None) is not None:
            raise PermissionError(errno.EACCES, "Access is denied")
        replace(*names)

    monkeypatch.setattr(os, "replace", refuse)
    assert progress.record("corr2d", True) == ""
    assert progress.load()["corr2d"].passed


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_a_disk_that_is_really_full(path):
    """The system refuses to write more than 4000 bytes: the file stays as it was the time before."""
    code = """
import resource
from exercise_checks import progress
resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
said = [progress.record(f"task_{n}", True) for n in range(100)]
kept = len(progress.load())
print(kept, said[:kept] == [""] * kept, all("could not be noted" in s for s in said[kept:]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    kept, before, after = done.stdout.split()
    assert 10 < int(kept) < 100, done.stderr
    assert before == after == "True"
    assert len(progress.load()) == int(kept)
    assert [p.name for p in path.parent.iterdir() if p.suffix == ".tmp"] == []


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

    monkeypatch.setattr(Path, "read_bytes", refuse)
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
    assert progress.file() == Path(__file__).resolve().parents[2] / "progress.json"


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
