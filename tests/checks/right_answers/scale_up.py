"""Sheet 15: right answers in unusual dress, and wrong ones without a name, which must not pass."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from course_utils.fused import phase_kernels


def in_floats():
    flop = 2.0 * 10 * 20 * 20 * 32 * 16 * 9
    moved = np.float64(4 * (10 * 48 * 400 + 32 * 16 * 9))
    return {"flop": flop, "bytes": moved, "intensity": flop / moved, "microseconds": 184.3, "sent": 27648.0}


def by_slices(weight):
    out, channels, h, w = weight.shape
    kernels = weight.new_zeros(out, 2, 2, channels, h + 1, w + 1)
    for down in range(2):
        for right in range(2):
            kernels[:, down, right, :, down : down + h, right : right + w] = weight
    return kernels.reshape(4 * out, channels, h + 1, w + 1)


def by_concatenation(weight):
    groups = []
    for kernel in weight:
        for left, top in ((0, 0), (1, 0), (0, 1), (1, 1)):
            groups.append(nn.ZeroPad2d((left, 1 - left, top, 1 - top))(kernel))
    return torch.stack(groups)


def by_asking_the_layer(weight):
    """A convolution is linear in its kernel, and so are these: autograd knows them."""
    out, channels, h, w = weight.shape
    rows = []
    for o in range(out):
        for p in range(4):
            window = torch.zeros(1, channels, h + 1, w + 1, dtype=weight.dtype, requires_grad=True)
            answer = F.conv2d(window, weight[o : o + 1]).flatten()[p]
            rows.append(torch.autograd.grad(answer, window, create_graph=True)[0][0])
    return torch.stack(rows)


def by_autograd(X, y, w, workers):
    rows, n = [], len(X)
    for r in range(workers):
        leaf = w.clone().requires_grad_()
        share = slice(n * r // workers, n * (r + 1) // workers)
        loss = ((X[share] @ leaf - y[share]) ** 2).sum() / 2 / n * workers
        rows.append(torch.autograd.grad(loss, leaf)[0])
    return torch.stack(rows)


def by_table(X, y, w, workers):
    """Every picture's own gradient, and a table that says whose picture it is."""
    each = (X @ w - y)[:, None] * X
    owner = torch.empty(len(X), dtype=torch.int64)
    for r in range(workers):
        owner[len(X) * r // workers : len(X) * (r + 1) // workers] = r
    return F.one_hot(owner, workers).to(X.dtype).T @ each * workers / len(X)


def with_weights(X, y, w, workers):
    rows, edges = [], [len(X) * r // workers for r in range(1, workers)]
    for images, labels in zip(X.tensor_split(edges), y.tensor_split(edges), strict=True):
        share = len(images) / len(X)
        mean = images.T @ (images @ w - labels) / len(images) if len(images) else torch.zeros_like(w)
        rows.append(workers * share * mean)
    return torch.stack(rows)


def by_loop(X, y, weight, velocity, order, done, state, epochs):
    dice = torch.Generator()
    dice.set_state(state)
    start = 2 * done
    for _ in range(epochs + 1):
        while start < len(X):
            batch = order[start : start + 2]
            gradient = ((X[batch] @ weight - y[batch])[:, None] * X[batch]).mean(0)
            velocity = 0.9 * velocity + gradient
            weight = weight - 0.1 * velocity
            start += 2
        order, start = torch.randperm(len(X), generator=dice), 0
    return weight


def by_torch(X, y, weight, velocity, order, done, state, epochs):
    """torch's own SGD, its momentum buffer set by hand."""
    leaf = weight.clone().requires_grad_()
    sgd = torch.optim.SGD([leaf], lr=0.1, momentum=0.9)
    sgd.state[leaf]["momentum_buffer"] = velocity.clone()
    dice = torch.Generator()
    dice.set_state(state)
    orders = [order[2 * done :]] + [torch.randperm(len(X), generator=dice) for _ in range(epochs)]
    for own in orders:
        for batch in own.split(2):
            if len(batch):
                sgd.zero_grad()
                (((X[batch] @ leaf - y[batch]) ** 2).mean() / 2).backward()
                sgd.step()
    return leaf.detach()


def through_all_again(X, y, weight, velocity, order, done, state, epochs):
    """From the start, as if nothing had been saved: it does not know how many epochs there were."""
    return by_loop(X, y, torch.zeros_like(weight), torch.zeros_like(velocity), order, 0, state, epochs)


RIGHT = {
    "layer_numbers": [in_floats],
    "pooling_kernels": [by_slices, by_concatenation, by_asking_the_layer, phase_kernels],
    "breaks_shares": [
        lambda: (torch.tensor([[1.0], [1], [3]]), torch.ones(3), torch.zeros(1), 2),
        lambda: (torch.eye(5), torch.arange(1.0, 6), torch.zeros(5), 4),
        lambda: [torch.rand(5, 3) + 1, torch.arange(5.0), torch.zeros(3), 3],
    ],
    "mended_shares": [by_autograd, by_table, with_weights],
    "resume": [by_loop, by_torch],
}

WRONG = [
    ("layer_numbers", lambda: in_floats() | {"sent": 30_000}, "30000 is not right"),
    ("layer_numbers", lambda: {"flop": 36_864_000}, "'bytes' is missing"),
    ("pooling_kernels", lambda weight: by_slices(weight).detach(), "no gradient flows back"),
    ("pooling_kernels", lambda weight: by_slices(weight) / 4, "values are wrong"),
    ("pooling_kernels", lambda weight: list(by_slices(weight)), "expected"),
    ("breaks_shares", lambda: (torch.rand(3, 2), torch.rand(3), torch.zeros(2)), "Return pictures, labels"),
    ("breaks_shares", lambda: (torch.rand(3, 2), torch.rand(3), torch.zeros(2), 2.0), "whole number"),
    ("breaks_shares", lambda: (torch.rand(3, 2), torch.rand(2), torch.zeros(2), 2), "one row for each picture"),
    ("breaks_shares", lambda: (torch.rand(3, 2), torch.arange(3), torch.zeros(2), 2), "must be float32 tensors"),
    ("breaks_shares", lambda: (torch.full((3, 2), float("nan")), torch.rand(3), torch.zeros(2), 2), "finite"),
    ("mended_shares", lambda X, y, w, workers: (X.T @ (X @ w - y) / len(X)).expand(workers, -1), "values are wrong"),
    ("mended_shares", lambda X, y, w, workers: X.T @ (X @ w - y) / len(X), "the shape is"),
    ("resume", through_all_again, "wrong"),
    ("resume", lambda X, y, weight, *rest: weight, "wrong"),
]
