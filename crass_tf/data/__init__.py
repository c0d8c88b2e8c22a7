"""Data sets as examples, arrays and `tf.data`; nothing heavy is imported before it is needed."""

from crass_tf.data.augmentation import Augmentation, augment
from crass_tf.data.folds import folds
from crass_tf.data.loading import Example, examples, load_arrays

__all__ = ["Augmentation", "Example", "augment", "examples", "folds", "load_arrays"]
