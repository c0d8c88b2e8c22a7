"""From a trained model to the forms that are deployed: SavedModel and the LiteRT family, each compared with Keras."""

from crass_tf.export.description import describe
from crass_tf.export.exporting import FILES, export
from crass_tf.export.samples import phantom_examples

__all__ = ["FILES", "describe", "export", "phantom_examples"]
