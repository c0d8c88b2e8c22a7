"""Radiographs that are nearly the same: re-encoded, resized, brightened, inverted, cropped, turned a little, mirrored.

All chest radiographs look alike when they are small: ranks of grey values on 12 x 12 pixels correlate by up to 0.98
between 124 patients. So that comparison only proposes partners, and each is aligned and compared in the detail that is
a person's own: in what 128 x 128 pixels show beyond a blur. There, aligned, different patients reached 0.56 and
different phantoms 0.58. Copies reached 0.8 and more at whatever brightness, gamma and size, turned by 2 degrees, or
with a tenth cropped off each side. A copy that was changed more, or clipped or rounded to few grey values, may be
missed.
"""

import dataclasses
import itertools
from collections.abc import Sequence

import cv2
import numpy as np

from crass_tf.check.examples import THUMBNAIL
from crass_tf.common.parallel import ordered_map

THRESHOLD = 0.75
# Proposals: the most similar partners of each radiograph, if they are similar at all.
PARTNERS = 3
PROPOSED_FROM = 0.9
COARSE = 12
# Each side cut off by none, half or all of a tenth.
CUTS = (0.0, 0.05, 0.1)
WINDOWS = list(itertools.product(CUTS, repeat=4))
# Of the 128 pixels: what is finer is a person's own; what lies at the rim is often the detector's.
DETAIL = 2.5
RIM = 12
LEAST_OVERLAP = 0.4


@dataclasses.dataclass(frozen=True)
class Proposal:
    """Two radiographs to compare: `part` shows what lies in the window of `whole`, mirrored or inverted perhaps."""

    whole: int
    part: int
    window: tuple[float, float, float, float]
    mirrored: bool
    inverted: bool


@dataclasses.dataclass(frozen=True)
class Pair:
    """Two radiographs by their positions, first before second; `correlation` of their detail from 0 to 1."""

    first: int
    second: int
    mirrored: bool
    correlation: float


def near_pairs(thumbnails: Sequence[np.ndarray]) -> list[Pair]:
    """Returns the `Pair`s of nearly the same radiographs among thumbnails, float32 `[128, 128]` of ranks."""
    if len(thumbnails) < 2:
        return []
    best = {}
    for pair in ordered_map(lambda proposal: _compare(thumbnails, proposal), propose(thumbnails)):
        key = pair.first, pair.second
        if pair.correlation >= THRESHOLD and (key not in best or pair.correlation > best[key].correlation):
            best[key] = pair
    return [best[key] for key in sorted(best)]


def propose(thumbnails: Sequence[np.ndarray]) -> list[Proposal]:
    """Returns the `Proposal`s: of each radiograph its most similar partners, upright and mirrored."""
    upright = [_coarse(image) for image in thumbnails]
    mirrored = [_coarse(image[:, ::-1]) for image in thumbnails]
    looks = ordered_map(lambda image: _best_windows(image, np.stack(upright + mirrored)), thumbnails)
    # Both [whole, 2, part], the 2 being upright and mirrored.
    score, place = (np.stack(rows).reshape(len(thumbnails), 2, -1) for rows in zip(*looks))
    return [
        Proposal(whole, part, WINDOWS[place[whole, flip, part]], bool(flip), bool(score[whole, flip, part] < 0))
        for flip in (0, 1)
        for whole, part in _most_similar(np.abs(score[:, flip]))
    ]


def detail_correlation(
    whole: np.ndarray, part: np.ndarray, window: tuple[float, float, float, float], inverted: bool = False
) -> float:
    """Returns how alike two thumbnails are in detail, 0 to 1, after aligning them.

    Args:
        whole: float32 `[128, 128]` of ranks.
        part: another one, that may show a window of the first.
        window: where aligning starts, `(top, bottom, left, right)`: the share that is cut off each side of `whole`.
        inverted: whether bright means dark in one of them.
    """
    top, bottom, left, right = window
    start = np.array([[1 - left - right, 0, left * THUMBNAIL], [0, 1 - top - bottom, top * THUMBNAIL]], np.float32)
    whole = 1 - whole if inverted else whole
    criteria = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 12, 1e-4)
    try:
        # No mask: OpenCV takes None, which its annotations leave out.
        _, warp = cv2.findTransformECC(part, whole, start, cv2.MOTION_AFFINE, criteria, None, 5)  # pyright: ignore
    except cv2.error:
        # What cannot be aligned is not the same.
        return 0.0
    inside = _warp(np.ones_like(whole), warp) == 1
    inside[:RIM] = inside[-RIM:] = inside[:, :RIM] = inside[:, -RIM:] = False
    if inside.mean() < LEAST_OVERLAP:
        return 0.0
    return _correlation(_detail(part)[inside], _detail(_warp(whole, warp))[inside])


def _compare(thumbnails, proposal):
    """Returns the `Pair` of a proposal."""
    whole, part = thumbnails[proposal.whole], thumbnails[proposal.part]
    part = np.ascontiguousarray(part[:, ::-1]) if proposal.mirrored else part
    correlation = detail_correlation(whole, part, proposal.window, proposal.inverted)
    first, second = sorted((proposal.whole, proposal.part))
    return Pair(first, second, proposal.mirrored, correlation)


def _best_windows(image, parts):
    """Returns the correlation of each part `[N, 144]` with that window of an image it is most like, and which it is."""
    windows = np.stack([_coarse(_cut(image, window)) for window in WINDOWS])
    alike = parts @ windows.T
    place = np.abs(alike).argmax(axis=1)
    return alike[np.arange(len(parts)), place], place


def _most_similar(score):
    """Returns `(whole, part)` of the best scores `[N, N]` in each row and in each column, without the diagonal."""
    score = score * ~np.eye(len(score), dtype=bool)
    by_part = np.argsort(-score, axis=0, kind="stable")[:PARTNERS].T
    by_whole = np.argsort(-score, axis=1, kind="stable")[:, :PARTNERS]
    chosen = {(whole, part) for whole, parts in enumerate(by_whole.tolist()) for part in parts}
    chosen |= {(whole, part) for part, wholes in enumerate(by_part.tolist()) for whole in wholes}
    return sorted((whole, part) for whole, part in chosen if score[whole, part] >= PROPOSED_FROM)


def _cut(image, window):
    cuts = [round(share * THUMBNAIL) for share in window]
    return image[cuts[0] : THUMBNAIL - cuts[1], cuts[2] : THUMBNAIL - cuts[3]]


def _coarse(image):
    """Returns 12 x 12 pixels as a vector of mean 0 and length 1; of zeros for a constant image."""
    small = cv2.resize(np.ascontiguousarray(image), (COARSE, COARSE), interpolation=cv2.INTER_AREA).ravel()
    small = small - small.mean()
    return small / max(float(np.linalg.norm(small)), 1e-6)


def _detail(image):
    return image - cv2.GaussianBlur(image, (0, 0), DETAIL)


def _warp(image, warp):
    return cv2.warpAffine(image, warp, image.shape[::-1], flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)


def _correlation(a, b):
    a, b = a - a.mean(), b - b.mean()
    return float(np.clip(a @ b / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-9), 0, 1))
