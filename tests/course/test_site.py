"""The website holds every lesson and sheet as stored, no solution, and nothing from elsewhere."""

import html
import json
import re
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
LESSONS, SHEETS, SOLUTIONS = (
    sorted((ROOT / folder).glob("[0-9][0-9]_*.ipynb")) for folder in ("notebooks", "exercises", "solutions")
)
WIDGET = "application/vnd.jupyter.widget-view+json"
# What a browser fetches by itself, unlike <a href>, which a reader follows.
FETCHED = [(name, "src") for name in ("img", "script", "iframe", "embed", "source", "video", "audio", "track", "input")]
FETCHED += [(name, "href") for name in ("link", "image", "use")]
FETCHED += [("img", "srcset"), ("object", "data"), ("form", "action")]


@cache
def parsed(path):
    from bs4 import BeautifulSoup  # the theme needs it, so it is there where the site is

    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def pages(site):
    found = sorted(path for path in site.rglob("*.html") if "_static" not in path.parts)
    assert found
    return {path: parsed(path) for path in found}


def page_of(site, notebook):
    return site / notebook.parent.name / f"{notebook.stem}.html"


def cells(notebook):
    return nbformat.read(notebook, as_version=4).cells


def is_outside(address):
    return bool(urlsplit(address).netloc)


def fetched(page):
    for name, attribute in FETCHED:
        yield from (tag[attribute] for tag in page.find_all(name) if tag.get(attribute))
    styles = [tag.get_text() for tag in page.find_all("style")] + [tag["style"] for tag in page.find_all(style=True)]
    yield from (address for style in styles for address in in_css(style))


def in_css(style):
    return re.findall(r"""url\(\s*["']?([^"')]+)""", style) + re.findall(r"""@import\s+["']([^"']+)""", style)


@pytest.mark.parametrize("notebook", LESSONS + SHEETS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_each_lesson_and_sheet_has_its_page(site, notebook):
    words = [cell.source for cell in cells(notebook) if cell.cell_type == "code"]
    title = re.match("# (.+)", cells(notebook)[0].source)[1].replace("`", "")
    page = parsed(page_of(site, notebook))
    assert page.h1.get_text().removesuffix("#") == title
    shown = [block.get_text().strip() for block in page.select(".cell_input pre")]
    assert shown == [source.strip() for source in words]


def test_the_lists_of_lessons_and_sheets_are_whole_and_in_order(site):
    for name, notebooks in (("lessons", LESSONS), ("sheets", SHEETS)):
        links = [tag["href"] for tag in parsed(site / f"{name}.html").select("article .toctree-wrapper a")]
        assert links == [page_of(site, path).relative_to(site).as_posix() for path in notebooks]


def test_the_home_page_has_the_picture_the_commands_and_the_map(site):
    home = parsed(site / "index.html")
    assert [tag["alt"][:9] for tag in home.select("article img")] == ["Animation"]
    assert "course.py lab" in home.find("pre").get_text()
    links = [tag["href"] for tag in home.select("article table a")]
    assert links == [page_of(site, path).relative_to(site).as_posix() for path in LESSONS]


@pytest.mark.parametrize("notebook", LESSONS, ids=lambda path: path.stem)
def test_stored_answers_are_folded_and_no_others(site, notebook):
    hidden = [bool(cell.metadata.get("jupyter", {}).get("outputs_hidden")) for cell in cells(notebook)
              if cell.get("outputs")]  # fmt: skip
    outputs = parsed(page_of(site, notebook)).select(".cell_output")
    assert [output.find_parent("details") is not None for output in outputs] == hidden
    assert any(hidden)
    folds = [output.find_parent("details") for output in outputs if output.find_parent("details")]
    assert not any(fold.has_attr("open") for fold in folds)


@pytest.mark.parametrize("notebook", LESSONS, ids=lambda path: path.stem)
def test_answers_of_the_quiz_are_folded(site, notebook):
    asked = [cell.source for cell in cells(notebook) if cell.cell_type == "markdown"]
    folds = parsed(page_of(site, notebook)).select("article details:not(.answer)")
    assert sum(text.count("<details>") for text in asked) == sum(not fold.has_attr("open") for fold in folds)
    assert sum(text.count("<details open>") for text in asked) == sum(fold.has_attr("open") for fold in folds)


@pytest.mark.parametrize("notebook", LESSONS, ids=lambda path: path.stem)
def test_a_widget_is_shown_as_its_still(site, notebook):
    stored = [cell.outputs[-1].get("data", {}) for cell in cells(notebook) if cell.get("outputs")]
    shown = parsed(page_of(site, notebook)).select(".cell_output")
    for data, output in zip(stored, shown, strict=True):
        if WIDGET in data:
            still = output.find("img")
            assert still
            assert still["alt"] in html.unescape(data["text/html"])
    assert not parsed(page_of(site, notebook)).find("script", type=WIDGET)


def solution_texts():
    """What a sheet leaves out of its solution: the marked lines, and the cells that say why."""
    for path in SOLUTIONS:
        for cell in cells(path):
            if "why" in cell.metadata.get("tags", []):
                yield from (part for part in cell.source.split("\n\n") if len(part) > 60)
            yield from re.findall(r"### BEGIN SOLUTION\n(.*?)\s*### END SOLUTION", cell.source, flags=re.S)


def bare(text):
    return re.sub(r"[\W_]+", " ", text).strip()  # without Markdown's signs, which a page does not show


def test_no_solution_is_on_any_page(site):
    shown = bare("\n".join(page.get_text() for page in pages(site).values()))
    taught = bare("\n".join(cell.source for path in LESSONS + SHEETS for cell in cells(path)))
    hidden = [one for one in map(bare, solution_texts()) if one not in taught]
    assert len(hidden) > 100
    assert [one for one in hidden if one in shown] == []
    assert not [path for path in SHEETS if "BEGIN SOLUTION" in parsed(page_of(site, path)).get_text()]
    assert not [path for path in site.rglob("*") if "solutions" in path.relative_to(site).parts]


def test_no_page_fetches_anything_from_elsewhere(site):
    found = [(path.name, address) for path, page in pages(site).items() for address in fetched(page)]
    found += [(path.name, address) for path in site.rglob("*.css") for address in in_css(path.read_text("utf-8"))]
    assert [(name, address) for name, address in found if is_outside(address)] == []
    assert len(found) > 1000


def test_the_search_for_fetched_addresses_finds_them(tmp_path):
    (tmp_path / "page.html").write_text(
        """<link rel="stylesheet" href="https://a.org/x.css"><script src="//a.org/x.js"></script>
        <img src="https://a.org/x.png"><p style="background: url('https://a.org/y.png')">
        <style>@import "https://a.org/y.css"; b { src: url(https://a.org/x.woff2) }</style>
        <a href="https://a.org">a link</a><img src="x.png">"""
    )
    assert sum(map(is_outside, fetched(parsed(tmp_path / "page.html")))) == 6


def test_every_link_and_picture_leads_somewhere(site):
    wrong, places = [], {path.resolve(): page for path, page in pages(site).items()}
    for path, page in places.items():
        links = [tag["href"] for tag in page.find_all(["a", "link"], href=True)]
        for link in links + [tag["src"] for tag in page.find_all(src=True)]:
            place, _, name = unquote(link).partition("#")
            if is_outside(link) or link.startswith(("data:", "mailto:")):
                continue
            target = (path.parent / place.partition("?")[0]).resolve() if place else path
            if not target.is_file() or (name and target in places and not places[target].find(id=name)):
                wrong.append(f"{path.name}: {link}")
    assert wrong == []


def test_every_picture_says_what_it_shows(site):
    pictures = [(path.name, tag) for path, page in pages(site).items() for tag in page.find_all("img")]
    assert len(pictures) > 100
    assert [(name, str(tag)[:80]) for name, tag in pictures if not tag.get("alt", "").strip()] == []


def test_every_column_of_a_table_has_a_name(site):
    heads = [(path.name, head) for path, page in pages(site).items() for head in page.select("article th")]
    assert len(heads) > 50
    assert [name for name, head in heads if not head.get_text().strip()] == []


def test_search_knows_dilation(site):
    text = (site / "searchindex.js").read_text(encoding="utf-8")
    index = json.loads(text.removeprefix("Search.setIndex(").removesuffix(")"))
    found = index["terms"]["dilat"] + index["titleterms"]["dilat"]  # Sphinx keeps the stems of words
    where = {index["docnames"][number] for number in found}
    assert {"notebooks/07_conv_api", "exercises/07_conv_api", "api/course_utils.ops"} <= where


def test_the_reference_has_every_module_that_learners_import(site):
    sources = [cell.source for path in LESSONS + SHEETS for cell in cells(path) if cell.cell_type == "code"]
    imported = set()
    for source in sources:
        for names in re.findall(r"^from course_utils import (.+)", source, flags=re.M):
            imported |= {f"course_utils.{name.strip()}" for name in names.split(",")}
        imported |= set(re.findall(r"^from (course_utils\.\w+|exercise_checks)\b", source, flags=re.M))
    assert {"course_utils.ops", "exercise_checks"} < imported
    listed = {path.stem for path in (site / "api").glob("*.html")}
    assert imported <= listed, "docs/api.rst lists them"
    assert parsed(site / "api" / "course_utils.ops.html").find(id="course_utils.ops.corr2d")


def test_the_same_texts_give_the_same_bytes(site, build_site, tmp_path):
    again = build_site(tmp_path)
    names = {path.relative_to(site) for path in site.rglob("*") if path.is_file()}
    assert names == {path.relative_to(again) for path in again.rglob("*") if path.is_file()}
    assert [name for name in names if (site / name).read_bytes() != (again / name).read_bytes()] == []


def test_launch_links_appear_once_the_repository_is_known(site, build_site, tmp_path):
    assert not [path for path, page in pages(site).items() if page.select(".launch")]
    address = "https://github.com/ada/course"
    settings = [f"repository={address}", "hub=https://hub.example.edu"]
    built = build_site(tmp_path, *[word for setting in settings for word in ("-D", setting)])
    links = {tag.get_text(): tag["href"] for tag in parsed(built / "notebooks" / "01_corr2d.html").select(".launch a")}
    assert links == {
        "Binder": "https://mybinder.org/v2/gh/ada/course/HEAD?urlpath=lab%2Ftree%2Fnotebooks%2F01_corr2d.ipynb",
        "JupyterHub": "https://hub.example.edu/hub/user-redirect/git-pull?repo=https%3A%2F%2Fgithub.com%2Fada%2Fcourse"
        "&urlpath=lab%2Ftree%2Fcourse%2Fnotebooks%2F01_corr2d.ipynb",
    }
    assert parsed(built / "contributing.html").find("a", href=f"{address}/blob/HEAD/LICENSE")
