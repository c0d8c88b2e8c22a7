"""The CRASS12 folder as published: where its files lie, what its split files say, how one example is read."""

import collections
import dataclasses
import hashlib
import json
import math
import pathlib

from crass_tf.files import InputError
from crass_tf.radiograph import read_bytes, read_mask, read_png_size, read_radiograph

FOLDER = "CRASS12"
IMAGE_FOLDER, MASK_FOLDER = "image", "mask"
SUFFIX = ".PNG"
SPLIT_FILES = {"train": "train.txt", "validation": "val.txt"}
SPACING_FILE = "spacing.json"
RADIOGRAPH_COUNT = 284
DOCUMENTED_SPACING_MM = (0.25, 0.25)
# Every radiograph of CRASS12 is larger than this; a folder with smaller ones was resized or holds something else.
DOCUMENTED_MIN_SIDE = 1500


@dataclasses.dataclass(frozen=True, order=True)
class Example:
    """One radiograph with its clavicle mask: `image_id` is the file name without suffix."""

    image_id: str
    image_path: pathlib.Path
    mask_path: pathlib.Path


@dataclasses.dataclass(frozen=True)
class SpacingRule:
    """Which pixel spacing a radiograph of the folder gets; spacings are `(row, column)` in millimetres.

    Attributes:
        option_mm: what the user asked for; outranks everything. None where nothing was asked.
        fallback_mm: what holds where the file's header says nothing; None where it is unknown then.
        fallback_source: where `fallback_mm` comes from.
    """

    option_mm: tuple[float, float] | None = None
    fallback_mm: tuple[float, float] | None = None
    fallback_source: str = "unknown"

    def resolve(self, header_mm):
        """Returns `(spacing_mm or None, source)` for a radiograph whose header says `header_mm` (None: nothing)."""
        if self.option_mm is not None:
            return self.option_mm, "as asked for"
        if header_mm is not None:
            return header_mm, "file header"
        return self.fallback_mm, self.fallback_source


def read_folder(manual_dir):
    """Lists the examples of `manual_dir/CRASS12` by split, after cheap checks of the whole folder.

    No pixels are decoded: what is checked is which files there are, the split files, and the sizes in the PNG headers.

    Returns:
        `{"train": [Example, ...], "validation": [Example, ...]}`, each sorted by `image_id`.

    Raises:
        InputError: one line that names the file, what was found and what was expected.
    """
    folder = _crass12_folder(manual_dir)
    names = {split: _read_split_file(folder / name) for split, name in SPLIT_FILES.items()}
    _check_disjoint(folder, names)
    kinds = [(folder / kind, _png_files(folder / kind)) for kind in (IMAGE_FOLDER, MASK_FOLDER)]
    splits = {
        split: [Example(name, *(_find(*kind, name, split) for kind in kinds)) for name in sorted(names[split])]
        for split in SPLIT_FILES
    }
    for example in (example for examples in splits.values() for example in examples):
        _check_sizes(example, read_png_size(example.image_path), read_png_size(example.mask_path))
    return splits


def remarks(manual_dir, splits):
    """Returns lines on what is unusual, but no error, about a folder that `read_folder` gave `splits` for."""
    folder = pathlib.Path(manual_dir) / FOLDER
    present = set(_png_files(folder / IMAGE_FOLDER))
    left_out = sorted(present - {example.image_id for examples in splits.values() for example in examples})
    lines = []
    if len(present) != RADIOGRAPH_COUNT:
        lines.append(f"{folder}: found {len(present)} radiographs; CRASS12 as published has {RADIOGRAPH_COUNT}")
    if left_out:
        shown = ", ".join(left_out[:5]) + (", ..." if len(left_out) > 5 else "")
        split_files = " nor ".join(SPLIT_FILES.values())
        lines.append(f"{folder}: {len(left_out)} radiographs are left out, in neither {split_files}: {shown}")
    return lines


def read_example(example):
    """Reads one `Example`.

    Returns:
        `(radiograph, mask, mask_values)`: a `Radiograph` whose spacing is its header's or None, uint8 `[H, W]` of
        0 and 1, and the sorted list of values that the mask file held (any value above 0 is foreground).

    Raises:
        InputError: where a file cannot be read, or the mask's size is not its radiograph's.
    """
    radiograph = read_radiograph(example.image_path)
    mask, mask_values = read_mask(example.mask_path)
    _check_sizes(example, radiograph.image.shape, mask.shape)
    return radiograph, mask, mask_values


def read_spacing_rule(manual_dir, splits, option_mm=None):
    """Returns the `SpacingRule` of a folder that `read_folder` gave `splits` for.

    Args:
        manual_dir: the folder that holds `CRASS12`.
        splits: its examples.
        option_mm: `(row, column)` that the user asked for, or None.

    Raises:
        InputError: for an impossible spacing, as argument or in `CRASS12/spacing.json`.
    """
    if option_mm is not None:
        return SpacingRule(option_mm=check_spacing(option_mm, "spacing_mm"))
    path = pathlib.Path(manual_dir) / FOLDER / SPACING_FILE
    if path.exists():
        return SpacingRule(fallback_mm=_read_spacing_file(path), fallback_source=f"{FOLDER}/{SPACING_FILE}")
    sides = [min(read_png_size(example.image_path)) for examples in splits.values() for example in examples]
    if min(sides) >= DOCUMENTED_MIN_SIDE:
        source = f"assumed: CRASS12's documented value, as all sides have {DOCUMENTED_MIN_SIDE} pixels or more"
        return SpacingRule(fallback_mm=DOCUMENTED_SPACING_MM, fallback_source=source)
    return SpacingRule()


def check_spacing(spacing_mm, source):
    """Returns `spacing_mm` as a tuple of two floats; InputError that names `source` unless it is two lengths."""
    values = spacing_mm if isinstance(spacing_mm, (list, tuple)) else ()
    numbers = [float(v) for v in values if isinstance(v, (int, float)) and not isinstance(v, bool)]
    if len(values) != 2 or len(numbers) != 2 or not all(math.isfinite(n) and n > 0 for n in numbers):
        raise InputError(f"{source}: found {spacing_mm!r}, expected two lengths above 0, [row, column] in millimetres")
    return tuple(numbers)


def fingerprint(splits, rule):
    """Returns a digest of all that the data set is made from: names, splits, file contents, spacing."""
    digest = hashlib.sha256(repr(rule).encode())
    for split, examples in splits.items():
        for example in examples:
            digest.update(f"\n{split} {example.image_id} ".encode())
            for path in (example.image_path, example.mask_path):
                digest.update(hashlib.sha256(read_bytes(path)).digest())
    return digest.hexdigest()


def _crass12_folder(manual_dir):
    """Returns `manual_dir/CRASS12` once the folders and split files in it are known to be there."""
    manual_dir = pathlib.Path(manual_dir)
    folder = manual_dir / FOLDER
    expected = f"{FOLDER}/{{{IMAGE_FOLDER},{MASK_FOLDER}}}/*{SUFFIX} and {FOLDER}/{{{','.join(SPLIT_FILES.values())}}}"
    if not manual_dir.is_dir():
        raise InputError(f"{manual_dir}: folder not found, expected a folder with {expected}")
    if not folder.is_dir():
        hint = f"; give its parent, {manual_dir.absolute().parent}" if (manual_dir / IMAGE_FOLDER).is_dir() else ""
        raise InputError(f"{folder}: folder not found, expected {expected} in {manual_dir}{hint}")
    for name in (IMAGE_FOLDER, MASK_FOLDER):
        if not (folder / name).is_dir():
            raise InputError(f"{folder / name}: folder not found, expected {expected} in {manual_dir}")
    missing = [name for name in SPLIT_FILES.values() if not (folder / name).is_file()]
    if missing:
        files = " and ".join(str(folder / name) for name in missing)
        raise InputError(f"{files}: file not found, expected text with the name of one radiograph a line")
    return folder


def _read_split_file(path):
    """Returns the names in a split file: bare stems, file names, or paths of which the last part counts."""
    names, counts = [], collections.Counter()
    for number, line in enumerate(_read_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        name = _name_in_line(path, number, line.strip())
        counts[name] += 1
        if counts[name] > 1:
            raise InputError(f"{path}: found {name} a second time in line {number}, expected each name once")
        names.append(name)
    if not names:
        raise InputError(f"{path}: found no name, expected the name of one radiograph a line")
    return names


def _name_in_line(path, number, line):
    if ".." in line:
        raise InputError(f"{path}: found '..' in line {number}, {line!r}; expected the name of a radiograph")
    name = line.replace("\\", "/").rsplit("/", 1)[-1]
    # Not pathlib's stem: a bare name may have dots of its own.
    if name.lower().endswith(SUFFIX.lower()):
        name = name[: -len(SUFFIX)]
    if name in ("", "."):
        raise InputError(f"{path}: found no name in line {number}, {line!r}; expected the name of a radiograph")
    return name


def _read_text(path):
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(
            f"{path}: found bytes that are no UTF-8 text, expected a text file; save it as UTF-8"
        ) from None
    except OSError as error:
        raise InputError(f"{path}: cannot be opened ({error.strerror}), expected a text file") from None


def _check_disjoint(folder, names):
    train, validation = names.values()
    both = sorted(set(train) & set(validation))
    if both:
        train_file, validation_file = SPLIT_FILES.values()
        more = f" and {len(both) - 1} more" if len(both) > 1 else ""
        raise InputError(
            f"{folder / validation_file}: found {both[0]}{more} that {folder / train_file} has too, "
            f"expected each radiograph in one of them"
        )


def _png_files(folder):
    """Returns `{stem: path}` of the PNG files in `folder`."""
    files = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() == SUFFIX.lower() and path.is_file():
            if path.stem in files:
                raise InputError(f"{path}: found {files[path.stem].name} beside it, expected one file a name")
            files[path.stem] = path
    return files


def _find(folder, files, name, split):
    if name not in files:
        path = folder / (name + SUFFIX)
        raise InputError(f"{path}: file not found, expected because {SPLIT_FILES[split]} names {name}")
    return files[name]


def _check_sizes(example, image_size, mask_size):
    if image_size != mask_size:
        raise InputError(
            f"{example.mask_path}: found a mask of {mask_size[0]} x {mask_size[1]} pixels (rows x columns), "
            f"expected its radiograph's {image_size[0]} x {image_size[1]}"
        )


def _read_spacing_file(path):
    try:
        content = json.loads(_read_text(path))
    except json.JSONDecodeError as error:
        raise InputError(f'{path}: found no JSON ({error}), expected {{"spacing_mm": [row, column]}}') from None
    if not isinstance(content, dict) or "spacing_mm" not in content:
        raise InputError(f'{path}: found no "spacing_mm", expected {{"spacing_mm": [row, column]}}')
    return check_spacing(content["spacing_mm"], f'{path}, "spacing_mm"')
