"""Tasks of sheet 08: depthwise by hand, costs, the channel shuffle, a separable layer, and holes in stacks."""

import torch
import torch.nn.functional as F
from torch import nn

from exercise_checks.tasks.calls import CONVOLUTIONS, OTHER_OPS
from exercise_checks.tasks.task import Draw, as_list, slips, task


def corr2d(X, K):
    return F.conv2d(X[None, None], K[None, None])[0, 0]


def depthwise(X, K):
    return F.conv2d(X, K, groups=len(X))


def one_kernel_each(draw: Draw):
    X = torch.stack([torch.arange(9.0).reshape(3, 3), torch.arange(1.0, 10.0).reshape(3, 3)])
    K = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]], [[[0.0, 1.0], [2.0, 3.0]]]])
    yield "the small channels of the sheet", X, K
    yield "two channels, four kernels", X, torch.cat([K, K + 1])
    yield "two channels, six kernels, a wide picture", draw.whole(2, 3, 6), draw.whole(6, 1, 2, 2)
    yield "three channels, a tall picture", draw.whole(3, draw.size(5, 6), 3), draw.whole(3, 1, 3, 1)
    yield "one channel, three kernels", draw.whole(1, 4, 5), draw.whole(3, 1, 2, 3)
    yield "kernels as large as the picture", draw.whole(2, 3, 4), draw.whole(4, 1, 3, 4)
    yield "a picture that is not contiguous", draw.turned(3, 4, 6), draw.turned(6, 1, 2, 3)
    X = draw.real(2, 5, 4, dtype=torch.float64)
    yield "fractions in float64", X, draw.real(4, 1, 2, 2, dtype=torch.float64)


def depthwise_window(index, X, K):
    o, i, j = index
    c, (h, w) = o // (len(K) // len(X)), K.shape[2:]
    return f"X[{c}, {i}:{i + h}, {j}:{j + w}] = {as_list(X[c, i : i + h, j : j + w])} and K[{o}]"


@task(
    "Depthwise by hand", one_kernel_each, points=2, difficulty=2, importance=4, minutes=12,
    oracle=depthwise, window=depthwise_window, forbids=CONVOLUTIONS | OTHER_OPS,
)  # fmt: skip
def corr2d_depthwise(X, K):
    """Take two channels and four kernels. Which two kernels belong to channel 0, if the kernels of one channel stand
    next to each other? What do you do with the number o to get 0, 0, 1, 1?

    With `each = len(K) // len(X)`, output o is `ops.corr2d(X[o // each], K[o, 0])`. Stack the outputs.
    """
    each = len(K) // len(X)  # kernels per channel
    return torch.stack([corr2d(X[o // each], K[o, 0]) for o in range(len(K))])


slips(corr2d_depthwise, """
channels_summed: for o in range(len(K))]) -> for o in range(len(K))]).sum(0)
    You added the answers up over the channels. In a depthwise convolution nothing is added between channels: each
    kernel makes an output channel of its own.
every_channel: corr2d(X[o // each], K[o, 0]) -> sum(corr2d(x, K[o, 0]) for x in X)
    Each of your kernels looks at all channels and adds up. A depthwise kernel looks at one single channel.
dealt_out: o // each -> o % len(X)
    You deal the kernels out in turn, `o % C`. Kernels of the same channel stand next to each other: with two channels
    and four kernels, outputs 0 and 1 look at channel 0.
ordered_by_kernel: range(len(K))]) -> range(len(K))]).unflatten(0, (len(X), -1)).transpose(0, 1).flatten(0, 1)
    The maps are right, but in another order: you list all channels for their first kernel, then all for their second.
    The order of the outputs is the order of K.
strictly_in_step: X[o // each], K[o, 0]) for o in range(len(K)) -> x, k[0]) for x, k in zip(X, K, strict=True)
    Your `zip` walks over channels and kernels in step. That fits only if there are as many kernels as channels. There
    may be twice or three times as many; then each channel is looked at that often.
stops_early: o // each -> o
and: range(len(K)) -> range(len(X))
    Kernels are left over: your loop ends with the channels, as `zip` does with the shorter of the two. There are as
    many outputs as kernels.
channel_of_the_same_number: o // each -> o
    Your output o looks at channel o. With more kernels than channels there is no such channel any more. How many
    kernels does each channel get?
first_channel: o // each -> 0
    All kernels look at channel 0. Which channel does output o belong to?
first_kernel: K[o, 0] -> K[0, 0]
    You use kernel 0 for all outputs. Output o has kernel o.
always_float32: range(len(K))]) -> range(len(K))]).float()
    The values are right, but they are always float32. A tensor that you make yourself, as by `torch.zeros(...)`, needs
    `dtype=X.dtype`. Or stack the answers.
""")  # fmt: skip


def costs():
    same = {"padding": "same", "bias": False}
    variants = {
        "standard": [nn.Conv2d(8, 16, 3, **same)],
        "group": [nn.Conv2d(8, 16, 3, groups=4, **same)],
        "depthwise": [nn.Conv2d(8, 16, 3, groups=8, **same)],
        "separable": [nn.Conv2d(8, 8, 3, groups=8, **same), nn.Conv2d(8, 16, 1, **same)],
        "dilated": [nn.Conv2d(8, 16, 3, dilation=2, **same)],
        "asymmetric": [nn.Conv2d(8, 16, (3, 1), **same), nn.Conv2d(16, 16, (1, 3), **same)],
    }
    parameters = {name: sum(part.weight.numel() for part in parts) for name, parts in variants.items()}
    standard, separable = (macs(variants[name], torch.zeros(1, 8, 10, 12)) for name in ("standard", "separable"))
    return {**parameters, "separable_macs": separable, "times_fewer": standard / separable}


def macs(parts, X):
    total = 0
    for part in parts:
        X = part(X)
        total += X.numel() * part.weight[0].numel()
    return total


@task("What the variants cost", kind="predict", points=3, difficulty=3, importance=5, minutes=12, oracle=costs)
def variant_costs():
    """For each layer, say how many kernels one output channel has, and how many numbers are in a kernel. Two parts in
    a row: do this for each part, with the channels that reach it.

    Weights of a part: out · in/groups · rows · columns of its kernel. MACs: places of the answer · weights. Times
    fewer: MACs of the standard layer over those of the separable one.
    """
    return {
        "standard": 16 * 8 * 9,
        "group": 16 * 2 * 9,
        "depthwise": 16 * 1 * 9,
        "separable": 8 * 1 * 9 + 16 * 8,
        "dilated": 16 * 8 * 9,
        "asymmetric": 16 * 8 * 3 + 16 * 16 * 3,
        "separable_macs": 10 * 12 * (8 * 9 + 16 * 8),
        "times_fewer": 1 / (1 / 16 + 1 / 9),
    }


slips(variant_costs, """
biases_counted = {"standard": 1168}
    You counted 16 biases. These layers have none: `bias=False`.
groups_ignored = {"group": 1152}
    Your group layer costs what the standard one does. With 4 groups a filter sees a quarter of the input channels.
one_group_only = {"group": 72}
    You divided inputs and outputs by 4: these are the weights of *one* group. There are four groups.
depthwise_of_the_inputs = {"depthwise": 72}
    You counted one kernel per input channel. The depthwise layer makes 16 channels out of 8, and each output has a
    kernel of its own.
depthwise_sees_all = {"depthwise": 1152}
    You gave each output of the depthwise layer 8 kernels. It sees one input channel, so it has one kernel.
separable_widens_first = {"separable": 400}
    You let the depthwise part make 16 channels already. In the separable layer it keeps the 8; the pointwise part
    makes 16 of them.
pointwise_of_nine = {"separable": 72 + 1152}
    You gave the second part of the separable layer 3×3 kernels. It is pointwise: 1×1.
depthwise_part_alone = {"separable": 72}
    These are the weights of the separable layer's depthwise part. The pointwise part has weights, too.
pointwise_part_alone = {"separable": 128}
    These are the weights of the separable layer's pointwise part. The depthwise part has weights, too.
separable_multiplied = {"separable": 72 * 128}
    You multiplied the weights of the two parts. The matrices of two layers in a row are multiplied; their weights are
    counted together.
zeros_counted = {"dilated": 3200}
    You counted a kernel of 5×5. A dilated kernel spans 5 pixels a side, but there are no weights in its gaps: it has
    nine.
asymmetric_half = {"asymmetric": 384}
    You counted the 3×1 part of the asymmetric layer. A 1×3 part follows it.
asymmetric_from_the_inputs_twice = {"asymmetric": 768}
    You let both parts of the asymmetric layer begin with 8 channels. The second part begins with what the first one
    made: 16.
asymmetric_keeps_the_inputs = {"asymmetric": 576}
    You kept 8 channels between column and row. This layer has 16 there, as many as it has outputs.
macs_of_one_place = {"separable_macs": 200}
    These are the multiplications at a single place. The kernels stand at every place of the answer.
macs_without_padding = {"separable_macs": 200 * 80}
    You counted 8·10 places. With padding that keeps the size there are 10·12.
operations = {"separable_macs": 48000}
    You counted multiplications and additions as two operations. One multiply-accumulate is both together, so it is
    half as many.
turned_over = {"times_fewer": 1 / 16 + 1 / 9}
    You gave the separable layer's share of the work. Asked is how many times *fewer* MACs it takes: turn the fraction
    over.
nine_times = {"times_fewer": 9}
    The depthwise part takes 1/16 of the standard layer's work and the pointwise part 1/9. Add both; nine times would
    leave out the depthwise part.
inputs_in_the_formula = {"times_fewer": 1 / (1 / 8 + 1 / 9)}
    You used the number of inputs, 8. It cancels. The depthwise part's share is one over the *outputs*.
""")  # fmt: skip


def broken_shuffle(X, groups):
    N, C, H, W = X.shape
    X = X.reshape(N, C // groups, groups, H, W)
    return X.transpose(1, 2).reshape(N, C, H, W)


def shuffle(X, groups):
    return torch.cat([X[:, start :: X.shape[1] // groups] for start in range(X.shape[1] // groups)], 1)


def is_call(value):
    if not (isinstance(value, tuple) and len(value) == 2 and type(value[1]) is int):
        return False
    return isinstance(value[0], torch.Tensor) and value[0].ndim == 4


def divides(value):
    X, groups = value
    return groups >= 1 and X.shape[1] >= 1 and X.shape[1] % groups == 0


def is_usable(X):
    return bool(1 <= X.numel() <= 10_000 and X.dtype == torch.float32 and X.isfinite().all())


def fits(value):
    return is_call(value) and divides(value) and is_usable(value[0])


def exposes(value):
    """A batch of pictures and a number of groups on which `broken_shuffle` goes wrong."""
    if not is_call(value):
        return "Return a batch of pictures, shape (N, C, H, W), and a whole number: `return X, groups`."
    X, _ = value
    if not divides(value):
        return "The groups must divide the channels."
    if not is_usable(X):
        return "X must hold between 1 and 10000 numbers, float32, without inf or nan."
    if torch.equal(broken_shuffle(*value), shuffle(*value)):
        return "On this input `broken_shuffle` is right. Look for one on which it is not."
    return None


def counted(channels):
    """One pixel in each channel: the channel's number."""
    return torch.arange(float(channels)).reshape(1, channels, 1, 1)


@task(
    "Find an input that breaks it", kind="bug", points=1, difficulty=2, importance=3, minutes=5,
    accept=exposes, broken=broken_shuffle,
)  # fmt: skip
def breaks_shuffle():
    """Write six channels in two groups as a table with one row per group. Which table does the `reshape` make? For
    which numbers of channels and groups are the two tables of one form?

    It makes C/groups rows where there should be `groups`. Take 6 channels that differ, `torch.arange(6.0).reshape(1,
    6, 1, 1)`, and 2 groups.
    """
    return counted(6), 2


slips(breaks_shuffle, """
does_not_divide = counted(6), 4
if: lambda value: is_call(value) and not divides(value)
    These groups do not divide the channels, so they cannot be equal in size. Every shuffle must refuse that.
nothing_to_deal = counted(6), 6
if: lambda value: fits(value) and value[1] in (1, value[0].shape[1])
    With one group, or with groups of one channel, dealing out leaves the channels as they are, whichever way one does
    it.
square = counted(9), 3
if: lambda value: fits(value) and value[1] ** 2 == value[0].shape[1]
    You have as many groups as channels in a group. Then the channels make a square table, and rows cannot be told from
    columns. The 4 channels in 2 groups of the lesson do the same.
all_alike = torch.ones(1, 6, 2, 2), 2
if: lambda value: fits(value) and torch.equal(broken_shuffle(*value), shuffle(*value))
    The shapes are well chosen, but the channels are too much alike: nobody sees in which order they stand.
""")  # fmt: skip


def hands(draw: Draw):
    yield "the 4 channels in 2 groups of lesson 8", counted(4), 2
    yield "6 channels in 2 groups", counted(6), 2
    yield "6 channels in 3 groups, a wide picture", draw.distinct(1, 6, 2, 3), 3
    yield "several pictures", draw.distinct(3, 8, 2, 2), 2
    yield "more groups than channels in one", draw.distinct(2, 8, 3, 1), 4
    yield "a single group", draw.distinct(2, 3, 2, 2), 1
    yield "one channel in each group", draw.distinct(2, 4, 1, 3), 4
    yield "a batch that is not contiguous", draw.distinct(2, 3, 2, 6).permute(0, 3, 1, 2), 2
    yield "fractions in float64", draw.real(2, 10, 2, 2, dtype=torch.float64), 2


def only_reordered(value, X, groups):
    """In every picture there stand the same channels, and not in the right order where several orders differ."""
    if 1 < groups < X.shape[1] and X.shape[1] > 4 and torch.equal(value, shuffle(X, groups)):
        return False
    stood, stands = X.flatten(2), value.flatten(2)
    pairs = (stood[:, :, None] == stands[:, None]).all(-1)
    return value.shape == X.shape and bool((pairs.sum(1) == 1).all() and (pairs.sum(2) == 1).all())


@task(
    "Mend it", hands, kind="bug", points=1, difficulty=2, importance=4, minutes=5,
    oracle=shuffle, forbids=CONVOLUTIONS,
)  # fmt: skip
def mended_shuffle(X, groups):
    """Write down by hand where 6 channels in 2 groups should go: two rows of three, read by columns. Which two numbers
    of the first `reshape` say how many rows and how many columns there are?

    `X.reshape(N, groups, C // groups, H, W)`: one row per group. The rest may stay.
    """
    N, C, H, W = X.shape
    X = X.reshape(N, groups, C // groups, H, W)
    return X.transpose(1, 2).reshape(N, C, H, W)


slips(mended_shuffle, """
unchanged = broken_shuffle
    The table still has C/groups rows. Each group must be one row, so there are `groups` rows.
not_transposed: .transpose(1, 2) ->
    The channels come out as they went in. A table that is written by rows must be read by *columns*; without
    `transpose` the second `reshape` undoes the first.
viewed: .transpose(1, 2).reshape -> .transpose(1, 2).view
    After `transpose` the numbers do not lie in memory in the order of their places, and `view` refuses. Use `reshape`,
    which copies where it must.
groups_reversed: X.transpose(1, 2) -> X.flip(1)
    You reversed the order of the groups. That moves the groups, but each one keeps its channels together.
pictures_mixed: (N, groups, C // groups, H, W) -> (groups, N * C // groups, H, W)
and: transpose(1, 2) -> transpose(0, 1)
    Channels of different pictures got mixed. The batch's axis stays in front and takes no part.
another_order = lambda X, groups: X[:, torch.randperm(X.shape[1], generator=torch.Generator().manual_seed(1))]
if: only_reordered
    All channels are there, in an order that is not the one asked for. It is not drawn by chance: write one row per
    group and read by columns.
""")  # fmt: skip


def has_shapes(**others):
    """Told by the parameters' shapes: weights that do not fit are not loaded, so the output says nothing.

    Each of `others` takes inputs, outputs and k, and returns a shape.
    """

    def matches(seen, arguments, *_):
        found = {name.replace(".", "_"): size for name, size in seen["parameters"].items()}
        return all(found.get(name) == size(**arguments) for name, size in others.items())

    return matches


def layers_to_build(draw: Draw):
    for label, inputs, outputs, k, size in [
        ("2 → 2 channels, 3×3 kernels", 2, 2, 3, (1, 2, 4, 4)),
        ("3 → 4 channels, 3×3 kernels", 3, 4, 3, (2, 3, 4, 5)),
        ("2 → 5 channels, 5×5 kernels", 2, 5, 5, (1, 2, 6, 5)),
        ("4 → 1 channel, 1×1 kernels", 4, 1, 1, (2, 4, 3, 4)),
    ]:
        weights = {
            "depthwise.weight": draw.whole(inputs, 1, k, k),
            "pointwise.weight": draw.whole(outputs, inputs, 1, 1),
            "pointwise.bias": draw.whole(outputs, low=1),
        }
        yield label, {"inputs": inputs, "outputs": outputs, "k": k}, weights, draw.whole(*size)


@task(
    "A separable layer", layers_to_build, points=3, difficulty=3, importance=5, minutes=15,
    use="module", gradient=False,
    absolute=1e-3,  # large terms cancel in the gradients, and what is left depends on their order
)  # fmt: skip
class SeparableConv(nn.Module):
    """Which argument of `nn.Conv2d` decides who sees whom? How large must it be, so that each channel sees only
    itself? And how many zeros per side keep the size, if k is 3, 5, or 1?

    `nn.Conv2d(inputs, inputs, k, padding=k // 2, groups=inputs, bias=False)` and `nn.Conv2d(inputs, outputs, 1)`.
    `forward` calls them in this order.
    """

    def __init__(self, inputs, outputs, k):
        super().__init__()
        self.depthwise = nn.Conv2d(inputs, inputs, k, padding=k // 2, groups=inputs, bias=False)
        self.pointwise = nn.Conv2d(inputs, outputs, 1)

    def forward(self, X):
        return self.pointwise(self.depthwise(X))


slips(SeparableConv, """
groups_forgotten: groups=inputs, ->
if: has_shapes(depthwise_weight=lambda inputs, outputs, k: (inputs, inputs, k, k))
    Your first part is a standard convolution: each of its outputs sees all inputs. Depthwise means one group for each
    channel.
widens_first: inputs, inputs, k -> inputs, outputs, k
    You ask the depthwise part for `outputs` channels. It keeps the number of channels; the pointwise part changes it.
    (Groups must divide the outputs, so most numbers are refused.)
mixed_first: inputs, inputs, k, padding=k // 2, groups=inputs -> outputs, outputs, k, padding=k // 2, groups=outputs
and: self.pointwise(self.depthwise(X)) -> self.depthwise(self.pointwise(X))
if: has_shapes(depthwise_weight=lambda inputs, outputs, k: (outputs, 1, k, k))
    Your pointwise part comes first, and the depthwise part works on `outputs` channels. Here depthwise comes first, on
    the `inputs` channels.
called_in_wrong_order: self.pointwise(self.depthwise(X)) -> self.depthwise(self.pointwise(X))
    The parts are right, but `forward` calls the pointwise one first. Look around first, then mix.
two_biases: , bias=False ->
if: has_shapes(depthwise_bias=lambda inputs, *_, **__: (inputs,), pointwise_bias=lambda outputs, **_: (outputs,))
    Your depthwise part has a bias. The pointwise part can shift each output by itself, so the first bias adds
    parameters and no freedom here: `bias=False`.
no_bias: outputs, 1) -> outputs, 1, bias=False)
if: lambda seen, *_: {"pointwise.weight", "pointwise.bias"} & {*seen["parameters"]} == {"pointwise.weight"}
    Your pointwise part has no bias. The layer should have one, one number for each output.
pointwise_of_k: outputs, 1) -> outputs, k, padding=k // 2)
if: has_shapes(pointwise_weight=lambda inputs, outputs, k: (outputs, inputs, k, k))
    Your second part has k×k kernels. It only mixes channels: 1×1.
padding_forgotten: padding=k // 2, ->
    Your answer is smaller than the picture. The depthwise part needs padding that keeps the size.
padding_always_one: padding=k // 2 -> padding=1
    `padding=1` keeps the size for 3×3 kernels only. How many zeros per side does a kernel of k pixels need?
with_relu: self.depthwise(X) -> self.depthwise(X).relu()
    There is a ReLU between your parts. Many networks have one, but this task asks for the product of two matrices and
    nothing in between.
not_mixed: self.pointwise(self.depthwise(X)) -> self.depthwise(X)
    `forward` ends after the depthwise part, and the pointwise part is never called.
in_a_list: self.depthwise = nn.Conv2d( -> self.parts = [nn.Conv2d(
and: bias=False) -> bias=False)]
and: self.pointwise = nn.Conv2d(inputs, outputs, 1) -> self.parts.append(nn.Conv2d(inputs, outputs, 1))
and: self.pointwise(self.depthwise(X)) -> self.parts[1](self.parts[0](X))
if: lambda value, arguments, weights, X: not value["parameters"]
    Your layer has no parameters. A module finds its parts when they are attributes, not in a Python list:
    `self.depthwise = ...`, `self.pointwise = ...`.
""")  # fmt: skip


def paths(rates, k):
    counts = torch.ones(1, 1, 1)
    for rate in rates:
        counts = F.conv_transpose1d(counts, torch.ones(1, 1, k), dilation=rate)
    return counts.flatten()


def stacks(draw: Draw):
    fixed = [(2, 2, 2), (1, 2, 3), (1, 2, 9), (4,)]
    for rates in [*fixed, (draw.size(1, 3), draw.size(2, 5)), (2, draw.size(1, 2), draw.size(3, 6))]:
        yield f"the rates {', '.join(map(str, rates))} with 3 weights", rates, 3
    yield "two weights", (1, draw.size(2, 4)), 2
    yield "five weights", (draw.size(2, 3), 1), 5


@task("The pixels that a stack uses", stacks, points=3, difficulty=4, importance=4, minutes=20, oracle=paths)
def pixel_paths(rates, k):
    """Begin at the output: one pixel, one path. A layer looks at k places, r pixels apart. What becomes of `1` with
    rate 2 and three weights? And of `1 0 1 0 1` with rate 2 once more?

    For each rate, make a row of zeros that is rate · (k - 1) longer than the counts. Add the counts to it k times, at
    the places 0, rate, 2 · rate, and so on. That row is the new counts.
    """
    counts = torch.ones(1)
    for rate in rates:
        wider = torch.zeros(len(counts) + rate * (k - 1))
        for start in range(0, rate * k, rate):
            wider[start : start + len(counts)] += counts
        counts = wider
    return counts


slips(pixel_paths, """
used_or_not: return counts -> return (counts > 0).float()
    You say which pixels are used, with ones and zeros. Count the paths: two ways to the same pixel are two.
rates_ignored: in rates -> in [1] * len(rates)
    You take neighbouring pixels in every layer, as if all rates were 1. Weights of a layer with rate r lie r pixels
    apart.
one_gap_more: in rates -> in [rate + 1 for rate in rates]
    Your weights lie one pixel too far apart. Rate r means a distance of r, that is r - 1 pixels in the gap; rate 1 has
    no gap.
gap_at_the_end: rate * (k - 1) -> rate * k - 1
    Your counts end with zeros. After the last weight of a kernel there is no gap: k weights with rate r span r·(k - 1)
    + 1 pixels, not r·k.
last_layer_only: in rates -> in rates[-1:]
    Only the last layer is counted. Each layer starts from the counts that the others left.
first_layer_only: in rates -> in rates[:1]
    Only the first layer is counted. Does a `return` stand inside the loop?
overwritten: += -> =
    Where two copies of the counts overlap, the second one takes the place of the first. Add it: `+=`.
both_axes: return counts -> return torch.outer(counts, counts)
    You return a table. Asked is one axis: a row of numbers, as long as the field is wide.
whole_numbers: return counts -> return counts.long()
    The counts are right. Return them as float32, not as whole numbers: that is what torch's convolutions and gradients
    give, too.
""")  # fmt: skip
