"""The untrusted side: a process that runs a learner's cells and replies to the judge's requests.

There are three entry points, each called by a command line of `levels.command`: `preload` (the strong level: import
once, fork a sandbox for each pool, which forks a worker for each submission), `run_spawned` (the weak level: one
process per submission), and `try_strong_level`. None of these processes holds a right answer.
"""

import contextlib
import gc
import importlib
import json
import os
import pkgutil
import random
import signal
import socket
import struct
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from cohort_grader.sandbox import landlock, levels, linux, namespaces, seccomp, visible
from cohort_grader.sandbox.levels import Limits
from exercise_checks.running import process

# Requests and replies of a worker. BEGUN is sent while a cell runs, with the number of the next statement.
STARTED, RUN, OBSERVE, SEARCH, BEGUN = 0, 1, 2, 3, 4
# A request for a sandbox is a JSON packet with a core and a list of modules, plus a socket. The reply on that socket is
# READY or an error message. Then the sandbox receives OPEN and REAP requests on it, one packet each.
READY = b"ready"
OPEN, REAP = b"o", b"r"
PID = struct.Struct("!cq")
LONGEST_PACKET = 4096
PRELOADED = ("torch.optim", "matplotlib.pyplot", "IPython.display", "tqdm.auto", "numpy.random")
# Modules that `serve` needs. They are imported early because their files cannot be read from inside the sandbox.
OWN = (
    "exercise_checks.running.observing",
    "exercise_checks.running.protocol",
    "cohort_grader.cells",
    "cohort_grader.forbidden",
)


# ---------------------------------------------------------------------------------------------------------
# Serving one submission
# ---------------------------------------------------------------------------------------------------------


def send_started(connection: socket.socket, problem: str = "") -> None:
    """Tell the judge that the sandbox is complete and no cell has run yet, or what the problem is."""
    from exercise_checks.running.protocol import Channel

    Channel(connection, most=0).send(STARTED, 0, problem)


def serve(connection: socket.socket) -> None:
    """Reply to requests until the judge closes the connection. Once a cell has run, no reply can be trusted."""
    import numpy
    import torch

    from cohort_grader import forbidden
    from cohort_grader.cells import Notebook
    from exercise_checks.running.protocol import Channel, Gone

    channel, notebook = Channel(connection, most=1 << 31), Notebook()
    # Fixed seeds give a submission the same marks in every run. (torch.manual_seed would also look for GPUs.)
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


def _observe(names: dict, entry: str, use: str, arguments: tuple, options: dict, gradient: bool):
    """Run what the notebook defines as `entry` on one case, and return the observation."""
    from exercise_checks.running.observing import Case, Failure, FailureKind, Observation, observe

    if entry not in names:
        words = f"`{entry}` is not defined: its cell is missing, did not finish, or raised an error."
        return Observation(failure=Failure(FailureKind.UNUSABLE, words))
    return observe(use, names[entry], [Case("", arguments, options, gradient)])[0]


# ---------------------------------------------------------------------------------------------------------
# The strong level
# ---------------------------------------------------------------------------------------------------------


def preload(control: int, *limits) -> None:
    """Import everything in namespaces without network, then fork a sandbox for each connection that is received.

    Args:
        control: descriptor of a packet socket to the grader.
        limits: the fields of `Limits`.
    """
    with socket.socket(fileno=control) as grader:
        problem = ""
        try:
            _enter_namespaces()
            _import_everything()
        except Exception as error:
            problem = _describe(error)
        while True:
            packet, descriptors, _, _ = socket.recv_fds(grader, LONGEST_PACKET, 1)
            if not packet:
                os._exit(0)
            # If the pool that sent this request is gone, go on with the others.
            with socket.socket(fileno=descriptors[0]) as judge, contextlib.suppress(OSError):
                core, imports = json.loads(packet)
                try:
                    if not problem:
                        _prepare_to_fork(imports)
                except Exception as error:
                    problem = _describe(error)
                if problem:
                    judge.send(problem.encode())
                elif os.fork() == 0:
                    grader.close()
                    _run_and_exit(partial(_run_sandbox, judge, Limits(*limits), core))


def _prepare_to_fork(imports: Iterable[str]) -> None:
    """Import the modules that are missing, then make sure that the process can be forked, and quickly."""
    if gc.get_freeze_count() and sys.modules.keys() >= set(imports):
        return
    _import_where_possible(imports)
    if len(os.listdir("/proc/self/task")) > 1:
        raise RuntimeError("a library started a thread while it was imported, and threads do not survive a fork")
    gc.collect()
    gc.freeze()  # the collector would write to every page that workers share, and so copy it
    linux.take_huge_pages()


def _run_sandbox(judge: socket.socket, limits: Limits, core: int) -> None:
    """Enter new namespaces, then handle `OPEN` and `REAP` requests until the judge closes the connection."""
    try:
        levels.clean_environment(namespaces.SCRATCH)
        sandbox = _Sandbox(limits, core, _enter_namespaces())
    except Exception as error:
        judge.send(_describe(error).encode())
        raise
    judge.send(READY)
    sandbox.serve(judge)


class _Sandbox:
    """The process in a sandbox that forks a worker for each submission."""

    def __init__(self, limits: Limits, core: int, as_nobody: bool):
        self.limits, self.core, self.as_nobody = limits, core, as_nobody
        self.address_space = process.address_space()
        self.namespace = namespaces.open_process_namespace()
        with contextlib.suppress(OSError):  # optional: if memory runs out, Linux kills this sandbox first
            Path("/proc/self/oom_score_adj").write_text("1000")
        namespaces.build_root()

    def serve(self, judge: socket.socket) -> None:
        while True:
            packet, descriptors, _, _ = socket.recv_fds(judge, 64, 1)
            if not packet:
                return
            action, number = PID.unpack(packet)
            if action == OPEN:
                self._start_worker(judge, descriptors[0])
            else:
                judge.send(PID.pack(REAP, os.waitpid(number, 0)[1]))

    def _start_worker(self, judge: socket.socket, connection: int) -> None:
        child = namespaces.fork_into_namespace(self.namespace)
        if child == 0:
            judge.close()
            _run_and_exit(lambda: self._run_worker(connection))
        os.close(connection)
        handle = os.pidfd_open(child)
        socket.send_fds(judge, [PID.pack(OPEN, child)], [handle])
        os.close(handle)

    def _run_worker(self, connection: int) -> None:
        os.close(self.namespace)
        with socket.socket(fileno=connection) as stream:
            try:
                namespaces.confine(self.limits.scratch_bytes, self.as_nobody)
                levels.pin_to_core(self.core)
                levels.set_limits(self.limits, self.address_space, threads=namespaces.counts_threads())
                seccomp.install()
            except Exception as error:
                send_started(stream, _describe(error))
                raise
            send_started(stream)
            serve(stream)


def _describe(error: Exception) -> str:
    """Describe an error in words, without a final period: the sentence that quotes it adds one."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror + (f": {error.filename}" if error.filename else "")
    return f"{type(error).__name__}: {error}".rstrip(".")


def _run_and_exit(work: Callable[[], None]) -> None:
    """Run `work`, then exit without running cleanup handlers, which belong to the parent process."""
    status = 1
    try:
        work()
        status = 0
    except Exception as error:
        print(_describe(error), file=sys.stderr, flush=True)
    finally:
        os._exit(status)


def _enter_namespaces() -> bool:
    """Continue in new namespaces; return whether workers can run as a different user than the grader.

    Only children enter the new process namespace, so this process forks, waits for its child, and exits as that does.
    """
    as_nobody = _unshare()
    child = os.fork()
    if child:
        os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 255)
    process.prctl(process.PR_SET_PDEATHSIG, signal.SIGKILL)
    return as_nobody


def _unshare() -> bool:
    """Enter new namespaces; return whether workers can run as a different user than the grader."""
    user, group = os.geteuid(), os.getegid()
    if user == 0:
        helped = _unshare_with_helper(user, group)
    else:
        helped = False
        namespaces.unshare_all()
    if not helped:
        namespaces.write_id_maps("self", user, group, helper=False)
    namespaces.mount_cache_folder()
    return helped


def _unshare_with_helper(user: int, group: int) -> bool:
    """As root: enter new namespaces, and let a helper outside write the ID maps that include "nobody".

    Returns False if the helper could not: in some containers root lacks this capability, like any other user.
    """
    ours, theirs = socket.socketpair()
    with ours, theirs:
        # The PID as /proc shows it: inside a sandbox, which has PIDs of its own, `os.getpid` returns a different one.
        me, helper = os.readlink("/proc/self"), os.fork()
        if helper == 0:
            ours.close()
            if theirs.recv(1):
                _run_and_exit(lambda: namespaces.write_id_maps(me, user, group, helper=True))
            os._exit(1)
        try:
            namespaces.unshare_all()
            ours.send(b"!")
        finally:
            ours.close()
            status = os.waitpid(helper, 0)[1]
    return status == 0


def _import_everything(imports: Iterable[str] = ()) -> None:
    """Import what every sheet needs, `course_utils`, what `serve` needs, and `imports` if they can be imported."""
    gc.disable()  # imports create almost no garbage, and searching for it takes a quarter of their time
    import torch

    torch.set_num_threads(1)
    lessons = (module.name for module in pkgutil.walk_packages([visible.LESSON_PACKAGE], "course_utils."))
    for name in (*PRELOADED, *lessons, *OWN):
        if not name.endswith("__main__"):
            importlib.import_module(name)
    _import_where_possible(imports)
    from cohort_grader.cells import hide_checking

    hide_checking()
    gc.enable()


def _import_where_possible(imports: Iterable[str]) -> None:
    for name in imports:
        with contextlib.suppress(ImportError):  # importing early only saves time
            importlib.import_module(name)


def try_strong_level() -> None:
    """Set up every part of the strong level once, without importing torch; exit with status 0 if all of it works."""
    if not seccomp.supported():
        sys.exit(f"there is no table of system calls for the processor {linux.processor()}")
    try:
        _enter_namespaces()  # as `preload` does before it imports the libraries
        as_nobody = _enter_namespaces()
        own = namespaces.open_process_namespace()
        namespaces.build_root()
        worker = namespaces.fork_into_namespace(own)
        if worker == 0:
            _run_and_exit(lambda: (namespaces.confine(1 << 20, as_nobody), seccomp.install()))
    except OSError as error:
        sys.exit(_describe(error))
    sys.exit(os.waitpid(worker, 0)[1] != 0)  # it has printed why


# ---------------------------------------------------------------------------------------------------------
# The weak level
# ---------------------------------------------------------------------------------------------------------


def run_spawned(core: int, imports: tuple[str, ...], *limits) -> None:
    """Serve one submission in this process, which was started for it and runs in its scratch folder.

    Args:
        core: the core to run on.
        imports: modules in addition to those that every sheet needs.
        limits: the fields of `Limits`.
    """
    with process.take() as stream:
        try:
            _import_everything(imports)
            levels.clean_environment(os.getcwd())
            levels.pin_to_core(core)
            _restrict(Limits(*limits))
        except Exception as error:
            send_started(stream, _describe(error))
            return
        send_started(stream)
        serve(stream)


def _restrict(limits: Limits) -> None:
    """Apply what works without namespaces: Landlock and seccomp on Linux, and the system's resource limits."""
    if sys.platform != "linux":
        levels.set_limits(limits, None, threads=False)
        return
    taken = process.address_space()
    if landlock.version():
        readable, listed = visible.without_hidden()
        landlock.restrict([*readable, visible.LESSON_PACKAGE], listed, [os.getcwd(), *visible.DEVICES])
    levels.set_limits(limits, taken, threads=False)
    if seccomp.supported():
        seccomp.install(seccomp.METADATA[linux.processor()])
