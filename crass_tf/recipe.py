"""The recipe of the shipped model in one call: phantoms, a cascade trained on them, tuned on a data set, exported."""

import pathlib

from crass_tf.data.loading import DEFAULT_DATASET, default_splits, examples
from crass_tf.export.description import NOT_STATED
from crass_tf.files import InputError

PHANTOMS, PHANTOM_SEED, PHANTOM_SIZE = 600, 7, 1024
# In the output folder, in the order in which they are made.
STEPS = ("phantoms", "phantom_data", "phantom_run", "data", "run", "evaluation", "export")


def recipe(
    manual_dir,
    out,
    *,
    dataset=DEFAULT_DATASET,
    init=None,
    phantoms=None,
    seed=0,
    jit_compile=None,
    training_data=NOT_STATED,
    terms=NOT_STATED,
):
    """Makes a model like the shipped one; prints each step. What an earlier call has finished is not done again.

    Args:
        manual_dir: the folder of the data set, as for `crass-tf build`.
        out: gets `STEPS`; `out/export` is the artifact.
        dataset: the data set's name.
        init: a cascade to tune; None trains one on phantoms first.
        phantoms: their number; None is 600.
        seed: of tuning. Phantoms and the training on them have their own.
        jit_compile: whether XLA compiles the training steps; None is the presets' choice.
        training_data: what the model was trained on, for the model card and the `.tflite` files.
        terms: on what terms its weights may be used, for both, too.

    Returns:
        The content of the evaluation's `metrics.json`.

    Raises:
        InputError: as the commands of each step.
    """
    from crass_tf.data.building import build

    out = pathlib.Path(out)
    changes = {} if jit_compile is None else {"jit_compile": jit_compile}
    if init is None:
        init = _train_on_phantoms(out, phantoms or PHANTOMS, changes)
    elif not pathlib.Path(init).is_file():
        raise InputError(f"{init}: file not found, expected a .keras cascade to tune")
    print(f"recipe: building {dataset}")
    build(manual_dir, out / "data", dataset=dataset)
    print("recipe: tuning")
    _train(out / "run", out / "data", "cascade-tuned", init=init, dataset=dataset, seed=seed, **changes)
    return _finish(out, dataset, training_data, terms)


def _train_on_phantoms(out, count, changes):
    """Returns the `.keras` file of a cascade trained on phantoms."""
    from crass_tf.data.building import build
    from crass_tf.phantom import write_folder

    if not (out / "phantoms" / "CRASS12").is_dir():
        print(f"recipe: drawing {count} phantoms")
        write_folder(out / "phantoms", count, PHANTOM_SEED, PHANTOM_SIZE)
    print("recipe: building the phantoms' data set")
    build(out / "phantoms", out / "phantom_data")
    print("recipe: training on phantoms")
    _train(out / "phantom_run", out / "phantom_data", "cascade-phantoms", **changes)
    return out / "phantom_run" / "model.keras"


def _train(run, data_dir, preset, **options):
    """Trains, or goes on with what an earlier call has begun."""
    from crass_tf.training.running import has_begun, train

    if not (run / "model.keras").exists():
        train(run, data_dir, preset=preset, resume=has_begun(run), **options)


def _finish(out, dataset, training_data, terms):
    from crass_tf.evaluation import evaluate
    from crass_tf.export.running import export_from
    from crass_tf.segmenter import Segmenter

    print("recipe: evaluating")
    model, split = out / "run" / "model.keras", default_splits(dataset, data_dir=out / "data")[1]
    found = examples(dataset, split, out / "data")
    names = {"model": str(model), "dataset": dataset, "split": split}
    metrics = evaluate(Segmenter.load(model), found, out / "evaluation", total=len(found), **names)
    print("recipe: exporting")
    export_from(model, out / "export", out / "data", dataset, training_data, terms)
    print(f"IoU on {split} at native size: {metrics['iou']['mean']:.4f}; the artifact is {out / 'export'}")
    return metrics
