"""`python3 course.py release OUT`: the learners' bundle, which is the course without its solutions.

Only the files listed in `PARTS` are copied: no solutions, no instructor's pages, no history. The bundle is then
searched for the text of the solutions, and gets its final name only if none was found.
"""

import argparse
import json
import re
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PARTS = (
    "README.md", "LICENSE", "course.py", "requirements.txt", "pyproject.toml", "conftest.py", "nbval_sanitize.cfg",
    ".gitignore", ".gitattributes", "docs/corr2d.png", "binder/*", "notebooks/*.ipynb", "exercises/*.ipynb",
    "course_utils/**/*.py", "exercise_checks/**/*.py",
)  # fmt: skip
INSTRUCTORS_SECTIONS = ("Solutions", "For instructors", "For contributors")
# Some lessons and the checker contain code that is also the answer to a task. Learners have both anyway.
MAY_CONTAIN_ANSWERS = ("notebooks", "course_utils", "exercise_checks")
ANSWER = re.compile(r"^([ \t]*)### BEGIN SOLUTION\n(.*?)^[ \t]*### END SOLUTION", re.MULTILINE | re.DOTALL)


class NotReleased(Exception):
    """The bundle was not made; the message says why."""


class Released(NamedTuple):
    """The number of files in a release, and of the answers and explanations that were searched for in them."""

    files: int
    answers: int
    explanations: int


def release(out: Path, root: Path = ROOT) -> Released:
    """Write the learners' bundle of the course in `root` to the new folder `out`.

    The README is copied without the sections for instructors. If this raises, no files are left behind.

    Raises:
        NotReleased: `out` exists, a part of the course is missing, or a text of the solutions is in the bundle.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     done = release(Path(folder, "bundle"))
    ...     sorted(path.name for path in Path(folder, "bundle").iterdir() if path.is_dir())
    ['binder', 'course_utils', 'docs', 'exercise_checks', 'exercises', 'notebooks']
    """
    if out.exists():
        raise NotReleased(f"OUT must be a new folder, got {out}, which exists.")
    unfinished = out.with_name(out.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        copy(root, unfinished)
        released = verify(root / "solutions", unfinished)
        unfinished.rename(out)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return released


def copy(root: Path, bundle: Path) -> None:
    """Copy the learners' files."""
    for pattern in PARTS:
        files = [path for path in root.glob(pattern) if path.is_file()]
        if not files:
            raise NotReleased(f"{root} has no {pattern}: this is not the whole course.")
        for path in files:
            target = bundle / path.relative_to(root)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    readme = bundle / "README.md"
    readme.write_text(for_learners(readme.read_text(encoding="utf-8")), encoding="utf-8", newline="\n")


def for_learners(readme: str) -> str:
    """Return the README without the sections about things that the bundle does not include.

    >>> for_learners("# C\\n## Start\\ngo\\n## For instructors\\nteach\\n")
    '# C\\n## Start\\ngo\\n'
    """
    head, *sections = re.split(r"^(?=## )", readme, flags=re.MULTILINE)
    headings = tuple(f"## {name}\n" for name in INSTRUCTORS_SECTIONS)
    return head + "".join(part for part in sections if not part.startswith(headings))


def verify(solutions: Path, bundle: Path) -> Released:
    """Search the bundle for every answer and every explanation of the solutions.

    Raises:
        NotReleased: one was found, or a sheet does not match its solution; names the file and the task.
    """
    texts = {path: _lines(path) for path in sorted(bundle.rglob("*")) if path.is_file() and path.suffix != ".png"}
    answers = explanations = 0
    for solution in sorted(solutions.glob("*.ipynb")):
        cells = _cells(solution)
        _verify_sheet(bundle / "exercises" / solution.name, cells)
        for cell in cells:
            secrets = [match[2] for match in ANSWER.finditer(cell["source"])]
            answers += len(secrets)
            if "why" in cell["tags"]:
                secrets = cell["source"].split("\n\n")
                explanations += 1
            for path, text in texts.items():
                allowed = "why" not in cell["tags"] and path.relative_to(bundle).parts[0] in MAY_CONTAIN_ANSWERS
                if not allowed and any(_squeeze(secret) in text for secret in secrets):
                    raise NotReleased(
                        f"{path.relative_to(bundle)} holds the solution of {solution.stem}, {cell['id']}."
                    )
    if not answers or not explanations:
        raise NotReleased(f"{solutions} holds no solutions to search for: this is not the whole course.")
    return Released(len([path for path in bundle.rglob("*") if path.is_file()]), answers, explanations)


def _verify_sheet(sheet: Path, solution: list[dict]) -> None:
    """Check that a sheet has its solution's cells, with stubs, and that no stored output says that a task is passed."""
    if not sheet.exists():
        raise NotReleased(f"exercises/{sheet.name} is missing: run tools/sheets.py.")
    wanted = [(cell["id"], stub(cell["source"])) for cell in solution if "why" not in cell["tags"]]
    cells = _cells(sheet)
    for (name, source), cell in zip(wanted, cells, strict=False):
        if (name, source) != (cell["id"], cell["source"]):
            raise NotReleased(f"exercises/{sheet.name} differs from its solution at {cell['id']}: run tools/sheets.py.")
        if "Passed: " in cell["outputs"]:
            raise NotReleased(f"exercises/{sheet.name} was stored solved, see {cell['id']}: run tools/sheets.py.")
    if len(wanted) != len(cells):
        raise NotReleased(
            f"exercises/{sheet.name} has {len(cells)} cells, must have {len(wanted)}: run tools/sheets.py."
        )


def stub(source: str) -> str:
    """Return a solution's cell as it appears in the sheet.

    >>> stub("def f():\\n    ### BEGIN SOLUTION\\n    return 1\\n    ### END SOLUTION")
    'def f():\\n    raise NotImplementedError'
    """
    return ANSWER.sub(r"\1raise NotImplementedError", source)


def _cells(notebook: Path) -> list[dict]:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return [
        {
            "id": cell["id"],
            "source": "".join(cell["source"]),
            "tags": cell["metadata"].get("tags", []),
            "outputs": json.dumps(cell.get("outputs", []), ensure_ascii=False),
        }
        for cell in cells
    ]


def _lines(path: Path) -> str:
    """Return a file's text; for a notebook, that of its cells and outputs."""
    if path.suffix == ".ipynb":
        return _squeeze("\n".join(f"{cell['source']}\n{cell['outputs']}" for cell in _cells(path)))
    return _squeeze(path.read_text(encoding="utf-8"))


def _squeeze(text: str) -> str:
    """Remove indentation and empty lines, and add line breaks around the text so that only whole lines match."""
    return "\n" + "".join(f"{line.strip()}\n" for line in text.splitlines() if line.strip())


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="course.py release", description="Make the learners' bundle.")
    parser.add_argument("out", metavar="OUT", type=Path, help="a new folder")
    out = parser.parse_args(arguments).out
    try:
        done = release(out)
    except (NotReleased, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{out}: {done.files} files for learners. They contain none of the {done.answers} answers and")
    print(f"{done.explanations} explanations of the solutions, except code that is also in the lessons or the checker.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
