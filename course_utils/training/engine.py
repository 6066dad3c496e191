"""Settings for how a network runs, not what it computes: fused pooling, bfloat16, compile, channels last."""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from course_utils.fused import fuse_pooling

COMPILE_MODES = ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")


@dataclass
class Engine:
    """The settings of `fit` that change only speed and rounding. Raises ValueError for invalid ones.

    >>> Engine(fuse=True).prepare(nn.Linear(2, 2))
    Traceback (most recent call last):
    TypeError: fuse must be False for this model: model must be an nn.Sequential, got Linear.
    """

    fuse: bool = False
    amp: bool = False
    compile: bool | str = False
    channels_last: bool = False

    def __post_init__(self) -> None:
        for name in ("fuse", "amp", "channels_last"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} must be True or False, got {getattr(self, name)!r}.")
        if not isinstance(self.compile, bool) and self.compile not in COMPILE_MODES:
            modes = ", ".join(COMPILE_MODES)
            raise ValueError(f"compile must be True, False or one of {modes}, got {self.compile!r}.")

    def prepare(self, model: nn.Module) -> Callable[[Tensor], Tensor]:
        """Return what to call instead of `model`; it shares the Parameters of `model`."""
        if self.channels_last:
            model.to(memory_format=torch.channels_last)
        network = model
        if self.fuse:
            try:
                network = fuse_pooling(model)
            except (TypeError, ValueError) as error:
                raise type(error)(f"fuse must be False for this model: {error}") from error
        if self.compile:
            mode = None if self.compile is True else self.compile
            try:
                network = torch.compile(network, mode=mode, dynamic=False)  # compile once per batch size
            except RuntimeError as error:  # not supported on this version of Python
                raise ValueError(f"compile must be False on this machine: {_first_line(error)}") from error
        return network

    def precision(self, device: torch.device) -> AbstractContextManager:
        """Return the context manager in which to call the network."""
        return torch.autocast(device.type, torch.bfloat16) if self.amp else contextlib.nullcontext()

    @contextlib.contextmanager
    def compile_errors(self) -> Iterator[None]:
        """Raise ValueError, in one sentence, if the network cannot be compiled, usually for lack of a compiler."""
        if not self.compile:
            yield
            return
        from torch._dynamo.exc import TorchDynamoException

        try:
            yield
        except TorchDynamoException as error:
            raise ValueError(f"compile must be False on this machine: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
