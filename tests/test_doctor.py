"""The doctor on a sound installation, and on each kind of broken one."""

import sys
from collections import namedtuple
from types import SimpleNamespace

import pytest

from course_utils import doctor
from course_utils.__main__ import main


def finding(name):
    return next(f for f in doctor.examine() if f.name == name)


def test_a_sound_installation_is_found_sound(capsys):
    assert main(["doctor"]) == 0
    report = capsys.readouterr().out
    assert [line.split(":")[0].split()[1] for line in report.splitlines()] == list(doctor.CHECKS)
    assert "BAD" not in report


def test_an_old_python(monkeypatch):
    version = namedtuple("version", "major minor micro")(3, 10, 2)
    monkeypatch.setattr(doctor, "sys", SimpleNamespace(version_info=version))
    assert finding("Python") == doctor.Finding(
        "Python", False, "3.10.2", "The course runs on Python 3.11 to 3.14. Start `course.py lab` with one of those."
    )


@pytest.mark.parametrize(
    ("name", "module", "words"),
    [
        ("torchvision", "torchvision", "same index"),
        ("d2l", "d2l.torch", "d2l==0.17.0"),
        ("notebooks", "jupyterlab", "course.py lab"),
        ("data", "sklearn", "scikit-learn"),
    ],
)
def test_a_package_that_is_missing(monkeypatch, capsys, name, module, words):
    monkeypatch.setitem(sys.modules, module, None)  # so that importing it fails
    found = finding(name)
    assert not found.well
    assert words in found.advice
    assert main(["doctor"]) == 1
    assert f"BAD  {name}: cannot be imported" in capsys.readouterr().out


def test_torch_and_torchvision_from_different_places(monkeypatch):
    import torchvision

    def missing(*_):
        raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.setattr(torchvision.ops, "nms", missing)
    assert "does not fit torch" in finding("torchvision").found


def test_another_d2l(monkeypatch):
    monkeypatch.setattr(doctor.metadata, "version", lambda name: "1.0.3")
    assert finding("d2l").advice.startswith("The lessons compare with d2l 0.17.0")


def test_a_full_disk(monkeypatch):
    usage = namedtuple("usage", "total used free")(10, 10, 0)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: usage)
    assert finding("disk").found == "0.0 GB free"
