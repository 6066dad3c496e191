"""arithmetic against what torch really produces."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from course_utils import arithmetic as a

small = st.integers(1, 4)


@settings(max_examples=300, deadline=None)
@given(n=st.integers(1, 20), k=small, s=small, p=st.integers(0, 3), d=small)
def test_output_size_is_torchs_or_both_refuse(n, k, s, p, d):
    layer = nn.Conv1d(1, 1, k, stride=s, padding=p, dilation=d)
    try:
        expected = layer(torch.zeros(1, 1, n)).shape[-1]
    except RuntimeError:
        with pytest.raises(ValueError, match="kernel_size must fit into the padded input"):
            a.output_size(n, k, s, p, d)
    else:
        assert a.output_size(n, k, s, p, d) == expected


@settings(deadline=None)
@given(
    size=st.tuples(st.integers(8, 12), st.integers(8, 12)),
    k=st.tuples(small, small),
    s=small,
    p=st.tuples(small, small),
)
def test_tuples_and_ints_mix(size, k, s, p):
    layer = nn.Conv2d(1, 1, k, stride=s, padding=p)
    assert a.output_size(size, k, s, p) == tuple(layer(torch.zeros(1, 1, *size)).shape[-2:])


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
@given(n=st.integers(1, 12), k=small, d=small)
@settings(deadline=None)
def test_same_padding_keeps_the_size_as_torch_does(n, k, d):
    before, after = a.same_padding(k, d)
    X, layer = torch.randn(1, 1, n), nn.Conv1d(1, 1, k, padding="same", dilation=d)
    by_hand = nn.functional.conv1d(nn.functional.pad(X, (before, after)), layer.weight, layer.bias, dilation=d)
    torch.testing.assert_close(by_hand, layer(X))
    assert a.output_size(n, k, padding="same", dilation=d) == n


@given(n=st.integers(1, 12), k=small)
def test_full_convolution_of_n_and_k(n, k):
    assert a.output_size(n, k, padding="full") == n + k - 1
    assert a.output_size(n, k, padding="full") == a.output_size(n, k, padding=k - 1)


@settings(max_examples=60, deadline=None)
@given(layers=st.lists(st.tuples(small, st.integers(1, 2), st.integers(1, 2)), min_size=1, max_size=4))
def test_receptive_field_is_where_the_gradient_reaches(layers):
    convs = [nn.Conv1d(1, 1, k, stride=s, dilation=d, bias=False, dtype=torch.float64) for k, s, d in layers]
    for conv in convs:
        nn.init.ones_(conv.weight)  # ones cannot cancel
    field = a.receptive_field(layers)
    X = torch.ones(1, 1, field, dtype=torch.float64, requires_grad=True)
    Y = nn.Sequential(*convs)(X)
    assert Y.numel() == 1, "an input as wide as the receptive field has room for one output"
    Y.sum().backward()
    reached = X.grad[0, 0].nonzero().flatten()
    assert (reached[0], reached[-1]) == (0, field - 1)


@given(c=small, o=small, k=st.one_of(small, st.tuples(small, small)), g=st.integers(1, 3), bias=st.booleans())
@settings(deadline=None)
def test_parameters_and_macs(c, o, k, g, bias):
    layer = nn.Conv2d(c * g, o * g, k, groups=g, bias=bias)
    assert a.count_parameters(c * g, o * g, k, g, bias) == sum(p.numel() for p in layer.parameters())
    # With inputs and weights of one, each output counts the products that made it.
    nn.init.ones_(layer.weight)
    if bias:
        nn.init.zeros_(layer.bias)
    counted = layer(torch.ones(1, c * g, 6, 7)).sum().item()
    assert a.count_macs((6, 7), c * g, o * g, k, groups=g) == counted


@pytest.mark.parametrize(
    ("sentence", "call"),
    [
        ("stride must be at least 1, got 0", lambda: a.output_size(5, 3, stride=0)),
        ("padding must be at least 0, got -1", lambda: a.output_size(5, 3, padding=-1)),
        ("padding must be an int, a tuple, .* got 'half'", lambda: a.output_size(5, 3, padding="half")),
        ("padding='same' needs stride 1", lambda: a.output_size(5, 3, 2, "same")),
        ("kernel_size must be an int or a tuple of ints, got 3.0", lambda: a.output_size(5, 3.0)),
        ("one entry per axis", lambda: a.output_size((5, 5), (3, 3, 3))),
        ("groups must divide in_channels 3", lambda: a.count_parameters(3, 4, 3, groups=2)),
        ("out_channels must be at least 1", lambda: a.count_parameters(3, 0, 3)),
        ("layers must hold", lambda: a.receptive_field([3, 1])),
        ("kernel_size must fit", lambda: a.count_macs(2, 1, 1, 3)),
    ],
)
def test_wrong_calls_get_one_sentence(sentence, call):
    with pytest.raises(ValueError, match=sentence) as error:
        call()
    assert "\n" not in str(error.value)
