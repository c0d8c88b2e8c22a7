"""One phantom: a random patient, posed before a detector, exposed and developed."""

import dataclasses

import cv2
import numpy as np

from crass_tf.phantom import detector, skeleton, thorax
from crass_tf.phantom.projection import View, ellipsoid, lay, turn_matrix
from crass_tf.phantom.thorax import LEFT, RIGHT

# Attenuation per millimetre of soft tissue and of inflated lung at about 110 kV.
SOFT, LUNG = 0.0185, 0.0045
RIGHT_CLAVICLE, LEFT_CLAVICLE, RIGHT_LUNG, LEFT_LUNG, HEART = 1, 2, 4, 8, 16
CLAVICLES, LUNGS = RIGHT_CLAVICLE | LEFT_CLAVICLE, RIGHT_LUNG | LEFT_LUNG


@dataclasses.dataclass(frozen=True, eq=False)
class Phantom:
    """A synthetic radiograph; the arrays are uint8 [size, size]."""

    image: np.ndarray  # bone bright
    mask: np.ndarray  # 1 for a clavicle over the rib cage or at most `reach_mm` beside it
    structures: np.ndarray  # bits: 1 right clavicle, 2 left clavicle, 4 right lung, 8 left lung, 16 heart
    spacing_mm: tuple[float, float]  # (row, column)


def render(seed: int, index: int, size: int, reach_mm: float = 0.0, bedside: bool = False) -> Phantom:
    """Returns the `Phantom` that belongs to these arguments, always the same one.

    Args:
        seed: Whole number from 0 that names a series of phantoms.
        index: Number of the phantom in the series.
        size: Side of the square image, pixels.
        reach_mm: How far to the side of the rib cage's outline the clavicles are annotated, as other readers may do;
            0 or more. The image does not depend on it.
        bedside: Whether the patient lies or sits in bed, the X-ray tube in front: short lungs, turned or leaning back,
            clavicles that are steeper and up to above the lungs, perhaps a chin over the neck.
    """
    # One random generator for each step: a change to one step does not change the draws of the others
    patient_rng, pose_rng, bone_rng, body_rng, film_rng, noise_rng, bed_rng = (
        np.random.Generator(np.random.PCG64(stream)) for stream in np.random.SeedSequence([seed, index]).spawn(7)
    )
    patient = thorax.draw_patient(patient_rng)
    view, higher_mm, steeper_deg, chin = _draw_pose(patient, size, pose_rng), 0.0, 0.0, False
    if bedside:
        patient, view, higher_mm, steeper_deg, chin = _put_to_bed(patient, view, bed_rng)
    clavicles = skeleton.draw_clavicles(patient, bone_rng, higher_mm, steeper_deg)
    attenuation, lungs, heart = _attenuation(patient, view, clavicles, bone_rng, body_rng)
    if chin:
        chords, centre = thorax.draw_chin(patient, view, bed_rng)
        attenuation += np.float32(SOFT) * chords + lay(view, [skeleton.draw_jaw(patient, centre, bed_rng)])
    structures = _structures(patient, view, clavicles, lungs, heart, bedside)
    image = _develop(attenuation, structures, view, film_rng, noise_rng)
    if reach_mm:
        # For the annotation: a rib cage whose outline is wider on each side.
        outer = {side: border + reach_mm for side, border in patient.outer.items()}
        structures = _structures(dataclasses.replace(patient, outer=outer), view, clavicles, lungs, heart, bedside)
    mask = ((structures & CLAVICLES) > 0).astype(np.uint8)
    return Phantom(image, mask, structures, (view.spacing_mm, view.spacing_mm))


def _draw_pose(patient, size, rng):
    """Returns a random `View`: field of 340 to 450 mm, lungs about in the middle, patient turned by a few degrees."""
    field_mm = rng.uniform(335, 440)
    field_mm = max(field_mm, 1.02 * 2 * patient.half_width * rng.uniform(0.97, 1.1))
    nod, turn, roll = np.radians(rng.normal(0, (4.0, 2.0, 1.7)))
    above = np.clip(rng.normal(0.085, 0.04), 0.005, 0.22) * field_mm
    centre = (rng.normal(0, 0.018) * field_mm, field_mm / 2 - above)
    # Spacing that a PNG can state exactly, in whole pixels per metre
    spacing_mm = 1000 / round(1000 * size / field_mm)
    return View(size, spacing_mm, centre, turn_matrix(nod, turn), float(roll))


def _put_to_bed(patient, view, rng):
    """Returns the patient with shallow breath, the `View` from in front, and `(higher_mm, steeper_deg, chin)`.

    That is how the clavicles differ, and whether the chin hangs over the neck.
    """
    height, scale = patient.height * rng.uniform(0.7, 1.0), patient.scale * rng.uniform(0.9, 1.2)
    higher_mm, steeper_deg = rng.uniform(-10, 45) * scale, float(np.clip(rng.normal(9, 8), -8, 22))
    chin = bool(rng.uniform() < 0.5)
    lean, turn, roll = np.radians(rng.normal((-8, 0, 0), (7, 5, 4)))
    spacing_mm = view.spacing_mm * rng.uniform(0.75, 1.0)
    # The field goes up with the clavicles, and its upper edge stays where it was when it shrinks.
    above = 0.8 * max(higher_mm, 0) + rng.uniform(0, 30)
    up = view.size * (view.spacing_mm - spacing_mm) / 2 + above
    view = dataclasses.replace(
        view,
        spacing_mm=1000 / round(1000 / spacing_mm),
        centre_mm=(view.centre_mm[0], view.centre_mm[1] - up),
        turn=view.turn @ turn_matrix(lean, turn),
        roll=view.roll + float(roll),
        focus_mm=-rng.uniform(900, 1400),
    )
    return dataclasses.replace(patient, height=height, scale=scale), view, higher_mm, steeper_deg, chin


def _attenuation(patient, view, clavicles, bone_rng, body_rng):
    """Returns line integrals [size, size], the lungs' silhouettes, and the heart's chords."""
    depth, lungs = thorax.draw_lungs(patient, view, body_rng)
    body = thorax.draw_body(patient, view, skeleton.find_tips(clavicles), body_rng)
    body += lay(view, skeleton.draw_companions(clavicles, body_rng)) * np.clip(body / 80 - 0.25, 0, 1)
    heart, great = thorax.draw_heart(patient, view, body_rng)
    air = np.minimum(_lung_air(patient, view, depth, heart, great, body_rng), body)
    air += _gas(patient, view, body_rng)
    windpipe = lay(view, thorax.draw_airways(patient, body_rng)) * (body > 60) * np.float32(body_rng.uniform(0.5, 1))
    total = np.float32(SOFT) * (body - windpipe) - np.float32(SOFT - LUNG) * air
    bones = _bones(patient, view, clavicles, bone_rng)
    return np.maximum(total, 0) + bones, lungs, heart


def _lung_air(patient, view, depth, heart, great, rng):
    """Returns the depth of lung tissue less heart, vessels and texture."""
    vessels = lay(view, thorax.draw_vessels(patient, rng)) * np.float32(rng.uniform(0.5, 1.1))
    clouds = _draw_clouds(view, rng)
    texture = 1 + clouds * np.float32(rng.uniform(0.006, 0.025))
    opacities = thorax.draw_opacities(patient, view, rng) * (1 + np.float32(0.25) * clouds)
    air = depth * texture - heart - great - np.maximum(opacities, 0)
    return np.maximum(air - np.minimum(vessels, 45), 0)


def _draw_clouds(view, rng):
    """Returns smooth noise [size, size] of unit size: features of 2 to 40 mm, the finer the fainter."""
    total = np.zeros((view.size, view.size), np.float32)
    for grain_mm, strength in ((40, 1.0), (18, 0.7), (8, 0.5), (4, 0.4), (2, 0.3)):
        cells = int(min(view.size, np.ceil(view.size * view.spacing_mm / grain_mm))) + 2
        noise = rng.standard_normal((cells, cells), np.float32)
        total += strength * cv2.resize(noise, (view.size, view.size), interpolation=cv2.INTER_CUBIC)
    return total


def _gas(patient, view, rng):
    """Returns the gastric bubble's depth as millimetres of lung."""
    size = rng.uniform(8, 34)
    top = patient.inspiration[LEFT] * patient.height
    centre = (rng.uniform(55, 95), top + size + rng.uniform(8, 25), -10)
    bubble = ellipsoid(view, centre, (1.3 * size, size, 1.2 * size), rng.normal(0, 0.3))
    level = centre[1] + rng.uniform(-0.2, 1) * size
    return bubble * (view.grid[1] < level) if rng.uniform() < 0.7 else np.zeros_like(bubble)


def _bones(patient, view, clavicles, rng):
    """Returns the attenuation of all bones [size, size] above that of soft tissue."""
    shoulders, plates = skeleton.draw_shoulders(patient, skeleton.find_tips(clavicles), rng)
    tubes = [*clavicles.values(), *shoulders, *skeleton.draw_ribs(patient, rng), *skeleton.draw_spine(patient, rng)]
    tubes += skeleton.draw_breastbone(patient, clavicles, rng)
    bones = lay(view, tubes)
    for corners in plates:
        # The covered part of each pixel.
        shape = np.zeros((view.size, view.size), np.uint8)
        cv2.fillPoly(shape, [np.rint(view.pixels(corners) * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
        bones += shape / np.float32(255) * np.float32(0.055)
    return bones * (1 + np.float32(0.06) * _draw_clouds(view, rng))


def _structures(patient, view, clavicles, lungs, heart, bedside):
    """Returns the outlines as bits. Each clavicle ends where it leaves the rib cage's outline, as readers draw it."""
    cage = thorax.cage_outline(patient, view, above=bedside)
    bits = np.zeros((view.size, view.size), np.uint8)
    for side, clavicle, lung in ((RIGHT, RIGHT_CLAVICLE, RIGHT_LUNG), (LEFT, LEFT_CLAVICLE, LEFT_LUNG)):
        bone = lay(view, [clavicles[side]], hard=True) > 0
        bits |= _keep_largest(bone & cage) * np.uint8(clavicle)
        bits |= (lungs[side] & (heart <= 0)) * np.uint8(lung)
    return bits | (heart > 0) * np.uint8(HEART)


def _keep_largest(mask):
    """Returns the largest piece of a bool mask as uint8: a bone that grazes the outline twice is annotated once."""
    _, labels, sizes, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    sizes[0] = 0
    return (mask & (labels == np.argmax(sizes[:, cv2.CC_STAT_AREA]))).astype(np.uint8)


def _develop(attenuation, structures, view, rng, noise_rng):
    density = detector.expose(attenuation, view.spacing_mm, rng, noise_rng)
    density = detector.enhance(density, view.spacing_mm, rng)
    grey = detector.tone(density, (structures & LUNGS) > 0, (structures & HEART) > 0, rng)
    detector.frame(grey, (structures & CLAVICLES) > 0, rng)
    return np.clip(np.rint(grey), 0, 255).astype(np.uint8)
