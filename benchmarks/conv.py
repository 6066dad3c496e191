"""How much longer does each rung of the ladder take than F.conv2d, and how much memory?

    python benchmarks/conv.py [--threads 1] [--repeats 9] [--quick]

Every rung runs in turn with torch's own convolution, round after round in one process, so a busy computer harms all
alike. Printed are medians, and what each takes relative to torch on the same shape: forward alone, and a training step
(forward, and backward to input and weight). Memory is what a step holds at its height beyond what was there before, the
output and the gradients included; it is counted by torch's profiler in a run of its own. `--quick` times one round of
small shapes, to see that everything works; its numbers mean nothing.
"""

import argparse
import os
import platform
import statistics
import time
from datetime import date

os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # or the profiler reports every start and stop

import torch
import torch.nn.functional as F
from torch.profiler import ProfilerActivity, profile

from course_utils import ops
from course_utils.arithmetic import count_macs

PEER = "F.conv2d"
RUNGS = {
    PEER: F.conv2d,
    "conv2d": ops.conv2d,
    "conv2d_loops": ops.conv2d_loops,
    "conv2d_slices": ops.conv2d_slices,
    "conv2d_im2col": ops.conv2d_im2col,
    "conv2d_strided": ops.conv2d_strided,
    "conv2d_fft": ops.conv2d_fft,
}
# input shape, weight shape, padding; with padding the image keeps its size
SHAPES = {
    "1×1×28×28, 5×5": ((1, 1, 28, 28), (1, 1, 5, 5), 2),
    "8×3×64×64, 3×3→16": ((8, 3, 64, 64), (16, 3, 3, 3), 1),
    "32×64×56×56, 3×3→64": ((32, 64, 56, 56), (64, 64, 3, 3), 1),
}
QUICK = {"1×1×6×6, 3×3": ((1, 1, 6, 6), (1, 1, 3, 3), 1), "2×32×64×64, 3×3→32": ((2, 32, 64, 64), (32, 32, 3, 3), 1)}
MOST_TURNS = 10_000  # conv2d_loops takes about 20 µs for each number of an image's output, and autograd keeps every one


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=9, help="rounds whose median is printed")
    parser.add_argument("--quick", action="store_true", help="small shapes, one round: a test of this file")
    options = parser.parse_args(words)
    torch.set_num_threads(options.threads)
    machine = f"{platform.system()} {platform.machine()}, {torch.backends.cpu.get_cpu_capability()}"
    print(f"{date.today()}, {machine}, torch {torch.__version__}, float32, ", end="")
    print(f"{options.threads} thread(s), {options.repeats} rounds\n")
    print("| shape | function | forward, ms | × torch | a step, ms | × torch | memory of a step, MiB |")
    print("|---|---|---:|---:|---:|---:|---:|")
    for name, (inputs, weights, padding) in (QUICK if options.quick else SHAPES).items():
        X, K = torch.randn(inputs).requires_grad_(), torch.randn(weights).requires_grad_()
        chosen = {rung: f for rung, f in RUNGS.items() if rung != "conv2d_loops" or turns(X, K) <= MOST_TURNS}
        memory = {rung: peak_memory(f, X, K, padding) for rung, f in chosen.items()}
        seconds = measure(chosen, X, K, padding, 1 if options.quick else options.repeats)
        for rung in RUNGS:
            print(f"| {name} | {rung} | {row(rung, seconds, memory)} |", flush=True)


def turns(X, K) -> int:
    """How many iterations `conv2d_loops` makes: one for each number of an image's output."""
    return len(K) * X.shape[-2] * X.shape[-1]


def step(function, X, K, padding) -> tuple[float, float]:
    """Seconds of a forward pass without, and of a forward and backward pass with, gradients."""
    start = time.perf_counter()
    with torch.no_grad():
        function(X, K, padding=padding)
    middle = time.perf_counter()
    Y = function(X, K, padding=padding)
    torch.autograd.grad(Y, (X, K), torch.ones_like(Y))
    return middle - start, time.perf_counter() - middle


def measure(rungs, X, K, padding, repeats) -> dict[str, tuple[float, float]]:
    """Median seconds of `step` for each rung, after one round to warm up. What takes microseconds is run more often."""
    if len(X) * count_macs(X.shape[2:], X.shape[1], len(K), K.shape[2:], padding=padding) < 10**8:
        repeats *= 10
    rounds = [[step(f, X, K, padding) for f in rungs.values()] for _ in range(repeats + 1)][1:]
    each = zip(*rounds, strict=True)
    return {
        rung: tuple(statistics.median(times) for times in zip(*pairs, strict=True))
        for rung, pairs in zip(rungs, each, strict=True)
    }


def peak_memory(function, X, K, padding) -> int:
    """Most bytes that a step holds at once: the highest running total of what is allocated and freed."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        step(function, X, K, padding)
    total = highest = 0
    for change in allocations(record):
        total += change
        highest = max(highest, total)
    return highest


def allocations(record) -> list[int]:
    """What the profiler saw allocated (+) and freed (-), in bytes, in the order of time."""
    events = [event for event in record.profiler.kineto_results.events() if event.name() == "[memory]"]
    return [event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())]


def row(rung, seconds, memory) -> str:
    if rung not in seconds:
        return "left out: too slow | | | | "
    cells = [f"{1000 * s:.4g} | {s / torchs:.2f}" for s, torchs in zip(seconds[rung], seconds[PEER], strict=True)]
    return " | ".join([*cells, f"{memory[rung] / 2**20:.4g}"])


if __name__ == "__main__":
    main()
