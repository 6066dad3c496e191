"""The state of a training run, which a checkpoint saves."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from course_utils.training.checkpoint import load_checkpoint, save_checkpoint
from course_utils.training.engine import Engine
from course_utils.training.evaluation import device_of
from course_utils.training.history import History
from course_utils.training.workers import Workers

PARTS = {"model", "optimizer", "scheduler", "generator", "rng", "cuda_rng", "history", "settings"}


@dataclass
class Epoch:
    """The state of an unfinished epoch after a batch."""

    order: Tensor  # indices of all training images
    lr: float  # of the first step
    losses: list[Tensor]  # one per finished batch, the sum over this process's images
    correct: Tensor  # number of correct predictions for this process's images
    seconds: float = 0.0  # of training so far


@dataclass
class Run:
    """The state of a call of `fit`, which must survive an interruption."""

    model: torch.nn.Module
    engine: Engine
    optimizer: torch.optim.Optimizer
    scheduler: torch.optim.lr_scheduler.LRScheduler
    generator: torch.Generator
    augment: Callable[[Tensor, torch.Generator], Tensor] | None
    settings: dict
    history: History = field(default_factory=History)
    epoch: Epoch | None = None
    workers: Workers = field(default_factory=Workers)

    def __post_init__(self) -> None:
        self.network = self.engine.prepare(self.model)  # shares the model's Parameters
        self.forward = self.workers.replicate(self.network)

    def begin_epoch(self, images: int) -> Epoch:
        """Draw a new order of the images, unless the epoch began before an interruption."""
        if self.epoch is None:
            order, device = torch.randperm(images, generator=self.generator), device_of(self.model)
            lr = self.optimizer.param_groups[0]["lr"]
            self.epoch = Epoch(order.to(device), lr, [], torch.zeros((), dtype=torch.int64, device=device))
        return self.epoch

    def totals(self) -> tuple[Tensor, int]:
        """Return the losses and the number of correct predictions of the epoch so far, summed over all processes."""
        losses = self.workers.sum(torch.stack(self.epoch.losses))
        batches = math.ceil(len(self.epoch.order) / self.settings["batch_size"])
        for number, loss in enumerate(losses.tolist(), start=1):
            if not math.isfinite(loss):
                where, lr = f"epoch {len(self.history) + 1}, batch {number} of {batches}", self.settings["lr"]
                raise FloatingPointError(f"the loss became {loss} in {where}: use a lower lr than {lr}")
        return losses, int(self.workers.sum(self.epoch.correct))

    def save(self, path: Path | str) -> None:
        """Write a checkpoint. Every process calls this after the same batch, but only the first one writes."""
        epoch = {}
        if self.epoch is not None:
            losses, correct = self.totals()
            epoch = {"epoch": vars(self.epoch) | {"losses": losses.cpu(), "correct": correct}}
        if not all(torch.isfinite(weight).all() for weight in self.model.parameters()):
            raise FloatingPointError(f"a weight is no longer finite: use a lower lr than {self.settings['lr']}")
        if not self.workers.is_first:
            return
        device = device_of(self.model)
        save_checkpoint(
            path,
            **{name: getattr(self, name).state_dict() for name in ("model", "optimizer", "scheduler")},
            generator=self.generator.get_state(),
            rng=torch.get_rng_state(),
            cuda_rng=torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
            history=self.history.as_dict(),
            settings=self.settings,
            **epoch,
        )

    def resume(self, path: Path | str) -> None:
        """Continue from the checkpoint `path`, which must come from the same settings, model and data."""
        parts = load_checkpoint(path)
        if not parts.keys() >= PARTS:
            raise ValueError(f"checkpoint {path} holds no training to go on with: delete it or name another file")
        made_with = parts["settings"]
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
        device = device_of(self.model)
        if device.type == "cuda" and parts["cuda_rng"] is not None:
            torch.cuda.set_rng_state(parts["cuda_rng"], device)
        self.history = History(**parts["history"])
        self.epoch = self._epoch_from(parts["epoch"], device) if "epoch" in parts else None

    def _epoch_from(self, saved: dict, device: torch.device) -> Epoch:
        """Give the saved sums of all processes to the first one; the others continue from zero."""
        mine = int(self.workers.is_first)
        losses = saved["losses"].to(device) * mine
        correct = torch.tensor(saved["correct"], device=device) * mine
        return Epoch(**saved | {"order": saved["order"].to(device), "losses": [*losses], "correct": correct})

    def images_done(self, images: int) -> int:
        """Return how many images have been trained on, of `images` in each epoch."""
        in_epoch = 0 if self.epoch is None else len(self.epoch.losses) * self.settings["batch_size"]
        return len(self.history) * images + min(in_epoch, images)


def progress_of(path: Path | str) -> str:
    """Say how far the training in the checkpoint `path` has come. Errors as `load_checkpoint`."""
    parts = load_checkpoint(path)
    epochs = len(parts["history"]["train_loss"])
    if "epoch" in parts:
        return f"epoch {epochs + 1}, batch {len(parts['epoch']['losses'])}"
    return f"the end of epoch {epochs}" if epochs else "the start"
