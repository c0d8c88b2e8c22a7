"""The same work on Apache Spark: tasks segment, and their rows make the summary.

Spark repeats a task that fails or whose worker dies. Result files are replaced as a whole, and only the rows of a task
that ended count. So each radiograph is in the summary once.
"""

import argparse
import functools
import operator
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from crass_tf.beam import sources, work
from crass_tf.beam.sources import Reference
from crass_tf.beam.work import RowFiles, Settings, worker_of_process

# Radiographs in each task; another worker repeats the task of a worker that died.
TASK = 64


def session(options: Sequence[str]) -> Any:
    """Returns the Spark session of options: `--master URL`, and `--conf NAME=VALUE`, many times."""
    from pyspark.sql import SparkSession

    parser = argparse.ArgumentParser("crass-tf predict ... --runner spark --")
    parser.add_argument("--master", default="local[*]", metavar="URL", help="default: %(default)s")
    parser.add_argument("--conf", action="append", default=[], metavar="NAME=VALUE")
    given = parser.parse_args(options)
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.appName("crass-tf").master(given.master)
    builder = builder.config("spark.ui.showConsoleProgress", "false")
    for setting in given.conf:
        builder = builder.config(*setting.split("=", 1))
    return builder.getOrCreate()


def segment(
    spark: Any, settings: Settings, overwrite: bool, patterns: Sequence[str], kind: str, out: str, patient_key: str
) -> list[str]:
    """Segments radiographs on a cluster and returns the files that hold a row for each, JSON lines.

    `spark` is a `SparkSession`; the others are as in `transforms.Segment` and `transforms.Radiographs`.
    """
    context = spark.sparkContext
    files = [file for pattern in patterns for file in sources.find(pattern, kind, out)]
    parts = max(1, len(files) // TASK)
    references = context.parallelize(files, parts).flatMap(
        functools.partial(sources.references, kind=kind, patient_key=patient_key)
    )
    earlier = context.parallelize(work.earlier_files(out), context.defaultParallelism).flatMap(work.rows_in)
    keyed = references.keyBy(operator.attrgetter("result")), earlier.keyBy(operator.itemgetter("result"))
    groups = keyed[0].cogroup(keyed[1], parts)
    return groups.mapPartitions(functools.partial(_segment_group, settings, overwrite)).collect()


def _segment_group(settings: Settings, overwrite: bool, groups: Iterable[Any]) -> Iterator[str]:
    """Segments the radiographs of a task and yields the files that hold their rows."""
    journal, worker, stamp = RowFiles(settings.out), worker_of_process(settings), settings.stamp()

    def left():
        for _, (current, earlier) in groups:
            if current := list(current):
                chosen = work.choose(current, list(earlier), settings, stamp, overwrite)
                if isinstance(chosen, Reference):
                    yield chosen
                else:
                    journal.add(chosen)

    for result in worker.segment_all(left()):
        journal.add(result.row)
    journal.flush()
    yield from journal.written
