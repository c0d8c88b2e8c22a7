"""The forms in which a segmentation is written to files: one entry of `OUTPUTS` for each."""

import dataclasses
from collections.abc import Callable

from crass_tf.prediction.outputs import coco, dicom_seg, record


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
    "mask": Output("_mask.png", record.write_mask),
    "labels": Output("_labels.png", record.write_labels),
    "overlay": Output("_overlay.png", record.write_overlay),
    "json": Output(".json", record.write_json),
    "probability": Output("_probability.png", record.write_probability),
    "contours": Output("_contours.json", record.write_contours),
    "coco": Output("_coco.json", coco.write),
    "dicom-seg": Output("_seg.dcm", dicom_seg.write, needs="highdicom"),
}
DEFAULTS = ("mask", "labels", "overlay", "json")
