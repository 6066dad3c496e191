"""The fast implementation behind `ops.conv2d`: blocks that fit into the cache, Winograd's algorithm, and gradients.

`ops` checks the arguments, pads, and splits the channels into G groups: X is `(N, G, C, H, W)`, K is
`(G, O, C, kh, kw)`, and pairs are `(rows, columns)`. A few images are computed at a time, so that intermediate results
are still in the cache when they are read again.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils import shapes

BLOCK = 2**20  # intermediate numbers at a time: 4 MiB in float32
MANY_CHANNELS = 32  # with at least so many input and output channels, Winograd's algorithm is faster than columns


def correlate(X: Tensor, K: Tensor, stride: tuple[int, int], dilation: tuple[int, int]) -> Tensor:
    """Slide K over X, without padding: `(N, G, C, H, W)`, `(G, O, C, kh, kw)` -> `(N, G, O, H', W')`.

    >>> correlate(torch.ones(1, 1, 1, 3, 2), torch.ones(1, 1, 1, 2, 2), (1, 1), (1, 1)).flatten()
    tensor([4., 4.])
    """
    if len(X) * _column_numbers(X, K, stride, dilation) <= BLOCK:  # few numbers: blocks would only cost time
        Y = K.flatten(2) @ columns(X, K.shape[-2:], stride, dilation)
        return Y.unflatten(-1, _output_size(X, K, stride, dilation))
    return _Correlation.apply(X, K, stride, dilation)


def correlate_transposed(
    Y: Tensor, K: Tensor, stride: tuple[int, int], dilation: tuple[int, int], size: tuple[int, int]
) -> Tensor:
    """Apply the transpose of `correlate` to Y: `(N, G, O, H', W')` -> `(N, G, C, *size)`.

    It puts `stride - 1` zeros between the pixels and a border around them, then slides the flipped kernel over that.

    >>> correlate_transposed(torch.ones(1, 1, 1, 1, 2), torch.ones(1, 1, 1, 1, 2), (1, 2), (1, 1), (1, 4))
    tensor([[[[[1., 1., 1., 1.]]]]])
    """
    (sh, sw), (h, w) = stride, Y.shape[-2:]
    bottom, right = (covered - 1 for covered in shapes.span(K.shape[-2:], dilation))
    stuffed = Y
    if (h, w) != (size[0] - bottom, size[1] - right):
        stuffed = Y.new_zeros(*Y.shape[:3], size[0] - bottom, size[1] - right)
        stuffed[..., ::sh, ::sw][..., :h, :w] = Y
    bordered = F.pad(stuffed, (right, right, bottom, bottom))
    return _Correlation.apply(bordered, K.transpose(1, 2).flip(-2, -1), (1, 1), dilation)


def columns(X: Tensor, kernel_size: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int]) -> Tensor:
    """Copy every window into a column (im2col): `(N, G, C, H, W)` -> `(N, G, C * kh * kw, H' * W')`.

    Source: Chellapilla, Puri, Simard, *High performance CNNs for document processing* (2006), section 3.

    >>> columns(torch.arange(6).reshape(1, 1, 1, 2, 3), (2, 2), (1, 1), (1, 1)).tolist()
    [[[[0, 1], [1, 2], [3, 4], [4, 5]]]]
    """
    windows = shapes.windows(X, kernel_size, stride, dilation)  # (N, G, C, H', W', kh, kw), still a view
    return windows.permute(0, 1, 2, 5, 6, 3, 4).flatten(-2).flatten(2, 4)


class _Correlation(torch.autograd.Function):
    """`correlate` for autograd; saves only X and K for the backward pass.

    The gradients are themselves correlations, so autograd can differentiate them again.
    """

    @staticmethod
    def forward(X, K, stride, dilation):
        three_by_three = (*K.shape[-2:], *stride, *dilation) == (3, 3, 1, 1, 1, 1)
        if three_by_three and min(K.shape[1:3]) >= MANY_CHANNELS and X.dtype in (torch.float32, torch.float64):
            return _winograd(X, K)
        (G, outs), (oh, ow) = K.shape[:2], _output_size(X, K, stride, dilation)
        Y = X.new_empty(len(X), G, outs, oh * ow)
        for x, y in _blocks(_column_numbers(X, K, stride, dilation), X, Y):
            torch.matmul(K.flatten(2), columns(x, K.shape[-2:], stride, dilation), out=y)
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
            dX = correlate_transposed(dY, K, ctx.stride, ctx.dilation, X.shape[-2:])
        if ctx.needs_input_grad[1]:
            dK = torch.zeros_like(K).flatten(2)
            for x, dy in _blocks(_column_numbers(X, K, ctx.stride, ctx.dilation), X, dY):
                dK = dK + (dy.flatten(-2) @ columns(x, K.shape[-2:], ctx.stride, ctx.dilation).mT).sum(0)
            dK = dK.reshape(K.shape)
        return dX, dK, None, None


def _winograd(X: Tensor, K: Tensor) -> Tensor:
    """Apply 3x3 kernels at stride 1 with 16 multiplications for every 2x2 outputs, instead of 36.

    The four outputs are `Aᵀ [(G g Gᵀ) * (Bᵀ d B)] A`, where g is the kernel and d is their 4x4 tile of the input.
    The products are summed over the channels before Aᵀ is applied: one matrix product for each of the 16.

    Source: Lavin, Gray, *Fast Algorithms for Convolutional Neural Networks* (2016), section 4.1.
    """
    G = X.new_tensor([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
    A_T = X.new_tensor([[1, 1, 1, 0], [0, 1, -1, -1]])
    (N, groups, C, H, W), outs = X.shape, K.shape[1]
    h, w = (H - 1) // 2, (W - 1) // 2  # pairs of outputs; half of the last pair may be outside
    if H % 2 or W % 2:
        X = F.pad(X, (0, W % 2, 0, H % 2))
    # kron(M, M) applied to a flattened matrix x is M x Mᵀ.
    kernels = (torch.kron(G, G) @ K.reshape(-1, 9).T).reshape(16, groups, outs, C)
    pairs = X.unflatten(-2, (h + 1, 2)).unflatten(-1, (w + 1, 2)).permute(0, 4, 6, 1, 2, 3, 5)
    Y = X.new_empty(N, groups, outs, h, 2, w, 2)
    n = None
    for x, y in _blocks(16 * groups * C * h * w, pairs, Y):
        if n != len(y):  # all blocks use the same memory; only the last one may be smaller
            n = len(y)
            half, tiles = X.new_empty(4, 2, groups, C, n, h, w + 1), X.new_empty(4, 4, groups, C, n, h, w)
            products, four = X.new_empty(16, groups, outs, n * h * w), X.new_empty(4, groups * outs * n * h * w)
            half_by_column, tiles_by_column = half.transpose(0, 1), tiles.transpose(0, 1)
        x = x.movedim(0, 4).contiguous()  # (row in the pair, column in the pair, groups, C, n, h + 1, w + 1)
        _apply_B_T(x[..., :-1, :], x[..., 1:, :], out=half)
        _apply_B_T(half_by_column[..., :-1], half_by_column[..., 1:], out=tiles_by_column)
        torch.matmul(kernels, tiles.flatten(4).flatten(0, 1), out=products)
        torch.matmul(torch.kron(A_T, A_T), products.flatten(1), out=four)
        y.copy_(four.reshape(2, 2, groups, outs, n, h, w).permute(4, 2, 3, 5, 0, 6, 1))
    return Y.reshape(N, groups, outs, 2 * h, 2 * w)[..., : H - 2, : W - 2]


def _apply_B_T(near: Tensor, far: Tensor, out: Tensor) -> None:
    """Multiply four consecutive pixels, given as the pairs `near` and `far`, by Winograd's Bᵀ, row by row."""
    torch.sub(near[0], far[0], out=out[0])  # 1  0 -1  0
    torch.add(near[1], far[0], out=out[1])  # 0  1  1  0
    torch.sub(far[0], near[1], out=out[2])  # 0 -1  1  0
    torch.sub(near[1], far[1], out=out[3])  # 0  1  0 -1


def _blocks(numbers: int, *tensors: Tensor):
    """Split the batch into blocks, where each image takes `numbers` intermediate numbers."""
    size = max(1, BLOCK // numbers)
    return zip(*(tensor.split(size) for tensor in tensors), strict=True)


def _output_size(X: Tensor, K: Tensor, stride, dilation) -> tuple[int, int]:
    return shapes.positions(X.shape[-2:], shapes.span(K.shape[-2:], dilation), stride)


def _column_numbers(X: Tensor, K: Tensor, stride, dilation) -> int:
    """Return how many numbers `columns` creates for one image."""
    rows, cols = _output_size(X, K, stride, dilation)
    return K[:, 0].numel() * rows * cols
