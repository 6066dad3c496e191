"""Sheet 06: right answers in unusual dress, and wrong ones without a name, which must not pass."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

INFINITY = float("inf")


def pair(value):
    return value if isinstance(value, tuple) else (value,) * 2


def by_slices(X, pool_size, mode="max", stride=1, padding=0):
    """One shifted and thinned copy of the padded picture for each cell of the window."""
    (h, w), (sh, sw), (ph, pw) = pair(pool_size), pair(stride), pair(padding)
    P = F.pad(X, (pw, pw, ph, ph), value=-INFINITY if mode == "max" else 0.0)
    down, across = P.shape[1] - h + 1, P.shape[2] - w + 1
    copies = [P[:, a : a + down : sh, b : b + across : sw] for a in range(h) for b in range(w)]
    return torch.stack(copies).amax(0) if mode == "max" else sum(copies) / (h * w)


def by_unfold(X, pool_size, mode="max", stride=1, padding=0):
    (h, w), (sh, sw), (ph, pw) = pair(pool_size), pair(stride), pair(padding)
    windows = F.pad(X, (pw, pw, ph, ph), value={"max": -INFINITY, "avg": 0}[mode]).unfold(1, h, sh).unfold(2, w, sw)
    return windows.amax((3, 4)) if mode == "max" else torch.einsum("cijab->cij", windows) / (h * w)


def by_numbers(X, pool_size, mode="max", stride=1, padding=0):
    """No `F.pad`: the picture is laid into a larger one, which is filled with less than its darkest pixel."""
    (h, w), (sh, sw), (ph, pw) = pair(pool_size), pair(stride), pair(padding)
    C, H, W = X.shape
    P = torch.full((C, H + 2 * ph, W + 2 * pw), (X.min() - 1).item() if mode == "max" else 0.0, dtype=X.dtype)
    P[:, ph : ph + H, pw : pw + W] = X
    Y = torch.empty(C, (H + 2 * ph - h) // sh + 1, (W + 2 * pw - w) // sw + 1, dtype=X.dtype)
    for i in range(Y.shape[1]):
        for j in range(Y.shape[2]):
            window = P[:, i * sh : i * sh + h, j * sw : j * sw + w].reshape(C, -1)
            Y[:, i, j] = window.max(1)[0] if mode == "max" else window.sum(1) / (h * w)
    return Y


def not_contiguous(X, pool_size, mode="max", stride=1, padding=0):
    """Rows and columns exchanged, pooled, and exchanged back."""
    turned = (pair(value)[::-1] for value in (pool_size, stride, padding))
    pool_size, stride, padding = turned
    return by_slices(X.transpose(1, 2), pool_size, mode, stride, padding).transpose(1, 2)


def border_repeated(X):
    """A repeated border pixel lies in the window anyway, so it never changes the maximum."""
    return F.max_pool2d(F.pad(X[None], (1, 1, 1, 1), mode="replicate"), 3, stride=1)[0]


def darkest_around(X):
    """What is no higher than the darkest pixel never wins."""
    return F.max_pool2d(F.pad(X, (1, 1, 1, 1), value=X.min().item())[None], 3, stride=1)[0]


def lowest_of_all(X):
    P = F.pad(X, (1, 1, 1, 1), value=torch.finfo(X.dtype).min)
    return P.unfold(0, 3, 1).unfold(1, 3, 1).amax((2, 3))


def rows_then_columns(X):
    """Rows first, then columns: a maximum can be split as a box can."""
    columns = F.max_pool1d(X[:, None], 3, stride=1, padding=1)[:, 0]
    return F.max_pool1d(columns.T[:, None], 3, stride=1, padding=1)[:, 0].T


def inside_by_slices(X, pool_size, padding):
    (h, w), (ph, pw) = pair(pool_size), pair(padding)
    H, W = X.shape
    rows = range(-ph, H + ph - h + 1)
    columns = range(-pw, W + pw - w + 1)
    means = [[X[max(i, 0) : i + h, max(j, 0) : j + w].mean() for j in columns] for i in rows]
    return torch.stack([torch.stack(line) for line in means])


def inside_by_nan(X, pool_size, padding):
    """What lies outside is not a number, and `nanmean` leaves it out."""
    (h, w), (ph, pw) = pair(pool_size), pair(padding)
    P = F.pad(X, (pw, pw, ph, ph), value=float("nan"))
    return P.unfold(0, h, 1).unfold(1, w, 1).nanmean((2, 3))


def global_by_reshape(X):
    return X.reshape(*X.shape[:2], -1).sum(-1) / (X.shape[2] * X.shape[3])


def global_by_einsum(X):
    return torch.einsum("nchw->cn", X).T / X[0, 0].numel()


def global_by_layers(X):
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())(X)


PAPER = {
    "digit": (13, 13),
    "layer": (8, 11, 8),
    "stays": [0, 1, 2, 4, 5, 6, 8, 9, 10],
    "gradient": [[0, 3, 0], [0, 0, 0], [3, 0, 4]],
    "draw": [[4, 0], [0, 0]],
}

RIGHT = {
    "pool2d": [by_slices, by_unfold, by_numbers, not_contiguous],
    "breaks_max_pool": [
        lambda: torch.tensor([[-0.5]]),
        lambda: torch.arange(20.0).reshape(4, 5).sub(8).T,  # negative in one corner only, and not contiguous
    ],
    "mended_max_pool": [border_repeated, darkest_around, lowest_of_all, rows_then_columns],
    "average_inside": [inside_by_slices, inside_by_nan],
    "global_average": [global_by_reshape, global_by_einsum, global_by_layers],
    "pooling_on_paper": [
        lambda: dict(reversed(PAPER.items())),
        lambda: {
            **PAPER,
            "layer": torch.Size([8, 11, 8]),
            "stays": tuple(PAPER["stays"]),
            "gradient": ((0.0, np.float32(3), 0), (0, 0, 0), (3, 0, 4)),
        },
    ],
}


def storage_read(X, *args, **kwargs):
    """Takes it for granted that the numbers lie in memory row by row."""
    return by_slices(X.as_strided(X.shape, (X.shape[1] * X.shape[2], X.shape[2], 1)), *args, **kwargs)


def low_number_padded(X, pool_size, mode="max", stride=1, padding=0):
    """Pads a maximum with -1000."""
    ph, pw = pair(padding)
    P = F.pad(X, (pw, pw, ph, ph), value=-1000.0 if mode == "max" else 0.0)
    return by_slices(P, pool_size, mode, stride)


# What passes weaker checkers: (task, wrong answer, words of the sentence)
WRONG = [
    ("pool2d", lambda *args, **kwargs: torch.zeros_like(by_slices(*args, **kwargs)), "values are wrong"),
    ("pool2d", lambda *args, **kwargs: by_slices(*args, **kwargs).roll(1, 2), "values are wrong"),
    ("pool2d", lambda *args, **kwargs: by_slices(*args, **kwargs).transpose(1, 2), "wrong"),
    ("pool2d", lambda *args, **kwargs: by_slices(*args, **kwargs).flip(0), "On two channels and windows side by side"),
    ("pool2d", lambda *args, **kwargs: by_slices(*args, **kwargs).numpy(force=True), "an object of type ndarray"),
    ("pool2d", storage_read, "On numbers far below zero, not contiguous"),
    ("pool2d", low_number_padded, "On numbers far below zero, not contiguous"),
    ("breaks_max_pool", lambda: -torch.ones(1, 3, 3), "without channels"),
    ("breaks_max_pool", lambda: -torch.ones(2, 2).double(), "yours is float64"),
    ("breaks_max_pool", lambda: torch.zeros(0, 3), "at least one pixel"),
    ("breaks_max_pool", lambda: [[-1.0]], "Return one picture"),
    ("breaks_max_pool", lambda: torch.full((3, 3), float("nan")), "without inf and nan"),
    ("mended_max_pool", lambda X: F.max_pool2d(X, 3, 1, 1), "3D or 4D"),
    ("mended_max_pool", lambda X: border_repeated(X).detach(), "no gradient flows back to X"),
    ("mended_max_pool", lambda X: border_repeated(X)[None], "the shape is 1×3×3, must be 3×3"),
    ("mended_max_pool", lambda X: border_repeated(X).flip(0), "values are wrong"),
    ("mended_max_pool", lambda X: X, "values are wrong"),
    ("average_inside", lambda X, pool_size, padding: torch.ones_like(inside_by_nan(X, pool_size, padding)), "wrong"),
    ("average_inside", lambda X, pool_size, padding: inside_by_nan(X, pool_size, padding).flip(0), "values are wrong"),
    ("average_inside", lambda X, pool_size, padding: inside_by_nan(X, pool_size, padding).detach(), "no gradient"),
    ("global_average", lambda X: global_by_reshape(X).flip(1), "values are wrong"),
    ("global_average", lambda X: global_by_reshape(X).T, "the shape is 2×1, must be 1×2"),
    ("global_average", lambda X: global_by_reshape(X).float(), "the dtype is float32, must be float64"),
    ("pooling_on_paper", lambda: {**PAPER, "layer": (8, 8, 11)}, "layer: (8, 8, 11) is not right"),
    ("pooling_on_paper", lambda: {**PAPER, "gradient": [[0, 3, 0], [0, 0, 0]]}, "has 2 values, must have 3."),
    ("pooling_on_paper", lambda: {**PAPER, "draw": [[0, 0], [0, 4]]}, "draw: item 0: (0, 0) is not right"),
]
