"""A data set built through Beam is the one that is built without."""

import numpy as np
import pytest
import tensorflow_datasets as tfds

pytest.importorskip("apache_beam", reason="needs Apache Beam: pip install crass-tf[beam]")

import tfds_builder.crass12.crass12_dataset_builder as crass12  # noqa: E402
from crass_tf import cli  # noqa: E402


@pytest.mark.parametrize("file_format", ["tfrecord", "array_record"])
def test_equals_the_one_built_without(phantom_folder, tmp_path, file_format):
    built = {}
    for name, options in {"without": {}, "beam": {"beam_runner": "DirectRunner"}}.items():
        builder = crass12.Builder(config="32x64", data_dir=tmp_path / name, file_format=file_format, verbose=False)
        config = tfds.download.DownloadConfig(manual_dir=phantom_folder, **options)
        builder.download_and_prepare(download_config=config)
        again = crass12.Builder(config="32x64", data_dir=tmp_path / name, file_format=file_format, verbose=False)
        built[name] = again
    assert dict(built["beam"].info.metadata) == dict(built["without"].info.metadata)
    assert built["beam"].info.metadata["fingerprint"]
    assert built["beam"].info.splits["train"].num_examples == 6
    images = {}
    for name, builder in built.items():
        # TensorFlow reads TFRecord files, any Python program ArrayRecord files.
        is_source = file_format == "array_record"
        split = builder.as_data_source("train") if is_source else tfds.as_numpy(builder.as_dataset("train"))
        images[name] = {bytes(_bytes(one["image_id"])): one["image"] for one in split}
    assert list(images["beam"]) == list(images["without"])
    for key, image in images["beam"].items():
        np.testing.assert_array_equal(image, images["without"][key])


def test_from_the_command_line(phantom_folder, tmp_path):
    names = {}
    for name, options in {
        "without": [],
        "beam": ["--runner", "DirectRunner", "--", "--direct_num_workers", "1"],
    }.items():
        folders = ["--manual-dir", str(phantom_folder), "--data-dir", str(tmp_path / name)]
        assert cli.main(["build", *folders, *options]) == 0
        split = tfds.as_numpy(tfds.load("crass12/native", split="train", data_dir=tmp_path / name))
        names[name] = [one["image_id"] for one in split]
    assert names["beam"] == names["without"] and len(names["beam"]) == 6


def _bytes(text):
    return text.encode() if isinstance(text, str) else text
