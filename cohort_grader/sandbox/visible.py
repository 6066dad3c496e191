"""Which files a submission may read: Python, the libraries and `course_utils`, but no package that holds answers."""

import os
import sys
import sysconfig
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

LESSON_PACKAGE = str(Path(find_spec("course_utils").origin).resolve().parent)
HIDDEN_PACKAGES = ("exercise_checks", "cohort_grader")
# Each may be installed in a different folder, as on a cluster with environment modules.
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
    """Return the files and folders of Python and the libraries, each as it is spelled and with links resolved."""
    paths = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    paths += [os.path.join(prefix, "lib") for prefix in (sys.prefix, sys.base_prefix) if prefix != "/usr"]
    paths += [path for name in LIBRARIES if (path := _import_folder(name))]
    paths += [path for path in os.environ.get("LD_LIBRARY_PATH", "").split(":") if path]
    found = dict.fromkeys([*SYSTEM, *SHARED])
    for path in paths:
        found |= dict.fromkeys([os.path.abspath(path), os.path.realpath(path)])
    return tuple(path for path in found if os.path.exists(path))


def _import_folder(name: str) -> str | None:
    """Return the folder that a package is imported from, usually site-packages."""
    spec = find_spec(name)
    return os.path.dirname(os.path.dirname(spec.origin)) if spec and spec.origin else None


def hidden() -> Iterator[str]:
    """Yield folders that hold answers but are among the libraries, because the course is installed there."""
    for folder in map(Path, libraries()):
        for name in HIDDEN_PACKAGES:
            for pattern in (name, f"*-packages/{name}", f"python*/*-packages/{name}"):
                yield from (str(found) for found in folder.glob(pattern) if found.is_dir())


def without_hidden() -> tuple[list[str], list[str]]:
    """Split the libraries, for systems that cannot cover a folder: `(readable as a whole, only to be listed)`.

    The latter contain hidden folders. Python must list them to import from them, so their names can be seen.
    """
    secret, whole, listed = {os.path.realpath(path) for path in hidden()}, [], []
    waiting = list(dict.fromkeys(map(os.path.realpath, libraries())))
    while waiting:
        path = waiting.pop()
        real = os.path.realpath(path)
        if not any(_is_in(real, other) or _is_in(other, real) for other in secret):
            whole.append(path)
        elif not os.path.islink(path) and real not in secret:
            listed.append(path)
            waiting += [entry.path for entry in os.scandir(path)]
    return whole, listed


def _is_in(path: str, folder: str) -> bool:
    return Path(path).is_relative_to(folder)
