"""What a submission earned, as plain data and as JSON."""

import json
from dataclasses import asdict, dataclass

PASSED, WRONG, UNWRITTEN = "passed", "wrong", "not written"


@dataclass(frozen=True)
class TaskMark:
    """One task of one learner. `target` and `yours` are tables of formatted numbers from a public case, or empty."""

    id: str
    title: str
    points: int
    worth: int
    state: str
    message: str
    misconception: str = ""
    target: tuple[tuple[str, ...], ...] = ()
    yours: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class Mark:
    """What one submission earned, and everything that reports say about it.

    Args:
        problem: why nothing could be graded, or "".
        cells: one sentence for each code cell that did not finish.
        flags: for the instructor only.
        level, missing: the level of isolation, and what it does not protect against.
    """

    learner: str
    tasks: tuple[TaskMark, ...]
    problem: str = ""
    cells: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    level: str = ""
    missing: tuple[str, ...] = ()

    @property
    def points(self) -> int:
        return sum(task.points for task in self.tasks)

    @property
    def worth(self) -> int:
        return sum(task.worth for task in self.tasks)


def to_json(mark: Mark) -> str:
    """Return a mark as JSON; equal marks give equal text."""
    return json.dumps(asdict(mark), ensure_ascii=False, sort_keys=True)


def from_json(text: str) -> Mark:
    """Return the mark that `to_json` turned into this text.

    Raises:
        ValueError, TypeError, KeyError: the text is not one of `to_json`.
    """
    parts = json.loads(text)
    parts["tasks"] = tuple(TaskMark(**_with_tuples(task)) for task in parts["tasks"])
    return Mark(**_with_tuples(parts))


def _with_tuples(parts: dict) -> dict:
    def frozen(value):
        return tuple(map(frozen, value)) if isinstance(value, (list, tuple)) else value

    return {key: frozen(value) for key, value in parts.items()}
