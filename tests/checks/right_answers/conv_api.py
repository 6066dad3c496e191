"""Sheet 07: right answers in unusual dress, and wrong ones without a name, which must not pass."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from course_utils import ops


def both(value):
    return value if isinstance(value, tuple) else (value, value)


def shapes(**changed):
    return {
        "placed_answer": torch.Size([2, 4, 8, 12]),
        "grouped_bytes": 744.0,
        "grouped_learned": np.int64(372),
        "grouped_answer": [2, 12, 10, 14],
        "grouped_weight": (12, 2, 3, 5),
        "dilated_answer": (2, 4, 6, 10),
        "dilated_weight": (4, 6, 3, 3),
    } | changed


def by_slices(X, K, dilation=1):
    (d, e), (h, w) = both(dilation), K.shape
    H, W = X.shape[0] - d * (h - 1), X.shape[1] - e * (w - 1)
    return sum(K[a, b] * X[d * a : d * a + H, e * b : e * b + W] for a in range(h) for b in range(w))


def by_einsum(X, K, dilation=1):
    (d, e), (h, w) = both(dilation), K.shape
    windows = X.unfold(0, d * (h - 1) + 1, 1).unfold(1, e * (w - 1) + 1, 1)[..., ::d, ::e]
    return torch.einsum("ijab,ab->ij", windows, K)


def not_contiguous(X, K, dilation=1):
    return by_slices(X.T, K.T, both(dilation)[::-1]).T


def by_phases(X, K, dilation=1):
    """The picture falls into d · e thinned pictures; each meets the kernel as it is."""
    (d, e), (h, w) = both(dilation), K.shape
    Y = torch.zeros(X.shape[0] - d * (h - 1), X.shape[1] - e * (w - 1), dtype=X.dtype)
    for a in range(min(d, Y.shape[0])):
        for b in range(min(e, Y.shape[1])):
            Y[a::d, b::e] = ops.corr2d(X[a::d, b::e], K)
    return Y


def by_columns(X, K, dilation=1):
    (d, e), (h, w) = both(dilation), K.shape
    columns = F.unfold(X[None, None], (h, w), dilation=(d, e))[0]
    return (K.reshape(1, -1) @ columns).reshape(X.shape[0] - d * (h - 1), X.shape[1] - e * (w - 1))


def by_chunks(X, weight, groups):
    pairs = zip(X.chunk(groups), weight.chunk(groups), strict=True)
    return torch.cat([F.conv2d(channels, filters) for channels, filters in pairs])


def by_zeros(X, weight, groups):
    """One convolution without groups: a weight with zeros where a filter must not see."""
    size, share = weight.shape[1], len(weight) // groups
    full = weight.new_zeros(len(weight), len(X), *weight.shape[2:])
    for o in range(len(weight)):
        first = o // share * size
        full[o, first : first + size] = weight[o]
    return F.conv2d(X, full)


def by_windows(X, weight, groups):
    h, w = weight.shape[2:]
    windows = X.unfold(1, h, 1).unfold(2, w, 1).unflatten(0, (groups, -1))
    return torch.einsum("gcijab,gocab->goij", windows, weight.unflatten(0, (groups, -1))).flatten(0, 1)


class WithLayers(nn.Module):
    """The border is a layer of its own, and the sum is taken by einsum."""

    def __init__(self, in_channels, out_channels, kernel_size, padding):
        super().__init__()
        p, q = padding
        self.border = nn.ReflectionPad2d((q, q, p, p))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, *kernel_size))

    def forward(self, X):
        h, w = self.weight.shape[2:]
        windows = self.border(X).unfold(2, h, 1).unfold(3, w, 1)
        return torch.einsum("ncijab,ocab->noij", windows, self.weight) + self.bias[:, None, None]


class Flipped(WithLayers):
    """As the mathematicians' convolution has it."""

    def forward(self, X):
        return F.conv2d(self.border(X), self.weight.flip(2, 3), self.bias)


class FirstOfTheBatch(WithLayers):
    """The output is right for the first picture of a batch only."""

    def forward(self, X):
        return super().forward(X[:1]).expand(len(X), -1, -1, -1)


def frames_as_channels(X, W, bias):
    """The frames under the kernel become channels of one picture."""
    length = W.shape[2]
    windows = [X[:, :, t : t + length].flatten(1, 2) for t in range(X.shape[2] - length + 1)]
    return torch.stack([F.conv2d(window, W.flatten(1, 2), bias) for window in windows], 2)


def frames_as_batch(X, W, bias):
    """Each frame of the kernel meets all frames of the clip at once."""
    (N, _, T), length = X.shape[:3], W.shape[2]
    places = T - length + 1
    total = 0
    for a in range(length):
        pictures = X[:, :, a : a + places].transpose(1, 2).flatten(0, 1)
        total = total + F.conv2d(pictures, W[:, :, a]).unflatten(0, (N, places)).transpose(1, 2)
    return total + bias.reshape(-1, 1, 1, 1)


RIGHT = {
    "conv_shapes": [shapes],
    "dilated_corr2d": [by_slices, by_einsum, by_phases, by_columns, not_contiguous],
    "breaks_groups": [
        lambda: [torch.arange(18.0).reshape(6, 1, 3), torch.ones(3, 2, 1, 2), 3],
        lambda: (torch.ones(2, 1, 1), torch.arange(4.0).reshape(4, 1, 1, 1), 2),  # the filters alone
    ],
    "mended_groups": [by_chunks, by_zeros, by_windows],
    "ReflectConv2d": [WithLayers],
    "conv3d_by_frames": [frames_as_channels, frames_as_batch],
}

# What passes weaker checkers: (task, wrong answer, words of the sentence)
WRONG = [
    ("conv_shapes", lambda: shapes(grouped_answer=(2, 12, 10)), "has 3 values, must have 4."),
    ("conv_shapes", lambda: shapes(grouped_bytes="744"), "grouped_bytes: expected"),
    ("dilated_corr2d", lambda X, K, dilation=1: torch.zeros_like(by_slices(X, K, dilation)), "values are wrong"),
    ("dilated_corr2d", lambda X, K, dilation=1: by_slices(X, K, dilation).flip(0, 1), "values are wrong"),
    ("dilated_corr2d", lambda X, K, dilation=(1, 1): by_slices(X, K, (dilation[0], dilation[1])), "raised TypeError"),
    ("dilated_corr2d", lambda X, K, dilation=1: by_slices(X, K, dilation).numpy(force=True), "type ndarray"),
    ("breaks_groups", lambda: (torch.ones(4, 2, 2), 2), "Return a picture (C, H, W)"),
    ("breaks_groups", lambda: (torch.arange(4).reshape(4, 1, 1), torch.ones(2, 2, 1, 1), 2), "float32"),
    ("breaks_groups", lambda: (torch.rand(4, 2, 2), torch.rand(2, 2, 3, 3), 2), "do not fit"),
    ("breaks_groups", lambda: (torch.full((4, 2, 2), torch.nan), torch.rand(2, 2, 1, 1), 2), "without inf and nan"),
    ("mended_groups", lambda X, weight, groups: by_chunks(X, weight, groups).roll(1, 0), "values are wrong"),
    ("mended_groups", lambda X, weight, groups: by_chunks(X, weight, groups)[None], "must be 2×1×1"),
    ("ReflectConv2d", FirstOfTheBatch, "values are wrong"),
    ("ReflectConv2d", Flipped, "values are wrong"),
    ("ReflectConv2d", WithLayers(1, 3, (3, 3), (1, 2)), "Hand in the class itself"),
    ("conv3d_by_frames", lambda X, W, bias: frames_as_batch(X, W, bias).flip(3), "values are wrong"),
    ("conv3d_by_frames", lambda X, W, bias: frames_as_batch(X, W, bias)[0], "the shape is"),
]
