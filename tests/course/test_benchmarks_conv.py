"""benchmarks/conv.py runs, leaves out visibly what is slow, and counts memory truly. Times are no test's business."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
import torch

PATH = Path(__file__).resolve().parents[2] / "benchmarks" / "conv.py"


@pytest.fixture(scope="module")
def conv():
    spec = importlib.util.spec_from_file_location("benchmark_of_conv", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_prints_a_row_for_every_rung_and_shape(conv):
    done = subprocess.run(
        [sys.executable, PATH, "--quick"], capture_output=True, text=True, encoding="utf-8", timeout=300
    )
    assert done.returncode == 0, done.stderr
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in done.stdout.splitlines() if "|" in line]
    assert {len(row) for row in rows} == {7}
    assert [row[:2] for row in rows[2:]] == [[shape, rung] for shape in conv.QUICK for rung in conv.RUNGS]
    out = [row[:3] for row in rows[2:] if not row[3]]
    assert out == [["2×32×64×64, 3×3→32", "conv2d_loops", "left out: too slow"]]


def test_peak_memory_is_what_is_held_at_once(conv):
    X, K = torch.zeros(4, 1024, requires_grad=True), torch.zeros(1, requires_grad=True)

    def four_at_once_then_three_more(X, K, padding):
        first = torch.cat([X] * 4)  # 64 KiB
        del first
        return torch.cat([X, X, X]) * K  # 48 KiB twice, and as much for the gradients

    held = conv.peak_memory(four_at_once_then_three_more, X, K, 0)
    assert 4 * 48 * 2**10 <= held <= 6 * 48 * 2**10
