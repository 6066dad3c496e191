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

# What each task's text forbids. A bare name is meant wherever it stands (`F.conv2d`, `ops.conv2d`), "ops.*" is all of a
# module, "groups=" an argument. A task to write or to mend that is not named here forbids torch's own convolution.
FORBIDDEN: dict[str, frozenset[str]] = {
    "corr2d": CONVOLUTIONS | {"ops.*", "layers.*"},
    "Conv2D": CONVOLUTIONS | {"layers.*"},
    "gaussian_kernel": frozenset({"filters.*"}),
    "gradient_magnitude": frozenset({"filters.sobel_x", "filters.sobel_y"}),
    "split_kernel": frozenset({"filters.separate"}),
    "corr2d_strided": CONVOLUTIONS | OTHER_OPS,
    "corr2d_multi_in": CONVOLUTIONS | OTHER_OPS,
    "corr2d_multi_in_out": CONVOLUTIONS | OTHER_OPS,
    "corr2d_batch": CONVOLUTIONS | OTHER_OPS,
    "corr2d_multi_in_out_1x1": CONVOLUTIONS | {"ops.*"},
    "mended_mix": CONVOLUTIONS | {"ops.*"},
    "Bottleneck": frozenset(),
    "pool2d": POOLING | {"ops.*"},
    "mended_max_pool": frozenset(),
    "average_inside": frozenset({"count_include_pad="}),
    "corr2d_depthwise": CONVOLUTIONS | OTHER_OPS,
    "SeparableConv": frozenset(),
    "pixel_paths": frozenset(),
    "dilated_corr2d": CONVOLUTIONS | OTHER_OPS,
    "mended_groups": frozenset({"groups="}),
    "ReflectConv2d": frozenset({"Conv1d", "Conv2d", "Conv3d"}),
    "conv3d_by_frames": frozenset({"conv3d", "Conv3d"}),
    "paint": TRANSPOSED,
    "mended_slide": TRANSPOSED,
    "conv_by_slices": CONVOLUTIONS | UNFOLD | {"ops.*"},
    "windows_to_columns": UNFOLD,
    "mended_fft_conv": CONVOLUTIONS | {"ops.*"},
    "picture_gradient": TRANSPOSED | AUTOGRAD | READY_GRADIENTS,
    "kernel_gradient": TRANSPOSED | AUTOGRAD | READY_GRADIENTS,
    "mended_pool_gradient": AUTOGRAD,
    "own_conv": READY_GRADIENTS | {"F.conv2d", "functional.conv2d", "Conv2d"},
    "rank_correlation": frozenset({"spearmanr"}),
    "pooling_kernels": frozenset({"phase_kernels", "fuse_pooling"}),
    # The unseen digits are from a data set that everybody has, with their labels.
    "train_digits": frozenset({"load_digits", "data.load"}),
}
WITHOUT_RULE = ("10", "13", "14", "15")  # sheets in which torch's layers are the material


def forbidden_in(sheet: str, task_id: str, kind: str) -> frozenset[str]:
    """Return what a task forbids.

    >>> "conv2d" in forbidden_in("01_corr2d", "learn_kernel", "write")
    True
    """
    written = kind == "write" or task_id.startswith("mended_")
    default = CONVOLUTIONS if written and not sheet.startswith(WITHOUT_RULE) else frozenset()
    return FORBIDDEN.get(task_id, default)


def forbidden_of(task):
    from exercise_checks import tasks

    return forbidden_in(tasks.sheet_of(task), task.id, task.kind)
