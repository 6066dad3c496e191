"""Tensors as grids of numbers, and the cells such grids are made of."""

import textwrap
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from course_utils import shapes
from course_utils.plotting.canvas import FONT, GAP, HEAD, LINE, MARGIN, ROOM, SMALLEST, WIDTH, breadth, card, put, write
from course_utils.plotting.colours import INK, INPUT, KERNEL, MUTED, OUTPUT, tint
from course_utils.plotting.picture import Picture, still
from course_utils.plotting.reading import Numbers, named, tensor
from course_utils.plotting.wording import describe, texts_of
from course_utils.shapes import IntOrPair

PALE, STRONG = 0.2, 0.45  # how much of its colour a cell takes, and one that is pointed at
SMALL = 28  # cells may shrink to this width, if that keeps all grids on one row


def matrices(
    grids: Mapping[str, Numbers], alt: str | None = None, border: Mapping[str, IntOrPair] | None = None
) -> Picture:
    """Draw tensors as grids of numbers, side by side.

    A name with `input`, `kernel` or `output` in it (or X, K, Y) gets that colour. Whole numbers are shown whole,
    others to about three digits. Channels of a `(C, H, W)` tensor stand below one another, and
    `(N, C, H, W)` becomes N such stacks.

    Args:
        grids: `{"name": tensor or nested list}` with up to four dimensions.
        alt: a sentence put before the computed description.
        border: `{"name": p}`: draw the outer p cells (an int, or rows and columns) of that grid as padding.

    Raises:
        TypeError: grids is not a dict.
        ValueError: nothing to draw, more than four dimensions, or too many numbers to read.

    >>> matrices({"input": [[0, 1], [2, 3]], "output": [[0.5, 1.25]]}, alt="Halves")
    <Picture: Halves: input 2x2 [0 1; 2 3]; output 1x2 [0.5 1.25]>
    """
    fig, words = _draw_matrices(grids, border or {})
    return still(fig, f"{alt}: {words}" if alt else words)


def _draw_matrices(grids, border) -> tuple[Figure, str]:
    tensors = {name: tensor(value, repr(name), (0, 1, 2, 3, 4)) for name, value in named(grids, "grids").items()}
    for name in border:
        if name not in tensors:
            raise ValueError(f"border names {name!r}, but the grids are {', '.join(map(repr, tensors))}.")
    pads = {name: shapes.pair(p, f"border of {name!r}", 0) for name, p in border.items()}
    stacks = [stack for name, T in tensors.items() for stack in _stacks(name, T, pads.get(name, (0, 0)))]
    cell = _shared_cell(stacks)
    x = y = right = MARGIN
    below, places = MARGIN, []
    for stack in stacks:  # left to right; a stack that does not fit starts a new row
        width, height = stack.extent(cell)
        if x > MARGIN and x + width > WIDTH - MARGIN:
            x, y = MARGIN, below + 24
        places.append((x, y))
        right, below = max(right, x + width), max(below, y + height)
        x += width + GAP
    fig, ax = card(right + MARGIN, below + MARGIN)
    for stack, (x, y) in zip(stacks, places, strict=True):
        stack.draw(ax, x, y, cell)
    return fig, "; ".join(describe(name, T) for name, T in tensors.items())


class Cell(NamedTuple):
    """How large a grid's cells are, and their text."""

    width: float
    height: float
    font: float


class _Stack(NamedTuple):
    """One titled pile of number grids: (C, H, W) strings."""

    name: str
    texts: np.ndarray
    pad: tuple[int, int]

    def extent(self, cell: Cell) -> tuple[float, float]:
        channels, rows, columns = self.texts.shape
        wide = columns * cell.width + 12 * (channels - 1)
        tall = channels * (rows * cell.height + (24 if channels > 1 else 0))
        return max(wide, breadth(self.name)), HEAD + tall

    def draw(self, ax, x, y, cell: Cell) -> None:
        channels, rows, columns = self.texts.shape
        colour, (ph, pw) = _meaning(self.name), self.pad
        draw_title(ax, x, y, self.name, self.texts.shape[channels == 1 :])
        y += HEAD
        for c, channel in enumerate(self.texts):
            if channels > 1:
                write(ax, x, y + 8, f"channel {c}", size=12, ha="left", color=MUTED)
                y += 20
            for (i, j), text in np.ndenumerate(channel):
                inside = ph <= i < rows - ph and pw <= j < columns - pw
                gid = f"{self.name}[{i},{j}]" if channels == 1 else f"{self.name}[{c},{i},{j}]"
                draw_cell(ax, x + j * cell.width, y + i * cell.height, cell, text, gid, colour if inside else None)
            x, y = x + 12, y + rows * cell.height + 4


def _stacks(name, T: Tensor, pad) -> list[_Stack]:
    texts = texts_of(T)
    if T.ndim == 4:
        names = [f"{name}[{n}]" for n in range(len(T))] if len(T) > 1 else [name]
        return [_Stack(n, part, pad) for n, part in zip(names, texts, strict=True)]
    return [_Stack(name, texts.reshape((1,) * (3 - T.ndim) + T.shape), pad)]


def _shared_cell(stacks) -> Cell:
    """Choose the cell of all stacks: smaller than usual if that puts them all on one row."""
    texts = [text for stack in stacks for text in stack.texts.flat]
    (usual,) = fit_cells([(texts, max(stack.texts.shape[-1] for stack in stacks))], ROOM)
    least = max(SMALL, *(_narrowest(len(text)) for text in texts))
    for width in (usual.width, *np.arange(usual.width - 1, least, -1)):
        (cell,) = fit_cells([(texts, 1)], width)
        if sum(stack.extent(cell)[0] + GAP for stack in stacks) - GAP <= ROOM:
            return cell
    return usual


def _narrowest(letters: int) -> float:
    return 0.7 * SMALLEST * letters + 6


def fit_cells(grids, room) -> list[Cell]:
    """Choose each grid's cells so that all fit side by side into `room` pixels, or say that nobody could read them.

    `grids` holds pairs: the strings, and the number of columns.
    """
    longest = [max(map(len, texts)) for texts, _ in grids]
    columns = [count for _, count in grids]
    least = [_narrowest(n) for n in longest]
    best = [max(42, 8.4 * n + 14) for n in longest]
    tight, loose = (sum(w * c for w, c in zip(widths, columns, strict=True)) for widths in (least, best))
    if tight > room:
        wide = f"{sum(columns)} columns of numbers"
        raise ValueError(f"{wide} are too wide to read: use images, or heatmap(numbers=False).")
    ease = min(1, (room - tight) / (loose - tight))
    widths = [a + ease * (b - a) for a, b in zip(least, best, strict=True)]
    font = min(FONT, *((w - 6) / (0.7 * n) for w, n in zip(widths, longest, strict=True)))
    height = min(42, max(26, *widths[:1]))
    return [Cell(width, height, font) for width in widths]


class Grid(NamedTuple):
    """One of several number grids beside each other. All of `longest` must fit into its cells, `texts` is drawn."""

    title: str
    texts: np.ndarray
    longest: np.ndarray | None = None  # None: those of `texts`
    shape: tuple[int, ...] | None = None  # as the title says it; None: that of `texts`


def draw_row(grids: dict[str, Grid], signs: str, sentences: list[str], shown: int, gid: str, draw) -> Figure:
    """Draw grids side by side with a sign between them, and below them the sentence number `shown`.

    There is room for every sentence, so that all frames of an animation have one size. `draw` draws a grid's cells.
    """
    gaps, letter = GAP * (len(grids) - 1), 0.62 * FONT  # 0.602, and whole pixels for each letter
    longest = [grid.texts if grid.longest is None else grid.longest for grid in grids.values()]
    cells = fit_cells([(list(texts.flat), texts.shape[1]) for texts in longest], ROOM - gaps)
    widths = [max(g.texts.shape[1] * c.width, breadth(g.title)) for g, c in zip(grids.values(), cells, strict=True)]
    tall = max(len(grid.texts) for grid in grids.values()) * cells[0].height
    wide = max(sum(widths) + gaps, min(ROOM, letter * max(map(len, sentences))))
    wrapped = [textwrap.wrap(text, int((wide + 1) // letter)) for text in sentences]
    fig, ax = card(wide + 2 * MARGIN, 2 * MARGIN + HEAD + tall + 12 + max(map(len, wrapped)) * LINE)
    x, middle = MARGIN, MARGIN + HEAD + tall / 2
    for n, (name, grid) in enumerate(grids.items()):
        if n:
            write(ax, x - GAP / 2, middle, signs[n - 1], size=26, gid="sign")
        draw_title(ax, x, MARGIN, grid.title, grid.shape or grid.texts.shape)
        draw(ax, name, grid.texts, x, middle - len(grid.texts) * cells[n].height / 2, cells[n])
        x += widths[n] + GAP
    for n, line in enumerate(wrapped[shown]):
        y = MARGIN + HEAD + tall + 14 + (n + 0.5) * LINE
        write(ax, MARGIN, y, line, ha="left", family="DejaVu Sans Mono", gid=f"{gid}{n}")
    return fig


def draw_title(ax, x, y, name, shape) -> None:
    write(ax, x, y + 8, name, ha="left", weight="bold")
    write(ax, x, y + 26, " × ".join(map(str, shape)), size=12, ha="left", color=MUTED)


def draw_cell(ax, x, y, cell: Cell, text, gid, colour, strong=False, dashed=False) -> None:
    """Draw one number. Without a colour the cell is white and dashed: padding, or not computed yet."""
    fill = "white" if colour is None else tint(colour, STRONG if strong else PALE)
    edge, style = (MUTED, (0, (3, 2))) if colour is None or dashed else (colour, "-")
    size, width = (cell.width - 3, cell.height - 3), 1.8 if strong else 0.9
    put(ax, Rectangle((x + 1.5, y + 1.5), *size, fc=fill, ec=edge, ls=style, lw=width, gid=gid))
    if text:
        look = {"color": MUTED if colour is None else INK, "weight": "bold" if strong else "normal"}
        write(ax, x + cell.width / 2, y + cell.height / 2, text, size=cell.font, gid=gid, **look)


def reach(at, size, stride, dilation) -> tuple[list[int], list[int]]:
    """Return the rows and the columns that the window of `size` number `at` covers."""
    return tuple([a * s + d * n for n in range(k)] for a, k, s, d in zip(at, size, stride, dilation, strict=True))


def draw_outline(ax, left, top, cell: Cell, rows, columns) -> None:
    """Outline the window that reaches from the first to the last of those rows and columns."""
    corner = (left + columns[0] * cell.width, top + rows[0] * cell.height)
    width, height = (columns[-1] - columns[0] + 1) * cell.width, (rows[-1] - rows[0] + 1) * cell.height
    ax.add_artist(Rectangle(corner, width, height, fill=False, ec=KERNEL, lw=2.2, zorder=3, gid="window"))


def _meaning(name: str) -> str:
    """Return the colour a grid's name asks for: that of the word that comes first."""
    words = {"input": INPUT, "kernel": KERNEL, "filter": KERNEL, "weight": KERNEL, "output": OUTPUT}
    letters = {"X": INPUT, "K": KERNEL, "Y": OUTPUT}
    found = sorted((name.lower().find(word), colour) for word, colour in words.items() if word in name.lower())
    return found[0][1] if found else letters.get(name, MUTED)
