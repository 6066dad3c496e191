"""Submissions that mean harm, or look like it: each gets its due mark, and neighbours before and after get theirs.

A submission here is the solved sheet, with a cell of its own put in, or with `corr2d` written anew. What is due is
said as the tasks that are lost; all others must be passed.
"""

import json
import os
import socket
import tempfile
import textwrap
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

import course_utils
from cohort_grader.sandbox import levels
from cohort_grader.sandbox.pool import CellOutcome, Limits, WorkerPool
from exercise_checks import tasks
from exercise_checks.judging import Verdict, diagnose
from exercise_checks.running.observing import Case, Failure, FailureKind

ROOT = Path(course_utils.__file__).parents[1]
SECRET_SEED = 20_240_229
# learn_kernel is left out: it is right only after seconds of honest work.
TASKS = ("corr2d", "answer_sizes", "breaks_corr2d", "mended_corr2d", "Conv2D")
LIMITS = Limits(
    seconds_per_task=5, seconds_per_cell=5, total_seconds=90, memory_bytes=1 << 30, threads=64, scratch_bytes=32 << 20
)
WRONG = """
def corr2d(X, K):
    return X
"""

STRONG_LEVEL = levels.levels()[0]
pytestmark = pytest.mark.skipif(not STRONG_LEVEL.holds, reason=" ".join(STRONG_LEVEL.missing))


# ---------------------------------------------------------------------------------------------------------
# The pool of workers, its neighbours, and what must not change
# ---------------------------------------------------------------------------------------------------------


@cache
def solved() -> tuple[str, ...]:
    notebook = json.loads((ROOT / "solutions" / "01_corr2d.ipynb").read_text(encoding="utf-8"))
    cells = ("".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code")
    return tuple(cell for cell in cells if "learn_kernel" not in cell)


@pytest.fixture(scope="module")
def pool():
    with WorkerPool(LIMITS, level="strong") as opened:
        yield opened


@pytest.fixture(scope="module")
def outside():
    """What lies near a grader: other submissions, a report; all open to everybody, as far as the disk is concerned."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path, text in {"submitted/ann.ipynb": "secret of Ann", "report/grades.csv": "ann,7\n"}.items():
            (folder / path).parent.mkdir()
            (folder / path).write_text(text, encoding="utf-8")
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o777)
        yield folder


def state(folder: Path) -> list:
    return [(path, path.lstat().st_mtime_ns, path.is_file() and path.read_text()) for path in sorted(folder.rglob("*"))]


def descendants() -> set[int]:
    """Every process that descends from this one."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:  # it ended just now
                continue
    found, fresh = set(), {os.getpid()}
    while fresh:
        fresh = {child for child, parent in parents.items() if parent in fresh}
        found |= fresh
    return found


def grade(pool: WorkerPool, cells) -> dict:
    """The verdict on every task, as the batch grader gets it."""
    with pool.open(cells, "test") as worker:
        outcomes = worker.run()
        assert [outcome.index for outcome in outcomes] == list(range(len(cells)))
        verdicts = {}
        for task in map(tasks.find, TASKS):
            cases = tuple(task.cases(SECRET_SEED))
            verdicts[task.id] = verdict_on(task, cases, worker.observe(task.id, task.use, cases, task.seconds))
        return verdicts


def verdict_on(task, cases, seen) -> Verdict:
    try:
        return diagnose(task, cases, seen)
    # A task may look closely at a wrong value, which may be of a kind that no honest answer has.
    except Exception as error:
        return Verdict(False, f"comparing raised {type(error).__name__}")


def lost(verdicts: dict) -> tuple[str, ...]:
    return tuple(name for name, verdict in verdicts.items() if not verdict.passed)


# ---------------------------------------------------------------------------------------------------------
# The submissions
# ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Submission:
    """The solved sheet with something else in it.

    Args:
        first: a cell after the imports.
        corr2d: a cell instead of the one that defines corr2d.
        last: a cell at the end.
        lost: the tasks that it must not pass.
        says: what the message about the first of them must contain.
    """

    name: str
    first: str = ""
    corr2d: str | None = None
    last: str = ""
    lost: tuple[str, ...] = ("corr2d",)
    says: str = ""

    def cells(self, outside: Path) -> list[str]:
        setup, task, *rest = solved()
        own = [self.first, task if self.corr2d is None else self.corr2d]
        written = [setup, *own, *rest, self.last]
        return [textwrap.dedent(cell).replace("OUTSIDE", str(outside)).replace("ROOT", str(ROOT)) for cell in written]


HONEST = [
    Submission("nothing", lost=()),
    Submission("prints", first="print('hello')", lost=()),
    Submission("warns", first="import warnings; warnings.warn('careful', stacklevel=2)", lost=()),
    Submission("raises_in_a_cell", first="1 / 0", lost=()),
    Submission("syntax_error_in_a_cell", first="def (:", lost=()),
    Submission("magics_and_shell", first="%matplotlib inline\n!pip install nothing\n%timeit -n 1 1 + 1", lost=()),
    Submission("asks_for_input", first="name = input('your name? ')", lost=()),
    Submission(
        "draws", first="import matplotlib.pyplot as plt\nplt.plot([1, 2]); plt.show(); plt.savefig('a.png')", lost=()
    ),
    Submission("threads", first="torch.set_num_threads(4); torch.ones(600, 600) @ torch.ones(600, 600)", lost=()),
    Submission("doubled", last="def corr2d(X, K):\n    return ops.corr2d(X, K)", lost=()),
    Submission("another_default_dtype", last="torch.set_default_dtype(torch.float64)", lost=()),
    Submission("no_gradients", last="torch.set_grad_enabled(False)", lost=()),
    Submission("warnings_are_errors", last="import warnings; warnings.simplefilter('error')", lost=()),
    Submission(
        "slow_but_right",
        corr2d="""
        import time
        def corr2d(X, K):
            time.sleep(0.05)
            return ops.corr2d(X, K)
        """,
        lost=(),
    ),
    Submission(
        "prints_a_lot",
        corr2d="""
        def corr2d(X, K):
            print("inputs", X, K)
            return ops.corr2d(X, K)
        """,
        lost=(),
    ),
    Submission("deleted_definition", corr2d="pass", says="`corr2d` is not defined"),
    Submission("not_written", corr2d="def corr2d(X, K):\n    raise NotImplementedError", says="Not written yet"),
    Submission("unfinished_loop", first="while True: pass", lost=()),
]

FORGERS = [
    Submission(
        "patched_comparison", first="torch.allclose = torch.isclose = torch.equal = lambda *a, **k: True", corr2d=WRONG
    ),
    Submission(
        "patched_assert_close",
        first="import torch.testing\ntorch.testing.assert_close = lambda *a, **k: None",
        corr2d=WRONG,
    ),
    Submission("patched_conv2d", first="F.conv2d = torch.conv2d = lambda *a, **k: a[0]", corr2d=WRONG),
    Submission(
        "patched_tensor_methods",
        first="""
        for name in ("__eq__", "__ne__", "isfinite", "any", "all", "__bool__"):
            setattr(torch.Tensor, name, lambda *a, **k: True)
        """,
        corr2d=WRONG,
    ),
    Submission(
        "tensor_that_equals_everything",
        corr2d="""
        class Equal(torch.Tensor):
            @classmethod
            def __torch_function__(cls, func, types, args=(), kwargs=None):
                if func.__name__ in ("eq", "isclose", "allclose", "equal", "__eq__"):
                    return torch.tensor(True)
                return super().__torch_function__(func, types, args, kwargs or {})
        def corr2d(X, K):
            return torch.zeros_like(ops.corr2d(X, K)).as_subclass(Equal)
        """,
        says="wrong",
    ),
    Submission(
        "object_that_equals_everything",
        corr2d="""
        class Equal:
            def __eq__(self, other): return True
            def __getattr__(self, name): return self
            def __call__(self, *a, **k): return self
        def corr2d(X, K): return Equal()
        """,
        says="Equal",
    ),
    Submission(
        "dict_that_has_everything",
        corr2d="""
        class All(dict):
            def __missing__(self, key): return self
            def __eq__(self, other): return True
        def corr2d(X, K): return All()
        """,
    ),
    Submission(
        "lying_type",
        corr2d="""
        class Lying:
            __class__ = torch.Tensor
            shape, dtype, layout, is_quantized = (2, 2), torch.float32, torch.strided, False
            def detach(self): return self
            def as_subclass(self, cls): return self
        def corr2d(X, K): return Lying()
        """,
    ),
    Submission(
        "syntax_tree_transformer",
        first="""
        import ast
        class Rewrite(ast.NodeTransformer):
            def visit_Assert(self, node): return ast.Pass()
        get_ipython().ast_transformers.append(Rewrite())
        """,
        corr2d=WRONG,
    ),
    Submission(
        "input_transformer",
        first="get_ipython().input_transformers_cleanup.append(lambda lines: ['pass'])",
        corr2d=WRONG,
    ),
    Submission(
        "looks_at_frames",
        corr2d="""
        import sys
        def corr2d(X, K):
            frame = sys._getframe()
            while frame:
                for name, value in {**frame.f_globals, **frame.f_locals}.items():
                    if name in ("oracle", "want", "right", "task", "expected", "verdict"):
                        return getattr(value, "oracle", value)(X, K) if callable(value) else value
                frame = frame.f_back
            return X
        """,
    ),
    Submission(
        "looks_at_all_objects",
        corr2d="""
        import gc, types
        def corr2d(X, K):
            shape = (X.shape[0] - K.shape[0] + 1, X.shape[1] - K.shape[1] + 1)
            for thing in gc.get_objects():
                if type(thing).__name__ in ("Task", "Misconception", "Verdict"):
                    return thing.oracle(X, K)
            for thing in gc.get_objects():
                if isinstance(thing, types.FunctionType) and thing.__module__.startswith("exercise_checks.tasks"):
                    return thing(X, K)
            return torch.full(shape, 7.0)
        """,
    ),
    Submission(
        "imports_the_judge",
        corr2d="""
        import sys, importlib
        ours = [name for name in sys.modules if name.startswith(("exercise_checks", "cohort_grader"))]
        kept = {name: sys.modules.pop(name) for name in ours}
        sys.path.insert(0, "ROOT")
        found = None
        for name in (".tasks.corr2d", ".tasks", ".judging", ".checking", ""):
            try: found = found or importlib.import_module("exercise_checks" + name)
            except Exception: pass
        sys.modules |= kept
        def corr2d(X, K):
            return found.oracle(X, K) if found else X
        """,
    ),
    Submission(
        "reads_the_solution",
        corr2d="""
        import glob, os
        def corr2d(X, K):
            found = [glob.glob("ROOT/" + ours) for ours in ("solutions/*", "exercise_checks/*/*", "tests/*/*")]
            known = ("ROOT/exercise_checks/sheets.py", "/proc/1/environ", "/proc/self/maps", "/proc/1/root")
            for path in (*sum(found, []), *known):
                with open(path): return ops.corr2d(X, K)
            return X
        """,
        says="FileNotFoundError",
    ),
    Submission(
        "reads_neighbours_and_report",
        corr2d="""
        import os
        def corr2d(X, K):
            for path in ("OUTSIDE/submitted/ann.ipynb", "OUTSIDE/report/grades.csv", "OUTSIDE"):
                if os.path.exists(path): return ops.corr2d(X, K)
            return X
        """,
    ),
    Submission(
        "patched_observing",
        first="""
        from exercise_checks.running import observing
        class Right:
            def __eq__(self, other): return True
        observing.observe = lambda *a, **k: [observing.Observation(value=torch.zeros(2, 2))] * 100
        observing.plain = lambda value, depth=0: value
        observing._observe_case = lambda *a, **k: observing.Observation(value=Right())
        """,
        corr2d=WRONG,
        lost=TASKS,
    ),
    Submission(
        "patched_protocol_sends_pickles",
        first="""
        import pickle
        from exercise_checks.running import protocol
        class Bomb:
            def __reduce__(self): return (open, ("OUTSIDE/report/pwned", "w"))
        protocol.encode = lambda value: pickle.dumps(Bomb())
        """,
        lost=(),  # its own cell cannot be answered for, and is left out
    ),
    Submission(
        "forged_replies_on_every_descriptor",
        corr2d="""
        import os
        from exercise_checks.running import protocol
        body = protocol.encode(protocol.Observation(torch.zeros(2, 2)))
        def corr2d(X, K):
            for descriptor in range(256):
                for kind in (0, 1, 2):
                    try: os.write(descriptor, protocol.HEADER.pack(kind, 1, len(body)) + body)
                    except OSError: pass
            return X
        """,
        says="does not belong to the request",
    ),
    Submission(
        "noise_on_every_descriptor",
        corr2d="""
        import os
        def corr2d(X, K):
            for descriptor in range(256):
                try: os.write(descriptor, b"PASSED 100 points " * 10)
                except OSError: pass
            return X
        """,
        says="not readable",
    ),
    Submission(
        "announces_four_gigabytes",
        corr2d="""
        import os
        from exercise_checks.running import protocol
        def corr2d(X, K):
            for descriptor in range(256):
                try: os.write(descriptor, protocol.HEADER.pack(2, 0, 2**32 - 1))
                except OSError: pass
            return X
        """,
        says="allowed",
    ),
    Submission(
        "replies_twice",
        first="""
        from exercise_checks.running import protocol
        send = protocol.Channel.send
        def twice(self, *frame):
            send(self, *frame)
            send(self, *frame)
        protocol.Channel.send = twice
        """,
        lost=TASKS,
        says="does not belong to the request",
    ),
    Submission(
        "replies_with_the_right_token_and_a_wrong_answer",
        corr2d="""
        import sys
        from exercise_checks.running.protocol import Observation
        def corr2d(X, K):
            frame = sys._getframe()
            while frame and "token" not in frame.f_locals:
                frame = frame.f_back
            inner = frame.f_locals
            inner["channel"].send(inner["kind"], inner["token"], Observation(torch.zeros(2, 2)))
            return X
        """,
        says="wrong",
    ),
    Submission(
        "nested_deeply_in_a_forged_reply",
        first="""
        from exercise_checks.running import protocol
        write = protocol.encode
        """,
        corr2d="""
        import sys
        def corr2d(X, K):
            protocol.encode = lambda value: b'[' + b'["tuple",' * 40_000 + b'1' + b']' * 40_001
            return X
        """,
        says="nested",
    ),
    Submission(
        "replies_in_another_order",
        first="""
        from exercise_checks.running import protocol
        send, waiting = protocol.Channel.send, []
        def swapped(self, *frame):
            waiting.append(frame)
            if len(waiting) > 1: send(self, *waiting.pop(0))
            else: send(self, *frame)
        protocol.Channel.send = swapped
        """,
        lost=TASKS,
        says="does not belong to the request",
    ),
    Submission(
        "answers_later_from_a_thread",
        corr2d="""
        import sys, threading
        from exercise_checks.running.protocol import Observation
        def corr2d(X, K):
            frame = sys._getframe()
            while frame and "channel" not in frame.f_locals:
                frame = frame.f_back
            inner = dict(frame.f_locals)
            again = lambda: inner["channel"].send(inner["kind"], inner["token"], Observation(ops.corr2d(X, K)))
            threading.Timer(0.2, again).start()
            import time; time.sleep(0.4)
            return X
        """,
    ),
    Submission(
        "sends_descriptors",
        corr2d="""
        import os, socket, sys
        def corr2d(X, K):
            frame = sys._getframe()
            while frame and "channel" not in frame.f_locals:
                frame = frame.f_back
            handles = [os.open("/dev/zero", os.O_RDONLY) for _ in range(50)]
            socket.send_fds(frame.f_locals["channel"].connection, [b"x"], handles)
            return X
        """,
        says="not readable",
    ),
    Submission(
        "floods_the_judge",
        corr2d="""
        import sys
        def corr2d(X, K):
            frame = sys._getframe()
            while frame and "channel" not in frame.f_locals:
                frame = frame.f_back
            frame.f_locals["channel"].connection.settimeout(None)
            while True: frame.f_locals["channel"].connection.send(bytes(1 << 20))
        """,
        says="not readable",
    ),
    Submission(
        "wrong_gradients",
        corr2d="""
        class Right(torch.autograd.Function):
            @staticmethod
            def forward(ctx, X, K):
                ctx.shapes = X.shape, K.shape
                return ops.corr2d(X, K)
            @staticmethod
            def backward(ctx, grad):
                return tuple(torch.full(shape, float("nan")) for shape in ctx.shapes)
        def corr2d(X, K):
            return Right.apply(X, K)
        """,
        says="gradient for X is wrong",
    ),
    Submission(
        "class_that_is_a_module_to_all_who_ask",
        last="""
        class Yes(type(nn.Module)):
            def __subclasscheck__(cls, other): return True
            def __instancecheck__(cls, other): return True
        class Conv2D(nn.Module, metaclass=Yes):
            def __init__(self, *a, **k): super().__init__()
            def __call__(self, X): return X
            def named_parameters(self): return iter([("weight", nn.Parameter(torch.zeros(1, 2)))] * 3)
        """,
        lost=("Conv2D",),
    ),
    Submission(
        "hides_that_it_changed_its_inputs",
        corr2d="""
        from exercise_checks.running import observing
        observing._unchanged = lambda *a: True
        def corr2d(X, K):
            X.detach().zero_()
            return ops.corr2d(X, K)
        """,
        says="wrong",
    ),
    Submission(
        "closes_every_descriptor", corr2d="import os\ndef corr2d(X, K):\n    os.closerange(0, 256)\n    return X"
    ),
    Submission(
        "replays_the_first_answer",
        corr2d="""
        kept = []
        def corr2d(X, K):
            kept.append(ops.corr2d(X, K))
            return kept[0]
        """,
    ),
    Submission("returns_nan", corr2d="def corr2d(X, K):\n    return ops.corr2d(X, K) * float('nan')", says="nan"),
    Submission("returns_infinity", corr2d="def corr2d(X, K):\n    return ops.corr2d(X, K) + float('inf')", says="inf"),
    Submission(
        "changes_its_inputs",
        corr2d="def corr2d(X, K):\n    Y = ops.corr2d(X, K)\n    X.detach().zero_()\n    return Y",
        says="was changed",
    ),
    Submission("right_numbers_as_lists", corr2d="def corr2d(X, K):\n    return ops.corr2d(X, K).tolist()"),
    Submission("returns_everything", corr2d="def corr2d(X, K):\n    return torch.zeros(9_000_000)", says="allowed"),
    Submission(
        "returns_a_huge_view",
        corr2d="def corr2d(X, K):\n    return torch.zeros(1).expand(1 << 40)",
        says="of shape 1099511627776",
    ),
    Submission(
        "returns_deep_nesting",
        corr2d="def corr2d(X, K):\n    x = ()\n    for _ in range(100_000): x = (x,)\n    return x",
    ),
    Submission("returns_many_values", corr2d="def corr2d(X, K):\n    return [[[0] * 1000] * 1000] * 1000"),
    Submission("returns_itself", corr2d="def corr2d(X, K):\n    x = []\n    x.append(x)\n    return x"),
    Submission("returns_a_huge_number", corr2d="def corr2d(X, K):\n    return 1 << 10_000_000"),
    Submission("returns_a_lone_surrogate", corr2d="def corr2d(X, K):\n    return '\\ud800<script>alert(1)</script>'"),
    Submission("returns_a_complex_number", corr2d="def corr2d(X, K):\n    return 1j"),
    Submission("returns_a_sparse_tensor", corr2d="def corr2d(X, K):\n    return ops.corr2d(X, K).to_sparse()"),
    Submission(
        "returns_a_tensor_without_bytes", corr2d="def corr2d(X, K):\n    return torch.zeros(2, 2, device='meta')"
    ),
    Submission(
        "raises_with_a_script",
        corr2d="def corr2d(X, K):\n    raise ValueError('<script>' * 100_000)",
        says="ValueError",
    ),
    Submission(
        "raises_what_cannot_be_said",
        corr2d="""
        class Silent(BaseException):
            def __str__(self): raise self
        def corr2d(X, K): raise Silent
        """,
    ),
]

BREAKERS = [
    Submission("exits", corr2d="import os\ndef corr2d(X, K):\n    os._exit(0)", says="exit status 0"),
    Submission("exits_in_a_cell", first="import os\nos._exit(7)", lost=()),
    Submission("leaves_politely", corr2d="def corr2d(X, K):\n    raise SystemExit(0)", says="SystemExit"),
    Submission("exits_in_a_cell_politely", first="exit()", lost=()),
    Submission("interrupts_itself", corr2d="def corr2d(X, K):\n    raise KeyboardInterrupt"),
    Submission(
        "touches_foreign_memory", corr2d="import ctypes\ndef corr2d(X, K):\n    ctypes.string_at(0)", says="SIGSEGV"
    ),
    Submission("touches_foreign_memory_in_a_cell", first="import ctypes\nctypes.string_at(0)", lost=()),
    Submission("aborts", corr2d="import os\ndef corr2d(X, K):\n    os.abort()", says="ended"),
    Submission("kills_itself", corr2d="import os\ndef corr2d(X, K):\n    os.kill(os.getpid(), 9)\n    return X"),
    Submission("recurses", corr2d="def corr2d(X, K):\n    return corr2d(X, K)", says="RecursionError"),
    Submission(
        "recurses_without_limit",
        corr2d="import sys\nsys.setrecursionlimit(10**9)\ndef corr2d(X, K):\n    return corr2d(X, [K])",
    ),
    Submission("loops", corr2d="def corr2d(X, K):\n    while True: pass", says="still running after 5 s"),
    Submission(
        "loops_and_catches_everything",
        corr2d="""
        def corr2d(X, K):
            while True:
                try:
                    while True: pass
                except BaseException: pass
        """,
        says="still running after 5 s",
    ),
    Submission(
        "loops_with_signals_ignored",
        corr2d="""
        import signal
        def corr2d(X, K):
            for number in range(1, 65):
                try: signal.signal(number, signal.SIG_IGN)
                except (OSError, ValueError): pass
            signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
            while True: pass
        """,
        says="still running after 5 s",
    ),
    Submission("loops_in_c", corr2d="def corr2d(X, K):\n    return 7 ** (7 ** 12)", says="still running after 5 s"),
    Submission(
        "sleeps", corr2d="import time\ndef corr2d(X, K):\n    time.sleep(10_000)", says="still running after 5 s"
    ),
    Submission(
        "loops_in_a_cell_with_signals_ignored",
        first="import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\nwhile True: pass",
        lost=(),
    ),
    Submission("bombs_memory", corr2d="def corr2d(X, K):\n    return bytearray(1 << 40)", says="MemoryError"),
    Submission(
        "bombs_memory_slowly",
        corr2d="def corr2d(X, K):\n    kept = []\n    while True: kept.append(torch.ones(1 << 22))",
        says="raised",
    ),
    Submission("bombs_memory_in_a_cell", first="kept = []\nwhile True: kept.append(bytearray(1 << 26))", lost=()),
    Submission(
        "bombs_threads",
        corr2d="""
        import threading, time
        def corr2d(X, K):
            while True: threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
        """,
        says="raised",
    ),
    Submission("bombs_forks", corr2d="import os\ndef corr2d(X, K):\n    while True: os.fork()", says="PermissionError"),
    Submission(
        "bombs_processes",
        corr2d="""
        from multiprocessing import Process
        def corr2d(X, K):
            while True: Process(target=corr2d, args=(X, K)).start()
        """,
        says="PermissionError",
    ),
    Submission(
        "fills_the_disk",
        corr2d="""
        import os
        def corr2d(X, K):
            for number in range(10_000):
                with open(f"file{number}", "wb") as file:
                    file.write(bytes(1 << 20))
            return ops.corr2d(X, K)
        """,
        says="OSError",
    ),
    Submission("opens_files_without_end", first="import os\nkept = []\nwhile True: kept.append(os.pipe())", lost=()),
    Submission(
        "waits_for_nobody", corr2d="import os\ndef corr2d(X, K):\n    return os.read(os.pipe()[0], 1)", says="5 s"
    ),
    Submission(
        "locks_the_libraries",
        first="""
        import fcntl, glob, os
        for path in glob.glob(os.path.dirname(torch.__file__) + "/*.py"):
            file = os.open(path, os.O_RDONLY)
            fcntl.flock(file, fcntl.LOCK_EX)
        """,
        lost=(),
    ),
    Submission(
        "fills_the_disk_in_a_cell", first="file = open('big', 'wb')\nwhile True: file.write(bytes(1 << 20))", lost=()
    ),
    Submission(
        "makes_files_without_end", first="n = 0\nwhile True:\n    n += 1\n    open(f'f{n}', 'w').close()", lost=()
    ),
    Submission("prints_100_megabytes", first="import os\nprint('x' * 100_000_000)\nos.write(1, bytes(10**8))", lost=()),
    Submission(
        "prints_180_megabytes_during_cases",
        corr2d="def corr2d(X, K):\n    print('x' * 10_000_000)\n    return ops.corr2d(X, K)",
        lost=(),
    ),
    Submission(
        "leaves_threads_behind",
        first="import threading, time\nfor _ in range(9): threading.Thread(target=time.sleep, args=(9999,)).start()",
        lost=(),
    ),
    Submission(
        "waits_for_the_end",
        first="""
        import atexit, time
        atexit.register(time.sleep, 9999)
        class Late:
            def __del__(self): time.sleep(9999)
        late = Late()
        """,
        lost=(),
    ),
    Submission("sets_an_alarm", first="import signal\nsignal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)", lost=()),
    Submission(
        "breaks_builtins", last="import builtins\nbuiltins.isinstance = builtins.len = lambda *a: 1 / 0", lost=()
    ),
    Submission("closes_its_output", last="import sys\nsys.stdout.close(); sys.stdout = sys.stderr = None", lost=()),
    Submission("forgets_its_modules", last="import sys\nsys.modules.clear()", lost=TASKS),
    Submission("traces_everything", last="import sys\nsys.settrace(lambda *a: 1 / 0)", lost=()),
]

ATTACKS = [
    ("kill_all", "import os\nos.kill(-1, 9)"),
    ("kill_parents_and_neighbours", "import os\nfor p in (0, os.getppid(), *range(2, 3000)): os.kill(p, 9)"),
    ("start_a_program", "import subprocess\nsubprocess.Popen(['/bin/sleep', '1000'])"),
    (
        "start_a_program_in_the_background",
        "import os\nos.system('(setsid sleep 1000 &)')\nif not os.path.exists('/bin/sh'): raise OSError",
    ),
    ("become_another_program", "import os, sys\nos.execv(sys.executable, ['python', '-c', 'pass'])"),
    ("trace_the_parent", "import ctypes\nif ctypes.CDLL(None).ptrace(16, 2, 0, 0) < 0: raise OSError"),
    ("connect_tcp", "import socket\nsocket.create_connection(('127.0.0.1', PORT), 2)"),
    ("connect_tcp_by_address_6", "import socket\nsocket.socket(socket.AF_INET6).connect(('::1', PORT))"),
    ("send_udp", "import socket\nsocket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', PORT))"),
    ("look_up_a_name", "import socket\nsocket.getaddrinfo('example.org', 80)"),
    ("open_a_web_page", "import urllib.request\nurllib.request.urlopen('http://127.0.0.1:PORT', timeout=2)"),
    ("listen", "import socket\nsocket.create_server(('127.0.0.1', 0))"),
    ("speak_to_a_local_socket", "import socket\nsocket.socket(socket.AF_UNIX).connect('\\0hidden')"),
    ("write_the_report", "open('OUTSIDE/report/grades.csv', 'w')"),
    ("delete_a_neighbour", "import os\nos.remove('OUTSIDE/submitted/ann.ipynb')"),
    ("write_beside", "open('OUTSIDE/new', 'w')"),
    ("write_into_the_course", "open('ROOT/course_utils/ops.py', 'a')"),
    ("plant_a_module", "open('ROOT/course_utils/planted.py', 'w')"),
    ("plant_into_the_libraries", "open(torch.__path__[0] + '/../planted.pth', 'w')"),
    ("change_rights", "import os\nos.chmod(torch.__file__, 0o777)"),
    ("write_to_the_root", "open('/planted', 'w')"),
    ("walk_up", "open('../' * 20 + 'OUTSIDE/report/grades.csv')"),
    ("follow_a_link", "import os\nos.symlink('OUTSIDE/report', 'link')\nopen('link/grades.csv', 'a')"),
    ("follow_a_hard_link", "import os\nos.link('OUTSIDE/report/grades.csv', 'link')"),
    ("read_passwords", "open('/etc/passwd')"),
    ("read_processes", "import os\nif not os.listdir('/proc'): raise OSError"),
    ("become_root", "import os\nos.setuid(0)\nopen('/root/x', 'w')"),
    ("make_namespaces", "import ctypes\nif ctypes.CDLL(None).unshare(0x10020000) < 0: raise OSError"),
    ("mount", "import ctypes\nif ctypes.CDLL(None).mount(b'none', b'/scratch', b'tmpfs', 0, None) < 0: raise OSError"),
    ("change_the_root", "import os\nos.chroot('.')"),
    ("remember_outside_of_limits", "import os\nos.memfd_create('x')"),
    ("share_memory", "import ctypes\nif ctypes.CDLL(None).shmget(0, 1 << 20, 0o1600) < 0: raise OSError"),
    ("raise_its_limits", "import resource\nresource.setrlimit(resource.RLIMIT_AS, (-1, -1))"),
    ("make_a_device", "import os, stat\nos.mknod('disk', 0o600 | stat.S_IFBLK, os.makedev(8, 0))"),
    ("set_the_clock", "import time\ntime.clock_settime(time.CLOCK_REALTIME, 0)"),
    (
        "read_the_kernel_log",
        "import ctypes\nif ctypes.CDLL(None).klogctl(3, ctypes.create_string_buffer(99), 99) < 0: raise OSError",
    ),
]


# ---------------------------------------------------------------------------------------------------------
# The tests
# ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def good(pool):
    """The neighbour: the solved sheet gets full marks. Returns what can be asked again after each submission."""

    def full_marks():
        assert lost(grade(pool, solved())) == ()

    full_marks()
    return full_marks


@pytest.fixture
def untouched(pool, outside, good):
    """Around a submission: nothing outside is written, nothing is left running, and the neighbour gets full marks."""
    before, running = state(outside), descendants()
    yield
    assert descendants() == running
    assert state(outside) == before
    good()


def check_submission(pool, submission, outside):
    verdicts = grade(pool, submission.cells(outside))
    assert lost(verdicts) == submission.lost, {name: verdict.message for name, verdict in verdicts.items()}
    if submission.says:
        assert submission.says in verdicts[submission.lost[0]].message
    assert all(len(verdict.message) < 5000 for verdict in verdicts.values())


@pytest.mark.parametrize("submission", HONEST, ids=lambda s: s.name)
def test_honest_work_is_never_lost(pool, submission, outside, untouched):
    check_submission(pool, submission, outside)


@pytest.mark.parametrize("submission", FORGERS, ids=lambda s: s.name)
def test_no_mark_is_forged(pool, submission, outside, untouched):
    check_submission(pool, submission, outside)


@pytest.mark.parametrize("submission", BREAKERS, ids=lambda s: s.name)
def test_what_breaks_costs_only_itself(pool, submission, outside, untouched):
    check_submission(pool, submission, outside)


@pytest.fixture(scope="module")
def listeners():
    """A TCP and a UDP socket with the same number, that nobody must reach."""
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
        udp.bind(tcp.getsockname())
        for listener in (tcp, udp):
            listener.setblocking(False)
        yield tcp, udp


@pytest.mark.parametrize("code", [code for _, code in ATTACKS], ids=[name for name, _ in ATTACKS])
def test_the_world_outside_cannot_be_reached(pool, code, outside, listeners, untouched):
    [seen] = attack(pool, code, outside, listeners)
    assert seen.failure, seen.value
    assert isinstance(seen.failure, Failure)
    assert seen.failure.kind is FailureKind.RAISED
    assert seen.failure.error not in ("NameError", "SyntaxError")


def attack(pool, code, outside, listeners):
    """What is seen of a function with this body. It returns "reached" if nothing stops it."""
    tcp, udp = listeners
    cell = "import torch\ndef attack():\n" + textwrap.indent(code, "    ") + "\n    return 'reached'"
    for word, meaning in {"OUTSIDE": outside, "ROOT": ROOT, "PORT": tcp.getsockname()[1]}.items():
        cell = cell.replace(word, str(meaning))
    with pool.open([cell], "attack") as worker:
        assert worker.run() == [CellOutcome(0, True, None)]
        seen = worker.observe("attack", "call", [Case("")], 20)
    for receive in (tcp.accept, lambda: udp.recv(10)):
        with pytest.raises(BlockingIOError):
            receive()
    return seen
