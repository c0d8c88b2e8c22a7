"""Times `crass-tf predict` on one machine, on Beam's DirectRunner, and on a Spark cluster of one and of two workers.

python benchmarks/scale.py [--radiographs 2000] [--size 1024] [--model MODEL] [--json FILE] [--most-load 1.5]

`make scale RADIOGRAPHS=2000` does it in the environment with Beam and Spark, and only on a machine that is quiet.

The radiographs are a few phantoms, each moved and with other exposures. All four runs write masks, which have to be
equal. The cluster is Spark's own, standalone: a master and workers of one core each, as processes of this machine. A
worker takes a while to start, so each also does a tenth of the radiographs: rates are those between the two counts.
Memory and processor time are sums over all processes of a run, Java included, looked at twice a second; memory that
processes share is counted once. On a machine where others are at work, processor time is what can be compared.
"""

import argparse
import contextlib
import csv
import filecmp
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

import cv2
import numpy as np

from crass_tf.common.files import output_file, write_json
from crass_tf.phantom import render
from crass_tf.radiographs.formats.png import write_png

PHANTOMS = 3
MASTER = "spark://127.0.0.1:7077"
# Each with its number of Spark workers.
RUNS = {"predict": 0, "DirectRunner": 0, "spark, 1 worker": 1, "spark, 2 workers": 2}


def main():
    """Prints a table, and writes the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--radiographs", type=int, default=2000, metavar="N")
    parser.add_argument("--size", type=int, default=1024, metavar="PIXELS")
    parser.add_argument("--outputs", default="mask", metavar="LIST")
    parser.add_argument("--model", help="default: the shipped one")
    parser.add_argument("--runs", nargs="+", default=list(RUNS), choices=list(RUNS), metavar="NAME")
    parser.add_argument("--json", type=output_file, metavar="FILE")
    parser.add_argument("--most-load", type=float, metavar="X", help="measure nothing above this load average")
    given = parser.parse_args()
    load = os.getloadavg()[0]
    if given.most_load is not None and load > given.most_load:
        sys.exit(f"scale: found a load of {load:.1f}, expected at most {given.most_load}: others are at work")
    counts = (given.radiographs // 10, given.radiographs)
    with tempfile.TemporaryDirectory() as folder:
        folders = [write_radiographs(pathlib.Path(folder, f"in{count}"), count, given.size) for count in counts]
        figures = {"load": load, "size": given.size, "outputs": given.outputs, "counts": counts}
        figures["runs"] = {name: measure(name, folders, folder, given) for name in given.runs}
        figures["masks_differ"] = compare([pathlib.Path(folder, name) for name in given.runs])
    print_table(figures)
    print_ratios(figures["runs"], counts)
    if given.json:
        write_json(given.json, figures)


def write_radiographs(folder, count, size):
    """Writes variations of a few phantoms; returns the folder."""
    folder.mkdir()
    phantoms = [render(0, index, size).image for index in range(min(PHANTOMS, count))]
    random = np.random.default_rng(0)
    for index in range(count):
        shift = np.float32([[1, 0, random.integers(-20, 21)], [0, 1, random.integers(-20, 21)]])
        moved = cv2.warpAffine(phantoms[index % PHANTOMS], shift, (size, size), borderMode=cv2.BORDER_REPLICATE)
        write_png(folder / f"{index:06d}.png", cv2.convertScaleAbs(moved, alpha=random.uniform(0.8, 1)))
    return folder


def measure(name, folders, scratch, given):
    """Returns `{"seconds", "cpu_seconds", "images_per_s", "cpu_ms_per_image", "peak_mib"}` of a run on both folders."""
    seconds, cpu_seconds, peaks = [], [], []
    for folder in folders:
        out = pathlib.Path(scratch, name, folder.name)
        command = [sys.executable, "-m", "crass_tf", "predict", folder, "--out", out, "--outputs", given.outputs]
        command += ["--model", given.model] if given.model else []
        with Memory() as memory, _cluster(RUNS[name], scratch):
            start = time.perf_counter()
            ended = subprocess.run([*command, *_options(name)], capture_output=True, text=True)
            # 1: some were refused, which takes the same time.
            if ended.returncode not in (0, 1):
                sys.exit(f"{name}: {ended.stderr}")
            seconds.append(time.perf_counter() - start)
        peaks.append(memory.peak_mib)
        cpu_seconds.append(sum(memory.cpu_seconds.values()))
        rows = [row for path in out.glob("summary*.csv") for row in csv.DictReader(path.open())]
        assert len(rows) == len({row["result"] for row in rows}) == len(list(folder.iterdir()))
    counts = [len(list(folder.iterdir())) for folder in folders]
    more = counts[1] - counts[0]
    figures = {"seconds": seconds, "cpu_seconds": cpu_seconds, "peak_mib": peaks, "load": os.getloadavg()[0]}
    figures["images_per_s"] = more / (seconds[1] - seconds[0])
    figures["cpu_ms_per_image"] = 1000 * (cpu_seconds[1] - cpu_seconds[0]) / more
    print(name, figures, flush=True)
    return figures


def _options(name):
    if RUNS[name] == 0:
        return [] if name == "predict" else ["--runner", name]
    return ["--threads", "1", "--runner", "spark", "--", "--master", MASTER]


@contextlib.contextmanager
def _cluster(workers, scratch):
    """Runs a master and workers of one core each; none for 0."""
    if not workers:
        yield
        return
    import pyspark

    spark_class = pathlib.Path(pyspark.__file__).parent / "bin/spark-class"
    environment = os.environ | {"SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable}
    environment |= {"SPARK_WORKER_DIR": f"{scratch}/work", "SPARK_LOCAL_DIRS": f"{scratch}/local"}
    master = ["master.Master", "--host", "127.0.0.1", "--port", "7077", "--webui-port", "0"]
    worker = ["worker.Worker", "--cores", "1", "--memory", "1g", "--webui-port", "0", MASTER]
    started = []
    try:
        for name, *options in [master, *[worker] * workers]:
            command = [spark_class, f"org.apache.spark.deploy.{name}", *options]
            quiet = dict(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            started.append(subprocess.Popen(command, env=environment, **quiet))
            time.sleep(4)
        yield
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait()


class Memory(threading.Thread):
    """What this process' descendants took within a block: `peak_mib` at once; `cpu_seconds` of each, by its number."""

    def __enter__(self):
        self.peak_mib, self.cpu_seconds, self._end = 0.0, {}, threading.Event()
        self.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        self.join()

    def run(self):
        """Samples."""
        while not self._end.wait(0.5):
            processes = list(_descendants())
            self.peak_mib = max(self.peak_mib, sum(map(_mib, processes)))
            self.cpu_seconds.update((process, seconds) for process in processes if (seconds := _cpu(process)))


def _descendants():
    parents = {}
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    for process in parents:
        ancestor = parents[process]
        while ancestor in parents and ancestor != os.getpid():
            ancestor = parents[ancestor]
        if ancestor == os.getpid():
            yield process


def _mib(process):
    with contextlib.suppress(OSError):
        for line in pathlib.Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0


def _cpu(process):
    with contextlib.suppress(OSError):
        user, system = pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
    return 0.0


def compare(outs):
    """Returns how many masks of the runs differ from those of the first."""
    masks = [path.relative_to(outs[0]) for path in outs[0].rglob("*_mask.png")]
    return sum(not filecmp.cmp(outs[0] / mask, out / mask, shallow=False) for out in outs[1:] for mask in masks)


def print_table(figures):
    """Prints the figures as a table."""
    small, large = figures["counts"]
    print(f"load {figures['load']:.1f}, {figures['size']} pixels, {figures['outputs']}; masks that differ: ", end="")
    print(f"{figures['masks_differ']}\n")
    print(f"| | s for {small} | s for {large} | images a second | CPU ms an image | MiB at {small} | at {large} |")
    print("|---|---|---|---|---|---|---|")
    for name, run in figures["runs"].items():
        cells = [
            *(f"{value:.1f}" for value in run["seconds"]),
            f"{run['images_per_s']:.1f}",
            f"{run['cpu_ms_per_image']:.0f}",
        ]
        print(" | ".join(["| " + name, *cells, *(f"{peak:.0f}" for peak in run["peak_mib"])]) + " |")


def print_ratios(runs, counts):
    """Prints what is asked of the figures, as far as the runs were made: rates against rates, memory against memory."""
    wanted = (("DirectRunner", "predict", 0.85), ("spark, 2 workers", "spark, 1 worker", 1.7))
    for name, other, least in wanted:
        if {name, other} <= runs.keys():
            ratio = runs[name]["images_per_s"] / runs[other]["images_per_s"]
            print(f"{name} / {other}: {ratio:.2f} of the rate, asked {least} or more")
    for name, run in runs.items():
        small, large = run["peak_mib"]
        print(f"{name}: {large / small:.2f} of the memory at {counts[1]} against {counts[0]}")


if __name__ == "__main__":
    main()
