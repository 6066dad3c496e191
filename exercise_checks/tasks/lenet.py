"""Tasks of sheet 13: the network's numbers, the network, its loss, the loop that trains it, and what it has learned."""

from dataclasses import replace
from functools import cache

import torch
import torch.nn.functional as F
from torch import nn

from course_utils import data, lenet
from exercise_checks.running.observing import Case
from exercise_checks.tasks.task import Draw, slips, task


def torch_numbers():
    """What torch's own layers say. The activations are left out: they change no shape and have no parameters."""
    net = nn.Sequential(
        *(nn.Conv2d(3, 6, 5, padding=2), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.AvgPool2d(2), nn.Flatten()),
        *(nn.Linear(784, 120), nn.Linear(120, 84), nn.Linear(84, 10)),
    )
    X = torch.zeros(1, 3, 36, 36)
    counts = [sum(p.numel() for p in layer.parameters()) for layer in net]
    return {
        "pool1": tuple(net[:2](X).shape[1:]),
        "conv2": tuple(net[:3](X).shape[1:]),
        "flatten": net[:5](X).shape[1],
        "conv1_parameters": counts[0],
        "fc1_parameters": counts[5],
        "parameters": sum(counts),
        "bytes": 4 * sum(counts),
    }


@task("Every number of a LeNet", kind="predict", points=2, difficulty=2, importance=5, minutes=10, oracle=torch_numbers)
def lenet_numbers():
    """Write one line for each layer: size before, size after. Which layers change the size, and which the number of
    channels? Pooling has no parameters.

    The sides are 36, 36, 18, 14, 7. Parameters of a layer: outputs × (inputs × kernel area + 1), where a linear layer
    has the kernel area 1. Four bytes each.
    """
    return {
        "pool1": (6, 18, 18),
        "conv2": (16, 14, 14),
        "flatten": 784,
        "conv1_parameters": 456,
        "fc1_parameters": 94200,
        "parameters": 108086,
        "bytes": 432344,
    }


slips(lenet_numbers, """
copied = {"flatten": 400}
    For `flatten` you gave the number of the lesson's LeNet, for pictures of 28×28. The pictures here are larger.
padding_forgotten = {"pool1": (6, 16, 16), "conv2": (16, 12, 12), "flatten": 16 * 6 * 6}
    You forgot the padding of the first layer. 36 + 2·2 - 5 + 1 = 36: it keeps the size.
padding_twice = {"conv2": (16, 18, 18), "flatten": 16 * 9 * 9}
    You gave the second convolution a padding, too. It has none: 5 - 1 = 4 rows and columns go.
channels_last = {"pool1": (18, 18, 6), "conv2": (14, 14, 16)}
    Channels come first: (channels, rows, columns).
one_map = {"flatten": 7 * 7}
    `flatten` lays *all* maps in one row: the number of pixels of a map, times the number of channels.
pooling_forgotten = {"flatten": 16 * 14 * 14}
    For `flatten` you counted the answer of the second convolution. A pooling stands between it and `flatten`.
colours_forgotten = {"conv1_parameters": 6 * (5 * 5 + 1)}
    For `conv1_parameters` you gave each kernel one layer. The picture has three channels, so each of the six kernels
    has 3·5·5 numbers, and its bias.
no_bias = {"conv1_parameters": 6 * 3 * 5 * 5}
    You left out the biases: one number for each output channel, or for each output of a linear layer.
no_bias_in_linear = {"fc1_parameters": 784 * 120}
    For `fc1_parameters` you left out the biases: each of the 120 outputs has one, too.
one_byte_each = {"parameters": 108086, "bytes": 108086}
if: lambda value: value["bytes"] == value["parameters"]
    For `bytes` you gave the number of parameters. A float32 takes 32 bits, which is more than one byte.
kilobytes = {"bytes": 432.1}
if: lambda value: 400 < value["bytes"] < 450
    For `bytes` you counted in thousands. The task asks for single bytes.
bits = {"bytes": 32 * 108086}
    For `bytes` you counted bits. Eight bits are one byte.
float64 = {"bytes": 8 * 108086}
    For `bytes` you took eight bytes a number. That is float64; torch's parameters are float32.
""")  # fmt: skip


def networks_to_build(draw: Draw):
    pictures = {10: draw.real(2, 1, 28, 28), 3: draw.real(1, 1, 28, 28), 4: draw.real(3, 1, 28, 28).mT}
    labels = "ten classes", "a batch of one picture", "pictures that are not contiguous"
    for label, (classes, X) in zip(labels, pictures.items(), strict=True):
        shapes = {name: p.shape for name, p in DigitNet.answer(classes).named_parameters()}
        weights = {name: draw.real(*shape) / shape[1:].numel() ** 0.5 for name, shape in shapes.items()}
        yield label, {"classes": classes}, weights, X


@task(
    "A LeNet of today", networks_to_build, points=3, difficulty=3, importance=5, minutes=15,
    use="module", gradient=False,
)  # fmt: skip
class DigitNet(nn.Module):
    """Which shape has the picture after each layer? Write it beside the layer. How many numbers does `nn.Flatten()`
    hand on to the first `nn.Linear`?

    Take the lesson's `build`: `nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), ...`,
    with `nn.Linear(84, classes)` as the last layer, and nothing behind it.
    """

    def __init__(self, classes):
        super().__init__()
        layers = [
            *(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),  # N × 6 × 14 × 14
            *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)),  # N × 16 × 5 × 5
            *(nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU()),
            nn.Linear(84, classes),
        ]
        self.net = nn.Sequential(*layers)

    def forward(self, X):
        return self.net(X)


slips(DigitNet, """
sigmoid_left: nn.ReLU -> nn.Sigmoid
    Your network bends with the sigmoid, as in 1998. The task asks for `nn.ReLU()`.
average_left: nn.MaxPool2d -> nn.AvgPool2d
    Your network pools by averaging. The task asks for `nn.MaxPool2d(2)`.
nothing_exchanged: nn.ReLU -> nn.Sigmoid
and: nn.MaxPool2d -> nn.AvgPool2d
    This is the lesson's LeNet as it was, with the sigmoid and with average pooling. The task asks for `nn.ReLU()` and
    `nn.MaxPool2d(2)`.
always_ten: 84, classes -> 84, 10
if: lambda value, *_: value["parameters"]["net.11.weight"] == (10, 84)
    Your network always has ten scores. Their number is `classes`, which `__init__` is given.
softmax_at_the_end: *layers -> *layers, nn.Softmax(1)
    Your network ends with a softmax. `F.cross_entropy` contains one already; with two of them, a network that is sure
    and wrong gets no gradient. Return the scores.
bent_at_the_end: *layers -> *layers, nn.ReLU()
    There is a ReLU behind the last linear layer, so no score can be negative. Scores must be free to go anywhere.
no_padding: , padding=2 ->
and: 400 -> 256
    Your first convolution has no padding: its maps have 24×24 pixels, and 16·4·4 = 256 numbers reach the first linear
    layer. Padding 2 keeps the 28×28.
padding_left_out: , padding=2 ->
    Your first linear layer expects 400 numbers, and 256 reach it. The first convolution needs `padding=2`; without it
    the sides are 24, 12, 8, 4.
no_bias: 5, padding=2), -> 5, padding=2, bias=False),
and: 16, 5), -> 16, 5, bias=False),
and: 120), -> 120, bias=False),
and: 84), -> 84, bias=False),
and: 84, classes), -> 84, classes, bias=False),
    Your layers have no bias. Leave `bias` as it is by default.
batch_flattened: nn.Flatten() -> nn.Flatten(0)
    You flatten the pictures of a whole batch into one row. `nn.Flatten()` keeps the first axis, one row for each
    picture.
in_a_list: nn.Sequential(*layers) -> layers
and: self.net(X) -> nn.Sequential(*self.net)(X)
if: lambda value, *_: value["parameters"] == {}
    Your network has no parameters, and no optimizer would train it. nn.Module does not look into a plain Python list;
    `self.net = nn.Sequential(...)` registers its layers.
""")  # fmt: skip


def torch_loss(scores, y):
    return F.cross_entropy(scores, y)


def scores_and_labels(draw: Draw):
    four = torch.tensor([[2.0, 1.0, 0.0, -1.0]])
    yield "the scores of lesson 13, class 0 true", four, torch.tensor([0])
    yield "the scores of lesson 13, class 3 true", four, torch.tensor([3])
    yield "ten equal scores", torch.zeros(1, 10), torch.tensor([4])
    yield "a batch of five", draw.real(5, 3) * 2, draw.whole(5, low=0, high=2, dtype=torch.int64)
    yield "as many pictures as classes", draw.real(4, 4) * 2, torch.tensor([1, 3, 1, 0])
    yield "scores that are not contiguous", draw.real(4, 3).T * 2, torch.tensor([3, 0, 0])
    yield "fractions in float64", draw.real(3, 6, dtype=torch.float64) * 2, torch.tensor([5, 0, 2])
    sure = torch.tensor([[300.0, 0.0, 0.0], [0.0, 300.0, 0.0]])
    known = torch.tensor([[300.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    yield Case("a picture with large scores, one with small", (known, torch.tensor([0, 1])), gradient=False)
    yield Case("a network that is sure, and wrong once", (sure, torch.tensor([2, 1])), gradient=False)


def is_close(value, want):
    return bool(torch.isclose(value.double(), want.double(), rtol=1e-4, atol=1e-5))


def breaks_down(where_known, where_wrong):
    """Right where scores are moderate. The two tests say what becomes of the last two cases."""

    def matches(value, scores, y):
        if scores.max() <= 100:
            return is_close(value, torch_loss(scores, y))
        return bool(where_known(value) if y.tolist() == [0, 1] else where_wrong(value))

    return matches


def slips_where_moderate(of, text):
    """Mistakes that are known by the moderate scores alone: they may be made in a formula that overflows."""

    def known_by(wrong):
        return lambda value, scores, y: scores.max() > 100 or is_close(value, wrong(scores, y))

    strict = replace(of, slips=[])
    slips(strict, text)
    of.slips.append(lambda: (replace(m, matches=known_by(m.wrong)) for m in strict.misconceptions))


@task(
    "From scores to one number", scores_and_labels, points=2, difficulty=3, importance=5, minutes=15,
    oracle=torch_loss,
)  # fmt: skip
def cross_entropy(scores, y):
    """Take a pencil: four scores, four powers, their sum, the probability of the true class, its logarithm. Which of
    these lines needs an axis? And what is ln(a / b)?

    `s = scores - scores.max(1, keepdim=True).values`, then `s - s.exp().sum(1, keepdim=True).log()` is ln p for all
    classes. Pick `[range(len(y)), y]`, and take minus the mean.
    """
    s = scores - scores.max(1, keepdim=True).values
    log_p = s - s.exp().sum(1, keepdim=True).log()
    return -log_p[range(len(y)), y].mean()


slips(cross_entropy, """
runs_over: scores.max(1, keepdim=True).values -> 0
and: s - s.exp().sum(1, keepdim=True).log() -> (s.exp() / s.exp().sum(1, keepdim=True)).log()
if: breaks_down(torch.isnan, torch.isnan)
    Your loss is right for moderate scores. But in float32 exp(300) is infinite, and infinite divided by infinite is no
    number. Subtract each row's largest score first: no probability changes.
sum_runs_over: scores.max(1, keepdim=True).values -> 0
if: breaks_down(torch.isposinf, torch.isposinf)
    Your loss is right for moderate scores. But in float32 exp(300) is infinite, and so is the sum of the powers.
    Subtract each row's largest score first: no probability changes.
quotient_vanishes: s - s.exp().sum(1, keepdim=True).log() -> (s.exp() / s.exp().sum(1, keepdim=True)).log()
if: breaks_down(lambda value: is_close(value, torch.tensor(0.5493)), lambda value: not value.isfinite())
    Large scores no longer run over. But a probability of exp(-300) is 0 in float32, and 0 has no logarithm. Do not
    take the logarithm of the quotient: ln p = s - ln(sum of the powers).
bottom_under_p: s - s.exp().sum(1, keepdim=True).log() -> (s.exp() / s.exp().sum(1, keepdim=True) + 1e-9).log()
if: breaks_down(torch.isfinite, lambda value: value < 140)
    You keep p away from 0, with `clamp` or a small number added. Then the loss stops growing just where the network is
    most wrong, and no gradient tells it so. Write ln p as s - ln(sum of the powers).
largest_of_all: max(1, keepdim=True).values -> max()
    You subtract the largest score of the whole batch. For a picture whose scores are all far below it, every power is
    0. Subtract from each row its own largest score.
column_lost: max(1, keepdim=True) -> max(1)
    The largest scores must stand in a column, one beside each row. `max(1)` alone makes one row of them, which is laid
    along the classes: `max(1, keepdim=True).values`.
""")  # fmt: skip
slips_where_moderate(cross_entropy, """
softmax_twice: s = scores - scores.max(1, keepdim=True).values -> s = scores.softmax(1)
    There are two softmaxes in your loss: powers were taken of numbers that are probabilities already. The logarithm is
    that of p itself.
over_the_batch: (1, keepdim=True) -> (0, keepdim=True)
    Your probabilities add up to 1 down the columns: over the pictures of the batch. Each *picture* has its own
    probabilities, which add up to 1 along its row, axis 1.
over_everything: max(1, keepdim=True).values -> max()
and: sum(1, keepdim=True) -> sum()
    You divide by the sum over *all* pictures. Each picture has its own sum, along its row: `sum(1, keepdim=True)`.
summed: .mean() -> .sum()
    You add up the losses of the batch. Take their mean, or the step would grow with the batch.
minus_forgotten: return - -> return +
    Your loss is negative. The logarithm of a probability is at most 0, and the loss is *minus* that logarithm.
every_label: [range(len(y)), y] -> [:, y]
    `p[:, y]` takes, for every picture, the labels of *all* pictures. For picture i you want p[i, y[i]]:
    `p[range(len(y)), y]`.
every_class: [range(len(y)), y] ->
    You take the mean over all classes. Only the probability of the *true* class counts: p[i, y[i]].
mean_too_early: .mean() -> .exp().mean().log()
    You take the mean of the probabilities, and then one logarithm. Each picture has its own loss -ln p; the mean is
    taken of those.
no_logarithm: return -log_p -> return 1 - log_p.exp()
    You took 1 - p. It is small when p is large, but the loss of this lesson is -ln p, which grows without end as p
    goes to 0.
""")  # fmt: skip


def broken_train(X, y, batch_size, epochs):
    net = nn.Linear(X.shape[1], 3)
    nn.init.zeros_(net.weight)
    nn.init.zeros_(net.bias)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(epochs):
        for i in range(len(X) // batch_size):
            batch = slice(i * batch_size, (i + 1) * batch_size)
            loss = F.cross_entropy(net(X[batch]), y[batch])
            loss.backward()
            optimizer.step()
    return net.weight


def unfit(value):
    """What is wrong with the form of pictures, labels, batch size and epochs, or None."""
    if not (isinstance(value, tuple) and len(value) == 4):
        return "Return pictures, labels and two whole numbers: `return X, y, batch_size, epochs`."
    X, y, batch_size, epochs = value
    if not (isinstance(X, torch.Tensor) and isinstance(y, torch.Tensor)):
        return "X and y must be tensors, as `torch.rand(4, 2)` and `torch.tensor([0, 1, 2, 0])`."
    if not (type(batch_size) is int and type(epochs) is int):
        return "The batch size and the number of epochs must be whole numbers."
    if X.ndim != 2 or y.ndim != 1 or len(X) != len(y) or not 0 < X.numel() <= 1000:
        return "X must have one row for each picture, y one label for each picture, and X at most 1000 numbers."
    if X.dtype != torch.float32 or y.dtype != torch.int64:
        return "X must be float32, as `torch.rand(4, 2)`, and y must hold int64, as `torch.tensor([0, 2])`."
    if not ((y >= 0) & (y < 3)).all() or not X.isfinite().all():
        return "There are three classes: labels are 0, 1 or 2. And the numbers in X must be finite."
    if not (1 <= batch_size <= 1000 and 1 <= epochs <= 20):
        return "Take a batch size from 1 to 1000 and 1 to 20 epochs."
    return None


def exposes(value):
    """Pictures, labels, a batch size and a number of epochs on which `broken_train` goes wrong."""
    if unfit(value):
        return unfit(value)
    if torch.allclose(broken_train(*value), mended_train.answer(*value), rtol=1e-4, atol=1e-5):
        return "On this input `broken_train` is right. Look for one on which it is not."
    return None


@task(
    "Find an input that breaks it", kind="bug", points=1, difficulty=2, importance=4, minutes=5,
    accept=exposes, broken=broken_train,
)  # fmt: skip
def breaks_train():
    """Compare it with the loop of section 13.5, line by line. Which line is missing? After how many steps does that
    matter?

    Leave the author's pictures as they are, and take two epochs. Or take a batch size that does not divide the number
    of pictures.
    """
    return torch.eye(3), torch.arange(3), 3, 2


slips(breaks_train, """
dark = torch.zeros(4, 2), torch.tensor([0, 1, 2, 0]), 2, 3
if: lambda value: not unfit(value) and not value[0].any()
    Your pictures are zero everywhere. Then the weights get no gradient at all, from a right loop or a wrong one.
one_step = torch.rand(4, 2), torch.tensor([0, 1, 2, 0]), 4, 1
if: lambda value: not unfit(value) and value[3] == 1 and value[2] == len(value[0])
    One batch and one epoch make one step. That is what the author tried. What is wrong shows in what happens between
    two steps, or at the end of the pile.
nothing_to_learn = torch.ones(3, 2), torch.arange(3), 3, 2
if: lambda value: not unfit(value) and bool(mended_train.answer(*value).abs().max() < 1e-5)
    On this input a right loop hardly moves its weights: the classes have the same pictures, or the numbers in X are
    tiny. Let the classes differ, by numbers around 1.
""")  # fmt: skip


def piles_to_learn(draw: Draw):
    def pile(n, numbers):
        return draw.real(n, numbers), (torch.arange(n) * 2 + draw.size(0, 2)) % 3

    yield "one batch, one epoch", *pile(4, 2), 4, 1
    yield "one batch, three epochs", *pile(4, 2), 4, 3
    yield "two batches, two epochs", *pile(6, 4), 3, 2
    yield "a last batch that is smaller", *pile(7, 3), 3, 2
    yield "a batch size larger than the pile", *pile(5, 3), 8, 2
    yield "batches of one picture", *pile(5, 2), 1, 2
    X, (_, y) = draw.turned(6, 5) / 4, pile(6, 1)
    yield "pictures that are not contiguous", X, y, 4, 2


@task(
    "Mend it", piles_to_learn, kind="bug", points=2, difficulty=3, importance=5, minutes=10,
    gradient=False, absolute=1e-5,
    imports=("torch._dynamo",), seconds=10,  # the first optimizer of a session loads a good part of torch
)  # fmt: skip
def mended_train(X, y, batch_size, epochs):
    """Print `net.weight.grad` after each `backward`, twice on the same batch without a step in between. What has
    happened to it? And which `i` come out of `range(7 // 3)`?

    `optimizer.zero_grad()` before `loss.backward()`. And let the loop go over `range(0, len(X), batch_size)`: a slice
    may end behind the last picture, and then it is shorter.
    """
    net = nn.Linear(X.shape[1], 3)
    nn.init.zeros_(net.weight)
    nn.init.zeros_(net.bias)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(epochs):
        for start in range(0, len(X), batch_size):
            batch = slice(start, start + batch_size)
            loss = F.cross_entropy(net(X[batch]), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return net.weight


slips(mended_train, """
unchanged = broken_train
    Both mistakes are still there: each step follows the sum of all gradients so far, and pictures at the end of the
    pile are left out.
rest_left_out: len(X) -> len(X) // batch_size * batch_size
    The gradients are mended. But `len(X) // batch_size` counts whole batches only: the pictures after the last whole
    one are never seen.
gradients_pile_up: optimizer.zero_grad() -> pass
    All pictures are seen now. But `backward` adds to the gradients that are there: each step follows the sum of all
    gradients so far. Forget them before each `backward`.
zeroed_too_late: loss.backward() -> loss.backward(); optimizer.zero_grad()
    Your weights never move. Either there is no `step`, or `zero_grad` stands between `backward` and `step`, and the
    step finds no gradient.
zeroed_once_an_epoch: optimizer.zero_grad() -> if start == 0: optimizer.zero_grad()
    You forget the gradients once an epoch. Within an epoch they still pile up, from batch to batch.
one_epoch: range(epochs) -> range(1)
    Whatever `epochs` says, your weights are those after a single epoch. Does `return` stand inside the loop, or is the
    network made anew in each epoch?
start_times_size: slice(start, start + batch_size) -> slice(start * batch_size, (start + 1) * batch_size)
    `range(0, len(X), batch_size)` already gives the places where batches begin, and your slice multiplies them by
    `batch_size` once more. A batch goes from `i` to `i + batch_size`.
divided_by_batch_size: y[batch]) -> y[batch], reduction="sum") / batch_size
    You divide the sum by `batch_size`, also in a last batch that has fewer pictures. Its loss is the mean over those it
    has.
whole_pile: batch_size) -> len(X))
    You make one step an epoch, on the whole pile. Each batch of `batch_size` pictures has a step of its own.
softmax_first: net(X[batch]) -> net(X[batch]).softmax(1)
    You put a softmax before `F.cross_entropy`, which contains one already. The steps become smaller, and a network that
    is sure and wrong stands still.
losses_summed: y[batch]) -> y[batch], reduction="sum")
    Your loss is the sum over the batch. Take the mean, as `F.cross_entropy` does by default: otherwise the step grows
    with the batch.
""")  # fmt: skip


def torch_confusion(scores, y):
    classes = scores.shape[1]
    return F.one_hot(y, classes).T @ F.one_hot(scores.argmax(1), classes)


def answers_to_count(draw: Draw):
    def scores(said, classes, dtype=torch.float32):
        """Scores of which no two are equal, and the largest belong to the classes `said`."""
        return draw.distinct(len(said), classes, dtype=dtype) + 100 * F.one_hot(torch.tensor(said), classes)

    yield "six pictures, three classes", scores([0, 0, 1, 1, 2, 0], 3), torch.tensor([0, 0, 2, 1, 1, 1])
    yield "as many pictures as classes", scores([3, 0, 0, 0], 4), torch.tensor([3, 1, 0, 1])
    yield "a class that does not occur", scores([0, 2, 4, 0, 0, 1, 2], 5), torch.tensor([0, 2, 1, 0, 2, 1, 2])
    yield "a batch of one", draw.distinct(1, 4), torch.tensor([2])
    yield "many pictures", draw.distinct(40, 6), draw.whole(40, low=0, high=5, dtype=torch.int64)
    yield "scores that are not contiguous", draw.distinct(3, 9).T, torch.arange(9) % 3
    yield "scores in float64", scores([2, 0, 2, 0, 1], 3, torch.float64), torch.tensor([2, 2, 2, 0, 0])


def are_shares(value, scores, y):
    table = torch_confusion(scores, y)
    shares = table / table.sum(1, keepdim=True)
    return torch.allclose(value.float().nan_to_num(), shares.nan_to_num())


@task(
    "Which is taken for which", answers_to_count, points=2, difficulty=2, importance=4, minutes=10,
    oracle=torch_confusion,
)  # fmt: skip
def confusion(scores, y):
    """What does the network say to picture i? In which row, and in which column, does this picture add 1?

    `said = scores.argmax(1)`; then for each pair of `zip(y, said)` add 1 to `table[true, answer]`, in a table of zeros
    with as many rows and columns as there are classes.
    """
    classes = scores.shape[1]
    said = scores.argmax(1)
    table = torch.zeros(classes, classes, dtype=torch.int64)
    for i in range(len(y)):
        table[y[i], said[i]] += 1
    return table


slips(confusion, """
turned: y[i], said[i] -> said[i], y[i]
    Rows and columns are exchanged: the row is the digit written, the column what the network says.
counted_once: += 1 -> = 1
    Each pair is counted once, however often it occurs. `= 1` forgets what was there; and `table[y, said] += 1` without
    a loop reads all old numbers before it writes any. Use a loop with `+= 1`, or `bincount`.
over_the_batch: argmax(1) -> argmax(0)
    You ask each *class* for its best picture: `argmax(0)` goes down the columns. Each picture has a row of scores; its
    answer is the place of the largest, `argmax(1)`.
size_from_labels: scores.shape[1] -> int(y.max()) + 1
    Your table is as large as the labels that occur. A class without a picture needs its row, too, and it may well be
    an answer. The number of classes is the number of scores.
float_counts: , dtype=torch.int64 ->
    The counts are right, but they are fractions by type: `torch.zeros(...)` makes float32. Counts are whole numbers:
    `dtype=torch.int64`.
shares: return table -> return table / table.sum(1, keepdim=True)
if: are_shares
    You divide each row by its sum. The task asks for counts: a share does not say how many pictures it rests on, and
    an empty row has none.
smallest_score: argmax -> argmin
    You take the *smallest* score of each picture. The answer is the class with the largest one.
""")  # fmt: skip


LEARN, UNSEEN, ENOUGH = 1000, 200, 0.9


@cache
def digits():
    return data.load("digits")


def digits_to_read(draw: Draw):
    (X, y), (unseen, _) = digits().train, digits().test
    some = torch.randperm(len(X), generator=draw.generator)[:LEARN]
    some = some[y[some].argsort(stable=True)]  # as in many files: all zeros, then all ones
    asked = torch.randperm(len(unseen), generator=draw.generator)[:UNSEEN]
    yield "the handwritten digits", X[some], y[some], unseen[asked]


def labels_of(unseen):
    """The true classes of unseen pictures. They are looked up here, so that no case carries them."""
    X, y = digits().test
    return y[torch.cdist(unseen.flatten(1), X.flatten(1)).argmin(1)]


def right_answers(value, unseen):
    return value["classes"] == labels_of(unseen)


def accuracy(value, unseen):
    return right_answers(value, unseen).float().mean().item()


def reads(value, X, y, unseen):
    """At least nine in ten unseen pictures are read."""
    if not value["finite"]:
        return "Some scores are not finite numbers."
    right = int(right_answers(value, unseen).sum())
    needed = round(ENOUGH * len(unseen))
    if right < needed:
        return f"Of {len(unseen)} unseen pictures your network reads {right}; {needed} are asked for."
    return None


def says_one_thing(value, *_):
    return value["classes"].bincount().max() > 0.9 * len(value["classes"])


def says_other_names(value, X, y, unseen):
    """Each digit has an answer of its own, and it is another digit's name."""
    answers = [value["classes"][labels_of(unseen) == digit].bincount() for digit in range(10)]
    alike = sum(int(counts.max()) for counts in answers)
    names = {int(counts.argmax()) for counts in answers}
    return alike > 0.7 * len(unseen) and len(names) > 8 and accuracy(value, unseen) < 0.3


def never_says_some(value, X, y, unseen):
    """Where the true digit is among the answers that occur, nine in ten are right."""
    said = value["classes"].unique()
    known = torch.isin(labels_of(unseen), said)
    return len(said) < 10 and right_answers(value, unseen)[known].float().mean() > 0.9


@task(
    "Train a network that reads", digits_to_read, points=3, difficulty=4, importance=5, minutes=25,
    use="training", gradient=False, accept=reads, seconds=60,
    oracle=lambda X, y, *unseen: train_digits.answer(X, y),  # with a name for the case's third argument
    # The unseen digits are from a data set that everybody has, with their labels.
    forbids=frozenset({"load_digits", "data.load"}),
    imports=("torch._dynamo", "sklearn.datasets"),
)  # fmt: skip
def train_digits(X, y):
    """Which five lines does the loop of section 13.5 repeat for each batch? And which of the recipes of section 13.7
    got moving within six epochs?

    `net = lenet.ModernLeNet()`, `torch.optim.AdamW(net.parameters(), lr=0.003)`, and ten times: for each `batch` of
    `torch.randperm(len(X)).split(50)` the loss `F.cross_entropy(net(X[batch]), y[batch])`, `zero_grad`, `backward`,
    `step`.
    """
    net = lenet.ModernLeNet()
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.003)
    for _ in range(6):
        for batch in torch.randperm(len(X)).split(50):
            loss = F.cross_entropy(net(X[batch]), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return net


slips(train_digits, """
not_finite: lr=0.003 -> lr=1e12
if: lambda value, *_: not value["finite"]
    The scores of your network are not finite numbers: the steps were so large that the weights left all bounds. Take a
    smaller learning rate.
one_answer: ModernLeNet -> LeNet
and: torch.randperm -> torch.arange
if: says_one_thing
    Your network says the same to nearly all pictures. Print the loss of each epoch. Does it stay near ln 10 = 2.30?
    Then look at `zero_grad`, at `step`, at the learning rate and the activation (13.7), and whether `X[batch]` and
    `y[batch]` share one permutation. Does it fall? Then see whether each epoch goes over the whole pile in a new order:
    it is sorted by class.
renamed: y[batch] -> (y[batch] + 1) % 10
if: says_other_names
    Your network tells the digits apart, but calls them by other names. The labels it learned from were not those of the
    pictures' classes: were they shifted, or counted from 1?
chance: net = -> X, y = X[::10], y[torch.randperm(len(X))[::10]]; net =
and: range(6) -> range(30)
if: lambda value, X, y, unseen: accuracy(value, unseen) < 0.2
    Your network answers as if by chance. Does the loss fall from ln 10 = 2.30, or are rate and number of epochs too
    small for it to begin? Do the labels still belong to their pictures? One permutation must serve both: `X[batch]` and
    `y[batch]`. And is the network that you return the one whose parameters the optimizer has?
some_never_said: len(X) -> 600
if: never_says_some
    There are digits that your network never says; the others it reads. Does every epoch go over the whole pile? It is
    sorted by class, so a part of it lacks digits. If it does: is there a softmax before `F.cross_entropy`, which
    contains one?
not_there_yet: lr=0.003 -> lr=0.0005
and: range(6) -> range(1)
if: lambda value, X, y, unseen: 0.2 <= accuracy(value, unseen) < ENOUGH
    Your network reads, but not well enough. Print the loss of each epoch. If it still falls, train for more epochs. If
    it does not, change the learning rate or the optimizer, and see whether each epoch goes over the whole pile, in a
    new permutation.
""")  # fmt: skip
