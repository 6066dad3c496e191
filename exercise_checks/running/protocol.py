"""What passes between the judge and a worker: framed bytes, read strictly, that can only become plain values.

Whoever wrote a submission may also have written the bytes that come from its worker. So nothing here evaluates, imports
or unpickles; sizes are checked before memory is taken for them, and depth is finite. What is not as it should be raises
`Unreadable`, whatever it is.

A frame is a header of 13 bytes (kind, token, length of the body) and the body: one value as JSON. What JSON lacks is a
list that begins with its type: ["tuple", 1, 2], ["dict", "key", "value"]. A reply carries the token of its request, a
number drawn at random; so a reply that was written in advance, twice or too late is recognized.
"""

import base64
import json
import math
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import fields

import torch
from torch import Tensor

from exercise_checks.running.observing import MOST_PRINTED, Failure, FailureKind, Observation, Opaque

HEADER = struct.Struct("!BQI")
DEEPEST = 16
MOST_VALUES = 100_000  # in one message, whatever its length: a small message must not become large in memory
MOST_DIMENSIONS, MOST_NUMBERS = 64, 1 << 62  # torch allows no more
MOST_BITS = 1024  # of an integer
CHUNK = 1 << 20
NUMBERS = "int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 bfloat16 float32 float64 complex64 complex128"
DTYPES = {name: getattr(torch, name) for name in ("bool", *NUMBERS.split()) if hasattr(torch, name)}
# Made here, so that a notebook may do to `json.dumps` what it likes.
_to_json, _from_json = json.JSONEncoder(separators=(",", ":")).encode, json.JSONDecoder().decode


class Unreadable(Exception):
    """What came is not what this protocol allows; the sentence says why."""


class Gone(Exception):
    """The other side has closed its end, or is too late."""


class TooLate(Gone):
    """The other side did not answer in time."""


def encode(value) -> bytes:
    """Return the bytes for a plain value; strides of tensors are kept.

    Plain are None, bool, int, float, str, tensors, `Opaque`, `Failure`, and tuples, lists and dicts of these; and an
    `Observation` that is the whole value. A tensor whose numbers are not in memory that can be read here becomes
    `Opaque`.

    Raises:
        TypeError: for anything else.

    >>> decode(encode((1, {"a": [2.5, None]})))
    (1, {'a': [2.5, None]})
    """
    return _to_json([_write(value, 0)]).encode()


def decode(data: bytes | bytearray):
    """Return the value that `encode` made these bytes of.

    Raises:
        Unreadable: for any other bytes.

    >>> decode(b"[?]")
    Traceback (most recent call last):
    exercise_checks.running.protocol.Unreadable: what came is not JSON in UTF-8, or is nested too deep.
    """
    if data.count(b",") + data.count(b"[") > MOST_VALUES:  # each value comes after one of these
        raise Unreadable(f"there are more than {MOST_VALUES} values.")
    try:
        text = str(data, "utf-8")
        found = _from_json(text)
    except (ValueError, RecursionError):
        raise Unreadable("what came is not JSON in UTF-8, or is nested too deep.") from None
    if not (type(found) is list and len(found) == 1 and text.endswith("]")):
        raise Unreadable("what came is not one value.")
    return _read(found[0], 0)


def _write(value, depth: int):
    """The value as JSON has it."""
    if depth > DEEPEST:
        raise TypeError(f"values nested more than {DEEPEST} deep cannot be sent.")
    if value is None or type(value) in (bool, int, float):
        return value
    if type(value) is str:
        return value.encode("utf-8", "replace").decode()  # a lone surrogate becomes "?"
    if isinstance(value, FailureKind):
        return value.value
    if isinstance(value, Tensor):
        return _write_tensor(value)
    if isinstance(value, (tuple, list)):  # also torch.Size
        tag, items = "list" if type(value) is list else "tuple", value
    elif type(value) is dict:
        tag, items = "dict", [item for pair in value.items() for item in pair]
    elif isinstance(value, (Opaque, Failure, Observation)):
        tag, items = type(value).__name__.lower(), [getattr(value, field.name) for field in fields(value)]
    else:
        raise TypeError(f"a value of type {type(value).__name__} cannot be sent.")
    return [tag, *(_write(item, depth + 1) for item in items)]


def _write_tensor(value: Tensor) -> list:
    name = str(value.dtype).removeprefix("torch.")
    if value.device.type != "cpu" or name not in DTYPES:
        return ["opaque", f"Tensor of dtype {name} on {value.device}"]
    # A clone lies densely, in the same order of dimensions; gaps and overlaps are not kept (nor does `observing`).
    dense = value.detach().resolve_conj().resolve_neg().clone()
    flat = torch.as_strided(dense, (dense.numel(),), (1,))
    data = flat.view(torch.uint8).numpy() if flat.numel() else b""
    return ["tensor", name, [*dense.shape], [*dense.stride()], base64.b64encode(data).decode()]


def _read(found, depth: int):
    """The value that `_write` made this of; `found` may be anything that JSON has."""
    if found is None or type(found) in (bool, float):
        return found
    if type(found) is int and found.bit_length() <= MOST_BITS:
        return found
    if type(found) is str:
        try:
            found.encode()
        except UnicodeEncodeError:  # JSON can name half of a character by its number
            raise Unreadable("a text is not UTF-8.") from None
        return found
    if not (type(found) is list and found and type(found[0]) is str and found[0] in _READERS):
        raise Unreadable("a value is of no type that can be sent.")
    if depth > DEEPEST:
        raise Unreadable(f"values are nested more than {DEEPEST} deep.")
    return _READERS[found[0]](found[1:], depth + 1)


def _read_list(parts: list, depth: int) -> list:
    return [_read(part, depth) for part in parts]


def _read_dict(parts: list, depth: int) -> dict:
    keys, values = _read_list(parts[::2], depth), _read_list(parts[1::2], depth)
    if any(type(key) not in (str, int) for key in keys) or not len(set(keys)) == len(keys) == len(values):
        raise Unreadable("a key is neither text nor a number, comes twice, or lacks its value.")
    return dict(zip(keys, values, strict=True))


def _read_tensor(parts: list, depth: int) -> Tensor:
    try:
        name, shape, strides, text = parts
        dtype, data = DTYPES[name], bytearray(base64.b64decode(text, validate=True))
    except (ValueError, TypeError, KeyError):
        raise Unreadable("a tensor is not written as tensors are.") from None
    if not (_are_sizes(shape) and _are_sizes(strides) and len(shape) == len(strides)):
        raise Unreadable("the sizes or strides of a tensor are none.")
    if math.prod(n for n in shape if n) >= MOST_NUMBERS:  # torch could not count with them, also when one is 0
        raise Unreadable("the sizes of a tensor are too large.")
    if math.prod(shape) * dtype.itemsize != len(data):
        raise Unreadable(f"a tensor of shape {tuple(shape)} does not fit into {len(data)} bytes.")
    if not data:
        return torch.empty(shape, dtype=dtype)
    if sum((n - 1) * step for n, step in zip(shape, strides, strict=True)) >= math.prod(shape):
        raise Unreadable("the strides of a tensor lead out of it.")
    if dtype == torch.bool:  # a byte other than 0 and 1 would be neither True nor False
        return torch.frombuffer(data, dtype=torch.uint8).ne(0).as_strided(shape, strides)
    return torch.frombuffer(data, dtype=dtype).as_strided(shape, strides)


def _are_sizes(found) -> bool:
    right = type(found) is list and len(found) <= MOST_DIMENSIONS
    return right and all(type(n) is int and 0 <= n < MOST_NUMBERS for n in found)


def _read_texts(parts: list, count: int) -> list[str]:
    if len(parts) != count or not all(type(part) is str for part in parts):
        raise Unreadable("text is missing where a name or a sentence must stand.")
    return [_read(part, 0)[:MOST_PRINTED] for part in parts]


def _read_failure(parts: list, depth: int) -> Failure:
    kind, *texts = _read_texts(parts, 4)
    try:
        return Failure(FailureKind(kind), *texts)
    except ValueError:
        raise Unreadable("a failure is of no known kind.") from None


def _read_observation(parts: list, depth: int) -> Observation:
    if depth > 1 or len(parts) != 6:
        raise Unreadable("an observation is part of another value, or has other than six parts.")
    value, failure, changed, gradients, gradient_failure = _read_list(parts[:5], depth)
    right = (
        all(found is None or type(found) is Failure for found in (failure, gradient_failure)),
        type(changed) is tuple and all(type(key) in (int, str) for key in changed),
        type(gradients) is dict and all(g is None or type(g) is Tensor for g in gradients.values()),
    )
    if not all(right):
        raise Unreadable("a part of an observation is of a wrong type.")
    return Observation(value, failure, changed, gradients, gradient_failure, *_read_texts(parts[5:], 1))


_READERS = {
    "tuple": lambda parts, depth: tuple(_read_list(parts, depth)),
    "list": _read_list,
    "dict": _read_dict,
    "tensor": _read_tensor,
    "opaque": lambda parts, depth: Opaque(*_read_texts(parts, 1)),
    "failure": _read_failure,
    "observation": _read_observation,
}


class Channel:
    """One end of a connected socket, for whole frames.

    Args:
        connection: a stream socket, which the caller closes.
        most: the longest body that is read, in bytes.
    """

    def __init__(self, connection: socket.socket, most: int):
        self.connection, self.most = connection, most

    def send(self, kind: int, token: int, value, deadline: float | None = None) -> None:
        """Send one frame; `deadline` is a time of `time.monotonic()`.

        Raises:
            Gone: the other side has closed, or does not read.
        """
        body = encode(value)
        frame = memoryview(HEADER.pack(kind, token, len(body)) + body)
        while frame:
            frame = frame[self._before(deadline, self.connection.send, frame[:CHUNK]) :]

    def receive(self, deadline: float | None = None) -> tuple[int, int, object]:
        """Return (kind, token, value) of the next frame.

        Raises:
            Gone: the other side has closed, or does not answer by `deadline`.
            Unreadable: what came is no frame, or longer than allowed.
        """
        kind, token, length = HEADER.unpack(self._exactly(HEADER.size, deadline))
        if length > self.most:
            raise Unreadable(f"{length} bytes are announced, {self.most} are allowed.")
        return kind, token, decode(self._exactly(length, deadline))

    def _exactly(self, count: int, deadline: float | None) -> bytearray:
        data = bytearray()
        while len(data) < count:  # grows as bytes arrive: an announcement alone takes no memory
            part = self._before(deadline, self.connection.recv, min(count - len(data), CHUNK))
            if not part:
                raise Gone("the connection is closed.")
            data += part
        return data

    def _before(self, deadline: float | None, act: Callable, argument):
        """Let the socket do one thing, as far as there is time."""
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            raise TooLate("time is up.")
        try:
            self.connection.settimeout(left)
            return act(argument)
        except TimeoutError:
            raise TooLate("time is up.") from None
        except OSError:
            raise Gone("the connection is closed.") from None
