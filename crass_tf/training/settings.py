"""What a training run is a function of."""

import dataclasses
import json
import math
import pathlib
import typing

from crass_tf.common.files import InputError, write_json
from crass_tf.common.types import PathLike
from crass_tf.data.augmentation import Augmentation
from crass_tf.data.folds import parse_fold
from crass_tf.data.loading import DEFAULT_CONFIG, DEFAULT_DATASET
from crass_tf.data.views import WHOLE, View

# In a run's folder.
FILE_NAME = "settings.json"
MODEL_NAME = "model.keras"
# Networks' initial weights are drawn from multiples of the seed, which TensorFlow takes up to 2^63.
LARGEST_SEED = 2**32 - 1


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings of a training run; `RUN/settings.json` holds them."""

    # For the record: the TFDS data set's name and config, the split trained on, the split watched (None with a fold).
    dataset: str = DEFAULT_DATASET
    config: str = DEFAULT_CONFIG
    split: str = "train"
    validation_split: str | None = "validation"
    fold: str | None = None  # `2/5`: the second of five folds of `split` is watched and not trained on
    held_out: tuple[str, ...] | None = None  # sorted names of that fold's radiographs
    view: str = WHOLE  # what the network sees: `whole` radiographs, their `sides`, or the `strip` around a clavicle
    image_size: tuple[int, int] = (512, 512)  # (height, width) of the network's grid
    filters: tuple[int, ...] | None = None  # channels at strides 2 to 32; None takes the network's own
    epochs: int = 120
    batch_size: int = 4
    learning_rate: float = 2e-3  # the peak, after the warm-up and before the cosine decay to 0
    warmup: float = 0.05  # part of all steps over which the learning rate rises
    weight_decay: float = 1e-2  # of AdamW
    ema_momentum: float = 0.99  # of the moving average of the weights, which is what is validated and saved
    seed: int = 0  # of initial weights, order and augmentation
    precision: str = "float32"  # Keras dtype policy: or `mixed_float16`, `mixed_bfloat16`
    jit_compile: bool = True  # whether XLA compiles the step
    augmentation: Augmentation | None = Augmentation()  # how far radiographs are changed; None for not at all

    def __post_init__(self):
        for name in ("epochs", "batch_size", "learning_rate"):
            if not 0 < getattr(self, name) < math.inf:
                raise InputError(f"{name}: found {getattr(self, name)}, expected a number above 0")
        if not 0 <= self.seed <= LARGEST_SEED:
            raise InputError(f"seed: found {self.seed}, expected 0 to {LARGEST_SEED}")
        if not 0 <= self.warmup < 1 or not 0 <= self.ema_momentum < 1:
            raise InputError(f"found warmup {self.warmup}, ema_momentum {self.ema_momentum}, expected 0 to below 1")
        self.make_view()
        if self.fold is not None:
            parse_fold(self.fold)
        if bool(self.fold) != bool(self.held_out) or (self.fold and self.validation_split):
            raise InputError("found only part of a fold's settings, expected fold, held_out and no validation_split")

    def make_view(self) -> View:
        """Returns the `View` of the network."""
        return View(self.image_size, self.view)

    def save(self, run: PathLike) -> None:
        """Writes `RUN/settings.json`."""
        write_json(pathlib.Path(run) / FILE_NAME, dataclasses.asdict(self))

    @classmethod
    def load(cls, run: PathLike) -> typing.Self:
        """Returns the settings that `RUN/settings.json` holds."""
        path = pathlib.Path(run) / FILE_NAME
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            augmentation = stored.pop("augmentation")
            stored.pop("class_weight", None)  # Older runs have it.
            values: dict[str, typing.Any] = {
                name: tuple(value) if isinstance(value, list) else value for name, value in stored.items()
            }
            return cls(**values, augmentation=augmentation and Augmentation(**augmentation))
        except FileNotFoundError:
            raise InputError(f"{path}: file not found, expected the settings of a training run") from None
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path}: found no settings of a training run ({error})") from None

    def differences(self, other: "Settings") -> list[str]:
        """Returns a list of `name: mine, not theirs` for what differs."""
        mine, theirs = dataclasses.asdict(self), dataclasses.asdict(other)
        # Names of many radiographs would fill the screen.
        return [
            "held_out: other radiographs" if name == "held_out" else f"{name}: {mine[name]}, not {theirs[name]}"
            for name in mine
            if mine[name] != theirs[name]
        ]
