"""Phantoms as a folder in the CRASS12 layout."""

import concurrent.futures
import contextlib
import functools
import multiprocessing
import pathlib
import signal
import tempfile
import threading

import cv2

from crass_tf.common.files import InputError, local_path, made_folder
from crass_tf.common.types import PathLike
from crass_tf.phantom.rendering import render
from crass_tf.radiographs.formats.png import write_png
from crass_tf.sources.crass12 import FOLDER, IMAGE_FOLDER, MASK_FOLDER, SUFFIX

DEFAULT_COUNT = 240
DEFAULT_SIZE = 512
STRUCTURES = "structures"
# Its multiples modulo 1 are evenly spaced, whatever their number.
GOLDEN_RATIO = 0.6180339887498949


def write_folder(
    out: PathLike,
    count: int = DEFAULT_COUNT,
    seed: int = 0,
    size: int = DEFAULT_SIZE,
    workers: int | None = None,
    progress: bool = True,
    bedside: float = 0.0,
) -> pathlib.Path:
    """Writes phantoms 0 to `count` - 1 as a CRASS12 folder and returns the folder that holds it.

    `out/CRASS12` gets `image`, `mask` (0 and 255), `train.txt` and `val.txt`; `out/structures` the outlines of
    clavicles, lungs and heart as bits. The same arguments give the same bytes, and a phantom depends neither on
    `count` nor on `workers`. Everything is written beside the target first and moved there when it is complete.

    Args:
        out: Folder; made if missing.
        count: Number of phantoms, 1 or more.
        seed: Whole number from 0.
        size: Side of the square images in pixels, 64 or more.
        workers: Processes; None for one a core, 1 to render in this process.
        progress: Whether to show a progress bar.
        bedside: Share of the phantoms that are patients in bed, 0 to 1, spread evenly; see `render`.

    Returns:
        `out` as a `pathlib.Path`.

    Raises:
        InputError: an argument is out of range, or `out` holds a data set already.
    """
    out = local_path(out, "out")
    check_arguments(count, seed, size, workers, bedside)
    for name in (FOLDER, STRUCTURES):
        if (out / name).exists():
            raise InputError(f"{out / name}: exists already; choose another folder or remove it first")
    with made_folder(out), tempfile.TemporaryDirectory(dir=out, prefix=".phantom-", ignore_cleanup_errors=True) as name:
        temporary = pathlib.Path(name)
        _write_all(temporary, functools.partial(_write_one, temporary, seed, size, bedside), count, workers, progress)
        for part in (STRUCTURES, FOLDER):
            (temporary / part).rename(out / part)
    return out


def stem(index: int) -> str:
    """Returns the file stem of phantom `index`."""
    return f"phantom_{index:05d}"


def check_arguments(count: int, seed: int, size: int, workers: int | None = None, bedside: float = 0.0) -> None:
    """Raises `InputError` for arguments of `write_folder` that are out of range."""
    limits = {"count": (count, 1), "seed": (seed, 0), "size": (size, 64)}
    if workers is not None:
        limits["workers"] = (workers, 1)
    for name, (value, least) in limits.items():
        if value != int(value) or value < least:
            raise InputError(f"{name}: found {value}, expected a whole number of {least} or more")
    if not 0 <= bedside <= 1:
        raise InputError(f"bedside: found {bedside}, expected a share from 0 to 1")


def _write_all(folder, write, count, workers, progress):
    for name in (f"{FOLDER}/{IMAGE_FOLDER}", f"{FOLDER}/{MASK_FOLDER}", STRUCTURES):
        (folder / name).mkdir(parents=True)
    import tqdm  # Late: a device that only predicts need not have it.

    bar = functools.partial(tqdm.tqdm, total=count, desc="phantoms", unit="image", disable=None if progress else True)
    if workers == 1 or count == 1:
        for _ in bar(map(write, range(count))):
            pass
    else:
        _write_parallel(write, count, workers, bar)
    # A fifth is for validation, whatever their number.
    for name, wanted in (("train", (0, 2, 3, 4)), ("val", (1,))):
        lines = [f"{stem(index)}\n" for index in range(count) if index % 5 in wanted]
        (folder / FOLDER / f"{name}.txt").write_text("".join(lines), encoding="utf-8")


def _write_parallel(write, count, workers, bar):
    """Runs `write` for all indices in processes of their own; one that fails stops the others."""
    # Spawned, because a forked TensorFlow or OpenCV hangs
    spawning = multiprocessing.get_context("spawn")
    pool = concurrent.futures.ProcessPoolExecutor(workers, spawning, cv2.setNumThreads, (1,))
    try:
        with _ignored_interrupts():
            done = pool.map(write, range(count))
        for _ in bar(done):
            pass
    finally:
        pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def _ignored_interrupts():
    """Makes processes that start in the block ignore Ctrl-C, without stack traces; this process ends them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


def _write_one(folder, seed, size, bedside, index):
    phantom = render(seed, index, size, bedside=index * GOLDEN_RATIO % 1 < bedside)
    name = f"{stem(index)}{SUFFIX}"
    write_png(folder / FOLDER / IMAGE_FOLDER / name, phantom.image, phantom.spacing_mm)
    write_png(folder / FOLDER / MASK_FOLDER / name, phantom.mask * 255)
    write_png(folder / STRUCTURES / name, phantom.structures)
