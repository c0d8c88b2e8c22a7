"""Clavicle segmentation in chest radiographs: data set, model, training and deployment. Not a medical device.

Importing the package loads neither TensorFlow nor Keras nor TensorFlow Datasets: each name below is imported when it is
first asked for.
"""

import contextlib
import importlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crass_tf.data.augmentation import Augmentation as Augmentation
    from crass_tf.data.augmentation import augmentation as augmentation
    from crass_tf.data.loading import load_arrays as load_arrays
    from crass_tf.data.pipeline import training_dataset as training_dataset
    from crass_tf.evaluation.scoring import evaluate as evaluate
    from crass_tf.export.exporting import export as export
    from crass_tf.inference.segmenter import Segmentation as Segmentation
    from crass_tf.inference.segmenter import Segmenter as Segmenter
    from crass_tf.model.clavicles import clavicle_model as clavicle_model
    from crass_tf.model.losses import DiceCrossEntropy as DiceCrossEntropy
    from crass_tf.model.losses import dice_cross_entropy as dice_cross_entropy
    from crass_tf.model.metrics import IoU as IoU
    from crass_tf.model.unet import unet as unet
    from crass_tf.radiographs.radiograph import Radiograph as Radiograph
    from crass_tf.radiographs.radiograph import read_radiograph as read_radiograph

__version__ = "0.2.0"

# Each public name and the module that it comes from.
HOMES = {
    "Augmentation": "crass_tf.data.augmentation",
    "DiceCrossEntropy": "crass_tf.model.losses",
    "IoU": "crass_tf.model.metrics",
    "Radiograph": "crass_tf.radiographs.radiograph",
    "Segmentation": "crass_tf.inference.segmenter",
    "Segmenter": "crass_tf.inference.segmenter",
    "augmentation": "crass_tf.data.augmentation",
    "clavicle_model": "crass_tf.model.clavicles",
    "dice_cross_entropy": "crass_tf.model.losses",
    "evaluate": "crass_tf.evaluation.scoring",
    "export": "crass_tf.export",
    "load_arrays": "crass_tf.data.loading",
    "read_radiograph": "crass_tf.radiographs.radiograph",
    "training_dataset": "crass_tf.data.pipeline",
    "unet": "crass_tf.model.unet",
}
__all__ = list(HOMES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> object:
    """Imports a public name when it is first asked for, so that `import crass_tf` stays light."""
    if name not in HOMES:
        raise AttributeError(f"module 'crass_tf' has no attribute {name!r}")
    module = importlib.import_module(HOMES[name])
    # `crass_tf.export` is a subpackage that can be called like the function of its name.
    value = module if module.__name__ == f"crass_tf.{name}" else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _KerasWatch:
    """Registers loss and metric once Keras has been imported, so that `load_model` finds them."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != "keras":
            return None
        specs = (finder.find_spec(name, path, target) for finder in sys.meta_path if finder is not self)
        spec = next((spec for spec in specs if spec is not None), None)
        if spec is None or spec.loader is None:
            return spec
        exec_module = spec.loader.exec_module

        def exec_and_register(module: Any) -> None:
            exec_module(module)
            if self in sys.meta_path:
                sys.meta_path.remove(self)
            _register()

        spec.loader.exec_module = exec_and_register
        return spec


def _register() -> None:
    # Keras has to work even where, for example, OpenCV is missing.
    with contextlib.suppress(ImportError):
        importlib.import_module("crass_tf.model")


if "keras" in sys.modules:
    _register()
else:
    sys.meta_path.insert(0, _KerasWatch())
