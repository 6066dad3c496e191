"""`python -m course_utils train`: what it prints, what it refuses, and how it survives being stopped."""

import os
import re
import signal
import struct
import subprocess
import sys
import time

import pytest
import torch

from course_utils import data, lenet, train_command, training
from course_utils.__main__ import main

COMMAND = [sys.executable, "-m", "course_utils", "train"]


def write_idx(path, numbers):
    header = struct.pack(f">4B{numbers.dim()}I", 0, 0, 8, numbers.dim(), *numbers.shape)
    path.write_bytes(header + numbers.byte().numpy().tobytes())


def write_four(folder, train=60, test=20, size=28, labels=10):
    """Four idx files of real digits, as many as asked for, cut to the size asked for."""
    folder.mkdir(exist_ok=True)
    digits = data.load("digits")
    for name, (X, y), count in (("train", digits.train, train), ("t10k", digits.test, test)):
        write_idx(folder / f"{name}-images-idx3-ubyte", (X[:count, 0, :size, :size] * 255).round())
        write_idx(folder / f"{name}-labels-idx1-ubyte", y[:count] % 10 + labels - 10)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_four(tmp_path_factory.mktemp("idx"))


def weights(path):
    return training.load_checkpoint(path)["model"]


def equal(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


# --- what it does -----------------------------------------------------------------------------------------------------


def test_the_defaults_are_fit_with_the_modern_recipe(tmp_path, folder, capsys):
    path = tmp_path / "run.pt"
    assert main(["train", "--data", str(folder), "--checkpoint", str(path)]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert err == ""
    assert [line.split(":")[0] for line in lines[:-1]] == [f"epoch {n} of 10" for n in range(1, 11)]
    torch.manual_seed(0)
    model = lenet.ModernLeNet()
    history = training.fit(
        model, data.load("mnist", root=folder), epochs=10, label_smoothing=0.1, augment=training.random_affine,
        fuse=True, progress=False,
    )  # fmt: skip
    assert equal(weights(path), model.state_dict())
    assert lines[-1] == f"test accuracy {history.test_accuracy[-1]:.2%} after 10 epochs"
    assert f"loss {history.train_loss[-1]:.4f}, train accuracy {history.train_accuracy[-1]:.2%}" in lines[-2]


def test_every_option_reaches_fit(monkeypatch, folder, capsys):
    calls = []
    monkeypatch.setattr(training, "fit", lambda model, data, **settings: calls.append((model, settings)))
    words = ["--model", "lenet", "--epochs", "3", "--batch-size", "5", "--lr", "0.9", "--optimizer", "sgd"]
    words += ["--schedule", "constant", "--label-smoothing", "0", "--no-augment", "--seed", "7", "--device", "cpu"]
    words += ["--no-fuse", "--amp", "--compile", "--channels-last"]
    words += ["--checkpoint", "nowhere.pt", "--save-every", "5", "--data", str(folder)]
    with pytest.raises(AttributeError):  # this fit returns no history
        main(["train", *words])
    (model, settings), *_ = calls
    assert type(model) is lenet.LeNet
    assert callable(settings.pop("callback"))
    assert settings == {
        "epochs": 3, "batch_size": 5, "lr": 0.9, "optimizer": "sgd", "schedule": "constant", "label_smoothing": 0.0,
        "augment": None, "device": torch.device("cpu"), "seed": 7, "checkpoint": "nowhere.pt", "checkpoint_every": 5.0,
        "progress": False, "fuse": False, "amp": True, "compile": True, "channels_last": True,
    }  # fmt: skip


def test_a_terminal_gets_a_bar_and_no_lines(monkeypatch, folder, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert main(["train", "--data", str(folder), "--epochs", "2"]) == 0
    out, err = capsys.readouterr()
    assert re.fullmatch(r"test accuracy \S+% after 2 epochs\n", out)
    assert "120/120" in err


def test_a_finished_training_is_told_again(tmp_path, folder, capsys):
    words = ["train", "--data", str(folder), "--epochs", "2", "--checkpoint", str(tmp_path / "run.pt"), "--resume"]
    assert main(words) == 0
    first = capsys.readouterr().out.splitlines()
    assert first[0] == "going on from the start, as there is no checkpoint yet"
    assert main(words) == 0
    assert capsys.readouterr().out.splitlines() == ["going on from the end of epoch 2", first[-1]]


def test_signal_handlers_are_put_back(folder):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    main(["train", "--data", str(folder), "--epochs", "1"])
    main(["train", "--data", "nowhere"])
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


# --- what it refuses --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "sentence"),
    [(["--data", "nowhere"], "--data must be .* or a folder with four idx files, got 'nowhere'"),
     (["--data", "EMPTY"], "--data must be a folder with the files train-images-idx3-ubyte, "),
     (["--data", "mnist"], r"--data mnist: its files are not in .*; add --download"),
     (["--epochs", "0"], "epochs must be an int of at least 1, got 0"),
     (["--batch-size", "-1"], "batch_size must be an int of at least 1, got -1"),
     (["--lr", "nan"], "lr must be a number greater than 0"), (["--save-every", "-1"], "checkpoint_every must be"),
     (["--label-smoothing", "2"], "label_smoothing must be"), (["--device", "quantum"], "--device must be one that"),
     (["--device", "cuda:99"], "--device must be one that torch finds here, got 'cuda:99'"),
     (["--device", "meta"], "--device must be one that"), (["--resume"], "--resume needs --checkpoint FILE")],
)  # fmt: skip
def test_bad_options_are_one_sentence(monkeypatch, tmp_path, folder, capsys, words, sentence):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    (tmp_path / "empty").mkdir()
    words = [str(tmp_path / "empty") if word == "EMPTY" else word for word in words]
    assert main(["train", "--data", str(folder), *words]) == 2
    out, err = capsys.readouterr()
    assert re.match(sentence, err)
    assert err.count("\n") == 1
    assert out == ""


def test_a_loss_that_is_no_number_is_one_sentence(folder, capsys):
    words = ["--lr", "1e38", "--optimizer", "sgd", "--schedule", "constant"]
    assert main(["train", "--data", str(folder), *words]) == 2
    assert re.fullmatch(r"the loss became \S+ in epoch \d+, batch 1 of 1: use a lower lr than 1e\+38\n",
                        capsys.readouterr().err)  # fmt: skip


@pytest.mark.parametrize(
    ("shape", "sentence"),
    [({"size": 27}, "must hold as many labels 0..9 as images of 28x28"), ({"labels": 12}, "labels 0..9"),
     ({"train": 0}, "train-images-idx3-ubyte holds no image")],
)  # fmt: skip
def test_bad_data_is_one_sentence(tmp_path, capsys, shape, sentence):
    write_four(tmp_path, **shape)
    assert main(["train", "--data", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert sentence in err
    assert err.count("\n") == 1


def test_a_checkpoint_is_never_overwritten_by_mistake(tmp_path, folder, capsys):
    path = tmp_path / "run.pt"
    words = ["train", "--data", str(folder), "--epochs", "2", "--checkpoint", str(path)]
    assert main(words) == 0
    content = path.read_bytes()
    for more, sentence in ([], "exists: add --resume"), (["--resume", "--seed", "1"], "was made with seed 0, not 1"):
        assert main(words + more) == 2
        assert sentence in capsys.readouterr().err
        assert path.read_bytes() == content
    for broken in content[: len(content) // 2], b"my thesis":
        path.write_bytes(broken)
        assert main([*words, "--resume"]) == 2
        assert "is not a whole checkpoint of this course" in capsys.readouterr().err
        assert path.read_bytes() == broken


def test_a_disk_that_is_full_is_one_sentence(tmp_path, folder, capsys, monkeypatch):
    def full(parts, file):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    assert main(["train", "--data", str(folder), "--checkpoint", str(tmp_path / "run.pt")]) == 2
    assert capsys.readouterr().err == "[Errno 28] No space left on device\n"


# --- how it is stopped ------------------------------------------------------------------------------------------------


class Training:
    """The real command in a process of its own: 200 batches, a checkpoint after each."""

    def __init__(self, folder, path, *more):
        self.path = path
        words = ["--data", folder, "--epochs", "10", "--batch-size", "3", "--save-every", "0", "--checkpoint", path]
        self.process = subprocess.Popen(
            [*COMMAND, *words, "--resume", *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
            creationflags=subprocess.CREATE_NEW_PROCESS_GROUP if os.name == "nt" else 0,
        )  # fmt: skip

    def wait_until_it_saves(self):
        """Until it has written a checkpoint that was not there before."""
        before = self.path.stat().st_mtime_ns if self.path.exists() else 0
        while not self.path.exists() or self.path.stat().st_mtime_ns == before:
            assert self.process.poll() is None, self.process.stderr.read()
            time.sleep(0.001)

    def end(self):
        """(exit status, what it said on stdout, on stderr)."""
        out, err = self.process.communicate()
        return self.process.returncode, out, err


def batches_done(path):
    parts = training.load_checkpoint(path)
    return 20 * len(parts["history"]["train_loss"]) + (len(parts["epoch"]["losses"]) if "epoch" in parts else 0)


def test_the_command_may_be_killed_again_and_again(tmp_path, folder):
    """Five kills and, where there are such signals, Ctrl-C and SIGTERM; then it ends with the weights of one go."""
    path, whole = tmp_path / "run.pt", tmp_path / "whole.pt"
    words = ["train", "--data", str(folder), "--epochs", "10", "--batch-size", "3", "--checkpoint", str(whole)]
    assert main(words) == 0
    for kill in range(5):
        training_process = Training(folder, path)
        training_process.wait_until_it_saves()
        time.sleep(0.013 * kill)
        training_process.process.kill()
        assert training_process.end()[0] != 0
    done = batches_done(path)
    assert 0 < done < 200
    if os.name != "nt":
        for number, status, word in (signal.SIGINT, 130, "Ctrl-C"), (signal.SIGTERM, 143, "SIGTERM"):
            training_process = Training(folder, path)
            training_process.wait_until_it_saves()
            training_process.process.send_signal(number)
            found, _, err = training_process.end()
            where = training.progress_of(path)
            assert (found, err) == (
                status, f"stopped by {word}: {path} holds the training up to {where}; --resume goes on from there\n",
            )  # fmt: skip
            assert batches_done(path) > done
            done = batches_done(path)
    status, out, _ = Training(folder, path).end()
    assert status == 0
    assert out.startswith("going on from epoch ")
    assert equal(weights(path), weights(whole))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM to send")
def test_stopped_without_a_checkpoint_it_says_that_nothing_was_kept(capsys, monkeypatch, folder):
    class Hasty:
        def __call__(self, X, generator):
            signal.raise_signal(signal.SIGTERM)
            return X

    monkeypatch.setattr(training, "random_affine", Hasty())
    assert main(["train", "--data", str(folder)]) == 143
    assert capsys.readouterr().err == "stopped by SIGTERM: nothing was kept, because no --checkpoint was named\n"


def test_the_help_names_every_option(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["train", "--help"])
    out = capsys.readouterr().out
    assert train_command.EXAMPLES in out
    for name in (
        "data",
        "model",
        "epochs",
        "batch-size",
        "lr",
        "optimizer",
        "schedule",
        "seed",
        "device",
        "checkpoint",
    ):
        assert f"--{name} " in out
