"""Sheet 04: right answers in unusual dress, and wrong ones without a name, which must not pass."""

import numpy as np
import torch
import torch.nn.functional as F


def windows(X, K):
    """The blocks of X below a kernel of K's size: (..., channels, rows, columns, h, w)."""
    return X.unfold(-2, K.shape[-2], 1).unfold(-2, K.shape[-1], 1)


def by_einsum(X, K):
    return torch.einsum("cijab,cab->ij", windows(X, K), K)


def by_slices(X, K):
    (C, h, w), (_, H, W) = K.shape, X.shape
    places = ((c, a, b) for c in range(C) for a in range(h) for b in range(w))
    return sum(K[c, a, b] * X[c, a : a + H - h + 1, b : b + W - w + 1] for c, a, b in places)


def by_one_tall_picture(X, K):
    """Section 4.3: the channels piled up, the kernels piled up with rows of zeros between them."""
    gap = K.new_zeros(len(K), X.shape[1] - K.shape[1], K.shape[2])
    tall = torch.cat([K, gap], 1).flatten(0, 1)[: (len(K) - 1) * X.shape[1] + K.shape[1]]
    return F.conv2d(X.flatten(0, 1)[None, None], tall[None, None])[0, 0]


def two_channels_on_top(X, K):
    """The answers of the channels, added one after the other into the first one's tensor."""
    Y = by_einsum(X[:1], K[:1])
    for c in range(1, len(X)):
        Y += by_einsum(X[c : c + 1], K[c : c + 1])
    return Y


def out_by_einsum(X, K):
    return torch.einsum("cijab,ocab->oij", windows(X, K), K)


def out_by_matrix(X, K):
    rows = windows(X, K).permute(1, 2, 0, 3, 4).flatten(2)  # one dot product for each place
    return (rows @ K.flatten(1).T).movedim(-1, 0)  # not contiguous


def out_by_loops(X, K):
    answers = [sum(by_einsum(X[c : c + 1], k[c : c + 1]) for c in range(len(X))) for k in K]
    return torch.cat([answer[None] for answer in answers])


def with_bias_as_a_channel(X, K, bias):
    """A channel of ones, whose kernel holds the bias at one place."""
    kernel = K.new_zeros(len(K), 1, *K.shape[2:])
    kernel[:, 0, 0, 0] = bias
    return out_by_einsum(torch.cat([X, torch.ones_like(X[:1])]), torch.cat([K, kernel], 1))


def bias_by_einsum(X, K, bias):
    Y = out_by_einsum(X, K)
    return Y + torch.einsum("o,oij->oij", bias, torch.ones_like(Y))


def bias_first(X, K, bias):
    answers = []
    for kernels, b in zip(K, bias, strict=True):
        Y = b.clone()
        for x, k in zip(X, kernels, strict=True):
            Y = Y + by_einsum(x[None], k[None])
        answers.append(Y)
    return torch.stack(answers)


def batch_by_einsum(X, K, bias):
    return torch.einsum("ncijab,ocab->noij", windows(X, K), K) + bias[None, :, None, None]


def batch_by_vmap(X, K, bias):
    return torch.vmap(lambda x: bias_by_einsum(x, K, bias))(X)


def bias_on_channels_last(X, K, bias):
    return (batch_by_einsum(X, K, torch.zeros_like(bias)).permute(0, 2, 3, 1) + bias).permute(0, 3, 1, 2)


def batch_in_float64(X, K, bias):
    return batch_by_einsum(X.double(), K.double(), bias.double()).to(X.dtype)


def as_it_lies(X):
    """X read in the order of its memory, as code in other languages might."""
    return torch.as_strided(X, X.shape, torch.empty(X.shape).stride())


RIGHT = {
    "corr2d_multi_in": [by_einsum, by_slices, by_one_tall_picture, two_channels_on_top],
    "corr2d_multi_in_out": [out_by_einsum, out_by_matrix, out_by_loops],
    "layer_costs": [
        lambda: {
            "grouped_weight": [6, 2, 3, 5],
            "bytes": 1464.0,
            "macs": np.int64(28800),
            "parameters": 366,
            "answer": torch.Size([6, 8, 10]),
            "bias": [6],
            "weight": torch.Size([6, 4, 3, 5]),
        },
    ],
    "breaks_layer": [
        lambda: [torch.rand(3, 4, 6) + 1, torch.rand(2, 3, 2, 3), torch.tensor([0.0, -1.0])],
        lambda: (torch.zeros(2, 1, 1), torch.zeros(1, 2, 1, 1), torch.ones(1)),
    ],
    "mended_layer": [with_bias_as_a_channel, bias_by_einsum, bias_first],
    "corr2d_batch": [batch_by_einsum, batch_by_vmap, bias_on_channels_last, batch_in_float64],
}


def one_table_for_all(X, K):
    """Every filter adds to the table that lies in the list already."""
    Y, maps = torch.zeros_like(by_einsum(X, K[0])), []
    for k in K:
        Y += by_einsum(X, k)
        maps.append(Y)
    return torch.stack(maps)


def bias_behind_the_loop(X, K, bias):
    maps, b = [], None
    for o in range(len(K)):
        b = bias[o]
        maps.append(by_einsum(X, K[o]))
    return torch.stack(maps) + b


def bias_in_a_loop(X, K, bias):
    Y = torch.stack([out_by_einsum(x, K) for x in X])
    for number, b in enumerate(bias):
        Y[number] = Y[number] + b
    return Y


# What passes weaker checkers: (task, wrong answer, words of the sentence)
WRONG = [
    ("corr2d_multi_in", lambda X, K: torch.zeros_like(by_einsum(X, K)), "values are wrong"),
    ("corr2d_multi_in", lambda X, K: by_einsum(X, K).roll(1, 1), "values are wrong"),
    ("corr2d_multi_in", lambda X, K: by_einsum(X.flip(0), K), "values are wrong"),  # blue, green, red
    ("corr2d_multi_in", lambda X, K: by_einsum(X, K).numpy(force=True), "an object of type ndarray"),
    ("corr2d_multi_in", lambda X, K: by_einsum(X, K).detach(), "no gradient flows back to X"),
    ("corr2d_multi_in", lambda X, K: by_einsum(X, K.neg_()).neg(), "K was changed"),
    ("corr2d_multi_in", lambda X, K: by_einsum(as_it_lies(X), K), "On a picture that is not contiguous"),
    ("corr2d_multi_in", lambda X, K: by_einsum(X[:2], K[:2]), "On three channels"),
    ("corr2d_multi_in_out", lambda X, K: out_by_einsum(X, K).flip(0), "values are wrong"),
    ("corr2d_multi_in_out", lambda X, K: out_by_einsum(X, K).mT, "values are wrong"),
    ("corr2d_multi_in_out", lambda X, K: list(out_by_einsum(X, K)), "expected a tensor of shape 3×2×2"),
    ("corr2d_multi_in_out", lambda X, K: out_by_einsum(X, K.flip(2, 3)), "values are wrong"),
    ("layer_costs", lambda: {"weight": (6, 4, 3, 5)}, "'bias' is missing"),
    ("layer_costs", lambda: {**RIGHT["layer_costs"][0](), "macs": 28801}, "28801 is not right"),
    ("breaks_layer", lambda: (torch.ones(2, 3, 3), torch.ones(1, 2, 2, 2)), "Return three tensors"),
    ("breaks_layer", lambda: (torch.ones(3, 3), torch.ones(2, 2), torch.ones(1)), "The shapes must be"),
    ("breaks_layer", lambda: (torch.ones(3, 3, 3), torch.ones(1, 2, 2, 2), torch.ones(1)), "one kernel for each"),
    ("breaks_layer", lambda: (torch.ones(2, 3, 3), torch.ones(1, 2, 4, 2), torch.ones(1)), "must fit into X"),
    ("breaks_layer", lambda: (torch.ones(2, 3, 3), torch.ones(1, 2, 2, 2), torch.tensor([torch.nan])), "without inf"),
    ("breaks_layer", lambda: (torch.randn(2, 9, 9), torch.randn(1, 2, 2, 2), torch.tensor([1e-12])), "is right"),
    ("mended_layer", lambda X, K, bias: bias_by_einsum(X, K, bias.sum().expand_as(bias)), "values are wrong"),
    ("mended_layer", lambda X, K, bias: bias_by_einsum(X, K, bias.data), "no gradient flows back to bias"),
    ("corr2d_batch", lambda X, K, bias: batch_by_einsum(X, K, bias).flip(0), "values are wrong"),
    ("corr2d_batch", lambda X, K, bias: batch_by_einsum(X, K, bias).squeeze(0), "On a batch of one"),
    ("corr2d_batch", lambda X, K, bias: batch_by_einsum(X, K, bias.flip(0)), "values are wrong"),
    ("corr2d_batch", lambda X, K, bias: bias_by_einsum(X[0], K, bias), "the shape is 3×2×2"),
    ("corr2d_batch", lambda X, K, bias: batch_by_einsum(X, K, bias.detach()), "no gradient"),
    # A known mistake in another hand is called by its name, too.
    ("corr2d_multi_in_out", one_table_for_all, "one and the same table"),
    ("corr2d_multi_in_out", lambda X, K: torch.tensor([by_einsum(X, k) for k in K]), "becomes one with `torch.stack`"),
    ("mended_layer", bias_behind_the_loop, "All output channels get the last bias."),
    ("corr2d_batch", bias_in_a_loop, "that is picture o"),
]
