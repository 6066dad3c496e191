"""How the network is computed, not what: fused pooling, bfloat16, compiled, channels last."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import torch

from course_utils.fused import fuse_pooling

COMPILE_MODES = ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")


@dataclass
class Engine:
    """The settings of `fit` that change speed and rounding. Raises ValueError for those that are none.

    >>> Engine(fuse=True).prepare(torch.nn.Linear(2, 2))
    Traceback (most recent call last):
    TypeError: fuse must be False for this model: model must be an nn.Sequential, not Linear
    """

    fuse: bool = False
    amp: bool = False
    compile: bool | str = False
    channels_last: bool = False

    def __post_init__(self):
        for name in ("fuse", "amp", "channels_last"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} must be True or False, not {getattr(self, name)!r}")
        if not isinstance(self.compile, bool) and self.compile not in COMPILE_MODES:
            raise ValueError(f"compile must be True, False or one of {', '.join(COMPILE_MODES)}, not {self.compile!r}")

    def prepare(self, model):
        """What to call in place of ``model``; it has the Parameters of ``model`` itself."""
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
                network = torch.compile(network, mode=mode, dynamic=False)  # few batch sizes, each compiled for itself
            except RuntimeError as error:  # not for this version of Python
                raise ValueError(f"compile must be False on this machine: {_first_line(error)}") from error
        return network

    def precision(self, device):
        """The context to call the network in."""
        return torch.autocast(device.type, torch.bfloat16) if self.amp else contextlib.nullcontext()

    @contextlib.contextmanager
    def in_words(self):
        """Tell in one sentence, ValueError, that the network could not be compiled (mostly: there is no compiler)."""
        if not self.compile:
            yield
            return
        from torch._dynamo.exc import TorchDynamoException

        try:
            yield
        except TorchDynamoException as error:
            raise ValueError(f"compile must be False on this machine: {_first_line(error)}") from error


def _first_line(error):
    return str(error).strip().partition("\n")[0]
