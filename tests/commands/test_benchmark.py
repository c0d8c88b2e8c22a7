"""What `crass-tf benchmark` says: figures of real processes, a table that can be read, JSON that can be parsed."""

import itertools
import json

import numpy as np
import pytest
from refusals import refuses

from crass_tf.commands import benchmark as benchmarking
from crass_tf.commands.benchmark import benchmark, measure, peak_mib, table
from crass_tf.radiographs.formats.png import write_png


@pytest.fixture
def paths(tmp_path):
    """Three small radiographs in one folder."""
    paths = [tmp_path / "radiographs" / f"{number}.png" for number in range(3)]
    for path in paths:
        write_png(path, np.full((64, 64), 200, np.uint8))
    return paths


def test_figures_of_a_model(litert_model, paths):
    figures = measure(litert_model, paths, threads=1)
    assert figures["model"] == litert_model.as_posix() and figures["bytes"] == litert_model.stat().st_size
    assert figures["threads"] == 1 and figures["radiographs"]["count"] == 3
    # NumPy and OpenCV alone take 30 MiB.
    assert 30 < figures["start"]["peak_mib"] < 500 and figures["start"]["process_s"] > 0
    assert 30 < figures["folder"]["peak_mib"] < 500 and figures["folder"]["images_per_s"] > 0
    for times in figures["latency_ms"].values():
        assert 0 < times["median"] <= times["p95"]
    assert json.loads(json.dumps(figures)) == figures


def test_times_are_milliseconds(monkeypatch):
    """A clock that goes on by 2 ms with each look: from the first to the second, around each call."""
    looks = itertools.count()
    monkeypatch.setattr(benchmarking.time, "perf_counter", lambda: 0.002 * next(looks))
    assert benchmarking.times_ms(lambda: None) == {"median": pytest.approx(2), "p95": pytest.approx(2)}


def test_output_reaches_every_process(litert_model, paths, monkeypatch):
    """A SavedModel does not tell what it gives: each process that opens the model has to be told."""
    refuses("expected probabilities between 0 and 1", measure, litert_model, paths, output="probability")
    calls = []
    monkeypatch.setattr(benchmarking, "run", lambda *arguments: calls.append([*map(str, arguments)]) or "1")
    measure(litert_model, paths, output="logits")
    commands, alone = [call for call in calls if "predict" in call], [call for call in calls if "predict" not in call]
    assert len(commands) == benchmarking.STARTS + 1 and len(alone) == 2
    assert all(call[call.index("--output") + 1] == "logits" for call in commands)
    assert all(json.loads(call[-1]) == {"output": "logits"} for call in alone)


def test_memory_is_the_process_own():
    """A process that is started by one of much memory has none of that in its peak."""
    block = np.ones((600, 1024, 1024), np.uint8)
    assert peak_mib() > 600 and benchmarking.alone("peak_mib") < 300 and block.any()


FIGURES = {
    "model": "folder/model_int8.tflite",
    "bytes": 2000000,
    "threads": 2,
    "cores": 2,
    "load": 0.04,
    "radiographs": {"size": [1768, 1812], "png_bytes": 1600000, "count": 48},
    "start": {"process_s": 0.371, "peak_mib": 161.8},
    "latency_ms": {"model": {"median": 6.12, "p95": 6.98}, "file": {"median": 61.5, "p95": 70.04}},
    "folder": {"images_per_s": 22.22, "peak_mib": None},
}


def test_table():
    head, _, columns, rule, row, second = table([FIGURES, FIGURES | {"threads": None}]).splitlines()
    assert head == "Radiographs of 1768 x 1812 pixels, PNG files of 1.6 MB; 2 cores, load 0.0 before"
    assert columns.count("|") == rule.count("|") == row.count("|") == second.count("|")
    cells = ["model_int8.tflite", "2000000", "2", "0.37 s", "162 MiB", "6.1 (7.0) ms", "61.5 (70.0) ms"]
    assert row.strip("| ").split(" | ") == [*cells, "22.2 a second", "unknown"]
    assert second.startswith("| model_int8.tflite | 2000000 | TensorFlow's |")


def test_figures_are_printed_or_written(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(benchmarking, "write_radiographs", lambda folder, count: [folder] * count)
    monkeypatch.setattr(benchmarking, "measure", lambda model, paths, **options: FIGURES | {"paths": len(paths)})
    benchmark("model.tflite", radiographs=5)
    *_, empty, last = capsys.readouterr().out.splitlines()
    assert empty == "" and json.loads(last) == FIGURES | {"paths": 5}
    benchmark("model.tflite", json_file=tmp_path / "figures.json")
    assert json.loads((tmp_path / "figures.json").read_text()) == FIGURES | {"paths": 48}
    assert "{" not in capsys.readouterr().out
    refuses("radiographs: found 0, expected 1 or more", benchmark, radiographs=0)
