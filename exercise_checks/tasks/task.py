"""What a task is, and the notation in which tasks are written: a right answer, its cases, and the slips people make."""

import inspect
import re
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from exercise_checks.running.observing import Case

PUBLIC_SEED = 0
SLIP = re.compile(r"(?P<name>\w+)(?:: (?P<edit>.+)| = (?P<expression>.+))?")


@dataclass(frozen=True, eq=False)
class Misconception:
    """A mistake with a name: what somebody who makes it would hand in, and the sentence that explains it.

    It is recognized when the learner's code behaves on every case exactly as `wrong` does. A `wrong` that returns a
    dict is compared on its own keys only. If no single wrong answer is representative, `matches` decides by the value
    returned (see `Task.accept`).
    """

    name: str
    sentence: str
    wrong: object
    matches: Callable[..., bool] | None = None


@dataclass(frozen=True, eq=False)
class Task:
    """An exercise as data, made by `task`. The learner defines `id`: a function, or a class if `use` is "module".

    Args:
        answer: a right answer, as a learner would write it. Its name is the task's id, its docstring the two hints.
        title: as the sheet has it.
        cases_of: makes rows of a `Draw`: the same seed, the same rows. See `task`.
        points: for a correct answer.
        difficulty, importance: 1 to 5.
        minutes: roughly how long a learner needs.
        kind: "write", "bug" or "predict".
        oracle: a reference built from torch's own operators; the answer by default.
        use: how the learner's code is exercised; a name in `observing.USES`.
        gradient: whether the gradients of the arguments are compared, too.
        accept: for tasks with many right answers: takes the value returned and the case's arguments, and returns
            None if it is right, else a sentence. The oracle is then one right answer among many.
        window: names the part of the input that an output pixel depends on: takes the pixel's index and the case's
            arguments, returns text.
        broken: the function that a "bug" task is about. The sheet shows its source.
        forbids: calls that the text forbids. A bare name matches wherever it occurs (`F.conv2d`, `ops.conv2d`),
            "ops.*" all of a module, "groups=" an argument.
        imports: modules that the answer imports while it runs, if that takes long: the grader imports them beforehand.
        relative, absolute: how far a value may be off; None chooses by dtype.
        seconds: time limit for all cases together.
        slips: factories of the misconceptions, added by `slips` and `mistake`.
    """

    answer: object
    title: str
    cases_of: Callable[["Draw"], Iterator]
    points: int
    difficulty: int
    importance: int
    minutes: int
    kind: str = "write"
    oracle: object = None
    use: str = "call"
    gradient: bool = True
    accept: Callable[..., str | None] | None = None
    window: Callable[..., str] | None = None
    broken: Callable | None = None
    forbids: frozenset[str] = frozenset()
    imports: tuple[str, ...] = ()
    relative: float | None = None
    absolute: float | None = None
    seconds: float = 5.0
    slips: list[Callable[[], Iterator[Misconception]]] = field(default_factory=list)

    def __post_init__(self):
        if self.oracle is None:
            object.__setattr__(self, "oracle", self.answer)

    @property
    def id(self) -> str:
        return self.answer.__name__

    @cached_property
    def hints(self) -> tuple[str, ...]:
        paragraphs = (inspect.getdoc(self.answer) or "").split("\n\n")
        if len(paragraphs) != 2:
            raise ValueError(f"the docstring of {self.id} must hold two hints, got {len(paragraphs)} paragraphs.")
        return tuple(" ".join(part.split()) for part in paragraphs)

    @cached_property
    def misconceptions(self) -> tuple[Misconception, ...]:
        """The known mistakes, in the order in which they are tried. Edits are applied on first access."""
        return tuple(misconception for factory in self.slips for misconception in factory())

    def cases(self, seed: int) -> Iterator[Case]:
        for row in self.cases_of(Draw(seed)):
            yield row if isinstance(row, Case) else _case(self.gradient, *row)

    @property
    def box(self) -> str:
        """The line under a task's title in its sheet."""
        dots = ("●" * n + "○" * (5 - n) for n in (self.difficulty, self.importance))
        points = f"{self.points} point{'s' * (self.points > 1)}"
        return "Difficulty {} · importance {} · {} minutes · {}".format(*dots, self.minutes, points)


def _case(gradient: bool, label: str, *given) -> Case:
    if not isinstance(label, str):
        raise ValueError(f"a row of cases must begin with its label, got {label!r}.")
    *arguments, settings = given if given and isinstance(given[-1], dict) else (*given, {})
    return Case(label, tuple(arguments), settings, gradient)


def once(draw: "Draw"):
    """Cases for a function without arguments: it is called once."""
    yield ("your answer",)


# ---------------------------------------------------------------------------------------------------------
# The notation
# ---------------------------------------------------------------------------------------------------------


def task(title: str, cases: Callable[["Draw"], Iterator] = once, **facts) -> Callable[[object], Task]:
    """Turn the decorated right answer into a `Task`. `facts` are the fields of `Task`.

    `cases(draw)` yields rows `label, *arguments`, with a dict at the end for keyword arguments. It may also yield a
    finished `Case`.

    >>> @task("Double it", lambda draw: [("a number", 3)], points=1, difficulty=1, importance=1, minutes=1)
    ... def double(x):
    ...     '''What is twice a number?
    ...
    ...     Add it to itself.
    ...     '''
    ...     return x + x
    >>> double.id, double.hints
    ('double', ('What is twice a number?', 'Add it to itself.'))
    """
    return lambda answer: Task(answer, title, cases, **facts)


def slips(of: Task, text: str, answer: object = None) -> None:
    """Add mistakes to a task, in the order in which they are tried.

    Each is written in one of these ways, with the sentence that explains it indented below:

    - `name: old -> new` is the right answer with one edit: every occurrence of `old` becomes `new`. A line
      `and: old -> new` edits it once more.
    - `name = expression` is an unrelated function or class, or just the value that it returns.
    - `name` alone is the function or class of this name in the task's module; its docstring is the sentence.

    A line `if: predicate` below says that the mistake is recognized by `predicate(value, *arguments)`.

    Args:
        answer: another right answer, which is edited instead of the task's.
    """
    parts = re.split(r"\n(?=(?!and: |if: )\S)", textwrap.dedent(text).strip())
    of.slips.append(lambda: (_misconception(answer or of.answer, part) for part in parts))


def mistake(of: Task, name: str, sentence: str, wrong: object, matches: Callable[..., bool] | None = None) -> None:
    """Add one mistake generated by code."""
    of.slips.append(lambda: iter([Misconception(name, sentence, wrong, matches)]))


def _misconception(answer, part: str) -> Misconception:
    head, *lines = part.splitlines()
    found, space = SLIP.fullmatch(head), _globals(answer)
    if not found:
        forms = "write `name: old -> new`, `name = expression` or `name`, and indent the sentence below it"
        raise ValueError(f"{head!r} is not a slip of {answer.__name__}: {forms}.")
    name, edit, expression = found["name"], found["edit"], found["expression"]
    edits = [edit, *(line.removeprefix("and: ") for line in lines if line.startswith("and: "))]
    predicates = [eval(line.removeprefix("if: "), space) for line in lines if line.startswith("if: ")]
    words = [line for line in lines if line[:1].isspace()]
    if edit:
        wrong = edited(answer, name, edits)
    else:
        wrong = eval(expression or name, space)
        words = words or [inspect.getdoc(wrong)]
        wrong = wrong if callable(wrong) else lambda value=wrong: value
    return Misconception(name, " ".join(" ".join(words).split()), wrong, *predicates)


def edited(answer, name: str, edits: Sequence[str]):
    """The answer with edits `old -> new`, each applied to every occurrence of `old`.

    Raises:
        ValueError: an edit has no arrow, or its `old` does not occur in the answer.
    """
    source = _source(answer)
    for edit in edits:
        old, arrow, new = (edit + " ").partition(" -> ")  # "old ->" deletes
        if not arrow:
            raise ValueError(f"{name}: an edit must have the form `old -> new`, got {edit!r}.")
        if old not in source:
            raise ValueError(f"{name}: {old!r} does not occur in the answer of {answer.__name__}.")
        source = source.replace(old, new.strip())
    space = dict(_globals(answer))
    exec(compile(source, f"<{answer.__name__}, {name}>", "exec"), space)
    return space[answer.__name__]


def _globals(answer) -> dict:
    return vars(inspect.getmodule(answer))


def _source(answer) -> str:
    """The source of a function or class without its decorators and its docstring."""
    source = textwrap.dedent(inspect.getsource(answer))
    source = re.sub(r"\A.*?^(?=def |class )", "", source, count=1, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r'\A(.*?:\n)\s*r?""".*?"""\n', r"\1", source, count=1, flags=re.DOTALL)


# ---------------------------------------------------------------------------------------------------------
# Helpers
# ---------------------------------------------------------------------------------------------------------


def corr_window(index, X: Tensor, K: Tensor, *_, **__) -> str:
    """The window of a plain cross-correlation: stride 1, no padding. The last two numbers of `index` are the position.

    >>> corr_window((0, 1), torch.arange(9).reshape(3, 3), torch.ones(2, 2))
    'X[0:2, 1:3] = [[1, 2], [4, 5]]'
    """
    (i, j), (h, w) = index[-2:], K.shape[-2:]
    lead = "" if X.ndim == 2 else "..., "
    return f"X[{lead}{i}:{i + h}, {j}:{j + w}] = {as_list(X[..., i : i + h, j : j + w])}"


def as_list(T: Tensor) -> str:
    """Nested lists, with integers shown without a decimal point.

    >>> as_list(torch.tensor([[1.0, 2.5]]))
    '[[1, 2.5]]'
    """
    if T.ndim:
        return f"[{', '.join(map(as_list, T))}]"
    return f"{T.item():.4g}"


def pair(value) -> tuple:
    """A setting as (rows, columns): a whole number counts for both.

    >>> pair(2), pair((2, 3))
    ((2, 2), (2, 3))
    """
    return value if isinstance(value, tuple) else (value, value)


class Draw:
    """Draws a case's inputs: the same seed, the same inputs, on every machine.

    >>> Draw(0).whole(2, 3).shape, Draw(0).size(4, 4)
    (torch.Size([2, 3]), 4)
    """

    def __init__(self, seed: int):
        self.generator = torch.Generator().manual_seed(seed)

    def size(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        return int(torch.randint(low, high + 1, (), generator=self.generator))

    def whole(self, *shape: int, low: int = -9, high: int = 9, dtype=torch.float32) -> Tensor:
        """Small whole numbers, exactly representable as floats: the order of a sum does not matter."""
        return torch.randint(low, high + 1, shape, generator=self.generator).to(dtype)

    def real(self, *shape: int, dtype=torch.float32) -> Tensor:
        """Numbers from the standard normal distribution."""
        return torch.randn(shape, generator=self.generator, dtype=torch.float64).to(dtype)

    def distinct(self, *shape: int, dtype=torch.float32) -> Tensor:
        """Whole numbers of which no two are equal: every maximum is unique."""
        count = int(torch.tensor(shape).prod())
        return (torch.randperm(count, generator=self.generator) - count // 2).reshape(shape).to(dtype)

    def turned(self, *shape: int, dtype=torch.float32) -> Tensor:
        """As `whole`, but not contiguous: the last two dimensions are stored transposed."""
        return self.whole(*shape[:-2], shape[-1], shape[-2], dtype=dtype).transpose(-1, -2)
