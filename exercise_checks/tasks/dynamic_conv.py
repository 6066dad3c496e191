"""Tasks of sheet 10: attention, a batch of different kernels, its bug, its numbers, and CondConv."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import nn

from exercise_checks.running.observing import Case
from exercise_checks.tasks.task import Draw, as_list, pair, slips, task


def lesson_pictures():
    """Pictures A and B of lesson 10, shape (2, 1, 3, 3)."""
    A = torch.arange(9.0).reshape(3, 3)
    B = torch.tensor([[4.0, 3.0, 2.0], [3.0, 2.0, 1.0], [2.0, 1.0, 0.0]])
    return torch.stack([A, B])[:, None]


def lesson_kernels():
    """Its two stored kernels, shape (2, 1, 1, 2, 2)."""
    return torch.tensor([[[0.0, 1.0], [2.0, 3.0]], [[4.0, 1.0], [2.0, -1.0]]])[:, None, None]


def small_networks(draw: Draw):
    log3 = torch.tensor(3.0).log()
    first = torch.tensor([[1.0], [-1.0]]), torch.tensor([-3.0, 3.0])
    second = log3 * torch.tensor([[0.0, 1.0], [1.0, 0.0]]), torch.zeros(2)
    three = lesson_pictures()[[0, 1, 0]]
    yield Case("pictures A, B and A again of lesson 10", (three, *first, *second, 1.0), gradient=False)

    def network(channels, hidden, kernels, dtype=torch.float32):
        shapes = (hidden, channels), (hidden,), (kernels, hidden), (kernels,)
        W1, b1, W2, b2 = (draw.real(*shape, dtype=dtype) for shape in shapes)
        return W1, b1.abs() + 0.5, W2, b2

    yield "three pictures, T = 2", draw.real(3, 2, 3, 5), *network(2, 4, 4), 2.0
    yield "one picture", draw.real(1, 3, 4, 2), *network(3, 5, 3), 0.5
    yield "as many pictures as kernels", draw.real(3, 2, 3, 3), *network(2, 4, 3), 4.0
    yield "a single kernel", draw.real(2, 2, 2, 3), *network(2, 3, 1), 2.0
    yield "pictures that are not contiguous", draw.real(2, 2, 5, 3).transpose(2, 3), *network(2, 4, 3), 3.0
    double = {"dtype": torch.float64}
    yield "fractions in float64", draw.real(2, 3, 3, 2, **double), *network(3, 4, 2, **double), 1.5
    weights = draw.whole(3, 2, low=1, high=3), draw.whole(3), draw.whole(3, 3, low=1, high=3), draw.whole(3)
    bright, dark = draw.whole(1, 2, 2, 2, low=150, high=199), draw.whole(1, 2, 2, 2, low=1, high=3)
    both = torch.cat([bright, dark])  # whole numbers: large scores, far apart, and exact ones
    yield Case("a very bright picture and a dark one", (both, *weights, 1.0), gradient=False)


@task("The attention", small_networks, points=2, difficulty=2, importance=5, minutes=12)
def attention(X, W1, b1, W2, b2, T):
    """Go through the lesson's four steps and write down the shape after each: (N, C, H, W), then (N, C), then? Along
    which axis of the last one do the kernels of one picture stand?

    `F.linear(x, W, b)` is x · Wᵀ + b. Pool with `X.mean((2, 3))`; end with `F.softmax(scores / T, dim=1)`.
    """
    means = X.mean((2, 3))  # N × C
    hidden = F.relu(F.linear(means, W1, b1))
    scores = F.linear(hidden, W2, b2)  # N × K
    return F.softmax(scores / T, dim=1)


def attention_slips(known_by, text):
    """Mistakes that are each known by the predicate that `known_by` makes of the wrong answer."""
    plain = replace(attention, slips=[])
    slips(plain, text)
    attention.slips.append(lambda: (replace(m, matches=known_by(m.wrong)) for m in plain.misconceptions))


def where_moderate(wrong):
    """The very bright picture does not count: the mistake may be made beside a softmax that overflows there."""
    return lambda value, X, *given: X.max() > 50 or torch.allclose(value, wrong(X, *given), rtol=1e-4, atol=1e-5)


def with_its_nan(wrong):
    return lambda value, *given: torch.allclose(value, wrong(*given), rtol=1e-4, atol=1e-5, equal_nan=True)


attention_slips(where_moderate, """
over_the_batch: dim=1 -> dim=0
    Your columns add up to 1, not your rows: the softmax runs over the batch, and the pictures compete for each kernel.
    The kernels must compete for each picture.
softmax_forgotten: F.softmax(scores / T, dim=1) -> scores / T
    These are the scores, divided by T. The attention is what softmax makes of them.
temperature_times: scores / T -> scores * T
    You multiply the scores by T. That makes the winner stronger; a high temperature must flatten the attention.
    Divide.
temperature_after: scores / T, dim=1) -> scores, dim=1) / T
    You divide by T after the softmax. Then the attention adds up to 1/T, and it is no flatter. The scores are divided,
    before the softmax.
temperature_ignored: scores / T -> scores
    The temperature is not used. Divide the scores by it.
sigmoid: F.softmax(scores / T, dim=1) -> torch.sigmoid(scores / T)
    You took a sigmoid for each kernel, as CondConv does. Here the kernels share: the attention of a picture adds up to
    1.
biases_left_out: W1, b1) -> W1)
and: W2, b2) -> W2)
    The biases `b1` and `b2` are not added. `F.linear(x, W, b)` does it.
relu_forgotten: F.relu ->
    There is no ReLU between the two linear layers. Two linear layers in a row are only one.
relu_on_scores: scores / T -> scores.relu() / T
    You cut the scores at 0, too. The ReLU stands after the first linear layer only; scores may be negative.
maximum: X.mean -> X.amax
    You pool with the maximum. Each channel is replaced by its mean.
sum: X.mean -> X.sum
    You add the pixels of a channel up. Its mean is asked for, so that a larger picture does not count more.
over_the_pictures: X.mean((2, 3)) -> X.mean((0, 2, 3)).expand(X.shape[:2])
    You pooled over the batch as well, so all pictures get the same attention. Axis 0 stays.
""")  # fmt: skip
attention_slips(with_its_nan, """
overflow: F.softmax(scores / T, dim=1) -> powers / powers.sum(1, keepdim=True)
and: return -> powers = (scores / T).exp(); return
    Where scores are large, there is nan: `exp(100)` is more than float32 can hold, and inf / inf is nan. Use torch's
    softmax, or subtract each picture's largest score first. That changes no share.
largest_of_all: F.softmax(scores / T, dim=1) -> powers / powers.sum(1, keepdim=True)
and: return -> powers = ((scores - scores.max()) / T).exp(); return
    You subtract the largest score of the whole batch. A picture whose scores are all far below it is left with powers
    of 0, and 0 / 0 is nan. Subtract from each row its own largest score.
""")  # fmt: skip


def one_by_one(X, weight, bias=None, stride=1, padding=0):
    biases = [None] * len(X) if bias is None else bias
    pairs = zip(X, weight, biases, strict=True)
    return torch.cat([F.conv2d(x[None], w, b, stride, padding) for x, w, b in pairs])


def kernels_each(draw: Draw):
    two = torch.tensor([[[3.0, 1.0], [2.0, 0.0]], [[1.0, 1.0], [2.0, 2.0]]])[:, None, None]
    yield "pictures A and B of lesson 10", lesson_pictures(), two, torch.tensor([[0.0], [10.0]])

    def batch(N, C, out, size, kernel):
        return draw.whole(N, C, *size), draw.whole(N, out, C, *kernel), draw.whole(N, out)

    yield "a batch of one", *batch(1, 2, 3, (4, 5), (2, 2))
    yield "as many pictures as channels", *batch(2, 2, 3, (3, 5), (2, 3))
    yield "as many pictures as outputs", *batch(3, 1, 3, (draw.size(4, 6), 3), (3, 1))
    yield "a call without bias", *batch(3, 2, 2, (3, 4), (2, 2))[:2]
    yield "stride 2 and padding 1", *batch(2, 3, 2, (5, 4), (3, 3)), {"stride": 2, "padding": 1}
    yield "one number per axis", *batch(2, 1, 2, (4, 6), (2, 3)), {"stride": (1, 2), "padding": (1, 0)}
    yield "kernels as large as the pictures", *batch(3, 2, 4, (2, 3), (2, 3))
    X, weight = draw.whole(2, 4, 5, 3).permute(0, 3, 1, 2), draw.whole(3, 2, 3, 2, 2).transpose(0, 1)
    yield "channels last in memory", X, weight, draw.whole(2, 3)
    yield "fractions in float64", *(t.double() / 7 for t in batch(2, 2, 3, (4, 3), (2, 2)))


def each_window(index, X, weight, bias=None, stride=1, padding=0):
    n, o, *place = index
    i, j = (at * step for at, step in zip(place, pair(stride), strict=True))
    (h, w), (down, right) = weight.shape[3:], pair(padding)
    window = F.pad(X[n], (right, right, down, down))[:, i : i + h, j : j + w]
    around = ", zeros around it," if down or right else ""
    rows, columns = f"rows {i} to {i + h - 1}", f"columns {j} to {j + w - 1}"
    return f"X[{n}]{around} {rows}, {columns}, {as_list(window)}, with weight[{n}, {o}]"


@task(
    "A kernel for each picture, in one call", kernels_each, points=3, difficulty=4, importance=5, minutes=15,
    oracle=one_by_one, window=each_window,
)  # fmt: skip
def conv2d_each(X, weight, bias=None, stride=1, padding=0):
    """In a convolution with g groups, which input channels does the first group see? What would have to be these
    channels, so that the first group is picture 0? And which kernels belong to that group?

    `F.conv2d(X.reshape(1, N * C, H, W), weight.flatten(0, 1), ..., groups=N)`, with the bias flattened if there is
    one. Reshape the answer to (N, O, rows, columns).
    """
    N, C, H, W = X.shape
    if bias is not None:
        bias = bias.flatten()
    Y = F.conv2d(X.reshape(1, N * C, H, W), weight.flatten(0, 1), bias, stride, padding, groups=N)
    return Y.reshape(N, weight.shape[1], *Y.shape[2:])


slips(conv2d_each, """
first_kernel: weight.flatten -> weight[:1].expand_as(weight).flatten
and: bias.flatten -> bias[:1].expand_as(bias).flatten
    All pictures get the kernels of picture 0. Picture n meets weight[n].
mean_kernel: weight.flatten -> weight.mean(0).expand_as(weight).flatten
and: bias.flatten -> bias.mean(0).expand_as(bias).flatten
    You average the kernels over the batch. Then the answer for one picture depends on its neighbours. Picture n meets
    weight[n] and no other.
five_dimensions: X.reshape(1, N * C, H, W), weight.flatten(0, 1) -> X, weight
and: , groups=N ->
    `F.conv2d` takes a weight of four dimensions, and this one has five. Fold the batch into the channels: of the
    picture, of the weight and of the bias.
groups_forgotten: , groups=N ->
    With more than one picture the shapes do not fit: a kernel has C channels and meets N·C. Tell `F.conv2d` how many
    groups there are.
groups_are_channels: groups=N -> groups=C
    You made as many groups as a picture has channels. Every *picture* is a group, so there are N.
not_taken_apart: Y.reshape(N, weight.shape[1], *Y.shape[2:]) -> Y
    The numbers are right, but all pictures are still one: (1, N·O, ...). Reshape the answer to (N, O, ...).
outputs_outside: reshape(N, weight.shape[1], *Y.shape[2:]) -> reshape(-1, N, *Y.shape[2:]).transpose(0, 1)
    You took the answer apart the wrong way round. Its channels are all outputs of picture 0, then all outputs of
    picture 1, and so on: (N, O), not (O, N).
inputs_interleaved: X.reshape -> X.transpose(0, 1).reshape
    The channels of different pictures are interleaved: you exchanged the first two axes of X before `reshape`. As they
    lie, the channels of one picture are neighbours already, and a group is made of neighbours.
kernels_interleaved: weight.flatten -> weight.transpose(0, 1).flatten
    The kernels of different pictures are interleaved: you exchanged the first two axes of the weight. Each group needs
    the O kernels of one picture, one after the other.
bias_interleaved: bias.flatten -> bias.T.flatten
    The biases of different pictures are interleaved. Flatten `bias` as it is, (N, O).
bias_forgotten: bias, stride, padding, -> None, stride, padding,
    The bias is not added.
settings_ignored: , stride, padding, -> ,
    Stride and padding are not used. Hand both on to `F.conv2d`.
stride_ignored: stride, padding, -> 1, padding,
    The stride is not used. Hand `stride` on to `F.conv2d`.
padding_ignored: stride, padding, -> stride, 0,
    The padding is not used. Hand `padding` on to `F.conv2d`.
viewed: X.reshape -> X.view
    `view` refuses tensors that do not lie in memory in the order of their places. `reshape` and `flatten` copy where
    they must.
""")  # fmt: skip


def broken_dynamic(X, pi, weight):
    kernel = torch.einsum("nk,koihw->oihw", pi, weight) / len(X)
    return F.conv2d(X, kernel)


def answers_mixed(X, pi, weight):
    """The answers are mixed, not the kernels."""
    each = torch.stack([F.conv2d(X, kernel) for kernel in weight], 1)
    return (pi[:, :, None, None, None] * each).sum(1)


def misfit(value):
    """What is wrong with the form of (X, pi, weight), or None."""
    if not (isinstance(value, tuple) and len(value) == 3 and all(isinstance(v, torch.Tensor) for v in value)):
        return "Return three tensors: `return X, pi, weight`."
    X, pi, weight = value
    if (X.ndim, pi.ndim, weight.ndim) != (4, 2, 5):
        return "The shapes must be: X (N, C, H, W), pi (N, K), weight (K, O, C, kh, kw)."
    if 0 in (*X.shape, *pi.shape, *weight.shape) or max(v.numel() for v in value) > 10_000:
        return "Each tensor must hold between 1 and 10000 numbers."
    if pi.shape != (len(X), len(weight)) or weight.shape[2] != X.shape[1]:
        return "pi needs a row for each picture and a column for each kernel, and a kernel the channels of X."
    if weight.shape[3] > X.shape[2] or weight.shape[4] > X.shape[3]:
        return "The kernels must fit into the pictures."
    if not all(v.dtype == torch.float32 and v.isfinite().all() for v in value):
        return "Take float32 tensors without inf or nan."
    if (pi < 0).any() or not torch.allclose(pi.sum(1), torch.ones(len(pi)), atol=1e-4):
        return "Each row of `pi` must be an attention."
    return None


def exposes(value):
    """A batch, its attention and kernels on which `broken_dynamic` goes wrong."""
    refusal = misfit(value)
    if refusal is None and torch.allclose(broken_dynamic(*value), answers_mixed(*value), rtol=1e-3, atol=1e-3):
        return "On this input `broken_dynamic` is right. Look for one on which it is not."
    return refusal


def fitting(test):
    """A predicate for tensors of the right form: `test(X, pi, weight)` looks at them."""
    return lambda value: misfit(value) is None and test(*value)


def alike(tensor):
    return torch.allclose(tensor, tensor[:1].expand_as(tensor))


@task(
    "Find an input that breaks it", kind="bug", points=1, difficulty=2, importance=4, minutes=5,
    accept=exposes, broken=broken_dynamic,
)  # fmt: skip
def breaks_dynamic():
    """How many kernels does the function make for a batch of five? For which batches is that enough?

    Take two pictures, two different kernels, and an attention that gives kernel 0 to the first picture and kernel 1 to
    the second: `[[1, 0], [0, 1]]`.
    """
    return lesson_pictures(), torch.eye(2), lesson_kernels()


slips(breaks_dynamic, """
batch_of_one = lesson_pictures()[:1], torch.tensor([[0.25, 0.75]]), lesson_kernels()
if: fitting(lambda X, pi, weight: len(X) == 1)
    Your batch holds one picture, and the mean over a single picture is that picture. This is how the mistake passes:
    one tries it on one picture.
single_kernel = lesson_pictures(), torch.ones(2, 1), lesson_kernels()[:1]
if: fitting(lambda X, pi, weight: len(weight) == 1)
    With a single stored kernel nothing is mixed: all pictures have that kernel, and rightly so.
same_attention = lesson_pictures(), torch.tensor([[0.25, 0.75], [0.25, 0.75]]), lesson_kernels()
if: fitting(lambda X, pi, weight: alike(pi))
    All your pictures have the same attention, and so has their mean. Give two pictures different rows.
same_kernels = lesson_pictures(), torch.eye(2), torch.ones(2, 1, 1, 2, 2)
if: fitting(lambda X, pi, weight: alike(weight))
    Your kernels are all equal. A mean of equal kernels is that kernel, whatever the attention.
no_attention = lesson_pictures(), torch.tensor([[1.0, 1.0], [2.0, 0.0]]), lesson_kernels()
if: lambda value: "attention" in (misfit(value) or "")
    The rows of your `pi` are no attention. A row belongs to one picture; its numbers are not negative and add up to 1,
    as softmax makes them.
dark_pictures = torch.zeros(2, 1, 3, 3), torch.eye(2), lesson_kernels()
if: fitting(lambda X, pi, weight: not X.any())
    Your pictures are all zeros, and every kernel answers 0 to that.
""")  # fmt: skip


def mixtures(draw: Draw):
    def batch(N, K, C, out, size, kernel, **kind):
        pi = F.softmax(draw.real(N, K, **kind), dim=1)
        kind |= {"low": -3, "high": 3}  # small, so that little cancels in the gradients
        return draw.whole(N, C, *size, **kind), pi, draw.whole(K, out, C, *kernel, **kind)

    pi = torch.tensor([[0.25, 0.75], [0.75, 0.25]])
    yield Case("pictures A and B of lesson 10", (lesson_pictures(), pi, lesson_kernels()), gradient=False)
    yield "a batch of one", *batch(1, 3, 2, 2, (3, 4), (2, 2))
    yield "as many pictures as kernels", *batch(3, 3, 1, 2, (4, 3), (2, 1))
    yield "more pictures than kernels", *batch(4, 2, 2, 1, (3, draw.size(4, 6)), (2, 3))
    yield "as many pictures as channels and outputs", *batch(2, 4, 2, 2, (3, 5), (1, 2))
    yield "a single kernel", *batch(3, 1, 1, 2, (3, 4), (3, 4))
    X, pi, weight = batch(3, 2, 2, 3, (4, 3), (2, 2))
    yield "channels last in memory", X.contiguous(memory_format=torch.channels_last), pi, weight.mT
    yield "fractions in float64", *batch(2, 3, 2, 2, (4, 3), (2, 2), dtype=torch.float64)


@task("Mend it", mixtures, kind="bug", points=1, difficulty=3, importance=5, minutes=8, oracle=answers_mixed)
def mended_dynamic(X, pi, weight):
    """Write down the shape that the mixed kernels must have: one for each picture, each with O outputs, C inputs, rows
    and columns. Which letter is missing on the right of the arrow?

    `torch.einsum("nk,koihw->noihw", pi, weight)` mixes a kernel for each picture, without a division. `conv2d_each`
    from task 2 lays them on the pictures.
    """
    kernels = torch.einsum("nk,koihw->noihw", pi, weight)
    return conv2d_each.answer(X, kernels)


slips(mended_dynamic, """
unchanged = broken_dynamic
    There is still one kernel for the whole batch, the mean of all. Where are the pictures averaged? A letter that is
    missing on the right of einsum's arrow is summed over.
first_picture: ", pi -> ", pi[:1].expand_as(pi)
    All pictures get the kernel of picture 0. Each picture needs its own.
sum_for_mean: ", pi -> ", pi.sum(0).expand_as(pi)
    All pictures share one kernel, the sum of their kernels. Without the division it is larger, and still one. Keep the
    pictures apart instead.
attention_ignored: ", pi -> ", torch.full_like(pi, 1 / len(weight))
    Every picture gets the plain mean of the stored kernels. How much each counts stands in `pi`.
attention_turned: nk,koihw -> kn,koihw
    You read `pi` the other way round. It has a row for each picture and a column for each kernel: `nk`.
softmax_again: ", pi -> ", pi.softmax(1)
    You take a softmax of `pi`, which is an attention already: its rows add up to 1. A second softmax makes it flatter.
winner: ", pi -> ", F.one_hot(pi.argmax(1), len(weight)).to(pi.dtype)
    You take the kernel with the most attention and leave out the others. All of them are mixed; besides, no gradient
    passes through a choice.
still_divided: X, kernels) -> X, kernels) / len(X)
    Each picture has its own kernel now, but it is divided by the number of pictures. That division belonged to the
    mean.
detached: ", pi -> ", pi.detach()
    The answer is right, but no gradient reaches `pi`: the attention would never learn. Leave out `.detach()`, `.data`
    and `.item()`.
""")  # fmt: skip


def torch_numbers():
    pictures, score = torch.zeros(5, 6, 10, 12), nn.Sequential(nn.Linear(6, 3), nn.ReLU(), nn.Linear(3, 4))
    stored, bias = torch.zeros(4, 8, 6, 3, 3), torch.zeros(4, 8)
    mixed = torch.einsum("nk,koihw->noihw", score(pictures.mean((2, 3))), stored)
    grouped = pictures.flatten(0, 1)[None], mixed.flatten(0, 1)
    answer = F.conv2d(*grouped, padding=1, groups=5)
    return {
        "mixed_kernels": tuple(mixed.shape),
        "grouped_input": tuple(grouped[0].shape),
        "grouped_weight": tuple(grouped[1].shape),
        "groups": 5,
        "grouped_answer": tuple(answer.shape),
        "parameters": sum(t.numel() for t in (stored, bias, *score.parameters())),
        "conv_macs": answer.numel() * grouped[1][0].numel() // len(pictures),
        "mixing_macs": stored.numel(),
    }


@task(
    "A dynamic layer in numbers", kind="predict", points=3, difficulty=3, importance=4, minutes=12,
    oracle=torch_numbers,
)  # fmt: skip
def dynamic_numbers():
    """Which of the numbers 5 and 4 counts pictures, and which counts stored kernels? For each line, ask: is this made
    anew for every picture, or is it stored in the layer?

    Grouped: input (1, N·C, H, W), weight (N·O, C, k, k), N groups. Parameters: K · (weights + biases) of one kernel,
    and the two linear layers with their biases. Mixing: K times the weights of one kernel.
    """
    return {
        "mixed_kernels": (5, 8, 6, 3, 3),
        "grouped_input": (1, 5 * 6, 10, 12),
        "grouped_weight": (5 * 8, 6, 3, 3),
        "grouped_answer": (1, 5 * 8, 10, 12),
        "groups": 5,
        "parameters": 4 * (8 * 6 * 9 + 8) + (6 * 3 + 3) + (3 * 4 + 4),
        "conv_macs": 10 * 12 * 8 * 6 * 9,
        "mixing_macs": 4 * 8 * 6 * 9,
    }


slips(dynamic_numbers, """
stored_kernels = {"mixed_kernels": (4, 8, 6, 3, 3)}
    For `mixed_kernels` you gave the stored ones, 4 of them. Mixed kernels are made for the pictures: one for each of
    the 5.
one_for_all = {"mixed_kernels": (8, 6, 3, 3)}
    For `mixed_kernels` you gave the kernel of a single picture. Each of the 5 pictures has its own.
not_folded = {"grouped_input": (5, 6, 10, 12)}
    For `grouped_input` you gave the batch as it was. For the grouped call the pictures are written one after the other
    as channels of a single picture.
five_dimensions = {"grouped_weight": (5, 8, 6, 3, 3)}
    For `grouped_weight`: a 2-D convolution takes a weight of four dimensions. The pictures' kernels are put one after
    the other along the outputs.
weight_of_all_inputs = {"grouped_weight": (40, 30, 3, 3)}
    In `grouped_weight` your kernels see all 30 channels. With groups, a weight's second axis is in/groups: the
    channels of one picture.
groups_are_kernels = {"groups": 4}
    For `groups` you counted the stored kernels. Every *picture* is a group; the stored kernels are mixed before.
groups_are_channels = {"groups": 30}
    With 30 groups each channel would be alone, as in a depthwise convolution. The channels of one picture belong
    together.
taken_apart = {"grouped_answer": (5, 8, 10, 12)}
    For `grouped_answer` you gave the answer after it has been reshaped back. Out of the grouped call comes a single
    picture.
answer_without_padding = {"grouped_answer": (1, 40, 8, 10)}
    For `grouped_answer` you left out the padding: with 1 on each side a 3×3 kernel keeps the size.
attention_not_counted = {"parameters": 4 * (432 + 8)}
    For `parameters` you counted the kernels and their biases. The two linear layers that make the scores learn, too.
linear_biases_forgotten = {"parameters": 4 * (432 + 8) + 6 * 3 + 3 * 4}
    In `parameters` the biases of the two linear layers are missing: 3 and 4.
kernel_biases_forgotten = {"parameters": 4 * 432 + 37}
    In `parameters` the biases of the stored kernels are missing: 8 for each of the 4.
one_bias = {"parameters": 4 * 432 + 8 + 37}
    For `parameters` you counted 8 biases once. Each of the 4 kernels brings 8 of its own; they are mixed, too.
kernels_of_the_batch = {"parameters": 5 * (432 + 8) + 37}
    For `parameters` you counted a kernel for each picture. Those are computed, not learned, and would change with the
    size of the batch. Learned are the 4 stored ones.
four_convolutions = {"conv_macs": 4 * 120 * 432}
    For `conv_macs` you counted 4 convolutions. The kernels are mixed first; then there is only one.
whole_batch = {"conv_macs": 5 * 120 * 432}
    For `conv_macs` you counted all 5 pictures. Asked is one.
macs_without_padding = {"conv_macs": 80 * 432}
    For `conv_macs` you took 8×10 places. With `padding=1` the answer has as many as the picture.
operations = {"conv_macs": 2 * 120 * 432}
    For `conv_macs` you counted multiplications and additions as two operations. One multiply-accumulate is both
    together, so it is half as many.
mixed_at_every_place = {"mixing_macs": 120 * 4 * 432}
    For `mixing_macs` you mixed at every place of the picture. A picture's kernel is mixed once and used at all places.
    That is why mixing is cheap.
one_stored_kernel = {"mixing_macs": 432}
    For `mixing_macs` you counted the weights of one kernel. For each weight of the mixed kernel, 4 stored ones are
    multiplied and added up.
mixed_for_the_batch = {"mixing_macs": 5 * 4 * 432}
    For `mixing_macs` you counted all 5 pictures. Asked is one.
""")  # fmt: skip


def layers_to_build(draw: Draw):
    for label, inputs, outputs, k, kernels, size in [
        ("two kernels", 1, 1, 2, 2, (2, 1, 3, 4)),
        ("3 → 2 channels, four kernels", 3, 2, 3, 4, (3, 3, 4, 5)),
        ("a single kernel", 2, 3, 2, 1, (2, 2, 4, 3)),
        ("a batch of one", 2, 3, 1, 3, (1, 2, 3, 2)),
    ]:
        weights = {
            "weight": draw.whole(kernels, outputs, inputs, k, k),
            "route.weight": draw.real(kernels, inputs),
            "route.bias": draw.real(kernels),
        }
        sizes = {"inputs": inputs, "outputs": outputs, "k": k, "kernels": kernels}
        yield label, sizes, weights, draw.real(*size)


def has_inputs_first(value, sizes, *_):
    shape = sizes["kernels"], sizes["inputs"], sizes["outputs"], sizes["k"], sizes["k"]
    return value["parameters"].get("weight") == shape


@task("CondConv", layers_to_build, points=3, difficulty=4, importance=3, minutes=18, use="module", gradient=False)
class CondConv(nn.Module):
    """What is stored in the layer, and what is made anew for each picture? Which of your own functions from this sheet
    do the last step?

    `r = torch.sigmoid(self.route(X.mean((2, 3))))`, then the kernels by `einsum` with `nk,koihw->noihw`, then
    `conv2d_each`. Stored: `self.weight`, an `nn.Parameter`, and `self.route`, an `nn.Linear`.
    """

    def __init__(self, inputs, outputs, k, kernels):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(kernels, outputs, inputs, k, k))
        self.route = nn.Linear(inputs, kernels)

    def forward(self, X):
        scores = self.route(X.mean((2, 3)))
        r = torch.sigmoid(scores)
        return mended_dynamic.answer(X, r, self.weight)


slips(CondConv, """
softmax: torch.sigmoid(scores) -> scores.softmax(1)
    Your kernels share by softmax. In CondConv each kernel has a dimmer of its own: a sigmoid.
sums_to_one: torch.sigmoid(scores) -> scores.sigmoid() / scores.sigmoid().sum(1, keepdim=True)
    You divide the sigmoids by their sum. They need not add up to 1: the picture may turn all kernels up or down.
mean_of_kernels: torch.sigmoid(scores) -> torch.sigmoid(scores) / len(self.weight)
    You divide by the number of kernels. The stored kernels are multiplied by their sigmoids and added up, no more.
sigmoid_forgotten: torch.sigmoid(scores) -> scores
    You mix with the scores as they are. A sigmoid must bring each between 0 and 1 first.
one_for_the_batch: torch.sigmoid(scores) -> torch.sigmoid(scores).mean(0).expand_as(scores)
    You average over the batch, so all pictures get one kernel. Each picture is routed by itself.
first_picture: torch.sigmoid(scores) -> torch.sigmoid(scores[0]).expand_as(scores)
    All pictures are routed as picture 0. Each picture gets a kernel of its own.
maximum: X.mean -> X.amax
    You pool with the maximum. The routing looks at the mean of each channel.
sum: X.mean -> X.sum
    You add the pixels of a channel up. The routing looks at their mean.
detached: torch.sigmoid(scores) -> torch.sigmoid(scores).detach()
    The output is right, but no gradient reaches `route`: it would never learn which kernel to turn up. Leave out
    `.detach()`, `.data` and `no_grad`.
kernels_not_learned: nn.Parameter ->
if: lambda value, *_: set(value["parameters"]) == {"route.weight", "route.bias"}
    Your kernels are not among the parameters, so no optimizer ever sees them. Make them once, in `__init__`, as one
    `nn.Parameter`. A tensor drawn in `forward`, a plain tensor and a Python list are not found.
inputs_first: outputs, inputs, k, k -> inputs, outputs, k, k
and: self.weight) -> self.weight.transpose(1, 2))
if: has_inputs_first
    Your kernels have the shape (kernels, inputs, outputs, k, k). A weight has the outputs before the inputs.
inputs_and_outputs_exchanged: outputs, inputs, k, k -> inputs, outputs, k, k
    With as many inputs as outputs it would work. Is a shape made with `inputs` before `outputs`? A weight is (kernels,
    outputs, inputs, k, k).
route_without_bias: nn.Linear(inputs, kernels) -> nn.Linear(inputs, kernels, bias=False)
    Your `route` has no bias. With one, a kernel can be turned up or down whatever the picture is: `nn.Linear(inputs,
    kernels)`.
""")  # fmt: skip
