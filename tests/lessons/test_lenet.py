"""LeNet against the network of d2l, chapter 6.6, written with torch's own layers."""

import pytest
import torch
from torch import nn

from course_utils.lenet import LeNet, ModernLeNet


def d2l_net(padding=2):
    return nn.Sequential(
        nn.Conv2d(1, 6, kernel_size=5, padding=padding), nn.Sigmoid(),
        nn.AvgPool2d(kernel_size=2, stride=2),
        nn.Conv2d(6, 16, kernel_size=5), nn.Sigmoid(),
        nn.AvgPool2d(kernel_size=2, stride=2),
        nn.Flatten(),
        nn.Linear(16 * 5 * 5, 120), nn.Sigmoid(),
        nn.Linear(120, 84), nn.Sigmoid(),
        nn.Linear(84, 10))  # fmt: skip


def d2l_init(layer):
    if type(layer) in (nn.Linear, nn.Conv2d):
        nn.init.xavier_uniform_(layer.weight)


@pytest.mark.parametrize(("size", "padding"), [(28, 2), (32, 0)])
def test_lenet_is_the_network_of_d2l(size, padding):
    torch.manual_seed(3)
    theirs = d2l_net(padding)
    theirs.apply(d2l_init)
    torch.manual_seed(3)
    ours = LeNet(image_size=size)
    X = torch.rand(5, 1, size, size)
    assert torch.equal(ours(X), theirs(X))  # the same seed draws the same weights in the same order

    other = d2l_net(padding)
    ours.load_state_dict(dict(zip(ours.state_dict(), other.state_dict().values(), strict=True)))
    assert torch.equal(ours(X), other(X))
    assert not torch.equal(ours(X), theirs(X))


def test_parameter_count_of_the_textbook():
    layers = {"conv1": 156, "conv2": 2416, "fc1": 48120, "fc2": 10164, "output": 850}
    model = LeNet()
    counted = {name: sum(p.numel() for p in layer.parameters()) for name, layer in model.named_children()}
    assert {name: count for name, count in counted.items() if count} == layers
    assert sum(counted.values()) == 61706


@pytest.mark.parametrize("model_class", [LeNet, ModernLeNet])
@pytest.mark.parametrize("size", [28, 32])
def test_layer_by_layer_is_the_whole(model_class, size):
    model = model_class(num_classes=7, image_size=size).eval()
    X = step = torch.rand(3, 1, size, size)
    shapes = {}
    for name, layer in model.named_children():
        step = layer(step)
        shapes[name] = tuple(step.shape[1:])
    assert torch.equal(step, model(X))
    assert shapes["conv1"] == (6, 28, 28)
    assert shapes["pool2"] == (16, 5, 5)
    assert shapes["output"] == (7,)


def test_modern_lenet_is_made_of_modern_parts():
    kinds = {type(layer) for layer in ModernLeNet().children()}
    assert {nn.ReLU, nn.MaxPool2d, nn.BatchNorm2d} <= kinds
    assert not {nn.Sigmoid, nn.AvgPool2d} & kinds


def test_kaiming_keeps_the_signal_where_sigmoid_loses_it():
    """Inputs of unit variance: a ReLU network's scores vary with the image, the classic's hardly do."""
    torch.manual_seed(0)
    X = torch.randn(200, 1, 28, 28)
    spread = {kind.__name__: kind().eval()(X).std(dim=0).mean().item() for kind in (LeNet, ModernLeNet)}
    assert spread["ModernLeNet"] > 20 * spread["LeNet"]


@pytest.mark.parametrize("model_class", [LeNet, ModernLeNet])
@pytest.mark.parametrize("shape", [(2, 1, 32, 32), (2, 3, 28, 28), (2, 1, 8, 8), (1, 28, 28), (2, 1, 28, 30)])
def test_wrong_images_are_refused_with_both_shapes(model_class, shape):
    with pytest.raises(ValueError, match=r"\(N, 1, 28, 28\)") as caught:
        model_class()(torch.zeros(shape))
    assert str(shape) in str(caught.value)


@pytest.mark.parametrize("model_class", [LeNet, ModernLeNet])
def test_only_two_image_sizes(model_class):
    with pytest.raises(ValueError, match="28 or 32, got 30"):
        model_class(image_size=30)
