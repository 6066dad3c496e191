"""What is drawn is what was given: the tests read the figures' texts and patches, and the PNG's bytes."""

import io
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import matplotlib.style
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle
from PIL import Image

from course_utils import data, plotting
from course_utils.plotting import canvas, colours, curves, fields, grids, maps, stamps, windows, wording
from course_utils.plotting.picture import film, raster, still

X = torch.arange(9.0).reshape(3, 3)
K = torch.tensor([[0.0, 1.0], [2.0, 3.0]])
SOBEL = torch.tensor([[1, 0, -1], [2, 0, -2], [1, 0, -1]])

PICTURES = {
    "matrices": lambda: plotting.matrices({"input": X, "K": K, "other": torch.randn(2, 3, 2)}, border={"K": 0}),
    "batch": lambda: plotting.matrices({"kernel": torch.arange(16.0).reshape(2, 2, 2, 2), "bias": [1, 2]}),
    "sliding_window": lambda: plotting.sliding_window(X, K, at=(1, 0), padding=1),
    "pooling_window": lambda: plotting.pooling_window(X, 2, "avg", at=(1, 1)),
    "animate_window": lambda: plotting.animate_window(X, K),
    "stamping_window": lambda: plotting.stamping_window(X, K, at=(1, 0), stride=2, padding=1),
    "receptive_field": lambda: plotting.receptive_field([(3, 1, 2), (3, 2)]),
    "images": lambda: plotting.images({"a long title to be wrapped": X, "signed": X - 4, "rgb": torch.rand(3, 4, 5)}),
    "overlays": lambda: plotting.overlays({"a digit": (X, X - 4), "nothing found": (X, 0 * X)}),
    "heatmap": lambda: plotting.heatmap(X, "How often?", "predicted", "true", labels=["cat", "dog", "mouse"]),
    "weights": lambda: plotting.heatmap(torch.randn(20, 30), numbers=False),
    "lines": lambda: plotting.lines({"loops": [1, 20], "torch": ([1, 3], [1, 2])}, "side", "ms", "Time", logy=True),
    "bars": lambda: plotting.bars({"standard": 18432, "a name so long that it is wrapped": 3}, "weights", log=True),
    "history": lambda: plotting.history({"train_loss": [2.3, 0.5], "test_accuracy": [0.1, 0.9], "lr": [1, 1]}, "Run"),
}
FIGURES = {
    "matrices": lambda: grids._draw_matrices({"input": X, "kernel": K * 100, "output": X / 7, "-": -X}, {"-": 1})[0],
    "one row": lambda: grids._draw_matrices({"input": -torch.ones(6, 8), "K": [[1, 2]], "Y": torch.ones(6, 7)}, {})[0],
    "stacked": lambda: grids._draw_matrices({"a rather long name": torch.rand(2, 3, 2, 2)}, {})[0],
    "window": lambda: windows._draw_window(windows.kernel_case(X, SOBEL, 1, 2, 2), (1, 0)),
    "wide window": lambda: windows._draw_window(windows.kernel_case(torch.randn(7, 7), SOBEL / 7, 1, 0, 1), (2, 1)),
    "pooling": lambda: windows._draw_window(windows.pooling_case(X, 2, "max", 1, 1), (0, 3)),
    "stamp": lambda: stamps.draw_place(stamps.stamp_case(X, SOBEL / 7, 2, 1, 1, 1), (2, 1))[0],
    "field": lambda: fields.draw_levels(fields.levels_of([(5, 1), (2, 2), (5, 1), (2, 2), (3, 1)]))[0],
    "one unit": lambda: fields.draw_levels(fields.levels_of([(1, 1)]))[0],
    "images": lambda: maps.draw_images({"A title of many words": X - 4, "b": X}, 2, None, None, None)[0],
    "tall": lambda: maps.draw_images({"A title of many words": torch.rand(30, 2)}, 1, None, None, None)[0],
    "overlays": lambda: maps._draw_overlays({"a": (X, X - 4), "a rather long name": (X, X)}, None)[0],
    "heatmap": lambda: maps._draw_heatmap(X.double(), "A title wider than cells", "x", "y", True, None),
    "signed": lambda: maps._draw_heatmap(torch.randn(5, 8).double(), "", "x", "y", True, None),
    "classes": lambda: maps._draw_heatmap(torch.eye(2).double(), "", "x", "y", True, ["cat", "elephant" * 2]),
    "history": lambda: curves._draw_history({"loss": [1, 2], "acc": [0.5, 1]}, "A run")[0],
    "bars": lambda: curves._draw_bars(dict.fromkeys(["a", "b " * 30], torch.tensor(-12345.0)), "n", "Bars", False),
}


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def texts(fig, prefix=""):
    """The figure's strings by gid."""
    found = [t for ax in fig.axes for t in ax.texts if (t.get_gid() or "").startswith(prefix) and t.get_gid()]
    return {t.get_gid(): t.get_text() for t in found}


def cells(fig):
    return {p.get_gid(): p for p in fig.axes[0].get_children() if isinstance(p, Rectangle) and p.get_gid()}


def contrast(a, b):
    """WCAG 2.2, criterion 1.4.3."""
    lum = []
    for colour in (a, b):
        c = np.array(to_rgb(colour))
        lum.append(np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722])
    return (max(lum) + 0.05) / (min(lum) + 0.05)


def decode(picture):
    return Image.open(io.BytesIO(picture.png))


# The sliding window -------------------------------------------------------------------------------------


@st.composite
def slides(draw):
    kh, kw, sh, sw, dh, dw = (draw(st.integers(1, 3)) for _ in range(6))
    ph, pw = draw(st.integers(0, 2)), draw(st.integers(0, 2))
    H = draw(st.integers(max(1, dh * (kh - 1) + 1 - 2 * ph), 7))
    W = draw(st.integers(max(1, dw * (kw - 1) + 1 - 2 * pw), 7))
    numbers = st.integers(-5, 5)
    X = torch.tensor(draw(st.lists(numbers, min_size=H * W, max_size=H * W))).reshape(H, W)
    K = torch.tensor(draw(st.lists(numbers, min_size=kh * kw, max_size=kh * kw))).reshape(kh, kw)
    Y = F.conv2d(X[None, None].float(), K[None, None].float(), None, (sh, sw), (ph, pw), (dh, dw))[0, 0].int()
    at = (draw(st.integers(0, Y.shape[0] - 1)), draw(st.integers(0, Y.shape[1] - 1)))
    return X, K, Y, at, (sh, sw), (ph, pw), (dh, dw)


@settings(max_examples=30, deadline=None)
@given(slides())
def test_window_shows_what_torch_computes(example):
    X, K, Y, at, stride, padding, dilation = example
    case = windows.kernel_case(X, K, stride, padding, dilation)
    fig = windows._draw_window(case, at)

    # Every number: the padded input, the kernel, and the output up to and including `at`.
    P = F.pad(X, (padding[1], padding[1], padding[0], padding[0]))
    assert texts(fig, "input") == {f"input[{i},{j}]": str(int(P[i, j])) for i, j in np.ndindex(*P.shape)}
    assert texts(fig, "kernel") == {f"kernel[{i},{j}]": str(int(K[i, j])) for i, j in np.ndindex(*K.shape)}
    done = {
        f"output[{i},{j}]": str(int(Y[i, j]))
        for i, j in np.ndindex(*Y.shape)
        if i * Y.shape[1] + j <= at[0] * Y.shape[1] + at[1]
    }
    assert texts(fig, "output") == done
    assert sum(gid.startswith("output") for gid in cells(fig)) == Y.numel()

    # The pixels that are highlighted are those on which this output's value depends, found by autograd.
    leaf = P.float().requires_grad_()
    F.conv2d(leaf[None, None], torch.ones(1, 1, *K.shape), None, stride, 0, dilation)[0, 0][at].backward()
    drawn = cells(fig)
    orange = colours.tint(plotting.KERNEL, 0.45)
    for i, j in np.ndindex(*P.shape):
        cell = drawn[f"input[{i},{j}]"]
        assert (cell.get_facecolor()[:3] == pytest.approx(orange)) == bool(leaf.grad[i, j])
        pad = not (padding[0] <= i < P.shape[0] - padding[0] and padding[1] <= j < P.shape[1] - padding[1])
        assert (cell.get_linestyle() not in ("-", "solid")) == pad

    # The outline encloses exactly those pixels.
    rows, columns = leaf.grad.nonzero().unbind(1)
    first, last = drawn[f"input[{rows.min()},{columns.min()}]"], drawn[f"input[{rows.max()},{columns.max()}]"]
    frame = drawn["window"].get_bbox()
    assert (frame.x0, frame.y0) == pytest.approx((first.get_x() - 1.5, first.get_y() - 1.5))
    assert (frame.x1, frame.y1) == pytest.approx((last.get_bbox().x1 + 1.5, last.get_bbox().y1 + 1.5))

    # The arithmetic is true, and written below in full.
    written = " ".join(texts(fig, f"sum{n}").get(f"sum{n}", "") for n in range(9)).strip()
    left, right = written.split(" = ")
    assert eval(left.replace("×", "*")) == int(right) == int(Y[at])
    assert left.count("×") == K.numel()


def test_window_takes_ints_pairs_lists_and_named_paddings():
    assert plotting.sliding_window(X.tolist(), K.tolist(), at=[0, 1]) == plotting.sliding_window(X, K, (0, 1))
    assert plotting.sliding_window(X, K, stride=(1, 1)).png == plotting.sliding_window(X, K).png
    same = windows._draw_window(windows.kernel_case(X, K, 1, "same", 1), (2, 2))
    expected = F.conv2d(F.pad(X, (0, 1, 0, 1))[None, None], K[None, None])[0, 0]  # an even kernel: one side only
    assert list(texts(same, "output").values()) == [str(int(v)) for v in expected.flatten()]


@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("mode", ["max", "avg"])
def test_pooling_window_shows_what_torch_computes(mode, padding):
    pool = F.max_pool2d if mode == "max" else F.avg_pool2d
    expected = pool(X[None], 2, 1, padding)[0]
    at = (expected.shape[0] - 1, expected.shape[1] - 1)
    fig = windows._draw_window(windows.pooling_case(X, 2, mode, 1, padding), at)
    assert [float(t) for t in texts(fig, "output").values()] == expected.flatten().tolist()
    if padding:
        assert texts(fig)["input[0,0]"] == ("-∞" if mode == "max" else "0")
    assert f" = {texts(fig)[f'output[{at[0]},{at[1]}]']}" in texts(fig)["sum0"]


def test_rounded_sums_say_so():
    assert "≈" in plotting.sliding_window([[0.123456]], [[1.0]]).alt
    assert "0.5×0.25 = 0.125" not in plotting.sliding_window([[0.5]], [[0.25]]).alt  # 0.125 is shown as 0.13
    assert "0.5×0.5 = 0.25" in plotting.sliding_window([[0.5]], [[0.5]]).alt


def test_animation_has_a_frame_per_window_and_ends_complete():
    X = torch.arange(16.0).reshape(4, 4)
    picture = plotting.animate_window(X, K, fps=2)
    shown = decode(picture)
    assert shown.n_frames == 9
    assert shown.info["loop"] == 0
    assert shown.info["duration"] == pytest.approx(500)
    assert len(picture.png) < 45_000
    expected = F.conv2d(X[None, None], K[None, None])[0, 0]
    assert all(f"({i}, {j}) {int(expected[i, j])}" in picture.alt for i, j in np.ndindex(3, 3))
    case = windows.kernel_case(X, K, 1, 0, 1)
    for n, at in enumerate(np.ndindex(3, 3)):  # few colours are stored, but each frame looks like its still
        shown.seek(n)
        drawn = raster(windows._draw_window(case, at)).astype(int)
        difference = np.abs(np.asarray(shown.convert("RGB")) - drawn)
        assert difference.mean() < 1
        assert (difference.max(-1) > 60).mean() < 0.002
        assert shown.convert("RGBA").getextrema()[3] == (255, 255)  # no page shines through


@pytest.mark.parametrize("other", [(0, 1, 1), (1, 0, 1), (1, 1, 0)])
def test_film_notices_a_change_in_one_colour(other):
    shades = [(1, 1, 1), other]
    cards = [canvas.card(10, 10)[0] for _ in range(3)]
    cards[1].set_facecolor(other)
    seen = decode(film(cards, shades, 1, ""))
    for n, shade in enumerate([(1, 1, 1), other, (1, 1, 1)]):
        seen.seek(n)
        assert seen.convert("RGB").getcolors() == [(400, tuple(255 * c for c in shade))]


# Numbers, grids, images, curves -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0"), (-0.0, "0"), (7, "7"), (-12, "-12"), (123456, "123456"), (2.5, "2.5"), (1 / 3, "0.33"),
     (-12.345, "-12.3"), (1234.5, "1235"), (0.0625, "0.06"), (0.0042, "4e-3"), (12345678, "1.2e7"),
     (float("nan"), "nan"), (float("-inf"), "-∞")],
)  # fmt: skip
def test_numbers_are_short(value, shown):
    assert plotting.matrices({"a": [[value]]}).alt == f"a 1x1 [{shown}]"


def test_small_numbers_survive_beside_large_ones():
    assert plotting.matrices({"a": [[1, 999999, 2**40]]}).alt == "a 1x3 [1 999999 1.1e12]"


@given(st.lists(st.integers(-8000, 8000), min_size=1, max_size=20), st.floats(-1e-7, 1e-7))
def test_numbers_agree_between_processors(eighths, error):
    """Sums that differ in the seventh digit, even on a rounding boundary such as 0.125, give one string."""
    exact = torch.tensor(eighths, dtype=torch.float64) / 8
    noisy = exact + error * exact.abs().max()
    assert wording.texts_of(noisy).tolist() == wording.texts_of(exact).tolist()


@given(st.floats(-1e6, 1e6))
def test_numbers_keep_their_value(value):
    shown = float(wording.number(value, abs(value)))
    assert shown == pytest.approx(value, rel=0.05, abs=0.005 if abs(value) >= 0.01 else 0.0005)


def test_matrices_draw_every_number_of_every_channel():
    T = torch.arange(24).reshape(2, 2, 2, 3)
    fig, words = grids._draw_matrices({"kernel": T, "bias": [5, 6]}, {})
    drawn = texts(fig)
    for n, c, i, j in np.ndindex(*T.shape):
        assert drawn[f"kernel[{n}][{c},{i},{j}]"] == str(int(T[n, c, i, j]))
    assert drawn["bias[0,1]"] == "6"
    assert "kernel 2x2x2x3 [0 1 2; 3 4 5] [6 7 8; 9 10 11] [12 13 14; 15 16 17] [18 19 20; 21 22 23]" in words
    assert len(drawn) == 26


def test_matrices_mark_the_border():
    fig, _ = grids._draw_matrices({"input": F.pad(X, (1, 1, 0, 0))}, {"input": (0, 1)})
    dashed = {gid for gid, cell in cells(fig).items() if cell.get_linestyle() not in ("-", "solid")}
    assert dashed == {f"input[{i},{j}]" for i in range(3) for j in (0, 4)}


@pytest.mark.parametrize("scale", [1, -100])
def test_grids_stay_on_one_row_if_smaller_cells_are_enough(scale):
    def corners(*columns):
        named = {f"grid {n}": scale * torch.ones(2, count) for n, count in enumerate(columns)}
        drawn = cells(grids._draw_matrices(named, {})[0])
        first = [drawn[f"{name}[0,0]"] for name in named]
        return {round(cell.get_y()) for cell in first}, {round(cell.get_width() + 3, 3) for cell in first}

    usual = {47.6} if scale < 0 else {42}  # "-100" needs more room than "1"
    assert corners(4, 3, 2) == (corners(4)[0], usual)  # there is room: the usual cells
    rows, (width,) = corners(6, 5, 5)
    assert len(rows) == 1
    assert 28 <= width < min(usual)
    rows, widths = corners(9, 9, 9)  # too much for one row: the usual cells again, on more rows
    assert len(rows) > 1
    assert widths == usual


def test_colours_follow_names():
    names = {"input 1": "INPUT", "kernel of the output": "KERNEL", "output": "OUTPUT", "X": "INPUT", "K": "KERNEL",
             "Y": "OUTPUT", "filters": "KERNEL", "mask": "MUTED"}  # fmt: skip
    for name, meaning in names.items():
        fig, _ = grids._draw_matrices({name: [[1]]}, {})
        colour = getattr(plotting, meaning)
        assert to_rgb(cells(fig)[f"{name}[0,0]"].get_edgecolor()) == to_rgb(colour)


def test_images_show_the_data_on_one_scale():
    rgb, grey, signed = torch.rand(3, 5, 4), torch.rand(1, 5, 4), torch.randn(7, 3)
    pictures = {"rgb": rgb, "grey": grey, "more": 3 * grey, "signed": signed}
    fig, words = maps.draw_images(pictures, 3, None, None, None)
    assert all(shape in words for shape in ("rgb 3x5x4", "grey 5x4", "signed 7x3"))
    shown = [ax.images[0] for ax in fig.axes[1:5]]
    assert np.allclose(shown[0].get_array(), rgb.permute(1, 2, 0))
    assert np.allclose(shown[1].get_array(), grey[0])
    assert np.allclose(shown[3].get_array(), signed)
    assert shown[1].get_clim() == shown[2].get_clim() == pytest.approx((0, float(3 * grey.max())))
    assert shown[3].get_clim() == pytest.approx((-float(signed.abs().max()), float(signed.abs().max())))
    assert texts(fig, "scale")  # the colour bars tell the numbers
    assert all(image.get_interpolation() == "nearest" for image in shown)
    fig, _ = maps.draw_images({"grey": grey, "signed": signed}, None, -1, 2, "gray")
    assert {ax.images[0].get_clim() for ax in fig.axes[1:]} == {(-1, 2)}


def test_overlays_are_grey_where_the_map_is_0_and_coloured_where_it_is_strongest():
    image, M = torch.rand(1, 5, 4), torch.randn(5, 4)
    M[0, 0], M[1, 1], M[2, 2] = 0, 4, -8
    fig, words = maps._draw_overlays({"digit": (image, M), "empty": (image, 0 * M), "black": (0 * image, -M)}, None)
    shown = [ax.images[0].get_array() for ax in fig.axes[1:4]]
    assert np.allclose(shown[0][0, 0], image[0, 0, 0] / image.max())
    assert np.allclose(shown[1], image[0, :, :, None] / image.max())  # a map of zeros hides nothing
    assert np.allclose(shown[0][2, 2], to_rgb(maps.SIGNS[1]))
    halfway = (np.array(to_rgb(maps.SIGNS[0])) + float(image[0, 1, 1] / image.max())) / 2
    assert np.allclose(shown[0][1, 1], halfway)
    assert np.allclose(shown[2][2, 2], to_rgb(maps.SIGNS[0]))
    assert all(f"(to {reach})" in title for reach, title in zip("808", _titles(fig), strict=True))
    assert "digit: image 5x4 [" in words
    assert "largest at row 1, column 1; empty: " in words
    assert words.endswith("largest at row 2, column 2")


def _titles(fig):
    return [t.get_text() for t in fig.axes[0].texts if "(to" in t.get_text()]


@pytest.mark.parametrize("lift", [0, -15])
def test_heatmap_numbers_and_colours_are_the_data(lift):
    C = torch.tensor([[30, 0, 1], [0, 28, 2], [0, 0, 9]]) + lift
    fig = maps._draw_heatmap(C.double(), "Confusion", "predicted", "true", True, ["a", "b", "c"])
    assert [int(t) for t in texts(fig, "heat").values()] == C.flatten().tolist()
    image = fig.axes[1].images[0]
    assert np.array_equal(image.get_array(), C)
    fills = image.cmap(image.norm(image.get_array()))
    for text in fig.axes[0].texts:
        if text.get_gid():
            i, j = (int(n) for n in text.get_gid()[5:-1].split(","))
            assert contrast(text.get_color(), fills[i, j][:3]) >= 4.5
            assert (text.get_color() == plotting.MUTED) == (C[i, j] == 0)


@given(st.tuples(*3 * [st.floats(0, 1)]))
def test_text_on_any_fill_is_readable(fill):
    assert contrast(colours.readable(fill), fill) >= 4.5


def test_curves_differ_in_more_than_colour():
    series = {f"curve {n}": (torch.arange(5.0), torch.full((5,), float(n))) for n in range(8)}
    fig, words = curves._draw_curves({"y": series}, "x", "", False, False)
    drawn = fig.axes[1].lines
    assert len({(line.get_linestyle(), line.get_marker()) for line in drawn}) == 8
    for n, line in enumerate(drawn):
        assert line.get_xydata().tolist() == [[float(x), float(n)] for x in range(5)]
    assert "curve 7 (0, 7) (1, 7) (2, 7) (3, 7) (4, 7)" in words
    assert {"x", "y", *series} <= {t.get_text() for t in fig.axes[0].texts}


def test_an_accuracy_of_997_is_not_called_1():
    assert "(1, 0.997)" in plotting.history({"accuracy": [0.997]}).alt
    assert plotting.bars({"a": 0.997}, "y").alt == "y: a 0.997"


def test_long_curves_are_summarised():
    words = plotting.lines({"loss": torch.linspace(3, 1, 500)}, "step", "loss").alt
    assert words == "loss over step: loss 500 points from 3 at 1 to 1 at 500, lowest 1, highest 3"


def test_history_has_a_panel_for_losses_and_one_for_accuracies():
    record = {"train_loss": [2.0, 1.0], "test_accuracy": [0.5, 0.75], "seconds": [1, 1], "val_loss": []}
    fig, _ = curves._draw_history(record, "")
    loss, accuracy = fig.axes[1:]
    assert loss.lines[0].get_xydata().tolist() == [[1, 2], [2, 1]]
    assert accuracy.lines[0].get_xydata().tolist() == [[1, 0.5], [2, 0.75]]
    assert [len(ax.lines) for ax in (loss, accuracy)] == [1, 1]


@pytest.mark.parametrize("log", [False, True])
def test_bars_are_as_long_as_their_numbers(log):
    numbers = {"a": torch.tensor(3.0), "b": torch.tensor(40.0)}
    fig = curves._draw_bars(numbers, "n", "", log)
    panel = fig.axes[1]
    assert [bar.get_width() for bar in panel.patches] == [3, 40]
    assert panel.get_xscale() == ("log" if log else "linear")
    assert texts(fig, "bar") == {"bar[0]": "3", "bar[1]": "40"}


# Every picture ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", PICTURES)
def test_picture_is_a_png_with_alt_text_that_jupyter_shows(kind):
    picture = PICTURES[kind]()
    image = decode(picture)
    image.verify()
    assert image.format == "PNG"
    assert image.size == tuple(2 * side for side in picture.size)
    assert picture.size[0] <= 760
    assert 10 < len(picture.alt) < 1000
    data, metadata = picture._repr_mimebundle_()
    assert data["text/plain"] == f"<Picture: {picture.alt}>" == repr(picture)
    first, tag = data["text/html"].splitlines()
    assert first.startswith("<!--"), "JupyterLab shows this line of a folded output, so it must not tell the answer"
    assert tag.startswith('<img alt="')
    assert f'width="{picture.size[0]}"' in tag
    assert metadata == {}


@pytest.mark.parametrize("kind", FIGURES)
def test_few_colours_are_stored_but_the_picture_looks_as_drawn(kind):
    fig = FIGURES[kind]()
    image, drawn = decode(still(fig, "")), raster(fig).astype(int)
    assert image.mode == "P"
    stored = np.asarray(image.convert("RGB"))
    assert stored[0, 0].tolist() == [255, 255, 255]
    difference = np.abs(stored - drawn)
    assert difference.mean() < 0.3
    assert difference.max() <= 30


def test_photographs_keep_rare_colours_and_smooth_greys():
    photo = data.photo("china", size=(240, 320))
    pictures = {"photo": photo, "mirrored": photo.flip(-1), "gray": data.photo("china", size=(240, 320), gray=True)}
    fig, _ = maps.draw_images(pictures, None, None, None, None)
    drawn, picture = raster(fig).astype(int), still(fig, "")
    stored = np.asarray(decode(picture).convert("RGB")).astype(int)
    assert len(picture.png) < 200_000
    assert np.abs(stored - drawn).mean() < 2
    red = (drawn[..., 0] > 100) & (drawn[..., 1:].max(-1) < 60)  # the pillars, one pixel in three hundred
    assert 0 < red.mean() < 0.01
    assert np.abs(stored - drawn)[red].mean() < 5.5
    grey = fig.axes[3].get_window_extent().extents.round().astype(int)
    assert np.abs(stored - drawn)[-grey[3] : -grey[1], grey[0] : grey[2]].mean() < 1.6


def test_public_names_are_those_of_the_lessons():
    meanings = {"ACCENT", "INK", "INPUT", "KERNEL", "MUTED", "OUTPUT"}
    drawings = {"animate_window", "bars", "heatmap", "history", "images", "lines", "matrices", "overlays"}
    drawings |= {"pooling_window", "receptive_field", "stamping_window"}
    assert set(plotting.__all__) == {"Picture", "sliding_window", *meanings, *drawings}
    assert all(callable(getattr(plotting, name)) for name in drawings)  # no module hides a function of its name


def test_alt_text_is_escaped():
    page = plotting.matrices({'<b>"input"</b> & more': [[1]]}).html
    assert page.startswith('<img alt="&lt;b&gt;&quot;input&quot;&lt;/b&gt; &amp; more 1x1 [1]"')


@pytest.mark.parametrize("kind", FIGURES)
def test_no_text_is_clipped_or_overlaps(kind):
    fig = FIGURES[kind]()
    raster(fig)
    found = [t for ax in fig.axes for t in ax.texts if t.get_text()]
    boxes = [t.get_window_extent() for t in found]
    width, height = fig.get_size_inches() * fig.dpi
    for text, box in zip(found, boxes, strict=True):
        inside = box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height
        assert inside, text.get_text()
        assert text.get_fontsize() >= 0.75 * canvas.SMALLEST
    for n, a in enumerate(boxes):
        for m, b in enumerate(boxes[:n]):
            apart = a.x1 <= b.x0 + 1 or b.x1 <= a.x0 + 1 or a.y1 <= b.y0 + 1 or b.y1 <= a.y0 + 1
            assert apart, (found[n].get_text(), found[m].get_text())


def test_long_sums_wrap_inside_the_picture():
    case = windows.kernel_case(torch.randn(5, 5), torch.randn(3, 3), 1, 0, 1)
    longest = 0
    for at in np.ndindex(3, 3):
        fig = windows._draw_window(case, at)
        raster(fig)
        width = fig.get_size_inches()[0] * fig.dpi
        lines = [t for t in fig.axes[0].texts if (t.get_gid() or "").startswith("sum")]
        longest = max(longest, *(t.get_window_extent().x1 for t in lines))
        assert len(lines) == 2
    assert 0.95 * width < longest < width - canvas.MARGIN  # two pixels to a CSS pixel: half the margin is left


@pytest.mark.parametrize("kind", ["matrices", "one row", "stacked", "window", "wide window", "pooling"])
def test_numbers_fit_their_cells_and_are_readable_on_them(kind):
    fig = FIGURES[kind]()
    raster(fig)
    drawn = cells(fig)
    checked = 0
    for text in fig.axes[0].texts:
        if text.get_gid() in drawn:
            cell, box = drawn[text.get_gid()], text.get_window_extent()
            room = cell.get_window_extent()
            assert room.x0 <= box.x0
            assert box.x1 <= room.x1
            assert contrast(text.get_color(), cell.get_facecolor()[:3]) >= 4.5
            checked += 1
        elif text.get_text():
            assert contrast(text.get_color(), "white") >= 4.5
    assert checked


def test_lines_and_frames_stand_out_from_white():
    """WCAG 2.2, criterion 1.4.11: 3 to 1 for what is not text."""
    for colour in (plotting.INPUT, plotting.KERNEL, plotting.OUTPUT, plotting.ACCENT, plotting.MUTED, *colours.SERIES):
        assert contrast(colour, "white") >= 3


@pytest.mark.parametrize("kind", PICTURES)
def test_same_picture_whatever_style_the_learner_chose(kind):
    torch.manual_seed(0)
    usual = PICTURES[kind]()
    torch.manual_seed(0)
    with matplotlib.style.context(["dark_background", "ggplot"]):
        assert PICTURES[kind]() == usual


def test_threads_do_not_disturb_each_other():
    expected = plotting.sliding_window(X, K)
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: plotting.sliding_window(X, K).png, range(8))) == {expected.png}


def test_pyplot_is_not_used():
    code = "import sys, course_utils.plotting as p; p.lines({'a': [1, 2]}, 'x', 'y'); p.sliding_window([[1]], [[2]]); "
    code += "sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-W", "error", "-c", code], check=False).returncode == 0


def test_input_is_left_alone_and_may_require_gradients():
    A, before = X.clone().requires_grad_(), X.clone()
    plotting.sliding_window(A.T, K)
    plotting.images({"a": A, "b": torch.rand(3, 2, 2)})
    assert torch.equal(A.detach(), before)
    assert plotting.matrices({"input": A.T}).alt == "input 3x3 [0 3 6; 1 4 7; 2 5 8]"


def test_save_writes_the_whole_file_and_no_other(tmp_path):
    picture = plotting.matrices({"input": X})
    assert picture.save(tmp_path / "a.png").read_bytes() == picture.png
    assert [f.name for f in tmp_path.iterdir()] == ["a.png"]


def test_wrong_input_gets_one_sentence():
    nan = torch.tensor([[float("nan")]])
    wrong = [
        (TypeError, "grids must be a dict", lambda: plotting.matrices(X)),
        (ValueError, "grids must hold at least one", lambda: plotting.matrices({})),
        (ValueError, "'a' must have 0 to 4 dimensions", lambda: plotting.matrices({"a": torch.ones(1, 1, 1, 1, 1)})),
        (TypeError, "'a' must be a tensor", lambda: plotting.matrices({"a": [[1], [2, 3]]})),
        (TypeError, "'a' must be a tensor", lambda: plotting.matrices({"a": "text"})),
        (TypeError, "'a' must hold real numbers", lambda: plotting.matrices({"a": torch.ones(1) * 1j})),
        (ValueError, "3600 numbers are too many", lambda: plotting.matrices({"a": torch.ones(60, 60)})),
        (ValueError, "60 columns of numbers are too wide", lambda: plotting.matrices({"a": torch.ones(1, 60)})),
        (ValueError, "border names 'b'", lambda: plotting.matrices({"a": X}, border={"b": 1})),
        (ValueError, "X must be a matrix", lambda: plotting.sliding_window(X[None], K)),
        (ValueError, "K must be a matrix", lambda: plotting.sliding_window(X, [1, 2])),
        (ValueError, "K .* does not fit", lambda: plotting.sliding_window(K, X)),
        (ValueError, "at must be a row and a column of the 2 x 2", lambda: plotting.sliding_window(X, K, (2, 0))),
        (ValueError, "at must be at least 0", lambda: plotting.sliding_window(X, K, (-1, 0))),
        (ValueError, "dilation must be at least 1", lambda: plotting.sliding_window(X, K, dilation=0)),
        (ValueError, "stride must be an int", lambda: plotting.sliding_window(X, K, stride=1.5)),
        (ValueError, "mode must be 'max' or 'avg'", lambda: plotting.pooling_window(X, 2, "min")),
        (ValueError, "sliding_window", lambda: plotting.animate_window(torch.ones(10, 10), K)),
        (ValueError, "fps must be between", lambda: plotting.animate_window(X, K, fps=0)),
        (ValueError, "'a' must have shape", lambda: plotting.images({"a": torch.ones(2, 3, 3)})),
        (ValueError, "'a' must have its colours in 0..1", lambda: plotting.images({"a": 2 * torch.ones(3, 3, 3)})),
        (ValueError, "'a' must hold finite numbers", lambda: plotting.images({"a": nan})),
        (ValueError, "columns must be a positive int", lambda: plotting.images({"a": X}, columns=0)),
        (ValueError, "cmap must be the name", lambda: plotting.images({"a": X}, cmap="no such map")),
        (ValueError, "vmin must be below vmax", lambda: plotting.images({"a": X}, vmin=3, vmax=1)),
        (TypeError, "'a' must be a pair", lambda: plotting.overlays({"a": X})),
        (ValueError, "'a' must be a grey image .* a map", lambda: plotting.overlays({"a": (X, torch.ones(2, 2))})),
        (ValueError, "'a' must be a grey image from 0 up", lambda: plotting.overlays({"a": (X - 1, X)})),
        (ValueError, "'a' must be a grey image", lambda: plotting.overlays({"a": (torch.ones(3, 3, 3), X)})),
        (ValueError, "the map of 'a' must hold finite", lambda: plotting.overlays({"a": (0 * X[:1, :1], nan)})),
        (ValueError, "M must hold finite numbers", lambda: plotting.heatmap(nan)),
        (ValueError, "M must be a matrix", lambda: plotting.heatmap([1, 2])),
        (ValueError, "labels must name the 3 columns", lambda: plotting.heatmap(X, labels=["a"])),
        (ValueError, r"numbers=False", lambda: plotting.heatmap(torch.ones(50, 50))),
        (ValueError, "'a' has 1 values of x, but 2 of y", lambda: plotting.lines({"a": ([1], [1, 2])}, "x", "y")),
        (ValueError, "'a' must be above 0", lambda: plotting.lines({"a": [0, 1]}, "x", "y", logy=True)),
        (ValueError, "'a' must hold finite numbers", lambda: plotting.lines({"a": [1, float("nan")]}, "x", "y")),
        (ValueError, "'a' must be a single number", lambda: plotting.bars({"a": [1, 2]}, "y")),
        (ValueError, "values must be above 0", lambda: plotting.bars({"a": 0}, "y", log=True)),
        (ValueError, "record must hold a list", lambda: plotting.history({"seconds": [1]})),
    ]
    for error, words, call in wrong:
        with pytest.raises(error, match=words) as caught:
            call()
        sentence = str(caught.value)
        assert sentence.endswith(".")
        assert "\n" not in sentence
        assert len(sentence) < 200
