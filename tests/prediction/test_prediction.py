"""What `crass-tf predict` leaves on the disk, by a model whose result is known: brighter than 128 is clavicle."""

import errno
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import types

import cv2
import numpy as np
import pytest
from drawn import bars
from folders import contents, names, table
from refusals import refuses

from crass_tf.commands.benchmark import alone
from crass_tf.common import parallel
from crass_tf.common.files import InputError
from crass_tf.inference.segmenter import Segmenter
from crass_tf.prediction import plan, predict, run, summary
from crass_tf.prediction.outputs import DEFAULTS, OUTPUTS, Output, record
from crass_tf.prediction.outputs.record import NOTE
from crass_tf.radiographs.formats import MAX_PIXELS
from crass_tf.radiographs.formats.png import write_png

# Rows 10 to 19; columns 4 to 23 and 40 to 55.
BARS = bars((64, 64), (10, 20), ((4, 24), (40, 56)))


@pytest.fixture
def model(litert_model):
    return litert_model


@pytest.fixture
def folder(tmp_path):
    """Three radiographs in two folders, all bars."""
    for name in ("b/two.png", "a.png", "b/one.png"):
        write_bars(tmp_path / "in" / name, spacing_mm=(0.5, 0.2))
    return tmp_path / "in"


def rows(out):
    return table(out / "summary.csv")


def times(out):
    """When each result was written."""
    return {name: (out / name).stat().st_mtime_ns for name in names(out) if name != "summary.csv"}


def write_bars(path, spacing_mm=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_png(path, BARS, spacing_mm)
    return path


def test_results_of_one_radiograph(model, tmp_path):
    image, out = write_bars(tmp_path / "a.b.png"), tmp_path / "out"
    assert predict([image], out, model, spacing_mm=(0.2, 0.5)) == 0
    assert names(out) == ["a.b.json", "a.b_labels.png", "a.b_mask.png", "a.b_overlay.png"]
    mask, labels, overlay = (cv2.imread(str(out / f"a.b_{k}.png"), -1) for k in ("mask", "labels", "overlay"))
    assert mask.dtype == labels.dtype == np.uint8
    np.testing.assert_array_equal(mask, np.where(BARS > 128, 255, 0))
    expected = np.zeros((64, 64))
    expected[10:20, 4:24], expected[10:20, 40:56] = 1, 2
    np.testing.assert_array_equal(labels, expected)
    assert overlay.shape == (64, 64, 3)
    assert (overlay[25:] == 28).all() and (np.ptp(overlay, axis=2) > 0).any()
    content = json.loads((out / "a.b.json").read_text())
    assert content == Segmenter.load(model).segment(image, spacing_mm=(0.2, 0.5)).to_dict(model)
    assert (content["image"], content["model"]) == (image.as_posix(), model.as_posix())
    assert (content["spacing_mm"], content["native_size"], content["status"]) == ([0.2, 0.5], [64, 64], "segmented")
    right, left = (content["clavicles"][side] for side in ("right", "left"))
    # 10 x 20 and 10 x 16 pixels of 0.1 square millimetres.
    assert (right["area_mm2"], left["area_mm2"]) == (20, 16)
    assert (right["bounding_box"], right["centroid"]) == ([4, 10, 20, 10], [13.5, 14.5])
    assert (left["bounding_box"], left["centroid"]) == ([40, 10, 16, 10], [47.5, 14.5])
    # 20 columns of 0.5 mm, 10 rows of 0.2 mm.
    assert (right["length_mm"], right["width_mm"], right["angle_deg"], right["medial_end"]) == (10, 2, 0, [23.5, 14.5])


def test_folders_are_mirrored(model, tmp_path, capsys):
    folder = tmp_path / "in"
    for name in ("b.PNG", "site1/a.png", "site2/deep/a.png", ".hidden.png", ".cache/a.png"):
        write_bars(folder / name)
    (folder / "notes.txt").write_text("no radiograph")
    assert predict([folder], folder / "out", model, outputs=["mask"]) == 0
    assert names(folder / "out") == ["b_mask.png", "site1/a_mask.png", "site2/deep/a_mask.png", "summary.csv"]


def test_a_refused_radiograph_gets_only_its_reason_until_it_is_segmented(model, tmp_path, capsys):
    good, bad, out = write_bars(tmp_path / "good.png"), write_bars(tmp_path / "bad.png"), tmp_path / "out"
    assert predict([good, bad], out, model) == 0
    bad.write_bytes(bad.read_bytes()[:100])
    capsys.readouterr()
    assert predict([good, bad], out, model, progress=False) == 1
    results_of_good = ["good.json", "good_labels.png", "good_mask.png", "good_overlay.png"]
    assert names(out) == ["bad.json", *results_of_good]
    content = json.loads((out / "bad.json").read_text())
    assert content["status"] == "refused"
    assert "bad.png: the PNG file is truncated" in content["reason"]
    assert "clavicles" not in content and content["note"] == NOTE
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 1 and "bad.png" in errors[0]
    write_bars(bad)
    assert predict([bad], out, model, outputs=["mask"]) == 0
    assert names(out) == ["bad_mask.png", *results_of_good]
    # An empty JSON is what a power cut leaves.
    (out / "bad.json").write_text("")
    assert predict([bad], out, model, ["json"]) == 0 and record.status(out / "bad.json") == "segmented"


def test_mistakes_are_found_before_work_starts_and_radiographs_never_overwritten(model, tmp_path):
    image, out = write_bars(tmp_path / "in" / "a.png"), tmp_path / "out"
    shutil.copy(image, tmp_path / "in" / "a.jpg")
    (tmp_path / "empty").mkdir()
    mistakes = [
        ([tmp_path / "none.png"], {}, "none.png: no such file or folder"),
        ([tmp_path / "empty"], {}, "empty: found no radiographs"),
        ([], {}, "at least one path"),
        ([image], {"outputs": ["mask", "video"]}, "found video, expected some of mask, labels, overlay, json"),
        ([image], {"outputs": []}, "outputs: found none"),
        ([tmp_path / "in"], {}, "a.jpg and .*a.png would both write .*a_mask.png"),
        ([image, image], {}, "would both write"),
        ([image], {"model": tmp_path / "none.tflite"}, "none.tflite: model not found"),
        ([image], {"spacing_mm": 0.25}, "spacing_mm: found 0.25, expected two lengths"),
        ([image], {"spacing_mm": (0.25, -0.25)}, "spacing_mm: found .*, expected two lengths"),
    ]
    for paths, options, message in mistakes:
        refuses(message, predict, paths, out, **{"model": model, **options})
    assert not out.exists()
    refuses("a.png: the folder cannot be made", predict, [image], image, model)
    mask = write_bars(tmp_path / "in" / "a_mask.png")
    refuses("a.png: its result would overwrite the radiograph .*a_mask.png", plan, [image, mask], tmp_path / "in")
    (tmp_path / "in" / "a.jpg").unlink()
    refuses("among the radiographs", plan, [tmp_path / "in"], tmp_path / "in")


def test_summary_has_a_row_for_each_radiograph_in_order(model, folder, tmp_path, capsys):
    (folder / "b" / "bad.png").write_bytes(b"no image")
    assert predict([folder], tmp_path / "out", model, outputs=["mask"]) == 1
    assert capsys.readouterr().out == f"4 radiographs: 3 segmented, 1 refused; wrote {tmp_path}/out/summary.csv\n"
    found = rows(tmp_path / "out")
    assert [row["result"] for row in found] == ["a", "b/bad", "b/one", "b/two"]
    assert [row["status"] for row in found] == ["segmented", "refused", "segmented", "segmented"]
    assert found[0]["image"] == f"{folder}/a.png" and found[0]["outputs"] == "mask"
    # 10 x 20 and 10 x 16 pixels of 0.1 square millimetres.
    areas = {key: found[2][key] for key in found[2] if "area" in key or "found" in key}
    right = {"right_found": "True", "right_area_pixels": "200", "right_area_mm2": "20.0"}
    assert areas == right | {"left_found": "True", "left_area_pixels": "160", "left_area_mm2": "16.0"}
    sizes = [found[2][key] for key in ("height", "width", "spacing_row_mm", "spacing_column_mm")]
    assert sizes == ["64", "64", "0.5", "0.2"] and 0 < float(found[2]["score"]) <= 1
    assert "bad.png: found no PNG" in found[1]["reason"] and found[1]["score"] == found[1]["height"] == ""


def test_the_page_on_folders_names_every_column():
    page = (pathlib.Path(__file__).parents[2] / "docs/folders.md").read_text(encoding="utf-8")
    assert [column for column in summary.COLUMNS if f"`{column}`" not in page] == []
    assert f"OUT/{summary.JOURNAL}" in page and f"{MAX_PIXELS // 10**6}\nmillion pixels" in page


def run_again(folder, out, model, change=lambda: None, **options):
    """Returns the results that a second run writes anew, after a change."""
    options = {"outputs": ["mask"], "progress": False} | options
    first = times(out)
    change()
    predict([folder], out, model, **options)
    assert [row["result"] for row in rows(out)] == ["a", "b/one", "b/two"]
    return sorted(name for name, when in times(out).items() if when != first.get(name))


def test_files_alone_get_no_summary_and_are_done_again(model, folder, tmp_path):
    images, out = [folder / "a.png", folder / "b" / "one.png"], tmp_path / "out"
    assert predict(images, out, model, outputs=["mask"], progress=False) == 0
    first = times(out)
    assert set(first) == {"a_mask.png", "one_mask.png"} and not (out / "summary.csv").exists()
    predict(images, out, model, outputs=["mask"], progress=False)
    assert all(times(out)[name] > first[name] for name in first)


def test_what_is_done_is_not_done_again(model, folder, tmp_path, capsys):
    out = tmp_path / "out"
    predict([folder], out, model, outputs=["mask"], progress=False)
    first = (out / "summary.csv").read_bytes()
    everything = ["a_mask.png", "b/one_mask.png", "b/two_mask.png"]
    assert run_again(folder, out, model) == []
    assert (out / "summary.csv").read_bytes() == first
    assert run_again(folder, out, model, (out / "b" / "two_mask.png").unlink) == ["b/two_mask.png"]
    assert run_again(folder, out, model, lambda: os.utime(folder / "a.png")) == ["a_mask.png"]
    assert run_again(folder, out, model, overwrite=True) == everything
    assert run_again(folder, out, model, spacing_mm=(1.0, 1.0)) == everything
    assert [row["left_area_mm2"] for row in rows(out)] == ["160.0"] * 3
    # Other bytes, the same network.
    other = tmp_path / "other.tflite"
    other.write_bytes(model.read_bytes())
    assert run_again(folder, out, other, spacing_mm=(1.0, 1.0)) == []
    capsys.readouterr()
    predict([folder], out, other, outputs=["mask"], spacing_mm=(1.0, 1.0))
    said = f"3 radiographs: 3 segmented, 0 refused, 3 of them by an earlier run; wrote {out}/summary.csv\n"
    assert capsys.readouterr().out == said


def test_settings_are_the_same_by_content(model, tmp_path):
    saved_model = tmp_path / "saved_model"
    (saved_model / "variables").mkdir(parents=True)
    (saved_model / "variables" / "data").write_bytes(b"one")
    copy = shutil.copytree(saved_model, tmp_path / "b")
    stamps = [summary.settings_stamp(path, None) for path in (saved_model, copy)]
    (copy / "variables" / "data").write_bytes(b"two")
    stamps += [summary.settings_stamp(path, spacing) for path in (copy, model) for spacing in (None, (1, 1))]
    assert stamps[0] == stamps[1] and len(set(stamps)) == 5


def test_other_outputs_are_added(model, folder, tmp_path):
    out = tmp_path / "out"
    predict([folder], out, model, outputs=["mask"], progress=False)
    anew = run_again(folder, out, model, outputs=["labels"])
    assert anew == ["a_labels.png", "b/one_labels.png", "b/two_labels.png"]
    assert [row["outputs"] for row in rows(out)] == ["mask labels"] * 3
    assert run_again(folder, out, model, outputs=["mask", "labels"]) == []
    # Labels of another spacing's run do not stay; what is done again leaves what the same settings have written.
    run_again(folder, out, model, spacing_mm=(2.0, 2.0))
    assert [row["outputs"] for row in rows(out)] == ["mask"] * 3 and not list(out.rglob("*_labels.png"))
    assert len(run_again(folder, out, model, outputs=["labels"], spacing_mm=(2.0, 2.0), overwrite=True)) == 3
    assert [row["outputs"] for row in rows(out)] == ["mask labels"] * 3 and (out / "a_mask.png").exists()


def test_what_the_networks_refused_is_refused_still(tmp_path, capsys):
    write_png(tmp_path / "in" / "noise.png", np.random.default_rng(0).integers(0, 256, (300, 260), dtype=np.uint8))
    write_png(tmp_path / "in" / "white.png", np.full((90, 90), 255, np.uint8))
    assert predict([tmp_path / "in"], tmp_path / "out", progress=False) == 2
    assert len(capsys.readouterr().err.splitlines()) == 2
    first = times(tmp_path / "out")
    assert set(first) == {"noise.json", "white.json"}
    assert predict([tmp_path / "in"], tmp_path / "out", outputs=["mask"], progress=False) == 2
    assert times(tmp_path / "out") == first and [row["outputs"] for row in rows(tmp_path / "out")] == ["json"] * 2


def test_a_torn_journal_costs_its_last_line_only(model, folder, tmp_path):
    out = tmp_path / "out"
    predict([folder], out, model, outputs=["mask"], progress=False)
    whole, lines = (out / "summary.csv").read_bytes(), [json.dumps(row).encode() for row in rows(out)]
    (out / "summary.csv").unlink()
    (out / summary.JOURNAL).write_bytes(b"\n".join(lines)[:-20])
    (out / "b" / ".crass-tf-0123abcd.png").write_bytes(b"half a m")
    (out / "b" / ".mine-0123abcd.txt").write_bytes(b"a user's own")
    assert run_again(folder, out, model) == ["b/two_mask.png"]
    assert (out / "summary.csv").read_bytes() == whole
    assert set(names(out)) - set(times(out)) == {"summary.csv"}
    assert [name for name in names(out) if "/." in name] == ["b/.mine-0123abcd.txt"]


@pytest.mark.parametrize("content", [b"a,b\n1,2\n", b"\xff" * 200_000, b"result,input,settings\n" + b"x" * 200_000])
def test_a_table_of_the_users_own_stays(model, folder, tmp_path, content):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "summary.csv").write_bytes(content)
    refuses("summary.csv: found something else", predict, [folder], tmp_path / "out", model)
    assert names(tmp_path / "out") == ["summary.csv"] and (tmp_path / "out" / "summary.csv").read_bytes() == content


def test_two_runs_into_one_folder_do_not_mix(model, folder, tmp_path):
    (tmp_path / "out").mkdir()
    with summary.Journal(tmp_path / "out"), pytest.raises(InputError, match="another process is writing here"):
        predict([folder], tmp_path / "out", model)
    assert predict([folder], tmp_path / "out", model) == 0


def test_memory_does_not_grow_with_the_number_of_files(model, tmp_path):
    image = cv2.resize(BARS, (1024, 1024))
    peaks = []
    # Both more than machines have cores, each of which holds one.
    for count in (64, 128):
        write_png(tmp_path / f"{count}" / "0.png", image)
        for number in range(1, count):
            os.link(tmp_path / f"{count}" / "0.png", tmp_path / f"{count}" / f"{number}.png")
        peaks.append(alone("throughput", model, tmp_path / f"{count}")["peak_mib"])
    # A radiograph, its logits and its mask take 6 MiB: 64 more would be 384.
    assert peaks[1] - peaks[0] < 190


def test_results_that_cannot_be_written_stop_no_other_radiograph(model, folder, tmp_path, capsys):
    out, longest = tmp_path / "out", "n" * 251
    failed = ["a", "b/one", "b/two", longest]
    os.link(folder / "a.png", folder / f"{longest}.png")
    (out / "a_mask.png").mkdir(parents=True)
    (out / "b").write_text("a file where a folder would be")
    os.link(folder / "a.png", folder / "good.png")
    for _ in range(2):
        assert predict([folder], out, model, progress=False) == 1
        lines = capsys.readouterr().err.splitlines()
        assert [line.split(": ")[0] for line in lines] == [f"{folder}/{name}.png" for name in failed]
        assert lines[0].endswith(f": its results {out}/a* cannot be written (Is a directory)")
        assert lines[3].endswith("cannot be written (File name too long)")
        refused = {row["result"]: row["reason"] for row in rows(out) if row["status"] == "refused"}
        assert list(refused.values()) == lines and list(refused) == failed
        good = [f"good_{output}.png" for output in ("labels", "mask", "overlay")]
        assert names(out) == ["a.json", "b", "good.json", *good, "summary.csv"]


def test_an_unexpected_error_stops_no_other_radiograph_and_is_tried_again(model, folder, tmp_path, monkeypatch, capsys):
    read = run.read_radiograph

    def fail(path, *options):
        return read(path, *options) if path.name == "two.png" else {}["two\nlines"]

    monkeypatch.setattr(run, "read_radiograph", fail)
    assert predict([folder], tmp_path / "out", model, ["mask"], progress=False) == 1
    lines = capsys.readouterr().err.splitlines()
    said = [f"{folder}/{name}.png: unexpected KeyError" for name in ("a", "b/one")]
    assert [line.split(" (")[0] for line in lines] == said
    # The files are the same, the reason may have gone.
    monkeypatch.undo()
    assert predict([folder], tmp_path / "out", model, ["mask"], progress=False) == 0
    assert names(tmp_path / "out") == ["a_mask.png", "b/one_mask.png", "b/two_mask.png", "summary.csv"]


@pytest.mark.parametrize("fails", ["one_mask.png", summary.JOURNAL, summary.NAME])
def test_a_full_disk_ends_the_run_and_the_next_one_goes_on(model, folder, tmp_path, monkeypatch, fails):
    out = tmp_path / "out"

    def full(path):
        if path.name == fails:
            raise OSError(errno.ENOSPC, "No space left on device")

    write, append, finish = OUTPUTS["mask"].write, summary.Journal.add, summary.Journal.finish
    monkeypatch.setitem(OUTPUTS, "mask", Output("_mask.png", lambda path, *rest: full(path) or write(path, *rest)))
    monkeypatch.setattr(summary.Journal, "add", lambda self, row: append(self, row) or full(self._path))
    monkeypatch.setattr(summary.Journal, "finish", lambda self: full(self._summary) or finish(self))
    with pytest.raises(InputError, match=f"{out}: No space left on device; make room and start again"):
        predict([folder], out, model, ["mask"], progress=False)
    monkeypatch.undo()
    first = times(out)
    assert "a_mask.png" in first and not list(out.rglob("*.json"))
    assert predict([folder], out, model, ["mask"], progress=False) == 0
    assert [row["result"] for row in rows(out)] == ["a", "b/one", "b/two"]
    assert times(out)["a_mask.png"] == first["a_mask.png"]


def test_a_journal_is_written_whole_where_the_disk_takes_parts(tmp_path):
    with summary.Journal(tmp_path) as journal:
        file, taken = journal._file, []
        journal._file = types.SimpleNamespace(write=lambda data: taken.append(data[:7]) or len(data[:7]), close=int)
        journal.add({"result": "a", "score": 0.5})
        file.close()
    assert json.loads(b"".join(taken)) == {"result": "a", "score": 0.5}


def test_results_of_another_file_do_not_stay_beside_new_ones(model, folder, tmp_path):
    out = tmp_path / "out"
    predict([folder], out, model, [*DEFAULTS, "contours"], progress=False)
    (out / "a_coco.json").write_text("a user's own")
    write_png(folder / "a.png", np.zeros((70, 50), np.uint8))
    predict([folder], out, model, ["mask"], progress=False)
    assert sorted(path.name for path in out.glob("a*")) == ["a_coco.json", "a_mask.png"]
    assert len(list(out.glob("b/one*"))) == 5


def test_a_refusal_leaves_the_users_own_files(model, tmp_path, capsys):
    image = tmp_path / "c.png"
    image.write_bytes(b"no image")
    own = {"c_mask.png": b"drawn by hand", "c.json": b'{"status": "segmented"}'}
    for name, content in own.items():
        (tmp_path / name).write_bytes(content)
    for outputs in (DEFAULTS, ["mask"]):
        assert predict([image], tmp_path, model, outputs) == 2
        assert contents(tmp_path) == own | {"c.png": b"no image"}
    assert "c.json that is no result of crass-tf; move it, or change --out" in capsys.readouterr().err.splitlines()[0]
    # It would be overwritten by a success, too.
    write_bars(image)
    assert predict([image], tmp_path, model) == 2
    assert {name: contents(tmp_path)[name] for name in own} == own
    (tmp_path / "c.json").write_text('{"status": "refused"}')
    assert predict([image], tmp_path, model, outputs=["labels"]) == 0
    assert names(tmp_path) == ["c.json", "c.png", "c_labels.png", "c_mask.png"]


def test_linked_folders_are_followed_each_folder_once(tmp_path):
    for name in ("in/b/real.png", "in/b/out/old.png", "elsewhere/deep/linked.png", "elsewhere/.hidden/no.png"):
        write_bars(tmp_path / name)
    (tmp_path / "in" / "a").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in" / "again").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in" / "0").symlink_to(tmp_path / "in" / "b")
    (tmp_path / "in" / "b" / "loop").symlink_to(tmp_path / "in")
    (tmp_path / "elsewhere" / "up").symlink_to(tmp_path)
    jobs, unreadable, passed_over = plan([tmp_path / "in"], tmp_path / "in" / "b" / "out")
    assert [job.result for job in jobs] == ["a/deep/linked", "b/real"] and unreadable == [] and not passed_over


def test_an_unreadable_folder_is_named_and_counts(model, folder, tmp_path, monkeypatch, capsys):
    scandir = os.scandir

    def locked(path):
        if os.fspath(path).endswith("/b"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", locked)
    assert predict([folder], tmp_path / "out", model, ["mask"], progress=False) == 1
    said = f"{folder}/b: the folder cannot be read (Permission denied), nor what lies below it\n"
    assert capsys.readouterr().err == said
    refuses("in/b: the folder cannot be read", plan, [folder / "b"], tmp_path / "out")


def test_each_radiograph_takes_room(model, tmp_path, monkeypatch):
    """As many pixels as its file has bytes, at least the ordinary number; then as its header says, if that is more."""
    image, taken, take = write_bars(tmp_path / "a.png"), [], parallel.Room.take
    monkeypatch.setattr(parallel.Room, "take", lambda room, amount: taken.append(amount) or take(room, amount))
    for ordinary, expected in ((10**6, [10**6]), (1, [image.stat().st_size, 64 * 64])):
        monkeypatch.setattr(run, "ORDINARY_PIXELS", ordinary)
        assert predict([image], tmp_path / "out", model, ["mask"]) == 0
        assert taken == expected
        taken.clear()


# `crass-tf ARGUMENTS`, killed before it moves file number N into the folder OUT.
KILLED = """
import os, signal, sys
from crass_tf import cli

left, out = int(sys.argv[1]), sys.argv[2]

def watch(event, arguments):
    global left
    if event == "os.rename" and str(arguments[1]).startswith(out):
        left -= 1
        if left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(watch)
sys.exit(cli.main(sys.argv[3:]))
"""


def test_killed_runs_end_with_the_files_of_an_undisturbed_one(model, tmp_path):
    rng = np.random.default_rng(0)
    for number in range(40):
        image = cv2.resize(BARS, (500, 400)) + rng.integers(0, 20, (400, 500), dtype=np.uint8)
        write_png(tmp_path / "in" / f"{number // 10}" / f"{number:02}.png", image, (0.5, 0.5))
    (tmp_path / "in" / "1" / "bad.png").write_bytes(b"no image")
    assert predict([tmp_path / "in"], tmp_path / "undisturbed", model, progress=False) == 1
    out, journal = tmp_path / "out", tmp_path / "out" / summary.JOURNAL
    words = ["predict", str(tmp_path / "in"), "--out", str(out), "--model", str(model)]
    kept = {}
    # Four files a radiograph, 161 in all.
    for moves in (3, 90, 22):
        process = subprocess.run([sys.executable, "-c", KILLED, str(moves), str(out), *words], capture_output=True)
        assert process.returncode == -signal.SIGKILL, process.stderr
        lines = journal.read_bytes().split(b"\n")[:-1] if journal.exists() else []
        recorded = [json.loads(line)["result"] for line in lines if line]
        kept |= {name: when for name, when in times(out).items() if name.split("_")[0] in recorded}
    assert subprocess.run([sys.executable, "-m", "crass_tf", *words], capture_output=True).returncode == 1
    assert contents(out) == contents(tmp_path / "undisturbed")
    # Pictures whose row was written are not written again.
    assert kept and kept.items() <= times(out).items()


def test_a_folder_is_read_by_content_and_says_what_it_passes_over(model, tmp_path, capsys):
    folder, jpeg = tmp_path / "in", cv2.imencode(".jpg", BARS)[1].tobytes()
    write_bars(folder / "a.png")
    for name in ("b.jfif", "c.JPE", "d.xray", "e"):
        (folder / name).write_bytes(jpeg)
    for name in ("one.txt", "two.TXT", "notes", "empty.jfif", "raw.raw"):
        (folder / name).write_bytes(b"words" * (name != "empty.jfif"))
    # The index of a CD is no radiograph.
    (folder / "DICOMDIR").write_bytes(bytes(128) + b"DICM")
    (folder / ".hidden.txt").touch()
    assert predict([folder], tmp_path / "out", model, ["mask"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("5 radiographs: 5 segmented, 0 refused; wrote ")
    assert last.endswith("; passed over what is no radiograph: 1 .jfif, 1 .raw, 2 .txt, 1 without a suffix")
    # DICOM files may have a number as their name, and the pixels of a `.mhd` header lie beside it.
    for name, content in {"IM1": bytes(128) + b"DICM", "raw.mhd": b""}.items():
        (folder / name).write_bytes(content)
    jobs, _, passed_over = plan([folder], tmp_path / "out")
    assert {"IM1", "raw"} <= {job.result for job in jobs} and ".raw" not in passed_over
