"""`report.html`: one page that opens from a folder, with figures, pictures and every image's scores."""

import dataclasses
from collections.abc import Sequence

from crass_tf.common.types import PathLike
from crass_tf.measurement.extent import DEFAULT_EXTENT
from crass_tf.reporting import pages
from crass_tf.reporting.plots import histogram

SHOWN = 4


@dataclasses.dataclass(frozen=True)
class Metric:
    """How people read a metric."""

    name: str  # its key in records
    title: str
    short: str  # its name in a table's head
    digits: int  # after the point
    worst: str  # which of `min` and `max` is its bad end
    unit: str = ""  # after a space

    def text(self, value: float | None) -> str:
        """Returns a value as text, a dash for None."""
        return pages.NOTHING if value is None else f"{value:.{self.digits}f}"

    def interval(self, statistics: dict) -> str:
        """Returns the confidence interval of the mean as text."""
        low, high = statistics["ci95"]
        return "unknown" if low is None else f"{self.text(low)} to {self.text(high)}"

    @property
    def in_unit(self) -> str:
        """The unit in brackets after a space, or ""."""
        return f" [{self.unit.strip()}]" if self.unit else ""


IOU = Metric("iou", "IoU", "IoU", 3, "min")
DICE = Metric("dice", "Dice", "Dice", 3, "min")
MCD_MM = Metric("mcd_mm", "Mean contour distance (MCD)", "MCD", 2, "max", " mm")
HD95_MM = Metric("hd95_mm", "95 % Hausdorff distance (HD95)", "HD95", 2, "max", " mm")
SHOWN_METRICS = {metric.name: metric for metric in (IOU, DICE, MCD_MM, HD95_MM)}


def write_report(path: PathLike, metrics: dict, records: Sequence[dict], names: dict[str, str]) -> None:
    """Writes the report: `metrics` as `summarise` returned them, with `model`, `dataset` and `split`.

    Pictures are looked for in `overlays/` beside it, by the stems `names[image_id]`.
    """
    # From the worst IoU to the best; equal ones by name.
    ranked = sorted(records, key=lambda record: (record["iou"], record["image_id"]))
    worst, median, best = pick(ranked, SHOWN)
    per_side = metrics["per_side"]
    pages.write_page(
        path,
        "report.html",
        facts=_facts(metrics, records),
        metrics=list(SHOWN_METRICS.values()),
        iou=IOU,
        summary=metrics,
        regions={"Both clavicles": metrics, "Right clavicle": per_side["right"], "Left clavicle": per_side["left"]},
        runs=metrics.get("runs", ()),
        plots=[*_plots(records)],
        best=best,
        median=median,
        worst=worst,
        ranked=ranked,
        columns=_columns(ranked),
        names=names,
    )


def pick(ranked: list, count: int) -> tuple[list, list, list]:
    """Returns `(worst, median, best)`, each at most `count` of the ranked records; no record is in two of them.

    The worst of all stands first among the worst, the best of all first among the best.
    """
    count = min(count, -(-len(ranked) // 3))
    worst, rest = ranked[:count], ranked[count:]
    best, middle = rest[-count:][::-1], rest[: max(0, len(rest) - count)]
    start = (len(middle) - count + 1) // 2 if len(middle) > count else 0
    return worst, middle[start : start + count], best


def _facts(metrics, records):
    known = sum(record["spacing_row_mm"] is not None for record in records)
    spacing = {len(records): "pixel spacing known", 0: "unknown spacing: no distances in millimetres"}
    return {
        "Model": metrics["model"],
        "Data set": metrics["dataset"],
        "Split": metrics["split"],
        **extent_fact(metrics["extent"]),
        "Radiographs": str(metrics["n"]),
        "Spacing": spacing.get(known, f"known for {known} of {len(records)} radiographs"),
    }


def extent_fact(extent: str | None) -> dict[str, str]:
    """Returns what a report says of outlines that were prolonged, `{heading: text}`; `{}` for the model's own."""
    return {} if extent in (None, DEFAULT_EXTENT) else {"Extent": extent}


def _plots(records):
    for metric, upper in ((IOU, 1.0), (MCD_MM, None)):
        values = {r["image_id"]: r[metric.name] for r in records if r[metric.name] is not None}
        if values:
            yield histogram([*values], [*values.values()], metric.title + metric.in_unit, upper)


def _columns(records):
    """Returns the columns of the table of images, without those that are undefined in every image."""
    both = [("", name) for name in SHOWN_METRICS]
    sides = [(f"{side}_", name) for side in ("right", "left") for name in ("iou", "mcd_mm")]
    return [
        {"name": side + name, "metric": metric, "title": f"{metric.short} {side.rstrip('_')}".rstrip() + metric.in_unit}
        for side, name in both + sides
        for metric in [SHOWN_METRICS[name]]
        if any(record[side + name] is not None for record in records)
    ]
