"""Tasks of sheet 09: painting with stamps, its size, its matrix, the same by sliding, and checkerboards."""

from itertools import product

import torch
import torch.nn.functional as F
from torch import nn

from exercise_checks.tasks.calls import CONVOLUTIONS, TRANSPOSED
from exercise_checks.tasks.task import Draw, Misconception, pair, slips, task


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


def stamp_settings(draw: Draw):
    yield "the small picture of lesson 9", *lesson_example()
    yield "the same picture with stride 2", *lesson_example(), {"stride": 2}
    yield "a 3×3 kernel with padding 1", draw.whole(3, 4), draw.whole(3, 3), {"padding": 1}
    yield "a stride longer than the kernel", draw.whole(2, 3), draw.whole(2, 1), {"stride": 3}
    yield "a pair as stride", draw.whole(2, draw.size(3, 4)), draw.whole(3, 2), {"stride": (2, 1)}
    settings = {"stride": (1, 3), "padding": (0, 2)}
    yield "pairs as stride and as padding", draw.whole(3, 2), draw.whole(2, 4), settings
    yield "a picture of one pixel", draw.whole(1, 1, low=2), draw.whole(2, 3)
    settings = {"stride": 2, "padding": (1, 0)}
    yield "a picture that is not contiguous", draw.turned(4, 2), draw.turned(3, 2), settings
    X, K = draw.real(2, 3, dtype=torch.float64), draw.real(3, 3, dtype=torch.float64)
    yield "fractions in float64", X, K, {"stride": (1, 2)}
    yield "stride 2 with padding 1", draw.whole(2, 3), draw.whole(3, 3), {"stride": 2, "padding": 1}


@task(
    "Paint with stamps", stamp_settings, points=3, difficulty=3, importance=5, minutes=15,
    oracle=oracle, window=stamps_on, forbids=TRANSPOSED,
)  # fmt: skip
def paint(X, K, stride=1, padding=0):
    """Where is the top left corner of the stamp of X[0, 0], of X[0, 1], of X[1, 0], with stride 2? And where is the
    bottom right corner of the last stamp? That is the size of the paper.

    With `s, t` for the two strides: `Y[i * s : i * s + h, j * t : j * t + w] += X[i, j] * K` on a paper of
    (H - 1) * s + h rows. Then cut, with the end counted from the size: `Y[p : Y.shape[0] - p, ...]`.
    """
    s, t = stride if isinstance(stride, tuple) else (stride, stride)
    p, q = padding if isinstance(padding, tuple) else (padding, padding)
    (H, W), (h, w) = X.shape, K.shape
    Y = X.new_zeros((H - 1) * s + h, (W - 1) * t + w)
    for i in range(H):
        for j in range(W):
            Y[i * s : i * s + h, j * t : j * t + w] += X[i, j] * K
    return Y[p : Y.shape[0] - p, q : Y.shape[1] - q]


slips(paint, """
overwritten: += -> =
    Each stamp wipes out what it covers: you assign with `=`. Where stamps overlap, their numbers add up.
turned: * K -> * K.flip(0, 1)
    Your stamp is turned by 180 degrees. A painting pixel stamps the kernel as it is written; turning it belongs to the
    other way of computing this, by sliding.
numbers_only: stride if isinstance(stride, tuple) else (stride, stride) -> stride, stride
and: padding if isinstance(padding, tuple) else (padding, padding) -> padding, padding
    With whole numbers it works; a pair as stride or padding fails, as in the lesson's function. Make two numbers of
    each argument first, one for the rows and one for the columns.
stride_exchanged: s, t = -> t, s =
    You exchanged the two strides. The first number of the pair is the step from row to row, the second from column to
    column.
stride_of_rows: * t -> * s
    You use the first stride for the columns, too. In a pair each axis has its own.
pairs_exchanged: s, t = -> t, s =
and: p, q = -> q, p =
    You exchanged the two numbers of the pairs. In `stride` and in `padding` the rows come first, then the columns.
settings_unused: (H, W), -> s = t = 1; p = q = 0; (H, W),
    Your answer is the same for every `stride` and `padding`: they are not used. The stride moves the stamps apart, the
    padding is cut off at the end.
paper_too_long: (H - 1) * s + h, (W - 1) * t + w -> H * s + h - 1, W * t + w - 1
    Your paper has H * stride + h - 1 rows: with a stride above 1, that leaves rows and columns behind the last stamp.
    Where does the last stamp begin, and how long is it?
begin_of_another_stamp: (H - 1) * s + h, (W - 1) * t + w -> H * s + h, W * t + w
    Your paper has H * stride + h rows, as if one more stamp came behind the last. H stamps begin H - 1 steps apart:
    (H - 1) * stride + h.
paper_without_stride: (H - 1) * s + h, (W - 1) * t + w -> H - 1 + h, W - 1 + w
    Your paper is too small once the stride is above 1: its size does not know the stride. H stamps begin H - 1 steps
    apart: (H - 1) * stride + h rows.
loops_over_paper: range(H) -> range(Y.shape[0])
and: range(W) -> range(Y.shape[1])
    Your loops run over the paper, which is larger than the picture. Each pixel of X stamps once, so i and j count X's
    rows and columns.
pads_the_picture: (H, W), -> X = F.pad(X, (q, q, p, p)); (H, W),
and: [p : Y.shape[0] - p, q : Y.shape[1] - q] ->
    Your padding puts zeros around the picture before the painting, as a convolution does. Here it is cut off the paper
    after the painting.
padding_adds: Y[p : Y.shape[0] - p, q : Y.shape[1] - q] -> F.pad(Y, (q, q, p, p))
    Your padding puts a border around the answer. In a transposed convolution `padding` takes one away: it undoes the
    border that the convolution had added.
cut_at_one_end: p : Y.shape[0] - p, q : Y.shape[1] - q -> p:, q:
    You cut the padding off at the top and at the left only. It goes at the bottom and at the right, too.
empty_at_zero: p : Y.shape[0] - p, q : Y.shape[1] - q -> p:-p, q:-q
    With padding 0 nothing is left of your answer: `Y[p:-p]` with p = 0 is `Y[0:0]`, which is empty. Count the end from
    the size.
always_float32: X.new_zeros( -> torch.zeros(
    The values are right, but they are always float32. Make the paper with X's dtype, as `X.new_zeros(...)` does.
through_item: X[i, j] -> X[i, j].item()
    The values are right, but `.item()` makes a plain number of the pixel, and no gradient passes through a plain
    number. Multiply with `X[i, j]` itself.
stamp_in_place: X[i, j] * K -> K.mul_(X[i, j])
    Your stamp is K itself, not a copy: `*=` changes K, and the next pixel stamps what is left of it. Multiply with
    `*`, which makes a new tensor.
pairs_only: stride if isinstance(stride, tuple) else (stride, stride) -> stride
and: padding if isinstance(padding, tuple) else (padding, padding) -> padding
    A pair works, but a plain number cannot be taken apart into two. Make a pair of it first: `s, t = stride if
    isinstance(stride, tuple) else (stride, stride)`.
stamps_side_by_side: i * s : i * s + h, j * t : j * t + w -> i : i + h, j : j + w
    Your paper grows with the stride, but the stamps stay side by side. The stamp of X[i, j] begins at row i * stride
    and column j * stride.
loops_over_kernel: range(H) -> range(h)
and: range(W) -> range(w)
    Your loops run over the kernel. Each pixel of X stamps once, so i and j count X's rows and columns. When X and K
    have the same size, nobody notices.
padding_unused: [p : Y.shape[0] - p, q : Y.shape[1] - q] ->
    Your `padding` does nothing. So many rows and columns are cut off at each end of the paper, after the painting.
cut_twice_at_the_end: - p, q : Y.shape[1] - q -> - 2 * p, q : Y.shape[1] - 2 * q
    You cut the padding off once in front and twice at the end. Counted from the size, the end is `Y.shape[0] - p`:
    what you cut in front does not shift it.
ends_fixed: i * s : i * s + h, j * t : j * t + w -> i * s : h, j * t : w
    Your stamps begin at their own places, but all end at row h and column w. The end moves along with the start: `i *
    stride : i * stride + h`.
one_number_a_stamp: i * s : i * s + h, j * t : j * t + w -> i * s, j * t
and: X[i, j] * K -> (X[i, j] * K).sum()
    You put one number down for each pixel, the sum of its stamp. A stamp covers h rows and w columns of the paper,
    with a number for each.
pixels_skipped: i * s : i * s + h, j * t : j * t + w -> i : i + h, j : j + w
and: range(H) -> range(0, H, s)
and: range(W) -> range(0, W, t)
    Your loops jump over pixels of X. Every pixel stamps; the stride moves the stamps apart on the paper.
""")  # fmt: skip

# Mistakes that show only where a pair is handed in: whoever refuses pairs hides them.
HIDDEN_BY_NUMBERS = {
    "numbers_only",
    "pairs_only",
    "stride_exchanged",
    "stride_of_rows",
    "pairs_exchanged",
    "settings_unused",
    "always_float32",
}


def refusing_pairs(wrong):
    def numbers_only(X, K, stride=1, padding=0):
        if isinstance(stride, tuple):
            raise TypeError("a pair is no number")
        if isinstance(padding, tuple):  # it comes into play when the paper is cut, after the painting
            wrong(X, K, stride)
            raise TypeError("a pair is no number")
        return wrong(X, K, stride, padding)

    return numbers_only


def with_numbers_only():
    """Each mistake once more, by somebody who has not thought of pairs yet: the two often meet."""
    more = "After that, think of pairs: as a stride or a padding they raise an error so far."
    for m in paint.slips[0]():
        if m.name not in HIDDEN_BY_NUMBERS:
            yield Misconception(f"{m.name}_numbers_only", f"{m.sentence} {more}", refusing_pairs(m.wrong))


paint.slips.append(with_numbers_only)


def torch_shapes():
    def size(layer, *n):
        return tuple(layer(torch.zeros(1, 1, *n)).shape[2:])

    def missing(n, **setting):
        """The rows missing after a convolution and back."""
        (back,) = size(nn.Sequential(nn.Conv1d(1, 1, **setting), nn.ConvTranspose1d(1, 1, **setting)), n)
        return n - back

    return {
        "doubled": size(nn.ConvTranspose2d(1, 1, 4, stride=2, padding=1), 7, 7),
        "pairs": size(nn.ConvTranspose2d(1, 1, (2, 3), stride=(3, 2), padding=(0, 1)), 4, 5),
        "dilated": size(nn.ConvTranspose2d(1, 1, 3, stride=2, dilation=2), 5, 5),
        "halved": missing(28, kernel_size=3, stride=2, padding=1),
        "quartered": missing(31, kernel_size=5, stride=4),
        "weight": tuple(nn.ConvTranspose2d(4, 6, 3, groups=2).weight.shape),
    }


@task("Shapes without running", kind="predict", points=2, difficulty=3, importance=4, minutes=10, oracle=torch_shapes)
def painted_shapes():
    """Draw one axis. Where does the last stamp begin, and how many pixels does it cover? What does the padding take
    away, and at how many ends?

    Each axis: (n - 1)s - 2p + d(k - 1) + e + 1. For the two `output_padding`s: first the size after the convolution,
    then back with e = 0; what is missing is e. The weight is (in, out / groups, rows, columns).
    """
    return {
        "doubled": (14, 14),
        "pairs": (11, 9),
        "dilated": (13, 13),
        "halved": 1,
        "quartered": 2,
        "weight": (4, 3, 3, 3),
    }


slips(painted_shapes, """
convolution = {"doubled": (3, 3), "pairs": (1, 3), "dilated": (1, 1)}
    These are the sizes of a *convolution* with this setting. Here every pixel paints a patch: the picture grows.
stride_times = {"pairs": (12, 10), "dilated": (10, 10)}
    You took stride times the size. That is a rule of thumb, true for some settings only. Count: the last stamp begins
    at (n - 1) times the stride, and it is as long as the kernel.
one_stamp_too_far = {"doubled": (16, 16), "pairs": (14, 11), "dilated": (15, 15)}
    Your last stamp begins at n times the stride. The first one begins at 0, so the last one begins at (n - 1) times
    the stride.
padding_adds = {"doubled": (18, 18), "pairs": (11, 13)}
    Your padding makes the answer larger. In a transposed convolution it cuts rows and columns off.
padding_once = {"doubled": (15, 15), "pairs": (11, 10)}
    You took the padding off once. It goes at both ends of an axis: 2p.
dilation_ignored = {"dilated": (11, 11)}
    For `dilated` the stamp is longer than 3: dilation 2 leaves a gap of one pixel between its entries.
dilation_times_kernel = {"dilated": (14, 14)}
    For `dilated` you took a stamp of dilation times kernel size. Behind the last entry there is no gap: the stamp is
    d(k - 1) + 1 long.
columns_first = {"pairs": (9, 11)}
    Rows come first, in the picture's size, in every pair, and in the answer.
convs_weight = {"weight": (6, 2, 3, 3)}
    That is the weight of `Conv2d(4, 6, 3, groups=2)`. A transposed layer keeps its *input* channels on the first axis,
    and its output channels, divided by the groups, on the second.
groups_forgotten = {"weight": (4, 6, 3, 3)}
    That is the weight for one group. With two groups an input channel stamps onto half of the output channels only.
one_is_enough = {"quartered": 1}
    For `quartered` you took 1, which is the most that stride 2 needs. With stride 4 up to three rows can be missing.
    Go there with the convolution, come back, and count them.
stride_minus_one = {"quartered": 3}
    For `quartered` you took stride - 1, the largest `output_padding` there is. What is needed is the rest that the
    convolution left over: (n + 2p - k) mod s.
nothing_left_over = {"halved": 0, "quartered": 0}
    You say that the size comes back by itself. Compute the size without `output_padding`, and compare it with the size
    you want.
groups_divide_inputs = {"weight": (2, 6, 3, 3)}
    You divided the input channels by the groups. A transposed layer keeps all of them on the first axis, and divides
    the outputs, on the second.
""")  # fmt: skip


def torch_matrix(K, shape):
    units = torch.eye(shape[0] * shape[1], dtype=K.dtype).reshape(-1, 1, *shape)
    return F.conv2d(units, K[None, None]).flatten(1).T.contiguous()


def pictures_and_kernels(draw: Draw):
    yield "the matrix of lesson 9", lesson_example()[1], (3, 3)
    yield "a wide picture", draw.whole(2, 2, low=1), (2, draw.size(4, 5))
    yield "a tall picture", draw.whole(2, 2, low=1), (draw.size(4, 5), 3)
    yield "a wide kernel", draw.whole(1, 3, low=1), (3, 4)
    yield "a kernel of one pixel", draw.whole(1, 1, low=2), (2, 3)
    yield "a kernel as large as the picture", draw.whole(3, 2, low=1), (3, 2)
    yield "a kernel that is not contiguous", draw.turned(2, 3), (4, 4)
    yield "fractions in float64", draw.real(2, 2, dtype=torch.float64), (3, 4)


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


@task(
    "The matrix of a convolution", pictures_and_kernels, points=3, difficulty=4, importance=4, minutes=20,
    oracle=torch_matrix, window=entry, forbids=CONVOLUTIONS,
)  # fmt: skip
def conv_matrix(K, shape):
    """Which four pixels does the first answer read, and which numbers do they have in the flat picture? And the first
    answer of the second line?

    Four loops: i, j over the answers, a, b over the kernel. Row `i * (W - w + 1) + j`, column `(i + a) * W + (j + b)`,
    and there stands `K[a, b]`. Or push the unit pictures `torch.eye(H * W)` through `ops.corr2d`, one for each column.
    """
    (H, W), (h, w) = shape, K.shape
    A = torch.zeros((H - h + 1) * (W - w + 1), H * W, dtype=K.dtype)
    for i in range(H - h + 1):
        for j in range(W - w + 1):
            for a in range(h):
                for b in range(w):
                    A[i * (W - w + 1) + j, (i + a) * W + j + b] = K[a, b]
    return A


slips(conv_matrix, """
transposed: return A -> return A.T
    This is the transpose, the matrix of the painting. A row of A belongs to an answer, a column to a pixel of the
    picture.
flipped: K[a, b] -> K[h - 1 - a, w - 1 - b]
    Your kernel is turned by 180 degrees. A is the matrix of the cross-correlation: the kernel lies on the picture as
    it is written.
moved_by_one: (i + a) * W + j + b -> i * (W - w + 1) + j + a * W + b
    Each of your rows is the one above, moved by one. That is true along a line of answers only. At the end of the line
    the window goes back to the left edge of the picture, one row below.
in_one_piece: (i + a) * W + j + b -> i * W + j + a * w + b
    You put the kernel into a row in one piece. Its rows belong to different rows of the picture, and in the flat
    picture these begin W places apart.
height_for_width: (i + a) * W + j + b -> (i + a) * H + j + b
    You count `row * H + column`. A row of the picture has W pixels, so pixel (r, c) is number `r * W + c`. On square
    pictures nobody notices.
columns_first: (i + a) * W + j + b -> (j + b) * H + i + a
    You number the pixels down the columns. `flatten()` goes along the rows: pixel (r, c) is number `r * W + c`.
answers_width: (i + a) * W + j + b -> (i + a) * (W - w + 1) + j + b
    You count a pixel's number with the width of the *answer*. In the flat picture the rows begin W places apart, W
    being the picture's width.
size_exchanged: (H, W) -> (W, H)
    You took `shape` as (columns, rows). It is (H, W): H rows of W pixels. On square pictures nobody can tell.
always_float64: dtype=K.dtype -> dtype=torch.float64
    The values are right, but the matrix is always float64, as in section 9.6. Here it must have the dtype of K.
always_float32: , dtype=K.dtype ->
    The values are right, but the matrix is always float32. Make the zeros with `dtype=K.dtype`.
through_item: K[a, b] -> K[a, b].item()
    The values are right, but the matrix no longer knows the kernel: `.item()` or `.tolist()` made plain numbers of it,
    and no gradient flows back. Assign the tensor's entries themselves.
four_axes: return A -> return A.reshape(H - h + 1, W - w + 1, H, W)
    The numbers are right, but they stand in a table with four axes. Lay the answer's two axes flat, and the picture's
    two: `A.reshape(-1, H * W)`.
""")  # fmt: skip


def matrix_by_rows(K, shape):
    (H, W), (h, w) = shape, K.shape
    A = torch.zeros((H - h + 1) * (W - w + 1), H * W, dtype=K.dtype)
    for i in range(H - h + 1):
        for j in range(W - w + 1):
            image = torch.zeros(H, W, dtype=K.dtype)
            image[i : i + h, j : j + w] = K
            A[i * (W - w + 1) + j] = image.flatten()
    return A


slips(conv_matrix, """
counter_behind: A[i * (W - w + 1) + j] -> A[i]
    Your row number moves once in a line of answers, so the answers of a line are written over each other. Each answer
    has a row of its own: count inside the inner loop.
kernel_counts_answers: H - h + 1 -> h
and: W - w + 1 -> w
    You count the answers by the size of the kernel. There are as many as places for the window: H - h + 1 rows and
    W - w + 1 columns. With a 2×2 kernel on a 3×3 picture nobody notices.
pictures_not_flat: return A -> return A.reshape(-1, W)
    You put pictures below one another. Each answer has one row: lay its picture flat first, with `flatten()`.
zeros_not_renewed: image = torch.zeros(H, W, dtype=K.dtype) -> pass
and: A = -> image = torch.zeros(H, W, dtype=K.dtype); A =
    Each of your rows still holds the windows of the rows above. Begin each row with new zeros.
""", answer=matrix_by_rows)  # fmt: skip


def matrix_painting(A, Y, shape):
    return torch.einsum("yx,y->x", A, Y.reshape(-1)).reshape(shape)


def matrices_and_answers(draw: Draw):
    Y, K = lesson_example()
    yield "the matrix of lesson 9", torch_matrix(K, (3, 3)), Y, (3, 3)
    for label, (h, w), (H, W) in [
        ("a wide picture", (2, 2), (3, 5)),
        ("a tall picture", (2, 1), (5, 3)),
        ("a wide kernel", (1, 3), (2, 5)),
    ]:
        yield label, torch_matrix(draw.whole(h, w, low=1), (H, W)), draw.whole(H - h + 1, W - w + 1), (H, W)
    A = torch_matrix(draw.whole(2, 2, low=1), (4, 3))
    yield "an answer that is not contiguous", A, draw.turned(3, 2), (4, 3)
    A = torch_matrix(draw.real(2, 2, dtype=torch.float64), (3, 4))
    yield "fractions in float64", A, draw.real(2, 3, dtype=torch.float64), (3, 4)


@task(
    "Turn the matrix", matrices_and_answers, points=1, difficulty=2, importance=4, minutes=5,
    oracle=matrix_painting, forbids=CONVOLUTIONS,
)  # fmt: skip
def paint_with_matrix(A, Y, shape):
    """A turns H * W numbers into as many as Y has. Which matrix, made from A, takes numbers the other way?

    `A.T @ Y.flatten()`, in the shape `shape`.
    """
    return (A.T @ Y.flatten()).reshape(shape)


slips(paint_with_matrix, """
inverse: A.T -> torch.linalg.pinv(A)
    You solve for a picture whose convolution is Y: that is an inverse (`pinv`, `lstsq`). A transposed convolution
    inverts nothing; it multiplies by the transpose of A.
reshaped: A.T -> A.reshape(A.shape[1], A.shape[0])
    You gave A the other shape with `reshape`, which reads the same numbers in the same order. To exchange rows and
    columns take `.T`.
not_turned: A.T -> A
    You multiply by A itself. It takes the pixels of a picture and gives answers. You have the answers, and want the
    pixels.
not_flat: Y.flatten() -> Y
    Y is still a table. The matrix takes its numbers in one row: flatten Y first.
left_flat: .reshape(shape) ->
    The numbers are right, but they stand in one row. Give them the shape of the picture.
size_exchanged: reshape(shape) -> reshape(shape[::-1])
    You exchanged rows and columns of `shape`: (H, W) means H rows of W numbers.
answer_turned: Y.flatten() -> Y.T.flatten()
    You flattened Y down its columns. The rows of A follow the answers along the rows of Y: `Y.flatten()`.
picture_turned: reshape(shape) -> reshape(shape[::-1]).T
    The numbers are right, but you laid them down column by column. They follow the picture's pixels along its rows.
star_for_at: @ -> *
    `*` multiplies number by number and adds nothing up. A matrix times a vector is `@`.
no_inverse: A.T -> torch.inverse(A)
    A has no inverse, for it is not square: many pixels give few answers. Nothing is inverted here. A transposed
    convolution multiplies by the transpose, `A.T`.
""")  # fmt: skip


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


def with_stride_1(test):
    """A predicate for answers of the right form with stride 1: `test(X, K)` looks at their numbers."""
    return lambda value: not unfit(value) and value[2] == 1 and test(*value[:2])


@task(
    "Find an input that breaks it", kind="bug", points=1, difficulty=2, importance=4, minutes=5,
    accept=exposes, broken=broken_slide,
)  # fmt: skip
def breaks_slide():
    """Section 9.10 has three steps. Which of them does this function take, and on which kernel does a missing one not
    matter?

    Leave the picture and the stride as they are, and take a kernel that changes when it is turned by 180 degrees, such
    as the lesson's. Or leave the kernel and take stride 2: compare the sizes.
    """
    return torch.ones(2, 3), torch.arange(4.0).reshape(2, 2), 1


slips(breaks_slide, """
dark = torch.zeros(3, 4), torch.ones(2, 2), 1
if: with_stride_1(lambda X, K: not X.any())
    Your picture is zero everywhere. Whatever the stamp, nothing is painted, and the stride is 1, so the size is right,
    too.
one_pixel = torch.ones(2, 2), torch.ones(1, 1), 1
if: with_stride_1(lambda X, K: K.numel() == 1)
    Your kernel has one number only, and there is nothing to turn about it. With stride 1 there are no zeros to put
    between the pixels, either.
all_equal = torch.ones(2, 3), torch.ones(2, 2), 1
if: with_stride_1(lambda X, K: K.min() == K.max())
    All numbers of your kernel are equal, so it does not matter how it lies. That is the author's test once more. Take
    another kernel, or another stride.
turned_alike = torch.ones(2, 3), torch.tensor([[1.0, 2.0, 1.0]]), 1
if: with_stride_1(lambda X, K: torch.equal(K, K.flip(0, 1)))
    Your kernel, turned by 180 degrees, is itself again. So this stride of 1 cannot show whether it should have been
    turned.
""")  # fmt: skip


def strides_to_slide(draw: Draw):
    yield "the lesson's picture with stride 2", torch.arange(1.0, 5).reshape(2, 2), lesson_example()[1], 2
    yield "stride 1", draw.whole(3, 4), draw.whole(2, 2, low=1), 1
    yield "a stride longer than the kernel", draw.whole(2, 2, low=1), draw.whole(2, 2, low=1), 3
    yield "a wide kernel", draw.whole(3, 2), draw.whole(1, 3, low=1), 2
    yield "a tall kernel", draw.whole(2, draw.size(3, 4)), draw.whole(3, 2), 2
    yield "a picture of one pixel", draw.whole(1, 1, low=2), draw.whole(2, 3), 2
    yield "a picture that is not contiguous", draw.turned(3, 4), draw.turned(2, 3), 1
    yield "fractions in float64", draw.real(2, 3, dtype=torch.float64), draw.real(3, 3, dtype=torch.float64), 2


def slid_oracle(X, K, stride):
    return oracle(X, K, stride)


@task(
    "Mend it", strides_to_slide, kind="bug", points=2, difficulty=3, importance=4, minutes=10,
    oracle=slid_oracle, window=stamps_on, forbids=TRANSPOSED,
)  # fmt: skip
def mended_slide(X, K, stride):
    """Call it with stride 1 and a picture that is a single 1. What should come out is the kernel itself (quiz question
    3). What does come out? Then compare the *size* with stride 2.

    Between n pixels lie n - 1 gaps of stride - 1 zeros, which makes `(n - 1) * stride + 1` numbers. And slide
    `K.flip(0, 1)`.
    """
    h, w = K.shape
    H, W = ((n - 1) * stride + 1 for n in X.shape)  # no zeros behind the last pixel
    spread = torch.zeros(H, W, dtype=X.dtype)
    spread[::stride, ::stride] = X
    around = F.pad(spread, (w - 1, w - 1, h - 1, h - 1))
    return F.conv2d(around[None, None], K.flip(0, 1)[None, None])[0, 0]


slips(mended_slide, """
unchanged = broken_slide
    Both mistakes are still there: the kernel slides as it is written, and behind the last pixel there are zeros that
    belong *between* pixels only.
zeros_behind_the_last: (n - 1) * stride + 1 -> n * stride
    The kernel is mended, the size is not: with stride 2 your answer has a row and a column too many. Between n pixels
    there are n - 1 gaps. How many numbers is that together?
not_turned: .flip(0, 1) ->
    The size is mended, but your kernel slides as it is written. A single pixel of 1 must give the kernel; yours gives
    it turned by 180 degrees. Slide `K.flip(0, 1)`, which is a turned copy: K itself stays as it is.
turned_along_one_axis: flip(0, 1) -> flip(0)
    You turned the kernel upside down but not left to right. It must be turned along both axes.
turned_along_the_other: flip(0, 1) -> flip(1)
    You turned the kernel left to right but not upside down. Both axes must be reversed.
transposed_for_turned: K.flip(0, 1) -> K.T
    You exchanged rows and columns of the kernel with `.T`. To turn it by 180 degrees reverse both axes: `flip`.
cut_in_front: (n - 1) * stride + 1 -> n * stride
and: [0, 0] -> [0, 0, stride - 1 :, stride - 1 :]
    You cut the surplus off at the top and at the left. The zeros too many stand behind the last pixel, at the bottom
    and at the right.
cut_one: (n - 1) * stride + 1 -> n * stride
and: [0, 0] -> [0, 0, :-1, :-1]
    You cut off one row and one column, whatever the stride. That is right for stride 2. With stride 1 nothing is too
    many; with stride 3 it is two.
empty_at_one: (n - 1) * stride + 1 -> n * stride
and: [0, 0] -> [0, 0, : -(stride - 1), : -(stride - 1)]
    With stride 1 nothing is left of your answer: `Y[:-(stride - 1)]` is then `Y[:0]`, which is empty. Make the spread
    picture in the right size from the start.
spread_empty_at_one: (n - 1) * stride + 1 -> n * stride
and: pad(spread -> pad(spread[: -(stride - 1), : -(stride - 1)]
    With stride 1 nothing is left of your spread picture: `spread[:-(stride - 1)]` is then `spread[:0]`, which is
    empty. Make it in the right size from the start.
spread_one_less: (n - 1) * stride + 1 -> n * stride - 1
    Your spread picture is n * stride - 1 long. That is right for stride 2 only. Between n pixels there are n - 1 gaps
    of stride - 1 zeros: how many numbers is that together?
picture_turned: K.flip(0, 1) -> K
and: = X -> = X.flip(0, 1)
    You turned the picture. Each pixel stays at its place; it is the kernel that must be turned.
negative_step: K.flip(0, 1) -> K[::-1, ::-1]
    Tensors take no negative steps, unlike NumPy's arrays and Python's lists. `K.flip(0, 1)` turns a table by 180
    degrees.
zeros_in_float32: , dtype=X.dtype ->
    In float32 it is right. But `torch.zeros` makes float32 unless told otherwise, and a kernel in float64 does not go
    with that: give it `dtype=X.dtype`.
""")  # fmt: skip


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


@task(
    "Checkerboards without running", kind="predict", points=2, difficulty=3, importance=4, minutes=10,
    oracle=torch_counts,
)  # fmt: skip
def stamp_counts():
    """Take squared paper, one axis. Draw each stamp as a bar: where does it begin, where does it end? How many bars
    lie above each place?

    In two dimensions the counts are products. Inside, kernel k with stride s gives (k / s)² if s divides k; otherwise
    not all places get the same. `unpainted`: the paper has 11×11 places, 8 rows and 8 columns of it are painted.
    """
    return {
        "row": (1, 1, 2, 1, 2, 1, 2, 1, 1),
        "kernel_3": (1, 2, 4),
        "kernel_6": 9,
        "even": (3, 6, 9),
        "unpainted": 57,
        "tent": 4,
    }


slips(stamp_counts, """
no_ends = {"row": (2, 1, 2, 1, 2, 1, 2, 1, 2)}
    For `row` you alternate from the very first place. Stamps cover 0 to 2, 2 to 4, 4 to 6 and 6 to 8: at the ends
    there is only one stamp.
wrong_places = {"row": (1, 2, 1, 2, 1, 2, 1, 2, 1)}
    For `row` you let the stamps overlap at the odd places. The stamps begin at 0, 2, 4 and 6 and are 3 long: they
    share places 2, 4 and 6.
counts_added = {"kernel_3": (2, 3, 4)}
    For `kernel_3` you added the counts of the two axes. A place is reached by every stamp whose row *and* whose column
    fit: the counts are multiplied.
one_axis_only = {"kernel_6": 3}
    Your counts hold for one axis. In two dimensions the count along the rows is multiplied by the count along the
    columns.
all_entries = {"kernel_6": 36}
    For `kernel_6` you counted all 36 entries of the kernel. With stride 1 that would be right. With stride 2 only
    every second entry of each axis can meet a given place.
even_numbers = {"even": (2, 4, 6, 8)}
    For `even` you listed the even numbers. That is the rule for stride 2. For stride 3 ask which kernels are as long
    as a whole number of strides.
longer_than_stride = {"even": (3, 4, 5, 6, 7, 8, 9)}
    For `even` you listed all kernels that leave no gap. No gap is not enough: kernel 4 with stride 3 covers one place
    in three twice.
only_crossings = {"unpainted": 9}
    For `unpainted` you counted the places where an empty row crosses an empty column. The whole row is empty, and the
    whole column.
painted_counted = {"unpainted": 64}
    For `unpainted` you counted the places that *are* painted. Take them from all 121.
whole_tent = {"tent": 16}
    For `tent` you added up all entries of the kernel. At one place only every second row and every second column of
    the kernel arrives: one *phase*.
one_axis_for_kernel_3 = {"kernel_3": (1, 2)}
    For `kernel_3` you gave the counts of one axis. Where two rows of stamps and two columns of stamps meet, four
    stamps lie on each other.
largest_first = {"kernel_3": (4, 2, 1)}
    For `kernel_3` you have the right numbers. The smallest comes first.
crossings_twice = {"unpainted": 66}
    For `unpainted` you counted the places twice where an empty row crosses an empty column.
rows_only = {"unpainted": 33}
    For `unpainted` you counted the empty rows. There are empty columns, too.
kernel_once = {"even": (3,)}
    For `even` you named the kernel that is as long as one stride. Longer ones do it, too: which are as long as a whole
    number of strides?
""")  # fmt: skip
