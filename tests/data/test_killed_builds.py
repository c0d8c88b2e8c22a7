"""Builds that are killed at any moment: the next one succeeds, is complete, and leaves nothing of the killed one."""

import hashlib
import itertools
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
# Reads lines `OVERWRITE STEP SPACING`, and for each builds in a child that is killed before that step on its files, 0
# for never. TensorFlow is imported once, and used in children only: forking is safe so.
SERVER = """
import os, pathlib, signal, sys
import tensorflow, tensorflow_datasets
from crass_tf.data.building import build

manual_dir, data_dir = sys.argv[1:]
EVENTS = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir")


def kill_before(step):
    seen = []

    def watch(event, args):
        if event in EVENTS and data_dir in str(args[0]):
            seen.append(event)
            if len(seen) == step:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    return seen


for line in sys.stdin:
    overwrite, step, spacing_mm = (float(word) for word in line.split())
    child = os.fork()
    if not child:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        seen = kill_before(step)
        build(manual_dir, data_dir, ["32x64"], (spacing_mm, spacing_mm), bool(overwrite))
        pathlib.Path(data_dir).with_suffix(".steps").write_text(str(len(seen)))
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture
def build(phantom_folder, data_dir):
    """A function that builds in a child, killed before a `step` where one is told; returns the exit code."""
    command = [sys.executable, "-c", SERVER, phantom_folder, data_dir]
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, bufsize=1)
    server = subprocess.Popen(command, cwd=ROOT, **pipes)

    def build(spacing_mm=0.5, overwrite=False, step=0):
        server.stdin.write(f"{int(overwrite)} {step} {spacing_mm}\n")
        return int(server.stdout.readline())

    with server:
        yield build


@pytest.fixture
def data_dir(tmp_path):
    return tmp_path / "data"


def count_steps(data_dir):
    """Returns on how many files and folders the last complete build worked."""
    return int(data_dir.with_suffix(".steps").read_text())


def content(folder):
    """Returns `{path: digest}` of all files, and `{path: ""}` of all folders."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for path in folder.rglob("*")
    }


def part(found, name):
    """Returns what lies in one folder of `content`."""
    return {path: digest for path, digest in found.items() if path.startswith(f"{name}/")}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no os.fork")
def test_killed_builds(build, data_dir):
    rng = random.Random(0)
    # Undisturbed, with two spacings, so that old and new data sets can be told apart.
    build(1.0)
    before, steps_over_nothing = content(data_dir), count_steps(data_dir)
    copy = shutil.copytree(data_dir, data_dir.with_name("copy"))
    build(overwrite=True)
    undisturbed, steps = content(data_dir), (steps_over_nothing, count_steps(data_dir))
    assert before.keys() == undisturbed.keys() and before != undisturbed
    assert not [name for name in undisturbed if "incomplete" in name]

    killed = 0
    for overwrite, _ in itertools.product((False, True), range(4)):
        shutil.rmtree(data_dir)
        if overwrite:
            shutil.copytree(copy, data_dir)
        code = build(overwrite=overwrite, step=rng.randrange(1, steps[overwrite]))
        assert code in (0, -signal.SIGKILL)
        killed += code == -signal.SIGKILL
        # At no time is there half a data set where others look for it.
        for path in data_dir.glob("crass12/*/1.1.0"):
            name = str(path.relative_to(data_dir))
            assert part(content(data_dir), name) in (part(before, name), part(undisturbed, name))
        assert build(overwrite=overwrite) == 0
        assert content(data_dir) == undisturbed
    assert killed >= 6
