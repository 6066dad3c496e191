"""Measurements: curves, training records and bars."""

import textwrap
from collections.abc import Mapping

import torch
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter
from torch import Tensor

from course_utils.plotting.canvas import LINE, MARGIN, ROOM, WIDTH, card, heading, panel, write
from course_utils.plotting.colours import INK, SERIES
from course_utils.plotting.picture import Picture, still
from course_utils.plotting.reading import Numbers, finite, named
from course_utils.plotting.wording import texts_of

DASHES, MARKERS = ("-", "--", "-.", ":"), "osD^vXP*"


def lines(
    series: Mapping[str, Numbers], xlabel: str, ylabel: str, title: str = "", logx: bool = False, logy: bool = False
) -> Picture:
    """Draw curves that differ in dash and marker as well as in colour.

    `series` is `{"name": y or (x, y)}` with 1-D tensors or lists; without x the points are numbered 1, 2, 3, …

    Raises:
        TypeError: series is not a dict.
        ValueError: nothing to draw, x and y differ in length, NaN, or values <= 0 on a logarithmic axis.

    >>> lines({"torch": ([1, 2], [3, 5])}, xlabel="image side in pixels", ylabel="time in ms")
    <Picture: time in ms over image side in pixels: torch (1, 3) (2, 5)>
    """
    curves = {name: _curve(value, name, logx, logy) for name, value in named(series, "series").items()}
    fig, words = _draw_curves({ylabel: curves}, xlabel, title, logx, logy)
    return still(fig, f"{title}: {words}" if title else words)


def history(record: Mapping[str, Numbers], title: str = "") -> Picture:
    """Draw a training record: losses in one panel, accuracies in another, over the epochs 1, 2, 3, …

    `record` is a dict of lists such as `{"train loss": [...], "test accuracy": [...]}`; lists whose names hold
    neither `loss` nor `acc` are left out. Raises ValueError if nothing is left or a number is NaN.

    >>> history({"loss": [2.3, 0.5], "accuracy": [0.1, 0.9]})
    <Picture: loss over epoch: loss (1, 2.3) (2, 0.5); accuracy over epoch: accuracy (1, 0.1) (2, 0.9)>
    """
    fig, words = _draw_history(record, title)
    return still(fig, f"{title}: {words}" if title else words)


def _draw_history(record, title) -> tuple[Figure, str]:
    panels = {}
    for name, values in named(record, "record").items():
        kind = "loss" if "loss" in name else "accuracy" if "acc" in name else None
        if kind and len(values):
            panels.setdefault(kind, {})[name.replace("_", " ")] = _curve(values, name)
    if not panels:
        raise ValueError(f"record must hold a list named with 'loss' or 'acc', got {', '.join(map(repr, record))}.")
    return _draw_curves(panels, "epoch", title)


def _curve(value, name, logx=False, logy=False) -> tuple[Tensor, Tensor]:
    pair = isinstance(value, tuple) and len(value) == 2
    y = finite(value[1] if pair else value, repr(name), (1,))
    x = finite(value[0] if pair else range(1, len(y) + 1), f"x of {name!r}", (1,))
    if len(x) != len(y):
        raise ValueError(f"{name!r} has {len(x)} values of x, but {len(y)} of y.")
    if (logx and x.min() <= 0) or (logy and y.min() <= 0):
        raise ValueError(f"{name!r} must be above 0 on a logarithmic axis.")
    return x, y


def _draw_curves(panels, xlabel, title, logx=False, logy=False) -> tuple[Figure, str]:
    """Draw panels side by side, {"y label": {"name": (x, y)}}, with the names listed below each."""
    share = ROOM / len(panels) if len(panels) > 1 else 680
    top, high, wide = MARGIN + 30 * bool(title), 250, share - 84
    rows = max(map(len, panels.values()))
    fig, ax = card(len(panels) * share + 2 * MARGIN, top + high + 52 + rows * LINE + MARGIN)
    heading(ax, title)
    for n, (ylabel, curves) in enumerate(panels.items()):
        left = MARGIN + n * share + 64
        axes = panel(fig, left, top + 6, wide, high, ticks=True)
        for m, (name, (x, y)) in enumerate(curves.items()):
            look = {"color": SERIES[m % 6], "ls": DASHES[m % 4], "marker": MARKERS[m % 8], "lw": 2, "ms": 6}
            axes.plot(x, y, label=name, markevery=max(1, len(x) // 12), **look)
            key = top + high + 60 + m * LINE
            ax.plot([left, left + 18, left + 36], [key] * 3, markevery=[1], **look)
            write(ax, left + 46, key, name, ha="left")
        xs = sorted({float(v) for x, _ in curves.values() for v in x})
        if logx:
            _logarithmic(axes, "x", xs)
        elif all(x.is_integer() for x in xs):
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if logy:
            _logarithmic(axes, "y")
        write(ax, left + wide / 2, top + high + 38, xlabel)
        write(ax, left - 54, top + 6 + high / 2, ylabel, rotation=90)
    return fig, "; ".join(
        f"{ylabel} over {xlabel}: {', '.join(_trace(name, *xy) for name, xy in curves.items())}"
        for ylabel, curves in panels.items()
    )


def _trace(name, x: Tensor, y: Tensor) -> str:
    """Name and points; of many points only the ends and the extremes."""
    if len(x) <= 8:
        return f"{name} {' '.join(f'({a}, {b})' for a, b in zip(texts_of(x, True), texts_of(y, True), strict=True))}"
    start, stop = texts_of(x[[0, -1]], True)
    first, last, low, high = texts_of(torch.stack([y[0], y[-1], y.min(), y.max()]), True)
    return f"{name} {len(x)} points from {first} at {start} to {last} at {stop}, lowest {low}, highest {high}"


def _logarithmic(axes, side, ticks=()) -> None:
    getattr(axes, f"set_{side}scale")("log")
    axis = getattr(axes, f"{side}axis")
    if 0 < len(ticks) <= 9:
        axis.set_major_locator(FixedLocator(ticks))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))  # 0.1 rather than a small exponent
    axis.set_minor_formatter(NullFormatter())


def bars(values: Mapping[str, Numbers], ylabel: str, title: str = "", log: bool = False) -> Picture:
    """Draw one lying bar per name, with its number at its end; `ylabel` says what is measured, with its unit.

    Raises:
        TypeError: values is not a dict.
        ValueError: nothing to draw, a value that is no finite number, or one <= 0 on a logarithmic axis.

    >>> bars({"loops": 120.0, "torch": 0.4}, ylabel="time in ms", log=True)
    <Picture: time in ms: loops 120, torch 0.4>
    """
    numbers = {name: finite(value, repr(name), (0,)) for name, value in named(values, "values").items()}
    if log and any(v <= 0 for v in numbers.values()):
        raise ValueError("values must be above 0 on a logarithmic axis.")
    words = ", ".join(f"{name} {texts_of(v, True)[()]}" for name, v in numbers.items())
    return still(_draw_bars(numbers, ylabel, title, log), f"{title + ': ' if title else ''}{ylabel}: {words}")


def _draw_bars(numbers, ylabel, title, log) -> Figure:
    names = [textwrap.wrap(name, 26) or [""] for name in numbers]
    left = MARGIN + 8.4 * max(len(line) for name in names for line in name) + 10
    wide, pitch = WIDTH - left - MARGIN - 12, 12 + LINE * max(map(len, names))
    top, high = MARGIN + 30 * bool(title), pitch * len(numbers)
    fig, ax = card(WIDTH, top + high + 60)
    heading(ax, title)
    axes = panel(fig, left, top, wide, high, ticks=True)
    sizes = [float(v) for v in numbers.values()]
    axes.barh(range(len(sizes)), sizes, 0.62, color=SERIES[0])
    if log:  # bars have no natural foot there: they start at a third of the smallest value
        foot = min(sizes) / 3
        _logarithmic(axes, "x")
        axes.set_xlim(foot, max(sizes) * (max(sizes) / foot) ** 0.2)
    else:
        low, most = min(*sizes, 0), max(*sizes, 0)
        reach = (most - low) or 1
        axes.set_xlim(low - 0.05 * reach * (low < 0), most + 0.15 * reach)
        axes.axvline(0, color=INK, lw=0.8)
    axes.set(ylim=(len(sizes) - 0.5, -0.5), yticks=[])
    for n, (name, value) in enumerate(zip(names, numbers.values(), strict=True)):
        middle = top + (n + 0.5) * pitch
        write(ax, left - 8, middle, "\n".join(name), ha="right")
        end = axes.transData.transform((max(float(value), 0), 0))[0] / 2  # two pixels to a CSS pixel
        write(ax, end + 6, middle, texts_of(value, True)[()], ha="left", gid=f"bar[{n}]")
    write(ax, left + wide / 2, top + high + 40, ylabel)
    return fig
