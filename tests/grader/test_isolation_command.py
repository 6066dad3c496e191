"""`python -m cohort_grader --isolation` says which level holds on this computer, and what it lacks."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cohort_grader.__main__ import main
from cohort_grader.sandbox import levels

ROOT = Path(__file__).resolve().parents[2]


def said(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--isolation"])
    assert ended.value.code == 0
    return capsys.readouterr().out


def test_weak_isolation_is_said_and_no_failure(monkeypatch, capsys):
    reasons = ("Strong isolation needs Linux; this is darwin.", "Memory is not limited.")
    monkeypatch.setattr(levels, "strongest", lambda: levels.Level(levels.WEAK, True, reasons))
    first, *rest = said(capsys).splitlines()
    assert first == "weak isolation: grading needs --allow-weak-isolation"
    assert rest == [f"  {reason}" for reason in reasons]


def test_strong_isolation_is_said(monkeypatch, capsys):
    monkeypatch.setattr(levels, "strongest", lambda: levels.Level(levels.STRONG, True, ()))
    assert said(capsys) == "strong isolation\n"


def test_the_command_says_what_holds_here():
    """Without submissions, sheet and folder, which grading needs."""
    done = subprocess.run(
        [sys.executable, "-m", "cohort_grader", "--isolation"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    level = levels.strongest()
    assert done.stdout.startswith(f"{level.name} isolation")
    assert [line.strip() for line in done.stdout.splitlines()[1:]] == list(level.missing)
