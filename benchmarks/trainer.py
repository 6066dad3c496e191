"""How fast is the course's trainer beside d2l's?

    python benchmarks/trainer.py                 # some minutes; for numbers to keep, on an idle machine
    python benchmarks/trainer.py --quick         # seconds: does it run, and do both learn the same?

Both train LeNet (sigmoid, average pooling) with SGD, learning rate 0.9, batches of 256, from the same initial weights,
on 60,000 + 10,000 images in real idx files, which this program writes. d2l is `peer.py`. Each contender has a process
of its own; they take turns, so that whatever else the machine does meets all of them. An epoch ends with the test.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import io
import multiprocessing
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path

os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # or the profiler reports every start and stop

import peer
import torch
import torch.nn.functional as F
from tqdm.auto import tqdm

from course_utils import data, lenet, training

BATCH, RATE = 256, 0.9
D2L = {"d2l as it is, 4 workers": 4, "d2l, loading in its own process": 0}
OURS = {
    "fit": {},
    "fit, freed memory kept": {"keep": True},
    "fit(fuse=True)": {"fuse": True},
    "fit(fuse=True), freed memory kept": {"fuse": True, "keep": True},
}
ON_GPU = {
    "fit(fuse=True, amp=True)": {"fuse": True, "amp": True},
    "fit(fuse=True, amp=True, channels_last=True)": {"fuse": True, "amp": True, "channels_last": True},
    "fit(amp=True, compile=True)": {"amp": True, "compile": True},
    "fit(compile=True)": {"compile": True},
    "fit(compile='reduce-overhead')": {"compile": "reduce-overhead"},
    "fit(amp=True, compile='reduce-overhead')": {"amp": True, "compile": "reduce-overhead"},
}
KINDS = {
    "convolution": ("convolution", "conv"),
    "linear layers": ("addmm", "mm", "linear"),
    "sigmoid": ("sigmoid",),
    "pooling": ("pool", "mean", "sum", "div", "expand", "max"),
    "moving numbers in memory": ("copy", "shuffle", "unshuffle", "fill", "pad", "index", "flip", "unfold", "clone"),
    "loss": ("softmax", "nll", "cross_entropy", "argmax", "eq"),
    "step": ("optimizer", "add_", "foreach"),
}


# --- one contender, in its own process --------------------------------------------------------------------------------


def d2l_contender(folder, device, workers):
    d2l = peer.load_d2l()
    d2l.get_dataloader_workers = lambda: workers
    with peer.beside(folder):
        train_iter, test_iter = d2l.load_data_fashion_mnist(BATCH)

    def go(epochs):
        torch.manual_seed(0)
        with peer.watched(d2l) as watch:
            start = time.perf_counter()
            d2l.train_ch6(peer.network(d2l), train_iter, test_iter, epochs, RATE, torch.device(device))
            seconds = time.perf_counter() - start
        return {"seconds": seconds, "drawing": watch.seconds, "losses": watch.losses, "accuracies": watch.accuracies}

    return go


def our_contender(folder, device, keep=False, **how):
    if keep:
        training.keep_freed_memory()
    dataset = data.load("fashion_mnist", root=folder / "data", device=device, dtype=torch.uint8)

    def go(epochs):
        torch.manual_seed(0)
        start = time.perf_counter()
        with contextlib.redirect_stderr(io.StringIO()):  # a bar as at the desk, but in memory
            history = fit(lenet.LeNet().to(device), dataset, epochs, **how)
        seconds = time.perf_counter() - start
        return {"seconds": seconds, "losses": history.train_loss, "accuracies": history.test_accuracy}

    return go


def fit(model, dataset, epochs, **how):
    return training.fit(
        model, dataset, epochs=epochs, batch_size=BATCH, lr=RATE, optimizer="sgd", schedule="constant", **how
    )


def serve(pipe, make):
    """Answer every number of epochs with what `go` measured, and with the memory this process has come to need."""
    before = peak_memory()
    go = make()
    with contextlib.suppress(EOFError):
        while True:
            epochs = pipe.recv()
            pipe.send(go(epochs) | {"memory": peak_memory(), "memory_before": before})


def peak_memory():
    """MiB of main memory this process has held at most; NaN where the system does not say.

    Linux's own count, because getrusage counts what the parent held before this program began.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        return float("nan")
    return int(status.read_text().partition("VmHWM:")[2].split()[0]) / 1024


class Contender:
    """A process that trains when it is its turn."""

    def __init__(self, make):
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs, make))
        self.process.start()
        theirs.close()

    def train(self, epochs):
        self.pipe.send(epochs)
        return self.pipe.recv()

    def end(self):
        self.pipe.close()
        self.process.join()


def contenders(folder, device):
    makers = {name: functools.partial(d2l_contender, folder, device, workers) for name, workers in D2L.items()}
    for name, how in (OURS | (ON_GPU if device.startswith("cuda") else {})).items():
        makers[name] = functools.partial(our_contender, folder, device, **how)
    return makers


# --- what is measured -------------------------------------------------------------------------------------------------


def race(folder, device, rounds, epochs, warm_up):
    """All results, round by round, after ``warm_up`` rounds that do not count; then one longer training each."""
    field = {name: Contender(make) for name, make in contenders(folder, device).items()}
    try:
        results = {name: [] for name in field}
        for number in range(1 - warm_up, rounds + 1):
            for name, contender in tqdm(field.items(), desc=f"round {number} of {rounds}"):
                result = contender.train(1)
                if number > 0:
                    results[name].append(result)
        curves = {name: field[name].train(epochs) for name in (list(D2L)[-1], list(OURS)[-1])}
    finally:
        for contender in field.values():
            contender.end()
    return results, curves


def agree(folder, device, images):
    """Train losses of both loops on the very same batches, two epochs. They must agree to rounding."""
    torch.backends.cudnn.allow_tf32 = False  # a GPU would round factors to 10 bits; the race is over when this runs
    dataset = data.load("fashion_mnist", root=folder / "data", device=device, dtype=torch.uint8)
    dataset = dataset._replace(train=tuple(part[:images] for part in dataset.train))
    torch.manual_seed(0)
    ours = fit(lenet.LeNet().to(device), dataset, 2, fuse=True, seed=1, progress=False).train_loss
    d2l, test = peer.load_d2l(), [(dataset.test[0].float() / 255, dataset.test[1])]
    torch.manual_seed(0)
    with peer.watched(d2l) as watch:
        d2l.train_ch6(peer.network(d2l), Batches(*dataset.train, seed=1), test, 2, RATE, torch.device(device))
    difference = max(abs(a - b) / b for a, b in zip(ours, watch.losses, strict=True))
    if difference > 1e-4:
        raise SystemExit(f"on the same batches d2l's losses are {watch.losses}, ours {ours}: not the same training")
    return difference


class Batches:
    """The batches of `fit` with this seed, epoch after epoch, as an iterable for `train_ch6`."""

    def __init__(self, X, y, seed):
        self.X, self.y, self.generator = X, y, torch.Generator().manual_seed(seed)

    def __len__(self):
        return -(-len(self.y) // BATCH)

    def __iter__(self):
        order = torch.randperm(len(self.y), generator=self.generator).to(self.y.device)
        return iter([(self.X[batch].float() / 255, self.y[batch]) for batch in order.split(BATCH)])


def peaks(device, seconds=0.5):
    """The best of many runs, in floating point operations per second: a large matrix product, a large convolution."""
    A = torch.rand(1024, 1024, device=device)
    X, K = torch.rand(32, 64, 32, 32, device=device), torch.rand(64, 64, 3, 3, device=device)
    return {
        "matrix product": 2 * 1024**3 / best_time(lambda: A @ A, seconds, device),
        "convolution": 2 * 32 * 64 * 64 * 9 * 32 * 32 / best_time(lambda: F.conv2d(X, K, padding=1), seconds, device),
    }


def best_time(work, seconds, device):
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        work()
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return best


def operations_per_image():
    """Floating point operations of a training step: forward, and twice that backward, less the images' gradient."""
    macs, X = {}, torch.zeros(1, 1, 28, 28)
    for name, layer in lenet.LeNet().named_children():
        Y = layer(X)
        if hasattr(layer, "weight"):
            macs[name] = layer.weight[0].numel() * Y.numel()
        X = Y
    return 2 * (3 * sum(macs.values()) - macs["conv1"])


def where_the_time_goes(folder, batches=40):
    """Shares of the time of `fit`'s step by kind of work, as torch's profiler sees it on the CPU."""
    dataset = data.load("fashion_mnist", root=folder / "data", dtype=torch.uint8)
    few = dataset._replace(
        train=tuple(part[: batches * BATCH] for part in dataset.train), test=tuple(part[:1] for part in dataset.test)
    )
    fit(lenet.LeNet(), few, 1, fuse=True, progress=False)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        fit(lenet.LeNet(), few, 1, fuse=True, progress=False)
    times = dict.fromkeys([*KINDS, "all else"], 0.0)
    for event in profile.key_averages():
        times[kind_of(event.key)] += event.self_cpu_time_total
    total = sum(times.values())
    return {kind: time / total for kind, time in times.items()}


def kind_of(operation):
    name = operation.lower().removeprefix("aten::")
    if operation.startswith("aten::") or operation.startswith("Optimizer"):
        for kind, words in KINDS.items():
            if any(word in name for word in words):
                return kind
    return "all else"


# --- what is told -----------------------------------------------------------------------------------------------------


def report(results, curves, images):
    """Lines of Markdown, and everybody's images per second."""
    speeds = {name: images / statistics.median(run["seconds"] for run in runs) for name, runs in results.items()}
    unmodified, faster = (speeds[name] for name in D2L)
    lines = [
        "| one epoch and its test | images/s (slowest–fastest round) | × d2l as it is | × d2l in one process "
        "| peak memory, MiB (before data) |",
        "|---|---|---|---|---|",
    ]
    for name, runs in results.items():
        rates = sorted(images / run["seconds"] for run in runs)
        lines.append(
            f"| {name} | {speeds[name]:,.0f} ({rates[0]:,.0f}–{rates[-1]:,.0f}) | {speeds[name] / unmodified:.2f} "
            f"| {speeds[name] / faster:.2f} | {runs[-1]['memory']:.0f} ({runs[-1]['memory_before']:.0f}) |"
        )
    for name in D2L:
        drawing = statistics.median(run["drawing"] / run["seconds"] for run in results[name])
        lines += ["", f"{name}: {drawing:.0%} of its time goes into drawing its curves."]
    lines += ["", "| epoch | " + " | ".join(f"{name}: loss, test accuracy" for name in curves) + " |", "|---|---|---|"]
    columns = [zip(curve["losses"], curve["accuracies"], strict=True) for curve in curves.values()]
    for epoch, pairs in enumerate(zip(*columns, strict=True), start=1):
        lines.append(f"| {epoch} | " + " | ".join(f"{loss:.3f}, {accuracy:.1%}" for loss, accuracy in pairs) + " |")
    return lines, speeds


def report_limits(speed, device, folder):
    flops, best = operations_per_image(), peaks(device)
    lines = [f"A step costs {flops / 1e6:.2f} million floating point operations an image, pooling and activations "
             f"aside: {speed * flops / 1e9:.0f} GFLOP/s."]  # fmt: skip
    for name, peak in best.items():
        lines.append(f"Peak of a large {name}: {peak / 1e9:.0f} GFLOP/s; reached {speed * flops / peak:.0%}.")
    if not device.startswith("cuda"):
        shares = sorted(where_the_time_goes(folder).items(), key=lambda item: -item[1])
        lines.append("Time of a step: " + ", ".join(f"{kind} {share:.0%}" for kind, share in shares) + ".")
    return lines


def main(words=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few images, one round: only whether it works")
    parser.add_argument("--rounds", type=int, default=5, help="of one epoch each (%(default)s)")
    parser.add_argument("--epochs", type=int, default=5, help="of the curves (%(default)s)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args(words)
    train, test = (6 * BATCH - 100, 200) if options.quick else (60_000, 10_000)
    rounds, epochs = (1, 1) if options.quick else (options.rounds, options.epochs)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        peer.write_idx_files(folder, train, test)
        results, curves = race(folder, options.device, rounds, epochs, warm_up=0 if options.quick else 1)
        machine = f"{platform.system()} {platform.machine()}, {torch.get_num_threads()} threads, {options.device}"
        print(f"{machine}, torch {torch.__version__}, {train:,} + {test:,} images")
        difference = agree(folder, options.device, images=min(train, 20 * BATCH + 100))
        print(f"On the same batches the losses of d2l and fit(fuse=True) agree to {difference:.0e}.\n")
        lines, speeds = report(results, curves, train)
        print("\n".join(lines), end="\n\n")
        print("\n".join(report_limits(max(speeds.values()), options.device, folder)))


if __name__ == "__main__":
    main()
