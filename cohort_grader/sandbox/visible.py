"""Which files a submission may read: Python, the libraries, and `course_utils`. Nothing that knows answers."""

import os
import sys
import sysconfig
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

LESSON_PACKAGE = str(Path(find_spec("course_utils").origin).resolve().parent)
HIDDEN_PACKAGES = ("exercise_checks", "cohort_grader")
# Each may be installed in a folder of its own, as modules of a cluster are.
LIBRARIES = ("torch", "torchvision", "numpy", "matplotlib", "sklearn", "scipy", "PIL", "IPython", "ipywidgets", "tqdm")
SYSTEM = (
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/usr/lib",
    "/usr/lib32",
    "/usr/lib64",
    "/usr/libx32",
    "/usr/local/lib",
)
SHARED = ("/usr/share/zoneinfo", "/usr/share/fonts", "/etc/ld.so.cache", "/etc/localtime", "/etc/fonts")
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")


def libraries() -> tuple[str, ...]:
    """Folders and files with Python and the libraries, as they are spelled and where they really are."""
    places = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    places += [os.path.join(prefix, "lib") for prefix in (sys.prefix, sys.base_prefix) if prefix != "/usr"]
    places += [place for name in LIBRARIES if (place := _home(name))]
    places += [place for place in os.environ.get("LD_LIBRARY_PATH", "").split(":") if place]
    found = dict.fromkeys([*SYSTEM, *SHARED])
    for place in places:
        found |= dict.fromkeys([os.path.abspath(place), os.path.realpath(place)])
    return tuple(place for place in found if os.path.exists(place))


def _home(name: str) -> str | None:
    """The folder that a package is imported from: usually site-packages."""
    spec = find_spec(name)
    return os.path.dirname(os.path.dirname(spec.origin)) if spec and spec.origin else None


def hidden() -> Iterator[str]:
    """Folders that hold answers and lie among the libraries, because the course is installed there."""
    for place in map(Path, libraries()):
        for name in HIDDEN_PACKAGES:
            for pattern in (name, f"*-packages/{name}", f"python*/*-packages/{name}"):
                yield from (str(found) for found in place.glob(pattern) if found.is_dir())


def without_hidden() -> tuple[list[str], list[str]]:
    """The libraries where a folder cannot be covered: what may be read whole, and the folders around what is hidden.

    Python must list the latter to import from them, so the names in them can be seen.
    """
    secret, whole, listed = {os.path.realpath(place) for place in hidden()}, [], []
    waiting = list(dict.fromkeys(map(os.path.realpath, libraries())))
    while waiting:
        place = waiting.pop()
        real = os.path.realpath(place)
        if not any(_is_in(real, other) or _is_in(other, real) for other in secret):
            whole.append(place)
        elif not os.path.islink(place) and real not in secret:
            listed.append(place)
            waiting += [entry.path for entry in os.scandir(place)]
    return whole, listed


def _is_in(place: str, folder: str) -> bool:
    return Path(place).is_relative_to(folder)
