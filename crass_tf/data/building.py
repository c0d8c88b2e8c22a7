"""Building data sets for TensorFlow Datasets from the folders that their authors publish."""

import contextlib
import errno
import io
import os
import pathlib
import sys
from collections.abc import Callable, Sequence
from typing import Any, cast

from crass_tf import sources
from crass_tf.common.files import InputError, data_path, local_path, lock, made_folder, remote_url
from crass_tf.common.types import PathLike, Spacing
from crass_tf.data.loading import DEFAULT_DATASET, FEATURES, INFO, NATIVE_CONFIG, check_reachable, damage_named
from crass_tf.radiographs.radiograph import known_spacing
from crass_tf.sources.source import Source

SOURCES = {"crass12": sources.open_crass12, "jsrt_clavicles": sources.open_jsrt}
FILE_FORMATS = ("tfrecord", "array_record")
# The prefix of unfinished folders of TFDS.
UNFINISHED = "incomplete."
# The name of a data set while another one replaces it.
BEFORE = UNFINISHED + "before_{}"
# Errors of a full or write-protected disk.
CANNOT_WRITE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


def build(
    manual_dir: PathLike,
    data_dir: PathLike | None = None,
    configs: Sequence[str] = (),
    spacing_mm: Spacing | None = None,
    overwrite: bool = False,
    dataset: str = DEFAULT_DATASET,
    file_format: str | None = None,
    runner: str | None = None,
    runner_options: Sequence[str] = (),
) -> list[Any]:
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
        file_format: `tfrecord`, TFDS' default where None, or `array_record`, which `tfds.data_source` reads.
        runner: a runner of Apache Beam, such as DirectRunner, that builds on many machines; None: this process does.
        runner_options: what the runner is told, as on the command line.

    Returns:
        The list of the prepared TFDS builders, `native` first.

    Raises:
        InputError: one line that names the file or argument, what was found and what was expected.
    """
    if file_format not in (None, *FILE_FORMATS):
        raise InputError(f"file_format: found {file_format!r}, expected one of {', '.join(FILE_FORMATS)}")
    beam = _beam_options(runner, runner_options)
    # TFDS is heavy: what can be checked is checked before it is imported.
    manual_dir, data_dir = local_path(manual_dir, "manual_dir"), data_path(data_dir)
    source = opener(dataset)(manual_dir).checked()
    spacing_mm = known_spacing(spacing_mm, "spacing_mm")
    check_reachable(data_dir)
    if file_format == "array_record" and remote_url(data_dir or ""):
        raise InputError(f"file_format: found {file_format!r} for {data_dir}, expected tfrecord, which URLs can hold")
    make_builder = _builder_maker(dataset, source, data_dir, spacing_mm)
    names = list(dict.fromkeys([NATIVE_CONFIG, *configs]))
    for name in names:
        with _lock_folder(make_builder(name).data_path.parent):
            pass
    for line in source.remarks:
        print(line)
    fingerprint = source.fingerprint(spacing_mm)
    return [_prepare(make_builder, name, manual_dir, fingerprint, overwrite, file_format, beam) for name in names]


def _beam_options(runner, options):
    """Returns the arguments of `tfds.download.DownloadConfig` for a Beam runner, `{}` without a runner."""
    if runner is None:
        return {}
    try:
        from apache_beam.options.pipeline_options import PipelineOptions
    except ImportError:
        raise InputError("--runner needs Apache Beam; install it with: pip install crass-tf[beam]") from None
    return {"beam_runner": runner, "beam_options": PipelineOptions(list(options))}


def opener(dataset: str) -> Callable[[pathlib.Path], Source]:
    """Returns the function from a folder to the `Source` of a data set; InputError for an unknown one."""
    if dataset not in SOURCES:
        raise InputError(f"dataset {dataset}: not known, expected one of {', '.join(SOURCES)}")
    return SOURCES[dataset]


def _builder_maker(dataset, source, data_dir, spacing_mm):
    """Returns a function from a config's name to its TFDS builder; InputError for names that are none."""
    import tensorflow_datasets as tfds

    import tfds_builder  # noqa: F401

    builder = cast(Any, tfds.builder_cls(dataset))  # Our classes have more than TFDS' base class declares.

    def make_builder(name, data_dir=data_dir, **options):
        if builder.get_builder_config(name) is None:
            known = ", ".join([*builder.builder_configs, *(config.name for config in builder.CONFIGS_ON_REQUEST)])
            raise InputError(f"config {name}: not known, expected one of {known} or another HEIGHTxWIDTH")
        with damage_named(f"{dataset}/{name}"):
            instance = builder(config=name, data_dir=data_dir, spacing_mm=spacing_mm, verbose=False, **options)
        instance.source = source
        return instance

    return make_builder


def _prepare(make_builder, name, manual_dir, fingerprint, overwrite, file_format, beam):
    """Returns the builder of a config, prepared now or before, and prints a line on it."""
    builder = make_builder(name)
    path = builder.data_path
    with _lock_folder(path.parent):
        _remove_unfinished(path)
        if path.exists() and not overwrite and _is_whole(builder):
            _print_kept(builder, fingerprint, file_format)
            return builder
        # TFDS gets a temporary data dir, so that its leftovers beside the data set are removed, too.
        data_dir = path.parent / f"{UNFINISHED}new_{path.name}"
        try:
            unfinished = make_builder(name, data_dir, file_format=file_format)
            _download_and_prepare(unfinished, manual_dir, path, beam)
            _move_into_place(unfinished.data_path, path)
        finally:
            if data_dir.exists():
                data_dir.rmtree()
    builder = make_builder(name)
    print(builder.summary())
    return builder


def _download_and_prepare(builder, manual_dir, path, beam):
    """Runs TFDS for a data set at `path`; unwraps a user's mistake that TFDS has wrapped."""
    import tensorflow_datasets as tfds

    if not sys.stderr.isatty():
        # In a file they are megabytes of control characters.
        tfds.disable_progress_bar()
    try:
        # TFDS prints the name of a folder that will be moved.
        with contextlib.redirect_stdout(io.StringIO()):
            config = tfds.download.DownloadConfig(manual_dir=manual_dir, **beam)
            builder.download_and_prepare(download_config=config)
    except Exception as error:
        if mistake := _as_input_error(error, path):
            raise mistake from None
        raise


def _as_input_error(error, path):
    """Returns an InputError for the first of an error and its causes that a user can mend, else None."""
    import tensorflow as tf

    while error is not None:
        if isinstance(error, InputError):
            return error
        if isinstance(error, tf.errors.OpError):
            reason = error.message.rpartition("; ")[2] or type(error).__name__  # pyright: ignore[reportAttributeAccessIssue]
            return InputError(f"{path}: cannot be written ({reason})")
        if isinstance(error, OSError) and error.errno in CANNOT_WRITE:
            return InputError(f"{path}: cannot be written ({error.strerror})")
        error = error.__cause__ or error.__context__
    return None


def _is_whole(builder):
    """Returns whether no file of a prepared data set is missing."""
    shards = [file for split in builder.info.splits.values() for file in split.filepaths]
    files = [builder.data_path / FEATURES, *shards]
    return bool(shards) and "fingerprint" in builder.info.metadata and all(file.exists() for file in files)


def _print_kept(builder, fingerprint, file_format):
    stored_format = builder.info.file_format.value
    differs = ["from OTHER files or spacing"] * (builder.info.metadata.get("fingerprint") != fingerprint)
    differs += [f"as {stored_format}"] * (file_format not in (None, stored_format))
    note = f", but built {' and '.join(differs)}; overwrite it to build it anew" if differs else " as built before"
    print(f"kept{note}: {builder.summary()}")


@contextlib.contextmanager
def _lock_folder(path):
    """Makes the folder and locks it until the process ends; InputError where another build holds the lock.

    Folders that it made and that stay empty are removed afterwards.
    """
    if remote_url(path):
        # Object stores know neither folders nor locks.
        yield
        return
    with made_folder(path):
        # Windows opens no folders.
        handle = os.open(path, os.O_RDONLY) if os.name == "posix" else None
        try:
            lock(handle, path, "building")
            yield
        finally:
            if handle is not None:
                os.close(handle)


def _remove_unfinished(path):
    """Removes leftovers of killed builds beside the prepared data set `path`, and `path` itself if incomplete."""
    aside = path.parent / BEFORE.format(path.name)
    if aside.exists() and not path.exists():
        aside.rename(path)
    for left_over in path.parent.glob(f"{UNFINISHED}*"):
        left_over.rmtree()
    if path.exists() and not (path / INFO).exists():
        path.rmtree()


def _move_into_place(new, path):
    """Moves a complete data set to `path` and removes the old one; the next build repairs a killed move."""
    # Without `tfds_builder`, `tfds.load` reads here which config a bare name means.
    default = pathlib.Path(".config", "metadata.json")
    (path.parents[1] / default).parent.mkdir(exist_ok=True)
    (new.parents[1] / default).replace(path.parents[1] / default)
    aside = path.parent / BEFORE.format(path.name)
    if path.exists():
        path.rename(aside)
    new.rename(path)
    if aside.exists():
        aside.rmtree()
