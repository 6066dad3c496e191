"""The learners' bundle: whole and usable, without solutions, and refused whenever something of them is left."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest
import release

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    out = tmp_path_factory.mktemp("release") / "bundle"
    release.release(out)
    return out


@pytest.fixture
def course(tmp_path):
    """A copy of the course with one lesson and its sheet."""
    root = tmp_path / "course"
    packages = ("course_utils/*.py", "exercise_checks/**/*.py")
    for pattern in (*release.PARTS[:-4], *packages, "notebooks/01_*", "exercises/01_*", "solutions/01_*"):
        for path in ROOT.glob(pattern):
            if path.is_file():
                target = root / path.relative_to(ROOT)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
    return root


def change(notebook, cell_id, edit):
    nb = json.loads(notebook.read_text(encoding="utf-8"))
    edit(next(cell for cell in nb["cells"] if cell["id"] == cell_id))
    notebook.write_text(json.dumps(nb), encoding="utf-8")


def solve(cell):
    cell["source"] = "def corr2d(X, K):\n    return K"


def store_passed(cell):
    cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "Passed: Two loops.\n"}]


def explanation():
    nb = json.loads((ROOT / "solutions/01_corr2d.ipynb").read_text(encoding="utf-8"))
    return next("".join(cell["source"]) for cell in nb["cells"] if cell["id"] == "corr2d-why")


def answer(cell_id):
    nb = json.loads((ROOT / "solutions/01_corr2d.ipynb").read_text(encoding="utf-8"))
    source = next("".join(cell["source"]) for cell in nb["cells"] if cell["id"] == cell_id)
    return release.ANSWER.search(source)[2]


def put_in(path, text):
    """Behind the first line."""
    first, rest = path.read_text(encoding="utf-8").split("\n", 1)
    path.write_text(f"{first}\n\n{text}\n\n{rest}", encoding="utf-8")


def test_the_bundle_is_the_course_without_what_is_for_instructors(bundle):
    folders = {path.name for path in bundle.iterdir() if path.is_dir()}
    assert folders == {"binder", "course_utils", "docs", "exercise_checks", "exercises", "notebooks"}
    for folder in ("notebooks", "exercises"):
        assert {p.name for p in (bundle / folder).iterdir()} == {p.name for p in (ROOT / folder).glob("*.ipynb")}
    assert not any("BEGIN SOLUTION" in path.read_text(encoding="utf-8") for path in bundle.glob("exercises/*"))


def test_every_link_leads_somewhere_in_the_bundle(bundle):
    texts = {bundle / "README.md": (bundle / "README.md").read_text(encoding="utf-8")}
    for path in bundle.glob("*/*.ipynb"):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        texts[path] = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    dead = [
        f"{path.name}: {link}"
        for path, text in texts.items()
        for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text)
        if "://" not in link and not (path.parent / unquote(link)).exists()
    ]
    assert not dead


def test_a_learner_can_work_with_the_bundle(bundle, tmp_path):
    """The command line, the checker and the collection of tests find all they need in it."""
    environment = {**os.environ, "PYTHONPATH": str(bundle), "COURSE_PROGRESS": str(tmp_path / "progress.sqlite3")}
    words = "import course_utils; print(course_utils.__file__); from exercise_checks import check, hint; "
    words += "check('corr2d', lambda X, K: X); hint('corr2d'); hint('corr2d'); hint('corr2d')"
    for arguments in (["-c", words], ["-m", "exercise_checks", "progress"]):
        done = subprocess.run(
            [sys.executable, *arguments], cwd=bundle, env=environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        assert arguments[0] == "-m" or done.stdout.startswith(str(bundle))
        assert "solutions/" not in done.stdout


def test_the_command_says_what_was_made(tmp_path, capsys):
    assert release.main([str(tmp_path / "bundle")]) == 0
    assert "files for learners" in capsys.readouterr().out
    assert release.main([str(tmp_path / "bundle")]) == 2
    assert "exists" in capsys.readouterr().err


LEAKS = {
    "a solved sheet": lambda root: change(root / "exercises/01_corr2d.ipynb", "corr2d", solve),
    "a sheet stored solved": lambda root: change(root / "exercises/01_corr2d.ipynb", "corr2d-check", store_passed),
    "a missing sheet": lambda root: (root / "exercises/01_corr2d.ipynb").rename(root / "exercises/other.ipynb"),
    "an explanation in the README": lambda root: put_in(root / "README.md", explanation()),
    "an answer in the README": lambda root: put_in(root / "README.md", answer("learn_kernel")),
    "an explanation in a lesson": lambda root: change(
        root / "notebooks/01_corr2d.ipynb", "title", lambda cell: cell.update(source=explanation())
    ),
    "an explanation in the package": lambda root: put_in(root / "course_utils/ops.py", explanation()),
    "no solutions to compare with": lambda root: shutil.rmtree(root / "solutions"),
    "half a course": lambda root: shutil.rmtree(root / "binder"),
}  # fmt: skip


def test_a_course_that_leaks_nothing_is_released(course, tmp_path):
    assert release.release(tmp_path / "bundle", course).answers > 0


@pytest.mark.parametrize("leak", LEAKS)
def test_a_leak_is_refused_and_nothing_is_left(course, tmp_path, leak):
    LEAKS[leak](course)
    with pytest.raises(release.NotReleased):
        release.release(tmp_path / "bundle", course)
    assert [path.name for path in tmp_path.iterdir()] == ["course"]


def test_stubs_are_those_of_nbgrader():
    nbgrader = pytest.importorskip("nbgrader.preprocessors", reason="needs nbgrader")
    import nbformat
    from traitlets.config import Config

    clear = nbgrader.ClearSolutions(
        config=Config({"ClearSolutions": {"code_stub": {"python": "raise NotImplementedError"}}})
    )
    compared = 0
    for path in (ROOT / "solutions").glob("*.ipynb"):
        nb = nbformat.read(path, as_version=4)
        sources = [cell.source for cell in nb.cells]
        cleared, _ = clear.preprocess(nb, {})
        for source, cell in zip(sources, cleared.cells, strict=True):
            assert release.stub(source) == cell.source
            compared += source != cell.source
    assert compared > 40
