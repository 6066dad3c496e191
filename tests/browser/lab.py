"""JupyterLab as a learner starts and uses it: the README's command on a copy of the course, then mouse and keyboard."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
import urllib.request
import venv
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent.parent
FILES = ("course.py", "requirements.txt", "pyproject.toml")
FOLDERS = ("course_utils", "exercise_checks", "notebooks", "exercises", "solutions")
PATIENCE = 240  # seconds for one wait, on a machine that does much else; on an idle one they take a second or two
SOON = 20_000  # milliseconds for what the kernel has sent to be drawn
ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+/\S+")


def copy_course(folder: Path) -> Path:
    """Copy the course, with an environment that the copy's `course.py` takes for its own.

    This is the one thing that differs from what a learner has: nothing is installed a second time. `course.py` makes
    the environment and writes its stamp with two steps replaced: what it makes has no packages, and it installs none.
    The environment finds the copy's `course_utils` first, as a learner's finds theirs, and then what the environment
    that runs this test has; JupyterLab's page and settings are linked. So kernels work with the copy, and progress is
    kept in it.
    """
    for name in FOLDERS:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("data", ".ipynb_checkpoints"))
    for name in FILES:
        shutil.copy2(ROOT / name, folder / name)
    spec = importlib.util.spec_from_file_location("course_of_the_copy", folder / "course.py")
    course = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(course)
    course.use_cpu_index = lambda asked: False
    course.make_environment = lambda gigabytes: _borrow_environment(course.VENV)
    course.install = lambda cpu: None
    course.prepare(cpu_asked=False)
    return folder


def _borrow_environment(folder: Path) -> None:
    venv.create(folder, symlinks=os.name != "nt")
    packages = dict.fromkeys(sysconfig.get_path(kind) for kind in ("purelib", "platlib"))
    lines = [str(folder.parent), *(f"import site; site.addsitedir({path!r})" for path in packages)]
    own = sysconfig.get_path("purelib", "venv", {"base": str(folder), "platbase": str(folder)})
    Path(own, "course.pth").write_text("\n".join(lines), encoding="utf-8")
    for name in ("share", "etc"):
        if Path(sys.prefix, name).exists():
            (folder / name).symlink_to(Path(sys.prefix, name), target_is_directory=True)


class Server:
    """`python3 course.py lab --no-browser`, with none of this person's own settings of Jupyter and IPython."""

    def __init__(self, course: Path, home: Path) -> None:
        self.course, self.log = course, home / "lab.log"
        own = {name: str(home / name.lower()) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR")}
        self.environment = {k: v for k, v in os.environ.items() if k not in ("COURSE_PROGRESS", "VIRTUAL_ENV")} | own
        # --expose-app-in-browser lets the test see what a kernel is doing; root is asked for a word more.
        words = ["lab", "--no-browser", "--expose-app-in-browser"]
        words += ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys._base_executable, "course.py", *words],
                cwd=course, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def address(self) -> str:
        """What the terminal says is to be opened."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and self.process.poll() is None:
            found = ADDRESS.findall(self.said())
            if found:
                return found[-1]
            if "Making .venv" in self.said():
                break
            time.sleep(0.1)
        raise AssertionError(f"course.py lab did not come up:\n{self.said()}")

    def python(self, *words: str) -> str:
        """What the course's Python prints, started in a second terminal."""
        python = self.course / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        settings = {"cwd": self.course, "env": self.environment, "timeout": PATIENCE}
        return subprocess.run([python, *words], capture_output=True, text=True, check=True, **settings).stdout

    def stop(self) -> int:
        """Shut JupyterLab and its kernels down, as its menu does, and return what course.py ends with."""
        found = ADDRESS.search(self.said())
        if self.process.poll() is None and found:
            url = urlsplit(found[0])
            token = url.query.removeprefix("token=")
            headers = {"Authorization": f"token {token}"}
            request = urllib.request.Request(f"http://{url.netloc}/api/shutdown", b"", headers, method="POST")
            urllib.request.urlopen(request, timeout=PATIENCE).close()
        elif self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(PATIENCE)


# What a kernel has finished is counted from its own messages: the page says "Idle" too early.
COUNT = """path => {
    const panel = window.jupyterapp?.shell.currentWidget;
    const session = panel?.context?.path === path && panel.sessionContext;
    if (!session || !session.isReady || session.session?.kernel?.status !== 'idle') return false;
    if (panel.finished === undefined) {
        panel.finished = 0;
        session.iopubMessage.connect((_, message) => {
            const about = message.parent_header.msg_type === 'execute_request';
            if (about && message.content.execution_state === 'idle') panel.finished += 1;
        });
    }
    return true;
}"""
FINISHED = """count => {
    const panel = window.jupyterapp.shell.currentWidget;
    return panel.finished >= count && panel.content.widgets.every(cell => cell.model.executionState !== 'running');
}"""
PANEL = ".jp-NotebookPanel:not(.lm-mod-hidden)"


class Notebook:
    """The notebook that lies on top. What is done to it is done by mouse and keyboard."""

    def __init__(self, page, path: str) -> None:
        self.page, self.path = page, path
        page.wait_for_function(COUNT, arg=path)
        self.panel = page.locator(PANEL)

    def cell(self, name: str):
        """The cell of this id."""
        number = self.page.evaluate(
            "id => window.jupyterapp.shell.currentWidget.content.widgets.findIndex(cell => cell.model.id === id)", name
        )
        assert number >= 0, f"{self.path} has no cell {name!r}"
        return self.panel.locator(f'.jp-Cell[data-windowed-list-index="{number}"]')

    def output(self, name: str):
        return self.cell(name).locator(".jp-Cell-outputArea")

    def run(self, name: str) -> None:
        """Click beside the cell's code, press Shift+Enter, and wait for the kernel."""
        with self._finished(1):
            self._start(name)

    def stop(self, name: str, begun: Path) -> None:
        """Run a cell, press the toolbar's stop button once its code has made the file `begun`, and wait."""
        with self._finished(1):
            self._start(name)
            end = time.monotonic() + PATIENCE
            while not begun.exists() and time.monotonic() < end:
                time.sleep(0.01)  # between two looks: nobody is told of a new file
            assert begun.exists(), f"{name} has not begun: {self.output(name).inner_text()}"
            self.panel.get_by_role("button", name="Interrupt the kernel").click()

    def run_all(self) -> None:
        with self._finished(self.panel.locator(".jp-CodeCell").count()):
            menu(self.page, "Run", "Run All Cells")

    def write(self, name: str, code: str) -> None:
        """Replace what stands in a cell."""
        editor = self.cell(name).locator(".cm-content")
        editor.click()
        self.page.keyboard.press("ControlOrMeta+a")
        self.page.keyboard.insert_text(code)
        assert editor.inner_text().split() == code.split()

    def says(self, name: str, words: str):
        """What stands below a cell, in which these words must stand."""
        output = self.output(name)
        try:
            output.get_by_text(words).first.wait_for(timeout=SOON)
        except Exception as error:
            error.add_note(f"below {name!r} must stand {words!r}; there stands:\n{output.inner_text()}")
            raise
        return output

    def errors(self) -> list[str]:
        """The errors and warnings below its cells, as text."""
        kinds = (f'[data-mime-type="application/vnd.jupyter.{kind}"]' for kind in ("error", "stderr"))
        return self.panel.locator(", ".join(kinds)).all_inner_texts()

    def _start(self, name: str) -> None:
        self.cell(name).locator(".jp-InputPrompt").click()
        self.page.keyboard.press("Shift+Enter")

    @contextmanager
    def _finished(self, more: int):
        count = self.page.evaluate("window.jupyterapp.shell.currentWidget.finished") + more
        yield
        self.page.wait_for_function(FINISHED, arg=count)


def menu(page, *names: str) -> None:
    """Choose from the menus, one in the other."""
    bar, *rest = names
    page.locator(".lm-MenuBar-item").get_by_text(bar, exact=True).click()
    for name in rest:
        page.locator(".lm-Menu-itemLabel").get_by_text(name, exact=True).last.click()
