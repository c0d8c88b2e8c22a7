"""Flaws of every kind are planted in a folder of phantoms; check finds each, and nothing else."""

import contextlib
import io
import json
import shutil
import urllib.parse

import cv2
import numpy as np
import pytest
import SimpleITK as sitk
from metaimages import write_mhd

from crass_tf import cli
from crass_tf.commands.check import check
from crass_tf.phantom import write_folder
from crass_tf.radiographs.formats.png import write_png
from crass_tf.reporting.pictures import picture_name

COUNT, SIZE = 26, 128
# One that a page has to escape.
TWIN = "a & <b>#1"


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory):
    """Phantoms 0 to 20 to train, 21 to 25 for validation; with this seed none is as good as white."""
    folder = write_folder(tmp_path_factory.mktemp("check"), count=COUNT, size=SIZE, seed=1, workers=2, progress=False)
    for split, numbers in {"train.txt": range(21), "val.txt": range(21, COUNT)}.items():
        (folder / "CRASS12" / split).write_text("\n".join(map(name, numbers)))
    return folder


@pytest.fixture
def folder(phantoms, tmp_path):
    """A copy to be damaged at will."""
    return shutil.copytree(phantoms, tmp_path / "manual")


def name(number):
    return f"phantom_{number:05d}"


def image_path(folder, image_id):
    return folder / "CRASS12" / "image" / f"{image_id}.PNG"


def mask_path(folder, image_id):
    return folder / "CRASS12" / "mask" / f"{image_id}.PNG"


def change(path, function):
    """Replaces a file's pixels by `function` of them."""
    write_png(path, np.ascontiguousarray(function(cv2.imread(str(path), cv2.IMREAD_UNCHANGED))))


def add(folder, split, image_id, number, change_image=lambda image: image, change_mask=lambda mask: mask):
    """Adds a changed copy of a phantom under another name to a split file."""
    for path, function in ((image_path, change_image), (mask_path, change_mask)):
        shutil.copy(path(folder, name(number)), path(folder, image_id))
        change(path(folder, image_id), function)
    path = folder / "CRASS12" / split
    path.write_text(f"{path.read_text().rstrip()}\n{image_id}\n")


def boxes(*places):
    """Returns a mask with a box for each `(row, column, height, width)`."""
    mask = np.zeros((SIZE, SIZE), np.uint8)
    for row, column, height, width in places:
        mask[row : row + height, column : column + width] = 255
    return mask


def enlarge(pixels):
    return cv2.resize(np.ascontiguousarray(pixels), (200, 200), interpolation=cv2.INTER_NEAREST_EXACT)


def truncate(path):
    path.write_bytes(path.read_bytes()[:300])


def flags_of(out):
    return json.loads((out / "check.json").read_text())["flags"]


def found(out):
    """Returns `(kind, image_ids)` of all flags, sorted, without the remark that these are not CRASS12's 284."""
    return sorted((f["kind"], tuple(sorted(f["image_ids"]))) for f in flags_of(out) if f["kind"] != "count")


def plant_radiographs(folder):
    """Plants what is wrong with radiographs; returns the expected `(kind, image_ids)`."""
    add(folder, "train.txt", TWIN, 0)
    add(folder, "val.txt", "leak", 1)
    add(folder, "train.txt", "near", 2, lambda p: (p[4:, 5:] * 0.8 + 20).astype(np.uint8), lambda m: m[4:, 5:])
    add(folder, "val.txt", "near_leak", 3, lambda p: enlarge(p[:, ::-1]), lambda m: enlarge(m[:, ::-1]))
    change(image_path(folder, name(14)), lambda p: np.full_like(p, 90))
    change(image_path(folder, name(15)), lambda p: p // 24 + 100)
    change(image_path(folder, name(16)), lambda p: np.clip(p, 0, np.percentile(p, 70)).astype(np.uint8))
    change(image_path(folder, name(17)), lambda p: 255 - p)
    return [
        # `plant_files` names phantom 0 in both splits.
        ("duplicate across splits", (TWIN, name(0))),
        ("duplicate across splits", ("leak", name(1))),
        ("near-duplicate", ("near", name(2))),
        ("near-duplicate across splits", ("near_leak", name(3))),
        ("constant", (name(14),)),
        ("low contrast", (name(15),)),
        ("saturated", (name(16),)),
        ("inverted", (name(17),)),
    ]


def plant_masks(folder):
    """Plants what is wrong with masks; returns the expected `(kind, image_ids)`."""
    shutil.copy(mask_path(folder, name(4)), mask_path(folder, name(5)))
    right, left = (20, 20, 6, 30), (20, 75, 6, 30)
    for number, mask in {
        6: boxes(),
        7: boxes(right),
        8: boxes(right, left, (34, 60, 5, 10)),
        # 6 pixels of 180: less than a twentieth.
        9: boxes(right, left, (100, 60, 2, 3)),
        10: boxes(right, (80, 75, 6, 30)),
        # 12 of 16384 pixels: 0.07 %.
        11: boxes((20, 40, 2, 3), (20, 80, 2, 3)),
        12: boxes(right, (20, 75, 5, 11)),
        13: boxes(right, left) // 255 * np.linspace(1, 200, SIZE).astype(np.uint8),
    }.items():
        write_png(mask_path(folder, name(number)), mask)
    kinds = ("empty mask", "one clavicle", "more than two clavicles", "specks", "mask below the middle", "mask area")
    kinds += ("unequal clavicles", "mask values")
    return [("same mask", (name(4), name(5))), *((kind, (name(6 + i),)) for i, kind in enumerate(kinds))]


def plant_files(folder):
    """Plants files that are broken, missing or one too many; returns the expected `(kind, image_ids)`."""
    truncate(image_path(folder, name(18)))
    truncate(mask_path(folder, name(19)))
    truncate(mask_path(folder, name(20)))
    image_path(folder, name(20)).write_text("no image, only text")
    write_png(mask_path(folder, name(21)), np.zeros((SIZE, SIZE - 1), np.uint8))
    image_path(folder, name(22)).unlink()
    mask_path(folder, name(23)).unlink()
    shutil.move(image_path(folder, name(24)), image_path(folder, "bare"))
    shutil.move(mask_path(folder, name(24)), mask_path(folder, "stray"))
    val = folder / "CRASS12" / "val.txt"
    val.write_text(val.read_text().replace(name(24), name(0)).replace(name(25), "../odd"))
    shutil.copy(image_path(folder, name(0)), image_path(folder, name(0)).with_suffix(".png"))
    (folder / "CRASS12" / "spacing.json").write_text("[]")
    return [
        *(("unreadable", (name(number),)) for number in (18, 19, 20, 20)),
        ("size mismatch", (name(21),)),
        ("missing image", (name(22),)),
        ("missing mask", (name(23),)),
        ("no mask", ("bare",)),
        ("mask without image", ("stray",)),
        ("in both splits", (name(0),)),
        ("in no split", (name(25),)),
        ("split file", ()),
        ("two files", ()),
        ("spacing file", ()),
    ]


@pytest.fixture(scope="module")
def flawed(phantoms, tmp_path_factory):
    """`(folder with every flaw, what check wrote of it, what it printed, the expected (kind, image_ids))`.

    Those of files come last: they make a few of the other phantoms part of both splits, or take them away.
    """
    top = tmp_path_factory.mktemp("flawed")
    folder, out = shutil.copytree(phantoms, top / "manual"), top / "out"
    expected = [flaw for plant in (plant_radiographs, plant_masks, plant_files) for flaw in plant(folder)]
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert check(folder, out, progress=False) == 1
    return folder, out, printed.getvalue().splitlines(), expected


def test_every_flaw_is_found_and_printed_and_nothing_else(flawed):
    _, out, printed, expected = flawed
    assert found(out) == sorted(expected)
    for flag in flags_of(out):
        assert f"{flag['severity']}: {flag['kind']}: {flag['text']}" in printed
        assert flag["files"] and all(file in flag["text"] for file in flag["files"])


def test_page_shows_what_is_flagged(flawed, links):
    _, out, _, expected = flawed
    pictures = {path.name for path in (out / "check_pictures").iterdir()}
    readable = {image_id for _, image_ids in expected[:17] for image_id in image_ids}
    assert {f"{picture_name(image_id, [])}.jpg" for image_id in readable} <= pictures
    for link in links(out / "check.html"):
        assert (out / urllib.parse.unquote(link)).is_file()
    assert len(set(links(out / "check.html", "src"))) == len(pictures)
    text = (out / "check.html").read_text()
    assert "a &amp; &lt;b&gt;#1" in text and "<b>#1" not in text
    # Where a mask is drawn, the picture is coloured; the empty mask's is grey.
    drawn, empty = (cv2.imread(str(out / "check_pictures" / f"{name(n)}.jpg")).astype(int) for n in (7, 6))
    # Lines of one pixel would be pale, at 120, and hardly seen on the page.
    assert np.ptp(drawn, axis=2).max() > 150 and np.ptp(empty, axis=2).max() < 60


def test_every_mask_of_the_folder_is_wrong(folder, tmp_path):
    """Mirrored: one flag names all."""
    for number in range(COUNT):
        change(mask_path(folder, name(number)), np.fliplr)
    assert check(folder, tmp_path / "out", progress=False) == 1
    assert found(tmp_path / "out") == [("mirrored mask", tuple(map(name, range(COUNT))))]


def test_exchanged_lists_are_flagged(folder, tmp_path, capsys):
    train, val = (folder / "CRASS12" / name for name in ("train.txt", "val.txt"))
    names = train.read_text()
    train.write_text(val.read_text())
    val.write_text(names)
    assert check(folder, tmp_path / "out", progress=False) == 1
    assert found(tmp_path / "out") == [("larger validation", ())]
    assert "val.txt: found 21 names, but 5 in train.txt, expected fewer" in capsys.readouterr().out


def test_clean_folder_has_a_table_and_no_flag(phantoms, tmp_path, capsys):
    assert check(phantoms, tmp_path / "out", progress=False) == 0
    assert found(tmp_path / "out") == []
    printed = capsys.readouterr().out
    assert "flags that stop a build: 0, flags that spoil a build: 0, remarks: 1" in printed
    assert "48,715" in printed and "CRASS12 as published" in printed
    content = json.loads((tmp_path / "out" / "check.json").read_text())
    table = content["table"]
    assert content["dataset"] == "crass12" and content["published_crass12"]["clavicle_pixels_min"] == "9,768"
    assert table["splits"] == {"train": 21, "validation": 5}
    assert table["size"] == {"128 x 128": 26} and table["bits"] == {"8": 26}
    assert table["mask_values"] == {"0, 255": 26} and table["clavicles"] == {"2": 26}
    areas = [int((cv2.imread(str(path), 0) > 0).sum()) for path in (phantoms / "CRASS12/mask").iterdir()]
    assert table["clavicle_pixels"] == {"min": min(areas), "median": np.median(areas), "max": max(areas)}
    assert table["clavicle_share"] == pytest.approx(sum(areas) / (26 * 128 * 128))


def test_original_release(phantoms, tmp_path):
    folder = tmp_path / "manual/CRASS12"
    # 12 bits in 16, the last two without masks in a folder of their own.
    for number in range(10):
        grey, mask = (cv2.imread(str(path(phantoms, name(number))), 0) for path in (image_path, mask_path))
        image_folder = "data_train" if number < 8 else "data_test"
        write_mhd(folder / image_folder / f"{name(number)}.mhd", grey.astype(np.uint16) * 16, (2.5, 2.5))
        if number < 8:
            write_mhd(folder / "mask_mhd" / f"{name(number)}.mhd", mask, (2.5, 2.5))
    out = tmp_path / "out"
    assert check(tmp_path / "manual", out, progress=False) == 0
    assert found(out) == [("derived split", ()), ("unlabelled", (name(8), name(9)))]
    table = json.loads((out / "check.json").read_text())["table"]
    assert table["bits"] == {"16": 10} and table["unlabelled"] == 2
    brightest = max(int(cv2.imread(str(image_path(phantoms, name(i))), 0).max()) for i in range(10))
    # 12 bits: a stored 16 g becomes 16 g * 255 / 4095, which is just below g.
    assert table["grey"]["max"] == 16 * brightest and table["grey_median"]["max"] <= brightest
    path = tmp_path / "manual/CRASS12/data_test" / f"{name(8)}.mhd"
    write_mhd(path, 4080 - sitk.GetArrayFromImage(sitk.ReadImage(str(path))), (2.5, 2.5))
    assert check(tmp_path / "manual", out, progress=False) == 1
    assert ("inverted", (name(8),)) in found(out)


def test_without_out_nothing_is_written(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert cli.main(["check", str(folder)]) == 0
    assert sorted(tmp_path.rglob("*")) == before


def test_no_radiograph_at_all_and_nothing_readable_at_all(folder, tmp_path, run):
    for path in (folder / "CRASS12").glob("*/*"):
        truncate(path)
    assert run("check", folder, "--out", tmp_path / "out")[0] == 1
    assert len(flags_of(tmp_path / "out")) == 2 * COUNT + 1
    for kind in ("image", "mask"):
        (tmp_path / "CRASS12" / kind).mkdir(parents=True)
    assert run("check", tmp_path, "--out", tmp_path / "out")[0] == 1
    assert found(tmp_path / "out") == [("no examples", ())]
