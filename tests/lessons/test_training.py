"""The trainer: against a loop written out in torch, bit for bit; interruptions; refusals."""

import functools
import math
import re
import signal
import threading
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.transforms import v2

from course_utils import training
from course_utils.data import Dataset
from course_utils.lenet import LeNet, ModernLeNet
from course_utils.training import (
    confusion_matrix,
    evaluate,
    fit,
    load_checkpoint,
    predict,
    random_affine,
    save_checkpoint,
)

SGD_MOMENTUM = functools.partial(torch.optim.SGD, momentum=0.9)
SMALL_TURNS = functools.partial(random_affine, degrees=5.0)
quiet_fit = functools.partial(fit, progress=False)


def tiny_data(train=40, test=12, classes=3, size=8):
    """Noise with a bright bar whose row tells the class: learnable in a second, not trivial."""
    generator = torch.Generator().manual_seed(1)

    def part(count):
        y = torch.arange(count) % classes
        X = torch.rand(count, 1, size, size, generator=generator)
        X[torch.arange(count), 0, y] += 0.5
        return X, y

    return Dataset(part(train), part(test), tuple("abc"[:classes]))


def tiny_net(seed=0):
    """A convolution, batch norm and dropout: weights, buffers and random numbers."""
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(0.2), nn.Linear(144, 3)
        )


def same_weights(model, other):
    pairs = zip(model.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def without_times(history):
    return {name: values for name, values in history.as_dict().items() if "second" not in name}


# --- training ---------------------------------------------------------------------------------------------------------


def test_fit_is_the_textbook_loop():
    """Plain SGD, constant rate, one batch: the weights of torch's loop written out, bit for bit."""
    data = tiny_data()
    X, y = data.train
    ours, theirs = nn.Sequential(nn.Flatten(), nn.Linear(64, 3)), nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    theirs.load_state_dict(ours.state_dict())
    order = torch.Generator().manual_seed(7)
    optimizer, losses = torch.optim.SGD(theirs.parameters(), lr=0.1), []
    for _ in range(3):
        permutation, total = torch.randperm(len(X), generator=order), 0.0
        for start in range(0, len(X), 16):
            batch = permutation[start : start + 16]
            loss = F.cross_entropy(theirs(X[batch]), y[batch], label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
        losses.append(total / len(X))
    history = quiet_fit(
        ours, data, epochs=3, batch_size=16, lr=0.1, optimizer="sgd", schedule="constant", label_smoothing=0.1, seed=7
    )
    assert same_weights(ours, theirs)
    assert history.train_loss == pytest.approx(losses)
    assert history.test_accuracy[-1] == evaluate(theirs, data)


def test_every_image_once_an_epoch_and_a_new_order_each():
    seen = []

    def spy(X, generator):
        seen.append(X[:, 0, 0, 0].tolist())
        return X

    numbered = torch.arange(10.0).view(10, 1, 1, 1).expand(10, 1, 8, 8)
    pair = numbered, torch.arange(10) % 3
    quiet_fit(tiny_net(), Dataset(pair, pair, ()), epochs=2, batch_size=4, augment=spy)
    assert [len(batch) for batch in seen] == [4, 4, 2] * 2
    first, second = seen[0] + seen[1] + seen[2], seen[3] + seen[4] + seen[5]
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", SGD_MOMENTUM])
@pytest.mark.parametrize("schedule", ["constant", "onecycle"])
def test_it_learns_with_every_setting(optimizer, schedule):
    data = tiny_data(train=60)
    lr = 0.1 if optimizer == "sgd" else 0.01
    history = quiet_fit(tiny_net(), data, epochs=15, batch_size=10, lr=lr, optimizer=optimizer, schedule=schedule)
    assert history.test_accuracy[-1] == 1
    assert history.train_loss[-1] < 0.5 * history.train_loss[0]


def test_the_rates_are_those_of_torch():
    data = tiny_data()
    history = quiet_fit(tiny_net(), data, epochs=6, batch_size=20, lr=0.02)
    optimizer = torch.optim.AdamW(tiny_net().parameters())
    peer = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.02, total_steps=12, cycle_momentum=False)
    rates = []
    for _ in range(12):
        rates.append(peer.get_last_lr()[0])
        optimizer.step()
        peer.step()
    assert history.lr == rates[::2]
    constant = quiet_fit(tiny_net(), data, epochs=3, batch_size=20, lr=0.02, schedule="constant")
    assert constant.lr == [0.02] * 3


def test_one_cycle_leaves_plain_sgd_without_momentum():
    optimizers = []

    def spy(parameters, lr):
        optimizers.append(torch.optim.SGD(parameters, lr=lr))
        return optimizers[0]

    quiet_fit(tiny_net(), tiny_data(), epochs=1, optimizer=spy, schedule="onecycle")
    assert optimizers[0].param_groups[0]["momentum"] == 0


def test_same_seed_same_numbers_and_the_world_untouched():
    data, runs = tiny_data(), []
    for seed, disturbance in ((0, 1), (0, 2), (1, 1)):
        torch.manual_seed(disturbance)
        before = torch.get_rng_state()
        model = tiny_net()
        history = quiet_fit(model, data, epochs=2, batch_size=16, augment=random_affine, seed=seed)
        assert torch.equal(torch.get_rng_state(), before)
        runs.append((model, without_times(history)))
    assert same_weights(runs[0][0], runs[1][0])
    assert runs[0][1] == runs[1][1]
    assert not same_weights(runs[0][0], runs[2][0])


def test_a_model_left_in_eval_mode_is_trained_in_train_mode():
    data, fresh, judged = tiny_data(), tiny_net(), tiny_net().eval()
    quiet_fit(fresh, data, epochs=1)
    quiet_fit(judged, data, epochs=1)
    assert same_weights(fresh, judged)


def test_a_callback_that_draws_random_numbers_changes_nothing():
    data, plain, drawn, calls = tiny_data(), tiny_net(), tiny_net(), []

    def callback(model, history):
        calls.append((model is drawn, len(history), torch.rand(3)))

    quiet_fit(plain, data, epochs=3)
    quiet_fit(drawn, data, epochs=3, callback=callback)
    assert same_weights(plain, drawn)
    assert [call[:2] for call in calls] == [(True, 1), (True, 2), (True, 3)]


def test_history_is_complete_and_says_how_it_ended():
    data, model = tiny_data(), tiny_net()
    history = quiet_fit(model, data, epochs=4)
    record = history.as_dict()
    assert list(record) == ["train_loss", "train_accuracy", "test_accuracy", "lr", "seconds", "images_per_second"]
    assert {len(values) for values in record.values()} == {len(history)} == {4}
    assert [s * r for s, r in zip(history.seconds, history.images_per_second, strict=True)] == pytest.approx([40] * 4)
    assert all(0 <= value <= 1 for value in history.train_accuracy + history.test_accuracy)
    assert history.test_accuracy[-1] == evaluate(model, data)
    loss, accuracy = history.train_loss[-1], history.test_accuracy[-1]
    assert repr(history) == f"History(4 epochs, train loss {loss:.3g}, test accuracy {accuracy:.1%})"
    assert repr(training.History()) == "History(0 epochs)"
    record["lr"].clear()
    assert len(history.lr) == 4


def test_history_draws_itself():
    picture = quiet_fit(tiny_net(), tiny_data(), epochs=2).plot()
    assert picture.png.startswith(b"\x89PNG")
    assert "test accuracy" in picture.alt


def test_the_progress_bar_counts_images(capsys):
    fit(tiny_net(), tiny_data(), epochs=2)
    assert "80/80" in capsys.readouterr().err
    quiet_fit(tiny_net(), tiny_data(), epochs=2)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("model_class", [LeNet, ModernLeNet])
def test_lenets_train(model_class):
    data = tiny_data(train=8, test=4, size=28)
    model = model_class(num_classes=3)
    before = [p.clone() for p in model.parameters()]
    history = quiet_fit(model, data, epochs=1, batch_size=4)
    assert math.isfinite(history.train_loss[0])
    assert not any(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert not model.training


# --- interruptions ----------------------------------------------------------------------------------------------------


class Stop(Exception):
    pass


SETTINGS = {"epochs": 4, "batch_size": 16, "augment": SMALL_TURNS, "label_smoothing": 0.1, "seed": 3}


@pytest.mark.parametrize("optimizer", ["adamw", SGD_MOMENTUM])
@pytest.mark.parametrize("epoch", [1, 2, 3, 4])
@pytest.mark.parametrize("error", [Stop, KeyboardInterrupt])
def test_interrupted_and_resumed_is_uninterrupted(tmp_path, optimizer, epoch, error):
    path, data, whole = tmp_path / "deep" / "run.pt", tiny_data(), tiny_net()
    expected = quiet_fit(whole, data, optimizer=optimizer, **SETTINGS)

    def interrupt(model, history):
        if len(history) == epoch:
            raise error

    with pytest.raises(error):
        quiet_fit(tiny_net(), data, optimizer=optimizer, checkpoint=path, callback=interrupt, **SETTINGS)
    resumed = tiny_net(seed=99)  # its weights must not matter
    epochs_done = []
    history = quiet_fit(
        resumed, data, optimizer=optimizer, checkpoint=path,
        callback=lambda model, history: epochs_done.append(len(history)), **SETTINGS,
    )  # fmt: skip
    assert same_weights(resumed, whole)
    assert without_times(history) == without_times(expected)
    assert epochs_done == list(range(epoch + 1, 5))
    assert [file.name for file in path.parent.iterdir()] == ["run.pt"]


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_interrupted_within_an_epoch_with_the_same_model(tmp_path, batch):
    """Also within the first epoch: the initial weights are in the file, though the model has moved on."""
    path, data, whole, model = tmp_path / "run.pt", tiny_data(), tiny_net(), tiny_net()
    settings = SETTINGS | {"augment": None}
    quiet_fit(whole, data, **settings)
    forwards = []

    def interrupt(*_):
        forwards.append(1)
        if len(forwards) == batch + 2:  # two forwards look at the data first
            raise KeyboardInterrupt

    handle = model.register_forward_pre_hook(interrupt)
    with pytest.raises(KeyboardInterrupt):
        quiet_fit(model, data, checkpoint=path, **settings)
    handle.remove()
    quiet_fit(model, data, checkpoint=path, **settings)
    assert same_weights(model, whole)


class SignalAt:
    """An augmentation that turns images a little, and in the given batch sends this process a signal."""

    def __init__(self, batch, *numbers):
        self.batch, self.numbers, self.calls = batch, numbers, 0

    def __call__(self, X, generator):
        self.calls += 1
        if self.calls == self.batch:
            for number in self.numbers:
                signal.raise_signal(number)
        return random_affine(X, generator)


@pytest.fixture
def on_sigterm():
    """What SIGTERM does in these tests: raise Stop."""

    def stop(number, frame):
        raise Stop

    usual = signal.signal(signal.SIGTERM, stop)
    yield stop
    signal.signal(signal.SIGTERM, usual)


TURNED = SETTINGS | {"augment": SignalAt(0)}


@pytest.mark.parametrize(("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Stop)])
@pytest.mark.parametrize("batch", range(1, 13))
def test_a_signal_waits_for_the_end_of_its_batch(tmp_path, on_sigterm, number, error, batch):
    path, data, whole, resumed = tmp_path / "run.pt", tiny_data(), tiny_net(), tiny_net(seed=99)
    expected = quiet_fit(whole, data, **TURNED)
    usual = signal.getsignal(number)
    with pytest.raises(error):
        quiet_fit(tiny_net(), data, checkpoint=path, **SETTINGS | {"augment": SignalAt(batch, number)})
    assert signal.getsignal(number) is usual
    parts = load_checkpoint(path)
    assert 3 * len(parts["history"]["train_loss"]) + len(parts["epoch"]["losses"]) == batch
    history = quiet_fit(resumed, data, checkpoint=path, **TURNED)
    assert same_weights(resumed, whole)
    assert without_times(history) == without_times(expected)
    assert "epoch" not in load_checkpoint(path)


def test_ctrl_c_pressed_twice_does_not_wait(tmp_path):
    path, augment = tmp_path / "run.pt", SignalAt(5, signal.SIGINT, signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        quiet_fit(tiny_net(), tiny_data(), checkpoint=path, **SETTINGS | {"augment": augment})
    parts = load_checkpoint(path)  # of the last whole epoch
    assert len(parts["history"]["train_loss"]) == 1
    assert "epoch" not in parts
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_without_a_checkpoint_a_signal_does_not_wait():
    augment = SignalAt(1, signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        quiet_fit(model := tiny_net(), tiny_data(), **SETTINGS | {"augment": augment})
    assert same_weights(model, tiny_net())


def test_a_signal_that_somebody_handles_or_ignores_stops_nothing(tmp_path):
    data, whole, heard = tiny_data(), tiny_net(), []
    quiet_fit(whole, data, **TURNED)
    for name, handler in {"handled": lambda number, frame: heard.append(number), "ignored": signal.SIG_IGN}.items():
        usual = signal.signal(signal.SIGTERM, handler)
        try:
            model, augment = tiny_net(), SignalAt(4, signal.SIGTERM)
            quiet_fit(model, data, checkpoint=tmp_path / name, **SETTINGS | {"augment": augment})
            assert signal.getsignal(signal.SIGTERM) is handler
        finally:
            signal.signal(signal.SIGTERM, usual)
        assert same_weights(model, whole)
    assert heard == [signal.SIGTERM]


def test_a_checkpoint_in_another_thread_where_python_has_no_handlers(tmp_path):
    model, whole = tiny_net(), tiny_net()
    quiet_fit(whole, tiny_data(), **SETTINGS)
    settings = SETTINGS | {"checkpoint": tmp_path / "run.pt"}
    thread = threading.Thread(target=lambda: quiet_fit(model, tiny_data(), **settings))
    thread.start()
    thread.join()
    assert same_weights(model, whole)


@pytest.mark.parametrize(("seconds", "saves"), [(0, 1 + 12 + 4), (3600, 1 + 4)])
def test_how_often_it_saves(tmp_path, monkeypatch, seconds, saves):
    """Before all, after each of 4 epochs, and with no time between saves after each of 12 batches."""
    count, save = [], torch.save
    monkeypatch.setattr(torch, "save", lambda parts, file: (count.append(1), save(parts, file)))
    quiet_fit(tiny_net(), tiny_data(), checkpoint=tmp_path / "run.pt", checkpoint_every=seconds, **SETTINGS)
    assert len(count) == saves


def test_a_finished_checkpoint_returns_at_once(tmp_path):
    path, data, first, second = tmp_path / "run.pt", tiny_data(), tiny_net(), tiny_net(seed=5)
    history = quiet_fit(first, data, checkpoint=path, **SETTINGS)
    content = path.read_bytes()
    again = quiet_fit(second, data, checkpoint=path, callback=pytest.fail, **SETTINGS)
    assert same_weights(first, second)
    assert again == history
    assert not second.training
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("name", "value"),
    [("lr", 0.02), ("seed", 4), ("batch_size", 8), ("epochs", 5), ("label_smoothing", 0.0), ("augment", None),
     ("augment", functools.partial(random_affine, degrees=6.0)), ("schedule", "constant"), ("optimizer", "sgd"),
     ("optimizer", SGD_MOMENTUM)],
)  # fmt: skip
def test_other_settings_are_refused(tmp_path, name, value):
    path = tmp_path / "run.pt"
    quiet_fit(tiny_net(), tiny_data(), checkpoint=path, **SETTINGS)
    with pytest.raises(ValueError, match=f"was made with {name}") as caught:
        quiet_fit(tiny_net(), tiny_data(), checkpoint=path, **SETTINGS | {name: value})
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_another_model_or_other_data_is_refused(tmp_path):
    path = tmp_path / "run.pt"
    quiet_fit(tiny_net(), tiny_data(), checkpoint=path, **SETTINGS)
    other = tiny_net()
    other[2] = nn.Sigmoid()
    with pytest.raises(ValueError, match="was made with model"):
        quiet_fit(other, tiny_data(), checkpoint=path, **SETTINGS)
    with pytest.raises(ValueError, match="was made with data"):
        quiet_fit(tiny_net(), tiny_data(train=41), checkpoint=path, **SETTINGS)


def test_no_part_of_a_checkpoint_is_taken_for_the_whole(tmp_path):
    path = tmp_path / "run.pt"
    quiet_fit(tiny_net(), tiny_data(), checkpoint=path, **SETTINGS)
    content = path.read_bytes()
    for length in (0, 1, 3, 100, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match="not a whole checkpoint"):
            quiet_fit(tiny_net(), tiny_data(), checkpoint=path, **SETTINGS)
        assert path.read_bytes() == content[:length]


def test_no_damaged_byte_goes_unnoticed(tmp_path):
    """Either the file is refused, or what is read is what was written: torch.load alone does not promise this."""
    path, parts = tmp_path / "run.pt", {"weight": torch.arange(500.0), "name": "LeNet", "numbers": [1.5, 2.5]}
    save_checkpoint(path, **parts)
    content, refused = path.read_bytes(), 0
    for place in range(0, len(content), 5):
        path.write_bytes(content[:place] + bytes([content[place] ^ 16]) + content[place + 1 :])
        try:
            found = load_checkpoint(path)
        except ValueError:
            refused += 1
        else:
            assert torch.equal(found.pop("weight"), parts["weight"])
            assert found == {"name": "LeNet", "numbers": [1.5, 2.5]}
    assert refused > len(content) / 5 / 2


def test_a_checkpoint_that_lacks_a_part_is_refused(tmp_path):
    path = tmp_path / "run.pt"
    quiet_fit(tiny_net(), tiny_data(), checkpoint=path, **SETTINGS)
    parts = load_checkpoint(path)
    for name in parts:
        save_checkpoint(path, **{key: value for key, value in parts.items() if key != name})
        with pytest.raises(ValueError, match="holds no training to go on with"):
            quiet_fit(tiny_net(), tiny_data(), checkpoint=path, **SETTINGS)


class Evil:
    def __reduce__(self):
        return (pytest.fail, ("the file ran code",))


@pytest.mark.parametrize("foreign", ["text", "zip", "tensor", "weights", "code", "save_checkpoint", "folder"])
def test_foreign_files_are_refused(tmp_path, foreign):
    path = tmp_path / "run.pt"
    if foreign == "text":
        path.write_text("epoch 1: all is well", encoding="utf-8")
    elif foreign == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("hello.txt", "hello")
    elif foreign == "save_checkpoint":
        save_checkpoint(path, model=tiny_net().state_dict())
    elif foreign == "folder":
        path.mkdir()
    else:
        torch.save({"tensor": torch.zeros(3), "weights": tiny_net().state_dict(), "code": Evil()}[foreign], path)
    with pytest.raises(ValueError, match=re.escape(str(path))) as caught:
        quiet_fit(tiny_net(), tiny_data(), checkpoint=path, **SETTINGS)
    assert "\n" not in str(caught.value)


def test_checkpoints_for_own_use(tmp_path):
    path, model = tmp_path / "a" / "weights.pt", tiny_net()
    save_checkpoint(path, model=model.state_dict(), note="mine", numbers=[1, 2.5])
    parts = load_checkpoint(path)
    other = tiny_net(seed=8)
    other.load_state_dict(parts["model"])
    assert same_weights(model, other)
    assert (parts["note"], parts["numbers"], set(parts)) == ("mine", [1, 2.5], {"model", "note", "numbers"})
    with pytest.raises(FileNotFoundError, match="no checkpoint"):
        load_checkpoint(tmp_path / "none.pt")


def test_a_failed_write_keeps_the_old_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "run.pt"
    save_checkpoint(path, number=1)

    def half_a_file(file, content):
        with open(file, "wb") as half:
            half.write(content[: len(content) // 2])
        raise OSError("disk full")

    monkeypatch.setattr(Path, "write_bytes", half_a_file)
    with pytest.raises(OSError, match="disk full"):
        save_checkpoint(path, number=2)
    assert load_checkpoint(path) == {"number": 1}
    assert list(tmp_path.iterdir()) == [path]


# --- judging ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [1, 5, 12, 1000])
def test_evaluate_counts_right_answers_in_eval_mode(batch_size):
    data, model = tiny_data(), tiny_net()
    X, y = data.test
    model.eval()
    right = sum(int(model(x[None]).argmax() == label) for x, label in zip(X, y, strict=True))
    model.train()
    model[1].eval()  # a layer that somebody froze stays frozen
    buffers = [b.clone() for b in model.buffers()]
    assert evaluate(model, data, batch_size) == evaluate(model, data.test, batch_size) == right / 12
    assert [layer.training for layer in model] == [True, False, True, True, True, True]
    assert all(torch.equal(a, b) for a, b in zip(buffers, model.buffers(), strict=True))


def test_predict_restores_the_mode_after_an_error():
    model = tiny_net()
    with pytest.raises(RuntimeError):
        predict(model, torch.zeros(2, 1, 9, 9))
    assert all(layer.training for layer in model.modules())


def test_confusion_matrix_counts_every_image_once():
    generator = torch.Generator().manual_seed(0)
    scores, y = torch.rand(50, 4, generator=generator), torch.randint(4, (50,), generator=generator)
    matrix = confusion_matrix(nn.Identity(), (scores, y), 5)
    counts = Counter(zip(y.tolist(), scores.argmax(1).tolist(), strict=True))
    assert matrix.dtype == torch.int64
    assert matrix.tolist() == [[counts[true, predicted] for predicted in range(5)] for true in range(5)]
    assert matrix.trace().item() / 50 == evaluate(nn.Identity(), (scores, y))


@pytest.mark.parametrize("num_classes", [1, 2])
def test_confusion_matrix_refuses_classes_it_has_no_room_for(num_classes):
    with pytest.raises(ValueError, match="num_classes"):
        confusion_matrix(nn.Identity(), (torch.eye(3), torch.tensor([0, 1, 1])), num_classes)


# --- augmentation -----------------------------------------------------------------------------------------------------


def test_random_affine_turns_zooms_and_shifts_as_torchvision_does():
    X = torch.rand(6, 2, 20, 30, generator=torch.Generator().manual_seed(5))
    ours = random_affine(X, torch.Generator().manual_seed(0), degrees=40.0, shift=0.2, scale=0.3)
    dice = torch.rand(4, 6, generator=torch.Generator().manual_seed(0)) * 2 - 1
    for image, result, (turn, zoom, dx, dy) in zip(X, ours, dice.T.tolist(), strict=True):
        angle, factor = math.radians(40 * turn), 1 + 0.3 * zoom
        right, down = 0.2 * dx * 30, 0.2 * dy * 20
        # Ours shifts the source, torchvision the result: the same shift, turned back and zoomed, the other way.
        moved = [
            -factor * (math.cos(angle) * right + math.sin(angle) * down),
            factor * (math.sin(angle) * right - math.cos(angle) * down),
        ]
        peer = v2.functional.affine(
            image, -math.degrees(angle), moved, factor, [0.0, 0.0], interpolation=v2.InterpolationMode.BILINEAR
        )
        torch.testing.assert_close(result, peer, atol=1e-4, rtol=0)


def test_random_affine_of_nothing_is_the_image():
    X = torch.rand(3, 1, 9, 12)
    same = random_affine(X, torch.Generator().manual_seed(0), degrees=0, shift=0, scale=0)
    torch.testing.assert_close(same, X)


def test_random_affine_treats_each_image_in_its_own_way_and_as_the_seed_says():
    X = torch.rand(1, 1, 16, 16).expand(4, 1, 16, 16)
    first, again = (random_affine(X, torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(first, again)
    assert len({image.sum().item() for image in first}) == 4
    assert not torch.equal(first, random_affine(X, torch.Generator().manual_seed(2)))


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"epochs": 0}, "epochs must be"), ({"epochs": 1.5}, "epochs must be"), ({"batch_size": 0}, "batch_size must be"),
     ({"lr": 0}, "lr must be"), ({"lr": "fast"}, "lr must be"), ({"lr": -1.0}, "lr must be"),
     ({"lr": math.nan}, "lr must be"), ({"lr": math.inf}, "lr must be"),
     ({"schedule": "cosine"}, "schedule must be one of constant, onecycle, got 'cosine'"),
     ({"optimizer": "adam"}, "optimizer must be one of adamw, sgd or a callable, got 'adam'"),
     ({"label_smoothing": 1}, "label_smoothing must be"), ({"checkpoint_every": -1}, "checkpoint_every must be"),
     ({"checkpoint_every": math.nan}, "checkpoint_every must be")],
)  # fmt: skip
def test_bad_settings_name_the_argument(settings, message):
    with pytest.raises(ValueError, match=message) as caught:
        quiet_fit(tiny_net(), tiny_data(), **{"epochs": 1} | settings)
    assert repr(next(iter(settings.values()))) in str(caught.value)


X4, Y4 = torch.rand(4, 1, 8, 8), torch.tensor([0, 1, 2, 0])


@pytest.mark.parametrize(
    ("pair", "error", "message"),
    [((X4[:0], Y4[:0]), ValueError, "at least 1"), ((X4, Y4[:3]), ValueError, "and \\(3,\\)"),
     ((X4, Y4 + 1), ValueError, "must be 0..2, one per model output, got 1..3"),
     ((X4, Y4 - 1), ValueError, "got -1..1"), ((X4,), TypeError, "pair of tensors"),
     ((X4, Y4.float()), TypeError, "int64 labels"), (((X4 * 255).int(), Y4), TypeError, "float or uint8 images"),
     ((X4[..., :7], Y4), ValueError, "cannot take images of shape \\(1, 8, 7\\)"),
     ((X4.tolist(), Y4), TypeError, "pair of tensors"), (X4, TypeError, "pair of tensors")],
)  # fmt: skip
@pytest.mark.parametrize("part", ["train", "test"])
def test_bad_data_is_refused_before_training(pair, error, message, part):
    model = tiny_net()
    with pytest.raises(error, match=message) as caught:
        quiet_fit(model, tiny_data()._replace(**{part: pair}), epochs=1)
    assert "\n" not in str(caught.value)
    assert same_weights(model, tiny_net())


def test_data_must_have_two_parts():
    with pytest.raises(TypeError, match="Dataset with train and test, got tuple"):
        quiet_fit(tiny_net(), (X4, Y4), epochs=1)


def test_lenet_names_both_shapes():
    with pytest.raises(ValueError, match=r"\(N, 1, 28, 28\), not \(1, 1, 8, 8\)"):
        quiet_fit(LeNet(), tiny_data(), epochs=1)


def test_augment_must_be_callable():
    with pytest.raises(TypeError, match="augment must be a callable"):
        quiet_fit(tiny_net(), tiny_data(), epochs=1, augment="flip")


def test_a_loss_that_is_no_number_says_where_and_what_to_do(tmp_path):
    data, calls = tiny_data(), []

    def poison(X, generator):
        calls.append(1)
        return X * math.nan if len(calls) == 5 else X

    path = tmp_path / "run.pt"
    with pytest.raises(FloatingPointError, match=r"nan in epoch 2, batch 2 of 3: use a lower lr than 0.01"):
        quiet_fit(tiny_net(), data, epochs=3, batch_size=16, augment=poison, checkpoint=path)
    parts = load_checkpoint(path)
    assert len(parts["history"]["train_loss"]) == 1  # the last good epoch
    assert all(torch.isfinite(value).all() for value in parts["model"].values())


def test_what_is_no_number_is_never_saved(tmp_path):
    """The loss is measured before the step that spoils the weights: the weights are looked at, too."""
    path = tmp_path / "run.pt"
    settings = {"epochs": 3, "batch_size": 16, "lr": 1e38, "optimizer": "sgd", "schedule": "constant"}
    with pytest.raises(FloatingPointError, match=r"use a lower lr than 1e\+38"):
        quiet_fit(tiny_net(), tiny_data(), checkpoint=path, checkpoint_every=0, **settings)
    assert all(torch.isfinite(value).all() for value in load_checkpoint(path)["model"].values())


def test_a_rate_far_too_high_is_stopped():
    with pytest.raises(FloatingPointError, match="lower lr"):
        quiet_fit(tiny_net(), tiny_data(), epochs=5, batch_size=8, lr=1e30, optimizer="sgd", schedule="constant")


def test_a_rate_from_numpy_can_be_kept(tmp_path):
    settings = SETTINGS | {"lr": np.logspace(-2, -1, 2)[0], "checkpoint": tmp_path / "run.pt"}
    assert quiet_fit(tiny_net(), tiny_data(), **settings) == quiet_fit(tiny_net(), tiny_data(), **settings)
