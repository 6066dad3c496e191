"""Convolutions as modules: the course's own `Conv2D`, and nine variants built on PyTorch's layers.

Each variant adds one idea to `torch.nn.Conv2d`. Their parameters therefore have PyTorch's names and initialization,
they are as fast as PyTorch, and all other options (`padding`, `padding_mode`, `bias`, `device`, ...) work as usual.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.ops import corr2d
from course_utils.shapes import IntOrPair, pair


class Conv2D(nn.Module):
    """One input channel, one output channel: `corr2d(X, weight) + bias`.

    `weight` gives the initial values (random if None); `bias` is True (initially zero), False, or the initial value.
    With `trainable=False` both are buffers: saved, and moved by `.to(device)`, but not changed by any optimizer.

    Shapes: X `(H, W)` -> `(H - kh + 1, W - kw + 1)`.

    Raises:
        ValueError: weight does not have the shape kernel_size.

    Source: Zhang et al., *Dive into Deep Learning* (2023), section 7.2.2.

    >>> layer = Conv2D((1, 2), weight=torch.tensor([[1.0, -1.0]]), bias=False)
    >>> layer(torch.tensor([[1.0, 1.0, 0.0]]))
    tensor([[0., 1.]], grad_fn=<CopySlices>)
    """

    def __init__(
        self, kernel_size: IntOrPair, weight: Tensor | None = None, bias: bool | float = True, trainable: bool = True
    ) -> None:
        super().__init__()
        shape = pair(kernel_size, "kernel_size", 1)
        if weight is None:
            weight = torch.rand(shape)
        if tuple(weight.shape) != shape:
            raise ValueError(f"weight must have the shape kernel_size {shape}, got {tuple(weight.shape)}.")
        initial_bias = None
        if bias is not False and bias is not None:
            initial_bias = torch.full((1,), 0.0 if bias is True else float(bias), dtype=weight.dtype)
        for name, value in (("weight", weight.detach().clone()), ("bias", initial_bias)):
            if trainable:
                self.register_parameter(name, None if value is None else nn.Parameter(value))
            else:
                self.register_buffer(name, value)

    def forward(self, X: Tensor) -> Tensor:
        Y = corr2d(X, self.weight)
        return Y if self.bias is None else Y + self.bias


class StandardConv2d(nn.Conv2d):
    """The reference: every output channel sees every input channel through a full kernel.

    Shapes: `(N, C_in, H, W)` -> `(N, C_out, H', W')`, as `course_utils.ops.conv2d`. Errors as `torch.nn.Conv2d`.

    Source: LeCun et al., *Gradient-based learning applied to document recognition* (1998), section II.A.

    >>> StandardConv2d(3, 16, 3)(torch.zeros(1, 3, 8, 8)).shape
    torch.Size([1, 16, 6, 6])
    """


class PointwiseConv2d(nn.Conv2d):
    """A 1x1 kernel: mixes the channels at each pixel, without looking at its neighbors.

    Shapes: `(N, C_in, H, W)` -> `(N, C_out, H, W)` at stride 1.

    Raises:
        ValueError: kernel_size is not 1.

    Source: Lin, Chen, Yan, *Network in Network* (2014), section 3.1.

    >>> PointwiseConv2d(3, 16)(torch.zeros(1, 3, 8, 8)).shape
    torch.Size([1, 16, 8, 8])
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: IntOrPair = 1, **options) -> None:
        if pair(kernel_size, "kernel_size", 1) != (1, 1):
            raise ValueError(f"kernel_size must be 1 for a pointwise convolution, got {kernel_size!r}.")
        super().__init__(in_channels, out_channels, 1, **options)


class AsymmetricConv2d(nn.Sequential):
    """A column `(k, 1)`, then a row `(1, k)`: 2k weights per pair of channels instead of k*k for a square kernel.

    `stride` and `padding` are ints; each layer applies them along its own axis, so the output has the square kernel's
    size. Only the second layer has a bias, because there is no nonlinearity between the two.

    Shapes: `(N, C_in, H, W)` -> `(N, C_out, H', W')`, as the square kernel.

    Raises:
        ValueError: kernel_size, stride or padding is not an int.

    Source: Szegedy et al., *Rethinking the Inception architecture* (2016), section 3.2.

    >>> layer = AsymmetricConv2d(3, 16, 3, padding=1)
    >>> layer(torch.zeros(1, 3, 8, 8)).shape, [tuple(p.shape) for p in layer.parameters()]
    (torch.Size([1, 16, 8, 8]), [(16, 3, 3, 1), (16, 16, 1, 3), (16,)])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        bias: bool = True,
    ) -> None:
        for name, value in (("kernel_size", kernel_size), ("stride", stride), ("padding", padding)):
            if not isinstance(value, int):
                raise ValueError(f"{name} must be an int for an asymmetric pair, got {value!r}.")
        super().__init__(
            nn.Conv2d(in_channels, out_channels, (kernel_size, 1), (stride, 1), (padding, 0), bias=False),
            nn.Conv2d(out_channels, out_channels, (1, kernel_size), (1, stride), (0, padding), bias=bias),
        )


class DilatedConv2d(nn.Conv2d):
    """A kernel with gaps: along each axis it spans `dilation*(k - 1) + 1` pixels with k weights.

    Shapes: `(N, C_in, H, W)` -> `(N, C_out, H', W')`, as `course_utils.ops.conv2d`. Errors as `torch.nn.Conv2d`.

    Source: Yu, Koltun, *Multi-scale context aggregation by dilated convolutions* (2016), section 2.

    >>> DilatedConv2d(3, 16, 3)(torch.zeros(1, 3, 8, 8)).shape
    torch.Size([1, 16, 4, 4])
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: IntOrPair, dilation: IntOrPair = 2, **options):
        super().__init__(in_channels, out_channels, kernel_size, dilation=dilation, **options)


class DepthwiseConv2d(nn.Conv2d):
    """Each input channel is convolved by itself and gives `out_channels / in_channels` output channels.

    Shapes: `(N, C_in, H, W)` -> `(N, C_out, H', W')`, as `course_utils.ops.conv2d` with `groups=C_in`.

    Raises:
        ValueError: out_channels is not a multiple of in_channels.

    Source: Howard et al., *MobileNets* (2017), section 3.1.

    >>> DepthwiseConv2d(3, 6, 3).weight.shape
    torch.Size([6, 1, 3, 3])
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: IntOrPair, **options) -> None:
        if out_channels % in_channels:
            raise ValueError(f"out_channels must be a multiple of in_channels {in_channels}, got {out_channels}.")
        super().__init__(in_channels, out_channels, kernel_size, groups=in_channels, **options)


class GroupConv2d(nn.Conv2d):
    """Channels in separate groups: an output channel sees only the input channels of its own group.

    Shapes: `(N, C_in, H, W)` -> `(N, C_out, H', W')`, as `course_utils.ops.conv2d` with `groups`.

    Raises:
        ValueError: groups does not divide both numbers of channels.

    Source: Krizhevsky, Sutskever, Hinton, *ImageNet classification with deep CNNs* (2012), section 3.5.

    >>> GroupConv2d(4, 6, 3, groups=2).weight.shape
    torch.Size([6, 2, 3, 3])
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: IntOrPair, groups: int = 2, **options) -> None:
        super().__init__(in_channels, out_channels, kernel_size, groups=groups, **options)


class SeparableConv2d(nn.Sequential):
    """Depthwise, then pointwise: first convolve in space, then mix the channels.

    `options` (stride, padding, dilation, ...) go to the depthwise layer; only the pointwise layer has a bias.

    Shapes: `(N, C_in, H, W)` -> `(N, C_out, H', W')`, as the full kernel. Errors as `torch.nn.Conv2d`.

    Source: Howard et al., *MobileNets* (2017), section 3.1; Chollet, *Xception* (2017), section 2.

    >>> layer = SeparableConv2d(3, 16, 3)
    >>> [tuple(p.shape) for p in layer.parameters()]
    [(3, 1, 3, 3), (16, 3, 1, 1), (16,)]
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: IntOrPair, bias: bool = True, **options):
        super().__init__(
            DepthwiseConv2d(in_channels, in_channels, kernel_size, bias=False, **options),
            PointwiseConv2d(in_channels, out_channels, bias=bias),
        )


class TransposedConv2d(nn.ConvTranspose2d):
    """Upsampling: every input pixel adds a kernel-sized patch to a larger output.

    Shapes: `(N, C_in, H, W)` -> `(N, C_out, H', W')`, as `course_utils.ops.conv_transpose2d`. Errors as
    `torch.nn.ConvTranspose2d`.

    Source: Dumoulin, Visin, *A guide to convolution arithmetic for deep learning* (2016), section 4.

    >>> TransposedConv2d(3, 16, 2, stride=2)(torch.zeros(1, 3, 8, 8)).shape
    torch.Size([1, 16, 16, 16])
    """


class DynamicConv2d(nn.Module):
    """A kernel for each image: an attention computed from the image mixes `num_kernels` learned kernels.

    The attention is a softmax with `temperature`; a high temperature lets all kernels learn early in training. A batch
    with different kernels runs as one grouped convolution.

    Shapes: `(N, C_in, H, W)` -> `(N, C_out, H', W')`, as `course_utils.ops.conv2d`.

    Raises:
        ValueError: num_kernels is below 1, temperature is not above 0, or the input is not a batch of in_channels.

    Source: Chen et al., *Dynamic convolution: attention over convolution kernels* (2020), sections 3.1 to 3.3.

    >>> layer = DynamicConv2d(3, 16, 3, padding=1)
    >>> X = torch.rand(5, 3, 8, 8)
    >>> layer(X).shape, layer.attention(X).shape
    (torch.Size([5, 16, 8, 8]), torch.Size([5, 4]))
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: IntOrPair, stride: IntOrPair = 1,
        padding: IntOrPair | str = 0, dilation: IntOrPair = 1, bias: bool = True,
        num_kernels: int = 4, temperature: float = 30.0,
    ) -> None:  # fmt: skip
        super().__init__()
        if num_kernels < 1:
            raise ValueError(f"num_kernels must be at least 1, got {num_kernels!r}.")
        if not temperature > 0:
            raise ValueError(f"temperature must be above 0, got {temperature!r}.")
        experts = [nn.Conv2d(in_channels, out_channels, kernel_size, bias=bias) for _ in range(num_kernels)]
        self.weight = nn.Parameter(torch.stack([e.weight.detach() for e in experts]))
        self.bias = nn.Parameter(torch.stack([e.bias.detach() for e in experts])) if bias else None
        hidden = max(in_channels // 4, 4)  # the paper's reduction by four, with a minimum for few channels
        squeeze = (nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.score = nn.Sequential(*squeeze, nn.Linear(in_channels, hidden), nn.ReLU(), nn.Linear(hidden, num_kernels))
        self.stride, self.padding, self.dilation = stride, padding, dilation
        self.temperature = temperature

    def attention(self, X: Tensor) -> Tensor:
        """Return each image's weights for the kernels, `(N, num_kernels)`, which add up to 1."""
        return F.softmax(self.score(X) / self.temperature, dim=1)

    def forward(self, X: Tensor) -> Tensor:
        in_channels = self.weight.shape[2]
        if X.ndim != 4 or X.shape[1] != in_channels or len(X) == 0:
            raise ValueError(f"X must have shape (N, {in_channels}, H, W) with N at least 1, got {tuple(X.shape)}.")
        mix = self.attention(X)
        N, C_out = len(X), self.weight.shape[1]
        # One group per image: the batch becomes channels, so a single call applies N different kernels.
        kernels = torch.einsum("nk,koihw->noihw", mix, self.weight).flatten(0, 1)
        bias = None if self.bias is None else (mix @ self.bias).flatten()
        grouped = X.reshape(1, N * in_channels, *X.shape[2:])
        Y = F.conv2d(grouped, kernels, bias, self.stride, self.padding, self.dilation, groups=N)
        return Y.reshape(N, C_out, *Y.shape[2:])
