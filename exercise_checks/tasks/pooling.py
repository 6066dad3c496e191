"""Tasks of sheet 06: pooling, its border twice, one number per channel, and sizes, shifts and gradients on paper."""

import torch
import torch.nn.functional as F

from exercise_checks.running.observing import Case
from exercise_checks.tasks.calls import CONVOLUTIONS, POOLING
from exercise_checks.tasks.task import Draw, as_list, pair, slips, task


def oracle(X, pool_size, mode="max", stride=1, padding=0):
    return (F.max_pool2d if mode == "max" else F.avg_pool2d)(X, pool_size, stride, padding)


def padded(X, mode, padding):
    ph, pw = pair(padding)
    return F.pad(X, (pw, pw, ph, ph), value=float("-inf") if mode == "max" else 0)


def pool_window(index, X, pool_size, mode="max", stride=1, padding=0):
    """The window that a number is made of, padded cells included."""
    (channel, i, j), (h, w), (sh, sw) = index, pair(pool_size), pair(stride)
    window = padded(X, mode, padding)[channel, i * sh : i * sh + h, j * sw : j * sw + w]
    return f"channel {channel}'s window {as_list(window)}"


def settings(draw: Draw):
    first = torch.arange(9.0).reshape(1, 3, 3)
    yield "the picture of lesson 6", first, 2
    yield "the picture of lesson 6, averaged", first, 2, {"mode": "avg"}
    yield "two channels and windows side by side", draw.distinct(2, 4, 6), 2, {"stride": 2}
    yield "a wide window", draw.distinct(2, 5, 7), (2, 3), "avg", {"stride": (1, 2)}
    yield "a tall window and a last column left over", draw.distinct(1, 7, 6), (3, 2), {"stride": (1, 3)}
    yield "negative numbers with padding", draw.distinct(1, 3, 4) - 20, 3, {"padding": 1}
    X = draw.whole(2, 4, 5, low=1)
    yield "an average with padding", X, (3, 2), "avg", {"stride": (2, 1), "padding": (1, 0)}
    X = (draw.distinct(2, 6, draw.size(4, 6)) - 50).transpose(-1, -2) * 1e9
    yield "numbers far below zero, not contiguous", X, (2, 4), {"stride": 2, "padding": (0, 2)}
    yield "float64, the window as large as the picture", draw.real(2, 3, 4, dtype=torch.float64), (3, 4), "avg"


def is_one_low_number(Y, want, X):
    """Right, but where X is far below zero: there one number, and the same one, stands where lower ones should."""
    wrong = (want != Y) & ~torch.isclose(want, Y)
    if X.max() > -1e9:
        return want.shape == Y.shape and not wrong.any()
    return len(Y[wrong].unique()) == 1 and (Y[wrong] > want[wrong]).all()


@task(
    "One number for a window", settings, points=3, difficulty=3, importance=5, minutes=20,
    oracle=oracle, window=pool_window, forbids=POOLING | {"ops.*"},
)  # fmt: skip
def pool2d(X, pool_size, mode="max", stride=1, padding=0):
    """Four steps. How does an `int` become a pair? With which number must the maximum be padded, and with which the
    average? How many rows and columns has the answer? Which pixels lie in the window of row i, column j?

    With `P` the padded X: `window = P[:, i * sh : i * sh + h, j * sw : j * sw + w].flatten(1)`, and `Y[:, i, j]` is
    `window.max(1).values` or `window.mean(1)`. Pad by `F.pad(X, (pw, pw, ph, ph), value=...)`.
    """
    (h, w), (sh, sw), (ph, pw) = pair(pool_size), pair(stride), pair(padding)
    P = F.pad(X, (pw, pw, ph, ph), value=float("-inf") if mode == "max" else 0)
    rows, columns = (P.shape[1] - h) // sh + 1, (P.shape[2] - w) // sw + 1
    Y = torch.zeros(X.shape[0], rows, columns, dtype=X.dtype)
    for i in range(rows):
        for j in range(columns):
            window = P[:, i * sh : i * sh + h, j * sw : j * sw + w].flatten(1)
            Y[:, i, j] = window.max(1).values if mode == "max" else window.mean(1)
    return Y


slips(pool2d, """
zero_padded: float("-inf") -> 0
    Your maximum is padded with zeros. Where all pixels are negative, the padding wins. Pad with minus infinity, which
    never wins: `F.pad(..., value=float('-inf'))`.
low_padding: float("-inf") -> -1000.0
if: lambda Y, X, *args, **kwargs: is_one_low_number(Y, oracle(X, *args, **kwargs), X)
    A number that is low takes part in your maximum, as padding or as the start of a loop, and some pixels are lower
    still. Only minus infinity never wins.
infinite_average: float("-inf") if mode == "max" else 0 -> float("-inf")
    You pad with minus infinity for the average as well, and an average with one such number is minus infinity. Each
    mode needs its own padding.
left_out: else 0) -> else torch.nan)
and: window.mean -> window.nanmean
    Your average leaves the padded zeros out of the divisor. Here they count: always divide by the number of cells in
    the window.
padding_swapped: (pw, pw, ph, ph) -> (ph, ph, pw, pw)
    Rows and columns of the padding are exchanged: `F.pad` wants the *last* dimension first, so left, right, top,
    bottom: `(pw, pw, ph, ph)`.
padded_once: (pw, pw, ph, ph) -> (pw, 0, ph, 0)
    You pad above and to the left only. `padding` counts for each of the four sides.
padding_ignored: (pw, pw, ph, ph) -> (0, 0, 0, 0)
    Your answer has no padding. Put `padding` rows and columns around the picture first, at all four sides.
stride_and_padding_ignored: pair(stride), pair(padding) -> (1, 1), (0, 0)
    `stride` and `padding` change nothing yet: this is the loop that the lesson began with. Pad the picture first, and
    let the window of row i start at pixel `i * stride`.
stride_ignored: pair(stride) -> (1, 1)
    Your window moves by one pixel always. The window of row i starts at pixel `i * stride`, and there are fewer rows.
steps_forgotten: i * sh : i * sh + h, j * sw : j * sw + w -> i : i + h, j : j + w
    Your answer has the right size, but its windows move by one pixel. The window of row i starts at pixel `i *
    stride`, not at pixel i.
window_by_window: stride=1 -> stride=None
and: pair(stride) -> pair(stride or pool_size)
    Without a stride your window moves by its own size, as in torch's layers. Here the default is 1, as in the lesson's
    `pool2d`.
stride_of_rows_twice: // sw -> // sh
and: * sw -> * sh
    You use the first number of the stride for both axes. The second belongs to the columns.
height_twice: - w -> - h
and: + w -> + h
    Your window is square, as wide as it is high. Its width is the second number of `pool_size`.
window_turned: return Y -> return oracle(P, (w, h), mode, (sh, sw))
    Your window is turned: the first number of `pool_size` is its height, the second its width.
stride_turned: (sh, sw) -> (sw, sh)
    The two numbers of `stride` are exchanged: the first is the step from row to row.
always_max: else window.mean(1) -> else window.max(1).values
    You take the maximum in both modes. Ask `mode` which of the two is wanted.
summed: window.mean -> window.sum
    With `"avg"` you add the window up and do not divide. An average is the sum over the number of cells.
one_place_short: + 1 -> + 0
    Your answer is one row and one column short. From the first place to the last there are (n + 2p - k) // s steps,
    and one place more than steps.
channels_mixed: window.max(1).values -> window.max()
and: window.mean(1) -> window.mean()
    You take one number from all channels together: `window.max()` does not know that the first dimension counts
    channels. Each channel is pooled by itself.
hanging_over: - h) -> - 1)
and: - w) -> - 1)
    Some of your windows hang over the edge, and are smaller than `pool_size`. Only places where the whole window fits
    count: (n + 2p - k) // s + 1 a side.
always_float32: , dtype=X.dtype ->
    The values are right, but they are always float32. A tensor that you make yourself, as by `torch.zeros(...)`, needs
    `dtype=X.dtype`.
through_item: .flatten(1) -> .flatten(1).detach()
    The values are right, but the way back is cut, and the layers before the pooling could not learn. A number that was
    taken out of its tensor carries no gradient.
""")  # fmt: skip


def broken_max_pool(X):
    P = F.pad(X, (1, 1, 1, 1))
    return F.max_pool2d(P[None], 3, stride=1)[0]


def max_pool(X):
    return F.max_pool2d(X[None], 3, stride=1, padding=1)[0]


def is_usable(X):
    return bool(0 < X.numel() <= 10_000 and X.isfinite().all())


def exposes(value):
    """A picture on which `broken_max_pool` goes wrong."""
    if not isinstance(value, torch.Tensor) or value.ndim != 2:
        return "Return one picture: a tensor with rows and columns, without channels."
    if value.dtype != torch.float32:
        return f"Take float32, as `torch.ones(...)` makes it; yours is {str(value.dtype).removeprefix('torch.')}."
    if not is_usable(value):
        return "The picture needs at least one pixel and at most 10000, without inf and nan."
    if torch.equal(broken_max_pool(value), max_pool(value)):
        return "On this picture `broken_max_pool` is right. Look for one on which it is not."
    return None


def picture(test):
    """A predicate for pictures of the right form: `test(X)` looks at their numbers."""
    return lambda X: X.ndim == 2 and is_usable(X) and test(X)


@task(
    "Find a picture that breaks it", kind="bug", points=1, difficulty=1, importance=4, minutes=5,
    accept=exposes, broken=broken_max_pool,
)  # fmt: skip
def breaks_max_pool():
    """Which number comes into the windows at the border though it is no pixel? When is it the largest?

    The padded number is 0. It wins where every pixel under the window is below 0: fill a picture with such numbers.
    """
    return -torch.ones(3, 3)


slips(breaks_max_pool, """
nothing_negative = torch.ones(3, 3)
if: picture(lambda X: not (X < 0).any())
    No pixel of your picture is below 0, so a padded 0 never beats a pixel. That is why nobody notices after a ReLU.
whole_numbers = torch.full((3, 3), -1)
if: lambda X: not X.is_floating_point()
    Your numbers are whole, and this is about float32. Write `-1.0` in place of `-1`.
negative_inside = F.pad(-torch.ones(2, 2), (1, 1, 1, 1))
if: picture(lambda X: 0 < (X < 0).sum() == (X[1:-1, 1:-1] < 0).sum())
    Only pixels inside your picture are negative. The padding is seen by the windows at the border alone.
outvoted = torch.tensor([[-1.0, 2.0, -1.0]])
if: picture(lambda X: bool((X < 0).any()) and torch.equal(broken_max_pool(X), max_pool(X)))
    There are negative pixels at your border, but each window there also holds one that is 0 or more, and that one wins
    rightly. All pixels of such a window must be negative.
""")  # fmt: skip


def dark_pictures(draw: Draw):
    yield "the numbers -9 to -1", torch.arange(9.0).reshape(3, 3) - 9
    yield "a wide picture with both signs", draw.distinct(3, draw.size(5, 7))
    yield "a tall picture, all negative", draw.distinct(draw.size(5, 7), 3) - 30
    yield "one row", draw.distinct(1, 5) - 9
    yield "numbers far below zero", (draw.distinct(3, 4) - 20) * 1e9
    yield "a picture that is not contiguous", (draw.distinct(4, 5) - 30).T
    yield "float64", -1 - draw.real(4, 3, dtype=torch.float64).abs()


def dark_window(index, X):
    (i, j), P = index, padded(X[None], "max", 1)[0]
    return f"the window {as_list(P[i : i + 3, j : j + 3])}"


@task(
    "Mend it", dark_pictures, kind="bug", points=1, difficulty=2, importance=4, minutes=5,
    oracle=max_pool, window=dark_window,
)  # fmt: skip
def mended_max_pool(X):
    """Which number can never be the largest, whatever the picture holds? `F.pad` takes it as `value`. Or who pads by
    itself, and rightly?

    `F.pad(X, (1, 1, 1, 1), value=float('-inf'))`, and the second line as it was.
    """
    P = F.pad(X, (1, 1, 1, 1), value=float("-inf"))
    return F.max_pool2d(P[None], 3, stride=1)[0]


slips(mended_max_pool, """
unchanged = broken_max_pool
    The border is still padded with zeros, and there they win over negative pixels.
low_number: float("-inf") -> -1000.0
if: lambda Y, X: is_one_low_number(Y, max_pool(X), X)
    You pad with a number that is low, but some pixels are lower still. Only minus infinity never wins.
padding_dropped: P[None] -> X[None]
    You left the padding out. Now nothing wrong comes in, but the answer has lost its border: it must be as large as
    the picture.
stride_of_the_window: , stride=1 ->
    The padding is right now, but the window moves by three pixels: torch's default stride is the window's size. Write
    `stride=1`.
padded_twice: stride=1 -> stride=1, padding=1
if: lambda Y, X: Y.ndim == 2 and Y.shape == (X.shape[0] + 2, X.shape[1] + 2)
    Your answer is two rows and two columns too large: the picture is padded by two pixels a side. Are `F.pad` and
    `padding=1` both at work? One of them is enough.
axis_kept: [0] ->
    The values are right, but the axis that you put in front of the picture is still there. Take it off: `[0]`.
negatives_removed: F.pad(X -> F.pad(X.relu()
    You set negative pixels to 0 first. Then 0 is right, but for another picture.
always_float32: F.pad(X -> F.pad(X.float()
    The values are right. One thing is left: they are float32 whatever X is. Where does the dtype change?
""")  # fmt: skip


def inside_oracle(X, pool_size, padding):
    return F.avg_pool2d(X[None], pool_size, 1, padding, count_include_pad=False)[0]


def inside_window(index, X, pool_size, padding):
    (h, w), (ph, pw), (i, j) = pair(pool_size), pair(padding), index
    rows, columns = (slice(max(0, k - p), k - p + n) for k, p, n in ((i, ph, h), (j, pw, w)))
    return f"the pixels {as_list(X[rows, columns])}"


def with_borders(draw: Draw):
    yield Case("a white picture", (torch.ones(3, 3), 3, 1), gradient=False)
    yield "the numbers 0 to 8", torch.arange(9.0).reshape(3, 3), 3, 1
    yield "a wide picture", draw.whole(3, draw.size(5, 7), low=1), 2, 1
    yield "a tall window", draw.whole(draw.size(4, 6), 4, low=1), (4, 1), (2, 0)
    yield "a wide window", draw.whole(4, 6, low=1), (2, 5), (1, 2)
    yield "no padding at all", draw.whole(3, 4, low=1), 2, 0
    yield "a picture that is not contiguous", draw.whole(4, 3, low=1).T, 3, 1
    yield "fractions in float64", draw.real(3, 4, dtype=torch.float64), 3, 1


@task(
    "A border without a dark rim", with_borders, points=2, difficulty=3, importance=3, minutes=10,
    oracle=inside_oracle, window=inside_window, forbids=frozenset({"count_include_pad="}),
)  # fmt: skip
def average_inside(X, pool_size, padding):
    """Pool a picture of ones, with zeros around it, in the same way. What do its numbers tell about each window?

    With `Y = ops.pool2d(X, pool_size, 'avg', padding=padding)` and `share` the same of `torch.ones_like(X)`: `Y /
    share`. `share` is the part of each window that lies inside.
    """
    Y = F.avg_pool2d(X[None], pool_size, 1, padding)[0]
    share = F.avg_pool2d(torch.ones_like(X)[None], pool_size, 1, padding)[0]
    return Y / share


def repeated(X, pool_size, padding):
    """You repeat the border pixels outward. A white picture stays white, but border pixels now count twice or more.
    Leave what lies outside out of the average."""
    ph, pw = pair(padding)
    return F.avg_pool2d(F.pad(X[None], (pw, pw, ph, ph), mode="replicate"), pool_size, 1)[0]


slips(average_inside, """
counted: / share ->
    You count the padded zeros: at the border you divide by the whole window, though part of it lies outside. A white
    picture gets a gray rim.
zeros_not_counted: torch.ones_like(X) -> (X != 0).to(X)
    You divide by the number of pixels that are not 0. A black pixel inside the picture is a pixel, too. Count by
    place, not by value: pad a picture of ones in the same way.
repeated
one_axis: / share -> / share.amax(1, keepdim=True)
    Your divisor looks at the rows alone. At the left and right, columns of the window lie outside, too.
divided_twice: / share -> / (share * torch.tensor(pair(pool_size)).prod())
    You divide an average once more by the number of pixels. Take the sum of the window, or the average of X divided by
    the average of a picture of ones.
stride_of_the_window: pool_size, 1 -> pool_size, None
    Your window moves by its own size: torch's default. Write `stride=1`.
padding_swapped: 1, padding -> 1, pair(padding)[::-1]
    Rows and columns of the padding are exchanged: the first number counts rows. (`F.pad` wants the columns first.)
padding_dropped: 1, padding -> 1
    You left the padding out, and the answer is smaller than asked for. Windows may hang over the border here, by up to
    `padding` pixels.
""")  # fmt: skip


def global_oracle(X):
    return F.adaptive_avg_pool2d(X, 1).flatten(1)


def batches(draw: Draw):
    yield "one picture with two channels", torch.tensor([[[[0.0, 1.0], [2.0, 3.0]], [[5.0, 5.0], [5.0, 5.0]]]])
    yield "a batch of wide pictures", draw.whole(2, 3, 2, draw.size(3, 5))
    yield "a batch of tall pictures", draw.whole(3, 2, draw.size(3, 5), 2)
    yield "one channel", draw.whole(3, 1, 2, 4)
    yield "pictures of one pixel", draw.whole(2, 3, 1, 1)
    yield "pictures that are not contiguous", draw.turned(2, 3, 4, 3)
    yield "fractions in float64", draw.real(2, 2, 3, 4, dtype=torch.float64)


@task(
    "Any size in, one number per channel", batches, points=1, difficulty=1, importance=5, minutes=5,
    oracle=global_oracle, window=lambda index, X: f"X[{index[0]}, {index[1]}] = {as_list(X[index])}",
    forbids=CONVOLUTIONS,
)  # fmt: skip
def global_average(X):
    """X has four dimensions: N, C, H, W. Which of them must be gone in the answer? What are their numbers, counted
    from 0?

    `mean` takes several dimensions at once: `X.mean((2, 3))`.
    """
    return X.mean((2, 3))


slips(global_average, """
everything: (2, 3) ->
    You average over everything and get a single number. Every picture and every channel must keep its own.
channels_averaged: (2, 3) -> 1
    You averaged over the channels, dimension 1. They must stay apart; height and width, the last two dimensions, go.
columns_left: (2, 3) -> (1, 2)
    You averaged over channels and rows, and the columns are left. Dimensions 2 and 3 must go, counted from 0. (When
    one is gone, those behind it have new numbers.)
one_number_a_picture: (2, 3) -> (1, 2, 3)
    You have one number for each picture. Each of its channels should keep its own.
pictures_averaged: (2, 3) -> (0, 2, 3)
    You averaged over the pictures of the batch as well. Each picture is a thing of its own: dimension 0 stays.
ones_kept: (2, 3) -> (2, 3), keepdim=True
    Height and width are still there, with size 1: that is what `keepdim=True` and torch's `AdaptiveAvgPool2d(1)`
    return. Flatten it to (N, C).
squeezed: (2, 3)) -> (2, 3), keepdim=True).squeeze()
    `squeeze()` without a number removes every dimension of size 1: for a batch of one picture the batch, for one
    channel the channel. Say which: `flatten(1)`.
summed: mean -> sum
    You added up and did not divide. A larger picture must not give larger numbers.
contiguous_only: mean((2, 3)) -> view(X.shape[0], X.shape[1], -1).mean(-1)
    `view` needs numbers that lie in memory in the order of the dimensions. After a transpose they do not. Use
    `reshape` or `flatten(2)`, or give `mean` both dimensions.
""")  # fmt: skip


SMALL = ((2.0, 7.0, 1.0), (4.0, 3.0, 5.0), (6.0, 0.0, 8.0))
ABOVE = ((1.0, 2.0), (3.0, 4.0))


def way_back(X, above, reduce):
    X = torch.tensor(X)
    with torch.enable_grad():
        X.requires_grad_()
        Y = reduce(X[None], 2, 1)[0]
        return torch.autograd.grad(Y, X, torch.tensor(above))[0].tolist()


def unmoved(columns=12, window=4):
    """From which columns a dot may move right by one, and the maxima side by side stay the same."""
    dots = torch.eye(columns)[:, None]
    pooled = F.max_pool1d(dots, window)
    return [c for c in range(columns - 1) if torch.equal(pooled[c], pooled[c + 1])]


def torch_on_paper():
    return {
        "digit": tuple(F.max_pool2d(torch.zeros(1, 28, 28), 3, 2).shape[1:]),
        "layer": tuple(torch.nn.MaxPool2d(3, padding=1)(torch.zeros(8, 31, 22)).shape),
        "stays": unmoved(),
        "gradient": way_back(SMALL, ABOVE, F.max_pool2d),
        "draw": way_back(((1.0, 1.0), (1.0, 1.0)), ((4.0,),), F.max_pool2d),
    }


@task(
    "Sizes, a shift, and the way back", kind="predict", points=3, difficulty=3, importance=4, minutes=12,
    oracle=torch_on_paper,
)  # fmt: skip
def pooling_on_paper():
    """Sizes: which stride has a torch layer that is not told one? Shift: from which columns does the step stay inside
    a window? Gradient: write each window's winner beside its number from above.

    Sizes: (n + 2p - k) // s + 1, for `layer` with s = 3. Shift: all but the last column of each window. Gradient: the
    winners are 7 and 7 above, 6 and 8 below; add up what each gets.
    """
    return {
        "digit": (13, 13),
        "layer": (8, 11, 8),
        "stays": [0, 1, 2, 4, 5, 6, 8, 9, 10],
        "gradient": [[0, 3, 0], [0, 0, 0], [3, 0, 4]],
        "draw": [[4, 0], [0, 0]],
    }


slips(pooling_on_paper, """
halved = {"digit": (14, 14)}
    Stride 2 does not always halve: a window of 3 pixels does not fit 14 times into 28 without padding. Use the
    formula.
digit_by_ones = {"digit": (26, 26)}
    For `digit` you let the window move by one pixel. The stride is 2.
steps_for_places = {"digit": (12, 12)}
    For `digit` you counted the steps of the window. It also stands at its start: one place more.
stride_one = {"layer": (8, 31, 22)}
    For `layer` you let the window move by one pixel. Torch's pooling layers move by the window's size unless told
    otherwise.
stride_two = {"layer": (8, 16, 11)}
    For `layer` you took a stride of 2. It is not written, so it is the window's size: 3.
padding_once = {"layer": (8, 10, 7)}
    For `layer` you left the padding out or counted one side of it. It lies on both sides: n + 2p.
the_others = {"stays": [3, 7]}
    These are the columns from which the step *does* change the output: the last column of each window. The others were
    asked for.
even_columns = {"stays": [0, 2, 4, 6, 8, 10]}
    The even columns are right for windows of 2 pixels. Here a window has 4, and the dot may take three steps in it.
last_one_counts = {"gradient": [[0, 2, 0], [0, 0, 0], [3, 0, 4]]}
    The 7 wins two windows. A pixel adds up what it gets from each of them; you kept only the last.
above_forgotten = {"gradient": [[0, 2, 0], [0, 0, 0], [1, 0, 1]]}
    You counted how often each pixel wins. It gets more than that: what came from above for that window.
dealt_out = {"gradient": way_back(SMALL, ABOVE, F.avg_pool2d)}
    You dealt the gradient out evenly, as an average does. The maximum hands all of it to the winner.
draw_shared = {"draw": [[1, 1], [1, 1]]}
    In a draw you shared. Torch's max pooling, as the lesson's, gives everything to the first of equals, reading row by
    row.
""")  # fmt: skip
