"""Marks the clavicles in a chest radiograph with NumPy, OpenCV and LiteRT alone: copy this file to the device.

The model is a cascade; the mask is that of `crass-tf predict`, which also refuses what is no chest radiograph.
    pip install numpy opencv-python-headless ai-edge-litert
    python segment_on_device.py model_int8.tflite radiograph.png mask.png
"""

import sys

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter


def main(model, radiograph, mask):
    image = cv2.imread(radiograph, cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH)
    if image is None or image.dtype not in (np.uint8, np.uint16):
        sys.exit(f"{radiograph}: found no image of unsigned 8 or 16 bits that OpenCV reads")
    bits = next(bits for bits in (8, 10, 12, 14, 16) if image.max() < 2**bits)  # Often fewer than 16.
    image = np.round(image * np.float32(255 / (2**bits - 1))).astype(np.uint8)
    if not (cv2.haveImageWriter(mask) and cv2.imwrite(mask, 255 * segment(Interpreter(model, num_threads=4), image))):
        sys.exit(f"{mask}: cannot be written, expected a name such as mask.png in a folder that is there")


def segment(interpreter, image):  # The mask uint8 [H, W] of 0 and 1 of a radiograph uint8 [H, W].
    locator, outliner = (interpreter.get_signature_runner(name) for name in ("locate", "segment"))
    x, y = clavicle_pixels(*locate(locator, image))
    if not len(x):
        return np.zeros_like(image)
    matrix, logits = outline(outliner, image, x, y)
    if (logits > 0).any():  # Once more: the strip is laid more exactly around an outline.
        x, y = clavicle_pixels(logits, cv2.invertAffineTransform(matrix))
        matrix, logits = outline(outliner, image, x, y)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP  # The matrix maps from the radiograph to the strip.
    return (cv2.warpAffine(logits, matrix, image.shape[::-1], flags=flags, borderValue=-20) > 0).astype(np.uint8)


def run(network, image):
    return network(image=image[None, :, :, None].astype(np.float32))["logits"][0, :, :, 0]


def locate(network, image):  # The whole radiograph, letterboxed; and the matrix back from there.
    _, rows, columns, _ = network.get_input_details()["image"]["shape"]
    scale = min(rows / image.shape[0], columns / image.shape[1])
    height, width = (max(1, round(side * scale)) for side in image.shape)
    top, left = (rows - height) // 2, (columns - width) // 2
    box = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    box = cv2.copyMakeBorder(box, top, rows - height - top, left, columns - width - left, cv2.BORDER_CONSTANT)
    fy, fx = image.shape[0] / height, image.shape[1] / width
    return run(network, box), np.array([[fx, 0, (0.5 - left) * fx - 0.5], [0, fy, (0.5 - top) * fy - 0.5]])


def clavicle_pixels(logits, matrix):  # Their coordinates in the radiograph, without specks.
    _, labels, stats, _ = cv2.connectedComponentsWithStats((logits > 0).astype(np.uint8))
    areas = stats[1:, cv2.CC_STAT_AREA]
    y, x = np.nonzero(np.isin(labels, 1 + np.flatnonzero(areas >= 0.25 * areas.max(initial=0))))
    return matrix @ np.stack([x, y, np.ones_like(x)])


def outline(network, image, x, y):  # In a strip that is level with both clavicles, which take 82 % of its width.
    (_, rows, columns, _), (height, width) = map(int, network.get_input_details()["image"]["shape"]), image.shape
    gap = np.diff(np.unique(x)).max(initial=0) > 0.05 * np.ptp(x)
    if abs((x.min() + x.max()) / 2 / width - 0.5) > 0.12 and not gap and np.ptp(x) < width / 2:
        x, y = np.concatenate([x, width - 1 - x]), np.concatenate([y, y])  # One was missed: it mirrors the other.
    first = x < (x.min() + x.max()) / 2
    tilt = np.arctan2(y[~first].mean() - y[first].mean(), x[~first].mean() - x[first].mean()) if first.any() else 0
    tilt *= abs(tilt) <= np.deg2rad(30)
    turn = np.array([[np.cos(tilt), np.sin(tilt)], [-np.sin(tilt), np.cos(tilt)]])
    low, high = np.quantile(turn @ [x, y], (0.01, 0.99), axis=1)
    scale = 0.82 * columns / max(high[0] - low[0], 1)
    shift = (np.array([columns, rows]) - 1 - scale * (low + high)) / 2
    size = [max(1, round(side * min(scale, 1))) for side in (width, height)]  # Where it shrinks, by area first.
    parts = scale * turn * np.divide([width, height], size)
    small_matrix = np.column_stack([parts, shift + (parts - scale * turn).sum(axis=1) / 2])
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return np.column_stack([scale * turn, shift]), run(network, cv2.warpAffine(small, small_matrix, (columns, rows)))


if __name__ == "__main__":
    main(*sys.argv[1:]) if len(sys.argv) == 4 else sys.exit(__doc__)
