"""Convolution and pooling in one step: the same network, the same weights, fewer intermediate numbers.

After a convolution, 2x2 pooling reads four neighboring pixels (2i+a, 2j+b), where a and b are 0 or 1. Each of them is

    Y[2i+a, 2j+b] = sum over u, v of K[u, v] X[2i+a+u, 2j+b+v],

a sum over the **same** window of X, which starts at (2i, 2j), if K is shifted by (a, b) inside a kernel one pixel
larger. One convolution with **stride 2** and four shifted copies of each kernel therefore gives the four pixels as four
channels, the **phases**, and pooling is their mean (or maximum). Layers in between, such as a sigmoid, act elementwise.

>>> X, conv = torch.rand(1, 1, 8, 8), nn.Conv2d(1, 2, kernel_size=3)
>>> plain = nn.Sequential(conv, nn.Sigmoid(), nn.AvgPool2d(2))
>>> fused = fuse_pooling(plain)
>>> plain[:2](X).shape, fused[:2](X).shape  # 6x6 pixels, and the same 36 as four phases of 3x3
(torch.Size([1, 2, 6, 6]), torch.Size([1, 2, 12, 3]))
>>> torch.allclose(plain(X), fused(X))
True
>>> fused[0].weight is conv.weight
True
"""

import copy
from collections import OrderedDict
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import nn

ELEMENTWISE = (nn.ELU, nn.GELU, nn.Identity, nn.LeakyReLU, nn.ReLU, nn.SiLU, nn.Sigmoid, nn.Softplus, nn.Tanh)


def fuse_pooling(model: nn.Sequential) -> nn.Sequential:
    """Return a network that computes the same as `model`, with the same Parameters, but pools four phases.

    A `Conv2d` (stride 1) in `model` followed by 2x2 average or max pooling of stride 2, with only `ELEMENTWISE` layers
    and `BatchNorm2d` in between, becomes a `PhaseConv2d` and a `PhasePool`; all other layers are those of `model`
    itself. The names in `state_dict` are the same, too, so training one network also trains the other. Outputs and
    gradients are equal up to rounding.

    Raises:
        TypeError: model is not an `nn.Sequential`.
        ValueError: model has no layers that can be fused.
    """
    if not isinstance(model, nn.Sequential):
        raise TypeError(f"model must be an nn.Sequential, got {type(model).__name__}.")
    layers = OrderedDict(model._modules)  # named_children would leave out a layer that is used twice
    for conv, between, pool in _fusible(layers):
        even = any(isinstance(layers[name], nn.BatchNorm2d) for name in between)
        layers[conv] = PhaseConv2d(layers[conv], even)
        layers[pool] = PhasePool("max" if isinstance(layers[pool], nn.MaxPool2d) else "avg")
    if not any(isinstance(layer, PhaseConv2d) for layer in layers.values()):
        raise ValueError("model must have a Conv2d of stride 1 followed by 2x2 pooling, and has none.")
    fused = copy.copy(model)  # the same class, so that a LeNet still checks the image size
    fused._modules = layers
    return fused


class PhaseConv2d(nn.Module):
    """The output of `conv`, with its Parameters, sorted by phase: `(N, C, H, W)` to `(N, out, 4*(h//2), w//2)`.

    h, w: the size after `conv`. The first h//2 rows are the pixels at even rows and even columns, followed by those at
    even rows and odd columns, odd rows and even columns, and odd rows and odd columns. If a size is odd, the last row
    or column is dropped, as pooling would; if `even` is True, that raises ValueError instead.
    """

    def __init__(self, conv: nn.Conv2d, even: bool = False) -> None:
        super().__init__()
        self.weight, self.bias, self.padding, self.even = conv.weight, conv.bias, conv.padding, even

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        if self.even:
            self._check_even(X)
        kernels = phase_kernels(self.weight)
        bias = None if self.bias is None else self.bias.repeat_interleave(4)
        # With many input channels, torch is slow at stride 2, above all in the gradient.
        convolve = F.conv2d if X.shape[-3] == 1 else conv2d_of_stride_2
        phases = convolve(X, kernels, bias, stride=2, padding=self.padding)
        return phases.unflatten(-3, (-1, 4)).flatten(-3, -2)

    def _check_even(self, X: torch.Tensor) -> None:
        axes = zip(X.shape[-2:], self.padding, self.weight.shape[-2:], strict=True)
        height, width = (size + 2 * padding - kernel + 1 for size, padding, kernel in axes)
        if height % 2 or width % 2:
            raise ValueError(
                f"batch normalization counts every pixel and pooling leaves some of {height}x{width} out: "
                "fuse_pooling needs even sizes after the convolution."
            )

    def extra_repr(self) -> str:
        return f"weight {tuple(self.weight.shape)}, padding={self.padding}, bias={self.bias is not None}"


class PhasePool(nn.Module):
    """2x2 pooling of the phases from `PhaseConv2d`: `(N, C, 4*h, w)` to `(N, C, h, w)`. mode: "avg" or "max"."""

    def __init__(self, mode: str) -> None:
        super().__init__()
        self.mode = mode

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        phases = X.unflatten(-2, (4, -1))
        return phases.mean(-3) if self.mode == "avg" else phases.max(-3).values

    def extra_repr(self) -> str:
        return self.mode


def phase_kernels(weight: torch.Tensor) -> torch.Tensor:
    """Return each kernel shifted by (0, 0), (0, 1), (1, 0), (1, 1): `(out, in, kh, kw)` to `(4*out, in, kh+1, kw+1)`.

    They are the four windows of a kernel with a border of zeros, in reverse order.

    >>> phase_kernels(torch.tensor([[[[1.0, 2.0]]]]))[:, 0].int().tolist()
    [[[1, 2, 0], [0, 0, 0]], [[0, 1, 2], [0, 0, 0]], [[0, 0, 0], [1, 2, 0]], [[0, 0, 0], [0, 1, 2]]]
    """
    kh, kw = weight.shape[-2:]
    windows = F.pad(weight, (1, 1, 1, 1)).unfold(2, kh + 1, 1).unfold(3, kw + 1, 1).flip(2, 3)
    return windows.permute(0, 2, 3, 1, 4, 5).flatten(0, 2)


def conv2d_of_stride_2(
    X: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, stride: int, padding: tuple[int, int]
) -> torch.Tensor:
    """Compute `F.conv2d` with `stride=2` as a convolution of stride 1: each 2x2 block of pixels becomes four channels.

    >>> X, K = torch.rand(1, 3, 9, 8), torch.rand(5, 3, 4, 3)
    >>> expected = F.conv2d(X, K, stride=2, padding=(1, 0))
    >>> torch.allclose(conv2d_of_stride_2(X, K, None, 2, (1, 0)), expected, atol=1e-5)
    True
    """
    frame, sides = [], []  # F.pad takes the last axis first; negative padding crops
    for size, kernel, before in zip(X.shape[-2:], weight.shape[-2:], padding, strict=True):
        steps, odd = (size + 2 * before - kernel) // 2, kernel % 2
        after = 2 * steps + kernel + odd - size - before
        frame, sides = [before, after, *frame], [0, odd, *sides]
    return F.conv2d(F.pixel_unshuffle(F.pad(X, frame), 2), F.pixel_unshuffle(F.pad(weight, sides), 2), bias)


def _fusible(layers: dict[str, nn.Module]) -> Iterator[tuple[str, list[str], str]]:
    """Yield (name of the convolution, names between, name of the pooling) for every such group."""
    conv, between = None, []
    for name, layer in layers.items():
        if _is_plain_conv(layer):
            conv, between = name, []
        elif conv is not None and type(layer) in (*ELEMENTWISE, nn.BatchNorm2d):
            between.append(name)
        else:
            if conv is not None and _is_plain_pool(layer):
                yield conv, between, name
            conv = None


def _is_plain_conv(layer: nn.Module) -> bool:
    """Accept only Conv2d itself: a subclass, as created by parametrizations, may compute something else."""
    return (
        type(layer) is nn.Conv2d
        and (layer.stride, layer.dilation, layer.groups) == ((1, 1), (1, 1), 1)
        and layer.padding_mode == "zeros"
        and not isinstance(layer.padding, str)
    )


def _is_plain_pool(layer: nn.Module) -> bool:
    if type(layer) not in (nn.AvgPool2d, nn.MaxPool2d):
        return False
    two, none = ((2, (2, 2)), (0, (0, 0)))
    plain = layer.kernel_size in two and layer.stride in two and layer.padding in none and not layer.ceil_mode
    if type(layer) is nn.AvgPool2d:
        return plain and layer.divisor_override is None
    return plain and layer.dilation in (1, (1, 1)) and not layer.return_indices
