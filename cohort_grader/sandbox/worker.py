"""The untrusted side: a process in which a learner's cells run, and that answers the judge's requests.

Three ways to begin, each called by a command line of `sandbox.command`: `warm` (the strong level: import once, fork a
world for each workshop, and from there a worker into a room of its own for each submission), `spawned` (the weak level:
one process per submission), and `try_strong_level`. Nothing in these processes knows a right answer.
"""

import contextlib
import gc
import importlib
import os
import random
import socket
import struct
import sys
from functools import partial
from pathlib import Path

from cohort_grader.sandbox import landlock, linux, namespaces, seccomp
from cohort_grader.sandbox import levels as sandbox
from cohort_grader.sandbox import visible as world
from cohort_grader.sandbox.levels import Limits
from exercise_checks.running import limits as system_limits
from exercise_checks.running import other_process

# Requests and replies of a worker; BEGUN comes while a cell runs, with the number of a statement.
STARTED, RUN, OBSERVE, SEARCH, BEGUN = 0, 1, 2, 3, 4
# To a warmed process: the core for a world's workers, and with it the connection to who asks. From the world: READY.
CORE = struct.Struct("!q")
READY = b"ready"
# Requests to a world; each is one packet.
OPEN, REAP = b"o", b"r"
PID = struct.Struct("!cq")
PRELOADED = ("torch.optim", "matplotlib.pyplot", "IPython.display", "tqdm.auto", "numpy.random")
# What else a sheet's solution imports while it runs, if that takes long. In another sheet a learner may import it, too.
PRELOADED_FOR = {
    "11_fast_conv": ("torch.distributed.tensor",),  # by torch.testing.assert_close
    "13_lenet": ("torch._dynamo", "sklearn.datasets"),
}
LESSONS = ("ops", "layers", "arithmetic", "filters", "data", "lenet", "plotting", "training")
# Not all of these can be read any more once the walls stand.
OWN = (
    "exercise_checks.running.observing",
    "exercise_checks.running.protocol",
    "cohort_grader.cells",
    "cohort_grader.forbidden",
)


# ---------------------------------------------------------------------------------------------------------
# Serving one submission
# ---------------------------------------------------------------------------------------------------------


def say_started(connection: socket.socket, trouble: str = "") -> None:
    """Tell the judge that all walls stand and no cell has run yet, or what the trouble is."""
    from exercise_checks.running.protocol import Channel

    Channel(connection, most=0).send(STARTED, 0, trouble)


def serve(connection: socket.socket) -> None:
    """Answer requests until the judge closes the connection. From the first cell on, nothing here is to be believed."""
    import numpy
    import torch

    from cohort_grader import forbidden
    from cohort_grader.cells import Notebook
    from exercise_checks.running.protocol import Channel, Gone

    channel, notebook = Channel(connection, most=1 << 31), Notebook()
    # The same submission, the same marks. (torch.manual_seed would look for all kinds of GPUs, too.)
    for seed in (random.seed, numpy.random.seed, torch.default_generator.manual_seed):
        seed(0)
    while True:
        try:
            kind, token, request = channel.receive()
        except Gone:
            return
        if kind == RUN:
            channel.send(kind, token, notebook.run(*request, begin=partial(channel.send, BEGUN, token)))
        elif kind == SEARCH:
            channel.send(kind, token, forbidden.search(*request))
        elif kind == OBSERVE:
            channel.send(kind, token, _observe(notebook.names, *request))


def _observe(names: dict, entry: str, use: str, arguments: tuple, options: dict, gradient: bool) -> tuple:
    """Use what the notebook calls `entry` on one case."""
    from exercise_checks.running.observing import Case, Failure, FailureKind, Observation, observe
    from exercise_checks.running.protocol import from_observation

    if entry not in names:
        words = f"Nothing called `{entry}` is defined: its cell is missing, was not finished, or raised an error."
        return from_observation(Observation(failure=Failure(FailureKind.UNUSABLE, words)))
    return from_observation(observe(use, names[entry], [Case("", arguments, options, gradient)])[0])


# ---------------------------------------------------------------------------------------------------------
# The strong level
# ---------------------------------------------------------------------------------------------------------


def warm(door: int, imports: tuple[str, ...], *limits) -> None:
    """Import everything in a world without network, and fork a world behind all walls for each connection that comes.

    Args:
        door: descriptor of a packet socket to the grader.
        imports: modules beside those that every sheet needs.
        limits: the fields of `Limits`.
    """
    with socket.socket(fileno=door) as grader:
        trouble = ""
        try:
            _enter_world()
            _import_everything(imports)
            _be_ready_to_fork()
        except Exception as error:
            trouble = _words(error)
        while True:
            packet, descriptors, _, _ = socket.recv_fds(grader, CORE.size, 1)
            if not packet:
                os._exit(0)
            # Should this one not be served any more, others are.
            with socket.socket(fileno=descriptors[0]) as judge, contextlib.suppress(OSError):
                if trouble:
                    judge.send(trouble.encode())
                elif os.fork() == 0:
                    grader.close()
                    _end_with(partial(_keep_rooms, judge, Limits(*limits), *CORE.unpack(packet)))


def _be_ready_to_fork() -> None:
    sandbox.enter_environment(namespaces.SCRATCH)
    if len(os.listdir("/proc/self/task")) > 1:
        raise RuntimeError("a library started a thread while it was imported, and threads do not survive a fork")
    gc.collect()
    gc.freeze()  # the collector would touch, and so copy, every page that workers share
    linux.take_huge_pages()


def _keep_rooms(judge: socket.socket, limits: Limits, core: int) -> None:
    """Enter a world of one's own, and serve `OPEN` and `REAP` until the judge closes the connection."""
    try:
        rooms = _Rooms(limits, core, _enter_world())
    except Exception as error:
        judge.send(_words(error).encode())
        raise
    judge.send(READY)
    rooms.receive(judge)


class _Rooms:
    """A world with one room per submission."""

    def __init__(self, limits: Limits, core: int, as_nobody: bool):
        self.limits, self.core, self.as_nobody = limits, core, as_nobody
        self.address_space = system_limits.address_space()
        self.namespace = namespaces.own_process_namespace()
        with contextlib.suppress(OSError):  # a wish, not a wall: should memory run out, nobody else is to end
            Path("/proc/self/oom_score_adj").write_text("1000")
        namespaces.furnish()

    def receive(self, judge: socket.socket) -> None:
        while True:
            packet, descriptors, _, _ = socket.recv_fds(judge, 64, 1)
            if not packet:
                return
            action, number = PID.unpack(packet)
            if action == OPEN:
                self.open(judge, descriptors[0])
            else:
                judge.send(PID.pack(REAP, os.waitpid(number, 0)[1]))

    def open(self, judge: socket.socket, connection: int) -> None:
        child = namespaces.start_in_room(self.namespace)
        if child == 0:
            judge.close()
            _end_with(lambda: self._live(connection))
        os.close(connection)
        handle = os.pidfd_open(child)
        socket.send_fds(judge, [PID.pack(OPEN, child)], [handle])
        os.close(handle)

    def _live(self, connection: int) -> None:
        os.close(self.namespace)
        with socket.socket(fileno=connection) as stream:
            try:
                namespaces.close_door(self.limits.scratch_bytes, self.as_nobody)
                sandbox.keep_to(self.core)
                sandbox.restrain(self.limits, self.address_space, threads=namespaces.counts_threads())
                seccomp.install()
            except Exception as error:
                say_started(stream, _words(error))
                raise
            say_started(stream)
            serve(stream)


def _words(error: Exception) -> str:
    """What went wrong, without the full stop that whoever quotes it sets."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror + (f": {error.filename}" if error.filename else "")
    return f"{type(error).__name__}: {error}".rstrip(".")


def _end_with(life) -> None:
    """Live, and end without running anything that waits for the end of the process."""
    status = 1
    try:
        life()
        status = 0
    except Exception as error:
        print(_words(error), file=sys.stderr, flush=True)
    finally:
        os._exit(status)


def _enter_world() -> bool:
    """Go on in a world of one's own; returns whether workers can become another user than the grader.

    Only children are in the new process namespace: this process waits for its child, and ends as that does.
    """
    as_nobody = _leave_world()
    child = os.fork()
    if child:
        os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 255)
    _die_with_parent()
    return as_nobody


def _leave_world() -> bool:
    """Returns whether workers can become another user than the grader."""
    user, group = os.geteuid(), os.getegid()
    if user == 0:
        helped = _leave_with_helper(user, group)
    else:
        helped = False
        namespaces.leave_world()
    if not helped:
        namespaces.write_id_maps("self", user, group, helper=False)
    namespaces.take_place_for_imports()
    return helped


def _leave_with_helper(user: int, group: int) -> bool:
    """As root: leave the world, and let a process that has not left it write number maps that nobody else may.

    Returns False if it could not: a root without these rights, as in some containers, is limited like other users.
    """
    left, waiting = socket.socketpair()
    with left, waiting:
        me, helper = os.readlink("/proc/self"), os.fork()  # its number there, which in a world is another one inside
        if helper == 0:
            left.close()
            if waiting.recv(1):
                _end_with(lambda: namespaces.write_id_maps(me, user, group, helper=True))
            os._exit(1)
        try:
            namespaces.leave_world()
            left.send(b"!")
        finally:
            left.close()
            status = os.waitpid(helper, 0)[1]
    return status == 0


def _import_everything(imports: tuple[str, ...]) -> None:
    gc.disable()  # hardly anything that imports make is garbage, and to look for it takes a quarter of their time
    import torch

    torch.set_num_threads(1)
    for name in (*PRELOADED, *(f"course_utils.{name}" for name in LESSONS), *OWN):
        importlib.import_module(name)
    for name in imports:
        with contextlib.suppress(ImportError):  # it would only have saved time
            importlib.import_module(name)
    from cohort_grader.cells import hide_checking

    hide_checking()
    gc.enable()


def _die_with_parent() -> None:
    system_limits.die_with_parent()


def try_strong_level() -> None:
    """Build every wall of the strong level once, without importing torch; exit status 0 if all of them stand."""
    if not seccomp.supported():
        sys.exit(f"there is no table of system calls for the processor {linux.processor()}.")
    try:
        _enter_world()  # where the libraries would be imported
        as_nobody = _enter_world()
        rooms = namespaces.own_process_namespace()
        namespaces.furnish()
        worker = namespaces.start_in_room(rooms)
        if worker == 0:
            _end_with(lambda: (namespaces.close_door(1 << 20, as_nobody), seccomp.install()))
    except OSError as error:
        sys.exit(_words(error))
    sys.exit(os.waitpid(worker, 0)[1] != 0)  # it has said why


# ---------------------------------------------------------------------------------------------------------
# The weak level
# ---------------------------------------------------------------------------------------------------------


def spawned(connection: int, core: int, imports: tuple[str, ...], *limits) -> None:
    """Serve one submission in this process, which was started for it alone, in its scratch folder.

    Args:
        connection: number of a stream socket to the judge, for `other_process.take`.
        core: on which it runs.
        imports: modules beside those that every sheet needs.
        limits: the fields of `Limits`.
    """
    with other_process.take(connection) as stream:
        try:
            _import_everything(imports)
            sandbox.enter_environment(os.getcwd())
            sandbox.keep_to(core)
            _wall_in(Limits(*limits))
        except Exception as error:
            say_started(stream, _words(error))
            return
        say_started(stream)
        serve(stream)


def _wall_in(limits: Limits) -> None:
    """What can be had without namespaces: folders and system calls on Linux, and the limits that each system keeps."""
    if sys.platform != "linux":
        sandbox.restrain(limits, None, threads=False)
        return
    taken = system_limits.address_space()
    if landlock.version():
        readable = [path for path in (*world.libraries(), str(world.LESSON_PACKAGE)) if os.path.exists(path)]
        landlock.restrict(readable, [os.getcwd(), *world.DEVICES])
    sandbox.restrain(limits, taken, threads=False)
    if seccomp.supported():
        seccomp.install(seccomp.METADATA[linux.processor()])
