"""Tasks of sheet 15: a layer's numbers, convolution and pooling in one, a batch shared among workers, a resumption."""

import torch
import torch.nn.functional as F

from course_utils import arithmetic
from exercise_checks.tasks.task import Draw, slips, task

PEAK, BANDWIDTH = 200e9, 20e9


def counted():
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


@task(
    "What a layer waits for", kind="predict", points=2, difficulty=3, importance=5, minutes=15,
    oracle=counted, relative=0.005,
)  # fmt: skip
def layer_numbers():
    """How many answers has the layer for one picture, and how many products has each answer? What is read for each
    picture, what once for the batch? And of two times, which one does the roofline take?

    `flop` is 2·10·(20·20·32)·(16·9), `bytes` is 4·(10·16·400 + 10·32·400 + 32·16·9). The time is the larger of
    flop / 200e9 and bytes / 20e9. In the ring each worker sends 2·(4-1)/4 of its gradient.
    """
    return {
        "flop": 36_864_000,
        "bytes": 786_432,
        "intensity": 46.875,
        "microseconds": 184.32,
        "sent": 27_648,
    }


slips(layer_numbers, """
macs = {"flop": 36_864_000 / 2}
    For `flop` you gave the multiply-accumulates. Each is two operations: a multiplication and an addition.
one_picture = {"flop": 36_864_000 / 10}
    For `flop` you counted one picture. The batch has ten.
one_map = {"flop": 36_864_000 / 16}
    For `flop` you gave each kernel one map to look at. It reaches through all 16.
padding_forgotten = {"flop": 36_864_000 * 18**2 / 20**2}
    For `flop` you counted 18·18 places. With padding 1 there are 20·20.
numbers_not_bytes = {"bytes": 786_432 / 4}
    For `bytes` you counted numbers. In float32 each of them has four bytes.
weights_forgotten = {"bytes": 4 * 10 * (16 + 32) * 400}
    For `bytes` you left out the kernels. They are read, too: 32·16·3·3 numbers.
weights_for_each_picture = {"bytes": 4 * 10 * ((16 + 32) * 400 + 32 * 16 * 9)}
    For `bytes` you fetched the kernels anew for each picture. The batch shares them: they are read once.
answer_not_written = {"bytes": 4 * (10 * 16 * 400 + 32 * 16 * 9)}
    For `bytes` you left out what is written: 32 maps for each picture.
upside_down = {"intensity": 786_432 / 36_864_000}
    For `intensity` you divided the bytes by the operations. It is operations *per* byte.
added_up = {"microseconds": 1e6 * (36_864_000 / PEAK + 786_432 / BANDWIDTH)}
    For `microseconds` you added the time to calculate and the time to move. The roofline lets both go on at once: the
    longer of the two counts.
the_shorter = {"microseconds": 1e6 * 786_432 / BANDWIDTH}
    For `microseconds` you gave the time to move the bytes. At this intensity the layer lies under the flat part of the
    roof: calculating takes longer.
everybody_to_everybody = {"sent": 4 * 3 * 32 * 16 * 9}
    For `sent` you let each worker send its whole gradient to three others. In the ring each sends 2·3 pieces of a
    quarter.
one_way_round = {"sent": 27_648 / 2}
    For `sent` you counted one way round. The pieces go around twice: once to be added up, once to be copied.
sent_in_numbers = {"sent": 27_648 / 4}
    For `sent` you counted numbers, and the task asks for bytes: four for each.
""")  # fmt: skip


def weights_to_move(draw: Draw):
    yield "the kernel of lesson 1", torch.arange(4.0).reshape(1, 1, 2, 2)
    yield "a wide kernel", draw.whole(1, 1, 2, draw.size(4, 5), low=1)
    yield "a tall kernel with two input channels", draw.whole(1, 2, 3, 2, low=1)
    yield "three output channels", draw.whole(3, 2, 3, 3, low=1)
    yield "a kernel of one number", draw.whole(2, 1, 1, 1, low=1)
    yield "a weight that is not contiguous", draw.turned(2, 2, 3, 4)
    yield "fractions in float64", draw.real(2, 3, 2, 3, dtype=torch.float64)


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


@task(
    "Four kernels for one", weights_to_move, points=3, difficulty=3, importance=4, minutes=15,
    window=from_where, forbids=frozenset({"phase_kernels", "fuse_pooling"}),
)  # fmt: skip
def pooling_kernels(weight):
    """Draw the 3×3 window of the picture `0 1 2 / 3 4 5 / 6 7 8`. Where in it does the answer 25 look? Where, then,
    are its kernel's zeros?

    `F.pad(weight, (right, 1 - right, down, 1 - down))` for down and right 0 or 1, then `torch.stack(..., dim=1)` and
    `flatten(0, 1)`.
    """
    moved = [F.pad(weight, (right, 1 - right, down, 1 - down)) for down in (0, 1) for right in (0, 1)]
    return torch.stack(moved, dim=1).flatten(0, 1)


slips(pooling_kernels, """
columns_first: for down in (0, 1) for right in (0, 1) -> for right in (0, 1) for down in (0, 1)
    Your second and third kernels are exchanged: the second is moved to the *right*, the third *down*.
moved_backwards: (right, 1 - right, down, 1 - down) -> (1 - right, right, 1 - down, down)
    Your kernels move the wrong way. The answer one step to the right looks at pixels further right, so its kernel
    stands further right in the 3×3 window, with the zeros on its left.
never_moved: (right, 1 - right, down, 1 - down) -> (0, 1, 0, 1)
    Your four kernels are all alike, each in the top left corner. Then all four answers are the first one.
phase_by_phase: dim=1 -> dim=0
    Your kernels are the right ones in another order: first every kernel unmoved, then every kernel moved to the right.
    The four of one output channel belong together: `torch.stack(..., dim=1)`, then `flatten(0, 1)`.
averaged: .flatten(0, 1) -> .mean(1)
    You have taken the mean of the four kernels. That is right without an activation; with one, the mean must be taken
    *behind* it, so four kernels are needed.
flipped: F.pad(weight, -> F.pad(weight.flip(-2, -1),
    Your kernels are turned by 180 degrees: `F.conv2d` does not flip, and nothing here has to be turned.
same_size: F.pad(weight, (right, 1 - right, down, 1 - down)) -> weight
    Your kernels are as small as before, so nothing could be moved. The window of four answers is larger than the
    kernel by one row and one column.
zeros_all_around: (right, 1 - right, down, 1 - down) -> (1, 1, 1, 1)
    You have put zeros on all four sides. A kernel grows by *one* row and *one* column: what is moved right by one has
    one column of zeros on its left, and none on its right.
one_more_axis: .flatten(0, 1) ->
    The numbers are right, but the four stand on an axis of their own. `flatten(0, 1)` makes 4·out kernels of them, as
    `F.conv2d` wants it.
""")  # fmt: skip


def broken_shares(X, y, w, workers):
    rows = []
    for images, labels in zip(X.chunk(workers), y.chunk(workers), strict=True):
        errors = images @ w - labels
        rows.append(images.T @ errors / len(images))
    return torch.stack(rows)


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
    whole = X.T @ (X @ w - y) / len(X)
    return not torch.allclose(mean, whole, rtol=1e-3, atol=1e-5)


def exposes(value):
    """Pictures, labels, a weight and a number of workers on which `broken_shares` goes wrong."""
    if unfit(value):
        return unfit(value)
    if not goes_wrong(*value):
        return "On this input the mean of the rows is the gradient of the whole batch. Look for one on which it is not."
    return None


def unseen(test):
    """A predicate for answers of the right form on which nothing goes wrong: `test(X, y, w, workers)` says why."""
    return lambda value: not unfit(value) and test(*value) and not goes_wrong(*value)


@task(
    "Find an input that breaks it", kind="bug", points=1, difficulty=2, importance=4, minutes=5,
    accept=exposes, broken=broken_shares,
)  # fmt: skip
def breaks_shares():
    """Section 15.10 had four pictures with the gradients 0 1 2 3. For which shares was the plain mean right, for which
    was it wrong?

    Three pictures and two workers: `X.chunk(2)` gives shares of 2 and 1. Let the third picture differ from the others.
    """
    X, y, w = torch.tensor([[1.0], [1.0], [1.0]]), torch.tensor([0.0, 0.0, 3.0]), torch.zeros(1)
    return X, y, w, 2


slips(breaks_shares, """
even: return X, y, w, 2 -> return X, y, w, 3
if: lambda value: not unfit(value) and len(value[0]) % value[3] == 0
    Every worker gets equally many pictures: that is what the author tried. Take a number of pictures that the number
    of workers does not divide.
all_alike: [0.0, 0.0, 3.0] -> [3.0, 3.0, 3.0]
if: unseen(lambda X, y, w, workers: bool((X == X[0]).all() and (y == y[0]).all()))
    All your pictures are alike, and so are their gradients. Then each mean is the same, whatever its weight. Let one
    picture differ.
nothing_to_learn: [1.0], [1.0], [1.0] -> [0.0], [0.0], [0.0]
if: unseen(lambda X, y, w, workers: not (X * (X @ w - y)[:, None]).any())
    On this input all gradients are zero: the labels are what the weight says, or the pictures are black. Zero has
    every mean.
""")  # fmt: skip


def batches_to_share(draw: Draw):
    def case(label, n, numbers, workers, dtype=torch.float32):
        pictures, labels = draw.real(n, numbers, dtype=dtype), draw.real(n, dtype=dtype)
        return label, pictures, labels, draw.real(numbers, dtype=dtype), workers

    yield case("equal shares", 6, 2, 3)
    yield case("shares of 2 and 3", 5, 3, 2)
    yield case("shares of 1, 1, 1 and 2", 5, 2, 4)
    yield case("one worker", 4, 2, 1)
    yield case("many pictures, seven workers", draw.size(40, 47), 4, 7)
    yield case("more workers than pictures", 2, 3, 5)
    yield case("as many workers as pictures", 4, 1, 4)
    yield "pictures that are not contiguous", draw.turned(7, 3), draw.real(7), draw.real(3), 3
    yield case("fractions in float64", 8, 3, 3, torch.float64)


@task(
    "Mend it", batches_to_share, kind="bug", points=3, difficulty=3, importance=5, minutes=15, gradient=False,
)  # fmt: skip
def mended_shares(X, y, w, workers):
    """The mean of p rows is to be the sum over all pictures, divided by n. So what must one row be, if each picture
    belongs to one row only?

    `start, end = n * r // workers, n * (r + 1) // workers`, and the row is `workers / n` times the *sum* over the
    share: `X[start:end].T @ errors`. An empty sum is zero by itself.
    """
    rows, n = [], len(X)
    for r in range(workers):
        start, end = n * r // workers, n * (r + 1) // workers
        errors = X[start:end] @ w - y[start:end]
        rows.append(X[start:end].T @ errors * workers / n)
    return torch.stack(rows)


def shows(name):
    """A predicate: the value is what the mistake of this name returns, where that is no number, too."""

    def matches(value, *args):
        (wrong,) = (m.wrong for m in mended_shares.misconceptions if m.name == name)
        return torch.allclose(value, wrong(*args), rtol=1e-4, atol=1e-5, equal_nan=True)

    return matches


slips(mended_shares, """
unchanged = broken_shares
    Nothing is mended yet: `chunk` makes shares in its own way, at times fewer than there are workers, and each row is
    a plain mean over its share.
plain_means: * workers / n -> / (end - start)
if: shows("plain_means")
    Your shares are right, but each row is the mean over its own share. A lonely picture then counts as much as a whole
    crowd. What must a row be multiplied by, so that the plain mean of the rows is right?
sums: * workers / n ->
    Your rows are sums over the shares. Their mean is the sum over the batch divided by the number of workers, and not
    by the number of pictures.
workers_forgotten: * workers / n -> / n
    Your rows *add up* to the gradient of the batch. But DDP takes their mean: it divides by the number of workers once
    more.
weighed_twice: * workers / n -> * workers * (end - start) / n
    You weigh sums by n_k / n. That weight belongs to the *means* of the shares; a sum has the factor n_k in it
    already.
rest_left_out: n * r // workers, n * (r + 1) // workers -> n // workers * r, n // workers * (r + 1)
    Your shares all have n // workers pictures, and the last pictures of the batch belong to nobody. Worker r takes the
    pictures from n·r // workers up to n·(r + 1) // workers.
rest_to_the_last: n * r // workers, n * (r + 1) // workers -> n // workers * r, n // workers * (r + 1)
and: errors = -> end = n if r == workers - 1 else end; errors =
    Your last worker takes everything that is left over: up to nearly twice as much as the others, who then wait for
    it. Worker r takes the pictures from n·r // workers up to n·(r + 1) // workers.
rest_to_the_first: n * r // workers, n * (r + 1) // workers -> -(-n * r // workers), -(-n * (r + 1) // workers)
    The mean of your rows is right, but the larger shares come first. Worker r takes the pictures from n·r // workers
    up to n·(r + 1) // workers.
empty_share: * workers / n -> / (end - start) * (end - start) * workers / n
if: shows("empty_share")
    Your rows are right as long as every worker has a picture. A worker without one must hand in zeros, and 0 / 0 is no
    number. Do not divide by the size of the share: divide its sum by n.
raises_when_empty: * workers / n -> * (1 / (end - start)) * (end - start) * workers / n
    Your function fails when a worker has no picture. It must hand in zeros then. Do not divide by the size of the
    share: divide its sum by n.
""")  # fmt: skip


def trained(X, y, epochs, stop=None):
    """Momentum SGD on a linear model. With `stop`, what a checkpoint holds after so many batches in the last epoch."""
    weight, velocity = torch.zeros(X.shape[1]), torch.zeros(X.shape[1])
    generator = torch.Generator().manual_seed(0)
    for epoch in range(epochs):
        order = torch.randperm(len(X), generator=generator)
        for done, batch in enumerate(order.split(2)):
            if epoch == epochs - 1 and done == stop:
                return weight, velocity, order, done, generator.get_state()
            velocity = 0.9 * velocity + X[batch].T @ (X[batch] @ weight - y[batch]) / len(batch)
            weight = weight - 0.1 * velocity
    return weight, velocity, order, done + 1, generator.get_state()


def checkpoints(draw: Draw):
    def case(label, n, numbers, before, stop, more):
        X, y = draw.real(n, numbers) / 2, draw.real(n)
        return label, X, y, *trained(X, y, before, stop), more

    yield case("stopped in the middle of the second of four epochs", 8, 3, 2, 2, 2)
    yield case("a last batch of one picture", 7, 2, 2, 1, 1)
    yield case("stopped in the last epoch", 8, 2, 3, 1, 0)
    yield case("stopped at the end of an epoch", 6, 3, 2, None, 2)
    yield case("stopped before the first batch", 6, 2, 1, 0, 3)
    yield case("many pictures", draw.size(20, 25), 4, 3, draw.size(3, 6), 2)


@task(
    "Go on as if nothing had happened", checkpoints, points=3, difficulty=4, importance=5, minutes=20, gradient=False,
)  # fmt: skip
def resume(X, y, weight, velocity, order, done, state, epochs):
    """Go through `train` line by line, and ask of each variable: which value has it at the moment of the interruption,
    and which argument brings it back?

    First the rest of the epoch under way, `order.split(2)[done:]`. Then `epochs` times `torch.randperm(len(X),
    generator=generator).split(2)`, with `generator.set_state(state)` before the first of them.
    """
    generator = torch.Generator()
    generator.set_state(state)
    batches = order.split(2)[done:]
    for _ in range(epochs + 1):
        for batch in batches:
            velocity = 0.9 * velocity + X[batch].T @ (X[batch] @ weight - y[batch]) / len(batch)
            weight = weight - 0.1 * velocity
        batches = torch.randperm(len(X), generator=generator).split(2)
    return weight


slips(resume, """
no_velocity: generator = torch.Generator() -> generator, velocity = torch.Generator(), torch.zeros_like(velocity)
    You begin with the velocity 0. It was saved: the next step depends on the steps before the interruption.
seeded_anew: generator.set_state(state) -> generator.manual_seed(0)
    You seed a new generator. It would draw once more the orders that have been used; `generator.set_state` puts it
    where it was.
another_order: order.split(2) -> torch.randperm(len(X), generator=generator).split(2)
    For the epoch under way you draw a new order. It has one, and it was saved: with another, some pictures are seen
    twice and others never. And the generator is one draw ahead from there on.
epoch_again: [done:] ->
    You begin the epoch under way from its first batch. `done` batches of it are behind you already.
epoch_dropped: order.split(2)[done:] -> []
    You begin with a new epoch. The one under way still has batches: those of `order`, from the batch `done` on.
counts_pictures: order.split(2)[done:] -> order[done:].split(2)
    `done` counts batches, and you skip so many *pictures*. A batch has two.
last_batch_again: [done:] -> [max(done - 1, 0) :]
    You make the last step before the interruption once more. `done` batches are done: numbers 0 to done - 1.
same_order: torch.randperm(len(X), generator=generator) -> order
    You use the saved order for all further epochs. It belongs to the one under way; each new epoch draws its own.
one_epoch_less: range(epochs + 1) -> range(epochs)
    You count the epoch under way among `epochs`. These come *after* it.
velocity_anew: batches = torch.randperm -> velocity = torch.zeros_like(velocity); batches = torch.randperm
    You set the velocity to 0 at the beginning of each epoch. It goes on through all of them.
""")  # fmt: skip
