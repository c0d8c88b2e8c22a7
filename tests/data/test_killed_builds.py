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


class Server:
    """A process that builds in children, and kills them when it is told to."""

    def __init__(self, manual_dir, data_dir):
        self.data_dir = data_dir
        self._process = subprocess.Popen(
            [sys.executable, "-c", SERVER, manual_dir, data_dir],
            cwd=ROOT,
            env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def build(self, spacing_mm=0.5, overwrite=False, step=0):
        """Returns the exit code, -9 for a child that was killed."""
        self._process.stdin.write(f"{int(overwrite)} {step} {spacing_mm}\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def steps(self):
        """Returns on how many files and folders the last complete build worked."""
        return int(self.data_dir.with_suffix(".steps").read_text())

    def close(self):
        self._process.stdin.close()
        self._process.wait()


@pytest.fixture
def server(phantom_folder, tmp_path):
    server = Server(phantom_folder, tmp_path / "data")
    yield server
    server.close()


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
def test_killed_builds(server):
    rng = random.Random(0)
    # Undisturbed, with two spacings, so that old and new data sets can be told apart.
    server.build(1.0)
    before, steps_over_nothing = content(server.data_dir), server.steps()
    copy = shutil.copytree(server.data_dir, server.data_dir.with_name("copy"))
    server.build(overwrite=True)
    undisturbed, steps = content(server.data_dir), (steps_over_nothing, server.steps())
    assert before.keys() == undisturbed.keys() and before != undisturbed
    assert not [name for name in undisturbed if "incomplete" in name]

    killed = 0
    for overwrite, _ in itertools.product((False, True), range(4)):
        shutil.rmtree(server.data_dir)
        if overwrite:
            shutil.copytree(copy, server.data_dir)
        code = server.build(overwrite=overwrite, step=rng.randrange(1, steps[overwrite]))
        assert code in (0, -signal.SIGKILL)
        killed += code == -signal.SIGKILL
        # At no time is there half a data set where others look for it.
        for path in server.data_dir.glob("crass12/*/1.1.0"):
            name = str(path.relative_to(server.data_dir))
            assert part(content(server.data_dir), name) in (part(before, name), part(undisturbed, name))
        assert server.build(overwrite=overwrite) == 0
        assert content(server.data_dir) == undisturbed
    assert killed >= 6
