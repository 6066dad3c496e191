"""course.py: when it installs, what it trusts, and what it says. Nothing here touches the network or a real .venv."""

import ast
import contextlib
import gc
import importlib.util
import io
import re
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
SOURCE = (ROOT / "course.py").read_text(encoding="utf-8")


class Commands(list):
    """Stands in for subprocess.call: keeps the commands, makes an interpreter for `-m venv`, fails where told to."""

    def __init__(self, course):
        super().__init__()
        self.course, self.fail = course, {}

    def __call__(self, command, cwd=None):
        line = " ".join(command)
        self.append(line)
        self.folder = cwd
        for part, result in self.fail.items():
            if part in line:
                if result is KeyboardInterrupt:
                    raise KeyboardInterrupt
                return result
        if "-m venv" in line:
            self.course.PYTHON.parent.mkdir(parents=True)
            self.course.PYTHON.touch()
        return 0

    def about(self, part):
        return [line for line in self if part in line]


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A fresh copy of the module, with its repository in a temporary folder and every outside thing a fake."""
    for name in ("requirements.txt", "pyproject.toml"):
        (tmp_path / name).write_text(f"# {name}\n", encoding="utf-8")
    (tmp_path / "course.py").write_text(SOURCE, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("course_under_test", tmp_path / "course.py")
    course = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(course)
    course.LINUX = True
    course.commands = Commands(course)
    course.asked = []
    monkeypatch.setattr(course.subprocess, "call", course.commands)
    monkeypatch.setattr(course.shutil, "disk_usage", lambda path: SimpleNamespace(free=100e9))
    monkeypatch.setattr(course.shutil, "which", lambda name: None)
    monkeypatch.setattr(course.signal, "signal", lambda *_: None)
    answer(course, monkeypatch, {})
    return course


def answer(course, monkeypatch, answers):
    """Let urlopen answer: True for a page, an exception to raise; the default is a network that is not there."""

    def urlopen(url, timeout):
        course.asked.append(url)
        result = answers.get(url.rstrip("/").rpartition("/")[2], OSError("unreachable"))
        if result is not True:
            raise result
        return io.BytesIO()

    monkeypatch.setattr(course.urllib.request, "urlopen", urlopen)


def says(course, function, *args):
    """The one sentence with which it stops."""
    with pytest.raises(SystemExit) as stopped:
        function(*args)
    sentence = str(stopped.value)
    assert sentence.startswith("course.py: ")
    assert "\n" not in sentence
    return sentence


def made(course, cpu=False):
    """An environment as a first run leaves it; the commands so far are forgotten."""
    course.prepare(cpu)
    course.commands.clear()
    course.asked.clear()


# The file itself


def test_it_can_be_read_by_python_3_6():
    ast.parse(SOURCE, feature_version=(3, 6))
    with pytest.raises(SyntaxError):
        ast.parse("(x := 1)", feature_version=(3, 6))


def test_it_needs_the_standard_library_only_and_stays_short():
    imports = [node for node in ast.walk(ast.parse(SOURCE)) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {alias.name for node in imports if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in imports if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names
    assert len(SOURCE.splitlines()) < 170


@pytest.mark.parametrize("version", [(3, 6, 15), (3, 8, 18), (3, 10, 99)])
def test_an_old_python_is_told_so_before_anything_else(version, tmp_path):
    (tmp_path / "course.py").write_text(SOURCE, encoding="utf-8")
    code = f"import runpy, sys; sys.argv[1:] = ['lab']; sys.version_info = {version}; "
    code += f"runpy.run_path({str(tmp_path / 'course.py')!r}, run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith(f"course.py: this is Python {version[0]}.{version[1]}; the course needs 3.11 to 3.14")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / ".venv").exists()


@pytest.mark.parametrize(
    ("system", "machine", "version", "fine"),
    [
        ("linux", "x86_64", (3, 11, 0), True),
        ("linux", "x86_64", (3, 15, 0), True),
        ("darwin", "arm64", (3, 14, 0), True),
        ("darwin", "x86_64", (3, 12, 9), True),
        ("darwin", "x86_64", (3, 13, 0), False),
        ("win32", "AMD64", (3, 10, 0), False),
    ],
)
def test_which_pythons_serve(course, monkeypatch, system, machine, version, fine):
    fake = SimpleNamespace(platform=system, version_info=version, exit=sys.exit)
    monkeypatch.setattr(course, "sys", fake)
    monkeypatch.setattr(course.platform, "machine", lambda: machine)
    if fine:
        course.check_python()
    else:
        assert "3.11 to 3.1" in says(course, course.check_python)


# What it trusts


def test_the_first_run_makes_the_environment_and_the_second_does_nothing(course):
    course.prepare(False)
    order = ["-m venv", "pip download", "pip install -r requirements.txt -e .[dev]", "import torch, torchvision"]
    assert [part for line in course.commands for part in order if part in line] == order
    assert course.STAMP.exists()
    made(course)
    course.prepare(False)
    assert course.commands == []
    assert course.asked == []


def test_changed_requirements_install_into_the_same_environment(course):
    for name in ("requirements.txt", "pyproject.toml"):
        made(course)
        with (course.ROOT / name).open("a", encoding="utf-8") as file:
            file.write("more\n")
        course.prepare(False)
        assert course.commands.about("pip install -r")
        assert not course.commands.about("-m venv")


def older_python(course):
    course.HERE = "3.0"


def moved(course):
    text = course.STAMP.read_text(encoding="utf-8")
    course.STAMP.write_text(text.replace(str(course.VENV), "/elsewhere/.venv"), encoding="utf-8")


def interpreter_gone(course):
    course.PYTHON.unlink()


def half_made(course):
    course.STAMP.unlink()


def empty_stamp(course):
    course.STAMP.write_text("", encoding="utf-8")


@pytest.mark.parametrize("spoil", [older_python, moved, interpreter_gone, half_made, empty_stamp])
def test_what_does_not_fit_is_made_anew(course, spoil):
    made(course)
    (course.VENV / "old").touch()
    spoil(course)
    course.prepare(False)
    assert course.commands.about("-m venv")
    assert not (course.VENV / "old").exists()
    made(course)
    assert course.STAMP.exists()


@pytest.mark.parametrize(
    ("part", "sentence"),
    [
        ("-m venv", "could not create .venv"),
        ("pip download", "Connect to the network"),
        ("pip install", "pip could not install"),
        ("import torch", "PyTorch is installed but does not start"),
    ],
)
def test_a_failed_first_run_is_not_trusted(course, part, sentence):
    course.commands.fail = {part: 1}
    assert sentence in says(course, course.prepare, False)
    assert not course.STAMP.exists()
    course.commands.fail = {}
    made(course)
    assert course.STAMP.exists()


@pytest.mark.parametrize("part", ["-m venv", "pip download", "pip install", "import torch"])
def test_nor_is_an_interrupted_one(course, part):
    course.commands.fail = {part: KeyboardInterrupt}
    with pytest.raises(KeyboardInterrupt):
        course.prepare(False)
    assert not course.STAMP.exists()


def test_an_update_that_fails_takes_the_trust_away(course):
    made(course)
    (course.ROOT / "requirements.txt").write_text("new\n", encoding="utf-8")
    course.commands.fail = {"pip install": 1}
    says(course, course.prepare, False)
    assert not course.STAMP.exists()


def test_an_update_without_network_leaves_the_environment_as_it_was(course):
    made(course)
    stamp = course.STAMP.read_bytes()
    (course.ROOT / "requirements.txt").write_text("new\n", encoding="utf-8")
    course.commands.fail = {"pip download": 1}
    says(course, course.prepare, False)
    assert course.STAMP.read_bytes() == stamp


def test_two_runs_at_once_do_not_meet_in_one_environment(course):
    with contextlib.closing(sqlite3.connect(str(course.VENV) + ".lock", timeout=0)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert "another course.py" in says(course, course.prepare, False)
    assert course.commands == []
    course.prepare(False)
    assert course.STAMP.exists()


# Where PyTorch comes from

BOTH = {"torch": True, "torchvision": True}


def test_without_a_gpu_the_cpu_index_serves_both_packages(course, monkeypatch):
    answer(course, monkeypatch, BOTH)
    course.prepare(False)
    first, second = course.commands.about("pip install")
    assert first.endswith(f"--index-url {course.CPU_INDEX} torch torchvision")
    assert "-r requirements.txt" in second
    assert course.asked == [f"{course.CPU_INDEX}/torch/", f"{course.CPU_INDEX}/torchvision/"]


@pytest.mark.parametrize("answers", [{}, {"torch": True}, {"torchvision": True}, {"torch": ValueError("bad proxy")}])
def test_if_one_is_missing_there_both_come_from_pypi_and_it_says_so(course, monkeypatch, capsys, answers):
    answer(course, monkeypatch, answers)
    course.prepare(False)
    assert not course.commands.about("--index-url")
    assert len(course.commands.about("pip install")) == 1
    assert "cannot be reached" in capsys.readouterr().out


def test_with_a_gpu_the_cpu_index_is_not_even_asked(course, monkeypatch):
    answer(course, monkeypatch, BOTH)
    monkeypatch.setattr(course.shutil, "which", lambda name: "/usr/bin/" + name)
    course.prepare(False)
    assert course.asked == []
    assert not course.commands.about("--index-url")
    assert course.use_cpu_index(True)


def test_elsewhere_pypi_has_the_cpu_wheels(course, monkeypatch):
    answer(course, monkeypatch, BOTH)
    course.LINUX = False
    assert not course.use_cpu_index(False)
    assert course.asked == []


def test_asked_for_cpu_wheels_it_takes_no_others(course):
    assert "cannot be reached. Leave out --cpu" in says(course, course.prepare, True)
    assert course.commands == []


def test_cpu_wheels_replace_others_only_when_asked_for(course, monkeypatch):
    made(course)
    answer(course, monkeypatch, BOTH)
    course.prepare(False)
    assert course.commands == []
    course.prepare(True)
    assert course.commands.about("-m venv")
    course.commands.clear()
    course.prepare(True)
    course.prepare(False)
    assert course.commands == []


# What it says


@pytest.mark.parametrize(("cpu", "gigabytes"), [(False, 8), (True, 3)])
def test_no_disk(course, monkeypatch, cpu, gigabytes):
    answer(course, monkeypatch, BOTH if cpu else {})
    monkeypatch.setattr(course.shutil, "disk_usage", lambda path: SimpleNamespace(free=(gigabytes - 0.1) * 1e9))
    sentence = says(course, course.prepare, False)
    assert f"about {gigabytes} GB" in sentence
    assert f"{gigabytes - 0.1:.1f} GB free" in sentence
    assert course.commands == []


def test_a_disk_that_fills_up_on_the_way(course, monkeypatch):
    course.commands.fail = {"pip install": 1}
    assert "disk" not in says(course, course.prepare, False)
    sizes = iter([100e9, 1e6])
    monkeypatch.setattr(course.shutil, "disk_usage", lambda path: SimpleNamespace(free=next(sizes)))
    assert "The disk is full." in says(course, course.prepare, False)


def test_debian_without_venv(course, monkeypatch):
    monkeypatch.setattr(course.importlib.util, "find_spec", lambda name: None if name == "ensurepip" else name)
    assert f"sudo apt install python{course.HERE}-venv" in says(course, course.prepare, False)


def test_an_environment_that_cannot_be_removed(course, monkeypatch):
    course.VENV.mkdir()
    monkeypatch.setattr(course.shutil, "rmtree", lambda path, ignore_errors: None)
    assert "cannot be removed" in says(course, course.prepare, False)
    assert course.commands == []


@pytest.mark.parametrize("words", ["--port {}", "--port={}", "--no-browser --ServerApp.port={}"])
def test_a_port_that_is_taken(course, words):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        sentence = says(course, course.main, ["lab", *words.format(port).split()])
    assert f"port {port} is taken" in sentence
    assert course.commands == []
    course.check_port(words.format(port).split())


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # create_server forgets its socket on this error
def test_a_port_that_cannot_be(course):
    assert "port 70000 is taken or not allowed" in says(course, course.main, ["lab", "--port", "70000"])
    gc.collect()


def run_main(course, *words):
    with pytest.raises(SystemExit) as ended:
        course.main(list(words))
    return ended.value.code


def test_lab_opens_the_map_and_passes_words_on(course):
    assert run_main(course, "lab", "--no-browser", "--cpu", "--port", "0") == "course.py: " + (
        f"{course.CPU_INDEX} cannot be reached. Leave out --cpu: PyPI's larger wheels do not need a GPU either."
    )
    assert run_main(course, "lab", "--no-browser", "--IdentityProvider.token=a b") == 0
    last = course.commands[-1]
    assert last.startswith(f"{course.PYTHON} -m jupyterlab ")
    assert last.endswith(" --no-browser --IdentityProvider.token=a b")
    (page,) = re.findall(r"default_url=/lab/tree/(\S+)", last)
    assert page == "notebooks/00_start_here.ipynb"


def test_test_runs_ruff_then_pytest(course):
    course.commands.fail = {"-m pytest": 3}
    assert run_main(course, "test", "-k", "ops and not loops", "-x") == 3
    assert course.commands[-2:] == [
        f"{course.PYTHON} -m ruff check .",
        f"{course.PYTHON} -m pytest -k ops and not loops -x",
    ]
    course.commands.fail = {"-m ruff": 1}
    assert "ruff found" in run_main(course, "test")
    assert "ruff" in course.commands[-1]


def test_after_lab_test_installs_nothing_and_the_reverse(course):
    run_main(course, "lab")
    course.commands.clear()
    run_main(course, "test")
    run_main(course, "lab")
    assert not course.commands.about("pip")


@pytest.mark.parametrize("words", [[], ["--help"], ["notebook"], ["--cpu"]])
def test_other_words_get_the_commands_explained(course, words):
    said = run_main(course, *words)
    assert set(re.findall(r"python3 course\.py (\w+)", said)) == set(course.PROGRAMS)
    assert ("there is no command 'notebook'" in said) == (words == ["notebook"])
    assert course.commands == []


@pytest.mark.parametrize(
    ("word", "program"),
    [
        ("doctor", "-P -m course_utils doctor"),
        ("progress", "-P -m exercise_checks progress"),
        ("train", "-P -m course_utils train"),
        ("grade", "-P -m cohort_grader"),
        ("release", "-P {root}/tools/release.py"),
    ],
)
def test_other_programs_run_where_they_were_asked_for(course, word, program):
    for folder in ("cohort_grader", "tools"):
        (course.ROOT / folder).mkdir()
    assert run_main(course, word, "--seed", "a b") == 0
    assert course.commands[-1] == f"{course.PYTHON} {program.format(root=course.ROOT)} --seed a b"
    assert course.commands.folder is None
    run_main(course, "lab")
    assert course.commands.folder == str(course.ROOT)


@pytest.mark.parametrize("word", ["grade", "release"])
def test_the_learners_bundle_says_that_it_cannot_grade(course, word):
    assert "learners' bundle" in says(course, course.main, [word])
    assert course.commands == []


def test_every_program_is_there():
    done = subprocess.run([sys.executable, "-P", "-m", "cohort_grader", "--help"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for name in ("course_utils", "exercise_checks", "cohort_grader"):
        assert (ROOT / name / "__main__.py").exists()
    assert (ROOT / "tools" / "release.py").exists()


def test_lab_does_not_ask_about_news(course):
    made(course)
    (settings,) = course.VENV.rglob("overrides.json")
    assert '"fetchNews": "false"' in settings.read_text(encoding="utf-8")


# requirements.txt


def requirements():
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_requirements_alone_install_the_package():
    assert requirements()[-1] == "-e ."


@pytest.mark.parametrize(
    ("system", "machine", "torch"),
    [
        ("linux", "x86_64", "2.15.0"),
        ("linux", "aarch64", "2.15.0"),
        ("win32", "AMD64", "2.15.0"),
        ("darwin", "arm64", "2.15.0"),
        ("darwin", "x86_64", "2.2.2"),
    ],
)
def test_every_machine_gets_one_torch_one_torchvision_one_numpy(system, machine, torch):
    place = {"sys_platform": system, "platform_machine": machine}
    here = [Requirement(line) for line in requirements()[:-1]]
    here = [each for each in here if each.marker is None or each.marker.evaluate(place)]
    names = [each.name for each in here]
    assert len(names) == len(set(names))
    assert {"torch", "torchvision", "numpy"} <= set(names)
    specifiers = {each.name: each.specifier for each in here}
    assert torch in specifiers["torch"]
    assert ("2.0.0" in specifiers["numpy"]) == (torch != "2.2.2")
