"""Datasets: fixed splits, real idx files through torchvision's loader, a download from a server on this machine."""

import gzip
import hashlib
import http.server
import struct
import threading
from collections import Counter
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torchvision import datasets

from course_utils import data

SOURCES = {"fashion_mnist": datasets.FashionMNIST, "mnist": datasets.MNIST}


def idx_bytes(tensor):
    """The idx format: two zero bytes, type 8 (unsigned byte), number of dimensions, the sizes, the values."""
    return struct.pack(f">HBB{tensor.dim()}I", 0, 8, tensor.dim(), *tensor.shape) + bytes(tensor.flatten().tolist())


@pytest.fixture
def idx():
    """The four files of a tiny dataset, by name, and the tensors in them."""
    generator = torch.Generator().manual_seed(0)
    files, tensors = {}, []
    for prefix, count in (("train", 7), ("t10k", 3)):
        images = torch.randint(256, (count, 28, 28), generator=generator)
        labels = torch.randint(10, (count,), generator=generator)
        files[f"{prefix}-images-idx3-ubyte"] = idx_bytes(images)
        files[f"{prefix}-labels-idx1-ubyte"] = idx_bytes(labels)
        tensors.append((images, labels))
    return files, tensors


def write(folder, files, packed):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        if name in packed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (folder / name).write_bytes(content)


def listing(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def assert_same(dataset, tensors):
    for (X, y), (images, labels) in zip((dataset.train, dataset.test), tensors, strict=True):
        assert X.dtype == torch.float32
        assert y.dtype == torch.int64
        assert torch.equal(X, images[:, None] / 255)
        assert torch.equal(y, labels)


def test_bytes_are_a_quarter_and_the_same_numbers(tmp_path, idx):
    files, tensors = idx
    write(tmp_path, files, packed=())
    dataset = data.load("mnist", root=tmp_path, dtype=torch.uint8)
    for (X, y), (images, labels) in zip((dataset.train, dataset.test), tensors, strict=True):
        assert X.dtype == torch.uint8
        assert torch.equal(X, images[:, None])
        assert torch.equal(y, labels)
    floats = data.load("mnist", root=tmp_path)
    assert torch.equal(dataset.train[0].float() / 255, floats.train[0])


@pytest.mark.parametrize(
    ("name", "dtype", "choice"),
    [("digits", torch.uint8, "torch.float32 for 'digits'"), ("mnist", torch.int64, "torch.float32 or torch.uint8")],
)
def test_other_types_are_refused(name, dtype, choice):
    with pytest.raises(ValueError, match=f"dtype must be {choice}.*, got {dtype}"):
        data.load(name, dtype=dtype)


def test_digits_are_whole_and_split_as_ever():
    digits = data.load("digits")
    (X, y), (X_test, y_test) = digits.train, digits.test
    assert (X.shape, X_test.shape) == ((1437, 1, 28, 28), (360, 1, 28, 28))
    assert (X.dtype, y.dtype) == (torch.float32, torch.int64)
    assert X.min() == 0
    assert X.max() == 1
    assert y.bincount().tolist() == [142, 145, 142, 146, 145, 146, 145, 143, 139, 144]
    assert y_test.bincount().tolist() == [36, 37, 35, 37, 36, 36, 36, 36, 35, 36]
    assert digits.classes == tuple("0123456789")
    assert digits._fields == ("train", "test", "classes")


def test_digits_are_scikit_learns_and_each_is_in_one_part():
    from sklearn.datasets import load_digits

    def keys(X, y):
        return Counter((image.numpy().tobytes(), label) for image, label in zip(X, y.tolist(), strict=True))

    originals = load_digits()
    images = torch.tensor(originals.images, dtype=torch.float32)[:, None] / 16
    enlarged = F.interpolate(images, (28, 28), mode="bicubic").clamp(0, 1)
    digits = data.load()
    assert keys(*digits.train) + keys(*digits.test) == keys(enlarged, torch.tensor(originals.target))


def test_the_split_of_the_digits_never_changes():
    """The checksum stands for the 360 indices: who changes them makes every published accuracy incomparable."""
    from sklearn.datasets import load_digits

    labels = load_digits().target.tolist()
    train, test = data._stratified(labels, data.DIGITS_TEST, seed=0)
    assert sorted(train + test) == list(range(1797))
    assert hashlib.sha256(str(test).encode()).hexdigest()[:32] == "21e302c64785dc94ac40af7abee25378"


@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.5])
def test_split_keeps_every_image_and_every_proportion(fraction):
    y = torch.tensor([0] * 50 + [1] * 31 + [2] * 19)[torch.randperm(100, generator=torch.Generator().manual_seed(0))]
    X = torch.arange(100.0).view(100, 1)
    (X_rest, y_rest), (X_part, y_part) = data.split(X, y, fraction, seed=1)
    assert len(y_part) == round(100 * fraction)
    assert sorted(torch.cat([X_rest, X_part]).flatten().tolist()) == list(range(100))
    for X_some, y_some in ((X_rest, y_rest), (X_part, y_part)):
        assert torch.equal(y[X_some.flatten().long()], y_some)
    for label, count in enumerate((50, 31, 19)):
        assert abs((y_part == label).sum().item() - count * fraction) < 1


def test_tensors_go_to_the_device_asked_for(tmp_path, idx):
    write(tmp_path, idx[0], packed=[])
    for dataset in (data.load(device="meta"), data.load("mnist", root=tmp_path, device="meta")):
        assert {tensor.device.type for pair in dataset[:2] for tensor in pair} == {"meta"}


def test_split_depends_on_the_seed_alone():
    X, y = torch.arange(40.0).view(40, 1), torch.arange(40) % 4
    first, again, other = (data.split(X, y, 0.25, seed)[1][0] for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("fraction", [0, 1, -0.2, 1.5, 0.01])
def test_split_refuses_an_empty_part(fraction):
    with pytest.raises(ValueError, match="fraction"):
        data.split(torch.zeros(10, 1), torch.zeros(10, dtype=torch.int64), fraction)


def test_split_refuses_unequal_lengths():
    with pytest.raises(ValueError, match="got 10 and 9"):
        data.split(torch.zeros(10, 1), torch.zeros(9, dtype=torch.int64))


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("layout", ["torchvision", "flat"])
@pytest.mark.parametrize("packing", ["raw", "gzip", "mixed"])
def test_idx_files_are_read_where_they_lie(tmp_path, idx, name, layout, packing):
    files, tensors = idx
    packed = {"raw": [], "gzip": list(files), "mixed": list(files)[:2]}[packing]
    folder = tmp_path / SOURCES[name].__name__ / "raw" if layout == "torchvision" else tmp_path
    write(folder, files, packed)
    before = listing(tmp_path)
    dataset = data.load(name, root=tmp_path)
    assert_same(dataset, tensors)
    assert dataset.classes == tuple(SOURCES[name].classes)
    assert listing(tmp_path) == before


def test_torchvision_reads_the_same(tmp_path, idx):
    write(tmp_path / "FashionMNIST" / "raw", idx[0], packed=[])
    theirs = datasets.FashionMNIST(tmp_path, train=False)
    X, y = data.load("fashion_mnist", root=tmp_path).test
    assert torch.equal(X[:, 0], theirs.data / 255)
    assert torch.equal(y, theirs.targets)


def test_root_comes_from_the_environment(tmp_path, monkeypatch, idx):
    write(tmp_path, idx[0], packed=list(idx[0]))
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    assert_same(data.load("mnist"), idx[1])
    monkeypatch.delenv("COURSE_DATA")
    assert data.default_root().name == "data"
    assert (data.default_root().parent / "course_utils" / "data.py").is_file()


@pytest.mark.parametrize("missing", [0, 3])
def test_missing_files_say_where_and_what_to_do(tmp_path, idx, missing):
    files = dict(idx[0])
    del files[data.IDX_FILES[missing]]
    write(tmp_path, files, packed=[])
    with pytest.raises(FileNotFoundError) as caught:
        data.load("fashion_mnist", root=tmp_path)
    message = str(caught.value)
    for part in (str(tmp_path), "FashionMNIST", "download=True", "'digits'"):
        assert part in message
    assert "\n" not in message


@pytest.mark.parametrize("name", ["cifar", "Digits", None])
def test_an_unknown_name_lists_the_names(name):
    with pytest.raises(ValueError, match="digits, fashion_mnist, mnist"):
        data.load(name)


@pytest.mark.parametrize("damage", ["truncated gzip", "no gzip", "truncated", "empty", "text", "flipped"])
def test_damaged_files_are_named(tmp_path, idx, damage):
    files = idx[0]
    name = data.IDX_FILES[0]
    packed = list(files) if "gzip" in damage or damage == "flipped" else []
    write(tmp_path, files, packed)
    path = tmp_path / (f"{name}.gz" if packed else name)
    content = path.read_bytes()
    middle = len(content) // 2
    flipped = content[:middle] + bytes(255 - byte for byte in content[middle : middle + 50]) + content[middle + 50 :]
    path.write_bytes(
        {"truncated gzip": content[:middle], "truncated": content[:middle], "empty": b"", "flipped": flipped}.get(
            damage, b"this is not an idx file at all"
        )
    )
    with pytest.raises(ValueError, match="damaged") as caught:
        data.load("fashion_mnist", root=tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_do_not_belong_together_are_refused(tmp_path, idx):
    files = dict(idx[0])
    files["t10k-labels-idx1-ubyte"] = files["train-labels-idx1-ubyte"]
    write(tmp_path, files, packed=[])
    with pytest.raises(ValueError, match="as many labels"):
        data.load("mnist", root=tmp_path)


@pytest.fixture
def mirror(tmp_path, monkeypatch, idx):
    """torchvision's FashionMNIST, but downloading the tiny files from a server of this test."""
    served = tmp_path / "served"
    write(served, idx[0], packed=list(idx[0]))

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=served)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        sums = [(f"{name}.gz", hashlib.md5((served / f"{name}.gz").read_bytes()).hexdigest()) for name in idx[0]]
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        monkeypatch.setattr(datasets.FashionMNIST, "mirrors", [f"http://127.0.0.1:{server.server_port}/"])
        monkeypatch.setattr(datasets.FashionMNIST, "resources", sums)
        yield served
        server.shutdown()
        thread.join()


def test_download_only_when_asked_and_only_once(tmp_path, mirror, idx):
    root = tmp_path / "not" / "there yet"
    with pytest.raises(FileNotFoundError):
        data.load("fashion_mnist", root=root)
    assert not root.exists()
    assert_same(data.load("fashion_mnist", root=root, download=True), idx[1])
    assert sorted(path.name for path in root.rglob("*") if path.is_file()) == sorted(data.IDX_FILES)
    for path in mirror.iterdir():
        path.unlink()
    assert_same(data.load("fashion_mnist", root=root, download=True), idx[1])
    assert_same(data.load("fashion_mnist", root=root), idx[1])


def test_a_broken_download_leaves_nothing_behind(tmp_path, mirror):
    last = mirror / f"{data.IDX_FILES[3]}.gz"
    last.write_bytes(last.read_bytes()[:-9])  # its checksum is wrong now
    root = tmp_path / "root"
    with pytest.raises(ConnectionError, match=r"'digits'") as caught:
        data.load("fashion_mnist", root=root, download=True)
    assert "\n" not in str(caught.value)
    assert not [path for path in root.rglob("*") if path.is_file()]


def test_without_network_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(datasets.MNIST, "mirrors", ["http://127.0.0.1:9/"])  # nobody listens there
    with pytest.raises(ConnectionError, match="could not be downloaded") as caught:
        data.load("mnist", root=tmp_path, download=True)
    assert "'digits'" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "shape"), [("flower", (3, 427, 640)), ("china", (3, 427, 640))])
def test_photo_is_scikit_learns(name, shape):
    from sklearn.datasets import load_sample_image

    picture = data.photo(name)
    assert (picture.shape, picture.dtype) == (shape, torch.float32)
    assert torch.equal((picture * 255).round().permute(1, 2, 0), torch.tensor(load_sample_image(f"{name}.jpg")).float())


def test_photo_sizes():
    assert data.photo(size=100).shape == (3, 100, 150)
    assert data.photo(size=(40, 30)).shape == (3, 40, 30)
    small, large = data.photo(size=64, gray=True), data.photo(gray=True)
    assert small.shape == (1, 64, 96)
    assert large.shape == (1, 427, 640)
    assert 0 <= small.min() <= small.max() <= 1
    assert small.mean().item() == pytest.approx(large.mean().item(), abs=0.005)


def test_gray_weighs_green_most():
    peer = F.conv2d(data.photo()[None], torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1))[0]
    torch.testing.assert_close(data.photo(gray=True), peer)


@pytest.mark.parametrize("size", [0, (10,), (0, 5), (3, 10, 10)])
def test_photo_refuses_a_bad_size(size):
    with pytest.raises(ValueError, match="size must be"):
        data.photo(size=size)


def test_photo_lists_its_names():
    with pytest.raises(ValueError, match="'flower' or 'china'"):
        data.photo("cat")
