"""What `crass-tf benchmark` measures of a model as a user meets it: start-up, latency, throughput, memory.

Each figure comes from a fresh process that does nothing else. The radiographs are synthetic, of CRASS12's usual size.
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np

from crass_tf.common.files import InputError, local_path, output_file, write_json
from crass_tf.common.parallel import cores, ordered_map
from crass_tf.common.types import PathLike
from crass_tf.inference.model_files import default_threads
from crass_tf.inference.segmenter import Segmenter, model_input
from crass_tf.radiographs.formats.png import write_png
from crass_tf.radiographs.radiograph import read_radiograph

# CRASS12's largest and median radiograph; grain as of a detector, without which PNG files would be too small.
SIZE, NOISE = (1768, 1812), 2.5
PHANTOM: dict[str, Any] = {"seed": 0, "index": 3, "size": 512}
STARTS, RADIOGRAPHS, LATENCIES = 5, 48, 30
WARM_UP = 2


def benchmark(
    model: PathLike | None = None,
    threads: int | None = None,
    radiographs: int = RADIOGRAPHS,
    json_file: PathLike | None = None,
    output: str | None = None,
) -> dict[str, Any]:
    """Measures a model, prints a table, and writes or prints the same as JSON.

    Args:
        model, threads, output: as for `Segmenter.load`.
        radiographs: number of files that the throughput is measured with.
        json_file: the file for the figures; None prints them behind the table, in one line.

    Returns:
        The figures that `measure` returns.

    Raises:
        InputError: where there is no usable model, or for no radiographs.
    """
    if radiographs < 1:
        raise InputError(f"radiographs: found {radiographs}, expected 1 or more")
    model, json_file = local_path(model, "model"), output_file(json_file, "json")
    with tempfile.TemporaryDirectory() as folder:
        paths = write_radiographs(pathlib.Path(folder, "radiographs"), radiographs)
        figures = measure(model, paths, threads=threads, output=output)
    print(table([figures]))
    if json_file is None:
        print("\n" + json.dumps(figures))
    else:
        write_json(json_file, figures)
    return figures


def write_radiographs(folder: pathlib.Path, count: int) -> list[pathlib.Path]:
    """Writes synthetic radiographs of `SIZE` as PNG files, alike but for their grain; returns their paths."""
    from crass_tf.phantom import render

    image = cv2.resize(render(**PHANTOM).image, SIZE[::-1], interpolation=cv2.INTER_CUBIC).astype(np.float32)

    def write(number):
        grain = np.random.default_rng(number).standard_normal(SIZE, dtype=np.float32)
        path = folder / f"{number:04}.png"
        write_png(path, np.rint(np.clip(image + NOISE * grain, 0, 255)).astype(np.uint8), (0.25, 0.25))
        return path

    return list(ordered_map(write, range(count)))


def measure(model: PathLike | None, paths: Sequence[PathLike], **options: Any) -> dict[str, Any]:
    """Returns the figures of a model: `{"model", "bytes", "threads", "cores", "load", "radiographs", ...}`.

    - `start`: `{"process_s", "peak_mib"}` of `crass-tf predict FILE --outputs mask` as a whole process.
    - `latency_ms`: `{"model", "file"}`, each `{"median", "p95"}`: all that the networks do for a radiograph; and from
      file to mask file in a running Segmenter.
    - `folder`: `{"images_per_s", "peak_mib"}` of `crass-tf predict FOLDER --outputs mask`, without the imports.

    `load` is the machine's load average before: above 0, others were at work. Memory is null where the system does not
    tell a process its peak.

    Args:
        model: a model in any form, or None for the shipped one.
        paths: radiographs, all in one folder.
        **options: `threads` and `output`, as in `benchmark`.
    """
    # Raises the model's errors before any process is started.
    path = Segmenter.load(model, **options).path
    assert path is not None
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "model": path.as_posix(),
        "bytes": sum(file.stat().st_size for file in [path, *path.rglob("*")] if file.is_file()),
        "threads": (options.get("threads") or default_threads()) if path.suffix == ".tflite" else None,
        "cores": cores(),
        "load": load,
        "radiographs": {"size": list(SIZE), "png_bytes": pathlib.Path(paths[0]).stat().st_size, "count": len(paths)},
        "start": start(path, paths[0], **options),
        "latency_ms": alone("latency", path, paths[0], **options),
        "folder": alone("throughput", path, pathlib.Path(paths[0]).parent, **options),
    }


def start(model: PathLike, path: PathLike, **options: Any) -> dict[str, float | None]:
    """Returns `{"process_s", "peak_mib"}` of `crass-tf predict` on one file; the time is the median of several."""
    with tempfile.TemporaryDirectory() as out:
        command = ["predict", path, "--model", model, "--out", out, "--outputs", "mask"]
        command += [part for name, value in options.items() if value for part in (f"--{name}", value)]
        process_s = statistics.median(seconds(lambda: run("-m", "crass_tf", *command)) for _ in range(STARTS))
        script = "import sys; from crass_tf.cli import main; main(sys.argv[1:]); "
        script += "from crass_tf.commands.benchmark import peak_mib; print(peak_mib())"
        peak = run("-c", script, *command).splitlines()[-1]
    return {"process_s": process_s, "peak_mib": None if peak == "None" else float(peak)}


def latency(model: PathLike, path: PathLike, **options: Any) -> dict[str, dict[str, float]]:
    """Returns `latency_ms` as `measure` describes it."""
    segmenter = Segmenter.load(model, **options)
    batch = model_input(read_radiograph(path).image, segmenter.image_size)[None]
    with tempfile.TemporaryDirectory() as folder:
        mask = pathlib.Path(folder, "mask.png")
        return {
            "model": times_ms(lambda: segmenter.run(batch)),
            "file": times_ms(lambda: write_png(mask, segmenter.segment(path).mask * np.uint8(255))),
        }


def throughput(model: PathLike, folder: PathLike, **options: Any) -> dict[str, float | None]:
    """Returns `folder` as `measure` describes it."""
    from crass_tf.prediction import predict

    with tempfile.TemporaryDirectory() as out:
        taken = seconds(lambda: predict([folder], out, model, ["mask"], progress=False, **options))
        count = sum(1 for _ in pathlib.Path(out).glob("*_mask.png"))
    return {"images_per_s": count / taken, "peak_mib": peak_mib()}


def peak_mib() -> float | None:
    """Returns the largest resident memory of this process so far in MiB, or None where the system does not tell.

    `getrusage` would be too large: it starts at the peak of the parent process.
    """
    status = pathlib.Path("/proc/self/status")
    return int(status.read_text().split("VmHWM:")[1].split()[0]) / 1024 if status.exists() else None


def alone(name: str, *paths: PathLike, **options: Any) -> Any:
    """Returns what a function of this module returns in a process of its own."""
    script = "import json, sys; from crass_tf.commands import benchmark; "
    script += "call, paths, options = map(json.loads, sys.argv[1:]); "
    script += "print(json.dumps(getattr(benchmark, call)(*paths, **options)))"
    arguments = map(json.dumps, (name, [os.fspath(path) for path in paths], options))
    return json.loads(run("-c", script, *arguments).splitlines()[-1])


def run(*arguments: object) -> str:
    """Returns what this Python prints with such arguments.

    Raises:
        InputError: with its line, where a command of ours refuses the model or the radiograph.
        RuntimeError: where it fails otherwise.
    """
    done = subprocess.run([sys.executable, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode == 2 and done.stderr.strip():
        raise InputError(done.stderr.strip().splitlines()[-1].removeprefix("crass-tf: error: "))
    if done.returncode:
        raise RuntimeError(f"exit code {done.returncode} of Python {arguments}: {done.stderr}")
    return done.stdout


def seconds(call: Callable[[], object]) -> float:
    """Returns the seconds that a call takes."""
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Returns figures of `measure`, one row a model, as a Markdown table under a line that says of what."""
    about = rows[0]
    height, width = about["radiographs"]["size"]
    megabytes = about["radiographs"]["png_bytes"] / 1e6
    head = f"Radiographs of {height} x {width} pixels, PNG files of {megabytes:.1f} MB; {about['cores']} cores"
    if about["load"] is not None:
        head += f", load {about['load']:.1f} before"
    columns = "model | bytes | threads | whole process | its memory | model alone, median (p95) | file to mask, "
    columns += "median (p95) | folder | its memory"
    lines = [head, "", f"| {columns} |", "|" + "---|" * (columns.count("|") + 1)]
    return "\n".join(lines + ["| " + " | ".join(_cells(row)) + " |" for row in rows])


def _cells(row):
    model, file = (f"{each['median']:.1f} ({each['p95']:.1f}) ms" for each in row["latency_ms"].values())
    start, folder = row["start"], row["folder"]
    memory = [f"{each['peak_mib']:.0f} MiB" if each["peak_mib"] else "unknown" for each in (start, folder)]
    threads = str(row["threads"] or "TensorFlow's")
    name, rate = pathlib.Path(row["model"]).name, f"{folder['images_per_s']:.1f} a second"
    return name, str(row["bytes"]), threads, f"{start['process_s']:.2f} s", memory[0], model, file, rate, memory[1]


def times_ms(call: Callable[[], object], count: int = LATENCIES) -> dict[str, float]:
    """Returns `{"median", "p95"}` of the milliseconds that a call takes, a few calls to warm up left out."""
    times = [1000 * seconds(call) for _ in range(WARM_UP + count)][WARM_UP:]
    return {"median": statistics.median(times), "p95": float(np.quantile(times, 0.95))}
