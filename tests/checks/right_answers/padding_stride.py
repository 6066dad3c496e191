"""Sheet 03: right answers in unusual dress, and wrong ones without a name, which must not pass."""

import numpy as np
import torch
import torch.nn.functional as F


def both(value):
    return value if isinstance(value, tuple) else (value, value)


def in_a_loop(X, K, stride=1, padding=0):
    (sh, sw), (ph, pw), (h, w) = both(stride), both(padding), K.shape
    P = torch.zeros(X.shape[0] + 2 * ph, X.shape[1] + 2 * pw, dtype=X.dtype)
    P[ph : ph + X.shape[0], pw : pw + X.shape[1]] = X
    rows, columns = (P.shape[0] - h) // sh + 1, (P.shape[1] - w) // sw + 1
    lines = [[(P[i * sh :, j * sw :][:h, :w] * K).sum() for j in range(columns)] for i in range(rows)]
    return torch.stack([torch.stack(line) for line in lines])


def by_einsum(X, K, stride=1, padding=0):
    (sh, sw), (ph, pw) = both(stride), both(padding)
    windows = F.pad(X, (pw, pw, ph, ph)).unfold(0, K.shape[0], sh).unfold(1, K.shape[1], sw)
    return torch.einsum("ijab,ab->ij", windows, K)


def not_contiguous(X, K, stride=1, padding=0):
    return by_einsum(X.T, K.T, both(stride)[::-1], both(padding)[::-1]).T


def through_float64(X, K, stride=1, padding=0):
    return by_einsum(X.double(), K.double(), stride, padding).to(X.dtype)


def or_none(X, padding):
    p, q = padding
    return X[p : -p or None, q : -q or None]


def by_narrow(X, padding):
    for axis, p in enumerate(padding):
        X = X.narrow(axis, p, X.shape[axis] - 2 * p)
    return X.clone()


def one_axis_at_a_time(X, padding):
    p, q = padding
    if p > 0:
        X = X[p:-p]
    if q > 0:
        X = X[:, q:-q]
    return X


def by_concatenation(X, kernel_size):
    for axis, k in enumerate(kernel_size):
        shape = list(X.shape)
        shape[axis] = k - 1
        before, after = X.new_zeros(shape).tensor_split([(k - 1) // 2], axis)
        X = torch.cat([before, X, after], axis)
    return X


def by_matrices(X, kernel_size):
    """Shift matrices from both sides: ones on a diagonal."""
    (H, W), (h, w) = X.shape, kernel_size
    rows = torch.eye(H + h - 1, dtype=X.dtype)[:, (h - 1) // 2 :][:, :H]
    columns = torch.eye(W + w - 1, dtype=X.dtype)[:, (w - 1) // 2 :][:, :W]
    return rows @ X @ columns.T


RIGHT = {
    "stack_sizes": [
        lambda: {"fourth": [8, 10], "third": (np.int64(7), 9), "second": torch.Size([16, 25]), "first": (32, 50.0)},
    ],
    "corr2d_strided": [in_a_loop, by_einsum, not_contiguous, through_float64],
    "breaks_unpad": [
        lambda: [torch.rand(5, 5), [2, 0]],
        lambda: (torch.zeros(1, 1, dtype=torch.float64), (0, 0)),
    ],
    "mended_unpad": [or_none, by_narrow, one_axis_at_a_time],
    "pad_same": [by_concatenation, by_matrices],
    "pixel_uses": [lambda: {"unread": np.int64(39), "inside": 25, "edge": 15.0, "corner": 9}],
}

# What passes weaker checkers: (task, wrong answer, words of the sentence)
WRONG = [
    ("stack_sizes", lambda: {"first": (32, 50), "second": (16, 25), "third": (7, 9)}, "'fourth' is missing"),
    ("stack_sizes", lambda: {"first": 32, "second": 16, "third": 7, "fourth": 8}, "tuple or list of 2 values, got 32"),
    ("corr2d_strided", lambda *a, **k: torch.zeros_like(by_einsum(*a, **k)), "values are wrong"),
    ("corr2d_strided", lambda X, K, stride, padding: by_einsum(X, K, stride, padding), "missing 1 required"),
    ("corr2d_strided", lambda *a, **k: by_einsum(*a, **k).flip(0, 1), "values are wrong"),  # the sum is right
    ("corr2d_strided", lambda *a, **k: by_einsum(*a, **k)[None], "the shape is 1×2×2, must be 2×2"),
    ("corr2d_strided", lambda *a, **k: by_einsum(*a, **k).numpy(force=True), "an object of type ndarray"),
    ("breaks_unpad", lambda: (torch.ones(3, 4, 4), (0, 1)), "X must be a matrix"),
    ("breaks_unpad", lambda: torch.ones(3, 4), "Return a tensor and a pair"),
    ("breaks_unpad", lambda: (torch.ones(1, 1, 3, 4), (0, 1)), "X must be a matrix"),
    ("breaks_unpad", lambda: (torch.ones(3, 4), 0, 1), "Return a tensor and a pair"),
    ("mended_unpad", lambda X, padding: torch.zeros_like(or_none(X, padding)), "values are wrong"),
    ("mended_unpad", lambda X, padding: or_none(X, padding).tolist(), "expected a tensor"),
    ("pad_same", lambda X, kernel_size: by_matrices(X, kernel_size).roll(1, 0), "values are wrong"),
    ("pad_same", lambda X, kernel_size: by_matrices(X.abs(), kernel_size), "values are wrong"),
    ("pixel_uses", lambda: {"corner": 9, "edge": 15, "inside": 25, "unread": 27}, "unread: 27 is not right"),
]
