"""Check and convert shapes and settings: ints or pairs, padding, window positions, and error messages.

`ops`, `layers`, `backward`, `inside` and `plotting` share these functions, so that all of them accept the same settings
and raise the same errors. Pairs are `(rows, columns)`, sizes are in pixels.
"""

import torch
from torch import Tensor

IntOrPair = int | tuple[int, int]


def pair(value: IntOrPair, name: str, least: int) -> tuple[int, int]:
    """Return an int, or a pair of ints, as a pair. As in torch, a list of one int applies to both axes.

    Raises:
        ValueError: value is not one or two ints of at least `least`; the message calls it `name`.

    >>> pair(3, "stride", 1), pair((1, 2), "padding", 0)
    ((3, 3), (1, 2))
    """
    both = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(both) == 1:
        both *= 2
    if len(both) != 2 or not all(isinstance(v, int) and not isinstance(v, bool) for v in both):
        raise ValueError(f"{name} must be an int or a pair of ints, got {value!r}.")
    if min(both) < least:
        raise ValueError(f"{name} must be at least {least}, got {value!r}.")
    return both


def span(kernel_size: tuple[int, int], dilation: tuple[int, int]) -> tuple[int, int]:
    """Return how many rows and columns a dilated kernel covers.

    >>> span((3, 3), (2, 1))
    (5, 3)
    """
    (kh, kw), (dh, dw) = kernel_size, dilation
    return dh * (kh - 1) + 1, dw * (kw - 1) + 1


def positions(size: tuple[int, int], window: tuple[int, int], stride: tuple[int, int]) -> tuple[int, int]:
    """Return the number of window positions along rows and columns; `size` is the size of the padded input.

    >>> positions((5, 7), (3, 3), (1, 2))
    (3, 3)
    """
    return (size[0] - window[0]) // stride[0] + 1, (size[1] - window[1]) // stride[1] + 1


def borders(padding: IntOrPair | str, window: tuple[int, int], stride: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return the widths of the border in the order of `F.pad`: left, right, top, bottom.

    `padding` is an int, a pair, `"valid"` (no border) or `"same"` (the output is as large as the input).

    Raises:
        ValueError: padding is none of these, or is `"same"` with a stride other than 1.

    >>> borders((1, 2), (3, 3), (1, 1)), borders("same", (4, 3), (1, 1))
    ((2, 2, 1, 1), (1, 1, 1, 2))
    """
    if padding == "valid":
        return 0, 0, 0, 0
    if padding == "same":
        if stride != (1, 1):
            raise ValueError(f"padding='same' needs stride 1, got stride {stride}.")
        (top, bottom), (left, right) = (((s - 1) // 2, s // 2) for s in window)
        return left, right, top, bottom
    if isinstance(padding, str):
        raise ValueError(f"padding must be 'valid', 'same', an int or a pair of ints, got {padding!r}.")
    ph, pw = pair(padding, "padding", 0)
    return pw, pw, ph, ph


def windows(X: Tensor, size: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int]) -> Tensor:
    """View `(..., H, W)` as windows `(..., H', W', kh, kw)`, without copying.

    >>> windows(torch.arange(4).reshape(1, 4), (1, 2), (1, 1), (1, 2)).tolist()
    [[[[0, 2]], [[1, 3]]]]
    """
    rows, columns = span(size, dilation)
    return X.unfold(-2, rows, stride[0]).unfold(-2, columns, stride[1])[..., :: dilation[0], :: dilation[1]]


def require_tensor(value: object, name: str) -> None:
    """Raise TypeError unless value is a tensor."""
    if not isinstance(value, torch.Tensor):
        raise TypeError(f"{name} must be a torch.Tensor, got {type(value).__name__}.")


def require_dims(value: object, name: str, layouts: dict[int, str]) -> None:
    """Raise TypeError unless value is a tensor, ValueError unless its number of dimensions is a key of `layouts`.

    >>> require_dims(torch.zeros(3), "K", {2: "(kh, kw)"})
    Traceback (most recent call last):
    ValueError: K must have shape (kh, kw), got (3,).
    """
    require_tensor(value, name)
    if value.ndim not in layouts:
        raise ValueError(f"{name} must have shape {' or '.join(layouts.values())}, got {tuple(value.shape)}.")


def require_fit(small: str, size: tuple[int, int], large: str, space: tuple[int, int]) -> None:
    """Raise ValueError unless a window of `size` fits into `space`; the message calls the two `small` and `large`.

    >>> require_fit("K", (3, 3), "X", (2, 5))
    Traceback (most recent call last):
    ValueError: K must be at least 1 x 1 and fit into X: 3 x 3 does not fit into 2 x 5.
    """
    if size[0] < 1 or size[1] < 1 or size[0] > space[0] or size[1] > space[1]:
        raise ValueError(
            f"{small} must be at least 1 x 1 and fit into {large}: "
            f"{size[0]} x {size[1]} does not fit into {space[0]} x {space[1]}."
        )


def require_groups(groups: object) -> None:
    """Raise ValueError unless groups is an int of at least 1.

    >>> require_groups(0)
    Traceback (most recent call last):
    ValueError: groups must be an int of at least 1, got 0.
    """
    if isinstance(groups, bool) or not isinstance(groups, int) or groups < 1:
        raise ValueError(f"groups must be an int of at least 1, got {groups!r}.")


def require_conv(input: Tensor, weight: Tensor, bias: Tensor | None, groups: int, transposed: bool = False) -> Tensor:
    """Check the tensors of a convolution, or of a transposed one, and return the input with its batch dimension.

    Raises:
        TypeError: an argument is not a tensor, or the dtypes differ.
        ValueError: the shapes do not fit each other or `groups`.

    >>> require_conv(torch.zeros(4, 5, 5), torch.zeros(6, 2, 3, 3), torch.zeros(6), groups=2).shape
    torch.Size([1, 4, 5, 5])
    """
    require_dims(input, "input", {3: "(C_in, H, W)", 4: "(N, C_in, H, W)"})
    layout = "(C_in, C_out / groups, kh, kw)" if transposed else "(C_out, C_in / groups, kh, kw)"
    require_dims(weight, "weight", {4: layout})
    X = input if input.ndim == 4 else input.unsqueeze(0)
    require_groups(groups)
    if min(weight.shape) < 1 or min(X.shape[1:]) < 1:
        raise ValueError(
            f"only the batch may be empty, got input {tuple(input.shape)} and weight {tuple(weight.shape)}."
        )
    needed = weight.shape[0] if transposed else weight.shape[1] * groups
    if X.shape[1] != needed:
        raise ValueError(
            f"input has {X.shape[1]} channels, but weight {tuple(weight.shape)} with groups={groups} needs {needed}."
        )
    if weight.shape[0] % groups:
        raise ValueError(f"groups must divide weight's first dimension {weight.shape[0]}, got {groups}.")
    if input.dtype != weight.dtype:
        raise TypeError(f"weight must have input's dtype {input.dtype}, got {weight.dtype}.")
    if bias is not None:
        require_tensor(bias, "bias")
        out_channels = weight.shape[1] * groups if transposed else weight.shape[0]
        if bias.shape != (out_channels,):
            raise ValueError(f"bias must have shape ({out_channels},), got {tuple(bias.shape)}.")
        if bias.dtype != input.dtype:
            raise TypeError(f"bias must have input's dtype {input.dtype}, got {bias.dtype}.")
    return X
