"""What makes training faster must not make it another one: fused pooling, bytes, bfloat16, compiled code."""

import functools
import os
import platform
import shutil
import subprocess
import sys

import pytest
import torch
from torch import nn

from course_utils import training
from course_utils.data import Dataset
from course_utils.lenet import LeNet, ModernLeNet
from course_utils.training import fit
from course_utils.training.evaluation import as_float
from course_utils.training.memory import has_glibc, keep_freed_memory

SETTINGS = {"epochs": 2, "batch_size": 16, "augment": training.random_affine, "label_smoothing": 0.1, "progress": False}
COMPILER = shutil.which(os.environ.get("CXX", "g++"))


def images(train=40, test=12):
    """Noise with a bright bar whose row tells the class, as bytes."""
    generator = torch.Generator().manual_seed(1)

    def part(count):
        y = torch.arange(count) % 3
        X = torch.randint(128, (count, 1, 28, 28), generator=generator, dtype=torch.uint8)
        for row in range(6):
            X[torch.arange(count), 0, 6 * y + row] += 100
        return X, y

    return Dataset(part(train), part(test), ("a", "b", "c"))


def network(kind=ModernLeNet):
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return kind(num_classes=3)


def trained(kind=ModernLeNet, **settings):
    model = network(kind)
    history = fit(model, images(), **SETTINGS | settings)
    return model, history


def assert_close(model, other, **tolerance):
    for ours, theirs in zip(model.state_dict().values(), other.state_dict().values(), strict=True):
        torch.testing.assert_close(ours, theirs, **tolerance)


def equal(model, other):
    pairs = zip(model.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_bytes_train_to_the_very_weights_of_floats():
    data, floats = images(), network()
    as_floats = Dataset(*((as_float(X), y) for X, y in (data.train, data.test)), data.classes)
    history = fit(floats, as_floats, **SETTINGS)
    model, other = trained()
    assert equal(model, floats)
    assert other.train_loss == history.train_loss
    assert training.evaluate(model, data) == training.evaluate(model, as_floats)


@pytest.mark.parametrize("kind", [LeNet, ModernLeNet])
def test_fused_training_is_plain_training_up_to_rounding(kind):
    """Plain steps of momentum: AdamW divides by the gradient's size, which blows up what is only rounding."""
    settings = {"optimizer": functools.partial(torch.optim.SGD, momentum=0.9), "lr": 0.02}
    plain, expected = trained(kind, **settings)
    fused, history = trained(kind, fuse=True, **settings)
    assert_close(fused, plain, atol=1e-4, rtol=1e-3)
    assert history.train_loss == pytest.approx(expected.train_loss, rel=1e-4)
    assert type(fused.conv1) is nn.Conv2d


@pytest.mark.parametrize("way", [{"fuse": True}, {"amp": True}, {"channels_last": True}, {"fuse": True, "amp": True}])
def test_the_same_seed_and_a_resumed_run_give_the_very_weights(tmp_path, way):
    whole, history = trained(**way)
    assert equal(whole, trained(**way)[0])

    class Stop(Exception):
        pass

    def interrupt(model, history):
        raise Stop

    with pytest.raises(Stop):
        trained(checkpoint=tmp_path / "run.pt", callback=interrupt, **way)
    resumed, again = trained(checkpoint=tmp_path / "run.pt", **way)
    assert equal(resumed, whole)
    assert again.train_loss == history.train_loss
    name, value = next(iter(way.items()))
    with pytest.raises(ValueError, match=f"was made with {name} {value}, not False"):
        trained(checkpoint=tmp_path / "run.pt", **way | {name: False})


def test_a_checkpoint_serves_plain_and_fused_networks_alike(tmp_path):
    model, _ = trained(fuse=True, checkpoint=tmp_path / "run.pt")
    plain = network()
    plain.load_state_dict(training.load_checkpoint(tmp_path / "run.pt")["model"])
    X = images().test[0]
    assert torch.equal(training.predict(plain, X), training.predict(model, X))


def test_bfloat16_is_used_and_the_weights_stay_float32():
    """Half the digits in between: other numbers, the same learning."""
    kinds = set()

    class Spy(nn.Linear):
        def forward(self, X):
            Y = super().forward(X)
            kinds.add(Y.dtype)
            return Y

    model = nn.Sequential(nn.Flatten(), Spy(784, 3))
    fit(model, images(), amp=True, **SETTINGS)
    assert torch.bfloat16 in kinds
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    rounded, history = trained(amp=True, epochs=6)
    exact, expected = trained(epochs=6)
    assert not equal(rounded, exact)
    assert history.test_accuracy[-1] == expected.test_accuracy[-1] == 1


def test_channels_last_is_another_order_in_memory_and_the_same_training():
    """Kept through an interruption, too: a checkpoint's numbers go into the memory that is there."""
    settings = {"optimizer": "sgd", "schedule": "constant"}
    model, _ = trained(channels_last=True, **settings)
    assert model.conv2.weight.is_contiguous(memory_format=torch.channels_last)
    assert_close(model, trained(**settings)[0], atol=1e-4, rtol=1e-3)


@pytest.mark.skipif(COMPILER is None or sys.platform != "linux", reason="torch.compile finds no compiler here")
@pytest.mark.filterwarnings("ignore:Guards may run slower on Python 3.13.0")  # said of that one version, and true
def test_compiled_training_is_plain_training_up_to_rounding():
    """A small network, because most of the time goes into the compiler."""

    def small(num_classes):
        return nn.Sequential(
            nn.Conv2d(1, 2, 3), nn.Sigmoid(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(338, num_classes)
        )

    settings = {"optimizer": "sgd", "schedule": "constant", "batch_size": 20, "augment": None}
    model, history = trained(small, compile=True, **settings)
    plain, expected = trained(small, **settings)
    assert_close(model, plain, atol=1e-5, rtol=1e-4)
    assert list(model.state_dict()) == list(plain.state_dict())
    assert history.train_loss == pytest.approx(expected.train_loss, rel=1e-4)


NO_COMPILER = """
import torch
from course_utils import training
from course_utils.data import Dataset
pair = torch.rand(8, 4), torch.arange(8) % 2
try:
    training.fit(torch.nn.Linear(4, 2), Dataset(pair, pair, ("a", "b")), epochs=1, compile=True, progress=False)
except ValueError as error:
    print(error)
"""


def test_without_a_compiler_it_says_so_in_one_sentence(tmp_path):
    environment = os.environ | {"CXX": "no-such-compiler", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", NO_COMPILER], capture_output=True, encoding="utf-8", env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("compile must be False on this machine: ")
    assert done.stdout.count("\n") == 1


@pytest.mark.parametrize(
    ("way", "error", "sentence"),
    [({"fuse": 1}, ValueError, "fuse must be True or False, got 1"),
     ({"amp": "yes"}, ValueError, "amp must be True or False, got 'yes'"),
     ({"channels_last": None}, ValueError, "channels_last must be True or False, got None"),
     ({"compile": "fast"}, ValueError, "compile must be True, False or one of default, reduce-overhead,"),
     ({"fuse": True}, ValueError, "fuse must be False for this model: model must have a Conv2d of stride 1")],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_in_a_sentence(way, error, sentence):
    with pytest.raises(error, match=sentence) as caught:
        fit(nn.Sequential(nn.Flatten(), nn.Linear(784, 3)), images(), **SETTINGS | way)
    assert "\n" not in str(caught.value)


# --- freed memory -----------------------------------------------------------------------------------------------------

FAULTS = """
import resource, torch
from course_utils.training import keep_freed_memory
done = {call}
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    tensors = [torch.ones(1_200_000) for _ in range(40)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults(), faults()
print(int(done), faults())
"""


@pytest.mark.skipif(not has_glibc(), reason="only glibc can be told to keep freed memory")
def test_kept_memory_is_used_again_without_a_page_fault():
    # By itself glibc changes its threshold as it goes, and by chance keeps much, too.
    fixed, found = os.environ | {"MALLOC_MMAP_THRESHOLD_": str(128 << 10)}, {}
    for call in ("False", "keep_freed_memory()"):
        command = [sys.executable, "-c", FAULTS.format(call=call)]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", env=fixed)
        assert done.returncode == 0, done.stderr
        found[call] = [int(word) for word in done.stdout.split()]
    (usual, without), (kept, with_it) = found.values()
    assert (usual, kept) == (0, 1)
    assert with_it < without / 10


@pytest.mark.parametrize("library", ["", "musl"])  # Windows and macOS have no name
def test_where_there_is_no_glibc_nothing_happens(monkeypatch, library):
    monkeypatch.setattr(platform, "libc_ver", lambda: (library, ""))
    assert not has_glibc()
    assert keep_freed_memory() is False


@pytest.mark.parametrize("limit", [-1, 2**31, 1.5, "much"])
def test_a_limit_that_is_none_is_refused(limit):
    with pytest.raises(ValueError, match=r"limit must be an int of bytes from 0 to 2\*\*31 - 1, got "):
        keep_freed_memory(limit)
