"""ops against torch and d2l on settings that hypothesis makes up, values and gradients."""

import functools

import pytest
import torch
import torch.nn.functional as F
from d2l import torch as d2l
from hypothesis import given, settings
from hypothesis import strategies as st

from course_utils import fast_conv, ops

RUNGS = [
    ops.conv2d,
    ops.conv2d_loops,
    ops.conv2d_slices,
    ops.conv2d_im2col,
    ops.conv2d_strided,
    ops.conv2d_fft,
]
EXACT_RUNGS = [rung for rung in RUNGS if rung is not ops.conv2d_fft]


def tensor(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@st.composite
def layouts(draw, *shape):
    """A float64 tensor of the shape that may be transposed, sliced or expanded in memory."""
    seed = draw(st.integers(0, 999))
    kind = draw(st.sampled_from(["plain", "transposed", "sliced", "channels_last", "expanded"]))
    if kind == "transposed":
        return tensor(*shape[:-2], shape[-1], shape[-2], seed=seed).transpose(-1, -2)
    if kind == "sliced":
        return tensor(*shape[:-1], 2 * shape[-1] + 1, seed=seed)[..., 1::2]
    if kind == "channels_last" and len(shape) == 4:
        return tensor(*shape, seed=seed).contiguous(memory_format=torch.channels_last)
    if kind == "expanded":
        return tensor(*shape[:-1], 1, seed=seed).expand(shape)
    return tensor(*shape, seed=seed)


@st.composite
def int_or_pair(draw, low, high):
    return draw(st.one_of(st.integers(low, high), st.tuples(*[st.integers(low, high)] * 2)))


def both(value):
    return value if isinstance(value, tuple) else (value, value)


@st.composite
def conv_calls(draw):
    """Everything F.conv2d takes: (input, weight, bias) and its options."""
    groups = draw(st.integers(1, 3))
    c_in, c_out = groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    dilation, padding = (
        draw(int_or_pair(1, 2)),
        draw(st.one_of(int_or_pair(0, 2), st.sampled_from(["valid", "same"]))),
    )
    stride = 1 if padding == "same" else draw(int_or_pair(1, 3))
    span = [d * (k - 1) + 1 for d, k in zip(both(dilation), kernel, strict=True)]
    height, width = (s + draw(st.integers(0, 4)) for s in span)
    batch = draw(st.sampled_from([(), (1,), (2,), (0,)]))
    X = draw(layouts(*batch, c_in, height, width))
    K = draw(layouts(c_out, c_in // groups, *kernel))
    bias = draw(st.sampled_from([None, tensor(c_out, seed=7)]))
    return (X, K, bias), {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}


def gradients(function, tensors, options):
    """The output and d(weighted sum of it)/d(each tensor)."""
    leaves = [t.detach().clone(memory_format=torch.preserve_format).requires_grad_() for t in tensors if t is not None]
    arguments = iter(leaves)
    Y = function(*[None if t is None else next(arguments) for t in tensors], **options)
    weights = torch.linspace(-1, 1, Y.numel(), dtype=Y.dtype).reshape(Y.shape)
    return Y, torch.autograd.grad((Y * weights).sum(), leaves)


# padding="same" with an even kernel warns in torch that it copies the input: that is torch's business, not ours.
same_even = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")


@same_even
@pytest.mark.parametrize("rung", RUNGS)
@settings(max_examples=60, deadline=None)
@given(call=conv_calls())
def test_every_rung_equals_torch(rung, call):
    tensors, options = call
    before = [t.clone() for t in tensors if t is not None]
    torch.testing.assert_close(rung(*tensors, **options), F.conv2d(*tensors, **options))
    after = [t for t in tensors if t is not None]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True)), "an argument was changed"


@same_even
@pytest.mark.parametrize("rung", RUNGS)
@settings(max_examples=20, deadline=None)
@given(call=conv_calls())
def test_every_rung_has_torchs_gradients(rung, call):
    tensors, options = call
    ours, theirs = gradients(rung, tensors, options), gradients(F.conv2d, tensors, options)
    torch.testing.assert_close(ours, theirs)


def block_by_block(call, many_channels):
    """Let conv2d take one image at a time, as it does with images too large for the cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fast_conv, "BLOCK", 1)
        patch.setattr(fast_conv, "MANY_CHANNELS", many_channels)
        return call()


winograd = pytest.mark.parametrize("many_channels", [10**9, 1], ids=["winograd-never", "winograd-always"])


@st.composite
def three_by_three_calls(draw):
    """What Winograd's tiles are for, in sizes that leave half a tile, and several images."""
    groups, height, width = draw(st.integers(1, 2)), draw(st.integers(3, 8)), draw(st.integers(3, 8))
    c_in, c_out = groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))
    X, K = draw(layouts(draw(st.integers(0, 3)), c_in, height, width)), draw(layouts(c_out, c_in // groups, 3, 3))
    return (X, K, tensor(c_out)), {"padding": draw(int_or_pair(0, 2)), "groups": groups}


@same_even
@winograd
@settings(max_examples=60, deadline=None)
@given(call=st.one_of(conv_calls(), three_by_three_calls()))
def test_large_images_equal_torch(many_channels, call):
    ours = block_by_block(lambda: gradients(ops.conv2d, *call), many_channels)
    torch.testing.assert_close(ours, gradients(F.conv2d, *call))


@winograd
def test_large_images_have_second_gradients(many_channels):
    tensors = (tensor(2, 2, 4, 3).requires_grad_(), tensor(2, 2, 3, 3).requires_grad_())
    for options in ({"padding": 1}, {"stride": (2, 1), "padding": (0, 1)}):
        conv = functools.partial(ops.conv2d, **options)
        assert block_by_block(lambda conv=conv: torch.autograd.gradgradcheck(conv, tensors), many_channels)


def test_both_ways_to_large_images_are_taken(monkeypatch):
    """The constants lead where they say, and float32 loses no more than torch's own."""
    X, K = tensor(9, 32, 21, 33), tensor(32, 32, 3, 3)
    ways = []
    for name in ("_winograd", "columns"):
        way = getattr(fast_conv, name)
        monkeypatch.setattr(fast_conv, name, lambda *a, way=way, name=name: ways.append(name) or way(*a))
    for k in (K, K[:31]):
        ways.clear()
        exact = F.conv2d(X, k)
        error = (ops.conv2d(X.float(), k.float()) - exact).abs().max()
        assert error < 4 * (F.conv2d(X.float(), k.float()) - exact).abs().max()
        assert set(ways) == {"_winograd" if len(k) == 32 else "columns"}


@pytest.mark.parametrize("rung", EXACT_RUNGS)
def test_whole_numbers_stay_whole(rung):
    X, K = torch.arange(50).reshape(1, 2, 5, 5), torch.arange(24).reshape(3, 2, 2, 2)
    assert torch.equal(rung(X, K, stride=2), F.conv2d(X, K, stride=2))


@pytest.mark.parametrize("rung", RUNGS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtype_is_kept(rung, dtype):
    X, K = tensor(1, 2, 5, 6).to(dtype), tensor(3, 2, 2, 3).to(dtype)
    assert rung(X, K).dtype == dtype


@settings(max_examples=100, deadline=None)
@given(data=st.data(), groups=st.integers(1, 3), stride=int_or_pair(1, 3), dilation=int_or_pair(1, 2))
def test_conv_transpose2d_equals_torch(data, groups, stride, dilation):
    c_in, c_out = groups * data.draw(st.integers(1, 2)), data.draw(st.integers(1, 2))
    kernel = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    size = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    extra = tuple(data.draw(st.integers(0, max(s, d) - 1)) for s, d in zip(both(stride), both(dilation), strict=True))
    full = [
        (n - 1) * s + d * (k - 1) + e + 1
        for n, s, d, k, e in zip(size, both(stride), both(dilation), kernel, extra, strict=True)
    ]
    padding = tuple(data.draw(st.integers(0, min(3, (n - 1) // 2))) for n in full)
    X = data.draw(layouts(*data.draw(st.sampled_from([(), (1,), (2,)])), c_in, *size))
    K, bias = data.draw(layouts(c_in, c_out, *kernel)), tensor(c_out * groups)
    options = {
        "stride": stride, "padding": padding, "output_padding": extra, "groups": groups, "dilation": dilation,
    }  # fmt: skip
    ours, theirs = (gradients(f, (X, K, bias), options) for f in (ops.conv_transpose2d, F.conv_transpose2d))
    torch.testing.assert_close(ours, theirs)


@given(data=st.data(), H=st.integers(1, 6), W=st.integers(1, 6))
@settings(deadline=None)
def test_corr2d_equals_d2l_and_torch(data, H, W):
    kernel = data.draw(st.tuples(st.integers(1, H), st.integers(1, W)))
    X, K = data.draw(layouts(H, W)), data.draw(layouts(*kernel))
    Y = ops.corr2d(X, K)
    assert Y.dtype == torch.float64
    torch.testing.assert_close(Y.float(), d2l.corr2d(X, K))  # d2l answers in float32
    torch.testing.assert_close(Y, F.conv2d(X[None, None], K[None, None])[0, 0])
    torch.testing.assert_close(ops.convolve2d(X, K.rot90(2)), Y)


def test_corr2d_has_torchs_gradients():
    X, K = tensor(4, 5), tensor(3, 2)
    ours = gradients(ops.corr2d, (X, K), {})
    theirs = gradients(lambda X, K: F.conv2d(X[None, None], K[None, None])[0, 0], (X, K), {})
    torch.testing.assert_close(ours, theirs)


def test_convolution_commutes_and_correlation_does_not():
    def full(op, A, B):  # every overlap counts
        h, w = B.shape
        return op(F.pad(A, (w - 1, w - 1, h - 1, h - 1)), B)

    A, B = tensor(3, 4), tensor(2, 3)
    torch.testing.assert_close(full(ops.convolve2d, A, B), full(ops.convolve2d, B, A))
    assert not torch.allclose(full(ops.corr2d, A, B), full(ops.corr2d, B, A))


@settings(max_examples=40, deadline=None)
@given(data=st.data(), c_in=st.integers(1, 3), c_out=st.integers(1, 3), H=st.integers(1, 5), W=st.integers(1, 5))
def test_channels_equal_torch(data, c_in, c_out, H, W):
    kernel = data.draw(st.tuples(st.integers(1, H), st.integers(1, W)))
    X, K = data.draw(layouts(c_in, H, W)), data.draw(layouts(c_out, c_in, *kernel))
    expected = F.conv2d(X, K)
    torch.testing.assert_close(ops.corr2d_multi_in_out(X, K), expected)
    torch.testing.assert_close(ops.corr2d_multi_in(X, K[0]), expected[0])
    pointwise = data.draw(layouts(c_out, c_in, 1, 1))
    torch.testing.assert_close(ops.corr2d_multi_in_out_1x1(X, pointwise), F.conv2d(X, pointwise))


@settings(max_examples=100, deadline=None)
@given(data=st.data(), mode=st.sampled_from(["max", "avg"]), stride=int_or_pair(1, 3), size=int_or_pair(1, 4))
def test_pool2d_equals_torch(data, mode, stride, size):
    padding = tuple(data.draw(st.integers(0, p // 2)) for p in both(size))
    H, W = (p + data.draw(st.integers(0, 4)) for p in both(size))
    X = data.draw(layouts(*data.draw(st.sampled_from([(1,), (2,), (1, 2), (2, 3)])), H, W))
    X = X.round() if data.draw(st.booleans()) else X  # rounded values tie: the first maximum gets the gradient
    if mode == "max":
        pairs = [(ops.pool2d, {}, F.max_pool2d, {})]
    else:
        pairs = [(ops.pool2d, o, F.avg_pool2d, o) for o in ({}, {"count_include_pad": False})]
    for ours, more, theirs, same in pairs:
        a = gradients(ours, (X,), {"pool_size": size, "mode": mode, "stride": stride, "padding": padding, **more})
        b = gradients(theirs, (X,), {"kernel_size": size, "stride": stride, "padding": padding, **same})
        torch.testing.assert_close(a, b)


def test_pool2d_pads_with_less_than_any_value():
    for X in (-torch.ones(2, 2), -torch.ones(2, 2, dtype=torch.int64)):
        assert (ops.pool2d(X, 2, padding=1) == -1).all()


def test_multi_channel_agrees_with_d2l():
    X, K = tensor(2, 3, 4).float(), tensor(2, 2, 2).float()
    torch.testing.assert_close(ops.corr2d_multi_in(X, K), sum(d2l.corr2d(x, k) for x, k in zip(X, K, strict=True)))


ONE = torch.ones(1, 1, 3, 3)
WRONG_CALLS = {
    "input must be a torch.Tensor, got list": lambda f: f([[1]], ONE),
    r"input must have shape \(C_in, H, W\) or \(N, C_in, H, W\), got \(3, 3\)": lambda f: f(ONE[0, 0], ONE),
    r"weight must have shape .* got \(3, 3\)": lambda f: f(ONE, ONE[0, 0]),
    "input has 1 channels, but weight .* needs 2": lambda f: f(ONE, ONE.expand(1, 2, 3, 3)),
    "groups must divide": lambda f: f(ONE.expand(1, 2, 3, 3), ONE.expand(3, 1, 3, 3), groups=2),
    "groups must be an int of at least 1, got 0": lambda f: f(ONE, ONE, groups=0),
    "stride must be at least 1, got 0": lambda f: f(ONE, ONE, stride=0),
    "stride must be an int or a pair of ints, got 1.5": lambda f: f(ONE, ONE, stride=1.5),
    "dilation must be at least 1, got 0": lambda f: f(ONE, ONE, dilation=0),
    r"padding must be at least 0, got \(1, -1\)": lambda f: f(ONE, ONE, padding=(1, -1)),
    "padding must be 'valid', 'same'.* got 'full'": lambda f: f(ONE, ONE, padding="full"),
    "padding='same' needs stride 1": lambda f: f(ONE, ONE, padding="same", stride=2),
    "5 x 5 does not fit into 3 x 3": lambda f: f(ONE, ONE, dilation=2),
    "weight must have input's dtype torch.float32, got torch.float64": lambda f: f(ONE, ONE.double()),
    r"bias must have shape \(1,\), got \(2,\)": lambda f: f(ONE, ONE, torch.ones(2)),
    "bias must have input's dtype": lambda f: f(ONE, ONE, torch.ones(1).double()),
    "only the batch may be empty": lambda f: f(ONE[:, :, :0], ONE),
}


@pytest.mark.parametrize("rung", RUNGS)
@pytest.mark.parametrize("sentence", WRONG_CALLS)
def test_wrong_calls_get_one_sentence(rung, sentence):
    with pytest.raises((TypeError, ValueError), match=sentence) as error:
        WRONG_CALLS[sentence](rung)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("sentence", "call"),
    [
        (r"X must have shape \(H, W\), got \(1, 3, 3\)", lambda: ops.corr2d(ONE[0], ONE[0, 0])),
        ("K must be a torch.Tensor, got int", lambda: ops.corr2d(ONE[0, 0], 3)),
        ("3 x 3 does not fit into 2 x 3", lambda: ops.corr2d(ONE[0, 0, :2], ONE[0, 0])),
        ("0 x 3 does not fit", lambda: ops.corr2d(ONE[0, 0], ONE[0, 0, :0])),
        ("X has 1 channels, K has 2", lambda: ops.corr2d_multi_in(ONE[0], ONE[0].expand(2, 3, 3))),
        (r"K must have shape \(C_out, 1, 1, 1\)", lambda: ops.corr2d_multi_in_out_1x1(ONE[0], ONE)),
        ("mode must be 'max' or 'avg', got 'mean'", lambda: ops.pool2d(ONE[0, 0], 2, "mean")),
        ("padding must be at most half of pool_size", lambda: ops.pool2d(ONE[0, 0], 3, padding=2)),
        ("X must be floating point to take averages", lambda: ops.pool2d(ONE[0, 0].long(), 2, "avg")),
        ("pool_size must be at least 1 x 1 and fit", lambda: ops.pool2d(ONE[0, 0], 4)),
        ("input must be floating point", lambda: ops.conv2d_fft(ONE.long(), ONE.long())),
        ("output_padding must be smaller", lambda: ops.conv_transpose2d(ONE, ONE, output_padding=1)),
        ("padding must leave an output", lambda: ops.conv_transpose2d(ONE, ONE, padding=3)),
    ],
)
def test_other_wrong_calls_get_one_sentence(sentence, call):
    with pytest.raises((TypeError, ValueError), match=sentence) as error:
        call()
    assert "\n" not in str(error.value)
