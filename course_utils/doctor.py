"""Check whether this installation can run the course. Each check says what it found and how to fix any problem."""

import importlib
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from importlib import metadata
from types import ModuleType
from typing import NamedTuple

AGAIN = "Run `python3 course.py lab` again after deleting the folder .venv."
EXTENSION = "@jupyter-widgets/jupyterlab-manager"  # shows ipywidgets in JupyterLab
# IPython 9 has removed a function that d2l 0.17 calls.
D2L_PLOTS = (
    "before its plots (d2l.plot, d2l.Animator, train_ch6; no lesson uses them) set "
    "IPython.display.set_matplotlib_formats = matplotlib_inline.backend_inline.set_matplotlib_formats"
)
PRINT_PREFIX = "import sys, ipykernel; print(sys.prefix)"


class Finding(NamedTuple):
    """One line of the doctor's report: the check's name, whether it passed, what it found, and what to do."""

    name: str
    well: bool
    found: str
    advice: str = ""

    def __str__(self) -> str:
        line = f"{'ok ' if self.well else 'BAD'}  {self.name}: {self.found}"
        return line if self.well else f"{line}\n     {self.advice}"


def examine(*names: str) -> Iterator[Finding]:
    """Yield one `Finding` per check, the cheap ones first, or only for `names`. A failed check does not stop the rest.

    >>> next(examine()).name
    'Python'
    """
    for name in names or CHECKS:
        try:
            yield Finding(name, True, CHECKS[name]())
        except _Problem as problem:
            yield Finding(name, False, *problem.args)


def run(options: object = None) -> int:
    """Print every finding as soon as it is known; return the exit status, 1 if a check failed."""
    well = True
    for finding in examine():
        print(finding, flush=True)
        well = well and finding.well
    return 0 if well else 1


class _Problem(Exception):
    """A failed check; its arguments are what was found and what to do."""


def _python() -> str:
    version = ".".join(map(str, sys.version_info[:3]))
    if not (3, 11) <= sys.version_info[:2] <= (3, 14):
        raise _Problem(version, "The course runs on Python 3.11 to 3.14. Start `course.py lab` with one of those.")
    return version


def _import(name: str, advice: str) -> ModuleType:
    try:
        return importlib.import_module(name)
        # A broken package may raise any exception when it is imported, and the other checks must still run.
    except Exception as error:
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        raise _Problem(f"cannot be imported: {first_line}", advice) from error


def _numpy() -> str:
    _import("numpy", AGAIN)
    torch, version = _import("torch", AGAIN), metadata.version("numpy")
    try:  # a torch built for numpy 1 cannot pass data to numpy 2
        torch.ones(1).numpy()
    except RuntimeError as error:
        advice = 'Run `pip install "numpy<2"` in the environment of the course, or delete .venv and run '
        advice += "`python3 course.py lab`."
        raise _Problem(f"{version} does not fit torch {torch.__version__}", advice) from error
    return version


def _torch() -> str:
    _import("torch", AGAIN)
    return metadata.version("torch")


def _torchvision() -> str:
    advice = "torch and torchvision must come from the same index: delete .venv and run `python3 course.py lab`."
    torchvision, torch = _import("torchvision", advice), _import("torch", AGAIN)
    try:  # this operator is missing if the two were not built for each other
        torchvision.ops.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)
    except (RuntimeError, AttributeError) as error:
        raise _Problem(f"{torchvision.__version__} does not fit torch {torch.__version__}", advice) from error
    return metadata.version("torchvision")


def _d2l() -> str:
    _import("d2l.torch", "Run `pip install d2l==0.17.0 pandas` in the environment of the course.")
    version = metadata.version("d2l")
    if version != "0.17.0":
        raise _Problem(version, "The lessons compare with d2l 0.17.0: run `pip install d2l==0.17.0`.")
    from IPython import display

    if not hasattr(display, "set_matplotlib_formats"):
        return f"{version}; {D2L_PLOTS}"
    return version


def _notebooks() -> str:
    _import("jupyterlab", "Run `python3 course.py lab`, which installs it.")
    return f"JupyterLab {metadata.version('jupyterlab')}"


def _kernel() -> str:
    """Check JupyterLab's kernel "python3", which a kernel of the same name elsewhere may shadow."""
    advice = "Run `python -m ipykernel install --sys-prefix` in the environment of the course; if that does not help, "
    advice += "`jupyter kernelspec list` shows which python3 comes first: remove that."
    _import("ipykernel", "Run `pip install ipykernel` in the environment of the course.")
    from jupyter_client import KernelManager
    from jupyter_client.kernelspec import NoSuchKernel

    try:
        program = KernelManager(kernel_name="python3").format_kernel_cmd()[0]
        result = subprocess.run([program, "-c", PRINT_PREFIX], capture_output=True, text=True, timeout=60)
    except (NoSuchKernel, OSError, subprocess.TimeoutExpired) as error:
        raise _Problem(f"python3 cannot be started: {error}", advice) from error
    if result.returncode:
        raise _Problem(f"{program} cannot import ipykernel", advice)
    prefix = result.stdout.strip()
    if os.path.realpath(prefix) != os.path.realpath(sys.prefix):
        raise _Problem(f"python3 starts the Python in {prefix}, not this one", advice)
    return "python3 starts this Python"


def _widgets() -> str:
    advice = "Run `pip install -U ipywidgets jupyterlab_widgets` in the environment of the course, and restart Lab."
    _import("ipywidgets", advice)
    version = metadata.version("ipywidgets")
    try:
        partner = metadata.version("jupyterlab_widgets")
    except metadata.PackageNotFoundError as error:
        raise _Problem(f"ipywidgets {version} without jupyterlab_widgets", advice) from error
    if version.split(".")[0] != "8" or partner.split(".")[0] != "3":
        raise _Problem(f"ipywidgets {version} and jupyterlab_widgets {partner} do not fit, 8 and 3 do", advice)
    from jupyter_core.paths import jupyter_path
    from jupyterlab_server.config import get_page_config

    page = get_page_config(jupyter_path("labextensions"))
    if EXTENSION not in {found["name"] for found in page.get("federated_extensions", [])}:
        raise _Problem(f"JupyterLab does not find {EXTENSION}", advice)
    if any(name.split(":")[0] == EXTENSION for name in page.get("disabledExtensions", [])):
        raise _Problem(f"{EXTENSION} is disabled", f"Run `jupyter labextension enable {EXTENSION}`, and restart Lab.")
    return f"ipywidgets {version}, jupyterlab_widgets {partner}"


def _data() -> str:
    _import("sklearn", "Run `pip install scikit-learn` in the environment of the course.")
    _import("torch", AGAIN)
    from course_utils import data

    (X, _), (X_test, _), _ = data.load("digits")
    return f"{len(X) + len(X_test)} handwritten digits"


def _disk() -> str:
    free = shutil.disk_usage(os.getcwd()).free / 1e9
    if free < 1:
        raise _Problem(f"{free:.1f} GB free", "Make room: checkpoints and a dataset download need about 1 GB.")
    return f"{free:.0f} GB free"


def _device() -> str:
    """Check that torch can use the GPU, if there is one; the course does not need it."""
    torch = _import("torch", AGAIN)
    driver = _driver()
    cpu = f"CPU with {torch.get_num_threads()} threads; the GPU cells will be skipped"
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):  # the GPU is hidden on purpose
        return cpu
    if not torch.version.cuda:
        return f"{cpu}. There is a GPU (driver {driver}), but this torch is built without CUDA" if driver else cpu
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns about an old driver, which the finding reports anyway
        available = torch.cuda.is_available()
    if not available:
        if not driver:
            return cpu
        raise _Problem(
            f"torch is built for CUDA {torch.version.cuda}, which the GPU's driver {driver} does not serve",
            "Update the NVIDIA driver, or install torch and torchvision, both, for an older CUDA. "
            "Until then set CUDA_VISIBLE_DEVICES to -1: all but the GPU cells run.",
        )
    name = torch.cuda.get_device_name()
    try:
        (torch.ones(2, device="cuda") + 1).sum().item()
    except RuntimeError as error:
        first_line = str(error).splitlines()[0]
        advice = "Install a torch and torchvision built for this GPU; until then set CUDA_VISIBLE_DEVICES to -1."
        raise _Problem(f"{name} cannot compute: {first_line}", advice) from error
    return f"CUDA {torch.version.cuda}, {name}"


def _driver() -> str:
    """Return the version of the NVIDIA driver, or "" if there is none."""
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        result = subprocess.run(query, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return result.stdout.split("\n")[0].strip() if result.returncode == 0 else ""


CHECKS: dict[str, Callable[[], str]] = {
    "Python": _python,
    "disk": _disk,
    "notebooks": _notebooks,
    "kernel": _kernel,
    "widgets": _widgets,
    "torch": _torch,
    "numpy": _numpy,
    "torchvision": _torchvision,
    "d2l": _d2l,
    "data": _data,
    "device": _device,
}
