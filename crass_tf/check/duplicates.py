"""Radiographs and masks that are there more than once: the same pixels, or nearly the same radiograph."""

import collections
import itertools
from collections.abc import Sequence

from crass_tf.check.examples import Look
from crass_tf.check.flags import SPOILS, Flag
from crass_tf.check.similarity import near_pairs

ACROSS = " across splits"


def duplicate_flags(looks: Sequence[Look]) -> list[Flag]:
    """Returns the flags of radiographs and masks that are there twice.

    Args:
        looks: all `Look`s. Constant radiographs are left out: they are flagged, and all alike.
    """
    looks = [look for look in looks if look.grey is not None and len(set(look.grey.range.tolist())) > 1]
    groups = _groups(looks, lambda look: look.grey.digest)
    exact = [_flag("duplicate", group, "the same pixels") for group in groups if len(group) > 1]
    # Of exact duplicates only the first is compared further.
    pairs = near_pairs([group[0].grey.thumbnail for group in groups])
    return [*exact, *_near_flags(groups, pairs), *_mask_flags([group[0] for group in groups], pairs)]


def _near_flags(groups, pairs):
    """Yields the flags of nearly the same radiographs."""
    for pair in pairs:
        first, second = groups[pair.first], groups[pair.second]
        how = "mirrored, " if pair.mirrored else ""
        found = f"nearly the same radiograph ({how}correlation in detail {pair.correlation:.2f})"
        yield _flag("near-duplicate", [first[0], second[0]], found, _splits(first), _splits(second))


def _mask_flags(looks, pairs):
    """Returns the flags of masks that different radiographs share; those nearly the same may."""
    drawn = [look for look in looks if look.mask is not None and look.mask.pixels]
    near = {frozenset((looks[pair.first].image_id, looks[pair.second].image_id)) for pair in pairs}
    return [
        _flag("same mask", group, "the same mask for different radiographs", of_masks=True)
        for group in _groups(drawn, lambda look: look.mask.digest)
        if any(frozenset((a.image_id, b.image_id)) not in near for a, b in itertools.combinations(group, 2))
    ]


def _flag(kind, looks, found, *splits, of_masks=False):
    """Returns the flag of looks that share something; `splits` are theirs, unless more than they have."""
    splits = splits or [_splits([look]) for look in looks]
    across = any(a != b for one, other in itertools.combinations(splits, 2) for a in one for b in other)
    paths = tuple(str(path) for look in looks for path in (look.mask_paths if of_masks else [look.image_path]))
    where = "; ".join(f"{look.image_id} in {' and '.join(look.splits) or 'no split'}" for look in looks)
    text = f"{' and '.join(paths)}: found {found} ({where}), expected each once"
    return Flag(kind + (ACROSS if across else ""), SPOILS, text, tuple(look.image_id for look in looks), paths)


def _groups(looks, key):
    groups = collections.defaultdict(list)
    for look in looks:
        groups[key(look)].append(look)
    return list(groups.values())


def _splits(looks):
    return {split for look in looks for split in look.splits}
