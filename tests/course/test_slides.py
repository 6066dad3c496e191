"""A lesson's slides hold the whole lesson and need nothing from outside."""

import importlib.util
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.fixture(scope="module")
def slides():
    spec = importlib.util.spec_from_file_location("slides", ROOT / "tools" / "slides.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def page(slides, tmp_path_factory):
    out = tmp_path_factory.mktemp("slides")
    slides.main([str(ROOT / "notebooks/06_pooling.ipynb"), "--out", str(out)])
    (written,) = out.iterdir()
    return written.read_text(encoding="utf-8")


def test_the_page_fetches_nothing(page):
    without_code = re.sub(r"(<script\b[^>]*>).*?</script>", r"\1", page, flags=re.DOTALL)
    tags = re.findall(r"<(?:script|link|img|iframe|video|audio|source)\b[^>]*>", without_code)
    assert len(tags) > 10
    outside = [tag for tag in tags if re.search(r"\b(?:src|href)\s*=(?!\s*[\"']?data:)", tag)]
    assert not outside
    assert not re.search(r"@import|url\(\s*[\"']?https?:", page.partition("<body")[0])


def test_the_page_holds_the_lesson(page):
    cells = json.loads((ROOT / "notebooks/06_pooling.ipynb").read_text(encoding="utf-8"))["cells"]
    body = page.partition("<body")[2]
    for cell in cells:
        assert f'id="cell-id={cell["id"]}"' in body, cell["id"]
    assert "<title>6 · Pooling: one number for a window</title>" in page
    assert all("alt=" in tag for tag in re.findall(r"<img\b[^>]*>", body))


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_nobody_sees_an_answer_beside_its_question(slides, lesson):
    import nbformat

    nb = nbformat.read(lesson, as_version=4)
    slides.mark_slides(nb)
    kinds = [(cell.cell_type, cell.metadata["slideshow"]["slide_type"]) for cell in nb.cells if cell.id != "setup"]
    assert kinds[0] == ("markdown", "slide")
    assert {kind for cell, kind in kinds if cell == "code"} == {"subslide"}
    predictions = [cell for cell in nb.cells if cell.cell_type == "markdown" and "<b>Predict" in cell.source]
    assert {cell.metadata["slideshow"]["slide_type"] for cell in predictions} <= {"fragment"}


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_the_lesson_itself_says_where_a_slide_begins(slides, lesson):
    """So that JupyterLab shows the same slides: its extension reads the marks in the notebook."""
    import nbformat

    nb = nbformat.read(lesson, as_version=4)
    stored_in = [cell.metadata.get("slideshow") for cell in nb.cells]
    slides.mark_slides(nb)
    assert stored_in == [cell.metadata["slideshow"] for cell in nb.cells], "run tools/store.py"
