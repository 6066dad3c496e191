"""Tasks of sheet 09: painting with stamps, its size, its matrix, the same by sliding, and checkerboards."""

from itertools import product

import torch
import torch.nn.functional as F
from torch import nn

from exercise_checks.running.observing import Case
from exercise_checks.tasks.old_task import Draw, Misconception, Task, once, pair


def oracle(X, K, stride=1, padding=0):
    return F.conv_transpose2d(X[None, None], K[None, None], stride=stride, padding=padding)[0, 0]


def stamps_on(index, X, K, stride=1, padding=0):
    """The products that meet on one output pixel: which pixels of X reach it, with which entry of K.

    >>> stamps_on((0, 1), torch.tensor([[5, 7]]), torch.tensor([[1, 2]]))
    'the stamps X[0, 0] * K[0, 1] + X[0, 1] * K[0, 0] = 5 * 2 + 7 * 1'
    """
    (s, t), (p, q) = pair(stride), pair(padding)
    names, numbers = [], []
    for i, j in product(*map(range, X.shape)):
        a, b = index[0] + p - i * s, index[1] + q - j * t
        if 0 <= a < K.shape[0] and 0 <= b < K.shape[1]:
            names.append(f"X[{i}, {j}] * K[{a}, {b}]")
            numbers.append(f"{X[i, j].item():.4g} * {K[a, b].item():.4g}")
    return f"the stamps {' + '.join(names)} = {' + '.join(numbers)}" if names else "no stamp: nothing paints it"


def lesson_example():
    return torch.arange(4.0).reshape(2, 2), torch.arange(4.0).reshape(2, 2)


def stamp_settings(seed):
    draw = Draw(seed)
    yield Case("the small picture of lesson 9", lesson_example())
    yield Case("the same picture with stride 2", lesson_example(), {"stride": 2})
    yield Case("a 3×3 kernel with padding 1", (draw.whole(3, 4), draw.whole(3, 3)), {"padding": 1})
    yield Case("a stride longer than the kernel", (draw.whole(2, 3), draw.whole(2, 1)), {"stride": 3})
    yield Case("a pair as stride", (draw.whole(2, draw.size(3, 4)), draw.whole(3, 2)), {"stride": (2, 1)})
    yield Case(
        "pairs as stride and as padding", (draw.whole(3, 2), draw.whole(2, 4)), {"stride": (1, 3), "padding": (0, 2)}
    )
    yield Case("a picture of one pixel", (draw.whole(1, 1, low=2), draw.whole(2, 3)))
    X = draw.turned(4, 2)
    yield Case("a picture that is not contiguous", (X, draw.turned(3, 2)), {"stride": 2, "padding": (1, 0)})
    fractions = draw.real(2, 3, dtype=torch.float64), draw.real(3, 3, dtype=torch.float64)
    yield Case("fractions in float64", fractions, {"stride": (1, 2)})
    yield Case("stride 2 with padding 1", (draw.whole(2, 3), draw.whole(3, 3)), {"stride": 2, "padding": 1})


def blank_paper(X, K, stride):
    (s, t), (h, w) = pair(stride), K.shape
    return X.new_zeros((X.shape[0] - 1) * s + h, (X.shape[1] - 1) * t + w)


def stamp(paper, x, K):
    return paper.add_(x * K)


def cut(Y, padding):
    p, q = pair(padding)
    return Y[p : Y.shape[0] - p, q : Y.shape[1] - q]


def placed(X, K, stride, padding, put=stamp, over=None, paper=None):
    """Stamps one after the other; `put(paper, x, K)` says what becomes of the paper under a stamp.

    `over` is the shape of what the loops run over, X, and `paper` what is stamped on.
    """
    (s, t), (h, w) = pair(stride), K.shape
    Y = blank_paper(X, K, stride) if paper is None else paper
    for i, j in product(*map(range, over or X.shape)):
        under = slice(i * s, i * s + h), slice(j * t, j * t + w)
        Y[under] = put(Y[under], X[i, j], K)
    return cut(Y, padding)


def overwritten(X, K, stride=1, padding=0):
    return placed(X, K, stride, padding, lambda paper, x, K: x * K)


def through_item(X, K, stride=1, padding=0):
    return placed(X, K, stride, padding, lambda paper, x, K: paper + x.item() * K)


def turned(X, K, stride=1, padding=0):
    return oracle(X, K.flip(0, 1), stride, padding)


def numbers_only(X, K, stride=1, padding=0):
    if isinstance(stride, tuple) or isinstance(padding, tuple):
        raise TypeError("a pair is no number")
    return oracle(X, K, stride, padding)


def stride_exchanged(X, K, stride=1, padding=0):
    return oracle(X, K, pair(stride)[::-1], padding)


def stride_of_rows(X, K, stride=1, padding=0):
    return oracle(X, K, pair(stride)[0], padding)


def pairs_exchanged(X, K, stride=1, padding=0):
    return oracle(X, K, pair(stride)[::-1], pair(padding)[::-1])


def settings_unused(X, K, stride=1, padding=0):
    return oracle(X, K)


def paper_too_long(X, K, stride=1, padding=0):
    s, t = pair(stride)
    p, q = pair(padding)
    return F.pad(oracle(X, K, stride), (-q, t - 1 - q, -p, s - 1 - p))


def begin_of_another_stamp(X, K, stride=1, padding=0):
    s, t = pair(stride)
    p, q = pair(padding)
    return F.pad(oracle(X, K, stride), (-q, t - q, -p, s - p))


def paper_without_stride(X, K, stride=1, padding=0):
    return placed(X, K, stride, padding, paper=blank_paper(X, K, 1))


def loops_over_paper(X, K, stride=1, padding=0):
    return placed(X, K, stride, padding, over=blank_paper(X, K, stride).shape)


def pads_the_picture(X, K, stride=1, padding=0):
    p, q = pair(padding)
    return oracle(F.pad(X, (q, q, p, p)), K, stride)


def padding_adds(X, K, stride=1, padding=0):
    p, q = pair(padding)
    return F.pad(oracle(X, K, stride), (q, q, p, p))


def cut_at_one_end(X, K, stride=1, padding=0):
    p, q = pair(padding)
    return oracle(X, K, stride)[p:, q:]


def empty_at_zero(X, K, stride=1, padding=0):
    p, q = pair(padding)
    return oracle(X, K, stride)[p:-p, q:-q]


def always_float32(X, K, stride=1, padding=0):
    return oracle(X, K, stride, padding).float()


def stamp_in_place(X, K, stride=1, padding=0):
    return placed(X, K.clone(), stride, padding, lambda paper, x, K: paper + K.mul_(x))


def pairs_only(X, K, stride=1, padding=0):
    if not (isinstance(stride, tuple) and isinstance(padding, tuple)):
        raise TypeError("a number is no pair")
    return oracle(X, K, stride, padding)


def stamps_side_by_side(X, K, stride=1, padding=0):
    s, t = pair(stride)
    return cut(F.pad(oracle(X, K), (0, (X.shape[1] - 1) * (t - 1), 0, (X.shape[0] - 1) * (s - 1))), padding)


def loops_over_kernel(X, K, stride=1, padding=0):
    return placed(X, K, stride, padding, over=K.shape)


def ends_fixed(X, K, stride=1, padding=0):
    (s, t), (h, w) = pair(stride), K.shape
    Y = blank_paper(X, K, stride)
    for i, j in product(*map(range, X.shape)):
        Y[i * s : h, j * t : w] += X[i, j] * K
    return cut(Y, padding)


def one_number_a_stamp(X, K, stride=1, padding=0):
    s, t = pair(stride)
    Y = blank_paper(X, K, stride)
    Y[: (X.shape[0] - 1) * s + 1 : s, : (X.shape[1] - 1) * t + 1 : t] = X * K.sum()
    return cut(Y, padding)


def pixels_skipped(X, K, stride=1, padding=0):
    (s, t), (h, w) = pair(stride), K.shape
    Y = blank_paper(X, K, stride)
    for i, j in product(range(0, X.shape[0], s), range(0, X.shape[1], t)):
        Y[i : i + h, j : j + w] += X[i, j] * K
    return cut(Y, padding)


def padding_unused(X, K, stride=1, padding=0):
    return oracle(X, K, stride)


def cut_twice_at_the_end(X, K, stride=1, padding=0):
    Y, (p, q) = oracle(X, K, stride), pair(padding)
    return Y[p : Y.shape[0] - 2 * p, q : Y.shape[1] - 2 * q]


# Mistakes that show only where a pair is handed in: who refuses pairs hides them.
HIDDEN_BY_PAIRS = (
    numbers_only,
    pairs_only,
    stride_exchanged,
    stride_of_rows,
    pairs_exchanged,
    settings_unused,
    always_float32,
)


def and_with_numbers_only(*known):
    """These mistakes, and each of them by somebody who has not thought of pairs yet: the two often meet."""
    more = "After that, think of pairs: as a stride or a padding they raise an error so far."
    also = (
        Misconception(f"{m.name}_numbers_only", f"{m.sentence} {more}", refusing_pairs(m.wrong))
        for m in known
        if m.wrong not in HIDDEN_BY_PAIRS
    )
    return *known, *also


def refusing_pairs(paint):
    def wrong(X, K, stride=1, padding=0):
        if isinstance(stride, tuple):
            raise TypeError("a pair is no number")
        if isinstance(padding, tuple):  # it comes into play when the paper is cut, after the painting
            paint(X, K, stride)
            raise TypeError("a pair is no number")
        return paint(X, K, stride, padding)

    return wrong


PAINT = Task(
    id="paint",
    title="Paint with stamps",
    kind="write",
    points=3,
    difficulty=3,
    importance=5,
    minutes=15,
    oracle=oracle,
    cases=stamp_settings,
    window=stamps_on,
    misconceptions=and_with_numbers_only(
        Misconception(
            "overwritten",
            "Each stamp wipes out what it covers: you assign with `=`. Where stamps overlap, their numbers add up.",
            overwritten,
        ),
        Misconception(
            "turned",
            "Your stamp is turned by 180 degrees. A painting pixel stamps the kernel as it is written; turning "
            "it belongs to the other way of computing this, by sliding.",
            turned,
        ),
        Misconception(
            "numbers_only",
            "With whole numbers it works; a pair as stride or padding fails, as in the lesson's function. Make "
            "two numbers of each argument first, one for the rows and one for the columns.",
            numbers_only,
        ),
        Misconception(
            "stride_exchanged",
            "You exchanged the two strides. The first number of the pair is the step from row to row, the second "
            "from column to column.",
            stride_exchanged,
        ),
        Misconception(
            "stride_of_rows",
            "You use the first stride for the columns, too. In a pair each axis has its own.",
            stride_of_rows,
        ),
        Misconception(
            "pairs_exchanged",
            "You exchanged the two numbers of the pairs. In `stride` and in `padding` the rows come first, then the "
            "columns.",
            pairs_exchanged,
        ),
        Misconception(
            "settings_unused",
            "Your answer is the same for every `stride` and `padding`: they are not used. The stride moves the stamps "
            "apart, the padding is cut off at the end.",
            settings_unused,
        ),
        Misconception(
            "paper_too_long",
            "Your paper has H * stride + h - 1 rows: with a stride above 1, that leaves rows and columns behind the "
            "last stamp. Where does the last stamp begin, and how long is it?",
            paper_too_long,
        ),
        Misconception(
            "begin_of_another_stamp",
            "Your paper has H * stride + h rows, as if one more stamp came behind the last. H stamps begin H - 1 steps "
            "apart: (H - 1) * stride + h.",
            begin_of_another_stamp,
        ),
        Misconception(
            "paper_without_stride",
            "Your paper is too small once the stride is above 1: its size does not know the stride. H stamps begin "
            "H - 1 steps apart: (H - 1) * stride + h rows.",
            paper_without_stride,
        ),
        Misconception(
            "loops_over_paper",
            "Your loops run over the paper, which is larger than the picture. Each pixel of X stamps once, so i and j "
            "count X's rows and columns.",
            loops_over_paper,
        ),
        Misconception(
            "pads_the_picture",
            "Your padding puts zeros around the picture before the painting, as a convolution does. Here it is cut "
            "off the paper after the painting.",
            pads_the_picture,
        ),
        Misconception(
            "padding_adds",
            "Your padding puts a border around the answer. In a transposed convolution `padding` takes one away: "
            "it undoes the border that the convolution had added.",
            padding_adds,
        ),
        Misconception(
            "cut_at_one_end",
            "You cut the padding off at the top and at the left only. It goes at the bottom and at the right, too.",
            cut_at_one_end,
        ),
        Misconception(
            "empty_at_zero",
            "With padding 0 nothing is left of your answer: `Y[p:-p]` with p = 0 is `Y[0:0]`, which is empty. "
            "Count the end from the size.",
            empty_at_zero,
        ),
        Misconception(
            "always_float32",
            "The values are right, but they are always float32. Make the paper with X's dtype, as "
            "`X.new_zeros(...)` does.",
            always_float32,
        ),
        Misconception(
            "through_item",
            "The values are right, but `.item()` makes a plain number of the pixel, and no gradient passes "
            "through a plain number. Multiply with `X[i, j]` itself.",
            through_item,
        ),
        Misconception(
            "stamp_in_place",
            "Your stamp is K itself, not a copy: `*=` changes K, and the next pixel stamps what is left of it. "
            "Multiply with `*`, which makes a new tensor.",
            stamp_in_place,
        ),
        Misconception(
            "pairs_only",
            "A pair works, but a plain number cannot be taken apart into two. Make a pair of it first: `s, t = "
            "stride if isinstance(stride, tuple) else (stride, stride)`.",
            pairs_only,
        ),
        Misconception(
            "stamps_side_by_side",
            "Your paper grows with the stride, but the stamps stay side by side. The stamp of X[i, j] begins at "
            "row i * stride and column j * stride.",
            stamps_side_by_side,
        ),
        Misconception(
            "loops_over_kernel",
            "Your loops run over the kernel. Each pixel of X stamps once, so i and j count X's rows and columns. "
            "When X and K have the same size, nobody notices.",
            loops_over_kernel,
        ),
        Misconception(
            "padding_unused",
            "Your `padding` does nothing. So many rows and columns are cut off at each end of the paper, after "
            "the painting.",
            padding_unused,
        ),
        Misconception(
            "cut_twice_at_the_end",
            "You cut the padding off once in front and twice at the end. Counted from the size, the end is "
            "`Y.shape[0] - p`: what you cut in front does not shift it.",
            cut_twice_at_the_end,
        ),
        Misconception(
            "ends_fixed",
            "Your stamps begin at their own places, but all end at row h and column w. The end moves along with "
            "the start: `i * stride : i * stride + h`.",
            ends_fixed,
        ),
        Misconception(
            "one_number_a_stamp",
            "You put one number down for each pixel, the sum of its stamp. A stamp covers h rows and w columns "
            "of the paper, with a number for each.",
            one_number_a_stamp,
        ),
        Misconception(
            "pixels_skipped",
            "Your loops jump over pixels of X. Every pixel stamps; the stride moves the stamps apart on the paper.",
            pixels_skipped,
        ),
    ),
    hints=(
        "Where is the top left corner of the stamp of X[0, 0], of X[0, 1], of X[1, 0], with stride 2? And where "
        "is the bottom right corner of the last stamp? That is the size of the paper.",
        "With `s, t` for the two strides: `Y[i * s : i * s + h, j * t : j * t + w] += X[i, j] * K` on a paper of "
        "(H - 1) * s + h rows. Then cut, with the end counted from the size: `Y[p : Y.shape[0] - p, ...]`.",
    ),
)


# ---------------------------------------------------------------------------------------------------------
# Predict shapes
# ---------------------------------------------------------------------------------------------------------

PAPERS = {
    "doubled": ((7, 7), {"kernel_size": 4, "stride": 2, "padding": 1}),
    "pairs": ((4, 5), {"kernel_size": (2, 3), "stride": (3, 2), "padding": (0, 1)}),
    "dilated": ((5, 5), {"kernel_size": 3, "stride": 2, "dilation": 2}),
}
RETURNS = {
    "halved": (28, {"kernel_size": 3, "stride": 2, "padding": 1}),
    "quartered": (31, {"kernel_size": 5, "stride": 4}),
}


def torch_shapes():
    found = {}
    for name, (size, setting) in PAPERS.items():
        found[name] = tuple(nn.ConvTranspose2d(1, 1, **setting)(torch.zeros(1, 1, *size)).shape[2:])
    for name, (n, setting) in RETURNS.items():
        small = nn.Conv1d(1, 1, **setting)(torch.zeros(1, 1, n))
        found[name] = n - nn.ConvTranspose1d(1, 1, **setting)(small).shape[2]
    found["weight"] = tuple(nn.ConvTranspose2d(4, 6, 3, groups=2).weight.shape)
    return found


def papers_with(formula, *names):
    """The sizes of the papers called `names` by another formula of n, k, s, p, d."""

    def answer():
        found = {}
        for name in names:
            size, setting = PAPERS[name]
            keys = ("kernel_size", 1), ("stride", 1), ("padding", 0), ("dilation", 1)
            numbers = [size, *(pair(setting.get(key, otherwise)) for key, otherwise in keys)]
            found[name] = tuple(formula(*along) for along in zip(*numbers, strict=True))
        return found

    return answer


SHAPES = Task(
    id="painted_shapes",
    title="Shapes without running",
    kind="predict",
    points=2,
    difficulty=3,
    importance=4,
    minutes=10,
    oracle=torch_shapes,
    cases=once,
    misconceptions=(
        Misconception(
            "convolution",
            "These are the sizes of a *convolution* with this setting. Here every pixel paints a patch: the "
            "picture grows.",
            papers_with(lambda n, k, s, p, d: (n + 2 * p - d * (k - 1) - 1) // s + 1, *PAPERS),
        ),
        Misconception(
            "stride_times",
            "You took stride times the size. That is a rule of thumb, true for some settings only. Count: the "
            "last stamp begins at (n - 1) times the stride, and it is as long as the kernel.",
            papers_with(lambda n, k, s, p, d: n * s, "pairs", "dilated"),
        ),
        Misconception(
            "one_stamp_too_far",
            "Your last stamp begins at n times the stride. The first one begins at 0, so the last one begins at "
            "(n - 1) times the stride.",
            papers_with(lambda n, k, s, p, d: n * s - 2 * p + d * (k - 1) + 1, *PAPERS),
        ),
        Misconception(
            "padding_adds",
            "Your padding makes the answer larger. In a transposed convolution it cuts rows and columns off.",
            papers_with(lambda n, k, s, p, d: (n - 1) * s + 2 * p + d * (k - 1) + 1, "doubled", "pairs"),
        ),
        Misconception(
            "padding_once",
            "You took the padding off once. It goes at both ends of an axis: 2p.",
            papers_with(lambda n, k, s, p, d: (n - 1) * s - p + d * (k - 1) + 1, "doubled", "pairs"),
        ),
        Misconception(
            "dilation_ignored",
            "For `dilated` the stamp is longer than 3: dilation 2 leaves a gap of one pixel between its entries.",
            lambda: {"dilated": (11, 11)},
        ),
        Misconception(
            "dilation_times_kernel",
            "For `dilated` you took a stamp of dilation times kernel size. Behind the last entry there is no "
            "gap: the stamp is d(k - 1) + 1 long.",
            lambda: {"dilated": (14, 14)},
        ),
        Misconception(
            "columns_first",
            "Rows come first, in the picture's size, in every pair, and in the answer.",
            lambda: {"pairs": (9, 11)},
        ),
        Misconception(
            "convs_weight",
            "That is the weight of `Conv2d(4, 6, 3, groups=2)`. A transposed layer keeps its *input* channels on "
            "the first axis, and its output channels, divided by the groups, on the second.",
            lambda: {"weight": (6, 2, 3, 3)},
        ),
        Misconception(
            "groups_forgotten",
            "That is the weight for one group. With two groups an input channel stamps onto half of the output "
            "channels only.",
            lambda: {"weight": (4, 6, 3, 3)},
        ),
        Misconception(
            "one_is_enough",
            "For `quartered` you took 1, which is the most that stride 2 needs. With stride 4 up to three rows can be "
            "missing. Go there with the convolution, come back, and count them.",
            lambda: {"quartered": 1},
        ),
        Misconception(
            "stride_minus_one",
            "For `quartered` you took stride - 1, the largest `output_padding` there is. What is needed is the "
            "rest that the convolution left over: (n + 2p - k) mod s.",
            lambda: {"quartered": 3},
        ),
        Misconception(
            "nothing_left_over",
            "You say that the size comes back by itself. Compute the size without `output_padding`, and compare "
            "it with the size you want.",
            lambda: {"halved": 0, "quartered": 0},
        ),
        Misconception(
            "groups_divide_inputs",
            "You divided the input channels by the groups. A transposed layer keeps all of them on the first "
            "axis, and divides the outputs, on the second.",
            lambda: {"weight": (2, 6, 3, 3)},
        ),
    ),
    hints=(
        "Draw one axis. Where does the last stamp begin, and how many pixels does it cover? What does the "
        "padding take away, and at how many ends?",
        "Each axis: (n - 1)s - 2p + d(k - 1) + e + 1. For the two `output_padding`s: first the size after the "
        "convolution, then back with e = 0; what is missing is e. The weight is (in, out / groups, rows, "
        "columns).",
    ),
)


# ---------------------------------------------------------------------------------------------------------
# The matrix of a convolution, and its transpose
# ---------------------------------------------------------------------------------------------------------


def torch_matrix(K, shape):
    units = torch.eye(shape[0] * shape[1], dtype=K.dtype).reshape(-1, 1, *shape)
    return F.conv2d(units, K[None, None]).flatten(1).T.contiguous()


def pictures_and_kernels(seed):
    draw = Draw(seed)
    yield Case("the matrix of lesson 9", (lesson_example()[1], (3, 3)))
    yield Case("a wide picture", (draw.whole(2, 2, low=1), (2, draw.size(4, 5))))
    yield Case("a tall picture", (draw.whole(2, 2, low=1), (draw.size(4, 5), 3)))
    yield Case("a wide kernel", (draw.whole(1, 3, low=1), (3, 4)))
    yield Case("a kernel of one pixel", (draw.whole(1, 1, low=2), (2, 3)))
    yield Case("a kernel as large as the picture", (draw.whole(3, 2, low=1), (3, 2)))
    yield Case("a kernel that is not contiguous", (draw.turned(2, 3), (4, 4)))
    yield Case("fractions in float64", (draw.real(2, 2, dtype=torch.float64), (3, 4)))


def entry(index, K, shape):
    """What one number of the matrix says.

    >>> entry((1, 2), torch.ones(2, 2), (3, 3))
    'what answer [0, 1] takes from pixel [0, 2]: K[0, 1]'
    """
    i, j = divmod(index[0], shape[1] - K.shape[1] + 1)
    r, c = divmod(index[1], shape[1])
    inside = 0 <= r - i < K.shape[0] and 0 <= c - j < K.shape[1]
    found = f"K[{r - i}, {c - j}]" if inside else "nothing, for it is not in the window"
    return f"what answer [{i}, {j}] takes from pixel [{r}, {c}]: {found}"


def matrix_with(column, number=lambda k: k):
    """The matrix whose row of answer (i, j) holds K[a, b] in `column(i, j, a, b, H, W, h, w)`."""

    def answer(K, shape):
        (H, W), (h, w) = shape, K.shape
        A = torch.zeros((H - h + 1) * (W - w + 1), H * W, dtype=K.dtype)
        for row, (i, j) in enumerate(product(range(H - h + 1), range(W - w + 1))):
            for a, b in product(range(h), range(w)):
                A[row, column(i, j, a, b, H, W, h, w)] = number(K[a, b])
        return A

    return answer


def counter_behind(K, shape):
    """The number of the row moves once a line of answers: the answers of a line lie on top of each other."""
    rows, columns = (n - k + 1 for n, k in zip(shape, K.shape, strict=True))
    A = torch_matrix(K, shape)
    return F.pad(A[columns - 1 :: columns], (0, 0, 0, rows * (columns - 1)))


def zeros_not_renewed(K, shape):
    (H, W), (h, w) = shape, K.shape
    picture, rows = torch.zeros(H, W, dtype=K.dtype), []
    for i, j in product(range(H - h + 1), range(W - w + 1)):
        picture[i : i + h, j : j + w] = K
        rows.append(picture.flatten().clone())
    return torch.stack(rows)


def kernel_counts_answers(K, shape):
    (H, W), (h, w) = shape, K.shape
    A = torch.zeros(h * w, H * W, dtype=K.dtype)
    for row, (i, j) in enumerate(product(range(h), range(w))):
        picture = torch.zeros(H, W, dtype=K.dtype)
        picture[i : i + h, j : j + w] = K
        A[row] = picture.flatten()
    return A


right_places = matrix_with(lambda i, j, a, b, H, W, h, w: (i + a) * W + j + b)

MATRIX = Task(
    id="conv_matrix",
    title="The matrix of a convolution",
    kind="write",
    points=3,
    difficulty=4,
    importance=4,
    minutes=20,
    oracle=torch_matrix,
    cases=pictures_and_kernels,
    window=entry,
    misconceptions=(
        Misconception(
            "transposed",
            "This is the transpose, the matrix of the painting. A row of A belongs to an answer, a column to a "
            "pixel of the picture.",
            lambda K, shape: torch_matrix(K, shape).T,
        ),
        Misconception(
            "flipped",
            "Your kernel is turned by 180 degrees. A is the matrix of the cross-correlation: the kernel lies on "
            "the picture as it is written.",
            lambda K, shape: torch_matrix(K.flip(0, 1), shape),
        ),
        Misconception(
            "moved_by_one",
            "Each of your rows is the one above, moved by one. That is true along a line of answers only. At the "
            "end of the line the window goes back to the left edge of the picture, one row below.",
            matrix_with(lambda i, j, a, b, H, W, h, w: i * (W - w + 1) + j + a * W + b),
        ),
        Misconception(
            "in_one_piece",
            "You put the kernel into a row in one piece. Its rows belong to different rows of the picture, and "
            "in the flat picture these begin W places apart.",
            matrix_with(lambda i, j, a, b, H, W, h, w: i * W + j + a * w + b),
        ),
        Misconception(
            "height_for_width",
            "You count `row * H + column`. A row of the picture has W pixels, so pixel (r, c) is number `r * W + "
            "c`. On square pictures nobody notices.",
            matrix_with(lambda i, j, a, b, H, W, h, w: (i + a) * H + j + b),
        ),
        Misconception(
            "columns_first",
            "You number the pixels down the columns. `flatten()` goes along the rows: pixel (r, c) is number `r "
            "* W + c`.",
            matrix_with(lambda i, j, a, b, H, W, h, w: (j + b) * H + i + a),
        ),
        Misconception(
            "answers_width",
            "You count a pixel's number with the width of the *answer*. In the flat picture the rows begin W places "
            "apart, W being the picture's width.",
            matrix_with(lambda i, j, a, b, H, W, h, w: (i + a) * (W - w + 1) + j + b),
        ),
        Misconception(
            "size_exchanged",
            "You took `shape` as (columns, rows). It is (H, W): H rows of W pixels. On square pictures nobody can "
            "tell.",
            lambda K, shape: right_places(K, shape[::-1]),
        ),
        Misconception(
            "always_float64",
            "The values are right, but the matrix is always float64, as in section 9.6. Here it must have the dtype "
            "of K.",
            lambda K, shape: torch_matrix(K.double(), shape),
        ),
        Misconception(
            "always_float32",
            "The values are right, but the matrix is always float32. Make the zeros with `dtype=K.dtype`.",
            lambda K, shape: torch_matrix(K, shape).float(),
        ),
        Misconception(
            "through_item",
            "The values are right, but the matrix no longer knows the kernel: `.item()` or `.tolist()` made "
            "plain numbers of it, and no gradient flows back. Assign the tensor's entries themselves.",
            matrix_with(lambda i, j, a, b, H, W, h, w: (i + a) * W + j + b, torch.Tensor.item),
        ),
        Misconception(
            "four_axes",
            "The numbers are right, but they stand in a table with four axes. Lay the answer's two axes flat, "
            "and the picture's two: `A.reshape(-1, H * W)`.",
            lambda K, shape: torch_matrix(K, shape).reshape(
                *(n - k + 1 for n, k in zip(shape, K.shape, strict=True)), *shape
            ),
        ),
        Misconception(
            "counter_behind",
            "Your row number moves once in a line of answers, so the answers of a line are written over each "
            "other. Each answer has a row of its own: count inside the inner loop.",
            counter_behind,
        ),
        Misconception(
            "kernel_counts_answers",
            "You count the answers by the size of the kernel. There are as many as places for the window: H - h "
            "+ 1 rows and W - w + 1 columns. With a 2×2 kernel on a 3×3 picture nobody notices.",
            kernel_counts_answers,
        ),
        Misconception(
            "pictures_not_flat",
            "You put pictures below one another. Each answer has one row: lay its picture flat first, with "
            "`flatten()`.",
            lambda K, shape: torch_matrix(K, shape).reshape(-1, shape[1]),
        ),
        Misconception(
            "zeros_not_renewed",
            "Each of your rows still holds the windows of the rows above. Begin each row with new zeros.",
            zeros_not_renewed,
        ),
    ),
    hints=(
        "Which four pixels does the first answer read, and which numbers do they have in the flat picture? And "
        "the first answer of the second line?",
        "Four loops: i, j over the answers, a, b over the kernel. Row `i * (W - w + 1) + j`, column `(i + a) * W "
        "+ (j + b)`, and there stands `K[a, b]`. Or push the unit pictures `torch.eye(H * W)` through "
        "`ops.corr2d`, one for each column.",
    ),
)


def matrix_painting(A, Y, shape):
    return torch.einsum("yx,y->x", A, Y.reshape(-1)).reshape(shape)


def matrices_and_answers(seed):
    draw = Draw(seed)
    X, K = lesson_example()
    yield Case("the matrix of lesson 9", (torch_matrix(K, (3, 3)), X, (3, 3)))
    kernels = {
        "a wide picture": ((2, 2), (3, 5)),
        "a tall picture": ((2, 1), (5, 3)),
        "a wide kernel": ((1, 3), (2, 5)),
    }
    for label, (kernel, (H, W)) in kernels.items():
        A = torch_matrix(draw.whole(*kernel, low=1), (H, W))
        yield Case(label, (A, draw.whole(H - kernel[0] + 1, W - kernel[1] + 1), (H, W)))
    yield Case(
        "an answer that is not contiguous", (torch_matrix(draw.whole(2, 2, low=1), (4, 3)), draw.turned(3, 2), (4, 3))
    )
    A = torch_matrix(draw.real(2, 2, dtype=torch.float64), (3, 4))
    yield Case("fractions in float64", (A, draw.real(2, 3, dtype=torch.float64), (3, 4)))


BY_MATRIX = Task(
    id="paint_with_matrix",
    title="Turn the matrix",
    kind="write",
    points=1,
    difficulty=2,
    importance=4,
    minutes=5,
    oracle=matrix_painting,
    cases=matrices_and_answers,
    misconceptions=(
        Misconception(
            "inverse",
            "You solve for a picture whose convolution is Y: that is an inverse (`pinv`, `lstsq`). A transposed "
            "convolution inverts nothing; it multiplies by the transpose of A.",
            lambda A, Y, shape: (torch.linalg.pinv(A) @ Y.flatten()).reshape(shape),
        ),
        Misconception(
            "reshaped",
            "You gave A the other shape with `reshape`, which reads the same numbers in the same order. To "
            "exchange rows and columns take `.T`.",
            lambda A, Y, shape: (A.reshape(A.shape[1], A.shape[0]) @ Y.flatten()).reshape(shape),
        ),
        Misconception(
            "not_turned",
            "You multiply by A itself. It takes the pixels of a picture and gives answers. You have the answers, and "
            "want the pixels.",
            lambda A, Y, shape: (A @ Y.flatten()).reshape(shape),
        ),
        Misconception(
            "not_flat",
            "Y is still a table. The matrix takes its numbers in one row: flatten Y first.",
            lambda A, Y, shape: (A.T @ Y).reshape(shape),
        ),
        Misconception(
            "left_flat",
            "The numbers are right, but they stand in one row. Give them the shape of the picture.",
            lambda A, Y, shape: matrix_painting(A, Y, -1),
        ),
        Misconception(
            "size_exchanged",
            "You exchanged rows and columns of `shape`: (H, W) means H rows of W numbers.",
            lambda A, Y, shape: matrix_painting(A, Y, shape[::-1]),
        ),
        Misconception(
            "answer_turned",
            "You flattened Y down its columns. The rows of A follow the answers along the rows of Y: `Y.flatten()`.",
            lambda A, Y, shape: matrix_painting(A, Y.T, shape),
        ),
        Misconception(
            "picture_turned",
            "The numbers are right, but you laid them down column by column. They follow the picture's pixels "
            "along its rows.",
            lambda A, Y, shape: matrix_painting(A, Y, shape[::-1]).T,
        ),
        Misconception(
            "star_for_at",
            "`*` multiplies number by number and adds nothing up. A matrix times a vector is `@`.",
            lambda A, Y, shape: (A.T * Y.flatten()).reshape(shape),
        ),
        Misconception(
            "no_inverse",
            "A has no inverse, for it is not square: many pixels give few answers. Nothing is inverted here. A "
            "transposed convolution multiplies by the transpose, `A.T`.",
            lambda A, Y, shape: (torch.inverse(A) @ Y.flatten()).reshape(shape),
        ),
    ),
    hints=(
        "A turns H * W numbers into as many as Y has. Which matrix, made from A, takes numbers the other way?",
        "`A.T @ Y.flatten()`, in the shape `shape`.",
    ),
)


# ---------------------------------------------------------------------------------------------------------
# Find the bug: the same by sliding
# ---------------------------------------------------------------------------------------------------------


def broken_slide(X, K, stride):
    h, w = K.shape
    spread = torch.zeros(X.shape[0] * stride, X.shape[1] * stride, dtype=X.dtype)
    spread[::stride, ::stride] = X
    around = F.pad(spread, (w - 1, w - 1, h - 1, h - 1))
    return F.conv2d(around[None, None], K[None, None])[0, 0]


def unfit(value):
    """What is wrong with the form of a picture, a kernel and a stride, or None."""
    if not (isinstance(value, tuple) and len(value) == 3):
        return "Return a picture, a kernel and a stride: `return X, K, stride`."
    X, K, stride = value
    if not (isinstance(X, torch.Tensor) and isinstance(K, torch.Tensor)):
        return "The picture and the kernel must be tensors, as `torch.tensor([[1.0, 2.0]])` makes them."
    if type(stride) is not int:
        return "The stride must be one whole number, the same for rows and columns."
    if X.ndim != 2 or K.ndim != 2 or not 0 < X.numel() <= 1000 or not 0 < K.numel() <= 1000:
        return "X and K must both be matrices, with rows and columns, of at most 1000 numbers."
    if X.dtype != torch.float32 or K.dtype != torch.float32:
        return "Take float32 tensors, as `torch.ones(...)` makes them: another dtype is another story."
    if not (X.isfinite().all() and K.isfinite().all()):
        return "Take numbers that are finite."
    if not 1 <= stride <= 10:
        return "The stride must be a whole number from 1 to 10."
    return None


def exposes(value):
    """A picture, a kernel and a stride on which `broken_slide` goes wrong."""
    if unfit(value):
        return unfit(value)
    X, K, stride = value
    wrong, right = broken_slide(X, K, stride), oracle(X, K, stride)
    if wrong.shape == right.shape and torch.allclose(wrong, right):
        return "On this input `broken_slide` is right. Look for one on which it is not."
    return None


EXPOSE = Task(
    id="breaks_slide",
    title="Find an input that breaks it",
    kind="bug",
    points=1,
    difficulty=2,
    importance=4,
    minutes=5,
    oracle=lambda: (torch.ones(2, 3), torch.arange(4.0).reshape(2, 2), 1),
    cases=once,
    accept=exposes,
    broken=broken_slide,
    misconceptions=(
        Misconception(
            "dark",
            "Your picture is zero everywhere. Whatever the stamp, nothing is painted, and the stride is 1, so "
            "the size is right, too.",
            lambda: (torch.zeros(3, 4), torch.ones(2, 2), 1),
            matches=lambda value: not unfit(value) and value[2] == 1 and not value[0].any(),
        ),
        Misconception(
            "one_pixel",
            "Your kernel has one number only, and there is nothing to turn about it. With stride 1 there are no "
            "zeros to put between the pixels, either.",
            lambda: (torch.ones(2, 2), torch.ones(1, 1), 1),
            matches=lambda value: not unfit(value) and value[2] == 1 and value[1].numel() == 1,
        ),
        Misconception(
            "all_equal",
            "All numbers of your kernel are equal, so it does not matter how it lies. That is the author's test "
            "once more. Take another kernel, or another stride.",
            lambda: (torch.rand(2, 3), torch.ones(2, 2), 1),
            matches=lambda value: not unfit(value) and value[2] == 1 and value[1].min() == value[1].max(),
        ),
        Misconception(
            "turned_alike",
            "Your kernel, turned by 180 degrees, is itself again. So this stride of 1 cannot show whether it "
            "should have been turned.",
            lambda: (torch.rand(2, 3), torch.tensor([[1.0, 2.0, 1.0]]), 1),
            matches=lambda value: not unfit(value) and value[2] == 1 and torch.equal(value[1], value[1].flip(0, 1)),
        ),
    ),
    hints=(
        "Section 9.10 has three steps. Which of them does this function take, and on which kernel does a missing "
        "one not matter?",
        "Leave the picture and the stride as they are, and take a kernel that changes when it is turned by 180 "
        "degrees, such as the lesson's. Or leave the kernel and take stride 2: compare the sizes.",
    ),
)


def strides_to_slide(seed):
    draw = Draw(seed)
    yield Case("the lesson's picture with stride 2", (torch.arange(1.0, 5).reshape(2, 2), lesson_example()[1], 2))
    yield Case("stride 1", (draw.whole(3, 4), draw.whole(2, 2, low=1), 1))
    yield Case("a stride longer than the kernel", (draw.whole(2, 2, low=1), draw.whole(2, 2, low=1), 3))
    yield Case("a wide kernel", (draw.whole(3, 2), draw.whole(1, 3, low=1), 2))
    yield Case("a tall kernel", (draw.whole(2, draw.size(3, 4)), draw.whole(3, 2), 2))
    yield Case("a picture of one pixel", (draw.whole(1, 1, low=2), draw.whole(2, 3), 2))
    yield Case("a picture that is not contiguous", (draw.turned(3, 4), draw.turned(2, 3), 1))
    yield Case("fractions in float64", (draw.real(2, 3, dtype=torch.float64), draw.real(3, 3, dtype=torch.float64), 2))


def zeros_in_float32(X, K, stride):
    return F.conv2d(bordered(X.float(), K.shape, stride), K.flip(0, 1)[None, None])[0, 0]


def one_number_less(X, K, stride):
    h, w = K.shape
    spread = torch.zeros(X.shape[0] * stride - 1, X.shape[1] * stride - 1, dtype=X.dtype)
    spread[::stride, ::stride] = X
    around = F.pad(spread, (w - 1, w - 1, h - 1, h - 1))
    return F.conv2d(around[None, None], K.flip(0, 1)[None, None])[0, 0]


def slid_oracle(X, K, stride):
    return oracle(X, K, stride)


MENDED = Task(
    id="mended_slide",
    title="Mend it",
    kind="bug",
    points=2,
    difficulty=3,
    importance=4,
    minutes=10,
    oracle=slid_oracle,
    cases=strides_to_slide,
    window=stamps_on,
    misconceptions=(
        Misconception(
            "unchanged",
            "Both mistakes are still there: the kernel slides as it is written, and behind the last pixel there "
            "are zeros that belong *between* pixels only.",
            broken_slide,
        ),
        Misconception(
            "zeros_behind_the_last",
            "The kernel is mended, the size is not: with stride 2 your answer has a row and a column too many. "
            "Between n pixels there are n - 1 gaps. How many numbers is that together?",
            lambda X, K, stride: broken_slide(X, K.flip(0, 1), stride),
        ),
        Misconception(
            "not_turned",
            "The size is mended, but your kernel slides as it is written. A single pixel of 1 must give the "
            "kernel; yours gives it turned by 180 degrees. Slide `K.flip(0, 1)`, which is a turned copy: K itself "
            "stays as it is.",
            lambda X, K, stride: oracle(X, K.flip(0, 1), stride),
        ),
        Misconception(
            "turned_along_one_axis",
            "You turned the kernel upside down but not left to right. It must be turned along both axes.",
            lambda X, K, stride: oracle(X, K.flip(1), stride),
        ),
        Misconception(
            "turned_along_the_other",
            "You turned the kernel left to right but not upside down. Both axes must be reversed.",
            lambda X, K, stride: oracle(X, K.flip(0), stride),
        ),
        Misconception(
            "transposed_for_turned",
            "You exchanged rows and columns of the kernel with `.T`. To turn it by 180 degrees reverse both "
            "axes: `flip`.",
            lambda X, K, stride: F.conv2d(bordered(X, K.shape, stride), K.T[None, None])[0, 0],
        ),
        Misconception(
            "cut_in_front",
            "You cut the surplus off at the top and at the left. The zeros too many stand behind the last pixel, "
            "at the bottom and at the right.",
            lambda X, K, stride: broken_slide(X, K.flip(0, 1), stride)[stride - 1 :, stride - 1 :],
        ),
        Misconception(
            "cut_one",
            "You cut off one row and one column, whatever the stride. That is right for stride 2. With stride 1 "
            "nothing is too many; with stride 3 it is two.",
            lambda X, K, stride: broken_slide(X, K.flip(0, 1), stride)[:-1, :-1],
        ),
        Misconception(
            "empty_at_one",
            "With stride 1 nothing is left of your answer: `Y[:-(stride - 1)]` is then `Y[:0]`, which is empty. Make "
            "the spread picture in the right size from the start.",
            lambda X, K, stride: broken_slide(X, K.flip(0, 1), stride)[: 1 - stride, : 1 - stride],
        ),
        Misconception(
            "spread_empty_at_one",
            "With stride 1 nothing is left of your spread picture: `spread[:-(stride - 1)]` is then `spread[:0]`, "
            "which is empty. Make it in the right size from the start.",
            lambda X, K, stride: F.conv2d(
                bordered(X[:0, :0] if stride == 1 else X, K.shape, stride), K.flip(0, 1)[None, None]
            )[0, 0],
        ),
        Misconception(
            "spread_one_less",
            "Your spread picture is n * stride - 1 long. That is right for stride 2 only. Between n pixels there "
            "are n - 1 gaps of stride - 1 zeros: how many numbers is that together?",
            one_number_less,
        ),
        Misconception(
            "picture_turned",
            "You turned the picture. Each pixel stays at its place; it is the kernel that must be turned.",
            lambda X, K, stride: F.conv2d(bordered(X.flip(0, 1), K.shape, stride), K[None, None])[0, 0],
        ),
        Misconception(
            "negative_step",
            "Tensors take no negative steps, unlike NumPy's arrays and Python's lists. `K.flip(0, 1)` turns a "
            "table by 180 degrees.",
            lambda X, K, stride: K[::-1, ::-1],
        ),
        Misconception(
            "zeros_in_float32",
            "In float32 it is right. But `torch.zeros` makes float32 unless told otherwise, and a kernel in "
            "float64 does not go with that: give it `dtype=X.dtype`.",
            zeros_in_float32,
        ),
    ),
    hints=(
        "Call it with stride 1 and a picture that is a single 1. What should come out is the kernel itself (quiz "
        "question 3). What does come out? Then compare the *size* with stride 2.",
        "Between n pixels lie n - 1 gaps of stride - 1 zeros, which makes `(n - 1) * stride + 1` numbers. And "
        "slide `K.flip(0, 1)`.",
    ),
)


def bordered(X, kernel, stride):
    """X spread and with a border of k - 1 zeros, as a batch of one picture."""
    spread = X.new_zeros([(n - 1) * stride + 1 for n in X.shape])
    spread[::stride, ::stride] = X
    h, w = kernel
    return F.pad(spread, (w - 1, w - 1, h - 1, h - 1))[None, None]


# ---------------------------------------------------------------------------------------------------------
# Predict the checkerboard
# ---------------------------------------------------------------------------------------------------------


def stamps(n, k, s):
    return F.conv_transpose2d(torch.ones(1, 1, n, n), torch.ones(1, 1, k, k), stride=s)[0, 0].int()


def torch_counts():
    row = F.conv_transpose1d(torch.ones(1, 1, 4), torch.ones(1, 1, 3), stride=2)
    inside = {k: stamps(12, k, 3)[k:-k, k:-k] for k in range(2, 10)}
    tent = torch.outer(torch.tensor([1.0, 2, 1]), torch.tensor([1.0, 2, 1]))[None, None]
    return {
        "row": tuple(row.int().flatten().tolist()),
        "kernel_3": tuple(stamps(4, 3, 2).unique().tolist()),
        "kernel_6": int(stamps(12, 6, 2)[12, 12]),
        "even": tuple(k for k, counts in inside.items() if counts.min() == counts.max()),
        "unpainted": int((stamps(4, 2, 3) == 0).sum()),
        "tent": int(F.conv_transpose2d(torch.ones(1, 1, 4, 4), tent, stride=2)[0, 0, 4, 4]),
    }


COUNTS = Task(
    id="stamp_counts",
    title="Checkerboards without running",
    kind="predict",
    points=2,
    difficulty=3,
    importance=4,
    minutes=10,
    oracle=torch_counts,
    cases=once,
    misconceptions=(
        Misconception(
            "no_ends",
            "For `row` you alternate from the very first place. Stamps cover 0 to 2, 2 to 4, 4 to 6 and 6 to 8: "
            "at the ends there is only one stamp.",
            lambda: {"row": (2, 1, 2, 1, 2, 1, 2, 1, 2)},
        ),
        Misconception(
            "wrong_places",
            "For `row` you let the stamps overlap at the odd places. The stamps begin at 0, 2, 4 and 6 and are 3 "
            "long: they share places 2, 4 and 6.",
            lambda: {"row": (1, 2, 1, 2, 1, 2, 1, 2, 1)},
        ),
        Misconception(
            "counts_added",
            "For `kernel_3` you added the counts of the two axes. A place is reached by every stamp whose row "
            "*and* whose column fit: the counts are multiplied.",
            lambda: {"kernel_3": (2, 3, 4)},
        ),
        Misconception(
            "one_axis_only",
            "Your counts hold for one axis. In two dimensions the count along the rows is multiplied by the "
            "count along the columns.",
            lambda: {"kernel_6": 3},
        ),
        Misconception(
            "all_entries",
            "For `kernel_6` you counted all 36 entries of the kernel. With stride 1 that would be right. With "
            "stride 2 only every second entry of each axis can meet a given place.",
            lambda: {"kernel_6": 36},
        ),
        Misconception(
            "even_numbers",
            "For `even` you listed the even numbers. That is the rule for stride 2. For stride 3 ask which "
            "kernels are as long as a whole number of strides.",
            lambda: {"even": (2, 4, 6, 8)},
        ),
        Misconception(
            "longer_than_stride",
            "For `even` you listed all kernels that leave no gap. No gap is not enough: kernel 4 with stride 3 "
            "covers one place in three twice.",
            lambda: {"even": (3, 4, 5, 6, 7, 8, 9)},
        ),
        Misconception(
            "only_crossings",
            "For `unpainted` you counted the places where an empty row crosses an empty column. The whole row is "
            "empty, and the whole column.",
            lambda: {"unpainted": 9},
        ),
        Misconception(
            "painted_counted",
            "For `unpainted` you counted the places that *are* painted. Take them from all 121.",
            lambda: {"unpainted": 64},
        ),
        Misconception(
            "whole_tent",
            "For `tent` you added up all entries of the kernel. At one place only every second row and every "
            "second column of the kernel arrives: one *phase*.",
            lambda: {"tent": 16},
        ),
        Misconception(
            "one_axis_for_kernel_3",
            "For `kernel_3` you gave the counts of one axis. Where two rows of stamps and two columns of stamps "
            "meet, four stamps lie on each other.",
            lambda: {"kernel_3": (1, 2)},
        ),
        Misconception(
            "largest_first",
            "For `kernel_3` you have the right numbers. The smallest comes first.",
            lambda: {"kernel_3": (4, 2, 1)},
        ),
        Misconception(
            "crossings_twice",
            "For `unpainted` you counted the places twice where an empty row crosses an empty column.",
            lambda: {"unpainted": 66},
        ),
        Misconception(
            "rows_only",
            "For `unpainted` you counted the empty rows. There are empty columns, too.",
            lambda: {"unpainted": 33},
        ),
        Misconception(
            "kernel_once",
            "For `even` you named the kernel that is as long as one stride. Longer ones do it, too: which are as "
            "long as a whole number of strides?",
            lambda: {"even": (3,)},
        ),
    ),
    hints=(
        "Take squared paper, one axis. Draw each stamp as a bar: where does it begin, where does it end? How "
        "many bars lie above each place?",
        "In two dimensions the counts are products. Inside, kernel k with stride s gives (k / s)² if s divides "
        "k; otherwise not all places get the same. `unpainted`: the paper has 11×11 places, 8 rows and 8 columns "
        "of it are painted.",
    ),
)

TASKS = (PAINT, SHAPES, MATRIX, BY_MATRIX, EXPOSE, MENDED, COUNTS)
