"""The example on Beam prints what it promises."""

import pathlib
import runpy

import pytest

pytest.importorskip("apache_beam", reason="needs Apache Beam: pip install crass-tf[beam]")

from crass_tf.phantom import write_folder  # noqa: E402

EXAMPLE = pathlib.Path(__file__).parents[2] / "examples/segment_on_beam.py"


def test_prints_the_mean_area_and_writes_results(tmp_path, capfd):
    write_folder(tmp_path / "phantoms", count=2, size=256, workers=1, progress=False)
    areas = []
    for _ in range(2):
        runpy.run_path(str(EXAMPLE))["main"](f"{tmp_path}/phantoms/CRASS12/image/*", str(tmp_path / "out"))
        areas += [int(word) for word in capfd.readouterr().out.split() if word.isdigit()]
    # One clavicle over the lungs has 4 to 30 square centimetres. The second run takes it from the first one's summary.
    assert 400 < areas[0] < 3000 and areas[1:] == areas[:1]
    assert sum(1 for _ in (tmp_path / "out").glob("*_mask.png")) == 2
