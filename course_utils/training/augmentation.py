"""Data augmentation: small random changes to training images."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def random_affine(
    X: Tensor, generator: torch.Generator, *, degrees: float = 10.0, shift: float = 0.1, scale: float = 0.1
) -> Tensor:
    """Rotate, zoom and shift each image of `(N, C, H, W)` randomly; pixels from outside the image become 0.

    Each image is rotated by up to `degrees` in either direction, zoomed by 1 - scale .. 1 + scale, and shifted by up
    to the fraction `shift` of width and height. `generator` is on the CPU, so all devices get the same numbers.

    >>> random_affine(torch.rand(2, 1, 28, 28), torch.Generator().manual_seed(0)).shape
    torch.Size([2, 1, 28, 28])
    """
    uniform = torch.rand(4, len(X), generator=generator).to(X) * 2 - 1
    angle, zoom, dx, dy = math.radians(degrees) * uniform[0], 1 + scale * uniform[1], *(2 * shift * uniform[2:])
    cos, sin, aspect = torch.cos(angle) / zoom, torch.sin(angle) / zoom, X.shape[-2] / X.shape[-1]
    # The output pixel (x, y), each in -1..1, is read from the input at (cos x - sin y + dx, sin x + cos y + dy).
    source = torch.stack([cos, -sin * aspect, dx, sin / aspect, cos, dy], dim=1).view(-1, 2, 3)
    return F.grid_sample(X, F.affine_grid(source, X.shape, align_corners=False), align_corners=False)
