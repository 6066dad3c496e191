"""Check what was given, and say in one sentence what is wrong with it."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

Numbers = Tensor | Sequence | float  # what `torch.as_tensor` takes


def named(value: object, name: str) -> Mapping:
    """Return `value` if it is a dict with at least one name."""
    if not isinstance(value, Mapping):
        raise TypeError(f"{name} must be a dict of names and values, got {type(value).__name__}.")
    if not value or not all(isinstance(key, str) for key in value):
        raise ValueError(f"{name} must hold at least one entry, each named by a string, got {list(value)!r}.")
    return value


def tensor(value: Numbers, name: str, dims: tuple[int, ...]) -> Tensor:
    """Return `value` as float64 on the CPU, cut off from autograd; `dims` are the numbers of dimensions allowed."""
    try:
        T = torch.as_tensor(value).detach().cpu()
    except (TypeError, ValueError, RuntimeError):
        kind = type(value).__name__
        raise TypeError(f"{name} must be a tensor or a rectangular nested list of numbers, got a {kind}.") from None
    if T.is_complex():
        raise TypeError(f"{name} must hold real numbers, got {T.dtype}.")
    if T.ndim not in dims or not T.numel():
        wanted = {(0,): "be a single number", (1,): "be a list of numbers", (2,): "be a matrix (H, W)"}.get(
            dims, f"have {min(dims)} to {max(dims)} dimensions"
        )
        raise ValueError(f"{name} must {wanted} and not be empty, got shape {tuple(T.shape)}.")
    return T.double()


def finite(value: Numbers, name: str, dims: tuple[int, ...]) -> Tensor:
    """Return `tensor(value, name, dims)` if it holds neither NaN nor infinity."""
    T = tensor(value, name, dims)
    if not T.isfinite().all():
        raise ValueError(f"{name} must hold finite numbers, but {int((~T.isfinite()).sum())} are NaN or infinite.")
    return T
