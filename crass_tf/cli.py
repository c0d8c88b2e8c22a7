"""`crass-tf`: wiring only. Each command's parser, and a function that calls what does the work, imported late."""

import argparse
import os
import sys

import crass_tf
from crass_tf.files import InputError, one_line
from crass_tf.spacing import RANGE, is_plausible

NOTICE = "Research software, not a medical device: do not use it for diagnosis."


def main(arguments=None):
    """Runs a command and returns its exit code: 0 success, 1 some of many inputs failed, 2 a user's mistake."""
    # TensorFlow's start-up lines say nothing about a user's data; whoever wants them sets the variable.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    options = _parser().parse_args(arguments)
    command, needs_tensorflow = options.run, options.needs_tensorflow
    del options.run, options.needs_tensorflow, options.command
    try:
        if needs_tensorflow:
            _import_tensorflow()
        return command(**vars(options)) or 0
    except InputError as error:
        return _fail(str(error))
    except OSError as error:
        if error.filename is None:
            raise
        return _fail(f"{error.filename}: {error.strerror}")
    except KeyboardInterrupt:
        print("\ncrass-tf: interrupted", file=sys.stderr)
        return 130


def demo(**options):
    """The whole chain on phantoms."""
    from crass_tf.demo import demo

    demo(**options)


def phantom(**options):
    """Synthetic radiographs."""
    from crass_tf.phantom import write_folder

    print(f"wrote {write_folder(**_given(options))}")


def build(config, **options):
    """A data set for TFDS."""
    from crass_tf.data.building import build

    build(configs=config, **options)


def check(folder, out, dataset):
    """What is in a data set's folder, and what is wrong with it."""
    from crass_tf.check import check

    return check(folder, out, dataset)


def train(data_dir, out, **options):
    """A training run."""
    from crass_tf.training.running import train

    train(out, data_dir, **_given(options))
    print(f"wrote {out}/model.keras")


def recipe(**options):
    """From a folder to the artifact."""
    from crass_tf.recipe import recipe

    recipe(**_given(options))


def evaluate(model, **options):
    """Scores of a model on a split, or of several on the folds that they held out."""
    from crass_tf.evaluation.running import evaluate_models

    metrics = evaluate_models(model, **options)
    low, high = metrics["iou"]["ci95"]
    mean = f"IoU {metrics['iou']['mean']:.4f} (95 % interval {low:.4f} to {high:.4f})"
    print(f"{metrics['n']} radiographs: {mean}; wrote {options['out']}/report.html")


def export(**options):
    """SavedModel and LiteRT files of a trained model; exit code 1 where one departs from it further than it may."""
    from crass_tf.export.running import export_from

    forms = export_from(**_given(options))["forms"]
    return 0 if all(form["passed"] for form in forms.values()) else 1


def predict(path, **options):
    """Masks for radiographs."""
    from crass_tf.prediction import predict

    return predict(path, **options)


def benchmark(json, **options):
    """What a model takes: time and memory."""
    from crass_tf.benchmark import benchmark

    benchmark(json_file=json, **_given(options))


def _given(options):
    """Returns the options that were given: each default has one home, where the work is done."""
    return {name: value for name, value in options.items() if value is not None}


def spacing(text):
    """Returns `(row, column)` in millimetres from `R` or `R,C`."""
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = ()
    if len(values) not in (1, 2) or not is_plausible((values[0], values[-1])):
        raise argparse.ArgumentTypeError(f"found {text!r}, expected millimetres as R or R,C, such as 0.25, {RANGE}")
    return (values[0], values[-1])


def positive(text):
    """Returns a whole number above 0."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a whole number above 0")
    return value


def size(text):
    """Returns `(height, width)` from `N` or `HxW`."""
    try:
        values = tuple(int(part) for part in text.lower().split("x"))
    except ValueError:
        values = ()
    if len(values) not in (1, 2) or min(values) < 1:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected pixels as N or HxW, such as 512x512")
    return (values[0], values[-1])


def fold(text):
    """Returns `N/K` as it is, where it names a fold."""
    from crass_tf.data.folds import parse_fold

    try:
        parse_fold(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error).removeprefix("fold: ")) from None
    return text


def names(text):
    """Returns the comma-separated words of a list."""
    return tuple(part for part in text.split(",") if part)


def _import_tensorflow():
    from crass_tf.native import quiet_native

    try:
        # Its lines on processors and drivers come before any log level counts.
        with quiet_native():
            import tensorflow  # noqa: F401
    except ImportError as error:
        raise InputError(f"this command needs TensorFlow, which cannot be imported ({error})") from None


def _fail(message):
    print(f"crass-tf: error: {' '.join(one_line(message).split())}", file=sys.stderr)
    return 2


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line; `--help` is there for the rest."""

    def error(self, message):
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def _parser():
    parser = _Parser("crass-tf", description=f"Clavicle segmentation in chest radiographs. {NOTICE}")
    parser.add_argument("--version", action="version", version=f"crass-tf {crass_tf.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)
    for add in (
        _add_demo,
        _add_phantom,
        _add_check,
        _add_build,
        _add_train,
        _add_recipe,
        _add_evaluate,
        _add_export,
        _add_predict,
        _add_benchmark,
    ):
        add(commands)
    return parser


def _add(commands, run, text, needs_tensorflow=True):
    command = commands.add_parser(run.__name__, help=text, description=f"{text}. {NOTICE}")
    command.set_defaults(run=run, needs_tensorflow=needs_tensorflow)
    return command


def _add_demo(commands):
    command = _add(commands, demo, "runs the whole chain on phantoms and writes a folder with an index.html")
    command.add_argument("--out", required=True, metavar="DIR", help="folder to write, new or of an earlier demo")
    command.add_argument("--seed", type=int, default=0, help="of phantoms and training (default: %(default)s)")


def _add_phantom(commands):
    command = _add(
        commands, phantom, "writes synthetic chest radiographs with clavicle masks as a CRASS12 folder", False
    )
    command.add_argument("--out", required=True, metavar="DIR", help="gets the folders CRASS12 and structures")
    # Written out, since importing the phantoms would slow down the start of every command.
    command.add_argument("--count", type=int, help="number of radiographs (default: 240)")
    command.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    command.add_argument("--size", type=int, metavar="PIXELS", help="height and width (default: 512)")
    command.add_argument("--workers", type=int, help="processes (default: one for each core)")


def _add_check(commands):
    command = _add(commands, check, "reads a data set's folder, prints what is in it and flags what is wrong", False)
    command.epilog = "Exit code 0: nothing stops or spoils a build; 1: something flagged does; 2: no such folder."
    command.add_argument("folder", metavar="FOLDER", help="what build takes as --manual-dir")
    command.add_argument("--out", metavar="DIR", help="gets check.html, check.json and the page's pictures")
    _add_dataset(command, "crass12")


def _add_build(commands):
    command = _add(commands, build, "builds the TFDS data set from CRASS12 as published or as first released")
    command.add_argument("--manual-dir", required=True, metavar="DIR", help="the folder that holds CRASS12/")
    _add_data_dir(command)
    _add_dataset(command, "crass12")
    command.add_argument(
        "--config",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME",
        help="also HxW, such as 512x512; native16; unlabelled",
    )
    command.add_argument(
        "--spacing-mm", type=spacing, metavar="R[,C]", help="pixel spacing in millimetres; outranks the files"
    )
    command.add_argument("--overwrite", action="store_true", help="build again what was built before")


def _add_train(commands):
    command = _add(commands, train, "trains the U-Net on a built data set")
    _add_data_dir(command)
    command.add_argument("--out", required=True, metavar="RUN", help="folder of this run")
    _add_dataset(command)
    command.add_argument("--config", metavar="NAME", help="default: 512x512")
    command.add_argument(
        "--split",
        metavar="NAME",
        help="what to train on, also sums and parts such as train+validation (default: train, or the first by name)",
    )
    command.add_argument(
        "--validation-split", metavar="NAME", help="what to watch (default: validation, or the last by name)"
    )
    command.add_argument(
        "--fold",
        type=fold,
        metavar="N/K",
        help="cut the split into K folds by the radiographs' names; watch the Nth and train on the others",
    )
    command.add_argument(
        "--preset",
        metavar="NAME",
        help="unet: one network on the whole radiograph (default); cascade: two, more accurate; "
        "cascade-phantoms, cascade-tuned: the steps of crass-tf recipe",
    )
    command.add_argument("--init", metavar="MODEL", help="a .keras model to start from")
    command.add_argument("--resume", action="store_true", help="go on after the last completed epoch of RUN")
    command.add_argument("--image-size", type=size, metavar="HxW", help="of the network (default: the config's)")
    command.add_argument("--epochs", type=int)
    command.add_argument("--batch-size", type=int)
    command.add_argument("--learning-rate", type=float)
    command.add_argument("--seed", type=int)
    command.add_argument(
        "--precision",
        choices=("float32", "mixed_float16", "mixed_bfloat16"),
        help="default: float32 on a CPU, mixed_bfloat16 on a GPU",
    )
    _add_xla(command)


def _add_recipe(commands):
    command = _add(
        commands, recipe, "makes the shipped model's like from a folder: phantoms, training, evaluation, export"
    )
    command.add_argument("--manual-dir", required=True, metavar="DIR", help="the folder that holds CRASS12/")
    command.add_argument("--out", required=True, metavar="DIR", help="gets everything; run again to go on")
    _add_dataset(command, "crass12")
    command.add_argument("--init", metavar="MODEL", help="a cascade to tune instead of one trained on phantoms first")
    command.add_argument("--phantoms", type=int, metavar="N", help="number of phantoms (default: 600)")
    command.add_argument("--seed", type=int, default=0, help="of tuning (default: %(default)s)")
    _add_xla(command)
    _add_training_data(command)


def _add_evaluate(commands):
    command = _add(
        commands,
        evaluate,
        "scores a model at native size on a split, or on the fold that its run held out; several runs are pooled",
    )
    command.add_argument(
        "model",
        nargs="+",
        metavar="MODEL",
        help=".keras file, SavedModel folder, .tflite file or RUN of crass-tf train; several only of runs with --fold",
    )
    _add_data_dir(command)
    command.add_argument("--dataset", metavar="NAME", help="default: the one that RUN was trained on, else crass12")
    command.add_argument(
        "--split",
        metavar="NAME",
        help="default: the fold that RUN held out, else validation, or the last by name",
    )
    command.add_argument("--out", required=True, metavar="DIR", help="gets metrics.json, per_image.csv, report.html")
    command.add_argument(
        "--perturb",
        action="store_true",
        help="measure one model under rotations, scales, exposures, bars ... too: prints a table of what each costs in "
        "IoU; DIR gets perturbations.json, perturbations.csv, perturbations.html",
    )
    _add_threads(command)


def _add_export(commands):
    command = _add(commands, export, "writes SavedModel and LiteRT files of a .keras model and compares them with it")
    command.epilog = "Exit code 0: every form agrees with Keras as it should; 1: one does not, and a line says which."
    command.add_argument("model", metavar="MODEL.keras")
    command.add_argument("--out", required=True, metavar="DIR")
    command.add_argument(
        "--data-dir",
        metavar="DIR",
        help="calibrate the int8 model on this data set's split train and compare on validation, or on its first and "
        "last by name (default: phantoms)",
    )
    _add_dataset(command, "crass12")
    _add_training_data(command)


def _add_predict(commands):
    command = _add(
        commands, predict, "segments radiographs, files or folders of them: PNG, JPEG, TIFF, DICOM, MetaImage", False
    )
    command.add_argument("path", nargs="+", metavar="PATH")
    command.add_argument("--model", help=".keras file, SavedModel folder or .tflite file (default: the shipped model)")
    command.add_argument("--out", required=True, metavar="DIR")
    command.add_argument(
        "--outputs",
        type=names,
        default=("mask", "labels", "overlay", "json"),
        metavar="LIST",
        help="of mask, labels, overlay, json (default: these four); probability, measures, contours, coco, dicom-seg",
    )
    command.add_argument("--spacing-mm", type=spacing, metavar="R[,C]", help="pixel spacing; outranks the files")
    command.add_argument("--overwrite", action="store_true", help="do again what an earlier run on a folder has done")
    command.epilog = (
        "A folder's run writes DIR/summary.csv, too. Stopped and started again, it goes on where it was; with another "
        "model or spacing, and for changed files, all is done again. Exit code 0: all were segmented; 1: some were "
        "refused; 2: all were, or a mistake."
    )
    _add_threads(command)


def _add_benchmark(commands):
    command = _add(commands, benchmark, "measures start-up, latency, throughput and memory of a model", False)
    command.epilog = "Prints a table, then the figures as one line of JSON. Let nothing else run meanwhile."
    command.add_argument("--model", help=".keras file, SavedModel folder or .tflite file (default: the shipped model)")
    command.add_argument("--json", metavar="FILE", help="writes the JSON to a file instead")
    command.add_argument("--radiographs", type=int, metavar="N", help="in the folder for the throughput (default: 48)")
    _add_threads(command)


def _add_data_dir(command):
    command.add_argument("--data-dir", metavar="DIR", help="TFDS data folder (default: TFDS' own)")


def _add_dataset(command, default=None):
    command.add_argument("--dataset", default=default, metavar="NAME", help="default: crass12")


def _add_training_data(command):
    command.add_argument(
        "--training-data",
        metavar="TEXT",
        help="what the model was trained on, for the model card and inside the .tflite files",
    )
    command.add_argument("--terms", metavar="TEXT", help="on what terms its weights may be used, for both, too")


def _add_xla(command):
    command.add_argument(
        "--xla",
        dest="jit_compile",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="compile the training step with XLA (default: yes)",
    )


def _add_threads(command):
    text = "of a .tflite model (default: the cores, at most 4)"
    command.add_argument("--threads", type=positive, metavar="N", help=text)
