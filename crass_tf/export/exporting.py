"""The export: every form from one Keras model, checked, compared, described, moved into place."""

import hashlib
import itertools
import pathlib
import shutil
import sys
import tempfile

from crass_tf import metadata
from crass_tf.export import conversion
from crass_tf.export.description import NOT_STATED, describe
from crass_tf.export.model_card import model_card
from crass_tf.export.operators import check_contract, count_operators
from crass_tf.export.parity import Form, Served, compare, judge
from crass_tf.files import InputError, write_json, write_text
from crass_tf.radiograph import Radiograph

FORMS = {
    "keras_float16": "model_float16.keras",
    "saved_model": "saved_model",
    "float32": "model_float32.tflite",
    "float16": "model_float16.tflite",
    "dynamic_int8": "model_dynamic_int8.tflite",
    "int8": "model_int8.tflite",
}
# Moved in this order: the description comes last, so it never stands beside files that it does not describe.
FILES = (*FORMS.values(), "parity.json", "model_card.md")


def export(
    model_path,
    out,
    calibration,
    examples,
    *,
    calibration_source="phantoms",
    examples_source="phantoms",
    training_data=NOT_STATED,
    terms=NOT_STATED,
):
    """Writes `FILES` to a folder: all of them, or none where something fails.

    Other files in the folder stay. Progress is printed, a line for each step. A form that departs further from Keras
    than `parity.LEAST_IOU` allows is written, too; a line on stderr says so.

    Args:
        model_path: a `.keras` file.
        out: the folder, made where it is missing.
        calibration: `crass_tf.data.loading.Example`s that set the int8 ranges: 16 to 64 from the training split.
        examples: the Examples that the forms are compared on, from the validation split; `mask` may be None.
        calibration_source: where `calibration` comes from, for `parity.json`.
        examples_source: where `examples` come from.
        training_data: what the model was trained on, for the model card and the `.tflite` files.
        terms: on what terms its weights may be used, for both, too.

    Returns:
        What `parity.json` holds: `{"reference": {...}, "inputs": {...}, "forms": {name: {...}}}`. Of each form
        `passed` says whether it agrees with Keras as it should.

    Raises:
        InputError: for what is no such Keras model, an output folder that holds something else under one of the
            names, a converted model that breaks the contract, or no radiographs.
    """
    model_path, out = pathlib.Path(model_path), pathlib.Path(out)
    reference, model = _load(model_path)
    images = _calibration(reference.segmenter, calibration)
    examples = _not_empty(examples, "compare the forms on")
    _check_out(out)
    with tempfile.TemporaryDirectory(dir=out, prefix=".export-") as name:
        folder = pathlib.Path(name)
        conversion.write_compact_keras(model_path, folder / FORMS["keras_float16"])
        _write_forms(model, folder, images, training_data=training_data, terms=terms)
        parity = _measure(reference, model, folder, examples, examples_source)
        parity["inputs"]["calibration"] = {"source": calibration_source, "n": len(images[0])}
        write_json(folder / "parity.json", parity)
        write_text(folder / "model_card.md", model_card(parity, training_data, terms, _checksums(folder)))
        _move(folder, out)
    print(f"export: {out} holds {', '.join(FILES)}")
    _warn(parity["forms"])
    return parity


def _load(path):
    """Returns the Form and the model of a `.keras` file."""
    if path.suffix != ".keras":
        raise InputError(f"{path}: found {path.suffix or 'no suffix'}, expected a .keras file to export")
    reference = Form(path)
    import keras

    if keras.backend.backend() != "tensorflow":
        raise InputError(f"KERAS_BACKEND: found {keras.backend.backend()}, expected tensorflow: only it can export")
    return reference, keras.saving.load_model(path, compile=False)


def _calibration(segmenter, examples):
    """Returns, for each network, what it takes for examples; those where a locator finds nothing are left out."""
    radiographs = [Radiograph(example.image, example.spacing_mm, example.image_id) for example in examples]
    inputs = [segmenter.inputs(radiograph) for radiograph in radiographs]
    found = [each for each in inputs if len(each) == len(segmenter.networks)]
    return [list(network) for network in zip(*_not_empty(found, "calibrate on"))]


def _not_empty(items, purpose):
    """Returns an iterator over the same items; raises InputError where there are none."""
    items = iter(items)
    for first in items:
        return itertools.chain([first], items)
    raise InputError(f"found no radiographs to {purpose}, expected at least one")


def _check_out(out):
    """Makes the folder; raises InputError where it cannot be made or export would replace what is not an export."""
    if (out / "saved_model").exists() and not (out / "saved_model" / "saved_model.pb").is_file():
        raise InputError(f"{out / 'saved_model'}: found something else than a SavedModel there; give another folder")
    for name in FILES:
        if name != FORMS["saved_model"] and (out / name).is_dir():
            raise InputError(f"{out / name}: found a folder there, expected a file; give another folder")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out}: the folder cannot be made ({error.strerror})") from None


def _write_forms(model, folder, images, **about):
    """Writes every form; `images` float32 `[h, w, 1]`, a list for each network, calibrate the int8 one."""

    def write(form, data):
        name = FORMS[form]
        check_contract(name, data)
        (folder / name).write_bytes(metadata.attach(data, describe(model, form, **about)))

    print("export: SavedModel")
    conversion.write_saved_model(model, folder / FORMS["saved_model"])
    print("export: LiteRT float32")
    float32 = conversion.to_float32(model)
    write("float32", float32)
    print("export: LiteRT float16")
    write("float16", conversion.to_float16(model))
    print("export: LiteRT int8, dynamic")
    write("dynamic_int8", conversion.to_dynamic_int8(float32))
    print(f"export: LiteRT int8, calibrated on {len(images[0])} radiographs")
    write("int8", conversion.to_int8(float32, images))


def _measure(reference, model, folder, examples, source):
    """Returns the content of `parity.json`, but for the calibration."""
    print(f"export: comparing with Keras on {source}")
    others = {name: Form(folder / file) for name, file in FORMS.items()}
    others[conversion.FROM_BYTES] = Served(folder / FORMS["saved_model"])
    image_ids, agreement = compare(reference, others, examples)
    sizes = [list(network.image_size) for network in reference.segmenter.networks]
    shape = {"image_size": sizes[0], "strip_size": sizes[1] if len(sizes) > 1 else None}
    shape["parameters"] = model.count_params()
    truth = {"iou_truth": agreement["keras"]["iou_truth"]}
    forms = {name: _facts(form) | judge(name, agreement[name]) for name, form in others.items()}
    for name, facts in forms.items():
        print(f"export: {name}: {facts['bytes']} bytes, mask IoU to Keras {facts['mask_iou']['mean']:.4f}")
    return {
        "reference": _facts(reference) | shape | truth,
        "inputs": {"source": source, "n": len(image_ids), "image_ids": image_ids},
        "forms": forms,
    }


def _facts(form):
    """Returns the name, size and latency of a model and, for a `.tflite`, its operators."""
    path = form.path
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    operators = count_operators(path.read_bytes()) if path.suffix == ".tflite" else None
    size = sum(file.stat().st_size for file in files)
    return {"file": path.name, "bytes": size, "operators": operators, "latency_ms": form.latency_ms()}


def _warn(forms):
    """Says on stderr which forms depart from Keras further than they may."""
    for name, form in forms.items():
        if not form["passed"]:
            found = f"mask IoU to Keras {form['mask_iou']['mean']:.4f}, expected at least {form['least_iou']}"
            print(f"export: WARNING: {name}: {found}; do not use {form['file']} in the model's place", file=sys.stderr)


def _checksums(folder):
    """Returns `{file: SHA-256}` of all files of the models in a folder, sorted."""
    files = [file for name in FORMS.values() for file in (folder / name, *(folder / name).rglob("*")) if file.is_file()]
    return {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(files)
    }


def _move(folder, out):
    for name in reversed(FILES):
        if (out / name).is_dir():
            shutil.rmtree(out / name)
        else:
            (out / name).unlink(missing_ok=True)
    for name in FILES:
        (folder / name).replace(out / name)
