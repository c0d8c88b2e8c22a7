"""Settings that were found good, by name; `benchmarks/accuracy.md` shows what each of them gave."""

import dataclasses

from crass_tf.data.augmentation import Augmentation
from crass_tf.data.loading import NATIVE_CONFIG
from crass_tf.data.views import STRIP
from crass_tf.training.settings import Settings

# A locator has to find clavicles of any size, anywhere; where they end to the pixel is not its task.
LOCATE = Settings(
    config=NATIVE_CONFIG,
    image_size=(256, 256),
    filters=(8, 16, 32, 48, 56),
    epochs=150,
    augmentation=Augmentation(
        rotation_deg=12,
        scale=1.5,
        stretch=1.08,
        shift=0.2,
        gamma=2.0,
        contrast=1.5,
        brightness=25,
        invert=0.25,
        blur=0.4,
        noise=15,
        shading=40,
        bars=0.3,
        faint=0.08,
        negatives=0.12,
    ),
)
# What the locator missed a strip by: scale 2 %, position 5 pixels, tilt 1 degree (standard deviations).
SEGMENT = Settings(
    config=NATIVE_CONFIG,
    view=STRIP,
    image_size=(256, 640),
    epochs=120,
    augmentation=Augmentation(
        rotation_deg=6,
        scale=1.1,
        shift=0.05,
        elastic=0.01,
        gamma=2.0,
        contrast=1.4,
        brightness=20,
        invert=0.1,
        blur=0.3,
        noise=10,
        shading=30,
        faint=0.06,
    ),
)
# Phantoms are many and much alike: a few passes teach what they can teach.
PHANTOM_EPOCHS = 24
# From there on, what is left to learn is how real clavicles and their outlines differ.
TUNED = {"epochs": 50, "learning_rate": 1.5e-3}
# A step of the locator costs a fifth of the outliner's, and a strip laid wrongly costs all.
# By then it stands wider ranges, which keep it from learning anything within the phantoms' few passes.
WIDE = dataclasses.replace(LOCATE.augmentation, rotation_deg=18, scale=2.0)
TUNED_LOCATE = TUNED | {"epochs": 300, "augmentation": WIDE}

DEFAULT_PRESET = "unet"
PRESETS = {
    DEFAULT_PRESET: (Settings(),),
    "cascade": (LOCATE, SEGMENT),
    "cascade-phantoms": tuple(dataclasses.replace(s, epochs=PHANTOM_EPOCHS) for s in (LOCATE, SEGMENT)),
    "cascade-tuned": (dataclasses.replace(LOCATE, **TUNED_LOCATE), dataclasses.replace(SEGMENT, **TUNED)),
}
