"""The receptive field of stacked layers, along one axis: who reads whom, down to the pixels."""

from collections.abc import Iterable
from typing import NamedTuple

from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from course_utils import arithmetic
from course_utils.plotting.canvas import LINE, MARGIN, WIDTH, card, write
from course_utils.plotting.colours import ACCENT, INK, INPUT, KERNEL, MUTED, OUTPUT, tint
from course_utils.plotting.grids import STRONG
from course_utils.plotting.picture import Picture, still

WIDEST = 90  # pixels on a line; more would be too narrow to tell apart
LEGEND, LEVEL, BOX = 190, 62, 14  # room for the words at the left, between two rows, and a unit's side


def receptive_field(layers: Iterable[tuple]) -> Picture:
    """Draw the first two outputs of stacked layers and, for the first one, every unit below that it depends on.

    `layers` lists `(kernel_size, stride)` or `(kernel_size, stride, dilation)` from input to output, as in
    `arithmetic.receptive_field`; there is no padding. Pixels are counted from 0.

    Raises:
        ValueError: a layer is not two or three ints of at least 1, there is none, or the line has over 90 pixels.

    Source: Araujo, Norris, Sim, *Computing receptive fields of convolutional neural networks*, Distill (2019).

    >>> receptive_field([(3, 2), (3, 1)])
    <Picture: Layer 1: kernel 3, stride 2, dilation 1, field 3, jump 2. Layer 2: kernel 3, stride 1, dilation 1, \
field 7, jump 2. The first output sees pixels 0 to 6, centre 3, and uses 7 of 7; the next one sees 2 to 8.>
    """
    return still(*draw_levels(levels_of(layers)))


class Level(NamedTuple):
    """One layer, and what lies between the input and its output. Lengths are in pixels of the input."""

    kernel: int
    stride: int
    dilation: int
    field: int
    jump: int  # from the centre of one unit to that of the next
    start: float  # the centre of unit 0

    @property
    def words(self) -> str:
        return f"kernel {self.kernel}, stride {self.stride}, dilation {self.dilation}"

    def reads(self, unit: int) -> list[int]:
        """The units of the row below that this unit reads."""
        return [unit * self.stride + self.dilation * k for k in range(self.kernel)]


def levels_of(layers) -> list[Level]:
    layers, levels, jump = list(layers), [], 1
    if not layers:
        raise ValueError("layers must hold at least one (kernel_size, stride), got none.")
    for n, layer in enumerate(layers, start=1):
        field = arithmetic.receptive_field(layers[:n])
        kernel, stride, dilation = (*layer, 1)[:3]
        jump *= stride
        levels.append(Level(kernel, stride, dilation, field, jump, (field - 1) / 2))
    return levels


def _rows(levels, unit=0) -> list[list[int]]:
    """The units that output `unit` depends on: the pixels first, the output itself last."""
    rows = [[unit]]
    for level in reversed(levels):
        rows.insert(0, sorted({below for above in rows[0] for below in level.reads(above)}))
    return rows


def draw_levels(levels) -> tuple[Figure, str]:
    field, jump = levels[-1].field, levels[-1].jump
    pixels = field + jump  # what the first two outputs see
    if pixels > WIDEST:
        seen = f"The first two outputs see {pixels} pixels (field {field}, jump {jump})"
        raise ValueError(f"{seen}, too many to draw: at most {WIDEST}.")
    rows = _rows(levels)
    alt = " ".join(f"Layer {n}: {v.words}, field {v.field}, jump {v.jump}." for n, v in enumerate(levels, start=1))
    alt += f" The first output sees pixels 0 to {field - 1}, centre {levels[-1].start:g}, and uses {len(rows[0])} of"
    alt += f" {field}; the next one sees {jump} to {jump + field - 1}."
    return _draw_rows(levels, rows, pixels), alt


def _draw_rows(levels, rows, pixels) -> Figure:
    pitch = min(30, (WIDTH - LEGEND - 2 * MARGIN) / pixels)
    side = min(BOX, pitch - 1.5)
    floor = MARGIN + 22 + LEVEL * len(levels)
    fig, ax = card(WIDTH, floor + 3 * LINE + 30 + MARGIN)
    heights = [floor - LEVEL * n for n in range(len(levels) + 1)]

    def place(row, unit):
        centre = unit if row == 0 else levels[row - 1].start + unit * levels[row - 1].jump
        return MARGIN + LEGEND + (centre + 0.5) * pitch, heights[row]

    for row, level in enumerate(levels, start=1):
        below = [(place(row, unit), place(row - 1, other)) for unit in rows[row] for other in level.reads(unit)]
        ax.add_collection(LineCollection(below, colors=[KERNEL], linewidths=1.1, alpha=0.75, zorder=1))
    for row in range(len(levels) + 1):
        colour = INPUT if row == 0 else OUTPUT if row == len(levels) else KERNEL
        used, shown = set(rows[row]), _units(levels, row, pixels)
        for unit in range(shown):
            x, y = place(row, unit)
            look = {"fc": "white", "ec": MUTED, "lw": 0.8}
            if unit in used:
                look = {"fc": tint(colour, STRONG), "ec": colour, "lw": 1.6}
            corner, gid = (x - side / 2, y - side / 2), f"unit[{row},{unit}]"
            ax.add_artist(Rectangle(corner, side, side, zorder=2, gid=gid, **look))
        _name(ax, row, levels, heights[row])
    _draw_fields(ax, levels, place, floor)
    return fig


def _units(levels, row, pixels) -> int:
    """How many units of that row fit above so many pixels."""
    return pixels if row == 0 else (pixels - levels[row - 1].field) // levels[row - 1].jump + 1


def _name(ax, row, levels, y) -> None:
    if row == 0:
        write(ax, MARGIN, y, "input", ha="left", weight="bold")
        return
    level = levels[row - 1]
    write(ax, MARGIN, y - 17, f"layer {row}", ha="left", weight="bold")
    write(ax, MARGIN, y, level.words.replace("dilation", "dil."), size=11, ha="left", color=MUTED)
    write(ax, MARGIN, y + 15, f"field {level.field}, jump {level.jump}", size=11, ha="left", gid=f"level[{row}]")


def _draw_fields(ax, levels, place, floor) -> None:
    """Below the pixels: what the first output sees with its centre, and the next one, a jump further."""
    last = levels[-1]
    for n, colour in enumerate((OUTPUT, ACCENT)):
        first, end = place(0, n * last.jump)[0], place(0, n * last.jump + last.field - 1)[0]
        y = floor + 22 + n * (LINE + 16)
        ax.plot([first, first, end, end], [y - 5, y, y, y - 5], color=colour, lw=1.8, gid=f"field[{n}]")
        middle = (first + end) / 2
        ax.plot([middle], [y], marker="v", ms=7, color=colour, gid=f"centre[{n}]")
        centre = last.start + n * last.jump
        write(ax, middle, y + 16, f"output {n}: field {last.field}, centre {centre:g}", size=12, color=INK)
