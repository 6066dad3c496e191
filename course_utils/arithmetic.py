"""The sizes and costs of convolution, computed with ints alone, without tensors.

Sizes are in pixels, costs in parameters or multiply-accumulates (MACs). An argument may be an int, which applies
to every axis, or a tuple with one int per axis; the result is an int if the input size is an int.
"""

from collections.abc import Iterable
from math import prod

Size = int | tuple[int, ...]


def output_size(
    input_size: Size, kernel_size: Size, stride: Size = 1, padding: Size | str = 0, dilation: Size = 1
) -> Size:
    """Return how many positions the kernel has: `(n + 2*padding - dilation*(k - 1) - 1) // stride + 1`.

    `padding` is the number of zeros per side, in pixels, or `"valid"` (none), `"same"` (output as large as the input;
    needs stride 1) or `"full"` (every overlap counts: `n + k - 1` for dilation 1 and stride 1).

    Raises:
        ValueError: an argument is out of range, or the kernel is larger than the padded input.

    Source: Dumoulin, Visin, *A guide to convolution arithmetic for deep learning* (2016), relationship 15.

    >>> output_size(28, 5)
    24
    >>> output_size((28, 40), (3, 5), stride=2, padding=(1, 2))
    (14, 20)
    >>> output_size(7, 3, padding="full")
    9
    """
    axes = _axes(input_size=input_size, kernel_size=kernel_size, stride=stride, dilation=dilation)
    _require_least(1, axes)
    spans = [d * (k - 1) + 1 for d, k in zip(axes["dilation"], axes["kernel_size"], strict=True)]
    totals = _total_padding(padding, spans, axes["stride"])
    sizes = []
    for n, span, step, total in zip(axes["input_size"], spans, axes["stride"], totals, strict=True):
        if span > n + total:
            raise ValueError(
                f"kernel_size must fit into the padded input: it spans {span} pixels, the padded input has {n + total}."
            )
        sizes.append((n + total - span) // step + 1)
    return _like(input_size, sizes)


def same_padding(kernel_size: Size, dilation: Size = 1) -> tuple:
    """Return the zeros `(before, after)` that keep the size at stride 1; an even kernel needs one more after.

    Raises:
        ValueError: an argument is not an int of at least 1.

    Source: Dumoulin, Visin (2016), section 2.3, "half padding"; the extra zero is on the same side as in torch.

    >>> same_padding(3), same_padding(4), same_padding(3, dilation=2)
    ((1, 1), (1, 2), (2, 2))
    >>> same_padding((3, 4))
    ((1, 1), (1, 2))
    """
    axes = _axes(kernel_size=kernel_size, dilation=dilation)
    _require_least(1, axes)
    totals = [d * (k - 1) for d, k in zip(axes["dilation"], axes["kernel_size"], strict=True)]
    both_int = isinstance(kernel_size, int) and isinstance(dilation, int)
    return _like(1 if both_int else (), [(total // 2, total - total // 2) for total in totals])


def receptive_field(layers: Iterable[tuple]) -> int:
    """Return how many input pixels, along one axis, one output of stacked layers can see.

    `layers` lists `(kernel_size, stride)` or `(kernel_size, stride, dilation)`, all ints, from input to output. A layer
    adds `dilation*(kernel_size - 1)` steps, each as wide as the product of the strides before it.

    Raises:
        ValueError: a layer is not two or three ints of at least 1.

    Source: Araujo, Norris, Sim, *Computing receptive fields of convolutional neural networks*, Distill (2019), eq. 2.

    >>> receptive_field([(3, 1), (3, 1)])
    5
    >>> receptive_field([(5, 1), (2, 2), (5, 1), (2, 2)])
    16
    """
    field, jump = 1, 1
    for layer in layers:
        if not isinstance(layer, (tuple, list)) or len(layer) not in (2, 3):
            raise ValueError(
                f"layers must hold (kernel_size, stride) or (kernel_size, stride, dilation), got {layer!r}."
            )
        _require_least(1, _axes(layers=tuple(layer)))
        kernel, stride, dilation = (*layer, 1)[:3]
        field += dilation * (kernel - 1) * jump
        jump *= stride
    return field


def count_parameters(in_channels: int, out_channels: int, kernel_size: Size, groups: int = 1, bias: bool = True) -> int:
    """Return how many parameters a convolution has: `out*(in/groups)*kh*kw`, plus `out` with a bias.

    An int `kernel_size` means a square kernel.

    Raises:
        ValueError: an argument is out of range, or `groups` does not divide both numbers of channels.

    Source: Zhang et al., *Dive into Deep Learning* (2023), section 7.4.2.

    >>> count_parameters(3, 16, 3)
    448
    >>> count_parameters(16, 16, (3, 5), groups=16, bias=False)
    240
    """
    kernel = _square(kernel_size)
    _require_channels(in_channels, out_channels, groups)
    return out_channels * (in_channels // groups) * prod(kernel) + (out_channels if bias else 0)


def count_macs(
    input_size: Size, in_channels: int, out_channels: int, kernel_size: Size,
    stride: Size = 1, padding: Size | str = 0, dilation: Size = 1, groups: int = 1,
) -> int:  # fmt: skip
    """Return the multiply-accumulates for one image: each output number costs `(in/groups)*kh*kw`.

    Ints `input_size` and `kernel_size` mean squares. The bias is not counted. Errors as `output_size` and
    `count_parameters`.

    Source: Howard et al., *MobileNets* (2017), section 3.1.

    >>> count_macs(28, 1, 6, 5, padding=2)
    117600
    """
    height, width = output_size(_square(input_size, "input_size"), _square(kernel_size), stride, padding, dilation)
    weights = count_parameters(in_channels, out_channels, kernel_size, groups, bias=False)
    return height * width * weights


def _axes(**arguments) -> dict[str, tuple[int, ...]]:
    """Repeat every int for each axis; all tuples must have the same length."""
    lengths = {len(v) for v in arguments.values() if isinstance(v, (tuple, list))}
    if len(lengths) > 1:
        listed = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
        raise ValueError(f"the tuples must have one entry per axis each, got {listed}.")
    axes = lengths.pop() if lengths else 1
    result = {k: tuple(v) if isinstance(v, (tuple, list)) else (v,) * axes for k, v in arguments.items()}
    for name, values in result.items():
        if not values or not all(isinstance(v, int) and not isinstance(v, bool) for v in values):
            raise ValueError(f"{name} must be an int or a tuple of ints, got {arguments[name]!r}.")
    return result


def _require_least(least: int, axes: dict[str, tuple[int, ...]]) -> None:
    for name, values in axes.items():
        if min(values) < least:
            raise ValueError(f"{name} must be at least {least}, got {values if len(values) > 1 else values[0]}.")


def _total_padding(padding, spans, strides) -> list[int]:
    """Return the zeros added per axis, both sides together."""
    if padding == "same" and set(strides) != {1}:
        raise ValueError(f"padding='same' needs stride 1, got {strides}.")
    named = {"valid": 0, "same": 1, "full": 2}
    if isinstance(padding, str):
        if padding not in named:
            raise ValueError(f"padding must be an int, a tuple, 'valid', 'same' or 'full', got {padding!r}.")
        return [named[padding] * (span - 1) for span in spans]
    axes = _axes(padding=padding, kernel_size=tuple(spans))
    _require_least(0, {"padding": axes["padding"]})
    return [2 * p for p in axes["padding"]]


def _require_channels(in_channels, out_channels, groups) -> None:
    _require_least(1, _axes(in_channels=in_channels) | _axes(out_channels=out_channels) | _axes(groups=groups))
    if in_channels % groups or out_channels % groups:
        raise ValueError(f"groups must divide in_channels {in_channels} and out_channels {out_channels}, got {groups}.")


def _square(size, name="kernel_size") -> tuple[int, int]:
    axes = _axes(**{name: size, "two axes": (1, 1)})[name]
    _require_least(1, {name: axes})
    return axes


def _like(argument, values: list):
    return values[0] if isinstance(argument, int) and len(values) == 1 else tuple(values)
