import html.parser
import json
import pathlib
import urllib.parse

import pytest

from crass_tf.demo import demo
from crass_tf.files import InputError


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "out"
    demo(folder, count=10, size=64, config="64x64", epochs=2)
    return folder


class Links(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found += [value for name, value in attributes if name in ("href", "src")]


def reachable(page):
    """Every file that links lead to, from this page on."""
    found, waiting = set(), [page]
    while waiting:
        page = waiting.pop()
        for link in Links(page.read_text(encoding="utf-8")).found:
            target = (page.parent / urllib.parse.unquote(urllib.parse.urldefrag(link).url)).resolve()
            assert target.exists(), f"{page} leads to {link}, which is not there"
            if target not in found:
                found.add(target)
                waiting += [target] if target.suffix == ".html" else []
    return found


def test_index_leads_to_every_picture_and_artifact(out):
    found = reachable(out / "index.html")
    expected = {
        *(out / "pictures").iterdir(),
        *(out / "predictions").iterdir(),
        *(out / "export").iterdir(),
        *(out / "evaluation" / "overlays" / "whole").iterdir(),
        out / "run" / "model.keras",
        out / "run" / "history.csv",
        out / "evaluation" / "metrics.json",
    }
    assert {path.resolve() for path in expected} <= found


def test_two_validation_phantoms_are_scored_and_predicted(out):
    # Numbers 1 and 6 of ten.
    assert json.loads((out / "evaluation" / "metrics.json").read_text())["n"] == 2
    masks = sorted(path.name for path in (out / "predictions").glob("*_mask.png"))
    assert masks == ["phantom_00001_mask.png", "phantom_00006_mask.png"]


def test_index_says_that_it_is_no_medical_device(out):
    assert "not a medical device" in (out / "index.html").read_text(encoding="utf-8")


def test_folder_with_other_files_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="other files"):
        demo(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_file_in_its_place_is_refused(tmp_path):
    path = pathlib.Path(tmp_path / "file")
    path.write_text("")
    with pytest.raises(InputError, match="expected a folder"):
        demo(path)
