"""Tasks of sheet 12: the gradients of picture and kernel, a draw in max pooling, a Function, and all of it on paper."""

import torch
import torch.nn.functional as F
from torch import nn

from exercise_checks.running.observing import Case
from exercise_checks.tasks.old_task import Draw, Misconception, Task, once, pair

K_OF_LESSON, G_OF_LESSON = torch.arange(4.0).reshape(2, 2), torch.arange(1.0, 5).reshape(2, 2)


def answers(size, kernel, stride=1, padding=0):
    """How many rows and columns a convolution's output has."""
    along = zip(size, kernel, pair(stride), pair(padding), strict=True)
    return tuple((n + 2 * p - k) // s + 1 for n, k, s, p in along)


def left_over(size, kernel, stride=1, padding=0):
    along = zip(size, kernel, pair(stride), pair(padding), strict=True)
    return tuple((n + 2 * p - k) % s for n, k, s, p in along)


def spread(G, stride):
    (s, t), (rows, columns) = pair(stride), G.shape[-2:]
    wide = G.new_zeros(*G.shape[:-2], (rows - 1) * s + 1, (columns - 1) * t + 1)
    wide[..., ::s, ::t] = G
    return wide


def numbers_only(oracle):
    """A right answer that cannot take a pair."""

    def answer(first, second, G, stride=1, padding=0):
        if isinstance(stride, tuple) or isinstance(padding, tuple):
            raise TypeError("a pair is no number")
        return oracle(first, second, G, stride, padding)

    return answer


# ---------------------------------------------------------------------------------------------------------
# The picture's gradient
# ---------------------------------------------------------------------------------------------------------


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


def pictures(seed):
    draw = Draw(seed)

    def case(label, size, kernel, **setting):
        G = draw.whole(*answers(size, kernel, **setting), low=1)
        return Case(label, (size, draw.whole(*kernel, low=1), G), setting, gradient=False)

    yield Case("the picture of lesson 12", ((3, 3), K_OF_LESSON, G_OF_LESSON), gradient=False)
    yield case("a wide picture and a wide kernel", (3, draw.size(6, 7)), (2, 3))
    yield case("a row and a column left over by stride 2", (5, 5), (2, 2), stride=2)
    yield case("a tall picture with padding 1", (6, 4), (3, 3), padding=1)
    yield case("a stride longer than the kernel", (7, 4), (2, 2), stride=3)
    yield case("a stride that leaves over a row of padding", (8, 8), (3, 3), stride=2, padding=1)
    yield case("a pair as stride", (6, draw.size(4, 5)), (3, 2), stride=(3, 1))
    yield case("pairs as stride and as padding", (4, 7), (3, 2), stride=(1, 3), padding=(1, 0))
    yield case("a kernel as large as the picture", (2, 3), (2, 3))
    turned = draw.turned(2, 3), draw.turned(3, 4)
    yield Case("tensors that are not contiguous", ((6, 9), *turned), {"stride": 2}, gradient=False)
    fractions = draw.real(3, 2, dtype=torch.float64), draw.real(2, 3, dtype=torch.float64)
    yield Case("fractions in float64", ((5, 4), *fractions), {"stride": (2, 1)}, gradient=False)


def paper(size, K, G, stride, padding, put=lambda under, stamp: under + stamp, step=None):
    """The gradient of the padded picture, stamp by stamp."""
    (s, t), (p, q), (h, w) = pair(step or stride), pair(padding), K.shape
    below = G.new_zeros(size[0] + 2 * p, size[1] + 2 * q)
    for i, j in torch.cartesian_prod(*map(torch.arange, G.shape)).tolist():
        under = slice(i * s, i * s + h), slice(j * t, j * t + w)
        below[under] = put(below[under], G[i, j] * K)
    return below


def inside(below, size, padding):
    p, q = pair(padding)
    return below[p : p + size[0], q : q + size[1]]


def overwritten(size, K, G, stride=1, padding=0):
    return inside(paper(size, K, G, stride, padding, lambda under, stamp: stamp), size, padding)


def not_spread(size, K, G, stride=1, padding=0):
    return inside(paper(size, K, G, stride, padding, step=1), size, padding)


def rest_forgotten(size, K, G, stride=1, padding=0):
    return F.conv_transpose2d(G[None, None], K[None, None], stride=stride, padding=padding)[0, 0]


def rest_in_front(size, K, G, stride=1, padding=0):
    whole = F.conv_transpose2d(G[None, None], K[None, None], stride=stride)[0, 0]
    top, left = left_over(size, K.shape, stride, padding)
    return inside(F.pad(whole, (left, 0, top, 0)), size, padding)


def border_exchanged(size, K, G, stride=1, padding=0):
    """The lesson's function, but for the order in which F.pad wants its four sides."""
    (h, w), (below, right) = K.shape, left_over(size, K.shape, stride, padding)
    around = F.pad(spread(G, stride), (h - 1, h - 1 + below, w - 1, w - 1 + right))
    return inside(F.conv2d(around[None, None], K.flip(0, 1)[None, None])[0, 0], size, padding)


def empty_at_zero(size, K, G, stride=1, padding=0):
    p, q = pair(padding)
    return paper(size, K, G, stride, padding)[p:-p, q:-q]


PICTURE = Task(
    id="picture_gradient",
    title="What reaches the picture",
    kind="write",
    points=3,
    difficulty=4,
    importance=5,
    minutes=20,
    oracle=for_picture,
    cases=pictures,
    window=handed_back,
    misconceptions=(
        Misconception(
            "not_turned",
            "Your kernel lies the wrong way round. When the pixel asks the answers, by sliding, the kernel is "
            "turned by 180 degrees; when the answers paint, it is not.",
            lambda size, K, G, stride=1, padding=0: for_picture(size, K.flip(0, 1), G, stride, padding),
        ),
        Misconception(
            "ones_from_above",
            "Your answer does not depend on the values of G. That is the gradient of the plain sum of all answers. "
            "The chain rule multiplies each answer's share by what arrives for it from above.",
            lambda size, K, G, stride=1, padding=0: for_picture(size, K, torch.ones_like(G), stride, padding),
        ),
        Misconception(
            "overwritten",
            "Each answer wipes out what others have handed to the same pixels: you assign with `=`. A pixel that was "
            "used many times gets the sum.",
            overwritten,
        ),
        Misconception(
            "not_spread",
            "Your stamps lie next to each other, whatever the stride. With stride 2 the windows were two pixels "
            "apart, so the stamps are, too: put stride - 1 zeros between the numbers of G.",
            not_spread,
        ),
        Misconception(
            "rest_forgotten",
            "You forgot the rows and columns that the stride left over, so your answer is too small. The gradient "
            "has the size of the picture; pixels that no window looked at get 0.",
            rest_forgotten,
        ),
        Misconception(
            "rest_in_front",
            "You put what the stride left over in front, at the top and at the left. The first window starts at the "
            "first pixel; what is left over lies at the bottom and at the right.",
            rest_in_front,
        ),
        Misconception(
            "padding_kept",
            "Your answer is the gradient of the *padded* picture. Cut the padding off at all four sides.",
            lambda size, K, G, stride=1, padding=0: paper(size, K, G, stride, padding),
        ),
        Misconception(
            "cut_at_the_end",
            "You cut the padding off at the bottom and at the right only, so everything is shifted. The picture "
            "begins at row `padding` of the padded one.",
            lambda size, K, G, stride=1, padding=0: paper(size, K, G, stride, padding)[: size[0], : size[1]],
        ),
        Misconception(
            "empty_at_zero",
            "With padding 0 nothing is left of your answer: `[p:-p]` with p = 0 is `[0:0]`, which is empty. Count "
            "the end from the size: `[p : p + H]`.",
            empty_at_zero,
        ),
        Misconception(
            "border_exchanged",
            "Rows and columns of your border are exchanged. `F.pad` wants the *last* dimension first: left, right, "
            "top, bottom, so `(w - 1, ..., h - 1, ...)`.",
            border_exchanged,
        ),
        Misconception(
            "numbers_only",
            "With whole numbers it works; a pair as stride or padding fails, as in the lesson's function. Make two "
            "numbers of each argument first, one for the rows and one for the columns.",
            numbers_only(for_picture),
        ),
        Misconception(
            "always_float32",
            "The values are right, but they are always float32. Make the empty picture with G's dtype, as "
            "`G.new_zeros(...)` does.",
            lambda *args, **kwargs: for_picture(*args, **kwargs).float(),
        ),
    ),
    hints=(
        "Take an empty picture as large as the padded one. Which patch of it did the answer (i, j) look at? What "
        "does it hand back to that patch? And what is to be cut off at the end?",
        "With `s, t` for the strides: `below[i * s : i * s + h, j * t : j * t + w] += G[i, j] * K` on zeros of size "
        "(H + 2p, W + 2q), then `below[p : p + H, q : q + W]`. What the stride left over stays 0 by itself.",
    ),
)


# ---------------------------------------------------------------------------------------------------------
# The kernel's gradient, for a batch
# ---------------------------------------------------------------------------------------------------------


def for_kernel(X, size, G, stride=1, padding=0):
    return torch.nn.grad.conv2d_weight(X[:, None], (1, 1, *size), G[:, None], stride, padding)[0, 0]


def batches(seed):
    draw = Draw(seed)

    def case(label, size, kernel, count=2, **setting):
        X = draw.whole(count, *size, low=1)
        G = draw.whole(count, *answers(size, kernel, **setting))
        return Case(label, (X, kernel, G), setting, gradient=False)

    first = torch.arange(9.0).reshape(1, 3, 3), (2, 2), G_OF_LESSON[None]
    yield Case("the picture of lesson 12", first, gradient=False)
    yield case("a batch of three wide pictures", (3, draw.size(6, 7)), (2, 3), count=3)
    yield case("a row and a column left over by stride 2", (5, 5), (2, 2), stride=2)
    yield case("a tall picture with padding 1", (6, 4), (3, 3), padding=1)
    yield case("a stride longer than the kernel", (7, 5), (2, 2), stride=3)
    yield case("one picture, stride 2 and padding 1", (8, 7), (3, 3), count=1, stride=2, padding=1)
    yield case("a pair as stride", (7, draw.size(4, 5)), (3, 2), stride=(3, 1))
    yield case("pairs as stride and as padding", (4, 7), (3, 2), stride=(1, 3), padding=(1, 0))
    yield case("a kernel as large as the picture", (2, 3), (2, 3))
    turned = draw.turned(2, 6, 9), (2, 3), draw.turned(2, 3, 4)
    yield Case("tensors that are not contiguous", turned, {"stride": 2}, gradient=False)
    fractions = draw.real(2, 5, 4, dtype=torch.float64), (3, 2), draw.real(2, 2, 3, dtype=torch.float64)
    yield Case("fractions in float64", fractions, {"stride": (2, 1)}, gradient=False)


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


def slid(X, size, G, stride=1, padding=0, step=1):
    """All places where G fits on the padded picture, added up over the batch."""
    p, q = pair(padding)
    return F.conv2d(F.pad(X, (q, q, p, p))[None], G[None], stride=step)[0, 0]


def cut(found, size):
    return found[: size[0], : size[1]]


KERNEL = Task(
    id="kernel_gradient",
    title="What reaches the kernel",
    kind="write",
    points=3,
    difficulty=3,
    importance=5,
    minutes=15,
    oracle=for_kernel,
    cases=batches,
    window=met,
    misconceptions=(
        Misconception(
            "stepped",
            "Your G steps by the stride. Stride and dilation exchange their parts here: neighbouring numbers of G "
            "met pixels that lie `stride` apart, so G is spread, and steps by 1.",
            lambda X, size, G, stride=1, padding=0: slid(X, size, G, stride, padding, step=stride),
        ),
        Misconception(
            "stepped_and_cut",
            "Your G steps by the stride, and you cut the result to the kernel's size. Stride and dilation exchange "
            "their parts here: spread G, and let it step by 1.",
            lambda X, size, G, stride=1, padding=0: cut(slid(X, size, G, stride, padding, step=stride), size),
        ),
        Misconception(
            "not_spread",
            "Your G slides as it is, whatever the stride. The pixels that met one kernel entry lie `stride` apart: "
            "put stride - 1 zeros between the numbers of G.",
            lambda X, size, G, stride=1, padding=0: cut(slid(X, size, G, stride, padding), size),
        ),
        Misconception(
            "not_cut",
            "Your answer has more rows or columns than the kernel. They belong to the pixels that the stride left "
            "over. Cut them off.",
            lambda X, size, G, stride=1, padding=0: slid(X, size, spread(G, stride), stride, padding),
        ),
        Misconception(
            "cut_in_front",
            "You cut off the first rows and columns. The kernel's first entry met the first pixel: what is too "
            "much stands at the end.",
            lambda X, size, G, stride=1, padding=0: slid(X, size, spread(G, stride), stride, padding)[
                -size[0] :, -size[1] :
            ],
        ),
        Misconception(
            "turned",
            "You turned G by 180 degrees, as the picture's gradient needs its kernel turned. Here nothing is "
            "turned: it is a plain cross-correlation.",
            lambda X, size, G, stride=1, padding=0: cut(
                slid(X, size, spread(G, stride).flip(1, 2), stride, padding), size
            ),
        ),
        Misconception(
            "padding_ignored",
            "Your G slides over the picture without its padding. The kernel has looked at the padded picture, so pad "
            "it first.",
            lambda X, size, G, stride=1, padding=0: cut(slid(X, size, spread(G, stride)), size),
        ),
        Misconception(
            "averaged",
            "You average over the batch. A kernel that was used by many pictures gets the *sum* of what comes back. "
            "If the loss is a mean, G holds its 1/N already.",
            lambda X, size, G, stride=1, padding=0: for_kernel(X, size, G, stride, padding) / len(X),
        ),
        Misconception(
            "first_only",
            "Only the first picture of the batch counts in your answer. Add up over all of them.",
            lambda X, size, G, stride=1, padding=0: for_kernel(X[:1], size, G[:1], stride, padding),
        ),
        Misconception(
            "not_added",
            "You return one gradient for each picture. There is one kernel: add up over the batch.",
            lambda X, size, G, stride=1, padding=0: torch.stack(
                [for_kernel(x[None], size, g[None], stride, padding) for x, g in zip(X, G, strict=True)]
            ),
        ),
        Misconception(
            "ones_from_above",
            "Your answer does not depend on the values of G. That is the gradient of the plain sum of all answers. "
            "Multiply each pixel by what arrived for the answer it went into.",
            lambda X, size, G, stride=1, padding=0: for_kernel(X, size, torch.ones_like(G), stride, padding),
        ),
        Misconception(
            "numbers_only",
            "With whole numbers it works; a pair as stride or padding fails, as in the lesson's function. Make two "
            "numbers of each argument first, one for the rows and one for the columns.",
            numbers_only(for_kernel),
        ),
        Misconception(
            "always_float32",
            "The values are right, but they are always float32. Make the empty kernel with X's dtype, as "
            "`X.new_zeros(...)` does.",
            lambda *args, **kwargs: for_kernel(*args, **kwargs).float(),
        ),
    ),
    hints=(
        "The kernel's entry (a, b) met the pixel (i * stride + a, j * stride + b) of the padded picture on the way "
        "to the answer (i, j). What does it get from all of them, and from all pictures?",
        "Loop over the few entries: the pixels are `P[:, a : a + s * rows : s, b : b + t * columns : t]`, cut to "
        "G's size; multiply by G and add up everything. Or spread G, slide it over each picture, add, and keep "
        "`[:h, :w]`.",
    ),
)


# ---------------------------------------------------------------------------------------------------------
# Find the bug: a draw
# ---------------------------------------------------------------------------------------------------------


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


EXPOSE = Task(
    id="breaks_pool_gradient",
    title="Find a picture that breaks it",
    kind="bug",
    points=1,
    difficulty=2,
    importance=4,
    minutes=5,
    oracle=lambda: (torch.zeros(2, 2), torch.ones(1, 1)),
    cases=once,
    accept=exposes,
    broken=broken_pool_gradient,
    misconceptions=(
        Misconception(
            "nothing_from_above",
            "In your picture two pixels do share a maximum, but from above comes 0 for that window. Nothing is "
            "handed out, neither once nor twice.",
            lambda: (torch.zeros(2, 2), torch.zeros(1, 1)),
            matches=lambda value: not unfit(value) and (winners(value[0]) > 1).any(),
        ),
        Misconception(
            "losers_equal",
            "Two pixels of a window are equal, but a larger one stands beside them. It wins alone, and nobody asks "
            "who came second.",
            lambda: (torch.tensor([[1.0, 1.0], [1.0, 2.0]]), torch.ones(1, 1)),
            matches=lambda value: not unfit(value) and equal_inside(value[0]).any(),
        ),
        Misconception(
            "equal_across",
            "Your picture has equal pixels, but never in the same window. Each window has its own winner, so there "
            "is no draw.",
            lambda: (torch.arange(4.0).reshape(2, 2).repeat(2, 2), torch.ones(2, 2)),
            matches=lambda value: not unfit(value) and len(value[0].unique()) < value[0].numel(),
        ),
        Misconception(
            "all_different",
            "All pixels of your picture are different, so each window has one winner. That was the author's test, "
            "too: `torch.rand` almost never gives a draw.",
            lambda: (torch.arange(16.0).reshape(4, 4), torch.ones(2, 2)),
            matches=lambda value: not unfit(value),
        ),
    ),
    hints=(
        "What does `X == largest` say about a window in which two pixels are equally large?",
        "A window of four zeros is enough, with a 1 from above. How much is handed out in all?",
    ),
)


def pools(seed):
    draw = Draw(seed)
    yield Case("a window of four equal pixels", (torch.zeros(2, 2), torch.ones(1, 1)), gradient=False)
    X, G = draw.distinct(4, 6), draw.whole(2, 3, low=1)
    yield Case("a wide picture without a draw", (X, G), gradient=False)
    X = torch.tensor([[1.0, 3, 3, 0], [3, 2, 0, 3], [5, 5, 2, 7], [5, 4, 7, 7]])
    yield Case("draws in all four windows", (X, draw.whole(2, 2, low=1)), gradient=False)
    X, G = draw.whole(6, 4, low=0, high=2), draw.whole(3, 2, low=1)
    yield Case("a tall picture with many draws", (X, G), gradient=False)
    yield Case("one winner for all windows", (-torch.ones(4, 4), draw.whole(2, 2, low=1)), gradient=False)
    turned = draw.turned(4, 6), draw.turned(2, 3)
    yield Case("tensors that are not contiguous", turned, gradient=False)
    fractions = draw.whole(4, 4, low=0, high=1, dtype=torch.float64), draw.real(2, 2, dtype=torch.float64)
    yield Case("a draw in float64", fractions, gradient=False)


def by_shares(shares):
    """Hand each number of G to its window by `shares`, (rows, columns, 4) -> (rows, columns, 4)."""

    def answer(X, G):
        given = shares(windows(X)).to(G.dtype) * G[..., None]
        return given.unflatten(2, (2, 2)).transpose(1, 2).reshape(X.shape)

    return answer


def is_largest(W):
    return W.amax(2, keepdim=True) == W


MENDED = Task(
    id="mended_pool_gradient",
    title="Mend it",
    kind="bug",
    points=1,
    difficulty=3,
    importance=4,
    minutes=10,
    oracle=pool_gradient,
    cases=pools,
    misconceptions=(
        Misconception(
            "still_all",
            "Every winner of a draw still gets all of it. From above comes one number for a window; no more may be "
            "handed out.",
            broken_pool_gradient,
        ),
        Misconception(
            "shared",
            "You share what comes from above among the winners. The sum is right, and `amax` does so. "
            "`F.max_pool2d` gives all to the *first* of them, reading row by row.",
            by_shares(lambda W: is_largest(W) / is_largest(W).sum(2, keepdim=True)),
        ),
        Misconception(
            "last_wins",
            "In a draw, the last winner gets everything with you. `F.max_pool2d` takes the first, reading row by row.",
            by_shares(lambda W: F.one_hot(is_largest(W).int().flip(2).argmax(2), 4).flip(2)),
        ),
        Misconception(
            "down_the_columns",
            "In a draw you take the first winner down the columns. `F.max_pool2d` reads row by row: the upper right "
            "pixel comes before the lower left.",
            by_shares(lambda W: F.one_hot(is_largest(W)[..., [0, 2, 1, 3]].int().argmax(2), 4)[..., [0, 2, 1, 3]]),
        ),
        Misconception(
            "upper_left",
            "You give everything to the upper left pixel of each window, whoever won. It does so in a draw of all "
            "four only.",
            by_shares(lambda W: F.one_hot(torch.zeros(W.shape[:2], dtype=torch.int64), 4)),
        ),
        Misconception(
            "as_average",
            "You deal out evenly, a quarter to each pixel. That is the gradient of an average.",
            by_shares(lambda W: torch.full_like(W, 0.25)),
        ),
    ),
    hints=(
        "You need one place for each window, not a mask. Which function of torch returns the place of a maximum, "
        "and which one does it return in a draw?",
        "Loop over the windows: `place = X[2*i : 2*i + 2, 2*j : 2*j + 2].argmax()` is the first of equals; it lies "
        "in row `place // 2` and column `place % 2` of the window.",
    ),
)


# ---------------------------------------------------------------------------------------------------------
# A Function
# ---------------------------------------------------------------------------------------------------------


def layer(X, K, b):
    return F.conv2d(X[None, None], K[None, None], b)[0, 0]


def layers_to_try(seed):
    draw = Draw(seed)
    b = torch.ones(1)
    yield Case("the picture of lesson 12", (torch.arange(9.0).reshape(3, 3), K_OF_LESSON, b))
    yield Case("a wide picture", (draw.whole(3, draw.size(5, 7)), draw.whole(2, 3), draw.whole(1, low=1)))
    yield Case("a tall picture and a tall kernel", (draw.whole(6, 3), draw.whole(3, 2), draw.whole(1, low=1)))
    yield Case("a kernel of one pixel", (draw.whole(2, 3), draw.whole(1, 1, low=2), draw.whole(1, low=1)))
    yield Case("a kernel as large as the picture", (draw.whole(2, 3), draw.whole(2, 3), draw.whole(1, low=1)))
    turned = draw.turned(4, 5), draw.turned(2, 3), draw.whole(1, low=1)
    yield Case("tensors that are not contiguous", turned)
    yield Case("fractions in float64", tuple(draw.real(*s, dtype=torch.float64) for s in ((4, 5), (2, 2), (1,))))


def with_backward(back):
    """The layer with another backward pass: `back(X, K, G)` returns three gradients."""

    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx, X, K, b):
            ctx.save_for_backward(X, K)
            return layer(X, K, b)

        @staticmethod
        def backward(ctx, G):
            return back(*ctx.saved_tensors, G)

    return lambda X, K, b: Wrong.apply(X, K, b)


def picture_of(X, K, G):
    return for_picture(X.shape, K, G)


def kernel_of(X, K, G):
    return for_kernel(X[None], tuple(K.shape), G[None])


OWN = Task(
    id="own_conv",
    title="A convolution with its own way back",
    kind="write",
    points=3,
    difficulty=3,
    importance=5,
    minutes=20,
    oracle=layer,
    cases=layers_to_try,
    misconceptions=(
        Misconception(
            "not_turned",
            "The output is right, and so are the gradients of K and b. In the gradient of X your kernel is not "
            "turned: full convolution, `ops.convolve2d`, not `ops.corr2d`.",
            with_backward(lambda X, K, G: (picture_of(X, K.flip(0, 1), G), kernel_of(X, K, G), G.sum().reshape(1))),
        ),
        Misconception(
            "both_turned",
            "The output is right, and so is the gradient of X. In the gradient of K you turned G as well; there "
            "nothing is turned.",
            with_backward(lambda X, K, G: (picture_of(X, K, G), kernel_of(X, K, G.flip(0, 1)), G.sum().reshape(1))),
        ),
        Misconception(
            "ones_from_above",
            "Your `backward` does not use G: it returns the gradients of the plain sum of the output. What comes "
            "from above must be multiplied in; that is the chain rule.",
            with_backward(
                lambda X, K, G: (
                    picture_of(X, K, G := torch.ones_like(G)),
                    kernel_of(X, K, G),
                    G.sum().reshape(1),
                )
            ),
        ),
        Misconception(
            "bias_averaged",
            "Your bias gets the average of what arrives. It was added to every answer, so it gets the sum.",
            with_backward(lambda X, K, G: (picture_of(X, K, G), kernel_of(X, K, G), G.mean().reshape(1))),
        ),
        Misconception(
            "bias_one",
            "Your bias always gets 1. That is how fast *one answer* grows with it. How fast the loss grows is the "
            "sum of G over all answers.",
            with_backward(lambda X, K, G: (picture_of(X, K, G), kernel_of(X, K, G), G.new_ones(1))),
        ),
        Misconception(
            "no_bias_gradient",
            "The bias gets no gradient, so it never learns. Do you return `None` for it? `None` is for arguments "
            "that are no tensors.",
            with_backward(lambda X, K, G: (picture_of(X, K, G), kernel_of(X, K, G), None)),
        ),
        Misconception(
            "no_picture_gradient",
            "X gets no gradient, so no layer before this one would learn. Do you return `None` for it?",
            with_backward(lambda X, K, G: (None, kernel_of(X, K, G), G.sum().reshape(1))),
        ),
        Misconception(
            "no_kernel_gradient",
            "K gets no gradient, and an optimizer skips it without a word: the layer never learns. Do you return "
            "`None` for it?",
            with_backward(lambda X, K, G: (picture_of(X, K, G), None, G.sum().reshape(1))),
        ),
        Misconception(
            "exchanged",
            "You return the gradients of X and K in the wrong order. `backward` returns one for each argument of "
            "`forward`, in the order in which `forward` takes them.",
            with_backward(lambda X, K, G: (kernel_of(X, K, G), picture_of(X, K, G), G.sum().reshape(1))),
        ),
        Misconception(
            "no_bias",
            "Your output lacks the bias. Add `b` to every answer in `forward`.",
            lambda X, K, b: layer(X, K, torch.zeros_like(b)),
        ),
    ),
    hints=(
        "What stands in the gradient of X, what in that of K? Put these two aside in `forward`. Which three "
        "sections of the lesson hold the three gradients?",
        "With `h, w = K.shape`: X gets `ops.convolve2d(F.pad(G, (w - 1, w - 1, h - 1, h - 1)), K)`, K gets "
        "`ops.corr2d(X, G)`, b gets `G.sum().reshape(1)`. Return them in this order.",
    ),
)


# ---------------------------------------------------------------------------------------------------------
# On paper
# ---------------------------------------------------------------------------------------------------------

ABOVE = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
PAPER = torch.arange(9.0).reshape(3, 3)


def whole(T):
    return tuple(map(tuple, T.int().tolist()))


def torch_answers():
    bias = nn.Conv2d(1, 6, 4)
    bias(torch.zeros(4, 1, 9, 9)).sum().backward()
    picture = torch.rand(1, 1, 10, 10, requires_grad=True)
    strided = F.conv2d(picture, torch.ones(1, 1, 3, 3), stride=3)
    strided.sum().backward()
    return {
        "kernel": whole(for_kernel(PAPER[None], (2, 2), ABOVE[None])),
        "picture": whole(for_picture((3, 3), K_OF_LESSON, ABOVE)),
        "bias": int(bias.bias.grad[0]),
        "spread": len(spread(strided[0, 0], 3)),
        "left_over": int((picture.grad[0, 0].abs().sum(1) == 0).sum()),
        "weight": tuple(nn.Conv2d(12, 8, 3, groups=4).weight.shape),
    }


ON_PAPER = Task(
    id="backward_on_paper",
    title="The way back on paper",
    kind="predict",
    points=3,
    difficulty=3,
    importance=4,
    minutes=15,
    oracle=torch_answers,
    cases=once,
    misconceptions=(
        Misconception(
            "kernel_turned",
            "For `kernel` you turned G by 180 degrees. The kernel's gradient is a plain cross-correlation: the 1 "
            "meets the upper left pixel, the 2 the lower right one.",
            lambda: {"kernel": whole(for_kernel(PAPER[None], (2, 2), ABOVE.flip(0, 1)[None]))},
        ),
        Misconception(
            "kernel_of_sum",
            "For `kernel` you added up the pixels of each window. Only two of the four answers count, the last one "
            "twice: multiply by G.",
            lambda: {"kernel": whole(for_kernel(PAPER[None], (2, 2), torch.ones(1, 2, 2)))},
        ),
        Misconception(
            "picture_turned",
            "For `picture` you painted with the turned kernel. The stamp is the kernel as it is written; it is "
            "turned only when it slides.",
            lambda: {"picture": whole(for_picture((3, 3), K_OF_LESSON.flip(0, 1), ABOVE))},
        ),
        Misconception(
            "picture_overwritten",
            "For `picture` the second stamp has wiped out the pixel in the middle. It gets the sum of both.",
            lambda: {"picture": whole(overwritten((3, 3), K_OF_LESSON, ABOVE))},
        ),
        Misconception(
            "bias_of_one_picture",
            "For `bias` you counted the answers of one picture. All four pictures of the batch use the same bias.",
            lambda: {"bias": 36},
        ),
        Misconception(
            "bias_of_pixels",
            "For `bias` you counted pixels of the pictures. It is added to the *answers*, and there are fewer of them.",
            lambda: {"bias": 324},
        ),
        Misconception(
            "bias_of_all_channels",
            "For `bias` you added up over all channels. Each of the six channels has its own bias.",
            lambda: {"bias": 864},
        ),
        Misconception(
            "spread_behind_too",
            "For `spread` you put zeros behind the last number as well. Between n numbers there are n - 1 gaps.",
            lambda: {"spread": 9},
        ),
        Misconception(
            "one_zero_between",
            "For `spread` you put one zero into each gap. With stride 3 there are two.",
            lambda: {"spread": 5},
        ),
        Misconception(
            "nothing_left_over",
            "For `left_over` you say 0. Windows of 3 rows, three of them, reach 9 rows. The picture has 10.",
            lambda: {"left_over": 0},
        ),
        Misconception(
            "stride_minus_one",
            "For `left_over` you took stride - 1, the most that can be left over. Count: where does the last window "
            "end?",
            lambda: {"left_over": 2},
        ),
        Misconception(
            "weight_as_it_is",
            "For `weight` you gave the shape of the layer's own weight. On the way back 12 channels go in and 8 come "
            "out.",
            lambda: {"weight": (12, 2, 3, 3)},
        ),
        Misconception(
            "groups_forgotten",
            "For `weight` you forgot the groups. An input channel is listened to by the output channels of its own "
            "group only.",
            lambda: {"weight": (8, 12, 3, 3)},
        ),
        Misconception(
            "axes_exchanged",
            "For `weight` you exchanged the first two numbers of (12, 2, 3, 3). With groups, the exchange happens "
            "inside each group.",
            lambda: {"weight": (2, 12, 3, 3)},
        ),
    ),
    hints=(
        "Only two numbers from above are not 0. Which windows do they stand for? For `weight`, draw one of the four "
        "groups: how many channels go in, how many come out?",
        "`kernel`: once the upper left window, twice the lower right one. `picture`: one stamp, and twice a stamp, "
        "one pixel further down and to the right. A group has 2 input and 3 output channels.",
    ),
)

TASKS = (PICTURE, KERNEL, EXPOSE, MENDED, OWN, ON_PAPER)
