"""The measurements of a training run, epoch by epoch."""

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # it imports matplotlib, which only `plot` needs
    from course_utils import plotting


@dataclass(repr=False)
class History:
    """What `fit` measured: lists with one entry per epoch.

    >>> History(train_loss=[2.3, 0.5], test_accuracy=[0.1, 0.9])
    History(2 epochs, train loss 0.5, test accuracy 90.0%)
    """

    train_loss: list[float] = field(default_factory=list)  #: mean over the augmented images, before their batch's step
    train_accuracy: list[float] = field(default_factory=list)  #: the same mean, 0..1
    test_accuracy: list[float] = field(default_factory=list)  #: 0..1, after the epoch
    lr: list[float] = field(default_factory=list)  #: learning rate of the epoch's first step
    seconds: list[float] = field(default_factory=list)  #: of training, without testing
    images_per_second: list[float] = field(default_factory=list)  #: training images divided by `seconds`

    def __len__(self) -> int:
        return len(self.train_loss)

    def __repr__(self) -> str:  # omits the times, which differ from run to run
        if not self.train_loss:
            return "History(0 epochs)"
        loss, accuracy = self.train_loss[-1], self.test_accuracy[-1]
        return f"History({len(self)} epochs, train loss {loss:.3g}, test accuracy {accuracy:.1%})"

    def as_dict(self) -> dict[str, list[float]]:
        """Return the lists by name, copied."""
        return asdict(self)

    def plot(self) -> "plotting.Picture":
        """Draw the curves of loss and accuracy."""
        from course_utils import plotting

        return plotting.history(self.as_dict())
