"""Times one training step of the default U-Net with and without XLA: milliseconds an image, best of several steps.

python benchmarks/training_step.py [--image-size 256] [--batch-size 4]
"""

import argparse
import time

import numpy as np

from crass_tf.training.fitting import build, compile_model
from crass_tf.training.settings import Settings

STEPS = 12


def main():
    """Prints a line for each setting, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image-size", type=int, default=256)
    parser.add_argument("--batch-size", type=int, default=4)
    args = parser.parse_args()
    figures = {jit: milliseconds(args.image_size, args.batch_size, jit) for jit in (True, False)}
    for jit_compile, value in figures.items():
        print(f"{args.image_size} x {args.image_size}, XLA {'on' if jit_compile else 'off'}: {value:.1f} ms an image")
    print(f"ratio: {figures[True] / figures[False]:.2f}")


def milliseconds(size, batch_size, jit_compile):
    """Returns the best step's milliseconds an image."""
    settings = Settings(image_size=(size, size), batch_size=batch_size, jit_compile=jit_compile)
    model = build(settings)
    compile_model(model, settings)
    rng = np.random.default_rng(0)
    images = rng.uniform(0, 255, (batch_size, size, size, 1)).astype(np.float32)
    masks = (rng.random(images.shape) > 0.98).astype(np.uint8)
    model.train_on_batch(images, masks)
    return min(_timed(lambda: model.train_on_batch(images, masks)) for _ in range(STEPS)) * 1000 / batch_size


def _timed(step):
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
