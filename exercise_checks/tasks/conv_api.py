"""Tasks of sheet 07: shapes and bytes, a dilated kernel, groups dealt out, a layer around the function, one clip."""

import torch
import torch.nn.functional as F
from torch import nn

from exercise_checks.running.observing import Case
from exercise_checks.tasks.old_task import Draw, Misconception, Task, as_list, once, pair

# ---------------------------------------------------------------------------------------------------------
# Predict shapes, numbers and bytes
# ---------------------------------------------------------------------------------------------------------


def torch_shapes():
    X = torch.zeros(2, 6, 10, 14)
    dilated = nn.Conv2d(6, 4, 3, dilation=2)
    grouped = nn.Conv2d(6, 12, (3, 5), padding=(1, 2), groups=3, dtype=torch.bfloat16)
    return {
        "dilated_weight": tuple(dilated.weight.shape),
        "dilated_answer": tuple(dilated(X).shape),
        "grouped_weight": tuple(grouped.weight.shape),
        "grouped_answer": tuple(grouped(X.bfloat16()).shape),
        "grouped_learned": sum(p.numel() for p in grouped.parameters()),
        "grouped_bytes": sum(p.nbytes for p in grouped.parameters()),
        "placed_answer": tuple(nn.Conv2d(6, 4, 3, 1)(X).shape),
    }


def instead(**changed):
    """What one mistake makes of the numbers that it concerns."""
    return lambda: changed


SHAPES = Task(
    id="conv_shapes",
    title="Shapes, numbers, bytes",
    kind="predict",
    points=3,
    difficulty=3,
    importance=5,
    minutes=15,
    oracle=torch_shapes,
    cases=once,
    misconceptions=(
        Misconception(
            "fourth_is_padding",
            "In the layer `placed` you took the fourth number for the padding. It is the stride, and 1 is its "
            "default anyway: there is no padding.",
            instead(placed_answer=(2, 4, 10, 14)),
        ),
        Misconception(
            "batch_forgotten",
            "Your answers have three axes. Two pictures went in together, so two come out: the batch is the first "
            "axis of every answer.",
            instead(dilated_answer=(4, 6, 10), grouped_answer=(12, 10, 14), placed_answer=(4, 8, 12)),
        ),
        Misconception(
            "inputs_first",
            "Your weight has the input channels first. A weight is a list of filters, one for each output channel, "
            "so the output channels come first.",
            instead(dilated_weight=(6, 4, 3, 3)),
        ),
        Misconception(
            "weight_spread",
            "You let the dilation enlarge the weight. It spreads the nine pixels that are read; the weights are "
            "still nine.",
            instead(dilated_weight=(4, 6, 5, 5)),
        ),
        Misconception(
            "dilation_ignored",
            "The dilated kernel does not cover 3 pixels of the picture on an axis. Mark the pixels it reads, and "
            "count from the first to the last.",
            instead(dilated_answer=(2, 4, 8, 12)),
        ),
        Misconception(
            "span_dk",
            "You took d · k for what the dilated kernel covers. Between k pixels there are k - 1 steps of length "
            "d: it covers d(k - 1) + 1.",
            instead(dilated_answer=(2, 4, 5, 9), placed_answer=(2, 4, 8, 12)),
        ),
        Misconception(
            "steps_for_places",
            "You counted the steps of the window. It also stands at its start: an axis of n pixels has n - k + 1 "
            "places for a window that covers k.",
            instead(placed_answer=(2, 4, 7, 11)),
        ),
        Misconception(
            "padding_left_out",
            "For `grouped_answer` you left the padding out. It adds one row above and below, and two columns on each "
            "side.",
            instead(grouped_answer=(2, 12, 8, 10)),
        ),
        Misconception(
            "zeros_between",
            "You put two pixels between neighbours of the kernel. Dilation is the distance: with 2, one pixel lies "
            "between them, and with 1, the default, none.",
            instead(dilated_answer=(2, 4, 4, 8)),
        ),
        Misconception(
            "groups_ignored",
            "With three groups a filter does not see all six channels. It sees those of its own group, and the "
            "second number of the weight's shape says how many.",
            instead(grouped_weight=(12, 6, 3, 5)),
        ),
        Misconception(
            "outputs_divided",
            "You divided the output channels by the groups. There are 12 filters still; what becomes smaller is "
            "the number of channels that each of them sees.",
            instead(grouped_weight=(4, 6, 3, 5)),
        ),
        Misconception(
            "one_group_only",
            "These are the filters of one group. The layer has three such groups, and its weight holds all of their "
            "filters.",
            instead(grouped_weight=(4, 2, 3, 5)),
        ),
        Misconception(
            "width_first",
            "The pair (3, 5) means 3 rows and 5 columns: height before width, in the call and in the weight.",
            instead(grouped_weight=(12, 2, 5, 3)),
        ),
        Misconception(
            "bias_forgotten",
            "You counted the weights. `bias` is True by default: one more number for each output channel.",
            instead(grouped_learned=360),
        ),
        Misconception(
            "four_bytes",
            "You counted 4 bytes a number, as float32 takes. The layer was asked for bfloat16.",
            instead(grouped_bytes=1488),
        ),
        Misconception(
            "bits",
            "This is the number of bits. A byte has 8 of them: a number in bfloat16 takes 16 bits.",
            instead(grouped_bytes=5952),
        ),
    ),
    hints=(
        "Four arguments make the weight's shape, five make the answer's. Which? And what does a kernel of 3 cover "
        "on the picture, from its first pixel to its last, when its pixels are 2 apart?",
        "Weight: (out, in / groups, rows, columns). Answer: (pictures, out, …), each axis (n + 2p - d(k - 1) - 1) "
        "// s + 1. Learned: all weights and `out` biases. bfloat16: 2 bytes a number.",
    ),
)


# ---------------------------------------------------------------------------------------------------------
# A dilated kernel
# ---------------------------------------------------------------------------------------------------------


def dilated(X, K, dilation=1):
    return F.conv2d(X[None, None], K[None, None], dilation=dilation)[0, 0]


def spread_pictures(seed):
    draw = Draw(seed)
    X, K = torch.arange(25.0).reshape(5, 5), torch.arange(4.0).reshape(2, 2)
    yield Case("the picture of lesson 7", (X, K), {"dilation": 2})
    yield Case("a call without dilation", (draw.whole(4, 6), draw.whole(2, 3)))
    yield Case("a wide picture", (draw.whole(4, 8), draw.whole(2, 3)), {"dilation": 2})
    yield Case(
        "a picture, and a pair for dilation", (draw.whole(8, draw.size(5, 7)), draw.whole(3, 2)), {"dilation": (2, 1)}
    )
    yield Case("a pair the other way round", (draw.whole(5, 8), draw.whole(3, 2)), {"dilation": (1, 3)})
    yield Case("a kernel of one pixel", (draw.whole(3, 4), draw.whole(1, 1, low=2)), {"dilation": 3})
    yield Case("a picture that is not contiguous", (draw.turned(7, 5), draw.turned(3, 2)), {"dilation": 2})
    X = draw.real(6, 7, dtype=torch.float64)
    yield Case("fractions in float64", (X, draw.real(2, 3, dtype=torch.float64)), {"dilation": (3, 2)})
    board = torch.tensor([[1.0, -1.0], [-1.0, 1.0]], dtype=torch.float64).repeat(3, 2)
    K = torch.tensor([[1.0, 2.0], [3.0, 5.0]], dtype=torch.float64) + 2**25  # these differ in float64 only
    yield Case("large numbers in float64", (board, K), {"dilation": (3, 1)})


def dilated_window(index, X, K, dilation=1):
    parts = [slice(i, i + d * (k - 1) + 1, d) for i, d, k in zip(index, pair(dilation), K.shape, strict=True)]
    rows, columns = (f"{part.start}:{part.stop}:{part.step}" for part in parts)
    return f"X[{rows}, {columns}] = {as_list(X[parts[0], parts[1]])}"


def with_dilation(change):
    """Right but for the distance between rows and between columns."""
    return lambda X, K, dilation=1: dilated(X, K, change(*pair(dilation)))


def stride_instead(X, K, dilation=1):
    return F.conv2d(X[None, None], K[None, None], stride=dilation)[0, 0]


def picture_thinned(X, K, dilation=1):
    d, e = pair(dilation)
    return dilated(X[::d, ::e], K)


def span_dk(X, K, dilation=1):
    rows, columns = (n - d * k + 1 for n, d, k in zip(X.shape, pair(dilation), K.shape, strict=True))
    return dilated(X, K, dilation)[:rows, :columns]


def pairs_forgotten(X, K, dilation=1):
    if isinstance(dilation, tuple):
        raise TypeError("a pair where a number was expected")
    return dilated(X, K, dilation)


DILATED = Task(
    id="dilated_corr2d",
    title="Dilation by hand",
    kind="write",
    points=3,
    difficulty=3,
    importance=4,
    minutes=15,
    oracle=dilated,
    cases=spread_pictures,
    window=dilated_window,
    misconceptions=(
        Misconception(
            "pairs_forgotten",
            "Plain numbers work, a pair raises a TypeError. Begin by making a pair of a number: 2 means (2, 2).",
            pairs_forgotten,
        ),
        Misconception(
            "zeros_between",
            "Your pixels are one too far apart. `dilation` is the distance between neighbours: 1 means side by "
            "side, 2 means that one pixel is left out.",
            with_dilation(lambda d, e: (d + 1, e + 1)),
        ),
        Misconception(
            "span_dk",
            "You took d · k for what the kernel covers. Behind its last pixel nothing follows: it covers d(k - 1) "
            "+ 1, and the answer is larger than yours.",
            span_dk,
        ),
        Misconception(
            "steps_for_places",
            "Your answer is one row and one column short. Where the kernel covers k pixels of n, it has n - k + 1 "
            "places.",
            lambda X, K, dilation=1: dilated(X, K, dilation)[:-1, :-1],
        ),
        Misconception(
            "dilation_ignored",
            "`dilation` changes nothing yet: your kernel reads pixels side by side.",
            with_dilation(lambda d, e: (1, 1)),
        ),
        Misconception(
            "rows_only",
            "Your rows are apart, your columns are side by side. The columns have a distance of their own.",
            with_dilation(lambda d, e: (d, 1)),
        ),
        Misconception(
            "rows_twice",
            "You use the first number of a pair for both axes. The second is the distance from column to column.",
            with_dilation(lambda d, e: (d, d)),
        ),
        Misconception(
            "swapped",
            "The two numbers of `dilation` are exchanged: the first is the distance from row to row.",
            with_dilation(lambda d, e: (e, d)),
        ),
        Misconception(
            "stride_instead",
            "This is a stride. It makes the window jump. Dilation leaves the window's steps at 1 and puts gaps "
            "inside it.",
            stride_instead,
        ),
        Misconception(
            "picture_thinned",
            "You thinned the picture out once, from its corner. Each window reads every d-th pixel from its own "
            "start, and windows start at every pixel.",
            picture_thinned,
        ),
        Misconception(
            "flipped",
            "Your kernel is flipped. The task asks for cross-correlation, as the layer computes it.",
            lambda X, K, dilation=1: dilated(X, K.flip(0, 1), dilation),
        ),
        Misconception(
            "always_float32",
            "The values are right, but they are always float32. A tensor that you make yourself, as by "
            "`torch.zeros(...)`, needs `dtype=X.dtype`.",
            lambda X, K, dilation=1: dilated(X, K, dilation).float(),
        ),
        Misconception(
            "kernel_rounded",
            "In float64 your numbers have seven right digits only: the kernel passed through a float32 tensor. "
            "Give `torch.zeros(...)` a `dtype=K.dtype`.",
            lambda X, K, dilation=1: dilated(X, K.float().to(K.dtype), dilation),
        ),
        Misconception(
            "kernel_detached",
            "The values are right, but no gradient comes back to K: its bare numbers were used somewhere. Use K "
            "itself.",
            lambda X, K, dilation=1: dilated(X, K.detach(), dilation),
        ),
    ),
    hints=(
        "The picture 0 to 24, the kernel `0 1 / 2 3`, dilation 2: the first window reads 0, 2, 10 and 12. Which "
        "larger kernel, without dilation, reads just these? Or: which slice of the picture holds them?",
        "Spread the kernel: zeros of d(h - 1) + 1 rows and e(w - 1) + 1 columns, then `spread[::d, ::e] = K`, then "
        "`ops.corr2d`. Or take windows with steps: `X[i : i + d * (h - 1) + 1 : d, ...]`.",
    ),
)


# ---------------------------------------------------------------------------------------------------------
# Find the bug: groups dealt out
# ---------------------------------------------------------------------------------------------------------


def broken_groups(X, weight, groups):
    parts = [F.conv2d(X[g::groups], weight[g::groups]) for g in range(groups)]
    return torch.cat(parts)


def grouped(X, weight, groups):
    return F.conv2d(X, weight, groups=groups)


def is_call(value):
    if not (isinstance(value, tuple) and len(value) == 3 and type(value[2]) is int):
        return False
    return all(isinstance(v, torch.Tensor) and v.ndim == n for v, n in zip(value, (3, 4), strict=False))


def fits(value):
    X, weight, groups = value
    if groups < 1 or len(X) % groups or len(weight) % groups or len(X) // groups != weight.shape[1]:
        return False
    return 0 < weight.shape[2] <= X.shape[1] and 0 < weight.shape[3] <= X.shape[2]


def shows_nothing(value):
    X, weight, groups = value
    return (
        X.isfinite().all()
        and weight.isfinite().all()
        and torch.allclose(broken_groups(X, weight, groups), grouped(X, weight, groups))
    )


def exposes(value):
    """A picture, a weight and a number of groups that fit, and on which `broken_groups` goes wrong."""
    if not is_call(value):
        return "Return a picture (C, H, W), a weight (out, in/groups, kh, kw) and a number: `return X, weight, groups`."
    X, weight, groups = value
    if X.dtype != torch.float32 or weight.dtype != torch.float32 or X.numel() + weight.numel() > 10_000:
        return "Take small float32 tensors, as `torch.ones(...)` or `torch.rand(...)` make them."
    if not (X.isfinite().all() and weight.isfinite().all()):
        return "Take numbers without inf and nan: with these, nothing is equal to itself."
    if not fits(value):
        sizes = f"A picture of shape {tuple(X.shape)}, a weight of shape {tuple(weight.shape)}"
        return f"{sizes} and {groups} group{'s' * (groups != 1)} do not fit."
    if shows_nothing(value):
        return "On this input `broken_groups` is right. Look for one on which it is not."
    return None


def four_channels():
    return torch.arange(4.0).reshape(4, 1, 1), torch.ones(2, 2, 1, 1), 2


EXPOSE = Task(
    id="breaks_groups",
    title="Find an input that breaks it",
    kind="bug",
    points=1,
    difficulty=3,
    importance=3,
    minutes=10,
    oracle=four_channels,
    cases=once,
    accept=exposes,
    broken=broken_groups,
    misconceptions=(
        Misconception(
            "one_group",
            "With one group there is nothing to deal out. Take more groups.",
            lambda: (torch.rand(4, 2, 2), torch.rand(2, 4, 1, 1), 1),
            matches=lambda value: is_call(value) and value[2] == 1,
        ),
        Misconception(
            "does_not_fit",
            "These do not fit. Groups must divide the channels of the picture and the filters of the weight, each "
            "filter has in/groups channels, and a kernel is no larger than the picture.",
            lambda: (torch.rand(4, 2, 2), torch.rand(2, 4, 1, 1), 2),
            matches=lambda value: is_call(value) and not fits(value),
        ),
        Misconception(
            "one_channel_each",
            "With as many groups as channels, every group holds a single channel and a single filter, and there is "
            "only one way to deal them out. Give each group two.",
            lambda: (torch.rand(3, 2, 2), torch.rand(3, 1, 1, 1), 3),
            matches=lambda value: is_call(value) and value[2] == len(value[0]) == len(value[1]),
        ),
        Misconception(
            "all_alike",
            "The shapes are well chosen, but the numbers are not: channels or filters are so alike that it does "
            "not matter who sees whom.",
            lambda: (torch.ones(4, 2, 2), torch.ones(2, 2, 1, 1), 2),
            matches=lambda value: is_call(value) and fits(value) and shows_nothing(value),
        ),
    ),
    hints=(
        "Write down what `list(range(4))[0::2]` and `[1::2]` are. Which channels should the first of two groups see?",
        "Four channels, two groups: the first should see channels 0 and 1, and it sees 0 and 2. Take a picture "
        "whose four channels differ, and a weight of shape (2, 2, 1, 1).",
    ),
)


def calls(seed):
    draw = Draw(seed)
    yield Case("four channels in two groups", four_channels())
    yield Case("one group", (draw.whole(3, 3, 4), draw.whole(2, 3, 2, 2), 1))
    yield Case("one channel in each group", (draw.whole(3, 4, 3), draw.whole(3, 1, 2, 1), 3))
    yield Case("one channel and two filters in each group", (draw.whole(2, 3, 4), draw.whole(4, 1, 1, 2), 2))
    yield Case("more channels than filters", (draw.whole(6, 3, draw.size(3, 5)), draw.whole(4, 3, 2, 2), 2))
    yield Case("three groups of two", (draw.whole(6, 4, 3), draw.whole(6, 2, 1, 3), 3))
    yield Case("a picture that is not contiguous", (draw.turned(4, 3, 5), draw.turned(6, 2, 2, 3), 2))
    real = (draw.real(*shape, dtype=torch.float64) for shape in ((4, 3, 3), (4, 2, 3, 3)))
    yield Case("fractions in float64", (*real, 2))


def grouped_window(index, X, weight, groups):
    (o, i, j), (h, w) = index, weight.shape[2:]
    size = len(X) // groups
    first = o // (len(weight) // groups) * size
    window = X[first : first + size, i : i + h, j : j + w]
    return f"X[{first}:{first + size}, {i}:{i + h}, {j}:{j + w}] = {as_list(window)}"


def dealt(channels, filters, join=torch.cat):
    """The loop over groups; `channels` and `filters` say which of n things the group g of `groups` gets."""

    def answer(X, weight, groups):
        pairs = ((X[channels(g, groups, len(X))], weight[filters(g, groups, len(weight))]) for g in range(groups))
        return join([F.conv2d(*pair) for pair in pairs])

    return answer


def in_turn(g, groups, n):
    return slice(g, None, groups)


def in_blocks(g, groups, n):
    return slice(g * n // groups, (g + 1) * n // groups)


def split_for_chunk(X, weight, groups):
    pairs = zip(X.split(groups), weight.split(groups), strict=False)
    return torch.cat([F.conv2d(*pair) for pair in pairs])


def like_channels(X, weight, groups):
    size = len(X) // groups
    return dealt(in_blocks, lambda g, groups, n: slice(g * size, (g + 1) * size))(X, weight, groups)


MENDED = Task(
    id="mended_groups",
    title="Mend it",
    kind="bug",
    points=1,
    difficulty=3,
    importance=3,
    minutes=10,
    oracle=grouped,
    cases=calls,
    window=grouped_window,
    misconceptions=(
        Misconception(
            "unchanged",
            "Channels and filters are still dealt out in turn, like cards. The first group gets the first "
            "channels, side by side.",
            broken_groups,
        ),
        Misconception(
            "channels_only",
            "The channels are right now. The filters are dealt out like cards still, so that output channels "
            "change places.",
            dealt(in_blocks, in_turn),
        ),
        Misconception(
            "filters_only",
            "The filters are right now. The channels are dealt out like cards still, so that each filter sees "
            "channels of other groups.",
            dealt(in_turn, in_blocks),
        ),
        Misconception(
            "like_channels",
            "You cut the filters into pieces as long as those of the channels. A group has in/groups channels and "
            "out/groups filters, and these are two numbers.",
            like_channels,
        ),
        Misconception(
            "first_block",
            "All your groups see the channels of the first one. The start of the slice must move with g.",
            dealt(lambda g, groups, n: slice(0, n // groups), in_blocks),
        ),
        Misconception(
            "interleaved",
            "Each group's answer is right, but they are put together in turn. The first group's output channels "
            "come first, all of them.",
            dealt(in_blocks, in_blocks, lambda parts: torch.stack(parts, 1).flatten(0, 1)),
        ),
        Misconception(
            "next_door",
            "Your groups overlap: the channels of group g begin at channel g. A group that holds several channels "
            "takes several steps: it begins at g times their number.",
            dealt(lambda g, groups, n: slice(g, g + n // groups), in_blocks),
        ),
        Misconception(
            "split_for_chunk",
            "`split(groups)` cuts pieces of that *length*. `chunk(groups)` cuts that *many* pieces.",
            split_for_chunk,
        ),
        Misconception(
            "stacked",
            "`torch.stack` gives the groups an axis of their own. The answer has three axes: put the groups' "
            "channels one behind the other, with `torch.cat`.",
            dealt(in_blocks, in_blocks, torch.stack),
        ),
    ),
    hints=(
        "How many channels does a group have, and how many filters? Where does the share of group g begin?",
        "With `i = len(X) // groups` and `o = len(weight) // groups`: group g gets `X[g * i : (g + 1) * i]` and "
        "`weight[g * o : (g + 1) * o]`. `torch.chunk` cuts that way, too.",
    ),
)


# ---------------------------------------------------------------------------------------------------------
# A layer around the function
# ---------------------------------------------------------------------------------------------------------


class Oracle(nn.Module):
    mode = "reflect"

    def __init__(self, in_channels, out_channels, kernel_size, padding):
        super().__init__()
        self.rows, self.columns = padding
        self.weight = nn.Parameter(torch.rand(out_channels, in_channels, *kernel_size) - 0.5)
        self.bias = nn.Parameter(torch.zeros(out_channels))

    def padded(self, X):
        return F.pad(X, (self.columns, self.columns, self.rows, self.rows), mode=self.mode)

    def forward(self, X):
        return F.conv2d(self.padded(X), self.weight, self.bias)


class Zeros(Oracle):
    mode = "constant"


class Replicate(Oracle):
    mode = "replicate"


class Circular(Oracle):
    mode = "circular"


class PaddedTwice(Oracle):
    def forward(self, X):
        return F.conv2d(self.padded(X), self.weight, self.bias, padding=(self.rows, self.columns))


class AxesSwapped(Oracle):
    def padded(self, X):
        return F.pad(X, (self.rows, self.rows, self.columns, self.columns), mode=self.mode)


class Detached(Oracle):
    def forward(self, X):
        return F.conv2d(self.padded(X), self.weight.data, self.bias)


class BiasForgotten(Oracle):
    def forward(self, X):
        return F.conv2d(self.padded(X), self.weight)


class MadeAnew(Oracle):
    def __init__(self, in_channels, out_channels, kernel_size, padding):
        super().__init__(in_channels, out_channels, kernel_size, padding)
        self.shape = self.weight.shape
        del self.weight

    def forward(self, X):
        return F.conv2d(self.padded(X), torch.rand(self.shape), self.bias)


class Buffer(Oracle):
    def __init__(self, in_channels, out_channels, kernel_size, padding):
        super().__init__(in_channels, out_channels, kernel_size, padding)
        weight = self.weight.detach()
        del self.weight
        self.register_buffer("weight", weight)


class BiasAsTensor(Oracle):
    def __init__(self, in_channels, out_channels, kernel_size, padding):
        super().__init__(in_channels, out_channels, kernel_size, padding)
        del self.bias
        self.bias = torch.rand(out_channels)


class OneBias(Oracle):
    def __init__(self, in_channels, out_channels, kernel_size, padding):
        super().__init__(in_channels, out_channels, kernel_size, padding)
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, X):
        return F.conv2d(self.padded(X), self.weight) + self.bias


def layers_to_build(seed):
    draw = Draw(seed)
    for label, (n, i, h, w), o, kernel, padding in [
        ("a batch of two", (2, 1, 4, 5), 3, (3, 3), (1, 2)),
        ("a batch of one", (1, 3, 5, 4), 2, (3, 2), (2, 0)),
        ("a wide kernel", (2, 2, 4, 6), 4, (1, 5), (0, 3)),
    ]:
        arguments = {"in_channels": i, "out_channels": o, "kernel_size": kernel, "padding": padding}
        weights = {"weight": draw.whole(o, i, *kernel), "bias": draw.whole(o, low=1)}
        yield Case(label, (arguments, weights, draw.whole(n, i, h, w)), gradient=False)


LAYER = Task(
    id="ReflectConv2d",
    title="A layer around the function",
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
            "buffer",
            "`weight` is a buffer: it is saved and moved with the layer, but never trained. What shall be learned "
            "must be an `nn.Parameter`.",
            Buffer,
            matches=lambda seen, *_: "weight" in seen["state_dict"] and "weight" not in seen["parameters"],
        ),
        Misconception(
            "no_weight",
            "Your layer has no parameter of the name `weight`. Has it another name? Or is it a plain tensor, or made "
            "anew in `forward`? Such a one is neither trained nor saved: make an `nn.Parameter`, once, in `__init__`.",
            MadeAnew,
            matches=lambda seen, *_: "weight" not in seen["parameters"],
        ),
        Misconception(
            "no_bias",
            "Your layer has no parameter of the name `bias`. It needs one number for each output channel, an "
            "`nn.Parameter` like `weight`.",
            BiasAsTensor,
            matches=lambda seen, *_: "bias" not in seen["parameters"],
        ),
        Misconception(
            "one_bias",
            "Your bias is a single number. Each output channel has one of its own: the shape is (out_channels,).",
            OneBias,
            matches=lambda seen, *_: seen["parameters"].get("bias") == (1,),
        ),
        Misconception(
            "bias_forgotten",
            "The layer has a bias, but `forward` does not add it. It is the third argument of `F.conv2d`.",
            BiasForgotten,
        ),
        Misconception(
            "zeros",
            "Your border is made of zeros. `F.conv2d` knows no other padding: put the mirror there first, with "
            "`F.pad` and its `mode`.",
            Zeros,
        ),
        Misconception(
            "replicate",
            "You repeat the last pixel. In `reflect` a mirror stands on it: behind it comes the last but one.",
            Replicate,
        ),
        Misconception(
            "circular",
            "Your border is the picture's other side. `reflect` fills it with a mirror of the side that it touches.",
            Circular,
        ),
        Misconception(
            "padded_twice",
            "You pad twice: with `F.pad`, and with zeros in `F.conv2d`. The mirror is enough.",
            PaddedTwice,
        ),
        Misconception(
            "axes_swapped",
            "Rows and columns of the padding are exchanged. `F.pad` counts from the last axis: left, right, top, "
            "bottom.",
            AxesSwapped,
        ),
        Misconception(
            "detached",
            "The output is right, but no gradient reaches `weight`: `.data` and `.detach()` cut it off, and the "
            "layer would never learn.",
            Detached,
        ),
    ),
    hints=(
        "`F.conv2d` has neither a memory nor a `padding_mode`. Which two things must the class therefore keep from "
        "`__init__` for `forward`, and which function comes before `F.conv2d`?",
        "In `__init__`: `super().__init__()`, the padding, `nn.Parameter(torch.randn(out_channels, in_channels, "
        '*kernel_size))`, and a bias likewise. In `forward`: `F.pad(X, (q, q, p, p), mode="reflect")`, then '
        "`F.conv2d`.",
    ),
)


# ---------------------------------------------------------------------------------------------------------
# A clip, frame by frame
# ---------------------------------------------------------------------------------------------------------


def oracle(X, W, bias):
    return F.conv3d(X, W, bias)


def clips(seed):
    draw = Draw(seed)
    frames, difference = torch.tensor([1.0, 4.0, 9.0]), torch.tensor([-1.0, 1.0])
    clip = frames.reshape(1, 1, 3, 1, 1), difference.reshape(1, 1, 2, 1, 1), torch.tensor([10.0])
    yield Case("three frames of one pixel", clip)
    yield Case("two clips", (draw.whole(2, 1, 4, 3, 4), draw.whole(3, 1, 2, 2, 2), draw.whole(3, low=1)))
    yield Case(
        "three channels", (draw.whole(1, 3, 5, 3, draw.size(2, 4)), draw.whole(2, 3, 3, 2, 1), draw.whole(2, low=1))
    )
    yield Case("a kernel of one frame", (draw.whole(2, 2, 3, 2, 3), draw.whole(3, 2, 1, 1, 2), draw.whole(3, low=1)))
    yield Case(
        "a kernel as long as the clip", (draw.whole(2, 2, 3, 3, 2), draw.whole(1, 2, 3, 2, 2), draw.whole(1, low=1))
    )
    X, W = draw.turned(2, 2, 4, 4, 3), draw.turned(3, 2, 2, 3, 2)
    yield Case("a clip that is not contiguous", (X, W, draw.whole(3, low=1)))
    real = (draw.real(*shape, dtype=torch.float64) for shape in ((1, 2, 4, 3, 3), (2, 2, 2, 2, 2), (2,)))
    yield Case("fractions in float64", tuple(real))


def frame_window(index, X, W, bias):
    _, _, t, i, j = index
    (length, h, w), n = W.shape[2:], index[0]
    return f"frames {t} to {t + length - 1} of X[{n}], rows {i}:{i + h}, columns {j}:{j + w}, and the bias"


def in_frames(join):
    """The right frames, put together by `join`."""
    return lambda X, W, bias: join(list(oracle(X, W, bias).unbind(2)))


FRAMES = Task(
    id="conv3d_by_frames",
    title="A clip, frame by frame",
    kind="write",
    points=3,
    difficulty=4,
    importance=3,
    minutes=20,
    oracle=oracle,
    cases=clips,
    window=frame_window,
    misconceptions=(
        Misconception(
            "bias_each_frame",
            "Your bias is added once for every frame of the kernel. It belongs to the answer: add it once.",
            lambda X, W, bias: oracle(X, W, W.shape[2] * bias),
        ),
        Misconception(
            "bias_forgotten",
            "You left the bias out. It is one number per output channel.",
            lambda X, W, bias: oracle(X, W, None),
        ),
        Misconception(
            "bias_along_columns",
            "`+ bias` lines its numbers up with the last axis, the columns. They belong to the channels: give the "
            "bias an axis for rows and one for columns behind its own.",
            lambda X, W, bias: oracle(X, W, None) + bias,
        ),
        Misconception(
            "time_flipped",
            "Your kernel runs backwards in time. Its frame 0 meets the earliest frame of the window.",
            lambda X, W, bias: oracle(X, W.flip(2), bias),
        ),
        Misconception(
            "frames_alone",
            "You used the kernel's first frame only, and on each frame of the clip alone. Every number of the "
            "answer sums over as many frames as the kernel has.",
            lambda X, W, bias: oracle(X, W[:, :, :1], bias),
        ),
        Misconception(
            "last_frame_only",
            "Only the last frame of the kernel is in your answer: each frame took the place of the one before. Add "
            "them up.",
            lambda X, W, bias: oracle(X[:, :, W.shape[2] - 1 :], W[:, :, -1:], bias),
        ),
        Misconception(
            "averaged",
            "You took the mean over the frames of the kernel. A convolution adds them up.",
            lambda X, W, bias: oracle(X, W / W.shape[2], bias),
        ),
        Misconception(
            "last_place_forgotten",
            "Your answer is one frame short. The kernel can also stand where it starts: T - kt + 1 places.",
            lambda X, W, bias: oracle(X, W, bias)[:, :, :-1],
        ),
        Misconception(
            "time_before_channels",
            "Your frames are stacked before the channels. In (N, C, T, H, W) time is the third axis: give "
            "`torch.stack` its place.",
            in_frames(lambda frames: torch.stack(frames, 1)),
        ),
        Misconception(
            "time_first",
            "`torch.stack(frames)` puts time first of all. In (N, C, T, H, W) it is the third axis.",
            in_frames(torch.stack),
        ),
        Misconception(
            "time_last",
            "Your frames are stacked behind the columns. In (N, C, T, H, W) time is the third axis: give "
            "`torch.stack` its place.",
            in_frames(lambda frames: torch.stack(frames, -1)),
        ),
        Misconception(
            "frames_as_channels",
            "You joined the frames along the channels. Time needs an axis of its own: `torch.stack` makes one, "
            "`torch.cat` does not.",
            in_frames(lambda frames: torch.cat(frames, 1)),
        ),
    ),
    hints=(
        "Take three frames of one pixel, 1 4 9, and the kernel -1 1. Which frame of the kernel meets which frame "
        "of the clip, for the first number of the answer? For the second?",
        "Frame t of the answer is the sum over a of `F.conv2d(X[:, :, t + a], W[:, :, a])`, and the bias once. "
        "There are T - kt + 1 of them; `torch.stack(frames, 2)` puts time where it belongs.",
    ),
)

TASKS = (SHAPES, DILATED, EXPOSE, MENDED, LAYER, FRAMES)
