"""A data set in a bucket: in TensorFlow's file system in memory, `ram://`, in the place of `gs://`."""

import pytest
import tensorflow as tf
from etils.epath import backend, gpath, register
from refusals import refuses

from crass_tf.common import files
from crass_tf.data.building import build
from crass_tf.data.loading import load_arrays


class Ram(type(backend.tf_backend)):
    """Renames a folder's files, as that of `gs://` does."""

    def rename(self, path, dst):
        if not tf.io.gfile.isdir(path):
            return tf.io.gfile.rename(path, dst)
        for name in self.listdir(path):
            tf.io.gfile.makedirs(dst)
            self.rename(f"{path}/{name.rstrip('/')}", f"{dst}/{name.rstrip('/')}")
        return tf.io.gfile.rmtree(path)


@pytest.fixture
def bucket(monkeypatch, tmp_path):
    ram = Ram()
    monkeypatch.setattr(files, "DATA_URLS", ("ram",))
    monkeypatch.setattr(gpath, "_URI_PREFIXES", ("ram://",))
    monkeypatch.setattr(gpath, "_URI_SCHEMES", {"ram"})
    monkeypatch.setitem(gpath._URI_MAP_ROOT, "ram://", "/ram/")
    monkeypatch.setitem(gpath._PREFIX_TO_BACKEND, "ram", ram)
    monkeypatch.setitem(register._URI_PREFIXES_TO_CLS, "ram://", gpath.PosixGPath)
    monkeypatch.setattr(backend, "tf_backend", ram)
    monkeypatch.chdir(tmp_path)
    yield "ram://bucket/data"
    assert [path.name for path in tmp_path.iterdir()] == ["manual"]


def contents(folder):
    return {name for _, _, names in tf.io.gfile.walk(folder) for name in names}


def test_built_read_and_overwritten(bucket, manual_dir, capsys):
    refuses(f"crass12/64x64: not found in {bucket}; build it with", load_arrays, config="64x64", data_dir=bucket)
    build(manual_dir, bucket, ["64x64"])
    names = contents(bucket)
    for overwrite in (False, True):
        build(manual_dir, bucket, ["64x64"], overwrite=overwrite)
        assert ("kept as built before: " in capsys.readouterr().out) != overwrite
    assert contents(bucket) == names and "dataset_info.json" in names
    assert load_arrays(config="64x64", data_dir=bucket)[0].shape == (3, 64, 64, 1)
    # A build that fails leaves no half of it.
    (manual_dir / "CRASS12/mask/0002.PNG").write_bytes(b"")
    refuses("empty file", build, manual_dir, bucket, ["32x32"], overwrite=True)
    assert contents(bucket) == names


def test_array_record_is_refused_before_work(bucket, manual_dir):
    expected = f"file_format: found 'array_record' for {bucket}, expected tfrecord"
    refuses(expected, build, manual_dir, bucket, file_format="array_record")
