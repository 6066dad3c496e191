"""What the judge decides: a verdict on what a learner handed in, and the first difference that led to it."""

from dataclasses import dataclass, replace
from enum import Enum

from torch import Tensor

from exercise_checks.running.observing import Case


class DifferenceKind(Enum):
    """What is wrong with the answer on one case. Decisions are made by this, never by the sentence."""

    FAILED = "it gave no value"  # the observation's failure says why
    RETURNED_NONE = "it returned None"
    REFUSED = "the task's own test refuses the value"
    TYPE = "it is of another type"
    LENGTH = "it has too few or too many items"
    MISSING = "a key is missing"
    EXTRA = "a key is not asked for"
    SHAPE = "the shape is wrong"
    DTYPE = "the dtype or the device is wrong"
    VALUE = "values are wrong"
    CHANGED_ARGUMENT = "an argument was changed"
    FAILS_WITH_GRADIENT = "it fails when inputs require gradients"
    NO_GRADIENT = "no gradient flows back to an argument"
    NO_PARAMETER_GRADIENT = "no gradient reaches a parameter of the module"
    WRONG_GRADIENT = "a gradient is wrong"


@dataclass(frozen=True)
class Difference:
    """What is wrong on one case. For wrong values of a tensor: what is right, the learner's, and the first place."""

    kind: DifferenceKind
    sentence: str
    want: Tensor | None = None
    got: Tensor | None = None
    index: tuple[int, ...] | None = None

    def within(self, place: str) -> "Difference":
        """Return the same difference, with a sentence that begins with the place where it was found."""
        return replace(self, sentence=f"{place}: {self.sentence}")


@dataclass(frozen=True)
class Verdict:
    """The judgment on what a learner handed in, and a message of one line or several for the learner.

    `misconception` is the name of the mistake, if it is a known one. `written` is False while the sheet's
    `NotImplementedError` still stands. `case` and `difference` belong to the first case that failed.
    """

    passed: bool
    message: str
    misconception: str | None = None
    written: bool = True
    case: Case | None = None
    difference: Difference | None = None
