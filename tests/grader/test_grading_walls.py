"""The walls around a worker: what it sees, how it starts and ends, and what remains where the strong ones fail."""

import errno
import os
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from pathlib import Path

import pytest
import torch

import course_utils
from cohort_grader.sandbox import levels, linux, seccomp, visible
from cohort_grader.sandbox import pool as pool_module
from cohort_grader.sandbox.pool import CellOutcome, Limits, WorkerPool
from cohort_grader.sandbox.processes import Core, Preloaded
from exercise_checks.running.observing import Case, Failure, FailureKind
from exercise_checks.running.process import describe

ROOT = Path(course_utils.__file__).parents[1]
LIMITS = Limits(memory_bytes=1 << 30, threads=64)
STRONG_LEVEL = levels.levels()[0]
on_linux = pytest.mark.skipif(not STRONG_LEVEL.holds, reason=" ".join(STRONG_LEVEL.missing))
ONE = [Case("one", (2,))]


@pytest.fixture(scope="module")
def strong():
    with WorkerPool(LIMITS, level="strong") as pool:
        yield pool


@pytest.fixture(scope="module")
def weak():
    with WorkerPool(LIMITS, level="weak") as pool:
        yield pool


@pytest.fixture(params=[pytest.param("strong", marks=on_linux), "weak"])
def pool(request):
    return request.getfixturevalue(request.param)


def ask(pool, source: str, *args):
    """What the function `answer` in this cell returns."""
    with pool.open([textwrap.dedent(source)], "test") as worker:
        assert worker.run() == [CellOutcome(0, True, None)]
        [seen] = worker.observe("answer", "call", [Case("", args)], 20)
        assert seen.failure is None, seen.failure
        return seen.value


def gone(process: int, seconds: float = 20) -> bool:
    """Whether a process ends within this time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.05)
    return False


def descendants(process: int) -> set[int]:
    """All processes that come from this one and are no zombies."""
    stats = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent, *_ = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if state != "Z":
            stats[int(stat.parent.name)] = int(parent)
    found, fresh = set(), {process}
    while fresh:
        fresh = {child for child, parent in stats.items() if parent in fresh}
        found |= fresh
    return found


# ---------------------------------------------------------------------------------------------------------
# Cells and cases
# ---------------------------------------------------------------------------------------------------------


def test_every_cell_runs_in_order_and_says_how_it_ended(pool):
    cells = ["x = 1", "1 / 0", "def f(a):\n    return a + x", "raise SystemExit('bye')", "x = 40"]
    with pool.open(cells, "ann") as worker:
        failures = {outcome.index: outcome.failure for outcome in worker.run() if not outcome.ok}
        assert failures[1] == Failure(FailureKind.RAISED, "division by zero", "line 1: `1 / 0`", "ZeroDivisionError")
        assert failures[3].error == "SystemExit"
        assert failures.keys() == {1, 3}
        assert [seen.value for seen in worker.observe("f", "call", ONE * 2, 5)] == [42, 42]
        assert worker.ended is None


@on_linux
def test_what_is_not_defined_is_said(strong):
    with strong.open(["f = 1"], "ann") as worker:
        [seen] = worker.observe("g", "call", ONE, 5)
        assert seen.failure.kind is FailureKind.UNUSABLE
        assert "`g`" in seen.failure.words


@on_linux
def test_the_order_in_memory_arrives(strong):
    X = torch.arange(24.0).reshape(2, 3, 4).transpose(1, 2)
    shown = ask(strong, "def answer(X):\n    return X.is_contiguous(), X.stride(), X.shape", X)
    assert shown == (False, X.stride(), tuple(X.shape))


@on_linux
def test_gradients_changes_and_modules_are_seen(strong):
    cell = "import torch\nclass Twice(torch.nn.Linear):\n    pass\ndef f(X):\n    return X * X"
    with strong.open([cell], "ann") as worker:
        [seen] = worker.observe("f", "call", [Case("", (torch.tensor([1.0, 2.0]),))], 5)
        assert torch.allclose(seen.gradients[0], torch.tensor([2.0, 4 * torch.cos(torch.tensor(1.0))]))
        arguments, weights = {"in_features": 2, "out_features": 1}, {"weight": torch.ones(1, 2), "bias": torch.zeros(1)}
        [seen] = worker.observe("Twice", "module", [Case("", (arguments, weights, torch.ones(3, 2)))], 5)
        assert seen.value["parameters"] == {"weight": (1, 2), "bias": (1,)}
        assert seen.value["output"].tolist() == [[2.0], [2.0], [2.0]]


@on_linux
def test_check_and_hint_do_nothing(strong):
    cell = """
    from exercise_checks import check, failing_case, hint
    assert check("corr2d", 1) is hint("corr2d") is None
    """
    with strong.open([textwrap.dedent(cell), "failing_case('corr2d')"], "ann") as worker:
        first, second = worker.run()
        assert first.ok
        assert second.failure.error == "LookupError"


@on_linux
def test_nothing_that_is_printed_comes_back(strong):
    with strong.open(["def f(a):\n    print('the secret is', a)\n    return a"], "ann") as worker:
        assert worker.observe("f", "call", ONE, 5)[0].printed == ""


# ---------------------------------------------------------------------------------------------------------
# Ends
# ---------------------------------------------------------------------------------------------------------


def test_a_process_that_ends_is_replaced_for_the_next_task(pool):
    cells = ["import os", "def f(a):\n    os._exit(3)", "def g(a):\n    return a"]
    with pool.open(cells, "ann") as worker:
        worker.run()
        [seen] = worker.observe("f", "call", ONE * 3, 5)
        assert seen.failure == Failure(FailureKind.ENDED, "it ended itself with exit status 3.")
        assert worker.ended.words == "it ended itself with exit status 3."
        assert [seen.value for seen in worker.observe("g", "call", ONE, 5)] == [2]
        assert worker.ended is None


@on_linux
def test_a_cell_that_ends_the_process_is_left_out(strong):
    cells = ["x = 1", "import os\nos._exit(0)", "def f(a):\n    return a + x"]
    with strong.open(cells, "ann") as worker:
        assert [outcome.ok for outcome in worker.run()] == [True, False, True]
        assert worker.observe("f", "call", ONE, 5)[0].value == 3


@on_linux
def test_one_core_is_all_that_a_submission_gets(pool):
    """So that one with many threads takes no time of those that run beside it."""
    cell = """
        import os
        def core():
            return tuple(os.sched_getaffinity(0))
        def others():
            os.sched_setaffinity(0, range(os.cpu_count()))
        """
    with pool.open([textwrap.dedent(cell)], "one") as worker:
        [seen] = worker.observe("core", "call", [Case("")], 20)
        assert len(seen.value) == 1
        [seen] = worker.observe("others", "call", [Case("")], 20)
        assert seen.failure.error == "PermissionError"


@on_linux
def test_pools_side_by_side_take_different_cores():
    there = os.sched_getaffinity(0)
    cores = [Core() for _ in range(len(there) + 1)]  # one more than there are
    own = [core.number for core in cores if core.held.getsockname()]
    for core in cores:
        core.release()
    assert len(set(own)) == len(own) < len(cores)
    assert {core.number for core in cores} <= there


@on_linux
def test_a_source_that_is_too_much_to_search_is_no_loss(strong, monkeypatch):
    monkeypatch.setattr(pool_module, "SEARCH", -pool_module.GRACE)
    with strong.open(["def f():\n    return 7"], "long") as worker:
        assert worker.search({"f": ["conv2d"]}) is None
        assert worker.run() == [CellOutcome(0, True, None)]
        assert worker.observe("f", "call", [Case("")], 20)[0].value == 7


@on_linux
def test_the_source_is_searched_before_a_cell_can_lie(strong):
    lie = "from cohort_grader import forbidden\nforbidden.search = lambda *a: {}"
    with strong.open([lie, "import torch\nf = torch.conv2d"], "lie") as worker:
        assert worker.search({"f": ["conv2d"]}) == {"f": ["torch.conv2d (code cell 2, line 2)"]}
        assert [outcome.ok for outcome in worker.run()] == [True, True]


@on_linux
def test_time_for_all_cases_together_is_one_limit(strong):
    with strong.open(["import time\ndef f(a):\n    time.sleep(1.5)\n    return a"], "ann") as worker:
        seen = worker.observe("f", "call", ONE * 9, 4)
        assert seen[0].value == 2
        assert seen[-1].failure.kind is FailureKind.TIME_UP
        assert seen[-1].failure.words == "4"
        assert len(seen) == 3


@on_linux
def test_time_for_the_whole_submission_is_a_limit():
    limits = Limits(seconds_per_cell=2, total_seconds=8)
    with WorkerPool(limits) as pool, pool.open(["while True: pass"] * 9, "ann") as worker:
        outcomes = worker.run()
        assert not any(outcome.ok for outcome in outcomes)
        assert outcomes[0].failure.kind is FailureKind.TIME_UP
        assert outcomes[-1].failure.kind is FailureKind.NOT_RUN
        assert "8 s" in worker.ended.words
        [seen] = worker.observe("f", "call", ONE, 5)
        assert seen.failure.kind is FailureKind.ENDED


def test_the_end_of_a_process_in_words():
    assert describe(3) == "it ended itself with exit status 3."
    assert "SIGSEGV" in describe(-11)
    assert "signal 99" in describe(-99)


@on_linux
@pytest.mark.parametrize("level", ["strong", "weak"])
def test_nothing_is_left_when_the_grader_is_killed(level, tmp_path):
    """The grader is killed while a submission loops with all signals blocked."""
    loop = "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\nwhile True: pass"
    script = f"""
    import os, threading, time
    from pathlib import Path
    from cohort_grader.sandbox.pool import Limits, WorkerPool
    pool = WorkerPool(Limits(seconds_per_cell=100, total_seconds=40), level={level!r})
    worker = pool.open([{loop!r}], "ann")
    threading.Thread(target=worker.run, daemon=True).start()
    while worker._process is None: time.sleep(0.1)
    time.sleep(8 if {level!r} == "weak" else 1)
    fresh, found = [os.getpid()], []
    while fresh:
        children = [Path(f"/proc/{{p}}/task/{{t}}/children").read_text().split() for p in fresh
                    for t in os.listdir(f"/proc/{{p}}/task")]
        fresh = [int(child) for part in children for child in part]
        found += fresh
    print(*found, flush=True)
    time.sleep(1000)
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    surroundings = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=surroundings) as grader:
        workers = [int(number) for number in grader.stdout.readline().split()]
        grader.kill()
    # At the strong level: `Preloaded` and `Sandbox`, each with a process that waits for it, and the worker.
    assert len(workers) == {"strong": 5, "weak": 1}[level]
    if level == "strong":
        assert all(gone(worker) for worker in workers)
        assert list(tmp_path.iterdir()) == []
    else:  # nobody is there to end it but its own limit of CPU time
        os.kill(workers[0], signal.SIGKILL)


@on_linux
def test_a_pool_whose_process_is_gone_says_so():
    with WorkerPool(LIMITS) as pool:
        pool._starter.preloaded.process.kill()
        select.select([pool._starter.connection], [], [])  # until its sandbox has ended, too
        with pool.open(["x = 1"], "ann") as worker, pytest.raises(RuntimeError, match="has ended"):
            worker.run()


@on_linux
def test_a_sandbox_that_ends_is_no_fault_of_the_submission():
    """As when memory runs out: what a worker did just then is not known, so nobody is charged with it."""
    sleep = "import time\ndef f(a):\n    time.sleep(60)"
    with WorkerPool(LIMITS) as pool, pool.open([sleep], "ann") as worker:
        worker.run()
        threading.Timer(0.5, pool._starter.preloaded.process.kill).start()
        with pytest.raises(RuntimeError, match="has ended"):
            worker.observe("f", "call", ONE, 100)


@on_linux
def test_sandboxes_from_one_preloaded_process_are_apart():
    """The number of threads counts for each sandbox alone, and closing one leaves the other as it is."""
    cell = """
    import threading, time
    def start(count):
        for _ in range(count):
            threading.Thread(target=time.sleep, args=(30,), daemon=True).start()
        return threading.active_count()
    def files():
        import os
        found = []
        for number in range(256):
            try: found.append(os.fstat(number).st_mode >> 12)
            except OSError: pass
        return found
    """
    cell = textwrap.dedent(cell)
    with Preloaded(LIMITS) as preloaded, WorkerPool(LIMITS, control=preloaded.control) as one:
        with WorkerPool(LIMITS, control=preloaded.control) as other:
            with one.open([cell], "ann") as ann, other.open([cell], "bob") as bob:
                for worker in (ann, bob):  # most of what a submission may have
                    [seen] = worker.observe("start", "call", [Case("", (LIMITS.threads - 10,))], 20)
                    assert seen.failure is None
                    [seen] = worker.observe("files", "call", [Case("")], 20)
                    assert seen.value == (2, 2, 2, 12)  # three times /dev/null, and the one socket to its own judge
            both = descendants(preloaded.process.pid)
            other.close()
            assert sum(gone(process, 0.2) for process in both) == 2  # what was in its sandbox, and what waited for that
        assert ask(one, "def answer():\n    return 7") == 7


@on_linux
def test_libraries_that_cannot_be_imported_are_named_to_all_who_ask(monkeypatch):
    def broken(*call):
        *start, code = command(*call)
        return [*start, code.replace("; worker.preload(", "; worker.PRELOADED = ('no_such_library',); worker.preload(")]

    command = levels.command
    monkeypatch.setattr(levels, "command", broken)
    with Preloaded(LIMITS) as preloaded:
        for _ in range(2):
            with pytest.raises(RuntimeError, match=r"No worker can be prepared: .*no_such_library"):
                WorkerPool(LIMITS, control=preloaded.control)


@on_linux
def test_a_preloaded_process_that_is_gone_is_said():
    with Preloaded(LIMITS) as preloaded:
        preloaded.process.kill()
        preloaded.process.wait()
        with pytest.raises(RuntimeError, match="ended at once"):
            WorkerPool(LIMITS, control=preloaded.control)


def test_a_pool_can_be_closed_twice_and_with_open_workers():
    pool = WorkerPool(LIMITS)
    worker = pool.open(["x = 1"], "ann")
    worker.run()
    pool.close()
    pool.close()
    worker.close()


@on_linux
def test_workers_side_by_side_from_several_threads(strong):
    results = {}

    def grade(number):
        with strong.open([f"x = {number}", "def f(a):\n    return a * x"], str(number)) as worker:
            results[number] = [seen.value for seen in worker.observe("f", "call", ONE * 5, 20)]

    threads = [threading.Thread(target=grade, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {number: [2 * number] * 5 for number in range(8)}


# ---------------------------------------------------------------------------------------------------------
# What a worker sees
# ---------------------------------------------------------------------------------------------------------

ANSWERS = ("exercise_checks.tasks", "exercise_checks.judging", "cohort_grader.marking", "cohort_grader.sandbox.pool")


def test_no_answer_is_in_a_worker(pool):
    cell = """
    import sys
    def answer():
        return [name for name in sys.modules if name.startswith(("course_utils", "exercise_checks", "cohort_grader"))]
    """
    modules = ask(pool, cell)
    assert "cohort_grader.cells" in modules
    assert not any(name.startswith(answers) for name in modules for answers in ANSWERS)
    cell = """
    import gc
    def answer():
        return any(type(thing).__name__ in ("Task", "Misconception", "Verdict") for thing in gc.get_objects())
    """
    assert ask(pool, cell) is False


READ_ALL = """
    import os
    def answer(folder, names):
        found = []
        for name in names:
            try:
                with open(os.path.join(folder, name), "rb") as file:
                    found.append((name, len(file.read())))
            except OSError: pass
        return found
    """


def files_in(folder: Path) -> dict[str, int]:
    """Every file of a folder and its size, but what Python has compiled."""
    files = [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return {str(path.relative_to(folder)): path.stat().st_size for path in files}


def test_course_utils_can_be_read_whole(pool):
    folder = ROOT / "course_utils"
    files = files_in(folder)
    assert "ops.py" in files
    assert dict(ask(pool, READ_ALL, str(folder), tuple(files))) == files


@pytest.mark.parametrize("folder", ["exercise_checks", "cohort_grader", "solutions", "exercises", "notebooks", "tests"])
def test_nothing_else_of_ours_can_be_read(pool, folder):
    files = files_in(ROOT / folder)
    assert files
    assert ask(pool, READ_ALL, str(ROOT / folder), tuple(files)) == ()
    with pool.open(["import os\ndef names(path):\n    return os.listdir(path)"], "ann") as worker:
        [seen] = worker.observe("names", "call", [Case("", (str(ROOT / folder),))], 20)
    assert seen.failure.error in ("FileNotFoundError", "PermissionError")


@pytest.mark.parametrize("level", [pytest.param("strong", marks=on_linux), "weak"])
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere all files can be read")
def test_answers_that_are_installed_among_the_libraries_cannot_be_read(level, tmp_path, monkeypatch):
    libraries = tmp_path / "lib" / "python3" / "site-packages"
    for name in ("course_utils", "exercise_checks", "cohort_grader"):
        shutil.copytree(ROOT / name, libraries / name, ignore=shutil.ignore_patterns("__pycache__"))
    (libraries / "beside.py").write_text("found = 7")
    (libraries / "way_round").symlink_to(libraries / "exercise_checks")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path / "lib"))  # one more folder of libraries
    cell = "import sys\nsys.path.append('PLACE')\nimport beside\ndef answer():\n    return beside.found"
    with WorkerPool(LIMITS, level=level) as pool:
        assert ask(pool, cell.replace("PLACE", str(libraries))) == 7
        files = files_in(libraries)
        seen = dict(ask(pool, READ_ALL, str(libraries), (*files, "way_round/sheets.py")))
    assert seen == {name: size for name, size in files.items() if name.startswith(("course_utils", "beside"))}


def test_lessons_can_be_read(pool):
    cell = """
    import inspect
    from course_utils import arithmetic, data, filters, layers, lenet, ops, plotting, training
    def answer():
        (X, y), _, classes = data.load("digits")
        return inspect.getsource(ops.corr2d).startswith("def corr2d"), tuple(X.shape), len(classes)
    """
    assert ask(pool, cell) == (True, (1437, 1, 28, 28), 10)


def test_what_was_not_imported_before_can_be(pool):
    cell = """
    import sys
    def answer():
        found = [name in sys.modules for name in ("torch._dynamo", "sklearn.datasets", "scipy.signal")]
        import torch, sklearn.datasets, scipy.signal, matplotlib.pyplot
        torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.1)
        matplotlib.pyplot.plot(scipy.signal.convolve([1, 2], [1, 1]))
        return found, len(sklearn.datasets.load_digits().images), "torch._dynamo" in sys.modules
    """
    assert ask(pool, cell) == ((False, False, False), 1797, True)


def test_training_works(pool):
    cell = """
    import torch
    def answer():
        torch.manual_seed(0)
        layers = torch.nn.Conv2d(1, 2, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(72, 2)
        model = torch.nn.Sequential(*layers)
        X, y = torch.randn(32, 1, 8, 8), torch.arange(32) % 2
        optimizer = torch.optim.Adam(model.parameters(), 0.05)
        for _ in range(60):
            loss = torch.nn.functional.cross_entropy(model(X), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return loss.item() < 0.1, torch.fft.rfft(torch.ones(4)).real.tolist()
    """
    assert ask(pool, cell) == (True, (4.0, 0.0, 0.0))


def test_the_scratch_folder_is_new_each_time(pool):
    cell = "import os\ndef answer():\n    found = os.listdir('.')\n    open('left', 'w').close()\n    return found"
    assert ask(pool, cell) == ask(pool, cell) == ()


@on_linux
def test_nothing_of_the_grader_is_in_the_environment(strong, monkeypatch):
    monkeypatch.setenv("SECRET_SEED", "12345")
    cell = "import os\ndef answer():\n    return [f'{key}={value}' for key, value in os.environ.items()]"
    shown = ask(strong, cell)
    assert not any("12345" in entry for entry in shown)


@on_linux
def test_a_sandbox_is_small(strong):
    shown = ask(
        strong,
        """
        import os
        def answer():
            return os.getpid(), os.getppid(), os.listdir("/proc"), os.listdir("/tmp"), sorted(os.listdir("/dev"))
        """,
    )
    # The course and its Python may lie in /tmp themselves; then the way to them is all that stands there.
    ways = [Path(place) for place in (visible.LESSON_PACKAGE, sys.prefix, sys.base_prefix)]
    ours = {way.parts[2] for way in ways if way.is_relative_to("/tmp")}
    number, parent, processes, temporary, devices = shown
    assert (number, parent, processes) == (1, 0, ())
    assert set(temporary) <= ours
    assert devices == ("full", "null", "random", "shm", "urandom", "zero")


# ---------------------------------------------------------------------------------------------------------
# The weak level
# ---------------------------------------------------------------------------------------------------------


ESCAPES = (
    "import os\nos.fork()",
    "import os\nos.kill(os.getppid(), 0)",
    "import os\nos.kill(-1, 0)",
    "import subprocess\nsubprocess.run(['/bin/true'])",
    "import socket\nsocket.socket()",
    "open('/etc/passwd')",
    "import os\nopen(f'/proc/{os.getppid()}/environ')",
    "import os\nos.chmod(os.environ['HOME'] + '/../', 0o777)",
    "open('/tmp/planted', 'w')",
    "open('../planted', 'w')",
    "bytearray(1 << 33)",
)


@on_linux
def test_on_linux_the_weak_level_still_has_walls(weak):
    with weak.open(ESCAPES, "ann") as worker:
        for code, outcome in zip(ESCAPES, worker.run(), strict=True):
            assert outcome.failure, code
            assert outcome.failure.error in ("PermissionError", "MemoryError"), outcome


def test_the_weak_level_leaves_nothing(tmp_path, tmp_path_factory, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    kept = tmp_path_factory.mktemp("kept")
    rights = kept.stat().st_mode
    cell = """
    import os
    os.makedirs("a/b")
    open("a/b/c", "w").close()
    os.symlink("OUTSIDE", "a/link")
    os.makedirs("a/shut/inner")
    os.mkdir("a/closed", 0)
    """
    cell = textwrap.dedent(cell).replace("OUTSIDE", str(kept))
    with WorkerPool(LIMITS, level="weak") as pool, pool.open([cell], "ann") as worker:
        assert worker.run()[0].ok
        assert len(list(tmp_path.iterdir())) == 1
    assert list(tmp_path.iterdir()) == []
    assert kept.stat().st_mode == rights


def test_what_a_level_lacks_is_said(monkeypatch):
    strong, weak = levels.levels()
    assert (strong.name, weak.name, weak.holds) == ("strong", "weak", True)
    assert all(sentence.endswith(".") for sentence in (*strong.missing, *weak.missing))
    assert weak.missing
    with WorkerPool(LIMITS, level="weak") as pool:
        assert pool.missing == weak.missing


def test_on_other_systems_there_is_only_the_weak_level(monkeypatch):
    for system in ("darwin", "win32"):
        monkeypatch.setattr(sys, "platform", system)
        strong, weak = levels.levels.__wrapped__()
        assert not strong.holds
        assert system in strong.missing[0]
        assert strong.missing[0] in weak.missing
        assert "The network can be reached." in weak.missing


def test_levels_that_do_not_hold_are_refused(monkeypatch):
    with pytest.raises(ValueError, match="level must be 'strong' or 'weak', got 'perfect'"):
        WorkerPool(LIMITS, level="perfect")
    no = levels.Level("strong", False, ("Strong isolation is not available here: no.",))
    monkeypatch.setattr(levels, "levels", lambda: (no, levels.Level("weak", True, ())))
    with pytest.raises(RuntimeError, match="not available"):
        WorkerPool(LIMITS, level="strong")
    with WorkerPool(LIMITS) as pool:
        assert pool.level == "weak"


# ---------------------------------------------------------------------------------------------------------
# The filter of system calls, run by a small machine like the kernel's
# ---------------------------------------------------------------------------------------------------------

ME = 4711
EPERM, ENOSYS = seccomp.REFUSE | errno.EPERM, seccomp.REFUSE | errno.ENOSYS


def verdict(machine: str, number: int, first: int = 0, architecture: int | None = None) -> int:
    code = seccomp.filter_for(machine, ME)
    lines = [struct.unpack_from("=HBBI", code, 8 * i) for i in range(len(code) // 8)]
    architecture = seccomp.ARCHITECTURES[machine] if architecture is None else architecture
    memory = {seccomp.NUMBER: number, seccomp.ARCHITECTURE: architecture, seccomp.FIRST_ARGUMENT: first & 0xFFFFFFFF}
    at = loaded = 0
    while True:
        what, then, otherwise, value = lines[at]
        at += 1
        if what == seccomp.RETURN:
            return value
        if what == seccomp.LOAD:
            loaded = memory[value]
            continue
        holds = {
            seccomp.EQUAL: loaded == value,
            seccomp.AT_LEAST: loaded >= value,
            seccomp.ANY_BIT: bool(loaded & value),
        }
        at += then if holds[what] else otherwise


@pytest.mark.parametrize("machine", seccomp.ARCHITECTURES)
def test_the_filter_refuses_what_it_names_and_what_is_not_known(machine):
    named = set(seccomp.REFUSED[machine].values())
    special = {*seccomp.SELF_ONLY[machine], seccomp.CLONE[machine], seccomp.CLONE3}
    known = {*range(seccomp.LAST[machine] + 1), *range(seccomp.FIRST_COMMON, seccomp.LAST_COMMON + 1)}
    assert named | special <= known
    for number in (*range(1000), seccomp.X32 - 1):
        if number not in special:
            want = ENOSYS if number not in known else EPERM if number in named else seccomp.ALLOW
            assert verdict(machine, number) == want, number
    assert verdict(machine, seccomp.CLONE3) == ENOSYS
    assert verdict(machine, seccomp.CLONE[machine], 0x11) == EPERM
    assert verdict(machine, seccomp.CLONE[machine], 0x3D0F00) == seccomp.ALLOW  # what a new thread asks for
    for number in seccomp.SELF_ONLY[machine]:
        assert verdict(machine, number, ME) == seccomp.ALLOW
        assert [verdict(machine, number, other) for other in (0, 1, -1, -ME, ME + 1)] == [EPERM] * 5


@pytest.mark.parametrize("machine", seccomp.ARCHITECTURES)
def test_calls_in_the_manner_of_another_processor_end_the_process(machine):
    assert verdict(machine, 1, architecture=0x40000003) == seccomp.KILL
    if machine == "x86_64":
        assert verdict(machine, seccomp.X32 | 57) == seccomp.KILL


@on_linux
def test_a_call_that_a_newer_kernel_adds_does_not_exist(pool):
    cell = """
    import ctypes
    def answer(numbers):
        call = ctypes.CDLL(None, use_errno=True).syscall
        return [(call(ctypes.c_long(n), *[ctypes.c_long(-1)] * 6), ctypes.get_errno()) for n in numbers]
    """
    newer = (600, *range(seccomp.LAST_COMMON + 1, seccomp.LAST_COMMON + 20))
    assert set(ask(pool, cell, newer)) == {(-1, errno.ENOSYS)}


@on_linux
def test_a_failed_call_says_which():
    with pytest.raises(OSError, match="setns"):
        linux.setns(-1, 0)
