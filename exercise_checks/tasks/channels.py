"""Tasks of sheet 04: several channels in, several out, what a layer costs, its bias, and a whole batch."""

import torch
import torch.nn.functional as F
from torch import nn

from course_utils import ops
from exercise_checks.running.observing import Case
from exercise_checks.tasks.old_task import Draw, Misconception, Task, as_list, corr_window, once


def two_channels():
    """The picture and the filter of lesson 4: channels 0 to 8 and 1 to 9."""
    X = torch.stack([torch.arange(9.0).reshape(3, 3), torch.arange(1.0, 10.0).reshape(3, 3)])
    return X, torch.tensor([[[0.0, 1.0], [2.0, 3.0]], [[1.0, 2.0], [3.0, 4.0]]])


def three_filters():
    X, K = two_channels()
    return X, torch.stack([K, K + 1, K + 2])


# ---------------------------------------------------------------------------------------------------------
# Several channels in
# ---------------------------------------------------------------------------------------------------------


def multi_in(X, K):
    return F.conv2d(X[None], K[None])[0, 0]


def each_alone(X, K):
    return F.conv2d(X, K[:, None], groups=len(X))


def with_one_filter(seed):
    draw = Draw(seed)
    real = {"dtype": torch.float64}
    yield Case("the two channels of lesson 4", two_channels())
    yield Case("three channels, a wide picture", (draw.whole(3, 3, 6), draw.whole(3, 2, 2)))
    yield Case("two channels, a tall picture", (draw.whole(2, draw.size(5, 6), 3), draw.whole(2, 3, 1)))
    yield Case("a single channel", (draw.whole(1, 4, 5), draw.whole(1, 2, 3)))
    yield Case("five channels and small kernels", (draw.whole(5, 3, 4), draw.whole(5, 1, 2)))
    yield Case("kernels of one pixel", (draw.whole(3, 2, 4), draw.whole(3, 1, 1)))
    yield Case("kernels as large as the picture", (draw.whole(2, 3, 4), draw.whole(2, 3, 4)))
    yield Case("a picture that is not contiguous", (draw.turned(3, 4, 6), draw.turned(3, 2, 3)))
    yield Case("fractions in float64", (draw.real(2, 5, 4, **real), draw.real(2, 2, 2, **real)))


def tensor_of_tensors(wrong):
    """The same mistake in every task whose answer is put together from a list."""
    return Misconception(
        "tensor_of_tensors",
        "`torch.tensor` makes a tensor of plain numbers. A list of tensors becomes one with `torch.stack`, which also "
        "lets gradients through.",
        wrong,
    )


def sized_by_channels(X, K):
    Y = torch.zeros(X.shape[0] - K.shape[0] + 1, X.shape[1] - K.shape[1] + 1)
    for x, k in zip(X, K, strict=True):
        Y += ops.corr2d(x, k)
    return Y


def channels_at_the_end(X, K):
    return sum(ops.corr2d(X[:, :, c], K[:, :, c]) for c in range(X.shape[2]))


def rows_for_channels(X, K):
    return sum(ops.corr2d(X[c], K[c]) for c in range(X.shape[1]))


MULTI_IN = Task(
    id="corr2d_multi_in",
    title="Several channels in",
    kind="write",
    points=2,
    difficulty=2,
    importance=5,
    minutes=10,
    oracle=multi_in,
    cases=with_one_filter,
    window=corr_window,
    misconceptions=(
        Misconception(
            "sum_forgotten",
            "The sum over the channels is missing: you return one answer per channel. One filter makes one "
            "answer, so add them up, place by place.",
            each_alone,
        ),
        Misconception(
            "axis_left",
            "The numbers are right, but an axis of length 1 is left in front. One filter makes one table: shape "
            "(rows, columns), without a channel axis.",
            lambda X, K: multi_in(X, K)[None],
        ),
        Misconception(
            "everything_summed",
            "You added everything up to one single number. Only the channel axis is summed: `.sum()` without an "
            "axis takes rows and columns, too.",
            lambda X, K: multi_in(X, K).sum(),
        ),
        Misconception(
            "first_kernel",
            "Every channel gets kernel 0. Channel c has its own kernel, K[c].",
            lambda X, K: multi_in(X, K[:1].expand_as(K)),
        ),
        Misconception(
            "first_channel",
            "Your answer knows channel 0 only. Does the loop end too early, for example by a `return` inside it?",
            lambda X, K: multi_in(X[:1], K[:1]),
        ),
        Misconception(
            "last_channel",
            "Your answer knows the last channel only. Does each turn of the loop replace the answer, where it should "
            "add to it?",
            lambda X, K: multi_in(X[-1:], K[-1:]),
        ),
        Misconception(
            "every_pair",
            "Every kernel has met every channel. Two loops inside each other do that, and so does a sum over the "
            "channels before they meet their kernels. They walk in step: kernel 0 on channel 0, kernel 1 on channel 1.",
            lambda X, K: multi_in(X.sum(0, keepdim=True), K.sum(0, keepdim=True)),
        ),
        Misconception(
            "joined",
            "The channels' answers lie below one another: `torch.cat` makes one tall table of them. They are added, "
            "place by place.",
            lambda X, K: torch.cat(list(each_alone(X, K))) if len(X) > 1 else multi_in(X, K),
        ),
        Misconception(
            "mean_for_sum",
            "You average over the channels. Their answers are added.",
            lambda X, K: each_alone(X, K).mean(0),
        ),
        Misconception(
            "always_float32",
            "The values are right, but they are always float32. `torch.zeros(...)` makes that unless told otherwise: "
            "give it `dtype=X.dtype`, or begin with the answer of channel 0.",
            lambda X, K: multi_in(X, K).float(),
        ),
        Misconception(
            "all_at_once",
            "`ops.corr2d` takes one table and one kernel, and you hand it all channels at once. Lay each "
            "channel's kernel on its channel, one after the other, and add the answers up.",
            ops.corr2d,
        ),
        Misconception(
            "rows_summed",
            "You added up the rows of each channel's answer: `sum(1)`. The stack has the shape (channels, rows, "
            "columns), so the channels are axis 0.",
            lambda X, K: each_alone(X, K).sum(1),
        ),
        tensor_of_tensors(lambda X, K: torch.tensor(list(each_alone(X, K))).sum(0)),
        Misconception(
            "sized_by_channels",
            "Your table has the wrong size: `X.shape[0]` counts channels. Here rows are `shape[1]` and columns "
            "`shape[2]`, in X and in K.",
            sized_by_channels,
        ),
        Misconception(
            "columns_summed",
            "You added up the columns of each channel's answer: `sum(2)` or `sum(-1)`. The stack has the shape "
            "(channels, rows, columns), so the channels are axis 0.",
            lambda X, K: each_alone(X, K).sum(-1),
        ),
        Misconception(
            "channels_at_the_end",
            "You take channel c as `X[:, :, c]`, which is column c of every channel. Here the channels are the "
            "first axis: `X[c]` and `K[c]`.",
            channels_at_the_end,
        ),
        Misconception(
            "rows_for_channels",
            "`X.shape[1]` counts rows. The channels are the first axis: `range(X.shape[0])`, or `range(len(X))`.",
            rows_for_channels,
        ),
    ),
    hints=(
        "How many numbers are there at the top left, before anything is added, when two channels have each met "
        "their own kernel? What becomes of them?",
        "`zip(X, K, strict=True)` walks over channels and kernels in step. Collect `ops.corr2d(x, k)` in a list, "
        "stack the list, and add up along axis 0.",
    ),
)

# ---------------------------------------------------------------------------------------------------------
# Several channels out
# ---------------------------------------------------------------------------------------------------------


def multi_in_out(X, K):
    return F.conv2d(X[None], K)[0]


def in_out_swapped(X, K):
    if K.shape[0] != len(X):
        raise ValueError("a filter has as many kernels as the picture has channels")
    return multi_in_out(X, K.transpose(0, 1))


def second_axis_walked(X, K):
    n = min(len(X), len(K))  # what `zip` pairs up; the rest is dropped
    return multi_in_out(X[:n], K[:n].transpose(0, 1))


def one_table(X, K):
    """The list holds the same table again and again, and each filter adds to it."""
    return multi_in_out(X, K).sum(0).expand(len(K), -1, -1)


def with_several_filters(seed):
    draw = Draw(seed)
    real = {"dtype": torch.float64}
    yield Case("the three filters of lesson 4", three_filters())
    yield Case("2 → 2 channels, a wide picture", (draw.whole(2, 3, 6), draw.whole(2, 2, 2, 2)))
    yield Case("3 → 2 channels, a tall picture", (draw.whole(3, draw.size(5, 6), 3), draw.whole(2, 3, 2, 1)))
    yield Case("1 → 3 channels", (draw.whole(1, 4, 5), draw.whole(3, 1, 2, 3)))
    yield Case("2 → 1 channel", (draw.whole(2, 4, 3), draw.whole(1, 2, 2, 2)))
    yield Case("kernels as large as the picture", (draw.whole(2, 3, 4), draw.whole(4, 2, 3, 4)))
    yield Case("a picture that is not contiguous", (draw.turned(3, 4, 5), draw.turned(2, 3, 2, 3)))
    yield Case("fractions in float64", (draw.real(2, 3, 5, **real), draw.real(3, 2, 2, 2, **real)))


MULTI_IN_OUT = Task(
    id="corr2d_multi_in_out",
    title="Several channels out",
    kind="write",
    points=2,
    difficulty=2,
    importance=5,
    minutes=10,
    oracle=multi_in_out,
    cases=with_several_filters,
    window=corr_window,
    misconceptions=(
        Misconception(
            "in_out_swapped",
            "You read K as (in, out, rows, columns). The first axis counts the filters, that is the outputs: "
            "filter o is K[o]. With as many inputs as outputs no error tells you.",
            in_out_swapped,
        ),
        Misconception(
            "second_axis_walked",
            "Your loop walks along axis 1 of K, the input channels, and makes one answer for each of them. The "
            "filters lie along axis 0. `zip` without `strict=True` dropped what did not pair up, so there was no "
            "error.",
            second_axis_walked,
        ),
        Misconception(
            "one_filter",
            "Only filter 0 was used. Every filter makes one output channel of its own. Does a `return` stand inside "
            "the loop?",
            lambda X, K: multi_in_out(X, K[:1]),
        ),
        Misconception(
            "outputs_summed",
            "You added up the answers of all filters. The sum runs over the input channels only; the answers of "
            "different filters stay apart.",
            lambda X, K: multi_in_out(X, K).sum(0),
        ),
        Misconception(
            "sum_forgotten",
            "The sum over the input channels is missing: your answer has an axis for them. The shape must be "
            "(out, rows, columns).",
            lambda X, K: torch.stack([each_alone(X, k) for k in K]),
        ),
        Misconception(
            "one_channel",
            "Every filter looks at channel 0 only. A filter has one kernel for each input channel, and all of "
            "them are used.",
            lambda X, K: multi_in_out(X[:1], K[:, :1]),
        ),
        Misconception(
            "one_below_the_other",
            "The answers lie below each other in one tall table: `torch.cat` joins along an axis that is there "
            "already. `torch.stack` makes a new axis, the output channels.",
            lambda X, K: multi_in_out(X, K).flatten(0, 1),
        ),
        Misconception(
            "channels_last",
            "The numbers are right, but the output channels are the last axis. PyTorch has them first: (out, "
            "rows, columns).",
            lambda X, K: multi_in_out(X, K).permute(1, 2, 0),
        ),
        tensor_of_tensors(lambda X, K: torch.tensor(list(multi_in_out(X, K)))),
        Misconception(
            "all_filters_at_once",
            "A whole set of filters came where one is expected: `corr2d_multi_in` takes X and one filter. Loop "
            "over the filters, `for k in K`, and hand in `k`, not `K`.",
            lambda X, K: ops.corr2d(X[0], K[0]),
        ),
        Misconception(
            "channels_in_step",
            "You walk over X and K in step, and hand a single channel of X to each filter. A filter looks at all "
            "channels: loop over K alone, and hand in the whole X.",
            lambda X, K: ops.corr2d(X[0, 0], K[0, 0]),
        ),
        Misconception(
            "one_table",
            "All your output channels are one and the same table: `Y += ...` changes the one that lies in the "
            "list already. Make a new table for each filter.",
            one_table,
        ),
        Misconception(
            "last_filter",
            "Only the last filter's answer comes back: each turn of the loop replaces the one before. Collect "
            "the answers in a list, and stack it.",
            lambda X, K: multi_in_out(X, K)[-1],
        ),
        Misconception(
            "inputs_counted",
            "Your loop runs to `K.shape[1]`, the number of input channels. The filters are counted by "
            "`K.shape[0]`, or `len(K)`.",
            lambda X, K: torch.stack([multi_in(X, K[o]) for o in range(K.shape[1])]),
        ),
    ),
    hints=(
        "One filter with its kernels is what task 1 does. K holds several filters: what do you get when you loop "
        "over K?",
        "`torch.stack([corr2d_multi_in(X, k) for k in K])`: a loop over a tensor walks along its first axis.",
    ),
)

# ---------------------------------------------------------------------------------------------------------
# Predict shapes and costs
# ---------------------------------------------------------------------------------------------------------


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


PREDICT = Task(
    id="layer_costs",
    title="A layer in numbers",
    kind="predict",
    points=3,
    difficulty=3,
    importance=5,
    minutes=10,
    oracle=layer_in_numbers,
    cases=once,
    misconceptions=(
        Misconception(
            "in_out_swapped",
            "You wrote the weight's shape in the order of the call, inputs first. A weight holds filters, so the "
            "outputs come first.",
            lambda: {"weight": (4, 6, 3, 5)},
        ),
        Misconception(
            "rows_columns_swapped",
            "`kernel_size=(3, 5)` means 3 rows and 5 columns, and the weight has them in the same order.",
            lambda: {"weight": (6, 4, 5, 3)},
        ),
        Misconception(
            "bias_per_pixel",
            "You gave every place of the answer its own bias. A layer has one bias for each output channel; it "
            "holds for the whole map.",
            lambda: {"bias": (6, 8, 10)},
        ),
        Misconception(
            "bias_per_kernel",
            "You gave every kernel a bias. It is added after the sum over the input channels, so there is one for "
            "each filter.",
            lambda: {"bias": (6, 4)},
        ),
        Misconception(
            "padding_in_total",
            "You counted one row and one column of zeros in all. `padding=1` is per side: one above and one "
            "below, one left and one right.",
            lambda: {"answer": (6, 7, 9)},
        ),
        Misconception(
            "size_kept",
            "`padding=1` keeps the size where the kernel has 3 pixels. Five columns would need two zeros per side "
            "to keep it.",
            lambda: {"answer": (6, 8, 12)},
        ),
        Misconception(
            "padding_forgotten",
            "You left the padding out. It makes the picture larger by two rows and two columns before the kernel "
            "slides.",
            lambda: {"answer": (6, 6, 8)},
        ),
        Misconception(
            "biases_not_counted",
            "These are the weights alone. The layer learns its biases, too: one more number for each output channel.",
            lambda: {"parameters": 360},
        ),
        Misconception(
            "inputs_forgotten",
            "You counted one kernel for each output. A filter has one kernel for each *input* channel.",
            lambda: {"parameters": 6 * 15 + 6},
        ),
        Misconception(
            "places_of_the_input",
            "You counted the products at every pixel of the input. They are made once for each place of the *answer*.",
            lambda: {"macs": 8 * 12 * 360},
        ),
        Misconception(
            "operations",
            "You counted multiplications and additions as two operations. One multiply-accumulate is both "
            "together, so it is half as many.",
            lambda: {"macs": 2 * 80 * 360},
        ),
        Misconception(
            "one_output",
            "You counted the products of one output channel. Every output channel has as many.",
            lambda: {"macs": 80 * 60},
        ),
        Misconception(
            "numbers_for_bytes",
            "You gave the number of parameters again. Bytes are asked for: a float32 number takes 32 bits.",
            lambda: {"bytes": 366},
        ),
        Misconception(
            "bits_for_bytes",
            "You took 32 for each number: that is bits. A byte has eight of them.",
            lambda: {"bytes": 366 * 32},
        ),
        Misconception(
            "groups_ignored",
            "With `groups=2` a filter does not see all input channels any more, so it has fewer kernels.",
            lambda: {"grouped_weight": (6, 4, 3, 5)},
        ),
        Misconception(
            "groups_divide_outputs",
            "You divided the outputs by the groups, too. There are still 6 filters; each has fewer kernels.",
            lambda: {"grouped_weight": (3, 2, 3, 5)},
        ),
        Misconception(
            "comma_forgotten",
            "Brackets alone make no tuple: `(6)` is the number 6. A shape with one number is written with a "
            "comma, `(6,)`.",
            lambda: {"bias": 6},
        ),
        Misconception(
            "bias_counted",
            "You counted the biases as well. They are added, not multiplied; the task leaves them out.",
            lambda: {"macs": 80 * (360 + 6)},
        ),
        Misconception(
            "eight_bytes",
            "You took 8 bytes for each number, as float64 has. A float32 number takes 32 bits, and a byte has eight.",
            lambda: {"bytes": 366 * 8},
        ),
        Misconception(
            "groups_divide_filters",
            "You divided the filters by the groups. There are still 6 of them; it is the inputs of each that "
            "become fewer.",
            lambda: {"grouped_weight": (3, 4, 3, 5)},
        ),
    ),
    hints=(
        "Say the weight's shape as a sentence: so many filters, each with so many kernels, each with so many rows "
        "and columns. How many of these numbers does one place of one output channel use?",
        "Weights: out · in · rows · columns of a kernel; one bias per output. MACs: places of the answer · "
        "weights. Bytes: four per float32 number. With groups, a filter has in/groups kernels.",
    ),
)

# ---------------------------------------------------------------------------------------------------------
# Find the bug: a bias inside the loop over the input channels
# ---------------------------------------------------------------------------------------------------------


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


EXPOSE = Task(
    id="breaks_layer",
    title="Find an input that breaks it",
    kind="bug",
    points=1,
    difficulty=2,
    importance=4,
    minutes=5,
    oracle=lambda: (torch.ones(2, 3, 3), torch.ones(1, 2, 2, 2), torch.ones(1)),
    cases=once,
    accept=exposes,
    broken=broken_layer,
    misconceptions=(
        Misconception(
            "more_outputs",
            "You took several filters, but a picture with one channel. The filters are handled well, however many "
            "there are. What is done inside the inner loop?",
            lambda: (torch.ones(1, 3, 3), torch.ones(3, 1, 2, 2), torch.ones(3)),
            matches=lambda value: misfit(value) is None and len(value[0]) == 1 < len(value[1]),
        ),
        Misconception(
            "one_channel",
            "On a picture with one channel the function is right, whatever the numbers. That is how its author "
            "tried it.",
            lambda: (torch.arange(9.0).reshape(1, 3, 3), torch.ones(1, 1, 2, 2), torch.ones(1)),
            matches=lambda value: misfit(value) is None and len(value[0]) == 1,
        ),
        Misconception(
            "bias_zero",
            "Your biases are all 0. Adding 0 too often is no mistake that anybody could see.",
            lambda: (torch.ones(2, 3, 3), torch.ones(1, 2, 2, 2), torch.zeros(1)),
            matches=lambda value: misfit(value) is None and not value[2].any(),
        ),
    ),
    hints=(
        "How often is `+ b` carried out for one place of one output channel? How often should it be?",
        "The bias is added once for each input channel. So take a picture with two channels, and a bias that is not 0.",
    ),
)


def with_bias(seed):
    draw = Draw(seed)
    real = {"dtype": torch.float64}
    yield Case("the biases of lesson 4", (*three_filters(), torch.tensor([10.0, 0.0, -96.0])))
    yield Case("1 → 2 channels", (draw.whole(1, 3, 5), draw.whole(2, 1, 2, 2), draw.whole(2, low=1)))
    yield Case("3 → 1 channel", (draw.whole(3, 3, 4), draw.whole(1, 3, 2, 2), draw.whole(1, low=1)))
    yield Case("as many columns as filters", (draw.whole(2, 3, 4), draw.whole(3, 2, 2, 2), draw.whole(3, low=1)))
    yield Case("as many rows as filters", (draw.whole(2, 4, 3), draw.whole(3, 2, 2, 2), draw.whole(3, low=1)))
    yield Case("a picture that is not contiguous", (draw.turned(3, 4, 5), draw.turned(2, 3, 2, 3), draw.whole(2)))
    fractions = draw.real(2, 3, 4, **real), draw.real(4, 2, 2, 1, **real), draw.real(4, **real)
    yield Case("fractions in float64", fractions)


MENDED = Task(
    id="mended_layer",
    title="Mend it",
    kind="bug",
    points=1,
    difficulty=2,
    importance=4,
    minutes=5,
    oracle=layer,
    cases=with_bias,
    window=lambda index, X, K, bias: f"{corr_window(index, X, K)} and bias[{index[0]}] = {as_list(bias[index[0]])}",
    misconceptions=(
        Misconception(
            "unchanged",
            "The bias is still added once for each input channel: with three channels it counts three times.",
            broken_layer,
        ),
        Misconception(
            "bias_dropped",
            "Now the bias is gone. It belongs to the answer, once for each place.",
            lambda X, K, bias: multi_in_out(X, K),
        ),
        Misconception(
            "mean",
            "You divided the whole sum by the number of channels. That mends the bias and breaks everything else.",
            lambda X, K, bias: layer(X, K / len(X), bias),
        ),
        Misconception(
            "bias_on_columns",
            "You added the vector `bias` to a tensor of shape (out, rows, columns). Broadcasting starts at the "
            "last axis, so each *column* gets a bias, if the numbers fit at all.",
            lambda X, K, bias: multi_in_out(X, K) + bias,
        ),
        Misconception(
            "first_bias",
            "All output channels get the bias of output 0. Output o gets bias[o].",
            lambda X, K, bias: multi_in_out(X, K) + bias[0],
        ),
        Misconception(
            "last_bias",
            "All output channels get the last bias. Your `+ b` stands behind the loop, where `b` is what the "
            "last turn left: it belongs to each turn.",
            lambda X, K, bias: multi_in_out(X, K) + bias[-1],
        ),
    ),
    hints=(
        "The sum over the input channels should stand alone. At which point of the function is it complete?",
        "Close the bracket of `sum(...)` before `+ b`: `sum(ops.corr2d(x, k) for x, k in zip(...)) + b`.",
    ),
)

# ---------------------------------------------------------------------------------------------------------
# A whole batch
# ---------------------------------------------------------------------------------------------------------


def batch(X, K, bias):
    return F.conv2d(X, K, bias)


def batches(seed):
    draw = Draw(seed)
    X, K = three_filters()
    real = {"dtype": torch.float64}
    yield Case("two pictures of lesson 4", (torch.stack([X, X.flip(0)]), K, torch.tensor([10.0, 0.0, -96.0])))
    yield Case("a batch of one", (draw.whole(1, 3, 4, 6), draw.whole(2, 3, 2, 3), draw.whole(2, low=1)))
    yield Case("as many columns as filters", (draw.whole(2, 2, 3, 4), draw.whole(3, 2, 2, 2), draw.whole(3)))
    yield Case("as many rows as filters", (draw.whole(2, 2, 4, 6), draw.whole(3, 2, 2, 2), draw.whole(3)))
    yield Case("as many pictures as filters", (draw.whole(2, 3, 4, 5), draw.whole(2, 3, 1, 2), draw.whole(2)))
    yield Case("1 → 1 channel, a tall picture", (draw.whole(3, 1, 6, 2), draw.whole(1, 1, 3, 1), draw.whole(1, low=2)))
    yield Case("a batch that is not contiguous", (draw.turned(2, 3, 4, 6), draw.turned(4, 3, 2, 2), draw.whole(4)))
    fractions = draw.real(2, 2, 3, 5, **real), draw.real(3, 2, 2, 1, **real), draw.real(3, **real)
    yield Case("fractions in float64", fractions)


def channels_left_alone(X, K, bias):
    Y = F.conv2d(X, K)
    for o in range(len(bias)):
        Y[o] += bias[o]
    return Y


def batch_window(index, X, K, bias):
    n, o, i, j = index
    h, w = K.shape[2:]
    window = X[n, :, i : i + h, j : j + w]
    return f"X[{n}, :, {i}:{i + h}, {j}:{j + w}] = {as_list(window)} and bias[{o}] = {as_list(bias[o])}"


BATCH = Task(
    id="corr2d_batch",
    title="A whole batch, with a bias",
    kind="write",
    points=3,
    difficulty=3,
    importance=5,
    minutes=15,
    oracle=batch,
    cases=batches,
    window=batch_window,
    misconceptions=(
        Misconception(
            "bias_on_columns",
            "You added `bias` as it is. Broadcasting starts at the last axis, so each *column* gets a bias, if "
            "the numbers fit at all. Give it the shape that lines up with the channel axis.",
            lambda X, K, bias: F.conv2d(X, K) + bias,
        ),
        Misconception(
            "bias_on_rows",
            "Your bias lines up with the rows: one axis of length 1 is too few. Count from the right: columns, "
            "rows, channels.",
            lambda X, K, bias: F.conv2d(X, K) + bias[:, None],
        ),
        Misconception(
            "bias_on_pictures",
            "Your bias lines up with the pictures of the batch: one axis of length 1 is too many. Count from the "
            "right: columns, rows, channels.",
            lambda X, K, bias: F.conv2d(X, K) + bias[:, None, None, None],
        ),
        Misconception(
            "bias_per_kernel",
            "The bias is added once for each input channel. It is added once, after the sum over the channels.",
            lambda X, K, bias: F.conv2d(X, K, bias * X.shape[1]),
        ),
        Misconception(
            "bias_forgotten",
            "The bias is not added.",
            lambda X, K, bias: F.conv2d(X, K),
        ),
        Misconception(
            "batch_summed",
            "You added up the pictures of the batch. They never meet: the answer has one entry for each picture.",
            lambda X, K, bias: F.conv2d(X, K, bias).sum(0),
        ),
        Misconception(
            "first_picture",
            "Only picture 0 was used. Each picture of the batch gets its own answer.",
            lambda X, K, bias: F.conv2d(X[:1], K, bias),
        ),
        Misconception(
            "joined",
            "The pictures' answers follow each other along one axis: `torch.cat` joins along an axis that is there "
            "already. `torch.stack` makes a new one, the pictures.",
            lambda X, K, bias: F.conv2d(X, K, bias).flatten(0, 1),
        ),
        Misconception(
            "batch_and_channels_swapped",
            "The first two axes are exchanged. The answer's shape is (pictures, out, rows, columns).",
            lambda X, K, bias: F.conv2d(X, K, bias).transpose(0, 1),
        ),
        tensor_of_tensors(lambda X, K, bias: torch.tensor(list(F.conv2d(X, K, bias)))),
        Misconception(
            "range_of_a_tensor",
            "`range` counts up to a number, and X is a tensor. Write `range(len(X))`, or walk over the pictures "
            "themselves: `for x in X`.",
            lambda X, K, bias: range(X),
        ),
        Misconception(
            "bias_along_pictures",
            "Your loop over the biases writes into `Y[o]`, and that is picture o. Output channel o of all "
            "pictures is `Y[:, o]`.",
            channels_left_alone,
        ),
        Misconception(
            "bias_in_step",
            "You walk over pictures and biases in step: picture n gets bias n. A bias belongs to an output "
            "channel, and all pictures get the same biases.",
            lambda X, K, bias: torch.stack([multi_in_out(x, K) + b for x, b in zip(X, bias, strict=False)]),
        ),
        Misconception(
            "always_float32",
            "The values are right, but they are always float32. `torch.zeros(...)` makes that unless told "
            "otherwise: give it `dtype=X.dtype`.",
            lambda X, K, bias: F.conv2d(X, K, bias).float(),
        ),
    ),
    hints=(
        "One picture is what task 2 does. What does a loop over a batch give you, one after the other? And what "
        "shape must `bias` have, so that its numbers line up with the output channels?",
        "Stack `corr2d_multi_in_out(x, K)` for all x in X. The answer is (pictures, out, rows, columns): add "
        "`bias.reshape(-1, 1, 1)`, whose first axis then lines up with out.",
    ),
)


TASKS = (MULTI_IN, MULTI_IN_OUT, PREDICT, EXPOSE, MENDED, BATCH)
