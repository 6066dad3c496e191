"""Tasks of sheet 03: sizes, padding and stride in the loop, padding off again, same padding, how often pixels count."""

import torch
import torch.nn.functional as F

from exercise_checks.running.observing import Case
from exercise_checks.tasks.old_task import Draw, Misconception, Task, as_list, once, pair

# ---------------------------------------------------------------------------------------------------------
# Predict the sizes of a stack
# ---------------------------------------------------------------------------------------------------------

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


def sizes_with(step, chained=True):
    """The stack by another formula: `step(n, k, s, p)` for each axis."""

    def answer():
        found, size = {}, PICTURE
        for name, settings in STACK.items():
            axes = zip(size if chained else PICTURE, *map(pair, settings), strict=True)
            found[name] = size = tuple(step(*axis) for axis in axes)
        return found

    return answer


SIZES = Task(
    id="stack_sizes",
    title="Sizes of a stack",
    kind="predict",
    points=2,
    difficulty=2,
    importance=5,
    minutes=10,
    oracle=torch_sizes,
    cases=once,
    misconceptions=(
        Misconception(
            "padding_total",
            "You added p where 2p belongs. In code, `padding` counts the zeros per side, and an axis has two sides.",
            sizes_with(lambda n, k, s, p: (n + p - k) // s + 1),
        ),
        Misconception(
            "padding_forgotten",
            "You left the padding out. It makes the picture larger by 2p pixels on each axis before the kernel slides.",
            sizes_with(lambda n, k, s, p: (n - k) // s + 1),
        ),
        Misconception(
            "no_plus_one",
            "You counted the steps and not the places. The place where the kernel starts counts, too: there is one "
            "place more than there are steps.",
            sizes_with(lambda n, k, s, p: (n + 2 * p - k) // s),
        ),
        Misconception(
            "rounded_up",
            "You rounded up. A step that does not fit whole is not taken, so the division is rounded down.",
            sizes_with(lambda n, k, s, p: -(-(n + 2 * p - k) // s) + 1),
        ),
        Misconception(
            "stride_forgotten",
            "You left the stride out. With stride 2 the kernel skips every second place, and the answer is about "
            "half as large.",
            sizes_with(lambda n, k, s, p: n + 2 * p - k + 1),
        ),
        Misconception(
            "each_on_the_picture",
            "You put each layer on the picture of 32×50. In a stack, a layer gets the answer of the layer before it.",
            sizes_with(lambda n, k, s, p: (n + 2 * p - k) // s + 1, chained=False),
        ),
        Misconception(
            "pairs_swapped",
            "In the third layer you took the first number of each pair for the columns. A pair is (rows, columns): "
            "the kernel (3, 5) has 3 rows.",
            lambda: {"third": (6, 12)},
        ),
        Misconception(
            "columns_first",
            "The numbers are right, the order is not. Rows come first, as in the picture's size (32, 50).",
            lambda: {name: size[::-1] for name, size in torch_sizes().items()},
        ),
        Misconception(
            "even_keeps",
            "The fourth layer does not keep the size. Padding k/2 does more than that for an even kernel: 2p is 4, and "
            "the kernel takes k - 1 = 3 away.",
            lambda: {"fourth": (7, 9)},
        ),
    ),
    hints=(
        "Take rows and columns apart, and one layer at a time. How many pixels has the padded picture along this "
        "axis? How many steps of length s can the kernel make on it?",
        "Along each axis (n + 2p - k) // s + 1, where // rounds down. For the second layer's rows: (32 + 2 - 3) // "
        "2 + 1.",
    ),
)


# ---------------------------------------------------------------------------------------------------------
# Padding and stride in the loop
# ---------------------------------------------------------------------------------------------------------


def oracle(X, K, stride=1, padding=0):
    return F.conv2d(X[None, None], K[None, None], stride=stride, padding=padding)[0, 0]


def steps(seed):
    draw = Draw(seed)
    X, K = torch.arange(9.0).reshape(3, 3), torch.arange(4.0).reshape(2, 2)
    yield Case("the lesson's picture", (X, K), {"stride": (3, 2), "padding": 1})
    yield Case("the lesson's picture with a pair for padding", (X, K), {"padding": (1, 2)})
    yield Case("a call without stride and padding", (draw.whole(4, 6), draw.whole(3, 2)))
    yield Case(
        "numbers that stand for both axes",
        (draw.whole(7, draw.size(4, 6)), draw.whole(3, 3)),
        {"stride": 2, "padding": 2},
    )
    yield Case("two pairs", (draw.whole(6, 8), draw.whole(3, 2)), {"stride": (1, 3), "padding": (2, 0)})
    yield Case("steps longer than the kernel", (draw.whole(8, 7), draw.whole(1, 2)), {"stride": (2, 3)})
    X = draw.turned(4, 6)
    yield Case("a picture that is not contiguous", (X, draw.turned(3, 2)), {"stride": (1, 2), "padding": (0, 1)})
    X = draw.whole(6, 7, dtype=torch.float64) + 2**25  # neighbours differ in float64 only
    edge = torch.tensor([[1.5, -0.5, -1.0]], dtype=torch.float64)
    yield Case("large numbers in float64", (X, edge), {"stride": 2, "padding": (1, 3)})
    yield Case("a kernel as large as the picture", (draw.whole(2, 3), draw.whole(2, 3)), {"padding": 0})


def strided_window(index, X, K, stride=1, padding=0):
    """Tell where the window of an answer's pixel lies, in the padded picture."""
    (sh, sw), (ph, pw), (h, w) = pair(stride), pair(padding), K.shape
    i, j = index[0] * sh, index[1] * sw
    window = F.pad(X, (pw, pw, ph, ph))[i : i + h, j : j + w]
    of = "the padded picture" if ph or pw else "X"
    return f"rows {i}:{i + h} and columns {j}:{j + w} of {of}, {as_list(window)}"


def padded_by(place):
    """Right but for the padding: `place(p)` gives the zeros before and after."""

    def answer(X, K, stride=1, padding=0):
        (top, bottom), (left, right) = map(place, pair(padding))
        return oracle(F.pad(X, (left, right, top, bottom)), K, stride)

    return answer


def columns_only(X, K, stride=1, padding=0):
    return oracle(X, K, stride, (0, pair(padding)[1]))


def stepped_by(keep):
    """Right but for the stride: `keep(answers, sh, sw)` picks among the answers with stride 1."""
    return lambda X, K, stride=1, padding=0: keep(oracle(X, K, 1, padding), *pair(stride))


def starts_at_i(X, K, stride=1, padding=0):
    rows, columns = oracle(X, K, stride, padding).shape
    return oracle(X, K, 1, padding)[:rows, :columns]


def picture_thinned(X, K, stride=1, padding=0):
    (sh, sw), (ph, pw) = pair(stride), pair(padding)
    return oracle(F.pad(X, (pw, pw, ph, ph))[::sh, ::sw], K)


def pairs_forgotten(X, K, stride=1, padding=0):
    if isinstance(stride, tuple) or isinstance(padding, tuple):
        raise TypeError("a pair where a number was expected")
    return oracle(X, K, stride, padding)


def numbers_forgotten(X, K, stride=1, padding=0):
    if not (isinstance(stride, tuple) and isinstance(padding, tuple)):
        raise TypeError("a number where a pair was expected")
    return oracle(X, K, stride, padding)


def one_place_lost(X, K, stride=1, padding=0):
    places = oracle(X, K, 1, padding).shape
    rows, columns = (n // s for n, s in zip(places, pair(stride), strict=True))
    return oracle(X, K, stride, padding)[:rows, :columns]


STRIDED = Task(
    id="corr2d_strided",
    title="With padding and stride",
    kind="write",
    points=3,
    difficulty=3,
    importance=5,
    minutes=20,
    oracle=oracle,
    cases=steps,
    window=strided_window,
    misconceptions=(
        Misconception(
            "pairs_forgotten",
            "Plain numbers work, a pair raises a TypeError. Begin by making a pair of each argument that is a "
            "number: 2 means (2, 2).",
            pairs_forgotten,
        ),
        Misconception(
            "numbers_forgotten",
            "Two pairs work, a plain number raises a TypeError, also the default 1 or 0. Begin by making a pair of "
            "each argument that is a number: 2 means (2, 2).",
            numbers_forgotten,
        ),
        Misconception(
            "starts_at_i",
            "Your answer has the right size, but your windows move by one pixel: the one for row i starts at row "
            "i. With a stride it starts at row i times stride.",
            starts_at_i,
        ),
        Misconception(
            "stride_rows_only",
            "The stride acts on the rows alone. The columns have one of their own: the second number of the pair.",
            stepped_by(lambda Y, sh, sw: Y[::sh]),
        ),
        Misconception(
            "first_stride_twice",
            "The columns take the rows' step. The second number of the pair `stride` is theirs.",
            stepped_by(lambda Y, sh, sw: Y[::sh, ::sh]),
        ),
        Misconception(
            "one_place_lost",
            "Your answer is too small where the steps do not come out even. The first place takes no step, so the 1 "
            "comes after the division: (n + 2p - k) // s + 1.",
            one_place_lost,
        ),
        Misconception(
            "stride_swapped",
            "The two numbers of `stride` are exchanged. The first is the step from row to row, the second from "
            "column to column.",
            stepped_by(lambda Y, sh, sw: Y[::sw, ::sh]),
        ),
        Misconception(
            "picture_thinned",
            "You dropped pixels of the picture. A stride drops places of the window: inside a window all pixels "
            "are read, side by side.",
            picture_thinned,
        ),
        Misconception(
            "padding_swapped",
            "The two numbers of `padding` are exchanged: the first counts rows, above and below. Take care with "
            "`F.pad`, which counts from the last axis: left, right, top, bottom.",
            lambda X, K, stride=1, padding=0: oracle(X, K, stride, pair(padding)[::-1]),
        ),
        Misconception(
            "columns_only",
            "Your zeros stand left and right only. `F.pad` with two numbers pads the last axis; rows above and "
            "below need two more.",
            columns_only,
        ),
        Misconception(
            "one_side",
            "You padded above and on the left only. `padding` counts zeros per side: as many below and on the right.",
            padded_by(lambda p: (p, 0)),
        ),
        Misconception(
            "padding_total",
            "You took `padding` for the zeros of both sides together. It counts them per side.",
            padded_by(lambda p: (p // 2, p - p // 2)),
        ),
        Misconception(
            "flipped",
            "Your kernel is flipped. The task asks for cross-correlation, as in lesson 1.",
            lambda X, K, stride=1, padding=0: oracle(X, K.flip(0, 1), stride, padding),
        ),
        Misconception(
            "picture_rounded",
            "In float64 you are right to seven digits only: the padded picture is float32. Give `torch.zeros(...)` "
            "a `dtype=X.dtype`.",
            lambda X, K, stride=1, padding=0: oracle(X.float().to(X.dtype), K, stride, padding),
        ),
        Misconception(
            "always_float32",
            "The values are right, but they are always float32. Give `torch.zeros(...)` the dtype of X, so that "
            "float64 stays float64.",
            lambda X, K, stride=1, padding=0: oracle(X, K, stride, padding).float(),
        ),
    ),
    hints=(
        "Two steps that do not know of each other. What must be done to the picture before the kernel slides? And "
        "which of the answers with stride 1 are left when the kernel takes longer steps?",
        "`F.pad(X, (pw, pw, ph, ph))` pads ph rows above and below and pw columns at each side. Correlate that "
        "with K as in lesson 1, and keep every sh-th row and every sw-th column: `[::sh, ::sw]`.",
    ),
)


# ---------------------------------------------------------------------------------------------------------
# Find the bug: padding off again
# ---------------------------------------------------------------------------------------------------------


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


EXPOSE = Task(
    id="breaks_unpad",
    title="Find an input that breaks it",
    kind="bug",
    points=1,
    difficulty=2,
    importance=4,
    minutes=5,
    oracle=lambda: (torch.ones(3, 4), (0, 1)),
    cases=once,
    accept=exposes,
    broken=broken_unpad,
    misconceptions=(
        Misconception(
            "some_padding",
            "On this input it is right, and it is for every padding of 1 or more on both axes, on any picture. "
            "Which number of rows or columns have you not tried?",
            lambda: (torch.ones(4, 5), (1, 2)),
            matches=lambda value: is_frame(value) and min(value[1]) > 0 and leaves_a_pixel(value),
        ),
        Misconception(
            "nothing_left",
            "You take off more than there is. No function could leave a pixel of this picture, so nothing is "
            "shown. Take a picture that is larger than its padding.",
            lambda: (torch.ones(4, 4), (2, 2)),
            matches=lambda value: is_frame(value) and min(value[1]) >= 0 and not leaves_a_pixel(value),
        ),
        Misconception(
            "one_number",
            "The padding must be a pair, (rows, columns). A single number raises an error in the very first line, "
            "and that is the caller's mistake.",
            lambda: (torch.ones(3, 3), 0),
            matches=lambda value: len(value) == 2 and isinstance(value[0], torch.Tensor) and isinstance(value[1], int),
        ),
    ),
    hints=(
        "Which paddings occur in practice, and which of them did the author not try? Look through the layers of "
        "lesson 3.",
        "What is -0? Then what is `X[0:-0]`?",
    ),
)


def frames(seed):
    draw = Draw(seed)
    X = F.pad(torch.arange(1.0, 5).reshape(1, 4), (2, 2, 1, 1))
    yield Case("the lesson's row, padded", (X, (1, 2)))
    yield Case("a picture padded left and right only", (draw.whole(3, 6), (0, draw.size(1, 2))))
    yield Case("a picture padded above and below only", (draw.whole(7, 4), (draw.size(1, 2), 0)))
    yield Case("a picture without padding", (draw.whole(3, 5), (0, 0)))
    yield Case("a picture with much padding", (draw.whole(7, 8), (3, 2)))
    yield Case("a picture that is not contiguous", (draw.turned(5, 8), (1, 3)))
    yield Case("float64", (draw.real(4, 5, dtype=torch.float64), (1, 0)))


def cropped(rows, columns):
    """Crop with one slice per axis; each is made by a function of the axis' padding and size."""
    return lambda X, padding: X[rows(padding[0], X.shape[0]), columns(padding[1], X.shape[1])]


def as_before(p, n):
    return slice(p, -p)


def right_slice(p, n):
    return slice(p, n - p)


MENDED = Task(
    id="mended_unpad",
    title="Mend it",
    kind="bug",
    points=1,
    difficulty=2,
    importance=4,
    minutes=5,
    oracle=unpadded,
    cases=frames,
    misconceptions=(
        Misconception(
            "unchanged",
            "A padding of 0 still gives an empty picture: `-0` is 0, and `X[0:0]` holds nothing.",
            broken_unpad,
        ),
        Misconception(
            "only_both_zero",
            "You treat `padding == (0, 0)`, and that is right now. With (0, 1) one axis has padding and the other "
            "has none: each axis needs its own care.",
            lambda X, padding: X if padding == (0, 0) else broken_unpad(X, padding),
        ),
        Misconception(
            "either_zero",
            "You return the whole picture as soon as one of the numbers is 0. With (0, 1) there is still a column "
            "to take off at each side.",
            lambda X, padding: X if 0 in padding else broken_unpad(X, padding),
        ),
        Misconception(
            "rows_only",
            "The rows are mended, the columns are not: `X[..., 0:-0]` is empty for the same reason.",
            cropped(right_slice, as_before),
        ),
        Misconception(
            "columns_only",
            "The columns are mended, the rows are not: `X[0:-0]` is empty for the same reason.",
            cropped(as_before, right_slice),
        ),
        Misconception(
            "front_only",
            "You take the padding off above and on the left. It stands below and on the right, too.",
            cropped(lambda p, n: slice(p, None), lambda p, n: slice(p, None)),
        ),
        Misconception(
            "swapped",
            "Rows and columns are exchanged: the first number of `padding` counts rows.",
            lambda X, padding: cropped(right_slice, right_slice)(X, padding[::-1]),
        ),
    ),
    hints=(
        "A slice may end at a place counted from the front instead of from the back. At which row does the picture "
        "without its padding end, if X has `X.shape[0]` rows?",
        "`X[p : X.shape[0] - p]` for the rows: with p = 0 it ends at the last row, and nothing is special. The "
        "columns likewise.",
    ),
)


# ---------------------------------------------------------------------------------------------------------
# Same padding
# ---------------------------------------------------------------------------------------------------------


def same(X, kernel_size):
    (top, bottom), (left, right) = (((k - 1) // 2, k // 2) for k in kernel_size)
    return F.pad(X, (left, right, top, bottom))


def pictures_to_keep(seed):
    draw = Draw(seed)
    yield Case("a small picture", (torch.arange(1.0, 5).reshape(2, 2), (2, 3)))
    yield Case("an odd kernel", (draw.whole(4, 6), (3, 3)))
    yield Case("an even kernel", (draw.whole(5, 3), (2, 2)))
    yield Case("a larger even kernel", (draw.whole(4, draw.size(4, 6)), (4, 4)))
    yield Case("a tall kernel", (draw.whole(3, 5), (5, 2)))
    yield Case("a kernel of one row", (draw.whole(3, 4), (1, 4)))
    yield Case("a kernel of one pixel", (draw.whole(3, 2), (1, 1)))
    yield Case("a picture that is not contiguous", (draw.turned(3, 5), (2, 4)))
    yield Case("float64", (draw.real(2, 4, dtype=torch.float64), (3, 2)))


def kept_by(split, change=lambda X: X):
    """Right but for the zeros on an axis, `split(k)` before and after, or for what is done to X first."""

    def answer(X, kernel_size):
        (top, bottom), (left, right) = map(split, kernel_size)
        return F.pad(change(X), (left, right, top, bottom))

    return answer


def minus_zero(X, kernel_size):
    (top, bottom), (left, right) = (((k - 1) // 2, k // 2) for k in kernel_size)
    Y = torch.zeros(X.shape[0] + top + bottom, X.shape[1] + left + right, dtype=X.dtype)
    Y[top:-bottom, left:-right] = X
    return Y


def halves(k):
    return (k - 1) // 2, k // 2


SAME = Task(
    id="pad_same",
    title="Keep the size",
    kind="write",
    points=3,
    difficulty=3,
    importance=4,
    minutes=15,
    oracle=same,
    cases=pictures_to_keep,
    misconceptions=(
        Misconception(
            "odd_one_first",
            "The size is right. For even kernels your odd zero stands above and on the left, as in NumPy. PyTorch "
            "puts it after: below and on the right.",
            kept_by(lambda k: (k // 2, (k - 1) // 2)),
        ),
        Misconception(
            "half_of_k",
            "You pad k // 2 on each side. That keeps the size for odd kernels; under an even one the answer grows "
            "by a pixel.",
            kept_by(lambda k: (k // 2, k // 2)),
        ),
        Misconception(
            "rounded_down",
            "You pad (k - 1) // 2 on each side. For an even kernel, k - 1 is odd, and the remainder of the "
            "division is the zero that is missing.",
            kept_by(lambda k: ((k - 1) // 2, (k - 1) // 2)),
        ),
        Misconception(
            "full",
            "You pad k - 1 on each side. That is full padding. To keep the size, both sides together get k - 1.",
            kept_by(lambda k: (k - 1, k - 1)),
        ),
        Misconception(
            "one_side",
            "The number of zeros is right, but all of them stand below and on the right. Share them between the "
            "two sides.",
            kept_by(lambda k: (0, k - 1)),
        ),
        Misconception(
            "swapped",
            "Rows and columns are exchanged: the kernel's height says how many rows of zeros are needed.",
            lambda X, kernel_size: same(X, kernel_size[::-1]),
        ),
        Misconception(
            "minus_zero",
            "When no zero stands after the picture, `Y[top:-bottom]` is `Y[top:-0]`, and that is empty. Task 3 was "
            "about this. Count the end from the front.",
            minus_zero,
        ),
        Misconception(
            "always_float32",
            "The values are right, but they are always float32. Give `torch.zeros(...)` a `dtype=X.dtype`.",
            kept_by(halves, lambda X: X.float()),
        ),
        Misconception(
            "detached",
            "The values are right, but no gradient comes back to X: bare numbers stand among the zeros. Assign X "
            "itself, without `.detach()`, `.data`, `.tolist()` or `torch.no_grad()`.",
            kept_by(halves, lambda X: X.detach()),
        ),
    ),
    hints=(
        "Take a row `1 2 3 4` and a kernel of 4 pixels. How many numbers may the padded row have, if four answers "
        "shall come out? How do you share the new ones between two sides, when their number is odd?",
        "Along each axis k - 1 zeros: `before = (k - 1) // 2` and `after = k - 1 - before`. Make zeros of the new "
        "size, and write X into rows `top` to `top + X.shape[0]`, the columns likewise.",
    ),
)


# ---------------------------------------------------------------------------------------------------------
# How often is a pixel used?
# ---------------------------------------------------------------------------------------------------------


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


USES = Task(
    id="pixel_uses",
    title="How often a pixel is read",
    kind="predict",
    points=2,
    difficulty=3,
    importance=3,
    minutes=10,
    oracle=uses,
    cases=once,
    misconceptions=(
        Misconception(
            "all_equal",
            "Every pixel counts equally under full padding only, here 4. With padding 2, the corner pixel is "
            "missed by every window that would start further out.",
            lambda: {"corner": 25, "edge": 25},
        ),
        Misconception(
            "without_padding",
            "These are the numbers without padding. With it, windows may also start outside the picture, up to two "
            "pixels away.",
            lambda: {"corner": 1, "edge": 5},
        ),
        Misconception(
            "padding_total",
            "You let the windows start one pixel outside. `padding=2` is two pixels per side.",
            lambda: {"corner": 4, "edge": 10},
        ),
        Misconception(
            "added",
            "You added the counts of rows and columns. Every choice of a row goes with every choice of a column: "
            "multiply.",
            lambda: {"corner": 6, "edge": 8},
        ),
        Misconception(
            "lesson_numbers",
            "The numbers 4, 6 and 9 belong to a kernel of 3×3 with padding 1. Here the kernel has 5×5 pixels and "
            "the padding is 2.",
            lambda: {"corner": 4, "edge": 6, "inside": 9},
        ),
        Misconception(
            "pixels_read",
            "You counted the pixels that are read. The task asks for those that are not.",
            lambda: {"unread": 24},
        ),
        Misconception(
            "both_unread",
            "You counted the pixels whose row and whose column is left out. One of the two is enough for a pixel "
            "not to be read.",
            lambda: {"unread": 9},
        ),
        Misconception(
            "gaps_forgotten",
            "You counted what lies behind the last window. A stride of 3 leaves gaps between windows of 2 pixels, too.",
            lambda: {"unread": 23},
        ),
    ),
    hints=(
        "Look at one axis only. A kernel of 5 pixels reads the very first pixel: where may it start, if it may "
        "start at most two pixels outside? For the last number: which rows are read, which columns?",
        "Count along rows and along columns, then multiply. The first pixel is read from the starts -2, -1 and 0, "
        "a middle one from five. For the unread pixels, count the read rows times the read columns and subtract "
        "from 9 · 7.",
    ),
)

TASKS = (SIZES, STRIDED, EXPOSE, MENDED, SAME, USES)
