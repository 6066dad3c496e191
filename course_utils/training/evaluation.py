"""Evaluate a trained model: class scores, accuracy and confusion matrix."""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from course_utils.data import Dataset, Pair


@contextlib.contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """Put the model in eval mode inside the with block; then restore every layer's previous mode."""
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be an nn.Module, got {type(model).__name__}.")
    modes = {layer: layer.training for layer in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for layer, mode in modes.items():
            layer.training = mode


@torch.no_grad()
def predict(model: nn.Module, X: Tensor, batch_size: int = 1000) -> Tensor:
    """Return the class scores `(N, classes)` of the images X, in eval mode.

    X is float, or uint8, which is converted to float 0..1 batch by batch.

    >>> predict(nn.Dropout(0.5), torch.ones(2, 3))
    tensor([[1., 1., 1.],
            [1., 1., 1.]])
    """
    with eval_mode(model):
        return torch.cat([model(as_float(images.to(device_of(model)))) for images in X.split(batch_size)])


def evaluate(model: nn.Module, data: Dataset | Pair, batch_size: int = 1000) -> float:
    """Return the accuracy: the fraction of images that `model` classifies correctly, 0..1.

    `data` is `(X, y)`, or a Dataset, whose test set is used.

    >>> evaluate(nn.Identity(), (torch.eye(4), torch.tensor([0, 1, 2, 0])))
    0.75
    """
    X, y = check_pair(getattr(data, "test", data), "data")
    return (predict(model, X, batch_size).argmax(1).cpu() == y.cpu()).sum().item() / len(y)


def confusion_matrix(model: nn.Module, data: Dataset | Pair, num_classes: int) -> Tensor:
    """Return how often each class was predicted for each true class: int64, one row per true class.

    `data` is `(X, y)`, or a Dataset, whose test set is used.

    Raises:
        ValueError: a label or a prediction is outside 0..num_classes-1.

    >>> confusion_matrix(nn.Identity(), (torch.eye(3), torch.tensor([0, 1, 0])), 3)
    tensor([[1, 0, 1],
            [0, 1, 0],
            [0, 0, 0]])
    """
    X, y = check_pair(getattr(data, "test", data), "data")
    true, predicted = y.cpu(), predict(model, X).argmax(1).cpu()
    for name, classes in {"labels": true, "predictions": predicted}.items():
        if classes.min() < 0 or classes.max() >= num_classes:
            raise ValueError(f"{name} must fit num_classes={num_classes}, got {classes.min()}..{classes.max()}.")
    return torch.bincount(true * num_classes + predicted, minlength=num_classes**2).view(num_classes, -1)


def device_of(model: nn.Module) -> torch.device:
    """Return the device of the model's parameters; the CPU if it has none."""
    return next((p.device for p in model.parameters()), torch.device("cpu"))


def as_float(X: Tensor) -> Tensor:
    """Return uint8 0..255 as float32 0..1, and a float tensor unchanged.

    >>> as_float(torch.tensor([0, 51, 255], dtype=torch.uint8))
    tensor([0.0000, 0.2000, 1.0000])
    """
    return X.float().div_(255) if X.dtype == torch.uint8 else X


def check_pair(pair: Pair, name: str) -> Pair:
    """Return the pair if it holds float or uint8 images and equally many int64 labels, at least one; else raise."""
    if not (isinstance(pair, (tuple, list)) and [isinstance(part, Tensor) for part in pair] == [True, True]):
        raise TypeError(f"{name} must be a pair of tensors (X, y), got {type(pair).__name__}.")
    X, y = pair
    if not (X.is_floating_point() or X.dtype == torch.uint8) or y.dtype != torch.int64:
        raise TypeError(f"{name} must be float or uint8 images and int64 labels, got {X.dtype} and {y.dtype}.")
    if X.dim() < 2 or y.dim() != 1 or len(X) != len(y) or len(y) == 0:
        shapes = f"{tuple(X.shape)} and {tuple(y.shape)}"
        raise ValueError(f"{name} must be images (N, ...) and labels (N,) with N at least 1, got {shapes}.")
    return pair
