"""Start another Python with a connection to it; end a process with all that it started, and say how it ended.

This does not import torch: the grader's first process, which only starts others, is to be small.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable

import psutil

WINDOWS = sys.platform == "win32"
KILLED = 1.0  # seconds after which a process that was killed should be gone


def start(command: Callable[[int], list[str]], connection: socket.socket, **options) -> subprocess.Popen:
    """Start a program that `take`s the connection. Ctrl-C does not reach it.

    Args:
        command: makes the command line of the number by which the program takes the connection.
        connection: a stream socket; the caller closes it afterwards.
        options: of `subprocess.Popen`.
    """
    number = 0 if WINDOWS else connection.fileno()
    if WINDOWS and sys.executable != sys._base_executable:
        # In a virtual environment python.exe only starts the real one, to which nothing could be given.
        options["env"] = {**options.get("env", os.environ), "__PYVENV_LAUNCHER__": sys.executable}
        options["executable"] = sys._base_executable
    process = subprocess.Popen(
        command(number),
        stdin=subprocess.PIPE if WINDOWS else subprocess.DEVNULL,
        pass_fds=() if WINDOWS else (number,),
        start_new_session=True,
        creationflags=subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW if WINDOWS else 0,
        **options,
    )
    if WINDOWS:
        with process.stdin as pipe:
            pipe.write(connection.share(process.pid))
    return process


def take(number: int) -> socket.socket:
    """In the program that was started: the connection. On Windows it comes through stdin, whatever the number."""
    return socket.fromshare(sys.stdin.buffer.read()) if WINDOWS else socket.socket(fileno=number)


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
    try:
        return psutil.Process(number).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):  # it has ended, or belongs to another user by now
            process.kill()
    psutil.wait_procs(processes, KILLED)


def describe(status: int) -> str:
    """The end of a process in words; `status` is its exit code, or minus the signal that ended it.

    >>> describe(3)
    'it ended itself with exit status 3.'
    """
    if status >= 0:
        return f"it ended itself with exit status {status}."
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    reasons = {"SIGSEGV": "memory that is not its own was touched", "SIGKILL": "it used too much, or was stopped"}
    return f"it was ended by {name}" + (f" ({reasons[name]})." if name in reasons else ".")
