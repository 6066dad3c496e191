"""The house: which package may import which, what each is for, and how large it may become."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from exercise_checks import tasks

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("course_utils", "exercise_checks", "cohort_grader")
CORE = ("ops", "layers", "arithmetic", "filters", "backward", "lenet", "shapes")
# Which of our modules a part of the house may import; the first part that a file lies in decides.
OBSERVING = "exercise_checks.running.observing"
ARROWS = {
    "course_utils": ("course_utils",),
    "exercise_checks/running": ("exercise_checks.running",),
    "exercise_checks/judging": ("exercise_checks.judging", "exercise_checks.tasks", OBSERVING),
    "exercise_checks/tasks": ("course_utils", "exercise_checks.tasks", "exercise_checks.sheets", OBSERVING),
    "exercise_checks": ("course_utils", "exercise_checks"),
    "cohort_grader": PACKAGES,
}
# Who alone may import what is slow to import, or not installed everywhere.
KEEPERS = {
    "matplotlib": ("course_utils/plotting", "course_utils/widgets"),
    "sklearn": ("course_utils/data.py",),
    "mlxtend": ("course_utils/data.py",),
    "torchvision": ("course_utils/data.py", "course_utils/doctor.py"),
    "jinja2": ("exercise_checks", "cohort_grader"),
}


def files():
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def name(path):
    return path.relative_to(ROOT).as_posix()


def imports(tree, module=""):
    """The dotted names that are imported anywhere in a module, `from a import b` as a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def lines(*patterns):
    found = {path for pattern in patterns for path in ROOT.glob(pattern)}
    return sum(len(path.read_text(encoding="utf-8").splitlines()) for path in found)


@pytest.mark.parametrize("path", files(), ids=name)
def test_arrows_lead_down_only(path):
    part = next(part for part in ARROWS if name(path).startswith(part))
    ours = [found for found in imports(ast.parse(path.read_text(encoding="utf-8"))) if found.split(".")[0] in PACKAGES]
    assert [found for found in ours if not f"{found}.".startswith(tuple(f"{a}." for a in ARROWS[part]))] == []


@pytest.mark.parametrize("path", files(), ids=name)
def test_nobody_uses_what_another_module_keeps_for_itself(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    ours = [found for found in imports(tree) if found.split(".")[0] in PACKAGES]
    modules = {found.rpartition(".")[2] for found in ours}
    private = [found for found in ours if found.rpartition(".")[2].startswith("_") and "__" not in found]
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            private += [f"{node.value.id}.{node.attr}"] if node.attr.startswith("_") and "__" not in node.attr else []
    assert private == []


@pytest.mark.parametrize("library", KEEPERS)
def test_libraries_that_cost_much_have_keepers(library):
    users = [
        name(path)
        for path in files()
        if library in {found.split(".")[0] for found in imports(ast.parse(path.read_text(encoding="utf-8")))}
    ]
    assert [user for user in users if not user.startswith(KEEPERS[library])] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_importing_a_package_alone_loads_nothing_heavy(package):
    code = f"import sys, {package}; print([m for m in ('torch', 'numpy', 'matplotlib', 'IPython') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout == "[]\n", done.stderr


def test_what_the_running_side_imports_brings_no_answers():
    code = "import sys; from exercise_checks.running import child, observing, protocol; "
    code += "print('exercise_checks.tasks' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout == "False\n", done.stderr


def test_judging_knows_no_process_and_no_notebook():
    for path in sorted((ROOT / "exercise_checks" / "judging").glob("*.py")):
        found = {name.split(".")[0] for name in imports(ast.parse(path.read_text(encoding="utf-8")))}
        assert not found & {"os", "subprocess", "multiprocessing", "signal", "socket", "threading", "IPython"}, path


@pytest.mark.parametrize("folder", ["notebooks", "exercises", "solutions"])
def test_lessons_import_course_utils_and_sheets_the_checks_too(folder):
    for path in sorted((ROOT / folder).glob("*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
        found = set(re.findall(r"^ *(?:from|import) (\w+)", code, flags=re.MULTILINE))
        allowed = {"course_utils"} if folder == "notebooks" else {"course_utils", "exercise_checks"}
        if path.stem == "00_start_here":  # it shows the learner's progress
            allowed = {"course_utils", "exercise_checks"}
        assert found & set(PACKAGES) <= allowed, path


TASKS = (7500, 90)  # so many lines for so many tasks: whoever adds a task may add as many lines as one has had


@pytest.mark.parametrize(
    ("most", "patterns"),
    [
        (1600, [f"course_utils/{module}.py" for module in CORE]),
        (5600, ["course_utils/**/*.py"]),
        (TASKS[0] + (len(tasks.every()) - TASKS[1]) * TASKS[0] // TASKS[1], ["exercise_checks/tasks/*.py"]),
        (1900, ["exercise_checks/*.py", "exercise_checks/judging/*.py", "exercise_checks/running/*.py"]),
        (3300, ["cohort_grader/**/*.py"]),
    ],
)
def test_no_room_outgrows_the_house(most, patterns):
    found = lines(*patterns)
    assert found <= most, f"{' and '.join(patterns)}: {found} lines of Python, at most {most}. What can be left out?"
