"""Changed views of a radiograph: a model that is right outlines the same clavicles in all of them."""

from collections.abc import Iterator

import cv2
import numpy as np

from crass_tf.geometry import Letterbox

# Of the first views: enough for a second look at a doubtful radiograph. Chosen one after the other on 80 phantoms of
# patients in bed; see benchmarks/accuracy.md.
SECOND_LOOK = 8


def views(image: np.ndarray, image_size: tuple[int, int]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields 16 views of a radiograph uint8 `[H, W]`, turned, scaled, mirrored, cropped and processed.

    The first one is the unchanged radiograph. Each is `(view, matrix)`: uint8 of the model's `image_size`, and the
    matrix float64 `[3, 3]` that maps the radiograph's coordinates (x, y, 1) to the view's. Where it mirrors, the
    clavicles change sides.
    """
    box = Letterbox.fit(image.shape, image_size)
    # Not larger than the model sees it, so that filters have the same widths in all large radiographs.
    height, width = image.shape
    reduced = Letterbox.fit(image.shape, (min(height, box.inner[0]), min(width, box.inner[1])))
    small, whole = reduced.image_to_model(image), box.matrix
    local = cv2.createCLAHE(3.0, (6, 6)).apply(small)
    smooth = cv2.GaussianBlur(small, (0, 0), 1.5)
    brighter, darker = (np.rint(255 * (small / 255) ** gamma).astype(np.uint8) for gamma in (0.6, 1.6))
    rows, columns = image_size
    mirror = np.array([[-1, 0, columns - 1], [0, 1, 0], [0, 0, 1]], float)
    lower = np.array([[1, 0, 0], [0, 0.85, 0.06 * rows], [0, 0, 1]])
    narrower = np.array([[0.85, 0, 0.075 * columns], [0, 1, 0], [0, 0, 1]])

    def turn(degrees, scale):
        """Turns and enlarges about where clavicles use to lie."""
        centre = (columns - 1) / 2, 0.39 * rows
        return np.vstack([cv2.getRotationMatrix2D(centre, degrees, scale), [0, 0, 1]])

    def upper(part):
        """Fits the upper part of the radiograph into the view."""
        return Letterbox.fit((max(1, round(part * height)), width), image_size).matrix

    changed = [
        (small, whole),
        (local, mirror @ upper(0.5)),
        (small, turn(-7, 1) @ whole),
        (small, turn(14, 1) @ whole),
        (smooth, turn(-10, 1.3) @ whole),
        (brighter, turn(4, 1.2) @ whole),
        (local, whole),
        (small, lower @ whole),
        (small, mirror @ whole),
        (smooth, turn(0, 0.9) @ whole),
        (small, turn(-14, 1) @ whole),
        (small, turn(7, 1) @ whole),
        (small, turn(0, 0.78) @ whole),
        (darker, mirror @ turn(-4, 1.1) @ whole),
        (local, narrower @ whole),
        (small, upper(0.65)),
    ]
    enlarge = np.linalg.inv(reduced.matrix)
    for grey, matrix in changed:
        yield cv2.warpAffine(grey, (matrix @ enlarge)[:2], image_size[::-1], flags=cv2.INTER_LINEAR), matrix
