"""The export: every form from one Keras model, checked, compared, described, moved into place."""

import functools
import hashlib
import shutil
import sys
from collections.abc import Iterable
from typing import Any

from crass_tf.common.files import InputError, local_path, output_folder, temporary_folder, write_json, write_text
from crass_tf.common.types import PathLike
from crass_tf.export import conversion
from crass_tf.export.description import NOT_STATED, describe, model_card
from crass_tf.export.operators import check_contract, count_operators
from crass_tf.export.parity import KERAS, TRUTH, compare, judge, latency_ms, open_form, open_from_bytes
from crass_tf.inference import model_files, output_kind
from crass_tf.inference.segmenter import model_input

FORMS = {
    "keras_float16": "model_float16.keras",
    "saved_model": "saved_model",
    "float32": "model_float32.tflite",
    "float16": "model_float16.tflite",
    "dynamic_int8": "model_dynamic_int8.tflite",
    "int8": "model_int8.tflite",
}
ONNX = "model.onnx"
# Moved in this order: the description last, so that it never describes other files.
FILES = (*FORMS.values(), "parity.json", "model_card.md")


def export(
    model_path: PathLike,
    out: PathLike,
    calibration: Iterable[Any],
    examples: Iterable[Any],
    *,
    calibration_source: str = "phantoms",
    examples_source: str = "phantoms",
    training_data: str = NOT_STATED,
    terms: str = NOT_STATED,
    output: str | None = None,
    onnx: bool = False,
) -> dict[str, Any]:
    """Writes `FILES` to a folder: all of them, or none where something fails.

    Other files in the folder stay. Progress is printed, a line for each step. A form that departs further from Keras
    than `parity.judge` allows is written, too; a line on stderr says so.

    Args:
        model_path: a `.keras` file.
        out: the folder, made where it is missing.
        calibration: `crass_tf.data.loading.Example`s that set the int8 ranges: 16 to 64 from the training split.
        examples: the Examples that the forms are compared on, from the validation split; `mask` may be None.
        calibration_source: where `calibration` comes from, for `parity.json`.
        examples_source: where `examples` come from.
        training_data: what the model was trained on, for the model card and the `.tflite` files.
        terms: on what terms its weights may be used, for both, too.
        output: `logits` or `probability`, what a network of your own gives; see `model_files.open_model`.
        onnx: whether `model.onnx` is written, too.

    Returns:
        What `parity.json` holds: `{"reference": {...}, "inputs": {...}, "forms": {name: {...}}}`. Of each form
        `passed` says whether it agrees with Keras as it should.

    Raises:
        InputError: for what is no such Keras model, an output folder that holds something else under one of the
            names, a converted model that breaks the contract, or no radiographs.
    """
    model_path, out = local_path(model_path, "model"), output_folder(out)
    reference, model = _load(model_path, output)
    images = [model_input(example.image, model.input_shape[1:3]) for example in calibration]
    examples = list(examples)
    for radiographs, purpose in ((images, "calibrate on"), (examples, "compare the forms on")):
        if not radiographs:
            raise InputError(f"found no radiographs to {purpose}, expected at least one")
    _check_out(out)
    with temporary_folder(out) as folder:
        conversion.write_compact_keras(model_path, folder / FORMS["keras_float16"])
        _write_forms(model, folder, images, training_data=training_data, terms=terms)
        if onnx:
            print("export: ONNX")
            conversion.write_onnx(model, folder / ONNX)
        parity = _measure(reference, model, folder, examples, examples_source, output)
        parity["inputs"]["calibration"] = {"source": calibration_source, "n": len(images)}
        write_json(folder / "parity.json", parity)
        write_text(folder / "model_card.md", model_card(parity, training_data, terms, _checksums(folder)))
        _move(folder, out)
    print(f"export: {out} holds {', '.join(FILES)}")
    for name, form in parity["forms"].items():
        if not form["passed"]:
            iou = f"mask IoU to Keras {form['mask_iou']['mean']:.4f}, expected at least {form['least_iou']}"
            print(f"export: WARNING: {name}: {iou}; do not use {form['file']} in the model's place", file=sys.stderr)
    return parity


def _load(path, output):
    """Returns the `parity.Form` of a `.keras` file, and its model as it is served."""
    if path.suffix != ".keras":
        raise InputError(f"{path}: found {path.suffix or 'no suffix'}, expected a .keras file to export")
    reference = open_form(path, output)
    import keras

    if keras.backend.backend() != "tensorflow":
        raise InputError(f"KERAS_BACKEND: found {keras.backend.backend()}, expected tensorflow: only it can export")
    model = model_files.load_keras(path)
    return reference, conversion.as_served(model, output_kind.kind_of_keras(model, path) or output)


def _check_out(out):
    """Raises InputError where export would replace what is not an export."""
    for name in FILES:
        path = out / name
        if name != FORMS["saved_model"] and path.is_dir():
            raise InputError(f"{path}: found a folder there, expected a file; give another folder")
        if name == FORMS["saved_model"] and path.exists() and not (path / "saved_model.pb").is_file():
            raise InputError(f"{path}: found something else than a SavedModel there; give another folder")


def _write_forms(model, folder, images, **about):
    """Writes every form; `images`, float32 `[h, w, 1]` each, calibrate the int8 one."""
    print("export: SavedModel")
    conversion.write_saved_model(model, folder / FORMS["saved_model"])
    float32 = functools.cache(lambda: conversion.to_float32(model))
    conversions = {
        "float32": float32,
        "float16": lambda: conversion.to_float32(model, half=True),
        "dynamic_int8": lambda: conversion.to_dynamic_int8(float32()),
        "int8": lambda: conversion.to_int8(float32(), images),
    }
    for form, convert in conversions.items():
        print(f"export: LiteRT {form}")
        data = convert()
        check_contract(FORMS[form], data)
        (folder / FORMS[form]).write_bytes(model_files.attach_metadata(data, describe(model, form, **about)))


def _measure(reference, model, folder, examples, source, output):
    print(f"export: comparing with Keras on {source}")
    others = {
        name: open_form(folder / file, output if file.endswith(".keras") else "logits") for name, file in FORMS.items()
    }
    others[conversion.FROM_BYTES] = open_from_bytes(folder / FORMS["saved_model"])
    agreement = compare(reference, others, examples)
    truth = agreement[KERAS]["iou_truth"]
    forms = {name: _collect_facts(form) | judge(name, agreement[name], truth) for name, form in others.items()}
    for name, facts in forms.items():
        text = f"{facts['bytes']} bytes, mask IoU to Keras {facts['mask_iou']['mean']:.4f}"
        if facts["passed_by"] == TRUTH:
            text += f", passed by the true masks: IoU {facts['iou_truth']:.4f}, Keras' {truth:.4f}"
        print(f"export: {name}: {text}")
    strips, about = model.output.get(model_files.STRIP_LOGITS), describe(model, KERAS)
    return {
        "reference": {
            **_collect_facts(reference),
            **{name: about[name] for name in ("image_size", "outputs")},
            "strip_size": None if strips is None else list(strips.shape[2:]),
            "parameters": model.count_params(),
            "iou_truth": truth,
        },
        "inputs": {"source": source, "n": len(examples), "image_ids": [example.image_id for example in examples]},
        "forms": forms,
    }


def _collect_facts(form):
    """Returns the name and size of a model and, for a `.tflite`, its operators and latency."""
    path = form.path
    is_litert = path.suffix == ".tflite"
    return {
        "file": path.name,
        "bytes": sum(file.stat().st_size for file in _files(path)),
        "operators": count_operators(path.read_bytes()) if is_litert else None,
        "latency_ms": latency_ms(path) if is_litert else None,
    }


def _files(path):
    """Returns a file, or all files of a folder."""
    return [file for file in sorted([path, *path.rglob("*")]) if file.is_file()]


def _checksums(folder):
    files = sorted(file for name in FORMS.values() for file in _files(folder / name))
    return {file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def _move(folder, out):
    # An ONNX file of an earlier export would stand beside a description of another model.
    for name in (ONNX, *reversed(FILES)):
        if (out / name).is_dir():
            shutil.rmtree(out / name)
        else:
            (out / name).unlink(missing_ok=True)
    for name in (*FILES, ONNX):
        if (folder / name).exists():
            (folder / name).replace(out / name)
