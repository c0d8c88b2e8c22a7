"""`crass-tf predict https://... --dicomweb`: radiographs of a DICOMweb server, whose segmentations go back to it."""

from __future__ import annotations

import contextlib
import pathlib
import sys
import urllib.parse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from crass_tf.common.files import InputError, atomic_file, local_path, one_line
from crass_tf.prediction import run
from crass_tf.prediction.outputs import DEFAULTS, OUTPUTS

if TYPE_CHECKING:
    from crass_tf.common.types import PathLike

# DICOM modalities of radiographs: computed and digital radiography.
MODALITIES = ("CR", "DX")
SEGMENTATION = "dicom-seg"
# Folders in `out`: fetched radiographs, and results.
FETCHED, RESULTS = "radiographs", "results"
# The server's own transfer syntax: nothing is compressed or decoded.
AS_STORED = (("application/dicom", "*"),)


def predict(urls: Sequence[str], out: PathLike, outputs: Sequence[str] = DEFAULTS, **options: Any) -> int:
    """Fetches a server's radiographs by QIDO and WADO, segments them, and stores DICOM segmentations there by STOW.

    What an earlier run has fetched, segmented or stored is not done again. A line on standard error names what the
    server did not give or take.

    Args:
        urls: one: the server's, and after a `?` which of its radiographs, in the terms of QIDO, such as
            `https://pacs/dicom-web?StudyDate=20260101-20261231&BodyPartExamined=CHEST`.
        out: gets `radiographs/STUDY/INSTANCE.dcm`, and `results/` as of a folder's run.
        outputs: names out of `outputs.OUTPUTS`; `dicom-seg` is always one.
        options: of `prediction.predict`.

    Returns:
        The exit code of `prediction.predict`; 1 instead of 0 where something was not fetched or stored.

    Raises:
        InputError: also where the server cannot be reached, or has no such radiographs.
    """
    if len(urls) != 1:
        raise InputError(f"--dicomweb: found {len(urls)} addresses, expected one, such as https://pacs/dicom-web")
    outputs = tuple(dict.fromkeys([*outputs, SEGMENTATION]))
    run.check_outputs(outputs)
    base, _, query = urls[0].partition("?")
    client, out = _client(base), local_path(out, "out")
    with _raise_in_one_line(base):
        instances = [one for modality in MODALITIES for one in _search(client, query, Modality=modality)]
    if not instances:
        raise InputError(f"{urls[0]}: found no radiographs there, of modality {' or '.join(MODALITIES)}")
    failed = [_has_failed(base, _fetch, client, one, out / FETCHED) for one in instances]
    code = run.predict([out / FETCHED], out / RESULTS, outputs=outputs, **options)
    written = sorted((out / RESULTS).rglob(f"*{OUTPUTS[SEGMENTATION].suffix}"))
    failed += [_has_failed(base, _store, client, path) for path in written]
    return code or int(any(failed))


def _client(base):
    """Returns a client that knows names and passwords of servers from `~/.netrc`, as `requests` does."""
    try:
        from dicomweb_client.api import DICOMwebClient

        return DICOMwebClient(base)
    except ImportError:
        raise InputError("--dicomweb needs dicomweb-client; install it with: pip install crass-tf[dicomweb]") from None
    except ValueError as error:
        raise InputError(f"{base}: cannot be the address of a DICOMweb server ({error})") from None


@contextlib.contextmanager
def _raise_in_one_line(name):
    import requests

    try:
        yield
    # Content that is no DICOM or no JSON raises ValueError.
    except (requests.RequestException, ValueError) as error:
        raise InputError(one_line(f"{name}: the server did not do what it was asked: {error}")) from None


def _has_failed(base, function, *arguments):
    """Calls a function; returns whether it failed, after printing why."""
    try:
        with _raise_in_one_line(base):
            function(*arguments)
    except InputError as error:
        print(error, file=sys.stderr)
        return True
    return False


def _search(client, query="", **filters):
    """Returns what the server says of the instances that match, as DICOM data sets."""
    from pydicom import Dataset

    filters |= dict(urllib.parse.parse_qsl(query))
    return [Dataset.from_json(one) for one in client.search_for_instances(search_filters=filters, get_remaining=True)]


def _fetch(client, instance, folder):
    uids = (instance.StudyInstanceUID, instance.SeriesInstanceUID, instance.SOPInstanceUID)
    path = pathlib.Path(folder, uids[0], f"{uids[-1]}.dcm")
    if not path.exists():
        # The client refuses a false UID, which might lead out of the folder.
        dataset = client.retrieve_instance(*uids, media_types=AS_STORED)
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path) as temporary:
            dataset.save_as(temporary)


def _store(client, path):
    import pydicom

    segmentation = pydicom.dcmread(path)
    if not _search(client, SOPInstanceUID=segmentation.SOPInstanceUID):
        answer = client.store_instances([segmentation])
        if answer is not None and answer.get("FailedSOPSequence"):
            raise ValueError(f"it did not take {path}")
