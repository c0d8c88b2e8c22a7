"""Files appear whole or not at all."""

import errno
import json
import os
import pathlib
import stat
import sys

import numpy as np
import pytest
from folders import contents
from refusals import refuses

from crass_tf.common import files
from crass_tf.common.files import InputError, data_path, local_path


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def permissions(path):
    return oct(stat.S_IMODE(path.stat().st_mode))


def test_file_appears_only_at_the_end(tmp_path):
    path = tmp_path / "deep" / "model.keras"
    with files.atomic_file(path) as temporary:
        # Writers choose the format by the suffix; `rename` needs the same file system.
        assert temporary.suffix == ".keras" and temporary.parent == path.parent
        temporary.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert names(path.parent) == ["model.keras"]
    # The longest name possible.
    files.write_text(tmp_path / "n" / f"{'n' * 251}.txt", "whole")
    assert names(tmp_path / "n") == [f"{'n' * 251}.txt"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("old", [None, "old"])
def test_failed_file_or_folder_leaves_the_old_one_alone(tmp_path, error, old):
    file, folder = tmp_path / "history.csv", tmp_path / "saved_model"
    if old:
        file.write_text(old)
        folder.mkdir()
        (folder / "old.pb").write_text(old)
    with pytest.raises(error), files.atomic_file(file) as temporary:
        temporary.write_text("half of the ne")
        raise error
    with pytest.raises(error), files.atomic_folder(folder) as temporary:
        (temporary / "new.pb").write_text("half")
        raise error
    assert contents(tmp_path) == ({"history.csv": b"old", "saved_model/old.pb": b"old"} if old else {})
    assert names(tmp_path) == (["history.csv", "saved_model"] if old else [])


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path):
    temporaries = []
    for name in ("a.png", "b"):
        with pytest.raises(FileNotFoundError), files.atomic_file(tmp_path / name) as temporary:
            temporary.unlink()
            temporaries.append(temporary)
    kept = [".crass-tf-notes", ".crass-tf-0123abcd.png.bak", "crass-tf-0123abcd.png", ".a-0123abcd.png"]
    for path in (*temporaries, *(tmp_path / name for name in kept)):
        path.write_text("")
    files.remove_leftovers(tmp_path)
    assert names(tmp_path) == sorted(kept)
    files.remove_leftovers(tmp_path / "nowhere")


def test_folders_of_killed_processes_are_removed_and_those_in_use_are_not(tmp_path, run_python):
    leave = f"""
import os
from crass_tf.common import files
with files.temporary_folder({str(tmp_path)!r}) as folder:
    (folder / "half.keras").write_text("")
    print(folder.name, flush=True)
    os._exit(0)
"""
    left = run_python(leave).strip()
    (tmp_path / ".crass-tf-notes").mkdir()
    assert names(tmp_path) == sorted([left, ".crass-tf-notes"])
    with files.temporary_folder(tmp_path) as first, files.atomic_folder(tmp_path / "model") as second:
        assert names(tmp_path) == sorted([first.name, second.name, ".crass-tf-notes"])
    assert names(tmp_path) == [".crass-tf-notes", "model"]


def test_one_line_has_nothing_that_a_terminal_would_obey():
    assert files.one_line("\x1b[31mRöntgen\n\u3000胸部 \udcff\x9b.png\u2028") == "?[31mRöntgen  胸部 ??.png "


def test_permissions_are_those_of_any_new_file(tmp_path, request):
    old = os.umask(0o027)
    request.addfinalizer(lambda: os.umask(old))
    files.write_text(tmp_path / "file.txt", "")
    with files.atomic_folder(tmp_path / "folder"):
        pass
    # umask 027: 666 without it is 640, 777 without it is 750.
    assert permissions(tmp_path / "file.txt") == "0o640"
    assert permissions(tmp_path / "folder") == "0o750"


def test_folder_replaces_the_old_one_with_all_its_files(tmp_path):
    path = tmp_path / "saved_model"
    path.mkdir()
    (path / "old.pb").write_text("old")
    with files.atomic_folder(path) as temporary:
        (temporary / "new.pb").write_text("new")
        assert names(path) == ["old.pb"]
    assert names(path) == ["new.pb"]
    assert names(tmp_path) == ["saved_model"]


def test_json_is_read_back_and_what_is_no_json_is_refused(tmp_path):
    content = {"n": 2, "mcd_mm": None, "name": "Röntgen"}
    files.write_json(tmp_path / "metrics.json", content)
    text = (tmp_path / "metrics.json").read_text(encoding="utf-8")
    assert json.loads(text) == content and text.endswith("}\n")
    for value in (float("nan"), float("inf"), np.nan):
        with pytest.raises(ValueError):
            files.write_json(tmp_path / "metrics.json", {"iou": {"mean": value}})
        assert (tmp_path / "metrics.json").read_text(encoding="utf-8") == text
    assert names(tmp_path) == ["metrics.json"]


def test_tilde_is_the_home_folder_and_of_no_user_an_error(tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(home))
    for path in ("~/a/b", pathlib.Path("~/a/b")):
        assert local_path(path) == home / "a/b"
        assert data_path(path) == str(home / "a/b")
    assert local_path("~") == home
    assert local_path(None) is None and data_path(None) is None
    # Elsewhere in a path it is a letter like others.
    assert local_path("x/~/y") == pathlib.Path("x/~/y")
    assert files.local_paths("~/a") == files.local_paths(["~/a"]) == [home / "a"]
    monkeypatch.chdir(tmp_path)
    # So that callers from Python, who do not know the package's class, can catch it.
    with pytest.raises(ValueError, match="no such user's home"):
        local_path("~nobody-of-this-name/x")
    # As editors call their copies.
    (tmp_path / "~copy.png").touch()
    assert local_path("~copy.png") == pathlib.Path("~copy.png")


@pytest.mark.parametrize(
    "url", ["gs://bucket/run", "s3://bucket/x", "https://host/x.png", "hdfs://n/x", "file:///tmp/x", "GS://b"]
)
def test_urls_are_no_local_folders(url):
    for path in (url, pathlib.Path(url)):
        refuses(f"^out: found the URL {url}, expected a path on this machine", local_path, path, "out")
        with pytest.raises(InputError, match="found the URL"), files.atomic_file(path):
            pass
        with pytest.raises(InputError, match="found the URL"), files.atomic_folder(path):
            pass


def test_outputs_are_tried_before_work(tmp_path):
    (tmp_path / "file").touch()
    assert files.output_folder(tmp_path / "a/b") == tmp_path / "a/b"
    assert files.output_file(tmp_path / "a/b.json") == tmp_path / "a/b.json"
    assert files.output_folder(None) is files.output_file(None) is None
    for path in (tmp_path / "file", tmp_path / "file/b", tmp_path / ("x" * 300)):
        refuses(r": the folder cannot be made or written to \(\w+", files.output_folder, path)
    for path in (tmp_path, "/dev/null"):
        refuses(": found a folder or device, expected a file to write", files.output_file, path)
    assert names(tmp_path) == ["file"]


def test_data_urls_are_those_of_tfds(tmp_path):
    assert data_path("gs://bucket/data") == data_path(pathlib.Path("gs://bucket/data")) == "gs://bucket/data"
    refuses(r"^data_dir: found the URL https://host/x, expected .* gs://", data_path, "https://host/x")
    # A drive of Windows, and a name with a colon.
    assert data_path(r"C:/data") == "C:/data"
    assert local_path(tmp_path / "a:b") == tmp_path / "a:b"


def test_a_file_system_without_locks_is_a_line(tmp_path, monkeypatch, capsys):
    fcntl = pytest.importorskip("fcntl")

    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with (tmp_path / "file").open("w") as file:
        files.lock(file, tmp_path, "writing")
    said = f"{tmp_path}: cannot be locked (No locks available); start nothing else that writes there\n"
    assert capsys.readouterr().err == said
    monkeypatch.setitem(sys.modules, "fcntl", None)
    with (tmp_path / "file").open("w") as file:
        files.lock(file, tmp_path, "writing")
    assert capsys.readouterr().err.startswith(f"{tmp_path}: cannot be locked (")
