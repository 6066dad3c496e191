"""Sheet 12: right answers in unusual dress, and wrong ones without a name, which must not pass."""

import numpy as np
import torch
import torch.nn.functional as F


def two(value):
    return value if isinstance(value, tuple) else (value, value)


def by_autograd(size, K, G, stride=1, padding=0):
    X = G.new_zeros(1, 1, *size, requires_grad=True)
    Y = F.conv2d(X, K[None, None], stride=stride, padding=padding)
    return torch.autograd.grad(Y, X, G[None, None])[0][0, 0]


def by_painting(size, K, G, stride=1, padding=0):
    (H, W), (h, w), (s, t), (p, q) = size, K.shape, two(stride), two(padding)
    below = G.new_zeros(H + 2 * p, W + 2 * q)
    for i in range(G.shape[0]):
        for j in range(G.shape[1]):
            below[i * s : i * s + h, j * t : j * t + w] += G[i, j] * K
    return below[p : p + H, q : q + W]


def by_entries(size, K, G, stride=1, padding=0):
    """One kernel entry at a time hands all of G back at once."""
    (H, W), (s, t), (p, q), (rows, columns) = size, two(stride), two(padding), G.shape
    below = torch.zeros(H + 2 * p, W + 2 * q, dtype=G.dtype)
    for a in range(K.shape[0]):
        for b in range(K.shape[1]):
            below[a : a + s * rows : s, b : b + t * columns : t][:rows, :columns] += K[a, b] * G
    return below[p : H + p, q : W + q]


def by_sliding(size, K, G, stride=1, padding=0):
    (H, W), (h, w), (s, t), (p, q), (rows, columns) = size, K.shape, two(stride), two(padding), G.shape
    around = G.new_zeros(H + 2 * p + h - 1, W + 2 * q + w - 1)
    around[h - 1 : h - 1 + s * rows : s, w - 1 : w - 1 + t * columns : t][:rows, :columns] = G
    windows = around.unfold(0, h, 1).unfold(1, w, 1)
    return torch.einsum("ijab,ab->ij", windows, K.flip(0, 1))[p : p + H, q : q + W]


def not_contiguous(size, K, G, stride=1, padding=0):
    return by_painting(size[::-1], K.T, G.T, two(stride)[::-1], two(padding)[::-1]).T


def kernel_by_autograd(X, size, G, stride=1, padding=0):
    K = X.new_zeros(1, 1, *size, requires_grad=True)
    return torch.autograd.grad(F.conv2d(X[:, None], K, stride=stride, padding=padding), K, G[:, None])[0][0, 0]


def kernel_by_entries(X, size, G, stride=1, padding=0):
    (s, t), (p, q), (rows, columns) = two(stride), two(padding), G.shape[1:]
    P = F.pad(X, (q, q, p, p))
    found = X.new_zeros(size)
    for a in range(size[0]):
        for b in range(size[1]):
            met = P[:, a : a + s * rows : s, b : b + t * columns : t][:, :rows, :columns]
            found[a, b] = (met * G).sum()
    return found


def kernel_by_answers(X, size, G, stride=1, padding=0):
    """Each answer hands its window back, as often as G says."""
    (h, w), (s, t), (p, q) = size, two(stride), two(padding)
    windows = F.pad(X, (q, q, p, p)).unfold(1, h, s).unfold(2, w, t)
    return torch.einsum("nijab,nij->ab", windows, G)


def kernel_by_sliding(X, size, G, stride=1, padding=0):
    (s, t), (p, q), (rows, columns) = two(stride), two(padding), G.shape[1:]
    spread = G.new_zeros(len(G), (rows - 1) * s + 1, (columns - 1) * t + 1)
    spread[:, ::s, ::t] = G
    return F.conv2d(F.pad(X, (q, q, p, p))[None], spread[None])[0, 0, : size[0], : size[1]]


def pool_by_loops(X, G):
    below = torch.zeros_like(X)
    for i in range(G.shape[0]):
        for j in range(G.shape[1]):
            place = int(X[2 * i : 2 * i + 2, 2 * j : 2 * j + 2].argmax())
            below[2 * i + place // 2, 2 * j + place % 2] = G[i, j]
    return below


def pool_by_unpooling(X, G):
    places = F.max_pool2d(X[None], 2, return_indices=True)[1]
    return F.max_unpool2d(G[None], places, 2)[0]


def pool_by_autograd(X, G):
    X = X.clone().requires_grad_()
    (F.max_pool2d(X[None], 2)[0] * G).sum().backward()
    return X.grad


class Own(torch.autograd.Function):
    """The new style, with everything put aside."""

    @staticmethod
    def forward(X, K, b):
        return F.conv2d(X[None, None], K[None, None])[0, 0] + b

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs, output)

    @staticmethod
    def backward(ctx, G):
        X, K, b, _ = ctx.saved_tensors
        return by_entries(tuple(X.shape), K, G), kernel_by_entries(X[None], K.shape, G[None]), G.sum().expand_as(b)


class Thrifty(torch.autograd.Function):
    """Computes only what is asked for."""

    @staticmethod
    def forward(ctx, X, K, b):
        ctx.save_for_backward(X, K)
        return torch.einsum("ijab,ab->ij", X.unfold(0, K.shape[0], 1).unfold(1, K.shape[1], 1), K) + b

    @staticmethod
    def backward(ctx, G):
        X, K = ctx.saved_tensors
        return (
            by_sliding(X.shape, K, G) if ctx.needs_input_grad[0] else None,
            kernel_by_answers(X[None], K.shape, G[None]) if ctx.needs_input_grad[1] else None,
            G.sum(dim=(0, 1), keepdim=True)[0] if ctx.needs_input_grad[2] else None,
        )


RIGHT = {
    "picture_gradient": [by_autograd, by_painting, by_entries, by_sliding, not_contiguous],
    "kernel_gradient": [kernel_by_autograd, kernel_by_entries, kernel_by_answers, kernel_by_sliding],
    "breaks_pool_gradient": [
        lambda: (torch.zeros(2, 2), torch.ones(1, 1)),
        lambda: [torch.tensor([[1.0, 7.0], [7.0, 2.0]]), torch.tensor([[-3.0]])],
        lambda: (torch.randn(6, 4).relu() * 0, torch.randn(3, 2)),
    ],
    "mended_pool_gradient": [pool_by_loops, pool_by_unpooling, pool_by_autograd],
    "own_conv": [
        lambda X, K, b: Own.apply(X, K, b),
        lambda X, K, b: Thrifty.apply(X, K, b),
        lambda X, K, b: F.conv2d(X[None, None], K[None, None], b)[0, 0],
    ],
    "backward_on_paper": [
        lambda: {
            "kernel": [[8, 11], [17, 20]],
            "picture": ([0, 1.0, 0], [2, 3, 2], (0, 4, 6)),
            "bias": np.int64(144),
            "spread": 7.0,
            "left_over": 1,
            "weight": torch.Size([8, 3, 3, 3]),
        },
    ],
}

PAPER = RIGHT["backward_on_paper"][0]

# What passes weaker checkers: (task, wrong answer, words of the sentence)
WRONG = [
    ("picture_gradient", lambda size, K, G, stride=1, padding=0: torch.zeros(size, dtype=G.dtype), "values are wrong"),
    ("picture_gradient", lambda *args, **kw: by_painting(*args, **kw).roll(1, 0), "values are wrong"),
    ("picture_gradient", lambda *args, **kw: by_painting(*args, **kw)[None], "the shape is 1×3×3, must be 3×3"),
    ("picture_gradient", lambda *args, **kw: by_painting(*args, **kw).numpy(), "type ndarray"),
    ("picture_gradient", lambda size, K, G, **kw: by_painting(size, K, G.mul_(2), **kw), "values are wrong"),
    ("picture_gradient", lambda size, K, G, *a, **kw: by_painting(size, K.mul_(1).add_(1), G), "values are wrong"),
    ("kernel_gradient", lambda X, size, G, **kw: kernel_by_entries(X, size, G, **kw).flip(0), "values are wrong"),
    ("kernel_gradient", lambda X, size, G, **kw: kernel_by_entries(X, size, G, **kw).abs(), "values are wrong"),
    ("kernel_gradient", lambda X, size, G, **kw: kernel_by_entries(X, size[::-1], G), "the shape is 3×2, must be 2×3"),
    ("breaks_pool_gradient", lambda: torch.zeros(2, 2), "Return a picture and what comes from above"),
    ("breaks_pool_gradient", lambda: (torch.zeros(3, 3), torch.ones(1, 1)), "twice as many rows and columns"),
    ("breaks_pool_gradient", lambda: (torch.zeros(2, 2).double(), torch.ones(1, 1)), "Take float32"),
    ("breaks_pool_gradient", lambda: (torch.ones(2, 2) / 0, torch.ones(1, 1)), "finite"),
    ("breaks_pool_gradient", lambda: (np.zeros((2, 2)), np.ones((1, 1))), "two tensors"),
    ("mended_pool_gradient", lambda X, G: pool_by_loops(X, G).abs(), "values are wrong"),
    ("mended_pool_gradient", lambda X, G: pool_by_loops(X, G).float(), "the dtype is float32"),
    ("mended_pool_gradient", lambda X, G: pool_by_loops(X.neg(), G), "values are wrong"),
    ("own_conv", lambda X, K, b: Own.apply(X, K, b).detach(), "no gradient flows back to X"),
    ("own_conv", lambda X, K, b: Own.apply(X, K.detach(), b), "K gets no gradient"),
    (
        "own_conv",
        lambda X, K, b: Own.apply(X, K, b) * 1.5 - 0.5 * Own.apply(X, K, b).detach(),
        "gradient for X is wrong",
    ),
    ("own_conv", lambda X, K, b: Own.apply(X, K, b[0])[None], "the shape is 1×2×2"),
    ("backward_on_paper", lambda: {**PAPER(), "spread": 8}, "spread: 8 is not right"),
    ("backward_on_paper", lambda: {**PAPER(), "weight": 72}, "weight: expected"),
    ("backward_on_paper", lambda: {**PAPER(), "kernel": [8, 11, 17, 20]}, "kernel: "),
]
