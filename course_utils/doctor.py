"""Is this installation able to run the course? Each check says what it found and, when that is wrong, what to do."""

import importlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from typing import NamedTuple

GIGABYTE = 1e9


class Finding(NamedTuple):
    """One line of the doctor's report: what was looked at, whether it is well, what was found, what to do."""

    name: str
    well: bool
    found: str
    advice: str = ""

    def __str__(self) -> str:
        line = f"{'ok ' if self.well else 'BAD'}  {self.name}: {self.found}"
        return line if self.well else f"{line}\n     {self.advice}"


def examine() -> Iterator[Finding]:
    """Yield one `Finding` per check, the cheap ones first. A check that fails never stops the next one.

    >>> next(examine()).name
    'Python'
    """
    for name, check in CHECKS.items():
        try:
            yield Finding(name, True, check())
        except _Ill as illness:
            yield Finding(name, False, *illness.args)


class _Ill(Exception):
    """Raised by a check with two sentences: what was found, what to do."""


def _python() -> str:
    version = ".".join(map(str, sys.version_info[:3]))
    if not (3, 11) <= sys.version_info[:2] <= (3, 14):
        raise _Ill(version, "The course runs on Python 3.11 to 3.14. Start `course.py lab` with one of those.")
    return version


def _import(name: str, advice: str) -> str:
    try:
        importlib.import_module(name)
        # A broken package may raise anything while it is imported; the report must go on with the next one.
    except Exception as error:
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        raise _Ill(f"cannot be imported: {first_line}", advice) from error
    package = name.split(".")[0]
    return metadata.version({"sklearn": "scikit-learn"}.get(package, package))


def _torch() -> str:
    return _import("torch", "Run `python3 course.py lab` again after deleting the folder .venv.")


def _torchvision() -> str:
    advice = "torch and torchvision must come from the same index: delete .venv and run `python3 course.py lab`."
    version = _import("torchvision", advice)
    import torch
    import torchvision

    try:  # the operator that is missing when the two were built apart
        torchvision.ops.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)
    except (RuntimeError, AttributeError) as error:
        raise _Ill(f"{version} does not fit torch {torch.__version__}", advice) from error
    return version


def _d2l() -> str:
    version = _import("d2l.torch", "Run `pip install d2l==0.17.0 pandas` in the environment of the course.")
    if version != "0.17.0":
        raise _Ill(version, "The lessons compare with d2l 0.17.0: run `pip install d2l==0.17.0`.")
    return version


def _notebooks() -> str:
    return "JupyterLab " + _import("jupyterlab", "Run `python3 course.py lab`, which installs it.")


def _data() -> str:
    _import("sklearn", "Run `pip install scikit-learn` in the environment of the course.")
    from course_utils import data

    (X, _), (X_test, _), _ = data.load("digits")
    return f"{len(X) + len(X_test)} handwritten digits"


def _disk() -> str:
    free = shutil.disk_usage(os.getcwd()).free / GIGABYTE
    if free < 1:
        raise _Ill(f"{free:.1f} GB free", "Make room: checkpoints and a dataset download need about 1 GB.")
    return f"{free:.0f} GB free"


def _device() -> str:
    """A GPU is never needed, so its absence is well."""
    import torch

    if torch.cuda.is_available():
        return f"CUDA, {torch.cuda.get_device_name()}"
    return f"CPU with {torch.get_num_threads()} threads; the GPU cells will be skipped"


CHECKS: dict[str, Callable[[], str]] = {
    "Python": _python,
    "disk": _disk,
    "notebooks": _notebooks,
    "torch": _torch,
    "torchvision": _torchvision,
    "d2l": _d2l,
    "data": _data,
    "device": _device,
}
