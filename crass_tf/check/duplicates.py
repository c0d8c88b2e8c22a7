"""Radiographs and masks that are there more than once: the same pixels, or nearly the same radiograph.

Such copies were re-encoded, resized, brightened, inverted, cropped, turned a little or mirrored. All chest
radiographs look alike when they are small: ranks of grey values on 12 x 12 pixels correlate by up to 0.98 between 124
patients. So that comparison only proposes partners, and each is aligned and compared in the detail that is a person's
own: in what 128 x 128 pixels show beyond a blur. There, aligned, different patients reached 0.56 and different phantoms
0.58. Copies reached 0.8 and more at whatever brightness, gamma and size, turned by 2 degrees, or with a tenth cropped
off each side. A copy that was changed more, or clipped or rounded to few grey values, may be missed.
"""

import collections
import itertools
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from crass_tf.check.examples import THUMBNAIL, Look
from crass_tf.common.parallel import ordered_map
from crass_tf.geometry import FROM_RESULT
from crass_tf.sources.source import SPOILS, Finding

ACROSS = " across splits"
# The least correlation in detail of two radiographs that are nearly the same.
THRESHOLD = 0.75
# Proposals: the most similar partners of each radiograph, if they are similar at all.
PARTNERS = 3
PROPOSED_FROM = 0.9
COARSE = 12
# Crops: 0, 5 or 10 % of each side (top, bottom, left, right).
WINDOWS = list(itertools.product((0.0, 0.05, 0.1), repeat=4))
# In the 128 pixels: finer detail differs between persons; the rim often shows the detector.
DETAIL = 2.5
RIM = 12
LEAST_OVERLAP = 0.4


class Pair(NamedTuple):
    """Two radiographs by their positions, first before second; `correlation` of their detail from 0 to 1."""

    first: int
    second: int
    mirrored: bool
    correlation: float


def duplicate_flags(looks: Sequence[Look]) -> list[Finding]:
    """Returns the flags of radiographs and masks that are there twice.

    Constant radiographs are left out: they have a flag of their own, and all look alike.
    """
    looks = [look for look in looks if look.grey is not None and len(set(look.grey.range.tolist())) > 1]
    groups = _groups(looks, lambda look: look.grey.digest)
    exact = [_flag("duplicate", group, "the same pixels") for group in groups if len(group) > 1]
    # Only the first of exact duplicates is compared further.
    pairs = near_pairs([group[0].grey.thumbnail for group in groups])
    return [*exact, *_near_flags(groups, pairs), *_mask_flags([group[0] for group in groups], pairs)]


def near_pairs(thumbnails: Sequence[np.ndarray]) -> list[Pair]:
    """Returns the `Pair`s of nearly the same radiographs among thumbnails, float32 `[128, 128]` of ranks."""
    if len(thumbnails) < 2:
        return []
    pairs = ordered_map(lambda proposal: _compare(thumbnails, *proposal), _propose(thumbnails))
    # Of the comparisons of two radiographs the best one comes last and stays.
    ranked = sorted(pairs, key=lambda pair: pair.correlation)
    best = {pair[:2]: pair for pair in ranked if pair.correlation >= THRESHOLD}
    return [best[key] for key in sorted(best)]


def _near_flags(groups, pairs):
    for pair in pairs:
        first, second = groups[pair.first], groups[pair.second]
        how = "mirrored, " if pair.mirrored else ""
        what = f"nearly the same radiograph ({how}correlation in detail {pair.correlation:.2f})"
        yield _flag("near-duplicate", [first[0], second[0]], what, _splits(first), _splits(second))


def _mask_flags(looks, pairs):
    """Returns the flags of masks that different radiographs share; those nearly the same may."""
    near = {pair[:2] for pair in pairs}
    drawn = [number for number, look in enumerate(looks) if look.mask is not None and look.mask.pixels]
    return [
        _flag("same mask", [looks[i] for i in group], "the same mask for different radiographs", of_masks=True)
        for group in _groups(drawn, lambda number: looks[number].mask.digest)
        if any(two not in near for two in itertools.combinations(group, 2))
    ]


def _flag(kind, looks, what, *splits, of_masks=False):
    """Returns the flag of looks that share something; `splits` are theirs, unless more than they have."""
    splits = splits or [_splits([look]) for look in looks]
    across = any(a != b for one, other in itertools.combinations(splits, 2) for a in one for b in other)
    paths = tuple(str(path) for look in looks for path in (look.mask_paths if of_masks else [look.image_path]))
    where = "; ".join(f"{look.image_id} in {' and '.join(look.splits) or 'no split'}" for look in looks)
    text = f"{' and '.join(paths)}: found {what} ({where}), expected each once"
    return Finding(kind + (ACROSS if across else ""), SPOILS, text, tuple(look.image_id for look in looks), paths)


def _groups(looks, key):
    groups = collections.defaultdict(list)
    for look in looks:
        groups[key(look)].append(look)
    return list(groups.values())


def _splits(looks):
    return {split for look in looks for split in look.splits}


def _propose(thumbnails):
    """Returns `(whole, part, window of whole, mirrored, inverted)` of each radiograph's most similar partners."""
    upright = [_shrink_to_vector(image) for image in thumbnails]
    mirrored = [_shrink_to_vector(image[:, ::-1]) for image in thumbnails]
    looks = ordered_map(lambda image: _find_best_windows(image, np.stack(upright + mirrored)), thumbnails)
    # Both [whole, 2, part], the 2 being upright and mirrored.
    score, place = (np.stack(rows).reshape(len(thumbnails), 2, -1) for rows in zip(*looks))
    return [
        (whole, part, WINDOWS[place[whole, flip, part]], bool(flip), score[whole, flip, part] < 0)
        for flip in (0, 1)
        for whole, part in _find_most_similar(np.abs(score[:, flip]))
    ]


def _find_best_windows(image, parts):
    """Returns the correlation of each part `[N, 144]` with that window of an image it is most like, and which it is."""
    windows = np.stack([_shrink_to_vector(_cut_window(image, *window)) for window in WINDOWS])
    alike = parts @ windows.T
    place = np.abs(alike).argmax(axis=1)
    return alike[np.arange(len(parts)), place], place


def _find_most_similar(score):
    """Returns `[whole, part]` of the best scores `[N, N]` in each row and in each column, without the diagonal."""
    score = np.where(np.eye(len(score)), 0, score)
    # Ranks from 0 on; of equal scores the first is best.
    by_whole, by_part = (np.argsort(-score, axis, kind="stable").argsort(axis) for axis in (1, 0))
    return np.argwhere((np.minimum(by_whole, by_part) < PARTNERS) & (score >= PROPOSED_FROM)).tolist()


def _compare(thumbnails, whole, part, window, mirrored, inverted):
    """Returns the `Pair` of two thumbnails, of which `part`, mirrored perhaps, shows what lies in a window of `whole`.

    The alignment starts there; radiographs that cannot be aligned are not the same.
    """
    first, second = sorted((whole, part))
    whole = 1 - thumbnails[whole] if inverted else thumbnails[whole]
    part = np.ascontiguousarray(thumbnails[part][:, ::-1]) if mirrored else thumbnails[part]
    top, bottom, left, right = window
    start = np.array([[1 - left - right, 0, left * THUMBNAIL], [0, 1 - top - bottom, top * THUMBNAIL]], np.float32)
    criteria = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 12, 1e-4)
    try:
        # No mask: OpenCV takes None, which its annotations leave out.
        _, warp = cv2.findTransformECC(part, whole, start, cv2.MOTION_AFFINE, criteria, None, 5)  # pyright: ignore
    except cv2.error:
        return Pair(first, second, mirrored, 0.0)
    return Pair(first, second, mirrored, _detail_correlation(part, whole, warp))


def _detail_correlation(part, whole, warp):
    """Returns the correlation, 0 to 1, of what is finer than a blur, off the rim; 0 where little overlaps."""
    inside = _warp(np.ones_like(whole), warp) == 1
    inside[:RIM] = inside[-RIM:] = inside[:, :RIM] = inside[:, -RIM:] = False
    if inside.mean() < LEAST_OVERLAP:
        return 0.0
    details = [image - cv2.GaussianBlur(image, (0, 0), DETAIL) for image in (part, _warp(whole, warp))]
    a, b = (_standardise(detail[inside]) for detail in details)
    return float(np.clip(a @ b, 0, 1))


def _warp(image, warp):
    return cv2.warpAffine(image, warp, image.shape[::-1], flags=FROM_RESULT)


def _cut_window(image, *window):
    top, bottom, left, right = (round(share * THUMBNAIL) for share in window)
    return image[top : THUMBNAIL - bottom, left : THUMBNAIL - right]


def _shrink_to_vector(image):
    """Returns 12 x 12 pixels as a vector of mean 0 and length 1; of zeros for a constant image."""
    return _standardise(cv2.resize(np.ascontiguousarray(image), (COARSE, COARSE), interpolation=cv2.INTER_AREA).ravel())


def _standardise(values):
    """Returns values with mean 0 and length 1; zeros for constant ones."""
    values = values - values.mean()
    return values / max(float(np.linalg.norm(values)), 1e-6)
