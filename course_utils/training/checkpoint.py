"""Checkpoints: plain data in one file, written completely or not at all, and read without running code."""

import io
import pickle
import zipfile
import zlib
from pathlib import Path

import torch

from course_utils.files import write_then_rename

FORMAT = "course_utils checkpoint 1"
DAMAGED = (EOFError, NotImplementedError, OSError, RuntimeError, ValueError, pickle.UnpicklingError, zipfile.BadZipFile,
           zlib.error)  # fmt: skip


def save_checkpoint(path: Path | str, **parts) -> None:
    """Write `parts` (tensors, state dicts, numbers, strings, lists, dicts) to `path`, all or nothing; or raise OSError.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_checkpoint(Path(folder) / "half.pt", epoch=3, weight=torch.ones(2))
    ...     load_checkpoint(Path(folder) / "half.pt")
    {'epoch': 3, 'weight': tensor([1., 1.])}
    """
    file = io.BytesIO()
    torch.save({"format": FORMAT, **parts}, file)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    write_then_rename(path, file.getvalue())


def load_checkpoint(path: Path | str) -> dict:
    """Return the parts that `save_checkpoint` wrote, on the CPU. Only plain data is read, so a file cannot run code.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: the file is not a complete checkpoint.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no checkpoint {path}")
    parts = _read(path) if path.is_file() else None
    if not isinstance(parts, dict) or parts.pop("format", None) != FORMAT:
        raise ValueError(f"{path} is not a whole checkpoint of this course: delete it or name another file")
    return parts


def _read(path: Path):
    """Return the content of the file; None if it is damaged or was not written by torch."""
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.testzip() is not None:  # torch itself does not verify checksums
                return None
        return torch.load(path, map_location="cpu", weights_only=True)
    except DAMAGED:
        return None
