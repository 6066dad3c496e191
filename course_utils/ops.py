"""Cross-correlation, convolution and pooling as the lessons teach them: pure functions on tensors.

Everything here is built from slicing, multiplying and adding. Nothing calls `torch.nn.functional.conv2d`:
that is the peer the tests compare with. Every function keeps dtype, device and the autograd graph.
"""

import itertools
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

# ---------------------------------------------------------------------------------------------------------
# One channel: the loop everything else is made of
# ---------------------------------------------------------------------------------------------------------


def corr2d(X: Tensor, K: Tensor) -> Tensor:
    """Slide the kernel `K` over the image `X`; at each place multiply and add.

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
    _require_dims(X, "X", {2: "(H, W)"})
    _require_dims(K, "K", {2: "(kh, kw)"})
    h, w = K.shape
    _require_fit("K", (h, w), "X", X.shape)
    Y = torch.zeros(X.shape[0] - h + 1, X.shape[1] - w + 1, dtype=torch.result_type(X, K), device=X.device)
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            Y[i, j] = (X[i : i + h, j : j + w] * K).sum()
    return Y


def convolve2d(X: Tensor, K: Tensor) -> Tensor:
    """Convolve in the mathematician's sense: `corr2d` with the kernel turned by 180 degrees.

    Shapes: X `(H, W)`, K `(kh, kw)` -> `(H - kh + 1, W - kw + 1)`.

    Raises:
        TypeError, ValueError: as `corr2d`.

    Source: *Deep Learning* (2016), section 9.1, equations 9.4 and 9.5.

    >>> X = torch.tensor([[0, 1, 2], [3, 4, 5], [6, 7, 8]])
    >>> convolve2d(X, torch.tensor([[0, 1], [2, 3]]))
    tensor([[ 5, 11],
            [23, 29]])
    """
    _require_dims(K, "K", {2: "(kh, kw)"})
    return corr2d(X, K.flip(0, 1))


# ---------------------------------------------------------------------------------------------------------
# Several channels, in d2l's shapes
# ---------------------------------------------------------------------------------------------------------


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
    _require_dims(X, "X", {3: "(C, H, W)"})
    _require_dims(K, "K", {3: "(C, kh, kw)"})
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
    _require_dims(K, "K", {4: "(C_out, C_in, kh, kw)"})
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
    _require_dims(X, "X", {3: "(C_in, H, W)"})
    _require_dims(K, "K", {4: "(C_out, C_in, 1, 1)"})
    if K.shape[1:] != (X.shape[0], 1, 1):
        raise ValueError(
            f"K must have shape (C_out, {X.shape[0]}, 1, 1) to fit X of shape {tuple(X.shape)}, got {tuple(K.shape)}."
        )
    C, H, W = X.shape
    return (K.reshape(-1, C) @ X.reshape(C, H * W)).reshape(len(K), H, W)


def pool2d(X: Tensor, pool_size, mode: str = "max", stride=1, padding=0, count_include_pad: bool = True) -> Tensor:
    """Replace each window by its largest value or its average. Channels stay apart.

    Note the default `stride=1`, as in d2l; `torch.nn.MaxPool2d` takes the window's size instead.
    Max pooling pads with minus infinity, so padding never wins. Average pooling pads with zeros and counts
    them unless `count_include_pad=False`, as torch does.

    Shapes: X `(..., H, W)` -> `(..., H', W')` with `H' = (H + 2*padding - ph) // stride + 1`; sizes in pixels.

    Raises:
        TypeError: the average of whole numbers is asked for.
        ValueError: unknown mode, window larger than the padded input, padding above half the window.

    Source: Zhang et al., *Dive into Deep Learning* (2023), section 7.5.

    >>> X = torch.arange(9.0).reshape(3, 3)
    >>> pool2d(X, (2, 2))
    tensor([[4., 5.],
            [7., 8.]])
    >>> pool2d(X, 2, "avg")
    tensor([[2., 3.],
            [5., 6.]])
    """
    _require_tensor(X, "X")
    if X.ndim < 2:
        raise ValueError(f"X must have at least the two dimensions (H, W), got shape {tuple(X.shape)}.")
    if mode not in ("max", "avg"):
        raise ValueError(f"mode must be 'max' or 'avg', got {mode!r}.")
    if mode == "avg" and not (X.is_floating_point() or X.is_complex()):
        raise TypeError(f"X must be floating point to take averages, got {X.dtype}; use X.float().")
    size, stride = _pair(pool_size, "pool_size", 1), _pair(stride, "stride", 1)
    ph, pw = _pair(padding, "padding", 0)
    if 2 * ph > size[0] or 2 * pw > size[1]:
        raise ValueError(f"padding must be at most half of pool_size {size}, got {(ph, pw)}.")
    padded = F.pad(X, (pw, pw, ph, ph), value=_lowest(X.dtype) if mode == "max" else 0)
    _require_fit("pool_size", size, "the padded X", padded.shape[-2:])
    windows = _windows(padded, size, stride, (1, 1)).flatten(-2)
    if mode == "max":
        return windows.max(-1).values  # like torch, the first of several equal maxima gets the gradient
    if count_include_pad:
        return windows.mean(-1)
    inside = F.pad(torch.ones_like(X), (pw, pw, ph, ph))
    return windows.sum(-1) / _windows(inside, size, stride, (1, 1)).flatten(-2).sum(-1)


# ---------------------------------------------------------------------------------------------------------
# The whole contract of F.conv2d: the fastest way, and five rungs to it that compute the same thing
# ---------------------------------------------------------------------------------------------------------


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1) -> Tensor:
    """Cross-correlate a batch of images, with every option of `torch.nn.functional.conv2d`.

    Shapes: input `(N, C_in, H, W)` or `(C_in, H, W)`; weight `(C_out, C_in / groups, kh, kw)`; bias `(C_out,)`
    -> `(N, C_out, H', W')` or `(C_out, H', W')` with
    `H' = (H + 2*padding - dilation*(kh - 1) - 1) // stride + 1`, sizes in pixels.
    `stride`, `padding`, `dilation` are an int or a pair `(rows, columns)`; `padding` may be `"valid"` or `"same"`.

    Raises:
        TypeError: an argument is not a tensor, or the dtypes differ.
        ValueError: shapes that do not fit, or a setting that makes no sense; the sentence names it.

    Source: Dumoulin, Visin, *A guide to convolution arithmetic for deep learning* (2016), sections 2 and 5.1.

    >>> X = torch.arange(9.0).reshape(1, 1, 3, 3)
    >>> K = torch.tensor([[[[0.0, 1.0], [2.0, 3.0]]]])
    >>> conv2d(X, K, padding=1, stride=2)
    tensor([[[[ 0.,  8.],
              [21., 43.]]]])
    """
    c = _prepare(input, weight, bias, stride, padding, dilation, groups)
    if len(c.X) * _column_numbers(c.X, c.K, c.stride, c.dilation) <= BLOCK:
        return conv2d_im2col(input, weight, bias, stride, padding, dilation, groups)  # few numbers: the shortest way
    return _finish(_Correlation.apply(c.X, c.K, c.stride, c.dilation), bias, input)


def conv2d_loops(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1) -> Tensor:
    """Rung 1 of the ladder: one multiply-and-add of a window for every output number, all images at once.

    Shapes, errors and source as `conv2d`.

    >>> conv2d_loops(torch.ones(1, 3, 3), torch.ones(1, 1, 2, 2))
    tensor([[[4., 4.],
             [4., 4.]]])
    """
    c = _prepare(input, weight, bias, stride, padding, dilation, groups)
    (sh, sw), (dh, dw), (kh, kw) = c.stride, c.dilation, c.K.shape[-2:]
    Y = c.X.new_zeros(c.out_shape)
    for g, o, i, j in itertools.product(*(range(size) for size in c.out_shape[1:])):
        rows = slice(i * sh, i * sh + dh * (kh - 1) + 1, dh)
        columns = slice(j * sw, j * sw + dw * (kw - 1) + 1, dw)
        Y[:, g, o, i, j] = (c.X[:, g, :, rows, columns] * c.K[g, o]).sum((1, 2, 3))
    return _finish(Y, bias, input)


def conv2d_slices(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1) -> Tensor:
    """Rung 2: loop over the few kernel entries instead; each one weighs a whole shifted image at once.

    Shapes, errors and source as `conv2d`.

    >>> conv2d_slices(torch.ones(1, 3, 3), torch.ones(1, 1, 2, 2))
    tensor([[[4., 4.],
             [4., 4.]]])
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


def conv2d_im2col(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1) -> Tensor:
    """Rung 3: copy every window into a column, then one matrix product does all the adding.

    Shapes, errors and source as `conv2d`; the columns come from Chellapilla, Puri, Simard (2006), section 3.

    >>> conv2d_im2col(torch.ones(1, 3, 3), torch.ones(1, 1, 2, 2))
    tensor([[[4., 4.],
             [4., 4.]]])
    """
    c = _prepare(input, weight, bias, stride, padding, dilation, groups)
    columns = _columns(c.X, c.K, c.stride, c.dilation)
    return _finish((c.K.flatten(2) @ columns).reshape(c.out_shape), bias, input)


def conv2d_strided(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1) -> Tensor:
    """Rung 4: the windows as a view with clever strides, and one Einstein sum over it.

    Shapes, errors and source as `conv2d`.

    >>> conv2d_strided(torch.ones(1, 3, 3), torch.ones(1, 1, 2, 2))
    tensor([[[4., 4.],
             [4., 4.]]])
    """
    c = _prepare(input, weight, bias, stride, padding, dilation, groups)
    (sh, sw), (dh, dw), (kh, kw), (oh, ow) = c.stride, c.dilation, c.K.shape[-2:], c.out_shape[-2:]
    n, g, ch, row, column = c.X.stride()
    windows = c.X.as_strided((*c.X.shape[:3], oh, ow, kh, kw), (n, g, ch, row * sh, column * sw, row * dh, column * dw))
    return _finish(torch.einsum("ngchwij,gocij->ngohw", windows, c.K), bias, input)


def conv2d_fft(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1) -> Tensor:
    """Rung 5: multiply spectra instead of sliding; the cost no longer grows with the kernel.

    Shapes, source and errors as `conv2d`, and TypeError for whole numbers: a spectrum has none. Rounding is that
    of the transform, about 1e-6 of the largest value in float32.

    >>> conv2d_fft(torch.ones(1, 3, 3), torch.ones(1, 1, 2, 2)).round()
    tensor([[[4., 4.],
             [4., 4.]]])
    """
    c = _prepare(input, weight, bias, stride, padding, dilation, groups)
    if not c.X.is_floating_point():
        raise TypeError(f"input must be floating point for the Fourier transform, got {c.X.dtype}; use input.float().")
    if not len(c.X):
        return conv2d_im2col(input, weight, bias, stride, padding, dilation, groups)  # MKL transforms no empty batch
    (sh, sw), (dh, dw), (kh, kw), (oh, ow) = c.stride, c.dilation, c.K.shape[-2:], c.out_shape[-2:]
    spread = c.K.new_zeros(*c.K.shape[:3], dh * (kh - 1) + 1, dw * (kw - 1) + 1)
    spread[..., ::dh, ::dw] = c.K  # dilation: zeros between the kernel's entries
    size = c.X.shape[-2:]
    product = torch.einsum("ngchw,gochw->ngohw", torch.fft.rfft2(c.X), torch.fft.rfft2(spread, s=size).conj())
    Y = torch.fft.irfft2(product, s=size)  # the conjugate turns convolution into cross-correlation
    return _finish(Y[..., : sh * (oh - 1) + 1 : sh, : sw * (ow - 1) + 1 : sw], bias, input)


def conv_transpose2d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1) -> Tensor:
    """Run `conv2d` backwards: every input number paints its kernel-sized patch into the output.

    Computed as an ordinary correlation: put `stride - 1` zeros between the pixels, a border around them, and
    slide the flipped kernel. It is the transpose of `conv2d`'s matrix, not its inverse.

    Shapes: input `(N, C_in, H, W)` or `(C_in, H, W)`; weight `(C_in, C_out / groups, kh, kw)`; bias `(C_out,)`
    -> `(N, C_out, H', W')` or `(C_out, H', W')` with
    `H' = (H - 1)*stride - 2*padding + dilation*(kh - 1) + output_padding + 1`, sizes in pixels.

    Raises:
        TypeError, ValueError: as `conv2d`; and when `output_padding` is not below stride or dilation.

    Source: Dumoulin, Visin, *A guide to convolution arithmetic for deep learning* (2016), section 4.

    >>> X = torch.tensor([[[0.0, 1.0], [2.0, 3.0]]])
    >>> conv_transpose2d(X, X.unsqueeze(0))
    tensor([[[ 0.,  0.,  1.],
             [ 0.,  4.,  6.],
             [ 4., 12.,  9.]]])
    """
    X, groups = _check_tensors(input, weight, bias, groups, transposed=True)
    (sh, sw), (dh, dw) = _pair(stride, "stride", 1), _pair(dilation, "dilation", 1)
    (ph, pw), (eh, ew) = _pair(padding, "padding", 0), _pair(output_padding, "output_padding", 0)
    if eh >= max(sh, dh) or ew >= max(sw, dw):
        raise ValueError(
            f"output_padding must be smaller than stride or dilation, got {(eh, ew)} "
            f"with stride {(sh, sw)} and dilation {(dh, dw)}."
        )
    N, C, H, W = X.shape
    (kh, kw), outs = weight.shape[-2:], weight.shape[1]
    rows, columns = (
        (H - 1) * sh - 2 * ph + dh * (kh - 1) + eh + 1,
        (W - 1) * sw - 2 * pw + dw * (kw - 1) + ew + 1,
    )
    if rows < 1 or columns < 1:
        raise ValueError(f"padding must leave an output of at least one pixel, got {(ph, pw)}: {rows} x {columns}.")
    grouped, K = X.reshape(N, groups, C // groups, H, W), weight.reshape(groups, C // groups, outs, kh, kw)
    Y = _transposed(grouped, K, (sh, sw), (dh, dw), (rows + 2 * ph, columns + 2 * pw))
    return _finish(Y[..., ph : ph + rows, pw : pw + columns], bias, input)


# ---------------------------------------------------------------------------------------------------------
# What makes conv2d fast: a few images at a time, so that what is written is read while it is in the cache
# ---------------------------------------------------------------------------------------------------------

BLOCK = 2**20  # numbers on the way from input to output at a time: 4 MiB in float32
MANY_CHANNELS = 32  # from here on, both in and out, Winograd's tiles take less time than columns


class _Correlation(torch.autograd.Function):
    """`conv2d` of padded X `(N, G, C, H, W)` with K `(G, O, C, kh, kw)`; only these two are kept for the way back.

    The gradients are made of correlations again, and so have gradients themselves.
    """

    @staticmethod
    def forward(X, K, stride, dilation):
        three_by_three = (*K.shape[-2:], *stride, *dilation) == (3, 3, 1, 1, 1, 1)
        if three_by_three and min(K.shape[1:3]) >= MANY_CHANNELS and X.dtype in (torch.float32, torch.float64):
            return _winograd(X, K)
        (G, outs), (oh, ow) = K.shape[:2], _places(X, K, stride, dilation)
        Y = X.new_empty(len(X), G, outs, oh * ow)
        for x, y in _blocks(_column_numbers(X, K, stride, dilation), X, Y):
            torch.matmul(K.flatten(2), _columns(x, K, stride, dilation), out=y)
        return Y.unflatten(-1, (oh, ow))

    @staticmethod
    def setup_context(ctx, inputs, output):
        X, K, ctx.stride, ctx.dilation = inputs
        ctx.save_for_backward(X, K)

    @staticmethod
    def backward(ctx, dY):
        X, K = ctx.saved_tensors
        dX = dK = None
        if ctx.needs_input_grad[0]:
            dX = _transposed(dY, K, ctx.stride, ctx.dilation, X.shape[-2:])
        if ctx.needs_input_grad[1]:
            dK = torch.zeros_like(K).flatten(2)
            for x, dy in _blocks(_column_numbers(X, K, ctx.stride, ctx.dilation), X, dY):
                dK = dK + (dy.flatten(-2) @ _columns(x, K, ctx.stride, ctx.dilation).mT).sum(0)
            dK = dK.reshape(K.shape)
        return dX, dK, None, None


def _transposed(Y: Tensor, K: Tensor, stride, dilation, size) -> Tensor:
    """Run `_Correlation` backwards, to an input of `size`: Y `(N, G, O, H', W')` -> `(N, G, C, *size)`.

    Zeros between the pixels, a border around them, and the flipped kernel slides over it.
    """
    (sh, sw), (bottom, right) = stride, (span - 1 for span in _spans(K, dilation))
    stuffed, (h, w) = Y, Y.shape[-2:]
    if (h, w) != (size[0] - bottom, size[1] - right):
        stuffed = Y.new_zeros(*Y.shape[:3], size[0] - bottom, size[1] - right)
        stuffed[..., ::sh, ::sw][..., :h, :w] = Y
    bordered = F.pad(stuffed, (right, right, bottom, bottom))
    return _Correlation.apply(bordered, K.transpose(1, 2).flip(-2, -1), (1, 1), dilation)


def _winograd(X: Tensor, K: Tensor) -> Tensor:
    """3x3 kernels at stride 1, by 16 multiplications for every 2x2 outputs, where sliding takes 36.

    The four outputs are `A [(G k Gᵀ) * (B x Bᵀ)] Aᵀ`, with k the kernel and x the 4x4 pixels that they see. The
    products are summed over the channels before A comes: a matrix product for each of the 16.

    Source: Lavin, Gray, *Fast Algorithms for Convolutional Neural Networks* (2016), section 4.1.
    """
    G = X.new_tensor([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
    A = X.new_tensor([[1, 1, 1, 0], [0, 1, -1, -1]])
    (N, groups, C, H, W), outs = X.shape, K.shape[1]
    h, w = (H - 1) // 2, (W - 1) // 2  # so many pairs of outputs, the last one perhaps half
    if H % 2 or W % 2:
        X = F.pad(X, (0, W % 2, 0, H % 2))
    kernels = (torch.kron(G, G) @ K.reshape(-1, 9).T).reshape(16, groups, outs, C)
    pairs = X.unflatten(-2, (h + 1, 2)).unflatten(-1, (w + 1, 2)).permute(0, 4, 6, 1, 2, 3, 5)
    Y = X.new_empty(N, groups, outs, h, 2, w, 2)
    n = None
    for x, y in _blocks(16 * groups * C * h * w, pairs, Y):
        if n != len(y):  # the blocks use the same memory over and over; only the last may be smaller
            n = len(y)
            half, pixels = X.new_empty(4, 2, groups, C, n, h, w + 1), X.new_empty(4, 4, groups, C, n, h, w)
            products, four = X.new_empty(16, groups, outs, n * h * w), X.new_empty(4, groups * outs * n * h * w)
            half_by_column, pixels_by_column = half.transpose(0, 1), pixels.transpose(0, 1)
        x = x.movedim(0, 4).contiguous()  # (row in the pair, column in the pair, groups, C, n, h + 1, w + 1)
        _times_B(x[..., :-1, :], x[..., 1:, :], out=half)
        _times_B(half_by_column[..., :-1], half_by_column[..., 1:], out=pixels_by_column)
        torch.matmul(kernels, pixels.flatten(4).flatten(0, 1), out=products)
        torch.matmul(torch.kron(A, A), products.flatten(1), out=four)
        y.copy_(four.reshape(2, 2, groups, outs, n, h, w).permute(4, 2, 3, 5, 0, 6, 1))
    return Y.reshape(N, groups, outs, 2 * h, 2 * w)[..., : H - 2, : W - 2]


def _times_B(near: Tensor, far: Tensor, out: Tensor) -> None:
    """Winograd's B: from four pixels in a row, the pairs `near` and `far`, make the four numbers to multiply."""
    torch.sub(near[0], far[0], out=out[0])
    torch.add(near[1], far[0], out=out[1])
    torch.sub(far[0], near[1], out=out[2])
    torch.sub(near[1], far[1], out=out[3])


def _blocks(numbers: int, *tensors: Tensor):
    """Split the batch so that `numbers` for each image add up to a block."""
    size = max(1, BLOCK // numbers)
    return zip(*(tensor.split(size) for tensor in tensors), strict=True)


# ---------------------------------------------------------------------------------------------------------
# What the functions above share
# ---------------------------------------------------------------------------------------------------------


class _Call(NamedTuple):
    """A checked conv2d call: channels split into G groups, the input padded."""

    X: Tensor  # (N, G, C_in / G, padded H, padded W)
    K: Tensor  # (G, C_out / G, C_in / G, kh, kw)
    stride: tuple[int, int]
    dilation: tuple[int, int]
    out_shape: tuple[int, int, int, int, int]  # (N, G, C_out / G, H', W')


def _prepare(input, weight, bias, stride, padding, dilation, groups) -> _Call:
    X, groups = _check_tensors(input, weight, bias, groups)
    stride, dilation = _pair(stride, "stride", 1), _pair(dilation, "dilation", 1)
    span = _spans(weight, dilation)
    X = F.pad(X, _borders(padding, span, stride))
    _require_fit("weight (with its dilation)", span, "the padded input", X.shape[-2:])
    N, C, H, W = X.shape
    outs = weight.shape[0] // groups
    return _Call(
        X.reshape(N, groups, C // groups, H, W),
        weight.reshape(groups, outs, C // groups, *weight.shape[-2:]),
        stride,
        dilation,
        (N, groups, outs, *_places(X, weight, stride, dilation)),
    )


def _finish(Y: Tensor, bias, input: Tensor) -> Tensor:
    Y = Y.flatten(1, 2)  # (N, G, C_out / G, H', W') -> (N, C_out, H', W')
    if bias is not None:
        Y = Y + bias.reshape(-1, 1, 1)
    return Y if input.ndim == 4 else Y.squeeze(0)


def _spans(K: Tensor, dilation) -> tuple[int, int]:
    """How many rows and columns the kernel covers."""
    kh, kw = K.shape[-2:]
    return dilation[0] * (kh - 1) + 1, dilation[1] * (kw - 1) + 1


def _places(X: Tensor, K: Tensor, stride, dilation) -> tuple[int, int]:
    """At how many rows and columns the kernel can stand."""
    (H, W), (rows, columns) = X.shape[-2:], _spans(K, dilation)
    return (H - rows) // stride[0] + 1, (W - columns) // stride[1] + 1


def _column_numbers(X: Tensor, K: Tensor, stride, dilation) -> int:
    """How many numbers `_columns` makes of one image."""
    rows, columns = _places(X, K, stride, dilation)
    return K[:, 0].numel() * rows * columns


def _columns(X: Tensor, K: Tensor, stride, dilation) -> Tensor:
    """Copy every window into a column: (N, G, C, H, W) -> (N, G, C * kh * kw, H' * W')."""
    windows = _windows(X, K.shape[-2:], stride, dilation)  # (N, G, C, H', W', kh, kw), still a view
    return windows.permute(0, 1, 2, 5, 6, 3, 4).flatten(-2).flatten(2, 4)


def _windows(X: Tensor, size, stride, dilation) -> Tensor:
    """View (..., H, W) as (..., H', W', kh, kw) without copying a number."""
    (kh, kw), (dh, dw) = size, dilation
    windows = X.unfold(-2, dh * (kh - 1) + 1, stride[0]).unfold(-2, dw * (kw - 1) + 1, stride[1])
    return windows[..., ::dh, ::dw]


def _borders(padding, span, stride) -> tuple[int, int, int, int]:
    """Return F.pad's (left, right, top, bottom)."""
    if padding == "valid":
        return 0, 0, 0, 0
    if padding == "same":
        if stride != (1, 1):
            raise ValueError(f"padding='same' needs stride 1, got stride {stride}.")
        (top, bottom), (left, right) = (((s - 1) // 2, (s - 1) - (s - 1) // 2) for s in span)
        return left, right, top, bottom
    if isinstance(padding, str):
        raise ValueError(f"padding must be 'valid', 'same', an int or a pair of ints, got {padding!r}.")
    ph, pw = _pair(padding, "padding", 0)
    return pw, pw, ph, ph


def _pair(value, name: str, least: int) -> tuple[int, int]:
    pair = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(pair) == 1:
        pair *= 2  # torch, too, reads a list of one as "both axes"
    if len(pair) != 2 or not all(isinstance(v, int) and not isinstance(v, bool) for v in pair):
        raise ValueError(f"{name} must be an int or a pair of ints, got {value!r}.")
    if min(pair) < least:
        raise ValueError(f"{name} must be at least {least}, got {value!r}.")
    return pair


def _check_tensors(input, weight, bias, groups, transposed=False) -> tuple[Tensor, int]:
    """Return input with its batch dimension, and groups; raise a sentence when the tensors do not fit."""
    _require_dims(input, "input", {3: "(C_in, H, W)", 4: "(N, C_in, H, W)"})
    layout = "(C_in, C_out / groups, kh, kw)" if transposed else "(C_out, C_in / groups, kh, kw)"
    _require_dims(weight, "weight", {4: layout})
    X = input if input.ndim == 4 else input.unsqueeze(0)
    if isinstance(groups, bool) or not isinstance(groups, int) or groups < 1:
        raise ValueError(f"groups must be an int of at least 1, got {groups!r}.")
    if min(weight.shape) < 1 or min(X.shape[1:]) < 1:
        raise ValueError(
            f"only the batch may be empty, got input {tuple(input.shape)} and weight {tuple(weight.shape)}."
        )
    needed = weight.shape[0] if transposed else weight.shape[1] * groups
    if X.shape[1] != needed:
        raise ValueError(
            f"input has {X.shape[1]} channels, but weight {tuple(weight.shape)} with groups={groups} needs {needed}."
        )
    if weight.shape[0] % groups:
        raise ValueError(f"groups must divide weight's first dimension {weight.shape[0]}, got {groups}.")
    if input.dtype != weight.dtype:
        raise TypeError(f"weight must have input's dtype {input.dtype}, got {weight.dtype}.")
    if bias is not None:
        _require_tensor(bias, "bias")
        out_channels = weight.shape[1] * groups if transposed else weight.shape[0]
        if bias.shape != (out_channels,):
            raise ValueError(f"bias must have shape ({out_channels},), got {tuple(bias.shape)}.")
        if bias.dtype != input.dtype:
            raise TypeError(f"bias must have input's dtype {input.dtype}, got {bias.dtype}.")
    return X, groups


def _require_tensor(value, name: str) -> None:
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} must be a torch.Tensor, got {type(value).__name__}.")


def _require_dims(value, name: str, layouts: dict[int, str]) -> None:
    _require_tensor(value, name)
    if value.ndim not in layouts:
        raise ValueError(f"{name} must have shape {' or '.join(layouts.values())}, got {tuple(value.shape)}.")


def _require_fit(small: str, size, large: str, space) -> None:
    if size[0] < 1 or size[1] < 1 or size[0] > space[0] or size[1] > space[1]:
        raise ValueError(
            f"{small} must be at least 1 x 1 and fit into {large}: "
            f"{size[0]} x {size[1]} does not fit into {space[0]} x {space[1]}."
        )


def _lowest(dtype: torch.dtype) -> float:
    return -torch.inf if dtype.is_floating_point else torch.iinfo(dtype).min
