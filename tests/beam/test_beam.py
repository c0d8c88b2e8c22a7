"""The work of `predict` on engines, by a model whose result is known: brighter than 128 is clavicle."""

import errno
import io
import json
import os
import pathlib
import pickle
import shutil
import tarfile

import cv2
import drawn
import numpy as np
import pytest
from folders import contents, table

pytest.importorskip("apache_beam", reason="needs Apache Beam: pip install crass-tf[beam]")

from apache_beam.io.filesystem import FileMetadata, FileSystem  # noqa: E402

from crass_tf import cli  # noqa: E402
from crass_tf.beam import sources, storage, tables, work  # noqa: E402
from crass_tf.beam.sources import Reference  # noqa: E402
from crass_tf.beam.work import Settings, Worker  # noqa: E402
from crass_tf.prediction import predict  # noqa: E402
from crass_tf.prediction.summary import COLUMNS  # noqa: E402
from crass_tf.radiographs.formats.png import write_png  # noqa: E402

OUTPUTS = ("mask", "json")


def bars(shift=0):
    """Two bright bars, uint8 [64, 64]: rows 10 to 19, moved down by `shift`; columns 4 to 23 and 40 to 55."""
    return drawn.bars((64, 64), (10 + shift, 20 + shift), ((4, 24), (40, 56)))


@pytest.fixture
def folder(tmp_path):
    """Five radiographs, `a.png` and `b/1.png` to `b/4.png`, the bars further down in each."""
    names = ["a.png", *(f"b/{number}.png" for number in range(1, 5))]
    for shift, name in enumerate(names):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_png(path, bars(shift), (0.25, 0.25))
    return tmp_path / "in"


def run(folder, out, model, *more, runner="DirectRunner"):
    """Returns the exit code of the command."""
    arguments = ["predict", str(folder), "--out", str(out), "--model", str(model), "--outputs", "mask,json"]
    before, _, after = " ".join(more).partition(" -- ")
    return cli.main([*arguments, "--runner", runner, *before.split(), "--", *after.split()])


def rows(out):
    """Returns the rows of a summary by radiograph; each stands there once."""
    found = [row for path in pathlib.Path(out).glob("summary*.csv") for row in table(path)]
    by_result = {row["result"]: row for row in found}
    assert len(by_result) == len(found)
    return by_result


def results(out):
    """Returns the content of all files but tables, by path."""
    return {name: content for name, content in contents(pathlib.Path(out)).items() if not name.endswith(".csv")}


def test_results_equal_those_of_predict(folder, litert_model, tmp_path):
    # A radiograph by its first bytes, and another file.
    shutil.copy(folder / "a.png", folder / "scan")
    (folder / "notes.txt").write_text("none")
    assert predict([folder], tmp_path / "one", litert_model, OUTPUTS, progress=False) == 0
    assert run(folder, tmp_path / "many", litert_model) == 0
    assert results(tmp_path / "many") == results(tmp_path / "one")
    one, many = rows(tmp_path / "one"), rows(tmp_path / "many")
    assert list(one) == ["a", "b/1", "b/2", "b/3", "b/4", "scan"] and many == one
    # No journal is left, and no dead letter.
    names = sorted(path.name for path in (tmp_path / "many").iterdir())
    tables = ["refused-00000-of-00001.csv", "scan.json", "scan_mask.png", "summary-00000-of-00001.csv"]
    assert names == ["a.json", "a_mask.png", "b", *tables]


def test_second_run_does_what_changed(folder, litert_model, tmp_path, capfd):
    assert run(folder, tmp_path / "out", litert_model) == 0
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*_mask.png")}
    write_png(folder / "a.png", bars(30))
    capfd.readouterr()
    assert run(folder, tmp_path / "out", litert_model, "--shards 2") == 0
    assert "reused: 4" in capfd.readouterr().out
    changed = [path.name for path, time in before.items() if path.stat().st_mtime_ns != time]
    assert changed == ["a_mask.png"]
    mask = cv2.imread(str(tmp_path / "out/a_mask.png"), -1)
    assert list(np.flatnonzero(mask.any(axis=1))) == list(range(40, 50))
    # The first run's one file of rows has gone.
    summaries = sorted(path.name for path in (tmp_path / "out").glob("summary*"))
    assert summaries == [f"summary-0000{number}-of-00002.csv" for number in (0, 1)]
    assert len(rows(tmp_path / "out")) == 5


def test_goes_on_after_a_run_that_was_killed(folder, litert_model, tmp_path, capfd):
    out = tmp_path / "out"
    worker = Worker(Settings(str(out), str(litert_model), OUTPUTS))
    journal = work.RowFiles(str(out))
    for reference in _references(folder / "a.png"):
        journal.add(worker.segment(reference).row)
    journal.flush()
    assert (out / ".rows").is_dir()
    assert run(folder, out, litert_model) == 0
    assert "reused: 1\n" in capfd.readouterr().out
    assert len(rows(out)) == 5 and not (out / ".rows").exists()


def test_a_task_that_an_engine_runs_twice_leaves_what_one_leaves(folder, litert_model, tmp_path):
    out = tmp_path / "out"
    worker = Worker(Settings(str(out), str(litert_model), OUTPUTS))
    left = []
    for _ in range(2):
        journal = work.RowFiles(str(out))
        for result in worker.segment_all(_references(folder)):
            journal.add(result.row)
        journal.flush()
        left.append((journal.written, results(out)))
    assert left[0] == left[1] and len(left[0][1]) == 11


def _references(pattern, kind="files", **options):
    return [one for found in sources.find(str(pattern), kind) for one in sources.references(found, kind, **options)]


def test_what_cannot_be_read_is_a_dead_letter(folder, litert_model, tmp_path):
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    (folder / "notes.txt").write_text("no radiograph")
    out = tmp_path / "out"
    assert run(folder, out, litert_model) == 1
    (letter,) = table(out / "refused-00000-of-00001.csv")
    assert letter["result"] == "broken" and letter["reason"].startswith(f"{folder}/broken.png: ")
    assert rows(out)["broken"]["status"] == "refused" and len(rows(out)) == 6
    assert json.loads((out / "broken.json").read_text())["status"] == "refused"
    assert not (out / "broken_mask.png").exists()


def test_one_key_of_two_radiographs_is_refused(folder, litert_model, tmp_path):
    shutil.copy(folder / "a.png", folder / "a.PNG")
    assert run(folder, tmp_path / "out", litert_model) == 1
    assert "would both write a*" in rows(tmp_path / "out")["a"]["reason"]
    # The same file by two patterns is one radiograph.
    listed = tmp_path / "table.csv"
    listed.write_text("image,result\nin/b/1.png,x/1\nin/b/1.png,x/1\nin/missing.png,\n")
    assert run(listed, tmp_path / "more", litert_model, "--input table") == 1
    statuses = {key: row["status"] for key, row in rows(tmp_path / "more").items()}
    assert statuses == {"x/1": "segmented", f"{str(folder)[1:]}/missing": "refused"}


def test_full_disk_stops_with_one_line_and_the_next_run_goes_on(folder, litert_model, tmp_path, monkeypatch, capfd):
    write, out = storage.write, tmp_path / "out"

    def no_room(url, data):
        if url.endswith("3_mask.png"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), url)
        write(url, data)

    monkeypatch.setattr(storage, "write", no_room)
    assert run(folder, out, litert_model) == 2
    assert "No space left on device" in capfd.readouterr().err.splitlines()[-1]
    assert not list(out.glob("summary*")) and not list(out.rglob(".crass-tf-*"))
    monkeypatch.undo()
    assert run(folder, out, litert_model) == 0
    assert len(rows(out)) == 5


def test_tar_shards(folder, litert_model, tmp_path):
    shards = tmp_path / "shards"
    shards.mkdir()
    for number, names in enumerate([["a.png", "b/1.png"], ["b/2.png"]]):
        with tarfile.open(shards / f"{number}.tar", "w") as archive:
            for name in names:
                archive.add(folder / name, name)
            archive.addfile(tarfile.TarInfo(f"{name}.json"), io.BytesIO())
    with tarfile.open(shards / "3.tar", "w") as archive:
        # Nothing leads out of the results.
        archive.add(folder / "a.png", "../../up.png")
        archive.add(folder / "a.png", "scan")
    with tarfile.open(shards / "2.tar.gz", "w:gz") as archive:
        archive.add(folder / "a.png", "a.png")
    out = tmp_path / "out"
    assert run(f"{shards}/*.tar*", out, litert_model, "--input tar") == 1
    assert set(rows(out)) == {"0/a", "0/b/1", "1/b/2", "2.tar", "3/up", "3/scan"}
    assert "compressed" in rows(out)["2.tar"]["reason"]
    predict([folder / "b/2.png"], tmp_path / "one", litert_model, OUTPUTS)
    assert (out / "1/b/2_mask.png").read_bytes() == (tmp_path / "one/2_mask.png").read_bytes()
    assert json.loads((out / "1/b/2.json").read_text())["image"] == f"{shards}/1.tar/b/2.png"


def test_dicom_folders_keep_patients_apart_and_names_away(folder, litert_model, tmp_path, capfd):
    radiograph_files = pytest.importorskip("radiograph_files", reason="needs pydicom")
    studies = [("MUSTER^ERIKA", "4711", "1.2.1"), ("MUSTER^ERIKA", "4711", "1.2.2"), ("DOE^JOHN", "4712", "1.2.3")]
    for number, (name, patient, study) in enumerate(studies):
        path = tmp_path / "export" / name / f"IM{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        tags = {"PatientName": name, "PatientID": patient, "StudyInstanceUID": study, "SOPInstanceUID": f"1.3.{number}"}
        path.write_bytes(radiograph_files.stored(radiograph_files.dicom(bars(number), **tags)))
    (tmp_path / "export/DOE^JOHN/DOE.dcm").write_bytes(b"damaged")
    out = tmp_path / "out"
    assert run(tmp_path / "export", out, litert_model, "--input dicom --patient-key secret") == 1
    keys = [key.split("/") for key in rows(out) if not key.startswith("unreadable/")]
    assert len(rows(out)) == 4 and len(keys) == 3
    assert {study for _, study, _ in keys} == {"1.2.1", "1.2.2", "1.2.3"}
    assert len({patient for patient, _, _ in keys}) == 2
    told = " ".join([*map(str, out.rglob("*")), *capfd.readouterr()])
    told += "".join(path.read_text("latin-1") for path in out.rglob("*") if path.is_file())
    assert "MUSTER" not in told and "DOE" not in told and "4711" not in told
    # Without the key the paths differ: nobody finds out a number by trying.
    other = {one.result.split("/")[0] for one in _references(tmp_path / "export", "dicom", patient_key="other")}
    assert not other & {patient for patient, _, _ in keys}


def test_any_file_system(folder, litert_model, tmp_path):
    for path in folder.rglob("*.png"):
        Memory.files[f"memory://in/{path.relative_to(folder)}"] = path.read_bytes()
    header = "ObjectType = Image\nNDims = 2\nDimSize = 64 64\nElementType = MET_UCHAR\nElementDataFile = c.raw\n"
    Memory.files |= {"memory://in/c.mhd": header.encode(), "memory://in/c.raw": bars(7).tobytes()}
    assert run("memory://in/", "memory://out", litert_model) == 0
    predict([folder], tmp_path / "one", litert_model, OUTPUTS, progress=False)
    for name in ("a_mask.png", "b/4_mask.png"):
        assert Memory.files[f"memory://out/{name}"] == (tmp_path / "one" / name).read_bytes()
    mask = cv2.imdecode(np.frombuffer(Memory.files["memory://out/c_mask.png"], np.uint8), -1)
    assert list(np.flatnonzero(mask.any(axis=1))) == list(range(17, 27))
    assert json.loads(Memory.files["memory://out/b/1.json"])["image"] == "memory://in/b/1.png"
    # Written beside their places and moved there: nothing is left over.
    assert not [name for name in Memory.files if ".crass-tf-" in name or "/.rows/" in name]


class Memory(FileSystem):
    """A file system in memory, of URLs such as `memory://in/a.png`; nothing is seen before it is whole."""

    files: dict[str, bytes] = {}
    # Nobody asks for these.
    copy = size = last_updated = checksum = metadata = None

    @classmethod
    def scheme(cls):
        return "memory"

    def join(self, basepath, *paths):
        return "/".join([basepath.rstrip("/"), *paths])

    def split(self, path):
        return path.rpartition("/")[::2]

    def mkdirs(self, path):
        pass

    def has_dirs(self):
        return False

    def _list(self, dir_or_prefix):
        for name, data in list(self.files.items()):
            if name.startswith(dir_or_prefix):
                yield FileMetadata(name, len(data), 0.0)

    def create(self, path, mime_type=None, compression_type=None):
        files = self.files

        class File(io.BytesIO):
            def close(self):
                if not self.closed:
                    files[path] = self.getvalue()
                super().close()

        return File()

    def open(self, path, mime_type=None, compression_type=None):
        if path not in self.files:
            raise FileNotFoundError(path)
        return io.BytesIO(self.files[path])

    def rename(self, source_file_names, destination_file_names):
        for source, destination in zip(source_file_names, destination_file_names):
            self.files[destination] = self.files.pop(source)

    def exists(self, path):
        return path in self.files

    def delete(self, paths):
        for path in paths:
            for name in [name for name in self.files if name == path or name.startswith(f"{path.rstrip('/')}/")]:
                del self.files[name]


def test_what_is_sent_between_machines_is_small():
    assert len(pickle.dumps(Reference("b/1", "b/1.png", "gs://bucket/b/1.png", "1@2"))) < 300


def test_files_that_are_read_again(monkeypatch):
    tries = []

    def open_once_more(url, **options):
        tries.append(url)
        if len(tries) < 3:
            raise RuntimeError("busy")
        return io.BytesIO(b"content")

    monkeypatch.setattr(storage.FileSystems, "open", open_once_more)
    monkeypatch.setattr(storage, "PAUSES", (0, 0))
    assert storage.read("memory://x/y", 3, 2) == b"te" and len(tries) == 3


def test_parquet(folder, litert_model, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    out = tmp_path / "out"
    assert run(folder, out, litert_model, "--summary parquet") == 0
    found = parquet.read_table(out / "summary-00000-of-00001.parquet").to_pylist()
    assert tuple(found[0]) == COLUMNS
    # 200 pixels of 0.25 x 0.25 mm are 12.5 square millimetres.
    figures = ("right_area_pixels", "right_area_mm2", "right_found")
    assert {tuple(row[name] for name in figures) for row in found} == {(200, 12.5, True)}
    # Cells of an earlier CSV are texts.
    texts = {"image": "a.png", "right_found": "False", "height": "64", "score": "", "area": "none of ours"}
    cells = tables.typed(texts)
    assert (cells["image"], cells["right_found"], cells["height"], cells["score"]) == ("a.png", False, 64, None)


def test_results_of_another_model_do_not_stay(folder, litert_model, tmp_path):
    settings = Settings(str(tmp_path / "out"), str(litert_model), ("mask",))
    (reference,) = _references(folder / "a.png")
    earlier = {"result": "a", "outputs": "mask overlay", "status": "segmented", "input": reference.stamp}
    other = work.choose([reference], [earlier | {"settings": "other"}], settings, settings.stamp(), False)
    assert other.written == ("mask", "overlay") and not other.is_same
    (tmp_path / "out").mkdir()
    (tmp_path / "out/a_overlay.png").write_bytes(b"of the other model")
    assert Worker(settings).segment(other).row["outputs"] == "mask"
    assert sorted(results(tmp_path / "out")) == ["a_mask.png"]
    # By the same model it is of the same radiograph: it stays, and is told of.
    less = {"outputs": "overlay", "settings": settings.stamp()}
    same = work.choose([reference], [earlier | less], settings, settings.stamp(), False)
    assert same.is_same and Worker(settings).segment(same).row["outputs"] == "mask overlay"
    done = earlier | {"settings": settings.stamp()}
    assert work.choose([reference], [done], settings, settings.stamp(), False) == done | {"image": reference.name}
    assert isinstance(work.choose([reference], [done], settings, settings.stamp(), overwrite=True), Reference)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("nowhere/*.png --runner DirectRunner", "found no files"),
        ("{folder} --runner DirectRunner --model nowhere.tflite", "model not found"),
        ("{folder} --runner NoRunner", "NoRunner"),
        ("{folder} --runner DirectRunner --input table", "cannot be read as a table"),
    ],
)
def test_a_mistake_is_one_line(folder, litert_model, tmp_path, capfd, arguments, line):
    words = [word.format(folder=folder) for word in arguments.split()]
    if "--model" not in words:
        words += ["--model", str(litert_model)]
    assert cli.main(["predict", *words, "--out", str(tmp_path / "out")]) == 2
    told = capfd.readouterr().err.splitlines()
    assert line in told[-1] and told[-1].startswith("crass-tf: error: ") and not any("Traceback" in one for one in told)
