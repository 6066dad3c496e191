"""Transposed convolution: one pixel of the input paints the kernel, as a stamp, onto the output."""

from functools import partial
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn.functional import pad

from course_utils import ops, shapes
from course_utils.plotting.colours import INPUT, KERNEL, OUTPUT
from course_utils.plotting.grids import Grid, draw_cell, draw_outline, draw_row, reach
from course_utils.plotting.picture import Picture, still
from course_utils.plotting.reading import Numbers, tensor
from course_utils.plotting.wording import MOST_LISTED, describe, rows_of, signed, texts_of
from course_utils.shapes import IntOrPair


def stamping_window(
    X: Numbers, K: Numbers, at: tuple[int, int] = (0, 0), stride: IntOrPair = 1, padding: IntOrPair = 0,
    dilation: IntOrPair = 1, output_padding: IntOrPair = 0,
) -> Picture:  # fmt: skip
    """Draw what a transposed convolution has painted after the pixel `at`, and outline that pixel's stamp.

    X is `(H, W)` and K `(kh, kw)`; the pixels stamp row by row. What the padding cuts off is white and dashed. stride,
    padding, dilation and output_padding are those of `torch.nn.ConvTranspose2d`, an int or a pair (rows, columns).

    Raises:
        ValueError: wrong dimensions, a setting that torch refuses, `at` outside the input, too large to read.

    Source: Dumoulin, Visin, *A guide to convolution arithmetic* (2016), section 4, painted instead of slid.

    >>> stamping_window([[0, 1], [2, 3]], [[0, 1], [2, 3]], at=(1, 0))
    <Picture: Stamp of pixel (1, 0): 2×0, 2×1, 2×2, 2×3. Input 2x2 [0 1; 2 3], kernel 2x2 [0 1; 2 3], stride 1, \
padding 0, dilation 1, output_padding 0, output 3x3 so far [0 0 1; 0 4 3; 4 6 0]>
    """
    return still(*draw_place(stamp_case(X, K, stride, padding, dilation, output_padding), at))


class Stamps(NamedTuple):
    """Everything that does not depend on the pixel whose stamp is shown. Pairs are (rows, columns)."""

    X: Tensor
    K: Tensor
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    size: tuple[int, int]  # of the output
    paper: tuple[int, int]  # of the output with what is cut off around it
    words: str

    def rows_columns(self, at) -> tuple[list[int], list[int]]:
        """Rows and columns of the paper that the stamp of input pixel `at` paints."""
        return reach(at, self.K.shape, self.stride, self.dilation)

    def painted(self, at) -> Tensor:
        """The paper after the pixels up to `at`."""
        done = self.X.clone()
        done.view(-1)[at[0] * done.shape[1] + at[1] + 1 :] = 0  # these have not stamped yet
        Y = ops.conv_transpose2d(done[None, None], self.K[None, None], stride=self.stride, dilation=self.dilation)[0, 0]
        return pad(Y, (0, self.paper[1] - Y.shape[1], 0, self.paper[0] - Y.shape[0]))

    def inside(self, i, j) -> bool:
        """Is that cell of the paper part of the output?"""
        return all(p <= place < p + n for place, p, n in zip((i, j), self.padding, self.size, strict=True))

    def products(self, at) -> str:
        pixel = texts_of(self.X)[at]
        return ", ".join(f"{signed(pixel)}×{signed(weight)}" for weight in texts_of(self.K).flat)


def stamp_case(X, K, stride, padding, dilation, output_padding) -> Stamps:
    X, K = tensor(X, "X", (2,)), tensor(K, "K", (2,))
    words = f"{describe('Input', X)}, {describe('kernel', K)}, stride {stride}, padding {padding}, "
    words += f"dilation {dilation}, output_padding {output_padding}"
    # ops reads the settings, so that both accept the same ones and refuse the others in the same words.
    Y = ops.conv_transpose2d(X[None, None], K[None, None], None, stride, padding, output_padding, 1, dilation)
    stride, dilation = shapes.pair(stride, "stride", 1), shapes.pair(dilation, "dilation", 1)
    padding, size = shapes.pair(padding, "padding", 0), tuple(Y.shape[2:])
    axes = zip(X.shape, stride, dilation, K.shape, padding, size, strict=True)
    paper = tuple(max((n - 1) * s + d * (k - 1) + 1, p + out) for n, s, d, k, p, out in axes)
    return Stamps(X, K, stride, padding, dilation, size, paper, words)


def draw_place(case: Stamps, at) -> tuple[Figure, str]:
    at = shapes.pair(at, "at", 0)
    if any(place >= n for place, n in zip(at, case.X.shape, strict=True)):
        rows, columns = case.X.shape
        raise ValueError(f"at must be a row and a column of the {rows} x {columns} input, counted from 0, got {at}.")
    paper, (top, left), (rows, columns) = case.painted(at), case.padding, case.size
    Y = paper[top : top + rows, left : left + columns]
    so_far = f" so far {rows_of(texts_of(Y))}" if Y.numel() <= MOST_LISTED else ""
    alt = f"Stamp of pixel {at}: {case.products(at)}. {case.words}, output {rows}x{columns}{so_far}"
    return _draw_paper(case, at, texts_of(paper)), alt


def _draw_paper(case: Stamps, at, paper) -> Figure:
    title = "output" if paper.shape == case.size else "output (dashed: cut off)"
    # Cells have one size at every pixel: as wide as the finished numbers need.
    finished = texts_of(case.painted(tuple(n - 1 for n in case.X.shape)))
    pixels, kernel = texts_of(case.X), texts_of(case.K)
    grids = {"input": Grid("input", pixels), "kernel": Grid("kernel", kernel)}
    grids["output"] = Grid(title, paper, finished, case.size)
    sentences = [f"pixel {pixels[place]} paints {case.products(place)}" for place in np.ndindex(*case.X.shape)]
    shown = np.ravel_multi_index(at, case.X.shape)
    return draw_row(grids, "×→", sentences, shown, "paints", partial(_draw_grid, case, at))


def _draw_grid(case: Stamps, at, ax, name, texts, left, top, cell) -> None:
    rows, columns = case.rows_columns(at)
    for (i, j), text in np.ndenumerate(texts):
        x, y, gid = left + j * cell.width, top + i * cell.height, f"{name}[{i},{j}]"
        if name == "output":
            inside, strong = case.inside(i, j), i in rows and j in columns
            draw_cell(ax, x, y, cell, text, gid, OUTPUT if inside else None, strong=strong and inside)
        else:
            draw_cell(ax, x, y, cell, text, gid, INPUT if name == "input" else KERNEL,
                      strong=name == "input" and (i, j) == at)  # fmt: skip
    if name == "output":
        draw_outline(ax, left, top, cell, rows, columns)
