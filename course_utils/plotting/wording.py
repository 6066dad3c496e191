"""Numbers as strings: the same ones in the picture and in its sentence."""

import math
from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import torch
from torch import Tensor

MOST_CELLS, MOST_LISTED = 1000, 100  # numbers drawn, numbers in a description


def texts_of(T: Tensor, fine: bool = False) -> np.ndarray:
    """Return T's numbers as strings, an array of T's shape; `fine`: with one decimal more."""
    if T.numel() > MOST_CELLS:
        raise ValueError(f"{T.numel()} numbers are too many to read: use images, or heatmap(numbers=False).")
    finite = T[T.isfinite()].abs()
    scale = float(finite.max()) if finite.numel() else 0.0
    texts = np.empty(tuple(T.shape), dtype=object)
    for place in np.ndindex(*T.shape):
        texts[place] = number(float(T[place]), scale, fine)
    return texts


def number(value: float, scale: float, fine: bool = False) -> str:
    """Whole numbers whole, others to two or three digits.

    Two processors may differ in the seventh digit of `scale`, the largest number around. What lies that close to a
    whole number counts as whole, and that close below a half is rounded up, so that both print the same.

    >>> number(3.0, 3.0), number(0.125, 1.0), number(0.125, 1.0, fine=True), number(-1234.5, 2000.0)
    ('3', '0.13', '0.125', '-1235')
    """
    if not math.isfinite(value):
        return "nan" if math.isnan(value) else "∞" if value > 0 else "-∞"
    slack, sign, size = 1e-6 * scale, "-" if value < 0 else "", abs(value)
    whole = abs(size - round(size)) <= slack
    size = Decimal(round(size) if whole else size + slack)
    if size >= 1_000_000:
        return f"{sign}{size:.1e}".replace(".0e", "e").replace("e+", "e")
    if whole:
        return f"{sign if size else ''}{size}"
    if size < Decimal("0.01"):
        return f"{sign}{size:.0e}"
    places = fine + (0 if size >= 100 else 1 if size >= 10 else 2)
    text = f"{size.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)}"
    return sign + (text.rstrip("0").rstrip(".") if "." in text else text)


def signed(text: str) -> str:
    """Put a negative number into parentheses, as a factor or a term."""
    return f"({text})" if text.startswith("-") else text


def rows_of(texts: np.ndarray) -> str:
    """Return "[0 1; 2 3]"."""
    return "[" + "; ".join(" ".join(row) for row in texts) + "]"


def describe(name: str, T: Tensor) -> str:
    """Name, shape and numbers; of many numbers only the range and the mean."""
    shape = "x".join(map(str, T.shape)) or "number"
    if T.numel() <= MOST_LISTED:
        rows = texts_of(T).reshape(-1, *(T.shape[-2:] if T.ndim > 1 else (1, T.numel())))
        return f"{name} {shape} {' '.join(map(rows_of, rows))}"
    low, high, mean = texts_of(torch.stack([T.min(), T.max(), T.mean()]))
    return f"{name} {shape}, from {low} to {high}, mean {mean}"
