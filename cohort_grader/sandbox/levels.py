"""The levels of isolation, the limits that hold at each, and what each of them lacks."""

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
ANY_CORE = -1  # where a process cannot be kept to one


@dataclass(frozen=True)
class Limits:
    """What one submission may use.

    Args:
        seconds_per_task: for all cases of a task together; None takes the task's own.
        seconds_per_cell: for one code cell.
        total_seconds: for everything, from the first cell to the last case.
        memory_bytes: address space beyond what the libraries take.
        threads: at the same time.
        scratch_bytes: for all files that it writes together; `file_bytes` for each of them.
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
    """One level of isolation on this computer. If it does not hold, `missing` says why; else what it leaves open."""

    name: str
    holds: bool
    missing: tuple[str, ...]


@cache
def levels() -> tuple[Level, ...]:
    """The levels, the strongest first, and whether each holds on this computer; tried out, not looked up.

    >>> [level.name for level in levels()]
    ['strong', 'weak']
    """
    reason = _why_not_strong()
    strong = Level(STRONG, False, (reason,)) if reason else strong_level()
    return strong, Level(WEAK, True, _missing_at_weak(reason))


def strong_level() -> Level:
    """The strong level, where it is known to hold."""
    return Level(STRONG, True, _missing_at_strong())


def strongest() -> Level:
    """The first level that holds."""
    return next(level for level in levels() if level.holds)


def find(name: str) -> Level:
    """The level called `name`.

    Raises:
        ValueError: there is none.
        RuntimeError: it does not hold here; the message says why.
    """
    found = next((level for level in levels() if level.name == name), None)
    if found is None:
        raise ValueError(f"The levels are {STRONG!r} and {WEAK!r}, not {name!r}.")
    if not found.holds:
        raise RuntimeError(found.missing[0])
    return found


ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")  # for each library
# No screen, no GPU, no files beside what is imported, nothing recorded; the same every time.
SETTINGS = {
    **ONE_THREAD,
    **{"LANG": "C.UTF-8", "PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1"},
    **{"MPLBACKEND": "Agg", "CUDA_VISIBLE_DEVICES": "", "COURSE_PROGRESS": "", "PYTHONHASHSEED": "0"},
}
SYSTEM_VARIABLES = ("LD_LIBRARY_PATH", "SYSTEMROOT")
CACHE_VARIABLES = ("HOME", "USERPROFILE", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR")
TEMPORARY_VARIABLES = ("TMPDIR", "TEMP", "TMP")


def environment(scratch: str) -> dict[str, str]:
    """The environment variables with which a worker is started: of the grader's own, only those imports need."""
    kept = {name: os.environ[name] for name in (*SYSTEM_VARIABLES, *CACHE_VARIABLES) if name in os.environ}
    return kept | SETTINGS | dict.fromkeys(TEMPORARY_VARIABLES, scratch)


def clean_environment(scratch: str) -> None:
    """After the imports: leave of the environment what a learner may know, whose only folder is `scratch`."""
    kept = {name: os.environ[name] for name in SYSTEM_VARIABLES if name in os.environ}
    os.environ.clear()
    os.environ.update(kept | SETTINGS | dict.fromkeys((*CACHE_VARIABLES, *TEMPORARY_VARIABLES), scratch))
    tempfile.tempdir = scratch  # chosen earlier, if an import has asked


def command(function: str, *arguments: object) -> list[str]:
    """A command line that starts Python and calls a function of the worker module with plain values."""
    call = f"{function}({', '.join(map(repr, arguments))})"
    paths = [place for place in sys.path if place and os.path.isdir(place)]
    start = f"import sys; sys.path[:] = {[os.path.dirname(visible.LESSON_PACKAGE), *paths]!r}"
    return [sys.executable, "-c", f"{start}; from cohort_grader.sandbox import worker; worker.{call}"]


def pin_to_core(core: int) -> None:
    """From now on compute on one core alone: a submission with many threads takes none of its neighbour's time."""
    if core != ANY_CORE:
        os.sched_setaffinity(0, {core})


def set_limits(limits: Limits, address_space: int | None, threads: bool) -> None:
    """Set the limits that the system keeps for one process. On Windows there are none.

    Args:
        address_space: what the process has taken already, in bytes; None where the system does not limit it.
        threads: whether to limit them: only where no other process of the same user is counted.
    """
    if sys.platform == "win32":
        return
    wanted = {
        "RLIMIT_CORE": 0,
        "RLIMIT_FSIZE": limits.file_bytes,
        "RLIMIT_NOFILE": 256,
        "RLIMIT_MEMLOCK": 0,
        "RLIMIT_MSGQUEUE": 0,
        "RLIMIT_CPU": int(limits.total_seconds * (os.cpu_count() or 1)) + 10,
    }
    if address_space is not None:
        wanted["RLIMIT_AS"] = address_space + limits.memory_bytes
    if threads:
        wanted["RLIMIT_NPROC"] = limits.threads
    for name, value in wanted.items():
        limit(name, value)


def _why_not_strong() -> str:
    """An empty text if the strong level holds; else the reason, as a sentence."""
    if sys.platform != "linux":
        return f"The strong level needs Linux; this is {sys.platform}."
    trial = subprocess.run(
        command("try_strong_level"), env=environment("/"), stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if trial.returncode == 0:
        return ""
    return f"The strong level does not hold here: {(trial.stderr.strip().splitlines() or ['no reason given'])[-1]}."


def _missing_at_strong() -> tuple[str, ...]:
    return () if namespaces.counts_threads() else ("Threads are not limited in number: that needs Linux 5.14.",)


def _missing_at_weak(reason: str) -> tuple[str, ...]:
    """What the weak level leaves open on this computer."""
    linux_here = sys.platform == "linux"
    found = [reason] if reason else []
    if not (linux_here and landlock.version()):
        found += ["Files of whoever runs the grader can be read and changed: solutions, other submissions, reports."]
    else:
        found += ["Names and sizes of files outside of the scratch folder can be seen."]
    if not (linux_here and seccomp.supported()):
        found += ["The network can be reached.", "Programs can be started, and can outlive the submission."]
        found += ["Other processes of whoever runs the grader can be ended."]
    if not linux_here:
        found += ["Memory is not limited.", "A submission can take the time of those that run beside it."]
    if sys.platform == "win32":
        found += ["The size of a file is not limited."]
    found += ["Threads, and the size of all files together, are not limited."]
    return (*found, "If the grader itself is killed, a submission can run on, and its scratch folder stays.")
