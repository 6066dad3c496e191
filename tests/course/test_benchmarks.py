"""The benchmarks of training run, and what they compare is the same training. No test here looks at a time."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


def quick(name):
    done = subprocess.run([sys.executable, FOLDER / name, "--quick"], capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_both_trainers_learn_the_same_from_the_same_files():
    """The program ends with an error if the losses of d2l and fit, on the same batches, are not equal to rounding."""
    said = quick("trainer.py")
    assert float(re.search(r"agree to (\S+)\.\n", said)[1]) < 1e-4
    rows = re.findall(r"^\| (d2l[^|]*|fit[^|]*) \| ([\d,]+) \(", said, flags=re.M)
    assert [name for name, _ in rows] == [
        "d2l as it is, 4 workers", "d2l, loading in its own process", "fit", "fit, freed memory kept",
        "fit(fuse=True)", "fit(fuse=True), freed memory kept",
    ]  # fmt: skip
    assert all(int(speed.replace(",", "")) > 0 for _, speed in rows)
    shares = [int(share) for share in re.findall(r" (\d+)%", said.rpartition("Time of a step:")[2])]
    assert 95 <= sum(shares) <= 105


@pytest.mark.parametrize("name", ["peer", "trainer", "accuracy"])
def test_how_to_run_it_stands_at_the_top(name):
    text = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    assert text.startswith('"""')
    if name != "peer":
        assert f"python benchmarks/{name}.py" in text.partition("from __future__")[0]


def test_accuracy_tells_every_part_and_both_recipes():
    said = quick("accuracy.py")
    rows = re.findall(r"^\| (.+?) \| [\d.]+% \| [\d.]+%–[\d.]+% \| [\d.]+ \|$", said, flags=re.M)
    parts = [
        "the recipe", "no warm-up and decay", "no warm-up and decay, a tenth of the rate", "no label smoothing",
        "no augmentation", "none of the three",
    ]  # fmt: skip
    assert rows == [*parts, *parts, "modern", "d2l"]
    assert said.endswith(("times sooner.\n", "Not every run came to 97%.\n"))
