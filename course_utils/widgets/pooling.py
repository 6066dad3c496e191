"""Move a digit, pool it, and see how much of the move is left in the answer."""

import torch.nn.functional as F
from torch import Tensor

from course_utils import data, filters, ops
from course_utils.plotting import maps
from course_utils.widgets.panel import Panel, View, number, slider, switch

FARTHEST = 8  # pixels


class PoolingExplorer(Panel):
    """Compare a digit, or its edges, with the same moved by some pixels, before and after pooling.

    The edges are the positive answers of Sobel x: thin lines, such as a network pools. The change is the length of
    the difference divided by the length of the answer, its average taken away, as in lesson 6: 0 if nothing changed.

    >>> PoolingExplorer(right=1).words
    'Moved 1 to the right, 0 down: the picture of 28×28 changes by 0.57. After 2×2 max pooling, stride 2: 14×14 \
numbers, which change by 0.48; 98 of 196 are different.'
    """

    def __init__(
        self, digit: int = 3, edges: bool = True, mode: str = "max", size: int = 2, stride: int = 2,
        right: int = 0, down: int = 0,
    ) -> None:  # fmt: skip
        X, y = data.load("digits").test
        self.digits = [X[int((y == digit).nonzero()[0]), 0] for digit in range(10)]
        controls = {
            "digit": number("digit", digit, 0, 9),
            "edges": switch("its edges", edges),
            "average": switch("average in place of maximum", mode == "avg"),
            "window size": number("window size", size, 1, 14),
            "stride": number("stride", stride, 1, 14),
            "right": slider("pixels to the right", right, -FARTHEST, FARTHEST),
            "down": slider("pixels down", down, -FARTHEST, FARTHEST),
        }
        *settings, right, down = controls.values()
        super().__init__(controls, [settings, [right, down]])

    @property
    def original(self) -> Tensor:
        digit = self.digits[self.controls["digit"].value]
        edges = self.controls["edges"].value
        return filters.filter2d(digit[None], filters.sobel_x())[0].relu() if edges else digit

    def pooled(self, picture: Tensor) -> Tensor:
        values = self.values()
        mode = "avg" if values["average"] else "max"
        return ops.pool2d(picture[None], values["window size"], mode, values["stride"])[0]

    def view(self) -> View:
        _, edges, average, size, stride, right, down = self.values().values()
        before = self.original
        after = F.pad(before, (right, -right, down, -down))  # negative padding cuts off
        small, moved = self.pooled(before), self.pooled(after)
        different = int(((small - moved).abs() > 1e-4).sum())
        (rows, columns), kind = small.shape, "average" if average else "max"
        words = (
            f"Moved {right} to the right, {down} down: the picture of 28×28 changes by {change(before, after)}. "
            f"After {size}×{size} {kind} pooling, stride {stride}: {rows}×{columns} numbers, "
            f"which change by {change(small, moved)}; {different} of {small.numel()} are different."
        )
        pictures = {"edges" if edges else "digit": before, "moved": after, "pooled": small, "moved, pooled": moved}
        figure, alt = maps.draw_images(pictures, 4, None, None, None)
        return View([words], figure, f"{words} {alt}")


def change(before: Tensor, after: Tensor) -> str:
    """The relative change to two digits; a flat answer has no length to compare with."""
    length = (before - before.mean()).norm()
    return f"{float((before - after).norm() / length):.2f}" if length > 1e-6 else "nothing that could be compared"
