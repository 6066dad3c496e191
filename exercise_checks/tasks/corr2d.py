"""Tasks of sheet 01: the loop, its size, convolution, the layer, and learning a kernel back."""

import torch
import torch.nn.functional as F
from torch import nn

from exercise_checks.running.observing import Case
from exercise_checks.tasks.calls import CONVOLUTIONS
from exercise_checks.tasks.task import Draw, corr_window, slips, task


def oracle(X, K):
    return F.conv2d(X[None, None], K[None, None])[0, 0]


def rectangles(draw: Draw):
    yield "the small picture of lesson 1", torch.arange(9.0).reshape(3, 3), torch.arange(4.0).reshape(2, 2)
    yield "a wide picture", draw.whole(3, 6), draw.whole(2, 2)
    yield "a tall picture", draw.whole(6, 3), draw.whole(2, 2)
    yield "a wide kernel", draw.whole(5, draw.size(5, 7)), draw.whole(2, 3)
    yield "a tall kernel", draw.whole(draw.size(5, 7), 5), draw.whole(3, 1)
    yield "a kernel of one pixel", draw.whole(3, 4), draw.whole(1, 1, low=2)
    yield "a kernel as large as the picture", draw.whole(3, 4), draw.whole(3, 4)
    yield "a picture that is not contiguous", draw.turned(4, 6), draw.turned(2, 3)
    yield "fractions in float64", draw.real(5, 4, dtype=torch.float64), draw.real(2, 2, dtype=torch.float64)


@task(
    "Two loops", rectangles, points=3, difficulty=2, importance=5, minutes=15,
    oracle=oracle, window=corr_window, forbids=CONVOLUTIONS | {"ops.*", "layers.*"},
)  # fmt: skip
def corr2d(X, K):
    """Take the 3×3 picture and the 2×2 kernel, and a pencil. At which rows can the window's top left corner stand? At
    which columns? How many is that each? Those are your two loops.

    With `h, w = K.shape`, the window at row i, column j is `X[i : i + h, j : j + w]`. Multiply it by K, add everything
    up, and put the number at [i, j] of a tensor of zeros with H - h + 1 rows and W - w + 1 columns.
    """
    h, w = K.shape
    Y = torch.zeros(X.shape[0] - h + 1, X.shape[1] - w + 1, dtype=X.dtype)
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            Y[i, j] = (X[i : i + h, j : j + w] * K).sum()
    return Y


slips(corr2d, """
flipped: * K) -> * K.flip(0, 1))
    Your kernel is flipped: this is convolution. The task asks for cross-correlation, where the kernel lies on the
    picture as it is written.
kernel_turned: h, w = K.shape -> K = K.T; h, w = K.shape
    Rows and columns of the kernel are exchanged: K[a, b] belongs to the pixel a rows below and b columns to the right
    of the window's corner.
height_twice: j in range(Y.shape[1]) -> j in range(Y.shape[0])
    Your inner loop runs over the height again. It must run over the width, `Y.shape[1]`. On square pictures nobody
    notices.
last_place_forgotten: + 1 -> + 0
    Your answer is one row and one column too small: the place where the kernel starts counts, too. The size is
    n - k + 1.
returned_inside: .sum() -> .sum(); return Y
    Only the first place is filled. Does your `return` stand inside a loop? Then the function ends there, after one
    turn.
last_place_unvisited: ]): -> ] - 1):
    The last row and the last column of your answer stay 0. `range(n)` ends at n - 1 by itself: the loops need
    n - k + 1 turns, not n - k.
sides_exchanged: h, w = -> w, h =
    Square kernels work, others do not. Somewhere the kernel's height and width are exchanged: `K.shape` is (rows,
    columns).
ends_fixed: [i : i + h, j : j + w] -> [i:h, j:w]
    Your windows begin at row i and column j, but they all end at the same place: `X[i:h, j:w]`. The end moves along
    with the start: `X[i : i + h, j : j + w]`.
answer_replaced: Y[i, j] = -> Y =
    Inside the loops `Y = ...` replaces your whole table by one number. Put the number into its place: `Y[i, j] = ...`.
kernel_end_unused: * K) -> * F.pad(K[:-1, :-1], (0, 1, 0, 1)))
    The last row and the last column of the kernel are never used. `range(h)` ends at h - 1 by itself, so the loops
    over the kernel need `range(h)` and `range(w)`.
matrix_product: * K -> @ K
    `@` is the product of matrices, rows times columns. The window and the kernel are multiplied number by number: `*`.
mean_for_sum: .sum() -> .mean()
    You average the products. The window's number is their sum.
always_float32: , dtype=X.dtype ->
    The values are right, but they are always float32. `torch.zeros(...)` and `torch.tensor(...)` make that unless told
    otherwise: `dtype=X.dtype` keeps float64.
through_item: .sum() -> .sum().item()
    The values are right, but the answer does not know any more how it was computed, and a kernel could never be
    learned with it. `.item()` and `torch.tensor(...)` do that, since a plain number has no gradient. So do
    `.detach()` and `torch.no_grad()`.
in_place: w] * K) -> w].mul_(K))
    You multiply the window in place (`*=` or `mul_`). A window is a view: it shares X's memory, so X itself changes,
    and the next window reads what you wrote. Multiply with `*`.
table_of_the_picture: X.shape[0] - h + 1, X.shape[1] - w + 1 -> *X.shape
    Your answer has a number for every pixel. At the right and at the lower rim the kernel would stick out of the
    picture there. Count the places where it lies wholly on it: H - h + 1 rows and W - w + 1 columns.
loops_over_the_picture: range(Y -> range(X
    Your loops run over the picture, and your table is smaller. They must count the rows and columns of the answer:
    `Y.shape[0]` and `Y.shape[1]`.
sum_forgotten: .sum() ->
    You put a whole table of products into one place of the answer. Add them up first: `(window * K).sum()`.
sums_multiplied: * K).sum() -> ).sum() * K.sum()
    You multiply two sums. First each pixel of the window is multiplied by the number of the kernel that lies on it,
    and then these products are added: `(window * K).sum()`.
places_exchanged: Y[i, j] -> Y[j, i]
    You write to `Y[j, i]`. The row comes first there, too: `Y[i, j]`.
first_row_only: i in range(Y.shape[0]) -> i in range(1)
    Only the first row is filled. Does your `return` stand inside the outer loop? Then the function ends there, after
    one turn.
starts_at_one: range( -> range(1,
    The first row and the first column of your answer stay 0. Python counts from 0, and so do `range(n)` and the places
    of a tensor.
""")  # fmt: skip


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


@task("Sizes without running", kind="predict", points=2, difficulty=1, importance=5, minutes=5, oracle=torch_sizes)
def answer_sizes():
    """Put the kernel at the far left. How many steps to the right can it make before it would stick out? The place
    where it started counts, too.

    Rows and columns each: n - k + 1. For `twice`, use the formula on the answer of the first.
    """
    return {"digit": (24, 24), "wide": (6, 7), "twice": (20, 20)}


slips(answer_sizes, """
no_plus_one = sizes_with(lambda n, k: n - k)
    You took n - k. The kernel can also stand where it starts, so there is one place more: n - k + 1.
size_kept = sizes_with(lambda n, k: n)
    You kept the picture's size. Without padding the kernel must lie wholly on the picture, so there are fewer places
    than pixels.
full = sizes_with(lambda n, k: n + k - 1)
    You took n + k - 1, the size of a *full* convolution, where a single shared pixel is enough. Here the kernel must
    lie wholly on the picture.
columns_first = {"wide": (7, 6)}
    Rows come first: a picture of 6 rows and 8 columns has the shape (6, 8), and so has its answer's.
second_kernel_forgotten = {"digit": (24, 24), "twice": (24, 24)}
    For `twice` you used one kernel only: the second one slides over the answer of the first.
kernels_added = {"twice": (19, 19)}
    For `twice` you took one kernel of 10×10. Two 5×5 kernels, one after the other, each take away only 4 rows and 4
    columns: use the size after the first for the second.
half_of_the_kernel = sizes_with(lambda n, k: n - k // 2)
    You took half of a kernel off. It sticks out by a half at both ends, so it costs k - 1 rows and columns.
row_for_nothing = {"wide": (5, 7)}
    For `wide` you took a row away. A kernel of one row lies on each of the 6 rows: n - k + 1 with k = 1.
""")  # fmt: skip


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


def has_square_output(value):
    """The answer has as many rows as columns, though the picture has not."""
    X, K = shapes(value)
    return not is_square(value) and X[0] - K[0] == X[1] - K[1]


def is_zero(value):
    X, K = shapes(value)
    return X[1] - K[1] > X[0] - K[0] and not oracle(*value).any()


@task(
    "Find an input that breaks it", kind="bug", points=1, difficulty=2, importance=4, minutes=5,
    accept=exposes, broken=broken_corr2d,
)  # fmt: skip
def breaks_corr2d():
    """Read the two `range(...)`. For which pictures do they count the same, although they should not?

    The inner loop counts rows instead of columns. Take a picture with more columns than rows, filled with ones: which
    columns of the answer are never visited?
    """
    return torch.ones(2, 4), torch.ones(1, 2)


slips(breaks_corr2d, """
square = torch.ones(3, 3), torch.ones(2, 2)
if: is_square
    Your picture and your kernel are square, and so is the answer. There the height is the width, and the mistake does
    not show. That is why it got published.
square_answer = torch.ones(3, 4), torch.ones(1, 2)
if: has_square_output
    Picture and kernel are not both square, but the answer is: its height and its width are what the loops count.
only_zeros = torch.zeros(2, 4), torch.ones(1, 1)
if: is_zero
    The right answer is zero everywhere on this input, and the places that the broken loop never visits are zero, too.
    Take numbers whose sums are not zero.
""")  # fmt: skip


@task(
    "Mend it", rectangles, kind="bug", points=1, difficulty=2, importance=4, minutes=5,
    oracle=oracle, window=corr_window, forbids=CONVOLUTIONS,
)  # fmt: skip
def mended_corr2d(X, K):
    """Call the given function with your input of the task before, and look at the columns that stay zero. Which loop
    should have reached them? And which dtype has the answer to a picture in float64?

    `for j in range(Y.shape[1])`: shape[0] counts rows, shape[1] counts columns. And give `torch.zeros` the dtype of X.
    """
    h, w = K.shape
    Y = torch.zeros(X.shape[0] - h + 1, X.shape[1] - w + 1, dtype=X.dtype)
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            Y[i, j] = (X[i : i + h, j : j + w] * K).sum()
    return Y


slips(mended_corr2d, """
unchanged = broken_corr2d
    The inner loop still runs over the height. A wide picture keeps columns of zeros, a tall one raises an IndexError.
loops_exchanged: i in range(Y.shape[0]) -> i in range(Y.shape[1])
and: j in range(Y.shape[1]) -> j in range(Y.shape[0])
    Now both are exchanged: i runs over the width and j over the height, but i still counts rows in `Y[i, j]`.
cropped: X.shape[1] - w + 1 -> min(X.shape[0] - h, X.shape[1] - w) + 1
    You made the answer square, so that the loop fits. The columns that are missing were right answers.
float32_left: , dtype=X.dtype ->
    The loop is mended. One thing is left: your answer is float32 whatever X is. `torch.zeros(...)` makes that; give it
    `dtype=X.dtype`.
width_twice: i in range(Y.shape[0]) -> i in range(Y.shape[1])
    Now both loops run over the width. The outer one counted rows, and it was right.
always_float64: dtype=X.dtype -> dtype=torch.float64
    The loop is mended, but now your answer is float64 whatever X is. It must have the dtype of X.
""")  # fmt: skip


def layers_to_build(draw: Draw):
    for label, size, kernel in [
        ("a square kernel", (4, 5), (2, 2)),
        ("a wide kernel", (5, 6), (1, 3)),
        ("a tall kernel", (6, 4), (3, 2)),
    ]:
        weights = {"weight": draw.whole(*kernel), "bias": draw.whole(1, low=1)}
        yield label, {"kernel_size": kernel}, weights, draw.whole(*size)


@task(
    "A layer of your own", layers_to_build, points=3, difficulty=3, importance=4, minutes=15,
    use="module", gradient=False, forbids=CONVOLUTIONS | {"layers.*"},
)  # fmt: skip
class Conv2D(nn.Module):
    """How does a module know which tensors it should train? Print `list(Conv2D((1, 2)).parameters())`: what must stand
    there?

    In `__init__`: `super().__init__()`, then `self.weight = nn.Parameter(torch.rand(kernel_size))` and a bias of shape
    (1,). In `forward`: `ops.corr2d(X, self.weight) + self.bias`.
    """

    def __init__(self, kernel_size):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(kernel_size))
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, X):
        return oracle(X, self.weight) + self.bias


slips(Conv2D, """
super_forgotten: super().__init__() -> pass
    `super().__init__()` is missing, or stands too late. It makes the place where parameters are registered, so it must
    be the first line of `__init__`.
buffer: self.weight = nn.Parameter(torch.rand(kernel_size)) -> self.register_buffer("weight", torch.ones(kernel_size))
if: lambda value, *_: "weight" not in value["parameters"] and "weight" in value["state_dict"]
    `weight` is a buffer: it is saved and moved, but `parameters()` does not list it, and it is not trained. Make it an
    `nn.Parameter`.
other_name: self.weight -> self.kernel
if: lambda value, *_: bool(value["parameters"].keys() - {"bias"}) and "weight" not in value["parameters"]
    Your layer has a parameter with another name, but none called `weight`. Users of a layer, and files with saved
    weights, know parameters by their names.
plain_tensor: nn.Parameter(torch.rand(kernel_size)) -> torch.ones(kernel_size)
if: lambda value, *_: "weight" not in value["parameters"]
    The module does not know your `weight`, as if it were a plain tensor. Only an `nn.Parameter` that `__init__`
    assigns to `self.weight` is found by `parameters()`, is trained, is saved in `state_dict()` and moves with
    `.to(device)`.
no_bias: nn.Parameter(torch.zeros(1)) -> 0
if: lambda value, *_: "bias" not in value["parameters"]
    The layer has no parameter `bias`. The task asks for one number, `nn.Parameter(torch.zeros(1))`, assigned to
    `self.bias` and added to every pixel.
bias_without_shape: torch.zeros(1) -> torch.tensor(0.0)
if: lambda value, *_: value["parameters"]["bias"] == ()
    Your bias has the shape (), as `torch.tensor(0.0)` has. The task asks for the shape (1,), as `torch.zeros(1)` has
    it.
bias_per_pixel: torch.zeros(1) -> torch.zeros(kernel_size)
    What you add to the answer has one number for each of the kernel's pixels. One output channel has one bias, the
    same at every pixel.
detached: self.weight) -> self.weight.data)
if: lambda value, *_: isinstance(value["output"], torch.Tensor) and "weight" not in value["gradients"]
    No gradient reaches `weight`, so the kernel would never learn. Is it cut off by `.data`, `.detach()` or
    `requires_grad=False`, or does `forward` use another tensor?
bias_forgotten: + self.bias ->
    The layer has a bias, but `forward` does not add it.
flipped: self.weight) -> self.weight.flip(0, 1))
    Your kernel is flipped. A layer computes cross-correlation, as `corr2d` does.
pair_for_number: torch.rand(kernel_size) -> torch.rand(kernel_size, kernel_size)
    `kernel_size` is a pair already, (rows, columns). `torch.rand(kernel_size)` makes a table of that size; you hand it
    in twice.
""")  # fmt: skip


def least_squares(X, Y, kernel_size):
    windows = F.unfold(X[None, None], kernel_size)[0].T
    return torch.linalg.lstsq(windows.double(), Y.reshape(-1, 1).double()).solution.reshape(kernel_size).to(X.dtype)


def learned(test):
    """A predicate for kernels of the right form: `test(K, goal)` looks at their numbers."""

    def matches(K, X, Y, kernel_size):
        return K.shape == kernel_size and K.dtype == X.dtype and test(K, least_squares(X, Y, kernel_size))

    return matches


def curvature(X, kernel_size):
    """The second derivatives of the mean squared error by the numbers of the kernel."""
    windows = F.unfold(X[None, None], kernel_size)[0]
    return 2 * windows @ windows.T / windows.shape[1]


def on_the_way(K, X, Y, kernel_size):
    """Descent from zero goes a part of the way along each direction in which the error is curved, and further along
    those in which it is curved more."""
    if K.shape != kernel_size or K.dtype != X.dtype:
        return False
    _, directions = torch.linalg.eigh(curvature(X, kernel_size))
    went, whole = (directions.T @ kernel.flatten() for kernel in (K, least_squares(X, Y, kernel_size)))
    part = went / whole
    return bool(((part > -0.01) & (part < 1.01)).all() and (part.diff() > -0.02).all())


def quick_picture(draw: Draw, kernel_size):
    """A small picture on which the error is curved about equally in all directions: 50 steps of rate 0.1 suffice."""
    while True:
        X = 1.25 * draw.real(3, 5)
        curved = torch.linalg.eigvalsh(curvature(X, kernel_size))
        if curved.min() > 1.5 and curved.max() < 6:
            return X


def pairs(draw: Draw):
    for label, kernel in [("an edge", torch.tensor([[1.0, -1.0]])), ("a kernel of two rows", draw.whole(2, 2, low=1))]:
        X = quick_picture(draw, tuple(kernel.shape))
        yield Case(label, (X, oracle(X, kernel), tuple(kernel.shape)), gradient=False)


def no_gradient(X, Y, kernel_size):
    """`K.grad` is None where you take the step. Either `backward()` has not been called, or `K = K - ...` made a new
    tensor, for which `backward()` leaves no gradient. Change K itself: `K -= ...` inside `with torch.no_grad():`."""
    return 0.1 * torch.zeros(kernel_size).grad


def nothing_to_clear(X, Y, kernel_size):
    """`K.grad` is None where you set it to zero. Either `backward()` has not been called before, or `K = K - ...` made
    a new tensor, which has no gradient. Change K itself: `K -= ...` inside `with torch.no_grad():`."""
    return torch.zeros(kernel_size).grad.zero_()


@task(
    "Learn a kernel back", pairs, points=3, difficulty=4, importance=4, minutes=20, oracle=least_squares,
    absolute=0.05, relative=0.0, forbids=CONVOLUTIONS,
    seconds=10,  # the first optimizer in a process takes torch some seconds
)  # fmt: skip
def learn_kernel(X, Y, kernel_size):
    """Which number says how wrong a kernel is? Which tensor must `requires_grad` for torch to say how that number
    changes with it?

    Repeat a hundred times: `loss = ((ops.corr2d(X, K) - Y) ** 2).mean()`, `loss.backward()`, then inside `with
    torch.no_grad():` `K -= 0.1 * K.grad` and `K.grad.zero_()`.
    """
    K = torch.zeros(kernel_size, requires_grad=True)
    for _ in range(400):
        ((oracle(X, K) - Y) ** 2).mean().backward()
        with torch.no_grad():
            K -= 0.1 * K.grad
        K.grad.zero_()
    return K


slips(learn_kernel, """
new_tensor: K -= 0.1 * K.grad -> K = K - 0.1 * K.grad
and: K.grad.zero_() -> pass
    At `backward()` K does not require gradients. Either it never did: see `torch.zeros(kernel_size,
    requires_grad=True)`. Or `K = K - ...` inside `torch.no_grad()` made a new tensor, which does not. Change K itself:
    `K -= ...`.
no_grad_forgotten: with torch.no_grad(): -> if True:
    Torch refuses to change K, because it records every step with K for the gradient. The step downhill is no part of
    the error: take it inside `with torch.no_grad():`.
no_gradient
nothing_to_clear
mean_forgotten: .mean() ->
    `backward()` starts from one number, and you call it on a whole picture of errors. Take the mean of the squares
    first.
grows: K -= -> K +=
if: learned(lambda K, goal: not K.abs().max() < 1000)  # also what is no number any more
    The kernel grows without end. Either you add the gradient, which points uphill: subtract it. Or the steps are too
    large: a rate of 0.1 goes with the *mean* of the squares, not with their sum.
never_moves: range(400) -> range(0)
if: learned(lambda K, goal: not K.any())
    The kernel that comes back is the one you started with, zeros. Is a step taken at all, and on the very tensor that
    you return?
flipped: return K -> return K.flip(0, 1)
if: learned(lambda K, goal: torch.allclose(K.flip(0, 1), goal, rtol=0, atol=0.05))
    What comes back is the right kernel turned by 180 degrees. Whoever learns with a convolution that flips finds that.
    Learn with cross-correlation, `ops.corr2d`.
too_few_steps: range(400) -> range(5)
if: on_the_way
    The kernel moves the right way but has not arrived. Take more steps, or larger ones. Or does `return` stand inside
    the loop?
elsewhere: K.grad.zero_() -> pass
and: range(400) -> range(395)
if: learned(lambda K, goal: True)
    A kernel comes back that is neither the right one nor on its way there from zero. Check three things: is the error
    the *mean* of the *squared* differences, is the rate 0.1, and is `K.grad` set to zero after each step? `backward()`
    adds to what stands there.
error_returned: return K -> return (Y**2).mean()
if: lambda value, *_: value.shape == ()
    What comes back is one number, the error. The kernel is asked for: `return K`.
""")  # fmt: skip
