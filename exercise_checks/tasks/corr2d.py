"""Tasks of sheet 01: the loop, its size, convolution, the layer, and learning a kernel back."""

import torch
import torch.nn.functional as F
from torch import nn

from exercise_checks.running.observing import Case
from exercise_checks.tasks.old_task import Draw, Misconception, Task, corr_window, once


def oracle(X, K):
    return F.conv2d(X[None, None], K[None, None])[0, 0]


def lesson_example():
    return torch.arange(9.0).reshape(3, 3), torch.arange(4.0).reshape(2, 2)


def rectangles(seed):
    draw = Draw(seed)
    yield Case("the small picture of lesson 1", lesson_example())
    yield Case("a wide picture", (draw.whole(3, 6), draw.whole(2, 2)))
    yield Case("a tall picture", (draw.whole(6, 3), draw.whole(2, 2)))
    yield Case("a wide kernel", (draw.whole(5, draw.size(5, 7)), draw.whole(2, 3)))
    yield Case("a tall kernel", (draw.whole(draw.size(5, 7), 5), draw.whole(3, 1)))
    yield Case("a kernel of one pixel", (draw.whole(3, 4), draw.whole(1, 1, low=2)))
    X = draw.whole(3, 4)
    yield Case("a kernel as large as the picture", (X, draw.whole(3, 4)))
    yield Case("a picture that is not contiguous", (draw.turned(4, 6), draw.turned(2, 3)))
    yield Case("fractions in float64", (draw.real(5, 4, dtype=torch.float64), draw.real(2, 2, dtype=torch.float64)))


def loops(X, K, value, rows=None, columns=None, dtype=None):
    """Two loops around `value(window, K)`; the misconceptions differ from the right answer in one part each."""
    h, w = K.shape
    rows = X.shape[0] - h + 1 if rows is None else rows
    columns = X.shape[1] - w + 1 if columns is None else columns
    places = [(i, j) for i in range(rows) for j in range(columns)]
    values = [value(X[i : i + h, j : j + w], K) for i, j in places]
    Y = torch.stack(values) if values else torch.zeros(0)
    return Y.reshape(rows, columns).to(dtype or X.dtype)


def product(window, K):
    return (window * K).sum()


def answer_size(X, K):
    return tuple(n - k + 1 for n, k in zip(X.shape, K.shape, strict=True))


def filled(X, K, value=product, rows=None, columns=None, place=lambda i, j: (i, j)):
    """As `loops`, but written into a table of the right size, as learners do it: what does not fit there raises."""
    (h, w), Y = K.shape, torch.zeros(answer_size(X, K), dtype=X.dtype)
    for i in range(Y.shape[0] if rows is None else rows):
        for j in range(Y.shape[1] if columns is None else columns):
            Y[place(i, j)] = value(X[i : i + h, j : j + w], K)
    return Y


def flipped(X, K):
    return loops(X, K.flip(0, 1), product)


def kernel_turned(X, K):
    return loops(X, K.T, product)


def height_twice(X, K):
    return filled(X, K, columns=answer_size(X, K)[0])


def last_place_forgotten(X, K):
    return loops(X, K, product, X.shape[0] - K.shape[0], X.shape[1] - K.shape[1])


def last_place_unvisited(X, K):
    Y = oracle(X, K)
    Y[-1], Y[:, -1] = 0, 0
    return Y


def sides_exchanged(X, K):
    w, h = K.shape
    Y = torch.zeros(X.shape[0] - h + 1, X.shape[1] - w + 1, dtype=X.dtype)
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            Y[i, j] = (X[i : i + h, j : j + w] * K).sum()
    return Y


def returned_inside(X, K):
    Y = torch.zeros_like(oracle(X, K))
    Y[0, 0] = (X[: K.shape[0], : K.shape[1]] * K).sum()
    return Y


def ends_fixed(X, K):
    h, w = K.shape
    Y = torch.zeros(X.shape[0] - h + 1, X.shape[1] - w + 1, dtype=X.dtype)
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            Y[i, j] = (X[i:h, j:w] * K).sum()
    return Y


def answer_replaced(X, K):
    h, w = K.shape
    Y = torch.zeros(X.shape[0] - h + 1, X.shape[1] - w + 1, dtype=X.dtype)
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            Y = (X[i : i + h, j : j + w] * K).sum()
    return Y


def kernel_end_unused(X, K):
    K = K.clone()
    K[-1], K[:, -1] = 0, 0
    return oracle(X, K)


def matrix_product(X, K):
    return loops(X, K, lambda window, K: (window @ K).sum())


def mean_for_sum(X, K):
    return loops(X, K, lambda window, K: (window * K).mean())


def always_float32(X, K):
    return loops(X, K, product, dtype=torch.float32)


def through_item(X, K):
    return loops(X, K, lambda window, K: torch.tensor((window * K).sum().item(), dtype=X.dtype))


def in_place(X, K):
    return loops(X, K, lambda window, K: window.mul_(K).sum())


def table_of_the_picture(X, K):
    return loops(X, K, product, *X.shape)


def loops_over_the_picture(X, K):
    return filled(X, K, rows=X.shape[0], columns=X.shape[1])


def sum_forgotten(X, K):
    return filled(X, K, lambda window, K: window * K)


def places_exchanged(X, K):
    return filled(X, K, place=lambda i, j: (j, i))


def first_row_only(X, K):
    Y = oracle(X, K)
    Y[1:] = 0
    return Y


def starts_at_one(X, K):
    Y = oracle(X, K)
    Y[0], Y[:, 0] = 0, 0
    return Y


CORR2D = Task(
    id="corr2d",
    title="Two loops",
    kind="write",
    points=3,
    difficulty=2,
    importance=5,
    minutes=15,
    oracle=oracle,
    cases=rectangles,
    window=corr_window,
    misconceptions=(
        Misconception(
            "flipped",
            "Your kernel is flipped: this is convolution. The task asks for cross-correlation, where the kernel lies "
            "on the picture as it is written.",
            flipped,
        ),
        Misconception(
            "kernel_turned",
            "Rows and columns of the kernel are exchanged: K[a, b] belongs to the pixel a rows below and b columns to "
            "the right of the window's corner.",
            kernel_turned,
        ),
        Misconception(
            "height_twice",
            "Your inner loop runs over the height again. It must run over the width, `Y.shape[1]`. On square pictures "
            "nobody notices.",
            height_twice,
        ),
        Misconception(
            "last_place_forgotten",
            "Your answer is one row and one column too small: the place where the kernel starts counts, too. The "
            "size is n - k + 1.",
            last_place_forgotten,
        ),
        Misconception(
            "returned_inside",
            "Only the first place is filled. Does your `return` stand inside a loop? Then the function ends there, "
            "after one turn.",
            returned_inside,
        ),
        Misconception(
            "last_place_unvisited",
            "The last row and the last column of your answer stay 0. `range(n)` ends at n - 1 by itself: the loops "
            "need n - k + 1 turns, not n - k.",
            last_place_unvisited,
        ),
        Misconception(
            "sides_exchanged",
            "Square kernels work, others do not. Somewhere the kernel's height and width are exchanged: `K.shape` is "
            "(rows, columns).",
            sides_exchanged,
        ),
        Misconception(
            "ends_fixed",
            "Your windows begin at row i and column j, but they all end at the same place: `X[i:h, j:w]`. The end "
            "moves along with the start: `X[i : i + h, j : j + w]`.",
            ends_fixed,
        ),
        Misconception(
            "answer_replaced",
            "Inside the loops `Y = ...` replaces your whole table by one number. Put the number into its place: "
            "`Y[i, j] = ...`.",
            answer_replaced,
        ),
        Misconception(
            "kernel_end_unused",
            "The last row and the last column of the kernel are never used. `range(h)` ends at h - 1 by itself, so the "
            "loops over the kernel need `range(h)` and `range(w)`.",
            kernel_end_unused,
        ),
        Misconception(
            "matrix_product",
            "`@` is the product of matrices, rows times columns. The window and the kernel are multiplied number by "
            "number: `*`.",
            matrix_product,
        ),
        Misconception(
            "mean_for_sum",
            "You average the products. The window's number is their sum.",
            mean_for_sum,
        ),
        Misconception(
            "always_float32",
            "The values are right, but they are always float32. `torch.zeros(...)` and `torch.tensor(...)` make that "
            "unless told otherwise: `dtype=X.dtype` keeps float64.",
            always_float32,
        ),
        Misconception(
            "through_item",
            "The values are right, but the answer does not know any more how it was computed, and a kernel could never "
            "be learned with it. `.item()` and `torch.tensor(...)` do that, since a plain number has no gradient. So "
            "do `.detach()` and `torch.no_grad()`.",
            through_item,
        ),
        Misconception(
            "in_place",
            "You multiply the window in place (`*=` or `mul_`). A window is a view: it shares X's memory, so X itself "
            "changes, and the next window reads what you wrote. Multiply with `*`.",
            in_place,
        ),
        Misconception(
            "table_of_the_picture",
            "Your answer has a number for every pixel. At the right and at the lower rim the kernel would stick "
            "out of the picture there. Count the places where it lies wholly on it: H - h + 1 rows and W - w + 1 "
            "columns.",
            table_of_the_picture,
        ),
        Misconception(
            "loops_over_the_picture",
            "Your loops run over the picture, and your table is smaller. They must count the rows and columns of "
            "the answer: `Y.shape[0]` and `Y.shape[1]`.",
            loops_over_the_picture,
        ),
        Misconception(
            "sum_forgotten",
            "You put a whole table of products into one place of the answer. Add them up first: `(window * K).sum()`.",
            sum_forgotten,
        ),
        Misconception(
            "sums_multiplied",
            "You multiply two sums. First each pixel of the window is multiplied by the number of the kernel "
            "that lies on it, and then these products are added: `(window * K).sum()`.",
            lambda X, K: loops(X, K, lambda window, K: window.sum() * K.sum()),
        ),
        Misconception(
            "places_exchanged",
            "You write to `Y[j, i]`. The row comes first there, too: `Y[i, j]`.",
            places_exchanged,
        ),
        Misconception(
            "first_row_only",
            "Only the first row is filled. Does your `return` stand inside the outer loop? Then the function "
            "ends there, after one turn.",
            first_row_only,
        ),
        Misconception(
            "starts_at_one",
            "The first row and the first column of your answer stay 0. Python counts from 0, and so do "
            "`range(n)` and the places of a tensor.",
            starts_at_one,
        ),
    ),
    hints=(
        "Take the 3×3 picture and the 2×2 kernel, and a pencil. At which rows can the window's top left corner "
        "stand? At which columns? How many is that each? Those are your two loops.",
        "With `h, w = K.shape`, the window at row i, column j is `X[i : i + h, j : j + w]`. Multiply it by K, add "
        "everything up, and put the number at [i, j] of a tensor of zeros with H - h + 1 rows and W - w + 1 columns.",
    ),
)


# ---------------------------------------------------------------------------------------------------------
# Find the bug: the inner loop of a published tutorial
# ---------------------------------------------------------------------------------------------------------


def broken_corr2d(X, K):
    h, w = K.shape
    Y = torch.zeros(X.shape[0] - h + 1, X.shape[1] - w + 1)
    for i in range(Y.shape[0]):
        for j in range(Y.shape[0]):
            Y[i, j] = (X[i : i + h, j : j + w] * K).sum()
    return Y


def exposes(value):
    """Two matrices that fit, and on which `broken_corr2d` goes wrong."""
    if not (isinstance(value, tuple) and len(value) == 2 and all(isinstance(v, torch.Tensor) for v in value)):
        return "Return two tensors: `return X, K`."
    X, K = value
    if X.ndim != 2 or K.ndim != 2:
        return "X and K must both be matrices, with rows and columns."
    if X.numel() > 10_000 or K.numel() == 0 or K.shape[0] > X.shape[0] or K.shape[1] > X.shape[1]:
        return "K must fit into X, and X must have at most 10000 pixels."
    if X.dtype != torch.float32 or K.dtype != torch.float32:
        return "Take float32 tensors, as `torch.ones(...)` makes them: another dtype is another story."
    if not (X.isfinite().all() and K.isfinite().all()):
        return "Take ordinary numbers: with nan or infinity no two answers are equal, whatever the function does."
    try:
        wrong = broken_corr2d(X, K)
    except (IndexError, RuntimeError):  # it runs past the last column, or what is left there does not fit K
        return None
    if (wrong - oracle(X, K)).abs().max() <= 1e-4 * oracle(X.abs(), K.abs()).max():  # rounding is no mistake
        return "On this input `broken_corr2d` is right. Look for one on which it is not."
    return None


def shapes(value):
    """The shapes of two matrices that fit."""
    X, K = (v.shape for v in value)
    if len(X) != 2 or len(K) != 2 or 0 in K or K[0] > X[0] or K[1] > X[1]:
        raise ValueError("no answer")
    return X, K


def is_square(value):
    X, K = shapes(value)
    return X[0] == X[1] and K[0] == K[1]


def square_answer(value):
    """The answer has as many rows as columns, though the picture has not."""
    X, K = shapes(value)
    return not is_square(value) and X[0] - K[0] == X[1] - K[1]


def only_zeros(value):
    X, K = shapes(value)
    return X[1] - K[1] > X[0] - K[0] and not oracle(*value).any()


EXPOSE = Task(
    id="breaks_corr2d",
    title="Find an input that breaks it",
    kind="bug",
    points=1,
    difficulty=2,
    importance=4,
    minutes=5,
    oracle=lambda: (torch.ones(2, 4), torch.ones(1, 2)),
    cases=once,
    accept=exposes,
    broken=broken_corr2d,
    misconceptions=(
        Misconception(
            "square",
            "Your picture and your kernel are square, and so is the answer. There the height is the width, and the "
            "mistake does not show. That is why it got published.",
            lambda: (torch.ones(3, 3), torch.ones(2, 2)),
            matches=is_square,
        ),
        Misconception(
            "square_answer",
            "Picture and kernel are not both square, but the answer is: its height and its width are what the loops "
            "count.",
            lambda: (torch.ones(3, 4), torch.ones(1, 2)),
            matches=square_answer,
        ),
        Misconception(
            "only_zeros",
            "The right answer is zero everywhere on this input, and the places that the broken loop never visits are "
            "zero, too. Take numbers whose sums are not zero.",
            lambda: (torch.zeros(2, 4), torch.ones(1, 1)),
            matches=only_zeros,
        ),
    ),
    hints=(
        "Read the two `range(...)`. For which pictures do they count the same, although they should not?",
        "The inner loop counts rows instead of columns. Take a picture with more columns than rows, filled with ones: "
        "which columns of the answer are never visited?",
    ),
)

MENDED = Task(
    id="mended_corr2d",
    title="Mend it",
    kind="bug",
    points=1,
    difficulty=2,
    importance=4,
    minutes=5,
    oracle=oracle,
    cases=rectangles,
    window=corr_window,
    misconceptions=(
        Misconception(
            "unchanged",
            "The inner loop still runs over the height. A wide picture keeps columns of zeros, a tall one raises an "
            "IndexError.",
            broken_corr2d,
        ),
        Misconception(
            "loops_exchanged",
            "Now both are exchanged: i runs over the width and j over the height, but i still counts rows in `Y[i, "
            "j]`.",
            lambda X, K: loops_exchanged(X, K),
        ),
        Misconception(
            "cropped",
            "You made the answer square, so that the loop fits. The columns that are missing were right answers.",
            lambda X, K: oracle(X, K)[:, : X.shape[0] - K.shape[0] + 1],
        ),
        Misconception(
            "float32_left",
            "The loop is mended. One thing is left: your answer is float32 whatever X is. `torch.zeros(...)` makes "
            "that; give it `dtype=X.dtype`.",
            lambda X, K: oracle(X, K).float(),
        ),
        Misconception(
            "width_twice",
            "Now both loops run over the width. The outer one counted rows, and it was right.",
            lambda X, K: filled(X, K, rows=answer_size(X, K)[1]),
        ),
        Misconception(
            "always_float64",
            "The loop is mended, but now your answer is float64 whatever X is. It must have the dtype of X.",
            lambda X, K: oracle(X, K).double(),
        ),
    ),
    hints=(
        "Call the given function with your input of the task before, and look at the columns that stay zero. Which "
        "loop should have reached them? And which dtype has the answer to a picture in float64?",
        "`for j in range(Y.shape[1])`: shape[0] counts rows, shape[1] counts columns. And give `torch.zeros` the dtype "
        "of X.",
    ),
)


def loops_exchanged(X, K):
    rows, columns = answer_size(X, K)
    return filled(X, K, rows=columns, columns=rows)


# ---------------------------------------------------------------------------------------------------------
# Predict sizes
# ---------------------------------------------------------------------------------------------------------

SIZES = {"digit": ((28, 28), (5, 5)), "wide": ((6, 8), (1, 2)), "twice": ((28, 28), (5, 5), (5, 5))}


def sizes_with(step):
    def answer():
        found = {}
        for name, (size, *kernels) in SIZES.items():
            for kernel in kernels:
                size = tuple(step(n, k) for n, k in zip(size, kernel, strict=True))
            found[name] = size
        return found

    return answer


def torch_sizes():
    found = {}
    for name, (size, *kernels) in SIZES.items():
        Y = torch.zeros(1, 1, *size)
        for kernel in kernels:
            Y = F.conv2d(Y, torch.zeros(1, 1, *kernel))
        found[name] = tuple(Y.shape[2:])
    return found


PREDICT = Task(
    id="answer_sizes",
    title="Sizes without running",
    kind="predict",
    points=2,
    difficulty=1,
    importance=5,
    minutes=5,
    oracle=torch_sizes,
    cases=once,
    misconceptions=(
        Misconception(
            "no_plus_one",
            "You took n - k. The kernel can also stand where it starts, so there is one place more: n - k + 1.",
            sizes_with(lambda n, k: n - k),
        ),
        Misconception(
            "size_kept",
            "You kept the picture's size. Without padding the kernel must lie wholly on the picture, so there are "
            "fewer places than pixels.",
            sizes_with(lambda n, k: n),
        ),
        Misconception(
            "full",
            "You took n + k - 1, the size of a *full* convolution, where a single shared pixel is enough. Here the "
            "kernel must lie wholly on the picture.",
            sizes_with(lambda n, k: n + k - 1),
        ),
        Misconception(
            "columns_first",
            "Rows come first: a picture of 6 rows and 8 columns has the shape (6, 8), and so has its answer's.",
            lambda: {"wide": (7, 6)},
        ),
        Misconception(
            "second_kernel_forgotten",
            "For `twice` you used one kernel only: the second one slides over the answer of the first.",
            lambda: {"digit": (24, 24), "twice": (24, 24)},
        ),
        Misconception(
            "kernels_added",
            "For `twice` you took one kernel of 10×10. Two 5×5 kernels, one after the other, each take away only "
            "4 rows and 4 columns: use the size after the first for the second.",
            lambda: {"twice": (19, 19)},
        ),
        Misconception(
            "half_of_the_kernel",
            "You took half of a kernel off. It sticks out by a half at both ends, so it costs k - 1 rows and columns.",
            sizes_with(lambda n, k: n - k // 2),
        ),
        Misconception(
            "row_for_nothing",
            "For `wide` you took a row away. A kernel of one row lies on each of the 6 rows: n - k + 1 with k = 1.",
            lambda: {"wide": (5, 7)},
        ),
    ),
    hints=(
        "Put the kernel at the far left. How many steps to the right can it make before it would stick out? The place "
        "where it started counts, too.",
        "Rows and columns each: n - k + 1. For `twice`, use the formula on the answer of the first.",
    ),
)


# ---------------------------------------------------------------------------------------------------------
# The layer
# ---------------------------------------------------------------------------------------------------------


class Oracle(nn.Module):
    def __init__(self, kernel_size):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(kernel_size))
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, X):
        return oracle(X, self.weight) + self.bias


class PlainTensor(Oracle):
    def __init__(self, kernel_size):
        super().__init__(kernel_size)
        del self.weight
        self.weight = torch.rand(kernel_size, generator=torch.Generator().manual_seed(1))


class BiasForgotten(Oracle):
    def forward(self, X):
        return oracle(X, self.weight)


class NoBiasParameter(Oracle):
    def __init__(self, kernel_size):
        super().__init__(kernel_size)
        del self.bias

    def forward(self, X):
        return oracle(X, self.weight)


class BiasPerPixel(Oracle):
    def __init__(self, kernel_size):
        super().__init__(kernel_size)
        self.bias = nn.Parameter(torch.zeros(kernel_size))


class BiasWithoutShape(Oracle):
    def __init__(self, kernel_size):
        super().__init__(kernel_size)
        self.bias = nn.Parameter(torch.tensor(0.0))


class Buffer(PlainTensor):
    def __init__(self, kernel_size):
        super().__init__(kernel_size)
        weight = self.weight
        del self.weight
        self.register_buffer("weight", weight)


class OtherName(PlainTensor):
    def __init__(self, kernel_size):
        super().__init__(kernel_size)
        self.kernel = nn.Parameter(torch.rand(kernel_size))


class NoSuper(Oracle):
    def __init__(self, kernel_size):
        self.weight = nn.Parameter(torch.rand(kernel_size))


class Detached(Oracle):
    def forward(self, X):
        return oracle(X, self.weight.data) + self.bias


class Flipped(Oracle):
    def forward(self, X):
        return oracle(X, self.weight.flip(0, 1)) + self.bias


class PairForNumber(Oracle):
    def __init__(self, kernel_size):
        super().__init__(kernel_size)
        self.weight = nn.Parameter(torch.rand(kernel_size, kernel_size))


def layers_to_build(seed):
    draw = Draw(seed)
    for label, size, kernel in [
        ("a square kernel", (4, 5), (2, 2)),
        ("a wide kernel", (5, 6), (1, 3)),
        ("a tall kernel", (6, 4), (3, 2)),
    ]:
        weights = {"weight": draw.whole(*kernel), "bias": draw.whole(1, low=1)}
        yield Case(label, ({"kernel_size": kernel}, weights, draw.whole(*size)), gradient=False)


LAYER = Task(
    id="Conv2D",
    title="A layer of your own",
    kind="write",
    points=3,
    difficulty=3,
    importance=4,
    minutes=15,
    use="module",
    oracle=Oracle,
    cases=layers_to_build,
    misconceptions=(
        Misconception(
            "super_forgotten",
            "`super().__init__()` is missing, or stands too late. It makes the place where parameters are registered, "
            "so it must be the first line of `__init__`.",
            NoSuper,
        ),
        Misconception(
            "buffer",
            "`weight` is a buffer: it is saved and moved, but `parameters()` does not list it, and it is not trained. "
            "Make it an `nn.Parameter`.",
            Buffer,
            matches=lambda value, *_: "weight" not in value["parameters"] and "weight" in value["state_dict"],
        ),
        Misconception(
            "other_name",
            "Your layer has a parameter with another name, but none called `weight`. Users of a layer, and files "
            "with saved weights, know parameters by their names.",
            OtherName,
            matches=lambda value, *_: (
                bool(value["parameters"].keys() - {"bias"}) and "weight" not in value["parameters"]
            ),
        ),
        Misconception(
            "plain_tensor",
            "The module does not know your `weight`, as if it were a plain tensor. Only an `nn.Parameter` that "
            "`__init__` assigns to `self.weight` is found by `parameters()`, is trained, is saved in `state_dict()` "
            "and moves with `.to(device)`.",
            PlainTensor,
            matches=lambda value, *_: "weight" not in value["parameters"],
        ),
        Misconception(
            "no_bias",
            "The layer has no parameter `bias`. The task asks for one number, `nn.Parameter(torch.zeros(1))`, assigned "
            "to `self.bias` and added to every pixel.",
            NoBiasParameter,
            matches=lambda value, *_: "bias" not in value["parameters"],
        ),
        Misconception(
            "bias_without_shape",
            "Your bias has the shape (), as `torch.tensor(0.0)` has. The task asks for the shape (1,), as "
            "`torch.zeros(1)` has it.",
            BiasWithoutShape,
            matches=lambda value, *_: value["parameters"]["bias"] == (),
        ),
        Misconception(
            "bias_per_pixel",
            "What you add to the answer has one number for each of the kernel's pixels. One output channel has one "
            "bias, the same at every pixel.",
            BiasPerPixel,
        ),
        Misconception(
            "detached",
            "No gradient reaches `weight`, so the kernel would never learn. Is it cut off by `.data`, `.detach()` or "
            "`requires_grad=False`, or does `forward` use another tensor?",
            Detached,
            matches=lambda value, *_: isinstance(value["output"], torch.Tensor) and "weight" not in value["gradients"],
        ),
        Misconception(
            "bias_forgotten",
            "The layer has a bias, but `forward` does not add it.",
            BiasForgotten,
        ),
        Misconception(
            "flipped",
            "Your kernel is flipped. A layer computes cross-correlation, as `corr2d` does.",
            Flipped,
        ),
        Misconception(
            "pair_for_number",
            "`kernel_size` is a pair already, (rows, columns). `torch.rand(kernel_size)` makes a table of that "
            "size; you hand it in twice.",
            PairForNumber,
        ),
    ),
    hints=(
        "How does a module know which tensors it should train? Print `list(Conv2D((1, 2)).parameters())`: what must "
        "stand there?",
        "In `__init__`: `super().__init__()`, then `self.weight = nn.Parameter(torch.rand(kernel_size))` and a bias of "
        "shape (1,). In `forward`: `ops.corr2d(X, self.weight) + self.bias`.",
    ),
)


# ---------------------------------------------------------------------------------------------------------
# Learning a kernel back
# ---------------------------------------------------------------------------------------------------------


def least_squares(X, Y, kernel_size):
    windows = F.unfold(X[None, None], kernel_size)[0].T
    return torch.linalg.lstsq(windows.double(), Y.reshape(-1, 1).double()).solution.reshape(kernel_size).to(X.dtype)


def descend(X, Y, kernel_size, steps=400, rate=0.1, sign=-1.0, keep=False):
    K = torch.zeros(kernel_size)
    total = torch.zeros(kernel_size)
    for _ in range(steps):
        with torch.enable_grad():
            K = K.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(((oracle(X, K) - Y) ** 2).mean(), K)
        total = total + gradient if keep else gradient
        K = K.detach() + sign * rate * total
    return K


def made_anew(X, Y, kernel_size):
    K = torch.zeros(kernel_size, requires_grad=True)
    for _ in range(2):
        ((oracle(X, K) - Y) ** 2).mean().backward()
        with torch.no_grad():
            K = K - 0.1 * K.grad
    return K


def recorded_step(X, Y, kernel_size):
    K = torch.zeros(kernel_size, requires_grad=True)
    K -= 0.1 * torch.ones(kernel_size)
    return K


def picture_of_errors(X, Y, kernel_size):
    ((oracle(X, torch.zeros(kernel_size, requires_grad=True)) - Y) ** 2).backward()


def learned(test):
    """A `matches` for kernels of the right form: `test(K, goal)` looks at their numbers."""

    def matches(K, X, Y, kernel_size):
        return K.shape == kernel_size and K.dtype == X.dtype and test(K, least_squares(X, Y, kernel_size))

    return matches


def on_the_way(K, X, Y, kernel_size):
    """Descent from zero goes a part of the way along each direction in which the error bends, and further along those
    in which it bends more."""
    if K.shape != kernel_size or K.dtype != X.dtype:
        return False
    _, directions = torch.linalg.eigh(bend(X, kernel_size))
    went, whole = (directions.T @ kernel.flatten() for kernel in (K, least_squares(X, Y, kernel_size)))
    part = went / whole
    return bool(((part > -0.01) & (part < 1.01)).all() and (part.diff() > -0.02).all())


def bend(X, kernel_size):
    """The second derivatives of the mean squared error by the numbers of the kernel."""
    windows = F.unfold(X[None, None], kernel_size)[0]
    return 2 * windows @ windows.T / windows.shape[1]


def quick_picture(draw, kernel_size):
    """A small picture on which the error bends about equally in all directions: 50 steps of rate 0.1 go all the way."""
    while True:
        X = 1.25 * draw.real(3, 5)
        bends = torch.linalg.eigvalsh(bend(X, kernel_size))
        if bends.min() > 1.5 and bends.max() < 6:
            return X


def pairs(seed):
    draw = Draw(seed)
    for label, kernel in [("an edge", torch.tensor([[1.0, -1.0]])), ("a kernel of two rows", draw.whole(2, 2, low=1))]:
        X = quick_picture(draw, tuple(kernel.shape))
        yield Case(label, (X, oracle(X, kernel), tuple(kernel.shape)), gradient=False)


LEARN = Task(
    id="learn_kernel",
    title="Learn a kernel back",
    kind="write",
    points=3,
    difficulty=4,
    importance=4,
    minutes=20,
    oracle=least_squares,
    cases=pairs,
    absolute=0.05,
    relative=0.0,
    seconds=10,  # the first optimizer in a process takes torch some seconds
    misconceptions=(
        Misconception(
            "new_tensor",
            "At `backward()` K does not require gradients. Either it never did: see `torch.zeros(kernel_size, "
            "requires_grad=True)`. Or `K = K - ...` inside `torch.no_grad()` made a new tensor, which does not. Change "
            "K itself: `K -= ...`.",
            made_anew,
        ),
        Misconception(
            "no_grad_forgotten",
            "Torch refuses to change K, because it records every step with K for the gradient. The step downhill is no "
            "part of the error: take it inside `with torch.no_grad():`.",
            recorded_step,
        ),
        Misconception(
            "no_gradient",
            "`K.grad` is None where you take the step. Either `backward()` has not been called, or `K = K - ...` made "
            "a new tensor, for which `backward()` leaves no gradient. Change K itself: `K -= ...` inside `with "
            "torch.no_grad():`.",
            lambda X, Y, kernel_size: 0.1 * torch.zeros(kernel_size).grad,
        ),
        Misconception(
            "nothing_to_clear",
            "`K.grad` is None where you set it to zero. Either `backward()` has not been called before, or "
            "`K = K - ...` made a new tensor, which has no gradient. Change K itself: `K -= ...` inside `with "
            "torch.no_grad():`.",
            lambda X, Y, kernel_size: torch.zeros(kernel_size).grad.zero_(),
        ),
        Misconception(
            "mean_forgotten",
            "`backward()` starts from one number, and you call it on a whole picture of errors. Take the mean of the "
            "squares first.",
            picture_of_errors,
        ),
        Misconception(
            "grows",
            "The kernel grows without end. Either you add the gradient, which points uphill: subtract it. Or the steps "
            "are too large: a rate of 0.1 goes with the *mean* of the squares, not with their sum.",
            lambda X, Y, kernel_size: descend(X, Y, kernel_size, sign=1.0),
            matches=learned(lambda K, goal: not K.abs().max() < 1000),  # also what is no number any more
        ),
        Misconception(
            "never_moves",
            "The kernel that comes back is the one you started with, zeros. Is a step taken at all, and on the very "
            "tensor that you return?",
            lambda X, Y, kernel_size: torch.zeros(kernel_size),
            matches=learned(lambda K, goal: not K.any()),
        ),
        Misconception(
            "flipped",
            "What comes back is the right kernel turned by 180 degrees. Whoever learns with a convolution that flips "
            "finds that. Learn with cross-correlation, `ops.corr2d`.",
            lambda X, Y, kernel_size: descend(X, Y, kernel_size).flip(0, 1),
            matches=learned(lambda K, goal: torch.allclose(K.flip(0, 1), goal, rtol=0, atol=0.05)),
        ),
        Misconception(
            "too_few_steps",
            "The kernel moves the right way but has not arrived. Take more steps, or larger ones. Or does `return` "
            "stand inside the loop?",
            lambda X, Y, kernel_size: descend(X, Y, kernel_size, steps=5),
            matches=on_the_way,
        ),
        Misconception(
            "elsewhere",
            "A kernel comes back that is neither the right one nor on its way there from zero. Check three things: is "
            "the error the *mean* of the *squared* differences, is the rate 0.1, and is `K.grad` set to zero after "
            "each step? `backward()` adds to what stands there.",
            lambda X, Y, kernel_size: descend(X, Y, kernel_size, steps=395, keep=True),
            matches=learned(lambda K, goal: True),
        ),
        Misconception(
            "error_returned",
            "What comes back is one number, the error. The kernel is asked for: `return K`.",
            lambda X, Y, kernel_size: (Y**2).mean(),
            matches=lambda value, *_: value.shape == (),
        ),
    ),
    hints=(
        "Which number says how wrong a kernel is? Which tensor must `requires_grad` for torch to say how that number "
        "changes with it?",
        "Repeat a hundred times: `loss = ((ops.corr2d(X, K) - Y) ** 2).mean()`, `loss.backward()`, then inside "
        "`with torch.no_grad():` `K -= 0.1 * K.grad` and `K.grad.zero_()`.",
    ),
)


TASKS = (CORR2D, PREDICT, EXPOSE, MENDED, LAYER, LEARN)
