"""`crass-tf predict PATTERN --runner NAME`: the command's work on an engine."""

import collections
import contextlib
import os
import pathlib
import re
from collections.abc import Sequence

from crass_tf.common.files import InputError, output_folder, remove_leftovers
from crass_tf.measurement.extent import DEFAULT_EXTENT
from crass_tf.prediction.outputs import DEFAULTS
from crass_tf.prediction.run import check_outputs
from crass_tf.radiographs.radiograph import known_spacing

SPARK = "spark"


def predict(
    patterns: Sequence[str],
    out: str,
    runner: str,
    runner_options: Sequence[str] = (),
    kind: str = "files",
    model: str | None = None,
    outputs: Sequence[str] = DEFAULTS,
    spacing_mm: tuple[float, float] | None = None,
    threads: int | None = None,
    overwrite: bool = False,
    summary: str = "csv",
    shards: int = 1,
    patient_key: str = "",
    output: str | None = None,
    extent: str = DEFAULT_EXTENT,
) -> int:
    """Segments radiographs on an engine, as `prediction.predict` does on one machine; docs/scale.md has the whole.

    The arguments are those of `crass-tf predict` with a `--runner`; `kind` is its `--input`.

    Returns:
        The exit code: 0, 1 where some radiographs were refused, 2 where all were.

    Raises:
        InputError: for a user's mistake, or where the engine gave up.
    """
    try:
        import apache_beam  # noqa: F401
    except ImportError:
        raise InputError("--runner needs Apache Beam; install it with: pip install crass-tf[beam]") from None
    from crass_tf.beam import storage, work

    check_outputs(outputs)
    if storage.is_local(out):
        out = os.path.abspath(output_folder(out))  # noqa: PTH100
        pathlib.Path(out).mkdir(parents=True, exist_ok=True)
    patterns = [_make_absolute(pattern) if storage.is_local(pattern) else pattern for pattern in patterns]
    model = None if model is None else str(pathlib.Path(model).resolve())
    spacing_mm = known_spacing(spacing_mm, "spacing_mm")
    settings = work.Settings(out.rstrip("/"), model, tuple(outputs), spacing_mm, threads, output, extent)
    # Fails here, before any work, where the model is missing or is no model.
    work.Worker(settings)
    radiographs = {"patterns": patterns, "kind": kind, "out": settings.out, "patient_key": patient_key}
    run = _on_spark if runner.lower() == SPARK else _on_beam
    with _raise_in_one_line():
        run(radiographs, settings, runner, list(runner_options), overwrite, summary, shards)
    return _exit_code(settings.out, patterns, summary, shards)


def _make_absolute(pattern):
    return os.path.abspath(os.path.expanduser(pattern)) + "/" * pattern.endswith("/")  # noqa: PTH100, PTH111


def _on_spark(radiographs, settings, runner, options, overwrite, summary, shards):
    try:
        import pyspark  # noqa: F401
    except ImportError:
        raise InputError(f"--runner {runner} needs Java, and pyspark: pip install crass-tf[spark]") from None
    from crass_tf.beam import spark, tables

    session = spark.session(options)
    try:
        files = spark.segment(session, settings, overwrite, **radiographs)
    finally:
        session.stop()
    tables.write(settings.out, files, summary, shards)


def _on_beam(radiographs, settings, runner, options, overwrite, summary, shards):
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    from crass_tf.beam.transforms import Radiographs, Segment, WriteSummary

    pipeline = beam.Pipeline(runner=runner, options=PipelineOptions(options))
    rows = pipeline | Radiographs(**radiographs) | Segment(settings, overwrite)
    _ = rows | WriteSummary(settings.out, summary, shards)
    result = pipeline.run()
    result.wait_until_finish()
    _print_metrics(result)


def _exit_code(out, patterns, summary, shards):
    """Removes the run's temporary files, prints how it ended and returns its exit code."""
    from crass_tf.beam import storage, work

    files = storage.below(out, f"summary-*-of-{shards:05d}.{summary}")
    counts = collections.Counter(row["status"] for file in files for row in work.rows_in(file))
    _remove_leftovers(out, f"-of-{shards:05d}.{summary}")
    total, refused = counts.total(), counts["refused"]
    print(f"{total} radiographs: {counts['segmented']} segmented, {refused} refused; wrote {out}/summary-*")
    if not total:
        raise InputError(f"{' '.join(patterns)}: found no radiographs there")
    return 0 if not refused else 2 if refused == total else 1


@contextlib.contextmanager
def _raise_in_one_line():
    """Raises an engine's error as one line: a user's mistake that a worker met, or why the engine gave up."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        text = str(error)
        if mistakes := re.findall(r"InputError: ([^\n]+)", text):
            raise InputError(mistakes[-1].partition(" [while running")[0]) from None
        if full := re.search(r"No space left on device[^\n]*", text):
            raise InputError(f"{full[0]}; make room and start again: what is done is not done again") from None
        last = text.strip().rpartition("\n")[2]
        raise InputError(f"the engine gave up: {type(error).__name__}: {last}") from None


def _print_metrics(result):
    """Prints what was counted and timed, where the runner can tell."""
    from apache_beam.metrics.metric import MetricsFilter

    from crass_tf.beam.transforms import NAMESPACE

    try:
        metrics = result.metrics().query(MetricsFilter().with_namespace(NAMESPACE))
    except (NotImplementedError, AttributeError):
        return
    for counter in metrics["counters"]:
        print(f"{counter.key.metric.name}: {counter.result}")
    for times in metrics["distributions"]:
        if times.key.metric.name.startswith("milliseconds_"):
            print(f"{times.key.metric.name}: mean {times.result.mean:.0f}, most {times.result.max}")


def _remove_leftovers(out: str, current: str) -> None:
    """Removes the journal, summaries of earlier runs with another number of files, and leftovers of killed workers."""
    from crass_tf.beam import storage, work

    for path in work.earlier_files(out):
        if f"/{work.JOURNAL}/" in path or (re.search(r"/summary-\d+-of-", path) and not path.endswith(current)):
            storage.remove([path])
    if storage.is_local(out):
        for folder, _, _ in os.walk(out):
            remove_leftovers(folder)
        with contextlib.suppress(OSError):
            pathlib.Path(out, work.JOURNAL).rmdir()
