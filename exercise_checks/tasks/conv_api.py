"""Tasks of sheet 07: shapes and bytes, a dilated kernel, groups dealt out, a layer around the function, one clip."""

import torch
import torch.nn.functional as F
from torch import nn

from exercise_checks.tasks.calls import CONVOLUTIONS, OTHER_OPS
from exercise_checks.tasks.task import Draw, as_list, pair, slips, task


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


@task("Shapes, numbers, bytes", kind="predict", points=3, difficulty=3, importance=5, minutes=15, oracle=torch_shapes)
def conv_shapes():
    """Four arguments make the weight's shape, five make the answer's. Which? And what does a kernel of 3 cover on the
    picture, from its first pixel to its last, when its pixels are 2 apart?

    Weight: (out, in / groups, rows, columns). Answer: (pictures, out, …), each axis (n + 2p - d(k - 1) - 1) // s + 1.
    Learned: all weights and `out` biases. bfloat16: 2 bytes a number.
    """
    return {
        "dilated_weight": (4, 6, 3, 3),
        "dilated_answer": (2, 4, 6, 10),
        "grouped_weight": (12, 2, 3, 5),
        "grouped_answer": (2, 12, 10, 14),
        "grouped_learned": 372,
        "grouped_bytes": 744,
        "placed_answer": (2, 4, 8, 12),
    }


slips(conv_shapes, """
fourth_is_padding = {"placed_answer": (2, 4, 10, 14)}
    In the layer `placed` you took the fourth number for the padding. It is the stride, and 1 is its default anyway:
    there is no padding.
batch_forgotten = {"dilated_answer": (4, 6, 10), "grouped_answer": (12, 10, 14), "placed_answer": (4, 8, 12)}
    Your answers have three axes. Two pictures went in together, so two come out: the batch is the first axis of every
    answer.
inputs_first = {"dilated_weight": (6, 4, 3, 3)}
    Your weight has the input channels first. A weight is a list of filters, one for each output channel, so the output
    channels come first.
weight_spread = {"dilated_weight": (4, 6, 5, 5)}
    You let the dilation enlarge the weight. It spreads the nine pixels that are read; the weights are still nine.
dilation_ignored = {"dilated_answer": (2, 4, 8, 12)}
    The dilated kernel does not cover 3 pixels of the picture on an axis. Mark the pixels it reads, and count from the
    first to the last.
span_dk = {"dilated_answer": (2, 4, 5, 9), "placed_answer": (2, 4, 8, 12)}
    You took d · k for what the dilated kernel covers. Between k pixels there are k - 1 steps of length d: it covers
    d(k - 1) + 1.
steps_for_places = {"placed_answer": (2, 4, 7, 11)}
    You counted the steps of the window. It also stands at its start: an axis of n pixels has n - k + 1 places for a
    window that covers k.
padding_left_out = {"grouped_answer": (2, 12, 8, 10)}
    For `grouped_answer` you left the padding out. It adds one row above and below, and two columns on each side.
zeros_between = {"dilated_answer": (2, 4, 4, 8)}
    You put two pixels between neighbours of the kernel. Dilation is the distance: with 2, one pixel lies between them,
    and with 1, the default, none.
groups_ignored = {"grouped_weight": (12, 6, 3, 5)}
    With three groups a filter does not see all six channels. It sees those of its own group, and the second number of
    the weight's shape says how many.
outputs_divided = {"grouped_weight": (4, 6, 3, 5)}
    You divided the output channels by the groups. There are 12 filters still; what becomes smaller is the number of
    channels that each of them sees.
one_group_only = {"grouped_weight": (4, 2, 3, 5)}
    These are the filters of one group. The layer has three such groups, and its weight holds all of their filters.
width_first = {"grouped_weight": (12, 2, 5, 3)}
    The pair (3, 5) means 3 rows and 5 columns: height before width, in the call and in the weight.
bias_forgotten = {"grouped_learned": 360}
    You counted the weights. `bias` is True by default: one more number for each output channel.
four_bytes = {"grouped_bytes": 4 * 372}
    You counted 4 bytes a number, as float32 takes. The layer was asked for bfloat16.
bits = {"grouped_bytes": 16 * 372}
    This is the number of bits. A byte has 8 of them: a number in bfloat16 takes 16 bits.
""")  # fmt: skip


def corr2d(X, K, dilation=1):
    return F.conv2d(X[None, None], K[None, None], dilation=dilation)[0, 0]


def spread_pictures(draw: Draw):
    X, K = torch.arange(25.0).reshape(5, 5), torch.arange(4.0).reshape(2, 2)
    yield "the picture of lesson 7", X, K, {"dilation": 2}
    yield "a call without dilation", draw.whole(4, 6), draw.whole(2, 3)
    yield "a wide picture", draw.whole(4, 8), draw.whole(2, 3), {"dilation": 2}
    X = draw.whole(8, draw.size(5, 7))
    yield "a picture, and a pair for dilation", X, draw.whole(3, 2), {"dilation": (2, 1)}
    yield "a pair the other way round", draw.whole(5, 8), draw.whole(3, 2), {"dilation": (1, 3)}
    yield "a kernel of one pixel", draw.whole(3, 4), draw.whole(1, 1, low=2), {"dilation": 3}
    yield "a picture that is not contiguous", draw.turned(7, 5), draw.turned(3, 2), {"dilation": 2}
    X = draw.real(6, 7, dtype=torch.float64)
    yield "fractions in float64", X, draw.real(2, 3, dtype=torch.float64), {"dilation": (3, 2)}
    board = torch.tensor([[1.0, -1.0], [-1.0, 1.0]], dtype=torch.float64).repeat(3, 2)
    K = torch.tensor([[1.0, 2.0], [3.0, 5.0]], dtype=torch.float64) + 2**25  # these differ in float64 only
    yield "large numbers in float64", board, K, {"dilation": (3, 1)}


def dilated_window(index, X, K, dilation=1):
    parts = [slice(i, i + d * (k - 1) + 1, d) for i, d, k in zip(index, pair(dilation), K.shape, strict=True)]
    rows, columns = (f"{part.start}:{part.stop}:{part.step}" for part in parts)
    return f"X[{rows}, {columns}] = {as_list(X[parts[0], parts[1]])}"


@task(
    "Dilation by hand", spread_pictures, points=3, difficulty=3, importance=4, minutes=15,
    oracle=corr2d, window=dilated_window, forbids=CONVOLUTIONS | OTHER_OPS,
)  # fmt: skip
def dilated_corr2d(X, K, dilation=1):
    """The picture 0 to 24, the kernel `0 1 / 2 3`, dilation 2: the first window reads 0, 2, 10 and 12. Which larger
    kernel, without dilation, reads just these? Or: which slice of the picture holds them?

    Spread the kernel: zeros of d(h - 1) + 1 rows and e(w - 1) + 1 columns, then `spread[::d, ::e] = K`, then
    `ops.corr2d`. Or take windows with steps: `X[i : i + d * (h - 1) + 1 : d, ...]`.
    """
    d, e = dilation if isinstance(dilation, tuple) else (dilation, dilation)
    h, w = K.shape
    spread = torch.zeros(d * (h - 1) + 1, e * (w - 1) + 1, dtype=K.dtype)
    spread[::d, ::e] = K
    return corr2d(X, spread)


slips(dilated_corr2d, """
pairs_forgotten: dilation if isinstance(dilation, tuple) else (dilation, dilation) -> dilation, dilation
    Plain numbers work, a pair raises a TypeError. Begin by making a pair of a number: 2 means (2, 2).
zeros_between: h, w = K.shape -> h, w = K.shape; d, e = d + 1, e + 1
    Your pixels are one too far apart. `dilation` is the distance between neighbours: 1 means side by side, 2 means
    that one pixel is left out.
span_dk: spread) -> spread)[: X.shape[0] - d * h + 1, : X.shape[1] - e * w + 1]
    You took d · k for what the kernel covers. Behind its last pixel nothing follows: it covers d(k - 1) + 1, and the
    answer is larger than yours.
steps_for_places: spread) -> spread)[:-1, :-1]
    Your answer is one row and one column short. Where the kernel covers k pixels of n, it has n - k + 1 places.
dilation_ignored: h, w = K.shape -> h, w = K.shape; d = e = 1
    `dilation` changes nothing yet: your kernel reads pixels side by side.
rows_only: h, w = K.shape -> h, w = K.shape; e = 1
    Your rows are apart, your columns are side by side. The columns have a distance of their own.
rows_twice: h, w = K.shape -> h, w = K.shape; e = d
    You use the first number of a pair for both axes. The second is the distance from column to column.
swapped: d, e = -> e, d =
    The two numbers of `dilation` are exchanged: the first is the distance from row to row.
stride_instead: corr2d(X, spread) -> F.conv2d(X[None, None], K[None, None], stride=(d, e))[0, 0]
    This is a stride. It makes the window jump. Dilation leaves the window's steps at 1 and puts gaps inside it.
picture_thinned: corr2d(X, spread) -> corr2d(X[::d, ::e], K)
    You thinned the picture out once, from its corner. Each window reads every d-th pixel from its own start, and
    windows start at every pixel.
flipped: ::e] = K -> ::e] = K.flip(0, 1)
    Your kernel is flipped. The task asks for cross-correlation, as the layer computes it.
always_float32: spread) -> spread).float()
    The values are right, but they are always float32. A tensor that you make yourself, as by `torch.zeros(...)`, needs
    `dtype=X.dtype`.
kernel_rounded: ::e] = K -> ::e] = K.float()
    In float64 your numbers have seven right digits only: the kernel passed through a float32 tensor. Give
    `torch.zeros(...)` a `dtype=K.dtype`.
kernel_detached: ::e] = K -> ::e] = K.detach()
    The values are right, but no gradient comes back to K: its bare numbers were used somewhere. Use K itself.
""")  # fmt: skip


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


@task(
    "Find an input that breaks it", kind="bug", points=1, difficulty=3, importance=3, minutes=10,
    accept=exposes, broken=broken_groups,
)  # fmt: skip
def breaks_groups():
    """Write down what `list(range(4))[0::2]` and `[1::2]` are. Which channels should the first of two groups see?

    Four channels, two groups: the first should see channels 0 and 1, and it sees 0 and 2. Take a picture whose four
    channels differ, and a weight of shape (2, 2, 1, 1).
    """
    return torch.arange(4.0).reshape(4, 1, 1), torch.ones(2, 2, 1, 1), 2


slips(breaks_groups, """
one_group = torch.rand(4, 2, 2), torch.rand(2, 4, 1, 1), 1
if: lambda value: is_call(value) and value[2] == 1
    With one group there is nothing to deal out. Take more groups.
does_not_fit = torch.rand(4, 2, 2), torch.rand(2, 4, 1, 1), 2
if: lambda value: is_call(value) and not fits(value)
    These do not fit. Groups must divide the channels of the picture and the filters of the weight, each filter has
    in/groups channels, and a kernel is no larger than the picture.
one_channel_each = torch.rand(3, 2, 2), torch.rand(3, 1, 1, 1), 3
if: lambda value: is_call(value) and value[2] == len(value[0]) == len(value[1])
    With as many groups as channels, every group holds a single channel and a single filter, and there is only one way
    to deal them out. Give each group two.
all_alike = torch.ones(4, 2, 2), torch.ones(2, 2, 1, 1), 2
if: lambda value: is_call(value) and fits(value) and shows_nothing(value)
    The shapes are well chosen, but the numbers are not: channels or filters are so alike that it does not matter who
    sees whom.
""")  # fmt: skip


def calls(draw: Draw):
    yield "four channels in two groups", *breaks_groups.answer()
    yield "one group", draw.whole(3, 3, 4), draw.whole(2, 3, 2, 2), 1
    yield "one channel in each group", draw.whole(3, 4, 3), draw.whole(3, 1, 2, 1), 3
    yield "one channel and two filters in each group", draw.whole(2, 3, 4), draw.whole(4, 1, 1, 2), 2
    yield "more channels than filters", draw.whole(6, 3, draw.size(3, 5)), draw.whole(4, 3, 2, 2), 2
    yield "three groups of two", draw.whole(6, 4, 3), draw.whole(6, 2, 1, 3), 3
    yield "a picture that is not contiguous", draw.turned(4, 3, 5), draw.turned(6, 2, 2, 3), 2
    X = draw.real(4, 3, 3, dtype=torch.float64)
    yield "fractions in float64", X, draw.real(4, 2, 3, 3, dtype=torch.float64), 2


def grouped_window(index, X, weight, groups):
    (o, i, j), (h, w) = index, weight.shape[2:]
    size = len(X) // groups
    first = o // (len(weight) // groups) * size
    window = X[first : first + size, i : i + h, j : j + w]
    return f"X[{first}:{first + size}, {i}:{i + h}, {j}:{j + w}] = {as_list(window)}"


@task(
    "Mend it", calls, kind="bug", points=1, difficulty=3, importance=3, minutes=10,
    oracle=grouped, window=grouped_window, forbids=frozenset({"groups="}),
)  # fmt: skip
def mended_groups(X, weight, groups):
    """How many channels does a group have, and how many filters? Where does the share of group g begin?

    With `i = len(X) // groups` and `o = len(weight) // groups`: group g gets `X[g * i : (g + 1) * i]` and `weight[g *
    o : (g + 1) * o]`. `torch.chunk` cuts that way, too.
    """
    i, o = len(X) // groups, len(weight) // groups
    parts = [F.conv2d(X[g * i : (g + 1) * i], weight[g * o : (g + 1) * o]) for g in range(groups)]
    return torch.cat(parts)


slips(mended_groups, """
unchanged = broken_groups
    Channels and filters are still dealt out in turn, like cards. The first group gets the first channels, side by
    side.
channels_only: weight[g * o : (g + 1) * o] -> weight[g::groups]
    The channels are right now. The filters are dealt out like cards still, so that output channels change places.
filters_only: X[g * i : (g + 1) * i] -> X[g::groups]
    The filters are right now. The channels are dealt out like cards still, so that each filter sees channels of other
    groups.
like_channels: weight[g * o : (g + 1) * o] -> weight[g * i : (g + 1) * i]
    You cut the filters into pieces as long as those of the channels. A group has in/groups channels and out/groups
    filters, and these are two numbers.
first_block: X[g * i : (g + 1) * i] -> X[:i]
    All your groups see the channels of the first one. The start of the slice must move with g.
interleaved: torch.cat(parts) -> torch.stack(parts, 1).flatten(0, 1)
    Each group's answer is right, but they are put together in turn. The first group's output channels come first, all
    of them.
next_door: X[g * i : (g + 1) * i] -> X[g : g + i]
    Your groups overlap: the channels of group g begin at channel g. A group that holds several channels takes several
    steps: it begins at g times their number.
split_for_chunk: X[g * i : (g + 1) * i], weight[g * o : (g + 1) * o] -> x, kernels
and: for g in range(groups) -> for x, kernels in zip(X.split(groups), weight.split(groups))
    `split(groups)` cuts pieces of that *length*. `chunk(groups)` cuts that *many* pieces.
stacked: torch.cat -> torch.stack
    `torch.stack` gives the groups an axis of their own. The answer has three axes: put the groups' channels one behind
    the other, with `torch.cat`.
""")  # fmt: skip


def layers_to_build(draw: Draw):
    for label, (n, i, h, w), o, kernel, padding in [
        ("a batch of two", (2, 1, 4, 5), 3, (3, 3), (1, 2)),
        ("a batch of one", (1, 3, 5, 4), 2, (3, 2), (2, 0)),
        ("a wide kernel", (2, 2, 4, 6), 4, (1, 5), (0, 3)),
    ]:
        arguments = {"in_channels": i, "out_channels": o, "kernel_size": kernel, "padding": padding}
        weights = {"weight": draw.whole(o, i, *kernel), "bias": draw.whole(o, low=1)}
        yield label, arguments, weights, draw.whole(n, i, h, w)


@task(
    "A layer around the function", layers_to_build, points=3, difficulty=3, importance=4, minutes=15,
    use="module", gradient=False, forbids=frozenset({"Conv1d", "Conv2d", "Conv3d"}),
)  # fmt: skip
class ReflectConv2d(nn.Module):
    """`F.conv2d` has neither a memory nor a `padding_mode`. Which two things must the class therefore keep from
    `__init__` for `forward`, and which function comes before `F.conv2d`?

    In `__init__`: `super().__init__()`, the padding, `nn.Parameter(torch.randn(out_channels, in_channels,
    *kernel_size))`, and a bias likewise. In `forward`: `F.pad(X, (q, q, p, p), mode="reflect")`, then `F.conv2d`.
    """

    def __init__(self, in_channels, out_channels, kernel_size, padding):
        super().__init__()
        self.padding = padding
        self.weight = nn.Parameter(torch.rand(out_channels, in_channels, *kernel_size) - 0.5)
        self.bias = nn.Parameter(torch.zeros(out_channels))

    def forward(self, X):
        p, q = self.padding
        return F.conv2d(F.pad(X, (q, q, p, p), mode="reflect"), self.weight, self.bias)


slips(ReflectConv2d, """
buffer: self.weight = nn.Parameter( -> self.register_buffer("weight",
if: lambda seen, *_: "weight" in seen["state_dict"] and "weight" not in seen["parameters"]
    `weight` is a buffer: it is saved and moved with the layer, but never trained. What shall be learned must be an
    `nn.Parameter`.
no_weight: self.weight -> self.kernel
if: lambda seen, *_: "weight" not in seen["parameters"]
    Your layer has no parameter of the name `weight`. Has it another name? Or is it a plain tensor, or made anew in
    `forward`? Such a one is neither trained nor saved: make an `nn.Parameter`, once, in `__init__`.
no_bias: nn.Parameter(torch.zeros(out_channels)) -> torch.zeros(out_channels)
if: lambda seen, *_: "bias" not in seen["parameters"]
    Your layer has no parameter of the name `bias`. It needs one number for each output channel, an `nn.Parameter` like
    `weight`.
one_bias: torch.zeros(out_channels) -> torch.zeros(1)
and: self.weight, self.bias) -> self.weight) + self.bias
if: lambda seen, *_: seen["parameters"].get("bias") == (1,)
    Your bias is a single number. Each output channel has one of its own: the shape is (out_channels,).
bias_forgotten: , self.bias) -> )
    The layer has a bias, but `forward` does not add it. It is the third argument of `F.conv2d`.
zeros: mode="reflect" -> mode="constant"
    Your border is made of zeros. `F.conv2d` knows no other padding: put the mirror there first, with `F.pad` and its
    `mode`.
replicate: mode="reflect" -> mode="replicate"
    You repeat the last pixel. In `reflect` a mirror stands on it: behind it comes the last but one.
circular: mode="reflect" -> mode="circular"
    Your border is the picture's other side. `reflect` fills it with a mirror of the side that it touches.
padded_twice: self.bias) -> self.bias, padding=self.padding)
    You pad twice: with `F.pad`, and with zeros in `F.conv2d`. The mirror is enough.
axes_swapped: (q, q, p, p) -> (p, p, q, q)
    Rows and columns of the padding are exchanged. `F.pad` counts from the last axis: left, right, top, bottom.
detached: self.weight, -> self.weight.data,
    The output is right, but no gradient reaches `weight`: `.data` and `.detach()` cut it off, and the layer would
    never learn.
""")  # fmt: skip


def conv3d(X, W, bias):
    return F.conv3d(X, W, bias)


def clips(draw: Draw):
    frames, difference = torch.tensor([1.0, 4.0, 9.0]), torch.tensor([-1.0, 1.0])
    clip = frames.reshape(1, 1, 3, 1, 1), difference.reshape(1, 1, 2, 1, 1), torch.tensor([10.0])
    yield "three frames of one pixel", *clip
    yield "two clips", draw.whole(2, 1, 4, 3, 4), draw.whole(3, 1, 2, 2, 2), draw.whole(3, low=1)
    X = draw.whole(1, 3, 5, 3, draw.size(2, 4))
    yield "three channels", X, draw.whole(2, 3, 3, 2, 1), draw.whole(2, low=1)
    yield "a kernel of one frame", draw.whole(2, 2, 3, 2, 3), draw.whole(3, 2, 1, 1, 2), draw.whole(3, low=1)
    yield "a kernel as long as the clip", draw.whole(2, 2, 3, 3, 2), draw.whole(1, 2, 3, 2, 2), draw.whole(1, low=1)
    X, W = draw.turned(2, 2, 4, 4, 3), draw.turned(3, 2, 2, 3, 2)
    yield "a clip that is not contiguous", X, W, draw.whole(3, low=1)
    shapes = (1, 2, 4, 3, 3), (2, 2, 2, 2, 2), (2,)
    yield "fractions in float64", *(draw.real(*shape, dtype=torch.float64) for shape in shapes)


def frame_window(index, X, W, bias):
    _, _, t, i, j = index
    (length, h, w), n = W.shape[2:], index[0]
    return f"frames {t} to {t + length - 1} of X[{n}], rows {i}:{i + h}, columns {j}:{j + w}, and the bias"


@task(
    "A clip, frame by frame", clips, points=3, difficulty=4, importance=3, minutes=20,
    oracle=conv3d, window=frame_window, forbids=frozenset({"conv3d", "Conv3d"}),
)  # fmt: skip
def conv3d_by_frames(X, W, bias):
    """Take three frames of one pixel, 1 4 9, and the kernel -1 1. Which frame of the kernel meets which frame of the
    clip, for the first number of the answer? For the second?

    Frame t of the answer is the sum over a of `F.conv2d(X[:, :, t + a], W[:, :, a])`, and the bias once. There are T -
    kt + 1 of them; `torch.stack(frames, 2)` puts time where it belongs.
    """
    frames = []
    for t in range(X.shape[2] - W.shape[2] + 1):
        frame = sum(F.conv2d(X[:, :, t + a], W[:, :, a]) for a in range(W.shape[2]))
        frames.append(frame + bias[:, None, None])
    return torch.stack(frames, 2)


slips(conv3d_by_frames, """
bias_each_frame: W[:, :, a]) -> W[:, :, a], bias)
and: + bias[:, None, None] ->
    Your bias is added once for every frame of the kernel. It belongs to the answer: add it once.
bias_forgotten: + bias[:, None, None] ->
    You left the bias out. It is one number per output channel.
bias_along_columns: bias[:, None, None] -> bias
    `+ bias` lines its numbers up with the last axis, the columns. They belong to the channels: give the bias an axis
    for rows and one for columns behind its own.
time_flipped: t + a] -> t + W.shape[2] - 1 - a]
    Your kernel runs backwards in time. Its frame 0 meets the earliest frame of the window.
frames_alone: W.shape[2] -> 1
    You used the kernel's first frame only, and on each frame of the clip alone. Every number of the answer sums over
    as many frames as the kernel has.
last_frame_only: sum( -> list(
and: range(W.shape[2])) -> range(W.shape[2]))[-1]
    Only the last frame of the kernel is in your answer: each frame took the place of the one before. Add them up.
averaged: frame + bias -> frame / W.shape[2] + bias
    You took the mean over the frames of the kernel. A convolution adds them up.
last_place_forgotten: (frames, 2) -> (frames, 2)[:, :, :-1]
    Your answer is one frame short. The kernel can also stand where it starts: T - kt + 1 places.
time_before_channels: (frames, 2) -> (frames, 1)
    Your frames are stacked before the channels. In (N, C, T, H, W) time is the third axis: give `torch.stack` its
    place.
time_first: (frames, 2) -> (frames)
    `torch.stack(frames)` puts time first of all. In (N, C, T, H, W) it is the third axis.
time_last: (frames, 2) -> (frames, -1)
    Your frames are stacked behind the columns. In (N, C, T, H, W) time is the third axis: give `torch.stack` its
    place.
frames_as_channels: torch.stack(frames, 2) -> torch.cat(frames, 1)
    You joined the frames along the channels. Time needs an axis of its own: `torch.stack` makes one, `torch.cat` does
    not.
""")  # fmt: skip
