"""The recipe of the shipped model in one call: phantoms, training on them, tuning on a data set, export."""

import dataclasses
import json
import shutil
from collections.abc import Sequence
from typing import Any

from crass_tf.commands.export import export_from
from crass_tf.commands.propose import plan_proposals, propose
from crass_tf.commands.train import has_begun, train
from crass_tf.common import files
from crass_tf.common.files import InputError
from crass_tf.common.types import PathLike
from crass_tf.data.building import build, opener
from crass_tf.data.loading import DEFAULT_DATASET, default_splits, examples
from crass_tf.evaluation import evaluate
from crass_tf.export.description import NOT_STATED
from crass_tf.inference.segmenter import Segmenter
from crass_tf.phantom import write_folder
from crass_tf.sources.crass12 import FOLDER, IMAGE_FOLDER, MASK_FOLDER
from crass_tf.training.settings import MODEL_NAME, Settings

PHANTOMS, PHANTOM_SEED, PHANTOM_SIZE, PHANTOM_BEDSIDE = 600, 7, 1024, 0.4
# Phantoms that are learned from once more, beside proposals: what is rare among radiographs stays learned.
PHANTOMS_AGAIN = 240
# In the output folder, in the order in which they are made.
STEPS = ("phantoms", "phantom_data", "phantom_run", "data", "run", "evaluation", "export")
# Beside them: what they are made of.
FILE_NAME = "recipe.json"
# With `unlabelled`, between `run` and `evaluation`.
UNLABELLED_STEPS = ("proposals", "both", "both_data", "both_run")


def recipe(
    manual_dir: PathLike,
    out: PathLike,
    *,
    dataset: str = DEFAULT_DATASET,
    init: PathLike | None = None,
    phantoms: int = PHANTOMS,
    seed: int = 0,
    jit_compile: bool | None = None,
    unlabelled: Sequence[PathLike] | None = None,
    training_data: str = NOT_STATED,
    terms: str = NOT_STATED,
) -> dict[str, Any]:
    """Makes a model like the shipped one; prints each step. What an earlier call has finished is not done again.

    Args:
        manual_dir: the folder of the data set, as for `crass-tf build`.
        out: gets `STEPS`, and `UNLABELLED_STEPS` where they are asked for; `out/export` is the artifact.
        dataset: the data set's name.
        init: a clavicle model to tune; None trains one on phantoms first.
        phantoms: their number.
        seed: of tuning. Phantoms and the training on them have their own.
        jit_compile: whether XLA compiles the training steps; None is the presets' choice.
        unlabelled: files and folders of radiographs without masks. Outlines are proposed by the model that `manual_dir`
            gave, as `crass-tf propose` does, and it is tuned once more on these, on the data set's own radiographs,
            which count twice, and on some of the phantoms. Proposals whose name was removed from
            `out/proposals/CRASS12/train.txt` are not learned from. Only where `dataset` is crass12 and `manual_dir`
            holds PNG files.
        training_data, terms: as for `exporting.export`.

    Returns:
        The content of the evaluation's `metrics.json`.

    Raises:
        InputError: as the commands of each step; where `out` holds steps of other files, seeds or models.
    """
    manual_dir, out = files.local_path(manual_dir, "manual_dir"), files.output_folder(out)
    init = files.local_path(init, "init")
    # Before hours of work.
    source = opener(dataset)(manual_dir).checked()
    unlabelled = files.local_paths(unlabelled or (), "unlabelled")
    if unlabelled:
        _check_unlabelled(manual_dir, dataset)
        plan_proposals(unlabelled, out / "proposals")
    if init is not None and not init.is_file():
        raise InputError(f"{init}: file not found, expected a .keras clavicle model to tune")
    if phantoms < 2:
        raise InputError(f"phantoms: found {phantoms}, expected 2 or more, one of them to watch")
    made_of = {
        "manual_dir": source.fingerprint(),
        "dataset": dataset,
        "seed": Settings(seed=seed).seed,
        "phantoms": phantoms if init is None else None,
        "init": None if init is None else str(init.resolve()),
    }
    if unlabelled:
        made_of["unlabelled"] = [str(path.resolve()) for path in unlabelled]
    _check_same(out, made_of)
    changes = {} if jit_compile is None else {"jit_compile": jit_compile}
    preset = "tuned"
    if init is None:
        init, preset = _train_on_phantoms(out, phantoms, changes), "from-phantoms"
    print(f"recipe: building {dataset}")
    build(manual_dir, out / "data", dataset=dataset)
    model = _train("tuning", out / "run", out / "data", preset, init=init, dataset=dataset, seed=seed, **changes)
    if unlabelled:
        model = _learn_unlabelled(manual_dir, out, model, unlabelled, seed, changes)
    return _finish(out, model, dataset, training_data=training_data, terms=terms)


def _check_same(out, made_of):
    """Raises InputError where an earlier call has made the folder of something else; notes what this one makes it of.

    What was left out before, such as unlabelled radiographs, may be added.
    """
    earlier = json.loads(files.read_text(out / FILE_NAME)) if (out / FILE_NAME).is_file() else {}
    if different := [name for name, value in made_of.items() if earlier.get(name, value) != value]:
        raise InputError(f"{out}: found steps of a recipe with another {', '.join(different)}; name another folder")
    files.write_json(out / FILE_NAME, earlier | made_of)


def _check_unlabelled(manual_dir, dataset):
    needed = [manual_dir / FOLDER / name for name in (IMAGE_FOLDER, "train.txt", "val.txt")]
    if dataset != DEFAULT_DATASET or not all(path.exists() for path in needed):
        raise InputError(
            f"{manual_dir}: found {dataset} without {IMAGE_FOLDER}, train.txt and val.txt in {FOLDER}, expected the "
            f"PNG layout of {DEFAULT_DATASET} to add radiographs without masks to"
        )


def _learn_unlabelled(manual_dir, out, model, unlabelled, seed, changes):
    """Tunes a model once more, on its data set and on outlines that it proposes; returns the new one's path."""
    if not (out / "proposals" / FOLDER).is_dir():
        print("recipe: proposing outlines")
        propose(unlabelled, out / "proposals", model=model)
    print("recipe: building all of them")
    _join(manual_dir, out)
    build(out / "both", out / "both_data")
    run, data = out / "both_run", out / "both_data"
    return _train("tuning on all of them", run, data, "joined", init=model, seed=seed, **changes)


def _join(manual_dir, out):
    """Writes a CRASS12 folder of the data set, its training radiographs twice, with proposals and phantoms."""
    open_source, target = opener(DEFAULT_DATASET), out / "both" / FOLDER
    labelled, proposals = open_source(manual_dir).splits, open_source(out / "proposals").splits["train"]
    # Observers' outlines are worth more than proposed ones.
    training = labelled["train"] + _renamed(labelled["train"], "again") + proposals
    if (out / "phantoms").is_dir():
        training += _renamed(open_source(out / "phantoms").splits["train"][:PHANTOMS_AGAIN], "drawn")
    lists = {
        f"{split}.txt": "".join(f"{example.image_id}\n" for example in examples)
        for split, examples in (("train", training), ("val", labelled["validation"]))
    }
    if target.is_dir():
        if any(files.read_text(target / name) != text for name, text in lists.items()):
            made = ", ".join(UNLABELLED_STEPS[1:])
            raise InputError(f"{target}: found other radiographs than these; remove {made} from {out}, or name another")
        return
    with files.atomic_folder(target) as folder:
        for part in (IMAGE_FOLDER, MASK_FOLDER):
            (folder / part).mkdir()
        for example in [*training, *labelled["validation"]]:
            _copy(example, folder)
        for name, text in lists.items():
            files.write_text(folder / name, text)


def _renamed(examples, suffix):
    return [dataclasses.replace(example, image_id=f"{example.image_id}_{suffix}") for example in examples]


def _copy(example, folder):
    (mask,) = example.mask_paths
    for part, path in ((IMAGE_FOLDER, example.image_path), (MASK_FOLDER, mask)):
        target = folder / part / f"{example.image_id}.png"
        if target.exists():
            raise InputError(f"{path}: another radiograph has the name {example.image_id}; rename one of them")
        shutil.copyfile(path, target)


def _train_on_phantoms(out, count, changes):
    if not (out / "phantoms" / FOLDER).is_dir():
        print(f"recipe: drawing {count} phantoms")
        write_folder(out / "phantoms", count, PHANTOM_SEED, PHANTOM_SIZE, bedside=PHANTOM_BEDSIDE)
    print("recipe: building the phantoms' data set")
    build(out / "phantoms", out / "phantom_data")
    return _train("training on phantoms", out / "phantom_run", out / "phantom_data", "phantoms", **changes)


def _train(text, run, data_dir, preset, **options):
    """Trains, or goes on with what an earlier call has begun; returns the model's path."""
    print(f"recipe: {text}")
    model = run / MODEL_NAME
    if not model.exists():
        train(run, data_dir, preset=preset, resume=has_begun(run), **options)
    return model


def _finish(out, model, dataset, **about):
    print("recipe: evaluating")
    split = default_splits(dataset, data_dir=out / "data")[1]
    radiographs = examples(dataset, split, out / "data")
    names = {"model": str(model), "dataset": dataset, "split": split}
    metrics = evaluate(Segmenter.load(model), radiographs, out / "evaluation", **names)
    print("recipe: exporting")
    export_from(model, out / "export", out / "data", dataset, **about)
    print(f"IoU on {split} at native size: {metrics['iou']['mean']:.4f}; the artifact is {out / 'export'}")
    return metrics
