"""Another Python on this computer: started with one end of a connection, ended with all that it started."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable

WINDOWS = sys.platform == "win32"


def start(command: Callable[[int], list[str]], connection: socket.socket, **options) -> subprocess.Popen:
    """Start a program that `take`s the connection. Ctrl-C does not reach it.

    Args:
        command: the command line, given the number by which the program takes the connection.
        connection: a stream socket; the caller closes it afterwards.
        options: more of those of `subprocess.Popen`.
    """
    number = 0 if WINDOWS else connection.fileno()
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


def end(process: subprocess.Popen, patience: float = 0.0) -> int:
    """End it, and what it started as far as that can be found; return its exit status.

    Args:
        patience: seconds to wait for it to end by itself, so that the reason is its own.
    """
    if patience:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):  # nobody is left in its group
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    return process.wait()


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
