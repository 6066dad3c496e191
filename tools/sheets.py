"""Generate the exercise sheets from the solutions.

    python tools/sheets.py            # write and run all exercises/*.ipynb
    python tools/sheets.py --check    # fail if a sheet does not match its solution

`solutions/NN_topic.ipynb` is the only source of a sheet. nbgrader's preprocessor replaces everything between
`### BEGIN SOLUTION` and `### END SOLUTION` with `raise NotImplementedError`. Cells tagged `why` explain a solution and
are left out. `--check` compares text and metadata; nbval checks the outputs.
"""

import argparse
import os
import sys
from pathlib import Path

import nbformat
from nbconvert.preprocessors import TagRemovePreprocessor
from nbgrader.preprocessors import ClearOutput, ClearSolutions
from traitlets.config import Config

sys.path.insert(0, str(Path(__file__).resolve().parent))
import store

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = Config({"ClearSolutions": {"code_stub": {"python": "raise NotImplementedError"}}})


def sheet_of(solution: Path) -> nbformat.NotebookNode:
    """Return the exercise sheet, without outputs."""
    nb = nbformat.read(solution, as_version=4)
    steps = (TagRemovePreprocessor(remove_cell_tags={"why"}), ClearSolutions(config=SETTINGS), ClearOutput())
    for step in steps:
        nb, _ = step.preprocess(nb, {})
    return nb


def content(nb: nbformat.NotebookNode) -> list:
    """Return what must agree: everything except outputs and execution counts."""
    cells = [(cell.id, cell.cell_type, cell.source, cell.metadata.get("tags", [])) for cell in nb.cells]
    return [nb.nbformat, nb.nbformat_minor, *cells]


def faults(solutions: Path, exercises: Path) -> list[str]:
    """Return one sentence for every sheet that does not match its solution."""
    names = {path.name for folder in (solutions, exercises) for path in folder.glob("*.ipynb")}
    return [sentence for name in sorted(names) if (sentence := fault(solutions / name, exercises / name))]


def fault(solution: Path, sheet: Path) -> str:
    if not solution.exists():
        return f"{sheet.name}: has no solution of the same name"
    if not sheet.exists():
        return f"{sheet.name}: is missing in exercises/; run tools/sheets.py"
    if content(sheet_of(solution)) != content(nbformat.read(sheet, as_version=4)):
        return f"{sheet.name}: differs from its solution; change solutions/{sheet.name} and run tools/sheets.py"
    return ""


def write(solution: Path, folder: Path) -> None:
    """Generate the sheet of `solution`, run it, and store it in `folder`."""
    folder.mkdir(exist_ok=True)
    sheet = folder / solution.name
    unrun = sheet.with_suffix(".new")
    nbformat.write(sheet_of(solution), unrun)
    store.store(unrun)
    os.replace(unrun, sheet)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("solutions", nargs="*", type=Path, help="only these (default: all)")
    options = parser.parse_args(arguments)
    if options.check:
        found = faults(ROOT / "solutions", ROOT / "exercises")
        print("\n".join(found) or "every sheet matches its solution")
        return 1 if found else 0
    for solution in options.solutions or sorted((ROOT / "solutions").glob("*.ipynb")):
        print(solution, flush=True)
        write(solution, ROOT / "exercises")
    return 0


if __name__ == "__main__":
    sys.exit(main())
