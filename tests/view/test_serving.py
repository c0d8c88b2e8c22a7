import http.client
import json
import pathlib
import threading

import pytest
from refusals import refuses

from crass_tf.commands import view as serving
from crass_tf.common.files import InputError


@pytest.fixture
def page_folder(tmp_path, monkeypatch):
    """A folder that stands for the built page, with a file beside it that is not served."""
    page = tmp_path / "dist"
    page.mkdir()
    (page / "index.html").write_text("the page")
    (page / "model.tflite").write_bytes(b"built in")
    (tmp_path / "secret.txt").write_text("secret")
    monkeypatch.setattr(serving, "built_page", lambda: page)
    return page


@pytest.fixture
def radiographs(tmp_path):
    """A folder with two files that are named like radiographs, one of them in a subfolder, and another file."""
    folder = tmp_path / "radiographs"
    (folder / "more").mkdir(parents=True)
    for name in ("b.dcm", "more/a.png", "notes.txt"):
        (folder / name).write_bytes(name.encode())
    return folder


@pytest.fixture
def ask(page_folder):
    """A function that starts a server with some arguments and returns one that asks it for a path."""
    servers = []

    def start(*arguments, **options):
        server = serving.serve(*arguments, port=0, **options)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()

        def get(path, method="GET", **headers):
            connection = http.client.HTTPConnection("127.0.0.1", server.server_port)
            headers = {"Host": f"127.0.0.1:{server.server_port}"} | headers
            connection.request(method, path, headers={name.replace("_", "-"): text for name, text in headers.items()})
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), response.read()

        return get

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_the_page_and_the_files_that_were_named_are_served_and_nothing_else(ask, radiographs):
    get = ask([radiographs])
    assert get("/")[2] == b"the page"
    assert json.loads(get("/files.json")[2]) == ["b.dcm", "a.png"]
    assert get("/files/1")[2] == b"more/a.png"
    outside = ("/../secret.txt", "/%2e%2e/secret.txt", "/files/../secret.txt")
    for path in ("/files/2", "/files/-1", "/files/", "/index.html%00", *outside):
        assert get(path)[0] == 404, path


def test_every_answer_isolates_the_page_and_a_request_by_another_name_gets_none(ask):
    for path in ("/", "/files.json", "/none"):
        headers = ask()(path)[1]
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    # As a foreign site does that gives its own name the loopback's address.
    for method in ("GET", "HEAD"):
        assert ask()("/", method, Host="example.org")[0] == 403


def test_what_a_browser_kept_of_another_file_is_never_taken_for_this_one(ask, radiographs):
    status, _, content = ask([radiographs])("/files/0", If_Modified_Since="Fri, 01 Jan 2100 00:00:00 GMT")
    assert (status, content) == (200, b"b.dcm")


def test_another_model_stands_in_the_built_one_s_place(ask, tmp_path):
    (tmp_path / "other.tflite").write_bytes(b"other")
    assert ask()("/model.tflite")[2] == b"built in"
    assert ask(model=tmp_path / "other.tflite")("/model.tflite")[2] == b"other"


def test_mistakes_are_one_line(page_folder, tmp_path):
    (tmp_path / "empty").mkdir()
    for arguments, reason in (
        (([tmp_path / "none.png"],), "none.png: file not found"),
        (([tmp_path / "empty"],), "empty: found no .png"),
        (((), tmp_path / "none.tflite"), "none.tflite: model not found"),
        (((), page_folder / "index.html"), "index.html: model not found, expected a .tflite"),
    ):
        refuses(reason, serving.serve, *arguments, port=0)
    with serving.serve(port=0) as server, pytest.raises(InputError, match="give another one"):
        serving.serve(port=server.server_port)
    refuses("port 99999: .*give another one", serving.serve, port=99999)


def test_a_page_that_was_not_built_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(serving, "__file__", str(tmp_path / "crass_tf/commands/view.py"))
    monkeypatch.setattr(serving.importlib.resources, "files", lambda name: pathlib.Path(tmp_path))
    refuses("make page", serving.built_page)
