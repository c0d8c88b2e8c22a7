"""Which radiographs a run segments: files by pattern, a table of paths, tar shards, DICOM files by patient and study.

Two steps, so that the second one, which opens files, can be spread over workers: `find`, then `references`.
"""

import contextlib
import csv
import dataclasses
import functools
import hashlib
import hmac
import io
import os
import pathlib
import re
import tarfile
import warnings
from collections.abc import Iterator

from crass_tf.beam import storage
from crass_tf.common.files import InputError
from crass_tf.prediction import summary
from crass_tf.prediction.folders import DICOM_INDEX, is_radiograph
from crass_tf.prediction.run import result_path
from crass_tf.radiographs.formats import data_files, dicom, metaimage

WILDCARD = re.compile(r"[*?\[{]")
# What a DICOM unique identifier may hold.
UID = re.compile(r"[0-9.]{1,64}")
PATIENT_TAGS = ("PatientID", "IssuerOfPatientID", "StudyInstanceUID", "SOPInstanceUID")
# A DICOM file's patient and study stand in its first bytes; a private element may push them further.
DICOM_START = 65_536


@dataclasses.dataclass(frozen=True, slots=True)
class Reference:
    """A radiograph, or of `find` a file that may hold some; small enough to be sent between machines.

    Attributes:
        result: the results' path below `out`, parted by `/`, without suffix: the radiograph's key.
        name: what results and messages call it.
        url: the file that holds it.
        stamp: what changes with the file's content; "" where that is not known.
        start, size: the bytes of the file that are the radiograph; -1: all of them.
        written: names of outputs that an earlier run has written.
        is_same: whether it has written them from the same file, by the same model.
        problem: why it cannot be segmented, known before it is read.
    """

    result: str
    name: str
    url: str
    stamp: str
    start: int = 0
    size: int = -1
    written: tuple[str, ...] = ()
    is_same: bool = False
    problem: str = ""

    def fetch(self, folder: str) -> pathlib.Path:
        """Returns a path of this machine that holds the radiograph, in `folder` where it was not; or raises OSError."""
        name = pathlib.PurePosixPath(self.name).name
        if self.size < 0 and storage.is_local(self.url):
            path = pathlib.Path(self.url)
            if self.name == self.url:
                return path
            link = pathlib.Path(folder, name)
            link.symlink_to(path.resolve())
            return link
        path = pathlib.Path(folder, name)
        path.write_bytes(storage.read(self.url, self.start, self.size))
        if self.size < 0 and metaimage.is_header(path):
            self._fetch_pixels(path)
        return path

    def _fetch_pixels(self, header):
        try:
            _, *others = data_files(header)
        except (ValueError, KeyError):  # Reading the header says what is wrong with it.
            return
        for path in others:
            path.write_bytes(storage.read(f"{self.url.rpartition('/')[0]}/{path.name}"))


def find(pattern: str, kind: str = "files", out: str | None = None) -> Iterator[Reference]:
    """Yields the files that a pattern, a folder or a table names; hidden ones, and what lies in `out`, are passed over.

    `pattern` is a path or URL with `*`, `**`, `?`; or a folder, of which all is meant. Raises InputError where
    nothing matches.
    """
    if kind == "table":
        yield from _rows(pattern)
        return
    if storage.is_local(pattern):
        pattern = os.path.expanduser(pattern)  # noqa: PTH111
    if pattern.endswith("/") or (storage.is_local(pattern) and pathlib.Path(pattern).is_dir()):
        pattern = f"{pattern.rstrip('/')}/**"
    fixed = WILDCARD.split(pattern)[0]
    top = fixed[: fixed.rfind("/") + 1]
    files = storage.match(pattern)
    if not files:
        raise InputError(f"{pattern}: found no files; a pattern such as 'gs://bucket/folder/**.dcm' names them")
    for file in files:
        below = file.path.removeprefix(top)
        hidden = any(part.startswith(".") for part in below.split("/"))
        if not hidden and not (out and file.path.startswith(f"{out.rstrip('/')}/")):
            yield Reference(_key(result_path(below)), file.path, file.path, _stamp(file))


def _rows(table):
    """Yields what the rows of a CSV table name: its column `image` has paths, `result` where results go."""
    folder = table.rpartition("/")[0]
    try:
        reader = csv.DictReader(io.StringIO(storage.read(table).decode("utf-8-sig"), newline=""))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{table}: cannot be read as a table ({error})") from None
    if "image" not in (reader.fieldnames or ()):
        raise InputError(f"{table}: found columns {reader.fieldnames}, expected one called image, and commas")
    for row in reader:
        url = row["image"]
        if storage.is_local(url) and not url.startswith("/") and folder:
            url = f"{folder}/{url}"
        yield Reference(_key(row.get("result") or result_path(url.rpartition("://")[2])), url, url, "")


def references(reference: Reference, kind: str = "files", patient_key: str = "") -> Iterator[Reference]:
    """Yields the radiographs that a file of some kind holds, or the file itself; none for another file.

    Without the secret `patient_key`, nobody can guess a patient's number from the results' paths by trial.
    """
    if kind == "tar":
        yield from _members(reference)
    elif kind == "dicom":
        yield from _instance(reference, patient_key)
    elif kind == "table":
        yield dataclasses.replace(reference, stamp=_current_stamp(reference.url))
    elif is_radiograph(reference.url.rpartition("/")[2], functools.partial(storage.read, reference.url, 0, dicom.HEAD)):
        yield reference


def _members(reference):
    """Yields the radiographs in a tar file: each by its place there, of which only its own bytes are read later."""
    if reference.url.lower().endswith((".gz", ".tgz", ".bz2", ".xz", ".zst")):
        problem = "found a compressed tar file, expected a plain one; unpack it with gunzip"
        yield dataclasses.replace(reference, stamp="", problem=problem)
        return
    try:
        with _open(reference.url) as file, tarfile.open(fileobj=file, mode="r:") as archive:
            for member in archive:
                if member.isfile() and is_radiograph(
                    member.name.rpartition("/")[2], functools.partial(_read_member_head, archive, member)
                ):
                    key, name = _key(f"{reference.result}/{result_path(member.name)}"), f"{reference.url}/{member.name}"
                    yield Reference(key, name, reference.url, reference.stamp, member.offset_data, member.size)
    except (OSError, tarfile.TarError) as error:
        yield dataclasses.replace(reference, stamp="", problem=f"cannot be read as a tar file ({error})")


def _read_member_head(archive, member):
    return archive.extractfile(member).read(dicom.HEAD)


def _open(url):
    if storage.is_local(url):
        return pathlib.Path(url).open("rb")
    return storage.FileSystems.open(url, compression_type=storage.CompressionTypes.UNCOMPRESSED)


def _instance(reference, patient_key):
    """Yields a DICOM file under its patient and study; its path, which may hold names, stays secret."""
    if reference.url.rpartition("/")[2].upper() == DICOM_INDEX:
        return
    hidden = hashlib.sha256(reference.url.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    key = f"unreadable/{hidden}"
    # A damaged header may raise anything; segmenting reports it later.
    with contextlib.suppress(Exception):
        head = storage.read(reference.url, 0, DICOM_START)
        if not head.startswith(*dicom.MARK) and not dicom.is_named_so(reference.url):
            return
        patient, study, instance = _identity(head, patient_key)
        if study or instance:
            key = f"{patient}/{study or 'study-unknown'}/{instance or hidden}"
    yield Reference(key, f"{key}.dcm", reference.url, reference.stamp)


def _identity(head, patient_key):
    """Returns `(patient, study, instance)` of a DICOM file's first bytes; the patient's number only as a keyed hash."""
    import pydicom

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        header = pydicom.dcmread(io.BytesIO(head), stop_before_pixels=True, force=True, specific_tags=[*PATIENT_TAGS])
        number, issuer, study, instance = (str(header.get(tag, "")).strip() for tag in PATIENT_TAGS)
    digest = hmac.new(patient_key.encode(), f"{issuer}\0{number}".encode(), hashlib.sha256).hexdigest()[:16]
    patient = f"patient-{digest}" if number else "patient-unknown"
    return patient, *(uid if UID.fullmatch(uid) else "" for uid in (study, instance))


def _key(path):
    """Returns a path that cannot leave `out`."""
    return "/".join(part for part in path.split("/") if part not in ("", ".", ".."))


def _stamp(file):
    """Returns what changes with a file's content; of a file on this machine as `predict` has it."""
    if storage.is_local(file.path):
        return summary.input_stamp(file.path)
    return f"{file.size_in_bytes}@{file.last_updated_in_seconds}"


def _current_stamp(url):
    """Returns the stamp of a file that was not listed; "" where it is not there."""
    if storage.is_local(url):
        return summary.input_stamp(url)
    try:
        return next(map(_stamp, storage.match(url)), "")
    except InputError:
        return ""
