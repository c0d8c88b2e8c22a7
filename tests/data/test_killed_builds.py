"""Builds that are killed: the next one succeeds, is complete, and leaves nothing of the killed one."""

import shutil
import signal
import subprocess
import sys

import pytest

from crass_tf.data.building import build

# Kills itself before it opens, or renames to, a path that ends so.
BUILD = """
import os, signal, sys
from crass_tf.data.building import build

manual_dir, data_dir, overwrite, end = sys.argv[1:]

def kill(event, args):
    if event in ("open", "os.rename") and str(args[event == "os.rename"]).endswith(end):
        os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(kill)
build(manual_dir, data_dir, ["32x64"], (0.5, 0.5), bool(overwrite))
"""


@pytest.fixture(scope="module")
def built(phantom_folder, tmp_path_factory):
    """Data dirs `old` and `new`, whose spacings tell them apart."""
    folder = tmp_path_factory.mktemp("built")
    for name, side_mm in (("old", 1.0), ("new", 0.5)):
        build(phantom_folder, folder / name, ["32x64"], (side_mm, side_mm))
    return folder


def content(folder):
    """`{path: bytes}` of all files, and `{path: None}` of all folders."""
    return {path.relative_to(folder): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


@pytest.mark.parametrize(("overwrite", "end"), [("", "_1.1.0/metadata.json"), ("yes", "data/crass12/native/1.1.0")])
def test_a_killed_build(built, phantom_folder, tmp_path, overwrite, end):
    """Half-way through the first data set; and when an old one has given way, and the new one is not in place yet."""
    data_dir = tmp_path / "data"
    if overwrite:
        shutil.copytree(built / "old", data_dir)
    command = [sys.executable, "-c", BUILD, phantom_folder, data_dir, overwrite, end]
    assert subprocess.run(command, capture_output=True).returncode == -signal.SIGKILL
    assert list(data_dir.rglob("incomplete.*"))
    # At no time is there half a data set where others look for it.
    for path in data_dir.glob("crass12/*/1.1.0"):
        place = path.relative_to(data_dir)
        assert content(path) in (content(built / "old" / place), content(built / "new" / place))
    build(phantom_folder, data_dir, ["32x64"], (0.5, 0.5), bool(overwrite))
    assert content(data_dir) == content(built / "new") != content(built / "old")
