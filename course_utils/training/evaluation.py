"""How well a trained model does: scores, accuracy, and which class was taken for which."""

from __future__ import annotations

import torch


@torch.no_grad()
def predict(model, X, batch_size=1000):
    """Scores ``(N, classes)`` of the images X, in eval mode; afterwards every layer is in its old mode again.

    X: float, or uint8, which becomes float 0..1 batch by batch

    >>> predict(torch.nn.Dropout(0.5), torch.ones(2, 3))
    tensor([[1., 1., 1.],
            [1., 1., 1.]])
    """
    modes = {layer: layer.training for layer in model.modules()}
    model.eval()
    try:
        return torch.cat([model(as_float(images.to(device_of(model)))) for images in X.split(batch_size)])
    finally:
        for layer, mode in modes.items():
            layer.training = mode


def evaluate(model, data, batch_size=1000):
    """The share of images that ``model`` classifies right, 0..1. ``data``: ``(X, y)``, or a Dataset's test part.

    >>> evaluate(torch.nn.Identity(), (torch.eye(4), torch.tensor([0, 1, 2, 0])))
    0.75
    """
    X, y = check_pair(getattr(data, "test", data), "data")
    return (predict(model, X, batch_size).argmax(1).cpu() == y.cpu()).sum().item() / len(y)


def confusion_matrix(model, data, num_classes):
    """How often each class was taken for each other: int64, rows are true classes, columns predicted ones.

    ``data``: ``(X, y)``, or a Dataset's test part. Raises ValueError for a class outside 0..num_classes-1.

    >>> confusion_matrix(torch.nn.Identity(), (torch.eye(3), torch.tensor([0, 1, 0])), 3)
    tensor([[1, 0, 1],
            [0, 1, 0],
            [0, 0, 0]])
    """
    X, y = check_pair(getattr(data, "test", data), "data")
    true, predicted = y.cpu(), predict(model, X).argmax(1).cpu()
    for name, classes in {"labels": true, "predictions": predicted}.items():
        if classes.min() < 0 or classes.max() >= num_classes:
            raise ValueError(f"{name} are {classes.min()}..{classes.max()}, beyond num_classes={num_classes}")
    return torch.bincount(true * num_classes + predicted, minlength=num_classes**2).view(num_classes, -1)


def device_of(model):
    """Where the model's parameters are; the CPU if it has none."""
    return next((p.device for p in model.parameters()), torch.device("cpu"))


def as_float(X):
    """Bytes 0..255 as float32 0..1; what is float already, as it is.

    >>> as_float(torch.tensor([0, 51, 255], dtype=torch.uint8))
    tensor([0.0000, 0.2000, 1.0000])
    """
    return X.float().div_(255) if X.dtype == torch.uint8 else X


def check_pair(pair, name):
    """``pair`` itself, if it is float or uint8 images and as many int64 labels, at least one."""
    if not (isinstance(pair, (tuple, list)) and [isinstance(part, torch.Tensor) for part in pair] == [True, True]):
        raise TypeError(f"{name} must be a pair of tensors (X, y), not {type(pair).__name__}")
    X, y = pair
    if not (X.is_floating_point() or X.dtype == torch.uint8) or y.dtype != torch.int64:
        raise TypeError(f"{name} must be float or uint8 images and int64 labels, not {X.dtype} and {y.dtype}")
    if X.dim() < 2 or y.dim() != 1 or len(X) != len(y) or len(y) == 0:
        shapes = f"{tuple(X.shape)} and {tuple(y.shape)}"
        raise ValueError(f"{name} must be images (N, ...) and labels (N,) with N at least 1, not {shapes}")
    return pair
