"""Marks the clavicles in a chest radiograph with NumPy, OpenCV and LiteRT alone: copy this file to the device.

    pip install numpy opencv-python-headless pillow ai-edge-litert
    python segment_on_device.py model_int8.tflite radiograph.png mask.png

Research software, not a medical device.
"""

import sys

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter

LEAST_SCORE = 0.5  # Below it there is no clavicle.


def segment(model, image):
    """Returns the mask of a radiograph uint8 [H, W]: uint8 [H, W] of 0 and 255."""
    square, inside = letterbox(image, 1024)
    outputs = Interpreter(model, num_threads=2).get_signature_runner("serving_default")(image=square)
    return to_mask(outputs["logits"][0], outputs["score"][0], inside, image.shape)


def letterbox(image, size):
    """Returns the radiograph in a black square, float32 [1, size, size, 1], and where it lies in it: rows, columns."""
    height, width = (max(1, round(side * size / max(image.shape))) for side in image.shape)
    top, left = (size - height) // 2, (size - width) // 2
    inside = slice(top, top + height), slice(left, left + width)
    square = np.zeros((1, size, size, 1), np.float32)
    way = cv2.INTER_AREA if max(image.shape) > size else cv2.INTER_LINEAR
    square[0, *inside, 0] = cv2.resize(image, (width, height), interpolation=way)
    return square, inside


def to_mask(logits, score, inside, shape):
    """Returns the mask on a radiograph's own grid from logits float32 [h, w, 2] and the scores of both clavicles."""
    logits = np.where(score >= LEAST_SCORE, logits, -20).max(axis=2)
    square = cv2.resize(logits, (1024, 1024))[inside]
    return 255 * (cv2.resize(square, shape[::-1]) > 0).astype(np.uint8)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    model, radiograph, mask = sys.argv[1:]
    image = cv2.imread(radiograph, cv2.IMREAD_GRAYSCALE)
    if image is None:
        sys.exit(f"{radiograph}: found no image that OpenCV reads")
    if not (cv2.haveImageWriter(mask) and cv2.imwrite(mask, segment(model, image))):
        sys.exit(f"{mask}: cannot be written, expected a name such as mask.png in a folder that is there")
