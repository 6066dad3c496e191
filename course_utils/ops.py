"""Cross-correlation, convolution and pooling as the lessons teach them: pure functions on tensors.

Everything here is built from slicing, multiplying and adding. Nothing calls `torch.nn.functional.conv2d`:
that is what the tests compare with. Every function keeps dtype, device and the autograd graph.
"""

import itertools
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils import fast_conv, shapes
from course_utils.shapes import IntOrPair

# --- One channel: the loop from which everything else is built ---------------------------------------------


def corr2d(X: Tensor, K: Tensor) -> Tensor:
    """Slide the kernel `K` over the image `X`; at each position multiply and add.

    Shapes: X `(H, W)`, K `(kh, kw)` -> `(H - kh + 1, W - kw + 1)`.

    Raises:
        TypeError: X or K is not a tensor.
        ValueError: X or K is not a matrix, or K does not fit into X.

    Source: cross-correlation, Goodfellow, Bengio, Courville, *Deep Learning* (2016), section 9.1, equation 9.6.

    >>> X = torch.tensor([[0, 1, 2], [3, 4, 5], [6, 7, 8]])
    >>> corr2d(X, torch.tensor([[0, 1], [2, 3]]))
    tensor([[19, 25],
            [37, 43]])
    """
    shapes.require_dims(X, "X", {2: "(H, W)"})
    shapes.require_dims(K, "K", {2: "(kh, kw)"})
    h, w = K.shape
    shapes.require_fit("K", (h, w), "X", X.shape)
    Y = torch.zeros(X.shape[0] - h + 1, X.shape[1] - w + 1, dtype=torch.result_type(X, K), device=X.device)
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            Y[i, j] = (X[i : i + h, j : j + w] * K).sum()
    return Y


def convolve2d(X: Tensor, K: Tensor) -> Tensor:
    """Convolve as mathematics defines it: `corr2d` with the kernel rotated by 180 degrees.

    Shapes and errors as `corr2d`.

    Source: *Deep Learning* (2016), section 9.1, equations 9.4 and 9.5.

    >>> X = torch.tensor([[0, 1, 2], [3, 4, 5], [6, 7, 8]])
    >>> convolve2d(X, torch.tensor([[0, 1], [2, 3]]))
    tensor([[ 5, 11],
            [23, 29]])
    """
    shapes.require_dims(K, "K", {2: "(kh, kw)"})
    return corr2d(X, K.flip(0, 1))


# --- Several channels, in d2l's shapes ---------------------------------------------------------------------


def corr2d_multi_in(X: Tensor, K: Tensor) -> Tensor:
    """Correlate each input channel with its own kernel and add the results.

    Shapes: X `(C, H, W)`, K `(C, kh, kw)` -> `(H - kh + 1, W - kw + 1)`.

    Raises:
        ValueError: the numbers of channels differ, or a shape does not fit.

    Source: Zhang et al., *Dive into Deep Learning* (2023), section 7.4.1.

    >>> X = torch.stack([torch.arange(9).reshape(3, 3), torch.arange(1, 10).reshape(3, 3)])
    >>> K = torch.tensor([[[0, 1], [2, 3]], [[1, 2], [3, 4]]])
    >>> corr2d_multi_in(X, K)
    tensor([[ 56,  72],
            [104, 120]])
    """
    shapes.require_dims(X, "X", {3: "(C, H, W)"})
    shapes.require_dims(K, "K", {3: "(C, kh, kw)"})
    if len(X) != len(K):
        raise ValueError(f"K must have one kernel per channel of X: X has {len(X)} channels, K has {len(K)}.")
    return torch.stack([corr2d(x, k) for x, k in zip(X, K, strict=True)]).sum(0)


def corr2d_multi_in_out(X: Tensor, K: Tensor) -> Tensor:
    """Give each output channel its own stack of kernels.

    Shapes: X `(C_in, H, W)`, K `(C_out, C_in, kh, kw)` -> `(C_out, H - kh + 1, W - kw + 1)`.

    Raises:
        ValueError: the numbers of input channels differ, or a shape does not fit.

    Source: Zhang et al., *Dive into Deep Learning* (2023), section 7.4.2.

    >>> X = torch.ones(2, 3, 3, dtype=torch.int64)
    >>> K = torch.stack([torch.full((2, 2, 2), c) for c in (1, 2, 3)])
    >>> corr2d_multi_in_out(X, K).shape, corr2d_multi_in_out(X, K)[:, 0, 0]
    (torch.Size([3, 2, 2]), tensor([ 8, 16, 24]))
    """
    shapes.require_dims(K, "K", {4: "(C_out, C_in, kh, kw)"})
    return torch.stack([corr2d_multi_in(X, k) for k in K])


def corr2d_multi_in_out_1x1(X: Tensor, K: Tensor) -> Tensor:
    """Mix channels at every pixel: a 1x1 convolution written as one matrix product.

    Shapes: X `(C_in, H, W)`, K `(C_out, C_in, 1, 1)` -> `(C_out, H, W)`.

    Raises:
        ValueError: K is not 1x1, or the numbers of input channels differ.

    Source: Lin, Chen, Yan, *Network in Network* (2014), section 3.1.

    >>> X = torch.arange(8).reshape(2, 2, 2)
    >>> corr2d_multi_in_out_1x1(X, torch.tensor([[[[1]], [[10]]]]))
    tensor([[[40, 51],
             [62, 73]]])
    """
    shapes.require_dims(X, "X", {3: "(C_in, H, W)"})
    shapes.require_dims(K, "K", {4: "(C_out, C_in, 1, 1)"})
    if K.shape[1:] != (X.shape[0], 1, 1):
        raise ValueError(
            f"K must have shape (C_out, {X.shape[0]}, 1, 1) to fit X of shape {tuple(X.shape)}, got {tuple(K.shape)}."
        )
    C, H, W = X.shape
    return (K.reshape(-1, C) @ X.reshape(C, H * W)).reshape(len(K), H, W)


def pool2d(
    X: Tensor, pool_size: IntOrPair, mode: str = "max", stride: IntOrPair = 1, padding: IntOrPair = 0,
    count_include_pad: bool = True,
) -> Tensor:  # fmt: skip
    """Replace each window by its largest value or its average, separately in each channel.

    Note the default `stride=1`, as in d2l; in `torch.nn.MaxPool2d` the default is the window size.
    Max pooling pads with minus infinity, so padding never wins. Average pooling pads with zeros and counts
    them unless `count_include_pad=False`, as torch does.

    Shapes: X `(..., H, W)` -> `(..., H', W')` with `H' = (H + 2*padding - ph) // stride + 1`; sizes in pixels.

    Raises:
        TypeError: average pooling of integers.
        ValueError: unknown mode, window larger than the padded input, or padding larger than half the window.

    Source: Zhang et al., *Dive into Deep Learning* (2023), section 7.5.

    >>> X = torch.arange(9.0).reshape(3, 3)
    >>> pool2d(X, (2, 2))
    tensor([[4., 5.],
            [7., 8.]])
    >>> pool2d(X, 2, "avg")
    tensor([[2., 3.],
            [5., 6.]])
    """
    shapes.require_tensor(X, "X")
    if X.ndim < 2:
        raise ValueError(f"X must have at least the two dimensions (H, W), got shape {tuple(X.shape)}.")
    if mode not in ("max", "avg"):
        raise ValueError(f"mode must be 'max' or 'avg', got {mode!r}.")
    if mode == "avg" and not (X.is_floating_point() or X.is_complex()):
        raise TypeError(f"X must be floating point to take averages, got {X.dtype}; use X.float().")
    size, stride = shapes.pair(pool_size, "pool_size", 1), shapes.pair(stride, "stride", 1)
    ph, pw = shapes.pair(padding, "padding", 0)
    if 2 * ph > size[0] or 2 * pw > size[1]:
        raise ValueError(f"padding must be at most half of pool_size {size}, got {(ph, pw)}.")
    padded = F.pad(X, (pw, pw, ph, ph), value=_lowest(X.dtype) if mode == "max" else 0)
    shapes.require_fit("pool_size", size, "the padded X", padded.shape[-2:])
    values = shapes.windows(padded, size, stride, (1, 1)).flatten(-2)
    if mode == "max":
        return values.max(-1).values  # as in torch, the first of several equal maxima gets the gradient
    if count_include_pad:
        return values.mean(-1)
    inside = F.pad(torch.ones_like(X), (pw, pw, ph, ph))
    return values.sum(-1) / shapes.windows(inside, size, stride, (1, 1)).flatten(-2).sum(-1)


# --- Every option of F.conv2d: our fastest implementation, and the five rungs of the ladder to it ----------


def conv2d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None,
    stride: IntOrPair = 1, padding: IntOrPair | str = 0, dilation: IntOrPair = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """Cross-correlate a batch of images, with every option of `torch.nn.functional.conv2d`.

    Shapes: input `(N, C_in, H, W)` or `(C_in, H, W)`; weight `(C_out, C_in / groups, kh, kw)`; bias `(C_out,)`
    -> `(N, C_out, H', W')` or `(C_out, H', W')` with
    `H' = (H + 2*padding - dilation*(kh - 1) - 1) // stride + 1`, sizes in pixels.
    `stride`, `padding`, `dilation` are an int or a pair `(rows, columns)`; `padding` may be `"valid"` or `"same"`.

    Raises:
        TypeError: an argument is not a tensor, or the dtypes differ.
        ValueError: the shapes do not fit, or a setting is invalid; the message names it.

    Source: Dumoulin, Visin, *A guide to convolution arithmetic for deep learning* (2016), sections 2 and 5.1.

    >>> X = torch.arange(9.0).reshape(1, 1, 3, 3)
    >>> K = torch.tensor([[[[0.0, 1.0], [2.0, 3.0]]]])
    >>> conv2d(X, K, padding=1, stride=2)
    tensor([[[[ 0.,  8.],
              [21., 43.]]]])
    """
    c = _prepare(input, weight, bias, stride, padding, dilation, groups)
    return _finish(fast_conv.correlate(c.X, c.K, c.stride, c.dilation), bias, input)


def conv2d_loops(
    input: Tensor, weight: Tensor, bias: Tensor | None = None,
    stride: IntOrPair = 1, padding: IntOrPair | str = 0, dilation: IntOrPair = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """Rung 1 of the ladder: loop over the output numbers, and compute each one for all images at once.

    Shapes, errors and source as `conv2d`.

    >>> conv2d_loops(torch.ones(1, 3, 3), torch.ones(1, 1, 2, 2)).tolist()
    [[[4.0, 4.0], [4.0, 4.0]]]
    """
    c = _prepare(input, weight, bias, stride, padding, dilation, groups)
    (sh, sw), (dh, dw), (kh, kw) = c.stride, c.dilation, c.K.shape[-2:]
    Y = c.X.new_zeros(c.out_shape)
    for g, o, i, j in itertools.product(*(range(size) for size in c.out_shape[1:])):
        rows = slice(i * sh, i * sh + dh * (kh - 1) + 1, dh)
        columns = slice(j * sw, j * sw + dw * (kw - 1) + 1, dw)
        Y[:, g, o, i, j] = (c.X[:, g, :, rows, columns] * c.K[g, o]).sum((1, 2, 3))
    return _finish(Y, bias, input)


def conv2d_slices(
    input: Tensor, weight: Tensor, bias: Tensor | None = None,
    stride: IntOrPair = 1, padding: IntOrPair | str = 0, dilation: IntOrPair = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """Rung 2: loop over the few kernel entries instead; each one multiplies a whole shifted image.

    Shapes, errors and source as `conv2d`.

    >>> conv2d_slices(torch.ones(1, 3, 3), torch.ones(1, 1, 2, 2)).tolist()
    [[[4.0, 4.0], [4.0, 4.0]]]
    """
    c = _prepare(input, weight, bias, stride, padding, dilation, groups)
    (sh, sw), (dh, dw), (kh, kw), (oh, ow) = c.stride, c.dilation, c.K.shape[-2:], c.out_shape[-2:]
    Y = c.X.new_zeros(c.out_shape)
    for i in range(kh):
        for j in range(kw):
            top, left = i * dh, j * dw
            shifted = c.X[..., top : top + sh * (oh - 1) + 1 : sh, left : left + sw * (ow - 1) + 1 : sw]
            Y += torch.einsum("ngchw,goc->ngohw", shifted, c.K[..., i, j])
    return _finish(Y, bias, input)


def conv2d_im2col(
    input: Tensor, weight: Tensor, bias: Tensor | None = None,
    stride: IntOrPair = 1, padding: IntOrPair | str = 0, dilation: IntOrPair = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """Rung 3: copy every window into a column, then compute all outputs in one matrix product.

    Shapes, errors and source as `conv2d`; for the columns: Chellapilla, Puri, Simard (2006), section 3.

    >>> conv2d_im2col(torch.ones(1, 3, 3), torch.ones(1, 1, 2, 2)).tolist()
    [[[4.0, 4.0], [4.0, 4.0]]]
    """
    c = _prepare(input, weight, bias, stride, padding, dilation, groups)
    columns = fast_conv.columns(c.X, c.K.shape[-2:], c.stride, c.dilation)
    return _finish((c.K.flatten(2) @ columns).reshape(c.out_shape), bias, input)


def conv2d_strided(
    input: Tensor, weight: Tensor, bias: Tensor | None = None,
    stride: IntOrPair = 1, padding: IntOrPair | str = 0, dilation: IntOrPair = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """Rung 4: view the windows through strides, without copying, and compute one Einstein sum over them.

    Shapes, errors and source as `conv2d`.

    >>> conv2d_strided(torch.ones(1, 3, 3), torch.ones(1, 1, 2, 2)).tolist()
    [[[4.0, 4.0], [4.0, 4.0]]]
    """
    c = _prepare(input, weight, bias, stride, padding, dilation, groups)
    (sh, sw), (dh, dw), (kh, kw), (oh, ow) = c.stride, c.dilation, c.K.shape[-2:], c.out_shape[-2:]
    n, g, ch, row, column = c.X.stride()
    windows = c.X.as_strided((*c.X.shape[:3], oh, ow, kh, kw), (n, g, ch, row * sh, column * sw, row * dh, column * dw))
    return _finish(torch.einsum("ngchwij,gocij->ngohw", windows, c.K), bias, input)


def conv2d_fft(
    input: Tensor, weight: Tensor, bias: Tensor | None = None,
    stride: IntOrPair = 1, padding: IntOrPair | str = 0, dilation: IntOrPair = 1, groups: int = 1,
) -> Tensor:  # fmt: skip
    """Rung 5: multiply spectra instead of sliding; the cost no longer grows with the kernel.

    Shapes, source and errors as `conv2d`; also TypeError for integers, which torch cannot transform. The rounding
    error of the transform is about 1e-6 of the largest value in float32.

    >>> conv2d_fft(torch.ones(1, 3, 3), torch.ones(1, 1, 2, 2)).round().tolist()
    [[[4.0, 4.0], [4.0, 4.0]]]
    """
    c = _prepare(input, weight, bias, stride, padding, dilation, groups)
    if not c.X.is_floating_point():
        raise TypeError(f"input must be floating point for the Fourier transform, got {c.X.dtype}; use input.float().")
    if not len(c.X):
        # MKL rejects an empty batch.
        return conv2d_im2col(input, weight, bias, stride, padding, dilation, groups)
    (sh, sw), (dh, dw), (kh, kw), (oh, ow) = c.stride, c.dilation, c.K.shape[-2:], c.out_shape[-2:]
    spread = c.K.new_zeros(*c.K.shape[:3], dh * (kh - 1) + 1, dw * (kw - 1) + 1)
    spread[..., ::dh, ::dw] = c.K  # dilation: zeros between the kernel's entries
    size = c.X.shape[-2:]
    product = torch.einsum("ngchw,gochw->ngohw", torch.fft.rfft2(c.X), torch.fft.rfft2(spread, s=size).conj())
    Y = torch.fft.irfft2(product, s=size)  # the conjugate turns convolution into cross-correlation
    return _finish(Y[..., : sh * (oh - 1) + 1 : sh, : sw * (ow - 1) + 1 : sw], bias, input)


def conv_transpose2d(
    input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: IntOrPair = 1, padding: IntOrPair = 0,
    output_padding: IntOrPair = 0, groups: int = 1, dilation: IntOrPair = 1,
) -> Tensor:  # fmt: skip
    """Apply the transpose of `conv2d`: every input number adds a kernel-sized patch to the output.

    It is computed as an ordinary correlation: put `stride - 1` zeros between the pixels and a border around them, then
    slide the flipped kernel. The matrix is the transpose of `conv2d`'s, not its inverse.

    Shapes: input `(N, C_in, H, W)` or `(C_in, H, W)`; weight `(C_in, C_out / groups, kh, kw)`; bias `(C_out,)`
    -> `(N, C_out, H', W')` or `(C_out, H', W')` with
    `H' = (H - 1)*stride - 2*padding + dilation*(kh - 1) + output_padding + 1`, sizes in pixels.

    Raises:
        TypeError, ValueError: as `conv2d`; also if `output_padding` is not smaller than stride or dilation.

    Source: Dumoulin, Visin, *A guide to convolution arithmetic for deep learning* (2016), section 4.

    >>> X = torch.tensor([[[0.0, 1.0], [2.0, 3.0]]])
    >>> conv_transpose2d(X, X.unsqueeze(0))
    tensor([[[ 0.,  0.,  1.],
             [ 0.,  4.,  6.],
             [ 4., 12.,  9.]]])
    """
    X = shapes.require_conv(input, weight, bias, groups, transposed=True)
    (sh, sw), (dh, dw) = shapes.pair(stride, "stride", 1), shapes.pair(dilation, "dilation", 1)
    (ph, pw), (eh, ew) = shapes.pair(padding, "padding", 0), shapes.pair(output_padding, "output_padding", 0)
    if eh >= max(sh, dh) or ew >= max(sw, dw):
        raise ValueError(
            f"output_padding must be smaller than stride or dilation, got {(eh, ew)} "
            f"with stride {(sh, sw)} and dilation {(dh, dw)}."
        )
    (H, W), (kh, kw) = X.shape[-2:], weight.shape[-2:]
    rows = (H - 1) * sh - 2 * ph + dh * (kh - 1) + eh + 1
    columns = (W - 1) * sw - 2 * pw + dw * (kw - 1) + ew + 1
    if rows < 1 or columns < 1:
        raise ValueError(f"padding must leave an output of at least one pixel, got {(ph, pw)}: {rows} x {columns}.")
    X, K = X.unflatten(1, (groups, -1)), weight.unflatten(0, (groups, -1))
    Y = fast_conv.correlate_transposed(X, K, (sh, sw), (dh, dw), (rows + 2 * ph, columns + 2 * pw))
    return _finish(Y[..., ph : ph + rows, pw : pw + columns], bias, input)


# --- Shared helpers ----------------------------------------------------------------------------------------


class _Call(NamedTuple):
    """A checked conv2d call: channels split into G groups, the input padded."""

    X: Tensor  # (N, G, C_in / G, padded H, padded W)
    K: Tensor  # (G, C_out / G, C_in / G, kh, kw)
    stride: tuple[int, int]
    dilation: tuple[int, int]
    out_shape: tuple[int, int, int, int, int]  # (N, G, C_out / G, H', W')


def _prepare(input, weight, bias, stride, padding, dilation, groups) -> _Call:
    X = shapes.require_conv(input, weight, bias, groups)
    stride, dilation = shapes.pair(stride, "stride", 1), shapes.pair(dilation, "dilation", 1)
    covered = shapes.span(weight.shape[-2:], dilation)
    X = F.pad(X, shapes.borders(padding, covered, stride))
    shapes.require_fit("weight (with its dilation)", covered, "the padded input", X.shape[-2:])
    out_size = shapes.positions(X.shape[-2:], covered, stride)
    X, K = X.unflatten(1, (groups, -1)), weight.unflatten(0, (groups, -1))
    return _Call(X, K, stride, dilation, (len(X), groups, K.shape[1], *out_size))


def _finish(Y: Tensor, bias, input: Tensor) -> Tensor:
    Y = Y.flatten(1, 2)  # (N, G, C_out / G, H', W') -> (N, C_out, H', W')
    if bias is not None:
        Y = Y + bias.reshape(-1, 1, 1)
    return Y if input.ndim == 4 else Y.squeeze(0)


def _lowest(dtype: torch.dtype) -> float:
    return -torch.inf if dtype.is_floating_point else torch.iinfo(dtype).min
