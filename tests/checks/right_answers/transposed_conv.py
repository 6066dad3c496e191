"""Sheet 09: right answers in unusual dress, and wrong ones without a name, which must not pass."""

import numpy as np
import torch
import torch.nn.functional as F


def two(value):
    return value if isinstance(value, tuple) else (value, value)


def by_shifted_pictures(X, K, stride=1, padding=0):
    """One kernel entry at a time: it lays the whole picture, spread out, at its own place."""
    (s, t), (p, q) = two(stride), two(padding)
    H, W = X.shape
    Y = X.new_zeros((H - 1) * s + K.shape[0], (W - 1) * t + K.shape[1])
    for a in range(K.shape[0]):
        for b in range(K.shape[1]):
            Y[a : a + (H - 1) * s + 1 : s, b : b + (W - 1) * t + 1 : t] += K[a, b] * X
    return Y[p : Y.shape[0] - p, q : Y.shape[1] - q]


def by_fold(X, K, stride=1, padding=0):
    s, t = two(stride)
    size = (X.shape[0] - 1) * s + K.shape[0], (X.shape[1] - 1) * t + K.shape[1]
    stamps = torch.einsum("a,x->ax", K.reshape(-1), X.reshape(-1))[None]
    p, q = two(padding)
    Y = F.fold(stamps, size, tuple(K.shape), stride=(s, t))[0, 0]
    return F.pad(Y, (-q, -q, -p, -p))


def as_a_gradient(X, K, stride=1, padding=0):
    """The gradient of a convolution is the painting."""
    (s, t), (p, q) = two(stride), two(padding)
    size = (X.shape[0] - 1) * s + K.shape[0] - 2 * p, (X.shape[1] - 1) * t + K.shape[1] - 2 * q
    paper = X.new_zeros(1, 1, *size, requires_grad=True)
    answer = F.conv2d(paper, K[None, None], stride=(s, t), padding=(p, q))
    return torch.autograd.grad(answer, paper, X[None, None], create_graph=True)[0][0, 0]


def not_contiguous(X, K, stride=1, padding=0):
    return by_shifted_pictures(X.T, K.T, two(stride)[::-1], two(padding)[::-1]).T


def through_float64(X, K, stride=1, padding=0):
    return by_shifted_pictures(X.double(), K.double(), stride, padding).to(X.dtype)


def by_two_tables(X, K, stride=1, padding=0):
    """Rows and columns apart: each pixel and each kernel entry meet where two tables of 0 and 1 say so."""

    def table(n, k, step, cut):
        paper, pixel, entry = torch.meshgrid(*map(torch.arange, ((n - 1) * step + k, n, k)), indexing="ij")
        return (paper == pixel * step + entry)[cut : (n - 1) * step + k - cut].to(X.dtype)

    (s, t), (p, q) = two(stride), two(padding)
    rows, columns = table(X.shape[0], K.shape[0], s, p), table(X.shape[1], K.shape[1], t, q)
    return torch.einsum("yia,xjb,ij,ab->yx", rows, columns, X, K)


def by_jacobian(K, shape):
    def answer(x):
        return F.conv2d(x.reshape(1, 1, *shape), K[None, None]).flatten()

    return torch.autograd.functional.jacobian(answer, K.new_zeros(shape[0] * shape[1]), create_graph=True)


def by_unit_pictures(K, shape):
    units = torch.eye(shape[0] * shape[1], dtype=K.dtype).unflatten(0, shape)
    windows = units.unfold(0, K.shape[0], 1).unfold(1, K.shape[1], 1)  # (H', W', pixel, h, w)
    return torch.einsum("ijxab,ab->ijx", windows, K).flatten(0, 1)


def by_toeplitz(K, shape):
    """Each row is the first one, rolled to the place of its answer."""
    (H, W), (h, w) = shape, K.shape
    first = F.pad(K, (0, W - w, 0, H - h)).flatten()
    return torch.stack([first.roll(i * W + j) for i in range(H - h + 1) for j in range(W - w + 1)])


def mended_by_fold(X, K, stride):
    return by_fold(X, K, stride)


def mended_by_kron(X, K, stride):
    """Zeros behind every pixel, as before, and then the surplus is cut."""
    dot = X.new_zeros(stride, stride)
    dot[0, 0] = 1
    spread = torch.kron(X.contiguous(), dot)[: (X.shape[0] - 1) * stride + 1, : (X.shape[1] - 1) * stride + 1]
    h, w = K.shape
    windows = F.pad(spread, (w - 1, w - 1, h - 1, h - 1)).unfold(0, h, 1).unfold(1, w, 1)
    return (windows * K.flip(0, 1)).sum((2, 3))


RIGHT = {
    "paint": [by_shifted_pictures, by_fold, as_a_gradient, not_contiguous, through_float64, by_two_tables],
    "painted_shapes": [
        lambda: {
            "weight": torch.Size([4, 3, 3, 3]),
            "doubled": [14, 14],
            "pairs": (np.int64(11), 9),
            "dilated": (13, 13),
            "halved": 1.0,
            "quartered": 2,
        },
    ],
    "conv_matrix": [
        by_unit_pictures,
        by_toeplitz,
        by_jacobian,
        lambda K, shape: by_unit_pictures(K, shape).T.contiguous().T,
    ],
    "paint_with_matrix": [
        lambda A, Y, shape: (Y.reshape(-1) @ A).reshape(shape),
        lambda A, Y, shape: torch.tensordot(Y, A.reshape(*Y.shape, *shape), 2),
        lambda A, Y, shape: (A.double().mT @ Y.flatten().double()).view(*shape).to(Y.dtype),
    ],
    "breaks_slide": [
        lambda: [torch.ones(1, 1), torch.ones(1, 1), 2],  # only the size shows it
        lambda: (torch.rand(4, 5) + 1, torch.tensor([[0.0, 1.0]]), 1),
        lambda: (torch.zeros(2, 2), torch.zeros(3, 3), np.int64(3)),
    ],
    "mended_slide": [mended_by_fold, mended_by_kron],
    "stamp_counts": [
        lambda: {
            "row": (1, 1, 2, 1, 2, 1, 2, 1, 1),
            "kernel_3": (1, 2, 4),
            "kernel_6": np.int32(9),
            "even": list(range(3, 10, 3)),
            "unpainted": 121 - 8 * 8,
            "tent": 4.0,
        },
    ],
}


def paper_of_another_size(X, K, stride=1, padding=0):
    """Whole numbers only, and a paper on which there is no room for a stride."""
    (H, W), (h, w) = X.shape, K.shape
    Y = torch.zeros(H + h - 1, W + w - 1)
    for i in range(H):
        for j in range(W):
            Y[i * stride : i * stride + h, j * stride : j * stride + w] += X[i, j] * K
    return Y[padding : Y.shape[0] - padding, padding : Y.shape[1] - padding]


def stamp_used_up(X, K, stride=1, padding=0):
    (s, t), (p, q), (H, W), (h, w) = two(stride), two(padding), X.shape, K.shape
    Y = torch.zeros((H - 1) * s + h, (W - 1) * t + w, dtype=X.dtype)
    for i in range(H):
        for j in range(W):
            stamp = K
            stamp *= X[i, j]
            Y[i * s : i * s + h, j * t : j * t + w] += stamp
    return Y[p : Y.shape[0] - p, q : Y.shape[1] - q]


def counter_outside(K, shape):
    (H, W), (h, w) = shape, K.shape
    A = torch.zeros((H - h + 1) * (W - w + 1), H * W, dtype=K.dtype)
    for row, i in enumerate(range(H - h + 1)):  # one number for all answers of a line
        for j in range(W - w + 1):
            A[row] = F.pad(K, (j, W - w - j, i, H - h - i)).flatten()
    return A


# What passes weaker checkers: (task, wrong answer, words of the sentence)
WRONG = [
    ("paint", lambda X, K, stride=1, padding=0: by_fold(X, K, stride, padding) * 0, "values are wrong"),
    ("paint", lambda X, K, stride=1, padding=0: by_fold(X, K, stride, padding).roll(1, 1), "values are wrong"),
    ("paint", lambda X, K, stride=1, padding=0: by_fold(X.mul_(1), K.mul_(2), stride, padding), "values are wrong"),
    (
        "paint",
        lambda X, K, stride=1, padding=0: by_fold(X, K.mul_(1).add_(0), stride, padding)[None],
        "the shape is 1×3×3",
    ),
    ("paint", lambda X, K, stride=1, padding=0: by_fold(X, K, stride, padding).numpy(force=True), "type ndarray"),
    ("paint", lambda X, K, stride=1, padding=0: by_fold(X, K.detach(), stride, padding), "no gradient flows back to K"),
    ("conv_matrix", lambda K, shape: by_unit_pictures(K, shape).flip(0), "values are wrong"),
    ("conv_matrix", lambda K, shape: by_unit_pictures(K, shape).unflatten(1, shape), "the shape is 4×3×3, must be 4×9"),
    ("conv_matrix", lambda K, shape: by_unit_pictures(K, shape).tolist(), "expected a tensor of shape 4×9"),
    ("paint_with_matrix", lambda A, Y, shape: (A.T @ Y).reshape(shape), "raised RuntimeError"),
    ("paint_with_matrix", lambda A, Y, shape: (A.abs().T @ Y.flatten()).reshape(shape), "values are wrong"),
    ("breaks_slide", lambda: (torch.ones(2, 2), torch.eye(2)), "Return a picture, a kernel and a stride"),
    ("breaks_slide", lambda: (torch.ones(2, 2), torch.eye(2), 2.0), "must be one whole number"),
    ("breaks_slide", lambda: (torch.ones(2, 2), torch.eye(2), (2, 2)), "must be one whole number"),
    ("breaks_slide", lambda: (np.ones((2, 2)), np.eye(2), 2), "must be tensors"),
    ("breaks_slide", lambda: (torch.ones(0, 2), torch.ones(2, 2), 1), "must both be matrices"),
    ("breaks_slide", lambda: (torch.ones(2), torch.eye(2), 2), "must both be matrices"),
    ("breaks_slide", lambda: (torch.ones(2, 2), torch.ones(2, 2).double(), 2), "Take float32"),
    ("breaks_slide", lambda: (torch.ones(2, 2) / 0, torch.ones(2, 2), 1), "finite"),
    ("breaks_slide", lambda: (torch.ones(2, 2), torch.ones(2, 2), 0), "from 1 to 10"),
    (
        "paint_with_matrix",
        lambda A, Y, shape: (A.T @ Y.flatten()).reshape(shape).detach(),
        "no gradient flows back to A",
    ),
    ("mended_slide", lambda X, K, stride: mended_by_fold(X, K, stride).flip(0), "values are wrong"),
    ("mended_slide", lambda X, K, stride: mended_by_fold(X, K.T, stride), "values are wrong"),
    ("mended_slide", lambda X, K, stride: mended_by_fold(X.float(), K.float(), stride), "the dtype is float32"),
    ("painted_shapes", lambda: {"doubled": 14}, "expected a tuple or list of 2 values"),
    ("painted_shapes", lambda: {"doubled": (14, 14), "pairs": (8, 13)}, "pairs: (8, 13) is not right"),
    ("painted_shapes", lambda: {"doubled": "14×14"}, "expected a tuple or list of 2 values"),
    ("stamp_counts", lambda: {"row": [1, 1, 2, 1, 2, 1, 1]}, "has 7 values, must have 9."),
    # A known mistake in another hand is called by its name, too.
    ("paint", paper_of_another_size, "its size does not know the stride"),
    ("paint", stamp_used_up, "Your stamp is K itself"),
    ("conv_matrix", counter_outside, "the answers of a line are written over each other"),
]
