"""SIGKILL at any moment, also while a checkpoint is written: what is resumed ends with the very same weights.

pytest starts this file as a program. It has loaded torch, trains in processes that it forks, and kills them.
"""

import functools
import json
import os
import random
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path

import pytest
import torch
from torch import nn

from course_utils import training
from course_utils.data import Dataset
from exercise_checks.running.child import have_own_bars

KILLS = 50
TORN_WRITES = (1, 2, 3, 6, 9, 12, 16)  # which save of a run; there are 1 + 3 * 5 + 3


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Dropout(0.2), nn.Flatten(), nn.Linear(72, 3)
    )


def train(path):
    """15 batches in 3 epochs, with a checkpoint after each."""
    generator = torch.Generator().manual_seed(0)
    pair = torch.rand(38, 1, 8, 8, generator=generator), torch.arange(38) % 3
    training.fit(
        network(), Dataset(pair, pair, ("a", "b", "c")), epochs=3, batch_size=8, augment=training.random_affine,
        checkpoint=path, checkpoint_every=0, progress=False,
    )  # fmt: skip


def in_a_fork(work):
    """Start ``work()`` in a process of its own; returns its id."""
    child = os.fork()
    if child:
        return child
    try:
        have_own_bars()  # or who is killed while a bar is made stops all that come after
        work()
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def ended(child):
    """Wait for the process. True if it finished, False if it was killed."""
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return False
    assert os.WEXITSTATUS(status) == 0
    return True


def result(path):
    """All that must be the same, whatever happened on the way: weights, optimizer, generators, history."""
    parts = training.load_checkpoint(path)
    parts["history"] = {name: values for name, values in parts["history"].items() if "second" not in name}
    numbers = [(k, v.tolist()) for k, v in parts["model"].items()]
    moments = [(k, v.tolist()) for state in parts["optimizer"]["state"].values() for k, v in state.items()]
    return numbers, moments, parts["rng"].tolist(), parts["generator"].tolist(), parts["history"], "epoch" in parts


def kill_at_random(folder, expected, duration, found):
    dice, run = random.Random(0), 0
    while found["kills"] < KILLS:
        path, finished, run = folder / f"run{run}.pt", False, run + 1
        while not finished:
            child = in_a_fork(functools.partial(train, path))
            if found["kills"] < KILLS:
                time.sleep(dice.uniform(0, 0.6 * duration))
                os.kill(child, signal.SIGKILL)
            finished = ended(child)
            if not finished:
                found["kills"] += 1
                found["while writing"] += path.with_name(path.name + ".tmp").exists()
                found["within an epoch"] += path.exists() and "epoch" in training.load_checkpoint(path)
        found["equal"] += result(path) == expected
        found["runs"] += 1


def kill_while_writing(folder, expected, found):
    write, writes = Path.write_bytes, []

    def torn(at, file, content):
        writes.append(1)
        if len(writes) == at:
            write(file, content[: len(content) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        return write(file, content)

    for at in TORN_WRITES:
        path = folder / f"torn{at}.pt"
        Path.write_bytes = lambda file, content, at=at: torn(at, file, content)
        assert not ended(in_a_fork(functools.partial(train, path)))
        assert path.with_name(path.name + ".tmp").exists()
        Path.write_bytes = write
        assert ended(in_a_fork(functools.partial(train, path)))
        found["torn, then equal"] += result(path) == expected


def main(folder):
    torch.set_num_threads(1)
    found = dict.fromkeys(["kills", "while writing", "within an epoch", "runs", "equal", "torn, then equal"], 0)
    train(folder / "warm.pt")  # the first optimizer step of a process takes its time
    start = time.monotonic()
    assert ended(in_a_fork(functools.partial(train, folder / "whole.pt")))
    duration, expected = time.monotonic() - start, result(folder / "whole.pt")
    kill_at_random(folder, expected, duration, found)
    kill_while_writing(folder, expected, found)
    found["files left"] = [path.name for path in folder.iterdir() if path.suffix != ".pt"]
    print(json.dumps(found))


@pytest.mark.skipif(sys.platform != "linux", reason="torch may be used after a fork on Linux only")
def test_killed_at_any_moment_and_resumed_is_never_killed(tmp_path):
    done = subprocess.run([sys.executable, __file__, tmp_path], capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["kills"] == KILLS
    assert found["equal"] == found["runs"] > 0
    assert found["within an epoch"] > 0
    assert found["torn, then equal"] == len(TORN_WRITES)
    assert found["files left"] == []


if __name__ == "__main__":
    main(Path(sys.argv[1]))
