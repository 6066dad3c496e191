"""The built website, for the tests that read it and for those that open it in a browser."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from filelock import FileLock

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def need():
    """A function that skips a test which lacks something, or fails it where nothing may be lacking."""

    def skip_unless(there, what):
        if not there and os.environ.get("COURSE_BROWSER") == "required":
            pytest.fail(f"COURSE_BROWSER=required, and there is no {what}")
        if not there:
            pytest.skip(f"needs {what}")

    return skip_unless


@pytest.fixture(scope="session")
def build_site(need):
    """A function that builds the site as docs/conf.py says, in the folder given, and returns that of the pages."""
    there = all(find_spec(name) for name in ("sphinx", "myst_nb", "pydata_sphinx_theme"))
    need(there, 'Sphinx with myst-nb and its theme: pip install -e ".[site]"')

    def build(folder, *settings):
        command = [sys.executable, "-m", "sphinx", "-M", "html", "docs", str(folder), "-W", "--keep-going", "-q"]
        done = subprocess.run([*command, *settings], cwd=ROOT, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stdout + done.stderr
        return folder / "html"

    return build


@pytest.fixture(scope="session")
def site(build_site, tmp_path_factory, worker_id):
    """The folder of the built pages. The first of xdist's workers builds it for all."""
    folder = tmp_path_factory.getbasetemp()
    if worker_id != "master":
        folder = folder.parent
    with FileLock(folder / "site.lock"):
        if not (folder / "site-built").exists():
            build_site(folder / "site")
            (folder / "site-built").touch()
    return folder / "site" / "html"
