"""Tasks of sheet 13: the network's numbers, the network, its loss, the loop that trains it, and what it has learned."""

from functools import cache

import torch
import torch.nn.functional as F
from torch import nn

from course_utils import data
from exercise_checks.running.observing import Case
from exercise_checks.tasks.old_task import Draw, Misconception, Task, once

# ---------------------------------------------------------------------------------------------------------
# Predict shapes and parameters: LeNet for colour pictures of 36×36, padding 2 in its first layer
# ---------------------------------------------------------------------------------------------------------


def colour_lenet(channels=3, side=36, padding=(2, 0), bias=True):
    """LeNet up to its first linear layer, and the rest, which never changes."""
    layers = [nn.Conv2d(channels, 6, 5, padding=padding[0], bias=bias), nn.Sigmoid(), nn.AvgPool2d(2)]
    layers += [nn.Conv2d(6, 16, 5, padding=padding[1], bias=bias), nn.Sigmoid(), nn.AvgPool2d(2), nn.Flatten()]
    flat = nn.Sequential(*layers)(torch.zeros(1, channels, side, side)).shape[1]
    return nn.Sequential(*layers, *(nn.Linear(a, b, bias=bias) for a, b in ((flat, 120), (120, 84), (84, 10))))


def numbers_of(net, *names, side=36):
    """What the network `net` says to the questions `names`; to all of them if none is named."""
    counts = [sum(p.numel() for p in layer.parameters()) for layer in net]
    X, shapes = torch.zeros(1, net[0].in_channels, side, side), []
    for layer in net:
        X = layer(X)
        shapes.append(tuple(X.shape[1:]))
    found = {"pool1": shapes[2], "conv2": shapes[3], "flatten": shapes[6][0], "conv1_parameters": counts[0]}
    found |= {"fc1_parameters": counts[7], "parameters": sum(counts), "bytes": 4 * sum(counts)}
    return {name: found[name] for name in names or found}


SHAPES = Task(
    id="lenet_numbers",
    title="Every number of a LeNet",
    kind="predict",
    points=2,
    difficulty=2,
    importance=5,
    minutes=10,
    oracle=lambda: numbers_of(colour_lenet()),
    cases=once,
    misconceptions=(
        Misconception(
            "copied",
            "For `flatten` you gave the number of the lesson's LeNet, for pictures of 28×28. The pictures here are "
            "larger.",
            lambda: {"flatten": 400},
        ),
        Misconception(
            "padding_forgotten",
            "You forgot the padding of the first layer. 36 + 2·2 - 5 + 1 = 36: it keeps the size.",
            lambda: numbers_of(colour_lenet(padding=(0, 0)), "pool1", "conv2", "flatten"),
        ),
        Misconception(
            "padding_twice",
            "You gave the second convolution a padding, too. It has none: 5 - 1 = 4 rows and columns go.",
            lambda: numbers_of(colour_lenet(padding=(2, 2)), "conv2", "flatten"),
        ),
        Misconception(
            "channels_last",
            "Channels come first: (channels, rows, columns).",
            lambda: {"pool1": (18, 18, 6), "conv2": (14, 14, 16)},
        ),
        Misconception(
            "one_map",
            "`flatten` lays *all* maps in one row: the number of pixels of a map, times the number of channels.",
            lambda: {"flatten": 49},
        ),
        Misconception(
            "pooling_forgotten",
            "For `flatten` you counted the answer of the second convolution. A pooling stands between it and "
            "`flatten`.",
            lambda: {"flatten": 16 * 14 * 14},
        ),
        Misconception(
            "colours_forgotten",
            "For `conv1_parameters` you gave each kernel one layer. The picture has three channels, so each of "
            "the six kernels has 3·5·5 numbers, and its bias.",
            lambda: numbers_of(colour_lenet(channels=1), "conv1_parameters"),
        ),
        Misconception(
            "no_bias",
            "You left out the biases: one number for each output channel, or for each output of a linear layer.",
            lambda: numbers_of(colour_lenet(bias=False), "conv1_parameters"),
        ),
        Misconception(
            "no_bias_in_linear",
            "For `fc1_parameters` you left out the biases: each of the 120 outputs has one, too.",
            lambda: numbers_of(colour_lenet(bias=False), "fc1_parameters"),
        ),
        Misconception(
            "one_byte_each",
            "For `bytes` you gave the number of parameters. A float32 takes 32 bits, which is more than one byte.",
            lambda: {"parameters": 108086, "bytes": 108086},
            matches=lambda value: value["bytes"] == value["parameters"],
        ),
        Misconception(
            "kilobytes",
            "For `bytes` you counted in thousands. The task asks for single bytes.",
            lambda: {"bytes": 432.1},
            matches=lambda value: 400 < value["bytes"] < 450,
        ),
        Misconception(
            "bits",
            "For `bytes` you counted bits. Eight bits are one byte.",
            lambda: {"bytes": 32 * 108086},
        ),
        Misconception(
            "float64",
            "For `bytes` you took eight bytes a number. That is float64; torch's parameters are float32.",
            lambda: {"bytes": 8 * 108086},
        ),
    ),
    hints=(
        "Write one line for each layer: size before, size after. Which layers change the size, and which the "
        "number of channels? Pooling has no parameters.",
        "The sides are 36, 36, 18, 14, 7. Parameters of a layer: outputs × (inputs × kernel area + 1), where a "
        "linear layer has the kernel area 1. Four bytes each.",
    ),
)


# ---------------------------------------------------------------------------------------------------------
# The network
# ---------------------------------------------------------------------------------------------------------


def layers_of(classes, bend=nn.ReLU, pool=nn.MaxPool2d, padding=2, flat=400, flatten=nn.Flatten, bias=True):
    return [
        *(nn.Conv2d(1, 6, 5, padding=padding, bias=bias), bend(), pool(2)),
        *(nn.Conv2d(6, 16, 5, bias=bias), bend(), pool(2)),
        *(flatten(), nn.Linear(flat, 120, bias=bias), bend(), nn.Linear(120, 84, bias=bias), bend()),
        nn.Linear(84, classes, bias=bias),
    ]


def network(end=(), **changes):
    """The class of a network that differs in `changes` from the right one."""

    class DigitNet(nn.Module):
        def __init__(self, classes):
            super().__init__()
            self.net = nn.Sequential(*layers_of(classes, **changes), *end)

        def forward(self, X):
            return self.net(X)

    return DigitNet


class InAList(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.net = layers_of(classes)

    def forward(self, X):
        for layer in self.net:
            X = layer(X)
        return X


class AlwaysTen(network()):
    def __init__(self, classes):
        super().__init__(10)


def networks_to_build(seed):
    draw = Draw(seed)
    pictures = {10: draw.real(2, 1, 28, 28), 3: draw.real(1, 1, 28, 28), 4: draw.real(3, 1, 28, 28).mT}
    labels = "ten classes", "a batch of one picture", "pictures that are not contiguous"
    for label, (classes, X) in zip(labels, pictures.items(), strict=True):
        shapes = {f"net.{name}": p.shape for name, p in nn.Sequential(*layers_of(classes)).named_parameters()}
        weights = {name: draw.real(*shape) / shape[1:].numel() ** 0.5 for name, shape in shapes.items()}
        yield Case(label, ({"classes": classes}, weights, X), gradient=False)


NETWORK = Task(
    id="DigitNet",
    title="A LeNet of today",
    kind="write",
    points=3,
    difficulty=3,
    importance=5,
    minutes=15,
    oracle=network(),
    cases=networks_to_build,
    use="module",
    misconceptions=(
        Misconception(
            "sigmoid_left",
            "Your network bends with the sigmoid, as in 1998. The task asks for `nn.ReLU()`.",
            network(bend=nn.Sigmoid),
        ),
        Misconception(
            "average_left",
            "Your network pools by averaging. The task asks for `nn.MaxPool2d(2)`.",
            network(pool=nn.AvgPool2d),
        ),
        Misconception(
            "nothing_exchanged",
            "This is the lesson's LeNet as it was, with the sigmoid and with average pooling. The task asks for "
            "`nn.ReLU()` and `nn.MaxPool2d(2)`.",
            network(bend=nn.Sigmoid, pool=nn.AvgPool2d),
        ),
        Misconception(
            "always_ten",
            "Your network always has ten scores. Their number is `classes`, which `__init__` is given.",
            AlwaysTen,
            matches=lambda value, *_: value["parameters"]["net.11.weight"] == (10, 84),
        ),
        Misconception(
            "softmax_at_the_end",
            "Your network ends with a softmax. `F.cross_entropy` contains one already; with two of them, a "
            "network that is sure and wrong gets no gradient. Return the scores.",
            network(end=[nn.Softmax(1)]),
        ),
        Misconception(
            "bent_at_the_end",
            "There is a ReLU behind the last linear layer, so no score can be negative. Scores must be free to "
            "go anywhere.",
            network(end=[nn.ReLU()]),
        ),
        Misconception(
            "no_padding",
            "Your first convolution has no padding: its maps have 24×24 pixels, and 16·4·4 = 256 numbers reach "
            "the first linear layer. Padding 2 keeps the 28×28.",
            network(padding=0, flat=256),
        ),
        Misconception(
            "padding_left_out",
            "Your first linear layer expects 400 numbers, and 256 reach it. The first convolution needs `padding=2`; "
            "without it the sides are 24, 12, 8, 4.",
            network(padding=0),
        ),
        Misconception(
            "no_bias",
            "Your layers have no bias. Leave `bias` as it is by default.",
            network(bias=False),
        ),
        Misconception(
            "batch_flattened",
            "You flatten the pictures of a whole batch into one row. `nn.Flatten()` keeps the first axis, one "
            "row for each picture.",
            network(flatten=lambda: nn.Flatten(0)),
        ),
        Misconception(
            "in_a_list",
            "Your network has no parameters, and no optimizer would train it. nn.Module does not look into a plain "
            "Python list; `self.net = nn.Sequential(...)` registers its layers.",
            InAList,
            matches=lambda value, *_: value["parameters"] == {},
        ),
    ),
    hints=(
        "Which shape has the picture after each layer? Write it beside the layer. How many numbers does "
        "`nn.Flatten()` hand on to the first `nn.Linear`?",
        "Take the lesson's `build`: `nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, "
        "5), ...`, with `nn.Linear(84, classes)` as the last layer, and nothing behind it.",
    ),
)


# ---------------------------------------------------------------------------------------------------------
# The loss
# ---------------------------------------------------------------------------------------------------------


def torch_loss(scores, y):
    return F.cross_entropy(scores, y)


def scores_and_labels(seed):
    draw = Draw(seed)
    four = torch.tensor([[2.0, 1.0, 0.0, -1.0]])
    yield Case("the scores of lesson 13, class 0 true", (four, torch.tensor([0])))
    yield Case("the scores of lesson 13, class 3 true", (four, torch.tensor([3])))
    yield Case("ten equal scores", (torch.zeros(1, 10), torch.tensor([4])))
    yield Case("a batch of five", (draw.real(5, 3) * 2, draw.whole(5, low=0, high=2, dtype=torch.int64)))
    yield Case("as many pictures as classes", (draw.real(4, 4) * 2, torch.tensor([1, 3, 1, 0])))
    yield Case("scores that are not contiguous", (draw.real(4, 3).T * 2, torch.tensor([3, 0, 0])))
    yield Case("fractions in float64", (draw.real(3, 6, dtype=torch.float64) * 2, torch.tensor([5, 0, 2])))
    sure = torch.tensor([[300.0, 0.0, 0.0], [0.0, 300.0, 0.0]])
    known = torch.tensor([[300.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    yield Case("a picture with large scores, one with small", (known, torch.tensor([0, 1])), gradient=False)
    yield Case("a network that is sure, and wrong once", (sure, torch.tensor([2, 1])), gradient=False)


def picked(scores, y, p, value=torch.log):
    """The mean loss when `p` holds the probabilities, and `value` of the true one's is what counts."""
    return -value(p[range(len(y)), y]).mean()


def is_close(value, want):
    return bool(torch.isclose(value.double(), want.double(), rtol=1e-4, atol=1e-5))


def where_moderate(wrong):
    """Tells what `wrong` returns, and does not ask where scores differ so much that powers run over."""
    return lambda value, scores, y: scores.max() > 100 or is_close(value, wrong(scores, y))


def breaks_down(where_known, where_wrong):
    """Right where scores are moderate. The two tests say what becomes of the last two cases."""

    def matches(value, scores, y):
        if scores.max() <= 100:
            return is_close(value, torch_loss(scores, y))
        return bool(where_known(value) if y.tolist() == [0, 1] else where_wrong(value))

    return matches


def quotient(scores, y, floor=0.0):
    """ln of the quotient, after the largest score of each row was subtracted."""
    return picked(scores, y, (scores.softmax(1) + floor))


def largest_of_all(scores, y):
    below = scores - scores.max()
    return (below.exp().sum(1).log() - below[range(len(y)), y]).mean()


def column_lost(scores, y):
    below = scores - scores.max(1).values
    return (below.exp().sum(1).log() - below[range(len(y)), y]).mean()


def slip(name, sentence, wrong):
    """A mistake that is known by the moderate cases alone: it may meet a formula that runs over."""
    return Misconception(name, sentence, wrong, matches=where_moderate(wrong))


LOSS = Task(
    id="cross_entropy",
    title="From scores to one number",
    kind="write",
    points=2,
    difficulty=3,
    importance=5,
    minutes=15,
    oracle=torch_loss,
    cases=scores_and_labels,
    misconceptions=(
        Misconception(
            "runs_over",
            "Your loss is right for moderate scores. But in float32 exp(300) is infinite, and infinite divided by "
            "infinite is no number. Subtract each row's largest score first: no probability changes.",
            lambda scores, y: picked(scores, y, scores.exp() / scores.exp().sum(1, keepdim=True)),
            matches=breaks_down(torch.isnan, torch.isnan),
        ),
        Misconception(
            "sum_runs_over",
            "Your loss is right for moderate scores. But in float32 exp(300) is infinite, and so is the sum of the "
            "powers. Subtract each row's largest score first: no probability changes.",
            lambda scores, y: (scores.exp().sum(1).log() - scores[range(len(y)), y]).mean(),
            matches=breaks_down(torch.isposinf, torch.isposinf),
        ),
        Misconception(
            "quotient_vanishes",
            "Large scores no longer run over. But a probability of exp(-300) is 0 in float32, and 0 has no "
            "logarithm. Do not take the logarithm of the quotient: ln p = s - ln(sum of the powers).",
            quotient,
            matches=breaks_down(
                lambda value: is_close(value, torch.tensor(0.5493)), lambda value: not value.isfinite()
            ),
        ),
        Misconception(
            "bottom_under_p",
            "You keep p away from 0, with `clamp` or a small number added. Then the loss stops growing just where "
            "the network is most wrong, and no gradient tells it so. Write ln p as s - ln(sum of the powers).",
            lambda scores, y: quotient(scores, y, floor=1e-9),
            matches=breaks_down(torch.isfinite, lambda value: value < 140),
        ),
        Misconception(
            "largest_of_all",
            "You subtract the largest score of the whole batch. For a picture whose scores are all far below it, "
            "every power is 0. Subtract from each row its own largest score.",
            largest_of_all,
        ),
        Misconception(
            "column_lost",
            "The largest scores must stand in a column, one beside each row. `max(1)` alone makes one row of them, "
            "which is laid along the classes: `max(1, keepdim=True).values`.",
            column_lost,
        ),
        slip(
            "softmax_twice",
            "There are two softmaxes in your loss: powers were taken of numbers that are probabilities already. The "
            "logarithm is that of p itself.",
            lambda scores, y: torch_loss(scores.softmax(1), y),
        ),
        slip(
            "over_the_batch",
            "Your probabilities add up to 1 down the columns: over the pictures of the batch. Each *picture* has "
            "its own probabilities, which add up to 1 along its row, axis 1.",
            lambda scores, y: picked(scores, y, scores.softmax(0)),
        ),
        slip(
            "over_everything",
            "You divide by the sum over *all* pictures. Each picture has its own sum, along its row: "
            "`sum(1, keepdim=True)`.",
            lambda scores, y: picked(scores, y, scores.flatten().softmax(0).reshape(scores.shape)),
        ),
        slip(
            "summed",
            "You add up the losses of the batch. Take their mean, or the step would grow with the batch.",
            lambda scores, y: len(y) * torch_loss(scores, y),
        ),
        slip(
            "minus_forgotten",
            "Your loss is negative. The logarithm of a probability is at most 0, and the loss is *minus* that "
            "logarithm.",
            lambda scores, y: -torch_loss(scores, y),
        ),
        slip(
            "every_label",
            "`p[:, y]` takes, for every picture, the labels of *all* pictures. For picture i you want p[i, "
            "y[i]]: `p[range(len(y)), y]`.",
            lambda scores, y: -scores.log_softmax(1)[:, y].mean(),
        ),
        slip(
            "every_class",
            "You take the mean over all classes. Only the probability of the *true* class counts: p[i, y[i]].",
            lambda scores, y: -scores.log_softmax(1).mean(),
        ),
        slip(
            "mean_too_early",
            "You take the mean of the probabilities, and then one logarithm. Each picture has its own loss -ln p; the "
            "mean is taken of those.",
            lambda scores, y: -scores.softmax(1)[range(len(y)), y].mean().log(),
        ),
        slip(
            "no_logarithm",
            "You took 1 - p. It is small when p is large, but the loss of this lesson is -ln p, which grows "
            "without end as p goes to 0.",
            lambda scores, y: 1 + picked(scores, y, scores.softmax(1), value=lambda p: p),
        ),
    ),
    hints=(
        "Take a pencil: four scores, four powers, their sum, the probability of the true class, its logarithm. "
        "Which of these lines needs an axis? And what is ln(a / b)?",
        "`s = scores - scores.max(1, keepdim=True).values`, then `s - s.exp().sum(1, keepdim=True).log()` is ln "
        "p for all classes. Pick `[range(len(y)), y]`, and take minus the mean.",
    ),
)


# ---------------------------------------------------------------------------------------------------------
# Find the bug: a training loop
# ---------------------------------------------------------------------------------------------------------


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


def trained(X, y, batch_size, epochs, loss=F.cross_entropy, zero=("step",), rest=True):
    """The loop with parts exchanged: `zero` says when the gradients are forgotten, `rest` if the last batch counts."""
    net = nn.Linear(X.shape[1], 3)
    nn.init.zeros_(net.weight)
    nn.init.zeros_(net.bias)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(epochs):
        if "epoch" in zero:
            optimizer.zero_grad()
        for few, labels in zip(X.split(batch_size), y.split(batch_size), strict=True):
            if len(few) < batch_size and not rest:
                continue
            if "step" in zero:
                optimizer.zero_grad()
            loss(net(few), labels).backward()
            if "too late" in zero:
                optimizer.zero_grad()
            optimizer.step()
    return net.weight


def one_epoch(X, y, batch_size, epochs):
    return trained(X, y, batch_size, 1)


def start_times_size(X, y, batch_size, epochs):
    """What is left of each pile when the place where a batch begins is multiplied by the batch size once more."""
    net = nn.Linear(X.shape[1], 3)
    nn.init.zeros_(net.weight)
    nn.init.zeros_(net.bias)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(epochs):
        for i in range(0, len(X), batch_size):
            batch = slice(i * batch_size, (i + 1) * batch_size)
            optimizer.zero_grad()
            F.cross_entropy(net(X[batch]), y[batch]).backward()
            optimizer.step()
    return net.weight


def right_train(X, y, batch_size, epochs):
    return trained(X, y, batch_size, epochs)


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
    if torch.allclose(broken_train(*value), right_train(*value), rtol=1e-4, atol=1e-5):
        return "On this input `broken_train` is right. Look for one on which it is not."
    return None


EXPOSE = Task(
    id="breaks_train",
    title="Find an input that breaks it",
    kind="bug",
    points=1,
    difficulty=2,
    importance=4,
    minutes=5,
    oracle=lambda: (torch.eye(3), torch.arange(3), 3, 2),
    cases=once,
    accept=exposes,
    broken=broken_train,
    misconceptions=(
        Misconception(
            "dark",
            "Your pictures are zero everywhere. Then the weights get no gradient at all, from a right loop or a "
            "wrong one.",
            lambda: (torch.zeros(4, 2), torch.tensor([0, 1, 2, 0]), 2, 3),
            matches=lambda value: not unfit(value) and not value[0].any(),
        ),
        Misconception(
            "one_step",
            "One batch and one epoch make one step. That is what the author tried. What is wrong shows in what "
            "happens between two steps, or at the end of the pile.",
            lambda: (torch.rand(4, 2), torch.tensor([0, 1, 2, 0]), 4, 1),
            matches=lambda value: not unfit(value) and value[3] == 1 and value[2] == len(value[0]),
        ),
        Misconception(
            "nothing_to_learn",
            "On this input a right loop hardly moves its weights: the classes have the same pictures, or the numbers "
            "in X are tiny. Let the classes differ, by numbers around 1.",
            lambda: (torch.ones(3, 2), torch.arange(3), 3, 2),
            matches=lambda value: not unfit(value) and bool(right_train(*value).abs().max() < 1e-5),
        ),
    ),
    hints=(
        "Compare it with the loop of section 13.5, line by line. Which line is missing? After how many steps "
        "does that matter?",
        "Leave the author's pictures as they are, and take two epochs. Or take a batch size that does not divide "
        "the number of pictures.",
    ),
)


def piles_to_learn(seed):
    draw = Draw(seed)

    def pile(n, numbers):
        return draw.real(n, numbers), (torch.arange(n) * 2 + draw.size(0, 2)) % 3

    yield Case("one batch, one epoch", (*pile(4, 2), 4, 1), gradient=False)
    yield Case("one batch, three epochs", (*pile(4, 2), 4, 3), gradient=False)
    yield Case("two batches, two epochs", (*pile(6, 4), 3, 2), gradient=False)
    yield Case("a last batch that is smaller", (*pile(7, 3), 3, 2), gradient=False)
    yield Case("a batch size larger than the pile", (*pile(5, 3), 8, 2), gradient=False)
    yield Case("batches of one picture", (*pile(5, 2), 1, 2), gradient=False)
    X, (_, y) = draw.turned(6, 5) / 4, pile(6, 1)
    yield Case("pictures that are not contiguous", (X, y, 4, 2), gradient=False)


MENDED = Task(
    id="mended_train",
    title="Mend it",
    kind="bug",
    points=2,
    difficulty=3,
    importance=5,
    minutes=10,
    oracle=right_train,
    cases=piles_to_learn,
    absolute=1e-5,
    seconds=10,  # the first optimizer of a session loads a good part of torch
    misconceptions=(
        Misconception(
            "unchanged",
            "Both mistakes are still there: each step follows the sum of all gradients so far, and pictures at "
            "the end of the pile are left out.",
            broken_train,
        ),
        Misconception(
            "rest_left_out",
            "The gradients are mended. But `len(X) // batch_size` counts whole batches only: the pictures after "
            "the last whole one are never seen.",
            lambda X, y, batch_size, epochs: trained(X, y, batch_size, epochs, rest=False),
        ),
        Misconception(
            "gradients_pile_up",
            "All pictures are seen now. But `backward` adds to the gradients that are there: each step follows "
            "the sum of all gradients so far. Forget them before each `backward`.",
            lambda X, y, batch_size, epochs: trained(X, y, batch_size, epochs, zero=()),
        ),
        Misconception(
            "zeroed_too_late",
            "Your weights never move. Either there is no `step`, or `zero_grad` stands between `backward` and `step`, "
            "and the step finds no gradient.",
            lambda X, y, batch_size, epochs: trained(X, y, batch_size, epochs, zero=("too late",)),
        ),
        Misconception(
            "zeroed_once_an_epoch",
            "You forget the gradients once an epoch. Within an epoch they still pile up, from batch to batch.",
            lambda X, y, batch_size, epochs: trained(X, y, batch_size, epochs, zero=("epoch",)),
        ),
        Misconception(
            "one_epoch",
            "Whatever `epochs` says, your weights are those after a single epoch. Does `return` stand inside the "
            "loop, or is the network made anew in each epoch?",
            one_epoch,
        ),
        Misconception(
            "start_times_size",
            "`range(0, len(X), batch_size)` already gives the places where batches begin, and your slice multiplies "
            "them by `batch_size` once more. A batch goes from `i` to `i + batch_size`.",
            start_times_size,
        ),
        Misconception(
            "divided_by_batch_size",
            "You divide the sum by `batch_size`, also in a last batch that has fewer pictures. Its loss is the mean "
            "over those it has.",
            lambda X, y, batch_size, epochs: trained(
                *(X, y, batch_size, epochs),
                loss=lambda scores, labels: F.cross_entropy(scores, labels, reduction="sum") / batch_size,
            ),
        ),
        Misconception(
            "whole_pile",
            "You make one step an epoch, on the whole pile. Each batch of `batch_size` pictures has a step of its own.",
            lambda X, y, batch_size, epochs: trained(X, y, len(X), epochs),
        ),
        Misconception(
            "softmax_first",
            "You put a softmax before `F.cross_entropy`, which contains one already. The steps become smaller, "
            "and a network that is sure and wrong stands still.",
            lambda X, y, batch_size, epochs: trained(
                X, y, batch_size, epochs, loss=lambda scores, labels: F.cross_entropy(scores.softmax(1), labels)
            ),
        ),
        Misconception(
            "losses_summed",
            "Your loss is the sum over the batch. Take the mean, as `F.cross_entropy` does by default: otherwise "
            "the step grows with the batch.",
            lambda X, y, batch_size, epochs: trained(
                X, y, batch_size, epochs, loss=lambda scores, labels: F.cross_entropy(scores, labels, reduction="sum")
            ),
        ),
    ),
    hints=(
        "Print `net.weight.grad` after each `backward`, twice on the same batch without a step in between. What "
        "has happened to it? And which `i` come out of `range(7 // 3)`?",
        "`optimizer.zero_grad()` before `loss.backward()`. And let the loop go over `range(0, len(X), "
        "batch_size)`: a slice may end behind the last picture, and then it is shorter.",
    ),
)


# ---------------------------------------------------------------------------------------------------------
# The judge: a confusion matrix
# ---------------------------------------------------------------------------------------------------------


def torch_confusion(scores, y):
    classes = scores.shape[1]
    return F.one_hot(y, classes).T @ F.one_hot(scores.argmax(1), classes)


def answers_to_count(seed):
    draw = Draw(seed)

    def scores(said, classes, dtype=torch.float32):
        """Scores of which no two are equal, and the largest belong to the classes `said`."""
        return draw.distinct(len(said), classes, dtype=dtype) + 100 * F.one_hot(torch.tensor(said), classes)

    yield Case("six pictures, three classes", (scores([0, 0, 1, 1, 2, 0], 3), torch.tensor([0, 0, 2, 1, 1, 1])))
    yield Case("as many pictures as classes", (scores([3, 0, 0, 0], 4), torch.tensor([3, 1, 0, 1])))
    yield Case("a class that does not occur", (scores([0, 2, 4, 0, 0, 1, 2], 5), torch.tensor([0, 2, 1, 0, 2, 1, 2])))
    yield Case("a batch of one", (draw.distinct(1, 4), torch.tensor([2])))
    yield Case("many pictures", (draw.distinct(40, 6), draw.whole(40, low=0, high=5, dtype=torch.int64)))
    yield Case("scores that are not contiguous", (draw.distinct(3, 9).T, torch.arange(9) % 3))
    yield Case("scores in float64", (scores([2, 0, 2, 0, 1], 3, torch.float64), torch.tensor([2, 2, 2, 0, 0])))


def counted(said, y, rows, columns):
    table = torch.zeros(rows, columns, dtype=torch.int64)
    for true, answer in zip(y.tolist(), said.tolist(), strict=True):
        table[true, answer] += 1
    return table


def counted_once(scores, y):
    table = torch.zeros(scores.shape[1], scores.shape[1], dtype=torch.int64)
    table[y, scores.argmax(1)] += 1
    return table


def shares(scores, y):
    table = torch_confusion(scores, y)
    return table / table.sum(1, keepdim=True)


def over_the_batch(scores, y):
    said = scores.argmax(0)
    table = torch.zeros(scores.shape[1], scores.shape[1], dtype=torch.int64)
    for i in range(len(y)):
        table[y[i], said[i]] += 1
    return table


CONFUSION = Task(
    id="confusion",
    title="Which is taken for which",
    kind="write",
    points=2,
    difficulty=2,
    importance=4,
    minutes=10,
    oracle=torch_confusion,
    cases=answers_to_count,
    misconceptions=(
        Misconception(
            "turned",
            "Rows and columns are exchanged: the row is the digit written, the column what the network says.",
            lambda scores, y: torch_confusion(scores, y).T,
        ),
        Misconception(
            "counted_once",
            "Each pair is counted once, however often it occurs. `= 1` forgets what was there; and `table[y, said] += "
            "1` without a loop reads all old numbers before it writes any. Use a loop with `+= 1`, or `bincount`.",
            counted_once,
        ),
        Misconception(
            "over_the_batch",
            "You ask each *class* for its best picture: `argmax(0)` goes down the columns. Each picture has a "
            "row of scores; its answer is the place of the largest, `argmax(1)`.",
            over_the_batch,
        ),
        Misconception(
            "size_from_labels",
            "Your table is as large as the labels that occur. A class without a picture needs its row, too, and "
            "it may well be an answer. The number of classes is the number of scores.",
            lambda scores, y: counted(scores.argmax(1), y, int(y.max()) + 1, int(y.max()) + 1),
        ),
        Misconception(
            "float_counts",
            "The counts are right, but they are fractions by type: `torch.zeros(...)` makes float32. Counts are "
            "whole numbers: `dtype=torch.int64`.",
            lambda scores, y: torch_confusion(scores, y).float(),
        ),
        Misconception(
            "shares",
            "You divide each row by its sum. The task asks for counts: a share does not say how many pictures it "
            "rests on, and an empty row has none.",
            shares,
            matches=lambda value, *case: torch.allclose(value.float().nan_to_num(), shares(*case).nan_to_num()),
        ),
        Misconception(
            "smallest_score",
            "You take the *smallest* score of each picture. The answer is the class with the largest one.",
            lambda scores, y: torch_confusion(-scores, y),
        ),
    ),
    hints=(
        "What does the network say to picture i? In which row, and in which column, does this picture add 1?",
        "`said = scores.argmax(1)`; then for each pair of `zip(y, said)` add 1 to `table[true, answer]`, in a "
        "table of zeros with as many rows and columns as there are classes.",
    ),
)


# ---------------------------------------------------------------------------------------------------------
# Train
# ---------------------------------------------------------------------------------------------------------

LEARN, UNSEEN, ENOUGH = 1000, 200, 0.9


@cache
def digits():
    return data.load("digits")


def digits_to_read(seed):
    draw = Draw(seed)
    (X, y), (unseen, _) = digits().train, digits().test
    some = torch.randperm(len(X), generator=draw.generator)[:LEARN]
    some = some[y[some].argsort(stable=True)]  # as in many files: all zeros, then all ones
    asked = torch.randperm(len(unseen), generator=draw.generator)[:UNSEEN]
    return (Case("the handwritten digits", (X[some], y[some], unseen[asked]), gradient=False),)


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


def one_answer(value, *_):
    return value["classes"].bincount().max() > 0.9 * len(value["classes"])


def renamed(value, X, y, unseen):
    """Each digit has an answer of its own, and it is another digit's name."""
    answers = [value["classes"][labels_of(unseen) == digit].bincount() for digit in range(10)]
    alike = sum(int(counts.max()) for counts in answers)
    names = {int(counts.argmax()) for counts in answers}
    return alike > 0.7 * len(unseen) and len(names) > 8 and accuracy(value, unseen) < 0.3


def some_never_said(value, X, y, unseen):
    """Where the true digit is among the answers that occur, nine in ten are right."""
    said = value["classes"].unique()
    known = torch.isin(labels_of(unseen), said)
    return len(said) < 10 and right_answers(value, unseen)[known].float().mean() > 0.9


def learn(X, y, epochs=6, lr=0.003, order=torch.randperm):
    """The loop of the lesson, on the network of this sheet."""
    net = network()(10)
    optimizer = torch.optim.AdamW(net.parameters(), lr=lr)
    for _ in range(epochs):
        for batch in order(len(X)).split(50):
            optimizer.zero_grad()
            F.cross_entropy(net(X[batch]), y[batch]).backward()
            optimizer.step()
    return net


def shuffled_apart(X, y):
    few = torch.randperm(len(X))[:100]
    return learn(X[few], y[few[torch.randperm(100)]], epochs=30)


TRAIN = Task(
    id="train_digits",
    title="Train a network that reads",
    kind="write",
    points=3,
    difficulty=4,
    importance=5,
    minutes=25,
    oracle=lambda X, y, *unseen: learn(X, y),
    cases=digits_to_read,
    use="training",
    accept=reads,
    seconds=60,
    misconceptions=(
        Misconception(
            "not_finite",
            "The scores of your network are not finite numbers: the steps were so large that the weights left "
            "all bounds. Take a smaller learning rate.",
            lambda X, y: learn(X, y, epochs=1, lr=1e12),
            matches=lambda value, *_: not value["finite"],
        ),
        Misconception(
            "one_answer",
            "Your network says the same to nearly all pictures. Print the loss of each epoch. Does it stay near ln 10 "
            "= 2.30? Then look at `zero_grad`, at `step`, at the learning rate and the activation (13.7), and whether "
            "`X[batch]` and `y[batch]` share one permutation. Does it fall? Then see whether each epoch goes over the "
            "whole pile in a new order: it is sorted by class.",
            lambda X, y: learn(X, y, epochs=1, order=torch.arange),
            matches=one_answer,
        ),
        Misconception(
            "renamed",
            "Your network tells the digits apart, but calls them by other names. The labels it learned from were "
            "not those of the pictures' classes: were they shifted, or counted from 1?",
            lambda X, y: learn(X, (y + 1) % 10),
            matches=renamed,
        ),
        Misconception(
            "chance",
            "Your network answers as if by chance. Does the loss fall from ln 10 = 2.30, or are rate and number of "
            "epochs too small for it to begin? Do the labels still belong to their pictures? One permutation "
            "must serve both: `X[batch]` and `y[batch]`. And is the network that you return the one whose parameters "
            "the optimizer has?",
            shuffled_apart,
            matches=lambda value, X, y, unseen: accuracy(value, unseen) < 0.2,
        ),
        Misconception(
            "some_never_said",
            "There are digits that your network never says; the others it reads. Does every epoch go over the whole "
            "pile? It is sorted by class, so a part of it lacks digits. If it does: is there a softmax before "
            "`F.cross_entropy`, which contains one?",
            lambda X, y: learn(X[:600], y[:600]),
            matches=some_never_said,
        ),
        Misconception(
            "not_there_yet",
            "Your network reads, but not well enough. Print the loss of each epoch. If it still falls, train for "
            "more epochs. If it does not, change the learning rate or the optimizer, and see whether each epoch goes "
            "over the whole pile, in a new permutation.",
            lambda X, y: learn(X, y, epochs=1, lr=0.002),
            matches=lambda value, X, y, unseen: 0.2 <= accuracy(value, unseen) < ENOUGH,
        ),
    ),
    hints=(
        "Which five lines does the loop of section 13.5 repeat for each batch? And which of the recipes of "
        "section 13.7 got moving within six epochs?",
        "`net = lenet.ModernLeNet()`, `torch.optim.AdamW(net.parameters(), lr=0.003)`, and ten times: for each "
        "`batch` of `torch.randperm(len(X)).split(50)` the loss `F.cross_entropy(net(X[batch]), y[batch])`, "
        "`zero_grad`, `backward`, `step`.",
    ),
)


TASKS = (SHAPES, NETWORK, LOSS, EXPOSE, MENDED, CONFUSION, TRAIN)
