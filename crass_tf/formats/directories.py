"""The directories of tags that TIFF files and EXIF blocks consist of; classic and BigTIFF, either byte order."""

import struct

ORDERS = {b"II": "<", b"MM": ">"}
# Struct characters by the type of a tag's values, whole numbers only; a rational is two of them.
TYPES = {1: "B", 3: "H", 4: "I", 5: "II", 7: "B", 13: "I", 16: "Q", 18: "Q"}
# Struct characters of the number of tags, of a tag without its value, and of an offset.
CLASSIC, BIG = ("H", "HHI", "I"), ("Q", "HHQ", "Q")
# Tags may share their values' bytes: without limits, of all directories together, a small file could fill the memory.
MAX_DIRECTORIES, MAX_TAGS, MAX_VALUES = 64, 4096, 2**20


def read(data, wanted):
    """Yields each directory as `{tag: values}`; of tags that hold no whole numbers the values are ().

    Args:
        data: bytes that begin with the byte order.
        wanted: the tags that are read; all others are left out.

    Raises:
        ValueError, struct.error: where something lies outside `data`, the chain of directories has a loop, or there
            are more of them, or of tags or values, than are allowed.
    """
    order = ORDERS.get(data[:2])
    version = struct.unpack_from(f"{order}H", data, 2)[0] if order else None
    if version not in (42, 43):
        raise ValueError("no TIFF header")
    layout = BIG if version == 43 else CLASSIC
    offset = _number(order + layout[2], data, 8 if version == 43 else 4)
    count = 0
    for _ in range(MAX_DIRECTORIES):
        places, offset = _directory(data, offset, order, layout, wanted)
        count += sum(length for _, length, _ in places.values())
        if count > MAX_VALUES:
            raise ValueError(f"more than {MAX_VALUES} values")
        yield {tag: _values(data, order, *place) for tag, place in places.items()}
        if not offset:
            return
    raise ValueError(f"more than {MAX_DIRECTORIES} directories")


def _directory(data, position, order, layout, wanted):
    """Returns `{tag: place}` of the directory at `position`, and where the next one lies (0: there is none)."""
    count = _number(order + layout[0], data, position)
    if count > MAX_TAGS:
        raise ValueError(f"more than {MAX_TAGS} tags")
    position += struct.calcsize(order + layout[0])
    head, size = struct.calcsize(order + layout[1]), struct.calcsize(order + layout[2])
    places = {}
    for _ in range(count):
        tag, kind, length = struct.unpack_from(order + layout[1], data, position)
        # Of a tag that is given twice the first counts, as in libtiff.
        if tag in wanted and tag not in places:
            places[tag] = _place(data, position + head, size, kind, length, order + layout[2])
        position += head + size
    return places, _number(order + layout[2], data, position)


def _place(data, inline, size, kind, length, offset_form):
    """Returns a tag's `(form, length, position)`: its values stand where the tag is if they fit there."""
    form = TYPES.get(kind)
    if form is None:
        return "B", 0, inline
    total = struct.calcsize(f"={form}") * length
    position = inline if total <= size else _number(offset_form, data, inline)
    if position + total > len(data):
        raise ValueError("a tag's values lie behind the end")
    return form, length, position


def _values(data, order, form, length, position):
    return struct.unpack_from(f"{order}{len(form) * length}{form[0]}", data, position)


def _number(form, data, position):
    """Returns the number at `position`, which may lie so far behind the end that struct could not count to it."""
    if position > len(data):
        raise ValueError("an offset lies behind the end")
    return struct.unpack_from(form, data, position)[0]
