"""Sets of calls that tasks forbid, for `Task.forbids`: what the learner is to write oneself."""

PLAIN = frozenset(f"{name}{n}d" for name in ("conv", "Conv", "LazyConv") for n in (1, 2, 3))
TRANSPOSED = frozenset(
    f"{name}{n}d" for name in ("conv_transpose", "ConvTranspose", "LazyConvTranspose") for n in (1, 2, 3)
)
CONVOLUTIONS = PLAIN | TRANSPOSED | {"convolution"}
POOLING = frozenset(
    f"{a}{k}{n}d" for a in ("", "adaptive_") for k in ("max_pool", "avg_pool") for n in (1, 2, 3)
) | frozenset(f"{a}{k}{n}d" for a in ("", "Adaptive") for k in ("MaxPool", "AvgPool") for n in (1, 2, 3))
# All of `ops` that convolves, but for `ops.corr2d`.
OTHER_OPS = frozenset(
    f"ops.{name}"
    for name in (
        *("convolve2d", "corr2d_multi_in", "corr2d_multi_in_out", "corr2d_multi_in_out_1x1", "conv2d", "conv2d_loops"),
        *("conv2d_slices", "conv2d_im2col", "conv2d_strided", "conv2d_fft", "conv_transpose2d"),
    )
)
AUTOGRAD = frozenset({"autograd", "backward", "requires_grad_", "requires_grad="})
READY_GRADIENTS = frozenset({"conv2d_input", "conv2d_weight", "Conv2dFunction"})
UNFOLD = frozenset({"F.unfold", "functional.unfold", "Unfold"})  # a tensor's own `unfold` is another thing, and allowed
