"""Sheet 02: right answers in unusual dress, and wrong ones without a name, which must not pass."""

import math

import numpy as np
import torch
import torch.nn.functional as F


def bell_by_formula(size, sigma):
    m = size // 2
    K = [[math.exp(-((i - m) ** 2 + (j - m) ** 2) / (2 * sigma**2)) for j in range(size)] for i in range(size)]
    K = torch.tensor(K, dtype=torch.float64)
    return (K / K.sum()).T


def bell_by_softmax(size, sigma):
    """`softmax` is the exponential divided by its sum."""
    distance = torch.linspace(-(size - 1) / 2, (size - 1) / 2, size, dtype=torch.float64)
    row = torch.softmax(-0.5 * (distance / sigma) ** 2, 0)
    return row[:, None] * row


def bell_by_numpy(size, sigma):
    down, across = np.mgrid[:size, :size] - size // 2
    K = np.exp(-(down**2 + across**2) / (2 * sigma**2))
    return torch.from_numpy(K / K.sum())


def magnitude_by_slices(X):
    across = X[:, 2:] - X[:, :-2]
    down = X[2:] - X[:-2]
    gx = across[:-2] + 2 * across[1:-1] + across[2:]
    gy = down[:, :-2] + 2 * down[:, 1:-1] + down[:, 2:]
    return (gx**2 + gy**2).sqrt()


def magnitude_by_channels(X):
    """Both kernels at once, flipped, as a true convolution has them: the length does not notice."""
    K = torch.tensor([[1.0, 0, -1], [2, 0, -2], [1, 0, -1]], dtype=X.dtype)
    return F.conv2d(X[None, None], torch.stack([K, K.T])[:, None])[0].norm(dim=0)


def magnitude_not_contiguous(X):
    return magnitude_by_slices(X.T).T


def edges_in_float64(X):
    X = X.double()
    return (X[:, 2:] - X[:, :-2]).float()


def edges_by_diff(X):
    steps = X.float().diff(dim=1)
    return steps[:, 1:] + steps[:, :-1]


def split_by_svd(K):
    U, S, Vh = torch.linalg.svd(K, full_matrices=False)
    root = S[0].sqrt()
    return [-U[:, :1] * root, -Vh[:1] * root]


def split_by_projection(K):
    """The longest row, and how much of it is in each row."""
    row = K[K.norm(dim=1).argmax()][None]
    return (K @ row.T / (row @ row.T), row)


def split_at_the_first_number(K):
    """Cross at any number that is not zero."""
    i, j = K.nonzero()[0].tolist()
    return K[:, j].reshape(-1, 1), K[i].reshape(1, -1) / K[i, j]


ANSWERS = {"flat_box": 6, "flat_laplacian": 0, "flat_sharpen": 6, "edge_box": 2, "edge_sobel": 24, "edge_sharpen": -6}

RIGHT = {
    "filter_answers": [
        lambda: {"sigma": math.hypot(5, 12), "noise": np.float64(0.5) / 5, **ANSWERS},
        lambda: {**{key: float(value) for key, value in ANSWERS.items()}, "noise": 0.1, "sigma": 13.0},
    ],
    "gaussian_kernel": [bell_by_formula, bell_by_softmax, bell_by_numpy],
    "gradient_magnitude": [magnitude_by_slices, magnitude_by_channels, magnitude_not_contiguous],
    "breaks_edges": [
        lambda: torch.tensor([[0, 0, 0, 0], [1, 0, 0, 0]], dtype=torch.uint8),
        lambda: torch.arange(12, dtype=torch.uint8).reshape(3, 4).flip(1),
    ],
    "mended_edges": [edges_in_float64, edges_by_diff],
    "split_kernel": [split_by_svd, split_by_projection, split_at_the_first_number],
}


def split_into_zeros(K):
    return torch.zeros(len(K), 1, dtype=K.dtype), torch.zeros(1, K.shape[1], dtype=K.dtype)


def split_in_float64(K):
    return tuple(part.double() for part in split_by_projection(K))


def split_at_the_last_corner(K):
    return K[:, -1:] / K[-1, -1], K[-1:]


def split_without_signs(K):
    column, row = split_by_projection(K)
    return column.abs(), row


def split_backwards(K):
    column, row = split_by_projection(K)
    return column.flip(0), row


# What passes weaker checkers: (task, wrong answer, words of the sentence)
WRONG = [
    ("filter_answers", lambda: {**ANSWERS, "noise": 0.1}, "'sigma' is missing"),
    ("filter_answers", lambda: {**ANSWERS, "noise": 0.5, "sigma": 13}, "noise: 0.5 is not right"),
    ("gaussian_kernel", lambda size, sigma: torch.full((size, size), 1 / size**2).double(), "values are wrong"),
    ("gaussian_kernel", lambda size, sigma: bell_by_formula(size, sigma).roll(1, 0), "values are wrong"),
    ("gaussian_kernel", lambda size, sigma: bell_by_formula(size, sigma).numpy(), "an object of type ndarray"),
    ("gaussian_kernel", lambda size, sigma: bell_by_formula(size, sigma)[size // 2], "the shape is 3, must be 3×3"),
    ("gradient_magnitude", lambda X: torch.zeros_like(magnitude_by_slices(X)), "wrong"),
    ("gradient_magnitude", lambda X: magnitude_by_slices(X).flip(1), "values are wrong"),
    ("gradient_magnitude", lambda X: magnitude_by_slices(X).T, "the shape is"),
    ("gradient_magnitude", lambda X: magnitude_by_slices(X.detach()), "no gradient flows back to X"),
    ("breaks_edges", lambda: torch.tensor([200, 100, 10], dtype=torch.uint8), "Return one picture"),
    ("breaks_edges", lambda: torch.tensor([[200, 10]], dtype=torch.uint8), "at least one row and three columns"),
    ("breaks_edges", lambda: [[200, 100, 10]], "Return one picture"),
    ("breaks_edges", lambda: torch.zeros(3, 4, 4, dtype=torch.uint8), "Return one picture"),
    ("mended_edges", lambda X: edges_by_diff(X).short(), "the dtype is int16, must be float32"),
    ("mended_edges", lambda X: edges_by_diff(X.as_strided(X.shape, (X.shape[1], 1))), "On a picture that is not cont"),
    ("split_kernel", split_into_zeros, "but your column times your row is [[0, 0, 0]"),
    ("split_kernel", split_in_float64, "yours are torch.float64 and torch.float64"),
    ("split_kernel", split_backwards, "but your column times your row is"),
    ("split_kernel", split_at_the_last_corner, "You divide by a number that can be 0"),
    ("split_kernel", split_without_signs, "but your column times your row is"),
    ("split_kernel", lambda K: split_by_projection(K)[0], "Return two tensors"),
    ("split_kernel", lambda K: split_by_projection(K.T), "but your column times your row is"),
]
