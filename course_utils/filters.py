"""Named kernels, and `filter2d`, which applies one to every channel of an image.

Every kernel is a float32 matrix for cross-correlation: it is applied as printed, not flipped. Brightness that increases
to the right (x) or downward (y) gives a positive response.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from course_utils import shapes
from course_utils.ops import conv2d


def sobel_x() -> Tensor:
    """Return Sobel's 3x3 kernel for vertical edges: right minus left, smoothed along the edge.

    Source: Sobel, Feldman (1968), as given in Gonzalez, Woods, *Digital Image Processing* (2018), section 10.2.

    >>> sobel_x()
    tensor([[-1.,  0.,  1.],
            [-2.,  0.,  2.],
            [-1.,  0.,  1.]])
    """
    return torch.outer(torch.tensor([1.0, 2.0, 1.0]), torch.tensor([-1.0, 0.0, 1.0]))


def sobel_y() -> Tensor:
    """Return Sobel's 3x3 kernel for horizontal edges, below minus above: `sobel_x()` transposed.

    >>> torch.equal(sobel_y(), sobel_x().T)
    True
    """
    return sobel_x().T.contiguous()


def prewitt_x() -> Tensor:
    """Return Prewitt's 3x3 kernel for vertical edges: Sobel's without the heavier middle row.

    Source: Prewitt (1970), as given in Gonzalez, Woods (2018), section 10.2.

    >>> prewitt_x()
    tensor([[-1.,  0.,  1.],
            [-1.,  0.,  1.],
            [-1.,  0.,  1.]])
    """
    return torch.outer(torch.ones(3), torch.tensor([-1.0, 0.0, 1.0]))


def prewitt_y() -> Tensor:
    """Return Prewitt's 3x3 kernel for horizontal edges: `prewitt_x()` transposed.

    >>> torch.equal(prewitt_y(), prewitt_x().T)
    True
    """
    return prewitt_x().T.contiguous()


def laplacian(diagonals: bool = False) -> Tensor:
    """Return the 3x3 kernel of the second derivatives in both directions; `diagonals` adds those along the diagonals.

    Source: Gonzalez, Woods, *Digital Image Processing* (2018), section 3.6.

    >>> laplacian()
    tensor([[ 0.,  1.,  0.],
            [ 1., -4.,  1.],
            [ 0.,  1.,  0.]])
    """
    corner = 1.0 if diagonals else 0.0
    kernel = torch.tensor([[corner, 1.0, corner], [1.0, 0.0, 1.0], [corner, 1.0, corner]])
    kernel[1, 1] = -kernel.sum()
    return kernel


def identity(size: int = 3) -> Tensor:
    """Return the kernel that leaves an image unchanged: a one in the center. `size` is odd, in pixels.

    Raises:
        ValueError: size is not an odd whole number of at least 1.

    Source: the unit impulse, Gonzalez, Woods (2018), section 3.4.

    >>> identity()
    tensor([[0., 0., 0.],
            [0., 1., 0.],
            [0., 0., 0.]])
    """
    _require_size(size)
    kernel = torch.zeros(size, size)
    kernel[size // 2, size // 2] = 1
    return kernel


def box(size: int = 3) -> Tensor:
    """Return the kernel that averages a square of `size` x `size` pixels; its entries add up to 1.

    Raises:
        ValueError: size is not an odd whole number of at least 1.

    Source: Gonzalez, Woods, *Digital Image Processing* (2018), section 3.5.

    >>> box(3)[0, 0] * 9
    tensor(1.)
    """
    _require_size(size)
    return torch.full((size, size), 1 / size**2)


def gaussian(size: int = 5, sigma: float = 1.0) -> Tensor:
    """Return the Gaussian kernel: a weighted average that favors near pixels. `size` and `sigma` are in pixels.

    Raises:
        ValueError: size is not an odd whole number of at least 1, or sigma is not above 0.

    Source: Gonzalez, Woods, *Digital Image Processing* (2018), section 3.5, sampled at pixel centers, scaled to sum 1.

    >>> (gaussian(3, sigma=0.85) * 16).round()
    tensor([[1., 2., 1.],
            [2., 4., 2.],
            [1., 2., 1.]])
    """
    _require_size(size)
    if not sigma > 0:
        raise ValueError(f"sigma must be above 0, got {sigma!r}.")
    distance = torch.arange(size) - size // 2
    weights = torch.exp(-(distance**2) / (2 * sigma**2))
    weights = weights / weights.sum()
    return torch.outer(weights, weights)


def sharpen(amount: float = 1.0) -> Tensor:
    """Return the 3x3 kernel that adds `amount` times the detail that a blur would remove.

    It computes the image minus `amount` times its Laplacian; its entries add up to 1.

    Source: Gonzalez, Woods, *Digital Image Processing* (2018), section 3.6.

    >>> sharpen()
    tensor([[ 0., -1.,  0.],
            [-1.,  5., -1.],
            [ 0., -1.,  0.]])
    """
    return identity() - amount * laplacian()


def separate(kernel: Tensor) -> tuple[Tensor, Tensor]:
    """Split a separable kernel into the column and the row whose outer product it is.

    Shapes: kernel `(kh, kw)` -> column `(kh, 1)`, row `(1, kw)`.

    Raises:
        ValueError: the kernel is not a matrix of rank one, so no such pair exists.

    Source: the singular value decomposition; Gonzalez, Woods (2018), section 3.4, "separable filter kernels".

    >>> column, row = separate(sobel_x())
    >>> torch.allclose(column @ row, sobel_x())
    True
    """
    shapes.require_dims(kernel, "kernel", {2: "(kh, kw)"})
    U, S, Vh = torch.linalg.svd(kernel)
    rank = int(torch.linalg.matrix_rank(kernel))
    if rank != 1:
        raise ValueError(f"kernel must have rank 1 to be a column times a row, its rank is {rank}.")
    scale = S[0].sqrt()
    return U[:, :1] * scale, Vh[:1] * scale


def filter2d(image: Tensor, kernel: Tensor, padding_mode: str = "replicate") -> Tensor:
    """Cross-correlate every channel of an image with one kernel; the size stays the same.

    The border is filled by `padding_mode` as in `torch.nn.Conv2d`: "zeros", "reflect", "replicate" or "circular".

    Shapes: image `(C, H, W)` or `(N, C, H, W)`, kernel `(kh, kw)` -> the image's shape.

    Raises:
        ValueError: a shape or the mode is wrong.

    Source: Gonzalez, Woods, *Digital Image Processing* (2018), section 3.4.

    >>> filter2d(torch.arange(9.0).reshape(1, 3, 3), prewitt_x())
    tensor([[[3., 6., 3.],
             [3., 6., 3.],
             [3., 6., 3.]]])
    """
    shapes.require_dims(image, "image", {3: "(C, H, W)", 4: "(N, C, H, W)"})
    shapes.require_dims(kernel, "kernel", {2: "(kh, kw)"})
    modes = ("zeros", "reflect", "replicate", "circular")
    if padding_mode not in modes:
        raise ValueError(f"padding_mode must be one of {', '.join(modes)}, got {padding_mode!r}.")
    kh, kw = kernel.shape
    top, left = (kh - 1) // 2, (kw - 1) // 2
    border = (left, kw - 1 - left, top, kh - 1 - top)
    padded = F.pad(image, border, mode="constant" if padding_mode == "zeros" else padding_mode)
    channels = image.shape[-3]
    weight = kernel.to(image).expand(channels, 1, kh, kw)
    return conv2d(padded, weight, groups=channels)


def _require_size(size: int) -> None:
    if not isinstance(size, int) or size < 1 or size % 2 == 0:
        raise ValueError(f"size must be an odd whole number of at least 1, got {size!r}.")
