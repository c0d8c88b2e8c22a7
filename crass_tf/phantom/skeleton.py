"""The random skeleton: clavicles, ribs, shoulder blades, upper arms, spine and breastbone as tubes and plates."""

import numpy as np
from numpy.random import Generator

from crass_tf.phantom.projection import Tube
from crass_tf.phantom.thorax import LEFT, RIGHT, Patient

SHELL, CORE = 0.030, 0.007
"""Attenuation of compact and of spongy bone per millimetre, above that of soft tissue."""

# Half-height of a clavicle over its length from the medial end, millimetres, for the average adult.
_CLAVICLE_PLACES = (0, 0.02, 0.05, 0.09, 0.15, 0.22, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.97, 1.0)
_CLAVICLE_HEAD = (5.6, 5.9, 5.1, 3.3, 1.2, 0.3, 0, 0, 0, 0, 0, 0, 0, 0, 0)
_CLAVICLE_SHAFT = (6.0, 6.5, 6.8, 7.0, 7.2, 7.4, 7.2, 6.8, 6.4, 6.0, 5.7, 5.8, 6.2, 6.0, 4.5)


def _bone_density(patient, rng):
    return (1.15 - 0.45 * patient.age) * rng.uniform(0.85, 1.15)


def draw_clavicles(
    patient: Patient, rng: Generator, higher_mm: float = 0.0, steeper_deg: float = 0.0
) -> dict[int, Tube]:
    """Returns a `Tube` by side, S-shaped, widened at the medial end, similar on both sides but never the same.

    `higher_mm` and `steeper_deg` are added to what an upright patient has.
    """
    s = patient.scale
    common = {
        "medial_x": np.clip(rng.normal(26, 5.5), 12, 42) * s,
        "medial_y": rng.normal(38, 9) * s - higher_mm,
        "rise": rng.normal(15.5, 8),
        "length": rng.normal(146, 8) * s,
        "bow": rng.normal(0, 2.5),
        "wave": rng.normal(-1.2, 2.2),
        "head": np.clip(rng.normal(1, 0.25), 0.4, 1.8),
        "shaft": np.clip(rng.normal(1, 0.13), 0.7, 1.4),
        "drop": rng.uniform(-4, 2.5),
        "blunt": rng.uniform(0.15, 0.35),
        "cortex": rng.uniform(1.0, 2.4),
        "density": _bone_density(patient, rng) * rng.uniform(0.95, 1.8),
        "steeper": steeper_deg,
    }
    return {side: _clavicle(patient, side, common, rng) for side in (RIGHT, LEFT)}


def _clavicle(patient, side, common, rng):
    s, t = patient.scale, np.linspace(0, 1, 60)
    x, y = _clavicle_line(t, side, s, common, rng)
    depth = -0.8 * patient.half_depth - 14 * s * np.sin(2 * np.pi * t) + 85 * s * t**1.2
    head = np.interp(t, _CLAVICLE_PLACES, _CLAVICLE_HEAD) * common["head"]
    high = s * (np.interp(t, _CLAVICLE_PLACES, _CLAVICLE_SHAFT) * common["shaft"] + head)
    deep = high * np.interp(t, (0, 0.3, 0.7, 1), (0.9, 0.95, 0.9, 0.75))
    shell, core = SHELL * common["density"], CORE * common["density"]
    points = np.stack([side * x, y, depth], 1)
    return Tube(points, high, deep, common["cortex"] * s, shell, core, common["blunt"])


def _clavicle_line(t, side, scale, common, rng):
    """Returns distance from the midline and y of a clavicle's centre line at parts `t` of its length."""
    rise = np.clip(common["rise"] + rng.normal(0 if side == RIGHT else 2.5, 2.5), -8, 42)
    rise = np.radians(rise + common["steeper"])
    medial_x, medial_y = common["medial_x"] + rng.normal(0, 2), common["medial_y"] + rng.normal(0, 2.5)
    reach = common["length"] * rng.normal(0.93, 0.012) * t
    bow, wave = common["bow"] + rng.normal(0, 1), common["wave"] + rng.normal(0, 1)
    sunk = common["drop"] * scale * (1 - np.clip(t / 0.16, 0, 1)) ** 2
    lift = bow * np.sin(np.pi * t) + wave * np.sin(2 * np.pi * t) - sunk
    x = medial_x + reach * np.cos(rise) + lift * np.sin(rise)
    y = medial_y - reach * np.sin(rise) - lift * np.cos(rise)
    return x, y


def find_tips(clavicles: dict[int, Tube]) -> dict[int, tuple[float, float]]:
    """Returns (distance from the midline, y) of each clavicle's lateral end by side, millimetres."""
    return {side: (side * tube.points[-1, 0], tube.points[-1, 1]) for side, tube in clavicles.items()}


def draw_companions(clavicles: dict[int, Tube], rng: Generator) -> list[Tube]:
    """Returns the folds of skin that run above the clavicles as `Tube`s of attenuation 1."""
    tubes = []
    thick = np.maximum(rng.normal(0.5, 1.5, 2), 0.01)
    for bone, depth in zip(clavicles.values(), thick):
        above = bone.high + rng.uniform(1, 6)
        points = (bone.points - np.outer(above, (0, 1, 0)))[12:]
        tubes.append(Tube(points, above[12:] * 0.7, np.full(len(points), depth), 0, 1.0, 1.0))
    return tubes


def draw_ribs(patient: Patient, rng: Generator) -> list[Tube]:
    """Returns ten pairs of ribs as flattened `Tube`s on the rib cage's surface."""
    s = patient.scale
    common = {
        "pitch": 20.5 * s * (0.6 + 0.4 * patient.height / (280 * s)) * rng.uniform(0.93, 1.07),
        "start": rng.normal(-12, 5),
        "droop": rng.uniform(0.85, 1.35) * s,
        "hump": rng.normal(5, 4) * s,
        "high": rng.uniform(5.6, 7.6) * s,
        "cortex": rng.uniform(0.9, 2.0),
        "density": _bone_density(patient, rng) * rng.uniform(0.8, 1.5),
        "first": rng.uniform(0.85, 1.7),
        "ring": rng.uniform(0.78, 1.1),
    }
    return [_rib(patient, number, side, common, rng) for number in range(10) for side in (RIGHT, LEFT)]


def _rib(patient, number, side, common, rng):
    """Returns one rib from the spine round to the end of its bony part."""
    high = common["high"]
    end = np.radians(np.interp(number, (0, 2, 5, 7, 9), (152, 151, 147, 132, 106)) + rng.normal(0, 4))
    angle = np.linspace(0.05, end, 70)
    y = _rib_heights(number, angle, common, rng)
    points, half_axes = _rib_path(patient, number, side, angle, y, common["ring"])
    upright = _rib_upright(number, points, half_axes, np.interp(np.pi / 2, angle, y))
    front = np.interp(number, (0, 1), (1.5, 1.15))
    wide = np.interp(number, (0, 1, 2), (1.6, 1.05, 1)) * np.interp(angle, (0, 0.5, 2, end), (0.75, 1, 0.95, front))
    half_width = high * np.maximum(wide * np.hypot(upright[:, 0], upright[:, 1]), 0.55)
    thin = np.interp(number, (0, 2), (1.1, 0.75))
    thick = 0.46 * high * np.interp(angle, (0, 0.9, 1.3, 1.8, end), (1.4, 1.2, 0.7, 0.7, thin))
    density = common["density"] * np.interp(number, (0, 2), (common["first"], 1)) * rng.uniform(0.85, 1.2)
    return Tube(points, half_width, thick, common["cortex"], SHELL * density, 1.4 * CORE * density, upright=upright)


def _rib_heights(number, angle, common, rng):
    """Returns y of a rib's centre line: a little up behind, then down and forward, the more the lower the rib."""
    start = common["start"] + common["pitch"] * number * (1 + 0.012 * number)
    drop = np.interp(number, (0, 1, 2, 4, 7, 9), (70, 92, 110, 128, 142, 138)) * common["droop"] * rng.normal(1, 0.02)
    hump = common["hump"] * np.interp(number, (0, 2), (0.3, 1)) * np.sin(np.pi * np.clip(angle, 0, 1)) ** 2
    return start + drop * ((1 - np.cos(angle)) / 4 + angle / (2 * np.pi)) - 3 * np.sin(angle) - hump


def _rib_path(patient, number, side, angle, y, ring):
    """Returns a rib's centre line [n, 3] at `angle` round the chest from the spine, and its ring's half-axes.

    `ring` is the size of the first rib's ring beside that of the chest.
    """
    shrink = np.interp(number, (0, 1, 2, 3), (ring, 1.04, 1.02, 1))
    # The ring is as wide as the rib cage where the rib turns forward
    half_width = shrink * np.maximum(patient.cage(np.interp(1.45, angle, y)), 0.5 * patient.half_width)
    half_depth = shrink * (patient.depth(np.maximum(y, 6)) + 4)
    x = half_width * np.abs(np.sin(angle)) ** np.interp(number, (0, 3), (0.95, 0.76))
    return np.stack([side * x, y, half_depth * np.cos(angle)], 1), (half_width, half_depth)


def _rib_upright(number, points, half_axes, middle_y):
    """Returns the directions [n, 3] of a rib's width: within the chest wall, but for the first ribs, which lie flat."""
    wide, deep = half_axes
    normal = np.stack([points[:, 0] / wide**2, np.zeros(len(points)), points[:, 2] / deep**2], 1)
    upright = _unit(np.cross(np.gradient(points, axis=0), normal))
    flat = np.interp(number, (0, 1, 2), (1, 0.4, 0))
    outwards = _unit(points - (0, middle_y, 0))
    same = np.where(np.sum(outwards * upright, 1, keepdims=True) < 0, -1, 1)
    return _unit(flat * outwards * same + (1 - flat) * upright)


def _unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def draw_shoulders(
    patient: Patient, tips: dict[int, tuple[float, float]], rng: Generator
) -> tuple[list[Tube], list[np.ndarray]]:
    """Returns shoulder blades and upper arms: `Tube`s, and thin plates as corner points [n, 3]."""
    tubes, plates = [], []
    density, out, turn = _bone_density(patient, rng), rng.normal(14, 12), rng.normal(-0.12, 0.18)
    for side in (RIGHT, LEFT):
        own_out, own_turn = out + rng.normal(0, 4), turn + rng.normal(0, 0.06)
        place = _shoulder_frame(tips[side], side, patient.scale, own_out, own_turn)
        blade, plate = _shoulder_blade(place, patient.scale, density)
        tubes += blade + _upper_arm(place, patient.scale, density, rng)
        plates.append(plate)
    return tubes, plates


def _shoulder_frame(tip, side, scale, out, turn):
    """Returns a function from points relative to the acromion (outwards, down, back) to patient coordinates."""
    cos, sin = np.cos(turn), np.sin(turn)

    def place(points):
        across, down, back = np.array(points, float).T * scale
        x = tip[0] + cos * across - sin * down + np.clip(out * down / 100, -20, 40)
        return np.stack([side * x, tip[1] + sin * across + cos * down, back], 1)

    return place


def _bone(points, radii, cortex, density, blunt=1.0, flat=1.0):
    """Returns a `Tube` of bone with round or flattened section through control points, smoothed."""
    points, radii = np.asarray(points, float), np.asarray(radii, float)
    for _ in range(2):  # Chaikin's corner cutting
        points, radii = (_cut_corners(values) for values in (points, radii))
    return Tube(points, radii, flat * radii, cortex, SHELL * density, CORE * density, blunt)


def _cut_corners(values):
    quarter, three = 0.75 * values[:-1] + 0.25 * values[1:], 0.25 * values[:-1] + 0.75 * values[1:]
    inner = np.stack([quarter, three], 1).reshape(-1, *values.shape[1:])
    return np.concatenate([values[:1], inner, values[-1:]])


def _shoulder_blade(place, s, density):
    """Returns the borders, spine, acromion and coracoid of one shoulder blade, and the plate between its borders."""
    corners = [(-8, 36, 30), (-62, 18, 62), (-66, 60, 78), (-48, 150, 80), (-34, 110, 70), (-14, 56, 35)]
    spine = [(-64, 40, 85), (-40, 26, 85), (-14, 8, 62), (4, -2, 42), (12, 3, 34), (6, 9, 28)]
    coracoid = [(-28, 30, 24), (-31, 18, 8), (-23, 19, -8), (-10, 29, -18)]
    parts = [
        (corners[:2], (2.5, 1.5), 1, 1.0),
        (corners[1:4], (1.8, 1.8, 3), 1.2, 1.0),
        (corners[3:], (4, 3.8, 6), 1.8, 1.0),
        (spine, (2, 4, 5, 6.5, 7, 5), 1.4, 0.6),
        (coracoid, (6, 6, 5.5, 4), 1.4, 1.0),
        # The glenoid.
        ([(-5, 22, 30), (-9, 38, 30), (-6, 54, 30)], (4, 6.5, 4.5), 1.6, 1.0),
    ]
    bones = [_bone(place(line), np.array(radii) * s, cortex, density, flat=flat) for line, radii, cortex, flat in parts]
    return bones, place(corners)


def _upper_arm(place, s, density, rng):
    lean = rng.uniform(0.15, 0.7)
    head = _bone(place([(8, 34, 22), (20, 36, 20)]), np.array([19, 22]) * s, 1.2, 0.8 * density)
    far = (26 + 150 * np.sin(lean), 40 + 150 * np.cos(lean), -10)
    middle = (26 + 30 * np.sin(lean), 40 + 30 * np.cos(lean), 12)
    shaft = _bone(place([(20, 38, 20), middle, far]), np.array([20, 13.5, 11]) * s, 3.2, density)
    return [head, shaft]


def draw_spine(patient: Patient, rng: Generator) -> list[Tube]:
    """Returns the vertebrae's pedicles, spinous and transverse processes and bodies as `Tube`s."""
    s, density = patient.scale, 0.75 * _bone_density(patient, rng)
    pitch = rng.uniform(19.5, 22) * s
    phase, curve, bend = rng.uniform(0, 1), rng.normal(0, 4), rng.uniform(120, 260)
    tubes = []
    for number in range(-6, 20):
        y = pitch * (number + phase) * (1 + 0.008 * number)
        x = curve * np.sin(y / bend)
        tubes += _vertebra(x, y, pitch * (1 + 0.016 * number), number, s, density, rng)
    return tubes


def _vertebra(x, y, pitch, number, s, density, rng):
    """Returns one vertebra: body as an upright block, two pedicles, processes."""
    half = np.interp(number, (-6, 0, 13), (11, 15, 20)) * s
    depth = np.interp(number, (-6, 0, 13), (8, 10, 15)) * s
    back = np.interp(number, (-6, 0, 6, 13), (25, 45, 70, 60)) * s
    tall = 0.41 * pitch
    edge = np.array([-1, -0.94, -0.6, 0.6, 0.94, 1]) * tall
    waist = half * np.array([0.9, 1, 0.93, 0.93, 1, 0.9])
    line = np.stack([np.full(6, x), y + edge, np.full(6, back - 18 * s)], 1)
    tubes = [Tube(line, waist, np.full(6, depth), 1.3, SHELL * density, CORE * density * 1.1, blunt=0.3)]
    for side in (RIGHT, LEFT):
        eye = x + side * 0.62 * half
        tubes.append(_bone([(eye, y - 5 * s, back), (eye, y + 2 * s, back)], np.array([3.4, 3.4]) * s, 1.2, density))
        wing = rng.normal(30, 1.5) * s if number >= 0 else 22 * s
        tip = (x + side * wing, y - 6 * s, back + 12 * s)
        tubes.append(_bone([(eye, y - 3 * s, back + 5 * s), tip], np.array([3.5, 4.5]) * s, 1.0, density))
    spinous = [(x, y + 3 * s, back + 14 * s), (x + rng.normal(0, 1), y + (8 + number * 0.8) * s, back + 30 * s)]
    tubes.append(_bone(spinous, np.array([3.0, 4.0]) * s, 1.4, density))
    return tubes


def draw_jaw(patient: Patient, centre: tuple[float, float, float], rng: Generator) -> Tube:
    """Returns the lower jaw of a chin at `centre`, an arch that is open above."""
    s, around = patient.scale, np.radians(np.linspace(-105, 105, 40))
    arch = np.stack([46 * s * np.sin(around), 36 * s * np.cos(around), np.zeros(40)], 1)
    high, density = np.full(40, rng.uniform(7, 11) * s), _bone_density(patient, rng)
    return Tube(arch + centre, high, 0.8 * high, 2.5 * s, SHELL * density, CORE * density)


def draw_breastbone(patient: Patient, clavicles: dict[int, Tube], rng: Generator) -> list[Tube]:
    """Returns the manubrium and calcified first rib cartilages of the old as `Tube`s."""
    s, density = patient.scale, 0.6 * _bone_density(patient, rng)
    top, front = rng.normal(40, 5) * s, -0.95 * patient.half_depth
    line = np.array([[0, top, front], [0, top + 12 * s, front], [0, top + 45 * s, front]])
    wide, deep = np.array([24, 30, 18]) * s, np.full(3, 5.0) * s
    manubrium = Tube(line, wide, deep, 1.0, SHELL * density, CORE * density, blunt=0.3)
    strength = rng.uniform(0, 0.016)
    bands = [_first_cartilage(clavicles[side], side, s, front, strength, rng) for side in (RIGHT, LEFT)]
    return [manubrium, *bands, *_cartilages(patient, top + 10 * s, front, rng)]


def _first_cartilage(clavicle, side, scale, front, strength, rng):
    """Returns the first rib's cartilage with vessels and muscle on it: a soft band below the clavicle's medial part."""
    (inner_x, inner_y, _), *_ = clavicle.points
    outer = np.array([side * rng.uniform(50, 88) * scale, inner_y + rng.uniform(-6, 22) * scale, front])
    inner = np.array([inner_x, inner_y + rng.uniform(10, 24) * scale, front])
    middle = (inner + outer) / 2 + (0, rng.uniform(-2, 8) * scale, 0)
    path, high = _cut_corners(np.stack([inner, middle, outer])), np.linspace(1.15, 0.8, 6) * rng.uniform(6, 11) * scale
    density = strength * rng.uniform(0.7, 1.3)
    return Tube(path, high, 0.7 * high, 0, density, density, blunt=0.3)


def _cartilages(patient, y, front, rng):
    """Returns lumps of calcium in the cartilage of the first ribs, more with age."""
    lumps = []
    for side in (RIGHT, LEFT):
        for _ in range(rng.poisson(10 * patient.age)):
            place = np.array([side * rng.uniform(32, 56), y + rng.normal(6, 6), front]) * (patient.scale, 1, 1)
            size = np.full(2, rng.uniform(2, 7))
            lumps.append(Tube(np.stack([place, place + rng.normal(0, 4, 3)]), size, size, 0, 0.018, 0.018))
    return lumps
