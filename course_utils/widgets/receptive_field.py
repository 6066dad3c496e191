"""Stack layers and see what one output sees."""

from collections.abc import Sequence

import ipywidgets

from course_utils import arithmetic
from course_utils.plotting import fields
from course_utils.widgets.panel import Panel, View, number, row

MOST = 6  # layers


class ReceptiveFieldBuilder(Panel):
    """Build a stack of layers, `(kernel_size, stride)` or `(kernel_size, stride, dilation)` each, input first.

    >>> ReceptiveFieldBuilder([(3, 2), (3, 1)]).words
    'Receptive field: 1 + 1·(3 − 1)·1 + 1·(3 − 1)·2 = 7 pixels. Jump: 2·1 = 2 pixels. Centre of the first output: \
(7 − 1) / 2 = 3.'
    """

    def __init__(self, layers: Sequence[tuple] = ((3, 1), (3, 1))) -> None:
        self.layers = len(layers)
        if not 1 <= self.layers <= MOST:
            raise ValueError(f"layers must be 1 to {MOST} layers, got {self.layers}.")
        self._note = ""
        controls = {}
        for n in range(MOST):
            values = (*layers[n], 1)[:3] if n < self.layers else (3, 1, 1)
            for name, value, most in zip(("kernel", "stride", "dilation"), values, (7, 4, 4), strict=True):
                controls[f"layer {n + 1}: {name}"] = number(f"layer {n + 1}: {name}", value, 1, most)
        # A stack grows by one and shrinks by one: two buttons, and no control is made or lost on the way.
        self.buttons = [ipywidgets.Button(description=words) for words in ("add a layer", "remove the last layer")]
        for button, step in zip(self.buttons, (1, -1), strict=True):
            button.layout.width = "auto"
            button.on_click(lambda _, step=step: self.grow(step))
        self._rows = [row(list(controls.values())[3 * n : 3 * n + 3]) for n in range(MOST)]
        super().__init__(controls, [self.buttons, *self._rows])

    def grow(self, step: int) -> None:
        """Add the next layer (1) or take the last one away (-1)."""
        wanted = min(max(self.layers + step, 1), MOST)
        if wanted == self.layers:
            self._note = f"At most {MOST} layers." if step > 0 else "At least one layer must stay."
        self.layers = wanted
        self._moved(None)
        self._note = ""

    def adapt(self, control: ipywidgets.Widget | None) -> None:
        for n, line in enumerate(self._rows):
            line.layout.display = None if n < self.layers else "none"

    def stack(self) -> list[tuple[int, int, int]]:
        values = list(self.values().values())
        return [tuple(values[3 * n : 3 * n + 3]) for n in range(self.layers)]

    def view(self) -> View:
        stack, jump, terms = self.stack(), 1, []
        for kernel, stride, dilation in stack:
            terms.append(f"{dilation}·({kernel} − 1)·{jump}")
            jump *= stride
        field = arithmetic.receptive_field(stack)
        lines = [
            f"Receptive field: 1 + {' + '.join(terms)} = {field} pixel{'s' * (field > 1)}.",
            f"Jump: {'·'.join(str(stride) for _, stride, _ in stack)} = {jump} pixel{'s' * (jump > 1)}.",
            f"Centre of the first output: ({field} − 1) / 2 = {(field - 1) / 2:g}.",
        ]
        lines += [self._note] if self._note else []
        try:
            return View(lines, *fields.draw_levels(fields.levels_of(stack)))
        except ValueError as too_wide:
            return View([*lines, str(too_wide)])
