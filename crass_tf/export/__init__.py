"""From a trained model to the forms that are deployed: SavedModel and the LiteRT family, each compared with Keras."""

import sys
import types

from crass_tf.export.description import describe
from crass_tf.export.exporting import FILES, export
from crass_tf.export.parity import phantom_examples

__all__ = ["FILES", "describe", "export", "phantom_examples"]


class _CallableRoom(types.ModuleType):
    """`crass_tf.export` is this room and the function of its name: `crass_tf.export(model_path, out, ...)` works."""

    __call__ = staticmethod(export)


sys.modules[__name__].__class__ = _CallableRoom
