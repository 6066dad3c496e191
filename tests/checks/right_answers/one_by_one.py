"""Sheet 05: right answers in unusual dress, and wrong ones without a name, which must not pass."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


def by_einsum(X, K):
    return torch.einsum("oc,chw->ohw", K[:, :, 0, 0], X)


def by_channels(X, K):
    return torch.stack([sum(k[c, 0, 0] * X[c] for c in range(len(X))) for k in K])


def by_tensordot(X, K):
    return torch.tensordot(K.flatten(1), X, dims=1)


def not_contiguous(X, K):
    return (X.permute(1, 2, 0) @ K.flatten(1).T).permute(2, 0, 1)


def through_float64(X, K):
    return by_einsum(X.double(), K.double()).to(X.dtype)


def by_broadcasting(X, K):
    """Weights are broadcast over the pixels, and the channels added up."""
    return (K * X).sum(1)


def mix_by_einsum(X, K):
    return torch.einsum("oc,nchw->nohw", K, X)


def mix_by_flatten(X, K):
    return (K @ X.flatten(2)).unflatten(2, X.shape[2:])


def mix_by_linear(X, K):
    return F.linear(X.movedim(1, -1), K).movedim(-1, 1).contiguous()


def mix_by_pictures(X, K):
    return torch.stack([by_tensordot(x, K) for x in X])


class ByEinsum(nn.Module):
    """The linear layer only keeps the numbers."""

    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.linear = nn.Linear(in_channels, out_channels)

    def forward(self, X):
        return mix_by_einsum(X, self.linear.weight) + self.linear.bias[:, None, None]


class ByTranspose(ByEinsum):
    """Rows and columns are exchanged on the way in, and again on the way out."""

    def forward(self, X):
        return self.linear(X.transpose(1, 3)).transpose(1, 3)


class ByConvolution(ByEinsum):
    def forward(self, X):
        return F.conv2d(X, self.linear.weight[:, :, None, None], self.linear.bias)


class ByPixels(ByEinsum):
    """Pixels in one row, as people write it who think of `nn.Linear` as taking a matrix."""

    def forward(self, X):
        return self.linear(X.flatten(2).mT).mT.unflatten(2, X.shape[2:])


class WithFunctions(nn.Module):
    """The padding is added by hand, and ReLU is a clamp."""

    def __init__(self, channels, narrow):
        super().__init__()
        self.up = nn.Conv2d(narrow, channels, (1, 1))
        self.middle = nn.Conv2d(narrow, narrow, kernel_size=3)
        self.down = nn.Conv2d(channels, narrow, kernel_size=1, padding="same")

    def forward(self, X):
        Y = self.down(X).clamp(min=0)
        Y = self.middle(F.pad(Y, (1, 1, 1, 1)))
        return self.up(torch.where(Y > 0, Y, 0))


class AsSequential(nn.Sequential):
    def __init__(self, channels, narrow):
        super().__init__()
        self.add_module("down", nn.Conv2d(channels, narrow, 1))
        self.add_module("first", nn.ReLU(inplace=True))
        self.add_module("middle", nn.Conv2d(narrow, narrow, 3, padding="same"))
        self.add_module("second", nn.ReLU(inplace=True))
        self.add_module("up", nn.Conv2d(narrow, channels, 1))


RIGHT = {
    "corr2d_multi_in_out_1x1": [by_einsum, by_channels, by_tensordot, by_broadcasting, not_contiguous, through_float64],
    "breaks_mix": [
        lambda: [torch.rand(2, 3, 1, 2), torch.rand(3, 3)],
        lambda: (torch.arange(6.0).reshape(1, 1, 2, 3), torch.tensor([[1.0], [2.0]])),  # poured on the way out only
    ],
    "mended_mix": [mix_by_einsum, mix_by_flatten, mix_by_linear, mix_by_pictures],
    "PixelLinear": [ByEinsum, ByTranspose, ByConvolution, ByPixels],
    "bottleneck_costs": [
        lambda: {
            "bottleneck_bytes": 17792.0,
            "plain_bytes": np.int64(147712),
            "one_by_one_macs": 163840,
            "bottleneck_macs": 348160,
            "plain_macs": 2949120,
        },
    ],
    "Bottleneck": [WithFunctions, AsSequential],
}


def as_it_lies(X):
    """X read in the order of its memory, as code in other languages might."""
    return torch.as_strided(X, X.shape, torch.empty(X.shape).stride())


class Detached(ByEinsum):
    def forward(self, X):
        return mix_by_einsum(X, self.linear.weight.data) + self.linear.bias[:, None, None]


class NeverPermuted(ByEinsum):
    def forward(self, X):
        return self.linear(X.flatten(1))


class PaddedTooLate(WithFunctions):
    """The border of zeros is put around what `middle` answers."""

    def forward(self, X):
        return self.up(F.pad(self.middle(self.down(X).relu()).relu(), (1, 1, 1, 1)))


class Shared(WithFunctions):
    """`down` turned round in place of `up`."""

    def forward(self, X):
        Y = self.middle(F.pad(self.down(X).relu(), (1, 1, 1, 1))).relu()
        return F.conv2d(Y, self.down.weight.transpose(0, 1), self.up.bias)


# What passes weaker checkers: (task, wrong answer, words of the sentence)
WRONG = [
    ("corr2d_multi_in_out_1x1", lambda X, K: torch.zeros_like(by_einsum(X, K)), "values are wrong"),
    ("corr2d_multi_in_out_1x1", lambda X, K: by_einsum(X, K).flip(0), "values are wrong"),
    ("corr2d_multi_in_out_1x1", lambda X, K: by_einsum(X, K).roll(1, 2), "values are wrong"),
    ("corr2d_multi_in_out_1x1", lambda X, K: by_einsum(as_it_lies(X), K), "that are not contiguous"),
    ("corr2d_multi_in_out_1x1", lambda X, K: by_einsum(X.neg_(), K).neg(), "X was changed"),
    ("corr2d_multi_in_out_1x1", lambda X, K: by_einsum(X, K.detach()), "no gradient flows back to K"),
    ("corr2d_multi_in_out_1x1", lambda X, K: by_einsum(X, K).numpy(force=True), "an object of type ndarray"),
    ("breaks_mix", lambda: torch.ones(1, 2, 2, 2), "Return two tensors"),
    ("breaks_mix", lambda: (torch.rand(2, 2, 2), torch.rand(1, 2)), "X must have four axes"),
    ("breaks_mix", lambda: (torch.rand(1, 2, 2, 2), torch.rand(2, 1)), "one column for each channel"),
    ("breaks_mix", lambda: (torch.full((1, 2, 2, 2), torch.inf), torch.ones(1, 2)), "without inf and nan"),
    ("breaks_mix", lambda: (torch.rand(0, 2, 2, 2), torch.ones(1, 2)), "X must have 1 to 10000 numbers"),
    ("breaks_mix", lambda: (torch.rand(2, 1, 3, 3).tolist(), [[1.0]]), "Return two tensors"),
    ("mended_mix", lambda X, K: mix_by_einsum(X, K).squeeze(), "On a batch of one"),
    ("mended_mix", lambda X, K: mix_by_einsum(X, K).flip(0), "values are wrong"),
    ("mended_mix", lambda X, K: mix_by_einsum(X, K).flip(3), "values are wrong"),
    ("mended_mix", lambda X, K: mix_by_einsum(X[:1], K), "the shape is 1×3×3×3, must be 2×3×3×3"),
    ("mended_mix", lambda X, K: mix_by_flatten(as_it_lies(X), K), "that is not contiguous"),
    ("PixelLinear", nn.Linear, "raised TypeError"),
    ("PixelLinear", lambda X: X, "Hand in the class itself"),
    ("PixelLinear", Detached, "no gradient reaches linear.weight"),
    ("PixelLinear", NeverPermuted, "mat1 and mat2 shapes"),
    ("bottleneck_costs", lambda: 2949120, "expected a dict"),
    ("bottleneck_costs", lambda: {**RIGHT["bottleneck_costs"][0](), "bottleneck_macs": 348161}, "348161 is not right"),
    ("Bottleneck", PaddedTooLate, "output"),
    ("Bottleneck", Shared, "output"),
]
