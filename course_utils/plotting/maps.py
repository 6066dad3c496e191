"""Numbers as colours: images and heat maps, with the scale that reads the colours back."""

import math
import textwrap
from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
import torch
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from torch import Tensor

from course_utils.plotting.canvas import FONT, LINE, MARGIN, ROOM, WIDTH, breadth, card, heading, panel, write
from course_utils.plotting.colours import MUTED, luminance, readable
from course_utils.plotting.grids import Cell, fit_cells
from course_utils.plotting.picture import Picture, still
from course_utils.plotting.reading import Numbers, finite, named
from course_utils.plotting.wording import describe, number, texts_of

BAR, SPACE = 62, 16  # the room of a colour bar, and between images
SIGNS = ("#D6604D", "#4393C3")  # above and below 0, as in the diverging map of `images`


def images(
    pictures: Mapping[str, Numbers], columns: int | None = None,
    vmin: float | None = None, vmax: float | None = None, cmap: str | None = None,
) -> Picture:  # fmt: skip
    """Show images side by side, alike ones on one colour scale.

    Shapes: `(H, W)`, `(1, H, W)` or, for colour in 0..1, `(3, H, W)`. Images with negative values share a diverging
    map with 0 in its middle, the others share greys from 0 up; a bar tells the numbers. vmin, vmax or cmap put all
    images on one scale.

    Raises:
        TypeError: pictures is not a dict.
        ValueError: nothing to show, a shape that is no image, NaN, colours outside 0..1.

    >>> images({"edge": torch.tensor([[0.0, -1.0], [0.5, 1.0]])})
    <Picture: edge 2x2 [0 -1; 0.5 1]>
    """
    fig, words = draw_images(pictures, columns, vmin, vmax, cmap)
    return still(fig, words)


def _image(value, name) -> Tensor:
    """Return (H, W), or (H, W, 3) with colours in 0..1."""
    T = finite(value, repr(name), (2, 3))
    if T.ndim == 3 and len(T) not in (1, 3):
        raise ValueError(f"{name!r} must have shape (H, W), (1, H, W) or (3, H, W), got {tuple(T.shape)}.")
    if T.ndim == 2 or len(T) == 1:
        return T.reshape(T.shape[-2:])
    if T.min() < -1e-4 or T.max() > 1 + 1e-4:
        low, high = texts_of(torch.stack([T.min(), T.max()]))
        raise ValueError(f"{name!r} must have its colours in 0..1, got {low}..{high}: clamp or rescale them.")
    return T.clamp(0, 1).permute(1, 2, 0)


def draw_images(pictures, columns, vmin, vmax, cmap) -> tuple[Figure, str]:
    tensors = {name: _image(value, name) for name, value in named(pictures, "pictures").items()}
    columns = min(len(tensors), 4) if columns is None else columns
    if not isinstance(columns, int) or columns < 1:
        raise ValueError(f"columns must be a positive int, got {columns!r}.")
    scales = _scales([T for T in tensors.values() if T.ndim == 2], vmin, vmax, cmap)
    shown = list({str(style): style for style in scales.values()}.values())
    tallest = max(T.shape[0] / T.shape[1] for T in tensors.values())
    width = min(300, (ROOM - BAR * len(shown) + SPACE) / columns - SPACE, 420 / tallest)
    height, width = width * tallest, max(width, 96)
    titles = [textwrap.wrap(name, int((width + 12) / 8.4)) or [""] for name in tensors]
    head = 8 + LINE * max(map(len, titles))
    right = MARGIN + min(columns, len(tensors)) * (width + SPACE)
    rows = -(-len(tensors) // columns)
    fig, ax = card(right - SPACE + BAR * len(shown) + MARGIN, 2 * MARGIN + rows * (head + height + 12) - 12)
    for n, T in enumerate(tensors.values()):
        x, y = MARGIN + n % columns * (width + SPACE), MARGIN + n // columns * (head + height + 12)
        write(ax, x + width / 2, y + head / 2 - 3, "\n".join(titles[n]), weight="bold")
        zoom = min(width / T.shape[1], height / T.shape[0])
        wide, high = zoom * T.shape[1], zoom * T.shape[0]
        style = {} if T.ndim == 3 else scales[bool(T.min() < 0)]
        axes = panel(fig, x + (width - wide) / 2, y + head, wide, high)
        axes.imshow(T.numpy(), interpolation="nearest" if zoom >= 1 else "antialiased", aspect="auto", **style)
    for n, style in enumerate(shown):
        _draw_bar(fig, ax, right + BAR * n, MARGIN + head, min(height, 260), style)
    return fig, "; ".join(describe(name, T if T.ndim == 2 else T.permute(2, 0, 1)) for name, T in tensors.items())


def _scales(tensors, vmin, vmax, cmap) -> dict:
    """Return imshow's settings for images without (False) and with (True) negative values."""
    groups = {signed: [T for T in tensors if bool(T.min() < 0) == signed] for signed in (False, True)}
    shared = (vmin, vmax, cmap) != (None, None, None)
    return {s: _scale(tensors if shared else group, vmin, vmax, cmap) for s, group in groups.items() if group}


def _scale(tensors, vmin=None, vmax=None, cmap=None) -> dict:
    low = min(float(T.min()) for T in tensors)
    reach = max(abs(low), *(float(T.max()) for T in tensors)) or 1.0
    vmin = (-reach if low < 0 else 0.0) if vmin is None else float(vmin)
    vmax = reach if vmax is None else float(vmax)
    if vmin >= vmax:
        raise ValueError(f"vmin must be below vmax, got {vmin:g} and {vmax:g}.")
    cmap = cmap or ("RdBu_r" if low < 0 else "gray")
    if cmap not in matplotlib.colormaps:
        raise ValueError(f"cmap must be the name of a matplotlib colour map, got {cmap!r}.")
    return {"cmap": cmap, "vmin": vmin, "vmax": vmax}


def _draw_bar(fig, ax, x, y, height, style) -> None:
    low, high = style["vmin"], style["vmax"]
    panel(fig, x, y, 14, height).imshow(np.linspace(high, low, 256)[:, None], aspect="auto", **style)
    for value in {low, high, 0.0} if low < 0 < high else {low, high}:
        place = y + height * (high - value) / (high - low)
        write(ax, x + 20, place, number(value, max(abs(low), abs(high))), size=12, ha="left", gid="scale")


def overlays(pictures: Mapping[str, tuple[Numbers, Numbers]], columns: int | None = None) -> Picture:
    """Lay a map over each grey image, `{"name": (image, map)}`: red is above 0, blue below, and strong hides more.

    Shapes: image `(H, W)` or `(1, H, W)`, map `(H, W)`. Nothing is stretched here: that a map's pixel lies on the pixel
    that it speaks of is the caller's care. Each map is measured by its own largest absolute number, which the title
    tells; a map of zeros leaves the image as it was.

    Raises:
        TypeError: pictures is not a dict of pairs.
        ValueError: nothing to show, a shape that is no image, a map of another size, NaN, an image below 0.

    >>> overlays({"seen": (torch.ones(2, 2), torch.tensor([[0.0, -1.0], [0.5, 4.0]]))})
    <Picture: seen: image 2x2 [1 1; 1 1], map 2x2 [0 -1; 0.5 4], largest at row 1, column 1>
    """
    fig, words = _draw_overlays(pictures, columns)
    return still(fig, words)


def _draw_overlays(pictures, columns) -> tuple[Figure, str]:
    blended, words = {}, []
    for name, pair in named(pictures, "pictures").items():
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise TypeError(f"{name!r} must be a pair (image, map), got {type(pair).__name__}.")
        image, M = _image(pair[0], name), finite(pair[1], f"the map of {name!r}", (2,))
        if image.ndim != 2 or image.shape != M.shape or image.min() < 0:
            raise ValueError(
                f"{name!r} must be a grey image from 0 up and a map of its size, "
                f"got shapes {tuple(pair[0].shape)} and {tuple(M.shape)}, the lowest pixel {float(image.min()):g}."
            )
        reach = float(M.abs().max())
        blended[f"{name} (to {number(reach, reach)})"] = _blend(image, M)
        row, column = divmod(int(M.argmax()), M.shape[1])
        shown = describe("map", M)
        words.append(f"{name}: {describe('image', image)}, {shown}, largest at row {row}, column {column}")
    return draw_images(blended, columns, None, None, None)[0], "; ".join(words)


def _blend(image: Tensor, M: Tensor) -> Tensor:
    """Return (3, H, W): grey where the map is 0, one of two colours where it is strongest."""
    grey = image / max(float(image.max()), 1e-12)
    strength = M.abs() / max(float(M.abs().max()), 1e-12)
    above, below = (torch.tensor(to_rgb(colour), dtype=M.dtype)[:, None, None] for colour in SIGNS)
    return (1 - strength) * grey + strength * torch.where(M > 0, above, below)


def heatmap(
    M: Numbers, title: str = "", xlabel: str = "column", ylabel: str = "row", numbers: bool = True,
    labels: Sequence[str] | None = None,
) -> Picture:  # fmt: skip
    """Draw a matrix of counts, scores or weights as coloured cells; rows of a confusion matrix are the true classes.

    Shapes: M `(rows, columns)`; `labels` names its columns, and its rows too when it is square.

    Raises:
        ValueError: M is no matrix or holds NaN, labels do not fit, too many numbers to read (`numbers=False` helps).

    >>> heatmap([[4, 6, 4], [6, 9, 6], [4, 6, 4]], "How often is each pixel used?")
    <Picture: How often is each pixel used? 3x3 [4 6 4; 6 9 6; 4 6 4]>
    """
    M = finite(M, "M", (2,))
    return still(_draw_heatmap(M, title, xlabel, ylabel, numbers, labels), describe(title or "heat map", M))


def _draw_heatmap(M: Tensor, title, xlabel, ylabel, numbers, labels) -> Figure:
    rows, columns = M.shape
    if labels is not None and len(labels) != columns:
        raise ValueError(f"labels must name the {columns} columns of M, got {len(labels)}.")
    names = [str(n) for n in (range(columns) if labels is None else labels)]
    side = names if rows == columns else [str(n) for n in range(rows)]
    left, top = MARGIN + 24 + 8 * max(map(len, side)) + 8, MARGIN + (LINE + 8) * bool(title)
    bar = 0 if numbers else BAR
    room = WIDTH - left - MARGIN - bar
    if numbers:
        (cell,) = fit_cells([(list(texts_of(M).flat), columns)], room)
    else:
        cell = Cell(*2 * [min(40, room / columns, 520 / rows)], FONT)
    wide, high, longest = columns * cell.width, rows * cell.height, max(map(len, names))
    upright = labels is not None and longest * 8 > cell.width
    foot = top + high + (longest * 8 if upright else 18) + 28
    fig, ax = card(max(left + wide + bar, breadth(title) + MARGIN, left + 8 * len(xlabel)) + MARGIN, foot + MARGIN)
    heading(ax, title)
    style = _scale([M], cmap="RdBu_r" if M.min() < 0 else "Blues")
    panel(fig, left, top, wide, high).imshow(M.numpy(), interpolation="nearest", aspect="auto", **style)
    for j in range(0, columns, 1 if upright else math.ceil(longest * 8 / cell.width)):
        x = left + (j + 0.5) * cell.width
        write(ax, x, top + high + 5, names[j], size=12, va="top", rotation=90 if upright else 0)
    for i in range(0, rows, math.ceil(14 / cell.height)):
        write(ax, left - 6, top + (i + 0.5) * cell.height, side[i], size=12, ha="right")
    write(ax, left + wide / 2, foot - 6, xlabel)
    write(ax, MARGIN + 8, top + high / 2, ylabel, rotation=90)
    if numbers:
        _write_numbers(ax, M, left, top, cell, style)
    else:
        _draw_bar(fig, ax, left + wide + 16, top, min(high, 260), style)
    return fig


def _write_numbers(ax, M: Tensor, left, top, cell: Cell, style) -> None:
    fills = matplotlib.colormaps[style["cmap"]]((M.numpy() - style["vmin"]) / (style["vmax"] - style["vmin"]))
    for (i, j), text in np.ndenumerate(texts_of(M)):
        colour = MUTED if text == "0" and luminance(fills[i, j]) > 0.8 else readable(fills[i, j])
        x, y = left + (j + 0.5) * cell.width, top + (i + 0.5) * cell.height
        write(ax, x, y, text, size=cell.font, color=colour, gid=f"heat[{i},{j}]")
