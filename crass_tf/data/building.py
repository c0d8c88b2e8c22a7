"""Building data sets for TensorFlow Datasets from the folders that their authors publish."""

import contextlib
import errno
import io
import os
import pathlib
import shutil

from crass_tf import sources
from crass_tf.data.loading import DEFAULT_DATASET, NATIVE_CONFIG
from crass_tf.files import InputError

try:
    import fcntl
except ImportError:  # Windows: two builds at once are not kept apart there.
    fcntl = None

SOURCES = {"crass12": sources.open_crass12, "jsrt_clavicles": sources.open_jsrt}
# How TFDS begins the names of what it has not finished.
UNFINISHED = "incomplete."
# What a full or write-protected disk says.
CANNOT_WRITE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


def build(manual_dir, data_dir=None, configs=(), spacing_mm=None, overwrite=False, dataset=DEFAULT_DATASET):
    """Builds the config `native`, and the named ones too, from the folder of a data set.

    Prints what is unusual about the folder, and one line for each config. A config that exists already is kept, with
    a line that says so, unless `overwrite` is set; then it gives way only once the new one is complete. A build that
    fails leaves nothing behind, and the next one removes what a killed build left.

    Args:
        manual_dir: the folder that holds `CRASS12`, or what another data set's builder asks for.
        data_dir: where TFDS keeps its data sets; None for TFDS' default.
        configs: names of further configs: `512x512`, `1024x1024` or another HEIGHTxWIDTH in multiples of 32, `native16`
            or what else the data set has.
        spacing_mm: pixel spacing `(row, column)` that outranks what the files say, or None.
        overwrite: whether to build configs anew that exist already.
        dataset: the data set's name.

    Returns:
        The list of the prepared TFDS builders, `native` first.

    Raises:
        InputError: one line that names the file or argument, what was found and what was expected.
    """
    # TFDS is heavy: what can be checked is checked before it is imported.
    source = opener(dataset)(manual_dir).checked()
    rule = source.asked_spacing(spacing_mm)
    make_builder = _builder_maker(dataset, data_dir, rule.option_mm)
    names = [NATIVE_CONFIG, *(name for name in dict.fromkeys(configs) if name != NATIVE_CONFIG)]
    for name in names:
        make_builder(name)
    for line in source.remarks:
        print(line)
    fingerprint = source.fingerprint(rule)
    return [_prepare(make_builder, name, manual_dir, fingerprint, overwrite) for name in names]


def opener(dataset):
    """Returns the function from a folder to the `Source` of a data set; InputError for names that are none."""
    if dataset not in SOURCES:
        raise InputError(f"dataset {dataset}: not known, expected one of {', '.join(SOURCES)}")
    return SOURCES[dataset]


def _builder_maker(dataset, data_dir, spacing_mm):
    """Returns a function from a config's name to its TFDS builder; InputError for names that are none."""
    import tensorflow_datasets as tfds

    import tfds_builder  # noqa: F401

    builder = tfds.builder_cls(dataset)

    def make_builder(name, data_dir=data_dir):
        if builder.get_builder_config(name) is None:
            known = ", ".join([*builder.builder_configs, *(config.name for config in builder.CONFIGS_ON_REQUEST)])
            raise InputError(f"config {name}: not known, expected one of {known} or another HEIGHTxWIDTH")
        return builder(config=name, data_dir=data_dir, spacing_mm=spacing_mm, verbose=False)

    return make_builder


def _prepare(make_builder, name, manual_dir, fingerprint, overwrite):
    """Returns the builder of a config, prepared now or before, and prints a line on it."""
    builder = make_builder(name)
    path = pathlib.Path(builder.data_path)
    with _alone_in(path.parent):
        _remove_unfinished(path)
        if path.exists() and not overwrite:
            _print_kept(builder, fingerprint)
            return builder
        # TFDS writes into a data dir of its own there: what it leaves beside the data set is gone with it.
        data_dir = path.parent / f"{UNFINISHED}new_{path.name}"
        try:
            unfinished = make_builder(name, data_dir)
            _download_and_prepare(unfinished, manual_dir, path)
            _move_into_place(pathlib.Path(unfinished.data_path), path)
        finally:
            shutil.rmtree(data_dir, ignore_errors=True)
    builder = make_builder(name)
    print(builder.summary())
    return builder


def _download_and_prepare(builder, manual_dir, path):
    """Runs TFDS for a data set at `path`; gives users' mistakes back as they were before TFDS wrapped them."""
    import tensorflow_datasets as tfds

    try:
        # What TFDS prints names a folder that will be moved.
        with contextlib.redirect_stdout(io.StringIO()):
            builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=manual_dir))
    except Exception as error:
        mistake = _mistake(error, path)
        if mistake is None:
            raise
        raise mistake from None


def _mistake(error, path):
    """Returns as InputError what a user can mend among an error and its causes; None where there is nothing of it."""
    import tensorflow as tf

    while error is not None:
        if isinstance(error, InputError):
            return error
        if isinstance(error, tf.errors.OpError):
            return InputError(f"{path}: cannot be written ({error.message.rpartition('; ')[2]})")
        if isinstance(error, OSError) and error.errno in CANNOT_WRITE:
            return InputError(f"{path}: cannot be written ({error.strerror})")
        error = error.__cause__ or error.__context__
    return None


def _print_kept(builder, fingerprint):
    same = builder.info.metadata.get("fingerprint") == fingerprint
    note = (
        "kept as built before" if same else "kept, but built from OTHER files or spacing; overwrite it to build it anew"
    )
    print(f"{note}: {builder.summary()}")


@contextlib.contextmanager
def _alone_in(path):
    """Makes the folder and holds a lock on it, which ends with the process; InputError where another build holds it.

    Where nothing came into the folders that it had to make, they are gone afterwards.
    """
    made = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise InputError(f"{path}: found a file in its way, expected a folder to build into") from None
    handle = os.open(path, os.O_RDONLY) if fcntl else None
    try:
        if fcntl:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise InputError(f"{path}: another process is building here; try again when it has ended") from None
    finally:
        with contextlib.suppress(OSError):
            for folder in made:
                folder.rmdir()
        if fcntl:
            os.close(handle)


def _remove_unfinished(path):
    """Removes what killed builds left beside the prepared data set `path`, and `path` itself if it is half a one."""
    aside = _aside(path)
    if aside.exists() and not path.exists():
        aside.rename(path)
    for left_over in path.parent.glob(f"{UNFINISHED}*"):
        shutil.rmtree(left_over)
    if path.exists() and not (path / "dataset_info.json").exists():
        shutil.rmtree(path)


def _move_into_place(new, path):
    """Moves a complete data set to `path`, and removes the one that was there; a killed move is mended by the next."""
    # `tfds.load` without our code reads in it which config a bare name means.
    default = pathlib.Path(".config", "metadata.json")
    (path.parents[1] / default).parent.mkdir(exist_ok=True)
    (new.parents[1] / default).replace(path.parents[1] / default)
    aside = _aside(path)
    if path.exists():
        path.rename(aside)
    new.rename(path)
    if aside.exists():
        shutil.rmtree(aside)


def _aside(path):
    return path.parent / f"{UNFINISHED}before_{path.name}"
