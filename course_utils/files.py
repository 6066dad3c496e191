"""Write a file completely or not at all."""

import os
import time
from contextlib import suppress
from pathlib import Path


def write_then_rename(path: Path | str, content: bytes | str) -> None:
    """Write `content` to `path` + ".tmp", then rename that to `path`: a reader sees either the old file or the new one.

    Text is written as UTF-8 with "\\n" line endings. A temporary file that a killed process left is overwritten by the
    next call. Two processes must not write the same `path` at the same time.

    Raises:
        OSError: the folder is missing, full or not writable; `path` is unchanged, and no temporary file is left.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_then_rename(Path(folder, "note.txt"), "done")
    ...     [file.name for file in Path(folder).iterdir()], Path(folder, "note.txt").read_text()
    (['note.txt'], 'done')
    """
    path = Path(path)
    unfinished = path.with_name(path.name + ".tmp")
    try:
        unfinished.write_bytes(content.encode() if isinstance(content, str) else content)
        _rename(unfinished, path)
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)


def _rename(unfinished: Path, path: Path) -> None:
    for pause in (0.02, 0.05, 0.1, 0.2):
        try:
            os.replace(unfinished, path)
            return
        except PermissionError:  # Windows, while another program such as a virus scanner has the old file open
            time.sleep(pause)
    os.replace(unfinished, path)
