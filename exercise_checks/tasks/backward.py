"""Tasks of sheet 12: the gradients of picture and kernel, a draw in max pooling, a Function, and all of it on paper."""

import torch
import torch.nn.functional as F
from torch import nn

from course_utils import ops
from exercise_checks.tasks.calls import AUTOGRAD, READY_GRADIENTS, TRANSPOSED
from exercise_checks.tasks.task import Draw, pair, slips, task

K_OF_LESSON, G_OF_LESSON = torch.arange(4.0).reshape(2, 2), torch.arange(1.0, 5).reshape(2, 2)


def answers(size, kernel, stride=1, padding=0):
    """How many rows and columns a convolution's output has."""
    along = zip(size, kernel, pair(stride), pair(padding), strict=True)
    return tuple((n + 2 * p - k) // s + 1 for n, k, s, p in along)


def spread(G, stride):
    (s, t), (rows, columns) = pair(stride), G.shape[-2:]
    wide = G.new_zeros(*G.shape[:-2], (rows - 1) * s + 1, (columns - 1) * t + 1)
    wide[..., ::s, ::t] = G
    return wide


def for_picture(size, K, G, stride=1, padding=0):
    return torch.nn.grad.conv2d_input((1, 1, *size), K[None, None], G[None, None], stride, padding)[0, 0]


def handed_back(index, size, K, G, stride=1, padding=0):
    """The products that arrive at one pixel.

    >>> handed_back((0, 1), (1, 3), torch.tensor([[5, 7]]), torch.tensor([[1, 2]]))
    'what the answers hand back: G[0, 0] * K[0, 1] + G[0, 1] * K[0, 0] = 1 * 7 + 2 * 5'
    """
    (s, t), (p, q), (h, w) = pair(stride), pair(padding), K.shape
    names, numbers = [], []
    for i, j in torch.cartesian_prod(*map(torch.arange, G.shape)).tolist():
        a, b = index[0] + p - i * s, index[1] + q - j * t
        if 0 <= a < h and 0 <= b < w:
            names.append(f"G[{i}, {j}] * K[{a}, {b}]")
            numbers.append(f"{G[i, j].item():.4g} * {K[a, b].item():.4g}")
    if not names:
        return "nothing: no answer looked at this pixel"
    return f"what the answers hand back: {' + '.join(names)} = {' + '.join(numbers)}"


def pictures(draw: Draw):
    def row(label, size, kernel, **setting):
        G = draw.whole(*answers(size, kernel, **setting), low=1)
        return label, size, draw.whole(*kernel, low=1), G, setting

    yield "the picture of lesson 12", (3, 3), K_OF_LESSON, G_OF_LESSON
    yield row("a wide picture and a wide kernel", (3, draw.size(6, 7)), (2, 3))
    yield row("a row and a column left over by stride 2", (5, 5), (2, 2), stride=2)
    yield row("a tall picture with padding 1", (6, 4), (3, 3), padding=1)
    yield row("a stride longer than the kernel", (7, 4), (2, 2), stride=3)
    yield row("a stride that leaves over a row of padding", (8, 8), (3, 3), stride=2, padding=1)
    yield row("a pair as stride", (6, draw.size(4, 5)), (3, 2), stride=(3, 1))
    yield row("pairs as stride and as padding", (4, 7), (3, 2), stride=(1, 3), padding=(1, 0))
    yield row("a kernel as large as the picture", (2, 3), (2, 3))
    yield "tensors that are not contiguous", (6, 9), draw.turned(2, 3), draw.turned(3, 4), {"stride": 2}
    K, G = draw.real(3, 2, dtype=torch.float64), draw.real(2, 3, dtype=torch.float64)
    yield "fractions in float64", (5, 4), K, G, {"stride": (2, 1)}


@task(
    "What reaches the picture", pictures, points=3, difficulty=4, importance=5, minutes=20, gradient=False,
    oracle=for_picture, window=handed_back, forbids=TRANSPOSED | AUTOGRAD | READY_GRADIENTS,
)  # fmt: skip
def picture_gradient(size, K, G, stride=1, padding=0):
    """Take an empty picture as large as the padded one. Which patch of it did the answer (i, j) look at? What does it
    hand back to that patch? And what is to be cut off at the end?

    With `s, t` for the strides: `below[i * s : i * s + h, j * t : j * t + w] += G[i, j] * K` on zeros of size (H + 2p,
    W + 2q), then `below[p : p + H, q : q + W]`. What the stride left over stays 0 by itself.
    """
    (s, t), (p, q) = (v if isinstance(v, tuple) else (v, v) for v in (stride, padding))
    (H, W), (h, w) = size, K.shape
    below = G.new_zeros(H + 2 * p, W + 2 * q)
    for i in range(G.shape[0]):
        for j in range(G.shape[1]):
            below[i * s : i * s + h, j * t : j * t + w] += G[i, j] * K
    return below[p : p + H, q : q + W]


def border_exchanged(size, K, G, stride=1, padding=0):
    """Rows and columns of your border are exchanged. `F.pad` wants the *last* dimension first: left, right, top,
    bottom, so `(w - 1, ..., h - 1, ...)`."""
    (s, t), (p, q), (H, W), (h, w) = pair(stride), pair(padding), size, K.shape
    below, right = (H + 2 * p - h) % s, (W + 2 * q - w) % t
    around = F.pad(spread(G, stride), (h - 1, h - 1 + below, w - 1, w - 1 + right))
    return F.conv2d(around[None, None], K.flip(0, 1)[None, None])[0, 0, p : p + H, q : q + W]


slips(picture_gradient, """
not_turned: * K -> * K.flip(0, 1)
    Your kernel lies the wrong way round. When the pixel asks the answers, by sliding, the kernel is turned by 180
    degrees; when the answers paint, it is not.
ones_from_above: G[i, j] * K -> K
    Your answer does not depend on the values of G. That is the gradient of the plain sum of all answers. The chain
    rule multiplies each answer's share by what arrives for it from above.
overwritten: += -> =
    Each answer wipes out what others have handed to the same pixels: you assign with `=`. A pixel that was used many
    times gets the sum.
not_spread: i * s : i * s + h, j * t : j * t + w -> i : i + h, j : j + w
    Your stamps lie next to each other, whatever the stride. With stride 2 the windows were two pixels apart, so the
    stamps are, too: put stride - 1 zeros between the numbers of G.
rest_forgotten: p : p + H, q : q + W -> p : (G.shape[0] - 1) * s + h - p, q : (G.shape[1] - 1) * t + w - q
    You forgot the rows and columns that the stride left over, so your answer is too small. The gradient has the size
    of the picture; pixels that no window looked at get 0.
rest_in_front: size, K.shape -> size, K.shape; top, left = (H + 2 * p - h) % s, (W + 2 * q - w) % t
and: [i * s : i * s + h, j * t : j * t + w] -> [top + i * s : top + i * s + h, left + j * t : left + j * t + w]
    You put what the stride left over in front, at the top and at the left. The first window starts at the first pixel;
    what is left over lies at the bottom and at the right.
padding_kept: [p : p + H, q : q + W] ->
    Your answer is the gradient of the *padded* picture. Cut the padding off at all four sides.
cut_at_the_end: p : p + H, q : q + W -> :H, :W
    You cut the padding off at the bottom and at the right only, so everything is shifted. The picture begins at row
    `padding` of the padded one.
empty_at_zero: p : p + H, q : q + W -> p:-p, q:-q
    With padding 0 nothing is left of your answer: `[p:-p]` with p = 0 is `[0:0]`, which is empty. Count the end from
    the size: `[p : p + H]`.
border_exchanged
numbers_only: v if isinstance(v, tuple) else (v, v) -> (v, v)
    With whole numbers it works; a pair as stride or padding fails, as in the lesson's function. Make two numbers of
    each argument first, one for the rows and one for the columns.
always_float32: G.new_zeros( -> torch.zeros(
    The values are right, but they are always float32. Make the empty picture with G's dtype, as `G.new_zeros(...)`
    does.
""")  # fmt: skip


def for_kernel(X, size, G, stride=1, padding=0):
    return torch.nn.grad.conv2d_weight(X[:, None], (1, 1, *size), G[:, None], stride, padding)[0, 0]


def batches(draw: Draw):
    def row(label, size, kernel, count=2, **setting):
        X = draw.whole(count, *size, low=1)
        return label, X, kernel, draw.whole(count, *answers(size, kernel, **setting)), setting

    yield "the picture of lesson 12", torch.arange(9.0).reshape(1, 3, 3), (2, 2), G_OF_LESSON[None]
    yield row("a batch of three wide pictures", (3, draw.size(6, 7)), (2, 3), count=3)
    yield row("a row and a column left over by stride 2", (5, 5), (2, 2), stride=2)
    yield row("a tall picture with padding 1", (6, 4), (3, 3), padding=1)
    yield row("a stride longer than the kernel", (7, 5), (2, 2), stride=3)
    yield row("one picture, stride 2 and padding 1", (8, 7), (3, 3), count=1, stride=2, padding=1)
    yield row("a pair as stride", (7, draw.size(4, 5)), (3, 2), stride=(3, 1))
    yield row("pairs as stride and as padding", (4, 7), (3, 2), stride=(1, 3), padding=(1, 0))
    yield row("a kernel as large as the picture", (2, 3), (2, 3))
    yield "tensors that are not contiguous", draw.turned(2, 6, 9), (2, 3), draw.turned(2, 3, 4), {"stride": 2}
    X, G = draw.real(2, 5, 4, dtype=torch.float64), draw.real(2, 2, 3, dtype=torch.float64)
    yield "fractions in float64", X, (3, 2), G, {"stride": (2, 1)}


def met(index, X, size, G, stride=1, padding=0):
    """The pixels that one kernel entry met in the first picture.

    >>> met((0, 1), torch.tensor([[[5, 7, 9]]]), (1, 2), torch.tensor([[[1, 2]]]))
    'G of the first picture times the pixels that met this entry, [[7, 9]], and so on through the batch'
    """
    (a, b), (s, t), (p, q) = index, pair(stride), pair(padding)
    padded = F.pad(X[0], (q, q, p, p))
    pixels = padded[a : a + s * G.shape[1] : s, b : b + t * G.shape[2] : t][: G.shape[1], : G.shape[2]]
    rows = ", ".join(f"[{', '.join(f'{v:.4g}' for v in row)}]" for row in pixels.tolist())
    return f"G of the first picture times the pixels that met this entry, [{rows}], and so on through the batch"


@task(
    "What reaches the kernel", batches, points=3, difficulty=3, importance=5, minutes=15, gradient=False,
    oracle=for_kernel, window=met, forbids=TRANSPOSED | AUTOGRAD | READY_GRADIENTS,
)  # fmt: skip
def kernel_gradient(X, size, G, stride=1, padding=0):
    """The kernel's entry (a, b) met the pixel (i * stride + a, j * stride + b) of the padded picture on the way to the
    answer (i, j). What does it get from all of them, and from all pictures?

    Loop over the few entries: the pixels are `P[:, a : a + s * rows : s, b : b + t * columns : t]`, cut to G's size;
    multiply by G and add up everything. Or spread G, slide it over each picture, add, and keep `[:h, :w]`.
    """
    (s, t), (p, q) = (v if isinstance(v, tuple) else (v, v) for v in (stride, padding))
    rows, columns = G.shape[1:]
    P = F.pad(X, (q, q, p, p))
    found = X.new_zeros(size)
    for a in range(size[0]):
        for b in range(size[1]):
            pixels = P[:, a : a + s * rows : s, b : b + t * columns : t]
            found[a, b] = (pixels[:, :rows, :columns] * G).sum()
    return found


def by_sliding(X, size, G, stride=1, padding=0):
    p, q = pair(padding)
    found = F.conv2d(F.pad(X, (q, q, p, p))[None], spread(G, stride)[None])[0, 0]
    return found[: size[0], : size[1]]


slips(kernel_gradient, """
stepped: spread(G, stride)[None]) -> G[None], stride=stride)
and: [: size[0], : size[1]] ->
    Your G steps by the stride. Stride and dilation exchange their parts here: neighbouring numbers of G met pixels
    that lie `stride` apart, so G is spread, and steps by 1.
stepped_and_cut: spread(G, stride)[None]) -> G[None], stride=stride)
    Your G steps by the stride, and you cut the result to the kernel's size. Stride and dilation exchange their parts
    here: spread G, and let it step by 1.
not_spread: spread(G, stride) -> G
    Your G slides as it is, whatever the stride. The pixels that met one kernel entry lie `stride` apart: put stride -
    1 zeros between the numbers of G.
not_cut: [: size[0], : size[1]] ->
    Your answer has more rows or columns than the kernel. They belong to the pixels that the stride left over. Cut them
    off.
cut_in_front: [: size[0], : size[1]] -> [-size[0] :, -size[1] :]
    You cut off the first rows and columns. The kernel's first entry met the first pixel: what is too much stands at
    the end.
turned: spread(G, stride) -> spread(G, stride).flip(1, 2)
    You turned G by 180 degrees, as the picture's gradient needs its kernel turned. Here nothing is turned: it is a
    plain cross-correlation.
padding_ignored: F.pad(X, (q, q, p, p)) -> X
    Your G slides over the picture without its padding. The kernel has looked at the padded picture, so pad it first.
""", answer=by_sliding)  # fmt: skip
slips(kernel_gradient, """
averaged: return found -> return found / len(X)
    You average over the batch. A kernel that was used by many pictures gets the *sum* of what comes back. If the loss
    is a mean, G holds its 1/N already.
first_only: F.pad(X, -> F.pad(X[:1],
and: * G) -> * G[:1])
    Only the first picture of the batch counts in your answer. Add up over all of them.
not_added: X.new_zeros(size) -> X.new_zeros(len(X), *size)
and: found[a, b] -> found[:, a, b]
and: .sum() -> .sum((1, 2))
    You return one gradient for each picture. There is one kernel: add up over the batch.
ones_from_above: * G) -> )
    Your answer does not depend on the values of G. That is the gradient of the plain sum of all answers. Multiply each
    pixel by what arrived for the answer it went into.
numbers_only: v if isinstance(v, tuple) else (v, v) -> (v, v)
    With whole numbers it works; a pair as stride or padding fails, as in the lesson's function. Make two numbers of
    each argument first, one for the rows and one for the columns.
always_float32: X.new_zeros( -> torch.zeros(
    The values are right, but they are always float32. Make the empty kernel with X's dtype, as `X.new_zeros(...)`
    does.
""")  # fmt: skip


def broken_pool_gradient(X, G):
    largest = F.max_pool2d(X[None], 2)[0]
    winners = largest.repeat_interleave(2, 0).repeat_interleave(2, 1) == X
    return winners * G.repeat_interleave(2, 0).repeat_interleave(2, 1)


def pool_gradient(X, G):
    picture = X.detach().requires_grad_()
    return torch.autograd.grad(F.max_pool2d(picture[None], 2)[0], picture, G)[0]


def unfit(value):
    """What is wrong with the form of a picture and a gradient, or None."""
    if not (isinstance(value, tuple) and len(value) == 2 and all(isinstance(T, torch.Tensor) for T in value)):
        return "Return a picture and what comes from above, two tensors: `return X, G`."
    X, G = value
    if X.ndim != 2 or G.ndim != 2 or not 0 < X.numel() <= 10000 or X.shape != (2 * G.shape[0], 2 * G.shape[1]):
        return (
            "X and G must be matrices, and X must have twice as many rows and columns as G: one window for each number."
        )
    if X.dtype != torch.float32 or G.dtype != torch.float32:
        return "Take float32 tensors, as `torch.ones(...)` makes them: another dtype is another story."
    if not (X.isfinite().all() and G.isfinite().all()):
        return "Take numbers that are finite."
    return None


def exposes(value):
    """A picture and a gradient on which `broken_pool_gradient` goes wrong."""
    if unfit(value):
        return unfit(value)
    if torch.allclose(broken_pool_gradient(*value), pool_gradient(*value)):
        return "On this input `broken_pool_gradient` is right. Look for one on which it is not."
    return None


def windows(X):
    return X.unfold(0, 2, 2).unfold(1, 2, 2).flatten(2)


def winners(X):
    """How many pixels share the maximum of each window."""
    return (windows(X) == windows(X).amax(2, keepdim=True)).sum(2)


def equal_inside(X):
    """Whether each window holds two equal pixels."""
    ordered = windows(X).sort(2).values
    return (ordered[..., 1:] == ordered[..., :-1]).any(2)


@task(
    "Find a picture that breaks it", kind="bug", points=1, difficulty=2, importance=4, minutes=5,
    accept=exposes, broken=broken_pool_gradient,
)  # fmt: skip
def breaks_pool_gradient():
    """What does `X == largest` say about a window in which two pixels are equally large?

    A window of four zeros is enough, with a 1 from above. How much is handed out in all?
    """
    return torch.zeros(2, 2), torch.ones(1, 1)


slips(breaks_pool_gradient, """
nothing_from_above = torch.zeros(2, 2), torch.zeros(1, 1)
if: lambda value: not unfit(value) and (winners(value[0]) > 1).any()
    In your picture two pixels do share a maximum, but from above comes 0 for that window. Nothing is handed out,
    neither once nor twice.
losers_equal = torch.tensor([[1.0, 1.0], [1.0, 2.0]]), torch.ones(1, 1)
if: lambda value: not unfit(value) and equal_inside(value[0]).any()
    Two pixels of a window are equal, but a larger one stands beside them. It wins alone, and nobody asks who came
    second.
equal_across = torch.arange(4.0).reshape(2, 2).repeat(2, 2), torch.ones(2, 2)
if: lambda value: not unfit(value) and len(value[0].unique()) < value[0].numel()
    Your picture has equal pixels, but never in the same window. Each window has its own winner, so there is no draw.
all_different = torch.arange(16.0).reshape(4, 4), torch.ones(2, 2)
if: lambda value: not unfit(value)
    All pixels of your picture are different, so each window has one winner. That was the author's test, too:
    `torch.rand` almost never gives a draw.
""")  # fmt: skip


def pools(draw: Draw):
    yield "a window of four equal pixels", torch.zeros(2, 2), torch.ones(1, 1)
    yield "a wide picture without a draw", draw.distinct(4, 6), draw.whole(2, 3, low=1)
    X = torch.tensor([[1.0, 3, 3, 0], [3, 2, 0, 3], [5, 5, 2, 7], [5, 4, 7, 7]])
    yield "draws in all four windows", X, draw.whole(2, 2, low=1)
    yield "a tall picture with many draws", draw.whole(6, 4, low=0, high=2), draw.whole(3, 2, low=1)
    yield "one winner for all windows", -torch.ones(4, 4), draw.whole(2, 2, low=1)
    yield "tensors that are not contiguous", draw.turned(4, 6), draw.turned(2, 3)
    X = draw.whole(4, 4, low=0, high=1, dtype=torch.float64)
    yield "a draw in float64", X, draw.real(2, 2, dtype=torch.float64)


@task(
    "Mend it", pools, kind="bug", points=1, difficulty=3, importance=4, minutes=10, gradient=False,
    oracle=pool_gradient, forbids=AUTOGRAD,
)  # fmt: skip
def mended_pool_gradient(X, G):
    """You need one place for each window, not a mask. Which function of torch returns the place of a maximum, and
    which one does it return in a draw?

    Loop over the windows: `place = X[2*i : 2*i + 2, 2*j : 2*j + 2].argmax()` is the first of equals; it lies in row
    `place // 2` and column `place % 2` of the window.
    """
    below = torch.zeros_like(X)
    for i in range(G.shape[0]):
        for j in range(G.shape[1]):
            place = X[2 * i : 2 * i + 2, 2 * j : 2 * j + 2].argmax()
            below[2 * i + place // 2, 2 * j + place % 2] = G[i, j]
    return below


slips(mended_pool_gradient, """
still_all = broken_pool_gradient
    Every winner of a draw still gets all of it. From above comes one number for a window; no more may be handed out.
shared: place = X -> window = X
and: .argmax() -> ; best = window == window.max()
and: [2 * i + place // 2, 2 * j + place % 2] = G[i, j] -> [2 * i :, 2 * j :][:2, :2] = G[i, j] * best / best.sum()
    You share what comes from above among the winners. The sum is right, and `amax` does so. `F.max_pool2d` gives all
    to the *first* of them, reading row by row.
last_wins: .argmax() -> .flip(0, 1).argmax(); place = 3 - place
    In a draw, the last winner gets everything with you. `F.max_pool2d` takes the first, reading row by row.
down_the_columns: .argmax() -> .T.argmax(); place = 2 * (place % 2) + place // 2
    In a draw you take the first winner down the columns. `F.max_pool2d` reads row by row: the upper right pixel comes
    before the lower left.
upper_left: .argmax() -> .argmax() * 0
    You give everything to the upper left pixel of each window, whoever won. It does so in a draw of all four only.
as_average: [2 * i + place // 2, 2 * j + place % 2] = G[i, j] -> [2 * i :, 2 * j :][:2, :2] = G[i, j] / 4
    You deal out evenly, a quarter to each pixel. That is the gradient of an average.
""")  # fmt: skip


def layer(X, K, b):
    return F.conv2d(X[None, None], K[None, None], b)[0, 0]


def layers_to_try(draw: Draw):
    yield "the picture of lesson 12", torch.arange(9.0).reshape(3, 3), K_OF_LESSON, torch.ones(1)
    yield "a wide picture", draw.whole(3, draw.size(5, 7)), draw.whole(2, 3), draw.whole(1, low=1)
    yield "a tall picture and a tall kernel", draw.whole(6, 3), draw.whole(3, 2), draw.whole(1, low=1)
    yield "a kernel of one pixel", draw.whole(2, 3), draw.whole(1, 1, low=2), draw.whole(1, low=1)
    yield "a kernel as large as the picture", draw.whole(2, 3), draw.whole(2, 3), draw.whole(1, low=1)
    yield "tensors that are not contiguous", draw.turned(4, 5), draw.turned(2, 3), draw.whole(1, low=1)
    yield "fractions in float64", *(draw.real(*shape, dtype=torch.float64) for shape in ((4, 5), (2, 2), (1,)))


@task(
    "A convolution with its own way back", layers_to_try, points=3, difficulty=3, importance=5, minutes=20,
    oracle=layer, forbids=READY_GRADIENTS | {"F.conv2d", "functional.conv2d", "Conv2d"},
)  # fmt: skip
def own_conv(X, K, b):
    """What stands in the gradient of X, what in that of K? Put these two aside in `forward`. Which three sections of
    the lesson hold the three gradients?

    With `h, w = K.shape`: X gets `ops.convolve2d(F.pad(G, (w - 1, w - 1, h - 1, h - 1)), K)`, K gets `ops.corr2d(X,
    G)`, b gets `G.sum().reshape(1)`. Return them in this order.
    """

    class OwnConv(torch.autograd.Function):
        @staticmethod
        def forward(ctx, X, K, b):
            ctx.save_for_backward(X, K)
            return ops.corr2d(X, K) + b

        @staticmethod
        def backward(ctx, G):
            X, K = ctx.saved_tensors
            h, w = K.shape
            dX = ops.convolve2d(F.pad(G, (w - 1, w - 1, h - 1, h - 1)), K)
            return dX, ops.corr2d(X, G), G.sum().reshape(1)

    return OwnConv.apply(X, K, b)


slips(own_conv, """
not_turned: ops.convolve2d -> ops.corr2d
    The output is right, and so are the gradients of K and b. In the gradient of X your kernel is not turned: full
    convolution, `ops.convolve2d`, not `ops.corr2d`.
both_turned: ops.corr2d(X, G) -> ops.corr2d(X, G.flip(0, 1))
    The output is right, and so is the gradient of X. In the gradient of K you turned G as well; there nothing is
    turned.
ones_from_above: h, w = K.shape -> h, w = K.shape; G = torch.ones_like(G)
    Your `backward` does not use G: it returns the gradients of the plain sum of the output. What comes from above must
    be multiplied in; that is the chain rule.
bias_averaged: G.sum() -> G.mean()
    Your bias gets the average of what arrives. It was added to every answer, so it gets the sum.
bias_one: G.sum().reshape(1) -> G.new_ones(1)
    Your bias always gets 1. That is how fast *one answer* grows with it. How fast the loss grows is the sum of G over
    all answers.
no_bias_gradient: G.sum().reshape(1) -> None
    The bias gets no gradient, so it never learns. Do you return `None` for it? `None` is for arguments that are no
    tensors.
no_picture_gradient: return dX, -> return None,
    X gets no gradient, so no layer before this one would learn. Do you return `None` for it?
no_kernel_gradient: dX, ops.corr2d(X, G) -> dX, None
    K gets no gradient, and an optimizer skips it without a word: the layer never learns. Do you return `None` for it?
exchanged: dX, ops.corr2d(X, G) -> ops.corr2d(X, G), dX
    You return the gradients of X and K in the wrong order. `backward` returns one for each argument of `forward`, in
    the order in which `forward` takes them.
no_bias: + b ->
    Your output lacks the bias. Add `b` to every answer in `forward`.
""")  # fmt: skip


def whole(T):
    return tuple(map(tuple, T.int().tolist()))


def torch_answers():
    X, G = torch.arange(9.0).reshape(1, 3, 3), torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    bias = nn.Conv2d(1, 6, 4)
    bias(torch.zeros(4, 1, 9, 9)).sum().backward()
    picture = torch.rand(1, 1, 10, 10, requires_grad=True)
    strided = F.conv2d(picture, torch.ones(1, 1, 3, 3), stride=3)
    strided.sum().backward()
    return {
        "kernel": whole(for_kernel(X, (2, 2), G[None])),
        "picture": whole(for_picture((3, 3), K_OF_LESSON, G)),
        "bias": int(bias.bias.grad[0]),
        "spread": len(spread(strided[0, 0], 3)),
        "left_over": int((picture.grad[0, 0].abs().sum(1) == 0).sum()),
        "weight": tuple(nn.Conv2d(12, 8, 3, groups=4).weight.shape),
    }


@task("The way back on paper", kind="predict", points=3, difficulty=3, importance=4, minutes=15, oracle=torch_answers)
def backward_on_paper():
    """Only two numbers from above are not 0. Which windows do they stand for? For `weight`, draw one of the four
    groups: how many channels go in, how many come out?

    `kernel`: once the upper left window, twice the lower right one. `picture`: one stamp, and twice a stamp, one pixel
    further down and to the right. A group has 2 input and 3 output channels.
    """
    return {
        "kernel": [[8, 11], [17, 20]],
        "picture": [[0, 1, 0], [2, 3, 2], [0, 4, 6]],
        "bias": 144,
        "spread": 7,
        "left_over": 1,
        "weight": (8, 3, 3, 3),
    }


slips(backward_on_paper, """
kernel_turned = {"kernel": ((4, 7), (13, 16))}
    For `kernel` you turned G by 180 degrees. The kernel's gradient is a plain cross-correlation: the 1 meets the upper
    left pixel, the 2 the lower right one.
kernel_of_sum = {"kernel": ((8, 12), (20, 24))}
    For `kernel` you added up the pixels of each window. Only two of the four answers count, the last one twice:
    multiply by G.
picture_turned = {"picture": ((3, 2, 0), (1, 6, 4), (0, 2, 0))}
    For `picture` you painted with the turned kernel. The stamp is the kernel as it is written; it is turned only when
    it slides.
picture_overwritten = {"picture": ((0, 0, 0), (0, 0, 2), (0, 4, 6))}
    For `picture` the second stamp has wiped out the pixel in the middle. It gets the sum of both.
bias_of_one_picture = {"bias": 36}
    For `bias` you counted the answers of one picture. All four pictures of the batch use the same bias.
bias_of_pixels = {"bias": 4 * 9 * 9}
    For `bias` you counted pixels of the pictures. It is added to the *answers*, and there are fewer of them.
bias_of_all_channels = {"bias": 6 * 144}
    For `bias` you added up over all channels. Each of the six channels has its own bias.
spread_behind_too = {"spread": 9}
    For `spread` you put zeros behind the last number as well. Between n numbers there are n - 1 gaps.
one_zero_between = {"spread": 5}
    For `spread` you put one zero into each gap. With stride 3 there are two.
nothing_left_over = {"left_over": 0}
    For `left_over` you say 0. Windows of 3 rows, three of them, reach 9 rows. The picture has 10.
stride_minus_one = {"left_over": 2}
    For `left_over` you took stride - 1, the most that can be left over. Count: where does the last window end?
weight_as_it_is = {"weight": (12, 2, 3, 3)}
    For `weight` you gave the shape of the layer's own weight. On the way back 12 channels go in and 8 come out.
groups_forgotten = {"weight": (8, 12, 3, 3)}
    For `weight` you forgot the groups. An input channel is listened to by the output channels of its own group only.
axes_exchanged = {"weight": (2, 12, 3, 3)}
    For `weight` you exchanged the first two numbers of (12, 2, 3, 3). With groups, the exchange happens inside each
    group.
""")  # fmt: skip
