"""Several processes train one model: each batch is split among them, and all make the same step.

They communicate through `torch.distributed`, with gloo between CPUs and NCCL between GPUs, and
`DistributedDataParallel` (Li et al. 2020, "PyTorch Distributed: Experiences on Accelerating Data Parallel Training").
It averages gradients over processes; the course needs the average over images, so `train_epoch` weights by images.
"""

import contextlib
import functools
import importlib
import os
from collections.abc import Callable, Iterator

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class Workers:
    """The processes of `torch.distributed`'s default group, seen from one of them; without a group, this process only.

    >>> Workers().share(10), Workers().largest(3, True)
    (slice(0, 10, None), [3, 1])
    """

    def __init__(self) -> None:
        several = dist.is_available() and dist.is_initialized()
        self.rank = dist.get_rank() if several else 0
        self.count = dist.get_world_size() if several else 1

    @property
    def is_first(self) -> bool:
        """Whether this is the first process, which shows the progress bar and writes the files."""
        return self.rank == 0

    def share(self, length: int) -> slice:
        """Return this process's slice of `length` items; the lengths of the slices differ by at most one."""
        return slice(length * self.rank // self.count, length * (self.rank + 1) // self.count)

    def sum(self, tensor: Tensor) -> Tensor:
        """Return the sum of every process's tensor."""
        if self.count > 1:
            dist.all_reduce(tensor := tensor.clone())
        return tensor

    def largest(self, *numbers: int) -> list[int]:
        """Return, for each of these ints, the largest value in any process. The processes wait for each other here."""
        numbers = torch.tensor([int(number) for number in numbers])
        if self.count > 1:
            dist.all_reduce(numbers, op=dist.ReduceOp.MAX)
        return numbers.tolist()

    def replicate(self, model: nn.Module) -> Callable[[Tensor], Tensor]:
        """Return what to call instead of `model` in training, on this process's share of a batch."""
        if self.count == 1:
            return model
        replica = torch.nn.parallel.DistributedDataParallel(model)

        def forward(X):
            with _rng_of_rank(self.rank), _synchronized_batch_norm(model):
                return replica(X)

        return forward

    @contextlib.contextmanager
    def connection_errors(self) -> Iterator[None]:
        """Raise ConnectionError, in one sentence, if another process is lost; gloo and NCCL raise RuntimeError."""
        try:
            yield
        except RuntimeError as error:
            if self.count == 1:
                raise
            reason = str(error).partition("\n")[0].partition(". ")[0]
            raise ConnectionError(f"another training process has ended, or this one failed ({reason})") from error


@contextlib.contextmanager
def _rng_of_rank(rank: int) -> Iterator[None]:
    """Draw different random numbers, for dropout, in each process; then restore the state that all processes share."""
    seed = torch.randint(2**62, ()).item()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed + rank)
        yield


class _SumOverProcesses(torch.autograd.Function):
    """A sum over processes. Each of them uses it, so its gradient is the sum of their gradients."""

    @staticmethod
    def forward(ctx, X):
        dist.all_reduce(X := X.clone())
        return X

    @staticmethod
    def backward(ctx, gradient):
        dist.all_reduce(gradient := gradient.clone())
        return gradient


@contextlib.contextmanager
def _synchronized_batch_norm(model: nn.Module) -> Iterator[None]:
    """Normalize by the mean and variance of the whole batch, not of each process's share.

    torch's SyncBatchNorm does this only on GPUs.
    """
    layers = [layer for layer in model.modules() if isinstance(layer, _BatchNorm)]
    for layer in layers:
        layer.forward = functools.partial(_normalize, layer)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def _normalize(layer: _BatchNorm, X: Tensor) -> Tensor:
    if not layer.training:
        return type(layer).forward(layer, X)
    axes, per_channel = [axis for axis in range(X.dim()) if axis != 1], [-1] + [1] * (X.dim() - 2)
    kind, X = X.dtype, X.float() if X.dtype == torch.bfloat16 else X  # bfloat16 is too imprecise for sums
    sums = _SumOverProcesses.apply(torch.cat([X.sum(axes), X.new_tensor([X.numel() / X.shape[1]])]))
    mean, count = sums[:-1] / sums[-1], sums[-1].detach()
    centered = X - mean.view(per_channel)
    variance = _SumOverProcesses.apply(centered.square().sum(axes)) / count
    if layer.track_running_stats:
        layer.num_batches_tracked += 1
        rate = 1 / layer.num_batches_tracked.item() if layer.momentum is None else layer.momentum
        layer.running_mean.lerp_(mean.detach(), rate)
        layer.running_var.lerp_(variance.detach() * count / (count - 1), rate)
    normal = centered * (variance + layer.eps).rsqrt().view(per_channel)
    normal = normal * layer.weight.view(per_channel) + layer.bias.view(per_channel) if layer.affine else normal
    return normal.to(kind)


def meet() -> "tuple[dist.Store | None, int, int]":
    """Return `(store, rank, count)` for the processes that `torchrun` started; `(None, 0, 1)` for a single one.

    The store is a small dictionary that they share. Raises ValueError if this torch has no `torch.distributed`.
    """
    if int(os.environ.get("WORLD_SIZE", 1)) == 1:
        return None, 0, 1
    if not dist.is_available():
        raise ValueError("WORLD_SIZE must be 1 here: this build of torch has no torch.distributed.")
    return next(dist.rendezvous("env://"))


@contextlib.contextmanager
def connect(device: torch.device, store: "dist.Store | None", rank: int, count: int) -> Iterator[None]:
    """Inside the with block, `fit` on `device` trains with the processes that `meet` found."""
    if count == 1:
        yield
        return
    # gloo's threads end with the last reference to their group. If one freed a tensor while Python exits, the process
    # would abort. torch.distributed.nn keeps a reference to the group at its import, so import it before there is one.
    importlib.import_module("torch.distributed.nn")
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=count)
    try:
        yield
    finally:
        dist.destroy_process_group()
