"""Tasks of sheet 15: a layer's numbers, convolution and pooling in one, a batch shared among workers, a resumption."""

from itertools import pairwise

import torch
import torch.nn.functional as F

from course_utils import arithmetic
from exercise_checks.running.observing import Case
from exercise_checks.tasks.old_task import Draw, Misconception, Task, once

# ---------------------------------------------------------------------------------------------------------
# Predict: what a layer waits for, and what four workers send
# ---------------------------------------------------------------------------------------------------------

PEAK, BANDWIDTH = 200e9, 20e9


def layer_numbers():
    """32 kernels of 3×3 for 16 maps of 20×20, padding 1, no bias, 10 pictures, 4 workers."""
    flop = 2 * 10 * arithmetic.count_macs(20, 16, 32, 3, padding=1)
    weights = arithmetic.count_parameters(16, 32, 3, bias=False)
    moved = 4 * (10 * (16 + 32) * 20 * 20 + weights)
    return {
        "flop": flop,
        "bytes": moved,
        "intensity": flop / moved,
        "microseconds": 1e6 * max(flop / PEAK, moved / BANDWIDTH),
        "sent": 4 * weights * 2 * (4 - 1) // 4,
    }


def only(name, value):
    """A slip in one answer, told by that answer alone."""
    return lambda: {name: value}


NUMBERS = layer_numbers()

LAYER = Task(
    id="layer_numbers",
    title="What a layer waits for",
    kind="predict",
    points=2,
    difficulty=3,
    importance=5,
    minutes=15,
    oracle=layer_numbers,
    cases=once,
    relative=0.005,
    misconceptions=(
        Misconception(
            "macs",
            "For `flop` you gave the multiply-accumulates. Each is two operations: a multiplication and an addition.",
            only("flop", NUMBERS["flop"] / 2),
        ),
        Misconception(
            "one_picture",
            "For `flop` you counted one picture. The batch has ten.",
            only("flop", NUMBERS["flop"] / 10),
        ),
        Misconception(
            "one_map",
            "For `flop` you gave each kernel one map to look at. It reaches through all 16.",
            only("flop", NUMBERS["flop"] / 16),
        ),
        Misconception(
            "padding_forgotten",
            "For `flop` you counted 18·18 places. With padding 1 there are 20·20.",
            only("flop", NUMBERS["flop"] * 18**2 / 20**2),
        ),
        Misconception(
            "numbers_not_bytes",
            "For `bytes` you counted numbers. In float32 each of them has four bytes.",
            only("bytes", NUMBERS["bytes"] / 4),
        ),
        Misconception(
            "weights_forgotten",
            "For `bytes` you left out the kernels. They are read, too: 32·16·3·3 numbers.",
            only("bytes", 4 * 10 * (16 + 32) * 400),
        ),
        Misconception(
            "weights_for_each_picture",
            "For `bytes` you fetched the kernels anew for each picture. The batch shares them: they are read once.",
            only("bytes", 4 * 10 * ((16 + 32) * 400 + 32 * 16 * 9)),
        ),
        Misconception(
            "answer_not_written",
            "For `bytes` you left out what is written: 32 maps for each picture.",
            only("bytes", 4 * (10 * 16 * 400 + 32 * 16 * 9)),
        ),
        Misconception(
            "upside_down",
            "For `intensity` you divided the bytes by the operations. It is operations *per* byte.",
            only("intensity", NUMBERS["bytes"] / NUMBERS["flop"]),
        ),
        Misconception(
            "added_up",
            "For `microseconds` you added the time to calculate and the time to move. The roofline lets both go on at "
            "once: the longer of the two counts.",
            only("microseconds", 1e6 * (NUMBERS["flop"] / PEAK + NUMBERS["bytes"] / BANDWIDTH)),
        ),
        Misconception(
            "the_shorter",
            "For `microseconds` you gave the time to move the bytes. At this intensity the layer lies under the flat "
            "part of the roof: calculating takes longer.",
            only("microseconds", 1e6 * NUMBERS["bytes"] / BANDWIDTH),
        ),
        Misconception(
            "everybody_to_everybody",
            "For `sent` you let each worker send its whole gradient to three others. In the ring each sends 2·3 pieces "
            "of a quarter.",
            only("sent", 4 * 3 * 32 * 16 * 9),
        ),
        Misconception(
            "one_way_round",
            "For `sent` you counted one way round. The pieces go around twice: once to be added up, once to be copied.",
            only("sent", NUMBERS["sent"] / 2),
        ),
        Misconception(
            "sent_in_numbers",
            "For `sent` you counted numbers, and the task asks for bytes: four for each.",
            only("sent", NUMBERS["sent"] / 4),
        ),
    ),
    hints=(
        "How many answers has the layer for one picture, and how many products has each answer? What is read for each "
        "picture, what once for the batch? And of two times, which one does the roofline take?",
        "`flop` is 2·10·(20·20·32)·(16·9), `bytes` is 4·(10·16·400 + 10·32·400 + 32·16·9). The time is the larger of "
        "flop / 200e9 and bytes / 20e9. In the ring each worker sends 2·(4-1)/4 of its gradient.",
    ),
)


# ---------------------------------------------------------------------------------------------------------
# Convolution and pooling in one: the kernels
# ---------------------------------------------------------------------------------------------------------


def places(moves=((0, 0), (0, 1), (1, 0), (1, 1)), dim=1):
    """What makes the kernels: each moved by (down, right), the four side by side in the dimension `dim`."""

    def kernels(weight):
        moved = [F.pad(weight, (right, 1 - right, down, 1 - down)) for down, right in moves]
        return torch.stack(moved, dim).reshape(-1, *moved[0].shape[1:])

    return kernels


pooling_kernels = places()


def weights_to_move(seed):
    draw = Draw(seed)
    yield Case("the kernel of lesson 1", (torch.arange(4.0).reshape(1, 1, 2, 2),))
    yield Case("a wide kernel", (draw.whole(1, 1, 2, draw.size(4, 5), low=1),))
    yield Case("a tall kernel with two input channels", (draw.whole(1, 2, 3, 2, low=1),))
    yield Case("three output channels", (draw.whole(3, 2, 3, 3, low=1),))
    yield Case("a kernel of one number", (draw.whole(2, 1, 1, 1, low=1),))
    yield Case("a weight that is not contiguous", (draw.turned(2, 2, 3, 4),))
    yield Case("fractions in float64", (draw.real(2, 3, 2, 3, dtype=torch.float64),))


def from_where(index, weight):
    """Which number of which kernel belongs there.

    >>> from_where((1, 0, 0, 2), torch.tensor([[[[5, 7]]]]))
    'kernel 0, moved by 0 down and 1 to the right: its row 0, column 1'
    """
    number, _, row, column = index
    down, right = number % 4 // 2, number % 2
    i, j = row - down, column - right
    inside = 0 <= i < weight.shape[-2] and 0 <= j < weight.shape[-1]
    what = f"its row {i}, column {j}" if inside else "the zeros around it"
    return f"kernel {number // 4}, moved by {down} down and {right} to the right: {what}"


KERNELS = Task(
    id="pooling_kernels",
    title="Four kernels for one",
    kind="write",
    points=3,
    difficulty=3,
    importance=4,
    minutes=15,
    oracle=pooling_kernels,
    cases=weights_to_move,
    window=from_where,
    misconceptions=(
        Misconception(
            "columns_first",
            "Your second and third kernels are exchanged: the second is moved to the *right*, the third *down*.",
            places(moves=((0, 0), (1, 0), (0, 1), (1, 1))),
        ),
        Misconception(
            "moved_backwards",
            "Your kernels move the wrong way. The answer one step to the right looks at pixels further right, so its "
            "kernel stands further right in the 3×3 window, with the zeros on its left.",
            places(moves=((1, 1), (1, 0), (0, 1), (0, 0))),
        ),
        Misconception(
            "never_moved",
            "Your four kernels are all alike, each in the top left corner. Then all four answers are the first one.",
            places(moves=((0, 0),) * 4),
        ),
        Misconception(
            "phase_by_phase",
            "Your kernels are the right ones in another order: first every kernel unmoved, then every kernel moved to "
            "the right. The four of one output channel belong together: `torch.stack(..., dim=1)`, then "
            "`flatten(0, 1)`.",
            places(dim=0),
        ),
        Misconception(
            "averaged",
            "You have taken the mean of the four kernels. That is right without an activation; with one, the mean must "
            "be taken *behind* it, so four kernels are needed.",
            lambda weight: pooling_kernels(weight).unflatten(0, (-1, 4)).mean(1),
        ),
        Misconception(
            "flipped",
            "Your kernels are turned by 180 degrees: `F.conv2d` does not flip, and nothing here has to be turned.",
            lambda weight: pooling_kernels(weight.flip(-2, -1)),
        ),
        Misconception(
            "same_size",
            "Your kernels are as small as before, so nothing could be moved. The window of four answers is larger than "
            "the kernel by one row and one column.",
            lambda weight: weight.repeat_interleave(4, 0),
        ),
        Misconception(
            "zeros_all_around",
            "You have put zeros on all four sides. A kernel grows by *one* row and *one* column: what is moved right "
            "by one has one column of zeros on its left, and none on its right.",
            lambda weight: F.pad(weight, (1, 1, 1, 1)).repeat_interleave(4, 0),
        ),
        Misconception(
            "one_more_axis",
            "The numbers are right, but the four stand on an axis of their own. `flatten(0, 1)` makes 4·out kernels of "
            "them, as `F.conv2d` wants it.",
            lambda weight: pooling_kernels(weight).unflatten(0, (-1, 4)),
        ),
    ),
    hints=(
        "Draw the 3×3 window of the picture `0 1 2 / 3 4 5 / 6 7 8`. Where in it does the answer 25 look? Where, "
        "then, are its kernel's zeros?",
        "`F.pad(weight, (right, 1 - right, down, 1 - down))` for down and right 0 or 1, then `torch.stack(..., dim=1)` "
        "and `flatten(0, 1)`.",
    ),
)


# ---------------------------------------------------------------------------------------------------------
# Find the bug: a batch shared among workers
# ---------------------------------------------------------------------------------------------------------


def broken_shares(X, y, w, workers):
    rows = []
    for images, labels in zip(X.chunk(workers), y.chunk(workers), strict=True):
        errors = images @ w - labels
        rows.append(images.T @ errors / len(images))
    return torch.stack(rows)


def whole_gradient(X, y, w):
    return X.T @ (X @ w - y) / len(X)


def shared(scale, cut=lambda n, workers: [n * rank // workers for rank in range(workers + 1)]):
    """What each worker hands in: its sum, times `scale(pictures of its share, all pictures, workers)`."""

    def rows(X, y, w, workers):
        edges, found = cut(len(X), workers), []
        for start, end in pairwise(edges):
            total = X[start:end].T @ (X[start:end] @ w - y[start:end])
            found.append(total * scale(end - start, len(X), workers))
        return torch.stack(found)

    return rows


def whole_shares_only(n, workers):
    return [n // workers * rank for rank in range(workers + 1)]


def rest_to_the_last(n, workers):
    return [*whole_shares_only(n, workers)[:-1], n]


def rest_to_the_first(n, workers):
    return [(n * rank + workers - 1) // workers for rank in range(workers + 1)]


right_shares = shared(lambda mine, n, workers: workers / n)


def mean_of_share(mine, n, workers):
    return 1 / mine if mine else float("nan")


def right_or_nan(mine, n, workers):
    return workers / n if mine else float("nan")


def like(wrong):
    """Tells what `wrong` returns, where it is no number, too."""
    return lambda value, *args: bool(torch.allclose(value, wrong(*args), rtol=1e-4, atol=1e-5, equal_nan=True))


def unfit(value):
    """What is wrong with the form of pictures, labels, weight and workers, or None."""
    if not (isinstance(value, tuple) and len(value) == 4):
        return "Return pictures, labels, a weight and the number of workers: `return X, y, w, workers`."
    X, y, w, workers = value
    if not all(isinstance(part, torch.Tensor) and part.dtype == torch.float32 for part in (X, y, w)):
        return "X, y and w must be float32 tensors, as `torch.rand(4, 2)`, `torch.rand(4)` and `torch.zeros(2)`."
    if type(workers) is not int or not 1 <= workers <= 100:
        return "The number of workers must be a whole number from 1 to 100."
    if X.ndim != 2 or y.shape != X.shape[:1] or w.shape != X.shape[1:] or not 0 < X.numel() <= 1000:
        return "X must have one row for each picture, y one number for each row, w one for each column of X."
    if not all(part.isfinite().all() for part in (X, y, w)):
        return "The numbers must be finite."
    return None


def goes_wrong(X, y, w, workers):
    try:
        mean = broken_shares(X, y, w, workers).mean(0)
    except (RuntimeError, ValueError):
        return True
    return not torch.allclose(mean, whole_gradient(X, y, w), rtol=1e-3, atol=1e-5)


def exposes(value):
    """Pictures, labels, a weight and a number of workers on which `broken_shares` goes wrong."""
    if unfit(value):
        return unfit(value)
    if not goes_wrong(*value):
        return "On this input the mean of the rows is the gradient of the whole batch. Look for one on which it is not."
    return None


EXPOSE = Task(
    id="breaks_shares",
    title="Find an input that breaks it",
    kind="bug",
    points=1,
    difficulty=2,
    importance=4,
    minutes=5,
    oracle=lambda: (torch.tensor([[1.0], [1], [1]]), torch.tensor([0.0, 0, 3]), torch.zeros(1), 2),
    cases=once,
    accept=exposes,
    broken=broken_shares,
    misconceptions=(
        Misconception(
            "even",
            "Every worker gets equally many pictures: that is what the author tried. Take a number of pictures that "
            "the number of workers does not divide.",
            lambda: (torch.rand(6, 2), torch.rand(6), torch.zeros(2), 3),
            matches=lambda value: not unfit(value) and len(value[0]) % value[3] == 0,
        ),
        Misconception(
            "all_alike",
            "All your pictures are alike, and so are their gradients. Then each mean is the same, whatever its "
            "weight. Let one picture differ.",
            lambda: (torch.ones(3, 1), torch.ones(3), torch.zeros(1), 2),
            matches=lambda value: (
                not unfit(value)
                and bool((value[0] == value[0][0]).all() and (value[1] == value[1][0]).all())
                and not goes_wrong(*value)
            ),
        ),
        Misconception(
            "nothing_to_learn",
            "On this input all gradients are zero: the labels are what the weight says, or the pictures are black. "
            "Zero has every mean.",
            lambda: (torch.zeros(3, 1), torch.arange(3.0), torch.zeros(1), 2),
            matches=lambda value: (
                not unfit(value)
                and not (value[0] * (value[0] @ value[2] - value[1])[:, None]).any()
                and not goes_wrong(*value)
            ),
        ),
    ),
    hints=(
        "Section 15.10 had four pictures with the gradients 0 1 2 3. For which shares was the plain mean right, for "
        "which was it wrong?",
        "Three pictures and two workers: `X.chunk(2)` gives shares of 2 and 1. Let the third picture differ from the "
        "others.",
    ),
)


def batches_to_share(seed):
    draw = Draw(seed)

    def case(label, n, numbers, workers, dtype=torch.float32):
        pictures = draw.real(n, numbers, dtype=dtype), draw.real(n, dtype=dtype), draw.real(numbers, dtype=dtype)
        return Case(label, (*pictures, workers), gradient=False)

    yield case("equal shares", 6, 2, 3)
    yield case("shares of 2 and 3", 5, 3, 2)
    yield case("shares of 1, 1, 1 and 2", 5, 2, 4)
    yield case("one worker", 4, 2, 1)
    yield case("many pictures, seven workers", draw.size(40, 47), 4, 7)
    yield case("more workers than pictures", 2, 3, 5)
    yield case("as many workers as pictures", 4, 1, 4)
    yield Case("pictures that are not contiguous", (draw.turned(7, 3), draw.real(7), draw.real(3), 3), gradient=False)
    yield case("fractions in float64", 8, 3, 3, torch.float64)


def equal_or_raise(scale):
    """An answer that stumbles where a share is empty."""

    def rows(X, y, w, workers):
        if workers > len(X):
            raise ZeroDivisionError("float division by zero")
        return shared(scale)(X, y, w, workers)

    return rows


SHARES = Task(
    id="mended_shares",
    title="Mend it",
    kind="bug",
    points=3,
    difficulty=3,
    importance=5,
    minutes=15,
    oracle=right_shares,
    cases=batches_to_share,
    misconceptions=(
        Misconception(
            "unchanged",
            "Nothing is mended yet: `chunk` makes shares in its own way, at times fewer than there are workers, and "
            "each row is a plain mean over its share.",
            broken_shares,
        ),
        Misconception(
            "plain_means",
            "Your shares are right, but each row is the mean over its own share. A lonely picture then counts as much "
            "as a whole crowd. What must a row be multiplied by, so that the plain mean of the rows is right?",
            shared(mean_of_share),
            matches=like(shared(mean_of_share)),
        ),
        Misconception(
            "sums",
            "Your rows are sums over the shares. Their mean is the sum over the batch divided by the number of "
            "workers, and not by the number of pictures.",
            shared(lambda mine, n, workers: 1.0),
        ),
        Misconception(
            "workers_forgotten",
            "Your rows *add up* to the gradient of the batch. But DDP takes their mean: it divides by the number of "
            "workers once more.",
            shared(lambda mine, n, workers: 1 / n),
        ),
        Misconception(
            "weighed_twice",
            "You weigh sums by n_k / n. That weight belongs to the *means* of the shares; a sum has the factor n_k in "
            "it already.",
            shared(lambda mine, n, workers: mine * workers / n),
        ),
        Misconception(
            "rest_left_out",
            "Your shares all have n // workers pictures, and the last pictures of the batch belong to nobody. Worker r "
            "takes the pictures from n·r // workers up to n·(r + 1) // workers.",
            shared(lambda mine, n, workers: workers / n, whole_shares_only),
        ),
        Misconception(
            "rest_to_the_last",
            "Your last worker takes everything that is left over: up to nearly twice as much as the others, who then "
            "wait for it. Worker r takes the pictures from n·r // workers up to n·(r + 1) // workers.",
            shared(lambda mine, n, workers: workers / n, rest_to_the_last),
        ),
        Misconception(
            "rest_to_the_first",
            "The mean of your rows is right, but the larger shares come first. Worker r takes the pictures from "
            "n·r // workers up to n·(r + 1) // workers.",
            shared(lambda mine, n, workers: workers / n, rest_to_the_first),
        ),
        Misconception(
            "empty_share",
            "Your rows are right as long as every worker has a picture. A worker without one must hand in zeros, and "
            "0 / 0 is no number. Do not divide by the size of the share: divide its sum by n.",
            shared(right_or_nan),
            matches=like(shared(right_or_nan)),
        ),
        Misconception(
            "raises_when_empty",
            "Your function fails when a worker has no picture. It must hand in zeros then. Do not divide by the size "
            "of the share: divide its sum by n.",
            equal_or_raise(lambda mine, n, workers: workers / n),
        ),
    ),
    hints=(
        "The mean of p rows is to be the sum over all pictures, divided by n. So what must one row be, if each picture "
        "belongs to one row only?",
        "`start, end = n * r // workers, n * (r + 1) // workers`, and the row is `workers / n` times the *sum* over "
        "the share: `X[start:end].T @ errors`. An empty sum is zero by itself.",
    ),
)


# ---------------------------------------------------------------------------------------------------------
# Go on from a checkpoint
# ---------------------------------------------------------------------------------------------------------

BATCH, RATE, MOMENTUM = 2, 0.1, 0.9


def trained(X, y, epochs, stop=None):
    """Momentum SGD on a linear model. With `stop`, what a checkpoint holds after so many batches in the last epoch."""
    weight, velocity = torch.zeros(X.shape[1]), torch.zeros(X.shape[1])
    generator = torch.Generator().manual_seed(0)
    for epoch in range(epochs):
        order = torch.randperm(len(X), generator=generator)
        for done, batch in enumerate(order.split(BATCH)):
            if epoch == epochs - 1 and done == stop:
                return weight, velocity, order, done, generator.get_state()
            weight, velocity = moved(X[batch], y[batch], weight, velocity)
    return weight, velocity, order, done + 1, generator.get_state()


def moved(X, y, weight, velocity):
    velocity = MOMENTUM * velocity + X.T @ (X @ weight - y) / len(X)
    return weight - RATE * velocity, velocity


def resumption(slip=""):
    """Go on from a checkpoint; `slip` names what is done wrong."""

    def resume(X, y, weight, velocity, order, done, state, epochs):
        generator = torch.Generator()
        generator.manual_seed(0) if slip == "seeded anew" else generator.set_state(state)
        if slip == "no velocity":
            velocity = torch.zeros_like(velocity)
        rest = list(order.split(BATCH))
        rest = rest[done - 1 :] if slip == "last batch again" and done else rest[done:]
        if slip == "epoch again":
            rest = order.split(BATCH)
        if slip == "epoch dropped":
            rest = []
        if slip == "counts pictures":
            rest = order[done:].split(BATCH)
        if slip == "another order":
            rest = torch.randperm(len(X), generator=generator).split(BATCH)[done:]
        for number in range(epochs + 1 - (slip == "one epoch less")):
            if number and slip != "same order":
                rest = torch.randperm(len(X), generator=generator).split(BATCH)
            elif number:
                rest = order.split(BATCH)
            if number and slip == "velocity anew":
                velocity = torch.zeros_like(velocity)
            for batch in rest:
                weight, velocity = moved(X[batch], y[batch], weight, velocity)
        return weight

    return resume


def checkpoints(seed):
    draw = Draw(seed)

    def case(label, n, numbers, before, stop, more):
        X, y = draw.real(n, numbers) / 2, draw.real(n)
        return Case(label, (X, y, *trained(X, y, before, stop), more), gradient=False)

    yield case("stopped in the middle of the second of four epochs", 8, 3, 2, 2, 2)
    yield case("a last batch of one picture", 7, 2, 2, 1, 1)
    yield case("stopped in the last epoch", 8, 2, 3, 1, 0)
    yield case("stopped at the end of an epoch", 6, 3, 2, None, 2)
    yield case("stopped before the first batch", 6, 2, 1, 0, 3)
    yield case("many pictures", draw.size(20, 25), 4, 3, draw.size(3, 6), 2)


RESUME = Task(
    id="resume",
    title="Go on as if nothing had happened",
    kind="write",
    points=3,
    difficulty=4,
    importance=5,
    minutes=20,
    oracle=resumption(),
    cases=checkpoints,
    misconceptions=(
        Misconception(
            "no_velocity",
            "You begin with the velocity 0. It was saved: the next step depends on the steps before the interruption.",
            resumption("no velocity"),
        ),
        Misconception(
            "seeded_anew",
            "You seed a new generator. It would draw once more the orders that have been used; `generator.set_state` "
            "puts it where it was.",
            resumption("seeded anew"),
        ),
        Misconception(
            "another_order",
            "For the epoch under way you draw a new order. It has one, and it was saved: with another, some pictures "
            "are seen twice and others never. And the generator is one draw ahead from there on.",
            resumption("another order"),
        ),
        Misconception(
            "epoch_again",
            "You begin the epoch under way from its first batch. `done` batches of it are behind you already.",
            resumption("epoch again"),
        ),
        Misconception(
            "epoch_dropped",
            "You begin with a new epoch. The one under way still has batches: those of `order`, from the batch `done` "
            "on.",
            resumption("epoch dropped"),
        ),
        Misconception(
            "counts_pictures",
            "`done` counts batches, and you skip so many *pictures*. A batch has two.",
            resumption("counts pictures"),
        ),
        Misconception(
            "last_batch_again",
            "You make the last step before the interruption once more. `done` batches are done: numbers 0 to done - 1.",
            resumption("last batch again"),
        ),
        Misconception(
            "same_order",
            "You use the saved order for all further epochs. It belongs to the one under way; each new epoch draws its "
            "own.",
            resumption("same order"),
        ),
        Misconception(
            "one_epoch_less",
            "You count the epoch under way among `epochs`. These come *after* it.",
            resumption("one epoch less"),
        ),
        Misconception(
            "velocity_anew",
            "You set the velocity to 0 at the beginning of each epoch. It goes on through all of them.",
            resumption("velocity anew"),
        ),
    ),
    hints=(
        "Go through `train` line by line, and ask of each variable: which value has it at the moment of the "
        "interruption, and which argument brings it back?",
        "First the rest of the epoch under way, `order.split(2)[done:]`. Then `epochs` times `torch.randperm(len(X), "
        "generator=generator).split(2)`, with `generator.set_state(state)` before the first of them.",
    ),
)

TASKS = (LAYER, KERNELS, EXPOSE, SHARES, RESUME)
