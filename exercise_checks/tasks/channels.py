"""Tasks of sheet 04: several channels in, several out, what a layer costs, its bias, and a whole batch."""

import torch
import torch.nn.functional as F
from torch import nn

from course_utils import ops
from exercise_checks.tasks.calls import CONVOLUTIONS, OTHER_OPS
from exercise_checks.tasks.task import Draw, as_list, corr_window, slips, task


def two_channels():
    """The picture and the filter of lesson 4: channels 0 to 8 and 1 to 9."""
    X = torch.stack([torch.arange(9.0).reshape(3, 3), torch.arange(1.0, 10.0).reshape(3, 3)])
    return X, torch.tensor([[[0.0, 1.0], [2.0, 3.0]], [[1.0, 2.0], [3.0, 4.0]]])


def three_filters():
    X, K = two_channels()
    return X, torch.stack([K, K + 1, K + 2])


def multi_in(X, K):
    return F.conv2d(X[None], K[None])[0, 0]


def with_one_filter(draw: Draw):
    yield "the two channels of lesson 4", *two_channels()
    yield "three channels, a wide picture", draw.whole(3, 3, 6), draw.whole(3, 2, 2)
    yield "two channels, a tall picture", draw.whole(2, draw.size(5, 6), 3), draw.whole(2, 3, 1)
    yield "a single channel", draw.whole(1, 4, 5), draw.whole(1, 2, 3)
    yield "five channels and small kernels", draw.whole(5, 3, 4), draw.whole(5, 1, 2)
    yield "kernels of one pixel", draw.whole(3, 2, 4), draw.whole(3, 1, 1)
    yield "kernels as large as the picture", draw.whole(2, 3, 4), draw.whole(2, 3, 4)
    yield "a picture that is not contiguous", draw.turned(3, 4, 6), draw.turned(3, 2, 3)
    yield "fractions in float64", draw.real(2, 5, 4, dtype=torch.float64), draw.real(2, 2, 2, dtype=torch.float64)


@task(
    "Several channels in", with_one_filter, points=2, difficulty=2, importance=5, minutes=10,
    oracle=multi_in, window=corr_window, forbids=CONVOLUTIONS | OTHER_OPS,
)  # fmt: skip
def corr2d_multi_in(X, K):
    """How many numbers are there at the top left, before anything is added, when two channels have each met their own
    kernel? What becomes of them?

    `zip(X, K, strict=True)` walks over channels and kernels in step. Collect `ops.corr2d(x, k)` in a list, stack the
    list, and add up along axis 0.
    """
    outputs = [ops.corr2d(x, k) for x, k in zip(X, K, strict=True)]
    return torch.stack(outputs).sum(0)


slips(corr2d_multi_in, """
sum_forgotten: .sum(0) ->
    The sum over the channels is missing: you return one answer per channel. One filter makes one answer, so add them
    up, place by place.
axis_left: .sum(0) -> .sum(0, keepdim=True)
    The numbers are right, but an axis of length 1 is left in front. One filter makes one table: shape (rows, columns),
    without a channel axis.
everything_summed: .sum(0) -> .sum()
    You added everything up to one single number. Only the channel axis is summed: `.sum()` without an axis takes rows
    and columns, too.
first_kernel: ops.corr2d(x, k) -> ops.corr2d(x, K[0])
    Every channel gets kernel 0. Channel c has its own kernel, K[c].
first_channel: .sum(0) -> [0]
    Your answer knows channel 0 only. Does the loop end too early, for example by a `return` inside it?
last_channel: .sum(0) -> [-1]
    Your answer knows the last channel only. Does each turn of the loop replace the answer, where it should add to it?
every_pair: for x, k in zip(X, K, strict=True) -> for x in X for k in K
    Every kernel has met every channel. Two loops inside each other do that, and so does a sum over the channels before
    they meet their kernels. They walk in step: kernel 0 on channel 0, kernel 1 on channel 1.
joined: torch.stack(outputs).sum(0) -> torch.cat(outputs)
    The channels' answers lie below one another: `torch.cat` makes one tall table of them. They are added, place by
    place.
mean_for_sum: .sum(0) -> .mean(0)
    You average over the channels. Their answers are added.
always_float32: .sum(0) -> .sum(0).float()
    The values are right, but they are always float32. `torch.zeros(...)` makes that unless told otherwise: give it
    `dtype=X.dtype`, or begin with the answer of channel 0.
all_at_once = ops.corr2d
    `ops.corr2d` takes one table and one kernel, and you hand it all channels at once. Lay each channel's kernel on its
    channel, one after the other, and add the answers up.
rows_summed: .sum(0) -> .sum(1)
    You added up the rows of each channel's answer: `sum(1)`. The stack has the shape (channels, rows, columns), so the
    channels are axis 0.
tensor_of_tensors: torch.stack -> torch.tensor
    `torch.tensor` makes a tensor of plain numbers. A list of tensors becomes one with `torch.stack`, which also lets
    gradients through.
sized_by_channels: torch.stack(outputs).sum(0) -> torch.zeros(1, X.shape[1] - K.shape[1] + 1).add_(sum(outputs))
    Your table has the wrong size: `X.shape[0]` counts channels. Here rows are `shape[1]` and columns `shape[2]`, in X
    and in K.
columns_summed: .sum(0) -> .sum(-1)
    You added up the columns of each channel's answer: `sum(2)` or `sum(-1)`. The stack has the shape (channels, rows,
    columns), so the channels are axis 0.
channels_at_the_end: (x, k) for x, k in zip(X, K, strict=True) -> (X[:, :, c], K[:, :, c]) for c in range(X.shape[2])
    You take channel c as `X[:, :, c]`, which is column c of every channel. Here the channels are the first axis:
    `X[c]` and `K[c]`.
rows_for_channels: (x, k) for x, k in zip(X, K, strict=True) -> (X[c], K[c]) for c in range(X.shape[1])
    `X.shape[1]` counts rows. The channels are the first axis: `range(X.shape[0])`, or `range(len(X))`.
""")  # fmt: skip


def multi_in_out(X, K):
    return F.conv2d(X[None], K)[0]


def with_several_filters(draw: Draw):
    yield "the three filters of lesson 4", *three_filters()
    yield "2 → 2 channels, a wide picture", draw.whole(2, 3, 6), draw.whole(2, 2, 2, 2)
    yield "3 → 2 channels, a tall picture", draw.whole(3, draw.size(5, 6), 3), draw.whole(2, 3, 2, 1)
    yield "1 → 3 channels", draw.whole(1, 4, 5), draw.whole(3, 1, 2, 3)
    yield "2 → 1 channel", draw.whole(2, 4, 3), draw.whole(1, 2, 2, 2)
    yield "kernels as large as the picture", draw.whole(2, 3, 4), draw.whole(4, 2, 3, 4)
    yield "a picture that is not contiguous", draw.turned(3, 4, 5), draw.turned(2, 3, 2, 3)
    yield "fractions in float64", draw.real(2, 3, 5, dtype=torch.float64), draw.real(3, 2, 2, 2, dtype=torch.float64)


@task(
    "Several channels out", with_several_filters, points=2, difficulty=2, importance=5, minutes=10,
    oracle=multi_in_out, window=corr_window, forbids=CONVOLUTIONS | OTHER_OPS,
)  # fmt: skip
def corr2d_multi_in_out(X, K):
    """One filter with its kernels is what task 1 does. K holds several filters: what do you get when you loop over K?

    `torch.stack([corr2d_multi_in(X, k) for k in K])`: a loop over a tensor walks along its first axis.
    """
    return torch.stack([ops.corr2d_multi_in(X, k) for k in K])


slips(corr2d_multi_in_out, """
in_out_swapped: for k in K -> for k in K.transpose(0, 1)
    You read K as (in, out, rows, columns). The first axis counts the filters, that is the outputs: filter o is K[o].
    With as many inputs as outputs no error tells you.
second_axis_walked: ops.corr2d_multi_in(X, k) for k in K -> sum(map(ops.corr2d, X, k)) for k in K.transpose(0, 1)
    Your loop walks along axis 1 of K, the input channels, and makes one answer for each of them. The filters lie along
    axis 0. `zip` without `strict=True` dropped what did not pair up, so there was no error.
one_filter: for k in K -> for k in K[:1]
    Only filter 0 was used. Every filter makes one output channel of its own. Does a `return` stand inside the loop?
outputs_summed: for k in K]) -> for k in K]).sum(0)
    You added up the answers of all filters. The sum runs over the input channels only; the answers of different
    filters stay apart.
sum_forgotten: ops.corr2d_multi_in(X, k) -> torch.stack([*map(ops.corr2d, X, k)])
    The sum over the input channels is missing: your answer has an axis for them. The shape must be (out, rows,
    columns).
one_channel: ops.corr2d_multi_in(X, k) -> ops.corr2d(X[0], k[0])
    Every filter looks at channel 0 only. A filter has one kernel for each input channel, and all of them are used.
one_below_the_other: torch.stack -> torch.cat
    The answers lie below each other in one tall table: `torch.cat` joins along an axis that is there already.
    `torch.stack` makes a new axis, the output channels.
channels_last: for k in K]) -> for k in K], -1)
    The numbers are right, but the output channels are the last axis. PyTorch has them first: (out, rows, columns).
tensor_of_tensors: torch.stack -> torch.tensor
    `torch.tensor` makes a tensor of plain numbers. A list of tensors becomes one with `torch.stack`, which also lets
    gradients through.
all_filters_at_once: ops.corr2d_multi_in(X, k) -> ops.corr2d(X[0], K[0])
    A whole set of filters came where one is expected: `corr2d_multi_in` takes X and one filter. Loop over the filters,
    `for k in K`, and hand in `k`, not `K`.
channels_in_step: ops.corr2d_multi_in(X, k) -> ops.corr2d(X[0, 0], K[0, 0])
    You walk over X and K in step, and hand a single channel of X to each filter. A filter looks at all channels: loop
    over K alone, and hand in the whole X.
one_table: for k in K]) -> for k in K]).sum(0).expand(len(K), -1, -1)
    All your output channels are one and the same table: `Y += ...` changes the one that lies in the list already. Make
    a new table for each filter.
last_filter: for k in K]) -> for k in K])[-1]
    Only the last filter's answer comes back: each turn of the loop replaces the one before. Collect the answers in a
    list, and stack it.
inputs_counted: (X, k) for k in K -> (X, K[o]) for o in range(K.shape[1])
    Your loop runs to `K.shape[1]`, the number of input channels. The filters are counted by `K.shape[0]`, or `len(K)`.
""")  # fmt: skip


def layer_in_numbers():
    picture, layer = torch.zeros(1, 4, 8, 12), nn.Conv2d(4, 6, (3, 5), padding=1)
    answer, learned = layer(picture), list(layer.parameters())
    return {
        "weight": tuple(layer.weight.shape),
        "bias": tuple(layer.bias.shape),
        "answer": tuple(answer[0].shape),
        "parameters": sum(p.numel() for p in learned),
        "macs": answer.numel() * layer.weight[0].numel(),
        "bytes": sum(p.nbytes for p in learned),
        "grouped_weight": tuple(nn.Conv2d(4, 6, (3, 5), groups=2).weight.shape),
    }


@task("A layer in numbers", kind="predict", points=3, difficulty=3, importance=5, minutes=10, oracle=layer_in_numbers)
def layer_costs():
    """Say the weight's shape as a sentence: so many filters, each with so many kernels, each with so many rows and
    columns. How many of these numbers does one place of one output channel use?

    Weights: out · in · rows · columns of a kernel; one bias per output. MACs: places of the answer · weights. Bytes:
    four per float32 number. With groups, a filter has in/groups kernels.
    """
    return {
        "weight": (6, 4, 3, 5),
        "bias": (6,),
        "answer": (6, 8, 10),
        "parameters": 6 * 4 * 3 * 5 + 6,
        "macs": 8 * 10 * 6 * 4 * 3 * 5,
        "bytes": 4 * 366,
        "grouped_weight": (6, 2, 3, 5),
    }


slips(layer_costs, """
in_out_swapped = {"weight": (4, 6, 3, 5)}
    You wrote the weight's shape in the order of the call, inputs first. A weight holds filters, so the outputs come
    first.
rows_columns_swapped = {"weight": (6, 4, 5, 3)}
    `kernel_size=(3, 5)` means 3 rows and 5 columns, and the weight has them in the same order.
bias_per_pixel = {"bias": (6, 8, 10)}
    You gave every place of the answer its own bias. A layer has one bias for each output channel; it holds for the
    whole map.
bias_per_kernel = {"bias": (6, 4)}
    You gave every kernel a bias. It is added after the sum over the input channels, so there is one for each filter.
padding_in_total = {"answer": (6, 7, 9)}
    You counted one row and one column of zeros in all. `padding=1` is per side: one above and one below, one left and
    one right.
size_kept = {"answer": (6, 8, 12)}
    `padding=1` keeps the size where the kernel has 3 pixels. Five columns would need two zeros per side to keep it.
padding_forgotten = {"answer": (6, 6, 8)}
    You left the padding out. It makes the picture larger by two rows and two columns before the kernel slides.
biases_not_counted = {"parameters": 360}
    These are the weights alone. The layer learns its biases, too: one more number for each output channel.
inputs_forgotten = {"parameters": 6 * 15 + 6}
    You counted one kernel for each output. A filter has one kernel for each *input* channel.
places_of_the_input = {"macs": 8 * 12 * 360}
    You counted the products at every pixel of the input. They are made once for each place of the *answer*.
operations = {"macs": 2 * 80 * 360}
    You counted multiplications and additions as two operations. One multiply-accumulate is both together, so it is
    half as many.
one_output = {"macs": 80 * 60}
    You counted the products of one output channel. Every output channel has as many.
numbers_for_bytes = {"bytes": 366}
    You gave the number of parameters again. Bytes are asked for: a float32 number takes 32 bits.
bits_for_bytes = {"bytes": 366 * 32}
    You took 32 for each number: that is bits. A byte has eight of them.
groups_ignored = {"grouped_weight": (6, 4, 3, 5)}
    With `groups=2` a filter does not see all input channels any more, so it has fewer kernels.
groups_divide_outputs = {"grouped_weight": (3, 2, 3, 5)}
    You divided the outputs by the groups, too. There are still 6 filters; each has fewer kernels.
comma_forgotten = {"bias": 6}
    Brackets alone make no tuple: `(6)` is the number 6. A shape with one number is written with a comma, `(6,)`.
bias_counted = {"macs": 80 * (360 + 6)}
    You counted the biases as well. They are added, not multiplied; the task leaves them out.
eight_bytes = {"bytes": 366 * 8}
    You took 8 bytes for each number, as float64 has. A float32 number takes 32 bits, and a byte has eight.
groups_divide_filters = {"grouped_weight": (3, 4, 3, 5)}
    You divided the filters by the groups. There are still 6 of them; it is the inputs of each that become fewer.
""")  # fmt: skip


def broken_layer(X, K, bias):
    answers = []
    for kernels, b in zip(K, bias, strict=True):
        answers.append(sum(ops.corr2d(x, k) + b for x, k in zip(X, kernels, strict=True)))
    return torch.stack(answers)


def layer(X, K, bias):
    return F.conv2d(X[None], K, bias)[0]


def misfit(value):
    """What is wrong with the form of (X, K, bias), or None."""
    if not (isinstance(value, tuple) and len(value) == 3 and all(isinstance(v, torch.Tensor) for v in value)):
        return "Return three tensors: `return X, K, bias`."
    X, K, bias = value
    if (X.ndim, K.ndim, bias.ndim) != (3, 4, 1):
        return "The shapes must be: X (in, H, W), K (out, in, h, w), bias (out,)."
    if K.shape[1] != X.shape[0] or len(bias) != len(K):
        return "K needs one kernel for each channel of X, and bias one number for each filter of K."
    if 0 in K.shape or K.shape[2] > X.shape[1] or K.shape[3] > X.shape[2] or X.numel() > 1000 or len(K) > 100:
        return "The kernels must fit into X, and X must have at most 1000 numbers, K at most 100 filters."
    if not all(v.dtype == torch.float32 and v.isfinite().all() for v in value):
        return "Take float32 tensors, as `torch.ones(...)` makes them, without inf and nan."
    return None


def exposes(value):
    """An input that fits, and on which `broken_layer` goes wrong."""
    sentence = misfit(value)
    if sentence:
        return sentence
    exact = [v.double() for v in value]  # so that the order of a sum cannot pass for a mistake
    if torch.allclose(broken_layer(*exact), layer(*exact)):
        return "On this input `broken_layer` is right. Look for one on which it is not."
    return None


@task(
    "Find an input that breaks it", kind="bug", points=1, difficulty=2, importance=4, minutes=5,
    accept=exposes, broken=broken_layer,
)  # fmt: skip
def breaks_layer():
    """How often is `+ b` carried out for one place of one output channel? How often should it be?

    The bias is added once for each input channel. So take a picture with two channels, and a bias that is not 0.
    """
    return torch.ones(2, 3, 3), torch.ones(1, 2, 2, 2), torch.ones(1)


slips(breaks_layer, """
more_outputs = torch.ones(1, 3, 3), torch.ones(3, 1, 2, 2), torch.ones(3)
if: lambda value: misfit(value) is None and len(value[0]) == 1 < len(value[1])
    You took several filters, but a picture with one channel. The filters are handled well, however many there are.
    What is done inside the inner loop?
one_channel = torch.arange(9.0).reshape(1, 3, 3), torch.ones(1, 1, 2, 2), torch.ones(1)
if: lambda value: misfit(value) is None and len(value[0]) == 1
    On a picture with one channel the function is right, whatever the numbers. That is how its author tried it.
bias_zero = torch.ones(2, 3, 3), torch.ones(1, 2, 2, 2), torch.zeros(1)
if: lambda value: misfit(value) is None and not value[2].any()
    Your biases are all 0. Adding 0 too often is no mistake that anybody could see.
""")  # fmt: skip


def with_bias(draw: Draw):
    yield "the biases of lesson 4", *three_filters(), torch.tensor([10.0, 0.0, -96.0])
    yield "1 → 2 channels", draw.whole(1, 3, 5), draw.whole(2, 1, 2, 2), draw.whole(2, low=1)
    yield "3 → 1 channel", draw.whole(3, 3, 4), draw.whole(1, 3, 2, 2), draw.whole(1, low=1)
    yield "as many columns as filters", draw.whole(2, 3, 4), draw.whole(3, 2, 2, 2), draw.whole(3, low=1)
    yield "as many rows as filters", draw.whole(2, 4, 3), draw.whole(3, 2, 2, 2), draw.whole(3, low=1)
    yield "a picture that is not contiguous", draw.turned(3, 4, 5), draw.turned(2, 3, 2, 3), draw.whole(2)
    shapes = (2, 3, 4), (4, 2, 2, 1), (4,)
    yield "fractions in float64", *(draw.real(*shape, dtype=torch.float64) for shape in shapes)


@task(
    "Mend it", with_bias, kind="bug", points=1, difficulty=2, importance=4, minutes=5,
    oracle=layer, forbids=CONVOLUTIONS,
    window=lambda index, X, K, bias: f"{corr_window(index, X, K)} and bias[{index[0]}] = {as_list(bias[index[0]])}",
)  # fmt: skip
def mended_layer(X, K, bias):
    """The sum over the input channels should stand alone. At which point of the function is it complete?

    Close the bracket of `sum(...)` before `+ b`: `sum(ops.corr2d(x, k) for x, k in zip(...)) + b`.
    """
    outputs = []
    for kernels, b in zip(K, bias, strict=True):
        outputs.append(sum(ops.corr2d(x, k) for x, k in zip(X, kernels, strict=True)) + b)
    return torch.stack(outputs)


slips(mended_layer, """
unchanged = broken_layer
    The bias is still added once for each input channel: with three channels it counts three times.
bias_dropped: + b) -> )
    Now the bias is gone. It belongs to the answer, once for each place.
mean: )) + b) -> )) / len(X) + b)
    You divided the whole sum by the number of channels. That mends the bias and breaks everything else.
bias_on_columns: + b) -> )
and: torch.stack(outputs) -> torch.stack(outputs) + bias
    You added the vector `bias` to a tensor of shape (out, rows, columns). Broadcasting starts at the last axis, so
    each *column* gets a bias, if the numbers fit at all.
first_bias: + b) -> + bias[0])
    All output channels get the bias of output 0. Output o gets bias[o].
last_bias: + b) -> + bias[-1])
    All output channels get the last bias. Your `+ b` stands behind the loop, where `b` is what the last turn left: it
    belongs to each turn.
""")  # fmt: skip


def batch(X, K, bias):
    return F.conv2d(X, K, bias)


def batches(draw: Draw):
    X, K = three_filters()
    yield "two pictures of lesson 4", torch.stack([X, X.flip(0)]), K, torch.tensor([10.0, 0.0, -96.0])
    yield "a batch of one", draw.whole(1, 3, 4, 6), draw.whole(2, 3, 2, 3), draw.whole(2, low=1)
    yield "as many columns as filters", draw.whole(2, 2, 3, 4), draw.whole(3, 2, 2, 2), draw.whole(3)
    yield "as many rows as filters", draw.whole(2, 2, 4, 6), draw.whole(3, 2, 2, 2), draw.whole(3)
    yield "as many pictures as filters", draw.whole(2, 3, 4, 5), draw.whole(2, 3, 1, 2), draw.whole(2)
    yield "1 → 1 channel, a tall picture", draw.whole(3, 1, 6, 2), draw.whole(1, 1, 3, 1), draw.whole(1, low=2)
    yield "a batch that is not contiguous", draw.turned(2, 3, 4, 6), draw.turned(4, 3, 2, 2), draw.whole(4)
    shapes = (2, 2, 3, 5), (3, 2, 2, 1), (3,)
    yield "fractions in float64", *(draw.real(*shape, dtype=torch.float64) for shape in shapes)


def batch_window(index, X, K, bias):
    n, o, i, j = index
    h, w = K.shape[2:]
    window = X[n, :, i : i + h, j : j + w]
    return f"X[{n}, :, {i}:{i + h}, {j}:{j + w}] = {as_list(window)} and bias[{o}] = {as_list(bias[o])}"


@task(
    "A whole batch, with a bias", batches, points=3, difficulty=3, importance=5, minutes=15,
    oracle=batch, window=batch_window, forbids=CONVOLUTIONS | OTHER_OPS,
)  # fmt: skip
def corr2d_batch(X, K, bias):
    """One picture is what task 2 does. What does a loop over a batch give you, one after the other? And what shape
    must `bias` have, so that its numbers line up with the output channels?

    Stack `corr2d_multi_in_out(x, K)` for all x in X. The answer is (pictures, out, rows, columns): add
    `bias.reshape(-1, 1, 1)`, whose first axis then lines up with out.
    """
    Y = torch.stack([ops.corr2d_multi_in_out(x, K) for x in X])
    return Y + bias.reshape(-1, 1, 1)


slips(corr2d_batch, """
bias_on_columns: bias.reshape(-1, 1, 1) -> bias
    You added `bias` as it is. Broadcasting starts at the last axis, so each *column* gets a bias, if the numbers fit
    at all. Give it the shape that lines up with the channel axis.
bias_on_rows: (-1, 1, 1) -> (-1, 1)
    Your bias lines up with the rows: one axis of length 1 is too few. Count from the right: columns, rows, channels.
bias_on_pictures: (-1, 1, 1) -> (-1, 1, 1, 1)
    Your bias lines up with the pictures of the batch: one axis of length 1 is too many. Count from the right: columns,
    rows, channels.
bias_per_kernel: Y + -> Y + X.shape[1] *
    The bias is added once for each input channel. It is added once, after the sum over the channels.
bias_forgotten: + bias.reshape(-1, 1, 1) ->
    The bias is not added.
batch_summed: Y + bias.reshape(-1, 1, 1) -> (Y + bias.reshape(-1, 1, 1)).sum(0)
    You added up the pictures of the batch. They never meet: the answer has one entry for each picture.
first_picture: for x in X -> for x in X[:1]
    Only picture 0 was used. Each picture of the batch gets its own answer.
joined: Y + bias.reshape(-1, 1, 1) -> (Y + bias.reshape(-1, 1, 1)).flatten(0, 1)
    The pictures' answers follow each other along one axis: `torch.cat` joins along an axis that is there already.
    `torch.stack` makes a new one, the pictures.
batch_and_channels_swapped: Y + bias.reshape(-1, 1, 1) -> (Y + bias.reshape(-1, 1, 1)).transpose(0, 1)
    The first two axes are exchanged. The answer's shape is (pictures, out, rows, columns).
tensor_of_tensors: torch.stack -> torch.tensor
    `torch.tensor` makes a tensor of plain numbers. A list of tensors becomes one with `torch.stack`, which also lets
    gradients through.
range_of_a_tensor: for x in X -> for x in range(X)
    `range` counts up to a number, and X is a tensor. Write `range(len(X))`, or walk over the pictures themselves: `for
    x in X`.
bias_along_pictures: return Y + bias.reshape(-1, 1, 1) -> [Y[o].add_(bias[o]) for o in range(len(bias))]; return Y
    Your loop over the biases writes into `Y[o]`, and that is picture o. Output channel o of all pictures is `Y[:, o]`.
bias_in_step: (x, K) for x in X -> (x, K) + b for x, b in zip(X, bias)
and: + bias.reshape(-1, 1, 1) ->
    You walk over pictures and biases in step: picture n gets bias n. A bias belongs to an output channel, and all
    pictures get the same biases.
always_float32: Y + bias.reshape(-1, 1, 1) -> (Y + bias.reshape(-1, 1, 1)).float()
    The values are right, but they are always float32. `torch.zeros(...)` makes that unless told otherwise: give it
    `dtype=X.dtype`.
""")  # fmt: skip
