"""Tasks of sheet 10: attention, a batch of different kernels, its bug, its numbers, and CondConv."""

import torch
import torch.nn.functional as F
from torch import nn

from exercise_checks.running.observing import Case
from exercise_checks.tasks.old_task import Draw, Misconception, Task, as_list, once


def lesson_pictures():
    """Pictures A and B of lesson 10, shape (2, 1, 3, 3)."""
    A = torch.arange(9.0).reshape(3, 3)
    B = torch.tensor([[4.0, 3.0, 2.0], [3.0, 2.0, 1.0], [2.0, 1.0, 0.0]])
    return torch.stack([A, B])[:, None]


def lesson_kernels():
    """Its two stored kernels, shape (2, 1, 1, 2, 2)."""
    return torch.tensor([[[0.0, 1.0], [2.0, 3.0]], [[4.0, 1.0], [2.0, -1.0]]])[:, None, None]


# ---------------------------------------------------------------------------------------------------------
# Attention
# ---------------------------------------------------------------------------------------------------------


def mean(X):
    return X.mean((2, 3))


def shares(scores, T):
    return F.softmax(scores / T, dim=1)


def attend(X, W1, b1, W2, b2, T, pool=mean, hidden=F.relu, last=shares):
    """The misconceptions differ from the right answer in one of the three functions."""
    return last(F.linear(hidden(F.linear(pool(X), W1, b1)), W2, b2), T)


def slip(**changed):
    return lambda *given: attend(*given, **changed)


def without_care(scores, T):
    """Softmax by its formula. For large scores it is inf / inf."""
    powers = (scores / T).exp()
    return powers / powers.sum(1, keepdim=True)


def largest_of_all(scores, T):
    powers = (scores / T - (scores / T).max()).exp()
    return powers / powers.sum(1, keepdim=True)


def overflown(last):
    def matches(value, *given):
        return torch.allclose(value, slip(last=last)(*given), rtol=1e-4, atol=1e-5, equal_nan=True)

    return matches


def slipped(name, sentence, wrong):
    """A mistake that is known without the very bright picture: it may meet a softmax that overflows there."""

    def matches(value, X, *given):
        return X.max() > 50 or torch.allclose(value, wrong(X, *given), rtol=1e-4, atol=1e-5)

    return Misconception(name, sentence, wrong, matches=matches)


def small_networks(seed):
    draw = Draw(seed)
    log3 = torch.tensor(3.0).log()
    first = torch.tensor([[1.0], [-1.0]]), torch.tensor([-3.0, 3.0])
    second = log3 * torch.tensor([[0.0, 1.0], [1.0, 0.0]]), torch.zeros(2)
    three = lesson_pictures()[[0, 1, 0]]
    yield Case("pictures A, B and A again of lesson 10", (three, *first, *second, 1.0), gradient=False)

    def network(channels, hidden, kernels, dtype=torch.float32):
        shapes = (hidden, channels), (hidden,), (kernels, hidden), (kernels,)
        W1, b1, W2, b2 = (draw.real(*shape, dtype=dtype) for shape in shapes)
        return W1, b1.abs() + 0.5, W2, b2

    yield Case("three pictures, T = 2", (draw.real(3, 2, 3, 5), *network(2, 4, 4), 2.0))
    yield Case("one picture", (draw.real(1, 3, 4, 2), *network(3, 5, 3), 0.5))
    yield Case("as many pictures as kernels", (draw.real(3, 2, 3, 3), *network(2, 4, 3), 4.0))
    yield Case("a single kernel", (draw.real(2, 2, 2, 3), *network(2, 3, 1), 2.0))
    turned = draw.real(2, 2, 5, 3).transpose(2, 3)
    yield Case("pictures that are not contiguous", (turned, *network(2, 4, 3), 3.0))
    double = {"dtype": torch.float64}
    yield Case("fractions in float64", (draw.real(2, 3, 3, 2, **double), *network(3, 4, 2, **double), 1.5))
    weights = draw.whole(3, 2, low=1, high=3), draw.whole(3), draw.whole(3, 3, low=1, high=3), draw.whole(3)
    bright, dark = draw.whole(1, 2, 2, 2, low=150, high=199), draw.whole(1, 2, 2, 2, low=1, high=3)
    both = torch.cat([bright, dark])  # whole numbers: large scores, far apart, and exact ones
    yield Case("a very bright picture and a dark one", (both, *weights, 1.0), gradient=False)


ATTENTION = Task(
    id="attention",
    title="The attention",
    kind="write",
    points=2,
    difficulty=2,
    importance=5,
    minutes=12,
    oracle=attend,
    cases=small_networks,
    misconceptions=(
        slipped(
            "over_the_batch",
            "Your columns add up to 1, not your rows: the softmax runs over the batch, and the pictures compete for "
            "each kernel. The kernels must compete for each picture.",
            slip(last=lambda scores, T: F.softmax(scores / T, dim=0)),
        ),
        slipped(
            "softmax_forgotten",
            "These are the scores, divided by T. The attention is what softmax makes of them.",
            slip(last=lambda scores, T: scores / T),
        ),
        slipped(
            "temperature_times",
            "You multiply the scores by T. That makes the winner stronger; a high temperature must flatten the "
            "attention. Divide.",
            slip(last=lambda scores, T: F.softmax(scores * T, dim=1)),
        ),
        slipped(
            "temperature_after",
            "You divide by T after the softmax. Then the attention adds up to 1/T, and it is no flatter. The scores "
            "are divided, before the softmax.",
            slip(last=lambda scores, T: F.softmax(scores, dim=1) / T),
        ),
        slipped(
            "temperature_ignored",
            "The temperature is not used. Divide the scores by it.",
            slip(last=lambda scores, T: F.softmax(scores, dim=1)),
        ),
        slipped(
            "sigmoid",
            "You took a sigmoid for each kernel, as CondConv does. Here the kernels share: the attention of a "
            "picture adds up to 1.",
            slip(last=lambda scores, T: torch.sigmoid(scores / T)),
        ),
        slipped(
            "biases_left_out",
            "The biases `b1` and `b2` are not added. `F.linear(x, W, b)` does it.",
            lambda X, W1, b1, W2, b2, T: attend(X, W1, None, W2, None, T),
        ),
        slipped(
            "relu_forgotten",
            "There is no ReLU between the two linear layers. Two linear layers in a row are only one.",
            slip(hidden=lambda numbers: numbers),
        ),
        slipped(
            "relu_on_scores",
            "You cut the scores at 0, too. The ReLU stands after the first linear layer only; scores may be negative.",
            slip(last=lambda scores, T: F.softmax(scores.relu() / T, dim=1)),
        ),
        slipped(
            "maximum",
            "You pool with the maximum. Each channel is replaced by its mean.",
            slip(pool=lambda X: X.amax((2, 3))),
        ),
        slipped(
            "sum",
            "You add the pixels of a channel up. Its mean is asked for, so that a larger picture does not count more.",
            slip(pool=lambda X: X.sum((2, 3))),
        ),
        slipped(
            "over_the_pictures",
            "You pooled over the batch as well, so all pictures get the same attention. Axis 0 stays.",
            slip(pool=lambda X: X.mean((0, 2, 3)).expand(X.shape[:2])),
        ),
        Misconception(
            "overflow",
            "Where scores are large, there is nan: `exp(100)` is more than float32 can hold, and inf / inf is nan. Use "
            "torch's softmax, or subtract each picture's largest score first. That changes no share.",
            slip(last=without_care),
            matches=overflown(without_care),
        ),
        Misconception(
            "largest_of_all",
            "You subtract the largest score of the whole batch. A picture whose scores are all far below it is left "
            "with powers of 0, and 0 / 0 is nan. Subtract from each row its own largest score.",
            slip(last=largest_of_all),
            matches=overflown(largest_of_all),
        ),
    ),
    hints=(
        "Go through the lesson's four steps and write down the shape after each: (N, C, H, W), then (N, C), then? "
        "Along which axis of the last one do the kernels of one picture stand?",
        "`F.linear(x, W, b)` is x · Wᵀ + b. Pool with `X.mean((2, 3))`; end with `F.softmax(scores / T, dim=1)`.",
    ),
)

# ---------------------------------------------------------------------------------------------------------
# A batch of different kernels
# ---------------------------------------------------------------------------------------------------------


def conv2d_each(X, weight, bias=None, stride=1, padding=0):
    biases = [None] * len(X) if bias is None else bias
    pairs = zip(X, weight, biases, strict=True)
    return torch.cat([F.conv2d(x[None], w, b, stride, padding) for x, w, b in pairs])


def without_groups(X, weight, bias=None, stride=1, padding=0, groups=1):
    bias = None if bias is None else bias.flatten()
    Y = F.conv2d(X.reshape(1, -1, *X.shape[2:]), weight.flatten(0, 1), bias, stride, padding, groups=groups)
    return Y.reshape(*weight.shape[:2], *Y.shape[2:])


def swapped(tensor):
    """The first two axes exchanged, then laid out again under the shape they had."""
    return tensor if tensor is None else tensor.transpose(0, 1).reshape(tensor.shape)


def shared(pick):
    """All pictures get the kernels and biases that `pick` makes of the batch's."""

    def wrong(X, weight, bias=None, *options, **named):
        return F.conv2d(X, pick(weight), None if bias is None else pick(bias), *options, **named)

    return wrong


def all_viewed(X, weight, bias=None, stride=1, padding=0):
    return conv2d_each(X.view(1, -1, *X.shape[2:]).view(X.shape), weight, bias, stride, padding)


def kernels_each(seed):
    draw = Draw(seed)
    two = torch.tensor([[[3.0, 1.0], [2.0, 0.0]], [[1.0, 1.0], [2.0, 2.0]]])[:, None, None]
    yield Case("pictures A and B of lesson 10", (lesson_pictures(), two, torch.tensor([[0.0], [10.0]])))

    def batch(N, C, out, size, kernel):
        return draw.whole(N, C, *size), draw.whole(N, out, C, *kernel), draw.whole(N, out)

    yield Case("a batch of one", batch(1, 2, 3, (4, 5), (2, 2)))
    yield Case("as many pictures as channels", batch(2, 2, 3, (3, 5), (2, 3)))
    yield Case("as many pictures as outputs", batch(3, 1, 3, (draw.size(4, 6), 3), (3, 1)))
    yield Case("a call without bias", batch(3, 2, 2, (3, 4), (2, 2))[:2])
    yield Case("stride 2 and padding 1", batch(2, 3, 2, (5, 4), (3, 3)), {"stride": 2, "padding": 1})
    yield Case("one number per axis", batch(2, 1, 2, (4, 6), (2, 3)), {"stride": (1, 2), "padding": (1, 0)})
    yield Case("kernels as large as the pictures", batch(3, 2, 4, (2, 3), (2, 3)))
    X, weight = draw.whole(2, 4, 5, 3).permute(0, 3, 1, 2), draw.whole(3, 2, 3, 2, 2).transpose(0, 1)
    yield Case("channels last in memory", (X, weight, draw.whole(2, 3)))
    yield Case("fractions in float64", tuple(t.double() / 7 for t in batch(2, 2, 3, (4, 3), (2, 2))))


def each_window(index, X, weight, bias=None, stride=1, padding=0):
    n, o, *place = index
    pairs = [(v, v) if isinstance(v, int) else v for v in (stride, padding)]
    i, j = (at * step for at, step in zip(place, pairs[0], strict=True))
    (h, w), (down, right) = weight.shape[3:], pairs[1]
    window = F.pad(X[n], (right, right, down, down))[:, i : i + h, j : j + w]
    around = ", zeros around it," if down or right else ""
    return (
        f"X[{n}]{around} rows {i} to {i + h - 1}, columns {j} to {j + w - 1}, {as_list(window)}, with weight[{n}, {o}]"
    )


EACH = Task(
    id="conv2d_each",
    title="A kernel for each picture, in one call",
    kind="write",
    points=3,
    difficulty=4,
    importance=5,
    minutes=15,
    oracle=conv2d_each,
    cases=kernels_each,
    window=each_window,
    misconceptions=(
        Misconception(
            "first_kernel",
            "All pictures get the kernels of picture 0. Picture n meets weight[n].",
            shared(lambda tensor: tensor[0]),
        ),
        Misconception(
            "mean_kernel",
            "You average the kernels over the batch. Then the answer for one picture depends on its neighbours. "
            "Picture n meets weight[n] and no other.",
            shared(lambda tensor: tensor.mean(0)),
        ),
        Misconception(
            "five_dimensions",
            "`F.conv2d` takes a weight of four dimensions, and this one has five. Fold the batch into the channels: "
            "of the picture, of the weight and of the bias.",
            lambda X, weight, bias=None, stride=1, padding=0: F.conv2d(X, weight, bias, stride, padding),
        ),
        Misconception(
            "groups_forgotten",
            "With more than one picture the shapes do not fit: a kernel has C channels and meets N·C. Tell "
            "`F.conv2d` how many groups there are.",
            without_groups,
        ),
        Misconception(
            "groups_are_channels",
            "You made as many groups as a picture has channels. Every *picture* is a group, so there are N.",
            lambda X, *given, **named: without_groups(X, *given, **named, groups=X.shape[1]),
        ),
        Misconception(
            "not_taken_apart",
            "The numbers are right, but all pictures are still one: (1, N·O, ...). Reshape the answer to (N, O, ...).",
            lambda *given, **named: conv2d_each(*given, **named).flatten(0, 1)[None],
        ),
        Misconception(
            "outputs_outside",
            "You took the answer apart the wrong way round. Its channels are all outputs of picture 0, then all "
            "outputs of picture 1, and so on: (N, O), not (O, N).",
            lambda *given, **named: outputs_outside(conv2d_each(*given, **named)),
        ),
        Misconception(
            "inputs_interleaved",
            "The channels of different pictures are interleaved: you exchanged the first two axes of X before "
            "`reshape`. As they lie, the channels of one picture are neighbours already, and a group is made of "
            "neighbours.",
            lambda X, *given, **named: conv2d_each(swapped(X), *given, **named),
        ),
        Misconception(
            "kernels_interleaved",
            "The kernels of different pictures are interleaved: you exchanged the first two axes of the weight. "
            "Each group needs the O kernels of one picture, one after the other.",
            lambda X, weight, *given, **named: conv2d_each(X, swapped(weight), *given, **named),
        ),
        Misconception(
            "bias_interleaved",
            "The biases of different pictures are interleaved. Flatten `bias` as it is, (N, O).",
            lambda X, weight, bias=None, *given, **named: conv2d_each(X, weight, swapped(bias), *given, **named),
        ),
        Misconception(
            "bias_forgotten",
            "The bias is not added.",
            lambda X, weight, bias=None, *given, **named: conv2d_each(X, weight, None, *given, **named),
        ),
        Misconception(
            "settings_ignored",
            "Stride and padding are not used. Hand both on to `F.conv2d`.",
            lambda X, weight, bias=None, stride=1, padding=0: conv2d_each(X, weight, bias),
        ),
        Misconception(
            "stride_ignored",
            "The stride is not used. Hand `stride` on to `F.conv2d`.",
            lambda X, weight, bias=None, stride=1, padding=0: conv2d_each(X, weight, bias, 1, padding),
        ),
        Misconception(
            "padding_ignored",
            "The padding is not used. Hand `padding` on to `F.conv2d`.",
            lambda X, weight, bias=None, stride=1, padding=0: conv2d_each(X, weight, bias, stride),
        ),
        Misconception(
            "viewed",
            "`view` refuses tensors that do not lie in memory in the order of their places. `reshape` and `flatten` "
            "copy where they must.",
            all_viewed,
        ),
    ),
    hints=(
        "In a convolution with g groups, which input channels does the first group see? What would have to be these "
        "channels, so that the first group is picture 0? And which kernels belong to that group?",
        "`F.conv2d(X.reshape(1, N * C, H, W), weight.flatten(0, 1), ..., groups=N)`, with the bias flattened if there "
        "is one. Reshape the answer to (N, O, rows, columns).",
    ),
)


def outputs_outside(Y):
    N, outputs, H, W = Y.shape
    return Y.reshape(outputs, N, H, W).transpose(0, 1)


# ---------------------------------------------------------------------------------------------------------
# Find the bug: one kernel for the whole batch
# ---------------------------------------------------------------------------------------------------------


def broken_dynamic(X, pi, weight):
    kernel = torch.einsum("nk,koihw->oihw", pi, weight) / len(X)
    return F.conv2d(X, kernel)


def dynamic(X, pi, weight):
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
    if refusal is None and torch.allclose(broken_dynamic(*value), dynamic(*value), rtol=1e-3, atol=1e-3):
        return "On this input `broken_dynamic` is right. Look for one on which it is not."
    return refusal


def alike(tensor):
    return torch.allclose(tensor, tensor[:1].expand_as(tensor))


def two_pictures(pi=((1.0, 0.0), (0.0, 1.0)), X=None, weight=None):
    X = lesson_pictures() if X is None else X
    return X, torch.tensor(pi), lesson_kernels() if weight is None else weight


EXPOSE = Task(
    id="breaks_dynamic",
    title="Find an input that breaks it",
    kind="bug",
    points=1,
    difficulty=2,
    importance=4,
    minutes=5,
    oracle=two_pictures,
    cases=once,
    accept=exposes,
    broken=broken_dynamic,
    misconceptions=(
        Misconception(
            "batch_of_one",
            "Your batch holds one picture, and the mean over a single picture is that picture. This is how the "
            "mistake passes: one tries it on one picture.",
            lambda: (lesson_pictures()[:1], torch.tensor([[0.25, 0.75]]), lesson_kernels()),
            matches=lambda value: misfit(value) is None and len(value[0]) == 1,
        ),
        Misconception(
            "single_kernel",
            "With a single stored kernel nothing is mixed: all pictures have that kernel, and rightly so.",
            lambda: (lesson_pictures(), torch.ones(2, 1), lesson_kernels()[:1]),
            matches=lambda value: misfit(value) is None and len(value[2]) == 1,
        ),
        Misconception(
            "same_attention",
            "All your pictures have the same attention, and so has their mean. Give two pictures different rows.",
            lambda: two_pictures(pi=((0.25, 0.75), (0.25, 0.75))),
            matches=lambda value: misfit(value) is None and alike(value[1]),
        ),
        Misconception(
            "same_kernels",
            "Your kernels are all equal. A mean of equal kernels is that kernel, whatever the attention.",
            lambda: two_pictures(weight=torch.ones(2, 1, 1, 2, 2)),
            matches=lambda value: misfit(value) is None and alike(value[2]),
        ),
        Misconception(
            "no_attention",
            "The rows of your `pi` are no attention. A row belongs to one picture; its numbers are not negative and "
            "add up to 1, as softmax makes them.",
            lambda: two_pictures(pi=((1.0, 1.0), (2.0, 0.0))),
            matches=lambda value: "attention" in (misfit(value) or ""),
        ),
        Misconception(
            "dark_pictures",
            "Your pictures are all zeros, and every kernel answers 0 to that.",
            lambda: two_pictures(X=torch.zeros(2, 1, 3, 3)),
            matches=lambda value: misfit(value) is None and not value[0].any(),
        ),
    ),
    hints=(
        "How many kernels does the function make for a batch of five? For which batches is that enough?",
        "Take two pictures, two different kernels, and an attention that gives kernel 0 to the first picture and "
        "kernel 1 to the second: `[[1, 0], [0, 1]]`.",
    ),
)


def mixtures(seed):
    draw = Draw(seed)

    def batch(N, K, C, out, size, kernel, **kind):
        pi = F.softmax(draw.real(N, K, **kind), dim=1)
        kind |= {"low": -3, "high": 3}  # small, so that little cancels in the gradients
        return draw.whole(N, C, *size, **kind), pi, draw.whole(K, out, C, *kernel, **kind)

    pi = torch.tensor([[0.25, 0.75], [0.75, 0.25]])
    yield Case("pictures A and B of lesson 10", (lesson_pictures(), pi, lesson_kernels()), gradient=False)
    yield Case("a batch of one", batch(1, 3, 2, 2, (3, 4), (2, 2)))
    yield Case("as many pictures as kernels", batch(3, 3, 1, 2, (4, 3), (2, 1)))
    yield Case("more pictures than kernels", batch(4, 2, 2, 1, (3, draw.size(4, 6)), (2, 3)))
    yield Case("as many pictures as channels and outputs", batch(2, 4, 2, 2, (3, 5), (1, 2)))
    yield Case("a single kernel", batch(3, 1, 1, 2, (3, 4), (3, 4)))
    X, pi, weight = batch(3, 2, 2, 3, (4, 3), (2, 2))
    yield Case("channels last in memory", (X.contiguous(memory_format=torch.channels_last), pi, weight.mT))
    yield Case("fractions in float64", batch(2, 3, 2, 2, (4, 3), (2, 2), dtype=torch.float64))


def with_one(pick):
    """All pictures get the kernel that the attention `pick(pi)`, one row, makes."""
    return lambda X, pi, weight: F.conv2d(X, torch.einsum("k,koihw->oihw", pick(pi), weight))


def attention_turned(X, pi, weight):
    kernels = torch.einsum("kn,koihw->noihw", pi, weight).flatten(0, 1)
    Y = F.conv2d(X.reshape(1, -1, *X.shape[2:]), kernels, groups=len(X))
    return Y.reshape(len(X), weight.shape[1], *Y.shape[2:])


MENDED = Task(
    id="mended_dynamic",
    title="Mend it",
    kind="bug",
    points=1,
    difficulty=3,
    importance=5,
    minutes=8,
    oracle=dynamic,
    cases=mixtures,
    misconceptions=(
        Misconception(
            "unchanged",
            "There is still one kernel for the whole batch, the mean of all. Where are the pictures averaged? A letter "
            "that is missing on the right of einsum's arrow is summed over.",
            broken_dynamic,
        ),
        Misconception(
            "first_picture",
            "All pictures get the kernel of picture 0. Each picture needs its own.",
            with_one(lambda pi: pi[0]),
        ),
        Misconception(
            "sum_for_mean",
            "All pictures share one kernel, the sum of their kernels. Without the division it is larger, and still "
            "one. Keep the pictures apart instead.",
            with_one(lambda pi: pi.sum(0)),
        ),
        Misconception(
            "attention_ignored",
            "Every picture gets the plain mean of the stored kernels. How much each counts stands in `pi`.",
            with_one(lambda pi: torch.full_like(pi[0], 1 / len(pi[0]))),
        ),
        Misconception(
            "attention_turned",
            "You read `pi` the other way round. It has a row for each picture and a column for each kernel: `nk`.",
            attention_turned,
        ),
        Misconception(
            "softmax_again",
            "You take a softmax of `pi`, which is an attention already: its rows add up to 1. A second softmax makes "
            "it flatter.",
            lambda X, pi, weight: dynamic(X, pi.softmax(1), weight),
        ),
        Misconception(
            "winner",
            "You take the kernel with the most attention and leave out the others. All of them are mixed; besides, "
            "no gradient passes through a choice.",
            lambda X, pi, weight: dynamic(X, F.one_hot(pi.argmax(1), pi.shape[1]).to(pi.dtype), weight),
        ),
        Misconception(
            "still_divided",
            "Each picture has its own kernel now, but it is divided by the number of pictures. That division "
            "belonged to the mean.",
            lambda X, pi, weight: dynamic(X, pi, weight) / len(X),
        ),
        Misconception(
            "detached",
            "The answer is right, but no gradient reaches `pi`: the attention would never learn. Leave out "
            "`.detach()`, `.data` and `.item()`.",
            lambda X, pi, weight: dynamic(X, pi.detach(), weight),
        ),
    ),
    hints=(
        "Write down the shape that the mixed kernels must have: one for each picture, each with O outputs, C inputs, "
        "rows and columns. Which letter is missing on the right of the arrow?",
        '`torch.einsum("nk,koihw->noihw", pi, weight)` mixes a kernel for each picture, without a division. '
        "`conv2d_each` from task 2 lays them on the pictures.",
    ),
)

# ---------------------------------------------------------------------------------------------------------
# Predict shapes and counts
# ---------------------------------------------------------------------------------------------------------


def layer_in_numbers():
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


PREDICT = Task(
    id="dynamic_numbers",
    title="A dynamic layer in numbers",
    kind="predict",
    points=3,
    difficulty=3,
    importance=4,
    minutes=12,
    oracle=layer_in_numbers,
    cases=once,
    misconceptions=(
        Misconception(
            "stored_kernels",
            "For `mixed_kernels` you gave the stored ones, 4 of them. Mixed kernels are made for the pictures: one "
            "for each of the 5.",
            lambda: {"mixed_kernels": (4, 8, 6, 3, 3)},
        ),
        Misconception(
            "one_for_all",
            "For `mixed_kernels` you gave the kernel of a single picture. Each of the 5 pictures has its own.",
            lambda: {"mixed_kernels": (8, 6, 3, 3)},
        ),
        Misconception(
            "not_folded",
            "For `grouped_input` you gave the batch as it was. For the grouped call the pictures are written one "
            "after the other as channels of a single picture.",
            lambda: {"grouped_input": (5, 6, 10, 12)},
        ),
        Misconception(
            "five_dimensions",
            "For `grouped_weight`: a 2-D convolution takes a weight of four dimensions. The pictures' kernels are "
            "put one after the other along the outputs.",
            lambda: {"grouped_weight": (5, 8, 6, 3, 3)},
        ),
        Misconception(
            "weight_of_all_inputs",
            "In `grouped_weight` your kernels see all 30 channels. With groups, a weight's second axis is in/groups: "
            "the channels of one picture.",
            lambda: {"grouped_weight": (40, 30, 3, 3)},
        ),
        Misconception(
            "groups_are_kernels",
            "For `groups` you counted the stored kernels. Every *picture* is a group; the stored kernels are mixed "
            "before.",
            lambda: {"groups": 4},
        ),
        Misconception(
            "groups_are_channels",
            "With 30 groups each channel would be alone, as in a depthwise convolution. The channels of one picture "
            "belong together.",
            lambda: {"groups": 30},
        ),
        Misconception(
            "taken_apart",
            "For `grouped_answer` you gave the answer after it has been reshaped back. Out of the grouped call comes "
            "a single picture.",
            lambda: {"grouped_answer": (5, 8, 10, 12)},
        ),
        Misconception(
            "answer_without_padding",
            "For `grouped_answer` you left out the padding: with 1 on each side a 3×3 kernel keeps the size.",
            lambda: {"grouped_answer": (1, 40, 8, 10)},
        ),
        Misconception(
            "attention_not_counted",
            "For `parameters` you counted the kernels and their biases. The two linear layers that make the scores "
            "learn, too.",
            lambda: {"parameters": 1760},
        ),
        Misconception(
            "linear_biases_forgotten",
            "In `parameters` the biases of the two linear layers are missing: 3 and 4.",
            lambda: {"parameters": 1760 + 18 + 12},
        ),
        Misconception(
            "kernel_biases_forgotten",
            "In `parameters` the biases of the stored kernels are missing: 8 for each of the 4.",
            lambda: {"parameters": 4 * 432 + 37},
        ),
        Misconception(
            "one_bias",
            "For `parameters` you counted 8 biases once. Each of the 4 kernels brings 8 of its own; they are mixed, "
            "too.",
            lambda: {"parameters": 4 * 432 + 8 + 37},
        ),
        Misconception(
            "kernels_of_the_batch",
            "For `parameters` you counted a kernel for each picture. Those are computed, not learned, and would "
            "change with the size of the batch. Learned are the 4 stored ones.",
            lambda: {"parameters": 5 * 440 + 37},
        ),
        Misconception(
            "four_convolutions",
            "For `conv_macs` you counted 4 convolutions. The kernels are mixed first; then there is only one.",
            lambda: {"conv_macs": 4 * 51840},
        ),
        Misconception(
            "whole_batch",
            "For `conv_macs` you counted all 5 pictures. Asked is one.",
            lambda: {"conv_macs": 5 * 51840},
        ),
        Misconception(
            "macs_without_padding",
            "For `conv_macs` you took 8×10 places. With `padding=1` the answer has as many as the picture.",
            lambda: {"conv_macs": 80 * 432},
        ),
        Misconception(
            "operations",
            "For `conv_macs` you counted multiplications and additions as two operations. One multiply-accumulate is "
            "both together, so it is half as many.",
            lambda: {"conv_macs": 2 * 51840},
        ),
        Misconception(
            "mixed_at_every_place",
            "For `mixing_macs` you mixed at every place of the picture. A picture's kernel is mixed once and used at "
            "all places. That is why mixing is cheap.",
            lambda: {"mixing_macs": 120 * 1728},
        ),
        Misconception(
            "one_stored_kernel",
            "For `mixing_macs` you counted the weights of one kernel. For each weight of the mixed kernel, 4 stored "
            "ones are multiplied and added up.",
            lambda: {"mixing_macs": 432},
        ),
        Misconception(
            "mixed_for_the_batch",
            "For `mixing_macs` you counted all 5 pictures. Asked is one.",
            lambda: {"mixing_macs": 5 * 1728},
        ),
    ),
    hints=(
        "Which of the numbers 5 and 4 counts pictures, and which counts stored kernels? For each line, ask: is this "
        "made anew for every picture, or is it stored in the layer?",
        "Grouped: input (1, N·C, H, W), weight (N·O, C, k, k), N groups. Parameters: K · (weights + biases) of one "
        "kernel, and the two linear layers with their biases. Mixing: K times the weights of one kernel.",
    ),
)

# ---------------------------------------------------------------------------------------------------------
# CondConv
# ---------------------------------------------------------------------------------------------------------


class Oracle(nn.Module):
    def __init__(self, inputs, outputs, k, kernels):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(kernels, outputs, inputs, k, k) - 0.5)
        self.route = nn.Linear(inputs, kernels)

    def pool(self, X):
        return X.mean((2, 3))

    def routing(self, scores):
        return torch.sigmoid(scores)

    def forward(self, X):
        return dynamic(X, self.routing(self.route(self.pool(X))), self.weight)


def routed(routing=None, pool=None):
    """The layer, with another routing or another pooling."""
    changed = {"routing": routing, "pool": pool}
    named = {name: (lambda self, x, f=f: f(x)) for name, f in changed.items() if f}
    return type("Changed", (Oracle,), named)


class FreshKernels(Oracle):
    def __init__(self, inputs, outputs, k, kernels):
        super().__init__(inputs, outputs, k, kernels)
        self.shape = self.weight.shape
        del self.weight

    def forward(self, X):
        return dynamic(X, torch.sigmoid(self.route(self.pool(X))), torch.randn(self.shape))


class RouteWithoutBias(Oracle):
    def __init__(self, inputs, outputs, k, kernels):
        super().__init__(inputs, outputs, k, kernels)
        self.route = nn.Linear(inputs, kernels, bias=False)


class InputsFirst(Oracle):
    def __init__(self, inputs, outputs, k, kernels):
        super().__init__(inputs, outputs, k, kernels)
        self.weight = nn.Parameter(torch.rand(kernels, inputs, outputs, k, k))

    def forward(self, X):
        return dynamic(X, torch.sigmoid(self.route(self.pool(X))), self.weight.transpose(1, 2))


class InputsFirstAsTheyAre(InputsFirst):
    def forward(self, X):
        return dynamic(X, torch.sigmoid(self.route(self.pool(X))), self.weight)


def layers_to_build(seed):
    draw = Draw(seed)
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
        yield Case(label, (sizes, weights, draw.real(*size)), gradient=False)


LAYER = Task(
    id="CondConv",
    title="CondConv",
    kind="write",
    points=3,
    difficulty=4,
    importance=3,
    minutes=18,
    use="module",
    oracle=Oracle,
    cases=layers_to_build,
    misconceptions=(
        Misconception(
            "softmax",
            "Your kernels share by softmax. In CondConv each kernel has a dimmer of its own: a sigmoid.",
            routed(lambda scores: scores.softmax(1)),
        ),
        Misconception(
            "sums_to_one",
            "You divide the sigmoids by their sum. They need not add up to 1: the picture may turn all kernels up or "
            "down.",
            routed(lambda scores: scores.sigmoid() / scores.sigmoid().sum(1, keepdim=True)),
        ),
        Misconception(
            "mean_of_kernels",
            "You divide by the number of kernels. The stored kernels are multiplied by their sigmoids and added up, "
            "no more.",
            routed(lambda scores: scores.sigmoid() / scores.shape[1]),
        ),
        Misconception(
            "sigmoid_forgotten",
            "You mix with the scores as they are. A sigmoid must bring each between 0 and 1 first.",
            routed(lambda scores: scores),
        ),
        Misconception(
            "one_for_the_batch",
            "You average over the batch, so all pictures get one kernel. Each picture is routed by itself.",
            routed(lambda scores: scores.sigmoid().mean(0, keepdim=True).expand_as(scores)),
        ),
        Misconception(
            "first_picture",
            "All pictures are routed as picture 0. Each picture gets a kernel of its own.",
            routed(lambda scores: scores[:1].sigmoid().expand_as(scores)),
        ),
        Misconception(
            "maximum",
            "You pool with the maximum. The routing looks at the mean of each channel.",
            routed(pool=lambda X: X.amax((2, 3))),
        ),
        Misconception(
            "sum",
            "You add the pixels of a channel up. The routing looks at their mean.",
            routed(pool=lambda X: X.sum((2, 3))),
        ),
        Misconception(
            "detached",
            "The output is right, but no gradient reaches `route`: it would never learn which kernel to turn up. Leave "
            "out `.detach()`, `.data` and `no_grad`.",
            routed(lambda scores: scores.sigmoid().detach()),
        ),
        Misconception(
            "kernels_not_learned",
            "Your kernels are not among the parameters, so no optimizer ever sees them. Make them once, in "
            "`__init__`, as one `nn.Parameter`. A tensor drawn in `forward`, a plain tensor and a Python list are not "
            "found.",
            FreshKernels,
            matches=lambda value, *_: set(value["parameters"]) == {"route.weight", "route.bias"},
        ),
        Misconception(
            "inputs_first",
            "Your kernels have the shape (kernels, inputs, outputs, k, k). A weight has the outputs before the inputs.",
            InputsFirst,
            matches=lambda value, sizes, *_: value["parameters"].get("weight") == inputs_first(**sizes),
        ),
        Misconception(
            "inputs_and_outputs_exchanged",
            "With as many inputs as outputs it would work. Is a shape made with `inputs` before `outputs`? A weight is "
            "(kernels, outputs, inputs, k, k).",
            InputsFirstAsTheyAre,
        ),
        Misconception(
            "route_without_bias",
            "Your `route` has no bias. With one, a kernel can be turned up or down whatever the picture is: "
            "`nn.Linear(inputs, kernels)`.",
            RouteWithoutBias,
        ),
    ),
    hints=(
        "What is stored in the layer, and what is made anew for each picture? Which of your own functions from this "
        "sheet do the last step?",
        "`r = torch.sigmoid(self.route(X.mean((2, 3))))`, then the kernels by `einsum` with `nk,koihw->noihw`, then "
        "`conv2d_each`. Stored: `self.weight`, an `nn.Parameter`, and `self.route`, an `nn.Linear`.",
    ),
)


def inputs_first(inputs, outputs, k, kernels):
    return (kernels, inputs, outputs, k, k)


TASKS = (ATTENTION, EACH, EXPOSE, MENDED, PREDICT, LAYER)
