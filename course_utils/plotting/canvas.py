"""The white card that everything is drawn on: its sizes, texts and panels. Lengths are CSS pixels."""

import math

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.path import Path
from matplotlib.text import Text
from matplotlib.transforms import IdentityTransform, TransformedPath

from course_utils.plotting.colours import INK, MUTED

WIDTH, MARGIN, GAP, HEAD = 750, 14, 40, 40  # a notebook's column is about 750 pixels wide
ROOM = WIDTH - 2 * MARGIN
UNUSED = TransformedPath(Path.unit_rectangle(), IdentityTransform())
FONT, SMALLEST, LINE = 13, 10, 19  # text height, the least legible one, and the distance between lines


def card(width: float, height: float) -> tuple[Figure, Axes]:
    """Return a white figure, two pixels to a CSS pixel, and axes in CSS pixels with (0, 0) at the top left."""
    width, height = math.ceil(width), math.ceil(height)
    fig = Figure(figsize=(width / 96, height / 96), dpi=192, facecolor="white", layout="none")
    ax = fig.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, width), ylim=(height, 0))
    ax.axis("off")
    ax.set_zorder(1)  # texts written on the card stay above the panels added to it
    return fig, ax


def panel(fig: Figure, x: float, y: float, width: float, height: float, ticks: bool = False) -> Axes:
    """Add axes of that place and size. Every setting is spelled out: a learner's matplotlib style must not leak in."""
    wide, high = fig.get_size_inches() * 96
    axes = fig.add_axes((x / wide, 1 - (y + height) / high, width / wide, height / high), facecolor="white")
    axes.spines[:].set(color=MUTED, linewidth=0.8, visible=True)
    axes.grid(False)
    if ticks:
        axes.grid(True, color="#DDDDDD", linewidth=0.8, linestyle="-", alpha=1)
        axes.set_axisbelow(True)
        look = {"labelsize": 9, "labelcolor": INK, "color": MUTED, "labelfontfamily": "DejaVu Sans"}
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_tick_params(which="both", direction="out", width=0.8, pad=3.5, **look)
        axes.tick_params(length=4, top=False, right=False, left=True, bottom=True)
    else:
        axes.set(xticks=[], yticks=[])
    return axes


def put(ax: Axes, artist: Artist) -> None:
    """Add a text or a cell. Nothing hangs over the card; a clip path for each would cost a sixth of the time."""
    artist.set_clip_on(False)
    artist.set_clip_path(UNUSED)  # else add_artist makes one
    ax.add_artist(artist)


def write(ax, x, y, text, size=FONT, color=INK, ha="center", va="center", family="DejaVu Sans", **more) -> None:
    # parse_math: a name like "cost in $" is text, not TeX. A CSS pixel is 0.75 points.
    look = {"color": color, "ha": ha, "va": va, "family": family}
    put(ax, Text(x, y, text, fontsize=size * 0.75, parse_math=False, **look, **more))


def heading(ax: Axes, text: str) -> None:
    """Write a title into the card's upper left corner."""
    write(ax, MARGIN, MARGIN + 8, text, ha="left", weight="bold")


def breadth(text: str) -> float:
    """An upper estimate of a bold title's width: measured widths differ between font versions."""
    return 0.68 * FONT * len(text)
