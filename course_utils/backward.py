"""The backward pass of a convolution, written by hand: two gradients, each of which is again a convolution.

Names and arguments are those of `torch.nn.grad` and `torch.nn.functional`, which the tests compare with. Everything is
built from `ops`, so autograd can differentiate the gradients again.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils import ops, shapes
from course_utils.shapes import IntOrPair


def conv2d_input(
    input_size: Sequence[int], weight: Tensor, grad_output: Tensor,
    stride: IntOrPair = 1, padding: IntOrPair = 0, dilation: IntOrPair = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """Return dL/d(input) of `conv2d`, given `grad_output`, which is dL/d(output).

    Every output number passes its gradient back to the pixels of its window, each multiplied by its kernel entry. This
    is a transposed convolution. Pixels that no window reached get 0.

    Shapes: input_size `(N, C_in, H, W)`; weight `(C_out, C_in / groups, kh, kw)`; grad_output `(N, C_out, H', W')`
    -> `(N, C_in, H, W)`. `stride`, `padding`, `dilation` are an int or a pair `(rows, columns)`, in pixels.

    Raises:
        TypeError: weight or grad_output is not a tensor, or their dtypes differ.
        ValueError: `conv2d` with this setting makes no output of grad_output's shape, or has no such setting.

    Source: Dumoulin, Visin, *A guide to convolution arithmetic for deep learning* (2016), section 4;
    Goodfellow, Bengio, Courville, *Deep Learning* (2016), section 9.5, equation 9.13.

    >>> K = torch.tensor([[[[0.0, 1.0], [2.0, 3.0]]]])
    >>> conv2d_input((1, 1, 3, 3), K, torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]))
    tensor([[[[ 0.,  1.,  2.],
              [ 2., 10., 10.],
              [ 6., 17., 12.]]]])
    """
    shapes.require_dims(weight, "weight", {4: "(C_out, C_in / groups, kh, kw)"})
    stride, padding, dilation = _pairs(stride, padding, dilation)
    left_over = _fit(input_size, weight.shape, grad_output, stride, padding, dilation, groups)
    return ops.conv_transpose2d(grad_output, weight, None, stride, padding, left_over, groups, dilation)


def conv2d_weight(
    input: Tensor, weight_size: Sequence[int], grad_output: Tensor,
    stride: IntOrPair = 1, padding: IntOrPair = 0, dilation: IntOrPair = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """Return dL/d(weight) of `conv2d`, given `grad_output`, which is dL/d(output).

    Slide `grad_output` over the input. Batch and channels swap roles, and so do stride and dilation. Pixels that the
    last stride left over are cut off.

    Shapes: input `(N, C_in, H, W)`; weight_size `(C_out, C_in / groups, kh, kw)`; grad_output `(N, C_out, H', W')`
    -> `(C_out, C_in / groups, kh, kw)`. `stride`, `padding`, `dilation` are an int or a pair, in pixels.

    Raises:
        TypeError: input or grad_output is not a tensor, or their dtypes differ.
        ValueError: `conv2d` with this setting makes no output of grad_output's shape, or has no such setting.

    Source: Goodfellow, Bengio, Courville, *Deep Learning* (2016), section 9.5, equation 9.11.

    >>> X = torch.arange(9.0).reshape(1, 1, 3, 3)
    >>> conv2d_weight(X, (1, 1, 2, 2), torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]))
    tensor([[[[27., 37.],
              [57., 67.]]]])
    """
    shapes.require_dims(input, "input", {4: "(N, C_in, H, W)"})
    stride, padding, dilation = _pairs(stride, padding, dilation)
    _fit(input.shape, weight_size, grad_output, stride, padding, dilation, groups)
    if not len(input):  # for an empty batch the output does not depend on the weight
        return input.new_zeros(weight_size)
    X = input.unflatten(1, (groups, -1)).permute(2, 1, 0, 3, 4).flatten(1, 2)  # (C_in / groups, groups * N, H, W)
    G = grad_output.unflatten(1, (groups, -1)).permute(1, 2, 0, 3, 4).flatten(0, 1)  # (C_out, N, H', W')
    grad_weight = ops.conv2d(X, G, None, dilation, padding, stride, groups)  # (C_in / groups, C_out, ...)
    kh, kw = weight_size[-2:]
    return grad_weight.transpose(0, 1)[..., :kh, :kw]


class Conv2dFunction(torch.autograd.Function):
    """`conv2d` for autograd: a forward pass and its backward pass.

    `apply` takes input `(N, C_in, H, W)`, weight, bias or None, stride, padding, dilation, groups, in this order.

    >>> X, K = torch.ones(1, 1, 3, 3), torch.ones(1, 1, 2, 2, requires_grad=True)
    >>> Conv2dFunction.apply(X, K, None, 1, 0, 1, 1).sum().backward()
    >>> K.grad
    tensor([[[[4., 4.],
              [4., 4.]]]])
    """

    @staticmethod
    def forward(ctx, input: Tensor, weight: Tensor, bias: Tensor | None, *setting) -> Tensor:
        ctx.save_for_backward(input, weight)
        ctx.setting = setting
        return ops.conv2d(input, weight, bias, *setting)

    @staticmethod
    def backward(ctx, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        input, weight = ctx.saved_tensors
        for_input, for_weight, for_bias, *_ = ctx.needs_input_grad  # the images of the first layer need no gradient
        grad_input = conv2d_input(input.shape, weight, grad_output, *ctx.setting) if for_input else None
        grad_weight = conv2d_weight(input, weight.shape, grad_output, *ctx.setting) if for_weight else None
        grad_bias = grad_output.sum((0, 2, 3)) if for_bias else None
        return grad_input, grad_weight, grad_bias, *[None] * len(ctx.setting)


def conv2d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None,
    stride: IntOrPair = 1, padding: IntOrPair | str = 0, dilation: IntOrPair = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """Cross-correlate as `ops.conv2d` does, with the gradients of `Conv2dFunction`.

    Shapes, errors and source as `ops.conv2d`.

    >>> X = torch.arange(9.0).reshape(1, 3, 3).requires_grad_()
    >>> conv2d(X, torch.ones(1, 1, 2, 2), stride=2).sum().backward()
    >>> X.grad
    tensor([[[1., 1., 0.],
             [1., 1., 0.],
             [0., 0., 0.]]])
    """
    X = shapes.require_conv(input, weight, bias, groups)
    if isinstance(padding, str):  # "same" may pad unequally, so leave padding and its gradient to F.pad
        stride, _, dilation = _pairs(stride, 0, dilation)
        X, padding = F.pad(X, shapes.borders(padding, shapes.span(weight.shape[-2:], dilation), stride)), 0
    Y = Conv2dFunction.apply(X, weight, bias, stride, padding, dilation, groups)
    return Y if input.ndim == 4 else Y.squeeze(0)


def _pairs(stride, padding, dilation) -> tuple[tuple[int, int], ...]:
    named = ((stride, "stride", 1), (padding, "padding", 0), (dilation, "dilation", 1))
    return tuple(shapes.pair(value, name, least) for value, name, least in named)


def _fit(input_size, weight_size, grad_output, stride, padding, dilation, groups) -> tuple[int, int]:
    """Return how many rows and columns the last stride leaves over; raise if grad_output does not fit the output."""
    input_size, weight_size = _four(input_size, "input_size"), _four(weight_size, "weight_size")
    shapes.require_dims(grad_output, "grad_output", {4: "(N, C_out, H', W')"})
    shapes.require_groups(groups)
    if input_size[1] != weight_size[1] * groups:
        raise ValueError(f"input_size {input_size} must have {weight_size[1] * groups} channels to fit weight_size "
                         f"{weight_size} with groups={groups}.")  # fmt: skip
    numbers = zip(input_size[2:], weight_size[2:], stride, padding, dilation, strict=True)
    free, steps = zip(*((n + 2 * p - d * (k - 1) - 1, s) for n, k, s, p, d in numbers), strict=True)
    expected = (input_size[0], weight_size[0], *(f // s + 1 for f, s in zip(free, steps, strict=True)))
    if tuple(grad_output.shape) != expected or min(free) < 0:
        raise ValueError(
            f"grad_output must have the output's shape: conv2d of {input_size} with a weight {weight_size}, stride "
            f"{stride}, padding {padding}, dilation {dilation} gives {expected}, got {tuple(grad_output.shape)}."
        )
    return tuple(f % s for f, s in zip(free, steps, strict=True))


def _four(size, name: str) -> tuple[int, ...]:
    size = tuple(size) if isinstance(size, (tuple, list)) else size
    if not isinstance(size, tuple) or len(size) != 4 or not all(type(n) is int and n >= 0 for n in size):
        raise ValueError(f"{name} must be four whole numbers, got {size!r}.")
    return size
