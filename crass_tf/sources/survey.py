"""The one pass over a data set's files before it is built: a digest of each, and their range of grey values."""

import dataclasses
import functools
import hashlib

import numpy as np

from crass_tf.formats import read_header
from crass_tf.formats.content import read_bytes
from crass_tf.formats.metaimage import data_files
from crass_tf.parallel import ordered_map
from crass_tf.radiograph import GreyScale


@dataclasses.dataclass(frozen=True)
class Survey:
    """What was found: `digests` by path, and the `GreyScale` of all but unsigned 8-bit radiographs."""

    digests: dict
    grey_scale: GreyScale

    def fingerprint(self, source, rule):
        """Returns a digest of names, splits, file contents and spacing."""
        digest = hashlib.sha256(repr((rule, source.fixed_scale)).encode())
        for split, examples in [*source.splits.items(), ("unlabelled", source.unlabelled)]:
            for example in examples:
                digest.update(f"\n{split} {example.image_id} ".encode())
                for path in (example.image_path, *example.mask_paths):
                    digest.update(self.digests[path])
        return digest.hexdigest()


def survey(examples, read_image=None):
    """Returns the `Survey` of examples, from memory where no file has changed since it was last made.

    Args:
        examples: all of the data set's.
        read_image: function of a path to stored grey values and spacing; None where the grey scale is known.
    """
    images = [example.image_path for example in examples]
    masks = [path for example in examples for path in example.mask_paths]
    stamps = tuple((path, _stamp(path)) for path in [*images, *masks])
    return _survey(stamps, tuple(images), read_image)


@functools.lru_cache(maxsize=1)
def _survey(stamps, images, read_image):
    images = set(images)

    def look(stamp):
        path = stamp[0]
        deep = read_image is not None and path in images and read_header(path).dtype != np.uint8
        return path, _digest(path), _grey_range(read_image, path) if deep else None

    found = list(ordered_map(look, stamps))
    ranges = [grey_range for _, _, grey_range in found if grey_range]
    low, high = (f(values) for f, values in zip((min, max), zip(*ranges))) if ranges else (0, 255)
    return Survey({path: digest for path, digest, _ in found}, GreyScale.holding(low, high))


def _digest(path):
    digest = hashlib.sha256()
    for part in data_files(path):
        digest.update(hashlib.sha256(read_bytes(part)).digest())
    return digest.digest()


def _grey_range(read_image, path):
    pixels, _ = read_image(path)
    return int(pixels.min()), int(pixels.max())


def _stamp(path):
    return tuple((status.st_size, status.st_mtime_ns) for status in (part.stat() for part in data_files(path)))
