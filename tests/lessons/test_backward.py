"""The gradients written by hand against torch.nn.grad, autograd and finite differences."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from test_ops import both, int_or_pair, layouts, tensor
from torch.utils._python_dispatch import TorchDispatchMode

from course_utils import backward, ops

PEER = torch.nn.grad


@st.composite
def conv_calls(draw, batches=(0, 1, 2), paddings=()):
    """Input, weight, bias and the setting of a convolution; the last stride may leave rows and columns over."""
    groups = draw(st.integers(1, 3))
    c_in, c_out = groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))
    kernel, dilation = draw(st.tuples(st.integers(1, 4), st.integers(1, 4))), draw(int_or_pair(1, 3))
    padding = draw(st.one_of(int_or_pair(0, 3), *map(st.just, paddings)))
    stride = 1 if padding == "same" else draw(int_or_pair(1, 4))
    size = [d * (k - 1) + 1 + draw(st.integers(0, 5)) for d, k in zip(both(dilation), kernel, strict=True)]
    batch = draw(st.sampled_from(batches))
    X = draw(layouts(*(() if batch is None else (batch,)), c_in, *size))
    K, bias = draw(layouts(c_out, c_in // groups, *kernel)), draw(st.sampled_from([None, tensor(c_out, seed=7)]))
    return (X, K, bias), {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}


@settings(max_examples=200)
@given(call=conv_calls(), data=st.data())
def test_both_gradients_equal_torch_nn_grad(call, data):
    (X, K, _), setting = call
    G = data.draw(layouts(*F.conv2d(X, K, **setting).shape))
    kept = [T.clone() for T in (X, K, G)]
    ours = backward.conv2d_input(X.shape, K, G, **setting), backward.conv2d_weight(X, K.shape, G, **setting)
    peers = PEER.conv2d_input(X.shape, K, G, **setting), PEER.conv2d_weight(X, K.shape, G, **setting)
    torch.testing.assert_close(ours, peers)
    assert all(torch.equal(T, before) for T, before in zip((X, K, G), kept, strict=True)), "an argument was changed"


def gradients(function, tensors, setting):
    """The output, its gradients, and the gradients of a sum of these gradients."""
    leaves = [T.detach().clone(memory_format=torch.preserve_format).requires_grad_() for T in tensors if T is not None]
    Y = function(*leaves, *[None] * (3 - len(leaves)), **setting)
    G = torch.linspace(-1, 1, Y.numel(), dtype=Y.dtype).reshape(Y.shape).requires_grad_()
    first = torch.autograd.grad(Y, leaves, G, create_graph=True)
    total = sum((T * torch.linspace(-2, 1, T.numel(), dtype=T.dtype).reshape(T.shape)).sum() for T in first)
    return Y, first, torch.autograd.grad(total, [*leaves, G], materialize_grads=True)


# padding="same" with an even kernel warns in torch that it copies the input: that is torch's business, not ours.
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
@settings(max_examples=100)
@given(call=conv_calls(batches=(None, 0, 1, 2), paddings=("same", "valid")))
def test_the_function_has_torchs_output_and_gradients_and_their_gradients(call):
    tensors, setting = call
    torch.testing.assert_close(gradients(backward.conv2d, tensors, setting), gradients(F.conv2d, tensors, setting))


SETTINGS = [
    {},
    {"stride": 2},
    {"stride": (3, 2), "padding": (1, 0)},
    {"padding": 2, "dilation": (1, 2), "groups": 2},
    {"padding": "same"},
]


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_finite_differences_agree(setting):
    groups = setting.get("groups", 1)
    leaves = [T.requires_grad_() for T in (tensor(2, 2, 5, 6), tensor(4, 2 // groups, 2, 3, seed=1), tensor(4, seed=2))]

    def function(*tensors):
        return backward.conv2d(*tensors, **setting)

    assert torch.autograd.gradcheck(function, leaves)
    assert torch.autograd.gradgradcheck(function, leaves)


def test_only_what_is_asked_for_is_computed(monkeypatch):
    calls = []
    for name in ("conv2d_input", "conv2d_weight"):
        kept = getattr(backward, name)
        monkeypatch.setattr(backward, name, lambda *args, kept=kept, name=name: calls.append(name) or kept(*args))
    picture, K, bias = tensor(1, 1, 4, 4), tensor(1, 1, 2, 2).requires_grad_(), tensor(1).requires_grad_()
    backward.conv2d(picture, K, bias).sum().backward()
    assert calls == ["conv2d_weight"]
    assert picture.grad is None
    assert bias.grad.item() == 9


def test_whole_numbers_stay_whole():
    X, K, G = torch.arange(50).reshape(1, 2, 5, 5), torch.arange(16).reshape(2, 2, 2, 2), torch.ones(1, 2, 4, 4).long()
    assert backward.conv2d_input(X.shape, K, G).dtype == torch.int64
    for ours, peer in (
        (backward.conv2d_input(X.shape, K, G), PEER.conv2d_input(X.shape, K.double(), G.double())),
        (backward.conv2d_weight(X, K.shape, G), PEER.conv2d_weight(X.double(), K.shape, G.double())),
    ):
        assert torch.equal(ours.double(), peer)


def test_a_saved_tensor_that_was_changed_is_noticed():
    X, K = tensor(1, 1, 3, 3).requires_grad_(), tensor(1, 1, 2, 2).requires_grad_()
    Y = backward.conv2d(X * 1, K)
    with torch.no_grad():
        K.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        Y.sum().backward()


X, K, G = tensor(1, 2, 5, 6), tensor(4, 2, 2, 3), tensor(1, 4, 4, 4)
BAD = [
    (lambda: backward.conv2d_input(X.shape, K, G, stride=2), ValueError, r"gives \(1, 4, 2, 2\), got \(1, 4, 4, 4\)"),
    (lambda: backward.conv2d_weight(X, K.shape, G[:, :3]), ValueError, "grad_output must have the output's shape"),
    (lambda: backward.conv2d_input((1, 2, 1, 6), K, G[:, :, :0]), ValueError, "grad_output must have"),
    (lambda: backward.conv2d_input((1, 3, 5, 6), K, G), ValueError, r"input_size \(1, 3, 5, 6\) must have 2 channels"),
    (lambda: backward.conv2d_weight(X, (4, 2, 2, 3), G, groups=2), ValueError, "must have 4 channels .* groups=2"),
    (lambda: backward.conv2d_input(X.shape[1:], K, G), ValueError, "input_size must be four whole numbers"),
    (lambda: backward.conv2d_weight(X, 2, G), ValueError, "weight_size must be four whole numbers, got 2"),
    (lambda: backward.conv2d_weight(X[0], K.shape, G), ValueError, r"input must have shape \(N, C_in, H, W\)"),
    (lambda: backward.conv2d_input(X.shape, K, G.tolist()), TypeError, "grad_output must be a torch.Tensor, got list"),
    (lambda: backward.conv2d_input(X.shape, K, G, groups=0), ValueError, "groups must be an int of at least 1, got 0"),
    (lambda: backward.conv2d_input(X.shape, K, G, stride=0), ValueError, "stride must be at least 1, got 0"),
    (lambda: backward.conv2d_weight(X, K.shape, G, padding="same"), ValueError, "padding must be an int or a pair"),
    (lambda: backward.conv2d_input(X.shape, K.float(), G), TypeError, "dtype"),
    (lambda: backward.conv2d_weight(X.float(), K.shape, G), TypeError, "dtype"),
    (lambda: backward.conv2d(X, K, padding="full"), ValueError, "padding must be 'valid', 'same'"),
    (lambda: backward.conv2d(X, K, padding="same", stride=2), ValueError, "padding='same' needs stride 1"),
    (lambda: backward.conv2d(X.tolist(), K), TypeError, "input must be a torch.Tensor"),
]


@pytest.mark.parametrize(("call", "kind", "words"), BAD)
def test_bad_input_gets_a_sentence(call, kind, words):
    with pytest.raises(kind, match=words):
        call()


class Listen(TorchDispatchMode):
    """Note the name of every operation that torch carries out."""

    def __init__(self):
        super().__init__()
        self.names = set()

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        self.names.add(operation.overloadpacket.__name__)
        return operation(*args, **(kwargs or {}))


@pytest.mark.parametrize(("function", "heard"), [(backward.conv2d, False), (F.conv2d, True)])
def test_torchs_convolution_takes_no_part(function, heard):
    """It is the peer. That its own pass is heard shows that one would be."""
    tensors = [T.clone().requires_grad_() for T in (X, K)]
    with Listen() as listen:
        torch.autograd.grad(function(*tensors, stride=2, padding=1).sum(), tensors)
    assert bool([name for name in listen.names if "convolution" in name]) == heard


def test_it_is_the_transpose_that_lesson_9_draws():
    matrix = torch.stack(
        [F.conv2d(unit, K, stride=2).flatten() for unit in torch.eye(60).double().reshape(60, 1, 2, 5, 6)]
    )
    small = F.conv2d(X, K, stride=2)
    assert torch.allclose(backward.conv2d_input(X.shape, K, small, stride=2).flatten(), matrix @ small.flatten())
    assert torch.allclose(ops.conv2d(X, K, stride=2), small)
