"""Check the arguments of `fit` before training starts."""

import math

from torch import nn

from course_utils.data import Dataset, Pair
from course_utils.training.evaluation import check_pair, device_of, predict

SCHEDULES = ("constant", "onecycle")


def check_settings(
    epochs: int, batch_size: int, lr: float, schedule: str, label_smoothing: float, augment, checkpoint_every: float
) -> None:
    """Raise ValueError, or TypeError for `augment`, for the first setting that `fit` cannot use."""
    for name, value in {"epochs": epochs, "batch_size": batch_size}.items():
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} must be an int of at least 1, got {value!r}.")
    if not isinstance(lr, (int, float)) or not 0 < lr < math.inf:
        raise ValueError(f"lr must be a number greater than 0 and finite, got {lr!r}.")
    if schedule not in SCHEDULES:
        raise ValueError(f"schedule must be one of {', '.join(SCHEDULES)}, got {schedule!r}.")
    if not 0 <= label_smoothing < 1:
        raise ValueError(f"label_smoothing must be at least 0 and below 1, got {label_smoothing!r}.")
    if augment is not None and not callable(augment):
        raise TypeError(f"augment must be a callable (X, generator) -> X or None, got {augment!r}.")
    if not isinstance(checkpoint_every, (int, float)) or not checkpoint_every >= 0:
        raise ValueError(f"checkpoint_every must be a number of seconds, at least 0, got {checkpoint_every!r}.")


def check_batches(images: int, batch_size: int, processes: int) -> None:
    """Raise ValueError unless every process gets an image from every batch, also from an epoch's small last batch."""
    smallest = min(images, images % batch_size or batch_size)
    if smallest < processes:
        raise ValueError(
            f"batch_size {batch_size} and {images} images give a batch of {smallest}, fewer than the "
            f"{processes} processes: use another batch_size or fewer processes."
        )


def pair_for(model: nn.Module, data: Dataset, part: str) -> Pair:
    """Return `data.train` or `data.test` on the model's device, after trying the model on one image."""
    if not hasattr(data, part):
        raise TypeError(f"data must be a Dataset with train and test, got {type(data).__name__}.")
    X, y = (tensor.to(device_of(model)) for tensor in check_pair(getattr(data, part), f"data.{part}"))
    try:
        classes = predict(model, X[:1]).shape[-1]
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"the model cannot take images of shape {tuple(X.shape[1:])}: {reason}") from error
    if y.min() < 0 or y.max() >= classes:
        must = f"must be 0..{classes - 1}, one per model output"
        raise ValueError(f"labels in data.{part} {must}, got {y.min()}..{y.max()}.")
    return X, y
