#!/usr/bin/env python3
"""The course's command line: it needs Python 3.11 to 3.14 and nothing else installed.

    python3 course.py lab        open the course in JupyterLab
    python3 course.py test       check the code, run every test and every notebook
    python3 course.py doctor     check this installation and say how to fix it
    python3 course.py progress   show which tasks you have passed
    python3 course.py train      train a network from the command line
    python3 course.py grade      grade a folder of submissions
    python3 course.py release    make the learners' bundle: the course without its solutions

Each command first creates or updates .venv beside this file if necessary. --cpu installs PyTorch's smaller wheels
without CUDA (Linux). All other arguments are passed on to JupyterLab, pytest or the program that is started:
`lab --no-browser`, `test -k ops`, `train --help`.
"""
# A Python that is too old must be able to parse this file in order to say so: use no syntax newer than 3.6.
import contextlib
import hashlib
import importlib.util
import platform
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
STAMP = VENV / "course.stamp"  # written last, so if it exists, the installation is complete
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
LINUX = sys.platform.startswith("linux")
HERE = "{}.{}".format(*sys.version_info)
# What each command starts. -P prevents imports from the current folder, which may contain anything.
PROGRAMS = {
    "lab": ["-m", "jupyterlab", "--LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb"],
    "test": ["-m", "pytest"],
    "doctor": ["-P", "-m", "course_utils", "doctor"],
    "progress": ["-P", "-m", "exercise_checks", "progress"],
    "train": ["-P", "-m", "course_utils", "train"],
    "grade": ["-P", "-m", "cohort_grader"],
    "release": ["-P", str(ROOT / "tools" / "release.py")],
}
OF_THE_COURSE = ("lab", "test")  # run in the course's folder; the others take paths relative to the current one
FOR_INSTRUCTORS = {"grade": ROOT / "cohort_grader", "release": ROOT / "tools"}


def stop(sentence):
    sys.exit("course.py: " + sentence)


def run(failure, *command):
    if subprocess.call([str(word) for word in command], cwd=str(ROOT)) != 0:
        stop(failure + (" The disk is full." if shutil.disk_usage(str(ROOT)).free < 5e8 else ""))


def check_python():
    intel_mac = (sys.platform, platform.machine()) == ("darwin", "x86_64")
    newest = 12 if intel_mac else 14  # the last version for which PyTorch has wheels for Intel Macs
    if sys.version_info < (3, 11) or (intel_mac and sys.version_info >= (3, 13)):
        stop(f"this is Python {HERE}; the course needs 3.11 to 3.{newest}. Install one of these from "
             "https://www.python.org/downloads/ and use its name: python3.12 course.py lab")


def check_port(words):
    for port in re.findall(r"--(?:ServerApp\.)?port[= ](\d+)", " ".join(words)):
        try:
            socket.create_server(("127.0.0.1", int(port))).close()
        except (OSError, OverflowError):
            stop(f"port {port} is taken or not allowed. Leave out --port, and JupyterLab finds a free one.")


def use_cpu_index(asked):
    """Whether to install PyTorch from its CPU index; on macOS and Windows PyPI's wheels are CPU wheels already."""
    nvidia = shutil.which("nvidia-smi") or Path("/proc/driver/nvidia/version").exists()
    if not LINUX or (nvidia and not asked):
        return False
    try:
        for name in ("torch", "torchvision"):
            urllib.request.urlopen(f"{CPU_INDEX}/{name}/", timeout=4).close()
    except (OSError, ValueError):
        if asked:
            stop(f"{CPU_INDEX} cannot be reached. Leave out --cpu: PyPI's larger wheels do not need a GPU either.")
        print("PyTorch's CPU wheels cannot be reached: using the larger ones from PyPI (2.7 GB).", flush=True)
        return False
    return True


def make_environment(gigabytes):
    print("Making .venv. This takes a few minutes, but only once.", flush=True)
    free = shutil.disk_usage(str(ROOT)).free / 1e9
    if free < gigabytes:
        stop(f"this needs about {gigabytes} GB of disk, and {ROOT} has {free:.1f} GB free. Free up space first.")
    if not all(importlib.util.find_spec(name) for name in ("venv", "ensurepip")):
        stop(f"this Python cannot create environments. On Debian or Ubuntu: sudo apt install python{HERE}-venv")
    shutil.rmtree(str(VENV), ignore_errors=True)
    if VENV.exists():
        stop(f"{VENV} cannot be removed. Close programs that use it, such as JupyterLab, then try again.")
    python = getattr(sys, "_base_executable", sys.executable)  # not the one in .venv, which was just deleted
    run("Python could not create .venv; its error message is above.", python, "-m", "venv", VENV)


def install(cpu):
    pip, failed = [PYTHON, "-m", "pip"], "pip could not install the packages; its error message is above."
    # Test the connection with pip itself, so that its proxies, mirrors and local wheels are used.
    run("pip cannot download packages; its error message is above. Connect to the network and try again; "
        "for a proxy or a mirror set HTTPS_PROXY or PIP_INDEX_URL.",
        *pip, "download", "-q", "--no-deps", "--retries=1", "--timeout=20", "--dest", VENV / "probe", "nbval")
    STAMP.unlink(missing_ok=True)
    if cpu:
        run(failed, *pip, "install", "--index-url", CPU_INDEX, "torch", "torchvision")
    run(failed, *pip, "install", "-r", "requirements.txt", "-e", ".[dev]")
    # If torch and torchvision come from different indexes, they install without errors and fail only here.
    run("PyTorch is installed but does not start; its error message is above.",
        PYTHON, "-P", "-c", "import torch, torchvision, course_utils")
    lab = VENV / "share/jupyter/lab/settings"  # for this environment; the user's own settings take precedence
    lab.mkdir(parents=True, exist_ok=True)
    (lab / "overrides.json").write_bytes(b'{"@jupyterlab/apputils-extension:notification": {"fetchNews": "false"}}')


def prepare(cpu_asked):
    """Create or update .venv; do nothing if its stamp file says that it is up to date."""
    files = b"".join((ROOT / name).read_bytes() for name in ("requirements.txt", "pyproject.toml"))
    base, content = f"Python {HERE} in {VENV}", hashlib.sha256(files).hexdigest()
    stamp = STAMP.read_text(encoding="utf-8").splitlines() if STAMP.exists() and PYTHON.exists() else []
    keep = stamp[:1] == [base] and (not cpu_asked or stamp[2:] == ["cpu"])
    if keep and stamp[1:2] == [content]:
        return
    with contextlib.closing(sqlite3.connect(str(VENV) + ".lock", timeout=0)) as lock:
        try:
            lock.execute("BEGIN EXCLUSIVE")  # the system releases it however this run ends
        except sqlite3.OperationalError:
            stop("another course.py is installing into .venv. Wait until it is done, then try again.")
        cpu = use_cpu_index(cpu_asked)
        if not keep:
            make_environment(gigabytes=8 if LINUX and not cpu else 3)
        install(cpu)
        unfinished = STAMP.with_suffix(".tmp")
        unfinished.write_text("\n".join([base, content, "cpu" if cpu else "any"]), encoding="utf-8")
        unfinished.replace(STAMP)


def main(words):
    check_python()
    args = [word for word in words if word != "--cpu"]
    word = args[0] if args else "--help"
    if word not in PROGRAMS:
        sys.exit(__doc__ if word in ("-h", "--help") else f"course.py: there is no command {word!r}.\n\n{__doc__}")
    if word in FOR_INSTRUCTORS and not FOR_INSTRUCTORS[word].exists():
        stop(f"this is the learners' bundle, which does not include `{word}`. Only the full course does.")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # otherwise pip would keep running
    check_port(args)
    prepare(cpu_asked=LINUX and "--cpu" in words)
    if word == "test":
        run("ruff found the problems above; the tests were not run.", PYTHON, "-m", "ruff", "check", ".")
    signal.signal(signal.SIGINT, lambda *_: None)  # the program that was started handles Ctrl-C
    folder = str(ROOT) if word in OF_THE_COURSE else None
    sys.exit(subprocess.call([str(PYTHON), *PROGRAMS[word], *args[1:]], cwd=folder))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit("\ncourse.py: stopped. If .venv is incomplete, the next run creates it again.")
