"""`crass-tf view`: serves the page, a model and the files that were named on the loopback, and nothing else."""

import contextlib
import functools
import http.server
import importlib.resources
import io
import json
import pathlib
import urllib.parse
import webbrowser
from collections.abc import Sequence

from crass_tf.common.files import InputError, local_path, local_paths
from crass_tf.common.types import PathLike

# Fixed: browsers store corrections by address and port, and another port would not show them.
DEFAULT_PORT = 8737
LOOPBACK = "127.0.0.1"
# The page asks for `files.json` where it was opened with this mark.
MARK = "#view"
SUFFIXES = (".png", ".jpg", ".jpeg", ".dcm", ".dicom")
HEADERS = {
    # Threads: browsers share memory between them on isolated pages only.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Content-Security-Policy": "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; "
    "style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def view(
    path: PathLike | Sequence[PathLike] = (),
    model: PathLike | None = None,
    port: int = DEFAULT_PORT,
    browser: bool = True,
) -> None:
    """Serves the page until it is interrupted.

    Args:
        path: radiographs, or folders of them, that the page opens at once.
        model: a `.tflite` of `crass-tf export`; None: the one that the page was built with.
        port: on the loopback; 0 for any that is free.
        browser: whether to open the page.

    Raises:
        InputError: where a file is missing, the page was not built, or the port is taken.
    """
    with serve(path, model, port) as server:
        address = f"http://{LOOPBACK}:{server.server_port}/{MARK}"
        print(f"the page is at {address} (Ctrl+C ends it); nothing leaves this computer", flush=True)
        if browser:
            webbrowser.open(address)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()


def serve(
    path: PathLike | Sequence[PathLike] = (), model: PathLike | None = None, port: int = DEFAULT_PORT
) -> http.server.ThreadingHTTPServer:
    """Returns the server, which listens but does not answer yet; arguments and errors as in `view`."""
    files = [file for given in local_paths(path, "path") for file in _radiographs(given)]
    model = local_path(model, "model")
    if model is not None and not (model.is_file() and model.suffix == ".tflite"):
        raise InputError(f"{model}: model not found, expected a .tflite file of crass-tf export")
    handler = functools.partial(_Handler, files=files, model=model, directory=str(built_page()))
    try:
        return http.server.ThreadingHTTPServer((LOOPBACK, port), handler)
    # OverflowError for a number that is no port's.
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"port {port}: {reason}; give another one (--port N)") from None


def built_page() -> pathlib.Path:
    """Returns the folder of the built page; InputError where it was not built."""
    checkout = pathlib.Path(__file__).parents[2] / "web/dist"
    if (checkout / "index.html").is_file():
        return checkout
    with contextlib.suppress(ModuleNotFoundError):
        installed = pathlib.Path(str(importlib.resources.files("crass_tf.web"))) / "dist"
        if (installed / "index.html").is_file():
            return installed
    raise InputError("the page was not built: run `make page` in the source folder (it needs Node.js 20 and npm)")


def _radiographs(path):
    """Returns a file, or the radiographs in a folder and its subfolders; InputError where there are none."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise InputError(f"{path}: file not found")
    paths = [file for file in sorted(path.rglob("*")) if file.suffix.lower() in SUFFIXES and file.is_file()]
    if not paths:
        raise InputError(f"{path}: found no {', '.join(SUFFIXES)} files in this folder")
    return paths


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Answers with the page's own files, `/model.tflite`, the list `/files.json` and its files `/files/0`, ...."""

    server: http.server.ThreadingHTTPServer

    def __init__(self, *arguments, files, model, directory):
        self.names = [file.name for file in files]
        self.places = {f"/files/{number}": file for number, file in enumerate(files)}
        if model is not None:
            self.places["/model.tflite"] = model
        super().__init__(*arguments, directory=directory)

    def send_head(self):
        """Answers with the head; returns what follows it: a file, or the list of the radiographs that were named."""
        # Another site's page may reach the loopback by its own host name (DNS rebinding).
        port = self.server.server_port
        if self.headers.get("Host") not in (f"{LOOPBACK}:{port}", f"localhost:{port}"):
            return self.send_error(403)
        if "%00" in self.path:
            return self.send_error(404)
        if urllib.parse.urlsplit(self.path).path != "/files.json":
            # The file at an address changes between calls of the command, whatever its date.
            del self.headers["If-Modified-Since"]
            return super().send_head()
        content = json.dumps(self.names).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        return io.BytesIO(content)

    def translate_path(self, path):
        """Returns the file of this request, which lies in the page's folder or was named by the user."""
        place = self.places.get(urllib.parse.urlsplit(path).path)
        return str(place or super().translate_path(path))

    def list_directory(self, path):
        return self.send_error(404)

    def copyfile(self, source, outputfile):
        """Sends a file; a browser may hang up meanwhile."""
        with contextlib.suppress(ConnectionError):
            super().copyfile(source, outputfile)

    def end_headers(self):
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, *arguments):
        """Prints nothing: the terminal need not list each request."""
