"""Damaged and odd folders: each builds what it should, or ends with one line that names the file and leaves nothing.

Damaged and odd files of each format are the readers' matter: `tests/radiographs`. Here are some of each.
"""

import errno
import itertools
import os
import pathlib
import shutil

import cv2
import numpy as np
import pytest
import tensorflow_datasets as tfds
from metaimages import write_mhd
from radiograph_files import png
from refusals import refuses

from crass_tf.data.building import build
from crass_tf.radiographs.formats.png import write_png

GREY = (np.arange(64 * 80).reshape(64, 80) % 251).astype(np.uint8)
DEEP = (np.arange(64 * 80).reshape(64, 80) % 4096).astype(np.uint16)
BOX = np.zeros((64, 80), np.uint8)
BOX[20:30, 10:40] = 1


@pytest.fixture
def release(tmp_path):
    """The original release: 0000 to 0003 of 12 bits with the mask `BOX`; the derived split validates on 0002."""
    folder = tmp_path / "release" / "CRASS12"
    for number in range(4):
        write_mhd(folder / "data_train" / f"000{number}.mhd", DEEP)
        write_mhd(folder / "mask_mhd" / f"000{number}.mhd", BOX)
    return folder


def change_to(name, change, *arguments):
    """Returns a change of a folder: what `change` does to the file of this name."""
    return lambda folder: change(folder / name, *arguments)


def write(name, data):
    """Returns a change of a folder that writes a file anew."""
    return lambda folder: (folder / name).write_bytes(data)


def cut(path, count):
    path.write_bytes(path.read_bytes()[:count])


def remove(path):
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def link_to(path, target):
    path.unlink(missing_ok=True)
    path.symlink_to(target)


def folder_instead(path):
    path.unlink(missing_ok=True)
    path.mkdir()


def file_instead(path):
    shutil.rmtree(path)
    path.write_text("")


def rename(path, name):
    path.rename(path.with_name(name))


def outside(*paths):
    """Moves files out of the folder and leaves links to them."""
    for path in paths:
        store = path.parents[2] / "store"
        store.mkdir(exist_ok=True)
        path.symlink_to(shutil.move(path, store / f"{path.parent.name}-{path.name}"))


def built(manual_dir, data_dir):
    """Builds `native`; returns `{split: {image_id: (image, mask)}}` as TFDS loads it."""
    build(manual_dir, data_dir)
    return {
        split: {e["image_id"].decode(): (e["image"][..., 0], e["segmentation_mask"][..., 0]) for e in loaded}
        for split, loaded in tfds.as_numpy(tfds.load("crass12/native", data_dir=data_dir)).items()
    }


def message(manual_dir, data_dir):
    """Builds in vain; returns the error's line."""
    line = refuses(None, build, manual_dir, data_dir)
    assert not data_dir.exists()
    return line


def as_published(dummy_data):
    """Returns what the dummy data build to, read without our code."""
    read = lambda kind, name: cv2.imread(f"{dummy_data}/CRASS12/{kind}/{name}.PNG", cv2.IMREAD_UNCHANGED)  # noqa: E731
    return {name: (read("image", name), read("mask", name)) for name in ("0001", "0002", "0003", "0004")}


LISTS = [
    b"0003\n0001\n0002",
    b"\xef\xbb\xbf0001\n0002\n0003\n",
    b"0001\r\n0002\r\n0003\r\n",
    b"0001\r0002\r0003\r",
    b"\n\n0001\n  \n0002\n\t\n0003\n\n",
    b"/home/me/CRASS12/image/0001.PNG\n/0002\nC:\\data\\0003.PNG\n",
    b"\xef\xbb\xbf  image/0001.png\r\n\r\nmask\\0002.PNG \n./0003",
]


def assert_examples(found, expected):
    found = {name: pair for examples in found.values() for name, pair in examples.items()}
    assert found.keys() == expected.keys()
    for name, (image, mask) in expected.items():
        np.testing.assert_array_equal(found[name][0], image)
        np.testing.assert_array_equal(found[name][1], mask > 0)


ONE = "image/0001.PNG"
ONE_MASK = "mask/0001.PNG"
FAR_TOO_LARGE = png(40_000, 25_000)


def test_an_empty_mask_is_kept(dummy_data, manual_dir, crass12, tmp_path):
    write_png(crass12 / ONE_MASK, BOX * 0)
    expected = as_published(dummy_data)
    expected["0001"] = expected["0001"][0], BOX * 0
    assert_examples(built(manual_dir, tmp_path / "data"), expected)


SAME = {
    **{f"list-{number}": write("train.txt", content) for number, content in enumerate(LISTS)},
    "linked-files": lambda c: outside(*(c / "image").iterdir(), *(c / "mask").iterdir()),
    "linked-folders": lambda c: outside(c / "image", c / "mask"),
    "linked-lists": change_to("val.txt", outside),
    "lower-case-suffix": change_to(ONE, rename, "0001.png"),
    "mixed-case-suffix": change_to(ONE_MASK, rename, "0001.Png"),
    "macos-file": write("image/._0001.PNG", b"\0\5\26\7"),
    "other-files": write("image/Thumbs.db", b""),
    "folder-among-images": change_to("image/old.PNG", folder_instead),
    "dangling-link-in-no-list": change_to("image/0009.PNG", link_to, "nowhere"),
}


@pytest.mark.parametrize("change", SAME.values(), ids=SAME)
def test_builds_the_same(dummy_data, manual_dir, crass12, tmp_path, change):
    change(crass12)
    found = built(manual_dir, tmp_path / "data")
    assert sorted(found["train"]) == ["0001", "0002", "0003"] and sorted(found["validation"]) == ["0004"]
    assert_examples(found, as_published(dummy_data))


def test_names_that_differ_in_case_only(dummy_data, manual_dir, crass12, tmp_path):
    for kind, pixels in (("image", GREY), ("mask", BOX)):
        (crass12 / kind / "0001.PNG").rename(crass12 / kind / "a.PNG")
        if (crass12 / kind / "A.PNG").exists():
            pytest.skip("a file system that takes upper and lower case for one")
        write_png(crass12 / kind / "A.PNG", pixels)
    (crass12 / "train.txt").write_text("a\nA\n0002\n0003\n")
    expected = as_published(dummy_data) | {"A": (GREY, BOX)}
    expected["a"] = expected.pop("0001")
    assert_examples(built(manual_dir, tmp_path / "data"), expected)


TWO, TWO_MASK, FOUR_MASK = "image/0002.PNG", "mask/0002.PNG", "mask/0004.PNG"
# What is done to the published folder; then what the line has to hold, first the file.
FAILS = [
    (change_to("image/0004.PNG", cut, 200), "image/0004.PNG: the PNG file is truncated after 200"),
    (change_to(ONE_MASK, cut, 20), "mask/0001.PNG: the PNG file is truncated after 20"),
    (write(ONE, b"a text"), "image/0001.PNG: found no PNG file (it starts with b'a text')"),
    (write("mask/0003.PNG", b""), "mask/0003.PNG: found an empty file of 0 bytes"),
    (write(ONE, FAR_TOO_LARGE), "image/0001.PNG: the header claims 40000 x 25000 pixels"),
    (
        change_to(ONE_MASK, write_png, BOX.T),
        "mask/0001.PNG: found a mask of 80 x 64 pixels (rows x columns), expected its radiograph's 64 x 80",
    ),
    (change_to(TWO, remove), "image/0002.PNG: file not found, expected because train.txt names 0002"),
    (change_to(FOUR_MASK, remove), "mask/0004.PNG: file not found, expected because val.txt names 0004"),
    (change_to(TWO, link_to, "gone"), "image/0002.PNG: file not found"),
    (change_to(TWO_MASK, link_to, "0002.PNG"), "mask/0002.PNG: file not found"),
    (change_to(TWO, folder_instead), "image/0002.PNG: file not found"),
    (change_to("train.txt", folder_instead), "train.txt: file not found"),
    (change_to("mask", file_instead), "CRASS12/mask: folder not found"),
    (file_instead, "CRASS12: folder not found"),
    (remove, "CRASS12: folder not found, expected CRASS12/{image,mask}/*.PNG, or the original release's"),
    (lambda c: shutil.copy(c / ONE, c / "image/0001.png"), "image/0001.png: found 0001.PNG beside it"),
    (change_to("train.txt", remove), "CRASS12/train.txt: file not found"),
    (change_to("val.txt", remove), "CRASS12/val.txt: file not found"),
    (write("val.txt", b"\n \n"), "val.txt: found no name, expected the name of one radiograph a line"),
    (write("train.txt", "0001\n0002\n".encode("utf-16")), "train.txt: found bytes that are no UTF-8 text"),
    (lambda c: shutil.copy(c / ONE, c / "val.txt"), "val.txt: found bytes that are no UTF-8"),
    (write("train.txt", b"0001\n../0002\n0003\n"), "train.txt: found '..' in line 2"),
    (write("train.txt", b"0001\n..\\image\\0002.PNG\n"), "train.txt: found '..' in line 2"),
    (write("train.txt", b"0001\nimage/\n"), "train.txt: found no name in line 2"),
    (write("train.txt", b"0001\n0002\n0003\nimage/0001.PNG\n"), "train.txt: found 0001 a second time in line 4"),
    (write("val.txt", b"0004\n0002\n"), "val.txt: found 0002, which "),
    (write("val.txt", b"0004\n0005\n"), "image/0005.PNG: file not found, expected because val.txt names 0005"),
    (write("val.txt", b"0004 0005\n"), "image/0004 0005.PNG: file not found"),
    (write("spacing.json", b"0.25 mm"), "spacing.json: found no JSON"),
    (write("spacing.json", '{"spacing_mm": [1, 2]}'.encode("utf-16")), "spacing.json: found bytes"),
    (change_to("spacing.json", folder_instead), "spacing.json: cannot be opened (Is a directory)"),
]


@pytest.mark.parametrize("change, expected", FAILS)
def test_fails(manual_dir, crass12, tmp_path, change, expected):
    change(crass12)
    assert expected in message(manual_dir, tmp_path / "data")


# What is done to the original release; then what the line has to hold.
RELEASE_FAILS = [
    (change_to("data_train/0001.raw", remove), "data_train/0001.raw: file not found, expected because 0001.mhd"),
    (change_to("mask_mhd/0001_left.mhd", write_mhd, BOX), "0001.mhd: found 0001.mhd, 0001_left.mhd as masks of 0001"),
    (
        change_to("mask_mhd/0001.mhd", rename, "0001_left.mhd"),
        "found 0001_left.mhd as masks of 0001, expected one file",
    ),
    (change_to("data_test/0001.mha", write_mhd, GREY), "data_test/0001.mha: found "),
    (change_to("data_train", rename, "data_test"), "CRASS12/image: folder not found"),
    (change_to("mask_mhd", remove), "CRASS12/mask_mhd: folder not found"),
    (lambda c: [shutil.rmtree(c / "data_train"), (c / "data_train").mkdir()], "found 0 radiographs with masks"),
    (lambda c: [write("train.txt", b"0001.mhd")(c), write("val.txt", b"9")(c)], "data_train/9.mhd: file not found"),
]


@pytest.mark.parametrize("change, expected", RELEASE_FAILS)
def test_release_fails(release, tmp_path, capfd, change, expected):
    change(release)
    assert expected in message(release.parent, tmp_path / "data")
    # ITK's own lines are not for a user.
    assert "ITK" not in capfd.readouterr().err


def rewritten(name, pixels, folder="data_train", **kwargs):
    """Returns a change that writes a MetaImage file anew, without what it was."""

    def change(release):
        for path in (release / folder).glob("0001.*"):
            path.unlink()
        write_mhd(release / folder / name, pixels, **kwargs)

    return change


# 12 bits: 4095 / 255 = 273 / 17 steps to a grey value.
SCALED = np.rint(DEEP * (17 / 273))
# What is done to the original release; then the image that 0001 is to have.
RELEASE_BUILDS = {
    "upper-case-suffix": (rewritten("0001.MHA", DEEP, compressed=True), SCALED),
    "mask-16-bit": (rewritten("0001.mhd", BOX.astype(np.int16) * 300, "mask_mhd"), SCALED),
    "mask-below-0": (rewritten("0001.mhd", BOX.astype(np.int16) * 2 - 1, "mask_mhd"), SCALED),
    "linked": (lambda c: outside(*(c / "data_train").glob("*.raw")), SCALED),
    "raw-among-masks": (write("mask_mhd/notes.txt", b""), SCALED),
}


@pytest.mark.parametrize("change, image", RELEASE_BUILDS.values(), ids=RELEASE_BUILDS)
def test_release_builds(release, tmp_path, change, image):
    change(release)
    found = built(release.parent, tmp_path / "data")
    assert list(found["validation"]) == ["0002"]
    assert_examples(found, dict.fromkeys(("0000", "0002", "0003"), (SCALED, BOX)) | {"0001": (image, BOX)})


def refuse(monkeypatch, method, refused, code, after=0):
    """Lets a method of `pathlib.Path` fail for one path, after some calls; tests may run as root, who may read all."""
    original, calls = getattr(pathlib.Path, method), []

    def fail(path, *args, **kwargs):
        if path == refused:
            calls.append(path)
            if len(calls) > after:
                raise OSError(code, os.strerror(code), str(path))
        return original(path, *args, **kwargs)

    monkeypatch.setattr(pathlib.Path, method, fail)


# `after` some times: a disk that fails, or somebody who takes the file away, after the folder was listed.
@pytest.mark.parametrize(
    "method, name, code, after",
    [
        ("iterdir", "image", errno.EACCES, 0),
        ("iterdir", "mask", errno.EACCES, 0),
        *itertools.product(["open"], ["image/0002.PNG", "mask/0004.PNG", "train.txt"], [errno.EACCES, errno.EIO], [0]),
        *itertools.product(["open"], ["image/0002.PNG"], [errno.EIO], [1, 2, 3]),
    ],
)
def test_opening_fails(manual_dir, crass12, tmp_path, monkeypatch, method, name, code, after):
    refuse(monkeypatch, method, crass12 / name, code, after)
    assert f"{crass12 / name}: cannot be opened ({os.strerror(code)})" in message(manual_dir, tmp_path / "data")


def test_disk_is_full(manual_dir, tmp_path):
    """Simulated by a limit on the size of files, which stops writing at the same places."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1500, hard))
    try:
        line = message(manual_dir, tmp_path / "data")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert line == f"{tmp_path}/data/crass12/native/1.1.0: cannot be written (File too large)"
