"""What `crass-tf check` does: reads a folder once, prints a table and what is wrong, and writes a page of it."""

import collections
from collections.abc import Sequence

from tqdm import tqdm

from crass_tf.check.duplicates import duplicate_flags
from crass_tf.check.examples import Look, look
from crass_tf.check.flags import SEVERITIES, grey_flags, mask_flags, reading_flags
from crass_tf.check.registration import registration_flags
from crass_tf.check.table import PUBLISHED, make_table, table_rows, table_text
from crass_tf.common.files import local_path, output_folder, write_json
from crass_tf.common.parallel import ordered_map
from crass_tf.common.types import PathLike
from crass_tf.data.building import opener
from crass_tf.data.loading import DEFAULT_DATASET
from crass_tf.radiographs.radiograph import GreyScale
from crass_tf.sources.source import REMARK, Finding, Source

# With one of these flags, the position of the mask cannot be judged.
UNSUITED = ("constant", "inverted", "mask area")


def check(folder: PathLike, out: PathLike | None = None, dataset: str = DEFAULT_DATASET, progress: bool = True) -> int:
    """Reads everything in a data set's folder, prints a table and flags, and writes them where asked to.

    No flaw ends the check: a file that cannot be read is flagged, and the rest goes on.

    Args:
        folder: what `crass-tf build` takes as `--manual-dir`.
        out: gets `check.html`, `check.json` and the page's pictures; None writes nothing.
        dataset: the data set's name.
        progress: whether to show a bar on standard error.

    Returns:
        The exit code: 0, or 1 where something stops or spoils a build.

    Raises:
        InputError: where there is no such folder, the name of the data set is not known, or `out` is a file.
    """
    folder, out = local_path(folder, "folder"), output_folder(out)
    source = opener(dataset)(folder)
    looks = look_at_all(source, progress)
    scale = grey_scale(source, looks)
    table, flags = make_table(source, looks, scale), find_flags(source, looks, scale)
    lines = [summary(flags), *(f"{flag.severity}: {flag.kind}: {flag.text}" for flag in flags)]
    print(f"{source.folder}: {source.form}", table_text(table_rows(table)), "\n".join(lines), sep="\n\n")
    if out is not None:
        _write(out, source, dataset, looks, scale, table, flags)
    return int(any(flag.severity != REMARK for flag in flags))


def look_at_all(source: Source, progress: bool = False) -> list[Look]:
    """Returns the `Look` at every example of a source, each file read once, whatever splits name it."""
    splits = collections.defaultdict(list)
    for split, examples in source.splits.items():
        for example in examples:
            splits[example].append(split)
    examples = list(dict.fromkeys(source.examples))
    looks = ordered_map(lambda example: look(source, example, tuple(splits[example])), examples)
    return list(tqdm(looks, "check", len(examples), unit="radiograph", disable=None if progress else True))


def grey_scale(source: Source, looks: Sequence[Look]) -> GreyScale:
    """Returns the `GreyScale` that a build would use, given that what cannot be read is mended."""
    ranges = [look.grey.range.tolist() for look in looks if look.grey and look.grey.range.dtype != "uint8"]
    lows, highs = zip(*ranges or [(0, 255)])
    return source.fixed_scale or GreyScale.holding(min(lows), max(highs))


def find_flags(source: Source, looks: Sequence[Look], scale: GreyScale) -> list[Finding]:
    """Returns all flags: what stops a build first, remarks last, each kind together."""
    flags = [*source.findings]
    for radiograph in looks:
        flags += [*reading_flags(radiograph, source.findings), *grey_flags(radiograph, scale), *mask_flags(radiograph)]
    flags += duplicate_flags(looks)
    flags += registration_flags(looks, {name for flag in flags if flag.kind in UNSUITED for name in flag.image_ids})
    order, kinds = list(SEVERITIES), list(dict.fromkeys(flag.kind for flag in flags))
    return sorted(flags, key=lambda flag: (order.index(flag.severity), kinds.index(flag.kind)))


def summary(flags: Sequence[Finding]) -> str:
    """Returns how many flags of which severity there are."""
    counts = collections.Counter(flag.severity for flag in flags)
    return ", ".join(f"{text}: {counts[severity]}" for severity, text in SEVERITIES.items())


def _write(out, source, dataset, looks, scale, table, flags):
    # Late: the page shares its plots with the evaluation's report.
    from crass_tf.check.page import write_page

    about = {"folder": str(source.folder), "form": source.form, "dataset": dataset, "split_origin": source.split_origin}
    content = about | {"table": table, "published_crass12": PUBLISHED, "flags": [vars(flag) for flag in flags]}
    write_page(out, source, looks, scale, table, flags)
    write_json(out / "check.json", content)
    print(f"wrote {out / 'check.html'} and {out / 'check.json'}")
