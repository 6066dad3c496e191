"""Sheet 08: right answers in unusual dress, and wrong ones without a name, which must not pass."""

from itertools import product

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from course_utils import layers


def windows(X, K):
    """The blocks of X below a kernel of K's size: (..., rows, columns, h, w)."""
    return X.unfold(-2, K.shape[-2], 1).unfold(-2, K.shape[-1], 1)


def by_einsum(X, K):
    each = len(K) // len(X)
    return torch.einsum("cijab,cmab->cmij", windows(X, K), K.reshape(len(X), each, *K.shape[2:])).flatten(0, 1)


def by_repeating(X, K):
    return (windows(X.repeat_interleave(len(K) // len(X), 0), K) * K[:, :, None]).sum((-2, -1))


def by_a_standard_layer(X, K):
    """A weight for all channels, with zeros everywhere but in the own one."""
    owner = torch.eye(len(X), dtype=X.dtype).repeat_interleave(len(K) // len(X), 0)
    return F.conv2d(X[None], K * owner[:, :, None, None])[0]


def by_shifts(X, K):
    (H, W), (h, w) = X.shape[1:], K.shape[2:]
    X = X.repeat_interleave(len(K) // len(X), 0)
    places = ((a, b) for a in range(h) for b in range(w))
    return sum(K[:, 0, a, b, None, None] * X[:, a : a + H - h + 1, b : b + W - w + 1] for a, b in places)


def not_contiguous(X, K):
    return by_einsum(X.mT, K.mT).mT


def dealt_by_index(X, groups):
    order = torch.arange(X.shape[1]).reshape(groups, -1).T.flatten()
    return X[:, order]


def dealt_by_chunks(X, groups):
    return torch.stack(X.chunk(groups, 1), 2).flatten(1, 2)


def dealt_by_a_matrix(X, groups):
    order = torch.arange(X.shape[1]).reshape(groups, -1).T.flatten()
    return torch.einsum("oc,nchw->nohw", torch.eye(X.shape[1], dtype=X.dtype)[order], X)


class Inherited(nn.Module):
    """The parts are other classes, and the padding is named."""

    def __init__(self, inputs, outputs, k):
        super().__init__()
        self.pointwise = layers.PointwiseConv2d(inputs, outputs)
        self.depthwise = layers.DepthwiseConv2d(inputs, inputs, k, padding="same", bias=False)

    def forward(self, X):
        return self.pointwise(self.depthwise(X))


class AsSequential(nn.Sequential):
    def __init__(self, inputs, outputs, k):
        super().__init__()
        self.depthwise = nn.Conv2d(inputs, inputs, k, padding=((k - 1) // 2,) * 2, groups=inputs, bias=False)
        self.pointwise = nn.Conv2d(inputs, outputs, 1)


class NotAnswering(AsSequential):
    def forward(self, X):
        super().forward(X)


class AsOneFunction(nn.Module):
    """`forward` multiplies the parts out into one standard weight."""

    def __init__(self, inputs, outputs, k):
        super().__init__()
        self.depthwise = nn.Conv2d(inputs, inputs, (k, k), groups=inputs, bias=False)
        self.pointwise = nn.Conv2d(inputs, outputs, 1, bias=True)

    def forward(self, X):
        weight = self.pointwise.weight * self.depthwise.weight.transpose(0, 1)
        return F.conv2d(X, weight, self.pointwise.bias, padding=self.depthwise.kernel_size[0] // 2)


def by_gradient(rates, k):
    field = 1 + sum(rate * (k - 1) for rate in rates)
    X = torch.zeros(1, 1, field, requires_grad=True)
    Y = X
    for rate in rates:
        Y = F.conv1d(Y, torch.ones(1, 1, k), dilation=rate)
    return torch.autograd.grad(Y.sum(), X)[0].flatten()


def by_numpy(rates, k):
    counts = np.ones(1)
    for rate in rates:
        kernel = np.zeros(rate * (k - 1) + 1)
        kernel[::rate] = 1
        counts = np.convolve(counts, kernel)
    return torch.tensor(counts, dtype=torch.float32)


def by_walking(rates, k):
    """Every path on its own."""
    counts = torch.zeros(1 + sum(rate * (k - 1) for rate in rates))
    for steps in product(*(range(0, rate * k, rate) for rate in rates)):
        counts[sum(steps)] += 1
    return counts


def numbers(**others):
    right = {
        "standard": 1152,
        "group": 288,
        "depthwise": 144,
        "separable": 200,
        "dilated": 1152,
        "asymmetric": 1152,
        "separable_macs": 24000,
        "times_fewer": 5.76,
    }
    return {**right, **others}


def counted(*shape):
    return torch.arange(float(np.prod(shape))).reshape(shape)


RIGHT = {
    "corr2d_depthwise": [by_einsum, by_repeating, by_a_standard_layer, by_shifts, not_contiguous],
    "variant_costs": [
        lambda: numbers(group=288.0, separable_macs=np.int64(24000), times_fewer=1 / (1 / 16 + 1 / 9)),
    ],
    "breaks_shuffle": [
        lambda: [counted(2, 8, 3, 2), 4],
        lambda: (-counted(1, 12, 1, 1), 2),
    ],
    "mended_shuffle": [dealt_by_index, dealt_by_chunks, dealt_by_a_matrix, lambda X, g: nn.ChannelShuffle(g)(X)],
    "SeparableConv": [Inherited, AsSequential, AsOneFunction],
    "pixel_paths": [by_gradient, by_numpy, by_walking],
}

# What passes weaker checkers: (task, wrong answer, words of the sentence)
WRONG = [
    ("corr2d_depthwise", lambda X, K: torch.zeros_like(by_einsum(X, K)), "values are wrong"),
    ("corr2d_depthwise", lambda X, K: by_einsum(X, K).roll(1, 2), "values are wrong"),
    ("corr2d_depthwise", lambda X, K: by_einsum(X, K).flip(0), "values are wrong"),
    ("corr2d_depthwise", lambda X, K: by_einsum(X, K.flip(2, 3)), "values are wrong"),
    ("corr2d_depthwise", lambda X, K: by_einsum(X, K).unflatten(0, (len(X), -1)), "must be 2×2×2"),
    ("corr2d_depthwise", lambda X, K: list(by_einsum(X, K)), "expected a tensor of shape 2×2×2"),
    ("corr2d_depthwise", lambda X, K: by_einsum(X, K.data), "no gradient flows back to K"),
    ("corr2d_depthwise", lambda X, K: by_einsum(X.mul_(2), K) / 2, "X was changed"),
    ("variant_costs", lambda: {"standard": 1152}, "'group' is missing"),
    ("variant_costs", lambda: numbers(standard=1153), "1153 is not right"),
    ("variant_costs", lambda: numbers(times_fewer=5.8), "5.8 is not right"),
    ("breaks_shuffle", lambda: counted(1, 6, 1, 1), "Return a batch of pictures"),
    ("breaks_shuffle", lambda: (counted(6, 1, 1), 2), "Return a batch of pictures"),
    ("breaks_shuffle", lambda: (counted(1, 6, 1, 1), 0), "must divide the channels"),
    ("breaks_shuffle", lambda: (counted(1, 6, 1, 1).long(), 2), "float32"),
    ("breaks_shuffle", lambda: (torch.zeros(0, 6, 1, 1), 2), "between 1 and 10000"),
    ("mended_shuffle", lambda X, groups: dealt_by_index(X, groups).roll(1, 0), "values are wrong"),
    ("mended_shuffle", lambda X, groups: dealt_by_index(X, groups).detach(), "no gradient flows back to X"),
    ("mended_shuffle", lambda X, groups: dealt_by_index(X, groups).float(), "the dtype is float32"),
    ("mended_shuffle", lambda X, groups: dealt_by_index(X, groups)[0], "the shape is"),
    ("SeparableConv", lambda inputs, outputs, k: Inherited(inputs, outputs, k), "Hand in the class itself"),
    ("SeparableConv", layers.SeparableConv2d, "TypeError"),
    ("SeparableConv", NotAnswering, "got None"),
    ("pixel_paths", lambda rates, k: torch.ones_like(by_gradient(rates, k)), "values are wrong"),
    ("pixel_paths", lambda rates, k: by_gradient(rates, k).tolist(), "expected a tensor of shape 13"),
    ("pixel_paths", lambda rates, k: by_gradient(rates, k) / k ** len(rates), "values are wrong"),
]
