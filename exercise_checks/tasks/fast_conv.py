"""Tasks of sheet 11: shifted slices, windows as columns, a Fourier transform that lost a column, and sizes on paper."""

import torch
import torch.nn.functional as F

from exercise_checks.running.observing import Case
from exercise_checks.tasks.old_task import Draw, Misconception, Task, as_list, once, pair


def padded(X, padding):
    ph, pw = pair(padding)
    return F.pad(X, (pw, pw, ph, ph))


def above_and_left(X, padding):
    ph, pw = pair(padding)
    return F.pad(X, (pw, 0, ph, 0))


# ---------------------------------------------------------------------------------------------------------
# Write it: one shifted picture for each weight
# ---------------------------------------------------------------------------------------------------------


def oracle(X, K, stride=1, padding=0):
    return F.conv2d(X, K, None, stride, padding)


def slice_window(index, X, K, stride=1, padding=0):
    """The window that a number is made of, padding included."""
    (n, _, i, j), (h, w), (sh, sw) = index, K.shape[2:], pair(stride)
    return f"picture {n}'s window {as_list(padded(X, padding)[n, :, i * sh : i * sh + h, j * sw : j * sw + w])}"


def layer_calls(seed):
    draw = Draw(seed)
    first = torch.arange(9.0).reshape(1, 1, 3, 3), torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    yield Case("the picture of lesson 11", first)
    yield Case("channels in and out, a batch of two", (draw.whole(2, 3, 4, 5), draw.whole(2, 3, 2, 2)))
    yield Case("a wide kernel", (draw.whole(1, 2, 4, draw.size(6, 8)), draw.whole(3, 2, 2, 3)), {"padding": (1, 0)})
    yield Case("a tall kernel", (draw.whole(2, 1, 7, 5), draw.whole(1, 1, 3, 1)), {"stride": (2, 1), "padding": (0, 1)})
    yield Case("steps of two and three", (draw.whole(1, 2, 7, 8), draw.whole(2, 2, 3, 3)), {"stride": (2, 3)})
    yield Case("a stride that leaves pixels over", (draw.whole(1, 1, 6, 6), draw.whole(2, 1, 2, 2), 3, 1))
    yield Case("a picture that is not contiguous", (draw.turned(2, 2, 4, draw.size(5, 7)), draw.turned(2, 2, 2, 3)))
    X, K = draw.real(1, 2, 4, 3, dtype=torch.float64), draw.real(2, 2, 4, 3, dtype=torch.float64)
    yield Case("float64, a kernel as large as the picture", (X, K))


def call_with(**change):
    """The oracle with some of its arguments computed from those that were given."""

    def wrong(X, K, stride=1, padding=0):
        given = {"X": X, "K": K, "stride": pair(stride), "padding": pair(padding)}
        return oracle(**{**given, **{name: new(given[name]) for name, new in change.items()}})

    return wrong


def only_last_weight(K):
    last = torch.zeros_like(K)
    last[:, :, -1, -1] = K[:, :, -1, -1]
    return last


SLICES = Task(
    id="conv_by_slices",
    title="Nine turns in place of half a million",
    kind="write",
    points=3,
    difficulty=3,
    importance=5,
    minutes=20,
    oracle=oracle,
    cases=layer_calls,
    window=slice_window,
    misconceptions=(
        Misconception(
            "flipped",
            "Your kernel is flipped: the weight in row i, column j belongs to the picture shifted i up and j to the "
            "left, so to the slice that *begins* at pixel (i, j).",
            call_with(K=lambda K: K.flip(2, 3)),
        ),
        Misconception(
            "only_last",
            "Only the last weight counts in your answer: each turn of the loop replaces what the turns before it "
            "made. Add to it: `Y += ...`.",
            call_with(K=only_last_weight),
        ),
        Misconception(
            "diagonal_only",
            "You take only the weights with i = j, as with one loop for both. Every row i goes together with every "
            "column j: two loops, one inside the other.",
            call_with(K=lambda K: K * torch.eye(*K.shape[2:], dtype=K.dtype)),
        ),
        Misconception(
            "first_channel",
            "You use the first input channel alone. `K[:, :, i, j]` is a matrix (out, in): all channels are weighed "
            "and added up.",
            call_with(X=lambda X: X[:, :1], K=lambda K: K[:, :1]),
        ),
        Misconception(
            "both_ignored",
            "`stride` and `padding` change nothing yet. Pad first; then take every `stride`-th row and column of each "
            "slice.",
            call_with(stride=lambda stride: 1, padding=lambda padding: 0),
        ),
        Misconception(
            "stride_ignored",
            "Your kernel moves by one pixel always. A slice takes every `stride`-th row and column: "
            "`X[:, :, i::sh, j::sw]`.",
            call_with(stride=lambda stride: 1),
        ),
        Misconception(
            "stride_of_rows_twice",
            "You use the first number of the stride for both axes. The second belongs to the columns.",
            call_with(stride=lambda stride: (stride[0], stride[0])),
        ),
        Misconception(
            "stride_turned",
            "The two numbers of `stride` are exchanged: the first is the step from row to row.",
            call_with(stride=lambda stride: stride[::-1]),
        ),
        Misconception(
            "padding_ignored",
            "Your answer has no padding. Put `padding` rows and columns of zeros around the picture first.",
            call_with(padding=lambda padding: 0),
        ),
        Misconception(
            "padding_turned",
            "Rows and columns of the padding are exchanged: `F.pad` wants the *last* dimension first, so left, right, "
            "top, bottom: `(pw, pw, ph, ph)`.",
            call_with(padding=lambda padding: padding[::-1]),
        ),
        Misconception(
            "padded_once",
            "You pad above and to the left only. `padding` counts for each of the four sides.",
            lambda X, K, stride=1, padding=0: oracle(above_and_left(X, padding), K, stride),
        ),
        Misconception(
            "one_place_short",
            "Your answer is one row and one column short. From the first place to the last there are (n + 2p - k) // "
            "s steps, and one place more than steps.",
            lambda *args, **kwargs: oracle(*args, **kwargs)[:, :, :-1, :-1],
        ),
        Misconception(
            "always_float32",
            "The values are right, but they are always float32. A tensor that you make yourself, as by "
            "`torch.zeros(...)`, needs `dtype=X.dtype`; `X.new_zeros(...)` has it.",
            lambda *args, **kwargs: oracle(*args, **kwargs).float(),
        ),
        Misconception(
            "detached",
            "The values are right, but the way back is cut: no gradient reaches the picture and the kernel. Leave out "
            "`detach`, `numpy`, `item` and `no_grad`.",
            lambda *args, **kwargs: oracle(*args, **kwargs).detach(),
        ),
    ),
    hints=(
        "Which pixels does the weight in row i, column j ever meet? Write them as one slice. How many rows and columns "
        "must every slice have, so that they can be added?",
        "With the padded picture `P`: `P[:, :, i::sh, j::sw][:, :, :rows, :columns]` is the slice, and "
        '`torch.einsum("nchw,oc->nohw", piece, K[:, :, i, j])` weighs it and adds up the channels.',
    ),
)


# ---------------------------------------------------------------------------------------------------------
# Write it: every window a column
# ---------------------------------------------------------------------------------------------------------


def columns_of(X, kernel_size, stride=1, padding=0):
    return F.unfold(X[None], kernel_size, padding=padding, stride=stride)[0]


def column_window(index, X, kernel_size, stride=1, padding=0):
    """Which pixel belongs to a number."""
    row, place = index
    (h, w), (sh, sw), P = pair(kernel_size), pair(stride), padded(X, padding)
    i, j = divmod(place, (P.shape[2] - w) // sw + 1)
    window = P[:, i * sh : i * sh + h, j * sw : j * sw + w]
    return f"number {row} of window {place}, which is {as_list(window)}"


def pictures(seed):
    draw = Draw(seed)
    yield Case("the picture of lesson 11", (torch.arange(9.0).reshape(1, 3, 3), 2))
    yield Case("two channels", (draw.distinct(2, 3, 4), 2))
    yield Case("a wide window", (draw.distinct(2, 4, draw.size(5, 7)), (2, 3)), {"stride": (2, 1)})
    yield Case("a tall window", (draw.distinct(3, 6, 5), (3, 2)), {"stride": (1, 3), "padding": (0, 2)})
    yield Case("padding and a stride", (draw.distinct(1, 4, 5), 3, 2, 1))
    yield Case("a picture that is not contiguous", (draw.distinct(2, 5, draw.size(3, 4)).transpose(1, 2), (2, 3)))
    yield Case("float64, one column", (draw.real(2, 3, 4, dtype=torch.float64), (3, 4)))


def regrouped(X, kernel_size, stride=1, padding=0, order=(0, 1, 2, 3, 4)):
    """The columns with their axes (channel, row, column in the window; row, column of the place) in another order."""
    (h, w), (sh, sw), P = pair(kernel_size), pair(stride), padded(X, padding)
    windows = P.unfold(1, h, sh).unfold(2, w, sw).permute(0, 3, 4, 1, 2)
    return windows.permute(order).reshape(len(X) * h * w, -1)


def in_order(*order):
    return lambda *args, **kwargs: regrouped(*args, **kwargs, order=order)


def columns_with(**change):
    def wrong(X, kernel_size, stride=1, padding=0):
        given = {"kernel_size": pair(kernel_size), "stride": pair(stride), "padding": pair(padding)}
        return columns_of(X, **{**given, **{name: new(given[name]) for name, new in change.items()}})

    return wrong


def row_by_row_in_memory(X, *args, **kwargs):
    """Takes it for granted that the numbers lie in memory row by row."""
    (_, H, W) = X.shape
    return columns_of(X.as_strided(X.shape, (H * W, W, 1)), *args, **kwargs)


COLUMNS = Task(
    id="windows_to_columns",
    title="Every window a column",
    kind="write",
    points=3,
    difficulty=3,
    importance=4,
    minutes=20,
    oracle=columns_of,
    cases=pictures,
    window=column_window,
    misconceptions=(
        Misconception(
            "windows_as_rows",
            "Your windows are the rows. They must be the columns, so that the kernel, one row, can stand to the left "
            "in the product.",
            lambda *args, **kwargs: columns_of(*args, **kwargs).T,
        ),
        Misconception(
            "channels_last",
            "The numbers of a window are in another order: you go through the channels innermost. A kernel written as "
            "a row, `K.flatten(1)`, goes channel by channel, so each column must, too.",
            in_order(1, 2, 0, 3, 4),
        ),
        Misconception(
            "window_down_first",
            "Inside a window you read down the columns first. The kernel is read row by row.",
            in_order(0, 2, 1, 3, 4),
        ),
        Misconception(
            "places_down_first",
            "Your windows come down the picture first. They must come row by row, or the product cannot be reshaped "
            "to the output.",
            in_order(0, 1, 2, 4, 3),
        ),
        Misconception(
            "channels_apart",
            "Each channel has its own matrix in your answer. A window reaches through all channels: one column holds "
            "C * kh * kw numbers.",
            lambda X, *args, **kwargs: columns_of(X, *args, **kwargs).unflatten(0, (len(X), -1)),
        ),
        Misconception(
            "places_not_flat",
            "Rows and columns of the places are still two axes. One axis must count all places: flatten them.",
            lambda X, kernel_size, stride=1, padding=0: columns_of(X, kernel_size, stride, padding).unflatten(
                1, ((padded(X, padding).shape[1] - pair(kernel_size)[0]) // pair(stride)[0] + 1, -1)
            ),
        ),
        Misconception(
            "window_turned",
            "Your window is turned: the first number of `kernel_size` is its height, the second its width.",
            columns_with(kernel_size=lambda size: size[::-1]),
        ),
        Misconception(
            "both_ignored",
            "`stride` and `padding` change nothing yet. Pad first; then let the window of place (i, j) begin at pixel "
            "(i * sh, j * sw).",
            columns_with(stride=lambda stride: 1, padding=lambda padding: 0),
        ),
        Misconception(
            "stride_ignored",
            "Your window moves by one pixel always. The window of place (i, j) begins at pixel (i * sh, j * sw).",
            columns_with(stride=lambda stride: 1),
        ),
        Misconception(
            "stride_turned",
            "The two numbers of `stride` are exchanged: the first is the step from row to row.",
            columns_with(stride=lambda stride: stride[::-1]),
        ),
        Misconception(
            "padding_ignored",
            "Your answer has no padding. Put `padding` rows and columns of zeros around the picture first.",
            columns_with(padding=lambda padding: 0),
        ),
        Misconception(
            "padding_turned",
            "Rows and columns of the padding are exchanged: `F.pad` wants the *last* dimension first, so left, right, "
            "top, bottom: `(pw, pw, ph, ph)`.",
            columns_with(padding=lambda padding: padding[::-1]),
        ),
        Misconception(
            "memory_order_assumed",
            "On the picture that is not contiguous you read other pixels. You wrote the strides down as they are for a "
            "fresh tensor; ask the tensor: `X.stride()`.",
            row_by_row_in_memory,
        ),
        Misconception(
            "always_float32",
            "The values are right, but they are always float32. A tensor that you make yourself, as by "
            "`torch.zeros(...)`, needs `dtype=X.dtype`; `X.new_zeros(...)` has it.",
            lambda *args, **kwargs: columns_of(*args, **kwargs).float(),
        ),
        Misconception(
            "detached",
            "The values are right, but the way back is cut: no gradient reaches the picture. Leave out `detach`, "
            "`numpy`, `item` and `no_grad`.",
            lambda *args, **kwargs: columns_of(*args, **kwargs).detach(),
        ),
    ),
    hints=(
        "Write the window of place (i, j) as a slice of the padded picture. In which order does `flatten()` read it? "
        "In which order must the places come?",
        "`torch.stack([P[:, i : i + h, j : j + w].flatten() for i in range(0, last_i + 1, sh) for j in range(0, last_j "
        "+ 1, sw)], dim=1)`, with `P` the padded picture.",
    ),
)


# ---------------------------------------------------------------------------------------------------------
# Find the bug: a transform back that guesses the width
# ---------------------------------------------------------------------------------------------------------


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


EXPOSE = Task(
    id="breaks_fft_conv",
    title="Find a picture that breaks it",
    kind="bug",
    points=1,
    difficulty=2,
    importance=3,
    minutes=8,
    oracle=lambda: torch.arange(15.0).reshape(3, 5) ** 2,
    cases=once,
    accept=exposes,
    broken=broken_fft_conv,
    misconceptions=(
        Misconception(
            "even_width",
            "The width of your picture is even, and there the function is right. How does `irfft2` know how wide the "
            "picture was?",
            lambda: torch.arange(24.0).reshape(4, 6),
            matches=lambda X: is_picture(X) and X.shape[0] % 2 == 0 and X.shape[1] % 2 == 0,
        ),
        Misconception(
            "odd_height",
            "The height of your picture is odd, its width even. It is the last axis that counts: of its spectrum only "
            "half is kept.",
            lambda: torch.arange(30.0).reshape(5, 6),
            matches=lambda X: is_picture(X) and X.shape[0] % 2 == 1 and X.shape[1] % 2 == 0,
        ),
        Misconception(
            "nothing_to_see",
            "The size of your picture could show it, but its pixels do not: the right answer is the same number "
            "everywhere. Take a picture with something on it.",
            lambda: torch.zeros(5, 5),
            matches=lambda X: is_picture(X) and X.shape[1] % 2 == 1 and is_right_there(X),
        ),
        Misconception(
            "whole_numbers",
            "Your numbers are whole, and this is about float32. Write `torch.arange(15.0)` in place of "
            "`torch.arange(15)`.",
            lambda: torch.arange(15).reshape(3, 5),
            matches=lambda X: not X.is_floating_point(),
        ),
    ),
    hints=(
        "`rfft2` of 4 columns has 3, and so has `rfft2` of 5 columns. What can `irfft2` know?",
        "`irfft2` takes the width for even. Return any picture with an odd number of columns, such as 3×5, with edges "
        "on it.",
    ),
)


def fourier_calls(seed):
    draw = Draw(seed)
    first = torch.arange(9.0).reshape(3, 3), torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    yield Case("the picture of lesson 11", first)
    yield Case("an even width", (draw.whole(5, 6), draw.whole(3, 2)))
    yield Case("an odd width", (draw.whole(4, 7), draw.whole(2, 3)))
    yield Case("one row", (draw.whole(1, 5), draw.whole(1, 2)))
    yield Case("a picture that is not contiguous", (draw.turned(draw.size(4, 6), 5), draw.turned(2, 3)))
    yield Case("float64", (draw.real(5, 5, dtype=torch.float64), draw.real(2, 2, dtype=torch.float64)))
    yield Case("a kernel as large as the picture", (draw.whole(3, 5), draw.whole(3, 5)))


def by_spectra(X, K, s=None, conjugate=torch.conj, cut=True):
    rows, columns = X.shape[0] - K.shape[0] + 1, X.shape[1] - K.shape[1] + 1
    ring = torch.fft.irfft2(torch.fft.rfft2(X) * conjugate(torch.fft.rfft2(K, s=X.shape)), s=s or X.shape)
    return ring[:rows, :columns] if cut else ring


MENDED = Task(
    id="mended_fft_conv",
    title="Mend it",
    kind="bug",
    points=1,
    difficulty=2,
    importance=3,
    minutes=5,
    oracle=fft_conv,
    cases=fourier_calls,
    window=lambda index, X, K: (
        f"the window {as_list(X[index[0] : index[0] + K.shape[0], index[1] : index[1] + K.shape[1]])}"
    ),
    relative=1e-4,
    absolute=1e-3,
    misconceptions=(
        Misconception(
            "unchanged",
            "`irfft2` is still not told the size. Where the width is odd it makes a picture that is one column "
            "narrower, and every number is wrong.",
            broken_fft_conv,
        ),
        Misconception(
            "not_cut",
            "The size is right now, but the answer is the whole ring. Keep the places at which the kernel fits on the "
            "picture: `[:rows, :columns]`.",
            lambda X, K: by_spectra(X, K, cut=False),
        ),
        Misconception(
            "conjugate_lost",
            "The conjugate is gone, so the kernel is flipped and the picture wrapped round. Cross-correlation "
            "multiplies by the *conjugate* of the kernel's spectrum.",
            lambda X, K: by_spectra(X, K, conjugate=lambda spectrum: spectrum),
        ),
        Misconception(
            "answers_size",
            "You gave `irfft2` the size of the *answer*. It must be the size of the picture, as it was for the "
            "transform there; cut afterwards.",
            lambda X, K: by_spectra(X, K, s=(X.shape[0] - K.shape[0] + 1, X.shape[1] - K.shape[1] + 1)),
        ),
        Misconception(
            "detached",
            "The values are right, but the way back is cut: no gradient reaches the picture and the kernel. Leave out "
            "`detach`, `numpy`, `item` and `no_grad`.",
            lambda X, K: fft_conv(X, K).detach(),
        ),
    ),
    hints=(
        "Which call must be told how wide the picture was? Which argument of `rfft2(K, ...)` does that already?",
        "`torch.fft.irfft2(spectrum, s=X.shape)`.",
    ),
)


# ---------------------------------------------------------------------------------------------------------
# On paper: columns, strides, the matrix, Winograd
# ---------------------------------------------------------------------------------------------------------


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


PAPER = Task(
    id="fast_conv_on_paper",
    title="Columns, strides and a matrix",
    kind="predict",
    points=3,
    difficulty=3,
    importance=4,
    minutes=15,
    oracle=torch_on_paper,
    cases=once,
    misconceptions=(
        Misconception(
            "channels_left_out",
            "For `columns` you forgot the channels: a window reaches through all three, so its column has 3 · 3 · 2 "
            "numbers.",
            lambda: {"columns": (2, 6, 35)},
        ),
        Misconception(
            "padding_left_out",
            "For `columns` you left the padding out. It adds one row or column at each side: (n + 2p - k) // s + 1.",
            lambda: {"columns": (2, 18, 24)},
        ),
        Misconception(
            "stride_one",
            "For `columns` your window moves by one pixel. The stride is 2: about a quarter as many places.",
            lambda: {"columns": (2, 18, 130)},
        ),
        Misconception(
            "places_not_flat",
            "For `columns` you kept two axes for the places. `F.unfold` counts them on one: rows times columns.",
            lambda: {"columns": (2, 18, 5, 7)},
        ),
        Misconception(
            "side_for_area",
            "For `copies` you counted along one axis. A pixel lies in 5 rows *and* 5 columns of windows.",
            lambda: {"copies": 5},
        ),
        Misconception(
            "stride_one_view",
            "For `strides` your windows are neighbours. From one place to the next the window moves by 2 rows, "
            "or 2 columns.",
            lambda: {"strides": (10, 1, 10, 1)},
        ),
        Misconception(
            "steps_everywhere",
            "For `strides` you took steps of 2 inside the window, too. That would be a dilation. Inside a window the "
            "pixels are neighbours.",
            lambda: {"strides": (20, 2, 20, 2)},
        ),
        Misconception(
            "strides_of_a_copy",
            "These are the strides that a fresh tensor of this shape has. The view copies nothing: each jump is "
            "one in the picture's own memory, whose rows are 10 numbers long.",
            lambda: {"strides": (36, 9, 3, 1)},
        ),
        Misconception(
            "matrix_turned",
            "Your matrix is turned. It has a row for each output and a column for each pixel.",
            lambda: {"matrix": (30, 15)},
        ),
        Misconception(
            "square_matrix",
            "Your matrix makes as many outputs as there are pixels. Without padding there are only "
            "(5 - 3 + 1) · (6 - 2 + 1).",
            lambda: {"matrix": (30, 30)},
        ),
        Misconception(
            "all_cells",
            "For `nonzero` you counted all cells of the matrix. In each row only the kernel's weights are not zero.",
            lambda: {"nonzero": 450},
        ),
        Misconception(
            "different_weights",
            "For `nonzero` you counted the *different* weights. Each of the six stands once in every row.",
            lambda: {"nonzero": 6},
        ),
        Misconception(
            "sliding",
            "For `winograd` you counted the multiplications of sliding, 9 for each output. A tile of 2×2 outputs takes "
            "16 instead of 36.",
            lambda: {"winograd": 576},
        ),
        Misconception(
            "one_dimension",
            "For `winograd` you saved along one axis only, 1.5 times. The trick is used along both.",
            lambda: {"winograd": 384},
        ),
    ),
    hints=(
        "Columns: how long is one window, and how many places are there? Strides: how far apart in memory are two "
        "windows, and how far apart two pixels of one window? Winograd: how many tiles?",
        "Columns: (N, C · kh · kw, rows · columns). Strides: 2 · 10 and 2 · 1 between windows, then as in the picture. "
        "Matrix: outputs by pixels, with 6 weights in a row. Winograd: 16 tiles of 16.",
    ),
)

TASKS = (SLICES, COLUMNS, EXPOSE, MENDED, PAPER)
