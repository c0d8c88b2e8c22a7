import jinja2
import pytest

from crass_tf.common.notice import NOTICE
from crass_tf.reporting import pages
from crass_tf.reporting.plots import curve, histogram

DEMO = {
    "metrics": {"n": 2, "iou": {"mean": 0.91}, "dice": {"mean": 0.953}},
    "curve": "",
    "forms": {"int8": {"file": "a&b.tflite", "bytes": 2_500_000, "mask_iou": {"mean": 0.99}}},
    "file": "<int8>.tflite",
    "files": ["run/logs/"],
    "images": ["phantoms/<0>.PNG"],
    "masks": [],
    "overlays": [],
    "predictions": ["predictions/a b.json"],
}


def test_page_escapes_text_and_links(tmp_path):
    pages.write_page(tmp_path / "index.html", "demo.html", **DEMO)
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert 'alt="phantoms/&lt;0&gt;.PNG"' in page and ">a&amp;b.tflite</a>" in page
    assert 'href="export/a%26b.tflite"' in page and 'href="predictions/a%20b.json"' in page
    assert "2.50 MB" in page
    assert "Predictions of &lt;int8&gt;.tflite on" in page
    assert NOTICE in page


def test_a_missing_value_is_an_error_and_no_page(tmp_path):
    with pytest.raises(jinja2.UndefinedError, match="masks"):
        pages.write_page(tmp_path / "index.html", "demo.html", **{k: v for k, v in DEMO.items() if k != "masks"})
    assert list(tmp_path.iterdir()) == []


def test_a_histogram_names_each_image_and_a_curve_has_a_line_for_each_kind():
    plot = histogram(["<a>", "b"], [0.81, 0.845], "IoU", upper=1.0)
    assert "&lt;a&gt;: 0.810" in plot and "b: 0.845" in plot
    # Bins of 0.01 from 0.81 to 1; each holds one value.
    assert "0.81 to 0.82: 1" in plot and "0.84 to 0.85: 1" in plot
    assert "mean 0.828 (full line), median 0.828 (dashed)" in plot
    # IoU 0 lies at y = 190, IoU 1 at 10; two epochs at both ends.
    plot = curve([0.0, 1.0], [0.5, 0.5])
    assert 'points="40.0,190.0 500.0,10.0 "' in plot and 'points="40.0,100.0 500.0,100.0 "' in plot
