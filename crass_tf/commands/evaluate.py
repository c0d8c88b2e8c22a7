"""`crass-tf evaluate`: models, with the radiographs of a prepared data set that each is scored on."""

import collections
import functools
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from crass_tf.common.files import InputError, data_path, local_paths, output_folder
from crass_tf.common.types import PathLike
from crass_tf.data.loading import default_splits, examples
from crass_tf.evaluation.robustness import measure_robustness, table_text
from crass_tf.evaluation.scoring import Run, evaluate, evaluate_runs
from crass_tf.inference.segmenter import Segmenter
from crass_tf.measurement.extent import DEFAULT_EXTENT
from crass_tf.training.settings import FILE_NAME, MODEL_NAME, Settings


class Trained(NamedTuple):
    """A model's file or folder, and the settings of the run that made it; the default ones where it is not known."""

    path: pathlib.Path
    settings: Settings = Settings()


def evaluate_models(
    models: PathLike | Sequence[PathLike],
    out: PathLike,
    data_dir: PathLike | None = None,
    dataset: str | None = None,
    split: str | None = None,
    threads: int | None = None,
    perturb: bool = False,
    output: str | None = None,
    extent: str = DEFAULT_EXTENT,
) -> dict[str, Any]:
    """Scores a model on a split or on the fold that its run held out; several runs' models on theirs, pooled.

    Args:
        models: paths of models in any form, or of runs' folders.
        out: the folder to write to, see `scoring.evaluate` and `scoring.evaluate_runs`.
        data_dir: where the data set was prepared; None is TFDS' default.
        dataset: its name; None is the one that the run was trained on, or crass12.
        split: what to score one model on; None is the fold that its run held out, or the data set's validation split.
        threads, output, extent: as for `Segmenter.load`.
        perturb: whether to measure one model's robustness, too; see `robustness.measure_robustness`. Prints a table.

    Returns:
        The content of `metrics.json`.

    Raises:
        InputError: where a model, a split or a radiograph that was held out is missing, or where several models are not
            of runs that held out different radiographs of one data set.
    """
    out, data_dir = output_folder(out), data_path(data_dir)
    trained = [find_model(model) for model in local_paths(models, "model")]
    if len(trained) > 1:
        check_poolable(trained, split, perturb)
    dataset = dataset or common_dataset(trained)
    if len(trained) == 1 and (split is not None or not trained[0].settings.fold):
        split = default_splits(dataset, data_dir=data_dir)[1] if split is None else split
        given = [examples(dataset, split, data_dir)]
    else:
        # All first: missing data should fail before hours of work.
        given, split = [_load_held_out(model, dataset, data_dir) for model in trained], describe_folds(trained)
    about: dict[str, Any] = {"dataset": dataset, "split": split}
    loads = [functools.partial(Segmenter.load, path, threads, output, extent) for path, _ in trained]
    if len(trained) > 1:
        runs = [
            Run(str(path), settings.fold or "", load, images)
            for (path, settings), load, images in zip(trained, loads, given)
        ]
        return evaluate_runs(runs, out, **about, extent=extent)
    segmenter, about["model"] = loads[0](), str(trained[0].path)
    metrics = evaluate(segmenter, given[0], out, **about)
    if perturb:
        print(table_text(measure_robustness(segmenter, given[0], out, **about)))
    return metrics


def find_model(path: PathLike) -> Trained:
    """Returns the `Trained` that a path means: a model, or the folder of a run; InputError where there is none."""
    path = pathlib.Path(path)
    if not path.exists():
        raise InputError(f"{path}: model not found")
    run = path if path.is_dir() else path.parent
    if not (run / FILE_NAME).is_file() or (path.is_file() and path.name != MODEL_NAME):
        return Trained(path)
    if not (run / MODEL_NAME).is_file():
        raise InputError(f"{run}: found no {MODEL_NAME}, expected a finished run; go on with: crass-tf train --resume")
    return Trained(run / MODEL_NAME, Settings.load(run))


def check_poolable(trained: Sequence[Trained], split: str | None = None, perturb: bool = False) -> None:
    """Raises InputError unless each of several models has a fold that it held out, and no radiograph is in two."""
    if perturb:
        raise InputError(f"perturb: found {len(trained)} models, expected one")
    if split is not None:
        raise InputError(f"split: found {split!r} and {len(trained)} models, expected one model, or no split")
    owners = {}
    for path, settings in trained:
        if not settings.fold:
            raise InputError(f"{path}: found no fold that it held out, expected only runs of crass-tf train --fold")
        for name in settings.held_out or ():
            if name in owners:
                raise InputError(f"{name}: held out by both {owners[name]} and {path}, expected every name once")
            owners[name] = path


def common_dataset(trained: Sequence[Trained]) -> str:
    """Returns the name of the data set that all models were trained on, crass12 where unknown, or raises InputError."""
    names = sorted({model.settings.dataset for model in trained})
    if len(names) > 1:
        several = " and ".join(names)
        raise InputError(f"found runs on several data sets, {several}; expected one, or its name by --dataset")
    return names[0]


def describe_folds(trained: Sequence[Trained]) -> str:
    """Returns what the models' runs held out, such as `fold 1/3, 2/3 of train`."""
    numbers = collections.defaultdict(list)
    for model in trained:
        numbers[model.settings.split].append(model.settings.fold)
    return "; ".join(f"fold {', '.join(folds)} of {split}" for split, folds in numbers.items())


def _load_held_out(model, dataset, data_dir):
    try:
        return examples(dataset, model.settings.split, data_dir, image_ids=model.settings.held_out)
    except InputError as error:
        raise InputError(f"{model.path}, {describe_folds([model])}: {error}") from None
