"""The stored notebooks keep the course's rules: run in order, whole, readable by everybody.

nbval runs the cells; it would pass a notebook without outputs, so these rules look at what is stored. Each rule is a
function of the notebook (as JSON) that yields sentences, and each has a bad notebook below that it must reject.
"""

import ast
import copy
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("notebooks", "exercises", "solutions")
NOTEBOOKS = sorted(path for folder in FOLDERS for path in (ROOT / folder).glob("*.ipynb"))
LONGEST_CELL = 15
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
TAGS = {"gpu", "nbval-ignore-output", "setup", "why"}

RULES = []


def rule(function):
    RULES.append(function)
    return function


def text(source):
    """A cell's source or an output's text: nbformat stores either one string or a list of lines."""
    return source if isinstance(source, str) else "".join(source)


def code_cells(nb):
    return [cell for cell in nb["cells"] if cell["cell_type"] == "code"]


def tags(cell):
    return set(cell["metadata"].get("tags", []))


def outputs(nb):
    return [(cell["id"], output) for cell in code_cells(nb) for output in cell["outputs"]]


def texts(output):
    """All texts of an output; an image's base64 is none."""
    if "text" in output:
        yield text(output["text"])
    for mime, value in output.get("data", {}).items():
        if not mime.startswith("image/") or mime == "image/svg+xml":
            yield json.dumps(value) if isinstance(value, dict) else text(value)


@rule
def is_valid(nb, folder):
    if (nb["nbformat"], nb["nbformat_minor"]) != (4, 5):
        yield f"format {nb['nbformat']}.{nb['nbformat_minor']}, must be 4.5"
    try:
        nbformat.validate(copy.deepcopy(nb))  # a copy: validate mends what it can, and then warns
    except (nbformat.ValidationError, Warning) as error:
        yield f"not valid: {error}"


@rule
def metadata_is_minimal(nb, folder):
    """Nothing of the machine or the editor that saved the notebook."""
    kernels = [dict(KERNEL, display_name=name) for name in ("Python 3", "Python 3 (ipykernel)")]
    if nb["metadata"] not in [{"kernelspec": kernel, "language_info": {"name": "python"}} for kernel in kernels]:
        yield f"metadata {nb['metadata']}, must be kernelspec {KERNEL} and language_info {{'name': 'python'}} alone"
    known = {"tags", "jupyter", "slideshow" if folder.name == "notebooks" else "nbgrader"}
    for cell in nb["cells"]:
        if extra := set(cell["metadata"]) - known:
            yield f"{cell['id']}: cell metadata {sorted(extra)}"
        if unknown := tags(cell) - TAGS:
            yield f"{cell['id']}: tags {sorted(unknown)}, known are {sorted(TAGS)}"


@rule
def ids_are_unique(nb, folder):
    ids = [cell["id"] for cell in nb["cells"]]
    for name in sorted({name for name in ids if ids.count(name) > 1}):
        yield f"{name}: the id stands more than once"


@rule
def answers_are_folded(nb, folder):
    """A reader predicts before the stored answer is seen: JupyterLab unfolds it when the cell is run."""
    asked = False
    for cell in nb["cells"]:
        if cell["cell_type"] == "markdown":
            asked = "<b>Predict" in text(cell["source"])
        elif cell["cell_type"] == "code":
            folded = cell["metadata"].get("jupyter", {}).get("outputs_hidden", False)
            if folded != asked:
                yield f"{cell['id']}: its output must {'' if asked else 'not '}be folded; run tools/store.py"


@rule
def ran_once_in_order(nb, folder):
    for count, cell in enumerate(code_cells(nb), start=1):
        if cell["execution_count"] != count:
            yield f"{cell['id']}: execution count {cell['execution_count']}, must be {count}"
        if not text(cell["source"]).strip():
            yield f"{cell['id']}: an empty code cell"


@rule
def outputs_are_stored(nb, folder):
    if not outputs(nb):
        yield "no cell has an output: run the notebook and save it"


@rule
def nothing_failed(nb, folder):
    for name, output in outputs(nb):
        if output["output_type"] == "error":
            yield f"{name}: stores an error, {output['ename']}"
        if output.get("name") == "stderr":
            yield f"{name}: stores stderr, {text(output['text'])[:80]!r}"


@rule
def machine_stays_private(nb, folder):
    path = re.compile(r"(?<![\w.:/])/(home|root|Users|tmp|private|opt|usr|var|mnt|work)/|\b[A-Z]:\\\w")
    for name, output in outputs(nb):
        for words in texts(output):
            if found := path.search(words):
                yield f"{name}: an output shows the machine's path {words[found.start() :][:40]!r}"


@rule
def cells_are_short(nb, folder):
    if folder.name != "notebooks":
        return
    for cell in code_cells(nb):
        lines = [line.strip() for line in text(cell["source"]).splitlines()]
        length = sum(bool(line) and not line.startswith("#") for line in lines)
        if length > LONGEST_CELL:
            yield f"{cell['id']}: {length} lines of code, at most {LONGEST_CELL}"


@rule
def nothing_is_left_out_silently(nb, folder):
    """nbval's other ways to look away are not used, and a cell whose output varies says why."""
    for cell in code_cells(nb):
        source = text(cell["source"])
        if re.search(r"#\s*(NBVAL_\w+|PYTEST_VALIDATE_IGNORE_OUTPUT)", source):
            yield f"{cell['id']}: an nbval comment; use the tag"
        if "nbval-ignore-output" in tags(cell):
            if not re.search(r"# output varies: \S", source):
                yield f"{cell['id']}: tagged nbval-ignore-output without '# output varies: <why>'"
            if not cell["outputs"]:
                yield f"{cell['id']}: tagged nbval-ignore-output, and has no output"


@rule
def no_semicolon_hides_an_output(nb, folder):
    """nbval does not know this sign of IPython's, and would find an output that is not stored."""
    for cell in code_cells(nb):
        if re.search(r";\s*(#.*)?\Z", text(cell["source"]).rstrip()):
            yield f"{cell['id']}: ends in a semicolon; write `_ = ...`"


def asks_for_cuda(node):
    return isinstance(node, ast.If) and "torch.cuda.is_available()" in ast.unparse(node.test)


def asserts(node):
    call = isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2].startswith("assert_")
    return call or isinstance(node, ast.Assert)


@rule
def gpu_cells_guard_themselves(nb, folder):
    """Who presses Run All without CUDA meets no error; who has CUDA gets a check."""
    for cell in code_cells(nb):
        if "gpu" in tags(cell):
            guarded = [node for node in ast.walk(ast.parse(text(cell["source"]))) if asks_for_cuda(node)]
            if not guarded:
                yield f"{cell['id']}: tagged gpu, must ask `if torch.cuda.is_available():`"
            elif not any(asserts(node) for guard in guarded for inner in guard.body for node in ast.walk(inner)):
                yield f"{cell['id']}: tagged gpu, must assert something where CUDA is"


def bare_images(html):
    return [tag for tag in re.findall(r"<img\b[^>]*>", html) if not re.search(r"\balt=([\"'])\s*(?!\1)\S", tag)]


@rule
def pictures_have_alt_text(nb, folder):
    for name, output in outputs(nb):
        for mime in output.get("data", {}):
            if mime.startswith("image/") and not output["metadata"].get(mime, {}).get("alt", "").strip():
                yield f"{name}: {mime} without alt text in the output's metadata"
        yield from (f"{name}: {tag[:40]} without alt text" for words in texts(output) for tag in bare_images(words))
    for cell in nb["cells"]:
        if cell["cell_type"] == "markdown":
            source = prose(cell)
            bare = re.findall(r"!\[\s*\]\([^)]*\)", source) + bare_images(source)
            yield from (f"{cell['id']}: {image} without alt text" for image in bare)


def prose(cell):
    """Markdown without code and formulas, where brackets are no links."""
    source = re.sub(r"(?ms)^(```|~~~).*?^\1", "", text(cell["source"]))
    return re.sub(r"(?s)\$\$.*?\$\$|\$[^$\n]*\$|`[^`\n]*`", "", source)


@rule
def links_lead_somewhere(nb, folder):
    for cell in nb["cells"]:
        if cell["cell_type"] != "markdown":
            continue
        source = prose(cell)
        targets = re.findall(r"\]\(\s*<?([^)\s>]+)", source) + re.findall(r"\b(?:src|href)=[\"']([^\"']+)", source)
        targets += re.findall(r"(?m)^\[[^\]]+\]:\s*(\S+)", source)
        for target in targets:
            place = unquote(target.partition("#")[0])
            if place and not re.match(r"[a-z][a-z0-9+.-]*:", place) and not (folder / place).exists():
                yield f"{cell['id']}: links to {target}, which is not there"


@rule
def no_widget_without_its_kernel(nb, folder):
    """JupyterLab would show "Error displaying widget" there; tools/store.py keeps the still that stands for it."""
    for name, output in outputs(nb):
        if any("widget" in mime for mime in output.get("data", {})):
            yield f"{name}: stores a widget; run tools/store.py"


# JupyterLab undoes these when a learner runs a lesson and saves it; CI still asks for them.
ON_PUBLISHING = (metadata_is_minimal, answers_are_folded, no_widget_without_its_kernel)


def problems(nb, folder):
    return [sentence for check in RULES for sentence in check(nb, folder)]


def test_the_map_is_there():
    assert ROOT / "notebooks" / "00_start_here.ipynb" in NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_stored_notebook(path):
    nb = json.loads(path.read_text(encoding="utf-8"))
    found = [sentence for check in RULES if check not in ON_PUBLISHING for sentence in check(nb, path.parent)]
    assert not found, "\n".join(found)


@pytest.mark.skipif("CI" not in os.environ, reason="for publishing only: whoever works in a lesson changes this")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_notebook_is_ready_to_publish(path):
    nb = json.loads(path.read_text(encoding="utf-8"))
    found = [sentence for check in ON_PUBLISHING for sentence in check(nb, path.parent)]
    assert not found, "\n".join(found)


# The rules themselves: a good notebook passes all of them, and one change makes it fail the one rule that is meant.


def markdown(source, name="words"):
    return {"cell_type": "markdown", "id": name, "metadata": {}, "source": source}


def code(source, *stored, name="sum", count=1, tags=()):
    metadata = {"tags": list(tags)} if tags else {}
    cell = {"cell_type": "code", "id": name, "metadata": metadata, "source": source}
    return {**cell, "execution_count": count, "outputs": list(stored)}


def printed(words, stream="stdout"):
    return {"output_type": "stream", "name": stream, "text": words}


def picture(**metadata):
    data = {"image/png": "iVBORw0KGgo=", "text/plain": "<Picture: one square>"}
    return {"output_type": "display_data", "data": data, "metadata": metadata}


def html(words):
    return {"output_type": "display_data", "data": {"text/html": words, "text/plain": "A"}, "metadata": {}}


GPU = "import torch\nif torch.cuda.is_available():\n    y = torch.ones(2, device='cuda')\n    {}"


def good():
    cells = [
        markdown("See [this](good.ipynb#part) and [the web](https://example.org/x).\n\n![a square](square.png)\n\n"
                 "Here `[x](no.md)` is code and $K[i](j)$ a formula.\n```\n[y](no.md)\n```"),
        code("print(1 + 1)", printed("2\n")),
        code("show()", picture(**{"image/png": {"alt": "one"}}), html('<img alt="[0 1]">'), name="show", count=2),
        code(GPU.format("assert y.sum() == 2"), name="on-gpu", count=3, tags=["gpu"]),
        code("# output varies: it is the time\nclock()", printed("0.1 s"), name="clock", count=4,
             tags=["nbval-ignore-output"]),
        code("\n".join(["# said", "", *["x = 1"] * LONGEST_CELL]), name="long", count=5),
    ]  # fmt: skip
    metadata = {"kernelspec": dict(KERNEL), "language_info": {"name": "python"}}
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": cells}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "notebooks").mkdir()
    for name in ("good.ipynb", "square.png"):
        (tmp_path / "notebooks" / name).touch()
    return tmp_path / "notebooks"


def put(index, **changes):
    return lambda nb: nb["cells"][index].update(changes)


def out(*stored):
    return put(1, outputs=list(stored))


def strip(nb):
    for cell in code_cells(nb):
        cell["outputs"] = []
        cell["metadata"] = {}


WIDGET = {"application/vnd.jupyter.widget-view+json": {"model_id": "5f"}, "text/plain": "A"}
ERROR = {"output_type": "error", "ename": "IndexError", "evalue": "", "traceback": []}
UNRUN = (None, 0, 2)

BAD = [
    (is_valid, lambda nb: nb.update(nbformat_minor=4)),
    (is_valid, put(0, outputs=[])),
    (metadata_is_minimal, lambda nb: nb["metadata"].update(toc={})),
    (metadata_is_minimal, lambda nb: nb["metadata"]["kernelspec"].update(name="conda-env-x")),
    (metadata_is_minimal, lambda nb: nb["metadata"]["language_info"].update(version="3.11.7")),
    (metadata_is_minimal, put(1, metadata={"ExecuteTime": {}})),
    (metadata_is_minimal, put(1, metadata={"nbgrader": {}})),
    (metadata_is_minimal, put(1, metadata={"tags": ["nbval-skip"]})),
    (metadata_is_minimal, put(1, metadata={"tags": ["raises-exception"]})),
    (ids_are_unique, put(2, id="sum")),
    (answers_are_folded, put(0, source="<b>Predict before you run</b>")),
    (answers_are_folded, put(1, metadata={"jupyter": {"outputs_hidden": True}})),
    *[(ran_once_in_order, put(1, execution_count=count)) for count in UNRUN],
    (ran_once_in_order, put(1, source=" \n")),
    (outputs_are_stored, strip),
    (nothing_failed, out(ERROR)),
    (nothing_failed, out(printed("UserWarning: no", stream="stderr"))),
    (machine_stays_private, out(printed("saved to /home/ada/x.pt\n"))),
    (machine_stays_private, out(printed(["one\n", "in '/root/x'\n"]))),
    (machine_stays_private, out(printed(r"saved to C:\Users\ada"))),
    (machine_stays_private, out(html("<b>/tmp/x</b>"))),
    (cells_are_short, put(5, source="x = 1\n" * (LONGEST_CELL + 1))),
    (nothing_is_left_out_silently, put(1, source="# NBVAL_IGNORE_OUTPUT\nprint(2)")),
    (nothing_is_left_out_silently, put(1, source="# NBVAL_SKIP\nprint(2)")),
    (nothing_is_left_out_silently, put(4, source="clock()")),
    (nothing_is_left_out_silently, put(4, source="# output varies:\nclock()")),
    (nothing_is_left_out_silently, put(4, outputs=[])),
    (no_semicolon_hides_an_output, put(1, source="print(2);")),
    (no_semicolon_hides_an_output, put(1, source="print(2);  # quiet\n")),
    (gpu_cells_guard_themselves, put(3, source="y = torch.ones(2, device='cuda')\nassert y.sum() == 2")),
    (gpu_cells_guard_themselves, put(3, source=GPU.format("print(y)"))),
    (gpu_cells_guard_themselves, put(3, source=GPU.format("print(y)") + "\nassert True")),
    (pictures_have_alt_text, put(2, outputs=[picture()])),
    (pictures_have_alt_text, put(2, outputs=[picture(**{"image/png": {"alt": " "}})])),
    (pictures_have_alt_text, out(html("<img src='data:image/png;base64,AAAA'>"))),
    (pictures_have_alt_text, out(html("<img alt='' src='data:image/png;base64,AAAA'>"))),
    (pictures_have_alt_text, put(0, source="![](square.png)")),
    (pictures_have_alt_text, put(0, source="<img src='square.png'>")),
    (pictures_have_alt_text, put(0, source="<img src='square.png' alt=''>")),
    (links_lead_somewhere, put(0, source="[this](../lost.ipynb)")),
    (links_lead_somewhere, put(0, source="![a square](lost%20square.png)")),
    (links_lead_somewhere, put(0, source="<img src='lost.png' alt='a square'>")),
    (no_widget_without_its_kernel, out({"output_type": "display_data", "data": WIDGET, "metadata": {}})),
    (links_lead_somewhere, put(0, source="[this][1]\n\n[1]: lost.md")),
]


def test_a_good_notebook_passes(folder):
    assert not problems(good(), folder)


def test_a_gpu_cell_may_assert_with_torch(folder):
    nb = good()
    put(3, source=GPU.format("torch.testing.assert_close(y, y)"))(nb)
    assert not problems(nb, folder)


def test_only_lessons_keep_cells_short(folder):
    nb = good()
    put(5, source="x = 1\n" * 40)(nb)
    assert not problems(nb, folder.rename(folder.parent / "solutions"))


@pytest.mark.parametrize(("check", "spoil"), BAD, ids=[f"{check.__name__}-{n}" for n, (check, _) in enumerate(BAD)])
def test_each_rule_rejects_its_bad_notebook(check, spoil, folder):
    nb = good()
    spoil(nb)
    assert list(check(nb, folder))
    others = {other.__name__ for other in RULES if other is not check and list(other(nb, folder))}
    assert others <= {"is_valid"}  # the format itself forbids doubled ids and the like


def test_every_rule_has_a_bad_notebook():
    assert {check for check, _ in BAD} == set(RULES)


# pytest's own set-up: a lesson that stopped being true fails, what may vary does not, GPU cells are seen to be skipped.


IMAGE = "<img alt='{}' src='data:image/png;base64,{}='>"
SHOW = f"""class A:
    __repr__ = lambda self: "A"
    _repr_html_ = lambda self: "{IMAGE}"
display(A())"""


def test_a_stored_output_that_is_no_longer_true_fails(tmp_path):
    for name in ("conftest.py", "nbval_sanitize.cfg", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    nb = good()
    result = {"output_type": "execute_result", "data": {"text/plain": "1"}, "metadata": {}, "execution_count": 7}
    nb["cells"] = [
        code("print(1 + 1)", printed("2\n"), name="true"),
        code("print(1 + 1)", printed("3\n"), name="false", count=2),
        code("# output varies: always\nobject()", result, name="varies", count=3, tags=["nbval-ignore-output"]),
        code("raise RuntimeError", name="gpu", count=4, tags=["gpu"]),
        code("print('<A at 0x1f>')", printed("<A at 0x2e>\n"), name="address", count=5),
        code("1 + 1", name="not-stored", count=6),
        code("1", result, name="last", count=7),
        code(SHOW.format("a cat", "iVBO"), html(IMAGE.format("a cat", "AAAA")), name="pixels", count=8),
        code(SHOW.format("a dog", "AAAA"), html(IMAGE.format("a cat", "AAAA")), name="alt", count=9),
    ]
    (tmp_path / "toy.ipynb").write_text(json.dumps(nb), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-n0", "-v", "--color=no", "toy.ipynb"]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300).stdout
    seen = dict(re.findall(r"Cell (\d) (PASSED|FAILED|SKIPPED)", said))
    gpu = "FAILED" if torch.cuda.is_available() else "SKIPPED"
    wanted = ["PASSED", "FAILED", "PASSED", gpu, "PASSED", "FAILED", "PASSED", "PASSED", "FAILED"]
    assert [seen[str(n)] for n in range(len(wanted))] == wanted, said
    assert gpu == "FAILED" or "needs CUDA" in said
