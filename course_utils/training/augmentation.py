"""Small random changes to training images."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def random_affine(
    X: Tensor, generator: torch.Generator, *, degrees: float = 10.0, shift: float = 0.1, scale: float = 0.1
) -> Tensor:
    """Rotate, zoom and shift each image of `(N, C, H, W)` a little, in its own way; what was outside becomes 0.

    Each is rotated by up to `degrees` either way, zoomed by 1 - scale .. 1 + scale, and moved by up to the fraction
    `shift` of width and height. `generator` draws the numbers on the CPU, so that every device draws the same.

    >>> random_affine(torch.rand(2, 1, 28, 28), torch.Generator().manual_seed(0)).shape
    torch.Size([2, 1, 28, 28])
    """
    dice = torch.rand(4, len(X), generator=generator).to(X) * 2 - 1
    angle, zoom, dx, dy = math.radians(degrees) * dice[0], 1 + scale * dice[1], *(2 * shift * dice[2:])
    cos, sin, aspect = torch.cos(angle) / zoom, torch.sin(angle) / zoom, X.shape[-2] / X.shape[-1]
    # Where does the output pixel at (x, y), each in -1..1, come from? At (cos x - sin y + dx, sin x + cos y + dy).
    where_from = torch.stack([cos, -sin * aspect, dx, sin / aspect, cos, dy], dim=1).view(-1, 2, 3)
    return F.grid_sample(X, F.affine_grid(where_from, X.shape, align_corners=False), align_corners=False)
