"""Datasets as whole tensors `(X, y)`, without loader objects or worker processes.

Images are float32 `(N, 1, 28, 28)` in 0..1 (or uint8 on request), labels int64 `(N,)`. `digits` needs no download.
`fashion_mnist` and `mnist` are read by torchvision from their usual files. `photo` returns one of scikit-learn's two
sample photographs.
"""

import gzip
import hashlib
import os
import shutil
import tempfile
import zlib
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

Pair = tuple[Tensor, Tensor]  # images and their labels
NAMES = ("digits", "fashion_mnist", "mnist")
IDX_FILES = tuple(f"{p}-{kind}-ubyte" for p in ("train", "t10k") for kind in ("images-idx3", "labels-idx1"))
DIGITS_TEST = 360
UNREADABLE = (AssertionError, EOFError, KeyError, OSError, RuntimeError, TypeError, ValueError, zlib.error)


class Dataset(NamedTuple):
    """Images and labels for training, images and labels for testing, and the names of the classes.

    train, test: a pair `(X, y)`; X float32 `(N, 1, 28, 28)` in 0..1 or uint8 in 0..255, y int64 `(N,)`.
    classes: `classes[y[i]]` is the name of image i.
    """

    train: Pair
    test: Pair
    classes: tuple[str, ...]


def load(
    name: str = "digits", *, root: str | Path | None = None, device: str | torch.device | None = None,
    download: bool = False, dtype: torch.dtype = torch.float32,
) -> Dataset:  # fmt: skip
    """Return the dataset called `name`, as whole tensors on `device`.

    `"digits"`: 1,797 handwritten digits of 8x8 pixels, 1,437 for training and 360 for testing, part of scikit-learn
    (Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI, 1998), enlarged to 28x28.
    `"fashion_mnist"` (Xiao, Rasul and Vollgraf 2017) and `"mnist"` (LeCun, Cortes and Burges 1998): 60,000 for training
    and 10,000 for testing, read from `root`. The four idx files, raw or `.gz`, may be in `root` itself or in
    torchvision's `root/FashionMNIST/raw` or `root/MNIST/raw`. They are never changed.

    Args:
        root: a folder; by default the environment variable `COURSE_DATA`, or else `data` next to `course_utils`.
        download: True downloads missing files into `root`, with a progress bar.
        dtype: of the images; `torch.uint8` takes a quarter of the memory, and `training.fit` converts it to 0..1
            batch by batch. The digits are interpolated, so they are always float32.

    Raises:
        ValueError: an unknown name, another dtype, or files that cannot be read.
        FileNotFoundError: files are missing and `download` is False.
        ConnectionError: the download fails.

    >>> digits = load()
    >>> digits.train[0].shape, digits.test[0].shape, digits.classes[7]
    (torch.Size([1437, 1, 28, 28]), torch.Size([360, 1, 28, 28]), '7')
    """
    if dtype not in (torch.float32, torch.uint8) or (name == "digits" and dtype != torch.float32):
        choice = "torch.float32" if name == "digits" else "torch.float32 or torch.uint8"
        raise ValueError(f"dtype must be {choice} for {name!r}, got {dtype!r}.")
    if name == "digits":
        train, test, classes = _digits()
    elif name in NAMES:
        train, test, classes = _idx(name, Path(root or default_root()).expanduser(), download)
    else:
        raise ValueError(f"name must be one of {', '.join(NAMES)}, got {name!r}.")
    return Dataset(_prepare(*train, device, dtype), _prepare(*test, device, dtype), tuple(classes))


def default_root() -> Path:
    """Return the folder where `load` looks for files: `$COURSE_DATA`, or `data` next to `course_utils`."""
    return Path(os.environ.get("COURSE_DATA") or Path(__file__).resolve().parent.parent / "data")


def split(X: Tensor, y: Tensor, fraction: float = 0.2, seed: int = 0) -> tuple[Pair, Pair]:
    """Split `(X, y)` into `(rest, part)`, stratified by class; `part` holds `fraction` of the images.

    Use it to take a validation set from the training images for choosing settings, so that the test set stays unseen.
    Both parts keep the order of X. The same seed gives the same split on every machine.

    Raises:
        ValueError: fraction is not between 0 and 1, a part would be empty, or X and y differ in length.

    >>> X, y = torch.rand(10, 1, 28, 28), torch.tensor([0, 0, 0, 0, 0, 1, 1, 1, 1, 1])
    >>> rest, validation = split(X, y, 0.2)
    >>> rest[1], validation[1]
    (tensor([0, 0, 0, 0, 1, 1, 1, 1]), tensor([0, 1]))
    """
    if not 0 < fraction < 1:
        raise ValueError(f"fraction must be between 0 and 1, got {fraction!r}.")
    if len(X) != len(y):
        raise ValueError(f"X and y must have the same length, got {len(X)} and {len(y)}.")
    count = round(fraction * len(y))
    if not 0 < count < len(y):
        raise ValueError(f"fraction must leave an image in each part, got {fraction} of {len(y)} images.")
    rest, part = _stratified(y.tolist(), count, seed)
    return (X[rest], y[rest]), (X[part], y[part])


def photo(name: str = "flower", *, size: int | tuple[int, int] | None = None, gray: bool = False) -> Tensor:
    """Return a photograph as float32 `(3, H, W)`, or `(1, H, W)` if `gray`, with values in 0..1.

    `name` is `"flower"` or `"china"`, scikit-learn's sample photographs, 427x640 pixels. An int `size` resizes the
    shorter side to it; a pair is `(H, W)`. `gray` averages the colors with the luma weights of ITU-R BT.601.

    Raises:
        ValueError: an unknown name, or a size below 1.

    >>> photo("china", size=64, gray=True).shape
    torch.Size([1, 64, 96])
    """
    from sklearn.datasets import load_sample_image

    if name not in ("flower", "china"):
        raise ValueError(f"name must be 'flower' or 'china', got {name!r}.")
    image = torch.tensor(load_sample_image(f"{name}.jpg")).permute(2, 0, 1).float() / 255
    if gray:
        image = (image * torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(0, keepdim=True)
    if size is None:
        return image.contiguous()
    if isinstance(size, int):
        shorter = min(image.shape[1:])
        size = [round(length * size / shorter) for length in image.shape[1:]]
    if len(size) != 2 or min(size) < 1:
        raise ValueError(f"size must be an int or a pair (H, W), at least 1, got {size!r}.")
    return F.interpolate(image[None], tuple(size), mode="bilinear", antialias=True)[0].clamp(0, 1)


def _digits():
    """Return (train, test, classes) with float images: 0..16 on 8x8 becomes 0..1 on 28x28."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = torch.tensor(bunch.images, dtype=torch.float32)[:, None] / 16
    # Bicubic preserves the contrast of the strokes. Its validation accuracy was slightly better (98.7 %) than that of
    # bilinear (98.4 %) and nearest (98.0 %). It overshoots 0..1 at edges, hence the clamp.
    X = F.interpolate(images, (28, 28), mode="bicubic").clamp(0, 1)
    y = torch.tensor(bunch.target)
    train, test = _stratified(y.tolist(), DIGITS_TEST, seed=0)
    return (X[train], y[train]), (X[test], y[test]), [str(digit) for digit in range(10)]


def _stratified(labels, count, seed):
    """Return two sorted index lists; the second has `count` entries, shared among the classes by largest remainder.

    SHA-256 digests give the order: a random generator's numbers may change with a library's version, but results can
    be compared only if the test set stays the same.
    """
    groups = {}
    for index, label in enumerate(labels):
        groups.setdefault(label, []).append(index)
    quotas = {label: len(group) * count / len(labels) for label, group in groups.items()}
    takes = {label: int(quota) for label, quota in quotas.items()}
    by_remainder = sorted(groups, key=lambda label: (takes[label] - quotas[label], label))
    for label in by_remainder[: count - sum(takes.values())]:
        takes[label] += 1
    part = set()
    for label, group in groups.items():
        group.sort(key=lambda index: hashlib.sha256(f"{seed} {index}".encode()).digest())
        part.update(group[: takes[label]])
    return [index for index in range(len(labels)) if index not in part], sorted(part)


def _idx(name, root, download):
    """Return (train, test, classes) with uint8 images, read by torchvision from four idx files in or below `root`."""
    from torchvision import datasets

    source = {"fashion_mnist": datasets.FashionMNIST, "mnist": datasets.MNIST}[name]
    files = _find(source, root)
    if files is None and download:
        _download(name, source, root)
        files = _find(source, root)
    if files is None:
        raise FileNotFoundError(
            f"{name}: the four idx files are neither in {root} nor in {root / source.__name__ / 'raw'}; "
            f"load({name!r}, download=True) fetches them, and load('digits') needs no download"
        )
    try:
        train, test = _read(source, files)
    except UNREADABLE as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{name}: a file in {files[0].parent} is damaged or not an idx file ({reason}).") from error
    for X, y in (train, test):
        if X.shape[1:] != (28, 28) or len(X) != len(y) or len(X) == 0 or y.max() > 9:
            raise ValueError(
                f"{name}: the files in {files[0].parent} hold images {tuple(X.shape)} and labels {tuple(y.shape)}, "
                "but must hold as many labels 0..9 as images of 28x28."
            )
    return train, test, source.classes


def _find(source, root):
    """Return the four files, raw or gzip, from one folder, torchvision's own or `root`; None if any is missing."""
    for folder in (root / source.__name__ / "raw", root):
        choices = [(folder / name, folder / f"{name}.gz") for name in IDX_FILES]
        if all(raw.is_file() or packed.is_file() for raw, packed in choices):
            return [raw if raw.is_file() else packed for raw, packed in choices]
    return None


def _read(source, files):
    """Return ((X, y), (X, y)), read by torchvision from a temporary copy in its own layout."""
    with tempfile.TemporaryDirectory() as scratch:
        raw = Path(scratch) / source.__name__ / "raw"
        raw.mkdir(parents=True)
        for path in files:
            opener = gzip.open if path.suffix == ".gz" else open
            with opener(path, "rb") as packed, open(raw / path.name.removesuffix(".gz"), "wb") as plain:
                shutil.copyfileobj(packed, plain)
                if "images" in path.name and plain.tell() <= 16:
                    raise ValueError(f"{path.name} holds no image")
        parts = [source(scratch, train=train) for train in (True, False)]
    return [(part.data, part.targets) for part in parts]


def _download(name, source, root):
    """Let torchvision download and verify the files in a temporary folder; only complete files ever reach `root`."""
    raw = root / source.__name__ / "raw"
    try:
        raw.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root) as scratch:
            source(scratch, download=True)
            for file in IDX_FILES:
                os.replace(Path(scratch) / source.__name__ / "raw" / file, raw / file)
    except (HTTPException, OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise ConnectionError(
            f"{name} could not be downloaded into {raw}: check the network, or use load('digits'), "
            f"which needs no download ({reason})."
        ) from error


def _prepare(X, y, device, dtype):
    """Move to the device before converting: a uint8 tensor is a quarter as large as a float32 one."""
    X, y = X.to(device), y.to(device)
    if X.dtype == torch.uint8:
        X = X[:, None] if dtype == torch.uint8 else X[:, None].float() / 255
    return X, y.long()
