"""The transforms: `Radiographs` says what there is, `Segment` does the work, `WriteSummary` writes tables."""

from collections.abc import Iterable, Sequence
from typing import Any, cast

import apache_beam as beam
from apache_beam.io.parquetio import WriteToParquet
from apache_beam.io.textio import WriteToText
from apache_beam.metrics.metric import Metrics
from apache_beam.ml.inference.base import ModelHandler, RunInference
from apache_beam.pvalue import TaggedOutput

from crass_tf.beam import sources, tables, work
from crass_tf.beam.sources import Reference
from crass_tf.beam.work import Result, RowFiles, Settings, Worker

NAMESPACE = "crass_tf"
# Radiographs that a process works on at once; more would only make retries more expensive.
BATCH = 32


class Radiographs(beam.PTransform):
    """Returns a PCollection of `Reference`s: the radiographs that patterns, tables, tar shards or DICOM folders hold.

    Args:
        patterns: paths or URLs, see `sources.find`.
        kind: what the patterns name: `files`, `table`, `tar` or `dicom`.
        out: where results go: what lies there is no input.
        patient_key: see `sources.references`.
    """

    def __init__(
        self, patterns: Sequence[str], kind: str = "files", out: str | None = None, patient_key: str = ""
    ) -> None:
        super().__init__()
        self._patterns, self._kind, self._out, self._patient_key = list(patterns), kind, out, patient_key

    def expand(self, pbegin):
        """Lists files, spreads them over the workers, and opens there those that hold several radiographs."""
        return (
            pbegin
            | beam.Create(self._patterns)
            | "Find" >> beam.FlatMap(sources.find, self._kind, self._out)
            | beam.Reshuffle()
            | "Open" >> beam.FlatMap(sources.references, self._kind, self._patient_key)
        )


class ClavicleModelHandler(ModelHandler[Reference, Result, Worker]):
    """A model for `RunInference`, from `Reference` to `Result`, by the run's `Settings`; one model a process."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings

    def load_model(self) -> Worker:
        """Returns the process' Worker."""
        return work.worker_of_process(self._settings)

    def run_inference(
        self, batch: Sequence[Reference], model: Worker, inference_args: dict[str, Any] | None = None
    ) -> Iterable[Result]:
        """Yields the `Result`s of radiographs; threads share the batch."""
        return model.segment_all(batch)

    def batch_elements_kwargs(self) -> dict[str, Any]:
        """Returns how many radiographs make a batch."""
        return {"min_batch_size": BATCH, "max_batch_size": BATCH}

    def get_metrics_namespace(self) -> str:
        """Returns the name under which RunInference counts."""
        return NAMESPACE


class Segment(beam.PTransform):
    """Segments `Reference`s: returns the rows of the summary, one a radiograph, even where an engine repeats work.

    Two radiographs with one key are refused. What the summary or the journal of an earlier run holds is passed over.

    Args:
        settings: what to write, where, by which model.
        overwrite: does again what an earlier run has done.
    """

    def __init__(self, settings: Settings, overwrite: bool = False) -> None:
        super().__init__()
        self._settings, self._overwrite = settings, overwrite

    def expand(self, references):
        """Groups radiographs and earlier rows by key, segments those without a result, adds the earlier rows."""
        settings = self._settings
        earlier = (
            references.pipeline
            | "Summaries" >> beam.Create([settings.out])
            | "FindRows" >> beam.FlatMap(work.earlier_files)
            | beam.Reshuffle()
            | "ReadRows" >> beam.FlatMap(work.rows_in)
            | beam.Map(lambda row: (row["result"], row))
        )
        current = references | "Key" >> beam.Map(lambda reference: (reference.result, reference))
        groups = {"current": current, "earlier": earlier} | beam.CoGroupByKey()
        choose = beam.ParDo(_Choose(settings, self._overwrite)).with_outputs("done", main="left")
        left, done = cast(Iterable[Any], groups | choose)
        rows = (
            left
            | RunInference(ClavicleModelHandler(settings))
            | "Row" >> beam.ParDo(_Row(settings)).with_output_types(dict)
        )
        return (rows, done) | beam.Flatten()


class _Choose(beam.DoFn):
    """Yields the radiographs to segment; as output `done` the rows of an earlier run."""

    def __init__(self, settings, overwrite):
        self._settings, self._overwrite = settings, overwrite
        self._stamp = settings.stamp()
        self._reused = Metrics.counter(NAMESPACE, "reused")

    def process(self, element):
        _, groups = element
        current, earlier = (list(groups[name]) for name in ("current", "earlier"))
        if not current:
            return
        chosen = work.choose(current, earlier, self._settings, self._stamp, self._overwrite)
        if isinstance(chosen, Reference):
            yield chosen
        else:
            self._reused.inc()
            _count(chosen)
            # All cells of a CSV are text.
            yield TaggedOutput("done", tables.typed(chosen))


class _Row(beam.DoFn):
    """From a Result to its row; counts, and keeps the journal."""

    def __init__(self, settings):
        self._out = settings.out

    def start_bundle(self):
        self._journal = RowFiles(self._out)

    def process(self, result):
        _count(result.row)
        for stage, value in result.milliseconds.items():
            Metrics.distribution(NAMESPACE, f"milliseconds_{stage}").update(round(value))
        self._journal.add(result.row)
        yield result.row

    def finish_bundle(self):
        self._journal.flush()


def _count(row):
    name = "segmented" if row["status"] == "segmented" else f"refused_{work.reason_class(row)}"
    Metrics.counter(NAMESPACE, name).inc()


class WriteSummary(beam.PTransform):
    """Writes rows to `out/summary-*`, and those of refused radiographs, the dead letters, to `out/refused-*.csv`.

    Args:
        out: a folder, path or URL.
        form: `csv` or `parquet`.
        shards: into how many files.
    """

    def __init__(self, out: str, form: str = "csv", shards: int = 1) -> None:
        super().__init__()
        self._out, self._form, self._shards = out, form, shards

    def expand(self, rows):
        """Writes both tables."""
        refused = rows | beam.Filter(lambda row: row["status"] == "refused")
        _ = refused | "Refused" >> _write_csv(f"{self._out}/refused", tables.REFUSED, 1)
        if self._form == "csv":
            return rows | "Summary" >> _write_csv(f"{self._out}/summary", tables.COLUMNS, self._shards)
        return (
            rows
            | beam.Map(tables.typed)
            | WriteToParquet(
                f"{self._out}/summary", tables.schema(), num_shards=self._shards, file_name_suffix=".parquet"
            )
        )


def _write_csv(prefix, columns, shards):
    return beam.Map(tables.line, columns) | WriteToText(
        prefix, file_name_suffix=".csv", header=",".join(columns), num_shards=shards
    )
