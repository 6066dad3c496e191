"""The widgets without a browser: every knob at every value, what is shown against torch, and what the page keeps."""

import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import ipywidgets
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from course_utils import arithmetic, data, filters, plotting, widgets
from course_utils.plotting import fields, maps, stamps
from course_utils.widgets import convolution, painter, panel, receptive_field

ROOT = Path(__file__).resolve().parents[2]
LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PHOTO = data.photo("china", size=(12, 16), gray=True)

PANELS = {
    "convolution": widgets.ConvolutionExplorer,
    "transposed": lambda: widgets.ConvolutionExplorer(3, 2, transposed=True),
    "painter": lambda: widgets.KernelPainter(PHOTO),
    "pooling": widgets.PoolingExplorer,
    "receptive field": widgets.ReceptiveFieldBuilder,
}
SHARED = {}
BLANK = io.BytesIO()
Image.new("1", (2, 2)).save(BLANK, "PNG")


@pytest.fixture(autouse=True)
def figures_are_drawn_and_not_painted(monkeypatch, request):
    """Thousands of figures are built below; turning them into pixels is test_plotting's matter, and one test's here."""
    if "painted" not in request.node.name:
        for place, how in ((panel, "sketch"), (stamps, "still"), (fields, "still")):
            monkeypatch.setattr(place, how, lambda figure, alt: plotting.Picture(BLANK.getvalue(), alt))


def shared(name):
    """One panel for all examples of a property: it must not matter what it showed before."""
    if name not in SHARED:
        SHARED[name] = PANELS[name]()
    return SHARED[name]


def values_of(control):
    if isinstance(control, ipywidgets.Checkbox):
        return st.booleans()
    if isinstance(control, ipywidgets.SelectionSlider):
        return st.sampled_from([value for value in control.options])
    if isinstance(control, ipywidgets.BoundedFloatText):
        return st.integers(-3, 3) | st.floats(control.min, control.max)
    return st.integers(control.min, control.max)


def moves(name):
    """Some knobs of a panel and where to turn them; a slider takes its end for what lies beyond."""
    controls = PANELS[name]().controls
    keys = st.sampled_from(sorted(controls))
    one = keys.flatmap(lambda key: st.tuples(st.just(key), values_of(controls[key])))
    window = st.tuples(st.just("window"), st.integers(0, 200))
    return st.lists(one | window if "window" in controls else one, min_size=1, max_size=6)


def turn(shown, knobs):
    for key, value in knobs:
        shown.controls[key].value = value


def turn_at_once(shown, knobs):
    """Many knobs, one drawing."""
    shown._quiet = True
    turn(shown, knobs)
    shown._quiet = False
    shown._moved(None)


class Tags(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.tags = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))


def seen(shown):
    """The words and the `<img>` that stand on the page, or None where no picture can be."""
    page = Tags(shown.box.children[-1].value).tags
    (status,) = [attributes for _, attributes in Tags(shown.box.children[-2].value).tags if "role" in attributes]
    assert status["role"] == "status"
    assert status["aria-live"] == "polite"
    return page[0][1] if page else None


@pytest.mark.parametrize("name", PANELS)
def test_any_setting_is_answered(name):
    """Each turn shows a picture with its description, or says in a sentence why there is none."""

    @settings(max_examples=50 if name in ("painter", "pooling") else 80)
    @given(moves(name))
    def holds(knobs):
        shown = shared(name)
        turn(shown, knobs)
        picture = seen(shown)
        assert shown.words
        assert "nan" not in shown.words
        if picture:
            assert picture["alt"] == shown.picture.alt
        else:
            assert shown.picture is None
            assert re.search(r"(must|too large|too many) ", shown.words), shown.words
            assert shown.words.endswith(".")

    holds()


@pytest.mark.parametrize("name", PANELS)
def test_what_is_painted_is_a_picture_of_the_size_it_says(name):
    shown = PANELS[name]()
    image = Image.open(io.BytesIO(shown.picture.png))
    assert image.size == tuple(2 * side for side in shown.picture.size)
    assert len(image.getcolors(1 << 24)) > 20
    assert int(seen(shown)["width"]) == shown.picture.size[0] <= 750


@pytest.mark.parametrize("name", PANELS)
def test_nothing_depends_on_what_was_shown_before(name):
    @settings(max_examples=8)
    @given(moves(name))
    def holds(knobs):
        old, new = shared(name), PANELS[name]()
        turn(old, knobs)
        for key, control in sorted(new.controls.items(), key=lambda item: item[0] == "window"):
            control.value = old.controls[key].value
        if hasattr(old, "layers"):
            while new.layers != old.layers:
                new.grow(1 if new.layers < old.layers else -1)
        assert (new.words, new.picture and new.picture.alt) == (old.words, old.picture and old.picture.alt)

    holds()


# Labels, keyboard, and what is sent.


def everything(widget):
    yield widget
    for child in getattr(widget, "children", ()):
        yield from everything(child)


@pytest.mark.parametrize("name", PANELS)
def test_every_control_is_labelled_and_can_be_reached(name):
    shown = PANELS[name]()
    placed = [w for w in everything(shown.box) if isinstance(w, ipywidgets.ValueWidget | ipywidgets.Button)]
    placed = [w for w in placed if not isinstance(w, ipywidgets.HTML)]
    assert set(shown.controls.values()) <= set(placed)
    labels = [control.description.strip() for control in placed]
    assert all(labels)
    assert len(set(labels)) == len(labels)
    assert not any(control.tabbable is False for control in placed)
    # JupyterLab 4.6 keeps arrow keys and letters from lists and radio buttons, and deletes cells with them.
    assert not any(isinstance(c, ipywidgets.Dropdown | ipywidgets.RadioButtons | ipywidgets.Select) for c in placed)


@pytest.mark.parametrize("name", PANELS)
def test_one_turn_is_one_drawing(name, monkeypatch):
    """However often it was turned before, and however many other controls the turn moves."""
    shown, drawn = PANELS[name](), []
    show = shown.view
    monkeypatch.setattr(shown, "view", lambda: drawn.append(1) or show())
    observers = {key: len(control._trait_notifiers["value"]["change"]) for key, control in shown.controls.items()}
    for _ in range(3):
        for key, control in shown.controls.items():
            before, drawn[:] = control.value, []
            if isinstance(control, ipywidgets.SelectionSlider):
                control.value = next(value for value in control.options if value != before)
            elif isinstance(control, ipywidgets.Checkbox):
                control.value = not before
            elif control.min < control.max:
                control.value = before + 1 if before < control.max else before - 1
            assert len(drawn) == (control.value != before), key
    assert observers == {key: len(c._trait_notifiers["value"]["change"]) for key, c in shown.controls.items()}


def test_a_drawing_that_fails_leaves_the_knobs_working(monkeypatch):
    shown = widgets.ConvolutionExplorer()
    broken = pytest.MonkeyPatch()
    broken.setattr(shown, "view", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        shown.controls["stride"].value = 2
    broken.undo()
    shown.controls["stride"].value = 1
    assert "/ 1⌋" in shown.words


# Convolution: sizes, numbers and formula are torch's.


def parse(alt, name):
    """The matrix that follows a name in a description."""
    rows = re.search(rf"{name} [\dx]+(?: so far)? \[([^\]]*)\]", alt).group(1).split(";")
    return torch.tensor([[float("nan") if v == "_" else float(v) for v in row.split()] for row in rows])


def test_the_convolution_shown_is_torchs():
    possible = refused = 0

    @settings(max_examples=100)
    @given(*(st.integers(*convolution.LIMITS[name]) for name in list(convolution.LIMITS)[:5]), st.integers(0, 120))
    def holds(n, k, s, p, d, window):
        nonlocal possible, refused
        shown = shared("convolution")
        turn_at_once(shown, [("transposed", False), *zip(convolution.LIMITS, (n, k, s, p, d), strict=False)])
        turn(shown, [("window", window)])
        X, K = (torch.arange(n * n) % 10.0).reshape(1, 1, n, n), torch.arange(float(k * k)).reshape(1, 1, k, k)
        try:
            Y = F.conv2d(X, K, None, s, p, d)[0, 0]
        except RuntimeError:
            refused += 1
            assert shown.picture is None
            assert f"it spans {d * (k - 1) + 1} pixels, the padded input has {n + 2 * p}" in shown.words
            assert shown.controls["window"].disabled
            return
        possible += 1
        size = len(Y)
        assert f"⌋ + 1 = {size}." in shown.words
        filled = re.search(r"= ⌊([^n]*?)⌋ \+ 1 =", shown.words)[1]
        for sign, python in (("−", "-"), ("·", "*"), ("/", "//")):
            filled = filled.replace(sign, python)
        assert eval(filled) + 1 == size == arithmetic.output_size(n, k, s, p, d)
        at = divmod(min(window, size * size - 1), size)
        assert shown.words.endswith(f" = {Y[at]:.0f}")
        assert shown.picture.alt.startswith(f"Window at {at}: ")
        assert torch.equal(parse(shown.picture.alt, "Input"), X[0, 0])
        if size * size <= 100:
            numbers, (i, j) = parse(shown.picture.alt, f"output {size}x{size}"[:6]), at
            known = ~numbers.isnan()
            assert torch.equal(numbers[known], Y.flatten()[: i * size + j + 1])

    holds()
    assert possible > 30
    assert refused > 3


def test_the_transposed_convolution_shown_is_torchs():
    drawn = refused = 0

    @settings(max_examples=100)
    @given(*(st.integers(*limits) for limits in convolution.LIMITS.values()))
    def holds(n, k, s, p, d, e):
        nonlocal drawn, refused
        shown = shared("transposed")
        turn_at_once(shown, [("transposed", True), *zip(convolution.LIMITS, (n, k, s, p, d, e), strict=True)])
        turn(shown, [("window", n * n - 1)])
        X, K = (torch.arange(n * n) % 10.0).reshape(1, 1, n, n), torch.arange(float(k * k)).reshape(1, 1, k, k)
        try:
            Y = F.conv_transpose2d(X, K, None, s, p, e, 1, d)[0, 0]
        except RuntimeError:
            Y = torch.empty(0)
        if not Y.numel():  # torch refuses a negative size; an output without a pixel cannot be drawn either
            refused += 1
            assert shown.picture is None
            assert "must" in shown.words
            return
        assert f" = {len(Y)}." in shown.words
        assert (shown.picture is None) == ("too large to draw" in shown.words)
        if shown.picture and Y.numel() <= 100:  # after the last pixel all of it is painted
            drawn += 1
            assert torch.equal(parse(shown.picture.alt, "output"), Y)

    holds()
    assert drawn > 10
    assert refused > 3


def test_the_words_of_an_impossible_setting_name_the_knobs():
    shown = widgets.ConvolutionExplorer(3, 4)
    assert shown.words.endswith(
        "= ⌊-1 / 1⌋ + 1. kernel size must fit into the padded input: it spans 4 pixels, the padded input has 3."
    )
    assert seen(shown) is None
    shown.controls["padding"].value = 1
    assert seen(shown)
    shown.controls["transposed"].value = True
    shown.controls["output padding"].value = 1
    assert "output padding must be smaller than stride or dilation" in shown.words


def test_what_cannot_be_drawn_keeps_its_size():
    shown = widgets.ConvolutionExplorer(7, 4, stride=4, transposed=True)
    assert shown.words.endswith("= 28. The output of 28×28 numbers is too large to draw here; its size is right.")


def test_output_padding_is_there_only_where_it_means_something():
    shown = widgets.ConvolutionExplorer()
    assert shown.controls["output padding"].layout.display == "none"
    shown.controls["transposed"].value = True
    assert shown.controls["output padding"].layout.display is None
    assert shown.controls["window"].description == "pixel"


@given(st.integers(1, 5), st.integers(1, 5), *[st.integers(1, 3)] * 3, st.integers(0, 2), st.data())
@settings(max_examples=60)
def test_stamps_add_up_to_torchs_transposed_convolution(H, W, kh, kw, s, p, draw):
    e, d = draw.draw(st.integers(0, s - 1)), draw.draw(st.integers(1, 2))
    X, K = torch.randint(-9, 10, (H, W)).float(), torch.randint(-9, 10, (kh, kw)).float()
    if W == 5 and s == 3:  # 19 columns of two digits and a sign would be refused as too wide to read
        X = X.sign()
    at = draw.draw(st.tuples(st.integers(0, H - 1), st.integers(0, W - 1)))
    before = X.clone()
    before.view(-1)[at[0] * W + at[1] + 1 :] = 0  # the pixels that have not stamped yet
    try:
        Y = F.conv_transpose2d(before[None, None], K[None, None], None, s, p, e, 1, d)[0, 0]
    except RuntimeError:
        with pytest.raises(ValueError, match="padding must leave an output"):
            plotting.stamping_window(X, K, at, s, p, d, e)
        return
    alt = plotting.stamping_window(X, K, at, s, p, d, e).alt
    if Y.numel() <= 100:
        assert torch.equal(parse(alt, "output"), Y)


def test_a_stamp_outside_the_input_is_refused():
    with pytest.raises(ValueError, match="at must be a row and a column of the 2 x 2 input"):
        plotting.stamping_window([[0, 1], [2, 3]], [[1]], at=(2, 0))


# The painter: the picture is PyTorch's, cut as the words say.


@settings(max_examples=30)
@given(st.lists(st.integers(-9, 9), min_size=9, max_size=9), st.booleans())
def test_the_painted_photograph_is_torchs(cells, divide):
    shown = shared("painter")
    knobs = [(f"K[{n // 3},{n % 3}]", float(v)) for n, v in enumerate(cells)]
    turn_at_once(shown, [*knobs, ("divide by the sum", divide)])
    K = torch.tensor(cells).reshape(3, 3).float()
    total = float(K.sum())
    if divide and total:
        K = K / total
    Y = F.conv2d(F.pad(PHOTO[None], (1, 1, 1, 1), mode="replicate"), K[None, None])[0]
    if total:
        outside = ((Y < -1e-6) | (Y > 1 + 1e-6)).float().mean()
        assert f"Cut to black or white: {100 * outside:.0f} %" in shown.words
        Y = Y.clamp(0, 1)
    torch.testing.assert_close(shown.after, Y, atol=1e-4, rtol=1e-5)
    rows = "; ".join(" ".join(map(str, cells[n : n + 3])) for n in (0, 3, 6))
    assert shown.picture.alt.startswith(f"Kernel [{rows}].")


def test_the_presets_are_the_filters():
    shown = widgets.KernelPainter(PHOTO)
    for name, K in {
        "identity": filters.identity(), "box": filters.box(), "sharpen": filters.sharpen(),
        "Sobel x": filters.sobel_x(), "Sobel y": filters.sobel_y(), "Laplacian": filters.laplacian(),
        "Prewitt x": filters.prewitt_x(), "Prewitt y": filters.prewitt_y(),
        "Gaussian": torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16,
    }.items():  # fmt: skip
        shown.controls["kernel"].value = name
        torch.testing.assert_close(shown.kernel()[0], K)
    assert {*shown.controls["kernel"].options} == {*painter.presets(), painter.OWN}


def test_a_kernel_that_is_no_preset_is_your_own():
    shown = widgets.KernelPainter(PHOTO, "box")
    shown.controls["K[0,0]"].value = 2
    assert shown.controls["kernel"].value == painter.OWN
    assert "divided by their sum 10" in shown.words
    shown.controls["K[0,0]"].value = 1
    assert shown.controls["kernel"].value == "box"
    shown.controls["kernel"].value = painter.OWN  # choosing this name changes nothing
    assert "divided by their sum 9" in shown.words


def test_a_sum_of_zero_cannot_be_divided_by():
    shown = widgets.KernelPainter(PHOTO, "Sobel x")
    shown.controls["divide by the sum"].value = True
    assert shown.words.startswith("Their sum is 0: there is nothing to divide by.")
    torch.testing.assert_close(shown.kernel()[0], filters.sobel_x())


def test_pictures_and_differences_have_their_own_scales(monkeypatch):
    figures = []
    draw = maps.draw_images
    monkeypatch.setattr(maps, "draw_images", lambda *a: figures.append(draw(*a)[0]) or (figures[-1], ""))
    shown = widgets.KernelPainter(PHOTO, "sharpen")
    shown.controls["kernel"].value = "Sobel x"
    sharp, sobel = ([ax.images[0] for ax in figure.axes if ax.images] for figure in figures)
    assert [image.get_clim() for image in sharp[:2]] == [(0, 1), (0, 1)]
    np.testing.assert_allclose(sobel[1].get_array(), filters.filter2d(PHOTO, filters.sobel_x())[0], atol=1e-6)
    low, high = sobel[1].get_clim()
    assert low == -high < 0


# Pooling.


@settings(max_examples=30)
@given(st.integers(0, 9), *[st.booleans()] * 2, *[st.integers(1, 14)] * 2, *[st.integers(-8, 8)] * 2)
def test_the_pooled_digits_are_torchs(digit, edges, average, size, stride, right, down):
    shown = shared("pooling")
    turn_at_once(shown, zip(shown.controls, (digit, edges, average, size, stride, right, down), strict=True))
    X, y = data.load("digits").test
    before = X[y == digit][:1]
    if edges:
        before = F.conv2d(F.pad(before, (1, 1, 1, 1), mode="replicate"), filters.sobel_x()[None, None]).relu()
    after = torch.zeros(1, 1, 28 + 16, 28 + 16)
    after[..., 8 + down : 36 + down, 8 + right : 36 + right] = before
    after = after[..., 8:36, 8:36]
    pool = F.avg_pool2d if average else F.max_pool2d
    changes = []
    for a, b in ((before, after), (pool(before, size, stride), pool(after, size, stride))):
        length = float((a - a.mean()).norm())
        changes.append(float((a - b).norm()) / length if length > 1e-6 else None)
    said = re.findall(r"changes? by ([\d.]+\d|nothing that could be compared)", shown.words)
    assert len(said) == 2
    for number, text in zip(changes, said, strict=True):
        assert text.startswith("nothing") if number is None else abs(float(text) - number) < 0.0051
    assert (right, down) != (0, 0) or changes[0] == 0


def test_a_window_as_large_as_a_step_of_one_place_is_flat():
    shown = widgets.PoolingExplorer(edges=False, size=14, stride=14, right=1)
    assert "2×2 numbers" in shown.words


# The receptive field.

LAYER = st.tuples(st.integers(1, 7), st.integers(1, 4), st.integers(1, 4))


def influence(layers, outputs=2):
    """Which pixels each of the first outputs depends on, by gradient."""
    field, jump = arithmetic.receptive_field(layers), 1
    for _, stride, _ in layers:
        jump *= stride
    X = torch.zeros(1, 1, field + jump * (outputs - 1), requires_grad=True)
    Y = X
    for kernel, stride, dilation in layers:
        Y = F.conv1d(Y, torch.ones(1, 1, kernel), stride=stride, dilation=dilation)
    assert Y.shape[-1] == outputs
    return [torch.autograd.grad(Y[0, 0, n], X, retain_graph=True)[0][0, 0].nonzero().flatten().tolist() for n in (0, 1)]


def test_the_receptive_field_drawn_is_torchs_gradient():
    drawn = 0

    @settings(max_examples=80)
    @given(st.lists(LAYER, min_size=1, max_size=4))
    def holds(layers):
        nonlocal drawn
        first, second = influence(layers)
        field, jump = first[-1] - first[0] + 1, second[0]
        if field + jump > 90:
            with pytest.raises(ValueError, match="too many to draw"):
                plotting.receptive_field(layers)
            return
        drawn += 1
        alt = plotting.receptive_field(layers).alt
        assert f"sees pixels 0 to {field - 1}, centre {(field - 1) / 2:g}, and uses {len(first)} of {field};" in alt
        assert alt.endswith(f"the next one sees {jump} to {second[-1]}.")
        assert alt.count("Layer ") == len(layers)

    holds()
    assert drawn > 20


def test_the_units_drawn_are_the_ones_that_are_read():
    layers = [(3, 2, 1), (2, 1, 2)]
    figure, _ = fields.draw_levels(fields.levels_of(layers))
    units = {p.get_gid(): p for p in figure.axes[0].patches if (p.get_gid() or "").startswith("unit")}
    units |= {p.get_gid(): p for p in figure.axes[0].get_children() if (p.get_gid() or "").startswith("unit[")}
    filled = {gid for gid, patch in units.items() if patch.get_facecolor()[:3] != (1, 1, 1)}
    first, second = influence(layers)
    assert {gid for gid in filled if gid.startswith("unit[0")} == {f"unit[0,{n}]" for n in first}
    assert {gid for gid in filled if gid.startswith("unit[2")} == {"unit[2,0]"}
    assert sum(gid.startswith("unit[0") for gid in units) == second[-1] + 1
    assert sum(gid.startswith("unit[2") for gid in units) == 2


@pytest.mark.parametrize("layers", [[], [(3,)], [(0, 1)], [(3, 1, 1, 1)]])
def test_a_stack_that_is_none_is_refused(layers):
    with pytest.raises(ValueError, match="layers must"):
        plotting.receptive_field(layers)


def test_layers_are_added_and_removed_up_to_the_ends():
    shown = widgets.ReceptiveFieldBuilder([(3, 1)])
    add, remove = shown.buttons
    for n in range(2, receptive_field.MOST + 1):
        add.click()
        assert shown.layers == n == shown.words.split("=")[0].count("·1") == len(shown.stack())
        assert f"= {1 + 2 * n} pixels" in shown.words
    add.click()
    assert shown.words.endswith("At most 6 layers.")
    shown.controls["layer 1: kernel"].value = 5
    assert "At most" not in shown.words
    for _ in range(receptive_field.MOST):
        remove.click()
    assert shown.layers == 1
    assert "At least one layer must stay." in shown.words
    assert [line.layout.display for line in shown._rows] == [None, *["none"] * 5]
    for wrong in ([], [(3, 1)] * 7):
        with pytest.raises(ValueError, match="layers must be 1 to 6"):
            widgets.ReceptiveFieldBuilder(wrong)


def test_a_field_too_wide_to_draw_keeps_its_numbers():
    shown = widgets.ReceptiveFieldBuilder([(7, 4, 4)] * 4)
    assert shown.picture is None
    assert f"= {arithmetic.receptive_field([(7, 4, 4)] * 4)} pixels. Jump: 4·4·4·4 = 256 pixels." in shown.words
    assert shown.words.endswith("too many to draw: at most 90.")


# What a page keeps of a widget.


@pytest.mark.parametrize("name", PANELS)
def test_the_page_without_a_kernel_has_the_picture_and_no_number_of_the_day(name):
    one, two = (PANELS[name]()._repr_mimebundle_() for _ in range(2))
    assert one["text/plain"] == two["text/plain"]
    assert one["text/html"] == two["text/html"]
    ((_, image),) = [tag for tag in Tags(one["text/html"]).tags if tag[0] == "img"]
    assert image["alt"] == PANELS[name]().picture.alt
    assert one["application/vnd.jupyter.widget-view+json"]["model_id"] != two[
        "application/vnd.jupyter.widget-view+json"]["model_id"]  # fmt: skip


def test_words_are_text_and_no_markup():
    shown = widgets.ConvolutionExplorer()
    shown._show(panel.View(["3 < 5 & <img src=x>"]))
    assert [tag for tag, _ in Tags(shown.box.children[-2].value).tags] == ["div"]


def widget_cells(nb):
    return [n for n, c in enumerate(nb["cells"]) if c["cell_type"] == "code" and "widgets." in "".join(c["source"])]


def test_every_widget_has_its_lesson():
    used = {name for path in LESSONS for name in re.findall(r"widgets\.(\w+)\(", path.read_text(encoding="utf-8"))}
    assert used == set(widgets.__all__)


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_widget_is_followed_by_a_still(path):
    """In the next code cell; and what is stored of the widget itself shows without a kernel."""
    nb = json.loads(path.read_text(encoding="utf-8"))
    for n in widget_cells(nb):
        (output,) = nb["cells"][n]["outputs"]
        assert "<img alt=" in "".join(output["data"]["text/html"])
        still = next(cell for cell in nb["cells"][n + 1 :] if cell["cell_type"] == "code")
        pages = ["".join(o.get("data", {}).get("text/html", "")) for o in still["outputs"]]
        assert any("<img alt=" in page for page in pages), still["id"]
