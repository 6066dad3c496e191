"""What passes between the judge and a worker: framed bytes, read strictly, that can only become plain values.

Whoever wrote a submission may also have written the bytes that come from its worker. So nothing here evaluates, imports
or unpickles; sizes are checked before memory is taken for them, and depth is finite. What is not grammatical raises
`Unreadable`, whatever it is.

A frame is a header of 18 bytes (magic, version, kind, token, length of the body) and the body: one encoded value. A
reply carries the token of its request, a number drawn at random: a reply written in advance, twice or too late is
thereby known.
"""

import math
import socket
import struct
import time

import torch
from torch import Tensor

from exercise_checks.running.observing import MOST_PRINTED, Failure, FailureKind, Observation, Opaque

MAGIC = b"CVG1"
HEADER = struct.Struct("!4sBBQI")
DEEPEST = 16
MOST_VALUES = 100_000  # in one message, whatever its length: a small message must not become large in memory
MOST_DIMENSIONS = 64  # torch allows no more
MOST_INTEGER_BYTES = 128
CHUNK = 1 << 20

# The position in this tuple is the code on the wire.
DTYPES = tuple(
    getattr(torch, name)
    for name in (
        *("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64"),
        *("complex64", "complex128", "uint16", "uint32", "uint64"),
    )
)


class Unreadable(Exception):
    """What came is not what this protocol allows; the sentence says why."""


class Gone(Exception):
    """The other side has closed its end, or did not answer in time."""


class TooLate(Gone):
    """The other side did not answer in time."""


# ---------------------------------------------------------------------------------------------------------
# Values
# ---------------------------------------------------------------------------------------------------------


def encode(value) -> bytes:
    """Return the bytes for a plain value; strides of tensors are kept.

    Plain are None, bool, int, float, str, tensors, `Opaque`, `Failure`, and tuples, lists and dicts of these. A
    tensor whose numbers are not in memory that can be read here becomes `Opaque`.

    Raises:
        TypeError: for anything else.

    >>> decode(encode((1, {"a": [2.5, None]})))
    (1, {'a': [2.5, None]})
    """
    parts: list[bytes] = []
    _write(value, parts, 0)
    return b"".join(parts)


def decode(data: bytes | bytearray | memoryview):
    """Return the value that `encode` made these bytes of.

    Raises:
        Unreadable: for any other bytes.

    >>> decode(b"?")
    Traceback (most recent call last):
    exercise_checks.running.protocol.Unreadable: no value begins with byte 63.
    """
    reader = _Reader(data)
    value = reader.value(0)
    if reader.left():
        raise Unreadable(f"{reader.left()} bytes follow the value.")
    return value


def _write(value, parts: list[bytes], depth: int) -> None:
    if depth > DEEPEST:
        raise TypeError(f"values nested more than {DEEPEST} deep cannot be sent.")
    if value is None or value is True or value is False:
        parts.append({None: b"N", True: b"T", False: b"F"}[value])
    elif type(value) is int:
        digits = value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)
        parts.append(b"i" + _count(len(digits)) + digits)
    elif type(value) is float:
        parts.append(b"d" + struct.pack("!d", value))
    elif type(value) is str:
        text = value.encode("utf-8", "replace")  # a lone surrogate becomes "?"
        parts.append(b"s" + _count(len(text)) + text)
    elif isinstance(value, (tuple, list)):  # also torch.Size
        parts.append((b"l" if type(value) is list else b"t") + _count(len(value)))
        for item in value:
            _write(item, parts, depth + 1)
    elif type(value) is dict:
        parts.append(b"m" + _count(len(value)))
        for key, item in value.items():
            _write(key, parts, depth + 1)
            _write(item, parts, depth + 1)
    elif isinstance(value, Tensor):
        _write_tensor(value, parts)
    elif isinstance(value, Opaque):
        parts.append(b"o")
        _write(value.type_name, parts, depth + 1)
    elif isinstance(value, Failure):
        parts.append(b"x")
        for text in (value.kind.value, value.words, value.line, value.error):
            _write(text, parts, depth + 1)
    else:
        raise TypeError(f"a value of type {type(value).__name__} cannot be sent.")


def _count(number: int) -> bytes:
    return struct.pack("!I", number)


def _write_tensor(value: Tensor, parts: list[bytes]) -> None:
    if value.device.type != "cpu" or value.dtype not in DTYPES:
        parts.append(b"o")
        _write(f"Tensor of dtype {value.dtype} on {value.device}".replace("torch.", ""), parts, 0)
        return
    # A clone lies densely, in the same order of dimensions; gaps and overlaps are not kept (nor does `observing`).
    dense = value.detach().resolve_conj().resolve_neg().clone()
    flat = torch.as_strided(dense, (dense.numel(),), (1,))
    data = flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""
    sizes = struct.pack(f"!{2 * dense.ndim}q", *dense.shape, *dense.stride())
    parts += [b"a", bytes([DTYPES.index(dense.dtype), dense.ndim]), sizes, struct.pack("!Q", len(data)), data]


class _Reader:
    """Reads values from bytes, and takes nothing on trust."""

    def __init__(self, data):
        self.data = memoryview(data).cast("B")
        self.at = self.values = 0

    def left(self) -> int:
        return len(self.data) - self.at

    def take(self, count: int) -> memoryview:
        if count > self.left():
            raise Unreadable(f"{count} bytes are announced, {self.left()} are there.")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, form: str) -> int:
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def value(self, depth: int):
        self.values += 1
        if depth > DEEPEST or self.values > MOST_VALUES:
            raise Unreadable(f"more than {MOST_VALUES} values, or values nested more than {DEEPEST} deep.")
        tag = self.number("!c")
        if tag in CONSTANTS:
            return CONSTANTS[tag]
        if tag not in _READERS:
            raise Unreadable(f"no value begins with byte {tag[0]}.")
        return _READERS[tag](self, depth + 1)

    def integer(self, depth: int) -> int:
        count = self.number("!I")
        if not 1 <= count <= MOST_INTEGER_BYTES:
            raise Unreadable(f"an integer of {count} bytes is not allowed.")
        return int.from_bytes(self.take(count), "big", signed=True)

    def real(self, depth: int) -> float:
        return self.number("!d")

    def text(self, depth: int = 0) -> str:
        try:
            return str(self.take(self.number("!I")), "utf-8")
        except UnicodeDecodeError:
            raise Unreadable("a text is not UTF-8.") from None

    def items(self, depth: int) -> list:
        count = self.number("!I")
        if count > self.left():  # each takes a byte at least: no memory is taken for what cannot be there
            raise Unreadable(f"{count} items are announced in {self.left()} bytes.")
        return [self.value(depth) for _ in range(count)]

    def mapping(self, depth: int) -> dict:
        found = {}
        for _ in range(self.number("!I")):
            key = self.value(depth)
            if type(key) not in (str, int) or key in found:
                raise Unreadable("a key is neither text nor a number, or comes twice.")
            found[key] = self.value(depth)
        return found

    def strings(self, depth: int, count: int) -> list[str]:
        found = [self.value(depth) for _ in range(count)]
        if not all(type(item) is str for item in found):
            raise Unreadable("text is missing where a name or a sentence must stand.")
        return [item[:MOST_PRINTED] for item in found]

    def failure(self, depth: int) -> Failure:
        kind, *texts = self.strings(depth, 4)
        if kind not in FAILURE_KINDS:
            raise Unreadable("a failure is of no known kind.")
        return Failure(FAILURE_KINDS[kind], *texts)

    def tensor(self, depth: int) -> Tensor:
        code, ndim = self.take(2)
        if code >= len(DTYPES) or ndim > MOST_DIMENSIONS:
            raise Unreadable(f"a tensor of dtype number {code} and {ndim} dimensions is not allowed.")
        sizes = struct.unpack(f"!{2 * ndim}q", self.take(16 * ndim))
        data = self.take(self.number("!Q"))
        shape, strides, dtype = sizes[:ndim], sizes[ndim:], DTYPES[code]
        if min(sizes, default=0) < 0 or math.prod(shape) * dtype.itemsize != len(data):
            raise Unreadable(f"a tensor of shape {shape} does not fit into {len(data)} bytes.")
        if not len(data):
            return torch.empty(_bounded(shape), dtype=dtype)
        if sum((n - 1) * step for n, step in zip(shape, strides, strict=True)) >= math.prod(shape):
            raise Unreadable("the strides of a tensor lead out of it.")
        if dtype == torch.bool:  # a byte other than 0 and 1 would be neither True nor False
            return torch.frombuffer(bytearray(data), dtype=torch.uint8).ne(0).as_strided(shape, strides)
        return torch.frombuffer(bytearray(data), dtype=dtype).as_strided(shape, strides)


def _bounded(shape):
    """An empty tensor's other sizes are free, but their product must still be a number torch can count to."""
    if math.prod(n for n in shape if n) >= 1 << 62:
        raise Unreadable("the sizes of a tensor are too large to count.")
    return shape


FAILURE_KINDS = {kind.value: kind for kind in FailureKind}
CONSTANTS = {b"N": None, b"T": True, b"F": False}
_READERS = {
    b"i": _Reader.integer,
    b"d": _Reader.real,
    b"s": _Reader.text,
    b"t": lambda reader, depth: tuple(reader.items(depth)),
    b"l": _Reader.items,
    b"m": _Reader.mapping,
    b"a": _Reader.tensor,
    b"o": lambda reader, depth: Opaque(*reader.strings(depth, 1)),
    b"x": _Reader.failure,
}


# ---------------------------------------------------------------------------------------------------------
# Observations
# ---------------------------------------------------------------------------------------------------------


def from_observation(seen: Observation) -> tuple:
    """What is sent of an observation: all but what was printed, which could tell a learner the secret inputs."""
    return (seen.value, seen.failure, seen.changed, seen.gradients, seen.gradient_failure)


def to_observation(value) -> Observation:
    """The observation that `from_observation` made this value of.

    Raises:
        Unreadable: for any other value.

    >>> to_observation((3, None, (), {}, None)).value
    3
    """
    if not (type(value) is tuple and len(value) == 5):
        raise Unreadable("an observation has five parts.")
    value, failure, changed, gradients, gradient_failure = value
    if not all(found is None or type(found) is Failure for found in (failure, gradient_failure)):
        raise Unreadable("a failure stands where none can be.")
    if not (type(changed) is tuple and all(type(key) in (int, str) for key in changed)):
        raise Unreadable("the names of changed arguments are not names.")
    if not (type(gradients) is dict and all(g is None or type(g) is Tensor for g in gradients.values())):
        raise Unreadable("gradients must be tensors.")
    return Observation(value, failure, changed, gradients, gradient_failure)


# ---------------------------------------------------------------------------------------------------------
# Frames
# ---------------------------------------------------------------------------------------------------------


class Channel:
    """One end of a connected socket, for whole frames.

    Args:
        connection: a stream socket; closed by `close`.
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
        frame = memoryview(HEADER.pack(MAGIC, 1, kind, token, len(body)) + body)
        try:
            while frame:
                self.connection.settimeout(_remaining(deadline))
                frame = frame[self.connection.send(frame[:CHUNK]) :]
        except TimeoutError:
            raise TooLate("what was sent was not read in time.") from None
        except OSError:
            raise Gone("the connection is closed.") from None

    def receive(self, deadline: float | None = None) -> tuple[int, int, object]:
        """Return (kind, token, value) of the next frame.

        Raises:
            Gone: the other side has closed, or does not answer by `deadline`.
            Unreadable: what came is no frame, or longer than allowed.
        """
        magic, version, kind, token, length = HEADER.unpack(self._exactly(HEADER.size, deadline))
        if magic != MAGIC or version != 1:
            raise Unreadable("what came does not begin as a frame does.")
        if length > self.most:
            raise Unreadable(f"{length} bytes are announced, {self.most} are allowed.")
        return kind, token, decode(self._exactly(length, deadline))

    def _exactly(self, count: int, deadline: float | None) -> bytearray:
        data = bytearray()
        try:
            while len(data) < count:  # grows as bytes arrive: an announcement alone takes no memory
                self.connection.settimeout(_remaining(deadline))
                part = self.connection.recv(min(count - len(data), CHUNK))
                if not part:
                    raise Gone("the connection is closed.")
                data += part
        except TimeoutError:
            raise TooLate("no whole answer came in time.") from None
        except OSError:
            raise Gone("the connection is closed.") from None
        return data

    def close(self) -> None:
        self.connection.close()


def _remaining(deadline: float | None) -> float | None:
    if deadline is None:
        return None
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
