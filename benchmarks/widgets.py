"""How long does a move of a knob take, until the new figure leaves the kernel?

    python benchmarks/widgets.py

Turns the knobs of every widget as a hand would, one step at a time, and prints the milliseconds from the change of a
control to the finished figure with its description. JupyterLab adds what the figure needs to travel and to appear.
The promise of the course is 150 ms a move. A computer of another age gives other numbers; so does one that is busy.
"""

import itertools
import platform
import statistics
import time
from datetime import date

import torch

from course_utils import widgets

LARGEST = dict(input_size=7, kernel_size=4, padding=2)  # as many numbers as a figure may hold

# Each panel with the knob that is turned, and the places it is turned through.
CASES = {
    "convolution, 3×3, padding 1": (widgets.ConvolutionExplorer(3, 2, padding=1), "window", range(16)),
    "convolution, 7×7, 3×3 kernel": (widgets.ConvolutionExplorer(7, 3), "window", range(25)),
    "convolution, the largest": (widgets.ConvolutionExplorer(**LARGEST), "window", range(25)),
    "convolution, other sizes": (
        widgets.ConvolutionExplorer(4, 3, padding=1), "input size", [*range(3, 8), *range(7, 2, -1)]),
    "transposed, 3×3, stride 2": (widgets.ConvolutionExplorer(3, 3, stride=2, transposed=True), "window", range(9)),
    "painter, one cell": (widgets.KernelPainter(), "K[1,1]", [float(n) for n in range(-9, 10)]),
    "painter, another kernel": (
        widgets.KernelPainter(), "kernel", ["box", "Gaussian", "sharpen", "Sobel x", "Sobel y"]),
    "pooling, shift": (widgets.PoolingExplorer(), "right", range(-8, 9)),
    "pooling, window size": (widgets.PoolingExplorer(), "window size", range(1, 15)),
    "receptive field, 4 layers": (
        widgets.ReceptiveFieldBuilder([(3, 1), (3, 2), (3, 1), (3, 2)]), "layer 1: kernel", range(1, 8)),
}  # fmt: skip


def milliseconds(panel, knob, places, moves=30) -> list[tuple[float, float]]:
    """By the clock, and of the processor alone: on a busy machine the first waits for others."""
    control, times = panel.controls[knob], []
    for place in itertools.islice(itertools.cycle(places), moves + 1):
        start, work = time.perf_counter(), time.process_time()
        control.value = place
        times.append((1000 * (time.perf_counter() - start), 1000 * (time.process_time() - work)))
    return times[1:]  # the first move loads fonts, or moves nothing


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(f"{date.today()}, {platform.machine()}, Python {platform.python_version()}, milliseconds a move")
    print(f"{'':32}{'median':>8}{'slowest':>9}{'median of the processor':>26}")
    for name, case in CASES.items():
        clock, work = zip(*milliseconds(*case), strict=True)
        print(f"{name:32}{statistics.median(clock):8.0f}{max(clock):9.0f}{statistics.median(work):26.0f}", flush=True)
