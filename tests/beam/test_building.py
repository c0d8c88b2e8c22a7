"""A data set built through Beam is the one that is built without."""

import numpy as np
import pytest
import tensorflow_datasets as tfds

pytest.importorskip("apache_beam", reason="needs Apache Beam: pip install crass-tf[beam]")

from crass_tf import cli  # noqa: E402

BEAM = ["--runner", "DirectRunner", "--", "--direct_num_workers", "1"]


@pytest.mark.parametrize("file_format", ["tfrecord", "array_record"])
def test_equals_the_one_built_without(phantom_folder, tmp_path, file_format):
    metadata, images = [], []
    for name, options in {"without": [], "beam": BEAM}.items():
        folders = ["--manual-dir", str(phantom_folder), "--data-dir", str(tmp_path / name)]
        assert cli.main(["build", *folders, "--file-format", file_format, *options]) == 0
        builder = tfds.builder("crass12/native", data_dir=tmp_path / name)
        metadata.append(dict(builder.info.metadata))
        # TensorFlow reads TFRecord files, any Python program ArrayRecord files.
        is_source = file_format == "array_record"
        split = builder.as_data_source("train") if is_source else tfds.as_numpy(builder.as_dataset("train"))
        images.append([(one["image_id"], one["image"]) for one in split])
    assert metadata[0] == metadata[1] and metadata[0]["fingerprint"]
    assert len(images[0]) == 6
    for (name, image), (other_name, other_image) in zip(*images, strict=True):
        assert name == other_name
        np.testing.assert_array_equal(image, other_image)
