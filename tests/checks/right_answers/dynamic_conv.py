"""Sheet 10: right answers in unusual dress, and wrong ones without a name, which must not pass."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


def by_hand(X, W1, b1, W2, b2, T):
    pooled = X.flatten(2).sum(2) / X[0, 0].numel()
    scores = ((pooled @ W1.T + b1).clamp(min=0) @ W2.T + b2) / T
    powers = (scores - scores.amax(1, keepdim=True)).exp()
    return powers / powers.sum(1, keepdim=True)


def by_layers(X, W1, b1, W2, b2, T):
    pooled = F.adaptive_avg_pool2d(X, 1).squeeze((2, 3))
    return (F.log_softmax(F.linear(F.linear(pooled, W1, b1).relu(), W2, b2) / T, dim=-1)).exp()


def columns_for_pictures(X, W1, b1, W2, b2, T):
    """Everything transposed, so that the answer is not contiguous."""
    hidden = (W1 @ X.mean((2, 3)).T + b1[:, None]).relu()
    return ((W2 @ hidden + b2[:, None]) / T).softmax(0).T


def picture_by_picture(X, W1, b1, W2, b2, T):
    return torch.stack([F.softmax((W2 @ torch.relu(W1 @ x.flatten(1).mean(1) + b1) + b2) / T, 0) for x in X])


def by_one_by_one(X, W1, b1, W2, b2, T):
    """A linear layer is a 1×1 convolution of a picture of one pixel; in float64 inside."""
    dtype = X.dtype
    X, W1, b1, W2, b2 = (t.double() for t in (X, W1, b1, W2, b2))
    hidden = F.conv2d(F.avg_pool2d(X, tuple(X.shape[2:])), W1[:, :, None, None], b1).clamp(min=0)
    return F.conv2d(hidden, W2[:, :, None, None], b2)[..., 0, 0].div(T).softmax(-1).to(dtype)


def by_groups(X, weight, bias=None, stride=1, padding=0):
    N, C, H, W = X.shape
    bias = None if bias is None else bias.reshape(-1)
    Y = F.conv2d(X.reshape(1, N * C, H, W), weight.flatten(0, 1), bias, stride, padding, groups=N)
    return Y.unflatten(1, (N, -1))[0]


def by_vmap(X, weight, bias=None, stride=1, padding=0):
    Y = torch.vmap(lambda x, w: F.conv2d(x[None], w, None, stride, padding)[0])(X, weight)
    return Y if bias is None else Y + bias[..., None, None]


def by_unfold(X, weight, bias=None, stride=1, padding=0):
    down, across = (stride, stride) if isinstance(stride, int) else stride
    rows, columns = (padding, padding) if isinstance(padding, int) else padding
    windows = (
        F.pad(X, (columns, columns, rows, rows)).unfold(2, weight.shape[3], down).unfold(3, weight.shape[4], across)
    )
    Y = torch.einsum("ncijab,nocab->noij", windows, weight)
    return Y if bias is None else Y + bias.reshape(*bias.shape, 1, 1)


def in_float64(X, weight, bias=None, stride=1, padding=0):
    bias = None if bias is None else bias.double()
    return by_groups(X.double(), weight.double(), bias, stride, padding).to(X.dtype)


def mixed(pi, weight):
    return torch.tensordot(pi, weight, dims=1)


def kernels_mixed(X, pi, weight):
    return by_groups(X, mixed(pi, weight))


def one_by_one(X, pi, weight):
    kernels = [sum(p * kernel for p, kernel in zip(row, weight, strict=True)) for row in pi]
    return torch.cat([F.conv2d(x[None], kernel) for x, kernel in zip(X, kernels, strict=True)])


def answers_mixed(X, pi, weight):
    """All kernels in one call, as outputs; then their answers are mixed."""
    each = F.conv2d(X, weight.flatten(0, 1)).unflatten(1, weight.shape[:2])
    return torch.einsum("nk,nkohw->nohw", pi, each)


def by_matrix(X, pi, weight):
    """Windows times mixed kernels, both flat."""
    kernels = (pi @ weight.flatten(1)).view(len(X), weight.shape[1], -1)
    size = [n - k + 1 for n, k in zip(X.shape[2:], weight.shape[3:], strict=True)]
    return (kernels @ F.unfold(X, tuple(weight.shape[3:]))).unflatten(2, size)


class Routed(nn.Module):
    """The kernels are drawn as torch draws them, the sigmoid is written out, the parameters come in another order."""

    def __init__(self, inputs, outputs, k, kernels):
        super().__init__()
        self.route = nn.Linear(inputs, kernels, bias=True)
        stored = [nn.Conv2d(inputs, outputs, k).weight.detach() for _ in range(kernels)]
        self.register_parameter("weight", nn.Parameter(torch.stack(stored)))

    def forward(self, X):
        scores = self.route(F.adaptive_avg_pool2d(X, 1).flatten(1))
        return answers_mixed(X, 1 / (1 + torch.exp(-scores)), self.weight)


class RoutedOneByOne(nn.Module):
    def __init__(self, inputs, outputs, k, kernels):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(kernels, outputs, inputs, k, k))
        self.route = nn.Linear(inputs, kernels)

    def forward(self, X):
        return torch.stack([one_by_one(x[None], self.route(x.mean((1, 2))).sigmoid()[None], self.weight)[0] for x in X])


class Rounded(Routed):
    def forward(self, X):
        return super().forward(X).round()


class KernelsDetached(Routed):
    def forward(self, X):
        r = self.route(X.mean((2, 3))).sigmoid()
        return answers_mixed(X, r, self.weight.data)


def numbers(**others):
    right = {
        "mixed_kernels": (5, 8, 6, 3, 3),
        "grouped_input": (1, 30, 10, 12),
        "grouped_weight": (40, 6, 3, 3),
        "groups": 5,
        "grouped_answer": (1, 40, 10, 12),
        "parameters": 1797,
        "conv_macs": 51840,
        "mixing_macs": 1728,
    }
    return {**right, **others}


def batch(N=2, K=2, C=1, out=1):
    pi = F.one_hot(torch.arange(N) % K, K).float()
    return torch.ones(N, C, 3, 3), pi, torch.arange(float(K)).reshape(K, 1, 1, 1, 1).expand(K, out, C, 2, 2)


RIGHT = {
    "attention": [by_hand, by_layers, columns_for_pictures, picture_by_picture, by_one_by_one],
    "conv2d_each": [by_groups, by_vmap, by_unfold, in_float64],
    "breaks_dynamic": [lambda: list(batch()), lambda: batch(N=5, K=3, C=2, out=4)],
    "mended_dynamic": [kernels_mixed, one_by_one, answers_mixed, by_matrix],
    "dynamic_numbers": [
        lambda: numbers(grouped_input=torch.Size([1, 30, 10, 12]), groups=np.int64(5), mixing_macs=1728.0),
    ],
    "CondConv": [Routed, RoutedOneByOne],
}

# What passes weaker checkers: (task, wrong answer, words of the sentence)
WRONG = [
    ("attention", lambda *given: torch.full_like(by_hand(*given), 0.5), "values are wrong"),
    ("attention", lambda *given: by_hand(*given).flip(1), "values are wrong"),
    ("attention", lambda *given: by_hand(*given).roll(1, 0), "values are wrong"),
    ("attention", lambda *given: by_hand(*given).T, "the shape is 2×3, must be 3×2"),
    ("attention", lambda *given: by_hand(*given).numpy(force=True), "an object of type ndarray"),
    ("attention", lambda *given: by_hand(*given).float(), "the dtype is float32"),
    ("attention", lambda X, *given: by_hand(X.data, *given), "no gradient flows back to X"),
    ("attention", lambda *given: by_hand(*given).squeeze(), "the shape is 3, must be 1×3"),
    ("conv2d_each", lambda *given, **named: list(by_groups(*given, **named)), "expected a tensor of shape"),
    ("conv2d_each", lambda *given, **named: torch.zeros_like(by_groups(*given, **named)), "values are wrong"),
    ("conv2d_each", lambda *given, **named: by_groups(*given, **named).flip(0), "values are wrong"),
    ("conv2d_each", lambda X, *given, **named: by_groups(X.mT.contiguous().view(X.shape), *given, **named), "wrong"),
    ("conv2d_each", lambda X, weight, *given, **named: by_groups(X, weight.mT, *given, **named), "are wrong"),
    ("conv2d_each", lambda X, weight, *given, **named: by_groups(X, weight.data, *given, **named), "back to weight"),
    ("breaks_dynamic", lambda: batch()[:2], "Return three tensors"),
    ("breaks_dynamic", lambda: tuple(t.numpy() for t in batch()), "Return three tensors"),
    ("breaks_dynamic", lambda: (torch.ones(2, 1, 90, 90), *batch()[1:]), "between 1 and 10000"),
    ("breaks_dynamic", lambda: (batch()[0][0], *batch()[1:]), "The shapes must be"),
    ("breaks_dynamic", lambda: (batch(N=3)[0], *batch()[1:]), "a row for each picture"),
    ("breaks_dynamic", lambda: (batch()[0][:, :, :1], *batch()[1:]), "must fit into the pictures"),
    ("breaks_dynamic", lambda: (batch()[0] / 0, *batch()[1:]), "without inf or nan"),
    ("breaks_dynamic", lambda: (batch()[0] / 1e6, *batch()[1:]), "is right"),
    ("mended_dynamic", lambda X, pi, weight: kernels_mixed(X, pi.flip(0), weight), "values are wrong"),
    ("mended_dynamic", lambda X, pi, weight: kernels_mixed(X, pi, weight.flip(0)), "values are wrong"),
    ("mended_dynamic", lambda X, pi, weight: kernels_mixed(X, pi, weight.data), "no gradient flows back to weight"),
    ("dynamic_numbers", lambda: {"groups": 5}, "'mixed_kernels' is missing"),
    ("dynamic_numbers", lambda: numbers(parameters=1798), "1798 is not right"),
    ("CondConv", Rounded, "values are wrong"),
    ("CondConv", KernelsDetached, "no gradient reaches weight"),
    ("CondConv", nn.Conv2d, "TypeError"),
]
