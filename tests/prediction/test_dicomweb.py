"""Radiographs of a real DICOMweb server, Debian's Orthanc, on the loopback, and what is stored there."""

import io
import json
import pathlib
import shutil
import socket
import subprocess
import time

import numpy as np
import pytest

pydicom = pytest.importorskip("pydicom", reason="needs pydicom: pip install crass-tf[dicom]")
pytest.importorskip("dicomweb_client", reason="needs dicomweb-client: pip install crass-tf[dicomweb]")
from dicomweb_client.api import DICOMwebClient  # noqa: E402
from drawn import bars  # noqa: E402
from radiograph_files import dicom, stored  # noqa: E402

from crass_tf import cli  # noqa: E402

PLUGIN = pathlib.Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
ORTHANC = shutil.which("Orthanc", path="/usr/sbin:/usr/bin:/usr/local/bin")


@pytest.fixture
def server(tmp_path):
    """The address of an empty server."""
    if ORTHANC is None or not PLUGIN.exists():
        pytest.skip("needs a DICOMweb server: apt-get install orthanc orthanc-dicomweb")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    folders = dict.fromkeys(("StorageDirectory", "IndexDirectory"), str(tmp_path / "server"))
    settings = {"HttpPort": port, "DicomServerEnabled": False, "AuthenticationEnabled": False, "Plugins": [str(PLUGIN)]}
    (tmp_path / "orthanc.json").write_text(json.dumps(folders | settings))
    process = subprocess.Popen([ORTHANC, tmp_path / "orthanc.json"], stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/dicom-web"
    finally:
        process.terminate()
        process.wait()


def radiograph(number, modality, shift=0):
    """A DICOM object of 64 x 64 pixels with two bright bars, rows 10 to 19, moved down by `shift`."""
    image = bars((64, 64), (10 + shift, 20 + shift), ((4, 24), (40, 56)))
    ids = {"SOPInstanceUID": f"1.3.{number}", "StudyInstanceUID": f"1.4.{number}", "SeriesInstanceUID": f"1.5.{number}"}
    tags = {"Modality": modality, "PatientID": f"P{number}", "PatientName": "Muster^Erika"}
    return pydicom.dcmread(io.BytesIO(stored(dicom(image, **ids, **tags), enforce_file_format=True)))


def test_segmentations_come_back_to_the_server(server, litert_model, tmp_path):
    client, out = DICOMwebClient(server), tmp_path / "out"
    client.store_instances([radiograph(1, "CR"), radiograph(2, "DX", 5), radiograph(3, "MR")])
    arguments = ["predict", server, "--dicomweb", "--out", str(out), "--model", str(litert_model), "--outputs", "mask"]
    assert cli.main(arguments) == 0
    kept = sorted(path.relative_to(out).as_posix() for path in (out / "radiographs").rglob("*.dcm"))
    assert kept == ["radiographs/1.4.1/1.3.1.dcm", "radiographs/1.4.2/1.3.2.dcm"]
    assert (out / "results/1.4.2/1.3.2_mask.png").exists()

    def stored():
        found = client.search_for_instances(search_filters={"Modality": "SEG"})
        return sorted((pydicom.Dataset.from_json(one) for one in found), key=lambda one: one.StudyInstanceUID)

    first, second = stored()
    assert (first.StudyInstanceUID, second.StudyInstanceUID) == ("1.4.1", "1.4.2")
    frames = client.retrieve_instance("1.4.2", second.SeriesInstanceUID, second.SOPInstanceUID).pixel_array
    # Segment 1 is the patient's right side, which is the picture's left: 10 rows of 20 columns, moved down by 5.
    assert frames[0].sum() == 200 and frames[1].sum() == 160
    assert list(np.flatnonzero(frames[0].any(axis=1))) == list(range(15, 25))

    # Again: nothing is fetched or stored twice; one that is new is.
    client.store_instances([radiograph(4, "CR", 9)])
    assert cli.main(arguments) == 0
    assert [one.SOPInstanceUID for one in stored()[:2]] == [first.SOPInstanceUID, second.SOPInstanceUID]
    assert len(stored()) == 3
    # A question that only one radiograph answers.
    assert cli.main(["predict", f"{server}?PatientID=P1", *arguments[2:4], str(tmp_path / "P1"), *arguments[5:]]) == 0
    assert len(list((tmp_path / "P1/radiographs").rglob("*.dcm"))) == 1


@pytest.mark.parametrize(
    ("paths", "line"),
    [
        (["http://127.0.0.1:9/dicom-web"], "http://127.0.0.1:9/dicom-web: the server did not do what it was asked"),
        (["http://127.0.0.1:9", "more"], "found 2 addresses, expected one"),
        (["folder"], "cannot be the address"),
    ],
)
def test_a_mistake_is_one_line(paths, line, tmp_path, capfd, monkeypatch):
    def ask_once(client, *_):
        return set_retries(client, retry=False)

    # The client waits for half a minute for a server that does not answer.
    set_retries = DICOMwebClient.set_http_retry_params
    monkeypatch.setattr(DICOMwebClient, "set_http_retry_params", ask_once)
    assert cli.main(["predict", *paths, "--dicomweb", "--out", str(tmp_path / "out")]) == 2
    (told,) = capfd.readouterr().err.splitlines()
    assert told.startswith("crass-tf: error: ") and line in told


def test_an_empty_server_is_said(server, tmp_path, capfd):
    assert cli.main(["predict", server, "--dicomweb", "--out", str(tmp_path / "out")]) == 2
    assert "found no radiographs there, of modality CR or DX" in capfd.readouterr().err
