"""The same work on a Spark cluster of two workers, of which one dies."""

import csv
import os
import pathlib
import shutil
import signal
import threading
import time

import numpy as np
import pytest

pytest.importorskip("apache_beam", reason="needs Apache Beam: pip install crass-tf[beam]")
pytest.importorskip("pyspark", reason="needs pyspark: pip install crass-tf[spark]")
pytestmark = pytest.mark.skipif(shutil.which("java") is None, reason="Spark needs Java")

from crass_tf import cli  # noqa: E402
from crass_tf.beam import spark  # noqa: E402
from crass_tf.prediction import predict  # noqa: E402
from crass_tf.radiographs.formats.png import write_png  # noqa: E402

COUNT = 120
CLUSTER = "local-cluster[2,1,1024]"


def test_a_worker_dies_and_each_radiograph_is_there_once(litert_model, tmp_path, monkeypatch):
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for number in range(COUNT):
        image = np.full((64, 64), 28, np.uint8)
        image[10:20, 4:24] = image[10:20, 40 : 50 + number % 10] = 228
        write_png(folder / f"{number}.png", image)
    (folder / "broken.png").write_bytes(b"no radiograph")
    predict([folder], tmp_path / "one", litert_model, ("mask", "json"), progress=False)

    # 24 tasks: one worker has some left when the other one dies.
    monkeypatch.setattr(spark, "TASK", 5)
    killed = []
    killer = threading.Thread(target=_kill_a_worker, args=(out, killed), daemon=True)
    killer.start()
    arguments = ["predict", str(folder), "--out", str(out), "--model", str(litert_model), "--outputs", "mask,json"]
    assert cli.main([*arguments, "--runner", "spark", "--", "--master", CLUSTER]) == 1
    killer.join(60)
    written, process = killed
    assert 10 <= written < COUNT and not pathlib.Path(f"/proc/{process}").exists()

    with (out / "summary-00000-of-00001.csv").open() as table:
        results = [row["result"] for row in csv.DictReader(table)]
    assert sorted(results) == sorted(["broken", *map(str, range(COUNT))])
    content = {path.name: path.read_bytes() for path in out.iterdir() if path.suffix != ".csv"}
    assert content == {path.name: path.read_bytes() for path in (tmp_path / "one").iterdir() if path.suffix != ".csv"}


def _kill_a_worker(out, killed):
    """Kills one of this process' Spark executors once ten masks are there; notes how many, and the process."""
    while len(masks := list(out.glob("*_mask.png"))) < 10:
        time.sleep(0.02)
    process = min(_executors())
    os.kill(process, signal.SIGKILL)
    killed += [len(masks), process]


def _executors():
    """Yields the executors' processes that descend from this process."""
    parents = {}
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    for process in parents:
        ancestor = process
        while ancestor in parents and ancestor != os.getpid():
            ancestor = parents[ancestor]
        line = pathlib.Path(f"/proc/{process}/cmdline")
        if ancestor == os.getpid() and line.exists() and b"CoarseGrainedExecutorBackend" in line.read_bytes():
            yield process
