"""Pictures that are no chest radiographs: a finder learns from them that a picture may show no clavicles.

Drawn, not collected: noise, clouds, overlapping shapes as of photographs, hands, long bones, pages. uint8 `[H, W]`.
"""

import cv2
import numpy as np
from numpy.random import Generator


def negative(size: tuple[int, ...], rng: Generator) -> np.ndarray:
    """Returns a picture of `size`, `(height, width)`, of a kind that the generator chooses."""
    kinds = (_draw_blank, _draw_noise, _draw_clouds, _draw_leaves, _draw_hand, _draw_bones, _draw_page)
    picture = kinds[rng.integers(len(kinds))](size, rng)
    return np.clip(picture, 0, 255).astype(np.uint8)


def _draw_blank(size, rng):
    """One grey, or a gradient."""
    height, width = size
    slope = rng.uniform(-80, 80, 2) * rng.integers(0, 2)
    rows, columns = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)[None]
    return rng.uniform(0, 255) + slope[0] * rows + slope[1] * columns


def _draw_noise(size, rng):
    picture = rng.normal(rng.uniform(60, 200), rng.uniform(10, 90), size).astype(np.float32)
    return cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.3, 4)) if rng.random() < 0.5 else picture


def _draw_clouds(size, rng):
    """Noise of all scales, strongest in the coarsest."""
    height, width = size
    picture, roughness = np.zeros(size, np.float32), rng.uniform(0.4, 0.8)
    for octave in range(7):
        knots = rng.standard_normal((2 + 2**octave, 2 + 2**octave)).astype(np.float32)
        picture += roughness**octave * cv2.resize(knots, (width, height), interpolation=cv2.INTER_CUBIC)
    return rng.uniform(90, 170) + rng.uniform(30, 80) * picture


def _draw_leaves(size, rng):
    """Shapes that cover each other, as things do in photographs, each with a shade and a texture."""
    height, width = size
    picture = np.full(size, rng.uniform(0, 255), np.float32)
    for _ in range(int(rng.integers(5, 120))):
        shape = np.zeros(size, np.uint8)
        centre = (int(rng.integers(width)), int(rng.integers(height)))
        radius = max(2, int(min(size) * 0.5 * rng.random() ** 2))
        if rng.random() < 0.5:
            axes = (radius, max(1, int(radius * rng.uniform(0.2, 1))))
            cv2.ellipse(shape, centre, axes, float(rng.uniform(0, 180)), 0, 360, 1, -1)
        else:
            corners = cv2.boxPoints((centre, (2 * radius, radius * rng.uniform(0.2, 2)), float(rng.uniform(0, 90))))
            cv2.fillPoly(shape, [corners.astype(np.int32)], 1)
        picture = np.where(shape > 0, rng.uniform(0, 255), picture)
    picture = cv2.GaussianBlur(picture.astype(np.float32), (0, 0), rng.uniform(0.5, 2))
    return picture + rng.uniform(0, 0.3) * (_draw_clouds(size, rng) - 128)


def _draw_hand(size, rng):
    """A palm and five fingers with their bones, in any direction, bright on dark as in a radiograph."""
    height, width = size
    unit, turn = min(size) * rng.uniform(0.6, 1.1), rng.uniform(-np.pi, np.pi) * (rng.random() < 0.5)
    tissue, bone = np.zeros(size, np.float32), np.zeros(size, np.float32)
    wrist = np.array([width / 2, height / 2 + 0.3 * unit])

    def line(picture, start, end, thickness, grey):
        (x0, y0), (x1, y1) = ((wrist + _rotate(np.array(p) * unit, turn)).astype(int).tolist() for p in (start, end))
        cv2.line(picture, (x0, y0), (x1, y1), grey, max(1, int(thickness * unit)), cv2.LINE_AA)

    line(tissue, (0, 0.1), (0, -0.2), 0.3, 90)
    for finger, spread in enumerate(np.linspace(-0.9, 0.5, 5)):
        length = (0.45, 0.62, 0.68, 0.63, 0.52)[finger] * rng.uniform(0.9, 1.1)
        tip = np.array([np.sin(spread), -np.cos(spread)]) * length
        line(tissue, (0, 0), tip, 0.09, 90)
        joints = np.array([0.1, 0.5, 0.52, 0.74, 0.76, 0.98])[:, None] * tip
        for start, end in zip(joints[::2], joints[1::2]):
            line(bone, start, end, rng.uniform(0.025, 0.045), 120)
    picture = rng.uniform(0, 40) + cv2.GaussianBlur(tissue, (0, 0), 2) + cv2.GaussianBlur(bone, (0, 0), 0.7)
    return picture if rng.random() < 0.7 else 255 - picture


def _draw_bones(size, rng):
    """One to three long bones with round ends in soft tissue."""
    height, width = size
    picture = np.full(size, rng.uniform(0, 40), np.float32)
    for _ in range(int(rng.integers(1, 4))):
        ends = rng.uniform(-0.2, 1.2, (2, 2)) * (width, height)
        thickness = int(min(size) * rng.uniform(0.05, 0.15))
        for grey, factor in ((rng.uniform(40, 90), 3.0), (rng.uniform(90, 200), 1.0)):
            drawn = np.zeros(size, np.float32)
            start, end = (tuple(int(c) for c in p) for p in ends)
            cv2.line(drawn, start, end, grey, int(factor * thickness), cv2.LINE_AA)
            for point in (start, end):
                cv2.circle(drawn, point, int(0.8 * factor * thickness), grey, -1, cv2.LINE_AA)
            picture = np.maximum(picture, cv2.GaussianBlur(drawn, (0, 0), 1.5))
    return picture


def _draw_page(size, rng):
    """Dark lines of words on white paper."""
    height, width = size
    picture = np.full(size, rng.uniform(200, 255), np.float32)
    line = max(3, int(height * rng.uniform(0.015, 0.05)))
    for top in range(line, height - line, 2 * line):
        x = line
        while x < width - line:
            length = int(rng.integers(line, 6 * line))
            picture[top : top + line, x : min(x + length, width - line)] = rng.uniform(0, 90)
            x += length + line
    return picture


def _rotate(point, angle):
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ point
