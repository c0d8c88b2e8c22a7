"""The forms in which a segmentation is written to files: one entry of `OUTPUTS` for each."""

import dataclasses
import importlib.util
from collections.abc import Callable, Sequence

from crass_tf.common.files import InputError
from crass_tf.prediction.outputs import coco, dicom_seg, lines, pictures, record


@dataclasses.dataclass(frozen=True)
class Output:
    """One form of a result.

    Attributes:
        suffix: what follows the radiograph's stem in the file's name.
        write: `write(path, segmentation, source, model)` writes the file, whole or not at all; `source` and `model` are
            the paths of the radiograph and of the model. It may return lines for the user. Raises InputError where this
            radiograph has no such result.
        needs: a package that `write` imports and a device may be without; "" for none.
    """

    suffix: str
    write: Callable
    needs: str = ""


OUTPUTS = {
    "mask": Output("_mask.png", pictures.write_mask),
    "labels": Output("_labels.png", pictures.write_labels),
    "overlay": Output("_overlay.png", pictures.write_overlay),
    "json": Output(".json", record.write),
    "probability": Output("_probability.png", pictures.write_probability),
    "measures": Output("_measures.png", pictures.write_measures),
    "contours": Output("_contours.json", lines.write),
    "coco": Output("_coco.json", coco.write),
    "dicom-seg": Output("_seg.dcm", dicom_seg.write, needs="highdicom"),
}
DEFAULTS = ("mask", "labels", "overlay", "json")


def check_outputs(names: Sequence[str]) -> None:
    """Raises InputError unless all names, at least one, are of `OUTPUTS`, and what they need is installed."""
    unknown = [name for name in names if name not in OUTPUTS]
    if unknown or not names:
        raise InputError(f"outputs: found {', '.join(unknown) or 'none'}, expected some of {', '.join(OUTPUTS)}")
    for name in names:
        if OUTPUTS[name].needs and importlib.util.find_spec(OUTPUTS[name].needs) is None:
            raise InputError(f"{name} needs {OUTPUTS[name].needs}; install it with: pip install crass-tf[dicom]")
