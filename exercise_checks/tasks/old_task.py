"""What a task is, and helpers to write one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from exercise_checks.running.observing import Case

PUBLIC_SEED = 0


@dataclass(frozen=True, eq=False)
class Misconception:
    """A mistake with a name: what somebody who makes it would hand in, and the sentence that explains it.

    It is recognised when what the learner handed in shows, on every case, just what `wrong` shows. A `wrong` that
    returns a dict is compared on its own keys only. Where no single wrong answer stands for all, `matches` tells
    from the value returned (see `Task.accept`).
    """

    name: str
    sentence: str
    wrong: object
    matches: Callable[..., bool] | None = None


@dataclass(frozen=True, eq=False)
class Task:
    """An exercise as data. The learner defines `id`: a function, or a class if `use` is "module".

    Args:
        id: also the name the learner defines.
        kind: "write", "bug" or "predict".
        difficulty, importance: 1 to 5.
        minutes: how long a learner needs, about.
        oracle: a right answer, made of torch's own operators.
        cases: a seed gives inputs; the same seed the same inputs.
        hints: two, the first a question that leads on, the second nearly the line.
        use: how what was handed in is used; a name in `observing.USES`.
        accept: for tasks with many right answers: takes the value returned and the case's arguments, and returns
            None if it is right, else a sentence. The oracle is then one right answer among many.
        window: names the part of the input that an output pixel depends on: takes the pixel's index and the case's
            arguments, returns text.
        broken: the function a "bug" task is about. The sheet shows its source.
        relative, absolute: how far a value may be off; None: by dtype.
        seconds: for all cases together.
    """

    id: str
    title: str
    kind: str
    points: int
    difficulty: int
    importance: int
    minutes: int
    oracle: object
    cases: Callable[[int], Sequence[Case]]
    misconceptions: tuple[Misconception, ...]
    hints: tuple[str, str]
    use: str = "call"
    accept: Callable[..., str | None] | None = None
    window: Callable[..., str] | None = None
    broken: Callable | None = None
    relative: float | None = None
    absolute: float | None = None
    seconds: float = 5.0
    imports: tuple[str, ...] = ()

    @property
    def forbids(self):
        from exercise_checks.tasks.old_forbidden import forbidden_of

        return forbidden_of(self)

    @property
    def box(self) -> str:
        """The line under a task's title in its sheet."""
        dots = ("●" * n + "○" * (5 - n) for n in (self.difficulty, self.importance))
        points = f"{self.points} point{'s' * (self.points > 1)}"
        return "Difficulty {} · importance {} · {} minutes · {}".format(*dots, self.minutes, points)


def once(seed: int) -> tuple[Case, ...]:
    """Cases for a function without arguments: it is called once."""
    return (Case("your answer"),)


def corr_window(index, X: Tensor, K: Tensor, *_, **__) -> str:
    """The window of a plain cross-correlation: stride 1, no padding. The last two numbers of `index` are the place.

    >>> corr_window((0, 1), torch.arange(9).reshape(3, 3), torch.ones(2, 2))
    'X[0:2, 1:3] = [[1, 2], [4, 5]]'
    """
    (i, j), (h, w) = index[-2:], K.shape[-2:]
    lead = "" if X.ndim == 2 else "..., "
    return f"X[{lead}{i}:{i + h}, {j}:{j + w}] = {as_list(X[..., i : i + h, j : j + w])}"


def as_list(T: Tensor) -> str:
    """Nested lists with whole numbers shown whole.

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
        """Small whole numbers, which floats hold exactly: the order of a sum does not matter."""
        return torch.randint(low, high + 1, shape, generator=self.generator).to(dtype)

    def real(self, *shape: int, dtype=torch.float32) -> Tensor:
        """Numbers from the standard normal distribution."""
        return torch.randn(shape, generator=self.generator, dtype=torch.float64).to(dtype)

    def distinct(self, *shape: int, dtype=torch.float32) -> Tensor:
        """Whole numbers of which no two are equal: every maximum is unique."""
        count = int(torch.tensor(shape).prod())
        return (torch.randperm(count, generator=self.generator) - count // 2).reshape(shape).to(dtype)

    def turned(self, *shape: int, dtype=torch.float32) -> Tensor:
        """As `whole`, but not contiguous: the last two dimensions lie in memory the other way round."""
        return self.whole(*shape[:-2], shape[-1], shape[-2], dtype=dtype).transpose(-1, -2)
