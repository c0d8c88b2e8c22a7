"""`crass-tf`: wiring only. A table of the commands and their arguments; what does the work is imported when it runs."""

import argparse
import os
import pkgutil
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any

import crass_tf
from crass_tf.common.files import DISK_FULL, InputError, one_line
from crass_tf.common.notice import NOTICE


class Command:
    """A command of `crass-tf`.

    Args:
        run: `module:function`, called with the arguments that were given: each default has one home, where the work is.
        text: what it does, for `--help`.
        *arguments: what `argument` returns; a text begins a group of its own.
        report: function of what `run` returned and of the arguments, that prints a line or returns an exit code.
        needs_tensorflow: whether it cannot do without.
        epilog: what `--help` ends with.
    """

    def __init__(
        self,
        run: str,
        text: str,
        *arguments: tuple[str, dict[str, Any]] | str,
        report: Callable[[Any, dict[str, Any]], int | None] = lambda result, options: None,
        needs_tensorflow: bool = True,
        epilog: str | None = None,
    ) -> None:
        self.run, self.text, self.arguments = run, text, arguments
        self.report, self.needs_tensorflow, self.epilog = report, needs_tensorflow, epilog


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command and returns its exit code: 0 success, 1 some of many inputs failed, 2 a user's mistake.

    130 after an interrupt; 141, as in a shell, where the reader of the output has stopped (`| head`).
    """
    # Hides TensorFlow's start-up messages; a user who wants them sets the variable.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    given, runner_options = _part_runner_options(sys.argv[1:] if arguments is None else list(arguments))
    options = {name: value for name, value in vars(_parser().parse_args(given)).items() if value is not None}
    command = COMMANDS[options.pop("command")]
    if runner_options:
        options["runner_options"] = runner_options
    try:
        return _run_command(command, options)
    except InputError as error:
        return _fail(str(error))
    except BrokenPipeError:
        _forget_output()
        return 141
    except OSError as error:
        if error.errno in DISK_FULL and error.filename is None:
            _forget_output()
        elif error.filename is None:
            raise
        return _fail(f"{error.filename or 'the output'}: {error.strerror}")
    except ImportError as error:
        if (line := _lacking_library(error)) is None:
            raise
        return _fail(line)
    except KeyboardInterrupt:
        print("\ncrass-tf: interrupted", file=sys.stderr)
        return 130


def predict(
    path: Sequence[str],
    runner: str | None = None,
    runner_options: Sequence[str] = (),
    *,
    dicomweb: bool,
    **options: Any,
) -> int | None:
    """Masks for radiographs, on this machine or by a runner of Apache Beam; returns the exit code."""
    if runner is None:
        if given := sorted(RUNNER_OPTIONS & options.keys()):
            raise InputError(f"--{given[0].replace('_', '-')}: needs --runner, without which it changes nothing")
        place = "crass_tf.prediction.dicomweb" if dicomweb else "crass_tf.prediction"
        return pkgutil.resolve_name(f"{place}:predict")(path, **options)
    if dicomweb:
        raise InputError("--dicomweb: found --runner, too; fetch to this machine, or give the runner a folder")
    from crass_tf.beam import running

    if "input" in options:
        options["kind"] = options.pop("input")
    return running.predict(path, runner=runner, runner_options=runner_options, **options)


def spacing(text: str) -> tuple[float, float]:
    """Returns `(row, column)` in millimetres from `R` or `R,C`."""
    from crass_tf.radiographs.radiograph import RANGE, is_plausible

    pair = _parse_pair(text, float, ",")
    if not pair or not is_plausible(pair):
        raise argparse.ArgumentTypeError(f"found {text!r}, expected millimetres as R or R,C, such as 0.25, {RANGE}")
    return pair


def positive(text: str) -> int:
    """Returns a whole number above 0."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a whole number above 0")
    return int(text)


def size(text: str) -> tuple[int, int]:
    """Returns `(height, width)` from `N` or `HxW`."""
    pair = _parse_pair(text.lower(), int, "x")
    if not pair or min(pair) < 1:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected pixels as N or HxW, such as 512x512")
    return pair


def fold(text: str) -> str:
    """Returns `N/K` as it is, where it names a fold."""
    from crass_tf.data.folds import parse_fold

    try:
        parse_fold(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error).removeprefix("fold: ")) from None
    return text


def names(text: str) -> tuple[str, ...]:
    """Returns the comma-separated words of a list."""
    return tuple(part for part in text.split(",") if part)


def argument(name: str, text: str | None = None, **more: Any) -> tuple[str, dict[str, Any]]:
    """Returns an argument's name and the options of `add_argument`; the word after the name is the metavar."""
    name, _, metavar = name.partition(" ")
    return name, ({"metavar": metavar} if metavar else {}) | {"help": text} | more


def flag(name: str, text: str) -> tuple[str, dict[str, Any]]:
    """Returns an argument without a value."""
    return argument(name, text, action="store_true")


def _parse_pair(text, kind, separator):
    """Returns two numbers of a text, one of them twice where it is alone; None for anything else."""
    try:
        numbers = [kind(part) for part in text.split(separator)]
    except ValueError:
        return None
    return (numbers[0], numbers[-1]) if len(numbers) <= 2 else None


def _part_runner_options(arguments):
    """Returns the arguments before and after `--` where there is a `--runner`, which gets the latter."""
    if "--" not in arguments or not any(part.partition("=")[0] == "--runner" for part in arguments):
        return arguments, []
    end = arguments.index("--")
    return arguments[:end], arguments[end + 1 :]


def _run_command(command, options):
    if command.needs_tensorflow:
        _import_tensorflow()
    code = command.report(pkgutil.resolve_name(command.run)(**options), options) or 0
    if sys.stdout is not None:
        # Here, since Python prints a stack trace where it fails at the end.
        sys.stdout.flush()
    return code


def _import_tensorflow():
    from crass_tf.common.parallel import quiet_native

    try:
        # Its messages on processors and drivers come before any log level applies.
        with quiet_native():
            import tensorflow  # noqa: F401
    except ImportError as error:
        raise InputError(f"this command needs TensorFlow, which cannot be imported ({error})") from None


def _lacking_library(error):
    """Returns the line on a system library that OpenCV lacks, as slim containers lack libGL; None for other errors."""
    library = re.match(r"(lib\S+): cannot open shared object file", str(error))
    try:
        import cv2  # noqa: F401
    except ImportError:
        if library:
            system = "install it with the system (Debian: apt-get install libgl1 libglib2.0-0)"
            headless = "pip uninstall -y opencv-python && pip install opencv-python-headless"
            return f"OpenCV needs {library[1]}, which this system lacks; {system}, or without it: {headless}"
    return None


def _forget_output():
    """Discards the rest of the output, since its reader has stopped."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(message):
    print(f"crass-tf: error: {' '.join(one_line(message).split())}", file=sys.stderr)
    return 2


class _Parser(argparse.ArgumentParser):
    """Prints an error as one line, without the usage that `--help` shows."""

    def error(self, message):
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def _parser():
    parser = _Parser("crass-tf", description=f"Clavicle segmentation in chest radiographs. {NOTICE}")
    parser.add_argument("--version", action="version", version=f"crass-tf {crass_tf.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        target = commands.add_parser(
            name, help=command.text, description=f"{command.text}. {NOTICE}", epilog=command.epilog
        )
        for each in command.arguments:
            if isinstance(each, str):
                target = target.add_argument_group(*each.split(": ", 1))
            else:
                target.add_argument(each[0], **each[1])
    return parser


def _report_proposals(rows, options):
    kept, sheets = sum(row["kept"] for row in rows), f"{options['out']}/sheets"
    print(f"proposed outlines for {kept} of {len(rows)} radiographs; look at {sheets} before you learn from them")


def _report_scores(metrics, options):
    low, high = metrics["iou"]["ci95"]
    mean = f"IoU {metrics['iou']['mean']:.4f} (95 % interval {low:.4f} to {high:.4f})"
    print(f"{metrics['n']} radiographs: {mean}; wrote {options['out']}/report.html")


# Arguments that several commands have.
ANY_MODEL = argument("--model", ".keras file, SavedModel folder or .tflite file (default: the shipped model)")
DATA_DIR = argument("--data-dir DIR", "TFDS data folder (default: TFDS' own)")
DATASET = argument("--dataset NAME", "default: crass12")
MANUAL_DIR = argument("--manual-dir DIR", "the folder that holds CRASS12/", required=True)
ABOUT_MODEL = (
    argument("--training-data TEXT", "what the model was trained on, for the model card and inside the .tflite files"),
    argument("--terms TEXT", "on what terms its weights may be used, for both, too"),
)
XLA = argument(
    "--xla", "compile the step with XLA (default: yes)", dest="jit_compile", action=argparse.BooleanOptionalAction
)
PRECISIONS = ("float32", "mixed_float16", "mixed_bfloat16")
OUTPUT = argument(
    "--output",
    "what a network of your own gives (default: by its last layer, where that tells)",
    choices=("logits", "probability"),
)
EXTENT = argument(
    "--extent",
    "how far to the side clavicles are marked: as in JSRT/SCR, or prolonged as in CRASS (default: scr)",
    choices=("scr", "crass"),
)
THREADS = argument("--threads N", "of a .tflite model (default: the cores, at most 4)", type=positive)
MODEL_OPTIONS = EXTENT, OUTPUT, THREADS
# Of `predict`, on many machines only.
RUNNER_OPTIONS = {"input", "summary", "shards", "patient_key"}

COMMANDS = {
    "demo": Command(
        "crass_tf.commands.demo:demo",
        "runs the whole chain on phantoms and writes a folder with an index.html",
        argument("--out DIR", "folder to write, new or of an earlier demo", required=True),
        argument("--seed", "of phantoms and training (default: 0)", type=int),
    ),
    # Some defaults are written out: importing them would slow down the start of every command.
    "phantom": Command(
        "crass_tf.phantom:write_folder",
        "writes synthetic chest radiographs with clavicle masks as a CRASS12 folder",
        argument("--out DIR", "gets the folders CRASS12 and structures", required=True),
        argument("--count", "number of radiographs (default: 240)", type=int),
        argument("--seed", "default: 0", type=int),
        argument("--size PIXELS", "height and width (default: 512)", type=int),
        argument("--workers", "processes (default: one for each core)", type=int),
        argument("--bedside SHARE", "of patients in bed, X-rayed from in front, 0 to 1 (default: 0)", type=float),
        report=lambda folder, options: print(f"wrote {folder}"),
        needs_tensorflow=False,
    ),
    "check": Command(
        "crass_tf.commands.check:check",
        "reads a data set's folder, prints what is in it and flags what is wrong",
        argument("folder FOLDER", "what build takes as --manual-dir"),
        argument("--out DIR", "gets check.html, check.json and the page's pictures"),
        DATASET,
        report=lambda code, options: code,
        needs_tensorflow=False,
        epilog="Exit code 0: nothing stops or spoils a build; 1: something flagged does; 2: no such folder.",
    ),
    "build": Command(
        "crass_tf.data.building:build",
        "builds the TFDS data set from CRASS12 as published or as first released",
        MANUAL_DIR,
        DATA_DIR,
        DATASET,
        argument(
            "--config NAME",
            "also HxW, such as 512x512; native16; unlabelled",
            dest="configs",
            nargs="+",
            action="extend",
        ),
        argument("--spacing-mm R[,C]", "pixel spacing in millimetres; outranks the files", type=spacing),
        flag("--overwrite", "build again what was built before"),
        argument("--file-format F", "tfrecord (default), or array_record, which tfds.data_source reads"),
        argument("--runner NAME", "a runner of Apache Beam; options for it follow after --"),
    ),
    "train": Command(
        "crass_tf.commands.train:train",
        "trains the U-Net on a built data set",
        DATA_DIR,
        argument("--out RUN", "folder of this run", required=True, dest="run"),
        DATASET,
        argument("--config NAME", "default: 512x512"),
        argument(
            "--split NAME",
            "what to train on, also sums and parts such as train+validation (default: train, or the first by name)",
        ),
        argument("--validation-split NAME", "what to watch (default: validation, or the last by name)"),
        argument("--fold N/K", "cut the split into K folds by names; watch the Nth, train on the others", type=fold),
        argument(
            "--preset NAME",
            "unet: one network on the whole radiograph (default); clavicles: the clavicle model, more accurate; "
            "tuned: a clavicle model given by --init; phantoms, from-phantoms, joined: the steps of crass-tf recipe",
        ),
        argument("--init MODEL", "a .keras model to start from"),
        flag("--resume", "go on after the last completed epoch of RUN"),
        argument("--image-size HxW", "of the network (default: the config's)", type=size),
        argument("--epochs", type=int),
        argument("--batch-size", type=int),
        argument("--learning-rate", type=float),
        argument("--seed", type=int),
        argument("--devices N", "how many share each batch equally, of all machines (default: 1)", type=positive),
        argument("--precision", "default: float32 on a CPU, mixed_bfloat16 on a GPU", choices=PRECISIONS),
        XLA,
        report=lambda model, options: print(f"wrote {options['run']}/model.keras"),
    ),
    "propose": Command(
        "crass_tf.commands.propose:propose",
        "outlines radiographs without masks by many views of each, to train on",
        argument("paths PATH", nargs="+"),
        argument("--out DIR", "gets CRASS12/, proposals.csv, sheets/", required=True),
        argument("--model", "a clavicle model in any form (default: the shipped one)"),
        argument("--least C", "certainty to be proposed, 0 to 1 (default: 0.7)", type=float),
        report=_report_proposals,
    ),
    "recipe": Command(
        "crass_tf.commands.recipe:recipe",
        "makes the shipped model's like from a folder: phantoms, training, evaluation, export",
        MANUAL_DIR,
        argument("--out DIR", "gets everything; run again to go on", required=True),
        DATASET,
        argument("--init MODEL", "a clavicle model to tune instead of one trained on phantoms first"),
        argument("--unlabelled PATH", "radiographs without masks, to learn from outlines that are proposed", nargs="+"),
        argument("--phantoms N", "number of phantoms (default: 600)", type=int),
        argument("--seed", "of tuning (default: 0)", type=int),
        XLA,
        *ABOUT_MODEL,
    ),
    "evaluate": Command(
        "crass_tf.commands.evaluate:evaluate_models",
        "scores a model at native size on a split, or on the fold that its run held out; several runs are pooled",
        argument(
            "models MODEL",
            ".keras file, SavedModel folder, .tflite file or RUN of crass-tf train; several only of runs with --fold",
            nargs="+",
        ),
        DATA_DIR,
        argument("--dataset NAME", "default: the one that RUN was trained on, else crass12"),
        argument("--split NAME", "default: the fold that RUN held out, else validation, or the last by name"),
        argument("--out DIR", "gets metrics.json, per_image.csv, report.html", required=True),
        flag(
            "--perturb",
            "measure one model under rotations, scales, exposures, bars ... too: prints a table of what each "
            "costs in IoU; DIR gets perturbations.json, perturbations.csv, perturbations.html",
        ),
        *MODEL_OPTIONS,
        report=_report_scores,
    ),
    "export": Command(
        "crass_tf.commands.export:export_from",
        "writes SavedModel and LiteRT files of a .keras model and compares them with it",
        argument("model MODEL.keras"),
        argument("--out DIR", required=True),
        argument(
            "--data-dir DIR",
            "calibrate the int8 model on this data set's split train and compare on validation, or on its first "
            "and last by name (default: phantoms)",
        ),
        DATASET,
        OUTPUT,
        flag("--onnx", "write model.onnx, too; needs tf2onnx and onnx"),
        *ABOUT_MODEL,
        report=lambda parity, options: int(not all(form["passed"] for form in parity["forms"].values())),
        epilog="Exit code 0: every form agrees with Keras as it should; 1: one does not, and a line says which.",
    ),
    "predict": Command(
        "crass_tf.cli:predict",
        "segments radiographs, files or folders of them: PNG, JPEG, TIFF, DICOM, MetaImage",
        argument("path PATH", nargs="+"),
        ANY_MODEL,
        argument("--out DIR", required=True),
        argument(
            "--outputs LIST",
            "of mask, labels, overlay, json (default: these four); probability, contours, coco, dicom-seg",
            type=names,
        ),
        argument("--spacing-mm R[,C]", "pixel spacing; outranks the files", type=spacing),
        flag("--overwrite", "do again what an earlier run on a folder has done"),
        flag("--dicomweb", "PATH is a DICOMweb server's address; it gets DICOM segmentations back"),
        *MODEL_OPTIONS,
        "many machines: PATH: patterns such as gs://bucket/**.dcm; DIR: a URL, too. See docs/scale.md.",
        argument("--runner NAME", "spark, or a runner of Apache Beam; options for it follow after --"),
        argument(
            "--input",
            "what PATH names: radiographs; CSV tables with a column image; tar shards; DICOM files, of which "
            "results lie by patient and study (default: files)",
            choices=("files", "table", "tar", "dicom"),
        ),
        argument("--summary", "default: csv", choices=("csv", "parquet")),
        argument("--shards N", "files of the summary (default: 1)", type=positive),
        argument("--patient-key TEXT", "a secret that patients' numbers are hashed with in names"),
        report=lambda code, options: code,
        needs_tensorflow=False,
        epilog="A folder's run writes DIR/summary.csv, too. Stopped and started again, it goes on where it was; with "
        "another model or spacing, and for changed files, all is done again. A radiograph is taken for unchanged by "
        "its name, size and time of change. Exit code 0: all were segmented; 1: some were refused; 2: all were, or a "
        "mistake.",
    ),
    "benchmark": Command(
        "crass_tf.commands.benchmark:benchmark",
        "measures start-up, latency, throughput and memory of a model",
        ANY_MODEL,
        argument("--json FILE", "writes the JSON to a file instead", dest="json_file"),
        argument("--radiographs N", "in the folder for the throughput (default: 48)", type=int),
        OUTPUT,
        THREADS,
        needs_tensorflow=False,
        epilog="Prints a table, then the figures as one line of JSON. Let nothing else run meanwhile.",
    ),
    "view": Command(
        "crass_tf.commands.view:view",
        "opens the page that outlines clavicles in the browser, on this computer only",
        argument("path PATH", "radiographs, or folders of them, to open at once", nargs="*"),
        argument("--model", "a .tflite file (default: the one that the page was built with)"),
        argument("--port N", "on the loopback; 0: any (default: 8737)", type=int),
        argument("--no-browser", "only serve and print the address", dest="browser", action="store_false"),
        needs_tensorflow=False,
    ),
}
