"""The random patient: size, shape of the rib cage and lungs, soft tissues, heart and vessels.

Chords are millimetres along the rays, [size, size].
"""

import dataclasses
import functools

import cv2
import numpy as np
from numpy.random import Generator

from crass_tf.phantom.projection import Rods, Tube, View, ellipsoid

RIGHT, LEFT = -1, 1

# Outer and inner border of a lung, as parts of half the lungs' width, over parts of a lung's height from its top.
_HEIGHTS = (0, 0.01, 0.02, 0.04, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
_OUTER = (0.35, 0.44, 0.485, 0.55, 0.62, 0.68, 0.755, 0.795, 0.855, 0.885, 0.91, 0.925, 0.95, 0.975, 0.99, 0.985)
_INNER = {
    RIGHT: (0.33, 0.26, 0.23, 0.19, 0.155, 0.14, 0.13, 0.13, 0.145, 0.16, 0.16, 0.15, 0.15, 0.15, 0.16, 0.17),
    LEFT: (0.33, 0.26, 0.22, 0.18, 0.16, 0.14, 0.13, 0.135, 0.16, 0.17, 0.17, 0.16, 0.15, 0.15, 0.15, 0.15),
}
# Parts of a lung's height at which borders are kept.
_ROWS = np.linspace(0, 1, 800)
# Where most clavicles leave the rib cage's outline, as a part of a lung's height from its top.
SHOULDER = 0.09


@dataclasses.dataclass(frozen=True)
class Patient:
    """Sizes of one patient, millimetres."""

    scale: float  # size of the bones relative to the average
    half_width: float  # half the lungs' width
    height: float  # from the lungs' tops to the costophrenic angles
    half_depth: float  # half the rib cage's inner depth
    wall: float  # thickness of ribs and muscles between lung and the rib cage's outline
    fat: float  # soft tissue outside of the rib cage
    age: float  # from 0, young with dense bones, to 1, old
    inspiration: dict  # height of the diaphragm's domes below the lungs' tops / `height`, by side
    outer: dict  # outer border of the lungs at `_ROWS`, by side
    inner: dict  # inner border

    def border(self, profile: dict, y: np.ndarray) -> np.ndarray:
        """Returns a border's distance from the midline at heights `y`, same shape."""
        last = len(_ROWS) - 1
        rows = np.asarray(y, np.float32) * np.float32(last / self.height)
        return profile[np.clip(np.rint(rows), 0, last).astype(np.int32)]

    def cage(self, y: np.ndarray) -> np.ndarray:
        """Returns the rib cage's half-width, averaged over the sides, at heights `y`."""
        both = (self.outer[RIGHT] + self.outer[LEFT]) / 2
        return np.interp(y, np.linspace(0, self.height, len(_ROWS)), both) + self.wall / 2

    def depth(self, y: np.ndarray) -> np.ndarray:
        """Returns the rib cage's half-depth at heights `y`: small at the top, full below a third."""
        part = np.clip((np.asarray(y, np.float32) + 9) / (0.5 * self.height), 0, 1)
        return np.float32(self.half_depth) * np.sqrt(1 - (1 - part) ** 2) * np.float32(0.98) + np.float32(2)


def _profile(values, half_width, wobble):
    """Returns a border in millimetres at `_ROWS`, smooth, shifted by `wobble`."""
    # Borders run like a root near the top: interpolate over the root of the height
    raw = np.interp(np.sqrt(_ROWS), np.sqrt(_HEIGHTS), values)
    border = cv2.GaussianBlur(raw[None], (0, 0), 9, borderType=cv2.BORDER_REPLICATE)[0]
    border[:12] = raw[:12]
    border = cv2.GaussianBlur(border[None], (0, 0), 1.5, borderType=cv2.BORDER_REPLICATE)[0]
    return (half_width * (border + wobble)).astype(np.float32)


def draw_patient(rng: Generator) -> Patient:
    """Returns a random `Patient`."""
    scale = np.clip(rng.normal(1, 0.07), 0.82, 1.18)
    half_width = 143 * scale * np.clip(rng.normal(1, 0.06), 0.85, 1.15)
    height = 280 * scale * np.clip(rng.normal(1, 0.09), 0.7, 1.2)
    slender, shoulder = rng.normal(0, 0.035), rng.normal(0, 0.03)
    outer, inner = {}, {}
    for side in (RIGHT, LEFT):
        lean, medial = rng.normal(0, 0.012), rng.normal(0, 0.02)
        bend = (slender + lean) * np.sin(np.pi * _ROWS) + shoulder * np.sin(np.pi * np.sqrt(_ROWS))
        outer[side] = _profile(_OUTER, half_width, bend)
        inner[side] = _profile(_INNER[side], half_width, medial * np.sin(np.pi * _ROWS**0.7))
    right_dome = np.clip(rng.normal(0.75, 0.06), 0.55, 0.88)
    return Patient(
        scale,
        half_width,
        height,
        92 * scale * np.clip(rng.normal(1, 0.1), 0.75, 1.3),
        rng.uniform(5.5, 9.5) * scale,
        np.clip(rng.gamma(3, 9), 8, 75),
        rng.uniform(),
        {RIGHT: right_dome, LEFT: right_dome + rng.normal(0.04, 0.02)},
        outer,
        inner,
    )


def _subtract_dome(patient, side, x, y, half, rng):
    """Returns the part of a lung's half-depths that the diaphragm's dome leaves, as depth in millimetres."""
    top = patient.inspiration[side] * patient.height
    centre = patient.half_width * rng.uniform(0.42, 0.55)
    curl = rng.uniform(1.9, 3.0)
    steep = (patient.height - top) / (patient.half_width - centre) ** curl * rng.uniform(0.85, 1.0)
    inner_fall = rng.uniform(0.05, 0.35)
    across = x - centre
    across = np.abs(np.where(across < 0, across * np.float32(inner_fall), across))
    below = np.maximum(y - top - np.float32(steep) * across ** np.float32(curl), 0)
    # The dome falls off towards the back; in front it stays high, so the lung behind it thins out downwards
    blocked = np.minimum(2 * half, half * np.float32(rng.uniform(1.1, 1.5)) + np.sqrt(below * 60))
    return np.where(below > 0, 2 * half - blocked, 2 * half), below <= 0


def draw_lungs(patient: Patient, view: View, rng: Generator) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    """Returns the depth [size, size] of air-filled lung on each ray, millimetres, and bool silhouettes by side."""
    x, y = view.grid
    depth, silhouette = np.zeros_like(x), {}
    ramp = rng.uniform(12, 50)
    for side in (RIGHT, LEFT):
        out, inn = patient.border(patient.outer[side], y), patient.border(patient.inner[side], y)
        across = x * side
        inside = (y > 0) & (across > inn) & (across < out)
        bulge = np.sqrt(np.clip(1 - (across / (out + 1)) ** 2, 0, 1))
        half = patient.depth(y) * bulge * (1 - (1 - np.clip((across - inn) / np.float32(ramp), 0, 1)) ** 2)
        air, above = _subtract_dome(patient, side, across, y, half, rng)
        depth += np.where(inside, np.maximum(air, 0), 0)
        silhouette[side] = inside & above
    # Partly filled pixels at the borders
    return cv2.GaussianBlur(depth, (0, 0), 0.7), silhouette


def cage_outline(patient: Patient, view: View, above: bool = False) -> np.ndarray:
    """Returns whether each pixel lies within the rib cage's outline from the side: bool [size, size].

    With `above` the outline goes on straight up from `SHOULDER` of the lungs' height, since clavicles that lie above
    the lungs end to the side where others do.
    """
    x, y = view.grid
    inside = np.zeros(x.shape, bool)
    heights = np.maximum(y, SHOULDER * patient.height) if above else y
    for side in (RIGHT, LEFT):
        out = patient.border(patient.outer[side], heights)
        inside |= (x * side >= 0) & (x * side < out) & (above | (y > 0))
    spacing = float(np.hypot(x[0, 1] - x[0, 0], y[0, 1] - y[0, 0]))
    away = cv2.distanceTransform((~inside).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) * spacing
    # From pixel centre to pixel centre, which is half a pixel more than to the border between them
    return away <= patient.wall + 0.5 * spacing


def smooth_union(*depths: np.ndarray) -> np.ndarray:
    """Returns the depth of overlapping bodies: their maximum, rounded where they meet."""
    total = np.zeros_like(depths[0])
    for depth in depths:
        total += depth**4
    return np.sqrt(np.sqrt(total))


def _limb(x, y, start, way, radius):
    """Returns chords through a limb from `start` along `way`, (x, y), that tapers from `radius`, millimetres."""
    (x0, y0), (dx, dy) = start, way
    along = np.clip(((x - x0) * np.float32(dx) + (y - y0) * np.float32(dy)) / np.float32(dx * dx + dy * dy), 0, 1)
    gap = (x - x0 - along * np.float32(dx)) ** 2 + (y - y0 - along * np.float32(dy)) ** 2
    radius = np.float32(radius) + along * np.float32(0.85 * radius - radius)
    return 2 * np.sqrt(np.maximum(radius * radius - gap, 0))


def _torso(patient, x, y, rng):
    waisted = rng.uniform(-0.05, 0.35)
    waist = patient.half_width + patient.wall + 0.9 * patient.fat + 22
    grown = np.clip((y + 25) / np.float32(0.55 * patient.height), 0, 1)
    half_width = np.float32(waist) * (np.float32(0.5) + np.float32(0.5) * np.sqrt(1 - (1 - grown) ** 2))
    bulge = np.sqrt(np.clip(1 - np.abs(x / half_width) ** 3.6, 0, 1))
    half_width = half_width * (1 - np.float32(waisted) * (y / np.float32(patient.height) - np.float32(0.5)) ** 2)
    half = patient.depth(y) + np.float32(8 + 0.6 * patient.fat)
    return np.where(y > -25, 2 * half * bulge, 0)


def _shoulders(patient, x, y, tips, rng):
    """Returns chords through neck and shoulders under the trapezius line."""
    neck = rng.uniform(48, 66) * patient.scale + 0.2 * patient.fat
    thick = rng.uniform(66, 100) * patient.scale + 0.35 * patient.fat
    sag = np.float32(rng.uniform(0.45, 0.8))
    round_off = rng.uniform(26, 55) * patient.scale
    slope_start = -rng.uniform(50, 110) * patient.scale
    chord = 2 * np.float32(0.95 * neck) * np.sqrt(np.clip(1 - (x / np.float32(neck)) ** 2, 0, 1)) * (y < 120)
    for side in (RIGHT, LEFT):
        tip_x, tip_y = tips[side]
        part = np.clip((x * side - neck * 0.75) / np.float32(tip_x - neck * 0.75), 0, 1.15)
        skin = np.float32(slope_start) + np.float32(tip_y - 16 - 0.3 * patient.fat - slope_start) * part**sag
        skin = skin + np.maximum(x * side - np.float32(tip_x), 0) ** 2 / 28
        under = np.clip((y - skin) / np.float32(round_off), 0, 1)
        edge = np.clip((tip_x + 42 + 0.2 * patient.fat - x * side) / 40, 0, 1)
        fade = np.clip((330 - y) / 230, 0, 1) ** 2
        rounded = np.sqrt((1 - (1 - under) ** 2) * (1 - (1 - edge) ** 2)) * fade * (2 - fade)
        shoulder = np.float32(2 * thick) * rounded
        chord = smooth_union(chord, np.where((x * side > 0) & (under > 0), shoulder, 0))
    return chord


def _arms(patient, x, y, tips, rng):
    """Returns chords through the upper arms, which hang down or point outwards, elbows forward."""
    chord = np.zeros_like(x)
    # Elbows point forward, so that the rays pass the arm at a slant
    spread, slant = rng.uniform(0.1, 0.75), np.float32(rng.uniform(1.15, 1.75))
    for side in (RIGHT, LEFT):
        tip_x, tip_y = tips[side]
        lean = np.clip(spread + rng.normal(0, 0.08), 0.05, 0.9)
        radius = rng.uniform(46, 62) * patient.scale + 0.25 * patient.fat
        start = np.array([tip_x - 6, tip_y + 34])
        way = start + 450 * patient.scale * np.array([np.sin(lean), np.cos(lean)]) - start
        chord = np.maximum(chord, slant * _limb(x * side, y, start, way, radius))
    return chord


def draw_body(patient: Patient, view: View, tips: dict[int, tuple[float, float]], rng: Generator) -> np.ndarray:
    """Returns the whole body's thickness [size, size] in millimetres, lungs included.

    `tips` are (distance from the midline, y) of each acromion by side.
    """
    x, y = view.grid
    body = smooth_union(
        _torso(patient, x, y, rng), _shoulders(patient, x, y, tips, rng), _arms(patient, x, y, tips, rng)
    )
    breasts = rng.uniform() < 0.5
    size, sag = rng.uniform(0.5, 1.3), rng.uniform(0.58, 0.8)
    muscle = rng.uniform(0, 22)
    for side in (RIGHT, LEFT):
        front = -patient.half_depth
        pectoral = ellipsoid(view, (side * 95 * patient.scale, 95, front), (75, 58, muscle + 0.1), side * -0.5)
        body += np.where(pectoral > 0, pectoral, 0) * 0.5
        if breasts:
            centre = (side * patient.half_width * rng.uniform(0.6, 0.8), sag * patient.height, front)
            chord = ellipsoid(view, centre, (68 * size, 58 * size, 42 * size), side * 0.3)
            # Flatter above, so that only the lower edge stands out
            body += chord * np.clip((y - centre[1]) / np.float32(70 * size) + 0.6, 0, 1) ** 2 * 0.42
    return body


def draw_chin(patient: Patient, view: View, rng: Generator) -> tuple[np.ndarray, tuple[float, float, float]]:
    """Returns chords [size, size] through a chin that hangs over the neck, and its centre."""
    s = patient.scale
    centre = (rng.normal(0, 15) * s, -rng.uniform(45, 120) * s, -0.8 * patient.half_depth)
    return ellipsoid(view, centre, np.array([62, 52, 34]) * s), centre


def draw_heart(patient: Patient, view: View, rng: Generator) -> tuple[np.ndarray, np.ndarray]:
    """Returns chords [size, size] through the heart and, apart, through the great vessels at its top."""
    width, s = patient.half_width, patient.scale
    dome = patient.height * (patient.inspiration[RIGHT] + patient.inspiration[LEFT]) / 2
    big = rng.uniform(0.82, 1.2)
    centre = (width * rng.uniform(0.12, 0.22), dome - 42 * s * rng.uniform(0.35, 0.95), -30)
    left = ellipsoid(view, centre, (66 * big * s, 47 * big * s, 62), rng.uniform(0.5, 0.95))
    right = ellipsoid(view, (-width * 0.12, centre[1] + 2, -25), (30 * big * s, 48 * big * s, 55), 0.1)
    return smooth_union(left, right), _great_vessels(patient, view, rng)


def _great_vessels(patient, view, rng):
    """Returns chords through the aortic arch, descending aorta, pulmonary trunk and superior caval vein."""
    s, age, chords = patient.scale, patient.age, functools.partial(ellipsoid, view)
    arch_y = patient.height * rng.uniform(0.2, 0.3)
    arch = chords((rng.uniform(10, 20) * s, arch_y, 5), ((15 + 6 * age) * s, (15 + 5 * age) * s, 32))
    trunk = chords((rng.uniform(12, 24) * s, arch_y + rng.uniform(28, 40) * s, -20), (22 * s, 24 * s, 28))
    caval = chords((-rng.uniform(12, 18) * s, arch_y + 12, -15), (13 * s, 62 * s, 13))
    aorta = chords((rng.uniform(14, 24) * s, arch_y + 110 * s, 45), (14 * s, 120 * s, 14))
    subclavian = chords((rng.uniform(14, 24) * s, arch_y - 36 * s, 0), (12 * s, 40 * s, 14))
    return smooth_union(arch, trunk, caval, aorta, subclavian)


def draw_airways(patient: Patient, rng: Generator) -> list[Tube]:
    """Returns the windpipe and main bronchi as `Tube`s; their `core` is set by the caller's attenuation of tissue."""
    s = patient.scale
    drift, fork = rng.normal(3, 4), patient.height * rng.uniform(0.26, 0.34)
    trachea = [[0, -160, -30], [0, -60, -20], [-0.3 * drift, 0, 5], [-drift, fork * 0.6, 15], [-drift, fork, 20]]
    radius = rng.uniform(7, 9.5) * s
    tubes = [(trachea, np.full(5, radius))]
    for side, drop in ((RIGHT, 26), (LEFT, 20)):
        middle, end = [-drift + side * 16 * s, fork + 0.5 * drop, 18], [side * 40 * s, fork + drop * s, 10]
        tubes.append(([[-drift, fork - 2, 20], middle, end], np.array([0.75, 0.65, 0.5]) * radius))
    return [Tube(np.array(points), radii, radii, 0, 1.0, 1.0) for points, radii in tubes]


def draw_vessels(patient: Patient, rng: Generator) -> list[Rods]:
    """Returns lung vessels as `Rods` that branch from the hila."""
    parts = []
    thick = rng.uniform(0.85, 1.25)
    for side in (RIGHT, LEFT):
        hilum = np.array([side * 38 * patient.scale, patient.height * rng.uniform(0.36, 0.44), 0.0])
        parts += _grow_vessels(hilum, side, patient, thick, rng)
    return parts


def _grow_vessels(hilum, side, patient, thick, rng):
    """Returns one lung's vessels: some stems that fork seven times, each time thinner and shorter."""
    stems = 14
    angles = np.linspace(-1.45, 1.45, stems) + rng.normal(0, 0.12, stems)
    heading = np.stack([side * np.cos(angles), np.sin(angles) * 1.15, rng.normal(0, 0.5, stems)], 1)
    start, parts = hilum + rng.normal(0, 7, (stems, 3)), []
    radius, length = thick * patient.scale * rng.uniform(2.2, 4.2, stems), 22 * patient.scale
    for _ in range(7):
        heading /= np.linalg.norm(heading, axis=1, keepdims=True)
        bend = heading + rng.normal(0, 0.2, heading.shape)
        middle = start + heading * length * 0.5
        stop = middle + bend * length * 0.5
        parts += [Rods(start, middle, radius), Rods(middle, stop, 0.88 * radius)]
        start, radius = np.repeat(stop, 2, axis=0), np.repeat(radius, 2) * rng.uniform(0.62, 0.88, 2 * len(radius))
        heading, length = np.repeat(bend, 2, axis=0) + rng.normal(0, 0.38, (len(start), 3)), length * 0.9
        keep = radius > 0.45 * patient.scale
        start, radius, heading = start[keep], radius[keep], heading[keep]
        if not keep.any():
            break
    return parts


def draw_opacities(patient: Patient, view: View, rng: Generator) -> np.ndarray:
    """Returns chords [size, size] through up to three nodules or infiltrates, often high in the lung; mostly none."""
    chords = np.zeros_like(view.grid[0])
    for _ in range(rng.choice(4, p=(0.6, 0.2, 0.12, 0.08))):
        side, size = rng.choice((RIGHT, LEFT)), 4 + rng.gamma(2, 5)
        place = (side * rng.uniform(0.25, 0.75) * patient.half_width, rng.beta(1.2, 2) * 0.75 * patient.height)
        half_axes = size * rng.uniform(0.6, 1.4, 3)
        chord = ellipsoid(view, (*place, rng.uniform(-30, 30)), half_axes, rng.uniform(-1, 1))
        chords += chord * rng.uniform(0.2, 0.9)
    return chords
