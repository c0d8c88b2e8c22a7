"""Times every form of a model, a bare script beside `crass-tf predict`, and the networks of others.

python benchmarks/inference.py [MODEL ...] [--json FILE]

MODEL is what `crass-tf predict --model` takes, or the folder of `crass-tf export`, of which every form is timed;
without any it is the shipped model. The bare script is what one would write by hand with NumPy, OpenCV and LiteRT for
one network on 512 x 512 pixels: it reads a radiograph, infers, writes mask and overlay. It and `crass-tf predict` with
the shipped model take turns as whole processes. Of torchxrayvision, MONAI and segmentation-models-pytorch those are
timed that are installed, with random weights, on 512 x 512 pixels.
"""

import argparse
import pathlib
import statistics
import tempfile

import numpy as np

from crass_tf.commands import benchmark
from crass_tf.common.files import output_file, write_json
from crass_tf.inference.model_files import default_threads
from crass_tf.inference.segmenter import shipped_model

RADIOGRAPHS, PAIRS, PEER_RUNS, SIZE = 48, 9, 7, 512

BARE = """
import sys
import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter
model, radiograph, mask, overlay, threads = sys.argv[1:]
image = cv2.imread(radiograph, cv2.IMREAD_GRAYSCALE)
interpreter = Interpreter(model, num_threads=int(threads))
interpreter.allocate_tensors()
(given,), (found,) = interpreter.get_input_details(), interpreter.get_output_details()
small = cv2.resize(image, given["shape"][2:0:-1], interpolation=cv2.INTER_AREA)
interpreter.set_tensor(given["index"], small[None, :, :, None].astype(np.float32))
interpreter.invoke()
logits = cv2.resize(interpreter.get_tensor(found["index"])[0, :, :, 0], image.shape[::-1])
clavicles = (logits > 0).astype(np.uint8)
cv2.imwrite(mask, 255 * clavicles)
canvas = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
outlines, _ = cv2.findContours(clavicles, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
cv2.imwrite(overlay, cv2.drawContours(canvas, outlines, -1, (60, 160, 255), 3))
"""
PEAK = "\nfrom crass_tf.commands.benchmark import peak_mib\nprint(peak_mib())"

# What the bare script runs: the default network of `crass-tf train`, untrained.
NETWORK = """
import pathlib, sys
from crass_tf.export import conversion
from crass_tf.model import unet
model = conversion.as_served(unet((int(sys.argv[2]), int(sys.argv[2]))))
pathlib.Path(sys.argv[1]).write_bytes(conversion.to_float32(model))
"""


def main():
    """Prints tables, and writes the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL", type=pathlib.Path)
    parser.add_argument("--radiographs", type=int, default=RADIOGRAPHS, help="default: %(default)s")
    parser.add_argument("--network", help="the bare script's, a .tflite (default: made untrained, with TensorFlow)")
    parser.add_argument("--json", type=output_file, metavar="FILE", help="a JSON of the same figures")
    args = parser.parse_args()
    models = [form for model in args.models or [shipped_model()] for form in forms(model)]
    with tempfile.TemporaryDirectory() as folder:
        paths = benchmark.write_radiographs(pathlib.Path(folder, "radiographs"), args.radiographs)
        figures = {"forms": [benchmark.measure(model, paths) for model in models]}
        print(benchmark.table(figures["forms"]))
        figures["bare"] = beside_bare(args.network, paths[0], pathlib.Path(folder))
        print_bare(figures["bare"])
    figures["peers_ms"] = peers()
    print_peers(figures["peers_ms"])
    if args.json:
        write_json(args.json, figures)


def forms(path):
    """Returns the models that a path stands for: those in the folder of an export, or itself."""
    if path.is_dir() and not (path / "saved_model.pb").exists():
        return sorted([*path.glob("*.keras"), *path.glob("*.tflite"), *path.glob("saved_model*")])
    return [path]


def beside_bare(network, radiograph, folder):
    """Returns seconds and MiB of the bare script and of `crass-tf predict`, and the ratio of their times."""
    if network is None:
        network = folder / "network.tflite"
        benchmark.run("-c", NETWORK, network, SIZE)
    bare = [network, radiograph, folder / "mask.png", folder / "overlay.png", default_threads()]
    ours = ["predict", radiograph, "--out", folder / "results", "--outputs", "mask,overlay"]
    calls = {
        "bare script": lambda: benchmark.run("-c", BARE, *bare),
        "crass-tf predict": lambda: benchmark.run("-m", "crass_tf", *ours),
    }
    times = [{name: benchmark.seconds(call) for name, call in calls.items()} for _ in range(PAIRS + 1)][1:]
    own = "import sys; from crass_tf.cli import main; main(sys.argv[1:])"
    memory = {
        "bare script": benchmark.run("-c", BARE + PEAK, *bare),
        "crass-tf predict": benchmark.run("-c", own + PEAK, *ours),
    }
    figures = {
        name: {"process_s": statistics.median(pair[name] for pair in times), "peak_mib": float(said.split()[-1])}
        for name, said in memory.items()
    }
    return figures | {"ratio": statistics.median(pair["crass-tf predict"] / pair["bare script"] for pair in times)}


def peers():
    """Returns the median and the 95th percentile of milliseconds of other networks, or why there are none."""
    found = {}
    for name, make in PEERS.items():
        try:
            found[name] = torch_ms(*make())
        except ImportError as error:
            found[name] = f"not timed: {error}"
    return found


def pspnet():
    """Returns torchxrayvision's PSPNet as it is built before its weights are read, and the channels it takes."""
    from torchxrayvision.baseline_models.chestx_det.ptsemseg.pspnet import pspnet

    return pspnet(14), 3


def basic_unet():
    """Returns MONAI's BasicUNet with its default widths."""
    from monai.networks.nets import BasicUNet

    return BasicUNet(spatial_dims=2, in_channels=1, out_channels=1), 1


def mobilenet_unet():
    """Returns a U-Net with a MobileNetV2 encoder."""
    from segmentation_models_pytorch import Unet

    return Unet("mobilenet_v2", encoder_weights=None, in_channels=1), 1


PEERS = {
    "PSPNet (torchxrayvision)": pspnet,
    "BasicUNet (MONAI)": basic_unet,
    "MobileNetV2 U-Net (segmentation-models-pytorch)": mobilenet_unet,
}


def torch_ms(network, channels):
    """Returns `{"median", "p95"}` of milliseconds that a PyTorch network takes for one image."""
    import torch

    torch.set_num_threads(default_threads())
    image = torch.from_numpy(np.random.default_rng(0).random((1, channels, SIZE, SIZE), np.float32))
    network.eval()
    with torch.inference_mode():
        return benchmark.times_ms(lambda: network(image), PEER_RUNS)


def print_bare(figures):
    """Prints the comparison of whole processes."""
    print("\n| whole process, mask and overlay | seconds | MiB |\n|---|---|---|")
    for name in ("bare script", "crass-tf predict"):
        print(f"| {name} | {figures[name]['process_s']:.2f} | {figures[name]['peak_mib']:.0f} |")
    print(f"\ncrass-tf predict takes {figures['ratio']:.2f} times as long, the median of {PAIRS} pairs")


def print_peers(figures):
    """Prints the times of others' networks."""
    print(f"\n| network on {SIZE} x {SIZE}, {default_threads()} threads | ms, median (95th percentile) |\n|---|---|")
    for name, times in figures.items():
        said = times if isinstance(times, str) else f"{times['median']:.1f} ({times['p95']:.1f})"
        print(f"| {name} | {said} |")


if __name__ == "__main__":
    main()
