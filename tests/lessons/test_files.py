"""A file is written whole or not at all, and nothing is left beside it."""

import os
from pathlib import Path

import pytest

from course_utils import files


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_a_write_that_ends_early_leaves_the_old_file_alone(tmp_path, monkeypatch, error):
    path = tmp_path / "a.txt"
    files.write_then_rename(path, "old")

    def half(file, content):
        with open(file, "wb") as part:
            part.write(content[: len(content) // 2])
        raise error

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(type(error)):
        files.write_then_rename(path, "new, and longer")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_process_leaves_is_overwritten(tmp_path):
    (tmp_path / "a.txt.tmp").write_text("half of a")
    files.write_then_rename(tmp_path / "a.txt", b"whole")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a.txt": b"whole"}


def test_a_file_that_somebody_reads_on_windows_is_tried_again(tmp_path, monkeypatch):
    refusals, replace, pauses = iter(range(2)), os.replace, []

    def refuse_twice(*paths):
        if next(refusals, None) is not None:
            raise PermissionError("in use")
        replace(*paths)

    monkeypatch.setattr(os, "replace", refuse_twice)
    monkeypatch.setattr(files.time, "sleep", pauses.append)
    files.write_then_rename(tmp_path / "a.txt", "Grüße\n")
    assert (tmp_path / "a.txt").read_bytes() == "Grüße\n".encode()
    assert len(pauses) == 2


def test_a_file_that_stays_in_use_is_an_error(tmp_path, monkeypatch):
    def refuse(*paths):
        raise PermissionError("in use")

    monkeypatch.setattr(os, "replace", refuse)
    monkeypatch.setattr(files.time, "sleep", lambda seconds: None)
    with pytest.raises(PermissionError, match="in use"):
        files.write_then_rename(tmp_path / "a.txt", "new")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        files.write_then_rename(tmp_path / "none" / "a.txt", "new")
