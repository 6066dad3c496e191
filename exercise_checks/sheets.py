"""The names of the sheets, in the course's order. Beside `tasks`, so that naming one imports no torch."""

SHEETS = (
    "01_corr2d", "02_filters", "03_padding_stride", "04_channels",
    "05_one_by_one", "06_pooling", "07_conv_api", "08_conv_variants",
    "09_transposed_conv", "10_dynamic_conv", "11_fast_conv", "12_backward",
    "13_lenet", "14_look_inside", "15_scale_up",
)  # fmt: skip
