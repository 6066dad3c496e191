"""Tasks of sheet 02: what kernels answer, a bell, the length of the gradient, signed answers, a column times a row."""

import torch
import torch.nn.functional as F

from exercise_checks.running.observing import Case
from exercise_checks.tasks.old_task import Draw, Misconception, Task, as_list, corr_window, once

SOBEL_X = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])
BOX = torch.full((3, 3), 1 / 9, dtype=torch.float64)
LAPLACIAN = torch.tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])
SHARPEN = torch.tensor([[0.0, -1.0, 0.0], [-1.0, 5.0, -1.0], [0.0, -1.0, 0.0]])


def slide(X, K):
    return F.conv2d(X[None, None], K.to(X)[None, None])[0, 0]


# ---------------------------------------------------------------------------------------------------------
# Predict what kernels answer
# ---------------------------------------------------------------------------------------------------------


def torch_answers():
    flat = torch.full((3, 3), 6.0, dtype=torch.float64)
    edge = torch.tensor([[0.0, 0.0, 6.0]], dtype=torch.float64).expand(3, 3)
    sigmas = torch.tensor([5.0, 12.0], dtype=torch.float64)
    return {
        "flat_box": slide(flat, BOX).item(),
        "flat_laplacian": slide(flat, LAPLACIAN).item(),
        "flat_sharpen": slide(flat, SHARPEN).item(),
        "edge_box": slide(edge, BOX).item(),
        "edge_sobel": slide(edge, SOBEL_X).item(),
        "edge_sharpen": slide(edge, SHARPEN).item(),
        "noise": 0.5 * torch.full((5, 5), 1 / 25, dtype=torch.float64).norm().item(),
        "sigma": sigmas.norm().item(),
    }


PREDICT = Task(
    id="filter_answers",
    title="What the kernels answer",
    kind="predict",
    points=2,
    difficulty=2,
    importance=5,
    minutes=8,
    oracle=torch_answers,
    cases=once,
    misconceptions=(
        Misconception(
            "not_divided",
            "You added the nine pixels and did not divide. The box's weights are ninths.",
            lambda: {"flat_box": 54, "edge_box": 18},
        ),
        Misconception(
            "middle_only",
            "On flat ground you multiplied the middle pixel alone. The neighbours are 6, too, and their weights "
            "count: add up the whole kernel first.",
            lambda: {"flat_laplacian": -24, "flat_sharpen": 30},
        ),
        Misconception(
            "half_way",
            "For `edge_box`, 3 is half way between dark and light. But two of the window's three columns are dark: "
            "add all nine pixels and divide by 9.",
            lambda: {"edge_box": 3},
        ),
        Misconception(
            "sobel_unweighted",
            "For `edge_sobel`, 18 counts each of the three rows once. Sobel's middle row counts twice: `1 2 1`.",
            lambda: {"edge_sobel": 18},
        ),
        Misconception(
            "sobel_sign",
            "The sign of `edge_sobel` is wrong: Sobel x is right minus left, and here the right side is the light one.",
            lambda: {"edge_sobel": -24},
        ),
        Misconception(
            "clipped",
            "`edge_sharpen` is not 0. The middle pixel is 0, but one of its four neighbours is not, and its weight is "
            "−1. A picture cannot be darker than black; an answer can.",
            lambda: {"edge_sharpen": 0},
        ),
        Misconception(
            "sharpen_sign",
            "The sign of `edge_sharpen` is wrong: the Laplacian is subtracted. On the dark side of an edge "
            "sharpening makes the picture darker.",
            lambda: {"edge_sharpen": 6},
        ),
        Misconception(
            "noise_by_25",
            "You divided the noise by the number of pixels. Its variance goes down by that; the standard "
            "deviation is the root of the variance.",
            lambda: {"noise": 0.02},
        ),
        Misconception(
            "sigmas_added",
            "You added the sigmas. Of two blurs in a row the variances add, and a variance is a sigma squared.",
            lambda: {"sigma": 17},
        ),
    ),
    hints=(
        "For flat ground: what do the kernel's weights add up to? For the edge: which three of the nine weights "
        "meet a 6?",
        "Flat ground: 6 times the kernel's sum. Edge: 6 times the sum of its right column. Noise: 0.5 divided by "
        "the root of 25. Blurs: the root of 5² + 12².",
    ),
)


# ---------------------------------------------------------------------------------------------------------
# A bell
# ---------------------------------------------------------------------------------------------------------


def bell(size, sigma, exponent=None, middle=None, normalise=None, dtype=torch.float64):
    """A Gaussian kernel; a misconception gives one part of it another form."""
    exponent = exponent or (lambda squared, sigma: squared / (2 * sigma**2))
    distance = torch.arange(size, dtype=dtype) - (size // 2 if middle is None else middle(size))
    squared = distance[:, None] ** 2 + distance**2
    K = torch.exp(-exponent(squared, sigma))
    return K / K.sum() if normalise is None else normalise(K, sigma)


def gaussian_oracle(size, sigma):
    row = torch.signal.windows.gaussian(size, std=sigma, dtype=torch.float64)
    return torch.outer(row, row) / row.sum() ** 2


def nearly(K, size, sigma):
    return torch.allclose(K.double(), gaussian_oracle(size, sigma), rtol=1e-5, atol=1e-6)


def bells(seed):
    draw = Draw(seed)
    yield Case("the small bell", (3, 0.85))
    yield Case("a narrow bell", (5, 0.5))
    yield Case("sigma 1", (7, 1.0))
    yield Case("a sigma that is a whole number", (5, 2))
    yield Case("a bell wider than its window", (3, 5.0))
    yield Case("a single pixel", (1, 1.5))
    for _ in range(2):
        yield Case("a size and a sigma that were drawn", (2 * draw.size(1, 3) + 1, draw.size(11, 29) / 10))


BELL = Task(
    id="gaussian_kernel",
    title="A bell",
    kind="write",
    points=2,
    difficulty=2,
    importance=4,
    minutes=12,
    oracle=gaussian_oracle,
    cases=bells,
    relative=1e-9,
    absolute=1e-12,
    misconceptions=(
        Misconception(
            "not_normalised",
            "The bell has the right form, but its weights do not add up to 1: as it is, it makes every picture "
            "lighter. Divide it by its sum.",
            lambda size, sigma: bell(size, sigma, normalise=lambda K, sigma: K),
        ),
        Misconception(
            "formula_factor",
            "You multiplied by 1/(2πσ²). That factor is right for a bell that goes on for ever, not for one of a "
            "few pixels: the weights that are left do not add up to 1. Divide by their own sum.",
            lambda size, sigma: bell(size, sigma, normalise=lambda K, sigma: K / (2 * torch.pi * sigma**2)),
        ),
        Misconception(
            "two_forgotten",
            "Your bell is narrower than asked for: the exponent is r² divided by *two* sigma squared.",
            lambda size, sigma: bell(size, sigma, exponent=lambda squared, sigma: squared / sigma**2),
        ),
        Misconception(
            "sigma_not_squared",
            "You divide by sigma, and not by its square. At sigma 1 nobody notices.",
            lambda size, sigma: bell(size, sigma, exponent=lambda squared, sigma: squared / (2 * sigma)),
        ),
        Misconception(
            "brackets_forgotten",
            "Your weights belong to the exponent −r² / 2 · σ²: sigma squared multiplies instead of dividing. `/ 2 * "
            "sigma**2` goes from left to right, so it needs brackets.",
            lambda size, sigma: bell(size, sigma, exponent=lambda squared, sigma: squared / 2 * sigma**2),
        ),
        Misconception(
            "distance_not_squared",
            "You take the distance r itself. The exponent has its square: down squared plus across squared, without "
            "a root.",
            lambda size, sigma: bell(size, sigma, exponent=lambda squared, sigma: squared.sqrt() / (2 * sigma**2)),
        ),
        Misconception(
            "half_a_pixel",
            "Your bell is off centre by half a pixel: `size / 2` is 1.5 for a kernel of 3, but its middle pixel "
            "has the number 1. A blur with this kernel would move the picture.",
            lambda size, sigma: bell(size, sigma, middle=lambda size: size / 2),
        ),
        Misconception(
            "from_the_corner",
            "You measure the distance from the top left corner. It must be measured from the middle pixel, so "
            "that the weights fall to all sides.",
            lambda size, sigma: bell(size, sigma, middle=lambda size: 0),
        ),
        Misconception(
            "always_float32",
            "The form is right, but the kernel is float32, and float64 is asked for. Give the first tensor you make "
            "the dtype, so that everything after it has it, too.",
            lambda size, sigma: bell(size, sigma, dtype=torch.float32),
            matches=lambda K, size, sigma: K.dtype == torch.float32 and nearly(K, size, sigma),
        ),
        Misconception(
            "float32_inside",
            "The kernel is float64, but only about seven of its digits are right. Most likely a part of it was "
            "computed in float32, and lost digits do not come back by `.double()`. Give the first tensor you make the "
            "dtype.",
            lambda size, sigma: bell(size, sigma, dtype=torch.float32).double(),
            matches=lambda K, size, sigma: K.dtype == torch.float64 and nearly(K, size, sigma),
        ),
    ),
    hints=(
        "For a kernel of 5 pixels, how far is each pixel of one row from the middle, in numbers? How do you get "
        "these from `torch.arange(5)`? And what must all weights add up to?",
        "`distance = torch.arange(size, dtype=torch.float64) - size // 2`, then `row = torch.exp(-(distance**2) "
        "/ (2 * sigma**2))`. The kernel is `torch.outer(row, row)`, divided by its sum.",
    ),
)


# ---------------------------------------------------------------------------------------------------------
# The length of the gradient
# ---------------------------------------------------------------------------------------------------------


def magnitude_oracle(X):
    return torch.hypot(slide(X, SOBEL_X), slide(X, SOBEL_X.T))


def combined(combine, kernel=SOBEL_X, other=None):
    """What somebody hands in who puts the two answers together by `combine`, or takes other kernels."""
    return lambda X: combine(slide(X, kernel), slide(X, kernel.T if other is None else other))


def pictures(seed):
    draw = Draw(seed)
    corner = torch.zeros(5, 6)
    corner[2:, 3:] = 1
    yield Case("the numbers 0 to 8", (torch.arange(9.0).reshape(3, 3),))
    yield Case("the corner of a light square", (corner,), gradient=False)
    yield Case("the corner of a dark square", (1 - corner,), gradient=False)
    yield Case("a wide picture", (draw.real(3, draw.size(5, 7)),))
    yield Case("a tall picture", (draw.real(draw.size(5, 7), 4),))
    yield Case("a picture that is not contiguous", (draw.real(6, 5).T,))
    yield Case("fractions in float64", (draw.real(4, 5, dtype=torch.float64),))


MAGNITUDE = Task(
    id="gradient_magnitude",
    title="The strength of an edge",
    kind="write",
    points=2,
    difficulty=2,
    importance=4,
    minutes=10,
    oracle=magnitude_oracle,
    cases=pictures,
    window=lambda index, X: corr_window(index, X, SOBEL_X),
    misconceptions=(
        Misconception(
            "sum_of_sizes",
            "You added |gx| and |gy|. That is right on upright and level edges, and 41 % too large on diagonal "
            "ones. The arrow's length is the root of the sum of squares.",
            combined(lambda gx, gy: gx.abs() + gy.abs()),
        ),
        Misconception(
            "root_forgotten",
            "You return the sum of the squares. The arrow's length is its root.",
            combined(lambda gx, gy: gx**2 + gy**2),
        ),
        Misconception(
            "clipped_first",
            "You set negative answers to 0 before you square. A negative answer is an edge, too: from light to "
            "dark. The square takes care of the sign.",
            combined(lambda gx, gy: torch.hypot(gx.clamp(min=0), gy.clamp(min=0))),
        ),
        Misconception(
            "one_direction",
            "You use Sobel x alone: level edges are missing. Sobel y must see them.",
            combined(lambda gx, gy: gx.abs()),
        ),
        Misconception(
            "same_kernel_twice",
            "Both of your kernels look to the right. For the answer downward, the kernel must be transposed: `K.T`.",
            combined(torch.hypot, other=SOBEL_X),
        ),
        Misconception(
            "prewitt",
            "Your middle row counts as much as the others: these are Prewitt's kernels. Sobel's blur along the "
            "edge is `1 2 1`.",
            combined(torch.hypot, kernel=SOBEL_X.sign()),
        ),
        Misconception(
            "border_added",
            "Your answer is as large as the picture. Did you add a border, as `filters.filter2d` does? What Sobel "
            "sees there is made up. Here the window stays on the picture, as in `ops.corr2d`.",
            lambda X: magnitude_oracle(F.pad(X, (1, 1, 1, 1))),
            matches=lambda Y, X: Y.shape == X.shape,
        ),
        Misconception(
            "always_float32",
            "The values are right, but always float32. Leave the picture's dtype as it is; a kernel takes it by "
            "`K.to(X)`.",
            lambda X: magnitude_oracle(X.float()),
        ),
    ),
    hints=(
        "Sobel x on the numbers 0 to 8 gives 8, and Sobel y gives 24. An arrow goes 8 to the right and 24 down. "
        "How long is it?",
        "Let `K` be `-1 0 1 / -2 0 2 / -1 0 1`. `gx = ops.corr2d(X, K)`, `gy = ops.corr2d(X, K.T)`, and the "
        "length is `torch.hypot(gx, gy)`.",
    ),
)


# ---------------------------------------------------------------------------------------------------------
# Find the bug: signed answers in bytes
# ---------------------------------------------------------------------------------------------------------


def broken_edges(X):
    return X[:, 2:] - X[:, :-2]


def right_minus_left(X):
    return slide(X.float(), torch.tensor([[-1.0, 0.0, 1.0]]))


def exposes(value):
    """A picture of bytes on which `broken_edges` goes wrong."""
    if not isinstance(value, torch.Tensor) or value.ndim != 2:
        return "Return one picture: a tensor with rows and columns."
    if value.dtype != torch.uint8:
        return f"Your numbers are {str(value.dtype).removeprefix('torch.')}. Bytes are made with `dtype=torch.uint8`."
    if value.shape[0] == 0 or value.shape[1] < 3 or value.numel() > 10_000:
        return "The picture needs at least one row and three columns, and at most 10000 pixels."
    if torch.equal(broken_edges(value).float(), right_minus_left(value)):
        return "On this picture `broken_edges` is right. Look for one on which it is not."
    return None


def steps(X, apart):
    """How much the picture grows over this many columns."""
    if X.ndim != 2 or X.shape[1] < 3 or not X.numel():
        raise ValueError("not a picture that is wide enough")
    return X[:, apart:].int() - X[:, :-apart].int()


def falls_downward(X):
    return not steps(X, 1).any() and bool((X.int().diff(dim=0) < 0).any())


EXPOSE = Task(
    id="breaks_edges",
    title="Find a picture that breaks it",
    kind="bug",
    points=1,
    difficulty=1,
    importance=4,
    minutes=5,
    oracle=lambda: torch.tensor([[200, 100, 10]], dtype=torch.uint8),
    cases=once,
    accept=exposes,
    broken=broken_edges,
    misconceptions=(
        Misconception(
            "not_bytes",
            "These numbers have room for a minus sign. The mistake lives in bytes alone, as picture files hold them.",
            lambda: torch.tensor([[0.9, 0.5, 0.1]]),
            matches=lambda X: X.dtype != torch.uint8,
        ),
        Misconception(
            "falls_downward",
            "Your picture gets darker downward, and the same pixels stand side by side. `broken_edges` compares "
            "left and right.",
            lambda: torch.tensor([[200, 200, 200], [10, 10, 10]], dtype=torch.uint8),
            matches=falls_downward,
        ),
        Misconception(
            "flat",
            "Each row of your picture is flat: every difference of left and right is 0, and 0 fits into a byte.",
            lambda: torch.full((3, 4), 200, dtype=torch.uint8),
            matches=lambda X: not steps(X, 1).any(),
        ),
        Misconception(
            "between_neighbours",
            "Your picture falls from one column to the next, but never over two columns, and `broken_edges` "
            "compares pixels that are two apart.",
            lambda: torch.tensor([[100, 0, 100, 0]], dtype=torch.uint8),
            matches=lambda X: bool((steps(X, 1) < 0).any()) and not (steps(X, 2) < 0).any(),
        ),
        Misconception(
            "only_rising",
            "Your picture never grows darker to the right. Then right minus left is never below 0, and bytes "
            "suffice. The picture in the sheet is like that.",
            lambda: torch.tensor([[0, 100, 255]], dtype=torch.uint8),
            matches=lambda X: not (steps(X, 1) < 0).any(),
        ),
    ),
    hints=(
        "A byte holds 0 to 255. Which differences of two bytes does it not hold? What must the picture do from "
        "left to right to have one?",
        "No byte holds 10 - 200. Put a light pixel two columns to the left of a dark one, as in "
        "`torch.tensor([[200, ..., 10]], dtype=torch.uint8)`.",
    ),
)


def photographs(seed):
    draw = Draw(seed)

    def stored(*shape):
        return draw.whole(*shape, low=0, high=255, dtype=torch.uint8)

    yield Case("a light stripe", (torch.tensor([[10, 10, 200, 200, 10, 10]], dtype=torch.uint8),))
    yield Case("black and white", (torch.tensor([[0, 255, 255, 0, 0], [255, 0, 0, 255, 255]], dtype=torch.uint8),))
    yield Case("a wide picture", (stored(3, draw.size(5, 7)),))
    yield Case("a tall picture", (stored(draw.size(5, 7), 3),))
    yield Case("a picture that is not contiguous", (stored(5, 4).T,))
    yield Case("a picture that is float32 already, from 0 to 1", (draw.whole(2, 5, low=0, high=64) / 64,))


MENDED = Task(
    id="mended_edges",
    title="Mend it",
    kind="bug",
    points=1,
    difficulty=2,
    importance=4,
    minutes=5,
    oracle=right_minus_left,
    cases=photographs,
    window=lambda index, X: corr_window(index, X, torch.ones(1, 3)),
    misconceptions=(
        Misconception(
            "unchanged",
            "The subtraction is still made in bytes: 10 - 200 is 66 there. Change the dtype of the pixels first.",
            broken_edges,
        ),
        Misconception(
            "converted_late",
            "You change the dtype after the subtraction. By then 10 - 200 is 66 already, and 66 as float32 is "
            "66. Convert the picture first.",
            lambda X: broken_edges(X).float(),
        ),
        Misconception(
            "absolute",
            "You return the size of the difference without its sign. The sign says which side is the light one, "
            "and it should come back, too.",
            lambda X: right_minus_left(X).abs(),
        ),
        Misconception(
            "clipped",
            "You set negative answers to 0: every edge from light to dark is lost. That hides the mistake and "
            "does not mend it.",
            lambda X: right_minus_left(X).clamp(min=0),
        ),
        Misconception(
            "left_minus_right",
            "You subtract the other way round. Lighter to the right should be positive: right minus left.",
            lambda X: -right_minus_left(X),
        ),
        Misconception(
            "scaled",
            "You divided by 255. The answers are right up to that factor, but the task asks for differences of "
            "the pixels as they are.",
            lambda X: right_minus_left(X) / 255,
        ),
        Misconception(
            "bytes_scaled",
            "You divided the bytes by 255, as many loaders of pictures do. The numbers are not to be scaled: 200 - 10 "
            "is 190.",
            lambda X: right_minus_left(X) / (255 if X.dtype == torch.uint8 else 1),
        ),
        Misconception(
            "whole_numbers",
            "Bytes come out right. But a whole-number dtype on the way cuts off the fractions of a picture from "
            "0 to 1. Convert to float32 at once.",
            lambda X: right_minus_left(X.int()),
        ),
    ),
    hints=(
        "Which dtype has `X[:, 2:]`? Which dtype has the difference of two such tensors? Where must the change "
        "of dtype stand, then?",
        "`X = X.float()` before anything else. Then the line as it was.",
    ),
)


# ---------------------------------------------------------------------------------------------------------
# A column times a row
# ---------------------------------------------------------------------------------------------------------


def split_oracle(K):
    U, S, Vh = torch.linalg.svd(K)
    return U[:, :1] * S[0], Vh[:1]


def as_product(value, K):
    """A sentence if `value` is not a column and a row whose product is K."""
    if not (isinstance(value, tuple) and len(value) == 2 and all(isinstance(v, torch.Tensor) for v in value)):
        return "Return two tensors: `return column, row`."
    (h, w), (column, row) = K.shape, value
    if column.shape != (h, 1) or row.shape != (1, w):
        shapes = " and ".join(str(tuple(v.shape)) for v in value)
        return f"For a kernel of shape ({h}, {w}) the shapes must be ({h}, 1) and (1, {w}); yours are {shapes}."
    if column.dtype != K.dtype or row.dtype != K.dtype:
        return f"The kernel is {K.dtype}, and column and row must be, too; yours are {column.dtype} and {row.dtype}."
    if not is_product(value, K):
        return f"K is {as_list(K)}, but your column times your row is {as_list(column @ row + 0)}."
    return None


def is_product(value, K):
    relative = 1e-4 if K.dtype == torch.float32 else 1e-9
    return torch.allclose(value[0] @ value[1], K, rtol=relative, atol=relative * K.abs().max().item())


def times(value, factor, K):
    return value[0].shape == (len(K), 1) and is_product((value[0] / factor, value[1]), K)


def is_multiple(value, K):
    """Column times row is K times some number that is neither 0 nor infinite."""
    product = value[0] @ value[1]
    factor = ((product * K).sum() / (K * K).sum()).item()
    return product.shape == K.shape and factor != 0 and times(value, factor, K)


def kernels(seed):
    draw = Draw(seed)

    def drawn(h, w, dtype=torch.float32):
        return draw.whole(h, 1, low=1, dtype=dtype) * draw.whole(1, w, low=1, dtype=dtype)

    def signs(size, dtype=torch.float32):
        return torch.tensor([(-1.0) ** (i // 2) for i in range(size)], dtype=dtype)  # 1, 1, -1, -1, ...

    bump = torch.tensor([1.0, 2.0, 1.0])
    yield Case("Sobel x", (SOBEL_X,))
    yield Case("the small bell", (torch.outer(bump, bump) / 16,))
    yield Case("a wide kernel", (drawn(2, draw.size(4, 6)),))
    K = drawn(draw.size(4, 6), 3)
    yield Case("a tall kernel with both signs", (signs(len(K))[:, None] * K * signs(3),))
    yield Case("a kernel inside a rim of zeros", (F.pad(-drawn(2, 3), (1, 1, 1, 1)),))
    yield Case("a kernel of one pixel", (-drawn(1, 1) - 1,))
    yield Case("a kernel that is not contiguous", (drawn(4, 3).T,))
    yield Case("float64", (drawn(3, 4, dtype=torch.float64) / 7,))


def largest_lines(K):
    i, j = divmod(int(K.abs().argmax()), K.shape[1])
    return K[:, j : j + 1], K[i : i + 1]


def without_values(K):
    U, _, Vh = torch.linalg.svd(K)
    return U[:, :1], Vh[:1]


def values_twice(K):
    U, S, Vh = torch.linalg.svd(K)
    return U[:, :1] * S[0], S[0] * Vh[:1]


SPLIT = Task(
    id="split_kernel",
    title="A column times a row",
    kind="write",
    points=3,
    difficulty=3,
    importance=3,
    minutes=15,
    oracle=split_oracle,
    cases=kernels,
    accept=as_product,
    misconceptions=(
        Misconception(
            "flat_lists",
            "Your two have one dimension. A column is a matrix with one column, a row a matrix with one row: "
            "slices keep that, as in `K[:, :1]`, and `K[:, 0]` loses it.",
            lambda K: (largest_lines(K)[0].flatten() / K.abs().max(), largest_lines(K)[1].flatten()),
            matches=lambda value, K: value[0].ndim == value[1].ndim == 1,
        ),
        Misconception(
            "row_first",
            "You return the row first. The column comes first, so that `column @ row` is the kernel.",
            lambda K: split_oracle(K)[::-1],
            matches=lambda value, K: value[0].shape == (1, K.shape[1]) and value[1].shape == (len(K), 1),
        ),
        Misconception(
            "first_lines",
            "You return the kernel's first column and its first row. Their product is K[0, 0] times too large, "
            "and nothing at all if the first row is zero. Choose lines that are not zero, and divide one of them.",
            lambda K: (K[:, :1], K[:1]),
        ),
        Misconception(
            "sums",
            "You return the sums of the rows and of the columns. Their product is K times the sum of all its "
            "weights, and that sum is 0 for Sobel. Take one column and one row instead.",
            lambda K: (K.sum(1, keepdim=True), K.sum(0, keepdim=True)),
        ),
        Misconception(
            "divides_by_zero",
            "You divide by a number that can be 0, as a corner, the middle or the sum of the weights can. Choose "
            "one that is surely not 0: the largest weight, its sign left out.",
            lambda K: (K[:, :1] / K[0, 0], K[:1]),
            matches=lambda value, K: is_product(value, K) or not (value[0] @ value[1]).isfinite().all(),
        ),
        Misconception(
            "without_values",
            "Column and row of the singular value decomposition have length 1 each. The singular value `S[0]` "
            "must go into one of them.",
            without_values,
            matches=lambda value, K: times(value, 1 / K.norm().item(), K),
        ),
        Misconception(
            "values_twice",
            "The singular value `S[0]` is in both, so the product is `S[0]` times too large. Give it to one of "
            "them, or its root to each.",
            values_twice,
            matches=lambda value, K: times(value, K.norm().item(), K),
        ),
        Misconception(
            "a_multiple",
            "Column times row has the kernel's form, but is a multiple of it. The number of K where column and row "
            "cross is in both: divide one of them by it, and only one, its sign included.",
            largest_lines,
            matches=is_multiple,
        ),
    ),
    hints=(
        "If K is a column times a row, then every row of K is a multiple of one and the same row. Which row of K "
        "can you take for it, if it must not be zero? What is the column, then?",
        "Find the largest number, its sign left out: `i, j = divmod(int(K.abs().argmax()), K.shape[1])`. The row "
        "is `K[i : i + 1]`, the column is `K[:, j : j + 1]` divided by `K[i, j]`.",
    ),
)

TASKS = (PREDICT, BELL, MAGNITUDE, EXPOSE, MENDED, SPLIT)
