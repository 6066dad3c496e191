"""Lessons as slides: one HTML page per lesson, which needs neither a network nor Python.

    python tools/slides.py                                  # every lesson, into slides/
    python tools/slides.py notebooks/01_corr2d.ipynb --out /media/stick

Where a slide begins is stored in the lessons (by tools/store.py), so JupyterLab shows the same slides with
jupyterlab-rise: there the cells can be run.
"""

import argparse
import os
from pathlib import Path

import nbformat
from nbconvert.exporters import SlidesExporter

ROOT = Path(__file__).resolve().parent.parent
DECK = ROOT / "tools" / "deck"
STYLES = (DECK / "reveal" / "reveal.css", DECK / "deck.css")
SCRIPTS = (DECK / "reveal" / "reveal.js", DECK / "start.js", ROOT / "docs" / "_static" / "mathjax" / "tex-svg.js")
# Before MathJax itself: which signs stand around a formula. `$` is not among MathJax's own.
MATHJAX = 'window.MathJax = {tex: {inlineMath: [["$", "$"], ["\\\\(", "\\\\)"]]}};'


def mark_slides(nb: nbformat.NotebookNode) -> None:
    """Say for each cell where a slide begins: a section goes to the right, its parts go down, what was seen appears.

    A question and its prediction share a slide, so that nobody sees the answer before they have committed themselves.
    """
    before = None
    for cell in nb.cells:
        cell.metadata["slideshow"] = {"slide_type": _slide_type(cell, before)}
        before = cell


def _slide_type(cell, before) -> str:
    if cell.cell_type == "code":
        return "-" if cell.id == "setup" else "subslide"  # under the title: who shows slides live must run it
    if cell.source.startswith(("# ", "## ")):
        return "slide"
    if "<b>Predict" in cell.source or (before.cell_type == "code" and cell.source.startswith("**What we saw")):
        return "fragment"
    return "subslide"


def page(lesson: Path) -> str:
    """The HTML page of a lesson's slides."""
    nb = nbformat.read(lesson, as_version=4)
    mark_slides(nb)
    title = nb.cells[0].source.splitlines()[0].removeprefix("# ")
    deck = {
        "title": title,
        "styles": [path.read_text(encoding="utf-8") for path in STYLES],
        "scripts": [MATHJAX, *(path.read_text(encoding="utf-8") for path in SCRIPTS)],
    }
    exporter = SlidesExporter(template_name="deck", extra_template_basedirs=[str(ROOT / "tools")])
    return exporter.from_notebook_node(nb, resources={"deck": deck})[0]


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lessons", nargs="*", type=Path, help="notebooks; all lessons if none is named")
    parser.add_argument("--out", type=Path, default=ROOT / "slides", help="folder for the pages (slides/)")
    options = parser.parse_args(words)
    options.out.mkdir(parents=True, exist_ok=True)
    for lesson in options.lessons or sorted((ROOT / "notebooks").glob("*.ipynb")):
        target = options.out / f"{lesson.stem}.html"
        unfinished = target.with_suffix(".tmp")
        unfinished.write_text(page(lesson), encoding="utf-8", newline="\n")
        os.replace(unfinished, target)
        print(target, flush=True)


if __name__ == "__main__":
    main()
