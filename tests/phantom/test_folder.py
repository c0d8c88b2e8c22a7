import functools
import os
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
from folders import contents, names
from refusals import refuses

from crass_tf.phantom import folder, render, write_folder
from crass_tf.radiographs.radiograph import read_radiograph


def write(path, count=3, **options):
    return write_folder(path, **{"count": count, "seed": 7, "size": 64, "workers": 1, "progress": False} | options)


def test_layout_lists_and_spacing(tmp_path):
    out = write(tmp_path / "new" / "phantoms", count=7)
    assert (out / "CRASS12/train.txt").read_text().split() == [f"phantom_0000{i}" for i in (0, 2, 3, 4, 5)]
    assert (out / "CRASS12/val.txt").read_text().split() == ["phantom_00001", "phantom_00006"]
    places = ("CRASS12/image", "CRASS12/mask", "structures")
    expected = {f"{place}/phantom_0000{i}.PNG" for place in places for i in range(7)}
    assert {name for name in names(out) if name.endswith(".PNG")} == expected
    mask = cv2.imread(str(out / "CRASS12/mask/phantom_00003.PNG"), cv2.IMREAD_UNCHANGED)
    assert mask.shape == (64, 64) and set(np.unique(mask)) == {0, 255}
    for index in range(2):
        spacing_mm = read_radiograph(out / f"CRASS12/image/phantom_0000{index}.PNG").spacing_mm
        assert spacing_mm == pytest.approx(render(7, index, 64).spacing_mm, rel=1e-9)


def test_an_image_depends_on_the_seed_and_neither_on_count_nor_on_workers(tmp_path):
    few, again, other = (contents(write(tmp_path / f"{i}", seed=seed)) for i, seed in enumerate((7, 7, 8)))
    many = contents(write(tmp_path / "many", count=5, workers=2))
    assert few == again
    assert all(many[name] == data != other[name] for name, data in few.items() if name.endswith("PNG"))


def test_a_share_of_patients_in_bed(tmp_path):
    out = write(tmp_path, count=10, bedside=0.4)
    in_bed = []
    for index in range(10):
        image = cv2.imread(str(out / f"CRASS12/image/phantom_{index:05d}.PNG"), cv2.IMREAD_UNCHANGED)
        upright, lying = (render(7, index, 64, bedside=bedside).image for bedside in (False, True))
        assert not np.array_equal(upright, lying)
        assert np.array_equal(image, lying) or np.array_equal(image, upright)
        in_bed.append(np.array_equal(image, lying))
    assert sum(in_bed) == 4


@pytest.mark.parametrize("option", [{"count": 0}, {"size": 63}, {"seed": -1}, {"workers": 0}, {"bedside": 1.5}])
def test_arguments_out_of_range_are_named(tmp_path, option):
    refuses(f"{next(iter(option))}: found {next(iter(option.values()))}", write, tmp_path / "out", **option)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["CRASS12", "structures"])
def test_a_folder_in_use_is_refused_and_left_alone(tmp_path, name):
    (tmp_path / name).mkdir()
    refuses(name, write, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_an_interrupted_run_leaves_nothing(tmp_path, monkeypatch, error):
    def fail_at_two(seed, index, size, **options):
        if index == 2:
            raise error
        return render(seed, index, size, **options)

    monkeypatch.setattr(folder, "render", fail_at_two)
    with pytest.raises(error):
        write(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_at_a_terminal_is_one_line(tmp_path):
    """A terminal sends it to the worker processes, too."""
    command = [sys.executable, "-m", "crass_tf", "phantom", f"--out={tmp_path / 'out'}", "--count=999", "--workers=2"]
    # Where pytest runs in the background, Ctrl-C is ignored, and a child would inherit that.
    heed = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True, preexec_fn=heed)
    try:
        # Until the first worker has written something.
        while running.poll() is None and not list(tmp_path.rglob("*.PNG")):
            time.sleep(0.05)
        os.killpg(running.pid, signal.SIGINT)
        said = running.communicate(timeout=60)[1]
    finally:
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
    assert (running.returncode, said.split()) == (130, ["crass-tf:", "interrupted"])
    assert not list(tmp_path.iterdir())
