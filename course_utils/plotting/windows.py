"""The window that slides over the input: one place with its arithmetic, or a film of all places."""

import math
from functools import partial
from typing import NamedTuple

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from torch.nn.functional import pad

from course_utils import ops, shapes
from course_utils.plotting.colours import INK, INPUT, KERNEL, MUTED, OUTPUT, tint
from course_utils.plotting.grids import PALE, STRONG, Grid, draw_cell, draw_outline, draw_row, reach
from course_utils.plotting.picture import Picture, film, still
from course_utils.plotting.reading import Numbers, tensor
from course_utils.plotting.wording import MOST_LISTED, describe, rows_of, signed, texts_of
from course_utils.shapes import IntOrPair

MOST_FRAMES = 64
# What a film is made of: flat colours, and greys for the edges of letters.
COLOURS = [to_rgb(c) for c in ("white", INK, MUTED, INPUT, KERNEL, OUTPUT, "0.2", "0.55", "0.7", "0.86")]
COLOURS += [*(tint(c, PALE) for c in (INPUT, KERNEL, OUTPUT)), *(tint(c, STRONG) for c in (KERNEL, OUTPUT))]


def sliding_window(
    X: Numbers, K: Numbers, at: tuple[int, int] = (0, 0),
    stride: IntOrPair = 1, padding: IntOrPair | str = 0, dilation: IntOrPair = 1,
) -> Picture:  # fmt: skip
    """Draw the kernel at one place on the input, with the arithmetic of that place.

    X is `(H, W)` and K `(kh, kw)`; `at` is a row and a column of the output, whose numbers are filled in up to there.
    stride, padding and dilation are an int or a pair (rows, columns); padding may be `"same"` or `"valid"`.
    Padded cells are white and dashed. With dilation, only the pixels that the kernel reads are highlighted.

    Raises:
        ValueError: wrong dimensions, a setting that does not fit, `at` outside the output, too large to read.

    Source: the picture is that of Dumoulin, Visin, *A guide to convolution arithmetic* (2016), section 2.

    >>> sliding_window([[0, 1, 2], [3, 4, 5], [6, 7, 8]], [[0, 1], [2, 3]])
    <Picture: Window at (0, 0): 0×0 + 1×1 + 3×2 + 4×3 = 19. Input 3x3 [0 1 2; 3 4 5; 6 7 8], kernel 2x2 [0 1; 2 3], \
stride 1, padding 0, dilation 1, output 2x2 so far [19 _; _ _]>
    """
    return still(*draw_place(kernel_case(X, K, stride, padding, dilation), at))


def pooling_window(
    X: Numbers, pool_size: IntOrPair, mode: str = "max", at: tuple[int, int] = (0, 0),
    stride: IntOrPair = 1, padding: IntOrPair = 0,
) -> Picture:  # fmt: skip
    """Draw one window of `ops.pool2d`, as `sliding_window` does for a kernel. Max pooling pads with minus infinity.

    Shapes: X `(H, W)`; pool_size, stride, padding are an int or a pair (rows, columns). Errors as `sliding_window`.

    >>> pooling_window([[0, 1, 2], [3, 4, 5]], 2)
    <Picture: Window at (0, 0): max(0, 1, 3, 4) = 4. Input 2x3 [0 1 2; 3 4 5], max pooling 2x2, \
stride 1, padding 0, output 1x2 so far [4 _]>
    """
    return still(*draw_place(pooling_case(X, pool_size, mode, stride, padding), at))


def animate_window(
    X: Numbers, K: Numbers, stride: IntOrPair = 1, padding: IntOrPair | str = 0, dilation: IntOrPair = 1,
    fps: float = 1.5,
) -> Picture:  # fmt: skip
    """Animate `sliding_window` over every place, as an endless animated PNG with `fps` places a second.

    Arguments and errors as `sliding_window`; more than 64 places are refused.

    >>> animate_window([[0, 1, 2]], [[1, 1]])
    <Picture: Animation of 2 windows. Input 1x3 [0 1 2], kernel 1x2 [1 1], stride 1, padding 0, dilation 1. \
Results: (0, 0) 1, (0, 1) 3>
    """
    case = kernel_case(X, K, stride, padding, dilation)
    if case.y.size > MOST_FRAMES:
        raise ValueError(
            f"X gives {case.y.size} windows, more than the {MOST_FRAMES} an animation may have: "
            "use a smaller X, or sliding_window for one of them."
        )
    if not 0.1 <= fps <= 30:
        raise ValueError(f"fps must be between 0.1 and 30 windows a second, got {fps!r}.")
    results = ", ".join(f"({i}, {j}) {result}" for (i, j), result in np.ndenumerate(case.y))
    alt = f"Animation of {case.y.size} windows. {case.words}. Results: {results}"
    return film((_draw_window(case, at) for at in np.ndindex(case.y.shape)), COLOURS, fps, alt)


class WindowCase(NamedTuple):
    """Everything about a window that does not depend on where it stands. x, y and k are the strings drawn."""

    x: np.ndarray  # padded
    y: np.ndarray
    k: np.ndarray | None  # None for pooling
    kind: str  # "sum", "max" or "avg"
    size: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    borders: tuple[int, int, int, int]  # left, right, top, bottom
    equals: str  # "≈" where three digits do not add up to three digits
    words: str

    def rows_columns(self, at) -> tuple[list[int], list[int]]:
        """Rows and columns of the padded input that the window at output place `at` reads."""
        return reach(at, self.size, self.stride, self.dilation)

    def arithmetic(self, at) -> str:
        values = [self.x[i, j] for i in self.rows_columns(at)[0] for j in self.rows_columns(at)[1]]
        if self.kind == "max":
            return f"max({', '.join(values)}) = {self.y[at]}"
        if self.kind == "sum":
            values = [f"{signed(a)}×{signed(b)}" for a, b in zip(values, self.k.flat, strict=True)]
        else:
            values = [signed(v) for v in values]
        total = " + ".join(values)
        if self.kind == "avg":
            total = f"({total}) / {len(values)}"
        return f"{total} {self.equals} {self.y[at]}"


def kernel_case(X, K, stride, padding, dilation) -> WindowCase:
    X, K = tensor(X, "X", (2,)), tensor(K, "K", (2,))
    settings = f"stride {stride}, padding {padding}, dilation {dilation}"
    words = f"{describe('Input', X)}, {describe('kernel', K)}, {settings}"
    stride, dilation = shapes.pair(stride, "stride", 1), shapes.pair(dilation, "dilation", 1)
    span = shapes.span(K.shape, dilation)
    borders = shapes.borders(padding, span, stride)
    P = pad(X, borders)
    shapes.require_fit("K (with its dilation)", span, "the padded X", P.shape)
    Y = ops.conv2d(P[None, None], K[None, None], None, stride, 0, dilation)[0, 0]
    x, y, k = map(texts_of, (P, Y, K))
    return WindowCase(x, y, k, "sum", K.shape, stride, dilation, borders, _equals(P, K, Y), words)


def pooling_case(X, pool_size, mode, stride, padding) -> WindowCase:
    X, size = tensor(X, "X", (2,)), shapes.pair(pool_size, "pool_size", 1)
    Y = ops.pool2d(X, size, mode, stride, padding)
    words = f"{describe('Input', X)}, {mode} pooling {size[0]}x{size[1]}, stride {stride}, padding {padding}"
    borders, stride = shapes.borders(padding, size, (1, 1)), shapes.pair(stride, "stride", 1)
    P = pad(X, borders, value=-math.inf if mode == "max" else 0.0)
    return WindowCase(texts_of(P), texts_of(Y), None, mode, size, stride, (1, 1), borders, _equals(P, Y), words)


def _equals(*tensors) -> str:
    """Return "=" if the strings of all these numbers tell them whole, otherwise "≈"."""
    told = [float(text.replace("∞", "inf")) for T in tensors for text in texts_of(T).flat]
    meant = [float(value) for T in tensors for value in T.flatten()]
    return "=" if all(map(partial(math.isclose, rel_tol=1e-6, abs_tol=1e-6), told, meant)) else "≈"


def draw_place(case: WindowCase, at) -> tuple[Figure, str]:
    at = shapes.pair(at, "at", 0)
    rows, columns = case.y.shape
    if at[0] >= rows or at[1] >= columns:
        raise ValueError(f"at must be a row and a column of the {rows} x {columns} output, counted from 0, got {at}.")
    done = rows_of([[text if (i, j) <= at else "_" for j, text in enumerate(row)] for i, row in enumerate(case.y)])
    so_far = f" so far {done}" if case.y.size <= MOST_LISTED else ""
    alt = f"Window at {at}: {case.arithmetic(at)}. {case.words}, output {rows}x{columns}{so_far}"
    return _draw_window(case, at), alt


def _draw_window(case: WindowCase, at) -> Figure:
    grids = {"input": Grid("padded input" if any(case.borders) else "input", case.x)}
    if case.k is not None:
        grids["kernel"] = Grid("kernel", case.k)
    grids["output"] = Grid("output", case.y)
    sums = [case.arithmetic(place) for place in np.ndindex(case.y.shape)]
    shown = np.ravel_multi_index(at, case.y.shape)
    return draw_row(grids, "→" if case.k is None else "⋆=", sums, shown, "sum", partial(_draw_grid, case, at))


def _draw_grid(case: WindowCase, at, ax, name, texts, left, top, cell) -> None:
    rows, columns = case.rows_columns(at)
    west, east, north, south = case.borders
    for (i, j), text in np.ndenumerate(texts):
        x, y, gid = left + j * cell.width, top + i * cell.height, f"{name}[{i},{j}]"
        if name == "output":
            colour = OUTPUT if (i, j) <= at else None
            draw_cell(ax, x, y, cell, text if colour else "", gid, colour, strong=(i, j) == at)
        elif name == "kernel":
            draw_cell(ax, x, y, cell, text, gid, KERNEL)
        else:
            inside = north <= i < len(texts) - south and west <= j < texts.shape[1] - east
            read = i in rows and j in columns
            colour = KERNEL if read else INPUT if inside else None
            draw_cell(ax, x, y, cell, text, gid, colour, strong=read, dashed=not inside)
    if name == "input":
        draw_outline(ax, left, top, cell, rows, columns)
