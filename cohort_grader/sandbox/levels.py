"""The levels of isolation, the limits that each enforces, and what each does not protect against."""

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache

from cohort_grader.sandbox import landlock, namespaces, seccomp, visible
from exercise_checks.running.process import limit

STRONG, WEAK = "strong", "weak"
MEBIBYTE, GIBIBYTE = 1 << 20, 1 << 30
ANY_CORE = -1  # on systems that cannot pin a process to one core


@dataclass(frozen=True)
class Limits:
    """What one submission may use.

    Args:
        seconds_per_task: for all cases of a task together; None takes the task's own limit.
        seconds_per_cell: for one code cell.
        total_seconds: for everything, from the first cell to the last case.
        memory_bytes: address space in addition to what the libraries take.
        threads: at the same time.
        scratch_bytes: for all files that it writes together; `file_bytes` for each file.
        reply_bytes: for one answer.
    """

    seconds_per_task: float | None = None
    seconds_per_cell: float = 30.0
    total_seconds: float = 120.0
    memory_bytes: int = 4 * GIBIBYTE
    threads: int = 256
    scratch_bytes: int = 64 * MEBIBYTE
    file_bytes: int = 64 * MEBIBYTE
    reply_bytes: int = 16 * MEBIBYTE


@dataclass(frozen=True)
class Level:
    """One level of isolation. `missing` says what it does not protect against, or why it is not available here."""

    name: str
    holds: bool
    missing: tuple[str, ...]


@cache
def levels() -> tuple[Level, ...]:
    """Return the levels, the strongest first. Whether the strong one is available here is found out by trying it.

    >>> [level.name for level in levels()]
    ['strong', 'weak']
    """
    reason = _why_not_strong()
    strong = Level(STRONG, False, (reason,)) if reason else strong_level()
    return strong, Level(WEAK, True, _missing_at_weak(reason))


def strong_level() -> Level:
    """Return the strong level, for a computer where it is known to be available."""
    return Level(STRONG, True, _missing_at_strong())


def strongest() -> Level:
    """Return the strongest level that is available."""
    return next(level for level in levels() if level.holds)


def find(name: str) -> Level:
    """Return the level called `name`.

    Raises:
        ValueError: there is no such level.
        RuntimeError: it is not available here; the message says why.
    """
    found = next((level for level in levels() if level.name == name), None)
    if found is None:
        raise ValueError(f"level must be {STRONG!r} or {WEAK!r}, got {name!r}.")
    if not found.holds:
        raise RuntimeError(found.missing[0])
    return found


ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")  # for each library
# No display, no GPU, no bytecode files, no recorded progress, and the same hashes in every run.
SETTINGS = {
    **ONE_THREAD,
    **{"LANG": "C.UTF-8", "PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1"},
    **{"MPLBACKEND": "Agg", "CUDA_VISIBLE_DEVICES": "", "COURSE_PROGRESS": "", "PYTHONHASHSEED": "0"},
}
SYSTEM_VARIABLES = ("LD_LIBRARY_PATH", "SYSTEMROOT")
CACHE_VARIABLES = ("HOME", "USERPROFILE", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR")
TEMPORARY_VARIABLES = ("TMPDIR", "TEMP", "TMP")


def environment(scratch: str) -> dict[str, str]:
    """Return a new worker's environment variables: of the grader's own, only those that imports need."""
    kept = {name: os.environ[name] for name in (*SYSTEM_VARIABLES, *CACHE_VARIABLES) if name in os.environ}
    return kept | SETTINGS | dict.fromkeys(TEMPORARY_VARIABLES, scratch)


def clean_environment(scratch: str) -> None:
    """After the imports, keep only variables that a learner may see, and make `scratch` the only folder in them."""
    kept = {name: os.environ[name] for name in SYSTEM_VARIABLES if name in os.environ}
    os.environ.clear()
    os.environ.update(kept | SETTINGS | dict.fromkeys((*CACHE_VARIABLES, *TEMPORARY_VARIABLES), scratch))
    tempfile.tempdir = scratch  # an import may have set it already


def command(function: str, *arguments: object) -> list[str]:
    """Return a command line that starts Python and calls a function of the worker module with plain values."""
    call = f"{function}({', '.join(map(repr, arguments))})"
    paths = [path for path in sys.path if path and os.path.isdir(path)]
    start = f"import sys; sys.path[:] = {[os.path.dirname(visible.LESSON_PACKAGE), *paths]!r}"
    return [sys.executable, "-c", f"{start}; from cohort_grader.sandbox import worker; worker.{call}"]


def pin_to_core(core: int) -> None:
    """Pin this process to one core, so that a submission with many threads does not slow down the others."""
    if core != ANY_CORE:
        os.sched_setaffinity(0, {core})


def set_limits(limits: Limits, address_space: int | None, threads: bool) -> None:
    """Set the resource limits that the system enforces for one process. On Windows there are none.

    Args:
        address_space: bytes that the process has taken already; None where the system does not limit memory.
        threads: whether to limit them, which only works where the user's other processes are not counted, too.
    """
    if sys.platform == "win32":
        return
    values = {
        "RLIMIT_CORE": 0,
        "RLIMIT_FSIZE": limits.file_bytes,
        "RLIMIT_NOFILE": 256,
        "RLIMIT_MEMLOCK": 0,
        "RLIMIT_MSGQUEUE": 0,
        "RLIMIT_CPU": int(limits.total_seconds * (os.cpu_count() or 1)) + 10,
    }
    if address_space is not None:
        values["RLIMIT_AS"] = address_space + limits.memory_bytes
    if threads:
        values["RLIMIT_NPROC"] = limits.threads
    for name, value in values.items():
        limit(name, value)


def _why_not_strong() -> str:
    """Return why the strong level is not available, as a sentence, or an empty string if it is."""
    if sys.platform != "linux":
        return f"Strong isolation needs Linux; this is {sys.platform}."
    trial = subprocess.run(
        command("try_strong_level"), env=environment("/"), stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if trial.returncode == 0:
        return ""
    return f"Strong isolation is not available here: {(trial.stderr.strip().splitlines() or ['no reason given'])[-1]}."


def _missing_at_strong() -> tuple[str, ...]:
    return () if namespaces.counts_threads() else ("The number of threads is not limited: that needs Linux 5.14.",)


def _missing_at_weak(reason: str) -> tuple[str, ...]:
    """Return what the weak level does not protect against on this computer."""
    linux_here = sys.platform == "linux"
    found = [reason] if reason else []
    if not (linux_here and landlock.version()):
        found += ["A submission can read and change the grader's files: solutions, other submissions, reports."]
    else:
        found += ["A submission can see the names and sizes of files outside its scratch folder."]
    if not (linux_here and seccomp.supported()):
        found += ["The network can be reached.", "A submission can start programs, which can outlive it."]
        found += ["A submission can end other processes of the user who grades."]
    if not linux_here:
        found += ["Memory is not limited.", "A submission can slow down others that run at the same time."]
    if sys.platform == "win32":
        found += ["The size of a file is not limited."]
    found += ["The number of threads and the total size of all files are not limited."]
    return (*found, "If the grader itself is killed, a submission can keep running, and its scratch folder stays.")
