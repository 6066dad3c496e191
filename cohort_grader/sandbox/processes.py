"""The processes of workers: how they are started, kept to a core, and ended. Nothing here imports torch.

At the strong level all workers come from a warmed process (`Warmed`), which has imported the libraries. Through its
door each workshop gets a world of its own (`World`), with processes, users, files and network apart from all others.
"""

import contextlib
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

from cohort_grader.sandbox import levels as sandbox
from cohort_grader.sandbox import namespaces, worker
from cohort_grader.sandbox.levels import Limits
from exercise_checks.running import other_process
from exercise_checks.running.other_process import describe

GRACE = 2.0  # seconds beyond its own limit that a worker has to say so itself, before it is stopped
START = 120.0  # seconds to import torch on a busy machine
GONE = "No worker can be started: the process that starts them is gone."


class Process(Protocol):
    """A worker's process, as its judge needs it."""

    def kill(self) -> int:
        """End it, wait until it has ended, and return its exit status, or minus the signal that ended it."""

    def how_it_ended(self) -> str:
        """Why it has closed its connection, as a sentence."""


class Core:
    """A processor core for a workshop's workers: one that no other workshop on this computer has, as far as they go."""

    def __init__(self):
        self.number, self.held = sandbox.ANY_CORE, None
        if sys.platform != "linux":
            return
        cores = sorted(os.sched_getaffinity(0))
        self.held = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        for self.number in cores:
            # A name beside the file system: it is taken once, and is free again as soon as its process has ended.
            with contextlib.suppress(OSError):
                self.held.bind(f"\0convolution-course-grading-{os.getuid()}-{self.number}")
                return
        self.number = cores[os.getpid() % len(cores)]

    def give_back(self) -> None:
        if self.held:
            self.held.close()


# ---------------------------------------------------------------------------------------------------------
# The strong level
# ---------------------------------------------------------------------------------------------------------


class Warmed:
    """A process that imports everything, and then forks a world for each connection that is sent through its door.

    It ends with whoever started it: as soon as the door is closed, and with it go all worlds. A `World` may be asked
    for at once; the answer comes when the imports are done.

    Args:
        limits: for each submission.
        imports: modules beside those that every sheet needs.
    """

    def __init__(self, limits: Limits, imports: Sequence[str] = ()):
        self.door, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self.process = subprocess.Popen(
                sandbox.command("warm", theirs.fileno(), tuple(imports), *astuple(limits)),
                env=sandbox.environment(namespaces.for_imports()),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C is for the grader
            )

    def __enter__(self) -> "Warmed":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        self.door.close()  # at which it ends, and everything in its worlds
        try:
            self.process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class World:
    """One workshop's own world, and the process in it that starts workers when asked.

    Args:
        core: on which workers run.
        imports, door: as in `Workshop`.

    Raises:
        RuntimeError: there is no such world; the sentence says why.
    """

    def __init__(self, limits: Limits, core: int, imports: Sequence[str], door: socket.socket | None):
        self.lock, self.closed = threading.Lock(), False
        self.warmed = None if door else Warmed(limits, imports)
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        answer = b""
        with theirs, contextlib.suppress(OSError):
            socket.send_fds(door or self.warmed.door, [worker.CORE.pack(core)], [theirs.fileno()])
        with contextlib.suppress(OSError):
            self.control.settimeout(START)
            answer = self.control.recv(4096)
        if answer != worker.READY:
            self.close()
            raise RuntimeError(f"No worker can be prepared: {answer.decode(errors='replace') or 'it ended at once'}.")

    def start(self) -> tuple["Roomer", socket.socket]:
        """Start a worker; return it and the connection to it."""
        ours, theirs = socket.socketpair()
        packet, handles = b"", []
        with self.lock, theirs, contextlib.suppress(OSError):
            socket.send_fds(self.control, [worker.PID.pack(worker.OPEN, 0)], [theirs.fileno()])
            packet, handles, _, _ = socket.recv_fds(self.control, 64, 1)
        if not handles:
            ours.close()
            raise RuntimeError(GONE)
        return Roomer(self, worker.PID.unpack(packet)[1], handles[0]), ours

    def reap(self, number: int) -> int:
        """Wait for the end of a worker; return its status as `os.waitpid` gives it.

        Raises:
            RuntimeError: the world has ended, and all in it: what its worker did is not the reason, or not known to be.
        """
        with self.lock, contextlib.suppress(OSError):
            self.control.send(worker.PID.pack(worker.REAP, number))
            packet = self.control.recv(64)
            if packet:
                return worker.PID.unpack(packet)[1]
        if self.closed:
            return signal.SIGKILL
        raise RuntimeError(GONE)

    def close(self) -> None:
        """End the world, and wait until it has ended, and all in it."""
        self.closed = True
        with contextlib.suppress(OSError):  # it is gone, or was closed before
            self.control.shutdown(socket.SHUT_WR)  # at which it ends
            self.control.settimeout(GRACE)
            while self.control.recv(64):
                pass
        self.control.close()
        if self.warmed:
            self.warmed.close()


class Roomer:
    """A worker in its room. Its number is one in the world of its workshop; `handle` is good here."""

    def __init__(self, world: World, number: int, handle: int):
        self.world, self.number, self.handle = world, number, handle
        self.status: int | None = None

    def kill(self) -> int:
        if self.status is None:
            self.status = -signal.SIGKILL  # should its world be gone, `reap` says so once
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.handle, signal.SIGKILL)
            os.close(self.handle)
            self.status = os.waitstatus_to_exitcode(self.world.reap(self.number))
        return self.status

    def how_it_ended(self) -> str:
        # It has closed its connection: give it the time to end by itself, so that the reason is its own.
        select.select([self.handle], [], [], GRACE)
        return describe(self.kill())


# ---------------------------------------------------------------------------------------------------------
# The weak level
# ---------------------------------------------------------------------------------------------------------


class Spawning:
    """A process of its own, and a scratch folder on disk, for each worker."""

    def __init__(self, limits: Limits, core: int, imports: Sequence[str]):
        self.arguments = (core, tuple(imports), *astuple(limits))
        self.processes: set[Spawned] = set()

    def start(self) -> tuple["Spawned", socket.socket]:
        """Start a worker; return it and the connection to it."""
        ours, theirs = socket.socketpair()
        with theirs:
            process = Spawned(self, theirs)
        return process, ours

    def close(self) -> None:
        for process in tuple(self.processes):
            process.kill()


class Spawned:
    """A worker at the weak level."""

    def __init__(self, workshop: Spawning, connection: socket.socket):
        self.workshop, self.folder = workshop, tempfile.mkdtemp(prefix="grading-")
        scratch, for_imports = (os.path.join(self.folder, name) for name in ("scratch", "imports"))
        os.mkdir(scratch)
        os.mkdir(for_imports)
        self.process = other_process.start(
            lambda number: sandbox.command("spawned", number, *workshop.arguments),
            connection,
            cwd=scratch,
            env=sandbox.environment(for_imports),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        workshop.processes.add(self)

    def kill(self) -> int:
        """End it, and what it started as far as that can be found; return its exit status."""
        if self in self.workshop.processes:
            other_process.end(self.process)
            _remove(self.folder)
            self.workshop.processes.discard(self)
        return self.process.returncode

    def how_it_ended(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(GRACE)
        return describe(self.kill())


def _remove(folder: str) -> None:
    """Remove a folder in which a learner's code may have taken away the right to delete. No link is followed."""
    for place, names, _ in os.walk(folder):
        for path in (os.path.join(place, name) for name in names):
            if not os.path.islink(path):
                os.chmod(path, 0o700)  # before it is listed
    shutil.rmtree(folder)
