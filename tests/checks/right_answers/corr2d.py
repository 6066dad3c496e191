"""Sheet 01: right answers in unusual dress, and wrong ones without a name, which must not pass."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


def by_slices(X, K):
    h, w = K.shape
    H, W = X.shape[0] - h + 1, X.shape[1] - w + 1
    return sum(K[a, b] * X[a : a + H, b : b + W] for a in range(h) for b in range(w))


def by_unfold(X, K):
    windows = X.unfold(0, K.shape[0], 1).unfold(1, K.shape[1], 1)
    return torch.einsum("ijab,ab->ij", windows, K)


def not_contiguous(X, K):
    return by_slices(X.T, K.T).T


def through_float64(X, K):
    return by_slices(X.double(), K.double()).to(X.dtype)


def by_the_kernels_places(X, K):
    """Two loops over the kernel instead of the picture."""
    H, W = X.shape[0] - K.shape[0] + 1, X.shape[1] - K.shape[1] + 1
    Y = X.new_zeros(H, W)
    for a, b in np.ndindex(*K.shape):
        Y = Y + X[a : a + H, b : b + W] * K[a, b]
    return Y


class WithSequential(nn.Module):
    """The kernel starts as zeros, and the convolution is torch's."""

    def __init__(self, kernel_size):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1))
        self.weight = nn.Parameter(torch.zeros(*kernel_size))

    def forward(self, X):
        return F.conv2d(X[None, None], self.weight[None, None], self.bias)[0, 0]


def with_an_optimizer(X, Y, kernel_size):
    K = nn.Parameter(torch.zeros(kernel_size))
    optimizer = torch.optim.Adam([K], lr=0.1)
    for _ in range(400):
        optimizer.zero_grad()
        ((by_slices(X, K) - Y) ** 2).sum().backward()
        optimizer.step()
    return K


def by_hand(X, Y, kernel_size):
    """The gradient of the mean squared error is itself a cross-correlation, of the picture with the errors."""
    K = torch.zeros(kernel_size)
    for _ in range(300):
        errors = by_slices(X, K) - Y
        K = K - 0.1 * 2 / errors.numel() * by_slices(X, errors)
    return K


RIGHT = {
    "corr2d": [by_slices, by_unfold, not_contiguous, through_float64, by_the_kernels_places],
    "mended_corr2d": [by_slices],
    "answer_sizes": [
        lambda: {"twice": torch.Size([20, 20]), "wide": [6, 7], "digit": (np.int64(24), 24)},
    ],
    "breaks_corr2d": [
        lambda: [torch.ones(3, 8), torch.ones(2, 2)],
        lambda: (torch.rand(5, 2) + 1, torch.ones(1, 1)),  # taller than wide: it raises an IndexError
        lambda: (torch.ones(4, 4), torch.ones(1, 3)),  # the window on the right has 2 columns: a RuntimeError
    ],
    "Conv2D": [WithSequential],
    "learn_kernel": [with_an_optimizer, by_hand, lambda X, Y, kernel_size: by_hand(X, Y, kernel_size).round()],
}


def kernel_of_four_axes(X, Y, kernel_size):
    return by_hand(X, Y, kernel_size)[None, None]


class FourAxes(nn.Module):
    def __init__(self, kernel_size):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1))
        self.weight = nn.Parameter(torch.rand(1, 1, *kernel_size))

    def forward(self, X):
        return F.conv2d(X[None, None], self.weight, self.bias)[0, 0]


def from_rows_of_numbers(X, K):
    (H, W), (h, w) = X.shape, K.shape
    return torch.tensor([[(X[i : i + h, j : j + w] * K).sum() for j in range(W - w + 1)] for i in range(H - h + 1)])


# What passes weaker checkers: (task, wrong answer, words of the sentence)
WRONG = [
    ("corr2d", lambda X, K: torch.zeros_like(by_slices(X, K)), "values are wrong"),
    ("corr2d", lambda X, K: by_slices(X, K).roll(1, 0), "values are wrong"),
    ("corr2d", lambda X, K: by_slices(X.as_strided(X.shape, (X.shape[1], 1)), K), "not contiguous"),
    ("corr2d", lambda X, K: by_slices(X, K).tolist(), "expected a tensor of shape 2×2"),
    ("corr2d", lambda X, K: by_slices(X, K).numpy(force=True), "an object of type ndarray"),
    ("breaks_corr2d", lambda: torch.ones(2, 4), "Return two tensors"),
    ("breaks_corr2d", lambda: (torch.ones(1, 1, 3, 5), torch.ones(1, 1, 2, 2)), "X and K must both be matrices"),
    ("breaks_corr2d", lambda: (torch.ones(2, 2), torch.ones(3, 3)), "K must fit into X"),
    ("breaks_corr2d", lambda: (torch.ones(2, 4), torch.ones(3, 1)), "K must fit into X"),
    ("breaks_corr2d", lambda: (torch.full((3, 3), float("nan")), torch.ones(2, 2)), "Take ordinary numbers"),
    ("breaks_corr2d", lambda: (1e8 + torch.rand(5, 5), torch.tensor([[1.0, -1.0], [-1.0, 1.0]])), "is right"),
    ("mended_corr2d", lambda X, K: by_slices(X, K).double(), "the dtype is float64, must be float32"),
    ("Conv2D", FourAxes, "weight"),
    ("learn_kernel", kernel_of_four_axes, "the shape is 1×1×1×2, must be 1×2"),
    ("learn_kernel", lambda X, Y, kernel_size: by_hand(X, Y, kernel_size).double(), "the dtype is float64"),
    ("learn_kernel", lambda X, Y, kernel_size: 0.1, "expected a tensor of shape 1×2, got 0.1"),
    ("learn_kernel", lambda X, Y, kernel_size: None, "Is the line with `return` missing?"),
    ("learn_kernel", lambda X, Y, kernel_size: by_hand(X, Y, kernel_size).tolist(), "expected a tensor of shape 1×2"),
    # A known mistake in another hand is called by its name, too.
    ("corr2d", from_rows_of_numbers, "`.item()` and `torch.tensor(...)` do that"),
    ("answer_sizes", lambda: {"digit": (26, 26), "wide": (6, 7), "twice": (24, 24)}, "You took half of a kernel off"),
]
