"""Start the workers' processes, pin them to a core, and end them. Nothing here imports torch.

At the strong level all workers come from one process that has imported the libraries (`Preloaded`). On request it forks
a sandbox for each pool (`Sandbox`), whose processes, users, files and network are separate from all others. The sandbox
forks a child for each worker.
"""

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import astuple
from typing import Protocol

from cohort_grader.sandbox import levels, namespaces, worker
from cohort_grader.sandbox.levels import Limits
from exercise_checks.running import process

GRACE = 2.0  # seconds that a process gets to end by itself before it is killed
START = 120.0  # seconds to import torch on a busy machine
GONE = "No worker can be started: the process that starts them has ended."


class Process(Protocol):
    """A worker's process, as the judge uses it."""

    def kill(self) -> int:
        """Kill it, wait until it has ended, and return its exit status, or minus the signal that ended it."""

    def wait(self) -> int:
        """The same, but first give it a moment to end by itself, so that the status shows why it ended."""


class Core:
    """A processor core for a pool's workers, not used by any other pool as long as there are enough cores."""

    def __init__(self):
        self.number, self.held = levels.ANY_CORE, None
        if sys.platform != "linux":
            return
        cores = sorted(os.sched_getaffinity(0))
        self.held = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        for self.number in cores:
            # An abstract socket name serves as a lock: only one process can bind it, and the kernel frees it at exit.
            with contextlib.suppress(OSError):
                self.held.bind(f"\0convolution-course-grading-{os.getuid()}-{self.number}")
                return
        self.number = cores[os.getpid() % len(cores)]

    def release(self) -> None:
        if self.held:
            self.held.close()


# ---------------------------------------------------------------------------------------------------------
# The strong level
# ---------------------------------------------------------------------------------------------------------


class Preloaded:
    """A process that imports the libraries, then forks a sandbox for each connection that is sent to it.

    It ends, together with all its sandboxes, as soon as `control` is closed, so at the latest when its parent ends. A
    `Sandbox` may be requested immediately; the reply comes when the imports are done.

    Args:
        limits: for each submission.

    Attributes:
        control: the socket by which sandboxes are requested.
    """

    def __init__(self, limits: Limits):
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self.process = subprocess.Popen(
                levels.command("preload", theirs.fileno(), *astuple(limits)),
                env=levels.environment(namespaces.cache_folder()),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C must reach only the grader
            )

    def __enter__(self) -> "Preloaded":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        self.control.close()  # this ends the process and all its sandboxes
        try:
            self.process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Sandbox:
    """The namespaces in which one pool's workers run, and the process in them that forks workers on request.

    Args:
        limits: for each submission.
        core: the core that workers run on.
        imports: modules to import in advance, in addition to those that every sheet needs.
        control: socket of a `Preloaded` with the same limits; None starts one for this sandbox.

    Raises:
        RuntimeError: the sandbox cannot be made; the message says why.
    """

    def __init__(self, limits: Limits, core: int, imports: Sequence[str], control: socket.socket | None):
        self.lock, self.closed = threading.Lock(), False
        self.preloaded = None if control else Preloaded(limits)
        self.connection, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        request, reply = json.dumps([core, list(imports)]).encode(), b""
        with theirs, contextlib.suppress(OSError):
            socket.send_fds(control or self.preloaded.control, [request], [theirs.fileno()])
        with contextlib.suppress(OSError):
            self.connection.settimeout(START)
            reply = self.connection.recv(worker.LONGEST_PACKET)
        if reply != worker.READY:
            self.close()
            raise RuntimeError(f"No worker can be prepared: {reply.decode(errors='replace') or 'it ended at once'}.")

    def start(self) -> tuple["SandboxedChild", socket.socket]:
        """Start a worker; return its process and the connection to it."""
        ours, theirs = socket.socketpair()
        packet, handles = b"", []
        with self.lock, theirs, contextlib.suppress(OSError):
            socket.send_fds(self.connection, [worker.PID.pack(worker.OPEN, 0)], [theirs.fileno()])
            packet, handles, _, _ = socket.recv_fds(self.connection, 64, 1)
        if not handles:
            ours.close()
            raise RuntimeError(GONE)
        return SandboxedChild(self, worker.PID.unpack(packet)[1], handles[0]), ours

    def reap(self, number: int) -> int:
        """Wait for the end of a worker; return its status as `os.waitpid` gives it.

        Raises:
            RuntimeError: the whole sandbox has ended, so this worker's status is unknown.
        """
        with self.lock, contextlib.suppress(OSError):
            self.connection.send(worker.PID.pack(worker.REAP, number))
            packet = self.connection.recv(64)
            if packet:
                return worker.PID.unpack(packet)[1]
        if self.closed:
            return signal.SIGKILL
        raise RuntimeError(GONE)

    def close(self) -> None:
        """End the sandbox, and wait until every process in it has ended."""
        self.closed = True
        with contextlib.suppress(OSError):  # it has ended, or was closed before
            self.connection.shutdown(socket.SHUT_WR)  # this ends the sandbox
            self.connection.settimeout(GRACE)
            while self.connection.recv(64):
                pass
        self.connection.close()
        if self.preloaded:
            self.preloaded.close()


class SandboxedChild:
    """A worker at the strong level. `number` is its PID inside the sandbox, `handle` a pidfd of it in this process."""

    def __init__(self, sandbox: Sandbox, number: int, handle: int):
        self.sandbox, self.number, self.handle = sandbox, number, handle
        self.status: int | None = None

    def kill(self) -> int:
        if self.status is None:
            self.status = -signal.SIGKILL  # if the sandbox has ended, `reap` raises only once
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.handle, signal.SIGKILL)
            os.close(self.handle)
            self.status = os.waitstatus_to_exitcode(self.sandbox.reap(self.number))
        return self.status

    def wait(self) -> int:
        select.select([self.handle], [], [], GRACE)
        return self.kill()


# ---------------------------------------------------------------------------------------------------------
# The weak level
# ---------------------------------------------------------------------------------------------------------


class Spawner:
    """Starts a process with a scratch folder on disk for each worker. Takes the arguments of `Sandbox`."""

    def __init__(self, limits: Limits, core: int, imports: Sequence[str]):
        self.arguments = (core, tuple(imports), *astuple(limits))
        self.children: set[SpawnedChild] = set()

    def start(self) -> tuple["SpawnedChild", socket.socket]:
        """Start a worker; return its process and the connection to it."""
        ours, theirs = socket.socketpair()
        with theirs:
            child = SpawnedChild(self, theirs)
        return child, ours

    def close(self) -> None:
        for child in tuple(self.children):
            child.kill()


class SpawnedChild:
    """A worker at the weak level."""

    def __init__(self, spawner: Spawner, connection: socket.socket):
        self.spawner, self.folder = spawner, tempfile.mkdtemp(prefix="grading-")
        scratch, caches = (os.path.join(self.folder, name) for name in ("scratch", "caches"))
        os.mkdir(scratch)
        os.mkdir(caches)
        self.process = process.start(
            levels.command("run_spawned", *spawner.arguments),
            connection,
            cwd=scratch,
            env=levels.environment(caches),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        spawner.children.add(self)

    def kill(self) -> int:
        """End it, and the processes it started if they can be found; return its exit status."""
        if self in self.spawner.children:
            self.spawner.children.discard(self)
            process.end(self.process)
            _remove(self.folder)
        return self.process.returncode

    def wait(self) -> int:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(GRACE)
        return self.kill()


def _remove(folder: str) -> None:
    """Remove a folder even if a learner's code has removed the permission to do so. No link is followed."""
    with contextlib.suppress(OSError, RecursionError):  # made too deep on purpose: then it stays
        for parent, names, _ in os.walk(folder):
            for path in (os.path.join(parent, name) for name in names):
                if not os.path.islink(path):
                    os.chmod(path, 0o700)  # before os.walk lists it
    with contextlib.suppress(RecursionError):
        shutil.rmtree(folder, ignore_errors=True)
