"""How bodies become shadows: poses, chord lengths along the X-rays, and tubes laid on the detector.

Patient coordinates, in millimetres: x to the patient's left (the image's right), y downwards, z backwards (towards the
tube of a posterior-anterior radiograph). The origin is the midline at the height of the lungs' tops.
"""

import dataclasses
import functools
from collections.abc import Iterable, Sequence

import numpy as np

# Pixels of discs that are laid at once.
_CHUNK = 600_000


@dataclasses.dataclass(frozen=True)
class View:
    """Where patient and detector stand to each other. In the plane z = 0 a millimetre is one on the detector."""

    size: int  # side of the square image, pixels
    spacing_mm: float
    centre_mm: tuple[float, float]  # (x, y) of the patient point at the image's centre
    turn: np.ndarray  # rotation matrix [3, 3] of the patient about z = 0: nodding and turning
    roll: float  # rotation in the image's plane, radians
    # From the X-ray focus to z = 0; the focus is behind the patient, with a negative distance in front.
    focus_mm: float = 1700.0

    @functools.cached_property
    def grid(self) -> tuple[np.ndarray, np.ndarray]:
        """Float32 x and y [size, size] of the patient's frontal plane at each pixel's centre, millimetres."""
        axis = ((np.arange(self.size) + 0.5 - self.size / 2) * self.spacing_mm).astype(np.float32)
        cos, sin = np.float32(np.cos(self.roll)), np.float32(np.sin(self.roll))
        x = cos * axis[None, :] + sin * axis[:, None] + np.float32(self.centre_mm[0])
        y = cos * axis[:, None] - sin * axis[None, :] + np.float32(self.centre_mm[1])
        return x, y

    def frontal(self, points: np.ndarray) -> np.ndarray:
        """Returns where points [n, 3] are seen in the frontal plane z = 0: [n, 2], millimetres."""
        turned = points @ self.turn.T
        return turned[:, :2] * (self.focus_mm / (self.focus_mm - turned[:, 2:]))

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """Returns where points [n, 3] fall on the image: [n, 2] as (column, row), pixel centres at whole numbers."""
        offset = self.frontal(points) - self.centre_mm
        cos, sin = np.cos(self.roll), np.sin(self.roll)
        rolled = np.stack([cos * offset[:, 0] - sin * offset[:, 1], sin * offset[:, 0] + cos * offset[:, 1]], 1)
        return rolled / self.spacing_mm + self.size / 2 - 0.5


def turn_matrix(nod: float, turn: float) -> np.ndarray:
    """Returns the rotation [3, 3] by `nod` about the left-right axis and `turn` about the long axis, radians."""
    cos_n, sin_n, cos_t, sin_t = np.cos(nod), np.sin(nod), np.cos(turn), np.sin(turn)
    about_x = np.array([[1, 0, 0], [0, cos_n, -sin_n], [0, sin_n, cos_n]])
    about_y = np.array([[cos_t, 0, sin_t], [0, 1, 0], [-sin_t, 0, cos_t]])
    return about_x @ about_y


@dataclasses.dataclass(frozen=True)
class Tube:
    """A bone, vessel or airway as a chain of small elliptic discs; lengths are millimetres."""

    points: np.ndarray  # centre line [n, 3]
    high: np.ndarray  # half-widths [n] across the tube in the frontal plane
    deep: np.ndarray  # half-widths [n] along the rays
    cortex: float  # thickness of the outer layer, 0 for none
    shell: float  # attenuation of the outer layer per millimetre, above the tissue it displaces
    core: float  # attenuation of what the layer encloses
    blunt: float = 1.0  # half-width of a disc along the centre line / `high`: small for bones with square ends
    upright: np.ndarray | None = None  # [n, 3] directions of `high`; None: square to the centre line as it is seen


@dataclasses.dataclass(frozen=True)
class Rods:
    """Many straight, round, solid pieces of attenuation 1, such as the vessels of one size."""

    starts: np.ndarray  # [n, 3], millimetres
    stops: np.ndarray  # [n, 3]
    radii: np.ndarray  # [n]


def resample(points: np.ndarray, step: float, *columns: np.ndarray) -> tuple[np.ndarray, float, list[np.ndarray]]:
    """Returns the polyline [n, 3] at points `step` apart, the length of each piece, and `columns` taken along."""
    lengths = np.linalg.norm(np.diff(points, axis=0), axis=1)
    along = np.concatenate([[0.0], np.cumsum(lengths)])
    count = max(2, int(np.ceil(along[-1] / step)))
    places = (np.arange(count) + 0.5) * along[-1] / count
    take = lambda values: np.interp(places, along, values)  # noqa: E731
    dense = np.stack([take(points[:, axis]) for axis in range(3)], 1)
    return dense, along[-1] / count, [take(np.broadcast_to(column, len(points))) for column in columns]


def _tube_discs(view, tube):
    """Returns the tube's discs on the image, a float32 array [n, 10].

    The columns: column, row, cosine and sine of the long half-axis, the two half-axes of the outer ellipse, rim along
    both (all in pixels), attenuation of shell and core.
    """
    upright = np.zeros((len(tube.points), 3)) if tube.upright is None else tube.upright
    points, piece, (high, deep, *ups) = resample(tube.points, 0.9 * view.spacing_mm, tube.high, tube.deep, *upright.T)
    centres = view.pixels(points)
    rim = np.full(len(points), tube.cortex)
    if tube.upright is None:
        along = np.gradient(centres, axis=0)
        across, short = np.stack([-along[:, 1], along[:, 0]], 1), np.maximum(tube.blunt * high, 0.3)
        # `short` is no thickness of the bone here: the core keeps the outer ellipse's proportions
        rim_short = rim * short / high
    else:
        across, short, rim_short = view.pixels(points + np.stack(ups, 1)) - centres, deep, rim
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-6)
    pixel = np.stack([high, short, rim, rim_short], 1) / view.spacing_mm
    weight = piece * deep / short
    return np.column_stack([centres, across, pixel, weight * tube.shell, weight * tube.core]).astype(np.float32)


def _rod_discs(view, rods):
    """Returns the rods' discs, round and solid with attenuation 1, in the columns of `_tube_discs`."""
    spans = rods.stops - rods.starts
    lengths = np.linalg.norm(spans, axis=1)
    count = max(2, int(np.ceil(lengths.max() / (0.9 * view.spacing_mm))))
    places = (np.arange(count) + 0.5)[None, :, None] / count
    points = (rods.starts[:, None] + spans[:, None] * places).reshape(-1, 3)
    table = np.zeros((len(points), 10), np.float32)
    table[:, :2] = view.pixels(points)
    table[:, 2] = 1
    table[:, 4:6] = np.repeat(rods.radii, count)[:, None] / view.spacing_mm
    table[:, 8:] = np.repeat(lengths / count, count)[:, None]
    return table


def _coverage(radial, distance):
    """Returns how much of a pixel lies within an ellipse, from the pixel's radial coordinate and distance."""
    return np.clip((1 - radial) * distance / np.maximum(radial, 1e-3) + 0.5, 0, 1)


def _stamp(group, reach, size, hard):
    """Returns flat pixel numbers and values [n, window] of the discs in `group`."""
    offsets = np.arange(-reach, reach + 1, dtype=np.int32)
    base = np.rint(group[:, :2]).astype(np.int32)
    columns, rows = (base[:, axis, None, None] + shape for axis, shape in ((0, offsets), (1, offsets[:, None])))
    dx, dy = columns - group[:, 0, None, None], rows - group[:, 1, None, None]
    cos, sin, high, short, rim, rim_short, shell, core = (group[:, column, None, None] for column in range(2, 10))
    up, along = dx * cos + dy * sin, dy * cos - dx * sin
    distance = np.sqrt(up * up + along * along) + np.float32(1e-3)
    outer = np.sqrt((up / high) ** 2 + (along / short) ** 2) + np.float32(1e-6)
    cover = _coverage(outer, distance)
    if hard:
        values = (cover >= 0.5).astype(np.float32)
    else:
        values = cover * shell
        if np.any(rim > 0):
            inner_high, inner_short = np.maximum(high - rim, 0.05), np.maximum(short - rim_short, 0.05)
            inner = np.sqrt((up / inner_high) ** 2 + (along / inner_short) ** 2) + np.float32(1e-6)
            values -= _coverage(inner, distance) * (shell - core)
    outside = (columns < 0) | (columns >= size) | (rows < 0) | (rows >= size)
    values = np.where(outside, 0, values)
    return np.where(outside, 0, rows * size + columns), values


def lay(view: View, parts: Iterable[Tube | Rods], hard: bool = False) -> np.ndarray:
    """Returns the attenuation [size, size] of tubes and rods, the sum over their discs.

    A straight tube across the rays gets the exact chord of an ellipse at each pixel, because every disc covers the rays
    within its half-width for the length of its piece. With `hard`, discs that cover a pixel's centre are counted
    instead, so that `> 0` is the tubes' silhouette.
    """
    size = view.size
    image = np.zeros(size * size)
    table = np.concatenate([(_tube_discs if isinstance(part, Tube) else _rod_discs)(view, part) for part in parts])
    reach = np.ceil(np.maximum(table[:, 4], table[:, 5]) + 1).astype(int)
    near = np.all((table[:, :2] > -reach[:, None]) & (table[:, :2] < size + reach[:, None]), axis=1)
    for width in np.unique(reach[near]):
        group = table[near & (reach == width)]
        step = max(1, _CHUNK // (2 * width + 1) ** 2)
        for start in range(0, len(group), step):
            pixels, values = _stamp(group[start : start + step], width, size, hard)
            image += np.bincount(pixels.ravel(), values.ravel(), minlength=size * size)
    return image.reshape(size, size).astype(np.float32)


def ellipsoid(
    view: View, centre: Sequence[float], half_axes: Sequence[float] | np.ndarray, lean: float = 0.0
) -> np.ndarray:
    """Returns chord lengths [size, size] through an ellipsoid, millimetres, in closed form.

    `centre` is (x, y, z) and `half_axes` lie along x, y and z, millimetres, before the shape leans in the frontal plane
    by `lean` radians, x towards y, and is turned as the patient is.
    """
    cos, sin = np.cos(lean), np.sin(lean)
    turn = view.turn @ np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    form = turn @ np.diag(1 / np.square(half_axes)) @ turn.T
    shadow = view.frontal(np.array([centre], float))[0]
    x, y = view.grid[0] - np.float32(shadow[0]), view.grid[1] - np.float32(shadow[1])
    # a t^2 + 2 b t + c = 0 for the ray's entry and exit, with b linear and c quadratic in x and y
    a = form[2, 2]
    xx, yy, xy = (np.float32(form[i, j] - form[i, 2] * form[j, 2] / a) for i, j in ((0, 0), (1, 1), (0, 1)))
    rest = 1 - (xx * x * x + yy * y * y + 2 * xy * x * y)
    return 2 * np.sqrt(np.maximum(rest, 0) / np.float32(a))
