"""Files appear whole or not at all."""

import json
import os
import stat

import numpy as np
import pytest

from crass_tf.files import InputError, atomic_file, atomic_folder, one_line, remove_leftovers, write_json, write_text


@pytest.fixture
def umask():
    old = os.umask(0o027)
    yield
    os.umask(old)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def permissions(path):
    return oct(stat.S_IMODE(path.stat().st_mode))


def test_file_appears_only_at_the_end(tmp_path):
    path = tmp_path / "deep" / "model.keras"
    with atomic_file(path) as temporary:
        # Writers choose the format by the suffix; `rename` needs the same file system.
        assert temporary.suffix == ".keras" and temporary.parent == path.parent
        temporary.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert names(path.parent) == ["model.keras"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_failed_file_leaves_the_old_one_alone(tmp_path, error):
    path = tmp_path / "history.csv"
    path.write_text("old")
    with pytest.raises(error), atomic_file(path) as temporary:
        temporary.write_text("half of the ne")
        raise error
    assert path.read_text() == "old"
    assert names(tmp_path) == ["history.csv"]


def test_failed_first_file_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), atomic_file(tmp_path / "history.csv") as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert names(tmp_path) == []


def test_a_file_may_have_the_longest_name_possible(tmp_path):
    write_text(tmp_path / f"{'n' * 251}.txt", "whole")
    assert names(tmp_path) == [f"{'n' * 251}.txt"]


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path):
    temporaries = []
    for name in ("a.png", "b"):
        with pytest.raises(FileNotFoundError), atomic_file(tmp_path / name) as temporary:
            temporary.unlink()
            temporaries.append(temporary)
    kept = [".crass-tf-notes", ".crass-tf-0123abcd.png.bak", "crass-tf-0123abcd.png", ".a-0123abcd.png"]
    for path in (*temporaries, *(tmp_path / name for name in kept)):
        path.write_text("")
    remove_leftovers(tmp_path)
    assert names(tmp_path) == sorted(kept)
    remove_leftovers(tmp_path / "nowhere")


def test_one_line_has_nothing_that_a_terminal_would_obey():
    assert one_line("\x1b[31mRöntgen\n\u3000胸部 \udcff\x9b.png\u2028") == "?[31mRöntgen  胸部 ??.png "


def test_permissions_are_those_of_any_new_file(tmp_path, umask):
    write_text(tmp_path / "file.txt", "")
    with atomic_folder(tmp_path / "folder"):
        pass
    # umask 027: 666 without it is 640, 777 without it is 750.
    assert permissions(tmp_path / "file.txt") == "0o640"
    assert permissions(tmp_path / "folder") == "0o750"


def test_folder_replaces_the_old_one_with_all_its_files(tmp_path):
    path = tmp_path / "saved_model"
    path.mkdir()
    (path / "old.pb").write_text("old")
    with atomic_folder(path) as temporary:
        (temporary / "new.pb").write_text("new")
        assert names(path) == ["old.pb"]
    assert names(path) == ["new.pb"]
    assert names(tmp_path) == ["saved_model"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_failed_folder_leaves_the_old_one_alone(tmp_path, error):
    path = tmp_path / "saved_model"
    path.mkdir()
    (path / "old.pb").write_text("old")
    with pytest.raises(error), atomic_folder(path) as temporary:
        (temporary / "new.pb").write_text("half")
        raise error
    assert (path / "old.pb").read_text() == "old"
    assert names(tmp_path) == ["saved_model"]


def test_json_is_read_back_and_ends_with_a_newline(tmp_path):
    content = {"n": 2, "mcd_mm": None, "name": "Röntgen"}
    write_json(tmp_path / "metrics.json", content)
    text = (tmp_path / "metrics.json").read_text(encoding="utf-8")
    assert json.loads(text) == content and text.endswith("}\n")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), np.nan])
def test_json_refuses_what_is_no_json(tmp_path, value):
    (tmp_path / "metrics.json").write_text("old")
    with pytest.raises(ValueError):
        write_json(tmp_path / "metrics.json", {"iou": {"mean": value}})
    assert (tmp_path / "metrics.json").read_text() == "old"
    assert names(tmp_path) == ["metrics.json"]


def test_input_error_is_a_value_error():
    # So that callers from Python, who do not know the package's class, can catch it.
    assert issubclass(InputError, ValueError)
