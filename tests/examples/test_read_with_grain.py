"""The example for grain reads each radiograph once an epoch."""

import pathlib
import runpy
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("grain", reason="needs grain: pip install grain")

EXAMPLE = pathlib.Path(__file__).parents[2] / "examples/read_with_grain.py"


@pytest.fixture(scope="module")
def data_dir(phantom_folder, tmp_path_factory):
    """The phantoms as `crass12/32x64` in ArrayRecord files."""
    import tensorflow_datasets as tfds

    import tfds_builder.crass12.crass12_dataset_builder as crass12

    folder = tmp_path_factory.mktemp("array_record")
    builder = crass12.Builder(config="32x64", data_dir=folder, file_format="array_record", verbose=False)
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=phantom_folder))
    return folder


def test_each_radiograph_once_an_epoch(data_dir):
    batches = iter(runpy.run_path(str(EXAMPLE))["batches"]("crass12/32x64", batch_size=3, data_dir=data_dir))
    # Six radiographs: two batches an epoch.
    epochs = [np.concatenate([next(batches)[0] for _ in range(2)]) for _ in range(2)]
    seen = [{image.tobytes() for image in epoch} for epoch in epochs]
    assert len(seen[0]) == 6 and seen[0] == seen[1]
    image, mask = next(batches)
    assert image.shape == mask.shape == (3, 32, 64, 1) and set(np.unique(mask)) == {0, 1}


def test_as_a_program(data_dir):
    done = subprocess.run([sys.executable, EXAMPLE, "crass12/32x64", data_dir], capture_output=True, text=True)
    assert done.stdout.startswith("images (8, 32, 64, 1) uint8"), done.stderr
