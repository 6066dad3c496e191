"""Run notebooks and store their outputs in the form that the tests compare.

    python tools/store.py notebooks/01_corr2d.ipynb ...

Each notebook runs in a fresh kernel from top to bottom. It is then written without metadata of the editor or the
machine, and with the output after every prediction hidden until its cell is run in JupyterLab. Lessons also store
where a slide begins. A notebook that raises is left unchanged.
"""

import argparse
import os
from pathlib import Path

import nbformat
import slides
from nbclient import NotebookClient

KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
WIDGET = "application/vnd.jupyter.widget-view+json"


def fold_answers(nb: nbformat.NotebookNode) -> None:
    """Hide the stored outputs of code cells between a prediction and the next Markdown cell, and no others."""
    asked = False
    for cell in nb.cells:
        if cell.cell_type == "markdown":
            asked = "<b>Predict" in cell.source
        elif cell.cell_type == "code":
            cell.metadata.pop("jupyter", None)
            if asked:
                cell.metadata["jupyter"] = {"outputs_hidden": True}


def clean(nb: nbformat.NotebookNode) -> None:
    nb.metadata = nbformat.from_dict({"kernelspec": KERNEL, "language_info": {"name": "python"}})
    for cell in nb.cells:
        for key in set(cell.metadata) - {"tags", "jupyter", "nbgrader"}:
            del cell.metadata[key]
        for output in cell.get("outputs", []):  # a widget shows as an error without its kernel; its figure stays
            output.get("data", {}).pop(WIDGET, None)
        if "### BEGIN SOLUTION" in cell.source:  # so that nbgrader accepts the sheet; the course's own grader marks it
            cell.metadata["nbgrader"] = {"grade": False, "grade_id": cell.id, "locked": False, "schema_version": 3,
                                         "solution": True, "task": False}  # fmt: skip


def store(path: Path) -> None:
    nb = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(path.parent)}}
    NotebookClient(nb, timeout=600, kernel_name="python3", coalesce_streams=True, resources=resources).execute()
    clean(nb)
    fold_answers(nb)
    if path.parent.name == "notebooks":
        slides.mark_slides(nb)
    unfinished = path.with_suffix(".tmp")
    nbformat.write(nb, unfinished)
    os.replace(unfinished, path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="+", type=Path)
    os.environ["COURSE_PROGRESS"] = ""  # neither show nor record anybody's progress
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # as in the tests, so that the order of sums is the same everywhere
    for path in parser.parse_args().notebooks:
        print(path, flush=True)
        store(path)
