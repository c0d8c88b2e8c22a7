"""Small plots as inline SVG: no library, no files, sharp at any size."""

import html

import numpy as np

WIDTH, HEIGHT = 520, 190
LEFT, RIGHT, TOP, BASE = 40, 12, 22, 138
# Bin widths that people can read off an axis.
STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
MOST_BINS = 24


def histogram(names, values, title, upper=None):
    """Returns an SVG histogram with one tick an image below it; pointing at a tick tells its name and value.

    Args:
        names: the images' names.
        values: their values, floats, none below 0.
        title: what is shown, with its unit.
        upper: where the axis ends, for a metric that has a largest value.
    """
    edges = bin_edges(values, upper)
    counts, _ = np.histogram(values, edges)
    x = _scale(edges[0], edges[-1], LEFT, WIDTH - RIGHT)
    y = _scale(0, max(counts), BASE, TOP)
    bars = [
        f'<rect class="bar" x="{x(low) + 0.5:.1f}" y="{y(count):.1f}" width="{max(x(high) - x(low) - 1, 0.5):.1f}" '
        f'height="{BASE - y(count):.1f}"><title>{low:g} to {high:g}: {count}</title></rect>'
        for low, high, count in zip(edges[:-1].round(2), edges[1:].round(2), counts)
        if count
    ]
    ticks = [
        f'<line class="tick" x1="{x(value):.1f}" x2="{x(value):.1f}" y1="{BASE + 4}" y2="{BASE + 14}">'
        f"<title>{html.escape(name)}: {value:.3f}</title></line>"
        for name, value in zip(names, values)
    ]
    parts = [*bars, *ticks, *_axes(edges, max(counts), x, y), *_marks(values, x)]
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(title)}">'
        f'<text class="title" x="{LEFT}" y="12">{html.escape(title)}</text>{"".join(parts)}</svg>'
    )


def bin_edges(values, upper=None):
    """Returns equally spaced edges, multiples of a readable step, that hold all values in at most 24 bins.

    Example:

    >>> bin_edges([0.81, 0.84], upper=1.0).round(2).tolist()[:3]
    [0.81, 0.82, 0.83]
    """
    lowest, highest = min(values), max(values) if upper is None else upper
    step = next((s for s in STEPS if (highest - lowest) / s <= MOST_BINS - 2), STEPS[-1])
    first = np.floor(lowest / step + 1e-9)
    last = max(np.ceil(highest / step - 1e-9), first + 1)
    # Through division, edges are exactly the floats of their decimal numbers more often than through multiplication.
    return np.arange(first, last + 1) / (1 / step)


def _scale(low, high, start, end):
    return lambda value: start + (value - low) / (high - low) * (end - start)


def _axes(edges, most, x, y):
    """Yields base line, numbers below it and the largest count."""
    yield f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{BASE}" y2="{BASE}"/>'
    for edge in edges[:: max(1, round((len(edges) - 1) / 8))]:
        yield f'<text class="number" x="{x(edge):.1f}" y="{BASE + 29}" text-anchor="middle">{edge.round(2):g}</text>'
    yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(most):.1f}" y2="{y(most):.1f}"/>'
    yield f'<text class="number" x="{LEFT - 6}" y="{y(most) + 4:.1f}" text-anchor="end">{most}</text>'
    yield f'<text class="number" x="{LEFT - 6}" y="{BASE + 4}" text-anchor="end">0</text>'
    yield f'<text class="number" x="{WIDTH - RIGHT}" y="{HEIGHT - 5}" text-anchor="end">images, one tick each</text>'


def _marks(values, x):
    """Yields the mean as a full and the median as a dashed line, named at the bottom."""
    for kind, value in (("mean", np.mean(values)), ("median", np.median(values))):
        yield f'<line class="{kind}" x1="{x(value):.1f}" x2="{x(value):.1f}" y1="{TOP}" y2="{BASE}"/>'
    yield (
        f'<text class="number" x="{LEFT}" y="{HEIGHT - 5}">mean {np.mean(values):.3f} (full line), '
        f"median {np.median(values):.3f} (dashed)</text>"
    )
