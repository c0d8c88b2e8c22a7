"""The tables of a run, `summary-*` and `refused-*`, as CSV and as Parquet."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from crass_tf.beam import storage, work
from crass_tf.common.tables import table_writer
from crass_tf.prediction.summary import COLUMNS

TEXTS = ("image", "result", "status", "reason", "outputs", "input", "settings")
COUNTS = ("height", "width", "right_area_pixels", "left_area_pixels")
TRUTHS = ("right_found", "left_found")
# What an operator needs of what was refused.
REFUSED = ("image", "result", "reason")


def schema():
    """Returns the Parquet schema of `COLUMNS`."""
    import pyarrow as pa

    types = {name: pa.float64() for name in COLUMNS}
    types |= dict.fromkeys(TEXTS, pa.string()) | dict.fromkeys(COUNTS, pa.int64()) | dict.fromkeys(TRUTHS, pa.bool_())
    return pa.schema(list(types.items()))


def typed(row: dict[str, Any]) -> dict[str, Any]:
    """Returns all cells of a row as `schema` has them; those of an earlier CSV are texts."""
    return {name: _cell(name, row.get(name)) for name in COLUMNS}


def _cell(name, value):
    if name in TEXTS:
        return "" if value is None else str(value)
    if value in (None, ""):
        return None
    if name in TRUTHS:
        return str(value) == "True"
    return int(value) if name in COUNTS else float(value)


def line(row: dict[str, Any], columns: Iterable[str]) -> str:
    """Returns a row as a line of CSV, without its end."""
    text = io.StringIO()
    csv.DictWriter(text, list(columns), extrasaction="ignore", lineterminator="").writerow(row)
    return text.getvalue()


def write(out: str, files: Sequence[str], form: str, shards: int) -> None:
    """Writes the tables from the files of `work.RowFiles`, as `transforms.WriteSummary` does.

    One of the `shards` is in memory at a time.
    """
    refused = []
    for shard in range(shards):
        rows = [row for file in files[shard::shards] for row in work.rows_in(file)]
        rows.sort(key=lambda row: row["result"])
        data = _parquet(rows) if form == "parquet" else _csv(rows, COLUMNS)
        storage.write(f"{out}/summary-{shard:05d}-of-{shards:05d}.{form}", data)
        refused += [row for row in rows if row["status"] == "refused"]
    storage.write(f"{out}/refused-00000-of-00001.csv", _csv(refused, REFUSED))


def _csv(rows, columns):
    text = io.StringIO()
    table_writer(text, columns).writerows(rows)
    return text.getvalue().encode("utf-8", "backslashreplace")


def _parquet(rows):
    import pyarrow as pa
    import pyarrow.parquet

    data = io.BytesIO()
    pyarrow.parquet.write_table(pa.Table.from_pylist([typed(row) for row in rows], schema()), data)
    return data.getvalue()
