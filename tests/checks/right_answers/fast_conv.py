"""Sheet 11: right answers in unusual dress, and wrong ones without a name, which must not pass."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


def pair(value):
    return value if isinstance(value, tuple) else (value, value)


def padded(X, padding):
    (ph, pw), (H, W) = pair(padding), X.shape[-2:]
    P = X.new_zeros(*X.shape[:-2], H + 2 * ph, W + 2 * pw)
    P[..., ph : ph + H, pw : pw + W] = X
    return P


def by_stack(X, K, stride=1, padding=0):
    """All shifted pictures at once, and one einsum over them."""
    P, (h, w), (sh, sw) = padded(X, padding), K.shape[2:], pair(stride)
    down, across = P.shape[2] - h + 1, P.shape[3] - w + 1
    pieces = [P[:, :, i : i + down : sh, j : j + across : sw] for i in range(h) for j in range(w)]
    return torch.einsum("snchw,ocs->nohw", torch.stack(pieces), K.flatten(2))


def by_tensordot(X, K, stride=1, padding=0):
    P, (sh, sw) = padded(X, padding), pair(stride)
    windows = P.unfold(2, K.shape[2], sh).unfold(3, K.shape[3], sw)
    return torch.tensordot(windows, K, dims=((1, 4, 5), (1, 2, 3))).permute(0, 3, 1, 2)


def by_unfold(X, K, stride=1, padding=0):
    (ph, pw), (sh, sw), (h, w) = pair(padding), pair(stride), K.shape[2:]
    rows = (X.shape[2] + 2 * ph - h) // sh + 1
    columns = F.unfold(X, (h, w), padding=(ph, pw), stride=(sh, sw))
    return (K.reshape(len(K), -1) @ columns).reshape(len(X), len(K), rows, -1)


def columns_by_slices(X, kernel_size, stride=1, padding=0):
    """A row for each number of the window: a shifted and thinned picture, made flat."""
    P, (h, w), (sh, sw) = padded(X, padding), pair(kernel_size), pair(stride)
    down, across = P.shape[1] - h + 1, P.shape[2] - w + 1
    rows = [P[c, i : i + down : sh, j : j + across : sw] for c in range(len(X)) for i in range(h) for j in range(w)]
    return torch.stack([row.flatten() for row in rows])


def columns_by_strides(X, kernel_size, stride=1, padding=0):
    P, (h, w), (sh, sw) = padded(X, padding), pair(kernel_size), pair(stride)
    c, row, column = P.stride()
    places = (P.shape[1] - h) // sh + 1, (P.shape[2] - w) // sw + 1
    view = P.as_strided((len(X), h, w, *places), (c, row, column, row * sh, column * sw))
    return view.reshape(len(X) * h * w, -1)


def columns_by_layer(X, kernel_size, stride=1, padding=0):
    return nn.Unfold(kernel_size, padding=padding, stride=stride)(X[None])[0]


def on_a_larger_ring(X, K):
    """More zeros than needed do no harm: the answer stands at the top left as before."""
    size = X.shape[0] + 3, 2 * X.shape[1]
    spectrum = torch.fft.rfft2(X, s=size) * torch.fft.rfft2(K, s=size).conj()
    return torch.fft.irfft2(spectrum, s=size)[: X.shape[0] - K.shape[0] + 1, : X.shape[1] - K.shape[1] + 1]


def whole_spectrum(X, K):
    spectrum = torch.fft.fft2(X) * torch.fft.fft2(K, s=X.shape).conj()
    return torch.fft.ifft2(spectrum).real[: X.shape[0] - K.shape[0] + 1, : X.shape[1] - K.shape[1] + 1]


def kernel_turned(X, K):
    """A true convolution with the turned kernel; its answer stands at the bottom right."""
    spectrum = torch.fft.rfft2(X) * torch.fft.rfft2(K.flip(0, 1), s=X.shape)
    return torch.fft.irfft2(spectrum, s=X.shape)[K.shape[0] - 1 :, K.shape[1] - 1 :]


PAPER = {
    "columns": (2, 18, 35),
    "copies": 25,
    "strides": (20, 2, 10, 1),
    "matrix": (15, 30),
    "nonzero": 90,
    "winograd": 256,
}

RIGHT = {
    "conv_by_slices": [by_stack, by_tensordot, by_unfold],
    "windows_to_columns": [columns_by_slices, columns_by_strides, columns_by_layer],
    "breaks_fft_conv": [
        lambda: torch.arange(49.0).reshape(7, 7).T,  # not contiguous
        lambda: torch.eye(4, 3) * 1000,
        lambda: torch.eye(3)[[0, 0, 0]] * 1e6,
    ],
    "mended_fft_conv": [on_a_larger_ring, whole_spectrum, kernel_turned],
    "fast_conv_on_paper": [
        lambda: dict(reversed(PAPER.items())),
        lambda: {**PAPER, "columns": torch.Size([2, 18, 35]), "strides": [20, 2, 10, 1], "copies": np.int64(25)},
    ],
}


def storage_read(X, K, stride=1, padding=0):
    """Takes it for granted that the numbers lie in memory row by row."""
    _, C, H, W = X.shape
    return by_stack(X.as_strided(X.shape, (C * H * W, H * W, W, 1)), K, stride, padding)


# What passes weaker checkers: (task, wrong answer, words of the sentence)
WRONG = [
    ("conv_by_slices", lambda *args, **kwargs: torch.zeros_like(by_stack(*args, **kwargs)), "values are wrong"),
    ("conv_by_slices", lambda *args, **kwargs: by_stack(*args, **kwargs).roll(1, 3), "values are wrong"),
    ("conv_by_slices", lambda *args, **kwargs: by_stack(*args, **kwargs).flip(1), "On channels in and out"),
    ("conv_by_slices", lambda *args, **kwargs: by_stack(*args, **kwargs)[:1], "On channels in and out"),
    ("conv_by_slices", lambda *args, **kwargs: by_stack(*args, **kwargs).transpose(2, 3), "wrong"),
    ("conv_by_slices", lambda *args, **kwargs: by_stack(*args, **kwargs).numpy(force=True), "of type ndarray"),
    ("conv_by_slices", storage_read, "On a picture that is not contiguous"),
    ("windows_to_columns", lambda *args, **kwargs: columns_by_slices(*args, **kwargs).flip(0), "values are wrong"),
    ("windows_to_columns", lambda *args, **kwargs: columns_by_slices(*args, **kwargs).sort(0)[0], "values are wrong"),
    ("windows_to_columns", lambda *args, **kwargs: columns_by_slices(*args, **kwargs)[None], "the shape is 1×4×4"),
    ("breaks_fft_conv", lambda: torch.ones(1, 3, 5), "without channels"),
    ("breaks_fft_conv", lambda: torch.ones(3, 5).double(), "yours is float64"),
    ("breaks_fft_conv", lambda: torch.ones(1, 5), "3 rows and 3 columns at least"),
    ("breaks_fft_conv", lambda: [[1.0]], "Return one picture"),
    ("breaks_fft_conv", lambda: torch.full((3, 5), float("nan")), "without inf and nan"),
    ("mended_fft_conv", lambda X, K: whole_spectrum(X, K).roll(1, 0), "values are wrong"),
    ("mended_fft_conv", lambda X, K: whole_spectrum(X, K)[None], "the shape is 1×2×2, must be 2×2"),
    ("mended_fft_conv", lambda X, K: whole_spectrum(X, K).float(), "the dtype is float32, must be float64"),
    ("fast_conv_on_paper", lambda: {**PAPER, "copies": 24}, "copies: 24 is not right"),
    ("fast_conv_on_paper", lambda: {**PAPER, "strides": (20, 2, 10)}, "strides: (20, 2, 10) has 3 values, must have 4"),
    ("fast_conv_on_paper", lambda: {**PAPER, "matrix": (15, 29)}, "matrix: (15, 29) is not right"),
]
