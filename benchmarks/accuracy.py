"""How well, and how soon, does the modern recipe read the digits, and what does each of its parts add?

    python benchmarks/accuracy.py --choose       # settings, on a validation part of the training images; ten minutes
    python benchmarks/accuracy.py                # the chosen ones on the 360 test images, five seeds; some minutes
    python benchmarks/accuracy.py --quick        # seconds: does it run?

The recipe: `lenet.ModernLeNet`, AdamW, warm-up and decay of the learning rate (one cycle), label smoothing, and images
turned, zoomed and moved a little. Each part is also left out in turn. The peer is the recipe of d2l, section 6.6:
sigmoid, average pooling, plain SGD of rate 0.9, batches of 256. Both are trained by `training.fit` with fused pooling.
One test image of 360 is 0.28 %, so differences below one per cent between single runs are luck; medians of five seeds
and their spread are told. Seconds are those of the whole call of `fit`, tests after each epoch included.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import statistics
import time

import torch
from tqdm.auto import tqdm

from course_utils import data, lenet, training

RECIPE = {
    "epochs": 60, "batch_size": 64, "lr": 0.02, "schedule": "onecycle", "label_smoothing": 0.1,
    "augment": training.random_affine,
}  # fmt: skip
LEFT_OUT = {
    "the recipe": {},
    "no warm-up and decay": {"schedule": "constant"},
    "no warm-up and decay, a tenth of the rate": {"schedule": "constant", "lr": RECIPE["lr"] / 10},
    "no label smoothing": {"label_smoothing": 0.0},
    "no augmentation": {"augment": None},
    "none of the three": {"schedule": "constant", "lr": RECIPE["lr"] / 10, "label_smoothing": 0.0, "augment": None},
}
SOON = RECIPE | {"epochs": 4, "augment": None}  # on validation images four seeds of five reach the goal with it
CHOICES = {"epochs": (30, 60, 100), "batch_size": (64, 128), "lr": (0.005, 0.01, 0.02)}
D2L = {"epochs": 600, "batch_size": 256, "lr": 0.9, "optimizer": "sgd", "schedule": "constant"}
GOAL = 0.97


class Reached(Exception):
    """The goal is reached; no need to go on."""


def train(kind, dataset, seed, device, goal=None, **settings):
    """(test accuracy, seconds) of one training, which ends early once it is as good as ``goal``."""
    torch.manual_seed(seed)
    model, reached = kind(num_classes=len(dataset.classes)).to(device), []

    def watch(model, history):
        reached.append(history.test_accuracy[-1])
        if goal is not None and reached[-1] >= goal:
            raise Reached

    start = time.perf_counter()
    with contextlib.suppress(Reached):
        training.fit(model, dataset, seed=seed, device=device, fuse=True, callback=watch, progress=False, **settings)
    return reached[-1], time.perf_counter() - start


def choose(dataset, seeds, device):
    """The settings in `CHOICES`, best first, by their median accuracy on a fifth of the training images."""
    rest, validation = data.split(*dataset.train, fraction=0.2)
    dataset = dataset._replace(train=rest, test=validation)
    settings = [dict(zip(CHOICES, values, strict=True)) for values in itertools.product(*CHOICES.values())]
    rows = []
    for changed in tqdm(settings, desc="settings"):
        runs = [train(lenet.ModernLeNet, dataset, seed, device, **RECIPE | changed) for seed in seeds]
        rows.append((statistics.median(accuracy for accuracy, _ in runs), runs, str(changed)))
    rows.sort(key=lambda row: -row[0])
    return [(name, runs) for _, runs, name in rows]


def leave_out(dataset, seeds, device, epochs):
    """Every part left out in turn, seed by seed, so that a busy machine meets all alike."""
    results = {name: [] for name in LEFT_OUT}
    for seed in tqdm(seeds, desc="seeds"):
        for name, changed in LEFT_OUT.items():
            results[name].append(
                train(lenet.ModernLeNet, dataset, seed, device, **RECIPE | changed | {"epochs": epochs})
            )
    return list(results.items())


def race(dataset, seeds, device, epochs):
    """Seconds until `GOAL` of the test images are read, both recipes in turn, the modern one as in `SOON`."""
    train(lenet.ModernLeNet, dataset, 0, device, **SOON | {"epochs": 1})  # the first training of a process is slow
    results = {"modern": [], "d2l": []}
    for seed in tqdm(seeds, desc=f"to {GOAL:.0%}"):
        results["modern"].append(train(lenet.ModernLeNet, dataset, seed, device, goal=GOAL, **SOON))
        results["d2l"].append(train(lenet.LeNet, dataset, seed, device, goal=GOAL, **D2L | {"epochs": epochs}))
    return list(results.items())


def table(rows, head):
    lines = [f"| {head} | median accuracy | lowest–highest | median seconds |", "|---|---|---|---|"]
    for name, runs in rows:
        accuracies, seconds = zip(*runs, strict=True)
        lines.append(
            f"| {name} | {statistics.median(accuracies):.2%} | {min(accuracies):.2%}–{max(accuracies):.2%} "
            f"| {statistics.median(seconds):.2f} |"
        )
    return "\n".join(lines)


def main(words=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--choose", action="store_true", help="settings on validation images; the test stays closed")
    parser.add_argument("--quick", action="store_true", help="few images, one epoch: only whether it works")
    parser.add_argument("--seeds", type=int, default=5, help="how many (%(default)s)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args(words)
    dataset, seeds, d2l_epochs = data.load("digits"), range(options.seeds), D2L["epochs"]
    if options.quick:
        dataset = dataset._replace(train=tuple(part[:100] for part in dataset.train))
        seeds, d2l_epochs, RECIPE["epochs"], CHOICES["epochs"] = range(1), 2, 1, (1,)
    if options.choose:
        print(table(choose(dataset, seeds, options.device), "settings, on validation images"))
        return
    for epochs in (RECIPE["epochs"], max(RECIPE["epochs"] // 6, 1)):
        print(table(leave_out(dataset, seeds, options.device, epochs), f"test images, {epochs} epochs"), end="\n\n")
    results = dict(race(dataset, seeds, options.device, d2l_epochs))
    print(table(results.items(), f"to {GOAL:.0%} of the test images"))
    if all(accuracy >= GOAL for runs in results.values() for accuracy, _ in runs):
        modern, d2l = (statistics.median(seconds for _, seconds in runs) for runs in results.values())
        print(f"\nThe modern recipe is there {d2l / modern:.0f} times sooner.")
    else:
        print(f"\nNot every run came to {GOAL:.0%}.")


if __name__ == "__main__":
    main()
