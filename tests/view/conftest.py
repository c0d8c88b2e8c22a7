"""A browser with the page in it; skips where Chromium, Playwright or the built page is missing."""

import contextlib
import functools
import http.server
import io
import json
import shutil
import threading
import zipfile

import pytest

from crass_tf.common.files import InputError

# What Debian and others call it.
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# Milliseconds, on a machine that may be busy: the first radiograph waits for the model; and each.
PATIENCE_MS = 60_000
MORE_PATIENCE_MS = 3_000


@pytest.fixture(scope="module")
def chromium():
    """A running Chromium, headless. It ends with the module: Playwright cannot be started twice at a time."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install playwright")
    path = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    with playwright.sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def built():
    """The folder of the built page."""
    from crass_tf.commands.view import built_page

    try:
        return built_page()
    except InputError as error:
        pytest.skip(str(error))


@pytest.fixture
def open_page(chromium, built):
    """A function that serves files and returns a `Page` that shows them."""
    from crass_tf.commands.view import serve

    with contextlib.ExitStack() as stack:

        def open_page(*files, width=1400, height=900):
            server = stack.enter_context(running(serve(files, port=0)))
            context = stack.enter_context(contextlib.closing(chromium.new_context()))
            page = Page(context, server, "#view", {"width": width, "height": height})
            page.wait(len(files))
            return page

        yield open_page


@pytest.fixture
def static_page(chromium, built):
    """`(page, stop)`: the page as any host serves it, without headers, and a function that ends the host."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=built))
    with contextlib.closing(chromium.new_context()) as context, contextlib.ExitStack() as host:
        host.enter_context(running(server))
        yield Page(context, server), host.close


@contextlib.contextmanager
def running(server):
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


class Page:
    """A Playwright `tab` with the page in it, the URLs of its `requests`, and what the browser said of `problems`."""

    def __init__(self, context, server, mark="", size=None):
        self.tab, self.address = context.new_page(), f"http://127.0.0.1:{server.server_port}/"
        self.requests, self.problems = [], []
        context.on("request", lambda request: self.requests.append(request.url))
        self.tab.on("pageerror", lambda error: self.problems.append(str(error)))
        self.tab.on("dialog", lambda dialog: dialog.accept())
        if size:
            self.tab.set_viewport_size(size)
        self.tab.goto(self.address + mark)

    def wait(self, count):
        """Waits until so many radiographs are outlined or refused."""
        done = self.tab.locator("#list .outlined, #list .failed")
        if count:
            done.nth(count - 1).wait_for(timeout=PATIENCE_MS + count * MORE_PATIENCE_MS)

    def add(self, *files):
        """Opens further files."""
        known = self.tab.locator("#list li").count()
        self.tab.set_input_files("#files", [str(file) for file in files])
        self.wait(known + len(files))

    def line(self, name):
        """Returns what the list says of a radiograph."""
        return self.tab.locator("#list li", has_text=name).locator("small").inner_text()

    def choose(self, name):
        """Shows a radiograph."""
        self.tab.locator("#list button", has_text=name).click()
        self.tab.locator('#list button[aria-current="true"]', has_text=name).wait_for()

    def press(self, *keys):
        """Presses one key after the other."""
        for key in keys:
            self.tab.keyboard.press(key)

    def records(self):
        """Returns what the page saves of each radiograph."""
        return json.loads(self.saved().read("corrections.json"))["radiographs"]

    def saved(self, scope="outlined"):
        """Returns the ZIP that the page saves."""
        self.tab.click("#save")
        self.tab.check(f'input[name="scope"][value="{scope}"]')
        with self.tab.expect_download() as download:
            self.tab.click("#save-zip")
        return zipfile.ZipFile(io.BytesIO(download.value.path().read_bytes()))
