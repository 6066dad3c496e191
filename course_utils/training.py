"""A small trainer: whole datasets as tensors, one permutation an epoch, batches by indexing.

`fit` trains, `predict`, `evaluate` and `confusion_matrix` judge, `random_affine` varies the images a little.
"""

from __future__ import annotations

import contextlib
import math
import os
import pickle
import time
import zipfile
import zlib
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F

OPTIMIZERS = {"adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
SCHEDULES = ("constant", "onecycle")
FORMAT = "course_utils checkpoint 1"


@dataclass(repr=False)
class History:
    """What `fit` measured: lists with one entry per epoch.

    train_loss, train_accuracy: mean over the training images, each as augmented, and before its batch's step
    test_accuracy: 0..1, after the epoch
    lr: learning rate of the epoch's first step
    seconds: training without the test; images_per_second: training images by these seconds

    >>> History(train_loss=[2.3, 0.5], test_accuracy=[0.1, 0.9])
    History(2 epochs, train loss 0.5, test accuracy 90.0%)
    """

    train_loss: list[float] = field(default_factory=list)
    train_accuracy: list[float] = field(default_factory=list)
    test_accuracy: list[float] = field(default_factory=list)
    lr: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    images_per_second: list[float] = field(default_factory=list)

    def __len__(self):
        return len(self.train_loss)

    def __repr__(self):  # without the times, which differ from run to run
        if not self.train_loss:
            return "History(0 epochs)"
        loss, accuracy = self.train_loss[-1], self.test_accuracy[-1]
        return f"History({len(self)} epochs, train loss {loss:.3g}, test accuracy {accuracy:.1%})"

    def as_dict(self):
        """The lists by name, copied."""
        return asdict(self)

    def plot(self):
        """The curves of loss and accuracy, as a `plotting.Picture`."""
        from course_utils import plotting

        return plotting.history(self.as_dict())


def fit(
    model, data, *, epochs, batch_size=64, lr=0.01, optimizer="adamw", schedule="onecycle", label_smoothing=0.0,
    augment=None, device=None, seed=0, checkpoint=None, callback=None, progress=True,
):  # fmt: skip
    """Train ``model`` on ``data.train``, test it on ``data.test`` after every epoch; returns the `History`.

    data: a `course_utils.data.Dataset`: X float ``(N, ...)``, y int64 ``(N,)``
    lr: learning rate; with ``schedule="onecycle"`` (Smith and Topin 2018) its peak
    optimizer: ``"adamw"``, ``"sgd"`` (plain, no momentum) or a callable ``(parameters, lr=lr) -> optimizer``
    augment: a callable ``(X, generator) -> X`` for every training batch, for instance `random_affine`
    device: where to train, by default where the model is; the model stays there, in eval mode
    seed: of order, augmentation and dropout; the initial weights come with the model. On a CPU the same seed
        gives the same numbers, bit for bit. torch's global random state is left as it was
    checkpoint: a file, written before the first epoch and after each one. If it exists, training goes on from
        there, and ends with the very weights of a run that was never interrupted
    callback: called as ``callback(model, history)`` after every epoch

    Raises ValueError or TypeError for settings, data or a checkpoint that do not fit, FloatingPointError when
    the loss is no longer finite.

    >>> from course_utils.data import Dataset
    >>> pair = torch.tensor([[0.0, 1.0], [1.0, 0.0]]).repeat(8, 1), torch.tensor([0, 1]).repeat(8)
    >>> model = torch.nn.Linear(2, 2)
    >>> fit(model, Dataset(pair, pair, ("a", "b")), epochs=20, lr=0.1, progress=False).test_accuracy[-1]
    1.0
    """
    from tqdm.auto import tqdm

    _check_settings(epochs, batch_size, lr, schedule, label_smoothing, augment)
    lr = float(lr)  # numpy's floats do not go into a checkpoint
    model.to(_device(model) if device is None else device)
    X, y = _pair_for(model, data, "train")
    test = _pair_for(model, data, "test")
    optimizer = _make_optimizer(optimizer, model, lr)
    settings = {
        "epochs": epochs, "batch_size": batch_size, "lr": lr, "schedule": schedule, "seed": seed,
        "label_smoothing": label_smoothing, "augment": _describe(augment),
        "optimizer": f"{type(optimizer).__name__} {optimizer.defaults}",
        "model": f"{type(model).__name__}, layout {zlib.crc32(str(model).encode()):08x}",
        "data": f"{len(X)} images, labels {zlib.crc32(y.cpu().numpy().tobytes()):08x}",
    }  # fmt: skip
    scheduler = _make_scheduler(schedule, optimizer, lr, steps=epochs * math.ceil(len(X) / batch_size))
    run = Run(model, optimizer, scheduler, torch.Generator().manual_seed(seed), augment, settings)

    with _private_rng(X.device, seed), tqdm(total=epochs * len(X), unit="image", disable=not progress) as bar:
        if checkpoint is not None:
            run.resume_or_save(checkpoint)
        bar.update(len(run.history) * len(X))
        while len(run.history) < epochs:
            train_epoch(run, X, y, test, bar.update)
            bar.set_postfix(loss=run.history.train_loss[-1], test_accuracy=run.history.test_accuracy[-1])
            if checkpoint is not None:
                run.save(checkpoint)
            if callback is not None:
                with _private_rng(X.device):
                    callback(model, run.history)
    model.eval()
    return run.history


@dataclass
class Run:
    """What changes while `fit` works, and must survive an interruption."""

    model: torch.nn.Module
    optimizer: torch.optim.Optimizer
    scheduler: torch.optim.lr_scheduler.LRScheduler
    generator: torch.Generator
    augment: object
    settings: dict
    history: History = field(default_factory=History)

    def save(self, path):
        device = _device(self.model)
        save_checkpoint(
            path,
            **{name: getattr(self, name).state_dict() for name in ("model", "optimizer", "scheduler")},
            generator=self.generator.get_state(),
            rng=torch.get_rng_state(),
            cuda_rng=torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
            history=self.history.as_dict(),
            settings=self.settings,
        )

    def resume_or_save(self, path):
        """Continue from ``path``; if there is none, save, so that an interrupted first epoch can be repeated."""
        if not Path(path).exists():
            return self.save(path)
        parts = load_checkpoint(path)
        made_with = parts.get("settings", {})
        for name, value in self.settings.items():
            if made_with.get(name) != value:
                raise ValueError(
                    f"checkpoint {path} was made with {name} {made_with.get(name)!r}, not {value!r}: "
                    "delete it or name another file"
                )
        for name in ("model", "optimizer", "scheduler"):
            getattr(self, name).load_state_dict(parts[name])
        self.generator.set_state(parts["generator"])
        torch.set_rng_state(parts["rng"])
        device = _device(self.model)
        if device.type == "cuda" and parts["cuda_rng"] is not None:
            torch.cuda.set_rng_state(parts["cuda_rng"], device)
        self.history = History(**parts["history"])


def train_epoch(run, X, y, test, advance):
    """Every training image once, then the test; adds an entry to ``run.history``. This is the loop inside `fit`.

    ``advance(n)`` is told of every n images done.
    """
    model, optimizer, settings = run.model, run.optimizer, run.settings
    lr, start = optimizer.param_groups[0]["lr"], time.perf_counter()
    losses, correct = [], 0
    model.train()
    for batch in torch.randperm(len(X), generator=run.generator).to(X.device).split(settings["batch_size"]):
        images, labels = X[batch], y[batch]
        if run.augment is not None:
            images = run.augment(images, run.generator)
        scores = model(images)
        loss = F.cross_entropy(scores, labels, label_smoothing=settings["label_smoothing"])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        run.scheduler.step()
        losses.append(loss.detach() * len(batch))
        correct += (scores.detach().argmax(1) == labels).sum()
        advance(len(batch))
    losses = torch.stack(losses).tolist()  # read once an epoch: at every reading a GPU stops and waits
    seconds, history = time.perf_counter() - start, run.history
    for number, loss in enumerate(losses, start=1):
        if not math.isfinite(loss):
            where = f"epoch {len(history) + 1}, batch {number} of {len(losses)}"
            raise FloatingPointError(f"the loss became {loss} in {where}: use a lower lr than {settings['lr']}")
    history.train_loss.append(sum(losses) / len(X))
    history.train_accuracy.append(int(correct) / len(X))
    history.test_accuracy.append(evaluate(model, test))
    history.lr.append(lr)
    history.seconds.append(seconds)
    history.images_per_second.append(len(X) / seconds)


@torch.no_grad()
def predict(model, X, batch_size=1000):
    """Scores ``(N, classes)`` of the images X, in eval mode; afterwards every layer is in its old mode again.

    >>> predict(torch.nn.Dropout(0.5), torch.ones(2, 3))
    tensor([[1., 1., 1.],
            [1., 1., 1.]])
    """
    modes = {layer: layer.training for layer in model.modules()}
    model.eval()
    try:
        return torch.cat([model(images.to(_device(model))) for images in X.split(batch_size)])
    finally:
        for layer, mode in modes.items():
            layer.training = mode


def evaluate(model, data, batch_size=1000):
    """The share of images that ``model`` classifies right, 0..1. ``data``: ``(X, y)``, or a Dataset's test part.

    >>> evaluate(torch.nn.Identity(), (torch.eye(4), torch.tensor([0, 1, 2, 0])))
    0.75
    """
    X, y = _check_pair(getattr(data, "test", data), "data")
    return (predict(model, X, batch_size).argmax(1).cpu() == y.cpu()).sum().item() / len(y)


def confusion_matrix(model, data, num_classes):
    """How often each class was taken for each other: int64, rows are true classes, columns predicted ones.

    ``data``: ``(X, y)``, or a Dataset's test part. Raises ValueError for a class outside 0..num_classes-1.

    >>> confusion_matrix(torch.nn.Identity(), (torch.eye(3), torch.tensor([0, 1, 0])), 3)
    tensor([[1, 0, 1],
            [0, 1, 0],
            [0, 0, 0]])
    """
    X, y = _check_pair(getattr(data, "test", data), "data")
    true, predicted = y.cpu(), predict(model, X).argmax(1).cpu()
    for name, classes in {"labels": true, "predictions": predicted}.items():
        if classes.min() < 0 or classes.max() >= num_classes:
            raise ValueError(f"{name} are {classes.min()}..{classes.max()}, beyond num_classes={num_classes}")
    return torch.bincount(true * num_classes + predicted, minlength=num_classes**2).view(num_classes, -1)


def random_affine(X, generator, *, degrees=10.0, shift=0.1, scale=0.1):
    """Each image of ``(N, C, H, W)`` turned, zoomed and shifted a little, in its own way; what was outside is 0.

    degrees: turned by up to this angle either way. scale: zoomed by 1 - scale .. 1 + scale. shift: moved by up to
    this fraction of width and height. Drawn from ``generator``, on the CPU, so that every device draws the same.

    >>> random_affine(torch.rand(2, 1, 28, 28), torch.Generator().manual_seed(0)).shape
    torch.Size([2, 1, 28, 28])
    """
    dice = torch.rand(4, len(X), generator=generator).to(X) * 2 - 1
    angle, zoom, dx, dy = math.radians(degrees) * dice[0], 1 + scale * dice[1], *(2 * shift * dice[2:])
    cos, sin, aspect = torch.cos(angle) / zoom, torch.sin(angle) / zoom, X.shape[-2] / X.shape[-1]
    # Where does the output pixel at (x, y), each in -1..1, come from? At (cos x - sin y + dx, sin x + cos y + dy).
    where_from = torch.stack([cos, -sin * aspect, dx, sin / aspect, cos, dy], dim=1).view(-1, 2, 3)
    return F.grid_sample(X, F.affine_grid(where_from, X.shape, align_corners=False), align_corners=False)


def save_checkpoint(path, **parts):
    """Write ``parts`` (tensors, state dicts, numbers, strings, lists, dicts) to ``path``: all of it, or nothing.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_checkpoint(Path(folder) / "half.pt", epoch=3, weight=torch.ones(2))
    ...     load_checkpoint(Path(folder) / "half.pt")
    {'epoch': 3, 'weight': tensor([1., 1.])}
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    try:
        torch.save({"format": FORMAT, **parts}, temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def load_checkpoint(path):
    """The parts that `save_checkpoint` wrote, on the CPU. Only plain data is read, so a file cannot run code.

    Raises FileNotFoundError if there is no file, ValueError if it is not a whole checkpoint.
    """
    if not Path(path).exists():
        raise FileNotFoundError(f"there is no checkpoint {path}")
    parts = None
    with contextlib.suppress(RuntimeError, pickle.UnpicklingError):
        if zipfile.is_zipfile(path):
            parts = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(parts, dict) or parts.pop("format", None) != FORMAT:
        raise ValueError(f"{path} is not a whole checkpoint of this course: delete it or name another file")
    return parts


@contextlib.contextmanager
def _private_rng(device, seed=None):
    """torch's global random numbers (dropout draws them) may be used inside; afterwards they are as before."""
    gpus = range(torch.cuda.device_count()) if device.type == "cuda" else []
    with torch.random.fork_rng(gpus):
        if seed is not None:
            torch.default_generator.manual_seed(seed)
            if gpus:
                torch.cuda.manual_seed_all(seed)
        yield


def _device(model):
    return next((p.device for p in model.parameters()), torch.device("cpu"))


def _make_optimizer(optimizer, model, lr):
    if not callable(optimizer) and optimizer not in OPTIMIZERS:
        raise ValueError(f"optimizer must be one of {', '.join(OPTIMIZERS)} or a callable, not {optimizer!r}")
    return OPTIMIZERS.get(optimizer, optimizer)(model.parameters(), lr=lr)


def _make_scheduler(schedule, optimizer, lr, steps):
    if schedule == "onecycle":
        return torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=steps, cycle_momentum=False)
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)


def _describe(function):
    """A name that is the same in the next run, as a repr with its memory address is not."""
    inner = getattr(function, "func", function)  # of a functools.partial
    return getattr(inner, "__qualname__", type(inner).__qualname__) + str(getattr(function, "keywords", ""))


def _check_settings(epochs, batch_size, lr, schedule, label_smoothing, augment):
    for name, value in {"epochs": epochs, "batch_size": batch_size}.items():
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} must be an int of at least 1, not {value!r}")
    if not isinstance(lr, (int, float)) or not 0 < lr < math.inf:
        raise ValueError(f"lr must be a number greater than 0 and finite, not {lr!r}")
    if schedule not in SCHEDULES:
        raise ValueError(f"schedule must be one of {', '.join(SCHEDULES)}, not {schedule!r}")
    if not 0 <= label_smoothing < 1:
        raise ValueError(f"label_smoothing must be at least 0 and below 1, not {label_smoothing!r}")
    if augment is not None and not callable(augment):
        raise TypeError(f"augment must be a callable (X, generator) -> X or None, not {augment!r}")


def _check_pair(pair, name):
    """``pair`` itself, if it is float images and as many int64 labels, at least one."""
    if not (isinstance(pair, (tuple, list)) and [isinstance(part, torch.Tensor) for part in pair] == [True, True]):
        raise TypeError(f"{name} must be a pair of tensors (X, y), not {type(pair).__name__}")
    X, y = pair
    if not X.is_floating_point() or y.dtype != torch.int64:
        raise TypeError(f"{name} must be float images and int64 labels, not {X.dtype} and {y.dtype}")
    if X.dim() < 2 or y.dim() != 1 or len(X) != len(y) or len(y) == 0:
        shapes = f"{tuple(X.shape)} and {tuple(y.shape)}"
        raise ValueError(f"{name} must be images (N, ...) and labels (N,) with N at least 1, not {shapes}")
    return pair


def _pair_for(model, data, part):
    """``data.train`` or ``data.test`` on the model's device, once one image has shown that the model can take it."""
    if not hasattr(data, part):
        raise TypeError(f"data must be a Dataset with train and test, not {type(data).__name__}")
    X, y = (tensor.to(_device(model)) for tensor in _check_pair(getattr(data, part), f"data.{part}"))
    try:
        classes = predict(model, X[:1]).shape[-1]
    except RuntimeError as error:
        raise ValueError(f"the model cannot take images of shape {tuple(X.shape[1:])}: {error}") from error
    if y.min() < 0 or y.max() >= classes:
        found = f"{y.min()}..{y.max()}"
        raise ValueError(f"labels in data.{part} must be 0..{classes - 1}, one per model output, not {found}")
    return X, y
