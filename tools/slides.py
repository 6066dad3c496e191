"""Export lessons as slides: one HTML page per lesson, which needs neither a network nor Python.

    python tools/slides.py                                  # every lesson, into slides/
    python tools/slides.py notebooks/01_corr2d.ipynb --out /media/stick

The lessons store where a slide begins (tools/store.py writes this), so JupyterLab shows the same slides with
jupyterlab-rise, where the cells can also be run.
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
# Loaded before MathJax: the delimiters of formulas. By default, MathJax does not accept `$`.
MATHJAX = 'window.MathJax = {tex: {inlineMath: [["$", "$"], ["\\\\(", "\\\\)"]]}};'


def mark_slides(nb: nbformat.NotebookNode) -> None:
    """Set each cell's slide type: sections go to the right, their parts go down, explanations appear as fragments.

    A question and its prediction share a slide, so that nobody sees the answer before making a prediction.
    """
    before = None
    for cell in nb.cells:
        cell.metadata["slideshow"] = {"slide_type": _slide_type(cell, before)}
        before = cell


def _slide_type(cell, before) -> str:
    if cell.cell_type == "code":
        return "-" if cell.id == "setup" else "subslide"  # shown under the title, because it must be run in live slides
    if cell.source.startswith(("# ", "## ")):
        return "slide"
    if "<b>Predict" in cell.source or (before.cell_type == "code" and cell.source.startswith("**What we saw")):
        return "fragment"
    return "subslide"


def page(lesson: Path) -> str:
    """Return the HTML page with a lesson's slides."""
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


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lessons", nargs="*", type=Path, help="notebooks (default: all lessons)")
    parser.add_argument("--out", type=Path, default=ROOT / "slides", help="folder for the pages (slides/)")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    for lesson in options.lessons or sorted((ROOT / "notebooks").glob("*.ipynb")):
        target = options.out / f"{lesson.stem}.html"
        unfinished = target.with_suffix(".tmp")
        unfinished.write_text(page(lesson), encoding="utf-8", newline="\n")
        os.replace(unfinished, target)
        print(target, flush=True)


if __name__ == "__main__":
    main()
