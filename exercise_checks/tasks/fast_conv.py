"""Tasks of sheet 11: shifted slices, windows as columns, a Fourier transform that lost a column, and sizes on paper."""

import torch
import torch.nn.functional as F

from exercise_checks.tasks.calls import CONVOLUTIONS, UNFOLD
from exercise_checks.tasks.task import Draw, as_list, pair, slips, task


def padded(X, padding):
    ph, pw = pair(padding)
    return F.pad(X, (pw, pw, ph, ph))


def oracle(X, K, stride=1, padding=0):
    return F.conv2d(X, K, None, stride, padding)


def slice_window(index, X, K, stride=1, padding=0):
    """The window that a number is made of, padding included."""
    (n, _, i, j), (h, w), (sh, sw) = index, K.shape[2:], pair(stride)
    return f"picture {n}'s window {as_list(padded(X, padding)[n, :, i * sh : i * sh + h, j * sw : j * sw + w])}"


def layer_calls(draw: Draw):
    real = {"dtype": torch.float64}
    yield "the picture of lesson 11", torch.arange(9.0).reshape(1, 1, 3, 3), torch.arange(1.0, 5).reshape(1, 1, 2, 2)
    yield "channels in and out, a batch of two", draw.whole(2, 3, 4, 5), draw.whole(2, 3, 2, 2)
    yield "a wide kernel", draw.whole(1, 2, 4, draw.size(6, 8)), draw.whole(3, 2, 2, 3), {"padding": (1, 0)}
    X = draw.whole(2, 1, 7, 5)
    yield "a tall kernel", X, draw.whole(1, 1, 3, 1), {"stride": (2, 1), "padding": (0, 1)}
    yield "steps of two and three", draw.whole(1, 2, 7, 8), draw.whole(2, 2, 3, 3), {"stride": (2, 3)}
    yield "a stride that leaves pixels over", draw.whole(1, 1, 6, 6), draw.whole(2, 1, 2, 2), 3, 1
    yield "a picture that is not contiguous", draw.turned(2, 2, 4, draw.size(5, 7)), draw.turned(2, 2, 2, 3)
    yield "float64, a kernel as large as the picture", draw.real(1, 2, 4, 3, **real), draw.real(2, 2, 4, 3, **real)


@task(
    "Nine turns in place of half a million", layer_calls, points=3, difficulty=3, importance=5, minutes=20,
    oracle=oracle, window=slice_window, forbids=CONVOLUTIONS | UNFOLD | {"ops.*"},
)  # fmt: skip
def conv_by_slices(X, K, stride=1, padding=0):
    """Which pixels does the weight in row i, column j ever meet? Write them as one slice. How many rows and columns
    must every slice have, so that they can be added?

    With the padded picture `P`: `P[:, :, i::sh, j::sw][:, :, :rows, :columns]` is the slice, and
    `torch.einsum("nchw,oc->nohw", piece, K[:, :, i, j])` weighs it and adds up the channels.
    """
    (sh, sw), (ph, pw), (h, w) = pair(stride), pair(padding), K.shape[2:]
    P = F.pad(X, (pw, pw, ph, ph))
    rows, columns = (P.shape[2] - h) // sh + 1, (P.shape[3] - w) // sw + 1
    Y = torch.zeros(len(X), len(K), rows, columns, dtype=X.dtype)
    for i in range(h):
        for j in range(w):
            piece = P[:, :, i::sh, j::sw][:, :, :rows, :columns]
            Y += torch.einsum("nchw,oc->nohw", piece, K[:, :, i, j])
    return Y


slips(conv_by_slices, """
flipped: K[:, :, i, j] -> K[:, :, h - 1 - i, w - 1 - j]
    Your kernel is flipped: the weight in row i, column j belongs to the picture shifted i up and j to the left, so to
    the slice that *begins* at pixel (i, j).
only_last: Y += -> Y =
    Only the last weight counts in your answer: each turn of the loop replaces what the turns before it made. Add to
    it: `Y += ...`.
diagonal_only: Y += -> if i == j: Y +=
    You take only the weights with i = j, as with one loop for both. Every row i goes together with every column j: two
    loops, one inside the other.
first_channel: P[:, :, i -> P[:, :1, i
and: K[:, :, i -> K[:, :1, i
    You use the first input channel alone. `K[:, :, i, j]` is a matrix (out, in): all channels are weighed and added
    up.
both_ignored: pair(stride), pair(padding) -> (1, 1), (0, 0)
    `stride` and `padding` change nothing yet. Pad first; then take every `stride`-th row and column of each slice.
stride_ignored: pair(stride) -> (1, 1)
    Your kernel moves by one pixel always. A slice takes every `stride`-th row and column: `X[:, :, i::sh, j::sw]`.
stride_of_rows_twice: // sw -> // sh
and: j::sw -> j::sh
    You use the first number of the stride for both axes. The second belongs to the columns.
stride_turned: (sh, sw) -> (sw, sh)
    The two numbers of `stride` are exchanged: the first is the step from row to row.
padding_ignored: pair(padding) -> (0, 0)
    Your answer has no padding. Put `padding` rows and columns of zeros around the picture first.
padding_turned: (pw, pw, ph, ph) -> (ph, ph, pw, pw)
    Rows and columns of the padding are exchanged: `F.pad` wants the *last* dimension first, so left, right, top,
    bottom: `(pw, pw, ph, ph)`.
padded_once: (pw, pw, ph, ph) -> (pw, 0, ph, 0)
    You pad above and to the left only. `padding` counts for each of the four sides.
one_place_short: + 1 -> + 0
    Your answer is one row and one column short. From the first place to the last there are (n + 2p - k) // s steps,
    and one place more than steps.
always_float32: , dtype=X.dtype ->
    The values are right, but they are always float32. A tensor that you make yourself, as by `torch.zeros(...)`, needs
    `dtype=X.dtype`; `X.new_zeros(...)` has it.
detached: return Y -> return Y.detach()
    The values are right, but the way back is cut: no gradient reaches the picture and the kernel. Leave out `detach`,
    `numpy`, `item` and `no_grad`.
""")  # fmt: skip


def columns_of(X, kernel_size, stride=1, padding=0):
    return F.unfold(X[None], kernel_size, padding=padding, stride=stride)[0]


def column_window(index, X, kernel_size, stride=1, padding=0):
    """Which pixel belongs to a number."""
    row, place = index
    (h, w), (sh, sw), P = pair(kernel_size), pair(stride), padded(X, padding)
    i, j = divmod(place, (P.shape[2] - w) // sw + 1)
    window = P[:, i * sh : i * sh + h, j * sw : j * sw + w]
    return f"number {row} of window {place}, which is {as_list(window)}"


def pictures(draw: Draw):
    yield "the picture of lesson 11", torch.arange(9.0).reshape(1, 3, 3), 2
    yield "two channels", draw.distinct(2, 3, 4), 2
    yield "a wide window", draw.distinct(2, 4, draw.size(5, 7)), (2, 3), {"stride": (2, 1)}
    yield "a tall window", draw.distinct(3, 6, 5), (3, 2), {"stride": (1, 3), "padding": (0, 2)}
    yield "padding and a stride", draw.distinct(1, 4, 5), 3, 2, 1
    yield "a picture that is not contiguous", draw.distinct(2, 5, draw.size(3, 4)).transpose(1, 2), (2, 3)
    yield "float64, one column", draw.real(2, 3, 4, dtype=torch.float64), (3, 4)


@task(
    "Every window a column", pictures, points=3, difficulty=3, importance=4, minutes=20,
    oracle=columns_of, window=column_window, forbids=UNFOLD,
)  # fmt: skip
def windows_to_columns(X, kernel_size, stride=1, padding=0):
    """Write the window of place (i, j) as a slice of the padded picture. In which order does `flatten()` read it? In
    which order must the places come?

    `torch.stack([P[:, i : i + h, j : j + w].flatten() for i in range(0, last_i + 1, sh) for j in range(0, last_j + 1,
    sw)], dim=1)`, with `P` the padded picture.
    """
    (h, w), (sh, sw), (ph, pw) = pair(kernel_size), pair(stride), pair(padding)
    P = F.pad(X, (pw, pw, ph, ph))
    windows = P.unfold(1, h, sh).unfold(2, w, sw)  # channel, row and column of the place, row and column in the window
    return windows.permute(0, 3, 4, 1, 2).reshape(len(X) * h * w, -1)


slips(windows_to_columns, """
windows_as_rows: h * w, -1) -> h * w, -1).T
    Your windows are the rows. They must be the columns, so that the kernel, one row, can stand to the left in the
    product.
channels_last: 0, 3, 4, 1, 2 -> 3, 4, 0, 1, 2
    The numbers of a window are in another order: you go through the channels innermost. A kernel written as a row,
    `K.flatten(1)`, goes channel by channel, so each column must, too.
window_down_first: 0, 3, 4, 1, 2 -> 0, 4, 3, 1, 2
    Inside a window you read down the columns first. The kernel is read row by row.
places_down_first: 0, 3, 4, 1, 2 -> 0, 3, 4, 2, 1
    Your windows come down the picture first. They must come row by row, or the product cannot be reshaped to the
    output.
channels_apart: len(X) * h * w -> len(X), h * w
    Each channel has its own matrix in your answer. A window reaches through all channels: one column holds C * kh * kw
    numbers.
places_not_flat: reshape(len(X) * h * w, -1) -> flatten(0, 2)
    Rows and columns of the places are still two axes. One axis must count all places: flatten them.
window_turned: (h, w), -> (w, h),
    Your window is turned: the first number of `kernel_size` is its height, the second its width.
both_ignored: pair(stride), pair(padding) -> (1, 1), (0, 0)
    `stride` and `padding` change nothing yet. Pad first; then let the window of place (i, j) begin at pixel (i * sh, j
    * sw).
stride_ignored: pair(stride) -> (1, 1)
    Your window moves by one pixel always. The window of place (i, j) begins at pixel (i * sh, j * sw).
stride_turned: (sh, sw) -> (sw, sh)
    The two numbers of `stride` are exchanged: the first is the step from row to row.
padding_ignored: pair(padding) -> (0, 0)
    Your answer has no padding. Put `padding` rows and columns of zeros around the picture first.
padding_turned: (pw, pw, ph, ph) -> (ph, ph, pw, pw)
    Rows and columns of the padding are exchanged: `F.pad` wants the *last* dimension first, so left, right, top,
    bottom: `(pw, pw, ph, ph)`.
memory_order_assumed: F.pad(X -> F.pad(X.as_strided(X.shape, (X.shape[1] * X.shape[2], X.shape[2], 1))
    On the picture that is not contiguous you read other pixels. You wrote the strides down as they are for a fresh
    tensor; ask the tensor: `X.stride()`.
always_float32: F.pad(X -> F.pad(X.float()
    The values are right, but they are always float32. A tensor that you make yourself, as by `torch.zeros(...)`, needs
    `dtype=X.dtype`; `X.new_zeros(...)` has it.
detached: F.pad(X -> F.pad(X.detach()
    The values are right, but the way back is cut: no gradient reaches the picture. Leave out `detach`, `numpy`, `item`
    and `no_grad`.
""")  # fmt: skip


def broken_fft_conv(X, K):
    rows, columns = X.shape[0] - K.shape[0] + 1, X.shape[1] - K.shape[1] + 1
    spectrum = torch.fft.rfft2(X) * torch.fft.rfft2(K, s=X.shape).conj()
    return torch.fft.irfft2(spectrum)[:rows, :columns]


SOBEL = torch.tensor([[1.0, 0.0, -1.0], [2.0, 0.0, -2.0], [1.0, 0.0, -1.0]])


def fft_conv(X, K):
    return F.conv2d(X[None, None], K[None, None])[0, 0]


def is_picture(X):
    return X.ndim == 2 and min(X.shape) >= 3 and X.numel() <= 10_000 and bool(X.isfinite().all())


def is_right_there(X):
    wrong, right = broken_fft_conv(X, SOBEL), fft_conv(X, SOBEL)
    return wrong.shape == right.shape and torch.allclose(wrong, right, rtol=1e-4, atol=1e-4 * float(X.abs().max()))


def exposes(value):
    """A picture on which `broken_fft_conv` goes wrong."""
    if not isinstance(value, torch.Tensor) or value.ndim != 2:
        return "Return one picture: a tensor with rows and columns, without channels."
    if value.dtype != torch.float32:
        return f"Take float32, as `torch.rand(...)` makes it; yours is {str(value.dtype).removeprefix('torch.')}."
    if not is_picture(value):
        return "The picture needs 3 rows and 3 columns at least, and at most 10000 pixels, without inf and nan."
    if is_right_there(value):
        return "On this picture `broken_fft_conv` is right. Look for one on which it is not."
    return None


@task(
    "Find a picture that breaks it", kind="bug", points=1, difficulty=2, importance=3, minutes=8,
    accept=exposes, broken=broken_fft_conv,
    imports=("torch.distributed.tensor",),  # by `torch.testing.assert_close`, with which the sheet shows the function
)  # fmt: skip
def breaks_fft_conv():
    """`rfft2` of 4 columns has 3, and so has `rfft2` of 5 columns. What can `irfft2` know?

    `irfft2` takes the width for even. Return any picture with an odd number of columns, such as 3×5, with edges on it.
    """
    return torch.arange(15.0).reshape(3, 5) ** 2


slips(breaks_fft_conv, """
even_width = torch.arange(24.0).reshape(4, 6)
if: lambda X: is_picture(X) and X.shape[0] % 2 == 0 and X.shape[1] % 2 == 0
    The width of your picture is even, and there the function is right. How does `irfft2` know how wide the picture
    was?
odd_height = torch.arange(30.0).reshape(5, 6)
if: lambda X: is_picture(X) and X.shape[0] % 2 == 1 and X.shape[1] % 2 == 0
    The height of your picture is odd, its width even. It is the last axis that counts: of its spectrum only half is
    kept.
nothing_to_see = torch.zeros(5, 5)
if: lambda X: is_picture(X) and X.shape[1] % 2 == 1 and is_right_there(X)
    The size of your picture could show it, but its pixels do not: the right answer is the same number everywhere. Take
    a picture with something on it.
whole_numbers: 15.0 -> 15
if: lambda X: not X.is_floating_point()
    Your numbers are whole, and this is about float32. Write `torch.arange(15.0)` in place of `torch.arange(15)`.
""")  # fmt: skip


def fourier_calls(draw: Draw):
    real = {"dtype": torch.float64}
    yield "the picture of lesson 11", torch.arange(9.0).reshape(3, 3), torch.arange(1.0, 5).reshape(2, 2)
    yield "an even width", draw.whole(5, 6), draw.whole(3, 2)
    yield "an odd width", draw.whole(4, 7), draw.whole(2, 3)
    yield "one row", draw.whole(1, 5), draw.whole(1, 2)
    yield "a picture that is not contiguous", draw.turned(draw.size(4, 6), 5), draw.turned(2, 3)
    yield "float64", draw.real(5, 5, **real), draw.real(2, 2, **real)
    yield "a kernel as large as the picture", draw.whole(3, 5), draw.whole(3, 5)


def window_there(index, X, K):
    (i, j), (h, w) = index, K.shape
    return f"the window {as_list(X[i : i + h, j : j + w])}"


@task(
    "Mend it", fourier_calls, kind="bug", points=1, difficulty=2, importance=3, minutes=5,
    oracle=fft_conv, window=window_there, forbids=CONVOLUTIONS | {"ops.*"}, relative=1e-4, absolute=1e-3,
)  # fmt: skip
def mended_fft_conv(X, K):
    """Which call must be told how wide the picture was? Which argument of `rfft2(K, ...)` does that already?

    `torch.fft.irfft2(spectrum, s=X.shape)`.
    """
    rows, columns = X.shape[0] - K.shape[0] + 1, X.shape[1] - K.shape[1] + 1
    spectrum = torch.fft.rfft2(X) * torch.fft.rfft2(K, s=X.shape).conj()
    return torch.fft.irfft2(spectrum, s=X.shape)[:rows, :columns]


slips(mended_fft_conv, """
unchanged = broken_fft_conv
    `irfft2` is still not told the size. Where the width is odd it makes a picture that is one column narrower, and
    every number is wrong.
not_cut: [:rows, :columns] ->
    The size is right now, but the answer is the whole ring. Keep the places at which the kernel fits on the picture:
    `[:rows, :columns]`.
conjugate_lost: .conj() ->
    The conjugate is gone, so the kernel is flipped and the picture wrapped round. Cross-correlation multiplies by the
    *conjugate* of the kernel's spectrum.
answers_size: spectrum, s=X.shape -> spectrum, s=(rows, columns)
    You gave `irfft2` the size of the *answer*. It must be the size of the picture, as it was for the transform there;
    cut afterwards.
detached: [:rows, :columns] -> [:rows, :columns].detach()
    The values are right, but the way back is cut: no gradient reaches the picture and the kernel. Leave out `detach`,
    `numpy`, `item` and `no_grad`.
""")  # fmt: skip


def torch_on_paper():
    picture, kernel = torch.zeros(6, 10), torch.ones(1, 1, 3, 2)
    units = torch.eye(30).reshape(30, 1, 5, 6)
    matrix = F.conv2d(units, kernel).reshape(30, -1).T
    return {
        "columns": tuple(F.unfold(torch.zeros(2, 3, 10, 12), (3, 2), padding=1, stride=2).shape),
        "copies": F.unfold(torch.zeros(1, 1, 40, 40), 5, padding=2).numel() // 40**2,
        "strides": picture.unfold(0, 3, 2).unfold(1, 3, 2).stride(),
        "matrix": tuple(matrix.shape),
        "nonzero": int(matrix.count_nonzero()),
        "winograd": (8 // 2) ** 2 * (2 + 3 - 1) ** 2,
    }


@task(
    "Columns, strides and a matrix", kind="predict", points=3, difficulty=3, importance=4, minutes=15,
    oracle=torch_on_paper,
)  # fmt: skip
def fast_conv_on_paper():
    """Columns: how long is one window, and how many places are there? Strides: how far apart in memory are two
    windows, and how far apart two pixels of one window? Winograd: how many tiles?

    Columns: (N, C · kh · kw, rows · columns). Strides: 2 · 10 and 2 · 1 between windows, then as in the picture.
    Matrix: outputs by pixels, with 6 weights in a row. Winograd: 16 tiles of 16.
    """
    return {
        "columns": (2, 18, 35),
        "copies": 25,
        "strides": (20, 2, 10, 1),
        "matrix": (15, 30),
        "nonzero": 90,
        "winograd": 256,
    }


slips(fast_conv_on_paper, """
channels_left_out = {"columns": (2, 6, 35)}
    For `columns` you forgot the channels: a window reaches through all three, so its column has 3 · 3 · 2 numbers.
padding_left_out = {"columns": (2, 18, 24)}
    For `columns` you left the padding out. It adds one row or column at each side: (n + 2p - k) // s + 1.
stride_one = {"columns": (2, 18, 130)}
    For `columns` your window moves by one pixel. The stride is 2: about a quarter as many places.
places_not_flat = {"columns": (2, 18, 5, 7)}
    For `columns` you kept two axes for the places. `F.unfold` counts them on one: rows times columns.
side_for_area = {"copies": 5}
    For `copies` you counted along one axis. A pixel lies in 5 rows *and* 5 columns of windows.
stride_one_view = {"strides": (10, 1, 10, 1)}
    For `strides` your windows are neighbours. From one place to the next the window moves by 2 rows, or 2 columns.
steps_everywhere = {"strides": (20, 2, 20, 2)}
    For `strides` you took steps of 2 inside the window, too. That would be a dilation. Inside a window the pixels are
    neighbours.
strides_of_a_copy = {"strides": (36, 9, 3, 1)}
    These are the strides that a fresh tensor of this shape has. The view copies nothing: each jump is one in the
    picture's own memory, whose rows are 10 numbers long.
matrix_turned = {"matrix": (30, 15)}
    Your matrix is turned. It has a row for each output and a column for each pixel.
square_matrix = {"matrix": (30, 30)}
    Your matrix makes as many outputs as there are pixels. Without padding there are only (5 - 3 + 1) · (6 - 2 + 1).
all_cells = {"nonzero": 450}
    For `nonzero` you counted all cells of the matrix. In each row only the kernel's weights are not zero.
different_weights = {"nonzero": 6}
    For `nonzero` you counted the *different* weights. Each of the six stands once in every row.
sliding = {"winograd": 576}
    For `winograd` you counted the multiplications of sliding, 9 for each output. A tile of 2×2 outputs takes 16
    instead of 36.
one_dimension = {"winograd": 384}
    For `winograd` you saved along one axis only, 1.5 times. The trick is used along both.
""")  # fmt: skip
