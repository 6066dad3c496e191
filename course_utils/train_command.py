"""`python -m course_utils train`: the trainer from a shell, in one process or, under `torchrun`, in many."""

import argparse
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

EXAMPLES = """examples:
  python -m course_utils train
  python -m course_utils train --data fashion_mnist --download --epochs 20 --checkpoint clothes.pt --resume
  torchrun --nproc-per-node 2 -m course_utils train --batch-size 128

The defaults are the modern recipe of lesson 13. The book's recipe is
  --model lenet --optimizer sgd --lr 0.9 --schedule constant --label-smoothing 0 --no-augment
Ctrl-C and SIGTERM leave a checkpoint. The same command with --resume goes on from it, to the same weights."""


class Terminated(KeyboardInterrupt):
    """SIGTERM came."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Tell the parser the options of `train`."""
    parser.formatter_class, parser.epilog = argparse.RawDescriptionHelpFormatter, EXAMPLES
    add = parser.add_argument
    add("--data", default="digits", help="digits, fashion_mnist, mnist or a folder with four idx files (digits)")
    add("--download", action="store_true", help="fetch the data if its files are missing")
    add("--model", choices=("modern", "lenet"), default="modern", help="ModernLeNet or the classic LeNet (modern)")
    add("--epochs", type=int, default=10, help="how often every training image is used (%(default)s)")
    add("--batch-size", type=int, default=64, help="images per step, of all processes together (%(default)s)")
    add("--lr", type=float, default=0.01, help="learning rate, with onecycle its peak (%(default)s)")
    add("--optimizer", choices=("adamw", "sgd"), default="adamw", help="how a step is made (%(default)s)")
    add("--schedule", choices=("onecycle", "constant"), default="onecycle", help="of the learning rate (%(default)s)")
    add("--label-smoothing", type=float, default=0.1, help="0 to below 1 (%(default)s)")
    add("--augment", action=argparse.BooleanOptionalAction, default=True, help="turn, zoom and shift a little (yes)")
    add("--seed", type=int, default=0, help="of weights, order and augmentation (%(default)s)")
    add("--fuse", action=argparse.BooleanOptionalAction, default=True, help="convolve and pool in one, faster (yes)")
    add("--amp", action="store_true", help="multiply in bfloat16: for a GPU, or a CPU that has it")
    add("--compile", action="store_true", help="let torch.compile write the code of each layer anew")
    add("--channels-last", action="store_true", help="keep the channels of a pixel side by side: for a GPU with --amp")
    add("--device", help="cpu, cuda, cuda:1, ... (cuda if there is one)")
    add("--checkpoint", metavar="FILE", help="keep the training in this file")
    add("--resume", action="store_true", help="go on from the checkpoint; without, an existing one is refused")
    add("--save-every", type=float, default=60, metavar="SECONDS", help="between checkpoints in an epoch (%(default)s)")


def run(options: argparse.Namespace) -> int:
    """Train as the options say; return the exit status. Whatever ends the training early is said in one sentence."""
    usual = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGTERM, _terminate)
    store = None
    try:
        try:
            from course_utils import training

            training.keep_freed_memory()
            store, rank, count = training.meet()
            _train(options, store, rank, count)
            return 0
        finally:  # a signal that comes while the last sentence is written must not end it
            for number in usual:
                signal.signal(number, signal.SIG_IGN)
    except KeyboardInterrupt as stop:
        status, sentence = (143, "stopped by SIGTERM") if isinstance(stop, Terminated) else (130, "stopped by Ctrl-C")
        _say(store, f"{sentence}: {_kept(options.checkpoint)}")
        return status
    except ConnectionError as error:
        _say(store, f"{error}: {_kept(options.checkpoint)}, with any number of processes")
        return 1
    except (FloatingPointError, OSError, ValueError) as error:
        _say(store, error)
        return 2
    finally:
        for number, handler in usual.items():
            signal.signal(number, handler)


def _terminate(number, frame) -> None:
    raise Terminated


def _say(store, sentence) -> None:
    """Print to stderr, unless another process has: of all that fail together, the first one knows why."""
    with suppress(RuntimeError):  # the store has gone with the process that kept it
        if store is not None and store.add("sentences", 1) > 1:
            return
    print(sentence, file=sys.stderr, flush=True)


def _kept(checkpoint: str | None) -> str:
    if checkpoint is None:
        return "nothing was kept, because no --checkpoint was named"
    if not Path(checkpoint).exists():
        return "nothing was kept, because training had not begun"
    from course_utils import training

    return f"{checkpoint} holds the training up to {training.progress_of(checkpoint)}; --resume goes on from there"


def _train(options, store, rank: int, count: int) -> None:
    import torch

    from course_utils import lenet, training

    device = _device(options.device, count)
    with training.connect(device, store, rank, count):
        workers = training.Workers()
        with workers.connection_errors():
            dataset = _load(options, workers)
            _look_at_checkpoint(options, workers)
            torch.manual_seed(options.seed)
            model_class = {"modern": lenet.ModernLeNet, "lenet": lenet.LeNet}[options.model]
            history = training.fit(
                model_class(num_classes=len(dataset.classes)), dataset, epochs=options.epochs,
                batch_size=options.batch_size, lr=options.lr, optimizer=options.optimizer, schedule=options.schedule,
                label_smoothing=options.label_smoothing, augment=training.random_affine if options.augment else None,
                device=device, seed=options.seed, fuse=options.fuse, amp=options.amp, compile=options.compile,
                channels_last=options.channels_last, checkpoint=options.checkpoint, checkpoint_every=options.save_every,
                callback=None if sys.stderr.isatty() else _line(options.epochs), progress=sys.stderr.isatty(),
            )  # fmt: skip
        if workers.is_first:
            print(f"test accuracy {history.test_accuracy[-1]:.2%} after {len(history)} epochs", flush=True)


def _line(epochs: int) -> Callable:
    """Return the callback that reports every epoch where no bar can be drawn."""

    def report(model, history):
        print(
            f"epoch {len(history)} of {epochs}: loss {history.train_loss[-1]:.4f}, "
            f"train accuracy {history.train_accuracy[-1]:.2%}, test accuracy {history.test_accuracy[-1]:.2%}, "
            f"{history.images_per_second[-1]:,.0f} images/s",
            flush=True,
        )

    return report


def _device(name: str | None, count: int):
    """Return the device to train on; of several GPUs, each process of a machine takes its own."""
    import torch

    name = name or ("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and count > 1:
        name = f"cuda:{os.environ.get('LOCAL_RANK', 0)}"
    try:
        torch.zeros(1, device=name).tolist()
    except (AssertionError, RuntimeError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"--device must be one that torch finds here, got {name!r} ({reason}).") from error
    if name.startswith("cuda"):
        torch.cuda.set_device(name)
    return torch.device(name)


def _load(options, workers):
    import torch

    from course_utils import data

    name, folder = options.data, Path(options.data)
    if name not in data.NAMES and not folder.is_dir():
        raise ValueError(f"--data must be {', '.join(data.NAMES)} or a folder with four idx files, got {name!r}.")
    if options.download and not workers.is_first:
        workers.largest(0)  # wait until the first process has downloaded
    try:
        if name in data.NAMES:
            dtype = torch.float32 if name == "digits" else torch.uint8
            return data.load(name, download=options.download, dtype=dtype)
        return data.load("mnist", root=folder, dtype=torch.uint8)
    except FileNotFoundError as error:
        if name in data.NAMES:
            raise ValueError(f"--data {name}: its files are not in {data.default_root()}; add --download.") from error
        raise ValueError(f"--data must be a folder with the files {', '.join(data.IDX_FILES)}, got {name}.") from error
    finally:
        if options.download and workers.is_first:
            workers.largest(0)


def _look_at_checkpoint(options, workers) -> None:
    """Check that --resume and the file agree. All processes look before the first one may write the file."""
    if options.checkpoint is None:
        if options.resume:
            raise ValueError("--resume needs --checkpoint FILE, to know what to go on with.")
        return
    there = Path(options.checkpoint).exists()
    workers.largest(0)
    if there and not options.resume:
        raise ValueError(
            f"--checkpoint {options.checkpoint} exists: add --resume to go on with it, or name another file."
        )
    if workers.is_first and options.resume:
        from course_utils import training

        where = training.progress_of(options.checkpoint) if there else "the start, as there is no checkpoint yet"
        print(f"going on from {where}", flush=True)
