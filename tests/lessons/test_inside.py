"""inside: each map against an answer known by hand or by another way, and the model as it was."""

import copy
import json
import re
import struct
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from course_utils import arithmetic, data, inside, lenet

X = torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def _same_start_values_in_every_run():
    torch.manual_seed(0)


class Sometimes(nn.Module):
    """Raises when it is asked."""

    def forward(self, X):
        raise ArithmeticError("no")


def linear(weight):
    """A network whose scores are linear: weight (classes, C, H, W)."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(weight[0].numel(), len(weight), dtype=weight.dtype))
    net[1].weight.data.copy_(weight.flatten(1))
    return net


def pooled(channels=4, classes=3, dtype=torch.float64):
    """Maps, their global average, one linear layer: here Grad-CAM is known by hand."""
    layers = [nn.Conv2d(1, channels, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)]
    return nn.Sequential(*layers).to(dtype)


# Values ---------------------------------------------------------------------------------------------------


def test_feature_maps_are_what_each_layer_returns():
    net = lenet.ModernLeNet().eval()
    maps, Y = inside.feature_maps(net, X), X
    assert list(maps) == [name for name, _ in net.named_children()]
    for name, layer in net.named_children():
        Y = layer(Y)
        assert torch.equal(maps[name], Y)
    assert not any(Y.requires_grad for Y in maps.values())


def test_feature_maps_survive_a_layer_that_works_in_place():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(inplace=True))
    maps = inside.feature_maps(net, X)
    assert maps["0"].min() < 0
    assert torch.equal(maps["1"], maps["0"].relu())


def test_a_layer_that_is_called_twice_is_kept_twice():
    act = nn.ReLU()
    maps = inside.feature_maps(nn.Sequential(nn.Conv2d(1, 2, 3), act, nn.Conv2d(2, 2, 3), act), X)
    assert list(maps) == ["0", "1", "2", "1#2"]
    assert maps["1"].shape == (3, 2, 26, 26)
    assert torch.equal(maps["1#2"], maps["2"].relu())


def test_saliency_of_a_linear_model_is_its_weight():
    weight = torch.randn(4, 3, 5, 6)
    found = inside.saliency(linear(weight), torch.randn(2, 3, 5, 6), torch.tensor([3, 1]))
    torch.testing.assert_close(found, weight[[3, 1]].abs().amax(1))


def test_saliency_foretells_what_a_small_step_changes():
    net, A = lenet.ModernLeNet().double().eval(), X[:1].double()
    found, step = inside.saliency(net, A, 7)[0], 1e-6
    for i, j in ((3, 4), (14, 14), (20, 9)):
        moved = A.clone()
        moved[0, 0, i, j] += step
        torch.testing.assert_close((net(moved) - net(A))[0, 7].abs() / step, found[i, j], rtol=1e-3, atol=1e-6)


@settings(max_examples=30)
@given(*4 * [st.integers(1, 4)], st.integers(0, 1000))
def test_occlusion_of_a_linear_model_is_weight_times_patch(h, w, sh, sw, seed):
    torch.manual_seed(seed)
    weight, A, fill = torch.randn(2, 3, 5, 6).double(), torch.randn(2, 3, 5, 6).double(), 0.25
    found = inside.occlusion(linear(weight), A, torch.tensor([1, 0]), size=(h, w), stride=(sh, sw), fill=fill)
    spoken = (weight[[1, 0]] * (A - fill)).sum(1)
    torch.testing.assert_close(found, spoken.unfold(1, h, sh).unfold(2, w, sw).sum((3, 4)))


def test_grad_cam_is_known_where_a_global_average_is_followed_by_one_linear_layer():
    """There the gradient of map k is weight[k] / (h w) everywhere: the class activation map of Zhou et al. (2016)."""
    net, A = pooled(), X.double()
    target = torch.tensor([2, 0, 1])
    maps = net[1](net[0](A))
    by_hand = torch.einsum("nk,nkij->nij", net[4].weight[target], maps).relu() / maps[0, 0].numel()
    torch.testing.assert_close(inside.grad_cam(net, A, target, "1"), by_hand)


def test_grad_cam_looks_at_the_maps_before_a_layer_that_works_in_place():
    net, A = pooled(), X.double()
    wanted = [inside.grad_cam(net, A, 1, name) for name in ("0", "1")]
    net[1] = nn.ReLU(inplace=True)
    for name, want in zip(("0", "1"), wanted, strict=True):
        assert torch.equal(inside.grad_cam(net, A, 1, name), want)
    assert not torch.equal(*wanted)


LAYER = st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.booleans())
STACKS = st.lists(LAYER, min_size=1, max_size=4)


@settings(max_examples=60)
@given(STACKS)
def test_the_measured_field_is_that_of_the_formula(stack):
    """Where all weights are positive and nothing bends, no path can cancel another."""
    layers, sizes = [], []
    for kernel, stride, dilation, average in stack:
        if average:
            layers.append(nn.AvgPool2d(kernel, stride))
            sizes.append((kernel, stride))
        else:
            layers.append(nn.Conv2d(1, 1, kernel, stride, dilation=dilation, bias=False).double())
            nn.init.constant_(layers[-1].weight, 1)
            sizes.append((kernel, stride, dilation))
    field = arithmetic.receptive_field(sizes)
    net, A = nn.Sequential(*layers), torch.zeros(1, 1, field, field + 3, dtype=torch.float64)
    assert inside.extent(inside.measured_receptive_field(net, A, at=(0, 0))) == (field, field)


def test_the_measured_field_is_a_gradient_averaged_over_pictures_and_added_over_channels():
    net = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.Tanh(), nn.Conv2d(3, 2, 3)).double()
    A = torch.randn(4, 2, 7, 9).double().requires_grad_()
    (gradient,) = torch.autograd.grad(net(A)[:, :, 1, 4].sum(), A)
    found = inside.measured_receptive_field(net, A, at=(1, 4))
    torch.testing.assert_close(found, gradient.abs().sum(1).mean(0))
    assert torch.equal(found, inside.measured_receptive_field(net, A.detach(), layer="2", at=(1, 4)))


def test_an_empty_field_has_no_extent():
    assert inside.extent(torch.zeros(3, 3)) == (0, 0)


# The model as it was -------------------------------------------------------------------------------------

CALLS = {
    "feature_maps": lambda net, X: inside.feature_maps(net, X),
    "saliency": lambda net, X: inside.saliency(net, X, 1),
    "occlusion": lambda net, X: inside.occlusion(net, X, 1, size=9, stride=9),
    "grad_cam": lambda net, X: inside.grad_cam(net, X, 1, "act2"),
    "measured_receptive_field": lambda net, X: inside.measured_receptive_field(net, X, "act2"),
}


def hooks(net):
    return sum(len(layer._forward_hooks) + len(layer._forward_pre_hooks) for layer in net.modules())


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("breaks", [False, True])
def test_the_model_is_left_as_it_was(name, breaks):
    net = lenet.ModernLeNet()
    net.fc1.eval()
    net.conv1.weight.requires_grad_(False)
    net.conv2.bias.grad = torch.ones(16)
    if breaks:
        net.fc2 = Sometimes()
    modes = [layer.training for layer in net.modules()]
    before = copy.deepcopy(net.state_dict())
    A = X.clone().requires_grad_()
    if breaks:
        with pytest.raises(ArithmeticError, match="no"):
            CALLS[name](net, A)
    else:
        CALLS[name](net, A)
    assert hooks(net) == 0
    assert [layer.training for layer in net.modules()] == modes
    assert all(torch.equal(a, b) for a, b in zip(before.values(), net.state_dict().values(), strict=True))
    assert [n for n, p in net.named_parameters() if p.grad is not None] == ["conv2.bias"]
    assert torch.equal(net.conv2.bias.grad, torch.ones(16))
    assert [n for n, p in net.named_parameters() if not p.requires_grad] == ["conv1.weight"]
    assert A.grad is None
    assert torch.equal(A, X)


@pytest.mark.parametrize("name", CALLS)
def test_a_hook_of_somebody_else_stays(name):
    net, seen = lenet.ModernLeNet(), []
    net.conv1.register_forward_hook(lambda layer, inputs, output: seen.append(1))
    CALLS[name](net, X)
    assert seen
    assert hooks(net) == 1


@pytest.mark.parametrize("name", CALLS)
def test_gradients_are_there_whatever_surrounds_the_call(name):
    net = lenet.ModernLeNet().requires_grad_(False)
    usual = CALLS[name](net, X)
    with torch.no_grad():
        found = CALLS[name](net, X)
    for a, b in zip(*([m.values() if isinstance(m, dict) else [m] for m in (usual, found)]), strict=True):
        assert torch.equal(a, b)
        assert not a.requires_grad


@pytest.mark.parametrize("name", [name for name in CALLS if name != "measured_receptive_field"])
def test_a_map_does_not_depend_on_the_neighbours(name):
    net = lenet.ModernLeNet().train()
    together, alone = CALLS[name](net, X), CALLS[name](net, X[:1])
    if isinstance(together, dict):
        together, alone = together["act2"], alone["act2"]
    torch.testing.assert_close(together[:1], alone, rtol=1e-4, atol=1e-6)


# The lesson ---------------------------------------------------------------------------------------------


def write_idx(path, numbers):
    header = struct.pack(f">4B{numbers.dim()}I", 0, 0, 8, numbers.dim(), *numbers.shape)
    path.write_bytes(header + numbers.byte().numpy().tobytes())


def test_lesson_14_shows_the_three_maps_of_clothes_where_the_files_are(tmp_path, monkeypatch):
    """CI has no Fashion-MNIST: digits in the format of its files stand in for it, and the lesson's own cell is run."""
    lesson = Path(__file__).resolve().parents[2] / "notebooks" / "14_look_inside.ipynb"
    sources = {cell["id"]: "".join(cell["source"]) for cell in json.loads(lesson.read_text(encoding="utf-8"))["cells"]}
    shown = []
    names = {"inside": inside, "display": shown.append}
    for name in ("setup", "cam-middle", "delete-three"):
        exec(sources[name], names)
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    exec(sources["fashion-see"], names)
    assert not shown  # nothing is there, and nothing was fetched
    for part, (images, labels) in zip(("train", "t10k"), data.load("digits")[:2], strict=True):
        write_idx(tmp_path / f"{part}-images-idx3-ubyte", (images[:, 0] * 255).round())
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte", labels)
    exec(sources["fashion-see"], names)
    (picture,) = shown
    titles = [f"{name} {n}: " for name in ("occlusion", "saliency", "Grad-CAM") for n in range(1, 5)]
    assert all(picture.alt.count(title) == 1 for title in titles)


# One sentence --------------------------------------------------------------------------------------------

NET = lenet.ModernLeNet()
NO_MAPS = nn.Sequential(nn.Flatten(), nn.Linear(784, 2))
WRONG = [
    (TypeError, "model must be an nn.Module, got function", lambda: inside.saliency(F.relu, X, 0)),
    (TypeError, "model must be an nn.Module, got list", lambda: inside.feature_maps([], X)),
    (TypeError, "X must be a floating-point tensor, got a tensor of torch.int64",
     lambda: inside.saliency(NET, X.long(), 0)),
    (TypeError, "X must be a floating-point tensor, got list", lambda: inside.occlusion(NET, [1.0], 0)),
    (ValueError, "X must be images (N, C, H, W) and not be empty, got shape (1, 28, 28)",
     lambda: inside.grad_cam(NET, X[0], 0, "conv1")),
    (ValueError, "X must be images", lambda: inside.occlusion(NET, X[:0], 0)),
    (ValueError, "target must be from 0 to 9, got 10", lambda: inside.saliency(NET, X, 10)),
    (ValueError, "target must be from 0 to 9, got [0, -1, 2]",
     lambda: inside.saliency(NET, X, torch.tensor([0, -1, 2]))),
    (ValueError, "target must be one class or a tensor of 3 classes",
     lambda: inside.occlusion(NET, X, torch.zeros(2).long())),
    (ValueError, "target must be one class or a tensor of 3 classes", lambda: inside.saliency(NET, X, 1.5)),
    (ValueError, "model must return scores (N, classes), got (3, 1, 26, 26)",
     lambda: inside.saliency(nn.Conv2d(1, 1, 3), X, 0)),
    (ValueError, "layer is 'cov2', and the model has none of that name; did you mean 'conv2'?",
     lambda: inside.grad_cam(NET, X, 0, "cov2")),
    (ValueError, "layer 'fc1' must return maps (N, C, h, w), got (3, 120)", lambda: inside.grad_cam(NET, X, 0, "fc1")),
    (ValueError, "layer 'the model' must return maps", lambda: inside.measured_receptive_field(NO_MAPS, X)),
    (ValueError, "at must be a position in maps of 28×28, got (28, 0)",
     lambda: inside.measured_receptive_field(NET, X, "conv1", at=(28, 0))),
    (ValueError, "size must fit into images of 28×28, got 29", lambda: inside.occlusion(NET, X, 0, size=29)),
    (ValueError, "stride must be at least 1", lambda: inside.occlusion(NET, X, 0, stride=0)),
    (ValueError, "field must be a matrix (H, W), got shape (3, 1, 28, 28)", lambda: inside.extent(X)),
]  # fmt: skip


@pytest.mark.parametrize(("error", "words", "call"), WRONG, ids=range(len(WRONG)))
def test_wrong_input_gets_one_sentence(error, words, call):
    with pytest.raises(error, match=re.escape(words)) as caught:
        call()
    sentence = str(caught.value)
    assert sentence[-1] in ".?"
    assert "\n" not in sentence
    assert len(sentence) < 200
