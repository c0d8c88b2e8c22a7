"""From rays to an image: scatter, blur, noise, tone curve, collimation, film borders and markers."""

import cv2
import numpy as np
from numpy.random import Generator


def expose(attenuation: np.ndarray, spacing_mm: float, rng: Generator, noise_rng: Generator) -> np.ndarray:
    """Returns line integrals of the attenuation [size, size], 0 for air, with scatter, blur and noise.

    What `noise_rng` draws depends on the size, so that the rest looks alike at any size.
    """
    primary = np.exp(-attenuation)
    # Dense parts scatter more radiation than they transmit
    scatter = _scatter(0.35 * attenuation * primary, spacing_mm) * np.float32(rng.uniform(0.15, 0.9))
    signal = cv2.GaussianBlur(primary, (0, 0), rng.uniform(0.15, 0.45) / spacing_mm) + scatter
    noise = noise_rng.standard_normal(signal.shape, np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), max(0.15 / spacing_mm, 0.35))
    photons = np.float32(10 ** rng.uniform(5.0, 6.5) * spacing_mm**2)
    signal += noise * np.sqrt(signal / photons)
    return -np.log(np.maximum(signal, 1e-5))


def _scatter(source, spacing_mm):
    """Returns `source` [size, size] spread over some 35 mm."""
    step = max(1, int(round(8 / spacing_mm)))
    size = source.shape[0]
    small = cv2.resize(source, (max(8, size // step),) * 2, interpolation=cv2.INTER_AREA)
    spread = cv2.GaussianBlur(small, (0, 0), 35 / (spacing_mm * size / len(small)), borderType=cv2.BORDER_REPLICATE)
    return cv2.resize(spread, (size, size), interpolation=cv2.INTER_CUBIC)


def enhance(density: np.ndarray, spacing_mm: float, rng: Generator) -> np.ndarray:
    """Returns `density` with the local contrast that digital units add, for about half of the radiographs."""
    gain, reach_mm = max(0, rng.uniform(-0.6, 0.8)), rng.uniform(6, 40)
    fine = max(0, rng.uniform(-0.8, 0.6))
    size = density.shape[0]
    small = cv2.resize(density, (size // 2, size // 2), interpolation=cv2.INTER_AREA)
    smooth = cv2.GaussianBlur(small, (0, 0), reach_mm / (2 * spacing_mm))
    flat = density - cv2.resize(smooth, (size, size), interpolation=cv2.INTER_LINEAR)
    sharp = density - cv2.GaussianBlur(density, (0, 0), 1.2 / spacing_mm)
    return density + np.float32(gain) * flat + np.float32(fine) * sharp


def tone(density: np.ndarray, lung: np.ndarray, centre: np.ndarray, rng: Generator) -> np.ndarray:
    """Returns grey values 0..255 as floats, by a random rising curve through the densities of air, lungs and centre.

    Film and digital units show the same body with very different curves; what they share is that lungs are dark,
    the mediastinum is bright, and the order never changes. `density` [size, size] is the logarithm of the exposure,
    bright for bone; `lung` and `centre` are bool [size, size]: lung fields and mediastinum.
    """
    air = float(np.percentile(density[::4, ::4], 0.5))
    dark, mid = (float(value) for value in np.percentile(density[lung], (4, 60)))
    bright = float(np.percentile(density[centre], 70))
    greys = _draw_film_greys(rng) if rng.uniform() < 0.5 else _draw_digital_greys(rng)
    anchors = np.maximum.accumulate([min(air, dark - 0.3), dark, max(mid, dark + 0.05), max(bright, dark + 0.3)])
    grey = _apply_curve(density, anchors, greys)
    if rng.uniform() < 0.06:  # an overexposed or badly digitised picture, white all over
        grey = 255 - (255 - grey) * np.float32(rng.uniform(0.08, 0.4))
    return grey


def _draw_film_greys(rng):
    """Returns grey values of air, of dark and middling lung, and of the heart as digitised film has them."""
    heart = rng.uniform(205, 245)
    middling = heart - rng.uniform(28, 75)
    dark = middling - rng.uniform(20, 55)
    return np.array([dark * rng.uniform(0.15, 0.8), dark, middling, heart])


def _draw_digital_greys(rng):
    """Returns the same four as digital units show them: darker, with more contrast."""
    heart = rng.uniform(140, 240)
    middling = heart * rng.uniform(0.4, 0.75)
    dark = middling * rng.uniform(0.35, 0.8)
    return np.array([dark * rng.uniform(0.0, 0.7), dark, middling, heart])


def _apply_curve(density, anchors, greys):
    """Returns grey values by a smooth rising curve through `anchors`, which levels off above the last one."""
    ends = [anchors[0] - 2, *anchors, anchors[-1] + 1.0, anchors[-1] + 4]
    top = 255 - greys[-1]
    table_x = np.linspace(ends[0], ends[-1], 2048)
    table = np.interp(table_x, ends, [greys[0] * 0.9, *greys, greys[-1] + 0.7 * top, 254.5])
    table = cv2.GaussianBlur(table[None], (0, 0), 0.12 / (table_x[1] - table_x[0]), borderType=cv2.BORDER_REPLICATE)[0]
    place = (density - np.float32(table_x[0])) / np.float32(table_x[1] - table_x[0])
    return table.astype(np.float32)[np.clip(np.rint(place), 0, 2047).astype(np.int32)]


def frame(grey: np.ndarray, clavicles: np.ndarray, rng: Generator) -> None:
    """Draws collimation, film borders, label patches and side letters on `grey` [size, size] in place.

    None of them covers a pixel of the bool mask `clavicles` [size, size].
    """
    rows, columns = (np.flatnonzero(clavicles.any(axis)) for axis in (1, 0))
    last = len(grey) - 1
    free = (rows[0], last - columns[-1], last - rows[-1], columns[0]) if rows.size else (0, 0, 0, 0)
    if rng.uniform() < 0.35:
        _draw_borders(grey, free, rng, value=rng.uniform(0, 12), widest=0.07)
    if rng.uniform() < 0.3:
        _draw_borders(grey, free, rng, value=rng.uniform(235, 255), widest=0.02)
    if rng.uniform() < 0.45:
        _draw_patches(grey, free[0], rng)
    if rng.uniform() < 0.5:
        _draw_letter(grey, clavicles, rng)


def _draw_borders(grey, free, rng, value, widest):
    """Covers each edge (top, right, bottom, left) with probability a half, up to `free` pixels."""
    for turn, most in enumerate(free):
        width = min(int(len(grey) * rng.uniform(0, widest)), most)
        if rng.uniform() < 0.5:
            np.rot90(grey, turn)[:width] = value


def _draw_patches(grey, free, rng):
    """Blots out labels in the upper corners, up to `free` rows high, rarely at the lower edge."""
    size = len(grey)
    value = 0 if rng.uniform() < 0.9 else rng.uniform(0, 255)
    for left in (True, False):
        wide, high = rng.uniform(0.08, 0.2) * size, min(rng.uniform(0.02, 0.09) * size, free)
        if rng.uniform() < 0.8:
            x0 = rng.uniform(0, 0.12) * size if left else size - wide - rng.uniform(0, 0.12) * size
            grey[: int(high), int(x0) : int(x0 + wide)] = value
    if rng.uniform() < 0.12:
        x0, y0 = int(rng.uniform(0.05, 0.7) * size), int(rng.uniform(0.85, 0.92) * size)
        grey[y0 : y0 + size // 8, x0 : x0 + size // 5] = value


def _draw_letter(grey, clavicles, rng):
    size = grey.shape[0]
    right = rng.uniform() < 0.6
    x = int(size * rng.uniform(*((0.02, 0.1) if right else (0.86, 0.93))))
    place = x, int(size * rng.uniform(0.06, 0.25))
    font = int(rng.choice([cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_TRIPLEX]))
    scale, width = size / 512 * rng.uniform(0.6, 1.4), max(1, int(round(size / 512 * rng.uniform(1, 3))))
    shape = np.zeros(grey.shape, np.uint8)
    cv2.putText(shape, "R" if right else "L", place, font, scale, 255, width, cv2.LINE_AA)
    shape[clavicles] = 0
    grey += (np.float32(rng.uniform(200, 255)) - grey) * (shape / np.float32(255))
