"""The doctor on a sound installation, and on each kind of broken one."""

import json
import os
import re
import subprocess
import sys
import sysconfig
import venv
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from course_utils import doctor
from course_utils.__main__ import main

ROOT = Path(__file__).resolve().parents[2]


def finding(name):
    (found,) = doctor.examine(name)
    return found


@pytest.fixture
def elsewhere(tmp_path):
    """Run a check in a process of its own, where what lies in `path` comes before what is installed."""
    path = tmp_path / "path"
    path.mkdir()

    def run(*names, **environment):
        program = f"from course_utils import doctor\nfor found in doctor.examine(*{names!r}): print(found)"
        places = os.pathsep.join([str(path), str(ROOT)])
        known = {**os.environ, "PYTHONPATH": places, "PYTHONIOENCODING": "utf-8", **environment}
        said = subprocess.run(
            [sys.executable, "-c", program], cwd=tmp_path, env=known, capture_output=True, text=True, encoding="utf-8"
        )
        assert said.returncode == 0, said.stderr
        return said.stdout

    run.path = path
    return run


def module(path, name, source):
    (path / f"{name}.py").write_text(source, encoding="utf-8")


def distribution(path, name, version):
    folder = path / f"{name}-{version}.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")


def test_a_sound_installation_is_found_sound(capsys):
    assert main(["doctor"]) == 0
    report = capsys.readouterr().out
    assert [line.split(":")[0].split()[1] for line in report.splitlines()] == list(doctor.CHECKS)
    assert "BAD" not in report


def test_an_old_python(monkeypatch):
    version = namedtuple("version", "major minor micro")(3, 10, 2)
    monkeypatch.setattr(doctor, "sys", SimpleNamespace(version_info=version))
    assert finding("Python") == doctor.Finding(
        "Python", False, "3.10.2", "The course runs on Python 3.11 to 3.14. Start `course.py lab` with one of those."
    )


@pytest.mark.parametrize(
    ("name", "module", "words"),
    [
        ("torchvision", "torchvision", "same index"),
        ("d2l", "d2l.torch", "d2l==0.17.0"),
        ("notebooks", "jupyterlab", "course.py lab"),
        ("data", "sklearn", "scikit-learn"),
        ("numpy", "numpy", "course.py lab"),
        ("kernel", "ipykernel", "pip install ipykernel"),
        ("widgets", "ipywidgets", "pip install -U ipywidgets"),
    ],
)
def test_a_package_that_is_missing(monkeypatch, name, module, words):
    monkeypatch.setitem(sys.modules, module, None)  # so that importing it fails
    found = finding(name)
    assert not found.well
    assert words in found.advice
    assert found.found.startswith("cannot be imported")


def test_one_bad_line_is_the_exit_status(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "CHECKS", {name: doctor.CHECKS[name] for name in ("Python", "notebooks", "disk")})
    monkeypatch.setitem(sys.modules, "jupyterlab", None)
    assert main(["doctor"]) == 1
    good, bad, advice, after = capsys.readouterr().out.splitlines()
    assert good.startswith("ok   Python")
    assert bad.startswith("BAD  notebooks: cannot be imported")
    assert advice == "     Run `python3 course.py lab`, which installs it."
    assert after.startswith("ok   disk")


def test_a_torch_that_cannot_be_loaded_stops_no_line(elsewhere):
    """As where a library of the system is missing: torch raises OSError then."""
    module(elsewhere.path, "torch", "raise OSError('libcudart.so.13: cannot open shared object file')")
    report = elsewhere(*(set(doctor.CHECKS) - {"kernel"}))
    bad = set(re.findall(r"BAD  (\w+): cannot be imported: libcudart", report))
    assert bad == {"torch", "torchvision", "numpy", "d2l", "data", "device"}
    assert "ok   widgets" in report


# Packages that disagree.


def test_torch_and_torchvision_from_different_places(elsewhere):
    """What torchvision says when it is imported beside a torch from elsewhere."""
    module(elsewhere.path, "torchvision", "raise RuntimeError('operator torchvision::nms does not exist')")
    report = elsewhere("torchvision")
    assert report.startswith("BAD  torchvision: cannot be imported: operator torchvision::nms does not exist")
    assert "must come from the same index" in report


def test_a_torchvision_whose_operators_are_missing(monkeypatch):
    import torchvision

    def missing(*_):
        raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.setattr(torchvision.ops, "nms", missing)
    assert finding("torchvision").found == f"{torchvision.__version__} does not fit torch {torch.__version__}"


def test_a_torch_that_was_built_for_another_numpy(elsewhere):
    source = """
__version__ = "2.2.2"
class ones:
    def __init__(self, n): pass
    def numpy(self): raise RuntimeError("Numpy is not available")
"""
    module(elsewhere.path, "torch", source)
    distribution(elsewhere.path, "torch", "2.2.2")
    report = elsewhere("numpy")
    assert re.match(r"BAD  numpy: [\d.]+ does not fit torch 2.2.2\n", report)
    assert '`pip install "numpy<2"`' in report


def test_another_d2l(elsewhere):
    distribution(elsewhere.path, "d2l", "1.0.3")
    report = elsewhere("d2l")
    assert report.startswith("BAD  d2l: 1.0.3")
    assert "`pip install d2l==0.17.0`" in report


def test_what_is_said_of_d2l_and_ipython_9_is_so(monkeypatch):
    import matplotlib_inline.backend_inline
    from d2l import torch as d2l
    from IPython import display

    monkeypatch.delattr(display, "set_matplotlib_formats", raising=False)  # as in IPython 9
    with pytest.raises(AttributeError, match="set_matplotlib_formats"):
        d2l.use_svg_display()
    found = finding("d2l")
    assert found.well
    left, right = re.search(r"set (\S+) = (\S+)$", found.found).groups()
    assert left == "IPython.display.set_matplotlib_formats"
    assert right == "matplotlib_inline.backend_inline.set_matplotlib_formats"
    used = []
    monkeypatch.setattr(matplotlib_inline.backend_inline, "set_matplotlib_formats", used.append)
    monkeypatch.setattr(display, "set_matplotlib_formats", eval(right), raising=False)
    d2l.use_svg_display()
    assert used == ["svg"]


def test_no_lesson_needs_the_function_that_ipython_9_lacks():
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        code = "".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
        assert not re.search(r"d2l\.(plot|Animator|train_ch6|set_figsize|use_svg_display)", code), path.name


# The notebook's kernel.


def kernelspec(folder, program):
    place = folder / "kernels" / "python3"
    place.mkdir(parents=True)
    argv = [str(program), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": argv, "display_name": "Python 3", "language": "python"}
    (place / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
    return str(folder)


@pytest.fixture
def other_python(tmp_path):
    venv.create(tmp_path / "other", with_pip=False, symlinks=os.name != "nt")
    return tmp_path / "other" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def test_a_kernel_of_another_python(elsewhere, other_python, tmp_path):
    site = sysconfig.get_path("purelib")  # so that the other Python finds an ipykernel
    places = os.pathsep.join([str(ROOT), site])
    report = elsewhere("kernel", JUPYTER_PATH=kernelspec(tmp_path, other_python), PYTHONPATH=places)
    assert report.startswith("BAD  kernel: python3 starts the Python in ")
    assert str(other_python.parent.parent.name) in report
    assert "ipykernel install --sys-prefix" in report


def test_a_kernel_that_cannot_import_ipykernel(elsewhere, other_python, tmp_path):
    report = elsewhere("kernel", JUPYTER_PATH=kernelspec(tmp_path, other_python))
    assert report.startswith(f"BAD  kernel: {other_python} cannot import ipykernel")


def test_a_kernel_whose_python_is_gone(elsewhere, tmp_path):
    report = elsewhere("kernel", JUPYTER_PATH=kernelspec(tmp_path, tmp_path / "gone" / "python"))
    assert report.startswith("BAD  kernel: python3 cannot be started: ")


# Widgets.


@pytest.mark.parametrize(("package", "version"), [("jupyterlab_widgets", "1.1.1"), ("ipywidgets", "7.8.1")])
def test_halves_of_the_widgets_that_do_not_fit(elsewhere, package, version):
    distribution(elsewhere.path, package, version)
    report = elsewhere("widgets")
    assert re.match(r"BAD  widgets: ipywidgets [\d.]+ and jupyterlab_widgets [\d.]+ do not fit, 8 and 3 do\n", report)
    assert f"{package} {version}" in report


def test_widgets_without_their_other_half(monkeypatch):
    version = doctor.metadata.version

    def without(name):
        if name == "jupyterlab_widgets":
            raise doctor.metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(doctor.metadata, "version", without)
    assert finding("widgets").found.endswith("without jupyterlab_widgets")


def test_a_lab_that_does_not_find_the_extension(monkeypatch, tmp_path):
    import jupyter_core.paths

    monkeypatch.setattr(jupyter_core.paths, "jupyter_path", lambda *_: [str(tmp_path)])
    found = finding("widgets")
    assert found.found == "JupyterLab does not find @jupyter-widgets/jupyterlab-manager"


def test_an_extension_that_is_disabled(elsewhere, tmp_path):
    (tmp_path / "labconfig").mkdir()
    page = {"disabledExtensions": {"@jupyter-widgets/jupyterlab-manager": True}}
    (tmp_path / "labconfig" / "page_config.json").write_text(json.dumps(page), encoding="utf-8")
    report = elsewhere("widgets", JUPYTER_CONFIG_DIR=str(tmp_path))
    assert report.startswith("BAD  widgets: @jupyter-widgets/jupyterlab-manager is disabled")
    assert "`jupyter labextension enable @jupyter-widgets/jupyterlab-manager`" in report


# The rest of the computer.


def test_a_full_disk(monkeypatch):
    usage = namedtuple("usage", "total used free")(10, 10, 0)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: usage)
    assert finding("disk").found == "0.0 GB free"


@pytest.fixture
def gpu(monkeypatch):
    """A computer with this driver and a torch that was built so; None: without."""

    def make(driver, cuda, available):
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        monkeypatch.setattr(doctor, "_driver", lambda: driver)
        monkeypatch.setattr(torch.version, "cuda", cuda)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
        return monkeypatch

    return make


def test_a_driver_older_than_torchs_cuda(gpu):
    gpu("470.82", "13.0", False)
    found = finding("device")
    assert found.found == "torch is built for CUDA 13.0, which the GPU's driver 470.82 does not serve"
    assert "Update the NVIDIA driver" in found.advice


@pytest.mark.parametrize(("driver", "cuda"), [("", "13.0"), ("", None)])
def test_no_gpu_is_well(gpu, driver, cuda):
    gpu(driver, cuda, False)
    found = finding("device")
    assert found.well
    assert found.found.endswith("the GPU cells will be skipped")


def test_a_gpu_that_this_torch_cannot_use_is_said(gpu):
    gpu("580.65", None, False)
    found = finding("device")
    assert found.well
    assert found.found.endswith("There is a GPU (driver 580.65), but this torch is built without CUDA")


def test_a_gpu_that_somebody_hides_is_well(gpu):
    gpu("470.82", "13.0", False).setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert finding("device").well


def test_a_gpu_for_which_torch_was_not_built(gpu):
    def no_kernel(*_, **__):
        raise RuntimeError("CUDA error: no kernel image is available for execution on the device\nmore")

    patch = gpu("580.65", "13.0", True)
    patch.setattr(torch.cuda, "get_device_name", lambda: "Tesla K80")
    patch.setattr(torch, "ones", no_kernel)
    found = finding("device")
    assert found.found.startswith("Tesla K80 cannot compute: CUDA error: no kernel image")
    assert "more" not in found.found
    assert "built for this GPU" in found.advice


@pytest.mark.skipif(os.name == "nt", reason="the stand-in for nvidia-smi is a shell script")
@pytest.mark.parametrize(
    ("script", "driver"), [("echo 580.65; echo 580.65", "580.65"), ("echo no devices; exit 9", ""), (None, "")]
)
def test_the_driver_is_asked(monkeypatch, tmp_path, script, driver):
    if script:
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert doctor._driver() == driver
