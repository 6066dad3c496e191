"""Tasks of sheet 03: sizes, padding and stride in the loop, padding off again, same padding, how often pixels count."""

import torch
import torch.nn.functional as F

from exercise_checks.tasks.calls import CONVOLUTIONS, OTHER_OPS
from exercise_checks.tasks.task import Draw, as_list, pair, slips, task

PICTURE = (32, 50)
STACK = {  # kernel, stride, padding
    "first": (5, 1, 2),
    "second": (3, 2, 1),
    "third": ((3, 5), (2, 3), (0, 2)),
    "fourth": (4, 1, 2),
}


def torch_sizes():
    found, Y = {}, torch.zeros(1, 1, *PICTURE)
    for name, (k, s, p) in STACK.items():
        Y = F.conv2d(Y, torch.zeros(1, 1, *pair(k)), stride=s, padding=p)
        found[name] = tuple(Y.shape[2:])
    return found


@task("Sizes of a stack", kind="predict", points=2, difficulty=2, importance=5, minutes=10, oracle=torch_sizes)
def stack_sizes():
    """Take rows and columns apart, and one layer at a time. How many pixels has the padded picture along this axis?
    How many steps of length s can the kernel make on it?

    Along each axis (n + 2p - k) // s + 1, where // rounds down. For the second layer's rows: (32 + 2 - 3) // 2 + 1.
    """
    found, size = {}, PICTURE
    for name, settings in STACK.items():
        axes = zip(size, *map(pair, settings), strict=True)
        size = tuple((n + 2 * p - k) // s + 1 for n, k, s, p in axes)
        found[name] = size
    return found


slips(stack_sizes, """
padding_total: 2 * p -> p
    You added p where 2p belongs. In code, `padding` counts the zeros per side, and an axis has two sides.
padding_forgotten: + 2 * p ->
    You left the padding out. It makes the picture larger by 2p pixels on each axis before the kernel slides.
no_plus_one: + 1 ->
    You counted the steps and not the places. The place where the kernel starts counts, too: there is one place more
    than there are steps.
rounded_up: (n + 2 * p - k) // s -> -(-(n + 2 * p - k) // s)
    You rounded up. A step that does not fit whole is not taken, so the division is rounded down.
stride_forgotten: // s ->
    You left the stride out. With stride 2 the kernel skips every second place, and the answer is about half as large.
each_on_the_picture: zip(size -> zip(PICTURE
    You put each layer on the picture of 32×50. In a stack, a layer gets the answer of the layer before it.
pairs_swapped = {"third": (6, 12)}
    In the third layer you took the first number of each pair for the columns. A pair is (rows, columns): the kernel
    (3, 5) has 3 rows.
columns_first: found[name] = size -> found[name] = size[::-1]
    The numbers are right, the order is not. Rows come first, as in the picture's size (32, 50).
even_keeps = {"fourth": (7, 9)}
    The fourth layer does not keep the size. Padding k/2 does more than that for an even kernel: 2p is 4, and the
    kernel takes k - 1 = 3 away.
""")  # fmt: skip


def oracle(X, K, stride=1, padding=0):
    return F.conv2d(X[None, None], K[None, None], stride=stride, padding=padding)[0, 0]


def steps(draw: Draw):
    X, K = torch.arange(9.0).reshape(3, 3), torch.arange(4.0).reshape(2, 2)
    yield "the lesson's picture", X, K, {"stride": (3, 2), "padding": 1}
    yield "the lesson's picture with a pair for padding", X, K, {"padding": (1, 2)}
    yield "a call without stride and padding", draw.whole(4, 6), draw.whole(3, 2)
    X = draw.whole(7, draw.size(4, 6))
    yield "numbers that stand for both axes", X, draw.whole(3, 3), {"stride": 2, "padding": 2}
    yield "two pairs", draw.whole(6, 8), draw.whole(3, 2), {"stride": (1, 3), "padding": (2, 0)}
    yield "steps longer than the kernel", draw.whole(8, 7), draw.whole(1, 2), {"stride": (2, 3)}
    X = draw.turned(4, 6)
    yield "a picture that is not contiguous", X, draw.turned(3, 2), {"stride": (1, 2), "padding": (0, 1)}
    X = draw.whole(6, 7, dtype=torch.float64) + 2**25  # neighbours differ in float64 only
    edge = torch.tensor([[1.5, -0.5, -1.0]], dtype=torch.float64)
    yield "large numbers in float64", X, edge, {"stride": 2, "padding": (1, 3)}
    yield "a kernel as large as the picture", draw.whole(2, 3), draw.whole(2, 3), {"padding": 0}


def strided_window(index, X, K, stride=1, padding=0):
    """Tell where the window of an answer's pixel lies, in the padded picture."""
    (sh, sw), (ph, pw), (h, w) = pair(stride), pair(padding), K.shape
    i, j = index[0] * sh, index[1] * sw
    window = F.pad(X, (pw, pw, ph, ph))[i : i + h, j : j + w]
    of = "the padded picture" if ph or pw else "X"
    return f"rows {i}:{i + h} and columns {j}:{j + w} of {of}, {as_list(window)}"


@task(
    "With padding and stride", steps, points=3, difficulty=3, importance=5, minutes=20,
    oracle=oracle, window=strided_window, forbids=CONVOLUTIONS | OTHER_OPS,
)  # fmt: skip
def corr2d_strided(X, K, stride=1, padding=0):
    """Two steps that do not know of each other. What must be done to the picture before the kernel slides? And which
    of the answers with stride 1 are left when the kernel takes longer steps?

    `F.pad(X, (pw, pw, ph, ph))` pads ph rows above and below and pw columns at each side. Correlate that with K as in
    lesson 1, and keep every sh-th row and every sw-th column: `[::sh, ::sw]`.
    """
    (sh, sw), (ph, pw), (h, w) = pair(stride), pair(padding), K.shape
    P = F.pad(X, (pw, pw, ph, ph))
    Y = torch.zeros((P.shape[0] - h) // sh + 1, (P.shape[1] - w) // sw + 1, dtype=X.dtype)
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            Y[i, j] = (P[i * sh : i * sh + h, j * sw : j * sw + w] * K).sum()
    return Y


slips(corr2d_strided, """
pairs_forgotten: pair(stride), pair(padding) -> (stride, stride), (padding, padding)
    Plain numbers work, a pair raises a TypeError. Begin by making a pair of each argument that is a number: 2 means
    (2, 2).
numbers_forgotten: pair(stride), pair(padding) -> stride, padding
    Two pairs work, a plain number raises a TypeError, also the default 1 or 0. Begin by making a pair of each argument
    that is a number: 2 means (2, 2).
starts_at_i: i * sh : i * sh + h, j * sw : j * sw + w -> i : i + h, j : j + w
    Your answer has the right size, but your windows move by one pixel: the one for row i starts at row i. With a
    stride it starts at row i times stride.
stride_rows_only: pair(stride) -> (pair(stride)[0], 1)
    The stride acts on the rows alone. The columns have one of their own: the second number of the pair.
first_stride_twice: // sw -> // sh
and: * sw -> * sh
    The columns take the rows' step. The second number of the pair `stride` is theirs.
one_place_lost: - h) // sh + 1 -> - h + 1) // sh
and: - w) // sw + 1 -> - w + 1) // sw
    Your answer is too small where the steps do not come out even. The first place takes no step, so the 1 comes after
    the division: (n + 2p - k) // s + 1.
stride_swapped: (sh, sw) -> (sw, sh)
    The two numbers of `stride` are exchanged. The first is the step from row to row, the second from column to column.
picture_thinned: (pw, pw, ph, ph)) -> (pw, pw, ph, ph))[::sh, ::sw]; sh = sw = 1
    You dropped pixels of the picture. A stride drops places of the window: inside a window all pixels are read, side
    by side.
padding_swapped: (pw, pw, ph, ph) -> (ph, ph, pw, pw)
    The two numbers of `padding` are exchanged: the first counts rows, above and below. Take care with `F.pad`, which
    counts from the last axis: left, right, top, bottom.
columns_only: (pw, pw, ph, ph) -> (pw, pw)
    Your zeros stand left and right only. `F.pad` with two numbers pads the last axis; rows above and below need two
    more.
one_side: (pw, pw, ph, ph) -> (pw, 0, ph, 0)
    You padded above and on the left only. `padding` counts zeros per side: as many below and on the right.
padding_total: (pw, pw, ph, ph) -> (pw // 2, pw - pw // 2, ph // 2, ph - ph // 2)
    You took `padding` for the zeros of both sides together. It counts them per side.
flipped: * K) -> * K.flip(0, 1))
    Your kernel is flipped. The task asks for cross-correlation, as in lesson 1.
picture_rounded: F.pad(X, -> F.pad(X.float(),
    In float64 you are right to seven digits only: the padded picture is float32. Give `torch.zeros(...)` a
    `dtype=X.dtype`.
always_float32: , dtype=X.dtype ->
    The values are right, but they are always float32. Give `torch.zeros(...)` the dtype of X, so that float64 stays
    float64.
""")  # fmt: skip


def broken_unpad(X, padding):
    p, q = padding
    return X[p:-p, q:-q]


def unpadded(X, padding):
    return F.pad(X, (-padding[1], -padding[1], -padding[0], -padding[0]))


def is_frame(value):
    """A picture and a pair of whole numbers."""
    if not (isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], torch.Tensor)):
        return False
    return isinstance(value[1], tuple) and [type(p) for p in value[1]] == [int, int]


def leaves_a_pixel(value):
    (H, W), (p, q) = value[0].shape, value[1]
    return min(H - 2 * p, W - 2 * q) > 0


def exposes(value):
    """A padded picture, and a padding to take off, on which `broken_unpad` goes wrong."""
    if not is_frame(value):
        return "Return a tensor and a pair of whole numbers: `return X, (rows, columns)`."
    X, padding = value
    if X.ndim != 2 or X.numel() > 10_000:
        return "X must be a matrix, with rows and columns, of at most 10000 pixels."
    if min(padding) < 0:
        return "A padding counts pixels: it cannot be negative."
    if not leaves_a_pixel(value):
        return "X must be larger than the padding that is taken off it, so that a pixel is left."
    if broken_unpad(X, padding).shape == unpadded(X, padding).shape:
        return "On this input `broken_unpad` is right. Look for one on which it is not."
    return None


@task(
    "Find an input that breaks it", kind="bug", points=1, difficulty=2, importance=4, minutes=5,
    accept=exposes, broken=broken_unpad,
)  # fmt: skip
def breaks_unpad():
    """Which paddings occur in practice, and which of them did the author not try? Look through the layers of lesson 3.

    What is -0? Then what is `X[0:-0]`?
    """
    X = torch.ones(3, 4)
    padding = (0, 1)
    return X, padding


slips(breaks_unpad, """
some_padding = torch.ones(4, 5), (1, 2)
if: lambda value: is_frame(value) and min(value[1]) > 0 and leaves_a_pixel(value)
    On this input it is right, and it is for every padding of 1 or more on both axes, on any picture. Which number of
    rows or columns have you not tried?
nothing_left: (0, 1) -> (2, 2)
if: lambda value: is_frame(value) and min(value[1]) >= 0 and not leaves_a_pixel(value)
    You take off more than there is. No function could leave a pixel of this picture, so nothing is shown. Take a
    picture that is larger than its padding.
one_number: (0, 1) -> 0
if: lambda value: len(value) == 2 and isinstance(value[0], torch.Tensor) and isinstance(value[1], int)
    The padding must be a pair, (rows, columns). A single number raises an error in the very first line, and that is
    the caller's mistake.
""")  # fmt: skip


def frames(draw: Draw):
    yield "the lesson's row, padded", F.pad(torch.arange(1.0, 5).reshape(1, 4), (2, 2, 1, 1)), (1, 2)
    yield "a picture padded left and right only", draw.whole(3, 6), (0, draw.size(1, 2))
    yield "a picture padded above and below only", draw.whole(7, 4), (draw.size(1, 2), 0)
    yield "a picture without padding", draw.whole(3, 5), (0, 0)
    yield "a picture with much padding", draw.whole(7, 8), (3, 2)
    yield "a picture that is not contiguous", draw.turned(5, 8), (1, 3)
    yield "float64", draw.real(4, 5, dtype=torch.float64), (1, 0)


@task(
    "Mend it", frames, kind="bug", points=1, difficulty=2, importance=4, minutes=5,
    oracle=unpadded, forbids=CONVOLUTIONS,
)  # fmt: skip
def mended_unpad(X, padding):
    """A slice may end at a place counted from the front instead of from the back. At which row does the picture
    without its padding end, if X has `X.shape[0]` rows?

    `X[p : X.shape[0] - p]` for the rows: with p = 0 it ends at the last row, and nothing is special. The columns
    likewise.
    """
    p, q = padding
    H, W = X.shape
    return X[p : H - p, q : W - q]


slips(mended_unpad, """
unchanged = broken_unpad
    A padding of 0 still gives an empty picture: `-0` is 0, and `X[0:0]` holds nothing.
only_both_zero: X[p : H - p, q : W - q] -> X if padding == (0, 0) else X[p:-p, q:-q]
    You treat `padding == (0, 0)`, and that is right now. With (0, 1) one axis has padding and the other has none: each
    axis needs its own care.
either_zero: X[p : H - p, q : W - q] -> X if 0 in padding else X[p:-p, q:-q]
    You return the whole picture as soon as one of the numbers is 0. With (0, 1) there is still a column to take off at
    each side.
rows_only: W - q -> -q
    The rows are mended, the columns are not: `X[..., 0:-0]` is empty for the same reason.
columns_only: H - p -> -p
    The columns are mended, the rows are not: `X[0:-0]` is empty for the same reason.
front_only: p : H - p, q : W - q -> p:, q:
    You take the padding off above and on the left. It stands below and on the right, too.
swapped: p, q = padding -> q, p = padding
    Rows and columns are exchanged: the first number of `padding` counts rows.
""")  # fmt: skip


def same(X, kernel_size):
    (top, bottom), (left, right) = (((k - 1) // 2, k // 2) for k in kernel_size)
    return F.pad(X, (left, right, top, bottom))


def pictures_to_keep(draw: Draw):
    yield "a small picture", torch.arange(1.0, 5).reshape(2, 2), (2, 3)
    yield "an odd kernel", draw.whole(4, 6), (3, 3)
    yield "an even kernel", draw.whole(5, 3), (2, 2)
    yield "a larger even kernel", draw.whole(4, draw.size(4, 6)), (4, 4)
    yield "a tall kernel", draw.whole(3, 5), (5, 2)
    yield "a kernel of one row", draw.whole(3, 4), (1, 4)
    yield "a kernel of one pixel", draw.whole(3, 2), (1, 1)
    yield "a picture that is not contiguous", draw.turned(3, 5), (2, 4)
    yield "float64", draw.real(2, 4, dtype=torch.float64), (3, 2)


@task(
    "Keep the size", pictures_to_keep, points=3, difficulty=3, importance=4, minutes=15,
    oracle=same, forbids=CONVOLUTIONS,
)  # fmt: skip
def pad_same(X, kernel_size):
    """Take a row `1 2 3 4` and a kernel of 4 pixels. How many numbers may the padded row have, if four answers shall
    come out? How do you share the new ones between two sides, when their number is odd?

    Along each axis k - 1 zeros: `before = (k - 1) // 2` and `after = k - 1 - before`. Make zeros of the new size, and
    write X into rows `top` to `top + X.shape[0]`, the columns likewise.
    """
    (H, W), (h, w) = X.shape, kernel_size
    top, left = (h - 1) // 2, (w - 1) // 2
    Y = torch.zeros(H + h - 1, W + w - 1, dtype=X.dtype)
    Y[top : top + H, left : left + W] = X
    return Y


slips(pad_same, """
odd_one_first: (h - 1) // 2, (w - 1) // 2 -> h // 2, w // 2
    The size is right. For even kernels your odd zero stands above and on the left, as in NumPy. PyTorch puts it after:
    below and on the right.
half_of_k: (h - 1) // 2, (w - 1) // 2 -> h // 2, w // 2
and: H + h - 1, W + w - 1 -> H + 2 * top, W + 2 * left
    You pad k // 2 on each side. That keeps the size for odd kernels; under an even one the answer grows by a pixel.
rounded_down: H + h - 1, W + w - 1 -> H + 2 * top, W + 2 * left
    You pad (k - 1) // 2 on each side. For an even kernel, k - 1 is odd, and the remainder of the division is the zero
    that is missing.
full: (h - 1) // 2, (w - 1) // 2 -> h - 1, w - 1
and: H + h - 1, W + w - 1 -> H + 2 * top, W + 2 * left
    You pad k - 1 on each side. That is full padding. To keep the size, both sides together get k - 1.
one_side: (h - 1) // 2, (w - 1) // 2 -> 0, 0
    The number of zeros is right, but all of them stand below and on the right. Share them between the two sides.
swapped: (h, w) -> (w, h)
    Rows and columns are exchanged: the kernel's height says how many rows of zeros are needed.
minus_zero: top : top + H, left : left + W -> top : -(h // 2), left : -(w // 2)
    When no zero stands after the picture, `Y[top:-bottom]` is `Y[top:-0]`, and that is empty. Task 3 was about this.
    Count the end from the front.
always_float32: , dtype=X.dtype ->
    The values are right, but they are always float32. Give `torch.zeros(...)` a `dtype=X.dtype`.
detached: ] = X -> ] = X.detach()
    The values are right, but no gradient comes back to X: bare numbers stand among the zeros. Assign X itself, without
    `.detach()`, `.data`, `.tolist()` or `torch.no_grad()`.
""")  # fmt: skip


def usage(size, kernel_size, stride=1, padding=0):
    """The number of windows that read each pixel: the gradient of the sum of all answers."""
    with torch.enable_grad():
        X = torch.ones(1, 1, *size, requires_grad=True)
        total = F.conv2d(X, torch.ones(1, 1, *kernel_size), stride=stride, padding=padding).sum()
        return torch.autograd.grad(total, X)[0][0, 0].round().int()


def uses():
    counts = usage((9, 9), (5, 5), padding=2)
    unread = usage((9, 7), (2, 2), stride=3) == 0
    return {
        "corner": int(counts[0, 0]),
        "edge": int(counts[0, 4]),
        "inside": int(counts[4, 4]),
        "unread": int(unread.sum()),
    }


@task("How often a pixel is read", kind="predict", points=2, difficulty=3, importance=3, minutes=10, oracle=uses)
def pixel_uses():
    """Look at one axis only. A kernel of 5 pixels reads the very first pixel: where may it start, if it may start at
    most two pixels outside? For the last number: which rows are read, which columns?

    Count along rows and along columns, then multiply. The first pixel is read from the starts -2, -1 and 0, a middle
    one from five. For the unread pixels, count the read rows times the read columns and subtract from 9 · 7.
    """
    return {"corner": 9, "edge": 15, "inside": 25, "unread": 39}


slips(pixel_uses, """
all_equal = {"corner": 25, "edge": 25}
    Every pixel counts equally under full padding only, here 4. With padding 2, the corner pixel is missed by every
    window that would start further out.
without_padding = {"corner": 1, "edge": 5}
    These are the numbers without padding. With it, windows may also start outside the picture, up to two pixels away.
padding_total = {"corner": 4, "edge": 10}
    You let the windows start one pixel outside. `padding=2` is two pixels per side.
added = {"corner": 6, "edge": 8}
    You added the counts of rows and columns. Every choice of a row goes with every choice of a column: multiply.
lesson_numbers = {"corner": 4, "edge": 6, "inside": 9}
    The numbers 4, 6 and 9 belong to a kernel of 3×3 with padding 1. Here the kernel has 5×5 pixels and the padding is
    2.
pixels_read = {"unread": 24}
    You counted the pixels that are read. The task asks for those that are not.
both_unread = {"unread": 9}
    You counted the pixels whose row and whose column is left out. One of the two is enough for a pixel not to be read.
gaps_forgotten = {"unread": 23}
    You counted what lies behind the last window. A stride of 3 leaves gaps between windows of 2 pixels, too.
""")  # fmt: skip
