"""Small plots as inline SVG, sharp at any size: `templates/*.svg` with coordinates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crass_tf.reporting.pages import render

WIDTH, HEIGHT = 520, 190
LEFT, RIGHT, TOP, BASE = 40, 12, 22, 138
# Bin widths that people can read off an axis.
STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
MOST_BINS = 24


def histogram(names: Sequence[str], values: Sequence[float], title: str, upper: float | None = None) -> str:
    """Returns an SVG histogram with one tick an image below it; pointing at a tick tells its name and value.

    No value is below 0. `upper` is where the axis ends, for a metric that has a largest value.
    """
    edges = bin_edges(values, upper)
    counts, _ = np.histogram(values, edges)
    x = _scale(edges[0], edges[-1], LEFT, WIDTH - RIGHT)
    y = _scale(0, max(counts), BASE, TOP)
    mean, median = np.mean(values), np.median(values)
    return render(
        "histogram.svg",
        width=WIDTH,
        height=HEIGHT,
        left=LEFT,
        right=WIDTH - RIGHT,
        top=TOP,
        base=BASE,
        title=title,
        most=max(counts),
        bars=[_place_bar(low, high, count, x, y) for low, high, count in zip(edges[:-1], edges[1:], counts) if count],
        ticks=[(f"{x(value):.1f}", f"{name}: {value:.3f}") for name, value in zip(names, values)],
        numbers=[(f"{x(edge):.1f}", f"{edge.round(2):g}") for edge in edges[:: max(1, round((len(edges) - 1) / 8))]],
        marks={"mean": f"{x(mean):.1f}", "median": f"{x(median):.1f}"},
        caption=f"mean {mean:.3f} (full line), median {median:.3f} (dashed)",
    )


def curve(training: Sequence[float], validation: Sequence[float]) -> str:
    """Returns an SVG of training and validation IoU, lists of one float an epoch."""
    x = _scale(0, max(1, len(training) - 1), LEFT, 500)
    y = _scale(0, 1, 190, 10)
    return render(
        "curve.svg",
        left=LEFT,
        right=500,
        epochs=len(training),
        grid=[(round(y(value)), f"{value:.1f}") for value in np.arange(0, 1.01, 0.2)],
        lines={
            name: [(f"{x(epoch):.1f}", f"{y(iou):.1f}") for epoch, iou in enumerate(values)]
            for name, values in {"training": training, "validation": validation}.items()
        },
    )


def bin_edges(values: Sequence[float], upper: float | None = None) -> np.ndarray:
    """Returns equally spaced edges, multiples of a readable step, that hold all values in at most 24 bins.

    Example:

    >>> bin_edges([0.81, 0.84], upper=1.0).round(2).tolist()[:3]
    [0.81, 0.82, 0.83]
    """
    lowest, highest = min(values), max(values) if upper is None else upper
    step = next((s for s in STEPS if (highest - lowest) / s <= MOST_BINS - 2), STEPS[-1])
    first = np.floor(lowest / step + 1e-9)
    last = max(np.ceil(highest / step - 1e-9), first + 1)
    # Division gives the exact float of a decimal number more often than multiplication.
    return np.arange(first, last + 1) / (1 / step)


def _scale(low, high, start, end):
    return lambda value: start + (value - low) / (high - low) * (end - start)


def _place_bar(low, high, count, x, y):
    return {
        "x": f"{x(low) + 0.5:.1f}",
        "y": f"{y(count):.1f}",
        "width": f"{max(x(high) - x(low) - 1, 0.5):.1f}",
        "height": f"{BASE - y(count):.1f}",
        "text": f"{low.round(2):g} to {high.round(2):g}: {count}",
    }
