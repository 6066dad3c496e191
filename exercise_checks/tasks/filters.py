"""Tasks of sheet 02: what kernels answer, a bell, the length of the gradient, signed answers, a column times a row."""

import torch
import torch.nn.functional as F

from exercise_checks.running.observing import Case
from exercise_checks.tasks.calls import CONVOLUTIONS
from exercise_checks.tasks.task import Draw, as_list, corr_window, slips, task

SOBEL_X = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])
BOX = torch.full((3, 3), 1 / 9, dtype=torch.float64)
LAPLACIAN = torch.tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])
SHARPEN = torch.tensor([[0.0, -1.0, 0.0], [-1.0, 5.0, -1.0], [0.0, -1.0, 0.0]])


def corr2d(X, K):
    return F.conv2d(X[None, None], K.to(X)[None, None])[0, 0]


def torch_answers():
    flat = torch.full((3, 3), 6.0, dtype=torch.float64)
    edge = torch.tensor([[0.0, 0.0, 6.0]], dtype=torch.float64).expand(3, 3)
    sigmas = torch.tensor([5.0, 12.0], dtype=torch.float64)
    return {
        "flat_box": corr2d(flat, BOX).item(),
        "flat_laplacian": corr2d(flat, LAPLACIAN).item(),
        "flat_sharpen": corr2d(flat, SHARPEN).item(),
        "edge_box": corr2d(edge, BOX).item(),
        "edge_sobel": corr2d(edge, SOBEL_X).item(),
        "edge_sharpen": corr2d(edge, SHARPEN).item(),
        "noise": 0.5 * torch.full((5, 5), 1 / 25, dtype=torch.float64).norm().item(),
        "sigma": sigmas.norm().item(),
    }


@task(
    "What the kernels answer", kind="predict", points=2, difficulty=2, importance=5, minutes=8, oracle=torch_answers,
)  # fmt: skip
def filter_answers():
    """For flat ground: what do the kernel's weights add up to? For the edge: which three of the nine weights meet a 6?

    Flat ground: 6 times the kernel's sum. Edge: 6 times the sum of its right column. Noise: 0.5 divided by the root of
    25. Blurs: the root of 5² + 12².
    """
    flat = {"flat_box": 6, "flat_laplacian": 0, "flat_sharpen": 6}
    edge = {"edge_box": 2, "edge_sobel": 24, "edge_sharpen": -6}
    return {**flat, **edge, "noise": 0.1, "sigma": 13}


slips(filter_answers, """
not_divided = {"flat_box": 54, "edge_box": 18}
    You added the nine pixels and did not divide. The box's weights are ninths.
middle_only = {"flat_laplacian": -24, "flat_sharpen": 30}
    On flat ground you multiplied the middle pixel alone. The neighbours are 6, too, and their weights count: add up
    the whole kernel first.
half_way = {"edge_box": 3}
    For `edge_box`, 3 is half way between dark and light. But two of the window's three columns are dark: add all nine
    pixels and divide by 9.
sobel_unweighted = {"edge_sobel": 18}
    For `edge_sobel`, 18 counts each of the three rows once. Sobel's middle row counts twice: `1 2 1`.
sobel_sign = {"edge_sobel": -24}
    The sign of `edge_sobel` is wrong: Sobel x is right minus left, and here the right side is the light one.
clipped = {"edge_sharpen": 0}
    `edge_sharpen` is not 0. The middle pixel is 0, but one of its four neighbours is not, and its weight is −1. A
    picture cannot be darker than black; an answer can.
sharpen_sign = {"edge_sharpen": 6}
    The sign of `edge_sharpen` is wrong: the Laplacian is subtracted. On the dark side of an edge sharpening makes the
    picture darker.
noise_by_25 = {"noise": 0.02}
    You divided the noise by the number of pixels. Its variance goes down by that; the standard deviation is the root
    of the variance.
sigmas_added = {"sigma": 17}
    You added the sigmas. Of two blurs in a row the variances add, and a variance is a sigma squared.
""")  # fmt: skip


def gaussian_oracle(size, sigma):
    row = torch.signal.windows.gaussian(size, std=sigma, dtype=torch.float64)
    return torch.outer(row, row) / row.sum() ** 2


def right_but_for_digits(dtype):
    """A predicate for kernels of this dtype that are right to about seven digits."""

    def matches(K, size, sigma):
        right = gaussian_oracle(size, sigma)
        return K.dtype == dtype and torch.allclose(K.double(), right, rtol=1e-5, atol=1e-6)

    return matches


def bells(draw: Draw):
    yield "the small bell", 3, 0.85
    yield "a narrow bell", 5, 0.5
    yield "sigma 1", 7, 1.0
    yield "a sigma that is a whole number", 5, 2
    yield "a bell wider than its window", 3, 5.0
    yield "a single pixel", 1, 1.5
    for _ in range(2):
        yield "a size and a sigma that were drawn", 2 * draw.size(1, 3) + 1, draw.size(11, 29) / 10


@task(
    "A bell", bells, points=2, difficulty=2, importance=4, minutes=12,
    oracle=gaussian_oracle, relative=1e-9, absolute=1e-12, forbids=frozenset({"filters.*"}),
)  # fmt: skip
def gaussian_kernel(size, sigma):
    """For a kernel of 5 pixels, how far is each pixel of one row from the middle, in numbers? How do you get these
    from `torch.arange(5)`? And what must all weights add up to?

    `distance = torch.arange(size, dtype=torch.float64) - size // 2`, then `row = torch.exp(-(distance**2) / (2 *
    sigma**2))`. The kernel is `torch.outer(row, row)`, divided by its sum.
    """
    distance = torch.arange(size, dtype=torch.float64) - size // 2
    squared = distance[:, None] ** 2 + distance**2
    K = torch.exp(-squared / (2 * sigma**2))
    return K / K.sum()


slips(gaussian_kernel, """
not_normalised: K / K.sum() -> K
    The bell has the right form, but its weights do not add up to 1: as it is, it makes every picture lighter. Divide
    it by its sum.
formula_factor: K.sum() -> (2 * torch.pi * sigma**2)
    You multiplied by 1/(2πσ²). That factor is right for a bell that goes on for ever, not for one of a few pixels: the
    weights that are left do not add up to 1. Divide by their own sum.
two_forgotten: (2 * sigma**2) -> sigma**2
    Your bell is narrower than asked for: the exponent is r² divided by *two* sigma squared.
sigma_not_squared: sigma**2 -> sigma
    You divide by sigma, and not by its square. At sigma 1 nobody notices.
brackets_forgotten: (2 * sigma**2) -> 2 * sigma**2
    Your weights belong to the exponent −r² / 2 · σ²: sigma squared multiplies instead of dividing. `/ 2 * sigma**2`
    goes from left to right, so it needs brackets.
distance_not_squared: -squared -> -squared.sqrt()
    You take the distance r itself. The exponent has its square: down squared plus across squared, without a root.
half_a_pixel: size // 2 -> size / 2
    Your bell is off centre by half a pixel: `size / 2` is 1.5 for a kernel of 3, but its middle pixel has the number
    1. A blur with this kernel would move the picture.
from_the_corner: - size // 2 ->
    You measure the distance from the top left corner. It must be measured from the middle pixel, so that the weights
    fall to all sides.
always_float32: torch.float64 -> torch.float32
if: right_but_for_digits(torch.float32)
    The form is right, but the kernel is float32, and float64 is asked for. Give the first tensor you make the dtype,
    so that everything after it has it, too.
float32_inside: torch.float64 -> torch.float32
and: K / K.sum() -> (K / K.sum()).double()
if: right_but_for_digits(torch.float64)
    The kernel is float64, but only about seven of its digits are right. Most likely a part of it was computed in
    float32, and lost digits do not come back by `.double()`. Give the first tensor you make the dtype.
""")  # fmt: skip


def pictures(draw: Draw):
    corner = torch.zeros(5, 6)
    corner[2:, 3:] = 1
    yield "the numbers 0 to 8", torch.arange(9.0).reshape(3, 3)
    yield Case("the corner of a light square", (corner,), gradient=False)
    yield Case("the corner of a dark square", (1 - corner,), gradient=False)
    yield "a wide picture", draw.real(3, draw.size(5, 7))
    yield "a tall picture", draw.real(draw.size(5, 7), 4)
    yield "a picture that is not contiguous", draw.real(6, 5).T
    yield "fractions in float64", draw.real(4, 5, dtype=torch.float64)


@task(
    "The strength of an edge", pictures, points=2, difficulty=2, importance=4, minutes=10,
    window=lambda index, X: corr_window(index, X, SOBEL_X), forbids=frozenset({"filters.sobel_x", "filters.sobel_y"}),
)  # fmt: skip
def gradient_magnitude(X):
    """Sobel x on the numbers 0 to 8 gives 8, and Sobel y gives 24. An arrow goes 8 to the right and 24 down. How long
    is it?

    Let `K` be `-1 0 1 / -2 0 2 / -1 0 1`. `gx = ops.corr2d(X, K)`, `gy = ops.corr2d(X, K.T)`, and the length is
    `torch.hypot(gx, gy)`.
    """
    K = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    gx, gy = corr2d(X, K), corr2d(X, K.T)
    return torch.hypot(gx, gy)


slips(gradient_magnitude, """
sum_of_sizes: torch.hypot(gx, gy) -> gx.abs() + gy.abs()
    You added |gx| and |gy|. That is right on upright and level edges, and 41 % too large on diagonal ones. The arrow's
    length is the root of the sum of squares.
root_forgotten: torch.hypot(gx, gy) -> gx**2 + gy**2
    You return the sum of the squares. The arrow's length is its root.
clipped_first: torch.hypot(gx, gy) -> torch.hypot(gx.clamp(min=0), gy.clamp(min=0))
    You set negative answers to 0 before you square. A negative answer is an edge, too: from light to dark. The square
    takes care of the sign.
one_direction: torch.hypot(gx, gy) -> gx.abs()
    You use Sobel x alone: level edges are missing. Sobel y must see them.
same_kernel_twice: K.T -> K
    Both of your kernels look to the right. For the answer downward, the kernel must be transposed: `K.T`.
prewitt: [-2, 0, 2] -> [-1, 0, 1]
    Your middle row counts as much as the others: these are Prewitt's kernels. Sobel's blur along the edge is `1 2 1`.
border_added: corr2d(X -> corr2d(F.pad(X, (1, 1, 1, 1))
if: lambda Y, X: Y.shape == X.shape
    Your answer is as large as the picture. Did you add a border, as `filters.filter2d` does? What Sobel sees there is
    made up. Here the window stays on the picture, as in `ops.corr2d`.
always_float32: corr2d(X -> corr2d(X.float()
    The values are right, but always float32. Leave the picture's dtype as it is; a kernel takes it by `K.to(X)`.
""")  # fmt: skip


def broken_edges(X):
    return X[:, 2:] - X[:, :-2]


def right_minus_left(X):
    return corr2d(X.float(), torch.tensor([[-1.0, 0.0, 1.0]]))


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


@task(
    "Find a picture that breaks it", kind="bug", points=1, difficulty=1, importance=4, minutes=5,
    accept=exposes, broken=broken_edges,
)  # fmt: skip
def breaks_edges():
    """A byte holds 0 to 255. Which differences of two bytes does it not hold? What must the picture do from left to
    right to have one?

    No byte holds 10 - 200. Put a light pixel two columns to the left of a dark one, as in
    `torch.tensor([[200, ..., 10]], dtype=torch.uint8)`.
    """
    return torch.tensor([[200, 100, 10]], dtype=torch.uint8)


slips(breaks_edges, """
not_bytes: torch.uint8 -> torch.float32
if: lambda X: X.dtype != torch.uint8
    These numbers have room for a minus sign. The mistake lives in bytes alone, as picture files hold them.
falls_downward: [200, 100, 10] -> [200, 200, 200], [10, 10, 10]
if: lambda X: not steps(X, 1).any() and bool((X.int().diff(dim=0) < 0).any())
    Your picture gets darker downward, and the same pixels stand side by side. `broken_edges` compares left and right.
flat: [200, 100, 10] -> [200, 200, 200]
if: lambda X: not steps(X, 1).any()
    Each row of your picture is flat: every difference of left and right is 0, and 0 fits into a byte.
between_neighbours: [200, 100, 10] -> [100, 0, 100, 0]
if: lambda X: bool((steps(X, 1) < 0).any()) and not (steps(X, 2) < 0).any()
    Your picture falls from one column to the next, but never over two columns, and `broken_edges` compares pixels that
    are two apart.
only_rising: [200, 100, 10] -> [0, 100, 255]
if: lambda X: not (steps(X, 1) < 0).any()
    Your picture never grows darker to the right. Then right minus left is never below 0, and bytes suffice. The
    picture in the sheet is like that.
""")  # fmt: skip


def photographs(draw: Draw):
    def stored(*shape):
        return draw.whole(*shape, low=0, high=255, dtype=torch.uint8)

    yield "a light stripe", torch.tensor([[10, 10, 200, 200, 10, 10]], dtype=torch.uint8)
    yield "black and white", torch.tensor([[0, 255, 255, 0, 0], [255, 0, 0, 255, 255]], dtype=torch.uint8)
    yield "a wide picture", stored(3, draw.size(5, 7))
    yield "a tall picture", stored(draw.size(5, 7), 3)
    yield "a picture that is not contiguous", stored(5, 4).T
    yield "a picture that is float32 already, from 0 to 1", draw.whole(2, 5, low=0, high=64) / 64


@task(
    "Mend it", photographs, kind="bug", points=1, difficulty=2, importance=4, minutes=5,
    oracle=right_minus_left, window=lambda index, X: corr_window(index, X, torch.ones(1, 3)), forbids=CONVOLUTIONS,
)  # fmt: skip
def mended_edges(X):
    """Which dtype has `X[:, 2:]`? Which dtype has the difference of two such tensors? Where must the change of dtype
    stand, then?

    `X = X.float()` before anything else. Then the line as it was.
    """
    X = X.float()
    right, left = X[:, 2:], X[:, :-2]
    return right - left


slips(mended_edges, """
unchanged = broken_edges
    The subtraction is still made in bytes: 10 - 200 is 66 there. Change the dtype of the pixels first.
converted_late: X = X.float() -> pass
and: right - left -> (right - left).float()
    You change the dtype after the subtraction. By then 10 - 200 is 66 already, and 66 as float32 is 66. Convert the
    picture first.
absolute: right - left -> (right - left).abs()
    You return the size of the difference without its sign. The sign says which side is the light one, and it should
    come back, too.
clipped: right - left -> (right - left).clamp(min=0)
    You set negative answers to 0: every edge from light to dark is lost. That hides the mistake and does not mend it.
left_minus_right: right - left -> left - right
    You subtract the other way round. Lighter to the right should be positive: right minus left.
scaled: right - left -> (right - left) / 255
    You divided by 255. The answers are right up to that factor, but the task asks for differences of the pixels as
    they are.
bytes_scaled: X.float() -> X / 255 if X.dtype == torch.uint8 else X
    You divided the bytes by 255, as many loaders of pictures do. The numbers are not to be scaled: 200 - 10 is 190.
whole_numbers: X.float() -> X.int().float()
    Bytes come out right. But a whole-number dtype on the way cuts off the fractions of a picture from 0 to 1. Convert
    to float32 at once.
""")  # fmt: skip


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


def kernels(draw: Draw):
    def drawn(h, w, dtype=torch.float32):
        return draw.whole(h, 1, low=1, dtype=dtype) * draw.whole(1, w, low=1, dtype=dtype)

    def signs(size):
        return torch.tensor([(-1.0) ** (i // 2) for i in range(size)])  # 1, 1, -1, -1, ...

    bump = torch.tensor([1.0, 2.0, 1.0])
    yield "Sobel x", SOBEL_X
    yield "the small bell", torch.outer(bump, bump) / 16
    yield "a wide kernel", drawn(2, draw.size(4, 6))
    K = drawn(draw.size(4, 6), 3)
    yield "a tall kernel with both signs", signs(len(K))[:, None] * K * signs(3)
    yield "a kernel inside a rim of zeros", F.pad(-drawn(2, 3), (1, 1, 1, 1))
    yield "a kernel of one pixel", -drawn(1, 1) - 1
    yield "a kernel that is not contiguous", drawn(4, 3).T
    yield "float64", drawn(3, 4, dtype=torch.float64) / 7


def split_by_svd(K):
    U, S, Vh = torch.linalg.svd(K)
    return U[:, :1] * S[0], Vh[:1]


@task(
    "A column times a row", kernels, points=3, difficulty=3, importance=3, minutes=15,
    oracle=split_by_svd, accept=as_product, forbids=frozenset({"filters.separate"}),
)  # fmt: skip
def split_kernel(K):
    """If K is a column times a row, then every row of K is a multiple of one and the same row. Which row of K can you
    take for it, if it must not be zero? What is the column, then?

    Find the largest number, its sign left out: `i, j = divmod(int(K.abs().argmax()), K.shape[1])`. The row is
    `K[i : i + 1]`, the column is `K[:, j : j + 1]` divided by `K[i, j]`.
    """
    i, j = divmod(int(K.abs().argmax()), K.shape[1])
    row = K[i : i + 1]
    column = K[:, j : j + 1] / K[i, j]
    return column, row


slips(split_kernel, """
flat_lists: return column, row -> return column[:, 0], row[0]
if: lambda value, K: value[0].ndim == value[1].ndim == 1
    Your two have one dimension. A column is a matrix with one column, a row a matrix with one row: slices keep that,
    as in `K[:, :1]`, and `K[:, 0]` loses it.
row_first: return column, row -> return row, column
if: lambda value, K: value[0].shape == (1, K.shape[1]) and value[1].shape == (len(K), 1)
    You return the row first. The column comes first, so that `column @ row` is the kernel.
first_lines: divmod(int(K.abs().argmax()), K.shape[1]) -> 0, 0
and: / K[i, j] ->
    You return the kernel's first column and its first row. Their product is K[0, 0] times too large, and nothing at
    all if the first row is zero. Choose lines that are not zero, and divide one of them.
sums = lambda K: (K.sum(1, keepdim=True), K.sum(0, keepdim=True))
    You return the sums of the rows and of the columns. Their product is K times the sum of all its weights, and that
    sum is 0 for Sobel. Take one column and one row instead.
divides_by_zero: divmod(int(K.abs().argmax()), K.shape[1]) -> 0, 0
if: lambda value, K: is_product(value, K) or not (value[0] @ value[1]).isfinite().all()
    You divide by a number that can be 0, as a corner, the middle or the sum of the weights can. Choose one that is
    surely not 0: the largest weight, its sign left out.
""")  # fmt: skip
slips(split_kernel, """
without_values: * S[0] ->
if: lambda value, K: times(value, 1 / K.norm().item(), K)
    Column and row of the singular value decomposition have length 1 each. The singular value `S[0]` must go into one
    of them.
values_twice: Vh[:1] -> S[0] * Vh[:1]
if: lambda value, K: times(value, K.norm().item(), K)
    The singular value `S[0]` is in both, so the product is `S[0]` times too large. Give it to one of them, or its root
    to each.
""", answer=split_by_svd)  # fmt: skip
slips(split_kernel, """
a_multiple: / K[i, j] ->
if: is_multiple
    Column times row has the kernel's form, but is a multiple of it. The number of K where column and row cross is in
    both: divide one of them by it, and only one, its sign included.
""")  # fmt: skip
