import json
import os
import pathlib
import urllib.parse

import cv2
import numpy as np
import pytest
from pydicom import uid
from pydicom.encaps import encapsulate
from radiograph_files import dicom, png, stored

from crass_tf.inference.segmenter import Segmenter
from crass_tf.measurement.contours import SPECK
from crass_tf.measurement.metrics import iou
from crass_tf.measurement.quality import LEAST_SCORE
from crass_tf.phantom import write_folder
from crass_tf.radiographs.formats import MAX_SURPLUS
from crass_tf.radiographs.formats.png import write_png

imagecodecs = pytest.importorskip("imagecodecs")

# What a page's mask and Python's must have in common. Given the model's outputs the page's masks are Python's to the
# pixel; the processors differ in the model's 8 bits.
LEAST_IOU = 0.99
LEAST_MEAN_IOU = 0.995
# Whether the page would let itself be closed without a question.
NOTHING_UNSAVED = "dispatchEvent(new Event('beforeunload', {cancelable: true}))"


def wait_until_kept(page):
    """Waits until the page has kept all files; it forbids what `wait_for_function` does, evaluating text."""
    for _ in range(600):
        if page.tab.evaluate(NOTHING_UNSAVED):
            return
        page.tab.wait_for_timeout(100)
    pytest.fail("the page still has files that it has not kept")


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory):
    """Three phantoms of 1024 x 1024 pixels, as paths."""
    folder = write_folder(tmp_path_factory.mktemp("phantoms"), count=3, seed=11, size=1024, progress=False)
    return sorted((folder / "CRASS12/image").iterdir())


@pytest.fixture(scope="session")
def formats(phantoms, tmp_path_factory):
    """One radiograph in the forms that the page reads: `{file name: path}`."""
    folder = tmp_path_factory.mktemp("formats")
    grey = cv2.resize(cv2.imread(str(phantoms[0]), cv2.IMREAD_GRAYSCALE), (884, 906), interpolation=cv2.INTER_AREA)
    write_png(folder / "grey.png", grey, (0.5, 0.5))
    cv2.imwrite(str(folder / "deep.png"), grey.astype(np.uint16) * 16)
    cv2.imwrite(str(folder / "colour.png"), cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR))
    cv2.imwrite(str(folder / "photo.jpg"), grey, [cv2.IMWRITE_JPEG_QUALITY, 95])
    for name, options in DICOM.items():
        write_dicom(folder / name, grey, **options)
    return {path.name: path for path in sorted(folder.iterdir())}


# A transfer syntax for which the page has no codec: high-throughput JPEG 2000.
HTJ2K = "1.2.840.10008.1.2.4.201"
DICOM = {
    "plain.dcm": {},
    "surplus.dcm": {"surplus": 96},
    "inverted.dcm": {"PhotometricInterpretation": "MONOCHROME1"},
    "window.dcm": {"WindowCenter": 2000, "WindowWidth": 4000},
    "mirrored.dcm": {"PatientOrientation": ["R", "F"]},
    "rle.dcm": {"syntax": uid.RLELossless},
    "jpeg.dcm": {"syntax": uid.JPEGBaseline8Bit},
    "jpeg_lossless.dcm": {"syntax": uid.JPEGLosslessSV1},
    "jpeg_ls.dcm": {"syntax": uid.JPEGLSLossless},
    "jpeg_2000.dcm": {"syntax": uid.JPEG2000Lossless},
}
# Those that pydicom cannot write.
ENCODERS = {
    uid.JPEGBaseline8Bit: lambda pixels: imagecodecs.jpeg8_encode(pixels, level=95),
    uid.JPEGLosslessSV1: lambda pixels: imagecodecs.jpeg8_encode(pixels, lossless=True, bitspersample=12),
    HTJ2K: lambda pixels: b"no codec reads this",
}


def write_dicom(path, grey, syntax=None, surplus=0, **elements):
    """Writes grey values uint8 `[H, W]` as a radiograph of 12 bits, with so many bytes behind the pixels."""
    pixels = grey if syntax == uid.JPEGBaseline8Bit else grey.astype(np.uint16) * 16
    if elements.get("PhotometricInterpretation") == "MONOCHROME1":
        pixels = 4095 - pixels
    bits = 12 if pixels.dtype == np.uint16 else 8
    compress = None if syntax in ENCODERS else syntax
    dataset = dicom(pixels, compress=compress, **{"BitsStored": bits, "PixelSpacing": [0.4, 0.4]} | elements)
    if syntax in ENCODERS:
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.PixelData = encapsulate([ENCODERS[syntax](pixels)])
        dataset["PixelData"].VR = "OB"
    if surplus:
        dataset.PixelData += bytes(surplus)
    path.write_bytes(stored(dataset, enforce_file_format=True))


def masks(archive):
    """Returns `{image_id: mask uint8 [H, W] of 0 and 1}` of a saved ZIP."""
    found = {}
    for name in archive.namelist():
        if name.startswith("CRASS12/mask/"):
            pixels = cv2.imdecode(np.frombuffer(archive.read(name), np.uint8), cv2.IMREAD_UNCHANGED)
            assert set(np.unique(pixels)) <= {0, 255}
            found[pathlib.PurePath(name).stem] = pixels // 255
    return found


def test_masks_refusals_spacing_and_notes_are_python_s(open_page, built, phantoms, formats, tmp_path):
    nothing = tmp_path / "nothing.png"
    write_png(nothing, np.random.default_rng(0).integers(0, 256, (300, 400), np.uint8))
    files = [*phantoms, *formats.values(), nothing]
    page = open_page(*files)
    found, records = masks(page.saved()), {entry["file"]: entry for entry in page.records()}
    segmenter = Segmenter.load(built / "model.tflite")
    expected = {path: segmenter.segment(path) for path in files}
    overlaps = []
    for path, segmentation in expected.items():
        mask = found[path.stem]
        assert mask.shape == segmentation.mask.shape
        refused = segmentation.refusal is not None
        assert (f"refused: {segmentation.refusal}" in page.line(path.name)) == refused, path.name
        if not refused:
            mask = np.fliplr(mask) if segmentation.radiograph.mirrored else mask
            overlaps.append(iou(segmentation.mask, mask))
            assert overlaps[-1] >= LEAST_IOU, path.name
    assert np.mean(overlaps) >= LEAST_MEAN_IOU, overlaps
    for name, path in formats.items():
        radiograph, record = expected[path].radiograph, records[name]
        spacing_mm = radiograph.spacing_mm and pytest.approx(list(radiograph.spacing_mm))
        assert record["spacing_mm"] == spacing_mm and len(record["notes"]) == len(radiograph.notes), name
        assert [note for note in radiograph.notes if "behind" in note and note not in record["notes"]] == []
        assert record["turned"] == radiograph.mirrored, name
    assert not page.problems


def test_limits_are_python_s():
    source = pathlib.Path(__file__).parents[2] / "web/src/segmentation.ts"
    assert f"const LEAST_SCORE = {LEAST_SCORE:g};" in source.read_text()
    assert f"const SPECK = {SPECK};" in source.read_text()
    assert f"const MAX_SURPLUS = {MAX_SURPLUS};" in (source.parent / "formats/dicom.ts").read_text()


def test_the_page_is_no_larger_than_12_megabytes(built):
    assert sum(file.stat().st_size for file in built.rglob("*") if file.is_file()) <= 12e6


def test_bad_files_get_one_line_each_and_the_others_go_on(open_page, phantoms, formats, tmp_path):
    whole = phantoms[0].read_bytes()
    contents = {
        "notes.txt": (b"a text", "expected a PNG, JPEG or DICOM file"),
        "empty.png": (b"", "found an empty file of 0 bytes"),
        "cut.png": (whole[: len(whole) // 2], "the PNG file is truncated"),
        "changed.png": (whole[:3000] + b"?" + whole[3001:], "wrong checksum"),
        "huge.png": (png(20000, 20000), "the header claims 20000 x 20000 pixels"),
        "cut.jpg": (formats["photo.jpg"].read_bytes()[:9000], "the JPEG file is truncated"),
        "cut.dcm": (formats["plain.dcm"].read_bytes()[:9000], "DICOM file"),
        "cut_ls.dcm": (formats["jpeg_ls.dcm"].read_bytes()[:9000], "DICOM file"),
    }
    lines = {}
    for name, (data, line) in contents.items():
        (tmp_path / name).write_bytes(data)
        lines[name] = line
    grey = np.full((64, 64), 100, np.uint8)
    for name, elements, line in (
        ("lateral.dcm", {"ViewPosition": "LL"}, "found ViewPosition = LL"),
        ("ct.dcm", {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2", "Modality": "CT"}, "found CT Image Storage"),
        ("hand.dcm", {"BodyPartExamined": "HAND"}, "found BodyPartExamined = HAND"),
        ("frames.dcm", {"NumberOfFrames": 2}, "found 2 frames"),
        ("twice.dcm", {"surplus": 64 * 64 * 2}, "found 16384 bytes of pixels, expected 8192"),
        ("no_pixels.dcm", {"PixelData": None}, "found a DICOM file without pixels"),
        ("htj2k.dcm", {"syntax": HTJ2K}, f"no decoder for the DICOM transfer syntax {HTJ2K}"),
    ):
        write_dicom(tmp_path / name, grey, **elements)
        lines[name] = line
    page = open_page(*(tmp_path / name for name in lines), phantoms[1])
    for name, line in lines.items():
        assert line in page.line(name), name
        assert "\n" not in page.line(name)
    assert page.line(phantoms[1].name).startswith("score")
    assert not page.problems


def test_a_correction_by_mouse_is_kept_undone_and_saved(open_page, phantoms):
    page = open_page(phantoms[0])
    before = masks(page.saved())["phantom_00000"]
    page.press("d")
    box = page.tab.locator("#canvas").bounding_box()
    # A square of a tenth of the picture's side, around its centre.
    side = min(box["width"], box["height"])
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.tab.mouse.move(x - side / 20, y - side / 20)
    page.tab.mouse.down()
    for dx, dy in ((1, -1), (1, 1), (-1, 1)):
        page.tab.mouse.move(x + dx * side / 20, y + dy * side / 20, steps=8)
    page.tab.mouse.up()
    drawn = masks(page.saved())["phantom_00000"]
    square = np.zeros_like(drawn)
    square[461:563, 461:563] = 1
    assert iou(square, drawn & square) > 0.9
    page.press("u")
    assert np.array_equal(masks(page.saved())["phantom_00000"], before)
    page.press("r")
    assert np.array_equal(masks(page.saved())["phantom_00000"], drawn)


def test_a_correction_by_keyboard(open_page, phantoms):
    page = open_page(phantoms[0])
    page.press("1", "x")
    assert "right: absent" in page.line("phantom_00000")
    record = page.records()[0]
    assert record["sides"]["right"] == record["sides"]["right"] | {"verdict": "absent", "corrected": True}
    page.press("u")
    before = masks(page.saved())["phantom_00000"]
    # A point of the outline that moves by 30 pixels takes pixels with it.
    page.press("c", "]", *["Control+ArrowUp"] * 3)
    after = masks(page.saved())["phantom_00000"]
    assert np.count_nonzero(before != after) > 20
    record = page.records()[0]
    assert record["sides"]["right"]["corrected"] and not record["sides"]["left"]["corrected"]
    assert record["sides"]["right"]["iou_with_model"] < 1 == record["sides"]["left"]["iou_with_model"]


def test_nothing_is_lost_on_reload(open_page, phantoms):
    page = open_page(phantoms[0])
    page.add(phantoms[1])
    page.choose("phantom_00000")
    page.press("z", "Enter")
    before = masks(page.saved())
    page.tab.reload()
    page.wait(2)
    assert "right: not visible" in page.line("phantom_00000") and "checked" in page.line("phantom_00000")
    after = masks(page.saved())
    # What nobody could outline is nothing to learn from.
    assert list(before) == list(after) == ["phantom_00001"]
    assert np.array_equal(before["phantom_00001"], after["phantom_00001"])


def test_the_saved_folder_builds(open_page, phantoms, tmp_path):
    import tensorflow_datasets as tfds

    from crass_tf.data.building import build

    page = open_page(*phantoms)
    page.tab.click("#save")
    page.tab.fill("#initials", "ab")
    page.tab.locator("#save-dialog button", has_text="Cancel").click()
    for path in phantoms:
        page.choose(path.name)
        page.tab.click("#check")
    archive = page.saved("checked")
    archive.extractall(tmp_path / "saved")
    record = json.loads(archive.read("corrections.json"))["radiographs"]
    assert [(entry["initials"], entry["checked"]) for entry in record] == [("ab", True)] * 3
    assert archive.read("CRASS12/train.txt") == b"phantom_00000\nphantom_00002\n"
    assert archive.read("CRASS12/val.txt") == b"phantom_00001\n"
    build(tmp_path / "saved", tmp_path / "data")
    expected = masks(archive)
    built = tfds.load("crass12", data_dir=tmp_path / "data")
    found = {e["image_id"].decode(): e for split in built.values() for e in tfds.as_numpy(split)}
    assert list(map(len, built.values())) == [2, 1] and found.keys() == expected.keys()
    for name, example in found.items():
        assert np.array_equal(example["segmentation_mask"][..., 0], expected[name])
        assert np.array_equal(example["image"][..., 0], cv2.imread(str(phantoms[int(name[-1])]), cv2.IMREAD_GRAYSCALE))


def test_coco_masks_are_the_folder_s(open_page, phantoms):
    from pycocotools import mask as coco_mask

    archive = open_page(phantoms[0]).saved()
    annotations = json.loads(archive.read("coco.json"))["annotations"]
    decoded = [coco_mask.decode(entry["segmentation"]) for entry in annotations]
    assert np.array_equal(np.maximum.reduce(decoded), masks(archive)["phantom_00000"])
    assert [entry["area"] for entry in annotations] == [mask.sum() for mask in decoded]


def test_every_request_goes_to_the_page_s_own_server(open_page, phantoms, formats):
    page = open_page(phantoms[0], formats["jpeg_2000.dcm"])
    page.saved()
    own = urllib.parse.urlsplit(page.address).netloc
    foreign = [url for url in page.requests if not url.startswith("blob:") and urllib.parse.urlsplit(url).netloc != own]
    assert page.requests and not foreign
    assert "2 threads" in page.tab.inner_text("#engine") or page.tab.evaluate("navigator.hardwareConcurrency") != 2


def test_without_threads_and_then_without_network(static_page, phantoms):
    page, stop = static_page
    page.add(*phantoms[:2])
    assert "one thread" in page.tab.inner_text("#engine")
    alone = masks(page.saved())
    page.tab.evaluate("navigator.serviceWorker.ready.then(() => true)")
    stop()
    page.tab.context.set_offline(True)
    page.tab.reload()
    page.add(phantoms[2])
    assert page.tab.evaluate("crossOriginIsolated")
    after = masks(page.saved())
    assert len(after) == 3
    assert all(np.array_equal(after[name], mask) for name, mask in alone.items())


@pytest.mark.parametrize("width", [360, 820, 1400])
def test_nothing_is_cut_off(open_page, phantoms, width):
    page = open_page(phantoms[0], width=width)
    assert page.tab.evaluate("document.documentElement.scrollWidth") <= width
    outside = """elements => elements.filter(element => {
        const box = element.getBoundingClientRect();
        return box.width && (box.left < 0 || box.right > innerWidth + 1);
    }).map(element => element.id || element.textContent)"""
    assert page.tab.eval_on_selector_all("button, label, th, td, p", outside) == []
    for opener, dialog in (("#help", "#help-dialog"), ("#save", "#save-dialog")):
        page.tab.click(opener)
        box = page.tab.locator(dialog).bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= width
        page.press("Escape")


def test_controls_have_names_contrast_and_a_keyboard_path(open_page, phantoms):
    page = open_page(phantoms[0])
    named = """elements => elements.filter(element => element.offsetParent && !element.ariaLabel &&
        !element.textContent.trim() && !element.labels?.length).map(element => element.outerHTML)"""
    assert page.tab.eval_on_selector_all("button, input, a", named) == []
    # WCAG: the relative luminances of text and ground, each plus 0.05, differ by a factor of 4.5 or more.
    contrast = """elements => {
        const numbers = colour => colour.match(/[0-9.]+/g).map(Number);
        const light = colour => numbers(colour).slice(0, 3).map(v => v / 255)
            .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
            .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0.05);
        const ground = e => (numbers(getComputedStyle(e).backgroundColor)[3] ?? 1) > 0.5 || !e.parentElement
            ? getComputedStyle(e).backgroundColor : ground(e.parentElement);
        return elements.filter(e => e.offsetParent && e.textContent.trim() && !e.closest(":disabled"))
            .map(e => [light(getComputedStyle(e).color), light(ground(e)), e.textContent.trim()])
            .filter(([a, b]) => Math.max(a, b) / Math.min(a, b) < 4.5);
    }"""
    assert page.tab.eval_on_selector_all("p, button, label, th, td, legend, kbd, small, strong", contrast) == []
    reached = set()
    for _ in range(60):
        page.press("Tab")
        reached.add(page.tab.evaluate("document.activeElement.id || document.activeElement.name"))
    everything = "elements => elements.filter(e => e.offsetParent && !e.disabled).map(e => e.id || e.name)"
    assert set(page.tab.eval_on_selector_all("button, input, canvas", everything)) <= reached


def test_a_model_that_is_dropped_outlines_from_then_on(open_page, built, phantoms, tmp_path):
    page = open_page(phantoms[0])
    (tmp_path / "broken.tflite").write_bytes(b"no model")
    (tmp_path / "mine.tflite").write_bytes((built / "model.tflite").read_bytes())
    for name, said in (
        ("broken.tflite", "found a file that LiteRT cannot open"),
        ("mine.tflite", "Model: mine.tflite"),
    ):
        page.tab.set_input_files("#files", tmp_path / name)
        page.tab.locator("#message", has_text=said).wait_for()
    page.add(phantoms[1])
    record = page.records()
    assert [entry["model"] for entry in record] == ["the page's own", "mine.tflite"]


def test_500_files_at_once_are_listed_and_memory_stays_bounded(open_page, tmp_path):
    write_png(tmp_path / "noise", np.random.default_rng(0).integers(0, 256, (2000, 2000), np.uint8))
    files = []
    for number in range(500):
        files.append(tmp_path / f"file_{number:03d}.{'txt' if number % 20 else 'png'}")
        if number % 20:
            files[-1].write_text("no picture")
        else:
            os.link(tmp_path / "noise", files[-1])
    page = open_page()
    page.add(*files)
    assert page.tab.inner_text("#progress") == "0 of 25 checked, 475 not opened"
    # Pixels of three of the 25, of 4 MB each, thumbnails and outlines.
    assert least_memory(page, enough=40e6) < 40e6


def least_memory(page, enough):
    """Returns the bytes that a page holds, collected again and again until that is enough or nothing more comes."""
    browser, found = page.tab.context.new_cdp_session(page.tab), []
    for _ in range(100):
        browser.send("HeapProfiler.collectGarbage")
        used = browser.send("Runtime.getHeapUsage")
        found.append(used["usedSize"] + used["backingStorageSize"])
        if found[-1] < enough:
            break
        page.tab.wait_for_timeout(100)
    return min(found)


def test_files_that_wait_are_there_again_after_a_reload(open_page, phantoms, tmp_path):
    files = [tmp_path / f"phantom_{number}.png" for number in range(8)]
    for file in files:
        file.write_bytes(phantoms[0].read_bytes())
    page = open_page()
    page.tab.set_input_files("#files", files)
    page.tab.locator("#list .outlined").first.wait_for()
    wait_until_kept(page)
    page.tab.reload()
    page.wait(8)
    assert page.tab.inner_text("#progress") == "0 of 8 checked"


def test_the_page_asks_before_it_is_closed_with_files_that_are_not_kept_yet(open_page, phantoms):
    page = open_page()
    # A browser without room.
    page.tab.evaluate("() => { IDBObjectStore.prototype.put = () => { throw new Error('full') } }")
    page.add(phantoms[0])
    assert "no room to keep this" in page.tab.inner_text("#message")
    assert not page.tab.evaluate(NOTHING_UNSAVED)


def test_what_is_dropped_before_the_page_is_ready_is_kept(open_page, phantoms):
    page = open_page(phantoms[0])
    # The browser's own store answers late.
    page.tab.add_init_script("""{
        const open = indexedDB.open.bind(indexedDB);
        indexedDB.open = (...arguments) => {
            const request = open(...arguments);
            const late = { get result() { return request.result; }, get error() { return request.error; } };
            request.onupgradeneeded = () => late.onupgradeneeded?.();
            request.onsuccess = () => setTimeout(() => late.onsuccess?.(), 1000);
            return late;
        };
    }""")
    page.tab.reload()
    page.tab.set_input_files("#files", phantoms[1])
    page.wait(2)
    names = page.tab.locator("#list strong").all_inner_texts()
    assert names == [phantoms[0].name, phantoms[1].name]
    wait_until_kept(page)
    page.tab.reload()
    page.wait(2)
    assert page.tab.locator("#list strong").all_inner_texts() == names
