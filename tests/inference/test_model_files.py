"""Which `.tflite` files are opened, what they say of themselves, and what is said of the others."""

import hashlib
import io
import json
import zipfile

import numpy as np
import pytest
from refusals import refuses

from crass_tf.common.files import InputError
from crass_tf.inference.model_files import attach_metadata, open_model, read_metadata


@pytest.mark.parametrize(
    "change, message",
    [
        (None, "found no crass_tf.json in it, expected a model made by"),
        *(
            ({"image_size": size}, r"found an input of \[64, 64\], expected .* by its crass_tf.json")
            for size in ([64, 96], None, "64x64")
        ),
        ({"classes": ["background", "lung"]}, "found classes = .* in its crass_tf.json, expected "),
        ({"grey_range": [0, 1]}, "found grey_range = .* in its crass_tf.json, expected "),
    ],
    ids=str,
)
def test_a_foreign_file_is_refused_even_where_its_shapes_fit(litert_model, tmp_path, change, message):
    bare = litert_model.read_bytes()
    bare = bare[: bare.index(b"PK\3\4")]
    data = bare if change is None else attach_metadata(bare, read_metadata(litert_model) | change)
    (tmp_path / "model.tflite").write_bytes(data)
    refuses(f"model.tflite: {message}", open_model, tmp_path / "model.tflite")


# What begins as a LiteRT file does.
MODEL = b"\x1c\0\0\0TFL3" + bytes(range(256)) * 8
WHOLE = attach_metadata(MODEL, {"form": "int8"})


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
    assert WHOLE.startswith(MODEL) and attach_metadata(MODEL, {"form": "int8"}) == WHOLE
    about = {"format_version": 2, "form": "int8", "sha256": hashlib.sha256(MODEL).hexdigest()}
    assert read_metadata(written(tmp_path, WHOLE)) == about
    # Any zip tool reads it, too.
    with zipfile.ZipFile(tmp_path / "model.tflite") as archive:
        assert archive.namelist() == ["crass_tf.json"] and json.loads(archive.read("crass_tf.json")) == about


@pytest.mark.parametrize(
    "data", [MODEL, MODEL[:-5], zipped(MODEL, labels="background clavicle"), MODEL[: len(MODEL) // 2], WHOLE[:-1]]
)
def test_a_file_from_elsewhere_or_cut_short_is_refused(tmp_path, data):
    expected = "model.tflite: found no crass_tf.json in it, expected a model made by `crass-tf export`; .* export"
    refuses(f"{expected}.* cut short copied again", read_metadata, written(tmp_path, data))


def test_a_changed_byte_is_found_or_does_no_harm(tmp_path):
    for place in (0, 8, len(MODEL) // 2, len(MODEL) - 1):
        changed = bytearray(WHOLE)
        changed[place] ^= 1
        with pytest.raises(InputError, match="found another checksum than its crass_tf.json says; the file is damaged"):
            read_metadata(written(tmp_path, changed))
    rng, about = np.random.default_rng(0), read_metadata(written(tmp_path, WHOLE))
    for _ in range(200):
        changed = bytearray(WHOLE)
        changed[rng.integers(len(MODEL), len(WHOLE))] ^= rng.integers(1, 256)
        try:
            # A changed time stamp is no damage.
            assert read_metadata(written(tmp_path, changed)) == about
        except InputError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize(
    "data, reason",
    [
        (zipped(MODEL, crass_tf="{"), "its crass_tf.json cannot be read .*Expecting property name"),
        (zipped(MODEL, crass_tf="[]"), "its crass_tf.json cannot be read .*no JSON object"),
        (zipped(MODEL, crass_tf="[" * 10**5), "its crass_tf.json cannot be read .*recursion"),
        (zipped(MODEL, crass_tf=" " * 10**7), "its crass_tf.json cannot be read .*it claims"),
        (zipped(b"", crass_tf="{}"), "cannot be opened as a LiteRT model .it starts with b'PK"),
        (attach_metadata(MODEL, {"format_version": 3}), "found format version 3 in its crass_tf.json, expected 2; in"),
    ],
    ids=["open", "list", "deep", "large", "no model", "version"],
)
def test_what_is_no_description_is_refused(tmp_path, data, reason):
    refuses(reason, read_metadata, written(tmp_path, data))
