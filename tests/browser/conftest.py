"""A real browser: the system's Chromium, driven by Playwright, that reaches nothing but this computer.

Who has no Playwright or no Chromium sees these tests skipped, with the reason; COURSE_BROWSER=required makes them fail.
"""

import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from urllib.parse import urlsplit

import lab
import pytest
from journey import Journey

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
HERE = ("127.0.0.1", "localhost")
OPTIONS = [
    "--no-sandbox",  # as root, in a container; it opens the course's own pages only
    "--disable-quic",
    "--disable-background-networking",
    "--host-resolver-rules=MAP * ~NOTFOUND, " + ", ".join(f"EXCLUDE {host}" for host in HERE),
]


@pytest.fixture(scope="session")
def browser(need):
    need(find_spec("playwright"), 'Playwright: pip install -e ".[browser]"')
    chromium = next(filter(None, map(shutil.which, CHROMIUM)), None)
    need(chromium, f"Chromium: one of {', '.join(CHROMIUM)} on the PATH, Debian's package chromium for example")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=OPTIONS)
        yield browser
        browser.close()


@pytest.fixture
def outside():
    """The addresses on other computers that the page asked for. There must be none when the test ends."""
    asked = []
    yield asked
    assert asked == []


@pytest.fixture
def page(browser, outside):
    """A new window of 1280 by 900 pixels, that knows nothing of earlier ones."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(20_000)
    page = context.new_page()

    def note(request):
        url = urlsplit(request.url)
        if url.scheme not in ("data", "blob") and url.hostname not in HERE:
            outside.append(request.url)

    context.on("request", note)
    yield page
    context.close()


@pytest.fixture
def server(page, tmp_path):
    """JupyterLab on a copy of the course. Asks for `page` first: without a browser nothing is started."""
    server = lab.Server(lab.copy_course(tmp_path / "course"), tmp_path)
    yield server
    ended = server.stop()
    assert ended == 0, server.said()


@pytest.fixture
def journey(page, server, tmp_path):
    page.set_default_timeout(1000 * lab.PATIENCE)
    yield Journey(page, server, tmp_path)
    page.close()  # before its server, or it would look for it


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="session")
def site_url(site):
    """The address of the built site on a server of this computer's own; it ends in a slash."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=site)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
