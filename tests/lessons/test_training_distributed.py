"""Training in two processes is training in one: the same gradients, the same files, one voice.

pytest starts this file as a program, once per process, as torchrun would: see `main`.
"""

import functools
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from test_train_command import write_four
from torch import nn

from course_utils import training
from course_utils.__main__ import main as command_line
from course_utils.data import Dataset

pytestmark = pytest.mark.skipif(
    not (dist.is_available() and dist.is_gloo_available()), reason="this build of torch has no gloo"
)
EVERYWHERE = {"epochs": 3, "batch_size": 16, "label_smoothing": 0.1, "augment": training.random_affine,
              "progress": False}  # fmt: skip


def images():
    """41 images, so that batches of 16 leave one of 9: 4 for the first process, 5 for the second."""
    generator = torch.Generator().manual_seed(0)
    X, y = torch.rand(61, 1, 8, 8, generator=generator, dtype=torch.float64), torch.arange(61) % 3
    return Dataset((X[:41], y[:41]), (X[41:], y[41:]), ("a", "b", "c"))


def network(dropout=0.0, momentum=0.1):
    """In double precision, so that "equal to rounding" leaves no room for a mistake."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4, momentum=momentum), nn.ReLU(), nn.Flatten(), nn.Dropout(dropout),
        nn.Linear(144, 12), nn.BatchNorm1d(12, affine=False), nn.Linear(12, 3),
    ).double()  # fmt: skip


class WatchedSGD(torch.optim.SGD):
    """Plain SGD that keeps the gradients of every step."""

    def __init__(self, parameters, lr):
        super().__init__(parameters, lr=lr)
        self.seen = []

    def step(self, closure=None):
        self.seen.append([weight.grad.clone() for group in self.param_groups for weight in group["params"]])
        return super().step(closure)


class Stop(Exception):
    pass


class Augment:
    """Small turns, and SIGTERM to the process ``rank`` in batch ``batch``."""

    def __init__(self, batch=0, rank=0):
        self.batch, self.rank, self.calls = batch, rank, 0

    def __call__(self, X, generator):
        self.calls += 1
        if self.calls == self.batch and training.Workers().rank == self.rank:
            signal.raise_signal(signal.SIGTERM)
        return training.random_affine(X, generator)


# --- what is run in one process and in two ----------------------------------------------------------------------------


def gradients(folder, momentum=0.1):
    optimizers, callbacks, model = [], [], network(momentum=momentum)

    def watched(parameters, lr):
        optimizers.append(WatchedSGD(parameters, lr))
        return optimizers[0]

    history = training.fit(
        model, images(), optimizer=watched, lr=0.1, callback=lambda *_: callbacks.append(1), **EVERYWHERE
    )
    record = {name: values for name, values in history.as_dict().items() if "second" not in name}
    return {"gradients": optimizers[0].seen, "weights": model.state_dict(), "history": record,
            "callbacks": len(callbacks)}  # fmt: skip


def trained(folder, name, batch=0, rank=0, dropout=0.0):
    """Weights after a training with the checkpoint ``name``; SIGTERM in one process stops all in the same batch."""
    model = network(dropout=dropout)
    settings = EVERYWHERE | {"augment": Augment(batch, rank), "optimizer": "sgd", "lr": 0.1}
    try:
        training.fit(model, images(), checkpoint=folder / name, **settings)
    except Stop:
        return "stopped"
    return model.state_dict()


def pooled(folder, dtype=torch.float64, **how):
    """Losses and weights of a network that pools."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
                          nn.Linear(36, 3)).to(dtype)  # fmt: skip
    data = Dataset(*((X.to(dtype), y) for X, y in images()[:2]), images().classes)
    history = training.fit(model, data, optimizer="sgd", lr=0.1, **EVERYWHERE, **how)
    return {"loss": history.train_loss, "weights": model.state_dict()}


def dropout_masks(folder):
    """What dropout leaves of ones in this process, and the random state before and after."""
    forward = training.Workers().replicate(model := nn.Sequential(nn.Linear(64, 64), nn.Dropout(0.5)))
    nn.init.ones_(model[0].weight)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    mask = forward(torch.ones(1, 64)) != 0
    after = torch.rand(1)
    return mask, torch.equal(before, torch.get_rng_state()), after


def refused(folder, batch_size, lr, **how):
    try:
        training.fit(network(), images(), optimizer="sgd", schedule="constant",
                     **EVERYWHERE | {"batch_size": batch_size, "lr": lr} | how)  # fmt: skip
    except (ValueError, FloatingPointError) as error:
        return f"{type(error).__name__}: {error}"
    return "taken"


WORK = {
    "gradients": gradients,
    "cumulative": functools.partial(gradients, momentum=None),
    "whole": functools.partial(trained, name="whole.pt", dropout=0.3),
    "stopped": functools.partial(trained, name="cut.pt", batch=5, rank=1, dropout=0.3),
    "resumed": functools.partial(trained, name="cut.pt", dropout=0.3),
    "two, stopped": functools.partial(trained, name="two.pt", batch=4, rank=1),
    "from one": functools.partial(trained, name="one.pt"),
    "dropout": dropout_masks,
    "small batch": functools.partial(refused, batch_size=40, lr=0.1),
    "no number": functools.partial(refused, batch_size=16, lr=1e300),
    "compiled": functools.partial(refused, batch_size=16, lr=0.1, compile=True),
    "fused": functools.partial(pooled, fuse=True),
    "bfloat16": functools.partial(pooled, dtype=torch.float32, amp=True),
}


def main(folder):
    """One of several processes: do all the work, write down what came out."""

    def stop(number, frame):
        raise Stop

    signal.signal(signal.SIGTERM, stop)
    torch.set_num_threads(1)
    store, rank, count = training.meet()
    with training.connect(torch.device("cpu"), store, rank, count):
        torch.save({name: work(folder) for name, work in WORK.items()}, folder / f"process{rank}.out")
    names = [name.read_text() for name in Path("/proc/self/task").glob("*/comm")]
    (folder / f"process{rank}.threads").write_text("".join(names))


# --- the processes ----------------------------------------------------------------------------------------------------


def start(count, *words):
    """``count`` processes of Python as torchrun starts them, but without torchrun to stop them."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    group = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return [
        subprocess.Popen(
            [sys.executable, "-W", "error", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
            env=os.environ | group | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(count)
    ]  # fmt: skip


def end(processes):
    """[(exit status, stdout, stderr)] of all processes; none outlives a failure."""
    try:
        return [(process.communicate(timeout=120), process.returncode)[::-1] for process in processes]
    finally:
        for process in processes:
            process.kill()


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The same work in this one process; its training "one.pt" is stopped in the fifth batch."""
    folder = tmp_path_factory.mktemp("alone")

    def stop(number, frame):
        raise Stop

    usual = signal.signal(signal.SIGTERM, stop)
    try:
        assert trained(folder, "one.pt", batch=5) == "stopped"
        return folder, {"gradients": gradients(folder), "cumulative": gradients(folder, momentum=None),
                        "whole": trained(folder, "whole.pt"), "dropout": dropout_masks(folder),
                        "plain": pooled(folder), "bfloat16": WORK["bfloat16"](folder)}  # fmt: skip
    finally:
        signal.signal(signal.SIGTERM, usual)


@pytest.fixture(scope="module")
def two(tmp_path_factory, alone):
    """The folder that two processes worked in, and what came out of each."""
    folder = tmp_path_factory.mktemp("two")
    (folder / "one.pt").write_bytes((alone[0] / "one.pt").read_bytes())
    for status, (_, err) in end(start(2, __file__, folder)):
        assert status == 0, err
    return folder, [torch.load(folder / f"process{rank}.out", weights_only=True) for rank in range(2)]


def close(first, second):
    torch.testing.assert_close(first, second, rtol=1e-9, atol=1e-12)


def counted(path):
    """The losses and accuracies in a checkpoint, to which every process has added its part."""
    history = training.load_checkpoint(path)["history"]
    return history["train_loss"], history["train_accuracy"], history["test_accuracy"]


# --- one training in two processes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("work", ["gradients", "cumulative"])
def test_every_gradient_is_that_of_a_single_process(alone, two, work):
    """Nine steps, three of them with 4 images in one process and 5 in the other, through two kinds of batch norm."""
    expected, found = alone[1][work], [result[work] for result in two[1]]
    assert len(expected["gradients"]) == 9
    for result in found:
        close(result["gradients"], expected["gradients"])
        close(result["weights"], expected["weights"])
        close(result["history"]["train_loss"], expected["history"]["train_loss"])
        for name in ("train_accuracy", "test_accuracy", "lr"):
            assert result["history"][name] == expected["history"][name]
    assert all(torch.equal(a, b) for a, b in zip(*(result["weights"].values() for result in found), strict=True))


def test_fused_in_two_processes_is_plain_in_one(alone, two):
    for result in two[1]:
        close(result["fused"], alone[1]["plain"])


def test_bfloat16_in_two_processes_is_bfloat16_in_one_to_its_few_digits(alone, two):
    """Batch normalization, over both processes, must count in float32: in bfloat16 257 is 256."""
    first, second = (result["bfloat16"] for result in two[1])
    assert all(torch.equal(first["weights"][name], value) for name, value in second["weights"].items())
    torch.testing.assert_close(first, alone[1]["bfloat16"], rtol=0.02, atol=0.005)


def test_only_the_first_process_calls_back(two):
    assert [result["gradients"]["callbacks"] for result in two[1]] == [3, 0]


def test_stopped_in_one_process_and_resumed_in_two_is_bit_for_bit(two):
    for result in two[1]:
        assert result["stopped"] == "stopped"
        assert all(torch.equal(result["resumed"][name], value) for name, value in result["whole"].items())
    assert counted(two[0] / "cut.pt") == counted(two[0] / "whole.pt")
    assert sorted(path.name for path in two[0].glob("*.pt*")) == ["cut.pt", "one.pt", "two.pt", "whole.pt"]


def test_from_one_process_to_two(alone, two):
    for result in two[1]:
        close(result["from one"], alone[1]["whole"])
    close(counted(two[0] / "one.pt"), counted(alone[0] / "whole.pt"))


def test_from_two_processes_to_one(tmp_path, alone, two):
    path = tmp_path / "two.pt"
    path.write_bytes((two[0] / "two.pt").read_bytes())
    assert training.progress_of(path) == "epoch 2, batch 1"
    close(trained(tmp_path, "two.pt"), alone[1]["whole"])
    close(counted(path), counted(alone[0] / "whole.pt"))


def test_dropout_differs_between_processes_and_leaves_them_in_step(alone, two):
    (first, _, after), (second, _, after_too) = (result["dropout"] for result in two[1])
    assert not torch.equal(first, second)
    assert torch.equal(after, after_too)
    assert 0 < first.sum() < 64


def test_what_no_process_can_train_is_refused_by_all(two):
    for result in two[1]:
        assert result["small batch"] == (
            "ValueError: batch_size 40 and 41 images give a batch of 1, fewer than the 2 processes: "
            "use another batch_size or fewer processes."
        )
        assert result["no number"].startswith("FloatingPointError: the loss became ")
        assert result["no number"].endswith("use a lower lr than 1e+300")
        assert result["compiled"] == "ValueError: compile must be False with several processes, got True."


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_shares_are_a_partition_and_differ_by_one_at_most(count):
    workers = training.Workers()
    for length in range(30):
        shares = []
        for workers.rank in range(count):
            workers.count = count
            shares.append(list(range(length))[workers.share(length)])
        assert [thing for share in shares for thing in share] == list(range(length))
        assert max(map(len, shares)) - min(map(len, shares)) <= 1


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def train(tmp_path_factory):
    """The beginning of a command that trains on 61 pictures."""
    return ["train", "--data", str(write_four(tmp_path_factory.mktemp("idx"), train=61))]


@pytest.mark.skipif(sys.platform != "linux", reason="reads the names of threads from /proc")
@pytest.mark.parametrize("rank", [0, 1])
def test_no_thread_of_the_group_outlives_it(two, rank):
    """One that lets go of its last tensor while Python ends would abort the process."""
    threads = (two[0] / f"process{rank}.threads").read_text().split()
    assert threads
    assert not [name for name in threads if "gloo" in name]


def test_torchrun_trains_with_one_voice_and_one_file(tmp_path, train):
    # Not AdamW, which makes a full step of every rounding error.
    words = [*train, "--epochs", "2", "--batch-size", "26", "--model", "lenet", "--optimizer", "sgd", "--lr", "0.9"]
    run = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "course_utils"]
    words += ["--checkpoint", str(tmp_path / "two.pt")]
    done = subprocess.run([*run, *words], capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    *epochs, last = done.stdout.splitlines()
    assert [line.split(":")[0] for line in epochs] == ["epoch 1 of 2", "epoch 2 of 2"]
    assert last.startswith("test accuracy ")
    assert os.listdir(tmp_path) == ["two.pt"]
    words[-1] = str(tmp_path / "one.pt")
    assert command_line(words) == 0
    models = [training.load_checkpoint(tmp_path / name)["model"] for name in ("two.pt", "one.pt")]
    torch.testing.assert_close(*models, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dies", [0, 1])
def test_when_a_process_dies_the_other_says_so_and_any_number_goes_on(tmp_path, capsys, train, dies):
    path = tmp_path / "run.pt"
    words = [*train, "--epochs", "20", "--batch-size", "7", "--save-every", "0", "--checkpoint", str(path), "--resume"]
    processes = start(2, "-m", "course_utils", *words)
    while not path.exists() or training.progress_of(path) == "the start":
        assert all(process.poll() is None for process in processes), end(processes)
        time.sleep(0.2)
    processes[dies].kill()
    status, (_, err) = end(processes)[1 - dies]
    assert status == 1
    where, sentence = training.progress_of(path), err.splitlines()[-1]  # torch may speak first, of the lost store
    assert sentence.startswith("another training process has ended, or this one failed (")
    assert sentence.endswith(f"up to {where}; --resume goes on from there, with any number of processes")
    assert "Traceback" not in err
    assert command_line(words) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == f"going on from {where}"
    assert out[-1].startswith("test accuracy ")


def test_of_all_processes_that_fail_together_one_speaks(train):
    found = end(start(2, "-m", "course_utils", *train, "--batch-size", "60"))
    assert [status for status, _ in found] == [2, 2]
    assert sorted(out + err for _, (out, err) in found) == [
        "",
        "batch_size 60 and 61 images give a batch of 1, fewer than the 2 processes: "
        "use another batch_size or fewer processes.\n",
    ]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
