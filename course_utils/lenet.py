"""The classic LeNet, and LeNet with modern layers.

Both are `nn.Sequential` with named layers, so that a lesson can walk through them:

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

from collections import OrderedDict

import torch
from torch import nn


class _Layers(nn.Sequential):
    """Named layers in sequence, which raise a clear error for images of the wrong size."""

    def __init__(self, image_size: int, **layers: nn.Module) -> None:
        super().__init__(OrderedDict(layers))
        self.image_size = image_size

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        size = self.image_size
        if X.dim() != 4 or X.shape[1:] != (1, size, size):
            raise ValueError(f"this LeNet takes images of shape (N, 1, {size}, {size}), not {tuple(X.shape)}")
        return super().forward(X)


class LeNet(_Layers):
    """The classic: sigmoid and average pooling. The layers are those of d2l, section 7.6.

    28x28 images are padded by 2, 32x32 images (`image_size=32`) are not. Weights are Xavier-uniform, biases torch's
    default, drawn in the order of d2l's `train_ch6`: the same `torch.manual_seed` gives the same network.

    Shapes: `(N, 1, 28, 28)` -> class scores (logits) `(N, num_classes)`.

    Raises:
        ValueError: image_size is neither 28 nor 32, or the images have another size.

    Source: LeCun et al., *Gradient-based learning applied to document recognition* (1998), section II.B.

    >>> sum(p.numel() for p in LeNet().parameters())
    61706
    """

    def __init__(self, num_classes: int = 10, image_size: int = 28) -> None:
        super().__init__(
            image_size,
            conv1=nn.Conv2d(1, 6, kernel_size=5, padding=_padding(image_size)),
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
        for layer in self.children():
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                nn.init.xavier_uniform_(layer.weight)


class ModernLeNet(_Layers):
    """LeNet with later improvements.

    ReLU (Nair and Hinton 2010) keeps the gradient of every active unit; batch normalization (Ioffe and Szegedy 2015)
    keeps the scale of every channel; max pooling keeps the strongest response; Kaiming initialization (He et al. 2015)
    compensates for the half of the signal that ReLU removes.

    Shapes: `(N, 1, 28, 28)` -> class scores (logits) `(N, num_classes)`.

    Raises:
        ValueError: image_size is neither 28 nor 32, or the images have another size.

    >>> ModernLeNet(num_classes=3)(torch.zeros(2, 1, 28, 28)).shape
    torch.Size([2, 3])
    """

    def __init__(self, num_classes: int = 10, image_size: int = 28) -> None:
        super().__init__(
            image_size,
            conv1=nn.Conv2d(1, 6, kernel_size=5, padding=_padding(image_size)),
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
        for layer in self.children():
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)


def _padding(image_size: int) -> int:
    """Return the padding of the first layer, after which both image sizes give 28x28."""
    if image_size not in (28, 32):
        raise ValueError(f"image_size must be 28 or 32, got {image_size!r}.")
    return (32 - image_size) // 2
