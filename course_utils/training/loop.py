"""The training loop."""

import contextlib
import math
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_utils.data import Dataset
from course_utils.training.checks import check_batches, check_settings, pair_for
from course_utils.training.engine import Engine
from course_utils.training.evaluation import as_float, device_of, predict
from course_utils.training.history import History
from course_utils.training.interruption import Checkpointer, DelayedSignals
from course_utils.training.run import Run

OPTIMIZERS = {"adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}


def fit(
    model: nn.Module, data: Dataset, *, epochs: int, batch_size: int = 64, lr: float = 0.01,
    optimizer: str | Callable[..., torch.optim.Optimizer] = "adamw", schedule: str = "onecycle",
    label_smoothing: float = 0.0, augment: Callable[[Tensor, torch.Generator], Tensor] | None = None,
    device: str | torch.device | None = None, seed: int = 0, fuse: bool = False, amp: bool = False,
    compile: bool | str = False, channels_last: bool = False, checkpoint: Path | str | None = None,
    checkpoint_every: float = 60.0, callback: Callable[[nn.Module, History], object] | None = None,
    progress: bool = True,
) -> History:  # fmt: skip
    """Train `model` on `data.train`, test it on `data.test` after every epoch; return the `History`.

    Args:
        data: X float `(N, ...)`, or uint8, which is converted to float 0..1 batch by batch; y int64 `(N,)`
        lr: learning rate; its maximum with `schedule="onecycle"` (Smith and Topin 2018)
        optimizer: `"adamw"`, `"sgd"` (plain, no momentum) or a callable `(parameters, lr=lr) -> optimizer`
        augment: a callable `(X, generator) -> X` for every training batch, for instance `random_affine`
        device: where to train, by default the model's device; the model stays there, in eval mode
        seed: for order, augmentation and dropout, not for the model's initial weights. On a CPU the same seed gives
            the same numbers, bit for bit. torch's global random state does not change
        fuse: True computes convolution and pooling in one step, see `course_utils.fused`: faster, equal up to rounding
        amp: True lets torch choose bfloat16 for matrix products and convolutions; weights and steps stay float32
        compile: True uses `torch.compile`; a string is its `mode`, for instance `"reduce-overhead"`, which on a GPU
            launches all kernels of a step at once (CUDA graphs)
        channels_last: True stores the channels of a pixel next to each other; the model keeps this format
        checkpoint: a file, written before the first epoch, after each one, every `checkpoint_every` seconds within an
            epoch, and before Ctrl-C or SIGTERM takes effect. If it exists, training resumes from it, and ends with
            exactly the weights of an uninterrupted run
        callback: called as `callback(model, history)` after every epoch

    If `torch.distributed` has a default group, its processes train together: each takes its part of every batch
    of `batch_size` images, and the steps equal those of a single process up to rounding (except for dropout).
    The first process shows the progress bar, writes the checkpoint and calls the callback.

    Raises:
        ValueError, TypeError: the settings, the data or the checkpoint do not fit.
        FloatingPointError: the loss is no longer finite.
        ConnectionError: another process has ended.

    >>> from course_utils.data import Dataset
    >>> pair = torch.tensor([[0.0, 1.0], [1.0, 0.0]]).repeat(8, 1), torch.tensor([0, 1]).repeat(8)
    >>> model = torch.nn.Linear(2, 2)
    >>> fit(model, Dataset(pair, pair, ("a", "b")), epochs=20, lr=0.1, progress=False).test_accuracy[-1]
    1.0
    """
    check_settings(epochs, batch_size, lr, schedule, label_smoothing, augment, checkpoint_every)
    engine = Engine(fuse, amp, compile, channels_last)
    lr = float(lr)  # a checkpoint cannot hold numpy's floats
    model.to(device_of(model) if device is None else device)
    X, y = pair_for(model, data, "train")
    test = pair_for(model, data, "test")
    if channels_last and X.dim() == 4:
        X = X.contiguous(memory_format=torch.channels_last)  # indexing keeps this format
    optimizer = _make_optimizer(optimizer, model, lr)
    settings = {
        "epochs": epochs, "batch_size": batch_size, "lr": lr, "schedule": schedule, "seed": seed,
        "label_smoothing": label_smoothing, "augment": _describe(augment), **vars(engine),
        "optimizer": f"{type(optimizer).__name__} {optimizer.defaults}",
        "model": f"{type(model).__name__}, layout {zlib.crc32(str(model).encode()):08x}",
        "data": f"{len(X)} images, labels {zlib.crc32(y.cpu().numpy().tobytes()):08x}",
    }  # fmt: skip
    scheduler = _make_scheduler(schedule, optimizer, lr, steps=epochs * math.ceil(len(X) / batch_size))
    run = Run(model, engine, optimizer, scheduler, torch.Generator().manual_seed(seed), augment, settings)
    check_batches(len(X), batch_size, run.workers.count)
    if compile and run.workers.count > 1:
        raise ValueError(f"compile must be False with several processes, got {compile!r}.")
    signals = DelayedSignals(active=checkpoint is not None, patient=run.workers.count > 1)
    with _private_rng(X.device, seed), run.workers.connection_errors(), engine.compile_errors(), signals:
        checkpointer = Checkpointer(run, checkpoint, checkpoint_every, signals)
        checkpointer.resume_or_save()
        _run_epochs(run, X, y, test, checkpointer, callback, progress)
    model.eval()
    return run.history


def _run_epochs(run: Run, X: Tensor, y: Tensor, test, checkpointer: Checkpointer, callback, progress: bool) -> None:
    from tqdm.auto import tqdm

    epochs, first = run.settings["epochs"], run.workers.is_first
    done, total = run.images_done(len(X)), epochs * len(X)
    with tqdm(total=total, initial=done, unit="image", disable=not (progress and first)) as bar:

        def advance(images):
            bar.update(images)
            checkpointer.after_batch()

        while len(run.history) < epochs:
            train_epoch(run, X, y, test, advance)
            bar.set_postfix(loss=run.history.train_loss[-1], test_accuracy=run.history.test_accuracy[-1])
            checkpointer.save()
            if callback is not None and first:
                with _private_rng(X.device):
                    callback(run.model, run.history)


def train_epoch(run: Run, X: Tensor, y: Tensor, test: tuple[Tensor, Tensor], advance: Callable[[int], object]) -> None:
    """Train on every image once, then test, and add an entry to `run.history`. This is the loop inside `fit`.

    `advance(n)` is called after every n images. It may raise to leave the loop, which another process can resume.
    """
    optimizer, workers, settings = run.optimizer, run.workers, run.settings
    epoch = run.begin_epoch(len(X))
    start = time.perf_counter() - epoch.seconds
    run.model.train()
    run.network.train()
    for batch in epoch.order.split(settings["batch_size"])[len(epoch.losses) :]:
        images, labels = as_float(X[batch]), y[batch]
        if run.augment is not None:
            images = run.augment(images, run.generator)
        mine = workers.share(len(batch))  # the whole batch, unless several processes train together
        images, labels = images[mine], labels[mine]
        optimizer.zero_grad()
        with run.engine.precision(X.device):
            scores = run.forward(images)
            loss = F.cross_entropy(scores, labels, label_smoothing=settings["label_smoothing"])
        (loss * (len(labels) * workers.count / len(batch))).backward()  # DDP averages over processes, not images
        optimizer.step()
        run.scheduler.step()
        epoch.losses.append(loss.detach() * len(labels))
        epoch.correct += (scores.detach().argmax(1) == labels).sum()
        epoch.seconds = time.perf_counter() - start
        advance(len(batch))
    losses, correct = run.totals()  # once per epoch, because reading a value makes the GPU wait
    seconds, history = time.perf_counter() - start, run.history
    run.epoch = None
    history.train_loss.append(sum(losses.tolist()) / len(X))
    history.train_accuracy.append(correct / len(X))
    history.test_accuracy.append(_accuracy(run, *test))
    history.lr.append(epoch.lr)
    history.seconds.append(seconds)
    history.images_per_second.append(len(X) / seconds)


def _accuracy(run: Run, X: Tensor, y: Tensor) -> float:
    """Return the fraction of correct predictions, 0..1; every process predicts its own part of the images."""
    mine = run.workers.share(len(y))
    with run.engine.precision(X.device):
        correct = (predict(run.network, X[mine]).argmax(1) == y[mine]).sum()
    return int(run.workers.sum(correct)) / len(y)


@contextlib.contextmanager
def _private_rng(device: torch.device, seed: int | None = None) -> Iterator[None]:
    """Restore torch's global random state, which dropout uses, at the end of the with block."""
    gpus = range(torch.cuda.device_count()) if device.type == "cuda" else []
    with torch.random.fork_rng(gpus):
        if seed is not None:
            torch.default_generator.manual_seed(seed)
            if gpus:
                torch.cuda.manual_seed_all(seed)
        yield


def _make_optimizer(optimizer, model: nn.Module, lr: float) -> torch.optim.Optimizer:
    if not callable(optimizer) and optimizer not in OPTIMIZERS:
        raise ValueError(f"optimizer must be one of {', '.join(OPTIMIZERS)} or a callable, got {optimizer!r}.")
    return OPTIMIZERS.get(optimizer, optimizer)(model.parameters(), lr=lr)


def _make_scheduler(schedule: str, optimizer: torch.optim.Optimizer, lr: float, steps: int):
    if schedule == "onecycle":
        return torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=steps, cycle_momentum=False)
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)


def _describe(function) -> str:
    """Return a name that stays the same from run to run, unlike a repr with a memory address."""
    inner = getattr(function, "func", function)  # of a functools.partial
    return getattr(inner, "__qualname__", type(inner).__qualname__) + str(getattr(function, "keywords", ""))
