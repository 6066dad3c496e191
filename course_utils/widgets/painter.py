"""Paint a kernel, cell by cell, and see what it makes of a photograph."""

import ipywidgets
import torch
from torch import Tensor

from course_utils import data, filters
from course_utils.plotting import maps
from course_utils.widgets.panel import Panel, View, choice, number, row, switch

OWN = "your own"


def presets() -> dict[str, tuple[Tensor, bool]]:
    """Kernels by name, in whole numbers, and whether they are to be divided by their sum."""
    return {
        "identity": (filters.identity(), False),
        "box": (9 * filters.box(3), True),
        "Gaussian": ((16 * filters.gaussian(3, sigma=0.85)).round(), True),
        "sharpen": (filters.sharpen(), False),
        "Laplacian": (filters.laplacian(), False),
        "Sobel x": (filters.sobel_x(), False),
        "Sobel y": (filters.sobel_y(), False),
        "Prewitt x": (filters.prewitt_x(), False),
        "Prewitt y": (filters.prewitt_y(), False),
    }


class KernelPainter(Panel):
    """Edit a 3×3 kernel over a photograph `(1, H, W)` with values in 0..1.

    A kernel whose sum is 0 shows differences, with 0 in white, red above and blue below. Any other is taken to make a
    picture: what leaves 0..1 is cut to black and white, and the words say how much that is.

    >>> KernelPainter(torch.ones(1, 4, 4), "box").words
    'The nine numbers, each divided by their sum 9, add up to 1: flat ground keeps its brightness. Noise is multiplied \
by 0.33. Cut to black or white: 0 % of the pixels.'
    """

    def __init__(self, photo: Tensor | None = None, kernel: str = "identity") -> None:
        self.photo = data.photo("china", size=200, gray=True) if photo is None else photo
        self.presets = {name: (kernel.round(), divide) for name, (kernel, divide) in presets().items()}
        start, divide = self.presets[kernel]
        float_box = ipywidgets.BoundedFloatText
        cells = {
            f"K[{i},{j}]": number(f"K[{i},{j}]", float(start[i, j]), -99, 99, float_box, step=1)
            for i in range(3)
            for j in range(3)
        }
        named = choice("kernel", [*self.presets, OWN], kernel)
        controls = {"kernel": named, **cells, "divide by the sum": switch("divide by the sum", divide)}
        boxes = list(cells.values())
        table = ipywidgets.VBox([row(boxes[n : n + 3]) for n in (0, 3, 6)])
        self.before = self.after = self.photo
        super().__init__(controls, [[named, controls["divide by the sum"]], table])

    @property
    def cells(self) -> Tensor:
        values = self.values()
        return torch.tensor([[values[f"K[{i},{j}]"] for j in range(3)] for i in range(3)])

    def adapt(self, control: ipywidgets.Widget | None) -> None:
        named, divide = self.controls["kernel"], self.controls["divide by the sum"]
        if control is named and named.value != OWN:
            kernel, divide.value = self.presets[named.value]
            for i in range(3):
                for j in range(3):
                    self.controls[f"K[{i},{j}]"].value = float(kernel[i, j])
        elif control is not named:
            now = (self.cells, divide.value)
            same = (name for name, (K, d) in self.presets.items() if d == now[1] and torch.equal(K, now[0]))
            named.value = next(same, OWN)

    def kernel(self) -> tuple[Tensor, str]:
        """The kernel that is used, and a sentence about its sum."""
        K, total = self.cells, float(self.cells.sum())
        divide = self.controls["divide by the sum"].value
        if abs(total) < 1e-6:
            refused = "Their sum is 0: there is nothing to divide by. " if divide else ""
            return K, f"{refused}The nine numbers add up to 0: flat ground becomes 0, only differences are left."
        if divide:
            said = f"The nine numbers, each divided by their sum {total:g}, add up to 1"
            return K / total, f"{said}: flat ground keeps its brightness."
        what = "keeps its brightness" if abs(total - 1) < 1e-6 else f"gets {total:g} times as bright"
        return K, f"The nine numbers add up to {total:g}: flat ground {what}."

    def view(self) -> View:
        K, about = self.kernel()
        lines = [about, f"Noise is multiplied by {float(K.square().sum().sqrt()):.2f}."]
        answer, name, low, high = filters.filter2d(self.photo, K), "after", None, None
        if abs(float(K.sum())) < 1e-6:
            name = "after: 0 is white" if answer.min() < 0 else name
        else:
            cut = ((answer < -1e-6) | (answer > 1 + 1e-6)).float().mean()
            lines.append(f"Cut to black or white: {cut:.0%} of the pixels.".replace("%", " %"))
            answer, low, high = answer.clamp(0, 1), 0, 1
        self.after = answer
        figure, alt = maps.draw_images({"before": self.photo, name: answer}, None, low, high, None)
        rows = "; ".join(" ".join(f"{float(v) + 0:g}" for v in line) for line in self.cells)  # + 0: none is -0
        return View([" ".join(lines)], figure, f"Kernel [{rows}]. {about} {alt}")
