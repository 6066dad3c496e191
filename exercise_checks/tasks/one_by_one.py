"""Tasks of sheet 05: 1×1 as a matrix product and as a linear layer, a poured batch, a bottleneck and its costs."""

import torch
import torch.nn.functional as F
from torch import nn

from exercise_checks.tasks.calls import CONVOLUTIONS
from exercise_checks.tasks.task import Draw, as_list, slips, task


def lesson_example():
    """Lesson 5's picture, channels 0 to 8 and 1 to 9, and its three filters."""
    X = torch.stack([torch.arange(9.0).reshape(3, 3), torch.arange(1.0, 10.0).reshape(3, 3)])
    return X, torch.tensor([[1.0, 10.0], [1.0, 1.0], [-1.0, 1.0]])


def oracle(X, K):
    return F.conv2d(X[None], K)[0]


def pictures(draw: Draw):
    real = {"dtype": torch.float64}
    X, K = lesson_example()
    yield "the three filters of lesson 5", X, K.reshape(3, 2, 1, 1)
    yield "3 → 3 channels, a wide picture", draw.whole(3, 2, draw.size(4, 6)), draw.whole(3, 3, 1, 1)
    yield "3 → 2 channels, a tall picture", draw.whole(3, 5, 2), draw.whole(2, 3, 1, 1)
    yield "1 → 4 channels", draw.whole(1, 3, 4), draw.whole(4, 1, 1, 1)
    yield "4 → 1 channel", draw.whole(4, 3, 2), draw.whole(1, 4, 1, 1)
    yield "a picture of one pixel", draw.whole(3, 1, 1), draw.whole(2, 3, 1, 1)
    filters = draw.whole(3, 2, 1, 1).transpose(0, 1)
    yield "a picture and filters that are not contiguous", draw.turned(3, 4, 5), filters
    yield "channels last in memory", draw.whole(3, 4, 2).permute(2, 0, 1), draw.whole(3, 2, 1, 1)
    yield "fractions in float64", draw.real(3, 2, 4, **real), draw.real(4, 3, 1, 1, **real)


def pixel(index, X, K):
    o, i, j = index
    return f"X[:, {i}, {j}] = {as_list(X[:, i, j])} and K[{o}, :, 0, 0] = {as_list(K[o, :, 0, 0])}"


@task(
    "One matrix product", pictures, points=2, difficulty=2, importance=5, minutes=10,
    oracle=oracle, window=pixel, forbids=CONVOLUTIONS | {"ops.*"},
)  # fmt: skip
def corr2d_multi_in_out_1x1(X, K):
    """Write the nine pixels of lesson 5's picture as nine columns. What is the first column? Which shape has that
    table, and which shape must a matrix have that turns each column into three numbers?

    `K.reshape(out, C) @ X.reshape(C, H * W)`, and the answer reshaped to (out, H, W). The channels stay the first axis
    all the time.
    """
    outputs, (C, H, W) = len(K), X.shape
    Y = K.reshape(outputs, C) @ X.reshape(C, H * W)
    return Y.reshape(outputs, H, W)


slips(corr2d_multi_in_out_1x1, """
poured_both_ways: K.reshape(outputs, C) @ X.reshape(C, H * W) -> X.reshape(H * W, C) @ K.reshape(outputs, C).T
    You poured the numbers into (pixels, channels) and the answer back: `reshape` keeps their order in memory, so a
    “pixel” is made of neighbours from one channel. Keep the channels as the first axis.
poured_in: X.reshape(C, H * W) -> X.reshape(H * W, C).T
    X went to (pixels, channels) by `reshape`: that keeps the order in memory, so a “pixel” is made of neighbours from
    one channel. Only rows and columns may be joined.
poured_out: K.reshape(outputs, C) @ X.reshape(C, H * W) -> X.reshape(C, H * W).T @ K.reshape(outputs, C).T
    The product is right, but it lies as (pixels, out) when you reshape it to (out, H, W). Reshape cannot move an axis:
    bring the output channels to the front first.
filters_poured: K.reshape(outputs, C) -> K.reshape(C, outputs).T
    You reshaped K to (in, out). Its numbers lie in the order (out, in), so the weights land at the wrong channels.
    Reshape to (out, in), and transpose if your product needs it.
filters_with_four_axes: K.reshape(outputs, C) -> K
and: .reshape(outputs, H, W) ->
    K still has four axes, and `@` takes it for a stack of 1×1 matrices. Make it a matrix (out, in) first.
last_channel_only: , C) @ -> , C)[:, -1:] @
and: H * W) -> H * W)[-1:]
    Only the last channel is in your answer: each one took the place of the one before. A filter adds up the products
    of all channels.
columns_before_rows: outputs, H, W -> outputs, W, H
    You gave the answer W rows and H columns. The picture's size stays: rows first, then columns.
left_flat: .reshape(outputs, H, W) ->
    The numbers are right, but the pixels still lie in one long row. Give the answer its rows and columns back.
view: reshape -> view
    Your answer is right on most pictures, but `view` refuses one whose rows are not contiguous in memory. `reshape`
    copies where it must.
""")  # fmt: skip


def broken_mix(X, K):
    N, C, H, W = X.shape
    pixels = X.reshape(-1, C)
    return (pixels @ K.T).reshape(N, len(K), H, W)


def mix(X, K):
    return F.conv2d(X, K[:, :, None, None])


def misfit(value):
    """What is wrong with the form of (X, K), or None."""
    if not (isinstance(value, tuple) and len(value) == 2 and all(isinstance(v, torch.Tensor) for v in value)):
        return "Return two tensors: `return X, K`."
    X, K = value
    if X.ndim != 4 or K.ndim != 2:
        return "X must have four axes, (N, C, H, W), and K two, (out, C)."
    if K.shape[1] != X.shape[1]:
        return "K must have one column for each channel of X."
    if 0 in (*X.shape, *K.shape) or X.numel() > 10_000 or len(K) > 100:
        return "X must have 1 to 10000 numbers, K 1 to 100 rows."
    if not all(v.dtype == torch.float32 and v.isfinite().all() for v in value):
        return "Take float32 tensors, as `torch.ones(...)` makes them, without inf and nan."
    return None


def exposes(value):
    """An input that fits, and on which `broken_mix` goes wrong."""
    sentence = misfit(value)
    if sentence:
        return sentence
    exact = [v.double() for v in value]  # so that the order of a sum cannot pass for a mistake
    if torch.allclose(broken_mix(*exact), mix(*exact)):
        return "On this input `broken_mix` is right. Look for one on which it is not."
    return None


def fits(test):
    """A predicate for inputs of the right form: `test(X, K)` looks at their shapes or numbers."""
    return lambda value: misfit(value) is None and test(*value)


def only_scales(X, K):
    return K.shape[0] == K.shape[1] and torch.equal(K, K[0, 0] * torch.eye(len(K)))


@task(
    "Find an input that breaks it", kind="bug", points=1, difficulty=2, importance=4, minutes=5,
    accept=exposes, broken=broken_mix,
)  # fmt: skip
def breaks_mix():
    """Take two channels of two pixels, `0 1` and `10 11`, and write down their four numbers in the order in which they
    lie in memory. Which two numbers are a pixel? Which two does `reshape(-1, 2)` put side by side?

    Any picture with two channels and several pixels that differ will do, with a matrix that mixes, such as `1 10`:
    `torch.arange(8.0).reshape(1, 2, 2, 2)`.
    """
    X = torch.arange(8.0).reshape(1, 2, 2, 2)
    K = torch.tensor([[1.0, 10.0]])
    return X, K


slips(breaks_mix, """
one_pixel = torch.arange(6.0).reshape(3, 2, 1, 1), torch.ones(2, 2)
if: fits(lambda X, K: X.shape[2:].numel() == 1)
    Your maps have one pixel each, as in the example. There the numbers of a pixel do lie side by side in memory.
one_channel = torch.arange(6.0).reshape(1, 1, 2, 3), torch.full((1, 1), 2.0)
if: fits(lambda X, K: K.shape == (1, 1))
    You have one channel in and one out. Nothing can be mixed up then: every number is a pixel.
only_scales: torch.tensor([[1.0, 10.0]]) -> 3 * torch.eye(2)
if: fits(only_scales)
    Your matrix multiplies every channel by the same number and mixes none. Then it does not matter which numbers are
    taken together.
alike = torch.ones(1, 2, 2, 3), torch.tensor([[1.0, 10.0], [10.0, 1.0]])
if: fits(lambda X, K: len(mix(X, K).unique()) == 1)
    The right answer is the same number everywhere, so numbers in the wrong places look right. Take a picture whose
    pixels differ.
""")  # fmt: skip


def batches(draw: Draw):
    real = {"dtype": torch.float64}
    X, K = lesson_example()
    yield "two pictures of lesson 5", torch.stack([X, X.flip(0)]), K
    yield "a batch of one, a wide picture", draw.whole(1, 3, 2, draw.size(4, 6)), draw.whole(2, 3)
    yield "3 → 3 channels, a tall picture", draw.whole(2, 3, 4, 2), draw.whole(3, 3)
    yield "as many columns as channels", draw.whole(2, 3, 2, 3), draw.whole(4, 3)
    yield "maps of one pixel", draw.whole(3, 2, 1, 1), draw.whole(4, 2)
    yield "1 → 2 channels", draw.whole(2, 1, 3, 2), draw.whole(2, 1)
    yield "a batch that is not contiguous", draw.turned(2, 2, 3, 4), draw.turned(3, 2)
    yield "fractions in float64", draw.real(2, 3, 2, 4, **real), draw.real(2, 3, **real)


def pixel_of_batch(index, X, K):
    n, o, i, j = index
    return f"X[{n}, :, {i}, {j}] = {as_list(X[n, :, i, j])} and K[{o}] = {as_list(K[o])}"


@task(
    "Mend it", batches, kind="bug", points=2, difficulty=3, importance=4, minutes=10,
    oracle=mix, window=pixel_of_batch, forbids=CONVOLUTIONS | {"ops.*"},
)  # fmt: skip
def mended_mix(X, K):
    """`@` mixes along the last axis of what stands on its left. Which axis of X should that be? How does it get there
    without another number changing its pixel?

    `X.permute(0, 2, 3, 1) @ K.T` has the shape (N, H, W, out); `permute(0, 3, 1, 2)` moves the channels back.
    """
    pixels = X.permute(0, 2, 3, 1)
    return (pixels @ K.T).permute(0, 3, 1, 2)


slips(mended_mix, """
unchanged = broken_mix
    The numbers are still poured by `reshape`, in and out. It never moves an axis; `permute` does.
poured_out: .permute(0, 3, 1, 2) -> .reshape(len(X), len(K), *X.shape[2:])
    On the way in the channels are moved right. On the way out they are not: the product ends with the channels, and
    `reshape` to (N, out, H, W) pours them over the maps. Move them back.
poured_in: X.permute(0, 2, 3, 1) -> X.reshape(X.permute(0, 2, 3, 1).shape)
    On the way out the channels are moved right. On the way in, `reshape` to (N, H, W, C) gives the shape and the wrong
    numbers. Move the axis there, too.
channels_last: .permute(0, 3, 1, 2) ->
    The numbers are right, but the channels are still the last axis. Move them back to their place: (N, out, H, W).
rows_and_columns_exchanged: 0, 3, 1, 2 -> 0, 3, 2, 1
    Rows and columns are exchanged in your answer. If you move axes, and move them back, write down their order after
    each move.
pictures_poured: (pixels @ K.T).permute(0, 3, 1, 2) -> (K @ X.reshape(K.shape[1], -1)).reshape(mix(X, K).shape)
    With a single picture your answer is right. With several, `reshape` pours the numbers of one picture into another:
    the first axis of X is the batch, not the channels.
pictures_poured_out: .permute(0, 3, 1, 2) -> .permute(3, 0, 1, 2).reshape(len(X), len(K), *X.shape[2:])
    With a single picture your answer is right. With several, the product has the output channels first and all
    pictures behind them, and `reshape` to (N, out, H, W) cannot exchange the two. Move the batch to the front.
matrix_turned: K.T -> K
    You multiply with K where `K.T` is needed. A pixel stands in a row here, with `in` numbers, so the matrix must have
    the shape (in, out).
""")  # fmt: skip


class PixelOracle(nn.Module):
    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.linear = nn.Linear(in_channels, out_channels)

    def forward(self, X):
        return F.conv2d(X, self.linear.weight[:, :, None, None], self.linear.bias)


def learns_nothing(seen, *_):
    return not seen["parameters"]


def linear_layers(draw: Draw):
    for label, N, inputs, outputs, size in [
        ("3 → 2 channels, a wide picture", 2, 3, 2, (2, 4)),
        ("2 → 4 channels, a tall picture", 1, 2, 4, (5, 3)),
        ("as many columns as channels", 2, 3, 3, (2, 3)),
        ("maps of one pixel", 3, 4, 2, (1, 1)),
    ]:
        weights = {"linear.weight": draw.whole(outputs, inputs), "linear.bias": draw.whole(outputs, low=1)}
        made = {"in_channels": inputs, "out_channels": outputs}
        yield label, made, weights, draw.whole(N, inputs, *size)


@task(
    "A linear layer on every pixel", linear_layers, points=2, difficulty=3, importance=4, minutes=10,
    use="module", gradient=False, oracle=PixelOracle, forbids=CONVOLUTIONS,
)  # fmt: skip
class PixelLinear(nn.Module):
    """`nn.Linear` mixes the numbers along one axis only. Which one, and what must happen to a batch (N, C, H, W)
    before and after?

    In `forward`: `self.linear(X.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)`.
    """

    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.linear = nn.Linear(in_channels, out_channels)

    def forward(self, X):
        return self.linear(X.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


slips(PixelLinear, """
poured_in: X.permute(0, 2, 3, 1) -> X.reshape(X.permute(0, 2, 3, 1).shape)
    `reshape` made your channels-last batch: right shape, wrong numbers in each pixel. `permute` moves the axis.
poured_out: .permute(0, 3, 1, 2) -> .reshape(len(X), -1, *X.shape[2:])
    After the linear layer the channels are the last axis, and `reshape` cannot move them back: it pours them over the
    maps.
poured_both_ways: X.permute(0, 2, 3, 1) -> X.reshape(-1, X.shape[1])
and: .permute(0, 3, 1, 2) -> .reshape(len(X), -1, *X.shape[2:])
    You poured the batch into (pixels, channels), and the answer back, as `broken_mix` does. `reshape` moves no axis:
    `permute` the channels to the end, and back afterwards.
channels_last: .permute(0, 3, 1, 2) ->
    The numbers are right, but the channels are still the last axis. The layer should return (N, out, H, W), as a
    convolution does.
on_columns: self.linear(X.permute(0, 2, 3, 1)).permute(0, 3, 1, 2) -> self.linear(X)
    `nn.Linear` mixes the last axis, and in (N, C, H, W) that is the columns. Bring the channels there first.
rows_and_columns_exchanged: 0, 3, 1, 2 -> 0, 3, 2, 1
    Rows and columns are exchanged in your answer. The second `permute` must undo the first.
no_bias: nn.Linear(in_channels, out_channels) -> nn.Linear(in_channels, out_channels, bias=False)
    Your linear layer has no bias. A convolution has one by default, and so has `nn.Linear`.
convolution: nn.Linear(in_channels, out_channels) -> nn.Conv2d(in_channels, out_channels, 1)
and: self.linear(X.permute(0, 2, 3, 1)).permute(0, 3, 1, 2) -> self.linear(X)
if: lambda seen, *_: len(seen["parameters"].get("linear.weight", ())) == 4
    `linear` is a convolution itself. The task is to do without one: make it an `nn.Linear`, whose weight has two axes.
nothing_to_learn: nn.Linear(in_channels, out_channels) -> lambda X: nn.Linear(in_channels, out_channels)(X)
if: learns_nothing
    The module has no parameters. Make the linear layer once, in `__init__`, and assign it to `self.linear`. One made
    in `forward` is new and random at every call.
""")  # fmt: skip


PLACES, WIDE, NARROW = 8 * 10, 64, 16


def cost(layer, X):
    return layer(X).numel() * layer.weight[0].numel(), sum(p.nbytes for p in layer.parameters())


def counted():
    X = torch.zeros(1, WIDE, 8, 10)
    down, middle, up = nn.Conv2d(WIDE, NARROW, 1), nn.Conv2d(NARROW, NARROW, 3, padding=1), nn.Conv2d(NARROW, WIDE, 1)
    macs, memory = zip(cost(down, X), cost(middle, down(X)), cost(up, middle(down(X))), strict=True)
    plain_macs, plain_bytes = cost(nn.Conv2d(WIDE, WIDE, 3, padding=1), X)
    return {
        "plain_macs": plain_macs,
        "bottleneck_macs": sum(macs),
        "one_by_one_macs": macs[0] + macs[2],
        "plain_bytes": plain_bytes,
        "bottleneck_bytes": sum(memory),
    }


@task("What a bottleneck saves", kind="predict", points=2, difficulty=3, importance=4, minutes=10, oracle=counted)
def bottleneck_costs():
    """Write the three layers of the bottleneck below each other, each with its input channels, output channels and
    kernel size. How many weights has each? How often is each weight used?

    Weights: in · out · k · k for each layer. MACs: 80 times the weights. Bytes: four times the weights and biases
    together, one bias for each output channel of each layer.
    """
    plain, one_by_one, middle = 64 * 64 * 9, 64 * 16 + 16 * 64, 16 * 16 * 9
    return {
        "plain_macs": 8 * 10 * plain,
        "bottleneck_macs": 8 * 10 * (one_by_one + middle),
        "one_by_one_macs": 8 * 10 * one_by_one,
        "plain_bytes": 4 * (plain + 64),
        "bottleneck_bytes": 4 * (one_by_one + middle + 16 + 16 + 64),
    }


slips(bottleneck_costs, """
kernel_not_squared = {"plain_macs": PLACES * WIDE * WIDE * 3}
    You took 3 products per pair of channels. A 3×3 kernel has nine numbers.
padding_forgotten = {"plain_macs": 6 * 8 * WIDE * WIDE * 9}
    You counted 6×8 places. With `padding=1` a 3×3 layer keeps the map's size.
per_pixel = {"plain_macs": WIDE * WIDE * 9}
    This is the work for one pixel. The map has 8 rows of 10.
operations = {"plain_macs": 2 * PLACES * WIDE * WIDE * 9}
    You counted multiplications and additions apart, as PyTorch's counter does. A multiply-accumulate is both: half as
    many.
biases_as_macs = {"plain_macs": PLACES * (WIDE * WIDE * 9 + WIDE)}
    You counted one more for each number of the answer, for its bias. Biases are not counted here: they multiply
    nothing.
one_side_of_channels = {"plain_macs": PLACES * WIDE * 9}
    You took the number of channels once. Each output channel looks at every input channel: in · out.
one_by_one_free = {"bottleneck_macs": PLACES * NARROW * NARROW * 9}
    You counted the 3×3 layer of the bottleneck only. 1×1 layers are not free: they take one product per pair of
    channels.
way_back_forgotten = {"bottleneck_macs": PLACES * (WIDE * NARROW + NARROW * NARROW * 9)}
    One layer is missing: after the 3×3 a second 1×1 leads back to 64 channels.
nine_everywhere = {"bottleneck_macs": PLACES * 9 * (2 * WIDE * NARROW + NARROW * NARROW)}
    You took nine products per pair of channels in all three layers. The 1×1 layers have one.
one_of_two = {"one_by_one_macs": PLACES * WIDE * NARROW}
    This is the work of one 1×1 layer. There are two: down to 16 channels, and up to 64 again.
numbers_for_bytes = {"plain_bytes": WIDE * WIDE * 9 + WIDE}
    You counted parameters. Bytes are asked for: a float32 number takes four.
bits_for_bytes = {"plain_bytes": 32 * (WIDE * WIDE * 9 + WIDE)}
    You took 32 for each number: that is bits. A byte has eight of them.
biases_forgotten = {"plain_bytes": 4 * WIDE * WIDE * 9}
    You counted the weights alone. Each layer also keeps one bias for each of its output channels.
one_bias_a_layer = {"plain_bytes": 4 * (WIDE * WIDE * 9 + 1)}
    You counted one bias for the layer. Each output channel has its own.
biases_of_the_bottleneck = {"bottleneck_bytes": 4 * (2 * WIDE * NARROW + NARROW * NARROW * 9 + 3 * WIDE)}
    The biases of the bottleneck are not right yet: a layer has as many as it has *output* channels, here 16, 16 and
    64.
""")  # fmt: skip


def widens_early(seen, arguments, *_):
    """Told by its shapes: weights that do not fit are not loaded, so the output says nothing."""
    channels, narrow = arguments["channels"], arguments["narrow"]
    return seen["parameters"].get("middle.weight") == (channels, narrow, 3, 3)


def blocks(draw: Draw):
    for label, N, channels, narrow, size in [
        ("6 → 2 → 6 channels, a wide map", 2, 6, 2, (3, 5)),
        ("4 → 3 → 4 channels, a tall map", 1, 4, 3, (5, 2)),
        ("2 → 1 → 2 channels, a map of one pixel", 1, 2, 1, (1, 1)),
    ]:
        parameters = Bottleneck.answer(channels, narrow).named_parameters()
        weights = {name: draw.real(*parameter.shape) for name, parameter in parameters}
        yield label, {"channels": channels, "narrow": narrow}, weights, draw.real(N, channels, *size)


@task(
    "A bottleneck", blocks, points=3, difficulty=3, importance=4, minutes=15, use="module", gradient=False,
)  # fmt: skip
class Bottleneck(nn.Module):
    """Which channels go into each of the three layers, and which come out? Which of them would change the map's size,
    and what keeps it?

    `nn.Conv2d(channels, narrow, 1)`, `nn.Conv2d(narrow, narrow, 3, padding=1)`, `nn.Conv2d(narrow, channels, 1)`. In
    `forward`: down, ReLU, middle, ReLU, up.
    """

    def __init__(self, channels, narrow):
        super().__init__()
        self.down = nn.Conv2d(channels, narrow, 1)
        self.middle = nn.Conv2d(narrow, narrow, 3, padding=1)
        self.up = nn.Conv2d(narrow, channels, 1)

    def forward(self, X):
        Y = self.down(X).relu()
        Y = self.middle(Y).relu()
        return self.up(Y)


slips(Bottleneck, """
no_padding: , padding=1 ->
    The map shrinks by two rows and two columns: the 3×3 layer needs `padding=1` to keep its size.
padding_everywhere: , 1) -> , 1, padding=1)
    The map grows. Only the 3×3 layer needs padding; around a 1×1 layer it adds a ring of places that hold nothing but
    the bias.
no_relu: .relu() ->
    There is no ReLU between the layers. Without it the three layers together are one convolution, with a kernel of
    3×3.
second_relu_missing: self.middle(Y).relu() -> self.middle(Y)
    The ReLU after the 3×3 layer is missing. Without it the 3×3 and the last 1×1 collapse into one layer.
first_relu_missing: self.down(X).relu() -> self.down(X)
    The ReLU after the first 1×1 layer is missing. Without it the first 1×1 and the 3×3 collapse into one layer.
relu_at_the_end: self.up(Y) -> self.up(Y).relu()
    You put a ReLU behind the last layer, too. The task asks for one *between* the layers: the answer may be negative.
relu_only_at_the_end: .relu() ->
and: self.up(Y) -> self.up(Y).relu()
    Your only ReLU stands behind the last layer. The task asks for one after `down` and one after `middle`, and for
    none at the end.
relu_before_each_layer: self.down(X) -> self.down(X.relu())
    You put a ReLU before each layer. The one before `down` takes the negative numbers of X away; the task asks for the
    other two only.
shortcut: self.up(Y) -> self.up(Y) + X
    You added X to the answer, as ResNet does. That is a good idea, and it is not asked for here.
middle_widens: nn.Conv2d(narrow, narrow, 3 -> nn.Conv2d(narrow, channels, 3
and: nn.Conv2d(narrow, channels, 1) -> nn.Conv2d(channels, channels, 1)
if: widens_early
    Your 3×3 layer widens to all channels again. It should stay narrow, that is what saves the work; the last 1×1
    widens.
nothing_to_learn: = nn.Conv2d -> = lambda X: nn.Conv2d
and: 1) -> 1)(X)
if: learns_nothing
    The module has no parameters: layers in a plain Python list, or made in `forward`, are not found. Assign each to
    `self` in `__init__`.
""")  # fmt: skip
