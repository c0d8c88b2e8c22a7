"""Builds that are killed at any moment: the next one succeeds, is complete, and leaves nothing of the killed one."""

import hashlib
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
# Reads lines `OVERWRITE SECONDS STEP SPACING`, and for each builds in a child that is killed after so many seconds, or
# before that step on its files, or never. TensorFlow is imported once, and used in children only: forking is safe so.
SERVER = """
import os, pathlib, signal, sys, time
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
    overwrite, seconds, step, spacing_mm = (float(word) for word in line.split())
    start, child = time.monotonic(), os.fork()
    if not child:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        seen = kill_before(step)
        build(manual_dir, data_dir, ["32x64"], (spacing_mm, spacing_mm), bool(overwrite))
        pathlib.Path(data_dir).with_suffix(".steps").write_text(str(len(seen)))
        os._exit(0)
    ended = 0
    while not ended and time.monotonic() - start < seconds:
        ended, status = os.waitpid(child, os.WNOHANG)
        time.sleep(0.002)
    if not ended:
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), time.monotonic() - start, flush=True)
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

    def build(self, spacing_mm=0.5, overwrite=False, seconds=1000, step=0):
        """Returns `(exit code, seconds)`; the code is -9 for a child that was killed."""
        self._process.stdin.write(f"{int(overwrite)} {seconds} {step} {spacing_mm}\n")
        self._process.stdin.flush()
        code, elapsed = self._process.stdout.readline().split()
        return int(code), float(elapsed)

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
    _, seconds = server.build(overwrite=True)
    undisturbed, steps = content(server.data_dir), (steps_over_nothing, server.steps())
    assert before.keys() == undisturbed.keys() and before != undisturbed
    assert not [name for name in undisturbed if "incomplete" in name]

    killed = 0
    for number in range(8):
        # One half over a data set, the other over nothing; a quarter by time, the others by what was done so far.
        overwrite = number % 2 == 1
        shutil.rmtree(server.data_dir)
        if overwrite:
            shutil.copytree(copy, server.data_dir)
        moment = (
            {"step": rng.randrange(1, steps[overwrite])}
            if number % 3 < 2
            else {"seconds": rng.uniform(0.2, 0.8) * seconds}
        )
        code, _ = server.build(overwrite=overwrite, **moment)
        assert code in (0, -signal.SIGKILL)
        killed += code == -signal.SIGKILL
        # At no time is there half a data set where others look for it.
        for path in server.data_dir.glob("crass12/*/1.1.0"):
            name = str(path.relative_to(server.data_dir))
            assert part(content(server.data_dir), name) in (part(before, name), part(undisturbed, name))
        assert server.build(overwrite=overwrite)[0] == 0
        assert content(server.data_dir) == undisturbed
    assert killed >= 5
