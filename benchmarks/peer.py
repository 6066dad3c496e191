"""d2l 0.17's trainer, `d2l.train_ch6`, run as it is: its loop, its loaders, its drawing, from files on this disk."""

from __future__ import annotations

import contextlib
import io
import os
import struct
import time
import warnings
from pathlib import Path

import torch

from course_utils import data, training

PARTS = (("train", "train"), ("t10k", "test"))


def write_idx_files(folder, train, test, seed=0):
    """Four idx files where torchvision looks for Fashion-MNIST: the course's digits, each turned, zoomed and moved."""
    raw = Path(folder) / "data" / "FashionMNIST" / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    generator, digits = torch.Generator().manual_seed(seed), data.load("digits")
    for (name, part), count in zip(PARTS, (train, test), strict=True):
        X, y = getattr(digits, part)
        chosen = torch.randint(len(y), (count,), generator=generator)
        moved = [training.random_affine(X[some], generator, degrees=15.0) for some in chosen.split(10_000)]
        _write_idx(raw / f"{name}-images-idx3-ubyte", (torch.cat(moved)[:, 0] * 255).round().byte())
        _write_idx(raw / f"{name}-labels-idx1-ubyte", y[chosen].byte())
    return Path(folder) / "data"


def _write_idx(path, numbers):
    header = struct.pack(f">4B{numbers.dim()}I", 0, 0, 8, numbers.dim(), *numbers.shape)
    path.write_bytes(header + numbers.numpy().tobytes())


def load_d2l():
    """The module ``d2l.torch``, with what IPython 9 has taken away, drawing into memory."""
    import matplotlib

    matplotlib.use("agg")
    from IPython import display
    from matplotlib_inline.backend_inline import set_matplotlib_formats

    display.set_matplotlib_formats = set_matplotlib_formats
    from d2l import torch as d2l

    return d2l


class Watched:
    """What d2l's Animator was told, and how long it took to draw. It draws all the same."""

    def __init__(self, d2l):
        self.losses, self.accuracies, self.seconds, self.usual = [], [], 0.0, d2l.Animator.add

    def add(self, animator, x, y):
        start = time.perf_counter()
        self.usual(animator, x, y)
        self.seconds += time.perf_counter() - start
        loss, _, test_accuracy = y
        if test_accuracy is not None:
            self.losses.append(self.latest)
            self.accuracies.append(float(test_accuracy))
        else:
            self.latest = float(loss)


@contextlib.contextmanager
def watched(d2l):
    watch, usual = Watched(d2l), d2l.Animator.add
    d2l.Animator.add = lambda animator, x, y: watch.add(animator, x, y)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")  # more workers than cores; an axis from epoch 1 to epoch 1
            yield watch
    finally:
        d2l.Animator.add = usual
        d2l.plt.close("all")


@contextlib.contextmanager
def beside(folder):
    """d2l looks for its data in ``../data``: a working directory beside it."""
    before, work = Path.cwd(), Path(folder) / "work"
    work.mkdir(exist_ok=True)
    os.chdir(work)
    try:
        yield
    finally:
        os.chdir(before)


def network(d2l):
    """LeNet as in d2l, section 6.6."""
    nn = d2l.nn
    return nn.Sequential(
        nn.Conv2d(1, 6, kernel_size=5, padding=2), nn.Sigmoid(), nn.AvgPool2d(kernel_size=2, stride=2),
        nn.Conv2d(6, 16, kernel_size=5), nn.Sigmoid(), nn.AvgPool2d(kernel_size=2, stride=2), nn.Flatten(),
        nn.Linear(16 * 5 * 5, 120), nn.Sigmoid(), nn.Linear(120, 84), nn.Sigmoid(), nn.Linear(84, 10),
    )  # fmt: skip
