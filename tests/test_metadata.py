import hashlib
import io
import json
import zipfile

import numpy as np
import pytest

from crass_tf import metadata
from crass_tf.files import InputError

# What begins as a LiteRT file does.
MODEL = b"\x1c\0\0\0TFL3" + bytes(range(256)) * 8


def written(tmp_path, data):
    path = tmp_path / "model.tflite"
    path.write_bytes(data)
    return path


def zipped(model, **files):
    """A file with an archive that holds `crass_tf` and others, `{name: text}`."""
    file = io.BytesIO(model)
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(f"{name}.json", text)
    return file.getvalue()


def test_what_is_attached_is_read_and_the_model_before_it_is_unchanged(tmp_path):
    data = metadata.attach(MODEL, {"form": "int8"})
    assert data.startswith(MODEL) and data == metadata.attach(MODEL, {"form": "int8"})
    about = {"format_version": 1, "form": "int8", "sha256": hashlib.sha256(MODEL).hexdigest()}
    assert metadata.read(written(tmp_path, data)) == about


def test_any_zip_tool_reads_it(tmp_path):
    with zipfile.ZipFile(written(tmp_path, metadata.attach(MODEL, {"form": "int8"}))) as archive:
        assert archive.namelist() == ["crass_tf.json"]
        assert json.loads(archive.read("crass_tf.json"))["form"] == "int8"


@pytest.mark.parametrize("data", [MODEL, MODEL[:-5], zipped(MODEL, labels="background clavicle")])
def test_a_file_from_elsewhere_is_refused(tmp_path, data):
    expected = "model.tflite: found no crass_tf.json in it, expected a model made by `crass-tf export`; .* export"
    with pytest.raises(InputError, match=expected):
        metadata.read(written(tmp_path, data))


def test_a_file_cut_short_is_refused(tmp_path):
    data = metadata.attach(MODEL, {"form": "int8"})
    for length in (len(MODEL) // 2, len(MODEL), len(data) - 1):
        with pytest.raises(InputError, match="found no crass_tf.json in it.* cut short copied again"):
            metadata.read(written(tmp_path, data[:length]))


def test_a_changed_byte_is_found(tmp_path):
    data = metadata.attach(MODEL, {"form": "int8"})
    for place in (0, 8, len(MODEL) // 2, len(MODEL) - 1):
        changed = bytearray(data)
        changed[place] ^= 1
        with pytest.raises(InputError, match="found another checksum than its crass_tf.json says; the file is damaged"):
            metadata.read(written(tmp_path, changed))


def test_damage_anywhere_is_one_line_or_does_no_harm(tmp_path):
    data, rng = metadata.attach(MODEL, {"form": "int8"}), np.random.default_rng(0)
    about = metadata.read(written(tmp_path, data))
    for _ in range(200):
        changed = bytearray(data)
        changed[rng.integers(len(MODEL), len(data))] ^= rng.integers(1, 256)
        try:
            # A changed time stamp is no damage.
            assert metadata.read(written(tmp_path, changed)) == about
        except InputError as error:
            assert "\n" not in str(error)


def test_a_newer_format_is_named(tmp_path):
    data = metadata.attach(MODEL, {"format_version": 2})
    with pytest.raises(InputError, match="found format version 2 in its crass_tf.json, expected 1; install"):
        metadata.read(written(tmp_path, data))


@pytest.mark.parametrize(
    "text, reason",
    [
        ("{", "Expecting property name"),
        ("[]", "no JSON object"),
        ("[" * 10**5, "recursion"),
        (" " * 10**7, "it claims"),
    ],
)
def test_what_is_no_description_is_refused(tmp_path, text, reason):
    with pytest.raises(InputError, match=f"its crass_tf.json cannot be read .*{reason}"):
        metadata.read(written(tmp_path, zipped(MODEL, crass_tf=text)))


def test_what_is_no_litert_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be opened as a LiteRT model .it starts with b'PK"):
        metadata.read(written(tmp_path, zipped(b"", crass_tf="{}")))
