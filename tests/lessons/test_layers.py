"""layers: each variant against the course's own function, and as a citizen of torch.nn."""

import pytest
import torch
from torch import nn

from course_utils import layers, ops

X = torch.randn(3, 4, 9, 7, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def _same_start_values_in_every_run():
    torch.manual_seed(0)  # the attention's four ReLUs may all start dead, and then rightly have no gradient


VARIANTS = {
    "standard": lambda: layers.StandardConv2d(4, 8, 3, stride=2, padding=1),
    "pointwise": lambda: layers.PointwiseConv2d(4, 8),
    "asymmetric": lambda: layers.AsymmetricConv2d(4, 8, 3, stride=2, padding=1),
    "dilated": lambda: layers.DilatedConv2d(4, 8, 3, padding=2),
    "depthwise": lambda: layers.DepthwiseConv2d(4, 8, (3, 1), padding=(1, 0)),
    "group": lambda: layers.GroupConv2d(4, 8, 3, groups=2),
    "separable": lambda: layers.SeparableConv2d(4, 8, 3, stride=2),
    "transposed": lambda: layers.TransposedConv2d(4, 8, 3, stride=2, output_padding=1),
    "dynamic": lambda: layers.DynamicConv2d(4, 8, 3, padding=1, temperature=1.0),
}


def by_ops(layer, X):
    """The same layer through the course's functions."""
    if isinstance(layer, nn.Sequential):
        for part in layer:
            X = by_ops(part, X)
        return X
    if isinstance(layer, nn.ConvTranspose2d):
        return ops.conv_transpose2d(
            X,
            layer.weight,
            layer.bias,
            layer.stride,
            layer.padding,
            layer.output_padding,
            layer.groups,
            layer.dilation,
        )
    return ops.conv2d(X, layer.weight, layer.bias, layer.stride, layer.padding, layer.dilation, layer.groups)


@pytest.mark.parametrize("name", [name for name in VARIANTS if name != "dynamic"])
def test_variant_equals_the_courses_function(name):
    layer = VARIANTS[name]()
    torch.testing.assert_close(layer(X), by_ops(layer, X))


@pytest.mark.parametrize("name", VARIANTS)
def test_variant_is_a_module_that_trains_saves_and_moves(name):
    layer, twin = VARIANTS[name](), VARIANTS[name]()
    layer(X).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in layer.parameters())
    twin.load_state_dict(layer.state_dict())
    assert torch.equal(twin(X), layer(X))
    assert twin.double()(X.double()).dtype == torch.float64


def test_dynamic_gives_each_picture_its_own_kernel():
    layer = VARIANTS["dynamic"]()
    mix = layer.attention(X)
    torch.testing.assert_close(mix.sum(1), torch.ones(len(X)))
    assert (mix[0] - mix[1]).abs().max() > 1e-4, "the attention must depend on the picture"
    one_by_one = [
        ops.conv2d(x, (m.view(-1, 1, 1, 1, 1) * layer.weight).sum(0), m @ layer.bias, padding=1)
        for x, m in zip(X, mix, strict=True)
    ]
    torch.testing.assert_close(layer(X), torch.stack(one_by_one))
    torch.testing.assert_close(layer(X[1:2]), layer(X)[1:2])  # no picture depends on its neighbours in the batch


def test_a_hot_softmax_is_even_and_a_cold_one_chooses():
    hot, cold = (
        layers.DynamicConv2d(4, 8, 3, temperature=1e6),
        layers.DynamicConv2d(4, 8, 3, temperature=1e-6),
    )
    torch.testing.assert_close(hot.attention(X), torch.full((3, 4), 0.25))
    torch.testing.assert_close(cold.attention(X).max(1).values, torch.ones(3))


@pytest.mark.parametrize("bias", [True, False, 0.5])
def test_conv2d_module_is_corr2d_plus_bias(bias):
    K = torch.tensor([[1.0, -1.0, 2.0]])
    layer = layers.Conv2D((1, 3), weight=K, bias=bias)
    torch.testing.assert_close(layer(X[0, 0]), ops.corr2d(X[0, 0], K) + float(bias is not True and bias))
    assert sorted(layer.state_dict()) == (["weight"] if bias is False else ["bias", "weight"])
    with torch.no_grad():
        layer.weight.zero_()
    assert K.sum() == 2, "the caller's tensor must not be shared"


def test_a_buffer_is_saved_and_moves_but_does_not_train():
    layer = layers.Conv2D(2, trainable=False)
    assert list(layer.parameters()) == []
    assert sorted(layer.state_dict()) == ["bias", "weight"]
    assert layer.double().weight.dtype == torch.float64


def test_conv2d_module_learns_an_edge_kernel():
    torch.manual_seed(0)
    X = torch.ones(6, 8)
    X[:, 2:6] = 0
    Y = ops.corr2d(X, torch.tensor([[1.0, -1.0]]))
    layer = layers.Conv2D((1, 2), bias=False)
    for _ in range(60):
        layer.zero_grad()
        (layer(X) - Y).square().sum().backward()
        with torch.no_grad():
            layer.weight -= 0.03 * layer.weight.grad
    torch.testing.assert_close(layer.weight.detach(), torch.tensor([[1.0, -1.0]]), atol=0.02, rtol=0)


@pytest.mark.parametrize(
    ("sentence", "call"),
    [
        (
            r"weight must have the shape kernel_size \(2, 2\), got \(1, 2\)",
            lambda: layers.Conv2D(2, torch.ones(1, 2)),
        ),
        ("kernel_size must be 1", lambda: layers.PointwiseConv2d(3, 4, 3)),
        (r"kernel_size must be an int for an asymmetric pair", lambda: layers.AsymmetricConv2d(3, 4, (3, 3))),
        ("out_channels must be a multiple of in_channels 3", lambda: layers.DepthwiseConv2d(3, 4, 3)),
        ("groups", lambda: layers.GroupConv2d(3, 4, 3)),
        ("num_kernels must be at least 1", lambda: layers.DynamicConv2d(3, 4, 3, num_kernels=0)),
        ("temperature must be above 0", lambda: layers.DynamicConv2d(3, 4, 3, temperature=0)),
        ("kernel_size must be at least 1, got 0", lambda: layers.Conv2D(0)),
        ("kernel_size must be an int or a pair of ints, got '3'", lambda: layers.PointwiseConv2d(3, 4, "3")),
        (r"with N at least 1, got \(0, 3, 8, 8\)", lambda: layers.DynamicConv2d(3, 4, 3)(torch.zeros(0, 3, 8, 8))),
        (r"X must have shape \(N, 3, H, W\)", lambda: layers.DynamicConv2d(3, 4, 3)(X)),
    ],
)
def test_wrong_calls_get_one_sentence(sentence, call):
    with pytest.raises(ValueError, match=sentence):
        call()
