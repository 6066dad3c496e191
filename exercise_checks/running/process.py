"""Start another Python with a connection to it, limit a process from inside, and end one with all that it started.

This does not import torch: the grader's first process, which only starts others, is to be small.
"""

import contextlib
import ctypes
import importlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil

WINDOWS = sys.platform == "win32"
PR_SET_PDEATHSIG = 1  # the signal that this process gets as soon as its parent has ended
PR_SET_CHILD_SUBREAPER = 36  # this process becomes the parent of all that it started and whose own parents end


def start(command: list[str], connection: socket.socket, **options) -> subprocess.Popen:
    """Start a program that `take`s the connection, a stream socket, from its stdin. Ctrl-C does not reach it.

    The caller closes the connection afterwards; `options` are those of `subprocess.Popen`.
    """
    if WINDOWS and sys.executable != sys._base_executable:
        # In a virtual environment python.exe only starts the real one, to which nothing could be given.
        options["env"] = {**options.get("env", os.environ), "__PYVENV_LAUNCHER__": sys.executable}
        options["executable"] = sys._base_executable
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE if WINDOWS else connection,
        start_new_session=True,
        creationflags=subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW if WINDOWS else 0,
        **options,
    )
    if WINDOWS:
        with process.stdin as pipe:
            pipe.write(connection.share(process.pid))
    return process


def take() -> socket.socket:
    """In the program that was started: the connection. From here on, there is nothing in stdin."""
    if WINDOWS:
        return socket.fromshare(sys.stdin.buffer.read())
    connection = socket.socket(fileno=os.dup(0))
    with open(os.devnull) as nowhere:
        os.dup2(nowhere.fileno(), 0)
    return connection


def end(process: subprocess.Popen | psutil.Process, patience: float = 0.0, ask: bool = False) -> int:
    """End a child of this process and all that it started; return its exit status, or minus the signal that ended it.

    Not found is what left the child's group and whose parents have ended by themselves.

    Args:
        patience: seconds to wait for the child to end by itself, so that the reason is its own.
        ask: whether to ask it to, by SIGTERM. (Windows has none, and ends it.)
    """
    started = descendants(process.pid)
    if ask:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    if patience:
        with contextlib.suppress(subprocess.TimeoutExpired, psutil.TimeoutExpired):
            process.wait(patience)
    if hasattr(os, "killpg"):  # what is left in its group, should it have ended before what it started
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(psutil.NoSuchProcess):
        process.kill()
    kill(started)
    status = process.wait()
    return -9 if status is None else int(status)  # None: somebody else in this process has waited for it before


def descendants(number: int) -> list[psutil.Process]:
    """The processes that come from this one and have not left it."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(number).children(recursive=True)
    return []


def kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):  # it has ended, or belongs to another user by now
            process.kill()
    psutil.wait_procs(processes, timeout=1.0)


def describe(status: int) -> str:
    """The end of a process in words; `status` is its exit code, or minus the signal that ended it.

    >>> describe(3)
    'it ended itself with exit status 3.'
    """
    if status >= 0:
        return f"it ended itself with exit status {status}."
    name = next((known.name for known in signal.Signals if known == -status), f"signal {-status}")
    reasons = {"SIGSEGV": "memory that is not its own was touched", "SIGKILL": "it used too much, or was stopped"}
    return f"it was ended by {name}" + (f" ({reasons[name]})." if name in reasons else ".")


def limit(name: str, value: int) -> None:
    """Set a limit of this process, such as RLIMIT_AS, where the system has it; one that is lower already stays."""
    resource = importlib.import_module("resource")  # there is none on Windows
    if (which := getattr(resource, name, None)) is not None:
        hard = resource.getrlimit(which)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(which, (value, value))


def address_space() -> int:
    """What this process has taken of its address space, in bytes (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGESIZE")


def prctl(option: int, value: int) -> None:
    """Ask Linux for `option` (`PR_...`) of this process."""
    ctypes.CDLL(None).prctl(option, ctypes.c_ulong(value), *(ctypes.c_ulong(0),) * 3)
