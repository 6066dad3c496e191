"""LeNet as it was, and LeNet as one would write it today.

Both are ``nn.Sequential`` with named layers, so that a lesson can walk through them:

>>> X = torch.zeros(1, 1, 28, 28)
>>> for name, layer in LeNet().named_children():
...     X = layer(X)
...     if name in ("conv1", "pool1", "conv2", "pool2", "flatten", "output"):
...         print(name, tuple(X.shape))
conv1 (1, 6, 28, 28)
pool1 (1, 6, 14, 14)
conv2 (1, 16, 10, 10)
pool2 (1, 16, 5, 5)
flatten (1, 400)
output (1, 10)
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn


class LeNet(nn.Sequential):
    """The classic: sigmoid and average pooling. Images ``(N, 1, 28, 28)`` to class scores ``(N, num_classes)``.

    Layers as in d2l, chapter 6.6, after LeCun, Bottou, Bengio and Haffner 1998, "Gradient-based learning applied to
    document recognition", section II-B: 28x28 images are padded by 2, 32x32 images (``image_size=32``) are not.
    Weights are Xavier-uniform, biases torch's default, drawn in the order of d2l's ``train_ch6``: the same
    ``torch.manual_seed`` gives the same network. Raises ValueError for any other image size.

    >>> sum(p.numel() for p in LeNet().parameters())
    61706
    """

    def __init__(self, num_classes=10, image_size=28):
        padding = _padding(image_size)
        super().__init__(
            OrderedDict(
                conv1=nn.Conv2d(1, 6, kernel_size=5, padding=padding),
                act1=nn.Sigmoid(),
                pool1=nn.AvgPool2d(2),
                conv2=nn.Conv2d(6, 16, kernel_size=5),
                act2=nn.Sigmoid(),
                pool2=nn.AvgPool2d(2),
                flatten=nn.Flatten(),
                fc1=nn.Linear(16 * 5 * 5, 120),
                act3=nn.Sigmoid(),
                fc2=nn.Linear(120, 84),
                act4=nn.Sigmoid(),
                output=nn.Linear(84, num_classes),
            )
        )
        self.image_size = image_size
        for layer in self.children():
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                nn.init.xavier_uniform_(layer.weight)

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        _check_images(X, self.image_size)
        return super().forward(X)


class ModernLeNet(nn.Sequential):
    """The same skeleton with what came later. Images ``(N, 1, 28, 28)`` to class scores ``(N, num_classes)``.

    ReLU (Nair and Hinton 2010) keeps the gradient of every active unit; batch normalization (Ioffe and Szegedy 2015)
    keeps the scale of every channel; max pooling keeps the strongest answer; Kaiming initialization (He et al. 2015)
    halves no signal that ReLU has already halved. Raises ValueError for an image size that is neither 28 nor 32.

    >>> ModernLeNet(num_classes=3)(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 3])
    """

    def __init__(self, num_classes=10, image_size=28):
        padding = _padding(image_size)
        super().__init__(
            OrderedDict(
                conv1=nn.Conv2d(1, 6, kernel_size=5, padding=padding),
                norm1=nn.BatchNorm2d(6),
                act1=nn.ReLU(),
                pool1=nn.MaxPool2d(2),
                conv2=nn.Conv2d(6, 16, kernel_size=5),
                norm2=nn.BatchNorm2d(16),
                act2=nn.ReLU(),
                pool2=nn.MaxPool2d(2),
                flatten=nn.Flatten(),
                fc1=nn.Linear(16 * 5 * 5, 120),
                act3=nn.ReLU(),
                fc2=nn.Linear(120, 84),
                act4=nn.ReLU(),
                output=nn.Linear(84, num_classes),
            )
        )
        self.image_size = image_size
        for layer in self.children():
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        _check_images(X, self.image_size)
        return super().forward(X)


def _padding(image_size):
    """Padding of the first layer, so that both image sizes give 28x28 after it."""
    if image_size not in (28, 32):
        raise ValueError(f"image_size must be 28 or 32, not {image_size!r}")
    return (32 - image_size) // 2


def _check_images(X, size):
    if X.dim() != 4 or X.shape[1:] != (1, size, size):
        raise ValueError(f"this LeNet takes images of shape (N, 1, {size}, {size}), not {tuple(X.shape)}")
