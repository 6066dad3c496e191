"""Tasks of sheet 06: pooling, its border twice, one number per channel, and sizes, shifts and gradients on paper."""

from functools import partial

import torch
import torch.nn.functional as F

from exercise_checks.running.observing import Case
from exercise_checks.tasks.old_task import Draw, Misconception, Task, as_list, once, pair

# ---------------------------------------------------------------------------------------------------------
# Both kinds of pooling
# ---------------------------------------------------------------------------------------------------------


def oracle(X, pool_size, mode="max", stride=1, padding=0):
    return (F.max_pool2d if mode == "max" else F.avg_pool2d)(X, pool_size, stride, padding)


def padded(X, mode, padding, low=float("-inf")):
    ph, pw = pair(padding)
    return F.pad(X, (pw, pw, ph, ph), value=low if mode == "max" else 0)


def pool_window(index, X, pool_size, mode="max", stride=1, padding=0):
    """The window that a number is made of, padded cells included."""
    (channel, i, j), (h, w), (sh, sw) = index, pair(pool_size), pair(stride)
    window = padded(X, mode, padding)[channel, i * sh : i * sh + h, j * sw : j * sw + w]
    return f"channel {channel}'s window {as_list(window)}"


def settings(seed):
    draw = Draw(seed)
    first = torch.arange(9.0).reshape(1, 3, 3)
    yield Case("the picture of lesson 6", (first, 2))
    yield Case("the picture of lesson 6, averaged", (first, 2), {"mode": "avg"})
    yield Case("two channels and windows side by side", (draw.distinct(2, 4, 6), 2), {"stride": 2})
    yield Case("a wide window", (draw.distinct(2, 5, 7), (2, 3), "avg"), {"stride": (1, 2)})
    yield Case("a tall window and a last column left over", (draw.distinct(1, 7, 6), (3, 2)), {"stride": (1, 3)})
    yield Case("negative numbers with padding", (draw.distinct(1, 3, 4) - 20, 3), {"padding": 1})
    X = draw.whole(2, 4, 5, low=1)
    yield Case("an average with padding", (X, (3, 2), "avg"), {"stride": (2, 1), "padding": (1, 0)})
    X = (draw.distinct(2, 6, draw.size(4, 6)) - 50).transpose(-1, -2) * 1e9
    yield Case("numbers far below zero, not contiguous", (X, (2, 4)), {"stride": 2, "padding": (0, 2)})
    yield Case("float64, the window as large as the picture", (draw.real(2, 3, 4, dtype=torch.float64), (3, 4), "avg"))


def pool(X, pool_size, mode="max", stride=1, padding=0, pad=padded, reduce=None):
    """Pooling by windows; a misconception gives `pad` or `reduce` another form."""
    (h, w), (sh, sw) = pair(pool_size), pair(stride)
    windows = pad(X, mode, padding).unfold(1, h, sh).unfold(2, w, sw).flatten(-2)
    if reduce:
        return reduce(windows, mode)
    return windows.max(-1).values if mode == "max" else windows.mean(-1)


def altered(**change):
    """`pool` with some of its arguments computed from those that were given."""

    def wrong(X, pool_size, mode="max", stride=1, padding=0):
        given = {"pool_size": pair(pool_size), "mode": mode, "stride": pair(stride), "padding": pair(padding)}
        return pool(X, **{**given, **{name: new(given[name]) for name, new in change.items()}})

    return wrong


def with_part(**part):
    return lambda *args, **kwargs: pool(*args, **kwargs, **part)


def pads(*order, fill=None):
    """Padding whose four sides (left, right, top, bottom) are taken from (ph, pw, 0) by number."""

    def pad(X, mode, padding):
        sides = (*pair(padding), 0)
        value = fill if fill is not None else float("-inf") if mode == "max" else 0
        return F.pad(X, tuple(sides[k] for k in order), value=value)

    return pad


def channels_mixed(windows, mode):
    together = windows.movedim(0, -2).flatten(-2)
    one = together.max(-1).values if mode == "max" else together.mean(-1)
    return one.expand(windows.shape[:3])


def left_out(X, pool_size, mode="max", stride=1, padding=0):
    if mode == "max":
        return oracle(X, pool_size, mode, stride, padding)
    return F.avg_pool2d(X, pool_size, stride, padding, count_include_pad=False)


def steps_forgotten(X, pool_size, mode="max", stride=1, padding=0):
    """As many numbers as a stride leaves, made of windows that move by one pixel."""
    rows, columns = oracle(X, pool_size, mode, stride, padding).shape[1:]
    return oracle(X, pool_size, mode, 1, padding)[:, :rows, :columns]


def one_low_number(Y, want, X):
    """Right, but where X is far below zero: there one number, and the same one, stands where lower ones should."""
    wrong = (want != Y) & ~torch.isclose(want, Y)
    if X.max() > -1e9:
        return want.shape == Y.shape and not wrong.any()
    return len(Y[wrong].unique()) == 1 and (Y[wrong] > want[wrong]).all()


def hanging_over(X, pool_size, mode="max", stride=1, padding=0):
    (h, w), (sh, sw), X = pair(pool_size), pair(stride), padded(X, mode, padding)
    reduce = torch.amax if mode == "max" else torch.mean
    rows = [
        [reduce(X[:, i : i + h, j : j + w], (1, 2)) for j in range(0, X.shape[2], sw)] for i in range(0, X.shape[1], sh)
    ]
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


POOL = Task(
    id="pool2d",
    title="One number for a window",
    kind="write",
    points=3,
    difficulty=3,
    importance=5,
    minutes=20,
    oracle=oracle,
    cases=settings,
    window=pool_window,
    misconceptions=(
        Misconception(
            "zero_padded",
            "Your maximum is padded with zeros. Where all pixels are negative, the padding wins. Pad with minus "
            "infinity, which never wins: `F.pad(..., value=float('-inf'))`.",
            with_part(pad=pads(1, 1, 0, 0, fill=0)),
        ),
        Misconception(
            "low_padding",
            "A number that is low takes part in your maximum, as padding or as the start of a loop, and some pixels "
            "are lower still. Only minus infinity never wins.",
            with_part(pad=partial(padded, low=-1000.0)),
            matches=lambda Y, X, *args, **kwargs: one_low_number(Y, oracle(X, *args, **kwargs), X),
        ),
        Misconception(
            "infinite_average",
            "You pad with minus infinity for the average as well, and an average with one such number is minus "
            "infinity. Each mode needs its own padding.",
            with_part(pad=pads(1, 1, 0, 0, fill=float("-inf"))),
        ),
        Misconception(
            "left_out",
            "Your average leaves the padded zeros out of the divisor. Here they count: always divide by the "
            "number of cells in the window.",
            left_out,
        ),
        Misconception(
            "padding_swapped",
            "Rows and columns of the padding are exchanged: `F.pad` wants the *last* dimension first, so left, "
            "right, top, bottom: `(pw, pw, ph, ph)`.",
            with_part(pad=pads(0, 0, 1, 1)),
        ),
        Misconception(
            "padded_once",
            "You pad above and to the left only. `padding` counts for each of the four sides.",
            with_part(pad=pads(1, 2, 0, 2)),
        ),
        Misconception(
            "padding_ignored",
            "Your answer has no padding. Put `padding` rows and columns around the picture first, at all four sides.",
            altered(padding=lambda padding: 0),
        ),
        Misconception(
            "stride_and_padding_ignored",
            "`stride` and `padding` change nothing yet: this is the loop that the lesson began with. Pad the picture "
            "first, and let the window of row i start at pixel `i * stride`.",
            altered(stride=lambda stride: 1, padding=lambda padding: 0),
        ),
        Misconception(
            "stride_ignored",
            "Your window moves by one pixel always. The window of row i starts at pixel `i * stride`, and there "
            "are fewer rows.",
            altered(stride=lambda stride: 1),
        ),
        Misconception(
            "steps_forgotten",
            "Your answer has the right size, but its windows move by one pixel. The window of row i starts at pixel "
            "`i * stride`, not at pixel i.",
            steps_forgotten,
        ),
        Misconception(
            "window_by_window",
            "Without a stride your window moves by its own size, as in torch's layers. Here the default is 1, as in "
            "the lesson's `pool2d`.",
            lambda X, pool_size, mode="max", stride=None, padding=0: oracle(X, pool_size, mode, stride, padding),
        ),
        Misconception(
            "stride_of_rows_twice",
            "You use the first number of the stride for both axes. The second belongs to the columns.",
            altered(stride=lambda stride: (stride[0], stride[0])),
        ),
        Misconception(
            "height_twice",
            "Your window is square, as wide as it is high. Its width is the second number of `pool_size`.",
            altered(pool_size=lambda size: (size[0], size[0])),
        ),
        Misconception(
            "window_turned",
            "Your window is turned: the first number of `pool_size` is its height, the second its width.",
            altered(pool_size=lambda size: size[::-1]),
        ),
        Misconception(
            "stride_turned",
            "The two numbers of `stride` are exchanged: the first is the step from row to row.",
            altered(stride=lambda stride: stride[::-1]),
        ),
        Misconception(
            "always_max",
            "You take the maximum in both modes. Ask `mode` which of the two is wanted.",
            with_part(reduce=lambda windows, mode: windows.max(-1).values),
        ),
        Misconception(
            "summed",
            'With `"avg"` you add the window up and do not divide. An average is the sum over the number of cells.',
            with_part(reduce=lambda windows, mode: windows.max(-1).values if mode == "max" else windows.sum(-1)),
        ),
        Misconception(
            "one_place_short",
            "Your answer is one row and one column short. From the first place to the last there are (n + 2p - k) // "
            "s steps, and one place more than steps.",
            lambda *args, **kwargs: oracle(*args, **kwargs)[:, :-1, :-1],
        ),
        Misconception(
            "channels_mixed",
            "You take one number from all channels together: `window.max()` does not know that the first "
            "dimension counts channels. Each channel is pooled by itself.",
            with_part(reduce=channels_mixed),
        ),
        Misconception(
            "hanging_over",
            "Some of your windows hang over the edge, and are smaller than `pool_size`. Only places where the "
            "whole window fits count: (n + 2p - k) // s + 1 a side.",
            hanging_over,
        ),
        Misconception(
            "always_float32",
            "The values are right, but they are always float32. A tensor that you make yourself, as by "
            "`torch.zeros(...)`, needs `dtype=X.dtype`.",
            lambda *args, **kwargs: oracle(*args, **kwargs).float(),
        ),
        Misconception(
            "through_item",
            "The values are right, but the way back is cut, and the layers before the pooling could not learn. A "
            "number that was taken out of its tensor carries no gradient.",
            lambda *args, **kwargs: oracle(*args, **kwargs).detach(),
        ),
    ),
    hints=(
        "Four steps. How does an `int` become a pair? With which number must the maximum be padded, and with "
        "which the average? How many rows and columns has the answer? Which pixels lie in the window of row i, "
        "column j?",
        "With `P` the padded X: `window = P[:, i * sh : i * sh + h, j * sw : j * sw + w].flatten(1)`, and `Y[:, "
        "i, j]` is `window.max(1).values` or `window.mean(1)`. Pad by `F.pad(X, (pw, pw, ph, ph), value=...)`.",
    ),
)


# ---------------------------------------------------------------------------------------------------------
# Find the bug: a maximum padded with zeros
# ---------------------------------------------------------------------------------------------------------


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


def inner(X):
    return X[1:-1, 1:-1]


EXPOSE = Task(
    id="breaks_max_pool",
    title="Find a picture that breaks it",
    kind="bug",
    points=1,
    difficulty=1,
    importance=4,
    minutes=5,
    oracle=lambda: -torch.ones(3, 3),
    cases=once,
    accept=exposes,
    broken=broken_max_pool,
    misconceptions=(
        Misconception(
            "nothing_negative",
            "No pixel of your picture is below 0, so a padded 0 never beats a pixel. That is why nobody notices "
            "after a ReLU.",
            lambda: torch.ones(3, 3),
            matches=lambda X: X.ndim == 2 and is_usable(X) and not (X < 0).any(),
        ),
        Misconception(
            "whole_numbers",
            "Your numbers are whole, and this is about float32. Write `-1.0` in place of `-1`.",
            lambda: torch.full((3, 3), -1),
            matches=lambda X: not X.is_floating_point(),
        ),
        Misconception(
            "negative_inside",
            "Only pixels inside your picture are negative. The padding is seen by the windows at the border alone.",
            lambda: F.pad(-torch.ones(2, 2), (1, 1, 1, 1)),
            matches=lambda X: X.ndim == 2 and is_usable(X) and 0 < (X < 0).sum() == (inner(X) < 0).sum(),
        ),
        Misconception(
            "outvoted",
            "There are negative pixels at your border, but each window there also holds one that is 0 or more, "
            "and that one wins rightly. All pixels of such a window must be negative.",
            lambda: torch.tensor([[-1.0, 2.0, -1.0]]),
            matches=lambda X: (
                X.ndim == 2 and is_usable(X) and bool((X < 0).any()) and torch.equal(broken_max_pool(X), max_pool(X))
            ),
        ),
    ),
    hints=(
        "Which number comes into the windows at the border though it is no pixel? When is it the largest?",
        "The padded number is 0. It wins where every pixel under the window is below 0: fill a picture with such "
        "numbers.",
    ),
)


def dark_pictures(seed):
    draw = Draw(seed)
    yield Case("the numbers -9 to -1", (torch.arange(9.0).reshape(3, 3) - 9,))
    yield Case("a wide picture with both signs", (draw.distinct(3, draw.size(5, 7)),))
    yield Case("a tall picture, all negative", (draw.distinct(draw.size(5, 7), 3) - 30,))
    yield Case("one row", (draw.distinct(1, 5) - 9,))
    yield Case("numbers far below zero", ((draw.distinct(3, 4) - 20) * 1e9,))
    yield Case("a picture that is not contiguous", ((draw.distinct(4, 5) - 30).T,))
    yield Case("float64", (-1 - draw.real(4, 3, dtype=torch.float64).abs(),))


def dark_window(index, X):
    (i, j), P = index, padded(X[None], "max", 1)[0]
    return f"the window {as_list(P[i : i + 3, j : j + 3])}"


MENDED = Task(
    id="mended_max_pool",
    title="Mend it",
    kind="bug",
    points=1,
    difficulty=2,
    importance=4,
    minutes=5,
    oracle=max_pool,
    cases=dark_pictures,
    window=dark_window,
    misconceptions=(
        Misconception(
            "unchanged",
            "The border is still padded with zeros, and there they win over negative pixels.",
            broken_max_pool,
        ),
        Misconception(
            "low_number",
            "You pad with a number that is low, but some pixels are lower still. Only minus infinity never wins.",
            lambda X: F.max_pool2d(F.pad(X, (1, 1, 1, 1), value=-1000.0)[None], 3, stride=1)[0],
            matches=lambda Y, X: one_low_number(Y, max_pool(X), X),
        ),
        Misconception(
            "padding_dropped",
            "You left the padding out. Now nothing wrong comes in, but the answer has lost its border: it must "
            "be as large as the picture.",
            lambda X: F.max_pool2d(X[None], 3, stride=1)[0],
        ),
        Misconception(
            "stride_of_the_window",
            "The padding is right now, but the window moves by three pixels: torch's default stride is the "
            "window's size. Write `stride=1`.",
            lambda X: F.max_pool2d(X[None], 3, padding=1)[0],
        ),
        Misconception(
            "padded_twice",
            "Your answer is two rows and two columns too large: the picture is padded by two pixels a side. Are "
            "`F.pad` and `padding=1` both at work? One of them is enough.",
            lambda X: F.max_pool2d(F.pad(X, (1, 1, 1, 1))[None], 3, stride=1, padding=1)[0],
            matches=lambda Y, X: Y.ndim == 2 and Y.shape == (X.shape[0] + 2, X.shape[1] + 2),
        ),
        Misconception(
            "axis_kept",
            "The values are right, but the axis that you put in front of the picture is still there. Take it off: "
            "`[0]`.",
            lambda X: max_pool(X)[None],
        ),
        Misconception(
            "negatives_removed",
            "You set negative pixels to 0 first. Then 0 is right, but for another picture.",
            lambda X: max_pool(X.relu()),
        ),
        Misconception(
            "always_float32",
            "The values are right. One thing is left: they are float32 whatever X is. Where does the dtype change?",
            lambda X: max_pool(X.float()),
        ),
    ),
    hints=(
        "Which number can never be the largest, whatever the picture holds? `F.pad` takes it as `value`. Or who "
        "pads by itself, and rightly?",
        "`F.pad(X, (1, 1, 1, 1), value=float('-inf'))`, and the second line as it was.",
    ),
)


# ---------------------------------------------------------------------------------------------------------
# An average without the padding
# ---------------------------------------------------------------------------------------------------------


def inside_oracle(X, pool_size, padding):
    return F.avg_pool2d(X[None], pool_size, 1, padding, count_include_pad=False)[0]


def inside_window(index, X, pool_size, padding):
    (h, w), (ph, pw), (i, j) = pair(pool_size), pair(padding), index
    rows, columns = (slice(max(0, k - p), k - p + n) for k, p, n in ((i, ph, h), (j, pw, w)))
    return f"the pixels {as_list(X[rows, columns])}"


def with_borders(seed):
    draw = Draw(seed)
    yield Case("a white picture", (torch.ones(3, 3), 3, 1), gradient=False)
    yield Case("the numbers 0 to 8", (torch.arange(9.0).reshape(3, 3), 3, 1))
    yield Case("a wide picture", (draw.whole(3, draw.size(5, 7), low=1), 2, 1))
    yield Case("a tall window", (draw.whole(draw.size(4, 6), 4, low=1), (4, 1), (2, 0)))
    yield Case("a wide window", (draw.whole(4, 6, low=1), (2, 5), (1, 2)))
    yield Case("no padding at all", (draw.whole(3, 4, low=1), 2, 0))
    yield Case("a picture that is not contiguous", (draw.whole(4, 3, low=1).T, 3, 1))
    yield Case("fractions in float64", (draw.real(3, 4, dtype=torch.float64), 3, 1))


def sums(X, pool_size, padding):
    h, w = pair(pool_size)
    return F.avg_pool2d(X[None], pool_size, 1, padding)[0] * (h * w)


def divided_twice(X, pool_size, padding):
    return F.avg_pool2d(X[None], pool_size, 1, padding)[0] / sums(torch.ones_like(X), pool_size, padding)


def one_axis(X, pool_size, padding):
    (h, w), (ph, _) = pair(pool_size), pair(padding)
    rows_inside = sums(torch.ones_like(X[:, :1]), (h, 1), (ph, 0))
    return sums(X, pool_size, padding) / (rows_inside * w)


def repeated(X, pool_size, padding):
    ph, pw = pair(padding)
    return F.avg_pool2d(F.pad(X[None], (pw, pw, ph, ph), mode="replicate"), pool_size, 1)[0]


INSIDE = Task(
    id="average_inside",
    title="A border without a dark rim",
    kind="write",
    points=2,
    difficulty=3,
    importance=3,
    minutes=10,
    oracle=inside_oracle,
    cases=with_borders,
    window=inside_window,
    misconceptions=(
        Misconception(
            "counted",
            "You count the padded zeros: at the border you divide by the whole window, though part of it lies "
            "outside. A white picture gets a gray rim.",
            lambda X, pool_size, padding: F.avg_pool2d(X[None], pool_size, 1, padding)[0],
        ),
        Misconception(
            "zeros_not_counted",
            "You divide by the number of pixels that are not 0. A black pixel inside the picture is a pixel, "
            "too. Count by place, not by value: pad a picture of ones in the same way.",
            lambda X, pool_size, padding: sums(X, pool_size, padding) / sums((X != 0).to(X), pool_size, padding),
        ),
        Misconception(
            "repeated",
            "You repeat the border pixels outward. A white picture stays white, but border pixels now count "
            "twice or more. Leave what lies outside out of the average.",
            repeated,
        ),
        Misconception(
            "one_axis",
            "Your divisor looks at the rows alone. At the left and right, columns of the window lie outside, too.",
            one_axis,
        ),
        Misconception(
            "divided_twice",
            "You divide an average once more by the number of pixels. Take the sum of the window, or the average "
            "of X divided by the average of a picture of ones.",
            divided_twice,
        ),
        Misconception(
            "stride_of_the_window",
            "Your window moves by its own size: torch's default. Write `stride=1`.",
            lambda X, pool_size, padding: F.avg_pool2d(X[None], pool_size, None, padding, count_include_pad=False)[0],
        ),
        Misconception(
            "padding_swapped",
            "Rows and columns of the padding are exchanged: the first number counts rows. (`F.pad` wants the columns "
            "first.)",
            lambda X, pool_size, padding: (
                sums(X, pool_size, pair(padding)[::-1]) / sums(torch.ones_like(X), pool_size, pair(padding)[::-1])
            ),
        ),
        Misconception(
            "padding_dropped",
            "You left the padding out, and the answer is smaller than asked for. Windows may hang over the "
            "border here, by up to `padding` pixels.",
            lambda X, pool_size, padding: F.avg_pool2d(X[None], pool_size, 1)[0],
        ),
    ),
    hints=(
        "Pool a picture of ones, with zeros around it, in the same way. What do its numbers tell about each window?",
        "With `Y = ops.pool2d(X, pool_size, 'avg', padding=padding)` and `share` the same of "
        "`torch.ones_like(X)`: `Y / share`. `share` is the part of each window that lies inside.",
    ),
)


# ---------------------------------------------------------------------------------------------------------
# One number per channel
# ---------------------------------------------------------------------------------------------------------


def global_oracle(X):
    return F.adaptive_avg_pool2d(X, 1).flatten(1)


def batches(seed):
    draw = Draw(seed)
    first = torch.stack([torch.arange(4.0).reshape(2, 2), torch.full((2, 2), 5.0)])
    yield Case("one picture with two channels", (first[None],))
    yield Case("a batch of wide pictures", (draw.whole(2, 3, 2, draw.size(3, 5)),))
    yield Case("a batch of tall pictures", (draw.whole(3, 2, draw.size(3, 5), 2),))
    yield Case("one channel", (draw.whole(3, 1, 2, 4),))
    yield Case("pictures of one pixel", (draw.whole(2, 3, 1, 1),))
    yield Case("pictures that are not contiguous", (draw.turned(2, 3, 4, 3),))
    yield Case("fractions in float64", (draw.real(2, 2, 3, 4, dtype=torch.float64),))


GLOBAL = Task(
    id="global_average",
    title="Any size in, one number per channel",
    kind="write",
    points=1,
    difficulty=1,
    importance=5,
    minutes=5,
    oracle=global_oracle,
    cases=batches,
    window=lambda index, X: f"X[{index[0]}, {index[1]}] = {as_list(X[index])}",
    misconceptions=(
        Misconception(
            "everything",
            "You average over everything and get a single number. Every picture and every channel must keep its own.",
            lambda X: X.mean(),
        ),
        Misconception(
            "channels_averaged",
            "You averaged over the channels, dimension 1. They must stay apart; height and width, the last two "
            "dimensions, go.",
            lambda X: X.mean(1),
        ),
        Misconception(
            "columns_left",
            "You averaged over channels and rows, and the columns are left. Dimensions 2 and 3 must go, counted from "
            "0. (When one is gone, those behind it have new numbers.)",
            lambda X: X.mean((1, 2)),
        ),
        Misconception(
            "one_number_a_picture",
            "You have one number for each picture. Each of its channels should keep its own.",
            lambda X: X.mean((1, 2, 3)),
        ),
        Misconception(
            "pictures_averaged",
            "You averaged over the pictures of the batch as well. Each picture is a thing of its own: dimension "
            "0 stays.",
            lambda X: X.mean((0, 2, 3)),
        ),
        Misconception(
            "ones_kept",
            "Height and width are still there, with size 1: that is what `keepdim=True` and torch's "
            "`AdaptiveAvgPool2d(1)` return. Flatten it to (N, C).",
            lambda X: F.adaptive_avg_pool2d(X, 1),
        ),
        Misconception(
            "squeezed",
            "`squeeze()` without a number removes every dimension of size 1: for a batch of one picture the "
            "batch, for one channel the channel. Say which: `flatten(1)`.",
            lambda X: F.adaptive_avg_pool2d(X, 1).squeeze(),
        ),
        Misconception(
            "summed",
            "You added up and did not divide. A larger picture must not give larger numbers.",
            lambda X: X.sum((2, 3)),
        ),
        Misconception(
            "contiguous_only",
            "`view` needs numbers that lie in memory in the order of the dimensions. After a transpose they do "
            "not. Use `reshape` or `flatten(2)`, or give `mean` both dimensions.",
            lambda X: X.view(X.shape[0], X.shape[1], -1).mean(-1),
        ),
    ),
    hints=(
        "X has four dimensions: N, C, H, W. Which of them must be gone in the answer? What are their numbers, "
        "counted from 0?",
        "`mean` takes several dimensions at once: `X.mean((2, 3))`.",
    ),
)


# ---------------------------------------------------------------------------------------------------------
# On paper: sizes, a shift, the way back
# ---------------------------------------------------------------------------------------------------------

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


PAPER = Task(
    id="pooling_on_paper",
    title="Sizes, a shift, and the way back",
    kind="predict",
    points=3,
    difficulty=3,
    importance=4,
    minutes=12,
    oracle=torch_on_paper,
    cases=once,
    misconceptions=(
        Misconception(
            "halved",
            "Stride 2 does not always halve: a window of 3 pixels does not fit 14 times into 28 without padding. "
            "Use the formula.",
            lambda: {"digit": (14, 14)},
        ),
        Misconception(
            "digit_by_ones",
            "For `digit` you let the window move by one pixel. The stride is 2.",
            lambda: {"digit": (26, 26)},
        ),
        Misconception(
            "steps_for_places",
            "For `digit` you counted the steps of the window. It also stands at its start: one place more.",
            lambda: {"digit": (12, 12)},
        ),
        Misconception(
            "stride_one",
            "For `layer` you let the window move by one pixel. Torch's pooling layers move by the window's size "
            "unless told otherwise.",
            lambda: {"layer": (8, 31, 22)},
        ),
        Misconception(
            "stride_two",
            "For `layer` you took a stride of 2. It is not written, so it is the window's size: 3.",
            lambda: {"layer": (8, 16, 11)},
        ),
        Misconception(
            "padding_once",
            "For `layer` you left the padding out or counted one side of it. It lies on both sides: n + 2p.",
            lambda: {"layer": (8, 10, 7)},
        ),
        Misconception(
            "the_others",
            "These are the columns from which the step *does* change the output: the last column of each window. "
            "The others were asked for.",
            lambda: {"stays": [3, 7]},
        ),
        Misconception(
            "even_columns",
            "The even columns are right for windows of 2 pixels. Here a window has 4, and the dot may take three "
            "steps in it.",
            lambda: {"stays": [0, 2, 4, 6, 8, 10]},
        ),
        Misconception(
            "last_one_counts",
            "The 7 wins two windows. A pixel adds up what it gets from each of them; you kept only the last.",
            lambda: {"gradient": [[0, 2, 0], [0, 0, 0], [3, 0, 4]]},
        ),
        Misconception(
            "above_forgotten",
            "You counted how often each pixel wins. It gets more than that: what came from above for that window.",
            lambda: {"gradient": [[0, 2, 0], [0, 0, 0], [1, 0, 1]]},
        ),
        Misconception(
            "dealt_out",
            "You dealt the gradient out evenly, as an average does. The maximum hands all of it to the winner.",
            lambda: {"gradient": way_back(SMALL, ABOVE, F.avg_pool2d)},
        ),
        Misconception(
            "draw_shared",
            "In a draw you shared. Torch's max pooling, as the lesson's, gives everything to the first of "
            "equals, reading row by row.",
            lambda: {"draw": [[1, 1], [1, 1]]},
        ),
    ),
    hints=(
        "Sizes: which stride has a torch layer that is not told one? Shift: from which columns does the step "
        "stay inside a window? Gradient: write each window's winner beside its number from above.",
        "Sizes: (n + 2p - k) // s + 1, for `layer` with s = 3. Shift: all but the last column of each window. "
        "Gradient: the winners are 7 and 7 above, 6 and 8 below; add up what each gets.",
    ),
)

TASKS = (POOL, EXPOSE, MENDED, INSIDE, GLOBAL, PAPER)
