"""Whether masks lie on the edges of their radiographs, or fit another radiograph or the mirror image better.

A mask fits a radiograph where its outline runs as the radiograph's grey values rise: the fit is the mean cosine between
the inward normals of the outline and the radiograph's gradient on a grid of 512 x 512. It is about 0.6 for clavicles
outlined by hand, and 0, on average, where a mask belongs to another radiograph. No grey value's size counts, so that
contrast and exposure do not.

On 124 radiographs of patients no mask fitted another radiograph better than that one's own mask did, nor mirrored
better than as it is (differences below -0.05). With every mask moved to the next radiograph, or mirrored, most masks
fit no better in place than a little aside; no sound data set comes near that.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np

from crass_tf.check.flags import spoiling_flag
from crass_tf.geometry import resize
from crass_tf.sources.source import SPOILS, Finding

if TYPE_CHECKING:
    from crass_tf.check.examples import Look

GRID = 512
# Clavicles lie in the upper half: the lower one is not kept.
ROWS = GRID // 2
# Directions are 256 parts of a full turn.
COSINE = np.cos(np.arange(256) * np.pi / 128).astype(np.float32)
# Least and most pixels of an outline: fewer are a speck; of more, a sample is compared.
LEAST_POINTS, MOST_POINTS = 40, 600
SHIFT = 20
SHIFTS = [(row * SHIFT, column * SHIFT) for row in range(-2, 3) for column in range(-2, 3) if (row, column) != (0, 0)]

# A mask belongs to another radiograph if it fits that one by at least LEAST_FIT, and by FOREIGN_BY better than its own
# radiograph, and than the other one's own mask does.
LEAST_FIT, FOREIGN_BY, MIRRORED_BY = 0.35, 0.15, 0.12
# Median fit from which mirroring or exchange explains a whole data set. The best of 200 wrong ones is 0.36.
EXPLAINS = 0.45
# Each mask is compared with so many neighbours in the list of names.
PARTNERS = 200
# The share of shifted places where a mask fits less than where it is: 1 for nearly all sound masks. Where half of the
# masks are below this, something is wrong with the data set, not with one mask.
LEAST_SHARE, LEAST_MASKS = 0.85, 8

FOREIGN, MIRRORED, MISPLACED = "mask of another radiograph", "mirrored mask", "misplaced masks"
EXPLANATIONS = {
    FOREIGN: "but most fit another radiograph",
    MIRRORED: "but most fit mirrored",
    MISPLACED: "neither mirrored nor another one",
}


@dataclasses.dataclass(frozen=True)
class Registration:
    """A radiograph's gradient and its mask's outline, on the upper half of a grid of 512 x 512."""

    directions: np.ndarray  # uint8 `[256, 512]`, of the gradient; 256 is a full turn
    rows: np.ndarray  # whole numbers `[N]`, of the outline's pixels
    columns: np.ndarray
    normals: np.ndarray  # uint8 `[N]`, directions into the mask
    own: float  # the fit of the mask where it is
    mirrored: float  # the fit of the mirrored mask
    share: float  # of shifted places in which the mask fits less than where it is


def register(pixels: np.ndarray, mask: np.ndarray) -> Registration | None:
    """Returns the `Registration` of grey values `[H, W]` and a mask `[H, W]` of 0 and 1; None without an outline."""
    steepness, into_mask = _gradient(mask)
    rows, columns = np.nonzero(steepness > 0.5 * steepness.max())
    if len(rows) < LEAST_POINTS:
        return None
    some = slice(None, None, -(-len(rows) // MOST_POINTS))
    rows, columns = rows[some], columns[some]
    normals = into_mask[rows, columns]
    _, directions = _gradient(pixels)
    own = _fit(directions, rows, columns, normals)
    # Mirrored, a direction a becomes half a turn less a.
    mirrored = _fit(directions, rows, GRID - 1 - columns, 128 - normals)
    shifted = [
        _fit(directions, np.clip(rows + down, 0, ROWS - 1), np.clip(columns + right, 0, GRID - 1), normals)
        for down, right in SHIFTS
    ]
    share = float(np.mean(np.array(shifted) < own))
    return Registration(directions, rows, columns, normals, float(own), float(mirrored), share)


def registration_flags(looks: Sequence[Look], ignored: Collection[str] = ()) -> list[Finding]:
    """Returns the flags of masks that fit another radiograph, or mirrored, better than their own radiograph.

    If most masks do, there is one flag for the whole data set. The `ignored` ones cannot be judged, such as inverted
    radiographs.
    """
    judged = [look for look in looks if look.registration and look.image_id not in ignored]
    if not judged:
        return []
    registrations = [look.registration for look in judged if look.registration]
    owners, foreign = _find_best_partners(registrations)
    own, mirrored, shares = np.array([(r.own, r.mirrored, r.share) for r in registrations]).T
    if len(judged) >= LEAST_MASKS and np.median(shares) < LEAST_SHARE:
        return [_data_set_flag(judged, own, mirrored, foreign)]
    flags = []
    for look, owner, here, turned, there in zip(judged, owners, own, mirrored, foreign):
        if there >= max(LEAST_FIT, turned) and there - here > FOREIGN_BY:
            flags.append(_flag(FOREIGN, look, f"{judged[owner].image_path} better than its own", there, here))
        elif turned >= LEAST_FIT and turned - here > MIRRORED_BY:
            flags.append(_flag(MIRRORED, look, "its radiograph better mirrored", turned, here))
    return flags


def _find_best_partners(registrations):
    """Returns `(owners, fits)`, `[N]` each: the other radiograph that a mask fits best, among those with a worse mask.

    A fit is -1 where the mask fits no other radiograph better than that radiograph's own mask.
    """
    directions = np.stack([r.directions for r in registrations])
    own = np.array([r.own for r in registrations])
    owners, fits = np.zeros(len(own), int), np.full(len(own), -1.0)
    for mask, registration in enumerate(registrations):
        first = max(0, min(mask - PARTNERS // 2, len(own) - PARTNERS))
        partners = slice(first, first + PARTNERS)
        fit = _fit(directions[partners], registration.rows, registration.columns, registration.normals)
        fit[fit - own[partners] <= FOREIGN_BY] = -1
        owners[mask], fits[mask] = first + int(fit.argmax()), fit.max()
    return owners, fits


def _flag(kind, look, what, fit, own):
    problem = f"found a mask that fits {what} ({fit:.2f} against {own:.2f})"
    return spoiling_flag(kind, look, look.mask_paths, f"{problem}, expected the clavicles of {look.image_path}")


def _data_set_flag(judged, own, mirrored, foreign):
    """Returns the flag of a data set whose masks, as a whole, lie elsewhere than the radiographs' edges."""
    median, kind = max((np.median(mirrored), MIRRORED), (np.median(foreign), FOREIGN))
    kind = kind if median >= EXPLAINS else MISPLACED
    folder = judged[0].mask_paths[0].parent
    problem = f"masks that fit their radiographs no better than moved aside (median fit {np.median(own):.2f})"
    text = f"{folder}: found {problem}, {EXPLANATIONS[kind]}; expected them on the radiographs' edges (about 0.6)"
    return Finding(kind, SPOILS, text, tuple(look.image_id for look in judged), (str(folder),))


def _gradient(pixels):
    """Returns the steepness and the direction, uint8, of the upper half of pixels `[H, W]` on the grid."""
    # Three more rows than the half, since blur and differences reach beyond it.
    small = resize(pixels, (GRID, GRID))[: ROWS + 4].astype(np.float32)
    smooth = cv2.GaussianBlur(small, (0, 0), 1)
    right, down = (cv2.Sobel(smooth, cv2.CV_32F, *order)[:ROWS] for order in ((1, 0), (0, 1)))
    directions = np.round(cv2.phase(right, down) * (128 / np.pi)).astype(np.uint16)
    return cv2.magnitude(right, down), directions.astype(np.uint8)


def _fit(directions, rows, columns, normals):
    """Returns the mean cosine between directions `[..., 256, 512]` and an outline's normals."""
    return COSINE[directions[..., rows, columns] - normals].mean(axis=-1)
