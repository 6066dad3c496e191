"""Convolution arithmetic by turning knobs: the window moves, and the size formula fills in."""

import ipywidgets
import torch

from course_utils import arithmetic
from course_utils.plotting import stamps, windows
from course_utils.widgets.panel import Panel, View, number, slider, switch

# What fits on the page with numbers that can be read.
LIMITS = {"input size": (1, 7), "kernel size": (1, 4), "stride": (1, 4), "padding": (0, 2), "dilation": (1, 3),
          "output padding": (0, 3)}  # fmt: skip


class ConvolutionExplorer(Panel):
    """Explore how input size, kernel size, stride, padding and dilation make the output; all are squares.

    The window stands at the place that the slider says, in reading order. Transposed, the slider picks the pixel that
    stamps. Input and kernel hold 0, 1, 2, …; a larger input begins again after 9.

    >>> ConvolutionExplorer(input_size=3, kernel_size=2).words
    'Output size: ⌊(n + 2p − d(k − 1) − 1) / s⌋ + 1 = ⌊(3 + 2·0 − 1·(2 − 1) − 1) / 1⌋ + 1 = ⌊1 / 1⌋ + 1 = 2. \
Window 0 of 0 to 3 stands at row 0, column 0 of the output: 0×0 + 1×1 + 3×2 + 4×3 = 19'
    """

    def __init__(
        self, input_size: int = 5, kernel_size: int = 3, stride: int = 1, padding: int = 0, dilation: int = 1,
        transposed: bool = False,
    ) -> None:  # fmt: skip
        start = (input_size, kernel_size, stride, padding, dilation, 0)
        letters = {name: f"{name} {letter}" for name, letter in zip(LIMITS, "nkspde", strict=True)}
        controls = {name: number(letters[name], v, *LIMITS[name]) for name, v in zip(LIMITS, start, strict=True)}
        controls["transposed"] = switch("transposed", transposed)
        controls["window"] = slider("window", 0, 0, 0, width="30em")
        sizes = [control for name, control in controls.items() if name != "window"]
        super().__init__(controls, [sizes, controls["window"]])

    def adapt(self, control: ipywidgets.Widget | None) -> None:
        values, window = self.values(), self.controls["window"]
        self.controls["output padding"].layout.display = None if values["transposed"] else "none"
        window.description = "pixel" if values["transposed"] else "window"
        size, _ = self.size()
        places = values["input size"] if values["transposed"] else size
        window.max = max(places, 1) ** 2 - 1
        window.disabled = size < 1

    def size(self) -> tuple[int, str]:
        """The output's size, 0 if there is none, and the formula with the numbers filled in."""
        n, k, s, p, d, e, transposed, _ = self.values().values()
        if transposed:
            size = (n - 1) * s - 2 * p + d * (k - 1) + e + 1
            filled = f"({n} − 1)·{s} − 2·{p} + {d}·({k} − 1) + {e} + 1"
            return max(size, 0), f"Output size: (n − 1)s − 2p + d(k − 1) + e + 1 = {filled} = {size}."
        room = n + 2 * p - d * (k - 1) - 1
        size = room // s + 1 if room >= 0 else 0
        filled = f"⌊({n} + 2·{p} − {d}·({k} − 1) − 1) / {s}⌋ + 1 = ⌊{room} / {s}⌋ + 1"
        end = f" = {size}." if size else "."
        return size, f"Output size: ⌊(n + 2p − d(k − 1) − 1) / s⌋ + 1 = {filled}{end}"

    def view(self) -> View:
        n, k, s, p, d, e, transposed, window = self.values().values()
        X, K = (torch.arange(n * n) % 10).reshape(n, n).double(), torch.arange(k * k).reshape(k, k).double()
        size, formula = self.size()
        at = divmod(window, n if transposed else max(size, 1))
        try:
            if transposed:
                case = stamps.stamp_case(X, K, s, p, d, e)
                figure, alt = stamps.draw_place(case, at)
                said = f"Pixel {window} of 0 to {n * n - 1} paints {case.products(at)}"
            else:
                arithmetic.output_size(n, k, s, p, d)  # says in the names of the knobs what does not fit
                case = windows.kernel_case(X, K, s, p, d)
                figure, alt = windows.draw_place(case, at)
                place = f"row {at[0]}, column {at[1]} of the output"
                said = f"Window {window} of 0 to {size * size - 1} stands at {place}: {case.arithmetic(at)}"
        except ValueError as impossible:
            return View([formula, _plain(impossible, size)])
        return View([formula, said], figure, alt)


def _plain(error, size) -> str:
    if "to read:" in str(error):
        return f"The output of {size}×{size} numbers is too large to draw here; its size is right."
    return str(error).replace("kernel_size", "kernel size").replace("output_padding", "output padding")
