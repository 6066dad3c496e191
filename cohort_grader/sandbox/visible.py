"""Which files a submission may read: Python, the libraries, and `course_utils`. Nothing that knows answers."""

import os
import sys
import sysconfig
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

LESSON_PACKAGE = Path(find_spec("course_utils").origin).resolve().parent
SECRET_PACKAGES = ("exercise_checks", "cohort_grader")
DISTRIBUTIONS = ("torch", "torchvision", "numpy", "matplotlib", "sklearn", "scipy", "PIL", "IPython", "tqdm")
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
    places += [place for name in DISTRIBUTIONS if (place := _home(name))]
    places += [place for place in os.environ.get("LD_LIBRARY_PATH", "").split(":") if place]
    found = dict.fromkeys([*SYSTEM, *SHARED])
    for place in places:
        found |= dict.fromkeys([os.path.abspath(place), os.path.realpath(place)])
    return tuple(place for place in found if os.path.exists(place))


def _home(name: str) -> str | None:
    """The folder that a package is imported from: usually site-packages."""
    spec = find_spec(name)
    return os.path.dirname(os.path.dirname(spec.origin)) if spec and spec.origin else None


def secrets() -> Iterator[str]:
    """Folders that hold answers and lie among the libraries, because the course is installed there."""
    for place in map(Path, libraries()):
        for name in SECRET_PACKAGES:
            for pattern in (name, f"*-packages/{name}", f"python*/*-packages/{name}"):
                yield from (str(found) for found in place.glob(pattern) if found.is_dir())
