"""The notebooks run from top to bottom, on phantoms; what they hold in the repository is code without outputs."""

import pathlib

import nbformat
import pytest
from nbclient import NotebookClient

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"
NOTEBOOKS = sorted(path.name for path in EXAMPLES.glob("*.ipynb"))


def run(name, folder):
    """Returns the results of a notebook's code cells as text; a cell that raises ends the test."""
    notebook = nbformat.read(EXAMPLES / name, as_version=4)
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": folder}}).execute()
    results = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    return [output["data"]["text/plain"] for output in results if output["output_type"] == "execute_result"]


def test_data_set_and_network(tmp_path):
    exit_code, spec, picture, scores = run("data_set_and_network.ipynb", str(tmp_path))
    assert exit_code == "0" and "shape=(64, 64, 1), dtype=tf.uint8" in spec
    assert "Image" in picture and "'mean'" in scores


def test_prediction_and_measures(tmp_path):
    found, quality, measures, *_, files = run("prediction_and_measures.ipynb", str(tmp_path))
    assert found.startswith("(None, (512, 512), ")
    # A phantom of the kind that the model was trained on first.
    assert float(quality.strip("()").split(",")[1]) > 0.7
    assert "'length_mm'" in measures and "radiograph_overlay.png" in files


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_no_outputs_are_committed(name):
    notebook = nbformat.read(EXAMPLES / name, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)
