"""What all widgets share: labelled controls, words that say what is shown, and the picture with its description."""

import html
from typing import NamedTuple

import ipywidgets
from matplotlib.figure import Figure

from course_utils.plotting.picture import sketch

STYLE = {"description_width": "initial"}  # labels are not cut off


class View(NamedTuple):
    """What a setting looks like: lines to read, and a figure with its description, or none if it cannot be drawn."""

    lines: list[str]
    figure: Figure | None = None
    alt: str = ""


class Panel:
    """Controls, words and a picture that follow one another. A kind of panel says what its setting looks like.

    `controls` holds every control by name, `words` what is said about the setting, `picture` what is drawn, or None.
    """

    def __init__(self, controls: dict, rows: list) -> None:
        self.controls = controls
        self.words, self.picture = "", None
        self._quiet = False
        self._words, self._place = ipywidgets.HTML(), ipywidgets.HTML()
        self.box = ipywidgets.VBox([*map(row, rows), self._words, self._place])
        for control in controls.values():
            control.observe(self._moved, "value")
        self._moved(None)

    def adapt(self, control: ipywidgets.Widget | None) -> None:
        """Bring other controls in line with the one that was moved; None at the start."""

    def view(self) -> View:
        raise NotImplementedError

    def values(self) -> dict:
        return {name: control.value for name, control in self.controls.items()}

    def _moved(self, change) -> None:
        if self._quiet:  # a control that `adapt` moves asks for no drawing of its own
            return
        self._quiet = True
        try:
            self.adapt(change and change["owner"])
            self._show(self.view())
        finally:
            self._quiet = False

    def _show(self, view: View) -> None:
        self.words = " ".join(view.lines)
        self.picture = sketch(view.figure, view.alt) if view.figure else None
        # A screen reader speaks a "status" when it changes; the eye finds the same words above the picture.
        lines = "<br>".join(map(html.escape, view.lines))
        self._words.value = f'<div role="status" aria-live="polite" style="line-height: 1.5">{lines}</div>'
        # One message for picture and description, so that neither is ever seen with the other's predecessor.
        self._place.value = self.picture.html if self.picture else ""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.words}>"

    def _repr_mimebundle_(self, include=None, exclude=None):
        page = f"<p>{html.escape(self.words)} (Run this cell to turn the knobs yourself.)</p>"
        page += self.picture.html if self.picture else ""
        return {**self.box._repr_mimebundle_(), "text/plain": repr(self), "text/html": page}


def row(controls: ipywidgets.Widget | list) -> ipywidgets.Widget:
    """Put controls side by side; those for which there is no room go below."""
    if isinstance(controls, ipywidgets.Widget):
        return controls
    return ipywidgets.HBox(list(controls), layout={"flex_flow": "row wrap"})


def number(
    label: str, value: float, least: float, most: float, kind=ipywidgets.BoundedIntText, width: str = "5em", **more
) -> ipywidgets.Widget:
    """A box for a number, which the arrow keys change: its label is read out, that of a slider would not be."""
    layout = {"width": f"calc({width} + {0.55 * len(label):.1f}em)"}
    return kind(value, min=least, max=most, description=label, style=STYLE, layout=layout, **more)


def slider(label: str, value: int, least: int, most: int, width: str = "24em") -> ipywidgets.IntSlider:
    return ipywidgets.IntSlider(value, least, most, description=label, style=STYLE, layout={"width": width})


def choice(label: str, options: list[str], value: str, width: str = "24em") -> ipywidgets.SelectionSlider:
    """A slider through names. JupyterLab takes arrow keys and letters away from a list that drops down."""
    layout = {"width": width}
    return ipywidgets.SelectionSlider(options=options, value=value, description=label, style=STYLE, layout=layout)


def switch(label: str, value: bool) -> ipywidgets.Checkbox:
    return ipywidgets.Checkbox(value, description=label, indent=False, layout={"width": "auto"})
