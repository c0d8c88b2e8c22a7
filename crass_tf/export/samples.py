"""Radiographs to calibrate and to compare with, where no data set is at hand."""

from collections.abc import Iterator

from crass_tf.data.loading import Example
from crass_tf.phantom import render

# A series of their own, so that no phantom of `crass-tf phantom --seed 0`, on which nets are trained, is among them.
PHANTOM_SEED = 20_000


def phantom_examples(count: int, size: int = 512, first: int = 0) -> Iterator[Example]:
    """Yields `count` phantoms of `size` pixels as `Example`s, from number `first` of their series."""
    for index in range(first, first + count):
        phantom = render(PHANTOM_SEED, index, size)
        yield Example(f"phantom{index:03d}", phantom.image, phantom.mask, phantom.spacing_mm)
