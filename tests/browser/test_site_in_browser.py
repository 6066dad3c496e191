"""The website as a reader meets it: found by search, unfolded, in the dark, on a telephone, with a screen reader."""

import base64
import re
from importlib.util import find_spec

import pytest

PAGES = ("index", "notebooks/03_padding_stride", "exercises/03_padding_stride")
LESSON = "notebooks/01_corr2d.html"
READY = "async () => { await (window.MathJax?.startup?.promise); await document.fonts.ready }"
UNFOLD = "document.querySelectorAll('details').forEach(fold => { fold.open = true })"


def visit(page, address):
    page.goto(address)
    page.evaluate(READY)


@pytest.fixture(autouse=True)
def complaints(page):
    """Errors that the page raised or wrote to its console. There must be none when the test ends."""
    said = []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("console", lambda line: said.append(f"{line.text} {line.location}") if line.type == "error" else None)
    yield said
    assert said == []


@pytest.fixture
def axe(need):
    """A function that gives what axe finds wrong with a page: the rule, and the first place where it is broken."""
    need(find_spec("axe_playwright_python"), 'axe: pip install -e ".[browser]"')
    from axe_playwright_python.sync_playwright import Axe

    def examine(page):
        found = Axe().run(page, options={"preload": False}).response  # it would look for style sheets in wrong places
        assert len(found["passes"]) > 20  # it has looked
        return [(each["id"], each["nodes"][0]["html"]) for each in found["violations"]]

    return examine


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_wrong(page, site_url, axe, name, scheme):
    page.emulate_media(color_scheme=scheme)
    visit(page, f"{site_url}{name}.html")
    assert page.locator("html").get_attribute("data-theme") == scheme
    page.evaluate(UNFOLD)  # axe does not look at what is folded
    assert axe(page) == []


def test_a_formula_wider_than_the_screen_is_reached_by_keyboard(page, site_url):
    page.set_viewport_size({"width": 390, "height": 844})
    visit(page, f"{site_url}notebooks/03_padding_stride.html")
    wide = page.locator('div.math mjx-container[tabindex="0"]').filter(has_text="replicate").first
    wide.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(300)
    assert wide.evaluate("formula => formula.scrollLeft") > 0


def test_axe_would_find_what_is_wrong(page, site_url, axe):
    visit(page, site_url)
    page.evaluate("document.querySelector('article img').removeAttribute('alt')")
    assert "image-alt" in dict(axe(page))


def test_search_finds_dilation(page, site_url):
    visit(page, site_url)
    page.keyboard.press("Control+k")
    page.keyboard.type("dilation")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search.html?q=dilation*")
    page.locator("#search-results li a").filter(has_text="7 · The API").first.click()
    page.wait_for_url("**/notebooks/07_conv_api.html*")
    assert page.get_by_role("heading", name="dilation").is_visible()


def test_an_answer_unfolds_by_keyboard(page, site_url):
    visit(page, site_url + LESSON)
    answer = page.locator("details.answer").first
    picture = answer.locator("img")
    assert not picture.is_visible()
    answer.locator("summary").focus()
    page.keyboard.press("Enter")
    assert picture.is_visible()
    page.keyboard.press("Enter")
    assert not picture.is_visible()


def test_a_quiz_answer_unfolds_by_click(page, site_url):
    visit(page, site_url + LESSON)
    fold = page.locator("#quiz details").first
    assert fold.get_attribute("open") is None
    fold.locator("summary").click()
    assert fold.get_attribute("open") is not None


def test_the_dark_can_be_chosen_and_is_kept(page, site_url):
    def brightness():
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return max(map(int, re.findall(r"\d+", colour)[:3]))

    visit(page, site_url)
    assert brightness() > 200
    page.get_by_role("button", name="Color mode").click()
    page.get_by_role("button", name="Dark").click()
    assert brightness() < 60
    visit(page, site_url + LESSON)
    assert brightness() < 60


def test_no_page_moves_sideways_on_a_telephone(page, site, site_url):
    """Every page is opened and unfolded. The fixture `outside` counts what they ask of other computers: nothing."""
    page.set_viewport_size({"width": 390, "height": 844})
    wide = []
    for path in sorted(site.rglob("*.html")):
        if "_static" in path.parts:
            continue
        name = path.relative_to(site).as_posix()
        visit(page, site_url + name)
        page.evaluate(UNFOLD)
        if page.evaluate("document.documentElement.scrollWidth") > 390:
            wide.append(name)
    assert wide == []


def test_formulas_are_drawn_without_a_network(page, site_url):
    visit(page, site_url + LESSON)
    assert page.locator("article mjx-container svg").count() == page.locator("article .math").count() > 10
    assert page.locator("article mjx-merror").count() == 0


def test_an_animation_moves(page, site_url):
    visit(page, site_url + LESSON)
    film = page.locator('img[alt^="Animation"]').first
    page.evaluate(UNFOLD)
    film.scroll_into_view_if_needed()
    data = base64.b64decode(film.get_attribute("src").partition("base64,")[2])
    assert b"acTL" in data  # an animated PNG says so
    assert film.evaluate("image => image.complete && image.naturalWidth > 0")
    first = film.screenshot()
    for _ in range(20):
        page.wait_for_timeout(250)
        if film.screenshot() != first:
            return
    pytest.fail("the picture did not change in five seconds")


def test_a_request_to_another_computer_would_be_counted(page, site_url, outside, complaints):
    visit(page, site_url)
    page.evaluate("fetch('https://example.org/font.woff2').catch(() => null)")
    assert outside == ["https://example.org/font.woff2"]
    page.wait_for_timeout(200)
    outside.clear()
    complaints.clear()  # Chromium says that the name is not known
