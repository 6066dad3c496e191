"""Convolution and pooling in one: outputs and gradients of the plain network, with its own Parameters."""

import copy

import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import nn

from course_utils.fused import ELEMENTWISE, PhaseConv2d, PhasePool, conv2d_of_stride_2, fuse_pooling, phase_kernels
from course_utils.lenet import LeNet, ModernLeNet

SIZES = st.tuples(st.integers(1, 12), st.integers(1, 12))
KERNELS = st.tuples(st.integers(1, 5), st.integers(1, 5))
PADDINGS = st.tuples(st.integers(0, 3), st.integers(0, 3))


def outputs_and_gradients(model, X):
    X = X.clone().requires_grad_()
    Y = model(X)
    weights = torch.linspace(-1, 2, Y.numel(), dtype=Y.dtype).view_as(Y)  # every output counts, and differently
    gradients = torch.autograd.grad((weights * Y.square()).sum(), [X, *model.parameters()])
    return [Y.detach(), *gradients]


def assert_same(fused, plain, X, **tolerance):
    for ours, theirs in zip(outputs_and_gradients(fused, X), outputs_and_gradients(plain, X), strict=True):
        torch.testing.assert_close(ours, theirs, **tolerance)


@given(SIZES, KERNELS, PADDINGS, st.integers(1, 3), st.sampled_from(["avg", "max"]), st.booleans(), st.data())
def test_outputs_and_gradients_are_those_of_the_plain_network(size, kernel, padding, channels, mode, bias, data):
    height, width = (n + 2 * p - k + 1 for n, p, k in zip(size, padding, kernel, strict=True))
    assume(min(height, width) >= 2)
    activation = data.draw(st.sampled_from(ELEMENTWISE))
    pool = {"avg": nn.AvgPool2d, "max": nn.MaxPool2d}[mode]
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(channels, 2, kernel, padding=padding, bias=bias), activation(), pool(2)).double()
    fused = fuse_pooling(plain)
    assert isinstance(fused[0], PhaseConv2d)
    X = torch.rand(2, channels, *size, dtype=torch.float64)
    assert_same(fused, plain, X)
    torch.testing.assert_close(fused(X[0]), plain(X[0]))  # one image without a batch


@pytest.mark.parametrize("model_class", [LeNet, ModernLeNet])
@pytest.mark.parametrize("image_size", [28, 32])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, {}), (torch.float32, {"atol": 2e-4, "rtol": 2e-4})], ids=["64", "32"]
)
def test_both_lenets(model_class, image_size, training, dtype, tolerance):
    torch.manual_seed(1)
    plain = model_class(image_size=image_size).to(dtype).train(training)
    other = copy.deepcopy(plain)
    fused = fuse_pooling(other)
    X = torch.rand(6, 1, image_size, image_size, dtype=dtype)
    assert_same(fused, plain, X, **tolerance)
    for name, value in plain.state_dict().items():  # the running statistics of batch normalization, too
        torch.testing.assert_close(fused.state_dict()[name], value)


def test_of_equal_pixels_the_same_one_gets_the_gradient():
    """On a black image all four pixels of a window tie: max pooling sends the gradient to the first."""
    X = torch.zeros(1, 1, 8, 8, dtype=torch.float64)
    X[..., 3:6, 2:5] = torch.tensor([[1.0, 1, 2], [2, 1, 2], [2, 2, 1]])
    plain = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.MaxPool2d(2)).double()
    nn.init.constant_(plain[0].weight, 0.5)
    assert_same(fuse_pooling(plain), plain, X)


def test_a_step_of_the_one_is_a_step_of_the_other():
    torch.manual_seed(2)
    plain, peer = LeNet(), LeNet()
    peer.load_state_dict(plain.state_dict())
    fused = fuse_pooling(plain)
    assert list(fused.state_dict()) == list(plain.state_dict())
    assert all(ours is theirs for ours, theirs in zip(fused.parameters(), plain.parameters(), strict=True))
    X, y = torch.rand(8, 1, 28, 28), torch.arange(8)
    for model in (fused, peer):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
        for _ in range(3):
            optimizer.zero_grad()
            F.cross_entropy(model(X), y).backward()
            optimizer.step()
    for ours, theirs in zip(plain.parameters(), peer.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)
    fused.load_state_dict(LeNet().state_dict())  # checkpoints go either way
    torch.testing.assert_close(fused(X), plain(X))
    assert type(plain.conv1) is nn.Conv2d  # the plain network is left as it was


def test_moving_the_plain_network_moves_the_fused_one():
    plain = LeNet()
    fused = fuse_pooling(plain)
    plain.double()
    assert {p.dtype for p in fused.parameters()} == {torch.float64}
    assert all(ours is theirs for ours, theirs in zip(fused.parameters(), plain.parameters(), strict=True))


def test_a_layer_that_is_used_twice_stays_so():
    act, pool = nn.Tanh(), nn.AvgPool2d(2)
    plain = nn.Sequential(nn.Conv2d(1, 2, 3), act, pool, nn.Conv2d(2, 2, 2), act, pool, nn.Flatten(), act).double()
    assert_same(fuse_pooling(plain), plain, torch.rand(2, 1, 13, 12, dtype=torch.float64))


@given(SIZES, KERNELS, PADDINGS)
def test_stride_2_as_stride_1(size, kernel, padding):
    assume(all(n + 2 * p >= k for n, p, k in zip(size, padding, kernel, strict=True)))
    X, K = torch.rand(2, 3, *size, dtype=torch.float64), torch.rand(4, 3, *kernel, dtype=torch.float64)
    bias = torch.rand(4, dtype=torch.float64)
    ours = conv2d_of_stride_2(X, K, bias, stride=2, padding=padding)
    torch.testing.assert_close(ours, F.conv2d(X, K, bias, stride=2, padding=padding))


def test_the_phases_are_the_pixels_in_the_order_of_a_window():
    X, conv = torch.rand(2, 3, 9, 10), nn.Conv2d(3, 4, 2)
    Y, phases = conv(X), PhaseConv2d(conv)(X).unflatten(2, (4, -1))
    assert phases.shape == (2, 4, 4, 4, 4)
    for number, (a, b) in enumerate([(0, 0), (0, 1), (1, 0), (1, 1)]):
        torch.testing.assert_close(phases[:, :, number], Y[:, :, a : a + 8 : 2, b : b + 8 : 2])
    assert phase_kernels(conv.weight).shape == (16, 3, 3, 3)


def test_only_what_is_exact_is_fused():
    def fused(*layers):
        """Which of the layers were replaced."""
        new = fuse_pooling(nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.MaxPool2d(2), *layers))
        return [number for number, layer in enumerate(new[2:]) if isinstance(layer, (PhaseConv2d, PhasePool))]

    conv, pool = nn.Conv2d(3, 3, 3, padding=1), nn.AvgPool2d(2)
    assert fused(conv, nn.BatchNorm2d(3), nn.ReLU(), pool) == [0, 3]
    assert fused(conv, conv, nn.ReLU(), nn.MaxPool2d((2, 2), stride=(2, 2))) == [1, 3]
    for layer in (
        nn.Conv2d(3, 3, 3, stride=2), nn.Conv2d(3, 3, 3, dilation=2), nn.Conv2d(3, 3, 3, groups=3),
        nn.Conv2d(3, 3, 3, padding=1, padding_mode="reflect"), nn.Conv2d(3, 3, 3, padding="same"),
        nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 3, 3)),
    ):  # fmt: skip
        assert fused(layer, pool) == []
    for between in (nn.Dropout(), nn.Softmax(1), nn.LayerNorm(8), nn.Flatten()):
        assert fused(conv, between, pool) == []
    for other in (
        nn.AvgPool2d(3), nn.AvgPool2d(2, stride=1), nn.AvgPool2d(2, padding=1), nn.AvgPool2d(2, ceil_mode=True),
        nn.AvgPool2d(2, divisor_override=3), nn.MaxPool2d(2, dilation=2), nn.MaxPool2d(2, return_indices=True),
        nn.MaxPool2d((2, 3)), nn.LPPool2d(2, 2),
    ):  # fmt: skip
        assert fused(conv, other) == []


def test_what_cannot_be_fused_is_refused_in_a_sentence():
    with pytest.raises(TypeError, match=r"^model must be an nn.Sequential, got Conv2d\.$"):
        fuse_pooling(nn.Conv2d(1, 1, 3))
    with pytest.raises(ValueError, match=r"^model must have a Conv2d of stride 1 followed by 2x2 pooling"):
        fuse_pooling(nn.Sequential(nn.Flatten(), nn.Linear(4, 4)))
    odd = fuse_pooling(nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.MaxPool2d(2)))
    with pytest.raises(ValueError, match="leaves some of 5x6 out: fuse_pooling needs even sizes"):
        odd(torch.rand(2, 1, 7, 8))
    with pytest.raises(ValueError, match=r"\(N, 1, 28, 28\), not \(2, 1, 32, 32\)"):
        fuse_pooling(LeNet())(torch.rand(2, 1, 32, 32))
