"""Use what a learner wrote on given inputs, and note what can be seen of it from outside.

Nothing here knows a right answer: that is `judging`. What comes back is plain (tensors, numbers, text, tuples and
dicts of these), so that it can be compared, or sent to another process, without asking the learner's code again.
"""

import contextlib
import io
import linecache
import os
import re
import sys
import sysconfig
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TextIO

import numpy as np
import torch
from torch import Tensor, nn

MOST_PRINTED, MOST_BITS, MOST_ITEMS, MOST_NUMBERS, DEEPEST, DEEPEST_CALLS = 2000, 1000, 1000, 10**7, 6, 10_000


def _ascii(name: str) -> str:
    """A file's name as `faulthandler` writes it."""
    return name.encode("ascii", "backslashreplace").decode()


# Folders in which no line is a learner's. torch and NumPy may lie elsewhere than this environment's other packages.
_FOLDERS = [sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")]
_FOLDERS += [Path(torch.__file__).parent, Path(np.__file__).parent]
_FOLDERS += [Path(__file__).parents[2] / name for name in ("course_utils", "exercise_checks", "cohort_grader")]
LIBRARIES = ("<frozen", *(_ascii(os.path.join(folder, "")) for folder in _FOLDERS))


@dataclass(frozen=True, eq=False)
class Case:
    """One use of what the learner wrote. Two cases are the same only if they are one object.

    `label` tells the learner what kind of input this is: "a wide image". With `gradient`, the gradients of all
    floating-point tensors among the arguments are looked at, too.
    """

    label: str
    args: tuple = ()
    kwargs: dict = field(default_factory=dict)
    gradient: bool = True


class FailureKind(Enum):
    """Why a call gave no value."""

    RAISED = "raised"
    TIME_UP = "time up"
    INTERRUPTED = "interrupted"  # somebody pressed stop
    UNUSABLE = "unusable"  # what was handed in is not what the task asks for
    ENDED = "ended"  # the process is gone
    NOT_RUN = "not run"


@dataclass(frozen=True)
class Failure:
    """What went wrong, as the learner should see it."""

    kind: FailureKind
    words: str = ""  # the exception's message, the seconds of `TIME_UP`, or a sentence
    line: str = ""  # the learner's own line, "line 3: `return X[i]`"
    error: str = ""  # the name of the exception's class, for `RAISED`


@dataclass(frozen=True)
class Observation:
    """What one case showed. `changed` and `gradients` name arguments by position or by keyword."""

    value: object = None
    failure: Failure | None = None
    changed: tuple = ()
    gradients: dict = field(default_factory=dict)
    gradient_failure: Failure | None = None
    printed: str = ""


@dataclass(frozen=True)
class Opaque:
    """Stands for a value of a type that no task asks for."""

    type_name: str


class Unusable(Exception):
    """What was handed in cannot be used at all; the sentence says what to hand in."""


def observe(
    use: str, obj, cases: Sequence[Case], seconds: float | None = None, printed: TextIO | None = None
) -> list[Observation]:
    """Use `obj` on each case, in this process. What the learner's code raises or prints is noted, and goes no further.

    Nothing here interrupts a call: one that hangs does so until somebody presses stop. `child.observe` ends it.

    Args:
        use: a name in `USES`.
        seconds: when they are over, no further case is begun.
        printed: an empty file that holds, at every moment, what was printed in the case that is being tried.

    >>> [seen] = observe("call", lambda x: x + 1, [Case("one", (2,))])
    >>> seen.value, seen.failure
    (3, None)
    """
    seen, tape, began = [], _Tape(printed), time.monotonic()
    # Progress bars go to stderr; they and warnings are no help in a message, and are dropped.
    quiet = contextlib.redirect_stderr(_Tape())
    with own_settings(), contextlib.redirect_stdout(tape), quiet, warnings.catch_warnings(action="ignore"):
        for case in cases:
            if seconds and time.monotonic() - began > seconds:
                return [*seen, Observation(failure=Failure(FailureKind.TIME_UP, f"{seconds:g}"))]
            seen.append(_observe_case(USES[use], obj, case, tape))
            if seen[-1].failure and seen[-1].failure.kind is FailureKind.INTERRUPTED:  # somebody pressed stop: obey
                break
    return seen


def _observe_case(use: Callable, obj, case: Case, tape: "_Tape") -> Observation:
    tape.take()
    args, kwargs = _fresh(case, gradient=False)
    value, failure = attempt(lambda: plain(use(obj, *args, **kwargs)))
    printed = tape.take()
    if failure:
        return Observation(failure=failure, printed=printed)
    before = _tensors(case.args, case.kwargs)
    changed = tuple(k for k, now in _tensors(args, kwargs).items() if not _unchanged(plain(now), before[k]))
    gradients = None
    if case.gradient and isinstance(value, Tensor) and value.is_floating_point() and value.numel():
        gradients, failure = attempt(lambda: _gradients(use, obj, case))
    return Observation(value, None, changed, gradients or {}, failure, printed)


def _gradients(use, obj, case: Case) -> dict:
    args, kwargs = _fresh(case, gradient=True)
    inputs = {k: t for k, t in _tensors(args, kwargs).items() if t.requires_grad}
    if not inputs:
        return {}
    output = use(obj, *args, **kwargs)
    with torch._C.DisableTorchFunctionSubclass():
        if not output.requires_grad:
            return dict.fromkeys(inputs)
        found = torch.autograd.grad(_total(output), list(inputs.values()), allow_unused=True)
    return dict(zip(inputs, found, strict=True))


def _total(output: Tensor) -> Tensor:
    """A sum with another weight at every place: in a plain one, gradients at the wrong places could look right."""
    return (output * _weights(output)).sum()  # given weights by themselves, autograd would first import much of torch


def _weights(like: Tensor) -> Tensor:
    return torch.cos(torch.arange(like.numel(), dtype=like.dtype, device=like.device)).reshape(like.shape)


def attempt(act: Callable) -> tuple[object, Failure | None]:
    """Return (result, None) or (None, what went wrong). Nothing that the learner's code raises goes further."""
    try:
        return act(), None
    except Unusable as error:
        return None, Failure(FailureKind.UNUSABLE, str(error))
    except BaseException as error:  # also SystemExit: no line of a learner may end the checker
        kind = FailureKind.INTERRUPTED if isinstance(error, KeyboardInterrupt) else FailureKind.RAISED
        return None, Failure(kind, _words(error), _own_line(_calls(error)), type_name(error))


def _calls(error: BaseException) -> list[tuple[str, int]]:
    """File and line of each call that was running, the innermost first."""
    calls = [(frame.f_code.co_filename, number) for frame, number in traceback.walk_tb(error.__traceback__)]
    if isinstance(error, SyntaxError) and (type(error.filename), type(error.lineno)) == (str, int):
        calls.append((error.filename, error.lineno))  # what is not Python yet is no call
    return calls[::-1]


def _words(error: BaseException) -> str:
    with contextlib.suppress(BaseException):  # an exception class of the learner's may have a broken __str__
        return _text(str(error))
    return ""


def _own_line(calls: Iterable[tuple[str, int]]) -> str:
    """The first line of the learner's own, "line 3: `return X[i]`", or "". Lines of libraries are none."""
    for file, number in calls:
        if not _ascii(file).startswith(LIBRARIES):
            source = linecache.getline(file, number).strip()
            return f"line {number}: `{source}`" if source else f"line {number}"
    return ""


def line_in_dump(dump: str) -> str:
    """The learner's own line at which a process was when `faulthandler` wrote this; its main thread comes last."""
    names = {_ascii(name): name for name in linecache.cache}
    *_, main = re.split(r"(?m)^(?:Current t|T)hread 0x", dump)
    own, *_ = re.split(rf'(?m)^  File "{re.escape(_ascii(__file__))}", line \d+ in attempt$', main)
    calls = re.findall(r'(?m)^  File "(.*)", line (\d{1,9}) in ', own)
    return _own_line((names.get(file, file), int(number)) for file, number in calls)


def _call(function, *args, **kwargs):
    if not callable(function):
        raise Unusable(
            f"Hand in the function itself, without brackets behind its name; this is of type {type_name(function)}. "
            "If the name has another meaning by now, run the cell again that defines the function."
        )
    return function(*args, **kwargs)


def _module(cls, arguments: dict, weights: dict, X: Tensor) -> dict:
    """Build the module, look at its parameters, load `weights`, run it forward and backward on X."""
    if not (isinstance(cls, type) and issubclass(cls, nn.Module)):
        raise Unusable("Hand in the class itself; it must inherit from nn.Module.")
    module = cls(**arguments)
    parameters = {name: tuple(p.shape) for name, p in module.named_parameters()}
    saved = tuple(sorted(module.state_dict().keys() & weights.keys()))
    _load(module, weights)
    output = module(X)
    gradients = {}
    if isinstance(output, Tensor) and output.requires_grad:
        _total(output).backward()
        gradients = {name: p.grad for name, p in module.named_parameters() if p.grad is not None}
    return {"parameters": parameters, "state_dict": saved, "output": output, "gradients": gradients}


def _load(module: nn.Module, weights: dict) -> None:
    """Set all parameters: those that fit to `weights`, others to fixed numbers, so that nothing is left to chance."""
    state = module.state_dict()
    fitting = {name: w.clone() for name, w in weights.items() if name in state and state[name].shape == w.shape}
    module.load_state_dict(fitting, strict=False)
    with torch.no_grad():
        for name, p in module.named_parameters():
            if name not in fitting:
                p.copy_(_weights(p))


def _training(function, X: Tensor, y: Tensor, unseen: Tensor) -> dict:
    """Let the learner train a model on (X, y); return the classes it gives to the pictures in `unseen`."""
    model = _call(function, X, y)
    if not isinstance(model, nn.Module):
        raise Unusable(f"Return the trained model, an nn.Module; this returned {type_name(model)}.")
    model.eval()
    with torch.no_grad():
        scores = model(unseen)
    if not (isinstance(scores, Tensor) and scores.ndim == 2 and len(scores) == len(unseen)):
        raise Unusable("The model must return one row of scores per picture, shape (N, classes).")
    return {"classes": scores.argmax(1), "finite": bool(scores.isfinite().all())}


USES = {"call": _call, "module": _module, "training": _training}


def plain(value, depth: int = 0):
    """Return `value` made of tensors, numbers, text, tuples and dicts alone; anything else becomes `Opaque`.

    Lists become tuples, NumPy's numbers Python's, and tensors lose their graph. Nothing is copied.

    >>> plain([1, (2.5, "three")]), plain(object())
    ((1, (2.5, 'three')), Opaque(type_name='object'))
    """
    if issubclass(type(value), Tensor):  # not `isinstance`: an object may lie about its class
        return _plain_tensor(value)
    if value is None or type(value) in (bool, float) or (type(value) is int and value.bit_length() <= MOST_BITS):
        return value
    if type(value) is str:
        return _text(value)
    if isinstance(value, np.generic):
        return plain(value.item(), DEEPEST)
    if depth < DEEPEST and isinstance(value, (tuple, list, dict)) and len(value) <= MOST_ITEMS:
        if isinstance(value, dict):
            return {_text(str(key)): plain(item, depth + 1) for key, item in value.items()}
        return tuple(plain(item, depth + 1) for item in value)
    return Opaque(type_name(value))


def _plain_tensor(value: Tensor) -> Tensor | Opaque:
    """A subclass answers for every operation on it, and may answer anything: it is taken off without being asked."""
    with torch._C.DisableTorchFunctionSubclass():
        dispatches = type(value).__torch_dispatch__ is not Tensor.__torch_dispatch__
        if dispatches or value.layout != torch.strided or value.is_quantized or value.is_nested:
            return Opaque(type_name(value))
        if value.numel() > MOST_NUMBERS:  # no answer is that large
            return Opaque(f"Tensor, of shape {'×'.join(map(str, value.shape))}")
        return value.detach().as_subclass(Tensor)


def _text(words: str) -> str:
    """The beginning of a text, as a plain string that can be written in UTF-8, whatever subclass it was."""
    return str.__getitem__(words, slice(MOST_PRINTED)).encode(errors="backslashreplace").decode()


def type_name(value) -> str:
    """The name of a value's type, whatever the value and its type say when they are asked."""
    return type.__dict__["__name__"].__get__(type(value))


def _fresh(case: Case, gradient: bool) -> tuple[tuple, dict]:
    """The case's arguments, with copies of its tensors in the same memory order."""

    def copy(value):
        if not isinstance(value, Tensor):
            return value
        return value.detach().clone().requires_grad_(gradient and value.is_floating_point())

    return tuple(copy(v) for v in case.args), {k: copy(v) for k, v in case.kwargs.items()}


def _tensors(args, kwargs) -> dict:
    return {k: v for k, v in [*enumerate(args), *kwargs.items()] if isinstance(v, Tensor)}


def _unchanged(now: Tensor | Opaque, before: Tensor) -> bool:
    if isinstance(now, Opaque) or now.device != before.device:
        return False
    return now.shape == before.shape and now.dtype == before.dtype and torch.equal(now, before)


@contextlib.contextmanager
def own_settings():
    """Python's and torch's settings as the tasks need them, and afterwards as they were.

    A learner may have chosen another default dtype or device before, and what is tried may choose anything.
    """
    dtype, set_depth, on_cpu = torch.get_default_dtype(), sys.setrecursionlimit, torch.empty(0).device.type == "cpu"
    sys.setrecursionlimit = lambda depth: set_depth(min(depth, DEEPEST_CALLS))  # beyond, the process may crash
    here = contextlib.nullcontext() if on_cpu else torch.device("cpu")
    try:
        with torch.random.fork_rng(devices=[]), torch.inference_mode(False), torch.enable_grad(), here:
            torch.default_generator.manual_seed(0)  # torch.manual_seed would look for all kinds of GPUs, too
            torch.set_default_dtype(torch.float32)
            yield
    finally:
        sys.setrecursionlimit = set_depth
        torch.set_default_dtype(dtype)
        if on_cpu and torch.empty(0).device.type != "cpu":
            torch.set_default_device(None)


class _Tape(io.StringIO):
    """Keeps the beginning of what is printed in a file, and no more. Closing it closes nothing."""

    def __init__(self, file: TextIO | None = None):
        super().__init__()
        self.file, self.room = file or io.StringIO(), MOST_PRINTED

    def take(self) -> str:
        """What was printed since this was asked before."""
        self.file.seek(0)
        printed, self.room = self.file.read(), MOST_PRINTED
        self.file.seek(0)
        self.file.truncate()
        return printed

    def write(self, text: str) -> int:
        if self.room:
            more = _text(text)[: self.room]
            self.room -= len(more)
            self.file.write(more)
            self.file.flush()
        return len(text)

    def close(self) -> None:
        pass
