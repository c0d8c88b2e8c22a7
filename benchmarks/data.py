"""Times building, reading and augmenting synthetic radiographs of CRASS12's number and size, against a training step.

python benchmarks/data.py [--count 284] [--out data.json]

Eight phantoms are enlarged to 1768 x 1812 pixels and given fresh noise, so that their PNG files are as large as a
detector's. Every step runs in a process of its own, after its imports. Reading finds the files in memory, but nothing
decoded, and takes the median of three passes.
"""

import argparse
import concurrent.futures
import itertools
import multiprocessing
import pathlib
import resource
import statistics
import tempfile
import time

import cv2
import numpy as np

from crass_tf.common.files import output_file, write_json
from crass_tf.common.parallel import cores, ordered_map
from crass_tf.phantom.rendering import render
from crass_tf.radiographs.formats.png import write_png

HEIGHT, WIDTH = 1768, 1812
PHANTOMS, PHANTOM_SIZE, NOISE = 8, 512, 2.5
MODEL_SIZE, BATCH_SIZE, PASSES = 512, 4, 3


def main():
    """Prints a table, and writes the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=284, help="radiographs (default: %(default)s)")
    parser.add_argument("--out", type=output_file, metavar="FILE", help="a JSON of the same figures")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(pathlib.Path(folder), args.count)
    print_table(figures)
    if args.out:
        write_json(args.out, figures)


def measure(folder, count):
    """Returns the figures as a dictionary."""
    megabytes = write_folder(folder, count)
    data_dir = folder / "data"
    steps = {
        "build native": alone(build, folder, data_dir),
        f"build {MODEL_SIZE}x{MODEL_SIZE}": alone(build, folder, data_dir, f"{MODEL_SIZE}x{MODEL_SIZE}"),
        "read native": alone(read, data_dir, "native"),
        f"read {MODEL_SIZE}x{MODEL_SIZE}": alone(read, data_dir, f"{MODEL_SIZE}x{MODEL_SIZE}"),
        **alone(train_reading, data_dir),
    }
    step_ms = {name: alone(training_step, xla) for name, xla in (("XLA on", True), ("XLA off", False))}
    loading_ms = 1000 / steps["read and augment"]["images_per_s"]
    return {
        "count": count,
        "png_megabytes": megabytes,
        "cores": cores(),
        "steps": steps,
        "training_step_ms_per_image": step_ms,
        "share_of_training_step": {name: loading_ms / value for name, value in step_ms.items()},
    }


def write_folder(folder, count):
    """Writes the synthetic radiographs as a CRASS12 folder; returns the mean size of their files in megabytes."""
    phantoms = [render(0, number, PHANTOM_SIZE) for number in range(PHANTOMS)]
    images = [cv2.resize(p.image, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC).astype(np.float32) for p in phantoms]
    masks = [cv2.resize(p.mask * 255, (WIDTH, HEIGHT), interpolation=cv2.INTER_NEAREST) for p in phantoms]

    def write(number):
        noise = NOISE * np.random.default_rng(number).standard_normal((HEIGHT, WIDTH), dtype=np.float32)
        path = folder / "CRASS12/image" / f"{number:04}.PNG"
        write_png(path, np.rint(np.clip(images[number % PHANTOMS] + noise, 0, 255)).astype(np.uint8))
        write_png(folder / "CRASS12/mask" / path.name, masks[number % PHANTOMS])
        return path.stat().st_size / 1e6

    return statistics.mean(ordered_map(write, range(count)))


def alone(function, *args):
    """Returns what `function` returns in a new process."""
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *args).result()


def build(folder, data_dir, config=None):
    """Returns the figures of building a config; `native` where none is named, else only the one on top of it."""
    import tensorflow  # noqa: F401
    import tensorflow_datasets as tfds

    from crass_tf.data.building import build

    tfds.disable_progress_bar()
    builders = []
    figures = timed(lambda: builders.extend(build(folder, data_dir, [config] if config else [])))
    return rates(figures, builders[0].info.splits.total_num_examples) | {"peak_mib": peak_mib()}


def read(data_dir, config):
    """Returns the figures of going through a config once, all features decoded."""
    import tensorflow_datasets as tfds

    from crass_tf.data.loading import prepared_builder

    # TFDS keeps what it has decoded of small data sets; a second pass would show nothing.
    read_config = tfds.ReadConfig(try_autocache=False)
    dataset = prepared_builder("crass12", config, data_dir).as_dataset(
        split="train+validation", read_config=read_config
    )
    return rates(median_pass(lambda: sum(1 for _ in dataset)), len(dataset))


def train_reading(data_dir):
    """Returns the figures of `training_dataset`'s first epoch, which reads the data set, and of the next ones."""
    from crass_tf.data.pipeline import supervised, training_dataset
    from crass_tf.data.views import View
    from crass_tf.training.settings import Settings

    name, split = f"{MODEL_SIZE}x{MODEL_SIZE}", "train+validation"
    batches = len(supervised("crass12", name, split, data_dir)) // BATCH_SIZE

    def epochs(number):
        # Opened anew, since TFDS keeps what it has decoded of a small data set for as long as the data set is open.
        dataset = supervised("crass12", name, split, data_dir)
        settings = dict(batch_size=BATCH_SIZE, epochs=number, seed=0, augmentation=Settings().augmentation)
        return iter(training_dataset(dataset, View((MODEL_SIZE, MODEL_SIZE)), **settings))

    def take(iterator):
        return sum(1 for _ in itertools.islice(iterator, batches))

    first = median_pass(lambda: take(epochs(1)))
    iterator = epochs(PASSES + 1)
    take(iterator)
    later = median_pass(lambda: take(iterator))
    count = batches * BATCH_SIZE
    return {"read and augment": rates(first, count), "augment": rates(later, count)}


def training_step(jit_compile):
    """Returns milliseconds an image of the default model's training step."""
    from training_step import milliseconds

    return milliseconds(MODEL_SIZE, BATCH_SIZE, jit_compile)


def median_pass(function):
    """Returns the `timed` figures of the median of several calls."""
    return sorted(timed(function) for _ in range(PASSES))[PASSES // 2]


def timed(function):
    """Returns seconds by the clock and seconds of all cores that a call takes."""
    start, cpu = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - start, time.process_time() - cpu


def rates(figures, count):
    """Returns images a second and the cores that were busy."""
    seconds, cpu_seconds = figures
    return {"images_per_s": count / seconds, "cores_busy": cpu_seconds / seconds}


def peak_mib():
    """Returns the largest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def print_table(figures):
    """Prints the figures as Markdown."""
    print(
        f"{figures['count']} radiographs of {HEIGHT} x {WIDTH}, {figures['png_megabytes']:.1f} MB each as PNG; ", end=""
    )
    print(f"{figures['cores']} cores\n\n| step | images a second | ms an image | cores busy |\n|---|---|---|---|")
    for name, step in figures["steps"].items():
        rate = step["images_per_s"]
        print(f"| {name} | {rate:.1f} | {1000 / rate:.1f} | {step['cores_busy']:.1f} |")
    for name, value in figures["training_step_ms_per_image"].items():
        print(f"| training step, {name} | {1000 / value:.1f} | {value:.1f} | |")
    print(f"\npeak memory of the build: {figures['steps']['build native']['peak_mib']:.0f} MiB")
    for name, share in figures["share_of_training_step"].items():
        print(f"reading and augmenting, as part of a training step with {name}: {share:.3f}")


if __name__ == "__main__":
    main()
